/* A connection against a peer that speaks Noise with real keys, but says what the input wants: each
 * message of the handshake is built from fields (ephemeral and static key, payload), rightly
 * encrypted or not, then cut, lengthened, damaged, or given a wrong length; behind it come frames
 * of the transport phase, sealed, damaged, replayed or empty. The peer is believed exactly when it
 * has proved its key, and what the connection sends can always be opened. */
#include "conn/conn.h"
#include "conn/noise.h"
#include "wire/noise_payload.h"
#include "wire/pb.h"
#include "wire/yamux_hdr.h"
#include "fuzz_input.h"

#define PEER_HELLO "\x13/multistream/1.0.0\n\x07/noise\n"
#define PEER_OUT   140000u /* of the connection, not yet read by the peer */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether the connection has to believe the peer. */
typedef enum peer_truth { PEER_HONEST, PEER_UNSURE, PEER_FALSE } peer_truth;

/* The same in every run. */
static struct {
	kp_crypto *crypto;
	kp_identity self, id[2];        /* the connection's; the peer's, and a stranger's */
	kp_noise_local noise, of_id[2]; /* with static keys */
	uint8_t sig[2][64];             /* of both static keys by id[0] and id[1] */
} K;

static struct {
	kp_mem mem;
	kp_timers timers;
	kp_rng rng;
	kp_stats stats;
	kp_trace trace;
	kp_env env;
	kp_conn *c;
	kp_time now;
	bool dirty;
	uint8_t out[PEER_OUT];
	size_t out_n;
	/* the peer */
	kp_noise_sym sym;
	uint8_t e_secret[32], e_pub[32], re[32], rs[32];
	kp_noise keys;
	peer_truth truth;
	unsigned who; /* of K.id it says that it is */
	uint8_t last[2 + 65535 + 64];
	size_t last_n;
	bool astray; /* the connection takes something else for the start of a frame */
} G;

static void peer_doubt(peer_truth t)
{
	G.truth = KP_MAX(G.truth, t);
}

/* --- the connection's owner --- */

static kp_err peer_open(void *svc, kp_stream *s, kp_time now)
{
	(void)svc, (void)now;
	kp_stream_fin(s);
	return KP_OK;
}

static kp_err peer_data(void *svc, kp_stream *s, kp_time now, kp_slice in)
{
	(void)svc, (void)s, (void)now;
	KP_ASSERT(in.n > 0);
	return KP_OK;
}

static void peer_close(void *svc, kp_stream *s, kp_time now, kp_err why)
{
	(void)svc, (void)s, (void)now, (void)why;
}

static const kp_proto_ops peer_ops = {.name = "fuzz",
                                      .in_max = 8,
                                      .on_open = peer_open,
                                      .on_data = peer_data,
                                      .on_close = peer_close};

static kp_why peer_secured(void *ctx, kp_conn *c, kp_time now)
{
	(void)ctx, (void)now;
	KP_ASSERT(G.truth != PEER_FALSE && kp_peer_id_eq(kp_conn_peer(c), &K.id[G.who].id));
	return KP_WHY_NONE;
}

static bool peer_find(void *ctx, kp_conn *c, kp_slice name, kp_proto_binding *out)
{
	static const kp_proto proto = {"/x", 1};
	(void)ctx, (void)c;
	memset(out, 0, sizeof *out);
	out->ops = &peer_ops;
	out->proto = proto;
	return kp_slice_eq_str(name, "/x");
}

static void peer_dirty(void *ctx, kp_conn *c)
{
	(void)ctx, (void)c;
	G.dirty = true;
}

static bool peer_dead(void)
{
	return kp_conn_get_state(G.c) == KP_CONN_DEAD;
}

