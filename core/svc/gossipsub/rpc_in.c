/* RPCs of peers, walked in place: subscriptions, then messages and control in
 * wire order. Messages are judged by size, topic and signature policy here; their signatures are
 * checked by verify.c. */
#include "svc/gossipsub/gs.h"
#include "wire/msgid.h"
#include "wire/varint.h"

typedef enum rpc_in_verdict {
	RPC_IN_OK,
	RPC_IN_POLICY,
	RPC_IN_SIGNATURE,
	RPC_IN_LOCAL
} rpc_in_verdict;

/* Body of an RPC that carries only this message: what max_message_size counts. */
static size_t rpc_in_body(size_t message_n)
{
	return 1 + kp_varint_size(message_n) + message_n;
}

static bool rpc_in_policy(const kp_gs *gs, const kp_rpc_message *m)
{
	switch (gs->par.signature) {
	case KP_SIG_STRICT_SIGN:
		return m->from.p != NULL && m->signature.n > 0 && m->seqno.n == 8;
	case KP_SIG_STRICT_NO_SIGN:
		return m->from.p == NULL && m->signature.p == NULL && m->seqno.p == NULL &&
		       m->key.p == NULL;
	case KP_SIG_LAX_SIGN:
	case KP_SIG_LAX_NO_SIGN:
		return m->signature.n == 0 || m->from.p != NULL;
	}
	KP_ASSERT(false);
	return false;
}

/* The message id; n == 0 = this message cannot have one. */
static void rpc_in_id(kp_gs *gs, const kp_rpc_message *m, gs_id *id)
{
	kp_writer w = kp_writer_of(id->b, sizeof id->b);
	uint8_t digest[32];
	id->n = 0;
	switch (gs->par.message_id) {
	case KP_MSGID_KARAK:
		id->n = (uint8_t)kp_msgid_karak(m->data, id->b);
		return;
	case KP_MSGID_SOURCE_SEQNO:
		kp_msgid_from_seqno(&w, m->from, m->seqno);
		break;
	case KP_MSGID_SHA256:
		gs->env->crypto->ops->sha256(m->data.p, m->data.n, digest);
		kp_msgid_sha256(&w, digest);
		break;
	}
	if (!w.full)
		id->n = (uint8_t)w.n;
}

/* Who wrote it, with the key if there is a signature to check. */
static rpc_in_verdict rpc_in_author(kp_gs *gs, const kp_rpc_message *m, gs_author **author)
{
	*author = NULL;
	if (m->from.p == NULL)
		return RPC_IN_OK;
	kp_peer_id from;
	if (kp_peer_id_parse_bytes(m->from, &from) != KP_OK)
		return RPC_IN_POLICY;
	kp_err err = kp_gs_author_get(gs, &from, m->key, m->signature.n > 0, author);
	if (err == KP_E_NOMEM)
		return RPC_IN_LOCAL;
	return err == KP_OK ? RPC_IN_OK : RPC_IN_SIGNATURE;
}

static void rpc_in_refuse(kp_gs *gs, gs_peer *p, gs_topic *t, rpc_in_verdict v)
{
	if (v == RPC_IN_LOCAL) {
		GS_STAT(gs, verify_dropped);
		GS_STAT(gs, dropped);
		return;
	}
	if (v == RPC_IN_POLICY)
		GS_STAT(gs, rejected_policy);
	else
		GS_STAT(gs, rejected_signature);
	kp_trace_emit(gs->env->trace, KP_TRACE_GS_REJECT, (uint64_t)v, 0, 0);
	kp_score_invalid(p, t);
}

/* Keeps the bytes of the message: the RPC's block, or a block of its own where that is smaller by
 * more than a quarter. So what a queue is charged with for its messages, the whole block for each,
 * is what they hold. */
static kp_ref rpc_in_keep(kp_gs *gs, kp_ref rpc, kp_slice raw)
{
	size_t own = kp_block_cap(raw.n);
	if (own + own / 4 < rpc.block->cap)
		return kp_ref_copy(gs->env->pool, raw);
	size_t off = (size_t)(raw.p - kp_block_bytes(rpc.block));
	return kp_ref_take(kp_block_ref(rpc.block), off, raw.n);
}

