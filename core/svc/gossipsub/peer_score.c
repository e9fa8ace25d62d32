/* What each peer is worth: events of the router become counters, counters become a score
 * (gossipsub v1.1, "Peer scoring"). Scores that are not positive outlive the connection, so that
 * coming back is no way to be forgiven. Where go and rust differ: P3b and P3 as rust (a peer that
 * left the mesh is not judged by P3 any more), addresses of P6 as go (ip6 also by /64) but only
 * while connected. */
#include "svc/gossipsub/gs.h"

static gs_score *score_of(kp_map_node *n)
{
	return KP_CONTAINER_OF(n, gs_score, node);
}

const kp_score_topic_params *kp_score_params_of(const kp_gs *gs, kp_slice topic)
{
	const kp_score_params *par = &gs->par.score;
	for (size_t i = 0; i < par->n_topics; i++)
		if (kp_slice_eq(par->topics[i].name, topic))
			return &par->topics[i].params;
	return &par->topic;
}

/* ---- addresses: P6 ---- */

static bool score_exempt(const kp_score_params *par, const uint8_t *ip, uint8_t ip_n)
{
	kp_ip_scope scope = kp_ip_scope_of(ip_n == 4 ? 4 : 6, ip);
	if (scope == KP_SCOPE_LOOPBACK || (!par->ip_private && scope != KP_SCOPE_PUBLIC))
		return true;
	for (size_t i = 0; i < par->n_exempt; i++) {
		const kp_score_net *net = &par->exempt[i];
		unsigned whole = net->bits / 8, rest = net->bits % 8;
		uint8_t mask = (uint8_t)(0xff00u >> rest);
		if (net->ip_n == ip_n && memcmp(net->ip, ip, whole) == 0 &&
		    (rest == 0 || ((net->ip[whole] ^ ip[whole]) & mask) == 0))
			return true;
	}
	return false;
}

static gs_ip *score_ip_get(kp_gs *gs, const uint8_t key[17], bool exempt)
{
	kp_map_node *n = kp_map_get(&gs->ips, key, 17);
	if (n != NULL)
		return KP_CONTAINER_OF(n, gs_ip, node);
	gs_ip *ip = kp_mem_alloc(gs->env->mem, sizeof *ip);
	if (ip == NULL)
		return NULL;
	memcpy(ip->key, key, sizeof ip->key);
	ip->exempt = exempt;
	if (kp_map_put(&gs->ips, &ip->node, ip->key, sizeof ip->key) != KP_OK) {
		kp_mem_free(gs->env->mem, ip);
		return NULL;
	}
	return ip;
}

static void score_ip_leave(kp_gs *gs, gs_score *s, uint32_t at)
{
	gs_ip *ip = s->ips[at].ip;
	s->ips[at] = s->ips[--s->n_ips];
	gs->score_epoch++; /* the others on this address are fewer now */
	if (--ip->peers > 0)
		return;
	kp_map_del(&gs->ips, &ip->node);
	kp_mem_free(gs->env->mem, ip);
}

static void score_ip_move(kp_gs *gs, gs_score *s, const uint8_t key[17], bool exempt, bool open)
{
	uint32_t at = 0;
	while (at < s->n_ips && memcmp(s->ips[at].ip->key, key, 17) != 0)
		at++;
	if (at < s->n_ips) {
		s->ips[at].conns = open ? s->ips[at].conns + 1 : s->ips[at].conns - 1;
		if (s->ips[at].conns == 0)
			score_ip_leave(gs, s, at);
		return;
	}
	gs_ip *ip = open && at < GS_SCORE_IPS ? score_ip_get(gs, key, exempt) : NULL;
	if (ip == NULL)
		return;
	ip->peers++;
	gs->score_epoch++;
	s->ips[at].ip = ip;
	s->ips[at].conns = 1;
	s->n_ips++;
}

