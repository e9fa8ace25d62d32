/* The deterministic simulator: whole engines under a virtual clock, joined by byte streams with
 * latency, bandwidth and faults. One seed decides everything; the same options give the same trace
 * hash. A host of engine/port.h beside rt/, without threads, sockets or clocks. */
#ifndef KP_SIM_SIM_H
#define KP_SIM_SIM_H

#include "base/err.h"
#include "base/slice.h"
#include "base/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, bit, what it does). A window is the sixth of the run that begins at its first third; "an
 * eighth of the nodes" is node 3 and every eighth after it. */
#define KP_SIM_FAULTS(X)                                                                           \
	X(split, 1u << 0, "reads are cut at random, down to one byte")                             \
	X(stall, 1u << 1, "random connections stand still for 1 to 3 s")                           \
	X(reset, 1u << 2, "random connections are reset, about one a second")                      \
	X(partition, 1u << 3, "the network is cut in two for the window, then heals")              \
	X(oneway, 1u << 4, "as partition, but bytes pass in one direction")                        \
	X(crash, 1u << 5, "every 5 s a node crashes, and returns 3 s later on another port")       \
	X(bootdown, 1u << 6, "the bootnode dies for good at half time")                            \
	X(jobs, 1u << 7, "bursts of messages, whose signature jobs end late and in any order")     \
	X(skew, 1u << 8, "wall clocks differ by up to an hour")                                    \
	X(slow, 1u << 9, "an eighth of the nodes has lines of 256 kbit/s")                         \
	X(deaf, 1u << 10, "an eighth of the nodes reads nothing during the window")                \
	X(vanish, 1u << 11, "every 20 s a node loses its power, and returns 60 s later")           \
	X(meet, 1u << 12, "all start at once, and neighbours dial each other")                     \
	X(nomem, 1u << 13, "every N-th allocation fails at every node during the window")          \
	X(fullbox, 1u << 14, "applications of an eighth take nothing during the window")           \
	X(churn, 1u << 15, "a third of the nodes comes and goes, by crash or with a goodbye")      \
	X(bootlate, 1u << 16, "the bootnode is down until the window begins")                      \
	X(liars, 1u << 17, "an eighth of the nodes answers Kademlia with lies")                    \
	X(partial, 1u << 18, "writes leave in pieces; what has not left when one ends is lost")

typedef enum kp_sim_fault {
#define KP_SIM_FAULT_ENUM(name, bit, text) KP_SIM_FAULT_##name = (bit),
	KP_SIM_FAULTS(KP_SIM_FAULT_ENUM)
#undef KP_SIM_FAULT_ENUM
} kp_sim_fault;

/* X(name, what the attackers do): the attacks of the GossipSub 1.1 paper. All but
 * the first are on half of the honest nodes each. */
#define KP_SIM_ATTACKS(X)                                                                          \
	X(eclipse, "all connect to node 1 before an honest node does, and pass nothing on")        \
	X(coldboot, "they are there before the bootnode is, and pass nothing on")                  \
	X(covertflash, "they behave, and at one instant all stop to pass anything on")             \
	X(ihavespam, "they promise messages that do not exist")                                    \
	X(graftflood, "they graft without end, in back-off or not")                                \
	X(invalidspam, "they send forged messages")

typedef enum kp_sim_attack {
	KP_SIM_ATTACK_none,
#define KP_SIM_ATTACK_ENUM(name, text) KP_SIM_ATTACK_##name,
	KP_SIM_ATTACKS(KP_SIM_ATTACK_ENUM)
#undef KP_SIM_ATTACK_ENUM
} kp_sim_attack;

/* How honest nodes keep scores. X(name, what is counted) */
#define KP_SIM_SCORES(X)                                                                           \
	X(abuse, "abuse alone, as by default")                                                     \
	X(off, "nothing")                                                                          \
	X(full, "everything, with P3 for a topic of five messages a second")                       \
	X(rust, "what rust-libp2p does by default: the first misbehaviour costs")

typedef enum kp_sim_score {
#define KP_SIM_SCORE_ENUM(name, text) KP_SIM_SCORE_##name,
	KP_SIM_SCORES(KP_SIM_SCORE_ENUM)
#undef KP_SIM_SCORE_ENUM
	        KP_SIM_SCORE_COUNT
} kp_sim_score;

/* What a run is judged by, besides the invariants that hold in every run. */
typedef struct kp_sim_expect {
	double delivery;   /* at least this share of the deliveries that count; 0 = not judged */
	double latency_ms; /* none of them later than this; 0 = not judged */
	/* the same of the run's last quarter: the share, and what 99 of 100 are in time for */
	double late_delivery, late_ms_p99;
	double fair;      /* honest nodes' scores at each other are never below; 0 = not judged */
	unsigned place_s; /* seconds that an attacker holds a place in an honest mesh, once it
	                     attacks; 0 = not judged */
	uint64_t memory;  /* bytes that no node's allocator ever passes; 0 = not judged */
	bool mesh;        /* degree in [D_low, D_high], but for what two heartbeats repair */
	/* this share of honest nodes that ask Kademlia for another is told where it lives, be it
	 * among lies; 0 = not judged */
	double found;
	bool struck; /* each fault of the run, and its attack, took effect at least once */
} kp_sim_expect;

