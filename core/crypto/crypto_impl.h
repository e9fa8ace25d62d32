/* What the backends share and nobody else sees: the layout of a table and of a public key. */
#ifndef KP_CRYPTO_CRYPTO_IMPL_H
#define KP_CRYPTO_CRYPTO_IMPL_H

#include "crypto/crypto.h"

#include <openssl/evp.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef kp_err (*kp_verify_fn)(const kp_pubkey *k, kp_slice message, kp_slice signature);

struct kp_pubkey {
	kp_key_type type;
	bool odd;             /* Ed25519: a point that libsodium judges differently than OpenSSL */
	uint8_t raw[32];      /* Ed25519 only */
	EVP_PKEY *pkey;       /* NULL for Ed25519 under libsodium */
	kp_verify_fn verify;  /* the real one; a memo stands in front of it */
	kp_verify_memo *memo; /* not owned; NULL outside the simulator */
};

/* A context of OpenSSL's takes 1.1 KB, a key 32 bytes, and loading one 40 ns: all directions of all
 * sessions share the table's two contexts. */
struct kp_aead {
	struct kp_crypto_table *t;
	uint8_t key[32];
};

typedef struct kp_aead_ctx {
	EVP_CIPHER_CTX *ctx;
	const kp_aead *holds; /* whose key is loaded; NULL = the zero key */
} kp_aead_ctx;

typedef struct kp_crypto_table {
	kp_crypto head;    /* first; head.ops = &ops */
	kp_crypto_ops ops; /* a copy per table, so that backends can replace slots */
	kp_verify_memo *memo;
	EVP_CIPHER *chacha;     /* the random stream */
	EVP_CIPHER *chachapoly; /* fetched once: implicit fetches cost 0.3 us each */
	EVP_MD *sha256;         /* likewise */
	EVP_CIPHER_CTX *stream; /* of chacha, keyed anew for each draw */
	kp_aead_ctx seal, open;
	EVP_MD_CTX *hash;       /* of sha256_parts */
	uint8_t stream_key[32]; /* secret: replaced by each draw */
} kp_crypto_table;

/* Ed25519 by OpenSSL from a raw key, any thread. */
kp_err kp_ossl_ed25519_verify(const uint8_t pub[32], kp_slice message, kp_slice signature);
kp_err kp_ossl_ed25519_sign(const uint8_t seed[32], const uint8_t pub[32], kp_slice message,
                            uint8_t sig[64]);
/* The pubkey_new of OpenSSL, which other backends fall back to. */
kp_err kp_ossl_pubkey_new(kp_crypto *c, kp_key_type type, kp_slice data, kp_pubkey **out);
/* Puts OpenSSL's functions into the slots for public keys and signatures. */
void kp_ossl_fill_keys(kp_crypto_table *t);

#ifdef KP2P_SODIUM
/* Puts libsodium's functions into the Ed25519 slots. */
void kp_sodium_fill(kp_crypto_table *t);
#endif

/* An empty key object of this type for pubkey_new to fill; NULL = out of memory. */
kp_pubkey *kp_pubkey_alloc(const kp_crypto *c, kp_key_type type, kp_verify_fn verify);

#ifdef __cplusplus
}
#endif
#endif
