/* A table of objects named by kp_id: slot and generation, so that an id outlives its object without
 * harm. Slots are reused, the last released first; memory follows the highest number alive at once.
 */
#ifndef KP_ENGINE_SLOTS_H
#define KP_ENGINE_SLOTS_H

#include "base/err.h"
#include "base/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_slot {
	void *obj;          /* NULL = free */
	uint32_t gen;       /* of the object here, or of the last one */
	uint32_t next_free; /* 1-based, 0 = none */
} kp_slot;

typedef struct kp_slots {
	kp_slot *v;
	uint32_t n, room;   /* slots ever used, allocated */
	uint32_t free_head; /* 1-based */
	uint32_t live;
	kp_mem *mem;
} kp_slots;

void kp_slots_init(kp_slots *s, kp_mem *mem);
void kp_slots_fini(kp_slots *s);                        /* asserts that it is empty */
kp_err kp_slots_add(kp_slots *s, void *obj, kp_id *id); /* KP_E_NOMEM */
void *kp_slots_get(const kp_slots *s, kp_id id);        /* NULL = stale */
void kp_slots_del(kp_slots *s, kp_id id);
void *kp_slots_at(const kp_slots *s, uint32_t slot); /* for iteration: NULL = free; slot < s->n */

#ifdef __cplusplus
}
#endif
#endif
