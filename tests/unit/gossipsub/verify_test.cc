/* Signatures off the loop: order per peer, parked copies, hold and resume, the node-wide cap
 * (docs/hostile.md 7, 11, 12). */
#include "gossipsub/harness.h"

static std::string forged(kp_host *author, uint64_t seqno, const std::string &topic,
                          const std::string &data)
{
	std::string raw = signed_message(author, seqno, topic, data);
	raw.back() ^= 0x55;
	return raw;
}

static kp_gs_params jobs_only()
{
	kp_gs_params p = kp_gs_params_default();
	p.verify_inline_max = 0;
	return p;
}

static void finish_jobs(Net &net, bool backwards = false)
{
	while (!net.router->stuck.empty()) {
		kp_job *j = backwards ? net.router->stuck.back() : net.router->stuck.front();
		if (backwards)
			net.router->stuck.pop_back();
		else
			net.router->stuck.pop_front();
		net.router->jobs_open--;
		j->done(j, net.now());
		net.net->touch(net.router);
		net.net->settle();
	}
}

/* Whatever allocation fails: a message that cannot be remembered is not delivered, so that its next
 * copy is not delivered a second time. */
TEST(verify, short_memory_delivers_nothing_twice)
{
	uint64_t lost = 0;
	for (uint64_t at = 1; at <= 40; at++) {
		Net net;
		net.subscribe("t");
		Script a = net.peer({"t"}), b = net.peer({"t"});
		std::string message = rpc_message(signed_message(a.h, 1, "t", "once"));
		fake_fail_at(net.router, false, at);
		a.send(message);
		net.settle();
		fake_fail_at(net.router, false, 0);
		b.send(message);
		net.settle();
		EXPECT_LE(net.events(KP_EV_MESSAGE).size(), 1u) << at;
		lost += net.stat(KP_STAT_seen_lost);
	}
	EXPECT_GT(lost, 0u);
}

TEST(verify, few_inline_many_by_jobs)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	std::string few, many;
	for (unsigned i = 0; i < 4; i++)
		few += rpc_message(signed_message(a.h, i, "t", "few" + std::to_string(i)));
	a.send(few);
	net.settle();
	EXPECT_EQ(net.payloads().size(), 4u);
	EXPECT_EQ(net.router->jobs, 0u);
	for (unsigned i = 0; i < 70; i++)
		many += rpc_message(signed_message(a.h, i, "t", "many" + std::to_string(i)));
	a.send(many);
	net.settle();
	EXPECT_EQ(net.router->jobs, 3u); /* 32 + 32 + 6 */
	auto got = net.payloads();
	ASSERT_EQ(got.size(), 70u);
	for (unsigned i = 0; i < 70; i++)
		EXPECT_EQ(got[i], "many" + std::to_string(i));
}

TEST(verify, order_is_kept_when_jobs_end_out_of_order)
{
	Net net(jobs_only());
	net.subscribe("t");
	net.router->jobs_stuck = true;
	Script a = net.peer({"t"}), b = net.peer({"t"});
	for (unsigned i = 0; i < 100; i++) {
		Script &s = i % 2 ? a : b;
		std::string data = (i % 2 ? "a" : "b") + std::to_string(i / 2);
		s.send(rpc_message(i % 10 == 4 ? forged(s.h, i, "t", data)
		                               : signed_message(s.h, i, "t", data)));
	}
	net.settle();
	EXPECT_GE(net.router->stuck.size(), 50u);
	EXPECT_TRUE(net.payloads().empty());
	finish_jobs(net, true);
	std::vector<std::string> from[2];
	for (const std::string &p : net.payloads())
		from[p[0] == 'b'].push_back(p);
	EXPECT_EQ(from[0].size(), 50u);
	EXPECT_EQ(from[1].size(), 40u);
	for (auto &v : from) {
		for (size_t i = 1; i < v.size(); i++)
			EXPECT_LT(std::stoi(v[i - 1].substr(1)), std::stoi(v[i].substr(1)));
	}
	EXPECT_EQ(net.stat(KP_STAT_rejected_signature), 10u);
	net.router->jobs_stuck = false;
}

