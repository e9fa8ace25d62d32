/* The arithmetic of scores: every term with values worked out by hand, decay, and the rules that
 * parameters must keep. */
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "svc/gossipsub/score.h"

namespace
{

/* All weights 0: a test turns on the term it is about. */
kp_score_topic_params nothing()
{
	kp_score_topic_params p = {};
	p.topic_weight = 1;
	p.time_in_mesh_quantum_ns = KP_SEC(1);
	p.time_in_mesh_cap = 3600;
	p.first_cap = p.mesh_cap = 1000;
	p.first_decay = p.mesh_decay = p.failure_decay = p.invalid_decay = 0.5;
	p.mesh_threshold = 20;
	p.mesh_activation_ns = KP_SEC(2);
	return p;
}

double sum(const kp_score_topic_params &p, const kp_score_counters &c)
{
	kp_score_topic_terms t;
	kp_score_terms(&p, &c, &t);
	return t.sum;
}

void decay_at(const kp_score_topic_params &p, kp_score_counters &c, kp_time now)
{
	kp_score_decay(&p, 0.01, now, &c);
}

} // namespace

TEST(score_math, time_in_the_mesh_counts_whole_quanta_up_to_the_cap)
{
	kp_score_topic_params p = nothing();
	p.topic_weight = 0.5;
	p.time_in_mesh_weight = 2;
	p.time_in_mesh_quantum_ns = KP_MS(1);
	p.time_in_mesh_cap = 100;
	kp_score_counters c = {};
	kp_score_graft(&c, KP_SEC(5));
	EXPECT_EQ(sum(p, c), 0);
	decay_at(p, c, KP_SEC(5) + KP_US(7999)); /* 7 quanta and a bit */
	EXPECT_EQ(sum(p, c), 0.5 * 2 * 7);
	decay_at(p, c, KP_SEC(5) + KP_MS(99));
	EXPECT_EQ(sum(p, c), 99);
	decay_at(p, c, KP_SEC(6));
	EXPECT_EQ(sum(p, c), 100); /* the cap: 100 × 2 × 0.5 */
	kp_score_prune(&p, &c);
	EXPECT_EQ(sum(p, c), 0);
	kp_score_graft(&c, KP_SEC(7)); /* begins anew */
	EXPECT_EQ(sum(p, c), 0);
}

TEST(score_math, first_deliveries_decay_and_are_capped)
{
	kp_score_topic_params p = nothing();
	p.first_weight = 3;
	p.first_decay = 0.9;
	p.first_cap = 50;
	kp_score_counters c = {};
	for (int i = 0; i < 40; i++)
		kp_score_first(&p, &c);
	EXPECT_EQ(sum(p, c), 120);
	EXPECT_EQ(c.mesh, 0) << "not in the mesh";
	for (int i = 0; i < 40; i++)
		kp_score_first(&p, &c);
	EXPECT_EQ(sum(p, c), 150);
	decay_at(p, c, KP_SEC(1));
	EXPECT_EQ(sum(p, c), 50 * 0.9 * 3);
	double v = 50 * 0.9;
	for (int i = 0; i < 10; i++, v *= 0.9)
		decay_at(p, c, KP_SEC(2));
	EXPECT_EQ(c.first, v);
}

TEST(score_math, a_counter_below_the_least_is_nothing)
{
	EXPECT_EQ(kp_score_decayed(1, 0.5, 0.01), 0.5);
	EXPECT_EQ(kp_score_decayed(0.02, 0.5, 0.01), 0.01);
	EXPECT_EQ(kp_score_decayed(0.0199, 0.5, 0.01), 0.0);
	EXPECT_EQ(kp_score_decayed(0.0, 0.5, 0.01), 0.0);
}

/* A mesh peer of which 20 messages were expected: 0, 1, 19, 20 and 21 of them. */
TEST(score_math, mesh_deliveries_are_owed_once_active)
{
	const struct {
		int brought;
		double expected;
	} cases[] = {{0, -400}, {1, -361}, {19, -1}, {20, 0}, {21, 0}};
	for (auto &k : cases) {
		kp_score_topic_params p = nothing();
		p.mesh_weight = -1;
		p.mesh_decay = 1 - 1e-12; /* as good as none */
		kp_score_counters c = {};
		kp_score_graft(&c, 0);
		for (int i = 0; i < k.brought; i++)
			kp_score_duplicate(&p, &c);
		EXPECT_EQ(sum(p, c), 0) << "not active yet";
		decay_at(p, c, KP_SEC(2));
		EXPECT_EQ(sum(p, c), 0) << "active only when longer than the activation time";
		decay_at(p, c, KP_SEC(2) + 1);
		EXPECT_NEAR(sum(p, c), k.expected, 1e-8);
	}
}

