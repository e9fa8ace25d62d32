/* Introspection: every answer is JSON, and has what the header promises. */
#include <gtest/gtest.h>

#include "engine/net.h"

using net::Net;
using net::Node;

namespace
{

/* A strict reader: true when the text is one JSON value in which no object repeats a key. */
class Reader
{
      public:
	explicit Reader(const std::string &text) : s(text) {}
	bool whole()
	{
		return value(0) && at == s.size();
	}

      private:
	bool eat(char c)
	{
		return at < s.size() && s[at] == c && (at++, true);
	}
	bool word(const char *w)
	{
		size_t n = strlen(w);
		return s.compare(at, n, w) == 0 && (at += n, true);
	}
	bool text()
	{
		if (!eat('"'))
			return false;
		for (; at < s.size() && s[at] != '"'; at++) {
			if ((unsigned char)s[at] < 0x20)
				return false;
			if (s[at] == '\\')
				at++;
		}
		return eat('"');
	}
	bool number()
	{
		size_t from = at;
		eat('-');
		while (at < s.size() && (isdigit(s[at]) || s[at] == '.'))
			at++;
		return at > from;
	}
	bool list(char open, char close, bool members, int depth)
	{
		if (!eat(open) || depth > 10)
			return false;
		std::set<std::string> names;
		if (eat(close))
			return true;
		do {
			size_t from = at;
			if (members &&
			    (!text() || !names.insert(s.substr(from, at - from)).second ||
			     !eat(':')))
				return false;
			if (!value(depth + 1))
				return false;
		} while (eat(','));
		return eat(close);
	}
	bool value(int depth)
	{
		if (at >= s.size())
			return false;
		switch (s[at]) {
		case '{':
			return list('{', '}', true, depth);
		case '[':
			return list('[', ']', false, depth);
		case '"':
			return text();
		default:
			return word("true") || word("false") || word("null") || number();
		}
	}
	const std::string &s;
	size_t at = 0;
};

} // namespace

TEST(info, everything_is_json)
{
	Net n;
	Node &a = n.add({{"topic", "news \"quoted\" \xc3\xa9"}, {"topic", "second"}}),
	     &b = n.add({{"topic", "second"}});
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(3));
	for (auto what : {"self", "addresses", "peers", "topics", "routing", "stats", "config"}) {
		std::string text = a.info(what);
		EXPECT_TRUE(Reader(text).whole()) << what << ": " << text;
	}
	EXPECT_NE(a.info("self").find("\"peer_id\":\"" + a.id() + "\""), std::string::npos);
	EXPECT_NE(a.info("self").find("/ipfs/ping/1.0.0"), std::string::npos);
	EXPECT_EQ(a.info("peer_id"), a.id());
	EXPECT_EQ(a.info("listen_addrs"), a.addr());
	EXPECT_EQ(a.info("addresses"), "[\"" + a.addr() + "\"]");
	EXPECT_NE(a.info("peers").find("\"direction\":\"out\""), std::string::npos);
	EXPECT_NE(b.info("peers").find("\"direction\":\"in\""), std::string::npos);
	EXPECT_EQ(a.info("peers").find("\"rtt_us\":null"), std::string::npos);
	EXPECT_NE(a.info("stats").find("\"host_stat\":7"), std::string::npos);
	EXPECT_NE(a.info("stats").find("\"conns_opened\":1"), std::string::npos);
	EXPECT_NE(a.info("routing").find("\"mode\":\"server\""), std::string::npos);
	EXPECT_NE(a.info("config").find("\"topic\":\"news \\\"quoted\\\" \xc3\xa9 second\""),
	          std::string::npos)
	        << a.info("config");
	EXPECT_NE(a.info("config").find("\"identity\":\"set\""), std::string::npos);
	kp_writer w = {};
	EXPECT_EQ(kp_engine_info(a.engine, n.now, kp_slice_str("nonsense"), nullptr, 0, &w),
	          KP_E_INVAL);
}

TEST(info, a_buffer_too_small_is_said)
{
	Net n;
	Node &a = n.add();
	for (auto what : {"self", "addresses", "stats", "config", "listen_addrs"}) {
		size_t need = a.info(what).size();
		std::string small(need - 1, 0);
		kp_writer w = kp_writer_of(&small[0], small.size());
		EXPECT_EQ(kp_engine_info(a.engine, n.now, kp_slice_str(what), nullptr, 0, &w),
		          KP_OK);
		if (strcmp(what, "stats") != 0) {
			EXPECT_TRUE(w.full) << what;
		}
	}
}

/* A peer that tells, in identify, the very address that it was dialled at. */
TEST(info, an_address_of_a_peer_is_shown_once)
{
	Net n;
	Node &a = n.add(), &b = n.add();
	a.request(KP_OP_CONNECT, b.addr());
	n.run(KP_SEC(3));
	std::string at = "\"/ip4/" + b.ip + "/tcp/", peers = a.info("peers");
	size_t first = peers.find(at);
	ASSERT_NE(first, std::string::npos) << peers;
	EXPECT_EQ(peers.find(at, first + 1), std::string::npos) << peers;
}