void kp_score_conn(kp_gs *gs, gs_peer *p, const kp_maddr *remote, bool open)
{
	kp_maddr_target t;
	if (p->score == NULL || !kp_maddr_tcp_target(remote, &t) ||
	    (t.kind != KP_MADDR_IP4 && t.kind != KP_MADDR_IP6))
		return;
	uint8_t n = t.kind == KP_MADDR_IP4 ? 4 : 16;
	bool exempt = score_exempt(&gs->par.score, t.ip, n);
	uint8_t key[17] = {n};
	memcpy(key + 1, t.ip, n);
	score_ip_move(gs, p->score, key, exempt, open);
	if (n == 4)
		return;
	key[0] = 8; /* whoever has an ip6 address has the /64 around it */
	memset(key + 9, 0, 8);
	score_ip_move(gs, p->score, key, exempt, open);
}

static double score_colocation(const kp_gs *gs, const gs_score *s)
{
	double sum = 0.0;
	for (uint32_t i = 0; i < s->n_ips; i++) {
		const gs_ip *ip = s->ips[i].ip;
		if (!ip->exempt)
			sum += kp_score_excess(ip->peers, gs->par.score.ip_threshold);
	}
	return sum;
}

/* ---- the sum ---- */

static void score_sum(const kp_gs *gs, const gs_score *s, kp_gs_score_info *out)
{
	const kp_score_params *par = &gs->par.score;
	kp_score_topic_terms terms;
	double total = 0.0;
	KP_LIST_EACH(it, tmp, &s->topics)
	{
		const gs_topic_score *ts = KP_CONTAINER_OF(it, gs_topic_score, link);
		kp_score_terms(ts->t->score, &ts->c, &terms);
		total += terms.sum;
	}
	if (par->topic_score_cap > 0.0 && total > par->topic_score_cap)
		total = par->topic_score_cap;
	out->topics = total;
	out->p5 = s->app * par->app_weight;
	out->p6 = score_colocation(gs, s) * par->ip_weight;
	out->p7 = kp_score_excess(s->behaviour, par->behaviour_threshold) * par->behaviour_weight;
	out->slow = 0.0;
	if (s->slow > par->slow_threshold)
		out->slow = (s->slow - par->slow_threshold) * par->slow_weight;
	total += out->p5;
	total += out->p6;
	total += out->p7;
	total += out->slow;
	out->score = total;
}

static double score_total(const kp_gs *gs, gs_score *s)
{
	if (s->stale || s->epoch != gs->score_epoch) {
		kp_gs_score_info info;
		score_sum(gs, s, &info);
		s->total = info.score;
		s->epoch = gs->score_epoch;
		s->stale = false;
	}
	return s->total;
}

double kp_gs_score(const kp_gs *gs, const gs_peer *p)
{
	return p->score != NULL ? score_total(gs, p->score) : 0.0;
}

bool kp_score_below(const kp_gs *gs, const gs_peer *p, double threshold)
{
	return p->score != NULL && !p->direct && score_total(gs, p->score) < threshold;
}

bool kp_gs_peer_score(const kp_gs *gs, const kp_peer_id *peer, kp_gs_score_info *out)
{
	const gs_peer *p = kp_gs_peer_find(gs, peer);
	memset(out, 0, sizeof *out);
	if (p == NULL)
		return false;
	if (p->score != NULL)
		score_sum(gs, p->score, out);
	out->invalid = p->invalid;
	out->misbehaviour = p->behaviour;
	return true;
}

bool kp_gs_peer_score_topic_at(const kp_gs *gs, const kp_peer_id *peer, size_t n, kp_slice *topic,
                               kp_score_topic_terms *out)
{
	const gs_peer *p = kp_gs_peer_find(gs, peer);
	if (p == NULL || p->score == NULL)
		return false;
	KP_LIST_EACH(it, tmp, &p->score->topics)
	{
		const gs_topic_score *ts = KP_CONTAINER_OF(it, gs_topic_score, link);
		if (n-- > 0)
			continue;
		*topic = gs_topic_name(ts->t);
		kp_score_terms(ts->t->score, &ts->c, out);
		return true;
	}
	return false;
}

