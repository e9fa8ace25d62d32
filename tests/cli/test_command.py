"""The karakp2p command as its users type it: what it prints, how it exits, what mistakes cost."""

import json
import os
import pathlib
import resource
import signal
import socket
import stat
import subprocess

import pytest

from conftest import CLI
from driver import Node

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OURS = [CLI, "node", "--json"]


def run(*arguments, **kwargs):
    return subprocess.run([CLI, *arguments], capture_output=True, text=True, timeout=60, **kwargs)


# --- help, versions, usage ---------------------------------------------------------------------------

@pytest.mark.parametrize("arguments", [["--help"], ["node", "--help"], ["key", "--help"],
                                       ["key", "new", "--help"], ["sim", "--help"]])
def test_help_on_every_level(arguments):
    done = run(*arguments)
    assert done.returncode == 0
    assert "karakp2p" in done.stdout and done.stderr == ""


def test_version_names_what_is_used():
    done = run("--version")
    assert done.returncode == 0
    for library in ("karakp2p", "libuv/", "openssl/", "cares/"):
        assert library in done.stdout.lower()


MISUSES = [
    # arguments, words that the message must contain
    ([], ["karakp2p node"]),
    (["nod"], ["nod", "node, key and sim"]),
    (["key"], ["new FILE"]),
    (["key", "make", "x"], ["make", "new FILE"]),
    (["key", "new"], ["FILE"]),
    (["node", "--lsten", "x"], ["--lsten"]),
    (["node", "--listen"], ["--listen", "needs a value"]),
    (["node", "--listen", "127.0.0.1:4001"], ["127.0.0.1:4001", "/"]),
    (["node", "--listen", "/ip4/127.0.0.1/udp/1"], ["/ip4/127.0.0.1/udp/1", "TCP"]),
    (["node", "--listen", "/ip4/300.0.0.1/tcp/1"], ["/ip4/300.0.0.1/tcp/1"]),
    (["node", "--bootstrap", "/ip4/127.0.0.1/tcp/4001"], ["/ip4/127.0.0.1/tcp/4001", "/p2p/"]),
    (["node", "--topic", ""], ["topic"]),
    (["node", "--idle-timeout", "soon"], ["idle_timeout", "soon"]),
    (["node", "--set", "gossipsub.d"], ["KEY=VALUE"]),
    (["node", "--set", "gosipsub.d=6"], ["gosipsub.d", "gossipsub.d"]),
    (["node", "--set", "gossipsub.d=many"], ["gossipsub.d", "many"]),
    (["node", "--set", "max_message_size=0"], ["max_message_size", "0"]),
    (["sim", "--faults", "fire"], ["fire"]),
    (["sim", "--nodes", "1"], ["nodes"]),
    (["sim", "--nodes", "few"], ["--nodes", "few"]),
    (["sim", "--scenario", "storm"], ["storm", "--list"]),
    (["sim", "--scenario"], ["--scenario", "needs a value"]),
    (["sim", "--fail-every", "0"], ["fail_every"]),
]


@pytest.mark.parametrize("arguments, words", MISUSES, ids=[" ".join(m[0]) or "nothing" for m in MISUSES])
def test_a_mistake_is_named_and_exits_2(arguments, words):
    done = run(*arguments, stdin=subprocess.DEVNULL)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


# --- keys --------------------------------------------------------------------------------------------

def test_key_files(tmp_path):
    path = tmp_path / "node.key"
    made = run("key", "new", str(path))
    assert made.returncode == 0
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert made.stdout.startswith("12D3KooW")
    assert run("key", "id", str(path)).stdout == made.stdout
    again = run("key", "new", str(path))
    assert again.returncode == 1 and str(path) in again.stderr and "exists" in again.stderr


def test_bad_key_files(tmp_path):
    missing = run("key", "id", str(tmp_path / "none"))
    assert missing.returncode == 1 and "none" in missing.stderr
    bad = tmp_path / "bad.key"
    bad.write_text("this is no key\n")
    bad.chmod(0o600)
    for arguments in (["key", "id", str(bad)], ["node", "--identity", str(bad)]):
        done = run(*arguments, stdin=subprocess.DEVNULL)
        assert done.returncode == 1 and "bad.key" in done.stderr


