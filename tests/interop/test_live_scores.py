"""Stock peers with their parameters judge ours, while some of ours publish, leave, crash and come back: none of ours is ever
below 0. A bad peer shows that the judges can condemn, and that our scorer agrees with theirs term by term.

KP2P_LIVE_MINUTES=10 makes it a long run; then `pytest -s` shows what it found.
"""

import os
import random
import threading
import time

import pytest

from conftest import chosen_kinds
from scores_kit import (Bad, HOUR, SETS, TOPIC, forged, graft, judging, our_judge, our_scores, prune, stock_scores)

SECONDS = 60 * float(os.environ.get("KP2P_LIVE_MINUTES", "0.4"))
PUBLISH_EVERY = max(0.5, SECONDS / 100)
BAD_EVERY = max(4.0, SECONDS / 8)
LOOK_EVERY = 0.25
CHURNING = 3
FILECOIN = SETS["filecoin"]
NO_TERMS = dict.fromkeys(("p2", "p3", "p3b", "p4"), 0)  # of one who has done nothing yet
# At -10 for the square of two early grafts, and what decay leaves of it: rust's counters go by a fifth a second.
RUST_PENALTIES = (0.0, -40.0, -1.6)


class Member:
    """A node of ours that comes and goes, always the same peer."""

    def __init__(self, network, name, key, steady):
        self.network, self.name, self.steady = network, name, steady
        self.options = ("--identity", str(key))
        self.said, self.starts, self.left_at = 0, 0, 0
        self.start()

    def start(self):
        self.node = self.network.ours(self.name, *self.options, bootstrap=[n.address for n in self.steady])
        self.starts += 1
        self.back_at = None  # when it subscribes again

    def publish(self):
        self.said += 1
        self.node.publish(f"{self.name} {self.said}")

    def act(self, rng):
        # Who leaves a topic asks all for ten seconds without it, and a new process does not know what the one before it
        # has asked for.
        what = rng.choice(["leave", "crash", "topic"]) if time.monotonic() > self.left_at + 12 else "topic"
        if what == "topic":
            self.node.line(f"/unsub {TOPIC}")
            self.left_at = time.monotonic()
            self.back_at = self.left_at + rng.choice([0, 1, 3])
        elif what == "leave":
            assert self.node.quit() == 0
            time.sleep(rng.choice([1.2, 2]))  # a goodbye asks for one second without it
            self.start()
        else:
            self.node.kill()
            time.sleep(rng.choice([0, 0.5]))
            self.start()

    def come_back(self, now):
        if self.back_at is not None and now >= self.back_at:
            self.node.line(f"/sub {TOPIC}")
            self.back_at = None


class Bench:
    """The judges, and what they ever said."""

    def __init__(self, network, kinds, key_dir):
        self.steady = []
        self.stock, self.ours = {}, {}
        for name in [n for n in ("go", "rust056", "rust057") if n in kinds]:
            self.stock[name] = self.add(network.stock, judging(kinds[name], "filecoin" if name == "go" else "default"))
        self.member = self.add(network.stock, kinds["go"], "go member")
        for judge_of in ("filecoin", "default"):
            self.ours[judge_of] = self.add(our_judge, network, f"our {judge_of}", judge_of)
        self.members = [Member(network, f"member {n}", key_dir / f"key{n}", self.steady) for n in range(CHURNING)]
        self.bad = Bad(network, kinds["go"], [*self.stock.values(), *self.ours.values()])
        self.polls = self.bad_acts = self.last_bad = 0
        self.lowest = {}  # judge, judged
        self.below = []
        self.done = threading.Event()
        self.bad_seen = {name: set() for name in (*self.stock, *self.ours)}

    def add(self, start, *args):
        node = start(*args, bootstrap=[n.address for n in self.steady])
        self.steady.append(node)
        return node

    def names(self):
        return {n.peer: n.name for n in [*self.steady, *(m.node for m in self.members)]}

    def poll(self):
        """One look at all scores: who is below 0, but for the bad peer?"""
        names = self.names()
        judged = {n: {p: s["score"] for p, s in stock_scores(j).items()} for n, j in self.stock.items()}
        judged |= {n: {p: s["score"] for p, s in our_scores(j).items()} for n, j in self.ours.items()}
        for judge, scores in judged.items():
            for peer, score in scores.items():
                if peer == self.bad.peer:
                    self.bad_seen[judge].add(round(score, 1))
                    continue
                pair = judge, names.get(peer, peer)
                self.lowest[pair] = min(score, self.lowest.get(pair, score))
                if score < 0:
                    self.below.append(f"{pair[0]} says {score} of {pair[1]}")
        self.polls += 1

    def watch(self):
        """Looks on, beside what happens: rust forgets within a second or two."""
        try:
            while not self.done.wait(LOOK_EVERY):
                self.poll()
        except Exception as e:
            self.below.append(f"the look-out: {e}")

    def misbehave(self):
        """An early graft to all; up to four forged messages, where they are counted."""
        self.bad.say(prune(), graft())
        if self.bad_acts < 4:
            self.bad.say(forged(self.bad.peer, self.bad_acts))
        self.bad_acts += 1
        self.last_bad = time.monotonic()

    def agree(self):
        """Go's terms and those of our scorer with the same parameters, for everyone that both know and who stays."""
        go, ours = self.stock["go"], self.ours["filecoin"]
        theirs, mine = stock_scores(go), our_scores(ours)
        compared = []
        for node in [*self.steady, self.bad.node]:
            if node in (go, ours):
                continue
            name, their, my = node.name, theirs[node.peer], mine[node.peer]
            parts = my["score_parts"]
            terms = (parts["by_topic"] or [NO_TERMS])[0]
            # From whom a message comes first is chance; that it then counts once, and decays, is not.
            my_first = terms["p2"] / FILECOIN["score.topic.first_message_deliveries_weight"]
            for judge, first in ((go, their["first"]), (ours, my_first)):
                least, most = first_deliveries(judge, node)
                assert least <= first <= most, f"{judge.name} of {name}"
            # A decay more or less is 0.13 percent, and whose loop was held up for a second leaves one out.
            p4 = -1000 * their["invalid"] ** 2
            p7 = [-10 * max(their["p7_counter"] * f - 6, 0) ** 2 for f in (HOUR ** 4, HOUR ** -4)]
            assert terms["p4"] == pytest.approx(p4, rel=0.011), name
            assert p7[1] - 0.01 <= parts["p7"] <= p7[0] + 0.01, name
            assert (their["app"], their["ip"], parts["p5"], parts["p6"]) == (0, 0, 0, 0), name
            assert terms["p3"] == 0 and terms["p3b"] == 0, name
            assert my["score"] - their["score"] == pytest.approx(
                0.5 * (my_first - their["first"]), abs=0.01 + 0.011 * abs(p4 * 0.1) + p7[0] - p7[1]), name
            compared.append((name, their["first"], my_first, their["score"], my["score"]))
        return compared


