#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "events.h"
#include "rt/cmd.h"

namespace
{

class RtCmd : public testing::Test
{
      protected:
	void open(uint32_t messages, uint64_t bytes = 1 << 20, uint32_t requests = 8)
	{
		kp_rt_cmd_limits l = {messages, bytes, requests, KP_MS(50)};
		fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		kp_rt_kick_init(&kick, fd);
		kp_mem_init(&mem, 0);
		kp_rt_cmd_init(&c, &mem, &kick, &wake_next, &l);
		kp_rt_cmd_start(&c);
	}

	void TearDown() override
	{
		kp_rt_cmd_shut(&c);
		run_all(nullptr);
		for (kp_pub *p = staged; p != nullptr;) {
			kp_pub *next = p->next;
			kp_pub_free(p);
			p = next;
		}
		kp_rt_cmd_end(&c);
		kp_rt_cmd_fini(&c);
		close(fd);
		EXPECT_EQ(mem.bytes, 0u);
	}

	kp_pub *pub(size_t bytes = 10, int64_t token = 0)
	{
		std::string data(bytes, 'd');
		return kp_pub_new(pool.p, kp_slice_str("t"), kp_slice_of(data.data(), bytes),
		                  token);
	}

	kp_err post(kp_time deadline = 0, int64_t token = 0, size_t bytes = 10)
	{
		kp_pub *p = pub(bytes, token);
		kp_err r = kp_rt_cmd_post(&c, &p, KP_RT_TOKEN_PUBLISH, deadline);
		EXPECT_EQ(p == nullptr, r == KP_OK);
		kp_pub_free(p);
		return r;
	}

	/* What the loop thread does: takes all, and lets `n` of them go. */
	std::vector<int64_t> send(size_t n)
	{
		kp_list reqs;
		kp_list_init(&reqs);
		kp_pub *more = kp_rt_cmd_take(&c, &reqs);
		while (!kp_list_empty(&reqs))
			kp_rt_req_free(&c, KP_CONTAINER_OF(kp_list_pop(&reqs), kp_rt_req, link));
		kp_pub **tail = &staged;
		while (*tail != nullptr)
			tail = &(*tail)->next;
		*tail = more;
		std::vector<int64_t> out;
		while (n-- > 0 && staged != nullptr) {
			kp_pub *p = staged;
			staged = p->next;
			out.push_back(p->data_n);
			uint64_t bytes = kp_rt_pub_bytes(p);
			kp_pub_free(p);
			kp_rt_cmd_sent(&c, 1, bytes);
		}
		return out;
	}

	/* Answers every command as the loop would. */
	void run_all(std::vector<int64_t> *cancelled)
	{
		kp_list reqs;
		kp_list_init(&reqs);
		kp_pub *chain = kp_rt_cmd_take(&c, &reqs);
		kp_pub **tail = &staged;
		while (*tail != nullptr)
			tail = &(*tail)->next;
		*tail = chain;
		while (!kp_list_empty(&reqs)) {
			kp_rt_req *r = KP_CONTAINER_OF(kp_list_pop(&reqs), kp_rt_req, link);
			if (r->kind == KP_RT_INFO) {
				r->answer = static_cast<char *>(kp_mem_alloc(r->mem, 8));
				kp_rt_cmd_answer(&c, r, KP_OK);
				continue;
			}
			if (r->kind == KP_RT_CANCEL && cancelled != nullptr)
				cancelled->push_back(r->token);
			kp_rt_req_free(&c, r);
		}
	}

	bool readable() const
	{
		pollfd p = {kp_rt_cmd_fd(const_cast<kp_rt_cmd *>(&c)), POLLIN, 0};
		return poll(&p, 1, 0) == 1;
	}

	size_t waiting()
	{
		size_t n = 0;
		pthread_mutex_lock(&c.lock);
		for (kp_list *it = c.waiters.next; it != &c.waiters; it = it->next)
			n++;
		pthread_mutex_unlock(&c.lock);
		return n;
	}

	void until_waiting(size_t n)
	{
		while (waiting() != n)
			std::this_thread::yield();
	}

