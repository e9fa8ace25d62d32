/* Own messages: fates, hold, order, sizes, who gets them, back-pressure. */
#include "gossipsub/harness.h"

struct Fate {
	int64_t token;
	int32_t code;
	int64_t count;
	std::string topic, id;
	bool operator==(const Fate &o) const
	{
		return token == o.token && code == o.code && count == o.count && topic == o.topic &&
		       id == o.id;
	}
};

static std::vector<Fate> fates(Net &net)
{
	std::vector<Fate> out;
	for (kp_event *ev : net.events(KP_EV_PUBLISHED))
		out.push_back({ev->token, ev->code, ev->count, field(ev, KP_F_TOPIC),
		               field(ev, KP_F_ID)});
	return out;
}

static std::vector<std::string> data_of(const std::vector<Item> &items)
{
	std::vector<std::string> out;
	for (const Item &i : items) {
		kp_rpc_message m;
		EXPECT_EQ(kp_rpc_message_parse(kp_slice_of(i.raw.data(), i.raw.size()), &m), KP_OK);
		out.push_back(std::string((const char *)m.data.p, m.data.n));
	}
	return out;
}

static uint64_t seqno_of(const Item &i)
{
	kp_rpc_message m;
	EXPECT_EQ(kp_rpc_message_parse(kp_slice_of(i.raw.data(), i.raw.size()), &m), KP_OK);
	uint64_t seq = 0;
	for (size_t k = 0; k < m.seqno.n; k++)
		seq = seq << 8 | m.seqno.p[k];
	return seq;
}

TEST(publish, tells_its_fate)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"}), b = net.peer({"t"});
	net.publish("t", "hello", 7);
	EXPECT_EQ(fates(net), (std::vector<Fate>{{7, KP_OK, 2, "t", karak_id("hello")}}));
	net.publish("t", "silent");
	EXPECT_TRUE(fates(net).empty());
	net.publish("t", "hello", 8);
	net.publish("u", "hello"); /* ids know no topic; token 0 hears of failures */
	EXPECT_EQ(fates(net), (std::vector<Fate>{{8, KP_E_DUPLICATE, 0, "t", karak_id("hello")},
	                                         {0, KP_E_DUPLICATE, 0, "u", karak_id("hello")}}));
	net.settle();
	EXPECT_EQ(data_of(a.take(KP_RPC_MESSAGE)), (std::vector<std::string>{"hello", "silent"}));
	EXPECT_EQ(data_of(b.take(KP_RPC_MESSAGE)), (std::vector<std::string>{"hello", "silent"}));
	EXPECT_EQ(net.stat(KP_STAT_published), 2u);
	EXPECT_TRUE(net.payloads().empty()); /* not its own */
}

TEST(publish, a_seen_id_is_free_again_after_exactly_the_ttl)
{
	Net net;
	net.subscribe("t");
	net.peer({"t"});
	kp_time t0 = net.now();
	net.publish("t", "x", 1);
	net.run_until(t0 + KP_SEC(60) - 1);
	net.publish("t", "x", 2);
	net.run_until(t0 + KP_SEC(60));
	net.publish("t", "x", 3);
	auto f = fates(net);
	ASSERT_EQ(f.size(), 3u);
	EXPECT_EQ(f[1].code, KP_E_DUPLICATE);
	EXPECT_EQ(f[2].code, KP_OK);
}

TEST(publish, seqno_starts_at_wall_nanoseconds_and_rises)
{
	Net net;
	Script a = net.peer({"t"});
	for (unsigned i = 0; i < 200; i++) { /* all in one turn */
		std::string data = std::to_string(i);
		kp_pub *p = kp_pub_new(net.router->pool, kp_slice_str("t"),
		                       kp_slice_of(data.data(), data.size()), 0);
		kp_gs_publish(net.gs, net.now(), p);
	}
	net.net->touch(net.router);
	net.settle();
	auto got = a.take(KP_RPC_MESSAGE);
	ASSERT_EQ(got.size(), 200u);
	uint64_t first = seqno_of(got[0]);
	EXPECT_EQ(first, 1700000000000000000u + KP_SEC(1000));
	for (unsigned i = 0; i < 200; i++) {
		EXPECT_EQ(seqno_of(got[i]), first + i);
		EXPECT_EQ(data_of(got)[i], std::to_string(i));
	}
	EXPECT_GE(net.router->jobs,
	          1u); /* a burst is signed by a worker, and in order all the same */
	EXPECT_EQ(net.stat(KP_STAT_sign_batches), net.router->jobs);
}

