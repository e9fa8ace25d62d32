/* One connection: its states, what it reads, its deadlines and its end. What it writes and how it
 * says goodbye is conn_tx.c's. */
#include "conn/conn_impl.h"

#define CONN_NOISE_NAME "/noise"

static const kp_proto conn_security[] = {{CONN_NOISE_NAME, 0}};
static const kp_proto conn_muxers[] = {{KP_YAMUX_NAME, 0}};

kp_conn_params kp_conn_params_default(void)
{
	kp_conn_params p;
	memset(&p, 0, sizeof(p));
	p.handshake_ns = KP_SEC(10);
	p.negotiate_ns = KP_SEC(10);
	p.keepalive_ns = KP_SEC(30);
	p.keepalive_timeout_ns = KP_SEC(10);
	p.half_open_ns = KP_SEC(60);
	p.window_max = 16u << 20;
	p.streams_in_max = 512;
	p.streams_out_max = 128;
	p.negotiating_in_max = 128;
	return p;
}

/* ---- deadlines ---- */

void kp_conn_set_deadline(kp_conn *c, kp_conn_deadline which, kp_time at)
{
	if (c->at[which] == at)
		return;
	c->at[which] = at;
	kp_time min = KP_NEVER;
	for (unsigned i = 0; i < KP_CONN_T_COUNT; i++)
		min = KP_MIN(min, c->at[i]);
	if (kp_timer_is_set(&c->timer) ? c->timer.at != min : min != KP_NEVER)
		kp_timer_set(c->env->timers, &c->timer, min);
}

/* Everything is done by the pump. */
static void conn_fire(kp_timer *t, kp_time now)
{
	(void)now;
	kp_conn_dirty(KP_CONTAINER_OF(t, kp_conn, timer));
}

static bool conn_due(kp_conn *c, kp_conn_deadline which, kp_time now)
{
	if (c->at[which] > now)
		return false;
	kp_conn_set_deadline(c, which, KP_NEVER);
	return true;
}

/* Any byte from the peer counts as life while the answer is outstanding. */
static void conn_keepalive(kp_conn *c, kp_time now)
{
	KP_ASSERT(c->state == KP_CONN_OPEN); /* every other state has unset this deadline */
	if (!c->ping_out) {
		kp_yamux_ping(&c->mux);
		c->ping_out = true;
		c->ping_since = now;
	} else if (c->rx_at > c->ping_since) {
		c->ping_since = c->rx_at;
	} else {
		kp_conn_doom(c, KP_WHY_KEEPALIVE_TIMEOUT);
		return;
	}
	kp_conn_set_deadline(c, KP_CONN_T_PING,
	                     kp_time_add(c->ping_since, c->params.keepalive_timeout_ns));
}

static void conn_run_deadlines(kp_conn *c, kp_time now)
{
	if (conn_due(c, KP_CONN_T_HANDSHAKE, now))
		kp_conn_doom(c, KP_WHY_HANDSHAKE_TIMEOUT);
	if (conn_due(c, KP_CONN_T_CLOSE, now))
		kp_conn_doom(c, c->leave_why);
	if (conn_due(c, KP_CONN_T_PING, now))
		conn_keepalive(c, now);
	if (c->at[KP_CONN_T_NEGOTIATE] <= now || c->at[KP_CONN_T_HALF_OPEN] <= now)
		kp_stream_timeouts(c, now);
	if (conn_due(c, KP_CONN_T_RETRY, now)) {
		KP_LIST_EACH(it, tmp, &c->streams)
		{
			kp_stream *s = KP_CONTAINER_OF(it, kp_stream, all);
			if ((s->flags & KP_STREAM_STUCK) != 0)
				kp_stream_work_due(s);
		}
	}
}

/* ---- birth and death ---- */

void kp_conn_touch(kp_conn *c, kp_time now)
{
	KP_ASSERT(now >= c->now);
	c->now = now;
}

void kp_conn_dirty(kp_conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	c->host.on_dirty(c->host.ctx, c);
}

