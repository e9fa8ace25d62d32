/* Gossip: IHAVE, IWANT and the promises in between, IDONTWANT (gossipsub v1.0 to v1.2). */
#include "svc/gossipsub/gs.h"

#define GOSSIP_COUNT_MAX UINT32_MAX

static gs_promise *gossip_promise_of(kp_map_node *n)
{
	return KP_CONTAINER_OF(n, gs_promise, node);
}

static void gossip_promise_free(kp_gs *gs, gs_promise *pr)
{
	kp_map_del(&gs->promises, &pr->node);
	kp_list_del(&pr->link);
	kp_mem_free(gs->env->mem, pr);
}

void kp_gossip_settle(kp_gs *gs, uint64_t fp)
{
	kp_map_node *n = kp_map_get(&gs->promises, &fp, sizeof fp);
	if (n != NULL)
		gossip_promise_free(gs, gossip_promise_of(n));
}

/* False = no room: then it is not asked for either. */
static bool gossip_promised(kp_gs *gs, kp_time now, const gs_peer *p, uint64_t fp, bool counts)
{
	if (kp_map_count(&gs->promises) >= GS_PROMISES_MAX)
		return false;
	gs_promise *pr = kp_mem_alloc(gs->env->mem, sizeof *pr);
	if (pr == NULL)
		return false;
	pr->fp = fp;
	pr->serial = p->serial;
	pr->counts = counts;
	pr->deadline = kp_time_add(now, gs->par.iwant_followup_ns);
	kp_list_init(&pr->link);
	if (kp_map_put(&gs->promises, &pr->node, &pr->fp, sizeof pr->fp) != KP_OK) {
		kp_mem_free(gs->env->mem, pr);
		return false;
	}
	kp_list_push(&gs->promised, &pr->link);
	return true;
}

void kp_gossip_expire(kp_gs *gs, kp_time now)
{
	uint32_t serial = 0;
	gs_peer *p = NULL;
	while (!kp_list_empty(&gs->promised)) {
		gs_promise *pr = KP_CONTAINER_OF(gs->promised.next, gs_promise, link);
		if (pr->deadline > now)
			return;
		if (pr->serial != serial) { /* promises of one batch stand together */
			serial = pr->serial;
			p = kp_gs_peer_by_serial(gs, serial);
		}
		if (p != NULL && pr->counts)
			kp_score_misbehaved(p, 1.0);
		GS_STAT(gs, promises_broken);
		gossip_promise_free(gs, pr);
	}
}

void kp_gossip_fini(kp_gs *gs)
{
	while (!kp_list_empty(&gs->promised))
		gossip_promise_free(gs, KP_CONTAINER_OF(gs->promised.next, gs_promise, link));
	kp_map_fini(&gs->promises);
}

bool kp_gossip_unwanted(const gs_peer *p, kp_time now, uint64_t fp)
{
	return p->dont_send != NULL && kp_seen_has(p->dont_send, now, fp);
}

/* ---- emission ---- */

/* Sends ids to one peer, or shares the frames with all n targets in gs->pick. */
static void gossip_send(kp_gs *gs, gs_topic *t, void **targets, uint32_t n, uint32_t n_ids)
{
	for (uint32_t at = 0; at < n_ids;) {
		size_t some = n_ids - at;
		gs_frame *f =
		        kp_gs_build_ids(gs, GS_IDS_IHAVE, gs_topic_name(t), gs->ids + at, &some);
		if (f == NULL || some == 0) {
			if (f != NULL)
				kp_gs_frame_unref(gs, f);
			return;
		}
		for (uint32_t i = 0; i < n; i++)
			kp_sendq_raw(gs, targets[i], f);
		kp_gs_frame_unref(gs, f);
		at += (uint32_t)some;
	}
}