/* docs/hostile.md 11: the forged copy comes first and does not suppress the real one. */
TEST(verify, a_forged_first_copy_does_not_suppress)
{
	Net net(jobs_only());
	net.subscribe("t");
	net.router->jobs_stuck = true;
	Script bad = net.peer({"t"}), worse = net.peer({"t"}), good = net.peer({"t"});
	Script late = net.peer({"t"});
	std::string real = signed_message(good.h, 1, "t", "x");
	bad.send(rpc_message(forged(good.h, 1, "t", "x")));
	worse.send(rpc_message(forged(bad.h, 1, "t", "x")));
	good.send(rpc_message(real));
	late.send(rpc_message(real));
	net.settle();
	EXPECT_EQ(net.stat(KP_STAT_parked_copies), 2u); /* late's equals good's */
	EXPECT_TRUE(net.payloads().empty());
	finish_jobs(net);
	net.settle();
	finish_jobs(net);
	net.settle();
	finish_jobs(net);
	EXPECT_EQ(net.payloads(), (std::vector<std::string>{"x"}));
	EXPECT_EQ(net.peer_of(bad)->invalid, 1.0);
	EXPECT_EQ(net.peer_of(worse)->invalid, 1.0);
	EXPECT_EQ(net.peer_of(good)->invalid, 0.0);
	EXPECT_EQ(net.peer_of(late)->invalid, 0.0);
	EXPECT_EQ(net.gs->verify_bytes, 0u);
	EXPECT_EQ(kp_map_count(&net.gs->inflight), 1u); /* the anchor */
	net.router->jobs_stuck = false;
}

TEST(verify, equal_copies_share_the_blame)
{
	Net net(jobs_only());
	net.subscribe("t");
	net.router->jobs_stuck = true;
	Script a = net.peer({"t"}), b = net.peer({"t"});
	std::string bad = forged(a.h, 1, "t", "x");
	a.send(rpc_message(bad));
	b.send(rpc_message(bad));
	finish_jobs(net);
	EXPECT_EQ(net.peer_of(a)->invalid, 1.0);
	EXPECT_EQ(net.peer_of(b)->invalid, 1.0);
	net.router->jobs_stuck = false;
}

TEST(verify, senders_of_copies_get_none_back)
{
	Net net(jobs_only());
	net.subscribe("t");
	net.router->jobs_stuck = true;
	Script a = net.peer({"t"}), b = net.peer({"t"}), c = net.peer({"t"});
	for (Script *s : {&a, &b, &c})
		s->send(rpc_graft("t"));
	std::string raw = signed_message(a.h, 1, "t", "x");
	b.send(rpc_message(raw));
	c.send(rpc_message(raw));
	for (Script *s : {&a, &b, &c})
		s->take();
	finish_jobs(net);
	net.settle();
	EXPECT_TRUE(a.take(KP_RPC_MESSAGE).empty()); /* the author */
	EXPECT_TRUE(b.take(KP_RPC_MESSAGE).empty());
	EXPECT_TRUE(c.take(KP_RPC_MESSAGE).empty());
	EXPECT_EQ(net.payloads().size(), 1u);
	net.router->jobs_stuck = false;
}

/* … also when theirs was another one, by content alone the same. */
TEST(verify, senders_of_parked_copies_get_none_back)
{
	Net net(jobs_only());
	net.subscribe("t");
	net.router->jobs_stuck = true;
	Script a = net.peer({"t"}), b = net.peer({"t"}), c = net.peer({"t"});
	for (Script *s : {&a, &b, &c})
		s->send(rpc_graft("t"));
	a.send(rpc_message(signed_message(a.h, 1, "t", "x")));
	b.send(rpc_message(signed_message(b.h, 9, "t", "x")));
	for (Script *s : {&b, &c})
		s->take();
	EXPECT_EQ(net.stat(KP_STAT_parked_copies), 1u);
	finish_jobs(net);
	net.settle();
	EXPECT_TRUE(b.take(KP_RPC_MESSAGE).empty());
	EXPECT_EQ(c.take(KP_RPC_MESSAGE).size(), 1u);
	EXPECT_EQ(net.payloads().size(), 1u);
	net.router->jobs_stuck = false;
}

