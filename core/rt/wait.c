/* Blocked calls: on glibc a semaphore each, waited for with sem_clockwait; elsewhere a pipe and
 * poll. Both report a signal handler that ran, with SA_RESTART too. The wait always has a time
 * limit: without one the kernel restarts the futex call and the handler goes unnoticed. */
#include "rt/wait.h"

#include "rt/sys.h"

#include <errno.h>
#include <time.h>
#ifdef KP_RT_WAIT_PIPE
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#endif

#define WAIT_LONGEST KP_SEC(UINT64_C(1000000000)) /* 31 years */

#ifndef KP_RT_WAIT_PIPE

kp_err kp_rt_waiter_init(kp_rt_waiter *w)
{
	kp_list_init(&w->link);
	w->done = false;
	w->result = KP_OK;
	return sem_init(&w->sem, 0, 0) == 0 ? KP_OK : KP_E_INTERNAL;
}

void kp_rt_waiter_fini(kp_rt_waiter *w)
{
	sem_destroy(&w->sem);
}

static void waiter_post(kp_rt_waiter *w)
{
	sem_post(&w->sem);
}

static kp_err waiter_sleep(kp_rt_waiter *w, kp_time until)
{
	struct timespec ts;
	ts.tv_sec = (time_t)(until / UINT64_C(1000000000));
	ts.tv_nsec = (long)(until % UINT64_C(1000000000));
	if (sem_clockwait(&w->sem, CLOCK_MONOTONIC, &ts) == 0)
		return KP_OK;
	return errno == EINTR ? KP_E_INTR : KP_E_TIMEDOUT;
}

#else

kp_err kp_rt_waiter_init(kp_rt_waiter *w)
{
	kp_list_init(&w->link);
	w->done = false;
	w->result = KP_OK;
	if (pipe(w->fd) != 0)
		return KP_E_LIMIT;
	fcntl(w->fd[0], F_SETFD, FD_CLOEXEC);
	fcntl(w->fd[1], F_SETFD, FD_CLOEXEC);
	return KP_OK;
}

void kp_rt_waiter_fini(kp_rt_waiter *w)
{
	close(w->fd[0]);
	close(w->fd[1]);
}

static void waiter_post(kp_rt_waiter *w)
{
	ssize_t r = write(w->fd[1], "", 1);
	(void)r;
}

static kp_err waiter_sleep(kp_rt_waiter *w, kp_time until)
{
	kp_time now = kp_rt_now();
	kp_time ms = kp_time_sub(until, now) / KP_MS(1) + 1;
	struct pollfd p = {w->fd[0], POLLIN, 0};
	int r = poll(&p, 1, now >= until ? 0 : (int)KP_MIN(ms, KP_SEC(1) * 2));
	if (r > 0)
		return KP_OK;
	return r < 0 && errno == EINTR ? KP_E_INTR : KP_E_TIMEDOUT;
}

#endif

kp_err kp_rt_wait(kp_rt_waiter *w, pthread_mutex_t *lock, kp_time deadline)
{
	KP_ASSERT(kp_list_linked(&w->link) && !w->done);
	pthread_mutex_unlock(lock);
	kp_time until = KP_MIN(deadline, kp_time_add(kp_rt_now(), WAIT_LONGEST));
	kp_err slept = waiter_sleep(w, until);
	pthread_mutex_lock(lock);
	if (w->done)
		return w->result; /* served while the sleep ended for another reason */
	KP_ASSERT(slept != KP_OK);
	kp_list_del(&w->link);
	return slept;
}

void kp_rt_serve(kp_rt_waiter *w, kp_err result)
{
	KP_ASSERT(!w->done);
	kp_list_del(&w->link);
	w->done = true;
	w->result = result;
	waiter_post(w); /* under the lock: the waiter frees its semaphore only after taking it */
}

void kp_rt_serve_all(kp_list *waiters, kp_err result)
{
	while (!kp_list_empty(waiters))
		kp_rt_serve(kp_rt_waiter_of(waiters->next), result);
}
