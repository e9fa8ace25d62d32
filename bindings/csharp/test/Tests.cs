using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Json;
using System.Linq;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;
using KarakP2P;
using KarakP2P.Core;
using NUnit.Framework;
using Config = KarakP2P.Config;
using Node = KarakP2P.Node;
using Sender = KarakP2P.Sender;

// Run by bindings/run_tests.sh, which sets KARAKP2P_REPOSITORY and KARAKP2P_COMMAND.

static class Kit {
  public static readonly string Repository = Environment.GetEnvironmentVariable("KARAKP2P_REPOSITORY");
  public static readonly string Command = Environment.GetEnvironmentVariable("KARAKP2P_COMMAND");
  public static readonly TimeSpan Soon = TimeSpan.FromSeconds(10);
  public static readonly TimeSpan Brief = TimeSpan.FromMilliseconds(10);

  public static Config Quick() =>
      new Config { { "listen", "/ip4/127.0.0.1/tcp/0" }, { "kad.mode", "off" }, { "workers", 1 } };

  public static JsonValue Table(string name) =>
      JsonValue.Parse(File.ReadAllText(Path.Combine(Repository, "tests", name)));

  // What a text, {"hex"} or {"repeat"} of the tables stands for.
  public static byte[] Bytes(JsonValue value) {
    if (value == null) {
      return new byte[0];
    }
    if (value.JsonType == JsonType.String) {
      return Utf8(value);
    }
    if (value.ContainsKey("hex")) {
      return Hex(value["hex"]);
    }
    byte[] piece = Hex(value["repeat"][0]);
    return Enumerable.Repeat(piece, value["repeat"][1]).SelectMany(b => b).ToArray();
  }

  private static byte[] Hex(string hex) =>
      Enumerable.Range(0, hex.Length / 2).Select(i => Convert.ToByte(hex.Substring(2 * i, 2), 16)).ToArray();

  public static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

  public static string Text(JsonValue value) => Encoding.UTF8.GetString(Bytes(value));

  public static JsonValue Member(JsonValue o, string name) => o.ContainsKey(name) ? o[name] : null;

  public static void Until(Func<bool> condition) {
    var since = Stopwatch.StartNew();
    while (!condition()) {
      Assert.Less(since.Elapsed.TotalSeconds, 15, "never came true");
      Thread.Sleep(5);
    }
  }

  public static bool Knows(Node node, string topic) => node.Peers.Contains("\"" + topic + "\"");

  // The exception that a task ends with.
  public static Exception Fate(Task task) {
    try {
      Assert.IsTrue(task.Wait(10000), "not finished");
    } catch (AggregateException e) {
      return e.InnerException;
    }
    return null;
  }

  // Runs a program of the tests in a process of its own.
  public static Process Child(string how) {
    return Process.Start(new ProcessStartInfo("mono", "--debug " + Path.Combine(
        Path.GetDirectoryName(typeof(Kit).Assembly.Location), "ChildProgram.exe") + " " + how) {
      RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
    });
  }
}

// Two started nodes; the second is subscribed to the topics, and the first knows.
sealed class Pair : IDisposable {
  public readonly Node One;
  public readonly Node Two;

  public Pair(params string[] topics) {
    One = new Node(Kit.Quick()).Start();
    Config config = Kit.Quick();
    config.Add("bootstrap", One.Addresses[0]);
    foreach (string topic in topics) {
      config.Add("topic", topic);
    }
    Two = new Node(config).Start();
    Kit.Until(() => {
      JsonValue peers = JsonValue.Parse(One.Peers);
      return peers.Count == 1 && peers[0]["topics"].Count == topics.Length;
    });
  }

  public void Dispose() {
    One.Dispose();
    Two.Dispose();
  }
}

// The karakp2p command as a node of its own.
sealed class CNode {
  private readonly Process process;
  public readonly string Peer;
  public readonly string Address;

