/* Core: one node of the library, as JavaScript holds it. Nothing here waits, but for start, which
 * binds the listeners, and the last close, which joins threads that have ended.
 *
 * The library's thread reaches JavaScript by one thread-safe function, called at most once until
 * JavaScript has answered it: `woken`. It outlives neither the node nor the environment: whoever
 * comes first of release(), the garbage collector and the end of the environment takes the
 * library's wake-up away, which waits for a call that is under way. */
#include "addon.h"

#include <stdatomic.h>
#include <stdlib.h>

#define CORE_TOKEN_MAX  9007199254740991 /* Number.MAX_SAFE_INTEGER */
#define CORE_MS_MAX     2147483647
#define CORE_GOODBYE_MS 500 /* for all nodes, when the environment ends around them */
#define CORE_PAIRS_MAX  100000u

struct core {
	kp2p_node *node; /* NULL, as the sender: given up by free() */
	kp2p_sender *sender;
	napi_threadsafe_function wake; /* NULL: released */
	atomic_bool woken;             /* a call of `wake` is under way */
	unsigned refs;                 /* of the wrapping object and of `wake` */
	addon *addon;                  /* NULL: its environment has ended */
	core *next, **link;            /* in addon->cores */
};

static const napi_type_tag core_tag = {0x6b6172616b703270, 0x8d1e3a52c94b7f06};

kp2p_node *core_node(const core *c)
{
	return c->node;
}

kp2p_sender *core_sender(const core *c)
{
	return c->sender;
}

core *core_of(napi_env env, napi_value self)
{
	bool is_core = false;
	void *found = NULL;
	if (napi_check_object_type_tag(env, self, &core_tag, &is_core) == napi_ok && is_core &&
	    napi_unwrap(env, self, &found) == napi_ok)
		return found;
	napi_throw_type_error(env, "ERR_INVALID_THIS", "not a Core");
	return NULL;
}

core *core_live(napi_env env, napi_value self)
{
	core *c = core_of(env, self);
	if (c != NULL && c->node == NULL) {
		addon_fail_text(env, KP2P_ECLOSED, "the node is closed");
		return NULL;
	}
	return c;
}

/* `this` of a call and its arguments: a node that was not given up. */
static core *core_enter(napi_env env, napi_callback_info info, arguments *a)
{
	return addon_arguments(env, info, a) ? core_live(env, a->self) : NULL;
}

/* The same for what a node that was given up can do too. */
static core *core_enter_any(napi_env env, napi_callback_info info, arguments *a)
{
	return addon_arguments(env, info, a) ? core_of(env, a->self) : NULL;
}

/* --- waking JavaScript --- */

/* On the library's thread. `what` does not matter: JavaScript looks wherever somebody waits. */
static void core_on_wakeup(void *ud, int what)
{
	core *c = ud;
	(void)what;
	if (!atomic_exchange(&c->woken, true))
		napi_call_threadsafe_function(c->wake, NULL, napi_tsfn_nonblocking);
}

/* On the environment's thread. env is NULL when it ends: then `woken` stays, and so no call
 * follows. */
static void core_call_js(napi_env env, napi_value callback, void *context, void *data)
{
	core *c = context;
	napi_value undefined;
	(void)data;
	if (env == NULL || callback == NULL)
		return;
	atomic_store(&c->woken, false);
	if (napi_get_undefined(env, &undefined) == napi_ok)
		napi_call_function(env, undefined, callback, 0, NULL, NULL);
}

static void core_drop(core *c)
{
	if (--c->refs > 0)
		return;
	if (c->addon != NULL) {
		*c->link = c->next;
		if (c->next != NULL)
			c->next->link = c->link;
	}
	lib.sender_free(c->sender);
	lib.node_free(c->node); /* never blocks; stops the node if nobody has closed it */
	free(c);
}

static void core_on_wake_gone(napi_env env, void *data, void *hint)
{
	core *c = hint;
	(void)env, (void)data;
	lib.node_set_wakeup(c->node, NULL, NULL);
	c->wake = NULL;
	core_drop(c);
}

