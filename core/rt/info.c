/* kp_rt_info: the engine's JSON with the host's numbers, and the snapshot for after the end. */
#include "rt/node.h"

#include <stdio.h>

static const char *const info_host_names[KP_RT_SNAPS] = {
        "self",  "addresses", "peers",   "topics",       "routing",
        "stats", "config",    "peer_id", "listen_addrs",
};

#define INFO_STATS 12u
#define INFO_SLACK 256u

static void info_host_stat(kp_host_stat *s, size_t *n, const char *name, uint64_t value)
{
	KP_ASSERT(*n < INFO_STATS);
	s[*n].name = name;
	s[(*n)++].value = value;
}

static size_t info_host_stats(kp_rt *rt, kp_host_stat s[INFO_STATS])
{
	size_t n = 0;
	kp_rt_inbox_stats in;
	kp_rt_inbox_get_stats(&rt->inbox, &in);
	info_host_stat(s, &n, "inbox_messages", in.waiting);
	info_host_stat(s, &n, "inbox_bytes", in.bytes);
	info_host_stat(s, &n, "inbox_offered", in.offered);
	info_host_stat(s, &n, "inbox_delivered", in.delivered);
	info_host_stat(s, &n, "inbox_dropped", in.dropped);
	pthread_mutex_lock(&rt->cmd.lock);
	info_host_stat(s, &n, "outbox_messages", rt->cmd.n);
	info_host_stat(s, &n, "outbox_bytes", rt->cmd.bytes);
	info_host_stat(s, &n, "outbox_accepted", rt->cmd.accepted);
	info_host_stat(s, &n, "outbox_refused", rt->cmd.refusals);
	pthread_mutex_unlock(&rt->cmd.lock);
	info_host_stat(s, &n, "loop_turns", rt->turns);
	info_host_stat(s, &n, "accept_errors", rt->tcp.accept_errors);
	info_host_stat(s, &n, "stale_actions", rt->tcp.stale_actions);
	return n;
}

static kp_err info_host_copy(kp_mem *mem, const char *text, char **out)
{
	size_t n = strlen(text) + 1;
	*out = (char *)kp_mem_alloc(mem, n);
	if (*out == NULL)
		return KP_E_NOMEM;
	memcpy(*out, text, n);
	return KP_OK;
}

/* Loop thread; before start, who holds `life`. */
kp_err kp_rt_info_now(kp_rt *rt, kp_slice what, kp_mem *mem, char **out)
{
	*out = NULL;
	if (kp_slice_eq_str(what, "version"))
		return info_host_copy(mem, kp_rt_version(), out);
	if (kp_slice_eq_str(what, "threads")) {
		char text[16];
		bool runs = __atomic_load_n(&rt->loop_thread, __ATOMIC_ACQUIRE) != 0;
		snprintf(text, sizeof text, "%u", runs ? rt->jobs.n_threads + 1 : 0);
		return info_host_copy(mem, text, out);
	}
	kp_host_stat stats[INFO_STATS];
	size_t n = info_host_stats(rt, stats);
	kp_writer w = kp_writer_of(NULL, 0);
	kp_err err = kp_engine_info(rt->e, kp_rt_now(), what, stats, n, &w);
	while (err == KP_OK) {
		/* numbers that other threads change may have become longer when it is written */
		size_t cap = w.n + INFO_SLACK;
		char *text = (char *)kp_mem_alloc(mem, cap + 1);
		if (text == NULL)
			return KP_E_NOMEM;
		w = kp_writer_of(text, cap);
		err = kp_engine_info(rt->e, kp_rt_now(), what, stats, n, &w);
		if (err == KP_OK && !w.full) {
			text[w.n] = '\0';
			*out = text;
			return KP_OK;
		}
		kp_mem_free(mem, text);
		w.n = cap;
	}
	return err;
}

/* Taken when the end begins, while addresses and peers are still there; at the end once more for
 * the final numbers, and for a node that never ran. */
void kp_rt_info_snapshot(kp_rt *rt)
{
	for (size_t i = 0; i < KP_RT_SNAPS; i++) {
		char *text;
		bool final = strcmp(info_host_names[i], "stats") == 0;
		if (rt->snaps[i] != NULL && !final)
			continue;
		if (kp_rt_info_now(rt, kp_slice_str(info_host_names[i]), &rt->mem, &text) != KP_OK)
			continue;
		kp_mem_free(&rt->mem, rt->snaps[i]);
		rt->snaps[i] = text;
	}
}

void kp_rt_info_free(kp_rt *rt)
{
	for (size_t i = 0; i < KP_RT_SNAPS; i++)
		kp_mem_free(&rt->mem, rt->snaps[i]);
}

/* After the end. */
static kp_err info_host_last(kp_rt *rt, kp_slice what, kp_mem *mem, char **out)
{
	if (kp_slice_eq_str(what, "version"))
		return info_host_copy(mem, kp_rt_version(), out);
	if (kp_slice_eq_str(what, "threads"))
		return info_host_copy(mem, "0", out);
	for (size_t i = 0; i < KP_RT_SNAPS; i++) {
		if (kp_slice_eq_str(what, info_host_names[i]))
			return rt->snaps[i] != NULL ? info_host_copy(mem, rt->snaps[i], out)
			                            : KP_E_NOMEM;
	}
	return KP_E_INVAL;
}

kp_err kp_rt_info(kp_rt *rt, kp_slice what, kp_mem *mem, char **out)
{
	*out = NULL;
	if (kp_rt_on_loop_thread(rt))
		return KP_E_STATE; /* inside a wake-up callback: the loop would wait for itself */
	if (kp_rt_get_state(rt) == RT_NEW) {
		kp_err err = KP_E_CLOSED;
		pthread_mutex_lock(&rt->life); /* waits while somebody starts the node */
		bool unstarted = kp_rt_get_state(rt) == RT_NEW;
		if (unstarted)
			err = kp_rt_info_now(rt, what, mem, out);
		pthread_mutex_unlock(&rt->life);
		if (unstarted)
			return err;
	}
	kp_err err = kp_rt_cmd_ask(&rt->cmd, what, mem, out);
	return err == KP_E_CLOSED ? info_host_last(rt, what, mem, out) : err;
}
