/* Stop slots: what kp2p_stop may touch from a signal handler at any time, also after the node is
 * gone. A static table of (generation, state) words, each with an eventfd that wakes the node's
 * loop and is kept for the next node: it is never closed, so a late write can only wake somebody.
 */
#ifndef KP_RT_SLOT_H
#define KP_RT_SLOT_H

#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_RT_SLOTS 4096u

typedef struct kp_rt_slot {
	uint64_t word; /* generation << 2 | state; atomic */
	int fd;        /* atomic; 0 = not made yet */
	bool running;  /* its node has a loop thread; atomic */
} kp_rt_slot;

/* A free slot, now live. KP_E_LIMIT: all in use, or no fd left. */
kp_err kp_rt_slot_get(kp_rt_slot **out);
void kp_rt_slot_put(kp_rt_slot *s); /* its id is stale from now on */

int64_t kp_rt_slot_id(const kp_rt_slot *s); /* > 0; fixed until put */
int kp_rt_slot_fd(const kp_rt_slot *s);
bool kp_rt_slot_stopped(const kp_rt_slot *s); /* somebody called kp_rt_stop */
void kp_rt_slot_close(kp_rt_slot *s);         /* kp_rt_stop answers KP_E_CLOSED from now on */
void kp_rt_slot_run(kp_rt_slot *s, bool running);

/* Async-signal-safe, keeps errno. KP_E_CLOSED: closed or stale; KP_E_FORKED. */
kp_err kp_rt_stop(int64_t id);

/* Stops every live node and waits until none has a loop thread, at most this long. */
void kp_rt_stop_all(kp_time wait);

/* In the child of a fork: forgets all nodes of the parent and closes the copies of their eventfds.
 * Async-signal-safe. */
void kp_rt_slots_forked(void);

#ifdef __cplusplus
}
#endif
#endif
