/* Requests: every operation ends in exactly one completion, whatever comes first. */
#include <gtest/gtest.h>

#include "engine/net.h"

using net::Net;
using net::Node;

static std::string check(kp_op op, const std::string &arg, const std::string &data, kp_err want)
{
	char text[240] = "";
	EXPECT_EQ(kp_request_check(op, net::str(arg), net::str(data), text, sizeof text), want)
	        << arg;
	return text;
}

TEST(request, check_names_the_culprit)
{
	std::string peer = net::identity_peer(1);
	check(KP_OP_CONNECT, peer, "", KP_OK);
	check(KP_OP_CONNECT, "/p2p/" + peer, "", KP_OK);
	check(KP_OP_CONNECT, "/ip4/1.2.3.4/tcp/1", "", KP_OK);
	check(KP_OP_CONNECT, "/dnsaddr/x.example", "", KP_OK);
	EXPECT_NE(check(KP_OP_CONNECT, "hello", "", KP_E_INVAL).find("\"hello\""),
	          std::string::npos);
	EXPECT_NE(check(KP_OP_CONNECT, "/ip4/1.2.3/tcp/1", "", KP_E_INVAL).find("/ip4/1.2.3/tcp/1"),
	          std::string::npos);
	EXPECT_NE(check(KP_OP_CONNECT, "/ip4/1.2.3.4/udp/1", "", KP_E_INVAL).find("only TCP"),
	          std::string::npos);
	check(KP_OP_CONNECT, "/ip4/1.2.3.4/tcp/0", "", KP_E_INVAL);
	check(KP_OP_CONNECT, "", "", KP_E_INVAL);
	for (kp_op op : {KP_OP_DISCONNECT, KP_OP_PING, KP_OP_DHT_FIND_PEER}) {
		check(op, peer, "", KP_OK);
		EXPECT_NE(check(op, "nope", "", KP_E_INVAL).find("\"nope\" is not a peer id"),
		          std::string::npos);
	}
	check(KP_OP_SUBSCRIBE, "news", "", KP_OK);
	check(KP_OP_SUBSCRIBE, "news", "validate=1 self=1 inbox=1023", KP_OK);
	EXPECT_NE(
	        check(KP_OP_SUBSCRIBE, "news", "validate=1 colour=3", KP_E_INVAL).find("colour=3"),
	        std::string::npos);
	for (auto bad : {"inbox=1024", "inbox=", "inbox=x", "self=2", "self", "=1", "validate=01x"})
		check(KP_OP_SUBSCRIBE, "news", bad, KP_E_INVAL);
	check(KP_OP_SUBSCRIBE, "", "", KP_E_INVAL);
	check(KP_OP_SUBSCRIBE, std::string(256, 'x'), "", KP_OK);
	check(KP_OP_SUBSCRIBE, std::string(257, 'x'), "", KP_E_INVAL);
	check(KP_OP_UNSUBSCRIBE, "\xff\xfe", "", KP_E_INVAL);
	check(KP_OP_ADD_PROTOCOL, "/chat/1", "", KP_OK);
	check(KP_OP_ADD_PROTOCOL, "/chat/1", " inbox=1023 ", KP_OK);
	for (auto bad : {"inbox=1024", "inbox=", "self=1", "validate=0", "inbox", "x"})
		check(KP_OP_ADD_PROTOCOL, "/chat/1", bad, KP_E_INVAL);
	for (auto bad : {"", "/", "chat", "/a\nb"})
		check(KP_OP_ADD_PROTOCOL, bad, "", KP_E_INVAL);
	for (kp_op op : {KP_OP_DHT_PROVIDE, KP_OP_DHT_FIND_PROVIDERS, KP_OP_DHT_PUT, KP_OP_DHT_GET})
		EXPECT_NE(check(op, "key", "", KP_E_NOTSUP).find("not supported yet"),
		          std::string::npos);
	EXPECT_NE(check((kp_op)12, "", "", KP_E_INVAL).find("12"), std::string::npos);
}

TEST(request, ping_measures)
{
	Net n;
	n.latency = KP_MS(20);
	Node &a = n.add(), &b = n.add();
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(1));
	int64_t t = a.request(KP_OP_PING, b.id());
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	auto e = a.completions(t)[0];
	EXPECT_EQ(e.code, 0) << e.get(KP_F_TEXT);
	EXPECT_GE(e.count, 40000);
	EXPECT_LT(e.count, 130000);
	t = a.request(KP_OP_PING, net::identity_peer(50));
	EXPECT_EQ(a.completions(t).at(0).code, KP_E_NOTFOUND);
	EXPECT_NE(a.completions(t)[0].get(KP_F_TEXT), "");
}

