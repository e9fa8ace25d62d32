/* The allocator of the core: one table per node, byte accounting, and a failure injected at call N
 * for tests. Thread-safe: the application's threads allocate message blocks from it. */
#ifndef KP_BASE_MEM_H
#define KP_BASE_MEM_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_mem {
	uint64_t bytes;      /* live, headers included; atomic */
	uint64_t bytes_max;  /* budget; 0 = none */
	uint64_t peak;       /* highest `bytes` seen; atomic */
	uint64_t calls;      /* allocations so far; atomic */
	uint64_t fail_at;    /* the allocation of this number fails (first is 1); 0 = never */
	uint64_t fail_every; /* with fail_at: and every so many after it; 0 = that one alone */
	uint64_t refused;    /* allocations refused for the budget or by fail_at; atomic */
} kp_mem;

void kp_mem_init(kp_mem *m, uint64_t bytes_max);

/* n zeroed bytes, aligned for any type, or NULL when the budget or the system has none left. */
void *kp_mem_alloc(kp_mem *m, size_t n);

/* The same with unspecified contents. */
void *kp_mem_alloc_raw(kp_mem *m, size_t n);

/* Accounts n bytes as one allocation without making one (recycled blocks); false = refused. */
bool kp_mem_charge(kp_mem *m, size_t n);
void kp_mem_refund(kp_mem *m, size_t n);

/* Takes back what kp_mem_alloc or kp_mem_grow of the same m gave; NULL is fine. */
void kp_mem_free(kp_mem *m, void *p);

/* Like realloc: contents kept up to the smaller size, new bytes zeroed; NULL leaves p untouched. */
void *kp_mem_grow(kp_mem *m, void *p, size_t n);

/* Overwrites secrets so that the compiler cannot drop it. */
void kp_mem_wipe(void *p, size_t n);

#ifdef __cplusplus
}
#endif
#endif
