/* Listeners, our own addresses, and the two forms of a transport address. A listener's id is its
 * place in the settings, generation 1. */
#include "engine/engine.h"

bool kp_addr_eq(const kp_addr *a, const kp_addr *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->ip, b->ip, a->family == 4 ? 4 : 16) == 0;
}

kp_ip_scope kp_addr_scope(const kp_addr *a)
{
	return kp_ip_scope_of(a->family, a->ip);
}

bool kp_addr_of_maddr(const kp_maddr *m, kp_addr *out)
{
	kp_maddr_target t;
	if (!kp_maddr_tcp_target(m, &t) || (t.kind != KP_MADDR_IP4 && t.kind != KP_MADDR_IP6))
		return false;
	memset(out, 0, sizeof *out);
	out->family = t.kind == KP_MADDR_IP4 ? 4 : 6;
	memcpy(out->ip, t.ip, sizeof out->ip);
	out->port = t.port;
	return true;
}

void kp_addr_to_maddr(const kp_addr *a, kp_maddr *out)
{
	kp_maddr_from_ip(a->family, a->ip, a->port, out);
}

void kp_listen_start(kp_engine *e)
{
	for (size_t i = 0; i < e->s->n_listen; i++) {
		kp_listener *n = &e->listeners[i];
		bool ok = kp_addr_of_maddr(&e->s->listen[i], &n->addr);
		KP_ASSERT(ok); /* config.c lets nothing else through */
		n->ask = true;
	}
}

void kp_listen_stop(kp_engine *e)
{
	for (size_t i = 0; i < e->s->n_listen; i++) {
		kp_listener *n = &e->listeners[i];
		n->unask = n->asked && (n->bound || !n->answered);
		n->ask = false;
	}
}

bool kp_listen_emit(kp_engine *e, kp_act *out)
{
	for (size_t i = 0; i < e->s->n_listen; i++) {
		kp_listener *n = &e->listeners[i];
		if (!n->ask && !n->unask)
			continue;
		out->id.slot = (uint32_t)i;
		out->id.gen = 1;
		out->kind = n->ask ? KP_ACT_LISTEN : KP_ACT_UNLISTEN;
		out->u.addr = n->addr;
		n->asked = n->asked || n->ask;
		n->bound = n->bound && n->ask;
		n->ask = n->unask = false;
		return true;
	}
	return false;
}

/* The addresses a bound listener can be reached at, as the host expanded it. */
static void listen_take(kp_engine *e, kp_listener *n, const kp_addr *bound, const kp_addr *expanded,
                        size_t n_expanded)
{
	const kp_addr *list = n_expanded > 0 ? expanded : bound;
	size_t count = n_expanded > 0 ? n_expanded : 1;
	for (size_t i = 0; i < count && n->n_at < KP_COUNT_OF(n->at); i++) {
		kp_maddr m;
		kp_ip_scope scope = kp_addr_scope(&list[i]);
		if (scope == KP_SCOPE_LINK_LOCAL || scope == KP_SCOPE_UNSPECIFIED)
			continue;
		n->at[n->n_at++] = list[i];
		kp_addr_to_maddr(&list[i], &m);
		kp_event *ev = kp_engine_event_new(e, KP_EV_LISTEN, NULL, &m, 0);
		if (ev != NULL)
			kp_engine_event(e, ev);
	}
}

void kp_engine_on_listening(kp_engine *e, kp_time now, kp_id id, const kp_addr *bound,
                            const kp_addr *expanded, size_t n_expanded, kp_err err)
{
	kp_engine_enter(e, now);
	if (id.gen != 1 || id.slot >= e->s->n_listen || !e->listeners[id.slot].asked ||
	    e->listeners[id.slot].answered) {
		kp_stat_add(&e->stats, KP_STAT_stale_ids, 1);
		return;
	}
	kp_listener *n = &e->listeners[id.slot];
	n->answered = true;
	n->err = err;
	if (err != KP_OK || !kp_engine_is_up(e)) {
		n->unask = n->unask && err == KP_OK;
		return;
	}
	n->bound = true;
	listen_take(e, n, bound, expanded, n_expanded);
	e->addrs_changed = true;
}

bool kp_engine_listening(const kp_engine *e, kp_err *err, size_t *index)
{
	*err = KP_OK;
	*index = 0;
	for (size_t i = 0; i < e->s->n_listen; i++) {
		const kp_listener *n = &e->listeners[i];
		if (!n->answered)
			return false;
		if (n->err != KP_OK && *err == KP_OK) {
			*err = n->err;
			*index = i;
		}
	}
	return e->state != ENGINE_NEW;
}

bool kp_listen_is_own(const kp_engine *e, const kp_addr *a)
{
	for (size_t i = 0; i < e->s->n_listen; i++) {
		const kp_listener *n = &e->listeners[i];
		for (size_t j = 0; n->bound && j < n->n_at; j++)
			if (kp_addr_eq(&n->at[j], a))
				return true;
	}
	return false;
}

static bool listen_has(const kp_maddr *list, size_t n, const kp_maddr *m)
{
	for (size_t i = 0; i < n; i++)
		if (kp_maddr_eq(&list[i], m))
			return true;
	return false;
}

size_t kp_listen_own_addrs(const kp_engine *e, kp_maddr *out, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < e->s->n_announce && n < max; i++)
		out[n++] = e->s->announce[i];
	if (n > 0)
		return n;
	for (size_t i = 0; i < e->s->n_listen; i++) {
		const kp_listener *at = &e->listeners[i];
		for (size_t j = 0; at->bound && j < at->n_at && n < max; j++) {
			kp_maddr m;
			kp_addr_to_maddr(&at->at[j], &m);
			if (!listen_has(out, n, &m))
				out[n++] = m;
		}
	}
	return n;
}
