#include "base/ratelim.h"

#include <gtest/gtest.h>

namespace
{

TEST(ratelim, burst_then_one_per_period)
{
	kp_ratelim r;
	kp_ratelim_init(&r, KP_SEC(1), 3, KP_MS(100));
	EXPECT_TRUE(kp_ratelim_take(&r, KP_SEC(1), 2));
	EXPECT_FALSE(kp_ratelim_take(&r, KP_SEC(1), 2)); /* takes nothing */
	EXPECT_TRUE(kp_ratelim_take(&r, KP_SEC(1), 1));
	EXPECT_FALSE(kp_ratelim_take(&r, KP_SEC(1) + KP_MS(100) - 1, 1));
	EXPECT_TRUE(kp_ratelim_take(&r, KP_SEC(1) + KP_MS(100), 1));
	EXPECT_FALSE(kp_ratelim_take(&r, KP_SEC(1) + KP_MS(199), 1));
	EXPECT_TRUE(kp_ratelim_take(&r, KP_SEC(1) + KP_MS(200), 1));
}

TEST(ratelim, never_holds_more_than_the_burst)
{
	kp_ratelim r;
	kp_ratelim_init(&r, 0, 3, 10);
	EXPECT_TRUE(kp_ratelim_take(&r, KP_SEC(1000), 3));
	EXPECT_FALSE(kp_ratelim_take(&r, KP_SEC(1000), 1));
	EXPECT_FALSE(kp_ratelim_take(&r, KP_SEC(1000) + 9, 1));
	EXPECT_TRUE(kp_ratelim_take(&r, KP_SEC(1000) + 10, 1));
	EXPECT_FALSE(kp_ratelim_take(&r, KP_SEC(2000), 4));
	EXPECT_TRUE(kp_ratelim_take(&r, KP_SEC(2000), 0));
}

TEST(ratelim, extremes_do_not_wrap)
{
	kp_ratelim r;
	kp_ratelim_init(&r, 0, UINT64_MAX, 1);
	EXPECT_TRUE(kp_ratelim_take(&r, 0, UINT64_MAX));
	EXPECT_TRUE(kp_ratelim_take(&r, KP_NEVER - 1, UINT64_MAX - 1));
	kp_ratelim_init(&r, 5, 1, KP_NEVER); /* never refills */
	EXPECT_TRUE(kp_ratelim_take(&r, 5, 1));
	EXPECT_FALSE(kp_ratelim_take(&r, KP_NEVER - 1, 1));
	EXPECT_FALSE(kp_ratelim_take(&r, 0, 1)); /* time that stands still refills nothing */
}

} // namespace
