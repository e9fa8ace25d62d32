/* Records that the router recycles: frames, pending messages, control items; growing rings. */
#include "base/siphash.h"
#include "svc/gossipsub/gs.h"

void *kp_gs_take(kp_gs *gs, gs_spares *s)
{
	void *rec = s->head;
	if (rec == NULL)
		return kp_mem_alloc(gs->env->mem, s->size);
	memcpy(&s->head, rec, sizeof s->head);
	s->n--;
	memset(rec, 0, s->size);
	return rec;
}

void kp_gs_give(kp_gs *gs, gs_spares *s, void *rec)
{
	if (s->n >= GS_SPARE_MAX) {
		kp_mem_free(gs->env->mem, rec);
		return;
	}
	memcpy(rec, &s->head, sizeof s->head);
	s->head = rec;
	s->n++;
}

void kp_gs_spares_fini(kp_gs *gs, gs_spares *s)
{
	while (s->head != NULL) {
		void *rec = s->head;
		memcpy(&s->head, rec, sizeof s->head);
		kp_mem_free(gs->env->mem, rec);
	}
	s->n = 0;
}

void kp_gs_spares_trim(kp_gs *gs)
{
	gs_spares *all[] = {&gs->frames, &gs->pends, &gs->ctls, &gs->jobs, &gs->signs};
	for (size_t i = 0; i < KP_COUNT_OF(all); i++) {
		uint32_t spare = all[i]->n > GS_SPARE_KEPT ? all[i]->n - GS_SPARE_KEPT : 0;
		for (uint32_t n = (spare + 7) / 8; n > 0; n--) {
			void *rec = all[i]->head;
			memcpy(&all[i]->head, rec, sizeof all[i]->head);
			all[i]->n--;
			kp_mem_free(gs->env->mem, rec);
		}
	}
}

static bool gs_ring_grow(kp_gs *gs, gs_ring *r)
{
	uint32_t cap = r->cap == 0 ? 8 : 2 * r->cap;
	void **v = kp_mem_alloc_raw(gs->env->mem, cap * sizeof *v);
	if (v == NULL)
		return false;
	for (uint32_t i = 0; i < r->n; i++)
		v[i] = gs_ring_at(r, i);
	kp_mem_free(gs->env->mem, r->v);
	r->v = v;
	r->cap = cap;
	r->head = 0;
	return true;
}

bool kp_gs_ring_push(kp_gs *gs, gs_ring *r, void *item)
{
	if (r->n == r->cap && !gs_ring_grow(gs, r))
		return false;
	r->v[(r->head + r->n) & (r->cap - 1)] = item;
	r->n++;
	return true;
}

void *kp_gs_ring_pop(gs_ring *r)
{
	if (r->n == 0)
		return NULL;
	void *item = r->v[r->head];
	r->head = (r->head + 1) & (r->cap - 1);
	r->n--;
	return item;
}

void kp_gs_ring_fini(kp_gs *gs, gs_ring *r)
{
	KP_ASSERT(r->n == 0);
	kp_mem_free(gs->env->mem, r->v);
	*r = (gs_ring){NULL, 0, 0, 0};
}

gs_frame *kp_gs_frame_new(kp_gs *gs)
{
	gs_frame *f = kp_gs_take(gs, &gs->frames);
	if (f == NULL)
		return NULL;
	f->refs = 1;
	kp_list_init(&f->window);
	return f;
}

void kp_gs_frame_unref(kp_gs *gs, gs_frame *f)
{
	KP_ASSERT(f->refs > 0);
	if (--f->refs > 0)
		return;
	KP_ASSERT(!kp_list_linked(&f->window));
	kp_ref_drop(&f->wire);
	kp_ref_drop(&f->message);
	if (f->t != NULL)
		kp_gs_topic_drop(gs, f->t);
	kp_mem_free(gs->env->mem, f->iwant);
	kp_gs_give(gs, &gs->frames, f);
}

gs_pend *kp_gs_pend_new(kp_gs *gs)
{
	gs_pend *m = kp_gs_take(gs, &gs->pends);
	if (m == NULL)
		return NULL;
	kp_list_init(&m->fifo);
	kp_list_init(&m->batch);
	kp_list_init(&m->parked);
	kp_list_init(&m->validating);
	return m;
}

void kp_gs_pend_free(kp_gs *gs, gs_pend *m)
{
	KP_ASSERT(!m->in_flight && !m->in_fifo && m->pub == NULL);
	KP_ASSERT(!kp_list_linked(&m->fifo) && !kp_list_linked(&m->batch));
	KP_ASSERT(!kp_list_linked(&m->parked) && !kp_list_linked(&m->validating));
	if (m->author != NULL)
		kp_gs_author_unpin(m->author);
	if (m->frame != NULL)
		kp_gs_frame_unref(gs, m->frame);
	kp_ref_drop(&m->raw);
	if (m->t != NULL)
		kp_gs_topic_drop(gs, m->t);
	if (m->p != NULL)
		kp_gs_peer_unref(m->p);
	kp_gs_give(gs, &gs->pends, m);
}

bool kp_gs_pend_has_source(const gs_pend *m, uint32_t serial)
{
	for (uint32_t i = 0; i < m->n_sources; i++) {
		if (m->sources[i] == serial)
			return true;
	}
	return false;
}

bool kp_gs_pend_add_source(gs_pend *m, uint32_t serial)
{
	if (m->n_sources == GS_SOURCES_MAX || kp_gs_pend_has_source(m, serial))
		return false;
	m->sources[m->n_sources++] = serial;
	return true;
}

uint64_t kp_gs_fp(const kp_gs *gs, kp_slice id)
{
	uint64_t fp = kp_siphash13(gs->fp_key, id.p, id.n);
	return fp != 0 ? fp : 1;
}

bool kp_gs_pick_room(kp_gs *gs, uint32_t n)
{
	if (n <= gs->pick_cap && gs->pick_cap > 0)
		return true;
	uint32_t cap = KP_MAX(KP_MAX(n, 16u), 2 * gs->pick_cap);
	void **pick = kp_mem_grow(gs->env->mem, gs->pick, cap * sizeof *pick);
	if (pick == NULL)
		return false;
	gs->pick = pick;
	gs->pick_cap = cap;
	return true;
}

bool kp_gs_ids_room(kp_gs *gs, uint32_t n)
{
	if (n <= gs->ids_cap)
		return true;
	uint32_t cap = KP_MAX(KP_MAX(n, 16u), 2 * gs->ids_cap);
	kp_slice *ids = kp_mem_grow(gs->env->mem, gs->ids, cap * sizeof *ids);
	if (ids == NULL)
		return false;
	gs->ids = ids;
	gs->ids_cap = cap;
	return true;
}
