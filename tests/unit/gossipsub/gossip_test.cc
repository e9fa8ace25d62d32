/* IHAVE, IWANT, promises, IDONTWANT and their caps (docs/hostile.md 8, 9). */
#include "gossipsub/harness.h"

static std::vector<std::string> many_ids(unsigned n, const std::string &salt = "")
{
	std::vector<std::string> out;
	for (unsigned i = 0; i < n; i++)
		out.push_back(karak_id(salt + std::to_string(i)));
	return out;
}

static size_t count_ids(const std::vector<Item> &items)
{
	size_t n = 0;
	for (const Item &i : items)
		n += i.ids.size();
	return n;
}

/* Low and high so that scripted peers stay outside the mesh. */
static kp_gs_params outside()
{
	kp_gs_params p = kp_gs_params_default();
	p.d_low = p.d_out = 0;
	return p;
}

TEST(gossip, asks_for_what_it_does_not_have)
{
	Net net(outside());
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_message(signed_message(a.h, 1, "t", "known")));
	a.take();
	a.send(rpc_ihave("t", {karak_id("known"), karak_id("new"), ""}));
	net.settle();
	auto said = a.take(KP_RPC_IWANT);
	ASSERT_EQ(said.size(), 1u);
	EXPECT_EQ(said[0].ids, (std::vector<std::string>{karak_id("new")}));
	a.send(rpc_ihave("t", {karak_id("new")})); /* promised already */
	Script b = net.peer({"t"});
	b.send(rpc_ihave("t", {karak_id("new")}));
	b.send(rpc_ihave("not joined", {karak_id("other")}));
	net.settle();
	EXPECT_TRUE(a.take(KP_RPC_IWANT).empty());
	EXPECT_TRUE(b.take(KP_RPC_IWANT).empty());
}

TEST(gossip, broken_promises_cost_exactly_after_the_follow_up_time)
{
	kp_gs_params p = outside();
	p.heartbeat_ns = KP_MS(10);
	p.history_length = 100;
	p.score.promises = KP_PROMISES_EACH;
	Net net(p);
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_ihave("t", {karak_id("kept"), karak_id("broken"), karak_id("broken 2")}));
	kp_time t0 = net.now();
	a.send(rpc_message(signed_message(a.h, 1, "t", "kept")));
	net.run_until(t0 + KP_SEC(3) - KP_MS(10));
	EXPECT_EQ(net.peer_of(a)->behaviour, 0.0);
	net.run_until(t0 + KP_SEC(3) + KP_MS(10));
	EXPECT_EQ(net.peer_of(a)->behaviour, 2.0);
	EXPECT_EQ(net.stat(KP_STAT_promises_broken), 2u);
}

TEST(gossip, a_bad_signature_does_not_settle_a_promise)
{
	Net net(outside());
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_ihave("t", {karak_id("x")}));
	std::string forged = signed_message(a.h, 1, "t", "x");
	forged.back() ^= 1;
	a.send(rpc_message(forged));
	net.run(KP_SEC(5));
	EXPECT_EQ(net.stat(KP_STAT_promises_broken), 1u);
}

TEST(gossip, ihave_messages_per_heartbeat_are_capped)
{
	kp_gs_params p = outside();
	p.first_heartbeat_ns = KP_SEC(100);
	Net net(p);
	net.subscribe("t");
	Script a = net.peer({"t"});
	for (unsigned i = 0; i < 12; i++)
		a.send(rpc_ihave("t", {karak_id("m" + std::to_string(i))}));
	net.settle();
	EXPECT_EQ(count_ids(a.take(KP_RPC_IWANT)), 10u);
	EXPECT_EQ(net.stat(KP_STAT_ihave_ignored), 2u);
	net.run_until(KP_SEC(1100)); /* the heartbeat clears the counters */
	a.send(rpc_ihave("t", {karak_id("again")}));
	net.settle();
	EXPECT_EQ(count_ids(a.take(KP_RPC_IWANT)), 1u);
}

TEST(gossip, ids_asked_for_per_heartbeat_are_capped)
{
	kp_gs_params p = outside();
	p.first_heartbeat_ns = KP_SEC(100);
	p.max_ihave_ids = 50;
	Net net(p);
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_ihave("t", many_ids(40)));
	a.send(rpc_ihave("t", many_ids(40, "more")));
	a.send(rpc_ihave("t", many_ids(40, "most")));
	net.settle();
	EXPECT_EQ(count_ids(a.take(KP_RPC_IWANT)), 50u);
}