static void peer_settle(void)
{
	kp_slice out;
	for (unsigned i = 0; !peer_dead(); i++) {
		KP_ASSERT(i < 100000);
		if (G.dirty) {
			G.dirty = false;
			kp_conn_pump(G.c, G.now);
			continue;
		}
		if (!kp_conn_tx(G.c, G.now, &out))
			return;
		KP_ASSERT(out.n > 0 && out.n <= PEER_OUT - G.out_n);
		memcpy(G.out + G.out_n, out.p, out.n);
		G.out_n += out.n;
		kp_conn_on_written(G.c, G.now);
	}
}

static void peer_feed(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	while (n > 0 && !peer_dead()) {
		size_t cap;
		uint8_t *at = kp_conn_rx_buf(G.c, &cap);
		KP_ASSERT(at != NULL);
		size_t part = KP_MIN(n, cap);
		memcpy(at, p, part);
		kp_conn_on_read(G.c, G.now, part);
		p += part;
		n -= part;
	}
	peer_settle();
}

static void peer_read(size_t n)
{
	memmove(G.out, G.out + n, G.out_n - n);
	G.out_n -= n;
}

/* --- fields of a message --- */

static void peer_dh(const uint8_t secret[32], const uint8_t pub[32])
{
	uint8_t shared[32] = {0}; /* stays 0 when the result is refused: so would be the peer */
	if (K.crypto->ops->x25519(secret, pub, shared) != KP_OK)
		memset(shared, 0, sizeof shared);
	kp_noise_sym_mix_key(&G.sym, shared);
}

/* A point of small order, with which every shared secret is zero. */
static void peer_small_point(uint8_t pub[32])
{
	memset(pub, 0, 32);
	pub[0] = fuzz_byte() & 1;
}

static void peer_put_e(kp_writer *w, uint8_t how)
{
	memset(G.e_secret, 0x41 + how / 32, sizeof G.e_secret);
	K.crypto->ops->x25519_public(G.e_secret, G.e_pub);
	if (how % 8 == 7)
		peer_small_point(G.e_pub);
	if (how % 8 == 6) /* whose secret nobody knows */
		memset(G.e_pub, 0x5c, sizeof G.e_pub);
	if (how % 8 >= 6)
		peer_doubt(PEER_FALSE);
	kp_write(w, G.e_pub, 32);
	kp_noise_sym_mix_hash(&G.sym, kp_slice_of(G.e_pub, 32));
}

static void peer_put_sealed(kp_writer *w, kp_slice plain)
{
	KP_ASSERT(w->cap - w->n >= plain.n + KP_AEAD_TAG);
	w->n += kp_noise_sym_seal(&G.sym, plain, w->p + w->n);
}

/* Returns the secret of the static key that was sent. */
static const uint8_t *peer_put_s(kp_writer *w, uint8_t how)
{
	uint8_t pub[32];
	const kp_noise_local *l = &K.of_id[how % 8 == 7];
	memcpy(pub, l->pub, 32);
	if (how % 8 == 6)
		peer_small_point(pub);
	if (how % 8 >= 6)
		peer_doubt(PEER_FALSE); /* the payload vouches for another key */
	peer_put_sealed(w, kp_slice_of(pub, 32));
	return l->secret;
}

static void peer_put_muxers(kp_writer *w, uint8_t how)
{
	static const char *const names[] = {"/yamux/1.0.0", "/mplex/6.7.0", "", "/yamux"};
	uint8_t buf[200];
	kp_writer ext = kp_writer_of(buf, sizeof buf);
	for (unsigned i = 0; i < how % 4u; i++)
		kp_pb_write_bytes(&ext, how & 128 ? 1 + i : 2,
		                  kp_slice_str(names[(how / 4 + i) % KP_COUNT_OF(names)]));
	kp_pb_write_bytes(w, 4, kp_slice_of(buf, ext.n));
}