static gs_pend *rpc_in_pend(kp_gs *gs, gs_peer *p, gs_topic *t, kp_ref rpc, kp_slice raw)
{
	gs_pend *m = kp_gs_pend_new(gs);
	if (m == NULL)
		return NULL;
	m->raw = rpc_in_keep(gs, rpc, raw);
	if (m->raw.block == NULL) {
		kp_gs_pend_free(gs, m);
		return NULL;
	}
	kp_err err = kp_rpc_message_parse(kp_ref_slice(m->raw), &m->m);
	KP_ASSERT(err == KP_OK);
	m->t = gs_topic_use(t);
	m->p = p;
	gs_peer_ref(p);
	kp_gs_pend_add_source(m, p->serial);
	return m;
}

/* Another copy of a message whose first copy is not judged yet. An equal one is as good or bad as
 * the first; a different one waits, so that a forged first copy cannot suppress the real message.
 */
static void rpc_in_second(kp_gs *gs, gs_peer *p, gs_pend *first, kp_ref rpc,
                          const kp_rpc_message *m)
{
	GS_STAT(gs, duplicates);
	kp_sendq_cancel(gs, p, first->fp);
	if (first->state == GS_PEND_GOOD || kp_slice_eq(m->raw, first->m.raw)) {
		kp_gs_pend_add_source(first, p->serial);
		return;
	}
	/* one parked copy per peer: filling the list with forgeries shuts nobody else out */
	if (first->p == p)
		return;
	KP_LIST_EACH(it, tmp, &first->parked)
	{
		gs_pend *other = KP_CONTAINER_OF(it, gs_pend, parked);
		if (kp_slice_eq(m->raw, other->m.raw)) {
			kp_gs_pend_add_source(other, p->serial);
			return;
		}
		if (other->p == p)
			return;
	}
	gs_pend *copy = NULL;
	if (gs->verify_bytes + m->raw.n <= gs->par.verify_node_bytes)
		copy = rpc_in_pend(gs, p, first->t, rpc, m->raw);
	if (copy == NULL) {
		rpc_in_refuse(gs, p, first->t, RPC_IN_LOCAL);
		return;
	}
	GS_STAT(gs, parked_copies);
	copy->id = first->id;
	copy->fp = first->fp;
	gs->verify_bytes += gs_pend_charge(copy);
	kp_list_push(&first->parked, &copy->parked);
}

/* True when the message is news: not seen, and no copy of it under way. */
static bool rpc_in_is_new(kp_gs *gs, kp_time now, gs_peer *p, gs_topic *t, uint64_t fp, kp_ref rpc,
                          const kp_rpc_message *m)
{
	kp_map_node *n = kp_map_get(&gs->inflight, &fp, sizeof fp);
	if (n != NULL) {
		rpc_in_second(gs, p, KP_CONTAINER_OF(n, gs_pend, inflight), rpc, m);
		return false;
	}
	if (kp_seen_has(&gs->seen, now, fp)) {
		GS_STAT(gs, duplicates);
		kp_sendq_cancel(gs, p, fp);
		kp_delivery_again(gs, now, p, t, fp);
		return false;
	}
	return true;
}

static void rpc_in_first(kp_gs *gs, kp_time now, gs_pend *m)
{
	if (gs->verify_bytes + gs_pend_charge(m) > gs->par.verify_node_bytes ||
	    kp_map_put(&gs->inflight, &m->inflight, &m->fp, sizeof m->fp) != KP_OK) {
		rpc_in_refuse(gs, m->p, m->t, RPC_IN_LOCAL);
		kp_gs_pend_free(gs, m);
		return;
	}
	m->in_flight = true;
	if (m->raw.len >= gs->par.idontwant_size)
		kp_gossip_send_idontwant(gs, m);
	kp_verify_push(gs, now, m);
}

