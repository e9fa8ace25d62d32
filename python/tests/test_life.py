"""Start and end: exit, signals, fork, collection, leaks."""

from __future__ import annotations

import gc
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import QUICK, connect, run_script, wait_until

import karakp2p
from karakp2p import Node

NODE = 'karakp2p.Node("t", listen="/ip4/127.0.0.1/tcp/0", kad_mode="off", workers=1'

# CPython 3.12 and newer warn of every fork with threads
FORK = ("-X", "dev", "-W", "ignore::DeprecationWarning")


def expect_clean(
    code: str, returncode: int = 0, stderr: str = "", flags: tuple[str, ...] = ("-X", "dev")
) -> str:
    start = time.monotonic()
    r = run_script(code, flags=flags)
    assert r.returncode == returncode, r.stderr
    assert stderr in r.stderr and (stderr or not r.stderr), r.stderr
    assert time.monotonic() - start < 4
    return r.stdout


def test_exit_with_a_running_node() -> None:
    expect_clean(f"import karakp2p\nn = {NODE}).start()")
    expect_clean(f"import karakp2p\nn = {NODE}).start()\nraise SystemExit(0)")
    expect_clean(f"import karakp2p\nn = {NODE}).start()\nraise KeyError('x')", 1, "KeyError")
    expect_clean(
        f"""
        import karakp2p, asyncio, karakp2p.aio
        async def main():
            global n
            n = await {NODE.replace("karakp2p.", "karakp2p.aio.")}).start()
        asyncio.run(main())
        """
    )


def test_exit_with_threads_that_wait() -> None:
    expect_clean(
        f"""
        import karakp2p, sys, threading
        n = {NODE}).start()
        for _ in range(3):
            threading.Thread(target=list, args=(n,), daemon=True).start()
        threading.Thread(target=sys.exit).start()
        """
    )


INTERRUPT = """
import karakp2p, os, signal, subprocess, sys, threading, time
sent = []
def interrupt():
    time.sleep(0.3)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
def run(call):
    threading.Thread(target=interrupt).start()
    try:
        while True:
            call()
    except KeyboardInterrupt:
        print(time.monotonic() - sent[0])
"""


@pytest.mark.parametrize(
    "call",
    ["n.recv", "lambda: next(n)", "lambda: n.publish('t', 'held', confirm=True)", "s.recv",
     "lambda: n.recv_batch(5, 100)", "lambda: n.listen(print)"],
)  # fmt: skip
def test_ctrl_c(call: str) -> None:
    code = f"with {NODE}, publish_hold=3600) as n:\n    s = n.subscribe('s')\n    run({call})"
    assert float(expect_clean(INTERRUPT + code)) < 0.1


@pytest.mark.parametrize("call", ["n.publish('t', os.urandom(50000))", "n.close(9)"])
def test_ctrl_c_while_a_peer_does_not_read(call: str) -> None:
    peer = f"import karakp2p\nn = {NODE}).start()\nprint(n.addresses()[0], flush=True)\nn.recv()"
    code = f"""
peer = subprocess.Popen([sys.executable, "-c", {peer!r}], stdout=subprocess.PIPE, text=True)
n = {NODE}, outbox_max_messages=1).start()
n.connect(peer.stdout.readline().strip(), 5)
while not any(p["topics"] for p in n.peers()):
    time.sleep(0.01)
peer.send_signal(signal.SIGSTOP)
run(lambda: {call})
peer.kill()
peer.communicate()
n.close(0)
"""
    assert float(expect_clean(INTERRUPT + code)) < 0.1


def test_signal_handler_may_close() -> None:
    expect_clean(
        f"""
        import karakp2p, os, signal, threading, time
        with {NODE}) as n:
            signal.signal(signal.SIGTERM, lambda *_: n.close())
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
            assert list(n) == []
        """
    )


def switches(thread: int) -> int:
    """How often the thread has gone to sleep by itself."""
    status = Path(f"/proc/self/task/{thread}/status").read_text(encoding="ascii")
    return int(status.split("nonvoluntary")[0].split("voluntary_ctxt_switches:")[1].split()[0])


