/* The pool of blocks. Two accounts: `mem` holds the budget and is charged for blocks somebody uses,
 * `store` is what really came from the system, recycled blocks included. */
#include "base/buf.h"

#if defined(__SANITIZE_ADDRESS__)
#define BUF_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUF_ASAN 1
#endif
#endif

#ifdef BUF_ASAN
#include <sanitizer/asan_interface.h>
#define BUF_POISON(p, n)   __asan_poison_memory_region((p), (n))
#define BUF_UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define BUF_POISON(p, n)   ((void)(p))
#define BUF_UNPOISON(p, n) ((void)(p))
#endif

/* Class 0 is BUF_FIRST bytes; above it, BUF_STEPS classes lead to each doubling. The one behind 64
 * KiB is cut down to a frame and is the last. */
#define BUF_FIRST_LOG  8u
#define BUF_FIRST      ((size_t)1 << BUF_FIRST_LOG)
#define BUF_STEPS_LOG  2u
#define BUF_STEPS      (1u << BUF_STEPS_LOG)
#define BUF_CLASSES    34u
#define BUF_LAST_START ((size_t)65536)
_Static_assert(BUF_CLASSES == (16u - BUF_FIRST_LOG) * BUF_STEPS + 2u,
               "the last class is the frame");
_Static_assert(KP_BLOCK_FRAME > BUF_LAST_START && KP_BLOCK_FRAME <= BUF_LAST_START / 4 * 5, "");

/* Free blocks are kept up to these sums of their capacities. */
#define BUF_SPARE_MAX       (1u << 20)
#define BUF_SPARE_CLASS_MAX (1u << 18)
/* Blocks waiting for the owner; further ones go straight back to the system. */
#define BUF_RETURNS_MAX 256u
/* In `refs`: the pool has not been closed. Below it, the number of live blocks. */
#define BUF_POOL_OPEN (UINT64_C(1) << 62)

struct buf_free_list {
	kp_block *head;
	uint32_t n;
	uint32_t low; /* the fewest there were since the last trim: nobody needed these */
};

struct kp_pool {
	kp_mem mem, store;
	const void *owner;  /* token of the owner thread; atomic */
	uint64_t refs;      /* BUF_POOL_OPEN and live blocks; atomic; 0 = destroy */
	kp_block *returns;  /* stack, pushed by any thread, taken whole by the owner; atomic */
	uint32_t returns_n; /* about its length; atomic */
	/* owner only */
	struct buf_free_list free[BUF_CLASSES];
	size_t spare; /* sum of the capacities of what is in them */
};

/* Its address tells threads apart without asking a thread library. */
static _Thread_local char buf_thread_token;

static bool pool_is_owner(const kp_pool *pool)
{
	return __atomic_load_n(&pool->owner, __ATOMIC_RELAXED) == &buf_thread_token;
}

static bool pool_is_open(const kp_pool *pool)
{
	return (__atomic_load_n(&pool->refs, __ATOMIC_ACQUIRE) & BUF_POOL_OPEN) != 0;
}

kp_pool *kp_pool_new(uint64_t bytes_max)
{
	kp_mem store;
	kp_mem_init(&store, 0);
	kp_pool *pool = (kp_pool *)kp_mem_alloc(&store, sizeof *pool);
	if (pool == NULL)
		return NULL;
	kp_mem_init(&pool->mem, bytes_max);
	pool->store = store;
	pool->refs = BUF_POOL_OPEN;
	kp_pool_own(pool);
	return pool;
}

void kp_pool_own(kp_pool *pool)
{
	const void *owner = __atomic_load_n(&pool->owner, __ATOMIC_RELAXED);
	KP_ASSERT(owner == NULL || owner == &buf_thread_token);
	__atomic_store_n(&pool->owner, (const void *)&buf_thread_token, __ATOMIC_RELAXED);
}

void kp_pool_disown(kp_pool *pool)
{
	KP_ASSERT(pool_is_owner(pool));
	__atomic_store_n(&pool->owner, NULL, __ATOMIC_RELAXED);
}

