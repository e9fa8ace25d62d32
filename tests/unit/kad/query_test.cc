/* core/svc/kad/query.c: go's order, phases and end, as a pure machine. */
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "svc/fake_svc.h"
#include "svc/kad/query.h"

namespace
{

/* Peers whose distance to the target 0 is their number. */
class QueryTest : public ::testing::Test
{
      protected:
	kp_mem mem = {};
	kp_kad_query q = {};

	QueryTest()
	{
		kp_mem_init(&mem, 0);
		start(4, 3, 2);
	}
	~QueryTest() override
	{
		kp_kad_query_fini(&q);
		EXPECT_EQ(mem.bytes, 0u);
	}
	void start(unsigned k, unsigned alpha, unsigned beta)
	{
		kp_kad_key target = {};
		kp_kad_query_fini(&q);
		kp_kad_query_init(&q, &mem, &target, k, alpha, beta);
	}
	kp_kad_cand *hear(uint32_t n)
	{
		kp_kad_key key = {};
		kp_peer_id id = fake_peer(n);
		for (int i = 0; i < 4; i++)
			key.b[31 - i] = static_cast<uint8_t>(n >> 8 * i);
		return kp_kad_query_hear(&q, &id, &key);
	}
	static int number(const kp_kad_cand *c)
	{
		if (c == nullptr)
			return -1;
		return c->key.b[31] | c->key.b[30] << 8 | c->key.b[29] << 16;
	}
	int next()
	{
		return number(kp_kad_query_next(&q));
	}
	std::vector<int> result(size_t max)
	{
		kp_peer_id ids[64];
		size_t n = kp_kad_query_result(&q, ids, max);
		std::vector<int> out;
		for (size_t i = 0; i < n; i++)
			for (uint32_t j = 0; j < q.n; j++)
				if (kp_peer_id_eq(&q.known[j]->peer, &ids[i]))
					out.push_back(number(q.known[j]));
		return out;
	}
};

TEST_F(QueryTest, asks_nearest_first_alpha_at_once)
{
	for (uint32_t n : {50, 10, 30, 20, 40})
		hear(n);
	EXPECT_EQ(next(), 10);
	EXPECT_EQ(next(), 20);
	EXPECT_EQ(next(), 30);
	EXPECT_EQ(next(), -1);
	hear(5);
	EXPECT_EQ(next(), -1); /* three are waiting */
	kp_kad_query_answered(&q, hear(10));
	EXPECT_EQ(next(), 5);
	EXPECT_EQ(q.requests, 4u);
	EXPECT_FALSE(kp_kad_query_over(&q));
}

TEST_F(QueryTest, ends_search_when_the_beta_nearest_have_answered_then_follows_up)
{
	for (uint32_t n : {1, 2, 3, 4, 5, 6})
		hear(n);
	EXPECT_EQ(next(), 1);
	EXPECT_EQ(next(), 2);
	EXPECT_EQ(next(), 3);
	kp_kad_query_answered(&q, hear(1));
	EXPECT_EQ(next(), 4);
	kp_kad_query_answered(&q, hear(2));
	EXPECT_FALSE(kp_kad_query_over(&q));
	EXPECT_TRUE(q.follow_up);
	EXPECT_EQ(next(), -1); /* 5 is not among the k = 4 nearest */
	kp_kad_query_failed(&q, hear(3));
	EXPECT_EQ(next(), 5); /* now it is */
	kp_kad_query_answered(&q, hear(4));
	EXPECT_FALSE(kp_kad_query_over(&q));
	kp_kad_query_answered(&q, hear(5));
	EXPECT_TRUE(kp_kad_query_over(&q));
	EXPECT_EQ(next(), -1);
	EXPECT_EQ(result(4), (std::vector<int>{1, 2, 4, 5}));
	EXPECT_EQ(result(2), (std::vector<int>{1, 2}));
}

TEST_F(QueryTest, nearer_peers_heard_in_the_follow_up_are_asked)
{
	for (uint32_t n : {10, 11, 12, 13})
		hear(n);
	for (int i = 0; i < 3; i++)
		next();
	kp_kad_query_answered(&q, hear(10));
	kp_kad_query_answered(&q, hear(11));
	EXPECT_FALSE(kp_kad_query_over(&q));
	hear(9);
	EXPECT_EQ(next(), 9);
	kp_kad_query_answered(&q, hear(9));
	kp_kad_query_answered(&q, hear(12)); /* 13 is fifth now */
	EXPECT_TRUE(kp_kad_query_over(&q));
}

TEST_F(QueryTest, a_waiting_one_beyond_k_does_not_hold_up_the_end)
{
	start(2, 5, 2);
	for (uint32_t n : {1, 2, 3})
		hear(n);
	for (int i = 0; i < 3; i++)
		next();
	kp_kad_query_answered(&q, hear(1));
	EXPECT_FALSE(kp_kad_query_over(&q));
	kp_kad_query_answered(&q, hear(2));
	EXPECT_TRUE(kp_kad_query_over(&q));
}

TEST_F(QueryTest, starvation)
{
	EXPECT_TRUE(kp_kad_query_over(&q));
	hear(1);
	EXPECT_FALSE(kp_kad_query_over(&q));
	EXPECT_EQ(next(), 1);
	EXPECT_FALSE(kp_kad_query_over(&q));
	kp_kad_query_failed(&q, hear(1));
	EXPECT_TRUE(kp_kad_query_over(&q));
	EXPECT_TRUE(result(4).empty());
}

TEST_F(QueryTest, postponed_is_asked_again)
{
	hear(1);
	kp_kad_cand *c = kp_kad_query_next(&q);
	kp_kad_query_postpone(&q, c);
	EXPECT_EQ(q.requests, 0u);
	EXPECT_FALSE(kp_kad_query_over(&q));
	EXPECT_EQ(next(), 1);
}

TEST_F(QueryTest, heard_twice_is_one)
{
	EXPECT_EQ(hear(7), hear(7));
	EXPECT_EQ(q.n, 1u);
}

TEST_F(QueryTest, known_peers_are_capped_farthest_unasked_goes)
{
	for (uint32_t n = 0; n < KP_KAD_QUERY_KNOWN_MAX; n++)
		ASSERT_NE(hear(1000 + n), nullptr);
	EXPECT_EQ(hear(5000), nullptr); /* farther than all */
	EXPECT_NE(hear(1), nullptr);
	EXPECT_EQ(q.n, KP_KAD_QUERY_KNOWN_MAX);
	EXPECT_EQ(number(q.known[q.n - 1]), 1000 + KP_KAD_QUERY_KNOWN_MAX - 2);
	EXPECT_EQ(next(), 1);
}

TEST_F(QueryTest, endless_nearer_liars_end_at_the_request_cap)
{
	uint32_t asked = 0, near = 1u << 20;
	hear(near);
	while (!kp_kad_query_over(&q)) {
		kp_kad_cand *c = kp_kad_query_next(&q);
		ASSERT_NE(c, nullptr);
		for (int i = 0; i < 40; i++)
			hear(--near);
		kp_kad_query_answered(&q, c);
		ASSERT_LE(++asked, KP_KAD_QUERY_REQUESTS_MAX);
	}
	EXPECT_EQ(asked, KP_KAD_QUERY_REQUESTS_MAX);
	EXPECT_EQ(result(4).size(), 4u);
}

TEST_F(QueryTest, addresses)
{
	kp_kad_cand *c = hear(1);
	kp_maddr a = fake_maddr("/ip4/127.0.0.1/tcp/1"), out[32];
	EXPECT_EQ(kp_kad_query_addrs(c, out, 32), 0u);
	EXPECT_TRUE(kp_kad_query_add_addr(&q, c, &a));
	EXPECT_FALSE(kp_kad_query_add_addr(&q, c, &a));
	for (int i = 2; i < 40; i++) {
		kp_maddr b = fake_maddr("/ip4/127.0.0.1/tcp/" + std::to_string(i));
		kp_kad_query_add_addr(&q, c, &b);
	}
	ASSERT_EQ(kp_kad_query_addrs(c, out, 32), KP_KAD_QUERY_ADDRS_MAX);
	EXPECT_EQ(fake_text(out[0]), "/ip4/127.0.0.1/tcp/1");
	EXPECT_EQ(fake_text(out[15]), "/ip4/127.0.0.1/tcp/16");
	EXPECT_EQ(kp_kad_query_addrs(c, out, 3), 3u);
	kp_kad_cand *d = hear(2);
	for (int i = 0; i < 10; i++) {
		kp_maddr b = fake_maddr("/dns4/" + std::string(220, static_cast<char>('a' + i)) +
		                        "/tcp/1");
		kp_kad_query_add_addr(&q, d, &b);
	}
	EXPECT_EQ(d->n_addrs, 4u); /* bytes are capped too */
}

TEST_F(QueryTest, without_memory_peers_are_not_heard)
{
	mem.fail_at = mem.calls + 1;
	EXPECT_EQ(hear(1), nullptr);
	mem.fail_at = mem.calls + 2;
	EXPECT_EQ(hear(1), nullptr);
	mem.fail_at = 0;
	kp_kad_cand *c = hear(1);
	ASSERT_NE(c, nullptr);
	kp_maddr a = fake_maddr("/ip4/127.0.0.1/tcp/1");
	mem.fail_at = mem.calls + 1;
	EXPECT_FALSE(kp_kad_query_add_addr(&q, c, &a));
	EXPECT_EQ(c->n_addrs, 0u);
}

} // namespace
