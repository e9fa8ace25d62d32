/* Control RPCs of ours, built into pool blocks. */
#include "svc/gossipsub/gs.h"

/* A block for `room` bytes of control, and the builder in it. */
static kp_block *rpc_out_begin(kp_gs *gs, kp_rpc_builder *b, size_t room)
{
	size_t limit = KP_MIN(room, (size_t)GS_CONTROL_MAX);
	kp_block *block = kp_block_new(gs->env->pool, limit + KP_RPC_BUILDER_ROOM);
	if (block == NULL) {
		GS_STAT(gs, dropped_control);
		return NULL;
	}
	kp_rpc_begin(b, kp_block_bytes(block), limit + KP_RPC_BUILDER_ROOM, limit);
	return block;
}

/* Takes over the block. */
static gs_frame *rpc_out_end(kp_gs *gs, kp_rpc_builder *b, kp_block *block)
{
	gs_frame *f = kp_rpc_builder_empty(b) ? NULL : kp_gs_frame_new(gs);
	if (f == NULL) {
		kp_block_unref(block);
		return NULL;
	}
	kp_slice rpc = kp_rpc_end(b);
	f->control = true;
	f->wire = kp_ref_take(block, (size_t)(rpc.p - kp_block_bytes(block)), rpc.n);
	return f;
}

static bool rpc_out_put(kp_gs *gs, const gs_peer *p, kp_rpc_builder *b, const gs_ctl *c)
{
	kp_slice topic = gs_topic_name(c->t);
	kp_rpc_prune prune = {.topic = topic};
	kp_rpc_px px[GS_PX_MAX];
	switch (c->kind) {
	case GS_CTL_SUBSCRIBE:
	case GS_CTL_UNSUBSCRIBE:
		return kp_rpc_put_subopt(b, c->kind == GS_CTL_SUBSCRIBE, topic);
	case GS_CTL_GRAFT:
		return kp_rpc_put_graft(b, topic);
	case GS_CTL_PRUNE:
		prune.has_backoff = p->kind >= GS_KIND_1_1;
		prune.backoff = c->backoff_s;
		prune.px = px;
		if (c->px && prune.has_backoff)
			prune.n_px = kp_px_offer(gs, p, c->t, px);
		return kp_rpc_put_prune(b, &prune);
	}
	KP_ASSERT(false);
	return false;
}

static bool rpc_out_drain(kp_gs *gs, gs_peer *p, kp_list *l, kp_rpc_builder *b)
{
	KP_LIST_EACH(it, tmp, l)
	{
		gs_ctl *c = KP_CONTAINER_OF(it, gs_ctl, link);
		bool sub = c->kind == GS_CTL_SUBSCRIBE || c->kind == GS_CTL_UNSUBSCRIBE;
		/* subscriptions are read first: after control they take an RPC of their own */
		if ((sub && b->items_n > 0) || !rpc_out_put(gs, p, b, c))
			return false;
		kp_list_del(&c->link);
		p->q.n_ctl--;
		gs_topic *t = c->t;
		kp_gs_give(gs, &gs->ctls, c);
		kp_gs_topic_drop(gs, t);
	}
	return true;
}

gs_frame *kp_gs_build_ctl(kp_gs *gs, gs_peer *p)
{
	/* tags, lengths and a backoff take at most 24 bytes an item */
	size_t room = 16;
	kp_list *lists[2] = {&p->q.subs, &p->q.ctl};
	for (size_t i = 0; i < 2; i++) {
		KP_LIST_EACH(it, tmp, lists[i])
		{
			const gs_ctl *c = KP_CONTAINER_OF(it, gs_ctl, link);
			room += c->t->name_n + 24u;
			if (c->px && gs->par.px_send)
				room += GS_PX_BYTES_MAX;
			if (room > GS_CONTROL_MAX)
				break;
		}
	}
	kp_rpc_builder b;
	kp_block *block = rpc_out_begin(gs, &b, room);
	if (block == NULL)
		return NULL;
	if (rpc_out_drain(gs, p, &p->q.subs, &b))
		rpc_out_drain(gs, p, &p->q.ctl, &b);
	return rpc_out_end(gs, &b, block);
}

gs_frame *kp_gs_build_ids(kp_gs *gs, gs_ids_kind kind, kp_slice topic, const kp_slice *ids,
                          size_t *n)
{
	size_t room = 32 + topic.n;
	for (size_t i = 0; i < *n && room < GS_CONTROL_MAX; i++)
		room += ids[i].n + 2;
	kp_rpc_builder b;
	kp_block *block = rpc_out_begin(gs, &b, room);
	if (block == NULL) {
		*n = 0;
		return NULL;
	}
	switch (kind) {
	case GS_IDS_IHAVE:
		*n = kp_rpc_put_ihave(&b, topic, ids, *n);
		break;
	case GS_IDS_IWANT:
		*n = kp_rpc_put_iwant(&b, ids, *n);
		break;
	case GS_IDS_IDONTWANT:
		*n = kp_rpc_put_idontwant(&b, ids, *n);
		break;
	}
	return rpc_out_end(gs, &b, block);
}
