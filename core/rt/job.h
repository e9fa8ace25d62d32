/* Worker threads of one node, for the engine's jobs (signatures). Jobs are handed over in batches,
 * at the end of a pump, and come back the same way. Never uv_queue_work: that pool is process-wide.
 */
#ifndef KP_RT_JOB_H
#define KP_RT_JOB_H

#include "rt/sys.h"
#include "svc/svc.h"

#include <pthread.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KP_RT_WORKERS_MAX 64u

typedef struct kp_rt_job_queue { /* FIFO through kp_job.next */
	kp_job *head, *tail;
	uint32_t n;
} kp_rt_job_queue;

typedef struct kp_rt_jobs {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	kp_rt_job_queue todo, done; /* under the lock */
	uint32_t todo_n;            /* todo.n for those who spin; atomic */
	bool stop;                  /* atomic; written under the lock */
	unsigned sleeping;          /* under the lock */
	unsigned n_threads;         /* 0: jobs run in kp_rt_jobs_flush */
	bool spin;                  /* more than one core */
	kp_rt_kick *kick;
	kp_rt_job_queue batch; /* loop thread: added since the last flush */
	uint32_t in_flight;    /* loop thread: added and not yet taken back */
	pthread_t threads[KP_RT_WORKERS_MAX];
} kp_rt_jobs;

void kp_rt_jobs_init(kp_rt_jobs *j, kp_rt_kick *kick);
void kp_rt_jobs_fini(kp_rt_jobs *j); /* stopped, nothing in flight */

/* workers: 0 = cores - 1, within 1 to 4. Threads inherit the caller's signal mask: block all
 * before. Starting fewer than asked for, or none, is no error. */
void kp_rt_jobs_start(kp_rt_jobs *j, unsigned workers);
void kp_rt_jobs_stop(kp_rt_jobs *j); /* joins; jobs not begun are run on this thread */

void kp_rt_jobs_add(kp_rt_jobs *j, kp_job *job);
void kp_rt_jobs_flush(kp_rt_jobs *j);
kp_job *kp_rt_jobs_take(kp_rt_jobs *j); /* finished ones, linked by `next` */

#ifdef __cplusplus
}
#endif
#endif
