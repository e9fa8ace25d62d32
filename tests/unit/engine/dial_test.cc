/* Dialling: ranking and its clock, back-off, names, limits. */
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/net.h"

using net::Net;
using net::Node;

static const std::string nobody = net::identity_peer(77);

static kp_err service_dial(Node &a, const std::string &peer, const std::string &addr)
{
	kp_peer_id id = {};
	kp_maddr m = {};
	EXPECT_EQ(kp_peer_id_parse_text(net::str(peer), &id), KP_OK);
	if (!addr.empty()) {
		EXPECT_EQ(kp_maddr_parse_text(net::str(addr), &m, nullptr), KP_OK);
	}
	kp_err err = kp_host_dial(&a.engine->host, a.net->now, &id, &m, addr.empty() ? 0 : 1);
	a.pump();
	return err;
}

TEST(dial, ranking_and_stagger_to_the_nanosecond)
{
	Net n;
	n.names["A h.example"] = {"8.8.8.8", "10.0.0.9"};
	n.names["AAAA h.example"] = {"2606:4700::1", "fd00::1"};
	for (auto a : {"8.8.8.8 4001", "10.0.0.9 4001", "2606:4700::1 4001", "fd00::1 4001"})
		n.blackhole.insert(a);
	Node &a = n.add({{"handshake.timeout", "20s"}});
	kp_time asked = n.now;
	int64_t t = a.request(KP_OP_CONNECT, "/dns/h.example/tcp/4001/p2p/" + nobody);
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }, KP_SEC(60)));
	EXPECT_EQ(a.completions(t)[0].code, KP_E_TIMEDOUT);
	EXPECT_EQ(a.completions(t)[0].at, asked + KP_SEC(15));
	auto d = a.dials();
	ASSERT_EQ(d.size(), 4u);
	kp_time t0 = asked + n.dns_latency;
	EXPECT_EQ(d[0].what, "fd00::1 4001");
	EXPECT_EQ(d[0].at, t0);
	EXPECT_EQ(d[1].what, "10.0.0.9 4001");
	EXPECT_EQ(d[1].at, t0 + KP_MS(30));
	EXPECT_EQ(d[2].what, "2606:4700::1 4001");
	EXPECT_EQ(d[2].at, t0 + KP_MS(60));
	EXPECT_EQ(d[3].what, "8.8.8.8 4001");
	EXPECT_EQ(d[3].at, t0 + KP_MS(310));
}

TEST(dial, a_refused_address_is_followed_at_once)
{
	Net n;
	n.names["A h.example"] = {"8.8.8.8", "8.8.4.4"};
	Node &a = n.add();
	int64_t t = a.request(KP_OP_CONNECT, "/dns4/h.example/tcp/4001/p2p/" + nobody);
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	EXPECT_EQ(a.completions(t)[0].code, KP_E_UNREACHABLE);
	EXPECT_NE(a.completions(t)[0].get(KP_F_TEXT).find("/ip4/8.8.4.4/tcp/4001: unreachable"),
	          std::string::npos)
	        << a.completions(t)[0].get(KP_F_TEXT);
	auto d = a.dials();
	ASSERT_EQ(d.size(), 2u);
	EXPECT_EQ(d[1].at, d[0].at + n.latency);
	EXPECT_EQ(a.stat(KP_STAT_dials_failed), 1u);
}

TEST(dial, first_finished_upgrade_wins_and_the_rest_are_cancelled)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	n.names["A h.example"] = {"10.0.0.50", "10.0.0.2"};
	n.blackhole.insert("10.0.0.50 4001");
	int64_t t = a.request(KP_OP_CONNECT, "/dns4/h.example/tcp/4001/p2p/" + b.id());
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	EXPECT_EQ(a.completions(t)[0].code, 0);
	EXPECT_EQ(a.completions(t)[0].get(KP_F_ADDR), "/ip4/10.0.0.2/tcp/4001");
	auto d = a.dials(), c = a.of_kind(KP_ACT_CLOSE);
	ASSERT_EQ(d.size(), 2u);
	ASSERT_EQ(c.size(), 1u);
	EXPECT_TRUE(kp_id_eq(c[0].id, d[0].id));
	EXPECT_EQ(a.stat(KP_STAT_dials_failed), 0u);
	n.run(KP_SEC(1));
	EXPECT_EQ(a.ends.size(), 1u);
}

