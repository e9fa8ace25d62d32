/* The bounded queues and who waits at them: outbox, inboxes, fds, wake-ups, signals. A node without
 * room for another PUBLISHED record stands for a full network: its outbox stays full until they are
 * read. */
#include "abi_kit.h"

namespace
{

using kit::Caller;
using kit::Clock;
using kit::Error;
using kit::Event;
using kit::eventually;
using kit::Keys;
using kit::local;
using kit::ms_since;
using kit::Node;

/* A running node whose outbox of n messages is full: their PUBLISHED records wait unread. */
struct Full {
	Node n;
	explicit Full(int64_t bound)
	    : n(local({{"outbox.max_messages", std::to_string(bound)}, {"publish.hold", "0"}}))
	{
		n.wait_type(KP2P_EV_LISTEN);
		for (int64_t i = 1; i <= bound; i++)
			EXPECT_EQ(n.publish("t", std::to_string(i), i, kit::patience_ms), 0);
		EXPECT_TRUE(eventually([&] { return n.stat("inbox_messages") == bound; }));
	}
	/* The next PUBLISHED: makes room for one more. */
	int64_t take()
	{
		Event ev = n.wait_type(KP2P_EV_PUBLISHED);
		EXPECT_TRUE(ev);
		return ev.token();
	}
};

/* --- the outbox --- */

TEST(Outbox, RefusesAtTheBoundBeforeStart)
{
	Node n(local({{"outbox.max_messages", "5"}}), false);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(n.publish("t", std::to_string(i)), 0) << i;
	Error err, wait;
	EXPECT_EQ(kp2p_sender_publish(n.sender(), "t", "x", 1, 0, 0, err), KP2P_EAGAIN);
	EXPECT_NE(err.text().find("outbox"), std::string::npos) << err.text();
	EXPECT_EQ(kp2p_sender_publish(n.sender(), "t", "x", 1, 0, 50, wait), KP2P_ESTATE);
	EXPECT_NE(wait.text(), "");
	n.start();
	EXPECT_EQ(n.publish("t", "x", 0, kit::patience_ms), 0) << "start makes room";
}

TEST(Outbox, BytesAreBoundedToo)
{
	const size_t size = 900, bound = 200000;
	Node n(local({{"max_message_size", "2000"}, {"outbox.max_bytes", std::to_string(bound)}}),
	       false);
	size_t taken = 0;
	while (n.publish("t", std::to_string(taken) + std::string(size, 'x')) == 0 && taken < 1000)
		taken++;
	EXPECT_LE(taken, bound / size + 1);
	EXPECT_GE(taken, bound / (size + 600)) << "no more than 600 bytes beside the message";
	EXPECT_EQ(n.publish("t", "x"), KP2P_EAGAIN);
}

TEST(Outbox, BatchTakesWhatFits)
{
	Node n(local({{"outbox.max_messages", "5"}}), false);
	const uint32_t lens[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	EXPECT_EQ(kp2p_sender_publish_batch(n.sender(), "t", "abcdefgh", lens, 8, 1, 0, nullptr),
	          5);
	Error err;
	EXPECT_EQ(kp2p_sender_publish_batch(n.sender(), "t", "fgh", lens, 3, 6, 0, err),
	          KP2P_EAGAIN);
	EXPECT_NE(err.text(), "");
}

TEST(Outbox, TimesOutWhenItSays)
{
	Full f(4);
	std::vector<int64_t> took;
	for (int i = 0; i < 5; i++) {
		Error err;
		Clock::time_point begin = Clock::now();
		EXPECT_EQ(kp2p_sender_publish(f.n.sender(), "t", "x", 1, 50, 50, err),
		          KP2P_ETIMEDOUT);
		took.push_back(ms_since(begin));
		EXPECT_GE(took.back(), 49);
		EXPECT_NE(err.text(), "");
	}
	std::sort(took.begin(), took.end());
	EXPECT_LE(took[2], kit::sanitized ? 150 : 70);
	EXPECT_EQ(f.n.publish("t", "x", 50), KP2P_EAGAIN) << "the token is free, there is no room";
}

TEST(Outbox, BlockedPublishersAreServedInOrder)
{
	Full f(4);
	std::vector<std::unique_ptr<Caller>> blocked;
	for (int64_t i = 0; i < 6; i++) {
		blocked.push_back(std::make_unique<Caller>([&f, i] {
			return f.n.publish("t", "late " + std::to_string(i), 100 + i, -1);
		}));
		ASSERT_TRUE(blocked.back()->wait_blocked()) << i;
	}
	for (int64_t i = 1; i <= 4; i++)
		EXPECT_EQ(f.take(), i);
	EXPECT_EQ(f.n.publish("t", "overtakes", 200), KP2P_EAGAIN) << "others wait";
	for (int64_t i = 0; i < 6; i++)
		EXPECT_EQ(f.take(), 100 + i);
	for (auto &c : blocked)
		EXPECT_EQ(c->result(), 0);
}

TEST(Outbox, AWaiterThatGivesUpDoesNotHoldBackTheNext)
{
	Full f(2);
	Caller first([&] { return f.n.publish("t", "a", 100, 300); });
	ASSERT_TRUE(first.wait_blocked());
	Caller second([&] { return f.n.publish("t", "b", 101, -1); });
	ASSERT_TRUE(second.wait_blocked());
	EXPECT_EQ(first.result(), KP2P_ETIMEDOUT);
	EXPECT_EQ(f.take(), 1);
	EXPECT_EQ(f.take(), 2);
	EXPECT_EQ(second.result(), 0);
	EXPECT_EQ(f.take(), 101);
}

TEST(Outbox, SenderFdIsUnreadableUntilThreeQuarters)
{
	Full f(8);
	int fd = kp2p_sender_fd(f.n.sender());
	ASSERT_GE(fd, 0);
	EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	kp2p_sender *clone = kp2p_sender_clone(f.n.sender());
	EXPECT_EQ(kp2p_sender_fd(clone), fd) << "one for all senders";
	EXPECT_TRUE(kit::readable(fd)) << "nothing was refused yet";
	EXPECT_EQ(f.n.publish("t", "x", 50), KP2P_EAGAIN);
	EXPECT_FALSE(kit::readable(fd));
	f.take();
	EXPECT_FALSE(kit::readable(fd)) << "7 of 8";
	f.take();
	EXPECT_TRUE(kit::readable(fd, kit::patience_ms)) << "6 of 8";
	EXPECT_EQ(f.n.publish("t", "x", 50), 0) << "readable means accepted";
	EXPECT_TRUE(kit::readable(fd));
	kp2p_sender_free(clone);
}

TEST(Outbox, SenderFdIsReadableOnceClosing)
{
	Full f(4);
	int fd = kp2p_sender_fd(f.n.sender());
	EXPECT_EQ(f.n.publish("t", "x", 50), KP2P_EAGAIN);
	EXPECT_FALSE(kit::readable(fd));
	EXPECT_EQ(f.n.close(0), 0);
	EXPECT_TRUE(kit::readable(fd));
}

void count_space(void *ud, int what)
{
	if (what == KP2P_WAKE_SPACE)
		++*static_cast<std::atomic<int> *>(ud);
}

TEST(Outbox, WakeupTellsOfSpace)
{
	Full f(4);
	std::atomic<int> spaces{0};
	ASSERT_EQ(kp2p_node_set_wakeup(f.n, count_space, &spaces), 0);
	EXPECT_EQ(f.n.publish("t", "x", 50), KP2P_EAGAIN);
	f.take();
	EXPECT_TRUE(eventually([&] { return spaces == 1; }));
	f.take();
	f.n.ask(KP2P_OP_SUBSCRIBE, "u"); /* turns of the loop */
	EXPECT_EQ(spaces, 1) << "only after a refusal";
	EXPECT_EQ(kp2p_node_set_wakeup(f.n, nullptr, nullptr), 0);
}

/* --- a slow consumer --- */

struct Slow {
	Node a, b;
	int64_t offered = 0, marks = 0, marks_came = 0;
	explicit Slow(const Keys &keys_b)
	    : a(local({{"outbox.max_bytes", "1MiB"}, {"gossipsub.history_gossip", "0"}})),
	      b(local(keys_b))
	{
		b.must(KP2P_OP_SUBSCRIBE, "t", "inbox=1");
		b.must(KP2P_OP_SUBSCRIBE, "end", "inbox=3");
		a.connect(b);
		EXPECT_TRUE(a.wait_subscribers("t", 1));
	}
	void offer(int64_t n, size_t size)
	{
		for (int64_t i = 0; i < n; i++, offered++) {
			std::string s = std::to_string(offered);
			s.resize(std::max(size, s.size() + 1), ' ');
			ASSERT_EQ(a.publish("t", s, 0, kit::patience_ms), 0);
		}
	}
	/* All that was offered has come to its inbox, or was dropped there: a mark that follows it
	 * through another inbox is here. Where b stood still for a second, the mark too may have
	 * been given up. */
	bool wait_arrived()
	{
		auto any = [](const Event &ev) { return ev.type() == KP2P_EV_MESSAGE; };
		for (int tries = 0; tries < 10; tries++) {
			std::string mark = "mark " + std::to_string(marks++);
			EXPECT_EQ(a.publish("end", mark, 0, kit::patience_ms), 0);
			while (Event ev = b.wait(any, 3, kit::patience_ms / 5)) {
				marks_came++;
				if (ev.bytes(KP2P_F_PAYLOAD) == mark)
					return true;
			}
		}
		return false;
	}
	/* What a gave up because b stood still for a second: it never came. */
	int64_t given_up() const
	{
		return a.stat("slow_peer") + a.stat("dropped_own") - (marks - marks_came);
	}
};

/* Drains inbox 1: what MESSAGEs carry, and -COUNT for each DROPPED. */
std::vector<int64_t> drain(Node &n)
{
	std::vector<int64_t> out;
	for (;;) {
		Event ev(kp2p_node_poll(n, 1, 0));
		if (!ev)
			return out;
		if (ev.type() == KP2P_EV_DROPPED)
			out.push_back(-ev.integer(KP2P_F_COUNT));
		else
			out.push_back(std::stoll(ev.bytes(KP2P_F_PAYLOAD)));
	}
}

int64_t sum_dropped(const std::vector<int64_t> &got)
{
	int64_t n = 0;
	for (int64_t v : got)
		n += v < 0 ? -v : 0;
	return n;
}

TEST(SlowConsumer, DropOldKeepsTheNewest)
{
	Slow s(Keys{{"inbox.max_messages", "64"}});
	s.offer(kit::times(2000, 400), 20);
	ASSERT_TRUE(s.wait_arrived());
	EXPECT_TRUE(kit::readable(kp2p_node_inbox_fd(s.b, 1)));
	std::vector<int64_t> got = drain(s.b);
	ASSERT_EQ(got.size(), 65u);
	EXPECT_EQ(got[0], -(s.offered - 64)) << "DROPPED comes where the gap is";
	for (size_t i = 1; i < got.size(); i++)
		EXPECT_EQ(got[i], s.offered - 65 + static_cast<int64_t>(i));
	s.offer(10, 20);
	ASSERT_TRUE(s.wait_arrived());
	got = drain(s.b);
	EXPECT_EQ(got.size(), 10u) << "DROPPED tells of what was dropped since the last one";
}

TEST(SlowConsumer, DropNewKeepsTheOldest)
{
	Slow s(Keys{{"inbox.max_messages", "64"}, {"inbox.policy", "drop_new"}});
	s.offer(kit::times(2000, 400), 20);
	ASSERT_TRUE(s.wait_arrived());
	std::vector<int64_t> got = drain(s.b);
	ASSERT_EQ(got.size(), 65u);
	for (size_t i = 0; i < 64; i++)
		EXPECT_EQ(got[i], static_cast<int64_t>(i));
	EXPECT_EQ(got[64], -(s.offered - 64));
}

TEST(SlowConsumer, DeliveredAndDroppedAreWhatWasOffered)
{
	Slow s(Keys{{"inbox.max_messages", "16"}});
	int64_t delivered = 0, dropped = 0;
	for (int round = 0; round < 20; round++) {
		s.offer(20 + round * 7, 20);
		std::vector<int64_t> got = drain(s.b);
		dropped += sum_dropped(got);
		delivered +=
		        std::count_if(got.begin(), got.end(), [](int64_t v) { return v >= 0; });
	}
	ASSERT_TRUE(s.wait_arrived());
	std::vector<int64_t> got = drain(s.b);
	dropped += sum_dropped(got);
	delivered += std::count_if(got.begin(), got.end(), [](int64_t v) { return v >= 0; });
	EXPECT_EQ(delivered + dropped + s.given_up(), s.offered);
	EXPECT_GT(delivered, 0);
}

TEST(SlowConsumer, MemoryStaysWithinTheBytesOfTheInbox)
{
	Slow s(Keys{{"inbox.max_bytes", "16MiB"}});
	const size_t size = 50000;
	const int n = kit::times(
	        4000, 400); /* 200 MB, 12 times the bound, beside which other queues are small */
	s.offer(n, size);
	ASSERT_TRUE(s.wait_arrived());
	EXPECT_LE(s.b.stat("inbox_bytes"), 16 << 20);
	int64_t base = kit::rss_bytes();
	s.offer(n, size); /* every queue has been full before */
	ASSERT_TRUE(s.wait_arrived());
	EXPECT_LE(s.b.stat("inbox_bytes"), 16 << 20);
	if (!kit::sanitized) {
		EXPECT_LE(kit::rss_bytes() - base, (16 << 20) * 3 / 2);
	}
	std::vector<int64_t> got = drain(s.b);
	EXPECT_EQ(static_cast<int64_t>(got.size()) - 1 + sum_dropped(got) + s.given_up(),
	          s.offered);
}

/* offered = delivered + dropped + waiting, of all inboxes, at any time. */
TEST(SlowConsumer, NothingIsLostWithoutBeingCounted)
{
	Slow s(Keys{{"inbox.max_messages", "16"}});
	auto expect_sum = [&] {
		vectors::Json st = s.b.json("stats");
		EXPECT_EQ(st["inbox_offered"].number(), st["inbox_delivered"].number() +
		                                                st["inbox_dropped"].number() +
		                                                st["inbox_messages"].number());
		return st["inbox_delivered"].number();
	};
	int64_t before = expect_sum();
	s.offer(100, 20);
	ASSERT_TRUE(s.wait_arrived());
	EXPECT_EQ(expect_sum(), before + 1) << "the mark: waiting is not delivered";
	EXPECT_EQ(s.b.stat("inbox_dropped"), 84);
	drain(s.b);
	EXPECT_EQ(expect_sum(), before + 17) << "DROPPED is not one of them";
	EXPECT_EQ(s.b.stat("inbox_messages"), 0);
}

/* All inboxes together have a bound as well. */
TEST(SlowConsumer, InboxesShareATotal)
{
	Slow s(Keys{{"inbox.total_bytes", "200KiB"}, {"inbox.policy", "drop_new"}});
	s.b.must(KP2P_OP_SUBSCRIBE, "u", "inbox=2");
	vectors::Json before = s.b.json("stats");
	s.offer(200, 3000);
	for (int i = 0; i < 200; i++)
		ASSERT_EQ(s.a.publish("u", "u" + std::to_string(i) + std::string(3000, 'u'), 0,
		                      kit::patience_ms),
		          0);
	ASSERT_TRUE(eventually([&] {
		vectors::Json now = s.b.json("stats");
		return now["inbox_offered"].number() - before["inbox_offered"].number() == 400;
	}));
	EXPECT_LE(s.b.stat("inbox_bytes"), 200 << 10);
	EXPECT_GT(s.b.stat("inbox_bytes"), 190 << 10);
}

/* inbox.policy=block: direct messages wait at their sender, which feels it; gossip drops. On a
 * machine so slow that the reader stands still for a second the sender gives messages up, and says
 * which: nothing is lost in silence, and what comes comes in order. */
TEST(SlowConsumer, BlockHoldsDirectMessagesBack)
{
	Node a(local({{"outbox.max_bytes", "1MiB"}})),
	        b(local({{"inbox.policy", "block"}, {"inbox.max_messages", "64"}}));
	b.must(KP2P_OP_ADD_PROTOCOL, "/bulk/1", "inbox=1");
	b.must(KP2P_OP_SUBSCRIBE, "t", "inbox=1");
	a.connect(b);
	ASSERT_TRUE(a.wait_subscribers("t", 1));
	const int total = kit::times(3000, 400);
	const std::string id = b.id(), pad(20000, ' '); /* 60 MB: no window holds it */
	int refused = 0;
	std::thread sender([&] {
		for (int i = 0; i < total; i++)
			refused += a.send(id, "/bulk/1", std::to_string(i) + pad, i + 1,
			                  kit::patience_ms) != 0;
	});
	EXPECT_TRUE(eventually([&] { return b.stat("app_holds") > 0; }));
	for (int i = 0; i < 50; i++) /* the inbox is full: gossip is dropped */
		EXPECT_EQ(a.publish("t", std::to_string(i), 0, kit::patience_ms), 0);
	EXPECT_TRUE(eventually([&] { return b.stat("inbox_dropped") == 50; }));
	EXPECT_LT(b.stat("inbox_messages"), 64 + 100);
	EXPECT_LT(b.stat("app_received"), total);
	std::set<int64_t> came, failed;
	int64_t dropped = 0;
	bool all = eventually([&] {
		while (Event ev = Event(kp2p_node_poll(b, 1, 0))) {
			if (ev.type() == KP2P_EV_DROPPED) {
				dropped += ev.integer(KP2P_F_COUNT);
				continue;
			}
			int64_t number = std::stoll(ev.bytes(KP2P_F_PAYLOAD));
			EXPECT_TRUE(came.empty() || *came.rbegin() < number);
			came.insert(number);
		}
		while (Event ev = Event(kp2p_node_poll(a, 0, 0)))
			if (ev.type() == KP2P_EV_COMPLETE && ev.code() != 0)
				failed.insert(ev.token() - 1);
		return came.size() + failed.size() >= (size_t)total;
	});
	sender.join();
	EXPECT_EQ(refused, 0);
	EXPECT_TRUE(all) << came.size() << " came, " << failed.size() << " failed";
	for (int64_t i = 0; i < total; i++)
		EXPECT_NE(came.count(i), failed.count(i)) << i;
	EXPECT_EQ(a.stat("app_refused"), (int64_t)failed.size());
	EXPECT_EQ(dropped, 50);
	EXPECT_EQ(b.stat("app_dropped"), 0);
}

TEST(SlowConsumer, CompletionsAreNeverDropped)
{
	Node a, b(local({{"inbox.max_messages", "2"}, {"topic", "t"}}));
	b.wait_type(KP2P_EV_LISTEN);
	b.must(KP2P_OP_SUBSCRIBE, "end", "inbox=3");
	a.connect(b);
	ASSERT_TRUE(a.wait_subscribers("end", 1));
	const int64_t n = 200;
	for (int64_t i = 1; i <= n; i++) {
		ASSERT_EQ(b.request(KP2P_OP_PING, i % 2 == 0 ? a.id() : b.id(), "", i), 0);
		ASSERT_EQ(a.publish("t", std::to_string(i), 0, kit::patience_ms), 0);
	}
	ASSERT_EQ(a.publish("end", "all sent", 0, kit::patience_ms), 0);
	ASSERT_TRUE(b.wait_message("all sent", 3));
	ASSERT_TRUE(eventually([&] { return b.stat("inbox_messages") >= n + 2; }));
	std::set<int64_t> tokens;
	int64_t messages = 0, dropped = 0;
	while (Event ev = Event(kp2p_node_poll(b, 0, 0))) {
		if (ev.is_final()) {
			EXPECT_TRUE(tokens.insert(ev.token()).second);
		}
		messages += ev.type() == KP2P_EV_MESSAGE;
		dropped += ev.type() == KP2P_EV_DROPPED ? ev.integer(KP2P_F_COUNT) : 0;
	}
	EXPECT_EQ(tokens.size(), static_cast<size_t>(n));
	EXPECT_EQ(messages, 2);
	EXPECT_EQ(messages + dropped, n);
}

/* --- interrupting --- */

using Blocking = std::function<int(Full &)>;

int poll_for_ever(Full &f)
{
	Event ev(kp2p_node_poll(f.n, 7, -1));
	return ev ? ev.code() : KP2P_EINTR; /* NULL: interrupted, there is no time limit */
}

int batch_for_ever(Full &f)
{
	kp2p_event *ev[1];
	return kp2p_node_poll_batch(f.n, 7, ev, 1, -1);
}

int packed_for_ever(Full &f)
{
	char buf[100];
	size_t used;
	return kp2p_node_poll_packed(f.n, 7, buf, sizeof buf, &used, -1);
}

int listen_for_ever(Full &f)
{
	Error err;
	auto cb = [](kp2p_event *, void *) { return 3; };
	int r = kp2p_node_listen(f.n, 7, cb, nullptr, err);
	EXPECT_EQ(err.code(), r < 0 ? r : 0);
	return r;
}

int publish_for_ever(Full &f)
{
	return f.n.publish("t", "blocked", 70, -1);
}

int send_for_ever(Full &f)
{
	return f.n.send("12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms", "/p/1", "x", 71,
	                -1);
}

const struct {
	const char *name;
	int (*call)(Full &f);
} blocking_calls[] = {{"poll", poll_for_ever},       {"batch", batch_for_ever},
                      {"packed", packed_for_ever},   {"listen", listen_for_ever},
                      {"publish", publish_for_ever}, {"send", send_for_ever}};

TEST(Interrupt, WakeEndsEveryBlockedCall)
{
	Full f(4);
	std::vector<std::unique_ptr<Caller>> all;
	for (const auto &b : blocking_calls) {
		all.push_back(std::make_unique<Caller>([&f, &b] { return b.call(f); }));
		ASSERT_TRUE(all.back()->wait_blocked()) << b.name;
	}
	EXPECT_EQ(kp2p_node_wake(f.n), 0);
	for (size_t i = 0; i < all.size(); i++)
		EXPECT_EQ(all[i]->result(), KP2P_EINTR) << blocking_calls[i].name;
}

/* No call looks now and then whether something has happened. */
TEST(Interrupt, BlockedCallsSleepUntilTheyAreWoken)
{
	Full f(4);
	std::vector<std::unique_ptr<Caller>> all;
	std::vector<std::string> sleeps;
	for (const auto &b : blocking_calls) {
		all.push_back(std::make_unique<Caller>([&f, &b] { return b.call(f); }));
		ASSERT_TRUE(all.back()->wait_blocked()) << b.name;
		sleeps.push_back(all.back()->sleeps());
	}
	::poll(nullptr, 0, 400);
	for (size_t i = 0; i < all.size(); i++)
		EXPECT_EQ(all[i]->sleeps(), sleeps[i]) << blocking_calls[i].name;
	EXPECT_EQ(f.n.close(0), 0);
	for (auto &c : all)
		c->result();
}

TEST(Interrupt, WakeWithNobodyBlockedEndsTheNextCall)
{
	Full f(4);
	for (const auto &b : blocking_calls) {
		EXPECT_EQ(kp2p_node_wake(f.n), 0);
		Caller next([&] { return b.call(f); });
		EXPECT_EQ(next.result(), KP2P_EINTR) << b.name;
		Caller after([&] { return b.call(f); });
		EXPECT_TRUE(after.wait_blocked()) << b.name << ": only one call is ended";
		EXPECT_EQ(kp2p_node_wake(f.n), 0);
		EXPECT_EQ(after.result(), KP2P_EINTR) << b.name;
	}
}

std::atomic<int> handled;

void note_signal(int)
{
	handled++;
}

TEST(Interrupt, ASignalHandlerEndsTheCallOfItsThread)
{
	Full f(4);
	struct sigaction sa = {}, before;
	sa.sa_handler = note_signal;
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, &before);
	for (const auto &b : blocking_calls) {
		handled = 0;
		Caller bystander([&] { return poll_for_ever(f); });
		Caller blocked([&] { return b.call(f); });
		ASSERT_TRUE(bystander.wait_blocked());
		ASSERT_TRUE(blocked.wait_blocked()) << b.name;
		pthread_kill(blocked.handle(), SIGUSR1);
		EXPECT_EQ(blocked.result(), KP2P_EINTR) << b.name;
		EXPECT_EQ(handled, 1);
		EXPECT_FALSE(bystander.done()) << "another thread's call was ended too";
		kp2p_node_wake(f.n);
		bystander.result();
	}
	sigaction(SIGUSR1, &before, nullptr);
}

/* The goodbye waits for a stopped peer: close blocks, and can be interrupted. */
TEST(Interrupt, SignalAndWakeEndAWaitingClose)
{
	kit::Child peer("peer");
	Node n;
	n.must(KP2P_OP_CONNECT, peer.address());
	peer.signal(SIGSTOP);
	struct sigaction sa = {}, before;
	sa.sa_handler = note_signal;
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, &before);
	Caller close([&] { return kp2p_node_close(n, 600000, -1); });
	ASSERT_TRUE(close.wait_blocked());
	pthread_kill(close.handle(), SIGUSR1);
	EXPECT_EQ(close.result(), KP2P_EINTR);
	Caller again([&] { return kp2p_node_close(n, 600000, -1); });
	ASSERT_TRUE(again.wait_blocked());
	EXPECT_EQ(kp2p_node_wake(n), 0);
	EXPECT_EQ(again.result(), KP2P_EINTR);
	sigaction(SIGUSR1, &before, nullptr);
	EXPECT_EQ(kp2p_node_close(n, 0, kit::patience_ms), 0);
	peer.signal(SIGKILL);
}

TEST(Interrupt, PollersOfOneInboxShareItsEvents)
{
	Slow s(Keys{});
	std::atomic<int64_t> taken{0};
	std::vector<std::unique_ptr<Caller>> pollers;
	for (int i = 0; i < 3; i++)
		pollers.push_back(std::make_unique<Caller>([&] {
			for (;;) {
				Event ev(kp2p_node_poll(s.b, 1, -1));
				if (ev.type() == KP2P_EV_CLOSED)
					return ev.code();
				taken += ev.type() == KP2P_EV_MESSAGE;
			}
		}));
	s.offer(1000, 10);
	EXPECT_TRUE(eventually([&] { return taken == 1000; })) << taken;
	EXPECT_EQ(s.b.close(0), 0);
	for (auto &p : pollers)
		EXPECT_EQ(p->result(), KP2P_ECLOSED);
	EXPECT_EQ(taken, 1000);
}

} // namespace