/* A payload, field by field; the last key and the last signature count. */
static void peer_payload(kp_writer *w)
{
	unsigned key = 2, sig = 2; /* whose; 2 = none */
	uint8_t fields = fuzz_byte();
	if (fields < 128) { /* as it should be */
		kp_pb_write_bytes(w, 1, kp_slice_of(K.id[0].pubkey_pb, 36));
		kp_pb_write_bytes(w, 2, kp_slice_of(K.sig[0], 64));
		if (fields > 0)
			peer_put_muxers(w, fields);
		return;
	}
	for (unsigned i = 0; i < fields % 16u; i++) {
		uint8_t how = fuzz_byte();
		switch (how % 8) {
		case 0:
		case 1:
			key = how % 8 ? 0 : how / 8 % 2;
			kp_pb_write_bytes(w, 1, kp_slice_of(K.id[key].pubkey_pb, 36));
			break;
		case 2:
		case 3:
			sig = how % 8 == 3 ? 0 : how / 8 % 2;
			kp_pb_write_bytes(w, 2, kp_slice_of(K.sig[sig], 64));
			break;
		case 4:
			peer_put_muxers(w, how / 8);
			break;
		case 5: /* early data, retired, and what nobody knows */
			kp_pb_write_bytes(w, how & 8 ? 3 : 5 + how / 8u, fuzz_bytes());
			break;
		case 6:
			kp_pb_write_varint(w, 5 + how / 8u, how);
			break;
		default: /* any bytes, any number of them */
			kp_write_slice(w, fuzz_bytes());
			for (unsigned k = how & 128 ? fuzz_byte() * 40u : 0; k > 0; k--)
				kp_write_u8(w, (uint8_t)(how & 64 ? k : 0));
			peer_doubt(PEER_UNSURE);
			break;
		}
	}
	G.who = key % 2;
	if ((key != sig || key == 2) && G.truth == PEER_HONEST)
		peer_doubt(PEER_FALSE);
}

/* --- messages --- */

/* Sends what is at w->p + 2, perhaps not as it is. */
static void peer_send(kp_writer *w, uint8_t how)
{
	size_t n = w->n - 2, told = n;
	uint8_t at = how < 32 ? 0 : fuzz_byte();
	peer_truth worst = how < 32 ? PEER_HONEST : PEER_FALSE;
	KP_ASSERT(!w->full);
	switch (how / 32) {
	case 0:
		break;
	case 1: /* a bit is wrong */
		if (n > 0)
			w->p[2 + (size_t)at * n / 256] ^= (uint8_t)(1u << how % 8);
		break;
	case 2: /* the end is missing */
		n -= KP_MIN(n, (size_t)at + 1);
		told = n;
		break;
	case 3: /* something follows inside it */
		kp_write_slice(w, fuzz_bytes());
		worst = w->n - 2 == n ? PEER_HONEST : PEER_FALSE;
		n = told = w->n - 2;
		break;
	case 4: /* its length is wrong */
		told = at < 4 ? at : n + at - 130u;
		worst = told == n ? PEER_HONEST : PEER_FALSE;
		break;
	case 5: /* nothing, and then it */
		peer_feed("\0\0", 2);
		break;
	case 6: /* twice: the second is out of turn, or garbage in what follows */
		worst = PEER_UNSURE;
		break;
	default: /* in two parts, which makes no difference */
		worst = PEER_HONEST;
	}
	peer_doubt(worst);
	w->p[0] = (uint8_t)(told >> 8);
	w->p[1] = (uint8_t)told;
	size_t cut = how / 32 == 7 ? (size_t)at * (n + 2) / 256 : 0;
	peer_feed(w->p, cut);
	peer_feed(w->p + cut, n + 2 - cut);
	if (how / 32 == 6)
		peer_feed(w->p, n + 2);
}

/* The next Noise message of the connection; false = it did not send one. */
static bool peer_take(kp_span *m)
{
	kp_span in = {G.out, G.out_n};
	return kp_noise_frame(&in, 0, KP_NOISE_MESSAGE_MAX, m) == KP_OK;
}

static kp_writer peer_message(void)
{
	static uint8_t buf[40000];
	kp_writer w = kp_writer_of(buf, sizeof buf);
	kp_write(&w, "\0\0", 2);
	return w;
}

