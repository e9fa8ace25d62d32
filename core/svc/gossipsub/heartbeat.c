/* The heartbeat: meshes kept between their bounds, fanout and gossip, expiries, in
 * the order of gossipsub v1.1. */
#include "svc/gossipsub/gs.h"

static void beat_prune_negative(kp_gs *gs, kp_time now, gs_topic *t)
{
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		if (!m->in_mesh || kp_gs_score(gs, m->p) >= 0.0)
			continue;
		GS_STAT(gs, pruned_score);
		kp_mesh_prune(gs, now, m, gs->par.prune_backoff_ns, false);
	}
}

/* The mesh of t into gs->pick; *outbound = how many of them we dialled. */
static uint32_t beat_mesh(kp_gs *gs, gs_topic *t, uint32_t *outbound)
{
	uint32_t n = 0;
	*outbound = 0;
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		if (!m->in_mesh)
			continue;
		gs->pick[n++] = m;
		*outbound += m->p->outbound;
	}
	return n;
}

static double beat_score(const kp_gs *gs, const void *m)
{
	return kp_gs_score(gs, ((const gs_member *)m)->p);
}

/* Ascending, stable: after a shuffle, equals stay in random order. */
static void beat_sort_by_score(kp_gs *gs, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		void *m = gs->pick[i];
		uint32_t k = i;
		for (; k > 0 && beat_score(gs, gs->pick[k - 1]) > beat_score(gs, m); k--)
			gs->pick[k] = gs->pick[k - 1];
		gs->pick[k] = m;
	}
}

/* Too many: down to D, keeping the best and enough that we dialled. */
static void beat_reduce(kp_gs *gs, kp_time now, gs_topic *t)
{
	const kp_gs_params *par = &gs->par;
	uint32_t outbound;
	uint32_t n = beat_mesh(gs, t, &outbound);
	size_t one = sizeof *gs->pick;
	kp_rng_shuffle(gs->env->rng, gs->pick, n, one);
	beat_sort_by_score(gs, n);
	if (n > par->d_score)
		kp_rng_shuffle(gs->env->rng, gs->pick, n - par->d_score, one);
	uint32_t excess = n > par->d ? n - par->d : 0;
	for (uint32_t i = 0; i < n && excess > 0; i++) {
		gs_member *m = gs->pick[i];
		if (m->p->outbound) {
			if (outbound <= par->d_out)
				continue;
			outbound--;
		}
		kp_mesh_prune(gs, now, m, par->prune_backoff_ns, true);
		excess--;
	}
}

/* A mesh of peers that are worth little is leavened: a few that are worth more than its median
 * come in, so that a mesh full of attackers is left in time (gossipsub v1.1, "Opportunistic
 * Grafting"). */
static void beat_opportunistic(kp_gs *gs, kp_time now, gs_topic *t)
{
	uint32_t outbound;
	if (gs->tick % gs->par.opportunistic_ticks != 0 || t->n_mesh < 2 ||
	    gs->par.score.mode == KP_SCORE_OFF)
		return;
	uint32_t n = beat_mesh(gs, t, &outbound);
	beat_sort_by_score(gs, n);
	double median = beat_score(gs, gs->pick[n / 2]);
	if (median >= gs->par.score.opportunistic_graft_threshold)
		return;
	n = 0;
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		if (kp_gs_score(gs, m->p) > median && kp_mesh_may_graft(gs, now, m))
			gs->pick[n++] = m;
	}
	kp_rng_shuffle(gs->env->rng, gs->pick, n, sizeof *gs->pick);
	for (uint32_t i = 0; i < n && i < gs->par.opportunistic_peers; i++) {
		GS_STAT(gs, opportunistic_grafts);
		kp_mesh_graft(gs, now, gs->pick[i]);
	}
}

static void beat_mesh_topic(kp_gs *gs, kp_time now, gs_topic *t)
{
	const kp_gs_params *par = &gs->par;
	if (!kp_gs_pick_room(gs, t->n_members))
		return;
	kp_mesh_backoffs_expire(gs, now, t);
	beat_prune_negative(gs, now, t);
	if (t->n_mesh < par->d_low)
		kp_mesh_fill(gs, now, t, par->d - t->n_mesh, false);
	else if (t->n_mesh >= par->d_high)
		beat_reduce(gs, now, t);
	uint32_t outbound;
	beat_mesh(gs, t, &outbound);
	if (t->n_mesh >= par->d_low && outbound < par->d_out)
		kp_mesh_fill(gs, now, t, par->d_out - outbound, true);
	beat_opportunistic(gs, now, t);
}

static void beat_fanout_topic(kp_gs *gs, kp_time now, gs_topic *t)
{
	bool over = kp_time_add(t->fanout_at, gs->par.fanout_ttl_ns) <= now;
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		if (m->in_fanout &&
		    (over || kp_score_below(gs, m->p, gs->par.score.publish_threshold))) {
			m->in_fanout = false;
			t->n_fanout--;
		}
	}
	if (over)
		t->fanout_at = KP_NEVER;
}

static void beat_topics(kp_gs *gs, kp_time now)
{
	kp_map_node *next;
	for (kp_map_node *n = kp_map_first(&gs->topics); n != NULL; n = next) {
		next = kp_map_next(n);
		gs_topic *t = gs_topic_of(n);
		if (t->joined) {
			beat_mesh_topic(gs, now, t);
			kp_gossip_emit(gs, t);
			continue;
		}
		if (t->fanout_at != KP_NEVER) {
			kp_gossip_emit(gs, t);
			beat_fanout_topic(gs, now, t);
		}
		kp_mesh_backoffs_expire(gs, now, t);
		kp_gs_topic_settle(gs, t);
	}
}

static void beat_peers(kp_gs *gs, kp_time now)
{
	for (kp_map_node *n = kp_map_first(&gs->peers); n != NULL; n = kp_map_next(n)) {
		gs_peer *p = gs_peer_of(n);
		p->ihave_msgs = p->iasked = p->iwant_ids = 0;
		kp_sendq_trim(gs, p);
		if (p->dont_send == NULL)
			continue;
		kp_seen_expire(p->dont_send, now);
		if (kp_seen_count(p->dont_send) > 0)
			continue;
		kp_seen_fini(p->dont_send);
		kp_mem_free(gs->env->mem, p->dont_send);
		p->dont_send = NULL;
	}
}

void kp_gs_heartbeat(kp_timer *t, kp_time now)
{
	kp_gs *gs = KP_CONTAINER_OF(t, kp_gs, heartbeat);
	gs->tick++;
	beat_peers(gs, now);
	kp_gossip_expire(gs, now);
	if (gs->tick % GS_DIRECT_TICKS == 1)
		kp_gs_direct_dial(gs, now);
	beat_topics(gs, now);
	kp_mcache_shift(gs);
	kp_seen_expire(&gs->seen, now);
	kp_stat_add(gs->env->stats, KP_STAT_seen_evicted, gs->seen.evicted - gs->seen_evicted);
	gs->seen_evicted = gs->seen.evicted;
	kp_gs_spares_trim(gs);
	kp_pool_trim(gs->env->pool);
	gs->heartbeat_at = gs_next_beat(gs->heartbeat_at, gs->par.heartbeat_ns, now);
	kp_timer_set(gs->env->timers, &gs->heartbeat, gs->heartbeat_at);
}