  public CNode(string topic) {
    process = Process.Start(new ProcessStartInfo(
        Kit.Command, "node --json --listen /ip4/127.0.0.1/tcp/0 --topic " + topic) {
      RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false,
    });
    JsonValue started = Await("listening");
    Peer = started["peer"];
    Address = started["addrs"][0];
  }

  public JsonValue Await(string kind) {
    string line;
    while ((line = process.StandardOutput.ReadLine()) != null) {
      JsonValue e = JsonValue.Parse(line);
      if (e["event"] == kind) {
        return e;
      }
    }
    throw new Exception("the C node ended before " + kind);
  }

  public void Say(string text) {
    process.StandardInput.Write(text + "\n");
    process.StandardInput.Flush();
  }

  public int Quit() {
    Say("/quit");
    process.WaitForExit();
    return process.ExitCode;
  }
}

[TestFixture]
public class TablesTest {
  private static readonly string[] notHere = { "kp2p_sender_publish_batch" }; // several in one call

  // What a case is played on: the C calls, as the wrapper has them.
  private sealed class Stage {
    private readonly string taken;
    private readonly KarakP2P.Core.Node node;
    private readonly KarakP2P.Core.Sender sender;

    public Stage(JsonValue item, JsonValue keys, string taken) {
      this.taken = taken;
      string state = item["state"];
      if (state == "none") {
        return;
      }
      node = NodeOf(Kit.Member(item, "keys") ?? keys);
      sender = new KarakP2P.Core.Sender(node);
      if (state != "new") {
        node.start();
      }
      if (state == "closed") {
        node.close(0, -1);
      }
    }

    private KarakP2P.Core.Node NodeOf(JsonValue keys) {
      var config = new KarakP2P.Core.Config();
      foreach (JsonValue pair in (JsonArray)keys) {
        config.set(pair[0], Fill(pair[1]));
      }
      return new KarakP2P.Core.Node(config);
    }

    public string Fill(string text) => text.Replace("{taken}", taken);

    public void Play(JsonValue step) {
      JsonValue a = step["args"];
      Func<string, string> text = name => Fill(Kit.Text(Kit.Member(a, name)));
      Func<string, int> number = name => a.ContainsKey(name) ? (int)a[name] : 0;
      byte[] data = Kit.Bytes(Kit.Member(a, "data"));
      long token = a.ContainsKey("token") ? (long)a["token"] : 0;
      int timeout = number("timeout_ms");
      switch ((string)step["call"]) {
        case "kp2p_config_set": new KarakP2P.Core.Config().set(text("key"), text("value")); break;
        case "kp2p_node_new": NodeOf(a["keys"]); break;
        case "kp2p_key_generate": karakp2p_core.key_generate(number("type")); break;
        case "kp2p_key_peer_id": karakp2p_core.key_peer_id(text("key")); break;
        case "kp2p_peer_id_parse": karakp2p_core.peer_id_parse(text("text")); break;
        case "kp2p_node_start": node.start(); break;
        case "kp2p_sender_publish": sender.publish(text("topic"), data, token, timeout); break;
        case "kp2p_sender_send": sender.send(text("peer"), text("protocol"), data, token, timeout); break;
        case "kp2p_node_request": node.request(number("op"), Kit.Utf8(text("arg")), data, timeout, token); break;
        case "kp2p_node_poll":
        case "kp2p_node_poll_batch": node.take(number("inbox"), timeout); break;
        case "kp2p_node_listen": node.take(number("inbox"), -1); break;
        case "kp2p_node_inbox_fd": node.inbox_fd(number("inbox")); break;
        case "kp2p_node_verdict": node.verdict(token, number("verdict")); break;
        case "kp2p_node_cancel": node.cancel(token); break;
        case "kp2p_node_info": node.info(text("what")); break;
        default: throw new Exception("unknown call " + step);
      }
    }
  }