/* Large ones are signed in small jobs, several at once, so that the first are on their way while
 * the others are signed; jobs that end out of order change nothing. */
TEST(publish, a_burst_of_large_messages_is_signed_in_order_by_small_jobs)
{
	Net net;
	Script a = net.peer({"t"});
	net.router->jobs_stuck = true;
	for (unsigned i = 0; i < 24; i++) {
		std::string data(57000, (char)('a' + i));
		kp_pub *p = kp_pub_new(net.router->pool, kp_slice_str("t"),
		                       kp_slice_of(data.data(), data.size()), 0);
		kp_gs_publish(net.gs, net.now(), p);
	}
	net.net->touch(net.router);
	net.settle();
	EXPECT_EQ(a.take(KP_RPC_MESSAGE).size(), 1u); /* the loop signs the first of a turn */
	EXPECT_EQ(net.router->stuck.size(), 4u);      /* of 5; 3 wait for more */
	while (!net.router->stuck.empty()) {
		kp_job *j = net.router->stuck.back();
		net.router->stuck.pop_back();
		net.router->jobs_open--;
		j->done(j, net.now());
		net.net->touch(net.router);
		net.settle();
	}
	net.router->jobs_stuck = false;
	net.settle();
	auto got = data_of(a.take(KP_RPC_MESSAGE));
	ASSERT_EQ(got.size(), 23u);
	for (unsigned i = 0; i < 23; i++)
		EXPECT_EQ(got[i], std::string(57000, (char)('b' + i)));
	EXPECT_EQ(net.gs->signing_bytes, 0u);
	EXPECT_EQ(net.gs->unsigned_bytes, 0u);
}

TEST(publish, size_limit_counts_the_rpc_body)
{
	Net net;
	Script a = net.peer({"t"});
	a.take();
	std::string big(65536, 'x');
	net.publish("t", big, 1);
	EXPECT_EQ(fates(net)[0].code, KP_E_TOOBIG);
	for (size_t n = 65536 - 300; n < 65536; n++) {
		net.publish("t", big.substr(0, n), 1);
		net.run(KP_MS(5));
		if (fates(net)[0].code == KP_E_TOOBIG) {
			net.run(KP_SEC(1));
			auto rpcs = split_rpcs(a.rx());
			EXPECT_EQ(rpcs.back().size(), 65536u); /* the one before was the largest */
			return;
		}
	}
	FAIL();
}

TEST(publish, without_subscribers_it_waits_for_the_first_one)
{
	Net net;
	net.publish("t", "one", 1);
	net.publish("t", "two", 2);
	net.publish("other", "three", 3);
	net.publish("t", "one", 4);
	EXPECT_EQ(fates(net), (std::vector<Fate>{{4, KP_E_DUPLICATE, 0, "t", karak_id("one")}}));
	EXPECT_EQ(kp_gs_pending(net.gs), 3u);
	net.run(KP_SEC(5));
	Script a = net.peer({"t"});
	auto f = fates(net);
	ASSERT_EQ(f.size(), 2u);
	EXPECT_EQ(f[0], (Fate{1, KP_OK, 1, "t", karak_id("one")}));
	EXPECT_EQ(f[1], (Fate{2, KP_OK, 1, "t", karak_id("two")}));
	EXPECT_EQ(data_of(a.take(KP_RPC_MESSAGE)), (std::vector<std::string>{"one", "two"}));
	EXPECT_EQ(kp_gs_pending(net.gs), 1u);
	EXPECT_EQ(net.stat(KP_STAT_published), 3u);
}

TEST(publish, hold_ends_exactly_and_frees_the_id)
{
	Net net;
	kp_time t0 = net.now();
	net.publish("t", "x", 1);
	net.run_until(t0 + KP_SEC(10) - 1);
	EXPECT_TRUE(fates(net).empty());
	net.run_until(t0 + KP_SEC(10));
	EXPECT_EQ(fates(net), (std::vector<Fate>{{1, KP_E_EXPIRED, 0, "t", karak_id("x")}}));
	net.publish("t", "x", 2);
	EXPECT_TRUE(fates(net).empty());
}

