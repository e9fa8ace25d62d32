/* The set that forgets: exact times, caps, and that a deleted entry is gone. */
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "base/rng.h"
#include "svc/gossipsub/seen.h"

class Seen : public ::testing::Test
{
      protected:
	void SetUp() override
	{
		kp_mem_init(&mem, 0);
	}
	void TearDown() override
	{
		kp_seen_fini(&s);
		EXPECT_EQ(mem.bytes, 0u);
	}
	kp_mem mem;
	kp_seen s;
};

TEST_F(Seen, forgets_exactly)
{
	kp_seen_init(&s, &mem, KP_SEC(60), 100, true);
	EXPECT_EQ(kp_seen_add(&s, 1000, 7), KP_OK);
	EXPECT_EQ(kp_seen_add(&s, 1001, 7), KP_E_DUPLICATE);
	EXPECT_TRUE(kp_seen_has(&s, 1000 + KP_SEC(60) - 1, 7));
	EXPECT_FALSE(kp_seen_has(&s, 1000 + KP_SEC(60), 7));
	EXPECT_EQ(kp_seen_add(&s, 1000 + KP_SEC(60), 7), KP_OK);
}

TEST_F(Seen, full_forgets_the_oldest)
{
	kp_seen_init(&s, &mem, KP_SEC(60), 20, true);
	for (uint64_t i = 1; i <= 25; i++)
		EXPECT_EQ(kp_seen_add(&s, i, i), KP_OK);
	EXPECT_EQ(kp_seen_count(&s), 20u);
	EXPECT_EQ(s.evicted, 5u);
	EXPECT_FALSE(kp_seen_has(&s, 30, 5));
	EXPECT_TRUE(kp_seen_has(&s, 30, 6));
}

TEST_F(Seen, full_refuses)
{
	kp_seen_init(&s, &mem, KP_SEC(3), 20, false);
	for (uint64_t i = 1; i <= 20; i++)
		EXPECT_EQ(kp_seen_add(&s, 0, i), KP_OK);
	EXPECT_EQ(kp_seen_add(&s, 1, 99), KP_E_LIMIT);
	EXPECT_EQ(kp_seen_add(&s, KP_SEC(3), 99), KP_OK);
}

TEST_F(Seen, without_memory_it_says_so_and_lives)
{
	kp_seen_init(&s, &mem, KP_SEC(3), 1000, true);
	mem.fail_at = mem.calls + 1;
	EXPECT_EQ(kp_seen_add(&s, 0, 1), KP_E_NOMEM);
	for (uint64_t i = 1; i <= 16; i++)
		EXPECT_EQ(kp_seen_add(&s, 0, i), KP_OK);
	mem.fail_at = mem.calls + 2;
	EXPECT_EQ(kp_seen_add(&s, 0, 17), KP_OK); /* in the place of the oldest */
	EXPECT_FALSE(kp_seen_has(&s, 0, 1));
	EXPECT_TRUE(kp_seen_has(&s, 0, 17));
}

TEST_F(Seen, gives_memory_of_a_burst_back)
{
	kp_seen_init(&s, &mem, KP_SEC(60), 1 << 20, true);
	for (uint64_t i = 1; i <= 100000; i++)
		EXPECT_EQ(kp_seen_add(&s, i, i * 0x9e3779b97f4a7c15u), KP_OK);
	EXPECT_GT(mem.bytes, 2000000u);
	for (uint64_t i = 1; i <= 300; i++)
		EXPECT_EQ(kp_seen_add(&s, KP_SEC(30) + i * KP_SEC(1), i), KP_OK);
	for (uint64_t i = 241; i <= 300; i++)
		EXPECT_TRUE(kp_seen_has(&s, KP_SEC(330), i));
	EXPECT_LT(mem.bytes, 100000u);
}

/* Against a model, with colliding fingerprints. */
TEST_F(Seen, as_a_map_would)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		kp_seen_init(&s, &mem, 500, 64 + (uint32_t)seed, true);
		kp_rng rng;
		uint8_t key[32] = {(uint8_t)seed};
		kp_rng_init(&rng, key);
		std::map<uint64_t, kp_time> model;
		std::deque<std::pair<kp_time, uint64_t>> order;
		kp_time now = 0;
		for (unsigned i = 0; i < 5000; i++) {
			now += kp_rng_below(&rng, 20);
			while (!order.empty() && order.front().first + 500 <= now) {
				auto it = model.find(order.front().second);
				if (it != model.end() && it->second == order.front().first)
					model.erase(it);
				order.pop_front();
			}
			uint64_t fp = 1 + (kp_rng_below(&rng, 100) << kp_rng_below(&rng, 3) * 8);
			switch (kp_rng_below(&rng, 4)) {
			case 0:
				kp_seen_del(&s, fp);
				model.erase(fp);
				break;
			case 1:
				EXPECT_EQ(kp_seen_has(&s, now, fp), model.count(fp) != 0);
				break;
			default: {
				kp_err err = kp_seen_add(&s, now, fp);
				EXPECT_EQ(err, model.count(fp) ? KP_E_DUPLICATE : KP_OK);
				if (err == KP_OK) {
					model[fp] = now;
					order.push_back({now, fp});
				}
			}
			}
			ASSERT_EQ(s.evicted, 0u);
		}
		kp_seen_fini(&s);
	}
	kp_seen_init(&s, &mem, 1, 1, true);
}
