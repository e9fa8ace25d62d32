/* One connection against arbitrary bytes in every state, with the host and its services behaving
 * as the input says. The first byte chooses the role and how far the handshake is done for the
 * fuzzer; then come operations. Whatever happens: no crash, and nothing is left at the end. */
#include "conn/conn.h"
#include "conn/noise.h"
#include "wire/yamux_hdr.h"
#include "fuzz_conn_null.h"
#include "fuzz_input.h"

#define FUZZ_STREAMS 24u

typedef struct fuzz_flow {
	kp_stream *s; /* NULL = free */
	uint32_t to_send;
	bool echo, opened;
} fuzz_flow;

static struct {
	kp_mem mem;
	kp_timers timers;
	kp_rng rng;
	kp_stats stats;
	kp_trace trace;
	kp_crypto crypto;
	kp_identity self;
	kp_noise_local noise;
	kp_env env;
	kp_conn *c;
	kp_time now;
	fuzz_flow flows[FUZZ_STREAMS];
	unsigned opened, closed;
	uint8_t mood; /* bits that make services misbehave */
	bool dirty, tx_busy;
} F;

static fuzz_flow *fuzz_flow_of(kp_stream *s)
{
	for (unsigned i = 0; i < FUZZ_STREAMS; i++) {
		if (F.flows[i].s == s)
			return &F.flows[i];
	}
	return NULL;
}

static kp_err fuzz_open(void *svc, kp_stream *s, kp_time now)
{
	(void)svc;
	(void)now;
	fuzz_flow *f = fuzz_flow_of(s);
	if ((F.mood & 1) != 0) {
		if (f != NULL)
			memset(f, 0, sizeof(*f));
		return KP_E_LIMIT;
	}
	if (f == NULL)
		f = fuzz_flow_of(NULL);
	F.opened++;
	if (f == NULL)
		return KP_OK;
	f->s = s;
	f->opened = true;
	f->echo = (F.mood & 2) != 0;
	f->to_send = 100;
	kp_stream_want_write(s);
	if ((F.mood & 4) != 0)
		kp_stream_hold(s);
	return KP_OK;
}

static kp_err fuzz_data(void *svc, kp_stream *s, kp_time now, kp_slice in)
{
	(void)svc;
	(void)now;
	KP_ASSERT(in.n > 0);
	volatile uint8_t touch = in.p[0] ^ in.p[in.n - 1];
	(void)touch;
	fuzz_flow *f = fuzz_flow_of(s);
	if (f != NULL && f->echo) {
		f->to_send += (uint32_t)in.n;
		kp_stream_want_write(s);
	}
	if ((F.mood & 8) != 0)
		kp_stream_hold(s);
	if ((F.mood & 16) != 0)
		kp_stream_reset(s);
	return (F.mood & 32) != 0 ? KP_E_PROTO : KP_OK;
}

static void fuzz_fin(void *svc, kp_stream *s, kp_time now)
{
	(void)svc;
	(void)now;
	if ((F.mood & 64) == 0)
		kp_stream_fin(s);
}

static unsigned fuzz_pull(void *svc, kp_stream *s, kp_time now, kp_slice *v, unsigned v_max,
                          size_t n_max)
{
	(void)svc;
	(void)now;
	static const uint8_t bytes[64];
	fuzz_flow *f = fuzz_flow_of(s);
	if (f == NULL)
		return 0;
	if ((F.mood & 128) != 0)
		kp_stream_reset(s);
	unsigned k = 0;
	while (k < v_max && f->to_send > 0 && n_max > 0) {
		size_t n = KP_MIN(KP_MIN(n_max, sizeof(bytes)), (size_t)f->to_send);
		v[k++] = kp_slice_of(bytes, n);
		f->to_send -= (uint32_t)n;
		n_max -= n;
	}
	return k;
}

static void fuzz_close(void *svc, kp_stream *s, kp_time now, kp_err why)
{
	(void)svc;
	(void)now;
	(void)why;
	F.closed++;
	fuzz_flow *f = fuzz_flow_of(s);
	if (f != NULL)
		memset(f, 0, sizeof(*f));
}

