/* Scores at a live router: what each event costs or earns, and what each threshold keeps out. */
#include "gossipsub/harness.h"

#include "crypto/identity.h"

namespace
{

/* Scoring on, every weight 0, mesh never cut, no gossip in the way: a test turns on its term. */
kp_gs_params quiet()
{
	kp_gs_params p = kp_gs_params_default();
	p.score.mode = KP_SCORE_FULL;
	p.score.topic_score_cap = 0;
	p.score.behaviour_weight = p.score.ip_weight = 0;
	p.score.app_weight = 1;
	kp_score_topic_params &t = p.score.topic;
	t.time_in_mesh_weight = t.first_weight = t.mesh_weight = t.failure_weight = 0;
	t.invalid_weight = 0;
	t.first_decay = t.mesh_decay = t.failure_decay = t.invalid_decay = 0.5;
	return p;
}

struct Scored {
	explicit Scored(const kp_gs_params &p) : net(p)
	{
		net.subscribe("t");
	}
	double score(const Script &s)
	{
		return info(s).score;
	}
	kp_gs_score_info info(const Script &s)
	{
		kp_gs_score_info i;
		kp_peer_id id = s.id();
		EXPECT_TRUE(kp_gs_peer_score(net.gs, &id, &i));
		return i;
	}
	kp_score_topic_terms terms(const Script &s)
	{
		kp_score_topic_terms t = {};
		kp_slice topic;
		kp_peer_id id = s.id();
		kp_gs_peer_score_topic_at(net.gs, &id, 0, &topic, &t);
		return t;
	}
	const kp_score_counters *counters(const Script &s)
	{
		gs_score *sc = net.peer_of(s)->score;
		static const kp_score_counters none = {};
		if (sc == nullptr || kp_list_empty(&sc->topics))
			return &none;
		return &KP_CONTAINER_OF(sc->topics.next, gs_topic_score, link)->c;
	}
	/* Just before the decay of second n after the start. */
	void until_before_decay(unsigned n)
	{
		net.run_until(KP_SEC(1000) + KP_SEC(n) - KP_MS(100));
	}
	void app(const Script &s, double v)
	{
		gs_score *sc = net.peer_of(s)->score;
		sc->app = v;
		sc->stale = true;
	}
	void message(Script &s, const std::string &data)
	{
		s.send(rpc_message(signed_message(s.h, ++seq, "t", data)));
	}
	Net net;
	uint64_t seq = 0;
};

std::string forged(kp_host *h, uint64_t seq, const std::string &data)
{
	std::string m = signed_message(h, seq, "t", data);
	m.back() ^= 1;
	return rpc_message(m);
}

kp_maddr maddr(const char *text)
{
	kp_maddr m = {};
	const char *why;
	EXPECT_EQ(kp_maddr_parse_text(kp_slice_str(text), &m, &why), KP_OK);
	return m;
}

/* A record by which that node says where it is. */
std::string record_of(kp_host *h, const char *addr)
{
	kp_maddr m = maddr(addr);
	kp_slice a = kp_maddr_slice(&m);
	uint8_t room[512];
	kp_writer w = kp_writer_of(room, sizeof room);
	EXPECT_EQ(kp_peer_record_seal(h->net->crypto, &h->self, 7, &a, 1, &w), KP_OK);
	return std::string((const char *)room, w.n);
}

std::string bytes_of(const kp_peer_id &id)
{
	kp_slice s = kp_peer_id_slice(&id);
	return std::string((const char *)s.p, s.n);
}

} // namespace

TEST(score, time_in_the_mesh_is_counted_from_the_graft)
{
	kp_gs_params p = quiet();
	p.score.topic.time_in_mesh_weight = 2;
	p.score.topic.time_in_mesh_quantum_ns = KP_SEC(1);
	p.score.topic.time_in_mesh_cap = 5;
	Scored x(p);
	Script a = x.net.peer({"t"});
	a.send(rpc_graft("t"));
	EXPECT_EQ(x.score(a), 0);
	x.until_before_decay(4);
	EXPECT_EQ(x.score(a), 4) << "two whole seconds at the decay of second 3";
	x.until_before_decay(20);
	EXPECT_EQ(x.score(a), 10);
	a.send(rpc_prune("t"));
	EXPECT_EQ(x.score(a), 0);
}

