/* The two streams of a peer: opened at once, reopened in time, never written on the wrong one. */
#include "gossipsub/harness.h"

TEST(stream, opened_at_once_with_all_subscriptions)
{
	Net net;
	net.subscribe("t");
	net.subscribe("u");
	Script a = net.stranger();
	net.connect(a); /* no identify, no stream of theirs */
	ASSERT_NE(a.in(), nullptr);
	EXPECT_STREQ(a.in()->proto.id, "/meshsub/1.2.0");
	auto said = a.take();
	ASSERT_EQ(said.size(), 2u);
	EXPECT_EQ(said[0].topic, "t");
	EXPECT_EQ(said[1].topic, "u");
	EXPECT_EQ(split_rpcs(a.rx()).size(), 1u); /* one RPC */
}

TEST(stream, kinds_by_negotiated_version)
{
	const struct {
		const char *proto;
		uint8_t kind;
	} cases[] = {{"/meshsub/1.2.0", GS_KIND_1_2},
	             {"/meshsub/1.1.0", GS_KIND_1_1},
	             {"/meshsub/1.0.0", GS_KIND_1_0},
	             {"/floodsub/1.0.0", GS_KIND_FLOODSUB}};
	for (const auto &c : cases) {
		Net net;
		Script a = net.peer({}, false, c.proto);
		EXPECT_EQ(net.peer_of(a)->kind, c.kind);
	}
}

/* Times of death d: reopened after 1, 2, 4 s; the fourth death ends the connection. */
static void die_and_reopen(const std::function<void(Net &, Script &)> &kill)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	EXPECT_TRUE(net.in_mesh(a, "t"));
	for (unsigned round = 0; round < 3; round++) {
		ASSERT_NE(a.in(), nullptr);
		kill(net, a);
		kp_time died = net.now();
		kp_time until = died + (KP_SEC(1) << round);
		net.run_until(until - 1);
		EXPECT_EQ(net.peer_of(a)->out, nullptr) << round;
		net.run_until(until);
		EXPECT_NE(net.peer_of(a)->out, nullptr) << round;
		net.settle();
		auto said = a.take();
		ASSERT_EQ(said.size(), 2u) << round;
		EXPECT_EQ(said[0].kind, KP_RPC_SUBOPT);
		EXPECT_EQ(said[1].kind, KP_RPC_GRAFT); /* mesh membership is kept */
		EXPECT_TRUE(net.in_mesh(a, "t"));
	}
	EXPECT_TRUE(net.router->closed.empty());
	kill(net, a);
	ASSERT_EQ(net.router->closed.size(), 1u);
	EXPECT_EQ(net.router->closed[0], KP_WHY_STREAMS_DEAD);
	net.settle();
	EXPECT_EQ(net.peer_of(a), nullptr);
	EXPECT_EQ(net.stat(KP_STAT_pubsub_reopens), 3u);
	net.connect(a); /* a new connection counts anew */
	EXPECT_NE(a.in(), nullptr);
}

static void run_to_death(Net &net, Script &a)
{
	for (unsigned i = 0; i < 10 && net.peer_of(a) != nullptr && net.peer_of(a)->out != nullptr;
	     i++)
		net.run(LATENCY / 2);
}

TEST(stream, reopened_after_reset)
{
	die_and_reopen([](Net &net, Script &a) {
		fake_script_reset(a.in());
		run_to_death(net, a);
	});
}

TEST(stream, reopened_after_eof)
{
	die_and_reopen([](Net &net, Script &a) {
		fake_script_fin(a.in());
		run_to_death(net, a);
	});
}

TEST(stream, reopened_after_any_byte_on_it)
{
	die_and_reopen([](Net &net, Script &a) {
		fake_script_send(a.in(), "x", 1);
		run_to_death(net, a);
	});
}

TEST(stream, unsent_messages_survive_a_reopening)
{
	Net net;
	Script a = net.peer({"t"});
	a.h->reads = false;
	a.h->window = 100; /* cuts the first message */
	net.publish("t", std::string(500, 'a'));
	net.publish("t", "b");
	net.run(KP_MS(10));
	fake_script_reset(a.in());
	net.run(KP_MS(10));
	a.h->reads = true;
	a.h->window = 1 << 20;
	net.run(KP_SEC(2));
	auto got = a.take(KP_RPC_MESSAGE);
	ASSERT_EQ(got.size(), 2u);
	EXPECT_NE(got[0].raw.find("aaaa"), std::string::npos);
	EXPECT_EQ(kp_gs_pending(net.gs), 0u);
}

TEST(stream, a_peer_without_pubsub_is_left_alone)
{
	Net net;
	net.subscribe("t");
	Script a = net.stranger();
	a.h->served.clear();
	net.connect(a);
	net.run(KP_SEC(30));
	EXPECT_TRUE(net.peer_of(a)->no_pubsub);
	EXPECT_EQ(net.peer_of(a)->out, nullptr);
	EXPECT_TRUE(net.router->closed.empty());
	/* identify that lists it, or a stream of theirs, is reason to ask again */
	for (size_t i = 0; i < kp_gs_protos_n; i++)
		a.h->served.push_back(kp_gs_protos[i]);
	kp_peer_id id = a.id();
	kp_slice protos[] = {kp_slice_str("/ipfs/id/1.0.0"), kp_slice_str("/meshsub/1.1.0")};
	kp_identify_info info = {nullptr, 0, protos, 2, kp_slice_none(), kp_slice_none()};
	kp_gs_svc_ops.on_identified(net.gs, net.now(), &id, &info);
	net.settle();
	EXPECT_NE(a.in(), nullptr);
}

