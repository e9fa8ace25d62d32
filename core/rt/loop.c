/* The loop of a node: libuv's callbacks only feed facts; once per turn a uv_prepare hands the
 * application's commands to the engine, carries out its actions, gives out events and arms the one
 * timer. */
#include "rt/netif.h"
#include "rt/node.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define LOOP_ACTS_MAX 4096u /* actions of one turn: then sockets are looked at again */
#define LOOP_FEED     64u   /* messages given to the engine before it may act … */
#define LOOP_FEED_BYTES                                                                            \
	262144u            /* … or bytes of them: the first go out while the rest is worked on */
#define LOOP_FEEDS_MAX 16u /* of these per turn */
/* a full network is asked again after this long at the latest */
#define LOOP_BLOCKED_RETRY KP_MS(20)
#define LOOP_STOP_DRAIN    KP_MS(2000) /* kp2p_stop */
#define LOOP_RESEED        KP_SEC(3600)

/* --- events --- */

void kp_rt_loop_flush(kp_rt *rt)
{
	if (rt->n_events == 0)
		return;
	kp_rt_cmd_events(&rt->cmd, kp_rt_now(), rt->events, rt->n_events);
	kp_event *dropped = kp_rt_inbox_put(&rt->inbox, rt->events, rt->n_events);
	rt->n_events = 0;
	while (dropped != NULL) {
		kp_event *next = dropped->next;
		dropped->next = rt->dropped;
		rt->dropped = dropped;
		dropped = next;
	}
}

void kp_rt_loop_emit(kp_rt *rt, kp_event *ev)
{
	KP_ASSERT(ev->inbox < KP_RT_INBOXES);
	if (rt->n_events == KP_RT_EVENTS)
		kp_rt_loop_flush(rt);
	rt->events[rt->n_events++] = ev;
}

void kp_rt_loop_free_dropped(kp_rt *rt)
{
	while (rt->dropped != NULL) {
		kp_event *ev = rt->dropped;
		rt->dropped = ev->next;
		kp_event_free(ev);
	}
}

static void loop_on_hold(void *ctx, unsigned box, bool hold)
{
	kp_rt *rt = (kp_rt *)ctx;
	kp_engine_hold_direct(rt->e, kp_rt_now(), (uint16_t)box, hold);
}

/* Nobody will give a verdict on a VALIDATE event that was dropped: ignore the message now. */
static void loop_settle_dropped(kp_rt *rt)
{
	for (kp_event *ev = rt->dropped; ev != NULL; ev = ev->next) {
		if (ev->type != KP_EV_VALIDATE)
			continue;
		kp_rt_cmd_forget_verdict(&rt->cmd, ev->token);
		(void)kp_engine_verdict(rt->e, kp_rt_now(), ev->token, KP_IGNORE);
		rt->more = true;
	}
	kp_rt_loop_free_dropped(rt);
}

/* --- actions --- */

static void loop_do(kp_rt *rt, const kp_act *act)
{
	switch (act->kind) {
	case KP_ACT_JOB:
		kp_rt_jobs_add(&rt->jobs, act->u.job);
		break;
	case KP_ACT_EVENT:
		if (act->u.event->type == KP_EV_CLOSED)
			kp_event_free(act->u.event); /* every inbox tells it at its end */
		else if (act->u.event->type == KP_EV_LOG)
			kp_rt_log_take(rt, act->u.event);
		else
			kp_rt_loop_emit(rt, act->u.event);
		break;
	case KP_ACT_RESOLVE:
		kp_rt_dns_resolve(&rt->dns, act->id, act->u.dns.kind, act->u.dns.name);
		break;
	default: {
		bool done = kp_rt_tcp_do(&rt->tcp, act);
		KP_ASSERT(done);
		break;
	}
	}
}

void kp_rt_loop_act(kp_rt *rt)
{
	kp_act act;
	for (unsigned i = 0; kp_engine_poll(rt->e, kp_rt_now(), &act); i++) {
		loop_do(rt, &act);
		if (i == LOOP_ACTS_MAX) {
			rt->more = true;
			break;
		}
	}
	kp_rt_jobs_flush(&rt->jobs);
}

