#!/usr/bin/env python3
"""Writes lib/config.js and config.d.ts from the table of keys in core/engine/config_table.c.

tools/gen_config.py            write them
tools/gen_config.py --check    exit 1 when they differ from the table
"""

from __future__ import annotations

import importlib.util
import re
import sys
import textwrap
from pathlib import Path

NODE = Path(__file__).resolve().parent.parent
# the reader of the table
spec = importlib.util.spec_from_file_location("table", NODE.parent / "python" / "tools" / "gen_config.py")
assert spec is not None and spec.loader is not None
table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(table)

MANY = "string | readonly string[]"
TYPES = {
    "COUNT": "number", "SIZE": "number | string", "DURATION": "number | string", "NUMBER": "number",
    "SWITCH": "boolean", "TEXT": "string", "MADDR": MANY, "TOPIC": MANY, "IDENTITY": "string | Key",
    "SCORE": MANY, "ACCESS": MANY,
}  # fmt: skip

JS_HEAD = """'use strict';
// The configuration keys by the names of their options. Made by tools/gen_config.py: do not edit.

// option: [key, kind]
module.exports.KEYS = new Map([
"""
DTS_HEAD = """// The configuration keys as options. Made by tools/gen_config.py: do not edit.

import type { Key } from './index.js';

/** Options of a node: key `inbox.max_messages` is `inboxMaxMessages`. Times are in milliseconds, or text
 * with a unit (`'2m'`); sizes are in bytes, or text (`'64KiB'`); undefined is the default. */
export interface Config {
"""


def option(key: str) -> str:
    """The option of a key."""
    first, *rest = re.split(r"[._]", key)
    return first + "".join(word.capitalize() for word in rest)


def type_of(kind: str, span: str) -> str:
    """The TypeScript type of a key's values."""
    if kind in ("CHOICE", "SET"):
        words = " | ".join(f"'{word}'" for word in span.split("|"))
        return words if kind == "CHOICE" else f"string | readonly ({words})[]"
    return TYPES[kind]


def render() -> dict[Path, str]:
    """The texts of both files."""
    js, dts = [JS_HEAD], [DTS_HEAD]
    for key, kind, span, default, doc in table.keys():
        said = f"{doc} {span}" + (f"; default {default}." if default else ".")
        lines = textwrap.wrap(f"/** {said} */", 94)
        dts.append(f"\t{lines[0]}\n" + "".join(f"\t * {line}\n" for line in lines[1:]))
        dts.append(f"\t{option(key)}?: {type_of(kind, span)} | undefined;\n")
        js.append(f"\t['{option(key)}', ['{key}', '{kind.lower()}']],\n")
    return {NODE / "lib" / "config.js": "".join(js) + "]);\n", NODE / "config.d.ts": "".join(dts) + "}\n"}


def main() -> int:
    """The command."""
    stale = 0
    for path, text in render().items():
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{path} differs from the table of keys: run tools/gen_config.py", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
