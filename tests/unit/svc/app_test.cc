/* core/svc/app.c: one stream per peer and protocol, bounded, every send accounted for once. */
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "svc/app.h"
#include "svc/fake_svc.h"

namespace
{

const char *const P = "/chat/1.0.0";

class AppTest : public ::testing::Test
{
      protected:
	kp_host *h = fake_host_new(1);
	std::map<int64_t, std::vector<kp_err>> done;
	std::vector<int64_t> order;
	kp_app *a = kp_app_new(h, 65536, true, on_done, this);
	kp_peer_id peer = fake_peer(7);
	bool agree_at_once = true;

	AppTest()
	{
		fake_register(h, &kp_app_svc_ops, a);
		fake_connect(h, &peer, "/ip4/127.0.0.1/tcp/4001", true);
		h->on_open_out = [this](kp_stream *s) {
			s->agreed = agree_at_once;
			return KP_OK;
		};
	}
	~AppTest() override
	{
		fake_disconnect(h, &peer);
		kp_app_free(a);
		fake_host_free(h);
	}
	static void on_done(void *ctx, kp_time, int64_t token, kp_err err)
	{
		AppTest *t = static_cast<AppTest *>(ctx);
		t->done[token].push_back(err);
		t->order.push_back(token);
	}
	static kp_slice str(const std::string &s)
	{
		return kp_slice_of(s.data(), s.size());
	}
	kp_err send(const std::string &text, int64_t token, const char *protocol = P)
	{
		kp_ref ref = text.empty() ? kp_ref_none() : kp_ref_copy(h->pool, str(text));
		return kp_app_send(a, fake_now(h), &peer, kp_slice_str(protocol), ref, token);
	}
	kp_stream *inbound(const char *protocol = P)
	{
		kp_proto_binding b;
		if (!kp_app_find(a, kp_slice_str(protocol), &b))
			return nullptr;
		h->served = {b};
		return fake_remote_open(h, &peer, protocol);
	}
	std::string payload(kp_event *ev)
	{
		kp_slice s = ev->f[KP_F_PAYLOAD];
		EXPECT_NE(s.p, nullptr);
		return std::string(reinterpret_cast<const char *>(s.p), s.n);
	}
};

TEST_F(AppTest, serves_what_it_was_told_to)
{
	kp_proto_binding b;
	const char *id;
	EXPECT_FALSE(kp_app_find(a, kp_slice_str(P), &b));
	EXPECT_EQ(kp_app_serve(a, 0, kp_slice_str(P), 0), KP_OK);
	EXPECT_EQ(kp_app_serve(a, 0, kp_slice_str(P), 0), KP_E_DUPLICATE);
	EXPECT_EQ(kp_app_serve(a, 0, kp_slice_str("chat"), 0), KP_E_INVAL);
	EXPECT_EQ(kp_app_serve(a, 0, kp_slice_str("/"), 0), KP_E_INVAL);
	EXPECT_EQ(kp_app_serve(a, 0, kp_slice_str(""), 0), KP_E_INVAL);
	EXPECT_EQ(kp_app_serve(a, 0, kp_slice_str("/a\nb"), 0), KP_E_INVAL);
	EXPECT_EQ(kp_app_serve(a, 0, str("/" + std::string(140, 'x')), 0), KP_E_INVAL);
	EXPECT_EQ(kp_app_serve(a, 0, kp_slice_str("/b"), 0), KP_OK);
	ASSERT_TRUE(kp_app_find(a, kp_slice_str(P), &b));
	EXPECT_STREQ(b.proto.id, P);
	EXPECT_TRUE(kp_app_protocol_at(a, 0, &id));
	EXPECT_STREQ(id, P);
	EXPECT_TRUE(kp_app_protocol_at(a, 1, &id));
	EXPECT_STREQ(id, "/b");
	EXPECT_FALSE(kp_app_protocol_at(a, 2, &id));
	for (int i = 0; i < 62; i++)
		EXPECT_EQ(kp_app_serve(a, 0, str("/n/" + std::to_string(i)), 0), KP_OK);
	EXPECT_EQ(kp_app_serve(a, 0, kp_slice_str("/too/many"), 0), KP_E_LIMIT);
	EXPECT_EQ(send("x", 1, "/too/many"), KP_E_LIMIT);
}

TEST_F(AppTest, inbound_frames_become_events_in_any_cut)
{
	ASSERT_EQ(kp_app_serve(a, 0, kp_slice_str(P), 0), KP_OK);
	char from[KP_PEER_ID_TEXT_MAX];
	kp_peer_id_text(&peer, from);
	for (size_t cut : {0, 1, 3, 1000}) {
		h->cut = cut;
		kp_stream *s = inbound();
		ASSERT_NE(s, nullptr);
		const std::string big(3000, 'z');
		std::string in = fake_framed("hello") + fake_framed("") + fake_framed(big);
		fake_remote_send(s, in.data(), in.size());
		fake_remote_fin(s);
		fake_pump(h);
		EXPECT_EQ(s->why, KP_OK);
		for (const std::string &want : {std::string("hello"), std::string(), big}) {
			kp_event *ev = h->take_event(KP_EV_MESSAGE);
			ASSERT_NE(ev, nullptr);
			EXPECT_EQ(payload(ev), want);
			EXPECT_TRUE(kp_slice_eq_str(ev->f[KP_F_FROM], from));
			EXPECT_TRUE(kp_slice_eq_str(ev->f[KP_F_PROTOCOL], P));
			EXPECT_EQ(ev->f[KP_F_TOPIC].p, nullptr);
			EXPECT_EQ(ev->time_ns, h->env.wall_minus_mono + (int64_t)fake_now(h));
			kp_event_free(ev);
		}
		EXPECT_EQ(h->take_event(KP_EV_MESSAGE), nullptr);
	}
	EXPECT_EQ(h->stat(KP_STAT_app_received), 12u);
}

TEST_F(AppTest, held_streams_are_not_read_until_let_go)
{
	ASSERT_EQ(kp_app_serve(a, 0, kp_slice_str(P), 3), KP_OK);
	ASSERT_EQ(kp_app_serve(a, 0, kp_slice_str("/other/1"), 4), KP_OK);
	kp_stream *s = inbound();
	kp_app_hold(a, fake_now(h), 3, true);
	EXPECT_EQ(h->stat(KP_STAT_app_holds), 1u);
	kp_app_hold(a, fake_now(h), 3, true); /* said again: nothing new */
	EXPECT_EQ(h->stat(KP_STAT_app_holds), 1u);
	kp_stream *late = inbound(), *free = inbound("/other/1");
	std::string in = fake_framed("hello");
	for (kp_stream *each : {s, late, free})
		fake_remote_send(each, in.data(), in.size());
	fake_pump(h);
	EXPECT_TRUE(s->held && late->held);
	EXPECT_FALSE(s->idle || late->idle) << "its bytes wait in the connection";
	EXPECT_FALSE(free->held);
	kp_event *ev = h->take_event(KP_EV_MESSAGE);
	ASSERT_NE(ev, nullptr);
	EXPECT_EQ(ev->inbox, 4);
	kp_event_free(ev);
	EXPECT_EQ(h->take_event(KP_EV_MESSAGE), nullptr);
	kp_app_hold(a, fake_now(h), 3, false);
	fake_pump(h);
	EXPECT_TRUE(s->idle && late->idle);
	for (int i = 0; i < 2; i++) {
		ev = h->take_event(KP_EV_MESSAGE);
		ASSERT_NE(ev, nullptr) << i;
		EXPECT_EQ(ev->inbox, 3);
		kp_event_free(ev);
	}
}

/* However much arrives at once: after a burst nothing more until the host has looked. */
TEST_F(AppTest, a_burst_holds_itself)
{
	ASSERT_EQ(kp_app_serve(a, 0, kp_slice_str(P), 0), KP_OK);
	h->cut = 4096;
	kp_stream *s = inbound();
	const int total = 100000;
	std::string in;
	for (int i = 0; i < total; i++)
		in += fake_framed("");
	fake_remote_send(s, in.data(), in.size());
	int got = 0, looks = 0;
	for (; got < total && looks < 1000; looks++) {
		fake_pump(h);
		uint64_t bytes = 0;
		while (kp_event *ev = h->take_event(KP_EV_MESSAGE)) {
			bytes += kp_event_bytes(ev);
			kp_event_free(ev);
			got++;
		}
		EXPECT_LE(bytes, (256u << 10) + 4096u * 512u);
		if (got < total) {
			EXPECT_TRUE(s->held);
		}
		kp_app_hold(a, fake_now(h), 0, false);
	}
	EXPECT_EQ(got, total);
	EXPECT_GT(looks, 10);
}

TEST_F(AppTest, too_big_is_skipped_and_the_stream_kept)
{
	ASSERT_EQ(kp_app_serve(a, 0, kp_slice_str(P), 0), KP_OK);
	kp_stream *s = inbound();
	std::string in = fake_framed(std::string(65537, 'x')) + fake_framed("next");
	fake_remote_send(s, in.data(), in.size());
	fake_pump(h);
	kp_event *ev = h->take_event(KP_EV_MESSAGE);
	ASSERT_NE(ev, nullptr);
	EXPECT_EQ(payload(ev), "next");
	kp_event_free(ev);
	EXPECT_EQ(h->stat(KP_STAT_app_oversize), 1u);
	EXPECT_FALSE(s->gone);
	EXPECT_TRUE(s->idle);
	fake_remote_send(s, "\x80\x00", 2); /* not a minimal length */
	fake_pump(h);
	EXPECT_EQ(s->why, KP_E_PROTO);
}

TEST_F(AppTest, sends_framed_in_order_on_one_stream)
{
	for (size_t pull : {1, 2, 7, 100, 16384}) {
		h->pull_max = pull;
		done.clear();
		order.clear();
		std::string want;
		size_t before = h->streams.size();
		for (int i = 0; i < 20; i++) {
			std::string text(i % 5 == 0 ? 0 : i * 13, static_cast<char>('a' + i));
			want += fake_framed(text);
			ASSERT_EQ(send(text, i + 1), KP_OK);
		}
		EXPECT_TRUE(done.empty()); /* never from inside send */
		fake_pump(h);
		ASSERT_EQ(h->streams.size(), before + 1);
		kp_stream *s = h->last_stream();
		EXPECT_EQ(s->out, want);
		EXPECT_TRUE(s->idle);
		ASSERT_EQ(order.size(), 20u);
		for (int i = 0; i < 20; i++) {
			EXPECT_EQ(order[i], i + 1);
			EXPECT_EQ(done[i + 1], std::vector<kp_err>{KP_OK});
		}
		fake_disconnect(h, &peer);
		EXPECT_EQ(order.size(), 20u);
		fake_connect(h, &peer, "/ip4/127.0.0.1/tcp/4001", true);
	}
}

TEST_F(AppTest, done_waits_until_the_peer_has_agreed)
{
	agree_at_once = false;
	ASSERT_EQ(send("a", 1), KP_OK);
	fake_run_for(h, KP_SEC(1));
	EXPECT_TRUE(done.empty());
	h->last_stream()->agreed = true;
	fake_run_for(h, KP_MS(640));
	EXPECT_EQ(done[1], std::vector<kp_err>{KP_OK});
	ASSERT_EQ(send("b", 2), KP_OK);
	fake_pump(h);
	EXPECT_EQ(done[2], std::vector<kp_err>{KP_OK});
}

TEST_F(AppTest, peer_without_the_protocol)
{
	agree_at_once = false;
	ASSERT_EQ(send("a", 1), KP_OK);
	fake_pump(h);
	ASSERT_EQ(send("b", 2), KP_OK);
	kp_stream *s = h->last_stream();
	s->dying = true;
	s->why = KP_E_NOTSUP;
	fake_pump(h);
	EXPECT_EQ(done[1], std::vector<kp_err>{KP_E_NOTSUP});
	EXPECT_EQ(done[2], std::vector<kp_err>{KP_E_NOTSUP});
	EXPECT_EQ(h->stat(KP_STAT_app_dropped), 2u);
}

TEST_F(AppTest, refusals_do_not_call_done)
{
	kp_peer_id nobody = fake_peer(99);
	kp_ref ref = kp_ref_copy(h->pool, kp_slice_str("x"));
	EXPECT_EQ(kp_app_send(a, fake_now(h), &nobody, kp_slice_str(P), ref, 1), KP_E_NOTFOUND);
	EXPECT_EQ(send(std::string(65537, 'x'), 2), KP_E_TOOBIG);
	EXPECT_EQ(send("x", 3, "nope"), KP_E_INVAL);
	EXPECT_EQ(send(std::string(65536, 'x'), 4), KP_OK);
	fake_pump(h);
	EXPECT_EQ(done.size(), 1u);
	EXPECT_EQ(h->stat(KP_STAT_app_refused), 3u);
	EXPECT_EQ(h->stat(KP_STAT_app_sent), 1u);
}

TEST_F(AppTest, queue_is_bounded_by_count_and_bytes)
{
	for (int i = 0; i < 1024; i++)
		ASSERT_EQ(send("x", i + 1), KP_OK);
	EXPECT_EQ(send("x", 5000), KP_E_LIMIT);
	EXPECT_EQ(send("x", 6000, "/other"), KP_OK); /* a lane of its own */
	fake_pump(h);
	EXPECT_EQ(done.size(), 1025u);
	done.clear();
	int n = 0;
	while (send(std::string(65536, 'y'), ++n) == KP_OK)
		ASSERT_LT(n, 100);
	EXPECT_EQ(n, 65); /* 64 of 64 KiB are 4 MiB */
	fake_pump(h);
	EXPECT_EQ(done.size(), 64u);
}

TEST_F(AppTest, may_send_holds_back_while_a_living_peer_is_full)
{
	kp_slice protocol = kp_slice_str(P);
	kp_peer_id nobody = fake_peer(99);
	auto may = [&](size_t n) { return kp_app_may_send(a, fake_now(h), &peer, protocol, n); };
	EXPECT_TRUE(may(65536)); /* no lane yet: kp_app_send tells what is wrong, if anything */
	EXPECT_TRUE(kp_app_may_send(a, fake_now(h), &nobody, protocol, 1));
	h->blocked = true;
	for (int i = 0; i < 63; i++)
		ASSERT_EQ(send(std::string(65536, 'y'), i + 1), KP_OK);
	EXPECT_TRUE(may(65536));
	EXPECT_FALSE(may(65537));
	ASSERT_EQ(send(std::string(65536, 'y'), 64), KP_OK);
	EXPECT_FALSE(may(1));
	h->progress = fake_now(h);
	fake_run_for(h, KP_SEC(1) - 1);
	EXPECT_FALSE(may(1));
	fake_run_for(h, 1); /* it takes nothing: no longer waited for */
	EXPECT_TRUE(may(1));
	EXPECT_EQ(send("x", 65), KP_E_LIMIT);
	h->blocked = false;
	h->progress = KP_NEVER;
	fake_run_for(h, KP_SEC(1));
	EXPECT_TRUE(may(65536));
	EXPECT_EQ(done.size(), 64u);
}

TEST_F(AppTest, lost_connection_ends_what_was_queued)
{
	ASSERT_EQ(send("a", 1), KP_OK);
	fake_pump(h);
	ASSERT_EQ(send("b", 2), KP_OK);
	ASSERT_EQ(send("c", 3), KP_OK);
	fake_disconnect(h, &peer);
	EXPECT_EQ(done[1], std::vector<kp_err>{KP_OK});
	EXPECT_EQ(done[2], std::vector<kp_err>{KP_E_CLOSED});
	EXPECT_EQ(done[3], std::vector<kp_err>{KP_E_CLOSED});
	EXPECT_EQ(send("d", 4), KP_E_NOTFOUND);
}

TEST_F(AppTest, peer_that_resets_or_closes_gets_a_new_stream)
{
	ASSERT_EQ(send("a", 1), KP_OK);
	fake_pump(h);
	fake_remote_reset(h->last_stream());
	fake_pump(h);
	ASSERT_EQ(send("b", 2), KP_OK);
	fake_pump(h);
	EXPECT_EQ(h->streams.size(), 2u);
	kp_stream *s = h->last_stream();
	fake_remote_fin(s);
	fake_pump(h);
	EXPECT_EQ(s->why, KP_OK);
	ASSERT_EQ(send("c", 3), KP_OK);
	fake_pump(h);
	EXPECT_EQ(h->streams.size(), 3u);
	for (int i = 1; i <= 3; i++)
		EXPECT_EQ(done[i], std::vector<kp_err>{KP_OK});
}

TEST_F(AppTest, after_the_peers_fin_new_messages_take_a_new_stream)
{
	ASSERT_EQ(send("a", 1), KP_OK);
	fake_pump(h);
	kp_stream *first = h->last_stream();
	h->blocked = true;
	ASSERT_EQ(send("b", 2), KP_OK);
	fake_remote_fin(first);
	fake_pump(h);
	ASSERT_EQ(send("c", 3), KP_OK);
	EXPECT_EQ(h->streams.size(), 2u);
	h->blocked = false;
	fake_pump(h);
	EXPECT_EQ(first->out, fake_framed("a") + fake_framed("b"));
	EXPECT_EQ(first->why, KP_OK);
	EXPECT_EQ(h->last_stream()->out, fake_framed("c"));
	EXPECT_EQ(order, (std::vector<int64_t>{1, 2, 3}));
}

TEST_F(AppTest, stop_lets_the_queue_out)
{
	h->pull_max = 10;
	for (int i = 1; i <= 10; i++)
		ASSERT_EQ(send("0123456789", i), KP_OK);
	kp_app_svc_ops.on_stop(a, fake_now(h));
	EXPECT_EQ(send("x", 99), KP_E_CLOSED);
	fake_pump(h);
	EXPECT_TRUE(h->last_stream()->fin_sent);
	for (int i = 1; i <= 10; i++)
		EXPECT_EQ(done[i], std::vector<kp_err>{KP_OK});
}

TEST_F(AppTest, allocation_failures_lose_nothing_silently)
{
	ASSERT_EQ(kp_app_serve(a, 0, kp_slice_str(P), 0), KP_OK);
	for (uint64_t at = 1; at < 50; at++) {
		kp_mem *mem = at % 2 ? &h->mem : kp_pool_mem(h->pool);
		kp_ref ref = kp_ref_copy(h->pool, kp_slice_str("text"));
		mem->fail_at = mem->calls + at / 2 + 1;
		int64_t token = (int64_t)at;
		kp_err err = kp_app_send(a, fake_now(h), &peer, kp_slice_str(P), ref, token);
		kp_stream *s = inbound();
		if (s != nullptr) {
			std::string in = fake_framed("one") + fake_framed(std::string(900, 'x'));
			fake_remote_send(s, in.data(), in.size());
			fake_remote_fin(s);
		}
		fake_run_for(h, KP_SEC(1));
		mem->fail_at = 0;
		EXPECT_EQ(done[token].size(), err == KP_OK ? 1u : 0u);
		fake_disconnect(h, &peer);
		fake_connect(h, &peer, "/ip4/127.0.0.1/tcp/4001", true);
	}
	EXPECT_EQ(h->stat(KP_STAT_app_received) + h->stat(KP_STAT_app_dropped) > 0, true);
}

} // namespace
