/* The arithmetic of one iterative lookup: who is known, in which order to ask, when it is over
 * (the rules of go-libp2p-kad-dht). No streams, no dials, no time: those are client.c's.
 *
 * Two phases. Search: ask the nearest peers heard of, α at once, until the β nearest that are not
 * unreachable have answered. Follow-up: ask those of the k nearest that have not been asked. */
#ifndef KP_SVC_KAD_QUERY_H
#define KP_SVC_KAD_QUERY_H

#include "base/mem.h"
#include "wire/kad_msg.h"
#include "wire/multiaddr.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_KAD_QUERY_KNOWN_MAX    400u  /* peers; beyond it the farthest unasked one goes */
#define KP_KAD_QUERY_REQUESTS_MAX 200u  /* peers asked: liars cannot keep a lookup alive */
#define KP_KAD_QUERY_ADDRS_MAX    16u   /* addresses kept of a peer */
#define KP_KAD_QUERY_ADDR_BYTES   1024u /* and their bytes, length bytes included */

typedef enum kp_kad_state {
	KP_KAD_HEARD,
	KP_KAD_WAITING,
	KP_KAD_QUERIED,    /* has answered */
	KP_KAD_UNREACHABLE /* could not be dialled, or did not answer */
} kp_kad_state;

typedef struct kp_kad_cand {
	kp_peer_id peer;
	kp_kad_key key;
	kp_kad_state state;
	uint8_t *addrs; /* u8 length ‖ multiaddr, repeated */
	uint16_t addr_bytes, n_addrs;
} kp_kad_cand;

typedef struct kp_kad_query {
	kp_mem *mem;
	kp_kad_key target;
	unsigned k, alpha, beta;
	kp_kad_cand **known; /* nearest first */
	uint32_t n, cap;
	uint32_t waiting;  /* of them in WAITING */
	uint32_t requests; /* peers ever asked */
	bool follow_up;
} kp_kad_query;

void kp_kad_query_init(kp_kad_query *q, kp_mem *mem, const kp_kad_key *target, unsigned k,
                       unsigned alpha, unsigned beta);
void kp_kad_query_fini(kp_kad_query *q);

/* The entry of a peer, made when it is new. NULL = no memory, or full of nearer ones. */
kp_kad_cand *kp_kad_query_hear(kp_kad_query *q, const kp_peer_id *peer, const kp_kad_key *key);

/* One more address; beyond the caps, known ones and without memory: ignored (false). */
bool kp_kad_query_add_addr(kp_kad_query *q, kp_kad_cand *c, const kp_maddr *addr);
size_t kp_kad_query_addrs(const kp_kad_cand *c, kp_maddr *out, size_t max);

/* Whom to ask next, now WAITING; NULL = nobody at the moment. */
kp_kad_cand *kp_kad_query_next(kp_kad_query *q);

/* A WAITING one has answered (hear its peers first), has failed, or could not be asked for lack of
 * our own resources and is to be asked later. */
void kp_kad_query_answered(kp_kad_query *q, kp_kad_cand *c);
void kp_kad_query_failed(kp_kad_query *q, kp_kad_cand *c);
void kp_kad_query_postpone(kp_kad_query *q, kp_kad_cand *c);

/* Nothing more will change. */
bool kp_kad_query_over(kp_kad_query *q);

/* The nearest (up to max) that answered. */
size_t kp_kad_query_result(const kp_kad_query *q, kp_peer_id *out, size_t max);

#ifdef __cplusplus
}
#endif
#endif
