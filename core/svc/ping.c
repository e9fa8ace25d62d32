/* /ipfs/ping/1.0.0: echoes whole units of 32 bytes on inbound streams; on request
 * measures round trips over one outbound stream per peer, kept for a while and reopened without a
 * word when the peer has closed it meanwhile. Liveness is yamux's, not this file's. */
#include "svc/ping.h"

#include "base/list.h"

#define PING_SIZE     32u
#define PING_ECHO_MAX 32u        /* units that may wait to be echoed: one more is flooding */
#define PING_IN_LIVE  2u         /* inbound streams per connection; one more replaces the oldest */
#define PING_IN_MAX   8u         /* with those whose reset is still under way */
#define PING_KEEP     KP_SEC(10) /* an outbound stream without work */
#define PING_LINGER   KP_SEC(5)  /* from our FIN to a reset */

struct kp_ping {
	kp_host *h;
	const kp_env *env;
	kp_list inbound;  /* ping_stream.node, oldest first */
	kp_list links;    /* ping_link.node */
	kp_list finished; /* ping_request.node, waiting for their done */
	kp_timer flush;   /* calls done of what finished inside a call of the engine's */
	uint64_t next_id;
	uint32_t n_streams;
	kp_time last; /* latest `now` seen */
	bool stopped;
};

/* The outbound side to one peer. */
struct ping_link {
	kp_list node;
	kp_ping *p;
	kp_peer_id peer;
	kp_stream *s;     /* NULL between two streams */
	kp_list requests; /* head is on the wire while busy */
	kp_timer keep;    /* of a stream without work */
	kp_time sent_at;
	bool busy, closing; /* closing: FIN is sent, waiting for theirs */
	bool reused;        /* s has answered before */
	uint8_t sent, got;  /* of the 32 bytes */
	uint8_t bytes[PING_SIZE];
};

struct ping_request {
	kp_list node; /* link.requests or kp_ping.finished */
	struct ping_link *link;
	uint64_t id;
	kp_ping_done_fn done;
	void *ctx;
	kp_timer timer;
	kp_err err; /* once finished */
	kp_time rtt;
	bool retried;
};

struct ping_stream {
	kp_list node;           /* inbound */
	struct ping_link *link; /* outbound; NULL once given up */
	kp_stream *s;
	uint16_t got, sent; /* bytes in buf, and how many of them are echoed; units start at 0 */
	bool dying;
	uint8_t buf[PING_ECHO_MAX * PING_SIZE];
};

const kp_proto kp_ping_protos[] = {{"/ipfs/ping/1.0.0", 0}};

/* --- requests ------------------------------------------------------------------------------ */

static void ping_finish(kp_ping *p, struct ping_request *r, kp_err err, kp_time rtt)
{
	kp_list_del(&r->node);
	kp_timer_unset(p->env->timers, &r->timer);
	kp_timers_release(p->env->timers, 1);
	r->link = NULL;
	r->err = err;
	r->rtt = rtt;
	kp_list_push(&p->finished, &r->node);
}

/* The last thing an entry point does: done may call us again. */
static void ping_flush(kp_ping *p, kp_time now)
{
	for (kp_list *n; (n = kp_list_pop(&p->finished)) != NULL;) {
		struct ping_request r = *KP_CONTAINER_OF(n, struct ping_request, node);
		kp_mem_free(p->env->mem, KP_CONTAINER_OF(n, struct ping_request, node));
		r.done(r.ctx, now, r.err, r.rtt);
	}
	kp_timer_unset(p->env->timers, &p->flush);
}

static void ping_on_flush(kp_timer *t, kp_time now)
{
	kp_ping *p = KP_CONTAINER_OF(t, kp_ping, flush);
	p->last = now;
	ping_flush(p, now);
}

/* --- links --------------------------------------------------------------------------------- */

