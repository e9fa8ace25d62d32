/* GRAFT, PRUNE, backoffs and the heartbeat's mesh bounds, with exact times. */
#include "gossipsub/harness.h"

static kp_gs_params no_low()
{
	kp_gs_params p = kp_gs_params_default();
	p.d_low = p.d_out = 0;
	return p;
}

TEST(mesh, graft_at_once_on_subscribe_while_below_d_low)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"}), b = net.peer({"t"}), c = net.peer({"t"});
	EXPECT_TRUE(net.in_mesh(a, "t"));
	EXPECT_TRUE(net.in_mesh(b, "t"));
	EXPECT_FALSE(net.in_mesh(c, "t")); /* D_low = 2 reached; a mesh of 2 to 12 rests */
	auto said = a.take();
	ASSERT_EQ(said.size(), 2u);
	EXPECT_EQ(said[0].kind, KP_RPC_SUBOPT);
	EXPECT_TRUE(said[0].subscribe);
	EXPECT_EQ(said[1].kind, KP_RPC_GRAFT);
	EXPECT_EQ(said[1].topic, "t");
	EXPECT_EQ(c.take().size(), 1u);
	net.run(KP_SEC(10));
	EXPECT_EQ(net.mesh("t"), 2u);
}

/* rust drops a GRAFT silently that comes before the SUBSCRIBE on the same stream. */
TEST(mesh, subscribe_goes_before_graft)
{
	Net net;
	Script a = net.peer({"t", "u"});
	a.take();
	net.subscribe("t");
	net.subscribe("u");
	net.settle();
	auto said = a.take();
	ASSERT_EQ(said.size(), 4u);
	std::map<std::string, bool> subscribed;
	for (const Item &i : said) {
		if (i.kind == KP_RPC_SUBOPT)
			subscribed[i.topic] = true;
		else
			EXPECT_TRUE(i.kind == KP_RPC_GRAFT && subscribed[i.topic]);
	}
}

TEST(mesh, only_meshsub_peers_with_an_open_stream_are_grafted)
{
	Net net;
	net.subscribe("t");
	Script flood = net.peer({"t"}, false, "/floodsub/1.0.0");
	EXPECT_FALSE(net.in_mesh(flood, "t"));
	EXPECT_EQ(net.peer_of(flood)->kind, GS_KIND_FLOODSUB);
	Script mute = net.stranger(); /* speaks no pubsub, yet opens a stream to us */
	mute.h->served.clear();
	net.connect(mute);
	mute.open();
	mute.send(rpc_sub("t") + rpc_graft("t"));
	net.settle();
	EXPECT_FALSE(net.in_mesh(mute, "t"));
	net.run(KP_SEC(3));
	EXPECT_EQ(net.mesh("t"), 0u);
	for (const Item &i : flood.take())
		EXPECT_EQ(i.kind, KP_RPC_SUBOPT);
}

TEST(mesh, accepts_a_graft)
{
	Net net(no_low());
	net.subscribe("t");
	Script a = net.peer({"t"});
	EXPECT_FALSE(net.in_mesh(a, "t"));
	a.take();
	a.send(rpc_graft("t"));
	EXPECT_TRUE(net.in_mesh(a, "t"));
	EXPECT_EQ(net.router->keep[std::string((char *)a.id().b, a.id().n)] & KP_KEEP_MESH,
	          (unsigned)KP_KEEP_MESH);
	a.send(rpc_graft("t")); /* again: nothing */
	net.settle();
	EXPECT_TRUE(a.take().empty());
	EXPECT_EQ(net.stat(KP_STAT_graft_refused), 0u);
}

/* docs/hostile.md 10 */
TEST(mesh, ignores_grafts_of_unknown_topics_and_non_subscribers)
{
	Net net(no_low());
	net.subscribe("t");
	Script a = net.peer();
	a.take();
	a.send(rpc_graft("t") + rpc_graft("nothing"));
	net.settle();
	EXPECT_TRUE(a.take().empty());
	EXPECT_EQ(net.mesh("t"), 0u);
	EXPECT_EQ(net.stat(KP_STAT_graft_ignored), 2u);
	EXPECT_EQ(net.peer_of(a)->behaviour, 0.0);
}

