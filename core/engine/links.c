/* Links: the engine's side of each transport connection, from accept or dial to the host's
 * on_closed. What the host tells about them is in facts.c. */
#include "engine/engine.h"

#define LINK_KEPT (KP_KEEP_MESH | KP_KEEP_DIRECT | KP_KEEP_BOOTNODE | KP_KEEP_TAG | KP_KEEP_TOPIC)
/* A peer that ends a connection we dialled sooner than this is backed off. */
#define LINK_SHORT_LIFE KP_SEC(5)
/* After a wanted end, ours or theirs, discovery looks for other peers first. */
#define LINK_REST_OURS   KP_SEC(300)
#define LINK_REST_THEIRS KP_SEC(30)

kp_link *kp_links_get(kp_engine *e, kp_id id)
{
	kp_link *l = (kp_link *)kp_slots_get(&e->links, id);
	if (l == NULL)
		kp_stat_add(&e->stats, KP_STAT_stale_ids, 1);
	return l;
}

void kp_links_want(kp_link *l, unsigned act)
{
	l->todo |= act;
	if (!kp_list_linked(&l->acting))
		kp_list_push(&l->e->acting, &l->acting);
}

void kp_links_dirty(kp_link *l)
{
	if (!kp_list_linked(&l->dirty))
		kp_list_push(&l->e->dirty, &l->dirty);
}

void kp_links_ask_close(kp_link *l, kp_why why)
{
	KP_ASSERT(why != KP_WHY_NONE);
	if (l->ask_why == KP_WHY_NONE)
		l->ask_why = why;
	kp_links_dirty(l);
}

void kp_links_abort(kp_link *l, kp_time now, kp_why why)
{
	if (kp_conn_get_state(l->conn) != KP_CONN_DEAD)
		kp_conn_abort(l->conn, now, why);
	kp_links_dirty(l);
}

/* --- what the connection asks --------------------------------------------------------------------
 */

static kp_why link_secured(void *ctx, kp_conn *c, kp_time now)
{
	kp_link *l = (kp_link *)ctx;
	kp_engine *e = l->e;
	KP_ASSERT(l->conn == c && l->peer == NULL);
	kp_why why = kp_connmgr_admit(e, now, l, kp_conn_peer(c));
	if (why != KP_WHY_NONE)
		return why;
	kp_peer *p = kp_peers_get(e, now, kp_conn_peer(c));
	if (p == NULL)
		return KP_WHY_MEMORY;
	l->peer = p;
	kp_list_push(&p->links, &l->of_peer);
	p->n_links++;
	kp_peers_settle(e, now, p);
	return KP_WHY_NONE;
}

static void link_leave_half_open(kp_link *l)
{
	kp_engine *e = l->e;
	if (!kp_list_linked(&l->half_open))
		return;
	kp_list_del(&l->half_open);
	e->n_half_open--;
	KP_ASSERT(l->origin->n > 0);
	if (--l->origin->n == 0) {
		kp_map_del(&e->origins, &l->origin->node);
		kp_mem_free(e->env.mem, l->origin);
	}
	l->origin = NULL;
	kp_links_check_accept(e);
}

static void link_tell_peer(kp_link *l, kp_event_type type, kp_why why)
{
	kp_engine *e = l->e;
	kp_maddr remote;
	if (!(e->s->events & KP_EVENTS_PEERS))
		return;
	const char *text = kp_why_text(why);
	kp_addr_to_maddr(&l->remote, &remote);
	kp_event *ev = kp_engine_event_new(e, type, &l->peer->id, &remote, strlen(text));
	if (ev == NULL)
		return;
	if (type == KP_EV_PEER_DOWN) {
		ev->code = kp_why_code(why);
		kp_event_copy(ev, KP_F_TEXT, kp_slice_str(text));
	}
	kp_engine_event(e, ev);
}

