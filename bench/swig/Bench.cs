using System;
using System.Diagnostics;
using System.Text;
using System.Threading;
using KarakP2P;

// Rates across the boundary of the C# binding; see bench/swig.py.
static class Bench {
  private static long Rate(int count, Action work) {
    var since = Stopwatch.StartNew();
    work();
    return (long)(count / since.Elapsed.TotalSeconds);
  }

  private static Config Quick() => new Config { { "listen", "/ip4/127.0.0.1/tcp/0" }, { "kad.mode", "off" } };

  static void Main(string[] args) {
    int n = int.Parse(args[0]);
    using (Node one = new Node(Quick()).Start()) {
      Config config = Quick();
      config.Add("topic", "bench");
      config.Add("bootstrap", one.Addresses[0]);
      using (Node two = new Node(config).Start()) {
        while (!one.Peers.Contains("\"bench\"")) {
          Thread.Sleep(10);
        }
        long publish = Rate(n, () => {
          for (int i = 0; i < n; i++) {
            one.Publish("bench", Encoding.ASCII.GetBytes(i.ToString().PadRight(200)));
          }
        });
        while (two.Stats["inbox_messages"] < n) {
          Thread.Sleep(10);
        }
        long single = Rate(n / 2, () => {
          for (int i = 0; i < n / 2; i++) {
            two.Recv();
          }
        });
        long batch = Rate(n / 2, () => {
          for (int got = n / 2; got < n;) {
            got += two.RecvBatch(256).Count;
          }
        });
        Console.WriteLine("{{\"publish\":{0},\"recv\":{1},\"batch\":{2}}}", publish, single, batch);
      }
    }
  }
}
