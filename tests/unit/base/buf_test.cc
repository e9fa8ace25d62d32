#include "base/buf.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace
{

TEST(buf, capacity_is_raised_to_its_class)
{
	kp_pool *pool = kp_pool_new(0);
	const struct {
		size_t ask, get;
	} cases[] = {{0, 256},       {1, 256},       {256, 256},     {257, 320},
	             {512, 512},     {513, 640},     {640, 640},     {641, 768},
	             {897, 1024},    {2048, 2048},   {2049, 2560},   {3200, 3584},
	             {16384, 16384}, {16385, 20480}, {57345, 65536}, {65536, 65536},
	             {65537, 69632}, {69632, 69632}, {69633, 69633}, {200001, 200001}};
	for (auto &c : cases) {
		kp_block *b = kp_block_new(pool, c.ask);
		ASSERT_NE(b, nullptr);
		EXPECT_EQ(b->cap, c.get);
		memset(kp_block_bytes(b), 0xee, b->cap);
		EXPECT_EQ(kp_pool_blocks_live(pool), 1u);
		EXPECT_EQ(kp_pool_bytes_live(pool), sizeof(kp_block) + c.get);
		kp_block_unref(b);
		EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
		EXPECT_EQ(kp_pool_bytes_live(pool), 0u);
	}
	kp_pool_close(pool);
}

TEST(buf, no_block_is_more_than_a_quarter_too_large)
{
	size_t last = 0;
	for (size_t n = 256; n < 100000; n++) {
		size_t cap = kp_block_cap(n);
		ASSERT_GE(cap, n);
		ASSERT_LE(cap, n + n / 4) << n;
		ASSERT_GE(cap, last);
		ASSERT_EQ(kp_block_cap(cap), cap); /* so that a recycled block finds its class */
		last = cap;
	}
}

/* What a burst leaves behind is bounded at once, and gone when nobody needs it; what is needed
 * stays. */
TEST(buf, unused_spare_blocks_go_back_to_the_system)
{
	kp_pool *pool = kp_pool_new(0);
	std::vector<kp_block *> blocks;
	for (size_t n : {100, 1000, 3000, 20000, 69632}) {
		for (int i = 0; i < 1000; i++)
			blocks.push_back(kp_block_new(pool, n));
	}
	for (auto *b : blocks)
		kp_block_unref(b);
	uint64_t full = kp_pool_bytes_spare(pool);
	EXPECT_GT(full, 3u << 18);
	EXPECT_LE(full, 1u << 20);
	for (int second = 0; second < 20; second++) {
		kp_block *a = kp_block_new(pool, 3000), *b = kp_block_new(pool, 3000);
		kp_block_unref(a);
		kp_block_unref(b);
		kp_pool_trim(pool);
	}
	EXPECT_EQ(kp_pool_bytes_spare(pool), 2 * kp_block_cap(3000));
	kp_pool_close(pool);
}

TEST(buf, owner_recycles_the_same_block)
{
	kp_pool *pool = kp_pool_new(0);
	kp_block *a = kp_block_new(pool, 1800);
	kp_block_unref(a);
	kp_block *b = kp_block_new(pool, 2000);
	EXPECT_EQ(a, b);
	kp_block_unref(b);
	kp_pool_close(pool);
}

TEST(buf, free_lists_are_bounded)
{
	kp_pool *pool = kp_pool_new(0);
	std::vector<kp_block *> blocks;
	for (int i = 0; i < 2000; i++)
		blocks.push_back(kp_block_new(pool, 16384));
	for (auto *b : blocks)
		kp_block_unref(b);
	EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
	kp_pool_close(pool); /* the leak checker counts the rest */
}

TEST(buf, budget_is_for_live_blocks)
{
	kp_pool *pool = kp_pool_new(100000);
	kp_block *a = kp_block_new(pool, 69632);
	ASSERT_NE(a, nullptr);
	EXPECT_EQ(kp_block_new(pool, 69632), nullptr);
	kp_block *s = kp_block_new(pool, 10);
	EXPECT_NE(s, nullptr);
	kp_block_unref(a);
	/* What is kept for recycling does not count. */
	kp_block *big = kp_block_new(pool, 90000);
	EXPECT_NE(big, nullptr);
	EXPECT_EQ(kp_pool_mem(pool)->refused, 1u);
	kp_block_unref(big);
	kp_block_unref(s);
	EXPECT_EQ(kp_block_new(pool, (size_t)UINT32_MAX + 1), nullptr);
	EXPECT_EQ(kp_block_new(pool, SIZE_MAX), nullptr);
	kp_pool_close(pool);
}

TEST(buf, failure_sweep_fails_recycled_blocks_too)
{
	for (uint64_t at = 1; at <= 4; at++) {
		kp_pool *pool = kp_pool_new(0);
		kp_pool_mem(pool)->fail_at = at;
		for (uint64_t i = 1; i <= 4; i++) {
			kp_block *b = kp_block_new(pool, 100);
			EXPECT_EQ(b == nullptr, i == at);
			kp_block_unref(b);
		}
		EXPECT_EQ(kp_pool_bytes_live(pool), 0u);
		kp_pool_close(pool);
	}
}

TEST(buf, refs)
{
	kp_pool *pool = kp_pool_new(0);
	kp_ref none = kp_ref_none();
	EXPECT_EQ(kp_ref_slice(none).p, nullptr);
	kp_ref_drop(&none);
	EXPECT_EQ(kp_ref_copy(pool, kp_slice_none()).block, nullptr);

	kp_ref r = kp_ref_copy(pool, kp_slice_str("hello"));
	kp_ref part = kp_ref_dup(r);
	part.off = 1;
	part.len = 3;
	EXPECT_EQ(r.block->refs, 2u);
	kp_ref_drop(&r);
	EXPECT_EQ(r.block, nullptr);
	EXPECT_TRUE(kp_slice_eq_str(kp_ref_slice(part), "ell"));
	EXPECT_EQ(kp_pool_blocks_live(pool), 1u);
	kp_ref_drop(&part);
	EXPECT_EQ(kp_pool_blocks_live(pool), 0u);

	kp_pool_mem(pool)->fail_at = kp_pool_mem(pool)->calls + 1;
	EXPECT_EQ(kp_ref_copy(pool, kp_slice_str("x")).block, nullptr);
	kp_pool_close(pool);
}

TEST(buf, pool_outlives_close_until_the_last_block)
{
	kp_pool *pool = kp_pool_new(0);
	kp_block *a = kp_block_new(pool, 10);
	kp_block *b = kp_block_new(pool, 100000);
	kp_pool_close(pool);
	EXPECT_EQ(kp_pool_blocks_live(pool), 2u);
	kp_block_unref(a);
	EXPECT_EQ(kp_pool_blocks_live(pool), 1u);
	std::thread([b] { kp_block_unref(b); }).join();
}

TEST(buf, released_elsewhere_comes_back_at_drain)
{
	kp_pool *pool = kp_pool_new(0);
	kp_block *a = kp_block_new(pool, 10);
	std::thread([a] { kp_block_unref(a); }).join();
	EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
	kp_pool_drain(pool);
	EXPECT_EQ(kp_block_new(pool, 10), a);
	kp_block_unref(a);
	kp_pool_close(pool);
}

TEST(buf, other_threads_never_touch_the_free_lists)
{
	kp_pool *pool = kp_pool_new(0);
	kp_block *a = kp_block_new(pool, 10);
	kp_block_unref(a);
	kp_block *other = nullptr;
	std::thread([&] { other = kp_block_new(pool, 10); }).join();
	EXPECT_NE(other, a);
	kp_block_unref(other);
	kp_pool_close(pool);
}

TEST(buf, ownership_moves_to_the_loop_thread)
{
	kp_pool *pool = kp_pool_new(0);
	kp_block *a = kp_block_new(pool, 10);
	kp_block_unref(a);
	kp_pool_disown(pool);
	kp_block *c = kp_block_new(pool, 10);
	EXPECT_NE(c, a) << "this thread is one of many now";
	kp_block_unref(c);
	std::thread([&] {
		kp_pool_own(pool);
		EXPECT_EQ(kp_block_new(pool, 10), a);
		kp_block_unref(a);
		kp_pool_drain(pool);
		kp_block *b = kp_block_new(pool, 10);
		EXPECT_EQ(b, c) << "given back without an owner, recycled by the next one";
		kp_block_unref(b);
	}).join();
	kp_pool_close(pool);
}

TEST(buf, returns_are_bounded_without_drain)
{
	kp_pool *pool = kp_pool_new(0);
	std::thread([&] {
		for (int i = 0; i < 5000; i++)
			kp_block_unref(kp_block_new(pool, 60000));
	}).join();
	kp_pool_drain(pool);
	kp_pool_close(pool);
}

/* Owner allocates and drains; others take over counts, allocate and release. */
TEST(buf, stress_from_several_threads)
{
	kp_pool *pool = kp_pool_new(64 << 20);
	std::mutex lock;
	std::vector<kp_block *> shared;
	std::atomic<bool> stop{false};
	std::vector<std::thread> threads;
	for (int t = 0; t < 3; t++)
		threads.emplace_back([&] {
			while (!stop.load()) {
				kp_block *own = kp_block_new(pool, 3000);
				if (own != nullptr)
					memset(kp_block_bytes(own), 1, 3000);
				kp_block *b = nullptr;
				{
					std::lock_guard<std::mutex> guard(lock);
					if (!shared.empty()) {
						b = shared.back();
						shared.pop_back();
					}
				}
				if (b != nullptr) {
					kp_block_ref(b);
					kp_block_unref(b);
					kp_block_unref(b);
				}
				kp_block_unref(own);
			}
		});
	for (int i = 0; i < 20000; i++) {
		kp_block *b = kp_block_new(pool, static_cast<size_t>(i % 5000));
		if (b != nullptr) {
			std::lock_guard<std::mutex> guard(lock);
			shared.push_back(b);
		}
		if (i % 64 == 0)
			kp_pool_drain(pool);
	}
	stop = true;
	for (auto &t : threads)
		t.join();
	for (auto *b : shared)
		kp_block_unref(b);
	EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
	EXPECT_EQ(kp_pool_bytes_live(pool), 0u);
	kp_pool_close(pool);
}

/* The last releases race with the closing of the pool. */
TEST(buf, close_races_with_releases)
{
	for (int round = 0; round < 200; round++) {
		kp_pool *pool = kp_pool_new(0);
		std::vector<kp_block *> blocks[2];
		for (int i = 0; i < 20; i++)
			blocks[i % 2].push_back(kp_block_new(pool, 100));
		std::atomic<int> ready{0};
		std::thread threads[2];
		for (int t = 0; t < 2; t++)
			threads[t] = std::thread([&, t] {
				ready++;
				while (ready.load() < 3)
					;
				for (auto *b : blocks[t])
					kp_block_unref(b);
			});
		ready++;
		while (ready.load() < 3)
			;
		kp_pool_close(pool);
		for (auto &t : threads)
			t.join();
	}
}

#if defined(__SANITIZE_ADDRESS__)
#define TEST_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_POISON 1
#endif
#endif

#ifdef TEST_POISON
TEST(bufDeathTest, a_recycled_block_is_poisoned)
{
	kp_pool *pool = kp_pool_new(0);
	kp_block *b = kp_block_new(pool, 100);
	uint8_t *p = kp_block_bytes(b);
	kp_block_unref(b);
	EXPECT_DEATH(p[0] = 1, "use-after-poison");
	kp_pool_close(pool);
}
#endif

TEST(bufDeathTest, one_release_too_many)
{
	kp_pool *pool = kp_pool_new(0);
	kp_block *b = kp_block_new(pool, 100);
	kp_block_unref(b);
	EXPECT_DEATH(kp_block_unref(b), "bug at");
	kp_pool_close(pool);
}

} // namespace
