/* The scenarios: networks, faults and what must hold, under names. A new one is a line in the table
 * (docs/simulator.md). */
#include "base/rng.h"
#include "sim/sim.h"

#define MIB ((uint64_t)1024 * 1024)

struct kp_sim_scenario {
	const char *name, *text;
	unsigned nodes, seconds;
	double rate;
	unsigned size, faults;
	double delivery, latency_ms;
	unsigned memory_mib;
	bool mesh;
	void (*draw)(kp_sim_options *o); /* the rest, from o->seed; NULL = nothing to draw */
	kp_sim_attack attack;
};

static void scenario_real_crypto(kp_sim_options *o)
{
	o->memo_verify = false;
}

/* One N a seed: ten seeds in a row are the sweep. */
static void scenario_sweep(kp_sim_options *o)
{
	static const unsigned every[] = {1, 2, 3, 5, 9, 17, 37, 101, 307, 1009};
	o->fail_every = every[o->seed % KP_COUNT_OF(every)];
}

/* Connections to some only, so that the others must be looked for. */
static void scenario_lookups(kp_sim_options *o)
{
	o->max_conns = 24;
	o->expect.found = 0.8;
}

/* No honest node is ever worth less than nothing to another. */
static void scenario_fair(kp_sim_options *o)
{
	o->score = KP_SIM_SCORE_rust;
	o->expect.fair = -1e-9;
}

/* Anything: what the soak script runs for hours. */
static void scenario_mix(kp_sim_options *o)
{
	uint8_t seed[32] = {'m', 'i', 'x'};
	kp_rng rng;
	memcpy(seed + 8, &o->seed, sizeof o->seed);
	kp_rng_init(&rng, seed);
	o->nodes = 4 + (unsigned)kp_rng_below(&rng, 29);
	o->duration = KP_SEC(60 + kp_rng_below(&rng, 300));
	o->rate = 1 + (double)kp_rng_below(&rng, 20);
	o->size = 16 + (size_t)kp_rng_below(&rng, kp_rng_below(&rng, 8) == 0 ? 56000 : 4000);
	o->fail_every = 1 + (unsigned)kp_rng_below(&rng, 1000);
	/* two or three faults meet, rarely many */
	unsigned odds = kp_rng_below(&rng, 8) == 0 ? 2 : 7;
#define SCENARIO_FAULT(name, bit, text)                                                            \
	if (kp_rng_below(&rng, odds) == 0)                                                         \
		o->faults |= (bit);
	KP_SIM_FAULTS(SCENARIO_FAULT)
#undef SCENARIO_FAULT
	/* without a bootnode nobody finds a node that comes back elsewhere */
	if (o->faults & KP_SIM_FAULT_bootdown)
		o->faults &= ~((unsigned)KP_SIM_FAULT_crash | KP_SIM_FAULT_vanish |
		               KP_SIM_FAULT_churn | KP_SIM_FAULT_nomem);
}

/* All but this many nodes attack. */
#define SCENARIO_HONEST 20u

static void scenario_attack(kp_sim_options *o, kp_sim_attack attack)
{
	o->attack = attack;
	o->attackers = o->nodes - SCENARIO_HONEST;
	o->score = KP_SIM_SCORE_full;
	o->expect.delivery = 0.99;
	o->expect.late_delivery = 0.995;
	o->expect.late_ms_p99 = 500;
	o->expect.fair = -80; /* below it they would shut each other out */
	/* P3 judges after 10 s; those who have behaved live on what they have earned */
	o->expect.place_s = attack == KP_SIM_ATTACK_covertflash ? 60 : 15;
}

#define F(name) ((unsigned)KP_SIM_FAULT_##name)
#define A(name) KP_SIM_ATTACK_##name

