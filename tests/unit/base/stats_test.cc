#include "base/stats.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace
{

TEST(stats, names_are_unique_and_follow_the_enum)
{
	std::set<std::string> names;
	for (int i = 0; i < KP_STAT_COUNT; i++)
		EXPECT_TRUE(names.insert(kp_stat_name(static_cast<kp_stat>(i))).second);
	EXPECT_STREQ(kp_stat_name(KP_STAT_bytes_in), "bytes_in");
}

TEST(stats, add)
{
	kp_stats s = {};
	kp_stat_add(&s, KP_STAT_received, 3);
	kp_stat_add(&s, KP_STAT_received, 4);
	EXPECT_EQ(s.v[KP_STAT_received], 7u);
}

} // namespace
