/* Noise XX: see noise.h. Each message works on the state and fails for good: a handshake that
 * returned an error is only wiped. */
#include "conn/noise.h"

#include "base/mem.h"
#include "wire/noise_payload.h"

#define NOISE_KEY        32u
#define NOISE_SEALED_KEY (NOISE_KEY + KP_AEAD_TAG)
#define NOISE_SIG_INPUT  (sizeof(KP_NOISE_SIG_PREFIX) - 1 + NOISE_KEY)

/* What the host key signs: the prefix and a static key. */
static kp_slice noise_signed_bytes(const uint8_t pub[NOISE_KEY], uint8_t buf[NOISE_SIG_INPUT])
{
	kp_writer w = kp_writer_of(buf, NOISE_SIG_INPUT);
	kp_write_str(&w, KP_NOISE_SIG_PREFIX);
	kp_write(&w, pub, NOISE_KEY);
	KP_ASSERT(!w.full && w.n == NOISE_SIG_INPUT);
	return kp_slice_of(buf, NOISE_SIG_INPUT);
}

kp_err kp_noise_local_init(struct kp_noise_local *l, kp_crypto *c, const kp_identity *id)
{
	memset(l, 0, sizeof(*l));
	kp_err err = c->ops->x25519_pair(c, l->secret, l->pub);
	if (err != KP_OK)
		return err;
	uint8_t buf[NOISE_SIG_INPUT], sig[64];
	err = kp_identity_sign(c, id, noise_signed_bytes(l->pub, buf), sig);
	if (err != KP_OK)
		return err;
	kp_slice muxer = kp_slice_str(KP_YAMUX_NAME);
	kp_writer w = kp_writer_of(l->payload, sizeof(l->payload));
	kp_noise_payload_write(&w, kp_slice_of(id->pubkey_pb, sizeof(id->pubkey_pb)),
	                       kp_slice_of(sig, sizeof(sig)), &muxer, 1);
	KP_ASSERT(!w.full);
	l->payload_n = (uint16_t)w.n;
	l->offers_yamux = true;
	return KP_OK;
}

void kp_noise_local_wipe(struct kp_noise_local *l)
{
	kp_mem_wipe(l, sizeof(*l));
}

void kp_noise_hs_init(kp_noise_hs *hs, kp_crypto *c, const kp_noise_local *local, bool initiator)
{
	memset(hs, 0, sizeof(*hs));
	kp_noise_sym_init(&hs->sym, c);
	hs->local = local;
	hs->initiator = initiator;
	hs->step = initiator ? KP_NOISE_WRITE_1 : KP_NOISE_READ_1;
}

void kp_noise_hs_wipe(kp_noise_hs *hs)
{
	kp_noise_sym_wipe(&hs->sym);
	kp_mem_wipe(hs, sizeof(*hs));
}

/* One DH token: the result is mixed into the key and forgotten. */
static kp_err noise_dh(kp_noise_hs *hs, const uint8_t secret[32], const uint8_t pub[32])
{
	uint8_t shared[32];
	kp_err err = hs->sym.c->ops->x25519(secret, pub, shared);
	if (err == KP_OK)
		kp_noise_sym_mix_key(&hs->sym, shared);
	kp_mem_wipe(shared, sizeof(shared));
	return err;
}

static kp_err noise_write_e(kp_noise_hs *hs, kp_writer *w)
{
	kp_err err = hs->sym.c->ops->x25519_pair(hs->sym.c, hs->e_secret, hs->e_pub);
	if (err != KP_OK)
		return err;
	kp_write(w, hs->e_pub, sizeof(hs->e_pub));
	kp_noise_sym_mix_hash(&hs->sym, kp_slice_of(hs->e_pub, sizeof(hs->e_pub)));
	return KP_OK;
}

static void noise_write_sealed(kp_noise_hs *hs, kp_writer *w, kp_slice plain)
{
	KP_ASSERT(w->cap - w->n >= plain.n + KP_AEAD_TAG);
	w->n += kp_noise_sym_seal(&hs->sym, plain, w->p + w->n);
}

static kp_slice noise_payload(const kp_noise_hs *hs)
{
	return kp_slice_of(hs->local->payload, hs->local->payload_n);
}

static kp_err noise_write_1(kp_noise_hs *hs, kp_writer *w)
{
	kp_err err = noise_write_e(hs, w); /* e */
	if (err == KP_OK)
		kp_noise_sym_mix_hash(&hs->sym, kp_slice_of("", 0)); /* empty payload, no key yet */
	return err;
}

