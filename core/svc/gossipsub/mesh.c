/* Mesh membership: GRAFT and PRUNE both ways, and backoffs (gossipsub v1.1). Backoffs outlive
 * connections. A peer may graft us exactly when its backoff ends; we wait one heartbeat longer. */
#include "svc/gossipsub/gs.h"

#define MESH_NS_PER_S UINT64_C(1000000000)

static gs_backoff *mesh_backoff_of(kp_map_node *n)
{
	return KP_CONTAINER_OF(n, gs_backoff, node);
}

static void mesh_backoff_free(kp_gs *gs, gs_topic *t, gs_backoff *b)
{
	kp_map_del(&t->backoffs, &b->node);
	kp_mem_free(gs->env->mem, b);
}

/* Only ever extends. */
void kp_mesh_backoff(kp_gs *gs, kp_time now, gs_topic *t, const kp_peer_id *peer, kp_time until)
{
	kp_map_node *n = kp_map_get(&t->backoffs, peer, sizeof *peer);
	if (n != NULL) {
		gs_backoff *b = mesh_backoff_of(n);
		b->until = KP_MAX(b->until, until);
		b->told = now;
		return;
	}
	if (kp_map_count(&t->backoffs) >= GS_BACKOFFS_MAX)
		mesh_backoff_free(gs, t, mesh_backoff_of(kp_map_first(&t->backoffs)));
	gs_backoff *b = kp_mem_alloc(gs->env->mem, sizeof *b);
	if (b == NULL)
		return;
	b->peer = *peer;
	b->until = until;
	b->told = now;
	if (kp_map_put(&t->backoffs, &b->node, &b->peer, sizeof b->peer) != KP_OK)
		kp_mem_free(gs->env->mem, b);
}

kp_time kp_mesh_backoff_until(const gs_topic *t, const kp_peer_id *peer)
{
	kp_map_node *n = kp_map_get(&t->backoffs, peer, sizeof *peer);
	return n != NULL ? mesh_backoff_of(n)->until : 0;
}

void kp_mesh_backoffs_expire(kp_gs *gs, kp_time now, gs_topic *t)
{
	kp_map_node *next;
	for (kp_map_node *n = kp_map_first(&t->backoffs); n != NULL; n = next) {
		next = kp_map_next(n);
		gs_backoff *b = mesh_backoff_of(n);
		if (kp_time_add(b->until, gs->par.heartbeat_ns) <= now)
			mesh_backoff_free(gs, t, b);
	}
}

void kp_mesh_backoffs_clear(kp_gs *gs, gs_topic *t)
{
	kp_map_node *n;
	while ((n = kp_map_first(&t->backoffs)) != NULL)
		mesh_backoff_free(gs, t, mesh_backoff_of(n));
}

void kp_mesh_add(kp_gs *gs, kp_time now, gs_member *m)
{
	KP_ASSERT(!m->in_mesh && m->t->joined);
	if (m->in_fanout) {
		m->in_fanout = false;
		m->t->n_fanout--;
	}
	m->in_mesh = true;
	m->mesh_since = now;
	m->t->n_mesh++;
	kp_score_mesh(m, now, true);
	if (m->p->n_mesh++ == 0)
		kp_host_keep(gs->host, &m->p->id, KP_KEEP_MESH, true);
	kp_trace_emit(gs->env->trace, KP_TRACE_GS_GRAFT, m->t->serial, m->t->n_mesh, m->p->serial);
}

void kp_mesh_remove(kp_gs *gs, gs_member *m)
{
	if (!m->in_mesh)
		return;
	m->in_mesh = false;
	m->t->n_mesh--;
	kp_score_mesh(m, 0, false);
	if (--m->p->n_mesh == 0)
		kp_host_keep(gs->host, &m->p->id, KP_KEEP_MESH, false);
	kp_trace_emit(gs->env->trace, KP_TRACE_GS_PRUNE, m->t->serial, m->t->n_mesh, m->p->serial);
}

bool kp_mesh_may_graft(const kp_gs *gs, kp_time now, const gs_member *m)
{
	const gs_peer *p = m->p;
	if (m->in_mesh || p->direct || !p->out_open || p->out_dead || p->kind < GS_KIND_1_0 ||
	    kp_gs_score(gs, p) < 0.0)
		return false;
	kp_time until = kp_mesh_backoff_until(m->t, &p->id);
	return until == 0 || kp_time_add(until, gs->par.heartbeat_ns) <= now;
}

void kp_mesh_graft(kp_gs *gs, kp_time now, gs_member *m)
{
	kp_mesh_add(gs, now, m);
	kp_sendq_ctl(gs, m->p, GS_CTL_GRAFT, m->t, 0, false);
}

static uint64_t mesh_seconds(kp_time ns)
{
	return ns / MESH_NS_PER_S + (ns % MESH_NS_PER_S != 0);
}

void kp_mesh_prune(kp_gs *gs, kp_time now, gs_member *m, kp_time backoff_ns, bool px)
{
	kp_mesh_remove(gs, m);
	kp_mesh_backoff(gs, now, m->t, &m->p->id, kp_time_add(now, backoff_ns));
	kp_sendq_ctl(gs, m->p, GS_CTL_PRUNE, m->t, mesh_seconds(backoff_ns), px);
}

