#!/usr/bin/env python3
"""Makes the linker's version script from the public header.

Every function the header declares with KP2P_API is exported; nothing else is. A function added after
1.0 is listed under its node in SINCE.

    abi/gen_map.py             writes abi/karakp2p.map
    abi/gen_map.py --check     exit 1 when the committed file differs
    abi/gen_map.py --list      one name per line
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SINCE = {}  # name: "KP2P_1.1"
NODES = ["KP2P_1.0"]


def functions(header):
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    return re.findall(r"^KP2P_API[^;]*?\b(kp2p_\w+)\s*\(", text, flags=re.M)


def make(names):
    out = ["/* Made by gen_map.py from include/karakp2p.h. */"]
    for i, node in enumerate(NODES):
        mine = sorted(n for n in names if SINCE.get(n, NODES[0]) == node)
        out += [f"{node} {{", "global:"] + [f"\t{n};" for n in mine]
        if i == 0:
            out += ["local:", "\t*;"]
        out += ["};" if i == 0 else f"}} {NODES[i - 1]};", ""]
    return "\n".join(out).rstrip("\n") + "\n"


def main():
    names = functions((HERE / "include/karakp2p.h").read_text(encoding="utf-8"))
    assert len(names) == len(set(names)) and names, "declarations not understood"
    if sys.argv[1:] == ["--list"]:
        print("\n".join(sorted(names)))
        return 0
    text = make(names)
    target = HERE / "karakp2p.map"
    if sys.argv[1:] == ["--check"]:
        same = target.exists() and target.read_text(encoding="utf-8") == text
        if not same:
            print("abi/karakp2p.map is not what abi/gen_map.py makes: run it", file=sys.stderr)
        return 0 if same else 1
    target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