TEST(dial, the_wrong_peer_at_one_address_does_not_stop_the_other)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	Node &c = n.add();
	(void)c;
	n.names["A h.example"] = {"10.0.0.3", "10.0.0.2"};
	int64_t t = a.request(KP_OP_CONNECT, "/dns4/h.example/tcp/4001/p2p/" + b.id());
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	EXPECT_EQ(a.completions(t)[0].code, 0);
	EXPECT_EQ(a.stat(KP_STAT_wrong_peer_id), 1u);
}

TEST(dial, back_off_doubles_from_5_s_to_5_min_and_is_forgotten_after_an_hour)
{
	Net n;
	Node &a = n.add();
	std::string addr = "/ip4/10.0.0.66/tcp/1";
	kp_time waits[] = {KP_SEC(5),  KP_SEC(10),  KP_SEC(20),  KP_SEC(40),
	                   KP_SEC(80), KP_SEC(160), KP_SEC(300), KP_SEC(300)};
	for (kp_time wait : waits) {
		uint64_t failed = a.stat(KP_STAT_dials_failed);
		ASSERT_EQ(service_dial(a, nobody, addr), KP_OK);
		ASSERT_TRUE(n.until([&] { return a.stat(KP_STAT_dials_failed) > failed; }));
		kp_time at = n.now;
		n.run(at + wait - 1 - n.now);
		EXPECT_EQ(service_dial(a, nobody, addr), KP_E_AGAIN) << wait;
		n.run(1);
	}
	EXPECT_EQ(a.stat(KP_STAT_dials_backed_off), KP_COUNT_OF(waits));
	n.run(KP_SEC(3700));
	ASSERT_EQ(service_dial(a, nobody, addr), KP_OK);
	n.run(KP_SEC(5) + n.latency - 1);
	EXPECT_EQ(service_dial(a, nobody, addr), KP_E_AGAIN);
	n.run(1);
	EXPECT_EQ(service_dial(a, nobody, addr), KP_OK);
}

/* We had no descriptor for it: said as it is, counted, and no reason to leave the peer alone. */
TEST(dial, a_peer_is_not_backed_off_for_our_want_of_descriptors)
{
	Net n;
	Node &a = n.add();
	std::string addr = "/ip4/10.0.0.66/tcp/1";
	n.broken["10.0.0.66 1"] = KP_E_LIMIT;
	for (uint64_t i = 1; i <= 3; i++) {
		ASSERT_EQ(service_dial(a, nobody, addr), KP_OK);
		ASSERT_TRUE(n.until([&] { return a.stat(KP_STAT_dials_failed) == i; }));
		EXPECT_EQ(a.stat(KP_STAT_dials_no_fd), i);
	}
	int64_t t = a.request(KP_OP_CONNECT, addr + "/p2p/" + nobody);
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	EXPECT_EQ(a.completions(t)[0].code, KP_E_LIMIT);
	EXPECT_EQ(a.completions(t)[0].get(KP_F_TEXT), addr + ": no file descriptor is left");
	n.broken.clear();
	ASSERT_EQ(service_dial(a, nobody, addr), KP_OK);
	ASSERT_TRUE(n.until([&] { return a.stat(KP_STAT_dials_failed) == 5; }));
	EXPECT_EQ(service_dial(a, nobody, addr), KP_E_AGAIN) << "now it was unreachable";
}

TEST(dial, what_a_service_may_not_dial)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	EXPECT_EQ(service_dial(a, nobody, ""), KP_E_NOTFOUND);
	EXPECT_EQ(service_dial(a, a.id(), a.addr()), KP_E_NOTFOUND);
	EXPECT_EQ(service_dial(a, nobody, b.addr()), KP_E_NOTFOUND); /* names another */
	EXPECT_EQ(service_dial(a, nobody, "/ip4/10.0.0.2/udp/1"), KP_E_NOTFOUND);
	EXPECT_EQ(service_dial(a, nobody, "/ip4/10.0.0.2/tcp/0"), KP_E_NOTFOUND);
	EXPECT_TRUE(a.dials().empty());
	EXPECT_EQ(service_dial(a, b.id(), b.addr()), KP_OK);
	EXPECT_EQ(service_dial(a, b.id(), b.addr()), KP_OK); /* under way */
	n.run(KP_SEC(1));
	EXPECT_EQ(service_dial(a, b.id(), b.addr()), KP_OK); /* connected */
	EXPECT_EQ(a.dials().size(), 1u);
}

