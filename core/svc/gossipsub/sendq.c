/* What waits for one peer: control before own messages before forwarded ones. A frame is chosen as
 * late as its first byte is pulled, so that IDONTWANT and duplicates still cancel it. Messages are
 * shared by count; nothing here copies them. */
#include "svc/gossipsub/gs.h"

/* Slices that one pull fills at most, and how much of a slow peer's silence is tolerated. */
#define SENDQ_SLOW_NS KP_SEC(1)
/* How far back a duplicate looks for its own forward. */
#define SENDQ_CANCEL_DEPTH 64u
/* Rings larger than this are given back when they are empty at a heartbeat. */
#define SENDQ_RING_KEPT 64u

void kp_sendq_init(gs_sendq *q)
{
	memset(q, 0, sizeof *q);
	kp_list_init(&q->subs);
	kp_list_init(&q->ctl);
}

static void sendq_ctl_free(kp_gs *gs, gs_sendq *q, gs_ctl *c)
{
	kp_list_del(&c->link);
	q->n_ctl--;
	gs_topic *t = c->t;
	kp_gs_give(gs, &gs->ctls, c);
	kp_gs_topic_drop(gs, t);
}

static void sendq_ctl_clear(kp_gs *gs, gs_sendq *q)
{
	KP_LIST_EACH(it, tmp, &q->subs)
	sendq_ctl_free(gs, q, KP_CONTAINER_OF(it, gs_ctl, link));
	KP_LIST_EACH(it2, tmp2, &q->ctl)
	sendq_ctl_free(gs, q, KP_CONTAINER_OF(it2, gs_ctl, link));
	KP_ASSERT(q->n_ctl == 0);
}

/* A message leaves the queue, written or dropped. */
static void sendq_message_gone(kp_gs *gs, gs_sendq *q)
{
	KP_ASSERT(q->messages > 0 && gs->pending > 0);
	q->messages--;
	gs->pending--;
}

static void sendq_message_new(kp_gs *gs, gs_sendq *q)
{
	q->messages++;
	gs->pending++;
}

static void sendq_sent_release(kp_gs *gs, gs_sendq *q)
{
	gs_frame *f;
	while ((f = kp_gs_ring_pop(&q->sent)) != NULL)
		kp_gs_frame_unref(gs, f);
}

static void sendq_raw_clear(kp_gs *gs, gs_sendq *q)
{
	gs_frame *f;
	while ((f = kp_gs_ring_pop(&q->raw)) != NULL)
		kp_gs_frame_unref(gs, f);
	q->raw_bytes = 0;
}

static void sendq_messages_clear(kp_gs *gs, gs_sendq *q, gs_ring *r)
{
	gs_frame *f;
	while ((f = kp_gs_ring_pop(r)) != NULL) {
		sendq_message_gone(gs, q);
		kp_gs_frame_unref(gs, f);
	}
}

static void sendq_cur_clear(kp_gs *gs, gs_sendq *q)
{
	if (q->cur == NULL)
		return;
	if (!q->cur->control)
		sendq_message_gone(gs, q);
	kp_gs_frame_unref(gs, q->cur);
	q->cur = NULL;
	q->cur_off = 0;
}

void kp_sendq_clear(kp_gs *gs, gs_peer *p)
{
	gs_sendq *q = &p->q;
	sendq_ctl_clear(gs, q);
	sendq_cur_clear(gs, q);
	sendq_sent_release(gs, q);
	sendq_raw_clear(gs, q);
	sendq_messages_clear(gs, q, &q->own);
	sendq_messages_clear(gs, q, &q->fwd);
	q->own_bytes = q->fwd_bytes = 0;
	KP_ASSERT(q->messages == 0);
	kp_gs_ring_fini(gs, &q->raw);
	kp_gs_ring_fini(gs, &q->own);
	kp_gs_ring_fini(gs, &q->fwd);
	kp_gs_ring_fini(gs, &q->sent);
}

void kp_sendq_abandon(kp_gs *gs, gs_peer *p)
{
	kp_stat_add(gs->env->stats, KP_STAT_dropped_peer_gone, p->q.messages);
	kp_stat_add(gs->env->stats, KP_STAT_dropped, p->q.messages);
	kp_sendq_clear(gs, p);
}

void kp_sendq_trim(kp_gs *gs, gs_peer *p)
{
	gs_ring *rings[] = {&p->q.raw, &p->q.own, &p->q.fwd, &p->q.sent};
	for (size_t i = 0; i < KP_COUNT_OF(rings); i++) {
		if (rings[i]->n == 0 && rings[i]->cap > SENDQ_RING_KEPT)
			kp_gs_ring_fini(gs, rings[i]);
	}
}

void kp_sendq_restart(kp_gs *gs, gs_peer *p)
{
	gs_sendq *q = &p->q;
	sendq_ctl_clear(gs, q);
	sendq_sent_release(gs, q);
	sendq_raw_clear(gs, q);
	if (q->cur != NULL && q->cur->control)
		sendq_cur_clear(gs, q);
	q->cur_off = 0; /* a message cut by the end of the old stream is sent again, whole */
	q->barrier = false;
}

