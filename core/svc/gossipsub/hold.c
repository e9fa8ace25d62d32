/* Own messages for which nobody is there yet: they wait, signed and in order, for the first
 * subscriber whose stream is open (publish.hold, publish.hold_bytes). */
#include "svc/gossipsub/gs.h"

static void hold_arm(kp_gs *gs)
{
	kp_time at = KP_NEVER;
	if (!kp_list_empty(&gs->held))
		at = KP_CONTAINER_OF(gs->held.next, gs_pend, fifo)->deadline;
	kp_timer_set(gs->env->timers, &gs->hold_timer, at);
}

static void hold_unlink(kp_gs *gs, gs_pend *m)
{
	kp_list_del(&m->fifo);
	gs->held_bytes -= gs_own_charge(m->pub);
	m->t->n_held--;
	gs->pending--;
}

/* The id is forgotten, so that the same content may be published again. */
static void hold_finish(kp_gs *gs, gs_pend *m, kp_err code)
{
	hold_unlink(gs, m);
	kp_seen_del(&gs->seen, m->fp);
	kp_gs_publish_fate(gs, m, code, 0);
}

/* Nobody came. */
static void hold_give_up(kp_gs *gs, gs_pend *m, kp_err code)
{
	GS_STAT(gs, publish_expired);
	GS_STAT(gs, dropped);
	hold_finish(gs, m, code);
}

static gs_pend *hold_oldest(kp_gs *gs)
{
	return KP_CONTAINER_OF(gs->held.next, gs_pend, fifo);
}

void kp_hold_push(kp_gs *gs, kp_time now, gs_pend *m)
{
	m->deadline = kp_time_add(now, gs->par.publish_hold_ns);
	kp_list_push(&gs->held, &m->fifo);
	gs->held_bytes += gs_own_charge(m->pub);
	m->t->n_held++;
	gs->pending++;
	m->was_held = true;
	GS_STAT(gs, published);
	GS_STAT(gs, publish_held);
	while (gs->held_bytes > gs->par.publish_hold_bytes)
		hold_give_up(gs, hold_oldest(gs), KP_E_EXPIRED);
	hold_arm(gs);
}

void kp_hold_flush(kp_gs *gs, kp_time now, gs_topic *t)
{
	if (t->n_held == 0 || !kp_gs_topic_ready(t))
		return;
	gs_topic_use(t);
	KP_LIST_EACH(it, tmp, &gs->held)
	{
		gs_pend *m = KP_CONTAINER_OF(it, gs_pend, fifo);
		if (m->t != t)
			continue;
		hold_unlink(gs, m);
		kp_gs_publish_route(gs, now, m);
	}
	hold_arm(gs);
	kp_gs_topic_drop(gs, t);
}

void kp_hold_flush_peer(kp_gs *gs, kp_time now, gs_peer *p)
{
	KP_LIST_EACH(it, tmp, &p->members)
	kp_hold_flush(gs, now, gs_member_in_peer(it)->t);
}

void kp_hold_expire(kp_timer *t, kp_time now)
{
	kp_gs *gs = KP_CONTAINER_OF(t, kp_gs, hold_timer);
	while (!kp_list_empty(&gs->held) && hold_oldest(gs)->deadline <= now)
		hold_give_up(gs, hold_oldest(gs), KP_E_EXPIRED);
	hold_arm(gs);
}

bool kp_hold_cancel(kp_gs *gs, int64_t token)
{
	KP_LIST_EACH(it, tmp, &gs->held)
	{
		gs_pend *m = KP_CONTAINER_OF(it, gs_pend, fifo);
		if (m->pub->token != token)
			continue;
		GS_STAT(gs, publish_canceled);
		hold_finish(gs, m, KP_E_CANCELED);
		hold_arm(gs);
		return true;
	}
	return false;
}

void kp_hold_end(kp_gs *gs, kp_err code)
{
	while (!kp_list_empty(&gs->held))
		hold_give_up(gs, hold_oldest(gs), code);
	hold_arm(gs);
}
