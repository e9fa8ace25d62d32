/* Lookups: drives the query machine with contacts, merges answers, reports. */
#include "svc/kad/kad_impl.h"

#define LOOKUP_RETRY KP_MS(250) /* after a local limit */

/* --- addresses of the target -------------------------------------------------------------------
 */

static void lookup_take_target_addr(kp_kad_lookup *l, const kp_maddr *a)
{
	kp_mem *mem = l->kad->env->mem;
	if (l->n_target_addrs == KP_KAD_QUERY_ADDRS_MAX)
		return;
	for (size_t i = 0; i < l->n_target_addrs; i++)
		if (kp_maddr_eq(&l->target_addrs[i], a))
			return;
	if (l->target_addrs == NULL) {
		l->target_addrs = (kp_maddr *)kp_mem_alloc(mem, KP_KAD_QUERY_ADDRS_MAX *
		                                                        sizeof(*l->target_addrs));
		if (l->target_addrs == NULL) {
			kp_kad_count(l->kad, KP_STAT_kad_memory, 1);
			return;
		}
	}
	l->target_addrs[l->n_target_addrs++] = *a;
}

/* What is known without asking anybody. */
static void lookup_take_known_target(kp_kad_lookup *l)
{
	kp_kad *kad = l->kad;
	kp_maddr *a = kad->scratch->addrs;
	size_t n = kp_host_peer_addrs(kad->h, &l->target, a, KP_KAD_QUERY_ADDRS_MAX);
	for (size_t i = 0; i < n; i++)
		lookup_take_target_addr(l, &a[i]);
	const kp_kad_node *node = kp_kad_table_get(&kad->table, &l->target);
	for (size_t i = 0; node != NULL && i < node->n_addrs; i++)
		lookup_take_target_addr(l, &node->addrs[i]);
}

/* --- start ---------------------------------------------------------------------------------------
 */

/* The k nearest of the table, and connected peers that speak kad but are not (yet) in it. */
static void lookup_seed(kp_kad_lookup *l)
{
	kp_kad *kad = l->kad;
	const kp_kad_node **nodes = kad->scratch->nodes;
	size_t n = kp_kad_table_nearest(&kad->table, &l->q.target, NULL, nodes, kad->params.k);
	for (size_t i = 0; i < n; i++) {
		kp_kad_cand *c = kp_kad_query_hear(&l->q, &nodes[i]->peer, &nodes[i]->key);
		for (size_t j = 0; c != NULL && j < nodes[i]->n_addrs; j++)
			(void)kp_kad_query_add_addr(&l->q, c, &nodes[i]->addrs[j]);
	}
	for (kp_map_node *it = kp_map_first(&kad->members); it != NULL; it = kp_map_next(it)) {
		kp_kad_member *m = KP_CONTAINER_OF(it, kp_kad_member, in_map);
		if (!m->listed || m->failed || l->q.n >= 2 * kad->params.k)
			continue;
		kp_kad_key key = kp_kad_key_of(kad, kp_peer_id_slice(&m->peer));
		(void)kp_kad_query_hear(&l->q, &m->peer, &key);
	}
}

static void lookup_on_deadline(kp_timer *t, kp_time now)
{
	kp_kad_lookup *l = KP_CONTAINER_OF(t, kp_kad_lookup, deadline);
	kp_kad *kad = l->kad;
	kad->last = now;
	kp_kad_count(kad, KP_STAT_kad_timeouts, 1);
	kp_kad_lookup_end(l, KP_E_TIMEDOUT);
	kp_kad_flush(kad, now);
}

static void lookup_free(kp_kad_lookup *l)
{
	kp_kad_query_fini(&l->q);
	kp_mem_free(l->kad->env->mem, l->target_addrs);
	kp_mem_free(l->kad->env->mem, l);
}

kp_err kp_kad_lookup_new(kp_kad *kad, kp_time now, const kp_peer_id *target, bool stop_at_target,
                         kp_time timeout_ns, kp_kad_done_fn done, void *ctx, kp_kad_lookup **out)
{
	if (kad->stopped)
		return KP_E_CLOSED;
	if (kp_timers_reserve(kad->env->timers, 1) != KP_OK)
		return KP_E_NOMEM;
	kp_kad_lookup *l = (kp_kad_lookup *)kp_mem_alloc(kad->env->mem, sizeof(*l));
	if (l == NULL) {
		kp_timers_release(kad->env->timers, 1);
		return KP_E_NOMEM;
	}
	kp_kad_key key = kp_kad_key_of(kad, kp_peer_id_slice(target));
	kp_kad_query_init(&l->q, kad->env->mem, &key, kad->params.k, kad->params.alpha,
	                  kad->params.beta);
	l->kad = kad;
	l->target = *target;
	l->stop_at_target = stop_at_target;
	lookup_take_known_target(l);
	lookup_seed(l);
	if (l->q.n == 0 && !(stop_at_target && l->n_target_addrs > 0)) {
		kp_timers_release(kad->env->timers, 1);
		lookup_free(l);
		return KP_E_NOPEERS;
	}
	l->id = ++kad->next_lookup;
	l->done = done;
	l->ctx = ctx;
	kp_list_init(&l->node);
	kp_list_push(&kad->lookups, &l->node);
	kad->n_lookups++;
	kp_timer_init(&l->deadline, lookup_on_deadline);
	if (timeout_ns == 0 || timeout_ns > kad->params.query_ns)
		timeout_ns = kad->params.query_ns;
	kp_timer_set(kad->env->timers, &l->deadline, kp_time_add(now, timeout_ns));
	kp_kad_count(kad, KP_STAT_kad_queries, 1);
	kp_kad_lookup_advance(l, now);
	*out = l;
	return KP_OK;
}

