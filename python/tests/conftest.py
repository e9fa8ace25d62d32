"""Nodes for the tests: real ones, over loopback, on ports that the system chooses."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import karakp2p

REPOSITORY = Path(__file__).resolve().parents[2]
LISTEN = "/ip4/127.0.0.1/tcp/0"
QUICK: dict[str, Any] = {"kad_mode": "off", "workers": 1, "listen": LISTEN}


def wait_until(true: Callable[[], object], seconds: float = 10, what: str = "") -> None:
    """Waits for a state of the network that no call waits for."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what or true}"
        time.sleep(0.005)


def knows(node: karakp2p.Node, peer: str, topic: str) -> bool:
    """Whether node knows that the peer subscribes to the topic."""
    return any(p["peer"] == peer and topic in p["topics"] for p in node.peers())


def in_mesh(node: karakp2p.Node, topic: str) -> bool:
    """Whether the topic has somebody in its mesh."""
    return any(t["topic"] == topic and t["mesh"] > 0 for t in node.topics())


def connect(a: karakp2p.Node, b: karakp2p.Node, *topics: str) -> None:
    """Connects b to a, and waits until a knows b's topics."""
    b.connect(a.addresses()[0], 10)
    for topic in topics:
        wait_until(lambda t=topic: knows(a, b.peer_id, t), what=f"topic {topic}")  # type: ignore[misc]


class StoppedPeer:
    """A subscriber of "t" in a process of its own that is stopped: nothing it is sent is taken."""

    CODE = """
import karakp2p
with karakp2p.Node("t", listen="/ip4/127.0.0.1/tcp/0", kad_mode="off") as n:
    print(n.addresses()[0], flush=True)
    for _ in n:
        pass
"""

    def __init__(self, node: karakp2p.Node) -> None:
        self.node = node
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.CODE], stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> StoppedPeer:
        assert self.process.stdout is not None
        peer = self.node.connect(self.process.stdout.readline().strip(), 10)
        wait_until(lambda: knows(self.node, peer, "t"))
        self.process.send_signal(signal.SIGSTOP)
        return self

    def fill(self) -> None:
        """Publishes until the node's send queue is full, and stays full. That holds for a second:
        then the library gives up a peer that takes nothing."""
        with contextlib.suppress(karakp2p.Timeout):
            while True:
                self.node.publish("t", os.urandom(50000), timeout=0.03)

    def go_on(self) -> None:
        """It takes what it is sent."""
        self.process.send_signal(signal.SIGCONT)

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def node() -> Iterator[karakp2p.Node]:
    """A started node alone."""
    with karakp2p.Node(**QUICK) as n:
        yield n


@pytest.fixture
def pair() -> Iterator[tuple[karakp2p.Node, karakp2p.Node]]:
    """Two connected nodes on topic "t"; the first knows that the second subscribes."""
    with karakp2p.Node("t", **QUICK) as a, karakp2p.Node("t", **QUICK) as b:
        connect(a, b, "t")
        yield a, b


def table(name: str) -> dict[str, Any]:
    """A table of cases that all languages share."""
    path = REPOSITORY / "tests" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def table_bytes(value: Any) -> bytes:
    """The bytes that a text, {"hex"} or {"repeat"} of such a table stands for."""
    if isinstance(value, str):
        return value.encode()
    if "hex" in value:
        return bytes.fromhex(value["hex"])
    return bytes.fromhex(value["repeat"][0]) * int(value["repeat"][1])


def run_script(
    code: str, timeout: float = 20, flags: tuple[str, ...] = ("-X", "dev")
) -> subprocess.CompletedProcess[str]:
    """Runs a script in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
