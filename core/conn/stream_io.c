/* How the bytes of a substream travel: its negotiation, delivery to the service with credit as it
 * is consumed, the queue while the service holds it back, and what yamux pulls. */
#include "conn/conn_impl.h"

/* Bytes of the peer must queue. */
#define STREAM_BLOCKED (KP_STREAM_DEAD | KP_STREAM_HELD | KP_STREAM_WAITING | KP_STREAM_STUCK)

static kp_stream *stream_of(kp_ystream *y)
{
	return KP_CONTAINER_OF(y, kp_stream, y);
}

static void stream_count(const kp_stream *s, kp_stat which)
{
	kp_stat_add(s->c->env->stats, which, 1);
}

static void stream_neg_free(kp_stream *s)
{
	kp_mem_free(s->c->env->mem, s->neg);
	s->neg = NULL;
}

/* Both sides know the protocol. */
static void stream_agreed(kp_stream *s, kp_time now)
{
	s->flags |= KP_STREAM_AGREED;
	kp_stream_negotiated(s);
	if (kp_yamux_fin_sent(&s->y) && !kp_yamux_fin_received(&s->y))
		kp_stream_time(s, &s->c->half_open);
	if ((s->flags & KP_STREAM_OPEN) == 0)
		kp_stream_opened(s, now);
}

/* Inbound streams that this table serves already. */
static unsigned stream_count_in(const kp_conn *c, const kp_proto_ops *ops)
{
	unsigned n = 0;
	KP_LIST_EACH(it, tmp, &c->streams)
	{
		const kp_stream *s = KP_CONTAINER_OF(it, kp_stream, all);
		const unsigned not_in = KP_STREAM_OUT | KP_STREAM_DEAD;
		n += s->ops == ops && (s->flags & not_in) == 0;
	}
	return n;
}

/* Answers the name the peer proposes. */
static void stream_answer(kp_stream *s, kp_time now)
{
	kp_conn *c = s->c;
	kp_mss *mss = &s->neg->mss;
	kp_slice name = kp_mss_asked(mss);
	kp_proto_binding b;
	if (name.n == 0 || !c->host.find_proto(c->host.ctx, c, name, &b)) {
		stream_count(s, KP_STAT_streams_unknown_protocol);
		kp_mss_refuse(mss);
		kp_yamux_want(&c->mux, &s->y);
		return;
	}
	if (stream_count_in(c, b.ops) >= b.ops->in_max) {
		stream_count(s, KP_STAT_streams_refused);
		kp_stream_end(s, KP_E_LIMIT, true);
		return;
	}
	if (b.ops->state_size > 0) {
		s->state = kp_mem_alloc(c->env->mem, b.ops->state_size);
		if (s->state == NULL) {
			s->flags |= KP_STREAM_STUCK;
			kp_conn_set_deadline(c, KP_CONN_T_RETRY, c->now + KP_CONN_RETRY_NS);
			return;
		}
	}
	s->ops = b.ops;
	s->svc = b.svc;
	s->proto = b.proto;
	kp_mss_accept(mss, b.proto.id);
	kp_yamux_want(&c->mux, &s->y);
	stream_agreed(s, now);
}

/* Consumes negotiation bytes; may end the stream. */
static void stream_negotiate(kp_stream *s, kp_time now, kp_slice *in)
{
	kp_mss *mss = &s->neg->mss;
	if (s->neg->deaf) {
		kp_slice_take(in, in->n);
		return;
	}
	kp_err err = kp_mss_rx(mss, in);
	switch (err) {
	case KP_OK:
		if (mss->dialer) {
			s->proto = s->neg->protos[mss->at];
			KP_ASSERT(kp_mss_is_done(mss)); /* what it answers was written */
			stream_neg_free(s);
			stream_agreed(s, now);
		} else {
			stream_answer(s, now);
		}
		break;
	case KP_E_AGAIN:
		if (kp_mss_pending(mss) > 0) /* the next proposal */
			kp_yamux_want(&s->c->mux, &s->y);
		break;
	default:
		if (err == KP_E_PROTO)
			stream_count(s, KP_STAT_mss_errors);
		/* a lazy dialer's data behind a refused proposal: our `na` must still reach it, and
		 * it resets the stream itself; if not, the negotiation's time ends it */
		s->neg->deaf = err == KP_E_PROTO && !mss->dialer && mss->attempts > 0 &&
		               mss->attempts < KP_MSS_ATTEMPTS_MAX;
		if (!s->neg->deaf)
			kp_stream_end(s, err, true);
		break;
	}
}

/* Gives bytes to the negotiation or the service until used up or blocked; returns how many. */
static size_t stream_consume(kp_stream *s, kp_time now, kp_slice in)
{
	size_t before = in.n;
	while (in.n > 0 && (s->flags & STREAM_BLOCKED) == 0) {
		if ((s->flags & KP_STREAM_AGREED) == 0) {
			stream_negotiate(s, now, &in);
			continue;
		}
		kp_slice all = kp_slice_take(&in, in.n);
		if (s->ops->on_data(s->svc, s, now, all) != KP_OK)
			kp_stream_end(s, KP_E_PROTO, true);
	}
	if ((s->flags & KP_STREAM_DEAD) != 0)
		return before;
	size_t used = before - in.n;
	if ((s->flags & KP_STREAM_HELD) != 0)
		s->uncredited += (uint32_t)used;
	else
		kp_yamux_consumed(&s->c->mux, now, &s->y, used);
	return used;
}

