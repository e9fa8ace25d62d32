#!/usr/bin/env python3
"""Makes seeds/captures.json: what stock peers say to a node of ours, taken apart by protocol.

usage: capture.py COMMAND PEER…    COMMAND: build/…/tests/karakp2p_capture (the target of that name)
                                   PEER: rust056, rust057, go, js, py (tests/interop/peers)

Each peer runs twice on loopback, dialled by us and dialling us; both publish, look for a peer and
leave. KP2P_CAPTURE makes the command write down what it decrypts (capture.c). Of each protocol the
streams and messages that differ are kept, short ones first."""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))
from driver import Node  # noqa: E402

KEEP, KEEP_BYTES = 8, 1500  # of one kind and peer; how long one may be
STRANGER = "12D3KooWGRUfBWGZBLUL4hmvKVPrsKdFsRAwBJUTEGKVYJmZ7zUP"


def peer_command(name):
    out = subprocess.run([HERE.parent / "interop/peers/build.sh", name], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return [dict(line.split(" ", 1) for line in out.splitlines())[name]]


def play(command, peer, we_dial):
    """One conversation."""
    first, second = (peer, command) if we_dial else (command, peer)
    with Node("first", first) as a, Node("second", second, bootstrap=[a.address]) as b:
        ours, stock = (b, a) if we_dial else (a, b)
        stock.wait("subscribed", peer=ours.peer)
        for node in ours, stock:
            for text in "hello", "x" * 1200:
                node.publish(text + node.peer)
            node.line("/find " + STRANGER)
        time.sleep(7)  # heartbeats with gossip, identify push, a lookup
        stock.quit()
        ours.quit()


def connections(path):
    """The plaintext of each connection, frames joined."""
    now = {}
    for line in path.read_text().splitlines():
        who, number, *text = line.split(" ")
        if number == "1" and who in now:
            yield now.pop(who)
        now[who] = now.get(who, b"") + bytes.fromhex("".join(text))
    yield from now.values()


def streams(plain):
    """The muxer's negotiation, if there was one, and what each stream carried."""
    start = plain.find(b"\x00")
    at, out = start, {}
    yield "mss", plain[:start]
    while 0 <= at and at + 12 <= len(plain):
        _, kind, _, stream, length = struct.unpack(">BBHII", plain[at:at + 12])
        at += 12
        if kind == 0:
            out[stream] = out.get(stream, b"") + plain[at:at + length]
            at += length
    for body in out.values():
        yield "stream", body


def uvarint(data, at):
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    return 0, at


def negotiation(body):
    """(the agreed or proposed protocol, what stands before the data, the data)."""
    at, name = 0, b""
    while at < len(body):
        length, begin = uvarint(body, at)
        text = body[begin:begin + length]
        if not text.endswith(b"\n") or text[:1] not in (b"/", b"n"):
            break
        at = begin + length
        if not text.startswith(b"/multistream"):
            name = text[:-1]
            if name != b"na":
                break
    return name.decode(), body[:at], body[at:]


def framed_messages(data):
    at = 0
    while at < len(data):
        length, at = uvarint(data, at)
        yield data[at:at + length]
        at += length


KINDS = {"/meshsub/": "pubsub", "/floodsub/": "pubsub", "/ipfs/kad/": "kad", "/ipfs/id/": "identify"}


def sort_out(path, found):
    for plain in connections(path):
        found["yamux"].add(plain[:KEEP_BYTES])
        for what, body in streams(plain):
            name, head, data = negotiation(body)
            found["mss"].add(head)
            kind = next((k for prefix, k in KINDS.items() if name.startswith(prefix)), None)
            if what == "stream" and kind and data:
                found[kind + "_stream"].add(data[:KEEP_BYTES])
                found[kind].update(framed_messages(data))


def main(command, peers):
    captures = {}
    for name in peers:
        found = {kind: set() for kind in ("yamux", "mss", "pubsub", "pubsub_stream", "kad", "kad_stream",
                                          "identify", "identify_stream")}
        peer = peer_command(name) + ["--identify"] * name.startswith("rust")
        for we_dial in True, False:
            with tempfile.TemporaryDirectory() as folder:
                os.environ["KP2P_CAPTURE"] = str(pathlib.Path(folder) / "frames")
                play([command, "node", "--json"], peer, we_dial)
                sort_out(pathlib.Path(folder) / "frames", found)
        captures[name] = {
            kind: [item.hex() for item in sorted(items, key=lambda i: (len(i), i))
                   if 0 < len(item) <= KEEP_BYTES][:KEEP] for kind, items in found.items()}
        print(name, {kind: len(items) for kind, items in captures[name].items()})
    (HERE / "seeds/captures.json").write_text(json.dumps(captures, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