TEST(score_math, mesh_deliveries_are_capped_and_decay)
{
	kp_score_topic_params p = nothing();
	p.mesh_weight = -1;
	p.mesh_cap = 100;
	kp_score_counters c = {};
	kp_score_graft(&c, 0);
	for (int i = 0; i < 150; i++)
		kp_score_first(&p, &c); /* first deliveries of a mesh peer count for both */
	EXPECT_EQ(c.mesh, 100);
	EXPECT_EQ(c.first, 150);
	decay_at(p, c, KP_SEC(3));
	decay_at(p, c, KP_SEC(4));
	EXPECT_EQ(sum(p, c), 0); /* 25 left */
	decay_at(p, c, KP_SEC(5));
	EXPECT_EQ(sum(p, c), -(20 - 12.5) * (20 - 12.5));
}

/* What was owed when the peer left the mesh stays with it, and is not doubled by a second prune. */
TEST(score_math, mesh_failures_stick)
{
	kp_score_topic_params p = nothing();
	p.mesh_weight = -1;
	p.failure_weight = -2;
	kp_score_counters c = {};
	kp_score_graft(&c, 0);
	kp_score_prune(&p, &c);
	EXPECT_EQ(c.failure, 0) << "not active: nothing owed";
	kp_score_graft(&c, 0);
	decay_at(p, c, KP_SEC(3));
	EXPECT_EQ(sum(p, c), -400);
	kp_score_prune(&p, &c);
	EXPECT_EQ(sum(p, c), -800); /* P3b alone: P3 is for mesh peers */
	kp_score_prune(&p, &c);
	EXPECT_EQ(sum(p, c), -800);
	decay_at(p, c, KP_SEC(4));
	EXPECT_EQ(sum(p, c), -400);
	kp_score_graft(&c, KP_SEC(4));
	EXPECT_EQ(sum(p, c), -400) << "a graft does not wash it off";
}

TEST(score_math, invalid_messages_weigh_squared)
{
	kp_score_topic_params p = nothing();
	p.invalid_weight = -1;
	p.invalid_decay = 0.9;
	p.topic_weight = 0.5;
	kp_score_counters c = {};
	const double expected[] = {0, -0.5, -2, -4.5, -8, -12.5};
	for (double e : expected) {
		EXPECT_EQ(sum(p, c), e);
		c.invalid += 1;
	}
	decay_at(p, c, KP_SEC(1));
	EXPECT_EQ(sum(p, c), -0.5 * (6 * 0.9) * (6 * 0.9));
}

TEST(score_math, excess_is_squared_over_the_threshold)
{
	EXPECT_EQ(kp_score_excess(0, 0), 0);
	EXPECT_EQ(kp_score_excess(6, 6), 0);
	EXPECT_EQ(kp_score_excess(7, 6), 1);
	EXPECT_EQ(kp_score_excess(10, 6), 16);
	EXPECT_EQ(kp_score_excess(2.5, 0), 6.25);
}

/* The example of go's documentation of P1 to P4 together, with numbers of our own. */
TEST(score_math, terms_add_up)
{
	kp_score_topic_params p = nothing();
	p.topic_weight = 0.25;
	p.time_in_mesh_weight = 0.5;
	p.first_weight = 1.5;
	p.mesh_weight = -0.1;
	p.mesh_threshold = 30;
	p.failure_weight = -3;
	p.invalid_weight = -7;
	kp_score_counters c = {true, true, 0, KP_SEC(10), 4, 10, 2, 3};
	kp_score_topic_terms t;
	kp_score_terms(&p, &c, &t);
	EXPECT_EQ(t.p1, 5);
	EXPECT_EQ(t.p2, 6);
	EXPECT_NEAR(t.p3, -40, 1e-12);
	EXPECT_EQ(t.p3b, -6);
	EXPECT_EQ(t.p4, -63);
	EXPECT_NEAR(t.sum, 0.25 * (5 + 6 - 40 - 6 - 63), 1e-12);
}

TEST(score_params, defaults_hold)
{
	kp_score_params p = kp_score_params_default();
	EXPECT_EQ(kp_score_params_check(&p), nullptr);
	EXPECT_EQ(p.mode, KP_SCORE_ABUSE);
	EXPECT_EQ(p.topic.mesh_weight, 0) << "the rate of a topic is not known here";
	kp_score_params_apply_mode(&p);
	EXPECT_EQ(p.topic.time_in_mesh_weight, 0);
	EXPECT_EQ(p.topic.first_weight, 0);
	EXPECT_EQ(p.topic.invalid_weight, -1);
	EXPECT_EQ(p.ip_weight, 0);
	EXPECT_EQ(p.behaviour_weight, -1);
	EXPECT_EQ(kp_score_params_check(&p), nullptr);
}

