/* What the files of the addon share: the state of an environment (the main thread, or a worker),
 * arguments, errors. Everything here runs on the environment's own thread, but for the wake-up in
 * core.c. Functions that return false or NULL have thrown. */
#ifndef KP2P_NODE_ADDON_H
#define KP2P_NODE_ADDON_H

#define NAPI_VERSION 8
#include "library.h"

#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct core core;

/* Of one environment. */
typedef struct addon {
	napi_ref make_error; /* (code, text) → what is thrown; NULL until setErrors */
	core *cores;         /* those that live */
} addon;

addon *addon_of(napi_env env);

/* --- arguments --- */

#define ADDON_ARGS_MAX 6

/* The arguments of a call, missing ones undefined, and `this`. */
typedef struct arguments {
	napi_value self;
	napi_value v[ADDON_ARGS_MAX];
} arguments;

bool addon_arguments(napi_env env, napi_callback_info info, arguments *a);

/* A JavaScript string as C wants it. */
typedef struct text {
	char *p; /* NUL-terminated UTF-8 */
	size_t n;
	char small[320];
} text;

/* TypeError for what is no string, EINVAL for one that holds a NUL. The caller frees it, also when
 * this failed. */
bool text_get(napi_env env, napi_value value, const char *name, text *t);
void text_free(text *t);

/* Borrowed from a Uint8Array (or Buffer) for the call. */
bool addon_bytes(napi_env env, napi_value value, const char *name, const void **p, size_t *n);

/* An integer from min to max. */
bool addon_int(napi_env env, napi_value value, const char *name, int64_t min, int64_t max,
               int64_t *out);

/* --- results and errors --- */

/* Throws the error of a code; consumes err, whose text it takes if there is one. NULL. */
napi_value addon_fail(napi_env env, int code, kp2p_error *err);

/* The same, with a text of our own. */
napi_value addon_fail_text(napi_env env, int code, const char *message);

napi_value addon_number(napi_env env, double value);
napi_value addon_bool(napi_env env, bool value);

/* Consumes a text of the library's: frees it. */
napi_value addon_take_text(napi_env env, char *text_of_library);

/* --- the class (core.c, with send.c and inbox.c) --- */

/* `this` of a method as a core, or NULL. */
core *core_of(napi_env env, napi_value self);
/* The same; ECLOSED when its node was given up. */
core *core_live(napi_env env, napi_value self);
/* NULL once given up. */
kp2p_node *core_node(const core *c);
kp2p_sender *core_sender(const core *c);

napi_value core_define(napi_env env);

/* The end of the environment: every node of it says goodbye and is joined. */
void core_end_all(addon *a);

napi_value send_publish(napi_env env, napi_callback_info info);
napi_value send_publish_batch(napi_env env, napi_callback_info info);
napi_value send_direct(napi_env env, napi_callback_info info);
napi_value inbox_poll_packed(napi_env env, napi_callback_info info);

#endif
