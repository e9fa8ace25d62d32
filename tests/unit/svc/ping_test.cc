/* core/svc/ping.c: echo in units of 32 bytes, whatever the cuts; measuring with time as data. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "svc/fake_svc.h"
#include "svc/ping.h"

namespace
{

const char *const PROTO = "/ipfs/ping/1.0.0";

struct Done {
	int n = 0;
	kp_err err = KP_OK;
	kp_time rtt = 0, at = 0;
};

void on_done(void *ctx, kp_time now, kp_err err, kp_time rtt)
{
	Done *d = static_cast<Done *>(ctx);
	d->n++;
	d->err = err;
	d->rtt = rtt;
	d->at = now;
}

class PingTest : public ::testing::Test
{
      protected:
	kp_host *h = fake_host_new(1);
	kp_ping *p = kp_ping_new(h);
	kp_peer_id peer = fake_peer(7);

	PingTest()
	{
		fake_register(h, &kp_ping_svc_ops, p);
		fake_serve(h, &kp_ping_proto_ops, kp_ping_protos[0], p);
		fake_connect(h, &peer, "/ip4/127.0.0.1/tcp/4001", true);
	}
	~PingTest() override
	{
		fake_disconnect(h, &peer);
		fake_pump(h);
		kp_ping_free(p);
		fake_host_free(h);
	}
	static std::string bytes(size_t n)
	{
		std::string s(n, 0);
		for (size_t i = 0; i < n; i++)
			s[i] = static_cast<char>(i * 7 + i / 32);
		return s;
	}
	uint64_t start(kp_time timeout, Done *d)
	{
		uint64_t id = 0;
		EXPECT_EQ(kp_ping_start(p, fake_now(h), &peer, timeout, on_done, d, &id), KP_OK);
		return id;
	}
	/* The peer echoes everything after `delay`. */
	void echo_after(kp_time delay)
	{
		h->on_written = [this, delay](kp_stream *s) {
			size_t n = s->out.size();
			h->world->at(fake_now(h) + delay, [s, n] {
				if (!s->gone && s->in_sent < n) {
					s->in += s->out.substr(s->in_sent, n - s->in_sent);
					s->in_sent = n;
				}
			});
		};
	}
};

TEST_F(PingTest, echoes_whole_units_in_any_cut)
{
	const std::string in = bytes(32 * 5);
	for (size_t cut : {0, 1, 7, 31, 32, 33, 64}) {
		for (size_t pull : {1, 5, 32, 16384}) {
			h->cut = cut;
			h->pull_max = pull;
			kp_stream *s = fake_remote_open(h, &peer, PROTO);
			ASSERT_NE(s, nullptr);
			EXPECT_TRUE(s->idle);
			fake_remote_send(s, in.data(), in.size());
			fake_pump(h);
			EXPECT_EQ(s->out, in) << cut << " " << pull;
			fake_remote_fin(s);
			fake_pump(h);
			EXPECT_TRUE(s->gone);
			EXPECT_EQ(s->why, KP_OK);
		}
	}
	EXPECT_EQ(h->stat(KP_STAT_ping_errors), 0u);
	EXPECT_EQ(h->stat(KP_STAT_pings_answered), 7u * 4 * 5);
}

TEST_F(PingTest, echo_goes_on_while_pings_come_in)
{
	const std::string in = bytes(32 * 60);
	h->in_turns = true;
	for (size_t pull : {5, 20, 31, 32, 33}) {
		h->cut = pull;
		h->pull_max = pull;
		kp_stream *s = fake_remote_open(h, &peer, PROTO);
		fake_remote_send(s, in.data(), in.size());
		fake_remote_fin(s);
		fake_pump(h);
		EXPECT_EQ(s->out, in) << pull;
		EXPECT_EQ(s->why, KP_OK);
	}
}

TEST_F(PingTest, waits_for_the_whole_unit)
{
	kp_stream *s = fake_remote_open(h, &peer, PROTO);
	fake_remote_send(s, bytes(33).data(), 33);
	fake_pump(h);
	EXPECT_EQ(s->out.size(), 32u);
}