static void core_detach(core *c)
{
	lib.node_set_wakeup(c->node, NULL, NULL);
	if (c->wake != NULL) {
		napi_release_threadsafe_function(c->wake, napi_tsfn_abort);
		c->wake = NULL;
	}
}

static void core_on_collected(napi_env env, void *data, void *hint)
{
	core *c = data;
	(void)env, (void)hint;
	core_detach(c);
	core_drop(c);
}

static int core_join(core *c, int drain_ms)
{
	int r;
	do
		r = lib.node_close(c->node, drain_ms, -1);
	while (r == KP2P_EINTR);
	return r;
}

void core_end_all(addon *a)
{
	for (core *c = a->cores; c != NULL; c = c->next) {
		core_detach(c);
		lib.node_close(c->node, CORE_GOODBYE_MS, 0);
	}
	while (a->cores != NULL) {
		core *c = a->cores;
		a->cores = c->next;
		core_join(c, CORE_GOODBYE_MS);
		c->addon = NULL; /* its finalizers are still to come */
	}
}

/* --- making one --- */

static bool core_set_pair(napi_env env, kp2p_config *config, napi_value pair)
{
	text key = {.p = NULL}, value = {.p = NULL};
	napi_value k, v;
	kp2p_error *err = NULL;
	bool ok = napi_get_element(env, pair, 0, &k) == napi_ok &&
	          napi_get_element(env, pair, 1, &v) == napi_ok && text_get(env, k, "key", &key) &&
	          text_get(env, v, key.p, &value);
	int r = ok ? lib.config_set(config, key.p, value.p, &err) : 0;
	if (r < 0)
		addon_fail(env, r, err);
	text_free(&key);
	text_free(&value);
	return ok && r >= 0;
}

static bool core_set_pairs(napi_env env, kp2p_config *config, napi_value pairs)
{
	uint32_t n = 0;
	if (napi_get_array_length(env, pairs, &n) != napi_ok || n > CORE_PAIRS_MAX) {
		napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "pairs must be an array");
		return false;
	}
	for (uint32_t i = 0; i < n; i++) {
		napi_handle_scope scope;
		napi_value pair;
		bool is_array = false;
		if (napi_open_handle_scope(env, &scope) != napi_ok)
			return false;
		bool ok = napi_get_element(env, pairs, i, &pair) == napi_ok &&
		          napi_is_array(env, pair, &is_array) == napi_ok;
		if (ok && !is_array)
			napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "a pair is an array");
		ok = ok && is_array && core_set_pair(env, config, pair);
		napi_close_handle_scope(env, scope);
		if (!ok)
			return false;
	}
	return true;
}

static kp2p_node *core_make_node(napi_env env, napi_value pairs)
{
	kp2p_error *err = NULL;
	kp2p_node *node = NULL;
	kp2p_config *config = lib.config_new();
	if (config == NULL) {
		addon_fail(env, KP2P_ENOMEM, NULL);
		return NULL;
	}
	if (core_set_pairs(env, config, pairs)) {
		node = lib.node_new(config, &err);
		if (node == NULL)
			addon_fail(env, lib.error_code(err), err);
	}
	lib.config_free(config);
	return node;
}

/* The thread-safe function: a queue of one, since `woken` lets no second call in. It keeps the
 * process alive once the node is started (ref). */
static bool core_make_wake(napi_env env, core *c, napi_value callback)
{
	napi_value name;
	if (napi_create_string_utf8(env, "karakp2p", NAPI_AUTO_LENGTH, &name) != napi_ok ||
	    napi_create_threadsafe_function(env, callback, NULL, name, 1, 1, NULL,
	                                    core_on_wake_gone, c, core_call_js,
	                                    &c->wake) != napi_ok)
		return false;
	c->refs++;
	napi_unref_threadsafe_function(env, c->wake);
	return true;
}

/* A core of a node that is the core's from now on. NULL has thrown. */
static core *core_make(napi_env env, kp2p_node *node)
{
	addon *a = addon_of(env);
	kp2p_error *err = NULL;
	core *c = calloc(1, sizeof *c);
	kp2p_sender *sender = c != NULL ? lib.sender_new(node, &err) : NULL;
	if (sender == NULL) {
		addon_fail(env, KP2P_ENOMEM, err);
		lib.node_free(node);
		free(c);
		return NULL;
	}
	c->node = node;
	c->sender = sender;
	c->refs = 1;
	c->addon = a;
	c->next = a->cores;
	c->link = &a->cores;
	if (c->next != NULL)
		c->next->link = &c->next;
	a->cores = c;
	return c;
}