/* P2 for the first, P3 for it and for mesh peers in time, nothing for others; each peer once. */
TEST(score, deliveries_go_to_whom_they_are_due)
{
	kp_gs_params p = quiet();
	p.score.topic.first_weight = 1;
	p.score.topic.mesh_weight = -1;
	p.score.topic.mesh_threshold = 4;
	p.score.topic.mesh_window_ns = KP_MS(10);
	p.d_low = p.d_out = 0; /* who is not grafted stays out */
	Scored x(p);
	Script first = x.net.peer({"t"}), mesh = x.net.peer({"t"}), late = x.net.peer({"t"}),
	       other = x.net.peer({"t"});
	for (Script *s : {&first, &mesh, &late})
		s->send(rpc_graft("t"));
	ASSERT_FALSE(x.net.in_mesh(other, "t"));
	std::string m = rpc_message(signed_message(first.h, 1, "t", "x"));
	first.send(m);
	mesh.send(m);
	mesh.send(m); /* once is enough */
	other.send(m);
	first.send(m); /* its own again */
	x.net.run(KP_MS(20));
	late.send(m);
	EXPECT_EQ(x.counters(first)->first, 1);
	EXPECT_EQ(x.counters(first)->mesh, 1);
	EXPECT_EQ(x.counters(mesh)->first, 0);
	EXPECT_EQ(x.counters(mesh)->mesh, 1);
	EXPECT_EQ(x.counters(late)->mesh, 0);
	EXPECT_EQ(x.counters(other)->mesh, 0);
	EXPECT_EQ(x.score(first), 1) << "P3 is not active yet";
}

TEST(score, copies_that_come_during_validation_count)
{
	kp_gs_params p = quiet();
	p.score.topic.mesh_weight = -1;
	p.score.topic.mesh_window_ns = 0;
	Scored x(p);
	x.net.subscribe("t", true);
	Script a = x.net.peer({"t"}), b = x.net.peer({"t"});
	for (Script *s : {&a, &b})
		s->send(rpc_graft("t"));
	std::string m = rpc_message(signed_message(a.h, 1, "t", "x"));
	a.send(m);
	x.net.run(KP_MS(300));
	b.send(m);
	EXPECT_EQ(x.counters(b)->mesh, 0);
	auto ev = x.net.events(KP_EV_VALIDATE);
	ASSERT_EQ(ev.size(), 1u);
	kp_gs_verdict(x.net.gs, x.net.now(), ev[0]->token, KP_ACCEPT);
	EXPECT_EQ(x.counters(a)->mesh, 1);
	EXPECT_EQ(x.counters(b)->mesh, 1);
	x.net.run(KP_MS(1));
	a.send(m); /* has been counted */
	EXPECT_EQ(x.counters(a)->mesh, 1);
}

/* Nothing brought for 20 expected: −400 once active, and stuck to it after the prune. */
TEST(score, mesh_peers_that_bring_nothing)
{
	kp_gs_params p = quiet();
	p.score.topic.mesh_weight = -1;
	p.score.topic.failure_weight = -2;
	p.score.topic.failure_decay = 0.9;
	p.score.topic.mesh_threshold = 20;
	p.score.topic.mesh_activation_ns = KP_SEC(3);
	p.heartbeat_ns = KP_SEC(100); /* it would be pruned */
	p.score.graylist_threshold = -10000;
	p.seen_ttl_ns = KP_SEC(100);
	Scored x(p);
	Script a = x.net.peer({"t"});
	a.send(rpc_graft("t"));
	x.until_before_decay(4);
	EXPECT_EQ(x.score(a), 0);
	x.until_before_decay(5);
	EXPECT_EQ(x.terms(a).p3, -400);
	EXPECT_EQ(x.score(a), -400);
	a.send(rpc_prune("t"));
	EXPECT_EQ(x.terms(a).p3, 0);
	EXPECT_EQ(x.terms(a).p3b, -800);
	x.until_before_decay(6);
	EXPECT_NEAR(x.score(a), -720, 1e-9);
}

TEST(score, invalid_messages_of_every_kind_and_their_decay)
{
	kp_gs_params p = quiet();
	p.score.topic.invalid_weight = -1;
	p.score.topic.topic_weight = 0.5;
	Scored x(p);
	Script a = x.net.peer({"t"});
	a.send(forged(a.h, 1, "1"));
	x.net.settle();
	EXPECT_EQ(x.score(a), -0.5);
	a.send(forged(a.h, 2, "2"));
	x.net.settle();
	EXPECT_EQ(x.score(a), -2);
	EXPECT_EQ(x.terms(a).p4, -4);
	x.until_before_decay(3); /* two decays: 2 → 1 → 0.5 */
	EXPECT_EQ(x.score(a), -0.125);
	EXPECT_EQ(x.info(a).invalid, 2);
}

