/* An iterative lookup as a pure machine: see query.h. */
#include "svc/kad/query.h"

void kp_kad_query_init(kp_kad_query *q, kp_mem *mem, const kp_kad_key *target, unsigned k,
                       unsigned alpha, unsigned beta)
{
	KP_ASSERT(k > 0 && alpha > 0 && beta > 0);
	memset(q, 0, sizeof(*q));
	q->mem = mem;
	q->target = *target;
	q->k = k;
	q->alpha = alpha;
	q->beta = beta;
}

static void query_cand_free(kp_kad_query *q, kp_kad_cand *c)
{
	kp_mem_free(q->mem, c->addrs);
	kp_mem_free(q->mem, c);
}

void kp_kad_query_fini(kp_kad_query *q)
{
	for (uint32_t i = 0; i < q->n; i++)
		query_cand_free(q, q->known[i]);
	kp_mem_free(q->mem, q->known);
	q->known = NULL;
	q->n = q->cap = q->waiting = 0;
}

/* The place of a key in the order: index of the first one that is not nearer. */
static uint32_t query_place(const kp_kad_query *q, const kp_kad_key *key)
{
	uint32_t lo = 0, hi = q->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (kp_kad_distance_cmp(&q->target, &q->known[mid]->key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool query_grow(kp_kad_query *q)
{
	if (q->n < q->cap)
		return true;
	uint32_t cap = q->cap > 0 ? q->cap * 2 : 64;
	void *p = kp_mem_grow(q->mem, q->known, cap * sizeof(kp_kad_cand *));
	if (p == NULL)
		return false;
	q->known = (kp_kad_cand **)p;
	q->cap = cap;
	return true;
}

/* Makes room for one at `place` by dropping the farthest unasked one behind it. */
static bool query_make_room(kp_kad_query *q, uint32_t place)
{
	if (q->n < KP_KAD_QUERY_KNOWN_MAX)
		return true;
	for (uint32_t i = q->n; i > place; i--) {
		kp_kad_cand *c = q->known[i - 1];
		if (c->state != KP_KAD_HEARD)
			continue;
		query_cand_free(q, c);
		memmove(&q->known[i - 1], &q->known[i], (q->n - i) * sizeof(kp_kad_cand *));
		q->n--;
		return true;
	}
	return false;
}

kp_kad_cand *kp_kad_query_hear(kp_kad_query *q, const kp_peer_id *peer, const kp_kad_key *key)
{
	uint32_t at = query_place(q, key);
	if (at < q->n && memcmp(&q->known[at]->key, key, sizeof(*key)) == 0)
		return q->known[at];
	if (!query_make_room(q, at) || !query_grow(q))
		return NULL;
	kp_kad_cand *c = (kp_kad_cand *)kp_mem_alloc(q->mem, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->peer = *peer;
	c->key = *key;
	c->state = KP_KAD_HEARD;
	memmove(&q->known[at + 1], &q->known[at], (q->n - at) * sizeof(kp_kad_cand *));
	q->known[at] = c;
	q->n++;
	return c;
}

size_t kp_kad_query_addrs(const kp_kad_cand *c, kp_maddr *out, size_t max)
{
	kp_slice rest = kp_slice_of(c->addrs, c->addr_bytes);
	size_t n = 0;
	while (n < max && rest.n > 0) {
		size_t len = kp_slice_take(&rest, 1).p[0];
		kp_err err = kp_maddr_parse_bytes(kp_slice_take(&rest, len), &out[n]);
		KP_ASSERT(err == KP_OK); /* it was a kp_maddr when it went in */
		n++;
	}
	return n;
}

bool kp_kad_query_add_addr(kp_kad_query *q, kp_kad_cand *c, const kp_maddr *addr)
{
	size_t size = 1 + (size_t)addr->n;
	KP_ASSERT(addr->n > 0 && addr->n <= UINT8_MAX);
	if (c->n_addrs == KP_KAD_QUERY_ADDRS_MAX || c->addr_bytes + size > KP_KAD_QUERY_ADDR_BYTES)
		return false;
	kp_slice rest = kp_slice_of(c->addrs, c->addr_bytes);
	while (rest.n > 0) {
		size_t len = kp_slice_take(&rest, 1).p[0];
		if (kp_slice_eq(kp_slice_take(&rest, len), kp_maddr_slice(addr)))
			return false;
	}
	uint8_t *p = (uint8_t *)kp_mem_grow(q->mem, c->addrs, c->addr_bytes + size);
	if (p == NULL)
		return false;
	p[c->addr_bytes] = (uint8_t)addr->n;
	memcpy(p + c->addr_bytes + 1, addr->b, addr->n);
	c->addrs = p;
	c->addr_bytes = (uint16_t)(c->addr_bytes + size);
	c->n_addrs++;
	return true;
}

/* Among the nearest `of` that are not unreachable: is there one in a state of the mask? */
static bool query_any(const kp_kad_query *q, unsigned of, unsigned mask)
{
	for (uint32_t i = 0; i < q->n && of > 0; i++) {
		kp_kad_state state = q->known[i]->state;
		if (state == KP_KAD_UNREACHABLE)
			continue;
		if ((mask & 1u << state) != 0)
			return true;
		of--;
	}
	return false;
}

#define QUERY_OPEN (1u << KP_KAD_HEARD | 1u << KP_KAD_WAITING)

static void query_check_phase(kp_kad_query *q)
{
	if (q->n > 0 && !query_any(q, q->beta, QUERY_OPEN))
		q->follow_up = true;
}

bool kp_kad_query_over(kp_kad_query *q)
{
	query_check_phase(q);
	if (q->waiting == 0 && q->requests >= KP_KAD_QUERY_REQUESTS_MAX)
		return true;
	return !query_any(q, q->follow_up ? q->k : q->n, QUERY_OPEN);
}

kp_kad_cand *kp_kad_query_next(kp_kad_query *q)
{
	query_check_phase(q);
	if (q->waiting >= q->alpha || q->requests >= KP_KAD_QUERY_REQUESTS_MAX)
		return NULL;
	unsigned of = q->follow_up ? q->k : q->n;
	for (uint32_t i = 0; i < q->n && of > 0; i++) {
		kp_kad_cand *c = q->known[i];
		if (c->state == KP_KAD_HEARD) {
			c->state = KP_KAD_WAITING;
			q->waiting++;
			q->requests++;
			return c;
		}
		if (c->state != KP_KAD_UNREACHABLE)
			of--;
	}
	return NULL;
}

static void query_leave_waiting(kp_kad_query *q, kp_kad_cand *c, kp_kad_state state)
{
	KP_ASSERT(c->state == KP_KAD_WAITING && q->waiting > 0);
	c->state = state;
	q->waiting--;
}

void kp_kad_query_answered(kp_kad_query *q, kp_kad_cand *c)
{
	query_leave_waiting(q, c, KP_KAD_QUERIED);
}

void kp_kad_query_failed(kp_kad_query *q, kp_kad_cand *c)
{
	query_leave_waiting(q, c, KP_KAD_UNREACHABLE);
}

void kp_kad_query_postpone(kp_kad_query *q, kp_kad_cand *c)
{
	query_leave_waiting(q, c, KP_KAD_HEARD);
	q->requests--;
}

size_t kp_kad_query_result(const kp_kad_query *q, kp_peer_id *out, size_t max)
{
	size_t n = 0;
	for (uint32_t i = 0; i < q->n && n < max; i++)
		if (q->known[i]->state == KP_KAD_QUERIED)
			out[n++] = q->known[i]->peer;
	return n;
}
