/* Messages through whole engines: both ways, held, refused, sizes, discovery by topic. */
#include <gtest/gtest.h>

#include "engine/net.h"

using net::Net;
using net::Node;

static size_t received(const Node &n, const std::string &topic)
{
	size_t count = 0;
	for (auto &e : n.of_type(KP_EV_MESSAGE))
		count += e.get(KP_F_TOPIC) == topic;
	return count;
}

TEST(pubsub, two_nodes_both_ways)
{
	Net n;
	Node &a = n.add({{"topic", "news"}}), &b = n.add({{"topic", "news"}});
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(2));
	int64_t t = a.publish("news", "hello");
	int64_t u = b.publish("news", "world");
	n.run(KP_SEC(1));
	ASSERT_EQ(received(b, "news"), 1u);
	ASSERT_EQ(received(a, "news"), 1u);
	auto m = b.of_type(KP_EV_MESSAGE)[0];
	EXPECT_EQ(m.get(KP_F_PAYLOAD), "hello");
	EXPECT_EQ(m.get(KP_F_FROM), a.id());
	EXPECT_EQ(m.get(KP_F_VIA), a.id());
	EXPECT_EQ(m.get(KP_F_ID), "9754003402134539932");
	EXPECT_EQ(a.of_type(KP_EV_MESSAGE)[0].get(KP_F_PAYLOAD), "world");
	ASSERT_EQ(a.completions(t).size(), 1u);
	EXPECT_EQ(a.completions(t)[0].code, 0);
	EXPECT_EQ(a.completions(t)[0].count, 1);
	EXPECT_EQ(a.completions(t)[0].get(KP_F_ID), "9754003402134539932");
	ASSERT_EQ(b.completions(u).size(), 1u);
	EXPECT_EQ(b.completions(u)[0].code, 0);
	EXPECT_NE(a.info("topics").find("\"subscribers\":1"), std::string::npos)
	        << a.info("topics");
	EXPECT_NE(a.info("peers").find("\"topics\":[\"news\"]"), std::string::npos);
}

TEST(pubsub, a_message_published_before_any_peer_is_held)
{
	Net n;
	std::string boot = "/ip4/10.0.0.2/tcp/4001/p2p/" + net::identity_peer(2);
	Node &a = n.add({{"topic", "news"}, {"bootstrap", boot}});
	int64_t t = a.publish("news", "early");
	n.run(KP_SEC(3));
	EXPECT_TRUE(a.completions(t).empty());
	Node &b = n.add({{"topic", "news"}});
	ASSERT_TRUE(n.until([&] { return received(b, "news") == 1; }, KP_SEC(9)));
	ASSERT_EQ(a.completions(t).size(), 1u);
	EXPECT_EQ(a.completions(t)[0].code, 0);
}

TEST(pubsub, hold_expires_or_refuses)
{
	Net n;
	Node &a = n.add({{"topic", "news"}, {"publish.hold", "2s"}}),
	     &b = n.add({{"topic", "news"}, {"publish.hold", "0"}});
	int64_t t = a.publish("news", "x"), u = b.publish("news", "y");
	n.run(KP_MS(10));
	ASSERT_EQ(b.completions(u).size(), 1u);
	EXPECT_EQ(b.completions(u)[0].code, KP_E_NOPEERS);
	EXPECT_TRUE(a.completions(t).empty());
	n.run(KP_SEC(3));
	ASSERT_EQ(a.completions(t).size(), 1u);
	EXPECT_EQ(a.completions(t)[0].code, KP_E_EXPIRED);
}

TEST(pubsub, a_held_message_ends_with_the_node)
{
	Net n;
	Node &a = n.add({{"topic", "news"}});
	int64_t t = a.publish("news", "x");
	n.run(KP_MS(10));
	a.stop(KP_SEC(5));
	ASSERT_TRUE(n.until([&] { return kp_engine_stopped(a.engine); }));
	ASSERT_EQ(a.completions(t).size(), 1u);
	EXPECT_EQ(a.completions(t)[0].code, KP_E_CLOSED);
}

TEST(pubsub, what_was_accepted_before_stop_still_arrives)
{
	Net n;
	n.latency = KP_MS(20);
	Node &a = n.add({{"topic", "news"}}), &b = n.add({{"topic", "news"}});
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(2));
	for (int i = 0; i < 200; i++)
		a.publish("news", std::string(2000, 'x') + std::to_string(i));
	a.stop(KP_SEC(10));
	ASSERT_TRUE(n.until([&] { return kp_engine_stopped(a.engine); }, KP_SEC(10)));
	n.run(KP_SEC(1));
	EXPECT_EQ(received(b, "news"), 200u);
}

TEST(pubsub, sizes_up_to_the_limit)
{
	Net n;
	net::Config big = {{"topic", "t"}, {"max_message_size", "4MiB"}};
	Node &a = n.add(big), &b = n.add(big);
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(2));
	a.publish("t", std::string((4u << 20) - 400, 'z'));
	a.publish("t", "");
	int64_t t = a.publish("t", std::string((4u << 20) + 1, 'z'));
	n.run(KP_SEC(3));
	EXPECT_EQ(received(b, "t"), 2u);
	ASSERT_EQ(a.completions(t).size(), 1u);
	EXPECT_EQ(a.completions(t)[0].code, KP_E_TOOBIG);
}

