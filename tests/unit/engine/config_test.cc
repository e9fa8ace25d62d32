/* The configuration: every key with good and bad values, the words of its errors, relations. */
#include <gtest/gtest.h>

#include "engine/net.h"

namespace
{

const std::string peer = net::identity_peer(3);

struct Config {
	kp_config *c = kp_config_new();
	std::string text;

	~Config()
	{
		kp_config_free(c);
	}
	kp_err set(const std::string &key, const std::string &value)
	{
		char t[300] = "";
		kp_err err = kp_config_set(c, net::str(key), net::str(value), t, sizeof t);
		text = t;
		return err;
	}
	kp_err check()
	{
		char t[300] = "";
		kp_err err = kp_config_check(c, t, sizeof t);
		text = t;
		return err;
	}
	const kp_settings *s() const
	{
		return kp_config_settings(c);
	}
};

size_t row_of(const std::string &name)
{
	kp_config_key k;
	for (size_t i = 0; kp_config_key_at(i, &k); i++)
		if (name == k.name)
			return i;
	ADD_FAILURE() << name;
	return 0;
}

std::string get(const kp_config *c, const std::string &name, size_t n = 0)
{
	char text[1200];
	kp_writer w = kp_writer_of(text, sizeof text);
	EXPECT_TRUE(kp_config_get(c, row_of(name), n, &w));
	return std::string(text, w.n);
}

} // namespace

TEST(config, defaults_are_those_of_the_documents)
{
	Config c;
	const kp_settings *s = c.s();
	EXPECT_EQ(c.check(), KP_OK) << c.text;
	EXPECT_EQ(s->idle_timeout_ns, KP_SEC(120));
	EXPECT_EQ(s->gs.max_message_size, 65536u);
	EXPECT_EQ(s->gs.heartbeat_ns, KP_SEC(1));
	EXPECT_EQ(s->gs.first_heartbeat_ns, KP_MS(100));
	EXPECT_EQ(s->gs.d, 6u);
	EXPECT_EQ(s->gs.d_low, 2u);
	EXPECT_EQ(s->gs.d_high, 12u);
	EXPECT_EQ(s->gs.d_out, 2u);
	EXPECT_DOUBLE_EQ(s->gs.gossip_factor, 0.25);
	EXPECT_EQ(s->gs.history_length, 10u);
	EXPECT_EQ(s->gs.history_gossip, 3u);
	EXPECT_TRUE(s->gs.flood_publish);
	EXPECT_EQ(s->gs.message_id, KP_MSGID_KARAK);
	EXPECT_EQ(s->gs.signature, KP_SIG_STRICT_SIGN);
	EXPECT_EQ(s->gs.publish_hold_ns, KP_SEC(10));
	EXPECT_EQ(s->gs.publish_hold_bytes, 1u << 20);
	EXPECT_EQ(s->gs.send_own_max, 4096u);
	EXPECT_EQ(s->gs.send_own_bytes, 4u << 20);
	EXPECT_EQ(s->gs.verify_max, 4096u);
	EXPECT_EQ(s->gs.validate_max_pending, 8192u);
	EXPECT_FALSE(s->kad_off);
	EXPECT_EQ(s->kad.mode, KP_KAD_SERVER);
	EXPECT_EQ(s->max_connections, 256u);
	EXPECT_EQ(s->trim_to, 224u);
	EXPECT_EQ(s->half_open_max, 256u);
	EXPECT_EQ(s->conns_per_peer_max, 4u);
	EXPECT_EQ(s->dial_timeout_ns, KP_SEC(15));
	EXPECT_EQ(s->conn.handshake_ns, KP_SEC(10));
	EXPECT_EQ(s->conn.keepalive_ns, KP_SEC(30));
	EXPECT_EQ(s->conn.keepalive_timeout_ns, KP_SEC(10));
	EXPECT_EQ(s->memory_max, 256u << 20);
	EXPECT_EQ(s->inbox_max_messages, 65536u);
	EXPECT_EQ(s->inbox_max_bytes, 64u << 20);
	EXPECT_EQ(s->inbox_total_bytes, 256u << 20);
	EXPECT_EQ(s->outbox_max_messages, 65536u);
	EXPECT_EQ(s->outbox_max_bytes, 64u << 20);
	EXPECT_EQ(s->inbox_policy, KP_INBOX_DROP_OLD);
	EXPECT_EQ(s->events, 0u);
	EXPECT_EQ(s->workers, 0u);
	EXPECT_FALSE(s->has_identity);
	EXPECT_EQ(std::string(s->agent).find("karakp2p/"), 0u);
}

