/* Exactly one final event per token, whatever the schedule: random operations, time limits, cancels
 * and closes on several threads, from a seed that is printed. */
#include "abi_kit.h"

#include <map>
#include <random>

namespace
{

using kit::Event;
using kit::eventually;
using kit::local;
using kit::Node;

const char *const stranger = "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms";

/* What one thread asked for. */
struct Asked {
	std::vector<int64_t> accepted;
	std::map<int, int> refused; /* code → how often */
};

struct Storm {
	Node &n;
	std::string self, peer, address;
	Storm(Node &node, const Node &other)
	    : n(node), self(node.id()), peer(other.id()), address(other.address())
	{
	}

	int operation(std::mt19937 &rng, int64_t token)
	{
		std::string topic = "t" + std::to_string(rng() % 5);
		int limit_ms = static_cast<int>(rng() % 3 == 0 ? 1 + rng() % 5 : 0);
		switch (rng() % 12) {
		case 0:
			return n.request(KP2P_OP_CONNECT, address, "", token, limit_ms);
		case 1:
			return n.request(KP2P_OP_CONNECT, "/ip4/127.0.0.1/tcp/1", "", token,
			                 limit_ms);
		case 2:
			return n.request(KP2P_OP_CONNECT, stranger, "", token, limit_ms);
		case 3:
			return rng() % 8 == 0
			               ? n.request(KP2P_OP_DISCONNECT, peer, "", token, limit_ms)
			               : n.request(KP2P_OP_DISCONNECT, stranger, "", token, 0);
		case 4:
			return n.request(KP2P_OP_PING, stranger, "", token, limit_ms);
		case 5:
			return n.request(KP2P_OP_SUBSCRIBE, topic, "inbox=1", token, limit_ms);
		case 6:
			return n.request(KP2P_OP_UNSUBSCRIBE, topic, "", token, limit_ms);
		case 7:
			return n.request(KP2P_OP_DHT_FIND_PEER, rng() % 2 == 0 ? peer : stranger,
			                 "", token, limit_ms);
		case 8:
			return n.publish(topic, std::to_string(token % 1000), token);
		case 9:
			return n.send(rng() % 2 == 0 ? peer : stranger, "/p/1", "x", token);
		default:
			return n.request(KP2P_OP_PING, peer, "", token, limit_ms);
		}
	}