TEST(request, deadlines)
{
	Net n;
	Node &a = n.add({{"kad.mode", "off"}}), &b = n.add({{"kad.mode", "off"}});
	n.mute.insert("10.0.0.50 1");
	int64_t t = a.request(KP_OP_CONNECT, "/ip4/10.0.0.50/tcp/1", "", n.now + KP_MS(300));
	n.run(KP_MS(300) - 1);
	EXPECT_TRUE(a.completions(t).empty());
	n.run(1);
	ASSERT_EQ(a.completions(t).size(), 1u);
	EXPECT_EQ(a.completions(t)[0].code, KP_E_TIMEDOUT);
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(1));
	for (auto &end : b.ends)
		end.second->stuck = true;
	t = a.request(KP_OP_PING, b.id(), "", n.now + KP_MS(500));
	int64_t u = a.request(KP_OP_PING, b.id()); /* its own default: 10 s */
	n.run(KP_MS(500));
	ASSERT_EQ(a.completions(t).size(), 1u);
	EXPECT_EQ(a.completions(t)[0].code, KP_E_TIMEDOUT);
	n.run(KP_SEC(9));
	EXPECT_TRUE(a.completions(u).empty());
	n.run(KP_SEC(1));
	ASSERT_EQ(a.completions(u).size(), 1u);
	EXPECT_EQ(a.completions(u)[0].code, KP_E_TIMEDOUT);
	t = a.request(KP_OP_PING, b.id(), "", n.now); /* too late already */
	n.run(KP_MS(1));
	EXPECT_EQ(a.completions(t).at(0).code, KP_E_TIMEDOUT);
}

TEST(request, cancel_and_token_in_flight)
{
	Net n;
	Node &a = n.add();
	n.mute.insert("10.0.0.50 1");
	int64_t t = a.request(KP_OP_CONNECT, "/ip4/10.0.0.50/tcp/1");
	a.next_token = t;
	a.request(KP_OP_PING, net::identity_peer(9));
	a.request(KP_OP_CONNECT, "/ip4/10.0.0.50/tcp/2");
	a.next_token = t;
	a.request(KP_OP_CONNECT, "/ip4/10.0.0.50/tcp/2"); /* the token is taken */
	int rejected = 0;
	for (auto &e : a.completions(t))
		rejected += e.code == KP_E_INVAL;
	EXPECT_EQ(rejected, 2); /* PING needs the token only after its peer was found wanting */
	size_t before = a.completions(t).size();
	EXPECT_EQ(kp_engine_cancel(a.engine, n.now, t), KP_OK);
	a.pump();
	ASSERT_EQ(a.completions(t).size(), before + 1);
	EXPECT_EQ(a.completions(t).back().code, KP_E_CANCELED);
	EXPECT_EQ(kp_engine_cancel(a.engine, n.now, t), KP_E_NOTFOUND);
	EXPECT_EQ(kp_engine_cancel(a.engine, n.now, 12345), KP_E_NOTFOUND);
	n.run(KP_SEC(20));
	EXPECT_EQ(a.completions(t).size(), before + 1);
}

TEST(request, find_peer_through_the_dht_and_connect_by_id)
{
	Net n;
	Node &boot = n.add();
	Node &a = n.add({{"bootstrap", boot.addr()}}), &b = n.add({{"bootstrap", boot.addr()}});
	n.run(KP_SEC(15));
	int64_t t = a.request(KP_OP_DHT_FIND_PEER, b.id());
	ASSERT_TRUE(n.until(
	        [&] {
		        return !a.completions(t).empty() &&
		               !(a.completions(t).back().flags & KP_EVF_MORE);
	        },
	        KP_SEC(70)));
	auto all = a.completions(t);
	EXPECT_EQ(all.back().code, 0) << all.back().get(KP_F_TEXT);
	EXPECT_EQ(all.back().get(KP_F_ADDR), "/ip4/10.0.0.3/tcp/4001");
	EXPECT_EQ(all.back().get(KP_F_FROM), b.id());
	t = a.request(KP_OP_CONNECT, b.id());
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }, KP_SEC(70)));
	EXPECT_EQ(a.completions(t)[0].code, 0) << a.completions(t)[0].get(KP_F_TEXT);
	t = a.request(KP_OP_CONNECT, net::identity_peer(90));
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }, KP_SEC(70)));
	EXPECT_EQ(a.completions(t)[0].code, KP_E_NOTFOUND) << a.completions(t)[0].get(KP_F_TEXT);
	t = a.request(KP_OP_DHT_FIND_PEER, net::identity_peer(90));
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }, KP_SEC(70)));
	EXPECT_EQ(a.completions(t)[0].code, KP_E_NOTFOUND);
}

