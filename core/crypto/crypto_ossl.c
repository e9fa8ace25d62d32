/* The OpenSSL backend: hashes, X25519, ChaCha20-Poly1305, the random stream, and the table itself.
 * Public keys and signatures are in crypto_ossl_keys.c. Only the OpenSSL 3 API; what OpenSSL looks
 * up by name is looked up once and kept in the table, contexts are reused. */
#include "crypto/crypto_impl.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/sha.h>

static kp_crypto_table *table_of(kp_crypto *c)
{
	return (kp_crypto_table *)(void *)c;
}

/* ---- hashes */

static void ossl_sha256(const void *p, size_t n, uint8_t out[32])
{
	uint8_t *done = SHA256((const unsigned char *)p, n, out);
	KP_ASSERT(done != NULL);
}

/* The context is left as new: what it hashed may have been a secret. */
static void ossl_sha256_parts(kp_crypto *c, const kp_slice *v, size_t n_v, uint8_t out[32])
{
	kp_crypto_table *t = table_of(c);
	int ok = 1;
	for (size_t i = 0; i < n_v; i++)
		ok &= EVP_DigestUpdate(t->hash, v[i].p, v[i].n);
	ok &= EVP_DigestFinal_ex(t->hash, out, NULL);
	ok &= EVP_DigestInit_ex2(t->hash, t->sha256, NULL);
	KP_ASSERT(ok == 1);
}

/* RFC 2104 over the table's context: OpenSSL's own HMAC looks the digest up for each call and takes
 * four times as long, twenty times per handshake. */
static void ossl_hmac_sha256(kp_crypto *c, const uint8_t *key, size_t key_n, const void *p,
                             size_t n, uint8_t out[32])
{
	uint8_t pad[64] = {0}, inner[32];
	const kp_slice in[] = {kp_slice_of(pad, sizeof pad), kp_slice_of(p, n)};
	const kp_slice outer[] = {kp_slice_of(pad, sizeof pad), kp_slice_of(inner, sizeof inner)};
	const kp_slice long_key = kp_slice_of(key, key_n);
	if (key_n > sizeof pad)
		ossl_sha256_parts(c, &long_key, 1, pad);
	else if (key_n > 0)
		memcpy(pad, key, key_n);
	for (size_t i = 0; i < sizeof pad; i++)
		pad[i] ^= 0x36;
	ossl_sha256_parts(c, in, KP_COUNT_OF(in), inner);
	for (size_t i = 0; i < sizeof pad; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	ossl_sha256_parts(c, outer, KP_COUNT_OF(outer), out);
	OPENSSL_cleanse(pad, sizeof pad);
	OPENSSL_cleanse(inner, sizeof inner);
}

/* ---- X25519 */

static void ossl_x25519_public(const uint8_t secret[32], uint8_t pub[32])
{
	size_t n = 32;
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, 32);
	int ok = key != NULL && EVP_PKEY_get_raw_public_key(key, pub, &n) == 1;
	EVP_PKEY_free(key);
	KP_ASSERT(ok);
}

static kp_err ossl_x25519_pair(kp_crypto *c, uint8_t secret[32], uint8_t pub[32])
{
	c->ops->random(c, secret, 32);
	ossl_x25519_public(secret, pub);
	return KP_OK;
}

/* The key pair object for a derivation. A raw private key alone would make OpenSSL compute its
 * public half, as slow as the derivation and of no use for it: any 32 bytes stand in. */
static EVP_PKEY *x25519_secret_key(const uint8_t secret[32])
{
	uint8_t priv[32], unused[32] = {9};
	OSSL_PARAM params[] = {
	        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, priv, sizeof priv),
	        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, unused, sizeof unused),
	        OSSL_PARAM_construct_end()};
	EVP_PKEY *key = NULL;
	memcpy(priv, secret, sizeof priv);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params);
	EVP_PKEY_CTX_free(ctx);
	OPENSSL_cleanse(priv, sizeof priv);
	return key;
}

