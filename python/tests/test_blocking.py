"""The blocking node: receiving, sending, topics, peers."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import pickle
import select
import selectors
import signal
import threading
import time
from typing import Any

import pytest
from conftest import QUICK, StoppedPeer, connect, in_mesh, knows, wait_until

import karakp2p
from karakp2p import Node

Pair = tuple[Node, Node]


def test_message_fields(pair: Pair) -> None:
    a, b = pair
    sent = a.publish("t", "grüß dich", confirm=True)
    assert sent.peers == 1
    m = b.recv(5)
    assert bytes(m) == "grüß dich".encode() == m.data == memoryview(m) == m.value
    assert isinstance(m.data, memoryview) and m.data.readonly and len(m) == len(bytes(m))
    assert (m.topic, m.source, m.via, m.id) == ("t", a.peer_id, a.peer_id, sent.id)
    assert isinstance(m.seqno, int) and m.seqno >= 0
    assert abs(m.time - time.time()) < 5 and abs(m.time_ns / 1e9 - m.time) < 1e-3
    assert m.protocol is None and not m.validate
    assert not m.accept() and not m.reject() and not m.ignore()
    copies: list[object] = [copy.copy(m), copy.deepcopy(m), pickle.loads(pickle.dumps(m))]
    assert copies == [bytes(m)] * 3
    assert "'t'" in repr(m) and a.peer_id in repr(m)


def test_payload_kinds(pair: Pair) -> None:
    a, b = pair

    class Thing:
        def __bytes__(self) -> bytes:
            return b"thing"

    kinds = ["text", b"bytes", bytearray(b"array"), memoryview(b"view"), Thing()]
    for kind in kinds:
        a.publish("t", kind)
    got = [bytes(b.recv(5)) for _ in kinds]
    assert got == [b"text", b"bytes", b"array", b"view", b"thing"]
    a.publish("t", b"again")
    b.publish("t", memoryview(b.recv(5))[:2])  # a message is bytes-like itself
    assert bytes(a.recv(5)) == b"ag"


def test_confirm_tells_the_fate(pair: Pair) -> None:
    a, _ = pair
    a.publish("t", "once", confirm=True)
    with pytest.raises(karakp2p.Duplicate) as e:
        a.publish("t", "once", confirm=True)
    assert e.value.name == "EDUPLICATE" and str(e.value)
    with Node(publish_hold=0, **QUICK) as alone, pytest.raises(karakp2p.NoPeers):
        alone.publish("t", "x", confirm=True)
    with Node(publish_hold=0.05, **QUICK) as alone, pytest.raises(karakp2p.Expired):
        alone.publish("t", "x", confirm=True)
    with Node(publish_hold=10, **QUICK) as alone, pytest.raises(karakp2p.Timeout):
        alone.publish("t", "x", timeout=0.05, confirm=True)


def test_unconfirmed_failure_is_an_event() -> None:
    seen: list[karakp2p.Event] = []
    with Node(publish_hold=0, on_event=seen.append, **QUICK) as n:
        n.publish("t", "x")
        with pytest.raises(karakp2p.Timeout):
            n.recv(0.2)
    failed = [e for e in seen if e.type == "published"]
    assert len(failed) == 1 and failed[0].topic == "t" and failed[0].code == -14
    assert failed[0].token == 0 and failed[0].kind == 3


def test_recv_timeouts(pair: Pair) -> None:
    a, b = pair
    with pytest.raises(TimeoutError):
        b.recv(0)
    start = time.monotonic()
    with pytest.raises(karakp2p.Timeout, match=r"0\.05"):
        b.recv(0.05)
    assert 0.045 < time.monotonic() - start < 1
    assert b.recv_batch(10, 0) == [] == b.recv_batch(timeout=0.01)
    for i in range(10):
        a.publish("t", f"{i}")
    got: list[bytes] = []
    while len(got) < 10:
        batch = b.recv_batch(4, 5)
        assert 1 <= len(batch) <= 4
        got += [bytes(m) for m in batch]
    assert got == [b"%d" % i for i in range(10)]


def test_subscription_has_its_own_inbox(pair: Pair) -> None:
    a, b = pair
    sub = b.subscribe("s")
    wait_until(lambda: knows(a, b.peer_id, "s"))
    a.publish("t", "for the node")
    a.publish("s", "for the subscription")
    assert bytes(sub.recv(5)) == b"for the subscription" and sub.topic == "s"
    assert bytes(b.recv(5)) == b"for the node"
    sub.unsubscribe()
    sub.unsubscribe()
    assert list(sub) == [] and [t["topic"] for t in b.topics()] == ["t"]
    with pytest.raises(karakp2p.Closed, match='"s"'):
        sub.recv()
    for _ in range(3):  # numbers are used again, with nothing old in them
        with b.subscribe("s") as sub:
            pass


def test_unsubscribe_ends_a_waiting_reader(node: Node) -> None:
    subs = [node.subscribe(f"s{i}") for i in range(4)]
    ended: list[str] = []

    def read(sub: karakp2p.Subscription) -> None:
        for _ in sub:
            pass
        ended.append(sub.topic)

    threads = [threading.Thread(target=read, args=(s,)) for s in subs for _ in range(2)]
    for t in threads:
        t.start()
    time.sleep(0.05)
    for s in subs:
        s.unsubscribe()
    for t in threads:
        t.join(5)
    assert sorted(ended) == sorted(s.topic for s in subs for _ in range(2))


def test_own_messages(pair: Pair) -> None:
    a, b = pair
    b.subscribe("own")
    sub = a.subscribe("own", own_messages=True)
    wait_until(lambda: knows(a, b.peer_id, "own"))
    a.publish("own", "me")
    m = sub.recv(5)
    assert bytes(m) == b"me" and m.source == a.peer_id


def test_validation_verdicts() -> None:
    with Node(**QUICK) as a, Node(**QUICK) as b, Node("v", **QUICK) as c:
        sub = b.subscribe("v", validate=True)
        connect(a, b, "v")
        connect(b, c, "v")
        wait_until(lambda: knows(c, b.peer_id, "v") and in_mesh(c, "v"))
        for text in ("accepted", "rejected", "ignored"):
            a.publish("v", text)
        verdicts = {}
        for _ in range(3):
            m = sub.recv(5)
            assert m.validate
            what = bytes(m).decode()
            verdicts[what] = {"accepted": m.accept, "rejected": m.reject, "ignored": m.ignore}[
                what
            ]()
            assert not m.accept(), "one verdict only"
        assert verdicts == {"accepted": True, "rejected": True, "ignored": True}
        assert bytes(c.recv(5)) == b"accepted"
        with pytest.raises(karakp2p.Timeout):
            c.recv(0.2)
        a.publish("v", "late")
        late = sub.recv(5)
        b.close()
        assert late.accept() is False


def test_no_verdict_is_ignore() -> None:
    with (
        Node(**QUICK) as a,
        Node(validate_timeout=0.05, **QUICK) as b,
        Node("v", **QUICK) as c,
    ):
        sub = b.subscribe("v", validate=True)
        connect(a, b, "v")
        connect(b, c, "v")
        a.publish("v", "late")
        message = sub.recv(5)
        time.sleep(0.2)
        assert not message.accept() and not message.reject() and not message.ignore()
        with pytest.raises(karakp2p.Timeout):
            c.recv(0.2)


def test_pending_verdicts_are_bounded() -> None:
    with Node(**QUICK) as a, Node(validate_max_pending=5, **QUICK) as b:
        sub = b.subscribe("v", validate=True)
        connect(a, b, "v")
        for i in range(20):
            a.publish("v", f"{i}")
        wait_until(lambda: b.stats()["validate_overflows"] == 15)
        waiting = sub.recv_batch(256, 5)
        assert len(waiting) == 5 and all(m.accept() for m in waiting)
        a.publish("v", "there is room again")
        assert bytes(sub.recv(5)) == b"there is room again"


def test_codec(pair: Pair) -> None:
    a, b = pair
    bad: list[bytes] = []
    sub = b.topic("j", karakp2p.JSON).subscribe(on_invalid=lambda m, e: bad.append(bytes(m)))
    wait_until(lambda: knows(a, b.peer_id, "j"))
    typed = a.topic("j", karakp2p.JSON)
    typed.publish({"text": "ü", "list": [1, None, 2.5]}, confirm=True)
    a.publish("j", b"{no json", confirm=True)
    assert typed.try_publish("end")
    assert sub.recv(5).value == {"text": "ü", "list": [1, None, 2.5]}
    assert sub.recv(5).value == "end"
    assert bad == [b"{no json"] and sub.invalid == 1
    accepted = a.stats()["outbox_accepted"]
    with pytest.raises(TypeError):
        typed.publish(object())
    with pytest.raises(ValueError):
        typed.publish(float("nan"))
    assert a.stats()["outbox_accepted"] == accepted, "nothing was queued"


def test_codec_with_validation_rejects(pair: Pair) -> None:
    a, b = pair
    sub = b.subscribe("j", validate=True, codec=karakp2p.JSON)
    wait_until(lambda: knows(a, b.peer_id, "j"))
    a.publish("j", "{")
    a.publish("j", "1")
    m = sub.recv(5)
    assert m.value == 1 and m.accept() and sub.invalid == 1
    wait_until(lambda: b.stats()["rejected"] > 0 if "rejected" in b.stats() else True)


def test_listen_callback(pair: Pair) -> None:
    a, b = pair
    for i in range(5):
        a.publish("t", f"{i}")
    here = threading.get_ident()
    seen: list[bytes] = []

    def on_message(m: karakp2p.Message) -> object:
        assert threading.get_ident() == here
        seen.append(bytes(m))
        b.publish("t", b"re " + bytes(m))
        if len(seen) == 2:
            raise KeyError("mine")
        return "done" if len(seen) == 3 else None

    with pytest.raises(KeyError, match="mine"):
        b.listen(on_message)
    assert b.listen(on_message) == "done"
    assert seen == [b"0", b"1", b"2"]

    def close(_: karakp2p.Message) -> None:
        b.close()

    assert b.listen(close) is None  # what has arrived is still read
    with pytest.raises(karakp2p.Closed):
        b.recv()
    assert list(b) == []


def test_peers_and_requests(pair: Pair) -> None:
    a, b = pair
    assert 0 <= b.ping(a.peer_id, 5) < 5
    (peer,) = b.peers()
    assert peer["peer"] == a.peer_id and peer["direction"] == "out" and "t" in peer["topics"]
    assert a.addresses()[0].endswith("/p2p/" + a.peer_id)
    assert a.stats()["connections"] == 1
    assert b.connect(a.peer_id, 5) == a.peer_id
    stranger = karakp2p.Key.generate().peer_id
    with pytest.raises(LookupError):
        b.ping(stranger, 1)
    with pytest.raises(karakp2p.Invalid, match="nobody"):
        b.ping("nobody")
    with pytest.raises(karakp2p.Error):
        b.connect(f"/ip4/127.0.0.1/tcp/1/p2p/{stranger}", 2)
    b.disconnect(a.peer_id)
    wait_until(lambda: b.peers() == [])


def test_find_peer() -> None:
    with Node("t", listen=QUICK["listen"]) as a:
        b = Node("t", listen=QUICK["listen"], bootstrap=a.addresses()).start()
        with b, Node("t", listen=QUICK["listen"], bootstrap=a.addresses()) as c:
            wait_until(lambda: knows(a, c.peer_id, "t") and knows(a, b.peer_id, "t"))
            found: list[str] = []

            def find() -> bool:
                try:
                    found[:] = b.find_peer(c.peer_id, 2)
                except karakp2p.NotFound:
                    return False
                return True

            wait_until(find)
            port = c.addresses()[0].split("/")[4]
            assert any(port in addr for addr in found)


def test_direct_messages(pair: Pair) -> None:
    a, b = pair
    b.add_protocol("/mine/1")
    a.send(b.peer_id, "/mine/1", b"\0direct", 5)
    m = b.recv(5)
    assert (m.protocol, m.topic, m.source) == ("/mine/1", None, a.peer_id)
    assert bytes(m) == b"\0direct" and "/mine/1" in repr(m)
    with pytest.raises(karakp2p.Error):
        a.send(karakp2p.Key.generate().peer_id, "/mine/1", b"x", 5)


def test_sender_outlives_its_node(node: Node) -> None:
    sender = node.sender()
    other = sender.clone()
    other.publish("t", "x")
    assert sender.try_publish("t", "y") and sender.fileno() == other.fileno()
    node.close()
    with pytest.raises(karakp2p.Closed):
        sender.publish("t", "z")
    with pytest.raises(TypeError):
        pickle.dumps(sender)


def test_publish_batch(pair: Pair) -> None:
    a, b = pair
    sent = [b"%d" % i for i in range(3000)]
    assert a.publish_batch("t", iter(sent)) == 3000
    assert a.sender().publish_batch("t", ["text", bytearray(b"array"), b""], 5) == 3
    got: list[bytes] = []
    while len(got) < 3003:
        got += map(bytes, b.recv_batch(256, 10))
    assert got == [*sent, b"text", b"array", b""]
    assert a.publish_batch("t", []) == 0
    too_big = b"x" * 70000
    assert a.publish_batch("t", [b"first", too_big, b"last"]) == 1
    with pytest.raises(karakp2p.TooBig, match="max_message_size"):
        a.publish_batch("t", [too_big, b"last"])
    wrong: list[Any] = ["text", b"bytes", 5, None, [1], [None]]
    for messages in wrong:
        with pytest.raises(TypeError):
            a.publish_batch("t", messages)
    full = Node(outbox_max_messages=5, **QUICK)
    assert full.publish_batch("t", sent, 0) == 5
    assert full.publish_batch("t", sent, 0) == 0
    full.close()
    with pytest.raises(karakp2p.Closed):
        full.publish_batch("t", sent)


def test_mesh(pair: Pair) -> None:
    a, b = pair
    wait_until(lambda: a.mesh("t") == [b.peer_id])
    assert a.mesh("another") == []


def test_queue_full_and_timeout() -> None:
    n = Node(outbox_max_messages=2, **QUICK)
    n.publish("t", "1")
    n.publish("t", "2")
    assert not n.try_publish("t", "3")
    with pytest.raises(karakp2p.QueueFull) as e:
        n.publish("t", "3", timeout=0)
    assert "outbox" in str(e.value)
    n.close()


def test_readers_compete(pair: Pair) -> None:
    a, b = pair
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.extend(bytes(m) for m in b)) for _ in range(4)]
    for t in threads:
        t.start()
    want = [b"%d" % i for i in range(2000)]
    for w in want:
        a.publish("t", w)
    wait_until(lambda: len(got) + b.dropped >= len(want), 30)
    b.close()
    for t in threads:
        t.join(5)
    assert sorted(got) == sorted(want)


def test_waiting_readers_get_what_another_took(pair: Pair) -> None:
    """One reader takes a batch, of which it wants one message; the others sleep on a descriptor
    that says nothing any more."""
    a, b = pair
    for i in range(100):
        got: list[bytes] = []
        threads = [
            threading.Thread(target=lambda g=got: g.append(bytes(b.recv(10)))) for _ in range(3)
        ]
        for t in threads:
            t.start()
        for k in range(3):
            a.publish("t", f"{i} {k}")
        for t in threads:
            t.join(5)
            assert not t.is_alive()
        assert sorted(got) == [b"%d %d" % (i, k) for k in range(3)]


def test_twenty_publishers_are_served_in_order() -> None:
    """They wait for room in the library, which serves them first come, first served."""
    with Node(outbox_max_messages=1, **QUICK) as n, StoppedPeer(n) as peer:
        sub = n.subscribe("t", own_messages=True)
        accepted: list[int] = []

        def publish(i: int) -> None:
            n.publish("t", b"waiting %d" % i)
            accepted.append(i)

        peer.fill()
        threads = []
        for i in range(20):
            refused = n.stats()["outbox_refused"]
            threads.append(threading.Thread(target=publish, args=(i,)))
            threads[-1].start()
            wait_until(lambda r=refused, i=i: n.stats()["outbox_refused"] > r or i in accepted)  # type: ignore[misc]
            time.sleep(0.005)  # from the refusal to the wait
        peer.go_on()
        for t in threads:
            t.join(20)
        got: list[bytes] = []
        while len(got) < 20:
            got += [m for m in map(bytes, sub.recv_batch(256, 10)) if m.startswith(b"waiting")]
        assert got == [b"waiting %d" % i for i in range(20)]
        assert sorted(accepted) == list(range(20))


def test_timeout_while_the_queue_is_full() -> None:
    with Node(outbox_max_messages=1, **QUICK) as n, StoppedPeer(n) as peer:
        late: list[float] = []
        for _ in range(30):
            if late and min(late) < 0.02:
                break
            peer.fill()
            with pytest.raises(karakp2p.QueueFull):
                n.publish("t", os.urandom(9), timeout=0)
            start = time.monotonic()
            with contextlib.suppress(karakp2p.Timeout):
                n.publish("t", os.urandom(9), timeout=0.05)
                continue  # the peer was given up meanwhile
            late.append(time.monotonic() - start - 0.05)
        assert late and -0.001 < min(late) < 0.02, late


def test_signal_handler_may_wait_while_its_thread_waits() -> None:
    """The wait within takes the answer that the outer wait is for; that one must learn of it."""

    def handler(*_: object) -> None:
        with pytest.raises(karakp2p.Timeout):
            node.recv(0.5)
        handled.append(True)

    handled: list[bool] = []
    node = Node(publish_hold=0.3, **QUICK).start()
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        start = time.monotonic()
        with pytest.raises(karakp2p.Expired):
            node.publish("nobody", "held", timeout=5, confirm=True)
        assert handled and time.monotonic() - start < 3
    finally:
        signal.signal(signal.SIGUSR1, before)
        node.close()


def test_many_threads_call_and_read(pair: Pair) -> None:
    a, b = pair
    errors: list[BaseException] = []

    def work(i: int) -> None:
        try:
            for k in range(20):
                b.ping(a.peer_id, 5)
                a.publish("t", f"{i}.{k}", confirm=True)
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    got = {bytes(b.recv(10)) for _ in range(120)}
    for t in threads:
        t.join(10)
    assert not errors and len(got) == 120


def test_drops_are_counted() -> None:
    events: list[karakp2p.Event] = []
    with (
        Node("t", **QUICK) as a,
        Node("t", inbox_max_messages=10, on_event=events.append, **QUICK) as b,
    ):
        connect(a, b, "t")
        for i in range(100):
            a.publish("t", f"{i}")
        wait_until(lambda: b.stats()["inbox_dropped"] + b.stats()["inbox_messages"] >= 100)
        left = b.recv_batch(256, 1)
        assert len(left) + b.dropped == 100 and b.dropped >= 80
    assert sum(e.count for e in events if e.type == "dropped") == b.dropped


def test_events_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    events: list[karakp2p.Event] = []
    caplog.set_level(logging.DEBUG, "karakp2p")
    with Node("t", **QUICK) as a:
        with Node(
            "t", events=["peers", "log"], log_level="debug", on_event=events.append, **QUICK
        ) as b:
            b.connect(a.addresses()[0], 5)
            assert b.ping(a.peer_id, 5) >= 0
        kinds = {e.type for e in events}
        assert {"peer_up", "peer_down"} <= kinds and "log" not in kinds
        up = next(e for e in events if e.type == "peer_up")
        assert up.peer == a.peer_id and up.addr is not None and "peer_up" in repr(up)
    assert any(r.name == "karakp2p" for r in caplog.records)


def test_handler_that_raises_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    def bad(_: karakp2p.Event) -> None:
        raise RuntimeError("from the handler")

    with Node("t", on_event=bad, **QUICK) as n:
        with pytest.raises(karakp2p.Timeout):
            n.recv(0.05)
        assert n.stats()
    assert "from the handler" in caplog.text


def test_handler_may_call_the_node() -> None:
    answers: list[object] = []

    def ask(event: karakp2p.Event) -> None:
        if event.type == "peer_up" and event.peer is not None:
            answers.append(b.ping(event.peer, 5))

    with Node("t", **QUICK) as a, Node("t", events="peers", on_event=ask, **QUICK) as b:
        b.connect(a.addresses()[0], 5)
        b.ping(a.peer_id, 5)
        wait_until(lambda: answers or b.recv_batch(1, 0.01))
    assert answers


def test_fileno(pair: Pair) -> None:
    a, b = pair
    sub = b.subscribe("s")
    assert sub.fileno() != b.fileno() >= 0
    assert select.select([b.fileno()], [], [], 0)[0] == []
    a.publish("t", "x")
    assert select.select([b.fileno()], [], [], 5)[0] == [b.fileno()]
    assert bytes(b.recv(0)) == b"x"
    assert select.select([b.fileno()], [], [], 0)[0] == []


def test_selectors(pair: Pair) -> None:
    a, b = pair
    sub = b.subscribe("s")
    wait_until(lambda: knows(a, b.peer_id, "s"))
    got: dict[str, list[bytes]] = {"t": [], "s": []}
    with selectors.DefaultSelector() as selector:
        for reader, topic in ((b, "t"), (sub, "s")):
            selector.register(reader, selectors.EVENT_READ, (reader, topic))
        for i in range(600):
            a.publish("st"[i % 2], f"{i}")
        while len(got["t"]) + len(got["s"]) < 600:
            for key, _ in selector.select(5):
                reader, topic = key.data
                while batch := reader.recv_batch(256, 0):
                    got[topic] += map(bytes, batch)
    assert got["s"] == [b"%d" % i for i in range(0, 600, 2)]
    assert got["t"] == [b"%d" % i for i in range(1, 600, 2)]


def test_trio(pair: Pair) -> None:
    trio = pytest.importorskip("trio")
    a, b = pair
    got: list[bytes] = []

    async def main() -> None:
        with trio.fail_after(10):
            while len(got) < 300:
                await trio.lowlevel.wait_readable(b.fileno())
                while batch := b.recv_batch(256, 0):
                    got.extend(map(bytes, batch))

    for i in range(300):
        a.publish("t", f"{i}")
    trio.run(main)
    assert got == [b"%d" % i for i in range(300)]


def test_before_start() -> None:
    with Node("t", **QUICK) as a:
        b = Node(**QUICK)
        sub = b.subscribe("t")
        b.publish("t", "queued")
        b.add_protocol("/p/1")
        for call in (b.recv, lambda: b.ping(a.peer_id), lambda: b.publish("t", "x", confirm=True)):
            with pytest.raises(karakp2p.StateError, match="started"):
                call()
        assert b.recv_batch(1, 0) == []
        with b:
            connect(b, a, "t")
            assert bytes(a.recv(10)) == b"queued"
            a.publish("t", "re")
            assert bytes(sub.recv(5)) == b"re"


def test_key_and_identity(tmp_path: object) -> None:
    key = karakp2p.Key.generate()
    assert karakp2p.Key(str(key)) == key and key.peer_id in repr(key) and str(key) not in repr(key)
    assert len({key, karakp2p.Key(str(key))}) == 1
    with Node(identity=key, **QUICK) as n:
        assert n.peer_id == key.peer_id == karakp2p.peer_id(key.peer_id)
    file = f"{tmp_path}/key"
    made = karakp2p.Key.from_file(file)
    assert karakp2p.Key.from_file(file) == made
    assert os.stat(file).st_mode & 0o777 == 0o600 and os.listdir(str(tmp_path)) == ["key"]
    keys: list[karakp2p.Key] = []
    other = f"{tmp_path}/other"
    threads = [
        threading.Thread(target=lambda: keys.append(karakp2p.Key.from_file(other)))
        for _ in range(8)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join(5)
    assert len(keys) == 8 and len(set(keys)) == 1


def test_close_in_every_order() -> None:
    n = Node(**QUICK)
    n.close()
    n.close()
    with pytest.raises(karakp2p.Closed):
        n.start()
    with Node("t", **QUICK) as n:
        peer_id, sub = n.peer_id, n.subscribe("s")
        n.close()
        n.close(0)
        assert n.peer_id == peer_id and isinstance(n.stats(), dict) and "closed" in repr(n)
        assert list(n) == [] == list(sub)
        for call in (
            lambda: n.publish("t", "x"),
            lambda: n.ping(peer_id),
            lambda: n.subscribe("u"),
            n.recv,
            lambda: n.publish("t", "x", confirm=True),
        ):
            with pytest.raises(ConnectionError):
                call()


def test_close_wakes_everybody() -> None:
    n = Node("t", outbox_max_messages=1, publish_hold=60, **QUICK).start()
    n.subscribe("s")
    ends: list[object] = []

    def run(call: object) -> None:
        try:
            call()  # type: ignore[operator]
        except karakp2p.Closed:
            ends.append(time.monotonic())

    calls = [n.recv, n.recv, n.subscribe("s").recv, n.subscribe("s2").recv,
             lambda: n.publish("t", "held", confirm=True)]  # fmt: skip
    threads = [threading.Thread(target=run, args=(c,)) for c in calls]
    for t in threads:
        t.start()
    time.sleep(0.1)
    start = time.monotonic()
    n.close(0)
    for t in threads:
        t.join(5)
    assert len(ends) == len(calls)
    assert max(e for e in ends if isinstance(e, float)) - start < 0.5
