"""The py-libp2p peer of the interop tests. README.md describes the line protocol."""

import argparse
import base64
import json
import logging
import os
import resource
import signal
import sys
import threading
import time

import trio
from libp2p import new_host
from libp2p.abc import INotifee
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo, info_from_p2p_addr
from libp2p.pubsub.gossipsub import PROTOCOL_ID, PROTOCOL_ID_V11, PROTOCOL_ID_V12, PROTOCOL_ID_V13, GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr
from siphash import karak_id

KAD = "/ipfs/kad/1.0.0"
# A receiver acknowledges every ACK_EVERY messages, and after ACK_SILENCE seconds without any.
ACK_EVERY = 64
ACK_SILENCE = 0.05
# A window run without a new acknowledgement for this long has lost messages and ends.
WINDOW_STALL = 10
# py-libp2p drops what exceeds its queue of 32 per peer without telling the publisher; publishing waits at this many.
SEND_QUEUE = 16
MESH_TIMEOUT = 3
FIND_TIMEOUT = 30
# A peer enters the table when identify says that it speaks kad; py-libp2p does not do that by itself.
IDENTIFY_TIMEOUT = 10


def emit(event, **members):
    try:
        sys.stdout.write(json.dumps({"event": event, **members}) + "\n")
        sys.stdout.flush()
    except OSError:
        # A reader that has gone away means that nobody wants this process any more.
        os._exit(0)


def emit_error(what, why):
    emit("error", what=what, why=str(why) or repr(why))


def printable(message_id):
    """Message ids are arbitrary bytes on the wire; other than text goes out as hex."""
    return message_id.decode() if all(0x20 <= b < 0x7F for b in message_id) else message_id.hex()


def cpu_ms():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime * 1e3, r.ru_stime * 1e3


class KarakPubsub(Pubsub):
    """Tells the node what a subscription would not: the forwarder, and subscriptions of others."""

    node = None

    async def push_msg(self, msg_forwarder, msg):
        self.node.forwarders[self.get_message_id(msg)] = msg_forwarder
        try:
            await super().push_msg(msg_forwarder, msg)
        finally:
            self.node.forwarders.pop(self.get_message_id(msg), None)

    def notify_subscriptions(self, publish_message):
        # Not by the subscription's channel: it is small, and a burst overflows it.
        self.node.on_message(publish_message)

    def handle_subscription(self, origin_id, sub_message):
        known = origin_id in self.peer_topics.get(sub_message.topicid, ())
        super().handle_subscription(origin_id, sub_message)
        if sub_message.subscribe and not known and sub_message.topicid == self.node.topic:
            emit("subscribed", peer=str(origin_id), topic=self.node.topic)


class Notifee(INotifee):
    def __init__(self, node):
        self.node = node

    async def connected(self, network, conn):
        self.node.on_connected(conn)

    async def disconnected(self, network, conn):
        self.node.on_disconnected(conn.muxed_conn.peer_id)

    async def opened_stream(self, network, stream):
        pass

    async def closed_stream(self, network, stream):
        pass

    async def listen(self, network, multiaddr):
        pass

    async def listen_close(self, network, multiaddr):
        pass


