/* A crypto table without mathematics, for many nodes and many runs: signatures are keyed hashes
 * that anyone could make, and are checked as strictly as real ones. Included by fake_host.cc alone.
 */
#ifndef KP_TEST_GOSSIPSUB_FAKE_CRYPTO_H
#define KP_TEST_GOSSIPSUB_FAKE_CRYPTO_H

#include <cstring>

#include "base/siphash.h"
#include "crypto/crypto.h"

struct kp_pubkey {
	uint8_t pub[32];
};

static void stand_hash(const void *p, size_t n, uint8_t *out, size_t out_n, uint8_t what)
{
	for (size_t i = 0; i < out_n; i += 8) {
		uint8_t key[16] = {what, (uint8_t)i};
		uint64_t h = kp_siphash13(key, p, n);
		memcpy(out + i, &h, 8);
	}
}

static void stand_sha256(const void *p, size_t n, uint8_t out[32])
{
	stand_hash(p, n, out, 32, 1);
}

static kp_err stand_pubkey_new(kp_crypto *, kp_key_type type, kp_slice data, kp_pubkey **out)
{
	if (type != KP_KEY_ED25519 || data.n != 32)
		return KP_E_PROTO;
	*out = new kp_pubkey;
	memcpy((*out)->pub, data.p, 32);
	return KP_OK;
}

static void stand_pubkey_free(kp_pubkey *k)
{
	delete k;
}

static void stand_sig(const uint8_t pub[32], kp_slice message, uint8_t sig[64])
{
	uint8_t first[40];
	stand_hash(message.p, message.n, first, 8, 2);
	memcpy(first + 8, pub, 32);
	stand_hash(first, sizeof first, sig, 64, 3);
}

static kp_err stand_verify(const kp_pubkey *k, kp_slice message, kp_slice signature)
{
	uint8_t sig[64];
	stand_sig(k->pub, message, sig);
	return signature.n == 64 && memcmp(sig, signature.p, 64) == 0 ? KP_OK : KP_E_PROTO;
}

static void stand_public(const uint8_t seed[32], uint8_t pub[32])
{
	stand_hash(seed, 32, pub, 32, 4);
}

static kp_err stand_sign(const uint8_t *, const uint8_t pub[32], kp_slice message, uint8_t sig[64])
{
	stand_sig(pub, message, sig);
	return KP_OK;
}

static void stand_random(kp_crypto *, void *out, size_t n)
{
	memset(out, 7, n);
}

static void stand_free(kp_crypto *c)
{
	delete c;
}

static kp_crypto *fake_crypto_new()
{
	static kp_crypto_ops ops;
	ops.sha256 = stand_sha256;
	ops.pubkey_new = stand_pubkey_new;
	ops.pubkey_free = stand_pubkey_free;
	ops.verify = stand_verify;
	ops.ed25519_public = stand_public;
	ops.ed25519_sign = stand_sign;
	ops.random = stand_random;
	ops.free = stand_free;
	ops.name = "stand-in";
	auto *c = new kp_crypto;
	c->ops = &ops;
	return c;
}

#endif
