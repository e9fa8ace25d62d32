"""What the blocking and the asyncio node share: configuration, inbox bookkeeping, dispatch of
events, introspection. Nothing here waits."""

from __future__ import annotations

import atexit
import itertools
import json
import logging
import math
import os
import sys
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypedDict, TypeVar

from . import _core, _errors
from ._config import KEYS
from ._core import Event, Message
from ._errors import Closed, Error, Invalid, LimitReached, NotFound, StateError

logger = logging.getLogger("karakp2p")

BATCH = 256  # events taken at once
DRAIN_BATCHES = 16  # of inbox 0, before anything else has its turn
DIRECT_MAX = 65536  # direct messages that may wait, as inbox.max_messages by default
DEFAULT_INBOX = 1  # of topics without an iterator of their own; 0 is for answers and reports
INBOXES = 1024
WAIT_MS_MAX = 2_000_000_000
CLOSE_S = 2.0  # budget of the goodbye unless close() is given another

OP_CONNECT, OP_DISCONNECT, OP_PING, OP_SUBSCRIBE, OP_UNSUBSCRIBE, OP_ADD_PROTOCOL = range(1, 7)
OP_FIND_PEER = 7
KEY_ED25519 = 1
EV_PUBLISHED, EV_COMPLETE, EV_DROPPED, EV_LOG = 3, 7, 8, 9
EINVAL, EAGAIN, ETIMEDOUT, ECLOSED, ESTATE, ENOTFOUND, ELIMIT = -2, -4, -5, -7, -10, -11, -20

LOG_LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
T_co = TypeVar("T_co", covariant=True)


class Codec(Protocol[T]):
    """How values of a topic become bytes and back. An encode that raises fails the publish before
    anything is queued; what decode raises on never reaches the reader."""

    def encode(self, value: T, /) -> Any:
        """str, bytes-like, or an object with __bytes__."""

    def decode(self, data: bytes, /) -> T:
        """The value, or any exception when the bytes are not one."""


class JSONCodec:
    """Values as compact JSON in UTF-8."""

    def encode(self, value: object, /) -> bytes:
        """TypeError or ValueError for what JSON can not say, NaN included."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode()

    def decode(self, data: bytes, /) -> Any:
        """ValueError for what is not JSON."""
        return json.loads(data)


JSON = JSONCodec()
OnInvalid = Callable[[Message, Exception], object]
OnEvent = Callable[[Event], object]


class Published(NamedTuple):
    """The fate of a confirmed publish."""

    id: bytes
    """Message id."""
    peers: int
    """How many peers it was queued for."""


class PeerInfo(TypedDict):
    """One connected peer, as peers() tells it."""

    peer: str
    addrs: list[str]
    direction: str
    agent: str
    rtt_us: int | None
    topics: list[str]
    mesh: list[str]
    score: float
    score_parts: dict[str, Any]
    connections: int


class TopicInfo(TypedDict):
    """One topic, as topics() tells it."""

    topic: str
    mesh: int
    subscribers: int
    inbox: int


class Key:
    """A node's private key: what `identity` takes. Keep it and the node keeps its peer id.

    The text is the base64 of the libp2p PrivateKey protobuf, the same as in a key file of the
    karakp2p command. repr() does not show it."""

    __slots__ = ("_text", "peer_id")

    peer_id: str
    """The peer id that belongs to it, base58."""

    def __init__(self, text: str) -> None:
        self._text = text.strip() if isinstance(text, str) else text
        self.peer_id = _core.key_peer_id(self._text)

    @classmethod
    def generate(cls) -> Key:
        """A new Ed25519 key."""
        return cls(_core.key_generate(KEY_ED25519))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Key:
        """The key in that file; a new one, written there with mode 0600, when there is none."""
        try:
            with open(path, encoding="ascii") as file:
                return cls(file.read())
        except FileNotFoundError:
            key = cls.generate()
        # whole from the start, and the first of several processes wins
        new = f"{os.fsdecode(path)}.{os.getpid()}.{threading.get_ident()}"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(fd, "w", encoding="ascii") as file:
                file.write(str(key) + "\n")
            os.link(new, path)
        except FileExistsError:
            return cls.from_file(path)
        finally:
            os.unlink(new)
        return key

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<karakp2p.Key of {self.peer_id}>"

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Key) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)


def peer_id(text: str) -> str:
    """A peer id in base58, given in base58 or as a CIDv1. Invalid when it is neither."""
    return _core.peer_id_parse(text)


# --- arguments -----------------------------------------------------------------------------------


def seconds(value: object, name: str = "timeout") -> float | None:
    """A time in seconds, or None for no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be seconds or None, not {type(value).__name__}")
    if math.isnan(value) or value < 0:
        raise Invalid(EINVAL, f"{name} {value!r}: seconds, 0 or more, or None for no limit")
    return value