class Node:
    def __init__(self, options, nursery):
        self.options, self.nursery = options, nursery
        self.topic, self.ack_topic = options.topic, options.topic + "-ack"
        seed = None if options.seed is None else options.seed.to_bytes(8, "little") * 4
        self.host = new_host(
            key_pair=create_new_key_pair(seed), muxer_preference="YAMUX", disable_identify_address_discovery=True
        )
        self.id = self.host.get_id()
        self.tail = str(self.id)[-6:]
        self.gossipsub = GossipSub(
            protocols=[PROTOCOL_ID_V13, PROTOCOL_ID_V12, PROTOCOL_ID_V11, PROTOCOL_ID],
            degree=6,
            degree_low=2,
            degree_high=12,
            gossip_window=3,
            gossip_history=10,
            heartbeat_initial_delay=0.1,
            heartbeat_interval=1,
            # By default 10 messages a second from one peer is spam, and one address for all peers is an attack.
            spam_protection_enabled=False,
            eclipse_protection_enabled=False,
            adaptive_gossip_enabled=False,
        )
        extra = {} if options.max_message is None else {"max_inbound_rpc_size": options.max_message + 65536}
        self.pubsub = KarakPubsub(
            self.host,
            self.gossipsub,
            seen_ttl=60,
            strict_signing=True,
            msg_id_constructor=lambda m: karak_id(m.data),
            **extra,
        )
        self.pubsub.node = self
        self.dht = KadDHT(self.host, DHTMode.SERVER)
        self.started = time.monotonic_ns()
        self.forwarders = {}
        self.connected = {}
        self.counter = self.received = self.published = self.bytes = 0
        self.first = self.last = 0
        self.acked_in = self.acked_out = 0
        self.progress = 0.0
        self.acked = trio.Event()
        self.ack_subscribed = False
        self.host.get_network().register_notifee(Notifee(self))

    def on_connected(self, conn):
        peer = conn.muxed_conn.peer_id
        self.connected[peer] = self.connected.get(peer, 0) + 1
        if self.connected[peer] > 1:
            return
        addrs = conn.get_transport_addresses()
        emit("connected", peer=str(peer), addr=str(addrs[0]) if addrs else "")
        self.nursery.start_soon(self.learn, peer)

    def on_disconnected(self, peer):
        left = self.connected.pop(peer, 1) - 1
        if left > 0:
            self.connected[peer] = left
        else:
            emit("disconnected", peer=str(peer))

    async def learn(self, peer):
        store = self.host.get_peerstore()
        with trio.move_on_after(IDENTIFY_TIMEOUT):
            while True:
                try:
                    if KAD in store.get_protocols(peer):
                        await self.dht.routing_table.add_peer(PeerInfo(peer, store.addrs(peer)))
                        return
                except Exception:
                    # Not known yet: the store has no entry until identify has run.
                    pass
                await trio.sleep(0.1)

    def on_message(self, m):
        forwarder = self.forwarders.get(karak_id(m.data), self.id)
        if forwarder == self.id:
            return
        topic = m.topicIDs[0]
        if topic == self.ack_topic:
            self.on_ack(m.data)
            return
        self.last = time.monotonic_ns() - self.started
        if self.received == 0:
            self.first = self.last
        self.received += 1
        self.bytes += len(m.data)
        if self.options.sink:
            return
        emit(
            "message",
            topic=topic,
            id=printable(karak_id(m.data)),
            via=str(forwarder),
            size=len(m.data),
            data=base64.b64encode(m.data).decode(),
            seqno=str(int.from_bytes(m.seqno, "big")) if len(m.seqno) == 8 else None,
            **{"from": str(ID(m.from_id))},
        )

    def on_ack(self, data):
        if data.isdigit() and int(data) > self.acked_in:
            self.acked_in = int(data)
            self.progress = time.monotonic()
            self.acked.set()
            self.acked = trio.Event()

    async def acknowledge(self):
        """Publishes the receive counter. A value goes out once: the same text again would be a duplicate."""
        silent_since, seen = time.monotonic(), 0
        while True:
            await trio.sleep(0.005)
            now = time.monotonic()
            if self.received != seen:
                silent_since, seen = now, self.received
            due = seen - self.acked_out >= ACK_EVERY or (seen != self.acked_out and now - silent_since >= ACK_SILENCE)
            # Nobody may listen to acknowledgements yet: then the next turn tries again.
            if due and self.pubsub.peer_topics.get(self.ack_topic):
                self.acked_out = seen
                await self.pubsub.publish(self.ack_topic, str(seen).encode())

    async def publish(self, data):
        if not self.pubsub.peer_topics.get(self.topic):
            raise ValueError("no peers subscribed to the topic")
        if self.pubsub.seen_messages.has(karak_id(data)):
            raise ValueError("duplicate")
        # py-libp2p has no flood publish: before the first GRAFT a message goes to nobody, without an error.
        with trio.move_on_after(MESH_TIMEOUT):
            while not self.gossipsub.mesh.get(self.topic):
                await trio.sleep(0.01)
        while any(len(q) >= SEND_QUEUE for q in self.pubsub.peer_queues.values()):
            await trio.sleep(0.001)
        await self.pubsub.publish(self.topic, data)
        self.published += 1

    async def publish_next(self, size):
        """Publishes the next distinct message of `size` bytes."""
        head = f"{self.tail} {self.counter} ".encode()
        self.counter += 1
        if len(head) > size:
            return False
        try:
            await self.publish(head.ljust(size, b"x"))
            return True
        except ValueError:
            return False

    async def burst(self, count, size):
        published = 0
        for _ in range(count):
            published += await self.publish_next(size)
            await trio.lowlevel.checkpoint()
        emit("burst", published=published, failed=count - published)

    async def window(self, count, size, under_way):
        if not self.ack_subscribed:
            await self.pubsub.subscribe(self.ack_topic)
            self.ack_subscribed = True
        base, sent = self.acked_in, 0
        begin, cpu = time.monotonic(), sum(cpu_ms())
        self.progress = begin

        def stalled():
            return time.monotonic() - self.progress > WINDOW_STALL

        async def until_unacked(n):
            while sent - min(self.acked_in - base, sent) > n and not stalled():
                with trio.move_on_after(0.1):
                    await self.acked.wait()

        for _ in range(count):
            await until_unacked(under_way - 1)
            if stalled():
                break
            sent += await self.publish_next(size)
            await trio.lowlevel.checkpoint()
        await until_unacked(0)
        emit("window", sent=sent, acked=self.acked_in - base, seconds=time.monotonic() - begin, cpu_ms=sum(cpu_ms()) - cpu)

    async def find(self, peer):
        """Asks the network even for a peer in the own table, as find_peer would not."""
        found = []
        with trio.move_on_after(FIND_TIMEOUT):
            try:
                found = await self.dht.peer_routing.find_closest_peers_network(peer.to_bytes())
            except Exception as e:
                emit_error("find", e)
        if peer not in found:
            emit("notfound", peer=str(peer))
            return
        try:
            addrs = [str(a) for a in self.host.get_peerstore().addrs(peer)]
        except Exception:
            addrs = []
        emit("found", peer=str(peer), addrs=addrs)

    def stats(self):
        user, system = cpu_ms()
        emit(
            "stats",
            received=self.received,
            published=self.published,
            bytes=self.bytes,
            first_ns=self.first,
            last_ns=self.last,
            cpu_user_ms=user,
            cpu_sys_ms=system,
        )

    def peers(self):
        emit(
            "peers",
            connected=[str(p) for p in self.connected],
            mesh=[str(p) for p in self.gossipsub.mesh.get(self.topic, ())],
            table=[str(p) for p in self.dht.routing_table.get_peer_ids()],
        )

    async def dial(self, addr):
        try:
            await self.host.connect(info_from_p2p_addr(Multiaddr(addr)))
        except Exception as e:
            emit_error("dial", f"{addr}: {e}")

    async def command(self, line):
        """False for /quit."""
        if not line.startswith(b"/") or line.startswith(b"//"):
            data = line[1:] if line.startswith(b"/") else line
            try:
                await self.publish(data)
                emit("published", id=karak_id(data).decode())
            except ValueError as e:
                emit_error("publish", e)
            return True
        word, *args = line.decode(errors="replace").split()
        numbers = [int(a) for a in args if a.isascii() and a.isdigit()]
        if word == "/quit":
            return False
        if word == "/stats":
            self.stats()
        elif word == "/peers":
            self.peers()
        elif word == "/find" and len(args) == 1:
            try:
                self.nursery.start_soon(self.find, ID.from_base58(args[0]))
            except ValueError as e:
                emit_error("find", e)
        elif word == "/burst" and len(numbers) == len(args) == 2:
            await self.burst(*numbers)
        elif word == "/window" and len(numbers) == len(args) == 3:
            await self.window(numbers[0], numbers[1], max(numbers[2], 1))
        else:
            emit_error("command", line.decode(errors="replace"))
        return True


