// Every scenario of the table for several seeds, each seed twice; and proof that each checker can
// fail: something is broken on purpose at one node and must be noticed.
#include "sim/sim.h"

#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <sstream>

namespace
{

kp_sim_options scenario(const std::string &name, uint64_t seed)
{
	const kp_sim_scenario *s = kp_sim_scenario_find(kp_slice_of(name.data(), name.size()));
	EXPECT_NE(s, nullptr) << name;
	return kp_sim_scenario_options(s, seed);
}

void expect_holds(const std::string &name, uint64_t seed)
{
	kp_sim_report r;
	kp_sim_options o = scenario(name, seed);
	EXPECT_EQ(kp_sim_run_twice(&o, &r), KP_OK)
	        << r.violation << "\nreplay: karakp2p sim --scenario " << name << " --seed "
	        << seed;
}

// --- every scenario
// -------------------------------------------------------------------------------

std::vector<std::string> small_scenarios(bool attacks)
{
	std::vector<std::string> names;
	const kp_sim_scenario *s;
	for (size_t i = 0; (s = kp_sim_scenario_at(i)) != nullptr; i++) {
		kp_sim_options o = kp_sim_scenario_options(s, 1);
		if (o.nodes < 100 && (o.attack != KP_SIM_ATTACK_none) == attacks)
			names.push_back(kp_sim_scenario_name(s));
	}
	return names;
}

class scenarios : public testing::TestWithParam<std::string>
{
};

TEST_P(scenarios, hold)
{
	for (uint64_t seed : {1, 2})
		expect_holds(GetParam(), seed);
}

std::string name_of(const testing::TestParamInfo<std::string> &i)
{
	return i.param;
}

INSTANTIATE_TEST_SUITE_P(table, scenarios, testing::ValuesIn(small_scenarios(false)), name_of);

// Every allocation fails, every second one, and so on to every 1,009th.
TEST(sweep, allocation_failures)
{
	std::set<unsigned> every;
	for (uint64_t seed = 10; seed < 20; seed++) {
		every.insert(scenario("nomem", seed).fail_every);
		expect_holds("nomem", seed);
	}
	EXPECT_EQ(every.size(), 10u);
	EXPECT_EQ(*every.begin(), 1u);
}

// --- attacks, each a test of its own in tests/CMakeLists.txt
// -----------------------------------------

// With scoring and without. That it helps is judged by the run; how much, here.
void expect_attack_ends(const std::string &name, uint64_t seed)
{
	kp_sim_report r[KP_SIM_SCORE_COUNT];
	kp_sim_score failed;
	kp_sim_options o = scenario(name, seed);
	EXPECT_EQ(kp_sim_run_attack(&o, r, &failed), KP_OK)
	        << kp_sim_score_name(failed) << ": " << r[failed].violation
	        << "\nreplay: karakp2p sim --scenario " << name << " --seed " << seed;
	const kp_sim_report &off = r[KP_SIM_SCORE_off], &full = r[KP_SIM_SCORE_full];
	EXPECT_NE(off.trace_hash, full.trace_hash);
	EXPECT_GE(full.late.expected, 60u);
	if (off.served == 0) {
		EXPECT_GT(off.late.latency_ms_p50, 3 * full.late.latency_ms_p50) << name << seed;
		EXPECT_GT(off.late.latency_ms_p99, 3 * full.late.latency_ms_p99) << name << seed;
		EXPECT_EQ(r[KP_SIM_SCORE_abuse].events, 0u);
	} else {
		EXPECT_LT(r[KP_SIM_SCORE_abuse].served, off.served / 20) << name << seed;
		EXPECT_LT(full.served, off.served / 20) << name << seed;
		EXPECT_EQ(full.attackers_meshed, 0) << name << seed;
	}
}

class attacks : public testing::TestWithParam<std::string>
{
};

TEST_P(attacks, end_with_scoring)
{
	for (uint64_t seed : {1, 2})
		expect_attack_ends(GetParam(), seed);
}

INSTANTIATE_TEST_SUITE_P(table, attacks, testing::ValuesIn(small_scenarios(true)), name_of);

// --- seeds
// ---------------------------------------------------------------------------------------

// What a soak run has found once (scripts/soak): lines "scenario seed what was wrong".
TEST(seeds, found_before)
{
	std::ifstream in(KP_TEST_SOURCE_DIR "/tests/sim/seeds.txt");
	std::string line, name;
	ASSERT_TRUE(in.is_open());
	while (std::getline(in, line)) {
		std::istringstream words(line);
		uint64_t seed = 0;
		if (line.empty() || line[0] == '#')
			continue;
		ASSERT_TRUE(words >> name >> seed) << line;
		if (scenario(name, seed).attack != KP_SIM_ATTACK_none)
			expect_attack_ends(name, seed);
		else
			expect_holds(name, seed);
	}
}

// --- large ones, each a test of its own in tests/CMakeLists.txt
// ------------------------------------

// Processor time, so that other programs on the machine do not count.
double cpu_seconds()
{
	return static_cast<double>(clock()) / CLOCKS_PER_SEC;
}

// The second run remembers verdicts instead of computing them: the answers, and so the whole run,
// must be the same.
TEST(large, two_hundred_nodes_with_real_crypto_within_a_minute)
{
	kp_sim_options o = scenario("join200", 1);
	kp_sim_report real, memo;
	EXPECT_FALSE(o.memo_verify);
	double begin = cpu_seconds();
	EXPECT_EQ(kp_sim_run(&o, &real), KP_OK) << real.violation;
	double took = cpu_seconds() - begin;
	RecordProperty("cpu_seconds", std::to_string(took));
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	EXPECT_LT(took, 60);
#endif
	EXPECT_EQ(real.all.delivered, real.all.expected);
	o.memo_verify = true;
	EXPECT_EQ(kp_sim_run(&o, &memo), KP_OK) << memo.violation;
	EXPECT_EQ(real.trace_hash, memo.trace_hash);
}

TEST(large, a_third_of_two_hundred_comes_and_goes)
{
	expect_holds("churn", 1);
}

// --- checkers fail
// --------------------------------------------------------------------------------

// Runs a scenario with something broken and returns the violation.
std::string violation(kp_sim_break what, kp_sim_options o)
{
	kp_sim_report r;
	o.broken = what;
	EXPECT_EQ(kp_sim_run_twice(&o, &r), KP_E_INTERNAL);
	return r.violation;
}

#define EXPECT_FOUND(what, options, text)                                                          \
	EXPECT_NE(violation(KP_SIM_BREAK_##what, options).find(text), std::string::npos)           \
	        << violation(KP_SIM_BREAK_##what, options)

TEST(checkers, find_what_is_delivered_wrongly)
{
	kp_sim_options o = scenario("join2", 1);
	EXPECT_FOUND(lose, o, "was not given");
	EXPECT_FOUND(late, o, "after 300");
	EXPECT_FOUND(twice, o, "twice");
	EXPECT_FOUND(invent, o, "nobody published");
	EXPECT_FOUND(own, o, "its own message");
	o.expect.delivery = 0.999; // a share is asked: none is named
	EXPECT_FOUND(lose, o, "less than 99.900 %");
	o.duration = KP_SEC(12); // over before a message could be judged
	EXPECT_FOUND(none, o, "nothing was proved");
}

TEST(checkers, find_what_is_left_behind)
{
	kp_sim_options o = scenario("join2", 1);
	EXPECT_FOUND(leak, o, "leaked 1 block");
	EXPECT_FOUND(socket, o, "left a connection open");
	EXPECT_FOUND(stale, o, "which is closed");
	EXPECT_FOUND(stuck, o, "did not stop");
}

TEST(checkers, find_meshes_out_of_bounds)
{
	kp_sim_options o = scenario("join20", 1);
	o.nodes = 32;
	o.duration = KP_SEC(120);
	EXPECT_FOUND(overmesh, o, "in its mesh");
	EXPECT_FOUND(undermesh, o, "node 1 has 1 of");
}

TEST(checkers, find_an_inbox_without_limit)
{
	kp_sim_options o = scenario("fullbox", 1);
	o.nodes = 4;
	o.rate = 200;
	o.size = 8192;
	EXPECT_FOUND(hoard, o, "needed");
}

TEST(checkers, find_invented_peers)
{
	EXPECT_FOUND(believe, scenario("poison", 1), "believes in peer");
	EXPECT_FOUND(mistake, scenario("lookup", 1), "lookups named the right address");
}

TEST(checkers, find_attackers_that_keep_their_places)
{
	for (const char *name : {"eclipse", "ihavespam"}) {
		kp_sim_options o = scenario(name, 1);
		o.duration = KP_SEC(40);
		EXPECT_FOUND(indulge, o, "node 1 has had attacker");
	}
}

TEST(checkers, find_honest_nodes_ill_spoken_of)
{
	kp_sim_options o = scenario("graftflood", 1);
	o.duration = KP_SEC(20);
	EXPECT_FOUND(slander, o, "node 2 is worth -100.0 to node 1");
}

// Node 1 is the target, so every delivery to it counts.
TEST(checkers, find_what_the_target_of_an_eclipse_lacks)
{
	kp_sim_options o = scenario("eclipse", 1);
	EXPECT_FOUND(late, o, "deliveries at the end took 300");
	o.expect.delivery = 0;
	EXPECT_FOUND(lose, o, "deliveries at the end, less than 99.500 %");
}

TEST(checkers, find_attacks_that_are_none)
{
	for (const char *name : {"coldboot", "invalidspam"}) {
		kp_sim_options o = scenario(name, 1);
		o.duration = KP_SEC(20);
		o.expect = {};
		o.expect.struck = true;
		EXPECT_FOUND(idle, o, "the attack never struck");
	}
}

// Scores that are kept nowhere make no difference, which only the comparison can tell.
TEST(checkers, find_scoring_that_is_no_help)
{
	for (const char *name : {"eclipse", "graftflood"}) {
		kp_sim_report r[KP_SIM_SCORE_COUNT];
		kp_sim_score failed;
		kp_sim_options o = scenario(name, 1);
		o.duration = KP_SEC(24);
		o.expect = {};
		o.broken = KP_SIM_BREAK_same;
		EXPECT_EQ(kp_sim_run_attack(&o, r, &failed), KP_E_INTERNAL);
		EXPECT_NE(std::string(r[failed].violation).find("scoring is no help"),
		          std::string::npos)
		        << r[failed].violation;
	}
}

TEST(checkers, find_runs_that_differ)
{
	EXPECT_FOUND(hash, scenario("join2", 1), "trace hash");
}

TEST(checkers, find_faults_that_never_strike)
{
	kp_sim_options o = scenario("join2", 1);
	o.nodes = 8;
	o.duration = KP_SEC(30);
	o.expect = {};
	o.expect.struck = true;
	for (const char *name :
	     {"stall", "reset", "partition", "oneway", "crash", "bootdown", "deaf", "vanish",
	      "nomem", "fullbox", "churn", "bootlate", "partial"}) {
		kp_slice bad;
		ASSERT_EQ(kp_sim_parse_faults(kp_slice_str(name), &o.faults, &bad), KP_OK);
		EXPECT_FOUND(idle, o, std::string("the fault ") + name);
	}
}

// --- the table
// ------------------------------------------------------------------------------------

TEST(table, every_fault_has_a_scenario_of_its_own)
{
	unsigned covered = 0;
	const kp_sim_scenario *s;
	for (size_t i = 0; (s = kp_sim_scenario_at(i)) != nullptr; i++)
		covered |= kp_sim_scenario_options(s, 1).faults;
#define COVERED(name, bit, text) EXPECT_TRUE(covered &(bit)) << #name;
	KP_SIM_FAULTS(COVERED)
#undef COVERED
	EXPECT_EQ(kp_sim_scenario_find(kp_slice_str("nonsense")), nullptr);
}

TEST(table, every_attack_has_a_scenario_of_its_name)
{
#define ATTACK(name, text)                                                                         \
	EXPECT_EQ(scenario(#name, 1).attack, KP_SIM_ATTACK_##name);                                \
	EXPECT_GT(scenario(#name, 1).attackers, 0u);
	KP_SIM_ATTACKS(ATTACK)
#undef ATTACK
}

} // namespace