static struct ping_link *ping_link_find(kp_ping *p, const kp_peer_id *peer)
{
	KP_LIST_EACH(n, tmp, &p->links)
	{
		struct ping_link *l = KP_CONTAINER_OF(n, struct ping_link, node);
		if (kp_peer_id_eq(&l->peer, peer))
			return l;
	}
	return NULL;
}

/* Forgets the link's stream, which ends by itself. */
static void ping_link_drop_stream(struct ping_link *l)
{
	if (l->s == NULL)
		return;
	((struct ping_stream *)kp_stream_state(l->s))->link = NULL;
	kp_stream_reset(l->s);
	l->s = NULL;
	l->busy = false;
}

static void ping_link_free(struct ping_link *l)
{
	KP_ASSERT(kp_list_empty(&l->requests));
	ping_link_drop_stream(l);
	kp_timer_unset(l->p->env->timers, &l->keep);
	kp_timers_release(l->p->env->timers, 1);
	kp_list_del(&l->node);
	kp_mem_free(l->p->env->mem, l);
}

static void ping_on_keep(kp_timer *t, kp_time now)
{
	struct ping_link *l = KP_CONTAINER_OF(t, struct ping_link, keep);
	KP_ASSERT(l->s != NULL && !l->busy);
	if (l->closing) {
		ping_link_free(l);
		return;
	}
	l->closing = true;
	kp_stream_fin(l->s);
	kp_timer_set(l->p->env->timers, t, now + PING_LINGER);
}

static struct ping_link *ping_link_new(kp_ping *p, const kp_peer_id *peer)
{
	if (kp_timers_reserve(p->env->timers, 1) != KP_OK)
		return NULL;
	struct ping_link *l = (struct ping_link *)kp_mem_alloc(p->env->mem, sizeof(*l));
	if (l == NULL) {
		kp_timers_release(p->env->timers, 1);
		return NULL;
	}
	kp_list_init(&l->node);
	kp_list_init(&l->requests);
	kp_timer_init(&l->keep, ping_on_keep);
	l->p = p;
	l->peer = *peer;
	kp_list_push(&p->links, &l->node);
	return l;
}

static kp_err ping_link_open(struct ping_link *l, kp_time now)
{
	kp_ping *p = l->p;
	if (l->closing)
		ping_link_drop_stream(l);
	l->closing = false;
	if (l->s != NULL)
		return KP_OK;
	kp_err err =
	        kp_host_open(p->h, now, &l->peer, kp_ping_protos, 1, &kp_ping_proto_ops, p, &l->s);
	if (err != KP_OK) {
		l->s = NULL;
		return err;
	}
	struct ping_stream *st = (struct ping_stream *)kp_stream_state(l->s);
	kp_list_init(&st->node);
	st->s = l->s;
	st->link = l;
	l->busy = l->reused = false;
	p->n_streams++;
	kp_stream_set_idle(l->s, true);
	return KP_OK;
}

/* Sends the next ping, or lets the link rest, or frees it when it has neither work nor stream. */
static void ping_link_settle(struct ping_link *l, kp_time now)
{
	kp_ping *p = l->p;
	while (!l->busy && !kp_list_empty(&l->requests)) {
		struct ping_request *r =
		        KP_CONTAINER_OF(l->requests.next, struct ping_request, node);
		kp_err err = ping_link_open(l, now);
		if (err != KP_OK) {
			ping_finish(p, r, err == KP_E_NOTFOUND ? KP_E_CLOSED : err, 0);
			continue;
		}
		kp_timer_unset(p->env->timers, &l->keep);
		kp_rng_fill(p->env->rng, l->bytes, PING_SIZE);
		l->busy = true;
		l->sent = l->got = 0;
		kp_stream_want_write(l->s);
	}
	if (l->busy)
		return;
	if (l->s == NULL)
		ping_link_free(l);
	else if (!kp_timer_is_set(&l->keep))
		kp_timer_set(p->env->timers, &l->keep, now + PING_KEEP);
}

