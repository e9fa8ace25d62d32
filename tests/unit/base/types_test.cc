#include "base/list.h"
#include "base/slice.h"
#include "base/types.h"

#include <gtest/gtest.h>

#include <vector>

namespace
{

TEST(types, time_saturates)
{
	EXPECT_EQ(kp_time_add(KP_NEVER, 1), KP_NEVER);
	EXPECT_EQ(kp_time_add(KP_NEVER - 1, 1), KP_NEVER);
	EXPECT_EQ(kp_time_add(1, 2), 3u);
	EXPECT_EQ(kp_time_sub(1, 2), 0u);
	EXPECT_EQ(KP_SEC(2), 2000000000u);
}

TEST(types, ids)
{
	kp_id a = {1, 1}, b = {1, 2}, none = {0, 0};
	EXPECT_TRUE(kp_id_eq(a, a));
	EXPECT_FALSE(kp_id_eq(a, b));
	EXPECT_TRUE(kp_id_none(none));
}

TEST(typesDeathTest, assert_says_where)
{
	EXPECT_DEATH(KP_ASSERT(1 == 2), "bug at .*types_test.cc:[0-9]+: 1 == 2");
}

TEST(slice, writer_counts_and_stops_at_the_end)
{
	uint8_t buf[4];
	kp_writer w = kp_writer_of(buf, sizeof buf);
	kp_write_str(&w, "abc");
	EXPECT_FALSE(w.full);
	kp_write_str(&w, "de");
	EXPECT_TRUE(w.full);
	kp_write_u8(&w, 'x'); /* would fit, but nothing follows a gap */
	EXPECT_EQ(w.n, 3u);
	kp_writer count = kp_writer_of(nullptr, 0);
	kp_write_str(&count, "abcde");
	EXPECT_EQ(count.n, 5u);
	EXPECT_FALSE(count.full);
}

TEST(slice, take_and_compare)
{
	kp_slice s = kp_slice_str("hello");
	EXPECT_TRUE(kp_slice_eq_str(kp_slice_take(&s, 2), "he"));
	EXPECT_TRUE(kp_slice_eq_str(s, "llo"));
	EXPECT_TRUE(kp_slice_eq(kp_slice_none(), kp_slice_str("")));
}

TEST(list, push_pop_each)
{
	kp_list head, n[4];
	kp_list_init(&head);
	EXPECT_EQ(kp_list_pop(&head), nullptr);
	for (auto &x : n) {
		kp_list_init(&x);
		kp_list_push(&head, &x);
	}
	std::vector<kp_list *> seen;
	KP_LIST_EACH(it, tmp, &head)
	{
		seen.push_back(it);
		if (it == &n[1])
			kp_list_del(it);
	}
	EXPECT_EQ(seen, (std::vector<kp_list *>{&n[0], &n[1], &n[2], &n[3]}));
	EXPECT_FALSE(kp_list_linked(&n[1]));
	kp_list_push_front(&head, &n[1]);
	EXPECT_EQ(kp_list_pop(&head), &n[1]);
	EXPECT_EQ(kp_list_take(&head), &n[0]);
}

} // namespace
