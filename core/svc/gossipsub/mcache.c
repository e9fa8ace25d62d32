/* The message cache: what can be told of by IHAVE and asked back by IWANT. Heartbeat windows, and
 * a byte cap beyond which the oldest go. */
#include "svc/gossipsub/gs.h"

static gs_frame *mcache_frame(kp_map_node *n)
{
	return KP_CONTAINER_OF(n, gs_frame, cached);
}

static kp_list *mcache_window(kp_gs *gs, uint32_t age)
{
	uint32_t len = gs->par.history_length;
	return &gs->windows[(gs->window + len - age % len) % len];
}

void kp_mcache_init(kp_gs *gs)
{
	for (uint32_t i = 0; i < GS_HISTORY_MAX; i++)
		kp_list_init(&gs->windows[i]);
}

static void mcache_remove(kp_gs *gs, gs_frame *f)
{
	kp_list_del(&f->window);
	kp_map_del(&gs->mcache, &f->cached);
	KP_ASSERT(gs->mcache_bytes >= f->charge);
	gs->mcache_bytes -= f->charge;
	kp_gs_frame_unref(gs, f);
}

static void mcache_evict_oldest(kp_gs *gs)
{
	for (uint32_t age = gs->par.history_length; age-- > 0;) {
		kp_list *w = mcache_window(gs, age);
		if (kp_list_empty(w))
			continue;
		GS_STAT(gs, mcache_evicted);
		mcache_remove(gs, KP_CONTAINER_OF(w->next, gs_frame, window));
		return;
	}
	KP_ASSERT(false);
}

void kp_mcache_put(kp_gs *gs, gs_frame *f)
{
	KP_ASSERT(f->t != NULL && !kp_list_linked(&f->window));
	if (kp_mcache_get(gs, f->fp) != NULL)
		return;
	uint64_t max = KP_MAX((uint64_t)GS_MCACHE_BYTES,
	                      2 * (uint64_t)gs->par.max_message_size + 64 * 1024);
	f->charge = (uint32_t)gs_frame_charge(f);
	while (gs->mcache_bytes > 0 && gs->mcache_bytes + f->charge > max)
		mcache_evict_oldest(gs);
	if (kp_map_put(&gs->mcache, &f->cached, &f->fp, sizeof f->fp) != KP_OK)
		return;
	f->refs++;
	gs->mcache_bytes += f->charge;
	kp_list_push(mcache_window(gs, 0), &f->window);
}

gs_frame *kp_mcache_get(const kp_gs *gs, uint64_t fp)
{
	kp_map_node *n = kp_map_get(&gs->mcache, &fp, sizeof fp);
	return n != NULL ? mcache_frame(n) : NULL;
}

bool kp_mcache_may_answer(kp_gs *gs, gs_frame *f, uint32_t serial)
{
	uint32_t i = 0;
	while (i < f->iwant_n && f->iwant[2 * i] != serial)
		i++;
	if (i == f->iwant_n) {
		uint32_t *more =
		        kp_mem_grow(gs->env->mem, f->iwant, 2 * ((size_t)i + 1) * sizeof *more);
		if (more == NULL)
			return false;
		f->iwant = more;
		f->iwant_n++;
		f->iwant[2 * i] = serial;
		f->iwant[2 * i + 1] = 0;
	}
	if (f->iwant[2 * i + 1] >= gs->par.gossip_retransmission)
		return false;
	f->iwant[2 * i + 1]++;
	return true;
}

void kp_mcache_shift(kp_gs *gs)
{
	gs->window = (gs->window + 1) % gs->par.history_length;
	kp_list *w = mcache_window(gs, 0);
	while (!kp_list_empty(w))
		mcache_remove(gs, KP_CONTAINER_OF(w->next, gs_frame, window));
}

uint32_t kp_mcache_ids(kp_gs *gs, const gs_topic *t)
{
	uint32_t n = 0;
	for (uint32_t age = 0; age < gs->par.history_gossip; age++) {
		KP_LIST_EACH(it, tmp, mcache_window(gs, age))
		{
			gs_frame *f = KP_CONTAINER_OF(it, gs_frame, window);
			if (f->t != t)
				continue;
			if (!kp_gs_ids_room(gs, n + 1))
				return n;
			gs->ids[n++] = gs_id_slice(&f->id);
		}
	}
	return n;
}

void kp_mcache_fini(kp_gs *gs)
{
	for (uint32_t i = 0; i < gs->par.history_length; i++)
		kp_mcache_shift(gs);
	KP_ASSERT(gs->mcache_bytes == 0);
	kp_map_fini(&gs->mcache);
}
