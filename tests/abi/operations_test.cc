/* What becomes of published messages, direct messages, requests and introspection. */
#include "abi_kit.h"

#include <map>

namespace
{

using kit::Error;
using kit::Event;
using kit::eventually;
using kit::Keys;
using kit::local;
using kit::Node;
using kit::Pair;
using kit::publish_numbers;

/* --- the fate of a message --- */

TEST(Fate, HeldForTheFirstSubscriber)
{
	Node a, b(local({{"topic", "news"}}));
	for (int64_t i = 1; i <= 3; i++)
		ASSERT_EQ(a.publish("news", std::to_string(i), i), 0);
	a.connect(b);
	for (int64_t i = 1; i <= 3; i++) {
		Event m = b.wait_type(KP2P_EV_MESSAGE), done = a.wait_final(i);
		ASSERT_TRUE(m && done);
		EXPECT_EQ(m.bytes(KP2P_F_PAYLOAD), std::to_string(i));
		EXPECT_EQ(done.code(), 0);
		EXPECT_EQ(done.integer(KP2P_F_COUNT), 1);
	}
}

TEST(Fate, Duplicate)
{
	Pair p;
	ASSERT_EQ(p.a.publish("news", "same", 1), 0);
	ASSERT_EQ(p.a.publish("news", "same", 2), 0);
	Event first = p.a.wait_final(1), second = p.a.wait_final(2);
	ASSERT_TRUE(first && second);
	EXPECT_EQ(first.code(), 0);
	EXPECT_EQ(second.code(), KP2P_EDUPLICATE);
	EXPECT_EQ(second.bytes(KP2P_F_ID), first.bytes(KP2P_F_ID));
	ASSERT_EQ(p.a.publish("news", "other"), 0);
	EXPECT_TRUE(p.b.wait_message("same"));
	Event next = p.b.wait_type(KP2P_EV_MESSAGE);
	EXPECT_EQ(next.bytes(KP2P_F_PAYLOAD), "other") << "it was sent twice";
}

/* One publish that nobody takes; its PUBLISHED. */
Event lonely(
        Node &n, const std::function<void()> &then = [] {})
{
	EXPECT_EQ(n.publish("nobody", "x", 5), 0);
	then();
	Event ev = n.wait_final(5);
	EXPECT_TRUE(ev);
	EXPECT_EQ(ev.integer(KP2P_F_COUNT), 0);
	return ev;
}

TEST(Fate, NoPeers)
{
	Node n(local({{"publish.hold", "0"}}));
	EXPECT_EQ(lonely(n).code(), KP2P_ENOPEERS);
}

TEST(Fate, Expired)
{
	Node n(local({{"publish.hold", "50ms"}}));
	EXPECT_EQ(lonely(n).code(), KP2P_EEXPIRED);
}

TEST(Fate, Canceled)
{
	Node n;
	EXPECT_EQ(lonely(n, [&] { EXPECT_EQ(kp2p_node_cancel(n, 5), 0); }).code(), KP2P_ECANCELED);
	EXPECT_EQ(kp2p_node_cancel(n, 5), KP2P_ENOTFOUND);
}

/* It waits, signed, for somebody who subscribes. */
TEST(Fate, CanceledWhileHeld)
{
	Node n, other;
	ASSERT_EQ(n.publish("t", "a", 5), 0);
	ASSERT_EQ(n.publish("t", "b", 6), 0);
	ASSERT_TRUE(eventually([&] { return n.stat("publish_held") == 2; }));
	EXPECT_EQ(kp2p_node_cancel(n, 5), 0);
	Event end = n.wait_final(5);
	ASSERT_TRUE(end);
	EXPECT_EQ(end.type(), KP2P_EV_PUBLISHED);
	EXPECT_EQ(end.code(), KP2P_ECANCELED);
	EXPECT_EQ(end.bytes(KP2P_F_TOPIC), "t");
	EXPECT_EQ(kp2p_node_cancel(n, 5), KP2P_ENOTFOUND);
	other.must(KP2P_OP_SUBSCRIBE, "t");
	n.connect(other);
	EXPECT_EQ(n.wait_final(6).code(), 0);
	Event m = other.wait_type(KP2P_EV_MESSAGE);
	EXPECT_EQ(m.bytes(KP2P_F_PAYLOAD), "b");
	EXPECT_EQ(n.stat("publish_canceled"), 1);
	EXPECT_EQ(n.close(0), 0);
	for (Event ev; ev.type() != KP2P_EV_CLOSED; ev = Event(kp2p_node_poll(n, 0, -1)))
		EXPECT_NE(ev.token(), 5) << "a second end";
}

TEST(Fate, Closed)
{
	Node n;
	EXPECT_EQ(lonely(n, [&] { EXPECT_EQ(n.close(0), 0); }).code(), KP2P_ECLOSED);
}

TEST(Fate, OutboxIsDrainedByClose)
{
	Pair p;
	const int n = kit::times(2000, 300);
	ASSERT_EQ(publish_numbers(p.a, "news", 0, n, 1, -1), n);
	EXPECT_EQ(p.a.close(20000), 0);
	int sent = 0;
	for (int64_t token = 1; token <= n; token++)
		sent += p.a.wait_final(token).code() == 0;
	EXPECT_EQ(sent, n);
	for (int i = 0; i < n; i++)
		ASSERT_TRUE(p.b.wait_message(std::to_string(i))) << i << " of " << n;
}

/* --- direct messages --- */

TEST(Direct, ArrivesWithItsProtocol)
{
	Pair p;
	p.b.must(KP2P_OP_ADD_PROTOCOL, "/chat/1");
	const std::string data("\0hi\xff", 4);
	ASSERT_EQ(p.a.send(p.b.id(), "/chat/1", data, 6), 0);
	Event m = p.b.wait_type(KP2P_EV_MESSAGE), done = p.a.wait_final(6);
	ASSERT_TRUE(m && done);
	EXPECT_EQ(done.type(), KP2P_EV_COMPLETE);
	EXPECT_EQ(done.code(), 0) << done.bytes(KP2P_F_TEXT);
	EXPECT_EQ(m.bytes(KP2P_F_PROTOCOL), "/chat/1");
	EXPECT_EQ(m.bytes(KP2P_F_FROM), p.a.id());
	EXPECT_EQ(m.bytes(KP2P_F_PAYLOAD), data);
	EXPECT_FALSE(m.has(KP2P_F_TOPIC));
	ASSERT_EQ(p.a.send(p.b.id(), "/chat/1", "", 7), 0);
	Event empty = p.b.wait_type(KP2P_EV_MESSAGE);
	ASSERT_TRUE(empty);
	EXPECT_TRUE(empty.has(KP2P_F_PAYLOAD)) << "empty is not missing";
	EXPECT_EQ(empty.bytes(KP2P_F_PAYLOAD), "");
}

TEST(Direct, ManyInOrder)
{
	Pair p;
	p.b.must(KP2P_OP_ADD_PROTOCOL, "/chat/1");
	std::string id = p.b.id();
	for (int i = 0; i < 300; i++)
		ASSERT_EQ(p.a.send(id, "/chat/1", std::to_string(i), 1 + i, -1), 0);
	for (int i = 0; i < 300; i++) {
		Event m = p.b.wait_type(KP2P_EV_MESSAGE), done = p.a.wait_final(1 + i);
		ASSERT_TRUE(m && done);
		EXPECT_EQ(m.bytes(KP2P_F_PAYLOAD), std::to_string(i));
		EXPECT_EQ(done.code(), 0);
	}
}

TEST(Direct, AnInboxOfItsOwn)
{
	Pair p;
	p.b.must(KP2P_OP_ADD_PROTOCOL, "/chat/1", "inbox=5");
	p.b.must(KP2P_OP_ADD_PROTOCOL, "/chat/2");
	Error err;
	EXPECT_EQ(kp2p_node_request(p.b, KP2P_OP_ADD_PROTOCOL, "/x/1", SIZE_MAX, "inbox=5 self=1",
	                            14, 0, 0, err),
	          KP2P_EINVAL);
	EXPECT_NE(err.text().find("self=1"), std::string::npos) << err.text();
	ASSERT_EQ(p.a.send(p.b.id(), "/chat/1", "five", 1), 0);
	ASSERT_EQ(p.a.send(p.b.id(), "/chat/2", "zero", 2), 0);
	Event five = p.b.wait_message("five", 5), zero = p.b.wait_message("zero");
	ASSERT_TRUE(five && zero);
	EXPECT_EQ(five.integer(KP2P_F_INBOX), 5);
	EXPECT_EQ(zero.integer(KP2P_F_INBOX), 0);
}

TEST(Direct, FailuresComplete)
{
	Pair p;
	ASSERT_EQ(p.a.send(p.b.id(), "/nobody/serves/this", "x", 1), 0);
	Event unknown = p.a.wait_final(1);
	ASSERT_TRUE(unknown);
	EXPECT_EQ(unknown.code(), KP2P_ENOTSUP) << kp2p_strerror(unknown.code());
	ASSERT_EQ(
	        p.a.send("12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms", "/chat/1", "x", 2),
	        0);
	Event stranger = p.a.wait_final(2);
	ASSERT_TRUE(stranger);
	EXPECT_EQ(stranger.code(), KP2P_ENOTFOUND) << kp2p_strerror(stranger.code());
	EXPECT_NE(stranger.bytes(KP2P_F_TEXT), "");
}

/* --- requests --- */

TEST(Requests, ConnectTellsPeerAndAddress)
{
	Node a, b;
	Event done = a.ask(KP2P_OP_CONNECT, b.address());
	ASSERT_TRUE(done);
	EXPECT_EQ(done.code(), 0);
	EXPECT_EQ(done.bytes(KP2P_F_FROM), b.id());
	EXPECT_NE(done.bytes(KP2P_F_ADDR).find("/ip4/127.0.0.1/tcp/"), std::string::npos);
	Event again = a.ask(KP2P_OP_CONNECT, b.id());
	ASSERT_TRUE(again);
	EXPECT_EQ(again.code(), 0) << "connected already";
}

TEST(Requests, ConnectFailuresSayWhy)
{
	Node a, b;
	std::string at = b.address(), bare = at.substr(0, at.find("/p2p/"));
	Event wrong = a.ask(KP2P_OP_CONNECT,
	                    bare + "/p2p/12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms");
	ASSERT_TRUE(wrong);
	EXPECT_EQ(wrong.code(), KP2P_EPEERID) << wrong.bytes(KP2P_F_TEXT);
	EXPECT_NE(wrong.bytes(KP2P_F_TEXT), "");
	EXPECT_EQ(b.close(0), 0);
	Event nobody = a.ask(KP2P_OP_CONNECT, at);
	ASSERT_TRUE(nobody);
	EXPECT_EQ(nobody.code(), KP2P_EUNREACHABLE) << nobody.bytes(KP2P_F_TEXT);
	EXPECT_NE(nobody.bytes(KP2P_F_TEXT), "");
	Event unknown =
	        a.ask(KP2P_OP_CONNECT, "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms");
	ASSERT_TRUE(unknown);
	EXPECT_EQ(unknown.code(), KP2P_ENOTFOUND);
}

TEST(Requests, Ping)
{
	Pair p;
	Event done = p.a.ask(KP2P_OP_PING, p.b.id());
	ASSERT_TRUE(done);
	EXPECT_EQ(done.code(), 0);
	EXPECT_GT(done.integer(KP2P_F_RTT_US), 0);
	EXPECT_LT(done.integer(KP2P_F_RTT_US), 20000000);
	Event nobody =
	        p.a.ask(KP2P_OP_PING, "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms");
	ASSERT_TRUE(nobody);
	EXPECT_EQ(nobody.code(), KP2P_ENOTFOUND);
	EXPECT_NE(nobody.bytes(KP2P_F_TEXT), "");
}

TEST(Requests, PeerEventsComeWhenAskedFor)
{
	Node a(local({{"events", "peers"}})), b;
	a.connect(b);
	Event up = a.wait_type(KP2P_EV_PEER_UP);
	ASSERT_TRUE(up);
	EXPECT_EQ(up.bytes(KP2P_F_FROM), b.id());
	EXPECT_TRUE(up.has(KP2P_F_ADDR));
	a.must(KP2P_OP_DISCONNECT, b.id());
	Event down = a.wait_type(KP2P_EV_PEER_DOWN);
	ASSERT_TRUE(down);
	EXPECT_EQ(down.bytes(KP2P_F_FROM), b.id());
	EXPECT_NE(down.bytes(KP2P_F_TEXT), "");
	EXPECT_EQ(a.json("peers").size(), 0u);
	Event again = a.ask(KP2P_OP_DISCONNECT, b.id());
	EXPECT_EQ(again.code(), KP2P_ENOTFOUND);
	EXPECT_EQ(b.close(0), 0);
	for (Event ev; ev.type() != KP2P_EV_CLOSED;) {
		ev = Event(kp2p_node_poll(b, 0, -1));
		EXPECT_NE(ev.type(), KP2P_EV_PEER_UP);
		EXPECT_NE(ev.type(), KP2P_EV_PEER_DOWN);
	}
}

TEST(Requests, FindPeerGivesAddresses)
{
	Keys kad = {{"listen", "/ip4/127.0.0.1/tcp/0"}, {"workers", "1"}};
	Node a(kad), b(kad), c(kad);
	a.connect(b);
	c.connect(b);
	ASSERT_TRUE(eventually([&] {
		return b.json("routing")["size"].number() == 2 &&
		       a.json("routing")["size"].number() >= 1;
	}));
	ASSERT_EQ(a.request(KP2P_OP_DHT_FIND_PEER, c.id(), "", 3, kit::patience_ms), 0);
	std::vector<std::string> addrs;
	for (bool more = true; more;) {
		Event ev = a.wait([](const Event &e) { return e.type() == KP2P_EV_COMPLETE; });
		ASSERT_TRUE(ev);
		EXPECT_EQ(ev.token(), 3);
		EXPECT_EQ(ev.code(), 0) << ev.bytes(KP2P_F_TEXT);
		EXPECT_EQ(ev.bytes(KP2P_F_FROM), c.id());
		addrs.push_back(ev.bytes(KP2P_F_ADDR));
		more = (ev.integer(KP2P_F_FLAGS) & KP2P_FLAG_MORE) != 0;
	}
	std::string want = c.address().substr(0, c.address().find("/p2p/"));
	EXPECT_TRUE(std::any_of(addrs.begin(), addrs.end(), [&](const std::string &s) {
		return s.compare(0, want.size(), want) == 0;
	}));
}

TEST(Requests, WhatIsNotBuiltSaysSo)
{
	Node n;
	for (int op = KP2P_OP_DHT_PROVIDE; op <= KP2P_OP_DHT_GET; op++) {
		Error err;
		EXPECT_EQ(kp2p_node_request(n, op, "k", 1, "v", 1, 0, 1, err), KP2P_ENOTSUP) << op;
		EXPECT_NE(err.text(), "");
	}
}

TEST(Requests, ArgumentsMayHaveALengthOrEndWithNul)
{
	Node n;
	EXPECT_EQ(kp2p_node_request(n, KP2P_OP_SUBSCRIBE, "topic", SIZE_MAX, "self=1", 6, 0, 1,
	                            nullptr),
	          0);
	EXPECT_EQ(n.wait_final(1).code(), 0);
	EXPECT_EQ(kp2p_node_request(n, KP2P_OP_SUBSCRIBE, "topicX", 5, nullptr, 0, 0, 2, nullptr),
	          0);
	EXPECT_EQ(n.wait_final(2).code(), 0);
	EXPECT_EQ(n.json("topics").size(), 1u);
}

/* --- introspection --- */

TEST(Info, MembersAreThere)
{
	Pair p(Keys{{"topic", "news"}, {"agent", "tester/1"}});
	p.a.must(KP2P_OP_SUBSCRIBE, "news", "inbox=3");
	ASSERT_TRUE(p.a.wait_mesh("news", 1));
	vectors::Json self = p.a.json("self"), topics = p.a.json("topics");
	EXPECT_EQ(self["peer_id"].str(), p.a.id());
	EXPECT_EQ(self["agent"].str(), "tester/1");
	EXPECT_TRUE(self["protocols"].lists("/ipfs/ping/1.0.0"));
	EXPECT_TRUE(p.a.json("addresses").lists(p.a.address().c_str()));
	ASSERT_EQ(topics.size(), 1u);
	const vectors::Json &topic = topics[size_t{0}];
	EXPECT_EQ(topic["topic"].str(), "news");
	EXPECT_EQ(topic["mesh"].number(), 1);
	EXPECT_EQ(topic["subscribers"].number(), 1);
	EXPECT_EQ(topic["inbox"].number(), 3);
	EXPECT_EQ(p.a.json("routing")["mode"].str(), "off");
	EXPECT_TRUE(p.a.json("routing").has("size") && p.a.json("routing").has("buckets"));
	EXPECT_EQ(p.a.json("config")["agent"].str(), "tester/1");
	EXPECT_EQ(p.a.json("threads").number(), 2);
	EXPECT_EQ(p.a.info("version"), kp2p_version());
	vectors::Json peers = p.a.json("peers");
	ASSERT_EQ(peers.size(), 1u);
	const vectors::Json &peer = peers[size_t{0}];
	for (const char *name :
	     {"peer", "addrs", "direction", "agent", "rtt_us", "topics", "mesh", "score"})
		EXPECT_TRUE(peer.has(name)) << name;
	EXPECT_EQ(peer["peer"].str(), p.b.id());
	EXPECT_EQ(peer["direction"].str(), "out");
	EXPECT_TRUE(peer["topics"].lists("news"));
	EXPECT_TRUE(peer["mesh"].lists("news"));
	vectors::Json stats = p.a.json("stats");
	EXPECT_GT(stats.size(), 20u);
	for (const char *name :
	     {"connections", "inbox_messages", "inbox_dropped", "outbox_messages"})
		EXPECT_TRUE(stats.has(name)) << name;
}

/* Text after a key may repeat it, a key in one object may not. */
std::string repeated_key(const std::string &json)
{
	std::vector<std::set<std::string>> objects;
	for (size_t i = 0; i < json.size(); i++) {
		if (json[i] == '{')
			objects.emplace_back();
		else if (json[i] == '}')
			objects.pop_back();
		if (json[i] != '"')
			continue;
		size_t from = ++i;
		for (; json[i] != '"'; i++)
			i += json[i] == '\\';
		std::string text = json.substr(from, i - from);
		if (json[i + 1] == ':' && !objects.back().insert(text).second)
			return text;
	}
	return "";
}

TEST(Info, NamesAndAddressesAreShownOnce)
{
	EXPECT_EQ(repeated_key("{\"a\":{\"a\":1},\"b\":[{\"a\":2},\"a\"],\"a\":3}"), "a");
	Pair p(Keys{{"topic", "news"}});
	ASSERT_TRUE(p.a.wait_mesh("news", 1));
	for (const char *what : {"self", "peers", "topics", "routing", "stats", "config"})
		EXPECT_EQ(repeated_key(p.a.info(what)), "") << what;
	ASSERT_TRUE(eventually([&] { return p.a.stat("identify_received") > 0; }));
	vectors::Json peers = p.a.json("peers");
	std::set<std::string> seen;
	for (const vectors::Json &addr : peers[size_t{0}]["addrs"])
		EXPECT_TRUE(seen.insert(addr.str()).second) << addr.str();
	EXPECT_EQ(seen.size(), 1u);
}

/* After close: what held when the end began. */
TEST(Info, AfterCloseIsTheLastSnapshot)
{
	Pair p(Keys{{"topic", "news"}});
	ASSERT_TRUE(p.a.wait_mesh("news", 1));
	std::map<std::string, std::string> before;
	for (const char *what :
	     {"self", "addresses", "listen_addrs", "topics", "config", "peer_id"})
		before[what] = p.a.info(what);
	EXPECT_NE(before["listen_addrs"], "");
	EXPECT_EQ(p.a.close(2000), 0);
	for (const auto &[what, text] : before)
		EXPECT_EQ(p.a.info(what.c_str()), text) << what;
	vectors::Json peers = p.a.json("peers");
	ASSERT_EQ(peers.size(), 1u);
	EXPECT_EQ(peers[size_t{0}]["peer"].str(), p.b.id());
	EXPECT_EQ(p.a.info("threads"), "0");
	EXPECT_EQ(p.a.stat("conns_closed"), 1) << "the numbers are the final ones";
	Node unstarted(local(), false);
	EXPECT_EQ(unstarted.close(0), 0);
	EXPECT_EQ(unstarted.info("listen_addrs"), "");
	EXPECT_EQ(unstarted.json("addresses").size(), 0u);
}

TEST(Info, SecretsAreNotShown)
{
	Error err;
	std::string key = kit::own_text(kp2p_key_generate(KP2P_KEY_ED25519, err));
	ASSERT_NE(key, "");
	Node n(local({{"identity", key}}));
	EXPECT_EQ(n.id(), kit::own_text(kp2p_key_peer_id(key.c_str(), err)));
	EXPECT_EQ(n.info("config").find(key.substr(0, 40)), std::string::npos);
}

TEST(Info, StatsAndLogsAreEventsWhenAskedFor)
{
	Node n(local(
	        {{"events", "stats,log"}, {"stats.interval", "20ms"}, {"log.level", "debug"}}));
	Event stats = n.wait_type(KP2P_EV_STATS);
	ASSERT_TRUE(stats);
	EXPECT_TRUE(vectors::parse(stats.bytes(KP2P_F_TEXT)).has("connections"));
	n.ask(KP2P_OP_CONNECT, "/ip4/127.0.0.1/tcp/1"); /* something to log */
	Event log = n.wait_type(KP2P_EV_LOG);
	ASSERT_TRUE(log);
	EXPECT_NE(log.bytes(KP2P_F_TEXT), "");
	EXPECT_GE(log.code(), KP2P_LOG_ERROR);
	EXPECT_LE(log.code(), KP2P_LOG_DEBUG);
}

TEST(Keys, TextPeerIdAndCid)
{
	Error err;
	std::string key = kit::own_text(kp2p_key_generate(KP2P_KEY_ED25519, err));
	std::string id = kit::own_text(kp2p_key_peer_id(key.c_str(), err));
	EXPECT_EQ(id.compare(0, 8, "12D3KooW"), 0) << id;
	EXPECT_NE(kit::own_text(kp2p_key_generate(KP2P_KEY_ED25519, err)), key);
	EXPECT_EQ(kit::own_text(kp2p_peer_id_parse(id.c_str(), err)), id);
	/* the same id as CIDv1 (libp2p specs, peer-ids) */
	EXPECT_EQ(kit::own_text(kp2p_peer_id_parse(
	                  "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe", err)),
	          "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N");
	EXPECT_EQ(kp2p_key_generate(99, err), nullptr);
	EXPECT_EQ(err.code(), KP2P_ENOTSUP);
}

} // namespace
