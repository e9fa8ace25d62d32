/* Limits, trimming, idle connections, and the sockets of hostile peers. */
#include <gtest/gtest.h>

#include "engine/cost.h"
#include "engine/engine.h"
#include "engine/net.h"

using net::Net;
using net::Node;

static bool is_open(const std::shared_ptr<net::End> &end)
{
	auto far = end->other.lock();
	return far != nullptr && far->open;
}

TEST(limits, half_open_cap_evicts_the_oldest_of_the_busiest_address)
{
	Net n;
	Node &a = n.add({{"connections.half_open", "8"}});
	std::vector<std::shared_ptr<net::End>> bad;
	auto early = n.raw(a, "2.2.2.2");
	for (int i = 0; i < 6; i++)
		bad.push_back(n.raw(a, "1.1.1.1"));
	EXPECT_FALSE(a.accept_paused);
	auto last = n.raw(a, "3.3.3.3"); /* the eighth */
	EXPECT_EQ(a.of_kind(KP_ACT_ACCEPT_PAUSE).size(), 1u);
	EXPECT_EQ(a.of_kind(KP_ACT_ACCEPT_RESUME).size(), 1u);
	EXPECT_FALSE(is_open(bad[0]));
	n.run(KP_MS(1));
	EXPECT_FALSE(a.accept_paused);
	EXPECT_TRUE(is_open(early));
	EXPECT_TRUE(is_open(last));
	for (size_t i = 1; i < bad.size(); i++)
		EXPECT_TRUE(is_open(bad[i]));
	EXPECT_EQ(a.stat(KP_STAT_conns_refused_half_open), 1u);
	Node &b = n.add();
	int64_t t = b.request(KP_OP_CONNECT, a.addr());
	n.run(KP_SEC(1));
	EXPECT_EQ(b.completions(t).at(0).code, 0);
}

TEST(limits, a_half_open_cap_of_one_still_accepts)
{
	Net n;
	Node &a = n.add({{"connections.half_open", "1"}});
	auto raw = n.raw(a, "1.1.1.1");
	n.run(KP_MS(1));
	EXPECT_TRUE(a.accept_paused);
	n.run(KP_SEC(11)); /* its handshake is over */
	EXPECT_FALSE(a.accept_paused);
	Node &b = n.add();
	int64_t t = b.request(KP_OP_CONNECT, a.addr());
	n.run(KP_SEC(1));
	EXPECT_EQ(b.completions(t).at(0).code, 0);
}

/* Slow ones cost a small fixed amount each, and end with their handshake's time. */
TEST(limits, a_thousand_silent_sockets_and_slow_ones)
{
	Net n;
	Node &a = n.add();
	std::vector<std::shared_ptr<net::End>> bad;
	uint64_t before = kp_pool_bytes_live(a.pool), worst = 0;
	net::Cost cost(n, a);
	for (int i = 0; i < 1000; i++) {
		auto end = n.raw(a, "1.1." + std::to_string(i / 200) + ".9");
		if (end != nullptr)
			bad.push_back(end);
		if (i % 3 == 0 && end != nullptr)
			n.raw_write(end, std::string("\x13/multistream/1.0.0\n", 20));
		n.run(KP_MS(1));
		worst = std::max(worst, kp_pool_bytes_live(a.pool));
	}
	EXPECT_LE(worst - before, 256u * 8192u); /* a small fixed cost each */
	Node &b = n.add();
	int64_t t = b.request(KP_OP_CONNECT, a.addr());
	ASSERT_TRUE(n.until([&] { return !b.completions(t).empty(); }));
	EXPECT_EQ(b.completions(t)[0].code, 0);
	for (int i = 0; i < 3; i++) { /* one byte every now and then does not help */
		for (auto &end : bad)
			n.raw_write(end, "x");
		n.run(KP_SEC(4));
	}
	for (auto &end : bad)
		EXPECT_FALSE(is_open(end));
	EXPECT_GE(a.stat(KP_STAT_handshakes_failed), 200u);
	EXPECT_TRUE(a.connected(b));
	EXPECT_EQ(a.ends.size(), 1u);
	cost.tell("16", "1,000 sockets that say nothing, or a byte every four seconds");
}

TEST(limits, ten_thousand_connects_leave_memory_flat)
{
	Net n;
	Node &a = n.add({{"kad.mode", "off"}}), &b = n.add({{"kad.mode", "off"}});
	uint64_t base = 0;
	net::Cost cost(n, a);
	for (int i = 0; i < 10000; i++) {
		auto end = n.raw(a, "1.1." + std::to_string(i % 250) + ".7");
		ASSERT_NE(end, nullptr) << i;
		n.raw_close(end);
		n.run(KP_MS(1));
		if (i == 500)
			base = kp_pool_bytes_live(a.pool);
	}
	EXPECT_LE(kp_pool_bytes_live(a.pool), base + 1024);
	cost.tell("22", "10,000 connections opened and closed");
	for (int i = 0; i < 300; i++) {
		int64_t t = b.request(KP_OP_CONNECT, a.addr());
		ASSERT_TRUE(n.until([&] { return !b.completions(t).empty(); })) << i;
		ASSERT_EQ(b.completions(t)[0].code, 0) << i;
		n.run(KP_MS(20));
		b.request(KP_OP_DISCONNECT, a.id());
		ASSERT_TRUE(n.until([&] { return a.ends.empty() && b.ends.empty(); })) << i;
		b.events.clear();
		if (i == 20)
			base = kp_pool_bytes_live(a.pool);
	}
	EXPECT_LE(kp_pool_bytes_live(a.pool), base + 4096);
	EXPECT_EQ(a.stat(KP_STAT_conns_opened), a.stat(KP_STAT_conns_closed));
}