TEST(publish, hold_overflow_ends_the_oldest)
{
	Net net;
	std::string data(60000, 'x');
	for (unsigned i = 0; i < 20; i++) {
		data[0] = (char)('a' + i);
		net.publish("t", data, i + 1);
	}
	auto f = fates(net);
	ASSERT_EQ(f.size(), 5u); /* 15 of them fit into 1 MiB, with their blocks and records */
	EXPECT_EQ(f[0].token, 1);
	EXPECT_EQ(f[0].code, KP_E_EXPIRED);
	EXPECT_LE(net.gs->held_bytes, 1u << 20);
}

TEST(publish, a_held_message_can_be_cancelled)
{
	Net net;
	for (int64_t i = 1; i <= 3; i++)
		net.publish("t", std::to_string(i), i);
	EXPECT_EQ(kp_gs_cancel(net.gs, net.now(), 4), KP_E_NOTFOUND);
	EXPECT_EQ(kp_gs_cancel(net.gs, net.now(), 1), KP_OK); /* its deadline was the next one */
	EXPECT_EQ(kp_gs_cancel(net.gs, net.now(), 1), KP_E_NOTFOUND);
	EXPECT_EQ(fates(net), (std::vector<Fate>{{1, KP_E_CANCELED, 0, "t", karak_id("1")}}));
	EXPECT_EQ(kp_gs_pending(net.gs), 2u);
	EXPECT_EQ(net.stat(KP_STAT_publish_canceled), 1u);
	EXPECT_EQ(net.stat(KP_STAT_publish_expired), 0u);
	net.publish("t", "1", 5); /* its id is free again */
	Script a = net.peer({"t"});
	EXPECT_EQ(data_of(a.take(KP_RPC_MESSAGE)), (std::vector<std::string>{"2", "3", "1"}));
	auto f = fates(net);
	ASSERT_EQ(f.size(), 3u);
	EXPECT_EQ(kp_gs_cancel(net.gs, net.now(), 2), KP_E_NOTFOUND) << "its fate was told";
}

TEST(publish, a_message_that_is_being_signed_can_be_cancelled)
{
	Net net;
	Script a = net.peer({"t"});
	net.router->job_delay = KP_MS(5);
	for (int64_t i = 1; i <= 100; i++) {
		std::string data = std::to_string(i);
		kp_gs_publish(net.gs, net.now(),
		              kp_pub_new(net.router->pool, kp_slice_str("t"),
		                         kp_slice_of(data.data(), data.size()), i));
	}
	net.net->touch(net.router);
	net.run(KP_MS(1)); /* the first batch is with a worker */
	ASSERT_GT(net.gs->sign_jobs, 0u);
	auto early = fates(net);
	for (int64_t token : {50, 100})
		EXPECT_EQ(kp_gs_cancel(net.gs, net.now(), token), KP_OK) << token;
	EXPECT_EQ(kp_gs_cancel(net.gs, net.now(), 50), KP_E_NOTFOUND);
	EXPECT_TRUE(fates(net).empty()) << "a job may still read it";
	net.run(KP_MS(50));
	std::map<int64_t, std::vector<int>> ends;
	for (auto &f : early)
		ends[f.token].push_back(f.code);
	for (auto &f : fates(net))
		ends[f.token].push_back(f.code);
	for (int64_t i = 1; i <= 100; i++) {
		bool gone = i == 50 || i == 100;
		EXPECT_EQ(ends[i], std::vector<int>{gone ? (int)KP_E_CANCELED : (int)KP_OK}) << i;
	}
	EXPECT_EQ(a.take(KP_RPC_MESSAGE).size(), 98u);
	net.publish("t", "50", 101);
	EXPECT_EQ(fates(net).at(0).code, KP_OK) << "its id is free again";
}

TEST(publish, hold_can_be_refused)
{
	kp_gs_params p = kp_gs_params_default();
	p.publish_hold_ns = 0;
	Net net(p);
	net.publish("t", "x", 1);
	EXPECT_EQ(fates(net), (std::vector<Fate>{{1, KP_E_NOPEERS, 0, "t", karak_id("x")}}));
	net.peer({"t"});
	net.publish("t", "x", 2); /* a retry is no duplicate */
	EXPECT_EQ(fates(net)[0].code, KP_OK);
}