static void link_opened(void *ctx, kp_conn *c, kp_time now)
{
	kp_link *l = (kp_link *)ctx;
	kp_engine *e = l->e;
	kp_peer *p = l->peer;
	KP_ASSERT(l->conn == c && p != NULL && !l->up);
	link_leave_half_open(l);
	l->up = true;
	kp_list_push(&e->open, &l->of_open);
	e->n_open++;
	bool first = p->n_up++ == 0;
	p->redial = false;
	kp_stat_add(&e->stats, KP_STAT_conns_opened, 1);
	kp_dial *d = l->dial;
	if (p->keeper != NULL)
		kp_keeper_up(p->keeper, now, p);
	if (d != NULL && d->keeper != NULL && d->keeper != p->keeper)
		kp_keeper_up(d->keeper, now, p);
	if (first)
		link_tell_peer(l, KP_EV_PEER_UP, KP_WHY_NONE);
	kp_host_tell_open(e, now, l, first);
	if (d != NULL)
		kp_dial_won(d, l, now);
	if (p->dial != NULL)
		kp_dial_met(p->dial, l, now);
	kp_connmgr_opened(e);
	kp_links_dirty(l);
}

static bool link_find_proto(void *ctx, kp_conn *c, kp_slice name, kp_proto_binding *out)
{
	kp_link *l = (kp_link *)ctx;
	(void)c;
	return kp_host_find_proto(l->e, name, out);
}

static void link_on_dirty(void *ctx, kp_conn *c)
{
	(void)c;
	kp_links_dirty((kp_link *)ctx);
}

/* --- life
 * ------------------------------------------------------------------------------------------- */

static void link_free(kp_link *l)
{
	kp_engine *e = l->e;
	KP_ASSERT(!kp_list_linked(&l->half_open) && !kp_list_linked(&l->of_peer));
	KP_ASSERT(!kp_list_linked(&l->of_open) && !kp_list_linked(&l->of_dial));
	kp_list_del(&l->dirty);
	kp_list_del(&l->acting);
	kp_conn_free(l->conn);
	kp_slots_del(&e->links, l->id);
	kp_mem_free(e->env.mem, l);
}

static bool link_join_half_open(kp_link *l)
{
	kp_engine *e = l->e;
	uint8_t ip[17] = {l->remote.family};
	memcpy(ip + 1, l->remote.ip, l->remote.family == 4 ? 4 : 16);
	kp_map_node *node = kp_map_get(&e->origins, ip, sizeof ip);
	kp_origin *o = node ? KP_CONTAINER_OF(node, kp_origin, node) : NULL;
	if (o == NULL) {
		o = (kp_origin *)kp_mem_alloc(e->env.mem, sizeof *o);
		if (o == NULL)
			return false;
		memcpy(o->ip, ip, sizeof ip);
		if (kp_map_put(&e->origins, &o->node, o->ip, sizeof o->ip) != KP_OK) {
			kp_mem_free(e->env.mem, o);
			return false;
		}
	}
	o->n++;
	l->origin = o;
	kp_list_push(&e->half_open, &l->half_open);
	e->n_half_open++;
	return true;
}

static void link_init_lists(kp_link *l)
{
	kp_list *lists[] = {&l->dirty,   &l->acting,  &l->half_open,
	                    &l->of_open, &l->of_peer, &l->of_dial};
	for (size_t i = 0; i < KP_COUNT_OF(lists); i++)
		kp_list_init(lists[i]);
}

kp_link *kp_links_new(kp_engine *e, kp_time now, kp_dial *dial, const kp_addr *to,
                      const kp_peer_id *expect)
{
	kp_link *l = (kp_link *)kp_mem_alloc(e->env.mem, sizeof *l);
	if (l == NULL)
		return NULL;
	link_init_lists(l);
	l->e = e;
	l->remote = *to;
	l->outbound = dial != NULL;
	kp_conn_host host = {l, link_secured, link_opened, link_find_proto, link_on_dirty};
	if (kp_slots_add(&e->links, l, &l->id) != KP_OK)
		goto no_slot;
	if (expect != NULL)
		l->expect = *expect;
	l->conn = kp_conn_new(&e->env, &e->s->conn, &host, l->id, l->outbound,
	                      l->expect.n > 0 ? &l->expect : NULL, now);
	if (l->conn == NULL)
		goto no_conn;
	if (dial == NULL) {
		if (!link_join_half_open(l))
			goto no_origin;
		return l;
	}
	l->dial = dial;
	l->dialing = true;
	e->n_dialing++;
	kp_list_push(&dial->links, &l->of_dial);
	dial->n_links++;
	kp_links_want(l, LINK_DIAL);
	return l;
no_origin:
	kp_conn_free(l->conn);
no_conn:
	kp_list_del(&l->dirty);
	kp_slots_del(&e->links, l->id);
no_slot:
	kp_mem_free(e->env.mem, l);
	kp_stat_add(&e->stats, KP_STAT_memory_refused, 1);
	return NULL;
}

