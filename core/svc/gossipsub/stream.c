/* The two streams of a peer. Ours carries all we say and nothing back: any byte, end or reset on it
 * means it is dead. Theirs is only read; nothing is ever written on it. */
#include "svc/gossipsub/gs.h"

const kp_proto kp_gs_protos[] = {
        {"/meshsub/1.2.0", GS_KIND_1_2},
        {"/meshsub/1.1.0", GS_KIND_1_1},
        {"/meshsub/1.0.0", GS_KIND_1_0},
        {"/floodsub/1.0.0", GS_KIND_FLOODSUB},
};
const size_t kp_gs_protos_n = KP_COUNT_OF(kp_gs_protos);

static gs_stream *gs_stream_bind(kp_stream *s, gs_peer *p)
{
	gs_stream *st = kp_stream_state(s);
	gs_peer_ref(p);
	st->p = p;
	st->lf.skip_big = true;
	return st;
}

static void gs_stream_unbind(kp_stream *s)
{
	gs_stream *st = kp_stream_state(s);
	kp_lenframe_fini(&st->lf);
	gs_peer *p = st->p;
	st->p = NULL;
	kp_gs_peer_unref(p);
}

void kp_gs_stream_open(kp_gs *gs, kp_time now, gs_peer *p)
{
	if (gs->stopping || p->dead || p->out != NULL || p->no_pubsub)
		return;
	kp_stream *s = NULL;
	kp_err err = kp_host_open(gs->host, now, &p->id, kp_gs_protos, kp_gs_protos_n,
	                          &kp_gs_proto_ops, gs, &s);
	if (err == KP_E_NOTFOUND) /* on_conn_open or on_conn_close is about to come */
		return;
	if (err != KP_OK) {
		kp_timer_set(gs->env->timers, &p->reopen, kp_time_add(now, KP_SEC(1)));
		return;
	}
	gs_stream_bind(s, p);
	p->out = s;
	p->out_open = p->out_dead = false;
	kp_id conn = kp_stream_conn_id(s);
	if (!kp_id_eq(conn, p->out_conn)) {
		p->out_conn = conn;
		p->reopens = 0;
	}
	kp_stream_set_idle(s, p->n_shared == 0);
}

void kp_gs_stream_restart(gs_peer *p)
{
	if (p->out == NULL || p->out_dead)
		return;
	p->out_dead = true;
	kp_stream_reset(p->out);
}

void kp_gs_streams_hold(gs_peer *p, bool hold)
{
	if (p->held == hold)
		return;
	p->held = hold;
	if (hold)
		GS_STAT(p->gs, verify_holds);
	for (size_t i = 0; i < GS_INBOUND_MAX; i++) {
		if (p->in[i] == NULL)
			continue;
		if (hold)
			kp_stream_hold(p->in[i]);
		else
			kp_stream_resume(p->in[i]);
	}
}

/* A new stream begins: everything we are is said again, subscriptions before grafts. */
static void stream_introduce(kp_gs *gs, kp_time now, gs_peer *p)
{
	kp_sendq_restart(gs, p);
	for (kp_map_node *n = kp_map_first(&gs->topics); n != NULL; n = kp_map_next(n)) {
		gs_topic *t = gs_topic_of(n);
		if (t->joined)
			kp_sendq_ctl(gs, p, GS_CTL_SUBSCRIBE, t, 0, false);
	}
	KP_LIST_EACH(it, tmp, &p->members)
	{
		gs_member *m = gs_member_in_peer(it);
		if (m->in_mesh)
			kp_sendq_ctl(gs, p, GS_CTL_GRAFT, m->t, 0, false);
	}
	kp_mesh_graft_early_all(gs, now, p);
	kp_hold_flush_peer(gs, now, p);
	if (p->out != NULL)
		kp_stream_want_write(p->out);
}

static kp_err stream_out_open(kp_gs *gs, kp_stream *s, kp_time now)
{
	gs_stream *st = kp_stream_state(s);
	gs_peer *p = st->p;
	KP_ASSERT(p != NULL);
	if (p->out != s || p->dead) {
		gs_stream_unbind(s);
		return KP_E_CLOSED;
	}
	p->out_open = p->was_open = true;
	p->since = now;
	p->kind = (uint8_t)kp_stream_proto(s).version;
	if (!gs->stopping)
		stream_introduce(gs, now, p);
	return KP_OK;
}

static void stream_in_drop(gs_peer *p, const kp_stream *s)
{
	size_t n = 0;
	for (size_t i = 0; i < GS_INBOUND_MAX; i++) {
		if (p->in[i] != NULL && p->in[i] != s)
			p->in[n++] = p->in[i];
	}
	while (n < GS_INBOUND_MAX)
		p->in[n++] = NULL;
}

/* In order of age; the oldest gives way, as a peer that lost track of its streams expects. */
static void stream_in_keep(gs_peer *p, kp_stream *s)
{
	if (p->in[GS_INBOUND_MAX - 1] != NULL) {
		GS_STAT(p->gs, pubsub_replaced);
		kp_stream_reset(p->in[0]);
		stream_in_drop(p, p->in[0]);
	}
	size_t at = 0;
	while (p->in[at] != NULL)
		at++;
	p->in[at] = s;
}