def to_ms(value: float | None) -> int:
    """Milliseconds for the C library: rounded up, -1 for no limit."""
    if value is None:
        return -1
    return min(math.ceil(min(value, WAIT_MS_MAX) * 1000), WAIT_MS_MAX)


def config_text(key: str, kind: str, value: object) -> str:
    """The text of one value of a configuration key."""
    if isinstance(value, str):
        return value
    if isinstance(value, Key):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        if kind == "duration":
            if not math.isfinite(value) or value < 0:
                raise Invalid(EINVAL, f"{key}: {value!r} is not a time in seconds")
            return f"{round(value * 1000)}ms"
        return repr(value)
    raise TypeError(f"{key}: str, int, float, bool or a list of them, not {type(value).__name__}")


def config_pairs(given: dict[str, object]) -> list[tuple[str, str]]:
    """Keys and texts for the C library. None = not given."""
    pairs: list[tuple[str, str]] = []
    for name, value in given.items():
        if value is None:
            continue
        key, kind = KEYS.get(name, (name, "text"))
        if isinstance(value, (list, tuple, set, frozenset)):
            texts = [config_text(key, kind, v) for v in value]
            if kind == "set":
                texts = [",".join(texts)]
        else:
            texts = [config_text(key, kind, value)]
        pairs.extend((key, text) for text in texts)
    return pairs


def topic_list(topic: object) -> list[str]:
    """The topics of the `topic` argument."""
    if topic is None:
        return []
    if isinstance(topic, str):
        return [topic]
    if not isinstance(topic, (list, tuple, set, frozenset)):
        raise TypeError(f"topic: str or a list of str, not {type(topic).__name__}")
    for t in topic:
        if not isinstance(t, str):
            raise TypeError(f"topic: str or a list of str, not {type(t).__name__} in it")
    return list(topic)


# --- inboxes -------------------------------------------------------------------------------------


class Inbox:
    """One numbered inbox and the one batch that was taken from it and not handed out yet."""

    __slots__ = (
        "codec", "dropped", "fd", "invalid", "messages", "number", "on_invalid", "options",
        "over", "topic", "waiters",
    )  # fmt: skip

    def __init__(self, number: int, topic: str | None) -> None:
        self.number = number
        self.topic = topic
        self.options = ""
        self.messages: deque[Message] = deque()
        self.codec: Codec[Any] | None = None
        self.on_invalid: OnInvalid | None = None
        self.dropped = 0
        self.invalid = 0
        self.over = False  # unsubscribed or closed: what is in `messages` is the last
        self.waiters: deque[Any] = deque()  # asyncio: futures of those who wait for it
        self.fd = -1  # asyncio: what the loop watches for them

    def put(self, messages: list[Message]) -> None:
        """Takes a polled batch in: decodes it when there is a codec."""
        if self.codec is None:
            self.messages.extend(messages)
            return
        for message in messages:
            self._decode(message, self.codec)

    def _decode(self, message: Message, codec: Codec[Any]) -> None:
        try:
            _core.set_value(message, codec.decode(bytes(message)))
        except Exception as e:
            self.invalid += 1
            if self.on_invalid is not None:
                try:
                    self.on_invalid(message, e)
                except Exception:
                    logger.exception("on_invalid of topic %r raised", self.topic)
            message.reject()  # no effect without validation, or after another verdict
        else:
            self.messages.append(message)

    def put_direct(self, messages: list[Message]) -> None:
        """Takes direct messages in. They have no inbox of their own in the library, so they are
        bounded here."""
        self.messages.extend(messages)
        while len(self.messages) > DIRECT_MAX:
            self.messages.popleft()
            self.dropped += 1


# --- every node, for exit and fork ----------------------------------------------------------------

_nodes: weakref.WeakSet[NodeBase] = weakref.WeakSet()


def _close_all() -> None:
    """At exit: all nodes say goodbye at once, 2 seconds at most."""
    live = [node for node in list(_nodes) if node._started and not node._closed]
    for node in live:
        node._closed = True
        try:
            node._core.close(2000, 0)
        except Error:
            pass
    for node in live:
        try:
            node._core.close(2000, 2500)
        except Error:
            pass


