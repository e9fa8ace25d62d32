/* Public keys and signatures by OpenSSL. Keys are read by a strict DER reader of our own, so that
 * one key has one encoding (and one peer id) and OpenSSL's decoders never see hostile input. */
#include "crypto/crypto_impl.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

#define RSA_BITS_MIN 2048u
#define RSA_BITS_MAX 8192u

kp_pubkey *kp_pubkey_alloc(const kp_crypto *c, kp_key_type type, kp_verify_fn verify)
{
	kp_pubkey *k = (kp_pubkey *)OPENSSL_zalloc(sizeof *k);
	if (k == NULL)
		return NULL;
	k->type = type;
	k->verify = verify;
	k->memo = ((const kp_crypto_table *)(const void *)c)->memo;
	return k;
}

static void ossl_pubkey_free(kp_pubkey *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	OPENSSL_free(k);
}

/* ---- strict DER: definite, minimal lengths of at most 65,535 */

static bool der_take(kp_slice *in, uint8_t tag, kp_slice *body)
{
	if (in->n < 2 || in->p[0] != tag)
		return false;
	size_t head = 2, n = in->p[1];
	if (n == 0x81 && in->n >= 3) {
		head = 3;
		n = in->p[2];
		if (n < 0x80)
			return false;
	} else if (n == 0x82 && in->n >= 4) {
		head = 4;
		n = (size_t)in->p[2] << 8 | in->p[3];
		if (n < 0x100)
			return false;
	} else if (n >= 0x80) {
		return false;
	}
	if (n > in->n - head)
		return false;
	kp_slice_take(in, head);
	*body = kp_slice_take(in, n);
	return true;
}

/* A minimal, not negative INTEGER; *value is without its sign byte, so it begins with a set bit
 * unless it is a single zero byte. */
static bool der_take_uint(kp_slice *in, kp_slice *value)
{
	if (!der_take(in, 0x02, value) || value->n == 0 || (value->p[0] & 0x80) != 0)
		return false;
	if (value->p[0] != 0 || value->n == 1)
		return true;
	kp_slice_take(value, 1);
	return (value->p[0] & 0x80) != 0;
}

/* ---- RSA: SubjectPublicKeyInfo with rsaEncryption */

static bool rsa_spki_parse(kp_slice spki, kp_slice *n, kp_slice *e)
{
	static const uint8_t algorithm[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
	                                    0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
	kp_slice outer, alg, bits, key;
	if (!der_take(&spki, 0x30, &outer) || spki.n != 0 || !der_take(&outer, 0x30, &alg) ||
	    !kp_slice_eq(alg, kp_slice_of(algorithm, sizeof algorithm)) ||
	    !der_take(&outer, 0x03, &bits) || outer.n != 0 || bits.n == 0 || bits.p[0] != 0)
		return false;
	kp_slice_take(&bits, 1); /* number of unused bits */
	return der_take(&bits, 0x30, &key) && bits.n == 0 && der_take_uint(&key, n) &&
	       der_take_uint(&key, e) && key.n == 0;
}

static bool rsa_parts_ok(kp_slice n, kp_slice e)
{
	unsigned top = 8;
	while (top > 1 && (n.p[0] >> (top - 1)) == 0)
		top--;
	size_t bits = (n.n - 1) * 8 + top;
	if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || (n.p[n.n - 1] & 1) == 0)
		return false;
	/* As go: 31 bits. A longer exponent is a way to burn our time. */
	if (e.n > 4 || (e.n == 4 && e.p[0] >= 0x80))
		return false;
	return (e.p[e.n - 1] & 1) == 1 && (e.n > 1 || e.p[0] >= 3);
}

/* The EVP_PKEY of a public key described by params; *r = KP_E_PROTO when OpenSSL refuses it. */
static EVP_PKEY *pkey_from_params(const char *type, OSSL_PARAM *params, kp_err *r)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	*r = KP_E_NOMEM;
	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		*r = EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1 ? KP_OK
		                                                                    : KP_E_PROTO;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static kp_err rsa_key_new(kp_slice spki, EVP_PKEY **out)
{
	kp_slice n, e;
	if (!rsa_spki_parse(spki, &n, &e) || !rsa_parts_ok(n, e))
		return KP_E_PROTO;
	kp_err r = KP_E_NOMEM;
	BIGNUM *bn_n = BN_bin2bn(n.p, (int)n.n, NULL);
	BIGNUM *bn_e = BN_bin2bn(e.p, (int)e.n, NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	if (bn_n != NULL && bn_e != NULL && bld != NULL &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn_n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, bn_e) == 1)
		params = OSSL_PARAM_BLD_to_param(bld);
	if (params != NULL)
		*out = pkey_from_params("RSA", params, &r);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	BN_free(bn_e);
	BN_free(bn_n);
	return r;
}

