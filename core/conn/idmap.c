/* Linear probing with backward-shift deletion: no tombstones, so tables never need a rebuild. */
#include "conn/idmap.h"

#define IDMAP_CAP_FIRST 8u

static uint32_t idmap_home(const kp_idmap *m, uint32_t id)
{
	return ((id * 2654435769u) >> 12) &
	       (m->cap - 1); /* Fibonacci hashing: high bits mix best */
}

void kp_idmap_init(kp_idmap *m, kp_mem *mem)
{
	m->slots = NULL;
	m->n = m->cap = 0;
	m->mem = mem;
}

void kp_idmap_fini(kp_idmap *m)
{
	kp_mem_free(m->mem, m->slots);
	kp_idmap_init(m, m->mem);
}

static void idmap_place(kp_idmap *m, uint32_t id, void *value)
{
	uint32_t i = idmap_home(m, id);
	while (m->slots[i].id != 0) {
		KP_ASSERT(m->slots[i].id != id);
		i = (i + 1) & (m->cap - 1);
	}
	m->slots[i].id = id;
	m->slots[i].value = value;
}

static kp_err idmap_grow(kp_idmap *m)
{
	uint32_t cap = m->cap == 0 ? IDMAP_CAP_FIRST : m->cap * 2;
	kp_idmap_slot *old = m->slots;
	uint32_t old_cap = m->cap;
	kp_idmap_slot *slots = (kp_idmap_slot *)kp_mem_alloc(m->mem, cap * sizeof(*slots));
	if (slots == NULL)
		return KP_E_NOMEM;
	m->slots = slots;
	m->cap = cap;
	for (uint32_t i = 0; i < old_cap; i++) {
		if (old[i].id != 0)
			idmap_place(m, old[i].id, old[i].value);
	}
	kp_mem_free(m->mem, old);
	return KP_OK;
}

kp_err kp_idmap_reserve(kp_idmap *m)
{
	return (m->n + 1) * 4 > m->cap * 3 ? idmap_grow(m) : KP_OK;
}

void kp_idmap_put(kp_idmap *m, uint32_t id, void *value)
{
	KP_ASSERT(id != 0 && value != NULL && m->n < m->cap);
	idmap_place(m, id, value);
	m->n++;
}

/* The slot that holds id, or cap. */
static uint32_t idmap_find(const kp_idmap *m, uint32_t id)
{
	if (m->n == 0 || id == 0)
		return m->cap;
	uint32_t i = idmap_home(m, id);
	while (m->slots[i].id != 0) {
		if (m->slots[i].id == id)
			return i;
		i = (i + 1) & (m->cap - 1);
	}
	return m->cap;
}

void *kp_idmap_get(const kp_idmap *m, uint32_t id)
{
	uint32_t i = idmap_find(m, id);
	return i == m->cap ? NULL : m->slots[i].value;
}

void kp_idmap_del(kp_idmap *m, uint32_t id)
{
	uint32_t hole = idmap_find(m, id);
	if (hole == m->cap)
		return;
	uint32_t mask = m->cap - 1;
	for (uint32_t i = (hole + 1) & mask; m->slots[i].id != 0; i = (i + 1) & mask) {
		/* Move back whatever may not stay behind an empty slot. */
		uint32_t home = idmap_home(m, m->slots[i].id);
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole].id = 0;
	m->slots[hole].value = NULL;
	m->n--;
}