def read_stdin(lines):
    """A thread of its own, because a blocking read cannot be cancelled."""
    token = trio.lowlevel.current_trio_token()

    def run():
        try:
            for line in sys.stdin.buffer:
                trio.from_thread.run(lines.send, line.removesuffix(b"\n"), trio_token=token)
        except (trio.RunFinishedError, trio.Cancelled, trio.BrokenResourceError):
            pass

    threading.Thread(target=run, daemon=True).start()


async def run(options):
    async with trio.open_nursery() as nursery:
        node = Node(options, nursery)
        async with (
            node.host.run(listen_addrs=[Multiaddr(a) for a in options.listen]),
            background_trio_service(node.pubsub),
            background_trio_service(node.gossipsub),
            background_trio_service(node.dht),
        ):
            await node.pubsub.wait_until_ready()
            await node.pubsub.subscribe(node.topic)
            emit("listening", peer=str(node.id), addrs=[str(a) for a in node.host.get_addrs()])
            if options.sink:
                nursery.start_soon(node.acknowledge)
            for addr in options.bootstrap:
                nursery.start_soon(node.dial, addr)
            send, receive = trio.open_memory_channel(256)
            read_stdin(send)
            async for line in receive:
                if not await node.command(line):
                    break
            await node.pubsub.unsubscribe(node.topic)
            await trio.sleep(0.3)
            emit("closed")
            # py-libp2p's own shutdown can hang on a half-dead connection; everything that matters has been sent.
            os._exit(0)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--listen", action="append")
    p.add_argument("--bootstrap", action="append", default=[])
    p.add_argument("--topic", default="karak")
    p.add_argument("--seed", type=int)
    p.add_argument("--sink", action="store_true")
    p.add_argument("--max-message", type=int)
    # Accepted so that all peers take one command line: py here always has identify and ping, and no idle timeout.
    p.add_argument("--identify", action="store_true")
    p.add_argument("--json", action="store_true")
    p.add_argument("--idle-timeout")
    options = p.parse_args()
    options.listen = options.listen or ["/ip4/127.0.0.1/tcp/0"]
    logging.disable(logging.CRITICAL)
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, lambda *_: os._exit(0))
    try:
        trio.run(run, options)
    except BaseException as e:
        while isinstance(e, BaseExceptionGroup) and len(e.exceptions) == 1:
            e = e.exceptions[0]
        emit_error("start", repr(e))
        os._exit(1)


if __name__ == "__main__":
    main()
