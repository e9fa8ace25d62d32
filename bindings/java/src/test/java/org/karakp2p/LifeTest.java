package org.karakp2p;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.karakp2p.core.karakp2p_core;

/** Life of a node and of its process; wrong values. */
@Timeout(60)
class LifeTest {
  @Test
  void useAfterCloseAndBeforeStart() throws Exception {
    Node node = new Node(Kit.quick());
    for (Executable call : List.<Executable>of(node::recv, () -> node.ping("x", null),
        () -> node.publishConfirm("a", new byte[0]))) {
      assertThrows(KarakException.State.class, call);
    }
    Subscription early = node.subscribe("early");
    node.start();
    assertTrue(node.topics().contains("early"));
    String peer = node.peerId();
    node.close();
    node.close();
    for (Executable call : List.<Executable>of(node::recv, early::recv, () -> node.publish("a", new byte[0]),
        () -> node.subscribe("x"), () -> node.ping(peer, null), () -> node.send(peer, "/x", new byte[0]),
        () -> node.unsubscribe("early"), () -> node.sender().publish("a", new byte[0]),
        () -> node.queue().take())) {
      assertThrows(KarakException.Closed.class, call);
    }
    assertEquals(peer, node.peerId());
    assertFalse(node.iterator().hasNext());
    assertThrows(KarakException.class, node::start);
  }

  @Test
  void closeFromAnotherThreadEndsEveryWait() throws Exception {
    for (int i = 0; i < 50; i++) {
      Node node = new Node(Kit.quick().topic("news")).start();
      Subscription other = node.subscribe("other");
      List<Thread> threads = new ArrayList<>();
      for (Executable wait : List.<Executable>of(node::recv, other::recv, node.queue()::take)) {
        Thread thread = new Thread(() -> assertThrows(KarakException.Closed.class, wait));
        thread.start();
        threads.add(thread);
      }
      Thread iterating = new Thread(() -> node.forEach(message -> {}));
      iterating.start();
      threads.add(iterating);
      if (i % 2 == 0) {
        Kit.until(() -> threads.stream().allMatch(t -> t.getState() == Thread.State.WAITING));
      }
      node.close();
      for (Thread thread : threads) {
        thread.join(5000);
        assertFalse(thread.isAlive());
      }
    }
  }

  @Test
  void interruptEndsAWait() throws Exception {
    try (Node node = new Node(Kit.quick()).start()) {
      Thread.currentThread().interrupt();
      assertThrows(InterruptedException.class, node::recv);
      Thread.currentThread().interrupt();
      assertFalse(node.iterator().hasNext());
      assertTrue(Thread.interrupted());
    }
  }

  @Test
  void ctrlCEndsAWaitingProgram() throws Exception {
    for (String wait : List.of("recv", "iterate", "queue", "confirm")) {
      Process process = Kit.child(ChildProgram.class, wait);
      assertEquals("ready", process.inputReader().readLine());
      Thread.sleep(50);
      new ProcessBuilder("kill", "-INT", String.valueOf(process.pid())).start().waitFor();
      assertTrue(process.waitFor(10, TimeUnit.SECONDS), wait);
      assertEquals(130, process.exitValue());
    }
  }

  @Test
  void leavingWithoutClose() throws Exception {
    for (String end : List.of("return", "exit", "throw")) {
      Process process = Kit.child(ChildProgram.class, end);
      String said = new String(process.getInputStream().readAllBytes());
      assertTrue(process.waitFor(10, TimeUnit.SECONDS), end);
      assertEquals(List.of("return", "throw", "", "", "", "", "", "exit").indexOf(end), process.exitValue(), said);
      assertTrue(said.startsWith("ready\n") && (end.equals("throw") || said.equals("ready\n")), said);
    }
  }

