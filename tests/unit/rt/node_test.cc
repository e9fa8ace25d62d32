/* A whole node without listeners: commands, events, close, on the real engine and no port. */
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "rt/rt.h"
#include "svc/event.h"

namespace
{

class RtNode : public testing::Test
{
      protected:
	kp_rt *make(std::vector<std::pair<const char *, const char *>> keys = {})
	{
		kp_config *c = kp_config_new();
		char text[KP_RT_TEXT] = "";
		for (auto &k : keys)
			EXPECT_EQ(kp_config_set(c, kp_slice_str(k.first), kp_slice_str(k.second),
			                        text, sizeof text),
			          KP_OK)
			        << text;
		kp_rt *rt = nullptr;
		EXPECT_EQ(kp_rt_new(c, &rt, text, sizeof text), KP_OK) << text;
		kp_config_free(c);
		return rt;
	}

	kp_rt *started(std::vector<std::pair<const char *, const char *>> keys = {})
	{
		char text[KP_RT_TEXT] = "";
		kp_rt *rt = make(keys);
		EXPECT_EQ(kp_rt_start(rt, text, sizeof text), KP_OK) << text;
		return rt;
	}

	kp_err publish(kp_rt *rt, const std::string &data, int64_t token, int timeout_ms = 0)
	{
		char text[KP_RT_TEXT];
		size_t accepted;
		kp_rt_batch b = {kp_slice_str("t"),
		                 reinterpret_cast<const uint8_t *>(data.data()),
		                 nullptr,
		                 data.size(),
		                 1,
		                 token,
		                 timeout_ms};
		return kp_rt_publish(rt, &b, &accepted, text, sizeof text);
	}

	kp_err request(kp_rt *rt, kp_op op, const char *arg, int64_t token)
	{
		char text[KP_RT_TEXT];
		return kp_rt_request(rt, op, kp_slice_str(arg), kp_slice_none(), 0, token, text,
		                     sizeof text);
	}

	kp_event *poll(kp_rt *rt, int timeout_ms)
	{
		kp_event *ev;
		size_t needed;
		last = kp_rt_poll(rt, 0, &ev, 1, SIZE_MAX, &needed, timeout_ms);
		return last == 1 ? ev : nullptr;
	}

	static kp_event *poll_with(kp_rt *rt)
	{
		kp_event *ev;
		size_t needed;
		return kp_rt_poll(rt, 0, &ev, 1, SIZE_MAX, &needed, -1) == 1 ? ev : nullptr;
	}

