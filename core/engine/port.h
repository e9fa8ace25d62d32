/* THE interface: one node's whole protocol state as a single-threaded object. Facts go in with a
 * time, actions come out by polling; nothing in here blocks, calls back, reads a clock or draws
 * entropy. rt/ (libuv) and sim/ are two hosts of the same object.
 *
 * The host's loop:  facts and commands → while (kp_engine_poll(e, now, &act)) do(act)
 *                   → sleep until kp_engine_deadline(e), then kp_engine_on_tick. */
#ifndef KP_ENGINE_PORT_H
#define KP_ENGINE_PORT_H

#include "engine/config.h"
#include "svc/gossipsub/gossipsub.h"
#include "svc/kad/kad.h"
#include "svc/pub.h"
#include "svc/svc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_engine kp_engine;

/* A transport address as sockets know it. */
typedef struct kp_addr {
	uint8_t family; /* 4 or 6 */
	uint8_t ip[16];
	uint16_t port;  /* host order */
	uint32_t scope; /* interface of a link-local ip6 address, else 0 */
} kp_addr;

typedef enum kp_dns_kind { KP_DNS_A, KP_DNS_AAAA, KP_DNS_TXT } kp_dns_kind;

/* One answer: an address for A and AAAA, the joined strings of one TXT record otherwise. */
typedef struct kp_dns_answer {
	kp_addr addr; /* port 0 */
	kp_slice text;
} kp_dns_answer;

typedef enum kp_act_kind {
	KP_ACT_NONE,
	KP_ACT_LISTEN,       /* id = listener; u.addr; answered by kp_engine_on_listening */
	KP_ACT_UNLISTEN,     /* id = listener */
	KP_ACT_RESOLVE,      /* id = request; u.dns; answered by kp_engine_on_resolved */
	KP_ACT_DIAL,         /* id = connection; u.addr; answered by kp_engine_on_dialed */
	KP_ACT_WRITE,        /* id = connection; u.data borrowed until kp_engine_on_written */
	KP_ACT_SHUTDOWN_WR,  /* id = connection: no more writes will come */
	KP_ACT_READ_RESUME,  /* id = connection; accepted and dialled connections start reading */
	KP_ACT_CLOSE,        /* id = connection; answered by kp_engine_on_closed, always */
	KP_ACT_ACCEPT_PAUSE, /* stop calling accept: half-open or connection limit */
	KP_ACT_ACCEPT_RESUME,
	KP_ACT_JOB,  /* u.job: run off the loop, then kp_engine_on_job_done */
	KP_ACT_EVENT /* u.event: the host owns it now */
} kp_act_kind;

typedef struct kp_act {
	kp_act_kind kind;
	kp_id id;
	union {
		kp_addr addr;
		struct {
			kp_dns_kind kind;
			const char *name; /* valid until the answer */
		} dns;
		kp_slice data;
		kp_job *job;
		kp_event *event;
	} u;
} kp_act;

/* --- life ------------------------------------------------------------------------------------ */

/* cfg is copied. seed: 32 bytes of entropy. wall_ns: unix time at `now`. The pool is shared with
 * the application's threads and with events; it outlives the engine (the host closes it). crypto is
 * borrowed: the host frees it after the engine. KP_E_NOMEM, KP_E_INVAL (text in err_text, ≥ 200
 * bytes). */
kp_err kp_engine_new(const kp_config *cfg, const uint8_t seed[32], kp_pool *pool, kp_crypto *crypto,
                     kp_time now, int64_t wall_ns, kp_engine **out, char *err_text, size_t err_cap);

/* Before start: serves further protocols by the host's own ops, whose svc outlives the engine. For
 * peers that behave in all but one protocol (sim/liar.c). */
void kp_engine_serve(kp_engine *e, const kp_proto_ops *ops, const kp_proto *protos, size_t n,
                     void *svc);

/* Emits the LISTENs and starts services; dialling of bootnodes begins. */
void kp_engine_start(kp_engine *e, kp_time now);

/* True once each LISTEN has been answered; *err is the first failure and *index the listen address
 * it belongs to (in the order of the config). */
bool kp_engine_listening(const kp_engine *e, kp_err *err, size_t *index);

/* Shutdown is a state: unlisten, no more publishes, drain, goodbye to all, close. drain_ns is the
 * budget from now; a later call can only shorten it. Ends with the event CLOSED, after the last
 * on_closed and on_job_done. */
void kp_engine_stop(kp_engine *e, kp_time now, kp_time drain_ns);
bool kp_engine_stopped(const kp_engine *e);

/* Asserts that it never started or has stopped: no connection, no job, no block held. */
void kp_engine_free(kp_engine *e);

/* --- facts in: never call out, never block ---------------------------------------------------
 *
 * What ends what. on_accept that refuses, on_dialed with an error and an unasked on_closed end the
 * id at once: the host has closed (or closes) the socket itself, no CLOSE follows. After CLOSE the
 * host says nothing but on_closed (a late fact is ignored). WRITE's data is borrowed until
 * on_written or on_closed, whichever comes first. on_listening with an error ends the listener's
 * id; UNLISTEN has no answer. RESOLVEs still unanswered when the engine has stopped are forgotten:
 * the host cancels them. on_written with an error means the connection is broken: CLOSE follows. */

/* Where the next bytes go; asked before every read, so that this is also how reading stops: NULL =
 * no memory, or the connection has enough to do. READ_RESUME follows. */
