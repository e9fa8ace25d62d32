#include "base/timer.h"

#include "base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace
{

struct probe {
	kp_timer timer; /* first: fired pointers are probes */
	int name;
	kp_timers *ts;
	std::vector<int> *log;
	kp_time again; /* set again when fired, KP_NEVER = not */
	probe *kill;   /* unset when fired */
};

void on_probe(kp_timer *t, kp_time now)
{
	auto *p = reinterpret_cast<probe *>(t);
	EXPECT_FALSE(kp_timer_is_set(t));
	(void)now;
	p->log->push_back(p->name);
	if (p->kill != nullptr)
		kp_timer_unset(p->ts, &p->kill->timer);
	if (p->again != KP_NEVER)
		kp_timer_set(p->ts, t, p->again);
}

class timers : public ::testing::Test
{
      protected:
	kp_mem mem;
	kp_timers ts;
	std::vector<int> log;
	std::vector<probe> probes;

	void SetUp() override
	{
		kp_mem_init(&mem, 0);
		kp_timers_init(&ts, &mem);
	}
	void make(int n)
	{
		probes.resize(static_cast<size_t>(n));
		for (int i = 0; i < n; i++) {
			kp_timer_init(&probes[i].timer, on_probe);
			probes[i].name = i;
			probes[i].ts = &ts;
			probes[i].log = &log;
			probes[i].again = KP_NEVER;
			probes[i].kill = nullptr;
		}
		ASSERT_EQ(kp_timers_reserve(&ts, static_cast<uint32_t>(n)), KP_OK);
	}
	void TearDown() override
	{
		for (auto &p : probes)
			kp_timer_unset(&ts, &p.timer);
		kp_timers_release(&ts, static_cast<uint32_t>(probes.size()));
		kp_timers_fini(&ts);
		EXPECT_EQ(mem.bytes, 0u);
	}
};

TEST_F(timers, fire_exactly_when_due)
{
	make(1);
	EXPECT_EQ(kp_timers_next(&ts), KP_NEVER);
	kp_timer_set(&ts, &probes[0].timer, 100);
	EXPECT_EQ(kp_timers_next(&ts), 100u);
	kp_timers_run(&ts, 99);
	EXPECT_TRUE(log.empty());
	kp_timers_run(&ts, 100);
	EXPECT_EQ(log.size(), 1u);
	kp_timers_run(&ts, 1000);
	EXPECT_EQ(log.size(), 1u);
}

TEST_F(timers, ties_fire_in_the_order_of_setting)
{
	make(50);
	for (int i = 49; i >= 0; i--)
		kp_timer_set(&ts, &probes[i].timer, 7);
	kp_timer_set(&ts, &probes[20].timer, 7); /* set anew: now the last */
	kp_timers_run(&ts, 7);
	std::vector<int> want;
	for (int i = 49; i >= 0; i--)
		if (i != 20)
			want.push_back(i);
	want.push_back(20);
	EXPECT_EQ(log, want);
}

TEST_F(timers, set_again_inside_waits_for_the_next_run)
{
	make(3);
	probes[0].again = 0; /* long past */
	for (int i = 0; i < 3; i++)
		kp_timer_set(&ts, &probes[i].timer, 10);
	kp_timers_run(&ts, 10);
	EXPECT_EQ(log, (std::vector<int>{0, 1, 2}));
	EXPECT_EQ(kp_timers_next(&ts), 11u);
	probes[0].again = KP_NEVER;
	kp_timers_run(&ts, 11);
	EXPECT_EQ(log.size(), 4u);
	EXPECT_EQ(kp_timers_next(&ts), KP_NEVER);
}

TEST_F(timers, one_may_unset_another_that_is_due)
{
	make(3);
	probes[0].kill = &probes[1];
	for (int i = 0; i < 3; i++)
		kp_timer_set(&ts, &probes[i].timer, 10);
	kp_timers_run(&ts, 10);
	EXPECT_EQ(log, (std::vector<int>{0, 2}));
}

TEST_F(timers, never_means_unset)
{
	make(1);
	kp_timer_set(&ts, &probes[0].timer, 5);
	kp_timer_set(&ts, &probes[0].timer, KP_NEVER);
	EXPECT_FALSE(kp_timer_is_set(&probes[0].timer));
	kp_timer_unset(&ts, &probes[0].timer);
}

TEST_F(timers, against_a_sorted_list)
{
	const int n = 200;
	make(n);
	uint8_t seed[32] = {3};
	kp_rng rng;
	kp_rng_init(&rng, seed);
	kp_time now = 0;
	uint64_t order = 0;
	struct entry {
		kp_time at;
		uint64_t seq;
		int name;
	};
	std::vector<entry> model;
	auto drop = [&](int i) {
		model.erase(std::remove_if(model.begin(), model.end(),
		                           [&](const entry &e) { return e.name == i; }),
		            model.end());
	};
	for (int step = 0; step < 20000; step++) {
		int i = static_cast<int>(kp_rng_below(&rng, n));
		switch (kp_rng_below(&rng, 4)) {
		case 0:
			kp_timer_unset(&ts, &probes[i].timer);
			drop(i);
			break;
		case 1: {
			now += kp_rng_below(&rng, 8);
			log.clear();
			kp_timers_run(&ts, now);
			std::sort(model.begin(), model.end(), [](const entry &a, const entry &b) {
				return a.at != b.at ? a.at < b.at : a.seq < b.seq;
			});
			std::vector<int> want;
			while (!model.empty() && model.front().at <= now) {
				want.push_back(model.front().name);
				model.erase(model.begin());
			}
			ASSERT_EQ(log, want);
			break;
		}
		default: {
			kp_time at = now + kp_rng_below(&rng, 50);
			kp_timer_set(&ts, &probes[i].timer, at);
			drop(i);
			model.push_back({at, order++, i});
		}
		}
		ASSERT_EQ(ts.n, model.size());
	}
}

TEST_F(timers, reserve_reports_short_memory_and_changes_nothing)
{
	mem.fail_at = 1;
	EXPECT_EQ(kp_timers_reserve(&ts, 4), KP_E_NOMEM);
	EXPECT_EQ(ts.cap, 0u);
	EXPECT_EQ(kp_timers_reserve(&ts, 4), KP_OK);
	EXPECT_EQ(kp_timers_reserve(&ts, 100), KP_OK);
	mem.fail_at = mem.calls + 1;
	EXPECT_EQ(kp_timers_reserve(&ts, 1000), KP_E_NOMEM);
	EXPECT_EQ(ts.cap, 104u);
	kp_timers_release(&ts, 104);
}

} // namespace