static kp_err stream_in_open(kp_gs *gs, kp_stream *s, kp_time now)
{
	gs_peer *p = kp_gs_peer_find(gs, kp_stream_peer(s));
	if (p == NULL || gs->stopping)
		return KP_E_STATE;
	gs_stream_bind(s, p);
	stream_in_keep(p, s);
	if (!p->was_open)
		p->kind = (uint8_t)kp_stream_proto(s).version;
	kp_stream_set_idle(s, p->n_shared == 0);
	if (p->held)
		kp_stream_hold(s);
	if (p->no_pubsub) { /* it refused our stream, yet speaks: try once more */
		p->no_pubsub = false;
		if (p->out == NULL && !kp_timer_is_set(&p->reopen))
			kp_gs_stream_open(gs, now, p);
	}
	return KP_OK;
}

static kp_err stream_on_open(void *svc, kp_stream *s, kp_time now)
{
	return kp_stream_outbound(s) ? stream_out_open(svc, s, now) : stream_in_open(svc, s, now);
}

static kp_err stream_on_data(void *svc, kp_stream *s, kp_time now, kp_slice in)
{
	kp_gs *gs = svc;
	gs_stream *st = kp_stream_state(s);
	gs_peer *p = st->p;
	if (p->dead)
		return KP_OK;
	if (kp_stream_outbound(s)) {
		if (in.n > 0)
			kp_gs_stream_restart(p);
		return KP_OK;
	}
	kp_stream_used(s, now);
	/* ends: every round consumes something or stops */
	while (in.n > 0) {
		kp_ref rpc;
		kp_err err = kp_lenframe_feed(&st->lf, gs->env->pool, gs->rpc_max, &in, &rpc);
		if (err == KP_E_AGAIN)
			break;
		if (err == KP_E_TOOBIG) {
			GS_STAT(gs, rpc_too_big);
			continue;
		}
		if (err == KP_E_LIMIT) { /* our memory, not the peer's fault */
			GS_STAT(gs, rpc_no_memory);
			GS_STAT(gs, dropped);
			kp_lenframe_skip(&st->lf);
			continue;
		}
		if (err == KP_OK) {
			st->rpcs++;
			err = kp_gs_on_rpc(gs, now, p, rpc);
			kp_ref_drop(&rpc);
		}
		if (err != KP_OK) {
			GS_STAT(gs, rpc_malformed);
			return KP_E_PROTO;
		}
	}
	if (kp_verify_full(gs, p))
		kp_gs_streams_hold(p, true);
	return KP_OK;
}

static void stream_on_fin(void *svc, kp_stream *s, kp_time now)
{
	(void)svc;
	(void)now;
	gs_stream *st = kp_stream_state(s);
	if (kp_stream_outbound(s))
		kp_gs_stream_restart(st->p);
	else
		kp_stream_fin(s);
}

static unsigned stream_pull(void *svc, kp_stream *s, kp_time now, kp_slice *v, unsigned v_max,
                            size_t n_max)
{
	gs_stream *st = kp_stream_state(s);
	if (st->p->out != s || st->p->out_dead)
		return 0;
	unsigned k = kp_sendq_pull(svc, now, st->p, v, v_max, n_max);
	if (k > 0)
		kp_stream_used(s, now);
	return k;
}

static bool stream_wants_barrier(void *svc, kp_stream *s)
{
	(void)svc;
	gs_stream *st = kp_stream_state(s);
	bool wants = st->p->out == s && st->p->q.barrier;
	if (wants)
		st->p->q.barrier = false;
	return wants;
}

/* It speaks no pubsub that we do: nothing may wait for it. */
static void stream_unsupported(kp_gs *gs, gs_peer *p)
{
	p->no_pubsub = true;
	KP_LIST_EACH(it, tmp, &p->members)
	kp_mesh_remove(gs, gs_member_in_peer(it));
	kp_sendq_abandon(gs, p);
}

/* Our stream has ended while the peer is still there. */
static void stream_out_lost(kp_gs *gs, kp_time now, gs_peer *p, kp_id conn, kp_err why)
{
	if (gs->stopping || p->dead)
		return;
	if (why == KP_E_NOTSUP) {
		stream_unsupported(gs, p);
		return;
	}
	if (why == KP_E_CLOSED) { /* another connection may be left; not a fault of the stream */
		kp_timer_set(gs->env->timers, &p->reopen, now);
		return;
	}
	if (p->reopens >= GS_REOPENS_MAX) {
		GS_STAT(gs, pubsub_streams_dead);
		kp_host_close_conn(gs->host, now, conn, KP_WHY_STREAMS_DEAD);
		return;
	}
	GS_STAT(gs, pubsub_reopens);
	kp_timer_set(gs->env->timers, &p->reopen, kp_time_add(now, KP_SEC(1) << p->reopens));
	p->reopens++;
}

static void stream_on_close(void *svc, kp_stream *s, kp_time now, kp_err why)
{
	kp_gs *gs = svc;
	gs_stream *st = kp_stream_state(s);
	gs_peer *p = st->p;
	kp_id conn = kp_stream_conn_id(s);
	if (p->out == s) {
		p->out = NULL;
		p->out_open = p->out_dead = false;
		p->q.barrier = false;
		stream_out_lost(gs, now, p, conn, why);
	}
	stream_in_drop(p, s);
	gs_stream_unbind(s);
}

const kp_proto_ops kp_gs_proto_ops = {
        .name = "gossipsub",
        .state_size = sizeof(gs_stream),
        .in_max = 2 * GS_INBOUND_MAX,
        .on_open = stream_on_open,
        .on_data = stream_on_data,
        .on_fin = stream_on_fin,
        .pull = stream_pull,
        .on_close = stream_on_close,
        .wants_barrier = stream_wants_barrier,
};
