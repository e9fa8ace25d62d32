/* A blocked call: a place in a FIFO and a semaphore of its own, so that waiters are served in
 * order, one at a time, and a signal handler on the waiting thread ends the wait (which a condition
 * variable does not do). */
#ifndef KP_RT_WAIT_H
#define KP_RT_WAIT_H

#include "base/err.h"
#include "base/list.h"

#include <pthread.h>
#if defined(__GLIBC__) && !defined(KP_RT_WAIT_PIPE)
#include <semaphore.h>
#else
#ifndef KP_RT_WAIT_PIPE
#define KP_RT_WAIT_PIPE 1
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* On the waiting thread's stack. All but the semaphore is guarded by the lock of the queue. */
typedef struct kp_rt_waiter {
	kp_list link;
	bool done; /* served: result is final */
	kp_err result;
#ifdef KP_RT_WAIT_PIPE
	int fd[2];
#else
	sem_t sem;
#endif
} kp_rt_waiter;

kp_err kp_rt_waiter_init(kp_rt_waiter *w); /* KP_E_LIMIT: no fds (pipe variant only) */
void kp_rt_waiter_fini(kp_rt_waiter *w);

/* With `lock` held and w in a list: sleeps until served, the deadline, or a signal; returns with
 * the lock held and w in no list. KP_E_TIMEDOUT, KP_E_INTR, else the server's result. */
kp_err kp_rt_wait(kp_rt_waiter *w, pthread_mutex_t *lock, kp_time deadline);

/* With the lock held: takes w out of its list and lets it return `result`. */
void kp_rt_serve(kp_rt_waiter *w, kp_err result);
void kp_rt_serve_all(kp_list *waiters, kp_err result);

static inline kp_rt_waiter *kp_rt_waiter_of(kp_list *link)
{
	return KP_CONTAINER_OF(link, kp_rt_waiter, link);
}

#ifdef __cplusplus
}
#endif
#endif
