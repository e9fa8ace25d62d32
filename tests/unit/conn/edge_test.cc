/* What happens at the edges only: calls too early or too late, answers in an order that few peers
 * choose, a backend that fails. */
#include "raw.h"

using namespace pairtest;

namespace
{

TEST(edge, reading_before_the_start_and_after_the_end)
{
	Pair p;
	ASSERT_TRUE(p.make(nullptr));
	size_t cap = 1;
	EXPECT_EQ(kp_conn_rx_buf(p.a.c, &cap), nullptr);
	EXPECT_EQ(cap, 0u);
	EXPECT_EQ(kp_conn_idle_since(p.a.c), KP_NEVER);
	kp_conn_abort(p.a.c, p.now, KP_WHY_SHUTDOWN);
	EXPECT_EQ(kp_conn_rx_buf(p.a.c, &cap), nullptr);
	kp_conn_on_read(p.a.c, p.now, 1);
	EXPECT_EQ(p.a.why(), KP_WHY_SHUTDOWN);
	kp_conn_start(p.b.c, p.now);
	EXPECT_NE(kp_conn_rx_buf(p.b.c, &cap), nullptr);
	kp_conn_abort(p.b.c, p.now, KP_WHY_SHUTDOWN);
	EXPECT_EQ(kp_conn_rx_buf(p.b.c, &cap), nullptr);
}

TEST(edge, abort_while_the_peer_is_judged)
{
	Pair p;
	p.a.secured = [&](End &e) {
		kp_conn_abort(e.c, p.now, KP_WHY_DIAL_LOST);
		return KP_WHY_NONE;
	};
	p.start();
	p.settle();
	EXPECT_EQ(p.a.why(), KP_WHY_DIAL_LOST);
	EXPECT_EQ(p.a.n_opened, 0);
}

/* Reads without anything being written. */
void read_only(Raw &r, const std::string &plain)
{
	std::string sealed = r.seal(plain);
	size_t cap;
	uint8_t *at = kp_conn_rx_buf(r.end.c, &cap);
	ASSERT_NE(at, nullptr);
	memcpy(at, sealed.data(), sealed.size());
	kp_conn_on_read(r.end.c, r.now, sealed.size());
}

TEST(edge, last_words_behind_a_write_and_nothing_behind_them)
{
	Raw r;
	r.handshake();
	r.frames_ponged();
	kp_slice out;
	kp_yamux_ping(&r.end.c->mux);
	ASSERT_TRUE(kp_conn_tx(r.end.c, r.now, &out));
	read_only(r, muxtest::data(0, 0, "x"));
	EXPECT_EQ(r.end.state(), KP_CONN_CLOSING);
	kp_conn_on_written(r.end.c, r.now); /* what was on its way: the go-away is still to come */
	EXPECT_EQ(r.end.state(), KP_CONN_CLOSING);
	ASSERT_TRUE(kp_conn_tx(r.end.c, r.now, &out));
	kp_conn_on_written(r.end.c, r.now);
	EXPECT_FALSE(kp_conn_tx(r.end.c, r.now, &out)); /* before the pump ends it */
	r.collect();
	EXPECT_EQ(r.end.why(), KP_WHY_BAD_YAMUX);
}

/* The backend's functions, of which some fail. */
struct Backend {
	kp_crypto *crypto;
	static const kp_crypto_ops *real;
	static int calls, fail_at;
	kp_crypto_ops ops;

