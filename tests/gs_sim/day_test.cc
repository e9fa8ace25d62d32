/* A day of an honest network with churn, each node judged by all others: under parameters that rust
 * ships and under a set that a network of go nodes has published, nobody is ever pruned or shut out
 * for what honest routers do. */
#include "gs_sim.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gossipsub/harness.h"

namespace
{

/* go's ScoreParameterDecay: gone after that many seconds. */
double decay_over(double seconds)
{
	return std::pow(0.01, 1 / seconds);
}

/* rust-libp2p's PeerScoreParams::default() and PeerScoreThresholds::default(): no topic is scored
 * until somebody gives it parameters; misbehaviour costs from the first time on. */
void rust_defaults(kp_score_params *p)
{
	p->mode = KP_SCORE_FULL;
	p->gossip_threshold = -10;
	p->publish_threshold = -50;
	p->graylist_threshold = -80;
	p->accept_px_threshold = 10;
	p->opportunistic_graft_threshold = 20;
	p->topic_score_cap = 3600;
	p->app_weight = 10;
	p->ip_weight = -5;
	p->ip_threshold = 10;
	p->behaviour_weight = -10;
	p->behaviour_threshold = 0;
	p->behaviour_decay = 0.2;
	p->slow_weight = -0.2;
	p->slow_threshold = 0;
	p->slow_decay = 0.2;
	p->decay_interval_ns = KP_SEC(1);
	p->decay_to_zero = 0.1;
	p->retain_ns = KP_SEC(3600);
	p->promises = KP_PROMISES_EACH;
	p->topic.topic_weight = 0;
}

/* What Filecoin's nodes run for their blocks topic: misbehaviour is remembered for an hour, an
 * invalid message costs everything. */
void filecoin_blocks(kp_score_params *p)
{
	p->mode = KP_SCORE_FULL;
	p->gossip_threshold = -500;
	p->publish_threshold = -1000;
	p->graylist_threshold = -2500;
	p->accept_px_threshold = 1000;
	p->opportunistic_graft_threshold = 3.5;
	p->topic_score_cap = 0;
	p->app_weight = 1;
	p->ip_weight = -100;
	p->ip_threshold = 5;
	p->behaviour_weight = -10;
	p->behaviour_threshold = 6;
	p->behaviour_decay = decay_over(3600);
	p->slow_weight = 0;
	p->decay_interval_ns = KP_SEC(1);
	p->decay_to_zero = 0.01;
	p->retain_ns = KP_SEC(6 * 3600);
	p->promises = KP_PROMISES_BATCH;
	p->topic.topic_weight = 0.1;
	p->topic.time_in_mesh_weight = 0.00027;
	p->topic.time_in_mesh_quantum_ns = KP_SEC(1);
	p->topic.time_in_mesh_cap = 1;
	p->topic.first_weight = 5;
	p->topic.first_decay = decay_over(3600);
	p->topic.first_cap = 100;
	p->topic.mesh_weight = p->topic.failure_weight = 0;
	p->topic.invalid_weight = -1000;
	p->topic.invalid_decay = decay_over(3600);
}

/* Our own, whole and as shipped. */
void own_full(kp_score_params *p)
{
	*p = kp_score_params_default();
	p->mode = KP_SCORE_FULL;
}

void own_default(kp_score_params *p)
{
	*p = kp_score_params_default();
}

struct Judge {
	const char *name;
	void (*set)(kp_score_params *);
	unsigned hours;
};

const Judge judges[] = {{"rust", rust_defaults, 24},
                        {"filecoin", filecoin_blocks, 24},
                        {"own_full", own_full, 6},
                        {"own_default", own_default, 6}};

constexpr unsigned NODES = 18, STEADY = 9;

/* The lowest score that any of the nodes has at another of them. */
double sim_worst_score(GsSim &sim)
{
	double worst = 0;
	for (kp_host *at : sim.nodes) {
		for (kp_host *of : sim.nodes) {
			kp_gs_score_info s;
			if (kp_gs_peer_score(at->gs, &of->self.id, &s))
				worst = std::min(worst, s.score);
		}
	}
	return worst;
}

/* A message every ten seconds; every two minutes one of the churning half goes or comes back. */
void live(GsSim &sim, unsigned hours, double &worst)
{
	std::vector<bool> down(NODES, false);
	for (unsigned s = 0; s < hours * 3600; s += 10) {
		sim.publish(200, (int)sim.random(STEADY));
		sim.run(KP_SEC(10));
		if (s % 120 == 0) {
			unsigned n = STEADY + sim.random(NODES - STEADY);
			down[n] = !down[n];
			sim.set_up(n, !down[n]);
			for (unsigned k = 0; k < 4 && !down[n]; k++)
				sim.connect(n, sim.random(STEADY));
		}
		if (s % 60 == 0)
			worst = std::min(worst, sim_worst_score(sim));
		for (kp_host *h : sim.nodes)
			fake_drop_events(h);
	}
}

} // namespace

