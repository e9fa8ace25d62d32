/* Asking one peer for the nodes nearest to a target: dial when it is not connected, one stream, the
 * request, FIN, one answer. */
#include "svc/kad/kad_impl.h"

/* --- life of a contact -------------------------------------------------------------------------
 */

static void contact_on_timeout(kp_timer *t, kp_time now);

static kp_kad_contact *contact_new(kp_kad *kad, kp_time now, const kp_peer_id *peer,
                                   const kp_peer_id *target)
{
	kp_kad_contact *c = NULL;
	if (kp_timers_reserve(kad->env->timers, 1) == KP_OK) {
		c = (kp_kad_contact *)kp_mem_alloc(kad->env->mem, sizeof(*c));
		if (c == NULL)
			kp_timers_release(kad->env->timers, 1);
	}
	if (c == NULL) {
		kp_kad_count(kad, KP_STAT_kad_memory, 1);
		return NULL;
	}
	c->kad = kad;
	c->peer = *peer;
	c->target = *target;
	kp_timer_init(&c->timer, contact_on_timeout);
	kp_timer_set(kad->env->timers, &c->timer, kp_time_add(now, kad->params.request_ns));
	kp_list_init(&c->node);
	kp_list_push(&kad->contacts, &c->node);
	return c;
}

void kp_kad_contact_drop(kp_kad_contact *c)
{
	kp_kad *kad = c->kad;
	if (c->s != NULL) {
		((kp_kad_stream *)kp_stream_state(c->s))->contact = NULL;
		kp_stream_reset(c->s);
	}
	kp_timer_unset(kad->env->timers, &c->timer);
	kp_timers_release(kad->env->timers, 1);
	kp_list_del(&c->node);
	kp_mem_free(kad->env->mem, c);
}

/* blame: it was the peer's doing. */
static void contact_fail(kp_kad_contact *c, kp_time now, bool blame)
{
	kp_kad *kad = c->kad;
	kp_kad_lookup *l = c->lookup;
	kp_kad_cand *cand = c->cand;
	kp_peer_id peer = c->peer;
	kp_kad_member *m = kp_kad_member_get(kad, &peer);
	if (l == NULL && m != NULL)
		m->checking = false;
	kp_kad_contact_drop(c);
	if (blame)
		kp_kad_member_failed(kad, &peer);
	if (l != NULL)
		kp_kad_lookup_failed(l, now, cand);
}

static void contact_on_timeout(kp_timer *t, kp_time now)
{
	kp_kad_contact *c = KP_CONTAINER_OF(t, kp_kad_contact, timer);
	kp_kad *kad = c->kad;
	kad->last = now;
	kp_kad_count(kad, KP_STAT_kad_timeouts, 1);
	contact_fail(c, now, true);
	kp_kad_flush(kad, now);
}

/* The peer is connected: the request goes out on a stream of its own. */
static kp_err contact_ask(kp_kad_contact *c, kp_time now)
{
	kp_kad *kad = c->kad;
	uint8_t bytes[128];
	kp_writer w = kp_writer_of(bytes, sizeof(bytes));
	kp_kad_out req;
	memset(&req, 0, sizeof(req));
	req.type = KP_KAD_FIND_NODE;
	req.cluster_level = KP_KAD_CLUSTER_LEVEL;
	req.key = kp_peer_id_slice(&c->target);
	kp_err err = kp_kad_write(&w, &req);
	KP_ASSERT(err == KP_OK);
	kp_ref out = kp_ref_copy(kad->env->pool, kp_slice_of(bytes, w.n));
	if (out.block == NULL) {
		kp_kad_count(kad, KP_STAT_kad_memory, 1);
		return KP_E_LIMIT;
	}
	kp_stream *s;
	err = kp_host_open(kad->h, now, &c->peer, kp_kad_protos, kp_kad_protos_n, &kp_kad_proto_ops,
	                   kad, &s);
	if (err != KP_OK) {
		kp_ref_drop(&out);
		return err == KP_E_NOMEM ? KP_E_LIMIT : err;
	}
	kp_kad_stream *st = (kp_kad_stream *)kp_stream_state(s);
	st->kad = kad;
	st->s = s;
	st->contact = c;
	st->out = out;
	c->s = s;
	kad->n_streams++;
	kp_kad_count(kad, KP_STAT_kad_requests, 1);
	return KP_OK;
}

kp_err kp_kad_contact_start(kp_kad_lookup *l, kp_time now, kp_kad_cand *cand)
{
	kp_kad *kad = l->kad;
	kp_kad_contact *c = contact_new(kad, now, &cand->peer, &l->target);
	if (c == NULL)
		return KP_E_LIMIT;
	c->lookup = l;
	c->cand = cand;
	kp_err err;
	if (kp_host_connected(kad->h, &cand->peer)) {
		err = contact_ask(c, now);
	} else {
		size_t n = kp_kad_query_addrs(cand, kad->scratch->addrs, KP_KAD_QUERY_ADDRS_MAX);
		err = kp_host_dial(kad->h, now, &cand->peer, kad->scratch->addrs, n);
		if (err == KP_OK)
			return KP_OK; /* c may be gone by now */
	}
	if (err != KP_OK)
		kp_kad_contact_drop(c);
	return err;
}