/* A subscriber whose stream from us is not open yet cannot be counted on. */
TEST(publish, a_subscriber_without_stream_is_waited_for)
{
	Net net;
	Script a = net.stranger();
	a.h->served.clear();
	net.connect(a);
	a.open();
	a.send(rpc_sub("t"));
	net.publish("t", "x", 1);
	EXPECT_TRUE(fates(net).empty());
	net.run(KP_SEC(10));
	EXPECT_EQ(fates(net)[0].code, KP_E_EXPIRED);
}

TEST(publish, closing_ends_what_is_held)
{
	Net net;
	net.subscribe("t");
	net.publish("t", "x", 1);
	kp_gs_svc_ops.on_stop(net.gs, net.now());
	EXPECT_EQ(fates(net), (std::vector<Fate>{{1, KP_E_CLOSED, 0, "t", karak_id("x")}}));
	net.publish("t", "y", 2);
	EXPECT_EQ(fates(net)[0].code, KP_E_CLOSED);
	kp_sub_opts o = {false, false, 0};
	EXPECT_EQ(kp_gs_subscribe(net.gs, net.now(), kp_slice_str("u"), &o), KP_E_CLOSED);
}

TEST(publish, stopping_says_goodbye)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.take();
	kp_gs_svc_ops.on_stop(net.gs, net.now());
	net.net->touch(net.router);
	net.settle();
	auto said = a.take();
	ASSERT_EQ(said.size(), 2u);
	EXPECT_FALSE(said[1].subscribe);
	EXPECT_LT(said[0].rpc, said[1].rpc); /* before rust has its own idea of a backoff */
	EXPECT_EQ(said[0].kind, KP_RPC_PRUNE);
	EXPECT_EQ(said[0].backoff, 1u); /* whoever comes back under this identity may graft */
	fake_script_reset(a.in());
	net.run(KP_SEC(20)); /* nothing is opened again */
	EXPECT_EQ(a.in(), nullptr);
	EXPECT_EQ(kp_timers_next(&net.router->timers), KP_NEVER);
}

TEST(publish, self_option)
{
	Net net;
	net.subscribe("t", false, true, 3);
	net.peer({"t"});
	net.publish("t", "mine");
	auto ev = net.events(KP_EV_MESSAGE);
	ASSERT_EQ(ev.size(), 1u);
	EXPECT_EQ(field(ev[0], KP_F_PAYLOAD), "mine");
	EXPECT_EQ(ev[0]->inbox, 3);
	EXPECT_EQ(field(ev[0], KP_F_FROM), net.gs->self_text);
	EXPECT_EQ(field(ev[0], KP_F_VIA), net.gs->self_text);
	EXPECT_EQ((uint64_t)ev[0]->seq, 1700000000000000000u + KP_SEC(1000));
}

TEST(publish, without_flood_it_goes_to_mesh_and_some_more)
{
	kp_gs_params p = kp_gs_params_default();
	p.flood_publish = false;
	p.d = p.d_score = 4;
	Net net(p);
	net.subscribe("t");
	std::vector<Script> peers;
	for (unsigned i = 0; i < 9; i++)
		peers.push_back(net.peer({"t"}));
	EXPECT_EQ(net.mesh("t"), 2u);
	net.publish("t", "x", 1);
	EXPECT_EQ(fates(net)[0].count, 4); /* mesh, and random ones up to D */
	net.settle();
	for (Script &s : peers) {
		bool got = !s.take(KP_RPC_MESSAGE).empty();
		EXPECT_TRUE(got || !net.in_mesh(s, "t"));
	}
}

