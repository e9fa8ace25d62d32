/* Two whole connections: handshake, round trips, streams over them, deadlines. */
#include "pair.h"
#include "raw.h"

#include <random>

using namespace pairtest;

namespace
{

Flow &say(Pair &p, End &from, Service &svc, const std::string &text,
          const std::vector<const char *> &names)
{
	Flow &f = svc.add();
	f.out = text;
	EXPECT_EQ(from.open(p.now, svc, f, names), KP_OK);
	return f;
}

TEST(conn, opens_both_ways)
{
	Pair p;
	p.connect();
	EXPECT_EQ(p.a.n_secured, 1);
	EXPECT_EQ(p.b.n_secured, 1);
	EXPECT_EQ(p.a.n_opened, 1);
	EXPECT_EQ(p.b.n_opened, 1);
	EXPECT_TRUE(kp_peer_id_eq(kp_conn_peer(p.a.c), &p.b.node.self.id));
	EXPECT_TRUE(kp_peer_id_eq(kp_conn_peer(p.b.c), &p.a.node.self.id));
	EXPECT_EQ(p.a.node.stat(KP_STAT_handshakes_out), 1u);
	EXPECT_EQ(p.b.node.stat(KP_STAT_handshakes_in), 1u);
	EXPECT_TRUE(kp_conn_outbound(p.a.c));
	EXPECT_FALSE(kp_conn_outbound(p.b.c));
	EXPECT_EQ(kp_conn_id(p.b.c).slot, 2u);
}

TEST(conn, echo_and_clean_end)
{
	Pair p;
	Service &sa = p.sa, &sb = p.sb;
	sb.on_new = [](Flow &f) { f.echo = true; };
	p.b.served["/echo"] = &sb;
	p.connect();
	Flow &f = say(p, p.a, sa, "hello", {"/echo"});
	EXPECT_EQ(kp_stream_proto(f.s).id, nullptr);
	p.settle();
	EXPECT_EQ(f.in, "hello");
	EXPECT_EQ(f.opened, 1);
	EXPECT_EQ(kp_stream_proto(f.s).version, 7);
	EXPECT_TRUE(kp_peer_id_eq(kp_stream_peer(f.s), &p.b.node.self.id));
	EXPECT_TRUE(kp_id_eq(kp_stream_conn_id(f.s), kp_conn_id(p.a.c)));
	ASSERT_EQ(sb.flows.size(), 1u);
	EXPECT_EQ(sb.flows[0]->in, "hello");
	EXPECT_EQ(sb.flows[0]->proto, "/echo");
	EXPECT_FALSE(sb.flows[0]->outbound);
	kp_stream_fin(f.s);
	p.settle();
	EXPECT_EQ(f.closed, 1);
	EXPECT_EQ(f.why, KP_OK);
	EXPECT_EQ(sb.flows[0]->closed, 1);
	EXPECT_EQ(sb.flows[0]->why, KP_OK);
	EXPECT_EQ(sb.flows[0]->fins, 1);
}

/* TCP's round trip is not ours: two are left for connect and the first answer. */
void first_answer(bool early_a, bool early_b)
{
	Pair p;
	p.latency = KP_MS(100);
	if (!early_a)
		no_early_muxer(p.a.node);
	if (!early_b)
		no_early_muxer(p.b.node);
	Service &sa = p.sa, &sb = p.sb;
	sb.on_new = [](Flow &f) { f.echo = true; };
	p.b.served["/echo"] = &sb;
	Flow &f = sa.add();
	f.out = "hello";
	p.a.opened = [&](End &e) { ASSERT_EQ(e.open(p.now, sa, f, {"/echo"}), KP_OK); };
	p.start();
	kp_time t0 = p.now;
	p.run(KP_MS(300));
	ASSERT_EQ(sb.flows.size(), 1u);
	EXPECT_EQ(sb.flows[0]->in, "hello");
	EXPECT_EQ(p.a.n_writes, 2);
	p.run(KP_MS(99));
	EXPECT_EQ(f.in, "");
	p.run(KP_MS(1));
	EXPECT_EQ(p.now - t0, KP_MS(400));
	EXPECT_EQ(f.in, "hello");
	EXPECT_EQ(p.b.n_writes, 2);
	EXPECT_EQ(p.b.state(), KP_CONN_OPEN);
	p.run(KP_SEC(15)); /* the handshake's deadline is gone */
	EXPECT_EQ(p.a.state(), KP_CONN_OPEN);
	EXPECT_EQ(p.b.state(), KP_CONN_OPEN);
}

TEST(conn, three_round_trips_with_early_muxer)
{
	first_answer(true, true);
}

TEST(conn, three_round_trips_with_multistream_muxer)
{
	first_answer(false, true);
	first_answer(true, false);
	first_answer(false, false);
}

TEST(conn, first_write_is_header_noise_and_message_1)
{
	Raw r(true);
	r.collect();
	std::string hello = mss_header() + mss("/noise");
	EXPECT_EQ(r.pending.size(), hello.size() + 34);
	EXPECT_EQ(r.pending.substr(0, hello.size()), hello);
}

TEST(conn, peer_checks)
{
	struct {
		const char *name;
		int kind;
		kp_why a, b;
	} rows[] = {
	        {"another peer", 0, KP_WHY_WRONG_PEER_ID, KP_WHY_PEER_CLOSED},
	        {"anybody", 1, KP_WHY_NONE, KP_WHY_NONE},
	        {"denied by the dialer", 2, KP_WHY_DENIED, KP_WHY_PEER_CLOSED},
	        {"limit at the listener", 3, KP_WHY_PEER_CLOSED, KP_WHY_REFUSED_LIMIT},
	        {"ourselves", 4, KP_WHY_SELF, KP_WHY_PEER_CLOSED},
	};
	for (auto &r : rows) {
		SCOPED_TRACE(r.name);
		Pair p;
		kp_peer_id expect = r.kind == 0 ? p.a.node.self.id : p.b.node.self.id;
		if (r.kind == 0)
			expect.b[20] ^= 1;
		if (r.kind == 2)
			p.a.secured = [](End &) { return KP_WHY_DENIED; };
		if (r.kind == 3)
			p.b.secured = [](End &) { return KP_WHY_REFUSED_LIMIT; };
		if (r.kind == 4) {
			p.b.node.self = p.a.node.self;
			ASSERT_EQ(kp_noise_local_init(&p.b.node.noise, p.b.node.crypto,
			                              &p.b.node.self),
			          KP_OK);
		}
		ASSERT_TRUE(p.make(r.kind == 1 ? nullptr : &expect));
		kp_conn_start(p.a.c, p.now);
		kp_conn_start(p.b.c, p.now);
		p.settle();
		EXPECT_EQ(p.a.why(), r.a) << kp_why_text(p.a.why());
		EXPECT_EQ(p.b.why(), r.b) << kp_why_text(p.b.why());
		EXPECT_EQ(p.a.node.stat(KP_STAT_wrong_peer_id), r.kind == 0 ? 1u : 0u);
		EXPECT_EQ(p.a.node.stat(KP_STAT_handshakes_failed),
		          r.a == KP_WHY_NONE || r.kind == 3 ? 0u : 1u);
	}
}

TEST(conn, handshake_deadline_is_exact)
{
	for (int kind = 0; kind < 3; kind++) {
		Pair p;
		p.start();
		if (kind == 0) {
			p.a.reading = p.b.reading = false; /* silence */
		} else if (kind == 1) {
			p.a.reading = false; /* half a handshake */
		} else {
			p.a.cut = [](size_t) { return 1; }; /* one byte per 9 s */
			p.a.reading = false;
		}
		kp_time t0 = p.now;
		for (int i = 0; i < 10 && kind == 2; i++) {
			p.run(KP_MS(900));
			p.deliver(p.a);
			p.a.reading = true;
			p.deliver(p.a);
			p.a.reading = false;
		}
		p.run(t0 + KP_SEC(10) - 1 - p.now);
		EXPECT_NE(p.a.state(), KP_CONN_DEAD);
		p.run(1);
		EXPECT_EQ(p.a.state(), KP_CONN_DEAD);
		EXPECT_EQ(p.a.why(), KP_WHY_HANDSHAKE_TIMEOUT);
		EXPECT_EQ(p.a.node.stat(KP_STAT_handshakes_timed_out), 1u);
	}
}

TEST(conn, bad_handshakes_table)
{
	std::string hello = mss_header() + mss("/noise");
	struct {
		const char *name;
		bool dials;
		std::string in;
		kp_why why;
		kp_stat stat;
	} rows[] = {
	        {"listener: not multistream", false, "GET / HTTP/1.1\r\n\r\n", KP_WHY_BAD_MSS,
	         KP_STAT_mss_errors},
	        {"listener: TLS hello", false,
	         std::string("\x16\x03\x01\x02\x00\x01\x00", 7) + blob(100), KP_WHY_BAD_MSS,
	         KP_STAT_mss_errors},
	        {"listener: noise message of 31 bytes", false,
	         hello + std::string("\0\x1f", 2) + blob(31), KP_WHY_BAD_NOISE,
	         KP_STAT_noise_errors},
	        {"listener: empty noise message", false, hello + std::string("\0\0", 2),
	         KP_WHY_BAD_NOISE, KP_STAT_noise_errors},
	        {"listener: noise message too long, from its length alone", false,
	         hello + "\x20\x01", KP_WHY_BAD_NOISE, KP_STAT_noise_errors},
	        {"listener: two messages at once", false,
	         hello + std::string("\0\x20", 2) + blob(32) + std::string("\0\x20", 2) + blob(32),
	         KP_WHY_BAD_NOISE, KP_STAT_noise_errors},
	        {"dialer: refused", true, mss_header() + mss("na"), KP_WHY_NEGOTIATION,
	         KP_STAT_handshakes_failed},
	        {"dialer: another protocol", true, mss_header() + mss("/tls/1.0.0"), KP_WHY_BAD_MSS,
	         KP_STAT_mss_errors},
	        {"dialer: message 2 of garbage", true, hello + std::string("\0\xc8", 2) + blob(200),
	         KP_WHY_BAD_NOISE, KP_STAT_noise_errors},
	        {"dialer: message 2 too short", true, hello + std::string("\0\x20", 2) + blob(32),
	         KP_WHY_BAD_NOISE, KP_STAT_noise_errors},
	};
	for (auto &row : rows) {
		SCOPED_TRACE(row.name);
		for (bool bytewise : {false, true}) {
			Raw r(row.dials);
			r.collect();
			size_t step = bytewise ? 1 : row.in.size();
			for (size_t at = 0; at < row.in.size() && r.end.state() != KP_CONN_DEAD;
			     at += step) {
				size_t cap;
				uint8_t *p = kp_conn_rx_buf(r.end.c, &cap);
				ASSERT_NE(p, nullptr);
				size_t n = std::min(step, row.in.size() - at);
				memcpy(p, &row.in[at], n);
				kp_conn_on_read(r.end.c, r.now, n);
			}
			EXPECT_EQ(r.end.state(), KP_CONN_DEAD);
			EXPECT_EQ(r.end.why(), row.why) << kp_why_text(r.end.why());
			EXPECT_EQ(r.end.node.stat(row.stat), 1u);
			EXPECT_EQ(r.end.node.stat(KP_STAT_handshakes_failed), 1u);
			EXPECT_EQ(r.end.n_secured, 0);
		}
	}
}

TEST(conn, large_handshake_messages_fit)
{
	/* 8,192 bytes are read (an RSA-8192 peer needs about 2,300); the first block is smaller. */
	Raw r(false);
	std::string hello = mss_header() + mss("/noise");
	r.feed(hello + r.hs_message());
	r.take_all();
	std::string message = std::string("\x20\x00", 2) + blob(8191);
	r.feed(message);
	EXPECT_EQ(r.end.state(), KP_CONN_NOISE);
	r.feed("x");
	EXPECT_EQ(r.end.why(), KP_WHY_BAD_NOISE); /* forged, but read */
}

TEST(conn, end_of_file)
{
	for (int stage = 0; stage < 3; stage++) {
		Pair p;
		p.start();
		if (stage > 0)
			p.pump(p.a), p.deliver(p.b);
		if (stage > 1)
			p.settle();
		kp_conn_on_read(p.b.c, p.now, 0);
		EXPECT_EQ(p.b.state(), KP_CONN_DEAD);
		EXPECT_EQ(p.b.why(), KP_WHY_PEER_CLOSED);
	}
}

TEST(conn, free_without_start)
{
	Pair p;
	ASSERT_TRUE(p.make(nullptr));
	EXPECT_EQ(p.a.state(), KP_CONN_DIALING);
	EXPECT_EQ(p.b.state(), KP_CONN_SECURING);
	p.a.free();
	p.b.free();
}

TEST(conn, dialing_has_the_same_deadline)
{
	Pair p;
	ASSERT_TRUE(p.make(nullptr));
	p.run(KP_SEC(10));
	EXPECT_EQ(p.a.why(), KP_WHY_HANDSHAKE_TIMEOUT);
}

TEST(conn, split_invariance)
{
	/* The same streams with reads whole, byte by byte and cut at random. */
	auto run = [](const std::function<size_t(size_t)> &cut, bool early, std::string *result) {
		Pair p;
		if (!early)
			no_early_muxer(p.b.node);
		p.a.cut = p.b.cut = cut;
		Service &sa = p.sa, &sb = p.sb;
		sb.on_new = [](Flow &f) { f.echo = f.fin_when_sent = true; };
		p.b.served["/x"] = &sb;
		p.b.served["/y"] = &sb;
		p.a.opened = [&](End &) {
			say(p, p.a, sa, blob(3000), {"/x"});
			say(p, p.a, sa, blob(10, 3), {"/none", "/y"});
			say(p, p.a, sa, "", {"/none"});
		};
		p.start();
		p.settle();
		for (auto &f : sa.flows)
			if (f->s != nullptr)
				kp_stream_fin(f->s);
		p.settle();
		EXPECT_EQ(p.a.state(), KP_CONN_OPEN);
		EXPECT_EQ(p.b.state(), KP_CONN_OPEN);
		for (Service *s : {&sa, &sb})
			for (auto &f : s->flows)
				*result += f->proto + ":" + f->in + ":" +
				           std::to_string(f->closed) + ":" +
				           std::to_string(f->why) + ":" + std::to_string(f->fins) +
				           "\n";
	};
	for (bool early : {true, false}) {
		std::string whole, bytewise;
		run(nullptr, early, &whole);
		run([](size_t) { return 1; }, early, &bytewise);
		EXPECT_EQ(whole, bytewise);
		std::mt19937 rnd(3);
		for (int round = 0; round < 20; round++) {
			std::string cut;
			run([&rnd](size_t n) { return 1 + rnd() % n; }, early, &cut);
			ASSERT_EQ(whole, cut);
		}
	}
}

TEST(conn, measures_round_trips)
{
	Pair p;
	p.latency = KP_MS(30);
	p.start();
	p.run(KP_SEC(1));
	EXPECT_EQ(kp_conn_rtt(p.a.c), KP_MS(60));
	EXPECT_EQ(kp_conn_rtt(p.b.c), KP_MS(60));
	p.latency = KP_MS(80);
	p.run(KP_SEC(25));
	EXPECT_EQ(kp_conn_rtt(p.a.c), KP_MS(60));
	p.run(KP_SEC(10));
	EXPECT_EQ(kp_conn_rtt(p.a.c), KP_MS(160));
}

TEST(conn, keepalive)
{
	Pair p;
	p.connect();
	for (int i = 0; i < 20; i++) {
		p.run(KP_SEC(30));
		ASSERT_EQ(p.a.state(), KP_CONN_OPEN);
	}
	/* The peer vanishes. */
	p.b.reading = false;
	Service &sa = p.sa;
	Flow &f = say(p, p.a, sa, "x", {"/x"});
	kp_time t0 = p.now;
	p.run(KP_SEC(41));
	EXPECT_EQ(p.a.state(), KP_CONN_DEAD);
	EXPECT_EQ(p.a.why(), KP_WHY_KEEPALIVE_TIMEOUT);
	EXPECT_EQ(p.a.node.stat(KP_STAT_keepalive_timeouts), 1u);
	EXPECT_GT(p.now, t0);
	EXPECT_EQ(f.closed, 1);
}

TEST(conn, a_peer_that_sends_is_alive_even_if_pongs_are_late)
{
	Raw r;
	r.handshake();
	r.frames(); /* its first ping stays unanswered */
	for (int i = 0; i < 10; i++) {
		r.tick(KP_SEC(5));
		r.send(muxtest::data(0, 77, "noise"));
	}
	EXPECT_EQ(r.end.state(), KP_CONN_OPEN);
	r.tick(KP_SEC(9));
	EXPECT_EQ(r.end.state(), KP_CONN_OPEN);
	r.tick(KP_SEC(2));
	EXPECT_EQ(r.end.why(), KP_WHY_KEEPALIVE_TIMEOUT);
}

TEST(conn, go_away_from_the_peer)
{
	Raw r;
	Service &svc = r.svc;
	r.end.served["/x"] = &svc;
	r.handshake();
	r.send(muxtest::data(KP_YAMUX_SYN, 1, mss_header() + mss("/x") + "last") +
	       muxtest::frame(KP_YAMUX_GOAWAY, 0, 0, 0));
	EXPECT_EQ(r.end.why(), KP_WHY_PEER_GOAWAY);
	ASSERT_EQ(svc.flows.size(), 1u);
	EXPECT_EQ(svc.flows[0]->in, "last");
	EXPECT_EQ(svc.flows[0]->closed, 1);
	EXPECT_EQ(svc.flows[0]->why, KP_E_CLOSED);
}

TEST(conn, violations_get_go_away_1)
{
	struct {
		const char *name;
		std::string in;
	} rows[] = {
	        {"version 1", std::string("\1\0\0\0\0\0\0\0\0\0\0\0", 12)},
	        {"SYN with our parity", muxtest::window(KP_YAMUX_SYN, 2, 0)},
	        {"beyond the window", muxtest::frame(KP_YAMUX_DATA, KP_YAMUX_SYN, 1, 300000)},
	};
	for (auto &row : rows) {
		SCOPED_TRACE(row.name);
		Raw r;
		Service &svc = r.svc;
		r.end.served["/x"] = &svc;
		r.handshake();
		r.send(muxtest::data(KP_YAMUX_SYN, 9, mss_header() + mss("/x")));
		r.frames();
		r.send(row.in + muxtest::data(KP_YAMUX_SYN, 7, "not read"));
		auto f = r.frames();
		ASSERT_EQ(f.size(), 1u);
		EXPECT_EQ(f[0].h.type, KP_YAMUX_GOAWAY);
		EXPECT_EQ(f[0].h.length, 1u);
		EXPECT_EQ(r.end.state(), KP_CONN_DEAD);
		EXPECT_EQ(r.end.why(), KP_WHY_BAD_YAMUX);
		EXPECT_EQ(r.end.node.stat(KP_STAT_yamux_errors), 1u);
		ASSERT_EQ(svc.flows.size(), 1u);
		EXPECT_EQ(svc.flows[0]->closed, 1);
	}
}

TEST(conn, last_words_do_not_wait_for_ever)
{
	Raw r;
	r.handshake();
	r.frames();
	/* A write is in flight and never ends. */
	kp_yamux_ping(&r.end.c->mux);
	kp_slice out;
	r.send(muxtest::ping(KP_YAMUX_ACK, r.end.c->mux.ping_value));
	kp_yamux_ping(&r.end.c->mux);
	ASSERT_TRUE(kp_conn_tx(r.end.c, r.now, &out));
	std::string bad = r.seal(muxtest::data(0, 0, "x"));
	size_t cap;
	memcpy(kp_conn_rx_buf(r.end.c, &cap), bad.data(), bad.size());
	kp_conn_on_read(r.end.c, r.now, bad.size());
	EXPECT_EQ(r.end.state(), KP_CONN_CLOSING);
	r.now += KP_CONN_LAST_WORDS_NS;
	EXPECT_TRUE(r.end.dirty);
	r.end.dirty = false;
	kp_conn_pump(r.end.c, r.now - 1);
	EXPECT_EQ(r.end.state(), KP_CONN_CLOSING);
	kp_timers_run(&r.end.node.timers, r.now);
	EXPECT_TRUE(r.end.dirty);
	r.end.dirty = false;
	kp_conn_pump(r.end.c, r.now);
	EXPECT_EQ(r.end.state(), KP_CONN_DEAD);
	EXPECT_EQ(r.end.why(), KP_WHY_BAD_YAMUX);
	kp_conn_on_written(r.end.c, r.now);
}

TEST(conn, floods_end_the_connection)
{
	Raw r;
	r.handshake();
	r.frames();
	std::string pings;
	for (unsigned i = 0; i < 65; i++)
		pings += muxtest::ping(KP_YAMUX_SYN, i);
	r.send(pings);
	EXPECT_EQ(r.end.why(), KP_WHY_FLOOD);
	EXPECT_EQ(r.end.node.stat(KP_STAT_flood_closes), 1u);
	/* A peer that reads its pongs may ping for ever. */
	Raw ok;
	ok.handshake();
	ok.frames();
	for (unsigned i = 0; i < 1000; i++)
		ok.send(muxtest::ping(KP_YAMUX_SYN, i));
	EXPECT_EQ(ok.end.state(), KP_CONN_OPEN);
	EXPECT_EQ(ok.frames().size(), 1000u);
}

TEST(conn, forged_frame_ends_it)
{
	Raw r;
	r.handshake();
	std::string f = r.seal(muxtest::ping(KP_YAMUX_SYN, 1));
	f[10] = static_cast<char>(f[10] ^ 1);
	r.feed(f);
	EXPECT_EQ(r.end.why(), KP_WHY_BAD_NOISE);
	for (std::string bad : {std::string("\0\x0f", 2), std::string("\0\0", 2)}) {
		Raw s;
		s.handshake();
		s.feed(bad);
		EXPECT_EQ(s.end.why(), KP_WHY_BAD_NOISE);
	}
}

TEST(conn, empty_noise_plaintext_is_ignored)
{
	Raw r;
	r.handshake();
	r.frames();
	std::string f(KP_NOISE_OVERHEAD, 0);
	f[1] = 16;
	ASSERT_EQ(r.node.crypto->ops->aead_seal(r.noise.tx, r.noise.tx_n++, kp_slice_of("", 0),
	                                        nullptr, 0, reinterpret_cast<uint8_t *>(&f[2])),
	          KP_OK);
	r.feed(f);
	r.send(muxtest::ping(KP_YAMUX_SYN, 5));
	EXPECT_EQ(r.frames().size(), 1u);
}

TEST(conn, muxer_negotiation_by_hand)
{
	/* A listener without early negotiation refuses what is not yamux, then agrees. */
	Raw r;
	no_early_muxer(r.node);
	r.handshake();
	EXPECT_EQ(r.end.state(), KP_CONN_MUXING);
	EXPECT_EQ(r.end.n_opened, 0);
	r.send(mss_header() + mss("/mplex/6.7.0"));
	EXPECT_EQ(r.plain(), mss_header() + mss("na"));
	r.send(mss("/yamux/1.0.0") + muxtest::ping(KP_YAMUX_SYN, 7));
	EXPECT_EQ(r.end.state(), KP_CONN_OPEN);
	EXPECT_EQ(r.end.n_opened, 1);
	std::string out = r.plain();
	EXPECT_EQ(out.substr(0, mss("/yamux/1.0.0").size()), mss("/yamux/1.0.0"));
	EXPECT_NE(out.find(muxtest::ping(KP_YAMUX_ACK, 7)), std::string::npos);

	/* A dialer whose muxer is refused. */
	Raw d(true);
	no_early_muxer(d.node);
	d.handshake();
	EXPECT_EQ(d.end.state(), KP_CONN_OPEN); /* lazily */
	d.send(mss_header() + mss("na"));
	EXPECT_EQ(d.end.why(), KP_WHY_NEGOTIATION);

	/* A dialer whose peer never answers: the handshake deadline still stands. */
	Raw s(true);
	no_early_muxer(s.node);
	s.handshake();
	s.tick(KP_SEC(10));
	EXPECT_EQ(s.end.why(), KP_WHY_HANDSHAKE_TIMEOUT);
}

TEST(conn, transport_bytes_before_message_3_are_refused)
{
	Raw r(true);
	std::string hello = mss_header() + mss("/noise");
	r.collect();
	r.take(hello.size());
	r.hs_read();
	std::string two = r.hs_message();
	/* Read before message 3 could be written. */
	std::string in = hello + two + std::string("\0\x14", 2) + blob(20);
	size_t cap;
	memcpy(kp_conn_rx_buf(r.end.c, &cap), in.data(), in.size());
	kp_conn_on_read(r.end.c, r.now, in.size());
	EXPECT_EQ(r.end.why(), KP_WHY_BAD_NOISE);
}

TEST(conn, abort_from_a_host_call)
{
	Pair p;
	p.a.opened = [&](End &e) { kp_conn_abort(e.c, p.now, KP_WHY_DIAL_LOST); };
	p.start();
	p.settle();
	EXPECT_EQ(p.a.why(), KP_WHY_DIAL_LOST);
	EXPECT_EQ(p.b.state(), KP_CONN_DEAD);
}

TEST(conn, counters_retire_a_connection)
{
	Pair p;
	p.connect();
	p.a.c->noise.tx_n = p.b.c->noise.rx_n = KP_NOISE_COUNTER_RETIRE - 1;
	p.run(KP_SEC(40)); /* a keepalive or two */
	EXPECT_EQ(p.a.state(), KP_CONN_DEAD);
	EXPECT_EQ(p.a.why(), KP_WHY_LOCAL_CLOSE);
	EXPECT_EQ(p.b.why(), KP_WHY_PEER_GOAWAY);
}

TEST(conn, no_work_when_idle)
{
	Pair p;
	p.connect();
	EXPECT_FALSE(p.a.dirty || p.b.dirty);
	kp_slice out;
	kp_conn_pump(p.a.c, p.now);
	EXPECT_FALSE(p.a.dirty);
	EXPECT_FALSE(kp_conn_tx(p.a.c, p.now, &out));
	EXPECT_EQ(kp_pool_blocks_live(p.a.node.pool), 0u);
	EXPECT_EQ(kp_pool_blocks_live(p.b.node.pool), 0u);
}

TEST(conn, an_idle_connection_is_small)
{
	Pair p;
	Service &sa = p.sa, &sb = p.sb;
	sa.ops.state_size = sb.ops.state_size = sizeof(Flow *);
	p.a.served["/x"] = &sa;
	p.b.served["/x"] = &sb;
	p.connect();
	say(p, p.a, sa, "hello", {"/x"});
	say(p, p.b, sb, "hello", {"/x"});
	p.settle();
	uint64_t timers = p.b.node.timers.room * sizeof(void *);
	RecordProperty("bytes", std::to_string(p.b.node.mem.bytes));
	EXPECT_LE(p.b.node.mem.bytes - timers,
	          2000u); /* two AEAD contexts of 1.06 KB come on top */
	EXPECT_EQ(kp_pool_bytes_live(p.b.node.pool), 0u);
}

} // namespace
