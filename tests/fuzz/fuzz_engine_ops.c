/* A whole engine under a host that answers anything: sequences of accepts, reads of arbitrary
 * bytes, dial and name answers, requests, ticks, and a stop. It must end with nothing left behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/port.h"

#define OPS_CONNS   64
#define OPS_LOOKUPS 64
#define OPS_ACTIONS 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct ops_host {
	kp_engine *e;
	kp_pool *pool;
	kp_time now;
	kp_id conns[OPS_CONNS], lookups[OPS_LOOKUPS], listener;
	bool dialing[OPS_CONNS], writing[OPS_CONNS];
	unsigned n_lookups, closed;
	kp_slice in;
} ops_host;

static uint8_t ops_byte(ops_host *h)
{
	return h->in.n > 0 ? kp_slice_take(&h->in, 1).p[0] : 0;
}

static kp_slice ops_bytes(ops_host *h, size_t max)
{
	size_t n = ops_byte(h);
	n = KP_MIN(KP_MIN(n, max), h->in.n);
	return kp_slice_take(&h->in, n);
}

static int ops_find(const ops_host *h, kp_id id)
{
	for (int i = 0; i < OPS_CONNS; i++)
		if (kp_id_eq(h->conns[i], id))
			return i;
	return -1;
}

static int ops_room(ops_host *h)
{
	kp_id none = {0, 0};
	return ops_find(h, none);
}

static void ops_forget(ops_host *h, int i)
{
	memset(&h->conns[i], 0, sizeof h->conns[i]);
	h->dialing[i] = h->writing[i] = false;
}

static void ops_dial(ops_host *h, kp_id id)
{
	int i = ops_room(h);
	if (i < 0) {
		kp_engine_on_dialed(h->e, h->now, id, NULL, KP_E_LIMIT);
		return;
	}
	h->conns[i] = id;
	h->dialing[i] = true;
}

static void ops_act(ops_host *h, const kp_act *a)
{
	int i = ops_find(h, a->id);
	switch (a->kind) {
	case KP_ACT_LISTEN:
		kp_engine_on_listening(h->e, h->now, a->id, &a->u.addr, NULL, 0,
		                       ops_byte(h) % 4 ? KP_OK : KP_E_ADDRINUSE);
		h->listener = a->id;
		break;
	case KP_ACT_DIAL:
		ops_dial(h, a->id);
		break;
	case KP_ACT_RESOLVE:
		if (h->n_lookups < OPS_LOOKUPS)
			h->lookups[h->n_lookups++] = a->id;
		break;
	case KP_ACT_WRITE:
		if (i < 0 || h->writing[i])
			abort(); /* one write at a time, on a live connection */
		h->writing[i] = true;
		break;
	case KP_ACT_CLOSE:
		if (i < 0)
			abort();
		ops_forget(h, i);
		kp_engine_on_closed(h->e, h->now, a->id, KP_OK);
		break;
	case KP_ACT_JOB:
		a->u.job->run(a->u.job);
		kp_engine_on_job_done(h->e, h->now, a->u.job);
		break;
	case KP_ACT_EVENT:
		h->closed += a->u.event->type == KP_EV_CLOSED;
		kp_event_free(a->u.event);
		break;
	default:
		break;
	}
}

static void ops_pump(ops_host *h)
{
	kp_act a;
	for (unsigned n = 0; kp_engine_poll(h->e, h->now, &a); n++) {
		if (n > OPS_ACTIONS)
			abort(); /* it never ends */
		ops_act(h, &a);
	}
}

static void ops_read(ops_host *h, kp_id id)
{
	size_t cap;
	kp_slice bytes = ops_bytes(h, 200);
	uint8_t *p = kp_engine_rx_buf(h->e, id, &cap);
	if (p == NULL)
		return;
	size_t n = KP_MIN(bytes.n, cap);
	if (n > 0)
		memcpy(p, bytes.p, n);
	kp_engine_on_read(h->e, h->now, id, n);
}

static void ops_answer_name(ops_host *h)
{
	kp_dns_answer answers[3];
	char texts[3][300];
	if (h->n_lookups == 0)
		return;
	unsigned n = ops_byte(h) % 4;
	memset(answers, 0, sizeof answers);
	for (unsigned i = 0; i < n; i++) {
		kp_slice t = ops_bytes(h, 250);
		int len = snprintf(texts[i], sizeof texts[i], "dnsaddr=%.*s", (int)t.n,
		                   t.n > 0 ? (const char *)t.p : "");
		answers[i].text = kp_slice_of(texts[i], (size_t)len);
		answers[i].addr.family = ops_byte(h) % 2 ? 4 : 6;
		answers[i].addr.ip[0] = ops_byte(h);
		answers[i].addr.ip[15] = ops_byte(h);
	}
	kp_engine_on_resolved(h->e, h->now, h->lookups[--h->n_lookups], answers, n,
	                      n ? KP_OK : KP_E_NOTFOUND);
}

