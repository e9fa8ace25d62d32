/* What happens to a message once its signature is known to be good or bad. */
#include "svc/gossipsub/gs.h"

/* Payloads up to this are copied into their event: it holds one block, not two. */
#define ACCEPT_COPY_MAX 128u

kp_event *kp_gs_message_event(kp_gs *gs, kp_time now, kp_event_type type, const gs_pend *m)
{
	kp_slice self = kp_slice_of(gs->self_text, gs->self_text_n);
	kp_slice from = kp_slice_none();
	kp_slice via = m->p != NULL ? kp_slice_of(m->p->text, m->p->text_n) : self;
	if (m->author != NULL)
		from = kp_slice_of(m->author->text, m->author->text_n);
	else if (m->pub != NULL)
		from = self;
	kp_slice topic = gs_topic_name(m->t);
	kp_slice data = m->pub != NULL ? kp_pub_data(m->pub) : m->m.data;
	bool small = data.n <= ACCEPT_COPY_MAX;
	size_t room = topic.n + from.n + via.n + m->id.n + (small ? data.n : 0);
	kp_event *ev = kp_event_new(gs->env->pool, type, room);
	if (ev == NULL) {
		GS_STAT(gs, events_dropped);
		GS_STAT(gs, dropped);
		return NULL;
	}
	kp_event_copy(ev, KP_F_TOPIC, topic);
	kp_event_copy(ev, KP_F_FROM, from);
	kp_event_copy(ev, KP_F_VIA, via);
	kp_event_copy(ev, KP_F_ID, gs_id_slice(&m->id));
	if (small && data.n > 0)
		kp_event_copy(ev, KP_F_PAYLOAD, data);
	else if (small)
		kp_event_hold(ev, KP_F_PAYLOAD, kp_ref_none(), kp_slice_none());
	else if (m->pub != NULL)
		kp_event_hold(ev, KP_F_PAYLOAD, kp_ref_take(kp_block_ref(m->pub->block), 0, 0),
		              data);
	else
		kp_event_hold(ev, KP_F_PAYLOAD, kp_ref_dup(m->raw), data);
	kp_slice seqno = m->pub != NULL ? kp_slice_of(m->seqno, 8) : m->m.seqno;
	uint64_t seq = 0;
	for (size_t i = 0; seqno.n == 8 && i < 8; i++)
		seq = seq << 8 | seqno.p[i];
	ev->seq = (int64_t)seq;
	if (seqno.n != 8)
		ev->flags |= KP_EVF_NO_SEQ;
	ev->inbox = m->t->opts.inbox;
	ev->time_ns = kp_env_wall(gs->env, now);
	return ev;
}

static void accept_leave_flight(kp_gs *gs, gs_pend *m)
{
	if (!m->in_flight)
		return;
	kp_map_del(&gs->inflight, &m->inflight);
	m->in_flight = false;
}

/* The other copies are duplicates now; their senders need none from us. */
static void accept_end_parked(kp_gs *gs, gs_pend *m)
{
	KP_LIST_EACH(it, tmp, &m->parked)
	{
		gs_pend *copy = KP_CONTAINER_OF(it, gs_pend, parked);
		kp_list_del(&copy->parked);
		gs->verify_bytes -= gs_pend_charge(copy);
		for (uint32_t i = 0; i < copy->n_sources; i++)
			kp_gs_pend_add_source(m, copy->sources[i]);
		kp_gs_pend_free(gs, copy);
	}
}

void kp_gs_penalise(kp_gs *gs, const gs_pend *m)
{
	for (uint32_t i = 0; i < m->n_sources; i++) {
		gs_peer *p = kp_gs_peer_by_serial(gs, m->sources[i]);
		if (p != NULL)
			kp_score_invalid(p, m->t);
	}
}

static void accept_pass_on(kp_gs *gs, kp_time now, gs_pend *m)
{
	GS_STAT(gs, received);
	kp_trace_emit(gs->env->trace, KP_TRACE_GS_DELIVER, m->fp, m->raw.len, 0);
	gs_frame *f = kp_gs_frame_of(gs, m);
	if (f == NULL) {
		GS_STAT(gs, dropped_forward);
		GS_STAT(gs, dropped);
		return;
	}
	kp_mcache_put(gs, f);
	kp_gs_forward(gs, now, f, m);
	kp_gs_frame_unref(gs, f);
}