def _after_fork() -> None:
    for node in list(_nodes):
        node._forked()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)


class NodeBase:
    """A peer of the network. See karakp2p.Node and karakp2p.aio.Node."""

    def __init__(
        self,
        topic: object,
        named: dict[str, object],
        config: dict[str, Any],
        on_event: OnEvent | None,
    ) -> None:
        self._closed = True  # until there is something to close
        self._started = False
        self._over = False  # inbox 0 has said CLOSED
        if on_event is not None and not callable(on_event):
            raise TypeError("on_event must be callable")
        topics = topic_list(topic)
        self._core = _core.Node(config_pairs(named | config))
        self._sender = self._core.sender()
        self._on_event = on_event
        self._tokens = itertools.count(1)
        self._inboxes: dict[int, Inbox] = {DEFAULT_INBOX: Inbox(DEFAULT_INBOX, None)}
        self._default = self._inboxes[DEFAULT_INBOX]
        self._topics: dict[str, Inbox] = {}
        self._reports: deque[Event] = deque()
        self._closed = False
        for t in topics:
            self._core.request(OP_SUBSCRIBE, t, f"inbox={DEFAULT_INBOX}", 0, 0)
        _nodes.add(self)

    # --- identity of the object ---

    def __reduce__(self) -> Any:
        raise TypeError(
            "a node can not be copied or pickled: it owns sockets; "
            "give others its addresses() or a sender()"
        )

    def __repr__(self) -> str:
        state = "closed" if self._closed else "running" if self._started else "new"
        try:
            name = self.peer_id
        except Error as e:
            name = e.name
        return f"<{type(self).__module__}.Node {name} {state}>"

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or not self._started:
            return
        try:
            if self._core.stop_id == 0:  # forked: the parent's business
                return
            self._core.close(2000, 0)
        except Error:
            return
        if sys.is_finalizing():
            return
        warnings.warn(
            f"unclosed {self!r}: use `with`, or close()", ResourceWarning, stacklevel=2, source=self
        )

    def _forked(self) -> None:
        """In the child of a fork: whatever was taken belongs to the parent."""
        self._reports.clear()
        for inbox in self._inboxes.values():
            inbox.messages.clear()

    def _need_start(self, what: str) -> None:
        if not self._started:
            raise StateError(ESTATE, f"{what}: the node has not been started")

    # --- inboxes ---

    def _new_inbox(self, topic: str) -> Inbox:
        for number in range(DEFAULT_INBOX + 1, INBOXES):
            if number not in self._inboxes:
                inbox = self._inboxes[number] = Inbox(number, topic)
                return inbox
        raise LimitReached(ELIMIT, f"subscribe: all {INBOXES - 2} inboxes are in use")

    def _prepare_subscribe(
        self,
        topic: str,
        validate: bool,
        own_messages: bool,
        codec: Codec[Any] | None,
        on_invalid: OnInvalid | None,
    ) -> Inbox:
        if not isinstance(topic, str):
            raise TypeError(f"topic must be str, not {type(topic).__name__}")
        if on_invalid is not None and not callable(on_invalid):
            raise TypeError("on_invalid must be callable")
        check_codec(codec)
        inbox = self._topics.get(topic) or self._new_inbox(topic)
        inbox.options = f"validate={validate:d} self={own_messages:d} inbox={inbox.number}"
        inbox.codec = codec
        inbox.on_invalid = on_invalid
        return inbox

    def _forget(self, inbox: Inbox) -> None:
        """The topic was left: nothing is routed to its inbox any more. Empties that, so that its
        number can be used again."""
        inbox.over = True
        inbox.messages.clear()
        try:
            while any(self._core.poll(inbox.number, BATCH, 0)):
                pass
        except Closed:
            pass
        if inbox.topic is not None and self._topics.get(inbox.topic) is inbox:
            del self._topics[inbox.topic]
        self._inboxes.pop(inbox.number, None)

    def _take(self, inbox: Inbox) -> bool:
        """Polls without waiting when nothing is at hand. True = there is a message."""
        while not inbox.messages:
            if inbox.over:
                return False
            try:
                messages, others = self._core.poll(inbox.number, BATCH, 0)
            except Closed:
                inbox.over = True
                return False
            for event in others:
                self._dispatch(event)
            if not messages:
                return False
            inbox.put(messages)  # a codec may leave none of them
        return True

    def _ended(self, inbox: Inbox) -> Closed:
        if inbox.topic is not None and not self._closed:
            return Closed(ECLOSED, f'the subscription to "{inbox.topic}" has ended')
        return Closed(ECLOSED, "the node is closed")

    def _cancel(self, token: int) -> None:
        """Asks what has that token to end early; nobody waits for it any more."""
        try:
            self._core.cancel(token)
        except (NotFound, Closed):
            pass

    # --- events ---

    def _complete(self, event: Event) -> None:
        raise NotImplementedError

    def _dispatch(self, event: Event) -> None:
        if event.kind in (EV_COMPLETE, EV_PUBLISHED) and event.token != 0:
            self._complete(event)
            return
        if event.kind == EV_DROPPED:
            inbox = self._inboxes.get(event.inbox)
            if inbox is not None:
                inbox.dropped += event.count
        self._reports.append(event)

    def _drain_zero(self) -> bool:
        """Takes what inbox 0 holds, without waiting, up to a bound: others want their turn. True =
        direct messages came."""
        direct = False
        for _ in range(DRAIN_BATCHES):
            if self._over:
                break
            try:
                messages, others = self._core.poll(0, BATCH, 0)
            except Closed:
                self._over = True
                break
            if messages:
                self._default.put_direct(messages)
                direct = True
            for event in others:
                self._dispatch(event)
            if not messages and not others:
                break
        return direct

    def _report(self) -> None:
        """Hands events to logging and to on_event. Called while no lock is held."""
        while self._reports:
            try:
                event = self._reports.popleft()
            except IndexError:
                return
            if event.kind == EV_LOG:
                logger.log(LOG_LEVELS[min(max(event.code, 0), 3)], "%s", event.text)
                continue
            if self._on_event is None:
                continue
            try:
                self._on_event(event)
            except Exception as e:
                self._handler_raised("on_event", e)

    def _handler_raised(self, name: str, error: Exception) -> None:
        logger.error("%s of %r raised", name, self, exc_info=error)

    # --- introspection ---

    @property
    def peer_id(self) -> str:
        """This node's peer id, base58."""
        return self._core.info("peer_id")

    @property
    def dropped(self) -> int:
        """Messages of `for msg in node` that were lost because nobody took them in time."""
        return self._default.dropped

    def fileno(self) -> int:
        """A file descriptor that is readable when messages for `for msg in node` have arrived: for
        selectors, trio, gevent. A batch of them is taken at once, so read until nothing is left
        (recv_batch(256, 0) is empty) before watching again. Never read, write or close it."""
        return self._core.inbox_fd(DEFAULT_INBOX)

    def _info(self, what: str) -> Any:
        return json.loads(self._core.info(what))