TEST(pubsub, validation_waits_for_the_verdict)
{
	Net n;
	Node &a = n.add({{"topic", "t"}}), &b = n.add(), &c = n.add({{"topic", "t"}});
	b.request(KP_OP_SUBSCRIBE, "t", "validate=1 inbox=7");
	a.request(KP_OP_CONNECT, b.addr());
	c.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(3));
	a.publish("t", "good");
	ASSERT_TRUE(n.until([&] { return !b.of_type(KP_EV_VALIDATE).empty(); }));
	auto v = b.of_type(KP_EV_VALIDATE)[0];
	EXPECT_EQ(v.get(KP_F_PAYLOAD), "good");
	EXPECT_EQ(v.inbox, 7);
	EXPECT_EQ(kp_engine_verdict(b.engine, n.now, v.token, KP_ACCEPT), KP_OK);
	EXPECT_EQ(kp_engine_verdict(b.engine, n.now, v.token, KP_ACCEPT), KP_E_NOTFOUND);
	b.pump();
	n.run(KP_SEC(1));
	EXPECT_EQ(received(c, "t"), 1u);
	EXPECT_EQ(received(b, "t"), 0u); /* the VALIDATE event was the delivery */
}

TEST(pubsub, subscribe_later_and_leave)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(1));
	EXPECT_EQ(b.completions(b.request(KP_OP_SUBSCRIBE, "later", "self=1")).at(0).code, 0);
	a.request(KP_OP_SUBSCRIBE, "later");
	n.run(KP_SEC(1));
	a.publish("later", "one");
	b.publish("later", "mine");
	n.run(KP_SEC(1));
	EXPECT_EQ(received(b, "later"), 2u);
	EXPECT_EQ(b.completions(b.request(KP_OP_UNSUBSCRIBE, "later")).at(0).code, 0);
	int64_t t = b.request(KP_OP_UNSUBSCRIBE, "later");
	EXPECT_EQ(b.completions(t).at(0).code, KP_E_NOTFOUND);
	n.run(KP_SEC(1));
	a.publish("later", "two");
	n.run(KP_SEC(1));
	EXPECT_EQ(received(b, "later"), 2u);
}

/* "As more nodes join, they discover additional peers through the DHT": all know the bootnode only.
 */
TEST(pubsub, discovery_finds_the_topic)
{
	Net n;
	Node &boot = n.add();
	std::vector<Node *> nodes;
	for (int i = 0; i < 8; i++)
		nodes.push_back(&n.add({{"topic", "t"}, {"bootstrap", boot.addr()}}));
	n.run(KP_SEC(30));
	for (Node *x : nodes)
		EXPECT_GE(x->connections(), 6u);
	nodes[0]->publish("t", "to all"); /* the bootnode does not subscribe */
	n.run(KP_SEC(3));
	for (size_t i = 1; i < nodes.size(); i++)
		EXPECT_EQ(received(*nodes[i], "t"), 1u) << i;
}

/* A node whose second connection to a peer dies keeps the subscription over the first. */
TEST(pubsub, survives_the_loss_of_one_of_two_connections)
{
	Net n;
	Node &a = n.add({{"topic", "t"}}), &b = n.add({{"topic", "t"}});
	a.request(KP_OP_CONNECT, b.addr());
	b.request(KP_OP_CONNECT, a.addr());
	n.run(KP_SEC(2));
	ASSERT_EQ(a.connections(), 2u);
	for (int round = 0; round < 2; round++) {
		auto victim = a.ends.begin();
		if (round == 1 && a.ends.size() > 1)
			victim = std::prev(a.ends.end());
		auto end = victim->second;
		auto far = end->other.lock();
		end->open = far->open = false; /* the network cuts it */
		a.ends.erase(victim);
		b.ends.erase(far->id.slot);
		kp_engine_on_closed(a.engine, n.now, end->id, KP_E_UNREACHABLE);
		kp_engine_on_closed(b.engine, n.now, far->id, KP_E_UNREACHABLE);
		a.pump();
		b.pump();
		n.run(KP_SEC(8));
		if (round == 1)
			a.request(KP_OP_CONNECT, b.addr());
		n.run(KP_SEC(8));
		a.publish("t", "after " + std::to_string(round));
		n.run(KP_SEC(2));
		EXPECT_EQ(received(b, "t"), (size_t)round + 1);
	}
}

TEST(pubsub, direct_peers_get_every_message_outside_the_mesh)
{
	Net n;
	std::string to_b = "/ip4/10.0.0.2/tcp/4001/p2p/" + net::identity_peer(2);
	std::string to_a = "/ip4/10.0.0.1/tcp/4001/p2p/" + net::identity_peer(1);
	Node &a = n.add({{"topic", "t"}, {"direct", to_b}, {"gossipsub.flood_publish", "off"}});
	Node &b = n.add({{"topic", "t"}, {"direct", to_a}, {"gossipsub.flood_publish", "off"}});
	ASSERT_TRUE(n.until([&] { return a.connected(b); }));
	n.run(KP_SEC(3));
	EXPECT_NE(a.info("topics").find("\"mesh\":0"), std::string::npos) << a.info("topics");
	a.publish("t", "direct");
	n.run(KP_SEC(1));
	EXPECT_EQ(received(b, "t"), 1u);
}

/* The same seeds and the same facts give the same node, to the last trace point. */
TEST(pubsub, runs_are_repeatable)
{
	uint64_t hash[2][3];
	for (auto &run : hash) {
		Net n;
		Node &boot = n.add();
		Node &a = n.add({{"topic", "t"}, {"bootstrap", boot.addr()}}),
		     &b = n.add({{"topic", "t"}, {"bootstrap", boot.addr()}});
		for (int i = 0; i < 50; i++) {
			(i % 2 ? a : b).publish("t", "message " + std::to_string(i));
			n.run(KP_MS(100));
		}
		run[0] = kp_engine_env(boot.engine)->trace->hash;
		run[1] = kp_engine_env(a.engine)->trace->hash;
		run[2] = kp_engine_env(b.engine)->trace->hash;
	}
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(hash[0][i], hash[1][i]);
}
