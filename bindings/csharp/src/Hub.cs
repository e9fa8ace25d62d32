using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using KarakP2P.Core;

namespace KarakP2P {
  /// <summary>Something that rings; one waits for the next ring, with a thread or without.</summary>
  sealed class Signal {
    private readonly object gate = new object();
    private TaskCompletionSource<bool> next = Fresh();
    private long rings;

    private static TaskCompletionSource<bool> Fresh() =>
        new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);

    public long Rings {
      get {
        lock (gate) {
          return rings;
        }
      }
    }

    public void Ring() {
      TaskCompletionSource<bool> rung;
      lock (gate) {
        rings++;
        rung = next;
        next = Fresh();
        Monitor.PulseAll(gate);
      }
      rung.SetResult(true);
    }

    /// <summary>Until it has rung since that count; false when time is over.</summary>
    public bool Wait(long seen, Deadline deadline) {
      lock (gate) {
        while (rings == seen) {
          int left = deadline.Left;
          if (left == 0) {
            return false;
          }
          Monitor.Wait(gate, left);
        }
        return true;
      }
    }

    public async Task WaitAsync(long seen, CancellationToken cancel) {
      Task ring;
      lock (gate) {
        if (rings != seen) {
          return;
        }
        ring = next.Task;
      }
      if (!cancel.CanBeCanceled) {
        await ring.ConfigureAwait(false);
        return;
      }
      var canceled = Fresh();
      using (cancel.Register(() => canceled.TrySetResult(true))) {
        await Task.WhenAny(ring, canceled.Task).ConfigureAwait(false);
      }
      cancel.ThrowIfCancellationRequested();
    }
  }

  /// <summary>When a wait is over; without a timeout, never.</summary>
  struct Deadline {
    private readonly TimeSpan? timeout;
    private readonly System.Diagnostics.Stopwatch since;

    public Deadline(TimeSpan? timeout) {
      Hub.Milliseconds(timeout);
      this.timeout = timeout;
      since = System.Diagnostics.Stopwatch.StartNew();
    }

    /// <summary>Milliseconds, -1 for no limit.</summary>
    public int Left {
      get {
        if (timeout == null) {
          return -1;
        }
        double left = (timeout.Value - since.Elapsed).TotalMilliseconds;
        return left <= 0 ? 0 : (int)Math.Min(Math.Ceiling(left), 2000000000);
      }
    }
  }

  /// <summary>One numbered inbox of the library and the one batch that was taken from it.</summary>
  sealed class Inbox {
    private const int DirectMax = 65536; // as inbox.max_messages by default
    private readonly Hub hub;
    private readonly Queue<Message> batch = new Queue<Message>();
    private bool over;

    public Inbox(Hub hub, int number) {
      this.hub = hub;
      Number = number;
    }

    public int Number { get; }
    public Signal Signal { get; } = new Signal();
    public long Dropped { get; private set; }

    public bool IsOver {
      get {
        lock (batch) {
          return over && batch.Count == 0;
        }
      }
    }

    /// <summary>The next message, or null when there is none.</summary>
    public Message Take() {
      lock (batch) {
        Fill();
        return batch.Count > 0 ? batch.Dequeue() : null;
      }
    }

    /// <summary>Direct messages have no inbox of their own in the library, so they are bounded here.</summary>
    public void PutDirect(Message message) {
      lock (batch) {
        batch.Enqueue(message);
        if (batch.Count > DirectMax) {
          batch.Dequeue();
          Dropped++;
        }
      }
      Signal.Ring();
    }

    /// <summary>Nothing is routed here any more; empties it, so that its number can be used again.</summary>
    public void Finish() {
      lock (batch) {
        over = true;
        batch.Clear();
        try {
          while (hub.Core.take(Number, 0) != null) {
          }
        } catch (ClosedException) {
        }
      }
      Signal.Ring();
    }

    private void Fill() {
      if (batch.Count > 0 || over) {
        return;
      }
      try {
        byte[] packed = hub.Core.take(Number, 0);
        if (packed == null) {
          return;
        }
        foreach (Message message in Message.Unpack(packed, hub.Core)) {
          Put(message);
        }
      } catch (ClosedException) {
        over = true;
      }
    }

    private void Put(Message message) {
      if (message.Data != null) {
        batch.Enqueue(message);
        return;
      }
      if (message.Type == karakp2p_core.EV_DROPPED) {
        Dropped += message.Count;
      }
      hub.Report(message);
    }
  }

  /// <summary>What a node, its senders and its subscriptions share. Its one thread waits for the library's
  /// bell, takes answers out of inbox 0 and wakes readers and publishers. It does not hold the Node, so that
  /// a Node that is dropped can be collected, which stops it.</summary>
  sealed class Hub {
    public const int DefaultInbox = 1; // of topics without a subscription of their own; 0 is for answers

    private sealed class Call {
      public readonly TaskCompletionSource<List<Message>> Source =
          new TaskCompletionSource<List<Message>>(TaskCreationOptions.RunContinuationsAsynchronously);
      public readonly List<Message> Events = new List<Message>();
    }

    // The runtime ends only when no thread is left in native code: at exit, all nodes say goodbye.
    private static readonly ConcurrentDictionary<long, bool> live = new ConcurrentDictionary<long, bool>();

    static Hub() {
      AppDomain.CurrentDomain.ProcessExit += (sender, args) => {
        foreach (long id in live.Keys) {
          karakp2p_core.stop(id);
        }
      };
    }

    private readonly Action<Message> onEvent;
    private readonly ConcurrentDictionary<int, Inbox> inboxes = new ConcurrentDictionary<int, Inbox>();
    private readonly Dictionary<string, Inbox> topics = new Dictionary<string, Inbox>();
    private readonly ConcurrentDictionary<long, Call> calls = new ConcurrentDictionary<long, Call>();
    private readonly SemaphoreSlim turn = new SemaphoreSlim(1, 1); // who waits for room is served in order
    private readonly Signal space = new Signal();
    private Thread thread;
    private Bell bell;
    private volatile bool started;
    private volatile bool over;
    private long token;

    public Hub(Core.Node core, Action<Message> onEvent) {
      Core = core;
      this.onEvent = onEvent;
      Inbox = new Inbox(this, DefaultInbox);
      inboxes[DefaultInbox] = Inbox;
    }

    public Core.Node Core { get; }
    public Inbox Inbox { get; }

    public void Start() {
      Core.start();
      live[Core.stop_id()] = true;
      bell = Core.bell();
      if (bell == null) {
        throw KarakException.Of(karakp2p_core.ENOMEM, "start: no memory for the bell");
      }
      thread = new Thread(Run) { IsBackground = true, Name = "karakp2p" };
      started = true;
      thread.Start();
    }

    public void Close(TimeSpan? drain) {
      int ms = Milliseconds(drain);
      Core.close(ms, 0);
      if (thread == null || thread == Thread.CurrentThread) {
        return;
      }
      thread.Join();
      while (Core.close(ms, -1) == karakp2p_core.EINTR) {
      }
    }

    public void NeedStart(string what) {
      if (!started) {
        throw KarakException.Of(karakp2p_core.ESTATE, what + ": the node has not been started");
      }
    }

    public static int Milliseconds(TimeSpan? timeout) {
      if (timeout == null) {
        return -1;
      }
      if (timeout.Value < TimeSpan.Zero) {
        throw KarakException.Of(karakp2p_core.EINVAL, "timeout: 0 or more, or none");
      }
      return (int)Math.Min(Math.Ceiling(timeout.Value.TotalMilliseconds), 2000000000);
    }

    // --- the thread ---

    private void Run() {
      int what;
      do {
        what = bell.wait(-1);
        Inbox inbox;
        if (what == 0) {
          Drain();
        } else if (what == karakp2p_core.WAKE_SPACE) {
          space.Ring();
        } else if (what > 0 && inboxes.TryGetValue(what, out inbox)) {
          inbox.Signal.Ring();
        }
      } while (what != karakp2p_core.WAKE_CLOSED);
      Drain();
      bell.remove();
      End();
    }

    private void Drain() {
      try {
        byte[] packed;
        while ((packed = Core.take(0, 0)) != null) {
          foreach (Message message in Message.Unpack(packed, Core)) {
            Dispatch(message);
          }
        }
      } catch (ClosedException) {
        // all is read
      }
    }

    private void End() {
      bool gone;
      over = true;
      live.TryRemove(Core.stop_id(), out gone);
      foreach (Call call in calls.Values) {
        call.Source.TrySetException(KarakException.Of(karakp2p_core.ECLOSED, "the node is closed"));
      }
      calls.Clear();
      space.Ring();
      foreach (Inbox inbox in inboxes.Values) {
        inbox.Signal.Ring();
      }
    }

    private void Dispatch(Message message) {
      if (message.Data != null) {
        Inbox.PutDirect(message);
        return;
      }
      bool fate = message.Type == karakp2p_core.EV_COMPLETE || message.Type == karakp2p_core.EV_PUBLISHED;
      if (!fate || message.Token == 0) {
        Report(message);
        return;
      }
      Call call;
      if (!calls.TryGetValue(message.Token, out call)) {
        return;
      }
      call.Events.Add(message);
      if (message.More || !calls.TryRemove(message.Token, out call)) {
        return;
      }
      if (message.Code == 0) {
        call.Source.TrySetResult(call.Events);
      } else {
        string text = message.EventText ?? karakp2p_core.strerror(message.Code);
        call.Source.TrySetException(KarakException.Of(message.Code, text));
      }
    }

    /// <summary>To OnEvent; what that throws is shown, and the node goes on.</summary>
    public void Report(Message message) {
      try {
        onEvent?.Invoke(message);
      } catch (Exception e) {
        Console.Error.WriteLine("karakp2p: OnEvent threw " + e);
      }
    }

    // --- requests ---

    /// <summary>Starts something that is given a token; its events. Cancelling cancels that.</summary>
    public async Task<List<Message>> CallAsync(Func<long, Task> start, CancellationToken cancel) {
      long mine = Interlocked.Increment(ref token);
      var call = new Call();
      calls[mine] = call;
      try {
        await start(mine).ConfigureAwait(false);
        if (over) {
          call.Source.TrySetException(KarakException.Of(karakp2p_core.ECLOSED, "the node is closed"));
        }
        using (cancel.Register(() => call.Source.TrySetCanceled())) {
          return await call.Source.Task.ConfigureAwait(false);
        }
      } finally {
        if (calls.TryRemove(mine, out call)) {
          Cancel(mine);
        }
      }
    }

    private void Cancel(long mine) {
      try {
        Core.cancel(mine);
      } catch (KarakException) {
        // it has ended meanwhile
      }
    }

    /// <summary>The library keeps the time limit itself. Before start, requests are queued.</summary>
    public Task<List<Message>> RequestAsync(int operation, string arg, string options, TimeSpan? timeout,
                                            CancellationToken cancel) {
      byte[] bytes = Text.Bytes(Text.Checked(arg));
      byte[] data = Text.Bytes(options);
      int ms = timeout == null ? 0 : Math.Max(1, Milliseconds(timeout));
      if (!started) {
        Core.request(operation, bytes, data, ms, 0);
        return Task.FromResult(new List<Message>());
      }
      return CallAsync(mine => {
        Core.request(operation, bytes, data, ms, mine);
        return Task.FromResult(0);
      }, cancel);
    }

    // --- topics ---

    /// <summary>The inbox of a topic that is to have its own.</summary>
    public Inbox InboxOf(string topic) {
      lock (topics) {
        Inbox inbox;
        if (topics.TryGetValue(topic, out inbox)) {
          return inbox;
        }
        for (int number = DefaultInbox + 1; number < karakp2p_core.INBOXES; number++) {
          if (!inboxes.ContainsKey(number)) {
            return inboxes[number] = topics[topic] = new Inbox(this, number);
          }
        }
      }
      throw KarakException.Of(karakp2p_core.ELIMIT, "subscribe: all inboxes are in use");
    }

    public void Forget(string topic) {
      Inbox gone;
      lock (topics) {
        if (!topics.TryGetValue(topic, out gone)) {
          return;
        }
        topics.Remove(topic);
      }
      gone.Finish();
      inboxes.TryRemove(gone.Number, out gone);
    }

    // --- room in the send queue ---

    private static bool Attempt(Action publish) {
      try {
        publish();
        return true;
      } catch (QueueFullException) {
        return false;
      }
    }

    /// <summary>Runs publish, which does not wait, until there is room for it.</summary>
    public void Queue(Action publish, TimeSpan? timeout) {
      var deadline = new Deadline(timeout);
      if (timeout == TimeSpan.Zero) {
        publish();
        return;
      }
      if (turn.CurrentCount > 0 && Attempt(publish)) {
        return;
      }
      bool mine = turn.Wait(deadline.Left);
      try {
        while (true) {
          long seen = space.Rings;
          if (mine && Attempt(publish)) {
            return;
          }
          NeedStart("publish: the queue is full");
          if (!mine || !space.Wait(seen, deadline)) {
            throw KarakException.Of(karakp2p_core.ETIMEDOUT, "publish: the queue is full");
          }
        }
      } finally {
        if (mine) {
          turn.Release();
        }
      }
    }

    public async Task QueueAsync(Action publish, CancellationToken cancel) {
      if (turn.CurrentCount > 0 && Attempt(publish)) {
        return;
      }
      await turn.WaitAsync(cancel).ConfigureAwait(false);
      try {
        while (true) {
          long seen = space.Rings;
          if (Attempt(publish)) {
            return;
          }
          NeedStart("publish: the queue is full");
          await space.WaitAsync(seen, cancel).ConfigureAwait(false);
        }
      } finally {
        turn.Release();
      }
    }
  }
}
