#include "sim/world.h"

#include <stdio.h>

#define WORLD_STOP_MAX KP_SEC(60) /* all nodes must have stopped by then */
#define WORLD_BURST    16u        /* messages that a node publishes at once, with `jobs` */
#define WORLD_SETTLED  KP_SEC(5)  /* a node publishes once it has been up this long */

bool sim_has(const sim_world *w, kp_sim_fault fault)
{
	return (w->opt.faults & (unsigned)fault) != 0;
}

bool sim_broken(const sim_world *w, kp_sim_break what, uint32_t n)
{
	return w->opt.broken == what && n == 1;
}

uint32_t sim_honest(const sim_world *w)
{
	return w->opt.nodes - w->opt.attackers;
}

kp_time sim_late(const sim_world *w)
{
	return w->opt.duration - w->opt.duration / 4;
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

/* The next message, from a random node that is up; and the one after it. Jobs are for bursts, so
 * the fault that is about them needs some. */
static void world_publish(sim_world *w)
{
	kp_time last = w->opt.duration;
	unsigned burst = sim_has(w, KP_SIM_FAULT_jobs) ? WORLD_BURST : 1;
	uint32_t n = 0;
	bool found = false;
	for (int tries = 0; tries < 16 && !found; tries++) {
		n = (uint32_t)kp_rng_below(&w->rng, sim_honest(w));
		found = w->nodes[n].engine != NULL && !w->nodes[n].leaving &&
		        w->now >= w->nodes[n].up_since + WORLD_SETTLED;
	}
	for (unsigned i = 0; found && i < burst; i++) {
		uint32_t m = sim_check_published(&w->check, w->now, n);
		if (m == UINT32_MAX)
			w->failed = KP_E_NOMEM;
		else
			sim_node_publish(w, n, m);
	}
	if (found)
		sim_node_pump(w, n);
	kp_time next = w->now + (kp_time)(1e9 * burst / w->opt.rate);
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
	if (node->leaving && !w->stopping && kp_engine_stopped(node->engine))
		sim_node_free(w, ev->node);
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
	case SIM_SAMPLE:
		if (!w->stopping)
			sim_judge_sample(w);
		break;
	case SIM_ATTACK:
		if (!w->stopping)
			sim_sybil_act(w);
		break;
	case SIM_CRASH:
	case SIM_CRASH_ANY:
	case SIM_VANISH:
	case SIM_LEAVE:
	case SIM_STALL:
	case SIM_RESET:
	case SIM_LOSE_EP:
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
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		if (w->nodes[i].engine == NULL)
			continue;
		sim_check_fail(&w->check, "node %u did not stop within its budget", i);
		w->opt.broken = KP_SIM_BREAK_none;
		sim_node_crash(w, i, false); /* at least give all memory back */
	}
}

/* Who everybody is must be known before the first node is up: they name each other. */
static kp_err world_identities(sim_world *w)
{
	static const uint8_t secret[32];
	kp_identity identity;
	kp_crypto *crypto = kp_crypto_new(secret);
	if (crypto == NULL)
		return KP_E_NOMEM;
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		kp_rng_fill(&w->rng, w->nodes[i].seed, sizeof w->nodes[i].seed);
		kp_identity_from_seed(crypto, w->nodes[i].seed, &identity);
		w->nodes[i].peer = identity.id;
	}
	crypto->ops->free(crypto);
	return KP_OK;
}

/* The bootnode first, the others within a second; some after the attackers. */
static kp_time world_start_at(sim_world *w, uint32_t n)
{
	kp_time later = KP_MS(100) + kp_rng_below(&w->rng, KP_SEC(1));
	if (sim_has(w, KP_SIM_FAULT_bootlate) && n == 0 && w->opt.broken != KP_SIM_BREAK_idle) {
		w->struck |= KP_SIM_FAULT_bootlate;
		return sim_fault_begin(w);
	}
	return w->now + sim_sybil_delay(w, n) +
	       (n == 0 || sim_has(w, KP_SIM_FAULT_meet) ? 0 : later);
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
	sim_check_init(&w->check, &w->mem, o->nodes, kp_gs_params_default().seen_ttl_ns);
	w->nodes = kp_mem_alloc(&w->mem, o->nodes * sizeof *w->nodes);
	w->memo = o->memo_verify ? kp_verify_memo_new() : NULL;
	if (w->nodes == NULL || (o->memo_verify && w->memo == NULL))
		return KP_E_NOMEM;
	kp_err err = world_identities(w);
	if (err != KP_OK)
		return err;
	for (uint32_t i = 0; i < o->nodes; i++) {
		int64_t skew = (int64_t)kp_rng_below(&w->rng, KP_SEC(7200)) - (int64_t)KP_SEC(3600);
		w->nodes[i].skew_ns = sim_has(w, KP_SIM_FAULT_skew) ? skew : 0;
		sim_at(w, world_start_at(w, i), (sim_event){.kind = SIM_START, .node = i});
	}
	w->struck |= o->faults & ((unsigned)KP_SIM_FAULT_skew | KP_SIM_FAULT_meet);
	sim_fault_plan(w);
	sim_at(w, w->now + KP_SEC(1), (sim_event){.kind = SIM_SAMPLE});
	/* P3 takes silence for a fault: with it there are messages from the beginning */
	kp_time join = o->attack != KP_SIM_ATTACK_none ? WORLD_SETTLED : o->duration / 4;
	sim_at(w, w->now + join, (sim_event){.kind = SIM_PUBLISH});
	return sim_sybil_plan(w);
}