static uint32_t gossip_targets(kp_gs *gs, const gs_topic *t)
{
	if (!kp_gs_pick_room(gs, t->n_members))
		return 0;
	uint32_t n = 0;
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		gs_peer *p = m->p;
		if (m->in_mesh || m->in_fanout || p->direct || !p->out_open || p->out_dead ||
		    p->kind < GS_KIND_1_0)
			continue;
		if (kp_score_below(gs, p, gs->par.score.gossip_threshold))
			GS_STAT(gs, gossip_withheld);
		else
			gs->pick[n++] = p;
	}
	uint32_t share = (uint32_t)(gs->par.gossip_factor * (double)n);
	uint32_t want = KP_MAX(gs->par.d_lazy, share);
	if (n <= want)
		return n;
	kp_rng_shuffle(gs->env->rng, gs->pick, n, sizeof *gs->pick);
	return want;
}

void kp_gossip_emit(kp_gs *gs, gs_topic *t)
{
	uint32_t n = gossip_targets(gs, t);
	if (n == 0)
		return;
	uint32_t n_ids = kp_mcache_ids(gs, t);
	if (n_ids == 0)
		return;
	if (n_ids <= gs->par.max_ihave_ids) {
		gossip_send(gs, t, gs->pick, n, n_ids);
		return;
	}
	for (uint32_t i = 0; i < n; i++) { /* each gets other ids: together they get all */
		kp_rng_shuffle(gs->env->rng, gs->ids, n_ids, sizeof *gs->ids);
		gossip_send(gs, t, gs->pick + i, 1, gs->par.max_ihave_ids);
	}
}

void kp_gossip_send_idontwant(kp_gs *gs, const gs_pend *m)
{
	gs_frame *f = NULL;
	KP_LIST_EACH(it, tmp, &m->t->members)
	{
		gs_member *to = gs_member_in_topic(it);
		if (!to->in_mesh || to->p->kind < GS_KIND_1_2 || to->p == m->p ||
		    (m->author != NULL && kp_peer_id_eq(&m->author->id, &to->p->id)))
			continue;
		if (f == NULL) {
			kp_slice id = gs_id_slice(&m->id);
			size_t one = 1;
			f = kp_gs_build_ids(gs, GS_IDS_IDONTWANT, kp_slice_none(), &id, &one);
			if (f == NULL)
				return;
		}
		GS_STAT(gs, idontwant_sent);
		kp_sendq_raw(gs, to->p, f);
	}
	if (f != NULL)
		kp_gs_frame_unref(gs, f);
}

/* ---- what peers send ---- */

static bool gossip_id_plausible(kp_slice id)
{
	return id.n > 0 && id.n <= GS_ID_MAX;
}

static bool gossip_is_news(kp_gs *gs, kp_time now, uint64_t fp)
{
	return !kp_seen_has(&gs->seen, now, fp) &&
	       kp_map_get(&gs->inflight, &fp, sizeof fp) == NULL &&
	       kp_map_get(&gs->promises, &fp, sizeof fp) == NULL;
}

/* Of what is asked for, one id drawn by chance counts when it does not come, as in go; with
 * KP_PROMISES_EACH all do, as in rust. */
static void gossip_ask(kp_gs *gs, kp_time now, gs_peer *p, uint32_t n)
{
	bool each = gs->par.score.promises == KP_PROMISES_EACH;
	kp_rng_shuffle(gs->env->rng, gs->ids, n, sizeof *gs->ids);
	n = KP_MIN(n, gs->par.max_ihave_ids - p->iasked);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n; i++) {
		/* shuffled: the first is as good as any */
		if (gossip_is_news(gs, now, kp_gs_fp(gs, gs->ids[i])) &&
		    gossip_promised(gs, now, p, kp_gs_fp(gs, gs->ids[i]), each || kept == 0))
			gs->ids[kept++] = gs->ids[i];
	}
	for (uint32_t at = 0; at < kept;) {
		size_t some = kept - at;
		gs_frame *f =
		        kp_gs_build_ids(gs, GS_IDS_IWANT, kp_slice_none(), gs->ids + at, &some);
		bool sent = f != NULL && kp_sendq_raw(gs, p, f);
		if (f != NULL)
			kp_gs_frame_unref(gs, f);
		if (!sent) { /* not asked: nothing is promised */
			for (; at < kept; at++)
				kp_gossip_settle(gs, kp_gs_fp(gs, gs->ids[at]));
			return;
		}
		p->iasked += (uint32_t)some;
		at += (uint32_t)some;
	}
}

