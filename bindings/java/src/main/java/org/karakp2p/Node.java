package org.karakp2p;

import java.lang.ref.Cleaner;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.karakp2p.core.karakp2p_core;

/** One peer of the network.
 *
 * <pre>
 * try (Node node = new Node(new Config().topic("news").listen("/ip4/0.0.0.0/tcp/0")).start()) {
 *   node.publish("news", "hello".getBytes());
 *   for (Message message : node) {
 *     System.out.println(message.source() + ": " + message.dataText());
 *   }
 * }
 * </pre>
 *
 * <p>Methods may be called by any thread. The node's own messages (recv, iterator) are those of
 * Config.topic and the direct ones; subscribe gives a topic an inbox of its own. */
public final class Node extends Reader implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();
  private static final Duration GOODBYE = Duration.ofSeconds(2);
  private static final Pattern TEXT = Pattern.compile("\"([^\"]*)\"");
  private static final Pattern NUMBER = Pattern.compile("\"([^\"]+)\":\\s*(-?\\d+)");

  final Hub hub;
  private final Sender sender;

  /** Not started yet. Invalid when keys contradict each other. */
  public Node(Config config) {
    this(new Hub(new org.karakp2p.core.Node(config.core), config.onEvent));
    for (String topic : config.topics) {
      hub.request(karakp2p_core.OP_SUBSCRIBE, topic, "inbox=" + Hub.INBOX, null);
    }
  }

  private Node(Hub hub) {
    super(hub.inbox);
    this.hub = hub;
    sender = new Sender(new org.karakp2p.core.Sender(hub.core), hub);
    long stopId = hub.core.stop_id();
    CLEANER.register(this, () -> karakp2p_core.stop(stopId));
  }

  /** Binds all listeners, then starts the node's threads; returns the node. AddressInUse, AccessDenied,
   * State. */
  public Node start() {
    hub.start();
    return this;
  }

  /** Says goodbye, sends what is queued, ends the node; 2 s at most. Any thread, any number of times. */
  @Override
  public void close() {
    close(GOODBYE);
  }

  /** As close with another budget; null: as long as it takes. */
  public void close(Duration drain) {
    hub.close(drain);
  }

  // --- topics and sending ---

  /** Joins a topic with an inbox of its own. Again: the same inbox. */
  public Subscription subscribe(String topic) {
    return subscribe(topic, false, false);
  }

  /** validate: messages are forwarded only after Message.accept. ownMessages: this node's own arrive
   * too. */
  public Subscription subscribe(String topic, boolean validate, boolean ownMessages) {
    org.karakp2p.core.Utf8.bytes(topic);
    Inbox inbox = hub.inboxOf(topic);
    String options = "validate=" + (validate ? 1 : 0) + " self=" + (ownMessages ? 1 : 0)
        + " inbox=" + inbox.number;
    try {
      Futures.join(hub.request(karakp2p_core.OP_SUBSCRIBE, topic, options, null));
    } catch (KarakException e) {
      hub.forget(topic);
      throw e;
    }
    return new Subscription(this, topic, inbox);
  }

  /** Leaves a topic, however it was joined. */
  public void unsubscribe(String topic) {
    Futures.join(hub.request(karakp2p_core.OP_UNSUBSCRIBE, topic, "", null));
    hub.forget(topic);
  }

  /** As Sender.publish. */
  public void publish(String topic, byte[] data) throws InterruptedException {
    sender.publish(topic, data);
  }

  /** As Sender.publish. */
  public void publish(String topic, byte[] data, Duration timeout) throws InterruptedException {
    sender.publish(topic, data, timeout);
  }

  /** As Sender.tryPublish. */
  public boolean tryPublish(String topic, byte[] data) {
    return sender.tryPublish(topic, data);
  }

  /** Publishes and tells the fate: id and peers, or Duplicate, NoPeers, Expired. Waits for room in the
   * queue, not for the fate. */
  public CompletableFuture<Published> publishConfirm(String topic, byte[] data) {
    hub.needStart("publish");
    return hub.call(token -> Futures.uninterrupted(() -> sender.publish(topic, data, token, null)))
        .thenApply(events -> {
          Message last = events.get(events.size() - 1);
          return new Published(last.id(), last.count());
        });
  }

  /** A handle on the send queue. */
  public Sender sender() {
    return sender.copy();
  }

  /** Sends a direct message to a connected peer that did addProtocol; done when it is written. QueueFull
   * when the send queue is full. */
  public CompletableFuture<Void> send(String peer, String protocol, byte[] data) {
    hub.needStart("send");
    return hub.call(token -> sender.send(peer, protocol, data, token)).thenApply(events -> null);
  }

  /** Accepts direct messages of a protocol: they come out of recv, with protocol set. */
  public void addProtocol(String protocol) {
    Futures.join(hub.request(karakp2p_core.OP_ADD_PROTOCOL, protocol, "", null));
  }

  // --- peers ---

  /** Round trip to a peer. A null timeout is the library's own. */
  public CompletableFuture<Duration> ping(String peer, Duration timeout) {
    return operate("ping", karakp2p_core.OP_PING, peer, timeout)
        .thenApply(events -> Duration.ofNanos(events.get(events.size() - 1).count() * 1000));
  }

  /** Connects to a multiaddress or a peer id; the peer id. */
  public CompletableFuture<String> connect(String addr, Duration timeout) {
    return operate("connect", karakp2p_core.OP_CONNECT, addr, timeout)
        .thenApply(events -> events.get(events.size() - 1).source());
  }

  /** Closes all connections to a peer. */
  public CompletableFuture<Void> disconnect(String peer) {
    return operate("disconnect", karakp2p_core.OP_DISCONNECT, peer, null).thenApply(events -> null);
  }

  /** Addresses of a peer, looked up in the DHT. */
  public CompletableFuture<List<String>> findPeer(String peer, Duration timeout) {
    return operate("findPeer", karakp2p_core.OP_DHT_FIND_PEER, peer, timeout)
        .thenApply(events -> events.stream().map(Message::addr).filter(a -> a != null).toList());
  }

  private CompletableFuture<List<Message>> operate(String what, int operation, String arg, Duration timeout) {
    hub.needStart(what);
    return hub.request(operation, arg, "", timeout);
  }

  // --- introspection ---

  /** This node's peer id. */
  public String peerId() {
    return hub.core.info("peer_id");
  }

  /** What others give as bootstrap: where they can reach this node. */
  public List<String> addresses() {
    List<String> list = new ArrayList<>();
    Matcher found = TEXT.matcher(hub.core.info("addresses"));
    while (found.find()) {
      list.add(found.group(1));
    }
    return list;
  }

  /** The connected peers, as JSON text (docs/abi.md); Java has no parser of its own. */
  public String peers() {
    return hub.core.info("peers");
  }

  /** The subscribed topics, as JSON text. */
  public String topics() {
    return hub.core.info("topics");
  }

  /** All counters and gauges by name. */
  public Map<String, Long> stats() {
    Map<String, Long> stats = new LinkedHashMap<>();
    Matcher found = NUMBER.matcher(hub.core.info("stats"));
    while (found.find()) {
      stats.put(found.group(1), Long.valueOf(found.group(2)));
    }
    return stats;
  }

  @Override
  public String toString() {
    return "Node[" + peerId() + "]";
  }
}
