/* The router as an object, who gets an own message, and forwarding. */
#include "svc/gossipsub/gs.h"

bool kp_gs_peer_ready(const gs_peer *p)
{
	return !p->no_pubsub && (p->out_open || p->was_open);
}

bool kp_gs_topic_ready(const gs_topic *t)
{
	KP_LIST_EACH(it, tmp, &t->members)
	{
		if (kp_gs_peer_ready(gs_member_in_topic(it)->p))
			return true;
	}
	return false;
}

/* heartbeat, flush, hold, validate, decay */
#define ROUTER_TIMERS 5u

/* What goes by neither mesh nor gossip is kept from a peer of bad standing. */
static bool router_withheld(const kp_gs *gs, const gs_peer *p)
{
	return kp_score_below(gs, p, gs->par.score.publish_threshold);
}

/* Besides the mesh: peers that get everything of a topic they subscribe to. */
static bool router_always(const kp_gs *gs, const gs_peer *p)
{
	return p->direct || (p->kind == GS_KIND_FLOODSUB && !router_withheld(gs, p));
}

/* Up to `want` members that are in neither mesh nor fanout, moved to the front of gs->pick from
 * place `from` on. */
static uint32_t router_sample(kp_gs *gs, const gs_topic *t, uint32_t from, uint32_t want)
{
	uint32_t n = from;
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		if (m->in_mesh || m->in_fanout || router_always(gs, m->p) || m->p->no_pubsub)
			continue;
		if (router_withheld(gs, m->p)) {
			GS_STAT(gs, publish_withheld);
			continue;
		}
		gs->pick[n++] = m->p;
	}
	kp_rng_shuffle(gs->env->rng, gs->pick + from, n - from, sizeof *gs->pick);
	return KP_MIN(n - from, want);
}

static void router_fanout_fill(kp_gs *gs, kp_time now, gs_topic *t)
{
	t->fanout_at = now;
	if (t->n_fanout >= gs->par.d)
		return;
	uint32_t n = router_sample(gs, t, 0, gs->par.d - t->n_fanout);
	for (uint32_t i = 0; i < n; i++) {
		kp_gs_member_find(gs->pick[i], t)->in_fanout = true;
		t->n_fanout++;
	}
}

uint32_t kp_gs_recipients(kp_gs *gs, kp_time now, gs_topic *t)
{
	if (!kp_gs_pick_room(gs, t->n_members)) {
		GS_STAT(gs, dropped);
		return 0;
	}
	if (!gs->par.flood_publish && !t->joined)
		router_fanout_fill(gs, now, t);
	uint32_t n = 0;
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		if (m->p->no_pubsub)
			continue;
		if (m->in_mesh || m->in_fanout || router_always(gs, m->p))
			gs->pick[n++] = m->p;
		else if (gs->par.flood_publish && router_withheld(gs, m->p))
			GS_STAT(gs, publish_withheld);
		else if (gs->par.flood_publish)
			gs->pick[n++] = m->p;
	}
	if (!gs->par.flood_publish && t->joined && t->n_mesh < gs->par.d)
		n += router_sample(gs, t, n, gs->par.d - t->n_mesh);
	return n;
}

bool kp_gs_publish_ready(kp_gs *gs, kp_time now, const kp_pub *pub)
{
	uint64_t bytes = gs_own_charge(pub);
	if (gs->n_signing >= GS_SIGN_QUEUE_MAX ||
	    (gs->n_signing > 0 && gs->signing_bytes + bytes > gs->par.send_own_bytes))
		return false;
	gs_topic *t = kp_gs_topic_find(gs, pub->topic);
	if (t == NULL)
		return true;
	bool mesh_only = !gs->par.flood_publish && t->n_mesh + t->n_fanout >= gs->par.d;
	bytes += gs->signing_bytes;
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		if (m->p->no_pubsub ||
		    (mesh_only && !m->in_mesh && !m->in_fanout && !router_always(gs, m->p)) ||
		    (!m->in_mesh && router_withheld(gs, m->p)))
			continue;
		if (!kp_sendq_own_room(gs, m->p, 1 + gs->n_signing, bytes) &&
		    kp_time_add(kp_gs_peer_progress(m->p), KP_SEC(1)) > now)
			return false;
	}
	return true;
}

gs_frame *kp_gs_frame_of(kp_gs *gs, const gs_pend *m)
{
	gs_frame *f = kp_gs_frame_new(gs);
	if (f == NULL)
		return NULL;
	f->head_n = (uint8_t)kp_rpc_forward_head(m->raw.len, f->head);
	f->wire = kp_ref_dup(m->raw);
	f->id = m->id;
	f->fp = m->fp;
	f->t = gs_topic_use(m->t);
	return f;
}

