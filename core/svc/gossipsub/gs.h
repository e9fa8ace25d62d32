/* The inside of the GossipSub router: its state, and what its files ask of each other. Nothing
 * outside core/svc/gossipsub/ and its tests includes this.
 *
 *   stream.c   the two streams of a peer: open, reopen, bytes in, pull
 *   rpc_in.c   RPCs walked in place; messages judged by size, topic, policy
 *   verify.c   signatures off the loop      author.c    parsed keys and texts of authors
 *   accept.c   after a good or bad signature  validate.c  verdicts of the application
 *   publish.c  own messages: signed in order, framed once   hold.c  kept until a peer is there
 *   router.c   the object, recipients, forwarding   direct.c  direct peers   info.c  introspection
 *   topic.c    topics and who subscribes    peer.c  peers
 *   mesh.c     GRAFT, PRUNE, backoffs       heartbeat.c  gossip.c  IHAVE, IWANT, IDONTWANT
 *   sendq.c    what waits for one peer      rpc_out.c  control messages built
 *   frame.c    recycled records             seen.c, mcache.c  message memory
 *   peer_score.c  what peers are worth      score.c, score_params.c  how that is reckoned
 *   delivery.c  who brought a message, how soon, and which were rejected   px.c  peer exchange
 */
#ifndef KP_SVC_GOSSIPSUB_GS_H
#define KP_SVC_GOSSIPSUB_GS_H

#include "base/list.h"
#include "base/map.h"
#include "conn/lenframe.h"
#include "svc/gossipsub/gossipsub.h"
#include "svc/gossipsub/score.h"
#include "svc/gossipsub/seen.h"
#include "wire/rpc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- limits ---- */

#define GS_ID_MAX          63u    /* bytes of a message id; longer ones name nothing of ours */
#define GS_TOPIC_MAX       1024u  /* bytes of a topic's name */
#define GS_TOPIC_BYTES_MAX 65536u /* names of remote-only topics of one peer */
#define GS_HISTORY_MAX     128u
#define GS_CONTROL_MAX     16000u /* framed bytes of an RPC that carries control */
#define GS_RPC_BIG         57345u /* from here on an RPC wants a barrier behind it (rust ≥ 0.57) */
#define GS_RPC_ITEMS_MAX   16384u /* items of one kind taken from one RPC */
#define GS_SEEN_MAX        (1u << 22)
#define GS_MCACHE_BYTES    (32u << 20)
#define GS_PROMISES_MAX    65536u
#define GS_AUTHORS_MAX     1024u
#define GS_SOURCES_MAX     16u   /* senders of a copy that are remembered */
#define GS_BACKOFFS_MAX    1024u /* per topic */
#define GS_CTL_MAX         4096u /* subscriptions, GRAFT, PRUNE waiting for one peer */
#define GS_RAW_MAX         512u  /* IHAVE, IWANT, IDONTWANT RPCs waiting for one peer */
#define GS_RAW_BYTES_MAX   (1u << 20)
#define GS_BACKOFF_S_MAX   3600u  /* longest backoff a peer can impose */
#define GS_REOPENS_MAX     3u     /* per connection; then it is closed */
#define GS_INBOUND_MAX     4u     /* inbound pubsub streams of a peer; the oldest gives way */
#define GS_BATCH           32u    /* signatures per job */
#define GS_SIGN_BATCH      64u    /* own messages signed by one job */
#define GS_SIGN_QUEUE_MAX  1024u  /* own messages waiting for their signature */
#define GS_SIGN_HERE_BYTES 16384u /* that a turn of the loop signs itself, and one message more */
#define GS_JOB_BYTES       262144u /* of a job, and one message more: none waits for all of a burst */
#define GS_SPARE_MAX       4096u   /* free records of each kind; idle, they shrink to … */
#define GS_SPARE_KEPT      128u    /* … these */
#define GS_DIRECT_TICKS    300u
/* A node that ends grafts nobody: its backoff is short, so that the next process under the same
 * identity, which knows nothing of it, is not taken for one that disregards backoffs. */
