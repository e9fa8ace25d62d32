/* Own messages: judged, numbered, signed in order, framed once in the block they came in, and
 * queued to every recipient by count. */
#include "svc/gossipsub/gs.h"
#include "wire/msgid.h"
#include "wire/varint.h"

typedef struct sign_job {
	kp_job job;
	kp_gs *gs;
	kp_crypto *crypto;
	const kp_identity *self;
	uint32_t n;
	struct sign_item {
		gs_pend *m;
		kp_slice text;
		uint8_t sig[64];
		bool ok;
	} items[GS_SIGN_BATCH];
} sign_job;

size_t kp_gs_sign_job_size(void)
{
	return sizeof(sign_job);
}

static bool publish_signs(const kp_gs *gs)
{
	return gs->par.signature == KP_SIG_STRICT_SIGN || gs->par.signature == KP_SIG_LAX_SIGN;
}

static kp_rpc_publish publish_fields(const kp_gs *gs, const kp_pub *pub, const gs_pend *m)
{
	static const uint8_t zero[64];
	kp_rpc_publish f = {.topic = pub->topic, .data_n = pub->data_n};
	if (gs->par.signature != KP_SIG_STRICT_NO_SIGN) {
		f.from = kp_peer_id_slice(&gs->env->self->id);
		f.seqno = kp_slice_of(m != NULL ? m->seqno : zero, 8);
	}
	if (publish_signs(gs))
		f.signature = kp_slice_of(m != NULL ? m->sig : zero, 64);
	return f;
}

/* The RPC body: the frame without its length prefix. */
static size_t publish_body(const kp_rpc_publish *f)
{
	size_t frame = kp_rpc_publish_frame_size(f);
	size_t prefix = 1;
	while (kp_varint_size(frame - prefix) != prefix)
		prefix++;
	return frame - prefix;
}

static uint8_t *publish_data(kp_pub *pub)
{
	return kp_block_bytes(pub->block) + pub->data_off;
}

void kp_gs_fate(kp_gs *gs, kp_pub *pub, kp_slice id, kp_err code, uint32_t peers)
{
	kp_event *ev = pub->done;
	pub->done = NULL;
	if (ev == NULL && code == KP_OK)
		return;
	if (ev == NULL)
		ev = kp_event_new(gs->env->pool, KP_EV_PUBLISHED, pub->topic.n + id.n);
	if (ev == NULL) {
		GS_STAT(gs, events_dropped);
		return;
	}
	ev->token = pub->token;
	ev->code = (int32_t)code;
	ev->count = peers;
	kp_event_copy(ev, KP_F_TOPIC, pub->topic);
	if (id.n > 0)
		kp_event_copy(ev, KP_F_ID, id);
	kp_host_event(gs->host, ev);
}

void kp_gs_publish_fate(kp_gs *gs, gs_pend *m, kp_err code, uint32_t peers)
{
	kp_gs_fate(gs, m->pub, gs_id_slice(&m->id), code, peers);
	kp_pub_free(m->pub);
	m->pub = NULL;
	kp_gs_pend_free(gs, m);
}

/* Refused before anything was done for it. */
static void publish_refuse(kp_gs *gs, kp_pub *pub, kp_slice id, kp_err code)
{
	if (code == KP_E_DUPLICATE)
		GS_STAT(gs, publish_duplicates);
	else
		GS_STAT(gs, publish_refused);
	kp_gs_fate(gs, pub, id, code, 0);
	kp_pub_free(pub);
}

