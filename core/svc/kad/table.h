/* The routing table: k-buckets by common prefix with our own key. Holds peers that the service
 * found worthy; asks nobody and knows no time. */
#ifndef KP_SVC_KAD_TABLE_H
#define KP_SVC_KAD_TABLE_H

#include "base/list.h"
#include "base/map.h"
#include "base/stats.h"
#include "wire/kad_msg.h"
#include "wire/multiaddr.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_KAD_NODE_ADDRS_MAX   16u /* kept per entry */
#define KP_KAD_GROUP_BUCKET_MAX 5u  /* entries of one public IP group in a bucket */
#define KP_KAD_GROUP_TABLE_MAX  20u /* and in the table */

/* Where a peer is in the public internet: its /24 or /48. n == 0: loopback, private and the like,
 * to which no diversity limit applies. Bytes behind n are zero. */
typedef struct kp_kad_group {
	uint8_t n;
	uint8_t b[7];
} kp_kad_group;

kp_kad_group kp_kad_group_of(const kp_maddr *remote);

typedef struct kp_kad_node {
	kp_list in_bucket; /* disconnected ones first, each kind least recently changed first */
	kp_map_node in_map;
	kp_peer_id peer;
	kp_kad_key key;
	kp_kad_group group;
	unsigned bucket; /* common prefix length with our own key, 0 to 255 */
	bool connected;
	kp_maddr *addrs; /* its own, from identify */
	size_t n_addrs;  /* 1 to KP_KAD_NODE_ADDRS_MAX */
} kp_kad_node;

typedef struct kp_kad_table {
	kp_mem *mem;
	kp_stats *stats;
	kp_kad_key self;
	unsigned k;
	kp_list buckets[KP_KAD_KEY_BITS]; /* kp_kad_node.in_bucket */
	uint16_t counts[KP_KAD_KEY_BITS]; /* ≤ k */
	size_t size;                      /* sum of counts */
	kp_map by_peer;
} kp_kad_table;

void kp_kad_table_init(kp_kad_table *t, kp_mem *mem, kp_stats *stats, const kp_kad_key *self,
                       unsigned k, const uint8_t hash_key[16]);
void kp_kad_table_fini(kp_kad_table *t);

kp_kad_node *kp_kad_table_get(const kp_kad_table *t, const kp_peer_id *peer); /* NULL = not there */

/* Adds a connected peer that is not in the table, in place of the oldest disconnected one when its
 * bucket is full. n_addrs > 0; what exceeds the cap is left out. KP_E_LIMIT = bucket full of
 * connected peers, or too many of its IP group (both counted), KP_E_NOMEM; KP_E_INVAL = ourselves.
 */
kp_err kp_kad_table_add(kp_kad_table *t, const kp_peer_id *peer, const kp_kad_key *key,
                        kp_kad_group group, const kp_maddr *addrs, size_t n_addrs);

void kp_kad_table_remove(kp_kad_table *t, kp_kad_node *n); /* counted; n is gone */

/* New addresses; KP_E_NOMEM leaves the old ones. n_addrs > 0. */
kp_err kp_kad_table_set_addrs(kp_kad_table *t, kp_kad_node *n, const kp_maddr *addrs,
                              size_t n_addrs);

void kp_kad_table_set_connected(kp_kad_table *t, kp_kad_node *n, bool connected);

/* The (up to max) entries nearest to target, nearest first; `except` (may be NULL) is left out. */
size_t kp_kad_table_nearest(const kp_kad_table *t, const kp_kad_key *target,
                            const kp_peer_id *except, const kp_kad_node **out, size_t max);

/* The n-th entry, by bucket; NULL past the end. */
const kp_kad_node *kp_kad_table_at(const kp_kad_table *t, size_t n);

/* Highest bucket with an entry, or -1. */
int kp_kad_table_deepest(const kp_kad_table *t);

void kp_kad_table_check(const kp_kad_table *t); /* asserts the invariants; for tests */

#ifdef __cplusplus
}
#endif
#endif
