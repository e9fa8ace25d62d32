#!/usr/bin/env python3
"""What the languages cost: messages a second out of a full inbox (200 bytes) and end to end between two
processes (1 KiB, signed, one topic, a window of unacknowledged messages), for C and every package of ours,
beside the stock library of the same language doing the same work in the same run.

  bench/bindings.py [--build DIR] [--stock "py js go"] [--runs N] [--quick] [--json FILE]

A package whose toolchain is missing is left out with the reason; so is a stock peer that can not be built.
Of several runs the best counts: the machine may have other things to do."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "scripts")]
from network import CACHE, LeftOut, need, node_package, python_package, run as prepare, stock_command  # noqa: E402
from run import gossip  # noqa: E402

SIZE, WINDOW = 1024, 1024
COUNT, COUNT_PY = 30000, 2000  # py-libp2p takes half a second for a thousand
BOUNDARY = 100000
GOALS = {"Python": ("py", 40), "Node.js": ("js", 3), "Go": ("go", 1.5)}


def python_bench():
    return [str(python_package()), str(ROOT / "bench" / "python.py")]


def node_bench():
    node_package()  # builds the addon in node/, where the benchmark looks for it
    return [need("node"), str(ROOT / "bench" / "node.mjs")]


def go_bench():
    program = CACHE / "demo" / "go" / "bench"
    program.parent.mkdir(parents=True, exist_ok=True)
    prepare(need("go", "/usr/local/go/bin:/usr/lib/go/bin"), "build", "-o", str(program), ".",
            cwd=ROOT / "bench" / "go")
    return [str(program)]


PACKAGES = [("Python", "python.py", python_bench), ("Node.js", "node.mjs", node_bench), ("Go", "go", go_bench)]


def best(runs, measure):
    """The best of several runs; None when none worked."""
    rates = []
    for _ in range(runs):
        try:
            rates.append(measure())
        except (AssertionError, LeftOut, subprocess.SubprocessError) as error:
            print(f"  failed: {str(error).splitlines()[0]}", flush=True)
    return max(rates, default=None)


def boundary(command):
    """Messages a second out of a full inbox, in the fastest of the ways that the program tries."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    lines = [json.loads(line) for line in done.stdout.splitlines() if '"per_second"' in line]
    if done.returncode != 0 or not lines:
        raise LeftOut((done.stderr.strip().splitlines() or ["no figures"])[-1])
    return max(line["per_second"] for line in lines)


def end_to_end(command, options, count):
    """Messages a second from one process to another."""
    result = gossip(command, options, SIZE, WINDOW, count)
    if result["lost"]:
        print(f"  lost {result['lost']} of {count}", flush=True)
    return result["per_second"]


def ready(what, make):
    try:
        return make()
    except LeftOut as why:
        print(f"{what}: left out: {why}", flush=True)
        return None


def measure(a):
    """{name: (boundary, end to end)} of ours, {name: end to end} of the stock peers."""
    scale = 10 if a.quick else 1
    build = pathlib.Path(a.build) / "bench"
    ours, stock = {}, {}
    peer = [str(build / "bench_peer")]
    ours["C"] = (best(a.runs, lambda: boundary([str(build / "bench_local"), "boundary", str(BOUNDARY // scale)])),
                 best(a.runs, lambda: end_to_end(peer, [], COUNT // scale)))
    for name, file, make in PACKAGES:
        if not (ROOT / "bench" / file).exists():
            continue
        command = ready(name, make)
        if command is not None:
            ours[name] = (best(a.runs, lambda c=command: boundary([*c, "boundary", str(BOUNDARY // scale)])),
                          best(a.runs, lambda c=command: end_to_end(c, [], COUNT // scale)))
    for name in a.stock.split():
        command = ready(name + "-libp2p", lambda n=name: stock_command(n))
        if command is not None:
            count = (COUNT_PY if name == "py" else COUNT) // scale
            stock[name] = best(a.runs, lambda c=command, n=count: end_to_end(c, [], n))
    return ours, stock


def rate(value):
    return "-" if value is None else f"{value:.0f}"


def ratio(value, other):
    return "-" if not value or not other else f"{value / other:.2f}"


def table(ours, stock):
    """As Markdown."""
    print(f"\n| | out of a full inbox, 200 B | end to end, {SIZE} B | of C | of the stock library | goal |")
    print("|---|---|---|---|---|---|")
    for name, (inbox, whole) in ours.items():
        peer, goal = GOALS.get(name, (None, None))
        print(f"| {name} | {rate(inbox)} | {rate(whole)} | {ratio(whole, ours['C'][1])} "
              f"| {ratio(whole, stock.get(peer))} | {f'0.80 of C, {goal} of {peer}-libp2p' if peer else ''} |")
    for name, whole in stock.items():
        print(f"| {name}-libp2p | - | {rate(whole)} | {ratio(whole, ours['C'][1])} | 1.00 | |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--stock", default="py js go")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    parser.add_argument("--json")
    a = parser.parse_args()
    if not os.access(os.path.join(a.build, "bench", "bench_peer"), os.X_OK):
        sys.exit(f"no bench_peer in {a.build}: build with -DKP2P_BENCH=ON (scripts/test release)")
    ours, stock = measure(a)
    table(ours, stock)
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps({"ours": ours, "stock": stock}, indent=1) + "\n")


if __name__ == "__main__":
    main()
