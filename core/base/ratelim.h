/* A token bucket for legal-but-odd input: drains on each oddity, refills with time. */
#ifndef KP_BASE_RATELIM_H
#define KP_BASE_RATELIM_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_ratelim {
	uint64_t tokens, burst; /* ≤ burst */
	kp_time per;            /* one token comes back per this long */
	kp_time at;             /* when tokens was last brought up to date */
} kp_ratelim;

void kp_ratelim_init(kp_ratelim *r, kp_time now, uint64_t burst, kp_time per);
bool kp_ratelim_take(kp_ratelim *r, kp_time now, uint64_t n); /* false = limit exceeded */

#ifdef __cplusplus
}
#endif
#endif