/* ---- events ---- */

/* The counters of a topic, moved to the front. NULL = none yet and not to be made, or no memory. */
static gs_topic_score *score_topic(kp_gs *gs, gs_score *s, gs_topic *t, bool make)
{
	KP_LIST_EACH(it, tmp, &s->topics)
	{
		gs_topic_score *ts = KP_CONTAINER_OF(it, gs_topic_score, link);
		if (ts->t != t)
			continue;
		kp_list_del(&ts->link);
		kp_list_push_front(&s->topics, &ts->link);
		return ts;
	}
	gs_topic_score *ts = make ? kp_mem_alloc(gs->env->mem, sizeof *ts) : NULL;
	if (ts == NULL)
		return NULL;
	ts->t = gs_topic_use(t);
	kp_list_init(&ts->link);
	kp_list_push_front(&s->topics, &ts->link);
	return ts;
}

static bool score_sees_mesh(const kp_score_topic_params *par)
{
	return par->time_in_mesh_weight != 0 || par->mesh_weight != 0 || par->failure_weight != 0;
}

void kp_score_mesh(gs_member *m, kp_time now, bool in)
{
	gs_score *s = m->p->score;
	const kp_score_topic_params *par = m->t->score;
	if (s == NULL || !score_sees_mesh(par))
		return;
	gs_topic_score *ts = score_topic(m->p->gs, s, m->t, in);
	if (ts == NULL)
		return;
	if (in)
		kp_score_graft(&ts->c, now);
	else
		kp_score_prune(par, &ts->c);
	s->stale = true;
}

void kp_score_misbehaved(gs_peer *p, double by)
{
	p->behaviour += by;
	if (p->score == NULL)
		return;
	p->score->behaviour += by;
	p->score->stale = true;
}

void kp_score_invalid(gs_peer *p, gs_topic *t)
{
	p->invalid += 1.0;
	gs_topic_score *ts = p->score != NULL ? score_topic(p->gs, p->score, t, true) : NULL;
	if (ts == NULL)
		return;
	ts->c.invalid += 1.0;
	p->score->stale = true;
}

void kp_score_slow(gs_peer *p)
{
	if (p->score == NULL)
		return;
	p->score->slow += 1.0;
	p->score->stale = true;
}

void kp_score_delivered(gs_peer *p, gs_topic *t, bool first)
{
	const kp_score_topic_params *par = t->score;
	if (p->score == NULL || (par->first_weight == 0 && !score_sees_mesh(par)))
		return;
	gs_topic_score *ts = score_topic(p->gs, p->score, t, true);
	if (ts == NULL)
		return;
	if (first)
		kp_score_first(par, &ts->c);
	else
		kp_score_duplicate(par, &ts->c);
	p->score->stale = true;
}

/* ---- coming and going ---- */

static bool score_blank(const kp_score_counters *c)
{
	return !c->in_mesh && c->first == 0.0 && c->mesh == 0.0 && c->failure == 0.0 &&
	       c->invalid == 0.0;
}

static void score_topic_free(kp_gs *gs, gs_topic_score *ts)
{
	kp_list_del(&ts->link);
	kp_gs_topic_drop(gs, ts->t);
	kp_mem_free(gs->env->mem, ts);
}

static void score_free(kp_gs *gs, gs_score *s)
{
	while (s->n_ips > 0)
		score_ip_leave(gs, s, 0);
	while (!kp_list_empty(&s->topics))
		score_topic_free(gs, KP_CONTAINER_OF(s->topics.next, gs_topic_score, link));
	if (kp_list_linked(&s->retained)) {
		kp_list_del(&s->retained);
		gs->n_retained--;
	}
	kp_map_del(&gs->scores, &s->node);
	kp_mem_free(gs->env->mem, s);
}

