/* The operations of kp_engine_request, and the check of their arguments. */
#include "engine/engine.h"

#include <stdio.h>

#include "wire/utf8.h"

#define REQ_INBOX_MAX    1023u
#define REQ_PROTOCOL_MAX 140u
#define REQ_SHOWN_MAX    80

/* --- arguments
 * --------------------------------------------------------------------------------------- */

static kp_err req_say(char *text, size_t cap, const char *op, kp_slice arg, const char *what)
{
	if (cap > 0)
		snprintf(text, cap, "%s: \"%.*s\" %s", op, (int)KP_MIN(arg.n, REQ_SHOWN_MAX),
		         arg.n > 0 ? (const char *)arg.p : "", what);
	return KP_E_INVAL;
}

static kp_err req_parse_peer(const char *op, kp_slice arg, kp_peer_id *peer, char *text, size_t cap)
{
	memset(peer, 0, sizeof *peer);
	if (kp_peer_id_parse_text(arg, peer) == KP_OK)
		return KP_OK;
	return req_say(text, cap, op, arg, "is not a peer id");
}

/* A peer id, /p2p/ID, or an address (then addr->n > 0; peer->n == 0 when it names none). */
static kp_err req_parse_target(kp_slice arg, kp_peer_id *peer, kp_maddr *addr, char *text,
                               size_t cap)
{
	const char *why = NULL;
	kp_maddr_target t;
	memset(peer, 0, sizeof *peer);
	memset(addr, 0, sizeof *addr);
	if (arg.n == 0 || arg.p[0] != '/') {
		if (kp_peer_id_parse_text(arg, peer) == KP_OK)
			return KP_OK;
		return req_say(text, cap, "connect", arg,
		               "is neither a multiaddress nor a peer id");
	}
	if (kp_maddr_parse_text(arg, addr, &why) != KP_OK)
		return req_say(text, cap, "connect", arg, why != NULL ? why : "is not valid");
	kp_maddr_peer(addr, peer);
	kp_maddr bare = *addr;
	if (kp_maddr_strip_peer(&bare) && bare.n == 0) {
		addr->n = 0;
		return KP_OK;
	}
	if (!kp_maddr_tcp_target(addr, &t) || (t.has_port && t.port == 0))
		return req_say(text, cap, "connect", arg,
		               "cannot be dialled; only TCP addresses with a port are supported");
	return KP_OK;
}

static kp_err req_check_topic(const char *op, kp_slice topic, char *text, size_t cap)
{
	if (topic.n > 0 && topic.n <= KP_TOPIC_MAX && kp_utf8_valid(topic))
		return KP_OK;
	return req_say(text, cap, op, topic, "is not a topic of 1 to 256 bytes of UTF-8");
}

