/* Who brought a message: the first to, and mesh peers that did in time (P2, P3). A copy that comes
 * after its message was rejected counts against its sender as the first did (P4). */
#include "svc/gossipsub/gs.h"

static gs_delivery *delivery_of(kp_map_node *n)
{
	return KP_CONTAINER_OF(n, gs_delivery, node);
}

static void delivery_free(kp_gs *gs, gs_delivery *d)
{
	kp_map_del(&gs->deliveries, &d->node);
	kp_list_del(&d->link);
	kp_mem_free(gs->env->mem, d);
}

void kp_delivery_expire(kp_gs *gs, kp_time now)
{
	kp_seen_expire(&gs->rejected, now);
	while (!kp_list_empty(&gs->delivered)) {
		gs_delivery *d = KP_CONTAINER_OF(gs->delivered.next, gs_delivery, link);
		if (kp_time_add(d->at, gs->window_ns) >= now &&
		    kp_map_count(&gs->deliveries) < GS_DELIVERIES_MAX)
			return;
		delivery_free(gs, d);
	}
}

void kp_delivery_fini(kp_gs *gs)
{
	while (!kp_list_empty(&gs->delivered))
		delivery_free(gs, KP_CONTAINER_OF(gs->delivered.next, gs_delivery, link));
	kp_map_fini(&gs->deliveries);
}

static bool delivery_watched(const gs_topic *t)
{
	return t->score->mesh_weight != 0 || t->score->failure_weight != 0;
}

/* Room for every mesh peer; without memory those to come are not counted. */
static gs_delivery *delivery_new(kp_gs *gs, kp_time now, const gs_pend *m)
{
	kp_delivery_expire(gs, now);
	size_t room = m->t->n_mesh;
	gs_delivery *d = kp_mem_alloc(gs->env->mem, sizeof *d + room * sizeof(uint32_t));
	if (d == NULL)
		return NULL;
	d->fp = m->fp;
	d->at = now;
	d->room = (uint32_t)room;
	kp_list_init(&d->link);
	if (kp_map_put(&gs->deliveries, &d->node, &d->fp, sizeof d->fp) != KP_OK) {
		kp_mem_free(gs->env->mem, d);
		return NULL;
	}
	kp_list_push(&gs->delivered, &d->link);
	return d;
}

static void delivery_note(gs_delivery *d, uint32_t serial)
{
	if (d != NULL && d->n < d->room)
		d->serials[d->n++] = serial;
}

void kp_delivery_accepted(kp_gs *gs, kp_time now, const gs_pend *m)
{
	if (gs->par.score.mode == KP_SCORE_OFF)
		return;
	if (m->p != NULL && !m->p->dead)
		kp_score_delivered(m->p, m->t, true);
	if (!delivery_watched(m->t))
		return;
	gs_delivery *d = NULL;
	if (kp_map_get(&gs->deliveries, &m->fp, sizeof m->fp) == NULL)
		d = delivery_new(gs, now, m);
	KP_LIST_EACH(it, tmp, &m->t->members)
	{
		gs_member *from = gs_member_in_topic(it);
		if (!from->in_mesh || !kp_gs_pend_has_source(m, from->p->serial))
			continue;
		delivery_note(d, from->p->serial);
		if (from->p != m->p)
			kp_score_delivered(from->p, m->t, false);
	}
}

void kp_delivery_again(kp_gs *gs, kp_time now, gs_peer *p, gs_topic *t, uint64_t fp)
{
	if (kp_seen_count(&gs->rejected) > 0 && kp_seen_has(&gs->rejected, now, fp)) {
		kp_score_invalid(p, t);
		return;
	}
	if (!delivery_watched(t))
		return;
	kp_map_node *n = kp_map_get(&gs->deliveries, &fp, sizeof fp);
	if (n == NULL)
		return;
	gs_delivery *d = delivery_of(n);
	if (kp_time_add(d->at, t->score->mesh_window_ns) < now)
		return;
	for (uint32_t i = 0; i < d->n; i++)
		if (d->serials[i] == p->serial)
			return;
	if (d->n == d->room)
		return;
	delivery_note(d, p->serial);
	kp_score_delivered(p, t, false);
}
