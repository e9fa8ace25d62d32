/* What the files of this folder share, and nobody else includes: kad.c (service, members,
 * schedule), lookup.c (lookups), client.c (asking one peer), server.c (answering). */
#ifndef KP_SVC_KAD_KAD_IMPL_H
#define KP_SVC_KAD_KAD_IMPL_H

#include "conn/lenframe.h"
#include "svc/kad/kad.h"
#include "svc/kad/query.h"
#include "svc/kad/table.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_KAD_K_MAX           64u /* params.k */
#define KP_KAD_ENTRY_ADDRS_MAX 8u  /* addresses of one peer in a message */
#define KP_KAD_OWN_ADDRS_MAX   20u

/* Space for one call; nothing in it lives longer. */
typedef struct kp_kad_scratch {
	kp_maddr addrs[KP_KAD_NODE_ADDRS_MAX + KP_KAD_OWN_ADDRS_MAX];
	const kp_kad_node *nodes[KP_KAD_K_MAX];
	kp_peer_id found[KP_KAD_K_MAX];
	kp_kad_peer_out out[KP_KAD_K_MAX + 1];
	kp_slice out_addrs[(KP_KAD_K_MAX + 1) * KP_KAD_ENTRY_ADDRS_MAX];
} kp_kad_scratch;

struct kp_kad {
	kp_host *h;
	const kp_env *env;
	kp_kad_params params;
	kp_kad_mode mode;
	kp_kad_key self;
	kp_kad_table table;
	kp_map members;   /* kp_kad_member.in_map: connected peers, by id */
	kp_list contacts; /* kp_kad_contact.node: requests under way */
	kp_list lookups;  /* kp_kad_lookup.node: running */
	kp_list finished; /* the same, waiting for their done */
	kp_list inbound;  /* kp_kad_stream.node */
	uint32_t n_lookups, n_streams;
	uint64_t next_lookup;
	kp_timer flush; /* calls done of what finished inside a call of the engine's */
	kp_timer retry; /* after a local limit */
	kp_timer boot, grow;
	bool stopped, boot_running, boot_again;
	int boot_bucket; /* to be refreshed next */
	kp_time last;    /* latest `now` seen */
	kp_kad_scratch *scratch;
};

/* A connected peer. */
typedef struct kp_kad_member {
	kp_map_node in_map;
	kp_peer_id peer;
	kp_ip_scope scope; /* of its address as we see it */
	kp_kad_group group;
	bool listed;   /* its identify lists our protocol */
	bool answered; /* a FIND_NODE of ours, and has not failed since */
	bool checking; /* a check is under way */
	bool failed;   /* has failed and not answered since: lookups do not start with it */
} kp_kad_member;

typedef struct kp_kad_lookup {
	kp_list node;
	kp_kad *kad;
	uint64_t id;
	kp_kad_query q;
	kp_peer_id target;
	bool stop_at_target;
	bool advancing; /* kp_kad_lookup_advance is on the stack */
	bool ended;
	kp_timer deadline;
	kp_kad_done_fn done; /* NULL: nobody asks */
	void *ctx;
	kp_maddr *target_addrs; /* KP_KAD_QUERY_ADDRS_MAX of them once there is one */
	size_t n_target_addrs;
	kp_err err; /* once ended */
} kp_kad_lookup;

/* One request to one peer: dial if need be, ask, read one answer. */
typedef struct kp_kad_contact {
	kp_list node;
	kp_kad *kad;
	kp_kad_lookup *lookup; /* NULL: a check before the peer may enter the table */
	kp_kad_cand *cand;     /* of the lookup */
	kp_peer_id peer, target;
	kp_stream *s; /* NULL while dialling */
	kp_timer timer;
} kp_kad_contact;

/* Both directions. */
typedef struct kp_kad_stream {
	kp_kad *kad; /* NULL: never begun */
	kp_stream *s;
	kp_lenframe frame;
	kp_ref out; /* what is being written */
	size_t sent;
	kp_kad_contact *contact; /* outbound, until answered or given up */
	/* inbound */
	kp_list node;
	kp_timer idle;
	kp_ref rest; /* read, but behind a request that is still being answered */
	bool fin;
} kp_kad_stream;

static inline void kp_kad_count(kp_kad *kad, kp_stat which, uint64_t n)
{
	kp_stat_add(kad->env->stats, which, n);
}

/* kad.c */
kp_kad_key kp_kad_key_of(kp_kad *kad, kp_slice bytes);
kp_kad_member *kp_kad_member_get(kp_kad *kad, const kp_peer_id *peer); /* NULL = not connected */
void kp_kad_member_answered(kp_kad *kad, kp_time now, const kp_peer_id *peer);
/* The peer could not be dialled or did not answer as it should: it leaves the table. */
void kp_kad_member_failed(kp_kad *kad, const kp_peer_id *peer);
/* Whether an address is of use to, or believable from, somebody at `scope`. */
bool kp_kad_addr_fits(kp_ip_scope scope, const kp_maddr *m);
void kp_kad_flush(kp_kad *kad, kp_time now); /* the last thing an entry point does */

/* lookup.c */
void kp_kad_lookup_advance(kp_kad_lookup *l, kp_time now);
void kp_kad_lookup_answered(kp_kad_lookup *l, kp_time now, kp_kad_cand *c, kp_ip_scope scope,
                            kp_kad_msg *m);
void kp_kad_lookup_failed(kp_kad_lookup *l, kp_time now, kp_kad_cand *c);
void kp_kad_lookup_end(kp_kad_lookup *l, kp_err err);     /* moves it to `finished` */
void kp_kad_lookup_report(kp_kad_lookup *l, kp_time now); /* calls done and frees it */
kp_err kp_kad_lookup_new(kp_kad *kad, kp_time now, const kp_peer_id *target, bool stop_at_target,
                         kp_time timeout_ns, kp_kad_done_fn done, void *ctx, kp_kad_lookup **out);

/* client.c */
/* KP_OK: under way, the lookup hears. KP_E_LIMIT: nothing happened for lack of our own resources.
 * Anything else: the peer cannot be asked. */
kp_err kp_kad_contact_start(kp_kad_lookup *l, kp_time now, kp_kad_cand *c);
void kp_kad_check_start(kp_kad *kad, kp_time now, kp_kad_member *m);
void kp_kad_contact_drop(kp_kad_contact *c); /* told to nobody */
void kp_kad_client_conn_up(kp_kad *kad, kp_time now, const kp_peer_id *peer);
void kp_kad_client_dial_failed(kp_kad *kad, kp_time now, const kp_peer_id *peer, bool blame);
kp_err kp_kad_client_on_data(kp_kad_stream *st, kp_time now, kp_slice in);
void kp_kad_client_on_fin(kp_kad_stream *st, kp_time now);
void kp_kad_client_on_close(kp_kad_stream *st, kp_time now, kp_err why);

/* server.c */
kp_err kp_kad_server_on_open(kp_kad *kad, kp_stream *s, kp_time now);
kp_err kp_kad_server_on_data(kp_kad_stream *st, kp_time now, kp_slice in);
void kp_kad_server_on_fin(kp_kad_stream *st, kp_time now);
void kp_kad_server_next(kp_kad_stream *st, kp_time now); /* the answer is out: on with the rest */
void kp_kad_server_on_close(kp_kad_stream *st);

#ifdef __cplusplus
}
#endif
#endif