void kp_gs_deliver_end(kp_gs *gs, kp_time now, gs_pend *m, kp_verdict verdict)
{
	accept_leave_flight(gs, m);
	switch (verdict) {
	case KP_ACCEPT:
		kp_delivery_accepted(gs, now, m);
		accept_pass_on(gs, now, m);
		break;
	case KP_REJECT:
		GS_STAT(gs, rejected_validation);
		kp_gs_penalise(gs, m);
		if (gs->par.score.mode != KP_SCORE_OFF)
			(void)kp_seen_add(&gs->rejected, now, m->fp);
		break;
	case KP_IGNORE:
		GS_STAT(gs, ignored_validation);
		break;
	}
	kp_gs_pend_free(gs, m);
}

void kp_gs_accept(kp_gs *gs, kp_time now, gs_pend *m)
{
	kp_err err = kp_seen_add(&gs->seen, now, m->fp);
	kp_gossip_settle(gs, m->fp);
	accept_end_parked(gs, m);
	if (err != KP_OK) {
		accept_leave_flight(gs, m);
		if (err == KP_E_DUPLICATE) /* published here while this copy was being checked */
			GS_STAT(gs, duplicates);
		else /* no memory: not remembered, it would be delivered with each copy */
			GS_STAT(gs, seen_lost);
		kp_gs_pend_free(gs, m);
		return;
	}
	if (!m->t->joined) { /* left while the message was being checked */
		accept_leave_flight(gs, m);
		GS_STAT(gs, ignored_topic);
		kp_gs_pend_free(gs, m);
		return;
	}
	if (m->t->opts.validate) {
		if (!kp_gs_validate(gs, now, m))
			kp_gs_deliver_end(gs, now, m, KP_IGNORE);
		return;
	}
	kp_event *ev = kp_gs_message_event(gs, now, KP_EV_MESSAGE, m);
	if (ev != NULL) {
		GS_STAT(gs, delivered);
		kp_host_event(gs->host, ev);
	}
	kp_gs_deliver_end(gs, now, m, KP_ACCEPT);
}

/* The next parked copy takes the place of the first, which turned out bad. */
static void accept_try_next(kp_gs *gs, kp_time now, gs_pend *m)
{
	while (!kp_list_empty(&m->parked)) {
		gs_pend *next = KP_CONTAINER_OF(kp_list_take(&m->parked), gs_pend, parked);
		gs->verify_bytes -= gs_pend_charge(next);
		kp_peer_id from;
		kp_err err = KP_OK;
		if (next->m.from.p != NULL) {
			err = kp_peer_id_parse_bytes(next->m.from, &from);
			if (err == KP_OK)
				err = kp_gs_author_get(gs, &from, next->m.key,
				                       next->m.signature.n > 0, &next->author);
		}
		if (err == KP_OK)
			err = kp_map_put(&gs->inflight, &next->inflight, &next->fp,
			                 sizeof next->fp);
		if (err == KP_OK) {
			next->in_flight = true;
			while (!kp_list_empty(&m->parked))
				kp_list_push(&next->parked, kp_list_take(&m->parked));
			kp_verify_push(gs, now, next);
			return;
		}
		if (err == KP_E_NOMEM) {
			GS_STAT(gs, verify_dropped);
			GS_STAT(gs, dropped);
		} else {
			GS_STAT(gs, rejected_signature);
			kp_gs_penalise(gs, next);
		}
		kp_gs_pend_free(gs, next);
	}
}

void kp_gs_reject(kp_gs *gs, kp_time now, gs_pend *m)
{
	if (m->state == GS_PEND_LOST) {
		GS_STAT(gs, verify_dropped);
		GS_STAT(gs, dropped);
	} else {
		GS_STAT(gs, rejected_signature);
		kp_trace_emit(gs->env->trace, KP_TRACE_GS_REJECT, 2, m->fp, 0);
		kp_gs_penalise(gs, m);
	}
	accept_leave_flight(gs, m);
	accept_try_next(gs, now, m);
	kp_gs_pend_free(gs, m);
}
