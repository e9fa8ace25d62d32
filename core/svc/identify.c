/* identify and identify push of libp2p: see identify.h. One kind of stream state plays four
 * roles: asking, answering, pushing and being pushed to. What a peer said is merged over its
 * messages and checked here; keeping it is the engine's business, except for the list of protocols
 * and the agent, which a later partial push leaves out. */
#include "svc/identify.h"

#include "base/list.h"
#include "base/map.h"
#include "base/ratelim.h"
#include "conn/lenframe.h"
#include "wire/identify_msg.h"

#define IDENTIFY_MSGS_MAX      10u /* messages read of one stream */
#define IDENTIFY_READ_TIME     KP_SEC(5)
#define IDENTIFY_WRITE_TIME    KP_SEC(10)
#define IDENTIFY_DEBOUNCE      KP_SEC(1)
#define IDENTIFY_PUSHES_MAX    32u /* going out at once */
#define IDENTIFY_PUSH_BURST    10u /* inbound ones per peer; then one per IDENTIFY_PUSH_PER */
#define IDENTIFY_PUSH_PER      KP_SEC(5)
#define IDENTIFY_ASKED_MAX     8u /* inbound streams per connection */
#define IDENTIFY_PUSHED_MAX    2u
#define IDENTIFY_OWN_ADDRS     20u /* that we send */
#define IDENTIFY_OWN_PROTOCOLS 128u
#define IDENTIFY_RECORD_MAX    2048u /* bytes of our signed record */
#define IDENTIFY_ADDRS_READ    500u  /* looked at in what a peer sends */
#define IDENTIFY_ADDRS_KEPT    100u
#define IDENTIFY_PROTOCOLS     1024u
#define IDENTIFY_KNOWN_MAX     16384u /* bytes of agent and protocols kept for merging */

const kp_proto kp_identify_protos[] = {{"/ipfs/id/1.0.0", 0}};
const kp_proto kp_identify_push_protos[] = {{"/ipfs/id/push/1.0.0", 0}};

/* Room for one merge and for one message to write; each is used within a single call. */
struct identify_scratch {
	kp_maddr addrs[IDENTIFY_ADDRS_KEPT];
	kp_slice protocols[IDENTIFY_PROTOCOLS];
	const char *own_protocols[IDENTIFY_OWN_PROTOCOLS];
	kp_slice own_addr_slices[IDENTIFY_OWN_ADDRS];
};

struct kp_identify {
	kp_host *h;
	const kp_env *env;
	const char *agent, *protocol_version;
	kp_identify_sink sink;
	void *sink_ctx;
	kp_map peers; /* identify_peer.in_map, by id */
	kp_timer push;
	uint32_t pushes_open, n_streams;
	bool stopped;
	struct identify_scratch *scratch;
	/* our signed record and the addresses in it */
	kp_maddr own[IDENTIFY_OWN_ADDRS];
	size_t n_own;
	uint64_t record_seq;
	size_t record_n; /* 0 = there is none */
	uint8_t record[IDENTIFY_RECORD_MAX];
};

struct identify_peer {
	kp_map_node in_map;
	kp_peer_id id;
	kp_list conns; /* identify_conn.node */
	kp_ref known;  /* of the last answer: agent, protocols; each u16 length ‖ bytes */
	bool takes_push, push_due;
	kp_ratelim pushes;
};

struct identify_conn {
	kp_list node;
	kp_id id;
	kp_maddr remote;
};

enum identify_role { IDENTIFY_ASK, IDENTIFY_ANSWER, IDENTIFY_PUSH, IDENTIFY_PUSHED };

struct identify_stream {
	kp_timer timer; /* one place of the heap is reserved for it */
	kp_identify *owner;
	kp_stream *s;
	enum identify_role role;
	bool done; /* nothing more is read or written */
	/* reading */
	kp_lenframe frame;
	kp_ref msgs[IDENTIFY_MSGS_MAX];
	uint32_t n_msgs;
	/* writing */
	kp_ref out;
	size_t sent;
};

/* What the messages of one stream say together. */
struct identify_merged {
	kp_slice key, agent, observed; /* p == NULL: never given */
	kp_identify_info info;
	size_t addrs_seen;
};

static void identify_count(kp_identify *id, kp_stat which, uint64_t n)
{
	kp_stat_add(id->env->stats, which, n);
}

/* --- peers and connections ------------------------------------------------------------------- */

