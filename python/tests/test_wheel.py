"""What is uploaded: the wheel serves every CPython, the sdist needs nothing of the repository."""

from __future__ import annotations

import glob
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import REPOSITORY

NEEDED = ("build", "scikit_build_core", "auditwheel", "abi3audit")
SMOKE = """
import subprocess, sys, sysconfig
from pathlib import Path
import karakp2p
assert "site-packages" in karakp2p.__file__
keys = {"listen": "/ip4/127.0.0.1/tcp/0"}
with karakp2p.Node("t", **keys) as a, karakp2p.Node("t", bootstrap=a.addresses(), **keys) as b:
    b.publish("t", "hello")
    message = a.recv(10)
    assert bytes(message) == b"hello"
    for _ in range(20000):  # False and None that were not counted would be freed at the end
        assert message.accept() is False and message.seqno and message.protocol is None
command = Path(sysconfig.get_path("scripts"), "karakp2p")
said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
assert said == f"karakp2p {karakp2p.version()}\\n", said
direct = subprocess.run([command, "node", "--help"], capture_output=True, check=True).stdout
module = [sys.executable, "-m", "karakp2p", "--help"]
assert direct and subprocess.run(module, capture_output=True, check=True).stdout == direct
print(karakp2p.version())
"""


def run(*args: str | Path, cwd: Path | None = None) -> str:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), env["PATH"]))
    r = subprocess.run(args, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout


def interpreters() -> Iterator[str]:
    """CPython 3.11 and newer: this one, those on PATH, those of pyenv."""
    yield sys.executable
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    for minor in range(11, 20):
        for found in (
            shutil.which(f"python3.{minor}"),
            *sorted(glob.glob(f"{root}/versions/3.{minor}.*/bin/python3"))[-1:],
        ):
            works = found and subprocess.run([found, "-m", "venv", "-h"], capture_output=True)
            if found and works and works.returncode == 0 and minor != sys.version_info[1]:
                yield found
                break


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist and the wheel."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {missing}")
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, REPOSITORY / "python" / "tools" / "build_wheel.py", out)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


def install(python: str, package: Path, where: Path) -> str:
    """Installs it into a fresh environment and tries it there; what it says of its version."""
    run(python, "-m", "venv", where)
    own = where / "bin" / "python"
    run(own, "-m", "pip", "install", "--no-index", "--no-deps", package)
    return run(own, "-W", "error", "-c", SMOKE, cwd=where)


@pytest.mark.parametrize("python", list(interpreters()))
def test_wheel(made: tuple[Path, Path], python: str, tmp_path: Path) -> None:
    assert "bundled" in install(python, made[1], tmp_path / "venv")


def test_wheel_hides_what_it_brings(made: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.unpack_archive(made[1], tmp_path, "zip")
    library = tmp_path / "karakp2p" / "_core.abi3.so"
    out = run("nm", "-D", "--defined-only", library)
    assert [line.split()[-1] for line in out.splitlines()] == ["PyInit__core"]
    needed = [line for line in run("readelf", "-d", library).splitlines() if "(NEEDED)" in line]
    assert needed and all("[libc." in line or "[ld-" in line for line in needed), needed
    (terms,) = tmp_path.glob("*.dist-info/licenses/LICENSE-BUNDLED")
    assert "libuv" in terms.read_text(encoding="utf-8")
    command = next(tmp_path.glob("*.data/scripts/karakp2p"))
    assert "libuv" not in run("readelf", "-d", command)


def test_sdist(made: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(made[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        assert {"core/karakp2p.c", "core/karakp2p.h", "core/cli/main.c", "LICENSE"} <= names
        assert not any(name.startswith("tests") for name in names) and "LICENSE-BUNDLED" not in names
        for name in ("karakp2p.c", "karakp2p.h"):
            (member,) = (m for m in archive if m.name.endswith(f"core/{name}"))
            file = archive.extractfile(member)
            assert file is not None
            assert file.read() == (REPOSITORY / "go" / name).read_bytes()
    shutil.copy(made[0], tmp_path)
    run(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", tmp_path,
        tmp_path / made[0].name, cwd=tmp_path)  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    assert "libuv/" in install(sys.executable, wheel, tmp_path / "venv")
