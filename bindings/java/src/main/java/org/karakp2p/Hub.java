package org.karakp2p;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import org.karakp2p.core.Bell;
import org.karakp2p.core.karakp2p_core;

/** What a node, its senders and its subscriptions share. Its one thread waits for the library's bell,
 * takes answers out of inbox 0 and wakes readers and publishers. It does not hold the Node, so that a
 * Node that is dropped can be collected, which stops it. */
final class Hub implements Runnable {
  static final int INBOX = 1; // of topics without a subscription of their own; 0 is for answers

  /** A request or publish whose fate is awaited. */
  private static final class Call {
    final CompletableFuture<List<Message>> future = new CompletableFuture<>();
    final List<Message> events = new ArrayList<>();
  }

  final org.karakp2p.core.Node core;
  final Inbox inbox = new Inbox(this, INBOX);
  private final Consumer<Message> onEvent;
  private final Map<String, Inbox> topics = new HashMap<>();
  private final Map<Integer, Inbox> inboxes = new ConcurrentHashMap<>();
  private final Map<Long, Call> calls = new ConcurrentHashMap<>();
  private final AtomicLong tokens = new AtomicLong();
  private final ReentrantLock turn = new ReentrantLock(true); // who waits for room is served in order
  private final ReentrantLock spaceLock = new ReentrantLock();
  private final Condition space = spaceLock.newCondition();
  private long spaces;
  private volatile boolean started;
  private volatile boolean over;
  private Thread thread;
  private Bell bell;

  Hub(org.karakp2p.core.Node core, Consumer<Message> onEvent) {
    this.core = core;
    this.onEvent = onEvent;
    inboxes.put(INBOX, inbox);
  }

  void start() {
    core.start();
    bell = core.bell();
    if (bell == null) {
      throw KarakException.of(karakp2p_core.ENOMEM, "start: no memory for the bell");
    }
    thread = new Thread(this, "karakp2p");
    thread.setDaemon(true);
    started = true;
    thread.start();
  }

  void close(Duration drain) {
    int ms = milliseconds(drain);
    core.close(ms, 0);
    if (thread != null && Thread.currentThread() != thread) {
      joinThread();
      while (core.close(ms, -1) == karakp2p_core.EINTR) {
        continue;
      }
    }
  }

