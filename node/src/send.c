/* Sending: tries once and never waits. JavaScript keeps the queue of those who wait. */
#include "addon.h"

#define SEND_TOKEN_MAX 9007199254740991 /* Number.MAX_SAFE_INTEGER */

/* publish(topic, data, token) → false when the queue is full. */
napi_value send_publish(napi_env env, napi_callback_info info)
{
	arguments a;
	text topic = {.p = NULL};
	const void *data;
	size_t n;
	int64_t token;
	kp2p_error *err = NULL;
	core *c = addon_arguments(env, info, &a) ? core_live(env, a.self) : NULL;
	bool ok = c != NULL && text_get(env, a.v[0], "topic", &topic) &&
	          addon_bytes(env, a.v[1], "data", &data, &n) &&
	          addon_int(env, a.v[2], "token", -SEND_TOKEN_MAX, SEND_TOKEN_MAX, &token);
	int r = ok ? lib.sender_publish(core_sender(c), topic.p, data, n, token, 0, &err) : 0;
	text_free(&topic);
	if (!ok)
		return NULL;
	if (r == KP2P_EAGAIN)
		lib.error_free(err);
	else if (r < 0)
		return addon_fail(env, r, err);
	return addon_bool(env, r >= 0);
}

/* publishBatch(topic, bytes, lengths) → how many were accepted, from the first; 0 when the queue is
 * full. bytes: one after the other; lengths: a Uint32Array. */
napi_value send_publish_batch(napi_env env, napi_callback_info info)
{
	arguments a;
	text topic = {.p = NULL};
	const void *data;
	void *lens = NULL;
	size_t n, count = 0;
	uint64_t sum = 0;
	napi_typedarray_type type = napi_uint8_array;
	kp2p_error *err = NULL;
	core *c = addon_arguments(env, info, &a) ? core_live(env, a.self) : NULL;
	bool ok = c != NULL && text_get(env, a.v[0], "topic", &topic) &&
	          addon_bytes(env, a.v[1], "bytes", &data, &n);
	if (ok) {
		napi_get_typedarray_info(env, a.v[2], &type, &count, &lens, NULL, NULL);
		for (size_t i = 0; type == napi_uint32_array && i < count; i++)
			sum += ((const uint32_t *)lens)[i];
		if (type != napi_uint32_array || sum > n) {
			napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE",
			                      "lengths must be a Uint32Array within bytes");
			ok = false;
		}
	}
	int r = ok ? lib.sender_publish_batch(core_sender(c), topic.p, data, lens, count, 0, 0,
	                                      &err)
	           : 0;
	text_free(&topic);
	if (!ok)
		return NULL;
	if (r == KP2P_EAGAIN)
		lib.error_free(err);
	else if (r < 0)
		return addon_fail(env, r, err);
	return addon_number(env, r < 0 ? 0 : r);
}

/* send(peer, protocol, data, token) → false when the queue is full. */
napi_value send_direct(napi_env env, napi_callback_info info)
{
	arguments a;
	text peer = {.p = NULL}, protocol = {.p = NULL};
	const void *data;
	size_t n;
	int64_t token;
	kp2p_error *err = NULL;
	core *c = addon_arguments(env, info, &a) ? core_live(env, a.self) : NULL;
	bool ok = c != NULL && text_get(env, a.v[0], "peer", &peer) &&
	          text_get(env, a.v[1], "protocol", &protocol) &&
	          addon_bytes(env, a.v[2], "data", &data, &n) &&
	          addon_int(env, a.v[3], "token", -SEND_TOKEN_MAX, SEND_TOKEN_MAX, &token);
	int r = ok ? lib.sender_send(core_sender(c), peer.p, protocol.p, data, n, token, 0, &err)
	           : 0;
	text_free(&peer);
	text_free(&protocol);
	if (!ok)
		return NULL;
	if (r == KP2P_EAGAIN)
		lib.error_free(err);
	else if (r < 0)
		return addon_fail(env, r, err);
	return addon_bool(env, r >= 0);
}