static void world_fini(sim_world *w)
{
	for (uint32_t i = 0; i < w->n_eps; i++)
		sim_link_free(w, i);
	for (uint32_t i = 0; w->nodes != NULL && i < w->opt.nodes; i++)
		kp_mem_free(&w->mem, w->nodes[i].eps);
	sim_check_fini(&w->check);
	kp_mem_free(&w->mem, w->held);
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
	                    .fail_every = 50,
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
	if (o->attack != KP_SIM_ATTACK_none && (o->nodes < 5 || o->attackers > o->nodes - 5))
		return "an attack must leave five honest nodes";
	if (o->fail_every == 0)
		return "fail_every must be at least 1";
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
		sim_judge_end(&w, r);
		world_stop(&w);
		sim_judge_stopped(&w, r);
		r->events = w.steps;
		r->trace_hash = w.hash;
	}
	err = err != KP_OK ? err : w.failed;
	if (err == KP_OK && w.check.violation[0] != '\0')
		err = KP_E_INTERNAL;
	memcpy(r->violation, w.check.violation, sizeof r->violation);
	world_fini(&w);
	return err;
}

kp_err kp_sim_run_twice(const kp_sim_options *options, kp_sim_report *r)
{
	kp_sim_report again;
	kp_sim_options o = *options;
	kp_err err = kp_sim_run(options, r);
	if (err != KP_OK)
		return err;
	if (o.broken == KP_SIM_BREAK_hash)
		o.seed++;
	err = kp_sim_run(&o, &again);
	if (err != KP_OK || again.trace_hash == r->trace_hash)
		return err;
	snprintf(r->violation, sizeof r->violation,
	         "the same options gave trace hash %016llx, then %016llx",
	         (unsigned long long)r->trace_hash, (unsigned long long)again.trace_hash);
	return KP_E_INTERNAL;
}

const char *kp_sim_score_name(kp_sim_score score)
{
	static const char *const names[] = {
#define SIM_SCORE_NAME(name, text) #name,
	        KP_SIM_SCORES(SIM_SCORE_NAME)
#undef SIM_SCORE_NAME
	};
	return names[score];
}

/* Attackers that pass nothing on are known by P3 alone, which `abuse` does not count: as without.
 */
static bool attack_is_ended_by(kp_sim_attack attack, kp_sim_score score)
{
	bool spam = attack >= KP_SIM_ATTACK_ihavespam;
	return score == KP_SIM_SCORE_full || (score == KP_SIM_SCORE_abuse && spam);
}

/* The attack is one, and scoring is what ends it: it costs the honest time, or work. */
static kp_err attack_compare(const kp_sim_report *off, kp_sim_report *with)
{
	bool helped = off->served > 0
	                      ? with->served < off->served / 10
	                      : off->attackers_meshed > with->attackers_meshed &&
	                                off->late.latency_ms_p50 > 1.5 * with->late.latency_ms_p50;
	if (helped)
		return KP_OK;
	snprintf(with->violation, sizeof with->violation,
	         "scoring is no help: %.1f places, %llu served, p50 %.0f ms; without it %.1f, "
	         "%llu, %.0f ms",
	         with->attackers_meshed, (unsigned long long)with->served,
	         with->late.latency_ms_p50, off->attackers_meshed, (unsigned long long)off->served,
	         off->late.latency_ms_p50);
	return KP_E_INTERNAL;
}

kp_err kp_sim_run_attack(const kp_sim_options *options, kp_sim_report r[KP_SIM_SCORE_COUNT],
                         kp_sim_score *failed)
{
	kp_err err = KP_OK;
	memset(r, 0, KP_SIM_SCORE_COUNT * sizeof *r);
	for (unsigned score = 0; score < KP_SIM_SCORE_COUNT && err == KP_OK; score++) {
		kp_sim_options o = *options;
		*failed = o.score = (kp_sim_score)score;
		if (score == KP_SIM_SCORE_off)
			o.expect = (kp_sim_expect){.struck = o.expect.struck};
		if (score == KP_SIM_SCORE_abuse && o.expect.fair < 0)
			o.expect.fair = -1e-9; /* no honest node abuses anything */
		if (score == KP_SIM_SCORE_off || attack_is_ended_by(o.attack, o.score))
			err = kp_sim_run_twice(&o, &r[score]);
	}
	for (unsigned score = 0; score < KP_SIM_SCORE_COUNT && err == KP_OK; score++) {
		if (!attack_is_ended_by(options->attack, (kp_sim_score)score))
			continue;
		*failed = (kp_sim_score)score;
		err = attack_compare(&r[KP_SIM_SCORE_off], &r[score]);
	}
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
