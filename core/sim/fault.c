/* The faults of a run: when they strike is drawn from the seed before anything happens. */
#include "sim/world.h"

#define FAULT_WARMUP(w) ((w)->opt.duration / 4) /* the network forms in peace */
#define FAULT_BEFORE    KP_SEC(10) /* a message this long before a window may still be under way */
/* After a window. A long one leaves dials backed off up to a minute and a quarter. */
#define FAULT_AFTER      KP_SEC(20)
#define FAULT_AFTER_LONG KP_SEC(90)
#define FAULT_LONG       KP_SEC(30)

/* Those that hurt every node, or an eighth of them, during the window. */
#define FAULT_ALL                                                                                  \
	((unsigned)KP_SIM_FAULT_partition | KP_SIM_FAULT_oneway | KP_SIM_FAULT_nomem |             \
	 KP_SIM_FAULT_bootlate)
#define FAULT_EIGHTH ((unsigned)KP_SIM_FAULT_deaf | KP_SIM_FAULT_fullbox)

kp_time sim_fault_begin(const sim_world *w)
{
	return w->opt.duration / 3;
}

kp_time sim_fault_heal(const sim_world *w)
{
	return sim_fault_begin(w) + w->opt.duration / 6;
}

bool sim_fault_now(const sim_world *w)
{
	return w->now >= sim_fault_begin(w) && w->now < sim_fault_heal(w) && !w->stopping;
}

bool sim_fault_hurts(const sim_world *w, kp_sim_fault fault, uint32_t n)
{
	if (!sim_has(w, fault) || n == 0)
		return false;
	switch (fault) {
	case KP_SIM_FAULT_slow:
	case KP_SIM_FAULT_deaf:
	case KP_SIM_FAULT_fullbox:
		return n % 8 == KP_MIN(3, w->opt.nodes - 1);
	case KP_SIM_FAULT_liars:
		return n % 8 == KP_MIN(5, w->opt.nodes - 1);
	case KP_SIM_FAULT_churn:
		return n % 3 == 1;
	default:
		return true;
	}
}

bool sim_fault_excuses(const sim_world *w, uint32_t n, kp_time at)
{
	kp_time begin = sim_fault_begin(w), heal = sim_fault_heal(w);
	unsigned windows = w->opt.faults & FAULT_ALL;
	if (sim_fault_hurts(w, KP_SIM_FAULT_slow, n))
		return true;
	if (sim_fault_hurts(w, KP_SIM_FAULT_deaf, n) || sim_fault_hurts(w, KP_SIM_FAULT_fullbox, n))
		windows |= FAULT_EIGHTH;
	if (windows == 0)
		return false;
	if (windows & KP_SIM_FAULT_bootlate) {
		heal = windows == KP_SIM_FAULT_bootlate ? begin : heal;
		begin = 0;
	}
	kp_time after = heal - begin > FAULT_LONG ? FAULT_AFTER_LONG : FAULT_AFTER;
	return at + FAULT_BEFORE >= begin && at <= heal + after;
}

static kp_time fault_gap(sim_world *w, kp_time mean)
{
	return mean / 2 + kp_rng_below(&w->rng, mean);
}

static void fault_plan_churn(sim_world *w)
{
	for (uint32_t n = 1; n < w->opt.nodes; n++)
		if (sim_fault_hurts(w, KP_SIM_FAULT_churn, n))
			sim_at(w, FAULT_WARMUP(w) + kp_rng_below(&w->rng, KP_SEC(20)),
			       (sim_event){.kind = SIM_LEAVE, .node = n});
}

void sim_fault_plan(sim_world *w)
{
	static const struct {
		kp_sim_fault fault;
		sim_kind kind;
	} repeated[] = {{KP_SIM_FAULT_stall, SIM_STALL},
	                {KP_SIM_FAULT_reset, SIM_RESET},
	                {KP_SIM_FAULT_crash, SIM_CRASH_ANY},
	                {KP_SIM_FAULT_vanish, SIM_VANISH}};
	if (w->opt.broken == KP_SIM_BREAK_idle)
		return;
	for (size_t i = 0; i < KP_COUNT_OF(repeated); i++)
		if (sim_has(w, repeated[i].fault))
			sim_at(w, FAULT_WARMUP(w), (sim_event){.kind = repeated[i].kind});
	if (sim_has(w, KP_SIM_FAULT_bootdown))
		sim_at(w, w->opt.duration / 2,
		       (sim_event){.kind = SIM_CRASH, .node = 0, .life = 1, .arg = 1});
	if (sim_has(w, KP_SIM_FAULT_churn))
		fault_plan_churn(w);
	if (w->opt.broken == KP_SIM_BREAK_stale)
		sim_at(w, w->opt.duration / 2, (sim_event){.kind = SIM_LOSE_EP});
}

