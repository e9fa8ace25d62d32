/* The stream table against std::map. */
#include "conn/idmap.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace
{

TEST(idmap, agrees_with_a_reference)
{
	kp_mem mem;
	kp_mem_init(&mem, 0);
	kp_idmap m;
	kp_idmap_init(&m, &mem);
	std::map<uint32_t, int *> ref;
	static int values[1000];
	std::mt19937 rnd(1);
	for (int i = 0; i < 200000; i++) {
		uint32_t id = 1 + rnd() % 600;
		if (i % 5000 < 2500)
			id *= 4096; /* a peer that picks ids for their hash */
		auto it = ref.find(id);
		ASSERT_EQ(kp_idmap_get(&m, id), it == ref.end() ? nullptr : it->second);
		if (it != ref.end()) {
			kp_idmap_del(&m, id);
			ref.erase(it);
		} else if (ref.size() < 512) {
			ASSERT_EQ(kp_idmap_reserve(&m), KP_OK);
			kp_idmap_put(&m, id, &values[i % 1000]);
			ref[id] = &values[i % 1000];
		}
		ASSERT_EQ(m.n, ref.size());
		ASSERT_EQ(kp_idmap_get(&m, 0), nullptr); /* 0 is an empty place */
	}
	kp_idmap_fini(&m);
	EXPECT_EQ(mem.bytes, 0u);
}

TEST(idmap, unused_costs_nothing_and_refuses_without_memory)
{
	kp_mem mem;
	kp_mem_init(&mem, 0);
	kp_idmap m;
	kp_idmap_init(&m, &mem);
	EXPECT_EQ(mem.bytes, 0u);
	EXPECT_EQ(kp_idmap_get(&m, 1), nullptr);
	kp_idmap_del(&m, 1);
	mem.fail_at = 1;
	EXPECT_EQ(kp_idmap_reserve(&m), KP_E_NOMEM);
	EXPECT_EQ(kp_idmap_reserve(&m), KP_OK);
	kp_idmap_fini(&m);
	EXPECT_EQ(mem.bytes, 0u);
}

} // namespace
