/* yamux: see yamux.h. Input: header, checks, then the body is streamed to its owner; a frame is
 * judged whole before it changes anything. Output: what is due is noted as flags and lists and
 * becomes bytes in kp_yamux_tx only. */
#include "conn/yamux.h"

enum {
	YAMUX_SYN_DUE = 1u << 0,  /* ours: no frame sent yet */
	YAMUX_ACK_DUE = 1u << 1,  /* theirs: no frame sent yet */
	YAMUX_FIN_WANT = 1u << 2, /* the owner has finished */
	YAMUX_FIN_SENT = 1u << 3,
	YAMUX_FIN_RCVD = 1u << 4,
	YAMUX_WANT = 1u << 5,    /* the owner may have something to pull; counted in y->wanting */
	YAMUX_RST_DUE = 1u << 6, /* removed, waits in ctl for its last frame */
	YAMUX_LIVE = 1u << 7,    /* in the map */
	YAMUX_PAUSED = 1u << 8,
};

#define YAMUX_TURN_SCRATCH 512u /* header and negotiation bytes of one turn */
#define YAMUX_ID_LAST      (UINT32_MAX - 2u)
#define YAMUX_NEAR_MAX     (1u << 20) /* to which a window grows however short the way is */

void kp_yamux_init(kp_yamux *y, kp_mem *mem, kp_stats *stats, const kp_yamux_ops *ops, void *ctx,
                   bool client, uint32_t window_max)
{
	memset(y, 0, sizeof(*y));
	y->ops = ops;
	y->ctx = ctx;
	y->stats = stats;
	kp_list_init(&y->ready);
	kp_list_init(&y->ctl);
	kp_idmap_init(&y->streams, mem);
	y->rtt = KP_NEVER;
	y->client = client;
	y->next_id = client ? 1 : 2;
	y->window_max = KP_MAX(window_max, KP_YAMUX_WINDOW_FIRST);
}

void kp_yamux_fini(kp_yamux *y)
{
	kp_idmap_fini(&y->streams);
	y->cur = NULL;
}

bool kp_yamux_fin_sent(const kp_ystream *s)
{
	return (s->flags & YAMUX_FIN_SENT) != 0;
}

bool kp_yamux_fin_received(const kp_ystream *s)
{
	return (s->flags & YAMUX_FIN_RCVD) != 0;
}

static void yamux_stream_init(kp_ystream *s, kp_time now, uint32_t id, uint16_t flags)
{
	kp_list_init(&s->ready);
	kp_list_init(&s->ctl);
	s->credit_at = now;
	s->id = id;
	s->send_window = s->recv_window = s->recv_max = KP_YAMUX_WINDOW_FIRST;
	s->consumed = s->credit = 0;
	s->flags = (uint16_t)(flags | YAMUX_LIVE);
}

static void yamux_put(kp_yamux *y, kp_ystream *s)
{
	kp_idmap_put(&y->streams, s->id, s);
	kp_list_push(&y->ready, &s->ready); /* the SYN or ACK is due */
}

kp_err kp_yamux_open(kp_yamux *y, kp_time now, kp_ystream *s)
{
	if (y->next_id >= YAMUX_ID_LAST || y->goaway_due)
		return KP_E_LIMIT;
	kp_err err = kp_idmap_reserve(&y->streams);
	if (err != KP_OK)
		return err;
	yamux_stream_init(s, now, y->next_id, YAMUX_SYN_DUE);
	y->next_id += 2;
	yamux_put(y, s);
	return KP_OK;
}

/* Whether a turn of this stream can produce a frame. */
static bool yamux_has_turn(const kp_ystream *s)
{
	if ((s->flags & (YAMUX_SYN_DUE | YAMUX_ACK_DUE)) != 0)
		return true;
	if ((s->flags & YAMUX_PAUSED) != 0)
		return false;
	if ((s->flags & YAMUX_WANT) != 0)
		return s->send_window > 0;
	return (s->flags & (YAMUX_FIN_WANT | YAMUX_FIN_SENT)) == YAMUX_FIN_WANT;
}

static void yamux_ready(kp_yamux *y, kp_ystream *s)
{
	if (!kp_list_linked(&s->ready) && yamux_has_turn(s))
		kp_list_push(&y->ready, &s->ready);
}

