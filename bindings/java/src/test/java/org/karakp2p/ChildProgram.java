package org.karakp2p;

/** What the tests of a process's end run in a JVM of its own. */
final class ChildProgram {
  private ChildProgram() {}

  public static void main(String[] args) throws Exception {
    Node node = new Node(new Config().topic("x").listen("/ip4/127.0.0.1/tcp/0")).start();
    System.out.println("ready");
    switch (args[0]) {
      case "recv" -> node.recv();
      case "iterate" -> node.forEach(message -> {});
      case "queue" -> node.queue().take();
      case "confirm" -> node.publishConfirm("x", new byte[] {1}).get();
      case "exit" -> System.exit(7);
      case "throw" -> throw new IllegalStateException("boo");
      default -> { }
    }
  }
}
