using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;
using KarakP2P;
using Mono.Unix;
using Mono.Unix.Native;

// A member of a network: prints what it hears as JSON lines and publishes what it is told, one line a
// message. /peers, /stats and /quit are commands (the line protocol of karakp2p node --json).
//
//     mono Member.exe --topic news --listen /ip4/127.0.0.1/tcp/0 --bootstrap /ip4/…/tcp/…/p2p/…
sealed class Member {
  private readonly Node node;
  private readonly string topic;

  private Member(Node node, string topic) {
    this.node = node;
    this.topic = topic;
  }

  static void Main(string[] args) {
    var config = new Config();
    string topic = "news";
    for (int i = 0; i + 1 < args.Length; i++) {
      if (args[i] == "--topic" || args[i] == "--listen" || args[i] == "--bootstrap") {
        config.Add(args[i].Substring(2), args[i + 1]);
        topic = args[i] == "--topic" ? args[i + 1] : topic;
      }
    }
    using (Node node = new Node(config).Start()) {
      new Member(node, topic).Run();
    }
  }

  private void Run() {
    var signals = new[] { new UnixSignal(Signum.SIGINT), new UnixSignal(Signum.SIGTERM) };
    Background(() => {
      UnixSignal.WaitAny(signals);
      node.Close();
    });
    Say("listening", "\"peer\":" + Quote(node.PeerId) + ",\"addrs\":" + List(node.Addresses));
    Background(Read);
    foreach (Message m in node) {
      Say("message", string.Format(
          "\"topic\":{0},\"from\":{1},\"via\":{2},\"id\":{3},\"seqno\":\"{4}\",\"size\":{5},\"data\":\"{6}\"",
          Quote(m.Topic), Quote(m.Source), Quote(m.Via), Quote(Encoding.UTF8.GetString(m.Id)), m.Seq,
          m.Data.Length, Convert.ToBase64String(m.Data)));
    }
    node.Close(); // the goodbye is said
    Say("closed", null);
  }

  private static void Background(ThreadStart work) {
    new Thread(work) { IsBackground = true }.Start();
  }

  private void Read() {
    string line;
    while ((line = Console.In.ReadLine()) != null) {
      try {
        Obey(line);
      } catch (KarakException e) {
        Say("error", "\"what\":" + Quote(line) + ",\"why\":" + Quote(e.Message));
      }
    }
  }

  private void Obey(string line) {
    switch (line) {
      case "/quit":
        node.Close();
        break;
      case "/peers":
        Peers();
        break;
      case "/stats":
        Say("stats", string.Join(",", node.Stats.Select(s => Quote(s.Key) + ":" + s.Value)));
        break;
      default:
        byte[] data = Encoding.UTF8.GetBytes(line.StartsWith("/") ? line.Substring(1) : line);
        byte[] id = node.PublishConfirmAsync(topic, data).GetAwaiter().GetResult().Id;
        Say("published", "\"id\":" + Quote(Encoding.UTF8.GetString(id)));
        break;
    }
  }

  private void Peers() {
    var all = Regex.Matches(
        node.Peers, "\"peer\":\"([^\"]+)\".*?\"topics\":\\[(.*?)\\],\"mesh\":\\[(.*?)\\]").Cast<Match>().ToList();
    Func<int, string> named = group =>
        List(all.Where(m => m.Groups[group].Value.Contains(Quote(topic))).Select(m => m.Groups[1].Value));
    Say("peers", "\"connected\":" + List(all.Select(m => m.Groups[1].Value)) + ",\"mesh\":" + named(3)
        + ",\"subscribers\":" + named(2));
  }

  private static string Quote(string text) =>
      "\"" + Regex.Replace(text, "[\\x00-\\x1f\"\\\\]", c => "\\u" + ((int)c.Value[0]).ToString("x4")) + "\"";

  private static string List(IEnumerable<string> items) => "[" + string.Join(",", items.Select(Quote)) + "]";

  private static void Say(string @event, string members) {
    lock (Console.Out) {
      Console.WriteLine("{\"event\":" + Quote(@event) + (members == null ? "" : "," + members) + "}");
      Console.Out.Flush();
    }
  }
}