	explicit Backend(kp_crypto *c) : crypto(c)
	{
		real = c->ops;
		ops = *real;
		c->ops = &ops;
		calls = 0;
	}
	~Backend()
	{
		crypto->ops = real;
	}
	static bool fails()
	{
		return ++calls == fail_at;
	}
};
const kp_crypto_ops *Backend::real;
int Backend::calls, Backend::fail_at;

TEST(edge, a_cipher_that_fails_ends_the_connection)
{
	Pair p;
	p.connect();
	{
		Backend b(p.a.node.crypto);
		b.ops.aead_seal = [](kp_aead *, uint64_t, kp_slice, const kp_slice *, size_t,
		                     uint8_t *) { return KP_E_INTERNAL; };
		kp_conn_goodbye(p.a.c, p.now, KP_WHY_LOCAL_CLOSE, p.now + KP_SEC(5));
		p.settle();
		EXPECT_EQ(p.a.why(), KP_WHY_MEMORY);
	}
}

TEST(edge, no_static_key_without_the_backend)
{
	Node n(1);
	kp_noise_local l;
	{
		Backend b(n.crypto);
		b.ops.x25519_pair = [](kp_crypto *, uint8_t *, uint8_t *) { return KP_E_NOMEM; };
		EXPECT_EQ(kp_noise_local_init(&l, n.crypto, &n.self), KP_E_NOMEM);
	}
	Backend b(n.crypto);
	b.ops.ed25519_sign = [](const uint8_t *, const uint8_t *, kp_slice, uint8_t *) {
		return KP_E_NOMEM;
	};
	EXPECT_EQ(kp_noise_local_init(&l, n.crypto, &n.self), KP_E_NOMEM);
}

/* ee, es and se of both sides. */
TEST(edge, a_shared_secret_that_cannot_be_had_ends_the_handshake)
{
	for (bool dialer : {true, false}) {
		for (Backend::fail_at = 1; Backend::fail_at <= 4; Backend::fail_at++) {
			SCOPED_TRACE(Backend::fail_at);
			Pair p;
			End &e = dialer ? p.a : p.b;
			Backend b(e.node.crypto);
			b.ops.x25519 = [](const uint8_t *secret, const uint8_t *pub, uint8_t *out) {
				return Backend::fails() ? KP_E_NOMEM
				                        : Backend::real->x25519(secret, pub, out);
			};
			p.start();
			p.settle();
			EXPECT_EQ(e.state() == KP_CONN_OPEN, Backend::fail_at == 4);
			if (Backend::fail_at < 4) {
				EXPECT_EQ(e.why(), KP_WHY_MEMORY);
			}
			p.close();
		}
	}
}

TEST(edge, a_muxer_is_refused_and_another_agreed_in_one_read)
{
	Raw r;
	no_early_muxer(r.node);
	r.handshake();
	r.send(mss_header());
	EXPECT_EQ(r.plain(), mss_header());
	read_only(r, mss("/mplex/6.7.0") + mss("/yamux/1.0.0"));
	EXPECT_EQ(r.end.state(), KP_CONN_OPEN);
	EXPECT_EQ(r.plain().substr(0, mss("na").size() + mss("/yamux/1.0.0").size()),
	          mss("na") + mss("/yamux/1.0.0"));
}

TEST(edge, a_goodbye_with_a_stream_that_has_just_ended)
{
	Raw r(true);
	r.handshake();
	r.frames_ponged();
	Flow &one = r.svc.add(), &two = r.svc.add();
	ASSERT_EQ(r.end.open(r.now, r.svc, one, {"/x"}), KP_OK);
	ASSERT_EQ(r.end.open(r.now, r.svc, two, {"/x"}), KP_OK);
	r.end.dirty = false;
	kp_conn_pump(r.end.c, r.now); /* both are open, nothing is written */
	one.on_close = [&](Flow &) { kp_stream_reset(two.s); };
	kp_conn_goodbye(r.end.c, r.now, KP_WHY_LOCAL_CLOSE, r.now + KP_SEC(2));
	kp_stream_reset(one.s);
	r.end.dirty = false;
	kp_conn_pump(r.end.c, r.now);
	r.frames_ponged();
	EXPECT_EQ(one.closed, 1);
	EXPECT_EQ(two.closed, 1);
	r.eof();
	EXPECT_EQ(r.end.why(), KP_WHY_LOCAL_CLOSE);
}

TEST(edge, half_open_for_ever_when_so_configured)
{
	kp_conn_params params = kp_conn_params_default();
	params.half_open_ns = 0;
	params.keepalive_ns = KP_SEC(1000);
	Raw r(true, params);
	r.handshake();
	r.frames_ponged();
	Flow &f = r.svc.add(), &silent = r.svc.add();
	f.fin_when_sent = true;
	ASSERT_EQ(r.end.open(r.now, r.svc, f, {"/x"}), KP_OK);
	r.collect();
	r.send(muxtest::data(KP_YAMUX_ACK, 1, mss_header() + mss("/x")));
	r.tick(KP_SEC(600));
	EXPECT_EQ(f.closed, 0);
	ASSERT_EQ(r.end.open(r.now, r.svc, silent, {"/x"}), KP_OK);
	r.collect();
	r.tick(KP_SEC(10)); /* its negotiation's time is over */
	EXPECT_EQ(silent.why, KP_E_TIMEDOUT);
	EXPECT_EQ(f.closed, 0);
}

TEST(edge, no_stream_from_a_connection_that_is_to_end)
{
	Raw r;
	Flow extra;
	kp_err err = KP_OK;
	r.svc.on_new = [&](Flow &f) {
		f.on_data = [&](Flow &) {
			kp_conn_abort(r.end.c, r.now, KP_WHY_LOCAL_CLOSE);
			err = r.end.open(r.now, r.svc, extra, {"/x"});
		};
	};
	r.end.served["/x"] = &r.svc;
	r.handshake();
	r.send(muxtest::data(KP_YAMUX_SYN, 1, mss_header() + mss("/x") + "x"));
	EXPECT_EQ(err, KP_E_STATE);
	EXPECT_EQ(r.end.why(), KP_WHY_LOCAL_CLOSE);
}

int plain_opened, plain_closed;

TEST(edge, a_service_without_state)
{
	kp_proto_ops ops{};
	ops.name = "plain";
	ops.in_max = 1;
	ops.on_open = [](void *, kp_stream *, kp_time) {
		plain_opened++;
		return KP_OK;
	};
	ops.on_data = [](void *, kp_stream *, kp_time, kp_slice) { return KP_OK; };
	ops.on_close = [](void *, kp_stream *, kp_time, kp_err) { plain_closed++; };
	Raw r(true);
	r.handshake();
	const kp_proto proto = {"/plain", 1};
	kp_stream *s = nullptr;
	ASSERT_EQ(kp_conn_open_stream(r.end.c, r.now, &proto, 1, &ops, nullptr, &s), KP_OK);
	EXPECT_EQ(kp_stream_state(s), nullptr);
	r.collect();
	EXPECT_EQ(plain_opened, 1);
	kp_stream_reset(s);
	r.collect();
	EXPECT_EQ(plain_closed, 1);
}

/* A listener with the service /x. */
struct Served : Raw {
	const std::string hello = mss_header() + mss("/x");

