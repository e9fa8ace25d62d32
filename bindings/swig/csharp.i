/* C#: byte[] in and out; texts as UTF-8. Errors are made by KarakException.Of(code, text) and thrown
 * when the wrapper has returned. */
%{
typedef struct kp2p_pinned {
	const void *ptr;
	uintptr_t len;
} kp2p_pinned;

typedef void(SWIGSTDCALL *kp2p_thrower)(int code, const char *text);
static kp2p_thrower kp2p_csharp_throw;

SWIGEXPORT void SWIGSTDCALL kp2p_csharp_set_thrower(kp2p_thrower thrower)
{
	kp2p_csharp_throw = thrower;
}

/* P/Invoke gives no array back: a block that begins with its length, freed by kp2p_csharp_free. */
static void *kp2p_csharp_block(const char *ptr, size_t len)
{
	char *block = ptr == NULL ? NULL : (char *)malloc(sizeof(int64_t) + len);
	int64_t head = (int64_t)len;
	if (block != NULL) {
		memcpy(block, &head, sizeof(head));
		memcpy(block + sizeof(head), ptr, len);
	}
	return block;
}

SWIGEXPORT void SWIGSTDCALL kp2p_csharp_free(void *block)
{
	free(block);
}
%}

%define KP2P_RAISE(code, text)
	kp2p_csharp_throw(code, text);
%enddef

%typemap(ctype) (const void *data, size_t len) "kp2p_pinned *"
%typemap(imtype) (const void *data, size_t len) "ref Pinned"
%typemap(cstype) (const void *data, size_t len) "byte[]"
%typemap(csin, pre="    var pinned_$csinput = new Pinned($csinput);",
         post="      pinned_$csinput.Free();") (const void *data, size_t len) "ref pinned_$csinput"
%typemap(in, noblock=1) (const void *data, size_t len) {
	$1 = (void *)$input->ptr;
	$2 = (size_t)$input->len;
}
%typemap(ctype) kp2p_bytes, kp2p_batch "void *"
%typemap(imtype) kp2p_bytes, kp2p_batch "global::System.IntPtr"
%typemap(cstype) kp2p_bytes, kp2p_batch "byte[]"
%typemap(csout, excode=SWIGEXCODE) kp2p_bytes, kp2p_batch {
    global::System.IntPtr block = $imcall;$excode
    return Block.Take(block);
  }
%typemap(out, noblock=1, null="NULL") kp2p_bytes {
	$result = kp2p_csharp_block($1.ptr, $1.len);
}
%typemap(imtype) const char *, char * "string"
%typemap(csin) const char * "Text.Checked($csinput)"
%pragma(csharp) imclasscode=%{
  delegate void Thrower(int code, string text);

  [global::System.Runtime.InteropServices.DllImport("$dllimport", EntryPoint="kp2p_csharp_set_thrower")]
  static extern void SetThrower(Thrower thrower);

  [global::System.Runtime.InteropServices.DllImport("$dllimport", EntryPoint="kp2p_csharp_free")]
  internal static extern void FreeBlock(global::System.IntPtr block);

  static readonly Thrower thrower = Throw; // C keeps it, so it must stay

  internal static readonly bool hooked = Hook();

  static bool Hook() {
    SetThrower(thrower);
    return true;
  }

  static void Throw(int code, string text) {
    SWIGPendingException.Set(KarakException.Of(code, text));
  }
%}
