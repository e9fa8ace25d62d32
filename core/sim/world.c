#include "sim/world.h"

#include <stdio.h>

#define WORLD_SETTLE    KP_SEC(10) /* a message counts for nodes that were up this long before it */
#define WORLD_END_GRACE KP_SEC(10) /* and this long after it */
#define WORLD_STOP_MAX  KP_SEC(60) /* all nodes must have stopped by then */

bool sim_has(const sim_world *w, kp_sim_fault fault)
{
	return (w->opt.faults & (unsigned)fault) != 0;
}

/* One step of FNV-1a over two numbers: enough to tell two runs apart. */
void sim_mix(sim_world *w, uint64_t a, uint64_t b)
{
	w->hash = (w->hash ^ a) * UINT64_C(0x100000001b3);
	w->hash = (w->hash ^ b) * UINT64_C(0x100000001b3);
	w->hash ^= w->hash >> 29;
}

/* --- the heap of events, by (time, order of creation)
 * ---------------------------------------------- */

static bool event_before(const sim_event *a, const sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void sim_at(sim_world *w, kp_time at, sim_event ev)
{
	if (w->n_heap == w->cap_heap) {
		uint32_t cap = w->cap_heap ? w->cap_heap * 2 : 1024;
		sim_event *grown = kp_mem_grow(&w->mem, w->heap, cap * sizeof *grown);
		if (grown == NULL) {
			w->failed = KP_E_NOMEM;
			return;
		}
		w->heap = grown;
		w->cap_heap = cap;
	}
	ev.at = at;
	ev.seq = w->seq++;
	uint32_t i = w->n_heap++;
	for (; i > 0 && event_before(&ev, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = ev;
}

static sim_event event_pop(sim_world *w)
{
	sim_event top = w->heap[0], last = w->heap[--w->n_heap];
	uint32_t i = 0;
	for (;;) {
		uint32_t child = 2 * i + 1;
		if (child >= w->n_heap)
			break;
		if (child + 1 < w->n_heap && event_before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!event_before(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	if (w->n_heap > 0)
		w->heap[i] = last;
	return top;
}

/* --- one step
 * -------------------------------------------------------------------------------------- */

/* The next message, from a random node that is up; and the one after it. */
static void world_publish(sim_world *w)
{
	kp_time last = w->opt.duration;
	for (int tries = 0; tries < 16; tries++) {
		uint32_t n = (uint32_t)kp_rng_below(&w->rng, w->opt.nodes);
		if (w->nodes[n].engine == NULL || w->now < w->nodes[n].up_since + WORLD_SETTLE / 2)
			continue;
		uint32_t m = sim_check_published(&w->check, w->now, n);
		if (m == UINT32_MAX)
			w->failed = KP_E_NOMEM;
		else
			sim_node_publish(w, n, m);
		break;
	}
	kp_time next = w->now + (kp_time)(1e9 / w->opt.rate);
	if (next < last)
		sim_at(w, next, (sim_event){.kind = SIM_PUBLISH});
}

static void world_on_link(sim_world *w, const sim_event *ev)
{
	switch (ev->kind) {
	case SIM_ACCEPT:
		sim_link_accept(w, ev->ep);
		break;
	case SIM_DIALED:
		sim_link_dialed(w, ev->ep, (kp_err)ev->arg);
		break;
	case SIM_READ:
		sim_link_read(w, ev->ep);
		break;
	case SIM_WRITTEN:
		sim_link_written(w, ev->ep);
		break;
	default:
		sim_link_lost(w, ev->ep);
		break;
	}
	sim_node_pump(w, ev->node);
}

/* Facts for one node, if it is still the same life of it. */
static void world_on_node(sim_world *w, const sim_event *ev)
{
	sim_node *node = &w->nodes[ev->node];
	if (node->engine == NULL || node->life != ev->life)
		return;
	sim_mix(w, w->now, (uint64_t)ev->kind << 32 | ev->node);
	if (ev->kind == SIM_TICK) {
		if (node->tick_at != ev->at)
			return; /* replaced by an earlier one */
		node->tick_at = KP_NEVER;
		kp_engine_on_tick(node->engine, w->now);
		sim_node_pump(w, ev->node);
	} else if (ev->kind == SIM_JOB) {
		if (ev->job != NULL)
			kp_engine_on_job_done(node->engine, w->now, ev->job);
		sim_node_pump(w, ev->node);
	} else {
		world_on_link(w, ev);
	}
}

static void world_step(sim_world *w)
{
	sim_event ev = event_pop(w);
	KP_ASSERT(ev.at >= w->now);
	w->now = ev.at;
	w->steps++;
	switch (ev.kind) {
	case SIM_PUBLISH:
		world_publish(w);
		break;
	case SIM_START:
		if (!w->stopping && sim_node_start(w, ev.node) != KP_OK)
			w->failed = KP_E_NOMEM;
		break;
	case SIM_CRASH:
	case SIM_CRASH_ANY:
	case SIM_STALL:
	case SIM_RESET:
		if (!w->stopping) /* the end is peaceful: it is about what is left behind */
			sim_fault_run(w, &ev);
		break;
	default:
		world_on_node(w, &ev);
		break;
	}
}

/* --- the run
 * --------------------------------------------------------------------------------------- */

static void world_mesh(sim_world *w, kp_sim_report *r)
{
	uint64_t mesh = 0, conns = 0, up = 0;
	r->mesh_min = UINT32_MAX;
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		kp_engine *e = w->nodes[i].engine;
		kp_gs_topic_info topic;
		if (e == NULL || !kp_engine_topic_at(e, 0, &topic))
			continue;
		up++;
		mesh += topic.mesh;
		conns += kp_engine_conn_count(e);
		r->mesh_min = KP_MIN(r->mesh_min, (unsigned)topic.mesh);
		r->mesh_max = KP_MAX(r->mesh_max, (unsigned)topic.mesh);
	}
	r->mesh_mean = up ? (double)mesh / (double)up : 0;
	r->conns_mean = up ? (double)conns / (double)up : 0;
}

/* Was it up from settle before the message to grace after it, and could it be reached? */
static bool world_counts(const sim_world *w, const sim_message *m, uint32_t n)
{
	const sim_node *node = &w->nodes[n];
	bool up = node->engine != NULL && node->up_since + WORLD_SETTLE <= m->at;
	if (sim_has(w, KP_SIM_FAULT_partition) || sim_has(w, KP_SIM_FAULT_oneway))
		up = up && (m->at + WORLD_END_GRACE < sim_fault_begin(w) ||
		            m->at > sim_fault_heal(w) + 2 * WORLD_SETTLE);
	return up && m->sent && n != m->from;
}

static void world_deliveries(sim_world *w, kp_sim_report *r)
{
	for (uint32_t i = 0; i < w->check.n; i++) {
		const sim_message *m = &w->check.messages[i];
		r->published += m->sent ? 1 : 0;
		/* of a node that crashed nobody knows whether its last message left */
		if (w->nodes[m->from].up_since > m->at || m->at + WORLD_END_GRACE > w->now)
			continue;
		for (uint32_t n = 0; n < w->opt.nodes; n++) {
			if (!world_counts(w, m, n))
				continue;
			r->expected++;
			r->delivered += m->seen[n] != 0 ? 1 : 0;
		}
	}
	r->delivery_ratio = r->expected ? (double)r->delivered / (double)r->expected : 1.0;
	sim_check_latencies(&w->check, r);
}

static void world_stop(sim_world *w)
{
	kp_time limit = w->now + WORLD_STOP_MAX;
	w->stopping = true;
	for (uint32_t i = 0; i < w->opt.nodes; i++)
		sim_node_stop(w, i);
	for (;;) {
		uint32_t running = 0;
		for (uint32_t i = 0; i < w->opt.nodes; i++) {
			if (w->nodes[i].engine != NULL && kp_engine_stopped(w->nodes[i].engine))
				sim_node_free(w, i);
			running += w->nodes[i].engine != NULL;
		}
		if (running == 0 || w->n_heap == 0 || w->now > limit || w->failed)
			break;
		/* many steps between looks: looking is linear in the nodes */
		for (uint32_t s = 0; s < w->opt.nodes * 8 && w->n_heap > 0; s++)
			world_step(w);
	}
	for (uint32_t i = 0; i < w->opt.nodes; i++)
		if (w->nodes[i].engine != NULL)
			sim_check_fail(&w->check, "node %u did not stop within its budget", i);
}

static void world_figures(sim_world *w, kp_sim_report *r)
{
	uint64_t received = 0, duplicates = 0;
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		r->bytes += w->nodes[i].bytes;
		received += w->nodes[i].received;
		duplicates += w->nodes[i].duplicates;
	}
	r->duplicates_per_message = received ? (double)duplicates / (double)received : 0;
	r->events = w->steps;
	r->trace_hash = w->hash;
	memcpy(r->violation, w->check.violation, sizeof r->violation);
}

static kp_err world_init(sim_world *w, const kp_sim_options *o)
{
	uint8_t seed[32] = {0};
	memset(w, 0, sizeof *w);
	w->opt = *o;
	w->now = KP_SEC(1);
	w->opt.duration += w->now;
	w->hash = UINT64_C(0xcbf29ce484222325);
	kp_mem_init(&w->mem, 0);
	memcpy(seed, &o->seed, sizeof o->seed);
	kp_rng_init(&w->rng, seed);
	sim_check_init(&w->check, &w->mem, o->nodes);
	w->nodes = kp_mem_alloc(&w->mem, o->nodes * sizeof *w->nodes);
	w->memo = o->memo_verify ? kp_verify_memo_new() : NULL;
	if (w->nodes == NULL || (o->memo_verify && w->memo == NULL))
		return KP_E_NOMEM;
	for (uint32_t i = 0; i < o->nodes; i++) {
		kp_rng_fill(&w->rng, w->nodes[i].seed, sizeof w->nodes[i].seed);
		w->nodes[i].skew_ns =
		        (int64_t)kp_rng_below(&w->rng, KP_SEC(7200)) - (int64_t)KP_SEC(3600);
		if (!sim_has(w, KP_SIM_FAULT_skew))
			w->nodes[i].skew_ns = 0;
		/* the bootnode first, the others within a second */
		sim_at(w, w->now + (i ? KP_MS(100) + kp_rng_below(&w->rng, KP_SEC(1)) : 0),
		       (sim_event){.kind = SIM_START, .node = i});
	}
	sim_fault_plan(w);
	sim_at(w, w->now + o->duration / 4, (sim_event){.kind = SIM_PUBLISH});
	return KP_OK;
}

static void world_fini(sim_world *w)
{
	for (uint32_t i = 0; i < w->n_eps; i++)
		sim_link_free(w, i);
	for (uint32_t i = 0; w->nodes != NULL && i < w->opt.nodes; i++)
		kp_mem_free(&w->mem, w->nodes[i].eps);
	sim_check_fini(&w->check);
	kp_mem_free(&w->mem, w->nodes);
	kp_mem_free(&w->mem, w->eps);
	kp_mem_free(&w->mem, w->heap);
	if (w->memo != NULL)
		kp_verify_memo_free(w->memo);
}

kp_sim_options kp_sim_options_default(void)
{
	kp_sim_options o = {.seed = 1,
	                    .nodes = 20,
	                    .duration = KP_SEC(60),
	                    .rate = 10,
	                    .size = 1024,
	                    .faults = 0,
	                    .memo_verify = true};
	return o;
}

static const char *options_wrong(const kp_sim_options *o)
{
	if (o->nodes < 2 || o->nodes > 5000)
		return "nodes must be 2 to 5000";
	if (o->duration < KP_SEC(1) || o->duration > KP_SEC(86400))
		return "seconds must be 1 to 86400";
	if (!(o->rate > 0) || o->rate > 1e6)
		return "rate must be above 0 and at most 1000000 messages a second";
	if (o->size < 16 || o->size > 57000)
		return "size must be 16 to 57000 bytes";
	return NULL;
}

kp_err kp_sim_run(const kp_sim_options *options, kp_sim_report *r)
{
	sim_world w;
	memset(r, 0, sizeof *r);
	const char *wrong = options_wrong(options);
	if (wrong != NULL) {
		snprintf(r->violation, sizeof r->violation, "%s", wrong);
		return KP_E_INVAL;
	}
	kp_err err = world_init(&w, options);
	while (err == KP_OK && w.failed == KP_OK && w.n_heap > 0 && w.heap[0].at < w.opt.duration)
		world_step(&w);
	if (err == KP_OK && w.failed == KP_OK) {
		w.now = KP_MAX(w.now, w.opt.duration);
		world_mesh(&w, r);
		world_deliveries(&w, r);
		world_stop(&w);
		world_figures(&w, r);
	}
	err = err != KP_OK ? err : w.failed;
	if (err == KP_OK && r->violation[0] != '\0')
		err = KP_E_INTERNAL;
	memcpy(r->violation, w.check.violation, sizeof r->violation);
	world_fini(&w);
	return err;
}

kp_err kp_sim_parse_faults(kp_slice list, unsigned *faults, kp_slice *bad)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = {
#define SIM_FAULT_NAME(name, bit, text) {#name, bit},
	        KP_SIM_FAULTS(SIM_FAULT_NAME)
#undef SIM_FAULT_NAME
	                {"none", 0u}};
	*faults = 0;
	while (list.n > 0) {
		const uint8_t *comma = memchr(list.p, ',', list.n);
		kp_slice name = kp_slice_take(&list, comma ? (size_t)(comma - list.p) : list.n);
		size_t i = 0;
		while (i < KP_COUNT_OF(known) && !kp_slice_eq_str(name, known[i].name))
			i++;
		if (i == KP_COUNT_OF(known)) {
			*bad = name;
			return KP_E_INVAL;
		}
		*faults |= known[i].bit;
		if (list.n > 0)
			kp_slice_take(&list, 1);
	}
	return KP_OK;
}