static void ping_on_timeout(kp_timer *t, kp_time now)
{
	struct ping_request *r = KP_CONTAINER_OF(t, struct ping_request, timer);
	struct ping_link *l = r->link;
	kp_ping *p = l->p;
	p->last = now;
	kp_stat_add(p->env->stats, KP_STAT_ping_timeouts, 1);
	if (l->busy && l->requests.next == &r->node)
		ping_link_drop_stream(l); /* a late echo must not be taken for the next one */
	ping_finish(p, r, KP_E_TIMEDOUT, 0);
	ping_link_settle(l, now);
	ping_flush(p, now);
}

kp_err kp_ping_start(kp_ping *p, kp_time now, const kp_peer_id *peer, kp_time timeout_ns,
                     kp_ping_done_fn done, void *ctx, uint64_t *request)
{
	KP_ASSERT(done != NULL && peer->n > 0);
	p->last = now;
	if (p->stopped)
		return KP_E_CLOSED;
	struct ping_link *l = ping_link_find(p, peer);
	if (l == NULL && (l = ping_link_new(p, peer)) == NULL)
		return KP_E_NOMEM;
	kp_err err = ping_link_open(l, now);
	if (err == KP_OK && kp_timers_reserve(p->env->timers, 1) != KP_OK)
		err = KP_E_NOMEM;
	struct ping_request *r = NULL;
	if (err == KP_OK &&
	    (r = (struct ping_request *)kp_mem_alloc(p->env->mem, sizeof(*r))) == NULL) {
		kp_timers_release(p->env->timers, 1);
		err = KP_E_NOMEM;
	}
	if (r != NULL) {
		kp_list_init(&r->node);
		kp_timer_init(&r->timer, ping_on_timeout);
		r->link = l;
		r->id = *request = ++p->next_id;
		r->done = done;
		r->ctx = ctx;
		kp_list_push(&l->requests, &r->node);
		kp_timer_set(p->env->timers, &r->timer, kp_time_add(now, timeout_ns));
	}
	ping_link_settle(l, now);
	return err;
}

void kp_ping_cancel(kp_ping *p, kp_time now, uint64_t request)
{
	p->last = now;
	KP_LIST_EACH(n, tmp, &p->links)
	{
		struct ping_link *l = KP_CONTAINER_OF(n, struct ping_link, node);
		KP_LIST_EACH(m, next, &l->requests)
		{
			struct ping_request *r = KP_CONTAINER_OF(m, struct ping_request, node);
			if (r->id != request)
				continue;
			if (l->busy && l->requests.next == m)
				ping_link_drop_stream(l);
			ping_finish(p, r, KP_E_CANCELED, 0);
			ping_link_settle(l, now);
			kp_timer_set(p->env->timers, &p->flush, now);
			return;
		}
	}
}

/* --- outbound streams ---------------------------------------------------------------------- */

static kp_err ping_echo_rx(kp_ping *p, struct ping_link *l, kp_time now, kp_slice in)
{
	if (!l->busy || in.n > (size_t)(l->sent - l->got) ||
	    memcmp(in.p, l->bytes + l->got, in.n) != 0) {
		kp_stat_add(p->env->stats, KP_STAT_ping_errors, 1);
		l->reused = false; /* not to be tried again */
		return KP_E_PROTO;
	}
	l->got = (uint8_t)(l->got + in.n);
	if (l->got < PING_SIZE)
		return KP_OK;
	l->busy = false;
	l->reused = true;
	ping_finish(p, KP_CONTAINER_OF(l->requests.next, struct ping_request, node), KP_OK,
	            kp_time_sub(now, l->sent_at));
	ping_link_settle(l, now);
	ping_flush(p, now);
	return KP_OK;
}

