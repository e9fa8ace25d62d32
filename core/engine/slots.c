/* The table behind kp_id: see slots.h. */
#include "engine/slots.h"

void kp_slots_init(kp_slots *s, kp_mem *mem)
{
	memset(s, 0, sizeof *s);
	s->mem = mem;
}

void kp_slots_fini(kp_slots *s)
{
	KP_ASSERT(s->live == 0);
	kp_mem_free(s->mem, s->v);
	memset(s, 0, sizeof *s);
}

kp_err kp_slots_add(kp_slots *s, void *obj, kp_id *id)
{
	KP_ASSERT(obj != NULL);
	if (s->free_head == 0 && s->n == s->room) {
		uint32_t room = s->room ? s->room * 2 : 16;
		kp_slot *v = (kp_slot *)kp_mem_grow(s->mem, s->v, room * sizeof *v);
		if (v == NULL)
			return KP_E_NOMEM;
		s->v = v;
		s->room = room;
	}
	uint32_t slot = s->n;
	if (s->free_head != 0) {
		slot = s->free_head - 1;
		s->free_head = s->v[slot].next_free;
	} else {
		s->n++;
	}
	kp_slot *at = &s->v[slot];
	KP_ASSERT(at->obj == NULL);
	at->obj = obj;
	at->next_free = 0;
	if (++at->gen == 0)
		at->gen = 1;
	s->live++;
	id->slot = slot;
	id->gen = at->gen;
	return KP_OK;
}

void *kp_slots_get(const kp_slots *s, kp_id id)
{
	if (id.slot >= s->n || s->v[id.slot].gen != id.gen)
		return NULL;
	return s->v[id.slot].obj;
}

void kp_slots_del(kp_slots *s, kp_id id)
{
	KP_ASSERT(kp_slots_get(s, id) != NULL);
	s->v[id.slot].obj = NULL;
	s->v[id.slot].next_free = s->free_head;
	s->free_head = id.slot + 1;
	s->live--;
}

void *kp_slots_at(const kp_slots *s, uint32_t slot)
{
	KP_ASSERT(slot < s->n);
	return s->v[slot].obj;
}