TEST(mesh, prune_backoff_ends_exactly_for_the_peer)
{
	Net net(no_low());
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_graft("t"));
	a.send(rpc_prune("t", 30));
	kp_time t0 = net.now();
	EXPECT_FALSE(net.in_mesh(a, "t"));
	a.take();
	net.run_until(t0 + KP_SEC(30) - LATENCY - 1);
	fake_script_send(a.out, rpc_graft("t").data(), rpc_graft("t").size());
	net.run_until(t0 + KP_SEC(30) - 1); /* arrives one nanosecond too early */
	EXPECT_FALSE(net.in_mesh(a, "t"));
	EXPECT_EQ(net.stat(KP_STAT_graft_backoff), 1u);
	EXPECT_EQ(net.peer_of(a)->behaviour, 1.0);
	net.settle();
	auto said = a.take(KP_RPC_PRUNE);
	ASSERT_EQ(said.size(), 1u);
	EXPECT_TRUE(said[0].has_backoff);
	EXPECT_EQ(said[0].backoff, 60u); /* and it starts anew */
	kp_time t1 = t0 + KP_SEC(30) - 1;
	net.run_until(t1 + KP_SEC(60) - LATENCY);
	a.send(rpc_graft("t"));
	ASSERT_EQ(net.now(), t1 + KP_SEC(60));
	EXPECT_TRUE(net.in_mesh(a, "t"));
	EXPECT_EQ(net.peer_of(a)->behaviour, 1.0);
}

TEST(mesh, graft_flood_costs_double)
{
	Net net(no_low());
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_prune("t")); /* without a backoff: ours, 60 s */
	kp_time t0 = net.now();
	net.run_until(t0 + KP_SEC(10) - LATENCY - 1);
	fake_script_send(a.out, rpc_graft("t").data(), rpc_graft("t").size());
	net.run_until(t0 + KP_SEC(10) - 1);
	EXPECT_EQ(net.peer_of(a)->behaviour, 2.0);
}

TEST(mesh, graft_after_the_flood_time_costs_one)
{
	Net net(no_low());
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_prune("t"));
	kp_time t0 = net.now();
	net.run_until(t0 + KP_SEC(10) - LATENCY);
	a.send(rpc_graft("t"));
	EXPECT_EQ(net.peer_of(a)->behaviour, 1.0);
}

/* We wait one heartbeat longer than the peer asked (slack), to the nanosecond. */
TEST(mesh, we_graft_again_after_backoff_and_slack)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	EXPECT_TRUE(net.in_mesh(a, "t"));
	a.send(rpc_prune("t", 5));
	kp_time t0 = net.now();
	kp_time until = t0 + KP_SEC(6);
	kp_time first = KP_SEC(1000) + KP_MS(100); /* heartbeats come at first + n s */
	kp_time beat = first + (until - first + KP_SEC(1) - 1) / KP_SEC(1) * KP_SEC(1);
	net.run_until(beat - 1);
	EXPECT_FALSE(net.in_mesh(a, "t"));
	net.run_until(beat);
	EXPECT_TRUE(net.in_mesh(a, "t"));
}

/* docs/hostile.md 2: what overflows elsewhere is clamped here. */
TEST(mesh, huge_backoffs_are_clamped)
{
	Net net(no_low());
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_prune("t", INT64_MAX));
	kp_time t0 = net.now();
	gs_topic *t = kp_gs_topic_find(net.gs, kp_slice_str("t"));
	kp_peer_id id = a.id();
	EXPECT_EQ(kp_mesh_backoff_until(t, &id), t0 + KP_SEC(3600));
	std::string body("\x1a\x10\x22\x0e\x0a\x01t\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	                 18);
	a.send(rpc_frame(body)); /* 2^64 - 1 */
	EXPECT_EQ(kp_mesh_backoff_until(t, &id), t0 + LATENCY + KP_SEC(3600));
	net.run(KP_SEC(5));
	EXPECT_NE(a.in(), nullptr);
}

TEST(mesh, backoff_outlives_the_connection)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_prune("t", 60));
	fake_disconnect(a.h, net.router);
	net.connect(a);
	a.open();
	a.send(rpc_sub("t"));
	net.run(KP_SEC(5));
	EXPECT_FALSE(net.in_mesh(a, "t"));
	a.send(rpc_graft("t"));
	EXPECT_EQ(net.stat(KP_STAT_graft_backoff), 1u);
}

/* It has crashed, perhaps, and cannot know; the PRUNE tells it. */
TEST(mesh, the_first_graft_of_a_connection_is_refused_without_blame)
{
	Net net(no_low());
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_graft("t"));
	a.send(rpc_prune("t", 60));
	fake_disconnect(a.h, net.router);
	net.connect(a);
	a.open();
	a.send(rpc_sub("t"));
	a.take();
	a.send(rpc_graft("t"));
	EXPECT_FALSE(net.in_mesh(a, "t"));
	EXPECT_EQ(net.stat(KP_STAT_graft_backoff), 1u);
	EXPECT_EQ(net.peer_of(a)->behaviour, 0.0);
	net.settle();
	EXPECT_EQ(a.take(KP_RPC_PRUNE).size(), 1u);
	a.send(rpc_graft("t"));
	EXPECT_EQ(net.peer_of(a)->behaviour, 2.0);
}