@pytest.fixture(params=["full", "nearly full", "read-only", "missing"])
def no_room(request, tmp_path):
    """Where no key can be written: a path, what the error says, and how the command is run."""
    path, limit = tmp_path / "disk" / "node.key", None
    if request.param != "missing":
        path.parent.mkdir()
    if request.param == "nearly full":  # ten bytes fit
        yield path, "too large", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        return
    if request.param == "missing":
        yield path, "No such file or directory", limit
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(path.parent)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no mounts here")
    try:
        (path.parent / "full").write_bytes(bytes(4096))
        if request.param == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", str(path.parent)], check=True)
        yield path, {"full": "No space left", "read-only": "Read-only"}[request.param], limit
    finally:
        subprocess.run(["umount", str(path.parent)], check=True)


def test_no_room_for_a_key(no_room):
    path, why, limit = no_room
    for arguments in (["key", "new", str(path)], ["node", "--identity", str(path)]):
        done = run(*arguments, stdin=subprocess.DEVNULL, preexec_fn=limit)
        assert done.returncode == 1
        assert str(path) in done.stderr and why in done.stderr, done.stderr
        assert not path.exists()


def test_no_room_for_what_is_printed(tmp_path):
    path = str(tmp_path / "node.key")
    assert run("key", "new", path).returncode == 0
    for arguments in (["key", "id", path], ["--version"], ["--help"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([CLI, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1 and "standard output" in done.stderr


def test_a_reader_that_has_left_is_no_failure():
    with subprocess.Popen([CLI, "node", "--json", "--topic", "t", "--listen", "/ip4/127.0.0.1/tcp/0"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as node:
        assert b"listening" in node.stdout.readline()
        node.stdout.close()
        node.stdin.write(b"/quit\n")
        node.stdin.close()
        assert node.wait(20) == 0 and node.stderr.read() == b""


def test_identity_is_kept(tmp_path):
    path = str(tmp_path / "made.key")
    first = Node("first", OURS, "--identity", path)
    assert first.quit() == 0
    second = Node("second", OURS, "--identity", path)
    assert second.quit() == 0
    assert second.peer == first.peer == run("key", "id", path).stdout.strip()


# --- nodes -------------------------------------------------------------------------------------------

@pytest.fixture
def pair():
    boot = Node("boot", OURS, topic="t")
    other = Node("other", OURS, topic="t", bootstrap=[boot.address])
    for a, b in ((boot, other), (other, boot)):
        a.wait_until(lambda n, b=b: b.peer in n.ask("/peers", "peers")["subscribers"], "subscribed")
    yield boot, other
    boot.kill()
    other.kill()


def test_messages_and_every_command(pair):
    boot, other = pair
    boot.publish("hello")
    got = other.wait_message("hello")
    assert got == {"event": "message", "topic": "t", "from": boot.peer, "via": boot.peer,
                   "id": "9754003402134539932", "seqno": got["seqno"], "size": 5,
                   "data": "aGVsbG8=", "text": "hello"}
    assert int(got["seqno"]) > 0
    assert boot.wait("published")["peers"] == 1
    other.publish("/not a command")
    assert boot.wait_message("/not a command")["text"] == "/not a command"
    assert boot.ask(f"/ping {other.peer}", "pong")["ms"] < 1000
    peers = boot.ask("/peers", "peers")
    assert peers["connected"] == [other.peer] and peers["mesh"] == [other.peer]
    assert boot.ask("/mesh", "mesh")["peers"] == [other.peer]
    stats = other.ask("/stats", "stats")
    assert stats["received"] >= 1 and stats["bytes_in"] > 0 and stats["bytes_out"] > 0
    assert stats["published"] >= 1 and stats["dropped"] == 0
    boot.wait_until(lambda n: other.peer in n.ask("/peers", "peers")["table"], "in the table")
    found = boot.ask(f"/find {other.peer}", "found")
    assert any("/tcp/" in a for a in found["addrs"])
    assert boot.ask("/sub second", "subscribed")["topic"] == "second"
    assert boot.ask("/unsub second", "unsubscribed")["topic"] == "second"
    assert "unknown command" in boot.ask("/nonsense", "error")["why"]
    assert boot.ask("/find nobody", "error")["what"]
    assert boot.quit() == 0 and other.quit() == 0
    assert boot.events[-2] == {"event": "closed"}


def test_unknown_peer_is_not_found(pair):
    boot, _ = pair
    nobody = "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms"
    assert boot.ask(f"/find {nobody}", "notfound", timeout=40)["peer"] == nobody


def test_a_duplicate_is_reported(pair):
    boot, _ = pair
    boot.publish("once")
    published = boot.wait("published")
    boot.publish("once")
    error = boot.wait("error")
    assert "duplicate" in error["why"]
    assert (error["id"], error["topic"]) == (published["id"], "t"), "which of the lines it was"


def test_signals_end_it_gracefully():
    for sig in (signal.SIGINT, signal.SIGTERM):
        node = Node("node", OURS)
        node._process.send_signal(sig)
        assert node._process.wait(10) == 0
        node.wait("closed")


def test_end_of_input_keeps_it_running(pair):
    boot, other = pair
    other._process.stdin.close()
    boot.publish("still there?")
    other.wait_message("still there?")
    assert other.terminate() == 0


def test_port_in_use_exits_1():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("node", "--listen", f"/ip4/127.0.0.1/tcp/{port}", stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert f"/tcp/{port}" in done.stderr and "in use" in done.stderr
    assert done.stdout == ""


def test_wrong_peer_id_at_an_address():
    boot = Node("boot", OURS)
    wrong = "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms"
    address = boot.address.split("/p2p/")[0] + "/p2p/" + wrong
    node = Node("node", OURS, bootstrap=[address])
    error = node.wait("error")
    assert error["what"] == "node" and "wrong peer id" in error["why"]
    assert address in error["why"] and f"expected {wrong}, found {boot.peer}" in error["why"]
    node.wait_until(lambda n: n.ask("/stats", "stats")["wrong_peer_id"] > 0, "counted")
    assert node.quit() == 0 and boot.quit() == 0


def test_message_too_large(pair):
    boot, other = pair
    boot.publish("x" * 70000)
    why = boot.wait("error")["why"]
    assert "65536" in why and "70000" in why
    boot.publish("small")
    other.wait_message("small")


def test_a_message_before_any_peer_is_held():
    first = Node("first", OURS)
    first.publish("early")
    second = Node("second", OURS, bootstrap=[first.address])
    second.wait_message("early")
    assert first.quit() == 0 and second.quit() == 0


def test_without_peers_a_held_message_expires():
    node = Node("node", OURS, "--set", "publish.hold=300ms")
    node.publish("nobody hears")
    assert "expired" in node.wait("error", what="publish")["why"]
    assert node.quit() == 0


def test_a_flood_through_a_pipe_loses_nothing(pair):
    boot, other = pair
    for i in range(20000):
        boot._process.stdin.write(b"line %d\n" % i)
    boot._process.stdin.flush()
    other.wait("message", count=20000, timeout=60)
    assert other.ask("/stats", "stats")["dropped"] == 0


def test_lines_for_people():
    node = subprocess.Popen([CLI, "node", "--topic", "t", "--listen", "/ip4/127.0.0.1/tcp/0"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert node.stdout.readline().startswith("peer id 12D3KooW")
    assert node.stdout.readline().startswith("listening on /ip4/127.0.0.1/tcp/")
    out, _ = node.communicate("/quit\n", timeout=20)
    assert out.endswith("closed\n") and "\033" not in out
    assert node.returncode == 0


def test_mistakes_in_lines_are_explained():
    node = Node("node", OURS)
    for line, words in [("/sub", ["topic"]), ("/ping", ["peer id"]), ("/find x", ['"x"', "peer id"]),
                        ("/peer", ["/peer", "/peers"]), ("/unsub never", ["never", "not subscribed"])]:
        error = node.ask(line, "error")
        for word in words:
            assert word in error["what"] + " " + error["why"], (line, error)
    assert node.quit() == 0


def test_a_refused_peer_cannot_join():
    first = Node("first", OURS)
    second = Node("second", OURS, "--set", "deny=127.0.0.0/8")
    third = Node("third", OURS, "--set", f"deny={first.peer}", bootstrap=[second.address])
    done = run("node", "--bootstrap", first.address, "--set", f"deny={first.peer}",
               stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and first.address in done.stderr and "deny" in done.stderr
    second.wait_until(lambda n: n.ask("/stats", "stats")["conns_denied"] > 0, "refused")
    assert not second.ask("/peers", "peers")["connected"]
    assert [n.quit() for n in (first, second, third)] == [0, 0, 0]


# --- the simulator -----------------------------------------------------------------------------------

def test_the_simulator_repeats_itself():
    arguments = ["sim", "--nodes", "8", "--seconds", "30", "--faults", "split,reset", "--json"]
    one, two = (json.loads(run(*arguments, "--seed", "5").stdout) for _ in range(2))
    assert one == two and one["violation"] == ""
    assert json.loads(run(*arguments, "--seed", "6").stdout)["trace_hash"] != one["trace_hash"]


def test_scenarios_are_listed_run_and_judged():
    names = [line.split()[0] for line in run("sim", "--list").stdout.splitlines()]
    assert {"join20", "partition", "nomem", "churn", "poison", "mix"} <= set(names)
    done = run("sim", "--seed", "4", "--scenario", "join2", "--json")
    assert done.returncode == 0 and done.stderr == ""
    report = json.loads(done.stdout)
    assert report["delivered"] == report["expected"] > 0
    assert json.loads(run("sim", "--scenario", "join2", "--rate", "1", "--json").stdout)["expected"] < \
        report["expected"]


def test_an_attack_is_run_with_and_without_scoring():
    arguments = ["sim", "--scenario", "graftflood", "--seed", "3"]
    shown = run(*arguments)
    assert shown.returncode == 0 and shown.stderr == ""
    table = dict((line[:19].strip(), line[19:].split()) for line in shown.stdout.splitlines())
    assert table["scoring"] == ["off", "abuse", "full"]
    told = [json.loads(line) for line in run(*arguments, "--json").stdout.splitlines()]
    assert [way["scoring"] for way in told] == table["scoring"]
    assert [float(served) for served in table["attackers served"]] == [way["served"] for way in told]
    assert told[0]["served"] > 10 * told[1]["served"] and len({way["trace_hash"] for way in told}) == 3
    assert set(told[0]) > {"delivery_ratio", "latency_ms_p99", "late_delivery_ratio", "late_latency_ms_p50"}
    short = run("sim", "--scenario", "eclipse", "--seconds", "10")  # over before anything can be judged
    assert short.returncode == 1
    assert short.stderr.splitlines() == ["karakp2p sim: scoring full: no delivery counts, so nothing was proved",
                                         "replay: karakp2p sim --scenario eclipse --seconds 10"]
    few = run("sim", "--scenario", "eclipse", "--nodes", "44")
    assert few.returncode == 2 and "five honest nodes" in few.stderr


def test_a_failing_run_says_how_to_replay_it():
    arguments = ["sim", "--scenario", "join2", "--seconds", "12"]  # over before anything can be judged
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["karakp2p sim: no delivery counts, so nothing was proved",
                                        "replay: karakp2p " + " ".join(arguments)]


def test_the_soak_script_keeps_what_fails(tmp_path):
    kept = tmp_path / "failures.txt"
    soak = [str(ROOT / "scripts" / "soak"), "--scenario", "join2", "--runs", "2", "--failures", str(kept)]
    environment = dict(os.environ, KARAKP2P_BUILD=str(pathlib.Path(CLI).parent))
    done = subprocess.run(soak, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, kept.exists()) == (0, "2 runs, 0 failed\n", False)
    fake = tmp_path / "karakp2p"  # fails every seed
    fake.write_text("#!/bin/sh\n[ $2 = --list ] && echo 'join2 two' && exit\n"
                    "echo 'karakp2p sim: lost' >&2\necho replay: it >&2\nexit 1\n")
    fake.chmod(0o755)
    environment["KARAKP2P_BUILD"] = str(tmp_path)
    done = subprocess.run(soak, capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "2 runs, 2 failed" in done.stdout
    lines = kept.read_text().splitlines()
    assert len(lines) == 2 and lines[0].startswith("karakp2p sim --scenario join2 --seed ")
    assert "lost (status 1)" in lines[0]
