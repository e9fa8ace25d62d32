/* The engine's trace points as LOG events and, with KP2P_LOG=stderr in the environment, as lines of
 * key=value on stderr; and the STATS event. Off unless asked for. */
#include "rt/node.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const log_levels[] = {"error", "warn", "info", "debug"};

static void log_line(const kp_rt *rt, kp_level level, const char *text)
{
	int64_t ms = kp_rt_wall() / 1000000;
	fprintf(stderr, "ts=%lld.%03lld node=%lld level=%s msg=\"%s\"\n", (long long)(ms / 1000),
	        (long long)(ms % 1000), (long long)kp_rt_stop_id(rt), log_levels[level], text);
}

static void log_event(kp_rt *rt, kp_level level, const char *text)
{
	kp_slice s = kp_slice_str(text);
	kp_event *ev = kp_event_new(rt->pool, KP_EV_LOG, s.n);
	if (ev == NULL)
		return; /* memory is short: the stats say so */
	ev->code = (int32_t)level;
	ev->time_ns = kp_rt_wall();
	kp_event_copy(ev, KP_F_TEXT, s);
	kp_rt_loop_emit(rt, ev);
}

void kp_rt_log_take(kp_rt *rt, kp_event *ev)
{
	char text[1024];
	kp_slice s = ev->f[KP_F_TEXT];
	snprintf(text, sizeof text, "%.*s", (int)s.n, (const char *)s.p);
	if (rt->log_stderr)
		log_line(rt, (kp_level)ev->code, text);
	if ((rt->s->events & KP_EVENTS_LOG) != 0)
		kp_rt_loop_emit(rt, ev);
	else
		kp_event_free(ev);
}

static void log_sink(void *ctx, kp_trace_point point, uint64_t a, uint64_t b, uint64_t c)
{
	kp_rt *rt = (kp_rt *)ctx;
	char text[200];
	kp_level level = kp_trace_level(point);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof text, kp_trace_text(point), (unsigned long long)a,
	         (unsigned long long)b, (unsigned long long)c);
#pragma GCC diagnostic pop
	if (rt->log_stderr)
		log_line(rt, level, text);
	if ((rt->s->events & KP_EVENTS_LOG) != 0)
		log_event(rt, level, text);
}

void kp_rt_log_open(kp_rt *rt)
{
	const char *where = getenv("KP2P_LOG");
	rt->log_stderr = where != NULL && strcmp(where, "stderr") == 0;
	if (rt->s->log_off || (!rt->log_stderr && (rt->s->events & KP_EVENTS_LOG) == 0))
		return;
	kp_trace *t = kp_engine_env(rt->e)->trace;
	t->level = rt->s->log_level;
	t->sink_ctx = rt;
	t->sink = log_sink;
}

void kp_rt_log_stats(kp_rt *rt, kp_time now)
{
	char *json;
	if (now < rt->stats_at)
		return;
	rt->stats_at = kp_time_add(now, rt->s->stats_interval_ns);
	if (kp_rt_info_now(rt, kp_slice_str("stats"), &rt->mem, &json) != KP_OK)
		return;
	kp_slice s = kp_slice_str(json);
	kp_event *ev = kp_event_new(rt->pool, KP_EV_STATS, s.n);
	if (ev != NULL) {
		ev->time_ns = kp_rt_wall();
		kp_event_copy(ev, KP_F_TEXT, s);
		kp_rt_loop_emit(rt, ev);
	}
	kp_mem_free(&rt->mem, json);
}
