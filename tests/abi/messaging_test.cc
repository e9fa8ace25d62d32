/* Messages and requests between nodes over loopback, by every way to receive.
 */
#include "abi_kit.h"

namespace
{

using kit::Caller;
using kit::Event;
using kit::eventually;
using kit::Keys;
using kit::local;
using kit::Node;
using kit::Pair;
using kit::publish_numbers;

bool all_digits(const std::string &s)
{
	return !s.empty() && s.find_first_not_of("0123456789") == std::string::npos;
}

/* --- polling --- */

TEST(Poll, MessageHasEveryField)
{
	Pair p;
	ASSERT_EQ(p.a.publish("news", std::string("he\0l\xff", 5), 9), 0);
	Event m = p.b.wait_type(KP2P_EV_MESSAGE), done = p.a.wait_final(9);
	ASSERT_TRUE(m && done);
	EXPECT_EQ(m.bytes(KP2P_F_TOPIC), "news");
	EXPECT_EQ(m.bytes(KP2P_F_PAYLOAD), std::string("he\0l\xff", 5));
	EXPECT_EQ(m.bytes(KP2P_F_FROM), p.a.id());
	EXPECT_EQ(m.bytes(KP2P_F_VIA), p.a.id());
	EXPECT_TRUE(all_digits(m.bytes(KP2P_F_ID))) << m.bytes(KP2P_F_ID);
	for (int field : {KP2P_F_PROTOCOL, KP2P_F_ADDR, KP2P_F_KEY, KP2P_F_VALUE, KP2P_F_TEXT})
		EXPECT_FALSE(m.has(field)) << field;
	EXPECT_EQ(m.integer(KP2P_F_INBOX), 0);
	EXPECT_EQ(m.integer(KP2P_F_FLAGS), 0);
	EXPECT_NE(m.integer(KP2P_F_SEQ), 0);
	EXPECT_EQ(m.token(), 0);
	int64_t age = static_cast<int64_t>(time(nullptr)) - m.integer(KP2P_F_TIME_NS) / 1000000000;
	EXPECT_GE(age, -2);
	EXPECT_LE(age, 120);
	EXPECT_EQ(done.type(), KP2P_EV_PUBLISHED);
	EXPECT_EQ(done.code(), 0);
	EXPECT_EQ(done.integer(KP2P_F_COUNT), 1);
	EXPECT_EQ(done.bytes(KP2P_F_TOPIC), "news");
	EXPECT_EQ(done.bytes(KP2P_F_ID), m.bytes(KP2P_F_ID));
	EXPECT_EQ(kp2p_event_bytes(m.get(), -1).ptr, nullptr);
	EXPECT_EQ(kp2p_event_bytes(m.get(), KP2P_FIELDS).ptr, nullptr);
	EXPECT_EQ(kp2p_event_int(m.get(), 31), 0);
	EXPECT_EQ(kp2p_event_int(m.get(), 99), 0);
}

TEST(Poll, WithoutATokenOnlyFailuresAreTold)
{
	Pair p;
	ASSERT_EQ(p.a.publish("news", "one"), 0);
	ASSERT_EQ(p.a.publish("news", "one"), 0);
	Event ev = p.a.wait_type(KP2P_EV_PUBLISHED);
	ASSERT_TRUE(ev);
	EXPECT_EQ(ev.code(), KP2P_EDUPLICATE);
	EXPECT_EQ(ev.token(), 0);
}

TEST(Poll, BatchesKeepTheOrder)
{
	Pair p;
	ASSERT_EQ(publish_numbers(p.a, "news", 0, 100, 1000, -1), 100);
	std::vector<std::string> got;
	while (got.size() < 100) {
		kp2p_event *ev[7] = {};
		int n = kp2p_node_poll_batch(p.b, 0, ev, 7, kit::patience_ms);
		ASSERT_GT(n, 0);
		ASSERT_LE(n, 7);
		for (int i = 0; i < n; i++) {
			Event one(std::exchange(ev[i], nullptr));
			if (one.type() == KP2P_EV_MESSAGE)
				got.push_back(one.bytes(KP2P_F_PAYLOAD));
		}
	}
	for (int i = 0; i < 100; i++) {
		EXPECT_EQ(got[static_cast<size_t>(i)], std::to_string(i));
		Event done = p.a.wait_type(KP2P_EV_PUBLISHED);
		ASSERT_TRUE(done);
		EXPECT_EQ(done.token(), 1000 + i);
	}
	EXPECT_EQ(publish_numbers(p.a, "news", 0, 0, 0, 0), 0);
}

TEST(Poll, FreeingABatchClearsIt)
{
	Node n;
	kp2p_event *ev[4] = {};
	ASSERT_EQ(kp2p_node_poll_batch(n, 0, ev + 1, 2, kit::patience_ms), 1);
	ASSERT_NE(ev[1], nullptr);
	kp2p_events_free(ev, 4);
	EXPECT_EQ(ev[1], nullptr);
}

TEST(Poll, TimesOutAndSaysSo)
{
	Node n;
	kp2p_event *ev[1];
	char buf[100];
	size_t used = 77;
	kit::Clock::time_point begin = kit::Clock::now();
	EXPECT_EQ(kp2p_node_poll(n, 3, 50), nullptr);
	EXPECT_EQ(kp2p_node_poll_batch(n, 3, ev, 1, 50), 0);
	EXPECT_EQ(kp2p_node_poll_packed(n, 3, buf, sizeof buf, &used, 50), 0);
	EXPECT_EQ(used, 0u);
	EXPECT_GE(kit::ms_since(begin), 149);
}

/* --- packed --- */

template <class T>
T take_int(const unsigned char *p)
{
	uint64_t v = 0;
	for (size_t i = 0; i < sizeof(T); i++)
		v |= static_cast<uint64_t>(p[i]) << (8 * i);
	return static_cast<T>(v);
}

struct Record {
	uint32_t size;
	uint16_t head, type, flags, inbox;
	int32_t code;
	int64_t token, seq, time_ns, count;
	std::string bytes[KP2P_FIELDS];
	bool has[KP2P_FIELDS];
};

Record parse_record(const unsigned char *p)
{
	Record r;
	r.size = take_int<uint32_t>(p);
	r.head = take_int<uint16_t>(p + 4);
	r.type = take_int<uint16_t>(p + 6);
	r.flags = take_int<uint16_t>(p + 8);
	r.inbox = take_int<uint16_t>(p + 10);
	r.code = take_int<int32_t>(p + 12);
	r.token = take_int<int64_t>(p + 16);
	r.seq = take_int<int64_t>(p + 24);
	r.time_ns = take_int<int64_t>(p + 32);
	r.count = take_int<int64_t>(p + 40);
	size_t at = r.head;
	for (size_t i = 0; i < KP2P_FIELDS; i++) {
		uint32_t len = take_int<uint32_t>(p + 48 + 4 * i);
		r.has[i] = len != KP2P_PACKED_MISSING;
		if (!r.has[i])
			continue;
		r.bytes[i].assign(reinterpret_cast<const char *>(p) + at, len);
		at += len;
	}
	EXPECT_LE(at, r.size);
	EXPECT_LT(r.size, at + 8);
	EXPECT_EQ(r.size % 8, 0u);
	return r;
}

/* Records of an inbox until there are `n`, read into a buffer of that capacity at an odd address.
 */
std::vector<Record> take_records(Node &node, int inbox, size_t n, size_t cap)
{
	std::vector<Record> out;
	std::vector<unsigned char> room(cap + 1);
	while (out.size() < n) {
		size_t used = 0, at = 0;
		int k = kp2p_node_poll_packed(node, inbox, room.data() + 1, cap, &used,
		                              kit::patience_ms);
		EXPECT_GT(k, 0) << kp2p_strerror(k);
		if (k <= 0)
			break;
		for (int i = 0; i < k; i++) {
			out.push_back(parse_record(room.data() + 1 + at));
			at += out.back().size;
		}
		EXPECT_EQ(at, used);
	}
	return out;
}

TEST(Packed, RecordsHaveWhatEventsHave)
{
	Pair p({}, {});
	p.b.must(KP2P_OP_SUBSCRIBE, "news", "inbox=4");
	ASSERT_TRUE(p.a.wait_subscribers("news", 1));
	ASSERT_EQ(p.a.publish("news", std::string("a\0b", 3), 5), 0);
	ASSERT_EQ(p.a.publish("news", "", 6), 0);
	std::vector<Record> got = take_records(p.b, 4, 2, 1000);
	ASSERT_EQ(got.size(), 2u);
	Event done = p.a.wait_final(5);
	for (const Record &r : got) {
		EXPECT_EQ(r.head, KP2P_PACKED_HEAD);
		EXPECT_EQ(r.type, KP2P_EV_MESSAGE);
		EXPECT_EQ(r.flags, 0);
		EXPECT_EQ(r.inbox, 4);
		EXPECT_EQ(r.code, 0);
		EXPECT_EQ(r.token, 0);
		EXPECT_NE(r.seq, 0);
		EXPECT_EQ(r.bytes[KP2P_F_TOPIC], "news");
		EXPECT_EQ(r.bytes[KP2P_F_FROM], p.a.id());
		EXPECT_EQ(r.bytes[KP2P_F_VIA], p.a.id());
		EXPECT_TRUE(r.has[KP2P_F_PAYLOAD]) << "empty is not missing";
		EXPECT_FALSE(r.has[KP2P_F_PROTOCOL] || r.has[KP2P_F_ADDR] || r.has[KP2P_F_KEY] ||
		             r.has[KP2P_F_VALUE] || r.has[KP2P_F_TEXT]);
	}
	EXPECT_EQ(got[0].bytes[KP2P_F_PAYLOAD], std::string("a\0b", 3));
	EXPECT_EQ(got[0].bytes[KP2P_F_ID], done.bytes(KP2P_F_ID));
	EXPECT_EQ(got[1].bytes[KP2P_F_PAYLOAD], "");
	EXPECT_LE(got[0].time_ns, got[1].time_ns);
}

TEST(Packed, CompleteHasTokenCodeCountAndText)
{
	Pair p;
	p.a.wait_type(KP2P_EV_LISTEN);
	ASSERT_EQ(p.a.request(KP2P_OP_PING, p.b.id(), "", 71), 0);
	Record ping = take_records(p.a, 0, 1, 4096)[0];
	EXPECT_EQ(ping.type, KP2P_EV_COMPLETE);
	EXPECT_EQ(ping.token, 71);
	EXPECT_EQ(ping.code, 0);
	EXPECT_GT(ping.count, 0) << "the round trip";
	ASSERT_EQ(p.a.request(KP2P_OP_UNSUBSCRIBE, "never", "", 72), 0);
	Record failed = take_records(p.a, 0, 1, 4096)[0];
	EXPECT_EQ(failed.token, 72);
	EXPECT_EQ(failed.code, KP2P_ENOTFOUND);
	EXPECT_NE(failed.bytes[KP2P_F_TEXT].find("never"), std::string::npos);
}

TEST(Packed, TooSmallABufferLosesNothing)
{
	Pair p({}, {});
	p.b.must(KP2P_OP_SUBSCRIBE, "news", "inbox=4");
	ASSERT_TRUE(p.a.wait_subscribers("news", 1));
	ASSERT_EQ(p.a.publish("news", std::string(3000, 'x')), 0);
	std::vector<unsigned char> buf(8192);
	size_t used = 0;
	ASSERT_EQ(kp2p_node_poll_packed(p.b, 4, buf.data(), 500, &used, kit::patience_ms),
	          KP2P_ETOOBIG);
	size_t needed = used;
	EXPECT_GT(needed, 3088u);
	EXPECT_LT(needed, 3600u);
	EXPECT_EQ(kp2p_node_poll_packed(p.b, 4, nullptr, 0, &used, 0), KP2P_ETOOBIG);
	EXPECT_EQ(used, needed);
	EXPECT_EQ(kp2p_node_poll_packed(p.b, 4, buf.data(), needed - 1, &used, 0), KP2P_ETOOBIG);
	ASSERT_EQ(kp2p_node_poll_packed(p.b, 4, buf.data(), needed, &used, 0), 1);
	EXPECT_EQ(used, needed);
	EXPECT_EQ(parse_record(buf.data()).bytes[KP2P_F_PAYLOAD], std::string(3000, 'x'));
}

TEST(Packed, TakesAsManyAsFit)
{
	Pair p({}, {});
	p.b.must(KP2P_OP_SUBSCRIBE, "news", "inbox=4");
	ASSERT_TRUE(p.a.wait_subscribers("news", 1));
	ASSERT_EQ(publish_numbers(p.a, "news", 0, 200, 0, -1), 200);
	std::vector<Record> got = take_records(p.b, 4, 200, 1500);
	ASSERT_EQ(got.size(), 200u);
	for (size_t i = 0; i < got.size(); i++)
		EXPECT_EQ(got[i].bytes[KP2P_F_PAYLOAD], std::to_string(i));
}

/* --- descriptors --- */

TEST(InboxFd, IsReadableWhileTheInboxHoldsSomething)
{
	Pair p({}, {});
	p.b.must(KP2P_OP_SUBSCRIBE, "news", "inbox=4");
	int fd = kp2p_node_inbox_fd(p.b, 4);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(kp2p_node_inbox_fd(p.b, 4), fd) << "one for each inbox";
	EXPECT_NE(kp2p_node_inbox_fd(p.b, 5), fd);
	EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	EXPECT_FALSE(kit::readable(fd));
	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(p.a.publish("news", std::to_string(round)), 0);
		ASSERT_TRUE(kit::readable(fd, kit::patience_ms));
		EXPECT_TRUE(kit::readable(fd)) << "level-triggered";
		EXPECT_EQ(Event(kp2p_node_poll(p.b, 4, 0)).type(), KP2P_EV_MESSAGE);
		EXPECT_FALSE(kit::readable(fd));
		EXPECT_EQ(kp2p_node_poll(p.b, 4, 0), nullptr);
	}
	int copy = dup(fd);
	EXPECT_EQ(p.b.close(0), 0);
	EXPECT_TRUE(kit::readable(fd));
	p.b.drop();
	EXPECT_TRUE(kit::readable(copy)) << "a copy outlives the node";
	::close(copy);
}