/* What the table sets and what the services' own defaults are must not drift apart. */
TEST(config, the_table_agrees_with_the_services)
{
	Config c;
	kp_gs_params gs = kp_gs_params_default();
	const kp_gs_params *t = &c.s()->gs;
#define SAME(member) EXPECT_EQ(t->member, gs.member) << #member
	SAME(heartbeat_ns);
	SAME(first_heartbeat_ns);
	SAME(d);
	SAME(d_low);
	SAME(d_high);
	SAME(d_score);
	SAME(d_out);
	SAME(d_lazy);
	SAME(gossip_factor);
	SAME(history_length);
	SAME(history_gossip);
	SAME(seen_ttl_ns);
	SAME(fanout_ttl_ns);
	SAME(prune_backoff_ns);
	SAME(unsubscribe_backoff_ns);
	SAME(gossip_retransmission);
	SAME(max_ihave_ids);
	SAME(max_ihave_messages);
	SAME(idontwant_size);
	SAME(flood_publish);
	SAME(message_id);
	SAME(signature);
	SAME(max_message_size);
	SAME(topics_per_peer_max);
	SAME(publish_hold_ns);
	SAME(publish_hold_bytes);
	SAME(send_own_max);
	SAME(send_forward_max);
	SAME(send_own_bytes);
	SAME(send_forward_bytes);
	SAME(verify_max);
	SAME(verify_bytes);
	SAME(verify_node_bytes);
	SAME(validate_timeout_ns);
	SAME(validate_max_pending);
	SAME(opportunistic_ticks);
	SAME(opportunistic_peers);
	SAME(px_send);
	SAME(px_peers);
	SAME(score.mode);
	SAME(score.gossip_threshold);
	SAME(score.publish_threshold);
	SAME(score.graylist_threshold);
	SAME(score.accept_px_threshold);
	SAME(score.opportunistic_graft_threshold);
	SAME(score.topic_score_cap);
	SAME(score.app_weight);
	SAME(score.ip_weight);
	SAME(score.ip_threshold);
	SAME(score.ip_private);
	SAME(score.behaviour_weight);
	SAME(score.behaviour_threshold);
	SAME(score.behaviour_decay);
	SAME(score.slow_weight);
	SAME(score.slow_threshold);
	SAME(score.slow_decay);
	SAME(score.decay_interval_ns);
	SAME(score.retain_ns);
	SAME(score.decay_to_zero);
	SAME(score.promises);
	SAME(score.topic.topic_weight);
	SAME(score.topic.time_in_mesh_weight);
	SAME(score.topic.time_in_mesh_cap);
	SAME(score.topic.time_in_mesh_quantum_ns);
	SAME(score.topic.first_weight);
	SAME(score.topic.first_decay);
	SAME(score.topic.first_cap);
	SAME(score.topic.mesh_weight);
	SAME(score.topic.mesh_decay);
	SAME(score.topic.mesh_cap);
	SAME(score.topic.mesh_threshold);
	SAME(score.topic.mesh_window_ns);
	SAME(score.topic.mesh_activation_ns);
	SAME(score.topic.failure_weight);
	SAME(score.topic.failure_decay);
	SAME(score.topic.invalid_weight);
	SAME(score.topic.invalid_decay);
#undef SAME
	kp_conn_params conn = kp_conn_params_default();
	EXPECT_EQ(c.s()->conn.handshake_ns, conn.handshake_ns);
	EXPECT_EQ(c.s()->conn.keepalive_ns, conn.keepalive_ns);
	EXPECT_EQ(c.s()->conn.keepalive_timeout_ns, conn.keepalive_timeout_ns);
	EXPECT_EQ(c.s()->conn.window_max, conn.window_max);
	kp_kad_params kad = kp_kad_params_default();
	EXPECT_EQ(c.s()->kad.bootstrap_every_ns, kad.bootstrap_every_ns);
}

/* For every key: a good value and what is read back, and bad values with what the error must say.
 */
