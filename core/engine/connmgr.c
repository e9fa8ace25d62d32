/* The connection manager: limits, idle connections, and looking for more peers, once a heartbeat.
 */
#include "engine/engine.h"

#define CONNMGR_NEVER_IDLE (KP_KEEP_MESH | KP_KEEP_DIRECT | KP_KEEP_BOOTNODE | KP_KEEP_TAG)

kp_why kp_connmgr_admit(kp_engine *e, kp_time now, kp_link *l, const kp_peer_id *peer)
{
	(void)now;
	if (kp_peer_id_eq(peer, &e->self.id))
		return KP_WHY_SELF;
	if (!kp_engine_is_up(e))
		return KP_WHY_SHUTDOWN;
	if (!kp_access_ok(&e->s->access, peer, l->remote.family, l->remote.ip)) {
		kp_stat_add(&e->stats, KP_STAT_conns_denied, 1);
		return KP_WHY_DENIED;
	}
	if (l->outbound)
		return l->dial != NULL ? KP_WHY_NONE : KP_WHY_DIAL_LOST;
	const kp_peer *p = kp_peers_find(e, peer);
	bool refuse = p != NULL && p->n_links >= e->s->conns_per_peer_max;
	if (!refuse && e->n_open >= e->s->max_connections && (p == NULL || p->keep == 0)) {
		refuse = true; /* unless somebody can give way */
		for (const kp_list *it = e->open.next; refuse && it != &e->open; it = it->next)
			refuse = !kp_links_may_trim(KP_CONTAINER_OF(it, kp_link, of_open));
	}
	if (!refuse)
		return KP_WHY_NONE;
	kp_stat_add(&e->stats, KP_STAT_conns_refused_limit, 1);
	return KP_WHY_REFUSED_LIMIT;
}

void kp_connmgr_opened(kp_engine *e)
{
	if (e->n_open > e->s->max_connections)
		kp_links_trim(e, e->s->trim_to);
}

static void connmgr_close_idle(kp_engine *e, kp_time now)
{
	if (e->s->idle_timeout_ns == KP_NEVER)
		return;
	KP_LIST_EACH(it, tmp, &e->open)
	{
		kp_link *l = KP_CONTAINER_OF(it, kp_link, of_open);
		if (l->ask_why != KP_WHY_NONE || kp_conn_get_state(l->conn) != KP_CONN_OPEN)
			continue;
		kp_time since = kp_conn_idle_since(l->conn);
		if (since == KP_NEVER || kp_time_sub(now, since) < e->s->idle_timeout_ns)
			continue;
		if ((l->peer->keep & CONNMGR_NEVER_IDLE) && kp_peers_link(l->peer) == l)
			continue;
		kp_links_ask_close(l, KP_WHY_IDLE);
		kp_stat_add(&e->stats, KP_STAT_conns_idle_closed, 1);
	}
}

/* The budget has refused something since the last beat and is nearly used up: one gives way. */
static void connmgr_relieve_memory(kp_engine *e)
{
	const kp_mem *m = e->env.mem;
	bool refused = m->refused != e->mgr.refused;
	e->mgr.refused = m->refused;
	if (refused && m->bytes_max != 0 && m->bytes > m->bytes_max - m->bytes_max / 8)
		kp_links_trim(e, e->n_open > 0 ? e->n_open - 1 : 0);
}

/* --- discovery ----------------------------------------------------------------------------------
 */

/* How many peers of kad's table are being dialled now. */
static unsigned connmgr_dial_table(kp_engine *e, kp_time now)
{
	kp_connmgr *m = &e->mgr;
	unsigned n = 0;
	size_t size = kp_kad_size(e->kad);
	for (size_t i = 0; i < size && n < KP_CONNMGR_DIALS; i++) {
		kp_kad_entry entry;
		char text[64];
		kp_dial *d = NULL;
		m->at = m->at + 1 < size ? m->at + 1 : 0;
		if (!kp_kad_entry_at(e->kad, m->at, &entry) || entry.connected ||
		    !kp_access_peer_ok(&e->s->access, &entry.peer))
			continue;
		kp_peer *p = kp_peers_find(e, &entry.peer);
		if (p != NULL && (p->n_links > 0 || p->dial != NULL || now < p->rest_until ||
		                  kp_peers_backed_off(p, now)))
			continue;
		if (kp_host_dial_known(e, now, &entry.peer, entry.addrs, entry.n_addrs, false, &d,
		                       text, sizeof text) == KP_OK)
			n++;
	}
	return n;
}