TEST(dial, transport_dials_are_limited)
{
	Net n;
	Node &a = n.add({{"dial.max", "2"}, {"kad.mode", "off"}});
	for (int i = 1; i <= 5; i++) {
		n.blackhole.insert("10.0.1." + std::to_string(i) + " 1");
		a.request(KP_OP_CONNECT, "/ip4/10.0.1." + std::to_string(i) + "/tcp/1");
	}
	n.run(KP_SEC(9));
	EXPECT_EQ(a.dials().size(), 2u);
	n.run(KP_SEC(2)); /* the handshake timeout freed both */
	EXPECT_EQ(a.dials().size(), 4u);
	n.run(KP_SEC(30));
	EXPECT_EQ(a.of_type(KP_EV_COMPLETE).size(), 5u);
	EXPECT_TRUE(a.ends.empty());
}

/* A connection given up because the peer refuses our streams is dialled again, with back-off. */
TEST(dial, given_up_connections_are_dialled_again)
{
	Net n;
	Node &a = n.add({{"kad.mode", "off"}}), &b = n.add({{"kad.mode", "off"}});
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(10));
	kp_peer_id id = b.peer();
	for (int round = 1; round <= 2; round++) {
		kp_host_disconnect(&a.engine->host, n.now, &id, KP_WHY_STREAMS_DEAD);
		a.pump();
		kp_time gone = n.now;
		EXPECT_FALSE(a.connected(b));
		ASSERT_TRUE(n.until([&] { return a.connected(b); }, KP_SEC(20)));
		EXPECT_GE(n.now - gone, KP_SEC(5));
		EXPECT_LE(n.now - gone, KP_SEC(5) * (kp_time)round + KP_SEC(2));
	}
	b.down = true; /* for ever, while it is away */
	kp_host_disconnect(&a.engine->host, n.now, &id, KP_WHY_STREAMS_DEAD);
	a.pump();
	n.run(KP_SEC(4000));
	b.down = false;
	EXPECT_TRUE(n.until([&] { return a.connected(b); }, KP_SEC(302)));
}

/* The cable is pulled: every connection breaks, and nobody can be dialled until it is back. */
static void unplug(Net &n, Node &node)
{
	node.down = true;
	while (!node.ends.empty()) {
		auto end = node.ends.begin()->second;
		end->open = false;
		node.ends.erase(node.ends.begin());
		kp_engine_on_closed(node.engine, n.now, end->id, KP_E_CLOSED);
		node.pump();
	}
}

/* Cut off for so long that both tables are empty, and with no bootnode to ask: whoever was
 * connected within the last hour is dialled again. */
TEST(dial, who_was_cut_off_finds_its_peers_again)
{
	for (const char *kad : {"server", "off"}) {
		Net n;
		Node &a = n.add({{"kad.mode", kad}}), &b = n.add({{"kad.mode", kad}});
		a.request(KP_OP_CONNECT, b.addr());
		n.run(KP_SEC(10));
		ASSERT_TRUE(a.connected(b));
		for (kp_time away : {KP_SEC(1800), KP_SEC(4000)}) {
			unplug(n, a);
			unplug(n, b);
			n.run(away);
			a.down = b.down = false;
			bool found = n.until([&] { return a.connected(b); }, KP_SEC(302));
			EXPECT_EQ(found, away < KP_SEC(3600)) << kad;
		}
	}
}

/* --- names -------------------------------------------------------------------------------------
 */

TEST(dns, dns4_and_dns6_ask_for_their_kind_only)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	n.names["A h.example"] = {"10.0.0.2"};
	n.names["AAAA h.example"] = {"fd00::2"};
	int64_t t = a.request(KP_OP_CONNECT, "/dns4/h.example/tcp/4001/p2p/" + b.id());
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	EXPECT_EQ(a.completions(t)[0].code, 0);
	EXPECT_EQ(a.of_kind(KP_ACT_RESOLVE).size(), 1u);
	t = a.request(KP_OP_CONNECT, "/dns6/h.example/tcp/4001/p2p/" + nobody);
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	EXPECT_EQ(a.of_kind(KP_ACT_RESOLVE).size(), 2u);
	EXPECT_EQ(a.dials().back().what, "fd00::2 4001");
}

