package org.karakp2p;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** What the tests share. */
final class Kit {
  static final Path REPOSITORY = Path.of(System.getProperty("karakp2p.repository"));
  static final String COMMAND = System.getProperty("karakp2p.command");
  static final Duration SOON = Duration.ofSeconds(10);
  static final Duration BRIEF = Duration.ofMillis(10);

  private Kit() {}

  static Config quick() {
    return new Config().listen("/ip4/127.0.0.1/tcp/0").set("kad.mode", "off").set("workers", 1);
  }

  static JsonObject table(String name) throws IOException {
    return JsonParser.parseString(Files.readString(REPOSITORY.resolve("tests").resolve(name))).getAsJsonObject();
  }

  /** What a text, {"hex"} or {"repeat"} of the tables stands for. */
  static byte[] bytesOf(JsonElement value) {
    if (value == null) {
      return new byte[0];
    }
    if (value.isJsonPrimitive()) {
      return value.getAsString().getBytes(UTF_8);
    }
    JsonObject o = value.getAsJsonObject();
    if (o.has("hex")) {
      return HexFormat.of().parseHex(o.get("hex").getAsString());
    }
    byte[] piece = HexFormat.of().parseHex(o.get("repeat").getAsJsonArray().get(0).getAsString());
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (int i = o.get("repeat").getAsJsonArray().get(1).getAsInt(); i > 0; i--) {
      all.writeBytes(piece);
    }
    return all.toByteArray();
  }

  static byte[] utf8(String text) {
    return text.getBytes(UTF_8);
  }

  static void until(BooleanSupplier condition) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(15);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, "never came true");
      Thread.sleep(5);
    }
  }

  static boolean knows(Node node, String topic) {
    return node.peers().contains("\"" + topic + "\"");
  }

  /** Two started nodes; the second is subscribed to the topics, and the first knows. */
  static final class Pair implements AutoCloseable {
    final Node one;
    final Node two;

    Pair(String... topics) throws InterruptedException {
      one = new Node(quick()).start();
      Config config = quick().bootstrap(one.addresses().get(0));
      for (String topic : topics) {
        config.topic(topic);
      }
      two = new Node(config).start();
      until(() -> {
        var peers = JsonParser.parseString(one.peers()).getAsJsonArray();
        return peers.size() == 1
            && peers.get(0).getAsJsonObject().get("topics").getAsJsonArray().size() == topics.length;
      });
    }

    @Override
    public void close() {
      one.close();
      two.close();
    }
  }

  /** The karakp2p command as a node of its own. */
  static final class CNode {
    private final Process process;
    private final BufferedReader out;
    final String peer;
    final String address;

    CNode(String topic) throws IOException {
      process = new ProcessBuilder(COMMAND, "node", "--json", "--listen", "/ip4/127.0.0.1/tcp/0", "--topic", topic)
          .redirectError(ProcessBuilder.Redirect.DISCARD).start();
      out = process.inputReader(UTF_8);
      JsonObject started = await("listening");
      peer = started.get("peer").getAsString();
      address = started.get("addrs").getAsJsonArray().get(0).getAsString();
    }

    JsonObject await(String kind) throws IOException {
      for (String line; (line = out.readLine()) != null;) {
        JsonObject event = JsonParser.parseString(line).getAsJsonObject();
        if (event.get("event").getAsString().equals(kind)) {
          return event;
        }
      }
      throw new IOException("the C node ended before " + kind);
    }

    void say(String text) throws IOException {
      process.getOutputStream().write(utf8(text + "\n"));
      process.getOutputStream().flush();
    }

    int quit() throws IOException, InterruptedException {
      say("/quit");
      return process.waitFor();
    }
  }

  /** Runs a program of the tests in a JVM of its own. */
  static Process child(Class<?> program, String... args) throws IOException {
    List<String> command = new ArrayList<>(List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp",
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")), program.getName()));
    command.addAll(List.of(args));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }
}