static void yamux_clear_want(kp_yamux *y, kp_ystream *s)
{
	if ((s->flags & YAMUX_WANT) != 0) {
		KP_ASSERT(y->wanting > 0);
		y->wanting--;
		s->flags &= (uint16_t)~YAMUX_WANT;
	}
}

void kp_yamux_want(kp_yamux *y, kp_ystream *s)
{
	if ((s->flags & YAMUX_LIVE) == 0 || (s->flags & YAMUX_FIN_SENT) != 0)
		return;
	if ((s->flags & YAMUX_WANT) == 0) {
		s->flags |= YAMUX_WANT;
		y->wanting++;
	}
	yamux_ready(y, s);
}

void kp_yamux_pause(kp_yamux *y, kp_ystream *s, bool paused)
{
	if ((s->flags & YAMUX_LIVE) == 0)
		return;
	s->flags &= (uint16_t)~YAMUX_PAUSED;
	s->flags |= paused ? YAMUX_PAUSED : 0;
	yamux_ready(y, s);
}

void kp_yamux_finish(kp_yamux *y, kp_ystream *s)
{
	if ((s->flags & YAMUX_LIVE) == 0 || (s->flags & YAMUX_FIN_WANT) != 0)
		return;
	s->flags |= YAMUX_FIN_WANT;
	if (s->send_window > 0)
		kp_yamux_want(y, s); /* the owner is asked once more before the FIN */
	yamux_ready(y, s);
}

void kp_yamux_remove(kp_yamux *y, kp_ystream *s)
{
	if ((s->flags & YAMUX_LIVE) != 0) {
		kp_idmap_del(&y->streams, s->id);
		yamux_clear_want(y, s);
		y->grown -= s->recv_max - KP_YAMUX_WINDOW_FIRST;
		s->flags &= (uint16_t)~YAMUX_LIVE;
	}
	if (y->cur == s)
		y->cur = NULL;
	kp_list_del(&s->ready);
	kp_list_del(&s->ctl);
	s->flags &= (uint16_t)~YAMUX_RST_DUE;
}

bool kp_yamux_reset(kp_yamux *y, kp_ystream *s)
{
	const unsigned both = YAMUX_FIN_SENT | YAMUX_FIN_RCVD;
	if ((s->flags & YAMUX_RST_DUE) != 0)
		return false;
	bool untold = (s->flags & YAMUX_LIVE) == 0 || (s->flags & YAMUX_SYN_DUE) != 0 ||
	              (s->flags & both) == both || y->goaway_sent;
	kp_yamux_remove(y, s);
	if (untold)
		return true;
	s->flags |= YAMUX_RST_DUE;
	kp_list_push(&y->ctl, &s->ctl);
	return false;
}

/* Doubles the receive window, up to `max`, if the connection may still grow and is measured. The
 * result is what came to it: further credit. */
static uint32_t yamux_grow(kp_yamux *y, kp_ystream *s, uint32_t max)
{
	uint32_t extra = s->recv_max < max ? KP_MIN(s->recv_max, max - s->recv_max) : 0;
	uint64_t limit = (uint64_t)y->window_max * KP_YAMUX_GROWN_FACTOR;
	if (y->rtt == KP_NEVER || y->grown + extra > limit)
		return 0;
	s->recv_max += extra;
	y->grown += extra;
	return extra;
}

void kp_yamux_consumed(kp_yamux *y, kp_time now, kp_ystream *s, size_t n)
{
	if ((s->flags & YAMUX_LIVE) == 0 || (s->flags & YAMUX_FIN_RCVD) != 0)
		return;
	s->consumed += (uint32_t)n;
	KP_ASSERT((uint64_t)s->consumed + s->credit + s->recv_window <= s->recv_max);
	if (s->consumed < s->recv_max / 2)
		return;
	s->credit += s->consumed;
	s->consumed = 0;
	/* half of it was used up within two round trips: the reader keeps up, the way is long */
	if (y->rtt != KP_NEVER && now - s->credit_at < 2 * y->rtt)
		s->credit += yamux_grow(y, s, y->window_max);
	s->credit_at = now;
	if (!kp_list_linked(&s->ctl))
		kp_list_push(&y->ctl, &s->ctl);
}