  @Test
  void aDroppedNodeStops() throws Exception {
    long[] ids = new long[5];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = new Node(Kit.quick()).start().hub.core.stop_id();
    }
    Kit.until(() -> {
      System.gc();
      return Arrays.stream(ids).allMatch(id -> karakp2p_core.stop(id) < 0);
    });
  }

  @Test
  void garbageCollectionTorture() throws Exception {
    try (Kit.Pair pair = new Kit.Pair("gc")) {
      List<Message> kept = new ArrayList<>();
      for (int i = 0; i < 50; i++) {
        pair.one.publish("gc", Kit.utf8("message " + i + "x".repeat(i * 37)));
        kept.add(pair.two.recv(Kit.SOON));
        pair.one.sender().copy();
        new org.karakp2p.core.Node(new org.karakp2p.core.Config()).take(0, 0);
        new org.karakp2p.core.Sender(new org.karakp2p.core.Node(new org.karakp2p.core.Config()));
        pair.one.hub.core.poll(1, 0);
        System.gc();
      }
      System.runFinalization();
      for (int i = 0; i < 50; i++) {
        assertEquals("message " + i + "x".repeat(i * 37), kept.get(i).dataText());
      }
    }
  }

  /** Every method with odd values in every place: the process must live, and say no by exceptions. */
  @Test
  void wrongValues() throws Exception {
    Node node = new Node(Kit.quick().set("requests.max", 8)).start();
    var core = node.hub.core;
    Object[] targets = {node, node.sender(), Keys.class, new Config(), core, new org.karakp2p.core.Sender(core),
        new org.karakp2p.core.Config(), karakp2p_core.class};
    List<String> waits = List.of("recv", "recvBatch", "listen", "forEach", "wait", "poll", "take", "close", "start",
        "queue", "iterator", "delete", "finalize", "notify", "notifyAll", "getClass", "bell", "onEvent",
        "publish", "spliterator");
    Random random = new Random(1);
    int failed = 0;
    long deadline = System.nanoTime() + 1_500_000_000L;
    while (System.nanoTime() < deadline || failed <= 100) {
      Object target = targets[random.nextInt(targets.length)];
      Class<?> type = target instanceof Class<?> c ? c : target.getClass();
      Method[] methods = Stream.of(type.getMethods())
          .filter(m -> !waits.contains(m.getName()) && m.getDeclaringClass() != Object.class)
          .filter(m -> !(target instanceof Class<?>) || Modifier.isStatic(m.getModifiers())).toArray(Method[]::new);
      Method method = methods[random.nextInt(methods.length)];
      Object[] args = Stream.of(method.getParameterTypes()).map(t -> odd(t, random)).toArray();
      try {
        method.invoke(target, args);
      } catch (InvocationTargetException e) {
        assertTrue(e.getCause() instanceof RuntimeException, method + " threw " + e.getCause());
        failed++;
      }
    }
    assertThrows(NullPointerException.class, () -> node.publish(null, new byte[0]));
    assertThrows(NullPointerException.class, () -> node.publish("x", null));
    assertThrows(KarakException.Invalid.class, () -> node.publish("a\0b", new byte[0]));
    assertThrows(KarakException.Invalid.class, () -> node.publish("\ud800", new byte[0]));
    assertThrows(KarakException.Invalid.class, () -> node.recv(Duration.ofSeconds(-1)));
    assertThrows(KarakException.Invalid.class, () -> node.recvBatch(0, null));
    assertThrows(KarakException.Invalid.class, () -> core.take(-1, 0));
    node.close();
  }

  private static Object odd(Class<?> type, Random random) {
    if (type == int.class) {
      return new int[] {0, 1, -1, Integer.MAX_VALUE, Integer.MIN_VALUE, 4}[random.nextInt(6)];
    }
    if (type == long.class) {
      return new long[] {0, 1, -1, Long.MAX_VALUE, Long.MIN_VALUE}[random.nextInt(5)];
    }
    if (type == boolean.class) {
      return random.nextBoolean();
    }
    if (type == String.class) {
      return new String[] {null, "", "x", "a\0b", "\ud800", "x".repeat(100_000), "\ud83d\ude00"}[random.nextInt(7)];
    }
    if (type == byte[].class) {
      return new byte[][] {null, {}, {0}, new byte[100_000]}[random.nextInt(4)];
    }
    if (type == Duration.class) {
      return new Duration[] {null, Duration.ZERO, Duration.ofSeconds(-1), Duration.ofMillis(1)}[random.nextInt(4)];
    }
    return null;
  }
}
