package org.karakp2p;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.file.Files;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.karakp2p.core.karakp2p_core;

/** The shared tables: what bad input gets, and what must arrive byte for byte. */
class TablesTest {
  private static final Set<String> NOT_HERE = Set.of("kp2p_sender_publish_batch"); // several in one call

  /** What a case is played on: the C calls, as the wrapper has them. */
  private static final class Stage {
    private final String taken;
    private org.karakp2p.core.Node node;
    private org.karakp2p.core.Sender sender;

    Stage(JsonObject item, JsonArray keys, String taken) {
      this.taken = taken;
      String state = item.get("state").getAsString();
      if (state.equals("none")) {
        return;
      }
      node = nodeOf(item.has("keys") ? item.getAsJsonArray("keys") : keys);
      sender = new org.karakp2p.core.Sender(node);
      if (!state.equals("new")) {
        node.start();
      }
      if (state.equals("closed")) {
        node.close(0, -1);
      }
    }

    private org.karakp2p.core.Node nodeOf(JsonArray keys) {
      var config = new org.karakp2p.core.Config();
      for (JsonElement pair : keys) {
        JsonArray kv = pair.getAsJsonArray();
        config.set(kv.get(0).getAsString(), fill(kv.get(1).getAsString()));
      }
      return new org.karakp2p.core.Node(config);
    }

    String fill(String text) {
      return text.replace("{taken}", taken);
    }

    private String text(JsonObject args, String name) {
      return fill(new String(Kit.bytesOf(args.get(name)), UTF_8));
    }

    private static int number(JsonObject args, String name) {
      return args.has(name) ? args.get(name).getAsInt() : 0;
    }

    Object play(JsonObject step) {
      JsonObject a = step.getAsJsonObject("args");
      byte[] data = Kit.bytesOf(a.get("data"));
      int timeout = number(a, "timeout_ms");
      int inbox = number(a, "inbox");
      long token = a.has("token") ? a.get("token").getAsLong() : 0;
      return switch (step.get("call").getAsString()) {
        case "kp2p_config_set" -> new org.karakp2p.core.Config().set(text(a, "key"), text(a, "value"));
        case "kp2p_node_new" -> nodeOf(a.getAsJsonArray("keys"));
        case "kp2p_key_generate" -> karakp2p_core.key_generate(number(a, "type"));
        case "kp2p_key_peer_id" -> karakp2p_core.key_peer_id(text(a, "key"));
        case "kp2p_peer_id_parse" -> karakp2p_core.peer_id_parse(text(a, "text"));
        case "kp2p_node_start" -> node.start();
        case "kp2p_sender_publish" -> sender.publish(text(a, "topic"), data, token, timeout);
        case "kp2p_sender_send" -> sender.send(text(a, "peer"), text(a, "protocol"), data, token, timeout);
        case "kp2p_node_request" -> node.request(number(a, "op"), text(a, "arg").getBytes(UTF_8), data, timeout, token);
        case "kp2p_node_poll", "kp2p_node_poll_batch" -> node.take(inbox, timeout);
        case "kp2p_node_listen" -> node.take(inbox, -1);
        case "kp2p_node_inbox_fd" -> node.inbox_fd(inbox);
        case "kp2p_node_verdict" -> node.verdict(token, number(a, "verdict"));
        case "kp2p_node_cancel" -> node.cancel(token);
        case "kp2p_node_info" -> node.info(text(a, "what"));
        default -> throw new AssertionError("unknown call " + step);
      };
    }
  }

  @Test
  void misuse() throws Exception {
    JsonObject table = Kit.table("misuse.json");
    int played = 0;
    try (Node other = new Node(Kit.quick()).start()) {
      String taken = other.addresses().get(0).split("/p2p/")[0];
      for (JsonElement element : table.getAsJsonArray("cases")) {
        JsonObject item = element.getAsJsonObject();
        String name = item.get("name").getAsString();
        String call = item.get("call").getAsString();
        if (item.has("bytes") || NOT_HERE.contains(call) || name.equals("poll batch: of no events")) {
          continue;
        }
        Stage stage = new Stage(item, table.getAsJsonArray("keys"), taken);
        if (item.has("before")) {
          item.getAsJsonArray("before").forEach(step -> stage.play(step.getAsJsonObject()));
        }
        KarakException e = assertThrows(KarakException.class, () -> stage.play(item), name);
        assertEquals(item.get("code").getAsString(), e.codeName(), name);
        assertFalse(e.getMessage().isEmpty());
        played++;
        if (call.equals("kp2p_node_listen")) {
          continue; // polled here, which has no text
        }
        for (JsonElement word : item.getAsJsonArray("words")) {
          assertTrue(e.getMessage().contains(stage.fill(word.getAsString())), name + ": " + e.getMessage());
        }
      }
    }
    assertTrue(played > 90);
  }

  @Test
  void payloads() throws Exception {
    JsonObject table = Kit.table("payloads.json");
    Set<String> topics = new LinkedHashSet<>();
    for (JsonElement item : table.getAsJsonArray("cases")) {
      if (item.getAsJsonObject().get("result").getAsString().equals("ok")) {
        topics.add(new String(Kit.bytesOf(item.getAsJsonObject().get("topic")), UTF_8));
      }
    }
    try (Kit.Pair pair = new Kit.Pair(topics.toArray(new String[0]))) {
      for (JsonElement element : table.getAsJsonArray("cases")) {
        JsonObject item = element.getAsJsonObject();
        String name = item.get("name").getAsString();
        String topic = new String(Kit.bytesOf(item.get("topic")), UTF_8);
        byte[] payload = Kit.bytesOf(item.get("payload"));
        if (item.get("result").getAsString().equals("ok")) {
          pair.one.publish(topic, payload);
          Message message = pair.two.recv(Kit.SOON);
          assertEquals(topic, message.topic(), name);
          assertArrayEquals(payload, message.data(), name);
          assertEquals(pair.one.peerId(), message.source());
        } else {
          KarakException e = assertThrows(KarakException.class, () -> pair.one.publish(topic, payload), name);
          assertEquals(item.get("result").getAsString(), e.codeName(), name);
          item.getAsJsonArray("words").forEach(word -> assertTrue(e.getMessage().contains(word.getAsString())));
        }
      }
    }
  }

  @Test
  void codesAreThoseOfTheHeader() throws Exception {
    String header = Files.readString(Kit.REPOSITORY.resolve("abi/include/karakp2p.h"));
    Matcher found = Pattern.compile("#define KP2P_(E[A-Z]+)\\s+\\((-\\d+)\\)").matcher(header);
    int count = 0;
    for (; found.find(); count++) {
      KarakException e = KarakException.of(Integer.parseInt(found.group(2)), "x");
      assertEquals(found.group(1), e.codeName());
      assertNotEquals(KarakException.class, e.getClass());
    }
    assertTrue(count >= 22);
    assertEquals("E99", KarakException.of(-99, "x").codeName());
  }
}
