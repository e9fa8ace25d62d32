/* User protocols: see app.h. One outbound stream (a lane) per peer and protocol, opened by the
 * first send and kept; inbound streams only turn frames into MESSAGE events. */
#include "svc/app.h"

#include "base/list.h"
#include "base/map.h"
#include "conn/lenframe.h"
#include "wire/varint.h"

#define APP_PROTOCOLS_MAX    64u
#define APP_PROTOCOL_LEN_MAX 140u  /* what multistream peers accept in a name */
#define APP_QUEUE_MAX        1024u /* messages of one lane */
#define APP_QUEUE_BYTES      (4u << 20)
#define APP_STALL_NS         KP_SEC(1) /* without progress for this long a peer holds nobody back */
#define APP_IN_MAX           32u       /* inbound streams per connection, all protocols */
#define APP_AGREED_FIRST     KP_MS(10) /* first look whether the peer has agreed; doubles */
#define APP_AGREED_LAST      KP_MS(640)
#define APP_BURST            (256u << 10) /* bytes of events between two looks of the host */

/* An id we have heard of: served, or only sent to. Lives as long as the service, since streams
 * borrow the text. */
struct app_id {
	char text[APP_PROTOCOL_LEN_MAX + 1];
	bool served;
	uint16_t inbox;  /* where its messages go */
	kp_list streams; /* app_stream.of_id: inbound */
	bool full;       /* the host said so */
	bool held;       /* they are not read: full, or after a burst */
	uint64_t burst;  /* bytes of its events since the host looked */
};

struct kp_app {
	kp_host *h;
	const kp_env *env;
	uint32_t max;
	bool block;
	kp_app_done_fn done;
	void *ctx;
	struct app_id *ids[APP_PROTOCOLS_MAX];
	size_t n_ids;
	kp_map lanes; /* app_lane.in_map, by app_lane.key */
	uint32_t n_streams;
	bool stopped;
	kp_time last;
};

/* What a lane is found by; memset before use, so that padding compares. */
struct app_key {
	kp_peer_id peer;
	uint32_t id; /* index into ids */
};

struct app_lane {
	kp_map_node in_map;
	struct app_key key;
	kp_app *a;
	kp_stream *s;
	kp_list queue;   /* app_msg.node; head is being written */
	kp_list written; /* handed over, but the peer has not yet agreed to the protocol */
	uint32_t n;      /* in queue */
	uint64_t bytes;  /* in queue */
	size_t at;       /* bytes of the head already handed over */
	bool agreed;     /* the peer has accepted the protocol */
	bool mapped;     /* in kp_app.lanes: takes new messages */
	kp_timer look;   /* runs while `written` waits for that */
	kp_time look_after;
};

struct app_msg {
	kp_list node;
	kp_ref data;
	int64_t token;
	uint8_t head[KP_VARINT_MAX_SIZE]; /* length prefix */
	uint8_t head_n;
};

struct app_stream {
	struct app_lane *lane; /* outbound, while it lives */
	kp_lenframe frame;     /* inbound */
	kp_list of_id;         /* inbound: app_id.streams */
	kp_stream *s;
};

static const kp_proto_ops app_proto_ops; /* below */

/* --- protocol ids ---------------------------------------------------------------------------- */

static struct app_id *app_id_find(kp_app *a, kp_slice text, uint32_t *index)
{
	for (uint32_t i = 0; i < a->n_ids; i++) {
		if (kp_slice_eq_str(text, a->ids[i]->text)) {
			*index = i;
			return a->ids[i];
		}
	}
	return NULL;
}

/* A held stream keeps its connection from being idle: what waits in it must not get lost. */
static void app_stream_hold(kp_stream *s, bool hold)
{
	kp_stream_set_idle(s, !hold);
	if (hold)
		kp_stream_hold(s);
	else
		kp_stream_resume(s);
}

static void app_id_hold(struct app_id *id, bool hold)
{
	id->burst = 0;
	if (id->held == hold)
		return;
	id->held = hold;
	KP_LIST_EACH(it, tmp, &id->streams)
	app_stream_hold(KP_CONTAINER_OF(it, struct app_stream, of_id)->s, hold);
}

