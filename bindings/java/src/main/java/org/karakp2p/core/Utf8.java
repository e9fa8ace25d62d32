package org.karakp2p.core;

import static java.nio.charset.StandardCharsets.UTF_8;

import org.karakp2p.KarakException;

/** Texts as they cross: JNI's own strings are UTF-8 only almost. */
public final class Utf8 {
  private Utf8() {}

  /** The bytes of a text; refuses what a C string cannot say, and halves of letters. */
  public static byte[] bytes(String text) {
    if (text == null) {
      throw new NullPointerException("a text is null");
    }
    if (text.indexOf('\0') >= 0) {
      throw KarakException.of(karakp2p_core.EINVAL, "a text with a NUL inside");
    }
    byte[] bytes = text.getBytes(UTF_8);
    if (!UTF_8.newEncoder().canEncode(text)) {
      throw KarakException.of(karakp2p_core.EINVAL, "a text with half a letter");
    }
    return bytes;
  }

  /** The text of such bytes; null for null. */
  public static String text(byte[] bytes) {
    return bytes == null ? null : new String(bytes, UTF_8);
  }
}