TEST(gossip, control_rpcs_stay_small)
{
	Net net(outside());
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.take();
	a.send(rpc_ihave("t", many_ids(5000)));
	net.settle();
	size_t n = 0;
	for (const std::string &rpc : split_rpcs(a.rx())) {
		EXPECT_LE(rpc.size(), GS_CONTROL_MAX);
		n++;
	}
	EXPECT_GE(n, 7u);
	EXPECT_EQ(count_ids(a.take(KP_RPC_IWANT)), 5000u);
}

TEST(gossip, answers_iwant_three_times)
{
	Net net(outside());
	net.subscribe("t");
	Script a = net.peer({"t"}), b = net.peer({"t"});
	std::string raw = signed_message(a.h, 1, "t", "x");
	a.send(rpc_message(raw));
	b.take();
	for (unsigned i = 0; i < 5; i++)
		b.send(rpc_iwant({karak_id("x"), karak_id("unknown")}));
	net.settle();
	auto got = b.take(KP_RPC_MESSAGE);
	ASSERT_EQ(got.size(), 3u);
	EXPECT_EQ(got[0].raw, raw); /* byte for byte */
	EXPECT_EQ(net.stat(KP_STAT_iwant_ignored), 2u);
	a.take();
	a.send(rpc_iwant({karak_id("x")})); /* counted per peer */
	net.settle();
	EXPECT_EQ(a.take(KP_RPC_MESSAGE).size(), 1u);
}

TEST(gossip, iwant_ids_per_heartbeat_are_capped)
{
	kp_gs_params p = outside();
	p.first_heartbeat_ns = KP_SEC(100);
	p.max_ihave_ids = 100;
	Net net(p);
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_message(signed_message(a.h, 1, "t", "x")));
	a.send(rpc_iwant(many_ids(100)));
	a.take();
	a.send(rpc_iwant({karak_id("x")}));
	net.settle();
	EXPECT_TRUE(a.take(KP_RPC_MESSAGE).empty());
	EXPECT_GE(net.stat(KP_STAT_iwant_ignored), 1u);
}

/* Told of for history_gossip beats, answerable for history_length. */
TEST(gossip, history_windows_end_exactly)
{
	Net net(outside());
	net.subscribe("t");
	Script a = net.peer({"t"}), b = net.peer({"t"});
	net.run_until(KP_SEC(1001)); /* between beats at …,100 ms */
	a.send(rpc_message(signed_message(a.h, 1, "t", "x")));
	b.take();
	size_t told = 0;
	for (unsigned beat = 1; beat <= 5; beat++) {
		net.run(KP_SEC(1));
		told += count_ids(b.take(KP_RPC_IHAVE));
		EXPECT_EQ(told, std::min(beat, 3u)) << beat;
	}
	net.run_until(KP_SEC(1010) + KP_MS(100) - 1); /* the tenth beat ends it */
	EXPECT_EQ(kp_map_count(&net.gs->mcache), 1u);
	net.run_until(KP_SEC(1010) + KP_MS(100));
	EXPECT_EQ(kp_map_count(&net.gs->mcache), 0u);
}

TEST(gossip, goes_to_d_lazy_peers_outside_the_mesh)
{
	kp_gs_params p = kp_gs_params_default();
	p.d_lazy = 3;
	Net net(p);
	net.subscribe("t");
	std::vector<Script> peers;
	for (unsigned i = 0; i < 10; i++)
		peers.push_back(net.peer({"t"}));
	net.publish("t", "x");
	for (Script &s : peers)
		s.take();
	net.run(KP_SEC(1));
	unsigned told = 0;
	for (Script &s : peers) {
		size_t n = s.take(KP_RPC_IHAVE).size();
		EXPECT_TRUE(n == 0 || !net.in_mesh(s, "t"));
		told += n;
	}
	EXPECT_EQ(told, 3u);
}