TEST(config, every_key)
{
	struct Case {
		const char *key, *good, *back;
		std::vector<const char *> bad;
		const char *says;
	};
	const std::string p2p = "/ip4/1.2.3.4/tcp/5/p2p/" + peer;
	const std::string key = net::identity_text(3);
	const std::string app = peer + " -12.5";
	const std::vector<Case> cases = {
	        {"topic", "news", "news", {"", "\xff"}, "1..256 bytes"},
	        {"listen",
	         "/ip6/::/tcp/0",
	         "/ip6/::/tcp/0",
	         {"/ip4/1.2.3.4/udp/5", "/dns4/x/tcp/1", "tcp://1.2.3.4", "/ip4/1.2.3.4/tcp/99999",
	          p2p.c_str()},
	         "/"},
	        {"bootstrap",
	         p2p.c_str(),
	         p2p.c_str(),
	         {"/ip4/1.2.3.4/tcp/5", "/ip4/1.2.3.4/udp/5", "nonsense"},
	         ""},
	        {"announce",
	         "/dns4/h.example/tcp/5",
	         "/dns4/h.example/tcp/5",
	         {"/dnsaddr/h.example", "/ip4/1.2.3.4/tcp/0"},
	         "give an ip or dns address"},
	        {"direct",
	         p2p.c_str(),
	         p2p.c_str(),
	         {"/ip4/1.2.3.4/tcp/5", "/dnsaddr/x"},
	         "has no /p2p/PEERID"},
	        {"allow",
	         "10.1.2.3/8",
	         "10.0.0.0/8",
	         {"", "localhost", "10.0.0.0/33"},
	         "a peer id, an"},
	        {"deny", peer.c_str(), peer.c_str(), {"12D3KooW", "::/129"}, "2001:db8::/32"},
	        {"identity", key.c_str(), "set", {"", "abc", "AAAA"}, "base64"},
	        {"agent", "mine/1", "mine/1", {""}, "1..128 bytes"},
	        {"protocol_version", "", "", {"\xff"}, "0..128 bytes"},
	        {"idle_timeout", "90", "90s", {"-1", "2x", "25h", "1.5"}, "seconds"},
	        {"max_message_size", "4MiB", "4MiB", {"0", "17MiB", "4MB", "x"}, "1..16MiB"},
	        {"message_id", "sha256", "sha256", {"md5", ""}, "karak|source_seqno|sha256"},
	        {"signature", "lax_sign", "lax_sign", {"strict", "STRICT_SIGN"}, "strict_sign|"},
	        {"publish.hold", "0", "0", {"2h", "ten"}, "0..1h"},
	        {"publish.hold_bytes", "2MiB", "2MiB", {"2GiB"}, "0..1GiB"},
	        {"gossipsub.heartbeat", "700ms", "700ms", {"1ms", "2h"}, "10ms..1h"},
	        {"gossipsub.first_heartbeat", "5s", "5s", {"2h"}, "bare number is ms"},
	        {"gossipsub.d", "8", "8", {"0", "129", "six", "6 "}, "1..128"},
	        {"gossipsub.d_low", "3", "3", {"129"}, "0..128"},
	        {"gossipsub.d_high", "20", "20", {"0"}, "1..256"},
	        {"gossipsub.d_score", "3", "3", {"129"}, "0..128"},
	        {"gossipsub.d_out", "1", "1", {"65"}, "0..64"},
	        {"gossipsub.d_lazy", "9", "9", {"-1"}, "0..128"},
	        {"gossipsub.gossip_factor",
	         "0.5",
	         "0.5",
	         {"1.1", ".5", "0.", "0.1234567x", "1e-1", "0.5.", "-0.1"},
	         "0..1"},
	        {"gossipsub.history_length", "12", "12", {"0"}, "1..128"},
	        {"gossipsub.history_gossip", "4", "4", {"x"}, "0..128"},
	        {"gossipsub.seen_ttl", "2m", "2m", {"0"}, "1s..1h"},
	        {"gossipsub.fanout_ttl", "30s", "30s", {"0"}, "1s..1h"},
	        {"gossipsub.prune_backoff", "30s", "30s", {"0"}, "1s..1h"},
	        {"gossipsub.unsubscribe_backoff", "30s", "30s", {"0"}, "1s..1h"},
	        {"gossipsub.flood_publish", "off", "false", {"maybe"}, "true|false"},
	        {"gossipsub.max_ihave_ids", "100", "100", {"0"}, "1..100000"},
	        {"gossipsub.max_ihave_messages", "5", "5", {"0"}, "1..1000"},
	        {"gossipsub.gossip_retransmission", "2", "2", {"0"}, "1..100"},
	        {"gossipsub.idontwant_size", "2KiB", "2KiB", {"1GiB"}, "0..16MiB"},
	        {"gossipsub.topics_per_peer", "10", "10", {"0"}, "1..100000"},
	        {"gossipsub.send_own_messages", "10", "10", {"0"}, "1..1000000"},
	        {"gossipsub.send_own_bytes", "5MiB", "5MiB", {"5GiB"}, "1..4GiB"},
	        {"gossipsub.send_forward_messages", "10", "10", {"0"}, "1..1000000"},
	        {"gossipsub.send_forward_bytes", "5MiB", "5MiB", {"0"}, "1..4GiB"},
	        {"score", "full", "full", {"on", ""}, "off|abuse|full"},
	        {"score.gossip_threshold",
	         "-1.25",
	         "-1.25",
	         {"0.1", "--1", "-1000001", "1"},
	         "-1000000..0"},
	        {"score.publish_threshold",
	         "-20",
	         "-20",
	         {"0.1", "--1", "-1000001", "1"},
	         "-1000000..0"},
	        {"score.graylist_threshold",
	         "-120.5",
	         "-120.5",
	         {"0.1", "--1", "-1000001", "1"},
	         "-1000000..0"},
	        {"score.accept_px_threshold", "12.5", "12.5", {"-1", "1000001", ""}, "0..1000000"},
	        {"score.opportunistic_graft_threshold",
	         "12.5",
	         "12.5",
	         {"-1", "1000001", ""},
	         "0..1000000"},
	        {"score.topic_score_cap", "12.5", "12.5", {"-1", "1000001", ""}, "0..1000000"},
	        {"score.app_weight",
	         "-12.5",
	         "-12.5",
	         {"1000001", "-", "1e3"},
	         "-1000000..1000000"},
	        {"score.ip_weight",
	         "-12.5",
	         "-12.5",
	         {"0.1", "--1", "-1000001", "1"},
	         "-1000000..0"},
	        {"score.ip_threshold", "3", "3", {"-1", "x"}, "0..100000"},
	        {"score.ip_private", "on", "true", {"maybe"}, "true|false"},
	        {"score.behaviour_weight",
	         "-12.5",
	         "-12.5",
	         {"0.1", "--1", "-1000001", "1"},
	         "-1000000..0"},
	        {"score.behaviour_threshold", "12.5", "12.5", {"-1", "1000001", ""}, "0..1000000"},
	        /* as published sets have it */
	        {"score.behaviour_decay",
	         "0.9997119577953764",
	         "0.999711958",
	         {"1.5", "x", "-0.1"},
	         "0..1"},
	        {"score.promises", "each", "each", {"on", ""}, "batch|each"},
	        {"score.slow_weight",
	         "-12.5",
	         "-12.5",
	         {"0.1", "--1", "-1000001", "1"},
	         "-1000000..0"},
	        {"score.slow_threshold", "12.5", "12.5", {"-1", "1000001", ""}, "0..1000000"},
	        {"score.slow_decay", "0.25", "0.25", {"1.5", "x", "-0.1"}, "0..1"},
	        {"score.decay_interval", "2s", "2s", {"-1s", "25h", "x"}, "1s..1h"},
	        {"score.decay_to_zero", "0.25", "0.25", {"1.5", "x", "-0.1"}, "0..1"},
	        {"score.retain", "2s", "2s", {"-1s", "25h", "x"}, "0..24h"},
	        {"score.topic.topic_weight", "12.5", "12.5", {"-1", "1000001", ""}, "0..1000000"},
	        {"score.topic.time_in_mesh_weight",
	         "12.5",
	         "12.5",
	         {"-1", "1000001", ""},
	         "0..1000000"},
	        {"score.topic.time_in_mesh_quantum", "2s", "2s", {"-1s", "25h", "x"}, "1ms..24h"},
	        {"score.topic.time_in_mesh_cap",
	         "12.5",
	         "12.5",
	         {"-1", "1000001", ""},
	         "0..1000000"},
	        {"score.topic.first_message_deliveries_weight",
	         "12.5",
	         "12.5",
	         {"-1", "1000001", ""},
	         "0..1000000"},
	        {"score.topic.first_message_deliveries_decay",
	         "0.25",
	         "0.25",
	         {"1.5", "x", "-0.1"},
	         "0..1"},
	        {"score.topic.first_message_deliveries_cap",
	         "12.5",
	         "12.5",
	         {"-1", "1000001", ""},
	         "0..1000000"},
	        {"score.topic.mesh_message_deliveries_weight",
	         "-12.5",
	         "-12.5",
	         {"0.1", "--1", "-1000001", "1"},
	         "-1000000..0"},
	        {"score.topic.mesh_message_deliveries_decay",
	         "0.25",
	         "0.25",
	         {"1.5", "x", "-0.1"},
	         "0..1"},
	        {"score.topic.mesh_message_deliveries_cap",
	         "12.5",
	         "12.5",
	         {"-1", "1000001", ""},
	         "0..1000000"},
	        {"score.topic.mesh_message_deliveries_threshold",
	         "12.5",
	         "12.5",
	         {"-1", "1000001", ""},
	         "0..1000000"},
	        {"score.topic.mesh_message_deliveries_window",
	         "20ms",
	         "20ms",
	         {"-1s", "25h", "x"},
	         "0..1m"},
	        {"score.topic.mesh_message_deliveries_activation",
	         "2s",
	         "2s",
	         {"-1s", "25h", "x"},
	         "1s..24h"},
	        {"score.topic.mesh_failure_penalty_weight",
	         "-12.5",
	         "-12.5",
	         {"0.1", "--1", "-1000001", "1"},
	         "-1000000..0"},
	        {"score.topic.mesh_failure_penalty_decay",
	         "0.25",
	         "0.25",
	         {"1.5", "x", "-0.1"},
	         "0..1"},
	        {"score.topic.invalid_message_deliveries_weight",
	         "-12.5",
	         "-12.5",
	         {"0.1", "--1", "-1000001", "1"},
	         "-1000000..0"},
	        {"score.topic.invalid_message_deliveries_decay",
	         "0.25",
	         "0.25",
	         {"1.5", "x", "-0.1"},
	         "0..1"},
	        {"gossipsub.opportunistic_graft_ticks", "3", "3", {"-1", "x"}, "1..3600"},
	        {"gossipsub.opportunistic_graft_peers", "3", "3", {"-1", "x"}, "0..128"},
	        {"gossipsub.px", "on", "true", {"maybe"}, "true|false"},
	        {"gossipsub.px_peers", "3", "3", {"-1", "x"}, "0..64"},
	        {"score.topic",
	         "news topic_weight=0.5 time_in_mesh_quantum=12s",
	         "news topic_weight=0.5 time_in_mesh_quantum=12s",
	         {"", "news", "news weight=1", "news topic_weight=-1", "news topic_weight"},
	         "NAME FIELD=VALUE"},
	        {"score.app",
	         app.c_str(),
	         app.c_str(),
	         {"", "12D3 5", "5", peer.c_str()},
	         "PEERID"},
	        {"score.ip_exempt",
	         "10.0.0.0/8",
	         "10.0.0.0/8",
	         {"10.0.0.0/33", "::/129", "x/8", "10.0.0.0/", ""},
	         "192.0.2.0/24"},
	        {"validate.timeout", "3s", "3s", {"1ms"}, "10ms..1h"},
	        {"validate.max_pending", "7", "7", {"0"}, "1..1000000"},
	        {"verify.max_messages", "10", "10", {"0"}, "1..1000000"},
	        {"verify.max_bytes", "5MiB", "5MiB", {"0"}, "1..4GiB"},
	        {"kad.mode", "client", "client", {"auto"}, "server|client|off"},
	        {"kad.bootstrap_interval", "1h", "1h", {"0"}, "1s..24h"},
	        {"max_connections", "64", "64", {"0", "65537"}, "1..65536"},
	        {"connections.trim_to", "50", "50", {"0"}, "1..65536"},
	        {"connections.half_open", "32", "32", {"0"}, "1..65536"},
	        {"connections.per_peer", "2", "2", {"0", "65"}, "1..64"},
	        {"dial.timeout", "9s", "9s", {"0"}, "10ms..10m"},
	        {"dial.max", "9", "9", {"0"}, "1..4096"},
	        {"handshake.timeout", "9s", "9s", {"0"}, "10ms..10m"},
	        {"keepalive.interval", "9s", "9s", {"0"}, "100ms..24h"},
	        {"keepalive.timeout", "9s", "9s", {"0"}, "10ms..1h"},
	        {"yamux.window_max", "1MiB", "1MiB", {"1KiB"}, "256KiB..1GiB"},
	        {"memory.max", "64MiB", "64MiB", {"1MiB"}, "8MiB..1024GiB"},
	        {"inbox.max_messages", "9", "9", {"0"}, "1..100000000"},
	        {"inbox.max_bytes", "9MiB", "9MiB", {"0"}, "1..1024GiB"},
	        {"inbox.policy", "block", "block", {"drop", "BLOCK"}, "drop_old|drop_new|block"},
	        {"inbox.total_bytes", "90MiB", "90MiB", {"0"}, "1..1024GiB"},
	        {"outbox.max_messages", "9", "9", {"0"}, "1..100000000"},
	        {"outbox.max_bytes", "9MiB", "9MiB", {"0"}, "1..1024GiB"},
	        {"requests.max", "9", "9", {"0"}, "1..1000000"},
	        {"workers", "3", "3", {"65"}, "0..64"},
	        {"events",
	         "stats, peers",
	         "peers,stats",
	         {"peers,nothing", ","},
	         "peers|log|stats"},
	        {"log.level", "debug", "debug", {"verbose"}, "off|error|warn|info|debug"},
	        {"stats.interval", "1m", "1m", {"25h"}, "0..24h"},
	};
	std::set<std::string> seen;
	for (auto &k : cases) {
		Config c;
		seen.insert(k.key);
		ASSERT_EQ(c.set(k.key, k.good), KP_OK) << c.text;
		EXPECT_EQ(get(c.c, k.key), k.back) << k.key;
		EXPECT_EQ(c.check(), KP_OK) << c.text;
		if (std::string(k.key) != "identity") { /* what is printed is read back */
			Config again;
			ASSERT_EQ(again.set(k.key, k.back), KP_OK) << again.text;
			EXPECT_EQ(get(again.c, k.key), k.back);
		}
		for (auto bad : k.bad) {
			Config d;
			EXPECT_EQ(d.set(k.key, bad), KP_E_INVAL) << k.key << " = " << bad;
			EXPECT_EQ(d.text.find(k.key), 0u) << d.text;
			EXPECT_NE(d.text.find(k.says), std::string::npos) << d.text;
			if (std::string(k.key) != "identity") {
				EXPECT_NE(d.text.find(std::string("\"") + bad + "\""),
				          std::string::npos)
				        << d.text;
			}
		}
	}
	kp_config_key k;
	size_t n = 0;
	for (; kp_config_key_at(n, &k); n++) {
		EXPECT_EQ(seen.count(k.name), 1u) << k.name << " is not tested";
		EXPECT_NE(std::string(k.doc), "");
		EXPECT_NE(std::string(k.range), "");
		EXPECT_NE(std::string(k.type), "");
	}
	EXPECT_EQ(seen.size(), n);
}