TEST(request, several_addresses_are_several_events)
{
	Net n;
	Node &a = n.add(), &b = n.add({{"listen", "/ip4/10.0.0.2/tcp/4001"},
	                               {"listen", "/ip4/10.0.0.2/tcp/4002"},
	                               {"listen", "/ip4/10.0.0.2/tcp/4003"}});
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(1));
	int64_t t = a.request(KP_OP_DHT_FIND_PEER, b.id());
	auto all = a.completions(t);
	ASSERT_EQ(all.size(), 3u);
	EXPECT_EQ(all[0].flags & KP_EVF_MORE, KP_EVF_MORE);
	EXPECT_EQ(all[1].flags & KP_EVF_MORE, KP_EVF_MORE);
	EXPECT_EQ(all[2].flags & KP_EVF_MORE, 0);
	EXPECT_EQ(all[2].get(KP_F_ADDR), "/ip4/10.0.0.2/tcp/4003");
}

TEST(request, without_a_dht)
{
	Net n;
	Node &a = n.add({{"kad.mode", "off"}});
	int64_t t = a.request(KP_OP_DHT_FIND_PEER, net::identity_peer(90));
	EXPECT_EQ(a.completions(t).at(0).code, KP_E_NOTSUP);
	t = a.request(KP_OP_CONNECT, net::identity_peer(90));
	EXPECT_EQ(a.completions(t).at(0).code, KP_E_NOTFOUND);
	EXPECT_NE(a.completions(t)[0].get(KP_F_TEXT).find("kad.mode"), std::string::npos);
}

TEST(request, user_protocols_carry_direct_messages)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	int64_t t = b.request(KP_OP_ADD_PROTOCOL, "/chat/1");
	EXPECT_EQ(b.completions(t).at(0).code, 0);
	t = b.request(KP_OP_ADD_PROTOCOL, "/chat/1");
	EXPECT_EQ(b.completions(t).at(0).code, KP_E_DUPLICATE);
	t = a.send(b, "/chat/1", "too early");
	EXPECT_EQ(a.completions(t).at(0).code, KP_E_NOTFOUND);
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(1));
	EXPECT_NE(b.info("self").find("/chat/1"), std::string::npos);
	t = a.send(b, "/chat/1", "hello");
	n.run(KP_SEC(3));
	ASSERT_EQ(a.completions(t).size(), 1u);
	EXPECT_EQ(a.completions(t)[0].code, 0) << a.completions(t)[0].get(KP_F_TEXT);
	auto got = b.of_type(KP_EV_MESSAGE);
	ASSERT_EQ(got.size(), 1u);
	EXPECT_EQ(got[0].get(KP_F_PAYLOAD), "hello");
	EXPECT_EQ(got[0].get(KP_F_PROTOCOL), "/chat/1");
	EXPECT_EQ(got[0].get(KP_F_FROM), a.id());
}

TEST(request, direct_messages_have_back_pressure)
{
	Net n;
	Node &a = n.add({{"kad.mode", "off"}}), &b = n.add({{"kad.mode", "off"}});
	b.request(KP_OP_ADD_PROTOCOL, "/bulk/1");
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(1));
	std::string target = b.id() + std::string(1, 0) + "/bulk/1";
	std::string data(50000, 'x');
	size_t sent = 0;
	for (bool ready = true; ready && sent < 2000; sent++) {
		kp_pub *p = kp_pub_new(a.pool, net::str(target), net::str(data), 0);
		ready = kp_engine_send_ready(a.engine, n.now, p);
		if (ready)
			kp_engine_send(a.engine, n.now, p);
		else
			kp_pub_free(p);
	}
	EXPECT_GT(sent, 20u);
	EXPECT_LT(sent, 2000u);
	a.pump();
	n.run(KP_SEC(5));
	EXPECT_EQ(b.of_type(KP_EV_MESSAGE).size(), sent - 1);
	kp_pub *p = kp_pub_new(a.pool, net::str(target), net::str(data), 0);
	EXPECT_TRUE(kp_engine_send_ready(a.engine, n.now, p));
	kp_pub_free(p);
}

