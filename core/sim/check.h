/* What must hold in every run, and the figures of the report. Knows messages and nodes by number.
 */
#ifndef KP_SIM_CHECK_H
#define KP_SIM_CHECK_H

#include "base/mem.h"
#include "sim/sim.h"

/* One node's copy of one message. */
typedef struct sim_copy {
	uint8_t life;      /* of the node when it was delivered last, + 1; 0 = never */
	float ms, last_ms; /* from publishing to the first delivery, and to that of this life */
} sim_copy;

typedef struct sim_message {
	kp_time at;
	uint32_t from;
	bool sent;        /* the node took it */
	sim_copy *copies; /* by node */
} sim_message;

/* Of deliveries that count. */
typedef struct sim_latencies {
	float *ms;
	uint64_t n, cap;
} sim_latencies;

typedef struct sim_check {
	kp_mem *mem;
	unsigned nodes;
	sim_message *messages;
	uint32_t n, cap;
	sim_latencies all, late;
	kp_time remembered; /* how long a node knows what it has had */
	uint64_t repeats;   /* deliveries of what was remembered */
	char repeat[120];   /* the first of them */
	char violation[200];
} sim_check;

void sim_check_init(sim_check *c, kp_mem *mem, unsigned nodes, kp_time remembered);
void sim_check_fini(sim_check *c);

/* The number of a new message, written into its payload by the caller; UINT32_MAX = out of memory.
 */
uint32_t sim_check_published(sim_check *c, kp_time now, uint32_t from);

/* A node's application got it. life: of the node, so that a restarted one may get it again. */
void sim_check_delivered(sim_check *c, kp_time now, uint32_t node, uint32_t life, uint64_t message);

/* This delivery should have happened: was it in time, and is it there at all? Counts it in r; late:
 * also among those of the run's end. */
void sim_check_expected(sim_check *c, uint32_t node, uint32_t message, bool late,
                        const kp_sim_expect *expect, kp_sim_report *r);

/* Nodes without memory have forgotten so many messages before their time: each may have come again.
 */
void sim_check_repeats(sim_check *c, uint64_t forgotten);

/* The first violation is kept. */
void sim_check_fail(sim_check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* After all sim_check_expected: ratio and percentiles of the report, judged by `expect`. */
void sim_check_figures(sim_check *c, const kp_sim_expect *expect, kp_sim_report *r);

#endif