TEST(limits, four_connections_of_one_peer)
{
	Net n;
	Node &hub = n.add();
	for (int i = 0; i < 6; i++) { /* six processes with one key */
		std::string ip = "10.1.0." + std::to_string(i + 1);
		n.nodes.push_back(
		        std::make_unique<Node>(&n, ip, net::Config{{"kad.mode", "off"}}, 60));
		n.nodes.back()->start();
		n.nodes.back()->request(KP_OP_CONNECT, hub.addr());
		n.run(KP_SEC(1));
	}
	EXPECT_EQ(hub.connections(), 4u);
	EXPECT_EQ(hub.stat(KP_STAT_conns_refused_limit), 2u);
}

TEST(limits, trimming_takes_the_youngest_and_spares_the_kept)
{
	Net n;
	std::string direct = "/ip4/10.0.0.2/tcp/4001/p2p/" + net::identity_peer(2);
	Node &hub = n.add({{"max_connections", "6"},
	                   {"connections.trim_to", "4"},
	                   {"direct", direct},
	                   {"events", "peers"},
	                   {"kad.mode", "off"}});
	std::vector<Node *> nodes;
	for (int i = 0; i < 7; i++)
		nodes.push_back(&n.add({{"kad.mode", "off"}}, i != 0));
	for (int i = 1; i < 6; i++) {
		nodes[(size_t)i]->request(KP_OP_CONNECT, hub.addr());
		n.run(KP_MS(100));
	}
	nodes[0]->start(); /* the direct peer is the youngest but one */
	ASSERT_TRUE(n.until([&] { return hub.connected(*nodes[0]); }, KP_SEC(70)));
	EXPECT_EQ(hub.connections(), 6u);
	nodes[6]->request(KP_OP_CONNECT, hub.addr());
	n.run(KP_SEC(10));
	EXPECT_EQ(hub.connections(), 4u);
	EXPECT_EQ(hub.stat(KP_STAT_conns_trimmed), 3u);
	EXPECT_TRUE(hub.connected(*nodes[0]));
	for (size_t i : {1, 2, 3})
		EXPECT_TRUE(hub.connected(*nodes[i])) << i;
	for (size_t i : {4, 5, 6})
		EXPECT_FALSE(hub.connected(*nodes[i])) << i;
	for (auto &e : hub.of_type(KP_EV_PEER_DOWN))
		EXPECT_EQ(e.code, KP_E_LIMIT);
}

TEST(limits, when_everybody_is_kept_newcomers_are_refused)
{
	Net n;
	std::string direct = "/ip4/10.0.0.2/tcp/4001/p2p/" + net::identity_peer(2);
	Node &hub = n.add({{"max_connections", "1"}, {"direct", direct}, {"kad.mode", "off"}});
	n.add({{"kad.mode", "off"}});
	ASSERT_TRUE(n.until([&] { return hub.connections() == 1; }));
	Node &c = n.add({{"kad.mode", "off"}});
	int64_t t = c.request(KP_OP_CONNECT, hub.addr());
	n.run(KP_SEC(2));
	(void)t; /* it may have seen the upgrade finish before the refusal */
	EXPECT_EQ(c.connections(), 0u);
	EXPECT_EQ(hub.connections(), 1u);
	EXPECT_EQ(hub.stat(KP_STAT_conns_refused_limit), 1u);
}

TEST(limits, idle_connections_end_and_kept_ones_do_not)
{
	Net n;
	std::string boot = "/ip4/10.0.0.1/tcp/4001/p2p/" + net::identity_peer(1);
	net::Config idle = {{"idle_timeout", "5"}, {"events", "peers"}, {"kad.mode", "off"}};
	net::Config never = {{"idle_timeout", "0"}, {"kad.mode", "off"}};
	Node &a = n.add(never), &b = n.add(idle);
	auto with_boot = idle;
	with_boot.push_back({"bootstrap", boot});
	Node &c = n.add(with_boot);
	b.request(KP_OP_CONNECT, a.addr());
	n.run(KP_SEC(4));
	EXPECT_TRUE(b.connected(a));
	n.run(KP_SEC(4));
	EXPECT_FALSE(b.connected(a));
	ASSERT_EQ(b.of_type(KP_EV_PEER_DOWN).size(), 1u);
	EXPECT_EQ(b.of_type(KP_EV_PEER_DOWN)[0].get(KP_F_TEXT), kp_why_text(KP_WHY_IDLE));
	EXPECT_EQ(b.stat(KP_STAT_conns_idle_closed), 1u);
	n.run(KP_SEC(60));
	EXPECT_TRUE(c.connected(a));
	EXPECT_EQ(c.of_type(KP_EV_PEER_DOWN).size(), 0u);
}

