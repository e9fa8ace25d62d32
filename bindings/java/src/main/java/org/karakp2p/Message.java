package org.karakp2p;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.karakp2p.core.karakp2p_core;

/** A message, or another event (Node.onEvent). What does not belong to its kind is null or 0. It is made
 * of plain values and keeps nothing of the native library. */
public final class Message {
  private static final int FIELDS = 10;
  private static final int MISSING = -1;

  private final org.karakp2p.core.Node core;
  private final int type;
  private final int flags;
  private final int inbox;
  private final int code;
  private final long token;
  private final long seq;
  private final long timeNs;
  private final long count;
  private final byte[][] fields = new byte[FIELDS][];

  private Message(ByteBuffer packed, int at, org.karakp2p.core.Node core) {
    this.core = core;
    int head = packed.getShort(at + 4) & 0xffff;
    type = packed.getShort(at + 6) & 0xffff;
    flags = packed.getShort(at + 8) & 0xffff;
    inbox = packed.getShort(at + 10) & 0xffff;
    code = packed.getInt(at + 12);
    token = packed.getLong(at + 16);
    seq = packed.getLong(at + 24);
    timeNs = packed.getLong(at + 32);
    count = packed.getLong(at + 40);
    int from = at + head;
    for (int i = 0; i < FIELDS; i++) {
      int len = packed.getInt(at + 48 + 4 * i);
      if (len != MISSING) {
        fields[i] = new byte[len];
        packed.get(from, fields[i]);
        from += len;
      }
    }
  }

  /** All events of a packed batch (kp2p_node_poll_packed). */
  static List<Message> unpack(byte[] packed, org.karakp2p.core.Node core) {
    List<Message> messages = new ArrayList<>();
    ByteBuffer buffer = ByteBuffer.wrap(packed).order(ByteOrder.LITTLE_ENDIAN);
    for (int at = 0; at < packed.length; at += buffer.getInt(at)) {
      messages.add(new Message(buffer, at, core));
    }
    return messages;
  }

  private String text(int field) {
    return fields[field] == null ? null : new String(fields[field], UTF_8);
  }

  /** The topic it was published to; null for a direct message. */
  public String topic() {
    return text(karakp2p_core.F_TOPIC);
  }

  /** The bytes; the caller's own. */
  public byte[] data() {
    return fields[karakp2p_core.F_PAYLOAD];
  }

  /** The bytes as UTF-8. */
  public String dataText() {
    return text(karakp2p_core.F_PAYLOAD);
  }

  /** The author's peer id. */
  public String source() {
    return text(karakp2p_core.F_FROM);
  }

  /** The peer that forwarded it. */
  public String via() {
    return text(karakp2p_core.F_VIA);
  }

  /** The message id. */
  public byte[] id() {
    return fields[karakp2p_core.F_ID];
  }

  /** The author's sequence number, unsigned; see hasSeq. */
  public long seq() {
    return seq;
  }

  /** Whether the message carried a sequence number. */
  public boolean hasSeq() {
    return (flags & karakp2p_core.FLAG_NO_SEQ) == 0;
  }

  /** The protocol of a direct message. */
  public String protocol() {
    return text(karakp2p_core.F_PROTOCOL);
  }

  /** When it arrived. */
  public Instant time() {
    return Instant.ofEpochSecond(timeNs / 1_000_000_000L, timeNs % 1_000_000_000L);
  }

  /** An address, of events that tell one. */
  public String addr() {
    return text(karakp2p_core.F_ADDR);
  }

  /** What an event has to say to people; JSON in statistics. */
  public String text() {
    return text(karakp2p_core.F_TEXT);
  }

  /** What kind of event it is: karakp2p_core.EV_…. */
  public int type() {
    return type;
  }

  /** 0, or the code of a failure; the level of a log line. */
  public int code() {
    return code;
  }

  /** How many: peers of a publish, events dropped. */
  public long count() {
    return count;
  }

  int inbox() {
    return inbox;
  }

  long token() {
    return token;
  }

  boolean more() {
    return (flags & karakp2p_core.FLAG_MORE) != 0;
  }

  /** A verdict on a message of a validated topic: forward it. False when it needs none or is too late. */
  public boolean accept() {
    return verdict(karakp2p_core.VERDICT_ACCEPT);
  }

  /** As accept: do not forward it, and count it against the sender. */
  public boolean reject() {
    return verdict(karakp2p_core.VERDICT_REJECT);
  }

  /** As accept: do not forward it. */
  public boolean ignore() {
    return verdict(karakp2p_core.VERDICT_IGNORE);
  }

  private boolean verdict(int verdict) {
    if (type != karakp2p_core.EV_VALIDATE) {
      return false;
    }
    try {
      core.verdict(token, verdict);
      return true;
    } catch (KarakException.NotFound | KarakException.Closed late) {
      return false;
    }
  }

  @Override
  public String toString() {
    return "Message[topic=" + topic() + ", source=" + source() + ", "
        + (data() == null ? "no data" : data().length + " bytes") + "]";
  }
}
