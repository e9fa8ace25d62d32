package org.karakp2p;

import java.time.Duration;
import java.util.AbstractQueue;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;

/** An inbox as a BlockingQueue. Nothing can be put into it. size is what was taken from the library and
 * not read yet, so 0 does not mean that poll gives nothing; take throws Closed at the end. */
final class MessageQueue extends AbstractQueue<Message> implements BlockingQueue<Message> {
  private final Inbox inbox;

  MessageQueue(Inbox inbox) {
    this.inbox = inbox;
  }

  @Override
  public Message poll() {
    return inbox.poll(false);
  }

  @Override
  public Message peek() {
    return inbox.poll(true);
  }

  @Override
  public Message poll(long timeout, TimeUnit unit) throws InterruptedException {
    return inbox.await(Duration.ofNanos(Math.max(0, unit.toNanos(timeout))));
  }

  @Override
  public Message take() throws InterruptedException {
    Message message = inbox.await(null);
    if (message == null) {
      throw KarakException.of(org.karakp2p.core.karakp2p_core.ECLOSED, "the node is closed");
    }
    return message;
  }

  @Override
  public int drainTo(Collection<? super Message> out) {
    return drainTo(out, Integer.MAX_VALUE);
  }

  @Override
  public int drainTo(Collection<? super Message> out, int max) {
    List<Message> taken = new ArrayList<>();
    inbox.drainTo(taken, max);
    out.addAll(taken);
    return taken.size();
  }

  @Override
  public int size() {
    return inbox.waiting();
  }

  @Override
  public Iterator<Message> iterator() {
    return Collections.emptyIterator(); // what waits belongs to whoever takes it
  }

  @Override
  public int remainingCapacity() {
    return 0;
  }

  @Override
  public boolean offer(Message message) {
    throw new UnsupportedOperationException("only the network fills this queue");
  }

  @Override
  public boolean offer(Message message, long timeout, TimeUnit unit) {
    return offer(message);
  }

  @Override
  public void put(Message message) {
    offer(message);
  }
}