static void peer_read_s_payload(kp_span m, const uint8_t secret[32])
{
	kp_slice plain;
	kp_noise_payload p;
	kp_err err = kp_noise_sym_open(&G.sym, m.p, 48, &plain);
	KP_ASSERT(err == KP_OK);
	memcpy(G.rs, plain.p, 32);
	peer_dh(secret, G.rs);
	err = kp_noise_sym_open(&G.sym, m.p + 48, m.n - 48, &plain);
	KP_ASSERT(err == KP_OK && kp_noise_payload_parse(plain, &p) == KP_OK);
	KP_ASSERT(kp_slice_eq(p.identity_key, kp_slice_of(K.self.pubkey_pb, 36)));
}

static void peer_read_e(kp_span *m)
{
	KP_ASSERT(m->n >= 32);
	memcpy(G.re, m->p, 32);
	kp_noise_sym_mix_hash(&G.sym, kp_slice_of(G.re, 32));
	m->p += 32;
	m->n -= 32;
}

/* The static key and the payload of the peer's message 2 or 3. */
static void peer_prove(kp_writer *w, uint8_t how)
{
	static uint8_t payload[20000];
	kp_writer p = kp_writer_of(payload, sizeof payload);
	const uint8_t *secret = peer_put_s(w, how);
	peer_dh(secret, G.re);
	peer_payload(&p);
	if (w->n - 2 + p.n + KP_AEAD_TAG > KP_NOISE_HS_MAX)
		peer_doubt(PEER_FALSE);
	peer_put_sealed(w, kp_slice_of(payload, p.n));
	peer_send(w, fuzz_byte());
}

/* The peer dials: e →, ← e ee s es, s se → */
static bool peer_initiate(void)
{
	kp_span m;
	kp_writer w = peer_message();
	peer_put_e(&w, fuzz_byte());
	kp_noise_sym_mix_hash(&G.sym, kp_slice_of("", 0));
	peer_send(&w, fuzz_byte());
	if (G.truth != PEER_HONEST || !peer_take(&m))
		return false;
	size_t n = m.n + 2;
	peer_read_e(&m);
	peer_dh(G.e_secret, G.re);
	peer_read_s_payload(m, G.e_secret);
	peer_read(n);
	w = peer_message();
	peer_prove(&w, fuzz_byte());
	return true;
}

/* The peer was dialled. */
static bool peer_respond(void)
{
	kp_span m;
	kp_writer w = peer_message();
	if (!peer_take(&m))
		return false;
	size_t n = m.n + 2;
	peer_read_e(&m);
	KP_ASSERT(m.n == 0);
	kp_noise_sym_mix_hash(&G.sym, kp_slice_of("", 0));
	peer_read(n);
	peer_put_e(&w, fuzz_byte());
	peer_dh(G.e_secret, G.re);
	peer_prove(&w, fuzz_byte());
	if (!peer_take(&m))
		return false;
	n = m.n + 2;
	if (G.truth == PEER_HONEST) {
		peer_read_s_payload(m, G.e_secret);
		peer_read(n);
	}
	return true;
}

/* --- the transport phase --- */

static void peer_keys(bool initiator)
{
	uint8_t first[32], second[32];
	kp_noise_sym_split(&G.sym, first, second);
	G.keys.tx = K.crypto->ops->aead_new(K.crypto, initiator ? first : second);
	G.keys.rx = K.crypto->ops->aead_new(K.crypto, initiator ? second : first);
	KP_ASSERT(G.keys.tx != NULL && G.keys.rx != NULL);
}

/* All that the connection says can be opened. */
static void peer_read_all(void)
{
	kp_span m;
	kp_slice plain;
	while (peer_take(&m)) {
		size_t n = m.n + 2;
		kp_err err = kp_noise_open(&G.keys, m, &plain);
		KP_ASSERT(err == KP_OK && plain.n > 0);
		peer_read(n);
	}
	KP_ASSERT(G.out_n == 0);
}

