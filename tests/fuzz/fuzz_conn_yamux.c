/* Two kp_yamux back to back under arbitrary sequences of operations, against a model: what arrives
 * is what was sent, in order, FIN behind the last byte, no more than the window ahead of
 * consumption. With bytes of the fuzzer's own mixed in, only the absence of crashes is left to
 * check. */
#include "conn/yamux.h"

#define PLAY_STREAMS 40u
#define PLAY_WIRE    200000u

typedef struct play_stream {
	kp_ystream y;
	struct play_side *side;
	uint32_t sent, offered; /* bytes pulled; bytes ready to be pulled */
	uint32_t got, consumed; /* bytes received; of them used up */
	bool used, fin_in, fin_out, over, resetting;
} play_stream;

typedef struct play_side {
	kp_yamux y;
	play_stream streams[PLAY_STREAMS];
	uint8_t *wire; /* what this side has sent and the other not yet read */
	uint32_t wire_n;
	uint32_t take_max;
	bool broken;
} play_side;

static struct {
	kp_mem mem;
	kp_stats stats;
	play_side a, b;
	kp_time now;
	bool tainted; /* foreign bytes were injected: the model does not hold */
} G;

static kp_slice play_in;

static uint8_t play_byte(void)
{
	return play_in.n > 0 ? *kp_slice_take(&play_in, 1).p : 0;
}

static play_stream *play_of(kp_ystream *y)
{
	return KP_CONTAINER_OF(y, play_stream, y);
}

/* Byte number i of a stream is known to both ends. */
static uint8_t play_value(uint32_t id, uint32_t i)
{
	return (uint8_t)(id * 31 + i + (i >> 8));
}

static play_stream *play_free_slot(play_side *p)
{
	for (unsigned i = 0; i < PLAY_STREAMS; i++) {
		play_stream *s = &p->streams[i];
		if (!s->used) {
			memset(s, 0, sizeof(*s));
			kp_list_init(&s->y.ready);
			kp_list_init(&s->y.ctl);
			s->side = p;
			s->used = true;
			return s;
		}
	}
	return NULL;
}

static kp_err play_on_syn(void *ctx, kp_time now, uint32_t id, kp_ystream **out)
{
	(void)now;
	play_stream *s = id % 7 == 0 ? NULL : play_free_slot((play_side *)ctx);
	if (s == NULL)
		return KP_E_LIMIT;
	*out = &s->y;
	return KP_OK;
}

static size_t play_on_data(void *ctx, kp_time now, kp_ystream *y, kp_slice in)
{
	(void)now;
	play_side *p = (play_side *)ctx;
	play_stream *s = play_of(y);
	KP_ASSERT(s->used && !s->over && !s->fin_in && in.n > 0);
	size_t n = KP_MIN(in.n, (size_t)p->take_max);
	for (size_t i = 0; i < n && !G.tainted; i++)
		KP_ASSERT(in.p[i] == play_value(y->id, s->got + (uint32_t)i));
	s->got += (uint32_t)n;
	KP_ASSERT(s->got - s->consumed <= y->recv_max);
	return n;
}

static void play_on_fin(void *ctx, kp_time now, kp_ystream *y)
{
	(void)ctx;
	(void)now;
	KP_ASSERT(!play_of(y)->fin_in && !play_of(y)->over);
	play_of(y)->fin_in = true;
}

static void play_on_rst(void *ctx, kp_time now, kp_ystream *y)
{
	(void)ctx;
	(void)now;
	KP_ASSERT(!play_of(y)->over);
	play_of(y)->over = true;
	play_of(y)->used = false;
}

static unsigned play_pull(void *ctx, kp_time now, kp_ystream *y, kp_slice *v, unsigned v_max,
                          size_t n_max, kp_writer *scratch)
{
	(void)ctx;
	(void)now;
	play_stream *s = play_of(y);
	KP_ASSERT(s->used && !s->over && !s->fin_out && v_max > 0 && n_max > 0);
	/* Made on the spot, so bounded by the scratch space. */
	size_t n = KP_MIN(KP_MIN(n_max, (size_t)s->offered), scratch->cap - scratch->n);
	if (n == 0)
		return 0;
	v[0] = kp_slice_of(scratch->p + scratch->n, n);
	for (size_t i = 0; i < n; i++)
		kp_write_u8(scratch, play_value(y->id, s->sent + (uint32_t)i));
	s->sent += (uint32_t)n;
	s->offered -= (uint32_t)n;
	return 1;
}

static void play_on_fin_sent(void *ctx, kp_time now, kp_ystream *y)
{
	(void)ctx;
	(void)now;
	KP_ASSERT(!play_of(y)->fin_out && (play_of(y)->offered == 0 || G.tainted));
	play_of(y)->fin_out = true;
}

static void play_on_gone(void *ctx, kp_ystream *y)
{
	(void)ctx;
	KP_ASSERT(play_of(y)->resetting);
	play_of(y)->used = false;
}

static const kp_yamux_ops play_ops = {
        play_on_syn, play_on_data,     play_on_fin,  play_on_rst,
        play_pull,   play_on_fin_sent, play_on_gone,
};