kp_conn *kp_conn_new(const kp_env *env, const kp_conn_params *params, const kp_conn_host *host,
                     kp_id id, bool outbound, const kp_peer_id *expect, kp_time now)
{
	kp_conn *c = (kp_conn *)kp_mem_alloc(env->mem, sizeof(*c));
	kp_conn_hs *hs = (kp_conn_hs *)kp_mem_alloc(env->mem, sizeof(*hs));
	if (c == NULL || hs == NULL || kp_timers_reserve(env->timers, 1) != KP_OK) {
		kp_stat_add(env->stats, KP_STAT_memory_refused, 1);
		kp_mem_free(env->mem, c);
		kp_mem_free(env->mem, hs);
		return NULL;
	}
	c->env = env;
	c->host = *host;
	c->params = *params;
	c->id = id;
	c->hs = hs;
	if (expect != NULL)
		hs->expect = *expect;
	kp_noise_init(&c->noise, env->crypto);
	kp_yamux_init(&c->mux, env->mem, env->stats, &kp_stream_yamux_ops, c, outbound,
	              params->window_max);
	kp_list_init(&c->streams);
	kp_list_init(&c->work);
	kp_list_init(&c->negotiating);
	kp_list_init(&c->waiting);
	kp_list_init(&c->half_open);
	kp_timer_init(&c->timer, conn_fire);
	for (unsigned i = 0; i < KP_CONN_T_COUNT; i++)
		c->at[i] = KP_NEVER;
	c->now = c->created_at = now;
	c->outbound = outbound;
	c->tx_idle = true;
	c->state = outbound ? KP_CONN_DIALING : KP_CONN_SECURING;
	kp_trace_emit(env->trace, KP_TRACE_CONN_NEW, id.slot, outbound, 0);
	kp_conn_set_deadline(c, KP_CONN_T_HANDSHAKE, kp_time_add(now, params->handshake_ns));
	return c;
}

static void conn_hs_free(kp_conn *c)
{
	if (c->hs == NULL)
		return;
	kp_noise_hs_wipe(&c->hs->noise);
	kp_mem_free(c->env->mem, c->hs);
	c->hs = NULL;
}

void kp_conn_hs_done(kp_conn *c)
{
	if (c->hs == NULL || c->state < KP_CONN_OPEN || !kp_noise_is_open(&c->noise))
		return;
	if (c->hs->muxing && !kp_mss_is_done(&c->hs->mss))
		return;
	conn_hs_free(c);
	kp_conn_set_deadline(c, KP_CONN_T_HANDSHAKE, KP_NEVER);
}

static void conn_rx_release(kp_conn *c)
{
	kp_block_unref(c->rx);
	c->rx = NULL;
	c->rx_off = c->rx_n = c->plain_off = c->plain_n = 0;
}

void kp_conn_free(kp_conn *c)
{
	const kp_env *env = c->env;
	KP_ASSERT(c->state == KP_CONN_DEAD || !c->started);
	KP_ASSERT(kp_list_empty(&c->streams) && c->inside == 0);
	kp_timer_unset(env->timers, &c->timer);
	kp_timers_release(env->timers, 1);
	conn_hs_free(c);
	conn_rx_release(c);
	kp_noise_fini(&c->noise);
	kp_yamux_fini(&c->mux);
	kp_block_unref(c->tx);
	kp_mem_free(env->mem, c);
}

static void conn_count_end(kp_conn *c, kp_why why)
{
	static const struct {
		kp_why why;
		kp_stat stat;
	} map[] = {
	        {KP_WHY_HANDSHAKE_TIMEOUT, KP_STAT_handshakes_timed_out},
	        {KP_WHY_KEEPALIVE_TIMEOUT, KP_STAT_keepalive_timeouts},
	        {KP_WHY_WRONG_PEER_ID, KP_STAT_wrong_peer_id},
	        {KP_WHY_BAD_MSS, KP_STAT_mss_errors},
	        {KP_WHY_BAD_NOISE, KP_STAT_noise_errors},
	        {KP_WHY_BAD_YAMUX, KP_STAT_yamux_errors},
	        {KP_WHY_FLOOD, KP_STAT_flood_closes},
	        {KP_WHY_MEMORY, KP_STAT_memory_refused},
	};
	for (size_t i = 0; i < KP_COUNT_OF(map); i++) {
		if (map[i].why == why)
			kp_stat_add(c->env->stats, map[i].stat, 1);
	}
	if (c->started && c->state < KP_CONN_OPEN)
		kp_stat_add(c->env->stats, KP_STAT_handshakes_failed, 1);
}

static void conn_drop_streams(kp_conn *c, kp_time now)
{
	while (!kp_list_empty(&c->streams))
		kp_stream_drop(KP_CONTAINER_OF(c->streams.next, kp_stream, all), now);
	KP_ASSERT(c->busy == 0 && c->streams_in == 0 && c->streams_out == 0);
	KP_ASSERT(c->negotiating_in == 0 && c->waiting_bytes == 0);
}

