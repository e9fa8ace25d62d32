"""The package itself: names, stubs, types, the exported symbols, the table of keys."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib.util
import inspect
import re
import shutil
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest
from conftest import REPOSITORY, wait_until

import karakp2p
from karakp2p import _config, _core, aio

PYTHON = REPOSITORY / "python"


def run(*args: str | Path) -> None:
    r = subprocess.run(args, capture_output=True, text=True, check=False, cwd=PYTHON / "tests")
    assert r.returncode == 0, r.stdout + r.stderr


def test_config_is_that_of_the_library() -> None:
    run(sys.executable, PYTHON / "tools" / "gen_config.py", "--check")
    keys = [key for key, _ in _config.KEYS.values()]
    assert len(set(keys)) == len(keys) and all(
        name == key.replace(".", "_") for name, (key, _) in _config.KEYS.items()
    )
    node = karakp2p.Node()
    assert set(node._info("config")) == set(keys)


def test_same_names_in_both_modules() -> None:
    def public(cls: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(value).parameters)
            for name, value in inspect.getmembers(cls, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }

    for name in aio.__all__:
        blocking, asynchronous = public(getattr(karakp2p, name)), public(getattr(aio, name))
        if name == "Sender":
            blocking.pop("__init__"), asynchronous.pop("__init__")
        assert blocking == asynchronous, name


def test_everything_is_documented() -> None:
    for module in (karakp2p, aio):
        for name in module.__all__:
            thing = getattr(module, name)
            assert inspect.getdoc(thing), name
            if inspect.isclass(thing) and thing.__module__.startswith("karakp2p."):
                for member, value in vars(thing).items():
                    if not member.startswith("_") and callable(value):
                        assert inspect.getdoc(value), f"{name}.{member}"


def test_only_the_module_is_exported() -> None:
    if shutil.which("nm") is None or _core.__file__ is None:
        pytest.skip("no nm")
    out = subprocess.run(
        ["nm", "-D", "--defined-only", _core.__file__], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[-1] for line in out.splitlines()] == ["PyInit__core"]
    assert _core.__file__.endswith(".abi3.so")


def test_no_macro_that_depends_on_the_compiling_python() -> None:
    """Py_RETURN_NONE and its like, as core.h says: the extension must count references as the
    oldest interpreter wants it, whichever it was compiled with."""
    for path in sorted((PYTHON / "src" / "_core").glob("*.c")):
        assert not re.findall(r"\bPy_RETURN_\w+", path.read_text(encoding="utf-8")), path


def test_stable_abi_only() -> None:
    if importlib.util.find_spec("abi3audit") is None or _core.__file__ is None:
        pytest.skip("no abi3audit")
    run(
        sys.executable,
        "-m",
        "abi3audit",
        "--strict",
        "--assume-minimum-abi3",
        "3.11",
        _core.__file__,
    )


def test_mypy_strict() -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("no mypy")
    files = [*sorted((PYTHON / "tests").glob("*.py")), REPOSITORY / "examples" / "python"]
    run(sys.executable, "-m", "mypy", "--strict", "-p", "karakp2p")
    run(sys.executable, "-m", "mypy", "--strict", *files)


def test_stubtest() -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("no mypy")
    allow = PYTHON / "tests" / "stubtest_allowlist.txt"
    run(sys.executable, "-m", "mypy.stubtest", "karakp2p", "--allowlist", allow,
        "--ignore-unused-allowlist")  # fmt: skip


def readme() -> list[str]:
    """The code of README.md."""
    text = (PYTHON / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.S)


def code_of(source: str) -> types.CodeType:
    code = compile(source, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(code, types.CodeType)
    return code


def test_readme_examples_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The two programs at its beginning, one against the other; the rest compiles."""
    made: list[karakp2p.Node] = []

    class Recorded(karakp2p.Node):
        def start(self) -> karakp2p.Node:
            made.append(super().start())
            return self

    blocking, asynchronous, *others = readme()
    for source in others:
        code_of(source)
    monkeypatch.setattr(karakp2p, "Node", Recorded)
    thread = threading.Thread(target=exec, args=(code_of(blocking), {}))
    thread.start()
    wait_until(lambda: made)
    (node,) = made
    chat = node.subscribe("chat")
    over = threading.Event()

    async def run() -> None:
        source = asynchronous.replace("/ip4/…/tcp/…/p2p/…", node.addresses()[0])
        coroutine = eval(code_of(source), {})
        task = asyncio.ensure_future(coroutine)
        while not over.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    other = threading.Thread(target=asyncio.run, args=(run(),))
    other.start()
    message = chat.recv(10)
    assert bytes(message) == b"good morning" and message.source is not None
    wait_until(lambda: node.mesh("chat"))
    chat.publish("hello back", confirm=True)
    node.publish("news", "no reader here")
    wait_until(lambda: "hello back" in capsys.readouterr().out)
    node.close()
    thread.join(10)
    assert not thread.is_alive()
    over.set()
    other.join(10)
    assert not other.is_alive()
