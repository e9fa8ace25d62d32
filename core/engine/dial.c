/* Dialling a peer: its addresses are ranked, one is started, the next follows 250 ms later (30 ms
 * after a private one) or when it has failed; the first finished upgrade with the right peer id
 * wins and the others are cancelled. Names are resolved in resolve.c. */
#include "engine/engine.h"

#include <stdio.h>

/* --- candidates
 * ----------------------------------------------------------------------------------- */

void kp_dial_note(kp_dial *d, kp_err err, const char *text)
{
	if (d->err == KP_E_PEERID && err != KP_E_PEERID)
		return; /* the most telling failure stays */
	d->err = err;
	snprintf(d->text, sizeof d->text, "%s", text);
}

static void dial_note_addr(kp_dial *d, kp_err err, const kp_maddr *m, const char *what)
{
	char addr[160], text[sizeof d->text];
	kp_maddr_text(m, addr, sizeof addr);
	snprintf(text, sizeof text, "%s: %s", addr, what);
	kp_dial_note(d, err, text);
}

void kp_dial_add_candidate(kp_dial *d, const kp_addr *addr, const kp_peer_id *expect)
{
	kp_engine *e = d->e;
	kp_maddr m;
	kp_addr_to_maddr(addr, &m);
	for (uint32_t i = 0; i < d->n_candidates; i++)
		if (kp_addr_eq(&d->candidates[i].addr, addr) &&
		    kp_peer_id_eq(&d->candidates[i].expect, expect))
			return;
	if (kp_peer_id_eq(expect, &e->self.id) || kp_listen_is_own(e, addr)) {
		dial_note_addr(d, KP_E_PEERID, &m, "is this node itself");
		return;
	}
	const kp_access *access = &e->s->access;
	if (kp_peer_id_none(expect) ? !kp_access_ip_ok(access, addr->family, addr->ip)
	                            : !kp_access_ok(access, expect, addr->family, addr->ip)) {
		kp_stat_add(&e->stats, KP_STAT_dials_denied, 1);
		dial_note_addr(d, KP_E_ACCES, &m, kp_why_text(KP_WHY_DENIED));
		return;
	}
	if (addr->port == 0 || d->n_candidates == KP_DIAL_CANDIDATES) {
		dial_note_addr(d, KP_E_NOTFOUND, &m, "not dialled: port 0, or too many addresses");
		return;
	}
	if (d->n_candidates == d->room) {
		uint32_t room = d->room ? d->room * 2 : 4;
		kp_candidate *list =
		        (kp_candidate *)kp_mem_grow(e->env.mem, d->candidates, room * sizeof *list);
		if (list == NULL) {
			kp_stat_add(&e->stats, KP_STAT_memory_refused, 1);
			kp_dial_note(d, KP_E_NOMEM, "out of memory");
			return;
		}
		d->candidates = list;
		d->room = room;
	}
	kp_candidate *c = &d->candidates[d->n_candidates++];
	memset(c, 0, sizeof *c);
	c->addr = *addr;
	c->expect = *expect;
	/* Private ones first; within a class ip6 and ip4 take turns. */
	uint32_t turn = addr->family == 4 ? d->v4++ : d->v6++;
	bool public = kp_addr_scope(addr) == KP_SCOPE_PUBLIC;
	c->rank = (public ? 1u << 16 : 0) | turn << 1 | (addr->family == 4);
}

void kp_dial_add(kp_dial *d, kp_time now, const kp_maddr *m, unsigned depth)
{
	kp_maddr_target t;
	kp_addr addr;
	(void)now;
	if (!kp_maddr_tcp_target(m, &t)) {
		dial_note_addr(d, KP_E_NOTSUP, m, "not supported");
		return;
	}
	if (d->peer != NULL) {
		if (!kp_peer_id_none(&t.peer) && !kp_peer_id_eq(&t.peer, &d->peer->id)) {
			dial_note_addr(d, KP_E_PEERID, m, "names another peer");
			return;
		}
		t.peer = d->peer->id;
	}
	if (t.kind != KP_MADDR_IP4 && t.kind != KP_MADDR_IP6) {
		if (!kp_resolve_add(d, m, &t, depth))
			dial_note_addr(d, KP_E_NOTFOUND, m, "too many name lookups");
		return;
	}
	kp_addr_of_maddr(m, &addr);
	kp_dial_add_candidate(d, &addr, &t.peer);
}

