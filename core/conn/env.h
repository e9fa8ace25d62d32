/* What every machine and service of one node shares. Owned by the engine (or by a test), outlives
 * all of them, used on the loop thread only (pool and crypto verify/sign excepted). */
#ifndef KP_CONN_ENV_H
#define KP_CONN_ENV_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/stats.h"
#include "base/timer.h"
#include "base/trace.h"
#include "crypto/identity.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kp_noise_local; /* conn/noise.h: the node's Noise static key and signed payload */

typedef struct kp_env {
	kp_mem *mem;
	kp_pool *pool;
	kp_timers *timers;
	kp_rng *rng; /* choices only; secrets come from crypto */
	kp_stats *stats;
	kp_trace *trace;
	kp_crypto *crypto;
	const kp_identity *self;
	const struct kp_noise_local *noise;
	int64_t wall_minus_mono; /* wall clock (unix ns) = now + this */
} kp_env;

static inline int64_t kp_env_wall(const kp_env *env, kp_time now)
{
	return (int64_t)now + env->wall_minus_mono;
}

#ifdef __cplusplus
}
#endif
#endif
