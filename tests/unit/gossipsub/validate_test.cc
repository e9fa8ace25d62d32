/* VALIDATE events and verdicts (abi.md "Validation"). */
#include "gossipsub/harness.h"

struct Validated {
	Validated() : net(params())
	{
		net.subscribe("t", true, false, 5);
		a = net.peer({"t"});
		b = net.peer({"t"});
		c = net.peer({"t"});
		for (Script *s : {&a, &b, &c}) {
			s->send(rpc_graft("t"));
			s->take();
		}
	}
	static kp_gs_params params()
	{
		kp_gs_params p = kp_gs_params_default();
		p.validate_max_pending = 3;
		return p;
	}
	int64_t ask(uint64_t seqno, const std::string &data)
	{
		a.send(rpc_message(signed_message(a.h, seqno, "t", data)));
		net.settle();
		auto ev = net.events(KP_EV_VALIDATE);
		if (ev.size() != 1)
			return -1;
		EXPECT_EQ(field(ev[0], KP_F_PAYLOAD), data);
		EXPECT_EQ(ev[0]->inbox, 5);
		return ev[0]->token;
	}
	kp_err answer(int64_t token, kp_verdict v)
	{
		kp_err err = kp_gs_verdict(net.gs, net.now(), token, v);
		net.net->touch(net.router);
		net.settle();
		return err;
	}
	Net net;
	Script a, b, c;
};

TEST(validate, accept_forwards_and_is_no_second_delivery)
{
	Validated v;
	int64_t token = v.ask(1, "x");
	ASSERT_GT(token, 0);
	EXPECT_LT(token, INT64_C(1) << 53);
	EXPECT_TRUE(v.b.take(KP_RPC_MESSAGE).empty());
	EXPECT_EQ(v.net.stat(KP_STAT_received), 0u);
	v.b.send(rpc_message(signed_message(v.a.h, 1, "t", "x"))); /* b has it by now */
	EXPECT_EQ(v.answer(token, KP_ACCEPT), KP_OK);
	EXPECT_EQ(v.answer(token, KP_ACCEPT), KP_E_NOTFOUND);
	EXPECT_EQ(v.answer(99, KP_ACCEPT), KP_E_NOTFOUND);
	EXPECT_EQ(v.c.take(KP_RPC_MESSAGE).size(), 1u);
	EXPECT_TRUE(v.b.take(KP_RPC_MESSAGE).empty());
	EXPECT_TRUE(v.a.take(KP_RPC_MESSAGE).empty());
	EXPECT_TRUE(v.net.payloads().empty());
	EXPECT_EQ(v.net.stat(KP_STAT_received), 1u);
	EXPECT_EQ(v.net.stat(KP_STAT_delivered), 1u);
}

TEST(validate, reject_costs_everybody_who_sent_it)
{
	Validated v;
	int64_t token = v.ask(1, "x");
	v.b.send(rpc_message(signed_message(v.a.h, 1, "t", "x")));
	EXPECT_EQ(v.answer(token, KP_REJECT), KP_OK);
	EXPECT_TRUE(v.c.take(KP_RPC_MESSAGE).empty());
	EXPECT_EQ(v.net.peer_of(v.a)->invalid, 1.0);
	EXPECT_EQ(v.net.peer_of(v.b)->invalid, 1.0);
	EXPECT_EQ(v.net.peer_of(v.c)->invalid, 0.0);
	EXPECT_EQ(v.ask(1, "x"), -1); /* seen */
}

TEST(validate, ignore_costs_nobody)
{
	Validated v;
	EXPECT_EQ(v.answer(v.ask(1, "x"), KP_IGNORE), KP_OK);
	EXPECT_TRUE(v.c.take(KP_RPC_MESSAGE).empty());
	EXPECT_EQ(v.net.peer_of(v.a)->invalid, 0.0);
	EXPECT_EQ(kp_map_count(&v.net.gs->mcache), 0u);
}

TEST(validate, time_out_is_ignore_exactly)
{
	Validated v;
	v.a.send(rpc_message(signed_message(v.a.h, 1, "t", "x")));
	kp_time t0 = v.net.now();
	int64_t token = v.net.events(KP_EV_VALIDATE)[0]->token;
	v.net.run_until(t0 + KP_SEC(10) - 1);
	EXPECT_EQ(v.net.stat(KP_STAT_validate_timeouts), 0u);
	v.net.run_until(t0 + KP_SEC(10));
	EXPECT_EQ(v.net.stat(KP_STAT_validate_timeouts), 1u);
	EXPECT_EQ(v.answer(token, KP_ACCEPT), KP_E_NOTFOUND);
	EXPECT_EQ(v.net.stat(KP_STAT_ignored_validation), 1u);
}

TEST(validate, over_the_cap_is_ignored_and_counted)
{
	Validated v;
	int64_t tokens[3];
	for (unsigned i = 0; i < 3; i++)
		tokens[i] = v.ask(i, std::to_string(i));
	EXPECT_EQ(v.ask(3, "3"), -1);
	EXPECT_EQ(v.net.stat(KP_STAT_validate_overflows), 1u);
	EXPECT_EQ(v.net.stat(KP_STAT_dropped), 1u);
	auto told = v.net.events(KP_EV_DROPPED);
	ASSERT_EQ(told.size(), 1u);
	EXPECT_EQ(told[0]->count, 1);
	EXPECT_EQ(told[0]->inbox, 5);
	EXPECT_EQ(v.answer(tokens[1], KP_ACCEPT), KP_OK);
	EXPECT_GT(v.ask(4, "4"), tokens[2]);
}

TEST(validate, verdicts_after_the_peer_or_topic_left)
{
	Validated v;
	int64_t one = v.ask(1, "1"), two = v.ask(2, "2");
	fake_disconnect(v.a.h, v.net.router);
	EXPECT_EQ(v.answer(one, KP_ACCEPT), KP_OK);
	EXPECT_EQ(v.c.take(KP_RPC_MESSAGE).size(), 1u);
	kp_gs_unsubscribe(v.net.gs, v.net.now(), kp_slice_str("t"));
	EXPECT_EQ(v.answer(two, KP_REJECT), KP_OK);
}

TEST(validate, freeing_with_verdicts_open)
{
	Validated v;
	v.ask(1, "1");
	v.ask(2, "2");
}