static kp_candidate *dial_best(kp_dial *d)
{
	kp_candidate *best = NULL;
	for (uint32_t i = 0; i < d->n_candidates; i++) {
		kp_candidate *c = &d->candidates[i];
		if (!c->tried && (best == NULL || c->rank < best->rank))
			best = c;
	}
	return best;
}

/* --- ends
 * ------------------------------------------------------------------------------------------- */

/* No attempt, lookup or timer is left; the pump frees it. Who waits is for the caller to tell. */
static void dial_close(kp_dial *d, kp_time now)
{
	kp_engine *e = d->e;
	KP_ASSERT(!d->done);
	d->done = true;
	kp_timer_unset(&e->timers, &d->total);
	kp_timer_unset(&e->timers, &d->next);
	kp_resolve_drop(d);
	kp_list *it;
	while ((it = kp_list_pop(&d->links)) != NULL) {
		kp_link *l = KP_CONTAINER_OF(it, kp_link, of_dial);
		l->dial = NULL;
		d->n_links--;
		kp_links_abort(l, now, KP_WHY_DIAL_LOST);
	}
	kp_list_del(&d->waiting);
	kp_list_del(&d->node);
	e->n_dials--;
	kp_list_push(&e->dead_dials, &d->node);
	if (d->peer != NULL)
		d->peer->dial = NULL;
}

static void dial_tell(kp_dial *d, kp_time now, kp_err err, const char *text, const kp_link *l)
{
	kp_list *it;
	while ((it = kp_list_pop(&d->waiters)) != NULL)
		kp_req_dial_done(KP_CONTAINER_OF(it, kp_req, of_dial), now, err, text, l);
}

void kp_dial_met(kp_dial *d, const kp_link *l, kp_time now)
{
	dial_tell(d, now, KP_OK, NULL, l);
}

void kp_dial_won(kp_dial *d, kp_link *l, kp_time now)
{
	kp_peer *p = d->peer;
	if (l->dial == d) {
		kp_list_del(&l->of_dial);
		d->n_links--;
		l->dial = NULL;
	}
	dial_close(d, now);
	dial_tell(d, now, KP_OK, NULL, l);
	if (p != NULL)
		kp_peers_settle(d->e, now, p);
}

/* fault: it counts against the peer, unless we had no descriptor or memory for it. */
static void dial_fail(kp_dial *d, kp_time now, kp_err err, const char *text, bool fault)
{
	kp_engine *e = d->e;
	kp_peer *p = d->peer;
	bool ours = d->err == KP_E_LIMIT || d->err == KP_E_NOMEM;
	kp_link *met = p != NULL ? kp_peers_link(p) : NULL;
	if (met != NULL) { /* it has connected to us meanwhile */
		kp_dial_won(d, met, now);
		return;
	}
	dial_close(d, now);
	kp_stat_add(&e->stats, KP_STAT_dials_failed, 1);
	kp_trace_emit(&e->trace, KP_TRACE_DIAL_FAILED, e->stats.v[KP_STAT_dials_failed],
	              (uint64_t) - (int64_t)err, 0);
	kp_keeper *k = d->keeper != NULL ? d->keeper : p != NULL ? p->keeper : NULL;
	if (k != NULL && fault)
		kp_keeper_failed(k, now, text);
	else if (p != NULL && fault && !ours)
		kp_peers_failed(e, p, now);
	dial_tell(d, now, err, text, NULL);
	if (p == NULL)
		return;
	kp_peer_id id = p->id;
	kp_peers_settle(e, now, p);
	kp_host_tell_dial_failed(e, now, &id, err);
}

void kp_dial_cancel(kp_dial *d, kp_time now, kp_err err, const char *text)
{
	if (!d->done)
		dial_fail(d, now, err, text, false);
}

void kp_dial_late_text(kp_dial *d, char *text, size_t cap)
{
	if (!kp_list_empty(&d->lookups))
		kp_resolve_note(KP_CONTAINER_OF(d->lookups.next, kp_lookup, node), KP_E_TIMEDOUT);
	snprintf(text, cap, "timed out%s%s", d->err != KP_OK ? "; " : "", d->text);
}

