#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "events.h"
#include "rt/cmd.h"
#include "rt/inbox.h"

namespace
{

using rt_test::event;

class RtInbox : public testing::Test
{
      protected:
	void open(uint32_t max_messages, kp_inbox_policy policy = KP_INBOX_DROP_OLD,
	          uint64_t max_bytes = 1 << 20, uint64_t total = 4 << 20)
	{
		kp_rt_inbox_limits l = {max_messages, max_bytes, total, policy};
		kp_mem_init(&mem, 0);
		ASSERT_EQ(kp_rt_inboxes_init(&in, &mem, pool.p, &wake_next, &l), KP_OK);
		kp_rt_inboxes_start(&in);
		is_open = true;
	}

	void TearDown() override
	{
		if (is_open)
			kp_rt_inboxes_fini(&in);
		EXPECT_EQ(mem.bytes, 0u);
	}

	size_t put(std::vector<kp_event *> evs)
	{
		kp_event *d = kp_rt_inbox_put(&in, evs.data(), evs.size());
		size_t n = 0;
		for (kp_event *next; d != nullptr; d = next, n++) {
			next = d->next;
			kp_event_free(d);
		}
		return n;
	}

	size_t put_token(int64_t token, unsigned box = 0, size_t payload = 0)
	{
		return put({event(pool, KP_EV_MESSAGE, token, box, payload)});
	}

	/* The tokens of all that is there; a DROPPED appears as minus its count. */
	std::vector<int64_t> drain(unsigned box = 0)
	{
		std::vector<int64_t> out;
		kp_event *ev;
		while (take(&ev, 0, box) == 1) {
			out.push_back(ev->type == KP_EV_DROPPED ? -ev->count : ev->token);
			kp_event_free(ev);
		}
		return out;
	}

	int take(kp_event **ev, kp_time deadline = 0, unsigned box = 0, size_t bytes = SIZE_MAX)
	{
		kp_rt_take t = {};
		t.out = ev;
		t.max = 1;
		t.bytes_max = bytes;
		int n = kp_rt_inbox_take(&in, box, deadline, &t);
		needed = t.needed;
		return n;
	}

	static bool readable(int fd)
	{
		pollfd p = {fd, POLLIN, 0};
		return poll(&p, 1, 0) == 1;
	}