static void sendq_wake(gs_peer *p)
{
	if (p->out != NULL && p->out_open && !p->out_dead)
		kp_stream_want_write(p->out);
}

/* The same thing said twice, with nothing in between about that topic, is said once. */
static bool sendq_ctl_repeats(const kp_list *l, gs_ctl_kind kind, const gs_topic *t,
                              uint64_t backoff_s)
{
	for (const kp_list *it = l->prev; it != l; it = it->prev) {
		const gs_ctl *c = KP_CONTAINER_OF(it, gs_ctl, link);
		if (c->t == t)
			return c->kind == kind && c->backoff_s == backoff_s;
	}
	return false;
}

/* SUBSCRIBE before all grafts, but not before what was said of the topic until now. UNSUBSCRIBE in
 * its turn, after the PRUNE: rust takes one that it reads first for a prune with a backoff of a
 * minute. */
static kp_list *sendq_ctl_list(gs_sendq *q, gs_ctl_kind kind, const gs_topic *t)
{
	if (kind != GS_CTL_SUBSCRIBE)
		return &q->ctl;
	KP_LIST_EACH(it, tmp, &q->ctl)
	if (KP_CONTAINER_OF(it, gs_ctl, link)->t == t)
		return &q->ctl;
	return &q->subs;
}

void kp_sendq_ctl(kp_gs *gs, gs_peer *p, gs_ctl_kind kind, gs_topic *t, uint64_t backoff_s, bool px)
{
	gs_sendq *q = &p->q;
	bool sub = kind == GS_CTL_SUBSCRIBE || kind == GS_CTL_UNSUBSCRIBE;
	if (!p->out_open || p->out_dead)
		return; /* a new stream begins by saying what then holds */
	if (!sub && p->kind < GS_KIND_1_0)
		return;
	kp_list *l = sendq_ctl_list(q, kind, t);
	if (sendq_ctl_repeats(l, kind, t, backoff_s))
		return;
	gs_ctl *c = q->n_ctl < GS_CTL_MAX ? kp_gs_take(gs, &gs->ctls) : NULL;
	if (c == NULL) {
		/* It must not get lost: a new stream says everything again. */
		GS_STAT(gs, control_overflows);
		kp_gs_stream_restart(p);
		return;
	}
	c->kind = kind;
	c->t = gs_topic_use(t);
	c->backoff_s = backoff_s;
	c->px = px;
	kp_list_init(&c->link);
	kp_list_push(l, &c->link);
	q->n_ctl++;
	sendq_wake(p);
}

bool kp_sendq_raw(kp_gs *gs, gs_peer *p, gs_frame *f)
{
	gs_sendq *q = &p->q;
	if (!p->out_open || p->out_dead)
		return false;
	if (q->raw.n >= GS_RAW_MAX || q->raw_bytes + gs_frame_charge(f) > GS_RAW_BYTES_MAX ||
	    !kp_gs_ring_push(gs, &q->raw, f)) {
		GS_STAT(gs, dropped_control);
		return false;
	}
	f->refs++;
	q->raw_bytes += gs_frame_charge(f);
	sendq_wake(p);
	return true;
}

kp_time kp_gs_peer_progress(const gs_peer *p)
{
	if (p->out == NULL || !p->out_open)
		return p->since;
	return KP_MAX(kp_stream_last_progress(p->out), p->since);
}

bool kp_sendq_own_room(const kp_gs *gs, const gs_peer *p, uint64_t messages, uint64_t bytes)
{
	return p->q.own.n + messages <= gs->par.send_own_max &&
	       p->q.own_bytes + bytes <= gs->par.send_own_bytes;
}

bool kp_sendq_own(kp_gs *gs, kp_time now, gs_peer *p, gs_frame *f)
{
	gs_sendq *q = &p->q;
	uint64_t n = gs_frame_charge(f);
	if (kp_sendq_own_room(gs, p, 1, n) && kp_gs_ring_push(gs, &q->own, f)) {
		f->refs++;
		q->own_bytes += n;
		sendq_message_new(gs, q);
		sendq_wake(p);
		return true;
	}
	GS_STAT(gs, dropped);
	kp_score_slow(p);
	if (kp_time_add(kp_gs_peer_progress(p), SENDQ_SLOW_NS) <= now)
		GS_STAT(gs, slow_peer);
	else
		GS_STAT(gs, dropped_own);
	return false;
}

static void sendq_fwd_drop_oldest(kp_gs *gs, gs_sendq *q)
{
	gs_frame *f = kp_gs_ring_pop(&q->fwd);
	KP_ASSERT(f != NULL);
	q->fwd_bytes -= gs_frame_charge(f);
	sendq_message_gone(gs, q);
	kp_gs_frame_unref(gs, f);
}

