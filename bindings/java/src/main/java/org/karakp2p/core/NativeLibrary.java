package org.karakp2p.core;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** Loads the native library: from the folder that the property karakp2p.library.path names, or from
 * the jar, by way of a temporary folder. */
final class NativeLibrary {
  private static final String[] NAMES = {"libkarakp2p.so.1", "libkarakp2p_java.so"};

  private NativeLibrary() {}

  static void load() {
    String given = System.getProperty("karakp2p.library.path");
    Path folder = given != null ? Path.of(given) : unpack();
    System.load(folder.resolve(NAMES[1]).toAbsolutePath().toString());
    if (given == null) {
      remove(folder); // what is loaded stays
    }
  }

  private static Path unpack() {
    try {
      Path folder = Files.createTempDirectory("karakp2p");
      for (String name : NAMES) {
        try (InputStream in = NativeLibrary.class.getResourceAsStream("/org/karakp2p/native/" + name)) {
          if (in == null) {
            throw new UnsatisfiedLinkError("karakp2p: the jar holds no " + name);
          }
          Files.copy(in, folder.resolve(name));
        }
      }
      return folder;
    } catch (IOException e) {
      throw new UnsatisfiedLinkError("karakp2p: cannot unpack the native library: " + e);
    }
  }

  private static void remove(Path folder) {
    for (String name : NAMES) {
      folder.resolve(name).toFile().delete();
    }
    folder.toFile().delete();
  }
}
