"""KarakP2P: decentralized publish-subscribe over libp2p.

    import karakp2p

    with karakp2p.Node(topic="news", listen="/ip4/0.0.0.0/tcp/0") as node:
        node.publish("news", "hello")
        for message in node:
            print(message.source, bytes(message))

This module blocks; karakp2p.aio has the same names for asyncio. All times are in seconds."""

from __future__ import annotations

from . import _core
from ._base import (
    JSON,
    Codec,
    JSONCodec,
    Key,
    PeerInfo,
    Published,
    TopicInfo,
    peer_id,
)
from ._config import Config
from ._core import Event, Message
from ._errors import (
    AccessDenied,
    AddressInUse,
    Canceled,
    Closed,
    Duplicate,
    Error,
    Expired,
    ForkedError,
    Internal,
    Interrupted,
    Invalid,
    LimitReached,
    NoMemory,
    NoPeers,
    NotFound,
    NotSupported,
    PeerIdMismatch,
    ProtocolError,
    QueueFull,
    StateError,
    Timeout,
    TooBig,
    Unreachable,
)
from ._node import Node, Sender, Subscription, Topic

__version__ = "0.1.0"


def version() -> str:
    """The versions of the C library and of the libraries it runs on, for people."""
    return _core.version()


__all__ = [
    "JSON",
    "AccessDenied",
    "AddressInUse",
    "Canceled",
    "Closed",
    "Codec",
    "Config",
    "Duplicate",
    "Error",
    "Event",
    "Expired",
    "ForkedError",
    "Internal",
    "Interrupted",
    "Invalid",
    "JSONCodec",
    "Key",
    "LimitReached",
    "Message",
    "NoMemory",
    "NoPeers",
    "Node",
    "NotFound",
    "NotSupported",
    "PeerIdMismatch",
    "PeerInfo",
    "ProtocolError",
    "Published",
    "QueueFull",
    "Sender",
    "StateError",
    "Subscription",
    "Timeout",
    "TooBig",
    "Topic",
    "TopicInfo",
    "Unreachable",
    "peer_id",
    "version",
]
