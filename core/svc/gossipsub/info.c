/* What the engine and `info` ask of the router. */
#include "svc/gossipsub/gs.h"

bool kp_gs_topic_at(const kp_gs *gs, size_t n, kp_gs_topic_info *out)
{
	for (kp_map_node *it = kp_map_first(&gs->topics); it != NULL; it = kp_map_next(it)) {
		const gs_topic *t = gs_topic_of(it);
		if (!t->joined || n-- > 0)
			continue;
		out->topic = gs_topic_name(t);
		out->mesh = t->n_mesh;
		out->subscribers = t->n_members;
		out->inbox = t->opts.inbox;
		return true;
	}
	return false;
}

bool kp_gs_peer_topic_at(const kp_gs *gs, const kp_peer_id *peer, size_t n, kp_slice *topic,
                         bool *in_mesh)
{
	const gs_peer *p = kp_gs_peer_find(gs, peer);
	if (p == NULL || n >= p->n_members)
		return false;
	const kp_list *it = p->members.next;
	for (; n > 0; n--)
		it = it->next;
	const gs_member *m = KP_CONTAINER_OF(it, gs_member, in_peer);
	*topic = gs_topic_name(m->t);
	*in_mesh = m->in_mesh;
	return true;
}

bool kp_gs_wants_peers(const kp_gs *gs)
{
	for (kp_map_node *it = kp_map_first(&gs->topics); it != NULL; it = kp_map_next(it)) {
		const gs_topic *t = gs_topic_of(it);
		if (t->joined && t->n_members < gs->par.d)
			return true;
	}
	return false;
}
