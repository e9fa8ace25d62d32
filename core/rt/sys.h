/* What rt asks of the operating system besides sockets: time, entropy, and the two kinds of eventfd
 * it uses. Nothing here knows of nodes. */
#ifndef KP_RT_SYS_H
#define KP_RT_SYS_H

#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The monotonic clock every fact is stamped with, and the wall clock in unix nanoseconds. */
kp_time kp_rt_now(void);
int64_t kp_rt_wall(void);

/* Fills out with entropy of the system. KP_E_INTERNAL when it has none (never seen on Linux
 * ≥ 3.17). */
kp_err kp_rt_seed(void *out, size_t n);

/* A time limit of the ABI as a deadline: 0 stays 0 (do not wait), < 0 is KP_NEVER. */
kp_time kp_rt_deadline(int timeout_ms);

/* A flag that only one of all who look may take. */
static inline bool kp_rt_flag_take(uint32_t *flag)
{
	return __atomic_load_n(flag, __ATOMIC_RELAXED) != 0 &&
	       __atomic_exchange_n(flag, 0, __ATOMIC_ACQ_REL) != 0;
}

/* An fd of level-triggered readiness for the application's event loop, made when first asked for.
 * Everything under the owner's lock. */
typedef struct kp_rt_ready {
	int fd;  /* -1 = nobody asked */
	bool up; /* readable */
} kp_rt_ready;

void kp_rt_ready_init(kp_rt_ready *r);
void kp_rt_ready_fini(kp_rt_ready *r);
int kp_rt_ready_fd(kp_rt_ready *r);            /* or a KP_E_ code < 0 */
void kp_rt_ready_set(kp_rt_ready *r, bool up); /* costs a system call on a change, if made */

/* What wakes a loop thread: an eventfd (the slot's, never closed), written at most once per turn.
 */
typedef struct kp_rt_kick {
	int fd;
	uint32_t pending; /* atomic: written and not yet taken */
} kp_rt_kick;

void kp_rt_kick_init(kp_rt_kick *k, int fd);
void kp_rt_kick_send(kp_rt_kick *k); /* any thread; what was stored before is seen by the taker */
void kp_rt_kick_now(const kp_rt_kick *k); /* async-signal-safe: always writes; keeps errno */
void kp_rt_kick_take(kp_rt_kick *k);      /* loop thread, before it looks at what was sent */

#ifdef __cplusplus
}
#endif
#endif
