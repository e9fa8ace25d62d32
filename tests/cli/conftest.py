import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "interop"))
CLI = os.environ.get("KARAKP2P_CLI", str(ROOT / "build" / "release" / "karakp2p"))
