package org.karakp2p;

import static java.nio.charset.StandardCharsets.UTF_8;

/** A call failed. The code is the number that the C library gives, the name its name there; the message
 * says which key, address, peer or argument it is about. Each code has a class of its own. */
public class KarakException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private static final String[] NAMES = {
    "EINTERNAL", "EINVAL", "ENOMEM", "EAGAIN", "ETIMEDOUT", "EINTR",
    "ECLOSED", "ECANCELED", "EFORKED", "ESTATE", "ENOTFOUND", "ETOOBIG",
    "EDUPLICATE", "ENOPEERS", "EEXPIRED", "EUNREACHABLE", "EPROTO", "EADDRINUSE",
    "EACCES", "ELIMIT", "ENOTSUP", "EPEERID"
  };

  private final int code;

  KarakException(int code, String message) {
    super(message);
    this.code = code;
  }

  /** The KP2P_E… number of the C library, below 0. */
  public int code() {
    return code;
  }

  /** The name of the code, as ECLOSED. */
  public String codeName() {
    return -code <= NAMES.length ? NAMES[-code - 1] : "E" + -code;
  }

  /** What the native wrapper calls; the text is UTF-8. */
  static KarakException of(int code, byte[] text) {
    return of(code, new String(text, UTF_8));
  }

  /** The exception of a code, also of one that only a newer library knows. */
  public static KarakException of(int code, String text) {
    return switch (code) {
      case -1 -> new Internal(code, text);
      case -2 -> new Invalid(code, text);
      case -3 -> new NoMemory(code, text);
      case -4 -> new QueueFull(code, text);
      case -5 -> new Timeout(code, text);
      case -6 -> new Interrupted(code, text);
      case -7 -> new Closed(code, text);
      case -8 -> new Canceled(code, text);
      case -9 -> new Forked(code, text);
      case -10 -> new State(code, text);
      case -11 -> new NotFound(code, text);
      case -12 -> new TooBig(code, text);
      case -13 -> new Duplicate(code, text);
      case -14 -> new NoPeers(code, text);
      case -15 -> new Expired(code, text);
      case -16 -> new Unreachable(code, text);
      case -17 -> new Protocol(code, text);
      case -18 -> new AddressInUse(code, text);
      case -19 -> new AccessDenied(code, text);
      case -20 -> new LimitReached(code, text);
      case -21 -> new NotSupported(code, text);
      case -22 -> new PeerIdMismatch(code, text);
      default -> new KarakException(code, text);
    };
  }

  /** EINTERNAL: a bug of the library, or a failure of the system it cannot name. */
  public static final class Internal extends KarakException {
    private static final long serialVersionUID = 1;

    Internal(int code, String text) {
      super(code, text);
    }
  }

  /** EINVAL: an argument, key or value is wrong. */
  public static final class Invalid extends KarakException {
    private static final long serialVersionUID = 1;

    Invalid(int code, String text) {
      super(code, text);
    }
  }

  /** ENOMEM: the system, or the node's memory budget, has none left. */
  public static final class NoMemory extends KarakException {
    private static final long serialVersionUID = 1;

    NoMemory(int code, String text) {
      super(code, text);
    }
  }

  /** EAGAIN: the send queue is full, or too many requests are in flight. */
  public static final class QueueFull extends KarakException {
    private static final long serialVersionUID = 1;

    QueueFull(int code, String text) {
      super(code, text);
    }
  }

  /** ETIMEDOUT: the time given, or the operation's own, has passed. */
  public static final class Timeout extends KarakException {
    private static final long serialVersionUID = 1;

    Timeout(int code, String text) {
      super(code, text);
    }
  }

  /** EINTR: a wait was interrupted. */
  public static final class Interrupted extends KarakException {
    private static final long serialVersionUID = 1;

    Interrupted(int code, String text) {
      super(code, text);
    }
  }

  /** ECLOSED: the node is closing or closed, or the subscription has ended. */
  public static final class Closed extends KarakException {
    private static final long serialVersionUID = 1;

    Closed(int code, String text) {
      super(code, text);
    }
  }

  /** ECANCELED: the operation was cancelled. */
  public static final class Canceled extends KarakException {
    private static final long serialVersionUID = 1;

    Canceled(int code, String text) {
      super(code, text);
    }
  }

  /** EFORKED: the object was made before a fork. */
  public static final class Forked extends KarakException {
    private static final long serialVersionUID = 1;

    Forked(int code, String text) {
      super(code, text);
    }
  }

  /** ESTATE: not possible in this state: not started, or started already. */
  public static final class State extends KarakException {
    private static final long serialVersionUID = 1;

    State(int code, String text) {
      super(code, text);
    }
  }

  /** ENOTFOUND: no such peer, topic, record or request. */
  public static final class NotFound extends KarakException {
    private static final long serialVersionUID = 1;

    NotFound(int code, String text) {
      super(code, text);
    }
  }

  /** ETOOBIG: larger than a limit; the text says size and limit. */
  public static final class TooBig extends KarakException {
    private static final long serialVersionUID = 1;

    TooBig(int code, String text) {
      super(code, text);
    }
  }

  /** EDUPLICATE: a message with this content was seen within the last minute. */
  public static final class Duplicate extends KarakException {
    private static final long serialVersionUID = 1;

    Duplicate(int code, String text) {
      super(code, text);
    }
  }

  /** ENOPEERS: nobody to send to. */
  public static final class NoPeers extends KarakException {
    private static final long serialVersionUID = 1;

    NoPeers(int code, String text) {
      super(code, text);
    }
  }

  /** EEXPIRED: held for a subscriber until publish.hold ran out. */
  public static final class Expired extends KarakException {
    private static final long serialVersionUID = 1;

    Expired(int code, String text) {
      super(code, text);
    }
  }

  /** EUNREACHABLE: no address of the peer answers. */
  public static final class Unreachable extends KarakException {
    private static final long serialVersionUID = 1;

    Unreachable(int code, String text) {
      super(code, text);
    }
  }

  /** EPROTO: the peer broke, or does not speak, the protocol. */
  public static final class Protocol extends KarakException {
    private static final long serialVersionUID = 1;

    Protocol(int code, String text) {
      super(code, text);
    }
  }

  /** EADDRINUSE: a listen address is taken. */
  public static final class AddressInUse extends KarakException {
    private static final long serialVersionUID = 1;

    AddressInUse(int code, String text) {
      super(code, text);
    }
  }

  /** EACCES: the system, or the deny list, forbids it. */
  public static final class AccessDenied extends KarakException {
    private static final long serialVersionUID = 1;

    AccessDenied(int code, String text) {
      super(code, text);
    }
  }

  /** ELIMIT: a configured or built-in limit is reached. */
  public static final class LimitReached extends KarakException {
    private static final long serialVersionUID = 1;

    LimitReached(int code, String text) {
      super(code, text);
    }
  }

  /** ENOTSUP: not built, or not of this kind. */
  public static final class NotSupported extends KarakException {
    private static final long serialVersionUID = 1;

    NotSupported(int code, String text) {
      super(code, text);
    }
  }

  /** EPEERID: the peer is not who its address says. */
  public static final class PeerIdMismatch extends KarakException {
    private static final long serialVersionUID = 1;

    PeerIdMismatch(int code, String text) {
      super(code, text);
    }
  }
}