TEST_F(PingTest, answers_when_fin_came_with_the_ping)
{
	kp_stream *s = fake_remote_open(h, &peer, PROTO);
	fake_remote_send(s, bytes(32).data(), 32);
	fake_remote_fin(s);
	fake_pump(h);
	EXPECT_EQ(s->out, bytes(32));
	EXPECT_TRUE(s->fin_sent);
	EXPECT_EQ(s->why, KP_OK);
}

TEST_F(PingTest, fin_inside_a_unit_is_an_error)
{
	kp_stream *s = fake_remote_open(h, &peer, PROTO);
	fake_remote_send(s, bytes(40).data(), 40);
	fake_remote_fin(s);
	fake_pump(h);
	EXPECT_TRUE(s->was_reset);
	EXPECT_EQ(h->stat(KP_STAT_ping_errors), 1u);
}

TEST_F(PingTest, flood_resets_the_stream)
{
	kp_stream *s = fake_remote_open(h, &peer, PROTO);
	fake_remote_send(s, bytes(32 * 33).data(),
	                 32 * 33); /* one read: nothing can be echoed yet */
	fake_pump(h);
	EXPECT_TRUE(s->gone);
	EXPECT_EQ(s->why, KP_E_PROTO);
	EXPECT_EQ(h->stat(KP_STAT_ping_errors), 1u);
}

TEST_F(PingTest, third_inbound_replaces_the_oldest)
{
	kp_stream *a = fake_remote_open(h, &peer, PROTO);
	kp_stream *b = fake_remote_open(h, &peer, PROTO);
	kp_stream *c = fake_remote_open(h, &peer, PROTO);
	fake_pump(h);
	EXPECT_TRUE(a->gone && a->was_reset);
	EXPECT_FALSE(b->gone || c->gone);
	fake_remote_send(c, bytes(32).data(), 32);
	fake_pump(h);
	EXPECT_EQ(c->out.size(), 32u);
	kp_stream *d = fake_remote_open(h, &peer, PROTO);
	fake_pump(h);
	EXPECT_TRUE(b->gone);
	EXPECT_FALSE(c->gone || d->gone);
}

TEST_F(PingTest, another_connection_has_its_own_two)
{
	kp_peer_id other = fake_peer(8);
	fake_connect(h, &other, "/ip4/127.0.0.1/tcp/4002", false);
	kp_stream *a = fake_remote_open(h, &peer, PROTO);
	kp_stream *b = fake_remote_open(h, &peer, PROTO);
	fake_remote_open(h, &other, PROTO);
	fake_remote_open(h, &other, PROTO);
	fake_pump(h);
	EXPECT_FALSE(a->gone || b->gone);
	fake_disconnect(h, &other);
}

TEST_F(PingTest, measures_the_round_trip)
{
	Done d;
	echo_after(KP_MS(25));
	start(KP_SEC(10), &d);
	EXPECT_EQ(d.n, 0);
	fake_run_for(h, KP_MS(25) - 1);
	EXPECT_EQ(d.n, 0);
	fake_run_for(h, 1);
	ASSERT_EQ(d.n, 1);
	EXPECT_EQ(d.err, KP_OK);
	EXPECT_EQ(d.rtt, KP_MS(25));
	EXPECT_EQ(h->stat(KP_STAT_pings_sent), 1u);
}

TEST_F(PingTest, pings_of_one_peer_share_a_stream_and_go_one_by_one)
{
	Done d[3];
	echo_after(KP_MS(10));
	for (Done &it : d)
		start(KP_SEC(10), &it);
	fake_run_for(h, KP_MS(30));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(d[i].n, 1);
		EXPECT_EQ(d[i].rtt, KP_MS(10));
	}
	EXPECT_EQ(h->streams.size(), 1u);
	EXPECT_EQ(h->streams[0]->out.size(), 96u);
}

