#include "base/map.h"

#include "base/rng.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace
{

struct item {
	kp_map_node node;
	uint64_t key;
	int value;
};

const uint8_t KEY_A[16] = {1, 2, 3};
const uint8_t KEY_B[16] = {9};

kp_err put(kp_map *m, item *it)
{
	return kp_map_put(m, &it->node, &it->key, sizeof it->key);
}

item *get(const kp_map *m, uint64_t key)
{
	kp_map_node *n = kp_map_get(m, &key, sizeof key);
	return n != nullptr ? KP_CONTAINER_OF(n, item, node) : nullptr;
}

TEST(map, put_get_del)
{
	kp_mem mem;
	kp_mem_init(&mem, 0);
	kp_map m;
	kp_map_init(&m, &mem, KEY_A);
	EXPECT_EQ(kp_map_first(&m), nullptr);
	EXPECT_EQ(kp_map_count(&m), 0u);
	EXPECT_EQ(get(&m, 1), nullptr);
	std::vector<item> items(1000);
	for (size_t i = 0; i < items.size(); i++) {
		items[i].key = i * 7;
		ASSERT_EQ(put(&m, &items[i]), KP_OK);
	}
	EXPECT_EQ(kp_map_count(&m), items.size());
	for (auto &it : items)
		EXPECT_EQ(get(&m, it.key), &it);
	EXPECT_EQ(get(&m, 1), nullptr);
	size_t i = 0;
	for (kp_map_node *n = kp_map_first(&m); n != nullptr; i++) {
		kp_map_node *next = kp_map_next(n);
		EXPECT_EQ(n, &items[i].node); /* insertion order */
		EXPECT_EQ(n->key, &items[i].key);
		EXPECT_EQ(n->key_n, 8u);
		kp_map_del(&m, n);
		n = next;
	}
	EXPECT_EQ(i, items.size());
	EXPECT_EQ(mem.bytes, 0u);
	kp_map_fini(&m);
}

TEST(map, keys_of_any_length_and_prefixes_differ)
{
	kp_mem mem;
	kp_mem_init(&mem, 0);
	kp_map m;
	kp_map_init(&m, &mem, KEY_A);
	const uint8_t bytes[64] = {0};
	std::vector<kp_map_node> nodes(65);
	for (size_t n = 0; n <= 64; n++)
		ASSERT_EQ(kp_map_put(&m, &nodes[n], bytes, n), KP_OK);
	for (size_t n = 0; n <= 64; n++)
		EXPECT_EQ(kp_map_get(&m, bytes, n), &nodes[n]);
	kp_map_fini(&m);
	EXPECT_EQ(mem.bytes, 0u);
}

/* The order of iteration depends neither on the hash key nor on addresses. */
TEST(map, order_is_that_of_insertion_under_any_hash_key)
{
	std::vector<std::vector<uint64_t>> seen;
	for (const uint8_t *hash_key : {KEY_A, KEY_B}) {
		kp_mem mem;
		kp_mem_init(&mem, 0);
		kp_map m;
		kp_map_init(&m, &mem, hash_key);
		std::vector<item> items(500);
		uint8_t seed[32] = {1};
		kp_rng rng;
		kp_rng_init(&rng, seed);
		for (auto &it : items) {
			do {
				it.key = kp_rng_below(&rng, 100000);
			} while (get(&m, it.key) != nullptr);
			ASSERT_EQ(put(&m, &it), KP_OK);
		}
		for (int i = 0; i < 250; i++) {
			auto &it = items[kp_rng_below(&rng, items.size())];
			if (get(&m, it.key) == &it)
				kp_map_del(&m, &it.node);
			else
				ASSERT_EQ(put(&m, &it), KP_OK);
		}
		seen.emplace_back();
		for (auto *n = kp_map_first(&m); n != nullptr; n = kp_map_next(n))
			seen.back().push_back(KP_CONTAINER_OF(n, item, node)->key);
		kp_map_fini(&m);
	}
	EXPECT_EQ(seen[0], seen[1]);
}

TEST(map, against_std_map)
{
	kp_mem mem;
	kp_mem_init(&mem, 0);
	kp_map m;
	kp_map_init(&m, &mem, KEY_B);
	std::map<uint64_t, item *> model;
	std::vector<item> items(300);
	for (size_t i = 0; i < items.size(); i++)
		items[i].key = i;
	uint8_t seed[32] = {2};
	kp_rng rng;
	kp_rng_init(&rng, seed);
	for (int step = 0; step < 20000; step++) {
		item *it = &items[kp_rng_below(&rng, items.size())];
		if (model.count(it->key)) {
			kp_map_del(&m, &it->node);
			model.erase(it->key);
		} else {
			ASSERT_EQ(put(&m, it), KP_OK);
			model[it->key] = it;
		}
		uint64_t key = kp_rng_below(&rng, items.size());
		ASSERT_EQ(get(&m, key), model.count(key) ? model[key] : nullptr);
		ASSERT_EQ(kp_map_count(&m), model.size());
	}
	kp_map_fini(&m);
	EXPECT_EQ(mem.bytes, 0u);
}

TEST(map, every_failed_allocation_leaves_the_map_as_it_was)
{
	for (uint64_t at = 1;; at++) {
		kp_mem mem;
		kp_mem_init(&mem, 0);
		mem.fail_at = at;
		kp_map m;
		kp_map_init(&m, &mem, KEY_A);
		std::vector<item> items(2000);
		bool failed = false;
		for (size_t i = 0; i < items.size(); i++) {
			items[i].key = i;
			kp_err r = put(&m, &items[i]);
			if (r == KP_OK)
				continue;
			ASSERT_EQ(r, KP_E_NOMEM);
			ASSERT_FALSE(failed);
			failed = true;
			ASSERT_EQ(kp_map_count(&m), i);
			ASSERT_EQ(get(&m, i), nullptr);
			for (size_t j = 0; j < i; j++)
				ASSERT_EQ(get(&m, j), &items[j]);
			ASSERT_EQ(put(&m, &items[i]), KP_OK);
		}
		for (auto &it : items)
			kp_map_del(&m, &it.node);
		EXPECT_EQ(mem.bytes, 0u);
		kp_map_fini(&m);
		if (!failed) {
			EXPECT_GT(at, 5u);
			break;
		}
	}
}

TEST(mapDeathTest, a_key_twice_is_a_bug)
{
	kp_mem mem;
	kp_mem_init(&mem, 0);
	kp_map m;
	kp_map_init(&m, &mem, KEY_A);
	item a{}, b{};
	put(&m, &a);
	EXPECT_DEATH(put(&m, &b), "bug at");
	kp_map_fini(&m);
}

} // namespace
