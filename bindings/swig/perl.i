/* Perl: payloads are byte strings in and out, texts character strings. Errors are made by
 * KarakP2P::Error->make(code, text) and thrown. */
%{
static void kp2p_perl_error(int code, const char *text)
{
	dSP;
	ENTER;
	SAVETMPS;
	PUSHMARK(SP);
	XPUSHs(sv_2mortal(newSVpvs("KarakP2P::Error")));
	XPUSHs(sv_2mortal(newSViv(code)));
	XPUSHs(sv_2mortal(newSVpvn_flags(text, strlen(text), SVf_UTF8)));
	PUTBACK;
	if (call_method("make", G_SCALAR) == 1) {
		SPAGAIN;
		sv_setsv(get_sv("@", GV_ADD), POPs);
		PUTBACK;
	}
	FREETMPS;
	LEAVE;
}

/* A copy, so that the caller's scalar keeps its encoding; gone after the statement. */
static char *kp2p_perl_string(SV *sv, STRLEN *len, int bytes)
{
	SV *copy = sv_2mortal(newSVsv(sv));
	if (!bytes)
		return SvPVutf8(copy, *len);
	return sv_utf8_downgrade(copy, 1) ? SvPV(copy, *len) : NULL;
}
%}

%define KP2P_RAISE(code, text)
	kp2p_perl_error(code, text);
	SWIG_fail;
%enddef

%typemap(in, noblock=1) (const void *data, size_t len) (STRLEN length) {
	if (!SvOK($input) || SvROK($input)) {
		KP2P_RAISE(KP2P_EINVAL, "bytes: a string, not a reference or undef")
	}
	$1 = kp2p_perl_string($input, &length, 1);
	$2 = length;
	if ($1 == NULL) {
		KP2P_RAISE(KP2P_EINVAL, "bytes: a letter above 0xff; encode the text first")
	}
}
%typemap(out, noblock=1) kp2p_bytes {
	$result = $1.ptr == NULL ? sv_newmortal() : sv_2mortal(newSVpvn($1.ptr, $1.len));
	argvi++;
}
%typemap(in, noblock=1) const char * (STRLEN length) {
	if (!SvOK($input) || SvROK($input)) {
		KP2P_RAISE(KP2P_EINVAL, "text: a string, not a reference or undef")
	}
	$1 = kp2p_perl_string($input, &length, 0);
	if (kp2p_has_nul($1, length)) {
		KP2P_RAISE(KP2P_EINVAL, KP2P_NUL_TEXT)
	}
}
%typemap(freearg) const char * "";
%typemap(out, noblock=1) const char *, char * {
	$result = $1 == NULL ? sv_newmortal() : newSVpvn_flags($1, strlen($1), SVf_UTF8 | SVs_TEMP);
	argvi++;
}