/* A random open endpoint; UINT32_MAX when some draws found none. */
static uint32_t fault_endpoint(sim_world *w)
{
	for (int tries = 0; w->n_eps > 0 && tries < 64; tries++) {
		uint32_t i = (uint32_t)kp_rng_below(&w->rng, w->n_eps);
		if (w->eps[i].open && w->eps[w->eps[i].other].open)
			return i;
	}
	return UINT32_MAX;
}

static void fault_stall(sim_world *w)
{
	uint32_t ep = fault_endpoint(w);
	if (ep != UINT32_MAX) {
		w->eps[ep].stalled_until = w->now + KP_SEC(1) + kp_rng_below(&w->rng, KP_SEC(2));
		w->struck |= KP_SIM_FAULT_stall;
	}
	sim_at(w, w->now + fault_gap(w, KP_MS(500)), (sim_event){.kind = SIM_STALL});
}

static void fault_reset(sim_world *w)
{
	uint32_t ep = fault_endpoint(w);
	if (ep != UINT32_MAX) {
		uint32_t n = w->eps[ep].node;
		kp_id id = w->eps[ep].id;
		sim_link_cut(w, ep);
		kp_engine_on_closed(w->nodes[n].engine, w->now, id, KP_E_UNREACHABLE);
		sim_node_pump(w, n);
		w->struck |= KP_SIM_FAULT_reset;
	}
	sim_at(w, w->now + fault_gap(w, KP_SEC(1)), (sim_event){.kind = SIM_RESET});
}

/* Any but the bootnode, which has a fault of its own. */
static void fault_crash_any(sim_world *w, const sim_event *ev)
{
	bool silent = ev->kind == SIM_VANISH;
	uint32_t n = 1 + (uint32_t)kp_rng_below(&w->rng, w->opt.nodes - 1);
	if (w->nodes[n].engine != NULL && !w->nodes[n].leaving) {
		sim_node_crash(w, n, silent);
		sim_at(w, w->now + (silent ? KP_SEC(60) : KP_SEC(3)),
		       (sim_event){.kind = SIM_START, .node = n});
		w->struck |= (unsigned)(silent ? KP_SIM_FAULT_vanish : KP_SIM_FAULT_crash);
	}
	sim_at(w, w->now + fault_gap(w, silent ? KP_SEC(20) : KP_SEC(5)),
	       (sim_event){.kind = ev->kind});
}

/* Stays away 5 to 15 s, then stays 15 to 45 s. */
static void fault_leave(sim_world *w, const sim_event *ev)
{
	uint32_t n = ev->node;
	kp_time away = KP_SEC(5) + kp_rng_below(&w->rng, KP_SEC(10));
	if (w->nodes[n].engine != NULL && !w->nodes[n].leaving) {
		w->struck |= KP_SIM_FAULT_churn;
		if (kp_rng_below(&w->rng, 2) == 0)
			sim_node_crash(w, n, false);
		else
			sim_node_stop(w, n);
	}
	sim_at(w, w->now + away, (sim_event){.kind = SIM_START, .node = n});
	sim_at(w, w->now + away + KP_SEC(15) + kp_rng_below(&w->rng, KP_SEC(30)),
	       (sim_event){.kind = SIM_LEAVE, .node = n});
}

/* KP_SIM_BREAK_stale: what a host must never do. */
static void fault_lose_endpoint(sim_world *w)
{
	const sim_node *node = &w->nodes[1];
	for (uint32_t slot = 0; slot < node->n_eps; slot++)
		if (node->eps[slot] != UINT32_MAX)
			sim_link_drop(w, node->eps[slot]);
}

void sim_fault_run(sim_world *w, const sim_event *ev)
{
	switch (ev->kind) {
	case SIM_STALL:
		fault_stall(w);
		break;
	case SIM_RESET:
		fault_reset(w);
		break;
	case SIM_CRASH_ANY:
	case SIM_VANISH:
		fault_crash_any(w, ev);
		break;
	case SIM_LEAVE:
		fault_leave(w, ev);
		break;
	case SIM_LOSE_EP:
		fault_lose_endpoint(w);
		break;
	default: /* SIM_CRASH: of the bootnode */
		w->nodes[ev->node].dead = ev->arg != 0;
		sim_node_crash(w, ev->node, false);
		w->struck |= KP_SIM_FAULT_bootdown;
		break;
	}
}