def first_deliveries(judge, node):
    """What the judge must have counted, least and most: /scores may be half a second older than the last messages."""
    now = time.monotonic()
    came = [e.at for e in judge.find("message", via=node.peer)]
    return (0.99 * counted([at for at in came if at < now - 0.5], now) - 0.01, 1.01 * counted(came, now) + 0.01)


def counted(came, now):
    value, last = 0, 0
    for at in came:
        value = min(value * HOUR ** (at - last) + 1, FILECOIN["score.topic.first_message_deliveries_cap"])
        last = at
    return value * HOUR ** (now - last)


@pytest.fixture
def bench(network, tmp_path):
    kinds = {k.name: k for k in chosen_kinds()}
    if "go" not in kinds:
        pytest.skip("go is not among KP2P_INTEROP_PEERS")
    return Bench(network, kinds, tmp_path)


def everyone_knows_all(bench):
    everyone = {n.peer for n in bench.steady} | {m.node.peer for m in bench.members}
    for node in bench.steady:
        node.wait_until(lambda n: everyone - {n.peer} <= set(n.ask("/peers", "peers")["connected"]),
                        "it is connected to all", timeout=30)


def live(bench, rng):
    """Everybody publishes, and one after the other of ours leaves, crashes, or comes back; returns the rounds published."""
    published = 0
    begin = now = time.monotonic()
    next_publish = next_bad = now
    next_act = next_agree = now + 2
    while now < begin + SECONDS and not bench.below:
        if now >= next_publish:
            published += 1
            for node in bench.steady:
                node.publish(f"{node.name} {published}")
            for member in bench.members:
                member.publish()
            next_publish += PUBLISH_EVERY
        for member in bench.members:
            member.come_back(now)
        if now >= next_act:
            rng.choice(bench.members).act(rng)
            next_act = time.monotonic() + rng.choice([0.5, 1, 2, 5])
        if now >= next_bad and bench.bad_acts < 5:
            bench.misbehave()
            next_bad += BAD_EVERY
        if now >= next_agree and now > bench.last_bad + 2:
            bench.agree()
            next_agree = now + 5
        time.sleep(0.1)
        now = time.monotonic()
    return published


def test_ours_are_never_below_zero_with_stock_judges(bench):
    everyone_knows_all(bench)
    look_out = threading.Thread(target=bench.watch)
    look_out.start()
    try:
        published = live(bench, random.Random(7))
        time.sleep(3)  # what is under way arrives, and the bad peer's misdeeds are forgotten by rust's parameters
    finally:
        bench.done.set()
        look_out.join()
    assert bench.below == []
    compared = bench.agree()

    # Everybody is still heard by everybody.
    for node in bench.steady:
        node.publish(f"last word of {node.name}")
    for node in bench.steady:
        for other in bench.steady:
            if other is not node:
                node.wait_message(f"last word of {other.name}")
    bad = bench.bad.peer
    for name in bench.stock.keys() - {"go"}:
        assert bench.bad_seen[name] <= set(RUST_PENALTIES), bench.bad_seen[name]
        assert stock_scores(bench.stock[name])[bad]["score"] == 0
    assert bench.bad_seen["default"] <= set(RUST_PENALTIES), bench.bad_seen["default"]
    assert stock_scores(bench.stock["go"])[bad]["score"] < -100
    starts = sum(m.starts for m in bench.members)
    print(f"\n{SECONDS:.0f} s, {bench.polls} looks at {len(bench.lowest)} pairs, {published} rounds, {starts} starts, "
          f"lowest score {min(bench.lowest.values())}")
    for name, first, my_first, score, my_score in compared:
        print(f"  {name}: first {first:.2f} and {my_first:.2f}, score {score:.2f} and {my_score:.2f}")
    for name, seen in bench.bad_seen.items():
        print(f"  the bad peer with {name}: {min(seen)} .. {max(seen)}")
