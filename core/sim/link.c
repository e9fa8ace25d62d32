/* Byte streams between nodes: latency and bandwidth per direction, a bounded buffer, and the faults
 * that fit a stream (cut reads, standing still, resets, partitions). */
#include "base/siphash.h"
#include "sim/world.h"

#define LINK_BYTES_PER_MS 12500u                 /* 100 Mbit/s */
#define LINK_SLOW_PER_MS  32u                    /* 256 kbit/s */
#define LINK_BUFFER       ((uint64_t)256 * 1024) /* unread bytes at which the writer waits */
#define LINK_DIAL_TIMEOUT KP_SEC(5)
#define LINK_PIECES       4u         /* of one write, with `partial` */
#define LINK_PIECE_LATER  KP_MS(100) /* a piece follows the one before within this */

struct sim_chunk {
	struct sim_chunk *next;
	kp_time left; /* when the sender's socket has taken it */
	kp_time at;   /* when it arrives */
	uint32_t n, off;
	bool eof;
};

static uint8_t *chunk_bytes(struct sim_chunk *c)
{
	return (uint8_t *)(c + 1);
}

/* The same for both directions and in every run of a seed: 5 to 50 ms. */
static kp_time link_latency(const sim_world *w, uint32_t a, uint32_t b)
{
	uint64_t key[2] = {w->opt.seed, 0};
	uint32_t ends[2] = {KP_MIN(a, b), KP_MAX(a, b)};
	uint8_t raw[16];
	memcpy(raw, key, sizeof raw);
	return KP_MS(5) + kp_siphash13(raw, ends, sizeof ends) % KP_MS(45);
}

bool sim_link_cut_off(sim_world *w, uint32_t from, uint32_t to)
{
	unsigned cuts = w->opt.faults & ((unsigned)KP_SIM_FAULT_partition | KP_SIM_FAULT_oneway);
	if (cuts == 0 || !sim_fault_now(w) || w->opt.broken == KP_SIM_BREAK_idle)
		return false;
	bool left = from < w->opt.nodes / 2, right = to < w->opt.nodes / 2;
	if (left == right || (!(cuts & KP_SIM_FAULT_partition) && !left))
		return false;
	w->struck |= cuts;
	return true;
}

/* Bytes that the line between two nodes takes in a millisecond. */
static kp_time link_rate(sim_world *w, uint32_t a, uint32_t b)
{
	if (!sim_fault_hurts(w, KP_SIM_FAULT_slow, a) && !sim_fault_hurts(w, KP_SIM_FAULT_slow, b))
		return LINK_BYTES_PER_MS;
	w->struck |= KP_SIM_FAULT_slow;
	return LINK_SLOW_PER_MS;
}

sim_ep *sim_ep_of(sim_world *w, uint32_t n, kp_id id, uint32_t *index)
{
	sim_node *node = &w->nodes[n];
	if (id.slot >= node->n_eps || node->eps[id.slot] == UINT32_MAX)
		return NULL;
	sim_ep *ep = &w->eps[node->eps[id.slot]];
	if (!kp_id_eq(ep->id, id))
		return NULL;
	*index = node->eps[id.slot];
	return ep;
}

/* The node learns of an endpoint under the engine's id for it. */
static kp_err link_bind(sim_world *w, uint32_t index, kp_id id)
{
	sim_ep *ep = &w->eps[index];
	sim_node *node = &w->nodes[ep->node];
	if (id.slot >= node->n_eps) {
		uint32_t n = KP_MAX(id.slot + 1, node->n_eps * 2);
		uint32_t *grown = kp_mem_grow(&w->mem, node->eps, n * sizeof *grown);
		if (grown == NULL)
			return KP_E_NOMEM;
		for (uint32_t i = node->n_eps; i < n; i++)
			grown[i] = UINT32_MAX;
		node->eps = grown;
		node->n_eps = n;
	}
	KP_ASSERT(node->eps[id.slot] == UINT32_MAX || sim_broken(w, KP_SIM_BREAK_socket, ep->node));
	node->eps[id.slot] = index;
	ep->id = id;
	ep->open = true;
	return KP_OK;
}

