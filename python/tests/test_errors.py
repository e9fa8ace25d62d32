"""What bad input gets: the shared tables, and wrong types and values over every method."""

from __future__ import annotations

import asyncio
import copy
import inspect
import itertools
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
from conftest import LISTEN, QUICK, REPOSITORY, connect, table, table_bytes

import karakp2p
from karakp2p import Node, _core, _errors, aio


def codes() -> dict[str, int]:
    return {name: code for code, (name, _) in _errors.CODES.items()}


def test_codes_are_those_of_the_header() -> None:
    header = (REPOSITORY / "abi" / "include" / "karakp2p.h").read_text(encoding="utf-8")
    want = {n: int(v) for n, v in re.findall(r"#define KP2P_(E[A-Z]+)\s+\((-\d+)\)", header)}
    assert codes() == want


def test_every_code_has_its_class() -> None:
    for code, (name, cls) in _errors.CODES.items():
        e = _errors.make(code, "text")
        assert type(e) is cls and (e.code, e.name, e.message, str(e)) == (
            code,
            name,
            "text",
            "text",
        )
        assert getattr(karakp2p, cls.__name__) is cls
        assert type(pickle.loads(pickle.dumps(e))) is cls
    assert type(_errors.make(-99, "new")) is karakp2p.Error
    bases = [
        (karakp2p.Timeout, TimeoutError), (karakp2p.NotFound, LookupError),
        (karakp2p.Closed, ConnectionError), (karakp2p.Invalid, ValueError),
    ]  # fmt: skip
    for cls, base in bases:
        assert issubclass(cls, base) and issubclass(cls, karakp2p.Error)


class Stage:
    """What a case of misuse.json is played on: the C calls, as _core has them."""

    def __init__(self, case: dict[str, Any], keys: list[list[str]], taken: str) -> None:
        self.taken = taken
        self.node: _core.Node | None = None
        if case["state"] == "none":
            return
        pairs = [(k, self.fill(v)) for k, v in case.get("keys", keys)]
        self.node = _core.Node(pairs)
        self.sender = self.node.sender()
        if case["state"] in ("running", "closed"):
            self.node.start()
        if case["state"] == "closed":
            assert self.node.close(0, -1)

    def fill(self, text: str) -> str:
        return text.replace("{taken}", self.taken)

    def text(self, args: dict[str, Any], name: str) -> str:
        return self.fill(table_bytes(args.get(name, "")).decode())

    def play(self, step: dict[str, Any]) -> object:
        call, a = step["call"], step["args"]

        def text(name: str) -> str:
            return self.text(a, name)

        node: Any = self.node
        token, timeout = a.get("token", 0), a.get("timeout_ms", 0)
        calls: dict[str, Callable[[], object]] = {
            "kp2p_config_set": lambda: _core.Node([(text("key"), text("value"))]),
            "kp2p_node_new": lambda: _core.Node([(k, v) for k, v in a["keys"]]),
            "kp2p_key_generate": lambda: _core.key_generate(a["type"]),
            "kp2p_key_peer_id": lambda: _core.key_peer_id(text("key")),
            "kp2p_peer_id_parse": lambda: _core.peer_id_parse(text("text")),
            "kp2p_node_start": lambda: node.start(),
            "kp2p_sender_publish": lambda: self.sender.publish(
                text("topic"), table_bytes(a["data"]), token, timeout
            ),
            "kp2p_sender_publish_batch": lambda: self.sender.publish_batch(
                text("topic"), parts(table_bytes(a["buf"]), a["lens"]), 0, timeout
            ),
            "kp2p_sender_send": lambda: self.sender.send(
                text("peer"), text("protocol"), table_bytes(a["data"]), token, timeout
            ),
            "kp2p_node_request": lambda: node.request(
                a["op"], text("arg"), text("data"), timeout, token
            ),
            "kp2p_node_poll": lambda: node.poll(a["inbox"], 1, timeout),
            "kp2p_node_poll_batch": lambda: node.poll(a["inbox"], a.get("max", 4), timeout),
            "kp2p_node_listen": lambda: node.poll(a["inbox"], 1, -1),
            "kp2p_node_inbox_fd": lambda: node.inbox_fd(a["inbox"]),
            "kp2p_node_verdict": lambda: node.verdict(token, a["verdict"]),
            "kp2p_node_cancel": lambda: node.cancel(token),
            "kp2p_node_info": lambda: node.info(text("what")),
        }
        return calls[call]()


