import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.karakp2p.Config;
import org.karakp2p.KarakException;
import org.karakp2p.Message;
import org.karakp2p.Node;

/** A member of a network: prints what it hears as JSON lines and publishes what it is told, one line a
 * message. /peers, /stats and /quit are commands (the line protocol of karakp2p node --json).
 *
 * <pre>java -cp karakp2p.jar Member.java --topic news --listen /ip4/127.0.0.1/tcp/0 --bootstrap …</pre> */
public final class Member {
  private static final Pattern PEER =
      Pattern.compile("\"peer\":\"([^\"]+)\".*?\"topics\":\\[(.*?)\\],\"mesh\":\\[(.*?)\\]");
  private final Node node;
  private final String topic;

  private Member(Node node, String topic) {
    this.node = node;
    this.topic = topic;
  }

  public static void main(String[] args) throws Exception {
    Config config = new Config();
    String topic = "news";
    for (int i = 0; i + 1 < args.length; i++) {
      switch (args[i]) {
        case "--topic" -> config.topic(topic = args[i + 1]);
        case "--listen" -> config.listen(args[i + 1]);
        case "--bootstrap" -> config.bootstrap(args[i + 1]);
        default -> { }
      }
    }
    try (Node node = new Node(config).start()) {
      Runtime.getRuntime().addShutdownHook(new Thread(node::close)); // SIGINT, SIGTERM
      new Member(node, topic).run();
    }
  }

  private void run() throws Exception {
    say("listening", "\"peer\":" + quote(node.peerId()) + ",\"addrs\":" + list(node.addresses()));
    Thread input = new Thread(this::read);
    input.setDaemon(true);
    input.start();
    for (Message m : node) {
      say("message", String.format("\"topic\":%s,\"from\":%s,\"via\":%s,\"id\":%s,\"seqno\":\"%s\",\"size\":%d,\"data\":\"%s\"",
          quote(m.topic()), quote(m.source()), quote(m.via()), quote(new String(m.id(), UTF_8)),
          Long.toUnsignedString(m.seq()), m.data().length, Base64.getEncoder().encodeToString(m.data())));
    }
    node.close(); // the goodbye is said
    say("closed", null);
  }

  private void read() {
    try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, UTF_8))) {
      for (String line; (line = in.readLine()) != null;) {
        try {
          obey(line);
        } catch (KarakException | ExecutionException e) {
          say("error", "\"what\":" + quote(line) + ",\"why\":" + quote(String.valueOf(e.getMessage())));
        }
      }
    } catch (IOException | InterruptedException e) {
      node.close();
    }
  }

  private void obey(String line) throws InterruptedException, ExecutionException {
    switch (line) {
      case "/quit" -> node.close();
      case "/peers" -> peers();
      case "/stats" -> {
        List<String> parts = new ArrayList<>();
        node.stats().forEach((name, value) -> parts.add(quote(name) + ":" + value));
        say("stats", String.join(",", parts));
      }
      default -> {
        byte[] data = (line.startsWith("/") ? line.substring(1) : line).getBytes(UTF_8);
        byte[] id = node.publishConfirm(topic, data).get().id();
        say("published", "\"id\":" + quote(new String(id, UTF_8)));
      }
    }
  }

  private void peers() {
    List<String> connected = new ArrayList<>();
    List<String> mesh = new ArrayList<>();
    List<String> subscribers = new ArrayList<>();
    Matcher found = PEER.matcher(node.peers());
    while (found.find()) {
      connected.add(found.group(1));
      if (found.group(2).contains(quote(topic))) {
        subscribers.add(found.group(1));
      }
      if (found.group(3).contains(quote(topic))) {
        mesh.add(found.group(1));
      }
    }
    say("peers", "\"connected\":" + list(connected) + ",\"mesh\":" + list(mesh) + ",\"subscribers\":" + list(subscribers));
  }

  private static String quote(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      quoted.append(c < ' ' || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : c);
    }
    return quoted.append('"').toString();
  }

  private static String list(List<String> items) {
    return "[" + String.join(",", items.stream().map(Member::quote).toList()) + "]";
  }

  private static synchronized void say(String event, String members) {
    System.out.println("{\"event\":" + quote(event) + (members == null ? "" : "," + members) + "}");
  }
}