/* … and what was queued for it is counted as lost, not kept for ever. */
TEST(stream, nothing_waits_for_a_peer_without_pubsub)
{
	Net net;
	net.peer({"t"});
	Script a = net.stranger();
	a.h->served.clear();
	fake_connect(a.h, net.router, LATENCY);
	a.open();
	fake_script_send(a.out, rpc_sub("t").data(), rpc_sub("t").size());
	net.peer_of(a)->no_pubsub = false;
	net.run(KP_US(1500));
	if (net.peer_of(a)->out ==
	    nullptr) /* refused already: ask again, as their stream makes us */
		kp_gs_stream_open(net.gs, net.now(), net.peer_of(a));
	net.publish("t", "x", 1);
	EXPECT_GT(kp_gs_pending(net.gs), 0u);
	net.run(KP_SEC(1));
	EXPECT_EQ(kp_gs_pending(net.gs), 0u);
	EXPECT_EQ(net.stat(KP_STAT_dropped_peer_gone), 1u);
}

TEST(stream, their_stream_may_end_and_come_again)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	for (unsigned i = 0; i < 10; i++) {
		if (i % 2)
			fake_script_fin(a.out);
		else
			fake_script_reset(a.out);
		net.settle();
		EXPECT_TRUE(net.in_mesh(a, "t")); /* peer and subscriptions stay */
		a.open();
		a.send(rpc_message(signed_message(a.h, i, "t", std::to_string(i))));
		net.settle();
	}
	EXPECT_EQ(net.payloads().size(), 10u);
	EXPECT_EQ(net.stat(KP_STAT_pubsub_reopens), 0u); /* ours was never touched */
}

TEST(stream, the_oldest_of_too_many_gives_way)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	kp_stream *first = a.out;
	for (unsigned i = 0; i < 4; i++)
		a.open();
	net.settle();
	EXPECT_TRUE(first->gone);
	a.send(rpc_message(signed_message(a.h, 1, "t", "x")));
	net.settle();
	EXPECT_EQ(net.payloads().size(), 1u);
	EXPECT_EQ(net.stat(KP_STAT_pubsub_replaced), 1u);
}

TEST(stream, nothing_is_written_on_their_stream)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_graft("t") + rpc_iwant({"x"}) + rpc_message(signed_message(a.h, 1, "t", "x")));
	net.run(KP_SEC(5));
	EXPECT_EQ(a.out->rx, "");
	EXPECT_FALSE(a.out->other->fin_sent);
}

TEST(stream, two_connections_one_stream)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	net.connect(a, true);
	net.settle();
	unsigned ours = 0;
	for (kp_stream *s : net.router->streams)
		ours += s->outbound;
	EXPECT_EQ(ours, 1u);
	/* the connection that carries it ends: the other takes over at once, and it is no fault */
	kp_host_close_conn(net.router, net.now(), net.router->conns[0]->id, KP_WHY_IO);
	net.settle();
	EXPECT_NE(a.in(), nullptr);
	EXPECT_TRUE(net.in_mesh(a, "t"));
	EXPECT_EQ(net.stat(KP_STAT_pubsub_reopens), 0u);
}

/* docs/hostile.md 22, 23: state follows the peer, and is gone with its last connection. */
TEST(stream, comes_and_goes_without_trace)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t", "u"});
	fake_disconnect(a.h, net.router);
	net.run(KP_SEC(120)); /* past all backoffs and caches */
	uint64_t before = net.router->mem.bytes;
	for (unsigned i = 0; i < 50; i++) {
		net.connect(a, i % 2);
		a.open();
		a.send(rpc_sub("t") + rpc_sub("topic " + std::to_string(i)));
		fake_disconnect(a.h, net.router);
	}
	net.run(KP_SEC(120));
	EXPECT_EQ(net.peer_of(a), nullptr);
	EXPECT_EQ(kp_map_count(&net.gs->topics), 1u);
	EXPECT_LE(net.router->mem.bytes, before + 2048);
}

TEST(stream, idle_without_a_shared_topic)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"other"});
	gs_peer *p = net.peer_of(a);
	EXPECT_TRUE(p->out->idle);
	EXPECT_TRUE(p->in[0]->idle);
	a.send(rpc_sub("t"));
	EXPECT_FALSE(p->out->idle);
	EXPECT_FALSE(p->in[0]->idle);
	kp_gs_unsubscribe(net.gs, net.now(), kp_slice_str("t"));
	EXPECT_TRUE(p->out->idle);
	net.subscribe("other");
	EXPECT_FALSE(p->in[0]->idle);
}

TEST(stream, refused_opening_is_tried_again)
{
	Net net;
	net.router->refuse_open = true;
	Script a = net.stranger();
	net.connect(a);
	EXPECT_EQ(a.in(), nullptr);
	net.router->refuse_open = false;
	net.run(KP_SEC(2));
	EXPECT_NE(a.in(), nullptr);
}

TEST(stream, split_in_any_way_means_the_same)
{
	std::string bytes;
	Net maker;
	Script author = maker.stranger();
	bytes += rpc_sub("t") + std::string(1, '\0') /* an empty RPC */ + rpc_graft("t");
	for (unsigned i = 0; i < 5; i++)
		bytes += rpc_message(signed_message(author.h, i, "t", std::string(i * 100, 'x')));
	for (size_t cut : {(size_t)1, (size_t)2, (size_t)7, (size_t)63, bytes.size()}) {
		kp_gs_params p = kp_gs_params_default();
		p.d_low = p.d_out = 0;
		Net net(p);
		net.subscribe("t");
		Script a = net.peer();
		for (size_t at = 0; at < bytes.size(); at += cut)
			a.send(bytes.substr(at, cut));
		net.settle();
		EXPECT_EQ(net.payloads().size(), 5u) << cut;
		EXPECT_TRUE(net.in_mesh(a, "t"));
	}
}