static kp_err link_new_pair(sim_world *w, uint32_t *first)
{
	if (w->n_eps + 2 > w->cap_eps) {
		uint32_t cap = w->cap_eps ? w->cap_eps * 2 : 1024;
		sim_ep *grown = kp_mem_grow(&w->mem, w->eps, cap * sizeof *grown);
		if (grown == NULL)
			return KP_E_NOMEM;
		w->eps = grown;
		w->cap_eps = cap;
	}
	*first = w->n_eps;
	memset(&w->eps[w->n_eps], 0, 2 * sizeof *w->eps);
	w->eps[*first].other = *first + 1;
	w->eps[*first + 1].other = *first;
	w->n_eps += 2;
	return KP_OK;
}

/* Node n lives at 10.x.y.z with n in the last three bytes. UINT32_MAX = no such machine. */
static uint32_t link_machine(const sim_world *w, const kp_addr *to)
{
	uint32_t n = (uint32_t)to->ip[1] << 16 | (uint32_t)to->ip[2] << 8 | to->ip[3];
	return to->family == 4 && to->ip[0] == 10 && n < w->opt.nodes ? n : UINT32_MAX;
}

/* How long until a dial fails; 0 = it will not. A machine without power never answers. */
static kp_time link_refusal(sim_world *w, uint32_t from, uint32_t to, const kp_addr *addr)
{
	if (to == UINT32_MAX || w->nodes[to].silent || sim_link_cut_off(w, from, to) ||
	    sim_link_cut_off(w, to, from))
		return LINK_DIAL_TIMEOUT;
	bool listens = w->nodes[to].engine != NULL && w->nodes[to].addr.port == addr->port;
	return listens ? 0 : KP_MS(20);
}

kp_err sim_link_dial(sim_world *w, uint32_t n, kp_id id, const kp_addr *to)
{
	uint32_t first, target = link_machine(w, to);
	if (link_new_pair(w, &first) != KP_OK)
		return KP_E_NOMEM;
	sim_ep *ep = &w->eps[first], *far = &w->eps[first + 1];
	ep->node = n;
	ep->life = w->nodes[n].life;
	if (link_bind(w, first, id) != KP_OK)
		return KP_E_NOMEM;
	kp_time refusal = link_refusal(w, n, target, to);
	if (refusal > 0) {
		far->node = UINT32_MAX;
		sim_at(w, w->now + refusal,
		       (sim_event){.kind = SIM_DIALED,
		                   .node = n,
		                   .life = ep->life,
		                   .ep = first,
		                   .arg = KP_E_UNREACHABLE});
		return KP_OK;
	}
	far->node = target;
	far->life = w->nodes[target].life;
	kp_time one_way = link_latency(w, n, target);
	sim_at(w, w->now + one_way,
	       (sim_event){.kind = SIM_ACCEPT, .node = target, .life = far->life, .ep = first + 1});
	sim_at(w, w->now + 2 * one_way,
	       (sim_event){
	               .kind = SIM_DIALED, .node = n, .life = ep->life, .ep = first, .arg = KP_OK});
	return KP_OK;
}

static void link_written_later(sim_world *w, uint32_t index)
{
	sim_ep *ep = &w->eps[index];
	sim_at(w, KP_MAX(w->now, ep->busy_until),
	       (sim_event){.kind = SIM_WRITTEN, .node = ep->node, .life = ep->life, .ep = index});
}