	explicit Served(unsigned negotiating_in_max = 128) : Raw(false, params(negotiating_in_max))
	{
		end.served["/x"] = &svc;
		handshake();
		frames_ponged();
	}
	static kp_conn_params params(unsigned n)
	{
		kp_conn_params p = kp_conn_params_default();
		p.negotiating_in_max = static_cast<uint16_t>(n);
		return p;
	}
	Flow &flow(size_t i)
	{
		return *svc.flows.at(i);
	}
};

TEST(edge, held_and_reset_and_resumed)
{
	Served r;
	r.send(muxtest::data(KP_YAMUX_SYN, 1, r.hello + "x"));
	kp_stream *s = r.flow(0).s;
	kp_stream_hold(s);
	kp_stream_reset(s);
	kp_stream_resume(s);
	r.collect();
	EXPECT_EQ(r.flow(0).closed, 1);
	EXPECT_EQ(r.flow(0).why, KP_E_CANCELED);
}

TEST(edge, resumed_and_held_again_before_the_pump)
{
	Served r;
	r.svc.on_new = [](Flow &f) { f.hold_at = 1; };
	r.send(muxtest::data(KP_YAMUX_SYN, 1, r.hello + "a"));
	r.send(muxtest::data(0, 1, "b"));
	Flow &f = r.flow(0);
	EXPECT_EQ(f.in, "a");
	kp_stream_resume(f.s);
	kp_stream_hold(f.s);
	r.collect();
	EXPECT_EQ(f.in, "a");
	f.hold_at = SIZE_MAX;
	kp_stream_resume(f.s);
	r.collect();
	EXPECT_EQ(f.in, "ab");
}

TEST(edge, our_fin_while_theirs_waits_behind_a_hold)
{
	Served r;
	r.svc.on_new = [](Flow &f) { f.hold_at = 1; };
	r.send(muxtest::data(KP_YAMUX_SYN | KP_YAMUX_FIN, 1, r.hello + "all"));
	Flow &f = r.flow(0);
	kp_stream_fin(f.s);
	EXPECT_EQ(r.frames().back().h.flags & KP_YAMUX_FIN, KP_YAMUX_FIN);
	EXPECT_EQ(f.fins, 0);
	kp_stream_resume(f.s);
	r.collect();
	EXPECT_EQ(f.fins, 1);
	EXPECT_EQ(f.closed, 1);
	EXPECT_EQ(f.why, KP_OK);
}

TEST(edge, both_have_finished_before_the_answer_is_read)
{
	Raw r(true);
	r.handshake();
	r.frames_ponged();
	Flow &f = r.svc.add();
	f.on_open = [](Flow &g) {
		kp_stream_hold(g.s);
		kp_stream_fin(g.s);
	};
	ASSERT_EQ(r.end.open(r.now, r.svc, f, {"/x"}), KP_OK);
	EXPECT_EQ(r.frames().back().h.flags & KP_YAMUX_FIN, KP_YAMUX_FIN);
	r.send(muxtest::data(KP_YAMUX_ACK | KP_YAMUX_FIN, 1, mss_header() + mss("/x") + "bye"));
	EXPECT_EQ(f.in, "");
	kp_stream_resume(f.s);
	r.collect();
	EXPECT_EQ(f.in, "bye");
	EXPECT_EQ(f.closed, 1);
	EXPECT_EQ(f.why, KP_OK);
}

TEST(edge, fin_instead_of_an_answer)
{
	Raw r(true);
	r.handshake();
	r.frames_ponged();
	Flow &f = r.svc.add();
	ASSERT_EQ(r.end.open(r.now, r.svc, f, {"/x"}), KP_OK);
	r.collect();
	r.send(muxtest::window(KP_YAMUX_ACK | KP_YAMUX_FIN, 1, 0));
	EXPECT_EQ(f.closed, 1);
	EXPECT_EQ(f.why, KP_E_PROTO);
}

TEST(edge, a_name_longer_than_any_of_ours)
{
	Served r;
	r.send(muxtest::data(KP_YAMUX_SYN, 1, mss_header() + mss(std::string(300, 'n'))));
	EXPECT_EQ(r.frames().at(0).body, mss_header() + mss("na"));
	r.send(muxtest::data(0, 1, mss("/x")));
	EXPECT_EQ(r.frames().at(0).body, mss("/x"));
}

bool barrier_always(void *, kp_stream *)
{
	return true;
}

TEST(edge, a_pong_for_a_barrier_beside_a_dead_stream)
{
	Raw r(true);
	r.svc.ops.wants_barrier = barrier_always;
	r.handshake();
	r.frames_ponged();
	Flow &dead = r.svc.add(), &f = r.svc.add();
	ASSERT_EQ(r.end.open(r.now, r.svc, dead, {"/x"}), KP_OK);
	r.collect();
	f.out = "big";
	ASSERT_EQ(r.end.open(r.now, r.svc, f, {"/x"}), KP_OK);
	auto x = r.frames();
	ASSERT_EQ(x.back().h.type, KP_YAMUX_PING);
	EXPECT_EQ(r.end.c->barriers, 1);
	kp_stream_reset(dead.s); /* its RST is not written yet */
	read_only(r, muxtest::ping(KP_YAMUX_ACK, x.back().h.length));
	EXPECT_EQ(r.end.c->barriers, 0);
	r.collect();
	EXPECT_EQ(dead.closed, 1);
}

TEST(edge, a_waiting_stream_that_is_held_as_soon_as_it_opens)
{
	Served r(1);
	r.send(muxtest::window(KP_YAMUX_SYN, 1, 0));
	r.send(muxtest::data(KP_YAMUX_SYN, 3, r.hello + "data"));
	r.svc.on_new = [](Flow &f) { f.on_open = [](Flow &g) { kp_stream_hold(g.s); }; };
	r.send(muxtest::data(0, 1, r.hello));
	ASSERT_EQ(r.svc.flows.size(), 2u);
	Flow &f = r.flow(1);
	EXPECT_EQ(f.in, "");
	kp_stream_resume(f.s);
	r.collect();
	EXPECT_EQ(f.in, "data");
}

TEST(edge, a_waiting_stream_waits_for_memory_too)
{
	for (unsigned k = 1; k <= 4; k++) {
		SCOPED_TRACE(k);
		Served r(1);
		r.send(muxtest::window(KP_YAMUX_SYN, 1, 0));
		r.send(muxtest::data(KP_YAMUX_SYN, 3, r.hello + "data"));
		r.end.node.mem.fail_at = r.end.node.mem.calls + k;
		r.send(muxtest::data(0, 1, r.hello));
		r.tick(KP_CONN_RETRY_NS);
		r.tick(KP_CONN_RETRY_NS);
		ASSERT_EQ(r.svc.flows.size(), 2u);
		EXPECT_EQ(r.flow(0).in + r.flow(1).in, "data");
	}
}

} // namespace
