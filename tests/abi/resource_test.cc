/* What a node holds and gives back, by the numbers that the system counts: descriptors, threads and
 * private memory before and after many connections, and every message of a long run. KP2P_REPEAT=25
 * makes it 10,000 connections in turn, 1,000 at once and two million messages. */
#include "abi_kit.h"

#include <malloc.h>

namespace
{

using kit::Event;
using kit::eventually;
using kit::Keys;
using kit::local;
using kit::Node;
using kit::times;

/* What this process holds, and what one of its nodes says that it does. */
struct Held {
	size_t fds, threads;
	int64_t anon, own;
};

Held held(const Node &n)
{
	return Held{kit::fd_count(), kit::tasks().size(), kit::anon_bytes(),
	            n.stat("memory_bytes")};
}

void print(const char *what, const Held &h)
{
	printf("%-26s %4zu descriptors, %3zu threads, RssAnon %7lld KiB, node %6lld KiB\n", what,
	       h.fds, h.threads, static_cast<long long>(h.anon >> 10),
	       static_cast<long long>(h.own >> 10));
}

/* It holds no more than before, but for these bytes of a node's own and of all memory; blocks that
 * lie unused go back within seconds. */
void expect_flat(const Node &n, const Held &before, int64_t own, int64_t anon)
{
	EXPECT_TRUE(eventually([&] {
		Held now = held(n);
		return now.fds == before.fds && now.threads == before.threads &&
		       now.own <= before.own + own &&
		       (kit::sanitized || now.anon <= before.anon + anon);
	}));
	print("before", before);
	print("after", held(n));
}

int64_t connections(const Node &n)
{
	vectors::Json st = n.json("stats");
	return st["conns_opened"].number() - st["conns_closed"].number();
}

bool wait_connections(const Node &n, int64_t count)
{
	return eventually([&] { return connections(n) == count; }, 4 * kit::patience_ms);
}

/* --- connections --- */

TEST(Resources, ConnectionsInTurnLeaveNothing)
{
	Node b, a(local({{"workers", "1"}}));
	std::string address = b.address(), id = b.id();
	auto connect = [&](int n) {
		for (int i = 0; i < n; i++) {
			Event up = a.ask(KP2P_OP_CONNECT, address);
			ASSERT_TRUE(up) << i;
			ASSERT_EQ(up.code(), 0) << i << ": " << up.bytes(KP2P_F_TEXT);
			a.must(KP2P_OP_DISCONNECT, id);
		}
		ASSERT_TRUE(wait_connections(b, 0));
		ASSERT_TRUE(wait_connections(a, 0));
	};
	connect(times(100, 20));
	Held before = held(b);
	int64_t opened = b.stat("conns_opened");
	int n = times(400, 40);
	connect(n);
	EXPECT_EQ(b.stat("conns_opened") - opened, n) << "each was a whole handshake";
	printf("%d connections in turn\n", n);
	expect_flat(b, before, 64 << 10, 1 << 20);
}

/* A node is made, meets one that stays, and is closed: nothing is left of either kind but the
 * thousand peers that a node remembers. */
TEST(Resources, NodesInTurnThatMeetOneLeaveNothing)
{
	Node b;
	std::string address = b.address();
	auto meet = [&](int n) {
		for (int i = 0; i < n; i++) {
			Node a;
			Event up = a.ask(KP2P_OP_CONNECT, address);
			ASSERT_TRUE(up) << i;
			ASSERT_EQ(up.code(), 0) << i << ": " << up.bytes(KP2P_F_TEXT);
			EXPECT_EQ(a.close(0), 0);
		}
		ASSERT_TRUE(wait_connections(b, 0));
	};
	meet(times(100, 20));
	Held before = held(b);
	int n = times(400, 20);
	meet(n);
	printf("%d nodes in turn\n", n);
	expect_flat(b, before, 1 << 20, 2 << 20);
}

constexpr int crowd_size = 100; /* nodes of one child process, each connected with b */

using Crowds = std::vector<std::unique_ptr<kit::Child>>;

Crowds gather(const Node &b, int n)
{
	std::string mode = "crowd " + std::to_string(crowd_size) + " " + b.address();
	Crowds crowds;
	for (int i = 0; i < n; i++)
		crowds.push_back(std::make_unique<kit::Child>(mode));
	EXPECT_TRUE(wait_connections(b, n * crowd_size)) << connections(b);
	return crowds;
}

/* Idle neighbours of a topic: 8 KiB each are the goal, beside what the burst of handshakes takes;
 * and all comes back. What malloc keeps of it serves the next ones. */
TEST(Resources, ConnectionsAtOnceAreCheapAndLeaveNothing)
{
	const int n_crowds = std::min(times(1, 1), 10), n = n_crowds * crowd_size;
	kit::RaisedDescriptors raised(static_cast<rlim_t>(n) + 1000);
	std::string most = std::to_string(n + 10);
	Node b(local(
	        {{"topic", "idle"}, {"max_connections", most}, {"connections.trim_to", most}}));
	{
		Node first; /* libuv and malloc have what every later one needs */
		first.connect(b);
	}
	ASSERT_TRUE(wait_connections(b, 0));
	malloc_trim(0); /* what earlier tests have left would serve these for nothing */
	Held before = held(b), rest = before;
	for (int round = 0; round < 2; round++) {
		Crowds crowds = gather(b, n_crowds);
		int64_t all = 0, goal = int64_t{n} << 13;
		EXPECT_TRUE(eventually([&] {
			all = kit::anon_bytes() - before.anon;
			return kit::sanitized || round > 0 || all <= goal + (256 << 10);
		})) << all;
		Held now = held(b);
		EXPECT_EQ(now.fds, before.fds + static_cast<size_t>(n + 3 * n_crowds));
		EXPECT_EQ(now.threads, before.threads);
		printf("%d connections at once, %.2f KiB each\n", n,
		       static_cast<double>(all) / 1024 / n);
		print("with them", now);
		crowds.clear();
		ASSERT_TRUE(wait_connections(b, 0));
		if (round == 0)
			rest.anon = kit::anon_bytes();
	}
	expect_flat(b, rest, 1 << 20, 2 << 20);
}

/* --- no descriptor left --- */

/* Good peers are served meanwhile, a dial says why it failed, and both ways in and out are open
 * again once there are descriptors. */
TEST(Resources, WithoutDescriptorsGoodPeersAreServed)
{
	Node a, b, c, late;
	b.must(KP2P_OP_SUBSCRIBE, "t");
	a.connect(b);
	ASSERT_TRUE(a.wait_subscribers("t", 1));
	std::string to_a = a.address(), to_c = c.address();
	{
		kit::NoDescriptors none;
		Event done = a.ask(KP2P_OP_CONNECT, to_c);
		ASSERT_TRUE(done);
		EXPECT_EQ(done.code(), KP2P_ELIMIT);
		EXPECT_NE(done.bytes(KP2P_F_TEXT).find("no file descriptor is left"),
		          std::string::npos)
		        << done.bytes(KP2P_F_TEXT);
		EXPECT_EQ(a.stat("dials_no_fd"), 1);
		EXPECT_EQ(late.ask(KP2P_OP_CONNECT, to_a).code(), KP2P_ELIMIT);
		for (int i = 0; i < 100; i++)
			ASSERT_EQ(a.publish("t", std::to_string(i), 0, kit::patience_ms), 0);
		EXPECT_TRUE(b.wait_message("99"));
		a.must(KP2P_OP_PING, b.id());
	}
	a.connect(c);
	late.connect(a);
}

/* A node that cannot be made or started for want of descriptors says so, and starts later; also the
 * first one of a process, when libuv has none of its own yet. */
TEST(Resources, StartsOnceThereAreDescriptors)
{
	for (int left = 0; left < 12; left++) {
		kit::Child child("descriptors " + std::to_string(left));
		EXPECT_EQ(child.wait(), 0) << left << ": " << child.errors();
	}
}

/* --- no name server --- */

class NoNames : public testing::TestWithParam<const char *>
{
};

/* A node starts, every dial of a name ends in its time with an error that names it, and nothing
 * holds up the end; in namespaces of its own, whose resolv.conf the child writes. */
TEST_P(NoNames, AreNamedInTime)
{
	kit::Child child(std::string("names ") + GetParam());
	int code = child.wait();
	if (code == kit::child_not_permitted)
		GTEST_SKIP() << "no namespaces here";
	EXPECT_EQ(code, 0) << child.errors();
}

INSTANTIATE_TEST_SUITE_P(Servers, NoNames, testing::Values("silent", "refusing", "unreachable"),
                         [](const auto &mode) { return std::string(mode.param); });

/* --- a long run --- */

/* An application that takes down what it is told: which numbers have come, and which publishes have
 * failed. */
class Ledger
{
      public:
	explicit Ledger(size_t total) : seen_(total) {}
	~Ledger()
	{
		over_ = true;
		if (thread_.joinable())
			thread_.join();
	}
	void start(Node &n)
	{
		thread_ = std::thread([this, &n] { run(n); });
	}
	int64_t came() const
	{
		return came_;
	}
	int64_t failed() const
	{
		return failed_;
	}
	int64_t dropped() const
	{
		return dropped_;
	}
	int64_t odd() const /* came twice, or was never sent */
	{
		return odd_;
	}