static bool req_parse_number(kp_slice s, unsigned max, unsigned *out)
{
	unsigned v = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (i >= 5 || s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	*out = v;
	return s.n > 0 && v <= max;
}

/* Words NAME=NUMBER; a protocol knows `inbox` alone. */
static bool req_parse_option(kp_op op, kp_slice word, kp_sub_opts *opts)
{
	const uint8_t *eq = (const uint8_t *)memchr(word.p, '=', word.n);
	unsigned v;
	if (eq == NULL)
		return false;
	kp_slice name = kp_slice_take(&word, (size_t)(eq - word.p));
	kp_slice_take(&word, 1);
	bool inbox = kp_slice_eq_str(name, "inbox");
	if (!req_parse_number(word, inbox ? REQ_INBOX_MAX : 1, &v))
		return false;
	if (inbox)
		opts->inbox = (uint16_t)v;
	else if (op != KP_OP_SUBSCRIBE)
		return false;
	else if (kp_slice_eq_str(name, "validate"))
		opts->validate = v != 0;
	else if (kp_slice_eq_str(name, "self"))
		opts->self = v != 0;
	else
		return false;
	return true;
}

static kp_err req_parse_options(kp_op op, kp_slice data, kp_sub_opts *opts, char *text, size_t cap)
{
	bool sub = op == KP_OP_SUBSCRIBE;
	memset(opts, 0, sizeof *opts);
	while (data.n > 0) {
		size_t n = 0;
		while (n < data.n && data.p[n] != ' ')
			n++;
		kp_slice word = kp_slice_take(&data, n);
		if (data.n > 0)
			kp_slice_take(&data, 1);
		if (word.n > 0 && !req_parse_option(op, word, opts))
			return req_say(text, cap, sub ? "subscribe" : "add_protocol", word,
			               sub ? "is not one of validate=0|1, self=0|1, inbox=0..1023"
			                   : "is not inbox=0..1023");
	}
	return KP_OK;
}

kp_err kp_request_check(kp_op op, kp_slice arg, kp_slice data, char *text, size_t cap)
{
	kp_peer_id peer;
	kp_maddr addr;
	kp_sub_opts opts;
	kp_err err;
	switch (op) {
	case KP_OP_CONNECT:
		return req_parse_target(arg, &peer, &addr, text, cap);
	case KP_OP_DISCONNECT:
		return req_parse_peer("disconnect", arg, &peer, text, cap);
	case KP_OP_PING:
		return req_parse_peer("ping", arg, &peer, text, cap);
	case KP_OP_DHT_FIND_PEER:
		return req_parse_peer("find_peer", arg, &peer, text, cap);
	case KP_OP_SUBSCRIBE:
		err = req_check_topic("subscribe", arg, text, cap);
		return err == KP_OK ? req_parse_options(op, data, &opts, text, cap) : err;
	case KP_OP_UNSUBSCRIBE:
		return req_check_topic("unsubscribe", arg, text, cap);
	case KP_OP_ADD_PROTOCOL:
		if (arg.n > 1 && arg.n <= REQ_PROTOCOL_MAX && arg.p[0] == '/' &&
		    kp_utf8_valid(arg) && memchr(arg.p, '\n', arg.n) == NULL &&
		    memchr(arg.p, 0, arg.n) == NULL)
			return req_parse_options(op, data, &opts, text, cap);
		return req_say(text, cap, "add_protocol", arg,
		               "is not a protocol id; one begins with / and has at most 140 bytes");
	case KP_OP_DHT_PROVIDE:
	case KP_OP_DHT_FIND_PROVIDERS:
	case KP_OP_DHT_PUT:
	case KP_OP_DHT_GET:
		if (cap > 0)
			snprintf(text, cap, "DHT provider and value records are not supported yet");
		return KP_E_NOTSUP;
	}
	if (cap > 0)
		snprintf(text, cap, "%d is not an operation", (int)op);
	return KP_E_INVAL;
}

/* --- CONNECT
 * ------------------------------------------------------------------------------------------ */

static void req_dial(kp_req *r, kp_time now, const kp_maddr *addrs, size_t n)
{
	kp_engine *e = r->e;
	char text[240];
	kp_dial *d = NULL;
	kp_err err;
	r->step = REQ_DIAL;
	if (kp_peer_id_none(&r->peer)) {
		err = kp_dial_start(e, now, NULL, addrs, n, NULL, &d, text, sizeof text);
	} else {
		const kp_peer *p = kp_peers_find(e, &r->peer);
		bool joined = p != NULL && p->dial != NULL;
		err = kp_host_dial_known(e, now, &r->peer, addrs, n, true, &d, text, sizeof text);
		for (size_t i = 0; err == KP_OK && joined && d != NULL && i < n; i++) {
			kp_dial_add(d, now, &addrs[i], 0);
			kp_timer_set(&e->timers, &d->next, now);
		}
	}
	if (err != KP_OK) {
		kp_req_finish(r, now, err, text[0] != 0 ? text : NULL);
	} else if (d != NULL) {
		kp_list_push(&d->waiters, &r->of_dial);
		r->dial = d;
	} else {
		kp_peer *p = kp_peers_find(e, &r->peer);
		kp_req_dial_done(r, now, KP_OK, NULL, kp_peers_link(p));
	}
}

static void req_on_target_found(void *ctx, kp_time now, kp_err err, const kp_kad_found *found)
{
	kp_req *r = (kp_req *)ctx;
	r->under_way = false;
	if (r->step == REQ_OVER)
		return;
	if (err == KP_OK && found != NULL && found->n_target_addrs > 0) {
		req_dial(r, now, found->target_addrs, found->n_target_addrs);
		return;
	}
	bool late = err == KP_E_TIMEDOUT;
	kp_req_finish(r, now, late ? err : KP_E_NOTFOUND,
	              late ? "the DHT lookup timed out"
	                   : "no address of this peer is known, nor did the DHT find one");
}

/* Asks the DHT for the addresses of r->peer. */
static void req_lookup(kp_req *r, kp_time now, kp_kad_done_fn done)
{
	kp_engine *e = r->e;
	kp_err err = KP_E_NOTSUP;
	r->step = REQ_LOOKUP;
	r->under_way = true;
	if (e->kad != NULL) {
		kp_time limit = e->s->kad.query_ns;
		if (kp_timer_is_set(&r->deadline))
			limit = KP_MIN(limit, kp_time_sub(r->deadline.at, now) + 1);
		err = kp_kad_find(e->kad, now, &r->peer, true, limit, done, r, &r->under);
	}
	if (err == KP_OK)
		return;
	r->under_way = false;
	bool off = err == KP_E_NOTSUP, empty = err == KP_E_NOPEERS;
	if (r->op == KP_OP_CONNECT && (off || empty))
		err = KP_E_NOTFOUND;
	kp_req_finish(r, now, err,
	              off     ? "the address is not known, and the DHT is off (kad.mode)"
	              : empty ? "the address is not known, and the DHT has no peer to ask"
	                      : NULL);
}

static void req_connect(kp_req *r, kp_time now, kp_slice arg)
{
	kp_engine *e = r->e;
	kp_maddr addr;
	kp_err err = req_parse_target(arg, &r->peer, &addr, NULL, 0);
	KP_ASSERT(err == KP_OK); /* kp_request_check has seen it */
	if (addr.n > 0) {
		req_dial(r, now, &addr, 1);
		return;
	}
	kp_dial *d;
	char why[240];
	err = kp_host_dial_known(e, now, &r->peer, NULL, 0, true, &d, why, sizeof why);
	if (err == KP_E_NOTFOUND)
		req_lookup(r, now, req_on_target_found);
	else if (err == KP_OK)
		req_dial(r, now, NULL, 0); /* connected, or joins the dial just begun */
	else
		kp_req_finish(r, now, err, why[0] != 0 ? why : NULL);
}

/* --- DHT_FIND_PEER
 * ------------------------------------------------------------------------------------ */

/* One event per address, all but the last with MORE. */
static void req_give_addrs(kp_req *r, kp_time now, const kp_maddr *addrs, size_t n)
{
	kp_engine *e = r->e;
	for (size_t i = 0; r->done != NULL && i + 1 < n; i++) {
		kp_event *ev = kp_engine_event_new(e, KP_EV_COMPLETE, &r->peer, &addrs[i], 0);
		if (ev == NULL)
			continue; /* counted */
		ev->token = r->token;
		ev->inbox = r->done->inbox;
		ev->flags = KP_EVF_MORE;
		kp_engine_event(e, ev);
	}
	kp_req_fields(r, &r->peer, &addrs[n - 1]);
	kp_req_finish(r, now, KP_OK, NULL);
}

static void req_on_peer_found(void *ctx, kp_time now, kp_err err, const kp_kad_found *found)
{
	kp_req *r = (kp_req *)ctx;
	r->under_way = false;
	if (r->step == REQ_OVER)
		return;
	if (err == KP_OK && found != NULL && found->n_target_addrs > 0)
		req_give_addrs(r, now, found->target_addrs, found->n_target_addrs);
	else
		kp_req_finish(r, now, err == KP_OK ? KP_E_NOTFOUND : err,
		              "the DHT does not know this peer");
}

static void req_find_peer(kp_req *r, kp_time now, kp_slice arg)
{
	kp_err err = req_parse_peer("", arg, &r->peer, NULL, 0);
	KP_ASSERT(err == KP_OK);
	const kp_peer *p = kp_peers_find(r->e, &r->peer);
	if (p != NULL && p->n_addrs > 0 && kp_peers_link(p) != NULL)
		req_give_addrs(r, now, p->addrs, p->n_addrs); /* told by itself just now */
	else
		req_lookup(r, now, req_on_peer_found);
}

/* --- PING
 * ------------------------------------------------------------------------------------------------
 */

static void req_on_ping(void *ctx, kp_time now, kp_err err, kp_time rtt)
{
	kp_req *r = (kp_req *)ctx;
	r->under_way = false;
	if (r->step == REQ_OVER)
		return;
	if (err == KP_OK && r->done != NULL)
		r->done->count = (int64_t)(rtt / KP_US(1));
	kp_req_finish(r, now, err, NULL);
}

static void req_ping(kp_req *r, kp_time now, kp_slice arg)
{
	kp_engine *e = r->e;
	kp_err err = req_parse_peer("", arg, &r->peer, NULL, 0);
	KP_ASSERT(err == KP_OK);
	kp_time limit = KP_REQ_PING_NS;
	if (kp_timer_is_set(&r->deadline))
		limit = kp_time_sub(r->deadline.at, now) + 1; /* our own deadline comes first */
	r->step = REQ_PING;
	r->under_way = true;
	err = kp_ping_start(e->ping, now, &r->peer, limit, req_on_ping, r, &r->under);
	if (err == KP_OK)
		return;
	r->under_way = false;
	kp_req_finish(r, now, err, err == KP_E_NOTFOUND ? "not connected to this peer" : NULL);
}

/* --- operations that end at once
 * -------------------------------------------------------------------------- */

static kp_err req_disconnect(kp_engine *e, kp_time now, kp_slice arg, char *text, size_t cap)
{
	kp_peer_id peer;
	kp_err err = req_parse_peer("disconnect", arg, &peer, text, cap);
	if (err != KP_OK)
		return err;
	if (!kp_host_connected(&e->host, &peer)) {
		req_say(text, cap, "disconnect", arg, "is not connected");
		return KP_E_NOTFOUND;
	}
	kp_host_disconnect(&e->host, now, &peer, KP_WHY_LOCAL_CLOSE);
	return KP_OK;
}

static kp_err req_now(kp_engine *e, kp_time now, const kp_request *r, char *text, size_t cap)
{
	kp_sub_opts opts;
	kp_err err;
	switch (r->op) {
	case KP_OP_DISCONNECT:
		return req_disconnect(e, now, r->arg, text, cap);
	case KP_OP_SUBSCRIBE:
		err = req_parse_options(r->op, r->data, &opts, text, cap);
		KP_ASSERT(err == KP_OK);
		return kp_gs_subscribe(e->gs, now, r->arg, &opts);
	case KP_OP_UNSUBSCRIBE:
		err = kp_gs_unsubscribe(e->gs, now, r->arg);
		if (err == KP_E_NOTFOUND)
			req_say(text, cap, "unsubscribe", r->arg, "is not subscribed");
		return err;
	default:
		KP_ASSERT(r->op == KP_OP_ADD_PROTOCOL);
		err = req_parse_options(r->op, r->data, &opts, text, cap);
		KP_ASSERT(err == KP_OK);
		err = kp_app_serve(e->app, now, r->arg, opts.inbox);
		if (err == KP_OK)
			e->addrs_changed = true; /* identify push */
		else if (err == KP_E_DUPLICATE)
			req_say(text, cap, "add_protocol", r->arg, "is served already");
		else if (err == KP_E_LIMIT)
			req_say(text, cap, "add_protocol", r->arg, "is one protocol too many");
		return err;
	}
}

void kp_engine_request(kp_engine *e, kp_time now, const kp_request *from)
{
	kp_engine_enter(e, now);
	char text[240] = "";
	kp_err err = kp_request_check(from->op, from->arg, from->data, text, sizeof text);
	if (err == KP_OK && !kp_engine_is_up(e)) {
		err = e->state == ENGINE_NEW ? KP_E_STATE : KP_E_CLOSED;
		snprintf(text, sizeof text, "%s",
		         err == KP_E_STATE ? "the node has not started" : "the node is closing");
	}
	bool lasts = from->op == KP_OP_CONNECT || from->op == KP_OP_PING ||
	             from->op == KP_OP_DHT_FIND_PEER;
	if (err == KP_OK && !lasts)
		err = req_now(e, now, from, text, sizeof text);
	if (err != KP_OK || !lasts) {
		kp_req_answer(e, from->done, err, text[0] != 0 ? text : NULL);
		return;
	}
	kp_req *r;
	if (kp_req_new(e, now, from, REQ_DIAL, &r) != KP_OK)
		return;
	if (from->op == KP_OP_CONNECT)
		req_connect(r, now, from->arg);
	else if (from->op == KP_OP_PING)
		req_ping(r, now, from->arg);
	else
		req_find_peer(r, now, from->arg);
}