static napi_value core_new(napi_env env, napi_callback_info info)
{
	arguments a;
	napi_valuetype type;
	napi_value target = NULL;
	if (!addon_arguments(env, info, &a) || napi_get_new_target(env, info, &target) != napi_ok)
		return NULL;
	if (target == NULL || napi_typeof(env, a.v[1], &type) != napi_ok || type != napi_function) {
		napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "new Core(pairs, wake)");
		return NULL;
	}
	kp2p_node *node = core_make_node(env, a.v[0]);
	core *c = node != NULL ? core_make(env, node) : NULL;
	if (c == NULL)
		return NULL;
	if (!core_make_wake(env, c, a.v[1]) ||
	    napi_type_tag_object(env, a.self, &core_tag) != napi_ok ||
	    napi_wrap(env, a.self, c, core_on_collected, NULL, NULL) != napi_ok) {
		core_detach(c);
		core_drop(c);
		napi_throw_error(env, NULL, "the environment is ending");
		return NULL;
	}
	lib.node_set_wakeup(c->node, core_on_wakeup, c);
	return a.self;
}

/* --- life --- */

static napi_value core_start(napi_env env, napi_callback_info info)
{
	arguments a;
	kp2p_error *err = NULL;
	core *c = core_enter(env, info, &a);
	if (c == NULL)
		return NULL;
	int r = lib.node_start(c->node, &err);
	return r < 0 ? addon_fail(env, r, err) : NULL;
}

/* close(drainMs, join) → whether it is closed. With join it waits: the node has said CLOSED. */
static napi_value core_close(napi_env env, napi_callback_info info)
{
	arguments a;
	int64_t drain_ms;
	bool join = false;
	core *c = core_enter_any(env, info, &a);
	if (c == NULL || !addon_int(env, a.v[0], "drainMs", -1, CORE_MS_MAX, &drain_ms))
		return NULL;
	if (c->node == NULL)
		return addon_bool(env, true);
	napi_get_value_bool(env, a.v[1], &join);
	int r = join ? core_join(c, (int)drain_ms) : lib.node_close(c->node, (int)drain_ms, 0);
	if (r < 0 && r != KP2P_EAGAIN && r != KP2P_ETIMEDOUT && r != KP2P_EINTR)
		return addon_fail(env, r, NULL);
	return addon_bool(env, r >= 0);
}

/* No wake-up from now on, and nothing that keeps the process alive. */
static napi_value core_release(napi_env env, napi_callback_info info)
{
	arguments a;
	core *c = core_enter_any(env, info, &a);
	if (c != NULL)
		core_detach(c);
	return NULL;
}

/* Gives up the node, which is closed and read to its end. It would go with its object as well, but
 * there may be only so many nodes, and nobody knows when garbage is collected. */
static napi_value core_free(napi_env env, napi_callback_info info)
{
	arguments a;
	core *c = core_enter_any(env, info, &a);
	if (c == NULL)
		return NULL;
	core_detach(c);
	lib.sender_free(c->sender);
	lib.node_free(c->node);
	c->sender = NULL;
	c->node = NULL;
	return NULL;
}

static napi_value core_ref(napi_env env, napi_callback_info info)
{
	arguments a;
	core *c = core_enter_any(env, info, &a);
	if (c != NULL && c->wake != NULL)
		napi_ref_threadsafe_function(env, c->wake);
	return NULL;
}

static napi_value core_unref(napi_env env, napi_callback_info info)
{
	arguments a;
	core *c = core_enter_any(env, info, &a);
	if (c != NULL && c->wake != NULL)
		napi_unref_threadsafe_function(env, c->wake);
	return NULL;
}

/* --- operations --- */