void kp_gs_forward(kp_gs *gs, kp_time now, gs_frame *f, const gs_pend *m)
{
	if (gs->stopping)
		return;
	KP_LIST_EACH(it, tmp, &m->t->members)
	{
		gs_member *to = gs_member_in_topic(it);
		gs_peer *p = to->p;
		if ((!to->in_mesh && !router_always(gs, p)) || p->no_pubsub)
			continue;
		if (kp_gs_pend_has_source(m, p->serial) ||
		    (m->author != NULL && kp_peer_id_eq(&m->author->id, &p->id)))
			continue;
		if (kp_gossip_unwanted(p, now, f->fp)) {
			GS_STAT(gs, cancelled_forwards);
			continue;
		}
		if (kp_sendq_forward(gs, p, f))
			GS_STAT(gs, forwarded);
	}
}

static void router_flush(kp_timer *t, kp_time now)
{
	kp_gs *gs = KP_CONTAINER_OF(t, kp_gs, flush);
	kp_verify_flush(gs, now);
	kp_gs_sign_flush(gs, now);
}

void kp_gs_flush_soon(kp_gs *gs, kp_time now)
{
	if (!kp_timer_is_set(&gs->flush))
		kp_timer_set(gs->env->timers, &gs->flush, now);
}

size_t kp_gs_pending(const kp_gs *gs)
{
	return gs->pending + gs->n_signing;
}

static void router_init_lists(kp_gs *gs)
{
	kp_list *lists[] = {&gs->promised,     &gs->author_lru, &gs->unchecked, &gs->signing,
	                    &gs->unsigned_own, &gs->held,       &gs->validating};
	for (size_t i = 0; i < KP_COUNT_OF(lists); i++)
		kp_list_init(lists[i]);
	kp_map *maps[] = {&gs->peers,   &gs->topics, &gs->inflight,  &gs->promises,
	                  &gs->authors, &gs->direct, &gs->tokens,    &gs->mcache,
	                  &gs->scores,  &gs->ips,    &gs->deliveries};
	for (size_t i = 0; i < KP_COUNT_OF(maps); i++) {
		uint8_t key[16];
		kp_rng_fill(gs->env->rng, key, sizeof key);
		kp_map_init(maps[i], gs->env->mem, key);
	}
	kp_rng_fill(gs->env->rng, gs->fp_key, sizeof gs->fp_key);
}

static const uint64_t router_anchor_key = 0; /* no fingerprint, no token */

static kp_err router_anchor(kp_gs *gs)
{
	size_t n = sizeof router_anchor_key;
	kp_err err = kp_map_put(&gs->inflight, &gs->inflight_anchor, &router_anchor_key, n);
	if (err == KP_OK)
		err = kp_map_put(&gs->tokens, &gs->tokens_anchor, &router_anchor_key, n);
	return err;
}

static void router_init_timers(kp_gs *gs, kp_time now)
{
	kp_timer_init(&gs->heartbeat, kp_gs_heartbeat);
	kp_timer_init(&gs->flush, router_flush);
	kp_timer_init(&gs->hold_timer, kp_hold_expire);
	kp_timer_init(&gs->validate_timer, kp_gs_validate_expire);
	gs->heartbeat_at = kp_time_add(now, gs->par.first_heartbeat_ns);
	kp_timer_set(gs->env->timers, &gs->heartbeat, gs->heartbeat_at);
}

kp_gs *kp_gs_new(kp_host *h, const kp_gs_params *params, kp_time now)
{
	KP_ASSERT(kp_gs_params_check(params) == NULL);
	const kp_env *env = kp_host_env(h);
	if (kp_timers_reserve(env->timers, ROUTER_TIMERS) != KP_OK)
		return NULL;
	kp_gs *gs = kp_mem_alloc(env->mem, sizeof *gs);
	if (gs == NULL) {
		kp_timers_release(env->timers, ROUTER_TIMERS);
		return NULL;
	}
	gs->host = h;
	gs->env = env;
	gs->par = *params;
	gs->rpc_max = KP_MAX(1u << 20, params->max_message_size + 64 * 1024);
	gs->next_serial = 1;
	gs->next_topic = 1;
	gs->next_token = 1;
	int64_t wall = kp_env_wall(env, now);
	gs->seqno = wall > 0 ? (uint64_t)wall : 1;
	gs->self_text_n = (uint8_t)kp_peer_id_text(&env->self->id, gs->self_text);
	gs->frames.size = sizeof(gs_frame);
	gs->pends.size = sizeof(gs_pend);
	gs->ctls.size = sizeof(gs_ctl);
	gs->jobs.size = kp_verify_job_size();
	gs->signs.size = kp_gs_sign_job_size();
	router_init_lists(gs);
	if (kp_scores_init(gs, now) != KP_OK || router_anchor(gs) != KP_OK) {
		kp_scores_fini(gs);
		kp_map_fini(&gs->inflight);
		kp_mem_free(env->mem, gs);
		kp_timers_release(env->timers, ROUTER_TIMERS);
		return NULL;
	}
	kp_mcache_init(gs);
	kp_seen_init(&gs->seen, env->mem, params->seen_ttl_ns, GS_SEEN_MAX, true);
	router_init_timers(gs, now);
	return gs;
}