/* The peer's FIN, in its place behind all data. */
static void stream_fin_in(kp_stream *s, kp_time now)
{
	s->flags &= ~(uint32_t)KP_STREAM_FIN_PENDING;
	s->flags |= KP_STREAM_FIN_DONE;
	if ((s->flags & KP_STREAM_AGREED) == 0) {
		/* A lazy dialer's request whose protocol we refused: it gets the `na`, then FIN. */
		KP_ASSERT(s->neg != NULL);
		if ((s->flags & KP_STREAM_OUT) == 0 && s->neg->mss.attempts > 0)
			kp_yamux_finish(&s->c->mux, &s->y);
		else
			kp_stream_end(s, KP_E_PROTO, true);
		return;
	}
	if (s->ops->on_fin != NULL)
		s->ops->on_fin(s->svc, s, now);
	else
		kp_stream_fin(s);
	if (kp_yamux_fin_sent(&s->y))
		kp_stream_end(s, KP_OK, false);
}

void kp_stream_drain(kp_stream *s, kp_time now)
{
	s->flags &= ~(uint32_t)KP_STREAM_STUCK;
	if (s->uncredited > 0 && (s->flags & KP_STREAM_HELD) == 0) {
		kp_yamux_consumed(&s->c->mux, now, &s->y, s->uncredited);
		s->uncredited = 0;
	}
	if (s->neg != NULL && s->neg->mss.asked)
		stream_answer(s, now);
	while (s->rxq_n > 0 && (s->flags & STREAM_BLOCKED) == 0) {
		size_t used = stream_consume(s, now, kp_stream_queue_head(s));
		kp_stream_queue_skip(s, used);
	}
	const unsigned hindered = STREAM_BLOCKED | KP_STREAM_FIN_DONE;
	if (s->rxq_n == 0 && (s->flags & KP_STREAM_FIN_PENDING) != 0 && (s->flags & hindered) == 0)
		stream_fin_in(s, now);
}

/* Gives an inbound stream its negotiation. */
static bool stream_start(kp_stream *s)
{
	kp_conn *c = s->c;
	s->neg = (kp_stream_neg *)kp_mem_alloc(c->env->mem, sizeof(*s->neg));
	if (s->neg == NULL)
		return false;
	kp_mss_listen(&s->neg->mss);
	s->flags |= KP_STREAM_COUNTED;
	c->negotiating_in++;
	kp_stream_time(s, &c->negotiating);
	return true;
}

void kp_stream_start_waiting(kp_conn *c)
{
	while (!kp_list_empty(&c->waiting) && c->negotiating_in < c->params.negotiating_in_max) {
		kp_stream *s = KP_CONTAINER_OF(c->waiting.next, kp_stream, timed);
		if (!stream_start(s)) {
			kp_conn_set_deadline(c, KP_CONN_T_RETRY, c->now + KP_CONN_RETRY_NS);
			return;
		}
		s->flags &= ~(uint32_t)KP_STREAM_WAITING;
		c->waiting_bytes -= s->rxq_n;
		kp_stream_work_due(s);
	}
}

/* ---- yamux ops ---- */

static kp_err stream_mux_syn(void *ctx, kp_time now, uint32_t id, kp_ystream **out)
{
	(void)now;
	(void)id;
	kp_conn *c = (kp_conn *)ctx;
	if (c->state != KP_CONN_OPEN || c->streams_in >= c->params.streams_in_max) {
		kp_stat_add(c->env->stats, KP_STAT_streams_refused, 1);
		return KP_E_LIMIT;
	}
	kp_stream *s = kp_stream_new(c, false);
	if (s == NULL)
		return KP_E_NOMEM;
	if (c->negotiating_in >= c->params.negotiating_in_max) {
		s->flags |= KP_STREAM_WAITING;
		kp_stream_time(s, &c->waiting);
	} else if (!stream_start(s)) {
		kp_stream_free(s);
		return KP_E_NOMEM;
	}
	*out = &s->y;
	return KP_OK;
}

/* Keeps what cannot be consumed now. */
static size_t stream_keep(kp_stream *s, kp_slice in)
{
	kp_conn *c = s->c;
	size_t n = kp_stream_queue_put(s, in);
	if ((s->flags & KP_STREAM_WAITING) == 0)
		return n;
	c->waiting_bytes += (uint32_t)n;
	if (c->waiting_bytes > KP_CONN_WAITING_MAX) {
		stream_count(s, KP_STAT_streams_refused);
		kp_stream_end(s, KP_E_LIMIT, true);
		return in.n;
	}
	return n;
}