#define GS_GOODBYE_BACKOFF KP_SEC(1)
#define GS_SCORES_MAX      16384u /* scores kept of peers that are gone */
#define GS_SCORE_IPS       16u    /* addresses of one peer that P6 sees */
#define GS_REJECTED_MAX    65536u /* ids of rejected messages */
#define GS_DELIVERIES_MAX  65536u /* messages within their delivery window */
#define GS_PX_MAX          64u
#define GS_PX_RECORD_MAX   1024u /* bytes of a signed peer record that is passed on */
#define GS_PX_BYTES_MAX    8192u /* of all those in one PRUNE */

/* Versions in kp_gs_protos. */
enum {
	GS_KIND_NONE = 0,
	GS_KIND_FLOODSUB = 1,
	GS_KIND_1_0 = 10,
	GS_KIND_1_1 = 11,
	GS_KIND_1_2 = 12
};

/* ---- small things ---- */

typedef struct gs_id {
	uint8_t n;
	uint8_t b[GS_ID_MAX];
} gs_id;

static inline kp_slice gs_id_slice(const gs_id *id)
{
	return kp_slice_of(id->b, id->n);
}

/* A growing ring of pointers. */
typedef struct gs_ring {
	void **v;
	uint32_t cap; /* power of two, or 0 */
	uint32_t head, n;
} gs_ring;

/* Recycled records of one size. */
typedef struct gs_spares {
	void *head;
	uint32_t n;
	size_t size;
} gs_spares;

typedef struct gs_peer gs_peer;
typedef struct gs_topic gs_topic;
typedef struct gs_author gs_author;
typedef struct gs_score gs_score;

/* One framed RPC on its way out, shared by every queue it stands in and by the message cache. */
typedef struct gs_frame {
	uint32_t refs;
	uint8_t head[KP_RPC_FORWARD_HEAD_MAX]; /* goes before `wire` */
	uint8_t head_n;
	bool control; /* not a message */
	kp_ref wire;
	kp_ref message; /* the Message inside, for IWANT; empty = wire is it */
	/* of messages */
	gs_id id;
	uint64_t fp;
	gs_topic *t;        /* used */
	kp_map_node cached; /* in gs->mcache, while t != NULL and window is linked */
	kp_list window;
	uint32_t charge;  /* bytes it counts for in the cache */
	uint32_t *iwant;  /* pairs (peer serial, times answered) */
	uint32_t iwant_n; /* pairs */
} gs_frame;

/* A message that is not accepted yet: waits for its signature, a verdict, or (own) a recipient. */
typedef enum gs_pend_state {
	GS_PEND_WAIT,
	GS_PEND_GOOD,
	GS_PEND_BAD,
	GS_PEND_LOST /* could not be checked for want of memory: nobody's fault */
} gs_pend_state;

typedef struct gs_pend {
	kp_map_node inflight; /* in gs->inflight by fp: the first copy */
	bool in_flight;
	gs_pend_state state;
	bool in_fifo, was_held;
	bool canceled;     /* own, being signed by a job: it goes no further */
	kp_list fifo;      /* in p->fifo; own messages: gs->signing or gs->held */
	kp_list batch;     /* in gs->unchecked; own messages: gs->unsigned_own */
	kp_list parked;    /* head of the other copies, or the link among them */
	gs_peer *p;        /* who sent it, one count; NULL = own */
	gs_topic *t;       /* used */
	gs_author *author; /* pinned; may be NULL without signature */
	kp_ref raw;        /* the Message as received */
	kp_rpc_message m;
	gs_id id;
	uint64_t fp;
	uint32_t sources[GS_SOURCES_MAX]; /* serials of the peers that sent it */
	uint32_t n_sources;
	/* of own messages */
	kp_pub *pub;
	uint8_t seqno[8], sig[64];
	gs_frame *frame;
	/* of messages at the application or held */
	kp_time deadline;
	int64_t token;
	kp_map_node by_token;
	kp_list validating;
} gs_pend;

/* Control that must not get lost: subscriptions, GRAFT, PRUNE. Built into RPCs when pulled. */
typedef enum gs_ctl_kind {
	GS_CTL_SUBSCRIBE,
	GS_CTL_UNSUBSCRIBE,
	GS_CTL_GRAFT,
	GS_CTL_PRUNE
} gs_ctl_kind;
typedef struct gs_ctl {
	kp_list link;
	gs_ctl_kind kind;
	gs_topic *t; /* used */
	uint64_t backoff_s;
	bool px; /* PRUNE: offer other peers */
} gs_ctl;