def parts(buf: bytes, lens: list[int]) -> tuple[bytes, ...]:
    ends = list(itertools.accumulate(lens))
    return tuple(buf[end - n : end] for end, n in zip(ends, lens, strict=True))


def test_misuse_table() -> None:
    cases = table("misuse.json")
    names = codes()
    with Node(**QUICK) as other:
        taken = other.addresses()[0].split("/p2p/")[0]
        for case in cases["cases"]:
            if case.get("bytes"):  # no text: this language has no such str
                continue
            stage = Stage(case, cases["keys"], taken)
            for step in case.get("before", []):
                stage.play(step)
            with pytest.raises(karakp2p.Error) as e:
                stage.play(case)
            assert e.value.code == names[case["code"]], (case["name"], e.value)
            assert e.value.message, case["name"]
            if case["call"] == "kp2p_node_listen":  # polled here, which has no text
                continue
            for word in case["words"]:
                assert stage.fill(word) in e.value.message, (case["name"], e.value.message)


def test_payload_table() -> None:
    cases = table("payloads.json")
    keys: Any = {k.replace(".", "_"): v for k, v in cases["keys"]}
    topics = {t for c in cases["cases"] if (t := topic_of(c)) and c["result"] == "ok"}
    with Node(**keys) as a, Node(list(topics), **keys) as b:
        connect(a, b, *topics)
        for case in cases["cases"]:
            payload = table_bytes(case["payload"])
            topic = topic_of(case)
            if topic is None:  # no text: this language has no such str
                continue
            if case["result"] == "ok":
                a.publish(topic, payload, 5, confirm=True)
                m = b.recv(10)
                assert (m.topic, bytes(m)) == (topic, payload), case["name"]
                continue
            with pytest.raises(karakp2p.Error) as e:
                a.publish(topic, payload)
            assert e.value.name == case["result"], case["name"]
            assert all(w in e.value.message for w in case.get("words", [])), case["name"]


def topic_of(case: dict[str, Any]) -> str | None:
    try:
        return table_bytes(case["topic"]).decode()
    except UnicodeDecodeError:
        return None


def test_configuration() -> None:
    good: list[dict[str, Any]] = [
        {"listen": [LISTEN, "/ip6/::1/tcp/0"]}, {"topic": ("a", "b")}, {"idle_timeout": 0.5},
        {"gossipsub_flood_publish": False}, {"events": ["peers", "log"]}, {"events": "stats"},
        {"inbox_max_bytes": "5MiB"}, {"publish_hold": 1}, {"gossipsub_gossip_factor": 0.5},
        {"inbox_policy": "drop_new"}, {"bootstrap": []}, {"identity": None}, {"workers": 2},
    ]  # fmt: skip
    for config in good:
        Node(**config).close()
    bad: list[tuple[dict[str, Any], str]] = [
        ({"inbox_max_mesages": 5}, "inbox_max_mesages"), ({"listen": "localhost"}, "localhost"),
        ({"idle_timeout": -1}, "idle_timeout"), ({"workers": 2.5}, "workers"),
        ({"idle_timeout": float("nan")}, "idle_timeout"), ({"gossipsub_d": True}, "gossipsub.d"),
        ({"identity": "x"}, "identity"), ({"topic": ""}, "topic"), ({"agent": "a\0b"}, "NUL"),
        ({"topic": "t" * 257}, "topic"), ({"events": ["pears"]}, "events"),
    ]  # fmt: skip
    for config, word in bad:
        with pytest.raises(karakp2p.Invalid, match=re.escape(word)):
            Node(**config)
    types: list[dict[str, Any]] = [
        {"topic": 5}, {"topic": [b"x"]}, {"listen": {}}, {"listen": [None]}, {"agent": b"x"},
        {"on_event": 5}, {"workers": object()},
    ]  # fmt: skip
    for config in types:
        with pytest.raises(TypeError):
            Node(**config)


def test_durations_are_seconds() -> None:
    n = Node(publish_hold=0.25, idle_timeout=90)
    config = n._info("config")
    assert config["publish.hold"] == "250ms" and config["idle_timeout"] == "90s"
    n.close()


def test_node_is_not_copied(node: Node) -> None:
    for make in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="node"):
            make(node)


# --- wrong types and values over every method -----------------------------------------------------


class Evil:
    """Bytes that raise, and a length that is none."""

    def __bytes__(self) -> bytes:
        raise RuntimeError("evil")

    def __len__(self) -> int:
        return -1