/* Something broken on purpose at one node, so that a test sees a checker fail. X(name, what) */
#define KP_SIM_BREAKS(X)                                                                           \
	X(lose, "every tenth message is not handed to the application")                            \
	X(late, "messages are handed over 30 s late")                                              \
	X(twice, "every message is handed over twice")                                             \
	X(invent, "a message is handed over that nobody published")                                \
	X(own, "the author is handed its own message")                                             \
	X(leak, "a block is kept when the node ends")                                              \
	X(socket, "a connection is not closed when the engine says so")                            \
	X(stale, "a connection is closed behind the engine's back")                                \
	X(stuck, "the engine is not told that a connection has closed")                            \
	X(overmesh, "the node is configured for a larger mesh")                                    \
	X(undermesh, "the node is configured to do without a mesh")                                \
	X(hoard, "the inbox of a full application has no limit")                                   \
	X(idle, "no fault strikes")                                                                \
	X(believe, "an honest peer is taken for an invented one")                                  \
	X(mistake, "an address is taken for another peer's")                                       \
	X(indulge, "the node keeps no scores")                                                     \
	X(slander, "the node's application speaks ill of honest peers")                            \
	X(same, "nobody keeps scores, with scoring as without")                                    \
	X(hash, "the second run of a pair has another seed")

typedef enum kp_sim_break {
	KP_SIM_BREAK_none,
#define KP_SIM_BREAK_ENUM(name, text) KP_SIM_BREAK_##name,
	KP_SIM_BREAKS(KP_SIM_BREAK_ENUM)
#undef KP_SIM_BREAK_ENUM
} kp_sim_break;

typedef struct kp_sim_options {
	uint64_t seed;
	unsigned nodes;      /* the first is everyone's bootnode; 2 to 5,000 */
	kp_time duration;    /* of virtual time; joining takes the first quarter */
	double rate;         /* messages a second, all nodes together */
	size_t size;         /* bytes of a message, at least 16 */
	unsigned faults;     /* KP_SIM_FAULT_* */
	unsigned fail_every; /* the N of nomem, at least 1 */
	unsigned max_conns;  /* of a node; 0 = as by default. Few: not everybody knows everybody */
	kp_sim_attack attack;
	unsigned attackers; /* the last of the nodes; only the others are judged */
	kp_sim_score score; /* of the others */
	bool memo_verify;   /* a signature once verified by any node is not computed again */
	kp_sim_expect expect;
	kp_sim_break broken;
} kp_sim_options;

/* Of the deliveries that count: pairs of message and node. */
typedef struct kp_sim_figures {
	uint64_t expected, delivered;
	double delivery_ratio; /* delivered / expected */
	double latency_ms_p50, latency_ms_p90, latency_ms_p99, latency_ms_max;
} kp_sim_figures;

typedef struct kp_sim_report {
	uint64_t published;            /* messages */
	kp_sim_figures all, late;      /* late: of messages of the run's last quarter */
	double duplicates_per_message; /* further copies received, per node and message */
	uint64_t bytes;                /* put on the wire by all nodes */
	uint64_t lookups, found;       /* by expect.found: answered, and answered rightly */
	double conns_mean;
	unsigned mesh_min, mesh_max; /* at the end */
	double mesh_mean;
	uint64_t memory_peak; /* of the node that needed most; attackers are not counted */
	kp_stats stats;       /* of all lives of all nodes together, again without them */
	/* in the last quarter: places that attackers had in honest meshes, in the mean, and what
	 * was done for them (promises waited for, grafts refused, signatures checked) */
	double attackers_meshed;
	uint64_t served;
	double worst_honest; /* the lowest score an honest node ever had at another */
	uint64_t events;     /* steps of the simulation */
	uint64_t trace_hash;
	/* The first violated invariant, "" when all held. */
	char violation[200];
} kp_sim_report;

kp_sim_options kp_sim_options_default(void);

/* "split,reset" into bits. KP_E_INVAL: *bad is the first name that is no fault. "" and "none" = 0.
 */
kp_err kp_sim_parse_faults(kp_slice list, unsigned *faults, kp_slice *bad);

/* Runs to the end and checks: nothing delivered that was not published, at most once per node and
 * life, no action for a closed connection, all nodes stop, all sockets closed and all memory back
 * afterwards, and what options->expect asks. KP_E_INVAL: an option is out of range
 * (report->violation says which), KP_E_NOMEM, KP_E_INTERNAL: an invariant was violated. */
kp_err kp_sim_run(const kp_sim_options *options, kp_sim_report *report);

/* The same twice; unequal trace hashes are a violation. */
kp_err kp_sim_run_twice(const kp_sim_options *options, kp_sim_report *report);

/* With an attack: the same without scoring and with each way of it that must end the attack, twice
 * each, into r[score] (a report without events: not run). Judged is that it does end it, and that
 * without it the attack was one. *failed: the way of scoring that a violation is about. */
kp_err kp_sim_run_attack(const kp_sim_options *options, kp_sim_report r[KP_SIM_SCORE_COUNT],
                         kp_sim_score *failed);
const char *kp_sim_score_name(kp_sim_score score);

/* --- scenarios: options under a name (scenario.c) ----------------------------------------------
 */

typedef struct kp_sim_scenario kp_sim_scenario;

const kp_sim_scenario *kp_sim_scenario_at(size_t i); /* NULL past the end */
const kp_sim_scenario *kp_sim_scenario_find(kp_slice name);
const char *kp_sim_scenario_name(const kp_sim_scenario *s);
const char *kp_sim_scenario_text(const kp_sim_scenario *s); /* one line */
kp_sim_options kp_sim_scenario_options(const kp_sim_scenario *s, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
