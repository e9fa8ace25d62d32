/* The inside of one node: the engine, its connections, peers, dials, listeners and requests.
 * Private to core/engine. Who owns what: the engine owns all tables; a link (one transport
 * connection) owns its kp_conn; a dial owns its candidates and lookups; a request owns its
 * completion event.
 *
 * Nothing is freed while a call on it may be on the stack: links, dials and requests are marked and
 * freed by the pump (kp_engine_poll). */
#ifndef KP_ENGINE_ENGINE_H
#define KP_ENGINE_ENGINE_H

#include "base/list.h"
#include "base/map.h"
#include "conn/noise.h"
#include "engine/port.h"
#include "engine/slots.h"
#include "svc/app.h"
#include "svc/identify.h"
#include "svc/ping.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kp_link;
struct kp_peer;
struct kp_dial;
struct kp_keeper;
struct kp_req;

/* --- connections (links.c) ----------------------------------------------------------------------
 */

/* Actions a link asks of the host, emitted in this order. */
#define LINK_DIAL     1u
#define LINK_RESUME   2u
#define LINK_WRITE    4u
#define LINK_SHUTDOWN 8u
#define LINK_CLOSE    16u

/* Half-open inbound connections of one remote address. */
typedef struct kp_origin {
	kp_map_node node; /* e->origins, by ip */
	uint8_t ip[17];   /* family, address */
	unsigned n;
} kp_origin;

typedef struct kp_link {
	struct kp_engine *e;
	kp_conn *conn;
	kp_id id;
	kp_list dirty;     /* e->dirty: the pump has to look at it */
	kp_list acting;    /* e->acting: todo != 0 */
	kp_list half_open; /* e->half_open: inbound and not yet open */
	kp_list of_open;   /* e->open, oldest first: told to the services */
	kp_list of_peer;   /* peer->links, oldest first, from on_secured on */
	kp_list of_dial;   /* dial->links */
	struct kp_peer *peer;
	struct kp_dial *dial; /* outbound, until it opens or fails */
	kp_origin *origin;    /* half-open inbound */
	kp_peer_id expect;    /* outbound: who should be there, n == 0 = anybody */
	kp_addr remote;
	unsigned todo;
	kp_slice write;  /* of LINK_WRITE */
	kp_err dial_err; /* what on_dialed said */
	kp_why ask_why;  /* close it for this, KP_WHY_NONE = keep */
	bool outbound;
	bool connected; /* the transport is up */
	bool dialing;   /* counted in e->n_dialing */
	bool writing;   /* between WRITE and on_written */
	bool starved;   /* rx_buf had no memory: RESUME must follow */
	bool shut;      /* SHUTDOWN_WR was emitted */
	bool up;        /* in e->open */
	bool buried;    /* dead, and everybody has been told */
	bool gone;      /* the host has no such connection any more */
} kp_link;

kp_link *kp_links_get(struct kp_engine *e, kp_id id); /* NULL = stale, counted */
/* Outbound for `dial` to `to`, or inbound (dial NULL). NULL = out of memory. */
kp_link *kp_links_new(struct kp_engine *e, kp_time now, struct kp_dial *dial, const kp_addr *to,
                      const kp_peer_id *expect);
void kp_links_want(kp_link *l, unsigned act);
void kp_links_dirty(kp_link *l);
void kp_links_ask_close(kp_link *l, kp_why why);
void kp_links_abort(kp_link *l, kp_time now, kp_why why); /* not from inside an op */
void kp_links_pump(kp_link *l, kp_time now);              /* may free l */
bool kp_links_emit(struct kp_engine *e, kp_act *out);
void kp_links_info(const kp_link *l, kp_conn_info *out);
void kp_links_feed_starved(struct kp_engine *e);
/* Accept again once the half-open ones are fewer than the cap. */
void kp_links_check_accept(struct kp_engine *e);
bool kp_links_may_trim(const kp_link *l);
/* Closes open connections until `to` are left: youngest first, kept ones spared. Returns how many.
 */
unsigned kp_links_trim(struct kp_engine *e, unsigned to);

/* --- peers (peers.c)
 * ------------------------------------------------------------------------------ */

