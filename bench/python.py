#!/usr/bin/env python3
"""A gossip peer in Python (karakp2p.aio) with the command line and the line protocol of bench/peer.c.

  --listen MA --bootstrap MA --topic T --sink    and on standard input: /window N SIZE W, /stats, /topics, /quit
  boundary [N]       messages a second out of a full inbox, of 200 bytes: by iteration, recv() and in batches

A sink counts, and acknowledges on "<topic>-ack" every 64 messages and after 50 ms of silence."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import time
from typing import Any

from karakp2p import aio

ACK_EVERY = 64
SILENCE_S = 0.05
STALL_S = 10.0
ROUNDS = 3  # of which the best counts: the machine may have other things to do


def say(event: str, **members: Any) -> None:
    """One line."""
    print(json.dumps({"event": event, **members}), flush=True)


def cpu_ms() -> tuple[float, float]:
    """User and system CPU time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime * 1e3, usage.ru_stime * 1e3


class Peer:
    """One end of a measurement."""

    def __init__(self, node: aio.Node, topic: str, sink: bool) -> None:
        self.node, self.topic, self.sink = node, topic, sink
        self.received = self.bytes = self.acked_at = self.counter = 0
        self.first = self.last = 0.0
        self.acked = 0  # by the far sink
        self.progress = asyncio.Event()

    async def ack(self) -> None:
        """Tells how many have come."""
        self.acked_at = self.received
        await self.node.publish(self.topic + "-ack", str(self.received))

    async def read(self) -> None:
        """All messages, as they come."""
        async for message in self.node:
            if message.topic == self.topic:
                self.last = time.monotonic()
                if self.received == 0:
                    self.first = self.last
                self.received += 1
                self.bytes += len(message)
                if self.sink and self.received - self.acked_at >= ACK_EVERY:
                    await self.ack()
            else:
                self.acked = max(self.acked, int(bytes(message)))
                self.progress.set()

    async def silence(self) -> None:
        """The acknowledgement of a sink's last messages."""
        while True:
            await asyncio.sleep(SILENCE_S)
            if self.received != self.acked_at and time.monotonic() - self.last > SILENCE_S:
                await self.ack()

    async def window(self, n: int, size: int, window: int) -> None:
        """Publishes n messages, at most `window` of them unacknowledged."""
        fill = b"x" * size
        base, sent, start, cpu = self.acked, 0, time.monotonic(), sum(cpu_ms())
        while self.acked - base < n:
            while sent < n and sent - (self.acked - base) < window:
                head = b"%d %d " % (os.getpid(), self.counter)
                self.counter += 1
                sent += 1
                await self.node.publish(self.topic, head + fill[len(head) :])
            self.progress.clear()
            if self.acked - base < n and sent - (self.acked - base) >= min(window, n):
                try:
                    await asyncio.wait_for(self.progress.wait(), STALL_S)
                except TimeoutError:
                    break
            elif sent == n:
                await asyncio.sleep(0.001)
        took = time.monotonic() - start
        say("window", sent=sent, acked=self.acked - base, seconds=took, cpu_ms=sum(cpu_ms()) - cpu)

    async def command(self, line: str) -> bool:
        """One line of the driver; false at the end."""
        words = line.split()
        if words[:1] == ["/window"]:
            await self.window(*map(int, words[1:4]))
        elif line == "/stats":
            user, system = cpu_ms()
            say("stats", received=self.received, bytes=self.bytes, first_ns=self.first * 1e9,
                last_ns=self.last * 1e9, cpu_user_ms=user, cpu_sys_ms=system)  # fmt: skip
        elif line == "/topics":
            say("topics", topics=await self.node.topics())
        return line != "/quit"


async def peer(args: argparse.Namespace) -> None:
    """Follows the driver until it says /quit."""
    node = aio.Node([args.topic, args.topic + "-ack"], listen=args.listen, bootstrap=args.bootstrap)
    async with node:
        say("listening", peer=node.peer_id, addrs=await node.addresses())
        p = Peer(node, args.topic, args.sink)
        tasks = [asyncio.create_task(p.read())]
        if args.sink:
            tasks.append(asyncio.create_task(p.silence()))
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        while (line := await lines.readline()) and await p.command(line.decode().strip()):
            pass
        for task in tasks:
            task.cancel()
    say("closed")


async def fill(source: aio.Node, sink: aio.Node, mark: bytes, n: int) -> None:
    """Publishes n messages, never so many at a time that a slow peer would lose some."""

    async def arrived(least: int) -> None:
        while (await sink.stats())["inbox_messages"] < least:
            await asyncio.sleep(0.001)

    while not any(t["subscribers"] for t in await source.topics()):
        await asyncio.sleep(0.001)
    for i in range(n):
        await source.publish("t", (b"%s %d " % (mark, i)).ljust(200))
        if i % 1000 == 999:
            await arrived(i - 2000)
    await arrived(n)


async def take(node: aio.Node, how: str, n: int) -> None:
    """All n messages, one of the ways."""
    taken = 0
    if how == "async for":
        async for _ in node:
            taken += 1
            if taken == n:
                break
    elif how == "recv":
        for _ in range(n):
            await node.recv()
    else:
        while taken < n:
            taken += len(await node.recv_batch())


async def boundary(n: int) -> None:
    """What taking messages costs when they have all arrived: iteration, recv() and batches."""
    keys: dict[str, Any] = {
        "listen": "/ip4/127.0.0.1/tcp/0", "signature": "strict_no_sign", "inbox_max_messages": 10**8,
        "inbox_max_bytes": "8GiB", "inbox_total_bytes": "8GiB",
    }  # fmt: skip
    async with aio.Node("t", **keys) as a:
        async with aio.Node("t", bootstrap=await a.addresses(), **keys) as b:
            for how in ("async for", "recv", "recv_batch"):
                rates = []
                for i in range(ROUNDS):
                    await fill(b, a, b"%s %d" % (how.encode(), i), n)
                    start = time.perf_counter()
                    await take(a, how, n)
                    rates.append(round(n / (time.perf_counter() - start)))
                print(json.dumps({"bench": f"python {how}", "per_second": max(rates)}), flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", action="append")
    parser.add_argument("--bootstrap", action="append")
    parser.add_argument("--topic", default="bench")
    parser.add_argument("--sink", action="store_true")
    parser.add_argument("what", nargs="?", choices=["boundary"])
    parser.add_argument("n", nargs="?", type=int, default=50000)
    args = parser.parse_args()
    asyncio.run(boundary(args.n) if args.what else peer(args))


if __name__ == "__main__":
    main()
