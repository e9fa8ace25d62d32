/* The module: its functions, and the state and the end of an environment. Every worker thread has
 * an environment of its own; the library is one for the process. */
#include "addon.h"

#include <stdlib.h>

addon *addon_of(napi_env env)
{
	void *data = NULL;
	return napi_get_instance_data(env, &data) == napi_ok ? data : NULL;
}

/* --- functions --- */

static napi_value module_version(napi_env env, napi_callback_info info)
{
	napi_value v = NULL;
	(void)info;
	napi_create_string_utf8(env, lib.version(), NAPI_AUTO_LENGTH, &v);
	return v;
}

static napi_value module_strerror(napi_env env, napi_callback_info info)
{
	arguments a;
	int64_t code;
	napi_value v = NULL;
	if (!addon_arguments(env, info, &a) ||
	    !addon_int(env, a.v[0], "code", INT32_MIN, INT32_MAX, &code))
		return NULL;
	napi_create_string_utf8(env, lib.strerror((int)code), NAPI_AUTO_LENGTH, &v);
	return v;
}

static napi_value module_key_generate(napi_env env, napi_callback_info info)
{
	arguments a;
	int64_t type;
	kp2p_error *err = NULL;
	if (!addon_arguments(env, info, &a) ||
	    !addon_int(env, a.v[0], "type", INT32_MIN, INT32_MAX, &type))
		return NULL;
	char *key = lib.key_generate((int)type, &err);
	return key != NULL ? addon_take_text(env, key) : addon_fail(env, lib.error_code(err), err);
}

/* A function of the library that makes one text of another. */
static napi_value module_of_text(napi_env env, napi_callback_info info, const char *name,
                                 char *(*make)(const char *, kp2p_error **))
{
	arguments a;
	text given = {.p = NULL};
	kp2p_error *err = NULL;
	if (!addon_arguments(env, info, &a))
		return NULL;
	bool ok = text_get(env, a.v[0], name, &given);
	char *made = ok ? make(given.p, &err) : NULL;
	text_free(&given);
	if (!ok)
		return NULL;
	return made != NULL ? addon_take_text(env, made)
	                    : addon_fail(env, lib.error_code(err), err);
}

static napi_value module_key_peer_id(napi_env env, napi_callback_info info)
{
	return module_of_text(env, info, "key", lib.key_peer_id);
}

static napi_value module_peer_id_parse(napi_env env, napi_callback_info info)
{
	return module_of_text(env, info, "peer id", lib.peer_id_parse);
}

/* setErrors(make): make(code, text) returns what is thrown from now on. */
static napi_value module_set_errors(napi_env env, napi_callback_info info)
{
	arguments a;
	napi_valuetype type;
	addon *state = addon_of(env);
	if (state == NULL || !addon_arguments(env, info, &a) ||
	    napi_typeof(env, a.v[0], &type) != napi_ok)
		return NULL;
	if (type != napi_function) {
		napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "setErrors(function)");
		return NULL;
	}
	if (state->make_error != NULL)
		napi_delete_reference(env, state->make_error);
	state->make_error = NULL;
	napi_create_reference(env, a.v[0], 1, &state->make_error);
	return NULL;
}

/* --- life of the environment --- */

/* Called on its thread before its handles go, so before the library could wake what is no more. */
static void module_on_end(void *data)
{
	core_end_all(data);
}

static void module_on_gone(napi_env env, void *data, void *hint)
{
	(void)env, (void)hint;
	free(data);
}

NAPI_MODULE_INIT()
{
#define MODULE_FUNCTION(name, fn)                                                                  \
	{                                                                                          \
		name, NULL, fn, NULL, NULL, NULL, napi_enumerable, NULL                            \
	}
	static const napi_property_descriptor functions[] = {
	        MODULE_FUNCTION("version", module_version),
	        MODULE_FUNCTION("strerror", module_strerror),
	        MODULE_FUNCTION("keyGenerate", module_key_generate),
	        MODULE_FUNCTION("keyPeerId", module_key_peer_id),
	        MODULE_FUNCTION("peerIdParse", module_peer_id_parse),
	        MODULE_FUNCTION("setErrors", module_set_errors),
	};
#undef MODULE_FUNCTION
	const char *why = library_open();
	if (why != NULL) {
		napi_throw_error(env, "ERR_KP2P_LIBRARY", why);
		return NULL;
	}
	addon *a = calloc(1, sizeof *a);
	if (a == NULL || napi_set_instance_data(env, a, module_on_gone, NULL) != napi_ok) {
		free(a);
		napi_throw_error(env, NULL, "no memory for the module");
		return NULL;
	}
	napi_value class = core_define(env);
	if (class == NULL || napi_set_named_property(env, exports, "Core", class) != napi_ok ||
	    napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions) !=
	            napi_ok ||
	    napi_add_env_cleanup_hook(env, module_on_end, a) != napi_ok)
		return NULL;
	return exports;
}
