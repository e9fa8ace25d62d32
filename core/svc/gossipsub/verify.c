/* Signatures, checked off the loop in batches. Each peer's messages stand in a FIFO and leave it in
 * order; a FIFO that is full stops the reading of that peer, and loses nothing. */
#include "svc/gossipsub/gs.h"

/* Signatures under way with workers from which on the loop checks some itself, and how many. */
#define VERIFY_BUSY   (2 * GS_BATCH)
#define VERIFY_INLINE 16u

typedef struct verify_job {
	kp_job job;
	kp_gs *gs;
	kp_crypto *crypto;
	kp_block *scratch; /* for the signed text of one message at a time */
	uint32_t n;
	struct verify_item {
		gs_pend *m;
		const kp_rpc_message *msg;
		const kp_pubkey *key;
		bool good;
	} items[GS_BATCH];
} verify_job;

size_t kp_verify_job_size(void)
{
	return sizeof(verify_job);
}

static bool verify_one(kp_crypto *crypto, const kp_pubkey *key, const kp_rpc_message *msg,
                       uint8_t *scratch, size_t cap)
{
	kp_writer w = kp_writer_of(scratch, cap);
	if (kp_rpc_message_write_signed(&w, msg) != KP_OK || w.full)
		return false;
	return crypto->ops->verify(key, kp_slice_of(scratch, w.n), msg->signature) == KP_OK;
}

bool kp_verify_full(const kp_gs *gs, const gs_peer *p)
{
	return p->fifo_n >= gs->par.verify_max || p->fifo_bytes >= gs->par.verify_bytes;
}

static bool verify_half_free(const kp_gs *gs, const gs_peer *p)
{
	return p->fifo_n <= gs->par.verify_max / 2 && p->fifo_bytes <= gs->par.verify_bytes / 2;
}

void kp_verify_release(kp_gs *gs, kp_time now, gs_peer *p)
{
	gs_peer_ref(p);
	while (!kp_list_empty(&p->fifo)) {
		gs_pend *m = KP_CONTAINER_OF(p->fifo.next, gs_pend, fifo);
		if (m->state == GS_PEND_WAIT)
			break;
		kp_list_del(&m->fifo);
		m->in_fifo = false;
		p->fifo_n--;
		p->fifo_bytes -= gs_pend_charge(m);
		gs->verify_bytes -= gs_pend_charge(m);
		if (m->state == GS_PEND_GOOD)
			kp_gs_accept(gs, now, m);
		else
			kp_gs_reject(gs, now, m);
	}
	if (p->held && verify_half_free(gs, p))
		kp_gs_streams_hold(p, false);
	kp_gs_peer_unref(p);
}

void kp_verify_push(kp_gs *gs, kp_time now, gs_pend *m)
{
	gs_peer *p = m->p;
	kp_list_push(&p->fifo, &m->fifo);
	m->in_fifo = true;
	p->fifo_n++;
	p->fifo_bytes += gs_pend_charge(m);
	gs->verify_bytes += gs_pend_charge(m);
	if (m->m.signature.n == 0) { /* a policy that takes unsigned messages let it in */
		m->state = GS_PEND_GOOD;
		kp_verify_release(gs, now, p);
		return;
	}
	KP_ASSERT(m->author != NULL && m->author->key != NULL);
	kp_list_push(&gs->unchecked, &m->batch);
	gs->n_unchecked++;
	kp_gs_flush_soon(gs, now);
}

static gs_pend *verify_take(kp_gs *gs)
{
	gs_pend *m = KP_CONTAINER_OF(kp_list_take(&gs->unchecked), gs_pend, batch);
	gs->n_unchecked--;
	KP_ASSERT(m->state == GS_PEND_WAIT);
	return m;
}

static bool verify_scratch(kp_gs *gs, size_t n)
{
	if (n <= gs->scratch_cap)
		return true;
	uint8_t *more = kp_mem_grow(gs->env->mem, gs->scratch, n);
	if (more == NULL)
		return false;
	gs->scratch = more;
	gs->scratch_cap = (uint32_t)n;
	return true;
}