void kp_yamux_ping(kp_yamux *y)
{
	if (y->ping != KP_YAMUX_PING_NONE)
		return;
	y->ping = KP_YAMUX_PING_DUE;
	y->ping_value++;
}

void kp_yamux_goaway(kp_yamux *y, uint32_t code)
{
	if (y->goaway_due)
		return;
	y->goaway_due = true;
	y->goaway_code = code;
}

/* ---- input ---- */

static kp_err yamux_reply(kp_yamux *y, uint32_t value, bool is_rst)
{
	if (y->reply_n == KP_YAMUX_REPLIES_MAX) {
		y->flooded = true;
		return KP_E_PROTO;
	}
	unsigned at = (y->reply_head + y->reply_n) % KP_YAMUX_REPLIES_MAX;
	y->reply[at] = value;
	y->reply_is_rst &= ~(UINT64_C(1) << at);
	y->reply_is_rst |= (uint64_t)is_rst << at;
	y->reply_n++;
	return KP_OK;
}

/* A stream the peer opens, by whichever frame type. *out stays NULL when it is refused. */
static kp_err yamux_accept(kp_yamux *y, kp_time now, const kp_yamux_hdr *h, kp_ystream **out)
{
	bool theirs = (h->stream & 1u) == (y->client ? 0u : 1u);
	if (!theirs || *out != NULL)
		return KP_E_PROTO;
	if (h->type == KP_YAMUX_DATA && h->length > KP_YAMUX_WINDOW_FIRST)
		return KP_E_PROTO;
	if ((h->flags & KP_YAMUX_RST) != 0)
		return KP_OK; /* opened and dropped unused */
	if (kp_idmap_reserve(&y->streams) != KP_OK)
		return KP_E_LIMIT;
	kp_ystream *s = NULL;
	kp_err err = y->ops->on_syn(y->ctx, now, h->stream, &s);
	if (err == KP_E_LIMIT)
		return yamux_reply(y, h->stream, true);
	if (err != KP_OK)
		return KP_E_LIMIT;
	yamux_stream_init(s, now, h->stream, YAMUX_ACK_DUE);
	yamux_put(y, s);
	*out = s;
	return KP_OK;
}

/* The body of the current frame is complete. */
static void yamux_body_end(kp_yamux *y, kp_time now)
{
	kp_ystream *s = y->cur;
	y->cur = NULL;
	if (s == NULL || !y->cur_fin)
		return;
	s->flags |= YAMUX_FIN_RCVD;
	y->ops->on_fin(y->ctx, now, s);
}

/* The part of a data or window frame that concerns a live stream. */
static kp_err yamux_rx_live(kp_yamux *y, kp_time now, const kp_yamux_hdr *h, kp_ystream *s)
{
	uint32_t n = h->type == KP_YAMUX_DATA ? h->length : 0;
	uint32_t delta = h->type == KP_YAMUX_WINDOW ? h->length : 0;
	if (n > s->recv_window)
		return KP_E_PROTO;
	if ((h->flags & KP_YAMUX_RST) != 0) {
		kp_yamux_remove(y, s);
		y->ops->on_rst(y->ctx, now, s);
		return KP_OK;
	}
	if (delta > UINT32_MAX - s->send_window)
		return KP_E_PROTO;
	s->send_window += delta;
	s->recv_window -= n;
	if (delta > 0)
		yamux_ready(y, s);
	if ((s->flags & YAMUX_FIN_RCVD) != 0) {
		kp_stat_add(y->stats, KP_STAT_yamux_odd_frames, n > 0);
		return KP_OK;
	}
	y->cur = s;
	y->cur_fin = (h->flags & KP_YAMUX_FIN) != 0;
	return KP_OK;
}