  [Test]
  public void Misuse() {
    JsonValue table = Kit.Table("misuse.json");
    int played = 0;
    using (Node other = new Node(Kit.Quick()).Start()) {
      string taken = Regex.Split(other.Addresses[0], "/p2p/")[0];
      foreach (JsonValue item in (JsonArray)table["cases"]) {
        string name = item["name"];
        if (item.ContainsKey("bytes") || notHere.Contains((string)item["call"]) || name == "poll batch: of no events") {
          continue;
        }
        var stage = new Stage(item, table["keys"], taken);
        foreach (JsonValue step in (JsonArray)Kit.Member(item, "before") ?? new JsonArray()) {
          stage.Play(step);
        }
        KarakException e = Assert.Catch<KarakException>(() => stage.Play(item), name);
        Assert.AreEqual((string)item["code"], e.Name, name);
        Assert.IsNotEmpty(e.Message);
        played++;
        if (item["call"] == "kp2p_node_listen") {
          continue; // polled here, which has no text
        }
        foreach (string word in ((JsonArray)item["words"]).Select(w => stage.Fill(w))) {
          StringAssert.Contains(word, e.Message, name);
        }
      }
    }
    Assert.Greater(played, 90);
  }

  [Test]
  public void Payloads() {
    JsonArray cases = (JsonArray)Kit.Table("payloads.json")["cases"];
    using (var pair = new Pair(cases.Where(c => c["result"] == "ok").Select(c => Kit.Text(c["topic"])).Distinct().ToArray())) {
      foreach (JsonValue item in cases) {
        string name = item["name"];
        string topic = Kit.Text(item["topic"]);
        byte[] payload = Kit.Bytes(item["payload"]);
        if (item["result"] == "ok") {
          pair.One.Publish(topic, payload);
          Message message = pair.Two.Recv(Kit.Soon);
          Assert.AreEqual(topic, message.Topic, name);
          Assert.IsTrue(payload.SequenceEqual(message.Data), name);
          Assert.AreEqual(pair.One.PeerId, message.Source);
        } else {
          KarakException e = Assert.Catch<KarakException>(() => pair.One.Publish(topic, payload), name);
          Assert.AreEqual((string)item["result"], e.Name, name);
          foreach (JsonValue word in (JsonArray)item["words"]) {
            StringAssert.Contains(word, e.Message, name);
          }
        }
      }
    }
  }

  [Test]
  public void CodesAreThoseOfTheHeader() {
    string header = File.ReadAllText(Path.Combine(Kit.Repository, "abi/include/karakp2p.h"));
    MatchCollection found = Regex.Matches(header, @"#define KP2P_(E[A-Z]+)\s+\((-\d+)\)");
    foreach (Match match in found) {
      KarakException e = KarakException.Of(int.Parse(match.Groups[2].Value), "x");
      Assert.AreEqual(match.Groups[1].Value, e.Name);
      Assert.AreEqual(int.Parse(match.Groups[2].Value), e.Code);
      Assert.AreNotEqual(typeof(KarakException), e.GetType());
    }
    Assert.GreaterOrEqual(found.Count, 22);
    Assert.AreEqual("E99", KarakException.Of(-99, "x").Name);
  }
}

[TestFixture]
public class NetworkTest {
  [Test]
  public void BothWaysWithACNode() {
    var other = new CNode("news");
    using (var node = new Node(new Config {
      { "listen", "/ip4/127.0.0.1/tcp/0" }, { "kad.mode", "off" }, { "topic", "news" }, { "bootstrap", other.Address },
    }).Start()) {
      byte[] data = { 99, 0, 255 };
      Assert.AreEqual(1, node.PublishConfirmAsync("news", data).Result.Peers);
      JsonValue heard = other.Await("message");
      Assert.AreEqual(data, Convert.FromBase64String(heard["data"]));
      Assert.AreEqual(node.PeerId, (string)heard["from"]);
      other.Say("from c");
      Message message = node.Recv(Kit.Soon);
      Assert.AreEqual(new[] { "from c", "news", other.Peer, other.Peer, null },
                      new[] { message.DataText, message.Topic, message.Source, message.Via, message.Protocol });
      Assert.IsTrue(message.HasSeq && message.Id.Length > 0);
      Assert.Less(Math.Abs((message.Time - DateTime.UtcNow).TotalSeconds), 60);
    }
    Assert.AreEqual(0, other.Quit());
  }