  private void joinThread() {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true; // the goodbye has its own budget: finish it, then tell
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  void needStart(String what) {
    if (!started) {
      throw KarakException.of(karakp2p_core.ESTATE, what + ": the node has not been started");
    }
  }

  static int milliseconds(Duration timeout) {
    if (timeout == null) {
      return -1;
    }
    return (int) Math.min((Inbox.nanos(timeout) + 999_999) / 1_000_000, 2_000_000_000);
  }

  // --- the thread ---

  @Override
  public void run() {
    int what;
    do {
      what = bell.wait(-1);
      if (what == 0) {
        drain();
      } else if (what == karakp2p_core.WAKE_SPACE) {
        ringSpace();
      } else if (what > 0 && inboxes.get(what) != null) {
        inboxes.get(what).ring();
      }
    } while (what != karakp2p_core.WAKE_CLOSED);
    drain();
    bell.remove();
    end();
  }

  private void drain() {
    try {
      byte[] packed;
      while ((packed = core.take(0, 0)) != null) {
        for (Message event : Message.unpack(packed, core)) {
          dispatch(event);
        }
      }
    } catch (KarakException.Closed closed) {
      // all is read
    }
  }

  private void end() {
    over = true;
    KarakException closed = KarakException.of(karakp2p_core.ECLOSED, "the node is closed");
    calls.values().forEach(call -> call.future.completeExceptionally(closed));
    calls.clear();
    ringSpace();
    inboxes.values().forEach(Inbox::ring);
  }

  private void dispatch(Message event) {
    if (event.data() != null) {
      inbox.putDirect(event);
      return;
    }
    boolean fate = event.type() == karakp2p_core.EV_COMPLETE || event.type() == karakp2p_core.EV_PUBLISHED;
    if (!fate || event.token() == 0) {
      report(event);
      return;
    }
    Call call = calls.get(event.token());
    if (call == null) {
      return;
    }
    call.events.add(event);
    if (!event.more()) {
      calls.remove(event.token());
      complete(call, event);
    }
  }

  private static void complete(Call call, Message last) {
    if (last.code() == 0) {
      call.future.complete(call.events);
    } else {
      String text = last.text() != null ? last.text() : karakp2p_core.strerror(last.code());
      call.future.completeExceptionally(KarakException.of(last.code(), text));
    }
  }

  /** To onEvent; what that throws is reported, and the node goes on. */
  void report(Message event) {
    if (onEvent == null) {
      return;
    }
    try {
      onEvent.accept(event);
    } catch (RuntimeException e) {
      Thread here = Thread.currentThread();
      here.getUncaughtExceptionHandler().uncaughtException(here, e);
    }
  }

  // --- requests ---

  /** Starts something that is given a token; the future of its events. Cancelling it cancels that. */
  CompletableFuture<List<Message>> call(LongConsumer start) {
    long token = tokens.incrementAndGet();
    Call call = new Call();
    calls.put(token, call);
    try {
      start.accept(token);
    } catch (RuntimeException e) {
      calls.remove(token);
      throw e;
    }
    if (over && calls.remove(token) != null) {
      throw KarakException.of(karakp2p_core.ECLOSED, "the node is closed");
    }
    call.future.whenComplete((events, error) -> {
      if (calls.remove(token) != null) {
        cancel(token);
      }
    });
    return call.future;
  }

  private void cancel(long token) {
    try {
      core.cancel(token);
    } catch (KarakException ended) {
      // it has ended meanwhile
    }
  }

  /** The library keeps the time limit itself. Before start, requests are queued. */
  CompletableFuture<List<Message>> request(int operation, String arg, String options, Duration timeout) {
    byte[] bytes = org.karakp2p.core.Utf8.bytes(arg);
    byte[] data = options.getBytes(UTF_8);
    int ms = timeout == null ? 0 : Math.max(1, milliseconds(timeout));
    if (!started) {
      core.request(operation, bytes, data, ms, 0);
      return CompletableFuture.completedFuture(List.of());
    }
    return call(token -> core.request(operation, bytes, data, ms, token));
  }

  // --- topics ---

  /** The inbox of a topic that is to have its own. */
  Inbox inboxOf(String topic) {
    synchronized (topics) {
      Inbox known = topics.get(topic);
      if (known != null) {
        return known;
      }
      for (int number = INBOX + 1; number < karakp2p_core.INBOXES; number++) {
        if (!inboxes.containsKey(number)) {
          Inbox fresh = new Inbox(this, number);
          inboxes.put(number, fresh);
          topics.put(topic, fresh);
          return fresh;
        }
      }
    }
    throw KarakException.of(karakp2p_core.ELIMIT, "subscribe: all inboxes are in use");
  }

  void forget(String topic) {
    Inbox gone;
    synchronized (topics) {
      gone = topics.remove(topic);
    }
    if (gone != null) {
      gone.finish();
      inboxes.remove(gone.number);
    }
  }

  // --- room in the send queue ---

  private void ringSpace() {
    spaceLock.lock();
    try {
      spaces++;
      space.signalAll();
    } finally {
      spaceLock.unlock();
    }
  }

  /** Runs publish, which does not wait, until there is room for it; null timeout: no limit. */
  void queue(Runnable publish, Duration timeout) throws InterruptedException {
    long until = timeout == null ? 0 : System.nanoTime() + Inbox.nanos(timeout);
    if (!turn.isLocked() && attempt(publish, timeout != null && timeout.isZero())) {
      return;
    }
    turn.lockInterruptibly();
    try {
      while (true) {
        long seen = spaces();
        if (attempt(publish, false)) {
          return;
        }
        needStart("publish: the queue is full");
        awaitSpace(seen, timeout, until);
      }
    } finally {
      turn.unlock();
    }
  }

  private static boolean attempt(Runnable publish, boolean rethrow) {
    try {
      publish.run();
      return true;
    } catch (KarakException.QueueFull full) {
      if (rethrow) {
        throw full;
      }
      return false;
    }
  }

  private long spaces() {
    spaceLock.lock();
    try {
      return spaces;
    } finally {
      spaceLock.unlock();
    }
  }

  private void awaitSpace(long seen, Duration timeout, long until) throws InterruptedException {
    spaceLock.lock();
    try {
      while (seen == spaces) {
        long left = timeout == null ? 1 : until - System.nanoTime();
        if (left <= 0) {
          throw KarakException.of(karakp2p_core.ETIMEDOUT, "publish: the queue is full");
        }
        if (timeout == null) {
          space.await();
        } else {
          space.awaitNanos(left);
        }
      }
    } finally {
      spaceLock.unlock();
    }
  }
}