static void play_tx(play_side *p, uint8_t room)
{
	kp_slice v[60];
	uint8_t scratch[900];
	kp_gather g;
	memset(&g, 0, sizeof(g));
	g.v = v;
	g.max = 3 + room % 57;
	g.bytes_max = 600 + room * 64u;
	g.scratch = kp_writer_of(scratch, 600 + room);
	if (PLAY_WIRE - p->wire_n < g.bytes_max)
		return;
	bool some = kp_yamux_tx(&p->y, G.now, &g);
	size_t before = p->wire_n;
	for (unsigned i = 0; i < g.n; i++) {
		memcpy(p->wire + p->wire_n, v[i].p, v[i].n);
		p->wire_n += (uint32_t)v[i].n;
	}
	KP_ASSERT(p->wire_n - before == g.bytes && g.bytes <= g.bytes_max && some == (g.bytes > 0));
}

static void play_rx(play_side *p, play_side *from, size_t n)
{
	kp_slice in = kp_slice_of(from->wire, KP_MIN(n, (size_t)from->wire_n));
	size_t before = in.n;
	if (p->broken)
		return;
	kp_err err = kp_yamux_rx(&p->y, G.now, &in);
	KP_ASSERT(err == KP_E_AGAIN ? in.n == 0 : true);
	if (err == KP_E_PROTO || err == KP_E_CLOSED) {
		KP_ASSERT(G.tainted || p->y.flooded || err == KP_E_CLOSED);
		p->broken = true;
		return;
	}
	size_t used = before - in.n;
	memmove(from->wire, from->wire + used, from->wire_n - used);
	from->wire_n -= (uint32_t)used;
}

static void play_stream_op(play_side *p, uint8_t op, play_stream *s, uint32_t n)
{
	if (!s->used || s->over || s->resetting)
		return;
	switch (op) {
	case 0:
		if (s->fin_out)
			return;
		s->offered += n * 37;
		kp_yamux_want(&p->y, &s->y);
		break;
	case 1:
		kp_yamux_finish(&p->y, &s->y);
		break;
	case 2:
		n = KP_MIN(n * 1000, s->got - s->consumed);
		s->consumed += n;
		kp_yamux_consumed(&p->y, G.now, &s->y, n);
		break;
	case 3:
		s->resetting = true;
		if (kp_yamux_reset(&p->y, &s->y))
			s->used = false;
		break;
	default:
		if (s->fin_in && s->fin_out) {
			kp_yamux_remove(&p->y, &s->y);
			s->used = false;
		}
		break;
	}
}

static void play_step(void)
{
	uint8_t op = play_byte(), arg = play_byte();
	play_side *p = (op & 1) != 0 ? &G.a : &G.b;
	play_side *other = p == &G.a ? &G.b : &G.a;
	play_stream *s;
	switch ((op >> 1) % 14) {
	case 0:
		s = play_free_slot(p);
		if (s != NULL && kp_yamux_open(&p->y, G.now, &s->y) != KP_OK)
			s->used = false;
		break;
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
		play_stream_op(p, (uint8_t)((op >> 1) % 14 - 1), &p->streams[arg % PLAY_STREAMS],
		               play_byte());
		break;
	case 6:
	case 7:
		play_tx(p, arg);
		break;
	case 8:
	case 9:
		play_rx(p, other, arg < 200 ? arg : PLAY_WIRE);
		break;
	case 10:
		kp_yamux_ping(&p->y);
		s = &p->streams[arg % PLAY_STREAMS];
		if (arg >= 128 && s->used && !s->resetting)
			kp_yamux_pause(&p->y, &s->y, (arg & 64) != 0);
		break;
	case 11:
		G.now += arg * KP_MS(1);
		break;
	case 12:
		p->take_max = arg < 250 ? PLAY_WIRE : arg;
		break;
	default:
		if (arg == 100)
			kp_yamux_goaway(&p->y, KP_YAMUX_GOAWAY_NORMAL);
		else if (arg < 8)
			G.mem.fail_at = G.mem.calls + 1 + arg;
		else if (arg > 250 && PLAY_WIRE - p->wire_n > 16 && play_in.n >= 16) {
			G.tainted = true;
			memcpy(p->wire + p->wire_n, kp_slice_take(&play_in, 16).p, 16);
			p->wire_n += 16;
		}
		break;
	}
}

static void play_end(play_side *p)
{
	for (unsigned i = 0; i < PLAY_STREAMS; i++) {
		if (p->streams[i].used)
			kp_yamux_remove(&p->y, &p->streams[i].y);
	}
	KP_ASSERT(p->y.wanting == 0 && p->y.grown == 0 && p->y.streams.n == 0);
	kp_yamux_fini(&p->y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	play_in = kp_slice_of(data, size);
	static uint8_t wires[2][PLAY_WIRE];
	memset(&G, 0, sizeof(G));
	G.a.wire = wires[0];
	G.b.wire = wires[1];
	G.a.take_max = G.b.take_max = PLAY_WIRE;
	G.now = KP_SEC(1);
	kp_mem_init(&G.mem, 0);
	kp_yamux_init(&G.a.y, &G.mem, &G.stats, &play_ops, &G.a, true, 1u << 20);
	kp_yamux_init(&G.b.y, &G.mem, &G.stats, &play_ops, &G.b, false, 1u << 20);
	while (play_in.n > 0)
		play_step();
	play_end(&G.a);
	play_end(&G.b);
	KP_ASSERT(G.mem.bytes == 0);
	return 0;
}
