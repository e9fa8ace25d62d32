#include "base/mem.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace
{

TEST(mem, zeroed_aligned_and_accounted)
{
	kp_mem m;
	kp_mem_init(&m, 0);
	auto *p = static_cast<uint8_t *>(kp_mem_alloc(&m, 100));
	ASSERT_NE(p, nullptr);
	EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % alignof(max_align_t), 0u);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(p[i], 0);
	EXPECT_GE(m.bytes, 100u);
	uint64_t one = m.bytes;
	void *q = kp_mem_alloc(&m, 0);
	EXPECT_NE(q, nullptr);
	kp_mem_free(&m, q);
	kp_mem_free(&m, nullptr);
	EXPECT_EQ(m.bytes, one);
	kp_mem_free(&m, p);
	EXPECT_EQ(m.bytes, 0u);
	EXPECT_EQ(m.calls, 2u);
	EXPECT_GT(m.peak, one);
}

TEST(mem, grow_keeps_contents_and_zeroes_the_rest)
{
	kp_mem m;
	kp_mem_init(&m, 0);
	auto *p = static_cast<uint8_t *>(kp_mem_grow(&m, nullptr, 10));
	memset(p, 0xaa, 10);
	p = static_cast<uint8_t *>(kp_mem_grow(&m, p, 1000));
	for (int i = 0; i < 1000; i++)
		ASSERT_EQ(p[i], i < 10 ? 0xaa : 0);
	uint64_t big = m.bytes;
	p = static_cast<uint8_t *>(kp_mem_grow(&m, p, 5));
	EXPECT_EQ(m.bytes, big - 995);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(p[i], 0xaa);
	kp_mem_free(&m, p);
	EXPECT_EQ(m.bytes, 0u);
}

TEST(mem, budget_refuses_and_leaves_accounts_whole)
{
	kp_mem m;
	kp_mem_init(&m, 1000);
	void *p = kp_mem_alloc(&m, 600);
	ASSERT_NE(p, nullptr);
	EXPECT_EQ(kp_mem_alloc(&m, 600), nullptr);
	EXPECT_EQ(kp_mem_grow(&m, p, 1200), nullptr);
	EXPECT_EQ(m.refused, 2u);
	kp_mem_free(&m, p);
	EXPECT_EQ(m.bytes, 0u);
	p = kp_mem_alloc(&m, 900);
	EXPECT_NE(p, nullptr);
	kp_mem_free(&m, p);
}

TEST(mem, sizes_that_would_wrap_are_refused)
{
	kp_mem m;
	kp_mem_init(&m, 0);
	EXPECT_EQ(kp_mem_alloc(&m, SIZE_MAX), nullptr);
	EXPECT_EQ(kp_mem_alloc(&m, SIZE_MAX - 8), nullptr);
	void *p = kp_mem_alloc(&m, 8);
	EXPECT_EQ(kp_mem_grow(&m, p, SIZE_MAX), nullptr);
	kp_mem_free(&m, p);
	EXPECT_EQ(m.bytes, 0u);
}

TEST(mem, fails_exactly_at_the_given_call)
{
	for (uint64_t at = 1; at <= 5; at++) {
		kp_mem m;
		kp_mem_init(&m, 0);
		m.fail_at = at;
		void *p[5];
		for (uint64_t i = 0; i < 5; i++) {
			p[i] = kp_mem_alloc(&m, 8);
			EXPECT_EQ(p[i] == nullptr, i + 1 == at);
		}
		EXPECT_EQ(m.refused, 1u);
		for (void *q : p)
			kp_mem_free(&m, q);
		EXPECT_EQ(m.bytes, 0u);
	}
}

TEST(mem, fails_at_every_nth_call_from_there)
{
	kp_mem m;
	kp_mem_init(&m, 0);
	m.fail_at = 2;
	m.fail_every = 3;
	for (uint64_t call = 1; call <= 12; call++) {
		void *p = kp_mem_alloc(&m, 8);
		EXPECT_EQ(p == nullptr, call % 3 == 2) << call;
		kp_mem_free(&m, p);
	}
	EXPECT_EQ(m.refused, 4u);
}

TEST(mem, charge_without_allocation)
{
	kp_mem m;
	kp_mem_init(&m, 100);
	EXPECT_TRUE(kp_mem_charge(&m, 100));
	EXPECT_FALSE(kp_mem_charge(&m, 1));
	kp_mem_refund(&m, 100);
	EXPECT_EQ(m.bytes, 0u);
	EXPECT_EQ(m.peak, 100u);
}

TEST(mem, wipe_clears)
{
	uint8_t secret[33];
	memset(secret, 7, sizeof secret);
	kp_mem_wipe(secret, 32);
	for (int i = 0; i < 32; i++)
		EXPECT_EQ(secret[i], 0);
	EXPECT_EQ(secret[32], 7);
	kp_mem_wipe(nullptr, 0);
}

TEST(mem, threads_share_one_account)
{
	kp_mem m;
	kp_mem_init(&m, 0);
	std::vector<std::thread> threads;
	for (int t = 0; t < 4; t++)
		threads.emplace_back([&m] {
			for (size_t i = 0; i < 2000; i++)
				kp_mem_free(&m, kp_mem_alloc(&m, i));
		});
	for (auto &t : threads)
		t.join();
	EXPECT_EQ(m.bytes, 0u);
	EXPECT_EQ(m.calls, 8000u);
}

TEST(memDeathTest, double_free_is_caught)
{
	kp_mem m;
	kp_mem_init(&m, 0);
	void *p = kp_mem_alloc(&m, 8);
	kp_mem_free(&m, p);
	EXPECT_DEATH(kp_mem_free(&m, p), "");
}

} // namespace