      private:
	void take(const Event &ev)
	{
		if (ev.type() == KP2P_EV_DROPPED)
			dropped_ += ev.integer(KP2P_F_COUNT);
		if (ev.type() == KP2P_EV_PUBLISHED)
			failed_ += ev.code() != 0;
		if (ev.type() != KP2P_EV_MESSAGE)
			return;
		size_t i = std::stoul(ev.bytes(KP2P_F_PAYLOAD));
		if (i >= seen_.size() || seen_[i]) {
			odd_++;
			return;
		}
		seen_[i] = true;
		came_++;
	}
	void run(kp2p_node *node)
	{
		kp2p_event *evs[256];
		while (!over_) {
			int n = kp2p_node_poll_batch(node, 0, evs, 256, 10);
			for (int i = 0; i < n; i++)
				take(Event(evs[i]));
		}
	}

	std::vector<bool> seen_;
	std::atomic<int64_t> came_{0}, failed_{0}, dropped_{0}, odd_{0};
	std::atomic<bool> over_{false};
	std::thread thread_;
};

int64_t sum(const vectors::Json &stats, const std::vector<const char *> &names)
{
	int64_t n = 0;
	for (const char *name : names)
		n += stats[name].number();
	return n;
}

/* Under these names a message that waits for a peer is dropped. */
const std::vector<const char *> lost = {"slow_peer", "dropped_own", "dropped_forward",
                                        "dropped_peer_gone"};
/* Under these one that has come is refused, or its event is dropped. */
const std::vector<const char *> refused = {"rejected_signature", "rejected_policy",
                                           "verify_dropped",     "events_dropped",
                                           "duplicates",         "rpc_no_memory"};

/* a publishes, b delivers and forwards to c. Gossip brings nothing a second time, and what is
 * remembered is forgotten so soon that memory comes to rest. */
struct Chain {
	Node a, b, c;
	Ledger at_a, at_b, at_c;
	int64_t accepted = 0;