/* Attackers that have come in numbers must not keep us from looking for others. */
TEST(score, peers_below_zero_are_not_the_peers_that_are_wanted)
{
	Scored x(quiet());
	std::vector<Script> peers;
	for (uint32_t i = 0; i < x.net.gs->par.d; i++) {
		EXPECT_TRUE(kp_gs_wants_peers(x.net.gs)) << i;
		peers.push_back(x.net.peer({"t"}));
	}
	EXPECT_FALSE(kp_gs_wants_peers(x.net.gs));
	x.app(peers[0], -1);
	EXPECT_TRUE(kp_gs_wants_peers(x.net.gs));
	x.net.peer({"t"});
	EXPECT_FALSE(kp_gs_wants_peers(x.net.gs));
}

/* A loop that is late each time must not decay more slowly than go's, whose ticker keeps to its
 * grid; after a pause nothing is made up for. */
TEST(score, late_decays_keep_to_their_grid)
{
	Scored x(quiet());
	kp_timers *timers = &x.net.router->timers;
	kp_time at = x.net.gs->decay.at;
	for (unsigned i = 0; i < 3; i++) {
		at += KP_SEC(1);
		kp_timers_run(timers, x.net.gs->decay.at + KP_MS(300));
		EXPECT_EQ(x.net.gs->decay.at, at);
	}
	kp_timers_run(timers, at + KP_MS(3500));
	EXPECT_EQ(x.net.gs->decay.at, at + KP_MS(4500));
	x.net.run_until(at + KP_SEC(4));
}

/* Whoever brings a message again that was rejected pays too; ignored ones cost nobody. */
TEST(score, rejected_messages_stay_rejected)
{
	kp_gs_params p = quiet();
	p.score.topic.invalid_weight = -1;
	Scored x(p);
	x.net.subscribe("t", true);
	Script a = x.net.peer({"t"}), b = x.net.peer({"t"}), c = x.net.peer({"t"});
	std::string bad = rpc_message(signed_message(a.h, 1, "t", "bad"));
	std::string meh = rpc_message(signed_message(a.h, 2, "t", "meh"));
	a.send(bad);
	b.send(bad);
	a.send(meh);
	x.net.settle();
	auto ev = x.net.events(KP_EV_VALIDATE);
	ASSERT_EQ(ev.size(), 2u);
	kp_gs_verdict(x.net.gs, x.net.now(), ev[0]->token, KP_REJECT);
	kp_gs_verdict(x.net.gs, x.net.now(), ev[1]->token, KP_IGNORE);
	c.send(bad);
	c.send(meh);
	x.net.settle();
	EXPECT_EQ(x.score(a), -1);
	EXPECT_EQ(x.score(b), -1);
	EXPECT_EQ(x.score(c), -1);
	EXPECT_TRUE(x.net.events(KP_EV_VALIDATE).empty());
}

TEST(score, one_promise_of_a_batch_counts_or_each)
{
	for (kp_score_promises how : {KP_PROMISES_BATCH, KP_PROMISES_EACH}) {
		kp_gs_params p = quiet();
		p.score.behaviour_weight = -10;
		p.score.behaviour_threshold = 0;
		p.score.behaviour_decay = 0.5;
		p.score.promises = how;
		p.d_low = p.d_out = 0;
		Scored x(p);
		Script a = x.net.peer({"t"});
		x.until_before_decay(1);
		std::vector<std::string> ids;
		for (int i = 0; i < 5; i++)
			ids.push_back(karak_id(std::to_string(i)));
		a.send(rpc_ihave("t", ids));
		x.net.settle();
		ASSERT_EQ(a.take(KP_RPC_IWANT).size(), 1u);
		x.net.run(KP_SEC(5));
		double n = how == KP_PROMISES_BATCH ? 1 : 5;
		EXPECT_EQ(x.net.stat(KP_STAT_promises_broken), 5u);
		EXPECT_EQ(x.info(a).misbehaviour, n);
		EXPECT_EQ(x.info(a).p7, -10 * (n / 2) * (n / 2)) << "decayed once since";
	}
}