static unsigned ping_link_pull(struct ping_link *l, kp_time now, kp_slice *v, size_t n_max)
{
	if (!l->busy || l->sent == PING_SIZE)
		return 0;
	if (l->sent == 0) {
		l->sent_at = now;
		kp_stat_add(l->p->env->stats, KP_STAT_pings_sent, 1);
	}
	size_t n = KP_MIN(n_max, (size_t)(PING_SIZE - l->sent));
	v[0] = kp_slice_of(l->bytes + l->sent, n);
	l->sent = (uint8_t)(l->sent + n);
	return n > 0 ? 1 : 0;
}

/* The stream is gone: a stream that had worked before is replaced once per ping without a word,
 * since go closes it 10 s after the last ping. */
static void ping_link_closed(struct ping_link *l, kp_time now, kp_err why)
{
	kp_ping *p = l->p;
	bool head_lost = l->busy;
	bool all_lost = why == KP_E_CLOSED || why == KP_E_NOTSUP;
	l->s = NULL;
	l->busy = l->closing = false;
	kp_timer_unset(p->env->timers, &l->keep);
	KP_LIST_EACH(n, tmp, &l->requests)
	{
		struct ping_request *r = KP_CONTAINER_OF(n, struct ping_request, node);
		if (!all_lost) {
			if (!head_lost)
				break;
			head_lost = false;
			if (l->reused && !r->retried) {
				r->retried = true;
				break;
			}
		}
		ping_finish(p, r, why == KP_OK ? KP_E_CLOSED : why, 0);
	}
	ping_link_settle(l, now);
	ping_flush(p, now);
}

/* --- stream ops: outbound and inbound share the table ---------------------------------------- */

static kp_err ping_on_open(void *svc, kp_stream *s, kp_time now)
{
	kp_ping *p = (kp_ping *)svc;
	struct ping_stream *st = (struct ping_stream *)kp_stream_state(s);
	p->last = now;
	if (kp_stream_outbound(s))
		return KP_OK;
	unsigned live = 0;
	struct ping_stream *oldest = NULL;
	KP_LIST_EACH(n, tmp, &p->inbound)
	{
		struct ping_stream *o = KP_CONTAINER_OF(n, struct ping_stream, node);
		if (o->dying || !kp_id_eq(kp_stream_conn_id(o->s), kp_stream_conn_id(s)))
			continue;
		if (live++ == 0)
			oldest = o;
	}
	if (live >= PING_IN_LIVE) {
		oldest->dying = true;
		kp_stream_reset(oldest->s);
	}
	st->s = s;
	kp_list_init(&st->node);
	kp_list_push(&p->inbound, &st->node);
	p->n_streams++;
	kp_stream_set_idle(s, true);
	return KP_OK;
}

static kp_err ping_on_data(void *svc, kp_stream *s, kp_time now, kp_slice in)
{
	kp_ping *p = (kp_ping *)svc;
	struct ping_stream *st = (struct ping_stream *)kp_stream_state(s);
	p->last = now;
	if (kp_stream_outbound(s))
		return st->link != NULL ? ping_echo_rx(p, st->link, now, in) : KP_OK;
	uint16_t gone = (uint16_t)(st->sent - st->sent % PING_SIZE);
	if (gone > 0) {
		st->got = (uint16_t)(st->got - gone);
		st->sent = (uint16_t)(st->sent - gone);
		memmove(st->buf, st->buf + gone, st->got);
	}
	if (in.n > sizeof(st->buf) - st->got) {
		kp_stat_add(p->env->stats, KP_STAT_ping_errors, 1);
		return KP_E_PROTO;
	}
	unsigned before = st->got / PING_SIZE;
	memcpy(st->buf + st->got, in.p, in.n);
	st->got = (uint16_t)(st->got + in.n);
	kp_stat_add(p->env->stats, KP_STAT_pings_answered, st->got / PING_SIZE - before);
	kp_stream_want_write(s);
	return KP_OK;
}

