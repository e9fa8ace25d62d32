using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;
using KarakP2P.Core;

namespace KarakP2P {
  /// <summary>What a node is made of: new Config { { "topic", "news" }, { "listen", "/ip4/…" } }. Keys go by
  /// their names in the C library (docs/config.md); a wrong one, or a wrong value, is refused at once with
  /// the key in the text.</summary>
  public sealed class Config : IEnumerable<string> {
    private readonly List<string> keys = new List<string>();

    internal Core.Config Core { get; } = new Core.Config();
    internal List<string> Topics { get; } = new List<string>();

    /// <summary>Called with each event that is no message (dropped, peer up …, as key events says), on a
    /// thread of the node: be short.</summary>
    public Action<Message> OnEvent { get; set; }

    /// <summary>One key. topic, listen, bootstrap and so on may be added several times.</summary>
    public void Add(string key, object value) {
      string text = Convert.ToString(value, CultureInfo.InvariantCulture);
      if (value is bool) {
        text = text.ToLowerInvariant();
      } else if (!(value is string) && !(value is int) && !(value is long) && !(value is double)) {
        throw new ArgumentException(key + ": a string, int, long, double or bool");
      }
      if (key == "topic") {
        Topics.Add(Text.Checked(text));
      } else {
        Core.set(key, text);
      }
      keys.Add(key);
    }

    public IEnumerator<string> GetEnumerator() => keys.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
  }

  /// <summary>Keys, peer ids, and the version of the library.</summary>
  public static class Keys {
    /// <summary>A new Ed25519 key: the text that key identity takes.</summary>
    public static string Generate() => karakp2p_core.key_generate(karakp2p_core.KEY_ED25519);
    /// <summary>The peer id of such a text.</summary>
    public static string PeerIdOf(string key) => karakp2p_core.key_peer_id(key);
    /// <summary>A peer id in base58, given in base58 or as a CIDv1.</summary>
    public static string PeerId(string text) => karakp2p_core.peer_id_parse(text);
    public static string Version => karakp2p_core.version();
  }

  /// <summary>A way to publish that can be given to others: it holds the send queue, not the node. What it
  /// has queued still goes out when it is dropped.</summary>
  public sealed class Sender {
    private readonly Core.Sender core;
    private readonly Hub hub;

    internal Sender(Core.Sender core, Hub hub) {
      this.core = core;
      this.hub = hub;
    }

    /// <summary>Queues a message for everyone who subscribes to the topic. Waits for room in the bounded
    /// queue at most that long (null: as long as it takes; zero: not at all, then QueueFull).</summary>
    public void Publish(string topic, byte[] data, TimeSpan? timeout = null) {
      hub.Queue(() => core.publish(topic, data, 0, 0), timeout);
    }

    public Task PublishAsync(string topic, byte[] data,
                             CancellationToken cancel = default(CancellationToken)) =>
        QueueAsync(topic, data, 0, cancel);

    /// <summary>Publish without waiting; false when the queue is full.</summary>
    public bool TryPublish(string topic, byte[] data) {
      try {
        core.publish(topic, data, 0, 0);
        return true;
      } catch (QueueFullException) {
        return false;
      }
    }

    /// <summary>Another handle of the same queue.</summary>
    public Sender Clone() => new Sender(core.clone(), hub);

    internal Task QueueAsync(string topic, byte[] data, long token, CancellationToken cancel) =>
        hub.QueueAsync(() => core.publish(topic, data, token, 0), cancel);

    internal Task SendAsync(string peer, string protocol, byte[] data, long token, CancellationToken cancel) =>
        hub.QueueAsync(() => core.send(peer, protocol, data, token, 0), cancel);
  }

  /// <summary>A topic with an inbox of its own. Ends when the node is closed or it is disposed.</summary>
  public sealed class Subscription : Reader, IDisposable {
    private readonly Node node;

    internal Subscription(Node node, Hub hub, string topic, Inbox inbox) : base(hub, inbox) {
      this.node = node;
      Topic = topic;
    }

    public string Topic { get; }