/* request(op, arg, data, timeoutMs, token) */
static napi_value core_request(napi_env env, napi_callback_info info)
{
	arguments a;
	text arg = {.p = NULL};
	const void *data;
	size_t n;
	int64_t op, timeout_ms, token;
	kp2p_error *err = NULL;
	core *c = core_enter(env, info, &a);
	bool ok = c != NULL && addon_int(env, a.v[0], "op", INT32_MIN, INT32_MAX, &op) &&
	          text_get(env, a.v[1], "arg", &arg) &&
	          addon_bytes(env, a.v[2], "data", &data, &n) &&
	          addon_int(env, a.v[3], "timeoutMs", 0, CORE_MS_MAX, &timeout_ms) &&
	          addon_int(env, a.v[4], "token", -CORE_TOKEN_MAX, CORE_TOKEN_MAX, &token);
	int r = ok ? lib.node_request(c->node, (int)op, arg.p, arg.n, data, n, (int)timeout_ms,
	                              token, &err)
	           : 0;
	text_free(&arg);
	return r < 0 ? addon_fail(env, r, err) : NULL;
}

/* cancel(token): ENOTFOUND when no such token is in flight. */
static napi_value core_cancel(napi_env env, napi_callback_info info)
{
	arguments a;
	int64_t token;
	core *c = core_enter(env, info, &a);
	if (c == NULL || !addon_int(env, a.v[0], "token", -CORE_TOKEN_MAX, CORE_TOKEN_MAX, &token))
		return NULL;
	int r = lib.node_cancel(c->node, token);
	return r < 0 ? addon_fail(env, r, NULL) : NULL;
}

/* verdict(token, verdict) → false when it is too late. */
static napi_value core_verdict(napi_env env, napi_callback_info info)
{
	arguments a;
	int64_t token, verdict;
	core *c = core_enter_any(env, info, &a);
	if (c == NULL ||
	    !addon_int(env, a.v[0], "token", -CORE_TOKEN_MAX, CORE_TOKEN_MAX, &token) ||
	    !addon_int(env, a.v[1], "verdict", INT32_MIN, INT32_MAX, &verdict))
		return NULL;
	int r = c->node != NULL ? lib.node_verdict(c->node, token, (int)verdict) : KP2P_ECLOSED;
	if (r < 0 && r != KP2P_ENOTFOUND && r != KP2P_ECLOSED)
		return addon_fail(env, r, NULL);
	return addon_bool(env, r >= 0);
}

static napi_value core_info(napi_env env, napi_callback_info info)
{
	arguments a;
	text what = {.p = NULL};
	kp2p_error *err = NULL;
	core *c = core_enter(env, info, &a);
	if (c == NULL)
		return NULL;
	bool ok = text_get(env, a.v[0], "what", &what);
	char *found = ok ? lib.node_info(c->node, what.p, &err) : NULL;
	text_free(&what);
	if (!ok)
		return NULL;
	return found != NULL ? addon_take_text(env, found)
	                     : addon_fail(env, lib.error_code(err), err);
}

napi_value core_define(napi_env env)
{
#define CORE_METHOD(name, fn)                                                                      \
	{                                                                                          \
		name, NULL, fn, NULL, NULL, NULL, napi_default_method, NULL                        \
	}
	static const napi_property_descriptor methods[] = {
	        CORE_METHOD("start", core_start),
	        CORE_METHOD("close", core_close),
	        CORE_METHOD("release", core_release),
	        CORE_METHOD("free", core_free),
	        CORE_METHOD("ref", core_ref),
	        CORE_METHOD("unref", core_unref),
	        CORE_METHOD("publish", send_publish),
	        CORE_METHOD("publishBatch", send_publish_batch),
	        CORE_METHOD("send", send_direct),
	        CORE_METHOD("poll", inbox_poll_packed),
	        CORE_METHOD("request", core_request),
	        CORE_METHOD("cancel", core_cancel),
	        CORE_METHOD("verdict", core_verdict),
	        CORE_METHOD("info", core_info),
	};
#undef CORE_METHOD
	napi_value class = NULL;
	napi_define_class(env, "Core", NAPI_AUTO_LENGTH, core_new, NULL,
	                  sizeof methods / sizeof *methods, methods, &class);
	return class;
}
