#!/usr/bin/env python3
"""Rates across the boundary of each SWIG binding, as a table: messages of 200 B a second, on one machine.

    bench/swig.py [-n MESSAGES] [LANGUAGE...]

publish: calls of publish until all are accepted (with the network behind them: one other node takes
them). recv: one message a call from a full inbox. batch: up to 256 a call. Needs what
`bindings/run_tests.sh --build` has built."""

import argparse
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "bindings"
HERE = ROOT / "bench" / "swig"
RUN = {
    "java": ["java", "-cp", f"{OUT}/java/classes:{OUT}/java/bench", "Bench"],
    "csharp": ["mono", f"{OUT}/csharp/Bench.exe"],
    "ruby": ["ruby", "-I", f"{OUT}/ruby", "-I", f"{ROOT}/bindings/ruby/lib", f"{HERE}/bench.rb"],
    "lua": ["lua5.4", f"{HERE}/bench.lua"],
    "perl": ["perl", f"-Mblib={OUT}/perl", f"{HERE}/bench.pl"],
    "tcl": ["tclsh", f"{HERE}/bench.tcl"],
}
COMPILE = {
    "java": ["javac", "-cp", f"{OUT}/java/classes", "-d", f"{OUT}/java/bench", f"{HERE}/Bench.java"],
    "csharp": ["mcs", "-nologo", f"-r:{OUT}/csharp/KarakP2P.dll", f"{HERE}/Bench.cs", f"-out:{OUT}/csharp/Bench.exe"],
}


def measure(command, env):
    """On a machine so busy that the receiving node stands still for a second, messages are dropped on
    the way (slow_peer), and the program waits for them in vain: then again."""
    for _ in range(3):
        try:
            done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, timeout=40)
            return json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            continue
    raise SystemExit(f"{command[0]}: no run without loss; is the machine busy?")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("-n", type=int, default=20000, help="messages; at most 60,000 fit into an inbox")
    parser.add_argument("languages", nargs="*", default=list(RUN))
    args = parser.parse_args()
    env = dict(os.environ, LD_LIBRARY_PATH=f"{OUT}/csharp", LUA_CPATH=f"{OUT}/lua/?.so;;",
               LUA_PATH=f"{ROOT}/bindings/lua/?.lua;;", TCLLIBPATH=f"{OUT}/tcl {ROOT}/bindings/tcl")
    print(f"| messages/s, 200 B | publish | recv | batch |\n|{'---|' * 4}")
    for language in args.languages:
        if language in COMPILE:
            subprocess.run(COMPILE[language], check=True)
        rates = measure([*RUN[language], str(args.n)], env)
        cells = [f"{rates[k]:,}" if rates[k] else "-" for k in ("publish", "recv", "batch")]
        print(f"| {language} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
