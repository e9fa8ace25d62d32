/* A substream's life: made, opened, ended, and what its service may ask of it (stream.h). What a
 * service asks for is noted; on_open of lazy streams and every on_close come from the pump. How its
 * bytes travel is stream_io.c's. */
#include "conn/conn_impl.h"

static bool stream_has(const kp_stream *s, uint32_t flag)
{
	return (s->flags & flag) != 0;
}

void kp_stream_work_due(kp_stream *s)
{
	if (!kp_list_linked(&s->work))
		kp_list_push(&s->c->work, &s->work);
	kp_conn_dirty(s->c);
}

static void stream_set_busy(kp_stream *s, bool busy)
{
	kp_conn *c = s->c;
	if (busy) {
		c->busy++;
		return;
	}
	KP_ASSERT(c->busy > 0);
	if (--c->busy > 0)
		return;
	c->idle_at = c->now;
	if (c->inside == 0) { /* a service's own call: c->now may be long past */
		c->idle_due = true;
		kp_conn_dirty(c);
	}
}

/* The deadline of a list is that of its first, oldest member. */
static void stream_arm(kp_conn *c, kp_list *list, kp_conn_deadline which, kp_time after)
{
	kp_time at = KP_NEVER;
	if (!kp_list_empty(list) && after > 0)
		at = kp_time_add(KP_CONTAINER_OF(list->next, kp_stream, timed)->since, after);
	kp_conn_set_deadline(c, which, at);
}

void kp_stream_time(kp_stream *s, kp_list *list)
{
	kp_conn *c = s->c;
	kp_list_del(&s->timed);
	if (list != NULL) {
		kp_list_push(list, &s->timed);
		s->since = c->now;
	}
	stream_arm(c, &c->negotiating, KP_CONN_T_NEGOTIATE, c->params.negotiate_ns);
	stream_arm(c, &c->half_open, KP_CONN_T_HALF_OPEN, c->params.half_open_ns);
}

