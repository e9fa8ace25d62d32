/* Tcl: byte arrays in and out, texts as Tcl strings; errorCode is {KARAKP2P ECLOSED -7}. A missing field
 * is an empty string, as Tcl has nothing else: `has FIELD` tells it from an empty one. */
%{
static const char *const kp2p_tcl_names[] = {
	"EINTERNAL", "EINVAL", "ENOMEM", "EAGAIN", "ETIMEDOUT", "EINTR", "ECLOSED", "ECANCELED",
	"EFORKED", "ESTATE", "ENOTFOUND", "ETOOBIG", "EDUPLICATE", "ENOPEERS", "EEXPIRED",
	"EUNREACHABLE", "EPROTO", "EADDRINUSE", "EACCES", "ELIMIT", "ENOTSUP", "EPEERID",
};

static const char *code_name(int code)
{
	int known = code < 0 && code >= -(int)(sizeof(kp2p_tcl_names) / sizeof(kp2p_tcl_names[0]));
	return known ? kp2p_tcl_names[-code - 1] : "EUNKNOWN";
}

static void kp2p_tcl_error(Tcl_Interp *interp, int code, const char *text)
{
	char number[16];
	snprintf(number, sizeof(number), "%d", code);
	Tcl_SetObjResult(interp, Tcl_NewStringObj(text, -1));
	Tcl_SetErrorCode(interp, "KARAKP2P", code_name(code), number, (char *)NULL);
}
%}

%define KP2P_RAISE(code, text)
	kp2p_tcl_error(interp, code, text);
	SWIG_fail;
%enddef

%typemap(in, noblock=1) (const void *data, size_t len) (int length) {
	$1 = Tcl_GetByteArrayFromObj($input, &length);
	$2 = (size_t)length;
}
%typemap(out, noblock=1) kp2p_bytes {
	Tcl_SetObjResult(interp, Tcl_NewByteArrayObj((const unsigned char *)$1.ptr, (int)$1.len));
}
%typemap(in, noblock=1) const char * (Tcl_DString utf8) {
	int length$argnum = 0;
	const char *text$argnum = Tcl_GetStringFromObj($input, &length$argnum);
	Tcl_Encoding encoding$argnum = Tcl_GetEncoding(NULL, "utf-8");
	$1 = Tcl_UtfToExternalDString(encoding$argnum, text$argnum, length$argnum, &utf8);
	Tcl_FreeEncoding(encoding$argnum);
	if (kp2p_has_nul($1, (size_t)Tcl_DStringLength(&utf8))) {
		Tcl_DStringFree(&utf8);
		KP2P_RAISE(KP2P_EINVAL, KP2P_NUL_TEXT)
	}
}
%typemap(arginit) const char * "Tcl_DStringInit(&utf8$argnum);"
%typemap(freearg) const char * "Tcl_DStringFree(&utf8$argnum);";
%extend kp2p_event {
	int has(int field) { return kp2p_event_bytes($self, field).ptr != NULL; }
}

/* The name of a code, for the layer's own errors. */
const char *code_name(int code);