/* --- the outbox --- */

/* Gives the engine the next messages it has room for, at most `max`, and no more once they have
 * bytes_max bytes. False: it has none, or nothing
 * is staged. */
static bool loop_feed(kp_rt *rt, uint64_t max, uint64_t bytes_max)
{
	uint32_t n = 0;
	uint64_t bytes = 0;
	rt->blocked = false;
	while (rt->staged != NULL && n < max && bytes < bytes_max) {
		kp_pub *p = rt->staged;
		kp_time now = kp_rt_now();
		bool direct = memchr(p->topic.p, 0, p->topic.n) != NULL;
		if (direct ? !kp_engine_send_ready(rt->e, now, p)
		           : !kp_engine_publish_ready(rt->e, now, p)) {
			rt->blocked = true;
			break;
		}
		rt->staged = p->next;
		if (rt->staged == NULL)
			rt->staged_tail = NULL;
		p->next = NULL;
		rt->unstaged++;
		n++;
		bytes += kp_rt_pub_bytes(p);
		if (direct)
			kp_engine_send(rt->e, now, p);
		else
			kp_engine_publish(rt->e, now, p);
	}
	if (n > 0)
		kp_rt_cmd_sent(&rt->cmd, n, bytes);
	return n > 0;
}

static void loop_feed_all(kp_rt *rt)
{
	for (unsigned i = 0; loop_feed(rt, LOOP_FEED, LOOP_FEED_BYTES); i++) {
		kp_rt_loop_act(rt);
		if (i == LOOP_FEEDS_MAX) {
			rt->more = true;
			return;
		}
	}
}

/* --- commands --- */

/* The fate of a message that never reached the engine. Takes p over. */
static void loop_fail_pub(kp_rt *rt, kp_pub *p, kp_err err)
{
	kp_event *ev = p->done;
	p->done = NULL;
	bool direct = memchr(p->topic.p, 0, p->topic.n) != NULL;
	if (ev == NULL && !direct)
		ev = kp_event_new(rt->pool, KP_EV_PUBLISHED, p->topic.n);
	if (ev != NULL) {
		ev->token = p->token;
		ev->code = err;
		ev->time_ns = kp_rt_wall();
		if (!direct)
			kp_event_copy(ev, KP_F_TOPIC, p->topic);
		kp_rt_loop_emit(rt, ev);
	}
	kp_pub_free(p);
}

static void loop_fail_req(kp_rt *rt, kp_rt_req *r, kp_err err)
{
	if (r->kind == KP_RT_INFO) {
		kp_rt_cmd_answer(&rt->cmd, r, kp_rt_info_now(rt, r->arg, r->mem, &r->answer));
		return;
	}
	kp_event *ev = r->done;
	r->done = NULL;
	if (ev != NULL) {
		ev->code = err;
		ev->time_ns = kp_rt_wall();
		kp_event_copy(ev, KP_F_TEXT, kp_slice_str(kp_err_text(err)));
		kp_rt_loop_emit(rt, ev);
	} else if (r->kind == KP_RT_REQUEST) {
		kp_rt_cmd_done_silent(&rt->cmd, 1);
	}
	kp_rt_req_free(&rt->cmd, r);
}

/* Takes the staged message with this token out; NULL = the engine has it. */
static kp_pub *loop_unstage(kp_rt *rt, int64_t token)
{
	kp_pub *before = NULL;
	for (kp_pub *p = rt->staged; p != NULL; before = p, p = p->next) {
		if (p->token != token)
			continue;
		if (before != NULL)
			before->next = p->next;
		else
			rt->staged = p->next;
		if (rt->staged_tail == p)
			rt->staged_tail = before;
		rt->unstaged++;
		return p;
	}
	return NULL;
}

