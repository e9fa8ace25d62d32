/* Every counter of a node, readable by name in `stats`. Each refusal and each drop has one. Append
 * within your section; the names are public and only ever added. */
#ifndef KP_BASE_STATS_H
#define KP_BASE_STATS_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name): counters that only grow, written on the loop thread alone. */
/* clang-format off */
#define KP_STATS(X)                                                                                \
	/* engine */                                                                               \
	X(bytes_in) X(bytes_out) X(conns_opened) X(conns_closed) X(conns_refused_limit)            \
	X(conns_refused_half_open) X(conns_trimmed) X(conns_idle_closed) X(dials_started)          \
	X(dials_failed) X(dials_backed_off) X(stale_ids) X(memory_refused) X(events_dropped)       \
	X(jobs_run) X(conns_denied) X(dials_denied) X(dials_no_fd)                                 \
	/* conn */                                                                                 \
	X(handshakes_in) X(handshakes_out) X(handshakes_failed) X(handshakes_timed_out)            \
	X(wrong_peer_id) X(mss_errors) X(noise_errors) X(yamux_errors) X(streams_opened)           \
	X(streams_accepted) X(streams_refused) X(streams_unknown_protocol) X(streams_reset)        \
	X(yamux_unknown_stream_frames) X(yamux_odd_frames) X(keepalive_timeouts) X(flood_closes)   \
	X(streams_timed_out) X(rx_stalls) \
	/* gossipsub */                                                                            \
	X(received) X(published) X(dropped) X(delivered) X(duplicates) X(forwarded)                \
	X(rejected_signature) X(rejected_policy) X(rejected_too_big) X(rejected_self)              \
	X(rejected_validation) X(ignored_validation) X(ignored_topic)                              \
	X(validate_timeouts) X(validate_overflows) X(verify_dropped) X(verify_holds)               \
	X(verify_batches) X(sign_batches) X(parked_copies) X(seen_lost) X(mcache_evicted)          \
	X(slow_peer) X(dropped_own) X(dropped_forward) X(dropped_control)                          \
	X(cancelled_forwards) X(control_overflows) X(barriers) X(graft_backoff)                    \
	X(graft_refused) X(graft_ignored) X(ihave_ignored) X(iwant_ignored)                        \
	X(iwant_answered) X(idontwant_sent) X(idontwant_ignored) X(promises_broken)                \
	X(rpc_too_big) X(rpc_malformed) X(rpc_capped) X(rpc_no_memory)                             \
	X(topics_forgotten) X(subscriptions_refused) X(peers_unserved) X(pubsub_reopens)           \
	X(pubsub_replaced) X(pubsub_streams_dead) X(publish_held) X(publish_expired)               \
	X(publish_duplicates) X(publish_no_peers) X(publish_refused) X(seen_evicted)               \
	X(dropped_peer_gone) X(publish_canceled)                                                   \
	X(rpc_graylisted) X(graft_score) X(pruned_score) X(opportunistic_grafts)                   \
	X(gossip_withheld) X(ihave_score) X(iwant_score) X(publish_withheld)                       \
	X(scores_forgotten) X(px_sent) X(px_refused) X(px_invalid) X(px_dialled)                   \
	/* identify, kad, ping */                                                                  \
	X(identify_sent) X(identify_received) X(identify_errors) X(kad_queries) X(kad_requests)    \
	X(kad_answers) X(kad_errors) X(pings_sent) X(pings_answered)                          \
	X(ping_timeouts) X(ping_errors) X(identify_pushes_sent) X(identify_pushes_received)        \
	X(identify_timeouts) X(identify_key_mismatch) X(identify_addrs_dropped)                    \
	X(identify_protocols_dropped) X(identify_memory) X(app_sent) X(app_received)               \
	X(app_refused) X(app_dropped) X(app_oversize) X(app_holds) X(kad_served) X(kad_refused)    \
	X(kad_timeouts) X(kad_table_full) X(kad_table_same_ip) X(kad_table_evicted)                \
	X(kad_table_removed) X(kad_peers_ignored) X(kad_addrs_ignored) X(kad_memory)
/* clang-format on */

typedef enum kp_stat {
#define KP_STAT_ENUM(name) KP_STAT_##name,
	KP_STATS(KP_STAT_ENUM)
#undef KP_STAT_ENUM
	        KP_STAT_COUNT
} kp_stat;

typedef struct kp_stats {
	uint64_t v[KP_STAT_COUNT];
} kp_stats;

static inline void kp_stat_add(kp_stats *s, kp_stat which, uint64_t n)
{
	s->v[which] += n;
}

const char *kp_stat_name(kp_stat which);

#ifdef __cplusplus
}
#endif
#endif
