/* What a connection writes, and how it says goodbye. One block at a time is sealed and handed out;
 * everything else stays where it can still be changed. */
#include "conn/conn_impl.h"

/* Lives at the end of the tx block: too large for the stack, needed only while it is filled. */
typedef struct conn_scratch {
	kp_slice v[KP_CONN_TX_SLICES];
	uint8_t bytes[KP_CONN_TX_SCRATCH];
} conn_scratch;

static bool conn_hs_output(const kp_conn *c)
{
	const kp_conn_hs *hs = c->hs;
	if (hs == NULL || !c->started)
		return false;
	if (kp_mss_pending(&hs->mss) > 0)
		return true;
	/* The security protocol is proposed lazily: message 1 does not wait for the answer. */
	return kp_noise_hs_wants_write(&hs->noise);
}

bool kp_conn_has_output(const kp_conn *c)
{
	if (c->state == KP_CONN_DIALING || c->state == KP_CONN_DEAD)
		return false;
	if (conn_hs_output(c))
		return true;
	return c->state >= KP_CONN_OPEN && kp_yamux_pending(&c->mux);
}

/* Everything that goes in the clear: security negotiation and handshake messages. */
static void conn_tx_handshake(kp_conn *c, kp_writer *w)
{
	kp_conn_hs *hs = c->hs;
	if (hs == NULL || kp_noise_is_open(&c->noise))
		return;
	if (!hs->muxing && kp_mss_pending(&hs->mss) > 0)
		kp_mss_tx(&hs->mss, w);
	if (!kp_noise_hs_wants_write(&hs->noise))
		return;
	kp_err err = kp_noise_hs_write(&hs->noise, w);
	if (err != KP_OK) {
		kp_conn_doom(c, err == KP_E_PROTO ? KP_WHY_BAD_NOISE : KP_WHY_MEMORY);
		return;
	}
	if (hs->noise.step == KP_NOISE_DONE && kp_noise_start(&c->noise, &hs->noise) != KP_OK)
		kp_conn_doom(c, KP_WHY_MEMORY);
}

/* One Noise message with as much as fits; false = nothing to send. */
static bool conn_tx_frame(kp_conn *c, kp_time now, kp_writer *w, conn_scratch *scratch)
{
	size_t room = w->cap - w->n;
	if (room < KP_CONN_TX_FRAME_MIN || !kp_noise_is_open(&c->noise))
		return false;
	kp_gather g;
	memset(&g, 0, sizeof(g));
	g.v = scratch->v;
	g.max = KP_CONN_TX_SLICES;
	g.bytes_max = KP_MIN(room - KP_NOISE_OVERHEAD, (size_t)KP_CONN_PACK_MAX);
	g.scratch = kp_writer_of(scratch->bytes, sizeof(scratch->bytes));
	if (c->hs != NULL && c->hs->muxing && kp_mss_pending(&c->hs->mss) > 0) {
		kp_mss_tx(&c->hs->mss, &g.scratch);
		g.v[g.n++] = kp_slice_of(g.scratch.p, g.scratch.n);
		g.bytes = g.scratch.n;
	}
	if (c->state >= KP_CONN_OPEN)
		kp_yamux_tx(&c->mux, now, &g);
	if (g.bytes == 0)
		return false;
	if (kp_noise_seal(&c->noise, g.v, g.n, g.bytes, w->p + w->n) != KP_OK) {
		kp_conn_doom(c, KP_WHY_MEMORY);
		return false;
	}
	w->n += g.bytes + KP_NOISE_OVERHEAD;
	return true;
}

static size_t conn_tx_fill(kp_conn *c, kp_time now, kp_block *b)
{
	uint8_t *p = kp_block_bytes(b);
	size_t cap = (b->cap - sizeof(conn_scratch)) & ~(size_t)15;
	conn_scratch *scratch = (conn_scratch *)(void *)(p + cap);
	kp_writer w = kp_writer_of(p, cap);
	conn_tx_handshake(c, &w);
	while (c->doom == KP_WHY_NONE && conn_tx_frame(c, now, &w, scratch))
		;
	kp_conn_hs_done(c);
	return w.n;
}

