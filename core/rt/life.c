/* The life of a node: new, start, close, leave, and who frees it. */
#include "rt/node.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>

#define LIFE_LEAVE_DRAIN KP_MS(2000) /* goodbye of a node whose handle was dropped or stopped */
#define LIFE_UNDO_TURNS  10000u

/* --- new --- */

/* Without a key in the config one is made here and kept in the node's copy, so that a start that is
 * tried again has the same peer id. */
static kp_err life_make_identity(kp_rt *rt, char *text, size_t cap)
{
	kp_identity id;
	char key[KP_IDENTITY_TEXT_MAX];
	if (rt->s->has_identity)
		return KP_OK;
	kp_identity_generate(rt->crypto, &id);
	size_t n = kp_identity_text(&id, key);
	kp_err err =
	        kp_config_set(rt->cfg, kp_slice_str("identity"), kp_slice_of(key, n), text, cap);
	kp_mem_wipe(key, sizeof key);
	kp_identity_wipe(&id);
	return err;
}

kp_err kp_rt_make_engine(kp_rt *rt, char *text, size_t cap)
{
	uint8_t seed[32];
	kp_err err = kp_rt_seed(seed, sizeof seed);
	if (err != KP_OK) {
		snprintf(text, cap, "the system gave no random bytes");
		return err;
	}
	err = kp_engine_new(rt->cfg, seed, rt->pool, rt->crypto, kp_rt_now(), kp_rt_wall(), &rt->e,
	                    text, cap);
	kp_mem_wipe(seed, sizeof seed);
	if (err == KP_OK)
		kp_rt_log_open(rt);
	return err;
}

static kp_err life_make_queues(kp_rt *rt)
{
	const kp_settings *s = rt->s;
	kp_rt_cmd_limits cl;
	memset(&cl, 0, sizeof cl);
	cl.max_messages = s->outbox_max_messages;
	cl.max_bytes = s->outbox_max_bytes;
	cl.requests_max = s->requests_max;
	cl.validate_timeout = s->gs.validate_timeout_ns;
	kp_rt_cmd_init(&rt->cmd, &rt->mem, &rt->kick, &rt->wake_next, &cl);
	kp_rt_inbox_limits il;
	memset(&il, 0, sizeof il);
	il.max_messages = s->inbox_max_messages;
	il.max_bytes = s->inbox_max_bytes;
	il.total_bytes = s->inbox_total_bytes;
	il.policy = s->inbox_policy;
	kp_rt_jobs_init(&rt->jobs, &rt->kick);
	kp_rt_wakeup_init(&rt->wakeup);
	kp_err err = kp_rt_inboxes_init(&rt->inbox, &rt->mem, rt->pool, &rt->wake_next, &il);
	rt->inbox.kick = &rt->kick;
	return err;
}

static kp_err life_make_parts(kp_rt *rt, char *text, size_t cap)
{
	uint8_t seed[32];
	snprintf(text, cap, "out of memory");
	const kp_settings *s = rt->s;
	/* memory.max is without inboxes and outbox, which live in the same pool */
	rt->pool = kp_pool_new(s->memory_max + s->inbox_total_bytes + s->outbox_max_bytes);
	if (rt->pool == NULL)
		return KP_E_NOMEM;
	kp_pool_disown(rt->pool); /* whoever starts the node may be another thread */
	kp_err err = kp_rt_seed(seed, sizeof seed);
	rt->crypto = err == KP_OK ? kp_crypto_new(seed) : NULL;
	kp_mem_wipe(seed, sizeof seed);
	if (rt->crypto == NULL)
		return err == KP_OK ? KP_E_NOMEM : err;
	err = life_make_identity(rt, text, cap);
	if (err == KP_OK)
		err = kp_rt_make_engine(rt, text, cap);
	if (err == KP_OK && kp_rt_slot_get(&rt->slot) != KP_OK) {
		snprintf(text, cap, "more than %u nodes, or no file descriptor left", KP_RT_SLOTS);
		err = KP_E_LIMIT;
	}
	return err;
}

static void life_free_parts(kp_rt *rt)
{
	if (rt->e != NULL)
		kp_engine_free(rt->e);
	if (rt->crypto != NULL)
		rt->crypto->ops->free(rt->crypto);
	if (rt->pool != NULL)
		kp_pool_close(rt->pool);
	kp_config_free(rt->cfg);
}

static void life_free(kp_rt *rt)
{
	kp_mem mem = rt->mem;
	kp_mem_free(&mem, rt);
	KP_ASSERT(mem.bytes == 0);
}

