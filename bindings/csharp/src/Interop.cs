using System;
using System.Runtime.InteropServices;
using System.Text;

// What the generated wrapper uses to carry texts and bytes.
namespace KarakP2P.Core {
  // A byte array that stays where it is during one call.
  [StructLayout(LayoutKind.Sequential)]
  public struct Pinned {
    private IntPtr pointer;
    private UIntPtr length;
    private GCHandle handle;

    public Pinned(byte[] bytes) {
      if (bytes == null) {
        throw new ArgumentNullException("bytes");
      }
      handle = GCHandle.Alloc(bytes, GCHandleType.Pinned);
      pointer = handle.AddrOfPinnedObject();
      length = new UIntPtr((ulong)bytes.Length);
    }

    public void Free() {
      handle.Free();
    }
  }

  // Bytes that the wrapper gives out: their length, then they; null for a missing field.
  static class Block {
    public static byte[] Take(IntPtr block) {
      if (block == IntPtr.Zero) {
        return null;
      }
      try {
        byte[] bytes = new byte[Marshal.ReadInt64(block)];
        Marshal.Copy(IntPtr.Add(block, sizeof(long)), bytes, 0, bytes.Length);
        return bytes;
      } finally {
        karakp2p_corePINVOKE.FreeBlock(block);
      }
    }
  }

  static class Text {
    private static readonly Encoding strict = new UTF8Encoding(false, true);

    // Refuses what a C string cannot say, and halves of letters.
    public static string Checked(string text) {
      if (text == null) {
        throw new ArgumentNullException("text");
      }
      if (text.IndexOf('\0') >= 0) {
        throw KarakException.Of(karakp2p_core.EINVAL, "a text with a NUL inside");
      }
      Bytes(text);
      return text;
    }

    public static byte[] Bytes(string text) {
      try {
        return strict.GetBytes(text);
      } catch (EncoderFallbackException) {
        throw KarakException.Of(karakp2p_core.EINVAL, "a text with half a letter");
      }
    }
  }
}