TEST(InboxFd, OfAFilledInboxIsReadableFromItsCreation)
{
	Node n;
	ASSERT_TRUE(eventually([&] { return n.stat("inbox_messages") > 0; }));
	EXPECT_TRUE(kit::readable(kp2p_node_inbox_fd(n, 0)));
}

/* --- the listen callback --- */

struct Heard {
	Node *node = nullptr;
	std::thread::id on;
	std::vector<std::string> payloads;
	bool published = false;
};

int hear(kp2p_event *ev, void *ud)
{
	Heard *h = static_cast<Heard *>(ud);
	h->on = std::this_thread::get_id();
	kp2p_bytes b = kp2p_event_bytes(ev, KP2P_F_PAYLOAD);
	if (kp2p_event_type(ev) != KP2P_EV_MESSAGE)
		return 0;
	h->payloads.emplace_back(b.ptr, b.len);
	h->published = h->node->publish("echo", "heard " + h->payloads.back()) == 0;
	EXPECT_EQ(h->node->info("peer_id"), h->node->id());
	return h->payloads.back() == "stop" ? 4711 : 0;
}

TEST(Listen, RunsOnTheCallersThreadAndMayCallEverything)
{
	Pair p(Keys{{"topic", "echo"}});
	Heard h;
	h.node = &p.b;
	ASSERT_EQ(p.a.publish("news", "one"), 0);
	ASSERT_EQ(p.a.publish("news", "stop"), 0);
	ASSERT_EQ(p.a.publish("news", "later"), 0);
	EXPECT_EQ(kp2p_node_listen(p.b, 0, hear, &h, nullptr), 4711);
	EXPECT_EQ(h.on, std::this_thread::get_id());
	EXPECT_EQ(h.payloads, (std::vector<std::string>{"one", "stop"}));
	EXPECT_TRUE(h.published);
	EXPECT_TRUE(p.a.wait_message("heard one"));
	EXPECT_TRUE(p.b.wait_message("later")) << "what listen did not hand out stays";
}

