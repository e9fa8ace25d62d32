/* User protocols: direct messages between two peers, length-delimited (uvarint) on a stream that is
 * kept open per peer and protocol. Turns stream ops into events, and sends into streams. */
#ifndef KP_SVC_APP_H
#define KP_SVC_APP_H

#include "svc/svc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_app kp_app;

/* err: KP_OK written to the transport, else why not. Exactly once per kp_app_send that returned
 * KP_OK. */
typedef void (*kp_app_done_fn)(void *ctx, kp_time now, int64_t token, kp_err err);

extern const kp_svc_ops kp_app_svc_ops;

/* max: largest message in and out, in bytes. block: streams may be held (kp_app_hold). */
kp_app *kp_app_new(kp_host *h, uint32_t max, bool block, kp_app_done_fn done, void *ctx);
void kp_app_free(kp_app *a);

/* Serves an id from now on; inbound messages arrive as MESSAGE events with PROTOCOL, in this inbox.
 * KP_E_INVAL not starting with '/', KP_E_DUPLICATE served already, KP_E_LIMIT. */
kp_err kp_app_serve(kp_app *a, kp_time now, kp_slice protocol, uint16_t inbox);

/* With `block`: the inbound streams of every protocol of this inbox are not read while it is held,
 * and their senders get no more credit. They also hold themselves after a burst of events, until
 * the host has looked at the inbox and said so here. */
void kp_app_hold(kp_app *a, kp_time now, uint16_t inbox, bool hold);

/* For the engine's protocol lookup. */
bool kp_app_find(kp_app *a, kp_slice protocol, kp_proto_binding *out);
bool kp_app_protocol_at(const kp_app *a, size_t n, const char **id);

/* False while the queue for this peer and protocol has no room for n bytes and the peer took bytes
 * within the last second: the caller keeps its message and asks again. */
bool kp_app_may_send(kp_app *a, kp_time now, const kp_peer_id *peer, kp_slice protocol, size_t n);

/* data is taken over in every case. KP_E_NOTFOUND not connected, KP_E_LIMIT queue of the peer full,
 * KP_E_TOOBIG. */
kp_err kp_app_send(kp_app *a, kp_time now, const kp_peer_id *peer, kp_slice protocol, kp_ref data,
                   int64_t token);

#ifdef __cplusplus
}
#endif
#endif
