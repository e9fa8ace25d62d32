/* A set of tokens in flight, each with a number of the owner's: open addressing, no allocation per
 * token. Not for keys that a remote peer chooses. The owner locks. */
#ifndef KP_RT_TOKENS_H
#define KP_RT_TOKENS_H

#include "base/err.h"
#include "base/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_rt_token {
	int64_t token; /* 0 = empty place */
	uint64_t value;
} kp_rt_token;

typedef struct kp_rt_tokens {
	kp_rt_token *slots;
	uint32_t n, cap; /* n ≤ cap / 2; cap is 0 or a power of two */
	kp_mem *mem;
} kp_rt_tokens;

void kp_rt_tokens_init(kp_rt_tokens *t, kp_mem *mem);
void kp_rt_tokens_fini(kp_rt_tokens *t);

/* token ≠ 0. KP_E_DUPLICATE, KP_E_NOMEM. */
kp_err kp_rt_tokens_put(kp_rt_tokens *t, int64_t token, uint64_t value);
bool kp_rt_tokens_get(const kp_rt_tokens *t, int64_t token, uint64_t *value);
bool kp_rt_tokens_del(kp_rt_tokens *t, int64_t token, uint64_t *value); /* value may be NULL */

/* Removes every token whose value is less than `below`; returns how many. */
uint32_t kp_rt_tokens_expire(kp_rt_tokens *t, uint64_t below);

#ifdef __cplusplus
}
#endif
#endif