kp_err kp_rt_new(const kp_config *cfg, kp_rt **out, char *text, size_t cap)
{
	kp_mem mem;
	kp_mem_init(&mem, 0);
	snprintf(text, cap, "out of memory");
	kp_rt *rt = (kp_rt *)kp_mem_alloc(&mem, sizeof *rt);
	if (rt == NULL)
		return KP_E_NOMEM;
	rt->mem = mem;
	rt->refs = 1;
	rt->stop_by = KP_NEVER;
	rt->cfg = kp_config_copy(cfg);
	kp_err err = KP_E_NOMEM;
	if (rt->cfg != NULL) {
		rt->s = kp_config_settings(rt->cfg);
		err = life_make_parts(rt, text, cap);
	}
	if (err != KP_OK) {
		life_free_parts(rt);
		life_free(rt);
		return err;
	}
	pthread_mutex_init(&rt->life, NULL);
	kp_list_init(&rt->closers);
	kp_rt_kick_init(&rt->kick, kp_rt_slot_fd(rt->slot));
	err = life_make_queues(rt);
	if (err != KP_OK) {
		kp_rt_leave(rt); /* everything exists now: the ordinary way */
		return err;
	}
	*out = rt;
	return KP_OK;
}

void kp_rt_ref(kp_rt *rt)
{
	uint32_t before = __atomic_fetch_add(&rt->refs, 1, __ATOMIC_RELAXED);
	KP_ASSERT(before > 0);
}

void kp_rt_unref(kp_rt *rt)
{
	uint32_t before = __atomic_fetch_sub(&rt->refs, 1, __ATOMIC_ACQ_REL);
	KP_ASSERT(before > 0);
	if (before != 1)
		return;
	KP_ASSERT(kp_rt_get_state(rt) == RT_CLOSED && kp_list_empty(&rt->closers));
	kp_rt_info_free(rt);
	kp_rt_inboxes_fini(&rt->inbox);
	kp_rt_cmd_fini(&rt->cmd);
	kp_rt_jobs_fini(&rt->jobs);
	kp_rt_wakeup_fini(&rt->wakeup);
	kp_rt_slot_put(rt->slot);
	kp_config_free(rt->cfg);
	pthread_mutex_destroy(&rt->life);
	life_free(rt);
}

int64_t kp_rt_stop_id(const kp_rt *rt)
{
	return kp_rt_slot_id(rt->slot);
}

/* --- the pool's end --- */

bool kp_rt_pin(kp_rt *rt)
{
	__atomic_add_fetch(&rt->pins, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&rt->pool_gone, __ATOMIC_SEQ_CST) == 0)
		return true;
	kp_rt_unpin(rt);
	return false;
}

void kp_rt_unpin(kp_rt *rt)
{
	__atomic_sub_fetch(&rt->pins, 1, __ATOMIC_SEQ_CST);
}

static void life_close_pool(kp_rt *rt)
{
	__atomic_store_n(&rt->pool_gone, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&rt->pins, __ATOMIC_SEQ_CST) != 0)
		sched_yield(); /* a pin lasts as long as the copy of one message */
	kp_pool_close(rt->pool);
}

static void life_free_events(kp_rt *rt)
{
	for (size_t i = 0; i < rt->n_events; i++)
		kp_event_free(rt->events[i]);
	rt->n_events = 0;
}

void kp_rt_end(kp_rt *rt)
{
	kp_rt_cmd_shut(&rt->cmd);
	kp_rt_loop_fail_queued(rt);
	kp_rt_loop_flush(rt);
	kp_rt_info_snapshot(rt); /* before those who wait for an answer are sent to look for it */
	kp_rt_cmd_end(&rt->cmd);
	kp_rt_loop_free_dropped(rt);
	kp_engine_free(rt->e);
	rt->e = NULL;
	life_free_events(rt); /* its last words, if it is logged */
	rt->crypto->ops->free(rt->crypto);
	rt->crypto = NULL;
	kp_rt_inbox_close(&rt->inbox);
	life_close_pool(rt);
	kp_rt_slot_close(rt->slot);
	kp_rt_wakeup_fire(rt, true);
}

static void life_set_state(kp_rt *rt, kp_rt_state state)
{
	__atomic_store_n(&rt->state, (uint32_t)state, __ATOMIC_RELEASE);
}

/* A node that never ran; with `life` held. */
static void life_end_unstarted(kp_rt *rt)
{
	kp_pool_own(rt->pool);
	kp_rt_end(rt);
	rt->joined = true;
	life_set_state(rt, RT_CLOSED);
}