static void block_free(kp_pool *pool, kp_block *b)
{
	BUF_UNPOISON(b + 1, b->cap);
	kp_mem_free(&pool->store, b);
}

/* The class of this capacity, BUF_CLASSES when larger than all. */
static size_t block_class(size_t cap)
{
	if (cap <= BUF_FIRST)
		return 0;
	if (cap > KP_BLOCK_FRAME)
		return BUF_CLASSES;
	unsigned top = 63u - (unsigned)__builtin_clzll((unsigned long long)(cap - 1));
	size_t step = (cap - 1) >> (top - BUF_STEPS_LOG) & (BUF_STEPS - 1);
	return (top - BUF_FIRST_LOG) * BUF_STEPS + step + 1;
}

static size_t class_cap(size_t class)
{
	if (class == BUF_CLASSES - 1)
		return KP_BLOCK_FRAME;
	size_t step = class % BUF_STEPS, doubling = class / BUF_STEPS;
	return (BUF_STEPS + step) << (BUF_FIRST_LOG - BUF_STEPS_LOG + doubling);
}

size_t kp_block_cap(size_t n)
{
	size_t class = block_class(n);
	return class < BUF_CLASSES ? class_cap(class) : n;
}

static void block_recycle(kp_pool *pool, kp_block *b)
{
	size_t i = block_class(b->cap);
	if (i == BUF_CLASSES || pool->spare + b->cap > BUF_SPARE_MAX ||
	    (pool->free[i].n + 1) * (size_t)b->cap > BUF_SPARE_CLASS_MAX) {
		block_free(pool, b);
		return;
	}
	KP_ASSERT(b->cap == class_cap(i));
	b->next = pool->free[i].head;
	pool->free[i].head = b;
	pool->free[i].n++;
	pool->spare += b->cap;
}

/* A free block of the class; there must be one. */
static kp_block *pool_pop_free(kp_pool *pool, size_t class)
{
	struct buf_free_list *l = &pool->free[class];
	kp_block *b = l->head;
	l->head = b->next;
	l->n--;
	l->low = KP_MIN(l->low, l->n);
	pool->spare -= b->cap;
	return b;
}

static void pool_take_returns(kp_pool *pool)
{
	kp_block *b = __atomic_exchange_n(&pool->returns, (kp_block *)NULL, __ATOMIC_ACQUIRE);
	while (b != NULL) {
		kp_block *next = b->next;
		__atomic_sub_fetch(&pool->returns_n, 1, __ATOMIC_RELAXED);
		block_recycle(pool, b);
		b = next;
	}
}

static void pool_free_lists(kp_pool *pool)
{
	pool_take_returns(pool);
	for (size_t i = 0; i < BUF_CLASSES; i++) {
		while (pool->free[i].n > 0)
			block_free(pool, pool_pop_free(pool, i));
	}
	KP_ASSERT(pool->spare == 0);
}

/* Gives back `share` of refs; who gives back the last one destroys the pool. */
static void pool_put(kp_pool *pool, uint64_t share)
{
	uint64_t left = __atomic_sub_fetch(&pool->refs, share, __ATOMIC_ACQ_REL);
	if (left != 0)
		return;
	pool_free_lists(pool); /* a release that raced with the closing may have pushed its block */
	KP_ASSERT(pool->mem.bytes == 0);
	kp_mem store = pool->store;
	kp_mem_free(&store, pool);
	KP_ASSERT(store.bytes == 0);
}

void kp_pool_close(kp_pool *pool)
{
	KP_ASSERT(pool_is_open(pool));
	pool_free_lists(pool);
	pool_put(pool, BUF_POOL_OPEN);
}

void kp_pool_drain(kp_pool *pool)
{
	KP_ASSERT(pool_is_owner(pool));
	if (__atomic_load_n(&pool->returns, __ATOMIC_RELAXED) != NULL)
		pool_take_returns(pool);
}

void kp_pool_trim(kp_pool *pool)
{
	KP_ASSERT(pool_is_owner(pool));
	for (size_t i = 0; i < BUF_CLASSES; i++) {
		struct buf_free_list *l = &pool->free[i];
		for (uint32_t n = (l->low + 1) / 2; n > 0; n--)
			block_free(pool, pool_pop_free(pool, i));
		l->low = l->n;
	}
}

