/* The keys allow and deny: rules as text, and what they refuse at each place. */
#include <gtest/gtest.h>

#include "engine/access.h"
#include "engine/net.h"

using net::Net;
using net::Node;

namespace
{

kp_access_rule rule(const std::string &text)
{
	kp_access_rule r;
	EXPECT_TRUE(kp_access_parse(net::str(text), &r)) << text;
	return r;
}

std::string written(const std::string &text)
{
	char out[128];
	kp_access_rule r = rule(text);
	kp_writer w = kp_writer_of(out, sizeof out);
	kp_access_write(&r, &w);
	return std::string(out, w.n);
}

kp_peer_id peer_of(int seed)
{
	return rule(net::identity_peer(seed)).peer;
}

/* A wall of rules. */
struct Wall {
	kp_access a = {};
	Wall &allow(const std::string &text)
	{
		kp_access_rule r = rule(text);
		EXPECT_TRUE(kp_access_add(&a.allow, &r));
		return *this;
	}
	Wall &deny(const std::string &text)
	{
		kp_access_rule r = rule(text);
		EXPECT_TRUE(kp_access_add(&a.deny, &r));
		return *this;
	}
	bool ip(const std::string &text) const
	{
		kp_access_rule r = rule(text);
		return kp_access_ip_ok(&a, r.family, r.ip);
	}
	bool peer(int seed) const
	{
		kp_peer_id id = peer_of(seed);
		return kp_access_peer_ok(&a, &id);
	}
	bool both(int seed, const std::string &text) const
	{
		kp_peer_id id = peer_of(seed);
		kp_access_rule r = rule(text);
		return kp_access_ok(&a, &id, r.family, r.ip);
	}
};

} // namespace

TEST(access, rules_are_written_as_they_are_read)
{
	std::string id = net::identity_peer(1);
	EXPECT_EQ(written(id), id);
	for (auto text : {"10.0.0.0/8", "192.0.2.1", "0.0.0.0/0", "2001:db8::/32", "::1", "::/0",
	                  "fe80::/10", "2001:db8::/127", "255.255.255.255"})
		EXPECT_EQ(written(text), text);
	EXPECT_EQ(written("10.1.2.3/8"), "10.0.0.0/8");
	EXPECT_EQ(written("10.1.2.3/32"), "10.1.2.3");
	EXPECT_EQ(written("2001:db8:ffff::/33"), "2001:db8:8000::/33");
	EXPECT_EQ(written("::ffff:10.1.2.3"), "10.1.2.3");
	EXPECT_EQ(written("::ffff:10.1.2.3/104"), "10.0.0.0/8");
	EXPECT_EQ(written("::ffff:0:0/95"), "::fffe:0:0/95");
	for (auto bad :
	     {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/+8",
	      "10.0.0.0/0008", "10.0.0.0/8/8", "12D3KooW", "localhost", "/ip4/1.2.3.4"}) {
		kp_access_rule r;
		EXPECT_FALSE(kp_access_parse(net::str(bad), &r)) << bad;
	}
	EXPECT_FALSE([&] {
		kp_access_rule r;
		return kp_access_parse(net::str(id + "/8"), &r);
	}());
}

TEST(access, networks_end_at_their_last_bit)
{
	for (int bits = 0; bits <= 32; bits++) {
		Wall w;
		w.deny("170.85.170.85/" + std::to_string(bits));
		for (int flip = 0; flip < 32; flip++) {
			uint32_t ip = 0xaa55aa55u ^ (0x80000000u >> flip);
			char text[32];
			snprintf(text, sizeof text, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255,
			         ip >> 8 & 255, ip & 255);
			EXPECT_EQ(w.ip(text), flip < bits) << bits << " " << flip;
		}
	}
	Wall six;
	six.deny("2001:db8::/33").deny("10.0.0.0/8");
	EXPECT_FALSE(six.ip("2001:db8:7fff::1"));
	EXPECT_TRUE(six.ip("2001:db8:8000::1"));
	EXPECT_FALSE(six.ip("::ffff:10.1.1.1")) << "the same address on a socket of both kinds";
	EXPECT_TRUE(six.ip("::ffff:11.1.1.1"));
}