  [Test]
  public void SubscriptionsHaveInboxesOfTheirOwn() {
    using (var pair = new Pair("a"))
    using (Subscription sport = pair.Two.Subscribe("sport")) {
      Kit.Until(() => Kit.Knows(pair.One, "sport"));
      pair.One.Publish("a", Kit.Utf8("to the node"));
      pair.One.Publish("sport", Kit.Utf8("to the subscription"));
      Assert.AreEqual("to the subscription", sport.Recv(Kit.Soon).DataText);
      Assert.AreEqual("to the node", pair.Two.Recv(Kit.Soon).DataText);
      pair.One.Publish("sport", Kit.Utf8("batch 1"));
      pair.One.Publish("sport", Kit.Utf8("batch 2"));
      var got = new List<string>();
      while (got.Count < 2) {
        got.AddRange(sport.RecvBatch(8, Kit.Soon).Select(m => m.DataText));
      }
      Assert.AreEqual(new[] { "batch 1", "batch 2" }, got);
      Assert.IsEmpty(sport.RecvBatch(8, Kit.Brief));
      Assert.Catch<TimedOutException>(() => sport.Recv(Kit.Brief));
      Task<int> reader = Count(sport);
      pair.One.PublishAsync("sport", Kit.Utf8("seven b")).Wait();
      Kit.Until(() => read == 7);
      Assert.IsFalse(reader.IsCompleted);
      sport.Dispose();
      Assert.AreEqual(7, reader.Result);
      Assert.Catch<ClosedException>(() => sport.Recv());
      StringAssert.DoesNotContain("sport", pair.Two.Topics);
    }
  }

  private volatile int read;

  // What `await foreach` does, where the compiler has it.
  private async Task<int> Count(IAsyncEnumerable<Message> messages) {
    IAsyncEnumerator<Message> each = messages.GetAsyncEnumerator();
    while (await each.MoveNextAsync()) {
      read += each.Current.Data.Length;
    }
    await each.DisposeAsync();
    return read;
  }

  [Test]
  public void Validation() {
    using (var pair = new Pair()) {
      Subscription @checked = pair.Two.Subscribe("checked", validate: true);
      Kit.Until(() => Kit.Knows(pair.One, "checked"));
      foreach (string text in new[] { "good", "bad", "whatever" }) {
        pair.One.Publish("checked", Kit.Utf8(text));
      }
      Message good = @checked.Recv(Kit.Soon);
      Assert.IsTrue(good.Accept() && @checked.Recv(Kit.Soon).Reject() && @checked.Recv(Kit.Soon).Ignore());
      Assert.IsFalse(good.Accept(), "only once");
    }
  }

  [Test]
  public void DirectMessagesAndRequests() {
    using (var pair = new Pair()) {
      Node one = pair.One;
      Node two = pair.Two;
      Assert.IsInstanceOf<KarakException>(Kit.Fate(one.SendAsync(two.PeerId, "/chat/1", new byte[1])));
      two.AddProtocol("/chat/1");
      Assert.IsNull(Kit.Fate(one.SendAsync(two.PeerId, "/chat/1", Kit.Utf8("direct \0"))));
      Message message = two.Recv(Kit.Soon);
      Assert.AreEqual(new[] { "direct \0", "/chat/1", one.PeerId, null },
                      new[] { message.DataText, message.Protocol, message.Source, message.Topic });
      Assert.Less(one.PingAsync(two.PeerId, Kit.Soon).Result, Kit.Soon);
      string nobody = Keys.PeerIdOf(Keys.Generate());
      Assert.IsInstanceOf<NotFoundException>(Kit.Fate(one.PingAsync(nobody)));
      Assert.IsNull(Kit.Fate(two.DisconnectAsync(one.PeerId)));
      Kit.Until(() => one.Peers == "[]");
      Assert.AreEqual(one.PeerId, two.ConnectAsync(one.Addresses[0], Kit.Soon).Result);
      Assert.IsInstanceOf<KarakException>(Kit.Fate(one.FindPeerAsync(nobody, TimeSpan.FromMilliseconds(500))));
    }
  }