uint64_t kp_pool_bytes_spare(const kp_pool *pool)
{
	return pool->spare;
}

uint64_t kp_pool_blocks_live(const kp_pool *pool)
{
	return __atomic_load_n(&pool->refs, __ATOMIC_ACQUIRE) & (BUF_POOL_OPEN - 1);
}

uint64_t kp_pool_bytes_live(const kp_pool *pool)
{
	return __atomic_load_n(&pool->mem.bytes, __ATOMIC_RELAXED);
}

kp_mem *kp_pool_mem(kp_pool *pool)
{
	return &pool->mem;
}

static kp_block *pool_take_free(kp_pool *pool, size_t class)
{
	if (class == BUF_CLASSES || !pool_is_owner(pool))
		return NULL;
	if (pool->free[class].n == 0)
		kp_pool_drain(pool);
	if (pool->free[class].n == 0)
		return NULL;
	kp_block *b = pool_pop_free(pool, class);
	BUF_UNPOISON(b + 1, b->cap);
	return b;
}

kp_block *kp_block_new(kp_pool *pool, size_t cap)
{
	KP_ASSERT(pool_is_open(pool));
	size_t class = block_class(cap);
	if (class < BUF_CLASSES)
		cap = class_cap(class);
	/* Charged also when recycled: the same calls fail in every run of a failure sweep. */
	if (cap > UINT32_MAX - sizeof(kp_block) ||
	    !kp_mem_charge(&pool->mem, sizeof(kp_block) + cap))
		return NULL;
	kp_block *b = pool_take_free(pool, class);
	if (b == NULL)
		b = (kp_block *)kp_mem_alloc_raw(&pool->store, sizeof *b + cap);
	if (b == NULL) {
		kp_mem_refund(&pool->mem, sizeof *b + cap);
		return NULL;
	}
	b->pool = pool;
	b->next = NULL;
	b->refs = 1;
	b->cap = (uint32_t)cap;
	__atomic_add_fetch(&pool->refs, 1, __ATOMIC_RELAXED);
	return b;
}

kp_block *kp_block_ref(kp_block *b)
{
	uint32_t before = __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
	KP_ASSERT(before > 0 && before < UINT32_MAX);
	return b;
}

static void pool_push_return(kp_pool *pool, kp_block *b)
{
	b->next = __atomic_load_n(&pool->returns, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&pool->returns, &b->next, b, true, __ATOMIC_RELEASE,
	                                    __ATOMIC_RELAXED))
		; /* another thread pushed first: b->next was reloaded */
}

static void block_release(kp_block *b)
{
	kp_pool *pool = b->pool;
	kp_mem_refund(&pool->mem, sizeof *b + b->cap);
	BUF_POISON(b + 1, b->cap);
	if (!pool_is_open(pool)) {
		block_free(pool, b);
	} else if (pool_is_owner(pool)) {
		block_recycle(pool, b);
	} else if (__atomic_add_fetch(&pool->returns_n, 1, __ATOMIC_RELAXED) <= BUF_RETURNS_MAX) {
		pool_push_return(pool, b);
	} else {
		__atomic_sub_fetch(&pool->returns_n, 1, __ATOMIC_RELAXED);
		block_free(pool, b);
	}
	pool_put(pool, 1);
}

void kp_block_unref(kp_block *b)
{
	if (b == NULL)
		return;
	uint32_t before = __atomic_fetch_sub(&b->refs, 1, __ATOMIC_ACQ_REL);
	KP_ASSERT(before > 0);
	if (before == 1)
		block_release(b);
}

kp_ref kp_ref_copy(kp_pool *pool, kp_slice s)
{
	if (s.n == 0)
		return kp_ref_none();
	kp_block *b = kp_block_new(pool, s.n);
	if (b == NULL)
		return kp_ref_none();
	memcpy(kp_block_bytes(b), s.p, s.n);
	return kp_ref_take(b, 0, s.n);
}