class NotBytes:
    def __bytes__(self) -> bytes:
        return 5  # type: ignore[return-value]


NASTY: list[Any] = [
    None, True, 0, -1, 2**31, 2**63, 2**200, 1.5, float("nan"), float("inf"), "", "x", "\0", "a\0b",
    "\ud800", "x" * 70000, b"", b"\xff", bytearray(3), memoryview(b"abcdef")[::2], (), [], {}, set(),
    object(), Evil(), NotBytes(), type, len, lambda: None, karakp2p.Error,
]  # fmt: skip
EXPECTED = (karakp2p.Error, TypeError, ValueError, OverflowError, BufferError, RuntimeError)
# what waits for ever by itself, or gives up the object
SKIP = {"listen", "close", "start", "recv", "recv_batch", "__init__"}


def methods(obj: object) -> list[tuple[str, Any, int]]:
    found = []
    for name in dir(obj):
        if name.startswith("_") or name in SKIP:
            continue
        value = getattr(obj, name)
        if not callable(value) or isinstance(value, type):
            continue
        try:
            n = sum(
                p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
                for p in inspect.signature(value).parameters.values()
            )
        except ValueError:
            n = 2
        found.append((name, value, n))
    return found


def throw_all(obj: object, finish: Any = lambda r: r) -> int:
    thrown = 0
    for _, method, n in methods(obj):
        rows: list[tuple[Any, ...]] = [(v,) * n for v in NASTY]
        rows += (
            [(v,) for v in NASTY] + [("x", v) for v in NASTY] + [("x", "y", v) for v in NASTY[:12]]
        )
        rows += [(), (1,) * 9]
        for row in rows:
            if any(isinstance(v, (int, float)) and v > 1 for v in row[1:]) or row[2:] == (None,):
                continue  # a valid, long time
            try:
                finish(method(*row))
            except EXPECTED:
                thrown += 1
    return thrown


def test_wrong_arguments_blocking(node: Node) -> None:
    sub = node.subscribe("s")
    for obj in (node.sender(), sub, node.topic("t"), node.topic("j", karakp2p.JSON), node):
        assert throw_all(obj) > 0
    for value in NASTY:
        if not callable(value):
            with pytest.raises(TypeError):
                node.listen(value)
        if value is None or isinstance(value, (int, float)) and value >= 0:
            continue  # a time, or a number of messages
        for call in (node.recv, node.recv_batch, node.close):
            with pytest.raises(EXPECTED):
                call(value)
    for value in (True, 0, -1, 2.5):
        with pytest.raises((TypeError, karakp2p.Invalid)):
            node.recv_batch(value)  # type: ignore[arg-type]
    assert node.peer_id and node.stats()


def test_wrong_arguments_core(node: Node) -> None:
    core = _core.Node([])
    core.start()
    sender = core.sender()
    targets = [core, sender, _core]
    for target in targets:
        for name in dir(target):
            method = getattr(target, name)
            if name.startswith("_") or not callable(method) or name in ("close", "start", "poll"):
                continue
            for value, n in itertools.product(NASTY, range(6)):
                if name.startswith(("publish", "send")) and n >= 4:
                    continue
                try:
                    method(*(value,) * n)
                except EXPECTED:
                    pass
    for value in NASTY:
        for row in ((value, 1, 0), (0, value, 0)):
            try:
                core.poll(*row)
            except EXPECTED:
                pass
    for cls in (_core.Sender, _core.Event, _core.Message):
        with pytest.raises(TypeError):
            cls()
    for config in ([5], [("a",)], [("a", 5)], [("a", "b", "c")], "x", None):
        with pytest.raises((TypeError, karakp2p.Error)):
            _core.Node(config)  # type: ignore[arg-type]
    assert core.close(0, -1)


def test_wrong_arguments_aio() -> None:
    async def main() -> None:
        async with aio.Node(**QUICK) as n:
            sub = await n.subscribe("s")

            def finish(result: Any) -> None:
                if inspect.iscoroutine(result):
                    tasks.append(asyncio.ensure_future(asyncio.wait_for(result, 5)))

            objects: list[Any] = [sub, n.topic("t"), n.sender(), n]
            for obj in objects:
                tasks: list[Any] = []
                throw_all(obj, finish)
                for r in await asyncio.gather(*tasks, return_exceptions=True):
                    assert not isinstance(r, BaseException) or isinstance(r, EXPECTED), r
            assert await n.stats()

    asyncio.run(main())