TEST(publish, fanout_is_kept_for_its_time)
{
	kp_gs_params p = kp_gs_params_default();
	p.flood_publish = false;
	p.d = p.d_score = 4;
	Net net(p);
	std::vector<Script> peers;
	for (unsigned i = 0; i < 9; i++)
		peers.push_back(net.peer({"t"}));
	auto fanout = [&](const std::string &data) {
		net.publish("t", data);
		net.settle();
		std::vector<unsigned> who;
		for (unsigned i = 0; i < 9; i++) {
			if (!peers[i].take(KP_RPC_MESSAGE).empty())
				who.push_back(i);
		}
		EXPECT_EQ(who.size(), 4u);
		return who;
	};
	auto first = fanout("1");
	net.run(KP_SEC(30));
	EXPECT_EQ(fanout("2"), first);
	gs_topic *t = kp_gs_topic_find(net.gs, kp_slice_str("t"));
	EXPECT_EQ(t->n_fanout, 4u);
	net.run(KP_SEC(59));
	EXPECT_EQ(t->n_fanout, 4u);
	net.run(KP_SEC(3));
	EXPECT_EQ(t->n_fanout, 0u);
	auto again = fanout("3");
	net.subscribe("t"); /* joining starts with the fanout */
	for (unsigned i : again)
		EXPECT_TRUE(net.in_mesh(peers[i], "t"));
}

/* Peers that asked not to get it are spared, and still count as reached. */
TEST(publish, idontwant_spares)
{
	Net net;
	Script a = net.peer({"t"});
	a.send(rpc_idontwant({karak_id("x")}));
	net.publish("t", "x", 1);
	EXPECT_EQ(fates(net), (std::vector<Fate>{{1, KP_OK, 0, "t", karak_id("x")}}));
	net.settle();
	EXPECT_TRUE(a.take(KP_RPC_MESSAGE).empty());
}

static bool ready(Net &net, const std::string &topic, size_t n)
{
	std::string data(n, 'x');
	kp_pub *p = kp_pub_new(net.router->pool, kp_slice_str(topic.c_str()),
	                       kp_slice_of(data.data(), n), 0);
	bool yes = kp_gs_publish_ready(net.gs, net.now(), p);
	kp_pub_free(p);
	return yes;
}

/* Back-pressure while the peer takes bytes; after a second of none it holds nobody back. */
TEST(publish, slow_peers)
{
	Net net;
	Script a = net.peer({"t"});
	EXPECT_TRUE(ready(net, "t", 1000));
	EXPECT_TRUE(ready(net, "unknown", 1000));
	a.h->window = 0; /* takes nothing from now on */
	kp_time stuck = kp_gs_peer_progress(net.peer_of(a));
	for (unsigned i = 0; i < 5000 && ready(net, "t", 10); i++) {
		net.publish("t", "m" + std::to_string(i));
		net.net->settle();
		fake_run(net.net, net.now());
	}
	EXPECT_EQ(net.peer_of(a)->q.own.n, 4096u);
	EXPECT_FALSE(ready(net, "t", 10));
	EXPECT_EQ(net.stat(KP_STAT_slow_peer), 0u);
	net.run_until(stuck + KP_SEC(1) - 1);
	EXPECT_FALSE(ready(net, "t", 10));
	net.run_until(stuck + KP_SEC(1));
	EXPECT_TRUE(ready(net, "t", 10));
	net.peer({"t"});
	net.publish("t", "late", 9);
	EXPECT_EQ(fates(net)[0], (Fate{9, KP_OK, 1, "t", karak_id("late")}));
	EXPECT_EQ(net.stat(KP_STAT_slow_peer), 1u);
	EXPECT_EQ(net.stat(KP_STAT_dropped), 1u);
	a.h->window = 1 << 20; /* it reads again: everything queued comes, in order */
	for (kp_stream *s : net.router->streams)
		kp_stream_want_write(s);
	net.run(KP_SEC(1));
	auto got = data_of(a.take(KP_RPC_MESSAGE));
	ASSERT_EQ(got.size(), 4096u);
	for (unsigned i = 0; i < 4096; i++)
		ASSERT_EQ(got[i], "m" + std::to_string(i));
	EXPECT_EQ(kp_gs_pending(net.gs), 0u);
}

TEST(publish, own_queue_bytes_are_capped)
{
	Net net;
	Script a = net.peer({"t"});
	a.h->window = 0;
	unsigned n = 0;
	std::string data(60000, 'x');
	for (; n < 200 && ready(net, "t", data.size()); n++) {
		memcpy(&data[0], &n, 4);
		net.publish("t", data);
		fake_run(net.net, net.now());
	}
	EXPECT_EQ(n, (4u << 20) / (sizeof(gs_frame) + sizeof(kp_block) + 65536));
	EXPECT_LE(net.peer_of(a)->q.own_bytes, 4u << 20);
}

