/* Topics and who subscribes to them. A topic exists while we joined or publish to it, a peer
 * subscribes to it, a backoff runs, or something points at it. */
#include "svc/gossipsub/gs.h"

gs_topic *kp_gs_topic_find(const kp_gs *gs, kp_slice name)
{
	kp_map_node *n = kp_map_get(&gs->topics, name.p, name.n);
	return n != NULL ? gs_topic_of(n) : NULL;
}

gs_topic *kp_gs_topic_get(kp_gs *gs, kp_slice name)
{
	gs_topic *t = kp_gs_topic_find(gs, name);
	if (t != NULL)
		return t;
	if (name.n > GS_TOPIC_MAX)
		return NULL;
	t = kp_mem_alloc(gs->env->mem, sizeof *t + name.n + 1);
	if (t == NULL)
		return NULL;
	t->name = (uint8_t *)(t + 1);
	if (name.n > 0)
		memcpy(t->name, name.p, name.n);
	t->name_n = (uint16_t)name.n;
	t->serial = gs->next_topic++;
	t->fanout_at = KP_NEVER;
	t->score = kp_score_params_of(gs, name);
	kp_list_init(&t->members);
	uint8_t key[16];
	kp_rng_fill(gs->env->rng, key, sizeof key);
	kp_map_init(&t->backoffs, gs->env->mem, key);
	if (kp_map_put(&gs->topics, &t->node, t->name, name.n) != KP_OK) {
		kp_mem_free(gs->env->mem, t);
		return NULL;
	}
	return t;
}

void kp_gs_topic_settle(kp_gs *gs, gs_topic *t)
{
	if (t->uses > 0 || t->joined || t->n_members > 0 || t->fanout_at != KP_NEVER ||
	    kp_map_count(&t->backoffs) > 0)
		return;
	KP_ASSERT(t->n_mesh == 0 && t->n_fanout == 0 && t->n_held == 0 && t->only == NULL);
	kp_map_del(&gs->topics, &t->node);
	kp_map_fini(&t->backoffs);
	kp_mem_free(gs->env->mem, t);
}

void kp_gs_topic_drop(kp_gs *gs, gs_topic *t)
{
	KP_ASSERT(t->uses > 0);
	t->uses--;
	kp_gs_topic_settle(gs, t);
}

gs_member *kp_gs_member_find(const gs_peer *p, const gs_topic *t)
{
	if (t->n_members <
	    p->n_members) { /* the shorter list: peers choose neither's length alone */
		KP_LIST_EACH(it, tmp, &t->members)
		{
			if (gs_member_in_topic(it)->p == p)
				return gs_member_in_topic(it);
		}
		return NULL;
	}
	KP_LIST_EACH(it, tmp, &p->members)
	{
		if (gs_member_in_peer(it)->t == t)
			return gs_member_in_peer(it);
	}
	return NULL;
}

/* Says to the engine which peer is our only link to a topic of ours. */
void kp_gs_topic_only_update(kp_gs *gs, gs_topic *t)
{
	gs_peer *only = NULL;
	if (t->joined && t->n_members == 1)
		only = gs_member_in_topic(t->members.next)->p;
	if (only == t->only)
		return;
	if (t->only != NULL && --t->only->n_only == 0)
		kp_host_keep(gs->host, &t->only->id, KP_KEEP_TOPIC, false);
	t->only = only;
	if (only != NULL && only->n_only++ == 0)
		kp_host_keep(gs->host, &only->id, KP_KEEP_TOPIC, true);
}

/* Only topics that are nothing to us count against a peer. */
static void member_count(const gs_member *m)
{
	if (m->t->joined) {
		m->p->n_shared++;
		return;
	}
	m->p->n_remote++;
	m->p->remote_bytes += m->t->name_n;
}

static void member_uncount(const gs_member *m)
{
	if (m->t->joined) {
		m->p->n_shared--;
		return;
	}
	m->p->n_remote--;
	m->p->remote_bytes -= m->t->name_n;
}

void kp_gs_member_end(kp_gs *gs, gs_member *m)
{
	gs_topic *t = m->t;
	gs_peer *p = m->p;
	kp_mesh_remove(gs, m);
	if (m->in_fanout)
		t->n_fanout--;
	member_uncount(m);
	kp_list_del(&m->in_topic);
	kp_list_del(&m->in_peer);
	t->n_members--;
	p->n_members--;
	kp_mem_free(gs->env->mem, m);
	kp_gs_topic_only_update(gs, t);
	kp_gs_peer_idle_update(p);
	kp_gs_topic_settle(gs, t);
}

/* Keeps what a peer can make us remember within its caps. */
static void topics_forget_oldest(kp_gs *gs, gs_peer *p)
{
	KP_LIST_EACH(it, tmp, &p->members)
	{
		if (p->n_remote <= gs->par.topics_per_peer_max &&
		    p->remote_bytes <= GS_TOPIC_BYTES_MAX)
			return;
		gs_member *m = gs_member_in_peer(it);
		if (m->t->joined)
			continue;
		GS_STAT(gs, topics_forgotten);
		kp_gs_member_end(gs, m);
	}
}

