/* The running hash over trace points and the hand-over to the host's sink. */
#include "base/trace.h"

static const struct trace_row {
	const char *text;
	kp_level level;
} trace_rows[] = {
#define TRACE_ROW(name, level, text) {(text), KP_LEVEL_##level},
        KP_TRACE_POINTS(TRACE_ROW)
#undef TRACE_ROW
};

_Static_assert(KP_COUNT_OF(trace_rows) == KP_TRACE_COUNT, "one row per point");

void kp_trace_init(kp_trace *t)
{
	memset(t, 0, sizeof *t);
	t->level = KP_LEVEL_ERROR;
}

/* One round of splitmix64: every bit of x reaches every bit of the hash, and order counts. */
static uint64_t trace_fold(uint64_t hash, uint64_t x)
{
	uint64_t z = (hash ^ x) + UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void kp_trace_emit(kp_trace *t, kp_trace_point point, uint64_t a, uint64_t b, uint64_t c)
{
	KP_ASSERT((unsigned)point < KP_TRACE_COUNT);
	uint64_t h = trace_fold(t->hash, (uint64_t)point);
	h = trace_fold(h, a);
	h = trace_fold(h, b);
	t->hash = trace_fold(h, c);
	t->count++;
	if (t->sink != NULL && trace_rows[point].level <= t->level)
		t->sink(t->sink_ctx, point, a, b, c);
}

const char *kp_trace_text(kp_trace_point point)
{
	return (unsigned)point < KP_TRACE_COUNT ? trace_rows[point].text : "unknown trace point";
}

kp_level kp_trace_level(kp_trace_point point)
{
	return (unsigned)point < KP_TRACE_COUNT ? trace_rows[point].level : KP_LEVEL_DEBUG;
}