void kp_kad_check_start(kp_kad *kad, kp_time now, kp_kad_member *m)
{
	kp_kad_contact *c = contact_new(kad, now, &m->peer, &m->peer);
	if (c == NULL)
		return;
	m->checking = contact_ask(c, now) == KP_OK;
	if (!m->checking)
		kp_kad_contact_drop(c);
}

/* --- what becomes of a dial ------------------------------------------------------------------- */

/* A contact of this peer that waits for a connection. */
static kp_kad_contact *contact_dialling(kp_kad *kad, const kp_peer_id *peer)
{
	KP_LIST_EACH(n, tmp, &kad->contacts)
	{
		kp_kad_contact *c = KP_CONTAINER_OF(n, kp_kad_contact, node);
		if (c->s == NULL && kp_peer_id_eq(&c->peer, peer))
			return c;
	}
	return NULL;
}

void kp_kad_client_conn_up(kp_kad *kad, kp_time now, const kp_peer_id *peer)
{
	kp_kad_contact *c;
	while ((c = contact_dialling(kad, peer)) != NULL)
		if (contact_ask(c, now) != KP_OK)
			contact_fail(c, now, false);
}

void kp_kad_client_dial_failed(kp_kad *kad, kp_time now, const kp_peer_id *peer, bool blame)
{
	kp_kad_contact *c;
	if (blame)
		kp_kad_member_failed(kad, peer);
	while ((c = contact_dialling(kad, peer)) != NULL)
		contact_fail(c, now, false);
}

/* --- the answer ---------------------------------------------------------------------------------
 */

static void contact_answered(kp_kad_contact *c, kp_time now, kp_kad_msg *m)
{
	kp_kad *kad = c->kad;
	kp_kad_lookup *l = c->lookup;
	kp_kad_cand *cand = c->cand;
	kp_peer_id peer = c->peer;
	kp_kad_member *from = kp_kad_member_get(kad, &peer);
	kp_ip_scope scope = from != NULL ? from->scope : KP_SCOPE_PUBLIC;
	if (l == NULL && from != NULL)
		from->checking = false;
	kp_kad_count(kad, KP_STAT_kad_answers, 1);
	kp_kad_contact_drop(c); /* we close, as rust does after one answer */
	kp_kad_member_answered(kad, now, &peer);
	if (l != NULL)
		kp_kad_lookup_answered(l, now, cand, scope, m);
}

kp_err kp_kad_client_on_data(kp_kad_stream *st, kp_time now, kp_slice in)
{
	kp_kad *kad = st->kad;
	kp_ref body;
	kp_kad_msg m;
	if (st->contact == NULL)
		return KP_OK;
	kp_err err = kp_lenframe_feed(&st->frame, kad->env->pool, KP_KAD_MSG_MAX, &in, &body);
	if (err == KP_E_AGAIN)
		return KP_OK;
	if (err == KP_OK)
		err = kp_kad_parse(kp_ref_slice(body), &m);
	if (err == KP_OK && m.type != KP_KAD_FIND_NODE)
		err = KP_E_PROTO;
	if (err == KP_OK) {
		contact_answered(st->contact, now, &m);
	} else {
		kp_kad_count(kad, err == KP_E_LIMIT ? KP_STAT_kad_memory : KP_STAT_kad_errors, 1);
		contact_fail(st->contact, now, err != KP_E_LIMIT);
	}
	kp_ref_drop(&body);
	kp_kad_flush(kad, now);
	return KP_OK;
}

/* No answer will come. */
void kp_kad_client_on_fin(kp_kad_stream *st, kp_time now)
{
	if (st->contact == NULL)
		return;
	kp_kad_count(st->kad, KP_STAT_kad_errors, 1);
	contact_fail(st->contact, now, true);
	kp_kad_flush(st->kad, now);
}

void kp_kad_client_on_close(kp_kad_stream *st, kp_time now, kp_err why)
{
	kp_kad *kad = st->kad;
	if (st->contact != NULL) {
		kp_kad_contact *c = st->contact;
		kp_kad_count(kad, KP_STAT_kad_errors, 1);
		c->s = NULL;
		st->contact = NULL;
		/* a lost connection may have been ended by us; a dead peer fails the next dial */
		contact_fail(c, now, why != KP_E_CANCELED && why != KP_E_CLOSED);
	}
	kp_lenframe_fini(&st->frame);
	kp_ref_drop(&st->out);
	kad->n_streams--;
	kp_kad_flush(kad, now);
}
