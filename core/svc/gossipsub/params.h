/* Parameters of the router, with the original KarakP2P's values as defaults. Plain data: the
 * engine's config fills it, tests change it. */
#ifndef KP_SVC_GOSSIPSUB_PARAMS_H
#define KP_SVC_GOSSIPSUB_PARAMS_H

#include "svc/gossipsub/score_params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kp_msgid_fn { KP_MSGID_KARAK, KP_MSGID_SOURCE_SEQNO, KP_MSGID_SHA256 } kp_msgid_fn;
typedef enum kp_sig_policy {
	KP_SIG_STRICT_SIGN,
	KP_SIG_STRICT_NO_SIGN,
	KP_SIG_LAX_SIGN,
	KP_SIG_LAX_NO_SIGN
} kp_sig_policy;

typedef struct kp_gs_params {
	kp_time heartbeat_ns, first_heartbeat_ns;
	unsigned d, d_low, d_high, d_score, d_out, d_lazy;
	double gossip_factor;
	unsigned history_length, history_gossip;
	kp_time seen_ttl_ns, fanout_ttl_ns, prune_backoff_ns, unsubscribe_backoff_ns;
	kp_time graft_flood_ns, iwant_followup_ns, idontwant_ttl_ns;
	unsigned gossip_retransmission, max_ihave_ids, max_ihave_messages;
	unsigned idontwant_size, idontwant_max_ids;
	bool flood_publish;
	kp_msgid_fn message_id;
	kp_sig_policy signature;
	uint32_t max_message_size;
	unsigned topics_own_max, topics_per_peer_max; /* remote-only topics: oldest forgotten */
	kp_time publish_hold_ns;                      /* 0 = refuse with NOPEERS */
	uint64_t publish_hold_bytes;
	unsigned send_own_max, send_forward_max; /* messages */
	uint64_t send_own_bytes, send_forward_bytes;
	unsigned verify_max;        /* messages per peer */
	uint64_t verify_bytes;      /* per peer */
	uint64_t verify_node_bytes; /* over it: drop, counted */
	unsigned verify_inline_max; /* up to this many queued signatures are checked on the loop */
	kp_time validate_timeout_ns;
	unsigned validate_max_pending;
	kp_score_params score;
	unsigned opportunistic_ticks, opportunistic_peers;
	bool px_send;      /* peers are offered in PRUNE */
	unsigned px_peers; /* that many at most, given and taken */
} kp_gs_params;

kp_gs_params kp_gs_params_default(void);

/* NULL, or a static text that says which relation is broken. */
const char *kp_gs_params_check(const kp_gs_params *p);

#ifdef __cplusplus
}
#endif
#endif