static kp_err noise_write_2(kp_noise_hs *hs, kp_writer *w)
{
	kp_err err = noise_write_e(hs, w); /* e */
	if (err == KP_OK)
		err = noise_dh(hs, hs->e_secret, hs->re); /* ee */
	if (err != KP_OK)
		return err;
	noise_write_sealed(hs, w, kp_slice_of(hs->local->pub, NOISE_KEY)); /* s */
	err = noise_dh(hs, hs->local->secret, hs->re);                     /* es */
	if (err == KP_OK)
		noise_write_sealed(hs, w, noise_payload(hs));
	return err;
}

static kp_err noise_write_3(kp_noise_hs *hs, kp_writer *w)
{
	noise_write_sealed(hs, w, kp_slice_of(hs->local->pub, NOISE_KEY)); /* s */
	kp_err err = noise_dh(hs, hs->local->secret, hs->re);              /* se */
	if (err == KP_OK)
		noise_write_sealed(hs, w, noise_payload(hs));
	return err;
}

kp_err kp_noise_hs_write(kp_noise_hs *hs, kp_writer *w)
{
	KP_ASSERT(kp_noise_hs_wants_write(hs) && w->cap - w->n >= KP_NOISE_HS_OUT_MAX);
	size_t start = w->n;
	kp_write(w, "\0\0", KP_NOISE_LEN_SIZE);
	kp_err err;
	switch (hs->step) {
	case KP_NOISE_WRITE_1:
		err = noise_write_1(hs, w);
		hs->step = KP_NOISE_READ_2;
		break;
	case KP_NOISE_WRITE_2:
		err = noise_write_2(hs, w);
		hs->step = KP_NOISE_READ_3;
		break;
	default:
		err = noise_write_3(hs, w);
		hs->step = KP_NOISE_DONE;
		break;
	}
	size_t n = w->n - start - KP_NOISE_LEN_SIZE;
	w->p[start] = (uint8_t)(n >> 8);
	w->p[start + 1] = (uint8_t)n;
	return err;
}

static bool noise_lists_yamux(kp_noise_muxers muxers)
{
	kp_slice name;
	for (unsigned i = 0; i < 100 && kp_noise_next_muxer(&muxers, &name); i++) {
		if (kp_slice_eq_str(name, KP_YAMUX_NAME))
			return true;
	}
	return false;
}

/* The peer's host key vouches for its static key of this handshake. */
static kp_err noise_check_payload(kp_noise_hs *hs, kp_slice in)
{
	kp_crypto *c = hs->sym.c;
	kp_noise_payload p;
	kp_err err = kp_noise_payload_parse(in, &p);
	if (err != KP_OK)
		return err;
	kp_pubkey *key = NULL;
	kp_peer_id id;
	err = kp_pubkey_parse(c, p.identity_key, &key, &id);
	if (err != KP_OK)
		return err;
	uint8_t buf[NOISE_SIG_INPUT];
	err = c->ops->verify(key, noise_signed_bytes(hs->rs, buf), p.identity_sig);
	c->ops->pubkey_free(key);
	if (err != KP_OK)
		return err;
	hs->peer_offers_yamux = noise_lists_yamux(p.muxers);
	hs->peer = id;
	return KP_OK;
}

/* Takes 32 bytes of the peer's ephemeral key. */
static kp_err noise_read_e(kp_noise_hs *hs, kp_span *m)
{
	if (m->n < NOISE_KEY)
		return KP_E_PROTO;
	memcpy(hs->re, m->p, NOISE_KEY);
	kp_noise_sym_mix_hash(&hs->sym, kp_slice_of(hs->re, NOISE_KEY));
	m->p += NOISE_KEY;
	m->n -= NOISE_KEY;
	return KP_OK;
}

/* s, then the DH of `secret` with it, then the payload: the same in messages 2 and 3. */
static kp_err noise_read_s_payload(kp_noise_hs *hs, kp_span m, const uint8_t secret[32])
{
	kp_slice plain;
	if (m.n < NOISE_SEALED_KEY)
		return KP_E_PROTO;
	kp_err err = kp_noise_sym_open(&hs->sym, m.p, NOISE_SEALED_KEY, &plain);
	if (err != KP_OK)
		return err;
	memcpy(hs->rs, plain.p, NOISE_KEY);
	err = noise_dh(hs, secret, hs->rs); /* es or se */
	if (err == KP_OK)
		err = kp_noise_sym_open(&hs->sym, m.p + NOISE_SEALED_KEY, m.n - NOISE_SEALED_KEY,
		                        &plain);
	return err == KP_OK ? noise_check_payload(hs, plain) : err;
}