TEST(config, unknown_keys_suggest_the_nearest)
{
	Config c;
	const char *const pairs[][2] = {{"topics", "topic"},
	                                {"gossipsub.dlow", "gossipsub.d_low"},
	                                {"inbox_max_messages", "inbox.max_messages"},
	                                {"bootstap", "bootstrap"},
	                                {"connections.max", "connections."},
	                                {"heartbeat", "gossipsub.heartbeat"},
	                                {"idletimeout", "idle_timeout"},
	                                {"kad", "kad.mode"}};
	for (auto &p : pairs) {
		EXPECT_EQ(c.set(p[0], "1"), KP_E_INVAL);
		EXPECT_EQ(c.text.find(std::string(p[0]) + ": unknown key; did you mean "), 0u)
		        << c.text;
		EXPECT_NE(c.text.find(p[1]), std::string::npos) << c.text;
	}
	EXPECT_EQ(c.set(std::string(5000, 'x'), "1"), KP_E_INVAL);
	EXPECT_EQ(c.set("", "1"), KP_E_INVAL);
}

TEST(config, bootstrap_without_a_peer_id)
{
	Config c;
	EXPECT_EQ(c.set("bootstrap", "/ip4/1.2.3.4/tcp/5"), KP_E_INVAL);
	EXPECT_NE(c.text.find("/ip4/1.2.3.4/tcp/5"), std::string::npos);
	EXPECT_NE(c.text.find("only /dnsaddr addresses may lack it"), std::string::npos) << c.text;
	EXPECT_EQ(c.set("bootstrap", "/dnsaddr/boot.example"), KP_OK);
	EXPECT_EQ(c.set("bootstrap", "/dns4/boot.example/tcp/5/p2p/" + peer), KP_OK);
	EXPECT_EQ(c.set("bootstrap", "/dns4/boot.example/tcp/5/p2p/" + peer), KP_OK); /* once */
	EXPECT_EQ(c.s()->n_bootstrap, 2u);
	EXPECT_EQ(get(c.c, "bootstrap", 1), "/dns4/boot.example/tcp/5/p2p/" + peer);
	EXPECT_EQ(c.set("announce", "/ip4/9.9.9.9/tcp/5/p2p/" + peer), KP_OK);
	EXPECT_EQ(get(c.c, "announce"), "/ip4/9.9.9.9/tcp/5");
}