TEST(access, deny_goes_before_allow_and_an_empty_allow_allows)
{
	Wall none;
	EXPECT_TRUE(none.ip("1.2.3.4") && none.peer(1) && none.both(1, "1.2.3.4"));
	Wall d;
	d.deny(net::identity_peer(1)).deny("10.0.0.0/8");
	EXPECT_FALSE(d.peer(1) || d.ip("10.1.1.1") || d.both(1, "1.1.1.1") ||
	             d.both(2, "10.1.1.1"));
	EXPECT_TRUE(d.peer(2) && d.ip("1.1.1.1") && d.both(2, "1.1.1.1"));
	Wall peers; /* an address says nothing until the peer is known */
	peers.allow(net::identity_peer(1));
	EXPECT_TRUE(peers.ip("1.1.1.1") && peers.peer(1) && peers.both(1, "1.1.1.1"));
	EXPECT_FALSE(peers.peer(2) || peers.both(2, "1.1.1.1"));
	Wall nets; /* a peer says nothing until its address is known */
	nets.allow("10.0.0.0/8");
	EXPECT_TRUE(nets.peer(2) && nets.ip("10.1.1.1") && nets.both(2, "10.1.1.1"));
	EXPECT_FALSE(nets.ip("1.1.1.1") || nets.both(2, "1.1.1.1"));
	Wall mix;
	mix.allow("10.0.0.0/8").allow(net::identity_peer(1)).deny("10.9.0.0/16");
	EXPECT_TRUE(mix.both(1, "1.1.1.1") && mix.both(2, "10.1.1.1"));
	EXPECT_FALSE(mix.both(2, "1.1.1.1") || mix.both(1, "10.9.1.1"));
}

TEST(access, a_list_has_a_limit_and_no_doubles)
{
	kp_access_list l = {};
	kp_access_rule same = rule("10.0.0.0/8");
	EXPECT_TRUE(kp_access_add(&l, &same) && kp_access_add(&l, &same));
	EXPECT_EQ(l.n, 1u);
	for (unsigned i = 1; i < KP_ACCESS_MAX; i++) {
		kp_access_rule r = rule("1.1.1." + std::to_string(i));
		EXPECT_TRUE(kp_access_add(&l, &r));
	}
	kp_access_rule more = rule("2.2.2.2");
	EXPECT_FALSE(kp_access_add(&l, &more));
	EXPECT_TRUE(kp_access_add(&l, &same)) << "it is there";
}

TEST(access, a_denied_address_is_refused_when_it_knocks)
{
	Net n;
	Node &a = n.add({{"deny", "1.1.0.0/16"}});
	kp_err err = KP_OK;
	EXPECT_EQ(n.raw(a, "1.1.1.1", &err), nullptr);
	EXPECT_EQ(err, KP_E_ACCES);
	EXPECT_EQ(a.stat(KP_STAT_conns_denied), 1u);
	EXPECT_NE(n.raw(a, "1.2.1.1", &err), nullptr);
	EXPECT_EQ(a.stat(KP_STAT_conns_denied), 1u);
}

TEST(access, a_denied_peer_is_refused_once_it_has_proved_who_it_is)
{
	Net n;
	Node &a = n.add({{"deny", net::identity_peer(2)}, {"kad.mode", "off"}}),
	     &b = n.add({{"kad.mode", "off"}}), &c = n.add({{"kad.mode", "off"}});
	ASSERT_EQ(b.id(), net::identity_peer(2));
	b.request(KP_OP_CONNECT, a.addr());
	int64_t t = c.request(KP_OP_CONNECT, a.addr());
	n.run(KP_SEC(2));
	EXPECT_FALSE(b.connected(a));
	EXPECT_FALSE(a.connected(b));
	EXPECT_EQ(a.stat(KP_STAT_conns_denied), 1u);
	EXPECT_EQ(c.completions(t).at(0).code, 0) << "others are served";
}