bool kp_sendq_forward(kp_gs *gs, gs_peer *p, gs_frame *f)
{
	gs_sendq *q = &p->q;
	uint64_t n = gs_frame_charge(f);
	while (q->fwd.n > 0 && (q->fwd.n >= gs->par.send_forward_max ||
	                        q->fwd_bytes + n > gs->par.send_forward_bytes)) {
		sendq_fwd_drop_oldest(gs, q);
		kp_score_slow(p);
		GS_STAT(gs, dropped_forward);
		GS_STAT(gs, dropped);
	}
	if (!kp_gs_ring_push(gs, &q->fwd, f)) {
		GS_STAT(gs, dropped_forward);
		GS_STAT(gs, dropped);
		return false;
	}
	f->refs++;
	q->fwd_bytes += n;
	sendq_message_new(gs, q);
	sendq_wake(p);
	return true;
}

void kp_sendq_cancel(kp_gs *gs, gs_peer *p, uint64_t fp)
{
	gs_ring *r = &p->q.fwd;
	uint32_t depth = KP_MIN(r->n, SENDQ_CANCEL_DEPTH);
	for (uint32_t i = 0; i < depth; i++) {
		uint32_t at = r->n - 1 - i;
		gs_frame *f = gs_ring_at(r, at);
		if (f->fp != fp)
			continue;
		for (; at + 1 < r->n; at++)
			r->v[(r->head + at) & (r->cap - 1)] = gs_ring_at(r, at + 1);
		r->n--;
		p->q.fwd_bytes -= gs_frame_charge(f);
		sendq_message_gone(gs, &p->q);
		kp_gs_frame_unref(gs, f);
		GS_STAT(gs, cancelled_forwards);
		return;
	}
}

static gs_frame *sendq_next_forward(kp_gs *gs, kp_time now, gs_peer *p)
{
	gs_sendq *q = &p->q;
	gs_frame *f;
	while ((f = kp_gs_ring_pop(&q->fwd)) != NULL) {
		q->fwd_bytes -= gs_frame_charge(f);
		if (!kp_gossip_unwanted(p, now, f->fp))
			return f;
		sendq_message_gone(gs, q);
		kp_gs_frame_unref(gs, f);
		GS_STAT(gs, cancelled_forwards);
	}
	return NULL;
}

static gs_frame *sendq_next(kp_gs *gs, kp_time now, gs_peer *p)
{
	gs_sendq *q = &p->q;
	gs_frame *f = NULL;
	if (q->n_ctl > 0)
		f = kp_gs_build_ctl(gs, p);
	if (f != NULL)
		return f;
	f = kp_gs_ring_pop(&q->raw);
	if (f != NULL) {
		q->raw_bytes -= gs_frame_charge(f);
		return f;
	}
	f = kp_gs_ring_pop(&q->own);
	if (f != NULL) {
		q->own_bytes -= gs_frame_charge(f);
		return f;
	}
	return sendq_next_forward(gs, now, p);
}

/* Adds what is left of cur to v; false when the room or the slices end first. */
static bool sendq_write_cur(gs_sendq *q, kp_slice *v, unsigned *n_v, unsigned v_max, size_t *room)
{
	gs_frame *f = q->cur;
	kp_slice parts[2] = {kp_slice_of(f->head, f->head_n), kp_ref_slice(f->wire)};
	size_t skip = q->cur_off;
	for (size_t i = 0; i < 2; i++) {
		size_t skipped = KP_MIN(skip, parts[i].n);
		skip -= skipped;
		if (skipped == parts[i].n)
			continue;
		if (*n_v == v_max || *room == 0)
			return false;
		size_t n = KP_MIN(parts[i].n - skipped, *room);
		v[(*n_v)++] = kp_slice_of(parts[i].p + skipped, n);
		*room -= n;
		q->cur_off += (uint32_t)n;
		if (n < parts[i].n - skipped)
			return false;
	}
	KP_ASSERT(q->cur_off == gs_frame_bytes(f));
	return true;
}

unsigned kp_sendq_pull(kp_gs *gs, kp_time now, gs_peer *p, kp_slice *v, unsigned v_max,
                       size_t n_max)
{
	gs_sendq *q = &p->q;
	unsigned n_v = 0;
	sendq_sent_release(gs, q);
	while (n_v < v_max && n_max > 0) {
		if (q->cur == NULL) {
			/* room for its release first, so that finishing it cannot fail */
			if (!kp_gs_ring_push(gs, &q->sent, NULL))
				break;
			q->sent.n--;
			q->cur = sendq_next(gs, now, p);
			q->cur_off = 0;
		}
		if (q->cur == NULL)
			break;
		if (!sendq_write_cur(q, v, &n_v, v_max, &n_max))
			break;
		gs_frame *f = q->cur;
		q->cur = NULL;
		q->cur_off = 0;
		if (!f->control)
			sendq_message_gone(gs, q);
		if (!kp_gs_ring_push(gs, &q->sent, f))
			KP_ASSERT(false); /* its room was made above */
		if (p->small_reader && gs_frame_bytes(f) > GS_RPC_BIG) {
			q->barrier = true;
			GS_STAT(gs, barriers);
			break;
		}
	}
	return n_v;
}