TEST(dns, a_name_without_addresses)
{
	Net n;
	Node &a = n.add();
	int64_t t = a.request(KP_OP_CONNECT, "/dns/nowhere.example/tcp/4001/p2p/" + nobody);
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	EXPECT_EQ(a.completions(t)[0].code, KP_E_NOTFOUND);
	EXPECT_NE(a.completions(t)[0].get(KP_F_TEXT).find("nowhere.example"), std::string::npos);
}

/* A name that does not exist and a name server that does not work are not the same. */
TEST(dns, why_a_lookup_failed_is_told)
{
	const std::pair<kp_err, const char *> ways[] = {
	        {KP_E_NOTFOUND, "h.example: name lookup found nothing"},
	        {KP_E_TIMEDOUT, "h.example: no answer from the name servers"},
	        {KP_E_UNREACHABLE, "h.example: name lookup failed: the name servers are down"},
	        {KP_E_INVAL, "h.example: is not a valid name"},
	};
	for (auto &[err, said] : ways) {
		Net n;
		Node &a = n.add();
		n.broken["A h.example"] = n.broken["TXT _dnsaddr.h.example"] = err;
		for (const char *addr : {"/dns4/h.example/tcp/1/p2p/", "/dnsaddr/h.example/p2p/"}) {
			int64_t t = a.request(KP_OP_CONNECT, addr + nobody);
			ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
			EXPECT_EQ(a.completions(t)[0].code, err);
			std::string text = a.completions(t)[0].get(KP_F_TEXT);
			EXPECT_NE(text.find(said), std::string::npos) << text;
		}
	}
}

TEST(dns, a_name_that_nobody_answers_is_named_when_time_is_over)
{
	Net n;
	Node &a = n.add();
	n.broken["A h.example"] = KP_OK;
	std::string addr = "/dns4/h.example/tcp/1/p2p/" + nobody;
	kp_time asked = n.now;
	int64_t own = a.request(KP_OP_CONNECT, addr, "", asked + KP_SEC(3));
	int64_t dial = a.request(KP_OP_CONNECT, addr);
	ASSERT_TRUE(n.until([&] { return !a.completions(dial).empty(); }, KP_SEC(60)));
	for (auto &[t, limit] : {std::pair(own, KP_SEC(3)), std::pair(dial, KP_SEC(15))}) {
		EXPECT_EQ(a.completions(t)[0].at, asked + limit);
		EXPECT_EQ(a.completions(t)[0].code, KP_E_TIMEDOUT);
		EXPECT_EQ(a.completions(t)[0].get(KP_F_TEXT),
		          "timed out; h.example: no answer from the name servers");
	}
}

TEST(dns, dnsaddr_records_must_end_as_the_question)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	Node &c = n.add();
	n.names["TXT _dnsaddr.boot.example"] = {
	        "v=spf1",
	        "dnsaddr=/ip4/10.0.0.3/tcp/4001/p2p/" + c.id(),
	        "dnsaddr=not an address",
	        "dnsaddr=/ip4/10.0.0.2/tcp/4001/p2p/" + b.id(),
	};
	int64_t t = a.request(KP_OP_CONNECT, "/dnsaddr/boot.example/p2p/" + b.id());
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	EXPECT_EQ(a.completions(t)[0].code, 0) << a.completions(t)[0].get(KP_F_TEXT);
	EXPECT_EQ(a.completions(t)[0].get(KP_F_FROM), b.id());
	ASSERT_EQ(a.dials().size(), 1u);
	EXPECT_EQ(a.dials()[0].what, "10.0.0.2 4001");
}

TEST(dns, nested_dnsaddr_of_a_bootnode_without_peer_id)
{
	Net n;
	n.names["TXT _dnsaddr.boot.example"] = {"dnsaddr=/dnsaddr/eu.boot.example",
	                                        "dnsaddr=/ip4/10.0.0.66/tcp/1"};
	n.names["TXT _dnsaddr.eu.boot.example"] = {"dnsaddr=/dns4/b.example/tcp/4001/p2p/" +
	                                           net::identity_peer(2)};
	n.names["A b.example"] = {"10.0.0.2"};
	Node &a = n.add({{"bootstrap", "/dnsaddr/boot.example"}, {"idle_timeout", "3"}});
	Node &b = n.add({{"idle_timeout", "0"}});
	ASSERT_TRUE(n.until([&] { return a.connected(b); }, KP_SEC(20)));
	EXPECT_EQ(a.dials().size(), 1u); /* the record without /p2p was not dialled */
	n.run(KP_SEC(30));
	EXPECT_TRUE(a.connected(b)); /* a bootnode is never idle */
	b.request(KP_OP_DISCONNECT, a.id());
	ASSERT_TRUE(n.until([&] { return !a.connected(b); }));
	ASSERT_TRUE(n.until([&] { return a.connected(b); }));
}

