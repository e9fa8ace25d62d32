/* What a service may ask of the node, and what the node tells its services. Implemented by
 * engine/host.c, and by fakes in tests (link-time). All calls on the loop thread. */
#ifndef KP_SVC_SVC_H
#define KP_SVC_SVC_H

#include "conn/env.h"
#include "conn/stream.h"
#include "svc/event.h"
#include "wire/multiaddr.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_host kp_host; /* the node's engine, or a fake */

const kp_env *kp_host_env(kp_host *h);

/* Opens a stream to a connected peer, on its oldest open connection; ops and svc get the callbacks.
 * KP_E_NOTFOUND not connected, KP_E_LIMIT, KP_E_NOMEM. */
kp_err kp_host_open(kp_host *h, kp_time now, const kp_peer_id *peer, const kp_proto *protos,
                    size_t n, const kp_proto_ops *ops, void *svc, kp_stream **out);

/* Work for a worker thread. run touches nothing but the job; done is called on the loop thread
 * (never from inside kp_host_job). The submitter owns the memory and keeps it until done. The
 * engine is not freed before every job is done. */
typedef struct kp_job {
	struct kp_job *next; /* the host's queue */
	void (*run)(struct kp_job *job);
	void (*done)(struct kp_job *job, kp_time now);
} kp_job;
void kp_host_job(kp_host *h, kp_job *job);

/* Gives an event to the application; takes it over. */
void kp_host_event(kp_host *h, kp_event *ev);

/* Connect to a peer. addrs may be empty: known ones are used. Not connected, not being dialled, and
 * not backed off, else nothing happens. KP_OK = under way or already connected, KP_E_AGAIN = backed
 * off, KP_E_NOTFOUND = no address, KP_E_LIMIT. svc hears of success by on_peer_up and of failure by
 * on_dial_failed. */
kp_err kp_host_dial(kp_host *h, kp_time now, const kp_peer_id *peer, const kp_maddr *addrs,
                    size_t n);

bool kp_host_connected(kp_host *h, const kp_peer_id *peer);
size_t kp_host_conn_count(kp_host *h); /* open connections */

/* The peer's addresses that it told us itself by identify (filtered); returns how many. */
size_t kp_host_peer_addrs(kp_host *h, const kp_peer_id *peer, kp_maddr *out, size_t max);

/* Our own addresses as announced to others (key `announce`, or the bound ones), without /p2p. */
size_t kp_host_own_addrs(kp_host *h, kp_maddr *out, size_t max);

/* Protocol ids we serve now, for identify. Returns how many. */
size_t kp_host_protocols(kp_host *h, const char **out, size_t max);

/* Which ids of a registered ops table are served may change at run time (kad client mode). A change
 * is told to connected peers by identify push. */
void kp_host_set_served(kp_host *h, kp_time now, const kp_proto_ops *ops, const kp_proto *protos,
                        size_t n, void *svc);

/* Reasons to keep a connection from idling out and from being trimmed. */
typedef enum kp_keep {
	KP_KEEP_MESH = 1,
	KP_KEEP_DIRECT = 2,
	KP_KEEP_BOOTNODE = 4,
	KP_KEEP_TAG = 8,
	KP_KEEP_TOPIC = 16 /* the only link to a topic */
} kp_keep;
void kp_host_keep(kp_host *h, const kp_peer_id *peer, kp_keep what, bool on);

/* Ends all connections to a peer, or the one connection. */
void kp_host_disconnect(kp_host *h, kp_time now, const kp_peer_id *peer, kp_why why);
void kp_host_close_conn(kp_host *h, kp_time now, kp_id conn, kp_why why);

/* What is known of a connection when a service hears of it. */
typedef struct kp_conn_info {
	kp_id id;
	kp_peer_id peer;
	kp_maddr remote; /* /ip4/…/tcp/… as the transport saw it */
	bool outbound;
	kp_time opened_at;
} kp_conn_info;

/* What identify learned of a peer (slices die with the call). */
typedef struct kp_identify_info {
	const kp_maddr *addrs; /* filtered listen addresses, without /p2p */
	size_t n_addrs;
	const kp_slice *protocols;
	size_t n_protocols;
	kp_slice agent;
	kp_slice signed_record; /* as sent, not checked; missing = none */
} kp_identify_info;

/* Each member may be NULL. Order for one peer: on_conn_open (first: peer is up) … on_conn_close
 * (last: peer is down; `last` tells). */
typedef struct kp_svc_ops {
	const char *name;
	void (*on_conn_open)(void *svc, kp_time now, const kp_conn_info *info, bool first);
	void (*on_conn_close)(void *svc, kp_time now, const kp_conn_info *info, kp_why why,
	                      bool last);
	void (*on_identified)(void *svc, kp_time now, const kp_peer_id *peer,
	                      const kp_identify_info *info);
	void (*on_dial_failed)(void *svc, kp_time now, const kp_peer_id *peer, kp_err err);
	void (*on_addrs_changed)(void *svc, kp_time now); /* our own addresses or protocols */
	void (*on_stop)(void *svc,
	                kp_time now); /* goodbye has begun: PRUNE, UNSUBSCRIBE, stop timers */
} kp_svc_ops;

#ifdef __cplusplus
}
#endif
#endif
