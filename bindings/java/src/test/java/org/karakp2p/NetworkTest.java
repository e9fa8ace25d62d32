package org.karakp2p;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.karakp2p.core.karakp2p_core;

/** Messages both ways, topics, validation, requests. */
class NetworkTest {
  private static Throwable fate(CompletableFuture<?> future) {
    return assertThrows(ExecutionException.class, () -> future.get(10, TimeUnit.SECONDS)).getCause();
  }

  @Test
  void bothWaysWithACNode() throws Exception {
    Kit.CNode other = new Kit.CNode("news");
    try (Node node = new Node(Kit.quick().topic("news").bootstrap(other.address)).start()) {
      byte[] data = {'j', 0, -1};
      assertEquals(1, node.publishConfirm("news", data).get(10, TimeUnit.SECONDS).peers());
      JsonObject heard = other.await("message");
      assertArrayEquals(data, Base64.getDecoder().decode(heard.get("data").getAsString()));
      assertEquals(node.peerId(), heard.get("from").getAsString());
      other.say("from c");
      Message message = node.recv(Kit.SOON);
      assertEquals(List.of("from c", "news", other.peer, other.peer),
          List.of(message.dataText(), message.topic(), message.source(), message.via()));
      assertNull(message.protocol());
      assertTrue(message.hasSeq() && message.id().length > 0);
      assertTrue(Duration.between(message.time(), Instant.now()).abs().toSeconds() < 60);
    }
    assertEquals(0, other.quit());
  }

  @Test
  void subscriptionsHaveInboxesOfTheirOwn() throws Exception {
    try (Kit.Pair pair = new Kit.Pair("a"); Subscription sport = pair.two.subscribe("sport")) {
      Kit.until(() -> Kit.knows(pair.one, "sport"));
      pair.one.publish("a", Kit.utf8("to the node"));
      pair.one.publish("sport", Kit.utf8("to the subscription"));
      assertEquals("to the subscription", sport.recv(Kit.SOON).dataText());
      assertEquals("to the node", pair.two.recv(Kit.SOON).dataText());
      pair.one.publish("sport", Kit.utf8("batch 1"));
      pair.one.publish("sport", Kit.utf8("batch 2"));
      List<String> got = new ArrayList<>();
      while (got.size() < 2) {
        sport.recvBatch(8, Kit.SOON).forEach(m -> got.add(m.dataText()));
      }
      assertEquals(List.of("batch 1", "batch 2"), got);
      assertEquals(List.of(), sport.recvBatch(8, Kit.BRIEF));
      assertThrows(KarakException.Timeout.class, () -> sport.recv(Kit.BRIEF));
      BlockingQueue<Message> queue = sport.queue();
      pair.one.publish("sport", Kit.utf8("queued"));
      assertEquals("queued", queue.take().dataText());
      assertNull(queue.poll(10, TimeUnit.MILLISECONDS));
      AtomicInteger read = new AtomicInteger();
      Thread reader = new Thread(() -> sport.forEach(message -> read.addAndGet(message.data().length)));
      reader.start();
      pair.one.publish("sport", Kit.utf8("seven b"));
      Kit.until(() -> read.get() == 7);
      sport.close();
      reader.join(10_000);
      assertFalse(reader.isAlive());
      assertThrows(KarakException.Closed.class, sport::recv);
      assertFalse(pair.two.topics().contains("sport"));
    }
  }

  @Test
  void validation() throws Exception {
    try (Kit.Pair pair = new Kit.Pair()) {
      Subscription checked = pair.two.subscribe("checked", true, false);
      Kit.until(() -> Kit.knows(pair.one, "checked"));
      for (String text : List.of("good", "bad", "whatever")) {
        pair.one.publish("checked", Kit.utf8(text));
      }
      Message good = checked.recv(Kit.SOON);
      assertTrue(good.accept() && checked.recv(Kit.SOON).reject() && checked.recv(Kit.SOON).ignore());
      assertFalse(good.accept(), "only once");
    }
  }

