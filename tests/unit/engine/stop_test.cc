/* Shutdown: goodbyes, budgets, and nothing left behind. */
#include <gtest/gtest.h>

#include "engine/net.h"

using net::Net;
using net::Node;

TEST(stop, a_node_that_never_started)
{
	Net n;
	Node &a = n.add({}, false), &b = n.add({}, false);
	a.stop();
	EXPECT_TRUE(kp_engine_stopped(a.engine));
	EXPECT_EQ(a.of_type(KP_EV_CLOSED).size(), 1u);
	kp_engine_free(b.engine); /* without stop */
	b.engine = nullptr;
}

TEST(stop, a_lonely_node_stops_at_once)
{
	Net n;
	Node &a = n.add();
	n.run(KP_SEC(3));
	kp_time asked = n.now;
	a.stop(KP_SEC(10));
	ASSERT_TRUE(n.until([&] { return kp_engine_stopped(a.engine); }));
	EXPECT_EQ(n.now, asked);
	EXPECT_EQ(a.of_kind(KP_ACT_UNLISTEN).size(), 1u);
	EXPECT_TRUE(n.listeners.empty());
	EXPECT_EQ(kp_engine_deadline(a.engine), KP_NEVER);
	a.stop(); /* again: nothing */
	EXPECT_EQ(a.of_type(KP_EV_CLOSED).size(), 1u);
}

TEST(stop, peers_hear_a_goodbye)
{
	Net n;
	Node &a = n.add(), &b = n.add({{"events", "peers"}}), &c = n.add({{"events", "peers"}});
	a.request(KP_OP_CONNECT, b.addr());
	c.request(KP_OP_CONNECT, a.addr());
	n.run(KP_SEC(2));
	kp_time asked = n.now;
	a.stop(KP_SEC(2));
	ASSERT_TRUE(n.until([&] { return kp_engine_stopped(a.engine); }));
	EXPECT_LT(n.now - asked, KP_MS(100));
	n.run(KP_MS(100));
	for (Node *x : {&b, &c}) {
		bool gone = false;
		for (auto &e : x->of_type(KP_EV_PEER_DOWN))
			if (e.get(KP_F_FROM) == net::identity_peer(1)) {
				gone = true;
				EXPECT_EQ(e.code, 0) << e.get(KP_F_TEXT);
			}
		EXPECT_TRUE(gone);
	}
}

TEST(stop, the_budget_ends_what_does_not_answer)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(2));
	for (auto &end : b.ends)
		end.second->stuck = true; /* b never answers again */
	kp_time asked = n.now;
	a.stop(KP_SEC(2));
	ASSERT_TRUE(n.until([&] { return kp_engine_stopped(a.engine); }));
	EXPECT_EQ(n.now, asked + KP_SEC(2));
}

TEST(stop, a_second_call_only_shortens)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(2));
	for (auto &end : b.ends)
		end.second->stuck = true;
	kp_time asked = n.now;
	a.stop(KP_SEC(5));
	n.run(KP_SEC(1));
	a.stop(KP_SEC(60));
	n.run(KP_SEC(1));
	EXPECT_FALSE(kp_engine_stopped(a.engine));
	a.stop(KP_MS(500));
	ASSERT_TRUE(n.until([&] { return kp_engine_stopped(a.engine); }));
	EXPECT_EQ(n.now, asked + KP_MS(2500));
}

TEST(stop, in_the_middle_of_everything)
{
	for (int ms = 0; ms < 40; ms++) {
		Net n;
		Node &a = n.add(), &b = n.add({{"bootstrap", "/dnsaddr/x.example"}});
		n.names["TXT _dnsaddr.x.example"] = {"dnsaddr=" + a.addr()};
		n.mute.insert("10.0.0.50 1");
		b.request(KP_OP_CONNECT, "/ip4/10.0.0.50/tcp/1");
		b.request(KP_OP_CONNECT, a.addr());
		b.request(KP_OP_CONNECT, "/dns4/y.example/tcp/1");
		auto raw = n.raw(b, "1.2.3.4");
		n.run(KP_MS(ms) / 2);
		b.stop(KP_MS(ms % 7));
		ASSERT_TRUE(n.until([&] { return kp_engine_stopped(b.engine); }));
		EXPECT_EQ(b.of_type(KP_EV_COMPLETE).size(), 3u);
		kp_err err = KP_OK;
		EXPECT_EQ(n.raw(b, "1.2.3.4", &err), nullptr);
		EXPECT_EQ(err, KP_E_CLOSED);
		int64_t t = b.publish("t", "x");
		EXPECT_EQ(b.completions(t).at(0).code, KP_E_CLOSED);
		t = b.request(KP_OP_PING, a.id());
		EXPECT_EQ(b.completions(t).at(0).code, KP_E_CLOSED);
		t = b.send(a, "/x", "y");
		EXPECT_EQ(b.completions(t).at(0).code, KP_E_CLOSED);
		EXPECT_EQ(kp_engine_verdict(b.engine, n.now, 1, KP_ACCEPT), KP_E_CLOSED);
		EXPECT_NE(b.info("stats"), "");
	}
}
