"""The PEP 517 backend: scikit-build-core, and an sdist that carries the C library.

In a clone the library is beside this folder. The sdist takes it along as core/: the generated pair
karakp2p.c and karakp2p.h, and the sources of the command, so that a source install needs a C
compiler and the libraries' headers, and nothing of the repository."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scikit_build_core import build as _backend
from scikit_build_core.build import (  # noqa: F401: what PEP 517 and 660 call
    build_editable,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

PYTHON = Path(__file__).resolve().parent.parent
REPOSITORY = PYTHON.parent
CORE = PYTHON / "core"


@contextlib.contextmanager
def _core() -> Iterator[None]:
    """core/ beside the package's sources, as long as the sdist is packed. An sdist made of an
    unpacked sdist has it already."""
    pair = [REPOSITORY / "go" / name for name in ("karakp2p.c", "karakp2p.h")]
    if not all(file.exists() for file in pair):
        yield
        return
    shutil.rmtree(CORE, ignore_errors=True)
    command = CORE / "cli"
    command.mkdir(parents=True)
    try:
        for file in pair:
            shutil.copy(file, CORE)
        for file in sorted((REPOSITORY / "cli").glob("*.[ch]")):
            if file.name != "sim.c":  # links the core's inside
                shutil.copy(file, command)
        yield
    finally:
        shutil.rmtree(CORE)


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    """The archive's name."""
    with _core():
        return _backend.build_sdist(sdist_directory, config_settings)
