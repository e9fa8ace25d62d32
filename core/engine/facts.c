/* Facts: what the host tells the engine about connections. Nothing here calls out; consequences
 * wait for the pump. */
#include "engine/engine.h"

#define FACTS_STARVED_RETRY KP_MS(50)

static bool facts_dead(const kp_link *l)
{
	return l->buried || kp_conn_get_state(l->conn) == KP_CONN_DEAD;
}

uint8_t *kp_engine_rx_buf(kp_engine *e, kp_id conn, size_t *cap)
{
	kp_link *l = kp_links_get(e, conn);
	*cap = 0;
	if (l == NULL || !l->connected || facts_dead(l))
		return NULL;
	uint8_t *p = kp_conn_rx_buf(l->conn, cap);
	if (p != NULL)
		return p;
	kp_stat_add(&e->stats, KP_STAT_memory_refused, 1);
	l->starved = true;
	e->n_starved++;
	if (!kp_timer_is_set(&e->starved))
		kp_timer_set(&e->timers, &e->starved, kp_time_add(e->now, FACTS_STARVED_RETRY));
	return NULL;
}

/* Makes room at the half-open cap: the oldest of the address that has most gives way to `newest`.
 */
static void facts_evict_half_open(kp_engine *e, kp_time now, const kp_link *newest)
{
	kp_link *victim = NULL;
	KP_LIST_EACH(it, tmp, &e->half_open)
	{
		kp_link *l = KP_CONTAINER_OF(it, kp_link, half_open);
		if (l == newest || facts_dead(l))
			continue;
		if (victim == NULL || l->origin->n > victim->origin->n)
			victim = l;
	}
	if (victim == NULL)
		return;
	kp_stat_add(&e->stats, KP_STAT_conns_refused_half_open, 1);
	kp_links_abort(victim, now, KP_WHY_HALF_OPEN_LIMIT);
}

kp_err kp_engine_on_accept(kp_engine *e, kp_time now, kp_id listener, const kp_addr *from,
                           const kp_addr *local, kp_id *conn)
{
	kp_engine_enter(e, now);
	(void)listener;
	(void)local;
	if (!kp_engine_is_up(e))
		return KP_E_CLOSED;
	if (!kp_access_ip_ok(&e->s->access, from->family, from->ip)) {
		kp_stat_add(&e->stats, KP_STAT_conns_denied, 1);
		return KP_E_ACCES;
	}
	if (e->n_half_open >= e->s->half_open_max) {
		kp_stat_add(&e->stats, KP_STAT_conns_refused_half_open, 1);
		return KP_E_LIMIT;
	}
	kp_link *l = kp_links_new(e, now, NULL, from, NULL);
	if (l == NULL)
		return KP_E_NOMEM;
	*conn = l->id;
	if (e->n_half_open >= e->s->half_open_max)
		facts_evict_half_open(e, now, l);
	kp_links_check_accept(e);
	l->connected = true;
	if (!facts_dead(l)) {
		kp_conn_start(l->conn, now);
		kp_links_want(l, LINK_RESUME);
	}
	kp_links_dirty(l);
	return KP_OK;
}

void kp_engine_on_dialed(kp_engine *e, kp_time now, kp_id conn, const kp_addr *local, kp_err err)
{
	kp_engine_enter(e, now);
	(void)local;
	kp_link *l = kp_links_get(e, conn);
	if (l == NULL || l->connected || l->gone)
		return;
	if (err != KP_OK) {
		if (err == KP_E_LIMIT)
			kp_stat_add(&e->stats, KP_STAT_dials_no_fd, 1);
		l->dial_err = err;
		l->gone = true;
		kp_links_abort(l, now, KP_WHY_UNREACHABLE);
		return;
	}
	if (l->dialing) {
		l->dialing = false;
		e->n_dialing--;
	}
	l->connected = true;
	if (!facts_dead(l)) {
		kp_conn_start(l->conn, now);
		kp_links_want(l, LINK_RESUME);
	}
	kp_links_dirty(l);
	kp_dial_kick(e, now);
}

void kp_engine_on_read(kp_engine *e, kp_time now, kp_id conn, size_t n)
{
	kp_engine_enter(e, now);
	kp_link *l = kp_links_get(e, conn);
	if (l == NULL || !l->connected || facts_dead(l))
		return;
	kp_stat_add(&e->stats, KP_STAT_bytes_in, n);
	kp_conn_on_read(l->conn, now, n);
	kp_links_dirty(l);
}

void kp_engine_on_written(kp_engine *e, kp_time now, kp_id conn, kp_err err)
{
	kp_engine_enter(e, now);
	kp_link *l = kp_links_get(e, conn);
	if (l == NULL || !l->writing)
		return;
	l->writing = false;
	if (facts_dead(l))
		return;
	if (err == KP_OK)
		kp_conn_on_written(l->conn, now);
	else
		kp_conn_abort(l->conn, now, KP_WHY_IO);
	kp_links_dirty(l);
}

void kp_engine_on_closed(kp_engine *e, kp_time now, kp_id conn, kp_err err)
{
	kp_engine_enter(e, now);
	kp_link *l = kp_links_get(e, conn);
	if (l == NULL)
		return;
	l->gone = true;
	l->writing = false;
	if (!l->connected && l->dial_err == KP_OK)
		l->dial_err = err;
	kp_links_abort(l, now, l->connected ? KP_WHY_IO : KP_WHY_UNREACHABLE);
}