/* What we said before a restart comes back by gossip: nobody's fault. */
TEST(score, our_own_message_keeps_a_promise)
{
	kp_gs_params p = quiet();
	p.score.behaviour_weight = p.score.topic.invalid_weight = -1;
	p.score.behaviour_threshold = 0;
	p.d_low = p.d_out = 0;
	Scored x(p);
	Script a = x.net.peer({"t"});
	a.send(rpc_ihave("t", {karak_id("mine")}));
	x.net.settle();
	ASSERT_EQ(a.take(KP_RPC_IWANT).size(), 1u);
	a.send(rpc_message(signed_message(x.net.router, 1, "t", "mine")));
	x.net.run(KP_SEC(5));
	EXPECT_EQ(x.net.stat(KP_STAT_rejected_self), 1u);
	EXPECT_EQ(x.net.stat(KP_STAT_promises_broken), 0u);
	EXPECT_EQ(x.score(a), 0);
}

/* Worked out as go does: 1 for a graft in backoff, 1 more within 10 s of the prune. */
TEST(score, grafts_in_backoff)
{
	kp_gs_params p = quiet();
	p.score.behaviour_weight = -1;
	p.score.behaviour_threshold = 2;
	p.score.behaviour_decay = 0.9;
	Scored x(p);
	Script a = x.net.peer({"t"});
	a.send(rpc_prune("t"));
	x.until_before_decay(2);
	a.send(rpc_graft("t"));
	EXPECT_EQ(x.info(a).misbehaviour, 2);
	EXPECT_EQ(x.score(a), 0) << "not over the threshold";
	a.send(rpc_graft("t"));
	EXPECT_EQ(x.info(a).misbehaviour, 4);
	x.until_before_decay(3);
	EXPECT_NEAR(x.info(a).p7, -(4 * 0.9 - 2) * (4 * 0.9 - 2), 1e-9);
	EXPECT_EQ(x.net.stat(KP_STAT_graft_backoff), 2u);
}

TEST(score, neighbours_on_one_address)
{
	kp_gs_params p = quiet();
	p.score.ip_weight = -1;
	p.score.ip_threshold = 2;
	const kp_score_net exempt[] = {{{9, 9, 128, 0}, 4, 17}};
	p.score.exempt = exempt;
	p.score.n_exempt = 1;
	Scored x(p);
	auto at = [&](const char *addr) {
		Script s = x.net.stranger();
		s.h->addr = maddr(addr);
		x.net.connect(s);
		return s;
	};
	std::vector<Script> same, home, loop, exempted, sixes;
	for (int i = 0; i < 5; i++) {
		same.push_back(at("/ip4/8.8.4.4/tcp/1"));
		home.push_back(at("/ip4/192.168.1.7/tcp/1"));
		loop.push_back(at("/ip4/127.0.0.1/tcp/1"));
		exempted.push_back(at("/ip4/9.9.200.1/tcp/1"));
		std::string six = "/ip6/2600:1::" + std::to_string(i + 1) + "/tcp/1";
		sixes.push_back(at(six.c_str()));
	}
	Script alone = at("/ip4/9.9.1.1/tcp/1");
	EXPECT_EQ(x.info(same[0]).p6, -9) << "three over the threshold of two";
	EXPECT_EQ(x.info(sixes[0]).p6, -9) << "one /64";
	for (const Script *s : {&home[0], &loop[0], &exempted[0], &alone})
		EXPECT_EQ(x.score(*s), 0);
	fake_disconnect(same[4].h, x.net.router);
	x.net.settle();
	EXPECT_EQ(x.score(same[0]), -4);
	for (int i = 1; i < 4; i++)
		fake_disconnect(same[i].h, x.net.router);
	x.net.settle();
	EXPECT_EQ(x.score(same[0]), 0);
}

TEST(score, the_topic_cap_and_the_applications_word)
{
	kp_gs_params p = quiet();
	p.score.topic.first_weight = 10;
	p.score.topic_score_cap = 25;
	p.score.app_weight = 2;
	Scored x(p);
	Script a = x.net.peer({"t"});
	x.until_before_decay(1);
	for (int i = 0; i < 2; i++)
		x.message(a, std::to_string(i));
	x.net.run(KP_US(100));
	EXPECT_EQ(x.score(a), 20);
	x.message(a, "3");
	EXPECT_EQ(x.score(a), 25);
	x.app(a, -4);
	EXPECT_EQ(x.score(a), 17);
	EXPECT_EQ(x.info(a).p5, -8);
}

