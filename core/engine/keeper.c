/* Keepers: bootnodes and direct peers, dialled for ever while they are not connected: after 1 s,
 * doubling to 60 s, with 25 % jitter; from the start again once they are. */
#include "engine/engine.h"

#include <stdio.h>

static void keeper_dial(kp_keeper *k, kp_time now)
{
	kp_engine *e = k->e;
	char text[KP_DIAL_TEXT];
	if (!kp_engine_is_up(e) || (k->peer != NULL && kp_peers_link(k->peer) != NULL))
		return;
	if (k->peer != NULL && k->peer->dial != NULL)
		return; /* its end is told to us too */
	kp_dial *d;
	kp_err err = kp_dial_start(e, now, k->peer, k->addrs, k->n_addrs, k, &d, text, sizeof text);
	if (err != KP_OK)
		kp_keeper_failed(k, now, text);
}

static void keeper_retry(kp_timer *t, kp_time now)
{
	keeper_dial(KP_CONTAINER_OF(t, kp_keeper, retry), now);
}

/* The operator has named this peer, so he is told when it cannot be reached, and why. */
static void keeper_tell(kp_keeper *k, const char *why, kp_time wait)
{
	char addr[KP_MADDR_TEXT_MAX], text[KP_DIAL_TEXT + 400];
	kp_maddr_text(&k->addrs[0], addr, sizeof addr);
	snprintf(text, sizeof text, "%s %.300s is not reached: %s; next try in about %llu s",
	         k->what & KP_KEEP_BOOTNODE ? "bootnode" : "direct peer", addr, why,
	         (unsigned long long)(wait / KP_SEC(1)));
	kp_engine_log(k->e, KP_LEVEL_WARN, text);
}

void kp_keeper_failed(kp_keeper *k, kp_time now, const char *why)
{
	kp_engine *e = k->e;
	kp_time wait = KP_KEEPER_LAST;
	if (k->fails < 6)
		wait = KP_MIN(KP_KEEPER_FIRST << k->fails, KP_KEEPER_LAST);
	k->fails++;
	if (!kp_engine_is_up(e))
		return;
	if (why != NULL)
		keeper_tell(k, why, wait);
	kp_timer_set(&e->timers, &k->retry,
	             kp_time_add(now, kp_rng_jitter(&e->rng, wait, KP_KEEPER_JITTER)));
}

void kp_keeper_up(kp_keeper *k, kp_time now, kp_peer *p)
{
	kp_timers *ts = &k->e->timers;
	k->fails = 0;
	kp_timer_unset(ts, &k->retry);
	if (p->keeper != NULL &&
	    p->keeper != k) { /* a dnsaddr that led to a bootnode with a name */
		kp_timer_set(ts, &k->retry, kp_time_add(now, KP_KEEPER_LAST));
		return;
	}
	KP_ASSERT(k->peer == NULL || k->peer == p);
	k->peer = p;
	p->keeper = k;
	p->keep |= (unsigned)k->what;
}

void kp_keeper_down(kp_keeper *k, kp_time now)
{
	if (kp_peer_id_none(&k->id)) { /* a dnsaddr: perhaps another of its peers next time */
		k->peer->keeper = NULL;
		k->peer->keep &= ~(unsigned)k->what;
		k->peer = NULL;
	}
	kp_keeper_failed(k, now, NULL); /* its end has been told */
}

static kp_keeper *keeper_find(kp_engine *e, const kp_peer_id *id)
{
	KP_LIST_EACH(it, tmp, &e->keepers)
	{
		kp_keeper *k = KP_CONTAINER_OF(it, kp_keeper, node);
		if (!kp_peer_id_none(id) && kp_peer_id_eq(&k->id, id))
			return k;
	}
	return NULL;
}

static kp_err keeper_add(kp_engine *e, kp_time now, const kp_maddr *addr, kp_keep what)
{
	kp_peer_id id;
	memset(&id, 0, sizeof id);
	kp_maddr_peer(addr, &id);
	if (kp_peer_id_eq(&id, &e->self.id))
		return KP_OK; /* the same list may be given to every node */
	kp_keeper *k = keeper_find(e, &id);
	if (k == NULL) {
		if (kp_timers_reserve(&e->timers, 1) != KP_OK)
			return KP_E_NOMEM;
		k = (kp_keeper *)kp_mem_alloc(e->env.mem, sizeof *k);
		if (k == NULL) {
			kp_timers_release(&e->timers, 1);
			return KP_E_NOMEM;
		}
		k->e = e;
		k->id = id;
		kp_list_init(&k->node);
		kp_list_push(&e->keepers, &k->node);
		kp_timer_init(&k->retry, keeper_retry);
		if (!kp_peer_id_none(&id)) {
			k->peer = kp_peers_get(e, now, &id);
			if (k->peer == NULL)
				return KP_E_NOMEM;
			k->peer->keeper = k;
			kp_peers_settle(e, now, k->peer);
		}
	}
	k->what = (kp_keep)(k->what | what);
	if (k->peer != NULL)
		k->peer->keep |= (unsigned)what;
	if (k->n_addrs < KP_KEEPER_ADDRS)
		k->addrs[k->n_addrs++] = *addr;
	return KP_OK;
}

kp_err kp_keepers_make(kp_engine *e, kp_time now)
{
	kp_err err = KP_OK;
	for (size_t i = 0; i < e->s->n_direct && err == KP_OK; i++)
		err = keeper_add(e, now, &e->s->direct[i], KP_KEEP_DIRECT);
	for (size_t i = 0; i < e->s->n_bootstrap && err == KP_OK; i++)
		err = keeper_add(e, now, &e->s->bootstrap[i], KP_KEEP_BOOTNODE);
	return err;
}

void kp_keepers_start(kp_engine *e, kp_time now)
{
	KP_LIST_EACH(it, tmp, &e->keepers)
	{
		kp_keeper *k = KP_CONTAINER_OF(it, kp_keeper, node);
		kp_timer_set(&e->timers, &k->retry, now);
	}
}

void kp_keepers_stop(kp_engine *e)
{
	KP_LIST_EACH(it, tmp, &e->keepers)
	{
		kp_keeper *k = KP_CONTAINER_OF(it, kp_keeper, node);
		kp_timer_unset(&e->timers, &k->retry);
	}
}

void kp_keepers_free_all(kp_engine *e)
{
	kp_list *it;
	while ((it = kp_list_pop(&e->keepers)) != NULL) {
		kp_keeper *k = KP_CONTAINER_OF(it, kp_keeper, node);
		if (k->peer != NULL)
			k->peer->keeper = NULL;
		kp_timer_unset(&e->timers, &k->retry);
		kp_timers_release(&e->timers, 1);
		kp_mem_free(e->env.mem, k);
	}
}