TEST(gossip, idontwant_goes_out_before_validation_to_1_2_mesh_peers)
{
	kp_gs_params p = kp_gs_params_default();
	p.verify_inline_max = 0;
	Net slow(p);
	slow.router->jobs_stuck = true; /* nothing is verified yet */
	slow.subscribe("t");
	Script a = slow.peer({"t"}), b = slow.peer({"t"}), out = slow.peer({"t"});
	Script old = slow.peer({"t"}, false, "/meshsub/1.1.0");
	for (Script *s : {&a, &b, &old})
		s->send(rpc_graft("t"));
	for (Script *s : {&a, &b, &old, &out})
		s->take();
	std::string raw = signed_message(a.h, 1, "t", std::string(1000, 'x'));
	a.send(rpc_message(raw) + rpc_message(signed_message(a.h, 2, "t", "small")));
	slow.settle();
	auto said = b.take();
	ASSERT_EQ(said.size(), 1u);
	EXPECT_EQ(said[0].kind, KP_RPC_IDONTWANT);
	EXPECT_EQ(said[0].ids, (std::vector<std::string>{karak_id(std::string(1000, 'x'))}));
	EXPECT_TRUE(a.take().empty());
	EXPECT_TRUE(old.take().empty());
	EXPECT_TRUE(out.take().empty());
	b.send(rpc_message(raw)); /* only for the first copy */
	slow.settle();
	EXPECT_TRUE(b.take().empty());
	EXPECT_EQ(slow.stat(KP_STAT_idontwant_sent), 1u);
}

TEST(gossip, idontwant_cancels_forwards_not_begun)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"}), b = net.peer({"t"});
	b.take();
	b.send(rpc_idontwant({karak_id("no")}));
	a.send(rpc_message(signed_message(a.h, 1, "t", "no")));
	a.send(rpc_message(signed_message(a.h, 2, "t", "yes")));
	net.settle();
	EXPECT_EQ(b.take(KP_RPC_MESSAGE).size(), 1u);
	EXPECT_EQ(net.stat(KP_STAT_cancelled_forwards), 1u);
	/* queued and not begun, because the peer does not read */
	b.h->window = 0;
	a.send(rpc_message(signed_message(a.h, 3, "t", "queued")));
	a.send(rpc_message(signed_message(a.h, 4, "t", "queued too")));
	b.send(rpc_idontwant({karak_id("queued")}));
	b.h->window = 1 << 20;
	net.net->touch(net.router);
	for (kp_stream *s : net.router->streams)
		kp_stream_want_write(s);
	net.settle();
	auto got = b.take(KP_RPC_MESSAGE);
	ASSERT_EQ(got.size(), 1u);
	EXPECT_NE(got[0].raw.find("queued too"), std::string::npos);
}

TEST(gossip, a_copy_from_the_peer_cancels_the_forward_to_it)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"}), b = net.peer({"t"});
	b.take();
	b.h->window = 0;
	std::string raw = signed_message(a.h, 1, "t", "x");
	a.send(rpc_message(raw));
	b.send(rpc_message(raw));
	b.h->window = 1 << 20;
	for (kp_stream *s : net.router->streams)
		kp_stream_want_write(s);
	net.settle();
	EXPECT_TRUE(b.take(KP_RPC_MESSAGE).empty());
	EXPECT_EQ(net.stat(KP_STAT_cancelled_forwards), 1u);
}

/* docs/hostile.md 9 */
TEST(gossip, idontwant_ids_are_capped_and_expire)
{
	kp_gs_params p = kp_gs_params_default();
	p.idontwant_max_ids = 100;
	Net net(p);
	net.subscribe("t");
	Script b = net.peer({"t"});
	b.send(rpc_idontwant(many_ids(100)));
	kp_time t0 = net.now();
	b.send(rpc_idontwant({karak_id("over")}));
	EXPECT_EQ(net.stat(KP_STAT_idontwant_ignored), 1u);
	uint64_t fp = kp_gs_fp(net.gs, kp_slice_of(karak_id("0").data(), karak_id("0").size()));
	EXPECT_TRUE(kp_gossip_unwanted(net.peer_of(b), t0 + KP_SEC(3) - 1, fp));
	EXPECT_FALSE(kp_gossip_unwanted(net.peer_of(b), t0 + KP_SEC(3), fp));
	net.run(KP_SEC(5));
	EXPECT_EQ(net.peer_of(b)->dont_send, nullptr); /* memory given back */
}

TEST(gossip, an_iwant_for_an_unwanted_message_is_not_answered)
{
	Net net(outside());
	net.subscribe("t");
	Script a = net.peer({"t"}), b = net.peer({"t"});
	a.send(rpc_message(signed_message(a.h, 1, "t", "x")));
	b.take();
	b.send(rpc_idontwant({karak_id("x")}) + rpc_iwant({karak_id("x")}));
	net.settle();
	EXPECT_TRUE(b.take(KP_RPC_MESSAGE).empty());
}