  [Test]
  public void FatesSendersOwnMessagesAndKeys() {
    var told = new System.Collections.Concurrent.BlockingCollection<Message>();
    Config config = Kit.Quick();
    config.Add("publish.hold", 0);
    config.OnEvent = told.Add;
    Node node = new Node(config).Start();
    Assert.IsInstanceOf<NoPeersException>(Kit.Fate(node.PublishConfirmAsync("own", new byte[] { 1 })));
    Sender sender = node.Sender().Clone();
    Assert.IsTrue(sender.TryPublish("own", new byte[] { 2 }));
    Message e;
    do {
      Assert.IsTrue(told.TryTake(out e, 10000));
    } while (e.Type != karakp2p_core.EV_PUBLISHED);
    Assert.AreEqual(karakp2p_core.ENOPEERS, e.Code);
    node.Close();
    Assert.Catch<ClosedException>(() => sender.Publish("own", new byte[0]));
    string key = Keys.Generate();
    Assert.AreEqual(Keys.PeerIdOf(key), new Node(new Config { { "identity", key } }).PeerId);
    Assert.AreEqual(Keys.PeerIdOf(key), Keys.PeerId(Keys.PeerIdOf(key)));
    StringAssert.Contains("libuv", Keys.Version);
    using (var pair = new Pair("own")) {
      Subscription own = pair.One.Subscribe("own", ownMessages: true);
      pair.One.Publish("own", Kit.Utf8("mine"));
      Assert.AreEqual("mine", own.Recv(Kit.Soon).DataText);
      Assert.Greater(pair.One.Stats.Count, 50);
    }
  }

  [Test]
  public void PublishersWaitForRoom() {
    Config config = Kit.Quick();
    config.Add("outbox.max_messages", 1);
    Node full = new Node(config);
    full.Publish("full", new byte[] { 0 });
    Assert.IsFalse(full.TryPublish("full", new byte[] { 1 }));
    Assert.Catch<QueueFullException>(() => full.Publish("full", new byte[] { 2 }, TimeSpan.Zero));
    full.Start();
    var publishers = Enumerable.Range(0, 8).Select(i => Task.Run(async () => {
      for (byte n = 0; n < 50; n++) {
        if (i % 2 == 0) {
          await full.PublishAsync("full" + n, new byte[] { 3, (byte)i });
        } else {
          full.Publish("full" + n, new byte[] { 3, (byte)i }, Kit.Soon);
        }
      }
    })).ToArray();
    Assert.IsTrue(Task.WaitAll(publishers, 20000));
    full.Close();
  }
}

[TestFixture]
public class LifeTest {
  [Test]
  public void UseAfterCloseAndBeforeStart() {
    var node = new Node(Kit.Quick());
    foreach (TestDelegate call in new TestDelegate[] { () => node.Recv(), () => node.PingAsync("x").Wait() }) {
      Assert.IsInstanceOf<StateException>(Unwrap(Assert.Catch(call)));
    }
    Subscription early = node.Subscribe("early");
    node.Start();
    StringAssert.Contains("early", node.Topics);
    string peer = node.PeerId;
    node.Close();
    node.Close();
    foreach (TestDelegate call in new TestDelegate[] {
      () => node.Recv(), () => early.Recv(), () => node.RecvAsync().Wait(), () => node.Publish("a", new byte[0]),
      () => node.PublishAsync("a", new byte[0]).Wait(), () => node.Subscribe("x"), () => node.PingAsync(peer).Wait(),
      () => node.SendAsync(peer, "/x", new byte[0]).Wait(), () => node.Unsubscribe("early"),
      () => node.Sender().Publish("a", new byte[0]),
    }) {
      Assert.IsInstanceOf<ClosedException>(Unwrap(Assert.Catch(call)));
    }
    Assert.AreEqual(peer, node.PeerId);
    Assert.IsEmpty(node.ToList());
  }