/* What the end of a peer's last connection means for the next one. */
static void link_judge_end(kp_link *l, kp_time now, kp_why why)
{
	kp_peer *p = l->peer;
	bool brief = kp_time_sub(now, kp_conn_opened_at(l->conn)) < LINK_SHORT_LIFE;
	bool theirs = why == KP_WHY_PEER_CLOSED || why == KP_WHY_PEER_GOAWAY;
	bool bad = theirs || why == KP_WHY_IO || kp_why_code(why) == KP_E_PROTO;
	if (!brief)
		p->fails = 0;
	if (why == KP_WHY_STREAMS_DEAD && l->outbound) {
		p->redial = true;
		p->redial_at = l->remote;
	}
	if (why == KP_WHY_STREAMS_DEAD || (bad && l->outbound && brief))
		kp_peers_failed(l->e, p, now);
	if (theirs)
		kp_peers_rest(p, now, LINK_REST_THEIRS);
	else if (why == KP_WHY_IDLE || why == KP_WHY_TRIMMED || why == KP_WHY_LOCAL_CLOSE)
		kp_peers_rest(p, now, LINK_REST_OURS);
}

/* The peer of a link that ends. */
static void link_leave_peer(kp_link *l, kp_time now, kp_why why)
{
	kp_engine *e = l->e;
	kp_peer *p = l->peer;
	if (p == NULL)
		return;
	bool last = false;
	if (l->up) {
		l->up = false;
		kp_list_del(&l->of_open);
		e->n_open--;
		last = --p->n_up == 0;
		p->up_until = now;
		kp_stat_add(&e->stats, KP_STAT_conns_closed, 1);
	}
	kp_list_del(&l->of_peer);
	p->n_links--;
	if (last)
		link_judge_end(l, now, why);
	if (last) {
		link_tell_peer(l, KP_EV_PEER_DOWN, why);
		p->keep &= (unsigned)(KP_KEEP_BOOTNODE | KP_KEEP_DIRECT | KP_KEEP_TAG);
		if (p->keeper != NULL)
			kp_keeper_down(p->keeper, now);
	}
}

/* The connection is dead: everybody who knows it is told, once. */
static void link_bury(kp_link *l, kp_time now)
{
	kp_engine *e = l->e;
	kp_why why = kp_conn_get_why(l->conn);
	KP_ASSERT(!l->buried);
	l->buried = true;
	if (l->todo & LINK_DIAL)
		l->gone = true; /* the host has never heard of it */
	l->todo = 0;
	kp_list_del(&l->acting);
	link_leave_half_open(l);
	if (l->dialing) {
		l->dialing = false;
		e->n_dialing--;
	}
	if (l->up)
		kp_host_tell_close(e, now, l, why, l->peer->n_up == 1);
	link_leave_peer(l, now, why);
	if (l->dial != NULL)
		kp_dial_lost_link(l->dial, l, now);
	if (l->peer != NULL)
		kp_peers_settle(e, now, l->peer);
	l->peer = NULL;
	kp_dial_kick(e, now);
	if (l->gone)
		link_free(l);
	else
		kp_links_want(l, LINK_CLOSE);
}

/* --- the pump
 * ----------------------------------------------------------------------------------------- */

static void link_do_close(kp_link *l, kp_time now)
{
	kp_why why = l->ask_why;
	kp_conn_state state = kp_conn_get_state(l->conn);
	l->ask_why = KP_WHY_NONE;
	bool gentle = kp_why_code(why) == KP_OK || why == KP_WHY_TRIMMED;
	if (state == KP_CONN_DEAD || (state == KP_CONN_CLOSING && gentle))
		return;
	if (state == KP_CONN_OPEN && gentle)
		kp_conn_goodbye(l->conn, now, why, kp_time_add(now, KP_CONNMGR_CLOSING_NS));
	else
		kp_conn_abort(l->conn, now, why);
}

