/* The faults of a run: when they strike is drawn from the seed before anything happens. */
#include "sim/world.h"

#define FAULT_WARMUP(w) ((w)->opt.duration / 4) /* the network forms in peace */

kp_time sim_fault_begin(const sim_world *w)
{
	return w->opt.duration / 3;
}

kp_time sim_fault_heal(const sim_world *w)
{
	return sim_fault_begin(w) + w->opt.duration / 6;
}

static kp_time fault_gap(sim_world *w, kp_time mean)
{
	return mean / 2 + kp_rng_below(&w->rng, mean);
}

void sim_fault_plan(sim_world *w)
{
	kp_time start = FAULT_WARMUP(w);
	if (sim_has(w, KP_SIM_FAULT_stall))
		sim_at(w, start, (sim_event){.kind = SIM_STALL});
	if (sim_has(w, KP_SIM_FAULT_reset))
		sim_at(w, start, (sim_event){.kind = SIM_RESET});
	if (sim_has(w, KP_SIM_FAULT_crash))
		sim_at(w, start, (sim_event){.kind = SIM_CRASH_ANY});
	if (sim_has(w, KP_SIM_FAULT_bootdown))
		sim_at(w, w->opt.duration / 2,
		       (sim_event){.kind = SIM_CRASH, .node = 0, .life = 1, .arg = 1});
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
	if (ep != UINT32_MAX)
		w->eps[ep].stalled_until = w->now + KP_SEC(1) + kp_rng_below(&w->rng, KP_SEC(2));
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
	}
	sim_at(w, w->now + fault_gap(w, KP_SEC(1)), (sim_event){.kind = SIM_RESET});
}

/* Any but the bootnode, which has a fault of its own. */
static void fault_crash_any(sim_world *w)
{
	uint32_t n = 1 + (uint32_t)kp_rng_below(&w->rng, w->opt.nodes - 1);
	if (w->nodes[n].engine != NULL) {
		sim_node_crash(w, n);
		sim_at(w, w->now + KP_SEC(3), (sim_event){.kind = SIM_START, .node = n});
	}
	sim_at(w, w->now + fault_gap(w, KP_SEC(5)), (sim_event){.kind = SIM_CRASH_ANY});
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
		fault_crash_any(w);
		break;
	default:
		w->nodes[ev->node].dead = ev->arg != 0;
		sim_node_crash(w, ev->node);
		break;
	}
}