TEST(score, the_applications_word_comes_from_the_parameters)
{
	Script s;
	kp_score_app app = {};
	app.score = 12.5;
	kp_gs_params p = quiet();
	p.score.apps = &app;
	p.score.n_apps = 1;
	fake_net *probe = fake_net_new(1, false); /* same seed, same identities */
	fake_node(probe, nullptr);
	app.peer = fake_id(fake_node(probe, nullptr));
	fake_net_free(probe);
	Scored x(p);
	s = x.net.peer({"t"});
	ASSERT_TRUE(kp_peer_id_eq(&app.peer, &s.h->self.id));
	EXPECT_EQ(x.score(s), 12.5);
}

/* Below 0 and above are told apart when the peer goes: go keeps what is not positive. */
TEST(score, coming_back_is_no_way_to_be_forgiven)
{
	kp_gs_params p = quiet();
	p.score.topic.invalid_weight = -1;
	p.score.topic.first_weight = 1;
	p.score.retain_ns = KP_SEC(60);
	Scored x(p);
	Script bad = x.net.peer({"t"}), good = x.net.peer({"t"});
	x.until_before_decay(1);
	bad.send(forged(bad.h, 1, "1"));
	bad.send(forged(bad.h, 2, "2"));
	x.message(bad, "but also this");
	x.message(good, "fine");
	EXPECT_EQ(x.score(bad), -3);
	EXPECT_EQ(x.score(good), 1);
	x.net.run(KP_US(10));
	for (Script *s : {&bad, &good})
		fake_disconnect(s->h, x.net.router);
	x.net.settle();
	EXPECT_EQ(x.net.gs->n_retained, 1u);
	x.net.run(KP_SEC(50));
	for (Script *s : {&bad, &good})
		x.net.connect(*s);
	EXPECT_EQ(x.score(good), 0) << "a positive score is not kept";
	double kept = x.score(bad);
	EXPECT_LE(kept, -1) << "it does not decay while away, and what it earned is gone";
	fake_disconnect(bad.h, x.net.router);
	x.net.run(KP_SEC(62));
	EXPECT_EQ(x.net.gs->n_retained, 0u);
	x.net.connect(bad);
	EXPECT_EQ(x.score(bad), 0);
}

TEST(score, a_peer_below_zero_leaves_the_mesh_and_does_not_come_in)
{
	Scored x(quiet());
	Script a = x.net.peer({"t"}), b = x.net.peer({"t"});
	a.send(rpc_graft("t"));
	ASSERT_TRUE(x.net.in_mesh(a, "t"));
	a.take();
	x.app(a, -0.001);
	x.app(b, -0.001);
	x.net.run(KP_MS(1100));
	EXPECT_FALSE(x.net.in_mesh(a, "t"));
	auto prunes = a.take(KP_RPC_PRUNE);
	ASSERT_EQ(prunes.size(), 1u);
	EXPECT_EQ(prunes[0].backoff, 60u);
	EXPECT_GE(x.net.stat(KP_STAT_pruned_score), 1u);
	x.net.run(KP_SEC(70));
	b.take();
	b.send(rpc_graft("t"));
	x.net.settle();
	EXPECT_FALSE(x.net.in_mesh(b, "t"));
	EXPECT_EQ(x.net.stat(KP_STAT_graft_score), 1u);
	EXPECT_EQ(b.take(KP_RPC_PRUNE).size(), 1u);
	EXPECT_EQ(x.info(b).misbehaviour, 0);
}

TEST(score, below_the_gossip_threshold_there_is_no_gossip)
{
	kp_gs_params p = quiet();
	p.flood_publish = false;
	p.d = p.d_low = p.d_out = p.d_score = 0;
	Scored x(p);
	Script a = x.net.peer({"t"}), b = x.net.peer({"t"});
	x.app(a, p.score.gossip_threshold);
	x.app(b, p.score.gossip_threshold - 0.001);
	Script src = x.net.peer({"t"});
	x.message(src, "news");
	x.net.run(KP_SEC(2));
	EXPECT_GE(a.take(KP_RPC_IHAVE).size(), 1u);
	EXPECT_TRUE(b.take(KP_RPC_IHAVE).empty());
	EXPECT_GE(x.net.stat(KP_STAT_gossip_withheld), 1u);
	for (Script *s : {&a, &b}) {
		s->send(rpc_iwant({karak_id("news")}));
		s->send(rpc_ihave("t", {karak_id("other " + std::to_string(s->h->index))}));
	}
	x.net.settle();
	auto of_a = a.take(), of_b = b.take();
	EXPECT_EQ(of_a.size(), 2u) << "the message, and an IWANT";
	EXPECT_TRUE(of_b.empty());
	EXPECT_EQ(x.net.stat(KP_STAT_iwant_score), 1u);
	EXPECT_EQ(x.net.stat(KP_STAT_ihave_score), 1u);
}

