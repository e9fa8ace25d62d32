package org.karakp2p;

import org.karakp2p.core.karakp2p_core;

/** Keys, peer ids, and the version of the library. */
public final class Keys {
  private Keys() {}

  /** A new Ed25519 key: the text that Config.identity takes. */
  public static String generate() {
    return karakp2p_core.key_generate(karakp2p_core.KEY_ED25519);
  }

  /** The peer id of such a text. */
  public static String peerIdOf(String key) {
    return karakp2p_core.key_peer_id(key);
  }

  /** A peer id in base58, given in base58 or as a CIDv1. */
  public static String peerId(String text) {
    return karakp2p_core.peer_id_parse(text);
  }

  /** The version of the C library and of what it runs on. */
  public static String version() {
    return karakp2p_core.version();
  }
}