  @Test
  void directMessagesAndRequests() throws Exception {
    try (Kit.Pair pair = new Kit.Pair()) {
      Node one = pair.one;
      Node two = pair.two;
      assertInstanceOf(KarakException.class, fate(one.send(two.peerId(), "/chat/1", new byte[] {1})));
      two.addProtocol("/chat/1");
      one.send(two.peerId(), "/chat/1", Kit.utf8("direct \0")).get(10, TimeUnit.SECONDS);
      Message message = two.recv(Kit.SOON);
      assertEquals(List.of("direct \0", "/chat/1", one.peerId()),
          List.of(message.dataText(), message.protocol(), message.source()));
      assertTrue(one.ping(two.peerId(), Kit.SOON).get().compareTo(Kit.SOON) < 0);
      String nobody = Keys.peerIdOf(Keys.generate());
      assertInstanceOf(KarakException.NotFound.class, fate(one.ping(nobody, null)));
      two.disconnect(one.peerId()).get(10, TimeUnit.SECONDS);
      Kit.until(() -> one.peers().equals("[]"));
      assertEquals(one.peerId(), two.connect(one.addresses().get(0), Kit.SOON).get(10, TimeUnit.SECONDS));
      assertInstanceOf(KarakException.class, fate(one.findPeer(nobody, Duration.ofMillis(500))));
      one.connect("/ip4/127.0.0.1/tcp/9/p2p/" + nobody, null).cancel(true);
    }
  }

  @Test
  void fatesSendersOwnMessagesAndKeys() throws Exception {
    BlockingQueue<Message> told = new LinkedBlockingQueue<>();
    Node node = new Node(Kit.quick().set("publish.hold", 0).onEvent(told::add)).start();
    assertInstanceOf(KarakException.NoPeers.class, fate(node.publishConfirm("own", new byte[] {1})));
    Sender sender = node.sender().copy();
    assertTrue(sender.tryPublish("own", new byte[] {2}));
    Message event;
    do {
      event = told.poll(10, TimeUnit.SECONDS);
    } while (event.type() != karakp2p_core.EV_PUBLISHED);
    assertEquals(karakp2p_core.ENOPEERS, event.code());
    node.close();
    assertThrows(KarakException.Closed.class, () -> sender.publish("own", new byte[0]));

    String key = Keys.generate();
    assertEquals(Keys.peerIdOf(key), new Node(new Config().identity(key)).peerId());
    assertEquals(Keys.peerIdOf(key), Keys.peerId(Keys.peerIdOf(key)));
    assertTrue(Keys.version().contains("libuv"));
    try (Kit.Pair pair = new Kit.Pair("own")) {
      Subscription own = pair.one.subscribe("own", false, true);
      pair.one.publish("own", Kit.utf8("mine"));
      assertEquals("mine", own.recv(Kit.SOON).dataText());
    }
  }

  @Test
  void publishersWaitForRoomInOrder() throws Exception {
    Node full = new Node(Kit.quick().set("outbox.max_messages", 1));
    full.publish("full", new byte[] {0});
    assertFalse(full.tryPublish("full", new byte[] {1}));
    assertThrows(KarakException.QueueFull.class, () -> full.publish("full", new byte[] {2}, Duration.ZERO));
    assertThrows(KarakException.State.class, () -> full.publish("full", new byte[] {2}, Kit.BRIEF));
    full.start();
    List<CompletableFuture<Void>> publishers = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      byte[] data = {3, (byte) i};
      publishers.add(CompletableFuture.runAsync(() -> Futures.uninterrupted(() -> {
        for (int n = 0; n < 50; n++) {
          full.publish("full" + n, data, Kit.SOON);
        }
      })));
    }
    for (CompletableFuture<Void> publisher : publishers) {
      publisher.get(20, TimeUnit.SECONDS);
    }
    full.close();
  }
}