	rt_test::Pool pool;
	kp_mem mem = {};
	kp_rt_inboxes in;
	uint32_t wake_next = 0;
	size_t needed = 0;
	bool is_open = false;
};

using Tokens = std::vector<int64_t>;

TEST_F(RtInbox, FirstInFirstOut)
{
	open(10);
	put_token(1);
	put_token(2);
	put_token(3);
	EXPECT_EQ(drain(), (Tokens{1, 2, 3}));
	EXPECT_EQ(drain(), Tokens{});
}

TEST_F(RtInbox, DropOldTellsFirst)
{
	open(3);
	size_t dropped = 0;
	for (int64_t i = 1; i <= 5; i++)
		dropped += put_token(i);
	EXPECT_EQ(dropped, 2u);
	EXPECT_EQ(drain(), (Tokens{-2, 3, 4, 5}));
	put_token(6);
	EXPECT_EQ(drain(), (Tokens{6}));
}

TEST_F(RtInbox, DropNewTellsWhereTheGapIs)
{
	open(2, KP_INBOX_DROP_NEW);
	for (int64_t i = 1; i <= 4; i++)
		put_token(i);
	kp_event *ev;
	ASSERT_EQ(take(&ev), 1);
	EXPECT_EQ(ev->token, 1);
	kp_event_free(ev);
	put_token(5); /* fits again, but comes after the gap */
	EXPECT_EQ(drain(), (Tokens{2, -2, 5}));
}

TEST_F(RtInbox, CompletionsAreNeverDropped)
{
	open(2);
	std::deque<int64_t> want;
	for (int64_t i = 1; i <= 100; i++) {
		put({event(pool, KP_EV_COMPLETE, i)});
		put_token(1000 + i);
		put({event(pool, KP_EV_PUBLISHED, 500 + i)});
	}
	Tokens got = drain();
	ASSERT_EQ(got.size(), 1u + 200u + 2u);
	EXPECT_EQ(got[0], -98);
	size_t kept = 0;
	for (int64_t t : got)
		kept += t > 0 && t < 1000;
	EXPECT_EQ(kept, 200u);
	EXPECT_EQ(got[got.size() - 2], 1100);
	EXPECT_EQ(got[got.size() - 1], 600);
}

TEST_F(RtInbox, BoundByBytesAndInTotal)
{
	open(1000, KP_INBOX_DROP_OLD, 10000, 15000);
	for (int64_t i = 0; i < 20; i++)
		put_token(i, 0, 1000);
	kp_rt_inbox_stats st;
	kp_rt_inbox_get_stats(&in, &st);
	EXPECT_LE(st.bytes, 10000u);
	EXPECT_GE(st.waiting, 6u);
	for (int64_t i = 0; i < 20; i++)
		put_token(i, 7, 1000);
	kp_rt_inbox_get_stats(&in, &st);
	EXPECT_LE(st.bytes, 15000u);
	Tokens other = drain(7);
	ASSERT_GE(other.size(), 2u);
	EXPECT_EQ(other.back(), 19); /* drop_old: the newest is there */
}

TEST_F(RtInbox, InboxesAreSeparate)
{
	open(2);
	put_token(1, 0);
	put_token(2, 1023);
	put_token(3, 5);
	EXPECT_EQ(drain(1023), Tokens{2});
	EXPECT_EQ(drain(5), Tokens{3});
	EXPECT_EQ(drain(0), Tokens{1});
}

TEST_F(RtInbox, FdIsLevelTriggered)
{
	open(10);
	int fd = kp_rt_inbox_fd(&in, 0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(kp_rt_inbox_fd(&in, 0), fd);
	EXPECT_FALSE(readable(fd));
	put_token(1);
	put_token(2);
	EXPECT_TRUE(readable(fd));
	kp_event *ev;
	ASSERT_EQ(take(&ev), 1);
	kp_event_free(ev);
	EXPECT_TRUE(readable(fd));
	drain();
	EXPECT_FALSE(readable(fd));
	put_token(3);
	int late = kp_rt_inbox_fd(&in, 3);
	EXPECT_FALSE(readable(late));
	kp_rt_inbox_close(&in);
	EXPECT_TRUE(readable(late));
	EXPECT_TRUE(readable(fd));
	EXPECT_EQ(drain(), Tokens{3});
	EXPECT_TRUE(readable(fd)); /* for ever */
	EXPECT_EQ(take(&ev), KP_E_CLOSED);
}

TEST_F(RtInbox, FdMadeLateShowsWhatHolds)
{
	open(10);
	put_token(1);
	EXPECT_TRUE(readable(kp_rt_inbox_fd(&in, 0)));
}

TEST_F(RtInbox, WaitEndsByTimeWakeAndClose)
{
	open(10);
	kp_event *ev;
	kp_time t0 = kp_rt_now();
	EXPECT_EQ(take(&ev, kp_rt_deadline(50)), 0);
	EXPECT_NEAR(static_cast<double>(kp_rt_now() - t0) / 1e6, 50, 30);
	wake_next = 1;
	EXPECT_EQ(take(&ev, KP_NEVER), KP_E_INTR);
	std::thread closer([&] {
		std::this_thread::sleep_for(std::chrono::milliseconds(20));
		kp_rt_inbox_close(&in);
	});
	EXPECT_EQ(take(&ev, KP_NEVER), KP_E_CLOSED);
	closer.join();
}

void on_signal(int) {}

TEST_F(RtInbox, SignalEndsTheWaitAlsoWithRestart)
{
	open(10);
	for (int flags : {0, SA_RESTART}) {
		struct sigaction sa = {}, old = {};
		sa.sa_handler = on_signal;
		sa.sa_flags = flags;
		sigaction(SIGUSR1, &sa, &old);
		pthread_t self = pthread_self();
		std::thread other([&] {
			std::this_thread::sleep_for(std::chrono::milliseconds(30));
			pthread_kill(self, SIGUSR1);
		});
		kp_event *ev;
		EXPECT_EQ(take(&ev, KP_NEVER), KP_E_INTR) << flags;
		other.join();
		sigaction(SIGUSR1, &old, nullptr);
	}
}

TEST_F(RtInbox, WaitBeforeStartIsAnError)
{
	open(10);
	in.started = false;
	kp_event *ev;
	EXPECT_EQ(take(&ev, 0), 0);
	EXPECT_EQ(take(&ev, KP_NEVER), KP_E_STATE);
}

TEST_F(RtInbox, PackedSizeDecides)
{
	open(10);
	put_token(1, 0, 100);
	put_token(2, 0, 10);
	kp_event *ev;
	EXPECT_EQ(take(&ev, 0, 0, 100), KP_E_TOOBIG);
	EXPECT_EQ(needed, 192u); /* 88 + 100, to a multiple of 8 */
	EXPECT_EQ(take(&ev, 0, 0, 192), 1);
	EXPECT_EQ(ev->token, 1);
	kp_event_free(ev);
	drain();
}

TEST_F(RtInbox, InterruptReachesAllWaiters)
{
	open(10);
	std::atomic<int> interrupted{0};
	std::vector<std::thread> threads;
	for (unsigned i = 0; i < 4; i++) {
		threads.emplace_back([&, i] {
			kp_rt_take t = {};
			kp_event *ev;
			t.out = &ev;
			t.max = 1;
			t.bytes_max = SIZE_MAX;
			if (kp_rt_inbox_take(&in, i % 2, KP_NEVER, &t) == KP_E_INTR)
				interrupted++;
		});
	}
	while (interrupted < 4) {
		kp_rt_inbox_interrupt(&in);
		std::this_thread::yield();
	}
	for (auto &t : threads)
		t.join();
}

/* Everything put is taken exactly once, or told as dropped. */
TEST_F(RtInbox, ManyPollersLoseNothing)
{
	open(200, KP_INBOX_DROP_OLD);
	constexpr int64_t total = 20000;
	std::atomic<int64_t> taken{0}, dropped{0}, completions{0};
	std::vector<std::thread> pollers;
	for (int i = 0; i < 3; i++) {
		pollers.emplace_back([&] {
			kp_event *evs[16];
			kp_rt_take t = {};
			t.out = evs;
			t.max = 16;
			t.bytes_max = SIZE_MAX;
			for (;;) {
				int n = kp_rt_inbox_take(&in, 0, KP_NEVER, &t);
				if (n < 0)
					return;
				for (int k = 0; k < n; k++) {
					if (evs[k]->type == KP_EV_DROPPED)
						dropped += evs[k]->count;
					else if (evs[k]->type == KP_EV_COMPLETE)
						completions++;
					else
						taken++;
					kp_event_free(evs[k]);
				}
			}
		});
	}
	for (int64_t i = 0; i < total; i++) {
		put_token(i);
		if (i % 4 == 0)
			put({event(pool, KP_EV_COMPLETE, i + 1)});
	}
	kp_rt_inbox_close(&in);
	for (auto &t : pollers)
		t.join();
	EXPECT_EQ(taken + dropped, total);
	EXPECT_EQ(completions, total / 4);
}

using Holds = std::vector<std::pair<unsigned, bool>>;

Holds look(kp_rt_inboxes *in)
{
	Holds holds;
	kp_rt_inbox_hold(
	        in,
	        [](void *ctx, unsigned box, bool hold) {
		        static_cast<Holds *>(ctx)->push_back({box, hold});
	        },
	        &holds);
	return holds;
}

kp_event *direct(rt_test::Pool &pool, int64_t token, unsigned box = 0)
{
	kp_event *ev = kp_event_new(pool.p, KP_EV_MESSAGE, 8);
	kp_event_copy(ev, KP_F_PROTOCOL, kp_slice_str("/p/1"));
	ev->token = token;
	ev->inbox = static_cast<uint16_t>(box);
	return ev;
}

/* inbox.policy=block: gossip is dropped as with drop_new, direct messages are held back. */
TEST_F(RtInbox, BlockHoldsDirectMessagesBack)
{
	open(4, KP_INBOX_BLOCK);
	kp_rt_kick kick;
	int fd = eventfd(0, EFD_NONBLOCK);
	kp_rt_kick_init(&kick, fd);
	in.kick = &kick;
	EXPECT_EQ(look(&in), Holds{});
	put({direct(pool, 1), direct(pool, 2, 7)});
	EXPECT_EQ(look(&in), (Holds{{0, false}, {7, false}}));
	EXPECT_EQ(look(&in), Holds{}) << "nothing new";
	put_token(3);
	put({direct(pool, 4), direct(pool, 5)});
	EXPECT_EQ(put_token(6), 1u) << "gossip: full";
	put({direct(pool, 7)}); /* it was on its way: not dropped */
	EXPECT_EQ(look(&in), (Holds{{0, true}}));
	kp_event *ev;
	for (int64_t want : {1}) {
		ASSERT_EQ(take(&ev), 1);
		EXPECT_EQ(ev->token, want);
		kp_event_free(ev);
	}
	EXPECT_FALSE(readable(fd)) << "still 4 of 4";
	EXPECT_EQ(look(&in), (Holds{{0, true}}));
	ASSERT_EQ(take(&ev), 1);
	kp_event_free(ev);
	EXPECT_TRUE(readable(fd)) << "3 of 4: the loop is woken";
	EXPECT_EQ(look(&in), (Holds{{0, false}}));
	EXPECT_EQ(drain(), (Tokens{4, 5, -1, 7}));
	EXPECT_EQ(drain(7), (Tokens{2}));
	EXPECT_EQ(look(&in), Holds{});
	close(fd);
}

/* The bound of all inboxes together holds one back that is not full itself. */
TEST_F(RtInbox, BlockObeysTheBoundOfAllInboxes)
{
	open(1000, KP_INBOX_BLOCK, 1 << 20, 12000);
	kp_rt_kick kick;
	int fd = eventfd(0, EFD_NONBLOCK);
	kp_rt_kick_init(&kick, fd);
	in.kick = &kick;
	put({direct(pool, 1, 2)});
	put_token(2, 1, 5000);
	EXPECT_EQ(look(&in), (Holds{{2, false}}));
	put_token(3, 1, 2000);
	while (in.total_bytes < 12000)
		put({direct(pool, 4, 2)});
	EXPECT_EQ(look(&in), (Holds{{2, true}}));
	EXPECT_EQ(drain(1), (Tokens{2, 3})); /* the other inbox makes the room */
	EXPECT_TRUE(readable(fd));
	EXPECT_EQ(look(&in), (Holds{{2, false}}));
	drain(2);
	close(fd);
}

/* The engine tells in a DROPPED event what it had to drop: as if the inbox itself had. */
TEST_F(RtInbox, DropsOfTheEngineAreTold)
{
	open(10);
	put_token(1);
	for (int i = 0; i < 3; i++) {
		kp_event *ev = event(pool, KP_EV_DROPPED);
		ev->count = 1;
		put({ev});
	}
	put_token(2);
	EXPECT_EQ(drain(), (Tokens{1, -3, 2}));
	kp_rt_inbox_stats st;
	kp_rt_inbox_get_stats(&in, &st);
	EXPECT_EQ(st.offered, 5u);
	EXPECT_EQ(st.delivered, 2u);
	EXPECT_EQ(st.dropped, 3u);
}

/* Against a plain model: a list of tokens with the same policy. */
TEST_F(RtInbox, RandomAgainstModel)
{
	for (unsigned seed = 0; seed < 40; seed++) {
		std::mt19937 rng(seed);
		kp_inbox_policy policy = seed % 2 ? KP_INBOX_DROP_NEW : KP_INBOX_DROP_OLD;
		open(5, policy);
		struct Item {
			int64_t token;
			bool kept;
		};
		std::deque<Item> model;
		int64_t put_n = 0, got_n = 0, told = 0, lost = 0;
		for (int64_t i = 1; i < 3000; i++) {
			kp_rt_inbox_stats st;
			kp_rt_inbox_get_stats(&in, &st);
			EXPECT_EQ(st.offered, st.delivered + st.dropped + st.waiting);
			EXPECT_EQ(st.delivered, static_cast<uint64_t>(got_n));
			EXPECT_EQ(st.waiting, model.size());
			bool keep = rng() % 4 == 0;
			if (rng() % 3 != 0) {
				put({event(pool, keep ? KP_EV_COMPLETE : KP_EV_MESSAGE, i)});
				size_t n = 0;
				for (auto &m : model)
					n += !m.kept;
				put_n++;
				if (!keep && n == 5) {
					lost++;
					if (policy == KP_INBOX_DROP_NEW)
						continue;
					for (auto it = model.begin(); it != model.end(); ++it)
						if (!it->kept) {
							model.erase(it);
							break;
						}
				}
				model.push_back({i, keep});
			} else {
				kp_event *ev;
				if (take(&ev) != 1) {
					EXPECT_TRUE(model.empty());
					continue;
				}
				if (ev->type == KP_EV_DROPPED) {
					told += ev->count;
				} else {
					ASSERT_FALSE(model.empty());
					EXPECT_EQ(ev->token, model.front().token);
					model.pop_front();
					got_n++;
				}
				kp_event_free(ev);
			}
		}
		for (int64_t t : drain())
			t < 0 ? told -= t : got_n++;
		EXPECT_EQ(told, lost);
		EXPECT_EQ(got_n + told, put_n);
		kp_rt_inboxes_fini(&in);
		is_open = false;
	}
}

TEST_F(RtInbox, FilledIsToldOncePerFilling)
{
	open(10);
	Tokens told;
	auto note = [](void *ctx, int box) { static_cast<Tokens *>(ctx)->push_back(box); };
	put_token(1, 3);
	put_token(2, 3);
	put_token(3, 0);
	kp_rt_inbox_filled(&in, false, note, &told);
	EXPECT_EQ(told, (Tokens{0, 3}));
	put_token(4, 3);
	kp_rt_inbox_filled(&in, false, note, &told);
	EXPECT_EQ(told.size(), 2u);
	put_token(9, 7);
	drain(7);
	kp_rt_inbox_filled(&in, true, note, &told); /* a new callback hears of what holds */
	EXPECT_EQ(told, (Tokens{0, 3, 0, 3}));
	drain(3);
	put_token(5, 3);
	kp_rt_inbox_filled(&in, false, note, &told);
	EXPECT_EQ(told.back(), 3);
	EXPECT_EQ(told.size(), 5u);
}

TEST_F(RtInbox, MarksOfTheHostAreTakenOff)
{
	open(10);
	kp_event *ev = event(pool, KP_EV_COMPLETE, 9);
	ev->flags = KP_EVF_MORE | KP_RT_EVF_REQUESTED;
	put({ev});
	ev = event(pool, KP_EV_PUBLISHED, 8);
	ev->flags = KP_RT_EVF_SENT;
	put({ev});
	kp_event *out[4];
	kp_rt_take t = {};
	t.out = out;
	t.max = 4;
	t.bytes_max = SIZE_MAX;
	ASSERT_EQ(kp_rt_inbox_take(&in, 0, 0, &t), 2);
	EXPECT_EQ(t.sent, 1u);
	EXPECT_EQ(t.requested, 1u);
	EXPECT_EQ(out[0]->flags, KP_EVF_MORE);
	EXPECT_EQ(out[1]->flags, 0);
	kp_event_free(out[0]);
	kp_event_free(out[1]);
}

} // namespace
