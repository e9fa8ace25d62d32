/* The inside of kp_rt, shared by the files of core/rt only.
 *
 * Locks, never two at once except life before any other: `life` (state, joining), cmd.lock,
 * inbox.lock, jobs.lock, wakeup.lock (held while the application's callback runs). The engine,
 * libuv and what is marked "loop" belong to the loop thread; before start and during it, to who
 * holds `life`. */
#ifndef KP_RT_NODE_H
#define KP_RT_NODE_H

#include "rt/cmd.h"
#include "rt/dns.h"
#include "rt/inbox.h"
#include "rt/job.h"
#include "rt/rt.h"
#include "rt/tcp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_RT_EVENTS 256u /* gathered before they are given out */
#define KP_RT_SNAPS  9u

typedef enum kp_rt_state { RT_NEW, RT_RUNNING, RT_CLOSED } kp_rt_state;

typedef struct kp_rt_wakeup {
	pthread_mutex_t lock; /* held while cb runs */
	kp_rt_wakeup_fn cb;
	void *ud;
	bool fresh; /* told about what already holds is still due */
} kp_rt_wakeup;

struct kp_rt {
	uint32_t refs;            /* atomic */
	uint32_t wake, wake_next; /* atomic: kp_rt_wake was called; nobody was blocked then */
	uint32_t state;           /* kp_rt_state; atomic, written under life */
	uint64_t stop_by;         /* end of the goodbye's budget, KP_NEVER = not asked; atomic */
	uint32_t pins;            /* threads that take blocks from the pool now; atomic */
	uint32_t pool_gone;       /* atomic */
	kp_mem mem;               /* the host's own objects: no budget */
	kp_config *cfg;
	const kp_settings *s; /* of cfg */
	kp_pool *pool;
	kp_rt_slot *slot;
	kp_rt_kick kick;

	pthread_mutex_t life;
	kp_list closers; /* kp_rt_waiter */
	bool left;       /* the user's handle is gone */
	bool joined;     /* or detached */
	pthread_t thread;
	uintptr_t loop_thread;    /* its pthread_self, 0 = it does not run; atomic */
	char *snaps[KP_RT_SNAPS]; /* `info` once closed */

	kp_rt_cmd cmd;
	kp_rt_inboxes inbox;
	kp_rt_jobs jobs;
	kp_rt_wakeup wakeup;

	/* loop */
	kp_crypto *crypto;
	kp_engine *e;
	uv_loop_t loop;
	uv_prepare_t pump;
	uv_timer_t timer;
	uv_poll_t kicked;
	kp_rt_tcp tcp;
	kp_rt_dns dns;
	kp_pub *staged, *staged_tail; /* taken from the outbox, not yet given to the engine */
	uint64_t unstaged;            /* messages that have left staged, in all */
	kp_event *events[KP_RT_EVENTS];
	size_t n_events;
	kp_event *dropped;    /* by an inbox; freed, and VALIDATEs answered, by the pump */
	bool more;            /* the next turn must come at once */
	bool blocked;         /* the engine has no room for staged */
	bool stopping;        /* begun: nothing is accepted */
	bool slot_stop;       /* kp_rt_stop was called … */
	bool engine_stopping; /* kp_engine_stop was called */
	kp_time stop_at;      /* the budget the engine knows of */
	kp_time slot_by;      /* … and ends the node by then */
	kp_time outbox_until; /* while stopping: staged messages may go to the engine */
	kp_time reseed_at, stats_at;
	uint64_t turns;
	bool log_stderr;
};

/* loop.c */
void kp_rt_loop_act(kp_rt *rt);                /* carries out what the engine asks for */
void kp_rt_loop_turn(kp_rt *rt);               /* one pump */
void kp_rt_loop_emit(kp_rt *rt, kp_event *ev); /* gathers an event */
void kp_rt_loop_flush(kp_rt *rt);              /* gives out what was gathered */
void kp_rt_loop_fail_queued(kp_rt *rt);        /* messages and requests end with KP_E_CLOSED */
void kp_rt_loop_free_dropped(kp_rt *rt);
kp_err kp_rt_loop_open(kp_rt *rt);
void kp_rt_loop_close(kp_rt *rt); /* closes every handle and the loop */
void *kp_rt_loop_main(void *rt);

/* life.c */
kp_err kp_rt_make_engine(kp_rt *rt, char *text, size_t cap);
void kp_rt_end(kp_rt *rt); /* the engine's end: what is common to a running and an unstarted node */

/* info.c */
kp_err kp_rt_info_now(kp_rt *rt, kp_slice what, kp_mem *mem, char **out);
void kp_rt_info_snapshot(kp_rt *rt);
void kp_rt_info_free(kp_rt *rt);

/* wakeup.c */
void kp_rt_wakeup_init(kp_rt_wakeup *w);
void kp_rt_wakeup_fini(kp_rt_wakeup *w);
void kp_rt_wakeup_fire(kp_rt *rt, bool closed);

/* log.c */
void kp_rt_log_open(kp_rt *rt);               /* after each kp_engine_new */
void kp_rt_log_take(kp_rt *rt, kp_event *ev); /* a LOG event of the engine's; takes it over */
void kp_rt_log_stats(kp_rt *rt, kp_time now); /* the STATS event, when due */

static inline bool kp_rt_on_loop_thread(const kp_rt *rt)
{
	return __atomic_load_n(&rt->loop_thread, __ATOMIC_ACQUIRE) == (uintptr_t)pthread_self();
}

/* Blocks may be taken from the pool between the two. False: too late, the node is closed. */
bool kp_rt_pin(kp_rt *rt);
void kp_rt_unpin(kp_rt *rt);
static inline bool kp_rt_pool_is_gone(const kp_rt *rt)
{
	return __atomic_load_n(&rt->pool_gone, __ATOMIC_SEQ_CST) != 0;
}

static inline kp_rt_state kp_rt_get_state(const kp_rt *rt)
{
	return (kp_rt_state)__atomic_load_n(&rt->state, __ATOMIC_ACQUIRE);
}

#ifdef __cplusplus
}
#endif
#endif