TEST(score, below_the_publish_threshold_nothing_is_flooded)
{
	Scored x(quiet());
	Script a = x.net.peer({"t"}), b = x.net.peer({"t"}),
	       f = x.net.peer({"t"}, false, "/floodsub/1.0.0"),
	       g = x.net.peer({"t"}, false, "/floodsub/1.0.0");
	double limit = quiet().score.publish_threshold;
	for (Script *s : {&a, &f})
		x.app(*s, limit);
	for (Script *s : {&b, &g})
		x.app(*s, limit - 0.001);
	x.net.run(KP_SEC(2)); /* out of the mesh */
	for (Script *s : {&a, &b, &f, &g})
		s->take();
	x.net.publish("t", "mine");
	x.net.settle();
	EXPECT_EQ(a.take(KP_RPC_MESSAGE).size(), 1u);
	EXPECT_EQ(f.take(KP_RPC_MESSAGE).size(), 1u);
	EXPECT_TRUE(b.take(KP_RPC_MESSAGE).empty());
	EXPECT_TRUE(g.take(KP_RPC_MESSAGE).empty());
	EXPECT_EQ(x.net.stat(KP_STAT_publish_withheld), 2u);
	Script src = x.net.peer({"t"});
	x.message(src, "theirs"); /* a floodsub peer gets what is forwarded, under the same rule */
	x.net.settle();
	EXPECT_EQ(f.take(KP_RPC_MESSAGE).size(), 1u);
	EXPECT_TRUE(g.take(KP_RPC_MESSAGE).empty());
}

TEST(score, fanout_takes_and_keeps_nobody_below_the_publish_threshold)
{
	kp_gs_params p = quiet();
	p.flood_publish = false;
	Scored x(p);
	Script a = x.net.peer({"u"}), b = x.net.peer({"u"});
	x.app(b, p.score.publish_threshold - 1);
	x.net.publish("u", "1");
	x.net.settle();
	EXPECT_EQ(a.take(KP_RPC_MESSAGE).size(), 1u);
	EXPECT_TRUE(b.take(KP_RPC_MESSAGE).empty());
	x.app(a, p.score.publish_threshold - 1);
	x.net.run(KP_SEC(1) + KP_MS(200));
	EXPECT_EQ(kp_gs_topic_find(x.net.gs, kp_slice_str("u"))->n_fanout, 0u);
}

TEST(score, from_a_graylisted_peer_only_subscriptions_are_taken)
{
	kp_gs_params p = quiet();
	Scored x(p);
	Script a = x.net.peer({"t"}), b = x.net.peer({"t"});
	x.app(a, p.score.graylist_threshold);
	x.app(b, p.score.graylist_threshold - 0.001);
	x.message(a, "just good enough");
	x.message(b, "not any more");
	b.send(rpc_ihave("t", {karak_id("y")}));
	b.send(rpc_graft("t"));
	b.send(rpc_sub("u"));
	x.net.settle();
	EXPECT_EQ(x.net.payloads(), (std::vector<std::string>{"just good enough"}));
	EXPECT_EQ(x.net.stat(KP_STAT_rpc_graylisted), 4u);
	EXPECT_EQ(x.net.stat(KP_STAT_graft_score), 0u);
	EXPECT_EQ(x.net.peer_of(b)->n_members, 2u);
	x.app(b, 0);
	x.message(b, "welcome back");
	x.net.settle();
	EXPECT_EQ(x.net.payloads(), (std::vector<std::string>{"welcome back"}));
}

TEST(score, direct_peers_are_above_every_threshold)
{
	kp_gs_params p = quiet();
	Scored x(p);
	Script d = x.net.peer({"t"});
	kp_peer_id id = d.id();
	ASSERT_EQ(kp_gs_set_direct(x.net.gs, x.net.now(), &id), KP_OK);
	x.app(d, -1000);
	d.take();
	x.message(d, "from a friend");
	x.net.publish("t", "to a friend");
	x.net.settle();
	EXPECT_EQ(x.net.payloads(), (std::vector<std::string>{"from a friend"}));
	EXPECT_EQ(d.take(KP_RPC_MESSAGE).size(), 1u);
	EXPECT_EQ(x.net.stat(KP_STAT_rpc_graylisted), 0u);
}

