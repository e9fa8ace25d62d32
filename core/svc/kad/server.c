/* Answering requests: several per stream, in order, one at a time; what a client sends ahead waits,
 * up to a cap. There is no record store: values and providers are refused
 * the way servers without one refuse them. */
#include "svc/kad/kad_impl.h"

#define SERVER_IDLE    KP_SEC(60)
#define SERVER_AHEAD   4096u /* bytes a client may send behind a request not yet answered */
#define SERVER_KEY_MAX 80u   /* of GET_PROVIDERS (go) */

/* --- building an answer ------------------------------------------------------------------------
 */

/* An answer under construction; everything points into the scratch. */
struct server_answer {
	kp_kad_scratch *x;
	kp_ip_scope to; /* where the requester is */
	size_t n, n_addrs;
};

/* Adds a peer with those of its addresses that are of use to the requester, unless there is none.
 */
static void server_add(struct server_answer *a, const kp_peer_id *id, const kp_maddr *addrs,
                       size_t n, bool connected)
{
	kp_slice *first = &a->x->out_addrs[a->n_addrs];
	size_t got = 0;
	for (size_t i = 0; i < n && got < KP_KAD_ENTRY_ADDRS_MAX; i++)
		if (kp_kad_addr_fits(a->to, &addrs[i]))
			first[got++] = kp_maddr_slice(&addrs[i]);
	if (got == 0)
		return;
	KP_ASSERT(a->n < KP_COUNT_OF(a->x->out));
	kp_kad_peer_out *out = &a->x->out[a->n++];
	a->n_addrs += got;
	out->id = id;
	out->addrs = first;
	out->n_addrs = got;
	out->connection = connected ? KP_KAD_CONNECTED : KP_KAD_NOT_CONNECTED;
}

/* go puts the target itself first when it knows its addresses, be it the server, the requester or a
 * client: that is how FIND_NODE finds peers outside the routing tables. */
static void server_add_target(kp_kad *kad, struct server_answer *a, const kp_peer_id *target)
{
	kp_maddr *addrs = a->x->addrs;
	size_t n;
	bool self = kp_peer_id_eq(target, &kad->env->self->id);
	if (self)
		n = kp_host_own_addrs(kad->h, addrs, KP_KAD_OWN_ADDRS_MAX);
	else
		n = kp_host_peer_addrs(kad->h, target, addrs, KP_KAD_OWN_ADDRS_MAX);
	server_add(a, target, addrs, n, self || kp_host_connected(kad->h, target));
}

static void server_add_nearest(kp_kad *kad, struct server_answer *a, const kp_kad_msg *req,
                               const kp_peer_id *from)
{
	kp_kad_key key = kp_kad_key_of(kad, req->key);
	size_t n = kp_kad_table_nearest(&kad->table, &key, from, a->x->nodes, kad->params.k);
	for (size_t i = 0; i < n; i++) {
		const kp_kad_node *node = a->x->nodes[i];
		if (a->n > 0 && kp_peer_id_eq(a->x->out[0].id, &node->peer))
			continue; /* the target is there already */
		server_add(a, &node->peer, node->addrs, node->n_addrs, node->connected);
	}
}

static kp_err server_write(kp_kad *kad, const kp_kad_out *m, kp_ref *out)
{
	kp_writer measure = kp_writer_of(NULL, 0);
	kp_err err = kp_kad_write(&measure, m);
	if (err != KP_OK)
		return err;
	kp_block *b = kp_block_new(kad->env->pool, measure.n);
	if (b == NULL)
		return KP_E_LIMIT;
	kp_writer w = kp_writer_of(kp_block_bytes(b), measure.n);
	err = kp_kad_write(&w, m);
	KP_ASSERT(err == KP_OK && w.n == measure.n);
	*out = kp_ref_take(b, 0, w.n);
	return KP_OK;
}

/* KP_OK and the answer in *out, or why the stream is reset. */
static kp_err server_answer_to(kp_kad *kad, kp_stream *s, const kp_kad_msg *req, kp_ref *out)
{
	const kp_peer_id *from = kp_stream_peer(s);
	kp_kad_member *m = kp_kad_member_get(kad, from);
	struct server_answer a = {kad->scratch, m != NULL ? m->scope : KP_SCOPE_PUBLIC, 0, 0};
	kp_kad_out res;
	kp_peer_id target;
	memset(&res, 0, sizeof(res));
	res.type = req->type;
	res.cluster_level = req->cluster_level;
	switch (req->type) {
	case KP_KAD_PING:
		res.key = req->key;
		return server_write(kad, &res, out);
	case KP_KAD_FIND_NODE:
		if (req->key.n == 0)
			return KP_E_PROTO;
		if (kp_peer_id_parse_bytes(req->key, &target) == KP_OK)
			server_add_target(kad, &a, &target);
		break;
	case KP_KAD_GET_PROVIDERS:
		if (req->key.n > SERVER_KEY_MAX)
			return KP_E_PROTO;
		res.key = req->key;
		break;
	case KP_KAD_GET_VALUE:
		res.key = req->key;
		break;
	case KP_KAD_PUT_VALUE:
	case KP_KAD_ADD_PROVIDER:
		return KP_E_NOTSUP;
	}
	if (req->key.n == 0)
		return KP_E_PROTO;
	server_add_nearest(kad, &a, req, from);
	res.closer = kad->scratch->out;
	res.n_closer = a.n;
	return server_write(kad, &res, out);
}

/* --- requests ------------------------------------------------------------------------------------
 */

/* Takes bytes up to the end of one request and answers it. KP_OK = st->out holds an answer,
 * KP_E_AGAIN = *in is used up; anything else resets the stream (counted). */