static kp_err app_id_get(kp_app *a, kp_slice text, uint32_t *index)
{
	if (text.n < 2 || text.n > APP_PROTOCOL_LEN_MAX || text.p[0] != '/' ||
	    memchr(text.p, 0, text.n) != NULL || memchr(text.p, '\n', text.n) != NULL)
		return KP_E_INVAL;
	if (app_id_find(a, text, index) != NULL)
		return KP_OK;
	if (a->n_ids == APP_PROTOCOLS_MAX)
		return KP_E_LIMIT;
	struct app_id *id = (struct app_id *)kp_mem_alloc(a->env->mem, sizeof(*id));
	if (id == NULL)
		return KP_E_NOMEM;
	memcpy(id->text, text.p, text.n);
	kp_list_init(&id->streams);
	*index = (uint32_t)a->n_ids;
	a->ids[a->n_ids++] = id;
	return KP_OK;
}

kp_err kp_app_serve(kp_app *a, kp_time now, kp_slice protocol, uint16_t inbox)
{
	uint32_t index;
	a->last = now;
	kp_err err = app_id_get(a, protocol, &index);
	if (err != KP_OK)
		return err;
	if (a->ids[index]->served)
		return KP_E_DUPLICATE;
	a->ids[index]->served = true;
	a->ids[index]->inbox = inbox;
	return KP_OK;
}

void kp_app_hold(kp_app *a, kp_time now, uint16_t inbox, bool hold)
{
	a->last = now;
	for (size_t i = 0; i < a->n_ids; i++) {
		struct app_id *id = a->ids[i];
		if (!id->served || id->inbox != inbox)
			continue;
		if (hold && !id->full)
			kp_stat_add(a->env->stats, KP_STAT_app_holds, 1);
		id->full = hold;
		app_id_hold(id, hold);
	}
}

bool kp_app_find(kp_app *a, kp_slice protocol, kp_proto_binding *out)
{
	uint32_t index;
	const struct app_id *id = app_id_find(a, protocol, &index);
	if (id == NULL || !id->served || a->stopped)
		return false;
	out->ops = &app_proto_ops;
	out->svc = a;
	out->proto.id = id->text;
	out->proto.version = (uint16_t)index;
	return true;
}

bool kp_app_protocol_at(const kp_app *a, size_t n, const char **id)
{
	for (size_t i = 0; i < a->n_ids; i++) {
		if (!a->ids[i]->served || n-- > 0)
			continue;
		*id = a->ids[i]->text;
		return true;
	}
	return false;
}

/* --- lanes --------------------------------------------------------------------------------- */

static void app_lane_unmap(struct app_lane *l)
{
	if (l->mapped)
		kp_map_del(&l->a->lanes, &l->in_map);
	l->mapped = false;
}

/* Its lists are empty and its stream is gone. */
static void app_lane_free(struct app_lane *l)
{
	kp_app *a = l->a;
	KP_ASSERT(kp_list_empty(&l->queue) && kp_list_empty(&l->written));
	app_lane_unmap(l);
	kp_timer_unset(a->env->timers, &l->look);
	kp_timers_release(a->env->timers, 1);
	kp_mem_free(a->env->mem, l);
}

/* Ends every message of a list; the list may not belong to a lane any more: done may call us. */
static void app_end_all(kp_app *a, kp_list *msgs, kp_time now, kp_err err)
{
	for (kp_list *n; (n = kp_list_pop(msgs)) != NULL;) {
		struct app_msg *m = KP_CONTAINER_OF(n, struct app_msg, node);
		int64_t token = m->token;
		kp_ref_drop(&m->data);
		kp_mem_free(a->env->mem, m);
		kp_stat_add(a->env->stats, err == KP_OK ? KP_STAT_app_sent : KP_STAT_app_dropped,
		            1);
		a->done(a->ctx, now, token, err);
	}
}

static void app_list_move(kp_list *from, kp_list *to)
{
	for (kp_list *n; (n = kp_list_pop(from)) != NULL;)
		kp_list_push(to, n);
}

/* Messages go out with the proposal of the protocol; whether the peer speaks it is known a round
 * trip later. Until then what was written waits in `written`. */
static void app_lane_look(struct app_lane *l, kp_time now)
{
	kp_app *a = l->a;
	if (kp_list_empty(&l->written))
		return;
	l->agreed = l->agreed || kp_stream_proto(l->s).id != NULL;
	if (l->agreed) {
		kp_list ended;
		kp_list_init(&ended);
		app_list_move(&l->written, &ended);
		kp_timer_unset(a->env->timers, &l->look);
		app_end_all(a, &ended, now, KP_OK);
	} else if (!kp_timer_is_set(&l->look)) {
		kp_timer_set(a->env->timers, &l->look, now + l->look_after);
		l->look_after = KP_MIN(l->look_after * 2, APP_AGREED_LAST);
	}
}