	int last = 0;
};

TEST_F(RtNode, NewAndLeave)
{
	kp_rt_leave(make());
}

TEST_F(RtNode, QueuedBeforeStart)
{
	kp_rt *rt = make();
	EXPECT_EQ(request(rt, KP_OP_SUBSCRIBE, "t", 5), KP_OK);
	EXPECT_EQ(
	        request(rt, KP_OP_PING, "12D3KooWMGtw48oyM6ur9bqi1uEnuH45X2xVTt95mzYnRhDBqtDu", 6),
	        KP_E_STATE);
	EXPECT_EQ(publish(rt, "x", 7), KP_OK);
	EXPECT_EQ(poll(rt, 0), nullptr);
	EXPECT_EQ(last, 0);
	EXPECT_EQ(poll(rt, -1), nullptr);
	EXPECT_EQ(last, KP_E_STATE);
	char text[KP_RT_TEXT];
	ASSERT_EQ(kp_rt_start(rt, text, sizeof text), KP_OK);
	kp_event *ev = poll(rt, 5000);
	ASSERT_NE(ev, nullptr);
	EXPECT_EQ(ev->type, KP_EV_COMPLETE);
	EXPECT_EQ(ev->token, 5);
	EXPECT_EQ(ev->code, 0);
	kp_event_free(ev);
	/* nobody subscribes: held, and told at the end */
	EXPECT_EQ(kp_rt_close(rt, 0, -1), KP_OK);
	ev = poll(rt, -1);
	ASSERT_NE(ev, nullptr);
	EXPECT_EQ(ev->type, KP_EV_PUBLISHED);
	EXPECT_EQ(ev->token, 7);
	EXPECT_EQ(ev->code, KP_E_CLOSED);
	kp_event_free(ev);
	EXPECT_EQ(poll(rt, -1), nullptr);
	EXPECT_EQ(last, KP_E_CLOSED);
	kp_rt_leave(rt);
}

TEST_F(RtNode, ClosedBeforeStartTellsTheFates)
{
	kp_rt *rt = make();
	EXPECT_EQ(publish(rt, "x", 7), KP_OK);
	EXPECT_EQ(request(rt, KP_OP_SUBSCRIBE, "t", 8), KP_OK);
	EXPECT_EQ(kp_rt_close(rt, 0, -1), KP_OK);
	int64_t sum = 0;
	while (kp_event *ev = poll(rt, 0)) {
		EXPECT_EQ(ev->code, KP_E_CLOSED);
		sum += ev->token;
		kp_event_free(ev);
	}
	EXPECT_EQ(sum, 15);
	char text[KP_RT_TEXT];
	EXPECT_EQ(kp_rt_start(rt, text, sizeof text), KP_E_CLOSED);
	kp_rt_leave(rt);
}

TEST_F(RtNode, StopBeforeStart)
{
	kp_rt *rt = make();
	EXPECT_EQ(kp_rt_stop(kp_rt_stop_id(rt)), KP_OK);
	char text[KP_RT_TEXT];
	EXPECT_EQ(kp_rt_start(rt, text, sizeof text), KP_E_CLOSED);
	EXPECT_EQ(kp_rt_close(rt, 0, 0), KP_OK);
	kp_rt_leave(rt);
}

TEST_F(RtNode, PublishCancelledInFlight)
{
	kp_rt *rt = started({{"publish.hold", "1h"}});
	EXPECT_EQ(kp_rt_cancel(rt, 3), KP_E_NOTFOUND);
	EXPECT_EQ(publish(rt, "x", 3), KP_OK);
	EXPECT_EQ(kp_rt_cancel(rt, 3), KP_OK);
	EXPECT_EQ(kp_rt_close(rt, 0, -1), KP_OK);
	kp_event *ev = poll(rt, 0);
	ASSERT_NE(ev, nullptr);
	EXPECT_EQ(ev->token, 3);
	EXPECT_TRUE(ev->code == KP_E_CLOSED || ev->code == KP_E_CANCELED);
	kp_event_free(ev);
	EXPECT_EQ(poll(rt, 0), nullptr);
	kp_rt_leave(rt);
}

TEST_F(RtNode, RaceOfEverythingWithClose)
{
	for (int round = 0; round < 20; round++) {
		kp_rt *rt = started();
		std::vector<std::thread> threads;
		std::atomic<int64_t> token{1};
		std::atomic<int> with_token{0}, fates{0};
		for (int i = 0; i < 2; i++) {
			threads.emplace_back([&] {
				for (int k = 0; k < 200; k++) {
					kp_err r = publish(rt, std::to_string(k), token++, -1);
					with_token += r == KP_OK;
					if (r == KP_E_CLOSED)
						return;
				}
			});
		}
		threads.emplace_back([&] {
			for (;;) {
				kp_event *ev = poll_with(rt);
				if (ev == nullptr)
					return;
				fates += ev->type == KP_EV_PUBLISHED && ev->token != 0;
				kp_event_free(ev);
			}
		});
		threads.emplace_back([&] {
			kp_mem mem;
			kp_mem_init(&mem, 0);
			for (int k = 0; k < 50; k++) {
				char *out = nullptr;
				EXPECT_EQ(kp_rt_info(rt, kp_slice_str("stats"), &mem, &out), KP_OK);
				kp_mem_free(&mem, out);
			}
		});
		std::this_thread::sleep_for(std::chrono::microseconds(200 * round));
		EXPECT_EQ(kp_rt_close(rt, 10, -1), KP_OK);
		for (auto &t : threads)
			t.join();
		EXPECT_EQ(with_token, fates);
		kp_rt_leave(rt);
	}
}

} // namespace