static kp_err ossl_x25519(const uint8_t secret[32], const uint8_t pub[32], uint8_t out[32])
{
	kp_err r = KP_E_NOMEM;
	size_t n = 32;
	ERR_set_mark();
	EVP_PKEY *own = x25519_secret_key(secret);
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, pub, 32);
	EVP_PKEY_CTX *ctx = own != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL) : NULL;
	if (peer == NULL || ctx == NULL || EVP_PKEY_derive_init(ctx) != 1)
		goto out;
	/* Fails for an all-zero result, and for nothing else a peer could choose. */
	if (EVP_PKEY_derive_set_peer(ctx, peer) != 1 || EVP_PKEY_derive(ctx, out, &n) != 1 ||
	    n != 32) {
		OPENSSL_cleanse(out, 32);
		r = KP_E_PROTO;
		goto out;
	}
	r = KP_OK;
out:
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(own);
	ERR_pop_to_mark();
	return r;
}

/* ---- ChaCha20-Poly1305 */

static void aead_nonce(uint64_t counter, uint8_t iv[12])
{
	memset(iv, 0, 4);
	for (unsigned i = 0; i < 8; i++)
		iv[4 + i] = (uint8_t)(counter >> (8 * i));
}

static const uint8_t aead_no_key[32];

/* Readies the context for one message under a's key. */
static bool aead_load(kp_aead_ctx *x, const kp_aead *a, uint64_t counter, bool seal)
{
	uint8_t iv[12];
	aead_nonce(counter, iv);
	const uint8_t *key = x->holds != a ? a->key : NULL;
	int ok = seal ? EVP_EncryptInit_ex2(x->ctx, NULL, key, iv, NULL)
	              : EVP_DecryptInit_ex2(x->ctx, NULL, key, iv, NULL);
	if (ok == 1)
		x->holds = a;
	return ok == 1;
}

/* The key goes out of the contexts. */
static void aead_unload(const kp_aead *a)
{
	kp_crypto_table *t = a->t;
	int ok = 1;
	if (t->seal.holds == a) {
		ok &= EVP_EncryptInit_ex2(t->seal.ctx, NULL, aead_no_key, NULL, NULL);
		t->seal.holds = NULL;
	}
	if (t->open.holds == a) {
		ok &= EVP_DecryptInit_ex2(t->open.ctx, NULL, aead_no_key, NULL, NULL);
		t->open.holds = NULL;
	}
	KP_ASSERT(ok == 1);
}

static kp_aead *ossl_aead_new(kp_crypto *c, const uint8_t key[32])
{
	kp_aead *a = (kp_aead *)OPENSSL_zalloc(sizeof *a);
	if (a == NULL)
		return NULL;
	a->t = table_of(c);
	memcpy(a->key, key, sizeof a->key);
	return a;
}

static void ossl_aead_free(kp_aead *a)
{
	if (a == NULL)
		return;
	aead_unload(a);
	OPENSSL_clear_free(a, sizeof *a);
}

/* Below this average size of a part, copying the parts together and encrypting once in place is
 * faster than one call per part (0.2 us each, and the cipher's wide code runs on whole blocks). */
#define AEAD_GATHER_BELOW 4096u

static bool aead_encrypt(EVP_CIPHER_CTX *ctx, const uint8_t *in, size_t n, uint8_t *out)
{
	int done = 0;
	KP_ASSERT(n <= INT_MAX);
	return n == 0 || EVP_EncryptUpdate(ctx, out, &done, in, (int)n) == 1;
}

/* Everything of a seal but the key. */
static bool aead_seal_parts(EVP_CIPHER_CTX *ctx, kp_slice ad, const kp_slice *v, size_t n_v,
                            uint8_t *out)
{
	int done = 0;
	size_t total = 0;
	for (size_t i = 0; i < n_v; i++)
		total += v[i].n;
	bool gather = n_v > 1 && total < n_v * AEAD_GATHER_BELOW;
	if (ad.n > 0 && EVP_EncryptUpdate(ctx, NULL, &done, ad.p, (int)ad.n) != 1)
		return false;
	uint8_t *at = out;
	for (size_t i = 0; i < n_v; i++) {
		if (gather && v[i].n > 0)
			memcpy(at, v[i].p, v[i].n);
		else if (!aead_encrypt(ctx, v[i].p, v[i].n, at))
			return false;
		at += v[i].n;
	}
	if (gather && !aead_encrypt(ctx, out, total, out))
		return false;
	return EVP_EncryptFinal_ex(ctx, at, &done) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)KP_AEAD_TAG, at) == 1;
}

