#!/usr/bin/env python3
"""Runs gcc's -fanalyzer and clang's static analyzer over core/, abi/ and cli/. A finding fails unless
findings.txt explains it; an explanation that no finding needs any more fails as well.

    analyze.py [gcc|clang]... [--show]    --show prints the path that led to each finding

findings.txt has one finding a line: COMPILER, FILE, CHECK, a piece of the source line without spaces,
and why the finding is wrong. Another version of an analyzer sees other things: what it finds is printed,
but only the versions named at the head of findings.txt judge."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-DOPENSSL_NO_DEPRECATED", "-DKP2P_SODIUM", '-DKP2P_VERSION="0"',
         "-Icore", "-Iabi", "-Iabi/include"]
COMMANDS = {
    "gcc": ["gcc", "-fanalyzer", "-O1", "-c", "-o", os.devnull],
    "clang": ["clang", "--analyze", "--analyzer-output", "text", "-o", os.devnull, "-Xclang",
              "-analyzer-checker=core,unix,deadcode,nullability,security.FloatLoopCounter,"
              "security.insecureAPI.vfork,optin.portability.UnixAPI"],
}
FINDING = re.compile(r"^(\S+?):(\d+):\d+: (?:warning|error): .*?\[(?:CWE-\d+\] \[)?([\w.-]+)\]$")


def analyse(compiler, source):
    done = subprocess.run([*COMMANDS[compiler], *FLAGS, source], cwd=ROOT, capture_output=True, text=True)
    found = [m.groups() for m in map(FINDING.match, done.stderr.splitlines()) if m]
    if done.returncode != 0 and not found:
        sys.exit(f"{compiler} {source}: {done.stderr}")
    return compiler, found, done.stderr


def source_line(path, number):
    return (ROOT / path).read_text().splitlines()[number - 1].strip()


def explanations():
    versions, known = {}, []
    for line in (HERE / "findings.txt").read_text().splitlines():
        if line.startswith("versions "):
            versions = dict(pair.split("=") for pair in line.split()[1:])
        elif line and not line.startswith("#"):
            known.append(tuple(line.split(None, 4)))
    return versions, known


def major(compiler):
    return subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True).stdout.split(".")[0].strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("compilers", nargs="*", default=list(COMMANDS))
    parser.add_argument("--show", action="store_true")
    asked = parser.parse_args()
    sources = sorted(str(p.relative_to(ROOT)) for top in ("core", "abi", "cli") for p in (ROOT / top).rglob("*.c"))
    versions, known = explanations()
    judges = {c for c in asked.compilers if major(c) == versions[c]}
    used, failed = set(), 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for compiler, found, said in pool.map(analyse, *zip(*((c, s) for c in asked.compilers for s in sources))):
            for path, number, check in found:
                text = source_line(path, int(number))
                fits = [k for k in known if k[:3] == (compiler, path, check) and k[3] in text]
                used.update(fits)
                if not fits:
                    failed += compiler in judges
                    print(f"{path}:{number}: {compiler} {check}: {text}")
                    if asked.show:
                        print(said)
    for k in known:
        if k not in used and k[0] in judges:
            failed += 1
            print(f"findings.txt explains what {k[0]} does not find: {' '.join(k[1:4])}")
    print(f"{len(sources)} files by {' and '.join(asked.compilers)}: {len(used)} findings explained, {failed} not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