static void link_unbind(sim_world *w, uint32_t index)
{
	sim_ep *ep = &w->eps[index];
	sim_node *node = &w->nodes[ep->node];
	if (ep->open && ep->id.slot < node->n_eps && node->eps[ep->id.slot] == index)
		node->eps[ep->id.slot] = UINT32_MAX;
	ep->open = false;
	ep->gone = true;
	sim_link_free(w, index);
	/* whoever waits for this end to read waits no longer */
	sim_ep *far = &w->eps[ep->other];
	if (far->open && far->write_held) {
		far->write_held = false;
		link_written_later(w, ep->other);
	}
}

void sim_link_accept(sim_world *w, uint32_t index)
{
	sim_ep *ep = &w->eps[index];
	sim_node *node = &w->nodes[ep->node], *from = &w->nodes[w->eps[ep->other].node];
	kp_addr remote = from->addr;
	kp_id listener = {0, 1}, id;
	remote.port = (uint16_t)(40000 + index % 20000); /* an ephemeral port */
	if (node->accept_paused) {                       /* waits in the backlog */
		sim_at(w, w->now + KP_MS(50),
		       (sim_event){.kind = SIM_ACCEPT,
		                   .node = ep->node,
		                   .life = ep->life,
		                   .ep = index});
		return;
	}
	if (kp_engine_on_accept(node->engine, w->now, listener, &remote, &node->addr, &id) !=
	    KP_OK) {
		sim_link_close(w, index);
		return;
	}
	if (link_bind(w, index, id) != KP_OK) {
		w->failed = KP_E_NOMEM;
		return;
	}
	w->eps[index].accepted = true;
	w->eps[index].reading = true;
	sim_link_want_read(w, index);
}

void sim_link_dialed(sim_world *w, uint32_t index, kp_err err)
{
	sim_ep *ep = &w->eps[index];
	if (!ep->open)
		return;
	kp_id id = ep->id;
	uint32_t n = ep->node;
	if (err == KP_OK) {
		ep->reading = true;
		sim_link_want_read(w, index);
	} else {
		link_unbind(w, index); /* the error ends the id */
	}
	kp_engine_on_dialed(w->nodes[n].engine, w->now, id, &w->nodes[n].addr, err);
}

static void link_append(sim_world *w, uint32_t to, kp_slice data, kp_time left, kp_time at,
                        bool eof)
{
	sim_ep *ep = &w->eps[to];
	struct sim_chunk *c = kp_mem_alloc(&w->mem, sizeof *c + data.n);
	if (c == NULL) {
		w->failed = KP_E_NOMEM;
		return;
	}
	c->left = left;
	c->at = at;
	c->eof = eof;
	c->n = (uint32_t)data.n;
	if (data.n > 0)
		memcpy(chunk_bytes(c), data.p, data.n);
	if (ep->tail != NULL)
		ep->tail->next = c;
	else
		ep->head = c;
	ep->tail = c;
	ep->queued += data.n;
	sim_link_want_read(w, to);
}

/* When what is sent now arrives; order is kept by busy_until. */
static kp_time link_arrival(sim_world *w, sim_ep *ep, size_t n)
{
	kp_time start = KP_MAX(w->now, ep->busy_until);
	uint32_t to = w->eps[ep->other].node;
	ep->busy_until = start + KP_MS(n) / link_rate(w, ep->node, to);
	return ep->busy_until + link_latency(w, ep->node, to);
}

/* One write, of which the last byte arrives at `at`; with `partial` some leave in pieces. The write
 * is done when the last has left: busy_until. */
static void link_send(sim_world *w, uint32_t index, kp_slice data, kp_time at)
{
	sim_ep *ep = &w->eps[index];
	kp_time left = w->now, later = 0;
	bool cut = sim_has(w, KP_SIM_FAULT_partial) && w->opt.broken != KP_SIM_BREAK_idle &&
	           data.n > 1 && kp_rng_below(&w->rng, 4) == 0;
	for (unsigned i = 1; cut && i < LINK_PIECES && data.n > 1; i++) {
		kp_slice piece = kp_slice_take(&data, 1 + kp_rng_below(&w->rng, data.n - 1));
		link_append(w, ep->other, piece, left, at + later, false);
		later += 1 + kp_rng_below(&w->rng, LINK_PIECE_LATER);
		left = ep->busy_until + later;
	}
	link_append(w, ep->other, data, left, at + later, false);
	w->eps[index].busy_until += later;
}

