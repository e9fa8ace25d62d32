/* Parameters of peer scoring, named as go-libp2p-pubsub and rust-libp2p name them, so that a set
 * published for either can be taken over as it is. Weights of penalties are negative or zero,
 * decays between 0 and 1 exclusive; kp_score_params_check says which rule is broken. */
#ifndef KP_SVC_GOSSIPSUB_SCORE_PARAMS_H
#define KP_SVC_GOSSIPSUB_SCORE_PARAMS_H

#include "wire/peer_id.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kp_score_mode {
	KP_SCORE_OFF,
	KP_SCORE_ABUSE, /* only what no honest peer does: P4 and P7; and P5, which is our own word
	                 */
	KP_SCORE_FULL
} kp_score_mode;

/* Whose way of counting broken promises: a batch of IWANT ids may break one (go), or each id may
 * (rust). */
typedef enum kp_score_promises { KP_PROMISES_BATCH, KP_PROMISES_EACH } kp_score_promises;

typedef struct kp_score_topic_params {
	double topic_weight;
	double time_in_mesh_weight, time_in_mesh_cap; /* P1; the cap is in quanta */
	kp_time time_in_mesh_quantum_ns;
	double first_weight, first_decay, first_cap; /* P2: first message deliveries */
	double mesh_weight, mesh_decay, mesh_cap;    /* P3: mesh message deliveries */
	double mesh_threshold;
	kp_time mesh_window_ns, mesh_activation_ns;
	double failure_weight, failure_decay; /* P3b: mesh failure penalty */
	double invalid_weight, invalid_decay; /* P4: invalid message deliveries */
} kp_score_topic_params;

typedef struct kp_score_topic {
	kp_slice name;
	kp_score_topic_params params;
} kp_score_topic;

typedef struct kp_score_app {
	kp_peer_id peer;
	double score;
} kp_score_app;

/* Addresses that share a prefix of `bits` bits. */
typedef struct kp_score_net {
	uint8_t ip[16]; /* the first ip_n bytes, network order */
	uint8_t ip_n;   /* 4 or 16 */
	uint8_t bits;
} kp_score_net;

typedef struct kp_score_params {
	kp_score_mode mode;
	double gossip_threshold, publish_threshold, graylist_threshold;
	double accept_px_threshold, opportunistic_graft_threshold;
	double topic_score_cap; /* 0 = none */
	double app_weight;      /* P5 */
	double ip_weight;       /* P6 */
	unsigned ip_threshold;  /* peers on one address */
	bool ip_private;        /* private addresses count too */
	double behaviour_weight, behaviour_threshold, behaviour_decay; /* P7 */
	double slow_weight, slow_threshold, slow_decay;                /* rust's slow peer term */
	kp_time decay_interval_ns, retain_ns;
	double decay_to_zero;
	kp_score_promises promises;
	kp_score_topic_params topic; /* of every topic that has none of its own */
	/* The rest is copied when a router is made. */
	const kp_score_topic *topics;
	size_t n_topics;
	const kp_score_app *apps;
	size_t n_apps;
	const kp_score_net *exempt; /* P6 does not see them */
	size_t n_exempt;
} kp_score_params;

kp_score_params kp_score_params_default(void);

/* Weights of what the mode leaves out become 0. */
void kp_score_params_apply_mode(kp_score_params *p);
void kp_score_topic_apply_mode(kp_score_mode mode, kp_score_topic_params *p);

/* NULL, or a static text that says which rule is broken. */
const char *kp_score_params_check(const kp_score_params *p);

#ifdef __cplusplus
}
#endif
#endif