static void app_on_look(kp_timer *t, kp_time now)
{
	struct app_lane *l = KP_CONTAINER_OF(t, struct app_lane, look);
	l->a->last = now;
	app_lane_look(l, now);
}

static struct app_lane *app_lane_new(kp_app *a, const struct app_key *key)
{
	if (kp_timers_reserve(a->env->timers, 1) != KP_OK)
		return NULL;
	struct app_lane *l = (struct app_lane *)kp_mem_alloc(a->env->mem, sizeof(*l));
	if (l != NULL) {
		l->key = *key;
		if (kp_map_put(&a->lanes, &l->in_map, &l->key, sizeof(l->key)) != KP_OK) {
			kp_mem_free(a->env->mem, l);
			l = NULL;
		}
	}
	if (l == NULL) {
		kp_timers_release(a->env->timers, 1);
		return NULL;
	}
	l->a = a;
	l->mapped = true;
	l->look_after = APP_AGREED_FIRST;
	kp_list_init(&l->queue);
	kp_list_init(&l->written);
	kp_timer_init(&l->look, app_on_look);
	return l;
}

static kp_err app_lane_get(kp_app *a, kp_time now, const kp_peer_id *peer, uint32_t id,
                           struct app_lane **out)
{
	struct app_key key;
	memset(&key, 0, sizeof(key));
	key.peer = *peer;
	key.id = id;
	kp_map_node *n = kp_map_get(&a->lanes, &key, sizeof(key));
	if (n != NULL) {
		*out = KP_CONTAINER_OF(n, struct app_lane, in_map);
		return KP_OK;
	}
	struct app_lane *l = app_lane_new(a, &key);
	if (l == NULL)
		return KP_E_NOMEM;
	kp_proto proto = {a->ids[id]->text, (uint16_t)id};
	kp_err err = kp_host_open(a->h, now, peer, &proto, 1, &app_proto_ops, a, &l->s);
	if (err != KP_OK) {
		app_lane_free(l);
		return err;
	}
	((struct app_stream *)kp_stream_state(l->s))->lane = l;
	a->n_streams++;
	*out = l;
	return KP_OK;
}

static bool app_lane_has_room(const kp_app *a, const struct app_lane *l, size_t n)
{
	return l->n < APP_QUEUE_MAX && l->bytes + n <= KP_MAX(APP_QUEUE_BYTES, 2u * a->max);
}

bool kp_app_may_send(kp_app *a, kp_time now, const kp_peer_id *peer, kp_slice protocol, size_t n)
{
	struct app_key key;
	memset(&key, 0, sizeof(key));
	key.peer = *peer;
	if (app_id_find(a, protocol, &key.id) == NULL)
		return true;
	kp_map_node *node = kp_map_get(&a->lanes, &key, sizeof(key));
	if (node == NULL)
		return true;
	const struct app_lane *l = KP_CONTAINER_OF(node, struct app_lane, in_map);
	return app_lane_has_room(a, l, n) ||
	       kp_time_add(kp_stream_last_progress(l->s), APP_STALL_NS) <= now;
}

static kp_err app_enqueue(kp_app *a, struct app_lane *l, kp_ref *data, int64_t token)
{
	if (!app_lane_has_room(a, l, data->len))
		return KP_E_LIMIT;
	struct app_msg *m = (struct app_msg *)kp_mem_alloc(a->env->mem, sizeof(*m));
	if (m == NULL)
		return KP_E_NOMEM;
	kp_writer w = kp_writer_of(m->head, sizeof(m->head));
	kp_varint_write(&w, data->len);
	m->head_n = (uint8_t)w.n;
	m->data = *data;
	*data = kp_ref_none();
	m->token = token;
	kp_list_init(&m->node);
	kp_list_push(&l->queue, &m->node);
	l->n++;
	l->bytes += m->data.len;
	kp_stream_set_idle(l->s, false);
	kp_stream_want_write(l->s);
	return KP_OK;
}

kp_err kp_app_send(kp_app *a, kp_time now, const kp_peer_id *peer, kp_slice protocol, kp_ref data,
                   int64_t token)
{
	uint32_t id;
	struct app_lane *l;
	a->last = now;
	kp_err err = a->stopped ? KP_E_CLOSED : app_id_get(a, protocol, &id);
	if (err == KP_OK && data.len > a->max)
		err = KP_E_TOOBIG;
	if (err == KP_OK)
		err = app_lane_get(a, now, peer, id, &l);
	if (err == KP_OK)
		err = app_enqueue(a, l, &data, token);
	if (err != KP_OK) {
		kp_stat_add(a->env->stats, KP_STAT_app_refused, 1);
		kp_ref_drop(&data);
	}
	return err;
}