static void publish_id(kp_gs *gs, const kp_pub *pub, gs_pend *m)
{
	uint8_t digest[32];
	kp_writer w = kp_writer_of(m->id.b, sizeof m->id.b);
	kp_slice data = kp_pub_data(pub);
	switch (gs->par.message_id) {
	case KP_MSGID_KARAK:
		m->id.n = (uint8_t)kp_msgid_karak(data, m->id.b);
		break;
	case KP_MSGID_SOURCE_SEQNO:
		kp_msgid_from_seqno(&w, kp_peer_id_slice(&gs->env->self->id),
		                    kp_slice_of(m->seqno, 8));
		m->id.n = (uint8_t)w.n;
		break;
	case KP_MSGID_SHA256:
		gs->env->crypto->ops->sha256(data.p, data.n, digest);
		kp_msgid_sha256(&w, digest);
		m->id.n = (uint8_t)w.n;
		break;
	}
	m->fp = kp_gs_fp(gs, gs_id_slice(&m->id));
}

/* Signed (or needing no signature): the frame around the data, then on its way. */
static void publish_finish(kp_gs *gs, kp_time now, gs_pend *m)
{
	if (m->canceled) {
		kp_seen_del(&gs->seen, m->fp);
		kp_gs_publish_fate(gs, m, KP_E_CANCELED, 0);
		return;
	}
	gs_frame *f = kp_gs_frame_new(gs);
	if (f == NULL) {
		kp_seen_del(&gs->seen, m->fp);
		kp_gs_publish_fate(gs, m, KP_E_NOMEM, 0);
		return;
	}
	kp_rpc_publish fields = publish_fields(gs, m->pub, m);
	kp_slice frame, message;
	kp_rpc_publish_frame(&fields, publish_data(m->pub), &frame, &message);
	kp_block *b = m->pub->block;
	f->wire = kp_ref_take(kp_block_ref(b), (size_t)(frame.p - kp_block_bytes(b)), frame.n);
	f->id = m->id;
	f->fp = m->fp;
	f->t = gs_topic_use(m->t);
	m->frame = f;
	kp_gs_publish_route(gs, now, m);
}

/* ---- signatures: on the loop or by jobs; either way messages leave in the order they came ---- */

/* The oldest message of the queue leaves it. */
static gs_pend *signing_pop(kp_gs *gs)
{
	gs_pend *m = KP_CONTAINER_OF(kp_list_take(&gs->signing), gs_pend, fifo);
	gs->n_signing--;
	gs->signing_bytes -= gs_own_charge(m->pub);
	return m;
}

/* The oldest message that nobody has been asked to sign. */
static gs_pend *unsigned_pop(kp_gs *gs)
{
	gs_pend *m = KP_CONTAINER_OF(kp_list_take(&gs->unsigned_own), gs_pend, batch);
	gs->n_unsigned--;
	gs->unsigned_bytes -= m->pub->data_n;
	return m;
}

static void sign_release(kp_gs *gs, kp_time now)
{
	while (!kp_list_empty(&gs->signing)) {
		gs_pend *m = KP_CONTAINER_OF(gs->signing.next, gs_pend, fifo);
		if (m->state == GS_PEND_WAIT)
			return;
		signing_pop(gs);
		if (m->state == GS_PEND_GOOD) {
			publish_finish(gs, now, m);
			continue;
		}
		kp_seen_del(&gs->seen, m->fp);
		kp_gs_publish_fate(gs, m, KP_E_INTERNAL, 0);
	}
}

static kp_slice sign_text(const kp_gs *gs, const gs_pend *m)
{
	kp_rpc_publish fields = publish_fields(gs, m->pub, m);
	return kp_rpc_publish_signed(&fields, publish_data(m->pub));
}

static void sign_here(kp_gs *gs, kp_time now)
{
	gs_pend *m = unsigned_pop(gs);
	kp_err err = kp_identity_sign(gs->env->crypto, gs->env->self, sign_text(gs, m), m->sig);
	m->state = err == KP_OK ? GS_PEND_GOOD : GS_PEND_BAD;
	sign_release(gs, now);
}

void kp_gs_publish_drop_signing(kp_gs *gs)
{
	gs_pend *m = signing_pop(gs);
	KP_ASSERT(gs->sign_jobs == 0 && kp_list_linked(&m->batch));
	gs_pend *first = unsigned_pop(gs);
	KP_ASSERT(first == m);
	kp_gs_publish_fate(gs, first, KP_E_CLOSED, 0);
}