static void dial_total(kp_timer *t, kp_time now)
{
	kp_dial *d = KP_CONTAINER_OF(t, kp_dial, total);
	char text[KP_DIAL_TEXT + 32];
	kp_dial_late_text(d, text, sizeof text);
	dial_fail(d, now, KP_E_TIMEDOUT, text, true);
}

static void dial_next(kp_timer *t, kp_time now)
{
	kp_dial_go(KP_CONTAINER_OF(t, kp_dial, next), now);
}

/* Why an attempt ended, in words. */
static void dial_judge(kp_dial *d, const kp_link *l)
{
	kp_maddr m;
	char what[200], expected[KP_PEER_ID_TEXT_MAX], actual[KP_PEER_ID_TEXT_MAX];
	kp_why why = kp_conn_get_why(l->conn);
	kp_err err =
	        why == KP_WHY_UNREACHABLE && l->dial_err != KP_OK ? l->dial_err : kp_why_code(why);
	if (err == KP_OK)
		err = KP_E_UNREACHABLE;
	snprintf(what, sizeof what, "%s",
	         why == KP_WHY_UNREACHABLE && l->dial_err != KP_OK ? kp_err_text(l->dial_err)
	                                                           : kp_why_text(why));
	if (why == KP_WHY_HANDSHAKE_TIMEOUT && !l->connected)
		snprintf(what, sizeof what, "no answer");
	if (why == KP_WHY_UNREACHABLE && err == KP_E_LIMIT)
		snprintf(what, sizeof what, "no file descriptor is left");
	if (why == KP_WHY_WRONG_PEER_ID) {
		kp_peer_id_text(&l->expect, expected);
		kp_peer_id_text(kp_conn_peer(l->conn), actual);
		snprintf(what, sizeof what, "wrong peer id: expected %s, found %s", expected,
		         actual[0] ? actual : "another");
	}
	kp_addr_to_maddr(&l->remote, &m);
	dial_note_addr(d, err, &m, what);
}

void kp_dial_lost_link(kp_dial *d, kp_link *l, kp_time now)
{
	KP_ASSERT(l->dial == d && !d->done);
	kp_list_del(&l->of_dial);
	l->dial = NULL;
	d->n_links--;
	dial_judge(d, l);
	d->next_at = now; /* no use in waiting */
	kp_dial_go(d, now);
}

/* --- progress
 * ----------------------------------------------------------------------------------------- */

/* False = nothing more may start now. */
static bool dial_start_one(kp_dial *d, kp_time now)
{
	kp_engine *e = d->e;
	kp_candidate *c = dial_best(d);
	if (c == NULL || now < d->next_at || d->n_links >= KP_DIAL_PARALLEL)
		return false;
	if (e->n_dialing >= e->s->dials_max) {
		if (!kp_list_linked(&d->waiting))
			kp_list_push(&e->dials_waiting, &d->waiting);
		return false;
	}
	c->tried = true;
	kp_link *l = kp_links_new(e, now, d, &c->addr, c->expect.n > 0 ? &c->expect : NULL);
	if (l == NULL) {
		kp_dial_note(d, KP_E_NOMEM, "out of memory");
		return true;
	}
	kp_trace_emit(&e->trace, KP_TRACE_DIAL, l->id.slot, l->id.gen, 0);
	bool private = kp_addr_scope(&c->addr) != KP_SCOPE_PUBLIC;
	d->next_at = kp_time_add(now, private ? KP_DIAL_NEXT_PRIVATE : KP_DIAL_NEXT);
	return true;
}

/* A candidate whose peer is connected already makes the dial superfluous (dnsaddr). */
static kp_link *dial_connected(kp_dial *d)
{
	for (uint32_t i = 0; d->peer == NULL && i < d->n_candidates; i++) {
		const kp_peer_id *id = &d->candidates[i].expect;
		kp_peer *p = id->n > 0 ? kp_peers_find(d->e, id) : NULL;
		kp_link *l = p != NULL ? kp_peers_link(p) : NULL;
		if (l != NULL)
			return l;
	}
	return NULL;
}