bool kp_conn_tx(kp_conn *c, kp_time now, kp_slice *out)
{
	KP_ASSERT(c->tx == NULL && c->inside == 0);
	kp_conn_touch(c, now);
	*out = kp_slice_none();
	if (c->doom != KP_WHY_NONE || !kp_conn_has_output(c)) {
		c->tx_idle = true;
		return false;
	}
	size_t cap = c->state < KP_CONN_MUXING ? KP_BLOCK_LARGE : KP_BLOCK_FRAME;
	kp_block *b = kp_block_new(c->env->pool, cap);
	if (b == NULL) {
		kp_stat_add(c->env->stats, KP_STAT_memory_refused, 1);
		kp_conn_set_deadline(c, KP_CONN_T_RETRY, now + KP_CONN_RETRY_NS);
		return false;
	}
	c->inside++;
	size_t n = conn_tx_fill(c, now, b);
	c->inside--;
	if (n == 0 || c->doom != KP_WHY_NONE) {
		c->tx_idle = true;
		kp_block_unref(b);
		if (c->leave != KP_LEAVE_NONE)
			kp_conn_dirty(c); /* streams turned out to have nothing more */
		return false;
	}
	if (c->tx_idle) /* a stall counts from when there was something to send */
		c->progress_at = now;
	c->tx_idle = false;
	c->tx = b;
	*out = kp_slice_of(kp_block_bytes(b), n);
	return true;
}

void kp_conn_on_written(kp_conn *c, kp_time now)
{
	kp_block_unref(c->tx);
	c->tx = NULL;
	if (c->state == KP_CONN_DEAD)
		return;
	kp_conn_touch(c, now);
	c->progress_at = now;
	if (c->leave == KP_LEAVE_LAST_WORDS && c->mux.goaway_sent)
		kp_conn_doom(c, c->leave_why);
	if (c->state == KP_CONN_OPEN && c->noise.tx_n >= KP_NOISE_COUNTER_RETIRE)
		kp_conn_goodbye(c, now, KP_WHY_LOCAL_CLOSE, now + KP_CONN_RETIRE_NS);
	if (c->leave != KP_LEAVE_NONE || kp_conn_has_output(c))
		kp_conn_dirty(c);
}

/* ---- goodbye ---- */

void kp_conn_goodbye(kp_conn *c, kp_time now, kp_why why, kp_time deadline)
{
	kp_conn_touch(c, now);
	if (c->state == KP_CONN_DEAD || c->leave == KP_LEAVE_LAST_WORDS)
		return;
	if (c->state < KP_CONN_OPEN) {
		kp_conn_abort(c, now, why);
		return;
	}
	kp_conn_set_deadline(c, KP_CONN_T_CLOSE, KP_MIN(c->at[KP_CONN_T_CLOSE], deadline));
	if (c->state == KP_CONN_CLOSING)
		return;
	c->state = KP_CONN_CLOSING;
	c->leave = KP_LEAVE_DRAIN;
	c->leave_why = why;
	kp_conn_set_deadline(c, KP_CONN_T_PING, KP_NEVER);
	kp_conn_dirty(c);
}

bool kp_conn_wants_shutdown(const kp_conn *c)
{
	return c->state == KP_CONN_CLOSING && c->leave == KP_LEAVE_SHUTDOWN;
}

/* A stream that may still come to write what it was opened for. */
static bool conn_leave_waits_for(const kp_stream *s)
{
	const unsigned settled = KP_STREAM_OPEN | KP_STREAM_DEAD;
	return (s->flags & KP_STREAM_OUT) != 0 && (s->flags & settled) == 0;
}

static bool conn_leave_drained(const kp_conn *c)
{
	if (c->tx != NULL || kp_conn_has_output(c) || c->mux.wanting > 0)
		return false;
	KP_LIST_EACH(it, tmp, &c->streams)
	{
		if (conn_leave_waits_for(KP_CONTAINER_OF(it, kp_stream, all)))
			return false;
	}
	return true;
}

/* One step; false = it has to wait for something. */
static bool conn_leave_next(kp_conn *c)
{
	switch (c->leave) {
	case KP_LEAVE_DRAIN:
		if (!conn_leave_drained(c))
			return false;
		kp_stream_finish_all(c);
		c->leave = KP_LEAVE_FIN;
		return true;
	case KP_LEAVE_FIN:
		/* An older ping proves nothing about what was written since. */
		if (c->tx != NULL || kp_conn_has_output(c) || c->mux.ping != KP_YAMUX_PING_NONE)
			return false;
		kp_yamux_ping(&c->mux);
		c->leave = KP_LEAVE_PING;
		return true;
	case KP_LEAVE_PING:
		if (c->mux.ping != KP_YAMUX_PING_NONE)
			return false;
		kp_yamux_goaway(&c->mux, KP_YAMUX_GOAWAY_NORMAL);
		c->leave = KP_LEAVE_GOAWAY;
		return true;
	case KP_LEAVE_GOAWAY:
		if (c->tx != NULL || !c->mux.goaway_sent)
			return false;
		c->leave = KP_LEAVE_SHUTDOWN;
		return true;
	default:
		return false;
	}
}

void kp_conn_goodbye_step(kp_conn *c)
{
	while (c->state == KP_CONN_CLOSING && conn_leave_next(c))
		;
}
