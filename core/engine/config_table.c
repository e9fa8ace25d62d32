/* The table of configuration keys, and the reading and printing of scalar values. */
#include "engine/config_table.h"

#ifndef KP2P_VERSION
#define KP2P_VERSION "0.0.0"
#endif

#define CONFIG_NUMBER_ONE UINT64_C(1000000000) /* fractions are kept in billionths */

#define CONFIG_ACCESS_RANGE                                                                        \
	"a peer id, an IP address, or a network like 10.0.0.0/8 or 2001:db8::/32"

/* X(name, kind, member of struct kp_config, options, range, default, meaning) */
#define CONFIG_KEYS(X)                                                                             \
	X("topic", TOPIC, s.topics, CONFIG_REPEAT, "1..256 bytes", "",                             \
	  "Topic subscribed at start. More later by subscribe.")                                   \
	X("listen", MADDR, s.listen, CONFIG_REPEAT, "/ip4/A/tcp/P, /ip6/A/tcp/P", "",              \
	  "Address to listen on; port 0 lets the system choose. None: the node only dials.")       \
	X("bootstrap", MADDR, s.bootstrap, CONFIG_REPEAT,                                          \
	  "/ip4|ip6|dns|dns4|dns6/…/tcp/P/p2p/ID, /dnsaddr/NAME", "",                              \
	  "Peer to join the network by; dialled again for ever, with back-off, while it is down.") \
	X("announce", MADDR, s.announce, CONFIG_REPEAT, "/ip4|ip6|dns|dns4|dns6/…/tcp/P", "",      \
	  "Address told to other peers instead of the bound ones.")                                \
	X("direct", MADDR, s.direct, CONFIG_REPEAT, "/ip4|ip6|dns|dns4|dns6/…/tcp/P/p2p/ID", "",   \
	  "Peer kept connected and sent every message, outside the mesh.")                         \
	X("allow", ACCESS, s.access.allow, CONFIG_REPEAT, CONFIG_ACCESS_RANGE, "",                 \
	  "If set, peers that no value of this key names or contains are refused.")                \
	X("deny", ACCESS, s.access.deny, CONFIG_REPEAT, CONFIG_ACCESS_RANGE, "",                   \
	  "Peers never dialled nor accepted, also when allow has them.")                           \
	X("identity", IDENTITY, s.identity_seed, 0, "base64 of a PrivateKey protobuf, Ed25519",    \
	  "", "The node's key; without it a new one is made at every start.")                      \
	X("agent", TEXT, s.agent, 0, "1..128 bytes", "karakp2p/" KP2P_VERSION,                     \
	  "Agent version told by identify.")                                                       \
	X("protocol_version", TEXT, s.protocol_version, 0, "0..128 bytes", "ipfs/0.1.0",           \
	  "Protocol version told by identify.")                                                    \
	X("idle_timeout", DURATION, s.idle_timeout_ns, CONFIG_BARE_S | CONFIG_ZERO_NEVER,          \
	  "0..24h", "2m", "A connection unused for this long is closed; 0 = never.")               \
	X("max_message_size", SIZE, s.gs.max_message_size, 0, "1..16MiB", "64KiB",                 \
	  "Largest message, counted as the RPC that carries it.")                                  \
	X("message_id", CHOICE, s.gs.message_id, 0, "karak|source_seqno|sha256", "karak",          \
	  "How message ids are made; all nodes of a network must agree.")                          \
	X("signature", CHOICE, s.gs.signature, 0,                                                  \
	  "strict_sign|strict_no_sign|lax_sign|lax_no_sign", "strict_sign",                        \
	  "Whether messages are signed and must be.")                                              \
	X("publish.hold", DURATION, s.gs.publish_hold_ns, 0, "0..1h", "10s",                       \
	  "How long a message waits for the first subscriber; 0 = refused at once.")               \
	X("publish.hold_bytes", SIZE, s.gs.publish_hold_bytes, CONFIG_CAP, "0..1GiB", "1MiB",      \
	  "Memory of the messages that may wait so.")                                              \
	X("gossipsub.heartbeat", DURATION, s.gs.heartbeat_ns, 0, "10ms..1h", "1s",                 \
	  "Time between two heartbeats.")                                                          \
	X("gossipsub.first_heartbeat", DURATION, s.gs.first_heartbeat_ns, 0, "0..1h", "100ms",     \
	  "Time from start to the first heartbeat.")                                               \
	X("gossipsub.d", COUNT, s.gs.d, 0, "1..128", "6", "Wanted size of a topic's mesh.")        \
	X("gossipsub.d_low", COUNT, s.gs.d_low, 0, "0..128", "2",                                  \
	  "A mesh smaller than this is filled up to d.")                                           \
	X("gossipsub.d_high", COUNT, s.gs.d_high, 0, "1..256", "12",                               \
	  "A mesh larger than this is cut down to d.")                                             \
	X("gossipsub.d_score", COUNT, s.gs.d_score, 0, "0..128", "4",                              \
	  "Best peers always kept when a mesh is cut down.")                                       \
	X("gossipsub.d_out", COUNT, s.gs.d_out, 0, "0..64", "2",                                   \
	  "Mesh peers that we dialled, at least.")                                                 \
	X("gossipsub.d_lazy", COUNT, s.gs.d_lazy, 0, "0..128", "6",                                \
	  "Peers told of new messages by gossip, at least.")                                       \
	X("gossipsub.gossip_factor", NUMBER, s.gs.gossip_factor, 0, "0..1", "0.25",                \
	  "Share of the other peers told of new messages by gossip.")                              \
	X("gossipsub.history_length", COUNT, s.gs.history_length, 0, "1..128", "10",               \
	  "Heartbeats for which messages can be asked back.")                                      \
	X("gossipsub.history_gossip", COUNT, s.gs.history_gossip, 0, "0..128", "3",                \
	  "Heartbeats for which messages are told of.")                                            \
	X("gossipsub.seen_ttl", DURATION, s.gs.seen_ttl_ns, 0, "1s..1h", "1m",                     \
	  "How long a message id is remembered.")                                                  \
	X("gossipsub.fanout_ttl", DURATION, s.gs.fanout_ttl_ns, 0, "1s..1h", "1m",                 \
	  "How long peers of a topic published to, but not subscribed, are kept.")                 \
	X("gossipsub.prune_backoff", DURATION, s.gs.prune_backoff_ns, 0, "1s..1h", "1m",           \
	  "No new graft for this long after a prune.")                                             \
	X("gossipsub.unsubscribe_backoff", DURATION, s.gs.unsubscribe_backoff_ns, 0, "1s..1h",     \
	  "10s", "The same after leaving a topic.")                                                \
	X("gossipsub.flood_publish", SWITCH, s.gs.flood_publish, 0, "true|false", "true",          \
	  "Own messages go to all subscribers known, not only to the mesh.")                       \
	X("gossipsub.max_ihave_ids", COUNT, s.gs.max_ihave_ids, 0, "1..100000", "5000",            \
	  "Message ids taken from one peer by IHAVE in one heartbeat.")                            \
	X("gossipsub.max_ihave_messages", COUNT, s.gs.max_ihave_messages, 0, "1..1000", "10",      \
	  "IHAVEs taken from one peer in one heartbeat.")                                          \
	X("gossipsub.gossip_retransmission", COUNT, s.gs.gossip_retransmission, 0, "1..100", "3",  \
	  "How often a peer may ask for the same message.")                                        \
	X("gossipsub.idontwant_size", SIZE, s.gs.idontwant_size, 0, "0..16MiB", "1000",            \
	  "Messages from this size on are announced by IDONTWANT.")                                \
	X("gossipsub.topics_per_peer", COUNT, s.gs.topics_per_peer_max, 0, "1..100000", "1024",    \
	  "Topics remembered of one peer besides ours.")                                           \
	X("gossipsub.send_own_messages", COUNT, s.gs.send_own_max, 0, "1..1000000", "4096",        \
	  "Own messages that may wait for one peer.")                                              \
	X("gossipsub.send_own_bytes", SIZE, s.gs.send_own_bytes, CONFIG_CAP, "1..4GiB", "4MiB",    \
	  "Memory of the own messages that may wait for one peer.")                                \
	X("gossipsub.send_forward_messages", COUNT, s.gs.send_forward_max, 0, "1..1000000",        \
	  "4096", "Forwarded messages that may wait for one peer.")                                \
	X("gossipsub.send_forward_bytes", SIZE, s.gs.send_forward_bytes, CONFIG_CAP, "1..4GiB",    \
	  "4MiB", "Memory of the forwarded messages that may wait for one peer.")                  \
	X("score", CHOICE, s.gs.score.mode, 0, "off|abuse|full", "abuse",                          \
	  "Peers are scored for nothing, for abuse alone (P4, P5, P7), or for everything.")        \
	X("score.gossip_threshold", NUMBER, s.gs.score.gossip_threshold, 0, "-1000000..0", "-10",  \
	  "Below this score no gossip is told to a peer or taken from it.")                        \
	X("score.publish_threshold", NUMBER, s.gs.score.publish_threshold, 0, "-1000000..0",       \
	  "-50", "Below this, own messages go to a peer by the mesh alone.")                       \
	X("score.graylist_threshold", NUMBER, s.gs.score.graylist_threshold, 0, "-1000000..0",     \
	  "-80", "Below this, nothing but its subscriptions is taken from a peer.")                \
	X("score.accept_px_threshold", NUMBER, s.gs.score.accept_px_threshold, 0, "0..1000000",    \
	  "10", "From this score on a peer may send us to others by PRUNE.")                       \
	X("score.opportunistic_graft_threshold", NUMBER, s.gs.score.opportunistic_graft_threshold, \
	  0, "0..1000000", "1",                                                                    \
	  "A mesh whose median score is below this takes in better peers once a minute.")          \
	X("score.topic_score_cap", NUMBER, s.gs.score.topic_score_cap, 0, "0..1000000", "100",     \
	  "Most that all topics together can be worth; 0 = no limit.")                             \
	X("score.app_weight", NUMBER, s.gs.score.app_weight, 0, "-1000000..1000000", "1",          \
	  "P5: weight of score.app.")                                                              \
	X("score.app", SCORE, s.score_apps, CONFIG_REPEAT, "PEERID -1000000..1000000", "",         \
	  "P5: what a peer is worth by your own word.")                                            \
	X("score.ip_weight", NUMBER, s.gs.score.ip_weight, 0, "-1000000..0", "-5",                 \
	  "P6: weight of the peers over score.ip_threshold on one address, squared.")              \
	X("score.ip_threshold", COUNT, s.gs.score.ip_threshold, 0, "0..100000", "10",              \
	  "P6: peers on one ip4 address, ip6 address or ip6 /64 that cost nothing.")               \
	X("score.ip_private", SWITCH, s.gs.score.ip_private, 0, "true|false", "false",             \
	  "P6: private addresses count too; loopback never does.")                                 \
	X("score.ip_exempt", SCORE, s.score_exempt, CONFIG_REPEAT, "192.0.2.0/24, 2001:db8::/32",  \
	  "", "P6: addresses that do not count.")                                                  \
	X("score.behaviour_weight", NUMBER, s.gs.score.behaviour_weight, 0, "-1000000..0", "-1",   \
	  "P7: weight of broken promises and early GRAFTs over the threshold, squared.")           \
	X("score.behaviour_threshold", NUMBER, s.gs.score.behaviour_threshold, 0, "0..1000000",    \
	  "10", "P7: how many of them cost nothing.")                                              \
	X("score.behaviour_decay", NUMBER, s.gs.score.behaviour_decay, 0, "0..1", "0.98",          \
	  "P7: what is left of them after score.decay_interval.")                                  \
	X("score.promises", CHOICE, s.gs.score.promises, 0, "batch|each", "batch",                 \
	  "P7: of the ids asked for at once, one drawn by chance must come (go), or each (rust).") \
	X("score.slow_weight", NUMBER, s.gs.score.slow_weight, 0, "-1000000..0", "0",              \
	  "Weight of messages dropped because a peer took them too slowly.")                       \
	X("score.slow_threshold", NUMBER, s.gs.score.slow_threshold, 0, "0..1000000", "0",         \
	  "How many of them cost nothing.")                                                        \
	X("score.slow_decay", NUMBER, s.gs.score.slow_decay, 0, "0..1", "0.2",                     \
	  "What is left of them after score.decay_interval.")                                      \
	X("score.decay_interval", DURATION, s.gs.score.decay_interval_ns, 0, "1s..1h", "1s",       \
	  "How often counters decay.")                                                             \
	X("score.decay_to_zero", NUMBER, s.gs.score.decay_to_zero, 0, "0..1", "0.01",              \
	  "A counter below this is 0.")                                                            \
	X("score.retain", DURATION, s.gs.score.retain_ns, 0, "0..24h", "1h",                       \
	  "How long the score of a peer that left is kept, unless it is positive.")                \
	X("score.topic", SCORE, s.score_topics, CONFIG_REPEAT, "NAME FIELD=VALUE…", "",            \
	  "Fields of score.topic.FIELD that differ for one topic.")                                \
	X("score.topic.topic_weight", NUMBER, s.gs.score.topic.topic_weight, 0, "0..1000000", "1", \
	  "What a topic counts in a score.")                                                       \
	X("score.topic.time_in_mesh_weight", NUMBER, s.gs.score.topic.time_in_mesh_weight, 0,      \
	  "0..1000000", "0.01", "P1: weight of the time in the mesh.")                             \
	X("score.topic.time_in_mesh_quantum", DURATION, s.gs.score.topic.time_in_mesh_quantum_ns,  \
	  0, "1ms..24h", "1s", "P1: the unit of that time.")                                       \
	X("score.topic.time_in_mesh_cap", NUMBER, s.gs.score.topic.time_in_mesh_cap, 0,            \
	  "0..1000000", "300", "P1: most units that count.")                                       \
	X("score.topic.first_message_deliveries_weight", NUMBER, s.gs.score.topic.first_weight, 0, \
	  "0..1000000", "1", "P2: weight of messages that a peer was the first to bring.")         \
	X("score.topic.first_message_deliveries_decay", NUMBER, s.gs.score.topic.first_decay, 0,   \
	  "0..1", "0.9", "P2: what is left of them after score.decay_interval.")                   \
	X("score.topic.first_message_deliveries_cap", NUMBER, s.gs.score.topic.first_cap, 0,       \
	  "0..1000000", "40", "P2: most that count.")                                              \
	X("score.topic.mesh_message_deliveries_weight", NUMBER, s.gs.score.topic.mesh_weight, 0,   \
	  "-1000000..0", "0",                                                                      \
	  "P3: weight of messages that a mesh peer should have brought, squared; 0 = off.")        \
	X("score.topic.mesh_message_deliveries_decay", NUMBER, s.gs.score.topic.mesh_decay, 0,     \
	  "0..1", "0.9", "P3: what is left of those it brought after score.decay_interval.")       \
	X("score.topic.mesh_message_deliveries_cap", NUMBER, s.gs.score.topic.mesh_cap, 0,         \
	  "0..1000000", "100", "P3: most that count.")                                             \
	X("score.topic.mesh_message_deliveries_threshold", NUMBER,                                 \
	  s.gs.score.topic.mesh_threshold, 0, "0..1000000", "1",                                   \
	  "P3: how many a mesh peer should have brought.")                                         \
	X("score.topic.mesh_message_deliveries_window", DURATION, s.gs.score.topic.mesh_window_ns, \
	  0, "0..1m", "10ms", "P3: a copy that comes this long after the first still counts.")     \
	X("score.topic.mesh_message_deliveries_activation", DURATION,                              \
	  s.gs.score.topic.mesh_activation_ns, 0, "1s..24h", "30s",                                \
	  "P3: time in the mesh after which it begins.")                                           \
	X("score.topic.mesh_failure_penalty_weight", NUMBER, s.gs.score.topic.failure_weight, 0,   \
	  "-1000000..0", "0", "P3b: weight of what was missing when a peer left the mesh.")        \
	X("score.topic.mesh_failure_penalty_decay", NUMBER, s.gs.score.topic.failure_decay, 0,     \
	  "0..1", "0.9", "P3b: what is left of it after score.decay_interval.")                    \
	X("score.topic.invalid_message_deliveries_weight", NUMBER,                                 \
	  s.gs.score.topic.invalid_weight, 0, "-1000000..0", "-1",                                 \
	  "P4: weight of invalid and rejected messages, squared.")                                 \
	X("score.topic.invalid_message_deliveries_decay", NUMBER, s.gs.score.topic.invalid_decay,  \
	  0, "0..1", "0.9", "P4: what is left of them after score.decay_interval.")                \
	X("gossipsub.opportunistic_graft_ticks", COUNT, s.gs.opportunistic_ticks, 0, "1..3600",    \
	  "60", "Heartbeats between two opportunistic grafts.")                                    \
	X("gossipsub.opportunistic_graft_peers", COUNT, s.gs.opportunistic_peers, 0, "0..128",     \
	  "2", "Peers grafted so at once.")                                                        \
	X("gossipsub.px", SWITCH, s.gs.px_send, 0, "true|false", "false",                          \
	  "Peers pruned from a full mesh are told of others that signed their addresses.")         \
	X("gossipsub.px_peers", COUNT, s.gs.px_peers, 0, "0..64", "16",                            \
	  "Peers told of so, and taken from one PRUNE, at most.")                                  \
	X("validate.timeout", DURATION, s.gs.validate_timeout_ns, 0, "10ms..1h", "10s",            \
	  "A message without a verdict for this long is ignored.")                                 \
	X("validate.max_pending", COUNT, s.gs.validate_max_pending, 0, "1..1000000", "8192",       \
	  "Messages that may wait for a verdict; more are ignored and counted.")                   \
	X("verify.max_messages", COUNT, s.gs.verify_max, 0, "1..1000000", "4096",                  \
	  "Messages of one peer that may wait for their signature check.")                         \
	X("verify.max_bytes", SIZE, s.gs.verify_bytes, CONFIG_CAP, "1..4GiB", "4MiB",              \
	  "Memory of one peer's messages that may wait so; then its stream is not read.")          \
	X("kad.mode", CHOICE, kad_choice, 0, "server|client|off", "server",                        \
	  "Whether the DHT answers others, only asks, or is off.")                                 \
	X("kad.bootstrap_interval", DURATION, s.kad.bootstrap_every_ns, 0, "1s..24h", "5m",        \
	  "Time between two refreshes of the routing table.")                                      \
	X("max_connections", COUNT, s.max_connections, 0, "1..65536", "256",                       \
	  "Open connections; above it they are trimmed.")                                          \
	X("connections.trim_to", COUNT, s.trim_to, 0, "1..65536", "224",                           \
	  "Trimming ends at this number; by default 7/8 of max_connections.")                      \
	X("connections.half_open", COUNT, s.half_open_max, 0, "1..65536", "256",                   \
	  "Inbound connections in their handshake.")                                               \
	X("connections.per_peer", COUNT, s.conns_per_peer_max, 0, "1..64", "4",                    \
	  "Connections to one peer.")                                                              \
	X("dial.timeout", DURATION, s.dial_timeout_ns, 0, "10ms..10m", "15s",                      \
	  "For all addresses of a peer together, name lookups included.")                          \
	X("dial.max", COUNT, s.dials_max, 0, "1..4096", "64",                                      \
	  "Transport dials under way at once.")                                                    \
	X("handshake.timeout", DURATION, s.conn.handshake_ns, 0, "10ms..10m", "10s",               \
	  "From the transport's connection to an open one.")                                       \
	X("keepalive.interval", DURATION, s.conn.keepalive_ns, 0, "100ms..24h", "30s",             \
	  "Time between two pings of a connection.")                                               \
	X("keepalive.timeout", DURATION, s.conn.keepalive_timeout_ns, 0, "10ms..1h", "10s",        \
	  "A connection that does not answer a ping for this long is closed.")                     \
	X("yamux.window_max", SIZE, s.conn.window_max, 0, "256KiB..1GiB", "16MiB",                 \
	  "Limit to which the receive window of a stream grows.")                                  \
	X("memory.max", SIZE, s.memory_max, 0, "8MiB..1024GiB", "256MiB",                          \
	  "Memory of the node, inboxes and outbox not counted.")                                   \
	X("inbox.max_messages", COUNT, s.inbox_max_messages, 0, "1..100000000", "65536",           \
	  "Events that may wait in one inbox.")                                                    \
	X("inbox.max_bytes", SIZE, s.inbox_max_bytes, CONFIG_CAP, "1..1024GiB", "64MiB",           \
	  "Memory of the events that may wait in one inbox.")                                      \
	X("inbox.policy", CHOICE, s.inbox_policy, 0, "drop_old|drop_new|block", "drop_old",        \
	  "Which event is dropped when an inbox is full; block = as drop_new, but direct "         \
	  "messages are not read until it is down to 3/4.")                                        \
	X("inbox.total_bytes", SIZE, s.inbox_total_bytes, CONFIG_CAP, "1..1024GiB", "256MiB",      \
	  "Memory of what may wait in all inboxes together.")                                      \
	X("outbox.max_messages", COUNT, s.outbox_max_messages, 0, "1..100000000", "65536",         \
	  "Own messages that may wait to be sent.")                                                \
	X("outbox.max_bytes", SIZE, s.outbox_max_bytes, CONFIG_CAP, "1..1024GiB", "64MiB",         \
	  "Memory of the own messages that may wait to be sent.")                                  \
	X("requests.max", COUNT, s.requests_max, 0, "1..1000000", "4096",                          \
	  "Requests under way at once.")                                                           \
	X("workers", COUNT, s.workers, 0, "0..64", "0",                                            \
	  "Threads that check signatures; 0 = one less than there are cores, 1 to 4.")             \
	X("events", SET, s.events, 0, "peers|log|stats", "", "Optional events, as a comma list.")  \
	X("log.level", CHOICE, log_choice, 0, "off|error|warn|info|debug", "info",                 \
	  "Least severe level that is logged, where logs are asked for.")                          \
	X("stats.interval", DURATION, s.stats_interval_ns, 0, "0..24h", "10s",                     \
	  "Time between two STATS events, if events names stats; 0 = none.")