static gs_score *score_new(kp_gs *gs, const kp_peer_id *id)
{
	const kp_score_params *par = &gs->par.score;
	gs_score *s = kp_mem_alloc(gs->env->mem, sizeof *s);
	if (s == NULL)
		return NULL;
	s->id = *id;
	s->stale = true;
	kp_list_init(&s->retained);
	kp_list_init(&s->topics);
	for (size_t i = 0; i < par->n_apps; i++)
		if (kp_peer_id_eq(&par->apps[i].peer, id))
			s->app = par->apps[i].score;
	if (kp_map_put(&gs->scores, &s->node, &s->id, sizeof s->id) != KP_OK) {
		kp_mem_free(gs->env->mem, s);
		return NULL;
	}
	return s;
}

void kp_score_enter(kp_gs *gs, gs_peer *p)
{
	if (gs->par.score.mode == KP_SCORE_OFF)
		return;
	kp_map_node *n = kp_map_get(&gs->scores, &p->id, sizeof p->id);
	if (n == NULL) {
		p->score = score_new(gs, &p->id);
		return;
	}
	p->score = score_of(n);
	p->score->stale = true;
	KP_ASSERT(kp_list_linked(&p->score->retained));
	kp_list_del(&p->score->retained);
	gs->n_retained--;
}

/* What is kept of a peer that goes: only what speaks against it. */
static void score_settle(kp_gs *gs, gs_score *s)
{
	KP_LIST_EACH(it, tmp, &s->topics)
	{
		gs_topic_score *ts = KP_CONTAINER_OF(it, gs_topic_score, link);
		ts->c.first = 0.0;
		if (ts->c.in_mesh)
			kp_score_prune(ts->t->score, &ts->c);
		if (ts->c.failure == 0.0 && ts->c.invalid == 0.0)
			score_topic_free(gs, ts);
	}
}

void kp_score_leave(kp_gs *gs, kp_time now, gs_peer *p)
{
	gs_score *s = p->score;
	if (s == NULL)
		return;
	p->score = NULL;
	bool good = score_total(gs, s) > 0.0;
	while (s->n_ips > 0)
		score_ip_leave(gs, s, 0);
	if (!good)
		score_settle(gs, s);
	bool blank = kp_list_empty(&s->topics) && s->behaviour == 0.0 && s->slow == 0.0;
	if (good || blank || gs->par.score.retain_ns == 0 || gs->stopping) {
		score_free(gs, s);
		return;
	}
	if (gs->n_retained >= GS_SCORES_MAX) {
		GS_STAT(gs, scores_forgotten);
		score_free(gs, KP_CONTAINER_OF(gs->retained.next, gs_score, retained));
	}
	s->expire = kp_time_add(now, gs->par.score.retain_ns);
	kp_list_push(&gs->retained, &s->retained);
	gs->n_retained++;
}

/* ---- time ---- */

static void score_decay_one(kp_gs *gs, gs_score *s, kp_time now)
{
	const kp_score_params *par = &gs->par.score;
	KP_LIST_EACH(it, tmp, &s->topics)
	{
		gs_topic_score *ts = KP_CONTAINER_OF(it, gs_topic_score, link);
		kp_score_decay(ts->t->score, par->decay_to_zero, now, &ts->c);
		if (score_blank(&ts->c))
			score_topic_free(gs, ts);
	}
	s->behaviour = kp_score_decayed(s->behaviour, par->behaviour_decay, par->decay_to_zero);
	s->slow = kp_score_decayed(s->slow, par->slow_decay, par->decay_to_zero);
}

/* Scores of peers that are gone do not decay: staying away is no way to be forgiven, until the time
 * to remember it is over. */
static void score_tick(kp_timer *t, kp_time now)
{
	kp_gs *gs = KP_CONTAINER_OF(t, kp_gs, decay);
	while (!kp_list_empty(&gs->retained)) {
		gs_score *s = KP_CONTAINER_OF(gs->retained.next, gs_score, retained);
		if (s->expire > now)
			break;
		score_free(gs, s);
	}
	for (kp_map_node *n = kp_map_first(&gs->scores); n != NULL; n = kp_map_next(n)) {
		if (!kp_list_linked(&score_of(n)->retained))
			score_decay_one(gs, score_of(n), now);
	}
	gs->score_epoch++;
	kp_delivery_expire(gs, now);
	kp_timer_set(gs->env->timers, t, gs_next_beat(t->at, gs->par.score.decay_interval_ns, now));
}