  private static Exception Unwrap(Exception e) => e is AggregateException ? e.InnerException : e;

  [Test]
  public void CloseFromAnotherThreadEndsEveryWait() {
    for (int i = 0; i < 30; i++) {
      Node node = new Node(Kit.Quick()).Start();
      Subscription other = node.Subscribe("other");
      var tasks = new Func<Message>[] { () => node.Recv(), () => other.Recv(), () => node.RecvAsync().Result }
          .Select(f => Task.Factory.StartNew(f, TaskCreationOptions.LongRunning)).ToList();
      Task iterating = Task.Factory.StartNew(() => node.Count(), TaskCreationOptions.LongRunning);
      Thread.Sleep(i % 3 * 5);
      node.Close();
      foreach (Task task in tasks) {
        Exception e = Kit.Fate(task);
        Assert.IsInstanceOf<ClosedException>(Unwrap(e));
      }
      Assert.IsNull(Kit.Fate(iterating));
    }
  }

  [Test]
  public void CancellingLosesNoMessage() {
    using (var pair = new Pair("news")) {
      for (int i = 0; i < 200; i++) {
        var cancel = new CancellationTokenSource();
        Task<Message> waiting = pair.Two.RecvAsync(cancel.Token);
        pair.One.Publish("news", BitConverter.GetBytes(i));
        cancel.Cancel();
        Message message;
        try {
          message = waiting.Result;
        } catch (AggregateException e) {
          Assert.IsInstanceOf<OperationCanceledException>(e.InnerException);
          message = pair.Two.Recv(Kit.Soon);
        }
        Assert.AreEqual(i, BitConverter.ToInt32(message.Data, 0));
      }
    }
  }

  [Test]
  public void CtrlCEndsAWaitingProgram() {
    foreach (string wait in new[] { "recv", "iterate", "async", "confirm" }) {
      Process process = Kit.Child(wait);
      Assert.AreEqual("ready", process.StandardOutput.ReadLine());
      Thread.Sleep(50);
      Process.Start("kill", "-INT " + process.Id).WaitForExit();
      Assert.IsTrue(process.WaitForExit(10000), wait);
      Assert.AreEqual("said goodbye\n", process.StandardOutput.ReadToEnd());
      Assert.AreEqual(0, process.ExitCode, process.StandardError.ReadToEnd());
    }
  }

  [Test]
  public void LeavingWithoutClose() {
    foreach (var end in new Dictionary<string, int> { { "return", 0 }, { "exit", 7 }, { "throw", 1 } }) {
      Process process = Kit.Child(end.Key);
      Assert.AreEqual("ready\n", process.StandardOutput.ReadToEnd());
      string errors = process.StandardError.ReadToEnd();
      Assert.IsTrue(process.WaitForExit(10000), end.Key);
      Assert.AreEqual(end.Value, process.ExitCode, errors);
      Assert.AreEqual(end.Key == "throw", errors != "", errors);
    }
  }

  private static long Dropped() {
    Node node = new Node(Kit.Quick()).Start();
    return (long)typeof(Node).GetField("stopId", BindingFlags.NonPublic | BindingFlags.Instance).GetValue(node);
  }

  [Test]
  public void ADroppedNodeStops() {
    var ids = new List<long>();
    var thread = new Thread(() => ids.AddRange(Enumerable.Range(0, 5).Select(i => Dropped()))); // no stale stack
    thread.Start();
    thread.Join();
    Kit.Until(() => {
      GC.Collect();
      GC.WaitForPendingFinalizers();
      return ids.Count(id => karakp2p_core.stop(id) < 0) >= 4; // the collector is conservative
    });
  }

