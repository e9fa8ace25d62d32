"""The nodes under test: ours, and the stock peers, each built from its registry on first use."""

import os
import pathlib
import subprocess

import pytest

from driver import Node

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent


class Kind:
    """One implementation in one configuration, and what its own rules allow a test to ask of it."""

    def __init__(self, name, program, options=(), largest=60000, dht=True, burst_size=1000):
        self.name, self.program, self.options = name, program, tuple(options)
        self.largest = largest        # one message at a time
        self.dht = dht                # feeds its routing table
        self.burst_size = burst_size
        self._command = None

    def command(self):
        if self._command is None:
            self._command = build(self.program)
        return self._command

    def start(self, name=None, **kwargs):
        return Node(name or self.name, self.command(), *self.options, **kwargs)


def build(program):
    """The command of a stock peer, building it when the cache does not have it."""
    out = subprocess.run([str(HERE / "peers" / "build.sh"), program], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    for line in out.splitlines():
        name, _, path = line.partition(" ")
        if name == program:
            return [path]
    raise RuntimeError(f"peers/build.sh {program} named no executable:\n{out}")


KINDS = [
    Kind("rust056-karak", "rust056", dht=False),
    Kind("rust056", "rust056", ["--identify"]),
    Kind("rust057-karak", "rust057", dht=False, largest=57000),
    Kind("rust057", "rust057", ["--identify"], largest=57000),
    Kind("go", "go"),
    Kind("js", "js"),
    Kind("py", "py"),
]


def chosen_kinds():
    names = os.environ.get("KP2P_INTEROP_PEERS")
    return [k for k in KINDS if names is None or k.name in names.split()]


@pytest.fixture(scope="session")
def ours():
    cli = os.environ.get("KARAKP2P_CLI", str(ROOT / "build" / "release" / "karakp2p"))
    if not os.access(cli, os.X_OK):
        pytest.fail(f"no karakp2p command at {cli}: build it first (scripts/test does)")
    return Kind("karakp2p", cli)


@pytest.fixture
def network(ours):
    """Starts nodes and ends them all when the test is over."""
    nodes = []

    class Network:
        @staticmethod
        def ours(name="ours", *options, **kwargs):
            node = Node(name, [ours.program, "node", "--json"], *options, **kwargs)
            nodes.append(node)
            return node

        @staticmethod
        def stock(kind, name=None, **kwargs):
            node = kind.start(name, **kwargs)
            nodes.append(node)
            return node

    yield Network
    for node in nodes:
        node.kill()


def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        kinds = chosen_kinds()
        metafunc.parametrize("kind", kinds, ids=[k.name for k in kinds])