static kp_err yamux_rx_stream(kp_yamux *y, kp_time now, const kp_yamux_hdr *h)
{
	if (h->stream == 0)
		return KP_E_PROTO;
	kp_ystream *s = (kp_ystream *)kp_idmap_get(&y->streams, h->stream);
	uint32_t n = h->type == KP_YAMUX_DATA ? h->length : 0;
	kp_err err = KP_OK;
	if ((h->flags & KP_YAMUX_SYN) != 0) {
		err = yamux_accept(y, now, h, &s);
	} else if (s == NULL) {
		/* Closed, refused or never known: nobody was ever given more than this at once. */
		err = n > y->window_max ? KP_E_PROTO : KP_OK;
		kp_stat_add(y->stats, KP_STAT_yamux_unknown_stream_frames, 1);
	}
	if (err != KP_OK)
		return err;
	KP_ASSERT(y->cur == NULL && y->body == 0);
	if (s != NULL)
		err = yamux_rx_live(y, now, h, s);
	y->body = n;
	if (err == KP_OK && n == 0)
		yamux_body_end(y, now);
	return err;
}

static kp_err yamux_rx_ping(kp_yamux *y, kp_time now, const kp_yamux_hdr *h)
{
	if (h->stream != 0)
		return KP_E_PROTO;
	if ((h->flags & KP_YAMUX_SYN) != 0)
		return yamux_reply(y, h->length, false);
	if (y->ping != KP_YAMUX_PING_SENT || h->length != y->ping_value ||
	    (h->flags & KP_YAMUX_ACK) == 0) {
		kp_stat_add(y->stats, KP_STAT_yamux_odd_frames, 1);
		return KP_OK;
	}
	y->ping = KP_YAMUX_PING_NONE;
	y->pongs++;
	y->rtt = kp_time_sub(now, y->ping_at);
	return KP_OK;
}

static kp_err yamux_rx_frame(kp_yamux *y, kp_time now)
{
	kp_yamux_hdr h;
	kp_err err = kp_yamux_hdr_parse(y->hdr, &h);
	if (err != KP_OK)
		return err;
	switch (h.type) {
	case KP_YAMUX_PING:
		return yamux_rx_ping(y, now, &h);
	case KP_YAMUX_GOAWAY:
		if (h.stream != 0)
			return KP_E_PROTO;
		y->goaway_code = h.length;
		return KP_E_CLOSED;
	default:
		return yamux_rx_stream(y, now, &h);
	}
}

static kp_err yamux_rx_body(kp_yamux *y, kp_time now, kp_slice *in)
{
	size_t n = KP_MIN((size_t)y->body, in->n);
	if (n == 0)
		return KP_E_AGAIN;
	size_t taken = n;
	if (y->cur != NULL)
		taken = y->ops->on_data(y->ctx, now, y->cur, kp_slice_of(in->p, n));
	KP_ASSERT(taken <= n);
	kp_slice_take(in, taken);
	y->body -= (uint32_t)taken;
	if (taken < n)
		return KP_E_LIMIT;
	if (y->body == 0)
		yamux_body_end(y, now);
	return KP_OK;
}

kp_err kp_yamux_rx(kp_yamux *y, kp_time now, kp_slice *in)
{
	for (;;) { /* each turn consumes bytes or returns */
		if (y->body > 0) {
			kp_err err = yamux_rx_body(y, now, in);
			if (err != KP_OK)
				return err;
			continue;
		}
		size_t n = KP_MIN((size_t)(KP_YAMUX_HDR_SIZE - y->hdr_n), in->n);
		if (n > 0)
			memcpy(y->hdr + y->hdr_n, kp_slice_take(in, n).p, n);
		y->hdr_n = (uint8_t)(y->hdr_n + n);
		if (y->hdr_n < KP_YAMUX_HDR_SIZE)
			return KP_E_AGAIN;
		kp_err err = yamux_rx_frame(y, now);
		if (err == KP_E_LIMIT)
			return err; /* the header stays and is judged again */
		y->hdr_n = 0;
		if (err != KP_OK)
			return err;
	}
}

/* ---- output ---- */

static bool gather_has_room(const kp_gather *g, size_t scratch, unsigned slices, size_t bytes)
{
	return g->scratch.cap - g->scratch.n >= scratch && g->max - g->n >= slices &&
	       g->bytes_max - g->bytes >= bytes;
}

