/* Names in addresses being dialled: dns, dns4, dns6 become addresses, dnsaddr further
 * multiaddresses (the libp2p addressing specification). Bounds per dial: depth 4, 32 lookups, 100
 * results. */
#include "engine/engine.h"

#include <stdio.h>

static void resolve_free(kp_engine *e, kp_lookup *q)
{
	kp_list_del(&q->node);
	kp_list_del(&q->resolve);
	kp_slots_del(&e->lookups, q->id);
	kp_mem_free(e->env.mem, q);
}

static bool resolve_ask(kp_dial *d, const kp_maddr *m, kp_slice host, kp_dns_kind kind,
                        unsigned depth)
{
	kp_engine *e = d->e;
	if (d->n_lookups >= KP_DIAL_LOOKUPS || host.n > KP_MADDR_MAX)
		return false;
	kp_lookup *q = (kp_lookup *)kp_mem_alloc(e->env.mem, sizeof *q);
	if (q == NULL || kp_slots_add(&e->lookups, q, &q->id) != KP_OK) {
		kp_mem_free(e->env.mem, q);
		kp_stat_add(&e->stats, KP_STAT_memory_refused, 1);
		return false;
	}
	kp_list_init(&q->node);
	kp_list_init(&q->resolve);
	q->dial = d;
	q->addr = *m;
	q->kind = kind;
	q->depth = depth;
	snprintf(q->name, sizeof q->name, "%s%.*s", kind == KP_DNS_TXT ? "_dnsaddr." : "",
	         (int)host.n, (const char *)host.p);
	d->n_lookups++;
	d->pending++;
	kp_list_push(&d->lookups, &q->node);
	kp_list_push(&e->resolves, &q->resolve);
	return true;
}

bool kp_resolve_add(kp_dial *d, const kp_maddr *m, const kp_maddr_target *t, unsigned depth)
{
	switch (t->kind) {
	case KP_MADDR_DNS4:
		return resolve_ask(d, m, t->host, KP_DNS_A, depth);
	case KP_MADDR_DNS6:
		return resolve_ask(d, m, t->host, KP_DNS_AAAA, depth);
	case KP_MADDR_DNS:
		return resolve_ask(d, m, t->host, KP_DNS_AAAA, depth) &&
		       resolve_ask(d, m, t->host, KP_DNS_A, depth);
	default:
		KP_ASSERT(t->kind == KP_MADDR_DNSADDR);
		return depth < KP_DIAL_DEPTH && resolve_ask(d, m, t->host, KP_DNS_TXT, depth);
	}
}

bool kp_resolve_emit(kp_engine *e, kp_act *out)
{
	kp_list *it = kp_list_pop(&e->resolves);
	if (it == NULL)
		return false;
	kp_lookup *q = KP_CONTAINER_OF(it, kp_lookup, resolve);
	out->kind = KP_ACT_RESOLVE;
	out->id = q->id;
	out->u.dns.kind = q->kind;
	out->u.dns.name = q->name;
	return true;
}

void kp_resolve_drop(kp_dial *d)
{
	kp_list *it;
	while ((it = kp_list_pop(&d->lookups)) != NULL) {
		kp_lookup *q = KP_CONTAINER_OF(it, kp_lookup, node);
		q->dial = NULL;
		d->pending--;
		if (kp_list_linked(&q->resolve)) /* the host has not seen it */
			resolve_free(d->e, q);
	}
}

void kp_resolve_free_all(kp_engine *e)
{
	for (uint32_t i = 0; i < e->lookups.n; i++) {
		kp_lookup *q = (kp_lookup *)kp_slots_at(&e->lookups, i);
		if (q != NULL)
			resolve_free(e, q);
	}
}

void kp_resolve_note(const kp_lookup *q, kp_err err)
{
	char text[KP_DIAL_TEXT];
	const char *what = kp_err_text(err);
	if (err == KP_E_NOTFOUND)
		what = "name lookup found nothing";
	else if (err == KP_E_TIMEDOUT)
		what = "no answer from the name servers";
	else if (err == KP_E_UNREACHABLE)
		what = "name lookup failed: the name servers are down or refuse";
	else if (err == KP_E_INVAL)
		what = "is not a valid name";
	snprintf(text, sizeof text, "%.200s: %s", q->name, what);
	kp_dial_note(q->dial, err, text);
}

/* One TXT record: dnsaddr=<multiaddr> that ends as the asking address does. */
static void resolve_take_txt(kp_dial *d, kp_time now, const kp_lookup *q, kp_slice text)
{
	kp_slice suffix = kp_maddr_slice(&q->addr);
	kp_maddr_part part;
	kp_peer_id peer;
	kp_maddr m;
	memset(&m, 0, sizeof m);
	if (text.n < 8 || memcmp(text.p, "dnsaddr=", 8) != 0)
		return;
	kp_slice_take(&text, 8);
	if (kp_maddr_parse_text(text, &m, NULL) != KP_OK)
		return;
	bool any = kp_maddr_next(&suffix, &part);
	KP_ASSERT(any && part.code == KP_MADDR_DNSADDR);
	if (!kp_maddr_has_suffix(&m, suffix))
		return;
	kp_maddr_target t;
	if (kp_maddr_tcp_target(&m, &t) && t.kind != KP_MADDR_DNSADDR && d->peer == NULL &&
	    !kp_maddr_peer(&m, &peer)) {
		kp_dial_note(d, KP_E_NOTFOUND, "a dnsaddr record without /p2p");
		return;
	}
	kp_dial_add(d, now, &m, q->depth + 1);
}

static void resolve_take(kp_dial *d, kp_time now, const kp_lookup *q, const kp_dns_answer *answers,
                         size_t n)
{
	kp_maddr_target t;
	bool ok = kp_maddr_tcp_target(&q->addr, &t);
	KP_ASSERT(ok);
	if (d->peer != NULL)
		t.peer = d->peer->id;
	for (size_t i = 0; i < n && i < KP_DIAL_CANDIDATES; i++) {
		if (q->kind == KP_DNS_TXT) {
			resolve_take_txt(d, now, q, answers[i].text);
			continue;
		}
		kp_addr addr = answers[i].addr;
		if (addr.family != (q->kind == KP_DNS_A ? 4 : 6))
			continue;
		addr.port = t.port;
		kp_dial_add_candidate(d, &addr, &t.peer);
	}
}

void kp_engine_on_resolved(kp_engine *e, kp_time now, kp_id id, const kp_dns_answer *answers,
                           size_t n, kp_err err)
{
	kp_engine_enter(e, now);
	kp_lookup *q = (kp_lookup *)kp_slots_get(&e->lookups, id);
	if (q == NULL) {
		kp_stat_add(&e->stats, KP_STAT_stale_ids, 1);
		return;
	}
	kp_dial *d = q->dial;
	if (d != NULL) {
		d->pending--;
		if (err == KP_OK && n > 0)
			resolve_take(d, now, q, answers, n);
		else
			kp_resolve_note(q, err != KP_OK ? err : KP_E_NOTFOUND);
	}
	resolve_free(e, q);
	if (d != NULL)
		kp_dial_go(d, now);
}
