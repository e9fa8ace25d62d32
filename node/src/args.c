/* Arguments from JavaScript, results and errors to it. */
#include "addon.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool addon_arguments(napi_env env, napi_callback_info info, arguments *a)
{
	size_t n = ADDON_ARGS_MAX;
	return napi_get_cb_info(env, info, &n, a->v, &a->self, NULL) == napi_ok;
}

/* --- arguments --- */

static bool args_type_error(napi_env env, const char *name, const char *wanted)
{
	char message[128];
	snprintf(message, sizeof message, "%s must be %s", name, wanted);
	napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
	return false;
}

bool text_get(napi_env env, napi_value value, const char *name, text *t)
{
	char message[128];
	t->p = NULL;
	if (napi_get_value_string_utf8(env, value, NULL, 0, &t->n) != napi_ok)
		return args_type_error(env, name, "a string");
	t->p = t->n < sizeof t->small ? t->small : malloc(t->n + 1);
	if (t->p == NULL) {
		addon_fail(env, KP2P_ENOMEM, NULL);
		return false;
	}
	if (napi_get_value_string_utf8(env, value, t->p, t->n + 1, &t->n) != napi_ok)
		return args_type_error(env, name, "a string");
	if (memchr(t->p, '\0', t->n) == NULL)
		return true;
	snprintf(message, sizeof message, "%s: contains a NUL character", name);
	addon_fail_text(env, KP2P_EINVAL, message);
	return false;
}

void text_free(text *t)
{
	if (t->p != t->small)
		free(t->p);
	t->p = NULL;
}

bool addon_bytes(napi_env env, napi_value value, const char *name, const void **p, size_t *n)
{
	napi_typedarray_type type;
	void *data = NULL;
	if (napi_get_typedarray_info(env, value, &type, n, &data, NULL, NULL) != napi_ok ||
	    type != napi_uint8_array)
		return args_type_error(env, name, "a Uint8Array");
	*p = data;
	return true;
}

bool addon_int(napi_env env, napi_value value, const char *name, int64_t min, int64_t max,
               int64_t *out)
{
	double d;
	if (napi_get_value_double(env, value, &d) != napi_ok)
		return args_type_error(env, name, "a number");
	if (!(d >= (double)min && d <= (double)max) || d != floor(d)) {
		char message[160];
		snprintf(message, sizeof message, "%s %g: an integer from %lld to %lld", name, d,
		         (long long)min, (long long)max);
		addon_fail_text(env, KP2P_EINVAL, message);
		return false;
	}
	*out = (int64_t)d;
	return true;
}

/* --- results and errors --- */

napi_value addon_fail_text(napi_env env, int code, const char *message)
{
	addon *a = addon_of(env);
	napi_value make = NULL, undefined, args[2], error;
	if (a != NULL && a->make_error != NULL)
		napi_get_reference_value(env, a->make_error, &make);
	if (make == NULL) { /* before setErrors */
		napi_throw_error(env, "ERR_KP2P", message);
		return NULL;
	}
	if (napi_get_undefined(env, &undefined) == napi_ok &&
	    napi_create_int32(env, code, &args[0]) == napi_ok &&
	    napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &args[1]) == napi_ok &&
	    napi_call_function(env, undefined, make, 2, args, &error) == napi_ok)
		napi_throw(env, error);
	return NULL;
}

napi_value addon_fail(napi_env env, int code, kp2p_error *err)
{
	const char *message = lib.error_message(err);
	addon_fail_text(env, code, message[0] != '\0' ? message : lib.strerror(code));
	lib.error_free(err);
	return NULL;
}

napi_value addon_number(napi_env env, double value)
{
	napi_value v = NULL;
	napi_create_double(env, value, &v);
	return v;
}

napi_value addon_bool(napi_env env, bool value)
{
	napi_value v = NULL;
	napi_get_boolean(env, value, &v);
	return v;
}

napi_value addon_take_text(napi_env env, char *text_of_library)
{
	napi_value v = NULL;
	napi_create_string_utf8(env, text_of_library, NAPI_AUTO_LENGTH, &v);
	lib.free(text_of_library);
	return v;
}