bool kp_rt_is_closed(kp_rt *rt)
{
	if (kp_rt_get_state(rt) == RT_NEW && kp_rt_slot_stopped(rt->slot)) {
		pthread_mutex_lock(&rt->life);
		if (kp_rt_get_state(rt) == RT_NEW)
			life_end_unstarted(rt);
		pthread_mutex_unlock(&rt->life);
	}
	return kp_rt_get_state(rt) == RT_CLOSED;
}

/* --- start --- */

static const char *life_start_why(kp_err err)
{
	switch (err) {
	case KP_E_ADDRINUSE:
		return "the address is in use";
	case KP_E_ACCES:
		return "not permitted (a port below 1024?)";
	case KP_E_INVAL:
		return "not an address of this machine";
	case KP_E_NOTSUP:
		return "the system does not have this kind of address";
	case KP_E_LIMIT:
		return "no file descriptor is left";
	default:
		return kp_err_text(err);
	}
}

/* Carries out the engine's LISTENs, which are answered at once. */
static kp_err life_listen(kp_rt *rt, char *text, size_t cap)
{
	kp_err err = KP_OK;
	size_t index = 0;
	kp_engine_start(rt->e, kp_rt_now());
	kp_rt_loop_act(rt);
	bool answered = kp_engine_listening(rt->e, &err, &index);
	KP_ASSERT(answered);
	if (err == KP_OK)
		return KP_OK;
	char addr[KP_MADDR_TEXT_MAX] = "?";
	if (index < rt->s->n_listen)
		kp_maddr_text(&rt->s->listen[index], addr, sizeof addr);
	snprintf(text, cap, "cannot listen on %.300s: %s", addr, life_start_why(err));
	return err;
}

/* A start that failed: the engine is stopped and replaced, so that the node can be started again.
 */
static kp_err life_undo(kp_rt *rt)
{
	char text[KP_RT_TEXT];
	rt->stopping = rt->engine_stopping = true;
	kp_engine_stop(rt->e, kp_rt_now(), 0);
	for (unsigned i = 0; !kp_engine_stopped(rt->e); i++) {
		KP_ASSERT(i < LIFE_UNDO_TURNS);
		uv_run(&rt->loop, UV_RUN_ONCE);
	}
	kp_rt_loop_close(rt);
	kp_engine_free(rt->e);
	rt->e = NULL;
	life_free_events(rt);
	rt->stopping = rt->engine_stopping = false;
	return kp_rt_make_engine(rt, text, sizeof text);
}

static kp_err life_start_threads(kp_rt *rt, char *text, size_t cap)
{
	kp_rt_jobs_start(&rt->jobs, rt->s->workers);
	kp_rt_ref(rt);
	kp_rt_slot_run(rt->slot, true);
	kp_pool_disown(rt->pool); /* from here on this thread is one of the application's */
	if (pthread_create(&rt->thread, NULL, kp_rt_loop_main, rt) == 0)
		return KP_OK;
	kp_pool_own(rt->pool);
	kp_rt_slot_run(rt->slot, false);
	kp_rt_unref(rt);
	kp_rt_jobs_stop(&rt->jobs);
	snprintf(text, cap, "cannot create a thread");
	return KP_E_LIMIT;
}

/* With `life` held and all signals blocked. */
static kp_err life_start(kp_rt *rt, char *text, size_t cap)
{
	kp_pool_own(rt->pool);
	kp_err err = kp_rt_loop_open(rt);
	if (err != KP_OK) {
		snprintf(text, cap, "cannot create an event loop: %s", life_start_why(err));
		kp_pool_disown(rt->pool);
		return err;
	}
	err = life_listen(rt, text, cap);
	if (err == KP_OK) {
		life_set_state(rt, RT_RUNNING);
		kp_rt_cmd_start(&rt->cmd);
		kp_rt_inboxes_start(&rt->inbox);
		err = life_start_threads(rt, text, cap);
		if (err != KP_OK)
			life_set_state(rt, RT_NEW);
	}
	if (err == KP_OK)
		return KP_OK;
	if (life_undo(rt) != KP_OK)
		life_end_unstarted(rt); /* no memory for another engine */
	else
		kp_pool_disown(rt->pool);
	return err;
}

kp_err kp_rt_start(kp_rt *rt, char *text, size_t cap)
{
	sigset_t all, before;
	kp_err err;
	if (kp_rt_is_closed(rt)) {
		snprintf(text, cap, "the node is closed");
		return KP_E_CLOSED;
	}
	/* the new threads inherit it, and this one must not get SIGPIPE meanwhile */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&rt->life);
	switch (kp_rt_get_state(rt)) {
	case RT_NEW:
		err = life_start(rt, text, cap);
		break;
	case RT_RUNNING:
		snprintf(text, cap, "the node has been started already");
		err = KP_E_STATE;
		break;
	default:
		snprintf(text, cap, "the node is closed");
		err = KP_E_CLOSED;
		break;
	}
	pthread_mutex_unlock(&rt->life);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* --- close --- */