uint8_t *kp_engine_rx_buf(kp_engine *e, kp_id conn, size_t *cap);
kp_err kp_engine_on_accept(kp_engine *e, kp_time now, kp_id listener, const kp_addr *from,
                           const kp_addr *local, kp_id *conn); /* error: refused, close it */
void kp_engine_on_listening(kp_engine *e, kp_time now, kp_id id, const kp_addr *bound,
                            const kp_addr *expanded, size_t n_expanded, kp_err err);
void kp_engine_on_resolved(kp_engine *e, kp_time now, kp_id id, const kp_dns_answer *answers,
                           size_t n, kp_err err);
/* KP_E_LIMIT: the host had no descriptor for it, which is not the peer's fault. */
void kp_engine_on_dialed(kp_engine *e, kp_time now, kp_id conn, const kp_addr *local, kp_err err);
void kp_engine_on_read(kp_engine *e, kp_time now, kp_id conn, size_t n); /* n == 0: EOF */
void kp_engine_on_written(kp_engine *e, kp_time now, kp_id conn, kp_err err);
void kp_engine_on_closed(kp_engine *e, kp_time now, kp_id conn,
                         kp_err err); /* also unasked: IO error */
void kp_engine_on_job_done(kp_engine *e, kp_time now, kp_job *job);
void kp_engine_on_tick(kp_engine *e, kp_time now); /* early ticks are harmless */
void kp_engine_reseed(kp_engine *e, const uint8_t seed[32]);

/* --- work out --------------------------------------------------------------------------------- */

bool kp_engine_poll(kp_engine *e, kp_time now, kp_act *out);
kp_time kp_engine_deadline(const kp_engine *e);

/* --- commands ----------------------------------------------------------------------------------
 */

/* See kp_gs_publish_ready and kp_gs_publish. */
bool kp_engine_publish_ready(kp_engine *e, kp_time now, const kp_pub *p);
void kp_engine_publish(kp_engine *e, kp_time now, kp_pub *p);

/* A direct message: p->topic holds the peer id text, 0x00, the protocol id; p->done (token ≠ 0) is
 * its COMPLETE event. Takes p over. */
void kp_engine_send(kp_engine *e, kp_time now, kp_pub *p);

/* Back-pressure of direct messages, as kp_engine_publish_ready is of published ones. */
bool kp_engine_send_ready(kp_engine *e, kp_time now, const kp_pub *p);

/* With inbox.policy=block: direct messages for this inbox are not read (true), or again (false).
 * The engine also stops by itself after a burst of them, until the host has looked at the inbox and
 * called this; so call it after events for that inbox were given out, and when it has emptied. */
void kp_engine_hold_direct(kp_engine *e, kp_time now, uint16_t inbox, bool hold);

typedef enum kp_op {
	KP_OP_CONNECT = 1,
	KP_OP_DISCONNECT = 2,
	KP_OP_PING = 3,
	KP_OP_SUBSCRIBE = 4,
	KP_OP_UNSUBSCRIBE = 5,
	KP_OP_ADD_PROTOCOL = 6,
	KP_OP_DHT_FIND_PEER = 7,
	KP_OP_DHT_PROVIDE = 8,
	KP_OP_DHT_FIND_PROVIDERS = 9,
	KP_OP_DHT_PUT = 10,
	KP_OP_DHT_GET = 11
} kp_op;

/* arg and data are borrowed for the call. done: the reserved COMPLETE event of a token ≠ 0 (its
 * token set), taken over; it is emitted exactly once, whatever happens. deadline: KP_NEVER = the
 * operation's own default. Bad arguments also end in that event (code, TEXT naming the culprit). */
typedef struct kp_request {
	kp_op op;
	kp_slice arg, data;
	int64_t token;
	kp_time deadline;
	kp_event *done;
} kp_request;
void kp_engine_request(kp_engine *e, kp_time now, const kp_request *r);

/* Checks what can be checked without a running engine (any thread): KP_OK, or KP_E_INVAL,
 * KP_E_NOTSUP with the text that the caller gets. */
kp_err kp_request_check(kp_op op, kp_slice arg, kp_slice data, char *text, size_t cap);

/* A request, a direct message, or a publish that is held or being signed: its one final event says
 * KP_E_CANCELED. KP_E_NOTFOUND: no such token, or its fate is decided. */
kp_err kp_engine_cancel(kp_engine *e, kp_time now, int64_t token);
kp_err kp_engine_verdict(kp_engine *e, kp_time now, int64_t token, kp_verdict verdict);

/* JSON (or bare text) of kp2p_node_info, engine's part: self, addresses, peers, topics, routing,
 * stats, config, peer_id, listen_addrs. Writes into out; a NULL writer measures. The host adds its
 * own stats by (names, values). KP_E_INVAL = unknown `what`. */
typedef struct kp_host_stat {
	const char *name;
	uint64_t value;
} kp_host_stat;
kp_err kp_engine_info(kp_engine *e, kp_time now, kp_slice what, const kp_host_stat *extra,
                      size_t n_extra, kp_writer *out);

const kp_env *kp_engine_env(const kp_engine *e);

/* Cheap views for hosts and checkers: the n-th own topic, the n-th entry of the routing table
 * (false past the end), open connections. */
bool kp_engine_topic_at(const kp_engine *e, size_t n, kp_gs_topic_info *out);
bool kp_engine_route_at(const kp_engine *e, size_t n, kp_kad_entry *out);
size_t kp_engine_conn_count(const kp_engine *e);
const kp_gs *kp_engine_gs(const kp_engine *e); /* for what gossipsub.h tells of peers */

#ifdef __cplusplus
}
#endif
#endif
