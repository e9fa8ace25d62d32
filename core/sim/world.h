/* The inside of a simulation: the clock, the heap of events, and the tables of nodes and endpoints.
 * What a node or a link does with an event stands in node.c and link.c. */
#ifndef KP_SIM_WORLD_H
#define KP_SIM_WORLD_H

#include "base/rng.h"
#include "engine/port.h"
#include "sim/check.h"
#include "sim/sim.h"

typedef enum sim_kind {
	SIM_TICK,      /* node: its deadline has come */
	SIM_ACCEPT,    /* ep: the connection arrives at its node */
	SIM_DIALED,    /* ep: the answer to its dial; arg = error */
	SIM_READ,      /* ep: bytes may be ready */
	SIM_WRITTEN,   /* ep: its write has left */
	SIM_LOST,      /* ep: reset */
	SIM_JOB,       /* node: job is done */
	SIM_PUBLISH,   /* the next message of the load */
	SIM_START,     /* node: begins (again) */
	SIM_CRASH,     /* node: dies; arg = it stays dead */
	SIM_CRASH_ANY, /* a random node dies */
	SIM_VANISH,    /* a random node loses its power: nobody is told */
	SIM_LEAVE,     /* node: one of the third that comes and goes */
	SIM_STALL,     /* a random endpoint stands still */
	SIM_RESET,     /* a random connection is reset */
	SIM_LOSE_EP,   /* KP_SIM_BREAK_stale */
	SIM_ATTACK,    /* attackers say it again; `eclipse`: honest nodes find the target */
	SIM_SAMPLE     /* a second is over: look at meshes, tables, inboxes */
} sim_kind;

typedef struct sim_event {
	kp_time at;
	uint64_t seq; /* ties in order of creation */
	sim_kind kind;
	uint32_t node, life; /* of which incarnation of the node */
	uint32_t ep;
	int64_t arg;
	kp_job *job;
} sim_event;

struct sim_chunk; /* link.c: bytes under way */

/* One end of a connection. Never reused, so that an index is also a name. */
typedef struct sim_ep {
	uint32_t node, life, other;    /* other = index of the far end */
	kp_id id;                      /* the engine's name for it, at `node` */
	struct sim_chunk *head, *tail; /* on the way to this end, or arrived and unread */
	uint64_t queued;               /* bytes of them */
	kp_time busy_until;            /* this end's sending side */
	kp_time stalled_until;         /* nothing is delivered here before */
	bool open;                     /* the node knows it */
	bool gone;                     /* the node has closed or lost it */
	bool reading, read_set;        /* read_set: a READ event is in the heap */
	bool writing, write_held; /* a WRITE awaits its WRITTEN; held until the far end reads */
	bool accepted;
} sim_ep;

struct sim_liar; /* liar.c: a node's false Kademlia */

typedef struct sim_node {
	kp_engine *engine; /* NULL while down */
	struct sim_liar *liar;
	kp_pool *pool;
	kp_crypto *crypto;
	uint32_t life; /* incarnations so far */
	kp_addr addr;  /* where it listens */
	kp_peer_id peer;
	uint8_t seed[32]; /* of its identity: the same in every life */
	kp_time tick_at, up_since, down_since;
	bool accept_paused;
	bool dead;     /* stays down */
	bool leaving;  /* says goodbye and will be freed */
	bool silent;   /* lost its power: the machine answers nobody */
	uint32_t *eps; /* by connection slot */
	uint32_t n_eps;
	uint64_t bytes;
	uint64_t memory_peak; /* of former lives */
	int64_t skew_ns;
	kp_event *inbox, *inbox_tail; /* what the application has not taken yet */
	unsigned n_inbox;
	unsigned mesh_off; /* samples in a row whose mesh was out of bounds */
} sim_node;

typedef struct sim_world {
	kp_sim_options opt;
	kp_mem mem;
	kp_rng rng;
	kp_time now;
	uint64_t seq, steps, hash;
	sim_event *heap;
	uint32_t n_heap, cap_heap;
	sim_node *nodes;
	sim_ep *eps;
	uint32_t n_eps, cap_eps;
	kp_verify_memo *memo;
	sim_check check;
	kp_stats stats;  /* of all former lives */
	unsigned struck; /* KP_SIM_FAULT_* that took effect */
	bool attacked;   /* as did the attack */
	/* sybil.c: seconds in a row that an attacker (column) has been in the mesh of an honest
	 * node (row); places held in the samples of the last quarter; done for attackers before it
	 */
	uint8_t *held;
	uint64_t meshed, samples, served_before;
	double worst_honest;
	uint64_t asked, answered, found; /* lookups, with expect.found */
	int64_t right;                   /* the lookup whose answer has named the right address */
	bool stopping;                   /* no node starts and no fault strikes any more */
	kp_err failed;                   /* out of memory somewhere */
} sim_world;

