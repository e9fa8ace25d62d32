"""The blocking node.

No thread of the library runs Python, and this module starts none. Answers to requests, log lines
and reports come through inbox 0; whoever waits for anything takes them along. Of several threads
that wait, one (the leader) also watches inbox 0. A thread waits in poll(2), for descriptors of the
library and for its own waker, by which others tell it that something has changed."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Literal, TypeVar, Unpack, overload

from . import _core
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


class _Waker:
    """A pipe by which other threads end one wait of this thread."""

    __slots__ = ("_read", "_woken", "_write", "thread")

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        self._woken = False
        self.thread = threading.get_ident()

    def fileno(self) -> int:
        """Readable once wake() was called."""
        return self._read

    def wake(self) -> None:
        """Ends the wait. Under the node's lock, as clear()."""
        if not self._woken:
            self._woken = True
            os.write(self._write, b"x")

    def clear(self) -> None:
        """Ready for the next wait."""
        if self._woken:
            self._woken = False
            os.read(self._read, 1)

    def __del__(self) -> None:
        os.close(self._read)
        os.close(self._write)


class _Idle(threading.local):
    """The wakers of this thread that no wait uses. It has more than one when a signal handler has
    waited while the thread waited."""

    def __init__(self) -> None:
        self.wakers: list[_Waker] = []


_idle = _Idle()


def _fresh_wakers() -> None:
    """In the child of a fork: the pipes are the parent's too."""
    global _idle
    _idle = _Idle()


os.register_at_fork(after_in_child=_fresh_wakers)


class _Call:
    """A request or publish whose fate is awaited."""

    __slots__ = ("done", "events", "waker")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.done = False
        self.waker: _Waker | None = None  # of the thread that waits for it just now


class _Deadline:
    """When a wait is over."""

    __slots__ = ("_at", "given")

    def __init__(self, timeout: float | None) -> None:
        self.given = timeout
        self._at = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """Seconds, 0 when it has passed, None for no limit."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def passed(self) -> bool:
        """Whether it has."""
        return self._at is not None and time.monotonic() >= self._at


class _Reader:
    """What a node and a subscription share: taking messages out of one inbox."""

    _node: Node
    _inbox: Inbox

    def recv(self, timeout: float | None = None) -> Message:
        """The next message. Waits at most `timeout` seconds (None: as long as it takes; 0: not at
        all), then Timeout. Closed when the node was closed, or the topic unsubscribed, and all is
        read."""
        wait = None
        while True:
            message = self._pop()
            if message is not None:
                return message
            wait = self._wait(wait, timeout)
            if wait.passed():
                raise Timeout(ETIMEDOUT, f"recv: no message within {timeout:g} s")
            self._node._block(self._inbox, None, wait)

    def recv_batch(self, n: int = BATCH, timeout: float | None = None) -> list[Message]:
        """Up to n messages. Waits as recv() for the first only; an empty list when none came in
        time."""
        check_count(n)
        wait = None
        while True:
            first = self._pop()
            if first is not None:
                break
            wait = self._wait(wait, timeout)
            if wait.passed():
                return []
            self._node._block(self._inbox, None, wait)
        batch = [first]
        while len(batch) < n:
            message = self._pop_ready()
            if message is None:
                break
            batch.append(message)
        return batch

    def _wait(self, wait: _Deadline | None, timeout: float | None) -> _Deadline:
        if wait is None:
            wait = _Deadline(seconds(timeout))
            if not wait.passed() and not self._node._started:
                raise StateError(ESTATE, "the node has not been started")
        return wait

    def _pop_ready(self) -> Message | None:
        node, inbox = self._node, self._inbox
        try:
            return inbox.messages.popleft()
        except IndexError:
            pass
        node._take(inbox)
        node._settle()
        try:
            message = inbox.messages.popleft()
        except IndexError:  # nothing came, or another thread was first
            return None
        if inbox.messages:
            node._share(inbox)
        return message

    def _pop(self) -> Message | None:
        """What is at hand, or None; Closed at the end."""
        message = self._pop_ready()
        if message is None and self._inbox.over:
            raise self._node._ended(self._inbox)
        return message

    def __next__(self) -> Message:
        try:
            return self._inbox.messages.popleft()
        except IndexError:
            pass
        try:
            return self.recv()
        except Closed:
            raise StopIteration from None

    def listen(self, callback: Callable[[Message], object]) -> object:
        """Calls callback(message) on this thread for each message, until the node is closed (then
        None) or it returns something other than None, which is returned. What it raises comes out
        here, and the node goes on. It may call anything of this package."""
        check_callable(callback, "callback")
        for message in iter(self.__next__, None):
            result = callback(message)
            if result is not None:
                return result
        return None


class Subscription(_Reader):
    """A topic with an inbox of its own. Iterate over it, or recv(). Several readers compete: each
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

    def unsubscribe(self) -> None:
        """Leaves the topic. What was not read yet is gone; iteration ends. Again: nothing."""
        if self._inbox.topic is not None and not self._inbox.over:
            self._node._unsubscribe(self._inbox)

    def publish(
        self, value: object, timeout: float | None = None, confirm: bool = False
    ) -> Published | None:
        """Publishes to this topic through its codec. As Node.publish()."""
        codec = self._inbox.codec
        data = value if codec is None else codec.encode(value)
        return self._node.publish(self.topic, data, timeout, confirm)

    def __iter__(self) -> Iterator[Message]:
        return self

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.unsubscribe()
        except Closed:
            pass

    def __repr__(self) -> str:
        return f"<karakp2p.Subscription {self.topic!r}>"


