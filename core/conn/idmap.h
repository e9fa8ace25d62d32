/* Stream id → stream, one small open-addressing table per connection. Ids are the peer's choice,
 * but there are never more than the stream caps allow, so the worst probe is bounded by those. */
#ifndef KP_CONN_IDMAP_H
#define KP_CONN_IDMAP_H

#include "base/err.h"
#include "base/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_idmap_slot {
	uint32_t id; /* 0 = empty */
	void *value;
} kp_idmap_slot;

typedef struct kp_idmap {
	kp_idmap_slot *slots; /* NULL while never used */
	uint32_t n, cap;      /* cap a power of two, n ≤ 3/4 cap */
	kp_mem *mem;
} kp_idmap;

void kp_idmap_init(kp_idmap *m, kp_mem *mem);
void kp_idmap_fini(kp_idmap *m);

/* Makes room for one more. KP_E_NOMEM leaves the map unchanged. */
kp_err kp_idmap_reserve(kp_idmap *m);

/* id ≠ 0 and not in the map; kp_idmap_reserve came before. */
void kp_idmap_put(kp_idmap *m, uint32_t id, void *value);
void *kp_idmap_get(const kp_idmap *m, uint32_t id); /* NULL = not there */
void kp_idmap_del(kp_idmap *m, uint32_t id);        /* no-op when not there */

#ifdef __cplusplus
}
#endif
#endif