/* --- progress ------------------------------------------------------------------------------------
 */

/* Asks as many as may be asked. */
void kp_kad_lookup_advance(kp_kad_lookup *l, kp_time now)
{
	kp_kad *kad = l->kad;
	kp_kad_cand *c;
	if (l->advancing || l->ended)
		return;
	if (l->stop_at_target && l->n_target_addrs > 0) {
		kp_kad_lookup_end(l, KP_OK);
		return;
	}
	l->advancing = true;
	bool stalled = false;
	while (!stalled && (c = kp_kad_query_next(&l->q)) != NULL) {
		kp_err err = kp_kad_contact_start(l, now, c);
		stalled = err == KP_E_LIMIT;
		if (stalled) {
			kp_kad_query_postpone(&l->q, c);
			if (!kp_timer_is_set(&kad->retry))
				kp_timer_set(kad->env->timers, &kad->retry, now + LOOKUP_RETRY);
		} else if (err != KP_OK) {
			kp_kad_query_failed(&l->q, c);
			l->q.requests--; /* nothing was sent: bounded by the number of known peers
			                  */
		}
	}
	l->advancing = false;
	if (kp_kad_query_over(&l->q))
		kp_kad_lookup_end(l, l->stop_at_target ? KP_E_NOTFOUND : KP_OK);
}

/* One entry of an answer. */
static void lookup_hear(kp_kad_lookup *l, kp_ip_scope scope, kp_kad_peer *p)
{
	kp_kad *kad = l->kad;
	kp_slice bytes;
	kp_maddr a;
	kp_peer_id named;
	bool is_target = kp_peer_id_eq(&p->id, &l->target);
	kp_kad_key key = kp_kad_key_of(kad, kp_peer_id_slice(&p->id));
	kp_kad_cand *c = NULL;
	if (!kp_peer_id_eq(&p->id, &kad->env->self->id))
		c = kp_kad_query_hear(&l->q, &p->id, &key);
	if (c == NULL)
		kp_kad_count(kad, KP_STAT_kad_peers_ignored, 1);
	for (unsigned n = 0; kp_kad_next_addr(&p->addrs, &bytes); n++) {
		bool fits = n < KP_KAD_ENTRY_ADDRS_MAX && kp_maddr_parse_bytes(bytes, &a) == KP_OK;
		if (fits && kp_maddr_peer(&a, &named)) {
			fits = kp_peer_id_eq(&named, &p->id);
			kp_maddr_strip_peer(&a);
		}
		if (!fits || a.n == 0 || !kp_kad_addr_fits(scope, &a)) {
			kp_kad_count(kad, KP_STAT_kad_addrs_ignored, 1);
			continue;
		}
		if (c != NULL && c->state == KP_KAD_HEARD)
			(void)kp_kad_query_add_addr(&l->q, c, &a);
		if (is_target)
			lookup_take_target_addr(l, &a);
	}
}

void kp_kad_lookup_answered(kp_kad_lookup *l, kp_time now, kp_kad_cand *c, kp_ip_scope scope,
                            kp_kad_msg *m)
{
	kp_kad_peer p;
	unsigned n = 0;
	KP_ASSERT(!l->ended);
	for (; n < 2 * l->q.k && kp_kad_next_peer(&m->closer, &p); n++)
		lookup_hear(l, scope, &p);
	if (m->n_closer > n)
		kp_kad_count(l->kad, KP_STAT_kad_peers_ignored, m->n_closer - n);
	kp_kad_query_answered(&l->q, c);
	kp_kad_lookup_advance(l, now);
}

void kp_kad_lookup_failed(kp_kad_lookup *l, kp_time now, kp_kad_cand *c)
{
	KP_ASSERT(!l->ended);
	kp_kad_query_failed(&l->q, c);
	kp_kad_lookup_advance(l, now);
}

/* --- end
 * ------------------------------------------------------------------------------------------- */

void kp_kad_lookup_end(kp_kad_lookup *l, kp_err err)
{
	kp_kad *kad = l->kad;
	KP_ASSERT(!l->ended && !l->advancing);
	l->ended = true;
	l->err = err;
	KP_LIST_EACH(n, tmp, &kad->contacts)
	{
		kp_kad_contact *c = KP_CONTAINER_OF(n, kp_kad_contact, node);
		if (c->lookup == l)
			kp_kad_contact_drop(c);
	}
	kp_timer_unset(kad->env->timers, &l->deadline);
	kp_timers_release(kad->env->timers, 1);
	kp_list_del(&l->node);
	kad->n_lookups--;
	kp_list_push(&kad->finished, &l->node);
	kp_trace_emit(kad->env->trace, KP_TRACE_KAD_QUERY, l->id, l->q.requests, 0);
}

void kp_kad_lookup_report(kp_kad_lookup *l, kp_time now)
{
	kp_kad *kad = l->kad;
	kp_kad_found found;
	found.peers = kad->scratch->found;
	found.n_peers = kp_kad_query_result(&l->q, kad->scratch->found, kad->params.k);
	found.target_addrs = l->target_addrs;
	found.n_target_addrs = l->n_target_addrs;
	if (found.n_peers == 0 && found.n_target_addrs == 0 &&
	    (l->err == KP_OK || l->err == KP_E_NOTFOUND))
		l->err = KP_E_UNREACHABLE; /* nobody answered */
	if (l->done != NULL)
		l->done(l->ctx, now, l->err, &found);
	lookup_free(l);
}