/* What waits for one peer; classes CONTROL > OWN > FORWARD. */
typedef struct gs_sendq {
	kp_list subs, ctl;     /* gs_ctl in order; SUBSCRIBE goes first where it may */
	uint32_t n_ctl;        /* in both */
	gs_ring raw, own, fwd; /* gs_frame, one count each */
	uint64_t raw_bytes, own_bytes, fwd_bytes;
	gs_frame *cur; /* being written, from cur_off on */
	uint32_t cur_off;
	gs_ring sent;      /* written by the last pull: their bytes must stay until the next op */
	uint32_t messages; /* own, forwarded and cur: part of gs->pending */
	bool barrier;      /* what was just written wants nothing behind it */
} gs_sendq;

/* A peer subscribes to a topic. */
typedef struct gs_member {
	kp_list in_topic, in_peer;
	gs_topic *t;
	gs_peer *p;
	bool in_mesh, in_fanout;
	kp_time mesh_since;
} gs_member;

typedef struct gs_backoff {
	kp_map_node node;
	kp_peer_id peer;
	kp_time until;
	kp_time told; /* by the last PRUNE, ours or its own */
} gs_backoff;

struct gs_topic {
	kp_map_node node;
	uint32_t uses; /* frames, messages and control items that point here */
	bool joined;
	kp_sub_opts opts;
	uint64_t serial; /* for traces */
	kp_list members; /* gs_member.in_topic, in order of subscription */
	uint32_t n_members, n_mesh, n_fanout, n_held;
	kp_map backoffs;
	kp_time fanout_at; /* last publish while not joined; KP_NEVER = no fanout */
	gs_peer *only;     /* it has KP_KEEP_TOPIC for us */
	const kp_score_topic_params *score;
	uint8_t *name; /* behind the struct */
	uint16_t name_n;
};

static inline kp_slice gs_topic_name(const gs_topic *t)
{
	return kp_slice_of(t->name, t->name_n);
}

struct gs_peer {
	kp_map_node node;
	kp_gs *gs;
	kp_peer_id id;
	uint32_t refs;   /* the map, streams, messages */
	uint32_t serial; /* never reused */
	bool dead;       /* no connection left */
	bool outbound;   /* we dialled the first connection */
	bool direct, no_pubsub, small_reader;
	uint8_t kind;
	uint32_t conns;
	kp_time conn_at; /* the newest connection began */
	char text[KP_PEER_ID_TEXT_MAX];
	uint8_t text_n;
	/* our stream */
	kp_stream *out;
	bool out_open;  /* on_open has been called */
	bool out_dead;  /* being reset */
	bool was_open;  /* some outbound stream was open once */
	kp_id out_conn; /* the connection `reopens` counts for */
	uint32_t reopens;
	kp_timer reopen;
	kp_time since; /* up, or its stream open: progress before anything was written */
	gs_sendq q;
	/* its streams */
	kp_stream *in[GS_INBOUND_MAX];
	/* its topics */
	kp_list members;
	uint32_t n_members, n_remote, remote_bytes; /* remote: not joined by us */
	uint32_t n_mesh, n_shared, n_only;
	/* messages waiting for their signature */
	kp_list fifo;
	uint32_t fifo_n;
	uint64_t fifo_bytes;
	bool held; /* its streams are held */
	/* per heartbeat */
	uint32_t ihave_msgs, iasked, iwant_ids; /* saturate far above their caps */
	kp_seen *dont_send;
	/* offences ever, for introspection; what they cost is in the score */
	double behaviour, invalid;
	gs_score *score;   /* NULL = not scored: off, or no memory */
	kp_ip_scope scope; /* of the connection it came by first */
	kp_ref record;     /* its signed peer record, while we pass those on */
};

/* An address and how many connected peers have it: P6. */
typedef struct gs_ip {
	kp_map_node node;
	uint8_t key[17]; /* how many bytes count, then those */
	bool exempt;
	uint32_t peers;
} gs_ip;

typedef struct gs_topic_score {
	kp_list link;
	gs_topic *t; /* used */
	kp_score_counters c;
} gs_topic_score;

/* What a peer has earned. Outlives its connections if it is not positive. */
struct gs_score {
	kp_map_node node; /* in gs->scores */
	kp_peer_id id;
	kp_list retained; /* in gs->retained, while it has no connection */
	kp_time expire;
	double app, behaviour, slow;
	kp_list topics; /* gs_topic_score, last touched first */
	struct {
		gs_ip *ip;
		uint32_t conns;
	} ips[GS_SCORE_IPS];
	uint32_t n_ips;
	double total; /* as of `epoch`, unless stale */
	uint64_t epoch;
	bool stale;
};