/* A full FIFO stops the reading of that peer; half free resumes it; nothing is lost. */
TEST(verify, a_full_queue_holds_the_stream)
{
	kp_gs_params p = jobs_only();
	p.verify_max = 64;
	Net net(p);
	net.subscribe("t");
	net.router->jobs_stuck = true;
	net.router->window = 8000; /* unread bytes are few */
	Script a = net.peer({"t"}), b = net.peer({"t"});
	for (unsigned i = 0; i < 200; i++) {
		std::string rpc = rpc_message(signed_message(a.h, i, "t", std::to_string(i)));
		fake_script_send(a.out, rpc.data(), rpc.size());
		net.run(LATENCY);
	}
	EXPECT_TRUE(a.out->other->held);
	EXPECT_FALSE(b.out->other->held);
	EXPECT_EQ(net.peer_of(a)->fifo_n, 64u);
	b.send(rpc_message(signed_message(b.h, 1, "t", "from b"))); /* others go on */
	for (unsigned i = 0; i < 31; i++) {
		kp_job *j = net.router->stuck.front();
		net.router->stuck.pop_front();
		net.router->jobs_open--;
		j->done(j, net.now());
	}
	EXPECT_TRUE(a.out->other->held); /* 33 left */
	kp_job *j = net.router->stuck.front();
	net.router->stuck.pop_front();
	net.router->jobs_open--;
	j->done(j, net.now());
	EXPECT_FALSE(a.out->other->held);
	net.router->jobs_stuck = false;
	for (unsigned i = 0; i < 10; i++) {
		finish_jobs(net);
		net.settle();
	}
	EXPECT_EQ(net.payloads().size(), 201u);
	EXPECT_EQ(net.stat(KP_STAT_dropped), 0u);
	EXPECT_EQ(net.peer_of(a)->invalid, 0.0);
	EXPECT_GE(net.stat(KP_STAT_verify_holds), 1u);
}

TEST(verify, a_full_queue_in_bytes_holds_the_stream)
{
	kp_gs_params p = jobs_only();
	p.verify_bytes = 2 * 65536 + 65536;
	Net net(p);
	net.subscribe("t");
	net.router->jobs_stuck = true;
	Script a = net.peer({"t"});
	for (unsigned i = 0; i < 4; i++)
		a.send(rpc_message(
		        signed_message(a.h, i, "t", std::string(60000, (char)('a' + i)))));
	EXPECT_TRUE(a.out->other->held);
	finish_jobs(net);
	net.router->jobs_stuck = false;
	net.settle();
	EXPECT_FALSE(a.out->other->held);
	EXPECT_EQ(net.payloads().size(), 4u);
}

TEST(verify, only_the_node_wide_cap_drops)
{
	kp_gs_params p = jobs_only();
	/* three of them, with their blocks and records */
	p.verify_bytes = p.verify_node_bytes = 3 * (65536 + sizeof(kp_block) + sizeof(gs_pend));
	Net net(p);
	net.subscribe("t");
	net.router->jobs_stuck = true;
	Script a = net.peer({"t"}), b = net.peer({"t"});
	for (unsigned i = 0; i < 2; i++) {
		std::string data(60000, (char)('a' + i));
		a.send(rpc_message(signed_message(a.h, i, "t", data)));
		data[0] = 'B';
		b.send(rpc_message(signed_message(b.h, i, "t", data)));
	}
	EXPECT_EQ(net.stat(KP_STAT_verify_dropped), 1u);
	EXPECT_EQ(net.stat(KP_STAT_dropped), 1u);
	EXPECT_EQ(net.peer_of(b)->invalid, 0.0);
	finish_jobs(net);
	EXPECT_EQ(net.payloads().size(), 3u);
	net.router->jobs_stuck = false;
}

