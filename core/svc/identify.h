/* identify and identify push of libp2p: asks every new connection, answers everyone, pushes
 * when our addresses or protocols change. Results go to the engine through kp_identify_sink. */
#ifndef KP_SVC_IDENTIFY_H
#define KP_SVC_IDENTIFY_H

#include "svc/svc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_identify kp_identify;

/* Called once per completed identify or push. The engine keeps agent and addresses and tells the
 * other services (on_identified). observed may be n == 0. */
typedef void (*kp_identify_sink)(void *ctx, kp_time now, const kp_peer_id *peer,
                                 const kp_identify_info *info, const kp_maddr *observed);

extern const kp_proto kp_identify_protos[]; /* /ipfs/id/1.0.0 */
extern const kp_proto_ops kp_identify_proto_ops;
extern const kp_proto kp_identify_push_protos[]; /* /ipfs/id/push/1.0.0 */
extern const kp_proto_ops kp_identify_push_proto_ops;
extern const kp_svc_ops kp_identify_svc_ops;

/* agent and protocol_version are borrowed for the service's life. */
kp_identify *kp_identify_new(kp_host *h, const char *agent, const char *protocol_version,
                             kp_identify_sink sink, void *sink_ctx);
void kp_identify_free(kp_identify *id);

#ifdef __cplusplus
}
#endif
#endif