/* A message within its delivery window, and the mesh peers that brought it. */
typedef struct gs_delivery {
	kp_map_node node;
	kp_list link; /* in gs->delivered */
	uint64_t fp;
	kp_time at;
	uint32_t n, room;
	uint32_t serials[];
} gs_delivery;

struct gs_author {
	kp_map_node node;
	kp_list lru;
	kp_peer_id id;
	uint32_t pins;
	kp_pubkey *key; /* NULL = not needed so far */
	uint8_t *pb;    /* the PublicKey it came from */
	uint32_t pb_n;
	char text[KP_PEER_ID_TEXT_MAX];
	uint8_t text_n;
};

typedef struct gs_promise {
	kp_map_node node;
	kp_list link; /* in gs->promised, by deadline */
	uint64_t fp;
	uint32_t serial; /* of the peer that promised */
	bool counts;     /* towards P7 when it is broken */
	kp_time deadline;
} gs_promise;

/* Direct peers by id, connected or not. */
typedef struct gs_direct {
	kp_map_node node;
	kp_peer_id id;
} gs_direct;

/* State of one stream (kp_stream_state). */
typedef struct gs_stream {
	gs_peer *p; /* one count */
	kp_lenframe lf;
	uint32_t rpcs; /* seen */
} gs_stream;

struct kp_gs {
	kp_host *host;
	const kp_env *env;
	kp_gs_params par;
	uint32_t rpc_max; /* frames up to this are read */
	uint8_t fp_key[16];
	bool stopping;
	uint32_t next_serial;
	uint64_t next_topic;
	uint64_t seqno; /* of the next own message */
	int64_t next_token;
	uint64_t tick;
	char self_text[KP_PEER_ID_TEXT_MAX];
	uint8_t self_text_n;
	size_t pending;
	kp_map peers, topics, inflight, promises, authors, direct, tokens;
	/* under the key 0 in inflight and tokens: a table that empties is given back and taken
	 * again, which would cost two allocations per message */
	kp_map_node inflight_anchor, tokens_anchor;
	uint32_t n_joined;
	kp_list promised;   /* gs_promise by deadline */
	kp_list author_lru; /* least recently used first */
	kp_seen seen;
	uint64_t seen_evicted; /* already counted */
	/* scores */
	kp_map scores, ips, deliveries;
	kp_list retained; /* gs_score by expiry */
	uint32_t n_retained;
	uint64_t score_epoch;         /* grows when what all scores depend on has changed */
	kp_list delivered;            /* gs_delivery, oldest first */
	kp_time window_ns;            /* the longest of all topics; 0 = P3 is off */
	kp_seen rejected;             /* ids of messages that the application rejected */
	kp_score_topic *score_topics; /* the copies that par.score points at */
	kp_score_app *score_apps;
	kp_score_net *score_exempt;
	kp_timer decay;
	/* message cache */
	kp_map mcache;
	kp_list windows[GS_HISTORY_MAX];
	uint32_t window; /* the current one */
	uint64_t mcache_bytes;
	/* signatures */
	kp_list unchecked; /* gs_pend.batch */
	uint32_t n_unchecked, n_checking;
	uint64_t verify_bytes;
	uint8_t *scratch; /* grows to the largest signed text */
	uint32_t scratch_cap;
	/* own messages */
	kp_list signing;      /* gs_pend.fifo, in order */
	kp_list unsigned_own; /* gs_pend.batch: those of them that nobody signs yet */
	uint32_t n_signing, n_unsigned, sign_jobs;
	uint64_t signing_bytes, unsigned_bytes;
	uint64_t n_signed_here, signed_here_bytes; /* on the loop, in this turn */
	kp_list held;                              /* gs_pend.fifo, by deadline */
	uint64_t held_bytes;
	/* at the application */
	kp_list validating; /* by deadline */
	uint32_t n_validating;
	kp_timer heartbeat, flush, hold_timer, validate_timer;
	kp_time heartbeat_at;
	/* scratch of the heartbeat and of sampling */
	void **pick;
	uint32_t pick_cap;
	kp_slice *ids;
	uint32_t ids_cap;
	gs_spares frames, pends, ctls, jobs, signs;
};

