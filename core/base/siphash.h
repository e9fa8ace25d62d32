/* SipHash-c-d, incremental: map hashes (under the engine's own key) and Karak message ids (1-3,
 * zero key, as Rust's DefaultHasher). */
#ifndef KP_BASE_SIPHASH_H
#define KP_BASE_SIPHASH_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_siphash {
	uint64_t v[4];
	uint64_t tail;  /* bytes not yet absorbed, little endian */
	uint64_t total; /* bytes seen */
	int c, d;
} kp_siphash;

void kp_siphash_init(kp_siphash *h, const uint8_t key[16], int c_rounds, int d_rounds);
void kp_siphash_update(kp_siphash *h, const void *bytes, size_t n);
uint64_t kp_siphash_final(kp_siphash *h);

/* The whole of it at once, with one compression and three finalisation rounds. */
uint64_t kp_siphash13(const uint8_t key[16], const void *bytes, size_t n);

#ifdef __cplusplus
}
#endif
#endif
