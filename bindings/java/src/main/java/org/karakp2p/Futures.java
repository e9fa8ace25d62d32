package org.karakp2p;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** Waiting that throws what the library threw, not a wrapping of it. */
final class Futures {
  private Futures() {}

  /** Something that waits. */
  interface Waiting {
    void run() throws InterruptedException;
  }

  static <T> T join(CompletableFuture<T> future) {
    try {
      return future.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof KarakException cause) {
        throw cause;
      }
      throw e;
    }
  }

  /** An interrupt becomes Canceled, and stays set. */
  static void uninterrupted(Waiting waiting) {
    try {
      waiting.run();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw KarakException.of(org.karakp2p.core.karakp2p_core.ECANCELED, "interrupted");
    }
  }
}
