/* Defaults and their relations: see params.h. */
#include "svc/gossipsub/gs.h"

kp_gs_params kp_gs_params_default(void)
{
	kp_gs_params p = {
	        .heartbeat_ns = KP_SEC(1),
	        .first_heartbeat_ns = KP_MS(100),
	        .d = 6,
	        .d_low = 2,
	        .d_high = 12,
	        .d_score = 4,
	        .d_out = 2,
	        .d_lazy = 6,
	        .gossip_factor = 0.25,
	        .history_length = 10,
	        .history_gossip = 3,
	        .seen_ttl_ns = KP_SEC(60),
	        .fanout_ttl_ns = KP_SEC(60),
	        .prune_backoff_ns = KP_SEC(60),
	        .unsubscribe_backoff_ns = KP_SEC(10),
	        .graft_flood_ns = KP_SEC(10),
	        .iwant_followup_ns = KP_SEC(3),
	        .idontwant_ttl_ns = KP_SEC(3),
	        .gossip_retransmission = 3,
	        .max_ihave_ids = 5000,
	        .max_ihave_messages = 10,
	        .idontwant_size = 1000,
	        .idontwant_max_ids = 10000,
	        .flood_publish = true,
	        .message_id = KP_MSGID_KARAK,
	        .signature = KP_SIG_STRICT_SIGN,
	        .max_message_size = 65536,
	        .topics_own_max = 1024,
	        .topics_per_peer_max = 1024,
	        .publish_hold_ns = KP_SEC(10),
	        .publish_hold_bytes = 1u << 20,
	        .send_own_max = 4096,
	        .send_forward_max = 4096,
	        .send_own_bytes = 4u << 20,
	        .send_forward_bytes = 4u << 20,
	        .verify_max = 4096,
	        .verify_bytes = 4u << 20,
	        .verify_node_bytes = 64u << 20,
	        .verify_inline_max = 4,
	        .validate_timeout_ns = KP_SEC(10),
	        .validate_max_pending = 8192,
	        .score = kp_score_params_default(),
	        .opportunistic_ticks = 60,
	        .opportunistic_peers = 2,
	        .px_send = false,
	        .px_peers = 16,
	};
	return p;
}

static const char *params_check_mesh(const kp_gs_params *p)
{
	if (p->d_out > p->d_low)
		return "d_out must not be more than d_low";
	if (p->d_low > p->d)
		return "d_low must not be more than d";
	if (p->d > p->d_high)
		return "d must not be more than d_high";
	if (2 * p->d_out > p->d)
		return "d_out must not be more than half of d";
	if (p->d_score > p->d)
		return "d_score must not be more than d";
	if (p->d_high > 1024 || p->d_lazy > 1024)
		return "d_high and d_lazy must not be more than 1024";
	if (!(p->gossip_factor >= 0.0 && p->gossip_factor <= 1.0))
		return "gossip_factor must be from 0 to 1";
	return NULL;
}

static const char *params_check_history(const kp_gs_params *p)
{
	if (p->history_length == 0 || p->history_length > GS_HISTORY_MAX)
		return "history_length must be from 1 to 128";
	if (p->history_gossip > p->history_length)
		return "history_gossip must not be more than history_length";
	if (p->heartbeat_ns == 0 || p->heartbeat_ns > KP_SEC(3600))
		return "heartbeat must be more than 0 and at most one hour";
	if (p->seen_ttl_ns < p->heartbeat_ns)
		return "seen_ttl must not be less than heartbeat";
	return NULL;
}

static const char *params_check_caps(const kp_gs_params *p)
{
	if (p->max_message_size == 0 || p->max_message_size > (64u << 20))
		return "max_message_size must be from 1 byte to 64 MiB";
	if (p->topics_own_max == 0 || p->topics_per_peer_max == 0)
		return "topics must be allowed";
	if (p->send_own_max == 0 || p->send_forward_max == 0)
		return "send queues must hold a message";
	if (p->verify_max == 0 || p->validate_max_pending == 0)
		return "verify and validate queues must hold a message";
	uint64_t need = 2 * (uint64_t)p->max_message_size + 64 * 1024;
	if (p->send_own_bytes < need || p->send_forward_bytes < need || p->verify_bytes < need ||
	    p->verify_node_bytes < need)
		return "byte caps must be at least twice max_message_size and 64 KiB";
	if (p->publish_hold_ns != 0 && p->publish_hold_bytes < need)
		return "publish.hold_bytes must be at least twice max_message_size and 64 KiB";
	if (p->signature == KP_SIG_STRICT_NO_SIGN && p->message_id == KP_MSGID_SOURCE_SEQNO)
		return "strict_no_sign messages have no source and seqno to make an id of";
	if (p->opportunistic_ticks == 0)
		return "opportunistic_ticks must be 1 at least";
	if (p->px_peers > GS_PX_MAX)
		return "px_peers must not be more than 64";
	return NULL;
}

const char *kp_gs_params_check(const kp_gs_params *p)
{
	const char *broken = params_check_mesh(p);
	if (broken == NULL)
		broken = params_check_history(p);
	if (broken == NULL)
		broken = params_check_caps(p);
	if (broken == NULL)
		broken = kp_score_params_check(&p->score);
	return broken;
}
