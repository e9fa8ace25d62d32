/* docs/hostile.md rows 1, 2, 7 to 12 and 17 at the router, with a good peer beside the bad one that
 * must go on being served. Rows 2 and 8 to 12 are in mesh_test, gossip_test, verify_test,
 * policy_test.
 */
#include "gossipsub/harness.h"

struct Attack {
	explicit Attack(const kp_gs_params &p = kp_gs_params_default()) : net(p)
	{
		net.subscribe("t");
		good = net.peer({"t"});
		bad = net.peer({"t"});
		before = net.router->mem.bytes + kp_pool_bytes_live(net.router->pool);
	}
	void good_is_served()
	{
		net.payloads();
		good.take();
		std::string data = "good" + std::to_string(n++);
		good.send(rpc_message(signed_message(good.h, n, "t", data)));
		net.settle();
		EXPECT_EQ(net.payloads(), (std::vector<std::string>{data}));
		net.publish("t", "to " + data);
		net.settle();
		EXPECT_EQ(good.take(KP_RPC_MESSAGE).size(), 1u);
	}
	uint64_t grown() const
	{
		uint64_t all = net.router->mem.bytes + kp_pool_bytes_live(net.router->pool);
		return all > before ? all - before : 0;
	}
	Net net;
	Script good, bad;
	uint64_t before;
	unsigned n = 0;
};

/* Row 1 */
TEST(hostile, subscriptions_without_end)
{
	Attack x;
	for (unsigned i = 0; i < 100; i++) {
		std::string rpc;
		for (unsigned k = 0; k < 200; k++)
			rpc += rpc_sub("random " + std::to_string(i * 200 + k));
		x.bad.send(rpc);
	}
	gs_peer *p = x.net.peer_of(x.bad);
	EXPECT_EQ(p->n_remote, 1024u);
	EXPECT_EQ(x.net.stat(KP_STAT_topics_forgotten), 20000u - 1024);
	EXPECT_EQ(kp_gs_topic_find(x.net.gs, kp_slice_str("random 0")), nullptr);
	EXPECT_NE(kp_gs_topic_find(x.net.gs, kp_slice_str("random 19999")), nullptr);
	EXPECT_NE(kp_gs_member_find(p, kp_gs_topic_find(x.net.gs, kp_slice_str("t"))), nullptr);
	EXPECT_LT(x.grown(), 1u << 20);
	x.net.subscribe("random 19999"); /* local ones always work */
	x.net.subscribe("mine");
	x.good_is_served();
	fake_disconnect(x.bad.h, x.net.router);
	EXPECT_EQ(kp_map_count(&x.net.gs->topics), 3u);
}

TEST(hostile, long_topic_names_are_capped_in_sum)
{
	Attack x;
	for (unsigned i = 0; i < 200; i++)
		x.bad.send(rpc_sub(std::string(1000, (char)('a' + i % 26)) + std::to_string(i)));
	x.bad.send(rpc_sub(std::string(1025, 'x')) + rpc_sub(std::string(60000, 'x')));
	EXPECT_LE(x.net.peer_of(x.bad)->remote_bytes, 65536u);
	EXPECT_EQ(x.net.stat(KP_STAT_subscriptions_refused), 2u);
	x.good_is_served();
}

/* Row 7 */
TEST(hostile, millions_of_empty_parts)
{
	Attack x;
	for (const char *part : {"\x12\x00", "\x0a\x00", "\x1a\x00"}) {
		std::string body;
		for (unsigned i = 0; i < 500000; i++)
			body.append(part, 2);
		x.bad.send(rpc_frame(body));
		x.net.run(KP_MS(100));
	}
	std::string control;
	for (unsigned i = 0; i < 400000; i++)
		control.append(i % 2 ? "\x0a\x00" : "\x22\x00", 2);
	std::string body("\x1a", 1);
	x.bad.send(rpc_frame(body + rpc_frame(control)));
	x.net.run(KP_MS(100));
	EXPECT_GE(x.net.stat(KP_STAT_rpc_capped), 2u);
	EXPECT_LT(x.grown(), 1u << 20);
	x.good_is_served();
}