/* ---- ECDSA keys */

/* OpenSSL checks that the point is on the curve; the cofactor of both curves is 1. */
static kp_err ec_key_new(const char *group, kp_slice point, EVP_PKEY **out)
{
	char name[16];
	uint8_t bytes[65];
	KP_ASSERT(strlen(group) < sizeof name && point.n <= sizeof bytes);
	memcpy(name, group, strlen(group) + 1);
	memcpy(bytes, point.p, point.n);
	OSSL_PARAM params[] = {
	        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0),
	        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, bytes, point.n),
	        OSSL_PARAM_construct_end()};
	kp_err r;
	*out = pkey_from_params("EC", params, &r);
	return r;
}

/* P-256 SubjectPublicKeyInfo has one form: this head and an uncompressed point. */
static kp_err p256_key_new(kp_slice spki, EVP_PKEY **out)
{
	static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
	                               0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
	                               0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
	if (spki.n != sizeof head + 65 || memcmp(spki.p, head, sizeof head) != 0 ||
	    spki.p[sizeof head] != 0x04)
		return KP_E_PROTO;
	kp_slice_take(&spki, sizeof head);
	return ec_key_new("P-256", spki, out);
}

static kp_err secp256k1_key_new(kp_slice point, EVP_PKEY **out)
{
	if (point.n != 33 || (point.p[0] != 0x02 && point.p[0] != 0x03))
		return KP_E_PROTO;
	return ec_key_new("secp256k1", point, out);
}

static kp_err ed25519_key_new(kp_slice data, kp_pubkey *k)
{
	if (data.n != sizeof k->raw)
		return KP_E_PROTO;
	memcpy(k->raw, data.p, sizeof k->raw);
	k->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->raw, sizeof k->raw);
	return k->pkey != NULL ? KP_OK : KP_E_NOMEM;
}

/* ---- verification */

/* SHA-256 and the key's own signature scheme; EVP's RSA default is PKCS#1 v1.5. Ed25519: md NULL.
 */
static kp_err pkey_verify(EVP_PKEY *pkey, const char *md, kp_slice message, kp_slice signature)
{
	kp_err r = KP_E_NOMEM;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (ctx != NULL && EVP_DigestVerifyInit_ex(ctx, NULL, md, NULL, NULL, pkey, NULL) == 1) {
		int said = EVP_DigestVerify(ctx, signature.p, signature.n, message.p, message.n);
		/* Negative: something else than a signature that does not fit. */
		if (said >= 0)
			r = said == 1 ? KP_OK : KP_E_PROTO;
	}
	EVP_MD_CTX_free(ctx);
	return r;
}

/* Half of the order of secp256k1, rounded down. */
static const uint8_t secp256k1_half_order[32] = {0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                 0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d,
                                                 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0};

/* Both integers minimal, 1 to 32 bytes, nothing behind them; s is what low-S is about. */
static bool ecdsa_sig_parse(kp_slice signature, kp_slice *s)
{
	kp_slice seq, r;
	return der_take(&signature, 0x30, &seq) && signature.n == 0 && der_take_uint(&seq, &r) &&
	       der_take_uint(&seq, s) && seq.n == 0 && r.n <= 32 && s->n <= 32;
}

static bool secp256k1_s_is_low(kp_slice s)
{
	uint8_t padded[32] = {0};
	memcpy(padded + sizeof padded - s.n, s.p, s.n);
	return memcmp(padded, secp256k1_half_order, sizeof padded) <= 0;
}