static void peer_frame(kp_slice plain, uint8_t how)
{
	size_t sealed = plain.n + KP_AEAD_TAG;
	G.last[0] = (uint8_t)(sealed >> 8);
	G.last[1] = (uint8_t)sealed;
	kp_err err = K.crypto->ops->aead_seal(G.keys.tx, G.keys.tx_n++, kp_slice_of("", 0), &plain,
	                                      1, G.last + 2);
	KP_ASSERT(err == KP_OK);
	G.last_n = sealed + 2;
	if (how == 1)
		G.last[2 + fuzz_byte() * sealed / 256] ^= 1;
	if (how == 2)
		G.last[1] ^= 1;
	bool refused = how == 1 && !G.astray;
	G.astray |= how == 2;
	peer_feed(G.last, G.last_n);
	KP_ASSERT(!refused || peer_dead());
}

static void peer_yamux(uint8_t how)
{
	uint8_t frame[KP_YAMUX_HDR_SIZE + 256];
	kp_slice body = how & 4 ? fuzz_bytes() : kp_slice_str("\x13/multistream/1.0.0\n\x03/x\n");
	kp_yamux_hdr h = {how & 3, fuzz_byte() & 15, fuzz_byte(), (uint32_t)body.n};
	if (h.type != KP_YAMUX_DATA) {
		h.length = how & 8 ? UINT32_MAX - fuzz_byte() : fuzz_byte();
		body.n = 0;
	}
	kp_yamux_hdr_write(&h, frame);
	if (body.n > 0)
		memcpy(frame + KP_YAMUX_HDR_SIZE, body.p, body.n);
	peer_frame(kp_slice_of(frame, KP_YAMUX_HDR_SIZE + body.n), 0);
}

static void peer_talk(void)
{
	static const char muxer[] = "\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n";
	uint8_t op = fuzz_byte();
	kp_slice raw;
	switch (op % 10) {
	case 0:
		peer_frame(kp_slice_str(muxer), 0);
		break;
	case 1:
		peer_frame(fuzz_bytes(), op / 10 % 3u);
		break;
	case 2: /* once more: its number has passed */
		if (G.last_n > 0) {
			peer_feed(G.last, G.last_n);
			KP_ASSERT(G.astray || peer_dead());
		}
		break;
	case 3:
		raw = fuzz_bytes();
		G.astray |= raw.n > 0;
		peer_feed(raw.p, raw.n);
		break;
	case 4:
		G.now += KP_MS(1) << op / 10 % 16;
		kp_timers_run(&G.timers, G.now);
		peer_settle();
		break;
	case 5:
		kp_conn_on_read(G.c, G.now, 0);
		peer_settle();
		fuzz_in.n = 0; /* nothing can follow */
		break;
	case 6:
		kp_conn_goodbye(G.c, G.now, KP_WHY_LOCAL_CLOSE, G.now + KP_SEC(2));
		peer_settle();
		break;
	default:
		peer_yamux(fuzz_byte());
	}
}

/* --- a run --- */

static void peer_once(void)
{
	static const uint8_t seed[32] = {9};
	kp_err err = KP_OK;
	if (K.crypto != NULL)
		return;
	K.crypto = kp_crypto_new_ossl(seed);
	KP_ASSERT(K.crypto != NULL);
	kp_identity_generate(K.crypto, &K.self);
	err = kp_noise_local_init(&K.noise, K.crypto, &K.self);
	for (unsigned i = 0; i < 2 && err == KP_OK; i++) {
		uint8_t text[sizeof(KP_NOISE_SIG_PREFIX) - 1 + 32];
		kp_identity_generate(K.crypto, &K.id[i]);
		err = kp_noise_local_init(&K.of_id[i], K.crypto, &K.id[i]);
		memcpy(text, KP_NOISE_SIG_PREFIX, sizeof(KP_NOISE_SIG_PREFIX) - 1);
		memcpy(text + sizeof(KP_NOISE_SIG_PREFIX) - 1, K.of_id[0].pub, 32);
		KP_ASSERT(err == KP_OK);
		err = kp_identity_sign(K.crypto, &K.id[i], kp_slice_of(text, sizeof text),
		                       K.sig[i]);
	}
	KP_ASSERT(err == KP_OK);
}

