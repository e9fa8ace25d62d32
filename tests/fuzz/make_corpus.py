#!/usr/bin/env python3
"""Seeds for every fuzz target: make_corpus.py FOLDER writes FOLDER/TARGET/….

They come from three places. The wire vectors (tests/vectors) hold what go, rust, js and py put on the
wire, and what they refuse: their bytes go to the targets that read such bytes. seeds/captures.json is
what go-libp2p, js-libp2p, py-libp2p and two rust-libp2p said to a node of ours, decrypted, by protocol;
capture.py made it, and makes it anew. What neither can say, sequences of operations, is kept in
seeds/TARGET.hex, one input a line: the smallest set that libFuzzer found for the branches it reached
(see --keep), and every input that once failed.

make_corpus.py --keep TARGET FOLDER rewrites seeds/TARGET.hex from a folder of inputs, such as one
that `fuzz_TARGET -merge=1 FOLDER …` has made, leaving out what is longer than 2,000 bytes."""

import hashlib
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEEP_MAX = 2000
VECTORS = json.loads((ROOT / "tests/vectors/vectors.json").read_text())
CAPTURES = json.loads((HERE / "seeds/captures.json").read_text())


def values(node):
    """Every text in a vector group, whatever member it stands in."""
    if isinstance(node, dict):
        for value in node.values():
            yield from values(value)
    elif isinstance(node, list):
        for value in node:
            yield from values(value)
    elif isinstance(node, str):
        yield node


def raw(*groups):
    """The byte strings of groups or of lists in them ("rpc", "yamux/headers")."""
    for group in groups:
        node = VECTORS
        for part in group.split("/"):
            node = node[part]
        for text in values(node):
            if len(text) % 2 == 0 and re.fullmatch("[0-9a-f]*", text):
                yield bytes.fromhex(text)


def captured(kind):
    """What every stock peer said of that kind."""
    for peer in CAPTURES.values():
        yield from map(bytes.fromhex, peer[kind])


def chunks(head, data):
    """For targets that take an operation, a length below 256, and that many bytes."""
    for at in range(0, len(data), 255):
        part = data[at:at + 255]
        yield bytes([head, len(part)]) + part


def texts(*groups):
    for group in groups:
        for text in values(VECTORS[group]):
            if len(text) <= 256 and not re.fullmatch("[0-9a-f]{16,}", text):
                yield text.encode()


def framed(body):
    out, n = bytearray(), len(body)
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out) + bytes([n]) + body


def rpcs():
    """RPC bodies: those of the vectors, and each signed or refused message in one of its own."""
    yield from raw("rpc")
    yield from captured("pubsub")
    for case in VECTORS["pubsub"]["signed"] + VECTORS["pubsub"]["unsigned"] + VECTORS["pubsub"]["invalid"]:
        yield b"\x12" + framed(bytes.fromhex(case["message"]))


def config_lines():
    """Every key with its default, and what the table of misuse sets."""
    rows = re.findall(r"^\| `([a-z_.0-9]+)` \|.*?\|.*?\| (?:`([^`]*)`)? \|",
                      (ROOT / "docs/config.md").read_text().replace("\\|", "¦"), re.M)
    for key, default in rows:
        yield f"{key}={default}".encode()
    yield b"\n".join(f"{key}={default}".encode() for key, default in rows if default)
    for case in json.loads((ROOT / "tests/misuse.json").read_text())["cases"]:
        value = case["args"].get("value") if case["call"] == "kp2p_config_set" else None
        if isinstance(value, str):
            yield f"{case['args']['key']}={value}".encode()


def policies(bodies, heads):
    """Framed, behind the bytes by which a target picks how it is set up."""
    bodies = list(bodies)
    for head in heads:
        for body in bodies:
            yield head + framed(body)
    yield heads[0] + b"".join(framed(body) for body in bodies)