#define GS_STAT(gs, name) kp_stat_add((gs)->env->stats, KP_STAT_##name, 1)

/* ---- frame.c ---- */
void *kp_gs_take(kp_gs *gs, gs_spares *s); /* zeroed record, NULL = no memory */
void kp_gs_give(kp_gs *gs, gs_spares *s, void *rec);
void kp_gs_spares_fini(kp_gs *gs, gs_spares *s);
void kp_gs_spares_trim(kp_gs *gs); /* an eighth of what lies unused goes back */
bool kp_gs_ring_push(kp_gs *gs, gs_ring *r, void *item); /* false = no memory */
void *kp_gs_ring_pop(gs_ring *r);                        /* NULL when empty */
void kp_gs_ring_fini(kp_gs *gs, gs_ring *r);
static inline void *gs_ring_at(const gs_ring *r, uint32_t i)
{
	return r->v[(r->head + i) & (r->cap - 1)];
}
gs_frame *kp_gs_frame_new(kp_gs *gs); /* one count */
void kp_gs_frame_unref(kp_gs *gs, gs_frame *f);
static inline uint32_t gs_frame_bytes(const gs_frame *f)
{
	return f->head_n + f->wire.len;
}
/* What a queue is charged with for holding f: its memory, also where others share it. A queue with
 * room for one message has it for the largest (params.c). */
static inline uint64_t gs_frame_charge(const gs_frame *f)
{
	return sizeof *f + kp_block_charge(f->wire.block) + kp_block_charge(f->message.block);
}
/* The same for a message on its way in. */
static inline uint64_t gs_pend_charge(const gs_pend *m)
{
	return sizeof *m + kp_block_charge(m->raw.block);
}
/* And for an own one until its fate is told. */
static inline uint64_t gs_own_charge(const kp_pub *pub)
{
	return sizeof(gs_frame) + sizeof(gs_pend) + kp_pub_charge(pub);
}
gs_pend *kp_gs_pend_new(kp_gs *gs);
void kp_gs_pend_free(kp_gs *gs, gs_pend *m); /* unlinked everywhere */
bool kp_gs_pend_add_source(gs_pend *m, uint32_t serial);
bool kp_gs_pend_has_source(const gs_pend *m, uint32_t serial);
uint64_t kp_gs_fp(const kp_gs *gs, kp_slice id); /* never 0 */
bool kp_gs_pick_room(kp_gs *gs, uint32_t n);     /* gs->pick holds n pointers */
bool kp_gs_ids_room(kp_gs *gs, uint32_t n);

/* ---- peer.c ---- */
gs_peer *kp_gs_peer_find(const kp_gs *gs, const kp_peer_id *id);
gs_peer *kp_gs_peer_by_serial(const kp_gs *gs, uint32_t serial); /* slow */
static inline gs_peer *gs_peer_of(kp_map_node *n)
{
	return KP_CONTAINER_OF(n, gs_peer, node);
}
static inline void gs_peer_ref(gs_peer *p)
{
	p->refs++;
}
void kp_gs_peer_unref(gs_peer *p);
void kp_gs_peer_forget(kp_gs *gs, kp_time now, gs_peer *p); /* all connections gone */
void kp_gs_peer_idle_update(gs_peer *p);
void kp_gs_on_conn_open(void *svc, kp_time now, const kp_conn_info *info, bool first);
void kp_gs_on_conn_close(void *svc, kp_time now, const kp_conn_info *info, kp_why why, bool last);
void kp_gs_on_identified(void *svc, kp_time now, const kp_peer_id *peer,
                         const kp_identify_info *info);

/* The next of beats that keep to their grid; after a pause they are not made up for. */
static inline kp_time gs_next_beat(kp_time at, kp_time every, kp_time now)
{
	at = kp_time_add(at, every);
	return at > now ? at : kp_time_add(now, every);
}

/* ---- stream.c ---- */
void kp_gs_stream_open(kp_gs *gs, kp_time now, gs_peer *p);
void kp_gs_stream_restart(gs_peer *p); /* our stream is of no use any more: reset, reopen */
void kp_gs_streams_hold(gs_peer *p, bool hold);

