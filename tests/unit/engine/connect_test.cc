/* Two and three engines: connecting, identify, peer events, wrong and own peer ids. */
#include <gtest/gtest.h>

#include "engine/net.h"

using net::Net;
using net::Node;

TEST(connect, two_nodes_by_address)
{
	Net n;
	Node &a = n.add({{"events", "peers"}}), &b = n.add({{"events", "peers"}});
	int64_t t = a.request(KP_OP_CONNECT, b.addr());
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	auto done = a.completions(t);
	ASSERT_EQ(done.size(), 1u);
	EXPECT_EQ(done[0].code, 0) << done[0].get(KP_F_TEXT);
	EXPECT_EQ(done[0].get(KP_F_FROM), b.id());
	EXPECT_EQ(done[0].get(KP_F_ADDR), "/ip4/10.0.0.2/tcp/4001");
	n.run(KP_SEC(1));
	EXPECT_TRUE(a.connected(b));
	EXPECT_TRUE(b.connected(a));
	auto up = b.of_type(KP_EV_PEER_UP);
	ASSERT_EQ(up.size(), 1u);
	EXPECT_EQ(up[0].get(KP_F_FROM), a.id());
	EXPECT_EQ(up[0].get(KP_F_ADDR).find("/ip4/10.0.0.1/tcp/"), 0u);
	/* wall clock: the time at creation and what has passed since */
	EXPECT_GE(up[0].time_ns, INT64_C(1700000000000000000));
	EXPECT_LT(up[0].time_ns, INT64_C(1700000000000000000) + (int64_t)KP_SEC(5));
}

TEST(connect, identify_tells_agent_and_addresses)
{
	Net n;
	Node &a = n.add({{"agent", "alpha/1"}}), &b = n.add({{"agent", "beta/2"}});
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(2));
	EXPECT_NE(a.info("peers").find("beta/2"), std::string::npos) << a.info("peers");
	EXPECT_NE(b.info("peers").find("alpha/1"), std::string::npos) << b.info("peers");
	EXPECT_NE(b.info("peers").find("\"/ip4/10.0.0.1/tcp/4001\""), std::string::npos);
}

TEST(connect, disconnect_is_told_to_both)
{
	Net n;
	Node &a = n.add({{"events", "peers"}}), &b = n.add({{"events", "peers"}});
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(1));
	int64_t t = a.request(KP_OP_DISCONNECT, b.id());
	EXPECT_EQ(a.completions(t).at(0).code, 0);
	n.run(KP_SEC(8));
	EXPECT_FALSE(a.connected(b));
	EXPECT_FALSE(b.connected(a));
	ASSERT_EQ(a.of_type(KP_EV_PEER_DOWN).size(), 1u);
	EXPECT_EQ(a.of_type(KP_EV_PEER_DOWN)[0].get(KP_F_TEXT), kp_why_text(KP_WHY_LOCAL_CLOSE));
	EXPECT_EQ(b.of_type(KP_EV_PEER_DOWN).size(), 1u);
	EXPECT_TRUE(a.ends.empty());
	EXPECT_TRUE(b.ends.empty());
	t = a.request(KP_OP_DISCONNECT, b.id());
	EXPECT_EQ(a.completions(t).at(0).code, KP_E_NOTFOUND);
}

TEST(connect, wrong_peer_id_names_address_expected_and_found)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	std::string other = net::identity_peer(99);
	int64_t t = a.request(KP_OP_CONNECT, "/ip4/10.0.0.2/tcp/4001/p2p/" + other);
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	auto done = a.completions(t).at(0);
	EXPECT_EQ(done.code, KP_E_PEERID);
	std::string text = done.get(KP_F_TEXT);
	EXPECT_NE(text.find("/ip4/10.0.0.2/tcp/4001"), std::string::npos) << text;
	EXPECT_NE(text.find("expected " + other), std::string::npos) << text;
	EXPECT_NE(text.find("found " + b.id()), std::string::npos) << text;
	EXPECT_EQ(a.stat(KP_STAT_wrong_peer_id), 1u);
}

TEST(connect, never_to_ourselves)
{
	Net n;
	Node &a = n.add();
	int64_t t = a.request(KP_OP_CONNECT, a.addr());
	EXPECT_EQ(a.completions(t).at(0).code, KP_E_PEERID);
	/* our listen address without a peer id, or under another's name */
	t = a.request(KP_OP_CONNECT, "/ip4/10.0.0.1/tcp/4001");
	EXPECT_EQ(a.completions(t).at(0).code, KP_E_PEERID);
	EXPECT_NE(a.completions(t).at(0).get(KP_F_TEXT).find("itself"), std::string::npos);
	t = a.request(KP_OP_CONNECT, "/ip4/10.0.0.1/tcp/4001/p2p/" + net::identity_peer(50));
	EXPECT_EQ(a.completions(t).at(0).code, KP_E_PEERID);
	EXPECT_TRUE(a.dials().empty());
	/* an address that leads back by a way we do not know */
	n.listeners["10.9.9.9 4001"] = &a;
	t = a.request(KP_OP_CONNECT, "/ip4/10.9.9.9/tcp/4001");
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	EXPECT_EQ(a.completions(t).at(0).code, KP_E_PEERID)
	        << a.completions(t).at(0).get(KP_F_TEXT);
	n.run(KP_SEC(1));
	EXPECT_EQ(a.connections(), 0u);
}

