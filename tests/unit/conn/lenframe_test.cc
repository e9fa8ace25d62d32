/* Length-delimited reassembly. */
#include "conn/lenframe.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace
{

std::string framed(const std::string &body)
{
	std::string s;
	size_t n = body.size();
	while (n >= 0x80) {
		s += static_cast<char>(0x80 | (n & 0x7f));
		n >>= 7;
	}
	s += static_cast<char>(n);
	return s + body;
}

class lenframe : public ::testing::Test
{
      protected:
	kp_pool *pool = kp_pool_new(0);
	kp_lenframe f{};

	~lenframe() override
	{
		kp_lenframe_fini(&f);
		EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
		kp_pool_close(pool);
	}

	/* One feed; a complete frame is appended to got. */
	kp_err step(kp_slice *in, uint32_t max, std::vector<std::string> *got)
	{
		kp_ref r;
		kp_err err = kp_lenframe_feed(&f, pool, max, in, &r);
		if (err == KP_OK) {
			kp_slice s = kp_ref_slice(r);
			got->push_back(
			        s.n == 0 ? std::string()
			                 : std::string(reinterpret_cast<const char *>(s.p), s.n));
		} else {
			EXPECT_EQ(r.block, nullptr);
		}
		kp_ref_drop(&r);
		return err;
	}

	/* Everything; returns the last answer. */
	kp_err all(const std::string &bytes, uint32_t max, std::vector<std::string> *got,
	           unsigned *too_big = nullptr)
	{
		kp_slice in = kp_slice_of(bytes.data(), bytes.size());
		kp_err err;
		do {
			err = step(&in, max, got);
			if (err == KP_E_TOOBIG && too_big != nullptr)
				(*too_big)++;
		} while (err == KP_OK || err == KP_E_TOOBIG);
		return err;
	}
};

TEST_F(lenframe, frames_one_by_one)
{
	std::vector<std::string> got;
	EXPECT_EQ(all(framed("one") + framed("") + framed(std::string(300, 'x')), 1000, &got),
	          KP_E_AGAIN);
	ASSERT_EQ(got.size(), 3u);
	EXPECT_EQ(got[0], "one");
	EXPECT_EQ(got[1], "");
	EXPECT_EQ(got[2], std::string(300, 'x'));
	EXPECT_TRUE(kp_lenframe_idle(&f));
}

TEST_F(lenframe, empty_frame_is_a_ref_without_a_block)
{
	kp_slice in = kp_slice_of("\0", 1);
	kp_ref r;
	EXPECT_EQ(kp_lenframe_feed(&f, pool, 0, &in, &r), KP_OK);
	EXPECT_EQ(r.block, nullptr);
	EXPECT_EQ(in.n, 0u);
}

TEST_F(lenframe, limit_is_judged_before_memory)
{
	std::vector<std::string> got;
	EXPECT_EQ(all(framed(std::string(100, 'x')), 100, &got), KP_E_AGAIN);
	EXPECT_EQ(got.size(), 1u);
	std::string big = "\xff\xff\xff\xff\x0f"; /* 4 GiB */
	kp_slice in = kp_slice_of(big.data(), big.size());
	EXPECT_EQ(step(&in, 100, &got), KP_E_PROTO);
	EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
}

TEST_F(lenframe, nothing_is_allocated_for_a_length_alone)
{
	std::vector<std::string> got;
	EXPECT_EQ(all("\xff\xff\x3f", 1u << 20, &got), KP_E_AGAIN);
	EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
	EXPECT_FALSE(kp_lenframe_idle(&f));
	EXPECT_EQ(all("x", 1u << 20, &got), KP_E_AGAIN);
	EXPECT_FALSE(kp_lenframe_idle(&f)) << "in the body";
}

TEST_F(lenframe, bad_lengths)
{
	const std::string rows[] = {
	        std::string("\x80\x00", 2),                 /* not minimal */
	        std::string("\xff\x00", 2),                 /* not minimal */
	        "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", /* 10 bytes */
	        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", /* longer */
	        "\xff\xff\xff\xff\xff\xff\xff\xff\x7f",     /* 2^63 - 1: above any max */
	};
	for (const auto &r : rows) {
		std::vector<std::string> got;
		EXPECT_EQ(all(r, UINT32_MAX, &got), KP_E_PROTO);
		kp_lenframe_fini(&f);
	}
}

TEST_F(lenframe, skips_what_is_too_big_and_keeps_the_stream)
{
	std::vector<std::string> got;
	unsigned too_big = 0;
	f.skip_big = true;
	std::string in = framed("a") + framed(std::string(101, 'x')) + framed("b") +
	                 framed(std::string(5000, 'y')) + framed(std::string(200, 'z')) +
	                 framed("c");
	EXPECT_EQ(all(in, 100, &got, &too_big), KP_E_AGAIN);
	EXPECT_EQ(too_big, 3u);
	EXPECT_EQ(got, (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(lenframe, memory_limit_then_retry_or_skip)
{
	kp_pool *small = kp_pool_new(1);
	std::string bytes = framed("first") + framed("second");
	kp_slice in = kp_slice_of(bytes.data(), bytes.size());
	kp_ref r;
	EXPECT_EQ(kp_lenframe_feed(&f, small, 100, &in, &r), KP_E_LIMIT);
	EXPECT_EQ(kp_lenframe_feed(&f, small, 100, &in, &r), KP_E_LIMIT);
	EXPECT_EQ(in.n, bytes.size() - 1);
	kp_lenframe_skip(&f);
	EXPECT_EQ(kp_lenframe_feed(&f, small, 100, &in, &r), KP_E_LIMIT); /* the second one */
	std::vector<std::string> got;
	EXPECT_EQ(step(&in, 100, &got), KP_OK);
	EXPECT_EQ(got, (std::vector<std::string>{"second"}));
	kp_pool_close(small);
}

TEST_F(lenframe, split_invariance)
{
	std::string in = framed(std::string(1, 'a')) + framed("") + framed(std::string(127, 'b')) +
	                 framed(std::string(128, 'c')) + framed(std::string(20000, 'd')) +
	                 framed(std::string(70000, 'e')) + framed("end");
	for (bool skip : {false, true}) {
		f.skip_big = skip;
		std::vector<std::string> whole;
		unsigned whole_big = 0;
		uint32_t max = skip ? 10000 : 100000;
		all(in, max, &whole, &whole_big);
		EXPECT_EQ(whole.size(), skip ? 5u : 7u);
		std::mt19937 rnd(3);
		for (int round = 0; round < 20; round++) {
			std::vector<std::string> got;
			unsigned big = 0;
			for (size_t at = 0; at < in.size();) {
				size_t n = round == 0 ? 1 : 1 + rnd() % (1u << (rnd() % 15));
				ASSERT_EQ(all(in.substr(at, n), max, &got, &big), KP_E_AGAIN);
				at += n;
			}
			ASSERT_EQ(got, whole);
			ASSERT_EQ(big, whole_big);
		}
	}
}

} // namespace