TEST(Listen, EndsWithZeroAtClose)
{
	Node n;
	std::atomic<int> seen{0};
	Caller listener([&] {
		return kp2p_node_listen(
		        n, 0,
		        [](kp2p_event *, void *ud) {
			        ++*static_cast<std::atomic<int> *>(ud);
			        return 0;
		        },
		        &seen, nullptr);
	});
	ASSERT_TRUE(eventually([&] { return seen == 1; })) << "LISTEN";
	EXPECT_TRUE(listener.wait_blocked());
	EXPECT_EQ(n.close(0), 0);
	EXPECT_EQ(listener.result(), 0);
}

/* --- the wake-up callback --- */

struct Wakes {
	std::mutex lock;
	std::vector<int> what;
	std::atomic<bool> inside{false}, gate{true};
	std::atomic<int> reentry{0};
	kp2p_node *node = nullptr;

	size_t count(int w)
	{
		std::lock_guard<std::mutex> hold(lock);
		return static_cast<size_t>(std::count(what.begin(), what.end(), w));
	}
	int last()
	{
		std::lock_guard<std::mutex> hold(lock);
		return what.empty() ? -99 : what.back();
	}
};

void note_wake(void *ud, int what)
{
	Wakes *w = static_cast<Wakes *>(ud);
	w->inside = true;
	if (what >= 0)
		w->reentry = kp2p_node_set_wakeup(w->node, nullptr, nullptr);
	while (!w->gate)
		std::this_thread::yield();
	std::lock_guard<std::mutex> hold(w->lock);
	w->what.push_back(what);
	w->inside = false;
}