/* inbox.policy=block: nothing is lost, and the sender feels it, while the inbox is held. */
TEST(request, held_direct_messages_wait_at_their_sender)
{
	Net n;
	Node &a = n.add({{"kad.mode", "off"}}),
	     &b = n.add({{"kad.mode", "off"}, {"inbox.policy", "block"}, {"idle_timeout", "5"}});
	b.request(KP_OP_ADD_PROTOCOL, "/bulk/1", "inbox=2");
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(1));
	const std::string data(50000, 'x');
	const size_t total = 60; /* 3 MB: far more than a stream's first window */
	kp_engine_hold_direct(b.engine, n.now, 2, true);
	std::vector<int64_t> tokens;
	for (size_t i = 0; i < total; i++)
		tokens.push_back(a.send(b, "/bulk/1", data));
	n.run(KP_SEC(20));
	EXPECT_TRUE(a.connected(b)) << "not idle while something waits";
	EXPECT_EQ(b.of_type(KP_EV_MESSAGE).size(), 0u);
	EXPECT_TRUE(a.completions(tokens.back()).empty()) << "it fits into no window";
	for (int i = 0; i < 100 && b.of_type(KP_EV_MESSAGE).size() < total; i++) {
		kp_engine_hold_direct(b.engine, n.now, 2, false); /* after each burst */
		b.pump();
		n.run(KP_MS(100));
	}
	ASSERT_EQ(b.of_type(KP_EV_MESSAGE).size(), total);
	EXPECT_EQ(b.of_type(KP_EV_MESSAGE)[0].inbox, 2);
	EXPECT_EQ(a.completions(tokens.back()).at(0).code, 0);
	EXPECT_EQ(b.stat(KP_STAT_app_holds), 1u) << "a burst is no full inbox";
}

TEST(request, a_protocol_that_nobody_serves)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(1));
	int64_t t = a.send(b, "/other/1", "nobody serves this");
	n.run(KP_SEC(3));
	ASSERT_EQ(a.completions(t).size(), 1u);
	/* `na`, or the reset that follows when our bytes are read as another proposal */
	int code = a.completions(t)[0].code;
	EXPECT_TRUE(code == KP_E_NOTSUP || code == KP_E_PROTO) << code;
}

/* 100 schedules: whatever happens first, one completion each. */
TEST(request, exactly_one_completion_in_random_schedules)
{
	for (unsigned seed = 1; seed <= 100; seed++) {
		Net n;
		uint8_t bytes[32] = {(uint8_t)seed};
		kp_rng rng;
		kp_rng_init(&rng, bytes);
		Node &a = n.add(), &b = n.add();
		n.mute.insert("10.0.0.50 1");
		std::vector<int64_t> tokens;
		for (int i = 0; i < 40; i++) {
			switch (kp_rng_below(&rng, 9)) {
			case 0:
				tokens.push_back(a.request(KP_OP_CONNECT, b.addr()));
				break;
			case 1:
				tokens.push_back(a.request(KP_OP_CONNECT, "/ip4/10.0.0.50/tcp/1",
				                           "",
				                           n.now + KP_MS(kp_rng_below(&rng, 500))));
				break;
			case 2:
				tokens.push_back(a.request(KP_OP_PING, b.id(), "",
				                           n.now + KP_MS(kp_rng_below(&rng, 9))));
				break;
			case 3:
				tokens.push_back(a.send(b, "/chat/1", "x"));
				break;
			case 4:
				tokens.push_back(
				        a.request(KP_OP_DHT_FIND_PEER, net::identity_peer(88)));
				break;
			case 5:
				if (!tokens.empty())
					kp_engine_cancel(a.engine, n.now,
					                 tokens[kp_rng_below(&rng, tokens.size())]);
				a.pump();
				break;
			case 6:
				tokens.push_back(a.request(KP_OP_DISCONNECT, b.id()));
				break;
			case 7:
				b.request(KP_OP_ADD_PROTOCOL, "/chat/1");
				break;
			default:
				n.run(KP_MS(kp_rng_below(&rng, 30)));
			}
		}
		n.run(KP_MS(kp_rng_below(&rng, 100)));
		a.stop(KP_MS(kp_rng_below(&rng, 50)));
		ASSERT_TRUE(n.until([&] { return kp_engine_stopped(a.engine); }));
		for (int64_t t : tokens)
			ASSERT_EQ(a.completions(t).size(), 1u) << "seed " << seed << " token " << t;
		EXPECT_EQ(a.events.back().type, KP_EV_CLOSED);
	}
}