def _publish_batch(
    core: _core.Sender, topic: str, messages: Iterable[object], timeout: float | None
) -> int:
    items = check_messages(messages)
    wait = _Deadline(seconds(timeout))
    sent = 0
    while True:
        left = wait.left()
        try:
            sent += core.publish_batch(topic, items, sent, to_ms(left))
        except (QueueFull, Timeout):
            return sent
        except Error:
            if sent == 0:
                raise
            return sent
        if sent == len(items):
            return sent


class Sender:
    """A way to publish that can be given to others: it holds the send queue, not the node. What it
    has queued still goes out when it is dropped. Closed once the node is."""

    def __init__(self, core: _core.Sender) -> None:
        self._core = core

    def publish(self, topic: str, data: object, timeout: float | None = None) -> None:
        """As Node.publish() without confirm."""
        self._core.publish(topic, data, 0, to_ms(seconds(timeout)))

    def try_publish(self, topic: str, data: object) -> bool:
        """As Node.try_publish()."""
        try:
            self._core.publish(topic, data, 0, 0)
        except QueueFull:
            return False
        return True

    def publish_batch(
        self, topic: str, messages: Iterable[object], timeout: float | None = None
    ) -> int:
        """As Node.publish_batch()."""
        return _publish_batch(self._core, topic, messages, timeout)

    def clone(self) -> Sender:
        """Another handle of the same queue."""
        return Sender(self._core.clone())

    def fileno(self) -> int:
        """A descriptor that is readable while a publish would be accepted. Only watch it."""
        return self._core.fileno()

    def __reduce__(self) -> Any:
        raise TypeError("a sender can not be copied or pickled; use clone()")


class Topic(TopicBase[T], Generic[T]):
    """A topic name with the codec of its values: a typed way to publish and subscribe."""

    __slots__ = ()

    def publish(
        self, value: T, timeout: float | None = None, confirm: bool = False
    ) -> Published | None:
        """Encodes the value, then as Node.publish()."""
        node: Node = self._node
        return node.publish(self.name, self._encode(value), timeout, confirm)

    def try_publish(self, value: T) -> bool:
        """Encodes the value, then as Node.try_publish()."""
        node: Node = self._node
        return node.try_publish(self.name, self._encode(value))

    def subscribe(
        self,
        validate: bool = False,
        own_messages: bool = False,
        on_invalid: OnInvalid | None = None,
    ) -> Subscription:
        """Node.subscribe() with this codec: message.value is the decoded value."""
        node: Node = self._node
        return node.subscribe(self.name, validate, own_messages, self.codec, on_invalid)