	/* `count` operations with tokens from `token` on; some are cancelled, by chance early or
	 * late. */
	Asked run(unsigned seed, int64_t token, int count)
	{
		std::mt19937 rng(seed);
		Asked a;
		for (int i = 0; i < count; i++, token++) {
			int r = operation(rng, token);
			if (r == 0)
				a.accepted.push_back(token);
			else
				a.refused[r]++;
			if (!a.accepted.empty() && rng() % 4 == 0) {
				size_t back = rng() % std::min<size_t>(a.accepted.size(), 8);
				int c = kp2p_node_cancel(n,
				                         a.accepted[a.accepted.size() - 1 - back]);
				EXPECT_TRUE(c == 0 || c == KP2P_ENOTFOUND || c == KP2P_ECLOSED)
				        << c;
			}
		}
		return a;
	}
};

/* How often each token has come to its end, and with which code. */
struct Ended {
	std::map<int64_t, int> times;
	std::map<int, int> codes;
	void take(const Event &ev)
	{
		if (!ev.is_final())
			return;
		times[ev.token()]++;
		codes[ev.code()]++;
	}
};

/* One life of a node: two threads ask, one reads, the node closes at the end or in the middle. */
void one_life(unsigned seed, int count, Ended *total)
{
	Node other(local({{"kad.mode", "server"}, {"topic", "t0"}}));
	Node n(local({{"kad.mode", "server"}, {"publish.hold", "20ms"}, {"requests.max", "64"}}));
	other.must(KP2P_OP_ADD_PROTOCOL, "/p/1");
	Storm s(n, other);
	ASSERT_NE(n.sender(), nullptr);
	Asked asked[2];
	Ended ended;
	std::thread reader([&] {
		for (Event ev; ev.type() != KP2P_EV_CLOSED;) {
			ev = Event(kp2p_node_poll(n, 0, -1));
			ended.take(ev);
		}
	});
	std::thread first([&] { asked[0] = s.run(seed * 2, 1, count / 2); });
	std::thread second([&] { asked[1] = s.run(seed * 2 + 1, 1000000, count / 2); });
	bool early = seed % 3 == 0;
	if (early) {
		for (unsigned i = 0; i < seed % 7 * 100; i++)
			std::this_thread::yield();
		EXPECT_EQ(n.close(static_cast<int>(seed % 50)), 0);
	}
	first.join();
	second.join();
	EXPECT_EQ(n.close(static_cast<int>(seed % 50)), 0);
	reader.join();
	size_t accepted = 0;
	for (const Asked &a : asked) {
		accepted += a.accepted.size();
		for (int64_t token : a.accepted)
			EXPECT_EQ(ended.times[token], 1) << "token " << token;
		for (const auto &[code, n_times] : a.refused)
			EXPECT_TRUE(code == KP2P_EAGAIN || code == KP2P_ECLOSED)
			        << kp2p_strerror(code) << " " << n_times;
	}
	EXPECT_EQ(ended.times.size(), accepted) << "an event for a token that was refused";
	for (const auto &[code, n_times] : ended.codes)
		total->codes[code] += n_times;
}

TEST(Requests, OneFinalEventPerToken)
{
	const char *given = getenv("KP2P_SEED");
	const unsigned begin = given != nullptr ? static_cast<unsigned>(atoi(given)) : 1;
	const unsigned lives = given != nullptr ? 1 : static_cast<unsigned>(kit::times(24, 6));
	Ended total;
	for (unsigned seed = begin; seed < begin + lives && !testing::Test::HasFailure(); seed++) {
		SCOPED_TRACE("KP2P_SEED=" + std::to_string(seed));
		one_life(seed, kit::times(1000, 400), &total);
	}
	if (given != nullptr)
		return;
	/* the schedules did reach every kind of end */
	for (int code : {0, KP2P_ECANCELED, KP2P_ECLOSED, KP2P_ENOTFOUND, KP2P_EUNREACHABLE})
		EXPECT_GT(total.codes[code], 0) << kp2p_strerror(code);
}

TEST(Requests, TokensAreUniqueWhileInFlight)
{
	Node n(local({{"publish.hold", "300ms"}}));
	ASSERT_EQ(n.publish("nobody", "held", 5), 0);
	kit::Error err;
	EXPECT_EQ(kp2p_node_request(n, KP2P_OP_SUBSCRIBE, "t", 1, nullptr, 0, 0, 5, err),
	          KP2P_EINVAL);
	EXPECT_NE(err.text().find('5'), std::string::npos) << err.text();
	EXPECT_EQ(n.publish("nobody", "held too", 5), KP2P_EINVAL);
	EXPECT_EQ(n.wait_final(5).code(), KP2P_EEXPIRED);
	EXPECT_EQ(n.request(KP2P_OP_SUBSCRIBE, "t", "", 5), 0) << "free again";
	EXPECT_EQ(n.wait_final(5).code(), 0);
}

TEST(Requests, AreBounded)
{
	Node n(local({{"requests.max", "4"}}));
	for (int64_t i = 1; i <= 4; i++)
		ASSERT_EQ(n.request(KP2P_OP_SUBSCRIBE, "t", "", i), 0);
	kit::Error err;
	EXPECT_EQ(kp2p_node_request(n, KP2P_OP_SUBSCRIBE, "t", 1, nullptr, 0, 0, 5, err),
	          KP2P_EAGAIN);
	EXPECT_NE(err.text().find("requests.max"), std::string::npos) << err.text();
	for (int64_t i = 1; i <= 4; i++)
		EXPECT_TRUE(n.wait_final(i));
	EXPECT_EQ(n.request(KP2P_OP_SUBSCRIBE, "t", "", 5), 0);
}

TEST(Requests, WithoutATokenThereIsNoEvent)
{
	Node n;
	ASSERT_EQ(n.request(KP2P_OP_UNSUBSCRIBE, "never"), 0);
	n.must(KP2P_OP_SUBSCRIBE, "t");
	EXPECT_EQ(n.close(0), 0);
	for (Event ev; ev.type() != KP2P_EV_CLOSED;) {
		ev = Event(kp2p_node_poll(n, 0, -1));
		EXPECT_NE(ev.type(), KP2P_EV_COMPLETE);
	}
}

/* A peer that does not answer: the limit of the call ends the ping. */
TEST(Requests, TimeLimitIsTheCallers)
{
	kit::Child peer("peer");
	Node n;
	std::string address = peer.address();
	n.must(KP2P_OP_CONNECT, address);
	peer.signal(SIGSTOP);
	kit::Clock::time_point begin = kit::Clock::now();
	Event ev = n.ask(KP2P_OP_PING, address.substr(address.find("/p2p/") + 5), "", 100);
	ASSERT_TRUE(ev);
	EXPECT_EQ(ev.code(), KP2P_ETIMEDOUT);
	EXPECT_GE(kit::ms_since(begin), 99);
	EXPECT_LT(kit::ms_since(begin), kit::sanitized ? 3000 : 1000);
	peer.signal(SIGKILL);
}

} // namespace