static void router_unset_timers(kp_gs *gs)
{
	kp_timers *ts = gs->env->timers;
	kp_timer_unset(ts, &gs->heartbeat);
	kp_timer_unset(ts, &gs->flush);
	kp_timer_unset(ts, &gs->hold_timer);
	kp_timer_unset(ts, &gs->validate_timer);
}

/* Peers whose last connection the host has not reported, messages nobody checked. */
static void router_drop_all(kp_gs *gs)
{
	while (!kp_list_empty(&gs->unchecked)) {
		gs_pend *m = KP_CONTAINER_OF(gs->unchecked.next, gs_pend, batch);
		kp_list_del(&m->batch);
		m->state = GS_PEND_LOST;
		gs->n_unchecked--;
		kp_verify_release(gs, 0, m->p);
	}
	while (!kp_list_empty(&gs->signing))
		kp_gs_publish_drop_signing(gs);
	kp_hold_end(gs, KP_E_CLOSED);
	kp_gs_validate_fini(gs);
	while (kp_map_count(&gs->peers) > 0)
		kp_gs_peer_forget(gs, 0, gs_peer_of(kp_map_first(&gs->peers)));
	kp_mcache_fini(gs);
	kp_gossip_fini(gs);
	KP_ASSERT(kp_map_count(&gs->inflight) == 1 && gs->pending == 0);
	KP_ASSERT(gs->verify_bytes == 0 && gs->n_unchecked == 0);
}

void kp_gs_free(kp_gs *gs)
{
	if (gs == NULL)
		return;
	KP_ASSERT(gs->n_checking == 0 && gs->sign_jobs == 0);
	gs->stopping = true;
	router_drop_all(gs);
	router_unset_timers(gs);
	kp_scores_fini(gs);
	kp_timers_release(gs->env->timers, ROUTER_TIMERS);
	kp_gs_topics_fini(gs);
	kp_gs_authors_fini(gs);
	kp_gs_direct_fini(gs);
	kp_seen_fini(&gs->seen);
	kp_map_fini(&gs->peers);
	kp_map_fini(&gs->inflight);
	kp_mem_free(gs->env->mem, gs->scratch);
	kp_mem_free(gs->env->mem, gs->pick);
	kp_mem_free(gs->env->mem, gs->ids);
	gs_spares *spares[] = {&gs->frames, &gs->pends, &gs->ctls, &gs->jobs, &gs->signs};
	for (size_t i = 0; i < KP_COUNT_OF(spares); i++)
		kp_gs_spares_fini(gs, spares[i]);
	kp_mem_free(gs->env->mem, gs);
}

/* Goodbye: out of every mesh, out of every topic; nothing is opened or published any more. */
static void router_on_stop(void *svc, kp_time now)
{
	kp_gs *gs = svc;
	if (gs->stopping)
		return;
	gs->stopping = true;
	for (kp_map_node *n = kp_map_first(&gs->topics); n != NULL; n = kp_map_next(n))
		if (gs_topic_of(n)->joined)
			kp_mesh_leave(gs, now, gs_topic_of(n), GS_GOODBYE_BACKOFF);
	for (kp_map_node *n = kp_map_first(&gs->topics); n != NULL; n = kp_map_next(n))
		if (gs_topic_of(n)->joined)
			kp_gs_topic_tell_all(gs, gs_topic_of(n), GS_CTL_UNSUBSCRIBE);
	for (kp_map_node *n = kp_map_first(&gs->peers); n != NULL; n = kp_map_next(n))
		kp_timer_unset(gs->env->timers, &gs_peer_of(n)->reopen);
	kp_hold_end(gs, KP_E_CLOSED);
	kp_timer_unset(gs->env->timers, &gs->heartbeat);
	kp_timer_unset(gs->env->timers, &gs->decay);
}

const kp_svc_ops kp_gs_svc_ops = {
        .name = "gossipsub",
        .on_conn_open = kp_gs_on_conn_open,
        .on_conn_close = kp_gs_on_conn_close,
        .on_identified = kp_gs_on_identified,
        .on_stop = router_on_stop,
};
