#!/usr/bin/env python3
"""The benchmarks, all in one run on one machine, as a table and as JSON: absolute figures mean little
elsewhere, the ratios to the stock peers of the same run do.

  bench/run.py [--build DIR] [--peers "rust056 go js"] [--json FILE] [--quick]"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "interop"))
from driver import Node  # noqa: E402

OURS = ("bench_peer", "python.py", "node.mjs", "go/bench")  # they answer /topics
RUNS = [("32 B", 32, 1024, 30000), ("1 KiB", 1024, 1024, 30000), ("57 KB", 57000, 64, 3000)]


def gossip(command, options, size, window, count):
    """Messages a second and CPU per message of a sender and a sink of one implementation."""
    sink = Node("sink", command, "--sink", *options, topic="bench")
    source = Node("source", command, *options, topic="bench", bootstrap=[sink.address])
    try:
        ready(source, sink)
        source.ask(f"/window 500 {size} {window}", "window", timeout=60)  # warm caches and windows
        before = sink.ask("/stats", "stats")
        run = source.ask(f"/window {count} {size} {window}", "window", timeout=240)
        after = sink.ask("/stats", "stats")
        cpu = sum(after[k] - before[k] for k in ("cpu_user_ms", "cpu_sys_ms"))
        got = after["received"] - before["received"]
        return {"per_second": got / run["seconds"], "lost": run["sent"] - got,
                "cpu_us_sender": run["cpu_ms"] * 1e3 / max(got, 1), "cpu_us_receiver": cpu * 1e3 / max(got, 1)}
    finally:
        source.kill()
        sink.kill()


def ready(source, sink):
    """Both ends know that the other subscribes to both topics."""
    for node, other in ((source, sink), (sink, source)):
        if any(part.endswith(OURS) for part in node.command[:2]):
            node.wait_until(lambda n: all(t["subscribers"] > 0 for t in n.ask("/topics", "topics")["topics"]),
                            "subscribed")
        else:
            node.wait("subscribed", peer=other.peer)


def packages():
    """The language packages that have been built here."""
    if (ROOT / "node/build/Release/karakp2p.node").exists():
        yield "node", ["node", str(ROOT / "bench/node.mjs")], []


def stock(names):
    out = []
    for name in names.split():
        done = subprocess.run([ROOT / "tests/interop/peers/build.sh", name], stdout=subprocess.PIPE, text=True)
        path = [line.split(" ", 1)[1] for line in done.stdout.splitlines() if line.startswith(name + " ")]
        if path:
            out.append((name, [path[0]], ["--identify"] if name.startswith("rust") else []))
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--peers", default="rust056 go js")
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    a = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    peers = [("karakp2p", [os.path.join(a.build, "bench", "bench_peer")], []), *packages()] + stock(a.peers)
    results = {"gossip": {}, "local": {}}
    print(f"{'signed gossip':16} {'size':>6} {'msg/s':>9} {'ratio':>7} {'us sender':>10} {'us recv':>9} {'lost':>5}")
    for label, size, window, count in RUNS:
        for name, command, options in peers:
            n = count // 10 if a.quick or (name == "js" and size > 1000) else count
            try:
                r = gossip(command, options, size, window, n)
            except AssertionError as error:
                print(f"{name:16} {label:>6} failed: {str(error).splitlines()[0]}")
                continue
            results["gossip"].setdefault(label, {})[name] = r
            ours = results["gossip"][label].get("karakp2p", r)["per_second"]
            print(f"{name:16} {label:>6} {r['per_second']:9.0f} {ours / r['per_second']:6.2f}x "
                  f"{r['cpu_us_sender']:10.1f} {r['cpu_us_receiver']:9.1f} {r['lost']:5d}", flush=True)
    if len([*packages()]) > 0:
        subprocess.run(["node", ROOT / "bench/node.mjs", "boundary", "10000" if a.quick else "50000"])
    for what in (["handshakes"], ["stream"], ["latency"], ["memory", "60" if a.quick else "300"]):
        done = subprocess.run([os.path.join(a.build, "bench", "bench_local"), *what], stdout=subprocess.PIPE, text=True)
        if done.returncode == 0:
            r = json.loads(done.stdout)
            results["local"][r.pop("bench")] = r
            print(f"{what[0]:16} " + "  ".join(f"{k} {v}" for k, v in r.items()), flush=True)
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