/* A mesh of worthless peers takes in better ones, two a minute, and no worse ones. */
TEST(score, opportunistic_grafts)
{
	kp_gs_params p = quiet();
	p.score.opportunistic_graft_threshold = 5;
	p.d = p.d_score = 3;
	p.d_low = 3;
	p.d_out = 0;
	Scored x(p);
	std::vector<Script> mesh, good, poor;
	for (int i = 0; i < 3; i++)
		mesh.push_back(x.net.peer({"t"}));
	x.net.run(KP_SEC(1));
	for (int i = 0; i < 3; i++) {
		good.push_back(x.net.peer({"t"}));
		poor.push_back(x.net.peer({"t"}));
		x.app(mesh[i], 1);
		x.app(good[i], 2);
		x.app(poor[i], 0.5);
	}
	x.net.run(KP_SEC(50));
	EXPECT_EQ(x.net.mesh("t"), 3u);
	x.net.run(KP_SEC(20));
	EXPECT_EQ(x.net.mesh("t"), 5u);
	EXPECT_EQ(x.net.stat(KP_STAT_opportunistic_grafts), 2u);
	for (Script &s : poor)
		EXPECT_FALSE(x.net.in_mesh(s, "t"));
	x.net.run(KP_SEC(60)); /* 1 1 1 2 2: the median is still 1 */
	EXPECT_EQ(x.net.mesh("t"), 6u);
	x.net.run(KP_SEC(60));
	EXPECT_EQ(x.net.mesh("t"), 6u) << "the median is 2 now: nobody is above it";
	for (auto *all : {&mesh, &good})
		for (Script &s : *all)
			x.app(s, 6);
	x.app(poor[0], 7);
	x.net.run(KP_SEC(60));
	EXPECT_EQ(x.net.stat(KP_STAT_opportunistic_grafts), 3u) << "the mesh is good enough";
}

TEST(score, abuse_mode_sees_abuse_alone_and_off_sees_nothing)
{
	for (kp_score_mode mode : {KP_SCORE_OFF, KP_SCORE_ABUSE}) {
		kp_gs_params p = kp_gs_params_default();
		p.score.mode = mode;
		p.score.topic.mesh_weight = -1;
		p.score.topic.mesh_activation_ns = KP_SEC(1);
		Scored x(p);
		Script a = x.net.peer({"t"});
		a.send(rpc_graft("t"));
		x.message(a, "fine");
		x.net.run(KP_SEC(10));
		EXPECT_EQ(x.score(a), 0);
		EXPECT_TRUE(x.net.in_mesh(a, "t"));
		for (unsigned i = 0; i < 9; i++)
			a.send(forged(a.h, 100 + i, std::to_string(i)));
		x.net.settle();
		EXPECT_EQ(x.score(a), mode == KP_SCORE_OFF ? 0 : -81);
		EXPECT_EQ(x.info(a).invalid, 9);
		x.message(a, "again");
		x.net.settle();
		EXPECT_EQ(x.net.payloads().size(), mode == KP_SCORE_OFF ? 2u : 1u);
	}
}

TEST(score, slow_peers)
{
	kp_gs_params p = quiet();
	p.score.slow_weight = -0.5;
	p.score.slow_threshold = 1;
	p.send_forward_max = 2;
	Scored x(p);
	Script slow = x.net.peer({"t"}), src = x.net.peer({"t"});
	slow.send(rpc_graft("t"));
	x.until_before_decay(1);
	slow.h->reads = false;
	for (int i = 0; i < 200; i++)
		x.message(src, std::string(2000, 'x') + std::to_string(i));
	uint64_t dropped = x.net.stat(KP_STAT_dropped_forward);
	EXPECT_GT(dropped, 10u);
	EXPECT_LT(x.info(slow).slow, 0);
	EXPECT_EQ(x.info(src).slow, 0);
}

/* ---- peer exchange ---- */