void kp_gossip_on_ihave(kp_gs *gs, kp_time now, gs_peer *p, const kp_rpc_item *item)
{
	if (kp_score_below(gs, p, gs->par.score.gossip_threshold)) {
		GS_STAT(gs, ihave_score);
		return;
	}
	if (p->ihave_msgs < GOSSIP_COUNT_MAX)
		p->ihave_msgs++;
	gs_topic *t = item->topic.p != NULL ? kp_gs_topic_find(gs, item->topic) : NULL;
	if (p->ihave_msgs > gs->par.max_ihave_messages || p->iasked >= gs->par.max_ihave_ids ||
	    t == NULL || !t->joined || gs->stopping) {
		GS_STAT(gs, ihave_ignored);
		return;
	}
	kp_rpc_ids ids = item->ids;
	kp_slice id;
	uint32_t n = 0;
	for (uint32_t walked = 0; walked < gs->par.max_ihave_ids && kp_rpc_next_id(&ids, &id);
	     walked++) {
		if (!gossip_id_plausible(id) || !gossip_is_news(gs, now, kp_gs_fp(gs, id)))
			continue;
		if (!kp_gs_ids_room(gs, n + 1))
			break;
		gs->ids[n++] = id;
	}
	if (n > 0)
		gossip_ask(gs, now, p, n);
}

void kp_gossip_on_iwant(kp_gs *gs, kp_time now, gs_peer *p, const kp_rpc_item *item)
{
	if (kp_score_below(gs, p, gs->par.score.gossip_threshold)) {
		GS_STAT(gs, iwant_score);
		return;
	}
	kp_rpc_ids ids = item->ids;
	kp_slice id;
	while (kp_rpc_next_id(&ids, &id)) {
		if (p->iwant_ids >= gs->par.max_ihave_ids || gs->stopping) {
			GS_STAT(gs, iwant_ignored);
			return;
		}
		p->iwant_ids++;
		uint64_t fp = kp_gs_fp(gs, id);
		gs_frame *f = gossip_id_plausible(id) ? kp_mcache_get(gs, fp) : NULL;
		if (f == NULL || p->no_pubsub || kp_gossip_unwanted(p, now, fp))
			continue;
		if (!kp_mcache_may_answer(gs, f, p->serial)) {
			GS_STAT(gs, iwant_ignored);
			continue;
		}
		if (kp_sendq_forward(gs, p, f))
			GS_STAT(gs, iwant_answered);
	}
}

static bool gossip_dont_send_ready(kp_gs *gs, gs_peer *p)
{
	if (p->dont_send != NULL)
		return true;
	p->dont_send = kp_mem_alloc(gs->env->mem, sizeof *p->dont_send);
	if (p->dont_send == NULL)
		return false;
	kp_seen_init(p->dont_send, gs->env->mem, gs->par.idontwant_ttl_ns,
	             gs->par.idontwant_max_ids, false);
	return true;
}

void kp_gossip_on_idontwant(kp_gs *gs, kp_time now, gs_peer *p, const kp_rpc_item *item)
{
	kp_rpc_ids ids = item->ids;
	kp_slice id;
	while (kp_rpc_next_id(&ids, &id)) {
		if (!gossip_id_plausible(id))
			continue;
		kp_err err = KP_E_NOMEM;
		if (gossip_dont_send_ready(gs, p))
			err = kp_seen_add(p->dont_send, now, kp_gs_fp(gs, id));
		if (err != KP_OK && err != KP_E_DUPLICATE) {
			GS_STAT(gs, idontwant_ignored);
			return;
		}
	}
}