#define CONFIG_FIELD(member) ((const struct kp_config *)0)->member

const config_row kp_config_rows[] = {
#define CONFIG_ROW(name, kind, member, opts, range, def, doc)                                      \
	{(name),                                                                                   \
	 (range),                                                                                  \
	 (def),                                                                                    \
	 (doc),                                                                                    \
	 CONFIG_##kind,                                                                            \
	 (opts),                                                                                   \
	 offsetof(struct kp_config, member),                                                       \
	 sizeof(CONFIG_FIELD(member))},
        CONFIG_KEYS(CONFIG_ROW)
#undef CONFIG_ROW
};

const size_t kp_config_rows_n = KP_COUNT_OF(kp_config_rows);
_Static_assert(KP_COUNT_OF(kp_config_rows) <= CONFIG_ROWS_MAX, "given[] holds every row");

const char *kp_config_kind_text(config_kind kind)
{
	static const char *const texts[CONFIG_KINDS] = {
	        "count", "size",  "duration",  "number",   "switch", "choice", "set",
	        "text",  "topic", "multiaddr", "identity", "text",   "line",
	};
	KP_ASSERT((unsigned)kind < CONFIG_KINDS);
	return texts[kind];
}

/* Takes decimal digits off *in; false = none, or more than 64 bits hold. */
static bool config_digits(kp_slice *in, uint64_t *out)
{
	uint64_t v = 0;
	size_t n = 0;
	for (; n < in->n && in->p[n] >= '0' && in->p[n] <= '9'; n++) {
		uint64_t digit = (uint64_t)(in->p[n] - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	kp_slice_take(in, n);
	*out = v;
	return n > 0;
}

typedef struct config_unit {
	const char *name;
	uint64_t factor;
} config_unit;

/* Largest first: printing takes the first that divides. */
static const config_unit config_sizes[] = {
        {"GiB", UINT64_C(1) << 30}, {"MiB", UINT64_C(1) << 20}, {"KiB", 1024}, {"", 1}};
static const config_unit config_times[] = {
        {"h", KP_SEC(3600)}, {"m", KP_SEC(60)}, {"s", KP_SEC(1)}, {"ms", KP_MS(1)}};

static bool config_read_unit(const config_unit *units, size_t n_units, const char *bare,
                             kp_slice value, uint64_t *out)
{
	uint64_t v;
	if (!config_digits(&value, &v))
		return false;
	if (value.n == 0)
		value = kp_slice_str(bare);
	for (size_t i = 0; i < n_units; i++) {
		if (!kp_slice_eq_str(value, units[i].name))
			continue;
		if (v > UINT64_MAX / units[i].factor)
			return false;
		*out = v * units[i].factor;
		return true;
	}
	return false;
}

/* The digits behind the point, as many as there are, rounded to billionths. */
static bool config_read_fraction(kp_slice digits, uint64_t *out)
{
	uint64_t scale = CONFIG_NUMBER_ONE, v = 0;
	for (size_t i = 0; i < digits.n; i++) {
		uint64_t digit = (uint64_t)digits.p[i] - '0';
		if (digit > 9)
			return false;
		v += scale == 1 ? digit / 5 : digit * (scale / 10);
		scale = scale > 1 ? scale / 10 : 0;
	}
	*out = v;
	return digits.n > 0;
}

/* int64_t, so that lo..hi may begin below 0. */
static bool config_read_number(kp_slice value, uint64_t *out)
{
	uint64_t v, part = 0;
	bool negative = value.n > 0 && value.p[0] == '-';
	if (negative)
		kp_slice_take(&value, 1);
	if (!config_digits(&value, &v) || v > UINT32_MAX)
		return false;
	if (value.n > 0 &&
	    (*kp_slice_take(&value, 1).p != '.' || !config_read_fraction(value, &part)))
		return false;
	v = v * CONFIG_NUMBER_ONE + part;
	*out = negative ? (uint64_t) - (int64_t)v : v;
	return true;
}

/* Which of a|b|c the value is. */
static bool config_read_choice(const char *range, kp_slice value, uint64_t *out)
{
	kp_slice rest = kp_slice_str(range);
	for (uint64_t index = 0; rest.n > 0; index++) {
		const uint8_t *bar = (const uint8_t *)memchr(rest.p, '|', rest.n);
		kp_slice word = kp_slice_take(&rest, bar ? (size_t)(bar - rest.p) : rest.n);
		if (bar != NULL)
			kp_slice_take(&rest, 1);
		if (kp_slice_eq(word, value)) {
			*out = index;
			return true;
		}
	}
	return false;
}

static bool config_read_set(const char *range, kp_slice value, uint64_t *out)
{
	uint64_t mask = 0, index;
	while (value.n > 0) {
		const uint8_t *comma = (const uint8_t *)memchr(value.p, ',', value.n);
		kp_slice word = kp_slice_take(&value, comma ? (size_t)(comma - value.p) : value.n);
		if (comma != NULL)
			kp_slice_take(&value, 1);
		while (word.n > 0 && word.p[0] == ' ')
			kp_slice_take(&word, 1);
		while (word.n > 0 && word.p[word.n - 1] == ' ')
			word.n--;
		if (!config_read_choice(range, word, &index))
			return false;
		mask |= UINT64_C(1) << index;
	}
	*out = mask;
	return true;
}

static bool config_read_switch(kp_slice value, uint64_t *out)
{
	return config_read_choice("false|true", value, out) ||
	       config_read_choice("off|on", value, out) ||
	       config_read_choice("no|yes", value, out) || config_read_choice("0|1", value, out);
}

/* Without the range. */
static bool config_read_raw(const config_row *row, kp_slice value, uint64_t *out)
{
	switch (row->kind) {
	case CONFIG_COUNT:
	case CONFIG_TEXT:
		return config_digits(&value, out) && value.n == 0;
	case CONFIG_SIZE:
		return config_read_unit(config_sizes, KP_COUNT_OF(config_sizes), "", value, out);
	case CONFIG_DURATION:
		return config_read_unit(config_times, KP_COUNT_OF(config_times),
		                        row->opts & CONFIG_BARE_S ? "s" : "ms", value, out);
	case CONFIG_NUMBER:
		return config_read_number(value, out);
	case CONFIG_SWITCH:
		return config_read_switch(value, out);
	case CONFIG_CHOICE:
		return config_read_choice(row->range, value, out);
	case CONFIG_SET:
		return config_read_set(row->range, value, out);
	default:
		return false;
	}
}

static bool config_has_bounds(const config_row *row)
{
	return row->kind <= CONFIG_NUMBER || row->kind == CONFIG_TEXT;
}

static bool config_within(const config_row *row, uint64_t v, uint64_t lo, uint64_t hi)
{
	if (row->kind == CONFIG_NUMBER)
		return (int64_t)v >= (int64_t)lo && (int64_t)v <= (int64_t)hi;
	return v >= lo && v <= hi;
}

void kp_config_bounds(const config_row *row, uint64_t *lo, uint64_t *hi)
{
	KP_ASSERT(config_has_bounds(row));
	const char *dots = strstr(row->range, "..");
	KP_ASSERT(dots != NULL);
	const char *end = strchr(dots, ' ');
	size_t hi_n = end ? (size_t)(end - dots - 2) : strlen(dots + 2);
	bool lo_ok = config_read_raw(row, kp_slice_of(row->range, (size_t)(dots - row->range)), lo);
	bool hi_ok = config_read_raw(row, kp_slice_of(dots + 2, hi_n), hi);
	KP_ASSERT(lo_ok && hi_ok && config_within(row, *lo, *lo, *hi));
}

bool kp_config_read(const config_row *row, kp_slice value, uint64_t *out)
{
	uint64_t v, lo, hi;
	KP_ASSERT(row->kind <= CONFIG_SET);
	if (!config_read_raw(row, value, &v))
		return false;
	if (config_has_bounds(row)) {
		kp_config_bounds(row, &lo, &hi);
		if (!config_within(row, v, lo, hi))
			return false;
	}
	*out = v;
	return true;
}

static void config_print_unit(const config_unit *units, size_t n_units, uint64_t v, kp_writer *out)
{
	char digits[24];
	size_t i = 0, n = 0;
	while (i + 1 < n_units && (v == 0 || v % units[i].factor != 0))
		i++;
	uint64_t number = v / units[i].factor;
	do
		digits[n++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (n > 0)
		kp_write_u8(out, (uint8_t)digits[--n]);
	if (v != 0)
		kp_write_str(out, units[i].name);
}

static void config_print_words(const char *range, uint64_t mask, kp_writer *out)
{
	kp_slice rest = kp_slice_str(range);
	bool first = true;
	for (unsigned index = 0; rest.n > 0; index++) {
		const uint8_t *bar = (const uint8_t *)memchr(rest.p, '|', rest.n);
		kp_slice word = kp_slice_take(&rest, bar ? (size_t)(bar - rest.p) : rest.n);
		if (bar != NULL)
			kp_slice_take(&rest, 1);
		if ((mask >> index & 1) == 0)
			continue;
		if (!first)
			kp_write_u8(out, ',');
		first = false;
		kp_write_slice(out, word);
	}
}

static void config_print_number(uint64_t v, kp_writer *out)
{
	static const config_unit one = {"", 1};
	if ((int64_t)v < 0) {
		kp_write_u8(out, '-');
		v = (uint64_t) - (int64_t)v;
	}
	config_print_unit(&one, 1, v / CONFIG_NUMBER_ONE, out);
	uint64_t part = v % CONFIG_NUMBER_ONE;
	if (part == 0)
		return;
	kp_write_u8(out, '.');
	for (uint64_t scale = CONFIG_NUMBER_ONE / 10; part > 0; scale /= 10) {
		kp_write_u8(out, (uint8_t)('0' + part / scale));
		part %= scale;
	}
}

void kp_config_print(const config_row *row, uint64_t value, kp_writer *out)
{
	static const config_unit one = {"", 1};
	switch (row->kind) {
	case CONFIG_COUNT:
		config_print_unit(&one, 1, value, out);
		return;
	case CONFIG_SIZE:
		config_print_unit(config_sizes, KP_COUNT_OF(config_sizes), value, out);
		return;
	case CONFIG_DURATION:
		config_print_unit(config_times, KP_COUNT_OF(config_times), value, out);
		return;
	case CONFIG_NUMBER:
		config_print_number(value, out);
		return;
	case CONFIG_SWITCH:
		kp_write_str(out, value ? "true" : "false");
		return;
	case CONFIG_CHOICE:
		config_print_words(row->range, UINT64_C(1) << value, out);
		return;
	default:
		KP_ASSERT(row->kind == CONFIG_SET);
		config_print_words(row->range, value, out);
		return;
	}
}

void kp_config_store(kp_config *cfg, const config_row *row, uint64_t value)
{
	kp_config_store_at((uint8_t *)cfg + row->offset, row, value);
}

void kp_config_store_at(uint8_t *at, const config_row *row, uint64_t value)
{
	if (row->kind == CONFIG_NUMBER) {
		double d = (double)(int64_t)value / (double)CONFIG_NUMBER_ONE;
		memcpy(at, &d, sizeof d);
		return;
	}
	if (value == 0 && (row->opts & CONFIG_ZERO_NEVER))
		value = KP_NEVER;
	uint32_t narrow = (uint32_t)value;
	bool flag = value != 0;
	switch (row->width) {
	case sizeof value:
		memcpy(at, &value, sizeof value);
		return;
	case sizeof narrow:
		KP_ASSERT(value <= UINT32_MAX);
		memcpy(at, &narrow, sizeof narrow);
		return;
	default:
		KP_ASSERT(row->width == sizeof flag);
		memcpy(at, &flag, sizeof flag);
	}
}

uint64_t kp_config_load(const kp_config *cfg, const config_row *row)
{
	const uint8_t *at = (const uint8_t *)cfg + row->offset;
	uint64_t value = 0;
	uint32_t narrow;
	bool flag;
	double d;
	if (row->kind == CONFIG_NUMBER) {
		memcpy(&d, at, sizeof d);
		return (uint64_t)(int64_t)(d * (double)CONFIG_NUMBER_ONE + (d < 0 ? -0.5 : 0.5));
	}
	switch (row->width) {
	case sizeof value:
		memcpy(&value, at, sizeof value);
		break;
	case sizeof narrow:
		memcpy(&narrow, at, sizeof narrow);
		value = narrow;
		break;
	default:
		KP_ASSERT(row->width == sizeof flag);
		memcpy(&flag, at, sizeof flag);
		value = flag;
	}
	return value == KP_NEVER && (row->opts & CONFIG_ZERO_NEVER) ? 0 : value;
}

void kp_config_expect(const config_row *row, kp_writer *out)
{
	static const char *const forms[CONFIG_KINDS] = {
	        "a whole number, ",
	        "a size in bytes, KiB, MiB or GiB, ",
	        "a duration in ms, s, m or h, ",
	        "a number, ",
	        "",
	        "one of ",
	        "a comma list of ",
	        "a text of ",
	        "a topic of ",
	        "an address like ",
	        "",
	        "",
	        "a line like ",
	};
	kp_write_str(out, forms[row->kind]);
	kp_write_str(out, row->range);
	if (row->kind == CONFIG_DURATION)
		kp_write_str(out, row->opts & CONFIG_BARE_S ? " (a bare number is seconds)"
		                                            : " (a bare number is ms)");
}
