"""The second table of docs/hostile.md: what each flood of tests/unit/engine costs a node. `test_costs.py --write` measures and
writes it; the test measures again and compares."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("KARAKP2P_BUILD", ROOT / "build" / "release"))
PAGE = ROOT / "docs" / "hostile.md"
HEAD = "| row | the flood | sent | memory | processor |\n|---|---|---|---|---|\n"
# They end the connection at once (4, 5, 13), are counted in look-ups (21), or are not dear at all (14, 23).
NOT_MEASURED = {4, 5, 13, 14, 21, 23}


def rounded_up(value, steps):
    """The next of 1, 2, 5, 10, 20, …, or of other steps of a decade."""
    decade = 1
    while True:
        for step in steps:
            if step * decade >= value:
                return step * decade
        decade *= 10


def measured():
    """[(rows, flood, bytes sent, bytes of memory, ms)] as the tests print it."""
    out = subprocess.run([BUILD / "tests" / "unit_engine", "--gtest_filter=hostile.*:limits.*", "--gtest_brief=1"],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    costs = [line.split(" | ")[1:] for line in out.splitlines() if line.startswith("COST | ")]
    costs.sort(key=lambda c: int(c[0].split(",")[0]))
    return [(rows, flood, int(sent), int(memory), float(ms)) for rows, flood, sent, memory, ms in costs]


def line(rows, flood, sent, memory, ms):
    """Bounds: memory a quarter above what was measured, time, which depends on the machine, three times."""
    kib = rounded_up(memory * 1.25 / 1024, [1, 1.5, 2, 3, 5, 7])
    size = f"{rounded_up(kib / 1024 * 10, [1, 1.5, 2, 3, 5, 7]) / 10:g} MiB" if kib >= 1000 else f"{kib:g} KiB"
    return f"| {rows} | {flood} | {(sent + 500) // 1000:,} KB | {size} | {rounded_up(max(ms * 3, 5), [1, 2, 5])} ms |\n"


def table():
    return re.search(re.escape(HEAD) + r"((?:\|.*\n)+)", PAGE.read_text())


def stated():
    """{(rows, flood): (bytes of memory, ms)} of the page."""
    units = {"KiB": 1024, "MiB": 1024 * 1024}
    found = {}
    for row in table()[1].splitlines():
        rows, flood, _, memory, ms = row.strip("| ").split(" | ")
        number, unit = memory.split()
        found[rows, flood] = float(number) * units[unit], float(ms.split()[0])
    return found


def test_no_flood_costs_more_than_the_page_says():
    bounds, costs = stated(), measured()
    assert [c[:2] for c in costs] == list(bounds)
    for rows, flood, _, memory, ms in costs:
        assert memory <= bounds[rows, flood][0], f"row {rows}: {memory} bytes"
        assert ms <= bounds[rows, flood][1], f"row {rows}: {ms} ms"


def test_every_row_has_its_cost_or_a_reason():
    rows = {int(n) for rows, _ in stated() for n in rows.split(", ")}
    assert rows | NOT_MEASURED == set(range(1, 25))
    assert not rows & NOT_MEASURED


if __name__ == "__main__":
    assert sys.argv[1:] == ["--write"]
    text, old = PAGE.read_text(), table()
    PAGE.write_text(text[:old.start(1)] + "".join(line(*cost) for cost in measured()) + text[old.end(1):])
