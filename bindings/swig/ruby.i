/* Ruby: strings are bytes in and out (ASCII-8BIT); errors are made by Karakp2p.error(code, text). */
%{
#include <ruby/encoding.h>

static void kp2p_ruby_raise(int code, const char *text)
{
	VALUE module = rb_const_get(rb_cObject, rb_intern("Karakp2p"));
	VALUE message = rb_enc_str_new(text, (long)strlen(text), rb_utf8_encoding());
	rb_exc_raise(rb_funcall(module, rb_intern("error"), 2, INT2NUM(code), message));
}
%}

%define KP2P_RAISE(code, text)
	kp2p_ruby_raise(code, text);
%enddef

/* the string stays where it is while the call runs: the method's arguments hold it */
%typemap(in, noblock=1) (const void *data, size_t len) {
	Check_Type($input, T_STRING);
	$1 = RSTRING_PTR($input);
	$2 = (size_t)RSTRING_LEN($input);
}
%typemap(out, noblock=1) kp2p_bytes {
	$result = $1.ptr == NULL ? Qnil : rb_str_new($1.ptr, (long)$1.len);
}
%typemap(in, noblock=1) const char * {
	Check_Type($input, T_STRING);
	$1 = StringValueCStr($input); /* refuses a NUL inside */
}
%typemap(freearg) const char * "";
%typemap(out, noblock=1) const char *, char * {
	$result = $1 == NULL ? Qnil : rb_utf8_str_new_cstr($1);
}