    /// <summary>Leaves the topic: what was not read yet is gone, iteration ends. Again: nothing.</summary>
    public void Dispose() {
      if (Inbox.IsOver) {
        return;
      }
      try {
        node.Unsubscribe(Topic);
      } catch (ClosedException) {
        // that is no topic any more
      }
    }
  }

  /// <summary>One peer of the network. Methods may be called by any thread. The node's own messages (Recv,
  /// foreach) are those of key topic and the direct ones; Subscribe gives a topic an inbox of its own.
  /// <code>
  /// using (var node = new Node(new Config { { "topic", "news" } }).Start()) {
  ///   node.Publish("news", Encoding.UTF8.GetBytes("hello"));
  ///   foreach (Message message in node) {
  ///     Console.WriteLine(message.Source + ": " + message.DataText);
  ///   }
  /// }
  /// </code></summary>
  public sealed class Node : Reader, IDisposable {
    private static readonly TimeSpan goodbye = TimeSpan.FromSeconds(2);
    private readonly Hub hub;
    private readonly Sender sender;
    private readonly long stopId;

    /// <summary>Not started yet. InvalidException when keys contradict each other.</summary>
    public Node(Config config) : this(Make(config)) {
      foreach (string topic in config.Topics) {
        Join(hub.RequestAsync(karakp2p_core.OP_SUBSCRIBE, topic, "inbox=" + Hub.DefaultInbox, null,
                              CancellationToken.None));
      }
    }

    private Node(Hub hub) : base(hub, hub.Inbox) {
      this.hub = hub;
      sender = new Sender(new Core.Sender(hub.Core), hub);
      stopId = hub.Core.stop_id();
    }

    private static Hub Make(Config config) {
      if (config == null) {
        throw new ArgumentNullException("config");
      }
      return new Hub(new Core.Node(config.Core), config.OnEvent);
    }

    /// <summary>A node that was dropped stops; this never blocks.</summary>
    ~Node() {
      if (stopId != 0) {
        karakp2p_core.stop(stopId);
      }
    }

    /// <summary>Binds all listeners, then starts the node's threads; returns the node.</summary>
    public Node Start() {
      hub.Start();
      return this;
    }

    /// <summary>Says goodbye, sends what is queued, ends the node; waits until that is done, 2 s at
    /// most. Any thread, any number of times.</summary>
    public void Close() => hub.Close(goodbye);

    /// <summary>As Close with another budget; null: as long as it takes.</summary>
    public void Close(TimeSpan? drain) => hub.Close(drain);

    public void Dispose() => Close();

    // --- topics and sending ---

    /// <summary>Joins a topic with an inbox of its own. validate: messages are forwarded only after
    /// Message.Accept. ownMessages: this node's own arrive too. Again: new options, the same inbox.</summary>
    public Subscription Subscribe(string topic, bool validate = false, bool ownMessages = false) {
      Inbox inbox = hub.InboxOf(Text.Checked(topic));
      string options = "validate=" + (validate ? 1 : 0) + " self=" + (ownMessages ? 1 : 0)
          + " inbox=" + inbox.Number;
      try {
        Join(hub.RequestAsync(karakp2p_core.OP_SUBSCRIBE, topic, options, null, CancellationToken.None));
      } catch (KarakException) {
        hub.Forget(topic);
        throw;
      }
      return new Subscription(this, hub, topic, inbox);
    }

    /// <summary>Leaves a topic, however it was joined.</summary>
    public void Unsubscribe(string topic) {
      Join(hub.RequestAsync(karakp2p_core.OP_UNSUBSCRIBE, topic, "", null, CancellationToken.None));
      hub.Forget(topic);
    }

    /// <summary>As Sender.Publish.</summary>
    public void Publish(string topic, byte[] data, TimeSpan? timeout = null) =>
        sender.Publish(topic, data, timeout);

    /// <summary>As Sender.PublishAsync.</summary>
    public Task PublishAsync(string topic, byte[] data,
                             CancellationToken cancel = default(CancellationToken)) =>
        sender.PublishAsync(topic, data, cancel);

    /// <summary>As Sender.TryPublish.</summary>
    public bool TryPublish(string topic, byte[] data) => sender.TryPublish(topic, data);