class Day : public ::testing::TestWithParam<Judge>
{
};

TEST_P(Day, honest_nodes_are_never_pruned_for_their_score)
{
	SimOptions o;
	o.nodes = NODES;
	o.seed = 24;
	GetParam().set(&o.params.score);
	ASSERT_EQ(kp_gs_params_check(&o.params), nullptr);
	GsSim sim(o);
	sim.run(KP_SEC(5));
	double worst = 0;
	live(sim, GetParam().hours, worst);
	printf("%s: %u h, %llu messages, %.4f%% delivered, worst score %.2f, misbehaviour "
	       "%llu+%llu\n",
	       GetParam().name, GetParam().hours, (unsigned long long)sim.count.published,
	       100 * sim.count.ratio(), worst, (unsigned long long)sim.stat(KP_STAT_graft_backoff),
	       (unsigned long long)sim.stat(KP_STAT_promises_broken));
	EXPECT_EQ(worst, 0);
	EXPECT_EQ(sim.stat(KP_STAT_pruned_score), 0u);
	EXPECT_EQ(sim.stat(KP_STAT_graft_score), 0u);
	EXPECT_EQ(sim.stat(KP_STAT_rpc_graylisted), 0u);
	EXPECT_EQ(sim.stat(KP_STAT_gossip_withheld), 0u);
	EXPECT_EQ(sim.stat(KP_STAT_publish_withheld), 0u);
	EXPECT_GT(sim.count.ratio(), 0.999);
}

INSTANTIATE_TEST_SUITE_P(gs_sim, Day, ::testing::ValuesIn(judges),
                         [](const auto &p) { return std::string(p.param.name); });

/* Two hundred quick restarts: a node that said goodbye comes back a second or a few later, grafts
 * its old peers at once, and has done nothing wrong. */
TEST_P(Day, a_restart_costs_nothing)
{
	SimOptions o;
	o.nodes = 10;
	o.seed = 5;
	GetParam().set(&o.params.score);
	GsSim sim(o);
	sim.run(KP_SEC(5));
	double worst = 0;
	for (unsigned i = 0; i < 200; i++) {
		unsigned n = sim.random(10);
		sim.restart(n, true, KP_SEC(1) + KP_MS(500) * (i % 8));
		for (unsigned k = 0; k < 10; k++)
			sim.connect(n, k);
		for (unsigned k = 0; k < 40; k++) {
			sim.run(KP_MS(500));
			worst = std::min(worst, sim_worst_score(sim));
		}
		sim.publish(100);
		for (kp_host *h : sim.nodes)
			fake_drop_events(h);
	}
	sim.run(KP_SEC(5));
	printf("%s: worst score %.2f, grafts in backoff %llu\n", GetParam().name, worst,
	       (unsigned long long)sim.stat(KP_STAT_graft_backoff));
	EXPECT_EQ(sim.stat(KP_STAT_graft_backoff), 0u);
	EXPECT_EQ(sim.stat(KP_STAT_pruned_score), 0u);
	EXPECT_EQ(worst, 0);
	EXPECT_GT(sim.count.ratio(), 0.999);
}

/* The judge can condemn: a peer that grafts through its backoff is noticed under each set. */
TEST_P(Day, misbehaviour_is_noticed)
{
	SimOptions o;
	o.nodes = 2;
	GetParam().set(&o.params.score);
	GsSim sim(o);
	kp_host *bad = fake_node(sim.net, nullptr);
	fake_connect(bad, sim.nodes[0], KP_MS(1));
	kp_stream *s = fake_script_open(bad, sim.nodes[0], "/meshsub/1.1.0");
	ASSERT_NE(s, nullptr);
	std::string rpc = rpc_sub("topic-0") + rpc_prune("topic-0");
	for (int i = 0; i < 20; i++)
		rpc += rpc_graft("topic-0");
	fake_script_send(s, rpc.data(), rpc.size());
	sim.run(KP_MS(10));
	kp_gs_score_info info;
	ASSERT_TRUE(kp_gs_peer_score(sim.nodes[0]->gs, &bad->self.id, &info));
	EXPECT_LT(info.score, 0);
}
