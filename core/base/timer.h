/* Intrusive timers in one heap per engine, ordered by (deadline, order of setting): ties are
 * resolved the same way in every run. The host arms one OS timer for kp_timers_next. */
#ifndef KP_BASE_TIMER_H
#define KP_BASE_TIMER_H

#include "base/err.h"
#include "base/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_timer kp_timer;
typedef void (*kp_timer_fn)(kp_timer *t, kp_time now);

struct kp_timer {
	kp_time at;
	uint64_t seq;
	uint32_t pos;     /* 1-based place in the heap, 0 = not set */
	kp_timer_fn fire; /* by kp_timers_run, the timer already unset; may set it again */
};

typedef struct kp_timers {
	kp_timer **heap;
	uint32_t n, cap; /* set now; reserved (n ≤ cap) */
	uint32_t room;   /* slots allocated, ≥ cap */
	uint64_t seq;
	kp_time floor; /* inside kp_timers_run: now + 1, so that what is set there waits its turn */
	kp_mem *mem;
} kp_timers;

void kp_timers_init(kp_timers *ts, kp_mem *mem);
void kp_timers_fini(kp_timers *ts); /* asserts that no timer is set */

void kp_timer_init(kp_timer *t, kp_timer_fn fire);

/* Reserves room, so that kp_timer_set never fails: each object that embeds timers calls it once
 * with their number when it is created, and kp_timers_release when it goes. */
kp_err kp_timers_reserve(kp_timers *ts, uint32_t n);
void kp_timers_release(kp_timers *ts, uint32_t n);

/* Replaces an earlier deadline; KP_NEVER unsets. From inside kp_timers_run a deadline that has
 * passed already counts as due just after that run's now. */
void kp_timer_set(kp_timers *ts, kp_timer *t, kp_time at);
void kp_timer_unset(kp_timers *ts, kp_timer *t); /* no-op when not set */

static inline bool kp_timer_is_set(const kp_timer *t)
{
	return t->pos != 0;
}

kp_time kp_timers_next(const kp_timers *ts); /* KP_NEVER when none */

/* Fires everything due at `now`, each at most once per call. */
void kp_timers_run(kp_timers *ts, kp_time now);

#ifdef __cplusplus
}
#endif
#endif