    /// <summary>Publishes and tells the fate: id and peers, or DuplicateException, NoPeersException,
    /// ExpiredException.</summary>
    public async Task<Published> PublishConfirmAsync(
        string topic, byte[] data, CancellationToken cancel = default(CancellationToken)) {
      hub.NeedStart("publish");
      return new Published((await hub.CallAsync(
          token => sender.QueueAsync(topic, data, token, cancel), cancel).ConfigureAwait(false)).Last());
    }

    /// <summary>A handle on the send queue.</summary>
    public Sender Sender() => sender.Clone();

    /// <summary>Sends a direct message to a connected peer that did AddProtocol; done when it is
    /// written.</summary>
    public Task SendAsync(string peer, string protocol, byte[] data,
                          CancellationToken cancel = default(CancellationToken)) {
      hub.NeedStart("send");
      return hub.CallAsync(token => sender.SendAsync(peer, protocol, data, token, cancel), cancel);
    }

    /// <summary>Accepts direct messages of a protocol: they come out of Recv, with Protocol set.</summary>
    public void AddProtocol(string protocol) {
      Join(hub.RequestAsync(karakp2p_core.OP_ADD_PROTOCOL, protocol, "", null, CancellationToken.None));
    }

    // --- peers ---

    /// <summary>Round trip to a peer.</summary>
    public async Task<TimeSpan> PingAsync(string peer, TimeSpan? timeout = null,
                                          CancellationToken cancel = default(CancellationToken)) {
      var events = await Operate("ping", karakp2p_core.OP_PING, peer, timeout, cancel).ConfigureAwait(false);
      return TimeSpan.FromTicks(events.Last().Count * 10);
    }

    /// <summary>Connects to a multiaddress or a peer id; the peer id.</summary>
    public async Task<string> ConnectAsync(string addr, TimeSpan? timeout = null,
                                           CancellationToken cancel = default(CancellationToken)) {
      var events = await Operate("connect", karakp2p_core.OP_CONNECT, addr, timeout, cancel)
          .ConfigureAwait(false);
      return events.Last().Source;
    }

    /// <summary>Closes all connections to a peer.</summary>
    public Task DisconnectAsync(string peer) =>
        Operate("disconnect", karakp2p_core.OP_DISCONNECT, peer, null, CancellationToken.None);

    /// <summary>Addresses of a peer, looked up in the DHT.</summary>
    public async Task<List<string>> FindPeerAsync(string peer, TimeSpan? timeout = null,
                                                  CancellationToken cancel = default(CancellationToken)) {
      var events = await Operate("findPeer", karakp2p_core.OP_DHT_FIND_PEER, peer, timeout, cancel)
          .ConfigureAwait(false);
      return events.Select(e => e.Addr).Where(a => a != null).ToList();
    }

    private Task<List<Message>> Operate(string what, int operation, string arg, TimeSpan? timeout,
                                        CancellationToken cancel) {
      hub.NeedStart(what);
      return hub.RequestAsync(operation, arg, "", timeout, cancel);
    }

    private static void Join(Task task) => task.GetAwaiter().GetResult();

    // --- introspection ---

    public string PeerId => hub.Core.info("peer_id");

    /// <summary>What others give as bootstrap: where they can reach this node.</summary>
    public List<string> Addresses =>
        Regex.Matches(hub.Core.info("addresses"), "\"([^\"]*)\"").Cast<Match>()
            .Select(m => m.Groups[1].Value).ToList();

    /// <summary>The connected peers, as JSON text.</summary>
    public string Peers => hub.Core.info("peers");

    /// <summary>The subscribed topics, as JSON text.</summary>
    public string Topics => hub.Core.info("topics");

    /// <summary>All counters and gauges by name.</summary>
    public Dictionary<string, long> Stats =>
        Regex.Matches(hub.Core.info("stats"), "\"([^\"]+)\":\\s*(-?[0-9]+)").Cast<Match>()
            .ToDictionary(m => m.Groups[1].Value,
                          m => long.Parse(m.Groups[2].Value, CultureInfo.InvariantCulture));
  }
}
