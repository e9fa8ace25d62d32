/* Borrowed views of bytes. A slice dies with the call that received it; who keeps bytes keeps a
 * kp_ref (buf.h) or a copy. */
#ifndef KP_BASE_SLICE_H
#define KP_BASE_SLICE_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Read-only. p == NULL means "missing", n == 0 with p != NULL means "empty". */
typedef struct kp_slice {
	const uint8_t *p;
	size_t n;
} kp_slice;

/* Writable, used where a layer works in place (decryption) or consumes from the front. */
typedef struct kp_span {
	uint8_t *p;
	size_t n;
} kp_span;

static inline kp_slice kp_slice_of(const void *p, size_t n)
{
	kp_slice s = {(const uint8_t *)p, n};
	return s;
}

static inline kp_slice kp_slice_str(const char *text)
{
	return kp_slice_of(text, strlen(text));
}

static inline kp_slice kp_slice_none(void)
{
	return kp_slice_of(NULL, 0);
}

static inline bool kp_slice_eq(kp_slice a, kp_slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool kp_slice_eq_str(kp_slice a, const char *text)
{
	return kp_slice_eq(a, kp_slice_str(text));
}

/* Takes n ≤ s->n bytes off the front and returns them. */
static inline kp_slice kp_slice_take(kp_slice *s, size_t n)
{
	KP_ASSERT(n <= s->n);
	kp_slice head = kp_slice_of(s->p, n);
	s->p += n;
	s->n -= n;
	return head;
}

/* A writer into bounded space. Writing past the end sets `full` and stores nothing more; callers
 * check once at the end. A NULL p counts only (n = bytes that would be needed, never full). */
typedef struct kp_writer {
	uint8_t *p;
	size_t n;
	size_t cap;
	bool full;
} kp_writer;

static inline kp_writer kp_writer_of(void *p, size_t cap)
{
	kp_writer w = {(uint8_t *)p, 0, cap, false};
	return w;
}

static inline void kp_write(kp_writer *w, const void *bytes, size_t n)
{
	if (w->p != NULL && (w->full || n > w->cap - w->n)) {
		w->full = true;
		return;
	}
	if (w->p != NULL && n > 0)
		memcpy(w->p + w->n, bytes, n);
	w->n += n;
}

static inline void kp_write_slice(kp_writer *w, kp_slice s)
{
	kp_write(w, s.p, s.n);
}

static inline void kp_write_u8(kp_writer *w, uint8_t b)
{
	kp_write(w, &b, 1);
}

static inline void kp_write_str(kp_writer *w, const char *text)
{
	kp_write(w, text, strlen(text));
}

#ifdef __cplusplus
}
#endif
#endif
