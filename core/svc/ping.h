/* /ipfs/ping/1.0.0: answers always, measures on request. Liveness is yamux's. */
#ifndef KP_SVC_PING_H
#define KP_SVC_PING_H

#include "svc/svc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_ping kp_ping;
typedef void (*kp_ping_done_fn)(void *ctx, kp_time now, kp_err err, kp_time rtt);

extern const kp_proto kp_ping_protos[];
extern const kp_proto_ops kp_ping_proto_ops;
extern const kp_svc_ops kp_ping_svc_ops;

kp_ping *kp_ping_new(kp_host *h);
void kp_ping_free(kp_ping *p);

/* One round trip to a connected peer; done exactly once (KP_E_TIMEDOUT, KP_E_NOTSUP, KP_E_CLOSED,
 * …) unless an error is returned. *request names it for kp_ping_cancel (done(KP_E_CANCELED)
 * follows). */
kp_err kp_ping_start(kp_ping *p, kp_time now, const kp_peer_id *peer, kp_time timeout_ns,
                     kp_ping_done_fn done, void *ctx, uint64_t *request);
void kp_ping_cancel(kp_ping *p, kp_time now, uint64_t request);

#ifdef __cplusplus
}
#endif
#endif