static void sign_job_run(kp_job *job)
{
	sign_job *j = KP_CONTAINER_OF(job, sign_job, job);
	for (uint32_t i = 0; i < j->n; i++) {
		struct sign_item *it = &j->items[i];
		it->ok = kp_identity_sign(j->crypto, j->self, it->text, it->sig) == KP_OK;
	}
}

static void sign_job_done(kp_job *job, kp_time now)
{
	sign_job *j = KP_CONTAINER_OF(job, sign_job, job);
	kp_gs *gs = j->gs;
	for (uint32_t i = 0; i < j->n; i++) {
		gs_pend *m = j->items[i].m;
		memcpy(m->sig, j->items[i].sig, sizeof m->sig);
		m->state = j->items[i].ok ? GS_PEND_GOOD : GS_PEND_BAD;
	}
	kp_gs_give(gs, &gs->signs, j);
	gs->sign_jobs--;
	sign_release(gs, now);
	kp_gs_sign_flush(gs, now);
}

static bool sign_hand_out(kp_gs *gs)
{
	sign_job *j = kp_gs_take(gs, &gs->signs);
	if (j == NULL)
		return false;
	j->gs = gs;
	j->crypto = gs->env->crypto;
	j->self = gs->env->self;
	j->job.run = sign_job_run;
	j->job.done = sign_job_done;
	size_t bytes = 0;
	while (gs->n_unsigned > 0 && j->n < GS_SIGN_BATCH && bytes < GS_JOB_BYTES) {
		gs_pend *m = unsigned_pop(gs);
		j->items[j->n].m = m;
		j->items[j->n].text = sign_text(gs, m);
		bytes += j->items[j->n].text.n;
		j->n++;
	}
	gs->sign_jobs++;
	GS_STAT(gs, sign_batches);
	kp_host_job(gs->host, &j->job);
	return true;
}

static bool sign_batch_is_full(const kp_gs *gs)
{
	return gs->n_unsigned >= GS_SIGN_BATCH || gs->unsigned_bytes >= GS_JOB_BYTES;
}

/* While a job is under way only full batches follow it: what else waits makes a larger one. */
void kp_gs_sign_flush(kp_gs *gs, kp_time now)
{
	gs->n_signed_here = gs->signed_here_bytes = 0;
	while (gs->n_unsigned > 0 && (gs->sign_jobs == 0 || sign_batch_is_full(gs))) {
		bool few = gs->n_unsigned <= gs->par.verify_inline_max &&
		           gs->unsigned_bytes < GS_SIGN_HERE_BYTES;
		if (few || !sign_hand_out(gs))
			sign_here(gs, now);
	}
}

/* The first few of a turn are signed at once; a burst goes to a worker. */
static void publish_sign(kp_gs *gs, kp_time now, gs_pend *m)
{
	bool here = gs->n_signing == 0 && gs->n_signed_here < gs->par.verify_inline_max &&
	            gs->signed_here_bytes < GS_SIGN_HERE_BYTES;
	kp_list_push(&gs->signing, &m->fifo);
	gs->n_signing++;
	gs->signing_bytes += gs_own_charge(m->pub);
	kp_list_push(&gs->unsigned_own, &m->batch);
	gs->n_unsigned++;
	gs->unsigned_bytes += m->pub->data_n;
	kp_gs_flush_soon(gs, now); /* also: a new turn begins */
	if (here) {
		gs->n_signed_here++;
		gs->signed_here_bytes += m->pub->data_n;
		sign_here(gs, now);
	} else if (sign_batch_is_full(gs) && !sign_hand_out(gs)) {
		sign_here(gs, now);
	}
}

