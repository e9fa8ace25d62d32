package org.karakp2p;

import java.time.Duration;
import java.util.Objects;

/** A way to publish that can be given to others: it holds the send queue, not the node. What it has
 * queued still goes out when it is dropped. Closed once the node is. */
public final class Sender {
  private final org.karakp2p.core.Sender core;
  private final Hub hub;

  Sender(org.karakp2p.core.Sender core, Hub hub) {
    this.core = core;
    this.hub = hub;
  }

  /** Queues a message for everyone who subscribes to the topic; waits for room in the bounded queue. */
  public void publish(String topic, byte[] data) throws InterruptedException {
    publish(topic, data, null);
  }

  /** As publish; Timeout when there was no room in time (QueueFull for zero). null: no limit. */
  public void publish(String topic, byte[] data, Duration timeout) throws InterruptedException {
    publish(topic, data, 0, timeout);
  }

  /** publish without waiting; false when the queue is full. */
  public boolean tryPublish(String topic, byte[] data) {
    try {
      core.publish(topic, Objects.requireNonNull(data, "data"), 0, 0);
      return true;
    } catch (KarakException.QueueFull full) {
      return false;
    }
  }

  /** Another handle of the same queue. */
  public Sender copy() {
    return new Sender(core.clone(), hub);
  }

  void publish(String topic, byte[] data, long token, Duration timeout) throws InterruptedException {
    Objects.requireNonNull(data, "data");
    hub.queue(() -> core.publish(topic, data, token, 0), timeout);
  }

  void send(String peer, String protocol, byte[] data, long token) {
    core.send(peer, protocol, Objects.requireNonNull(data, "data"), token, 0);
  }
}
