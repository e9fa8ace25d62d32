import java.util.Arrays;
import org.karakp2p.Config;
import org.karakp2p.Node;

/** Rates across the boundary of the Java binding; see bench/swig.py. */
public final class Bench {
  interface Work {
    void run() throws InterruptedException;
  }

  private static long rate(int count, Work work) throws InterruptedException {
    long start = System.nanoTime();
    work.run();
    return (long) (count * 1e9 / (System.nanoTime() - start));
  }

  private static Config quick() {
    return new Config().listen("/ip4/127.0.0.1/tcp/0").set("kad.mode", "off");
  }

  public static void main(String[] args) throws Exception {
    int n = Integer.parseInt(args[0]);
    try (Node one = new Node(quick()).start();
        Node two = new Node(quick().topic("bench").bootstrap(one.addresses().get(0))).start()) {
      while (!one.peers().contains("\"bench\"")) {
        Thread.sleep(10);
      }
      long publish = rate(n, () -> {
        for (int i = 0; i < n; i++) {
          one.publish("bench", Arrays.copyOf(Integer.toString(i).getBytes(), 200));
        }
      });
      while (two.stats().get("inbox_messages") < n) {
        Thread.sleep(10);
      }
      long single = rate(n / 2, () -> {
        for (int i = 0; i < n / 2; i++) {
          two.recv();
        }
      });
      long batch = rate(n / 2, () -> {
        for (int got = n / 2; got < n;) {
          got += two.recvBatch(256, null).size();
        }
      });
      System.out.printf("{\"publish\":%d,\"recv\":%d,\"batch\":%d}%n", publish, single, batch);
    }
  }
}
