package org.karakp2p;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;

/** What a node is made of. Keys go by their names in the C library (docs/config.md); a wrong one, or a
 * wrong value, is refused at once with the key in the text. */
public final class Config {
  final org.karakp2p.core.Config core = new org.karakp2p.core.Config();
  final List<String> topics = new ArrayList<>();
  Consumer<Message> onEvent;

  /** A topic to subscribe at start; its messages are the node's own. Repeatable. */
  public Config topic(String topic) {
    topics.add(Objects.requireNonNull(topic, "topic"));
    return this;
  }

  /** An address to listen on, as /ip4/0.0.0.0/tcp/0. Repeatable; without any the node only dials. */
  public Config listen(String addr) {
    return set("listen", addr);
  }

  /** A peer to join the network by, as /ip4/…/tcp/…/p2p/PEERID. Repeatable. */
  public Config bootstrap(String addr) {
    return set("bootstrap", addr);
  }

  /** After how long an unused connection is closed; zero = never. */
  public Config idleTimeout(Duration timeout) {
    return set("idle_timeout", timeout.toMillis() + "ms");
  }

  /** The node's key (Keys.generate); without one it has a new peer id at every start. */
  public Config identity(String key) {
    return set("identity", key);
  }

  /** Any key of the library. */
  public Config set(String key, Object value) {
    Objects.requireNonNull(key, "key");
    if (value instanceof String || value instanceof Number || value instanceof Boolean) {
      core.set(key, value.toString());
      return this;
    }
    throw new IllegalArgumentException(key + ": a String, number or boolean, not "
        + (value == null ? "null" : value.getClass().getSimpleName()));
  }

  /** Called with each event that is no message (dropped, peer up …, as key events says), on a thread of
   * the node: be short. What it throws goes to the thread's uncaught exception handler. */
  public Config onEvent(Consumer<Message> handler) {
    onEvent = Objects.requireNonNull(handler, "handler");
    return this;
  }
}