TEST_F(PingTest, times_out_exactly_and_a_late_echo_harms_nobody)
{
	Done d, e;
	echo_after(KP_SEC(3));
	start(KP_SEC(2), &d);
	start(KP_SEC(9), &e);
	fake_run_for(h, KP_SEC(2) - 1);
	EXPECT_EQ(d.n, 0);
	fake_run_for(h, 1);
	ASSERT_EQ(d.n, 1);
	EXPECT_EQ(d.err, KP_E_TIMEDOUT);
	EXPECT_TRUE(h->streams[0]->was_reset);
	fake_run_for(h, KP_SEC(3));
	ASSERT_EQ(e.n, 1);
	EXPECT_EQ(e.err, KP_OK);
	EXPECT_EQ(h->streams.size(), 2u);
	EXPECT_EQ(h->stat(KP_STAT_ping_timeouts), 1u);
}

TEST_F(PingTest, wrong_echo_is_a_protocol_error)
{
	Done d;
	start(KP_SEC(2), &d);
	fake_pump(h);
	std::string wrong = h->streams[0]->out;
	wrong[31] = static_cast<char>(wrong[31] ^ 1);
	fake_remote_send(h->streams[0].get(), wrong.data(), wrong.size());
	fake_pump(h);
	ASSERT_EQ(d.n, 1);
	EXPECT_EQ(d.err, KP_E_PROTO);
	EXPECT_TRUE(h->streams[0]->gone);
}

TEST_F(PingTest, unasked_bytes_end_the_stream_only)
{
	Done d, e;
	echo_after(KP_MS(1));
	start(KP_SEC(2), &d);
	fake_run_for(h, KP_MS(1));
	ASSERT_EQ(d.n, 1);
	fake_remote_send(h->streams[0].get(), "x", 1);
	fake_pump(h);
	EXPECT_TRUE(h->streams[0]->gone);
	start(KP_SEC(2), &e);
	fake_run_for(h, KP_MS(1));
	EXPECT_EQ(e.err, KP_OK);
	EXPECT_EQ(e.n, 1);
}

TEST_F(PingTest, reopens_quietly_when_the_peer_has_closed)
{
	Done d, e;
	echo_after(KP_MS(1));
	start(KP_SEC(2), &d);
	fake_run_for(h, KP_MS(1));
	start(KP_SEC(2), &e);
	fake_remote_reset(h->streams[0].get()); /* before it sees our second ping, as go may */
	fake_run_for(h, KP_MS(5));
	ASSERT_EQ(e.n, 1);
	EXPECT_EQ(e.err, KP_OK);
	EXPECT_EQ(h->streams.size(), 2u);
}

TEST_F(PingTest, closed_by_fin_between_pings)
{
	Done d, e;
	echo_after(KP_MS(1));
	start(KP_SEC(2), &d);
	fake_run_for(h, KP_MS(1));
	fake_remote_fin(h->streams[0].get());
	fake_pump(h);
	EXPECT_TRUE(h->streams[0]->gone);
	EXPECT_EQ(h->streams[0]->why, KP_OK);
	start(KP_SEC(2), &e);
	fake_run_for(h, KP_MS(1));
	EXPECT_EQ(e.err, KP_OK);
	EXPECT_EQ(e.n, 1);
}

TEST_F(PingTest, fresh_stream_that_dies_is_an_error)
{
	Done d;
	start(KP_SEC(2), &d);
	fake_pump(h);
	fake_remote_reset(h->streams[0].get());
	fake_pump(h);
	ASSERT_EQ(d.n, 1);
	EXPECT_EQ(d.err, KP_E_PROTO);
	EXPECT_EQ(h->streams.size(), 1u);
}

TEST_F(PingTest, idle_stream_is_finished_after_10_s_and_reset_after_15)
{
	Done d;
	echo_after(KP_MS(1));
	start(KP_SEC(2), &d);
	fake_run_for(h, KP_MS(1));
	kp_stream *s = h->streams[0].get();
	fake_run_for(h, KP_SEC(10) - 1);
	EXPECT_FALSE(s->fin_sent);
	fake_run_for(h, 1);
	EXPECT_TRUE(s->fin_sent);
	fake_run_for(h, KP_SEC(5) - 1);
	EXPECT_FALSE(s->gone);
	fake_run_for(h, 1);
	EXPECT_TRUE(s->gone && s->was_reset);
}