static bool fuzz_barrier(void *svc, kp_stream *s)
{
	(void)svc;
	fuzz_flow *f = fuzz_flow_of(s);
	return f != NULL && f->to_send % 5 == 3;
}

static const kp_proto_ops fuzz_ops = {
        .name = "fuzz",
        .state_size = 24,
        .in_max = 16,
        .on_open = fuzz_open,
        .on_data = fuzz_data,
        .on_fin = fuzz_fin,
        .pull = fuzz_pull,
        .on_close = fuzz_close,
        .wants_barrier = fuzz_barrier,
};

static const kp_proto fuzz_protos[] = {{"/x", 1}, {"/y", 2}, {"/z", 3}};

static kp_why fuzz_secured(void *ctx, kp_conn *c, kp_time now)
{
	(void)ctx;
	(void)c;
	(void)now;
	return KP_WHY_NONE;
}

static bool fuzz_find(void *ctx, kp_conn *c, kp_slice name, kp_proto_binding *out)
{
	(void)ctx;
	(void)c;
	if (!kp_slice_eq_str(name, "/x"))
		return false;
	out->ops = &fuzz_ops;
	out->svc = NULL;
	out->proto = fuzz_protos[0];
	return true;
}

static void fuzz_dirty(void *ctx, kp_conn *c)
{
	(void)ctx;
	(void)c;
	KP_ASSERT(!F.dirty);
	F.dirty = true;
}

static bool fuzz_dead(void)
{
	return kp_conn_get_state(F.c) == KP_CONN_DEAD;
}

static void fuzz_feed(const uint8_t *p, size_t n)
{
	while (n > 0 && !fuzz_dead()) {
		size_t cap;
		uint8_t *at = kp_conn_rx_buf(F.c, &cap);
		if (at == NULL)
			return;
		size_t part = KP_MIN(n, cap);
		memcpy(at, p, part);
		kp_conn_on_read(F.c, F.now, part);
		p += part;
		n -= part;
	}
}

/* Bounded: a connection that never settles would be a bug. */
static void fuzz_settle(void)
{
	kp_slice out;
	for (unsigned i = 0; !fuzz_dead(); i++) {
		KP_ASSERT(i < 100000);
		bool dirty = F.dirty;
		F.dirty = false;
		if (dirty)
			kp_conn_pump(F.c, F.now);
		if (F.tx_busy || fuzz_dead() || !kp_conn_tx(F.c, F.now, &out)) {
			if (!F.dirty)
				return;
			continue;
		}
		kp_conn_on_written(F.c, F.now);
	}
}

/* A Noise frame of these plaintext bytes, for the null table. */
static void fuzz_feed_frame(kp_slice plain)
{
	static uint8_t frame[2 + 65535];
	size_t n = KP_MIN(plain.n, (size_t)KP_NOISE_PLAIN_MAX) + KP_AEAD_TAG;
	memset(frame, 0, n + 2);
	frame[0] = (uint8_t)(n >> 8);
	frame[1] = (uint8_t)n;
	if (plain.n > 0)
		memcpy(frame + 2, plain.p, n - KP_AEAD_TAG);
	fuzz_feed(frame, n + 2);
}

/* What a well-behaved peer says up to `stage`: 1 security agreed, 2 transport keys. */
static void fuzz_handshake(unsigned stage, bool early, bool outbound)
{
	static const char hello[] = "\x13/multistream/1.0.0\n\x07/noise\n";
	uint8_t m[400];
	kp_writer w = kp_writer_of(m, sizeof(m));
	if (stage == 0)
		return;
	fuzz_settle();
	fuzz_feed((const uint8_t *)hello, sizeof(hello) - 1);
	fuzz_settle();
	if (stage == 1)
		return;
	uint8_t key[36] = {8, 1, 0x12, 0x20, 7, 7, 7}, sig[64] = {1}, e[32] = {9}, tag[16] = {0};
	uint8_t payload[200];
	kp_slice muxer = kp_slice_str(KP_YAMUX_NAME);
	kp_writer pw = kp_writer_of(payload, sizeof(payload));
	kp_writer *body = &pw;
	static const uint8_t key_tag[] = {0x0a, 36}, sig_tag[] = {0x12, 64};
	kp_write(body, key_tag, 2);
	kp_write(body, key, 36);
	kp_write(body, sig_tag, 2);
	kp_write(body, sig, 64);
	if (early) {
		static const uint8_t ext[] = {0x22, 14, 0x12, 12};
		kp_write(body, ext, 4);
		kp_write_slice(body, muxer);
	}
	if (!outbound) {
		uint8_t m1[34] = {0, 32, 9};
		fuzz_feed(m1, sizeof(m1));
		fuzz_settle();
	}
	size_t n = (outbound ? 32u : 0u) + 48 + pw.n + 16;
	kp_write_u8(&w, (uint8_t)(n >> 8));
	kp_write_u8(&w, (uint8_t)n);
	if (outbound)
		kp_write(&w, e, 32);
	kp_write(&w, e, 32);
	kp_write(&w, tag, 16);
	kp_write(&w, payload, pw.n);
	kp_write(&w, tag, 16);
	fuzz_feed(m, w.n);
	fuzz_settle();
	KP_ASSERT(kp_conn_get_state(F.c) >= KP_CONN_MUXING && !fuzz_dead());
}

