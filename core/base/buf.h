/* Pooled, reference-counted byte blocks: how bytes that must outlive a call are kept.
 * A block is charged to its pool's byte budget. Counts are atomic (the inbox and jobs cross
 * threads), but blocks are recycled only by the owner thread: the last release elsewhere pushes the
 * block to the pool's return list, which kp_pool_drain empties once a pump. The pool outlives its
 * owner until the last block is back. */
#ifndef KP_BASE_BUF_H
#define KP_BASE_BUF_H

#include "base/mem.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Capacities are raised to a size class: 256 bytes, then four steps to each power of two, so that
 * no block is more than a quarter larger than asked for; the last is KP_BLOCK_FRAME. Larger blocks
 * are exact and go back to the allocator. These are the sizes that code asks for by name. */
#define KP_BLOCK_SMALL  512u
#define KP_BLOCK_MEDIUM 2048u
#define KP_BLOCK_LARGE  16384u
#define KP_BLOCK_FRAME  69632u /* one maximal Noise frame and its headers (68 KiB) */

typedef struct kp_pool kp_pool;

/* Fields are the pool's; read `cap` only. The bytes follow the struct. */
typedef struct kp_block {
	kp_pool *pool;
	struct kp_block *next; /* free or return list */
	uint32_t refs;         /* atomic */
	uint32_t cap;          /* usable bytes */
} kp_block;

/* The calling thread becomes the owner. bytes_max: budget for live blocks, 0 = none; recycled ones
 * are kept beside it, at most 1 MiB, and what lies unused goes back by and by (kp_pool_trim). NULL
 * = out of memory. */
kp_pool *kp_pool_new(uint64_t bytes_max);

/* The owner takes and gives back blocks without the allocator; without one everything goes through
 * it. The calling thread becomes the owner of a pool that has none: its former owner gave it up,
 * and this thread knows that it did (it was created afterwards, or by a lock). */
void kp_pool_own(kp_pool *pool);
void kp_pool_disown(kp_pool *pool);

/* Gives up the pool; it is destroyed when its last block has been released. By the owner, or by any
 * thread once the owner has ended; nobody asks the pool for blocks afterwards. */
void kp_pool_close(kp_pool *pool);

/* Owner thread: recycles the blocks that other threads released. */
void kp_pool_drain(kp_pool *pool);

/* Owner thread, about once a second: half of the recycled blocks that nobody has needed since the
 * last call go back to the system. */
void kp_pool_trim(kp_pool *pool);

/* Bytes of recycled blocks. Owner thread. */
uint64_t kp_pool_bytes_spare(const kp_pool *pool);

/* Blocks not yet released, on any thread; and the bytes they are charged with. */
uint64_t kp_pool_blocks_live(const kp_pool *pool);
uint64_t kp_pool_bytes_live(const kp_pool *pool);

/* The accounting of this pool (fail_at may be set by tests). */
kp_mem *kp_pool_mem(kp_pool *pool);

/* Any thread. A block of at least `cap` bytes (cap is raised to its class), count 1, bytes not
 * initialised; NULL when the budget is used up. */
kp_block *kp_block_new(kp_pool *pool, size_t cap);
kp_block *kp_block_ref(kp_block *b);
void kp_block_unref(kp_block *b); /* NULL is fine */

/* The capacity that a block for n bytes gets. */
size_t kp_block_cap(size_t n);

/* What a block is charged with, in its pool and in every queue that holds it (NULL: nothing). */
static inline size_t kp_block_charge(const kp_block *b)
{
	return b != NULL ? sizeof *b + b->cap : 0;
}

static inline uint8_t *kp_block_bytes(kp_block *b)
{
	return (uint8_t *)(b + 1);
}

/* A counted view of a part of a block. {NULL, 0, 0} holds nothing. Copying the struct moves the
 * count; kp_ref_dup takes another one. */
typedef struct kp_ref {
	kp_block *block;
	uint32_t off;
	uint32_t len;
} kp_ref;

static inline kp_ref kp_ref_none(void)
{
	kp_ref r = {NULL, 0, 0};
	return r;
}

/* Takes over the caller's count of b. */
static inline kp_ref kp_ref_take(kp_block *b, size_t off, size_t len)
{
	KP_ASSERT(off + len <= b->cap);
	kp_ref r = {b, (uint32_t)off, (uint32_t)len};
	return r;
}

static inline kp_slice kp_ref_slice(kp_ref r)
{
	return r.block ? kp_slice_of(kp_block_bytes(r.block) + r.off, r.len) : kp_slice_none();
}

static inline kp_ref kp_ref_dup(kp_ref r)
{
	if (r.block != NULL)
		kp_block_ref(r.block);
	return r;
}

static inline void kp_ref_drop(kp_ref *r)
{
	kp_block_unref(r->block);
	*r = kp_ref_none();
}

/* A block holding a copy of s, or an empty ref when the budget is used up (s.n > 0). */
kp_ref kp_ref_copy(kp_pool *pool, kp_slice s);

#ifdef __cplusplus
}
#endif
#endif
