"""KarakP2P for asyncio: the names of karakp2p, awaitable. Works with every loop that has
add_reader (asyncio on Unix, uvloop).

    async with karakp2p.aio.Node(topic="news", listen="/ip4/0.0.0.0/tcp/0") as node:
        await node.publish("news", "hello")
        async for message in node:
            print(message.source, bytes(message))

No threads, no executor: the loop watches the library's descriptors. A message is handed out only
by the call that returns it, so cancelling one never loses it. A node belongs to the event loop that
uses it; another loop may take over when that one has ended."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Sequence
from inspect import isawaitable
from typing import Any, Generic, Literal, TypeVar, Unpack, overload

from ._base import (
    BATCH,
    CLOSE_S,
    ECLOSED,
    ESTATE,
    ETIMEDOUT,
    OP_ADD_PROTOCOL,
    OP_CONNECT,
    OP_DISCONNECT,
    OP_FIND_PEER,
    OP_PING,
    OP_SUBSCRIBE,
    OP_UNSUBSCRIBE,
    Codec,
    Inbox,
    Key,
    NodeBase,
    OnEvent,
    OnInvalid,
    PeerInfo,
    Published,
    Topic as TopicBase,
    TopicInfo,
    addresses_of,
    check_callable,
    check_count,
    check_messages,
    failure,
    seconds,
    to_ms,
)
from ._config import Config
from ._core import Event, Message
from ._errors import Closed, Error, QueueFull, StateError, Timeout

T = TypeVar("T")
Future = asyncio.Future[Any]


class _Call:
    """A request or publish whose fate is awaited."""

    __slots__ = ("done", "events")

    def __init__(self, done: Future) -> None:
        self.events: list[Event] = []
        self.done = done


class _Publish:
    """A publisher that waits for room: `run` tries again, `done` gets None or the error."""

    __slots__ = ("done", "run")

    def __init__(self, done: Future, run: Callable[[], None]) -> None:
        self.done = done
        self.run = run


def _wake(waiters: deque[Future], n: int) -> None:
    """Ends the waits of the first n that still wait."""
    while waiters and n > 0:
        future = waiters.popleft()
        if not future.done():
            future.set_result(None)
            n -= 1


def _on_zero(ref: weakref.ref[Node]) -> None:
    """Inbox 0 is readable. The loop must not keep the node alive: a weak reference."""
    node = ref()
    if node is not None:
        node._zero_ready()


class _Reader:
    """What a node and a subscription share: taking messages out of one inbox."""

    _node: Node
    _inbox: Inbox
    _streak = 0  # messages taken since this reader last let the loop run

    async def recv(self, timeout: float | None = None) -> Message:
        """The next message. Waits at most `timeout` seconds (None: as long as it takes; 0: not at
        all), then Timeout. Closed when the node was closed, or the topic unsubscribed, and all is
        read. Cancelling it, or asyncio.timeout(), loses no message."""
        messages = self._inbox.messages
        if timeout is None and messages and self._streak < BATCH:
            self._streak += 1
            return messages.popleft()
        limit = seconds(timeout)
        if limit is None:
            return await self._next()
        try:
            async with asyncio.timeout(limit):
                return await self._next(limit == 0)
        except TimeoutError:
            if self._inbox.messages or self._node._take(self._inbox):  # the loop was busy
                return self._inbox.messages.popleft()
            raise Timeout(ETIMEDOUT, f"recv: no message within {limit:g} s") from None

    async def recv_batch(self, n: int = BATCH, timeout: float | None = None) -> list[Message]:
        """Up to n messages. Waits as recv() for the first only; an empty list when none came in
        time."""
        check_count(n)
        try:
            batch = [await self.recv(timeout)]
        except Timeout:
            return []
        messages = self._inbox.messages
        while len(batch) < n and (messages or self._node._take(self._inbox)):
            batch.append(messages.popleft())
        if messages:
            self._node._share(self._inbox)
        self._streak += len(batch)
        return batch

    async def _next(self, once: bool = False) -> Message:
        node, inbox = self._node, self._inbox
        messages = inbox.messages
        node._attach()
        if self._streak >= BATCH:
            self._streak = 0
            await asyncio.sleep(0)
        while True:
            if messages or node._take(inbox):
                self._streak += 1
                message = messages.popleft()
                if inbox.waiters and messages:
                    node._share(inbox)
                return message
            node._report()
            if inbox.over:
                raise node._ended(inbox)
            if once:
                raise Timeout(ETIMEDOUT, "recv: no message at hand")
            if not node._started:
                raise StateError(ESTATE, "the node has not been started")
            self._streak = 0
            await node._readable(inbox)

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        messages = self._inbox.messages
        if messages and self._streak < BATCH:
            self._streak += 1
            return messages.popleft()
        try:
            return await self._next()
        except Closed:
            raise StopAsyncIteration from None

    async def listen(self, callback: Callable[[Message], Any]) -> None:
        """Calls callback(message), and awaits what it returns if that can be awaited, for each
        message until the node is closed. What it raises goes to the loop's exception handler, and
        the next message follows."""
        check_callable(callback, "callback")
        async for message in self:
            try:
                result = callback(message)
                if isawaitable(result):
                    await result
            except Exception as e:
                self._node._handler_raised("the listen callback", e)


class Subscription(_Reader):
    """A topic with an inbox of its own: `async for`, or recv(). Several readers compete: each
    message goes to one. Ends when the node is closed or the topic unsubscribed."""

    def __init__(self, node: Node, inbox: Inbox) -> None:
        self._node = node
        self._inbox = inbox

    @property
    def topic(self) -> str:
        """Its topic."""
        return self._inbox.topic or ""

    @property
    def dropped(self) -> int:
        """Messages lost because nobody took them in time."""
        return self._inbox.dropped

    @property
    def invalid(self) -> int:
        """Messages that the codec could not decode."""
        return self._inbox.invalid

    def fileno(self) -> int:
        """As Node.fileno(), for this topic."""
        return self._node._core.inbox_fd(self._inbox.number)

    async def unsubscribe(self) -> None:
        """Leaves the topic. What was not read yet is gone; iteration ends. Again: nothing."""
        if self._inbox.topic is not None and not self._inbox.over:
            await self._node._unsubscribe(self._inbox)

    async def publish(
        self, value: object, timeout: float | None = None, confirm: bool = False
    ) -> Published | None:
        """Publishes to this topic through its codec. As Node.publish()."""
        codec = self._inbox.codec
        data = value if codec is None else codec.encode(value)
        return await self._node.publish(self.topic, data, timeout, confirm)

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.unsubscribe()
        except Closed:
            pass

    def __repr__(self) -> str:
        return f"<karakp2p.aio.Subscription {self.topic!r}>"


class Sender:
    """A way to publish that can be given to others; it takes its turn with the node's other
    publishers."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def publish(self, topic: str, data: object, timeout: float | None = None) -> None:
        """As Node.publish() without confirm."""
        await self._node.publish(topic, data, timeout)

    def try_publish(self, topic: str, data: object) -> bool:
        """As Node.try_publish()."""
        return self._node.try_publish(topic, data)

    async def publish_batch(
        self, topic: str, messages: Iterable[object], timeout: float | None = None
    ) -> int:
        """As Node.publish_batch()."""
        return await self._node.publish_batch(topic, messages, timeout)

    def clone(self) -> Sender:
        """Another handle of the same queue."""
        return Sender(self._node)

    def fileno(self) -> int:
        """A descriptor that is readable while a publish would be accepted. Only watch it."""
        return self._node._sender.fileno()

    def __reduce__(self) -> Any:
        raise TypeError("a sender can not be copied or pickled; use clone()")


