/* A node that behaves in everything but Kademlia, where it answers every question with lies: what
 * docs/hostile.md 20 calls table poisoning. Which lie depends on the node's number. */
#include "conn/lenframe.h"
#include "sim/world.h"
#include "wire/kad_msg.h"
#include "wire/multiaddr.h"

#define LIAR_PEERS   250u  /* named in one answer */
#define LIAR_REQUEST 4096u /* bytes of one question */
#define LIAR_REPEATS 20u   /* of a whole message, for an answer far above what may be read */
#define LIAR_NOWHERE 200u  /* 10.200.x.y, where nobody lives */

typedef enum liar_kind {
	LIAR_INVENTS,    /* peers that do not exist, other ones each time */
	LIAR_NAMES_US,   /* itself and whoever asks, everywhere */
	LIAR_MISPLACES,  /* peers that exist, at addresses of others */
	LIAR_EXAGGERATES /* thousands of peers in one message */
} liar_kind;

struct sim_liar {
	sim_world *w;
	uint32_t n;
	liar_kind kind;
	kp_peer_id ids[LIAR_PEERS];
	kp_maddr addrs[LIAR_PEERS];
	kp_slice addr_slices[LIAR_PEERS];
	kp_kad_peer_out peers[LIAR_PEERS];
};

/* One stream that somebody asks on. */
typedef struct liar_stream {
	kp_lenframe frame;
	kp_ref answer; /* under way */
	uint32_t sent;
} liar_stream;

static const kp_proto liar_protos[] = {{"/ipfs/kad/1.0.0", 0}};

/* --- making up an answer -----------------------------------------------------------------------
 */

static void liar_address(struct sim_liar *l, size_t i, uint32_t machine)
{
	uint8_t ip[4] = {10, (uint8_t)(machine >> 16), (uint8_t)(machine >> 8), (uint8_t)machine};
	kp_maddr_from_ip(4, ip, 4001, &l->addrs[i]);
}

static void liar_name(struct sim_liar *l, size_t i, const kp_peer_id *asker)
{
	sim_world *w = l->w;
	uint32_t some = (uint32_t)kp_rng_below(&w->rng, w->opt.nodes);
	uint32_t nowhere = LIAR_NOWHERE << 16 | (uint32_t)kp_rng_below(&w->rng, 65536);
	uint8_t digest[32];
	switch (l->kind) {
	case LIAR_NAMES_US:
		l->ids[i] = i % 2 ? *asker : w->nodes[l->n].peer;
		liar_address(l, i, i % 4 < 2 ? l->n : nowhere);
		break;
	case LIAR_MISPLACES:
		l->ids[i] = w->nodes[some].peer;
		liar_address(l, i, i % 2 ? (some + 1) % w->opt.nodes : nowhere);
		break;
	default:
		kp_rng_fill(&w->rng, digest, sizeof digest);
		kp_peer_id_from_digest(digest, &l->ids[i]);
		liar_address(l, i, nowhere);
		break;
	}
}

/* The whole frame; an empty ref = no memory. */
static kp_ref liar_answer(struct sim_liar *l, const kp_kad_msg *request, const kp_peer_id *asker)
{
	kp_kad_out m;
	memset(&m, 0, sizeof m);
	m.type = request->type;
	m.cluster_level = request->cluster_level;
	m.closer = l->peers;
	m.n_closer = LIAR_PEERS;
	for (size_t i = 0; i < LIAR_PEERS; i++) {
		liar_name(l, i, asker);
		l->addr_slices[i] = kp_maddr_slice(&l->addrs[i]);
		l->peers[i].id = &l->ids[i];
		l->peers[i].addrs = &l->addr_slices[i];
		l->peers[i].n_addrs = 1;
		l->peers[i].connection = KP_KAD_CONNECTED;
	}
	size_t room = KP_KAD_MSG_MAX + 16;
	kp_block *b = kp_block_new(l->w->nodes[l->n].pool, LIAR_REPEATS * room);
	if (b == NULL)
		return kp_ref_none();
	kp_writer out = kp_writer_of(kp_block_bytes(b), room);
	kp_err err = kp_kad_write(&out, &m);
	KP_ASSERT(err == KP_OK);
	if (l->kind != LIAR_EXAGGERATES)
		return kp_ref_take(b, 0, out.n);
	/* Repeated messages are one message with all the peers; the prefix is of two or three
	 * bytes, so the first body is moved behind a prefix of three. */
	size_t prefix = kp_block_bytes(b)[1] & 0x80 ? 3 : 2, body = out.n - prefix;
	uint32_t total = (uint32_t)(body * LIAR_REPEATS);
	uint8_t *p = kp_block_bytes(b);
	memmove(p + 3, p + prefix, body);
	for (size_t i = 1; i < LIAR_REPEATS; i++)
		memcpy(p + 3 + i * body, p + 3, body);
	p[0] = (uint8_t)(total | 0x80);
	p[1] = (uint8_t)(total >> 7 | 0x80);
	p[2] = (uint8_t)(total >> 14);
	return kp_ref_take(b, 0, 3 + total);
}