/* ---- topic.c ---- */
gs_topic *kp_gs_topic_find(const kp_gs *gs, kp_slice name);
gs_topic *kp_gs_topic_get(kp_gs *gs, kp_slice name); /* NULL = no memory or name too long */
static inline gs_topic *gs_topic_of(kp_map_node *n)
{
	return KP_CONTAINER_OF(n, gs_topic, node);
}
static inline gs_topic *gs_topic_use(gs_topic *t)
{
	t->uses++;
	return t;
}
void kp_gs_topic_drop(kp_gs *gs, gs_topic *t);   /* ends a use */
void kp_gs_topic_settle(kp_gs *gs, gs_topic *t); /* frees it if nothing needs it */
gs_member *kp_gs_member_find(const gs_peer *p, const gs_topic *t);
void kp_gs_peer_subscribes(kp_gs *gs, kp_time now, gs_peer *p, kp_slice topic);
void kp_gs_peer_unsubscribes(kp_gs *gs, gs_peer *p, kp_slice topic);
void kp_gs_member_end(kp_gs *gs, gs_member *m);
void kp_gs_topic_only_update(kp_gs *gs, gs_topic *t);
void kp_gs_topic_tell_all(kp_gs *gs, gs_topic *t, gs_ctl_kind kind); /* every open stream */
void kp_gs_topics_fini(kp_gs *gs);

/* ---- mesh.c ---- */
static inline gs_member *gs_member_in_topic(kp_list *n)
{
	return KP_CONTAINER_OF(n, gs_member, in_topic);
}
static inline gs_member *gs_member_in_peer(kp_list *n)
{
	return KP_CONTAINER_OF(n, gs_member, in_peer);
}
void kp_mesh_add(kp_gs *gs, kp_time now, gs_member *m);
void kp_mesh_remove(kp_gs *gs, gs_member *m);
bool kp_mesh_may_graft(const kp_gs *gs, kp_time now, const gs_member *m); /* we, it */
void kp_mesh_graft(kp_gs *gs, kp_time now, gs_member *m);                 /* adds, tells */
void kp_mesh_prune(kp_gs *gs, kp_time now, gs_member *m, kp_time backoff_ns,
                   bool px); /* removes, tells; px: offers others instead */
void kp_mesh_fill(kp_gs *gs, kp_time now, gs_topic *t, unsigned want, bool outbound_only);
void kp_mesh_graft_early(kp_gs *gs, kp_time now, gs_member *m); /* while below D_low */
void kp_mesh_graft_early_all(kp_gs *gs, kp_time now, gs_peer *p);
void kp_mesh_join(kp_gs *gs, kp_time now, gs_topic *t);
void kp_mesh_leave(kp_gs *gs, kp_time now, gs_topic *t, kp_time backoff_ns);
void kp_mesh_on_graft(kp_gs *gs, kp_time now, gs_peer *p, kp_slice topic);
void kp_mesh_on_prune(kp_gs *gs, kp_time now, gs_peer *p, const kp_rpc_item *item);
void kp_mesh_backoff(kp_gs *gs, kp_time now, gs_topic *t, const kp_peer_id *peer, kp_time until);
kp_time kp_mesh_backoff_until(const gs_topic *t, const kp_peer_id *peer); /* 0 = none */
void kp_mesh_backoffs_expire(kp_gs *gs, kp_time now, gs_topic *t);
void kp_mesh_backoffs_clear(kp_gs *gs, gs_topic *t);

/* ---- heartbeat.c ---- */
void kp_gs_heartbeat(kp_timer *t, kp_time now);

/* ---- gossip.c ---- */
void kp_gossip_emit(kp_gs *gs, gs_topic *t);
void kp_gossip_on_ihave(kp_gs *gs, kp_time now, gs_peer *p, const kp_rpc_item *item);
void kp_gossip_on_iwant(kp_gs *gs, kp_time now, gs_peer *p, const kp_rpc_item *item);
void kp_gossip_on_idontwant(kp_gs *gs, kp_time now, gs_peer *p, const kp_rpc_item *item);
void kp_gossip_send_idontwant(kp_gs *gs, const gs_pend *m);
void kp_gossip_settle(kp_gs *gs, uint64_t fp);
void kp_gossip_expire(kp_gs *gs, kp_time now);
bool kp_gossip_unwanted(const gs_peer *p, kp_time now, uint64_t fp);
void kp_gossip_fini(kp_gs *gs);