kp_stream *kp_stream_new(kp_conn *c, bool outbound)
{
	kp_stream *s = (kp_stream *)kp_mem_alloc(c->env->mem, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->c = c;
	kp_list_init(&s->y.ready);
	kp_list_init(&s->y.ctl);
	kp_list_init(&s->all);
	kp_list_init(&s->work);
	kp_list_init(&s->timed);
	kp_list_push(&c->streams, &s->all);
	s->flags = outbound ? KP_STREAM_OUT : KP_STREAM_NO_CLOSE;
	if (outbound)
		c->streams_out++;
	else
		c->streams_in++;
	stream_set_busy(s, true);
	return s;
}

void kp_stream_free(kp_stream *s)
{
	kp_conn *c = s->c;
	kp_mem *mem = c->env->mem;
	KP_ASSERT(s->rxq_n == 0 && !stream_has(s, KP_STREAM_RST_WAIT));
	kp_list_del(&s->all);
	kp_list_del(&s->work);
	kp_list_del(&s->timed);
	if (!stream_has(s, KP_STREAM_DEAD | KP_STREAM_IDLE))
		stream_set_busy(s, false);
	if (stream_has(s, KP_STREAM_OUT))
		c->streams_out--;
	else
		c->streams_in--;
	kp_mem_free(mem, s->neg);
	kp_mem_free(mem, s->state);
	kp_mem_free(mem, s);
}

void kp_stream_negotiated(kp_stream *s)
{
	kp_conn *c = s->c;
	if (stream_has(s, KP_STREAM_COUNTED)) {
		s->flags &= ~(uint32_t)KP_STREAM_COUNTED;
		c->negotiating_in--;
		if (!kp_list_empty(&c->waiting))
			kp_conn_dirty(c);
	}
	kp_stream_time(s, NULL);
}

void kp_stream_opened(kp_stream *s, kp_time now)
{
	kp_conn *c = s->c;
	s->flags |= KP_STREAM_OPEN;
	s->flags &= ~(uint32_t)KP_STREAM_OPEN_DUE;
	kp_err err = s->ops->on_open(s->svc, s, now);
	if (err != KP_OK) {
		s->flags |= KP_STREAM_NO_CLOSE;
		kp_stream_end(s, err, true);
		return;
	}
	s->flags &= ~(uint32_t)KP_STREAM_NO_CLOSE;
	kp_stat_add(c->env->stats,
	            stream_has(s, KP_STREAM_OUT) ? KP_STAT_streams_opened
	                                         : KP_STAT_streams_accepted,
	            1);
	kp_trace_emit(c->env->trace, KP_TRACE_STREAM_OPEN, c->id.slot, s->y.id, 0);
	if (stream_has(s, KP_STREAM_WANT))
		kp_stream_want_write(s);
	if (stream_has(s, KP_STREAM_FIN_WANT))
		kp_stream_fin(s);
}

void kp_stream_end(kp_stream *s, kp_err err, bool rst)
{
	kp_conn *c = s->c;
	if (stream_has(s, KP_STREAM_DEAD))
		return;
	s->flags |= KP_STREAM_DEAD;
	s->close_err = err;
	if (stream_has(s, KP_STREAM_WAITING))
		c->waiting_bytes -= s->rxq_n;
	kp_stream_negotiated(s);
	if (stream_has(s, KP_STREAM_BARRIER))
		c->barriers--;
	if (!stream_has(s, KP_STREAM_IDLE))
		stream_set_busy(s, false);
	if (rst) {
		kp_stat_add(c->env->stats, KP_STAT_streams_reset, 1);
		if (!kp_yamux_reset(&c->mux, &s->y))
			s->flags |= KP_STREAM_RST_WAIT;
	} else {
		kp_yamux_remove(&c->mux, &s->y);
	}
	kp_stream_work_due(s);
}

/* Tells the service and lets go of everything but what yamux still needs. */
static void stream_reap(kp_stream *s, kp_time now)
{
	kp_conn *c = s->c;
	if (!stream_has(s, KP_STREAM_CLOSED)) {
		s->flags |= KP_STREAM_CLOSED;
		if (!stream_has(s, KP_STREAM_NO_CLOSE))
			s->ops->on_close(s->svc, s, now, s->close_err);
		kp_trace_emit(c->env->trace, KP_TRACE_STREAM_CLOSED, c->id.slot, s->y.id,
		              (uint64_t) - (int64_t)s->close_err);
		kp_stream_queue_clear(s);
		kp_list_del(&s->work); /* on_close may have asked for something */
	}
	if (!stream_has(s, KP_STREAM_RST_WAIT))
		kp_stream_free(s);
}

void kp_stream_drop(kp_stream *s, kp_time now)
{
	kp_stream_end(s, KP_E_CLOSED, false);
	kp_yamux_remove(&s->c->mux, &s->y);
	s->flags &= ~(uint32_t)KP_STREAM_RST_WAIT;
	stream_reap(s, now);
}

void kp_stream_work(kp_stream *s, kp_time now)
{
	if (!stream_has(s, KP_STREAM_DEAD) && stream_has(s, KP_STREAM_OPEN_DUE))
		kp_stream_opened(s, now);
	if (!stream_has(s, KP_STREAM_DEAD))
		kp_stream_drain(s, now);
	if (stream_has(s, KP_STREAM_DEAD))
		stream_reap(s, now);
}

void kp_stream_finish_all(kp_conn *c)
{
	KP_LIST_EACH(it, tmp, &c->streams)
	{
		kp_stream *s = KP_CONTAINER_OF(it, kp_stream, all);
		if (stream_has(s, KP_STREAM_DEAD))
			continue;
		if (stream_has(s, KP_STREAM_OPEN))
			kp_yamux_finish(&c->mux, &s->y);
		else
			kp_stream_end(s, KP_E_CLOSED, true);
	}
}

/* Resets every stream of the list that has been in it since `before` or longer. */
static void stream_expire(kp_list *list, kp_time now, kp_time after)
{
	while (!kp_list_empty(list) && after > 0) {
		kp_stream *s = KP_CONTAINER_OF(list->next, kp_stream, timed);
		if (kp_time_add(s->since, after) > now)
			return;
		kp_stat_add(s->c->env->stats, KP_STAT_streams_timed_out, 1);
		kp_stream_end(s, KP_E_TIMEDOUT, true);
	}
}

void kp_stream_timeouts(kp_conn *c, kp_time now)
{
	stream_expire(&c->negotiating, now, c->params.negotiate_ns);
	stream_expire(&c->half_open, now, c->params.half_open_ns);
}

kp_err kp_conn_open_stream(kp_conn *c, kp_time now, const kp_proto *protos, size_t n,
                           const kp_proto_ops *ops, void *svc, kp_stream **out)
{
	KP_ASSERT(n > 0 && n <= UINT8_MAX);
	kp_mem *mem = c->env->mem;
	*out = NULL;
	if (c->state != KP_CONN_OPEN || c->doom != KP_WHY_NONE)
		return KP_E_STATE;
	if (c->streams_out >= c->params.streams_out_max)
		return KP_E_LIMIT;
	kp_conn_touch(c, now);
	kp_stream *s = kp_stream_new(c, true);
	if (s == NULL)
		return KP_E_NOMEM;
	kp_err err = KP_E_NOMEM;
	s->neg = (kp_stream_neg *)kp_mem_alloc(mem, sizeof(*s->neg) + (n - 1) * sizeof(*protos));
	s->state = ops->state_size > 0 ? kp_mem_alloc(mem, ops->state_size) : NULL;
	if (s->neg != NULL && (s->state != NULL || ops->state_size == 0))
		err = kp_yamux_open(&c->mux, now, &s->y);
	if (err != KP_OK) {
		kp_stream_free(s);
		return err;
	}
	memcpy(s->neg->protos, protos, n * sizeof(*protos));
	kp_mss_dial(&s->neg->mss, s->neg->protos, n);
	s->ops = ops;
	s->svc = svc;
	if (kp_mss_is_lazy(&s->neg->mss)) {
		s->flags |= KP_STREAM_OPEN_DUE;
		s->proto = protos[0];
	}
	kp_stream_time(s, &c->negotiating);
	kp_yamux_want(&c->mux, &s->y);
	kp_stream_work_due(s);
	*out = s;
	return KP_OK;
}

/* ---- stream.h ---- */

void *kp_stream_state(kp_stream *s)
{
	return s->state;
}

const kp_peer_id *kp_stream_peer(const kp_stream *s)
{
	return &s->c->peer;
}

kp_id kp_stream_conn_id(const kp_stream *s)
{
	return s->c->id;
}

kp_proto kp_stream_proto(const kp_stream *s)
{
	kp_proto none = {NULL, 0};
	return stream_has(s, KP_STREAM_AGREED) ? s->proto : none;
}

bool kp_stream_outbound(const kp_stream *s)
{
	return stream_has(s, KP_STREAM_OUT);
}

bool kp_stream_is_open(const kp_stream *s)
{
	return stream_has(s, KP_STREAM_OPEN);
}

void kp_stream_want_write(kp_stream *s)
{
	if (stream_has(s, KP_STREAM_DEAD))
		return;
	if (!stream_has(s, KP_STREAM_OPEN)) {
		s->flags |= KP_STREAM_WANT;
		return;
	}
	kp_yamux_want(&s->c->mux, &s->y);
	kp_conn_dirty(s->c);
}

void kp_stream_fin(kp_stream *s)
{
	if (stream_has(s, KP_STREAM_DEAD))
		return;
	if (!stream_has(s, KP_STREAM_OPEN)) {
		s->flags |= KP_STREAM_FIN_WANT;
		return;
	}
	kp_yamux_finish(&s->c->mux, &s->y);
	kp_conn_dirty(s->c);
}

void kp_stream_reset(kp_stream *s)
{
	kp_stream_end(s, KP_E_CANCELED, true);
}

void kp_stream_hold(kp_stream *s)
{
	s->flags |= KP_STREAM_HELD;
}

void kp_stream_resume(kp_stream *s)
{
	if (!stream_has(s, KP_STREAM_HELD))
		return;
	s->flags &= ~(uint32_t)KP_STREAM_HELD;
	if (!stream_has(s, KP_STREAM_DEAD))
		kp_stream_work_due(s);
}

void kp_stream_set_idle(kp_stream *s, bool idle)
{
	if (idle == stream_has(s, KP_STREAM_IDLE))
		return;
	s->flags ^= KP_STREAM_IDLE;
	if (!stream_has(s, KP_STREAM_DEAD))
		stream_set_busy(s, !idle);
}

void kp_stream_used(kp_stream *s, kp_time now)
{
	s->c->idle_at = now;
}

kp_time kp_stream_last_progress(const kp_stream *s)
{
	return s->c->progress_at;
}