/* This end is gone: what its socket had not taken yet never leaves. */
static void link_tear(sim_world *w, uint32_t index)
{
	sim_ep *far = &w->eps[w->eps[index].other];
	struct sim_chunk **it = &far->head, *last = NULL;
	while (*it != NULL && (*it)->left <= w->now) {
		last = *it;
		it = &(*it)->next;
	}
	struct sim_chunk *lost = *it;
	*it = NULL;
	far->tail = last;
	while (lost != NULL) {
		struct sim_chunk *next = lost->next;
		far->queued -= lost->n - lost->off;
		w->struck |= KP_SIM_FAULT_partial;
		kp_mem_free(&w->mem, lost);
		lost = next;
	}
}

/* Has the far end closed, or has the node that it belonged to gone? */
static bool link_is_dead(const sim_world *w, const sim_ep *far)
{
	return far->node == UINT32_MAX || far->gone || w->nodes[far->node].engine == NULL ||
	       w->nodes[far->node].life != far->life;
}

static void link_reset_later(sim_world *w, uint32_t index, kp_time wait)
{
	const sim_ep *ep = &w->eps[index];
	sim_at(w, w->now + wait,
	       (sim_event){.kind = SIM_LOST, .node = ep->node, .life = ep->life, .ep = index});
}

void sim_link_write(sim_world *w, uint32_t index, kp_slice data)
{
	sim_ep *ep = &w->eps[index], *far = &w->eps[ep->other];
	KP_ASSERT(!ep->writing && ep->open);
	ep->writing = true;
	w->nodes[ep->node].bytes += data.n;
	kp_time at = link_arrival(w, ep, data.n);
	if (!link_is_dead(w, far))
		link_send(w, index, data, at);
	else if (!w->nodes[far->node].silent)
		link_reset_later(w, index, 2 * link_latency(w, ep->node, far->node));
	else
		far->queued += data.n; /* nobody acknowledges it: it stays in our buffer */
	ep->write_held = far->queued > LINK_BUFFER;
	if (!ep->write_held)
		link_written_later(w, index);
}

void sim_link_written(sim_world *w, uint32_t index)
{
	sim_ep *ep = &w->eps[index];
	if (!ep->open || !ep->writing)
		return;
	ep->writing = false;
	kp_engine_on_written(w->nodes[ep->node].engine, w->now, ep->id, KP_OK);
}

void sim_link_finish(sim_world *w, uint32_t index)
{
	sim_ep *ep = &w->eps[index];
	if (!link_is_dead(w, &w->eps[ep->other]))
		link_append(w, ep->other, kp_slice_none(), w->now, link_arrival(w, ep, 0), true);
}

void sim_link_close(sim_world *w, uint32_t index)
{
	link_tear(w, index);
	sim_link_finish(w, index);
	link_unbind(w, index);
}

void sim_link_cut(sim_world *w, uint32_t index)
{
	const sim_ep *ep = &w->eps[index], *far = &w->eps[ep->other];
	link_tear(w, index);
	if (far->node != UINT32_MAX)
		link_reset_later(w, ep->other, link_latency(w, ep->node, far->node));
	link_unbind(w, index);
}

void sim_link_drop(sim_world *w, uint32_t index)
{
	link_tear(w, index);
	link_unbind(w, index);
}

/* The far end was reset: the host reports it unasked, as a socket error. */
void sim_link_lost(sim_world *w, uint32_t index)
{
	sim_ep *ep = &w->eps[index];
	if (!ep->open)
		return;
	kp_id id = ep->id;
	uint32_t n = ep->node;
	link_unbind(w, index);
	kp_engine_on_closed(w->nodes[n].engine, w->now, id, KP_E_UNREACHABLE);
}