static kp_err ossl_aead_seal(kp_aead *a, uint64_t counter, kp_slice ad, const kp_slice *v,
                             size_t n_v, uint8_t *out)
{
	kp_aead_ctx *x = &a->t->seal;
	KP_ASSERT(counter != UINT64_MAX && ad.n <= INT_MAX);
	if (!aead_load(x, a, counter, true) || !aead_seal_parts(x->ctx, ad, v, n_v, out))
		return KP_E_INTERNAL;
	return KP_OK;
}

static bool aead_open_in_place(EVP_CIPHER_CTX *ctx, kp_slice ad, uint8_t *p, size_t n)
{
	size_t body = n - KP_AEAD_TAG;
	int done = 0;
	if (ad.n > 0 && EVP_DecryptUpdate(ctx, NULL, &done, ad.p, (int)ad.n) != 1)
		return false;
	if (body > 0 && EVP_DecryptUpdate(ctx, p, &done, p, (int)body) != 1)
		return false;
	return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)KP_AEAD_TAG, p + body) == 1 &&
	       EVP_DecryptFinal_ex(ctx, p + body, &done) == 1;
}

static kp_err ossl_aead_open(kp_aead *a, uint64_t counter, kp_slice ad, uint8_t *p, size_t n)
{
	kp_aead_ctx *x = &a->t->open;
	if (n < KP_AEAD_TAG || counter == UINT64_MAX)
		return KP_E_PROTO;
	KP_ASSERT(n <= INT_MAX && ad.n <= INT_MAX);
	if (!aead_load(x, a, counter, false))
		return KP_E_INTERNAL;
	return aead_open_in_place(x->ctx, ad, p, n) ? KP_OK : KP_E_PROTO;
}

static kp_aead aead_once(kp_crypto *c, const uint8_t key[32])
{
	kp_aead a = {.t = table_of(c)};
	memcpy(a.key, key, sizeof a.key);
	return a;
}

static void aead_once_end(kp_aead *a)
{
	aead_unload(a);
	OPENSSL_cleanse(a, sizeof *a);
}

static void ossl_aead_seal_once(kp_crypto *c, const uint8_t key[32], uint64_t counter, kp_slice ad,
                                kp_slice plain, uint8_t *out)
{
	kp_aead a = aead_once(c, key);
	kp_err r = ossl_aead_seal(&a, counter, ad, &plain, 1, out);
	KP_ASSERT(r == KP_OK);
	aead_once_end(&a);
}

static kp_err ossl_aead_open_once(kp_crypto *c, const uint8_t key[32], uint64_t counter,
                                  kp_slice ad, uint8_t *p, size_t n)
{
	kp_aead a = aead_once(c, key);
	kp_err r = ossl_aead_open(&a, counter, ad, p, n);
	aead_once_end(&a);
	return r;
}

/* ---- the random stream: ChaCha20 whose first 32 bytes are the next draw's key */

static void stream_bytes(kp_crypto_table *t, void *out, size_t n)
{
	int done = 0;
	KP_ASSERT(n <= INT_MAX);
	memset(out, 0, n);
	int ok = EVP_EncryptUpdate(t->stream, (unsigned char *)out, &done, (unsigned char *)out,
	                           (int)n);
	KP_ASSERT(ok == 1 && done == (int)n);
}

static void ossl_random(kp_crypto *c, void *out, size_t n)
{
	static const uint8_t iv[16];
	kp_crypto_table *t = table_of(c);
	int ok = EVP_EncryptInit_ex2(t->stream, NULL, t->stream_key, iv, NULL);
	KP_ASSERT(ok == 1);
	stream_bytes(t, t->stream_key, sizeof t->stream_key);
	if (n > 0)
		stream_bytes(t, out, n);
	/* The old key, still in the context, would tell what was drawn. */
	ok = EVP_EncryptInit_ex2(t->stream, NULL, aead_no_key, iv, NULL);
	KP_ASSERT(ok == 1);
}

