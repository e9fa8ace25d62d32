/* Ed25519 by libsodium, whose curve arithmetic is 1.67 times as fast as OpenSSL's
 * 3.0. The verdicts are OpenSSL's in every case, because stock peers judge that way: libsodium
 * refuses small-order and non-canonical points that go and rust accept, and newer versions multiply
 * by the cofactor, which go and rust do not. sodium_init is not called: nothing used here depends
 * on it, and it would be state of the whole process. */
#include "crypto/crypto_impl.h"

#ifdef KP2P_SODIUM

#include <openssl/crypto.h>
#include <sodium.h>

/* OpenSSL's SHA-512 is 1.5 times as fast. Above this size it makes up for OpenSSL's curve when
 * verifying (the break-even was at 50 to 90 KB on the machines measured) … */
#define SODIUM_VERIFY_MAX 65536u
/* … and above this one signing, which hashes twice, takes the hash from there and the curve from
 * here.
 */
#define SODIUM_SIGN_MAX 2048u

/* The encodings of points of small order, sign bit cleared, and of their y + p forms. */
static const uint8_t ed25519_small_order[][32] = {
        {0x00},
        {0x01},
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
         0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
         0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
         0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
         0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

/* Small order, or y not below p = 2^255 - 19. */
static bool ed25519_point_is_odd(const uint8_t p[32])
{
	uint8_t y[32];
	memcpy(y, p, sizeof y);
	y[31] &= 0x7f;
	bool above = y[0] >= 0xed && y[31] == 0x7f;
	for (size_t i = 1; above && i < 31; i++)
		above = y[i] == 0xff;
	if (above)
		return true;
	for (size_t i = 0; i < KP_COUNT_OF(ed25519_small_order); i++)
		if (memcmp(y, ed25519_small_order[i], sizeof y) == 0)
			return true;
	return false;
}

static kp_err sodium_verify(const kp_pubkey *k, kp_slice message, kp_slice signature)
{
	if (signature.n != 64)
		return KP_E_PROTO;
	if (k->odd || message.n > SODIUM_VERIFY_MAX || ed25519_point_is_odd(signature.p))
		return kp_ossl_ed25519_verify(k->raw, message, signature);
	int bad = crypto_sign_verify_detached(signature.p, message.p, message.n, k->raw);
	return bad == 0 ? KP_OK : KP_E_PROTO;
}

static kp_err sodium_pubkey_new(kp_crypto *c, kp_key_type type, kp_slice data, kp_pubkey **out)
{
	if (type != KP_KEY_ED25519)
		return kp_ossl_pubkey_new(c, type, data, out);
	if (data.n != 32)
		return KP_E_PROTO;
	kp_pubkey *k = kp_pubkey_alloc(c, type, sodium_verify);
	if (k == NULL)
		return KP_E_NOMEM;
	memcpy(k->raw, data.p, sizeof k->raw);
	k->odd = ed25519_point_is_odd(k->raw);
	*out = k;
	return KP_OK;
}

/* Keys of the other types carry OpenSSL's function. */
static kp_err sodium_verify_any(const kp_pubkey *k, kp_slice message, kp_slice signature)
{
	return k->verify(k, message, signature);
}

static void sodium_ed25519_public(const uint8_t seed[32], uint8_t pub[32])
{
	uint8_t secret[64];
	crypto_sign_seed_keypair(pub, secret, seed);
	OPENSSL_cleanse(secret, sizeof secret);
}

/* SHA-512 of the parts, as a scalar modulo the order of the group. */
static bool ed25519_hash_scalar(EVP_MD_CTX *ctx, const kp_slice *v, size_t n_v, uint8_t out[32])
{
	uint8_t digest[64];
	int ok = EVP_DigestInit_ex(ctx, EVP_sha512(), NULL);
	for (size_t i = 0; i < n_v; i++)
		ok &= EVP_DigestUpdate(ctx, v[i].p, v[i].n);
	ok &= EVP_DigestFinal_ex(ctx, digest, NULL);
	if (ok == 1)
		crypto_core_ed25519_scalar_reduce(out, digest);
	OPENSSL_cleanse(digest, sizeof digest);
	return ok == 1;
}

/* RFC 8032, 5.1.6, under the expanded key: the secret scalar and the prefix. */
static bool ed25519_sign_expanded(EVP_MD_CTX *ctx, const uint8_t expanded[64],
                                  const uint8_t pub[32], kp_slice message, uint8_t sig[64])
{
	uint8_t wide[64] = {0}, a[32], r[32], k[32];
	const kp_slice nonce[] = {kp_slice_of(expanded + 32, 32), message};
	const kp_slice challenge[] = {kp_slice_of(sig, 32), kp_slice_of(pub, 32), message};
	memcpy(wide, expanded, 32);
	crypto_core_ed25519_scalar_reduce(a, wide);
	bool ok = ed25519_hash_scalar(ctx, nonce, KP_COUNT_OF(nonce), r) &&
	          crypto_scalarmult_ed25519_base_noclamp(sig, r) == 0 &&
	          ed25519_hash_scalar(ctx, challenge, KP_COUNT_OF(challenge), k);
	if (ok) {
		crypto_core_ed25519_scalar_mul(k, k, a);
		crypto_core_ed25519_scalar_add(sig + 32, k, r);
	}
	OPENSSL_cleanse(wide, sizeof wide);
	OPENSSL_cleanse(a, sizeof a);
	OPENSSL_cleanse(r, sizeof r);
	OPENSSL_cleanse(k, sizeof k);
	return ok;
}

static kp_err ed25519_sign_long(const uint8_t seed[32], const uint8_t pub[32], kp_slice message,
                                uint8_t sig[64])
{
	uint8_t expanded[64];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_Digest(seed, 32, expanded, NULL, EVP_sha512(), NULL) == 1;
	if (ok) {
		expanded[0] &= 248;
		expanded[31] = (uint8_t)((expanded[31] & 127) | 64);
		ok = ed25519_sign_expanded(ctx, expanded, pub, message, sig);
	}
	OPENSSL_cleanse(expanded, sizeof expanded);
	EVP_MD_CTX_free(ctx); /* clears what it hashed */
	return ok ? KP_OK : KP_E_NOMEM;
}

static kp_err sodium_ed25519_sign(const uint8_t seed[32], const uint8_t pub[32], kp_slice message,
                                  uint8_t sig[64])
{
	if (message.n > SODIUM_SIGN_MAX)
		return ed25519_sign_long(seed, pub, message, sig);
	uint8_t secret[64];
	memcpy(secret, seed, 32);
	memcpy(secret + 32, pub, 32);
	crypto_sign_detached(sig, NULL, message.p, message.n, secret);
	OPENSSL_cleanse(secret, sizeof secret);
	return KP_OK;
}

/* A signature that is valid only after multiplication by the cofactor (key = aB + T8). */
static bool sodium_uses_the_cofactor(void)
{
	static const uint8_t pub[32] = {0xc7, 0x14, 0x31, 0x35, 0x8f, 0xba, 0x33, 0x0b,
	                                0x0a, 0x2a, 0x1c, 0xa6, 0x72, 0x26, 0x9f, 0x5a,
	                                0x28, 0x42, 0xa1, 0xe0, 0x0b, 0x30, 0x63, 0x46,
	                                0x7d, 0x9b, 0x4c, 0x2c, 0x18, 0x39, 0x07, 0x65};
	static const uint8_t sig[64] = {
	        0x47, 0xd2, 0x49, 0x05, 0x67, 0xe9, 0xdf, 0xaa, 0x43, 0xd1, 0xeb, 0xe6, 0x40,
	        0x32, 0x6d, 0xe4, 0x1e, 0x71, 0x3a, 0x8f, 0xaf, 0xd1, 0xb1, 0xb7, 0x2f, 0x0c,
	        0x89, 0x1d, 0x7e, 0xab, 0x82, 0x25, 0x08, 0xc7, 0xd0, 0xb4, 0x99, 0x91, 0x9a,
	        0x2c, 0xb5, 0xfb, 0x0c, 0x8b, 0xa0, 0xa4, 0xbb, 0x4d, 0x89, 0x61, 0xe0, 0xb0,
	        0xfe, 0xef, 0x31, 0x93, 0x77, 0x62, 0xf6, 0x2d, 0x27, 0x22, 0x25, 0x07};
	return crypto_sign_verify_detached(sig, (const uint8_t *)"mixed 0", 7, pub) == 0;
}

void kp_sodium_fill(kp_crypto_table *t)
{
	t->ops.ed25519_public = sodium_ed25519_public;
	t->ops.ed25519_sign = sodium_ed25519_sign;
	t->ops.name = "openssl+sodium";
	if (sodium_uses_the_cofactor())
		return;
	t->ops.pubkey_new = sodium_pubkey_new;
	t->ops.verify = sodium_verify_any;
}

#endif
