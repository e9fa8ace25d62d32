/* What the benchmark programs share: failing loudly, clocks, and one node from a few options. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <karakp2p.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static inline void bench_must(int r, kp2p_error *e, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, e ? kp2p_error_message(e) : kp2p_strerror(r));
	exit(1);
}

static inline double bench_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* User and system CPU time of this process, milliseconds. */
static inline double bench_cpu_ms(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static inline void bench_set(kp2p_config *c, const char *key, const char *value)
{
	kp2p_error *e = NULL;
	int r = kp2p_config_set(c, key, value, &e);
	bench_must(r, e, key);
}

static inline kp2p_node *bench_start(kp2p_config *c)
{
	kp2p_error *e = NULL;
	kp2p_node *n = kp2p_node_new(c, &e);
	bench_must(n ? 0 : KP2P_EINTERNAL, e, "node");
	int r = kp2p_node_start(n, &e);
	bench_must(r, e, "start");
	return n;
}

#endif
