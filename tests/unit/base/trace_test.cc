#include "base/trace.h"

#include <gtest/gtest.h>

#include <vector>

namespace
{

struct seen {
	kp_trace_point point;
	uint64_t a, b, c;
};

void sink(void *ctx, kp_trace_point point, uint64_t a, uint64_t b, uint64_t c)
{
	static_cast<std::vector<seen> *>(ctx)->push_back({point, a, b, c});
}

TEST(trace, hash_depends_on_point_integers_and_order)
{
	auto run = [](std::vector<seen> points) {
		kp_trace t;
		kp_trace_init(&t);
		for (auto &p : points)
			kp_trace_emit(&t, p.point, p.a, p.b, p.c);
		EXPECT_EQ(t.count, points.size());
		return t.hash;
	};
	seen x = {KP_TRACE_CONN_NEW, 1, 2, 3}, y = {KP_TRACE_DIAL, 1, 2, 3};
	EXPECT_EQ(run({x, y}), run({x, y}));
	EXPECT_NE(run({x, y}), run({y, x}));
	EXPECT_NE(run({x}), run({y}));
	EXPECT_NE(run({x}), run({{KP_TRACE_CONN_NEW, 1, 3, 2}}));
	EXPECT_NE(run({x}), run({{KP_TRACE_CONN_NEW, 1, 2, 4}}));
	EXPECT_NE(run({}), run({{KP_TRACE_CONN_NEW, 0, 0, 0}}));
}

TEST(trace, sink_gets_what_its_level_asks_for)
{
	std::vector<seen> got;
	kp_trace t;
	kp_trace_init(&t);
	kp_trace_emit(&t, KP_TRACE_CONN_OPEN, 1, 2, 0); /* no sink */
	t.sink = sink;
	t.sink_ctx = &got;
	t.level = KP_LEVEL_INFO;
	kp_trace_emit(&t, KP_TRACE_CONN_OPEN, 7, 8, 9);
	kp_trace_emit(&t, KP_TRACE_CONN_NEW, 7, 8, 9); /* debug */
	ASSERT_EQ(got.size(), 1u);
	EXPECT_EQ(got[0].point, KP_TRACE_CONN_OPEN);
	EXPECT_EQ(got[0].c, 9u);
	EXPECT_EQ(t.count, 3u);
}

TEST(trace, points_have_texts_and_levels)
{
	for (int p = 0; p < KP_TRACE_COUNT; p++) {
		EXPECT_NE(kp_trace_text(static_cast<kp_trace_point>(p)), nullptr);
		EXPECT_LE(kp_trace_level(static_cast<kp_trace_point>(p)), KP_LEVEL_DEBUG);
	}
	EXPECT_STREQ(kp_trace_text(KP_TRACE_COUNT), "unknown trace point");
}

} // namespace
