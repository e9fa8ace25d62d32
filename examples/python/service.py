#!/usr/bin/env python3
"""A small service on KarakP2P: a shared key-value table that every instance holds a copy of.

Each instance publishes its changes on one topic as JSON, and answers a newcomer's request for the
whole table by a direct message. Start a first one, then others with the address that it prints:

    ./service.py --listen /ip4/0.0.0.0/tcp/4001 --key first.key
    ./service.py --bootstrap /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…

Type `NAME=VALUE` to set, `NAME` to look up, `peers` or `stats` to look around. Ctrl-C, SIGTERM or
the end of the input stop it; it says goodbye first."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import karakp2p
from karakp2p import aio

TOPIC = "example/table"
SNAPSHOT = "/example/table/1"  # protocol of the direct messages that carry a table
SNAPSHOT_BYTES = 32 * 1024  # of one of them
AHEAD = 60  # seconds that another's clock may be ahead of ours

log = logging.getLogger("service")


class Table:
    """Names and values; of two changes of a name, the later one wins on every instance."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[float, str]] = {}

    def apply(self, name: str, when: float, value: str) -> bool:
        """Whether that changed anything."""
        if name in self.rows and self.rows[name] >= (when, value):
            return False
        self.rows[name] = (when, value)
        return True

    def snapshots(self) -> Iterator[bytes]:
        """All rows as JSON objects of a size that one message may have."""
        part: dict[str, tuple[float, str]] = {}
        size = 0
        for name, row in self.rows.items():
            cost = len(karakp2p.JSON.encode({name: row}))
            if part and size + cost > SNAPSHOT_BYTES:
                yield karakp2p.JSON.encode(part)
                part, size = {}, 0
            part[name] = row
            size += cost
        if part:
            yield karakp2p.JSON.encode(part)


def check_row(name: Any, when: Any, value: Any) -> tuple[str, float, str]:
    """The three, or ValueError: they came from somebody else."""
    if not isinstance(name, str) or not isinstance(value, str):
        raise ValueError("name and value must be text")
    if isinstance(when, bool) or not isinstance(when, (int, float)):
        raise ValueError("the time must be a number")
    if not when < time.time() + AHEAD:
        raise ValueError("the time lies in the future")
    return name, when, value


class Change:
    """The codec of the topic: {"set": NAME, "to": VALUE, "at": SECONDS} or {"ask": true, "at":
    SECONDS}. What has another form is refused by decode, and so rejected before it spreads."""

    def encode(self, value: dict[str, Any], /) -> bytes:
        """Compact JSON."""
        return karakp2p.JSON.encode(value)

    def decode(self, data: bytes, /) -> dict[str, Any]:
        """ValueError unless it is one of the two forms."""
        value = karakp2p.JSON.decode(data)
        if not isinstance(value, dict):
            raise ValueError("not a change of the table")
        if value.keys() == {"ask", "at"} and value["ask"] is True:
            check_row("", value["at"], "")
        elif value.keys() == {"set", "to", "at"}:
            check_row(value["set"], value["at"], value["to"])
        else:
            raise ValueError("not a change of the table")
        return value


class Service:
    """One instance."""

    def __init__(self, node: aio.Node) -> None:
        self.node = node
        self.table = Table()
        self.topic = node.topic(TOPIC, Change())

    async def run(self) -> None:
        """Until the node is closed."""
        try:
            await self.node.add_protocol(SNAPSHOT)
            changes = await self.topic.subscribe(validate=True)
            await self.topic.publish({"ask": True, "at": time.time()})
        except karakp2p.Closed:  # before it began
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.read_changes(changes, tasks))
            tasks.create_task(self.read_snapshots())

    async def read_changes(self, changes: aio.Subscription, tasks: asyncio.TaskGroup) -> None:
        """Follows the topic. A message spreads further only once it is accepted."""
        async for message in changes:
            message.accept()
            change = message.value
            if "ask" in change:
                tasks.create_task(self.send_snapshot(message.source))
            elif self.table.apply(change["set"], change["at"], change["to"]):
                print(f"{change['set']} = {change['to']}  (by {message.source})", flush=True)

    async def send_snapshot(self, peer: str | None) -> None:
        """Gives a newcomer what we know. It may have left, or know others: never an error."""
        if peer is None:
            return
        try:
            for part in list(self.table.snapshots()):
                await self.node.send(peer, SNAPSHOT, part, timeout=5)
        except karakp2p.Error as e:
            log.info("no snapshot for %s: %s", peer, e)

    async def read_snapshots(self) -> None:
        """Direct messages come out of the node itself."""
        async for message in self.node:
            try:
                for name, (when, value) in json.loads(bytes(message)).items():
                    if self.table.apply(*check_row(name, when, value)):
                        print(f"{name} = {value}", flush=True)
            except (ValueError, TypeError, AttributeError) as e:
                log.warning("bad snapshot from %s: %s", message.source, e)

    async def command(self, line: str) -> None:
        """One line of the user."""
        name, is_set, value = line.partition("=")
        if is_set:
            now = time.time()
            self.table.apply(name, now, value)
            await self.topic.publish({"set": name, "to": value, "at": now})
        elif line == "peers":
            for peer in await self.node.peers():
                print(peer["peer"], *peer["addrs"])
        elif line == "stats":
            print(json.dumps(await self.node.stats()))
        elif line:
            print(self.table.rows.get(line, (0, "(not set)"))[1])
        sys.stdout.flush()


def read_input(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[bytes]) -> None:
    """Standard input, on a thread of its own, so that it may be a file, too; b"" is its end."""
    with open(0, "rb", buffering=0, closefd=False) as raw, contextlib.suppress(RuntimeError):
        for line in raw:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, b"")  # RuntimeError: the loop has ended


async def follow_input(service: Service) -> None:
    """The user's commands, until the end of the input."""
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=read_input, args=(loop, lines), daemon=True).start()
    while line := await lines.get():
        await service.command(line.decode(errors="replace").strip())


async def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--listen", action="append", metavar="MULTIADDR")
    parser.add_argument("--bootstrap", action="append", metavar="MULTIADDR")
    parser.add_argument("--key", metavar="FILE", help="keep the peer id; made when absent")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG if args.verbose else logging.INFO)

    async with aio.Node(
        listen=args.listen or ["/ip4/0.0.0.0/tcp/0"],
        bootstrap=args.bootstrap,
        identity=karakp2p.Key.from_file(args.key) if args.key else None,
        events="log" if args.verbose else None,
        log_level="debug",
    ) as node:
        for address in await node.addresses():
            print("listening on", address, flush=True)
        service = Service(node)
        stop = asyncio.Event()
        for sig in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sig, stop.set)
        running = asyncio.create_task(service.run())
        reading = asyncio.create_task(follow_input(service))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((running, reading, stopped), return_when=asyncio.FIRST_COMPLETED)
        reading.cancel()
        stopped.cancel()
        await node.close()  # says goodbye; the iterations of the service end
        await running
        with contextlib.suppress(asyncio.CancelledError):
            await reading


if __name__ == "__main__":
    asyncio.run(main())
