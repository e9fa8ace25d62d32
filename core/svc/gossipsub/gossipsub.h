/* GossipSub 1.0 to 1.2 and floodsub (libp2p specs, pubsub/): the router's interface to the engine.
 * Its inside is gs.h. */
#ifndef KP_SVC_GOSSIPSUB_GOSSIPSUB_H
#define KP_SVC_GOSSIPSUB_GOSSIPSUB_H

#include "svc/gossipsub/params.h"
#include "svc/gossipsub/score.h"
#include "svc/pub.h"
#include "svc/svc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_gs kp_gs;

typedef enum kp_verdict { KP_ACCEPT = 0, KP_REJECT = 1, KP_IGNORE = 2 } kp_verdict;

/* Options of a subscription (request SUBSCRIBE's text). */
typedef struct kp_sub_opts {
	bool validate;  /* messages arrive as VALIDATE events and wait for a verdict */
	bool self;      /* own messages are delivered too */
	uint16_t inbox; /* where MESSAGE and VALIDATE events of the topic go */
} kp_sub_opts;

extern const kp_proto kp_gs_protos[]; /* 1.2, 1.1, 1.0, floodsub: newest first */
extern const size_t kp_gs_protos_n;
extern const kp_proto_ops kp_gs_proto_ops;
extern const kp_svc_ops kp_gs_svc_ops;

/* params is copied. The first heartbeat comes 100 ms after `now`. NULL = out of memory. */
kp_gs *kp_gs_new(kp_host *h, const kp_gs_params *params, kp_time now);

/* All jobs are done and all streams closed. */
void kp_gs_free(kp_gs *gs);

/* A second subscribe replaces the options. KP_E_LIMIT too many own topics, KP_E_NOMEM. */
kp_err kp_gs_subscribe(kp_gs *gs, kp_time now, kp_slice topic, const kp_sub_opts *opts);
kp_err kp_gs_unsubscribe(kp_gs *gs, kp_time now, kp_slice topic); /* KP_E_NOTFOUND */

/* True when every recipient that has taken bytes within the last second has room for it in its
 * own-class queue (so that kp_gs_publish will lose nothing to a healthy peer). */
bool kp_gs_publish_ready(kp_gs *gs, kp_time now, const kp_pub *p);

/* Takes p over. Its fate is told by a PUBLISHED event: always when p->token ≠ 0, else only when it
 * failed (KP_E_DUPLICATE, KP_E_NOPEERS, KP_E_EXPIRED, KP_E_CLOSED, KP_E_TOOBIG). Signing may happen
 * in a job; order per node is kept. */
void kp_gs_publish(kp_gs *gs, kp_time now, kp_pub *p);

/* Ends an own message that still waits, for a recipient or for its signature: its PUBLISHED event
 * says KP_E_CANCELED, at once or, while a job signs it, when the job is done. KP_E_NOTFOUND: there
 * is none, or it was cancelled before. */
kp_err kp_gs_cancel(kp_gs *gs, kp_time now, int64_t token);

/* For a VALIDATE event's token, once. KP_E_NOTFOUND = unknown or expired. */
kp_err kp_gs_verdict(kp_gs *gs, kp_time now, int64_t token, kp_verdict verdict);

/* Messages accepted and not yet out of the send queues, held ones included: 0 = drained. */
size_t kp_gs_pending(const kp_gs *gs);

/* A direct peer: dialled again and again, sent every message of its topics, never in a mesh. Stays
 * so for the router's life. KP_E_NOMEM. */
kp_err kp_gs_set_direct(kp_gs *gs, kp_time now, const kp_peer_id *peer);

/* How many connected peers subscribe to a topic, and how many are in its mesh; n-th own topic for
 * iteration: false past the end. Introspection writes JSON members as abi.md `info` names them. */
typedef struct kp_gs_topic_info {
	kp_slice topic;
	size_t mesh, subscribers;
	uint16_t inbox;
} kp_gs_topic_info;
bool kp_gs_topic_at(const kp_gs *gs, size_t n, kp_gs_topic_info *out);

/* What the router knows of a peer: topics it subscribes to, those in whose mesh it is.
 * Called with the n-th topic: false past the end. */
bool kp_gs_peer_topic_at(const kp_gs *gs, const kp_peer_id *peer, size_t n, kp_slice *topic,
                         bool *in_mesh);

/* A connected peer's score and what it is made of, weighted: score is the sum of the others. Below
 * it, how often the peer ever sent an invalid message or broke the protocol's manners. False = not
 * connected. */
typedef struct kp_gs_score_info {
	double score;
	double topics; /* P1 to P4 of all topics, at most topic_score_cap */
	double p5, p6, p7, slow;
	double invalid, misbehaviour;
} kp_gs_score_info;
bool kp_gs_peer_score(const kp_gs *gs, const kp_peer_id *peer, kp_gs_score_info *out);

/* The terms of the n-th topic it has done something in: false past the end. */
bool kp_gs_peer_score_topic_at(const kp_gs *gs, const kp_peer_id *peer, size_t n, kp_slice *topic,
                               kp_score_topic_terms *out);

/* Topics of ours that have fewer than D connected subscribers whose score is not below zero: the
 * engine then dials more peers. */
bool kp_gs_wants_peers(const kp_gs *gs);

#ifdef __cplusplus
}
#endif
#endif
