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

/* Those below zero do not count: they are in no mesh, however many have come. */
static bool info_has_peers(const kp_gs *gs, const gs_topic *t)
{
	uint32_t good = 0;
	for (kp_list *it = t->members.next; it != &t->members && good < gs->par.d; it = it->next)
		good += kp_gs_score(gs, gs_member_in_topic(it)->p) >= 0;
	return good >= gs->par.d;
}

bool kp_gs_wants_peers(const kp_gs *gs)
{
	for (kp_map_node *it = kp_map_first(&gs->topics); it != NULL; it = kp_map_next(it)) {
		const gs_topic *t = gs_topic_of(it);
		if (t->joined && !info_has_peers(gs, t))
			return true;
	}
	return false;
}