static void ossl_reseed(kp_crypto *c, const uint8_t seed[32])
{
	kp_crypto_table *t = table_of(c);
	const kp_slice v[] = {kp_slice_of(t->stream_key, 32), kp_slice_of(seed, 32)};
	uint8_t next[32];
	ossl_sha256_parts(c, v, KP_COUNT_OF(v), next);
	memcpy(t->stream_key, next, sizeof next);
	OPENSSL_cleanse(next, sizeof next);
}

/* ---- the table */

static void ossl_free(kp_crypto *c)
{
	if (c == NULL)
		return;
	kp_crypto_table *t = table_of(c);
	EVP_CIPHER_CTX_free(t->stream);
	EVP_CIPHER_CTX_free(t->seal.ctx);
	EVP_CIPHER_CTX_free(t->open.ctx);
	EVP_MD_CTX_free(t->hash);
	EVP_CIPHER_free(t->chacha);
	EVP_CIPHER_free(t->chachapoly);
	EVP_MD_free(t->sha256);
	OPENSSL_clear_free(t, sizeof *t);
}

static bool table_fetch(kp_crypto_table *t)
{
	static const uint8_t iv[16];
	t->chacha = EVP_CIPHER_fetch(NULL, "ChaCha20", NULL);
	t->chachapoly = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	t->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	t->stream = EVP_CIPHER_CTX_new();
	t->seal.ctx = EVP_CIPHER_CTX_new();
	t->open.ctx = EVP_CIPHER_CTX_new();
	t->hash = EVP_MD_CTX_new();
	return t->chacha != NULL && t->chachapoly != NULL && t->sha256 != NULL &&
	       t->stream != NULL && t->seal.ctx != NULL && t->open.ctx != NULL && t->hash != NULL &&
	       EVP_EncryptInit_ex2(t->stream, t->chacha, aead_no_key, iv, NULL) == 1 &&
	       EVP_EncryptInit_ex2(t->seal.ctx, t->chachapoly, aead_no_key, NULL, NULL) == 1 &&
	       EVP_DecryptInit_ex2(t->open.ctx, t->chachapoly, aead_no_key, NULL, NULL) == 1 &&
	       EVP_DigestInit_ex2(t->hash, t->sha256, NULL) == 1;
}

kp_crypto *kp_crypto_new_ossl(const uint8_t seed[32])
{
	kp_crypto_table *t = (kp_crypto_table *)OPENSSL_zalloc(sizeof *t);
	if (t == NULL)
		return NULL;
	t->head.ops = &t->ops;
	t->ops = (kp_crypto_ops){
	        .sha256 = ossl_sha256,
	        .sha256_parts = ossl_sha256_parts,
	        .hmac_sha256 = ossl_hmac_sha256,
	        .x25519_pair = ossl_x25519_pair,
	        .x25519_public = ossl_x25519_public,
	        .x25519 = ossl_x25519,
	        .aead_new = ossl_aead_new,
	        .aead_free = ossl_aead_free,
	        .aead_seal = ossl_aead_seal,
	        .aead_open = ossl_aead_open,
	        .aead_seal_once = ossl_aead_seal_once,
	        .aead_open_once = ossl_aead_open_once,
	        .random = ossl_random,
	        .reseed = ossl_reseed,
	        .free = ossl_free,
	        .name = "openssl",
	};
	kp_ossl_fill_keys(t);
	if (!table_fetch(t)) {
		ossl_free(&t->head);
		return NULL;
	}
	memcpy(t->stream_key, seed, sizeof t->stream_key);
	return &t->head;
}

kp_crypto *kp_crypto_new(const uint8_t seed[32])
{
	kp_crypto *c = kp_crypto_new_ossl(seed);
#ifdef KP2P_SODIUM
	if (c != NULL)
		kp_sodium_fill(table_of(c));
#endif
	return c;
}

bool kp_crypto_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}
