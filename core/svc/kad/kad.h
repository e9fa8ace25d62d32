/* Kademlia /ipfs/kad/1.0.0: routing table, server, iterative lookups (the libp2p
 * kad-dht specification). */
#ifndef KP_SVC_KAD_KAD_H
#define KP_SVC_KAD_KAD_H

#include "svc/svc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_kad kp_kad;
typedef enum kp_kad_mode { KP_KAD_SERVER, KP_KAD_CLIENT } kp_kad_mode;

typedef struct kp_kad_params {
	kp_kad_mode mode;
	unsigned k, alpha, beta;    /* 20, 10, 3 */
	kp_time request_ns;         /* 10 s */
	kp_time query_ns;           /* 60 s */
	kp_time bootstrap_every_ns; /* 5 min */
	unsigned queries_max;       /* at once; 64 */
} kp_kad_params;

kp_kad_params kp_kad_params_default(void);

extern const kp_proto kp_kad_protos[];
extern const size_t kp_kad_protos_n;
extern const kp_proto_ops kp_kad_proto_ops;
extern const kp_svc_ops kp_kad_svc_ops;

kp_kad *kp_kad_new(kp_host *h, const kp_kad_params *params, kp_time now);
void kp_kad_free(kp_kad *kad);

/* Server answers requests and is listed in identify; client neither. */
void kp_kad_set_mode(kp_kad *kad, kp_time now, kp_kad_mode mode);

/* How a lookup ends: done exactly once, never from inside kp_kad_find or kp_kad_cancel; found is
 * filled as far as it went. KP_E_NOTFOUND with stop_at_target and no address, KP_E_TIMEDOUT,
 * KP_E_UNREACHABLE nobody answered, KP_E_CANCELED, KP_E_CLOSED node stopping. */
typedef struct kp_kad_found {
	const kp_peer_id *peers; /* up to k, nearest to target first, all of them answered us */
	size_t n_peers;
	const kp_maddr *target_addrs; /* of the target itself, when somebody named it */
	size_t n_target_addrs;
} kp_kad_found;
typedef void (*kp_kad_done_fn)(void *ctx, kp_time now, kp_err err, const kp_kad_found *found);

/* Finds the k peers nearest to target; with stop_at_target ends as soon as its addresses are known.
 * *query names it for kp_kad_cancel. KP_E_NOPEERS: table empty and nobody connected speaks kad,
 * KP_E_LIMIT, KP_E_NOMEM: then done is not called. */
kp_err kp_kad_find(kp_kad *kad, kp_time now, const kp_peer_id *target, bool stop_at_target,
                   kp_time timeout_ns, kp_kad_done_fn done, void *ctx, uint64_t *query);
void kp_kad_cancel(kp_kad *kad, kp_time now, uint64_t query); /* done(KP_E_CANCELED) follows */

/* A lookup of a random key, for meeting new peers (the engine calls it when it has none to dial).
 */
kp_err kp_kad_explore(kp_kad *kad, kp_time now);

/* Looks up our own id and refreshes buckets now (also on schedule, and 500 ms after the table grows
 * while it is small). */
void kp_kad_bootstrap(kp_kad *kad, kp_time now);

/* The table, for introspection and for choosing whom to dial: n-th entry, false past the end. */
typedef struct kp_kad_entry {
	kp_peer_id peer;
	const kp_maddr *addrs;
	size_t n_addrs;
	unsigned bucket; /* common prefix length with our own key */
	bool connected;
} kp_kad_entry;
bool kp_kad_entry_at(const kp_kad *kad, size_t n, kp_kad_entry *out);
size_t kp_kad_size(const kp_kad *kad);
kp_kad_mode kp_kad_get_mode(const kp_kad *kad);

#ifdef __cplusplus
}
#endif
#endif