/* A peer whose connection we gave up because it kept refusing our streams: again under the usual
 * back-off, without limit. One a beat. */
static void connmgr_redial(kp_engine *e, kp_time now)
{
	kp_peer *found = NULL;
	for (kp_list *it = e->strangers.next; it != &e->strangers && found == NULL; it = it->next) {
		kp_peer *p = KP_CONTAINER_OF(it, kp_peer, of_strangers);
		if (p->redial && !kp_peers_backed_off(p, now))
			found = p;
	}
	if (found == NULL || e->n_open + e->n_dials >= e->s->trim_to)
		return;
	kp_maddr at;
	kp_dial *d;
	char text[64];
	kp_peer_id id = found->id;
	kp_addr_to_maddr(&found->redial_at, &at);
	(void)kp_host_dial_known(e, now, &id, &at, 1, false, &d, text, sizeof text);
}

/* A peer that we were connected with in the last hour and kad's table has lost: whoever was cut off
 * for long has nobody left to ask, its bootnode may be gone, and the others may have given it up.
 * One a beat, the last to go first. */
static void connmgr_dial_stranger(kp_engine *e, kp_time now)
{
	kp_dial *d;
	char text[64];
	for (kp_list *it = e->strangers.prev; it != &e->strangers; it = it->prev) {
		kp_peer *p = KP_CONTAINER_OF(it, kp_peer, of_strangers);
		if (p->n_addrs == 0 || kp_time_sub(now, p->up_until) >= KP_PEERS_FORGET_NS ||
		    now < p->rest_until || kp_peers_backed_off(p, now) ||
		    !kp_access_peer_ok(&e->s->access, &p->id))
			continue;
		kp_peer_id id = p->id;
		(void)kp_host_dial_known(e, now, &id, p->addrs, p->n_addrs, false, &d, text,
		                         sizeof text);
		return;
	}
}

static void connmgr_discover(kp_engine *e, kp_time now)
{
	kp_connmgr *m = &e->mgr;
	bool wants = kp_gs_wants_peers(e->gs) || e->n_open < KP_CONNMGR_WANTED;
	if (!wants || e->n_open + e->n_dials >= e->s->trim_to)
		return;
	if (e->kad != NULL && connmgr_dial_table(e, now) > 0) {
		m->explore_after = KP_CONNMGR_EXPLORE;
		return;
	}
	connmgr_dial_stranger(e, now);
	if (e->kad == NULL || now < m->explore_at || kp_kad_explore(e->kad, now) != KP_OK)
		return;
	m->explore_at = kp_time_add(now, m->explore_after);
	m->explore_after = KP_MIN(m->explore_after * 2, KP_CONNMGR_EXPLORE_MAX);
}

static void connmgr_beat(kp_timer *t, kp_time now)
{
	kp_engine *e = KP_CONTAINER_OF(t, kp_engine, mgr.beat);
	kp_timer_set(&e->timers, t, kp_time_add(now, e->s->gs.heartbeat_ns));
	connmgr_close_idle(e, now);
	connmgr_relieve_memory(e);
	kp_peers_forget_old(e, now);
	connmgr_redial(e, now);
	connmgr_discover(e, now);
}

void kp_connmgr_start(kp_engine *e, kp_time now)
{
	kp_timer_init(&e->mgr.beat, connmgr_beat);
	e->mgr.explore_at = now;
	e->mgr.explore_after = KP_CONNMGR_EXPLORE;
	kp_timer_set(&e->timers, &e->mgr.beat, kp_time_add(now, e->s->gs.first_heartbeat_ns));
}

void kp_connmgr_stop(kp_engine *e)
{
	if (e->mgr.beat.fire != NULL)
		kp_timer_unset(&e->timers, &e->mgr.beat);
}
