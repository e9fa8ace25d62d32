using System;
using System.Threading;
using KarakP2P;
using Mono.Unix;
using Mono.Unix.Native;

// What the tests of a process's end run in a process of its own.
static class ChildProgram {
  static int Main(string[] args) {
    var node = new Node(new Config { { "topic", "x" }, { "listen", "/ip4/127.0.0.1/tcp/0" } }).Start();
    // Console.CancelKeyPress works on a terminal only
    var interrupt = new UnixSignal(Signum.SIGINT);
    new Thread(() => {
      interrupt.WaitOne();
      node.Close(); // the waits below end, and Main with them
    }) { IsBackground = true }.Start();
    Console.WriteLine("ready");
    try {
      switch (args[0]) {
        case "recv": node.Recv(); break;
        case "iterate": foreach (Message message in node) {} break;
        case "async": node.RecvAsync().GetAwaiter().GetResult(); break;
        case "confirm": node.PublishConfirmAsync("x", new byte[1]).GetAwaiter().GetResult(); break;
        case "exit": Environment.Exit(7); break;
        case "throw": throw new InvalidOperationException("boo");
        default: return 0;
      }
    } catch (ClosedException) {
    }
    Console.WriteLine("said goodbye");
    return 0;
  }
}
