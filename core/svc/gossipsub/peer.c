/* Connected peers. A peer is served from its first connection on, identify or not; its record ends
 * with the last connection, but stays in memory while its messages are being checked. */
#include "svc/gossipsub/gs.h"

gs_peer *kp_gs_peer_find(const kp_gs *gs, const kp_peer_id *id)
{
	kp_map_node *n = kp_map_get(&gs->peers, id, sizeof *id);
	return n != NULL ? gs_peer_of(n) : NULL;
}

gs_peer *kp_gs_peer_by_serial(const kp_gs *gs, uint32_t serial)
{
	for (kp_map_node *n = kp_map_first(&gs->peers); n != NULL; n = kp_map_next(n)) {
		if (gs_peer_of(n)->serial == serial)
			return gs_peer_of(n);
	}
	return NULL;
}

void kp_gs_peer_unref(gs_peer *p)
{
	KP_ASSERT(p->refs > 0);
	if (--p->refs > 0)
		return;
	kp_gs *gs = p->gs;
	KP_ASSERT(p->dead && kp_list_empty(&p->members) && kp_list_empty(&p->fifo));
	KP_ASSERT(!kp_timer_is_set(&p->reopen));
	kp_timers_release(gs->env->timers, 1);
	kp_ref_drop(&p->record);
	kp_mem_free(gs->env->mem, p);
}

/* A pubsub stream to a peer that shares no topic with us does not keep its connection. */
void kp_gs_peer_idle_update(gs_peer *p)
{
	bool idle = p->n_shared == 0;
	if (p->out != NULL)
		kp_stream_set_idle(p->out, idle);
	for (size_t i = 0; i < GS_INBOUND_MAX; i++) {
		if (p->in[i] != NULL)
			kp_stream_set_idle(p->in[i], idle);
	}
}

static void peer_reopen_due(kp_timer *t, kp_time now)
{
	gs_peer *p = KP_CONTAINER_OF(t, gs_peer, reopen);
	kp_gs_stream_open(p->gs, now, p);
}

static gs_peer *peer_new(kp_gs *gs, kp_time now, const kp_conn_info *info)
{
	if (kp_timers_reserve(gs->env->timers, 1) != KP_OK)
		return NULL;
	gs_peer *p = kp_mem_alloc(gs->env->mem, sizeof *p);
	if (p == NULL) {
		kp_timers_release(gs->env->timers, 1);
		return NULL;
	}
	p->gs = gs;
	p->id = info->peer;
	p->refs = 1;
	p->serial = gs->next_serial++;
	p->outbound = info->outbound;
	p->since = now;
	p->text_n = (uint8_t)kp_peer_id_text(&p->id, p->text);
	kp_timer_init(&p->reopen, peer_reopen_due);
	kp_sendq_init(&p->q);
	kp_list_init(&p->members);
	kp_list_init(&p->fifo);
	p->direct = kp_map_get(&gs->direct, &p->id, sizeof p->id) != NULL;
	if (kp_map_put(&gs->peers, &p->node, &p->id, sizeof p->id) != KP_OK) {
		kp_timers_release(gs->env->timers, 1);
		kp_mem_free(gs->env->mem, p);
		return NULL;
	}
	if (p->direct)
		kp_host_keep(gs->host, &p->id, KP_KEEP_DIRECT, true);
	p->scope = kp_maddr_scope(&info->remote);
	kp_score_enter(gs, p);
	return p;
}

void kp_gs_on_conn_open(void *svc, kp_time now, const kp_conn_info *info, bool first)
{
	kp_gs *gs = svc;
	(void)first;
	gs_peer *p = kp_gs_peer_find(gs, &info->peer);
	if (p == NULL)
		p = peer_new(gs, now, info);
	if (p == NULL) {
		GS_STAT(gs, peers_unserved);
		return;
	}
	p->conns++;
	p->conn_at = now;
	kp_score_conn(gs, p, &info->remote, true);
	if (p->out == NULL && !kp_timer_is_set(&p->reopen))
		kp_gs_stream_open(gs, now, p);
}

void kp_gs_peer_forget(kp_gs *gs, kp_time now, gs_peer *p)
{
	KP_ASSERT(!p->dead);
	kp_score_leave(gs, now, p);
	p->dead = true;
	kp_map_del(&gs->peers, &p->node);
	kp_timer_unset(gs->env->timers, &p->reopen);
	while (!kp_list_empty(&p->members))
		kp_gs_member_end(gs, gs_member_in_peer(p->members.next));
	kp_sendq_abandon(gs, p);
	if (p->dont_send != NULL) {
		kp_seen_fini(p->dont_send);
		kp_mem_free(gs->env->mem, p->dont_send);
		p->dont_send = NULL;
	}
	kp_gs_peer_unref(p);
}

void kp_gs_on_conn_close(void *svc, kp_time now, const kp_conn_info *info, kp_why why, bool last)
{
	kp_gs *gs = svc;
	(void)why;
	gs_peer *p = kp_gs_peer_find(gs, &info->peer);
	if (p == NULL)
		return;
	if (p->conns > 0)
		p->conns--;
	if (last) {
		kp_gs_peer_forget(gs, now, p);
		return;
	}
	kp_score_conn(gs, p, &info->remote, false);
	if (p->out == NULL && !kp_timer_is_set(&p->reopen))
		kp_timer_set(gs->env->timers, &p->reopen, now);
}

/* rust-libp2p 0.57 names its identify crate, which has the version 0.48. */
static bool peer_agent_reads_small(kp_slice agent)
{
	static const char prefix[] = "rust-libp2p/0.";
	if (agent.n < sizeof prefix || memcmp(agent.p, prefix, sizeof prefix - 1) != 0)
		return false;
	unsigned minor = 0;
	for (size_t i = sizeof prefix - 1; i < agent.n && i < sizeof prefix + 3; i++) {
		if (agent.p[i] < '0' || agent.p[i] > '9')
			break;
		minor = 10 * minor + (unsigned)(agent.p[i] - '0');
	}
	return minor >= 48;
}

void kp_gs_on_identified(void *svc, kp_time now, const kp_peer_id *peer,
                         const kp_identify_info *info)
{
	kp_gs *gs = svc;
	gs_peer *p = kp_gs_peer_find(gs, peer);
	if (p == NULL)
		return;
	if (peer_agent_reads_small(info->agent))
		p->small_reader = true;
	kp_px_learn(gs, p, info->signed_record);
	if (!p->no_pubsub)
		return;
	/* It refused our protocols once: only when it lists one of them is it asked again. */
	for (size_t i = 0; i < info->n_protocols; i++) {
		for (size_t k = 0; k < kp_gs_protos_n; k++) {
			if (!kp_slice_eq_str(info->protocols[i], kp_gs_protos[k].id))
				continue;
			p->no_pubsub = false;
			if (p->out == NULL && !kp_timer_is_set(&p->reopen))
				kp_gs_stream_open(gs, now, p);
			return;
		}
	}
}
