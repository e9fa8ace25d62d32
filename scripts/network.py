"""Runs one network of our own nodes and of every stock libp2p peer that is or can be built here; all
publish to one topic. Prints who received what; exits 0 only when everyone received everything and
every process ended cleanly."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "interop"))
from driver import Node  # noqa: E402

TOPIC = "demo"
STOCK = [("rust-libp2p as the original KarakP2P", "rust056", []),
         ("rust-libp2p with identify", "rust056", ["--identify"]),
         ("go-libp2p", "go", []), ("js-libp2p", "js", [])]


def stock_commands():
    """The stock peers at hand: built before, or buildable with the toolchains of this machine."""
    built = {}
    for _, program, _ in STOCK:
        if program in built:
            continue
        print(f"preparing {program} (built once, then kept)", flush=True)
        done = subprocess.run([ROOT / "tests/interop/peers/build.sh", program],
                              capture_output=True, text=True)
        paths = [line.split(" ", 1)[1] for line in done.stdout.splitlines()
                 if line.startswith(program + " ")]
        built[program] = paths[0] if done.returncode == 0 and paths else None
        if built[program] is None:
            print(f"  left out: {(done.stderr.strip().splitlines() or ['not built'])[-1]}")
    return [(name, [built[p]], options) for name, p, options in STOCK if built[p]]


def main():
    ours = [str(ROOT / "build/release/karakp2p"), "node", "--json"]
    commands = stock_commands()
    nodes = []
    try:
        boot = Node("bootnode (C)", ours, topic=TOPIC)
        nodes.append(boot)
        print(f"bootnode (C) listens on {boot.address}")
        for name in ("second node (C)", "third node (C)"):
            nodes.append(Node(name, ours, topic=TOPIC, bootstrap=[boot.address]))
        for name, command, options in commands:
            nodes.append(Node(name, command, *options, topic=TOPIC, bootstrap=[boot.address]))
        boot.wait_until(lambda n: len(n.ask("/peers", "peers")["subscribers"]) == len(nodes) - 1,
                        "every member subscribes", timeout=60)
        for node in nodes[1:]:
            if node.command[0] == ours[0]:
                node.wait_until(lambda n: n.ask("/peers", "peers")["mesh"], "joins the mesh")
            else:
                node.wait("subscribed", peer=boot.peer, topic=TOPIC)
        ok = exchange(nodes)
    except AssertionError as error:
        print(error)
        ok = False
    return 0 if end(nodes) and ok else 1


def exchange(nodes):
    """Everyone says something; everyone must hear everyone else."""
    ok = True
    for node in nodes:
        node.publish(f"hello from {node.name}")
    for node in nodes:
        heard = 0
        for other in nodes:
            if other is node:
                continue
            try:
                node.wait_message(f"hello from {other.name}", timeout=30)
                heard += 1
            except AssertionError:
                print(f"  {node.name} did not hear {other.name}")
                ok = False
        print(f"{node.name:40} received {heard} of {len(nodes) - 1} messages", flush=True)
    return ok


def end(nodes):
    """The bootnode goes last, so that every goodbye has somebody to hear it."""
    ok = True
    for node in reversed(nodes):
        try:
            status = node.quit()
        except AssertionError as error:
            print(error)
            status = "killed"
        if status != 0:
            print(f"{node.name} ended with {status}\n  " + "\n  ".join(node.errors[-5:]))
            ok = False
    print("every process ended cleanly" if ok else "not every process ended cleanly")
    return ok


if __name__ == "__main__":
    sys.exit(main())
