/* The deterministic simulator: whole engines under a virtual clock, joined by byte streams with
 * latency, bandwidth and faults. One seed decides everything; the same options give the same trace
 * hash. A host of engine/port.h beside rt/, without threads, sockets or clocks. */
#ifndef KP_SIM_SIM_H
#define KP_SIM_SIM_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, bit, what it does) */
#define KP_SIM_FAULTS(X)                                                                           \
	X(split, 1u, "reads are cut at random, down to one byte")                                  \
	X(stall, 2u, "random connections stand still for 1 to 3 s")                                \
	X(reset, 4u, "random connections are reset, about one a second")                           \
	X(partition, 8u, "the network is cut in two for a sixth of the run, then heals")           \
	X(oneway, 16u, "as partition, but bytes pass in one direction")                            \
	X(crash, 32u, "every 5 s a node crashes, and returns 3 s later on another port")           \
	X(bootdown, 64u, "the bootnode dies for good at half time")                                \
	X(jobs, 128u, "signature jobs take up to 50 ms and end in any order")                      \
	X(skew, 256u, "wall clocks differ by up to an hour")

typedef enum kp_sim_fault {
#define KP_SIM_FAULT_ENUM(name, bit, text) KP_SIM_FAULT_##name = (bit),
	KP_SIM_FAULTS(KP_SIM_FAULT_ENUM)
#undef KP_SIM_FAULT_ENUM
} kp_sim_fault;

typedef struct kp_sim_options {
	uint64_t seed;
	unsigned nodes;   /* the first is everyone's bootnode; 2 to 5,000 */
	kp_time duration; /* of virtual time; joining takes the first quarter */
	double rate;      /* messages a second, all nodes together */
	size_t size;      /* bytes of a message, at least 16 */
	unsigned faults;  /* KP_SIM_FAULT_* */
	bool memo_verify; /* a signature once verified by any node is not computed again */
} kp_sim_options;

typedef struct kp_sim_report {
	uint64_t published, expected,
	        delivered;     /* messages; pairs of message and node that count */
	double delivery_ratio; /* delivered / expected */
	double latency_ms_p50, latency_ms_p90, latency_ms_p99, latency_ms_max;
	double duplicates_per_message; /* further copies received, per node and message */
	uint64_t bytes;                /* put on the wire by all nodes */
	double conns_mean;
	unsigned mesh_min, mesh_max;
	double mesh_mean;
	uint64_t events; /* steps of the simulation */
	uint64_t trace_hash;
	/* The first violated invariant, "" when all held. */
	char violation[200];
} kp_sim_report;

kp_sim_options kp_sim_options_default(void);

/* "split,reset" into bits. KP_E_INVAL: *bad is the first name that is no fault. "" and "none" = 0.
 */
kp_err kp_sim_parse_faults(kp_slice list, unsigned *faults, kp_slice *bad);

/* Runs to the end and checks: nothing delivered that was not published, at most once per node, mesh
 * within its bounds, all memory back after the last node has stopped. KP_E_INVAL: an option is out
 * of range (report->violation says which), KP_E_NOMEM, KP_E_INTERNAL: an invariant was violated. */
kp_err kp_sim_run(const kp_sim_options *options, kp_sim_report *report);

#ifdef __cplusplus
}
#endif
#endif
