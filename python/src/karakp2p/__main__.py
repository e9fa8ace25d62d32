"""`python -m karakp2p ARGS` runs the command `karakp2p node ARGS`."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig


def find_command() -> str | None:
    """The karakp2p command: the one of this installation, else the one on PATH."""
    here = os.path.join(sysconfig.get_path("scripts"), "karakp2p")
    return here if os.access(here, os.X_OK) else shutil.which("karakp2p")


def main() -> int:
    """Becomes the command."""
    command = find_command()
    if command is None:
        print("karakp2p: the command is not installed with this package", file=sys.stderr)
        return 1
    os.execv(command, [command, "node", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
