#!/usr/bin/env python3
"""Reads `llvm-cov export` of core/wire and core/conn: one line a file, then what was never taken.

A branch counts as one however many programs and files hold a copy of it (inline functions). The
conditions of an assertion are no branches: one side of them must never be taken."""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDERS = ("core/wire", "core/conn")


def asserted(text):
    """The line numbers that belong to assertions."""
    lines = set()
    for start in re.finditer(r"\bKP_ASSERT\(", text):
        end, depth = start.end(), 1
        while depth > 0:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        lines.update(range(text.count("\n", 0, start.start()) + 1, text.count("\n", 0, end) + 2))
    return lines


def ours(name):
    path = pathlib.Path(name).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""


class Source:
    def __init__(self, name):
        self.lines = (ROOT / name).read_text().splitlines()
        self.assertions = asserted("\n".join(self.lines))
        self.regions, self.branches = {}, {}

    def add(self, table, place, counts):
        if place[0] not in self.assertions:
            before = table.get(place, (0,) * len(counts))
            table[place] = tuple(map(sum, zip(before, counts)))

    def missing(self):
        """(line, what) of everything that never happened."""
        for (line, column, *_), (count,) in sorted(self.regions.items()):
            if count == 0:
                yield line, f"never run, from column {column}"
        for (line, column, *_), (true, false) in sorted(self.branches.items()):
            for name, count in ("true", true), ("false", false):
                if count == 0:
                    yield line, f"never {name}, column {column}"


def read(export):
    sources = {}
    for function in export["data"][0]["functions"]:
        files = [ours(name) for name in function["filenames"]]
        for name in files:
            if name.startswith(FOLDERS) and name not in sources:
                sources[name] = Source(name)
        for *place, count, file, _, kind in function["regions"]:
            if kind == 0 and files[file] in sources: # code, not an expansion or what was skipped
                sources[files[file]].add(sources[files[file]].regions, tuple(place), (count,))
        for *place, true, false, file, _, _ in function["branches"]:
            if files[file] in sources:
                sources[files[file]].add(sources[files[file]].branches, tuple(place), (true, false))
    return sources


def main():
    sources = read(json.load(sys.stdin))
    taken_all = branches_all = 0
    print(f"{'file':32} {'regions':>15} {'branches':>15}")
    for name, source in sorted(sources.items()):
        run = sum(count > 0 for count, in source.regions.values())
        taken = sum((true > 0) + (false > 0) for true, false in source.branches.values())
        taken_all += taken
        branches_all += 2 * len(source.branches)
        print(f"{name:32} {run:7}/{len(source.regions):<7} {taken:7}/{2 * len(source.branches):<7}")
    print(f"{taken_all} of {branches_all} branches are taken")
    missing = 0
    for name, source in sorted(sources.items()):
        for line, what in source.missing():
            missing += 1
            print(f"{name}:{line}: {what}: {source.lines[line - 1].strip()}")
    return missing > 0


if __name__ == "__main__":
    sys.exit(main())
