#include "sim/check.h"

#include <stdarg.h>
#include <stdio.h>

void sim_check_init(sim_check *c, kp_mem *mem, unsigned nodes)
{
	memset(c, 0, sizeof *c);
	c->mem = mem;
	c->nodes = nodes;
}

void sim_check_fini(sim_check *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		kp_mem_free(c->mem, c->messages[i].copies);
	kp_mem_free(c->mem, c->messages);
	kp_mem_free(c->mem, c->latency_ms);
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

static void check_latency(sim_check *c, float ms)
{
	if (c->n_latency == c->cap_latency) {
		uint64_t cap = c->cap_latency ? c->cap_latency * 2 : 4096;
		float *grown = kp_mem_grow(c->mem, c->latency_ms, cap * sizeof *grown);
		if (grown == NULL)
			return;
		c->latency_ms = grown;
		c->cap_latency = cap;
	}
	c->latency_ms[c->n_latency++] = ms;
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
	if (m->from == node)
		sim_check_fail(c, "node %u was given its own message %llu", node,
		               (unsigned long long)message);
	if (copy->life == mark)
		sim_check_fail(c, "node %u was given message %llu twice", node,
		               (unsigned long long)message);
	if (copy->life == 0)
		copy->ms = (float)((double)(now - m->at) / 1e6);
	copy->life = mark;
}

void sim_check_expected(sim_check *c, uint32_t node, uint32_t message, const kp_sim_expect *expect,
                        kp_sim_report *r)
{
	const sim_message *m = &c->messages[message];
	const sim_copy *copy = &m->copies[node];
	double at = (double)m->at / 1e9;
	r->expected++;
	if (copy->life == 0) {
		if (expect->delivery >= 1.0)
			sim_check_fail(c, "node %u was not given message %u of node %u at %.3f s",
			               node, message, m->from, at);
		return;
	}
	r->delivered++;
	check_latency(c, copy->ms);
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

void sim_check_figures(sim_check *c, const kp_sim_expect *expect, kp_sim_report *r)
{
	r->delivery_ratio = r->expected ? (double)r->delivered / (double)r->expected : 1.0;
	if (expect->struck && expect->delivery > 0 && r->expected == 0)
		sim_check_fail(c, "no delivery counts, so nothing was proved");
	if (r->delivery_ratio < expect->delivery)
		sim_check_fail(c, "%llu of %llu deliveries, less than %.3f %%",
		               (unsigned long long)r->delivered, (unsigned long long)r->expected,
		               100 * expect->delivery);
	if (c->n_latency == 0)
		return;
	check_sort(c->latency_ms, c->n_latency);
	r->latency_ms_p50 = (double)c->latency_ms[c->n_latency / 2];
	r->latency_ms_p90 = (double)c->latency_ms[c->n_latency * 9 / 10];
	r->latency_ms_p99 = (double)c->latency_ms[c->n_latency * 99 / 100];
	r->latency_ms_max = (double)c->latency_ms[c->n_latency - 1];
}
