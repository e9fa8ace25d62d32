/* Whole networks of routers: reach, mesh bounds, duplicates, faults, and that a seed repeats. */
#include "gs_sim.h"

#include <gtest/gtest.h>

static void sim_publish_some(GsSim &sim, unsigned n, size_t bytes, kp_time every)
{
	for (unsigned i = 0; i < n; i++) {
		sim.publish(bytes);
		sim.run(every);
	}
}

static void sim_expect_meshes(GsSim &sim)
{
	const kp_gs_params &p = sim.opt.params;
	for (unsigned i = 0; i < sim.nodes.size(); i++) {
		size_t subs = sim.subscribers(i);
		EXPECT_LE(sim.mesh(i), p.d_high + 1) << "node " << i;
		EXPECT_GE(sim.mesh(i), std::min<size_t>(p.d_low, subs)) << "node " << i;
	}
}

static void sim_expect_all_delivered(GsSim &sim)
{
	EXPECT_EQ(sim.count.delivered, sim.count.expected);
	EXPECT_EQ(sim.count.twice, 0u);
	EXPECT_EQ(sim.stat(KP_STAT_rejected_signature), 0u);
	EXPECT_EQ(sim.stat(KP_STAT_rejected_policy), 0u);
	EXPECT_EQ(sim.stat(KP_STAT_rpc_malformed), 0u);
	EXPECT_EQ(sim.stat(KP_STAT_graft_backoff), 0u);
	EXPECT_EQ(sim.stat(KP_STAT_promises_broken), 0u);
}

class Sizes : public ::testing::TestWithParam<std::pair<unsigned, uint64_t>>
{
};

TEST_P(Sizes, everybody_gets_everything_once)
{
	SimOptions o;
	o.nodes = GetParam().first;
	o.seed = GetParam().second;
	GsSim sim(o);
	sim.run(KP_SEC(5));
	sim_expect_meshes(sim);
	sim_publish_some(sim, 20, 200, KP_MS(100));
	sim.run(KP_SEC(5));
	sim_expect_all_delivered(sim);
	sim_expect_meshes(sim);
	uint64_t dups = sim.stat(KP_STAT_duplicates);
	double per = (double)dups / (double)(sim.count.published * o.nodes);
	RecordProperty("duplicates_per_message", std::to_string(per));
	EXPECT_LT(per, 2.0 * o.params.d);
}

INSTANTIATE_TEST_SUITE_P(gs_sim, Sizes,
                         ::testing::Values(std::make_pair(2u, 1u), std::make_pair(3u, 2u),
                                           std::make_pair(7u, 3u), std::make_pair(20u, 4u),
                                           std::make_pair(20u, 5u), std::make_pair(50u, 6u),
                                           std::make_pair(100u, 7u)));

/* Without flood publish the mesh alone carries a message, and it is no slower than the graph. */
TEST(gs_sim, thousand_nodes)
{
	SimOptions o;
	o.nodes = 1000;
	o.params.flood_publish = false;
	GsSim sim(o);
	sim.run(KP_SEC(4));
	sim_expect_meshes(sim);
	for (unsigned i = 0; i < 4; i++) {
		sim.publish(300, (int)(i * 200));
		sim.run(KP_MS(250));
	}
	sim.run(KP_SEC(3));
	sim_expect_all_delivered(sim);
	double per = (double)sim.stat(KP_STAT_duplicates) / (double)(sim.count.published * o.nodes);
	EXPECT_LT(per, 2.0 * o.params.d);
	std::vector<kp_time> d = sim.distances(0);
	kp_time far = *std::max_element(d.begin(), d.end());
	EXPECT_LT(sim.count.delay(0.99), 3 * far);
	printf("1,000 nodes: p50 %.1f ms, p99 %.1f ms, graph %.1f ms, %.2f duplicates\n",
	       (double)sim.count.delay(0.5) / 1e6, (double)sim.count.delay(0.99) / 1e6,
	       (double)far / 1e6, per);
}

TEST(gs_sim, same_seed_same_run)
{
	uint64_t hash[3];
	for (unsigned i = 0; i < 3; i++) {
		SimOptions o;
		o.nodes = 40;
		o.seed = i < 2 ? 11 : 12;
		GsSim sim(o);
		sim.run(KP_SEC(3));
		sim_publish_some(sim, 10, 1500, KP_MS(50));
		sim.set_up(3, false);
		sim.run(KP_SEC(5));
		hash[i] = sim.hash();
	}
	EXPECT_EQ(hash[0], hash[1]);
	EXPECT_NE(hash[0], hash[2]);
}