/* A frame without payload. */
static void yamux_tx_ctl(kp_gather *g, kp_yamux_type type, unsigned flags, uint32_t id,
                         uint32_t length)
{
	kp_yamux_hdr h = {(uint8_t)type, (uint16_t)flags, id, length};
	uint8_t *at = g->scratch.p + g->scratch.n;
	kp_yamux_hdr_write(&h, at);
	g->scratch.n += KP_YAMUX_HDR_SIZE;
	g->bytes += KP_YAMUX_HDR_SIZE;
	if (g->n > 0 && g->v[g->n - 1].p + g->v[g->n - 1].n == at)
		g->v[g->n - 1].n += KP_YAMUX_HDR_SIZE;
	else
		g->v[g->n++] = kp_slice_of(at, KP_YAMUX_HDR_SIZE);
}

static bool yamux_ctl_room(const kp_gather *g)
{
	return gather_has_room(g, KP_YAMUX_HDR_SIZE, 1, KP_YAMUX_HDR_SIZE);
}

static void yamux_tx_replies(kp_yamux *y, kp_gather *g)
{
	while (y->reply_n > 0 && yamux_ctl_room(g)) {
		uint32_t value = y->reply[y->reply_head];
		if ((y->reply_is_rst >> y->reply_head & 1u) != 0)
			yamux_tx_ctl(g, KP_YAMUX_WINDOW, KP_YAMUX_RST, value, 0);
		else
			yamux_tx_ctl(g, KP_YAMUX_PING, KP_YAMUX_ACK, 0, value);
		y->reply_head = (uint8_t)((y->reply_head + 1u) % KP_YAMUX_REPLIES_MAX);
		y->reply_n--;
	}
}

/* SYN or ACK, exactly once, on the first frame whatever it is. */
static unsigned yamux_first_flags(kp_ystream *s)
{
	unsigned flags = (s->flags & YAMUX_SYN_DUE) != 0 ? KP_YAMUX_SYN : 0;
	flags |= (s->flags & YAMUX_ACK_DUE) != 0 ? KP_YAMUX_ACK : 0;
	s->flags &= (uint16_t) ~(YAMUX_SYN_DUE | YAMUX_ACK_DUE);
	return flags;
}

/* Window updates and resets of streams. */
static void yamux_tx_due(kp_yamux *y, kp_gather *g)
{
	while (!kp_list_empty(&y->ctl) && yamux_ctl_room(g)) {
		kp_ystream *s = KP_CONTAINER_OF(kp_list_take(&y->ctl), kp_ystream, ctl);
		if ((s->flags & YAMUX_RST_DUE) != 0) {
			yamux_tx_ctl(g, KP_YAMUX_WINDOW, KP_YAMUX_RST, s->id, 0);
			s->flags &= (uint16_t)~YAMUX_RST_DUE;
			y->ops->on_gone(y->ctx, s);
			continue;
		}
		/* used up to the last frame before we got to write this: however short the way, the
		 * peer stands still meanwhile */
		if (s->recv_window < KP_YAMUX_FRAME_MAX)
			s->credit += yamux_grow(y, s, KP_MIN(y->window_max, YAMUX_NEAR_MAX));
		yamux_tx_ctl(g, KP_YAMUX_WINDOW, yamux_first_flags(s), s->id, s->credit);
		s->recv_window += s->credit;
		s->credit = 0;
	}
}

/* Pulls one data frame. False = nothing came, *g is as it was. */
static bool yamux_tx_data(kp_yamux *y, kp_time now, kp_ystream *s, kp_gather *g)
{
	size_t scratch_n = g->scratch.n;
	uint8_t *hdr = g->scratch.p + scratch_n;
	size_t n_max = KP_MIN(g->bytes_max - g->bytes - KP_YAMUX_HDR_SIZE,
	                      (size_t)KP_MIN(s->send_window, KP_YAMUX_FRAME_MAX));
	if ((s->flags & (YAMUX_WANT | YAMUX_PAUSED)) != YAMUX_WANT)
		return false;
	/* there was room for a turn; and who has used up its window still wants, so has no turn */
	KP_ASSERT(n_max > 0);
	g->scratch.n += KP_YAMUX_HDR_SIZE;
	kp_slice *v = &g->v[g->n + 1];
	unsigned k = y->ops->pull(y->ctx, now, s, v, g->max - g->n - 1, n_max, &g->scratch);
	size_t n = 0;
	for (unsigned i = 0; i < k; i++)
		n += v[i].n;
	KP_ASSERT(k < g->max - g->n && n <= n_max && !g->scratch.full);
	if (n == 0 || (s->flags & YAMUX_LIVE) == 0) {
		yamux_clear_want(y, s);
		g->scratch.n = scratch_n;
		return false;
	}
	kp_yamux_hdr h = {KP_YAMUX_DATA, (uint16_t)yamux_first_flags(s), s->id, (uint32_t)n};
	kp_yamux_hdr_write(&h, hdr);
	g->v[g->n] = kp_slice_of(hdr, KP_YAMUX_HDR_SIZE);
	g->n += k + 1;
	g->bytes += n + KP_YAMUX_HDR_SIZE;
	s->send_window -= (uint32_t)n;
	return true;
}

