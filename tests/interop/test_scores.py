"""Peer scores against those of go and rust: the same misbehaviour counts the same, honest peers are never below 0, and
where the two differ, both ways are known here."""

import pytest

from conftest import chosen_kinds
from scores_kit import (Bad, TOPIC, forged, graft, ihave, judging, our_judge, our_scores, prune, stock_scores)

JUDGES = [k for k in chosen_kinds() if k.name in ("go", "rust056", "rust057")]


@pytest.fixture
def go():
    for kind in JUDGES:
        if kind.name == "go":
            return kind
    return pytest.skip("go is not among KP2P_INTEROP_PEERS")


@pytest.fixture(params=JUDGES, ids=lambda k: k.name)
def judge_kind(request):
    return request.param


def is_go(kind):
    return kind.name == "go"


def eventually(node, what, condition):
    node.wait_until(lambda n: condition(), what, timeout=20)


def scored(node, peer, scores, expected):
    """Until the node says that the peer is worth this."""
    seen = []

    def right():
        seen.append(scores(node).get(peer, {}).get("score"))
        return seen[-1] == pytest.approx(expected, abs=0.01)
    try:
        eventually(node, f"the score is {expected}", right)
    except AssertionError as e:
        raise AssertionError(f"{node.name}: it is {seen[-1]}, not {expected}") from e


def test_the_same_misbehaviour_has_the_same_score(network, go, judge_kind):
    theirs = network.stock(judging(judge_kind, "counts"), "their judge")
    ours = our_judge(network, "judge", "counts", promises=None if is_go(judge_kind) else "each")
    bad = Bad(network, go, [theirs, ours])

    def both(invalid, p7_counter):
        score = -0.5 * invalid ** 2 - 2 * max(p7_counter - 1, 0) ** 2
        scored(theirs, bad.peer, stock_scores, score)
        scored(ours, bad.peer, our_scores, score)
        if is_go(judge_kind):  # which tells the counters too
            said = stock_scores(theirs)[bad.peer]
            assert said["invalid"] == pytest.approx(invalid, abs=1e-3)
            assert said["p7_counter"] == pytest.approx(p7_counter, abs=1e-3)
        parts = our_scores(ours)[bad.peer]["score_parts"]
        assert parts["invalid_messages"] == invalid
        assert parts["misbehaviour"] == p7_counter
        assert parts["topics"] == pytest.approx(-0.5 * invalid ** 2, abs=0.01)

    bad.meshed()
    bad.say(prune())
    both(0, 0)
    for n in range(3):
        bad.say(forged(bad.peer, n))
    both(3, 0)
    bad.say(graft())
    both(3, 2)  # in backoff, and within ten seconds of the prune
    bad.say(graft())
    both(3, 4)
    bad.say(ihave(b"nobody has", b"any of", b"these"))
    both(3, 5 if is_go(judge_kind) else 7)  # go counts one promise of the batch, rust each


def test_a_mesh_peer_that_brings_nothing(network, go, judge_kind):
    theirs = network.stock(judging(judge_kind, "mesh"), "their judge")
    ours = our_judge(network, "judge", "mesh")
    bad = Bad(network, go, [theirs, ours])
    bad.meshed()
    # After two seconds P3 is four squared, too much for P1: it is pruned, and P3b takes down the same. With go P3 goes on
    # until the next graft; with rust and here it ends.
    scored(theirs, bad.peer, stock_scores, 0.5 * (-16 - 4) if is_go(judge_kind) else 0.5 * -4)
    scored(ours, bad.peer, our_scores, 0.5 * -4)
    (terms,) = our_scores(ours)[bad.peer]["score_parts"]["by_topic"]
    assert terms["p1"] == 0 and terms["p3"] == 0
    assert terms["p3b"] == pytest.approx(-4, abs=0.01)


def test_honest_peers_are_never_below_zero(network, judge_kind):
    theirs = network.stock(judging(judge_kind, "counts"), "theirs")
    ours = our_judge(network, "judge", "counts", bootstrap=[theirs.address])
    ours.wait_until(lambda n: theirs.peer in n.ask("/peers", "peers")["subscribers"],
                    "the stock peer subscribes to our topic")
    theirs.wait("subscribed", peer=ours.peer, topic=TOPIC)
    for n in range(30):
        ours.publish(f"ours {n}")
        theirs.publish(f"theirs {n}")
        ours.wait_message(f"theirs {n}")
        theirs.wait_message(f"ours {n}")
        judged = stock_scores(theirs).get(ours.peer)
        if judged is not None:
            assert judged["score"] >= 0
        assert our_scores(ours)[theirs.peer]["score"] >= 0
    # thirty first deliveries, and five seconds and more in the mesh
    scored(theirs, ours.peer, stock_scores, 0.5 * (30 + 5))
    scored(ours, theirs.peer, our_scores, 0.5 * (30 + 5))
    (terms,) = our_scores(ours)[theirs.peer]["score_parts"]["by_topic"]
    assert terms["p1"] == 5
    assert terms["p2"] == pytest.approx(30, abs=0.01)
