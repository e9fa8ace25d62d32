"""Arguments that nobody thought of, over every method: an exception of Python or of the package is
what they get, and the node goes on."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import QUICK, connect
from hypothesis import HealthCheck, given, settings, strategies as st

import karakp2p
from karakp2p import Key, Node, _core, aio

SETTINGS = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
EXPECTED = (
    karakp2p.Error, TypeError, ValueError, OverflowError, BufferError, RuntimeError, OSError,
)  # fmt: skip


class Raises:
    """Answers no question that Python asks of it."""

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError("refused")

    __bytes__ = __len__ = __iter__ = __getitem__ = __index__ = __float__ = __str__ = _refuse
    __bool__ = __eq__ = __hash__ = _refuse


class Text(str):
    """Not exactly str."""


class Number(int):
    """Not exactly int."""


# times that are a moment: what waits for ever by itself is no error
TIMES = st.sampled_from([0, 0.001, Number(0), None, -1, -0.5, float("nan"), "1", b"", True])
PEERS = st.sampled_from(["12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms", "/ip4/1/tcp"])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-3, 2), st.floats(), st.text(),
    st.text().map(Text), st.binary(), st.binary().map(bytearray), st.builds(Raises), PEERS,
    st.binary(min_size=4, max_size=64).map(lambda b: memoryview(b)[::2]),
    st.sampled_from([object(), print, Node, Key, karakp2p.JSON, "x" * 300, b"x" * 70000, "\ud800"]),
)  # fmt: skip
THINGS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.text(), inner)
    ),
    max_leaves=4,
)
@pytest.fixture
def pair() -> Iterator[tuple[Node, Node]]:
    """Two nodes to which equal content is not the same message."""
    keys: dict[str, Any] = {**QUICK, "message_id": "source_seqno"}
    with Node("t", **keys) as a, Node("t", **keys) as b:
        connect(a, b, "t")
        yield a, b


# these wait for as long as it takes, or end what is under test
LEFT_OUT = {"close", "start", "recv", "recv_batch", "listen", "unsubscribe"}


def parameters(method: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(method).parameters.values())


def call(data: st.DataObject, method: Callable[..., Any]) -> Any:
    """Calls the method with anything for its parameters, but no long times."""
    arguments = []
    for p in parameters(method):
        if p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            continue
        if p.name in ("timeout", "timeout_ms", "drain_ms"):
            arguments.append(data.draw(TIMES if p.name == "timeout" else st.integers(-(2**70), 3)))
            if p.name != "timeout" and arguments[-1] in range(-(2**31), 0):
                arguments[-1] = 0
            elif p.name == "timeout" and arguments[-1] is None:
                arguments[-1] = 0.001
        elif p.name != "confirm" or data.draw(st.booleans()):
            arguments.append(data.draw(THINGS))
    return method(*arguments)


def methods(obj: object) -> Iterator[Callable[..., Any]]:
    for name in sorted(dir(obj)):
        method = getattr(obj, name)
        if name.startswith("_") or name in LEFT_OUT or not callable(method):
            continue
        if not isinstance(method, type):
            yield method


@SETTINGS
@given(st.data())
def test_blocking(node: Node, data: st.DataObject) -> None:
    sub = node.subscribe("fuzz", codec=karakp2p.JSON)
    objects = [node, node.sender(), sub, node.topic("fuzz"), node.topic("j", karakp2p.JSON)]
    method = data.draw(st.sampled_from([m for o in objects for m in methods(o)]))
    try:
        call(data, method)
    except EXPECTED:
        pass
    assert node.recv_batch(1, 0) == [] or node.peer_id


@SETTINGS
@given(THINGS, THINGS)
def test_times_and_counts(node: Node, thing: Any, other: Any) -> None:
    calls: list[Any] = [node.recv, node.recv_batch, node.close, node.ping, node.connect]
    for method in calls:
        if thing is None or (isinstance(thing, (int, float)) and not isinstance(thing, bool)):
            return  # a time, or a number of messages
        with pytest.raises(EXPECTED):
            method(thing, other) if method in calls[3:] else method(thing)
    if not callable(thing):
        with pytest.raises(TypeError):
            node.listen(thing)


@SETTINGS
@given(st.data())
def test_core(data: st.DataObject) -> None:
    node = _core.Node([("kad.mode", "off")])
    method = data.draw(st.sampled_from([*methods(node), *methods(node.sender()), *methods(_core)]))
    try:
        call(data, method)
    except EXPECTED:
        pass
    row = data.draw(st.lists(THINGS, max_size=7))
    try:
        method(*row)
    except EXPECTED:
        pass
    try:
        _core.Node(*row)
    except EXPECTED:
        pass


@SETTINGS
@given(st.dictionaries(st.sampled_from(["topic", "on_event", *karakp2p._config.KEYS]), THINGS))
def test_configuration(config: dict[str, Any]) -> None:
    for cls in (Node, aio.Node):
        try:
            cls(**config)
        except EXPECTED:
            pass


@SETTINGS
@given(st.lists(THINGS, max_size=3))
def test_functions_and_classes(row: list[Any]) -> None:
    callables: list[Any] = [
        karakp2p.Key, karakp2p.peer_id, karakp2p.version, karakp2p.JSON.encode,
        karakp2p.JSON.decode, karakp2p.Subscription, karakp2p.Sender, karakp2p.Message,
        karakp2p.Event, aio.Subscription, aio.Sender,
    ]  # fmt: skip
    for function in callables:
        try:
            function(*row)
        except (*EXPECTED, RecursionError):
            pass


def test_aio() -> None:
    with asyncio.Runner() as runner:
        node = aio.Node(**QUICK)
        runner.run(node.start())
        sub = runner.run(node.subscribe("fuzz", codec=karakp2p.JSON))
        objects = [node, node.sender(), sub, node.topic("fuzz"), node.topic("j", karakp2p.JSON)]
        found = [m for o in objects for m in methods(o)]

        async def finish(data: st.DataObject) -> None:
            method = data.draw(st.sampled_from(found))
            try:
                result = call(data, method)
                if inspect.iscoroutine(result):
                    # what nobody answers may wait
                    await asyncio.wait_for(result, 0.02)
            except EXPECTED:
                pass

        @SETTINGS
        @given(st.data())
        def check(data: st.DataObject) -> None:
            runner.run(finish(data))

        check()
        assert runner.run(node.stats())
        runner.run(node.close())


@settings(SETTINGS, max_examples=200)
@given(payload=st.binary(max_size=3000))
def test_bytes_arrive_as_they_were(pair: tuple[Node, Node], payload: bytes) -> None:
    a, b = pair
    a.publish("t", payload)
    message = b.recv(10)
    assert bytes(message) == payload == message.data and len(message) == len(payload)
