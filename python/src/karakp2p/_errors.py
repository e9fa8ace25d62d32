"""The exceptions: one class for each code of the C library, named after the code."""

from __future__ import annotations


class Error(Exception):
    """A call failed. `code` is the number that the C library gives, `name` its name there without
    the prefix ("ECLOSED"), `message` says which key, address, peer or argument it is about."""

    code: int
    name: str
    message: str

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.name = NAMES.get(code, f"E{-code}")
        self.message = message

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, tuple[int, str]]:
        return make, (self.code, self.message)


class Internal(Error):
    """A bug of the library, or a failure of the system that it can not name."""


class Invalid(Error, ValueError):
    """An argument, configuration key or value is wrong."""


class NoMemory(Error, MemoryError):
    """The system, or the node's memory budget, has none left."""


class QueueFull(Error):
    """The send queue is full, or too many requests are in flight: try later."""


class Timeout(Error, TimeoutError):
    """The time given, or the operation's own, has passed."""


class Interrupted(Error):
    """A wait was interrupted. The package itself calls again, so this is not seen."""


class Closed(Error, ConnectionError):
    """The node is closing or closed, or the subscription has ended."""


class Canceled(Error):
    """The operation was cancelled."""


class ForkedError(Error):
    """The object was made before a fork, in the parent process."""


class StateError(Error):
    """Not possible in this state: the node is not started, or started already."""


class NotFound(Error, LookupError):
    """No such peer, topic, record or request."""


class TooBig(Error, ValueError):
    """Larger than a limit; the message says size and limit."""


class Duplicate(Error):
    """A message with this content was seen within the last minute: nothing was sent."""


class NoPeers(Error):
    """Nobody to send to."""


class Expired(Error):
    """Held for a subscriber until `publish_hold` ran out."""


class Unreachable(Error, ConnectionError):
    """No address of the peer answers."""


class ProtocolError(Error):
    """The peer broke, or does not speak, the protocol."""


class AddressInUse(Error, OSError):
    """A listen address is taken."""


class AccessDenied(Error, PermissionError):
    """The system, or the deny list, forbids it."""


class LimitReached(Error):
    """A configured or built-in limit is reached."""


class NotSupported(Error, NotImplementedError):
    """Not built, or not of this kind."""


class PeerIdMismatch(Error, ConnectionError):
    """The peer is not who its address says."""


CODES: dict[int, tuple[str, type[Error]]] = {
    -1: ("EINTERNAL", Internal),
    -2: ("EINVAL", Invalid),
    -3: ("ENOMEM", NoMemory),
    -4: ("EAGAIN", QueueFull),
    -5: ("ETIMEDOUT", Timeout),
    -6: ("EINTR", Interrupted),
    -7: ("ECLOSED", Closed),
    -8: ("ECANCELED", Canceled),
    -9: ("EFORKED", ForkedError),
    -10: ("ESTATE", StateError),
    -11: ("ENOTFOUND", NotFound),
    -12: ("ETOOBIG", TooBig),
    -13: ("EDUPLICATE", Duplicate),
    -14: ("ENOPEERS", NoPeers),
    -15: ("EEXPIRED", Expired),
    -16: ("EUNREACHABLE", Unreachable),
    -17: ("EPROTO", ProtocolError),
    -18: ("EADDRINUSE", AddressInUse),
    -19: ("EACCES", AccessDenied),
    -20: ("ELIMIT", LimitReached),
    -21: ("ENOTSUP", NotSupported),
    -22: ("EPEERID", PeerIdMismatch),
}
NAMES: dict[int, str] = {code: name for code, (name, _) in CODES.items()}


def make(code: int, message: str) -> Error:
    """The exception for a code, also for codes of a newer library."""
    _, cls = CODES.get(code, ("", Error))
    return cls(code, message)
