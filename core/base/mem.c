/* The only file of the core that calls the system's allocator. Each allocation carries its size in
 * front, so that the accounts balance without the caller's help. */
#include "base/mem.h"

#include <stdlib.h>

/* Aligned for any type, as malloc's memory is, and so is what follows it. */
typedef struct mem_head {
	_Alignas(max_align_t) size_t n; /* bytes the caller asked for */
	uint64_t magic;
} mem_head;

#define MEM_LIVE  UINT64_C(0x6b70326d656d2121)
#define MEM_FREED UINT64_C(0xdeadf4eedeadf4ee)

void kp_mem_init(kp_mem *m, uint64_t bytes_max)
{
	memset(m, 0, sizeof *m);
	m->bytes_max = bytes_max;
}

static void mem_raise_peak(kp_mem *m, uint64_t bytes)
{
	uint64_t peak = __atomic_load_n(&m->peak, __ATOMIC_RELAXED);
	while (bytes > peak && !__atomic_compare_exchange_n(&m->peak, &peak, bytes, true,
	                                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		; /* peak was reloaded; at most one turn per concurrent allocation */
}

/* Is this the call that a test wants to fail? */
static bool mem_fails(const kp_mem *m, uint64_t call)
{
	uint64_t at = __atomic_load_n(&m->fail_at, __ATOMIC_RELAXED);
	if (at == 0 || call < at)
		return false;
	return call == at || (m->fail_every != 0 && (call - at) % m->fail_every == 0);
}

bool kp_mem_charge(kp_mem *m, size_t n)
{
	uint64_t call = __atomic_add_fetch(&m->calls, 1, __ATOMIC_RELAXED);
	uint64_t bytes = __atomic_add_fetch(&m->bytes, n, __ATOMIC_RELAXED);
	if (mem_fails(m, call) || (m->bytes_max != 0 && bytes > m->bytes_max)) {
		__atomic_sub_fetch(&m->bytes, n, __ATOMIC_RELAXED);
		__atomic_add_fetch(&m->refused, 1, __ATOMIC_RELAXED);
		return false;
	}
	mem_raise_peak(m, bytes);
	return true;
}

void kp_mem_refund(kp_mem *m, size_t n)
{
	uint64_t before = __atomic_fetch_sub(&m->bytes, n, __ATOMIC_RELAXED);
	KP_ASSERT(before >= n);
}

static void *mem_alloc_with(kp_mem *m, size_t n, bool zeroed)
{
	if (n > SIZE_MAX / 2 || !kp_mem_charge(m, sizeof(mem_head) + n))
		return NULL;
	size_t total = sizeof(mem_head) + n;
	mem_head *h = (mem_head *)(zeroed ? calloc(1, total) : malloc(total));
	if (h == NULL) {
		kp_mem_refund(m, total);
		__atomic_add_fetch(&m->refused, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	h->n = n;
	h->magic = MEM_LIVE;
	return h + 1;
}

void *kp_mem_alloc(kp_mem *m, size_t n)
{
	return mem_alloc_with(m, n, true);
}

void *kp_mem_alloc_raw(kp_mem *m, size_t n)
{
	return mem_alloc_with(m, n, false);
}

void kp_mem_free(kp_mem *m, void *p)
{
	if (p == NULL)
		return;
	mem_head *h = (mem_head *)p - 1;
	KP_ASSERT(h->magic == MEM_LIVE);
	h->magic = MEM_FREED;
	kp_mem_refund(m, sizeof *h + h->n);
	free(h);
}

void *kp_mem_grow(kp_mem *m, void *p, size_t n)
{
	if (p == NULL)
		return kp_mem_alloc(m, n);
	mem_head *h = (mem_head *)p - 1;
	KP_ASSERT(h->magic == MEM_LIVE);
	size_t old = h->n;
	size_t more = n > old ? n - old : 0;
	if (n > SIZE_MAX / 2 || !kp_mem_charge(m, more))
		return NULL;
	mem_head *moved = (mem_head *)realloc(h, sizeof *h + n);
	if (moved == NULL) {
		kp_mem_refund(m, more);
		__atomic_add_fetch(&m->refused, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	moved->n = n;
	if (more > 0)
		memset((uint8_t *)(moved + 1) + old, 0, more);
	else
		kp_mem_refund(m, old - n);
	return moved + 1;
}

void kp_mem_wipe(void *p, size_t n)
{
	if (n == 0)
		return;
	memset(p, 0, n);
	/* The compiler must assume that this reads p, so the memset stays. */
	__asm__ __volatile__("" : : "r"(p) : "memory");
}
