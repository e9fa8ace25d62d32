/* The life of a node as the caller sees it: what is left after close, what works in which state,
 * concurrent closing, and that the process's signals are not touched. */
#include "abi_kit.h"

#include <cerrno>
#include <random>

namespace
{

using kit::Caller;
using kit::Clock;
using kit::Error;
using kit::Event;
using kit::eventually;
using kit::local;
using kit::ms_since;
using kit::Node;
using kit::times;

int my_pid()
{
	return static_cast<int>(getpid());
}

/* --- nothing is left --- */

void one_cycle()
{
	Node n(local({{"topic", "news"}}));
	EXPECT_GT(kp2p_node_inbox_fd(n, 0), 0);
	EXPECT_GT(kp2p_sender_fd(n.sender()), 0);
	EXPECT_EQ(n.publish("news", "x", 1), 0);
	EXPECT_EQ(n.close(0), 0);
}

TEST(Lifecycle, CyclesLeaveNoThreadFdOrMemory)
{
	for (int i = 0; i < times(100, 10); i++)
		one_cycle();
	size_t threads = kit::tasks().size(), fds = kit::fd_count();
	int64_t rss = kit::rss_bytes();
	for (int i = 0; i < times(1000, 30); i++) {
		one_cycle();
		ASSERT_EQ(kit::fd_count(), fds) << "cycle " << i;
	}
	EXPECT_TRUE(eventually([&] { return kit::tasks().size() == threads; }))
	        << kit::tasks().size() << " threads, " << threads << " before";
	if (!kit::sanitized) {
		EXPECT_LT(kit::rss_bytes(), rss + rss / 50 + (256 << 10));
	}
}

TEST(Lifecycle, ThreadsAreCounted)
{
	size_t before = kit::tasks().size();
	Node n(local({{"workers", "2"}}), false);
	EXPECT_EQ(n.info("threads"), "0");
	EXPECT_EQ(kit::tasks().size(), before);
	n.start();
	EXPECT_TRUE(eventually([&] {
		return n.info("threads") == std::to_string(kit::tasks().size() - before);
	})) << n.info("threads");
	EXPECT_EQ(n.info("threads"), "3");
	EXPECT_EQ(n.close(0), 0);
	EXPECT_EQ(n.info("threads"), "0");
	EXPECT_TRUE(eventually([&] { return kit::tasks().size() == before; }));
}

TEST(Lifecycle, ManyNodesAtOnce)
{
	std::vector<std::unique_ptr<Node>> nodes;
	std::set<std::string> ids;
	for (int i = 0; i < times(40, 10); i++) {
		nodes.push_back(std::make_unique<Node>());
		ids.insert(nodes.back()->id());
	}
	EXPECT_EQ(ids.size(), nodes.size());
}

/* --- any order of endings --- */

/* The thread that has started a node goes on at once, while the node's own thread begins: both take
 * blocks of its pool. */
TEST(Lifecycle, TheStarterGoesOnAtOnce)
{
	for (int i = 0; i < 300; i++) {
		Node n;
		for (int64_t token = 1; token <= 20; token++) {
			ASSERT_EQ(n.publish("t", std::to_string(token), 2 * token), 0);
			ASSERT_EQ(kp2p_node_request(n, KP2P_OP_SUBSCRIBE, "t", SIZE_MAX, nullptr, 0,
			                            0, 2 * token + 1, nullptr),
			          0);
		}
		ASSERT_EQ(n.close(0), 0);
	}
}

TEST(Lifecycle, CloseTwiceAndAtOnce)
{
	Node n;
	std::vector<std::unique_ptr<Caller>> all;
	for (int i = 0; i < 4; i++)
		all.push_back(std::make_unique<Caller>(
		        [&n] { return kp2p_node_close(n, 0, kit::patience_ms); }));
	for (auto &c : all)
		EXPECT_EQ(c->result(), 0);
	EXPECT_EQ(n.close(), 0);
	EXPECT_EQ(kp2p_node_close(n, 0, 0), 0);
}

TEST(Lifecycle, CloseBeforeStart)
{
	Node n(local(), false);
	Error err;
	EXPECT_EQ(n.publish("news", "x", 7), 0);
	EXPECT_EQ(n.close(), 0);
	EXPECT_EQ(kp2p_node_start(n, err), KP2P_ECLOSED);
	EXPECT_NE(err.text(), "");
	Event ev = n.wait_final(7);
	ASSERT_TRUE(ev) << "a publish queued before start has no end";
	EXPECT_EQ(ev.code(), KP2P_ECLOSED);
}

/* Median of how long freeing a running node takes: it must not do the goodbye itself. */
TEST(Lifecycle, FreeWithoutCloseDoesNotBlock)
{
	size_t threads = kit::tasks().size();
	std::vector<int64_t> took;
	for (int i = 0; i < 9; i++) {
		Node n;
		Clock::time_point begin = Clock::now();
		n.drop();
		took.push_back(ms_since(begin));
	}
	std::sort(took.begin(), took.end());
	EXPECT_LE(took[took.size() / 2], kit::sanitized ? 50 : 10);
	EXPECT_TRUE(eventually([&] { return kit::tasks().size() == threads; }))
	        << "threads of freed nodes live on";
}

TEST(Lifecycle, FreeOnAnotherThread)
{
	size_t threads = kit::tasks().size();
	Node n;
	std::thread([&n] { n.drop(); }).join();
	EXPECT_TRUE(eventually([&] { return kit::tasks().size() == threads; }));
}

TEST(Lifecycle, EventsAndSendersOutliveTheNode)
{
	Node n;
	Event ev = n.wait_type(KP2P_EV_LISTEN);
	ASSERT_TRUE(ev);
	std::string address = ev.bytes(KP2P_F_ADDR);
	kp2p_sender *first = kp2p_sender_new(n, nullptr);
	kp2p_sender *second = kp2p_sender_clone(first);
	ASSERT_NE(second, nullptr);
	EXPECT_EQ(n.close(0), 0);
	n.drop();
	EXPECT_EQ(ev.bytes(KP2P_F_ADDR), address);
	EXPECT_EQ(kp2p_sender_publish(first, "t", "x", 1, 0, 0, nullptr), KP2P_ECLOSED);
	kp2p_sender_free(first);
	EXPECT_EQ(kp2p_sender_publish(second, "t", "x", 1, 0, -1, nullptr), KP2P_ECLOSED);
	kp2p_sender_free(second);
}

int free_inside(kp2p_event *, void *ud)
{
	static_cast<Node *>(ud)->drop();
	return 5;
}

TEST(Lifecycle, FreeInsideAListenCallback)
{
	size_t threads = kit::tasks().size();
	Node n;
	EXPECT_EQ(kp2p_node_listen(n, 0, free_inside, &n, nullptr), 5);
	EXPECT_TRUE(eventually([&] { return kit::tasks().size() == threads; }));
}

TEST(Lifecycle, FreeInsideAListenCallbackThatGoesOn)
{
	Node n;
	auto cb = [](kp2p_event *, void *ud) {
		static_cast<Node *>(ud)->drop();
		return 0;
	};
	EXPECT_EQ(kp2p_node_listen(n, 0, cb, &n, nullptr), 0) << "the node is closed by its free";
}

int close_inside(kp2p_event *, void *ud)
{
	return kp2p_node_close(*static_cast<Node *>(ud), 0, kit::patience_ms);
}

TEST(Lifecycle, CloseInsideAListenCallback)
{
	Node n;
	EXPECT_EQ(kp2p_node_listen(n, 0, close_inside, &n, nullptr), 0);
	EXPECT_EQ(kp2p_node_close(n, 0, 0), 0) << "the callback's close had not closed";
}

TEST(Lifecycle, FailedStartLeavesTheNodeStartable)
{
	auto taken = std::make_unique<Node>();
	std::string addr = taken->address();
	addr = addr.substr(0, addr.find("/p2p/"));
	size_t threads = kit::tasks().size(), fds = kit::fd_count();
	Node n({{"listen", addr}, {"kad.mode", "off"}, {"workers", "1"}}, false);
	std::string id = n.id();
	for (int i = 0; i < 3; i++) {
		Error err;
		EXPECT_EQ(kp2p_node_start(n, err), KP2P_EADDRINUSE);
		EXPECT_NE(err.text().find(addr), std::string::npos) << err.text();
	}
	EXPECT_EQ(kit::tasks().size(), threads);
	EXPECT_LE(kit::fd_count(), fds + 2) << "a failed start leaks descriptors";
	taken.reset();
	n.start();
	EXPECT_EQ(n.id(), id);
	EXPECT_EQ(n.address(), addr + "/p2p/" + id);
}

/* --- by state --- */

int poll_code(kp2p_node *n, int inbox, int timeout_ms)
{
	Event ev(kp2p_node_poll(n, inbox, timeout_ms));
	return ev.type() == KP2P_EV_CLOSED ? ev.code() : ev ? 1 : 0;
}

int batch_code(kp2p_node *n, int timeout_ms)
{
	kp2p_event *ev[4] = {};
	int r = kp2p_node_poll_batch(n, 9, ev, 4, timeout_ms);
	if (r > 0)
		kp2p_events_free(ev, static_cast<size_t>(r));
	return r;
}

int packed_code(kp2p_node *n, int timeout_ms)
{
	char buf[256];
	size_t used = 99;
	return kp2p_node_poll_packed(n, 9, buf, sizeof buf, &used, timeout_ms);
}

int batch_publish_code(Node &n, const char *two)
{
	uint32_t lens[2] = {1, 1};
	return kp2p_sender_publish_batch(n.sender(), "t", two, lens, 2, 0, 0, nullptr);
}

void any_wakeup(void *, int) {}

int any_event(kp2p_event *, void *)
{
	return 77;
}

const char *const some_peer = "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms";

/* What every state answers alike. */
void expect_stateless(Node &n)
{
	const char *const whats[] = {"self",    "addresses", "peers",       "topics",
	                             "routing", "stats",     "threads",     "config",
	                             "peer_id", "version",   "listen_addrs"};
	for (const char *what : whats)
		n.info(what);
	Error err;
	EXPECT_EQ(kp2p_node_info(n, "nothing", err), nullptr);
	EXPECT_EQ(err.code(), KP2P_EINVAL);
	EXPECT_GT(kp2p_node_stop_id(n), 0);
	EXPECT_EQ(kp2p_node_set_wakeup(n, nullptr, nullptr), 0);
	EXPECT_EQ(poll_code(n, 1024, 0), KP2P_EINVAL);
	EXPECT_EQ(poll_code(n, -1, 0), KP2P_EINVAL);
	EXPECT_EQ(kp2p_node_inbox_fd(n, 1024), KP2P_EINVAL);
}

TEST(ByState, BeforeStart)
{
	Node n(local(), false);
	expect_stateless(n);
	EXPECT_EQ(n.publish("t", "x"), 0);
	EXPECT_EQ(batch_publish_code(n, "yz"), 2);
	EXPECT_EQ(n.send(some_peer, "/p/1", "x"), KP2P_ESTATE);
	EXPECT_EQ(n.request(KP2P_OP_SUBSCRIBE, "t"), 0);
	EXPECT_EQ(n.request(KP2P_OP_UNSUBSCRIBE, "t"), 0);
	EXPECT_EQ(n.request(KP2P_OP_ADD_PROTOCOL, "/p/1"), 0);
	for (int op : {KP2P_OP_CONNECT, KP2P_OP_DISCONNECT, KP2P_OP_PING, KP2P_OP_DHT_FIND_PEER})
		EXPECT_EQ(n.request(op, some_peer), KP2P_ESTATE) << op;
	EXPECT_EQ(poll_code(n, 9, 0), 0);
	EXPECT_EQ(batch_code(n, 0), 0);
	EXPECT_EQ(packed_code(n, 0), 0);
	EXPECT_EQ(poll_code(n, 9, 10), KP2P_ESTATE);
	EXPECT_EQ(batch_code(n, -1), KP2P_ESTATE);
	EXPECT_EQ(packed_code(n, 10), KP2P_ESTATE);
	EXPECT_EQ(kp2p_node_listen(n, 9, any_event, nullptr, nullptr), KP2P_ESTATE);
	EXPECT_GE(kp2p_node_inbox_fd(n, 9), 0);
	EXPECT_TRUE(kit::readable(kp2p_sender_fd(n.sender())));
	EXPECT_EQ(kp2p_node_set_wakeup(n, any_wakeup, nullptr), 0);
	EXPECT_LT(kp2p_node_verdict(n, 1, KP2P_VERDICT_ACCEPT), 0);
	EXPECT_LT(kp2p_node_cancel(n, 99), 0);
}

TEST(ByState, WhatWasQueuedBeforeStartHappensAfterIt)
{
	Node n(local(), false), other(local({{"topic", "t"}}));
	EXPECT_EQ(n.request(KP2P_OP_SUBSCRIBE, "t", "self=1 inbox=2", 1), 0);
	EXPECT_EQ(n.publish("t", "early", 2), 0);
	n.start();
	n.connect(other);
	EXPECT_TRUE(other.wait_message("early"));
	EXPECT_TRUE(n.wait_message("early", 2)) << "the subscription came first";
	Event done = n.wait_final(1);
	ASSERT_TRUE(done);
	EXPECT_EQ(done.code(), 0);
	EXPECT_EQ(n.wait_final(2).integer(KP2P_F_COUNT), 1);
}

TEST(ByState, Running)
{
	Node n;
	expect_stateless(n);
	Error err;
	EXPECT_EQ(kp2p_node_start(n, err), KP2P_ESTATE);
	EXPECT_NE(err.text(), "");
	EXPECT_EQ(n.publish("t", "x"), 0);
	EXPECT_EQ(batch_publish_code(n, "yz"), 2);
	EXPECT_EQ(batch_code(n, 0), 0);
	EXPECT_EQ(packed_code(n, 5), 0);
	EXPECT_EQ(poll_code(n, 9, 5), 0);
	EXPECT_EQ(kp2p_node_set_wakeup(n, any_wakeup, nullptr), 0);
	EXPECT_EQ(kp2p_node_verdict(n, 1, KP2P_VERDICT_ACCEPT), KP2P_ENOTFOUND);
	EXPECT_EQ(kp2p_node_verdict(n, 1, 3), KP2P_EINVAL);
	EXPECT_EQ(kp2p_node_cancel(n, 99), KP2P_ENOTFOUND);
}

/* The goodbye to a peer that has stopped answering lasts as long as its budget. */
TEST(ByState, Closing)
{
	kit::Child peer("peer");
	Node n;
	Event gone;
	n.must(KP2P_OP_CONNECT, peer.address());
	n.must(KP2P_OP_SUBSCRIBE, "news");
	ASSERT_TRUE(n.wait_subscribers("news", 1));
	peer.signal(SIGSTOP);
	EXPECT_EQ(kp2p_node_close(n, 600000, 0), KP2P_EAGAIN);
	EXPECT_EQ(kp2p_node_close(n, 600000, 50), KP2P_ETIMEDOUT);
	expect_stateless(n);
	Error err;
	EXPECT_EQ(n.publish("t", "x"), KP2P_ECLOSED);
	EXPECT_EQ(n.publish("t", "x", 0, -1), KP2P_ECLOSED);
	EXPECT_EQ(batch_publish_code(n, "yz"), KP2P_ECLOSED);
	EXPECT_EQ(n.send(some_peer, "/p/1", "x"), KP2P_ECLOSED);
	EXPECT_EQ(n.request(KP2P_OP_SUBSCRIBE, "u"), KP2P_ECLOSED);
	EXPECT_EQ(n.request(KP2P_OP_PING, some_peer, "", 5), KP2P_ECLOSED);
	EXPECT_LT(kp2p_node_start(n, err), 0);
	EXPECT_EQ(batch_code(n, 0), 0);
	EXPECT_EQ(packed_code(n, 5), 0);
	EXPECT_EQ(poll_code(n, 9, 5), 0);
	EXPECT_EQ(kp2p_node_verdict(n, 1, KP2P_VERDICT_ACCEPT), KP2P_ENOTFOUND);
	EXPECT_EQ(kp2p_node_cancel(n, 99), KP2P_ENOTFOUND);
	EXPECT_TRUE(kit::readable(kp2p_sender_fd(n.sender())));
	EXPECT_EQ(kp2p_node_close(n, 600000, 0), KP2P_EAGAIN) << "it did not stay closing";
	Clock::time_point begin = Clock::now();
	EXPECT_EQ(kp2p_node_close(n, 0, kit::patience_ms), 0);
	EXPECT_LT(ms_since(begin), kit::sanitized ? 5000 : 1000) << "a later call shortens it";
	peer.signal(SIGKILL);
}

TEST(ByState, Closed)
{
	Node n;
	ASSERT_NE(n.sender(), nullptr);
	std::string id = n.id();
	int fd = kp2p_node_inbox_fd(n, 9);
	EXPECT_FALSE(kit::readable(fd));
	EXPECT_EQ(n.close(0), 0);
	expect_stateless(n);
	EXPECT_EQ(n.id(), id);
	EXPECT_TRUE(kit::readable(fd));
	Error err;
	EXPECT_EQ(kp2p_node_start(n, err), KP2P_ECLOSED);
	EXPECT_NE(err.text(), "");
	EXPECT_EQ(n.publish("t", "x", 0, -1), KP2P_ECLOSED);
	EXPECT_EQ(batch_publish_code(n, "yz"), KP2P_ECLOSED);
	EXPECT_EQ(n.send(some_peer, "/p/1", "x"), KP2P_ECLOSED);
	for (int op = KP2P_OP_CONNECT; op <= KP2P_OP_PING; op++)
		EXPECT_EQ(n.request(op, some_peer), KP2P_ECLOSED) << op;
	EXPECT_EQ(n.request(KP2P_OP_SUBSCRIBE, "t", "", 5), KP2P_ECLOSED);
	for (int timeout_ms : {0, 10, -1}) {
		EXPECT_EQ(poll_code(n, 9, timeout_ms), KP2P_ECLOSED);
		EXPECT_EQ(batch_code(n, timeout_ms), KP2P_ECLOSED);
		EXPECT_EQ(packed_code(n, timeout_ms), KP2P_ECLOSED);
	}
	EXPECT_EQ(kp2p_node_listen(n, 9, any_event, nullptr, nullptr), 0);
	EXPECT_EQ(kp2p_node_set_wakeup(n, any_wakeup, nullptr), KP2P_ECLOSED);
	EXPECT_EQ(kp2p_node_verdict(n, 1, KP2P_VERDICT_ACCEPT), KP2P_ECLOSED);
	EXPECT_EQ(kp2p_node_cancel(n, 99), KP2P_ECLOSED);
	Error refused;
	EXPECT_EQ(kp2p_sender_new(n, refused), nullptr);
	EXPECT_EQ(refused.code(), KP2P_ECLOSED);
}

TEST(ByState, WhatIsLeftIsReadAfterClose)
{
	Node n;
	EXPECT_EQ(n.request(KP2P_OP_SUBSCRIBE, "t", "", 1), 0);
	EXPECT_EQ(n.publish("nobody", "held", 2), 0);
	EXPECT_EQ(n.close(0), 0);
	std::set<int64_t> tokens;
	int code = 0;
	for (Event ev; code == 0;) {
		ev = Event(kp2p_node_poll(n, 0, -1));
		if (ev.is_final()) {
			EXPECT_TRUE(tokens.insert(ev.token()).second);
		}
		if (ev.type() == KP2P_EV_CLOSED)
			code = ev.code();
	}
	EXPECT_EQ(code, KP2P_ECLOSED);
	EXPECT_EQ(tokens, (std::set<int64_t>{1, 2}));
}

TEST(ByState, NullIsRefusedOrNothing)
{
	kp2p_free(nullptr);
	kp2p_error_free(nullptr);
	kp2p_config_free(nullptr);
	kp2p_node_free(nullptr);
	kp2p_sender_free(nullptr);
	kp2p_events_free(nullptr, 0);
	kp2p_event *none[3] = {};
	kp2p_events_free(none, 3);
	EXPECT_STREQ(kp2p_error_message(nullptr), "");
	EXPECT_EQ(kp2p_error_code(nullptr), 0);
	EXPECT_EQ(kp2p_event_type(nullptr), 0);
	EXPECT_EQ(kp2p_event_int(nullptr, KP2P_F_TOKEN), 0);
	EXPECT_EQ(kp2p_event_bytes(nullptr, KP2P_F_TOPIC).ptr, nullptr);
	EXPECT_EQ(kp2p_node_stop_id(nullptr), 0);
	EXPECT_EQ(kp2p_node_close(nullptr, 0, 0), KP2P_EINVAL);
	EXPECT_EQ(kp2p_node_wake(nullptr), KP2P_EINVAL);
	EXPECT_EQ(kp2p_node_verdict(nullptr, 1, 0), KP2P_EINVAL);
	EXPECT_EQ(kp2p_node_cancel(nullptr, 1), KP2P_EINVAL);
	EXPECT_EQ(kp2p_node_inbox_fd(nullptr, 0), KP2P_EINVAL);
	EXPECT_EQ(kp2p_node_set_wakeup(nullptr, any_wakeup, nullptr), KP2P_EINVAL);
	EXPECT_EQ(kp2p_sender_fd(nullptr), KP2P_EINVAL);
	EXPECT_EQ(kp2p_sender_clone(nullptr), nullptr);
	EXPECT_EQ(poll_code(nullptr, 0, 0), KP2P_EINVAL);
	EXPECT_EQ(batch_code(nullptr, 0), KP2P_EINVAL);
	EXPECT_EQ(packed_code(nullptr, 0), KP2P_EINVAL);
}

TEST(ByState, AnErrorIsWrittenOnlyOverNull)
{
	kp2p_config *c = kp2p_config_new();
	kp2p_error *err = nullptr;
	EXPECT_LT(kp2p_config_set(c, "no.such.key", "1", &err), 0);
	kp2p_error *first = err;
	EXPECT_LT(kp2p_config_set(c, "topic", "", &err), 0);
	EXPECT_EQ(err, first);
	EXPECT_NE(strstr(kp2p_error_message(err), "no.such.key"), nullptr);
	kp2p_error_free(err);
	err = nullptr;
	EXPECT_EQ(kp2p_config_set(c, "topic", "a", &err), 0);
	EXPECT_EQ(err, nullptr) << "success writes no error";
	EXPECT_LT(kp2p_config_set(c, "topic", "", nullptr), 0);
	kp2p_config_free(c);
}

/* --- closing while others are inside --- */

struct Race {
	Clock::time_point end[4];
	int code[4];
};

/* B polls, C publishes with a full outbox, D asks for info; A closes after a moment. */
void race_once(std::chrono::microseconds pause, std::vector<int64_t> *took)
{
	Node n(local({{"outbox.max_messages", "1"}, {"publish.hold", "0"}}));
	EXPECT_EQ(n.publish("t", "x", 1), 0); /* its PUBLISHED stays unread: no room for another */
	std::atomic<bool> info_done{false};
	Race r = {};
	std::thread b([&] {
		r.code[1] = poll_code(n, 5, -1);
		r.end[1] = Clock::now();
	});
	std::thread c([&] {
		r.code[2] = n.publish("t", "y", 2, -1);
		r.end[2] = Clock::now();
	});
	std::thread d([&] {
		while (!info_done) {
			std::string text = n.info("stats");
			EXPECT_EQ(text.substr(0, 1), "{");
			r.end[3] = Clock::now();
		}
	});
	Clock::time_point begin = Clock::now();
	while (Clock::now() - begin < pause)
		; /* where each of them is then is what varies */
	begin = Clock::now();
	EXPECT_EQ(kp2p_node_close(n, 0, kit::patience_ms), 0);
	r.end[0] = Clock::now();
	info_done = true;
	b.join();
	c.join();
	d.join();
	EXPECT_EQ(r.code[1], KP2P_ECLOSED);
	EXPECT_EQ(r.code[2], KP2P_ECLOSED);
	for (const Clock::time_point &end : r.end)
		took->push_back(
		        std::chrono::duration_cast<std::chrono::milliseconds>(end - begin).count());
}

TEST(Lifecycle, CloseWhileOthersPollPublishAndAsk)
{
	std::mt19937 rng(7);
	std::vector<int64_t> took;
	for (int i = 0; i < times(300, 40); i++)
		race_once(std::chrono::microseconds(rng() % 400), &took);
	std::sort(took.begin(), took.end());
	int64_t limit = kit::sanitized ? 500 : 100;
	/* other programs have the processors too: one straggler in a hundred may be late */
	EXPECT_LE(took[took.size() * 99 / 100], limit);
	EXPECT_LE(took.back(), 10 * limit);
}

/* --- signals --- */

std::atomic<int64_t> storm_id;
std::atomic<int> storm_handled, storm_errno_lost, storm_odd;

void storm_handler(int)
{
	errno = 4711;
	int n = storm_handled.fetch_add(1) + 1;
	int r = kp2p_stop(n % 16 == 0 ? storm_id.load() : 1);
	if (r != 0 && r != KP2P_ECLOSED)
		storm_odd++;
	if (errno != 4711)
		storm_errno_lost++;
}

/* Works on a node with everything that takes locks and memory until it is stopped under it; when
 * the signals are over it stops itself. */
void storm_one_node(const std::atomic<bool> &over)
{
	Node n(local({{"topic", "news"}}), false);
	Error err;
	storm_id = kp2p_node_stop_id(n);
	int started = kp2p_node_start(n, err);
	if (started != 0) {
		EXPECT_EQ(started, KP2P_ECLOSED) << err.text();
	}
	for (size_t i = 0;; i++) {
		Event ev(kp2p_node_poll(n, 0, i % 8 == 0 ? 1 : 0));
		if (ev.type() == KP2P_EV_CLOSED)
			break;
		n.publish("news", std::string(i % 5000, 'x'), 0, 1);
		n.info("stats");
		if (over)
			kp2p_stop(storm_id);
	}
	while (kp2p_node_close(n, 0, kit::patience_ms) == KP2P_EINTR)
		;
	EXPECT_EQ(kp2p_node_close(n, 0, 0), 0);
}

TEST(Signals, StopInAHandlerUnderAStorm)
{
	const int signals = times(10000, 1500);
	struct sigaction sa = {}, before;
	sa.sa_handler = storm_handler;
	sigaction(SIGTERM, &sa, &before);
	storm_handled = storm_errno_lost = storm_odd = 0;
	std::atomic<bool> over{false};
	pthread_t target = pthread_self();
	std::thread storm([&] {
		/* the next one when the last was handled: none is merged with another */
		for (int i = 0; i < signals; i++) {
			pthread_kill(target, SIGTERM);
			while (storm_handled <= i)
				std::this_thread::yield();
		}
		over = true;
	});
	int nodes = 0;
	for (; !over; nodes++)
		storm_one_node(over);
	storm.join();
	sigaction(SIGTERM, &before, nullptr);
	EXPECT_EQ(storm_handled, signals);
	EXPECT_EQ(storm_errno_lost, 0);
	EXPECT_EQ(storm_odd, 0) << "a stop gave neither 0 nor ECLOSED";
	EXPECT_GT(nodes, 0); /* few under TSan, which delivers a signal only at the next call */
}

TEST(Signals, StaleStopIdsDoNothing)
{
	std::set<int64_t> ids;
	for (int i = 0; i < times(100, 20); i++) {
		Node n(local(), false);
		int64_t id = kp2p_node_stop_id(n);
		EXPECT_GT(id, 0);
		EXPECT_TRUE(ids.insert(id).second) << "an id was given again";
	}
	Node alive;
	for (int64_t id : ids)
		EXPECT_EQ(kp2p_stop(id), KP2P_ECLOSED);
	for (int64_t id : {INT64_C(0), INT64_C(-1), INT64_MIN, INT64_MAX})
		EXPECT_LT(kp2p_stop(id), 0) << id;
	EXPECT_EQ(kp2p_node_close(nullptr, 0, 0), KP2P_EINVAL);
	EXPECT_EQ(alive.request(KP2P_OP_SUBSCRIBE, "t"), 0) << "another node was stopped";
	EXPECT_EQ(kp2p_stop(kp2p_node_stop_id(alive)), 0);
	Event end = alive.wait_type(KP2P_EV_CLOSED);
	ASSERT_TRUE(end);
	EXPECT_EQ(end.code(), KP2P_ECLOSED);
	EXPECT_EQ(alive.close(0), 0);
	EXPECT_EQ(kp2p_stop(kp2p_node_stop_id(alive)), KP2P_ECLOSED);
}

TEST(Signals, StopBeforeStart)
{
	Node n(local(), false);
	EXPECT_EQ(kp2p_stop(kp2p_node_stop_id(n)), 0);
	Error err;
	EXPECT_EQ(kp2p_node_start(n, err), KP2P_ECLOSED);
	EXPECT_NE(err.text(), "");
	EXPECT_EQ(poll_code(n, 0, -1), KP2P_ECLOSED);
}

/* Signals 1 to 64 but those that cannot be blocked (KILL, STOP) and the C library's own two. */
constexpr uint64_t blockable = ~(UINT64_C(1) << 8 | UINT64_C(1) << 18 | UINT64_C(3) << 31);

TEST(Signals, OwnThreadsBlockEverySignalAndNoHandlerIsInstalled)
{
	std::set<int> before = kit::tasks();
	std::string caught = kit::task_status(my_pid(), "SigCgt");
	std::string ignored = kit::task_status(my_pid(), "SigIgn");
	std::string blocked = kit::task_status(my_pid(), "SigBlk");
	Node n(local({{"workers", "2"}})), other(local({{"topic", "t"}}));
	n.connect(other);
	n.must(KP2P_OP_PING, other.id());
	int seen = 0;
	for (int tid : kit::tasks()) {
		std::string mask = kit::task_status(tid, "SigBlk");
		if (before.count(tid) != 0 || mask.empty())
			continue;
		EXPECT_EQ(std::stoull(mask, nullptr, 16) & blockable, blockable) << mask;
		seen++;
	}
	EXPECT_EQ(seen, 5) << "two loops, two workers here, one there";
	EXPECT_EQ(kit::task_status(my_pid(), "SigCgt"), caught);
	EXPECT_EQ(kit::task_status(my_pid(), "SigIgn"), ignored);
	EXPECT_EQ(kit::task_status(my_pid(), "SigBlk"), blocked);
}

/* A peer that is killed while we write to it: the default action of SIGPIPE would end us. */
TEST(Signals, PeerResetsWhileWeWrite)
{
	struct sigaction sa = {}, before;
	sa.sa_handler = SIG_DFL;
	sigaction(SIGPIPE, &sa, &before);
	for (int round = 0; round < times(4, 2); round++) {
		kit::Child peer("peer");
		Node n(local({{"events", "peers"}}));
		n.must(KP2P_OP_CONNECT, peer.address());
		ASSERT_TRUE(n.wait_type(KP2P_EV_PEER_UP));
		peer.signal(SIGSTOP);
		for (int i = 0; i < 300; i++)
			n.publish("news", std::to_string(i) + std::string(20000, 'x'));
		peer.signal(SIGKILL);
		for (int i = 0; i < 300; i++)
			n.publish("news", std::to_string(i) + std::string(20000, 'y'));
		EXPECT_TRUE(n.wait_type(KP2P_EV_PEER_DOWN));
		EXPECT_EQ(n.close(0), 0);
	}
	sigaction(SIGPIPE, &before, nullptr);
}

/* --- fork --- */

/* What a forked child finds; 0 = as documented, else the number of what is wrong. */
int forked_child(kp2p_node *n, kp2p_sender *s, kp2p_event *ev)
{
	char buf[200];
	size_t used = 0;
	kp2p_event *out[2] = {};
	kp2p_error *err = nullptr;
	uint32_t len = 1;
	const int codes[] = {
	        kp2p_node_start(n, &err),
	        kp2p_node_close(n, 0, -1),
	        kp2p_sender_publish(s, "t", "x", 1, 0, -1, nullptr),
	        kp2p_sender_publish_batch(s, "t", "x", &len, 1, 0, -1, nullptr),
	        kp2p_sender_send(s, some_peer, "/p/1", "x", 1, 0, -1, nullptr),
	        kp2p_sender_fd(s),
	        kp2p_node_poll_batch(n, 0, out, 2, -1),
	        kp2p_node_poll_packed(n, 0, buf, sizeof buf, &used, -1),
	        kp2p_node_inbox_fd(n, 0),
	        kp2p_node_set_wakeup(n, any_wakeup, nullptr),
	        kp2p_node_set_wakeup(n, nullptr, nullptr),
	        kp2p_node_listen(n, 0, any_event, nullptr, nullptr),
	        kp2p_node_wake(n),
	        kp2p_node_verdict(n, 1, 0),
	        kp2p_node_cancel(n, 1),
	        kp2p_node_request(n, KP2P_OP_SUBSCRIBE, "t", 1, nullptr, 0, 0, 0, nullptr),
	        kp2p_error_code(err),
	};
	int i = 1;
	for (int code : codes) {
		if (code != KP2P_EFORKED)
			return i;
		i++;
	}
	const kp2p_event *end = kp2p_node_poll(n, 0, -1);
	if (kp2p_event_type(end) != KP2P_EV_CLOSED ||
	    kp2p_event_int(end, KP2P_F_CODE) != KP2P_EFORKED)
		return 50;
	if (kp2p_node_info(n, "self", nullptr) != nullptr ||
	    kp2p_sender_new(n, nullptr) != nullptr || kp2p_node_stop_id(n) != 0)
		return 51;
	kp2p_events_free(&ev, 1);
	kp2p_sender_free(s);
	kp2p_node_free(n);
	return 0;
}

/* A node of the child's own. */
int forked_child_node()
{
	kp2p_config *c = kp2p_config_new();
	kp2p_config_set(c, "listen", "/ip4/127.0.0.1/tcp/0", nullptr);
	kp2p_node *n = kp2p_node_new(c, nullptr);
	kp2p_config_free(c);
	if (n == nullptr || kp2p_node_start(n, nullptr) != 0)
		return 60;
	if (kp2p_node_close(n, 0, 20000) != 0)
		return 61;
	kp2p_node_free(n);
	return 0;
}

int join_child(pid_t pid)
{
	int status = -1;
	if (!eventually([&] { return waitpid(pid, &status, WNOHANG) == pid; })) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

TEST(Fork, ChildIsRefusedAndParentGoesOn)
{
	Node a, b(local({{"topic", "t"}}));
	a.connect(b);
	Event ev = b.wait_type(KP2P_EV_LISTEN);
	ASSERT_TRUE(ev);
	kp2p_event *raw = const_cast<kp2p_event *>(ev.get());
	for (int i = 0; i < times(10, 3); i++) {
		int64_t id = kp2p_node_stop_id(a);
		ASSERT_NE(a.sender(), nullptr);
		pid_t pid = fork();
		ASSERT_GE(pid, 0);
		if (pid == 0) {
			int wrong = forked_child(a, a.sender(), raw);
			if (wrong == 0 && kp2p_stop(id) != KP2P_EFORKED)
				wrong = 52;
			if (wrong == 0 && !kit::tsan)
				wrong = forked_child_node();
			_exit(wrong);
		}
		EXPECT_EQ(join_child(pid), 0) << "see forked_child";
		a.must(KP2P_OP_PING, b.id());
		EXPECT_EQ(a.publish("t", "after fork " + std::to_string(i)), 0);
		EXPECT_TRUE(b.wait_message("after fork " + std::to_string(i)));
	}
}

/* It has no thread yet, and still belongs to the process that made it. */
TEST(Fork, UnstartedNodeIsTheParentsToo)
{
	Node n(local(), false);
	pid_t pid = fork();
	ASSERT_GE(pid, 0);
	if (pid == 0)
		_exit(kp2p_node_start(n, nullptr) == KP2P_EFORKED ? 0 : 1);
	EXPECT_EQ(join_child(pid), 0);
	n.start();
}

/* The child holds copies of the sockets: the parent's close must still end the connection. */
TEST(Fork, CloseEndsConnectionsThatAChildHolds)
{
	Node a(local({{"events", "peers"}})), b(local({{"events", "peers"}}));
	a.connect(b);
	ASSERT_TRUE(b.wait_type(KP2P_EV_PEER_UP));
	std::string address = a.address();
	int hold[2];
	ASSERT_EQ(pipe(hold), 0);
	pid_t pid = fork();
	ASSERT_GE(pid, 0);
	if (pid == 0) {
		char c;
		::close(hold[1]);
		_exit(read(hold[0], &c, 1) == 0 ? 0 : 1);
	}
	::close(hold[0]);
	EXPECT_EQ(a.close(0), 0);
	EXPECT_TRUE(b.wait_type(KP2P_EV_PEER_DOWN));
	Event refused = b.ask(KP2P_OP_CONNECT, address);
	ASSERT_TRUE(refused);
	EXPECT_NE(refused.code(), 0) << "the child's copy of the listener still accepts";
	::close(hold[1]);
	EXPECT_EQ(join_child(pid), 0);
}

} // namespace