TEST(dns, dnsaddr_loops_end)
{
	Net n;
	Node &a = n.add();
	n.names["TXT _dnsaddr.a.example"] = {"dnsaddr=/dnsaddr/b.example",
	                                     "dnsaddr=/dnsaddr/b.example"};
	n.names["TXT _dnsaddr.b.example"] = {"dnsaddr=/dnsaddr/a.example",
	                                     "dnsaddr=/dnsaddr/a.example"};
	int64_t t = a.request(KP_OP_CONNECT, "/dnsaddr/a.example");
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty(); }));
	EXPECT_NE(a.completions(t)[0].code, 0);
	EXPECT_LE(a.of_kind(KP_ACT_RESOLVE).size(), 32u);
	EXPECT_GE(a.of_kind(KP_ACT_RESOLVE).size(), 8u);
}

TEST(dns, ten_thousand_records)
{
	Net n;
	Node &a = n.add();
	auto &wide = n.names["TXT _dnsaddr.wide.example"],
	     &deep = n.names["TXT _dnsaddr.deep.example"];
	for (int i = 0; i < 10000; i++) {
		wide.push_back("dnsaddr=/ip4/10.7." + std::to_string(i / 250) + "." +
		               std::to_string(i % 250 + 1) + "/tcp/1/p2p/" + nobody);
		deep.push_back("dnsaddr=/dnsaddr/n" + std::to_string(i) + ".example");
	}
	kp_time began = n.now;
	int64_t t = a.request(KP_OP_CONNECT, "/dnsaddr/wide.example");
	int64_t u = a.request(KP_OP_CONNECT, "/dnsaddr/deep.example");
	ASSERT_TRUE(n.until([&] { return !a.completions(t).empty() && !a.completions(u).empty(); },
	                    KP_SEC(40)));
	EXPECT_LE(n.now - began, KP_SEC(15) + KP_MS(1));
	EXPECT_LE(a.dials().size(), 100u);
	EXPECT_LE(a.of_kind(KP_ACT_RESOLVE).size(), 1u + 32u);
}

/* The operator named the bootnode: he is told in words what is wrong, once a try. */
TEST(dial, a_bootnode_that_is_not_reached_is_told)
{
	Net n;
	Node &a = n.add({{"kad.mode", "off"}});
	std::string bare = a.addr().substr(0, a.addr().find("/p2p/")),
	            wrong = net::identity_peer(99);
	Node &b = n.add({{"kad.mode", "off"},
	                 {"bootstrap", bare + "/p2p/" + wrong},
	                 {"bootstrap", "/ip4/10.9.9.9/tcp/1/p2p/" + net::identity_peer(98)}},
	                false);
	kp_engine_env(b.engine)->trace->sink = [](void *, kp_trace_point, uint64_t, uint64_t,
	                                          uint64_t) {};
	kp_engine_env(b.engine)->trace->level = KP_LEVEL_WARN;
	b.start();
	n.run(KP_SEC(8));
	int wrong_ids = 0, refused = 0;
	for (auto &e : b.of_type(KP_EV_LOG)) {
		std::string text = e.get(KP_F_TEXT);
		EXPECT_EQ(e.code, KP_LEVEL_WARN);
		EXPECT_EQ(text.find("bootnode /ip4/10."), 0u) << text;
		EXPECT_NE(text.find("next try in about "), std::string::npos) << text;
		wrong_ids += text.find("expected " + wrong + ", found " + a.id()) != text.npos;
		refused += text.find("/ip4/10.9.9.9/tcp/1: ") != text.npos;
	}
	EXPECT_GE(wrong_ids, 2);
	EXPECT_LE(wrong_ids, 5);
	EXPECT_GE(refused, 1);
	Node &quiet = n.add({{"kad.mode", "off"}, {"bootstrap", bare + "/p2p/" + wrong}});
	n.run(KP_SEC(3));
	EXPECT_TRUE(quiet.of_type(KP_EV_LOG).empty()) << "only where logs are asked for";
}