TEST(config, units)
{
	Config c;
	c.set("idle_timeout", "0");
	EXPECT_EQ(c.s()->idle_timeout_ns, KP_NEVER);
	EXPECT_EQ(get(c.c, "idle_timeout"), "0");
	c.set("idle_timeout", "1500ms");
	EXPECT_EQ(c.s()->idle_timeout_ns, KP_MS(1500));
	c.set("dial.timeout", "250"); /* bare: ms */
	EXPECT_EQ(c.s()->dial_timeout_ns, KP_MS(250));
	c.set("gossipsub.seen_ttl", "1m");
	EXPECT_EQ(c.s()->gs.seen_ttl_ns, KP_SEC(60));
	c.set("inbox.max_bytes", "300KiB");
	EXPECT_EQ(c.s()->inbox_max_bytes, 300u << 10);
	c.set("inbox.max_bytes", "300001");
	EXPECT_EQ(c.s()->inbox_max_bytes, 300001u);
	EXPECT_EQ(c.set("inbox.max_bytes", "99999999999999999999999"), KP_E_INVAL);
	EXPECT_EQ(c.set("inbox.max_bytes", "18446744073709551615GiB"), KP_E_INVAL);
	c.set("kad.mode", "off");
	EXPECT_TRUE(c.s()->kad_off);
	c.set("kad.mode", "client");
	EXPECT_FALSE(c.s()->kad_off);
	EXPECT_EQ(c.s()->kad.mode, KP_KAD_CLIENT);
	c.set("log.level", "off");
	EXPECT_TRUE(c.s()->log_off);
	c.set("log.level", "warn");
	EXPECT_FALSE(c.s()->log_off);
	EXPECT_EQ(c.s()->log_level, KP_LEVEL_WARN);
	c.set("events", "log,stats");
	EXPECT_EQ(c.s()->events, KP_EVENTS_LOG | KP_EVENTS_STATS);
	c.set("events", "");
	EXPECT_EQ(c.s()->events, 0u);
	c.set("gossipsub.gossip_factor", "0.333333");
	EXPECT_NEAR(c.s()->gs.gossip_factor, 0.333333, 1e-12);
	EXPECT_EQ(get(c.c, "gossipsub.gossip_factor"), "0.333333");
	c.set("max_connections", "100");
	EXPECT_EQ(c.s()->trim_to, 88u); /* 7/8 of it, unless given */
}