kp_err kp_gs_cancel(kp_gs *gs, kp_time now, int64_t token)
{
	(void)now;
	KP_LIST_EACH(it, tmp, &gs->signing)
	{
		gs_pend *m = KP_CONTAINER_OF(it, gs_pend, fifo);
		if (m->pub->token != token)
			continue;
		if (m->canceled)
			return KP_E_NOTFOUND;
		m->canceled = true; /* a job may be reading it */
		GS_STAT(gs, publish_canceled);
		return KP_OK;
	}
	return kp_hold_cancel(gs, token) ? KP_OK : KP_E_NOTFOUND;
}

static kp_err publish_judge(const kp_gs *gs, const kp_pub *pub)
{
	if (gs->stopping)
		return KP_E_CLOSED;
	kp_rpc_publish fields = publish_fields(gs, pub, NULL);
	if (pub->topic.n > GS_TOPIC_MAX || publish_body(&fields) > gs->par.max_message_size)
		return KP_E_TOOBIG;
	return KP_OK;
}

void kp_gs_publish(kp_gs *gs, kp_time now, kp_pub *pub)
{
	kp_err err = publish_judge(gs, pub);
	if (err != KP_OK) {
		publish_refuse(gs, pub, kp_slice_none(), err);
		return;
	}
	gs_pend *m = kp_gs_pend_new(gs);
	gs_topic *t = m != NULL ? kp_gs_topic_get(gs, pub->topic) : NULL;
	if (t == NULL) {
		if (m != NULL)
			kp_gs_pend_free(gs, m);
		publish_refuse(gs, pub, kp_slice_none(), KP_E_NOMEM);
		return;
	}
	m->t = gs_topic_use(t);
	for (unsigned i = 0; i < 8; i++)
		m->seqno[i] = (uint8_t)(gs->seqno >> (56 - 8 * i));
	publish_id(gs, pub, m);
	err = kp_seen_add(&gs->seen, now, m->fp);
	if (err == KP_E_DUPLICATE) {
		publish_refuse(gs, pub, gs_id_slice(&m->id), KP_E_DUPLICATE);
		kp_gs_pend_free(gs, m);
		return;
	}
	gs->seqno++;
	m->pub = pub;
	if (publish_signs(gs))
		publish_sign(gs, now, m);
	else
		publish_finish(gs, now, m);
}

static void publish_to_self(kp_gs *gs, kp_time now, const gs_pend *m)
{
	if (!m->t->joined || !m->t->opts.self)
		return;
	kp_event *ev = kp_gs_message_event(gs, now, KP_EV_MESSAGE, m);
	if (ev == NULL)
		return;
	GS_STAT(gs, delivered);
	kp_host_event(gs->host, ev);
}

void kp_gs_publish_route(kp_gs *gs, kp_time now, gs_pend *m)
{
	gs_topic *t = m->t;
	uint32_t n = kp_gs_recipients(gs, now, t);
	bool wait = gs->par.publish_hold_ns != 0 && !gs->stopping && !kp_gs_topic_ready(t);
	if (n == 0 || wait) {
		if (wait) {
			kp_hold_push(gs, now, m);
			return;
		}
		kp_seen_del(&gs->seen, m->fp);
		GS_STAT(gs, publish_no_peers);
		kp_gs_publish_fate(gs, m, gs->stopping ? KP_E_CLOSED : KP_E_NOPEERS, 0);
		return;
	}
	uint32_t queued = 0, unwanted = 0;
	for (uint32_t i = 0; i < n; i++) {
		gs_peer *p = gs->pick[i];
		if (kp_gossip_unwanted(p, now, m->fp))
			unwanted++;
		else if (kp_sendq_own(gs, now, p, m->frame))
			queued++;
	}
	kp_mcache_put(gs, m->frame);
	if (!m->was_held)
		GS_STAT(gs, published);
	kp_trace_emit(gs->env->trace, KP_TRACE_GS_PUBLISH, m->fp, queued, 0);
	publish_to_self(gs, now, m);
	kp_gs_publish_fate(gs, m, queued + unwanted > 0 ? KP_OK : KP_E_NOPEERS, queued);
}