#define KP_PEERS_ADDRS_MAX   100u
#define KP_PEERS_FORGET_NS   KP_SEC(3600)
#define KP_PEERS_STRANGERS   1024u /* remembered without connection, dial or keeper */
#define KP_PEERS_BACKOFF     KP_SEC(5)
#define KP_PEERS_BACKOFF_MAX KP_SEC(300)

typedef struct kp_peer {
	kp_map_node node; /* e->peers */
	kp_peer_id id;
	kp_list links;        /* oldest first; some may not be open yet, or be closing */
	unsigned n_links;     /* in that list */
	unsigned n_up;        /* of them told to the services */
	unsigned keep;        /* kp_keep bits */
	struct kp_dial *dial; /* under way */
	bool redial;          /* we gave it up (STREAMS_DEAD): to be dialled again, at redial_at */
	kp_addr redial_at;
	struct kp_keeper *keeper; /* bootnode or direct peer */
	unsigned fails;           /* dials in a row */
	kp_time failed_at, backoff_until;
	kp_time rest_until; /* discovery leaves it alone: we, or it, ended the connection */
	kp_maddr *addrs;    /* told by itself */
	size_t n_addrs;
	char *agent;          /* NULL = not identified */
	kp_list of_strangers; /* e->strangers, longest unused first */
	kp_time used_at;      /* when it became a stranger */
	kp_time up_until;     /* when its last connection ended */
} kp_peer;

kp_peer *kp_peers_find(struct kp_engine *e, const kp_peer_id *id); /* NULL = unknown */
kp_peer *kp_peers_get(struct kp_engine *e, kp_time now,
                      const kp_peer_id *id); /* NULL = no memory */
/* Call when a peer may have lost its last use: it becomes a stranger, or is forgotten. */
void kp_peers_settle(struct kp_engine *e, kp_time now, kp_peer *p);
void kp_peers_forget_old(struct kp_engine *e, kp_time now);
void kp_peers_free_all(struct kp_engine *e);
kp_link *kp_peers_link(const kp_peer *p); /* the oldest open link, NULL = not connected */
bool kp_peers_backed_off(const kp_peer *p, kp_time now);
/* Discovery does not dial it for so long; others may. */
void kp_peers_rest(kp_peer *p, kp_time now, kp_time for_ns);
void kp_peers_failed(struct kp_engine *e, kp_peer *p, kp_time now);
void kp_peers_identified(struct kp_engine *e, kp_time now, const kp_peer_id *id,
                         const kp_identify_info *info);

/* --- dialling (dial.c, resolve.c)
 * ------------------------------------------------------------------ */

#define KP_DIAL_CANDIDATES   100u
#define KP_DIAL_LOOKUPS      32u
#define KP_DIAL_DEPTH        4u
#define KP_DIAL_PARALLEL     8u
#define KP_DIAL_MAX          512u /* dials at once that services may cause */
#define KP_DIAL_NEXT         KP_MS(250)
#define KP_DIAL_NEXT_PRIVATE KP_MS(30)
#define KP_DIAL_TEXT         400u

typedef struct kp_candidate {
	kp_addr addr;
	kp_peer_id expect;
	uint32_t rank; /* lower first; ties in order of arrival */
	bool tried;
} kp_candidate;

typedef struct kp_dial {
	struct kp_engine *e;
	kp_list node;    /* e->dials, or e->dead_dials */
	kp_list waiting; /* e->dials_waiting: no transport dial is free */
	kp_list links;   /* attempts under way */
	kp_list lookups; /* unanswered */
	kp_list waiters; /* kp_req.of_dial */
	kp_peer *peer;   /* NULL = whoever is there */
	struct kp_keeper *keeper;
	kp_candidate *candidates;
	uint32_t n_candidates, room;
	uint32_t n_links, n_lookups; /* in the lists; lookups ever made */
	uint32_t pending;            /* lookups unanswered */
	uint32_t v4, v6;             /* candidates of each family so far, for the rank */
	kp_timer total, next;
	kp_time next_at;         /* the next candidate starts not before */
	kp_err err;              /* of the most telling failure so far */
	char text[KP_DIAL_TEXT]; /* what it was */
	bool done;
} kp_dial;

typedef struct kp_lookup {
	kp_id id;        /* e->lookups */
	kp_list node;    /* dial->lookups */
	kp_list resolve; /* e->resolves: RESOLVE not yet emitted */
	kp_dial *dial;   /* NULL = nobody waits for it any more */
	kp_maddr addr;   /* the address that needs it */
	kp_dns_kind kind;
	unsigned depth;
	char name[KP_MADDR_MAX + 16];
} kp_lookup;

