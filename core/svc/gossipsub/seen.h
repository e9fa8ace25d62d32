/* A set of fingerprints, each forgotten a fixed time after it came in: the seen cache, and what one
 * peer does not want. 24 bytes an entry; adding and asking are O(1). A fingerprint is 64 bits of a
 * keyed hash, so that nobody outside can make two ids meet. */
#ifndef KP_SVC_GOSSIPSUB_SEEN_H
#define KP_SVC_GOSSIPSUB_SEEN_H

#include "base/err.h"
#include "base/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_seen_entry {
	uint64_t fp; /* 0 = deleted */
	kp_time at;
} kp_seen_entry;

typedef struct kp_seen {
	kp_mem *mem;
	kp_time ttl_ns;
	uint32_t max;        /* entries; a power of two is used fully */
	bool evict;          /* full: forget the oldest, else refuse */
	kp_seen_entry *ring; /* in order of time */
	uint32_t *slots;     /* open addressing, 2 × cap: place in ring + 1, 0 = empty */
	uint32_t cap;        /* of ring; power of two, or 0 */
	uint32_t head, n;    /* deleted ones included */
	uint64_t evicted;    /* forgotten before their time */
} kp_seen;

void kp_seen_init(kp_seen *s, kp_mem *mem, kp_time ttl_ns, uint32_t max, bool evict);
void kp_seen_fini(kp_seen *s);

/* An entry added at t is there until, and not at, t + ttl. fp ≠ 0. */
bool kp_seen_has(kp_seen *s, kp_time now, uint64_t fp);

/* KP_E_DUPLICATE is there already (its time stays), KP_E_LIMIT full, KP_E_NOMEM. */
kp_err kp_seen_add(kp_seen *s, kp_time now, uint64_t fp);
void kp_seen_del(kp_seen *s, uint64_t fp);
void kp_seen_expire(kp_seen *s, kp_time now);
uint32_t kp_seen_count(const kp_seen *s);

#ifdef __cplusplus
}
#endif
#endif