/* Ends everything at once; no op or host call is on the stack. */
static void conn_die(kp_conn *c, kp_time now, kp_why why)
{
	if (c->state == KP_CONN_DEAD)
		return;
	if (c->leave != KP_LEAVE_LAST_WORDS)
		conn_count_end(c, why);
	c->why = why;
	c->state = KP_CONN_DEAD;
	conn_drop_streams(c, now);
	for (unsigned i = 0; i < KP_CONN_T_COUNT; i++)
		kp_conn_set_deadline(c, (kp_conn_deadline)i, KP_NEVER);
	conn_hs_free(c);
	conn_rx_release(c);
	kp_noise_fini(&c->noise);
	kp_yamux_fini(&c->mux);
	kp_trace_emit(c->env->trace, KP_TRACE_CONN_CLOSED, c->id.slot, (uint64_t)why, 0);
}

void kp_conn_doom(kp_conn *c, kp_why why)
{
	if (c->doom == KP_WHY_NONE)
		c->doom = why;
	kp_conn_dirty(c);
}

void kp_conn_abort(kp_conn *c, kp_time now, kp_why why)
{
	kp_conn_touch(c, now);
	if (c->inside > 0)
		kp_conn_doom(c, why); /* from a host call: as soon as that entry is left */
	else
		conn_die(c, now, why);
}

/* The peer broke the rules of yamux: say so, then end. Nothing more is read or delivered. */
static void conn_last_words(kp_conn *c, kp_time now)
{
	kp_why why = c->mux.flooded ? KP_WHY_FLOOD : KP_WHY_BAD_YAMUX;
	conn_count_end(c, why);
	conn_drop_streams(c, now);
	c->leave = KP_LEAVE_LAST_WORDS;
	c->leave_why = why;
	c->state = KP_CONN_CLOSING;
	conn_rx_release(c);
	c->rx_blocked = false;
	kp_yamux_goaway(&c->mux, KP_YAMUX_GOAWAY_PROTO);
	kp_conn_set_deadline(c, KP_CONN_T_PING, KP_NEVER);
	kp_conn_set_deadline(c, KP_CONN_T_CLOSE, now + KP_CONN_LAST_WORDS_NS);
	kp_conn_dirty(c);
}

/* ---- handshake ---- */

void kp_conn_start(kp_conn *c, kp_time now)
{
	KP_ASSERT(!c->started && c->state <= KP_CONN_SECURING);
	kp_conn_touch(c, now);
	c->started = true;
	c->state = KP_CONN_SECURING;
	kp_noise_hs_init(&c->hs->noise, c->env->crypto, c->env->noise, c->outbound);
	if (c->outbound) {
		kp_mss_dial(&c->hs->mss, conn_security, KP_COUNT_OF(conn_security));
		kp_conn_dirty(c);
	} else {
		kp_mss_listen(&c->hs->mss);
	}
}

/* Feeds the negotiation of one protocol. KP_OK = agreed. */
static kp_err conn_rx_mss(kp_conn *c, kp_time now, kp_slice *in, const char *name)
{
	kp_mss *mss = &c->hs->mss;
	for (;;) {
		kp_err err = kp_mss_rx(mss, in);
		if (err == KP_E_AGAIN || (err == KP_OK && mss->dialer))
			return err;
		if (err != KP_OK) {
			conn_die(c, now, err == KP_E_NOTSUP ? KP_WHY_NEGOTIATION : KP_WHY_BAD_MSS);
			return KP_E_CLOSED;
		}
		if (kp_slice_eq_str(kp_mss_asked(mss), name)) {
			kp_mss_accept(mss, name);
			return KP_OK;
		}
		kp_mss_refuse(mss);
	}
}

static uint8_t *conn_rx_at(kp_conn *c, uint32_t off)
{
	return kp_block_bytes(c->rx) + off;
}

/* What is left of the ciphertext after in was eaten from its front. */
static void conn_rx_rest(kp_conn *c, size_t left)
{
	KP_ASSERT(left <= c->rx_n);
	c->rx_off += c->rx_n - (uint32_t)left;
	c->rx_n = (uint32_t)left;
}

static kp_err conn_rx_securing(kp_conn *c, kp_time now)
{
	KP_ASSERT(c->rx_n > 0); /* the first state that reads: only bytes lead here */
	kp_slice in = kp_slice_of(conn_rx_at(c, c->rx_off), c->rx_n);
	kp_err err = conn_rx_mss(c, now, &in, CONN_NOISE_NAME);
	if (err == KP_E_CLOSED)
		return err;
	conn_rx_rest(c, in.n);
	if (err == KP_OK)
		c->state = KP_CONN_NOISE;
	return err;
}