static void peer_start(uint8_t role)
{
	static const uint8_t seed[32] = {1};
	kp_noise_init(&G.keys, K.crypto);
	kp_noise_sym_init(&G.sym, K.crypto);
	kp_mem_init(&G.mem, 0);
	kp_timers_init(&G.timers, &G.mem);
	kp_rng_init(&G.rng, seed);
	kp_trace_init(&G.trace);
	kp_pool *pool = kp_pool_new(0);
	kp_env env = {.mem = &G.mem,
	              .pool = pool,
	              .timers = &G.timers,
	              .rng = &G.rng,
	              .stats = &G.stats,
	              .trace = &G.trace,
	              .crypto = K.crypto,
	              .self = &K.self,
	              .noise = &K.noise};
	G.env = env;
	G.now = KP_SEC(1);
	kp_conn_host host = {NULL, peer_secured, NULL, peer_find, peer_dirty};
	kp_conn_params params = kp_conn_params_default();
	kp_id id = {1, 1};
	const kp_peer_id *expect = (role & 6) == 2   ? &K.id[0].id
	                           : (role & 6) == 4 ? &K.id[1].id
	                                             : NULL;
	G.c = kp_conn_new(&G.env, &params, &host, id, (role & 1) != 0, role & 1 ? expect : NULL,
	                  G.now);
	KP_ASSERT(G.c != NULL);
	kp_conn_start(G.c, G.now);
	peer_settle();
}

static void peer_end(void)
{
	kp_pool *pool = G.env.pool;
	if (!peer_dead())
		kp_conn_abort(G.c, G.now, KP_WHY_SHUTDOWN);
	kp_conn_free(G.c);
	KP_ASSERT(kp_pool_blocks_live(pool) == 0);
	kp_timers_fini(&G.timers);
	KP_ASSERT(G.mem.bytes == 0);
	kp_pool_close(pool);
	kp_noise_fini(&G.keys);
	kp_noise_sym_wipe(&G.sym);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(&G, 0, sizeof G);
	fuzz_in = kp_slice_of(data, size);
	uint8_t role = fuzz_byte();
	bool outbound = (role & 1) != 0;
	peer_once();
	peer_start(role);
	peer_feed(PEER_HELLO, sizeof(PEER_HELLO) - 1);
	KP_ASSERT(!peer_dead() && G.out_n >= sizeof(PEER_HELLO) - 1);
	KP_ASSERT(memcmp(G.out, PEER_HELLO, sizeof(PEER_HELLO) - 1) == 0);
	peer_read(sizeof(PEER_HELLO) - 1);
	bool done = outbound ? peer_respond() : peer_initiate();
	bool believed = kp_conn_get_state(G.c) >= KP_CONN_MUXING && !peer_dead();
	bool stranger = outbound && (role & 6) == (G.who == 0 ? 4 : 2); /* another was expected */
	if (G.truth == PEER_HONEST) {
		KP_ASSERT(believed ? done && !stranger : stranger);
		KP_ASSERT(believed || kp_conn_get_why(G.c) == KP_WHY_WRONG_PEER_ID);
	} else if (G.truth == PEER_FALSE) {
		KP_ASSERT(!believed);
		KP_ASSERT(!peer_dead() || kp_conn_get_why(G.c) == KP_WHY_BAD_NOISE);
	}
	if (believed && G.truth == PEER_HONEST) {
		peer_keys(!outbound);
		peer_read_all();
		while (fuzz_in.n > 0 && !peer_dead()) {
			peer_talk();
			peer_read_all();
		}
	}
	peer_end();
	return 0;
}
