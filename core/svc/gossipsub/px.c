/* Peer exchange: a peer that is pruned because the mesh is full is offered others of the topic,
 * with the addresses they signed themselves. Offers are taken from peers of high standing alone. */
#include "crypto/identity.h"
#include "svc/gossipsub/gs.h"
#include "wire/envelope.h"

#define PX_ADDRS_MAX 8u

void kp_px_learn(kp_gs *gs, gs_peer *p, kp_slice record)
{
	if (!gs->par.px_send || record.n == 0 || record.n > GS_PX_RECORD_MAX ||
	    kp_slice_eq(record, kp_ref_slice(p->record)))
		return;
	kp_peer_id id;
	uint64_t seq;
	kp_slice addrs;
	if (kp_peer_record_open(gs->env->crypto, record, &id, &seq, &addrs) != KP_OK ||
	    !kp_peer_id_eq(&id, &p->id)) {
		GS_STAT(gs, px_invalid);
		return;
	}
	kp_ref kept = kp_ref_copy(gs->env->pool, record);
	if (kept.block == NULL)
		return;
	kp_ref_drop(&p->record);
	p->record = kept;
}

/* Up to px_peers of those that subscribe to t and have done nothing wrong, into out. */
size_t kp_px_offer(kp_gs *gs, const gs_peer *to, const gs_topic *t, kp_rpc_px *out)
{
	if (!gs->par.px_send || !kp_gs_pick_room(gs, t->n_members))
		return 0;
	uint32_t n = 0;
	KP_LIST_EACH(it, tmp, &t->members)
	{
		gs_peer *p = gs_member_in_topic(it)->p;
		if (p != to && p->record.block != NULL && kp_gs_score(gs, p) >= 0.0)
			gs->pick[n++] = p;
	}
	kp_rng_shuffle(gs->env->rng, gs->pick, n, sizeof *gs->pick);
	size_t n_out = 0, bytes = 0;
	for (uint32_t i = 0; i < n && n_out < gs->par.px_peers; i++) {
		const gs_peer *p = gs->pick[i];
		size_t size = p->record.len + sizeof p->id + 16u;
		if (bytes + size > GS_PX_BYTES_MAX)
			continue;
		bytes += size;
		out[n_out].id = kp_peer_id_slice(&p->id);
		out[n_out++].record = kp_ref_slice(p->record);
	}
	kp_stat_add(gs->env->stats, KP_STAT_px_sent, n_out);
	return n_out;
}

/* Addresses of a record that its giver may know of. False = the record is not that peer's. */
static bool px_addrs(kp_gs *gs, kp_ip_scope scope, const kp_peer_id *peer, kp_slice record,
                     kp_maddr *out, size_t *n)
{
	kp_peer_id id;
	uint64_t seq;
	kp_slice rest, addr;
	*n = 0;
	if (kp_peer_record_open(gs->env->crypto, record, &id, &seq, &rest) != KP_OK ||
	    !kp_peer_id_eq(&id, peer))
		return false;
	while (*n < PX_ADDRS_MAX && kp_peer_record_next(&rest, &addr)) {
		kp_maddr_target target;
		if (kp_maddr_parse_bytes(addr, &out[*n]) == KP_OK &&
		    kp_maddr_tcp_target(&out[*n], &target) && kp_maddr_fits_scope(&out[*n], scope))
			++*n;
	}
	return true;
}

static void px_dial(kp_gs *gs, kp_time now, const gs_peer *from, const kp_rpc_px *offer)
{
	kp_peer_id peer;
	kp_maddr addrs[PX_ADDRS_MAX];
	size_t n = 0;
	if (offer->id.p == NULL || kp_peer_id_parse_bytes(offer->id, &peer) != KP_OK) {
		GS_STAT(gs, px_invalid);
		return;
	}
	if (kp_peer_id_eq(&peer, &gs->env->self->id) || kp_host_connected(gs->host, &peer))
		return;
	if (offer->record.n > 0 && !px_addrs(gs, from->scope, &peer, offer->record, addrs, &n)) {
		GS_STAT(gs, px_invalid);
		return;
	}
	if (kp_host_dial(gs->host, now, &peer, addrs, n) == KP_OK)
		GS_STAT(gs, px_dialled);
}

void kp_px_take(kp_gs *gs, kp_time now, gs_peer *from, kp_slice px)
{
	kp_rpc_px offer;
	if (kp_gs_score(gs, from) < gs->par.score.accept_px_threshold ||
	    gs->par.score.mode == KP_SCORE_OFF) {
		GS_STAT(gs, px_refused);
		return;
	}
	for (unsigned i = 0; i < gs->par.px_peers && kp_rpc_next_px(&px, &offer); i++)
		px_dial(gs, now, from, &offer);
}
