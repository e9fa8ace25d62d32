using System;
using System.Collections.Generic;
using System.Text;
using KarakP2P.Core;

namespace KarakP2P {
  /// <summary>The fate of a confirmed publish: the message id, and how many peers it was queued
  /// for.</summary>
  public sealed class Published {
    internal Published(Message last) {
      Id = last.Id;
      Peers = last.Count;
    }

    public byte[] Id { get; }
    public long Peers { get; }
  }

  /// <summary>A message, or another event (Config.OnEvent). What does not belong to its kind is null or 0.
  /// It is made of plain values and keeps nothing of the native library.</summary>
  public sealed class Message {
    private const int FieldCount = 10;
    private readonly Core.Node core;
    private readonly byte[][] fields = new byte[FieldCount][];
    private readonly int flags;
    private readonly long timeNs;

    private Message(byte[] packed, int at, Core.Node core) {
      this.core = core;
      int from = at + BitConverter.ToUInt16(packed, at + 4);
      Type = BitConverter.ToUInt16(packed, at + 6);
      flags = BitConverter.ToUInt16(packed, at + 8);
      Code = BitConverter.ToInt32(packed, at + 12);
      Token = BitConverter.ToInt64(packed, at + 16);
      Seq = BitConverter.ToUInt64(packed, at + 24);
      timeNs = BitConverter.ToInt64(packed, at + 32);
      Count = BitConverter.ToInt64(packed, at + 40);
      for (int i = 0; i < FieldCount; i++) {
        uint length = BitConverter.ToUInt32(packed, at + 48 + 4 * i);
        if (length == uint.MaxValue) {
          continue;
        }
        fields[i] = new byte[length];
        Buffer.BlockCopy(packed, from, fields[i], 0, (int)length);
        from += (int)length;
      }
    }

    /// <summary>All events of a packed batch (kp2p_node_poll_packed).</summary>
    internal static IEnumerable<Message> Unpack(byte[] packed, Core.Node core) {
      for (int at = 0; at < packed.Length; at += BitConverter.ToInt32(packed, at)) {
        yield return new Message(packed, at, core);
      }
    }

    private string Text(int field) => fields[field] == null ? null : Encoding.UTF8.GetString(fields[field]);

    /// <summary>The topic it was published to; null for a direct message.</summary>
    public string Topic => Text(karakp2p_core.F_TOPIC);
    /// <summary>The bytes; the caller's own.</summary>
    public byte[] Data => fields[karakp2p_core.F_PAYLOAD];
    /// <summary>The bytes as UTF-8.</summary>
    public string DataText => Text(karakp2p_core.F_PAYLOAD);
    /// <summary>The author's peer id.</summary>
    public string Source => Text(karakp2p_core.F_FROM);
    /// <summary>The peer that forwarded it.</summary>
    public string Via => Text(karakp2p_core.F_VIA);
    /// <summary>The message id.</summary>
    public byte[] Id => fields[karakp2p_core.F_ID];
    /// <summary>The author's sequence number; see HasSeq.</summary>
    public ulong Seq { get; }
    public bool HasSeq => (flags & karakp2p_core.FLAG_NO_SEQ) == 0;
    /// <summary>The protocol of a direct message.</summary>
    public string Protocol => Text(karakp2p_core.F_PROTOCOL);
    /// <summary>When it arrived (UTC).</summary>
    public DateTime Time => new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc).AddTicks(timeNs / 100);
    /// <summary>An address, of events that tell one.</summary>
    public string Addr => Text(karakp2p_core.F_ADDR);
    /// <summary>What an event has to say to people; JSON in statistics.</summary>
    public string EventText => Text(karakp2p_core.F_TEXT);
    /// <summary>What kind of event it is: karakp2p_core.EV_….</summary>
    public int Type { get; }
    /// <summary>0, or the code of a failure; the level of a log line.</summary>
    public int Code { get; }
    /// <summary>How many: peers of a publish, events dropped.</summary>
    public long Count { get; }
    internal long Token { get; }
    internal bool More => (flags & karakp2p_core.FLAG_MORE) != 0;

    /// <summary>A verdict on a message of a validated topic: forward it. False when it needs none or is too
    /// late.</summary>
    public bool Accept() => Verdict(karakp2p_core.VERDICT_ACCEPT);
    /// <summary>As Accept: do not forward it, and count it against the sender.</summary>
    public bool Reject() => Verdict(karakp2p_core.VERDICT_REJECT);
    /// <summary>As Accept: do not forward it.</summary>
    public bool Ignore() => Verdict(karakp2p_core.VERDICT_IGNORE);

    private bool Verdict(int verdict) {
      if (Type != karakp2p_core.EV_VALIDATE) {
        return false;
      }
      try {
        core.verdict(Token, verdict);
        return true;
      } catch (NotFoundException) {
        return false;
      } catch (ClosedException) {
        return false;
      }
    }
  }
}