def abi_calls():
    """Calls for fuzz_abi_ops: every config line on the config of the node that is not started, every text
    of the peer ids and keys, and two nodes that meet, exchange messages and end."""
    def text(value):
        return bytes([min(len(value), 254)]) + value[:254]

    for line in config_lines():
        key, _, value = line.partition(b"=")
        if b"\n" not in line:
            yield bytes([11, 0]) + text(key) + text(value) + bytes([0, 0, 2])
    for value in texts("peer_id"):
        yield bytes([11, 5]) + text(value) + bytes([11, 4]) + text(value)
    start, connect = bytes([0, 10, 0, 0, 10, 1]), bytes([7, 0, 1, 1, 0, 5, 0])
    senders = bytes([2, 2, 0, 0, 0, 2, 2, 1, 1, 0, 2, 3, 2, 0, 1])
    settle = bytes([9, 1, 0, 0, 4, 255, 9, 1, 1, 0, 4, 255]) * 6
    publish = bytes([3, 0, 0]) + text(b"hello") + bytes([7, 0])
    batch = bytes([5, 0, 1, 3, 4, 5, 6]) + b"ab" + bytes([9, 0])
    packed = bytes([9, 2, 0, 0, 200, 255, 9, 2, 1, 0, 255, 0])
    direct = bytes([7, 0, 0, 6, 0, 11, 0, 6, 0, 1]) + text(b"to you") + bytes([12, 0])
    for option in range(4):
        subscribe = bytes([7, 0, 1, 4, option, 3, 0])
        yield start + senders + subscribe + connect + settle + publish + batch + settle + packed
        verdict = bytes([8, 1, 1, option, 8, 2, 0, option, 8, 2, 1, option + 4])
        yield start + senders + subscribe + connect + settle + publish + settle[:24] + verdict + direct + settle
    for op in range(13):
        yield start + connect + settle[:24] + bytes([7, 0, 1, op, 0, 5, 0, 7, 0, 0, op, 0, 5, 0]) + settle


def gs_rpcs():
    yield from policies(rpcs(), [b"\x00\x01", b"\x11\x02", b"\x0a\x03"])
    for stream in captured("pubsub_stream"):
        yield b"\x00\x01" + stream


def sessions():
    """Captured plaintext behind a handshake, for fuzz_conn_bytes: we listen, and we dial."""
    for plain in captured("yamux"):
        for role in 12, 13:
            yield bytes([role]) + b"".join(chunks(2, plain))


def asked_to_identify():
    """Captured messages as answers to our question, and pushed."""
    for stream in captured("identify_stream"):
        yield b"".join(chunks(10, stream)) + b"\x02"
        yield b"\x01" + b"".join(chunks(11, stream)) + b"\x03"


def gs_dialogues():
    """RPCs for fuzz_gs_build: messages that are wrong in each way under each policy, and a dialogue in
    which five peers subscribe, graft, speak, gossip and leave."""
    take, time = bytes([12, 0]), bytes([13, 7])
    for policy in 0, 1, 2, 3, 16, 20, 24:
        for wrong in 0, 1, 2, 4, 8, 16, 32:
            for form in 0, 1, 32, 64, 128:
                yield bytes([policy, 0, 1, 1, wrong, wrong, form, 0, 16, 1]) + take
    join = b"".join(bytes([0, 1, 0, 0, 1, 1, 6, 0, 6, 1, 16, i]) for i in range(5))
    speak = b"".join(bytes([1, i, 0, 0, 64, 0, 1, i, 0, 0, 1, 1, 16, i]) for i in range(5))
    gossip = b"".join(bytes([4, 0, 3, i, 15, 201, 5, 2, i, 1, 2, 8, 2, 0, 1, 2, 16, i]) for i in range(5))
    leave = b"".join(bytes([7, 3 + 16 + 32 * (i & 1), 0, i, 64 + i, 32 + i, 9, 16 * i, 16, i]) for i in range(5))
    for policy in range(0, 256, 5):
        for second in 0, 1, 10, 18, 24:
            own = bytes([11, 4, 0, 10, 1, 10, 0])
            yield bytes([policy, second]) + join + own + speak + time + take + gossip + time + take + leave + time