static gs_member *member_new(kp_gs *gs, gs_peer *p, gs_topic *t)
{
	gs_member *m = kp_mem_alloc(gs->env->mem, sizeof *m);
	if (m == NULL)
		return NULL;
	m->t = t;
	m->p = p;
	kp_list_init(&m->in_topic);
	kp_list_init(&m->in_peer);
	kp_list_push(&t->members, &m->in_topic);
	kp_list_push(&p->members, &m->in_peer);
	t->n_members++;
	p->n_members++;
	member_count(m);
	return m;
}

void kp_gs_peer_subscribes(kp_gs *gs, kp_time now, gs_peer *p, kp_slice topic)
{
	gs_topic *t = kp_gs_topic_get(gs, topic);
	if (t == NULL) {
		GS_STAT(gs, subscriptions_refused);
		return;
	}
	if (kp_gs_member_find(p, t) != NULL)
		return;
	gs_member *m = member_new(gs, p, t);
	if (m == NULL) {
		GS_STAT(gs, subscriptions_refused);
		kp_gs_topic_settle(gs, t);
		return;
	}
	kp_gs_topic_only_update(gs, t);
	kp_gs_peer_idle_update(p);
	if (!t->joined) {
		gs_topic_use(t);
		topics_forget_oldest(gs, p);
		kp_hold_flush(gs, now, t);
		kp_gs_topic_drop(gs, t);
		return;
	}
	kp_mesh_graft_early(gs, now, m);
	kp_hold_flush(gs, now, t);
}

void kp_gs_peer_unsubscribes(kp_gs *gs, gs_peer *p, kp_slice topic)
{
	gs_topic *t = kp_gs_topic_find(gs, topic);
	gs_member *m = t != NULL ? kp_gs_member_find(p, t) : NULL;
	if (m != NULL)
		kp_gs_member_end(gs, m);
}

/* `joined` changes: the members move between the two accounts of their peers. */
static void topic_set_joined(kp_gs *gs, gs_topic *t, bool joined)
{
	KP_LIST_EACH(it, tmp, &t->members)
	member_uncount(gs_member_in_topic(it));
	t->joined = joined;
	gs->n_joined = joined ? gs->n_joined + 1 : gs->n_joined - 1;
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_member *m = gs_member_in_topic(it);
		member_count(m);
		kp_gs_peer_idle_update(m->p);
	}
	kp_gs_topic_only_update(gs, t);
}

void kp_gs_topic_tell_all(kp_gs *gs, gs_topic *t, gs_ctl_kind kind)
{
	for (kp_map_node *n = kp_map_first(&gs->peers); n != NULL; n = kp_map_next(n)) {
		gs_peer *p = gs_peer_of(n);
		if (p->out_open)
			kp_sendq_ctl(gs, p, kind, t, 0, false);
	}
}

kp_err kp_gs_subscribe(kp_gs *gs, kp_time now, kp_slice topic, const kp_sub_opts *opts)
{
	if (gs->stopping)
		return KP_E_CLOSED;
	if (topic.n > GS_TOPIC_MAX)
		return KP_E_TOOBIG;
	gs_topic *t = kp_gs_topic_find(gs, topic);
	if (t != NULL && t->joined) {
		t->opts = *opts;
		return KP_OK;
	}
	if (gs->n_joined >= gs->par.topics_own_max)
		return KP_E_LIMIT;
	t = kp_gs_topic_get(gs, topic);
	if (t == NULL)
		return KP_E_NOMEM;
	t->opts = *opts;
	topic_set_joined(gs, t, true);
	kp_gs_topic_tell_all(gs, t, GS_CTL_SUBSCRIBE);
	kp_mesh_join(gs, now, t);
	return KP_OK;
}

kp_err kp_gs_unsubscribe(kp_gs *gs, kp_time now, kp_slice topic)
{
	gs_topic *t = kp_gs_topic_find(gs, topic);
	if (t == NULL || !t->joined)
		return KP_E_NOTFOUND;
	gs_topic_use(t);
	kp_mesh_leave(gs, now, t, gs->par.unsubscribe_backoff_ns);
	kp_gs_topic_tell_all(gs, t, GS_CTL_UNSUBSCRIBE);
	topic_set_joined(gs, t, false);
	/* its members now count as remote-only: no cap may be left exceeded */
	KP_LIST_EACH(it, tmp, &t->members)
	topics_forget_oldest(gs, gs_member_in_topic(it)->p);
	kp_gs_topic_drop(gs, t);
	return KP_OK;
}

void kp_gs_topics_fini(kp_gs *gs)
{
	kp_map_node *next;
	for (kp_map_node *n = kp_map_first(&gs->topics); n != NULL; n = next) {
		next = kp_map_next(n);
		gs_topic *t = gs_topic_of(n);
		KP_ASSERT(t->uses == 0 && t->n_members == 0);
		t->joined = false;
		t->fanout_at = KP_NEVER;
		kp_mesh_backoffs_clear(gs, t);
		kp_gs_topic_settle(gs, t);
	}
	kp_map_fini(&gs->topics);
}
