using System;

namespace KarakP2P {
  /// <summary>A call failed. Code is the number that the C library gives, Name its name there; the message
  /// says which key, address, peer or argument it is about. Each code has a class of its own.</summary>
  public class KarakException : Exception {
    private static readonly string[] names = {
      "EINTERNAL", "EINVAL", "ENOMEM", "EAGAIN", "ETIMEDOUT", "EINTR",
      "ECLOSED", "ECANCELED", "EFORKED", "ESTATE", "ENOTFOUND", "ETOOBIG",
      "EDUPLICATE", "ENOPEERS", "EEXPIRED", "EUNREACHABLE", "EPROTO", "EADDRINUSE",
      "EACCES", "ELIMIT", "ENOTSUP", "EPEERID"
    };

    internal KarakException(int code, string message) : base(message) {
      Code = code;
    }

    /// <summary>The KP2P_E… number of the C library, below 0.</summary>
    public int Code { get; }

    /// <summary>The name of the code, as ECLOSED.</summary>
    public string Name => -Code <= names.Length ? names[-Code - 1] : "E" + -Code;

    /// <summary>The exception of a code, also of one that only a newer library knows.</summary>
    public static KarakException Of(int code, string text) {
      switch (code) {
        case -1: return new InternalException(text);
        case -2: return new InvalidException(text);
        case -3: return new NoMemoryException(text);
        case -4: return new QueueFullException(text);
        case -5: return new TimedOutException(text);
        case -6: return new InterruptedException(text);
        case -7: return new ClosedException(text);
        case -8: return new CanceledException(text);
        case -9: return new ForkedException(text);
        case -10: return new StateException(text);
        case -11: return new NotFoundException(text);
        case -12: return new TooBigException(text);
        case -13: return new DuplicateException(text);
        case -14: return new NoPeersException(text);
        case -15: return new ExpiredException(text);
        case -16: return new UnreachableException(text);
        case -17: return new ProtocolException(text);
        case -18: return new AddressInUseException(text);
        case -19: return new AccessDeniedException(text);
        case -20: return new LimitReachedException(text);
        case -21: return new NotSupportedException(text);
        case -22: return new PeerIdMismatchException(text);
        default: return new KarakException(code, text);
      }
    }
  }

  /// <summary>EINTERNAL: a bug of the library, or a failure of the system it cannot name.</summary>
  public sealed class InternalException : KarakException {
    internal InternalException(string text) : base(-1, text) {}
  }

  /// <summary>EINVAL: an argument, key or value is wrong.</summary>
  public sealed class InvalidException : KarakException {
    internal InvalidException(string text) : base(-2, text) {}
  }

  /// <summary>ENOMEM: the system, or the node's memory budget, has none left.</summary>
  public sealed class NoMemoryException : KarakException {
    internal NoMemoryException(string text) : base(-3, text) {}
  }

  /// <summary>EAGAIN: the send queue is full, or too many requests are in flight.</summary>
  public sealed class QueueFullException : KarakException {
    internal QueueFullException(string text) : base(-4, text) {}
  }

  /// <summary>ETIMEDOUT: the time given, or the operation's own, has passed.</summary>
  public sealed class TimedOutException : KarakException {
    internal TimedOutException(string text) : base(-5, text) {}
  }

  /// <summary>EINTR: a wait was interrupted.</summary>
  public sealed class InterruptedException : KarakException {
    internal InterruptedException(string text) : base(-6, text) {}
  }

  /// <summary>ECLOSED: the node is closing or closed, or the subscription has ended.</summary>
  public sealed class ClosedException : KarakException {
    internal ClosedException(string text) : base(-7, text) {}
  }

  /// <summary>ECANCELED: the operation was cancelled.</summary>
  public sealed class CanceledException : KarakException {
    internal CanceledException(string text) : base(-8, text) {}
  }

  /// <summary>EFORKED: the object was made before a fork.</summary>
  public sealed class ForkedException : KarakException {
    internal ForkedException(string text) : base(-9, text) {}
  }

  /// <summary>ESTATE: not possible in this state: not started, or started already.</summary>
  public sealed class StateException : KarakException {
    internal StateException(string text) : base(-10, text) {}
  }

  /// <summary>ENOTFOUND: no such peer, topic, record or request.</summary>
  public sealed class NotFoundException : KarakException {
    internal NotFoundException(string text) : base(-11, text) {}
  }

  /// <summary>ETOOBIG: larger than a limit; the text says size and limit.</summary>
  public sealed class TooBigException : KarakException {
    internal TooBigException(string text) : base(-12, text) {}
  }

  /// <summary>EDUPLICATE: a message with this content was seen within the last minute.</summary>
  public sealed class DuplicateException : KarakException {
    internal DuplicateException(string text) : base(-13, text) {}
  }

  /// <summary>ENOPEERS: nobody to send to.</summary>
  public sealed class NoPeersException : KarakException {
    internal NoPeersException(string text) : base(-14, text) {}
  }

  /// <summary>EEXPIRED: held for a subscriber until publish.hold ran out.</summary>
  public sealed class ExpiredException : KarakException {
    internal ExpiredException(string text) : base(-15, text) {}
  }

  /// <summary>EUNREACHABLE: no address of the peer answers.</summary>
  public sealed class UnreachableException : KarakException {
    internal UnreachableException(string text) : base(-16, text) {}
  }

  /// <summary>EPROTO: the peer broke, or does not speak, the protocol.</summary>
  public sealed class ProtocolException : KarakException {
    internal ProtocolException(string text) : base(-17, text) {}
  }

  /// <summary>EADDRINUSE: a listen address is taken.</summary>
  public sealed class AddressInUseException : KarakException {
    internal AddressInUseException(string text) : base(-18, text) {}
  }

  /// <summary>EACCES: the system, or the deny list, forbids it.</summary>
  public sealed class AccessDeniedException : KarakException {
    internal AccessDeniedException(string text) : base(-19, text) {}
  }

  /// <summary>ELIMIT: a configured or built-in limit is reached.</summary>
  public sealed class LimitReachedException : KarakException {
    internal LimitReachedException(string text) : base(-20, text) {}
  }

  /// <summary>ENOTSUP: not built, or not of this kind.</summary>
  public sealed class NotSupportedException : KarakException {
    internal NotSupportedException(string text) : base(-21, text) {}
  }

  /// <summary>EPEERID: the peer is not who its address says.</summary>
  public sealed class PeerIdMismatchException : KarakException {
    internal PeerIdMismatchException(string text) : base(-22, text) {}
  }
}