def test_no_wakeups_while_waiting(node: Node) -> None:
    """A thread that waits sleeps until there is something: nothing wakes it from time to time."""
    readers: list[int] = []

    def read(call: object) -> None:
        readers.append(threading.get_native_id())
        with pytest.raises(karakp2p.Closed):
            call()  # type: ignore[operator]

    calls = [node.recv, node.subscribe("s").recv, lambda: node.recv_batch(10)]
    threads = [threading.Thread(target=read, args=(call,)) for call in calls]
    for t in threads:
        t.start()
    time.sleep(0.2)
    before = [switches(t) for t in readers]
    time.sleep(1)
    assert [switches(t) for t in readers] == before
    node.close()
    for t in threads:
        t.join(5)


def test_giving_up_a_node_does_not_wait() -> None:
    """A collector must not be held up by a goodbye."""
    took = []
    with Node("t", **QUICK) as peer:
        for _ in range(10):
            n = Node("t", **QUICK).start()
            n.connect(peer.addresses()[0], 5)
            start = time.monotonic()
            with pytest.warns(ResourceWarning):
                del n
            took.append(time.monotonic() - start)
    assert sorted(took)[len(took) // 2] < 0.01, took


def test_collected_open_warns_and_closes() -> None:
    node = Node("t", **QUICK).start()
    address = node.addresses()[0]
    sub = node.subscribe("s")
    with pytest.warns(ResourceWarning, match="unclosed"):
        del node, sub
        gc.collect()
    with Node(**QUICK) as other, pytest.raises(karakp2p.Error):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            other.connect(address, 1)
            other.disconnect(address.split("/")[-1])
            time.sleep(0.02)


def test_fork() -> None:
    out = expect_clean(
        f"""
        import karakp2p, os, sys, threading
        a = {NODE}).start()
        b = {NODE}).start()
        b.connect(a.addresses()[0], 5)
        s = b.subscribe("s")
        sender = b.sender()
        threading.Thread(target=list, args=(a,), daemon=True).start()
        pid = os.fork()
        if pid == 0:
            calls = [b.recv, s.recv, lambda: b.publish("t", "x"), lambda: b.ping(a.peer_id),
                     b.stats, lambda: next(iter(b)), b.close, lambda: sender.publish("t", "x"),
                     lambda: b.subscribe("u"), b.fileno, lambda: b.recv(0.01)]
            for call in calls:
                try:
                    call()
                    os._exit(1)
                except karakp2p.ForkedError:
                    pass
            with {NODE}) as own:
                assert own.stats() and own.recv_batch(1, 0.01) == []
            del a, b, s
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert b.ping(a.peer_id, 5) >= 0
        b.close(); a.close()
        print("parent works")
        """,
        flags=FORK,
    )
    assert out == "parent works\n"


def test_multiprocessing_fork() -> None:
    expect_clean(
        f"""
        import karakp2p, multiprocessing
        n = {NODE}).start()
        def child():
            try:
                n.publish("t", "x")
            except karakp2p.ForkedError:
                return
            raise SystemExit(3)
        context = multiprocessing.get_context("fork")
        p = context.Process(target=child)
        p.start()
        p.join()
        assert p.exitcode == 0
        n.close()
        """,
        flags=FORK,
    )


def count(kind: str) -> int:
    return len(os.listdir(f"/proc/self/{kind}"))


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_nothing_is_left_of_closed_nodes() -> None:
    def cycle() -> None:
        with Node("t", **QUICK) as n:
            n.subscribe("s").unsubscribe()
            n.recv_batch(1, 0)

    for _ in range(20):
        cycle()
    gc.collect()
    before = count("task"), count("fd"), resident()
    for _ in range(1000):
        cycle()
    gc.collect()
    assert (count("task"), count("fd")) == before[:2]
    assert resident() - before[2] < max(0.02 * before[2], 4 << 20)


def test_data_outlive_everything() -> None:
    rng = random.Random(1)
    for _ in range(5):
        a, b = Node("t", **QUICK).start(), Node("t", **QUICK).start()
        connect(a, b, "t")
        for i in range(50):
            a.publish("t", b"%d" % i)
        messages = [b.recv(5) for _ in range(50)]
        views = [m.data for m in messages[::2]]
        slices = [v[0:] for v in views]
        sender = a.sender()
        a.close()
        b.close()
        keep: list[object] = [a, b, iter(b), messages, views, sender]
        del a, b, messages, views
        while keep:
            keep.pop(rng.randrange(len(keep)))
            gc.collect()
            assert [bytes(s) for s in slices] == [b"%d" % i for i in range(0, 50, 2)]
        with pytest.raises(karakp2p.Closed):
            sender.publish("t", "x")
        del sender, slices


def test_slow_consumer_has_a_bound() -> None:
    """What nobody reads is dropped and counted, and takes no more memory than it may."""
    config = {**QUICK, "inbox_max_bytes": "2MiB", "message_id": "source_seqno"}
    with Node("t", **config) as a, Node("t", **config) as b:
        connect(a, b, "t")
        payload = os.urandom(32768)
        offered = delivered = 0

        def offer(n: int) -> None:
            nonlocal offered
            for _ in range(n):
                a.publish("t", payload)
            offered += n
            # a busy machine makes the library give up a peer that takes nothing for a second
            wait_until(
                lambda: (
                    b.stats()["inbox_dropped"] + b.stats()["inbox_messages"]
                    >= offered - a.stats()["slow_peer"]
                ),
                60,
            )

        offer(3000)  # the history of both nodes is full now, too
        before = resident()
        offer(3000)
        assert b.stats()["inbox_bytes"] <= 2 << 20
        assert resident() - before < 24 << 20, "of 98 MB more"
        while batch := b.recv_batch(256, 0.2):
            delivered += len(batch)
        arrived = offered - a.stats()["slow_peer"]
        assert b.dropped + delivered == arrived and b.dropped > offered / 2


def test_close_races() -> None:
    """KP2P_ROUNDS=10000 for the long run."""
    wanted = int(os.environ.get("KP2P_ROUNDS", "0"))
    end = time.monotonic() + (4 if not wanted else 3600)
    rounds = 0
    while time.monotonic() < end and rounds < (wanted or 150):
        rounds += 1
        n = Node("t", outbox_max_messages=4, **QUICK).start()
        sub = n.subscribe("s")
        late: list[BaseException] = []

        def until_closed(call: object, late: list[BaseException] = late) -> None:
            try:
                while True:
                    call()  # type: ignore[operator]
            except karakp2p.Closed:
                pass
            except BaseException as e:
                late.append(e)

        calls = [n.recv, sub.recv, lambda n=n: n.publish("t", os.urandom(8)), n.recv]
        threads = [threading.Thread(target=until_closed, args=(c,)) for c in calls]
        for t in threads:
            t.start()
        n.stats()
        n.close(0)
        for t in threads:
            t.join(5)
            assert not t.is_alive()
        assert not late, late
    assert rounds > 10


def test_import_order_changes_nothing() -> None:
    expect_clean(
        f"""
        import ssl, hashlib
        ssl.create_default_context()
        try:
            import uvloop
        except ImportError:
            pass
        import karakp2p
        assert "libuv/1." in karakp2p.version() and "openssl/3." in karakp2p.version()
        with {NODE}) as a, {NODE}) as b:
            b.connect(a.addresses()[0], 5)
            assert hashlib.sha256(b"x").hexdigest() and ssl.RAND_bytes(8)
        """
    )


def test_module_command() -> None:
    command = Path(sys.executable).parent / "karakp2p"
    if not command.exists():
        pytest.skip("installed without the command")
    direct = subprocess.run([command, "node", "--help"], capture_output=True, check=False)
    module = subprocess.run(
        [sys.executable, "-m", "karakp2p", "--help"], capture_output=True, check=False
    )
    assert module.stdout == direct.stdout and module.returncode == direct.returncode == 0