static void verify_inline(kp_gs *gs, kp_time now)
{
	gs_pend *m = verify_take(gs);
	if (!verify_scratch(gs, kp_rpc_message_signed_size(&m->m)))
		m->state = GS_PEND_LOST;
	else if (verify_one(gs->env->crypto, m->author->key, &m->m, gs->scratch, gs->scratch_cap))
		m->state = GS_PEND_GOOD;
	else
		m->state = GS_PEND_BAD;
	kp_verify_release(gs, now, m->p);
}

static void verify_job_run(kp_job *job)
{
	verify_job *j = KP_CONTAINER_OF(job, verify_job, job);
	for (uint32_t i = 0; i < j->n; i++) {
		struct verify_item *it = &j->items[i];
		it->good = verify_one(j->crypto, it->key, it->msg, kp_block_bytes(j->scratch),
		                      j->scratch->cap);
	}
}

static void verify_job_done(kp_job *job, kp_time now)
{
	verify_job *j = KP_CONTAINER_OF(job, verify_job, job);
	kp_gs *gs = j->gs;
	gs->n_checking -= j->n;
	for (uint32_t i = 0; i < j->n; i++)
		j->items[i].m->state = j->items[i].good ? GS_PEND_GOOD : GS_PEND_BAD;
	/* Releasing one may release later ones of the same peer, so the peers are held, not the
	 * messages. */
	gs_peer *peers[GS_BATCH];
	for (uint32_t i = 0; i < j->n; i++) {
		peers[i] = j->items[i].m->p;
		gs_peer_ref(peers[i]);
	}
	for (uint32_t i = 0; i < j->n; i++) {
		kp_verify_release(gs, now, peers[i]);
		kp_gs_peer_unref(peers[i]);
	}
	kp_block_unref(j->scratch);
	kp_gs_give(gs, &gs->jobs, j);
	kp_verify_flush(gs, now);
}

static bool verify_hand_out(kp_gs *gs)
{
	verify_job *j = kp_gs_take(gs, &gs->jobs);
	if (j == NULL)
		return false;
	size_t room = 0, bytes = 0;
	uint32_t n = 0;
	KP_LIST_EACH(it, tmp, &gs->unchecked)
	{
		gs_pend *m = KP_CONTAINER_OF(it, gs_pend, batch);
		size_t size = kp_rpc_message_signed_size(&m->m);
		room = KP_MAX(room, size);
		bytes += size;
		if (++n == GS_BATCH || bytes >= GS_JOB_BYTES)
			break;
	}
	j->scratch = kp_block_new(gs->env->pool, room);
	if (j->scratch == NULL) {
		kp_gs_give(gs, &gs->jobs, j);
		return false;
	}
	j->gs = gs;
	j->crypto = gs->env->crypto;
	j->job.run = verify_job_run;
	j->job.done = verify_job_done;
	j->n = n;
	for (uint32_t i = 0; i < n; i++) {
		gs_pend *m = verify_take(gs);
		j->items[i].m = m;
		j->items[i].msg = &m->m;
		j->items[i].key = m->author->key;
	}
	gs->n_checking += n;
	GS_STAT(gs, verify_batches);
	kp_host_job(gs->host, &j->job);
	return true;
}

void kp_verify_flush(kp_gs *gs, kp_time now)
{
	uint32_t here = 0;
	if (gs->n_unchecked <= gs->par.verify_inline_max)
		here = gs->n_unchecked;
	else if (gs->n_checking >= VERIFY_BUSY)
		here = KP_MIN(gs->n_unchecked / 2, VERIFY_INLINE);
	for (; here > 0 && gs->n_unchecked > 0; here--)
		verify_inline(gs, now);
	while (gs->n_unchecked > 0) {
		if (!verify_hand_out(gs))
			verify_inline(gs, now); /* no memory for a job */
	}
}