/* Starts dialling. peer NULL = whoever is there. KP_E_NOTFOUND no usable address, KP_E_NOMEM; text
 * (cap bytes) says why. *out is alive until it has told its waiters, keeper and the services. */
kp_err kp_dial_start(struct kp_engine *e, kp_time now, kp_peer *peer, const kp_maddr *addrs,
                     size_t n, struct kp_keeper *keeper, kp_dial **out, char *text, size_t cap);
/* One more address; depth counts dnsaddr nesting. */
void kp_dial_add(kp_dial *d, kp_time now, const kp_maddr *m, unsigned depth);
void kp_dial_add_candidate(kp_dial *d, const kp_addr *addr, const kp_peer_id *expect);
void kp_dial_note(kp_dial *d, kp_err err, const char *text);
/* What is to be said when time is over: which name was not answered, or what has failed so far. */
void kp_dial_late_text(kp_dial *d, char *text, size_t cap);
/* Starts the next candidate if it may, or ends the dial when none is left. */
void kp_dial_go(kp_dial *d, kp_time now);
void kp_dial_won(kp_dial *d, kp_link *l, kp_time now);
/* The peer has connected to us meanwhile: who waits is told, the attempts go on. */
void kp_dial_met(kp_dial *d, const kp_link *l, kp_time now);
void kp_dial_lost_link(kp_dial *d, kp_link *l, kp_time now); /* the link is dead */
void kp_dial_cancel(kp_dial *d, kp_time now, kp_err err, const char *text);
void kp_dial_kick(struct kp_engine *e, kp_time now); /* a transport dial has become free */
void kp_dial_reap(struct kp_engine *e);

bool kp_resolve_add(kp_dial *d, const kp_maddr *m, const kp_maddr_target *t, unsigned depth);
void kp_resolve_drop(kp_dial *d);                     /* its unanswered lookups */
void kp_resolve_note(const kp_lookup *q, kp_err err); /* why it came to nothing, for its dial */
bool kp_resolve_emit(struct kp_engine *e, kp_act *out);
void kp_resolve_free_all(struct kp_engine *e);

/* --- peers to be connected for ever (keeper.c)
 * ----------------------------------------------------- */

#define KP_KEEPER_FIRST  KP_SEC(1)
#define KP_KEEPER_LAST   KP_SEC(60)
#define KP_KEEPER_JITTER 25u /* percent */
#define KP_KEEPER_ADDRS  8u  /* addresses of one peer; further ones are left out */

typedef struct kp_keeper {
	struct kp_engine *e;
	kp_list node;  /* e->keepers */
	kp_peer_id id; /* n == 0: a dnsaddr, whoever answers first */
	kp_peer *peer; /* of id; of the dnsaddr kind, while connected */
	kp_maddr addrs[KP_KEEPER_ADDRS];
	size_t n_addrs;
	kp_keep what;
	unsigned fails;
	kp_timer retry;
} kp_keeper;

kp_err kp_keepers_make(struct kp_engine *e, kp_time now);
void kp_keepers_start(struct kp_engine *e, kp_time now);
void kp_keepers_stop(struct kp_engine *e);
void kp_keepers_free_all(struct kp_engine *e);
void kp_keeper_up(kp_keeper *k, kp_time now, kp_peer *p);
void kp_keeper_down(kp_keeper *k, kp_time now);
void kp_keeper_failed(kp_keeper *k, kp_time now, const char *why); /* why may be NULL */

/* --- limits and discovery (connmgr.c)
 * ----------------------------------------------------------------- */

#define KP_CONNMGR_WANTED      12u /* connections a node seeks without any topic */
#define KP_CONNMGR_DIALS       4u  /* a heartbeat */
#define KP_CONNMGR_EXPLORE     KP_SEC(10)
#define KP_CONNMGR_EXPLORE_MAX KP_SEC(300)
#define KP_CONNMGR_CLOSING_NS  KP_SEC(5) /* goodbye of a single connection */

typedef struct kp_connmgr {
	kp_timer beat;
	kp_time explore_at, explore_after;
	size_t at;        /* where in kad's table the next look begins */
	uint64_t refused; /* e->env.mem->refused at the last beat */
} kp_connmgr;

