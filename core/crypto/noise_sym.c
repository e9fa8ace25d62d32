/* CipherState and SymmetricState, line by line from the Noise Protocol Framework, section 5. */
#include "crypto/noise_sym.h"

#include "base/mem.h"

static kp_slice noise_sym_h(const kp_noise_sym *s)
{
	return kp_slice_of(s->h, sizeof s->h);
}

void kp_noise_sym_init(kp_noise_sym *s, kp_crypto *c)
{
	static const char name[] = "Noise_XX_25519_ChaChaPoly_SHA256";
	_Static_assert(sizeof name - 1 == sizeof s->h, "the name is its own hash");
	memset(s, 0, sizeof *s);
	s->c = c;
	memcpy(s->h, name, sizeof s->h);
	memcpy(s->ck, name, sizeof s->ck);
	kp_noise_sym_mix_hash(s, kp_slice_none()); /* the prologue */
}

void kp_noise_sym_mix_hash(kp_noise_sym *s, kp_slice data)
{
	const kp_slice v[] = {noise_sym_h(s), data};
	s->c->ops->sha256_parts(s->c, v, KP_COUNT_OF(v), s->h);
}

/* HKDF with two outputs: t = HMAC(ck, ikm); a = HMAC(t, 01); b = HMAC(t, a ‖ 02). */
static void noise_sym_hkdf(const kp_noise_sym *s, kp_slice ikm, uint8_t a[32], uint8_t b[32])
{
	uint8_t t[32], block[33];
	block[0] = 0x01;
	s->c->ops->hmac_sha256(s->c, s->ck, sizeof s->ck, ikm.p, ikm.n, t);
	s->c->ops->hmac_sha256(s->c, t, sizeof t, block, 1, a);
	memcpy(block, a, 32);
	block[32] = 0x02;
	s->c->ops->hmac_sha256(s->c, t, sizeof t, block, sizeof block, b);
	kp_mem_wipe(t, sizeof t);
	kp_mem_wipe(block, sizeof block);
}

void kp_noise_sym_mix_key(kp_noise_sym *s, const uint8_t ikm[32])
{
	uint8_t ck[32];
	noise_sym_hkdf(s, kp_slice_of(ikm, 32), ck, s->k);
	memcpy(s->ck, ck, sizeof s->ck);
	kp_mem_wipe(ck, sizeof ck);
	s->n = 0;
	s->has_key = true;
}

size_t kp_noise_sym_seal(kp_noise_sym *s, kp_slice plain, uint8_t *out)
{
	size_t n = plain.n;
	if (s->has_key) {
		s->c->ops->aead_seal_once(s->c, s->k, s->n++, noise_sym_h(s), plain, out);
		n += KP_AEAD_TAG;
	} else if (n > 0) {
		memcpy(out, plain.p, n);
	}
	kp_noise_sym_mix_hash(s, kp_slice_of(out, n));
	return n;
}

kp_err kp_noise_sym_open(kp_noise_sym *s, uint8_t *p, size_t n, kp_slice *plain)
{
	if (!s->has_key) {
		kp_noise_sym_mix_hash(s, kp_slice_of(p, n));
		*plain = kp_slice_of(p, n);
		return KP_OK;
	}
	if (n < KP_AEAD_TAG)
		return KP_E_PROTO;
	/* The hash covers the ciphertext, which opening overwrites, and is the associated data as
	 * it was before. */
	const kp_slice v[] = {noise_sym_h(s), kp_slice_of(p, n)};
	uint8_t next[32];
	s->c->ops->sha256_parts(s->c, v, KP_COUNT_OF(v), next);
	kp_err r = s->c->ops->aead_open_once(s->c, s->k, s->n, noise_sym_h(s), p, n);
	if (r != KP_OK)
		return r;
	memcpy(s->h, next, sizeof s->h);
	s->n++;
	*plain = kp_slice_of(p, n - KP_AEAD_TAG);
	return KP_OK;
}

void kp_noise_sym_split(kp_noise_sym *s, uint8_t first[32], uint8_t second[32])
{
	noise_sym_hkdf(s, kp_slice_none(), first, second);
	kp_noise_sym_wipe(s);
}

void kp_noise_sym_wipe(kp_noise_sym *s)
{
	kp_mem_wipe(s, sizeof *s);
}