TEST_F(PingTest, start_while_the_stream_is_closing_opens_another)
{
	Done d, e;
	echo_after(KP_MS(1));
	start(KP_SEC(2), &d);
	fake_run_for(h, KP_SEC(10) + KP_MS(2));
	EXPECT_TRUE(h->streams[0]->fin_sent);
	start(KP_SEC(2), &e);
	fake_run_for(h, KP_MS(1));
	EXPECT_EQ(e.n, 1);
	EXPECT_EQ(e.err, KP_OK);
	EXPECT_EQ(h->streams.size(), 2u);
}

TEST_F(PingTest, unsupported_and_lost_connections)
{
	Done d, e, f;
	h->agrees = [](const kp_proto *) { return false; };
	start(KP_SEC(2), &d);
	start(KP_SEC(2), &f);
	fake_pump(h);
	EXPECT_EQ(d.err, KP_E_NOTSUP);
	EXPECT_EQ(f.err, KP_E_NOTSUP);
	h->agrees = nullptr;
	start(KP_SEC(2), &e);
	fake_pump(h);
	fake_disconnect(h, &peer);
	EXPECT_EQ(e.n, 1);
	EXPECT_EQ(e.err, KP_E_CLOSED);
	uint64_t id;
	EXPECT_EQ(kp_ping_start(p, fake_now(h), &peer, KP_SEC(1), on_done, &e, &id), KP_E_NOTFOUND);
	EXPECT_EQ(e.n, 1);
}

TEST_F(PingTest, cancel_is_told_later_and_once)
{
	Done d, e;
	echo_after(KP_MS(20));
	uint64_t a = start(KP_SEC(2), &d);
	start(KP_SEC(2), &e);
	fake_run_for(h, KP_MS(1));
	kp_ping_cancel(p, fake_now(h), a);
	EXPECT_EQ(d.n, 0);
	fake_run_for(h, KP_MS(50));
	EXPECT_EQ(d.n, 1);
	EXPECT_EQ(d.err, KP_E_CANCELED);
	EXPECT_EQ(e.n, 1);
	EXPECT_EQ(e.err, KP_OK);
	kp_ping_cancel(p, fake_now(h), a);
	fake_run_for(h, KP_MS(50));
	EXPECT_EQ(d.n, 1);
}

TEST_F(PingTest, stop_ends_everything)
{
	Done d;
	start(KP_SEC(2), &d);
	fake_pump(h);
	kp_ping_svc_ops.on_stop(p, fake_now(h));
	EXPECT_EQ(d.n, 1);
	EXPECT_EQ(d.err, KP_E_CLOSED);
	uint64_t id;
	EXPECT_EQ(kp_ping_start(p, fake_now(h), &peer, KP_SEC(1), on_done, &d, &id), KP_E_CLOSED);
	fake_pump(h);
	EXPECT_EQ(h->live_streams(), 0u);
}

TEST_F(PingTest, allocation_failures_are_errors_not_crashes)
{
	for (uint64_t at = 1; at < 40; at++) {
		Done d;
		uint64_t id;
		h->mem.fail_at = h->mem.calls + at;
		kp_err err = kp_ping_start(p, fake_now(h), &peer, KP_SEC(1), on_done, &d, &id);
		echo_after(KP_MS(1));
		fake_run_for(h, KP_SEC(2));
		EXPECT_EQ(d.n, err == KP_OK ? 1 : 0);
		kp_stream *s = fake_remote_open(h, &peer, PROTO);
		if (s != nullptr) {
			fake_remote_send(s, bytes(32).data(), 32);
			fake_remote_fin(s);
			fake_pump(h);
		}
		h->mem.fail_at = 0;
		fake_run_for(h, KP_SEC(20));
	}
}

} // namespace
