/* Substreams as services see them: negotiation, writing, back-pressure, ends, limits, idleness. */
#include "pair.h"
#include "raw.h"

#include <random>

using namespace pairtest;

namespace
{

class stream : public ::testing::Test
{
      protected:
	Pair p;
	Service &sa = p.sa, &sb = p.sb;

	void serve(const char *name)
	{
		p.b.served[name] = &sb;
	}
	Flow &open(const std::string &text, const std::vector<const char *> &names)
	{
		Flow &f = sa.add();
		f.out = text;
		EXPECT_EQ(p.a.open(p.now, sa, f, names), KP_OK);
		return f;
	}
};

TEST_F(stream, lazy_is_one_write)
{
	serve("/x");
	p.connect();
	p.a.keep_writes = true;
	Flow &f = open("first data", {"/x"});
	EXPECT_EQ(f.opened, 0); /* from the pump */
	p.pump(p.a);
	EXPECT_EQ(f.opened, 1);
	ASSERT_EQ(p.a.writes.size(), 1u);
	/* One Noise frame, one yamux frame: header, proposal and data. */
	EXPECT_EQ(p.a.writes[0].size(), KP_NOISE_OVERHEAD + KP_YAMUX_HDR_SIZE +
	                                        mss_header().size() + mss("/x").size() + 10);
	p.settle();
	EXPECT_EQ(sb.flows.at(0)->in, "first data");
}

TEST_F(stream, several_streams_share_a_write)
{
	serve("/x");
	p.connect();
	p.a.keep_writes = true;
	for (int i = 0; i < 10; i++)
		open("data", {"/x"});
	p.pump(p.a);
	ASSERT_EQ(p.a.writes.size(), 1u);
	size_t one = KP_YAMUX_HDR_SIZE + mss_header().size() + mss("/x").size() + 4;
	EXPECT_EQ(p.a.writes[0].size(), KP_NOISE_OVERHEAD + 10 * one);
	p.settle();
	EXPECT_EQ(sb.flows.size(), 10u);
}

TEST_F(stream, negotiates_in_order_of_preference)
{
	serve("/meshsub/1.1.0");
	p.connect();
	Flow &f = open("rpc", {"/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0"});
	EXPECT_FALSE(kp_stream_is_open(f.s));
	p.settle();
	EXPECT_EQ(f.opened, 1);
	EXPECT_EQ(f.proto, "/meshsub/1.1.0");
	EXPECT_EQ(sb.flows.at(0)->proto, "/meshsub/1.1.0");
	EXPECT_EQ(sb.flows[0]->in, "rpc");
	EXPECT_EQ(p.b.node.stat(KP_STAT_streams_unknown_protocol), 1u);
	EXPECT_EQ(p.a.node.stat(KP_STAT_streams_opened), 1u);
	EXPECT_EQ(p.b.node.stat(KP_STAT_streams_accepted), 1u);
}

TEST_F(stream, refused)
{
	p.connect();
	Flow &lazy = open("lost", {"/none"});
	Flow &two = open("lost", {"/none", "/nothing"});
	p.settle();
	EXPECT_EQ(lazy.opened, 1);
	EXPECT_EQ(lazy.closed, 1);
	EXPECT_EQ(lazy.why, KP_E_NOTSUP);
	EXPECT_EQ(two.opened, 0);
	EXPECT_EQ(two.closed, 1);
	EXPECT_EQ(two.why, KP_E_NOTSUP);
	EXPECT_EQ(p.b.node.stat(KP_STAT_streams_unknown_protocol), 3u);
	EXPECT_TRUE(kp_list_empty(&p.a.c->streams));
	EXPECT_TRUE(kp_list_empty(&p.b.c->streams));
}

TEST_F(stream, negotiation_deadline)
{
	serve("/x");
	p.connect();
	p.b.reading = false;
	Flow &one = open("x", {"/x"});
	p.run(KP_SEC(3));
	Flow &two = open("x", {"/x", "/y"});
	p.run(KP_SEC(7) - 1);
	EXPECT_EQ(one.closed, 0);
	p.run(1);
	EXPECT_EQ(one.closed, 1);
	EXPECT_EQ(one.why, KP_E_TIMEDOUT);
	EXPECT_EQ(two.closed, 0);
	p.b.reading = true;
	p.settle();
	EXPECT_EQ(two.opened, 1);
	p.run(KP_SEC(20));
	EXPECT_EQ(two.closed, 0);
	EXPECT_EQ(p.a.node.stat(KP_STAT_streams_timed_out), 1u);
	/* Inbound: a SYN and nothing more. */
	Raw r;
	r.handshake();
	r.send(muxtest::window(KP_YAMUX_SYN, 1, 0) + muxtest::data(KP_YAMUX_SYN, 3, mss_header()));
	r.frames_ponged();
	r.tick(KP_SEC(10) - 1);
	EXPECT_EQ(r.frames().size(), 0u);
	r.tick(1);
	auto f = r.frames();
	ASSERT_EQ(f.size(), 2u);
	EXPECT_EQ(f[0].h.flags, KP_YAMUX_RST);
	EXPECT_EQ(f[1].h.flags, KP_YAMUX_RST);
	EXPECT_EQ(r.end.node.stat(KP_STAT_streams_timed_out), 2u);
	EXPECT_TRUE(kp_list_empty(&r.end.c->streams));
}

TEST_F(stream, intents_before_open_are_kept)
{
	serve("/y");
	p.connect();
	Flow &f = open("", {"/x", "/y"});
	kp_stream_want_write(f.s);
	kp_stream_fin(f.s);
	f.out = "late";
	p.settle();
	EXPECT_EQ(sb.flows.at(0)->in, "late");
	EXPECT_EQ(sb.flows[0]->fins, 1);
	EXPECT_EQ(f.closed, 1);
	EXPECT_EQ(f.why, KP_OK);
}

TEST_F(stream, fin_comes_behind_all_data)
{
	serve("/x");
	p.connect();
	Flow &f = open(blob(1000000), {"/x"});
	f.fin_when_sent = true;
	p.settle();
	EXPECT_TRUE(same(sb.flows.at(0)->in, blob(1000000)));
	EXPECT_EQ(sb.flows[0]->fins, 1);
	EXPECT_EQ(sb.flows[0]->why, KP_OK);
	EXPECT_EQ(f.why, KP_OK);
	EXPECT_EQ(f.closed, 1);
}

TEST_F(stream, fin_is_answered_without_an_op)
{
	sb.ops.on_fin = nullptr;
	serve("/x");
	p.connect();
	Flow &f = open("x", {"/x"});
	f.fin_when_sent = true;
	p.settle();
	EXPECT_EQ(sb.flows.at(0)->closed, 1);
	EXPECT_EQ(sb.flows[0]->why, KP_OK);
	EXPECT_EQ(f.why, KP_OK);
}

TEST_F(stream, half_open_both_ways)
{
	serve("/x");
	sb.on_new = [](Flow &f) { f.fin_on_fin = false; };
	p.connect();
	Flow &f = open("ask", {"/x"});
	f.fin_when_sent = true;
	p.settle();
	Flow &g = *sb.flows.at(0);
	EXPECT_EQ(g.fins, 1);
	EXPECT_EQ(g.closed, 0);
	g.fin_when_sent = true;
	g.send("answer after the end");
	p.settle();
	EXPECT_EQ(f.in, "answer after the end");
	EXPECT_EQ(f.fins, 1);
	EXPECT_EQ(f.why, KP_OK);
	EXPECT_EQ(g.why, KP_OK);
}

TEST_F(stream, half_open_leftovers_end_after_a_minute_of_silence)
{
	serve("/x");
	sb.on_new = [](Flow &f) { f.fin_on_fin = false; };
	p.connect();
	Flow &f = open("ask", {"/x"});
	f.fin_when_sent = true;
	p.settle();
	for (int i = 0; i < 5; i++) { /* it still says something: kept */
		p.run(KP_SEC(50));
		sb.flows.at(0)->send("tick");
	}
	p.settle();
	EXPECT_EQ(f.closed, 0);
	p.run(KP_SEC(61));
	EXPECT_EQ(f.closed, 1);
	EXPECT_EQ(f.why, KP_E_TIMEDOUT);
	EXPECT_EQ(sb.flows[0]->closed, 1);
	EXPECT_EQ(sb.flows[0]->why, KP_E_PROTO); /* reset by the peer */
}

TEST_F(stream, reset_by_us_and_by_them)
{
	serve("/x");
	p.connect();
	Flow &f = open("x", {"/x"});
	p.settle();
	kp_stream_reset(f.s);
	kp_stream_reset(f.s);
	kp_stream_want_write(f.s);
	EXPECT_EQ(f.closed, 0); /* from the pump */
	p.settle();
	EXPECT_EQ(f.closed, 1);
	EXPECT_EQ(f.why, KP_E_CANCELED);
	EXPECT_EQ(sb.flows.at(0)->closed, 1);
	EXPECT_EQ(sb.flows[0]->why, KP_E_PROTO);
}

TEST_F(stream, reset_from_inside_every_op)
{
	serve("/x");
	p.connect();
	Flow &a = open("x", {"/x"});
	a.on_open = [](Flow &f) { kp_stream_reset(f.s); };
	p.settle();
	EXPECT_EQ(a.opened, 1);
	EXPECT_EQ(a.why, KP_E_CANCELED);
	EXPECT_EQ(sb.flows.size(), 0u); /* the peer never heard of it */
	sb.on_new = [](Flow &f) { f.on_open = [](Flow &g) { kp_stream_reset(g.s); }; };
	Flow &b = open("x", {"/x"});
	p.settle();
	EXPECT_EQ(b.why, KP_E_PROTO);
	EXPECT_EQ(sb.flows.at(0)->opened, 1);
	EXPECT_EQ(sb.flows[0]->in, "");
	EXPECT_EQ(sb.flows[0]->why, KP_E_CANCELED);
	sb.on_new = [](Flow &f) { f.on_data = [](Flow &g) { kp_stream_reset(g.s); }; };
	Flow &c = open(blob(100000), {"/x"});
	p.settle();
	EXPECT_EQ(c.why, KP_E_PROTO);
	EXPECT_EQ(sb.flows.at(1)->why, KP_E_CANCELED);
	sb.on_new = nullptr;
	static bool once;
	once = false;
	sa.ops.pull = [](void *svc, kp_stream *s, kp_time now, kp_slice *v, unsigned v_max,
	                 size_t n_max) {
		if (once)
			kp_stream_reset(s);
		once = true;
		return Service::op_pull(svc, s, now, v, v_max, n_max);
	};
	Flow &d = open(blob(100000), {"/x"});
	p.settle();
	EXPECT_EQ(d.why, KP_E_CANCELED);
	EXPECT_TRUE(kp_list_empty(&p.a.c->streams));
	EXPECT_TRUE(kp_list_empty(&p.b.c->streams));
}

TEST_F(stream, service_errors)
{
	serve("/x");
	p.connect();
	sb.on_new = [](Flow &f) { f.open_err = KP_E_LIMIT; };
	Flow &a = open("x", {"/x"});
	p.settle();
	EXPECT_EQ(a.why, KP_E_PROTO);
	EXPECT_EQ(sb.flows.at(0)->closed, 0); /* on_open failed: no on_close */
	sb.on_new = [](Flow &f) { f.data_err = KP_E_PROTO; };
	Flow &b = open("x", {"/x"});
	p.settle();
	EXPECT_EQ(b.why, KP_E_PROTO);
	EXPECT_EQ(sb.flows.at(1)->closed, 1);
	EXPECT_EQ(sb.flows[1]->why, KP_E_PROTO);
	sb.on_new = nullptr;
	Flow &c = sa.add();
	c.open_err = KP_E_LIMIT;
	EXPECT_EQ(p.a.open(p.now, sa, c, {"/x"}), KP_OK);
	p.settle();
	EXPECT_EQ(c.opened, 1);
	EXPECT_EQ(c.closed, 0);
	EXPECT_EQ(p.a.state(), KP_CONN_OPEN);
}

TEST_F(stream, bad_negotiation_resets_this_stream_only)
{
	Raw r;
	r.svc.on_new = [](Flow &f) { f.echo = true; };
	r.end.served["/x"] = &r.svc;
	r.handshake();
	r.frames_ponged();
	struct {
		const char *name;
		std::string in;
		unsigned flags; /* of the last frame back */
	} rows[] = {
	        {"no header", mss("/x"), KP_YAMUX_RST},
	        {"garbage", "\xff\xff\xff", KP_YAMUX_RST},
	        {"no newline", mss_header() + std::string("\x03/xx", 4), KP_YAMUX_RST},
	        {"too long", mss_header() + "\xff\x7f", KP_YAMUX_RST},
	};
	uint32_t id = 1;
	for (auto &row : rows) {
		SCOPED_TRACE(row.name);
		r.send(muxtest::data(KP_YAMUX_SYN, id, row.in));
		auto f = r.frames();
		ASSERT_GE(f.size(), 1u);
		EXPECT_EQ(f.back().h.flags, row.flags);
		EXPECT_EQ(f.back().h.stream, id);
		id += 2;
	}
	EXPECT_EQ(r.end.node.stat(KP_STAT_mss_errors), 4u);
	/* 64 proposals are answered, the 65th resets. */
	std::string many = mss_header();
	for (int i = 0; i < 65; i++)
		many += mss("/nothing");
	r.send(muxtest::data(KP_YAMUX_SYN, id, many));
	EXPECT_EQ(r.frames().back().h.flags, KP_YAMUX_RST);
	/* FIN before any proposal. */
	r.send(muxtest::data(KP_YAMUX_SYN | KP_YAMUX_FIN, id + 2, mss_header()));
	EXPECT_EQ(r.frames().back().h.flags, KP_YAMUX_RST);
	r.send(muxtest::data(KP_YAMUX_SYN, id + 4, mss_header() + mss("/x") + "alive"));
	EXPECT_EQ(r.frames().back().body, mss_header() + mss("/x") + "alive");
	EXPECT_EQ(r.svc.flows.size(), 1u);
}

TEST_F(stream, a_refused_lazy_dialer_gets_its_na)
{
	/* Data and FIN behind the proposal do not turn the answer into a reset. */
	Raw r;
	r.handshake();
	r.frames_ponged();
	std::string hello = mss_header() + mss("/none");
	std::string answer = mss_header() + mss("na");
	r.send(muxtest::data(KP_YAMUX_SYN, 1, hello + "\xff\xff no negotiation"));
	auto f = r.frames();
	ASSERT_EQ(f.size(), 1u);
	EXPECT_EQ(f[0].body, answer);
	r.send(muxtest::data(0, 1, blob(5000)) + muxtest::window(KP_YAMUX_RST, 1, 0));
	EXPECT_EQ(r.frames().size(), 0u);
	r.send(muxtest::data(KP_YAMUX_SYN, 3, hello + blob(300)) +
	       muxtest::data(KP_YAMUX_FIN, 3, ""));
	f = r.frames();
	ASSERT_EQ(f.size(), 2u);
	EXPECT_EQ(f[0].body, answer);
	EXPECT_EQ(f[1].h.flags, KP_YAMUX_FIN);
	EXPECT_TRUE(kp_list_empty(&r.end.c->streams));
	/* One that never resets is ended by the negotiation's time. */
	r.send(muxtest::data(KP_YAMUX_SYN, 5, hello + "\xff\xff"));
	r.frames();
	r.tick(KP_SEC(10));
	EXPECT_TRUE(kp_list_empty(&r.end.c->streams));
	/* Between two connections: the dialer hears "not supported". */
	p.connect();
	Flow &g = open(blob(1000), {"/none"});
	g.fin_when_sent = true;
	p.settle();
	EXPECT_EQ(g.why, KP_E_NOTSUP);
	EXPECT_TRUE(kp_list_empty(&p.b.c->streams));
}

TEST_F(stream, lazy_peers_of_each_kind)
{
	/* Header, proposal, data and FIN in one go; and without any data. */
	Raw r;
	r.svc.on_new = [](Flow &f) { f.echo = true; };
	r.end.served["/x"] = &r.svc;
	r.handshake();
	r.frames_ponged();
	std::string hello = mss_header() + mss("/x");
	r.send(muxtest::data(KP_YAMUX_SYN, 1, hello + "rust") + muxtest::data(KP_YAMUX_FIN, 1, ""));
	auto f = r.frames();
	ASSERT_EQ(f.size(), 2u);
	EXPECT_EQ(f[0].h.flags, KP_YAMUX_ACK);
	EXPECT_EQ(f[0].body, hello + "rust");
	EXPECT_EQ(f[1].h.flags, KP_YAMUX_FIN);
	EXPECT_EQ(r.svc.flows.at(0)->why, KP_OK);
	r.send(muxtest::data(KP_YAMUX_SYN | KP_YAMUX_FIN, 3, hello));
	f = r.frames();
	ASSERT_GE(f.size(), 1u);
	EXPECT_EQ(f[0].body, hello);
	EXPECT_EQ(f.back().h.flags & KP_YAMUX_FIN, KP_YAMUX_FIN);
	EXPECT_EQ(r.svc.flows.at(1)->closed, 1);
	/* go: SYN first, ACK at once, then the bytes. */
	r.send(muxtest::window(KP_YAMUX_SYN, 5, 0));
	f = r.frames();
	ASSERT_EQ(f.size(), 1u);
	EXPECT_EQ(f[0].h.type, KP_YAMUX_WINDOW);
	EXPECT_EQ(f[0].h.flags, KP_YAMUX_ACK);
	r.send(muxtest::data(0, 5, hello + "go"));
	f = r.frames();
	ASSERT_EQ(f.size(), 1u);
	EXPECT_EQ(f[0].h.flags, 0u);
	EXPECT_EQ(f[0].body, hello + "go");
	/* js: the whole window in one frame. */
	std::string big = hello + blob(KP_YAMUX_WINDOW_FIRST - hello.size());
	r.svc.on_new = nullptr;
	r.send(muxtest::data(KP_YAMUX_SYN, 7, big));
	EXPECT_EQ(r.svc.flows.at(3)->in, big.substr(hello.size()));
	size_t credit = 0;
	for (auto &x : r.frames())
		credit += x.h.type == KP_YAMUX_WINDOW ? x.h.length : 0;
	EXPECT_GE(credit, KP_YAMUX_WINDOW_FIRST / 2);
}

TEST_F(stream, hold_and_resume)
{
	serve("/x");
	sb.on_new = [](Flow &f) { f.hold_at = 1; };
	p.connect();
	std::string all = blob(600000);
	Flow &f = open(all, {"/x"});
	f.fin_when_sent = true;
	p.settle();
	Flow &g = *sb.flows.at(0);
	size_t first = g.in.size();
	EXPECT_GT(first, 0u);
	EXPECT_LE(first, KP_YAMUX_FRAME_MAX);
	EXPECT_EQ(g.fins, 0);
	/* Only the window is under way, and no credit goes out. */
	EXPECT_EQ(f.out.size() + KP_YAMUX_WINDOW_FIRST,
	          all.size() + mss_header().size() + mss("/x").size());
	kp_stream *s = g.s;
	EXPECT_EQ(s->rxq_n, KP_YAMUX_WINDOW_FIRST - first - mss_header().size() - mss("/x").size());
	p.run(KP_SEC(5));
	EXPECT_EQ(g.in.size(), first);
	/* In small steps. */
	for (int i = 0; i < 1000 && g.in.size() < all.size(); i++) {
		g.hold_at = g.in.size() + 5000;
		kp_stream_resume(g.s);
		p.settle();
	}
	EXPECT_TRUE(same(g.in, all));
	g.hold_at = SIZE_MAX;
	if (g.s != nullptr)
		kp_stream_resume(g.s);
	p.settle();
	EXPECT_EQ(g.fins, 1);
	EXPECT_EQ(g.why, KP_OK);
	EXPECT_EQ(f.why, KP_OK);
	EXPECT_EQ(kp_pool_blocks_live(p.b.node.pool), 0u);
}

TEST_F(stream, hold_in_on_open)
{
	serve("/x");
	sb.on_new = [](Flow &f) { f.on_open = [](Flow &g) { kp_stream_hold(g.s); }; };
	p.connect();
	Flow &f = open("waits", {"/x"});
	f.fin_when_sent = true;
	p.settle();
	EXPECT_EQ(sb.flows.at(0)->in, "");
	EXPECT_EQ(sb.flows[0]->fins, 0);
	kp_stream_resume(sb.flows[0]->s);
	p.settle();
	EXPECT_EQ(sb.flows[0]->in, "waits");
	EXPECT_EQ(sb.flows[0]->fins, 1);
}

TEST_F(stream, a_held_stream_does_not_stop_others)
{
	serve("/x");
	sb.on_new = [](Flow &f) { f.hold_at = f.proto == "" && f.in_bytes == 0 ? 1 : SIZE_MAX; };
	p.connect();
	open(blob(500000), {"/x"});
	p.settle();
	sb.on_new = nullptr;
	Flow &f = open(blob(500000, 1), {"/x"});
	f.fin_when_sent = true;
	p.settle();
	EXPECT_TRUE(same(sb.flows.at(1)->in, blob(500000, 1)));
	EXPECT_EQ(f.closed, 1);
}

TEST_F(stream, one_byte_frames_cost_no_more_than_their_bytes)
{
	Raw r;
	r.svc.on_new = [](Flow &f) { f.hold_at = 1; };
	r.end.served["/x"] = &r.svc;
	r.handshake();
	r.send(muxtest::data(KP_YAMUX_SYN, 1, mss_header() + mss("/x") + "x"));
	r.frames_ponged();
	std::string many;
	for (int i = 0; i < 1000; i++)
		many += muxtest::data(0, 1, "y");
	for (int i = 0; i < 100; i++)
		r.send(many);
	EXPECT_EQ(r.svc.flows.at(0)->s->rxq_n, 100000u);
	EXPECT_LT(kp_pool_bytes_live(r.end.node.pool), 200000u);
	r.svc.flows[0]->hold_at = SIZE_MAX;
	kp_stream_resume(r.svc.flows[0]->s);
	r.collect();
	EXPECT_EQ(r.svc.flows[0]->in.size(), 100001u);
}

TEST_F(stream, memory_shortage_pauses_reading_and_loses_nothing)
{
	Pair q(150000); /* the receiver's pool: a read block and little more */
	Service &qa = q.sa, &qb = q.sb;
	q.b.served["/x"] = &qb;
	qb.on_new = [](Flow &f) { f.hold_at = 1; };
	q.connect();
	Flow &f = qa.add();
	f.out = blob(400000);
	f.fin_when_sent = true;
	ASSERT_EQ(q.a.open(q.now, qa, f, {"/x"}), KP_OK);
	q.run(KP_SEC(2));
	Flow &g = *qb.flows.at(0);
	EXPECT_TRUE(q.b.c->rx_blocked);
	EXPECT_EQ(q.b.state(), KP_CONN_OPEN);
	EXPECT_GT(q.b.node.stat(KP_STAT_rx_stalls), 0u);
	size_t cap;
	EXPECT_EQ(kp_conn_rx_buf(q.b.c, &cap), nullptr);
	g.hold_at = SIZE_MAX;
	kp_stream_resume(g.s);
	q.run(KP_SEC(2));
	EXPECT_TRUE(same(g.in, blob(400000)));
	EXPECT_EQ(g.why, KP_OK);
	EXPECT_EQ(f.why, KP_OK);
}

TEST_F(stream, inbound_limit)
{
	serve("/x");
	p.pb.streams_in_max = 10;
	p.pa.streams_out_max = 12;
	p.connect();
	for (int i = 0; i < 12; i++)
		open("x", {"/x"});
	Flow &f = sa.add();
	EXPECT_EQ(p.a.open(p.now, sa, f, {"/x"}), KP_E_LIMIT);
	p.settle();
	EXPECT_EQ(sb.flows.size(), 10u);
	int refused = 0;
	for (auto &x : sa.flows)
		refused += x->closed;
	EXPECT_EQ(refused, 2);
	EXPECT_EQ(p.b.node.stat(KP_STAT_streams_refused), 2u);
	/* Live ones count, not all there ever were. */
	for (auto &x : sa.flows)
		if (x->s != nullptr)
			kp_stream_reset(x->s);
	p.settle();
	for (int i = 0; i < 10; i++)
		open("x", {"/x"});
	p.settle();
	EXPECT_EQ(sb.flows.size(), 20u);
	EXPECT_EQ(p.b.node.stat(KP_STAT_streams_refused), 2u);
}

TEST_F(stream, limit_of_one_service)
{
	serve("/x");
	sb.ops.in_max = 2;
	p.connect();
	Flow *f[4];
	for (auto &x : f)
		x = &open("x", {"/x"});
	p.settle();
	EXPECT_EQ(sb.flows.size(), 2u);
	EXPECT_EQ(f[2]->why, KP_E_PROTO);
	EXPECT_EQ(f[3]->why, KP_E_PROTO);
	kp_stream_reset(f[0]->s);
	p.settle();
	Flow &g = open("x", {"/x"});
	p.settle();
	EXPECT_EQ(g.closed, 0);
	EXPECT_EQ(sb.flows.size(), 3u);
}

TEST_F(stream, negotiations_over_the_cap_wait_their_turn)
{
	kp_conn_params params = kp_conn_params_default();
	params.negotiating_in_max = 4;
	Raw r(false, params);
	r.svc.on_new = [](Flow &f) { f.echo = true; };
	r.end.served["/x"] = &r.svc;
	r.handshake();
	r.frames_ponged();
	for (uint32_t i = 0; i < 4; i++)
		r.send(muxtest::window(KP_YAMUX_SYN, 1 + 2 * i, 0));
	std::string hello = mss_header() + mss("/x");
	for (uint32_t i = 4; i < 10; i++)
		r.send(muxtest::data(KP_YAMUX_SYN | (i % 2 ? KP_YAMUX_FIN : 0u), 1 + 2 * i,
		                     hello + std::to_string(i)));
	EXPECT_EQ(r.svc.flows.size(), 0u);
	EXPECT_EQ(r.end.c->negotiating_in, 4);
	r.frames();
	/* One of the first four gets on: all the others follow, each being quick. */
	r.send(muxtest::data(0, 1, hello));
	EXPECT_EQ(r.svc.flows.size(), 7u);
	EXPECT_EQ(r.end.c->waiting_bytes, 0u);
	std::string all;
	for (auto &f : r.frames())
		all += f.body;
	for (int i = 4; i < 10; i++)
		EXPECT_NE(all.find(hello + std::to_string(i)), std::string::npos);
	r.tick(KP_SEC(10));
	EXPECT_EQ(r.end.c->negotiating_in, 0);
}

TEST_F(stream, waiting_streams_may_not_hoard)
{
	kp_conn_params params = kp_conn_params_default();
	params.negotiating_in_max = 1;
	Raw r(false, params);
	r.handshake();
	r.frames_ponged();
	r.send(muxtest::window(KP_YAMUX_SYN, 1, 0));
	for (uint32_t id = 3; id < 23; id += 2)
		r.send(muxtest::data(KP_YAMUX_SYN, id, blob(200000)));
	EXPECT_EQ(r.end.state(), KP_CONN_OPEN);
	EXPECT_LE(r.end.c->waiting_bytes, KP_CONN_WAITING_MAX);
	EXPECT_GE(r.end.node.stat(KP_STAT_streams_refused), 4u);
	EXPECT_LT(kp_pool_bytes_live(r.end.node.pool), KP_CONN_WAITING_MAX + 400000u);
}

TEST_F(stream, idle_accounting)
{
	serve("/x");
	p.connect();
	kp_time opened = kp_conn_opened_at(p.a.c);
	EXPECT_EQ(kp_conn_idle_since(p.a.c), opened);
	p.run(KP_SEC(5));
	Flow &f = open("x", {"/x"});
	EXPECT_EQ(kp_conn_idle_since(p.a.c), KP_NEVER);
	p.settle();
	EXPECT_EQ(kp_conn_idle_since(p.b.c), KP_NEVER);
	p.run(KP_SEC(5));
	kp_time now = p.now;
	kp_stream_set_idle(f.s, true); /* between two events: counts from the pump */
	p.pump(p.a);
	EXPECT_EQ(kp_conn_idle_since(p.a.c), now);
	kp_stream_set_idle(f.s, true);
	kp_stream_set_idle(f.s, false);
	EXPECT_EQ(kp_conn_idle_since(p.a.c), KP_NEVER);
	kp_stream_set_idle(f.s, true);
	p.run(KP_SEC(5));
	Flow &g = open("x", {"/x"});
	EXPECT_EQ(kp_conn_idle_since(p.a.c), KP_NEVER);
	p.settle();
	now = p.now;
	kp_stream_reset(g.s);
	p.settle();
	EXPECT_GE(kp_conn_idle_since(p.a.c), now);
	EXPECT_NE(kp_conn_idle_since(p.a.c), KP_NEVER);
	EXPECT_EQ(kp_conn_idle_since(p.b.c), KP_NEVER);
	kp_stream_reset(f.s);
	p.settle();
	EXPECT_NE(kp_conn_idle_since(p.b.c), KP_NEVER);
}

TEST_F(stream, last_progress)
{
	serve("/x");
	p.connect();
	Flow &f = open("x", {"/x"});
	p.settle();
	p.run(KP_SEC(5));
	/* The peer takes nothing: time stands still from when there was something to send. */
	p.pump(p.a);
	kp_time t0 = p.now;
	p.bytes_per_sec = 1;
	f.send(blob(1000));
	p.settle();
	p.run(KP_SEC(3));
	EXPECT_EQ(kp_stream_last_progress(f.s), t0);
}

TEST_F(stream, connection_loss_closes_all)
{
	serve("/x");
	p.connect();
	Flow &open_flow = open("x", {"/x"});
	p.settle();
	Flow &negotiating = open("x", {"/y", "/x"});
	Flow &lazy = open("x", {"/x"});
	Flow &dead = open("x", {"/x"});
	kp_stream_reset(dead.s);
	kp_conn_abort(p.a.c, p.now, KP_WHY_TRIMMED);
	for (Flow *f : {&open_flow, &negotiating, &lazy}) {
		EXPECT_EQ(f->closed, 1);
		EXPECT_EQ(f->why, KP_E_CLOSED);
	}
	EXPECT_EQ(dead.closed, 1);
	EXPECT_EQ(dead.why, KP_E_CANCELED);
	Flow &late = sa.add();
	EXPECT_EQ(p.a.open(p.now, sa, late, {"/x"}), KP_E_STATE);
	p.settle();
	EXPECT_EQ(sb.flows.at(0)->why, KP_E_CLOSED);
}

TEST_F(stream, many_slices_and_small_writes)
{
	serve("/x");
	p.connect();
	Flow &f = sa.add();
	f.slice_max = 7;
	f.out = blob(100000);
	f.fin_when_sent = true;
	ASSERT_EQ(p.a.open(p.now, sa, f, {"/x"}), KP_OK);
	p.settle();
	EXPECT_TRUE(same(sb.flows.at(0)->in, blob(100000)));
}

TEST_F(stream, window_grows_with_the_round_trip)
{
	/* 60 ms and 1 Gbit/s: 256 KiB windows alone would carry 4 MB/s. */
	serve("/x");
	sb.on_new = [](Flow &f) { f.count_only = true; };
	p.latency = KP_MS(30);
	p.bytes_per_sec = 125000000;
	p.start();
	p.run(KP_SEC(1));
	Flow &f = sa.add();
	f.blob = 4000000000u;
	ASSERT_EQ(p.a.open(p.now, sa, f, {"/x"}), KP_OK);
	p.run(KP_SEC(2));
	uint64_t before = sb.flows.at(0)->in_bytes;
	p.run(KP_MS(500));
	uint64_t rate = (sb.flows[0]->in_bytes - before) * 2;
	EXPECT_GT(rate, p.bytes_per_sec * 8 / 10);
	EXPECT_LE(sb.flows[0]->s->y.recv_max, 16u << 20);
}

/* Asks for a barrier behind every message that ends with '|'. */
bool barrier_behind_bars(void *, kp_stream *s)
{
	Flow *f = Service::slot(s);
	return !f->given.empty() && f->given.back() == '|';
}

TEST_F(stream, barrier)
{
	for (bool older_ping : {false, true}) {
		SCOPED_TRACE(older_ping);
		Raw r(true);
		r.svc.ops.wants_barrier = barrier_behind_bars;
		r.handshake();
		uint32_t first = 0;
		if (older_ping)
			first = r.frames().at(0).h.length;
		else
			r.frames_ponged();
		Flow &f = r.svc.add();
		f.out = "big|";
		ASSERT_EQ(r.end.open(r.now, r.svc, f, {"/x"}), KP_OK);
		auto x = r.frames();
		ASSERT_EQ(x.size(), older_ping ? 1u : 2u);
		EXPECT_EQ(x[0].body.substr(x[0].body.size() - 4), "big|");
		f.send("behind");
		kp_stream_fin(f.s);
		Flow &other = r.svc.add();
		other.out = "not held up";
		ASSERT_EQ(r.end.open(r.now, r.svc, other, {"/x"}), KP_OK);
		auto y = r.frames();
		ASSERT_EQ(y.size(), 1u);
		EXPECT_EQ(y[0].h.stream, 3u);
		uint32_t value = older_ping ? 0 : x[1].h.length;
		if (older_ping) {
			/* Its answer says nothing about what was written since. */
			r.send(muxtest::ping(KP_YAMUX_ACK, first));
			x = r.frames();
			ASSERT_EQ(x.size(), 1u);
			ASSERT_EQ(x[0].h.type, KP_YAMUX_PING);
			value = x[0].h.length;
		} else {
			EXPECT_EQ(x[1].h.type, KP_YAMUX_PING);
		}
		EXPECT_EQ(r.frames().size(), 0u);
		r.send(muxtest::ping(KP_YAMUX_ACK, value));
		x = r.frames();
		ASSERT_EQ(x.size(), 2u);
		EXPECT_EQ(x[0].body, "behind");
		EXPECT_EQ(x[1].h.flags, KP_YAMUX_FIN);
		EXPECT_EQ(r.end.c->barriers, 0);
	}
}

TEST_F(stream, barriers_of_several_streams_and_a_goodbye)
{
	sa.ops.wants_barrier = barrier_behind_bars;
	serve("/x");
	p.latency = KP_MS(10);
	p.start();
	p.run(KP_SEC(1));
	for (int i = 0; i < 3; i++) {
		Flow &f = open("one|", {"/x"});
		f.on_data = nullptr;
		p.run(KP_MS(3));
		f.send("two|");
		p.run(KP_MS(3));
		f.send("three|");
	}
	Flow &dead = open("never released|", {"/x"});
	p.run(KP_MS(1));
	kp_stream_reset(dead.s);
	kp_conn_goodbye(p.a.c, p.now, KP_WHY_LOCAL_CLOSE, p.now + KP_SEC(2));
	p.run(KP_SEC(1));
	EXPECT_EQ(p.a.why(), KP_WHY_LOCAL_CLOSE);
	EXPECT_EQ(p.b.why(), KP_WHY_PEER_GOAWAY);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(sb.flows.at(i)->in, "one|two|three|");
		EXPECT_EQ(sb.flows[i]->fins, 1);
	}
}