TEST(px, offers_are_taken_from_peers_of_high_standing_alone)
{
	Scored x(quiet());
	Script a = x.net.peer({"t"}), other = x.net.stranger(), liar = x.net.stranger();
	x.net.peer_of(a)->scope = KP_SCOPE_PUBLIC;
	kp_peer_id none = other.id();
	std::string good = record_of(other.h, "/ip4/8.8.4.4/tcp/4001");
	std::string inner = record_of(liar.h, "/ip4/10.0.0.1/tcp/22");
	std::vector<std::pair<std::string, std::string>> px = {
	        {bytes_of(none), good},
	        {bytes_of(liar.id()), good}, /* a record of somebody else */
	        {bytes_of(liar.id()), good.substr(0, good.size() - 1)},
	        {"not an id", ""}};
	x.app(a, quiet().score.accept_px_threshold - 0.001);
	a.send(rpc_prune("t", 60, px));
	EXPECT_TRUE(x.net.router->dialled.empty());
	EXPECT_EQ(x.net.stat(KP_STAT_px_refused), 1u);
	x.app(a, quiet().score.accept_px_threshold);
	a.send(rpc_prune("t", 60, px));
	ASSERT_EQ(x.net.router->dialled.size(), 1u);
	EXPECT_TRUE(kp_peer_id_eq(&x.net.router->dialled[0], &none));
	kp_maddr want = maddr("/ip4/8.8.4.4/tcp/4001");
	ASSERT_EQ(x.net.router->dialled_at[0].size(), 1u);
	EXPECT_TRUE(kp_maddr_eq(&x.net.router->dialled_at[0][0], &want));
	EXPECT_EQ(x.net.stat(KP_STAT_px_invalid), 3u);
	EXPECT_EQ(x.net.stat(KP_STAT_px_dialled), 1u);
	a.send(rpc_prune("t", 60, {{bytes_of(liar.id()), inner}, {bytes_of(a.id()), ""}}));
	ASSERT_EQ(x.net.router->dialled.size(), 2u) << "we are connected to a already";
	EXPECT_TRUE(x.net.router->dialled_at[1].empty()) << "no inner addresses from outside";
}

TEST(px, at_most_so_many_are_taken)
{
	kp_gs_params p = quiet();
	p.px_peers = 3;
	Scored x(p);
	Script a = x.net.peer({"t"});
	x.app(a, 100);
	std::vector<std::pair<std::string, std::string>> px;
	for (int i = 0; i < 10; i++)
		px.push_back({bytes_of(x.net.stranger().id()), ""});
	a.send(rpc_prune("t", 60, px));
	EXPECT_EQ(x.net.router->dialled.size(), 3u);
}

/* A mesh that is full offers, with signed records, peers of good standing; not to those pruned for
 * their score, and not at all unless told to. */
TEST(px, a_full_mesh_offers_others)
{
	for (bool on : {false, true}) {
		kp_gs_params p = quiet();
		p.px_send = on;
		p.d = p.d_low = p.d_high = p.d_score = 2;
		p.d_out = 0;
		Scored x(p);
		std::vector<Script> in;
		for (int i = 0; i < 2; i++) {
			in.push_back(x.net.peer({"t"}));
			in[i].send(rpc_graft("t"));
		}
		std::vector<std::string> records;
		for (Script &s : in) {
			records.push_back(record_of(s.h, "/ip4/8.8.4.4/tcp/4001"));
			kp_identify_info info = {};
			kp_peer_id id = s.id();
			info.signed_record =
			        kp_slice_of(records.back().data(), records.back().size());
			kp_gs_svc_ops.on_identified(x.net.gs, x.net.now(), &id, &info);
		}
		kp_identify_info lie = {};
		lie.signed_record = kp_slice_of(records[0].data(), records[0].size());
		Script late = x.net.peer({"t"});
		kp_peer_id late_id = late.id();
		kp_gs_svc_ops.on_identified(x.net.gs, x.net.now(), &late_id, &lie);
		EXPECT_EQ(x.net.stat(KP_STAT_px_invalid), on ? 1u : 0u);
		x.app(in[1], -1);
		late.take();
		late.send(rpc_graft("t"));
		x.net.settle();
		auto prunes = late.take(KP_RPC_PRUNE);
		ASSERT_EQ(prunes.size(), 1u);
		if (!on) {
			EXPECT_TRUE(prunes[0].px.empty());
			continue;
		}
		ASSERT_EQ(prunes[0].px.size(), 1u) << "the other is below 0";
		EXPECT_EQ(prunes[0].px[0].first, bytes_of(in[0].id()));
		EXPECT_EQ(prunes[0].px[0].second, records[0]);
		in[1].take();
		x.net.run(KP_MS(1500));
		prunes = in[1].take(KP_RPC_PRUNE);
		ASSERT_EQ(prunes.size(), 1u) << "pruned for its score";
		EXPECT_TRUE(prunes[0].px.empty());
	}
}