class Topic(Generic[T]):
    """A topic name with the codec of its values."""

    __slots__ = ("_node", "codec", "name")

    def __init__(self, node: Any, name: str, codec: Codec[T] | None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"topic must be str, not {type(name).__name__}")
        check_codec(codec)
        self._node = node
        self.name = name
        self.codec = codec

    def __repr__(self) -> str:
        return f"<karakp2p.Topic {self.name!r}>"

    def _encode(self, value: T) -> Any:
        return value if self.codec is None else self.codec.encode(value)


def check_codec(codec: Any) -> None:
    """TypeError unless it is None or has encode and decode."""
    for name in ("encode", "decode"):
        if codec is not None and not callable(getattr(codec, name, None)):
            raise TypeError(f"codec {codec!r} has no {name}()")


def check_callable(value: Any, name: str) -> None:
    """TypeError unless it can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {type(value).__name__}")


def check_count(n: object) -> int:
    """How many messages a batch may have."""
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"n must be int, not {type(n).__name__}")
    if n < 1:
        raise Invalid(EINVAL, f"n {n}: at least 1")
    return n


def check_messages(messages: object) -> tuple[object, ...]:
    """The messages of a batch."""
    if isinstance(messages, (str, bytes, bytearray, memoryview)) or not isinstance(
        messages, Iterable
    ):
        raise TypeError(f"messages must be several, not one {type(messages).__name__}")
    return tuple(messages)


def failure(event: Event) -> Error | None:
    """The exception of a COMPLETE or PUBLISHED event, if it tells of a failure."""
    if event.code == 0:
        return None
    text = event.text or _core.strerror(event.code)
    if event.topic is not None and event.topic not in text:
        text = f'publish to "{event.topic}": {text}'
    return _errors.make(event.code, text)


def addresses_of(events: Sequence[Event]) -> list[str]:
    """The addresses that a lookup's events carry."""
    return [e.addr for e in events if e.addr is not None]