/* --- the stream
 * ------------------------------------------------------------------------------------ */

static kp_err liar_on_open(void *svc, kp_stream *s, kp_time now)
{
	(void)svc, (void)s, (void)now;
	return KP_OK;
}

static kp_err liar_on_data(void *svc, kp_stream *s, kp_time now, kp_slice in)
{
	struct sim_liar *l = (struct sim_liar *)svc;
	liar_stream *st = (liar_stream *)kp_stream_state(s);
	kp_pool *pool = l->w->nodes[l->n].pool;
	(void)now;
	while (in.n > 0) {
		kp_ref body;
		kp_kad_msg request;
		kp_err err = kp_lenframe_feed(&st->frame, pool, LIAR_REQUEST, &in, &body);
		if (err == KP_E_AGAIN)
			return KP_OK;
		if (err == KP_OK && st->answer.block == NULL &&
		    kp_kad_parse(kp_ref_slice(body), &request) == KP_OK) {
			st->answer = liar_answer(l, &request, kp_stream_peer(s));
			st->sent = 0;
			l->w->struck |= KP_SIM_FAULT_liars;
			kp_stream_want_write(s);
		}
		kp_ref_drop(&body);
		if (err != KP_OK)
			return KP_E_PROTO;
	}
	return KP_OK;
}

static unsigned liar_pull(void *svc, kp_stream *s, kp_time now, kp_slice *v, unsigned v_max,
                          size_t n_max)
{
	liar_stream *st = (liar_stream *)kp_stream_state(s);
	(void)svc, (void)now;
	KP_ASSERT(v_max > 0);
	if (st->sent == st->answer.len) {
		kp_ref_drop(&st->answer);
		st->sent = 0;
		return 0;
	}
	kp_slice rest = kp_ref_slice(st->answer);
	kp_slice_take(&rest, st->sent);
	v[0] = kp_slice_of(rest.p, KP_MIN(rest.n, n_max));
	st->sent += (uint32_t)v[0].n;
	return 1;
}

static void liar_on_close(void *svc, kp_stream *s, kp_time now, kp_err why)
{
	liar_stream *st = (liar_stream *)kp_stream_state(s);
	(void)svc, (void)now, (void)why;
	kp_lenframe_fini(&st->frame);
	kp_ref_drop(&st->answer);
}

static const kp_proto_ops liar_ops = {.name = "liar",
                                      .state_size = sizeof(liar_stream),
                                      .in_max = 16,
                                      .on_open = liar_on_open,
                                      .on_data = liar_on_data,
                                      .pull = liar_pull,
                                      .on_close = liar_on_close};

kp_err sim_liar_new(sim_world *w, uint32_t n)
{
	sim_node *node = &w->nodes[n];
	struct sim_liar *l = (struct sim_liar *)kp_mem_alloc(&w->mem, sizeof *l);
	KP_ASSERT(node->liar == NULL);
	if (l == NULL)
		return KP_E_NOMEM;
	l->w = w;
	l->n = n;
	l->kind = (liar_kind)(n / 8 % 4);
	node->liar = l;
	kp_engine_serve(node->engine, &liar_ops, liar_protos, KP_COUNT_OF(liar_protos), l);
	return KP_OK;
}

void sim_liar_free(sim_world *w, uint32_t n)
{
	kp_mem_free(&w->mem, w->nodes[n].liar);
	w->nodes[n].liar = NULL;
}
