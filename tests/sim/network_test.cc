// Networks made of single options: joining, delivery, repeatability, and the options' own checks.
// The scenarios are in scenario_test.cc.
#include "sim/sim.h"

#include <gtest/gtest.h>

namespace
{

kp_sim_options options(unsigned nodes, double seconds, unsigned faults, uint64_t seed)
{
	kp_sim_options o = kp_sim_options_default();
	o.nodes = nodes;
	o.duration = static_cast<kp_time>(seconds * 1e9);
	o.faults = faults;
	o.seed = seed;
	return o;
}

// The command that replays a run that failed.
std::string replay(const kp_sim_options &o)
{
	std::string names;
#define NAME(name, bit, text)                                                                      \
	if (o.faults & (bit))                                                                      \
		names += (names.empty() ? "" : ",") + std::string(#name);
	KP_SIM_FAULTS(NAME)
#undef NAME
	return "karakp2p sim --nodes " + std::to_string(o.nodes) + " --seconds " +
	       std::to_string(o.duration / 1000000000) + " --seed " + std::to_string(o.seed) +
	       " --rate " + std::to_string(o.rate) + " --size " + std::to_string(o.size) +
	       (names.empty() ? "" : " --faults " + names) + " --fail-every " +
	       std::to_string(o.fail_every);
}

// Runs, demands that every invariant held, and returns the report.
kp_sim_report run(const kp_sim_options &o)
{
	kp_sim_report r;
	EXPECT_EQ(kp_sim_run(&o, &r), KP_OK) << r.violation << "\n" << replay(o);
	return r;
}

void expect_all_delivered(const kp_sim_options &o, const kp_sim_report &r)
{
	EXPECT_GT(r.all.expected, 0u) << replay(o);
	EXPECT_EQ(r.all.delivered, r.all.expected) << replay(o);
}

TEST(network, twenty_nodes_join_through_one_bootnode)
{
	for (uint64_t seed : {1, 2, 3}) {
		kp_sim_options o = options(20, 60, 0, seed);
		kp_sim_report r = run(o);
		expect_all_delivered(o, r);
		EXPECT_GE(r.mesh_min, 2u) << replay(o);
		EXPECT_LE(r.mesh_max, 12u) << replay(o);
		EXPECT_GT(r.conns_mean, 5) << "nodes that know only the bootnode must find others";
	}
}

TEST(network, same_seed_same_trace_and_another_seed_another)
{
	unsigned all = KP_SIM_FAULT_split | KP_SIM_FAULT_stall | KP_SIM_FAULT_reset |
	               KP_SIM_FAULT_crash | KP_SIM_FAULT_jobs | KP_SIM_FAULT_skew;
	kp_sim_options o = options(12, 50, all, 7);
	kp_sim_report one = run(o), two = run(o);
	EXPECT_EQ(one.trace_hash, two.trace_hash) << replay(o);
	EXPECT_EQ(one.events, two.events);
	o.seed = 8;
	EXPECT_NE(run(o).trace_hash, one.trace_hash);
}

// Faults that a network must hide entirely from what it delivers, and that scenarios have only
// together with others.
TEST(network, cut_reads_and_standstills_lose_nothing)
{
	for (unsigned fault : {KP_SIM_FAULT_split, KP_SIM_FAULT_stall}) {
		for (uint64_t seed : {11, 12}) {
			kp_sim_options o = options(16, 70, fault, seed);
			expect_all_delivered(o, run(o));
		}
	}
}

// Connections and nodes that die may take single copies with them; the mesh and gossip repair
// nearly all of it, and nothing is ever invented or doubled (an invariant of every run).
TEST(network, survives_resets_and_crashes)
{
	for (uint64_t seed : {21, 22}) {
		kp_sim_options o = options(16, 80, KP_SIM_FAULT_reset | KP_SIM_FAULT_crash, seed);
		kp_sim_report r = run(o);
		EXPECT_GT(r.all.expected, 0u);
		EXPECT_GE(r.all.delivery_ratio, 0.999) << replay(o);
	}
}

TEST(network, large_messages_arrive)
{
	kp_sim_options o = options(10, 40, 0, 3);
	o.size = 57000;
	o.rate = 2;
	expect_all_delivered(o, run(o));
}

TEST(options, are_checked_and_named)
{
	kp_sim_report r;
	kp_sim_options o = options(1, 60, 0, 1);
	EXPECT_EQ(kp_sim_run(&o, &r), KP_E_INVAL);
	EXPECT_NE(std::string(r.violation).find("nodes"), std::string::npos);
	o = options(4, 60, 0, 1);
	o.size = 3;
	EXPECT_EQ(kp_sim_run(&o, &r), KP_E_INVAL);
	EXPECT_NE(std::string(r.violation).find("size"), std::string::npos);
}

TEST(options, faults_are_parsed)
{
	unsigned faults = 0;
	kp_slice bad;
	EXPECT_EQ(kp_sim_parse_faults(kp_slice_str("split,reset"), &faults, &bad), KP_OK);
	EXPECT_EQ(faults, static_cast<unsigned>(KP_SIM_FAULT_split | KP_SIM_FAULT_reset));
	EXPECT_EQ(kp_sim_parse_faults(kp_slice_str(""), &faults, &bad), KP_OK);
	EXPECT_EQ(faults, 0u);
	EXPECT_EQ(kp_sim_parse_faults(kp_slice_str("split,fire"), &faults, &bad), KP_E_INVAL);
	EXPECT_TRUE(kp_slice_eq_str(bad, "fire"));
}

} // namespace