TEST(mesh, at_d_high_only_peers_we_dialled_are_accepted)
{
	kp_gs_params p = no_low();
	p.d = p.d_score = 2;
	p.d_high = 4;
	p.heartbeat_ns = KP_SEC(1000);
	p.first_heartbeat_ns = KP_SEC(1000);
	p.seen_ttl_ns = KP_SEC(2000);
	Net net(p);
	net.subscribe("t");
	std::vector<Script> in;
	for (unsigned i = 0; i < 5; i++) {
		in.push_back(net.peer({"t"}));
		in[i].take();
		in[i].send(rpc_graft("t"));
		net.settle();
	}
	EXPECT_EQ(net.mesh("t"), 4u);
	EXPECT_FALSE(net.in_mesh(in[4], "t"));
	auto said = in[4].take(KP_RPC_PRUNE);
	ASSERT_EQ(said.size(), 1u);
	EXPECT_EQ(said[0].backoff, 60u);
	Script out = net.peer({"t"}, true);
	out.send(rpc_graft("t"));
	EXPECT_TRUE(net.in_mesh(out, "t"));
	EXPECT_EQ(net.mesh("t"), 5u);
}

TEST(mesh, heartbeat_reduces_to_d_and_keeps_outbound)
{
	kp_gs_params p = kp_gs_params_default();
	p.heartbeat_ns = p.first_heartbeat_ns = KP_SEC(10);
	for (uint64_t seed = 1; seed <= 12; seed++) {
		Net net(p, false, seed);
		net.subscribe("t");
		std::vector<Script> peers;
		for (unsigned i = 0; i < 12; i++) {
			peers.push_back(net.peer({"t"}, i < 2));
			peers[i].send(rpc_graft("t"));
		}
		EXPECT_EQ(net.mesh("t"), 12u);
		net.run_until(KP_SEC(1010));
		EXPECT_EQ(net.mesh("t"), 6u);
		EXPECT_TRUE(net.in_mesh(peers[0], "t") && net.in_mesh(peers[1], "t")) << seed;
		net.settle();
		size_t pruned = 0;
		for (Script &s : peers)
			pruned += s.take(KP_RPC_PRUNE).size();
		EXPECT_EQ(pruned, 6u);
	}
}

TEST(mesh, eleven_rest)
{
	Net net(no_low());
	net.subscribe("t");
	std::vector<Script> peers;
	for (unsigned i = 0; i < 11; i++) {
		peers.push_back(net.peer({"t"}));
		peers[i].send(rpc_graft("t"));
	}
	net.run(KP_SEC(3));
	EXPECT_EQ(net.mesh("t"), 11u);
}

TEST(mesh, heartbeat_fills_from_below_d_low_to_d)
{
	Net net;
	net.subscribe("t");
	std::vector<Script> peers;
	for (unsigned i = 0; i < 9; i++)
		peers.push_back(net.peer({"t"}));
	EXPECT_EQ(net.mesh("t"), 2u);
	for (Script &s : peers) {
		if (net.in_mesh(s, "t") && net.mesh("t") > 1)
			s.send(rpc_prune("t"));
	}
	EXPECT_EQ(net.mesh("t"), 1u);
	net.run(KP_SEC(1));
	EXPECT_EQ(net.mesh("t"), 6u);
}

TEST(mesh, heartbeat_adds_outbound_peers)
{
	kp_gs_params p = kp_gs_params_default();
	p.first_heartbeat_ns = KP_SEC(10);
	Net net(p);
	net.subscribe("t");
	std::vector<Script> peers;
	for (unsigned i = 0; i < 4; i++)
		peers.push_back(net.peer({"t"}, false));
	for (unsigned i = 0; i < 3; i++)
		peers.push_back(net.peer({"t"}, true));
	EXPECT_EQ(net.mesh("t"), 2u);
	net.run_until(KP_SEC(1010));
	EXPECT_EQ(net.mesh("t"), 4u);
	EXPECT_EQ(net.in_mesh(peers[4], "t") + net.in_mesh(peers[5], "t") +
	                  net.in_mesh(peers[6], "t"),
	          2);
}