static void ping_on_fin(void *svc, kp_stream *s, kp_time now)
{
	kp_ping *p = (kp_ping *)svc;
	struct ping_stream *st = (struct ping_stream *)kp_stream_state(s);
	p->last = now;
	if (kp_stream_outbound(s)) {
		struct ping_link *l = st->link;
		st->link = NULL;
		kp_stream_fin(s);
		if (l != NULL)
			ping_link_closed(l, now, KP_OK);
		return;
	}
	if (st->got % PING_SIZE != 0) {
		kp_stat_add(p->env->stats, KP_STAT_ping_errors, 1);
		kp_stream_reset(s);
		return;
	}
	kp_stream_fin(s); /* what is left in buf still goes out (js closes after its 32 bytes) */
}

static unsigned ping_pull(void *svc, kp_stream *s, kp_time now, kp_slice *v, unsigned v_max,
                          size_t n_max)
{
	kp_ping *p = (kp_ping *)svc;
	struct ping_stream *st = (struct ping_stream *)kp_stream_state(s);
	p->last = now;
	if (v_max == 0)
		return 0;
	if (kp_stream_outbound(s))
		return st->link != NULL ? ping_link_pull(st->link, now, v, n_max) : 0;
	size_t whole = st->got - st->got % PING_SIZE;
	size_t n = KP_MIN(n_max, whole - st->sent);
	if (n == 0)
		return 0;
	v[0] = kp_slice_of(st->buf + st->sent, n);
	st->sent = (uint16_t)(st->sent + n);
	return 1;
}

static void ping_on_close(void *svc, kp_stream *s, kp_time now, kp_err why)
{
	kp_ping *p = (kp_ping *)svc;
	struct ping_stream *st = (struct ping_stream *)kp_stream_state(s);
	p->last = now;
	p->n_streams--;
	if (!kp_stream_outbound(s))
		kp_list_del(&st->node);
	else if (st->link != NULL)
		ping_link_closed(st->link, now, why);
}

const kp_proto_ops kp_ping_proto_ops = {
        .name = "ping",
        .state_size = sizeof(struct ping_stream),
        .in_max = PING_IN_MAX,
        .on_open = ping_on_open,
        .on_data = ping_on_data,
        .on_fin = ping_on_fin,
        .pull = ping_pull,
        .on_close = ping_on_close,
};

/* --- the service --------------------------------------------------------------------------- */

static void ping_end_all(kp_ping *p, kp_time now)
{
	p->stopped = true;
	KP_LIST_EACH(n, tmp, &p->links)
	{
		struct ping_link *l = KP_CONTAINER_OF(n, struct ping_link, node);
		KP_LIST_EACH(m, next, &l->requests)
		ping_finish(p, KP_CONTAINER_OF(m, struct ping_request, node), KP_E_CLOSED, 0);
		ping_link_free(l);
	}
	ping_flush(p, now);
}

static void ping_on_stop(void *svc, kp_time now)
{
	kp_ping *p = (kp_ping *)svc;
	p->last = now;
	ping_end_all(p, now);
}

const kp_svc_ops kp_ping_svc_ops = {.name = "ping", .on_stop = ping_on_stop};

kp_ping *kp_ping_new(kp_host *h)
{
	const kp_env *env = kp_host_env(h);
	if (kp_timers_reserve(env->timers, 1) != KP_OK)
		return NULL;
	kp_ping *p = (kp_ping *)kp_mem_alloc(env->mem, sizeof(*p));
	if (p == NULL) {
		kp_timers_release(env->timers, 1);
		return NULL;
	}
	p->h = h;
	p->env = env;
	kp_list_init(&p->inbound);
	kp_list_init(&p->links);
	kp_list_init(&p->finished);
	kp_timer_init(&p->flush, ping_on_flush);
	return p;
}

void kp_ping_free(kp_ping *p)
{
	if (p == NULL)
		return;
	KP_ASSERT(p->n_streams == 0);
	ping_end_all(p, p->last);
	kp_timers_release(p->env->timers, 1);
	kp_mem_free(p->env->mem, p);
}
