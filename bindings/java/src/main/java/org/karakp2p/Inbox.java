package org.karakp2p;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.karakp2p.core.karakp2p_core;

/** One numbered inbox of the library and the one batch that was taken from it. Readers wait on a
 * condition, never in native code: a wait can be interrupted and holds no platform thread. */
final class Inbox {
  private static final int DIRECT_MAX = 65536; // as inbox.max_messages by default

  final int number;
  private final Hub hub;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition rung = lock.newCondition();
  private final ArrayDeque<Message> batch = new ArrayDeque<>();
  private long rings;
  private long dropped;
  private boolean over;

  Inbox(Hub hub, int number) {
    this.hub = hub;
    this.number = number;
  }

  /** There may be something; the hub's thread. */
  void ring() {
    lock.lock();
    try {
      rings++;
      rung.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Direct messages have no inbox of their own in the library, so they are bounded here. */
  void putDirect(Message message) {
    lock.lock();
    try {
      batch.add(message);
      if (batch.size() > DIRECT_MAX) {
        batch.remove();
        dropped++;
      }
      rings++;
      rung.signal();
    } finally {
      lock.unlock();
    }
  }

  /** Nothing is routed here any more. */
  void finish() {
    lock.lock();
    try {
      over = true;
      batch.clear();
      while (hub.core.take(number, 0) != null) {
        // so that its number can be used again
      }
    } catch (KarakException.Closed closed) {
      // then there is nothing to empty
    } finally {
      rung.signalAll();
      lock.unlock();
    }
  }

  long dropped() {
    lock.lock();
    try {
      return dropped;
    } finally {
      lock.unlock();
    }
  }

  int waiting() {
    lock.lock();
    try {
      return batch.size();
    } finally {
      lock.unlock();
    }
  }

  /** The next message, or null when there is none; onlyLook leaves it there. */
  Message poll(boolean onlyLook) {
    lock.lock();
    try {
      fill();
      return onlyLook ? batch.peek() : batch.poll();
    } finally {
      lock.unlock();
    }
  }

  boolean isOver() {
    lock.lock();
    try {
      return over && batch.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  /** The next message, or null when time is over or the inbox has ended. */
  Message await(Duration timeout) throws InterruptedException {
    long left = timeout == null ? Long.MAX_VALUE : nanos(timeout);
    lock.lockInterruptibly();
    try {
      while (true) {
        long seen = rings;
        fill();
        Message message = batch.poll();
        if (message != null || over || left <= 0) {
          return message;
        }
        hub.needStart("recv");
        while (seen == rings && !over && left > 0) {
          if (timeout == null) {
            rung.await();
          } else {
            left = rung.awaitNanos(left);
          }
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** What is at hand, n at most. */
  void drainTo(List<Message> out, int n) {
    Message message;
    while (out.size() < n && (message = poll(false)) != null) {
      out.add(message);
    }
  }

  static long nanos(Duration timeout) {
    if (timeout.isNegative()) {
      throw KarakException.of(karakp2p_core.EINVAL, "timeout: 0 or more, or none");
    }
    return TimeUnit.NANOSECONDS.convert(timeout);
  }

  private void fill() {
    if (!batch.isEmpty() || over) {
      return;
    }
    try {
      byte[] packed = hub.core.take(number, 0);
      if (packed != null) {
        for (Message event : Message.unpack(packed, hub.core)) {
          put(event);
        }
      }
    } catch (KarakException.Closed closed) {
      over = true;
    }
  }

  private void put(Message event) {
    if (event.data() != null) {
      batch.add(event);
      return;
    }
    if (event.type() == karakp2p_core.EV_DROPPED) {
      dropped += event.count();
    }
    hub.report(event);
  }
}