TEST(hostile, lengths_of_two_to_the_sixty)
{
	const std::string huge("\x12\xff\xff\xff\xff\xff\xff\xff\xff\x0f", 10);
	for (const std::string &rpc :
	     {rpc_frame(huge), rpc_frame("\x1a\x0a" + huge), rpc_frame("\x12\x0a" + huge)}) {
		Attack x;
		x.bad.send(rpc);
		x.net.settle();
		EXPECT_EQ(x.net.stat(KP_STAT_rpc_malformed), 1u);
		EXPECT_TRUE(x.bad.out->gone); /* that stream, and nothing else */
		EXPECT_NE(x.net.peer_of(x.bad), nullptr);
		x.good_is_served();
	}
	Attack x;
	x.bad.send(std::string("\xff\xff\xff\xff\xff\xff\xff\x0f", 8)); /* a frame of 2^56 */
	for (unsigned i = 0; i < 100; i++)
		x.bad.send(std::string(60000, 'x'));
	EXPECT_EQ(x.net.stat(KP_STAT_rpc_too_big), 1u);
	EXPECT_LT(x.grown(), 100000u);
	x.good_is_served();
}

/* Large frames are skipped, and what follows is read. */
TEST(hostile, frames_over_the_limit_are_skipped)
{
	Attack x;
	std::string big(1100000, '\x12');
	x.bad.send(rpc_frame(big) + rpc_message(signed_message(x.bad.h, 1, "t", "after")));
	x.net.run(KP_SEC(1));
	EXPECT_EQ(x.net.stat(KP_STAT_rpc_too_big), 1u);
	EXPECT_EQ(x.net.payloads(), (std::vector<std::string>{"after"}));
}

/* The per-message limit holds inside frames of up to 1 MiB. */
TEST(hostile, messages_over_the_limit_are_dropped_alone)
{
	Attack x;
	std::string small = signed_message(x.bad.h, 1, "t", "small");
	std::string big = signed_message(x.bad.h, 2, "t", std::string(65500, 'x'));
	std::string fits = signed_message(x.bad.h, 3, "t", std::string(65300, 'x'));
	std::string body;
	for (const std::string &m : {small, big, fits})
		body += "\x12" + rpc_frame(m);
	x.bad.send(rpc_frame(body));
	x.net.settle();
	auto got = x.net.payloads();
	ASSERT_EQ(got.size(), 2u);
	EXPECT_EQ(got[1].size(), 65300u);
	EXPECT_EQ(x.net.stat(KP_STAT_rejected_too_big), 1u);
	EXPECT_EQ(x.net.peer_of(x.bad)->invalid, 0.0);
}

/* A small message must not keep the megabyte it came in alive. */
TEST(hostile, small_messages_in_large_frames)
{
	Attack x;
	for (unsigned i = 0; i < 30; i++) {
		std::string body =
		        "\x12" + rpc_frame(signed_message(x.bad.h, i, "t", std::to_string(i)));
		body += "\x7a" + rpc_frame(std::string(1000000, 'x')); /* an unknown field */
		x.bad.send(rpc_frame(body));
	}
	x.net.run(KP_MS(100));
	EXPECT_EQ(x.net.payloads().size(), 30u);
	EXPECT_LT(x.grown(), 200000u);
}

/* Row 10: GRAFT flood */
TEST(hostile, graft_flood)
{
	Attack x;
	x.bad.send(rpc_prune("t"));
	x.bad.take();
	std::string body;
	for (unsigned i = 0; i < 50000; i++)
		body += std::string("\x1a\x03\x0a\x01t", 5);
	std::string rpc = rpc_frame("\x1a" + rpc_frame(body));
	x.bad.send(rpc);
	x.net.settle();
	EXPECT_EQ(x.net.stat(KP_STAT_graft_backoff), (uint64_t)GS_RPC_ITEMS_MAX);
	EXPECT_GT(x.net.peer_of(x.bad)->behaviour, 1000.0);
	EXPECT_EQ(x.bad.take(KP_RPC_PRUNE).size(), 1u); /* one answer tells it all */
	EXPECT_LT(x.grown(), 100000u);
	x.good_is_served();
}