TEST(Wakeup, TellsOfFilledInboxesAndTheEnd)
{
	Pair p({}, {});
	p.b.must(KP2P_OP_SUBSCRIBE, "news", "inbox=4");
	ASSERT_TRUE(p.a.wait_subscribers("news", 1));
	while (Event(kp2p_node_poll(p.b, 0, 0)))
		;
	Wakes w;
	w.node = p.b;
	ASSERT_EQ(kp2p_node_set_wakeup(p.b, note_wake, &w), 0);
	ASSERT_EQ(p.a.publish("news", "1"), 0);
	ASSERT_TRUE(eventually([&] { return w.count(4) == 1; }));
	EXPECT_EQ(w.reentry, KP2P_EINVAL) << "setting it from inside";
	ASSERT_EQ(p.a.publish("news", "2"), 0);
	ASSERT_TRUE(eventually([&] { return p.b.stat("inbox_messages") == 2; }));
	EXPECT_EQ(w.count(4), 1u) << "it was not empty in between";
	EXPECT_EQ(w.count(0), 0u);
	EXPECT_TRUE(p.b.wait_message("2", 4));
	ASSERT_EQ(p.a.publish("news", "3"), 0);
	ASSERT_TRUE(eventually([&] { return w.count(4) == 2; }));
	EXPECT_EQ(p.b.close(0), 0);
	EXPECT_EQ(w.last(), KP2P_WAKE_CLOSED);
	EXPECT_EQ(w.count(KP2P_WAKE_CLOSED), 1u);
}

