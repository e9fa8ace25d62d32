/* Peers: what is known of a peer id, its connections oldest first, its own addresses, back-off.
 * A peer without connection, dial or keeper is a stranger: remembered for an hour, the longest
 * unused forgotten first. */
#include "engine/engine.h"

kp_peer *kp_peers_find(kp_engine *e, const kp_peer_id *id)
{
	kp_map_node *node = kp_map_get(&e->peers, id->b, id->n);
	return node ? KP_CONTAINER_OF(node, kp_peer, node) : NULL;
}

static void peers_free(kp_engine *e, kp_peer *p)
{
	KP_ASSERT(p->n_links == 0 && p->n_up == 0 && p->dial == NULL);
	if (kp_list_linked(&p->of_strangers)) {
		kp_list_del(&p->of_strangers);
		e->n_strangers--;
	}
	kp_map_del(&e->peers, &p->node);
	kp_mem_free(e->env.mem, p->addrs);
	kp_mem_free(e->env.mem, p->agent);
	kp_mem_free(e->env.mem, p);
}

kp_peer *kp_peers_get(kp_engine *e, kp_time now, const kp_peer_id *id)
{
	KP_ASSERT(!kp_peer_id_none(id));
	kp_peer *p = kp_peers_find(e, id);
	if (p != NULL)
		return p;
	p = (kp_peer *)kp_mem_alloc(e->env.mem, sizeof *p);
	if (p == NULL)
		goto no_memory;
	p->id = *id;
	kp_list_init(&p->links);
	kp_list_init(&p->of_strangers);
	if (kp_map_put(&e->peers, &p->node, p->id.b, p->id.n) != KP_OK) {
		kp_mem_free(e->env.mem, p);
		goto no_memory;
	}
	if (e->n_strangers >= KP_PEERS_STRANGERS)
		peers_free(e, KP_CONTAINER_OF(e->strangers.next, kp_peer, of_strangers));
	p->used_at = now;
	kp_list_push(&e->strangers, &p->of_strangers);
	e->n_strangers++;
	return p;
no_memory:
	kp_stat_add(&e->stats, KP_STAT_memory_refused, 1);
	return NULL;
}

void kp_peers_settle(kp_engine *e, kp_time now, kp_peer *p)
{
	bool used = p->n_links > 0 || p->dial != NULL || p->keeper != NULL;
	if (kp_list_linked(&p->of_strangers)) {
		kp_list_del(&p->of_strangers);
		e->n_strangers--;
	}
	if (used)
		return;
	p->used_at = now;
	kp_list_push(&e->strangers, &p->of_strangers);
	e->n_strangers++;
	if (p->fails == 0 && p->n_addrs == 0 && p->rest_until <= now)
		peers_free(e, p); /* nothing worth remembering */
	else if (e->n_strangers > KP_PEERS_STRANGERS)
		peers_free(e, KP_CONTAINER_OF(e->strangers.next, kp_peer, of_strangers));
}

void kp_peers_forget_old(kp_engine *e, kp_time now)
{
	KP_LIST_EACH(it, tmp, &e->strangers)
	{
		kp_peer *p = KP_CONTAINER_OF(it, kp_peer, of_strangers);
		if (kp_time_sub(now, p->used_at) < KP_PEERS_FORGET_NS)
			break;
		peers_free(e, p);
	}
}

void kp_peers_free_all(kp_engine *e)
{
	while (kp_map_first(&e->peers) != NULL)
		peers_free(e, KP_CONTAINER_OF(kp_map_first(&e->peers), kp_peer, node));
	KP_ASSERT(e->n_strangers == 0);
}

kp_link *kp_peers_link(const kp_peer *p)
{
	for (const kp_list *it = p->links.next; it != &p->links; it = it->next) {
		kp_link *l = KP_CONTAINER_OF(it, kp_link, of_peer);
		if (l->up && kp_conn_get_state(l->conn) == KP_CONN_OPEN)
			return l;
	}
	return NULL;
}

/* --- back-off ------------------------------------------------------------------------------------
 */

static void peers_expire_backoff(kp_peer *p, kp_time now)
{
	if (p->fails > 0 && kp_time_sub(now, p->failed_at) >= KP_PEERS_FORGET_NS)
		p->fails = 0;
}

bool kp_peers_backed_off(const kp_peer *p, kp_time now)
{
	if (p->keeper != NULL && kp_timer_is_set(&p->keeper->retry))
		return true; /* its next dial is on schedule */
	return p->fails > 0 && now < p->backoff_until;
}

void kp_peers_rest(kp_peer *p, kp_time now, kp_time for_ns)
{
	p->rest_until = KP_MAX(p->rest_until, kp_time_add(now, for_ns));
}

void kp_peers_failed(kp_engine *e, kp_peer *p, kp_time now)
{
	(void)e;
	peers_expire_backoff(p, now);
	kp_time wait = KP_PEERS_BACKOFF_MAX;
	if (p->fails < 6)
		wait = KP_MIN(KP_PEERS_BACKOFF << p->fails, KP_PEERS_BACKOFF_MAX);
	p->fails++;
	p->failed_at = now;
	p->backoff_until = kp_time_add(now, wait);
}

/* --- identify
 * ------------------------------------------------------------------------------------- */

static void peers_keep_agent(kp_engine *e, kp_peer *p, kp_slice agent)
{
	char *text = (char *)kp_mem_alloc(e->env.mem, agent.n + 1);
	if (text == NULL) {
		kp_stat_add(&e->stats, KP_STAT_memory_refused, 1);
		return;
	}
	if (agent.n > 0)
		memcpy(text, agent.p, agent.n);
	kp_mem_free(e->env.mem, p->agent);
	p->agent = text;
}

static void peers_keep_addrs(kp_engine *e, kp_peer *p, const kp_maddr *addrs, size_t n)
{
	n = KP_MIN(n, KP_PEERS_ADDRS_MAX);
	kp_maddr *copy = (kp_maddr *)kp_mem_alloc_raw(e->env.mem, n * sizeof *copy);
	if (copy == NULL) {
		kp_stat_add(&e->stats, KP_STAT_memory_refused, 1);
		return;
	}
	memcpy(copy, addrs, n * sizeof *copy);
	kp_mem_free(e->env.mem, p->addrs);
	p->addrs = copy;
	p->n_addrs = n;
}

void kp_peers_identified(kp_engine *e, kp_time now, const kp_peer_id *id,
                         const kp_identify_info *info)
{
	(void)now;
	kp_peer *p = kp_peers_find(e, id);
	if (p == NULL || p->n_up == 0)
		return; /* it was gone before its answer was read */
	if (info->agent.p != NULL)
		peers_keep_agent(e, p, info->agent);
	if (info->n_addrs > 0)
		peers_keep_addrs(e, p, info->addrs, info->n_addrs);
}