/* ---- mcache.c ---- */
void kp_mcache_init(kp_gs *gs);
void kp_mcache_put(kp_gs *gs, gs_frame *f); /* takes a count of its own */
gs_frame *kp_mcache_get(const kp_gs *gs, uint64_t fp);
bool kp_mcache_may_answer(kp_gs *gs, gs_frame *f, uint32_t serial); /* counts */
void kp_mcache_shift(kp_gs *gs);
uint32_t kp_mcache_ids(kp_gs *gs, const gs_topic *t); /* into gs->ids: to gossip about */
void kp_mcache_fini(kp_gs *gs);

/* ---- sendq.c ---- */
void kp_sendq_init(gs_sendq *q);
void kp_sendq_clear(kp_gs *gs, gs_peer *p);   /* everything */
void kp_sendq_abandon(kp_gs *gs, gs_peer *p); /* the same, counting the messages as dropped */
void kp_sendq_trim(kp_gs *gs, gs_peer *p);    /* gives memory of past bursts back */
void kp_sendq_restart(kp_gs *gs, gs_peer *p); /* a new stream begins: control away, cur anew */
void kp_sendq_ctl(kp_gs *gs, gs_peer *p, gs_ctl_kind kind, gs_topic *t, uint64_t backoff_s,
                  bool px);
/* Takes a count. False = dropped, counted. */
bool kp_sendq_raw(kp_gs *gs, gs_peer *p, gs_frame *f);
bool kp_sendq_own_room(const kp_gs *gs, const gs_peer *p, uint64_t messages, uint64_t bytes);
bool kp_sendq_own(kp_gs *gs, kp_time now, gs_peer *p, gs_frame *f); /* false = dropped, counted */
bool kp_sendq_forward(kp_gs *gs, gs_peer *p, gs_frame *f);
void kp_sendq_cancel(kp_gs *gs, gs_peer *p, uint64_t fp); /* it has sent us the message itself */
unsigned kp_sendq_pull(kp_gs *gs, kp_time now, gs_peer *p, kp_slice *v, unsigned v_max,
                       size_t n_max);
kp_time kp_gs_peer_progress(const gs_peer *p);

/* ---- rpc_out.c ---- */
gs_frame *kp_gs_build_ctl(kp_gs *gs, gs_peer *p); /* pops; NULL = nothing, or no memory */
typedef enum gs_ids_kind { GS_IDS_IHAVE, GS_IDS_IWANT, GS_IDS_IDONTWANT } gs_ids_kind;
/* The first *n of ids as one control RPC; *n says how many went in. NULL = no memory. */
gs_frame *kp_gs_build_ids(kp_gs *gs, gs_ids_kind kind, kp_slice topic, const kp_slice *ids,
                          size_t *n);

/* ---- rpc_in.c ---- */
kp_err kp_gs_on_rpc(kp_gs *gs, kp_time now, gs_peer *p, kp_ref rpc); /* rpc stays the caller's */

/* ---- author.c ---- */
/* The author with its key, pinned. KP_E_PROTO = key unusable or not that of `from`. */
kp_err kp_gs_author_get(kp_gs *gs, const kp_peer_id *from, kp_slice key, bool need_key,
                        gs_author **out);
void kp_gs_author_unpin(gs_author *a);
void kp_gs_authors_fini(kp_gs *gs);

/* ---- verify.c ---- */
void kp_verify_push(kp_gs *gs, kp_time now, gs_pend *m); /* into its peer's FIFO */
void kp_verify_flush(kp_gs *gs, kp_time now);
void kp_verify_release(kp_gs *gs, kp_time now, gs_peer *p);
bool kp_verify_full(const kp_gs *gs, const gs_peer *p);
size_t kp_verify_job_size(void);

/* ---- accept.c ---- */
void kp_gs_accept(kp_gs *gs, kp_time now, gs_pend *m); /* valid signature; takes m over */
void kp_gs_reject(kp_gs *gs, kp_time now, gs_pend *m); /* invalid or lost; the same */
void kp_gs_deliver_end(kp_gs *gs, kp_time now, gs_pend *m, kp_verdict verdict);
void kp_gs_penalise(kp_gs *gs, const gs_pend *m); /* everybody who sent it: P4 */
kp_event *kp_gs_message_event(kp_gs *gs, kp_time now, kp_event_type type, const gs_pend *m);

