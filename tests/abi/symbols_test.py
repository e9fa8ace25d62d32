"""The built library as a file: what it exports is what its header declares, no more and no less, every
name with the version node of the minor version that brought it; and it was built with the hardening
that a library for hostile networks needs. KP2P_LIBRARY names the .so, otherwise the newest one below
build*/ is taken."""

import os
import pathlib
import platform
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


def readelf(*options):
    command = ["readelf", *options, str(library())]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_no_executable_stack_and_bound_at_load():
    dynamic = readelf("-dlW")
    assert "[libkarakp2p.so.1]" in dynamic
    assert "NODELETE" in dynamic
    assert "GNU_RELRO" in dynamic
    assert re.search(r"BIND_NOW|FLAGS_1.*\bNOW\b", dynamic)
    assert not re.search(r"GNU_STACK.*RWE", dynamic)
    assert "TEXTREL" not in dynamic


def test_no_segment_is_writable_and_executable():
    segments = re.findall(r"^\s+LOAD.*0x\w+ ([R ][W ][E ])\s+0x", readelf("-lW"), re.M)
    assert len(segments) > 2
    assert not [flags for flags in segments if "W" in flags and "E" in flags]


def test_stack_protector_and_fortify():
    """Only a build without optimisation or with a sanitizer goes without them."""
    undefined = nm("-D", "--undefined-only")
    assert "__stack_chk_fail" in undefined
    assert re.search(r"\b__(memcpy|snprintf)_chk\b", undefined)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="branch tracking is of x86-64")
def test_every_exported_function_may_be_branched_to():
    """-fcf-protection: a function whose address leaves the library begins with endbr64."""
    command = ["objdump", "-d", "--no-show-raw-insn", str(library())]
    code = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    first = dict(re.findall(r"^\w+ <(kp2p_\w+)(?:@@\S+)?>:\n\s*\w+:\s+(\w+)", code, re.M))
    assert set(first) == declared()
    assert set(first.values()) == {"endbr64"}