TEST(Wakeup, TellsAtOnceWhatAlreadyHolds)
{
	Node n;
	ASSERT_TRUE(eventually([&] { return n.stat("inbox_messages") > 0; }));
	Wakes w;
	w.node = n;
	ASSERT_EQ(kp2p_node_set_wakeup(n, note_wake, &w), 0);
	EXPECT_TRUE(eventually([&] { return w.count(0) == 1; }));
	n.close(0);
}

TEST(Wakeup, ClearingWaitsForARunningCall)
{
	Node n;
	Wakes w;
	w.node = n;
	w.gate = false;
	ASSERT_EQ(kp2p_node_set_wakeup(n, note_wake, &w), 0);
	ASSERT_TRUE(eventually([&] { return w.inside.load(); }));
	std::atomic<bool> inside_after{true};
	Caller clear([&] {
		int r = kp2p_node_set_wakeup(n, nullptr, nullptr);
		inside_after = w.inside.load();
		return r;
	});
	EXPECT_TRUE(clear.wait_blocked()) << "it returned while the callback ran";
	w.gate = true;
	EXPECT_EQ(clear.result(), 0);
	EXPECT_FALSE(inside_after);
	size_t calls = w.what.size();
	EXPECT_EQ(n.request(KP2P_OP_SUBSCRIBE, "t", "", 1), 0);
	n.wait_final(1);
	EXPECT_EQ(w.what.size(), calls) << "called after it was cleared";
}