TEST(verify, messages_outlive_their_peer)
{
	Net net(jobs_only());
	net.subscribe("t");
	net.router->jobs_stuck = true;
	Script a = net.peer({"t"});
	a.send(rpc_message(signed_message(a.h, 1, "t", "last words")));
	net.settle();
	fake_disconnect(a.h, net.router);
	EXPECT_EQ(net.peer_of(a), nullptr);
	finish_jobs(net);
	auto ev = net.events(KP_EV_MESSAGE);
	ASSERT_EQ(ev.size(), 1u);
	char text[KP_PEER_ID_TEXT_MAX];
	kp_peer_id id = a.id();
	kp_peer_id_text(&id, text);
	EXPECT_EQ(field(ev[0], KP_F_VIA), text);
	net.router->jobs_stuck = false;
}

TEST(verify, a_topic_left_meanwhile)
{
	Net net(jobs_only());
	net.subscribe("t");
	net.router->jobs_stuck = true;
	Script a = net.peer({"t"});
	a.send(rpc_message(signed_message(a.h, 1, "t", "x")));
	kp_gs_unsubscribe(net.gs, net.now(), kp_slice_str("t"));
	a.send(rpc_sub("t", false));
	finish_jobs(net);
	EXPECT_TRUE(net.payloads().empty());
	net.router->jobs_stuck = false;
}

/* The same content published here while a peer's copy is being checked is one message. */
TEST(verify, published_meanwhile)
{
	Net net(jobs_only());
	net.subscribe("t");
	Script a = net.peer({"t"});
	net.router->jobs_stuck = true;
	a.send(rpc_message(signed_message(a.h, 1, "t", "x")));
	net.router->jobs_stuck = false;
	net.publish("t", "x", 1);
	net.settle();
	net.router->jobs_stuck = true;
	finish_jobs(net);
	EXPECT_TRUE(net.payloads().empty());
	EXPECT_EQ(net.stat(KP_STAT_duplicates), 1u);
	EXPECT_EQ(net.events(KP_EV_PUBLISHED)[0]->code, KP_OK);
	net.router->jobs_stuck = false;
}

/* The router goes while messages wait for the next flush, behind it parked copies. */
TEST(verify, freeing_with_messages_unchecked)
{
	Net net(jobs_only());
	net.subscribe("t");
	Script a = net.peer({"t"}), b = net.peer({"t"});
	std::string raw = rpc_message(forged(a.h, 1, "t", "x"));
	fake_script_send(a.out, raw.data(), raw.size());
	raw = rpc_message(signed_message(a.h, 1, "t", "x"));
	fake_script_send(b.out, raw.data(), raw.size());
	net.router->jobs_stuck = true;
	net.settle();
}

TEST(verify, authors_are_remembered_and_forgotten)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	std::vector<Script> authors;
	for (unsigned i = 0; i < GS_AUTHORS_MAX + 50; i++) {
		authors.push_back(net.stranger());
		a.send(rpc_message(signed_message(authors[i].h, 1, "t", std::to_string(i))));
	}
	net.settle();
	EXPECT_EQ(net.payloads().size(), GS_AUTHORS_MAX + 50);
	EXPECT_EQ(kp_map_count(&net.gs->authors), (size_t)GS_AUTHORS_MAX);
}

/* No allocation per message in the steady state but for blocks of the pool and tables that grow. */
TEST(verify, messages_cost_no_allocation)
{
	kp_gs_params p = kp_gs_params_default();
	p.history_length = 3; /* records come back from the message cache soon */
	Net net(p);
	net.subscribe("t");
	Script a = net.peer({"t"}), b = net.peer({"t"});
	uint64_t calls[2] = {0, 0};
	for (unsigned i = 0; i < 1000; i++) {
		calls[i >= 600] -= net.router->mem.calls;
		a.send(rpc_message(signed_message(a.h, i, "t", "in " + std::to_string(i))));
		net.publish("t", "out " + std::to_string(i));
		net.run(KP_MS(20));
		calls[i >= 600] += net.router->mem.calls;
		fake_drop_events(net.router);
	}
	EXPECT_EQ(b.take(KP_RPC_MESSAGE).size(), 2000u);
	EXPECT_LE(calls[1], 10u);
}