/* ---- beginning and end ---- */

static void *score_copy(kp_gs *gs, const void *from, size_t n, size_t size, bool *ok)
{
	if (n == 0)
		return NULL;
	void *to = kp_mem_alloc(gs->env->mem, n * size);
	if (to == NULL)
		*ok = false;
	else
		memcpy(to, from, n * size);
	return to;
}

/* Names are copied as well: they stand behind the table. */
static bool score_copy_topics(kp_gs *gs)
{
	kp_score_params *par = &gs->par.score;
	size_t room = 0;
	if (par->n_topics == 0)
		return true;
	for (size_t i = 0; i < par->n_topics; i++)
		room += sizeof *par->topics + par->topics[i].name.n;
	gs->score_topics = kp_mem_alloc(gs->env->mem, room);
	if (gs->score_topics == NULL)
		return false;
	uint8_t *names = (uint8_t *)(gs->score_topics + par->n_topics);
	for (size_t i = 0; i < par->n_topics; i++) {
		kp_score_topic *to = &gs->score_topics[i];
		*to = par->topics[i];
		memcpy(names, to->name.p, to->name.n);
		to->name.p = names;
		names += to->name.n;
		kp_score_topic_apply_mode(par->mode, &to->params);
	}
	return true;
}

static bool score_copy_tables(kp_gs *gs)
{
	kp_score_params *par = &gs->par.score;
	bool ok = score_copy_topics(gs);
	gs->score_apps = score_copy(gs, par->apps, par->n_apps, sizeof *par->apps, &ok);
	gs->score_exempt = score_copy(gs, par->exempt, par->n_exempt, sizeof *par->exempt, &ok);
	par->topics = gs->score_topics;
	par->apps = gs->score_apps;
	par->exempt = gs->score_exempt;
	return ok;
}

static void score_window(kp_gs *gs, const kp_score_topic_params *t)
{
	if (t->mesh_weight != 0 || t->failure_weight != 0)
		gs->window_ns = KP_MAX(gs->window_ns, t->mesh_window_ns);
}

kp_err kp_scores_init(kp_gs *gs, kp_time now)
{
	kp_score_params *par = &gs->par.score;
	kp_timer_init(&gs->decay, score_tick);
	kp_list_init(&gs->retained);
	kp_list_init(&gs->delivered);
	kp_seen_init(&gs->rejected, gs->env->mem, gs->par.seen_ttl_ns, GS_REJECTED_MAX, true);
	if (!score_copy_tables(gs))
		return KP_E_NOMEM;
	kp_score_params_apply_mode(par);
	if (par->mode == KP_SCORE_OFF)
		return KP_OK;
	score_window(gs, &par->topic);
	for (size_t i = 0; i < par->n_topics; i++)
		score_window(gs, &par->topics[i].params);
	kp_timer_set(gs->env->timers, &gs->decay, kp_time_add(now, par->decay_interval_ns));
	return KP_OK;
}

void kp_scores_fini(kp_gs *gs)
{
	kp_timer_unset(gs->env->timers, &gs->decay);
	while (kp_map_count(&gs->scores) > 0)
		score_free(gs, score_of(kp_map_first(&gs->scores)));
	KP_ASSERT(kp_map_count(&gs->ips) == 0 && gs->n_retained == 0);
	kp_map_fini(&gs->scores);
	kp_map_fini(&gs->ips);
	kp_delivery_fini(gs);
	kp_seen_fini(&gs->rejected);
	kp_mem_free(gs->env->mem, gs->score_topics);
	kp_mem_free(gs->env->mem, gs->score_apps);
	kp_mem_free(gs->env->mem, gs->score_exempt);
}