  [Test]
  public void GarbageCollectionTorture() {
    using (var pair = new Pair("gc")) {
      var kept = new List<Message>();
      for (int i = 0; i < 50; i++) {
        pair.One.Publish("gc", Kit.Utf8("message " + i + new string('x', i * 37)));
        kept.Add(pair.Two.Recv(Kit.Soon));
        pair.One.Sender().Clone();
        new KarakP2P.Core.Node(new KarakP2P.Core.Config()).take(0, 0);
        new KarakP2P.Core.Sender(new KarakP2P.Core.Node(new KarakP2P.Core.Config()));
        GC.Collect();
      }
      GC.WaitForPendingFinalizers();
      for (int i = 0; i < 50; i++) {
        Assert.AreEqual("message " + i + new string('x', i * 37), kept[i].DataText);
      }
    }
  }

  // Every method with odd values in every place: the process must live, and say no by exceptions.
  [Test]
  public void WrongValues() {
    Config config = Kit.Quick();
    config.Add("requests.max", 8);
    Node node = new Node(config).Start();
    var core = new KarakP2P.Core.Node(new KarakP2P.Core.Config());
    core.start();
    object[] targets = { node, node.Sender(), typeof(Keys), new Config(), core, new KarakP2P.Core.Sender(core),
                         new KarakP2P.Core.Config(), typeof(karakp2p_core) };
    string[] waits = { "Recv", "RecvAsync", "RecvBatch", "Listen", "wait", "poll", "take", "Close", "close", "Start",
                       "start", "Dispose", "bell", "Publish", "PublishAsync", "GetAsyncEnumerator", "set_OnEvent" };
    var random = new Random(1);
    int failed = 0;
    var since = Stopwatch.StartNew();
    while (since.Elapsed.TotalSeconds < 1.5 || failed <= 100) {
      object target = targets[random.Next(targets.Length)];
      Type type = target as Type ?? target.GetType();
      MethodInfo[] methods = type.GetMethods(BindingFlags.Public | BindingFlags.DeclaredOnly
          | (target is Type ? BindingFlags.Static : BindingFlags.Instance))
          .Where(m => !waits.Contains(m.Name)).ToArray();
      MethodInfo method = methods[random.Next(methods.Length)];
      object[] args = method.GetParameters().Select(p => Odd(p.ParameterType, random)).ToArray();
      try {
        (method.Invoke(target is Type ? null : target, args) as Task)?.ContinueWith(t => t.Exception);
      } catch (TargetInvocationException) {
        failed++;
      }
    }
    Assert.Catch<ArgumentNullException>(() => node.Publish(null, new byte[0]));
    Assert.Catch<ArgumentNullException>(() => node.Publish("x", null));
    Assert.Catch<InvalidException>(() => node.Publish("a\0b", new byte[0]));
    Assert.Catch<InvalidException>(() => node.Publish("\ud800", new byte[0]));
    Assert.Catch<InvalidException>(() => node.Recv(TimeSpan.FromSeconds(-1)));
    Assert.Catch<InvalidException>(() => node.RecvBatch(0));
    Assert.Catch<InvalidException>(() => core.take(-1, 0));
    node.Close();
    core.close(0, -1);
  }

  private static object Odd(Type type, Random random) {
    if (type == typeof(int)) {
      return new[] { 0, 1, -1, int.MaxValue, int.MinValue, 4 }[random.Next(6)];
    }
    if (type == typeof(long)) {
      return new[] { 0, 1, -1, long.MaxValue, long.MinValue }[random.Next(5)];
    }
    if (type == typeof(bool)) {
      return random.Next(2) == 0;
    }
    if (type == typeof(string)) {
      return new[] { null, "", "x", "a\0b", "\ud800", new string('x', 100000), "\ud83d\ude00" }[random.Next(7)];
    }
    if (type == typeof(byte[])) {
      return new[] { null, new byte[0], new byte[1], new byte[100000] }[random.Next(4)];
    }
    if (type == typeof(TimeSpan?)) {
      return new TimeSpan?[] { null, TimeSpan.Zero, TimeSpan.FromSeconds(-1), TimeSpan.FromMilliseconds(1) }[random.Next(4)];
    }
    return type == typeof(object) ? new object() : type.IsValueType ? Activator.CreateInstance(type) : null;
  }
}
