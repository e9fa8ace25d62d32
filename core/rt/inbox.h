/* The numbered inboxes: bounded queues of events from the loop thread to the application's. What
 * does not fit is dropped by policy, counted, and told by one DROPPED event; final events of tokens
 * have room of their own (cmd.h bounds their number) and are never dropped. */
#ifndef KP_RT_INBOX_H
#define KP_RT_INBOX_H

#include "engine/config.h"
#include "rt/sys.h"
#include "rt/wait.h"
#include "svc/event.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_RT_INBOXES 1024u

typedef struct kp_rt_inbox_limits {
	uint32_t max_messages; /* per inbox */
	uint64_t max_bytes;    /* per inbox */
	uint64_t total_bytes;  /* all inboxes */
	kp_inbox_policy policy;
} kp_rt_inbox_limits;

typedef struct kp_rt_inbox kp_rt_inbox;

typedef struct kp_rt_inboxes {
	pthread_mutex_t lock; /* for all inboxes */
	kp_mem *mem;
	kp_pool *pool; /* DROPPED events come from it */
	kp_rt_inbox_limits limits;
	kp_rt_inbox *box[KP_RT_INBOXES];     /* made when first used */
	uint64_t total_bytes;                /* of droppable events */
	uint64_t filled[KP_RT_INBOXES / 64]; /* were empty and are not any more: wake-ups due */
	bool any_filled;
	/* policy KP_INBOX_BLOCK: got direct messages since the loop looked; over its bounds */
	uint64_t direct[KP_RT_INBOXES / 64], held[KP_RT_INBOXES / 64];
	uint32_t n_held;
	bool eased;       /* a held one has room again: the loop has been told */
	kp_rt_kick *kick; /* the loop; may be NULL without KP_INBOX_BLOCK */
	bool started, closed;
	uint32_t *wake_next; /* atomic, the node's: the next call that would block is KP_E_INTR */
	/* events, stats: offered = delivered (taken by the application) + dropped + waiting */
	uint64_t offered, delivered, dropped;
} kp_rt_inboxes;

kp_err kp_rt_inboxes_init(kp_rt_inboxes *in, kp_mem *mem, kp_pool *pool, uint32_t *wake_next,
                          const kp_rt_inbox_limits *limits);
void kp_rt_inboxes_fini(kp_rt_inboxes *in); /* frees what is left in them */
void kp_rt_inboxes_start(kp_rt_inboxes *in);

/* --- any thread --- */

/* What one take may return, and what it returned. */
typedef struct kp_rt_take {
	kp_event **out;
	size_t max;
	size_t bytes_max;         /* of packed records; SIZE_MAX = not packed */
	size_t needed;            /* KP_E_TOOBIG: size of the first record */
	uint32_t sent, requested; /* records to give back: kp_rt_cmd_read */
} kp_rt_take;

/* Takes events, waiting for the first until the deadline (0 = do not wait). > 0: how many. 0: none
 * within the time. KP_E_CLOSED, KP_E_INTR, KP_E_STATE (a wait before start), KP_E_TOOBIG,
 * KP_E_NOMEM. box < KP_RT_INBOXES. */
int kp_rt_inbox_take(kp_rt_inboxes *in, unsigned box, kp_time deadline, kp_rt_take *t);
int kp_rt_inbox_fd(kp_rt_inboxes *in, unsigned box); /* or a KP_E_ code */

/* Size of the packed record of an event. */
size_t kp_rt_packed_size(const kp_event *ev);
#define KP_RT_PACKED_HEAD 88u

/* --- loop thread --- */

/* Gives n events, in order. Returns the dropped ones (linked by `next`), for the caller to free. */
kp_event *kp_rt_inbox_put(kp_rt_inboxes *in, kp_event *const *evs, size_t n);

/* KP_INBOX_BLOCK: for each inbox that got direct messages since the last call, or whose state has
 * changed, fn(ctx, box, hold), without the lock: whether their streams must wait. They wait from
 * when a bound is reached until all have fallen to 3/4. */
void kp_rt_inbox_hold(kp_rt_inboxes *in, void (*fn)(void *ctx, unsigned box, bool hold), void *ctx);

/* Inboxes that were filled since the last call, or with `all` those that are not empty: calls
 * fn(ctx, box) without the lock. */
void kp_rt_inbox_filled(kp_rt_inboxes *in, bool all, void (*fn)(void *ctx, int box), void *ctx);

bool kp_rt_inbox_interrupt(kp_rt_inboxes *in); /* waiters return KP_E_INTR; false = none waited */

/* Nothing more will be put: pending DROPPED events are made, waiters return. Any thread, once. */
void kp_rt_inbox_close(kp_rt_inboxes *in);

typedef struct kp_rt_inbox_stats {
	uint64_t waiting, bytes; /* now; bytes of the droppable ones */
	uint64_t offered, delivered, dropped;
} kp_rt_inbox_stats;
void kp_rt_inbox_get_stats(kp_rt_inboxes *in, kp_rt_inbox_stats *out);

#ifdef __cplusplus
}
#endif
#endif