/* --- inboxes --- */

TEST(Inboxes, SubscribeRoutesATopic)
{
	Pair p({}, {});
	p.b.must(KP2P_OP_SUBSCRIBE, "x", "inbox=3");
	p.b.must(KP2P_OP_SUBSCRIBE, "y", "inbox=1023");
	p.b.must(KP2P_OP_SUBSCRIBE, "z");
	for (const char *topic : {"x", "y", "z"})
		ASSERT_EQ(p.a.publish(topic, std::string("to ") + topic), 0);
	Event x(kp2p_node_poll(p.b, 3, kit::patience_ms));
	Event y(kp2p_node_poll(p.b, 1023, kit::patience_ms));
	EXPECT_EQ(x.bytes(KP2P_F_PAYLOAD), "to x");
	EXPECT_EQ(x.integer(KP2P_F_INBOX), 3);
	EXPECT_EQ(y.bytes(KP2P_F_PAYLOAD), "to y");
	EXPECT_EQ(y.integer(KP2P_F_INBOX), 1023);
	EXPECT_TRUE(p.b.wait_message("to z"));
	p.b.must(KP2P_OP_SUBSCRIBE, "x", "inbox=5");
	ASSERT_EQ(p.a.publish("x", "again"), 0);
	Event moved(kp2p_node_poll(p.b, 5, kit::patience_ms));
	EXPECT_EQ(moved.bytes(KP2P_F_PAYLOAD), "again") << "SUBSCRIBE again replaces";
}

TEST(Inboxes, SelfIsAskedFor)
{
	Pair p(Keys{{"topic", "news"}});
	ASSERT_EQ(p.a.publish("news", "not to me", 2), 0);
	ASSERT_TRUE(p.a.wait_final(2));
	p.a.must(KP2P_OP_SUBSCRIBE, "news", "self=1");
	ASSERT_EQ(p.a.publish("news", "to me too", 3), 0);
	Event own = p.a.wait_type(KP2P_EV_MESSAGE);
	ASSERT_TRUE(own);
	EXPECT_EQ(own.bytes(KP2P_F_PAYLOAD), "to me too");
	EXPECT_EQ(own.bytes(KP2P_F_FROM), p.a.id());
	EXPECT_TRUE(p.b.wait_message("to me too"));
}

