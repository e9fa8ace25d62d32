/* Publishing and direct messages, on the caller's thread: checks with a text that names the
 * culprit, the one copy of the bytes, and the outbox. */
#include "rt/node.h"

#include "wire/rpc.h"
#include "wire/utf8.h"
#include "wire/varint.h"

#include <stdio.h>

#define SEND_CHUNK        256u /* messages of a batch that are copied before they are queued */
#define SEND_PROTOCOL_MAX 256u

static kp_err send_check_token(int64_t token, size_t n, char *text, size_t cap)
{
	if (token >= 0 && (uint64_t)(INT64_MAX - token) >= n)
		return KP_OK;
	snprintf(text, cap, "token %lld: tokens are 0 (none) or greater", (long long)token);
	return KP_E_INVAL;
}

static kp_err send_check_topic(kp_slice topic, char *text, size_t cap)
{
	if (topic.n == 0) {
		snprintf(text, cap, "the topic is empty");
		return KP_E_INVAL;
	}
	if (topic.n > KP_TOPIC_MAX) {
		snprintf(text, cap, "topic of %zu bytes: at most %u", topic.n, KP_TOPIC_MAX);
		return KP_E_INVAL;
	}
	if (!kp_utf8_valid(topic)) {
		snprintf(text, cap, "the topic is not UTF-8");
		return KP_E_INVAL;
	}
	return KP_OK;
}

/* Body of the RPC that will carry the message: what max_message_size counts. */
static size_t send_rpc_size(const kp_rt *rt, kp_slice topic, size_t data_n)
{
	static const uint8_t zeros[64];
	const kp_gs_params *gs = &rt->s->gs;
	bool sign = gs->signature == KP_SIG_STRICT_SIGN || gs->signature == KP_SIG_LAX_SIGN;
	kp_rpc_publish m;
	memset(&m, 0, sizeof m);
	if (sign) {
		m.from = kp_slice_of(zeros, 38); /* an Ed25519 peer id */
		m.seqno = kp_slice_of(zeros, 8);
		m.signature = kp_slice_of(zeros, 64);
	}
	m.topic = topic;
	m.data_n = data_n;
	size_t framed = kp_rpc_publish_frame_size(&m);
	size_t body = framed - 1; /* less the length prefix */
	while (kp_varint_size(body) + body > framed)
		body--;
	return body;
}

static kp_err send_check_size(const kp_rt *rt, kp_slice topic, size_t n, char *text, size_t cap)
{
	size_t max = rt->s->gs.max_message_size;
	size_t framed = n <= max ? send_rpc_size(rt, topic, n) : n;
	if (framed <= max)
		return KP_OK;
	snprintf(text, cap, "message of %zu bytes (%zu framed): max_message_size is %zu", n, framed,
	         max);
	return KP_E_TOOBIG;
}

/* What the codes of the queue mean here. */
static kp_err send_explain(const kp_rt *rt, kp_err err, int64_t token, char *text, size_t cap)
{
	switch (err) {
	case KP_OK:
		break;
	case KP_E_AGAIN:
	case KP_E_TIMEDOUT:
		snprintf(text, cap,
		         "the outbox is full (outbox.max_messages %u, outbox.max_bytes %llu)",
		         rt->s->outbox_max_messages, (unsigned long long)rt->s->outbox_max_bytes);
		break;
	case KP_E_INVAL:
		snprintf(text, cap, "token %lld is in flight already", (long long)token);
		break;
	case KP_E_STATE:
		snprintf(text, cap, "the node has not been started: it cannot wait for room");
		break;
	case KP_E_NOMEM:
		snprintf(text, cap, "no memory for a message (memory.max %llu)",
		         (unsigned long long)rt->s->memory_max);
		break;
	case KP_E_CLOSED:
		snprintf(text, cap, "the node is closed");
		break;
	default:
		snprintf(text, cap, "%s", kp_err_text(err));
		break;
	}
	return err;
}

/* --- publish --- */

static size_t batch_len(const kp_rt_batch *b, size_t i)
{
	return b->lens != NULL ? b->lens[i] : b->len;
}

/* Copies messages i … into a chain, up to SEND_CHUNK of them; *at walks through the data. The
 * result says why it ended early. */
static kp_err batch_copy(kp_rt *rt, const kp_rt_batch *b, size_t *i, const uint8_t **at,
                         kp_pub **chain, char *text, size_t cap)
{
	kp_pub **tail = chain;
	*chain = NULL;
	for (size_t n = 0; *i < b->n && n < SEND_CHUNK; n++, (*i)++) {
		size_t len = batch_len(b, *i);
		kp_err err = send_check_size(rt, b->topic, len, text, cap);
		if (err != KP_OK)
			return err;
		kp_pub *p = kp_pub_new(rt->pool, b->topic, kp_slice_of(*at, len),
		                       b->token != 0 ? b->token + (int64_t)*i : 0);
		if (p == NULL)
			return send_explain(rt, KP_E_NOMEM, 0, text, cap);
		if (len > 0) /* of empty messages there may be no buffer */
			*at += len;
		*tail = p;
		tail = &p->next;
	}
	return KP_OK;
}

static size_t chain_free(kp_pub *chain)
{
	size_t n = 0;
	while (chain != NULL) {
		kp_pub *next = chain->next;
		kp_pub_free(chain);
		chain = next;
		n++;
	}
	return n;
}