/* A yamux frame with plausible fields, its body a negotiation or arbitrary. */
static void fuzz_feed_yamux(void)
{
	static const char yes[] = "\x13/multistream/1.0.0\n\x03/x\n";
	static const char no[] = "\x13/multistream/1.0.0\n\x03/q\n\x03/x\n";
	uint8_t frame[KP_YAMUX_HDR_SIZE + 300];
	uint8_t kind = fuzz_byte(), flags = fuzz_byte(), id = fuzz_byte();
	kp_slice body = kp_slice_str((kind & 64) != 0 ? no : yes);
	if ((kind & 4) != 0) {
		size_t n = fuzz_byte();
		body = kp_slice_take(&fuzz_in, KP_MIN(n, fuzz_in.n));
	}
	kp_yamux_hdr h = {kind & 3, flags & 15, id % 40, (uint32_t)body.n};
	if ((h.flags & KP_YAMUX_SYN) != 0 && (kind & 32) == 0)
		h.stream = (h.stream & ~1u) + 2 - !kp_conn_outbound(F.c); /* a SYN it may send */
	if (h.type != KP_YAMUX_DATA) {
		h.length = (uint32_t)(flags >> 4) << (kind >> 3);
		body.n = 0;
		h.stream = h.type == KP_YAMUX_WINDOW ? h.stream : 0;
	} else if ((kind & 8) != 0) {
		h.length += (uint32_t)(flags >> 4); /* the rest comes in the next frame, or never */
	}
	kp_yamux_hdr_write(&h, frame);
	if (body.n > 0)
		memcpy(frame + KP_YAMUX_HDR_SIZE, body.p, body.n);
	fuzz_feed_frame(kp_slice_of(frame, KP_YAMUX_HDR_SIZE + body.n));
}

/* A flow in use from place `at` on, if there is one. */
static fuzz_flow *fuzz_pick(unsigned at)
{
	for (unsigned i = 0; i < FUZZ_STREAMS; i++) {
		fuzz_flow *f = &F.flows[(at + i) % FUZZ_STREAMS];
		if (f->s != NULL)
			return f;
	}
	return &F.flows[0];
}

static void fuzz_stream_op(uint8_t op)
{
	fuzz_flow *f = fuzz_pick(fuzz_byte());
	if (op < 2) {
		fuzz_flow *free_flow = fuzz_flow_of(NULL);
		kp_stream *s;
		if (free_flow != NULL &&
		    kp_conn_open_stream(F.c, F.now, fuzz_protos, op == 0 ? 1 : 3, &fuzz_ops, NULL,
		                        &s) == KP_OK)
			free_flow->s = s;
		return;
	}
	if (f->s == NULL)
		return;
	switch (op) {
	case 2:
		kp_stream_reset(f->s);
		break;
	case 3:
		kp_stream_hold(f->s);
		break;
	case 4:
		kp_stream_resume(f->s);
		break;
	case 5:
		kp_stream_fin(f->s);
		break;
	case 6:
		f->to_send += fuzz_byte() * 700u;
		kp_stream_want_write(f->s);
		break;
	default:
		kp_stream_set_idle(f->s, (fuzz_byte() & 1) != 0);
		break;
	}
}