TEST(Inboxes, UnsubscribedTopicsDoNotArrive)
{
	Pair p({}, {{"topic", "news"}, {"topic", "other"}});
	ASSERT_EQ(p.a.publish("news", "1"), 0);
	ASSERT_TRUE(p.b.wait_message("1"));
	p.b.must(KP2P_OP_UNSUBSCRIBE, "news");
	ASSERT_TRUE(eventually(
	        [&] { return p.a.info("peers").find("\"news\"") == std::string::npos; }));
	ASSERT_EQ(p.a.publish("news", "2"), 0);
	ASSERT_EQ(p.a.publish("other", "3"), 0);
	Event next = p.b.wait_type(KP2P_EV_MESSAGE);
	EXPECT_EQ(next.bytes(KP2P_F_PAYLOAD), "3");
}

/* --- validation --- */

/* a — b — c; b validates. */
struct Line {
	Node a, b, c;
	explicit Line(const Keys &keys_b = {})
	    : a(local({{"topic", "t"}})), b(local(keys_b)), c(local({{"topic", "t"}}))
	{
		b.must(KP2P_OP_SUBSCRIBE, "t", "validate=1");
		a.connect(b);
		c.connect(b);
		EXPECT_TRUE(b.wait_mesh("t", 2));
	}
	/* Publishes at a; the VALIDATE event at b. */
	Event offer(const std::string &payload)
	{
		EXPECT_EQ(a.publish("t", payload), 0);
		Event ev = b.wait_type(KP2P_EV_VALIDATE);
		EXPECT_TRUE(ev);
		EXPECT_EQ(ev.bytes(KP2P_F_PAYLOAD), payload);
		return ev;
	}
};

TEST(Validate, AcceptForwardsTheOthersDoNot)
{
	Line l;
	const struct {
		const char *payload;
		int verdict;
	} cases[] = {{"accept 1", KP2P_VERDICT_ACCEPT},
	             {"reject 1", KP2P_VERDICT_REJECT},
	             {"ignore 1", KP2P_VERDICT_IGNORE},
	             {"accept 2", KP2P_VERDICT_ACCEPT}};
	for (const auto &v : cases) {
		Event ev = l.offer(v.payload);
		EXPECT_GT(ev.token(), 0);
		EXPECT_LT(ev.token(), INT64_C(1) << 53);
		EXPECT_EQ(ev.bytes(KP2P_F_FROM), l.a.id());
		EXPECT_EQ(ev.bytes(KP2P_F_TOPIC), "t");
		EXPECT_EQ(kp2p_node_verdict(l.b, ev.token(), v.verdict), 0);
		EXPECT_EQ(kp2p_node_verdict(l.b, ev.token(), v.verdict), KP2P_ENOTFOUND) << "once";
	}
	for (const char *payload : {"accept 1", "accept 2"}) {
		Event m = l.c.wait_type(KP2P_EV_MESSAGE);
		ASSERT_TRUE(m);
		EXPECT_EQ(m.bytes(KP2P_F_PAYLOAD), payload);
		EXPECT_EQ(m.bytes(KP2P_F_FROM), l.a.id());
		EXPECT_EQ(m.bytes(KP2P_F_VIA), l.b.id());
	}
}

double score_of(Node &n, const std::string &peer)
{
	vectors::Json peers = n.json("peers");
	for (const vectors::Json &p : peers) {
		if (p["peer"].str() == peer)
			return std::stod(p["score"].text);
	}
	return 1e9;
}

TEST(Validate, RejectPenalisesIgnoreDoesNot)
{
	Line l;
	Event ev = l.offer("ignored");
	EXPECT_EQ(kp2p_node_verdict(l.b, ev.token(), KP2P_VERDICT_IGNORE), 0);
	l.offer("marker"); /* the verdict before it has been heard */
	EXPECT_GE(score_of(l.b, l.a.id()), 0);
	for (int i = 0; i < 5; i++) {
		ev = l.offer("rejected " + std::to_string(i));
		EXPECT_EQ(kp2p_node_verdict(l.b, ev.token(), KP2P_VERDICT_REJECT), 0);
	}
	ASSERT_TRUE(eventually([&] { return l.b.stat("rejected_validation") == 5; }));
	EXPECT_EQ(l.b.stat("ignored_validation"), 1);
	EXPECT_LT(score_of(l.b, l.a.id()), 0);
	vectors::Json peers = l.b.json("peers");
	for (const vectors::Json &p : peers) {
		if (p["peer"].str() != l.a.id())
			continue;
		const vectors::Json &parts = p["score_parts"];
		EXPECT_EQ(std::stod(parts["invalid_messages"].text), 5);
		EXPECT_LT(std::stod(parts["topics"].text), 0);
		ASSERT_EQ(parts["by_topic"].size(), 1u);
		EXPECT_EQ(parts["by_topic"][(size_t)0]["topic"].str(), "t");
		EXPECT_LT(std::stod(parts["by_topic"][(size_t)0]["p4"].text), 0);
	}
}

