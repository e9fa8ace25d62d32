/* The crypto table: every primitive the core uses, behind one struct of functions, so that the
 * simulator can memoise signatures and a faster curve can replace one slot. crypto_ossl.c fills it
 * with OpenSSL; crypto_sodium.c replaces the Ed25519 slots where the build has libsodium.
 * Thread rule: a kp_crypto belongs to the loop thread, except verify and sign, which worker jobs
 * call concurrently (they touch only their arguments). */
#ifndef KP_CRYPTO_CRYPTO_H
#define KP_CRYPTO_CRYPTO_H

#include "base/err.h"
#include "base/slice.h"
#include "wire/keys.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_AEAD_TAG 16u
#define KP_SIG_MAX  1024u /* RSA-8192 */

typedef struct kp_crypto kp_crypto;
typedef struct kp_aead kp_aead;     /* one direction of one session; ends before its table */
typedef struct kp_pubkey kp_pubkey; /* a parsed, checked public key, immutable, any thread */

typedef struct kp_crypto_ops {
	void (*sha256)(const void *p, size_t n, uint8_t out[32]);
	/* Of the parts one after another. */
	void (*sha256_parts)(kp_crypto *c, const kp_slice *v, size_t n_v, uint8_t out[32]);
	void (*hmac_sha256)(kp_crypto *c, const uint8_t *key, size_t key_n, const void *p, size_t n,
	                    uint8_t out[32]);

	/* X25519: fresh pair; shared secret. KP_E_PROTO when the result is all zero. */
	kp_err (*x25519_pair)(kp_crypto *c, uint8_t secret[32], uint8_t pub[32]);
	void (*x25519_public)(const uint8_t secret[32], uint8_t pub[32]);
	kp_err (*x25519)(const uint8_t secret[32], const uint8_t pub[32], uint8_t out[32]);

	/* ChaCha20-Poly1305 with the Noise nonce (4 zero bytes, counter little endian). */
	kp_aead *(*aead_new)(kp_crypto *c, const uint8_t key[32]); /* NULL = out of memory */
	void (*aead_free)(kp_aead *a);                             /* wipes */
	/* out must hold the sum of v plus KP_AEAD_TAG; gathers, never in place. */
	kp_err (*aead_seal)(kp_aead *a, uint64_t counter, kp_slice ad, const kp_slice *v,
	                    size_t n_v, uint8_t *out);
	/* In place: p[0..n) is ciphertext and tag, on KP_OK p[0..n-16) is plaintext.
	 * KP_E_PROTO = forged; the contents are then unspecified. */
	kp_err (*aead_open)(kp_aead *a, uint64_t counter, kp_slice ad, uint8_t *p, size_t n);
	/* The same for a key that is used once or twice (handshakes): nothing is allocated and
	 * sealing cannot fail. */
	void (*aead_seal_once)(kp_crypto *c, const uint8_t key[32], uint64_t counter, kp_slice ad,
	                       kp_slice plain, uint8_t *out);
	kp_err (*aead_open_once)(kp_crypto *c, const uint8_t key[32], uint64_t counter, kp_slice ad,
	                         uint8_t *p, size_t n);

	/* Parses and checks a key of any of the four types (sizes, curve, RSA 2,048 to 8,192 bits).
	 * KP_E_PROTO = not acceptable, KP_E_NOMEM. */
	kp_err (*pubkey_new)(kp_crypto *c, kp_key_type type, kp_slice data, kp_pubkey **out);
	void (*pubkey_free)(kp_pubkey *k);
	/* KP_OK or KP_E_PROTO; KP_E_NOMEM where OpenSSL lets us tell that it had no memory. Any
	 * thread. High-S secp256k1 is refused. */
	kp_err (*verify)(const kp_pubkey *k, kp_slice message, kp_slice signature);

	/* Ed25519 from a 32-byte seed. Any thread. */
	void (*ed25519_public)(const uint8_t seed[32], uint8_t pub[32]);
	kp_err (*ed25519_sign)(const uint8_t seed[32], const uint8_t pub[32], kp_slice message,
	                       uint8_t sig[64]);

	/* Secret random bytes from the table's own ChaCha20 stream. */
	void (*random)(kp_crypto *c, void *out, size_t n);
	/* Mixes fresh entropy into that stream. */
	void (*reseed)(kp_crypto *c, const uint8_t seed[32]);
	void (*free)(kp_crypto *c);
	const char *name; /* "openssl", "openssl+sodium" */
} kp_crypto_ops;

/* Backends keep their state behind this head. */
struct kp_crypto {
	const kp_crypto_ops *ops;
};

/* The best backend of this build. seed: 32 bytes of OS entropy, or the simulator's. NULL = out of
 * memory. Ends with c->ops->free(c). */
kp_crypto *kp_crypto_new(const uint8_t seed[32]);

/* OpenSSL in every slot, also in a build with libsodium (the vectors run through both). */
kp_crypto *kp_crypto_new_ossl(const uint8_t seed[32]);

/* For the simulator: real handshakes and AEAD, but a signature that was verified once with the same
 * key and message is remembered (`memo` is shared by all nodes of one simulation, single thread).
 */
typedef struct kp_verify_memo kp_verify_memo;
kp_verify_memo *kp_verify_memo_new(void);
void kp_verify_memo_free(kp_verify_memo *m);
uint64_t kp_verify_memo_count(const kp_verify_memo *m); /* verdicts remembered */
kp_crypto *kp_crypto_new_memo(const uint8_t seed[32], kp_verify_memo *memo);

/* Constant-time comparison. */
bool kp_crypto_equal(const void *a, const void *b, size_t n);

#ifdef __cplusplus
}
#endif
#endif
