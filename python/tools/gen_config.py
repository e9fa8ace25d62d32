#!/usr/bin/env python3
"""Writes src/karakp2p/_config.py from the table of keys in core/engine/config_table.c.

tools/gen_config.py            write it
tools/gen_config.py --check    exit 1 when it differs from the table
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

PYTHON = Path(__file__).resolve().parent.parent
TABLE = PYTHON.parent / "core" / "engine" / "config_table.c"
OUT = PYTHON / "src" / "karakp2p" / "_config.py"

# keys that Node() takes by name, because they mean more in Python than their text
NAMED = {"topic", "listen", "bootstrap", "identity", "idle_timeout"}

TYPES = {
    "COUNT": "int",
    "SIZE": "int | str",
    "DURATION": "float | str",
    "NUMBER": "float",
    "SWITCH": "bool",
    "CHOICE": "str",
    "SET": "str | Sequence[str]",
    "TEXT": "str",
    "MADDR": "str | Sequence[str]",
    "SCORE": "str | Sequence[str]",
    "ACCESS": "str | Sequence[str]",
}

HEAD = '''"""The configuration keys as keyword arguments. Made by tools/gen_config.py: do not edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict


class Config(TypedDict, total=False):
    """Keyword arguments of Node besides its named ones: key `inbox.max_messages` is
    `inbox_max_messages`. Times are in seconds, or text with a unit ("250ms"); sizes are in bytes,
    or text ("64KiB"); None is the default."""

'''


def keys() -> list[tuple[str, str, str, str, str]]:
    """Name, kind, range, default and meaning of every key."""
    text = TABLE.read_text(encoding="utf-8")
    for macro, said in re.findall(r'#define (CONFIG_\w+_RANGE)\s*\\\n\s*("[^"]*")', text):
        text = text.replace(f"{macro},", f"{said},")
    text = text[text.index("#define CONFIG_KEYS") : text.index("#define CONFIG_FIELD")]
    text = re.sub(r"\s*\\\n\s*", " ", text).replace('" "', "")  # literals that C joins
    string = r'"((?:[^"\\]|\\.)*)"'
    row = re.compile(
        rf"X\({string},\s*(\w+),\s*[\w.]+,\s*[\w| ]+,\s*{string},\s*"
        rf'((?:"[^"]*"|\w+|\s)+),\s*{string}\)'
    )
    found = []
    for name, kind, span, default, doc in row.findall(text):
        default = default.replace(" KP2P_VERSION", "VERSION").replace('"', "").strip()
        found.append((name, kind, span, default, doc))
    if len(found) != text.count('X("'):
        raise SystemExit(f"read {len(found)} of {text.count('X(')} keys: the table's form changed")
    return found


def render() -> str:
    """The text of _config.py."""
    rows = keys()
    out = [HEAD]
    for name, kind, span, default, doc in rows:
        if name in NAMED:
            continue
        said = f"{doc} {span}" + (f"; default {default}." if default else ".")
        out.append(f"    {name.replace('.', '_')}: {TYPES[kind]} | None\n")
        out.append("".join(f"    {line}\n" for line in wrap(said)))
    out.append("\n\n# keyword argument: (key, kind)\nKEYS: dict[str, tuple[str, str]] = {\n")
    for name, kind, *_ in rows:
        out.append(f'    "{name.replace(".", "_")}": ("{name}", "{kind.lower()}"),\n')
    out.append("}\n")
    return "".join(out)


def wrap(text: str) -> list[str]:
    """The lines of a string literal that documents the attribute above it."""
    return textwrap.wrap(f'"""{text}"""', 96)


def main() -> int:
    """The command."""
    text = render()
    if "--check" in sys.argv:
        same = OUT.exists() and OUT.read_text(encoding="utf-8") == text
        if not same:
            print(f"{OUT} differs from {TABLE}: run tools/gen_config.py", file=sys.stderr)
        return 0 if same else 1
    OUT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