static kp_err server_feed(kp_kad_stream *st, kp_slice *in)
{
	kp_kad *kad = st->kad;
	kp_ref body;
	kp_kad_msg req;
	kp_err err = kp_lenframe_feed(&st->frame, kad->env->pool, KP_KAD_MSG_MAX, in, &body);
	if (err == KP_E_AGAIN)
		return err;
	if (err == KP_OK)
		err = kp_kad_parse(kp_ref_slice(body), &req);
	if (err == KP_OK)
		err = server_answer_to(kad, st->s, &req, &st->out);
	kp_ref_drop(&body);
	st->sent = 0;
	if (err == KP_OK)
		kp_kad_count(kad, KP_STAT_kad_served, 1);
	else if (err == KP_E_NOTSUP)
		kp_kad_count(kad, KP_STAT_kad_refused, 1);
	else if (err == KP_E_LIMIT)
		kp_kad_count(kad, KP_STAT_kad_memory, 1);
	else
		kp_kad_count(kad, KP_STAT_kad_errors, 1);
	return err;
}

static bool server_busy(const kp_kad_stream *st)
{
	return st->out.block != NULL || st->rest.block != NULL;
}

/* What came behind a request being answered is kept, and reading stops. */
static kp_err server_keep(kp_kad_stream *st, kp_slice in)
{
	kp_kad *kad = st->kad;
	if (in.n + st->rest.len > SERVER_AHEAD) {
		kp_kad_count(kad, KP_STAT_kad_errors, 1);
		return KP_E_PROTO;
	}
	kp_block *b = kp_block_new(kad->env->pool, st->rest.len + in.n);
	if (b == NULL) {
		kp_kad_count(kad, KP_STAT_kad_memory, 1);
		return KP_E_PROTO;
	}
	kp_slice old = kp_ref_slice(st->rest);
	if (old.n > 0)
		memcpy(kp_block_bytes(b), old.p, old.n);
	memcpy(kp_block_bytes(b) + old.n, in.p, in.n);
	kp_ref kept = kp_ref_take(b, 0, old.n + in.n);
	kp_ref_drop(&st->rest);
	st->rest = kept;
	kp_stream_hold(st->s);
	return KP_OK;
}

/* Our side ends when the client's has and all is answered. */
static void server_check_fin(kp_kad_stream *st)
{
	if (!st->fin || st->rest.block != NULL)
		return;
	if (kp_lenframe_idle(&st->frame)) {
		kp_stream_fin(st->s); /* what is in st->out still goes out */
		return;
	}
	kp_kad_count(st->kad, KP_STAT_kad_errors, 1);
	kp_stream_reset(st->s);
}

/* --- stream events -----------------------------------------------------------------------------
 */

static void server_on_idle(kp_timer *t, kp_time now)
{
	kp_kad_stream *st = KP_CONTAINER_OF(t, kp_kad_stream, idle);
	st->kad->last = now;
	kp_kad_count(st->kad, KP_STAT_kad_timeouts, 1);
	kp_stream_reset(st->s);
}

kp_err kp_kad_server_on_open(kp_kad *kad, kp_stream *s, kp_time now)
{
	if (kad->mode != KP_KAD_SERVER || kad->stopped) {
		kp_kad_count(kad, KP_STAT_kad_refused, 1);
		return KP_E_NOTSUP;
	}
	if (kp_timers_reserve(kad->env->timers, 1) != KP_OK) {
		kp_kad_count(kad, KP_STAT_kad_memory, 1);
		return KP_E_NOMEM;
	}
	kp_kad_stream *st = (kp_kad_stream *)kp_stream_state(s);
	st->kad = kad;
	st->s = s;
	kp_list_init(&st->node);
	kp_list_push(&kad->inbound, &st->node);
	kad->n_streams++;
	kp_timer_init(&st->idle, server_on_idle);
	kp_timer_set(kad->env->timers, &st->idle, now + SERVER_IDLE);
	return KP_OK;
}

kp_err kp_kad_server_on_data(kp_kad_stream *st, kp_time now, kp_slice in)
{
	kp_timer_set(st->kad->env->timers, &st->idle, now + SERVER_IDLE);
	if (server_busy(st))
		return server_keep(st, in);
	kp_err err = server_feed(st, &in);
	if (err == KP_E_AGAIN)
		return KP_OK;
	if (err != KP_OK)
		return KP_E_PROTO;
	kp_stream_want_write(st->s);
	return in.n > 0 ? server_keep(st, in) : KP_OK;
}

void kp_kad_server_on_fin(kp_kad_stream *st, kp_time now)
{
	(void)now;
	st->fin = true;
	server_check_fin(st);
}

void kp_kad_server_next(kp_kad_stream *st, kp_time now)
{
	KP_ASSERT(st->out.block == NULL);
	if (st->rest.block == NULL)
		return;
	kp_timer_set(st->kad->env->timers, &st->idle, now + SERVER_IDLE);
	kp_slice in = kp_ref_slice(st->rest);
	kp_err err = server_feed(st, &in);
	st->rest.off += st->rest.len - (uint32_t)in.n;
	st->rest.len = (uint32_t)in.n;
	if (in.n == 0) {
		kp_ref_drop(&st->rest);
		kp_stream_resume(st->s);
		server_check_fin(st);
	}
	if (err != KP_OK && err != KP_E_AGAIN)
		kp_stream_reset(st->s);
}

void kp_kad_server_on_close(kp_kad_stream *st)
{
	kp_kad *kad = st->kad;
	kp_timer_unset(kad->env->timers, &st->idle);
	kp_timers_release(kad->env->timers, 1);
	kp_list_del(&st->node);
	kp_lenframe_fini(&st->frame);
	kp_ref_drop(&st->out);
	kp_ref_drop(&st->rest);
	kad->n_streams--;
}