/* At most one frame of one stream. */
static void yamux_turn(kp_yamux *y, kp_time now, kp_ystream *s, kp_gather *g)
{
	const unsigned fin =
	        YAMUX_FIN_WANT | YAMUX_FIN_SENT | YAMUX_WANT | YAMUX_LIVE | YAMUX_PAUSED;
	if (yamux_tx_data(y, now, s, g))
		return;
	if ((s->flags & YAMUX_LIVE) == 0)
		return;
	bool finish = (s->flags & fin) == (YAMUX_FIN_WANT | YAMUX_LIVE);
	unsigned flags = yamux_first_flags(s) | (finish ? KP_YAMUX_FIN : 0);
	if (flags != 0)
		yamux_tx_ctl(g, KP_YAMUX_WINDOW, flags, s->id, 0);
	if (finish) {
		s->flags |= YAMUX_FIN_SENT;
		y->ops->on_fin_sent(y->ctx, now, s);
	}
}

/* Moves all of `from` in front of `to`. */
static void yamux_splice_front(kp_list *to, kp_list *from)
{
	if (kp_list_empty(from))
		return;
	from->prev->next = to->next;
	to->next->prev = from->prev;
	to->next = from->next;
	to->next->prev = to;
	kp_list_init(from);
}

/* Each stream at most once: a second pull would take back the slices of the first. */
static void yamux_tx_streams(kp_yamux *y, kp_time now, kp_gather *g)
{
	kp_list turns;
	kp_list_init(&turns);
	yamux_splice_front(&turns, &y->ready);
	while (!kp_list_empty(&turns) &&
	       gather_has_room(g, YAMUX_TURN_SCRATCH, 3, YAMUX_TURN_SCRATCH)) {
		kp_ystream *s = KP_CONTAINER_OF(kp_list_take(&turns), kp_ystream, ready);
		yamux_turn(y, now, s, g);
		if ((s->flags & YAMUX_LIVE) != 0)
			yamux_ready(y, s);
	}
	yamux_splice_front(&y->ready, &turns);
}

bool kp_yamux_tx(kp_yamux *y, kp_time now, kp_gather *g)
{
	unsigned n = g->n;
	size_t bytes = g->bytes;
	if (y->goaway_sent || !yamux_ctl_room(g))
		return false;
	if (y->goaway_due) {
		yamux_tx_ctl(g, KP_YAMUX_GOAWAY, 0, 0, y->goaway_code);
		y->goaway_sent = true;
		return true;
	}
	yamux_tx_replies(y, g);
	if (y->ping == KP_YAMUX_PING_DUE && yamux_ctl_room(g)) {
		yamux_tx_ctl(g, KP_YAMUX_PING, KP_YAMUX_SYN, 0, y->ping_value);
		y->ping = KP_YAMUX_PING_SENT;
		y->ping_at = now;
	}
	yamux_tx_due(y, g);
	yamux_tx_streams(y, now, g);
	KP_ASSERT(g->n >= n && g->bytes <= g->bytes_max);
	return g->bytes > bytes;
}

bool kp_yamux_pending(const kp_yamux *y)
{
	if (y->goaway_sent)
		return false;
	return y->goaway_due || y->reply_n > 0 || y->ping == KP_YAMUX_PING_DUE ||
	       !kp_list_empty(&y->ctl) || !kp_list_empty(&y->ready);
}