static kp_err ossl_verify(const kp_pubkey *k, kp_slice message, kp_slice signature)
{
	kp_slice s;
	const char *md = "SHA256";
	switch (k->type) {
	case KP_KEY_ED25519:
		if (signature.n != 64)
			return KP_E_PROTO;
		md = NULL;
		break;
	case KP_KEY_SECP256K1:
		if (!ecdsa_sig_parse(signature, &s) || !secp256k1_s_is_low(s))
			return KP_E_PROTO;
		break;
	case KP_KEY_ECDSA:
		if (!ecdsa_sig_parse(signature, &s))
			return KP_E_PROTO;
		break;
	case KP_KEY_RSA:
		if (signature.n == 0 || signature.n > KP_SIG_MAX)
			return KP_E_PROTO;
		break;
	default:
		return KP_E_PROTO;
	}
	ERR_set_mark(); /* the thread's error queue may hold some of the application's */
	kp_err r = pkey_verify(k->pkey, md, message, signature);
	ERR_pop_to_mark();
	return r;
}

kp_err kp_ossl_ed25519_verify(const uint8_t pub[32], kp_slice message, kp_slice signature)
{
	if (signature.n != 64)
		return KP_E_PROTO;
	ERR_set_mark();
	kp_err r = KP_E_NOMEM;
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, 32);
	if (key != NULL)
		r = pkey_verify(key, NULL, message, signature);
	EVP_PKEY_free(key);
	ERR_pop_to_mark();
	return r;
}

kp_err kp_ossl_pubkey_new(kp_crypto *c, kp_key_type type, kp_slice data, kp_pubkey **out)
{
	kp_err r;
	kp_pubkey *k = kp_pubkey_alloc(c, type, ossl_verify);
	if (k == NULL)
		return KP_E_NOMEM;
	ERR_set_mark();
	switch (type) {
	case KP_KEY_ED25519:
		r = ed25519_key_new(data, k);
		break;
	case KP_KEY_SECP256K1:
		r = secp256k1_key_new(data, &k->pkey);
		break;
	case KP_KEY_ECDSA:
		r = p256_key_new(data, &k->pkey);
		break;
	case KP_KEY_RSA:
		r = rsa_key_new(data, &k->pkey);
		break;
	default:
		r = KP_E_PROTO;
		break;
	}
	ERR_pop_to_mark();
	if (r != KP_OK) {
		ossl_pubkey_free(k);
		return r;
	}
	*out = k;
	return KP_OK;
}

/* ---- our own Ed25519 key */

static void ossl_ed25519_public(const uint8_t seed[32], uint8_t pub[32])
{
	size_t n = 32;
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
	int ok = key != NULL && EVP_PKEY_get_raw_public_key(key, pub, &n) == 1;
	EVP_PKEY_free(key);
	KP_ASSERT(ok);
}

/* Both halves are given, or OpenSSL computes the public one for each signature, at twice the cost.
 */
static EVP_PKEY *ed25519_own_key(const uint8_t seed[32], const uint8_t pub[32])
{
	uint8_t priv[32], pub_copy[32];
	OSSL_PARAM params[] = {
	        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, priv, sizeof priv),
	        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, pub_copy,
	                                          sizeof pub_copy),
	        OSSL_PARAM_construct_end()};
	EVP_PKEY *key = NULL;
	memcpy(priv, seed, sizeof priv);
	memcpy(pub_copy, pub, sizeof pub_copy);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "ED25519", NULL);
	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params);
	EVP_PKEY_CTX_free(ctx);
	OPENSSL_cleanse(priv, sizeof priv);
	return key;
}

kp_err kp_ossl_ed25519_sign(const uint8_t seed[32], const uint8_t pub[32], kp_slice message,
                            uint8_t sig[64])
{
	size_t n = 64;
	EVP_PKEY *key = ed25519_own_key(seed, pub);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = key != NULL && ctx != NULL &&
	         EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
	         EVP_DigestSign(ctx, sig, &n, message.p, message.n) == 1 && n == 64;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key); /* clears the seed */
	return ok ? KP_OK : KP_E_NOMEM;
}

void kp_ossl_fill_keys(kp_crypto_table *t)
{
	t->ops.pubkey_new = kp_ossl_pubkey_new;
	t->ops.pubkey_free = ossl_pubkey_free;
	t->ops.verify = ossl_verify;
	t->ops.ed25519_public = ossl_ed25519_public;
	t->ops.ed25519_sign = kp_ossl_ed25519_sign;
}
