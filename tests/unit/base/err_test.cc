#include "base/err.h"

#include <gtest/gtest.h>

namespace
{

TEST(err, codes_are_the_frozen_ones)
{
	EXPECT_EQ(KP_OK, 0);
	EXPECT_EQ(KP_E_INTERNAL, -1);
	EXPECT_EQ(KP_E_AGAIN, -4);
	EXPECT_EQ(KP_E_PROTO, -17);
	EXPECT_EQ(KP_E_PEERID, -22);
}

TEST(err, every_code_has_its_text)
{
	EXPECT_STREQ(kp_err_text(0), "ok");
	EXPECT_STREQ(kp_err_text(KP_E_NOMEM), "out of memory");
	for (int code = -22; code <= 0; code++)
		EXPECT_STRNE(kp_err_text(code), "unknown error");
	EXPECT_STREQ(kp_err_text(-23), "unknown error");
	EXPECT_STREQ(kp_err_text(1), "unknown error");
}

TEST(err, every_reason_has_a_text_and_a_code)
{
	for (int w = 0; w < KP_WHY_COUNT; w++) {
		EXPECT_NE(kp_why_text(static_cast<kp_why>(w)), nullptr);
		EXPECT_LE(kp_why_code(static_cast<kp_why>(w)), 0);
	}
	EXPECT_EQ(kp_why_code(KP_WHY_BAD_NOISE), KP_E_PROTO);
	EXPECT_STREQ(kp_why_text(KP_WHY_IDLE), "idle");
	EXPECT_STREQ(kp_why_text(KP_WHY_COUNT), "unknown reason");
}

} // namespace
