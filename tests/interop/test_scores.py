"""Peer scores against go's: the same misbehaviour counts the same, and honest peers are never below 0."""

import pytest

from conftest import chosen_kinds

TOPIC = "interop"
SLOW = "0.999999"
# scoreParams of peers/go/main.go
SAME = {
    "score": "full",
    "score.gossip_threshold": "-10000", "score.publish_threshold": "-10000",
    "score.graylist_threshold": "-10000", "score.accept_px_threshold": "10000",
    "score.opportunistic_graft_threshold": "0", "score.topic_score_cap": "0",
    "score.behaviour_weight": "-2", "score.behaviour_threshold": "1",
    "score.behaviour_decay": SLOW,
    "score.topic.topic_weight": "0.5", "score.topic.time_in_mesh_weight": "0",
    "score.topic.first_message_deliveries_weight": "1",
    "score.topic.first_message_deliveries_decay": SLOW,
    "score.topic.first_message_deliveries_cap": "1000",
    "score.topic.invalid_message_deliveries_weight": "-1",
    "score.topic.invalid_message_deliveries_decay": SLOW,
}


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def framed(body):
    return varint(len(body)) + body


def base58(text):
    digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    n = 0
    for c in text:
        n = n * 58 + digits.index(c)
    return n.to_bytes((n.bit_length() + 7) // 8, "big")


def control(data):
    return framed(field(3, data))


def subscribe():
    return framed(field(1, b"\x08\x01" + field(2, TOPIC.encode())))


def graft():
    return control(field(3, field(1, TOPIC.encode())))


def prune():
    return control(field(4, field(1, TOPIC.encode())))


def ihave(*ids):
    return control(field(1, field(1, TOPIC.encode()) + b"".join(field(2, i) for i in ids)))


def forged(author, n):
    """A message whose signature is no signature."""
    peer = base58(author)
    peer = peer if peer[0] == 0 else b"\x00" + peer  # the leading zero of the identity hash
    return framed(field(2, field(1, peer) + field(2, b"forged %d" % n) + field(3, n.to_bytes(8, "big"))
                        + field(4, TOPIC.encode()) + field(5, bytes(64))))


@pytest.fixture
def go():
    for kind in chosen_kinds():
        if kind.name == "go":
            return kind
    return pytest.skip("go is not among KP2P_INTEROP_PEERS")


def with_options(kind, *options):
    copy = type(kind)(kind.name, kind.program, [*kind.options, *options])
    copy._command = kind.command()
    return copy


def our_judge(network, **kwargs):
    options = [x for key, value in SAME.items() for x in ("--set", f"{key}={value}")]
    return network.ours("judge", *options, **kwargs)


def our_scores(node):
    return {p["peer"]: p for p in node.ask("/scores", "scores")["peers"]}


def go_scores(node):
    return node.ask("/scores", "scores")["peers"]


def eventually(node, what, condition):
    node.wait_until(lambda n: condition(), what, timeout=20)


def test_the_same_misbehaviour_has_the_same_score(network, go):
    theirs = network.stock(with_options(go, "--score"), "go judge")
    ours = our_judge(network)
    bad = network.stock(with_options(go, "--raw"), "bad", bootstrap=[theirs.address, ours.address])
    for judge in (theirs, ours):
        bad.wait("connected", peer=judge.peer)

    def say(rpc):
        for judge in (theirs, ours):
            bad.ask(f"/raw {judge.peer} {rpc.hex()}", "said", peer=judge.peer)

    def both(invalid, p7_counter):
        score = -0.5 * invalid ** 2 - 2 * max(p7_counter - 1, 0) ** 2
        eventually(theirs, f"go counts {invalid} and {p7_counter}", lambda: (
            go_scores(theirs).get(bad.peer, {}).get("invalid", 0) == pytest.approx(invalid, abs=1e-3)
            and go_scores(theirs)[bad.peer]["p7_counter"] == pytest.approx(p7_counter, abs=1e-3)))
        assert go_scores(theirs)[bad.peer]["score"] == pytest.approx(score, abs=0.01)
        eventually(ours, f"our score is {score}", lambda: (
            our_scores(ours)[bad.peer]["score"] == pytest.approx(score, abs=0.01)))
        parts = our_scores(ours)[bad.peer]["score_parts"]
        assert parts["invalid_messages"] == invalid
        assert parts["misbehaviour"] == p7_counter
        assert parts["topics"] == pytest.approx(-0.5 * invalid ** 2, abs=0.01)

    say(subscribe())
    for judge in (theirs, ours):
        judge.wait_until(lambda n: bad.peer in n.ask("/peers", "peers")["mesh"], "the bad peer is in the mesh")
    both(0, 0)
    for n in range(3):
        say(forged(bad.peer, n))
    both(3, 0)
    say(prune())
    say(graft())
    both(3, 2)  # in backoff, and within ten seconds of the prune
    say(graft())
    both(3, 4)
    say(ihave(b"nobody has", b"any of", b"these"))
    both(3, 5)  # one promise of the batch


def test_honest_peers_are_never_below_zero(network, go):
    theirs = network.stock(with_options(go, "--score"), "go")
    ours = our_judge(network, bootstrap=[theirs.address])
    ours.wait_until(lambda n: theirs.peer in n.ask("/peers", "peers")["subscribers"],
                    "the stock peer subscribes to our topic")
    theirs.wait("subscribed", peer=ours.peer, topic=TOPIC)
    for n in range(30):
        ours.publish(f"ours {n}")
        theirs.publish(f"theirs {n}")
        ours.wait_message(f"theirs {n}")
        theirs.wait_message(f"ours {n}")
        judged = go_scores(theirs).get(ours.peer)
        if judged is not None:
            assert judged["score"] >= 0 and judged["p7_counter"] == 0 and judged["invalid"] == 0
        assert our_scores(ours)[theirs.peer]["score"] >= 0
    eventually(theirs, "go has counted all first deliveries", lambda: (
        go_scores(theirs)[ours.peer]["first"] == pytest.approx(30, abs=0.01)))
    assert go_scores(theirs)[ours.peer]["score"] == pytest.approx(15, abs=0.01)
    assert our_scores(ours)[theirs.peer]["score"] == pytest.approx(15, abs=0.01)
