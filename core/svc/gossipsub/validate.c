/* Messages that wait for the application's verdict. Their VALIDATE event is the delivery; a verdict
 * that does not come in time counts as IGNORE. */
#include "svc/gossipsub/gs.h"

static void validate_unlink(kp_gs *gs, gs_pend *m)
{
	kp_map_del(&gs->tokens, &m->by_token);
	kp_list_del(&m->validating);
	gs->n_validating--;
}

static void validate_arm(kp_gs *gs)
{
	kp_time at = KP_NEVER;
	if (!kp_list_empty(&gs->validating))
		at = KP_CONTAINER_OF(gs->validating.next, gs_pend, validating)->deadline;
	kp_timer_set(gs->env->timers, &gs->validate_timer, at);
}

/* The application is told, in the inbox where the message would have come, that it missed one. */
static void validate_overflow(kp_gs *gs, const gs_pend *m)
{
	GS_STAT(gs, validate_overflows);
	GS_STAT(gs, dropped);
	kp_event *ev = kp_event_new(gs->env->pool, KP_EV_DROPPED, 0);
	if (ev == NULL) {
		GS_STAT(gs, events_dropped);
		return;
	}
	ev->inbox = m->t->opts.inbox;
	ev->count = 1;
	kp_host_event(gs->host, ev);
}

bool kp_gs_validate(kp_gs *gs, kp_time now, gs_pend *m)
{
	if (gs->n_validating >= gs->par.validate_max_pending) {
		validate_overflow(gs, m);
		return false;
	}
	kp_event *ev = kp_gs_message_event(gs, now, KP_EV_VALIDATE, m);
	if (ev == NULL)
		return false;
	m->token = gs->next_token++;
	if (kp_map_put(&gs->tokens, &m->by_token, &m->token, sizeof m->token) != KP_OK) {
		kp_event_free(ev);
		validate_overflow(gs, m);
		return false;
	}
	m->deadline = kp_time_add(now, gs->par.validate_timeout_ns);
	kp_list_push(&gs->validating, &m->validating);
	gs->n_validating++;
	if (gs->n_validating == 1)
		validate_arm(gs);
	ev->token = m->token;
	GS_STAT(gs, delivered);
	kp_host_event(gs->host, ev);
	return true;
}

kp_err kp_gs_verdict(kp_gs *gs, kp_time now, int64_t token, kp_verdict verdict)
{
	kp_map_node *n = kp_map_get(&gs->tokens, &token, sizeof token);
	if (n == NULL)
		return KP_E_NOTFOUND;
	gs_pend *m = KP_CONTAINER_OF(n, gs_pend, by_token);
	validate_unlink(gs, m);
	validate_arm(gs);
	kp_gs_deliver_end(gs, now, m, verdict);
	return KP_OK;
}

void kp_gs_validate_expire(kp_timer *t, kp_time now)
{
	kp_gs *gs = KP_CONTAINER_OF(t, kp_gs, validate_timer);
	while (!kp_list_empty(&gs->validating)) {
		gs_pend *m = KP_CONTAINER_OF(gs->validating.next, gs_pend, validating);
		if (m->deadline > now)
			break;
		GS_STAT(gs, validate_timeouts);
		validate_unlink(gs, m);
		kp_gs_deliver_end(gs, now, m, KP_IGNORE);
	}
	validate_arm(gs);
}

void kp_gs_validate_fini(kp_gs *gs)
{
	while (!kp_list_empty(&gs->validating)) {
		gs_pend *m = KP_CONTAINER_OF(gs->validating.next, gs_pend, validating);
		validate_unlink(gs, m);
		kp_map_del(&gs->inflight, &m->inflight);
		m->in_flight = false;
		kp_gs_pend_free(gs, m);
	}
	kp_map_fini(&gs->tokens);
}
