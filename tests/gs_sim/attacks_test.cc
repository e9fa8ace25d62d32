/* Attacks with and without scoring: what honest nodes get, and that scoring ends the attack without
 * costing an honest node its place. Each run is made twice and must be the same run. */
#include "attacks.h"

#include <cstring>
#include <gtest/gtest.h>

namespace
{

void tell(const char *name, uint64_t seed, kp_score_mode scoring, AttackResult &r)
{
	static const char *const modes[] = {"without", "abuse", "full"};
	printf("%-12s seed %llu %-7s delivered %7.3f%%, later %7.3f%%; p50 %5.0f ms p99 %6.0f ms, "
	       "later p50 %4.0f p99 %5.0f; attackers in meshes %3u, served %6llu, honest worst "
	       "%.1f\n",
	       name, (unsigned long long)seed, modes[scoring], 100 * r.all.ratio(),
	       100 * r.after.ratio(), (double)r.all.delay(0.5) / 1e6,
	       (double)r.all.delay(0.99) / 1e6, (double)r.after.delay(0.5) / 1e6,
	       (double)r.after.delay(0.99) / 1e6, r.attackers_in_mesh, (unsigned long long)r.served,
	       r.worst_honest);
	fflush(stdout);
}

} // namespace

class Attacks : public ::testing::TestWithParam<std::tuple<unsigned, uint64_t>>
{
};

TEST_P(Attacks, end_with_scores)
{
	const AttackScenario &s = attack_scenarios[std::get<0>(GetParam())];
	uint64_t seed = std::get<1>(GetParam());
	AttackResult without = s.run(seed, KP_SCORE_OFF);
	tell(s.name, seed, KP_SCORE_OFF, without);
	AttackResult with = s.run(seed, KP_SCORE_FULL);
	tell(s.name, seed, KP_SCORE_FULL, with);
	EXPECT_EQ(with.hash, s.run(seed, KP_SCORE_FULL).hash);
	EXPECT_GE(with.after.expected, 90u) << "nothing was measured";
	EXPECT_GT(with.after.ratio(), 0.995);
	EXPECT_GE(with.after.ratio() + 0.001, without.after.ratio());
	EXPECT_EQ(with.honest_graylisted, 0u);
	EXPECT_EQ(with.attackers_in_mesh, 0u);
	bool spam = without.served > 0;
	if (spam) { /* served on and on without scores, hardly at all with them */
		EXPECT_LT(with.served, without.served / 10);
		AttackResult shipped = s.run(seed, KP_SCORE_ABUSE); /* the default is enough */
		tell(s.name, seed, KP_SCORE_ABUSE, shipped);
		EXPECT_LT(shipped.served, without.served / 10);
		EXPECT_GT(shipped.after.ratio(), 0.995);
		EXPECT_EQ(shipped.worst_honest, 0);
	} else {
		EXPECT_GT(without.attackers_in_mesh, 0u) << "this was no attack";
	}
	EXPECT_LT(with.after.delay(0.99), KP_SEC(1));
	if (strcmp(s.name, "eclipse") == 0) { /* the mesh delivers again, not gossip alone */
		EXPECT_LT(with.after.delay(0.5), without.after.delay(0.5) / 2);
	}
}

INSTANTIATE_TEST_SUITE_P(gs_sim, Attacks,
                         ::testing::Combine(::testing::Range(0u, attack_scenarios_n),
                                            ::testing::Values(1, 2, 3)),
                         [](const auto &p) {
	                         unsigned i = std::get<0>(p.param);
	                         return std::string(attack_scenarios[i].name) + "_" +
	                                std::to_string(std::get<1>(p.param));
                         });
