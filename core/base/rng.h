/* The seeded generator behind every choice the engine makes. Not for secrets: those come from the
 * crypto table's own stream. Same seed, same sequence, on every machine. */
#ifndef KP_BASE_RNG_H
#define KP_BASE_RNG_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_rng {
	uint64_t s[4];
} kp_rng;

void kp_rng_init(kp_rng *r, const uint8_t seed[32]);
uint64_t kp_rng_u64(kp_rng *r);
uint64_t kp_rng_below(kp_rng *r, uint64_t n); /* uniform in [0, n), n > 0 */
void kp_rng_fill(kp_rng *r, void *out, size_t n);
double kp_rng_unit(kp_rng *r); /* uniform in [0, 1) */

/* Shuffles n elements of `size` ≤ 64 bytes each. */
void kp_rng_shuffle(kp_rng *r, void *array, size_t n, size_t size);

/* d ± percent, uniform. */
kp_time kp_rng_jitter(kp_rng *r, kp_time d, unsigned percent);

#ifdef __cplusplus
}
#endif
#endif
