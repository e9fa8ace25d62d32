/* Events and outgoing messages: what they hold, cut and charge. */
#include <gtest/gtest.h>

#include <string>

#include "svc/pub.h"

TEST(event, holds_fields_and_payload)
{
	kp_pool *pool = kp_pool_new(0);
	kp_ref ref = kp_ref_copy(pool, kp_slice_str("..payload.."));
	kp_event *ev = kp_event_new(pool, KP_EV_MESSAGE, 9);
	kp_event_copy(ev, KP_F_TOPIC, kp_slice_str("topic"));
	kp_event_copy(ev, KP_F_ID, kp_slice_str("123456")); /* cut at the room left */
	kp_event_copy(ev, KP_F_FROM, kp_slice_none());
	kp_slice all = kp_ref_slice(ref);
	kp_event_hold(ev, KP_F_PAYLOAD, ref, kp_slice_of(all.p + 2, 7));
	EXPECT_TRUE(kp_slice_eq_str(ev->f[KP_F_TOPIC], "topic"));
	EXPECT_TRUE(kp_slice_eq_str(ev->f[KP_F_ID], "1234"));
	EXPECT_EQ(ev->f[KP_F_FROM].p, nullptr);
	EXPECT_TRUE(kp_slice_eq_str(ev->f[KP_F_PAYLOAD], "payload"));
	EXPECT_EQ(kp_event_bytes(ev), kp_pool_bytes_live(pool));
	kp_event_free(ev);
	kp_event_free(nullptr);
	EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
	kp_pool_close(pool);
}

TEST(event, an_empty_payload_is_present)
{
	kp_pool *pool = kp_pool_new(0);
	kp_event *ev = kp_event_new(pool, KP_EV_MESSAGE, 0);
	kp_event_hold(ev, KP_F_PAYLOAD, kp_ref_none(), kp_slice_none());
	EXPECT_NE(ev->f[KP_F_PAYLOAD].p, nullptr);
	EXPECT_EQ(ev->f[KP_F_PAYLOAD].n, 0u);
	kp_event_free(ev);
	kp_pool_close(pool);
}

TEST(pub, copies_once_and_reserves_its_fate)
{
	kp_pool *pool = kp_pool_new(0);
	std::string data(70000, 'x');
	kp_pub *p = kp_pub_new(pool, kp_slice_str("t"), kp_slice_of(data.data(), data.size()), 5);
	ASSERT_NE(p, nullptr);
	EXPECT_TRUE(kp_slice_eq(kp_pub_data(p), kp_slice_of(data.data(), data.size())));
	EXPECT_TRUE(kp_slice_eq_str(p->topic, "t"));
	ASSERT_NE(p->done, nullptr);
	EXPECT_EQ(p->done->token, 5);
	EXPECT_GE(p->data_off, sizeof *p + 1 + KP_PUB_HEADROOM);
	EXPECT_GE(p->block->cap - p->data_off - p->data_n, KP_PUB_TAILROOM + 1);
	kp_pub_free(p);
	p = kp_pub_new(pool, kp_slice_str("t"), kp_slice_str(""), 0);
	EXPECT_EQ(p->done, nullptr);
	kp_pub_free(p);
	kp_pub_free(nullptr);
	EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
	kp_pool_close(pool);
}

TEST(pub, refuses_within_a_budget)
{
	kp_pool *pool = kp_pool_new(20000);
	std::string data(30000, 'x');
	EXPECT_EQ(kp_pub_new(pool, kp_slice_str("t"), kp_slice_of(data.data(), data.size()), 5),
	          nullptr);
	/* room for the message, not for its fate as well */
	kp_pool_mem(pool)->fail_at = kp_pool_mem(pool)->calls + 2;
	EXPECT_EQ(kp_pub_new(pool, kp_slice_str("t"), kp_slice_str("d"), 5), nullptr);
	EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
	kp_pool_close(pool);
}
