"""What the tests of scores share: the sets of parameters, the scores of each kind of judge, and RPCs by hand."""

TOPIC = "interop"
SLOW = 0.999999
HOUR = 0.998722  # go's ScoreParameterDecay(time.Hour), 0.01 to the power 1/3600

# Nothing is scored and nobody shut out; the sets below add to this.
NOTHING = {
    "score": "full", "score.topic_score_cap": 0, "score.ip_weight": 0,
    "score.gossip_threshold": -10000, "score.publish_threshold": -10000, "score.graylist_threshold": -10000,
    "score.accept_px_threshold": 10000, "score.opportunistic_graft_threshold": 0,
    "score.topic.time_in_mesh_weight": 0, "score.topic.first_message_deliveries_weight": 0,
    "score.topic.invalid_message_deliveries_weight": 0,
}

# slowSet of peers/go/main.go
SLOWLY = NOTHING | {
    "score.behaviour_weight": -2, "score.behaviour_threshold": 1, "score.behaviour_decay": SLOW,
    "score.topic.topic_weight": 0.5,
    "score.topic.time_in_mesh_weight": 1, "score.topic.time_in_mesh_quantum": "1s", "score.topic.time_in_mesh_cap": 5,
}

# The sets that the stock peers know by these names, as our keys.
SETS = {
    "counts": SLOWLY | {
        "score.topic.first_message_deliveries_weight": 1,
        "score.topic.first_message_deliveries_decay": SLOW,
        "score.topic.first_message_deliveries_cap": 1000,
        "score.topic.invalid_message_deliveries_weight": -1,
        "score.topic.invalid_message_deliveries_decay": SLOW,
    },
    "mesh": SLOWLY | {
        "score.topic.mesh_message_deliveries_weight": -1,
        "score.topic.mesh_message_deliveries_decay": SLOW,
        "score.topic.mesh_message_deliveries_cap": 100,
        "score.topic.mesh_message_deliveries_threshold": 4,
        "score.topic.mesh_message_deliveries_window": "1s",
        "score.topic.mesh_message_deliveries_activation": "2s",
        "score.topic.mesh_failure_penalty_weight": -0.25,
        "score.topic.mesh_failure_penalty_decay": SLOW,
    },
    # Filecoin's, as in tests/gs_sim/day_test.cc
    "filecoin": NOTHING | {
        "score.gossip_threshold": -500, "score.publish_threshold": -1000, "score.graylist_threshold": -2500,
        "score.accept_px_threshold": 1000, "score.opportunistic_graft_threshold": 3.5,
        "score.ip_weight": -100, "score.ip_threshold": 5,
        "score.behaviour_weight": -10, "score.behaviour_threshold": 6, "score.behaviour_decay": HOUR,
        "score.retain": "6h",
        "score.topic.topic_weight": 0.1,
        "score.topic.time_in_mesh_weight": 0.00027, "score.topic.time_in_mesh_cap": 1,
        "score.topic.first_message_deliveries_weight": 5,
        "score.topic.first_message_deliveries_decay": HOUR,
        "score.topic.first_message_deliveries_cap": 100,
        "score.topic.invalid_message_deliveries_weight": -1000,
        "score.topic.invalid_message_deliveries_decay": HOUR,
    },
    # rust-libp2p's PeerScoreParams::default(), as there
    "default": NOTHING | {
        "score.gossip_threshold": -10, "score.publish_threshold": -50, "score.graylist_threshold": -80,
        "score.accept_px_threshold": 10, "score.opportunistic_graft_threshold": 20,
        "score.topic_score_cap": 3600, "score.app_weight": 10,
        "score.ip_weight": -5, "score.ip_threshold": 10,
        "score.behaviour_weight": -10, "score.behaviour_threshold": 0, "score.behaviour_decay": 0.2,
        "score.slow_weight": -0.2, "score.slow_threshold": 0, "score.slow_decay": 0.2,
        "score.decay_to_zero": 0.1, "score.promises": "each",
        "score.topic.topic_weight": 0,
    },
}


def with_options(kind, *options):
    copy = type(kind)(kind.name, kind.program, [*kind.options, *options])
    copy._command = kind.command()
    return copy


def judging(kind, score_set):
    """A stock kind that scores."""
    return with_options(kind, "--score", score_set)


def our_judge(network, name, score_set, promises=None, **kwargs):
    keys = dict(SETS[score_set])
    if promises:
        keys["score.promises"] = promises
    return network.ours(name, *(x for key, value in keys.items() for x in ("--set", f"{key}={value}")), **kwargs)


def our_scores(node):
    return {p["peer"]: p for p in node.ask("/scores", "scores")["peers"]}


def stock_scores(node):
    """By peer: `score`, and with go what it is made of."""
    return node.ask("/scores", "scores")["peers"]


# --- RPCs ---


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


class Bad:
    """A peer that says to each of its judges what the test wants."""

    def __init__(self, network, go, judges):
        self.judges = judges
        self.node = network.stock(with_options(go, "--raw"), "bad", bootstrap=[j.address for j in judges])
        self.peer = self.node.peer
        for judge in judges:
            self.node.wait("connected", peer=judge.peer)
        self.say(subscribe())

    def say(self, *rpcs, judges=None):
        for judge in judges or self.judges:
            for rpc in rpcs:
                self.node.ask(f"/raw {judge.peer} {rpc.hex()}", "said", peer=judge.peer)

    def meshed(self):
        """Waits until every judge has grafted it."""
        for judge in self.judges:
            judge.wait_until(lambda n: self.peer in n.ask("/peers", "peers")["mesh"], "the bad peer is in the mesh")
