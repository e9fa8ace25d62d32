"""The example service: two instances agree, and end cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import Queue

from conftest import LISTEN, REPOSITORY

SERVICE = REPOSITORY / "examples" / "python" / "service.py"


class Instance:
    """A running service and what it prints."""

    def __init__(self, *args: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, SERVICE, "--listen", LISTEN, *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines: Queue[str] = Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.strip())

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def expect(self, start: str) -> str:
        while True:
            line = self.lines.get(timeout=15)
            if line.startswith(start):
                return line

    def end(self, how: signal.Signals | None) -> None:
        assert self.process.stdin is not None and self.process.stderr is not None
        if how is None:
            self.process.stdin.close()
        else:
            self.process.send_signal(how)
        assert self.process.wait(10) == 0, self.process.stderr.read()
        assert "Traceback" not in self.process.stderr.read()
        self.reader.join(5)
        self.process.__exit__(None, None, None)  # closes its pipes


def test_service(tmp_path: Path) -> None:
    first = Instance("--key", tmp_path / "key")
    address = first.expect("listening on").split()[-1]
    second = Instance("--bootstrap", address)
    second.expect("listening on")
    first.say("colour=blue")
    second.expect("colour = blue")
    second.say("colour=red")
    first.expect("colour = red")
    third = Instance("--bootstrap", address)
    third.expect("colour = red")  # from the snapshot
    first.end(signal.SIGINT)
    second.end(signal.SIGTERM)
    third.end(None)


def test_input_may_be_a_file() -> None:
    for text in ("", "name=value\nname\nunknown\npeers\n"):
        r = subprocess.run(
            [sys.executable, SERVICE, "--listen", LISTEN],
            input=text, capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        assert r.returncode == 0 and not r.stderr, r.stderr
        want = ["value", "(not set)"] if text else []
        assert [line for line in r.stdout.splitlines() if "listening" not in line] == want