TEST(config, byte_caps_follow_the_message_size)
{
	Config c;
	EXPECT_EQ(c.set("max_message_size", "4MiB"), KP_OK);
	uint64_t need = (8u << 20) + 65536;
	EXPECT_EQ(c.s()->gs.publish_hold_bytes, need);
	EXPECT_EQ(c.s()->gs.send_own_bytes, need);
	EXPECT_EQ(c.s()->gs.send_forward_bytes, need);
	EXPECT_EQ(c.s()->gs.verify_bytes, need);
	EXPECT_GE(c.s()->gs.verify_node_bytes, need);
	EXPECT_EQ(c.s()->inbox_max_bytes, 64u << 20);
	EXPECT_EQ(c.check(), KP_OK) << c.text;
	c.set("max_message_size", "16MiB");
	EXPECT_EQ(c.s()->gs.send_own_bytes, (32u << 20) + 65536);
	EXPECT_EQ(c.check(), KP_OK) << c.text;
	c.set("gossipsub.send_own_bytes", "5MiB"); /* said by the user: not changed, but refused */
	EXPECT_EQ(c.check(), KP_E_INVAL);
	EXPECT_EQ(c.text.find("gossipsub.send_own_bytes: 5242880 bytes are too few"), 0u) << c.text;
	c.set("max_message_size", "64KiB");
	EXPECT_EQ(c.check(), KP_OK) << c.text;
}