static struct identify_peer *identify_peer_find(kp_identify *id, const kp_peer_id *peer)
{
	kp_map_node *n = kp_map_get(&id->peers, peer, sizeof(*peer));
	return n != NULL ? KP_CONTAINER_OF(n, struct identify_peer, in_map) : NULL;
}

static struct identify_conn *identify_conn_find(struct identify_peer *p, kp_id conn)
{
	KP_LIST_EACH(n, tmp, &p->conns)
	{
		struct identify_conn *c = KP_CONTAINER_OF(n, struct identify_conn, node);
		if (kp_id_eq(c->id, conn))
			return c;
	}
	return NULL;
}

static struct identify_peer *identify_peer_get(kp_identify *id, kp_time now, const kp_peer_id *peer)
{
	struct identify_peer *p = identify_peer_find(id, peer);
	if (p != NULL)
		return p;
	p = (struct identify_peer *)kp_mem_alloc(id->env->mem, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->id = *peer;
	kp_list_init(&p->conns);
	kp_ratelim_init(&p->pushes, now, IDENTIFY_PUSH_BURST, IDENTIFY_PUSH_PER);
	if (kp_map_put(&id->peers, &p->in_map, &p->id, sizeof(p->id)) != KP_OK) {
		kp_mem_free(id->env->mem, p);
		return NULL;
	}
	return p;
}

static void identify_peer_drop(kp_identify *id, struct identify_peer *p)
{
	KP_LIST_EACH(n, tmp, &p->conns)
	{
		kp_list_del(n);
		kp_mem_free(id->env->mem, KP_CONTAINER_OF(n, struct identify_conn, node));
	}
	kp_map_del(&id->peers, &p->in_map);
	kp_ref_drop(&p->known);
	kp_mem_free(id->env->mem, p);
}

/* --- streams: common parts ------------------------------------------------------------------- */

static void identify_on_timeout(kp_timer *t, kp_time now);

static kp_err identify_stream_begin(kp_identify *id, kp_stream *s, enum identify_role role,
                                    kp_time deadline)
{
	if (kp_timers_reserve(id->env->timers, 1) != KP_OK) {
		identify_count(id, KP_STAT_identify_memory, 1);
		return KP_E_NOMEM;
	}
	struct identify_stream *st = (struct identify_stream *)kp_stream_state(s);
	st->owner = id;
	st->s = s;
	st->role = role;
	kp_timer_init(&st->timer, identify_on_timeout);
	kp_timer_set(id->env->timers, &st->timer, deadline);
	kp_stream_set_idle(s, true);
	id->n_streams++;
	return KP_OK;
}

static void identify_stream_end(struct identify_stream *st)
{
	kp_identify *id = st->owner;
	kp_timer_unset(id->env->timers, &st->timer);
	kp_timers_release(id->env->timers, 1);
	kp_lenframe_fini(&st->frame);
	for (uint32_t i = 0; i < st->n_msgs; i++)
		kp_ref_drop(&st->msgs[i]);
	st->n_msgs = 0;
	kp_ref_drop(&st->out);
	id->n_streams--;
}

/* Opens a stream of ours. What fails is counted; the stream's callbacks do the rest. */
static kp_err identify_open(kp_identify *id, kp_time now, const kp_peer_id *peer, bool push)
{
	kp_stream *s;
	kp_err err = kp_host_open(
	        id->h, now, peer, push ? kp_identify_push_protos : kp_identify_protos, 1,
	        push ? &kp_identify_push_proto_ops : &kp_identify_proto_ops, id, &s);
	if (err == KP_OK) {
		err = identify_stream_begin(
		        id, s, push ? IDENTIFY_PUSH : IDENTIFY_ASK,
		        now + (push ? IDENTIFY_WRITE_TIME : IDENTIFY_READ_TIME));
		if (err != KP_OK)
			kp_stream_reset(s); /* on_close finds no owner */
	}
	if (err != KP_OK)
		identify_count(id, KP_STAT_identify_errors, 1);
	return err;
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* Keeps one listen address, or not; false = not. */
static bool identify_take_addr(kp_identify *id, struct identify_merged *m, const kp_peer_id *peer,
                               kp_ip_scope remote, kp_slice bytes)
{
	kp_peer_id named;
	if (m->addrs_seen++ >= IDENTIFY_ADDRS_READ || m->info.n_addrs == IDENTIFY_ADDRS_KEPT)
		return false;
	kp_maddr *a = &id->scratch->addrs[m->info.n_addrs];
	if (kp_maddr_parse_bytes(bytes, a) != KP_OK)
		return false;
	if (kp_maddr_peer(a, &named)) {
		if (!kp_peer_id_eq(&named, peer))
			return false;
		kp_maddr_strip_peer(a);
	}
	if (a->n == 0 || !kp_maddr_fits_scope(a, remote))
		return false;
	for (size_t i = 0; i < m->info.n_addrs; i++)
		if (kp_maddr_eq(a, &id->scratch->addrs[i]))
			return true;
	m->info.n_addrs++;
	return true;
}

static void identify_merge(kp_identify *id, struct identify_stream *st, kp_ip_scope remote,
                           struct identify_merged *m)
{
	kp_identify_field f;
	memset(m, 0, sizeof(*m));
	m->info.addrs = id->scratch->addrs;
	m->info.protocols = id->scratch->protocols;
	for (uint32_t i = 0; i < st->n_msgs; i++) {
		kp_slice rest = kp_ref_slice(st->msgs[i]);
		while (kp_identify_next(&rest, &f)) {
			if (f.kind == KP_IDENTIFY_PUBLIC_KEY)
				m->key = f.value;
			else if (f.kind == KP_IDENTIFY_AGENT_VERSION)
				m->agent = f.value;
			else if (f.kind == KP_IDENTIFY_SIGNED_RECORD)
				m->info.signed_record = f.value;
			else if (f.kind == KP_IDENTIFY_OBSERVED_ADDR)
				m->observed = f.value;
			else if (f.kind == KP_IDENTIFY_LISTEN_ADDR &&
			         !identify_take_addr(id, m, kp_stream_peer(st->s), remote, f.value))
				identify_count(id, KP_STAT_identify_addrs_dropped, 1);
			else if (f.kind == KP_IDENTIFY_PROTOCOL) {
				if (m->info.n_protocols == IDENTIFY_PROTOCOLS || f.value.n == 0)
					identify_count(id, KP_STAT_identify_protocols_dropped, 1);
				else
					id->scratch->protocols[m->info.n_protocols++] = f.value;
			}
		}
	}
	m->info.agent = m->agent;
}

/* The key is optional; when given it must be the one that the handshake proved. */
static bool identify_key_fits(kp_identify *id, kp_slice key, const kp_peer_id *peer)
{
	kp_peer_id named;
	if (key.p == NULL || key.n == 0)
		return true;
	return kp_peer_id_from_pubkey(key, id->env->crypto->ops->sha256, &named) == KP_OK &&
	       kp_peer_id_eq(&named, peer);
}

static bool identify_known_next(kp_slice *rest, kp_slice *out)
{
	if (rest->n < 2)
		return false;
	size_t n = (size_t)rest->p[0] << 8 | rest->p[1];
	kp_slice_take(rest, 2);
	*out = kp_slice_take(rest, n);
	return true;
}

static void identify_known_write(kp_writer *w, kp_slice s)
{
	if (s.n > UINT16_MAX || w->n + 2 + s.n > w->cap)
		return;
	kp_write_u8(w, (uint8_t)(s.n >> 8));
	kp_write_u8(w, (uint8_t)s.n);
	kp_write_slice(w, s);
}

/* Remembers agent and protocols for later partial pushes. */
static void identify_known_set(kp_identify *id, struct identify_peer *p,
                               const kp_identify_info *info)
{
	size_t n = 2 + info->agent.n;
	for (size_t i = 0; i < info->n_protocols; i++)
		n += 2 + info->protocols[i].n;
	n = KP_MIN(n, (size_t)IDENTIFY_KNOWN_MAX);
	kp_block *b = kp_block_new(id->env->pool, n);
	if (b == NULL) {
		identify_count(id, KP_STAT_identify_memory, 1);
		return;
	}
	kp_writer w = kp_writer_of(kp_block_bytes(b), n);
	identify_known_write(&w, info->agent);
	for (size_t i = 0; i < info->n_protocols; i++)
		identify_known_write(&w, info->protocols[i]);
	kp_ref_drop(&p->known);
	p->known = kp_ref_take(b, 0, w.n);
}

/* A push holds what changed: the rest is as before. */
static void identify_fill_in(kp_identify *id, struct identify_peer *p, struct identify_merged *m)
{
	kp_slice rest = kp_ref_slice(p->known), s;
	kp_slice agent = kp_slice_none();
	identify_known_next(&rest, &agent);
	if (m->agent.p == NULL)
		m->info.agent = agent;
	if (m->info.n_protocols == 0)
		while (m->info.n_protocols < IDENTIFY_PROTOCOLS && identify_known_next(&rest, &s))
			id->scratch->protocols[m->info.n_protocols++] = s;
	if (m->addrs_seen == 0)
		m->info.n_addrs =
		        kp_host_peer_addrs(id->h, &p->id, id->scratch->addrs, IDENTIFY_ADDRS_KEPT);
}

/* Everything was read: tell the engine. */
static void identify_finish(kp_identify *id, struct identify_stream *st, kp_time now)
{
	struct identify_peer *p = identify_peer_find(id, kp_stream_peer(st->s));
	struct identify_conn *c =
	        p != NULL ? identify_conn_find(p, kp_stream_conn_id(st->s)) : NULL;
	st->done = true;
	if (c == NULL || st->n_msgs == 0) {
		identify_count(id, KP_STAT_identify_errors, 1);
		return;
	}
	struct identify_merged m;
	identify_merge(id, st, kp_maddr_scope(&c->remote), &m);
	if (!identify_key_fits(id, m.key, &p->id)) {
		identify_count(id, KP_STAT_identify_key_mismatch, 1);
		return;
	}
	kp_ref before = kp_ref_dup(p->known); /* slices may point into it */
	if (st->role == IDENTIFY_PUSHED)
		identify_fill_in(id, p, &m);
	identify_known_set(id, p, &m.info);
	p->takes_push = false;
	for (size_t i = 0; i < m.info.n_protocols; i++)
		p->takes_push |=
		        kp_slice_eq_str(m.info.protocols[i], kp_identify_push_protos[0].id);
	kp_maddr observed;
	memset(&observed, 0, sizeof(observed));
	if (m.observed.p != NULL)
		(void)kp_maddr_parse_bytes(m.observed, &observed);
	identify_count(id,
	               st->role == IDENTIFY_ASK ? KP_STAT_identify_received
	                                        : KP_STAT_identify_pushes_received,
	               1);
	kp_peer_id peer = p->id;
	id->sink(id->sink_ctx, now, &peer, &m.info, &observed);
	kp_ref_drop(&before);
}

static kp_err identify_on_data(void *svc, kp_stream *s, kp_time now, kp_slice in)
{
	kp_identify *id = (kp_identify *)svc;
	struct identify_stream *st = (struct identify_stream *)kp_stream_state(s);
	bool reads = st->role == IDENTIFY_ASK || st->role == IDENTIFY_PUSHED;
	while (reads && !st->done && in.n > 0) {
		kp_ref msg;
		kp_err err = kp_lenframe_feed(&st->frame, id->env->pool, KP_IDENTIFY_READ_MAX, &in,
		                              &msg);
		if (err == KP_E_AGAIN)
			break;
		if (err == KP_OK)
			err = kp_identify_validate(kp_ref_slice(msg), NULL);
		if (err != KP_OK) {
			kp_ref_drop(&msg);
			st->done = true;
			identify_count(id,
			               err == KP_E_LIMIT ? KP_STAT_identify_memory
			                                 : KP_STAT_identify_errors,
			               1);
			return KP_E_PROTO;
		}
		st->msgs[st->n_msgs++] = msg;
		if (st->n_msgs == IDENTIFY_MSGS_MAX) {
			identify_finish(id, st, now);
			kp_stream_reset(s);
		}
	}
	return KP_OK;
}

static void identify_on_fin(void *svc, kp_stream *s, kp_time now)
{
	kp_identify *id = (kp_identify *)svc;
	struct identify_stream *st = (struct identify_stream *)kp_stream_state(s);
	if ((st->role == IDENTIFY_ASK || st->role == IDENTIFY_PUSHED) && !st->done) {
		if (kp_lenframe_idle(&st->frame)) {
			identify_finish(id, st, now);
		} else {
			st->done = true;
			identify_count(id, KP_STAT_identify_errors, 1);
		}
	}
	kp_stream_fin(s);
}

static void identify_on_timeout(kp_timer *t, kp_time now)
{
	struct identify_stream *st = KP_CONTAINER_OF(t, struct identify_stream, timer);
	identify_count(st->owner, KP_STAT_identify_timeouts, 1);
	/* A peer that said something but forgot to close has still said it. */
	if ((st->role == IDENTIFY_ASK || st->role == IDENTIFY_PUSHED) && !st->done &&
	    st->n_msgs > 0 && kp_lenframe_idle(&st->frame))
		identify_finish(st->owner, st, now);
	st->done = true;
	kp_stream_reset(st->s);
}

/* --- writing -----------------------------------------------------------------------------------
 */

/* Our addresses into id->own, and the signed record that belongs to them. */
static void identify_own_refresh(kp_identify *id, kp_time now)
{
	kp_maddr *fresh = id->scratch->addrs;
	size_t n = kp_host_own_addrs(id->h, fresh, IDENTIFY_OWN_ADDRS);
	bool same = n == id->n_own;
	for (size_t i = 0; same && i < n; i++)
		same = kp_maddr_eq(&fresh[i], &id->own[i]);
	for (size_t i = 0; i < n; i++) {
		id->own[i] = fresh[i];
		id->scratch->own_addr_slices[i] = kp_maddr_slice(&id->own[i]);
	}
	id->n_own = n;
	if (same && id->record_n > 0)
		return;
	uint64_t seq = (uint64_t)kp_env_wall(id->env, now);
	id->record_seq = KP_MAX(seq, id->record_seq + 1);
	kp_writer w = kp_writer_of(id->record, sizeof(id->record));
	kp_err err = kp_peer_record_seal(id->env->crypto, id->env->self, id->record_seq,
	                                 id->scratch->own_addr_slices, n, &w);
	id->record_n = err == KP_OK && !w.full ? w.n : 0;
}

/* The message for one connection, in a block. */
static kp_err identify_write_msg(kp_identify *id, kp_time now, kp_slice observed, kp_ref *out)
{
	struct identify_scratch *x = id->scratch;
	identify_own_refresh(id, now);
	kp_identify_msg m;
	memset(&m, 0, sizeof(m));
	m.public_key = kp_slice_of(id->env->self->pubkey_pb, sizeof(id->env->self->pubkey_pb));
	m.listen_addrs = x->own_addr_slices;
	m.n_listen_addrs = id->n_own;
	m.n_protocols = kp_host_protocols(id->h, x->own_protocols, IDENTIFY_OWN_PROTOCOLS);
	for (size_t i = 0; i < m.n_protocols; i++)
		x->protocols[i] = kp_slice_str(x->own_protocols[i]);
	m.protocols = x->protocols;
	m.observed_addr = observed;
	m.protocol_version = kp_slice_str(id->protocol_version);
	m.agent_version = kp_slice_str(id->agent);
	m.signed_record =
	        id->record_n > 0 ? kp_slice_of(id->record, id->record_n) : kp_slice_none();
	kp_block *b = kp_block_new(id->env->pool, KP_IDENTIFY_WRITE_MAX + 8);
	if (b == NULL)
		return KP_E_LIMIT;
	for (;;) {
		kp_writer w = kp_writer_of(kp_block_bytes(b), KP_IDENTIFY_WRITE_MAX + 8);
		if (kp_identify_write(&w, &m) == KP_OK) {
			*out = kp_ref_take(b, 0, w.n);
			return KP_OK;
		}
		if (m.n_protocols == 0)
			break;
		m.n_protocols--; /* user protocols come last */
	}
	kp_block_unref(b);
	return KP_E_TOOBIG;
}

/* Puts the whole message on a stream and finishes our side. */
static kp_err identify_say(kp_identify *id, struct identify_stream *st, kp_time now)
{
	struct identify_peer *p = identify_peer_find(id, kp_stream_peer(st->s));
	struct identify_conn *c =
	        p != NULL ? identify_conn_find(p, kp_stream_conn_id(st->s)) : NULL;
	kp_slice observed = kp_slice_none();
	if (c != NULL && c->remote.n > 0 && st->role == IDENTIFY_ANSWER)
		observed = kp_maddr_slice(&c->remote);
	kp_err err = identify_write_msg(id, now, observed, &st->out);
	if (err != KP_OK) {
		identify_count(
		        id, err == KP_E_LIMIT ? KP_STAT_identify_memory : KP_STAT_identify_errors,
		        1);
		return err;
	}
	kp_stream_want_write(st->s);
	kp_stream_fin(st->s);
	return KP_OK;
}

static unsigned identify_pull(void *svc, kp_stream *s, kp_time now, kp_slice *v, unsigned v_max,
                              size_t n_max)
{
	kp_identify *id = (kp_identify *)svc;
	struct identify_stream *st = (struct identify_stream *)kp_stream_state(s);
	(void)now;
	size_t n = KP_MIN(n_max, (size_t)st->out.len - st->sent);
	if (v_max == 0 || n == 0)
		return 0;
	v[0] = kp_slice_of(kp_ref_slice(st->out).p + st->sent, n);
	st->sent += n;
	if (st->sent == st->out.len)
		identify_count(id,
		               st->role == IDENTIFY_ANSWER ? KP_STAT_identify_sent
		                                           : KP_STAT_identify_pushes_sent,
		               1);
	return 1;
}

/* Opens the pushes that are due, as many as may run at once. */
static void identify_push_more(kp_identify *id, kp_time now)
{
	for (kp_map_node *n = kp_map_first(&id->peers); n != NULL; n = kp_map_next(n)) {
		struct identify_peer *p = KP_CONTAINER_OF(n, struct identify_peer, in_map);
		if (id->pushes_open == IDENTIFY_PUSHES_MAX || id->stopped)
			return;
		if (!p->push_due)
			continue;
		p->push_due = false;
		if (identify_open(id, now, &p->id, true) == KP_OK)
			id->pushes_open++;
	}
}

static void identify_on_push(kp_timer *t, kp_time now)
{
	kp_identify *id = KP_CONTAINER_OF(t, kp_identify, push);
	for (kp_map_node *n = kp_map_first(&id->peers); n != NULL; n = kp_map_next(n)) {
		struct identify_peer *p = KP_CONTAINER_OF(n, struct identify_peer, in_map);
		p->push_due = p->takes_push;
	}
	identify_push_more(id, now);
}

/* --- stream ops --------------------------------------------------------------------------------
 */

static kp_err identify_on_open(void *svc, kp_stream *s, kp_time now)
{
	kp_identify *id = (kp_identify *)svc;
	struct identify_stream *st = (struct identify_stream *)kp_stream_state(s);
	if (kp_stream_outbound(s)) /* asking needs no word of ours */
		return KP_OK;
	kp_err err = identify_stream_begin(id, s, IDENTIFY_ANSWER, now + IDENTIFY_WRITE_TIME);
	if (err != KP_OK)
		return err;
	err = identify_say(id, st, now);
	if (err != KP_OK)
		identify_stream_end(st);
	return err;
}

static kp_err identify_push_on_open(void *svc, kp_stream *s, kp_time now)
{
	kp_identify *id = (kp_identify *)svc;
	struct identify_stream *st = (struct identify_stream *)kp_stream_state(s);
	if (kp_stream_outbound(s)) {
		if (st->owner == NULL || identify_say(id, st, now) != KP_OK)
			kp_stream_reset(s);
		return KP_OK;
	}
	struct identify_peer *p = identify_peer_find(id, kp_stream_peer(s));
	if (p == NULL || !kp_ratelim_take(&p->pushes, now, 1)) {
		identify_count(id, KP_STAT_identify_errors, 1);
		return KP_E_LIMIT;
	}
	return identify_stream_begin(id, s, IDENTIFY_PUSHED, now + IDENTIFY_READ_TIME);
}

static void identify_on_close(void *svc, kp_stream *s, kp_time now, kp_err why)
{
	kp_identify *id = (kp_identify *)svc;
	struct identify_stream *st = (struct identify_stream *)kp_stream_state(s);
	if (st->owner == NULL)
		return; /* never begun */
	if (st->role == IDENTIFY_ASK && !st->done && why != KP_E_CLOSED)
		identify_count(id, KP_STAT_identify_errors, 1); /* refused: the peer has none */
	bool push = st->role == IDENTIFY_PUSH;
	identify_stream_end(st);
	if (!push)
		return;
	KP_ASSERT(id->pushes_open > 0);
	id->pushes_open--;
	identify_push_more(id, now);
}

const kp_proto_ops kp_identify_proto_ops = {
        .name = "identify",
        .state_size = sizeof(struct identify_stream),
        .in_max = IDENTIFY_ASKED_MAX,
        .on_open = identify_on_open,
        .on_data = identify_on_data,
        .on_fin = identify_on_fin,
        .pull = identify_pull,
        .on_close = identify_on_close,
};

const kp_proto_ops kp_identify_push_proto_ops = {
        .name = "identify/push",
        .state_size = sizeof(struct identify_stream),
        .in_max = IDENTIFY_PUSHED_MAX,
        .on_open = identify_push_on_open,
        .on_data = identify_on_data,
        .on_fin = identify_on_fin,
        .pull = identify_pull,
        .on_close = identify_on_close,
};

/* --- the service --------------------------------------------------------------------------- */

static void identify_on_conn_open(void *svc, kp_time now, const kp_conn_info *info, bool first)
{
	kp_identify *id = (kp_identify *)svc;
	(void)first;
	struct identify_peer *p = identify_peer_get(id, now, &info->peer);
	struct identify_conn *c =
	        p != NULL ? (struct identify_conn *)kp_mem_alloc(id->env->mem, sizeof(*c)) : NULL;
	if (c == NULL) {
		identify_count(id, KP_STAT_identify_memory, 1);
		if (p != NULL && kp_list_empty(&p->conns))
			identify_peer_drop(id, p);
		return;
	}
	kp_list_init(&c->node);
	c->id = info->id;
	c->remote = info->remote;
	kp_list_push(&p->conns, &c->node);
	if (!id->stopped)
		(void)identify_open(id, now, &info->peer, false);
}

static void identify_on_conn_close(void *svc, kp_time now, const kp_conn_info *info, kp_why why,
                                   bool last)
{
	kp_identify *id = (kp_identify *)svc;
	(void)now, (void)why;
	struct identify_peer *p = identify_peer_find(id, &info->peer);
	if (p == NULL)
		return;
	struct identify_conn *c = identify_conn_find(p, info->id);
	if (c != NULL) {
		kp_list_del(&c->node);
		kp_mem_free(id->env->mem, c);
	}
	if (last || kp_list_empty(&p->conns))
		identify_peer_drop(id, p);
}

/* Changes within a second of the first make one push. */
static void identify_on_addrs_changed(void *svc, kp_time now)
{
	kp_identify *id = (kp_identify *)svc;
	if (!id->stopped && !kp_timer_is_set(&id->push))
		kp_timer_set(id->env->timers, &id->push, now + IDENTIFY_DEBOUNCE);
}

static void identify_on_stop(void *svc, kp_time now)
{
	kp_identify *id = (kp_identify *)svc;
	(void)now;
	id->stopped = true;
	kp_timer_unset(id->env->timers, &id->push);
}

const kp_svc_ops kp_identify_svc_ops = {
        .name = "identify",
        .on_conn_open = identify_on_conn_open,
        .on_conn_close = identify_on_conn_close,
        .on_addrs_changed = identify_on_addrs_changed,
        .on_stop = identify_on_stop,
};

kp_identify *kp_identify_new(kp_host *h, const char *agent, const char *protocol_version,
                             kp_identify_sink sink, void *sink_ctx)
{
	const kp_env *env = kp_host_env(h);
	if (kp_timers_reserve(env->timers, 1) != KP_OK)
		return NULL;
	kp_identify *id = (kp_identify *)kp_mem_alloc(env->mem, sizeof(*id));
	if (id != NULL) {
		id->scratch =
		        (struct identify_scratch *)kp_mem_alloc(env->mem, sizeof(*id->scratch));
		if (id->scratch == NULL) {
			kp_mem_free(env->mem, id);
			id = NULL;
		}
	}
	if (id == NULL) {
		kp_timers_release(env->timers, 1);
		return NULL;
	}
	uint8_t key[16];
	kp_rng_fill(env->rng, key, sizeof(key));
	kp_map_init(&id->peers, env->mem, key);
	kp_timer_init(&id->push, identify_on_push);
	id->h = h;
	id->env = env;
	id->agent = agent;
	id->protocol_version = protocol_version;
	id->sink = sink;
	id->sink_ctx = sink_ctx;
	return id;
}

void kp_identify_free(kp_identify *id)
{
	if (id == NULL)
		return;
	KP_ASSERT(id->n_streams == 0 && kp_map_count(&id->peers) == 0);
	kp_timer_unset(id->env->timers, &id->push);
	kp_timers_release(id->env->timers, 1);
	kp_map_fini(&id->peers);
	kp_mem_free(id->env->mem, id->scratch);
	kp_mem_free(id->env->mem, id);
}
