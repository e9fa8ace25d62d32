#include "base/siphash.h"

#include <gtest/gtest.h>

namespace
{

/* SipHash-2-4 of the paper: key 00..0f, message 00..0e. */
TEST(siphash, paper_vector_2_4)
{
	uint8_t key[16], msg[15];
	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		msg[i] = i;
	kp_siphash h;
	kp_siphash_init(&h, key, 2, 4);
	kp_siphash_update(&h, msg, sizeof msg);
	EXPECT_EQ(kp_siphash_final(&h), 0xa129ca6149be45e5ull);
}

/* CPython 3.11 and Rust's DefaultHasher agree on the empty input under the zero key. */
TEST(siphash, empty_1_3_under_the_zero_key)
{
	const uint8_t key[16] = {0};
	EXPECT_EQ(kp_siphash13(key, "", 0), 0xd1fba762150c532cull);
}

TEST(siphash, any_cut_gives_the_same)
{
	uint8_t key[16] = {5}, msg[64];
	for (uint8_t i = 0; i < 64; i++)
		msg[i] = static_cast<uint8_t>(i * 3);
	for (size_t n = 0; n <= 64; n++) {
		uint64_t whole = kp_siphash13(key, msg, n);
		for (size_t cut = 0; cut <= n; cut++) {
			kp_siphash h;
			kp_siphash_init(&h, key, 1, 3);
			kp_siphash_update(&h, msg, cut);
			kp_siphash_update(&h, msg + cut, n - cut);
			ASSERT_EQ(kp_siphash_final(&h), whole);
		}
		kp_siphash h;
		kp_siphash_init(&h, key, 1, 3);
		for (size_t i = 0; i < n; i++)
			kp_siphash_update(&h, msg + i, 1);
		ASSERT_EQ(kp_siphash_final(&h), whole);
	}
}

} // namespace