	static Keys keys(const Keys &more)
	{
		Keys all = local({{"gossipsub.history_gossip", "0"},
		                  {"gossipsub.history_length", "1"},
		                  {"gossipsub.seen_ttl", "1s"}});
		all.insert(all.end(), more.begin(), more.end());
		return all;
	}
	explicit Chain(size_t total)
	    : a(keys({{"outbox.max_messages", "4096"}})), b(keys({{"topic", "t"}})),
	      c(keys({{"topic", "t"}})), at_a(0), at_b(total), at_c(total)
	{
		a.connect(b);
		c.connect(b);
		EXPECT_TRUE(a.wait_subscribers("t", 1));
		EXPECT_TRUE(b.wait_mesh("t", 1));
		at_a.start(a);
		at_b.start(b);
		at_c.start(c);
	}
	void publish(int64_t n)
	{
		for (int64_t end = accepted + n; accepted < end;) {
			int taken = kit::publish_numbers(
			        a, "t", static_cast<int>(accepted),
			        static_cast<int>(std::min<int64_t>(end - accepted, 500)), 0,
			        kit::patience_ms);
			ASSERT_GT(taken, 0) << kp2p_strerror(taken);
			accepted += taken;
		}
	}
	/* Accepted is published; published is received or dropped; so is what is forwarded; and
	 * what is received the application has been told, or told that it was dropped. */
	bool balanced() const
	{
		vectors::Json sa = a.json("stats"), sb = b.json("stats"), sc = c.json("stats");
		int64_t told_a = at_a.failed() + at_a.dropped();
		int64_t told_b = at_b.came() + at_b.dropped(), got_b = sum(sb, {"received"});
		int64_t told_c = at_c.came() + at_c.dropped(), got_c = sum(sc, {"received"});
		return sum(sa, {"published"}) == accepted && sum(sa, lost) == told_a &&
		       got_b + sum(sa, lost) == accepted && got_b == told_b &&
		       got_c + sum(sb, lost) == got_b && got_c == told_c;
	}
	std::string account() const
	{
		std::ostringstream s;
		s << accepted << " accepted; a lost " << sum(a.json("stats"), lost) << " and said "
		  << at_a.failed() << "+" << at_a.dropped() << "; b received " << b.stat("received")
		  << ", delivered " << at_b.came() << "+" << at_b.dropped() << ", lost "
		  << sum(b.json("stats"), lost) << "; c received " << c.stat("received")
		  << ", delivered " << at_c.came() << "+" << at_c.dropped();
		return s.str();
	}
};

/* What publish accepted is what the applications got and what was dropped under a name, to the
 * message; and the second half of the run takes no more memory than the first. */
TEST(Resources, EveryMessageOfALongRunIsAccountedFor)
{
	const int half = times(40000, 2000);
	Chain x(2 * static_cast<size_t>(half));
	Held before = held(x.b);
	kit::Clock::time_point begin = kit::Clock::now();
	x.publish(half);
	EXPECT_TRUE(eventually([&] { return x.balanced(); })) << x.account();
	before.anon = kit::anon_bytes(); /* the queues have been full, as they will be again */
	x.publish(half);
	EXPECT_TRUE(eventually([&] { return x.balanced(); })) << x.account();
	printf("%.1f s: %s\n", static_cast<double>(kit::ms_since(begin)) / 1000,
	       x.account().c_str());
	EXPECT_EQ(x.at_b.odd() + x.at_c.odd(), 0);
	EXPECT_EQ(sum(x.b.json("stats"), refused) + sum(x.c.json("stats"), refused), 0);
	EXPECT_GT(x.at_c.came(), 0);
	expect_flat(x.b, before, 4 << 20, 32 << 20); /* which were full, and when, is chance */
}

} // namespace