TEST(score_params, each_rule_refuses)
{
	typedef std::function<void(kp_score_params &)> Break;
	const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
	const std::vector<std::pair<const char *, Break>> cases = {
	        {"gossip_threshold", [](auto &p) { p.gossip_threshold = 1; }},
	        {"gossip_threshold", [=](auto &p) { p.gossip_threshold = nan; }},
	        {"publish_threshold", [](auto &p) { p.publish_threshold = -9; }},
	        {"graylist_threshold", [](auto &p) { p.graylist_threshold = -49; }},
	        {"graylist_threshold", [=](auto &p) { p.graylist_threshold = -inf; }},
	        {"accept_px_threshold", [](auto &p) { p.accept_px_threshold = -1; }},
	        {"opportunistic", [](auto &p) { p.opportunistic_graft_threshold = -1; }},
	        {"topic_score_cap", [](auto &p) { p.topic_score_cap = -1; }},
	        {"app_weight", [=](auto &p) { p.app_weight = nan; }},
	        {"ip_weight", [](auto &p) { p.ip_weight = 1; }},
	        {"ip_threshold", [](auto &p) { p.ip_threshold = 0; }},
	        {"behaviour_weight", [](auto &p) { p.behaviour_weight = 1; }},
	        {"behaviour_decay", [](auto &p) { p.behaviour_decay = 1; }},
	        {"behaviour_decay", [](auto &p) { p.behaviour_decay = 0; }},
	        {"behaviour_threshold", [](auto &p) { p.behaviour_threshold = -1; }},
	        {"slow_weight", [](auto &p) { p.slow_weight = 1; }},
	        {"slow_decay", [](auto &p) { p.slow_weight = -1, p.slow_decay = 2; }},
	        {"slow_threshold", [](auto &p) { p.slow_threshold = -1; }},
	        {"decay_interval", [](auto &p) { p.decay_interval_ns = KP_MS(999); }},
	        {"decay_to_zero", [](auto &p) { p.decay_to_zero = 0; }},
	        {"topic_weight", [](auto &p) { p.topic.topic_weight = -1; }},
	        {"time_in_mesh_quantum", [](auto &p) { p.topic.time_in_mesh_quantum_ns = 0; }},
	        {"time_in_mesh_weight", [](auto &p) { p.topic.time_in_mesh_weight = -1; }},
	        {"time_in_mesh_cap", [](auto &p) { p.topic.time_in_mesh_cap = 0; }},
	        {"first_message_deliveries_weight", [](auto &p) { p.topic.first_weight = -1; }},
	        {"first_message_deliveries_decay", [](auto &p) { p.topic.first_decay = 1; }},
	        {"first_message_deliveries_cap", [](auto &p) { p.topic.first_cap = 0; }},
	        {"mesh_message_deliveries_weight", [](auto &p) { p.topic.mesh_weight = 1; }},
	        {"mesh_message_deliveries_decay",
	         [](auto &p) { p.topic.mesh_weight = -1, p.topic.mesh_decay = 0; }},
	        {"mesh_message_deliveries_cap",
	         [](auto &p) { p.topic.mesh_weight = -1, p.topic.mesh_cap = 0; }},
	        {"mesh_message_deliveries_threshold",
	         [](auto &p) { p.topic.mesh_weight = -1, p.topic.mesh_threshold = 0; }},
	        {"mesh_message_deliveries_activation",
	         [](auto &p) { p.topic.mesh_weight = -1, p.topic.mesh_activation_ns = 1; }},
	        {"mesh_failure_penalty_weight", [](auto &p) { p.topic.failure_weight = 1; }},
	        {"mesh_failure_penalty_decay",
	         [](auto &p) { p.topic.failure_weight = -1, p.topic.failure_decay = 1; }},
	        {"invalid_message_deliveries_weight", [](auto &p) { p.topic.invalid_weight = 1; }},
	        {"invalid_message_deliveries_decay", [](auto &p) { p.topic.invalid_decay = 1; }},
	};
	for (auto &k : cases) {
		kp_score_params p = kp_score_params_default();
		k.second(p);
		const char *said = kp_score_params_check(&p);
		ASSERT_NE(said, nullptr) << k.first;
		EXPECT_NE(std::string(said).find(k.first), std::string::npos) << said;
	}
	kp_score_params p = kp_score_params_default();
	kp_score_topic one = {kp_slice_str("t"), p.topic};
	one.params.invalid_weight = 1;
	p.topics = &one;
	p.n_topics = 1;
	EXPECT_NE(kp_score_params_check(&p), nullptr) << "topics of their own are checked too";
}