/* Asks the loop to end by then; a later call can only shorten it. */
static void life_ask_stop(kp_rt *rt, kp_time by)
{
	uint64_t now_by = __atomic_load_n(&rt->stop_by, __ATOMIC_ACQUIRE);
	by = KP_MIN(by, KP_NEVER - 1); /* NEVER says that nobody asked */
	while (by < now_by && !__atomic_compare_exchange_n(&rt->stop_by, &now_by, by, true,
	                                                   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		; /* now_by was reloaded */
	kp_rt_cmd_shut(&rt->cmd);
	kp_rt_kick_send(&rt->kick);
}

static void life_join(kp_rt *rt)
{
	if (rt->joined)
		return;
	pthread_join(rt->thread, NULL); /* it has let go of `life` for good */
	rt->joined = true;
}

/* With `life` held: until the loop has ended. */
static kp_err life_wait_closed(kp_rt *rt, kp_time deadline)
{
	while (kp_rt_get_state(rt) != RT_CLOSED) {
		if (deadline == 0)
			return KP_E_AGAIN;
		if (kp_rt_flag_take(&rt->wake_next))
			return KP_E_INTR;
		kp_rt_waiter w;
		kp_err err = kp_rt_waiter_init(&w);
		if (err != KP_OK)
			return err;
		kp_list_push(&rt->closers, &w.link);
		err = kp_rt_wait(&w, &rt->life, deadline);
		kp_rt_waiter_fini(&w);
		if (err != KP_OK)
			return err;
	}
	return KP_OK;
}

kp_err kp_rt_close(kp_rt *rt, int drain_ms, int timeout_ms)
{
	kp_time deadline = kp_rt_deadline(timeout_ms);
	kp_time now = kp_rt_now();
	pthread_mutex_lock(&rt->life);
	if (kp_rt_get_state(rt) == RT_NEW)
		life_end_unstarted(rt);
	kp_err err = KP_OK;
	if (kp_rt_get_state(rt) == RT_RUNNING) {
		life_ask_stop(rt, drain_ms < 0 ? KP_NEVER : kp_time_add(now, KP_MS(drain_ms)));
		err = life_wait_closed(rt, kp_rt_on_loop_thread(rt) ? 0 : deadline);
	}
	if (err == KP_OK)
		life_join(rt);
	pthread_mutex_unlock(&rt->life);
	return err;
}

void kp_rt_leave(kp_rt *rt)
{
	pthread_mutex_lock(&rt->life);
	KP_ASSERT(!rt->left);
	rt->left = true;
	if (kp_rt_get_state(rt) == RT_NEW) {
		life_end_unstarted(rt);
	} else if (kp_rt_get_state(rt) == RT_RUNNING) {
		life_ask_stop(rt, kp_time_add(kp_rt_now(), LIFE_LEAVE_DRAIN));
	} else if (!rt->joined) {
		pthread_detach(rt->thread);
		rt->joined = true;
	}
	pthread_mutex_unlock(&rt->life);
	kp_rt_unref(rt);
}

void kp_rt_wake(kp_rt *rt)
{
	__atomic_store_n(&rt->wake, 1, __ATOMIC_RELEASE);
	kp_rt_kick_now(&rt->kick);
}

/* --- the loop thread --- */

/* The last acts of a loop thread, after its loop. */
static void life_last_acts(kp_rt *rt)
{
	__atomic_store_n(&rt->loop_thread, 0, __ATOMIC_RELEASE);
	pthread_mutex_lock(&rt->life);
	life_set_state(rt, RT_CLOSED);
	if (rt->left && !rt->joined) { /* nobody will join */
		pthread_detach(pthread_self());
		rt->joined = true;
	}
	kp_rt_serve_all(&rt->closers, KP_OK);
	kp_rt_slot_run(rt->slot, false);
	pthread_mutex_unlock(&rt->life);
	kp_rt_unref(rt);
}

void *kp_rt_loop_main(void *arg)
{
	kp_rt *rt = (kp_rt *)arg;
	kp_pool_own(rt->pool);
	__atomic_store_n(&rt->loop_thread, (uintptr_t)pthread_self(), __ATOMIC_RELEASE);
	uv_run(&rt->loop, UV_RUN_DEFAULT);
	KP_ASSERT(kp_engine_stopped(rt->e));
	kp_rt_jobs_stop(&rt->jobs);
	kp_rt_loop_close(rt);
	kp_rt_end(rt);
	life_last_acts(rt);
	return NULL;
}