static void rpc_in_message(kp_gs *gs, kp_time now, gs_peer *p, kp_ref rpc, kp_slice raw)
{
	kp_rpc_message m;
	kp_err err = kp_rpc_message_parse(raw, &m);
	KP_ASSERT(err == KP_OK); /* kp_rpc_validate has said so */
	if (rpc_in_body(raw.n) > gs->par.max_message_size) {
		GS_STAT(gs, rejected_too_big);
		return;
	}
	gs_topic *t = m.topic.p != NULL ? kp_gs_topic_find(gs, m.topic) : NULL;
	if (t == NULL || !t->joined) {
		GS_STAT(gs, ignored_topic);
		return;
	}
	gs_id id;
	rpc_in_id(gs, &m, &id);
	uint64_t fp = id.n > 0 ? kp_gs_fp(gs, gs_id_slice(&id)) : 0;
	if (!rpc_in_policy(gs, &m) || id.n == 0) {
		if (id.n > 0)
			kp_gossip_settle(gs, fp);
		rpc_in_refuse(gs, p, t, RPC_IN_POLICY);
		return;
	}
	if (!rpc_in_is_new(gs, now, p, t, fp, rpc, &m)) {
		kp_gossip_settle(gs, fp);
		return;
	}
	if (kp_slice_eq(m.from, kp_peer_id_slice(&gs->env->self->id)) && m.from.n > 0) {
		/* After a restart honest peers still hold what we said before it: whoever was asked
		 * for it has kept its promise. */
		kp_gossip_settle(gs, fp);
		GS_STAT(gs, rejected_self);
		return;
	}
	gs_author *author;
	rpc_in_verdict v = rpc_in_author(gs, &m, &author);
	if (v != RPC_IN_OK) {
		rpc_in_refuse(gs, p, t, v);
		return;
	}
	gs_pend *pend = rpc_in_pend(gs, p, t, rpc, raw);
	if (pend == NULL) {
		if (author != NULL)
			kp_gs_author_unpin(author);
		rpc_in_refuse(gs, p, t, RPC_IN_LOCAL);
		return;
	}
	pend->author = author;
	pend->id = id;
	pend->fp = fp;
	rpc_in_first(gs, now, pend);
}

static void rpc_in_item(kp_gs *gs, kp_time now, gs_peer *p, kp_ref rpc, const kp_rpc_item *item)
{
	switch (item->kind) {
	case KP_RPC_SUBOPT:
		if (item->topic.p != NULL && item->subscribe)
			kp_gs_peer_subscribes(gs, now, p, item->topic);
		else if (item->topic.p != NULL)
			kp_gs_peer_unsubscribes(gs, p, item->topic);
		return;
	case KP_RPC_MESSAGE:
		rpc_in_message(gs, now, p, rpc, item->raw);
		return;
	case KP_RPC_IHAVE:
		kp_gossip_on_ihave(gs, now, p, item);
		return;
	case KP_RPC_IWANT:
		kp_gossip_on_iwant(gs, now, p, item);
		return;
	case KP_RPC_GRAFT:
		kp_mesh_on_graft(gs, now, p, item->topic);
		return;
	case KP_RPC_PRUNE:
		kp_mesh_on_prune(gs, now, p, item);
		return;
	case KP_RPC_IDONTWANT:
		kp_gossip_on_idontwant(gs, now, p, item);
		return;
	case KP_RPC_EXTENSIONS:
		/* Streams below 1.3 get this from rust ≥ 0.57 only, whose reader is small. */
		p->small_reader = true;
		return;
	}
}

/* Walks once, over the subscriptions or over everything else, at most GS_RPC_ITEMS_MAX of a kind.
 */
static void rpc_in_pass(kp_gs *gs, kp_time now, gs_peer *p, kp_ref rpc, bool subscriptions)
{
	uint32_t count[KP_RPC_EXTENSIONS + 1] = {0};
	kp_rpc_walk walk = kp_rpc_walk_of(kp_ref_slice(rpc));
	kp_rpc_item item;
	while (kp_rpc_next(&walk, &item)) {
		if ((item.kind == KP_RPC_SUBOPT) != subscriptions)
			continue;
		if (++count[item.kind] > GS_RPC_ITEMS_MAX) {
			GS_STAT(gs, rpc_capped);
			return;
		}
		rpc_in_item(gs, now, p, rpc, &item);
	}
}

kp_err kp_gs_on_rpc(kp_gs *gs, kp_time now, gs_peer *p, kp_ref rpc)
{
	kp_rpc_counts n;
	if (rpc.block == NULL) /* an empty RPC */
		return KP_OK;
	kp_err err = kp_rpc_validate(kp_ref_slice(rpc), &n);
	if (err != KP_OK)
		return err;
	if (n.subopts > 0)
		rpc_in_pass(gs, now, p, rpc, true);
	if (kp_score_below(gs, p, gs->par.score.graylist_threshold)) {
		GS_STAT(gs, rpc_graylisted);
		return KP_OK;
	}
	rpc_in_pass(gs, now, p, rpc, false);
	return KP_OK;
}