void kp_dial_go(kp_dial *d, kp_time now)
{
	kp_engine *e = d->e;
	if (d->done)
		return;
	kp_link *known = dial_connected(d);
	if (known != NULL) {
		if (d->keeper != NULL)
			kp_keeper_up(d->keeper, now, known->peer);
		kp_dial_won(d, known, now);
		return;
	}
	while (dial_start_one(d, now))
		; /* each turn uses up a candidate */
	bool more = dial_best(d) != NULL;
	if (more && now < d->next_at)
		kp_timer_set(&e->timers, &d->next, d->next_at);
	if (more || d->n_links > 0 || d->pending > 0)
		return;
	dial_fail(d, now, d->err != KP_OK ? d->err : KP_E_UNREACHABLE,
	          d->err != KP_OK ? d->text : "no address could be dialled", true);
}

void kp_dial_kick(kp_engine *e, kp_time now)
{
	while (e->n_dialing < e->s->dials_max && !kp_list_empty(&e->dials_waiting)) {
		kp_list *it = kp_list_take(&e->dials_waiting);
		kp_dial_go(KP_CONTAINER_OF(it, kp_dial, waiting), now);
	}
}

/* --- life
 * ------------------------------------------------------------------------------------------------
 */

static void dial_free(kp_dial *d)
{
	kp_engine *e = d->e;
	KP_ASSERT(kp_list_empty(&d->links) && kp_list_empty(&d->waiters));
	KP_ASSERT(kp_list_empty(&d->lookups) && !kp_list_linked(&d->waiting));
	kp_list_del(&d->node);
	kp_timers_release(&e->timers, 2);
	kp_mem_free(e->env.mem, d->candidates);
	kp_mem_free(e->env.mem, d);
}

void kp_dial_reap(kp_engine *e)
{
	while (!kp_list_empty(&e->dead_dials))
		dial_free(KP_CONTAINER_OF(e->dead_dials.next, kp_dial, node));
}

static kp_dial *dial_new(kp_engine *e, kp_peer *peer, kp_keeper *keeper)
{
	kp_dial *d = (kp_dial *)kp_mem_alloc(e->env.mem, sizeof *d);
	if (d == NULL || kp_timers_reserve(&e->timers, 2) != KP_OK) {
		kp_mem_free(e->env.mem, d);
		kp_stat_add(&e->stats, KP_STAT_memory_refused, 1);
		return NULL;
	}
	kp_list *lists[] = {&d->node, &d->waiting, &d->links, &d->lookups, &d->waiters};
	for (size_t i = 0; i < KP_COUNT_OF(lists); i++)
		kp_list_init(lists[i]);
	d->e = e;
	d->peer = peer;
	d->keeper = keeper;
	kp_timer_init(&d->total, dial_total);
	kp_timer_init(&d->next, dial_next);
	return d;
}

kp_err kp_dial_start(kp_engine *e, kp_time now, kp_peer *peer, const kp_maddr *addrs, size_t n,
                     kp_keeper *keeper, kp_dial **out, char *text, size_t cap)
{
	KP_ASSERT(kp_engine_is_up(e) && (peer == NULL || peer->dial == NULL));
	kp_dial *d = dial_new(e, peer, keeper);
	if (d == NULL) {
		snprintf(text, cap, "out of memory");
		return KP_E_NOMEM;
	}
	for (size_t i = 0; i < n; i++)
		kp_dial_add(d, now, &addrs[i], 0);
	if (d->n_candidates == 0 && d->pending == 0) {
		snprintf(text, cap, "%s", d->err != KP_OK ? d->text : "no address is known");
		bool telling =
		        d->err == KP_E_PEERID || d->err == KP_E_NOMEM || d->err == KP_E_ACCES;
		kp_err err = telling ? d->err : KP_E_NOTFOUND;
		dial_free(d);
		return err;
	}
	kp_list_push(&e->dials, &d->node);
	e->n_dials++;
	if (peer != NULL) {
		peer->dial = d;
		kp_peers_settle(e, now, peer);
	}
	kp_stat_add(&e->stats, KP_STAT_dials_started, 1);
	kp_timer_set(&e->timers, &d->total, kp_time_add(now, e->s->dial_timeout_ns));
	kp_timer_set(&e->timers, &d->next, now); /* from the pump: no failure before we return */
	*out = d;
	return KP_OK;
}