/* Messages of 1,000 bytes and more are announced by IDONTWANT: fewer copies cross the wire. */
TEST(gs_sim, idontwant_saves_copies)
{
	uint64_t bytes[2];
	for (unsigned with = 0; with < 2; with++) {
		SimOptions o;
		o.nodes = 30;
		o.params.flood_publish = false;
		o.params.idontwant_size = with ? 1000 : 1u << 30;
		o.latency_min = KP_MS(1);
		o.latency_max = KP_MS(5);
		GsSim sim(o);
		for (auto &c : sim.net->conns)
			c->bandwidth = 1000000;
		sim.run(KP_SEC(5));
		uint64_t before = sim.net->bytes;
		sim_publish_some(sim, 20, 50000, KP_MS(500));
		sim.run(KP_SEC(5));
		sim_expect_all_delivered(sim);
		bytes[with] = sim.net->bytes - before;
	}
	EXPECT_LT((double)bytes[1], 0.9 * (double)bytes[0]);
}

/* One direction of every link between two halves stalls: what crosses the other way still comes,
 * and after healing nothing is missing, with nobody thrown out. */
TEST(gs_sim, one_way_partition)
{
	SimOptions o;
	o.nodes = 30;
	o.seed = 21;
	GsSim sim(o);
	sim.run(KP_SEC(4));
	for (auto &c : sim.net->conns) {
		bool left = c->a->index < 15;
		if (left != (c->b->index < 15))
			fake_cut(c.get(), left ? c->a : c->b);
	}
	sim.publish(100, 20); /* right to left is open */
	sim.run(KP_SEC(3));
	EXPECT_EQ(sim.count.delivered, sim.count.expected);
	sim.publish(100, 3);
	sim.run(KP_SEC(3));
	EXPECT_LT(sim.count.delivered, sim.count.expected);
	for (auto &c : sim.net->conns)
		fake_heal(c.get());
	sim.run(KP_SEC(3));
	sim_expect_all_delivered(sim);
	sim_publish_some(sim, 10, 100, KP_MS(100));
	sim.run(KP_SEC(3));
	sim_expect_all_delivered(sim);
}

/* A node that stops reading costs its neighbours their queues for it, and nobody else anything. */
TEST(gs_sim, slow_peer)
{
	SimOptions o;
	o.nodes = 20;
	o.seed = 31;
	o.params.send_forward_bytes = o.params.send_own_bytes = 1 << 20;
	GsSim sim(o);
	sim.run(KP_SEC(4));
	sim.nodes[7]->reads = false;
	uint64_t peak = 0;
	for (unsigned i = 0; i < 200; i++) {
		sim.publish(20000, (int)(i % 7));
		sim.run(KP_MS(50));
		for (kp_host *h : sim.nodes)
			peak = std::max(peak, kp_pool_bytes_live(h->pool));
	}
	sim.run(KP_SEC(3));
	uint64_t missing = sim.count.expected - sim.count.delivered;
	EXPECT_LE(missing, 200u); /* only node 7 lacks any */
	EXPECT_GT(sim.stat(KP_STAT_dropped), 0u);
	EXPECT_LT(peak, 64u << 20);
	EXPECT_LT(sim.count.delay(0.99), KP_SEC(1));
	fake_set_reads(sim.nodes[7], true);
	sim.run(KP_SEC(3));
	missing = sim.count.expected - sim.count.delivered;
	sim_publish_some(sim, 10, 100, KP_MS(100));
	sim.run(KP_SEC(3));
	EXPECT_LE(sim.count.expected - sim.count.delivered, missing); /* it takes part again */
}

/* Nodes come and go; whoever is up all the time misses nothing. */
TEST(gs_sim, churn)
{
	SimOptions o;
	o.nodes = 40;
	o.links = 6;
	o.seed = 41;
	GsSim sim(o);
	sim.run(KP_SEC(4));
	for (unsigned round = 0; round < 20; round++) {
		unsigned down = 20 + sim.random(20); /* the ring of 0 to 19 stays */
		sim.set_up(down, false);
		sim.publish(100, (int)sim.random(20));
		sim.run(KP_MS(700));
		sim.set_up(down, true);
		for (unsigned k = 0; k < 4; k++)
			sim.connect(down, sim.random(20));
		sim.publish(100, (int)sim.random(20));
		sim.run(KP_MS(700));
	}
	sim.run(KP_SEC(8));
	EXPECT_GT(sim.count.ratio(), 0.999);
	EXPECT_EQ(sim.count.twice, 0u);
	SimCount before = sim.count;
	sim_publish_some(sim, 10, 100, KP_MS(100));
	sim.run(KP_SEC(5));
	EXPECT_EQ(sim.count.delivered - before.delivered, sim.count.expected - before.expected);
}

TEST(gs_sim, many_topics)
{
	SimOptions o;
	o.nodes = 20;
	o.topics = 10;
	GsSim sim(o);
	sim.run(KP_SEC(4));
	sim_publish_some(sim, 40, 100, KP_MS(20));
	sim.run(KP_SEC(4));
	sim_expect_all_delivered(sim);
}