static kp_err noise_read_1(kp_noise_hs *hs, kp_span m)
{
	kp_err err = noise_read_e(hs, &m); /* e */
	if (err != KP_OK)
		return err;
	if (m.n != 0) /* rust refuses a payload here too */
		return KP_E_PROTO;
	kp_noise_sym_mix_hash(&hs->sym, kp_slice_of("", 0));
	return KP_OK;
}

static kp_err noise_read_2(kp_noise_hs *hs, kp_span m)
{
	kp_err err = noise_read_e(hs, &m); /* e */
	if (err == KP_OK)
		err = noise_dh(hs, hs->e_secret, hs->re); /* ee */
	return err == KP_OK ? noise_read_s_payload(hs, m, hs->e_secret) : err;
}

kp_err kp_noise_hs_read(kp_noise_hs *hs, kp_span message)
{
	kp_err err;
	switch (hs->step) {
	case KP_NOISE_READ_1:
		err = noise_read_1(hs, message);
		hs->step = KP_NOISE_WRITE_2;
		break;
	case KP_NOISE_READ_2:
		err = noise_read_2(hs, message);
		hs->step = KP_NOISE_WRITE_3;
		break;
	case KP_NOISE_READ_3:
		err = noise_read_s_payload(hs, message, hs->e_secret);
		hs->step = KP_NOISE_DONE;
		break;
	default:
		err = KP_E_PROTO; /* the peer spoke out of turn */
		break;
	}
	return err;
}

void kp_noise_init(kp_noise *n, kp_crypto *c)
{
	memset(n, 0, sizeof(*n));
	n->c = c;
}

kp_err kp_noise_start(kp_noise *n, kp_noise_hs *hs)
{
	KP_ASSERT(hs->step == KP_NOISE_DONE && n->tx == NULL && n->rx == NULL);
	uint8_t first[32], second[32];
	bool initiator = hs->initiator;
	kp_noise_sym_split(&hs->sym, first, second);
	n->tx = n->c->ops->aead_new(n->c, initiator ? first : second);
	n->rx = n->c->ops->aead_new(n->c, initiator ? second : first);
	kp_mem_wipe(first, sizeof(first));
	kp_mem_wipe(second, sizeof(second));
	if (n->tx != NULL && n->rx != NULL)
		return KP_OK;
	kp_noise_fini(n);
	return KP_E_NOMEM;
}

void kp_noise_fini(kp_noise *n)
{
	if (n->tx != NULL)
		n->c->ops->aead_free(n->tx);
	if (n->rx != NULL)
		n->c->ops->aead_free(n->rx);
	n->tx = n->rx = NULL;
}

kp_err kp_noise_frame(kp_span *in, size_t min, size_t max, kp_span *message)
{
	if (in->n < KP_NOISE_LEN_SIZE)
		return KP_E_AGAIN;
	size_t n = (size_t)in->p[0] << 8 | in->p[1];
	if (n < min || n > max)
		return KP_E_PROTO;
	if (in->n - KP_NOISE_LEN_SIZE < n)
		return KP_E_AGAIN;
	message->p = in->p + KP_NOISE_LEN_SIZE;
	message->n = n;
	in->p += KP_NOISE_LEN_SIZE + n;
	in->n -= KP_NOISE_LEN_SIZE + n;
	return KP_OK;
}

kp_err kp_noise_seal(kp_noise *n, const kp_slice *v, size_t n_v, size_t total, uint8_t *out)
{
	KP_ASSERT(n->tx != NULL && total > 0 && total <= KP_NOISE_PLAIN_MAX);
	if (n->tx_n == UINT64_MAX)
		return KP_E_INTERNAL;
	size_t sealed = total + KP_AEAD_TAG;
	out[0] = (uint8_t)(sealed >> 8);
	out[1] = (uint8_t)sealed;
	kp_err err = n->c->ops->aead_seal(n->tx, n->tx_n++, kp_slice_of("", 0), v, n_v,
	                                  out + KP_NOISE_LEN_SIZE);
	return err == KP_OK ? KP_OK : KP_E_INTERNAL;
}

kp_err kp_noise_open(kp_noise *n, kp_span message, kp_slice *plain)
{
	KP_ASSERT(n->rx != NULL);
	if (message.n < KP_AEAD_TAG || n->rx_n == UINT64_MAX)
		return KP_E_PROTO;
	kp_err err =
	        n->c->ops->aead_open(n->rx, n->rx_n++, kp_slice_of("", 0), message.p, message.n);
	if (err != KP_OK)
		return KP_E_PROTO;
	*plain = kp_slice_of(message.p, message.n - KP_AEAD_TAG);
	return KP_OK;
}