/* Row 17: control for a peer that never reads is bounded too; it is said anew in the end. */
TEST(hostile, a_peer_that_never_reads)
{
	Attack x;
	x.bad.h->reads = false;
	x.bad.h->window = 10;
	for (unsigned i = 0; i < 200; i++) {
		x.net.publish("t", std::string(50000, 'p') + std::to_string(i));
		x.good.send(rpc_message(signed_message(
		        x.good.h, i, "t", std::string(50000, 'f') + std::to_string(i))));
		x.net.run(KP_MS(20));
		EXPECT_EQ(x.net.payloads().size(), 1u);
		fake_drop_events(x.net.router);
	}
	EXPECT_GT(x.net.stat(KP_STAT_slow_peer), 0u);
	EXPECT_GT(x.net.stat(KP_STAT_dropped_forward), 0u);
	gs_peer *p = x.net.peer_of(x.bad);
	EXPECT_LE(p->q.own_bytes + p->q.fwd_bytes, 8u << 20);
	x.good_is_served();
}

TEST(hostile, control_that_is_not_read_restarts_the_stream)
{
	Attack x;
	x.bad.h->reads = false;
	x.bad.h->window = 10;
	kp_sub_opts o = {false, false, 0};
	for (unsigned i = 0; i < 4000 && x.net.stat(KP_STAT_control_overflows) == 0; i++) {
		kp_gs_subscribe(x.net.gs, x.net.now(), kp_slice_str("again"), &o);
		kp_gs_unsubscribe(x.net.gs, x.net.now(), kp_slice_str("again"));
		x.net.net->settle();
		x.good.take();
	}
	EXPECT_EQ(x.net.stat(KP_STAT_control_overflows), 1u);
	x.net.subscribe("final");
	x.bad.h->reads = true;
	x.bad.h->window = 1 << 20;
	x.net.run(KP_SEC(3));
	auto said = x.bad.take(KP_RPC_SUBOPT);
	ASSERT_EQ(said.size(), 2u);
	EXPECT_EQ(said[1].topic, "final");
	x.good_is_served();
}

/* Every allocation fails once, one after the other: nothing leaks, nothing crashes, and without the
 * failure everything works again. */
TEST(hostile, allocation_failures)
{
	for (uint64_t at = 1; at < 160; at++) {
		Attack x;
		bool pool = at % 2 == 0;
		kp_mem *m = pool ? kp_pool_mem(x.net.router->pool) : &x.net.router->mem;
		m->fail_at = m->calls + at / 2 + 1;
		x.bad.send(rpc_sub("u") + rpc_graft("t") + rpc_prune("t", 3) +
		           rpc_ihave("t", {"a", "b", "c"}) + rpc_idontwant({"d"}) +
		           rpc_iwant({"e"}));
		x.bad.send(rpc_message(signed_message(x.bad.h, 1, "t", std::string(2000, 'x'))));
		fake_publish(x.net.router, "t", "one", 3, 1);
		fake_publish(x.net.router, "nobody", "two", 3, 2);
		Script late = x.net.stranger();
		x.net.connect(late);
		for (unsigned i = 0; i < 20; i++)
			fake_publish(x.net.router, "t", &i, sizeof i, 0);
		kp_sub_opts o = {false, false, 0};
		kp_err err = kp_gs_subscribe(x.net.gs, x.net.now(), kp_slice_str("v"), &o);
		EXPECT_TRUE(err == KP_OK || err == KP_E_NOMEM);
		x.net.run(KP_SEC(5));
		m->fail_at = 0;
		fake_drop_events(x.net.router);
		x.good_is_served();
	}
}