static size_t stream_mux_data(void *ctx, kp_time now, kp_ystream *y, kp_slice in)
{
	kp_conn *c = (kp_conn *)ctx;
	kp_stream *s = stream_of(y);
	if (kp_yamux_fin_sent(y) && (s->flags & KP_STREAM_AGREED) != 0)
		kp_stream_time(s, &c->half_open); /* not silent */
	size_t used = 0;
	if (s->rxq_n == 0)
		used = stream_consume(s, now, in);
	if (used < in.n)
		used += stream_keep(s, kp_slice_of(in.p + used, in.n - used));
	return used;
}

static void stream_mux_fin(void *ctx, kp_time now, kp_ystream *y)
{
	(void)ctx;
	kp_stream *s = stream_of(y);
	if ((s->flags & KP_STREAM_AGREED) != 0)
		kp_stream_time(s, NULL); /* no longer half-open */
	if (s->rxq_n > 0 || (s->flags & STREAM_BLOCKED) != 0)
		s->flags |= KP_STREAM_FIN_PENDING;
	else
		stream_fin_in(s, now);
}

static void stream_mux_rst(void *ctx, kp_time now, kp_ystream *y)
{
	(void)ctx;
	(void)now;
	kp_stream *s = stream_of(y);
	stream_count(s, KP_STAT_streams_reset);
	kp_stream_end(s, KP_E_PROTO, false);
}

/* Writes what the negotiation has to say; it goes before all data. */
static unsigned stream_pull_neg(kp_stream *s, kp_slice *v, size_t n_max, kp_writer *scratch)
{
	kp_mss *mss = &s->neg->mss;
	size_t n = kp_mss_pending(mss);
	if (n == 0)
		return 0;
	/* Only negotiation has used the window so far, and the peer cannot shrink it. */
	KP_ASSERT(n <= n_max);
	v[0] = kp_slice_of(scratch->p + scratch->n, n);
	kp_mss_tx(mss, scratch);
	if (kp_mss_is_done(mss))
		stream_neg_free(s);
	return 1;
}

/* The frame being gathered now is the last; pings queued from here on go behind it. */
static void stream_set_barrier(kp_stream *s)
{
	kp_conn *c = s->c;
	s->flags |= KP_STREAM_BARRIER;
	c->barriers++;
	kp_yamux_pause(&c->mux, &s->y, true);
	s->barrier_ping = c->mux.ping_value + 1;
	kp_yamux_ping(&c->mux); /* no-op while an older one is under way: then after its answer */
}

void kp_stream_on_pong(kp_conn *c)
{
	uint32_t answered = c->mux.ping_value;
	KP_LIST_EACH(it, tmp, &c->streams)
	{
		kp_stream *s = KP_CONTAINER_OF(it, kp_stream, all);
		if ((s->flags & KP_STREAM_DEAD) != 0 || (s->flags & KP_STREAM_BARRIER) == 0)
			continue;
		if ((int32_t)(answered - s->barrier_ping) < 0) {
			kp_yamux_ping(&c->mux);
			continue;
		}
		s->flags &= ~(uint32_t)KP_STREAM_BARRIER;
		c->barriers--;
		kp_yamux_pause(&c->mux, &s->y, false);
	}
}

static unsigned stream_mux_pull(void *ctx, kp_time now, kp_ystream *y, kp_slice *v, unsigned v_max,
                                size_t n_max, kp_writer *scratch)
{
	(void)ctx;
	kp_stream *s = stream_of(y);
	unsigned k = 0;
	if (s->neg != NULL)
		k = stream_pull_neg(s, v, n_max, scratch);
	if (k > 0)
		n_max -= v[0].n;
	KP_ASSERT(n_max > 0 && k < v_max); /* yamux makes room for more than a negotiation */
	if ((s->flags & KP_STREAM_OPEN) == 0 || s->ops->pull == NULL)
		return k;
	unsigned given = s->ops->pull(s->svc, s, now, v + k, v_max - k, n_max);
	if (given > 0 && (s->flags & KP_STREAM_DEAD) == 0 && s->ops->wants_barrier != NULL &&
	    s->ops->wants_barrier(s->svc, s))
		stream_set_barrier(s);
	return k + given;
}

static void stream_mux_fin_sent(void *ctx, kp_time now, kp_ystream *y)
{
	(void)now;
	kp_conn *c = (kp_conn *)ctx;
	kp_stream *s = stream_of(y);
	if ((s->flags & KP_STREAM_FIN_DONE) != 0)
		kp_stream_end(s, KP_OK, false);
	else if (!kp_yamux_fin_received(y) && (s->flags & KP_STREAM_AGREED) != 0)
		kp_stream_time(s, &c->half_open);
}

static void stream_mux_gone(void *ctx, kp_ystream *y)
{
	(void)ctx;
	kp_stream *s = stream_of(y);
	s->flags &= ~(uint32_t)KP_STREAM_RST_WAIT;
	if ((s->flags & KP_STREAM_CLOSED) != 0)
		kp_stream_free(s);
}

const kp_yamux_ops kp_stream_yamux_ops = {
        stream_mux_syn,  stream_mux_data,     stream_mux_fin,  stream_mux_rst,
        stream_mux_pull, stream_mux_fin_sent, stream_mux_gone,
};
