/* How connections end in good order, and what happens when the peer does not play along. */
#include "pair.h"
#include "raw.h"

using namespace pairtest;

namespace
{

TEST(goodbye, everything_arrives_first)
{
	for (kp_time latency : {kp_time{0}, KP_MS(40)}) {
		Pair p;
		p.latency = latency;
		p.b.served["/x"] = &p.sb;
		p.start();
		p.run(KP_SEC(1));
		Flow &f = p.sa.add();
		f.out = blob(900000);
		ASSERT_EQ(p.a.open(p.now, p.sa, f, {"/x"}), KP_OK);
		Flow &g = p.sa.add();
		g.out = "two proposals";
		ASSERT_EQ(p.a.open(p.now, p.sa, g, {"/none", "/x"}), KP_OK);
		kp_conn_goodbye(p.a.c, p.now, KP_WHY_SHUTDOWN, p.now + KP_SEC(2));
		EXPECT_EQ(p.a.state(), KP_CONN_CLOSING);
		EXPECT_EQ(kp_conn_get_why(p.a.c), KP_WHY_NONE);
		Flow &late = p.sa.add();
		EXPECT_EQ(p.a.open(p.now, p.sa, late, {"/x"}), KP_E_STATE);
		p.run(KP_SEC(2));
		EXPECT_EQ(p.a.state(), KP_CONN_DEAD);
		EXPECT_EQ(p.a.why(), KP_WHY_SHUTDOWN);
		EXPECT_EQ(p.b.state(), KP_CONN_DEAD);
		EXPECT_EQ(p.b.why(), KP_WHY_PEER_GOAWAY);
		ASSERT_EQ(p.sb.flows.size(), 2u);
		EXPECT_TRUE(same(p.sb.flows[0]->in, blob(900000)));
		EXPECT_EQ(p.sb.flows[1]->in, "two proposals");
		for (auto &x : p.sb.flows) {
			EXPECT_EQ(x->fins, 1); /* a FIN of ours, not a cut */
			EXPECT_EQ(x->why, KP_OK);
		}
		EXPECT_EQ(f.closed, 1);
	}
}

TEST(goodbye, order_on_the_wire)
{
	Raw r(true);
	r.handshake();
	r.frames_ponged();
	Flow &f = r.svc.add();
	f.out = "data";
	ASSERT_EQ(r.end.open(r.now, r.svc, f, {"/x"}), KP_OK);
	kp_conn_goodbye(r.end.c, r.now, KP_WHY_LOCAL_CLOSE, r.now + KP_SEC(2));
	auto x = r.frames();
	ASSERT_EQ(x.size(), 3u);
	EXPECT_EQ(x[0].body, mss_header() + mss("/x") + "data");
	EXPECT_EQ(x[1].h.flags, KP_YAMUX_FIN);
	EXPECT_EQ(x[2].h.type, KP_YAMUX_PING);
	EXPECT_FALSE(kp_conn_wants_shutdown(r.end.c));
	r.send(muxtest::ping(KP_YAMUX_ACK, x[2].h.length));
	x = r.frames();
	ASSERT_EQ(x.size(), 1u);
	EXPECT_EQ(x[0].h.type, KP_YAMUX_GOAWAY);
	EXPECT_EQ(x[0].h.length, 0u);
	EXPECT_TRUE(kp_conn_wants_shutdown(r.end.c));
	EXPECT_EQ(r.end.state(), KP_CONN_CLOSING);
	r.send(muxtest::ping(KP_YAMUX_SYN, 9)); /* nothing is said behind a go-away */
	EXPECT_EQ(r.frames().size(), 0u);
	r.eof();
	EXPECT_EQ(r.end.state(), KP_CONN_DEAD);
	EXPECT_EQ(r.end.why(), KP_WHY_LOCAL_CLOSE);
	EXPECT_EQ(f.closed, 1);
}

TEST(goodbye, waits_for_its_own_ping)
{
	Raw r(true);
	r.handshake();
	auto first = r.frames(); /* the first round trip is still being measured */
	ASSERT_EQ(first.size(), 1u);
	kp_conn_goodbye(r.end.c, r.now, KP_WHY_LOCAL_CLOSE, r.now + KP_SEC(2));
	EXPECT_EQ(r.frames().size(), 0u);
	r.send(muxtest::ping(KP_YAMUX_ACK, first[0].h.length));
	auto second = r.frames();
	ASSERT_EQ(second.size(), 1u);
	EXPECT_EQ(second[0].h.type, KP_YAMUX_PING);
	EXPECT_NE(second[0].h.length, first[0].h.length);
}

TEST(goodbye, deadline_is_exact_at_every_step)
{
	for (int step = 0; step < 4; step++) {
		SCOPED_TRACE(step);
		Raw r(true);
		r.end.served["/x"] = &r.svc;
		r.handshake();
		auto x = r.frames();
		if (step >= 2)
			r.send(muxtest::ping(KP_YAMUX_ACK, x.at(0).h.length));
		Flow &f = r.svc.add();
		f.out = step == 0 ? blob(300000) : "x"; /* more than the window */
		ASSERT_EQ(r.end.open(r.now, r.svc, f, {"/x"}), KP_OK);
		kp_time deadline = r.now + KP_SEC(2);
		kp_conn_goodbye(r.end.c, r.now, KP_WHY_SHUTDOWN, deadline);
		x = r.frames();
		if (step == 3) {
			r.send(muxtest::ping(KP_YAMUX_ACK, x.back().h.length));
			EXPECT_TRUE(kp_conn_wants_shutdown(r.end.c));
		}
		r.tick(KP_SEC(2) - 1);
		EXPECT_EQ(r.end.state(), KP_CONN_CLOSING);
		EXPECT_EQ(f.closed, 0);
		r.tick(1);
		EXPECT_EQ(r.end.state(), KP_CONN_DEAD);
		EXPECT_EQ(r.end.why(), KP_WHY_SHUTDOWN);
		EXPECT_EQ(f.closed, 1);
		EXPECT_EQ(f.why, KP_E_CLOSED);
	}
}

TEST(goodbye, a_second_one_may_only_shorten)
{
	Raw r(true);
	r.handshake();
	r.frames();
	kp_conn_goodbye(r.end.c, r.now, KP_WHY_IDLE, r.now + KP_SEC(5));
	kp_conn_goodbye(r.end.c, r.now, KP_WHY_SHUTDOWN, r.now + KP_SEC(9));
	r.tick(KP_SEC(3));
	kp_conn_goodbye(r.end.c, r.now, KP_WHY_SHUTDOWN, r.now + KP_SEC(1));
	r.tick(KP_SEC(1));
	EXPECT_EQ(r.end.why(), KP_WHY_IDLE);
}

TEST(goodbye, before_open_is_at_once)
{
	Pair p;
	p.start();
	kp_conn_goodbye(p.a.c, p.now, KP_WHY_SHUTDOWN, p.now + KP_SEC(2));
	EXPECT_EQ(p.a.state(), KP_CONN_DEAD);
	EXPECT_EQ(p.a.why(), KP_WHY_SHUTDOWN);
	kp_conn_goodbye(p.a.c, p.now, KP_WHY_IDLE, p.now + KP_SEC(2)); /* no-op */
	EXPECT_EQ(p.a.why(), KP_WHY_SHUTDOWN);
}

TEST(goodbye, from_both_sides)
{
	for (kp_time latency : {kp_time{0}, KP_MS(40)}) {
		Pair p;
		p.latency = latency;
		p.b.served["/x"] = &p.sb;
		p.start();
		p.run(KP_SEC(1));
		Flow &f = p.sa.add();
		f.out = blob(100000);
		ASSERT_EQ(p.a.open(p.now, p.sa, f, {"/x"}), KP_OK);
		p.run(KP_SEC(1));
		kp_conn_goodbye(p.a.c, p.now, KP_WHY_LOCAL_CLOSE, p.now + KP_SEC(2));
		kp_conn_goodbye(p.b.c, p.now, KP_WHY_SHUTDOWN, p.now + KP_SEC(2));
		kp_time t0 = p.now;
		while (p.now < t0 + KP_SEC(1))
			p.run(KP_MS(10));
		EXPECT_EQ(p.a.why(), KP_WHY_LOCAL_CLOSE);
		EXPECT_EQ(p.b.why(), KP_WHY_SHUTDOWN);
	}
}

TEST(goodbye, incoming_bytes_are_still_delivered)
{
	Raw r(false);
	r.end.served["/x"] = &r.svc;
	r.handshake();
	r.send(muxtest::data(KP_YAMUX_SYN, 1, mss_header() + mss("/x") + "a"));
	r.frames_ponged();
	r.collect();
	r.take_all();
	kp_conn_goodbye(r.end.c, r.now, KP_WHY_LOCAL_CLOSE, r.now + KP_SEC(2));
	r.send(muxtest::data(0, 1, "b"));
	EXPECT_EQ(r.svc.flows.at(0)->in, "ab");
	/* but new streams are refused */
	r.send(muxtest::data(KP_YAMUX_SYN, 3, mss_header() + mss("/x")));
	EXPECT_EQ(r.svc.flows.size(), 1u);
	EXPECT_EQ(r.end.node.stat(KP_STAT_streams_refused), 1u);
}

TEST(goodbye, keepalive_does_not_disturb_it)
{
	Raw r(true);
	r.handshake();
	r.frames_ponged();
	kp_conn_goodbye(r.end.c, r.now, KP_WHY_LOCAL_CLOSE, r.now + KP_SEC(60));
	r.tick(KP_SEC(45));
	EXPECT_EQ(r.end.state(), KP_CONN_CLOSING);
	r.tick(KP_SEC(15));
	EXPECT_EQ(r.end.why(), KP_WHY_LOCAL_CLOSE);
}

} // namespace