/* --- outbound ------------------------------------------------------------------------------ */

/* Moves what has been handed over completely out of the queue. */
static void app_lane_retire(struct app_lane *l)
{
	while (!kp_list_empty(&l->queue)) {
		struct app_msg *m = KP_CONTAINER_OF(l->queue.next, struct app_msg, node);
		size_t size = m->head_n + (size_t)m->data.len;
		if (l->at < size)
			return;
		l->at -= size;
		l->n--;
		l->bytes -= m->data.len;
		kp_list_del(&m->node);
		kp_list_push(&l->written, &m->node);
	}
	KP_ASSERT(l->at == 0);
	kp_stream_set_idle(l->s, true);
}

/* Adds the part of `s` from *skip on, as far as n_max goes. */
static unsigned app_slice_from(kp_slice s, size_t *skip, size_t *n_max, kp_slice *out)
{
	if (*skip >= s.n) {
		*skip -= s.n;
		return 0;
	}
	size_t n = KP_MIN(s.n - *skip, *n_max);
	if (n == 0)
		return 0;
	*out = kp_slice_of(s.p + *skip, n);
	*skip = 0;
	*n_max -= n;
	return 1;
}

static unsigned app_pull(void *svc, kp_stream *s, kp_time now, kp_slice *v, unsigned v_max,
                         size_t n_max)
{
	kp_app *a = (kp_app *)svc;
	struct app_lane *l = ((struct app_stream *)kp_stream_state(s))->lane;
	a->last = now;
	if (l == NULL)
		return 0;
	app_lane_retire(l);
	app_lane_look(l, now);
	unsigned n = 0;
	size_t skip = l->at, before = n_max;
	KP_LIST_EACH(it, tmp, &l->queue)
	{
		if (n + 2 > v_max || n_max == 0)
			break;
		struct app_msg *m = KP_CONTAINER_OF(it, struct app_msg, node);
		n += app_slice_from(kp_slice_of(m->head, m->head_n), &skip, &n_max, &v[n]);
		n += app_slice_from(kp_ref_slice(m->data), &skip, &n_max, &v[n]);
	}
	l->at += before - n_max;
	return n;
}

/* The lane's stream is gone. */
static void app_lane_closed(struct app_lane *l, kp_time now, kp_err why)
{
	kp_app *a = l->a;
	kp_list sent, lost;
	kp_list_init(&sent);
	kp_list_init(&lost);
	app_lane_retire(l);
	app_list_move(&l->written, l->agreed || why == KP_OK ? &sent : &lost);
	app_list_move(&l->queue, &lost);
	l->at = 0;
	app_lane_free(l);
	app_end_all(a, &sent, now, KP_OK);
	app_end_all(a, &lost, now, why == KP_OK ? KP_E_CLOSED : why);
}

/* --- inbound --------------------------------------------------------------------------------- */

static void app_deliver(kp_app *a, kp_stream *s, kp_time now, kp_ref data)
{
	char from[KP_PEER_ID_TEXT_MAX];
	size_t from_n = kp_peer_id_text(kp_stream_peer(s), from);
	struct app_id *id = a->ids[kp_stream_proto(s).version];
	kp_slice protocol = kp_slice_str(id->text);
	kp_event *ev = kp_event_new(a->env->pool, KP_EV_MESSAGE, from_n + protocol.n + 1);
	if (ev == NULL) {
		kp_stat_add(a->env->stats, KP_STAT_app_dropped, 1);
		kp_ref_drop(&data);
		return;
	}
	ev->flags = KP_EVF_NO_SEQ;
	ev->inbox = id->inbox;
	ev->time_ns = kp_env_wall(a->env, now);
	kp_event_copy(ev, KP_F_FROM, kp_slice_of(from, from_n));
	kp_event_copy(ev, KP_F_PROTOCOL, protocol);
	if (data.block != NULL)
		kp_event_hold(ev, KP_F_PAYLOAD, data, kp_ref_slice(data));
	else
		kp_event_copy(ev, KP_F_PAYLOAD, kp_slice_of("", 0));
	kp_stat_add(a->env->stats, KP_STAT_app_received, 1);
	id->burst += kp_event_bytes(ev);
	kp_host_event(a->h, ev);
	if (a->block && id->burst >= APP_BURST)
		app_id_hold(id, true);
}

