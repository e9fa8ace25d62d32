/* The attacks of the GossipSub 1.1 paper on a network of routers, each with and without scoring. A
 * scenario is a name, a sentence and a function of (seed, score mode): whoever lists and runs
 * scenarios needs no more. */
#ifndef KP_TEST_GS_SIM_ATTACKS_H
#define KP_TEST_GS_SIM_ATTACKS_H

#include "gs_sim.h"

struct AttackResult {
	SimCount all;   /* honest messages at honest nodes, from the attack on */
	SimCount after; /* the same in the last part of the run: what the defence is worth */
	unsigned attackers_in_mesh = 0; /* memberships in honest meshes at the end */
	uint64_t served = 0;            /* IWANTs, PRUNEs, checked signatures: work done for them */
	double worst_honest = 0; /* the lowest score that an honest node ever had at another */
	uint64_t honest_graylisted = 0; /* moments at which one honest node shut out another */
	uint64_t hash = 0;
};

struct AttackScenario {
	const char *name, *what;
	AttackResult (*run)(uint64_t seed, kp_score_mode scoring);
};

extern const AttackScenario attack_scenarios[];
extern const unsigned attack_scenarios_n;

/* For a topic of about five messages a second. */
kp_gs_params attack_params(kp_score_mode scoring);

/* The lowest score that any of the nodes has at another of them. */
double sim_worst_score(GsSim &sim);

#endif