static void conn_opened(kp_conn *c, kp_time now)
{
	c->state = KP_CONN_OPEN;
	c->opened_at = c->idle_at = c->progress_at = now;
	kp_stat_add(c->env->stats, c->outbound ? KP_STAT_handshakes_out : KP_STAT_handshakes_in, 1);
	kp_trace_emit(c->env->trace, KP_TRACE_CONN_OPEN, c->id.slot, now - c->created_at, 0);
	conn_keepalive(c, now); /* the first round trip time */
	kp_conn_dirty(c);
	if (c->host.on_open != NULL)
		c->host.on_open(c->host.ctx, c, now);
}

/* The peer has proved who it is: is it welcome, and how is the muxer agreed on? */
static kp_err conn_secured(kp_conn *c, kp_time now)
{
	kp_conn_hs *hs = c->hs;
	kp_why why = KP_WHY_NONE;
	c->peer = hs->noise.peer;
	if (kp_peer_id_eq(&c->peer, &c->env->self->id))
		why = KP_WHY_SELF;
	else if (!kp_peer_id_none(&hs->expect) && !kp_peer_id_eq(&c->peer, &hs->expect))
		why = KP_WHY_WRONG_PEER_ID;
	else
		why = c->host.on_secured(c->host.ctx, c, now);
	if (why == KP_WHY_NONE)
		why = c->doom;
	if (why == KP_WHY_NONE && !c->outbound && kp_noise_start(&c->noise, &hs->noise) != KP_OK)
		why = KP_WHY_MEMORY;
	if (why != KP_WHY_NONE) {
		conn_die(c, now, why);
		return KP_E_CLOSED;
	}
	hs->muxing = !kp_noise_hs_early_muxer(&hs->noise);
	if (hs->muxing && c->outbound)
		kp_mss_dial(&hs->mss, conn_muxers, KP_COUNT_OF(conn_muxers));
	else if (hs->muxing)
		kp_mss_listen(&hs->mss);
	c->state = KP_CONN_MUXING;
	/* A dialer has one muxer to propose: the streams' bytes follow at once. */
	if (c->outbound || !hs->muxing)
		conn_opened(c, now);
	kp_conn_hs_done(c);
	return KP_OK;
}

static kp_err conn_rx_noise(kp_conn *c, kp_time now)
{
	if (c->rx_n == 0)
		return KP_E_AGAIN;
	kp_span in = {conn_rx_at(c, c->rx_off), c->rx_n};
	kp_span message;
	kp_err err = kp_noise_frame(&in, 1, KP_NOISE_HS_MAX, &message);
	if (err == KP_E_AGAIN)
		return err;
	if (err == KP_OK)
		err = kp_noise_hs_read(&c->hs->noise, message);
	if (err != KP_OK) {
		conn_die(c, now, err == KP_E_PROTO ? KP_WHY_BAD_NOISE : KP_WHY_MEMORY);
		return KP_E_CLOSED;
	}
	conn_rx_rest(c, in.n);
	return kp_peer_id_none(&c->hs->noise.peer) ? KP_OK : conn_secured(c, now);
}

/* ---- the open connection ---- */

/* Opens the next frame. KP_OK = there is plaintext (or the frame was empty). */
static kp_err conn_rx_open(kp_conn *c, kp_time now)
{
	if (c->rx_n == 0)
		return KP_E_AGAIN;
	kp_span in = {conn_rx_at(c, c->rx_off), c->rx_n};
	kp_span message;
	kp_slice plain;
	kp_err err = KP_E_PROTO; /* before the keys exist nothing can be meant for us */
	if (kp_noise_is_open(&c->noise))
		err = kp_noise_frame(&in, KP_AEAD_TAG, KP_NOISE_MESSAGE_MAX, &message);
	if (err == KP_E_AGAIN)
		return err;
	if (err == KP_OK)
		err = kp_noise_open(&c->noise, message, &plain);
	if (err != KP_OK) {
		conn_die(c, now, KP_WHY_BAD_NOISE);
		return KP_E_CLOSED;
	}
	conn_rx_rest(c, in.n);
	c->plain_off = (uint32_t)(plain.p - kp_block_bytes(c->rx));
	c->plain_n = (uint32_t)plain.n;
	c->rx_at = now;
	return KP_OK;
}