static kp_err batch_post(kp_rt *rt, const kp_rt_batch *b, kp_time deadline, size_t *accepted,
                         char *text, size_t cap)
{
	const uint8_t *at = b->data;
	size_t i = 0;
	while (i < b->n) {
		kp_pub *chain;
		if (!kp_rt_pin(rt)) /* no longer than a copy takes: never while it waits */
			return send_explain(rt, KP_E_CLOSED, 0, text, cap);
		kp_err copied = batch_copy(rt, b, &i, &at, &chain, text, cap);
		kp_rt_unpin(rt);
		kp_err err = kp_rt_cmd_post(&rt->cmd, &chain, KP_RT_TOKEN_PUBLISH, deadline);
		*accepted = i - chain_free(chain);
		if (err != KP_OK)
			return send_explain(rt, err, b->token + (int64_t)*accepted, text, cap);
		if (copied != KP_OK)
			return copied;
	}
	return KP_OK;
}

kp_err kp_rt_publish(kp_rt *rt, const kp_rt_batch *b, size_t *accepted, char *text, size_t cap)
{
	kp_time deadline = kp_rt_deadline(b->timeout_ms);
	*accepted = 0;
	kp_err err = send_check_topic(b->topic, text, cap);
	if (err == KP_OK)
		err = send_check_token(b->token, b->n, text, cap);
	if (err == KP_OK && b->n > 0)
		err = send_check_size(rt, b->topic, batch_len(b, 0), text, cap);
	if (err != KP_OK)
		return err;
	if (kp_rt_is_closed(rt))
		return send_explain(rt, KP_E_CLOSED, 0, text, cap);
	if (deadline == 0 && b->n > 0) { /* before anything is copied */
		err = kp_rt_cmd_look(&rt->cmd, b->token);
		if (err != KP_OK)
			return send_explain(rt, err, b->token, text, cap);
	}
	return batch_post(rt, b, deadline, accepted, text, cap);
}

int kp_rt_sender_fd(kp_rt *rt)
{
	return kp_rt_cmd_fd(&rt->cmd);
}

/* --- direct messages --- */

static kp_err send_check_direct(kp_rt *rt, kp_slice peer, kp_slice protocol, size_t n, char *text,
                                size_t cap)
{
	kp_peer_id id;
	size_t max = rt->s->gs.max_message_size;
	if (kp_peer_id_parse_text(peer, &id) != KP_OK) {
		snprintf(text, cap, "not a peer id: %.*s", (int)KP_MIN(peer.n, 100u),
		         (const char *)peer.p);
		return KP_E_INVAL;
	}
	if (protocol.n == 0 || protocol.n > SEND_PROTOCOL_MAX || protocol.p[0] != '/') {
		snprintf(text, cap, "not a protocol id (it begins with '/'): %.*s",
		         (int)KP_MIN(protocol.n, 100u), (const char *)protocol.p);
		return KP_E_INVAL;
	}
	if (n > max) {
		snprintf(text, cap, "message of %zu bytes: max_message_size is %zu", n, max);
		return KP_E_TOOBIG;
	}
	return KP_OK;
}

/* The form kp_engine_send takes: peer id, NUL, protocol id in the place of the topic. */
static kp_pub *send_make_direct(kp_rt *rt, kp_slice peer, kp_slice protocol, kp_slice data,
                                int64_t token)
{
	uint8_t to[KP_PEER_ID_TEXT_MAX + 1 + SEND_PROTOCOL_MAX];
	kp_peer_id id;
	char text[KP_PEER_ID_TEXT_MAX];
	if (kp_peer_id_parse_text(peer, &id) != KP_OK || !kp_rt_pin(rt))
		return NULL;
	kp_writer w = kp_writer_of(to, sizeof to);
	kp_write(&w, text, kp_peer_id_text(&id, text));
	kp_write_u8(&w, 0);
	kp_write_slice(&w, protocol);
	KP_ASSERT(!w.full);
	kp_pub *p = kp_pub_new(rt->pool, kp_slice_of(to, w.n), data, token);
	kp_rt_unpin(rt);
	if (p != NULL && p->done != NULL)
		p->done->type = KP_EV_COMPLETE;
	return p;
}

kp_err kp_rt_send(kp_rt *rt, kp_slice peer, kp_slice protocol, kp_slice data, int64_t token,
                  int timeout_ms, char *text, size_t cap)
{
	kp_time deadline = kp_rt_deadline(timeout_ms);
	kp_err err = send_check_direct(rt, peer, protocol, data.n, text, cap);
	if (err == KP_OK)
		err = send_check_token(token, 1, text, cap);
	if (err != KP_OK)
		return err;
	if (kp_rt_is_closed(rt))
		return send_explain(rt, KP_E_CLOSED, 0, text, cap);
	if (kp_rt_get_state(rt) == RT_NEW) {
		snprintf(text, cap, "the node has not been started");
		return KP_E_STATE;
	}
	err = deadline == 0 ? kp_rt_cmd_look(&rt->cmd, token) : KP_OK;
	if (err != KP_OK)
		return send_explain(rt, err, token, text, cap);
	kp_pub *p = send_make_direct(rt, peer, protocol, data, token);
	if (p == NULL) /* the pool goes a moment before the state says closed */
		return send_explain(rt, kp_rt_pool_is_gone(rt) ? KP_E_CLOSED : KP_E_NOMEM, 0, text,
		                    cap);
	err = kp_rt_cmd_post(&rt->cmd, &p, KP_RT_TOKEN_SEND, deadline);
	kp_pub_free(p); /* NULL when it was taken */
	return send_explain(rt, err, token, text, cap);
}