static void loop_cancel(kp_rt *rt, int64_t token)
{
	kp_rt_token_kind kind;
	if (!kp_rt_cmd_token_kind(&rt->cmd, token, &kind))
		return; /* it has come to its end meanwhile */
	kp_pub *p = kind != KP_RT_TOKEN_REQUEST ? loop_unstage(rt, token) : NULL;
	if (p == NULL) {
		(void)kp_engine_cancel(rt->e, kp_rt_now(), token);
		return;
	}
	uint64_t bytes = kp_rt_pub_bytes(p);
	loop_fail_pub(rt, p, KP_E_CANCELED);
	kp_rt_cmd_sent(&rt->cmd, 1, bytes);
}

static void loop_request(kp_rt *rt, kp_rt_req *r)
{
	kp_request q;
	memset(&q, 0, sizeof q);
	q.op = r->op;
	q.arg = r->arg;
	q.data = r->data;
	q.token = r->token;
	q.deadline = r->deadline;
	q.done = r->done;
	bool silent = r->done == NULL;
	r->done = NULL;
	/* what was published before it goes first, unless the network is full */
	if (r->after > rt->unstaged)
		loop_feed(rt, r->after - rt->unstaged, UINT64_MAX);
	kp_engine_request(rt->e, kp_rt_now(), &q);
	if (silent)
		kp_rt_cmd_done_silent(&rt->cmd, 1);
}

static void loop_command(kp_rt *rt, kp_rt_req *r)
{
	switch (r->kind) {
	case KP_RT_REQUEST:
		loop_request(rt, r);
		break;
	case KP_RT_CANCEL:
		loop_cancel(rt, r->token);
		break;
	case KP_RT_VERDICT:
		(void)kp_engine_verdict(rt->e, kp_rt_now(), r->token, r->verdict);
		break;
	case KP_RT_INFO:
		kp_rt_cmd_answer(&rt->cmd, r, kp_rt_info_now(rt, r->arg, r->mem, &r->answer));
		return; /* r has gone with its thread's stack */
	}
	kp_rt_req_free(&rt->cmd, r);
}

static void loop_stage(kp_rt *rt, kp_pub *chain)
{
	if (chain == NULL)
		return;
	if (rt->staged_tail != NULL)
		rt->staged_tail->next = chain;
	else
		rt->staged = chain;
	while (chain->next != NULL)
		chain = chain->next;
	rt->staged_tail = chain;
}

static void loop_take_commands(kp_rt *rt)
{
	kp_list reqs;
	kp_list_init(&reqs);
	loop_stage(rt, kp_rt_cmd_take(&rt->cmd, &reqs));
	while (!kp_list_empty(&reqs))
		loop_command(rt, KP_CONTAINER_OF(kp_list_take(&reqs), kp_rt_req, link));
}

static void loop_fail_staged(kp_rt *rt)
{
	uint32_t n = 0;
	uint64_t bytes = 0;
	while (rt->staged != NULL) {
		kp_pub *p = rt->staged;
		rt->staged = p->next;
		rt->unstaged++;
		n++;
		bytes += kp_rt_pub_bytes(p);
		loop_fail_pub(rt, p, KP_E_CLOSED);
	}
	rt->staged_tail = NULL;
	if (n > 0)
		kp_rt_cmd_sent(&rt->cmd, n, bytes);
}

void kp_rt_loop_fail_queued(kp_rt *rt)
{
	kp_list reqs;
	kp_list_init(&reqs);
	loop_stage(rt, kp_rt_cmd_take(&rt->cmd, &reqs));
	loop_fail_staged(rt);
	while (!kp_list_empty(&reqs))
		loop_fail_req(rt, KP_CONTAINER_OF(kp_list_take(&reqs), kp_rt_req, link),
		              KP_E_CLOSED);
}

/* --- stopping --- */

static void loop_begin_stop(kp_rt *rt, kp_time now, kp_time by)
{
	rt->stopping = true;
	kp_rt_cmd_shut(&rt->cmd);
	kp_rt_info_snapshot(rt);
	rt->stop_at = by;
	/* half of the budget for what is queued here, the rest for the engine's queues and goodbyes
	 */
	rt->outbox_until = kp_time_add(now, kp_time_sub(by, now) / 2);
}