TEST(connect, without_a_peer_id_whoever_is_there)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	int64_t t = a.request(KP_OP_CONNECT, "/ip4/10.0.0.2/tcp/4001");
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	EXPECT_EQ(a.completions(t).at(0).code, 0);
	EXPECT_EQ(a.completions(t).at(0).get(KP_F_FROM), b.id());
}

TEST(connect, simultaneous_dial_keeps_both_connections_as_one_peer)
{
	Net n;
	Node &a = n.add({{"events", "peers"}}), &b = n.add({{"events", "peers"}});
	int64_t ta = a.request(KP_OP_CONNECT, b.addr());
	int64_t tb = b.request(KP_OP_CONNECT, a.addr());
	n.run(KP_SEC(5));
	EXPECT_EQ(a.completions(ta).at(0).code, 0);
	EXPECT_EQ(b.completions(tb).at(0).code, 0);
	EXPECT_EQ(a.connections(), 2u);
	EXPECT_EQ(b.connections(), 2u);
	EXPECT_EQ(a.of_type(KP_EV_PEER_UP).size(), 1u);
	EXPECT_EQ(b.of_type(KP_EV_PEER_UP).size(), 1u);
	EXPECT_EQ(a.of_type(KP_EV_PEER_DOWN).size(), 0u);
}

TEST(connect, a_second_connect_is_answered_at_once)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(1));
	int64_t t = a.request(KP_OP_CONNECT, b.id());
	ASSERT_EQ(a.completions(t).size(), 1u);
	EXPECT_EQ(a.completions(t)[0].code, 0);
	EXPECT_EQ(a.completions(t)[0].get(KP_F_ADDR), "/ip4/10.0.0.2/tcp/4001");
	EXPECT_EQ(a.dials().size(), 1u);
	EXPECT_EQ(b.connections(), 1u);
}

TEST(connect, bootnode_down_at_start_is_found_later)
{
	Net n;
	std::string boot = "/ip4/10.0.0.2/tcp/4001/p2p/" + net::identity_peer(2);
	Node &a = n.add({{"bootstrap", boot}});
	n.run(KP_SEC(20));
	EXPECT_EQ(a.connections(), 0u);
	auto dials = a.dials();
	/* 1 s doubling, ±25 %: at 0, then after about 1, 2, 4, 8 s */
	ASSERT_GE(dials.size(), 4u);
	for (size_t i = 1; i < dials.size(); i++) {
		kp_time want = KP_SEC(1) << (i - 1), gap = dials[i].at - dials[i - 1].at;
		EXPECT_GE(gap, want - want / 4);
		EXPECT_LE(gap, want + want / 4 + 2 * n.latency);
	}
	Node &b = n.add();
	ASSERT_TRUE(n.until([&] { return a.connected(b); }, KP_SEC(60)));
	n.run(KP_SEC(1));
	/* lost and found again, from the start of the back-off */
	kp_time lost = n.now;
	b.request(KP_OP_DISCONNECT, a.id());
	ASSERT_TRUE(n.until([&] { return !a.connected(b); }, KP_SEC(10)));
	ASSERT_TRUE(n.until([&] { return a.connected(b); }, KP_SEC(10)));
	EXPECT_LT(n.now - lost, KP_SEC(8));
}

TEST(connect, a_bootnode_that_connects_to_us_is_not_dialled)
{
	Net n;
	std::string boot = "/ip4/10.0.0.2/tcp/4001/p2p/" + net::identity_peer(2);
	Node &a = n.add({{"bootstrap", boot}});
	n.run(KP_SEC(40)); /* the next dial is far off */
	size_t before = a.dials().size();
	Node &b = n.add();
	b.request(KP_OP_CONNECT, a.addr());
	n.run(KP_SEC(120));
	EXPECT_TRUE(a.connected(b));
	EXPECT_LE(a.dials().size(), before);
	EXPECT_EQ(a.connections(), 1u); /* never idle */
}

TEST(connect, listen_events_and_addresses)
{
	Net n;
	Node &a = n.add({{"listen", "/ip4/0.0.0.0/tcp/0"}, {"listen", "/ip4/10.0.0.1/tcp/77"}});
	kp_err err;
	size_t index;
	EXPECT_TRUE(kp_engine_listening(a.engine, &err, &index));
	EXPECT_EQ(err, KP_OK);
	auto ev = a.of_type(KP_EV_LISTEN);
	ASSERT_EQ(ev.size(), 3u);
	EXPECT_EQ(ev[0].get(KP_F_ADDR), "/ip4/127.0.0.1/tcp/20000");
	EXPECT_EQ(a.info("listen_addrs"), "/ip4/127.0.0.1/tcp/20000/p2p/" + a.id() +
	                                          "\n/ip4/10.0.0.1/tcp/20000/p2p/" + a.id() +
	                                          "\n/ip4/10.0.0.1/tcp/77/p2p/" + a.id());
	Node &b = n.add_at("10.0.0.1", {{"listen", "/ip4/10.0.0.1/tcp/99"},
	                                {"listen", "/ip4/10.0.0.1/tcp/77"}});
	EXPECT_TRUE(kp_engine_listening(b.engine, &err, &index));
	EXPECT_EQ(err, KP_E_ADDRINUSE);
	EXPECT_EQ(index, 1u);
	Node &c = n.add({{"announce", "/dns4/karak.example/tcp/4001"}});
	EXPECT_EQ(c.info("addresses"), "[\"/dns4/karak.example/tcp/4001/p2p/" + c.id() + "\"]");
}