static void ops_request(ops_host *h)
{
	static const char *const args[] = {
	        "/ip4/10.0.0.9/tcp/1",
	        "/dns/a.example/tcp/1",
	        "/dnsaddr/b.example",
	        "12D3KooWGRUfBWGZBLUL4hmvKVPrsKdFsRAwBJUTEGKVYJmZ7zUP",
	        "news",
	        "/chat/1",
	};
	kp_request r;
	memset(&r, 0, sizeof r);
	r.op = (kp_op)(1 + ops_byte(h) % 11);
	uint8_t pick = ops_byte(h);
	r.arg = pick % 7 < KP_COUNT_OF(args) ? kp_slice_str(args[pick % 7]) : ops_bytes(h, 100);
	r.data = pick & 128 ? ops_bytes(h, 40) : kp_slice_none();
	r.token = ops_byte(h) % 16;
	r.deadline = pick & 64 ? h->now + KP_MS(ops_byte(h)) : KP_NEVER;
	r.done = r.token ? kp_event_new(h->pool, KP_EV_COMPLETE, 300) : NULL;
	if (r.done != NULL)
		r.done->token = r.token;
	kp_engine_request(h->e, h->now, &r);
}

static void ops_conn(ops_host *h, uint8_t op)
{
	int i = ops_byte(h) % OPS_CONNS;
	kp_id id = h->conns[i];
	if (kp_id_none(id))
		return;
	if (h->dialing[i] && op % 4 != 3) {
		kp_err err = op % 4 == 0 ? KP_E_UNREACHABLE : KP_OK;
		h->dialing[i] = false;
		if (err != KP_OK)
			ops_forget(h, i);
		kp_engine_on_dialed(h->e, h->now, id, NULL, err);
	} else if (op % 4 == 0) {
		ops_read(h, id);
	} else if (op % 4 == 1 && h->writing[i]) {
		h->writing[i] = false;
		kp_engine_on_written(h->e, h->now, id, op & 64 ? KP_E_UNREACHABLE : KP_OK);
	} else if (op % 4 == 3) {
		ops_forget(h, i);
		kp_engine_on_closed(h->e, h->now, id, KP_E_UNREACHABLE);
	}
}

static void ops_accept(ops_host *h)
{
	kp_addr from;
	kp_id id;
	memset(&from, 0, sizeof from);
	from.family = 4;
	from.ip[0] = ops_byte(h);
	from.port = 999;
	int i = ops_room(h);
	if (i < 0 || kp_engine_on_accept(h->e, h->now, h->listener, &from, &from, &id) != KP_OK)
		return;
	h->conns[i] = id;
}

static void ops_step(ops_host *h)
{
	uint8_t op = ops_byte(h);
	switch (op % 10) {
	case 0:
		ops_accept(h);
		break;
	case 1:
		ops_request(h);
		break;
	case 2:
		ops_answer_name(h);
		break;
	case 3:
		h->now += KP_MS(1) * (1u << (ops_byte(h) % 16));
		kp_engine_on_tick(h->e, h->now);
		break;
	case 4:
		kp_engine_cancel(h->e, h->now, ops_byte(h) % 16);
		break;
	case 5: {
		kp_pub *p = kp_pub_new(h->pool, kp_slice_str("news"), ops_bytes(h, 200),
		                       ops_byte(h) % 3);
		if (p != NULL)
			kp_engine_publish(h->e, h->now, p);
		break;
	}
	default:
		ops_conn(h, (uint8_t)(op / 10));
	}
	ops_pump(h);
}

static kp_config *ops_config(void)
{
	static const char *const keys[][2] = {
	        {"listen", "/ip4/10.0.0.1/tcp/1"},
	        {"topic", "news"},
	        {"bootstrap", "/dnsaddr/boot.example"},
	        {"connections.half_open", "8"},
	        {"dial.max", "3"},
	        {"events", "peers"},
	};
	char text[200];
	kp_config *cfg = kp_config_new();
	for (size_t i = 0; cfg != NULL && i < KP_COUNT_OF(keys); i++)
		if (kp_config_set(cfg, kp_slice_str(keys[i][0]), kp_slice_str(keys[i][1]), text,
		                  sizeof text) != KP_OK)
			abort();
	return cfg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t seed[32] = {1};
	static ops_host h;
	char text[200];
	memset(&h, 0, sizeof h);
	h.now = KP_SEC(1);
	h.in = kp_slice_of(data, size);
	kp_config *cfg = ops_config();
	h.pool = kp_pool_new(0);
	kp_crypto *crypto = kp_crypto_new(seed);
	if (cfg == NULL || h.pool == NULL || crypto == NULL ||
	    kp_engine_new(cfg, seed, h.pool, crypto, h.now, 0, &h.e, text, sizeof text) != KP_OK)
		abort();
	kp_config_free(cfg);
	kp_engine_start(h.e, h.now);
	ops_pump(&h);
	while (h.in.n > 0)
		ops_step(&h);
	kp_engine_stop(h.e, h.now, KP_SEC(1));
	ops_pump(&h);
	for (unsigned i = 0; !kp_engine_stopped(h.e); i++) {
		kp_time next = kp_engine_deadline(h.e);
		if (i > 1000 || next == KP_NEVER)
			abort(); /* it does not stop */
		h.now = KP_MAX(next, h.now);
		ops_pump(&h);
	}
	if (h.closed != 1)
		abort();
	kp_engine_free(h.e);
	if (kp_pool_blocks_live(h.pool) != 0 || kp_pool_bytes_live(h.pool) != 0)
		abort();
	kp_pool_close(h.pool);
	crypto->ops->free(crypto);
	return 0;
}