/* When the node has to be gone; KP_NEVER = nobody asked. */
static kp_time loop_stop_by(kp_rt *rt)
{
	kp_time by = __atomic_load_n(&rt->stop_by, __ATOMIC_ACQUIRE);
	if (!rt->slot_stop && kp_rt_slot_stopped(rt->slot)) {
		rt->slot_stop = true;
		rt->slot_by = kp_time_add(kp_rt_now(), LOOP_STOP_DRAIN);
	}
	return rt->slot_stop ? KP_MIN(by, rt->slot_by) : by;
}

static void loop_check_stop(kp_rt *rt)
{
	kp_time by = loop_stop_by(rt);
	if (!rt->stopping) {
		if (by == KP_NEVER)
			return;
		loop_begin_stop(rt, kp_rt_now(), by);
	}
	if (by < rt->stop_at) { /* somebody is in more of a hurry */
		kp_time now = kp_rt_now();
		rt->stop_at = by;
		rt->outbox_until = KP_MIN(rt->outbox_until, by);
		if (rt->engine_stopping)
			kp_engine_stop(rt->e, now, kp_time_sub(by, now));
	}
	if (rt->engine_stopping)
		return;
	loop_take_commands(rt);
	kp_time now = kp_rt_now(); /* after the commands */
	if (rt->staged != NULL && now < rt->outbox_until)
		return;
	loop_fail_staged(rt);
	rt->engine_stopping = true;
	kp_engine_stop(rt->e, now, kp_time_sub(rt->stop_at, now));
}

/* --- one turn --- */

static void loop_take_jobs(kp_rt *rt)
{
	for (kp_job *job = kp_rt_jobs_take(&rt->jobs); job != NULL;) {
		kp_job *next = job->next;
		kp_engine_on_job_done(rt->e, kp_rt_now(), job);
		job = next;
	}
}

/* Nobody was blocked when kp_rt_wake was called: the next one who would block is not. */
static void loop_check_wake(kp_rt *rt)
{
	if (!kp_rt_flag_take(&rt->wake))
		return;
	bool any = kp_rt_cmd_interrupt(&rt->cmd);
	any |= kp_rt_inbox_interrupt(&rt->inbox);
	pthread_mutex_lock(&rt->life);
	any |= !kp_list_empty(&rt->closers);
	kp_rt_serve_all(&rt->closers, KP_E_INTR);
	pthread_mutex_unlock(&rt->life);
	if (!any)
		__atomic_store_n(&rt->wake_next, 1, __ATOMIC_RELEASE);
}

static void loop_reseed(kp_rt *rt, kp_time now)
{
	uint8_t seed[32];
	if (now < rt->reseed_at)
		return;
	rt->reseed_at = kp_time_add(now, LOOP_RESEED);
	if (kp_rt_seed(seed, sizeof seed) == KP_OK)
		kp_engine_reseed(rt->e, seed);
	kp_mem_wipe(seed, sizeof seed);
}

static void loop_on_timer(uv_timer_t *t)
{
	kp_rt *rt = (kp_rt *)t->data;
	kp_engine_on_tick(rt->e, kp_rt_now());
}

static void loop_arm(kp_rt *rt)
{
	kp_time now = kp_rt_now();
	kp_time at = KP_MIN(kp_engine_deadline(rt->e), rt->tcp.accept_again);
	at = KP_MIN(at, rt->stats_at);
	if (rt->blocked)
		at = KP_MIN(at, kp_time_add(now, LOOP_BLOCKED_RETRY));
	if (rt->stopping && !rt->engine_stopping)
		at = KP_MIN(at, rt->outbox_until);
	if (rt->more)
		at = now;
	rt->more = false;
	if (at == KP_NEVER) {
		uv_timer_stop(&rt->timer);
		return;
	}
	/* rounded up: an engine that is called too early would only be called again */
	uint64_t ms = (kp_time_sub(at, now) + KP_MS(1) - 1) / KP_MS(1);
	uv_update_time(&rt->loop);
	uv_timer_start(&rt->timer, loop_on_timer, ms, 0);
}