TEST(config, relations)
{
	Config c;
	c.set("gossipsub.d_low", "7");
	EXPECT_EQ(c.check(), KP_E_INVAL);
	EXPECT_EQ(c.text.find("gossipsub: "), 0u) << c.text;
	Config d;
	d.set("connections.trim_to", "300");
	EXPECT_EQ(d.check(), KP_E_INVAL);
	EXPECT_NE(d.text.find("connections.trim_to: 300"), std::string::npos) << d.text;
	Config e;
	e.set("memory.max", "8MiB");
	e.set("max_message_size", "4MiB");
	EXPECT_EQ(e.check(), KP_E_INVAL);
	EXPECT_NE(e.text.find("memory.max"), std::string::npos) << e.text;
}

TEST(config, scores_of_topics_follow_the_common_ones_in_any_order)
{
	Config c;
	EXPECT_EQ(c.set("score.topic", "blocks first_message_deliveries_cap=7"), KP_OK);
	EXPECT_EQ(c.set("score.topic.invalid_message_deliveries_weight", "-9"), KP_OK);
	EXPECT_EQ(c.set("score.topic", "blocks topic_weight=0.25"), KP_OK);
	EXPECT_EQ(c.set("score.topic", "votes topic_weight=3"), KP_OK);
	EXPECT_EQ(c.set("score.app", peer + " 12.5"), KP_OK);
	EXPECT_EQ(c.set("score.ip_exempt", "2001:db8::/33"), KP_OK);
	kp_config *copy = kp_config_copy(c.c);
	for (const kp_config *cfg : {(const kp_config *)c.c, (const kp_config *)copy}) {
		const kp_score_params &p = kp_config_settings(cfg)->gs.score;
		EXPECT_EQ(p.topics, kp_config_settings(cfg)->score_topics);
		ASSERT_EQ(p.n_topics, 2u);
		EXPECT_TRUE(kp_slice_eq_str(p.topics[0].name, "blocks"));
		EXPECT_EQ(p.topics[0].params.first_cap, 7);
		EXPECT_EQ(p.topics[0].params.topic_weight, 0.25);
		EXPECT_EQ(p.topics[0].params.invalid_weight, -9);
		EXPECT_EQ(p.topics[1].params.topic_weight, 3);
		EXPECT_EQ(p.topics[1].params.first_cap, 40);
		ASSERT_EQ(p.n_apps, 1u);
		EXPECT_EQ(p.apps[0].score, 12.5);
		ASSERT_EQ(p.n_exempt, 1u);
		EXPECT_EQ(p.exempt[0].bits, 33);
		EXPECT_EQ(get(cfg, "score.topic", 1), "blocks topic_weight=0.25");
	}
	kp_config_free(copy);
	EXPECT_EQ(c.set("score.graylist_threshold", "-20"), KP_OK);
	EXPECT_EQ(c.check(), KP_E_INVAL);
	EXPECT_NE(c.text.find("score.graylist_threshold"), std::string::npos) << c.text;
	EXPECT_EQ(c.set("score.graylist_threshold", "-80"), KP_OK);
	EXPECT_EQ(c.set("score.topic", "votes first_message_deliveries_decay=1"), KP_OK);
	EXPECT_EQ(c.check(), KP_E_INVAL);
	EXPECT_NE(c.text.find("first_message_deliveries_decay"), std::string::npos) << c.text;
}