/* Control, own, forwarded: in this order whatever came first. */
TEST(publish, classes_go_in_order)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"}), b = net.peer({"t"});
	a.take();
	a.h->window = 0;
	b.send(rpc_message(signed_message(b.h, 1, "t", "forwarded")));
	net.publish("t", "own");
	net.subscribe("u");
	a.h->window = 1 << 20;
	for (kp_stream *s : net.router->streams)
		kp_stream_want_write(s);
	net.settle();
	auto said = a.take();
	ASSERT_EQ(said.size(), 3u);
	EXPECT_EQ(said[0].kind, KP_RPC_SUBOPT);
	EXPECT_NE(said[1].raw.find("own"), std::string::npos);
	EXPECT_NE(said[2].raw.find("forwarded"), std::string::npos);
}

TEST(publish, forwards_drop_the_oldest)
{
	kp_gs_params p = kp_gs_params_default();
	p.send_forward_max = 5;
	Net net(p);
	net.subscribe("t");
	Script a = net.peer({"t"}), b = net.peer({"t"});
	a.take();
	a.h->window = 0;
	for (unsigned i = 0; i < 8; i++)
		b.send(rpc_message(signed_message(b.h, i, "t", std::to_string(i))));
	EXPECT_EQ(net.stat(KP_STAT_dropped_forward), 3u);
	EXPECT_EQ(net.payloads().size(), 8u); /* the application lacks none */
	a.h->window = 1 << 20;
	for (kp_stream *s : net.router->streams)
		kp_stream_want_write(s);
	net.settle();
	EXPECT_EQ(data_of(a.take(KP_RPC_MESSAGE)),
	          (std::vector<std::string>{"3", "4", "5", "6", "7"}));
}

/* rust ≥ 0.57 breaks on what follows a large RPC: nothing does until a ping is answered. */
TEST(publish, large_rpcs_to_small_readers_want_a_barrier)
{
	for (bool small : {false, true}) {
		Net net;
		Script a = net.peer({"t"});
		if (small)
			a.send(std::string("\x04\x1a\x02\x32\x00", 5)); /* extensions */
		net.publish("t", std::string(57000, 'a'));
		net.publish("t", std::string(60000, 'b'));
		net.publish("t", "c");
		net.run(KP_SEC(1));
		EXPECT_EQ(a.rx().size() > 117000 && a.in()->other->barrier, small);
		EXPECT_EQ(net.stat(KP_STAT_barriers), small ? 1u : 0u);
		EXPECT_EQ(a.rx().find("\x12\x01"
		                      "c") != std::string::npos,
		          !small);
		a.in()->other->barrier = false; /* answered */
		kp_stream_want_write(a.in()->other);
		net.run(KP_SEC(1));
		EXPECT_EQ(a.take(KP_RPC_MESSAGE).size(), 3u);
	}
}

TEST(publish, rust_057_is_known_by_its_agent_too)
{
	const struct {
		const char *agent;
		bool small;
	} cases[] = {{"rust-libp2p/0.48.0", true}, {"rust-libp2p/0.47.0", false},
	             {"rust-libp2p/0.5", false},   {"go-libp2p/0.99", false},
	             {"rust-libp2p/0.", false},    {"", false},
	             {"rust-libp2p/0.101.2", true}};
	for (const auto &c : cases) {
		Net net;
		Script a = net.peer();
		kp_peer_id id = a.id();
		kp_identify_info info = {nullptr,        0, nullptr, 0, kp_slice_str(c.agent),
		                         kp_slice_none()};
		kp_gs_svc_ops.on_identified(net.gs, net.now(), &id, &info);
		EXPECT_EQ(net.peer_of(a)->small_reader, c.small) << c.agent;
	}
}

TEST(publish, content_seen_from_a_peer_is_a_duplicate)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	a.send(rpc_message(signed_message(a.h, 1, "t", "x")));
	net.settle();
	net.publish("t", "x", 1);
	EXPECT_EQ(fates(net)[0].code, KP_E_DUPLICATE);
}
