/* Defaults of mission.md, and the relations that are checked. */
#include <gtest/gtest.h>

#include "svc/gossipsub/params.h"

TEST(params, defaults_are_karaks)
{
	kp_gs_params p = kp_gs_params_default();
	EXPECT_EQ(kp_gs_params_check(&p), nullptr);
	EXPECT_EQ(p.heartbeat_ns, KP_SEC(1));
	EXPECT_EQ(p.d, 6u);
	EXPECT_EQ(p.d_low, 2u);
	EXPECT_EQ(p.d_high, 12u);
	EXPECT_EQ(p.d_out, 2u);
	EXPECT_EQ(p.history_length, 10u);
	EXPECT_EQ(p.history_gossip, 3u);
	EXPECT_TRUE(p.flood_publish);
	EXPECT_EQ(p.max_message_size, 65536u);
	EXPECT_EQ(p.seen_ttl_ns, KP_SEC(60));
}

TEST(params, broken_relations_are_named)
{
	const kp_gs_params good = kp_gs_params_default();
#define BROKEN(member, value)                                                                      \
	do {                                                                                       \
		kp_gs_params p = good;                                                             \
		p.member = (value);                                                                \
		EXPECT_NE(kp_gs_params_check(&p), nullptr) << #member;                             \
	} while (0)
	BROKEN(d_out, 3);
	BROKEN(d_low, 7);
	BROKEN(d, 13);
	BROKEN(d_high, 5);
	BROKEN(d_score, 7);
	BROKEN(gossip_factor, 1.5);
	BROKEN(history_length, 0);
	BROKEN(history_length, 129);
	BROKEN(history_gossip, 11);
	BROKEN(heartbeat_ns, 0);
	BROKEN(max_message_size, 0);
	BROKEN(max_message_size, 4u << 20); /* the byte caps must grow with it */
	BROKEN(send_own_bytes, 1000);
	BROKEN(publish_hold_bytes, 1000);
	BROKEN(verify_max, 0);
	kp_gs_params p = good;
	p.signature = KP_SIG_STRICT_NO_SIGN;
	EXPECT_EQ(kp_gs_params_check(&p), nullptr);
	p.message_id = KP_MSGID_SOURCE_SEQNO;
	EXPECT_NE(kp_gs_params_check(&p), nullptr);
}