static kp_err conn_rx_mux_agree(kp_conn *c, kp_time now, kp_slice *in)
{
	kp_err err = conn_rx_mss(c, now, in, KP_YAMUX_NAME);
	if (err != KP_OK)
		return err == KP_E_AGAIN ? KP_OK : err; /* used up: the next frame */
	if (c->state == KP_CONN_MUXING)
		conn_opened(c, now);
	kp_conn_hs_done(c);
	return KP_OK;
}

static kp_err conn_rx_yamux(kp_conn *c, kp_time now, kp_slice *in)
{
	kp_err err = kp_yamux_rx(&c->mux, now, in);
	switch (err) {
	case KP_E_AGAIN:
		return KP_OK; /* used up: the next frame */
	case KP_E_LIMIT:
		return err;
	case KP_E_CLOSED:
		conn_die(c, now, c->leave != KP_LEAVE_NONE ? c->leave_why : KP_WHY_PEER_GOAWAY);
		return err;
	default:
		conn_last_words(c, now);
		return KP_E_CLOSED;
	}
}

static kp_err conn_rx_transport(kp_conn *c, kp_time now)
{
	if (c->plain_n == 0) {
		kp_err err = conn_rx_open(c, now);
		if (err != KP_OK)
			return err;
	}
	kp_slice in = kp_slice_of(conn_rx_at(c, c->plain_off), c->plain_n);
	if (in.n == 0)
		return KP_OK;
	bool agreeing = c->hs != NULL && !c->hs->mss.agreed;
	kp_err err = agreeing ? conn_rx_mux_agree(c, now, &in) : conn_rx_yamux(c, now, &in);
	if (err == KP_E_CLOSED)
		return err;
	c->plain_off += c->plain_n - (uint32_t)in.n;
	c->plain_n = (uint32_t)in.n;
	return err;
}

static void conn_on_pong(kp_conn *c, kp_time now)
{
	c->pongs_seen = c->mux.pongs;
	if (c->state == KP_CONN_OPEN && c->ping_out)
		kp_conn_set_deadline(c, KP_CONN_T_PING, kp_time_add(now, c->params.keepalive_ns));
	c->ping_out = false;
	if (c->barriers > 0)
		kp_stream_on_pong(c);
}

/* Lets the layers work while any makes progress. */
static void conn_rx(kp_conn *c, kp_time now)
{
	kp_err err = KP_OK;
	while (err == KP_OK && c->doom == KP_WHY_NONE) {
		switch (c->state) {
		case KP_CONN_SECURING:
			err = conn_rx_securing(c, now);
			break;
		case KP_CONN_NOISE:
			err = conn_rx_noise(c, now);
			break;
		default:
			KP_ASSERT(c->state >= KP_CONN_MUXING && c->state < KP_CONN_DEAD);
			err = conn_rx_transport(c, now);
			break;
		}
	}
	c->rx_blocked = err == KP_E_LIMIT;
	if (c->rx_blocked) {
		kp_stat_add(c->env->stats, KP_STAT_rx_stalls, 1);
		kp_conn_set_deadline(c, KP_CONN_T_RETRY, now + KP_CONN_RETRY_NS);
	}
	if (c->rx_n == 0 && c->plain_n == 0)
		conn_rx_release(c);
	if (c->mux.pongs != c->pongs_seen)
		conn_on_pong(c, now);
}

/* ---- entries ---- */

/* Bytes the block in hand should have room for: all of the frame that has begun. */
static size_t conn_rx_need(const kp_conn *c)
{
	if (c->state >= KP_CONN_MUXING)
		return KP_BLOCK_FRAME;
	if (c->state != KP_CONN_NOISE || c->rx_n < KP_NOISE_LEN_SIZE)
		return KP_BLOCK_MEDIUM;
	const uint8_t *p = kp_block_bytes(c->rx) + c->rx_off;
	size_t n = KP_NOISE_LEN_SIZE + ((size_t)p[0] << 8 | p[1]);
	return KP_MIN(KP_MAX(n, (size_t)KP_BLOCK_MEDIUM), (size_t)KP_BLOCK_LARGE);
}

