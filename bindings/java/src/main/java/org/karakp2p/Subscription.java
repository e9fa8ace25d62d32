package org.karakp2p;

/** A topic with an inbox of its own. Ends when the node is closed or the topic unsubscribed. */
public final class Subscription extends Reader implements AutoCloseable {
  private final Node node;
  private final String topic;

  Subscription(Node node, String topic, Inbox inbox) {
    super(inbox);
    this.node = node;
    this.topic = topic;
  }

  /** Its topic. */
  public String topic() {
    return topic;
  }

  /** Leaves the topic: what was not read yet is gone, iteration ends. Again: nothing. */
  @Override
  public void close() {
    if (inbox.isOver()) {
      return;
    }
    try {
      node.unsubscribe(topic);
    } catch (KarakException.Closed closed) {
      // that is no topic any more
    }
  }
}