class Node(NodeBase, _Reader):
    """One peer of the network.

    with karakp2p.Node(topic="news", listen="/ip4/0.0.0.0/tcp/0") as node:
        node.publish("news", "hello")
        for message in node:
            print(message.source, bytes(message))

    topic      topics to subscribe at start; their messages come out of `for message in node`
    listen     addresses to listen on, as /ip4/127.0.0.1/tcp/0; none: the node only dials
    bootstrap  peers to join the network by, as /ip4/…/tcp/…/p2p/PEERID
    idle_timeout  seconds after which an unused connection is closed; 0 = never
    identity   a Key or its text; none: a new one at every start
    on_event   called with each Event that is no message (dropped, failed publishes, peer_up …, as
               key `events` says), on whichever thread of yours waits for this node
    config     every other key of the library: see karakp2p.Config

    Wrong values raise Invalid with the key in the text. Methods may be called by any thread."""

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
        super().__init__(topic, named, dict(config), on_event)
        self._inbox = self._default
        self._lock = threading.RLock()  # signal handlers may call us, too
        self._leader: _Waker | None = None  # who watches inbox 0
        self._waiting: dict[_Waker, Inbox | None] = {}  # and for which inbox
        self._calls: dict[int, _Call] = {}

    @property
    def _node(self) -> Node:  # type: ignore[override]
        return self

    # --- life ---

    def start(self) -> Node:
        """Binds all listeners, then starts the node's threads; returns the node. A bootstrap peer
        that is down does not make it fail. StateError when started before, AddressInUse or
        AccessDenied with the address in the text: then it can be started again."""
        self._core.start()
        self._started = True
        return self

    def close(self, timeout: float | None = CLOSE_S) -> None:
        """Says goodbye, sends what is queued, ends the node; waits until that is done. `timeout`
        (seconds) is the budget for all of it, None = as long as it takes. Any thread, any number
        of times. Waiting calls end with Closed; messages that have arrived can still be read."""
        drain = to_ms(seconds(timeout))
        self._closed = True
        self._core.close(drain, -1)
        self._settle()
        while self._started and not self._over:
            self._settle()

    def __enter__(self) -> Node:
        if not self._started:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Message]:
        return self

    def _forked(self) -> None:
        super()._forked()
        self._lock = threading.RLock()
        self._leader = None
        self._waiting.clear()
        self._calls.clear()

    # --- waiting ---

    def _block(self, inbox: Inbox | None, call: _Call | None, wait: _Deadline) -> None:
        """Waits until the inbox may have something, the call may be done, or time is over."""
        idle = _idle.wakers
        me = idle.pop() if idle else _Waker()
        try:
            with self._lock:
                if call is not None:
                    if call.done or self._over:
                        return
                    call.waker = me
                if inbox is not None and (inbox.over or inbox.messages):
                    return
                self._waiting[me] = inbox
                if self._leader is None:
                    self._leader = me
                # a signal handler may wait while its thread leads: nobody else can do it then
                lead = self._leader.thread == me.thread
            poller = select.poll()
            poller.register(me, select.POLLIN)
            if inbox is not None:
                poller.register(self._core.inbox_fd(inbox.number), select.POLLIN)
            if lead and not self._over:
                poller.register(self._core.inbox_fd(0), select.POLLIN)
            left = wait.left()
            poller.poll(None if left is None else to_ms(left))
            if lead:
                self._drain()
        finally:
            self._leave(me)
            idle.append(me)

    def _leave(self, me: _Waker) -> None:
        with self._lock:
            self._waiting.pop(me, None)
            me.clear()
            if self._leader is me:
                self._leader = None
            if self._leader is None and self._waiting:
                next(iter(self._waiting)).wake()  # to lead

    def _wake(self, inbox: Inbox | None) -> None:
        """Ends the waits for an inbox, or all of them."""
        for waker, waits_for in list(self._waiting.items()):
            if inbox is None or waits_for is inbox:
                waker.wake()

    def _share(self, inbox: Inbox) -> None:
        """More than one message was taken: others that wait for the inbox do not see that by its
        descriptor any more."""
        if self._waiting:
            with self._lock:
                self._wake(inbox)

    def _dispatch(self, event: Event) -> None:
        with self._lock:
            super()._dispatch(event)

    def _complete(self, event: Event) -> None:
        call = self._calls.get(event.token)
        if call is None:
            return
        call.events.append(event)
        if not event.more:
            call.done = True
            del self._calls[event.token]
            if call.waker is not None:
                call.waker.wake()

    def _drain(self) -> None:
        """Takes what inbox 0 holds, and tells whom it concerns."""
        with self._lock:
            if self._over:
                return
            if self._drain_zero():
                self._wake(self._default)
            if self._over:
                self._wake(None)

    def _settle(self) -> None:
        """Between two batches: answers, log lines and reports that have come meanwhile."""
        if self._started:
            self._drain()
        self._report()

    # --- requests ---

    def _call(self, start: Callable[[int], object], wait: _Deadline | None) -> list[Event]:
        """Starts something that is given a token, and waits for its final event; its events.
        Raises what it ended with."""
        token = next(self._tokens)
        call = self._calls[token] = _Call()
        try:
            start(token)
            self._await(call, wait)
        except BaseException:
            if self._calls.pop(token, None) is not None:
                self._cancel(token)
            raise
        finally:
            self._report()
        error = failure(call.events[-1])
        if error is not None:
            raise error
        return call.events

    def _await(self, call: _Call, wait: _Deadline | None) -> None:
        until = wait or _Deadline(None)
        while not call.done:
            if self._over:
                raise Closed(ECLOSED, "the node is closed")
            if until.passed():
                raise Timeout(ETIMEDOUT, f"not finished within {until.given:g} s")
            self._block(None, call, until)

    def _request(
        self, op: int, arg: str, options: str = "", timeout: float | None = None
    ) -> list[Event]:
        """A request of the library, which itself keeps the time limit."""
        limit = seconds(timeout)
        ms = 0 if limit is None else max(1, to_ms(limit))
        if not self._started:
            self._core.request(op, arg, options, ms, 0)
            return []
        return self._call(lambda token: self._core.request(op, arg, options, ms, token), None)

    # --- topics ---

    def subscribe(
        self,
        topic: str,
        validate: bool = False,
        own_messages: bool = False,
        codec: Codec[Any] | None = None,
        on_invalid: OnInvalid | None = None,
    ) -> Subscription:
        """Joins a topic and gives it an inbox of its own. Again for the same topic: new options,
        and the same inbox.

        validate      messages are forwarded only after message.accept(); no verdict in time, or
                      ignore(): not forwarded; reject() also counts against the sender
        own_messages  this node's own messages arrive too
        codec         decode(bytes) makes message.value
        on_invalid    called as on_invalid(message, error) for what does not decode; such messages
                      are counted and skipped, and rejected when validated

        LimitReached after 1,022 topics."""
        inbox = self._prepare_subscribe(topic, validate, own_messages, codec, on_invalid)
        try:
            self._request(OP_SUBSCRIBE, topic, inbox.options)
        except BaseException:
            if self._topics.get(topic) is not inbox:
                self._inboxes.pop(inbox.number, None)
            raise
        self._topics[topic] = inbox
        return Subscription(self, inbox)

    def unsubscribe(self, topic: str) -> None:
        """Leaves a topic, however it was joined."""
        inbox = self._topics.get(topic)
        if inbox is not None:
            self._unsubscribe(inbox)
        else:
            self._request(OP_UNSUBSCRIBE, topic)

    def _unsubscribe(self, inbox: Inbox) -> None:
        self._request(OP_UNSUBSCRIBE, inbox.topic or "")
        with self._lock:
            self._forget(inbox)
            self._wake(inbox)

    def topic(self, name: str, codec: Codec[T] | None = None) -> Topic[T]:
        """The name with a codec, to publish and subscribe typed values."""
        return Topic(self, name, codec)

    # --- sending ---

    @overload
    def publish(
        self, topic: str, data: object, timeout: float | None, confirm: Literal[True]
    ) -> Published: ...
    @overload
    def publish(
        self, topic: str, data: object, timeout: float | None = None, *, confirm: Literal[True]
    ) -> Published: ...
    @overload
    def publish(
        self, topic: str, data: object, timeout: float | None = None, confirm: bool = False
    ) -> Published | None: ...

    def publish(
        self, topic: str, data: object, timeout: float | None = None, confirm: bool = False
    ) -> Published | None:
        """Queues a message for everyone who subscribes to the topic.

        data is str (sent as UTF-8), bytes-like, or has __bytes__. Waits for room in the send queue
        at most `timeout` seconds (None: as long as it takes; 0: not at all, then QueueFull), in
        the order of calls. Returns once it is accepted. With confirm it returns Published(id,
        peers) once it is on its way, or raises Duplicate, NoPeers or Expired. Timeout, TooBig
        (max_message_size), Invalid, Closed."""
        limit = seconds(timeout)
        if not confirm:
            self._sender.publish(topic, data, 0, to_ms(limit))
            return None
        if not self._started:
            raise StateError(ESTATE, "publish: confirm needs a started node")
        wait = _Deadline(limit)
        events = self._call(
            lambda token: self._sender.publish(topic, data, token, to_ms(limit)), wait
        )
        return Published(events[-1].id or b"", events[-1].count)

    def try_publish(self, topic: str, data: object) -> bool:
        """publish() without waiting; False when the send queue is full."""
        try:
            self._sender.publish(topic, data, 0, 0)
        except QueueFull:
            return False
        return True

    def publish_batch(
        self, topic: str, messages: Iterable[object], timeout: float | None = None
    ) -> int:
        """Queues many messages at once, which costs less than one by one. Waits for room as
        publish(); how many were accepted, from the first on: all, unless `timeout` was over. What
        the library refuses raises only when it is the first, and ends the batch otherwise."""
        return _publish_batch(self._sender, topic, messages, timeout)

    def sender(self) -> Sender:
        """A handle on the send queue for other threads or libraries."""
        return Sender(self._sender.clone())

    def send(self, peer: str, protocol: str, data: object, timeout: float | None = None) -> None:
        """Sends a direct message to one connected peer, on a stream of that protocol; there it
        arrives if the peer did add_protocol(). Waits until it is written, at most `timeout`
        seconds. NotFound, ProtocolError, QueueFull, Timeout, TooBig."""
        if not self._started:
            raise StateError(ESTATE, "send: the node has not been started")
        limit = seconds(timeout)
        self._call(
            lambda token: self._sender.send(peer, protocol, data, token, to_ms(limit)),
            _Deadline(limit),
        )

    def add_protocol(self, protocol: str) -> None:
        """Accepts direct messages of that protocol. They come out of `for message in node`, with
        message.protocol set."""
        self._request(OP_ADD_PROTOCOL, protocol)

    # --- peers ---

    def ping(self, peer: str, timeout: float | None = None) -> float:
        """Round trip to a peer in seconds. NotFound when it is not connected, Timeout."""
        self._need_start("ping")
        return self._request(OP_PING, peer, "", timeout)[-1].rtt

    def connect(self, addr: str, timeout: float | None = None) -> str:
        """Connects to a multiaddress or a peer id; the peer id. Unreachable, PeerIdMismatch,
        Timeout, NotFound."""
        self._need_start("connect")
        return self._request(OP_CONNECT, addr, "", timeout)[-1].peer or ""

    def disconnect(self, peer: str) -> None:
        """Closes all connections to a peer. NotFound when there is none."""
        self._need_start("disconnect")
        self._request(OP_DISCONNECT, peer)

    def find_peer(self, peer: str, timeout: float | None = None) -> list[str]:
        """Addresses of a peer, looked up in the DHT. NotFound, Timeout."""
        self._need_start("find_peer")
        return addresses_of(self._request(OP_FIND_PEER, peer, "", timeout))

    # --- introspection ---

    def addresses(self) -> list[str]:
        """Where others can reach this node, each with /p2p/PEERID: what `bootstrap` takes."""
        return list(self._info("addresses"))

    def peers(self) -> list[PeerInfo]:
        """The connected peers."""
        return list(self._info("peers"))

    def mesh(self, topic: str) -> list[str]:
        """The peer ids of a topic's mesh."""
        return [peer["peer"] for peer in self.peers() if topic in peer["mesh"]]

    def topics(self) -> list[TopicInfo]:
        """The subscribed topics: mesh size, known subscribers."""
        return list(self._info("topics"))

    def stats(self) -> dict[str, int]:
        """All counters and gauges by name. After close: the last values."""
        return dict(self._info("stats"))