TEST(Validate, NoVerdictInTimeIsIgnore)
{
	Line l(Keys{{"validate.timeout", "50ms"}});
	Event late = l.offer("late");
	kit::Clock::time_point begin = kit::Clock::now();
	EXPECT_EQ(kp2p_node_verdict(l.b, late.token(), -1), KP2P_EINVAL) << "the token stays";
	ASSERT_TRUE(eventually([&] { return kit::ms_since(begin) > 60; }));
	EXPECT_EQ(kp2p_node_verdict(l.b, late.token(), KP2P_VERDICT_ACCEPT), KP2P_ENOTFOUND);
	EXPECT_EQ(l.a.publish("t", "in time"), 0);
	Event ev = l.b.wait_type(KP2P_EV_VALIDATE);
	ASSERT_TRUE(ev);
	EXPECT_EQ(kp2p_node_verdict(l.b, ev.token(), KP2P_VERDICT_ACCEPT), 0);
	Event m = l.c.wait_type(KP2P_EV_MESSAGE);
	ASSERT_TRUE(m);
	EXPECT_EQ(m.bytes(KP2P_F_PAYLOAD), "in time");
}

/* Beyond validate.max_pending: ignored, counted, and told where the message would have come. */
TEST(Validate, OverflowIsTold)
{
	Line l(Keys{{"validate.max_pending", "3"}});
	l.b.must(KP2P_OP_SUBSCRIBE, "t", "validate=1 inbox=2");
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(l.a.publish("t", std::to_string(i)), 0);
	ASSERT_TRUE(eventually([&] { return l.b.stat("validate_overflows") == 7; }));
	int64_t told = 0, asked = 0;
	while (told + asked < 10) {
		Event ev(kp2p_node_poll(l.b, 2, kit::patience_ms));
		ASSERT_TRUE(ev);
		if (ev.type() == KP2P_EV_DROPPED)
			told += ev.integer(KP2P_F_COUNT);
		asked += ev.type() == KP2P_EV_VALIDATE;
	}
	EXPECT_EQ(told, 7);
	EXPECT_EQ(l.b.stat("inbox_dropped"), 7);
	EXPECT_GE(score_of(l.b, l.a.id()), 0) << "our limit is not its fault";
}

TEST(Validate, AfterCloseIsClosed)
{
	Line l;
	Event ev = l.offer("open");
	EXPECT_EQ(l.b.close(0), 0);
	EXPECT_EQ(kp2p_node_verdict(l.b, ev.token(), KP2P_VERDICT_ACCEPT), KP2P_ECLOSED);
}

int accept_inside(kp2p_event *ev, void *ud)
{
	if (kp2p_event_type(ev) != KP2P_EV_VALIDATE)
		return 0;
	int r = kp2p_node_verdict(*static_cast<Node *>(ud), kp2p_event_int(ev, KP2P_F_TOKEN),
	                          KP2P_VERDICT_ACCEPT);
	return r == 0 ? 8 : 9;
}

TEST(Validate, VerdictInsideAListenCallback)
{
	Line l;
	ASSERT_EQ(l.a.publish("t", "v"), 0);
	EXPECT_EQ(kp2p_node_listen(l.b, 0, accept_inside, &l.b, nullptr), 8);
	EXPECT_TRUE(l.c.wait_message("v"));
}

} // namespace