static void fuzz_step(void)
{
	static const kp_time waits[] = {KP_MS(1),  KP_MS(10),  KP_MS(500), KP_SEC(2),
	                                KP_SEC(5), KP_SEC(11), KP_SEC(31), KP_SEC(61)};
	uint8_t op = fuzz_byte();
	size_t n = fuzz_byte() * (op & 0x80 ? 64u : 1u);
	n = KP_MIN(n, fuzz_in.n);
	switch (op % 13) {
	case 10:
	case 11:
	case 12:
		fuzz_feed_yamux();
		break;
	case 0:
	case 1: {
		kp_slice raw = kp_slice_take(&fuzz_in, n);
		fuzz_feed(raw.p, raw.n);
		break;
	}
	case 2:
	case 3:
	case 4:
		fuzz_feed_frame(kp_slice_take(&fuzz_in, n));
		break;
	case 5:
		F.now += waits[n % 8];
		kp_timers_run(&F.timers, F.now);
		break;
	case 6:
		fuzz_stream_op((uint8_t)(n % 8));
		break;
	case 7:
		F.mood = fuzz_byte();
		break;
	case 8:
		if (n % 16 == 0)
			kp_conn_goodbye(F.c, F.now, KP_WHY_LOCAL_CLOSE, F.now + KP_SEC(2));
		else if (n % 16 == 1)
			kp_conn_on_read(F.c, F.now, 0);
		else if (n % 16 == 2)
			kp_conn_abort(F.c, F.now, KP_WHY_TRIMMED);
		else /* memory runs out once, soon */
			F.mem.fail_at = F.mem.calls + n % 7;
		break;
	default: {
		kp_mem *pool = kp_pool_mem(F.env.pool);
		pool->fail_at = pool->calls + 1 + n % 5;
		break;
	}
	}
	if (op % 3 != 0)
		fuzz_settle();
}

static void fuzz_env(void)
{
	memset(&F, 0, sizeof(F));
	static const uint8_t seed[32] = {1};
	kp_mem_init(&F.mem, 0);
	kp_timers_init(&F.timers, &F.mem);
	kp_rng_init(&F.rng, seed);
	kp_trace_init(&F.trace);
	F.crypto.ops = &null_crypto_ops;
	kp_identity_from_seed(&F.crypto, seed, &F.self);
	KP_ASSERT(kp_noise_local_init(&F.noise, &F.crypto, &F.self) == KP_OK);
	F.env.mem = &F.mem;
	F.env.pool = kp_pool_new(300000);
	F.env.timers = &F.timers;
	F.env.rng = &F.rng;
	F.env.stats = &F.stats;
	F.env.trace = &F.trace;
	F.env.crypto = &F.crypto;
	F.env.self = &F.self;
	F.env.noise = &F.noise;
	F.now = KP_SEC(1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_in = kp_slice_of(data, size);
	fuzz_env();
	uint8_t role = fuzz_byte();
	bool outbound = (role & 1) != 0;
	kp_conn_host host = {NULL, fuzz_secured, NULL, fuzz_find, fuzz_dirty};
	kp_conn_params params = kp_conn_params_default();
	params.negotiating_in_max = 3;
	params.streams_in_max = 20;
	params.streams_out_max = 8;
	kp_id id = {1, 1};
	F.c = kp_conn_new(&F.env, &params, &host, id, outbound, NULL, F.now);
	kp_conn_start(F.c, F.now);
	fuzz_handshake((role >> 1) % 3, (role & 8) != 0, outbound);
	while (fuzz_in.n > 0 && !fuzz_dead())
		fuzz_step();
	if (!fuzz_dead())
		kp_conn_abort(F.c, F.now, KP_WHY_SHUTDOWN);
	kp_conn_free(F.c);
	for (unsigned i = 0; i < FUZZ_STREAMS; i++)
		KP_ASSERT(F.flows[i].s == NULL || !F.flows[i].opened);
	KP_ASSERT(kp_pool_blocks_live(F.env.pool) == 0);
	kp_timers_fini(&F.timers);
	KP_ASSERT(F.mem.bytes == 0);
	kp_pool_close(F.env.pool);
	return 0;
}