static void link_tx(kp_link *l, kp_time now)
{
	if (kp_conn_tx(l->conn, now, &l->write)) {
		KP_ASSERT(l->write.n > 0 && !l->shut);
		l->writing = true;
		kp_links_want(l, LINK_WRITE);
	} else if (!l->shut && kp_conn_wants_shutdown(l->conn)) {
		l->shut = true;
		kp_links_want(l, LINK_SHUTDOWN);
	}
}

void kp_links_pump(kp_link *l, kp_time now)
{
	if (l->buried) {
		if (l->gone)
			link_free(l);
		return;
	}
	if (l->ask_why != KP_WHY_NONE)
		link_do_close(l, now);
	if (kp_conn_get_state(l->conn) != KP_CONN_DEAD)
		kp_conn_pump(l->conn, now);
	if (l->connected && !l->writing && kp_conn_get_state(l->conn) != KP_CONN_DEAD)
		link_tx(l, now);
	if (kp_conn_get_state(l->conn) == KP_CONN_DEAD)
		link_bury(l, now);
}

bool kp_links_emit(kp_engine *e, kp_act *out)
{
	static const struct {
		unsigned bit;
		kp_act_kind kind;
	} order[] = {{LINK_DIAL, KP_ACT_DIAL},
	             {LINK_RESUME, KP_ACT_READ_RESUME},
	             {LINK_WRITE, KP_ACT_WRITE},
	             {LINK_SHUTDOWN, KP_ACT_SHUTDOWN_WR},
	             {LINK_CLOSE, KP_ACT_CLOSE}};
	if (kp_list_empty(&e->acting))
		return false;
	kp_link *l = KP_CONTAINER_OF(e->acting.next, kp_link, acting);
	size_t i = 0;
	while ((l->todo & order[i].bit) == 0)
		KP_ASSERT(++i < KP_COUNT_OF(order));
	l->todo &= ~order[i].bit;
	if (l->todo == 0)
		kp_list_del(&l->acting);
	out->kind = order[i].kind;
	out->id = l->id;
	if (out->kind == KP_ACT_DIAL) {
		out->u.addr = l->remote;
	} else if (out->kind == KP_ACT_WRITE) {
		out->u.data = l->write;
		kp_stat_add(&e->stats, KP_STAT_bytes_out, l->write.n);
	}
	return true;
}

/* --- limits
 * --------------------------------------------------------------------------------------------- */

void kp_links_check_accept(kp_engine *e)
{
	e->accept_paused = e->n_half_open >= e->s->half_open_max;
}

void kp_links_feed_starved(kp_engine *e)
{
	e->n_starved = 0;
	for (uint32_t i = 0; i < e->links.n; i++) {
		kp_link *l = (kp_link *)kp_slots_at(&e->links, i);
		if (l == NULL || !l->starved)
			continue;
		l->starved = false;
		if (!l->buried)
			kp_links_want(l, LINK_RESUME);
	}
}

bool kp_links_may_trim(const kp_link *l)
{
	if (l->ask_why != KP_WHY_NONE || kp_conn_get_state(l->conn) != KP_CONN_OPEN)
		return false;
	return !(l->peer->keep & LINK_KEPT) || kp_peers_link(l->peer) != l;
}

unsigned kp_links_trim(kp_engine *e, unsigned to)
{
	unsigned left = 0, trimmed = 0;
	KP_LIST_EACH(it, tmp, &e->open)
	{
		kp_link *l = KP_CONTAINER_OF(it, kp_link, of_open);
		left += l->ask_why == KP_WHY_NONE && kp_conn_get_state(l->conn) == KP_CONN_OPEN;
	}
	for (kp_list *it = e->open.prev; it != &e->open && left > to; it = it->prev) {
		kp_link *l = KP_CONTAINER_OF(it, kp_link, of_open);
		if (!kp_links_may_trim(l))
			continue;
		kp_links_ask_close(l, KP_WHY_TRIMMED);
		kp_stat_add(&e->stats, KP_STAT_conns_trimmed, 1);
		left--;
		trimmed++;
	}
	return trimmed;
}

void kp_links_info(const kp_link *l, kp_conn_info *out)
{
	memset(out, 0, sizeof *out);
	out->id = l->id;
	out->peer = *kp_conn_peer(l->conn);
	kp_addr_to_maddr(&l->remote, &out->remote);
	out->outbound = l->outbound;
	out->opened_at = kp_conn_opened_at(l->conn);
}