/* clang-format off */
static const kp_sim_scenario scenarios[] = {
	/* name        nodes  s  rate size  faults  share    ms MiB mesh draw attack */
	{"join2", "two nodes meet and exchange messages",
		2, 60, 10, 1024, 0, 1, 1000, 4, true, NULL, A(none)},
	{"join20", "twenty nodes that know only a bootnode find each other",
		20, 60, 10, 1024, 0, 1, 1000, 8, true, NULL, A(none)},
	{"join200", "the same with two hundred, and every signature checked at every node",
		200, 30, 10, 1024, 0, 1, 1000, 32, true, scenario_real_crypto, A(none)},
	{"bootdown", "the bootnode dies; the others go on and stay together",
		20, 90, 10, 1024, F(bootdown), 1, 5000, 8, true, NULL, A(none)},
	{"bootlate", "the bootnode is down when the others start, and is found later",
		20, 180, 10, 1024, F(bootlate), 1, 5000, 8, true, NULL, A(none)},
	{"partition", "the network is cut in two for 50 s and grows together again",
		20, 300, 5, 1024, F(partition), 1, 5000, 8, true, NULL, A(none)},
	{"oneway", "for 50 s bytes pass between two halves in one direction only",
		20, 300, 5, 1024, F(oneway), 1, 5000, 8, true, NULL, A(none)},
	{"slow", "lines of 256 kbit/s at an eighth of the nodes delay nobody else",
		16, 60, 20, 4096, F(slow), 1, 5000, 16, true, NULL, A(none)},
	{"deaf", "an eighth of the nodes reads nothing for 50 s: nobody else suffers",
		16, 300, 5, 4096, F(deaf), 1, 5000, 16, true, NULL, A(none)},
	{"orphans", "the same after the bootnode died: they find their peers by themselves",
		16, 300, 2, 1024, F(deaf) | F(bootdown), 1, 5000, 16, true, NULL, A(none)},
	{"crash", "a node crashes every 5 s and returns on another port",
		20, 120, 10, 1024, F(crash), 0.999, 0, 8, true, NULL, A(none)},
	{"rejoin", "nodes crash and return, and under rust's scores none is blamed for it",
		20, 120, 10, 1024, F(crash), 0.999, 0, 8, true, scenario_fair, A(none)},
	{"halfopen", "nodes lose their power: connections stand half open until noticed",
		20, 300, 5, 1024, F(vanish), 0.999, 0, 8, true, NULL, A(none)},
	{"meet", "neighbours dial each other at the same instant",
		16, 60, 10, 1024, F(meet), 1, 1000, 8, true, NULL, A(none)},
	{"jobs", "bursts of messages, whose signature jobs end late and in any order",
		20, 60, 50, 256, F(jobs), 1, 5000, 8, true, NULL, A(none)},
	{"nomem", "every N-th allocation fails for a while; N is swept by the seed",
		12, 150, 10, 1024, F(nomem), 1, 5000, 8, true, scenario_sweep, A(none)},
	{"fullbox", "an eighth of the applications takes no event for a while",
		16, 90, 20, 1024, F(fullbox), 1, 5000, 8, true, NULL, A(none)},
	{"ragged", "reads are cut anywhere, connections stand still",
		16, 70, 10, 1024, F(split) | F(stall), 1, 10000, 8, true, NULL, A(none)},
	{"reset", "connections are reset, one a second",
		16, 80, 10, 1024, F(reset), 0.999, 0, 8, true, NULL, A(none)},
	{"torn", "writes leave in pieces, and are torn where a connection is reset",
		16, 80, 10, 4096, F(partial) | F(reset), 0.999, 0, 12, true, NULL, A(none)},
	{"skew", "wall clocks differ by up to an hour",
		20, 60, 10, 1024, F(skew), 1, 1000, 8, true, NULL, A(none)},
	{"churn", "a third of two hundred nodes comes and goes",
		200, 50, 5, 256, F(churn), 0.999, 0, 32, true, NULL, A(none)},
	{"poison", "an eighth of the nodes fills Kademlia with invented and misplaced peers",
		32, 120, 5, 1024, F(liars), 1, 5000, 16, true, NULL, A(none)},
	{"lookup", "the same, and each is connected to some only: the honest find each other",
		32, 80, 2, 256, F(liars), 0.9, 0, 16, false, scenario_lookups, A(none)},
	{"eclipse", "forty attackers fill one node's mesh first, and pass nothing on",
		60, 80, 5, 256, 0, 0, 0, 16, false, NULL, A(eclipse)},
	{"coldboot", "attackers are there before the bootnode is, and pass nothing on",
		44, 84, 5, 256, 0, 0, 0, 16, false, NULL, A(coldboot)},
	{"covertflash", "attackers behave at first, then all stop passing anything on",
		44, 100, 5, 256, 0, 0, 0, 16, false, NULL, A(covertflash)},
	{"ihavespam", "five attackers promise messages that do not exist",
		25, 50, 5, 256, 0, 0, 0, 16, false, NULL, A(ihavespam)},
	{"graftflood", "five attackers graft without end, in back-off or not",
		25, 50, 5, 256, 0, 0, 0, 16, false, NULL, A(graftflood)},
	{"invalidspam", "five attackers send forged messages",
		25, 50, 5, 256, 0, 0, 0, 16, false, NULL, A(invalidspam)},
	{"mix", "size, load and faults are all drawn from the seed",
		0, 0, 0, 0, 0, 0.98, 0, 48, false, scenario_mix, A(none)},
};
/* clang-format on */

#undef F
#undef A

const kp_sim_scenario *kp_sim_scenario_at(size_t i)
{
	return i < KP_COUNT_OF(scenarios) ? &scenarios[i] : NULL;
}

const kp_sim_scenario *kp_sim_scenario_find(kp_slice name)
{
	for (size_t i = 0; i < KP_COUNT_OF(scenarios); i++)
		if (kp_slice_eq_str(name, scenarios[i].name))
			return &scenarios[i];
	return NULL;
}

const char *kp_sim_scenario_name(const kp_sim_scenario *s)
{
	return s->name;
}

const char *kp_sim_scenario_text(const kp_sim_scenario *s)
{
	return s->text;
}

kp_sim_options kp_sim_scenario_options(const kp_sim_scenario *s, uint64_t seed)
{
	kp_sim_options o = kp_sim_options_default();
	o.seed = seed;
	o.nodes = s->nodes;
	o.duration = KP_SEC(s->seconds);
	o.rate = s->rate;
	o.size = s->size;
	o.faults = s->faults;
	o.expect.delivery = s->delivery;
	o.expect.latency_ms = s->latency_ms;
	o.expect.memory = s->memory_mib * MIB;
	o.expect.mesh = s->mesh;
	o.expect.struck = s->draw != scenario_mix;
	if (s->attack != KP_SIM_ATTACK_none)
		scenario_attack(&o, s->attack);
	if (s->draw != NULL)
		s->draw(&o);
	return o;
}
