/* Shutdown as a state: RUNNING → DRAINING (no more publishes, the queues empty) → CLOSING (services
 * say UNSUBSCRIBE and PRUNE, every connection its goodbye) → STOPPED (the event CLOSED is out, no
 * connection and no job is left). One budget covers all of it; at its end connections are cut. */
#include "engine/engine.h"

static void stop_on_timer(kp_timer *t, kp_time now)
{
	kp_engine *e = KP_CONTAINER_OF(t, kp_engine, stop);
	if (now < e->stop_at) {
		kp_timer_set(&e->timers, t, e->stop_at);
		return; /* the end of draining: kp_stop_advance sees it */
	}
	for (uint32_t i = 0; i < e->links.n; i++) {
		kp_link *l = (kp_link *)kp_slots_at(&e->links, i);
		if (l != NULL && !l->buried)
			kp_links_abort(l, now, KP_WHY_SHUTDOWN);
	}
}

void kp_stop_init(kp_engine *e)
{
	kp_timer_init(&e->stop, stop_on_timer);
}

/* Everything that only brings new work ends; connections that are open stay. */
static void stop_intake(kp_engine *e, kp_time now)
{
	kp_listen_stop(e);
	kp_connmgr_stop(e);
	kp_keepers_stop(e);
	kp_req_finish_all(e, now, false);
	while (!kp_list_empty(&e->dials))
		kp_dial_cancel(KP_CONTAINER_OF(e->dials.next, kp_dial, node), now, KP_E_CLOSED,
		               "the node is closing");
	for (uint32_t i = 0; i < e->links.n; i++) {
		kp_link *l = (kp_link *)kp_slots_at(&e->links, i);
		if (l != NULL && !l->up && !l->buried)
			kp_links_abort(l, now, KP_WHY_SHUTDOWN);
	}
}

void kp_engine_stop(kp_engine *e, kp_time now, kp_time drain_ns)
{
	kp_engine_enter(e, now);
	if (e->state == ENGINE_STOPPED)
		return;
	if (e->state == ENGINE_NEW) {
		kp_req_finish_all(e, now, true);
		e->state = ENGINE_STOPPED;
		kp_engine_event(e, e->closed);
		e->closed = NULL;
		return;
	}
	kp_time end = kp_time_add(now, drain_ns);
	if (e->state == ENGINE_RUNNING) {
		e->stop_at = end;
		e->state = ENGINE_DRAINING;
		stop_intake(e, now);
	}
	e->stop_at = KP_MIN(e->stop_at, end);
	/* The last quarter is for the goodbyes themselves. */
	e->drain_end = e->stop_at - kp_time_sub(e->stop_at, now) / 4;
	bool drains = e->state == ENGINE_DRAINING;
	kp_timer_set(&e->timers, &e->stop, drains ? e->drain_end : e->stop_at);
}

static void stop_say_goodbye(kp_engine *e, kp_time now)
{
	e->state = ENGINE_CLOSING;
	kp_timer_set(&e->timers, &e->stop, e->stop_at);
	kp_host_tell_stop(e, now);
	KP_LIST_EACH(it, tmp, &e->open)
	{
		kp_link *l = KP_CONTAINER_OF(it, kp_link, of_open);
		l->ask_why = KP_WHY_NONE;
		if (kp_conn_get_state(l->conn) == KP_CONN_OPEN)
			kp_conn_goodbye(l->conn, now, KP_WHY_SHUTDOWN, e->stop_at);
		kp_links_dirty(l);
	}
}

bool kp_stop_advance(kp_engine *e, kp_time now)
{
	if (e->state == ENGINE_DRAINING) {
		bool drained = e->n_open == 0 || kp_gs_pending(e->gs) == 0;
		if (!drained && now < e->drain_end)
			return false;
		stop_say_goodbye(e, now);
		return true;
	}
	if (e->state != ENGINE_CLOSING || e->links.live > 0 || e->n_jobs > 0)
		return false;
	kp_timer_unset(&e->timers, &e->stop);
	kp_timer_unset(&e->timers, &e->starved);
	kp_req_finish_all(e, now, true);
	kp_engine_event(e, e->closed);
	e->closed = NULL;
	e->state = ENGINE_STOPPED;
	return true;
}

bool kp_engine_stopped(const kp_engine *e)
{
	return e->state == ENGINE_STOPPED && e->events == NULL;
}
