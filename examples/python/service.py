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
import json
import logging
import signal
import sys
import time
from typing import Any

import karakp2p
from karakp2p import aio

TOPIC = "example/table"
SNAPSHOT = "/example/table/1"  # protocol of the direct messages that carry a whole table

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


class Change:
    """The codec of the topic: {"set": NAME, "to": VALUE, "at": SECONDS} or {"ask": true}. What has
    another form is refused by decode, and so rejected before it spreads."""

    def encode(self, value: dict[str, Any], /) -> bytes:
        """Compact JSON."""
        return karakp2p.JSON.encode(value)

    def decode(self, data: bytes, /) -> dict[str, Any]:
        """ValueError unless it is one of the two forms."""
        value = karakp2p.JSON.decode(data)
        if isinstance(value, dict) and value.keys() == {"ask", "at"}:
            return value
        if not (
            isinstance(value, dict)
            and value.keys() == {"set", "to", "at"}
            and isinstance(value["set"], str)
            and isinstance(value["to"], str)
            and isinstance(value["at"], (int, float))
            and value["at"] < time.time() + 60
        ):
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
        await self.node.add_protocol(SNAPSHOT)
        changes = await self.topic.subscribe(validate=True)
        await self.topic.publish({"ask": True, "at": time.time()})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.read_changes(changes))
            tasks.create_task(self.read_snapshots())

    async def read_changes(self, changes: aio.Subscription) -> None:
        """Follows the topic. A message spreads further only once it is accepted."""
        async for message in changes:
            message.accept()
            change = message.value
            if "ask" in change:
                await self.send_snapshot(message.source)
            elif self.table.apply(change["set"], change["at"], change["to"]):
                print(f"{change['set']} = {change['to']}  (by {message.source})", flush=True)

    async def send_snapshot(self, peer: str | None) -> None:
        """Gives a newcomer what we know. It may have left, or know others: never an error."""
        if peer is None or not self.table.rows:
            return
        try:
            await self.node.send(peer, SNAPSHOT, json.dumps(self.table.rows), timeout=5)
        except karakp2p.Error as e:
            log.info("no snapshot for %s: %s", peer, e)

    async def read_snapshots(self) -> None:
        """Direct messages come out of the node itself."""
        async for message in self.node:
            try:
                rows = json.loads(bytes(message))
                for name, (when, value) in rows.items():
                    if self.table.apply(name, when, value):
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
            print(json.dumps(await self.node.stats(), indent=1))
        elif line:
            print(self.table.rows.get(line, (0, "(not set)"))[1])
        sys.stdout.flush()


async def read_lines(service: Service) -> None:
    """The user's commands, until the end of the input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
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
        running = asyncio.create_task(service.run())
        stop = asyncio.Event()
        for sig in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sig, stop.set)
        input_ended = asyncio.create_task(read_lines(service))
        input_ended.add_done_callback(lambda _: stop.set())
        running.add_done_callback(lambda _: stop.set())
        await stop.wait()
        input_ended.cancel()
        await node.close()  # says goodbye; the iterations of the service end
        await running


if __name__ == "__main__":
    asyncio.run(main())