/* Puts the unread bytes at the front of a block of at least `need` bytes. */
static bool conn_rx_room(kp_conn *c, size_t need)
{
	KP_ASSERT(c->plain_n == 0);
	kp_block *b = c->rx;
	if (b == NULL || b->cap < need) {
		b = kp_block_new(c->env->pool, need);
		if (b == NULL)
			return false;
	}
	if (c->rx_n > 0)
		memmove(kp_block_bytes(b), conn_rx_at(c, c->rx_off), c->rx_n);
	if (b != c->rx) {
		kp_block_unref(c->rx);
		c->rx = b;
	}
	c->rx_off = 0;
	return true;
}

uint8_t *kp_conn_rx_buf(kp_conn *c, size_t *cap)
{
	*cap = 0;
	if (!c->started || c->state == KP_CONN_DEAD || c->rx_blocked)
		return NULL;
	size_t need = conn_rx_need(c);
	size_t end = c->rx_off + c->rx_n;
	bool tight = c->rx == NULL || c->rx->cap < need ||
	             (c->rx_off > 0 && c->rx->cap - end < KP_CONN_READ_MIN);
	if (tight && !conn_rx_room(c, need)) {
		kp_stat_add(c->env->stats, KP_STAT_rx_stalls, 1);
		return NULL;
	}
	end = c->rx_off + c->rx_n;
	KP_ASSERT(end < c->rx->cap);
	*cap = c->rx->cap - end;
	return conn_rx_at(c, (uint32_t)end);
}

static void conn_entry(kp_conn *c, kp_time now)
{
	kp_conn_touch(c, now);
	KP_ASSERT(c->inside == 0);
	c->inside++;
}

static void conn_exit(kp_conn *c, kp_time now)
{
	c->inside--;
	if (c->doom != KP_WHY_NONE)
		conn_die(c, now, c->doom);
	if (c->state != KP_CONN_DEAD && !kp_list_empty(&c->work))
		kp_conn_dirty(c);
}

void kp_conn_on_read(kp_conn *c, kp_time now, size_t n)
{
	if (c->state == KP_CONN_DEAD)
		return;
	conn_entry(c, now);
	if (n == 0) {
		kp_conn_doom(c, c->leave != KP_LEAVE_NONE ? c->leave_why : KP_WHY_PEER_CLOSED);
	} else if (c->leave == KP_LEAVE_LAST_WORDS) {
		conn_rx_release(c);
	} else {
		KP_ASSERT(c->rx != NULL && c->rx_off + c->rx_n + n <= c->rx->cap);
		c->rx_n += (uint32_t)n;
		conn_rx(c, now);
		if (c->state == KP_CONN_CLOSING || (c->tx == NULL && kp_conn_has_output(c)))
			kp_conn_dirty(c); /* the goodbye may go on, or there is an answer */
	}
	conn_exit(c, now);
}

static void conn_do_work(kp_conn *c, kp_time now)
{
	/* What is noted meanwhile waits for the next pump. */
	const kp_list *last = c->work.prev;
	for (bool done = kp_list_empty(&c->work); !done;) {
		/* not empty: a stream leaves it by its own work only */
		kp_list *next = kp_list_take(&c->work);
		done = next == last;
		kp_stream_work(KP_CONTAINER_OF(next, kp_stream, work), now);
	}
}

void kp_conn_pump(kp_conn *c, kp_time now)
{
	c->dirty = false;
	if (c->state == KP_CONN_DEAD)
		return;
	conn_entry(c, now);
	conn_run_deadlines(c, now);
	if (c->idle_due && c->busy == 0)
		c->idle_at = now;
	c->idle_due = false;
	if (c->doom == KP_WHY_NONE) {
		conn_do_work(c, now);
		if (c->rx_blocked)
			conn_rx(c, now);
		kp_stream_start_waiting(c);
		kp_conn_goodbye_step(c);
	}
	conn_exit(c, now);
}

/* ---- getters ---- */

kp_id kp_conn_id(const kp_conn *c)
{
	return c->id;
}

kp_conn_state kp_conn_get_state(const kp_conn *c)
{
	return c->state;
}

kp_why kp_conn_get_why(const kp_conn *c)
{
	return c->why;
}

bool kp_conn_outbound(const kp_conn *c)
{
	return c->outbound;
}

const kp_peer_id *kp_conn_peer(const kp_conn *c)
{
	return &c->peer;
}

kp_time kp_conn_rtt(const kp_conn *c)
{
	return c->mux.rtt;
}

kp_time kp_conn_opened_at(const kp_conn *c)
{
	return c->opened_at;
}

kp_time kp_conn_idle_since(const kp_conn *c)
{
	return c->state == KP_CONN_OPEN && c->busy == 0 ? c->idle_at : KP_NEVER;
}
