using System;
using System.Collections;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using KarakP2P.Core;

namespace KarakP2P {
  /// <summary>What a node and a subscription share: taking messages out of one inbox, with foreach, await
  /// foreach (where the compiler has it), or Recv. Several readers of one compete: each message goes to one
  /// of them.</summary>
  public abstract class Reader : IEnumerable<Message>, IAsyncEnumerable<Message> {
    private readonly Hub hub;

    internal Reader(Hub hub, Inbox inbox) {
      this.hub = hub;
      Inbox = inbox;
    }

    internal Inbox Inbox { get; }

    /// <summary>Messages lost because nobody took them in time.</summary>
    public long Dropped => Inbox.Dropped;

    /// <summary>The next message. Waits at most that long (null: as long as it takes), then
    /// TimedOutException. ClosedException when the node was closed, or the topic
    /// unsubscribed, and all is read.</summary>
    public Message Recv(TimeSpan? timeout = null) {
      Message message = Await(new Deadline(timeout));
      if (message == null) {
        throw Inbox.IsOver ? Ended()
            : KarakException.Of(karakp2p_core.ETIMEDOUT, "recv: no message within " + timeout);
      }
      return message;
    }

    /// <summary>As Recv, without a thread. Cancelling loses no message.</summary>
    public async Task<Message> RecvAsync(CancellationToken cancel = default(CancellationToken)) {
      Message message = await AwaitAsync(cancel).ConfigureAwait(false);
      if (message == null) {
        throw Ended();
      }
      return message;
    }

    /// <summary>Up to n messages; waits as Recv for the first only. Empty when none came in time.</summary>
    public List<Message> RecvBatch(int n = 256, TimeSpan? timeout = null) {
      if (n < 1) {
        throw KarakException.Of(karakp2p_core.EINVAL, "n " + n + ": at least 1");
      }
      var batch = new List<Message>();
      Message message = Await(new Deadline(timeout));
      if (message == null && Inbox.IsOver) {
        throw Ended();
      }
      for (; message != null; message = batch.Count < n ? Inbox.Take() : null) {
        batch.Add(message);
      }
      return batch;
    }

    /// <summary>Calls handler for each message, on this thread, until the end.</summary>
    public void Listen(Action<Message> handler) {
      if (handler == null) {
        throw new ArgumentNullException("handler");
      }
      foreach (Message message in this) {
        handler(message);
      }
    }

    public IEnumerator<Message> GetEnumerator() {
      Message message;
      while ((message = Await(new Deadline(null))) != null) {
        yield return message;
      }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public IAsyncEnumerator<Message> GetAsyncEnumerator(
        CancellationToken cancel = default(CancellationToken)) => new Stream(this, cancel);

    private sealed class Stream : IAsyncEnumerator<Message> {
      private readonly Reader reader;
      private readonly CancellationToken cancel;

      public Stream(Reader reader, CancellationToken cancel) {
        this.reader = reader;
        this.cancel = cancel;
      }

      public Message Current { get; private set; }

      public ValueTask<bool> MoveNextAsync() => new ValueTask<bool>(Next());

      private async Task<bool> Next() {
        Current = await reader.AwaitAsync(cancel).ConfigureAwait(false);
        return Current != null;
      }

      public ValueTask DisposeAsync() => default(ValueTask);
    }

    private Message Await(Deadline deadline) {
      while (true) {
        long seen = Inbox.Signal.Rings;
        Message message = Inbox.Take();
        if (message != null || Inbox.IsOver || deadline.Left == 0) {
          return message;
        }
        hub.NeedStart("recv");
        Inbox.Signal.Wait(seen, deadline);
      }
    }

    private async Task<Message> AwaitAsync(CancellationToken cancel) {
      while (true) {
        cancel.ThrowIfCancellationRequested();
        long seen = Inbox.Signal.Rings;
        Message message = Inbox.Take();
        if (message != null || Inbox.IsOver) {
          return message;
        }
        hub.NeedStart("recv");
        await Inbox.Signal.WaitAsync(seen, cancel).ConfigureAwait(false);
      }
    }

    private static KarakException Ended() =>
        KarakException.Of(karakp2p_core.ECLOSED, "the node is closed, or the subscription has ended");
  }
}
