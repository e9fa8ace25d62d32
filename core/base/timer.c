/* The binary heap of timers, 0-based inside, with the place of each timer kept in it (1-based). */
#include "base/timer.h"

void kp_timers_init(kp_timers *ts, kp_mem *mem)
{
	memset(ts, 0, sizeof *ts);
	ts->mem = mem;
}

void kp_timers_fini(kp_timers *ts)
{
	KP_ASSERT(ts->n == 0);
	kp_mem_free(ts->mem, ts->heap);
	memset(ts, 0, sizeof *ts);
}

void kp_timer_init(kp_timer *t, kp_timer_fn fire)
{
	KP_ASSERT(fire != NULL);
	memset(t, 0, sizeof *t);
	t->fire = fire;
}

kp_err kp_timers_reserve(kp_timers *ts, uint32_t n)
{
	KP_ASSERT(n <= UINT32_MAX / 2 - ts->cap);
	if (ts->cap + n > ts->room) {
		uint32_t room = KP_MAX(KP_MAX(ts->room * 2, ts->cap + n), 16u);
		kp_timer **heap = (kp_timer **)kp_mem_grow(ts->mem, ts->heap, room * sizeof *heap);
		if (heap == NULL)
			return KP_E_NOMEM;
		ts->heap = heap;
		ts->room = room;
	}
	ts->cap += n;
	return KP_OK;
}

void kp_timers_release(kp_timers *ts, uint32_t n)
{
	KP_ASSERT(n <= ts->cap && ts->n <= ts->cap - n);
	ts->cap -= n;
}

static bool timer_before(const kp_timer *a, const kp_timer *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void timer_place(kp_timers *ts, kp_timer *t, uint32_t i)
{
	ts->heap[i] = t;
	t->pos = i + 1;
}

static void timer_sift_up(kp_timers *ts, kp_timer *t, uint32_t i)
{
	while (i > 0) {
		uint32_t up = (i - 1) / 2;
		if (!timer_before(t, ts->heap[up]))
			break;
		timer_place(ts, ts->heap[up], i);
		i = up;
	}
	timer_place(ts, t, i);
}

static void timer_sift_down(kp_timers *ts, kp_timer *t, uint32_t i)
{
	for (;;) {
		uint32_t kid = 2 * i + 1;
		if (kid >= ts->n)
			break;
		if (kid + 1 < ts->n && timer_before(ts->heap[kid + 1], ts->heap[kid]))
			kid++;
		if (!timer_before(ts->heap[kid], t))
			break;
		timer_place(ts, ts->heap[kid], i);
		i = kid;
	}
	timer_place(ts, t, i);
}

void kp_timer_unset(kp_timers *ts, kp_timer *t)
{
	if (t->pos == 0)
		return;
	uint32_t i = t->pos - 1;
	KP_ASSERT(i < ts->n && ts->heap[i] == t);
	t->pos = 0;
	kp_timer *last = ts->heap[--ts->n];
	if (last == t)
		return;
	if (i > 0 && timer_before(last, ts->heap[(i - 1) / 2]))
		timer_sift_up(ts, last, i);
	else
		timer_sift_down(ts, last, i);
}

void kp_timer_set(kp_timers *ts, kp_timer *t, kp_time at)
{
	KP_ASSERT(t->fire != NULL);
	kp_timer_unset(ts, t);
	if (at == KP_NEVER)
		return;
	KP_ASSERT(ts->n < ts->cap);
	t->at = KP_MAX(at, ts->floor);
	t->seq = ts->seq++;
	timer_sift_up(ts, t, ts->n++);
}

kp_time kp_timers_next(const kp_timers *ts)
{
	return ts->n > 0 ? ts->heap[0]->at : KP_NEVER;
}

void kp_timers_run(kp_timers *ts, kp_time now)
{
	KP_ASSERT(now < KP_NEVER - 1 && ts->floor == 0);
	ts->floor = now + 1;
	/* Bounded: what is set from here on is due after now. */
	while (ts->n > 0 && ts->heap[0]->at <= now) {
		kp_timer *t = ts->heap[0];
		kp_timer_unset(ts, t);
		t->fire(t, now);
	}
	ts->floor = 0;
}