TEST(mesh, leaving_prunes_with_the_short_backoff_and_unsubscribes)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	net.peer({"t"});
	Script c = net.peer({"t"});
	a.take();
	c.take();
	ASSERT_EQ(kp_gs_unsubscribe(net.gs, net.now(), kp_slice_str("t")), KP_OK);
	EXPECT_EQ(kp_gs_unsubscribe(net.gs, net.now(), kp_slice_str("t")), KP_E_NOTFOUND);
	net.net->touch(net.router);
	net.settle();
	auto said = a.take();
	ASSERT_EQ(said.size(), 2u);
	EXPECT_EQ(said[0].kind, KP_RPC_PRUNE);
	EXPECT_EQ(said[0].backoff, 10u);
	EXPECT_FALSE(said[1].subscribe);
	/* rust takes an UNSUBSCRIBE that comes first, or in the same RPC, for a minute's backoff */
	EXPECT_LT(said[0].rpc, said[1].rpc);
	said = c.take();
	ASSERT_EQ(said.size(), 1u);
	EXPECT_EQ(said[0].kind, KP_RPC_SUBOPT);
	/* back within 10 s: those two may not be grafted, the third may */
	net.subscribe("t");
	EXPECT_FALSE(net.in_mesh(a, "t"));
	EXPECT_TRUE(net.in_mesh(c, "t"));
	net.run(KP_SEC(13));
	EXPECT_GE(net.mesh("t"), 2u);
}

TEST(mesh, out_and_in_and_out_again_is_said_in_order)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.take();
	kp_slice t = kp_slice_str("t");
	kp_sub_opts o = {false, false, 0};
	EXPECT_EQ(kp_gs_unsubscribe(net.gs, net.now(), t), KP_OK);
	EXPECT_EQ(kp_gs_subscribe(net.gs, net.now(), t, &o), KP_OK);
	EXPECT_EQ(kp_gs_subscribe(net.gs, net.now(), kp_slice_str("u"), &o), KP_OK);
	EXPECT_EQ(kp_gs_unsubscribe(net.gs, net.now(), t), KP_OK);
	EXPECT_EQ(kp_gs_subscribe(net.gs, net.now(), t, &o), KP_OK);
	net.net->touch(net.router);
	net.settle();
	std::string in_order;
	for (const Item &i : a.take())
		if (i.topic == "t")
			in_order += i.kind == KP_RPC_PRUNE ? 'p' : i.subscribe ? '+' : '-';
	EXPECT_EQ(in_order, "p-+-+");
}

TEST(mesh, a_prune_to_a_1_0_peer_has_no_backoff)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"}, false, "/meshsub/1.0.0");
	EXPECT_TRUE(net.in_mesh(a, "t"));
	a.take();
	kp_gs_unsubscribe(net.gs, net.now(), kp_slice_str("t"));
	net.net->touch(net.router);
	net.settle();
	auto said = a.take(KP_RPC_PRUNE);
	ASSERT_EQ(said.size(), 1u);
	EXPECT_FALSE(said[0].has_backoff);
}

TEST(mesh, unsubscribing_peers_leave_the_mesh_without_backoff)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.take();
	a.send(rpc_sub("t", false));
	net.settle();
	EXPECT_EQ(net.mesh("t"), 0u);
	EXPECT_TRUE(a.take().empty());
	a.send(rpc_sub("t"));
	EXPECT_TRUE(net.in_mesh(a, "t"));
}

TEST(mesh, direct_peers_stay_outside_and_get_everything)
{
	Net net;
	Script a = net.stranger();
	kp_peer_id id = a.id();
	ASSERT_EQ(kp_gs_set_direct(net.gs, net.now(), &id), KP_OK);
	net.run(KP_SEC(1)); /* the first tick dials it */
	ASSERT_EQ(net.router->dialled.size(), 1u);
	net.subscribe("t");
	net.connect(a, true);
	a.open();
	a.send(rpc_sub("t"));
	a.take();
	a.send(rpc_graft("t"));
	net.settle();
	EXPECT_FALSE(net.in_mesh(a, "t"));
	EXPECT_EQ(a.take(KP_RPC_PRUNE).size(), 1u);
	EXPECT_EQ(net.peer_of(a)->behaviour, 0.0);
	Script b = net.peer({"t"});
	b.send(rpc_message(signed_message(b.h, 1, "t", "x")));
	net.settle();
	EXPECT_EQ(a.take(KP_RPC_MESSAGE).size(), 1u);
}

TEST(mesh, keep_flags_follow_mesh_and_only_links)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	auto keep = [&](Script &s) {
		return net.router->keep[std::string((char *)s.id().b, s.id().n)];
	};
	EXPECT_EQ(keep(a), (unsigned)(KP_KEEP_MESH | KP_KEEP_TOPIC));
	Script b = net.peer({"t"});
	EXPECT_EQ(keep(a), (unsigned)KP_KEEP_MESH);
	a.send(rpc_sub("t", false));
	EXPECT_EQ(keep(a), 0u);
	EXPECT_EQ(keep(b), (unsigned)(KP_KEEP_MESH | KP_KEEP_TOPIC));
	EXPECT_TRUE(kp_gs_wants_peers(net.gs));
}
