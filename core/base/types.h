/* The few types and macros every file of the core uses. No protocol knowledge, libc only. */
#ifndef KP_BASE_TYPES_H
#define KP_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A bug of ours: prints where and aborts, in release builds too. Never for what a peer or the
 * application can cause. */
#define KP_ASSERT(cond) ((cond) ? (void)0 : kp_assert_failed(#cond, __FILE__, __LINE__))

#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void kp_assert_failed(const char *cond, const char *file, int line);

/* The object of type `type` whose `member` is at `ptr`. */
#define KP_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define KP_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define KP_MIN(a, b)       ((a) < (b) ? (a) : (b))
#define KP_MAX(a, b)       ((a) > (b) ? (a) : (b))

/* Names an object that the network may end at any time (connection, listener, resolve request).
 * gen is never 0 for a live object, so {0, 0} names nothing; a stale id is ignored and counted. */
typedef struct kp_id {
	uint32_t slot;
	uint32_t gen;
} kp_id;

static inline bool kp_id_eq(kp_id a, kp_id b)
{
	return a.slot == b.slot && a.gen == b.gen;
}

static inline bool kp_id_none(kp_id id)
{
	return id.gen == 0;
}

/* Monotonic time in nanoseconds, as data: only a host (rt or sim) ever reads a clock. */
typedef uint64_t kp_time;

#define KP_NEVER  UINT64_MAX
#define KP_US(n)  ((kp_time)(n)*UINT64_C(1000))
#define KP_MS(n)  ((kp_time)(n)*UINT64_C(1000000))
#define KP_SEC(n) ((kp_time)(n)*UINT64_C(1000000000))

/* t + d that stays at KP_NEVER instead of wrapping. */
static inline kp_time kp_time_add(kp_time t, kp_time d)
{
	return d > KP_NEVER - t ? KP_NEVER : t + d;
}

/* a - b that stays at 0 instead of wrapping. */
static inline kp_time kp_time_sub(kp_time a, kp_time b)
{
	return a > b ? a - b : 0;
}

#ifdef __cplusplus
}
#endif
#endif
