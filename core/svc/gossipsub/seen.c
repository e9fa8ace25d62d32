/* See seen.h: a ring in order of time, and an open-addressed index into it. */
#include "svc/gossipsub/seen.h"

#define SEEN_CAP_MIN  16u
#define SEEN_CAP_KEPT 1024u

void kp_seen_init(kp_seen *s, kp_mem *mem, kp_time ttl_ns, uint32_t max, bool evict)
{
	memset(s, 0, sizeof *s);
	s->mem = mem;
	s->ttl_ns = ttl_ns;
	s->max = KP_MAX(max, 1u);
	s->evict = evict;
}

void kp_seen_fini(kp_seen *s)
{
	kp_mem_free(s->mem, s->ring);
	kp_mem_free(s->mem, s->slots);
	s->ring = NULL;
	s->slots = NULL;
	s->cap = s->head = s->n = 0;
}

static uint32_t seen_mask(const kp_seen *s)
{
	return 2 * s->cap - 1;
}

/* The slot that holds fp, or the empty one where it would go. */
static uint32_t seen_slot(const kp_seen *s, uint64_t fp)
{
	uint32_t mask = seen_mask(s);
	uint32_t i = (uint32_t)fp & mask;
	/* ends: at most half of the slots are used */
	while (s->slots[i] != 0 && s->ring[s->slots[i] - 1].fp != fp)
		i = (i + 1) & mask;
	return i;
}

/* Empties a slot and moves later ones of its run up, so that every run stays unbroken. */
static void seen_slot_clear(kp_seen *s, uint32_t hole)
{
	uint32_t mask = seen_mask(s);
	uint32_t i = hole;
	for (;;) {
		i = (i + 1) & mask;
		if (s->slots[i] == 0)
			break;
		uint32_t home = (uint32_t)s->ring[s->slots[i] - 1].fp & mask;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		s->slots[hole] = s->slots[i];
		hole = i;
	}
	s->slots[hole] = 0;
}

static void seen_pop(kp_seen *s)
{
	KP_ASSERT(s->n > 0);
	kp_seen_entry *e = &s->ring[s->head];
	if (e->fp != 0) {
		uint32_t i = seen_slot(s, e->fp);
		KP_ASSERT(s->slots[i] == s->head + 1);
		seen_slot_clear(s, i);
	}
	s->head = (s->head + 1) & (s->cap - 1);
	s->n--;
}

static bool seen_resize(kp_seen *s, uint32_t cap);

void kp_seen_expire(kp_seen *s, kp_time now)
{
	bool any = false;
	for (; s->n > 0 && kp_time_add(s->ring[s->head].at, s->ttl_ns) <= now; any = true)
		seen_pop(s);
	/* a burst is over: give half back; it takes cap / 4 more entries to grow again */
	if (any && s->cap > SEEN_CAP_KEPT && s->n < s->cap / 8)
		seen_resize(s, s->cap / 2);
}

bool kp_seen_has(kp_seen *s, kp_time now, uint64_t fp)
{
	kp_seen_expire(s, now);
	return s->n > 0 && s->slots[seen_slot(s, fp)] != 0;
}

static bool seen_resize(kp_seen *s, uint32_t cap)
{
	KP_ASSERT(cap > s->n);
	kp_seen_entry *ring = kp_mem_alloc_raw(s->mem, cap * sizeof *ring);
	uint32_t *slots = kp_mem_alloc(s->mem, 2 * (size_t)cap * sizeof *slots);
	if (ring == NULL || slots == NULL) {
		kp_mem_free(s->mem, ring);
		kp_mem_free(s->mem, slots);
		return false;
	}
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		const kp_seen_entry *e = &s->ring[(s->head + i) & (s->cap - 1)];
		if (e->fp != 0)
			ring[n++] = *e;
	}
	kp_mem_free(s->mem, s->ring);
	kp_mem_free(s->mem, s->slots);
	s->ring = ring;
	s->slots = slots;
	s->cap = cap;
	s->head = 0;
	s->n = n;
	for (uint32_t i = 0; i < n; i++)
		s->slots[seen_slot(s, ring[i].fp)] = i + 1;
	return true;
}

/* Room for one more. */
static kp_err seen_room(kp_seen *s)
{
	if (s->n < s->cap && s->n < s->max)
		return KP_OK;
	if (s->n < s->max && seen_resize(s, s->cap == 0 ? SEEN_CAP_MIN : 2 * s->cap))
		return KP_OK;
	if (!s->evict)
		return s->n < s->max ? KP_E_NOMEM : KP_E_LIMIT;
	if (s->n == 0)
		return KP_E_NOMEM;
	s->evicted++;
	seen_pop(s);
	return KP_OK;
}

kp_err kp_seen_add(kp_seen *s, kp_time now, uint64_t fp)
{
	KP_ASSERT(fp != 0);
	if (kp_seen_has(s, now, fp))
		return KP_E_DUPLICATE;
	kp_err err = seen_room(s);
	if (err != KP_OK)
		return err;
	uint32_t at = (s->head + s->n) & (s->cap - 1);
	s->ring[at] = (kp_seen_entry){fp, now};
	uint32_t slot = seen_slot(s, fp);
	KP_ASSERT(s->slots[slot] == 0);
	s->slots[slot] = at + 1;
	s->n++;
	return KP_OK;
}

void kp_seen_del(kp_seen *s, uint64_t fp)
{
	if (s->n == 0)
		return;
	uint32_t i = seen_slot(s, fp);
	if (s->slots[i] == 0)
		return;
	kp_seen_entry *e = &s->ring[s->slots[i] - 1];
	seen_slot_clear(s, i);
	e->fp = 0;
}

uint32_t kp_seen_count(const kp_seen *s)
{
	return s->n;
}