	rt_test::Pool pool;
	kp_mem mem = {};
	kp_rt_kick kick;
	kp_rt_cmd c;
	kp_pub *staged = nullptr;
	uint32_t wake_next = 0;
	int fd = -1;
};

TEST_F(RtCmd, BoundByMessagesThenThreeQuarters)
{
	open(8);
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(post(), KP_OK);
	EXPECT_TRUE(readable()); /* nobody has been refused yet */
	EXPECT_EQ(post(), KP_E_AGAIN);
	EXPECT_FALSE(readable());
	EXPECT_FALSE(kp_rt_cmd_take_space(&c));
	send(1);
	EXPECT_FALSE(readable());
	EXPECT_EQ(post(), KP_OK); /* accepted all the same: fewer than 8 are queued */
	send(2);
	EXPECT_TRUE(readable()); /* 6 = 3/4 */
	EXPECT_TRUE(kp_rt_cmd_take_space(&c));
	EXPECT_FALSE(kp_rt_cmd_take_space(&c));
}

TEST_F(RtCmd, BoundByBytesTheLastMayExceed)
{
	open(1000, 500); /* of memory: the first takes 400 */
	EXPECT_EQ(post(0, 0, 60), KP_OK);
	EXPECT_EQ(post(0, 0, 500), KP_OK);
	EXPECT_EQ(post(0, 0, 1), KP_E_AGAIN);
	send(1);
	EXPECT_EQ(post(0, 0, 1), KP_E_AGAIN);
	send(1);
	EXPECT_EQ(post(0, 0, 1), KP_OK);
}

TEST_F(RtCmd, LookSaysTheSameWithoutAMessage)
{
	open(1);
	EXPECT_EQ(kp_rt_cmd_look(&c, 0), KP_OK);
	EXPECT_EQ(post(0, 5), KP_OK);
	EXPECT_EQ(kp_rt_cmd_look(&c, 5), KP_E_INVAL);
	EXPECT_EQ(kp_rt_cmd_look(&c, 6), KP_E_AGAIN);
	EXPECT_FALSE(readable());
	kp_rt_cmd_shut(&c);
	EXPECT_EQ(kp_rt_cmd_look(&c, 6), KP_E_CLOSED);
	EXPECT_TRUE(readable());
}

TEST_F(RtCmd, TimeoutIsExact)
{
	open(1);
	EXPECT_EQ(post(), KP_OK);
	kp_time t0 = kp_rt_now();
	EXPECT_EQ(post(kp_rt_deadline(50)), KP_E_TIMEDOUT);
	EXPECT_NEAR(static_cast<double>(kp_rt_now() - t0) / 1e6, 50, 30);
	wake_next = 1;
	EXPECT_EQ(post(KP_NEVER), KP_E_INTR);
}

TEST_F(RtCmd, WaitersAreServedInOrder)
{
	open(4);
	for (int i = 0; i < 4; i++)
		post(0, 0, 1);
	std::vector<std::thread> threads;
	for (size_t i = 0; i < 6; i++) {
		threads.emplace_back([this, i] { EXPECT_EQ(post(KP_NEVER, 0, 100 + i), KP_OK); });
		until_waiting(i + 1);
	}
	EXPECT_EQ(post(), KP_E_AGAIN); /* nobody overtakes those who wait */
	std::vector<int64_t> got;
	while (got.size() < 10) {
		for (int64_t n : send(1))
			got.push_back(n);
	}
	for (auto &t : threads)
		t.join();
	EXPECT_EQ(got, (std::vector<int64_t>{1, 1, 1, 1, 100, 101, 102, 103, 104, 105}));
}

TEST_F(RtCmd, CloseAndInterruptReachTheWaiters)
{
	open(1);
	post();
	std::atomic<int> interrupted{0}, closed{0};
	auto wait = [&] {
		kp_err r = post(KP_NEVER);
		interrupted += r == KP_E_INTR;
		closed += r == KP_E_CLOSED;
	};
	std::thread a(wait), b(wait);
	until_waiting(2);
	EXPECT_TRUE(kp_rt_cmd_interrupt(&c));
	a.join();
	b.join();
	EXPECT_EQ(interrupted, 2);
	EXPECT_FALSE(kp_rt_cmd_interrupt(&c));
	std::thread d(wait);
	until_waiting(1);
	kp_rt_cmd_shut(&c);
	d.join();
	EXPECT_EQ(closed, 1);
	EXPECT_EQ(post(), KP_E_CLOSED);
}

TEST_F(RtCmd, WaitBeforeStartIsAnError)
{
	open(1);
	c.started = false;
	EXPECT_EQ(post(KP_NEVER), KP_OK); /* there is room: no wait */
	EXPECT_EQ(post(KP_NEVER), KP_E_STATE);
	EXPECT_EQ(post(0), KP_E_AGAIN);
}

TEST_F(RtCmd, TokensAreUniqueInFlight)
{
	open(10);
	EXPECT_EQ(post(0, 7), KP_OK);
	EXPECT_EQ(post(0, 7), KP_E_INVAL);
	send(10); /* out of the queue, but its fate is not known yet */
	EXPECT_EQ(post(0, 7), KP_E_INVAL);
	kp_event *fate = rt_test::event(pool, KP_EV_PUBLISHED, 7);
	kp_rt_cmd_events(&c, 1, &fate, 1);
	EXPECT_EQ(fate->flags, KP_RT_EVF_SENT);
	kp_event_free(fate);
	EXPECT_EQ(post(0, 7), KP_OK); /* the token is free, the record not yet */
	EXPECT_EQ(c.records, 2u);
	kp_rt_cmd_read(&c, 1, 0);
	EXPECT_EQ(c.records, 1u);
}

TEST_F(RtCmd, UnreadFatesBoundThePublishes)
{
	open(4);
	for (int64_t i = 1; i <= 4; i++) {
		EXPECT_EQ(post(0, i), KP_OK);
		send(1);
		kp_event *fate = rt_test::event(pool, KP_EV_PUBLISHED, i);
		kp_rt_cmd_events(&c, 1, &fate, 1);
		kp_event_free(fate);
	}
	EXPECT_EQ(post(0, 5), KP_E_AGAIN); /* four fates wait to be read */
	EXPECT_EQ(post(0, 0), KP_OK);
	send(1);
	EXPECT_FALSE(readable());
	kp_rt_cmd_read(&c, 1, 0);
	EXPECT_TRUE(readable());
	EXPECT_EQ(post(0, 5), KP_OK);
}

TEST_F(RtCmd, BatchTakesWhatFits)
{
	open(3);
	kp_pub *chain = pub(1), *rest;
	chain->next = pub(2);
	chain->next->next = pub(3);
	chain->next->next->next = rest = pub(4);
	EXPECT_EQ(kp_rt_cmd_post(&c, &chain, KP_RT_TOKEN_PUBLISH, 0), KP_E_AGAIN);
	EXPECT_EQ(chain, rest);
	EXPECT_EQ(c.n, 3u);
	kp_pub_free(chain);
}

kp_rt_req request(rt_test::Pool &pool, int64_t token, const char *arg)
{
	kp_rt_req r = {};
	r.kind = KP_RT_REQUEST;
	r.op = KP_OP_PING;
	r.arg = kp_slice_str(arg);
	r.token = token;
	r.done = token != 0 ? rt_test::event(pool, KP_EV_COMPLETE, token) : nullptr;
	return r;
}

TEST_F(RtCmd, RequestsAreBoundedUntilRead)
{
	open(4, 1 << 20, 2);
	kp_rt_req a = request(pool, 1, "a"), b = request(pool, 0, "b"), d = request(pool, 3, "d");
	EXPECT_EQ(kp_rt_cmd_request(&c, &a), KP_OK);
	EXPECT_EQ(kp_rt_cmd_request(&c, &b), KP_OK);
	EXPECT_EQ(kp_rt_cmd_request(&c, &d), KP_E_AGAIN);
	kp_list reqs;
	kp_list_init(&reqs);
	EXPECT_EQ(kp_rt_cmd_take(&c, &reqs), nullptr);
	kp_rt_req *first = KP_CONTAINER_OF(kp_list_pop(&reqs), kp_rt_req, link);
	EXPECT_TRUE(kp_slice_eq_str(first->arg, "a"));
	kp_event *done = first->done;
	first->done = nullptr;
	kp_rt_req_free(&c, first);
	kp_rt_req_free(&c, KP_CONTAINER_OF(kp_list_pop(&reqs), kp_rt_req, link));
	kp_rt_cmd_done_silent(&c, 1);
	EXPECT_EQ(kp_rt_cmd_request(&c, &d), KP_OK);
	kp_rt_req again = request(pool, 1, "again");
	kp_rt_cmd_read(&c, 0, 0);
	EXPECT_EQ(kp_rt_cmd_request(&c, &again), KP_E_AGAIN);
	kp_event_free(again.done);
	kp_rt_cmd_events(&c, 1, &done, 1);
	EXPECT_EQ(done->flags, KP_RT_EVF_REQUESTED);
	kp_event_free(done);
	kp_rt_cmd_read(&c, 0, 1);
	again = request(pool, 3, "in flight");
	EXPECT_EQ(kp_rt_cmd_request(&c, &again), KP_E_INVAL);
	kp_event_free(again.done);
}

TEST_F(RtCmd, CancelNeedsATokenInFlight)
{
	open(4);
	std::vector<int64_t> cancelled;
	EXPECT_EQ(kp_rt_cmd_cancel(&c, 1), KP_E_NOTFOUND);
	post(0, 1);
	EXPECT_EQ(kp_rt_cmd_cancel(&c, 1), KP_OK);
	run_all(&cancelled);
	EXPECT_EQ(cancelled, std::vector<int64_t>{1});
}

TEST_F(RtCmd, VerdictOnceAndInTime)
{
	open(4);
	kp_event *v = rt_test::event(pool, KP_EV_VALIDATE, 11);
	kp_rt_cmd_events(&c, KP_MS(100), &v, 1);
	v->token = 12;
	kp_rt_cmd_events(&c, KP_MS(100), &v, 1);
	v->token = 13;
	kp_rt_cmd_events(&c, KP_MS(100), &v, 1);
	kp_event_free(v);
	EXPECT_EQ(kp_rt_cmd_verdict(&c, KP_MS(110), 99, KP_ACCEPT), KP_E_NOTFOUND);
	EXPECT_EQ(kp_rt_cmd_verdict(&c, KP_MS(110), 11, KP_ACCEPT), KP_OK);
	EXPECT_EQ(kp_rt_cmd_verdict(&c, KP_MS(110), 11, KP_ACCEPT), KP_E_NOTFOUND);
	EXPECT_EQ(kp_rt_cmd_verdict(&c, KP_MS(150), 12, KP_ACCEPT), KP_E_NOTFOUND); /* expired */
	kp_rt_cmd_forget_verdict(&c, 13);
	EXPECT_EQ(kp_rt_cmd_verdict(&c, KP_MS(110), 13, KP_ACCEPT), KP_E_NOTFOUND);
}

TEST_F(RtCmd, ExpiredVerdictsAreForgotten)
{
	open(4);
	kp_event *v = rt_test::event(pool, KP_EV_VALIDATE, 1);
	for (int64_t i = 1; i < 100000; i++) {
		v->token = i;
		kp_rt_cmd_events(&c, KP_MS(static_cast<kp_time>(i)), &v, 1);
	}
	kp_event_free(v);
	EXPECT_LE(c.verdicts.n, 2048u);
}

void on_signal(int) {}

TEST_F(RtCmd, AskSurvivesSignals)
{
	open(4);
	struct sigaction sa = {}, old = {};
	sa.sa_handler = on_signal;
	sigaction(SIGUSR1, &sa, &old);
	std::atomic<bool> over{false};
	std::thread asker([&] {
		char *answer = nullptr;
		EXPECT_EQ(kp_rt_cmd_ask(&c, kp_slice_str("x"), &mem, &answer), KP_OK);
		EXPECT_NE(answer, nullptr);
		kp_mem_free(&mem, answer);
		over = true;
	});
	for (int i = 0; i < 20; i++) {
		pthread_kill(asker.native_handle(), SIGUSR1);
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
	EXPECT_FALSE(over);
	while (!over) {
		run_all(nullptr);
		std::this_thread::yield();
	}
	asker.join();
	sigaction(SIGUSR1, &old, nullptr);
}

/* Many senders against a slow loop: what was accepted goes out once, and in the order of each. */
TEST_F(RtCmd, ManySenders)
{
	open(16);
	constexpr int threads_n = 4, each = 2000;
	std::atomic<int> running{threads_n};
	std::atomic<int> accepted{0};
	std::vector<std::thread> threads;
	for (int t = 0; t < threads_n; t++) {
		threads.emplace_back([&, t] {
			for (int i = 0; i < each; i++) {
				kp_err r = post(i % 3 == 0 ? 0 : KP_NEVER, 0,
				                static_cast<size_t>(t + 1));
				if (r == KP_OK)
					accepted++;
			}
			running--;
		});
	}
	int sent = 0;
	while (running > 0 || c.n > 0)
		sent += static_cast<int>(send(5).size());
	for (auto &t : threads)
		t.join();
	sent += static_cast<int>(send(100).size());
	EXPECT_EQ(sent, accepted);
	EXPECT_EQ(c.bytes, 0u);
}

} // namespace