def noise_transcripts():
    """For fuzz_conn_noise: handshakes from both sides, right and wrong in one place, and what follows."""
    muxers = b"\x22\xc8\x01" + b"\x12\x00" * 100
    payloads = [b"\x00", b"\x01", b"\x05", bytes([131, 1, 3, 7, len(muxers)]) + muxers]
    payloads += [bytes([130, a, b]) for a in (0, 1, 2, 8) for b in (2, 3, 10)]
    talk = bytes([0, 7, 4, 1, 1, 28]) + b"\x13/multistream/1.0.0\n\x03/x\n1234" + bytes([8, 2, 1, 0, 0, 1, 5, 9, 9, 9, 9, 9])
    for role in 0, 1, 3, 5:
        first = bytes([role, 0]) if role else bytes([0, 0, 0])
        for payload in payloads:
            yield first + b"\x00" + payload + b"\x00" + talk
        for way in range(32, 256, 32):
            yield first + b"\x00\x01" + bytes([way, 130, 4]) + talk
            yield bytes([role, 0, way, 90, 0, 0, 0]) + talk
        for how in 6, 7:
            yield bytes([role, how, 0, 0, 0, 0]) + talk
            yield first + bytes([how, 0, 0, 0]) + talk


FROM_VECTORS = {
    "abi_ops": abi_calls,
    "conn_bytes": sessions,
    "conn_noise": noise_transcripts,
    "engine_config": config_lines,
    "gs_build": gs_dialogues,
    "gs_rpc": gs_rpcs,
    "identify_in": asked_to_identify,
    "kad_server": lambda: (b"\x00" + b"".join(chunks(20, s)) + b"\x04" for s in captured("kad_stream")),
    "noise_sym": lambda: raw("noise"),
    "wire_envelope": lambda: raw("envelope"),
    "wire_identify": lambda: (*raw("identify"), *captured("identify")),
    "wire_kad": lambda: (*raw("kad"), *captured("kad")),
    "wire_maddr": lambda: (*raw("multiaddr"), *texts("multiaddr")),
    "wire_mss": lambda: (*raw("multistream", "yamux"), *captured("mss"), *captured("yamux")),
    "wire_pb": lambda: (*raw("uvarint", "rpc", "identify"), *captured("pubsub"), *captured("kad")),
    "wire_peer_id": lambda: (*raw("peer_id", "private_key_protobuf"), *texts("peer_id")),
    "wire_rpc": rpcs,
    "wire_rpc_build": lambda: (bytes([i & 1]) + body for i, body in enumerate(raw("rpc", "message_id"))),
    "wire_text": lambda: (*texts("peer_id", "multiaddr", "multistream"), *raw("uvarint", "peer_id")),
}


def kept(target):
    path = HERE / "seeds" / f"{target}.hex"
    if path.exists():
        for line in path.read_text().splitlines():
            yield bytes.fromhex(line)


def make(folder):
    targets = sorted(path.stem[len("fuzz_"):] for path in HERE.glob("fuzz_*.c"))
    unknown = set(FROM_VECTORS) - set(targets)
    if unknown:
        sys.exit(f"no such targets: {unknown}")
    for target in targets:
        out = folder / target
        out.mkdir(parents=True, exist_ok=True)
        for old in out.iterdir():
            old.unlink()
        for seed in (*FROM_VECTORS.get(target, tuple)(), *kept(target)):
            (out / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
        if not any(out.iterdir()):
            sys.exit(f"fuzz_{target} has no seeds")


def keep(target, folder):
    found = {path.read_bytes() for path in folder.iterdir()}
    lines = sorted(seed.hex() for seed in found if 0 < len(seed) <= KEEP_MAX)
    (HERE / "seeds" / f"{target}.hex").write_text("".join(line + "\n" for line in lines))
    print(f"{target}: {len(lines)} kept, {len(found) - len(lines)} left out")


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--keep":
        keep(sys.argv[2], pathlib.Path(sys.argv[3]))
    elif len(sys.argv) == 2:
        make(pathlib.Path(sys.argv[1]))
    else:
        sys.exit(__doc__)