TEST(config, repeatable_keys_have_a_limit)
{
	Config c;
	for (int i = 0; i < KP_CONFIG_ADDRS_MAX; i++)
		ASSERT_EQ(c.set("listen", "/ip4/1.2.3.4/tcp/" + std::to_string(i + 1)), KP_OK);
	EXPECT_EQ(c.set("listen", "/ip4/1.2.3.4/tcp/999"), KP_E_LIMIT);
	EXPECT_NE(c.text.find("listen"), std::string::npos);
	for (unsigned i = 0; i < KP_ACCESS_MAX; i++)
		ASSERT_EQ(c.set("deny", "10.0.0." + std::to_string(i)), KP_OK);
	EXPECT_EQ(c.set("deny", "10.0.0.5"), KP_OK); /* has it */
	EXPECT_EQ(c.set("deny", "10.0.1.0"), KP_E_LIMIT);
	for (int i = 0; i < KP_CONFIG_TOPICS_MAX; i++)
		ASSERT_EQ(c.set("topic", "t" + std::to_string(i)), KP_OK);
	EXPECT_EQ(c.set("topic", "t5"), KP_OK); /* has it */
	EXPECT_EQ(c.set("topic", "one more"), KP_E_LIMIT);
	EXPECT_EQ(c.set("topic", std::string(256, 'x')), KP_E_LIMIT);
	EXPECT_EQ(c.set("topic", std::string(257, 'x')), KP_E_INVAL);
}

TEST(config, a_copy_stands_alone)
{
	kp_config *copy;
	{
		Config c;
		c.set("topic", "news");
		c.set("agent", "mine/1");
		c.set("identity", net::identity_text(3));
		c.set("listen", "/ip4/1.2.3.4/tcp/5");
		copy = kp_config_copy(c.c);
		ASSERT_NE(copy, nullptr);
		c.set("agent", "other");
	}
	EXPECT_EQ(get(copy, "topic"), "news");
	EXPECT_EQ(get(copy, "agent"), "mine/1");
	EXPECT_EQ(get(copy, "identity"), "set");
	EXPECT_EQ(get(copy, "listen"), "/ip4/1.2.3.4/tcp/5");
	kp_config_free(copy);
	kp_config_free(nullptr);
}

TEST(config, errors_fit_any_buffer)
{
	kp_config *c = kp_config_new();
	for (size_t cap : {0, 1, 2, 10, 40}) {
		char text[64];
		memset(text, '!', sizeof text);
		EXPECT_EQ(
		        kp_config_set(c, kp_slice_str("gossipsub.d"), kp_slice_str("x"), text, cap),
		        KP_E_INVAL);
		EXPECT_EQ(text[cap], '!');
		if (cap > 0) {
			EXPECT_EQ(strnlen(text, cap), cap - 1);
		}
		kp_config_set(c, kp_slice_str("nope"), kp_slice_str("x"), text, cap);
		EXPECT_EQ(text[cap], '!');
	}
	kp_config_free(c);
}