void kp_connmgr_start(struct kp_engine *e, kp_time now);
void kp_connmgr_stop(struct kp_engine *e);
/* May this connection, whose peer has proved its id, go on? */
kp_why kp_connmgr_admit(struct kp_engine *e, kp_time now, kp_link *l, const kp_peer_id *peer);
void kp_connmgr_opened(struct kp_engine *e);

/* --- listeners and own addresses (listen.c)
 * -------------------------------------------------------------- */

#define KP_LISTEN_OWN_MAX 64u

typedef struct kp_listener {
	kp_addr addr;
	bool ask, unask; /* LISTEN, UNLISTEN to be emitted */
	bool asked, answered, bound;
	kp_err err;
	kp_addr at[16]; /* expanded */
	size_t n_at;
} kp_listener;

void kp_listen_start(struct kp_engine *e);
void kp_listen_stop(struct kp_engine *e);
bool kp_listen_emit(struct kp_engine *e, kp_act *out);
bool kp_listen_is_own(const struct kp_engine *e, const kp_addr *a);
size_t kp_listen_own_addrs(const struct kp_engine *e, kp_maddr *out, size_t max);
bool kp_addr_of_maddr(const kp_maddr *m, kp_addr *out); /* ip and tcp only */
void kp_addr_to_maddr(const kp_addr *a, kp_maddr *out);
bool kp_addr_eq(const kp_addr *a, const kp_addr *b);
kp_ip_scope kp_addr_scope(const kp_addr *a);

/* --- requests (requests.c, req_ops.c) --------------------------------------------------------- */

typedef enum kp_req_step {
	REQ_DIAL,   /* waits for a dial */
	REQ_LOOKUP, /* waits for a DHT lookup */
	REQ_PING,
	REQ_SEND,
	REQ_OVER /* completed; freed by the pump */
} kp_req_step;

#define KP_REQ_PING_NS KP_SEC(10) /* default deadline of PING */

typedef struct kp_req {
	struct kp_engine *e;
	kp_map_node by_token;  /* e->tokens, if token != 0 */
	kp_map_node by_serial; /* e->serials */
	kp_list node;          /* e->reqs, or e->dead_reqs */
	kp_list of_dial;       /* dial->waiters */
	kp_dial *dial;         /* while it is in that list */
	int64_t token, serial;
	kp_op op; /* of a direct message: 0 */
	kp_req_step step;
	kp_event *done; /* NULL = nobody wants to know */
	kp_peer_id peer;
	uint64_t under; /* kad's lookup or ping's request */
	bool under_way; /* `under` will still call back: the memory must stay */
	kp_timer deadline;
} kp_req;

/* A request under way; KP_E_INVAL the token is, KP_E_NOMEM: then *out is NULL and done was
 * answered. done is taken over. */
kp_err kp_req_new(struct kp_engine *e, kp_time now, const kp_request *r, kp_req_step step,
                  kp_req **out);
/* Exactly once per request; text may be NULL. */
void kp_req_finish(kp_req *r, kp_time now, kp_err err, const char *text);
/* FROM and ADDR of the completion to come; either may be NULL. */
void kp_req_fields(kp_req *r, const kp_peer_id *peer, const kp_maddr *addr);
/* The completion of what never became a request. Takes ev over; NULL is fine. */
void kp_req_answer(struct kp_engine *e, kp_event *ev, kp_err err, const char *text);
void kp_req_dial_done(kp_req *r, kp_time now, kp_err err, const char *text, const kp_link *l);
void kp_req_app_done(void *ctx, kp_time now, int64_t serial, kp_err err);
/* All but direct messages, or all. */
void kp_req_finish_all(struct kp_engine *e, kp_time now, bool sends_too);
void kp_req_reap(struct kp_engine *e);
void kp_req_free_all(struct kp_engine *e);

/* --- host.c: what services see
 * -------------------------------------------------------------------------------- */

#define KP_HOST_SERVED_MAX 16u
#define KP_HOST_SVCS       5u

struct kp_host {
	struct kp_engine *e;
};

typedef struct kp_served {
	const kp_proto_ops *ops;
	const kp_proto *protos;
	size_t n;
	void *svc;
} kp_served;

typedef struct kp_service {
	const kp_svc_ops *ops;
	void *svc;
} kp_service;

