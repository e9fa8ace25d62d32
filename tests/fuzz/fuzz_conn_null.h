/* A crypto table that hides nothing and believes everything, so that a fuzzer reaches what lies
 * behind Noise. Fuzzing only. */
#ifndef KP_FUZZ_CONN_NULL_H
#define KP_FUZZ_CONN_NULL_H

#include "crypto/crypto.h"

#include <stdlib.h>

struct kp_aead {
	int unused;
};

struct kp_pubkey {
	int unused;
};

static void null_mix(const void *p, size_t n, uint8_t out[32])
{
	uint64_t h = 1469598103934665603u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * 1099511628211u;
	for (unsigned i = 0; i < 32; i++)
		out[i] = (uint8_t)(h >> (i % 8 * 8));
}

static void null_sha256_parts(kp_crypto *c, const kp_slice *v, size_t n_v, uint8_t out[32])
{
	(void)c;
	uint8_t sum[32] = {0};
	for (size_t i = 0; i < n_v; i++) {
		uint8_t one[32];
		null_mix(v[i].p, v[i].n, one);
		for (unsigned k = 0; k < 32; k++)
			sum[k] = (uint8_t)(sum[k] + one[k]);
	}
	memcpy(out, sum, 32);
}

static void null_hmac(kp_crypto *c, const uint8_t *key, size_t key_n, const void *p, size_t n,
                      uint8_t out[32])
{
	(void)c;
	(void)key;
	(void)key_n;
	null_mix(p, n, out);
}

static kp_err null_pair(kp_crypto *c, uint8_t secret[32], uint8_t pub[32])
{
	(void)c;
	memset(secret, 1, 32);
	memset(pub, 2, 32);
	return KP_OK;
}

static void null_public(const uint8_t secret[32], uint8_t pub[32])
{
	memcpy(pub, secret, 32);
}

static kp_err null_x25519(const uint8_t secret[32], const uint8_t pub[32], uint8_t out[32])
{
	(void)secret;
	bool zero = true;
	for (unsigned i = 0; i < 32; i++)
		zero = zero && pub[i] == 0;
	memset(out, 3, 32);
	return zero ? KP_E_PROTO : KP_OK;
}

static kp_aead *null_aead_new(kp_crypto *c, const uint8_t key[32])
{
	(void)c;
	(void)key;
	return (kp_aead *)calloc(1, sizeof(kp_aead));
}

static void null_aead_free(kp_aead *a)
{
	free(a);
}

static kp_err null_seal(kp_aead *a, uint64_t counter, kp_slice ad, const kp_slice *v, size_t n_v,
                        uint8_t *out)
{
	(void)a;
	(void)counter;
	(void)ad;
	for (size_t i = 0; i < n_v; i++) {
		if (v[i].n > 0)
			memcpy(out, v[i].p, v[i].n);
		out += v[i].n;
	}
	memset(out, 0, KP_AEAD_TAG);
	return KP_OK;
}

/* A tag of all ones is the one forgery. */
static kp_err null_open(kp_aead *a, uint64_t counter, kp_slice ad, uint8_t *p, size_t n)
{
	(void)a;
	(void)counter;
	(void)ad;
	return n < KP_AEAD_TAG || p[n - 1] == 0xff ? KP_E_PROTO : KP_OK;
}

static void null_seal_once(kp_crypto *c, const uint8_t key[32], uint64_t counter, kp_slice ad,
                           kp_slice plain, uint8_t *out)
{
	(void)c;
	(void)key;
	(void)null_seal(NULL, counter, ad, &plain, 1, out);
}

static kp_err null_open_once(kp_crypto *c, const uint8_t key[32], uint64_t counter, kp_slice ad,
                             uint8_t *p, size_t n)
{
	(void)c;
	(void)key;
	return null_open(NULL, counter, ad, p, n);
}

static kp_err null_pubkey_new(kp_crypto *c, kp_key_type type, kp_slice data, kp_pubkey **out)
{
	(void)c;
	(void)type;
	(void)data;
	*out = (kp_pubkey *)calloc(1, sizeof(kp_pubkey));
	return *out != NULL ? KP_OK : KP_E_NOMEM;
}

static void null_pubkey_free(kp_pubkey *k)
{
	free(k);
}

static kp_err null_verify(const kp_pubkey *k, kp_slice message, kp_slice signature)
{
	(void)k;
	(void)message;
	return signature.p[0] == 0xff ? KP_E_PROTO : KP_OK;
}

static kp_err null_sign(const uint8_t seed[32], const uint8_t pub[32], kp_slice message,
                        uint8_t sig[64])
{
	(void)seed;
	(void)pub;
	(void)message;
	memset(sig, 4, 64);
	return KP_OK;
}

static void null_random(kp_crypto *c, void *out, size_t n)
{
	(void)c;
	memset(out, 5, n);
}

static void null_reseed(kp_crypto *c, const uint8_t seed[32])
{
	(void)c;
	(void)seed;
}

static void null_free(kp_crypto *c)
{
	(void)c;
}

static const kp_crypto_ops null_crypto_ops = {
        .sha256 = null_mix,
        .sha256_parts = null_sha256_parts,
        .hmac_sha256 = null_hmac,
        .x25519_pair = null_pair,
        .x25519_public = null_public,
        .x25519 = null_x25519,
        .aead_new = null_aead_new,
        .aead_free = null_aead_free,
        .aead_seal = null_seal,
        .aead_open = null_open,
        .aead_seal_once = null_seal_once,
        .aead_open_once = null_open_once,
        .pubkey_new = null_pubkey_new,
        .pubkey_free = null_pubkey_free,
        .verify = null_verify,
        .ed25519_public = null_public,
        .ed25519_sign = null_sign,
        .random = null_random,
        .reseed = null_reseed,
        .free = null_free,
        .name = "null",
};

#endif