/* ---- validate.c ---- */
bool kp_gs_validate(kp_gs *gs, kp_time now, gs_pend *m); /* false = over the cap: ignored */
void kp_gs_validate_expire(kp_timer *t, kp_time now);
void kp_gs_validate_fini(kp_gs *gs);

/* ---- publish.c, hold.c ---- */
void kp_gs_sign_flush(kp_gs *gs, kp_time now);
size_t kp_gs_sign_job_size(void);
void kp_gs_publish_drop_signing(kp_gs *gs);                   /* the oldest: the router is going */
void kp_gs_publish_route(kp_gs *gs, kp_time now, gs_pend *m); /* signed, framed; takes m over */
void kp_gs_publish_fate(kp_gs *gs, gs_pend *m, kp_err code, uint32_t peers); /* frees m */
void kp_gs_fate(kp_gs *gs, kp_pub *pub, kp_slice id, kp_err code, uint32_t peers);
void kp_hold_push(kp_gs *gs, kp_time now, gs_pend *m);
void kp_hold_flush(kp_gs *gs, kp_time now, gs_topic *t); /* its first subscriber is ready */
void kp_hold_flush_peer(kp_gs *gs, kp_time now, gs_peer *p);
void kp_hold_expire(kp_timer *t, kp_time now);
bool kp_hold_cancel(kp_gs *gs, int64_t token); /* false = it is not held */
void kp_hold_end(kp_gs *gs, kp_err code);      /* all of them */

/* ---- direct.c ---- */
void kp_gs_direct_dial(kp_gs *gs, kp_time now);
void kp_gs_direct_fini(kp_gs *gs);

/* ---- router.c ---- */
void kp_gs_flush_soon(kp_gs *gs, kp_time now); /* signatures, at the end of this turn */
bool kp_gs_peer_ready(const gs_peer *p);       /* can be counted on to get what is queued */
bool kp_gs_topic_ready(const gs_topic *t);     /* has such a subscriber */
/* Recipients of an own message (gs_peer), into gs->pick; keeps the fanout going. */
uint32_t kp_gs_recipients(kp_gs *gs, kp_time now, gs_topic *t);
void kp_gs_forward(kp_gs *gs, kp_time now, gs_frame *f, const gs_pend *m);
gs_frame *kp_gs_frame_of(kp_gs *gs, const gs_pend *m); /* of a received message */

/* ---- peer_score.c ---- */
kp_err kp_scores_init(kp_gs *gs, kp_time now); /* KP_E_NOMEM */
void kp_scores_fini(kp_gs *gs);                /* every peer is forgotten */
const kp_score_topic_params *kp_score_params_of(const kp_gs *gs, kp_slice topic);
void kp_score_enter(kp_gs *gs, gs_peer *p); /* connected: finds what was retained */
void kp_score_leave(kp_gs *gs, kp_time now, gs_peer *p);
void kp_score_conn(kp_gs *gs, gs_peer *p, const kp_maddr *remote, bool open);
double kp_gs_score(const kp_gs *gs, const gs_peer *p);
/* Direct peers are above every threshold. */
bool kp_score_below(const kp_gs *gs, const gs_peer *p, double threshold);
void kp_score_mesh(gs_member *m, kp_time now, bool in);
void kp_score_misbehaved(gs_peer *p, double by); /* P7 */
void kp_score_invalid(gs_peer *p, gs_topic *t);  /* P4 */
void kp_score_slow(gs_peer *p);
void kp_score_delivered(gs_peer *p, gs_topic *t, bool first); /* P2, P3 */

/* ---- delivery.c ---- */
void kp_delivery_accepted(kp_gs *gs, kp_time now, const gs_pend *m);
void kp_delivery_again(kp_gs *gs, kp_time now, gs_peer *p, gs_topic *t, uint64_t fp);
void kp_delivery_expire(kp_gs *gs, kp_time now);
void kp_delivery_fini(kp_gs *gs);

/* ---- px.c ---- */
void kp_px_learn(kp_gs *gs, gs_peer *p, kp_slice record);
size_t kp_px_offer(kp_gs *gs, const gs_peer *to, const gs_topic *t, kp_rpc_px *out);
void kp_px_take(kp_gs *gs, kp_time now, gs_peer *from, kp_slice px);

#ifdef __cplusplus
}
#endif
#endif
