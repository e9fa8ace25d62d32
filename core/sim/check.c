#include "sim/check.h"

#include <stdarg.h>
#include <stdio.h>

void sim_check_init(sim_check *c, kp_mem *mem, unsigned nodes, kp_time remembered)
{
	memset(c, 0, sizeof *c);
	c->mem = mem;
	c->nodes = nodes;
	c->remembered = remembered;
}

void sim_check_fini(sim_check *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		kp_mem_free(c->mem, c->messages[i].copies);
	kp_mem_free(c->mem, c->messages);
	kp_mem_free(c->mem, c->all.ms);
	kp_mem_free(c->mem, c->late.ms);
}

void sim_check_fail(sim_check *c, const char *format, ...)
{
	va_list args;
	if (c->violation[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(c->violation, sizeof c->violation, format, args);
	va_end(args);
}

uint32_t sim_check_published(sim_check *c, kp_time now, uint32_t from)
{
	if (c->n == c->cap) {
		uint32_t cap = c->cap ? c->cap * 2 : 256;
		sim_message *grown = kp_mem_grow(c->mem, c->messages, cap * sizeof *grown);
		if (grown == NULL)
			return UINT32_MAX;
		c->messages = grown;
		c->cap = cap;
	}
	sim_message *m = &c->messages[c->n];
	memset(m, 0, sizeof *m);
	m->copies = kp_mem_alloc(c->mem, c->nodes * sizeof *m->copies);
	if (m->copies == NULL)
		return UINT32_MAX;
	m->at = now;
	m->from = from;
	return c->n++;
}

static void check_latency(sim_check *c, sim_latencies *l, float ms)
{
	if (l->n == l->cap) {
		uint64_t cap = l->cap ? l->cap * 2 : 4096;
		float *grown = kp_mem_grow(c->mem, l->ms, cap * sizeof *grown);
		if (grown == NULL)
			return;
		l->ms = grown;
		l->cap = cap;
	}
	l->ms[l->n++] = ms;
}

void sim_check_delivered(sim_check *c, kp_time now, uint32_t node, uint32_t life, uint64_t message)
{
	if (message >= c->n) {
		sim_check_fail(c, "node %u delivered message %llu, which nobody published", node,
		               (unsigned long long)message);
		return;
	}
	const sim_message *m = &c->messages[message];
	sim_copy *copy = &m->copies[node];
	uint8_t mark = (uint8_t)(life % UINT8_MAX + 1);
	float ms = (float)((double)(now - m->at) / 1e6);
	if (m->from == node)
		sim_check_fail(c, "node %u was given its own message %llu", node,
		               (unsigned long long)message);
	if (copy->life == mark && now - m->at < c->remembered && c->repeats++ == 0)
		snprintf(c->repeat, sizeof c->repeat,
		         "node %u was given message %llu twice, %.1f and %.1f s old", node,
		         (unsigned long long)message, (double)copy->last_ms / 1e3,
		         (double)ms / 1e3);
	if (copy->life == 0)
		copy->ms = ms;
	copy->last_ms = ms;
	copy->life = mark;
}

void sim_check_repeats(sim_check *c, uint64_t forgotten)
{
	if (c->repeats > forgotten)
		sim_check_fail(c, "%s", c->repeat);
}

void sim_check_expected(sim_check *c, uint32_t node, uint32_t message, bool late,
                        const kp_sim_expect *expect, kp_sim_report *r)
{
	const sim_message *m = &c->messages[message];
	const sim_copy *copy = &m->copies[node];
	double at = (double)m->at / 1e9;
	r->all.expected++;
	r->late.expected += late;
	if (copy->life == 0) {
		if (expect->delivery >= 1.0)
			sim_check_fail(c, "node %u was not given message %u of node %u at %.3f s",
			               node, message, m->from, at);
		return;
	}
	r->all.delivered++;
	check_latency(c, &c->all, copy->ms);
	if (late) {
		r->late.delivered++;
		check_latency(c, &c->late, copy->ms);
	}
	if (expect->latency_ms > 0 && (double)copy->ms > expect->latency_ms)
		sim_check_fail(c, "node %u was given message %u of node %u at %.3f s after %.0f ms",
		               node, message, m->from, at, (double)copy->ms);
}

/* Shell sort: no recursion, and total order since latencies are plain numbers. */
static void check_sort(float *a, uint64_t n)
{
	for (uint64_t gap = n / 2; gap > 0; gap /= 2) {
		for (uint64_t i = gap; i < n; i++) {
			float v = a[i];
			uint64_t j = i;
			for (; j >= gap && a[j - gap] > v; j -= gap)
				a[j] = a[j - gap];
			a[j] = v;
		}
	}
}

static void check_figures(sim_latencies *l, kp_sim_figures *f)
{
	f->delivery_ratio = f->expected ? (double)f->delivered / (double)f->expected : 1.0;
	if (l->n == 0)
		return;
	check_sort(l->ms, l->n);
	f->latency_ms_p50 = (double)l->ms[l->n / 2];
	f->latency_ms_p90 = (double)l->ms[l->n * 9 / 10];
	f->latency_ms_p99 = (double)l->ms[l->n * 99 / 100];
	f->latency_ms_max = (double)l->ms[l->n - 1];
}

static void check_share(sim_check *c, const kp_sim_figures *f, double share, const char *when)
{
	if (f->delivery_ratio < share)
		sim_check_fail(c, "%llu of %llu deliveries%s, less than %.3f %%",
		               (unsigned long long)f->delivered, (unsigned long long)f->expected,
		               when, 100 * share);
}

void sim_check_figures(sim_check *c, const kp_sim_expect *expect, kp_sim_report *r)
{
	check_figures(&c->all, &r->all);
	check_figures(&c->late, &r->late);
	if (expect->struck && ((expect->delivery > 0 && r->all.expected == 0) ||
	                       (expect->late_delivery > 0 && r->late.expected == 0)))
		sim_check_fail(c, "no delivery counts, so nothing was proved");
	check_share(c, &r->all, expect->delivery, "");
	check_share(c, &r->late, expect->late_delivery, " at the end");
	if (expect->late_ms_p99 > 0 && r->late.latency_ms_p99 > expect->late_ms_p99)
		sim_check_fail(c, "one of a hundred deliveries at the end took %.0f ms or more",
		               r->late.latency_ms_p99);
}