void kp_rt_loop_turn(kp_rt *rt)
{
	bool running = kp_rt_get_state(rt) == RT_RUNNING; /* not while a failed start is undone */
	rt->turns++;
	kp_pool_drain(rt->pool);
	kp_rt_tcp_turn(&rt->tcp, kp_rt_now());
	loop_take_jobs(rt);
	if (running) {
		loop_take_commands(rt);
		loop_check_stop(rt);
		loop_reseed(rt, kp_rt_now());
		kp_rt_log_stats(rt, kp_rt_now());
	}
	kp_rt_loop_act(rt);
	if (running && !rt->engine_stopping)
		loop_feed_all(rt);
	if (running) {
		kp_rt_loop_flush(rt);
		kp_rt_inbox_hold(&rt->inbox, loop_on_hold, rt);
		loop_settle_dropped(rt);
		kp_rt_wakeup_fire(rt, false);
		loop_check_wake(rt);
	}
	loop_arm(rt);
	if (rt->engine_stopping && kp_engine_stopped(rt->e) && rt->jobs.in_flight == 0)
		uv_stop(&rt->loop);
}

static void loop_on_prepare(uv_prepare_t *p)
{
	kp_rt_loop_turn((kp_rt *)p->data);
}

static void loop_on_kick(uv_poll_t *p, int status, int events)
{
	kp_rt *rt = (kp_rt *)p->data;
	(void)status;
	(void)events;
	kp_rt_kick_take(&rt->kick); /* what it was for is looked at every turn */
}

/* --- opening and closing --- */

/* libuv opens an epoll and, with the first loop of a process, a pipe for signals: it aborts the
 * process when it gets no pipe. */
#define LOOP_FDS 3

static bool loop_has_fds(void)
{
	int fds[LOOP_FDS], n = 0;
	while (n < LOOP_FDS && (fds[n] = eventfd(0, EFD_CLOEXEC)) >= 0)
		n++;
	for (int i = 0; i < n; i++)
		close(fds[i]);
	return n == LOOP_FDS;
}

kp_err kp_rt_loop_open(kp_rt *rt)
{
	int r = loop_has_fds() ? uv_loop_init(&rt->loop) : UV_EMFILE;
	if (r != 0)
		return kp_rt_net_err(r);
	uv_prepare_init(&rt->loop, &rt->pump);
	uv_timer_init(&rt->loop, &rt->timer);
	if (uv_poll_init(&rt->loop, &rt->kicked, rt->kick.fd) != 0) {
		uv_close((uv_handle_t *)&rt->pump, NULL);
		uv_close((uv_handle_t *)&rt->timer, NULL);
		uv_run(&rt->loop, UV_RUN_DEFAULT);
		uv_loop_close(&rt->loop);
		return KP_E_LIMIT;
	}
	rt->pump.data = rt->timer.data = rt->kicked.data = rt;
	uv_prepare_start(&rt->pump, loop_on_prepare);
	uv_poll_start(&rt->kicked, UV_READABLE, loop_on_kick);
	kp_rt_tcp_init(&rt->tcp, &rt->loop, rt->e, &rt->mem);
	kp_rt_dns_init(&rt->dns, &rt->loop, rt->e, &rt->mem);
	rt->stop_at = KP_NEVER;
	rt->reseed_at = kp_time_add(kp_rt_now(), LOOP_RESEED);
	kp_time every = rt->s->stats_interval_ns;
	bool stats = (rt->s->events & KP_EVENTS_STATS) != 0 && every > 0;
	rt->stats_at = stats ? kp_time_add(kp_rt_now(), every) : KP_NEVER;
	return KP_OK;
}

void kp_rt_loop_close(kp_rt *rt)
{
	uv_close((uv_handle_t *)&rt->pump, NULL);
	uv_close((uv_handle_t *)&rt->timer, NULL);
	uv_close((uv_handle_t *)&rt->kicked, NULL);
	kp_rt_tcp_abort(&rt->tcp);
	kp_rt_dns_close(&rt->dns);
	uv_run(&rt->loop, UV_RUN_DEFAULT); /* only close callbacks are left */
	KP_ASSERT(rt->dns.open == 0);
	kp_rt_tcp_fini(&rt->tcp);
	int closed = uv_loop_close(&rt->loop);
	KP_ASSERT(closed == 0);
	(void)closed;
}