static kp_err app_on_open(void *svc, kp_stream *s, kp_time now)
{
	kp_app *a = (kp_app *)svc;
	struct app_stream *st = (struct app_stream *)kp_stream_state(s);
	a->last = now;
	if (kp_stream_outbound(s))
		return KP_OK;
	if (a->stopped)
		return KP_E_CLOSED;
	struct app_id *id = a->ids[kp_stream_proto(s).version];
	st->frame.skip_big = true;
	st->s = s;
	a->n_streams++;
	kp_list_init(&st->of_id);
	kp_list_push(&id->streams, &st->of_id);
	/* the sender keeps it; what arrives restarts the idle time */
	app_stream_hold(s, id->held);
	return KP_OK;
}

static kp_err app_on_data(void *svc, kp_stream *s, kp_time now, kp_slice in)
{
	kp_app *a = (kp_app *)svc;
	struct app_stream *st = (struct app_stream *)kp_stream_state(s);
	a->last = now;
	if (kp_stream_outbound(s))
		return KP_OK; /* nothing is expected here */
	kp_stream_set_idle(s, false);
	kp_err err = KP_OK;
	while (in.n > 0 && err != KP_E_PROTO) {
		kp_ref data;
		err = kp_lenframe_feed(&st->frame, a->env->pool, a->max, &in, &data);
		if (err == KP_OK) {
			app_deliver(a, s, now, data);
		} else if (err == KP_E_TOOBIG) {
			kp_stat_add(a->env->stats, KP_STAT_app_oversize, 1);
		} else if (err == KP_E_LIMIT) {
			kp_stat_add(a->env->stats, KP_STAT_app_dropped, 1);
			kp_lenframe_skip(&st->frame);
		}
	}
	kp_stream_set_idle(s, !a->ids[kp_stream_proto(s).version]->held);
	return err == KP_E_PROTO ? err : KP_OK;
}

static void app_on_fin(void *svc, kp_stream *s, kp_time now)
{
	kp_app *a = (kp_app *)svc;
	struct app_stream *st = (struct app_stream *)kp_stream_state(s);
	a->last = now;
	if (kp_stream_outbound(s) && st->lane != NULL)
		app_lane_unmap(st->lane); /* what comes now goes to a new stream */
	kp_stream_fin(s);
}

static void app_on_close(void *svc, kp_stream *s, kp_time now, kp_err why)
{
	kp_app *a = (kp_app *)svc;
	struct app_stream *st = (struct app_stream *)kp_stream_state(s);
	a->last = now;
	a->n_streams--;
	if (!kp_stream_outbound(s)) {
		kp_list_del(&st->of_id);
		kp_lenframe_fini(&st->frame);
	} else if (st->lane != NULL) {
		app_lane_closed(st->lane, now, why);
	}
}

static const kp_proto_ops app_proto_ops = {
        .name = "app",
        .state_size = sizeof(struct app_stream),
        .in_max = APP_IN_MAX,
        .on_open = app_on_open,
        .on_data = app_on_data,
        .on_fin = app_on_fin,
        .pull = app_pull,
        .on_close = app_on_close,
};

/* --- the service --------------------------------------------------------------------------- */

/* What is queued still goes out within the goodbye's budget. */
static void app_on_stop(void *svc, kp_time now)
{
	kp_app *a = (kp_app *)svc;
	a->last = now;
	a->stopped = true;
	for (kp_map_node *n = kp_map_first(&a->lanes); n != NULL; n = kp_map_next(n))
		kp_stream_fin(KP_CONTAINER_OF(n, struct app_lane, in_map)->s);
}

const kp_svc_ops kp_app_svc_ops = {.name = "app", .on_stop = app_on_stop};

kp_app *kp_app_new(kp_host *h, uint32_t max, bool block, kp_app_done_fn done, void *ctx)
{
	const kp_env *env = kp_host_env(h);
	kp_app *a = (kp_app *)kp_mem_alloc(env->mem, sizeof(*a));
	if (a == NULL)
		return NULL;
	uint8_t key[16];
	kp_rng_fill(env->rng, key, sizeof(key));
	kp_map_init(&a->lanes, env->mem, key);
	a->h = h;
	a->env = env;
	a->max = max;
	a->block = block;
	a->done = done;
	a->ctx = ctx;
	return a;
}

void kp_app_free(kp_app *a)
{
	if (a == NULL)
		return;
	KP_ASSERT(a->n_streams == 0 && kp_map_count(&a->lanes) == 0);
	kp_map_fini(&a->lanes);
	for (size_t i = 0; i < a->n_ids; i++)
		kp_mem_free(a->env->mem, a->ids[i]);
	kp_mem_free(a->env->mem, a);
}