TEST_F(stream, random_traffic)
{
	for (unsigned seed = 1; seed <= 15; seed++) {
		Pair q;
		std::mt19937 rnd(seed);
		q.latency = rnd() % 2 ? 0 : KP_MS(rnd() % 50);
		q.sb.on_new = [&rnd](Flow &f) { f.echo = rnd() % 2; };
		q.sa.on_new = q.sb.on_new;
		q.a.served["/x"] = &q.sa;
		q.b.served["/x"] = &q.sb;
		auto cut = [&rnd](size_t n) { return rnd() % 8 == 0 ? 1 : 1 + rnd() % n; };
		q.a.cut = q.b.cut = cut;
		q.connect();
		for (int i = 0; i < 60; i++) {
			End &e = rnd() % 2 ? q.a : q.b;
			Service &svc = &e == &q.a ? q.sa : q.sb;
			Flow &f = svc.add();
			f.out = blob(rnd() % 2 ? rnd() % 100 : rnd() % 300000, i);
			f.fin_when_sent = rnd() % 2;
			f.slice_max = 1 + rnd() % 5000;
			ASSERT_EQ(e.open(q.now, svc, f,
			                 rnd() % 3 ? std::vector<const char *>{"/x"}
			                           : std::vector<const char *>{"/none", "/x"}),
			          KP_OK);
			q.run(KP_MS(rnd() % 100));
			for (auto &g : svc.flows)
				if (g->s != nullptr && rnd() % 40 == 0)
					kp_stream_reset(g->s);
		}
		q.run(KP_SEC(2));
		ASSERT_EQ(q.a.state(), KP_CONN_OPEN);
		ASSERT_EQ(q.b.state(), KP_CONN_OPEN);
		for (Service *s : {&q.sa, &q.sb})
			for (auto &g : s->flows)
				EXPECT_LE(g->opened, 1);
		q.close();
		for (Service *s : {&q.sa, &q.sb})
			for (auto &g : s->flows)
				EXPECT_EQ(g->closed, 1);
	}
}

} // namespace