void sim_link_want_read(sim_world *w, uint32_t index)
{
	sim_ep *ep = &w->eps[index];
	if (!ep->open || !ep->reading || ep->read_set || ep->head == NULL)
		return;
	ep->read_set = true;
	sim_at(w, KP_MAX(KP_MAX(w->now, ep->head->at), ep->stalled_until),
	       (sim_event){.kind = SIM_READ, .node = ep->node, .life = ep->life, .ep = index});
}

static void link_pop(sim_world *w, sim_ep *ep)
{
	struct sim_chunk *c = ep->head;
	ep->head = c->next;
	if (ep->head == NULL)
		ep->tail = NULL;
	kp_mem_free(&w->mem, c);
}

/* Until when nothing is read here although bytes have arrived; 0 = read now. */
static kp_time link_hindrance(sim_world *w, const sim_ep *ep)
{
	if (sim_link_cut_off(w, w->eps[ep->other].node, ep->node))
		return sim_fault_heal(w);
	if (sim_fault_hurts(w, KP_SIM_FAULT_deaf, ep->node) && sim_fault_now(w) &&
	    w->opt.broken != KP_SIM_BREAK_idle) {
		w->struck |= KP_SIM_FAULT_deaf;
		return sim_fault_heal(w);
	}
	return w->now < ep->stalled_until ? ep->stalled_until : 0;
}

/* Fills the engine's buffer as recv would. */
static size_t link_take(sim_world *w, sim_ep *ep, uint8_t *buf, size_t cap)
{
	size_t got = 0;
	bool cut = sim_has(w, KP_SIM_FAULT_split) && kp_rng_below(&w->rng, 4) == 0;
	while (got < cap && ep->head != NULL && ep->head->at <= w->now && !ep->head->eof) {
		struct sim_chunk *c = ep->head;
		size_t take = KP_MIN(cap - got, c->n - c->off);
		if (cut)
			take = 1 + (size_t)kp_rng_below(&w->rng, take);
		memcpy(buf + got, chunk_bytes(c) + c->off, take);
		got += take;
		c->off += (uint32_t)take;
		if (c->off == c->n)
			link_pop(w, ep);
		if (cut) {
			w->struck |= KP_SIM_FAULT_split;
			break;
		}
	}
	ep->queued -= got;
	return got;
}

/* One read of what has arrived, as a socket would give it. */
void sim_link_read(sim_world *w, uint32_t index)
{
	sim_ep *ep = &w->eps[index];
	ep->read_set = false;
	if (!ep->open || !ep->reading || ep->head == NULL)
		return;
	kp_engine *engine = w->nodes[ep->node].engine;
	kp_time until = link_hindrance(w, ep);
	if (until > 0) {
		ep->stalled_until = until;
		sim_link_want_read(w, index);
		return;
	}
	kp_id id = ep->id;
	size_t got = 0, cap = 0;
	if (ep->head->eof) {
		link_pop(w, ep);
	} else {
		uint8_t *buf = kp_engine_rx_buf(engine, id, &cap);
		if (buf == NULL) { /* READ_RESUME follows */
			ep->reading = false;
			return;
		}
		got = link_take(w, ep, buf, cap);
		sim_ep *far = &w->eps[ep->other];
		if (far->open && far->write_held && ep->queued <= LINK_BUFFER) {
			far->write_held = false;
			link_written_later(w, ep->other);
		}
	}
	sim_mix(w, index, got);
	kp_engine_on_read(engine, w->now, id, got);
	sim_link_want_read(w, index);
}

void sim_link_free(sim_world *w, uint32_t index)
{
	sim_ep *ep = &w->eps[index];
	while (ep->head != NULL)
		link_pop(w, ep);
	ep->queued = 0;
}
