/* Direct peers: kept connected, sent every message of their topics, never in a mesh. */
#include "svc/gossipsub/gs.h"

kp_err kp_gs_set_direct(kp_gs *gs, kp_time now, const kp_peer_id *peer)
{
	if (kp_map_get(&gs->direct, peer, sizeof *peer) != NULL)
		return KP_OK;
	gs_direct *d = kp_mem_alloc(gs->env->mem, sizeof *d);
	if (d == NULL)
		return KP_E_NOMEM;
	d->id = *peer;
	if (kp_map_put(&gs->direct, &d->node, &d->id, sizeof d->id) != KP_OK) {
		kp_mem_free(gs->env->mem, d);
		return KP_E_NOMEM;
	}
	kp_host_keep(gs->host, peer, KP_KEEP_DIRECT, true);
	gs_peer *p = kp_gs_peer_find(gs, peer);
	if (p == NULL)
		return KP_OK;
	p->direct = true;
	KP_LIST_EACH(it, tmp, &p->members)
	{
		gs_member *m = gs_member_in_peer(it);
		if (m->in_mesh)
			kp_mesh_prune(gs, now, m, gs->par.prune_backoff_ns, false);
	}
	return KP_OK;
}

void kp_gs_direct_dial(kp_gs *gs, kp_time now)
{
	for (kp_map_node *n = kp_map_first(&gs->direct); n != NULL; n = kp_map_next(n)) {
		const gs_direct *d = KP_CONTAINER_OF(n, gs_direct, node);
		if (!kp_host_connected(gs->host, &d->id))
			kp_host_dial(gs->host, now, &d->id, NULL, 0);
	}
}

void kp_gs_direct_fini(kp_gs *gs)
{
	kp_map_node *n;
	while ((n = kp_map_first(&gs->direct)) != NULL) {
		kp_map_del(&gs->direct, n);
		kp_mem_free(gs->env->mem, KP_CONTAINER_OF(n, gs_direct, node));
	}
	kp_map_fini(&gs->direct);
}
