/* Noise CipherState and SymmetricState for Noise_XX_25519_ChaChaPoly_SHA256: section 5
 * of the Noise Protocol Framework. */
#ifndef KP_CRYPTO_NOISE_SYM_H
#define KP_CRYPTO_NOISE_SYM_H

#include "crypto/crypto.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_noise_sym {
	kp_crypto *c;
	uint8_t h[32], ck[32], k[32];
	uint64_t n;
	bool has_key;
} kp_noise_sym;

void kp_noise_sym_init(kp_noise_sym *s, kp_crypto *c); /* name and empty prologue mixed in */
void kp_noise_sym_mix_hash(kp_noise_sym *s, kp_slice data);
void kp_noise_sym_mix_key(kp_noise_sym *s, const uint8_t ikm[32]);

/* out: plain.n bytes, plus KP_AEAD_TAG when a key is set. Returns the bytes written. KP_E_NOMEM < 0
 * cannot happen: the one-shot context is on the crypto table. */
size_t kp_noise_sym_seal(kp_noise_sym *s, kp_slice plain, uint8_t *out);

/* In place; *plain is what was inside. KP_E_PROTO = forged or too short. */
kp_err kp_noise_sym_open(kp_noise_sym *s, uint8_t *p, size_t n, kp_slice *plain);

/* The two transport keys; wipes the state. first = initiator to responder. */
void kp_noise_sym_split(kp_noise_sym *s, uint8_t first[32], uint8_t second[32]);
void kp_noise_sym_wipe(kp_noise_sym *s);

#ifdef __cplusplus
}
#endif
#endif
