#include "base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace
{

kp_rng seeded(uint8_t first)
{
	uint8_t seed[32] = {first};
	kp_rng r;
	kp_rng_init(&r, seed);
	return r;
}

TEST(rng, xoshiro256starstar_reference)
{
	/* First outputs of the reference implementation for the state 1, 2, 3, 4. */
	kp_rng r = {{1, 2, 3, 4}};
	const uint64_t want[] = {11520ull, 0ull, 1509978240ull, 1215971899390074240ull,
	                         1216172134540287360ull};
	for (uint64_t w : want)
		EXPECT_EQ(kp_rng_u64(&r), w);
}

TEST(rng, same_seed_same_sequence)
{
	kp_rng a = seeded(1), b = seeded(1), c = seeded(2);
	bool differs = false;
	for (int i = 0; i < 100; i++) {
		uint64_t x = kp_rng_u64(&a);
		EXPECT_EQ(x, kp_rng_u64(&b));
		differs |= x != kp_rng_u64(&c);
	}
	EXPECT_TRUE(differs);
}

TEST(rng, zero_seed_works)
{
	kp_rng r = seeded(0);
	EXPECT_NE(kp_rng_u64(&r) | kp_rng_u64(&r), 0u);
}

TEST(rng, below_stays_below_and_reaches_all)
{
	kp_rng r = seeded(3);
	std::vector<int> hits(7);
	for (int i = 0; i < 7000; i++) {
		uint64_t x = kp_rng_below(&r, 7);
		ASSERT_LT(x, 7u);
		hits[x]++;
	}
	for (int h : hits)
		EXPECT_NEAR(h, 1000, 150);
	EXPECT_EQ(kp_rng_below(&r, 1), 0u);
	EXPECT_LT(kp_rng_below(&r, UINT64_MAX), UINT64_MAX);
}

TEST(rng, fill_is_the_sequence_in_little_endian)
{
	kp_rng a = seeded(4), b = seeded(4);
	uint8_t bytes[13];
	kp_rng_fill(&a, bytes, sizeof bytes);
	uint64_t x = kp_rng_u64(&b), y = kp_rng_u64(&b);
	for (unsigned i = 0; i < 13; i++)
		EXPECT_EQ(bytes[i], static_cast<uint8_t>((i < 8 ? x : y) >> (8 * (i & 7))));
	EXPECT_EQ(kp_rng_u64(&a), kp_rng_u64(&b));
	kp_rng_fill(&a, nullptr, 0);
}

TEST(rng, unit_interval)
{
	kp_rng r = seeded(5);
	double sum = 0;
	for (int i = 0; i < 10000; i++) {
		double x = kp_rng_unit(&r);
		ASSERT_GE(x, 0.0);
		ASSERT_LT(x, 1.0);
		sum += x;
	}
	EXPECT_NEAR(sum / 10000, 0.5, 0.02);
}

TEST(rng, shuffle_permutes)
{
	kp_rng r = seeded(6);
	std::vector<uint32_t> v(100), sorted;
	for (uint32_t i = 0; i < 100; i++)
		v[i] = i;
	kp_rng_shuffle(&r, v.data(), v.size(), sizeof v[0]);
	EXPECT_FALSE(std::is_sorted(v.begin(), v.end()));
	sorted = v;
	std::sort(sorted.begin(), sorted.end());
	for (uint32_t i = 0; i < 100; i++)
		EXPECT_EQ(sorted[i], i);
	kp_rng_shuffle(&r, v.data(), 1, sizeof v[0]);
	kp_rng_shuffle(&r, v.data(), 0, sizeof v[0]);
}

TEST(rng, jitter_stays_within_its_percent)
{
	kp_rng r = seeded(7);
	kp_time lo = KP_NEVER, hi = 0;
	for (int i = 0; i < 10000; i++) {
		kp_time t = kp_rng_jitter(&r, KP_SEC(4), 25);
		lo = std::min(lo, t);
		hi = std::max(hi, t);
	}
	EXPECT_GE(lo, KP_SEC(3));
	EXPECT_LE(hi, KP_SEC(5));
	EXPECT_LT(lo, KP_MS(3010));
	EXPECT_GT(hi, KP_MS(4990));
	EXPECT_EQ(kp_rng_jitter(&r, KP_NEVER, 25), KP_NEVER);
	EXPECT_EQ(kp_rng_jitter(&r, 100, 0), 100u);
	EXPECT_EQ(kp_rng_jitter(&r, 0, 100), 0u);
	EXPECT_GT(kp_rng_jitter(&r, KP_NEVER - 1, 100), 0u);
}

} // namespace