void kp_mesh_fill(kp_gs *gs, kp_time now, gs_topic *t, unsigned want, bool outbound_only)
{
	if (want == 0 || !kp_gs_pick_room(gs, t->n_members))
		return;
	uint32_t n = 0;
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		if ((!outbound_only || m->p->outbound) && kp_mesh_may_graft(gs, now, m))
			gs->pick[n++] = m;
	}
	kp_rng_shuffle(gs->env->rng, gs->pick, n, sizeof *gs->pick);
	for (uint32_t i = 0; i < n && i < want; i++)
		kp_mesh_graft(gs, now, gs->pick[i]);
}

void kp_mesh_graft_early(kp_gs *gs, kp_time now, gs_member *m)
{
	if (!gs->stopping && m->t->joined && m->t->n_mesh < gs->par.d_low &&
	    kp_mesh_may_graft(gs, now, m))
		kp_mesh_graft(gs, now, m);
}

void kp_mesh_graft_early_all(kp_gs *gs, kp_time now, gs_peer *p)
{
	KP_LIST_EACH(it, tmp, &p->members)
	kp_mesh_graft_early(gs, now, gs_member_in_peer(it));
}

void kp_mesh_join(kp_gs *gs, kp_time now, gs_topic *t)
{
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		if (!m->in_fanout)
			continue;
		m->in_fanout = false;
		t->n_fanout--;
		if (t->n_mesh < gs->par.d && kp_mesh_may_graft(gs, now, m))
			kp_mesh_graft(gs, now, m);
	}
	t->fanout_at = KP_NEVER;
	if (t->n_mesh < gs->par.d)
		kp_mesh_fill(gs, now, t, gs->par.d - t->n_mesh, false);
}

void kp_mesh_leave(kp_gs *gs, kp_time now, gs_topic *t, kp_time backoff_ns)
{
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		if (m->in_mesh)
			kp_mesh_prune(gs, now, m, backoff_ns, kp_gs_score(gs, m->p) >= 0.0);
	}
}

/* The peer is told no, and may not ask again for a while. */
static void mesh_refuse(kp_gs *gs, kp_time now, gs_member *m, bool px)
{
	GS_STAT(gs, graft_refused);
	kp_mesh_prune(gs, now, m, gs->par.prune_backoff_ns, px);
}

/* A peer that has crashed and come back knows nothing of its backoff until the PRUNE that answers
 * its GRAFT: whoever has connected anew since it was told is refused, but not blamed. Only once,
 * then it has been told; and a handshake costs more than the GRAFT gains. */
static void mesh_blame_graft(const kp_gs *gs, kp_time now, gs_topic *t, gs_peer *p)
{
	const gs_backoff *b = mesh_backoff_of(kp_map_get(&t->backoffs, &p->id, sizeof p->id));
	kp_time flood = kp_time_sub(gs->par.prune_backoff_ns, gs->par.graft_flood_ns);
	if (b->told > p->conn_at)
		kp_score_misbehaved(p, b->until - now > flood ? 2.0 : 1.0);
}

void kp_mesh_on_graft(kp_gs *gs, kp_time now, gs_peer *p, kp_slice topic)
{
	gs_topic *t = topic.p != NULL ? kp_gs_topic_find(gs, topic) : NULL;
	gs_member *m = t != NULL && t->joined ? kp_gs_member_find(p, t) : NULL;
	if (m == NULL || p->kind == GS_KIND_FLOODSUB || p->no_pubsub || gs->stopping) {
		GS_STAT(gs, graft_ignored);
		return;
	}
	if (m->in_mesh)
		return;
	if (p->direct) {
		mesh_refuse(gs, now, m, false);
		return;
	}
	if (kp_mesh_backoff_until(t, &p->id) > now) {
		GS_STAT(gs, graft_backoff);
		mesh_blame_graft(gs, now, t, p);
		mesh_refuse(gs, now, m, false);
		return;
	}
	if (kp_gs_score(gs, p) < 0.0) {
		GS_STAT(gs, graft_score);
		mesh_refuse(gs, now, m, false);
		return;
	}
	if (t->n_mesh >= gs->par.d_high && !p->outbound) {
		mesh_refuse(gs, now, m, true);
		return;
	}
	kp_mesh_add(gs, now, m);
}

void kp_mesh_on_prune(kp_gs *gs, kp_time now, gs_peer *p, const kp_rpc_item *item)
{
	gs_topic *t = item->topic.p != NULL ? kp_gs_topic_find(gs, item->topic) : NULL;
	if (t == NULL || !t->joined)
		return;
	kp_time backoff = gs->par.prune_backoff_ns;
	if (item->has_backoff && item->backoff > 0)
		backoff = KP_MIN(item->backoff, (uint64_t)GS_BACKOFF_S_MAX) * MESH_NS_PER_S;
	gs_member *m = kp_gs_member_find(p, t);
	if (m != NULL)
		kp_mesh_remove(gs, m);
	kp_mesh_backoff(gs, now, t, &p->id, kp_time_add(now, backoff));
	if (item->px.n > 0)
		kp_px_take(gs, now, p, item->px);
}