TEST(access, denied_peers_and_addresses_are_not_dialled)
{
	Net n;
	Node &a = n.add(
	             {{"deny", net::identity_peer(2)}, {"deny", "10.0.0.3"}, {"kad.mode", "off"}}),
	     &b = n.add({{"kad.mode", "off"}}), &c = n.add({{"kad.mode", "off"}});
	for (const std::string &target :
	     {b.addr(), b.id(), c.addr(), "/ip4/" + c.ip + "/tcp/4001"}) {
		int64_t t = a.request(KP_OP_CONNECT, target);
		n.run(KP_SEC(1));
		ASSERT_EQ(a.completions(t).size(), 1u) << target;
		EXPECT_EQ(a.completions(t)[0].code, KP_E_ACCES) << target;
		EXPECT_NE(a.completions(t)[0].get(KP_F_TEXT).find("allow and deny"),
		          std::string::npos)
		        << a.completions(t)[0].get(KP_F_TEXT);
	}
	EXPECT_TRUE(a.dials().empty());
	EXPECT_EQ(a.stat(KP_STAT_dials_denied), 4u);
	/* without a peer id it shows only at the end who is there */
	std::string bare = b.addr().substr(0, b.addr().find("/p2p/"));
	int64_t t = a.request(KP_OP_CONNECT, bare);
	n.run(KP_SEC(1));
	EXPECT_EQ(a.completions(t).at(0).code, KP_E_ACCES);
	EXPECT_EQ(a.stat(KP_STAT_conns_denied), 1u);
}

TEST(access, an_allow_list_lets_only_its_own_in)
{
	Net n;
	Node &a = n.add({{"allow", net::identity_peer(2)}, {"kad.mode", "off"}}),
	     &b = n.add({{"kad.mode", "off"}}), &c = n.add({{"kad.mode", "off"}});
	b.request(KP_OP_CONNECT, a.addr());
	c.request(KP_OP_CONNECT, a.addr());
	n.run(KP_SEC(2));
	EXPECT_TRUE(a.connected(b));
	EXPECT_FALSE(a.connected(c));
	EXPECT_EQ(a.stat(KP_STAT_conns_denied), 1u);
}

TEST(access, a_bootnode_that_is_refused_is_a_contradiction)
{
	std::string id = net::identity_peer(9), boot = "/ip4/10.0.0.9/tcp/4001/p2p/" + id;
	auto why = [](const net::Config &keys) {
		char text[300] = "";
		kp_config *cfg = kp_config_new();
		for (const auto &[key, value] : keys)
			EXPECT_EQ(kp_config_set(cfg, net::str(key), net::str(value), text,
			                        sizeof text),
			          KP_OK)
			        << text;
		kp_err err = kp_config_check(cfg, text, sizeof text);
		EXPECT_EQ(err, text[0] == 0 ? KP_OK : KP_E_INVAL);
		kp_config_free(cfg);
		return std::string(text);
	};
	EXPECT_EQ(why({{"bootstrap", boot}, {"allow", id}}), "");
	EXPECT_EQ(why({{"bootstrap", boot}, {"allow", "10.0.0.0/8"}}), "");
	for (const net::Config &keys :
	     {net::Config{{"bootstrap", boot}, {"deny", id}},
	      net::Config{{"direct", boot}, {"deny", "10.0.0.0/24"}},
	      net::Config{{"bootstrap", boot}, {"allow", "11.0.0.0/8"}},
	      net::Config{{"bootstrap", "/dns4/x.example/tcp/1/p2p/" + id}, {"deny", id}}}) {
		std::string text = why(keys);
		EXPECT_NE(text.find(id), std::string::npos) << text;
		EXPECT_EQ(text.find(keys[0].first + ": "), 0u) << text;
	}
}
