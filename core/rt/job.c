/* Worker threads. A worker looks for new work for some microseconds before it sleeps: under load
 * the next batch comes sooner than a wake-up would. */
#include "rt/job.h"

#include <unistd.h>

#define JOB_SPIN_NS KP_US(20)

void kp_rt_jobs_init(kp_rt_jobs *j, kp_rt_kick *kick)
{
	memset(j, 0, sizeof *j);
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->wake, NULL);
	j->kick = kick;
	j->spin = sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

void kp_rt_jobs_fini(kp_rt_jobs *j)
{
	KP_ASSERT(j->n_threads == 0 && j->in_flight == 0);
	pthread_cond_destroy(&j->wake);
	pthread_mutex_destroy(&j->lock);
}

static void jobs_push(kp_rt_job_queue *q, kp_job *job)
{
	job->next = NULL;
	if (q->tail != NULL)
		q->tail->next = job;
	else
		q->head = job;
	q->tail = job;
	q->n++;
}

static kp_job *jobs_pop(kp_rt_job_queue *q)
{
	kp_job *job = q->head;
	if (job == NULL)
		return NULL;
	q->head = job->next;
	if (q->head == NULL)
		q->tail = NULL;
	q->n--;
	return job;
}

static void jobs_move(kp_rt_job_queue *to, kp_rt_job_queue *from)
{
	for (kp_job *job; (job = jobs_pop(from)) != NULL;)
		jobs_push(to, job);
}

static void jobs_publish_count(kp_rt_jobs *j)
{
	__atomic_store_n(&j->todo_n, j->todo.n, __ATOMIC_RELEASE);
}

static void jobs_spin(const kp_rt_jobs *j)
{
	kp_time end = kp_rt_now() + JOB_SPIN_NS;
	while (__atomic_load_n(&j->todo_n, __ATOMIC_ACQUIRE) == 0 &&
	       !__atomic_load_n(&j->stop, __ATOMIC_ACQUIRE) && kp_rt_now() < end)
		; /* at most JOB_SPIN_NS */
}

/* With the lock held: the next job, sleeping until there is one. NULL = stop. */
static kp_job *jobs_get(kp_rt_jobs *j)
{
	while (j->todo.n == 0 && !j->stop) {
		j->sleeping++;
		pthread_cond_wait(&j->wake, &j->lock);
		j->sleeping--;
	}
	kp_job *job = jobs_pop(&j->todo);
	jobs_publish_count(j);
	return job;
}

/* Each job is told of when it has run, not when the queue is empty: the loop works on with it
 * meanwhile, and one that is busy is kicked once for all of them. */
static void *jobs_worker(void *arg)
{
	kp_rt_jobs *j = (kp_rt_jobs *)arg;
	pthread_mutex_lock(&j->lock);
	for (kp_job *job; (job = jobs_get(j)) != NULL;) {
		pthread_mutex_unlock(&j->lock);
		job->run(job);
		pthread_mutex_lock(&j->lock);
		jobs_push(&j->done, job);
		bool more = j->todo.n > 0;
		pthread_mutex_unlock(&j->lock);
		kp_rt_kick_send(j->kick);
		if (!more && j->spin)
			jobs_spin(j);
		pthread_mutex_lock(&j->lock);
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

void kp_rt_jobs_start(kp_rt_jobs *j, unsigned workers)
{
	KP_ASSERT(j->n_threads == 0);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (workers == 0)
		workers = cores <= 2 ? 1 : (unsigned)KP_MIN(cores - 1, 4);
	workers = KP_MIN(workers, KP_RT_WORKERS_MAX);
	pthread_mutex_lock(&j->lock); /* a worker reads n_threads */
	__atomic_store_n(&j->stop, false, __ATOMIC_RELEASE);
	while (j->n_threads < workers &&
	       pthread_create(&j->threads[j->n_threads], NULL, jobs_worker, j) == 0)
		j->n_threads++;
	pthread_mutex_unlock(&j->lock);
}

void kp_rt_jobs_stop(kp_rt_jobs *j)
{
	pthread_mutex_lock(&j->lock);
	__atomic_store_n(&j->stop, true, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&j->wake);
	pthread_mutex_unlock(&j->lock);
	for (unsigned i = 0; i < j->n_threads; i++)
		pthread_join(j->threads[i], NULL);
	j->n_threads = 0;
	kp_rt_jobs_flush(j);
}

void kp_rt_jobs_add(kp_rt_jobs *j, kp_job *job)
{
	jobs_push(&j->batch, job);
	j->in_flight++;
}

void kp_rt_jobs_flush(kp_rt_jobs *j)
{
	if (j->batch.head == NULL)
		return;
	if (j->n_threads == 0) {
		for (kp_job *job; (job = jobs_pop(&j->batch)) != NULL;) {
			job->run(job);
			jobs_push(&j->done, job);
		}
		kp_rt_kick_send(j->kick);
		return;
	}
	pthread_mutex_lock(&j->lock);
	jobs_move(&j->todo, &j->batch);
	jobs_publish_count(j);
	unsigned wake = KP_MIN(j->sleeping, j->todo.n);
	pthread_mutex_unlock(&j->lock);
	while (wake-- > 0)
		pthread_cond_signal(&j->wake);
}

kp_job *kp_rt_jobs_take(kp_rt_jobs *j)
{
	if (j->in_flight == 0)
		return NULL;
	pthread_mutex_lock(&j->lock);
	kp_rt_job_queue q = j->done;
	memset(&j->done, 0, sizeof j->done);
	pthread_mutex_unlock(&j->lock);
	KP_ASSERT(j->in_flight >= q.n);
	j->in_flight -= q.n;
	return q.head;
}
