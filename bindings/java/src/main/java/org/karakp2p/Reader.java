package org.karakp2p;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.BlockingQueue;
import java.util.function.Consumer;
import org.karakp2p.core.karakp2p_core;

/** What a node and a subscription share: taking messages out of one inbox. Several readers of one compete:
 * each message goes to one of them. */
public abstract class Reader implements Iterable<Message> {
  final Inbox inbox;

  Reader(Inbox inbox) {
    this.inbox = inbox;
  }

  /** The next message, however long it takes. Closed when the node was closed, or the topic
   * unsubscribed, and all is read. */
  public Message recv() throws InterruptedException {
    return recv(null);
  }

  /** As recv; Timeout when none came in time. null: no limit. */
  public Message recv(Duration timeout) throws InterruptedException {
    Message message = inbox.await(timeout);
    if (message == null) {
      throw inbox.isOver() ? ended()
          : KarakException.of(karakp2p_core.ETIMEDOUT, "recv: no message within " + timeout);
    }
    return message;
  }

  /** Up to n messages; waits as recv for the first only. Empty when none came in time. */
  public List<Message> recvBatch(int n, Duration timeout) throws InterruptedException {
    if (n < 1) {
      throw KarakException.of(karakp2p_core.EINVAL, "n " + n + ": at least 1");
    }
    List<Message> batch = new ArrayList<>();
    Message first = inbox.await(timeout);
    if (first != null) {
      batch.add(first);
      inbox.drainTo(batch, n);
    } else if (inbox.isOver()) {
      throw ended();
    }
    return batch;
  }

  /** Each message, waiting for it; ends when the node is closed or the topic unsubscribed, or when the
   * thread is interrupted (which stays set). */
  @Override
  public Iterator<Message> iterator() {
    return new Iterator<>() {
      private Message next;

      @Override
      public boolean hasNext() {
        try {
          next = next != null ? next : inbox.await(null);
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
        return next != null;
      }

      @Override
      public Message next() {
        if (!hasNext()) {
          throw new NoSuchElementException("the node is closed");
        }
        Message message = next;
        next = null;
        return message;
      }
    };
  }

  /** Calls handler for each message, on this thread, until the end. What it throws comes out here. */
  public void listen(Consumer<? super Message> handler) {
    iterator().forEachRemaining(handler);
  }

  /** The inbox as a queue that only the network fills. */
  public BlockingQueue<Message> queue() {
    return new MessageQueue(inbox);
  }

  /** Messages lost because nobody took them in time. */
  public long dropped() {
    return inbox.dropped();
  }

  private static KarakException ended() {
    return KarakException.of(karakp2p_core.ECLOSED, "the node is closed, or the subscription has ended");
  }
}
