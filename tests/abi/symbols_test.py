"""What the shared library exports is what its header declares, no more and no less; every name has
the version node of the minor version that brought it. Run by pytest; KP2P_LIBRARY names the .so,
otherwise the newest one below build*/ is taken."""

import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def library():
    given = os.environ.get("KP2P_LIBRARY")
    if given:
        return pathlib.Path(given)
    built = sorted(ROOT.glob("build*/**/libkarakp2p.so"), key=lambda p: p.stat().st_mtime)
    if not built:
        pytest.skip("no libkarakp2p.so: set KP2P_LIBRARY")
    return built[-1]


def declared():
    header = (ROOT / "abi/include/karakp2p.h").read_text(encoding="utf-8")
    return set(re.findall(r"KP2P_API\s[^;(]*?\b(kp2p_\w+)\s*\(", header))


def nm(*options):
    command = ["nm", *options, str(library())]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def exported():
    """name → version node"""
    symbols = {}
    for line in nm("-D", "--defined-only").splitlines():
        _, kind, name = line.split()
        if kind != "A":
            name, _, node = name.partition("@@")
            symbols[name] = node
    return symbols


def test_exported_is_declared():
    assert set(exported()) == declared()
    assert len(declared()) == 41


def test_every_symbol_has_a_version():
    assert set(exported().values()) <= {"KP2P_1.0"}


def test_version_script_lists_the_header():
    script = (ROOT / "abi/karakp2p.map").read_text(encoding="utf-8")
    assert set(re.findall(r"\bkp2p_\w+(?=;)", script)) == declared()


def test_no_executable_stack_and_bound_at_load():
    dynamic = subprocess.run(
        ["readelf", "-dlW", str(library())], check=True, capture_output=True, text=True
    ).stdout
    assert "[libkarakp2p.so.1]" in dynamic
    assert "NODELETE" in dynamic
    assert "GNU_RELRO" in dynamic
    assert re.search(r"BIND_NOW|FLAGS_1.*\bNOW\b", dynamic)
    assert not re.search(r"GNU_STACK.*RWE", dynamic)
