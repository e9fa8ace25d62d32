/* core/svc/kad/table.c: who gets in, who goes, and the order of distance. */
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "crypto/crypto.h"
#include "svc/fake_svc.h"
#include "svc/kad/table.h"
#include "vectors.h"

namespace
{

class TableTest : public ::testing::Test
{
      protected:
	kp_mem mem = {};
	kp_stats stats = {};
	kp_crypto *crypto = nullptr;
	kp_kad_table t = {};
	kp_kad_key self = {};
	kp_maddr addr = fake_maddr("/ip4/127.0.0.1/tcp/1");
	uint32_t next = 0;

	TableTest()
	{
		uint8_t seed[32] = {1};
		uint8_t key[16] = {2};
		crypto = kp_crypto_new(seed);
		kp_mem_init(&mem, 0);
		self = key_of(fake_peer(0));
		kp_kad_table_init(&t, &mem, &stats, &self, 20, key);
	}
	~TableTest() override
	{
		kp_kad_table_check(&t);
		kp_kad_table_fini(&t);
		EXPECT_EQ(mem.bytes, 0u);
		crypto->ops->free(crypto);
	}
	kp_kad_key key_of(const kp_peer_id &id)
	{
		kp_kad_key k;
		crypto->ops->sha256(id.b, id.n, k.b);
		return k;
	}
	/* A new peer for a bucket. */
	kp_peer_id peer_in(unsigned bucket)
	{
		for (;;) {
			kp_peer_id id = fake_peer(++next);
			kp_kad_key k = key_of(id);
			if (kp_kad_cpl(&self, &k) == bucket)
				return id;
		}
	}
	kp_err add(const kp_peer_id &id, const char *remote = "/ip4/10.0.0.1/tcp/1")
	{
		kp_kad_key k = key_of(id);
		kp_maddr m = fake_maddr(remote);
		return kp_kad_table_add(&t, &id, &k, kp_kad_group_of(&m), &addr, 1);
	}
	uint64_t stat(kp_stat which)
	{
		return stats.v[which];
	}
};

TEST_F(TableTest, distance_vectors)
{
	for (const vectors::Json &c : vectors::list("kad", "distances", 23)) {
		vectors::Bytes a = c["a"].bytes(), b = c["b"].bytes();
		kp_kad_key ka, kb;
		crypto->ops->sha256(a.data(), a.size(), ka.b);
		crypto->ops->sha256(b.data(), b.size(), kb.b);
		EXPECT_EQ(vectors::hex(ka.b, 32), c["key_a"].str());
		kp_kad_key d = kp_kad_distance(&ka, &kb);
		EXPECT_EQ(vectors::hex(d.b, 32), c["distance"].str());
		EXPECT_EQ(kp_kad_cpl(&ka, &kb), c["common_prefix_length"].u64());
	}
}

TEST_F(TableTest, order_vector)
{
	const vectors::Json &c = vectors::list("kad", "order", 1)[size_t(0)];
	vectors::Bytes target = c["target"].bytes();
	kp_kad_key tk;
	crypto->ops->sha256(target.data(), target.size(), tk.b);
	std::vector<kp_peer_id> want;
	for (const vectors::Json &p : c["peers_nearest_first"]) {
		kp_peer_id id;
		vectors::Bytes b = p.bytes();
		ASSERT_EQ(kp_peer_id_parse_bytes(vectors::slice(b), &id), KP_OK);
		want.push_back(id);
	}
	std::vector<kp_peer_id> in = want;
	std::reverse(in.begin(), in.end());
	std::swap(in[1], in[4]);
	for (const kp_peer_id &id : in)
		ASSERT_EQ(add(id), KP_OK);
	for (size_t max = 1; max <= want.size() + 2; max++) {
		const kp_kad_node *out[16];
		size_t n = kp_kad_table_nearest(&t, &tk, nullptr, out, max);
		ASSERT_EQ(n, std::min(max, want.size()));
		for (size_t i = 0; i < n; i++)
			EXPECT_TRUE(kp_peer_id_eq(&out[i]->peer, &want[i]));
	}
	const kp_kad_node *out[16];
	ASSERT_EQ(kp_kad_table_nearest(&t, &tk, &want[0], out, 3), 3u);
	EXPECT_TRUE(kp_peer_id_eq(&out[0]->peer, &want[1]));
}

TEST_F(TableTest, ourselves_never)
{
	EXPECT_EQ(add(fake_peer(0)), KP_E_INVAL);
	EXPECT_EQ(t.size, 0u);
}

TEST_F(TableTest, full_bucket_of_connected_peers_refuses)
{
	for (int i = 0; i < 20; i++)
		ASSERT_EQ(add(peer_in(0)), KP_OK);
	EXPECT_EQ(add(peer_in(0)), KP_E_LIMIT);
	EXPECT_EQ(stat(KP_STAT_kad_table_full), 1u);
	EXPECT_EQ(add(peer_in(1)), KP_OK); /* another bucket */
	EXPECT_EQ(t.size, 21u);
}

TEST_F(TableTest, oldest_disconnected_is_replaced_connected_never)
{
	std::vector<kp_peer_id> ids;
	for (int i = 0; i < 20; i++) {
		ids.push_back(peer_in(0));
		ASSERT_EQ(add(ids.back()), KP_OK);
	}
	for (int i : {7, 3, 11}) { /* in this order */
		kp_kad_table_set_connected(&t, kp_kad_table_get(&t, &ids[i]), false);
		kp_kad_table_check(&t);
	}
	kp_kad_table_set_connected(&t, kp_kad_table_get(&t, &ids[7]), true); /* is back */
	kp_kad_table_check(&t);
	kp_peer_id a = peer_in(0), b = peer_in(0), c = peer_in(0);
	EXPECT_EQ(add(a), KP_OK);
	EXPECT_EQ(kp_kad_table_get(&t, &ids[3]), nullptr);
	EXPECT_NE(kp_kad_table_get(&t, &ids[11]), nullptr);
	EXPECT_EQ(add(b), KP_OK);
	EXPECT_EQ(kp_kad_table_get(&t, &ids[11]), nullptr);
	EXPECT_EQ(add(c), KP_E_LIMIT);
	EXPECT_EQ(stat(KP_STAT_kad_table_evicted), 2u);
	EXPECT_EQ(t.size, 20u);
}

struct GroupCase {
	const char *a, *b;
	bool limited, same;
};

TEST_F(TableTest, groups)
{
	const GroupCase cases[] = {
	        {"/ip4/8.8.8.8/tcp/1", "/ip4/8.8.8.200/tcp/2", true, true},
	        {"/ip4/8.8.8.8/tcp/1", "/ip4/8.8.9.8/tcp/1", true, false},
	        {"/ip6/2a00:1450:1::1/tcp/1", "/ip6/2a00:1450:1:ffff::9/tcp/1", true, true},
	        {"/ip6/2a00:1450:1::1/tcp/1", "/ip6/2a00:1450:2::1/tcp/1", true, false},
	        {"/ip6/::ffff:8.8.8.8/tcp/1", "/ip4/8.8.8.9/tcp/1", true, true},
	        {"/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", false, true},
	        {"/ip4/192.168.1.1/tcp/1", "/ip6/::1/tcp/1", false, true},
	        {"/ip6/fd00::1/tcp/1", "/dns4/example.com/tcp/1", false, true},
	};
	for (const GroupCase &c : cases) {
		kp_maddr ma = fake_maddr(c.a), mb = fake_maddr(c.b);
		kp_kad_group a = kp_kad_group_of(&ma), b = kp_kad_group_of(&mb);
		EXPECT_EQ(a.n > 0, c.limited) << c.a;
		EXPECT_EQ(memcmp(&a, &b, sizeof(a)) == 0, c.same) << c.a << " " << c.b;
	}
}

TEST_F(TableTest, one_public_network_cannot_fill_a_bucket_or_the_table)
{
	for (unsigned i = 0; i < KP_KAD_GROUP_BUCKET_MAX; i++)
		ASSERT_EQ(add(peer_in(0), "/ip4/8.8.8.8/tcp/1"), KP_OK);
	EXPECT_EQ(add(peer_in(0), "/ip4/8.8.8.9/tcp/1"), KP_E_LIMIT);
	EXPECT_EQ(stat(KP_STAT_kad_table_same_ip), 1u);
	EXPECT_EQ(add(peer_in(0), "/ip4/8.8.9.9/tcp/1"), KP_OK);
	EXPECT_EQ(add(peer_in(0), "/ip4/127.0.0.1/tcp/1"), KP_OK);
	unsigned n = KP_KAD_GROUP_BUCKET_MAX;
	for (unsigned bucket = 1; n < KP_KAD_GROUP_TABLE_MAX; bucket++)
		for (unsigned i = 0; i < KP_KAD_GROUP_BUCKET_MAX && n < KP_KAD_GROUP_TABLE_MAX;
		     i++, n++)
			ASSERT_EQ(add(peer_in(bucket), "/ip4/8.8.8.8/tcp/1"), KP_OK);
	EXPECT_EQ(add(peer_in(6), "/ip4/8.8.8.9/tcp/1"), KP_E_LIMIT);
	for (int i = 0; i < 12; i++)
		EXPECT_EQ(add(peer_in(0), "/ip4/10.0.0.1/tcp/1"), KP_OK); /* exempt */
}

TEST_F(TableTest, the_one_that_leaves_does_not_count)
{
	for (int i = 0; i < 15; i++)
		ASSERT_EQ(add(peer_in(0)), KP_OK);
	kp_peer_id first = peer_in(0);
	ASSERT_EQ(add(first, "/ip4/8.8.8.8/tcp/1"), KP_OK);
	for (unsigned i = 1; i < KP_KAD_GROUP_BUCKET_MAX && t.size < 20; i++)
		ASSERT_EQ(add(peer_in(0), "/ip4/8.8.8.8/tcp/1"), KP_OK);
	while (t.size < 20)
		ASSERT_EQ(add(peer_in(0)), KP_OK);
	kp_kad_table_set_connected(&t, kp_kad_table_get(&t, &first), false);
	EXPECT_EQ(add(peer_in(0), "/ip4/8.8.8.9/tcp/1"), KP_OK);
}

TEST_F(TableTest, walk_and_deepest)
{
	EXPECT_EQ(kp_kad_table_deepest(&t), -1);
	EXPECT_EQ(kp_kad_table_at(&t, 0), nullptr);
	for (unsigned bucket : {5u, 0u, 3u, 0u, 9u})
		ASSERT_EQ(add(peer_in(bucket)), KP_OK);
	EXPECT_EQ(kp_kad_table_deepest(&t), 9);
	std::vector<unsigned> seen;
	for (size_t i = 0; kp_kad_table_at(&t, i) != nullptr; i++)
		seen.push_back(kp_kad_table_at(&t, i)->bucket);
	EXPECT_EQ(seen, (std::vector<unsigned>{0, 0, 3, 5, 9}));
}

TEST_F(TableTest, addresses_are_replaced_and_capped)
{
	kp_peer_id id = peer_in(0);
	ASSERT_EQ(add(id), KP_OK);
	std::vector<kp_maddr> many;
	for (int i = 0; i < 40; i++)
		many.push_back(fake_maddr("/ip4/10.0.0.1/tcp/" + std::to_string(i + 1)));
	kp_kad_node *n = kp_kad_table_get(&t, &id);
	ASSERT_EQ(kp_kad_table_set_addrs(&t, n, many.data(), many.size()), KP_OK);
	EXPECT_EQ(n->n_addrs, KP_KAD_NODE_ADDRS_MAX);
	EXPECT_TRUE(kp_maddr_eq(&n->addrs[15], &many[15]));
	mem.fail_at = mem.calls + 1;
	EXPECT_EQ(kp_kad_table_set_addrs(&t, n, &addr, 1), KP_E_NOMEM);
	EXPECT_EQ(n->n_addrs, KP_KAD_NODE_ADDRS_MAX);
	for (uint64_t at = 1; at <= 3; at++) {
		mem.fail_at = mem.calls + at;
		EXPECT_TRUE(add(peer_in(0)) == KP_E_NOMEM || at == 3);
		kp_kad_table_check(&t);
	}
	mem.fail_at = 0;
	kp_kad_table_remove(&t, kp_kad_table_get(&t, &id));
	EXPECT_EQ(kp_kad_table_get(&t, &id), nullptr);
}

TEST_F(TableTest, random_operations_keep_the_invariants)
{
	kp_rng rng;
	uint8_t seed[32] = {9};
	kp_rng_init(&rng, seed);
	for (int i = 0; i < 20000; i++) {
		kp_peer_id id = fake_peer(1 + static_cast<uint32_t>(kp_rng_below(&rng, 400)));
		kp_kad_node *n = kp_kad_table_get(&t, &id);
		uint64_t what = kp_rng_below(&rng, 10);
		if (n == nullptr)
			(void)add(id, what < 3 ? "/ip4/8.8.8.8/tcp/1" : "/ip4/127.0.0.1/tcp/1");
		else if (what == 0)
			kp_kad_table_remove(&t, n);
		else
			kp_kad_table_set_connected(&t, n, what < 4);
		if (i % 50 == 0)
			kp_kad_table_check(&t);
	}
	EXPECT_GT(t.size, 40u);
}

} // namespace