class Topic(TopicBase[T], Generic[T]):
    """A topic name with the codec of its values: a typed way to publish and subscribe."""

    __slots__ = ()

    async def publish(
        self, value: T, timeout: float | None = None, confirm: bool = False
    ) -> Published | None:
        """Encodes the value, then as Node.publish()."""
        node: Node = self._node
        return await node.publish(self.name, self._encode(value), timeout, confirm)

    def try_publish(self, value: T) -> bool:
        """Encodes the value, then as Node.try_publish()."""
        node: Node = self._node
        return node.try_publish(self.name, self._encode(value))

    async def subscribe(
        self,
        validate: bool = False,
        own_messages: bool = False,
        on_invalid: OnInvalid | None = None,
    ) -> Subscription:
        """Node.subscribe() with this codec: message.value is the decoded value."""
        node: Node = self._node
        return await node.subscribe(self.name, validate, own_messages, self.codec, on_invalid)


class Node(NodeBase, _Reader):
    """One peer of the network, for asyncio. Arguments as karakp2p.Node; on_event is called on the
    loop. Use `async with`, or `await start()` and `await close()`. try_publish, sender, topic,
    peer_id, dropped and fileno are not awaited: they never wait."""

    def __init__(
        self,
        topic: str | Sequence[str] | None = None,
        *,
        listen: str | Sequence[str] | None = None,
        bootstrap: str | Sequence[str] | None = None,
        idle_timeout: float | str | None = None,
        identity: Key | str | None = None,
        on_event: OnEvent | None = None,
        **config: Unpack[Config],
    ) -> None:
        named: dict[str, object] = {
            "listen": listen,
            "bootstrap": bootstrap,
            "idle_timeout": idle_timeout,
            "identity": identity,
        }
        self._loop: asyncio.AbstractEventLoop | None = None
        self._zero_fd = -1  # our copy of inbox 0's descriptor, while the loop watches it
        super().__init__(topic, named, dict(config), on_event)
        self._inbox = self._default
        self._calls: dict[int, _Call] = {}
        self._enders: deque[Future] = deque()  # those who wait for the end of the node
        self._publishers: deque[_Publish] = deque()  # in the order of their calls
        self._publish_fd = -1
        self._unyielded = 0  # publishes accepted at once since the loop last ran

    @property
    def _node(self) -> Node:  # type: ignore[override]
        return self

    # --- life ---

    async def start(self) -> Node:
        """As karakp2p.Node.start(). Binding takes no time worth a thread."""
        self._core.start()
        self._started = True
        self._attach()
        return self

    def __await__(self) -> Generator[Any, None, Node]:
        """`node = await Node(…)` is start()."""
        return self.start().__await__()

    async def close(self, timeout: float | None = CLOSE_S) -> None:
        """As karakp2p.Node.close(). When cancelled, the node still goes on closing."""
        drain = to_ms(seconds(timeout))
        self._closed = True
        if not self._core.close(drain, 0):
            loop = self._attach()
            while self._started and not self._over:
                future = loop.create_future()
                self._enders.append(future)
                await future
            self._core.close(drain, -1)  # only joins
        while self._started and not self._over:
            self._drain_zero()
        self._end()
        self._report()

    async def __aenter__(self) -> Node:
        if not self._started:
            await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __del__(self) -> None:
        super().__del__()
        if getattr(self, "_zero_fd", -1) < 0:
            return
        fd, self._zero_fd = self._zero_fd, -1
        loop = self._loop
        try:
            if loop is None or loop.is_closed():
                os.close(fd)
            else:
                # on its own thread: this may run on any
                loop.call_soon_threadsafe(_unwatch, loop, fd)
        except RuntimeError:  # closed meanwhile
            os.close(fd)

    def _forked(self) -> None:
        super()._forked()
        if self._zero_fd >= 0:
            os.close(self._zero_fd)
            self._zero_fd = -1
        self._loop = None
        self._calls.clear()
        self._enders.clear()
        self._publishers.clear()
        for inbox in self._inboxes.values():
            inbox.waiters.clear()

    # --- the event loop ---

    def _attach(self) -> asyncio.AbstractEventLoop:
        """The running loop, which from now on is the node's."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None and self._loop.is_running():
                raise RuntimeError("the node is in use by another running event loop")
            self._detach()
            self._loop = loop
        if self._zero_fd < 0 and self._started and not self._over:
            self._zero_fd = os.dup(self._core.inbox_fd(0))
            loop.add_reader(self._zero_fd, _on_zero, weakref.ref(self))
        return loop

    def _detach(self) -> None:
        """Forgets a loop that has ended, and whoever waited there."""
        old = self._loop
        self._unwatch_zero()
        for inbox in self._inboxes.values():
            if inbox.waiters and old is not None and not old.is_closed():
                old.remove_reader(inbox.fd)
            inbox.waiters.clear()
        if self._publish_fd >= 0 and old is not None and not old.is_closed():
            old.remove_reader(self._publish_fd)
        self._publish_fd = -1
        self._publishers.clear()
        self._calls.clear()
        self._enders.clear()

    def _unwatch_zero(self) -> None:
        if self._zero_fd < 0:
            return
        fd, self._zero_fd = self._zero_fd, -1
        if self._loop is not None:
            _unwatch(self._loop, fd)
        else:
            os.close(fd)

    def _zero_ready(self) -> None:
        if self._drain_zero():
            _wake(self._default.waiters, len(self._default.messages))
            self._rewatch(self._default)
        if self._over:
            self._end()
        self._report()

    def _end(self) -> None:
        """The node is closed: everybody looks again."""
        if not self._over:
            return
        self._unwatch_zero()
        for inbox in list(self._inboxes.values()):
            _wake(inbox.waiters, len(inbox.waiters))
            self._rewatch(inbox)
        _wake(self._enders, len(self._enders))
        for call in list(self._calls.values()):
            if not call.done.done():
                call.done.set_result(None)
        self._room()

    def _handler_raised(self, name: str, error: Exception) -> None:
        if self._loop is None:
            super()._handler_raised(name, error)
            return
        self._loop.call_exception_handler(
            {"message": f"{name} of {self!r} raised", "exception": error, "node": self}
        )

    # --- inboxes: the loop watches one only while somebody waits for it ---

    async def _readable(self, inbox: Inbox) -> None:
        loop = self._attach()
        future: Future = loop.create_future()
        if not inbox.waiters:
            inbox.fd = self._core.inbox_fd(inbox.number)
            loop.add_reader(inbox.fd, self._inbox_ready, inbox)
        inbox.waiters.append(future)
        try:
            await future
        except BaseException:
            if future.done() and not future.cancelled():
                _wake(inbox.waiters, 1)  # woken, but gone: the next takes it
            elif future in inbox.waiters:
                inbox.waiters.remove(future)
            if self._loop is loop:
                self._rewatch(inbox)
            raise

    def _inbox_ready(self, inbox: Inbox) -> None:
        if self._take(inbox):
            _wake(inbox.waiters, len(inbox.messages))
        elif inbox.over:
            _wake(inbox.waiters, len(inbox.waiters))
        self._rewatch(inbox)
        self._report()

    def _share(self, inbox: Inbox) -> None:
        """More messages were taken than the taker wants: others that wait for the inbox do not see
        that by its descriptor any more."""
        _wake(inbox.waiters, len(inbox.messages))
        self._rewatch(inbox)

    def _rewatch(self, inbox: Inbox) -> None:
        if not inbox.waiters and inbox.fd >= 0:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(inbox.fd)
            inbox.fd = -1

    # --- requests ---

    def _complete(self, event: Event) -> None:
        call = self._calls.get(event.token)
        if call is None:
            return
        call.events.append(event)
        if not event.more:
            del self._calls[event.token]
            if not call.done.done():
                call.done.set_result(None)

    async def _call(self, start: Callable[[int], Awaitable[None] | None]) -> list[Event]:
        """Starts something that is given a token, and waits for its final event; its events.
        Raises what it ended with."""
        loop = self._attach()
        token = next(self._tokens)
        call = self._calls[token] = _Call(loop.create_future())
        try:
            waiting = start(token)
            if waiting is not None:
                await waiting
            await call.done
        except BaseException:
            if self._calls.pop(token, None) is not None:
                self._cancel(token)
            raise
        if not call.events or call.events[-1].more:
            self._calls.pop(token, None)
            raise Closed(ECLOSED, "the node is closed")
        error = failure(call.events[-1])
        if error is not None:
            raise error
        return call.events

    async def _request(
        self, op: int, arg: str, options: str = "", timeout: float | None = None
    ) -> list[Event]:
        limit = seconds(timeout)
        ms = 0 if limit is None else max(1, to_ms(limit))
        if not self._started:
            self._core.request(op, arg, options, ms, 0)
            return []
        return await self._call(lambda token: self._core.request(op, arg, options, ms, token))

    # --- topics ---

    async def subscribe(
        self,
        topic: str,
        validate: bool = False,
        own_messages: bool = False,
        codec: Codec[Any] | None = None,
        on_invalid: OnInvalid | None = None,
    ) -> Subscription:
        """As karakp2p.Node.subscribe()."""
        inbox = self._prepare_subscribe(topic, validate, own_messages, codec, on_invalid)
        try:
            await self._request(OP_SUBSCRIBE, topic, inbox.options)
        except BaseException:
            if self._topics.get(topic) is not inbox:
                self._inboxes.pop(inbox.number, None)
            raise
        self._topics[topic] = inbox
        return Subscription(self, inbox)

    async def unsubscribe(self, topic: str) -> None:
        """Leaves a topic, however it was joined."""
        inbox = self._topics.get(topic)
        if inbox is not None:
            await self._unsubscribe(inbox)
        else:
            await self._request(OP_UNSUBSCRIBE, topic)

    async def _unsubscribe(self, inbox: Inbox) -> None:
        await self._request(OP_UNSUBSCRIBE, inbox.topic or "")
        self._forget(inbox)
        _wake(inbox.waiters, len(inbox.waiters))
        self._rewatch(inbox)

    def topic(self, name: str, codec: Codec[T] | None = None) -> Topic[T]:
        """The name with a codec, to publish and subscribe typed values."""
        return Topic(self, name, codec)

    # --- sending ---

    @overload
    async def publish(
        self, topic: str, data: object, timeout: float | None, confirm: Literal[True]
    ) -> Published: ...
    @overload
    async def publish(
        self, topic: str, data: object, timeout: float | None = None, *, confirm: Literal[True]
    ) -> Published: ...
    @overload
    async def publish(
        self, topic: str, data: object, timeout: float | None = None, confirm: bool = False
    ) -> Published | None: ...

    async def publish(
        self, topic: str, data: object, timeout: float | None = None, confirm: bool = False
    ) -> Published | None:
        """As karakp2p.Node.publish(). Publishers that wait for room are served in the order of
        their calls; a cancelled one that was not accepted yet is not sent."""
        limit = seconds(timeout)
        if not confirm:
            if not self._publishers and self._unyielded < BATCH:
                try:
                    self._sender.publish(topic, data, 0, 0)
                except QueueFull:
                    pass
                else:
                    self._unyielded += 1
                    return None
            await self._send(lambda: self._sender.publish(topic, data, 0, 0), limit)
            return None
        if not self._started:
            raise StateError(ESTATE, "publish: confirm needs a started node")
        events = await self._limited(
            limit,
            self._call(
                lambda token: self._send(
                    lambda: self._sender.publish(topic, data, token, 0),
                    0 if limit == 0 else None,
                )
            ),
        )
        return Published(events[-1].id or b"", events[-1].count)

    def try_publish(self, topic: str, data: object) -> bool:
        """publish() without waiting; False when the send queue is full."""
        try:
            self._sender.publish(topic, data, 0, 0)
        except QueueFull:
            return False
        return True

    async def publish_batch(
        self, topic: str, messages: Iterable[object], timeout: float | None = None
    ) -> int:
        """As karakp2p.Node.publish_batch(); in line with the other publishers."""
        items = check_messages(messages)
        limit = seconds(timeout)
        sent = 0

        def run() -> None:
            nonlocal sent
            while True:
                sent += self._sender.publish_batch(topic, items, sent, 0)
                if sent == len(items):
                    return

        try:
            await self._send(run, limit)
        except (QueueFull, Timeout):
            pass
        except Error:
            if sent == 0:
                raise
        return sent

    def sender(self) -> Sender:
        """A handle on the send queue for others."""
        return Sender(self)

    async def send(
        self, peer: str, protocol: str, data: object, timeout: float | None = None
    ) -> None:
        """As karakp2p.Node.send()."""
        if not self._started:
            raise StateError(ESTATE, "send: the node has not been started")
        limit = seconds(timeout)
        await self._limited(
            limit,
            self._call(
                lambda token: self._send(
                    lambda: self._sender.send(peer, protocol, data, token, 0),
                    0 if limit == 0 else None,
                )
            ),
        )

    async def _limited(self, limit: float | None, work: Awaitable[list[Event]]) -> list[Event]:
        """Awaits it; Timeout after `limit` seconds, of which 0 only means: no waiting for room."""
        if not limit:
            return await work
        try:
            async with asyncio.timeout(limit):
                return await work
        except TimeoutError as e:
            if isinstance(e, Error):
                raise
            raise Timeout(ETIMEDOUT, f"not finished within {limit:g} s") from None

    async def _send(self, run: Callable[[], None], limit: float | None) -> None:
        """Runs it now if there is room and nobody waits, else when its turn has come."""
        if self._unyielded >= BATCH:
            self._unyielded = 0
            await asyncio.sleep(0)
        if not self._publishers or limit == 0:
            try:
                run()
            except QueueFull:
                if limit == 0:
                    raise
            else:
                self._unyielded += 1
                return
        loop = self._attach()
        entry = _Publish(loop.create_future(), run)
        self._publishers.append(entry)
        if self._publish_fd < 0:
            self._publish_fd = self._sender.fileno()
            loop.add_reader(self._publish_fd, self._room)
        try:
            async with asyncio.timeout(limit):
                error = await entry.done
        except TimeoutError:
            raise Timeout(
                ETIMEDOUT, f"publish: no room in the send queue within {limit:g} s"
            ) from None
        finally:
            if entry in self._publishers:
                self._publishers.remove(entry)
            self._unwatch_room()
        if error is not None:
            raise error

    def _room(self) -> None:
        """There may be room: only the first in line tries."""
        for _ in range(BATCH):
            if not self._publishers:
                break
            entry = self._publishers[0]
            if not entry.done.done():
                error: Exception | None = None
                try:
                    entry.run()
                except QueueFull:
                    break
                except Exception as e:
                    error = e
                entry.done.set_result(error)
            self._publishers.popleft()
        self._unwatch_room()

    def _unwatch_room(self) -> None:
        if not self._publishers and self._publish_fd >= 0:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._publish_fd)
            self._publish_fd = -1

    async def add_protocol(self, protocol: str) -> None:
        """As karakp2p.Node.add_protocol()."""
        await self._request(OP_ADD_PROTOCOL, protocol)

    # --- peers ---

    async def ping(self, peer: str, timeout: float | None = None) -> float:
        """Round trip to a peer in seconds. NotFound when it is not connected, Timeout."""
        self._need_start("ping")
        return (await self._request(OP_PING, peer, "", timeout))[-1].rtt

    async def connect(self, addr: str, timeout: float | None = None) -> str:
        """Connects to a multiaddress or a peer id; the peer id. Unreachable, PeerIdMismatch,
        Timeout, NotFound."""
        self._need_start("connect")
        return (await self._request(OP_CONNECT, addr, "", timeout))[-1].peer or ""

    async def disconnect(self, peer: str) -> None:
        """Closes all connections to a peer. NotFound when there is none."""
        self._need_start("disconnect")
        await self._request(OP_DISCONNECT, peer)

    async def find_peer(self, peer: str, timeout: float | None = None) -> list[str]:
        """Addresses of a peer, looked up in the DHT. NotFound, Timeout."""
        self._need_start("find_peer")
        return addresses_of(await self._request(OP_FIND_PEER, peer, "", timeout))

    # --- introspection: each takes at most one turn of the library's thread ---

    async def addresses(self) -> list[str]:
        """Where others can reach this node, each with /p2p/PEERID: what `bootstrap` takes."""
        return list(self._info("addresses"))

    async def peers(self) -> list[PeerInfo]:
        """The connected peers."""
        return list(self._info("peers"))

    async def mesh(self, topic: str) -> list[str]:
        """The peer ids of a topic's mesh."""
        return [peer["peer"] for peer in await self.peers() if topic in peer["mesh"]]

    async def topics(self) -> list[TopicInfo]:
        """The subscribed topics: mesh size, known subscribers."""
        return list(self._info("topics"))

    async def stats(self) -> dict[str, int]:
        """All counters and gauges by name. After close: the last values."""
        return dict(self._info("stats"))


def _unwatch(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    """Ends the watch on our own copy of a descriptor, and closes that."""
    if not loop.is_closed():
        loop.remove_reader(fd)
    os.close(fd)


__all__ = ["Node", "Sender", "Subscription", "Topic"]
