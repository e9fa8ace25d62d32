/* core/svc/kad/{kad,client,lookup}.c: who enters the table, bootstrap, modes, exact times. */
#include <gtest/gtest.h>

#include "kad/kad_net.h"

namespace
{

class KadTest : public ::testing::Test
{
      protected:
	kp_host *h = fake_host_new(1);
	kp_kad_params params = kp_kad_params_default();
	kp_kad *kad = nullptr;
	std::unique_ptr<KadNet> net;
	std::deque<KadDone> dones; /* outlive the lookups */

	KadTest()
	{
		kad = kp_kad_new(h, &params, fake_now(h));
		fake_register(h, &kp_kad_svc_ops, kad);
		fake_serve(h, &kp_kad_proto_ops, kp_kad_protos[0], kad);
		net.reset(new KadNet(h, 40, 3));
		net->fill_tables();
	}
	~KadTest() override
	{
		kp_kad_svc_ops.on_stop(kad, fake_now(h));
		net->disconnect_all();
		fake_pump(h);
		h->world->events.clear();
		kp_kad_free(kad);
		net.reset();
		fake_host_free(h);
	}
	KadDone &done()
	{
		dones.emplace_back();
		return dones.back();
	}
	bool in_table(size_t i, kp_kad_entry *out = nullptr)
	{
		kp_kad_entry e;
		for (size_t n = 0; kp_kad_entry_at(kad, n, &e); n++) {
			if (!kp_peer_id_eq(&e.peer, &net->nodes[i].id))
				continue;
			if (out != nullptr)
				*out = e;
			return true;
		}
		return false;
	}
	kp_err find(const kp_peer_id &target, KadDone *d, bool stop = false, kp_time timeout = 0)
	{
		uint64_t id;
		return kp_kad_find(kad, fake_now(h), &target, stop, timeout, KadDone::fn, d, &id);
	}
};

TEST_F(KadTest, enters_when_connected_listed_and_answered)
{
	net->identify = false;
	net->connect(1);
	fake_run_for(h, KP_SEC(5));
	EXPECT_FALSE(in_table(1)); /* without identify never */
	EXPECT_EQ(net->requests, 0u);
	net->tell(1);
	fake_pump(h);
	EXPECT_EQ(net->requests, 1u); /* the check */
	EXPECT_FALSE(in_table(1));
	fake_run_for(h, KP_MS(100));
	kp_kad_entry e;
	ASSERT_TRUE(in_table(1, &e));
	EXPECT_TRUE(e.connected);
	ASSERT_EQ(e.n_addrs, 1u);
	EXPECT_TRUE(kp_maddr_eq(&e.addrs[0], &net->nodes[1].addr));
	kp_kad_key self = net->key_of(h->self.id);
	EXPECT_EQ(e.bucket, kp_kad_cpl(&self, &net->nodes[1].key));
	EXPECT_EQ(kp_kad_size(kad), 1u);
}

TEST_F(KadTest, a_client_or_a_mute_peer_does_not_enter)
{
	net->nodes[1].listed = false;
	net->nodes[2].mute = true;
	net->connect(1);
	net->connect(2);
	fake_run_for(h, KP_SEC(11));
	EXPECT_EQ(kp_kad_size(kad), 0u);
	EXPECT_EQ(net->nodes[1].asked, 0u);
	EXPECT_EQ(net->nodes[2].asked, 1u);
	EXPECT_EQ(h->stat(KP_STAT_kad_timeouts), 1u);
	EXPECT_EQ(h->live_streams(), 0u);
}

TEST_F(KadTest, leaves_when_it_stops_listing_us)
{
	net->connect(1);
	fake_run_for(h, KP_MS(300));
	ASSERT_TRUE(in_table(1));
	net->nodes[1].listed = false;
	net->tell(1);
	EXPECT_FALSE(in_table(1));
	EXPECT_EQ(h->stat(KP_STAT_kad_table_removed), 1u);
	net->nodes[1].listed = true;
	net->tell(1);
	EXPECT_TRUE(in_table(1)); /* it has answered before */
}

TEST_F(KadTest, stays_when_disconnected_leaves_when_it_cannot_be_dialled)
{
	net->connect(1);
	fake_run_for(h, KP_SEC(2));
	fake_disconnect(h, &net->nodes[1].id);
	kp_kad_entry e;
	ASSERT_TRUE(in_table(1, &e));
	EXPECT_FALSE(e.connected);
	net->connect(1);
	ASSERT_TRUE(in_table(1, &e));
	EXPECT_TRUE(e.connected);
	fake_disconnect(h, &net->nodes[1].id);
	h->dial_failed(net->nodes[1].id, KP_E_LIMIT); /* our own doing */
	EXPECT_TRUE(in_table(1));
	h->dial_failed(net->nodes[1].id, KP_E_UNREACHABLE);
	EXPECT_FALSE(in_table(1));
}

TEST_F(KadTest, leaves_when_it_does_not_answer)
{
	for (KadNode &n : net->nodes)
		n.table.clear();
	net->connect(1);
	fake_run_for(h, KP_SEC(2));
	ASSERT_TRUE(in_table(1));
	net->nodes[1].mute = true;
	KadDone &d = done();
	kp_peer_id target = fake_peer(5);
	h->on_dial = [](const kp_peer_id &, const std::vector<kp_maddr> &) { return KP_E_AGAIN; };
	ASSERT_EQ(find(target, &d), KP_OK);
	fake_run_for(h, KP_SEC(10) - 1);
	EXPECT_TRUE(in_table(1));
	fake_run_for(h, 1);
	EXPECT_FALSE(in_table(1));
	EXPECT_EQ(d.n, 1);
	EXPECT_EQ(d.err, KP_E_UNREACHABLE);
	/* and comes back when it answers again: not as a seed, but named by others */
	KadDone &e = done();
	EXPECT_EQ(find(target, &e), KP_E_NOPEERS);
}

TEST_F(KadTest, new_addresses_replace_the_old_ones)
{
	net->connect(1);
	fake_run_for(h, KP_SEC(1));
	net->nodes[1].addr = fake_maddr("/ip4/127.0.0.1/tcp/7777");
	net->tell(1);
	kp_kad_entry e;
	ASSERT_TRUE(in_table(1, &e));
	EXPECT_EQ(fake_text(e.addrs[0]), "/ip4/127.0.0.1/tcp/7777");
}

TEST_F(KadTest, third_party_addresses_are_dialled_never_stored)
{
	net->connect(0);
	fake_run_for(h, KP_SEC(30));
	EXPECT_GT(kp_kad_size(kad), 10u);
	kp_kad_entry e;
	for (size_t n = 0; kp_kad_entry_at(kad, n, &e); n++)
		EXPECT_TRUE(h->peers.count(fake_key(e.peer)) > 0 &&
		            h->peer(e.peer).addrs.size() == 1);
}

TEST_F(KadTest, bootstraps_500_ms_after_an_insert_while_small)
{
	net->identify = false;
	for (KadNode &n : net->nodes)
		n.table.clear(); /* nobody knows anybody */
	net->connect(1);
	net->tell(1);
	fake_run_for(h, KP_MS(150));
	ASSERT_TRUE(in_table(1));
	fake_run_for(h, KP_SEC(2)); /* the bootstrap of this insert */
	EXPECT_GE(h->stat(KP_STAT_kad_queries), 1u);
	uint64_t before = h->stat(KP_STAT_kad_queries);
	net->connect(2);
	net->tell(2);
	kp_time inserted = 0;
	while (!in_table(2)) {
		fake_run_for(h, KP_MS(1));
		inserted = fake_now(h);
	}
	fake_run(h, inserted - KP_MS(1) + KP_MS(500) - 1);
	EXPECT_EQ(h->stat(KP_STAT_kad_queries), before);
	fake_run(h, inserted + KP_MS(500));
	EXPECT_EQ(h->stat(KP_STAT_kad_queries), before + 1); /* own id */
	fake_run_for(h, KP_SEC(2));
	EXPECT_GE(h->stat(KP_STAT_kad_queries), before + 2); /* and buckets */
}

TEST_F(KadTest, bootstraps_every_five_minutes)
{
	kp_time start = KP_SEC(1000); /* when the service was made */
	net->connect(0);
	fake_run(h, start + KP_SEC(200));
	uint64_t before = h->stat(KP_STAT_kad_queries);
	fake_run(h, start + KP_SEC(300) - 1);
	EXPECT_EQ(h->stat(KP_STAT_kad_queries), before);
	fake_run(h, start + KP_SEC(300));
	EXPECT_EQ(h->stat(KP_STAT_kad_queries), before + 1);
	fake_run(h, start + KP_SEC(599));
	before = h->stat(KP_STAT_kad_queries);
	fake_run(h, start + KP_SEC(600));
	EXPECT_EQ(h->stat(KP_STAT_kad_queries), before + 1);
}

TEST_F(KadTest, bootstrap_and_explore_without_peers_do_nothing)
{
	kp_kad_bootstrap(kad, fake_now(h));
	EXPECT_EQ(kp_kad_explore(kad, fake_now(h)), KP_E_NOPEERS);
	KadDone &d = done();
	EXPECT_EQ(find(fake_peer(1), &d), KP_E_NOPEERS);
	fake_run_for(h, KP_SEC(1));
	EXPECT_EQ(d.n, 0);
	EXPECT_EQ(h->stat(KP_STAT_kad_queries), 0u);
}

TEST_F(KadTest, explore_meets_new_peers)
{
	params.bootstrap_every_ns = KP_SEC(100000);
	net->connect(0);
	fake_run_for(h, KP_MS(400)); /* in the table, not yet bootstrapped */
	size_t before = kp_host_conn_count(h);
	EXPECT_EQ(kp_kad_explore(kad, fake_now(h)), KP_OK);
	fake_run_for(h, KP_SEC(3));
	EXPECT_GT(kp_host_conn_count(h), before + 5);
}

TEST_F(KadTest, lookup_is_told_later_even_when_the_answer_is_known)
{
	net->connect(1);
	fake_run_for(h, KP_SEC(1));
	KadDone &d = done();
	ASSERT_EQ(find(net->nodes[1].id, &d, true), KP_OK);
	EXPECT_EQ(d.n, 0);
	fake_run_for(h, 0);
	EXPECT_EQ(d.n, 1);
	EXPECT_EQ(d.err, KP_OK);
	ASSERT_EQ(d.addrs.size(), 1u);
	EXPECT_EQ(d.addrs[0], fake_text(net->nodes[1].addr));
}

TEST_F(KadTest, request_ends_after_10_s_and_query_after_60)
{
	for (KadNode &n : net->nodes)
		n.mute = true;
	for (size_t i = 0; i < 30; i++) { /* members that speak kad but never answer */
		net->nodes[i].mute = false;
		net->connect(i);
	}
	fake_run_for(h, KP_SEC(20));
	for (KadNode &n : net->nodes)
		n.mute = true;
	KadDone &d = done();
	kp_time start = fake_now(h);
	ASSERT_EQ(find(fake_peer(6), &d), KP_OK);
	fake_run(h, start + KP_SEC(60) - 1);
	bool early = d.n > 0; /* 30 seeds, 10 at a time, 10 s each: 30 s */
	EXPECT_TRUE(early);
	EXPECT_EQ(d.at, start + KP_SEC(30));
	EXPECT_EQ(d.err, KP_E_UNREACHABLE);
}

TEST_F(KadTest, timeout_of_a_lookup_is_exact_and_told_with_what_was_found)
{
	net->connect(1);
	fake_run_for(h, KP_MS(400));
	for (size_t i = 2; i < net->nodes.size(); i++)
		net->nodes[i].mute = true;
	KadDone &d = done();
	kp_time start = fake_now(h);
	ASSERT_EQ(find(fake_peer(6), &d, false, KP_SEC(7)), KP_OK);
	fake_run(h, start + KP_SEC(7) - 1);
	EXPECT_EQ(d.n, 0);
	fake_run(h, start + KP_SEC(7));
	EXPECT_EQ(d.n, 1);
	EXPECT_EQ(d.err, KP_E_TIMEDOUT);
	ASSERT_GE(d.peers.size(), 1u);
}

TEST_F(KadTest, ten_requests_in_flight)
{
	net->identify = false;
	for (size_t i = 0; i < 30; i++) {
		net->connect(i);
		net->tell(i);
	}
	fake_run_for(h, KP_MS(250)); /* the checks are answered, no bootstrap yet */
	EXPECT_EQ(kp_kad_size(kad), 30u);
	KadDone &d = done();
	ASSERT_EQ(find(fake_peer(6), &d), KP_OK);
	fake_pump(h);
	EXPECT_EQ(h->live_streams(), 10u);
}

TEST_F(KadTest, cancel_and_limits)
{
	net->connect(1);
	fake_run_for(h, KP_SEC(5));
	std::vector<KadDone> d(65);
	std::vector<uint64_t> ids(65);
	kp_peer_id target = fake_peer(6);
	for (int i = 0; i < 64; i++)
		ASSERT_EQ(kp_kad_find(kad, fake_now(h), &target, false, 0, KadDone::fn, &d[i],
		                      &ids[i]),
		          KP_OK);
	EXPECT_EQ(kp_kad_find(kad, fake_now(h), &target, false, 0, KadDone::fn, &d[64], &ids[64]),
	          KP_E_LIMIT);
	EXPECT_EQ(kp_kad_explore(kad, fake_now(h)), KP_E_LIMIT);
	kp_kad_cancel(kad, fake_now(h), ids[5]);
	kp_kad_cancel(kad, fake_now(h), ids[5]);
	EXPECT_EQ(d[5].n, 0);
	fake_run_for(h, KP_SEC(61));
	for (int i = 0; i < 64; i++) {
		EXPECT_EQ(d[i].n, 1);
		EXPECT_EQ(d[i].err, i == 5 ? KP_E_CANCELED : KP_OK);
	}
	EXPECT_EQ(d[64].n, 0);
}

TEST_F(KadTest, stop_ends_lookups)
{
	net->connect(1);
	fake_run_for(h, KP_MS(400));
	KadDone &d = done();
	ASSERT_EQ(find(fake_peer(6), &d), KP_OK);
	fake_pump(h);
	kp_kad_svc_ops.on_stop(kad, fake_now(h));
	EXPECT_EQ(d.n, 1);
	EXPECT_EQ(d.err, KP_E_CLOSED);
	EXPECT_EQ(find(fake_peer(6), &d), KP_E_CLOSED);
	fake_pump(h);
	EXPECT_EQ(h->live_streams(), 0u);
	EXPECT_EQ(kp_timers_next(&h->timers), KP_NEVER);
}

TEST_F(KadTest, a_local_limit_is_nobodys_fault)
{
	net->connect(1);
	fake_run_for(h, KP_MS(400));
	int refused = 0;
	auto dial = h->on_dial;
	h->on_dial = [&](const kp_peer_id &id, const std::vector<kp_maddr> &addrs) {
		if (refused < 3) {
			refused++;
			return KP_E_LIMIT;
		}
		return dial(id, addrs);
	};
	KadDone &d = done();
	ASSERT_EQ(find(fake_peer(6), &d), KP_OK);
	fake_run_for(h, KP_SEC(20));
	EXPECT_EQ(d.n, 1);
	EXPECT_EQ(d.err, KP_OK);
	EXPECT_EQ(d.peers.size(), 20u);
	EXPECT_EQ(refused, 3);
}

TEST_F(KadTest, forty_entries_of_an_answer_and_never_ourselves)
{
	net->nodes[1].lie = [this](const std::string &) {
		std::string addr = kad_bytes(fake_maddr("/ip4/127.0.0.1/tcp/1"));
		std::vector<KadEntry> v = {{h->self.id, {addr}}};
		for (uint32_t i = 0; i < 99; i++)
			v.push_back({fake_peer(2000000 + i), {addr}});
		return kad_message(KP_KAD_FIND_NODE, "", v, 9);
	};
	net->connect(1);
	fake_run_for(h, KP_MS(300));
	uint64_t before = h->stat(KP_STAT_kad_peers_ignored);
	KadDone &d = done();
	ASSERT_EQ(find(fake_peer(6), &d), KP_OK);
	fake_run_for(h, KP_MS(150));
	EXPECT_EQ(h->stat(KP_STAT_kad_peers_ignored), before + 61);
	fake_run_for(h, KP_SEC(10));
	for (const FakeDial &it : h->dials)
		EXPECT_FALSE(kp_peer_id_eq(&it.peer, &h->self.id));
}

TEST_F(KadTest, an_answer_of_another_type_is_none)
{
	net->nodes[1].lie = [](const std::string &key) {
		return kad_message(KP_KAD_GET_VALUE, key, {}, 9);
	};
	net->connect(1);
	fake_run_for(h, KP_SEC(1));
	EXPECT_FALSE(in_table(1));
	EXPECT_EQ(h->stat(KP_STAT_kad_errors), 1u);
	EXPECT_EQ(h->stat(KP_STAT_kad_answers), 0u);
}

TEST_F(KadTest, scopes_of_third_party_addresses)
{
	/* a public peer names loopback and private addresses: not dialled */
	kp_peer_id pub = net->nodes[1].id;
	fake_connect(h, &pub, "/ip4/8.8.8.8/tcp/4001", true);
	net->nodes[1].lie = [](const std::string &) {
		std::vector<KadEntry> v = {
		        {fake_peer(801), {kad_bytes(fake_maddr("/ip4/127.0.0.1/tcp/1"))}},
		        {fake_peer(802), {kad_bytes(fake_maddr("/ip4/10.0.0.1/tcp/1"))}},
		        {fake_peer(803), {kad_bytes(fake_maddr("/ip4/9.9.9.9/tcp/1"))}},
		};
		char text[KP_PEER_ID_TEXT_MAX];
		kp_peer_id other = fake_peer(1);
		kp_peer_id_text(&other, text);
		v.push_back(
		        {fake_peer(804),
		         {kad_bytes(fake_maddr(std::string("/ip4/9.9.9.9/tcp/2/p2p/") + text))}});
		return kad_message(KP_KAD_FIND_NODE, "", v, 9);
	};
	net->tell(1);
	fake_run_for(h, KP_MS(200));
	h->dials.clear();
	KadDone &d = done();
	ASSERT_EQ(find(fake_peer(6), &d), KP_OK);
	fake_run_for(h, KP_SEC(2));
	std::set<std::string> dialled;
	for (auto &it : h->dials)
		for (auto &a : it.addrs)
			dialled.insert(fake_text(a));
	EXPECT_EQ(dialled, std::set<std::string>{"/ip4/9.9.9.9/tcp/1"});
	EXPECT_GE(h->stat(KP_STAT_kad_addrs_ignored), 3u);
}

TEST_F(KadTest, modes)
{
	net->connect(1);
	fake_run_for(h, KP_SEC(1));
	EXPECT_EQ(kp_kad_get_mode(kad), KP_KAD_SERVER);
	kp_stream *s = fake_remote_open(h, &net->nodes[1].id, "/ipfs/kad/1.0.0");
	ASSERT_NE(s, nullptr);
	kp_kad_set_mode(kad, fake_now(h), KP_KAD_CLIENT);
	kp_kad_set_mode(kad, fake_now(h), KP_KAD_CLIENT);
	fake_pump(h);
	EXPECT_TRUE(s->gone);
	ASSERT_EQ(h->set_served.size(), 1u);
	EXPECT_EQ(h->set_served[0].second, 0u);
	fake_serve(h, &kp_kad_proto_ops, kp_kad_protos[0], kad);
	EXPECT_EQ(fake_remote_open(h, &net->nodes[1].id, "/ipfs/kad/1.0.0"), nullptr);
	EXPECT_EQ(h->stat(KP_STAT_kad_refused), 1u);
	kp_kad_set_mode(kad, fake_now(h), KP_KAD_SERVER);
	EXPECT_EQ(h->set_served[1].second, 1u);
	EXPECT_NE(fake_remote_open(h, &net->nodes[1].id, "/ipfs/kad/1.0.0"), nullptr);
	fake_run_for(h, KP_SEC(61));
}

TEST_F(KadTest, answers_in_any_cut)
{
	for (size_t cut : {1, 3, 100, 0}) {
		h->cut = cut;
		net->connect(1);
		fake_run_for(h, KP_MS(400));
		EXPECT_TRUE(in_table(1));
		KadDone &d = done();
		ASSERT_EQ(find(fake_peer(6), &d), KP_OK);
		fake_run_for(h, KP_SEC(3));
		EXPECT_EQ(d.peers.size(), 20u) << cut;
	}
}

TEST_F(KadTest, allocation_failures)
{
	kp_mem *pool = kp_pool_mem(h->pool);
	for (uint64_t at = 1; at < 160; at++) {
		kp_mem *mem = at % 3 ? &h->mem : pool;
		mem->fail_at = mem->calls + at;
		net->connect(at % 40);
		KadDone &d = done();
		fake_run_for(h, KP_MS(200));
		kp_err err = find(fake_peer(6 + static_cast<uint32_t>(at)), &d);
		fake_run_for(h, KP_SEC(4));
		mem->fail_at = 0;
		fake_run_for(h, KP_SEC(61));
		EXPECT_EQ(d.n, err == KP_OK ? 1 : 0) << at;
		if (at % 20 == 0)
			net->disconnect_all();
	}
	EXPECT_GT(h->stat(KP_STAT_kad_memory), 0u);
	for (uint64_t at = 1; at < 8; at++) {
		h->mem.fail_at = h->mem.calls + at;
		kp_kad *other = kp_kad_new(h, &params, fake_now(h));
		h->mem.fail_at = 0;
		kp_kad_free(other);
	}
}

} // namespace