/* Who publishes to a topic without joining it shares no topic with those who hear it. */
TEST(limits, a_connection_that_carries_messages_is_not_idle)
{
	Net n;
	net::Config idle = {{"idle_timeout", "5"}, {"kad.mode", "off"}};
	auto joined = idle;
	joined.push_back({"topic", "t"});
	Node &a = n.add(idle), &b = n.add(joined);
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(1));
	for (int i = 0; i < 10; i++) {
		a.publish("t", std::to_string(i));
		n.run(KP_SEC(3));
		ASSERT_TRUE(a.connected(b)) << i;
	}
	EXPECT_EQ(b.of_type(KP_EV_MESSAGE).size(), 10u);
	for (int i = 0; i < 3; i++) { /* pings are not what it is for */
		a.request(KP_OP_PING, b.id());
		n.run(KP_SEC(2));
	}
	EXPECT_FALSE(a.connected(b));
	EXPECT_GE(a.stat(KP_STAT_conns_idle_closed) + b.stat(KP_STAT_conns_idle_closed), 1u);
}

TEST(limits, a_peer_that_stops_answering_is_dropped)
{
	Net n;
	Node &a = n.add({{"events", "peers"}, {"kad.mode", "off"}}),
	     &b = n.add({{"kad.mode", "off"}});
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(2));
	ASSERT_TRUE(a.connected(b));
	for (auto &end : b.ends)
		end.second->stuck = true; /* not a byte more from b */
	ASSERT_TRUE(n.until([&] { return !a.connected(b); }, KP_SEC(60)));
	ASSERT_EQ(a.of_type(KP_EV_PEER_DOWN).size(), 1u);
	EXPECT_EQ(a.of_type(KP_EV_PEER_DOWN)[0].code, KP_E_TIMEDOUT);
}

TEST(limits, a_starved_connection_reads_again_when_there_is_memory)
{
	Net n;
	Node &a = n.add({{"kad.mode", "off"}}), &b = n.add({{"kad.mode", "off"}});
	b.request(KP_OP_CONNECT, a.addr());
	n.run(KP_MS(1150)); /* just after a heartbeat, which would trim for memory */
	kp_mem *mem = kp_pool_mem(a.pool);
	mem->bytes_max = 1; /* nothing more */
	int64_t t = b.request(KP_OP_PING, a.id());
	n.run(KP_MS(500));
	EXPECT_TRUE(b.completions(t).empty());
	EXPECT_GT(a.stat(KP_STAT_memory_refused), 0u);
	mem->bytes_max = 0;
	n.run(KP_SEC(1));
	ASSERT_EQ(b.completions(t).size(), 1u);
	EXPECT_EQ(b.completions(t)[0].code, 0);
	EXPECT_TRUE(a.connected(b));
}

TEST(limits, stale_ids_are_ignored_and_counted)
{
	Net n;
	Node &a = n.add();
	size_t cap;
	kp_id nobody = {3, 9};
	EXPECT_EQ(kp_engine_rx_buf(a.engine, nobody, &cap), nullptr);
	kp_engine_on_read(a.engine, n.now, nobody, 10);
	kp_engine_on_written(a.engine, n.now, nobody, KP_OK);
	kp_engine_on_closed(a.engine, n.now, nobody, KP_OK);
	kp_engine_on_dialed(a.engine, n.now, nobody, nullptr, KP_OK);
	kp_engine_on_resolved(a.engine, n.now, nobody, nullptr, 0, KP_E_NOTFOUND);
	kp_engine_on_listening(a.engine, n.now, nobody, nullptr, nullptr, 0, KP_OK);
	EXPECT_EQ(a.stat(KP_STAT_stale_ids), 7u);
}

TEST(limits, slots_are_reused_under_new_generations)
{
	kp_mem mem;
	kp_slots s;
	kp_id id[40];
	int obj;
	kp_mem_init(&mem, 0);
	kp_slots_init(&s, &mem);
	for (auto &x : id)
		ASSERT_EQ(kp_slots_add(&s, &obj, &x), KP_OK);
	kp_slots_del(&s, id[7]);
	EXPECT_EQ(kp_slots_get(&s, id[7]), nullptr);
	kp_id again;
	ASSERT_EQ(kp_slots_add(&s, &obj, &again), KP_OK);
	EXPECT_EQ(again.slot, id[7].slot);
	EXPECT_NE(again.gen, id[7].gen);
	EXPECT_EQ(kp_slots_get(&s, id[7]), nullptr);
	EXPECT_EQ(kp_slots_get(&s, again), &obj);
	EXPECT_EQ(kp_slots_get(&s, kp_id{999, 1}), nullptr);
	EXPECT_EQ(kp_slots_get(&s, kp_id{0, 0}), nullptr);
	for (uint32_t i = 0; i < s.n; i++)
		kp_slots_del(&s, kp_id{i, s.v[i].gen});
	kp_slots_fini(&s);
	EXPECT_EQ(mem.bytes, 0u);
}