/* world.c */
void sim_at(sim_world *w, kp_time at, sim_event ev);
void sim_mix(sim_world *w, uint64_t a, uint64_t b); /* into the trace hash */
bool sim_has(const sim_world *w, kp_sim_fault fault);
bool sim_broken(const sim_world *w, kp_sim_break what, uint32_t n); /* at this node */
uint32_t sim_honest(const sim_world *w); /* the nodes from this one on are attackers */
kp_time sim_late(const sim_world *w);    /* when the last quarter of the run begins */

/* node.c */
#define SIM_TOPIC "sim"

/* cfg takes key = value; the values of the simulator are right. */
kp_err sim_node_set(kp_config *cfg, const char *key, const char *value);
/* As a dialable text: where node n is in its first life. */
#define SIM_ADDRESS_MAX 160u
void sim_node_address_text(const sim_world *w, uint32_t n, char out[SIM_ADDRESS_MAX]);
kp_err sim_node_start(sim_world *w, uint32_t n);
/* Dies without a word to its own application; `silent`: nor do the far ends hear of it. */
void sim_node_crash(sim_world *w, uint32_t n, bool silent);
void sim_node_stop(sim_world *w, uint32_t n); /* gracefully; the loop goes on until it has */
void sim_node_pump(sim_world *w, uint32_t n); /* does all actions, re-arms the tick */
void sim_node_publish(sim_world *w, uint32_t n, uint32_t message); /* to be pumped */
void sim_node_free(sim_world *w, uint32_t n);                      /* after it has stopped */
void sim_node_take(sim_world *w, uint32_t n); /* the application empties its inbox */

/* link.c */
kp_err sim_link_dial(sim_world *w, uint32_t n, kp_id id, const kp_addr *to);
void sim_link_accept(sim_world *w, uint32_t ep);
void sim_link_dialed(sim_world *w, uint32_t ep, kp_err err);
void sim_link_write(sim_world *w, uint32_t ep, kp_slice data);
void sim_link_written(sim_world *w, uint32_t ep);
void sim_link_finish(sim_world *w, uint32_t ep); /* end of file to the far end */
void sim_link_close(sim_world *w, uint32_t ep); /* this end is gone; the far end sees end of file */
void sim_link_cut(sim_world *w, uint32_t ep);   /* this end is gone; the far end sees a reset */
void sim_link_drop(sim_world *w, uint32_t ep);  /* this end is gone; the far end sees nothing */
void sim_link_lost(sim_world *w, uint32_t ep);
void sim_link_read(sim_world *w, uint32_t ep);
void sim_link_want_read(sim_world *w, uint32_t ep);
void sim_link_free(sim_world *w, uint32_t ep);
sim_ep *sim_ep_of(sim_world *w, uint32_t n, kp_id id, uint32_t *index); /* NULL = none */
bool sim_link_cut_off(sim_world *w, uint32_t from, uint32_t to);        /* by a partition, now */

/* fault.c */
void sim_fault_plan(sim_world *w);
void sim_fault_run(sim_world *w, const sim_event *ev);
kp_time sim_fault_begin(const sim_world *w); /* of the window */
kp_time sim_fault_heal(const sim_world *w);  /* its end */
bool sim_fault_now(const sim_world *w);      /* within it */
/* Is node n one of those that `fault` hurts (whenever it does)? */
bool sim_fault_hurts(const sim_world *w, kp_sim_fault fault, uint32_t n);
/* Is a message of this time exempt at this node, because a fault may keep it away? */
bool sim_fault_excuses(const sim_world *w, uint32_t n, kp_time at);

/* liar.c */
kp_err sim_liar_new(sim_world *w, uint32_t n); /* before the engine starts */
void sim_liar_free(sim_world *w, uint32_t n);

/* sybil.c: attackers, and what they do to the honest */
bool sim_sybil_is(const sim_world *w, uint32_t n);
kp_err sim_sybil_plan(sim_world *w);
kp_err sim_sybil_config(const sim_world *w, kp_config *cfg, uint32_t n);
void sim_sybil_started(sim_world *w, uint32_t n);
void sim_sybil_validate(sim_world *w, uint32_t n, int64_t token); /* a message awaits its verdict */
void sim_sybil_act(sim_world *w);                                 /* SIM_ATTACK */
kp_time sim_sybil_delay(sim_world *w, uint32_t n); /* of a node's start, because of the attack */
/* The attackers that an honest node is told of to join the network by, k from 0 up; UINT32_MAX past
 * the end. */
uint32_t sim_sybil_known(const sim_world *w, uint32_t n, uint32_t k);
/* Is a message of `from` at node n what the attack is about? */
bool sim_sybil_measured(const sim_world *w, uint32_t from, uint32_t n);
void sim_sybil_sample(sim_world *w);
void sim_sybil_end(sim_world *w, kp_sim_report *r); /* while all nodes are still up */

/* judge.c */
void sim_judge_sample(sim_world *w);
void sim_judge_found(sim_world *w, const kp_event *ev); /* a lookup's answer */
void sim_judge_end(sim_world *w, kp_sim_report *r);     /* while all nodes are still up */
void sim_judge_stopped(sim_world *w, kp_sim_report *r);

#endif