kp_err kp_host_make(struct kp_engine *e, kp_time now); /* creates the services */
void kp_host_unmake(struct kp_engine *e);
bool kp_host_find_proto(struct kp_engine *e, kp_slice name, kp_proto_binding *out);
void kp_host_identified(void *ctx, kp_time now, const kp_peer_id *peer,
                        const kp_identify_info *info, const kp_maddr *observed);
void kp_host_tell_open(struct kp_engine *e, kp_time now, kp_link *l, bool first);
void kp_host_tell_close(struct kp_engine *e, kp_time now, kp_link *l, kp_why why, bool last);
void kp_host_tell_dial_failed(struct kp_engine *e, kp_time now, const kp_peer_id *peer, kp_err err);
void kp_host_tell_addrs_changed(struct kp_engine *e, kp_time now);
void kp_host_tell_stop(struct kp_engine *e, kp_time now);
kp_err kp_host_dial_known(struct kp_engine *e, kp_time now, const kp_peer_id *peer,
                          const kp_maddr *addrs, size_t n, bool insist, kp_dial **out, char *text,
                          size_t cap);

/* --- stop.c
 * ---------------------------------------------------------------------------------------------------------
 */

typedef enum kp_engine_state {
	ENGINE_NEW,
	ENGINE_RUNNING,
	ENGINE_DRAINING, /* no more publishes; the queues empty */
	ENGINE_CLOSING,  /* goodbyes are under way */
	ENGINE_STOPPED
} kp_engine_state;

void kp_stop_init(struct kp_engine *e);
/* Does what has become possible; true when something changed. */
bool kp_stop_advance(struct kp_engine *e, kp_time now);

/* --- the engine (engine.c)
 * -------------------------------------------------------------------------------------- */

struct kp_engine {
	kp_env env;
	struct kp_host host;
	kp_config *cfg;
	const kp_settings *s; /* of cfg */
	kp_engine_state state;
	kp_time now; /* of the last entry; never goes back */

	kp_timers timers;
	kp_rng rng;
	kp_stats stats;
	kp_trace trace;
	kp_identity self;
	kp_noise_local noise;
	kp_conn_host conn_host; /* ctx is set per link */

	kp_slots links, lookups;
	kp_list dirty, acting, half_open, open;
	unsigned n_half_open, n_open, n_dialing, n_starved;
	kp_map origins;
	kp_timer starved;
	bool accept_paused, accept_told; /* what should be, what the host knows */

	kp_map peers;
	kp_list strangers;
	size_t n_strangers;

	kp_list dials, dead_dials, dials_waiting, resolves, keepers;
	unsigned n_dials; /* in `dials` */
	kp_connmgr mgr;

	kp_listener *listeners; /* s->n_listen of them */

	kp_map tokens, serials;
	kp_list reqs, dead_reqs;
	int64_t next_serial;

	kp_job *jobs, *jobs_tail;       /* not yet emitted */
	unsigned n_jobs;                /* submitted and not done */
	kp_event *events, *events_tail; /* not yet emitted */
	kp_event *closed;               /* reserved for the end */

	kp_served served[KP_HOST_SERVED_MAX];
	size_t n_served;
	kp_service svcs[KP_HOST_SVCS];
	size_t n_svcs;
	kp_identify *identify;
	kp_gs *gs;
	kp_kad *kad; /* NULL = off */
	kp_ping *ping;
	kp_app *app;
	bool addrs_changed;

	kp_time stop_at;   /* end of the goodbye's budget */
	kp_time drain_end; /* when the goodbyes begin at the latest */
	kp_timer stop;
};

/* Time never goes back: asserted at every entry. */
void kp_engine_enter(kp_engine *e, kp_time now);
void kp_engine_event(kp_engine *e, kp_event *ev);
/* A LOG event, if somebody wants those of this level: what an operator must know. */
void kp_engine_log(kp_engine *e, kp_level level, const char *text);
/* A new event with FROM and ADDR as given (either may be NULL); NULL = no memory, counted. */
kp_event *kp_engine_event_new(kp_engine *e, kp_event_type type, const kp_peer_id *from,
                              const kp_maddr *addr, size_t more_room);

static inline bool kp_engine_is_up(const kp_engine *e)
{
	return e->state == ENGINE_RUNNING;
}

#ifdef __cplusplus
}
#endif
#endif
