/* Lookups of a real kp_kad in a network of 50 to 1,000 kad nodes in virtual time: they find the
 * true k nearest, with few requests, and end whatever liars say. */
#include <gtest/gtest.h>

#include <cstdio>

#include "kad/kad_net.h"

namespace
{

class LookupSim : public ::testing::TestWithParam<size_t>
{
      protected:
	kp_host *h = nullptr;
	kp_kad *kad = nullptr;
	std::unique_ptr<KadNet> net;

	void build(size_t n, uint8_t seed)
	{
		h = fake_host_new(seed);
		h->keep_gone = false;
		kp_kad_params params = kp_kad_params_default();
		kad = kp_kad_new(h, &params, fake_now(h));
		fake_register(h, &kp_kad_svc_ops, kad);
		fake_serve(h, &kp_kad_proto_ops, kp_kad_protos[0], kad);
		net.reset(new KadNet(h, n, seed));
		net->fill_tables();
	}
	void tear_down()
	{
		kp_kad_svc_ops.on_stop(kad, fake_now(h));
		net->disconnect_all();
		fake_pump(h);
		h->world->events.clear();
		kp_kad_free(kad);
		net.reset();
		fake_host_free(h);
	}
	/* One lookup to its end. */
	KadDone find(const kp_peer_id &target, bool stop = false)
	{
		KadDone d;
		uint64_t id;
		EXPECT_EQ(kp_kad_find(kad, fake_now(h), &target, stop, 0, KadDone::fn, &d, &id),
		          KP_OK);
		kp_time start = fake_now(h);
		while (d.n == 0 && fake_now(h) < start + KP_SEC(61))
			fake_run_for(h, KP_MS(50));
		EXPECT_EQ(d.n, 1);
		return d;
	}
	/* How many of the true k nearest (living) were found, in order and without strangers. */
	size_t hits(const kp_peer_id &target, const KadDone &d)
	{
		kp_kad_key key = net->key_of(target);
		std::vector<size_t> truth = net->nearest(key, net->all(true), 20);
		size_t n = 0;
		for (size_t i : truth)
			for (const kp_peer_id &p : d.peers)
				n += kp_peer_id_eq(&p, &net->nodes[i].id);
		return n;
	}
};

TEST_P(LookupSim, finds_the_k_nearest_and_counts_requests)
{
	const size_t n = GetParam();
	unsigned total = 0, total_dials = 0, worst = 0, lookups = 0;
	kp_time took = 0;
	for (uint8_t seed = 1; seed <= 3; seed++) {
		build(n, seed);
		net->connect(0); /* the bootnode */
		fake_run_for(h, KP_SEC(20));
		for (uint32_t i = 0; i < 10; i++) {
			kp_peer_id target = fake_peer(900000 + i + 100u * seed);
			net->disconnect_all(); /* so that dials count */
			fake_run_for(h, KP_SEC(1));
			net->requests = net->dials = 0;
			kp_time before = fake_now(h);
			KadDone d = find(target);
			EXPECT_EQ(d.err, KP_OK);
			EXPECT_EQ(hits(target, d), std::min<size_t>(20, n)) << "seed " << int(seed);
			EXPECT_EQ(d.peers.size(), std::min<size_t>(20, n));
			total += net->requests;
			total_dials += net->dials;
			worst = std::max(worst, net->requests);
			took += d.at - before;
			lookups++;
		}
		tear_down();
	}
	printf("N=%zu: %.1f requests per lookup (most %u), %.1f dials, %.0f ms\n", n,
	       double(total) / lookups, worst, double(total_dials) / lookups,
	       double(took / 1000000) / lookups);
	EXPECT_LE(worst, 80u);
}

INSTANTIATE_TEST_SUITE_P(Sizes, LookupSim, ::testing::Values(50, 200, 1000));

using LookupSimOne = LookupSim;

TEST_F(LookupSimOne, same_seed_same_run)
{
	uint64_t hashes[2];
	unsigned requests[2];
	for (int run = 0; run < 2; run++) {
		build(150, 7);
		net->connect(0);
		fake_run_for(h, KP_SEC(20));
		find(fake_peer(77));
		hashes[run] = h->trace.hash;
		requests[run] = net->requests;
		tear_down();
	}
	EXPECT_EQ(hashes[0], hashes[1]);
	EXPECT_EQ(requests[0], requests[1]);
}

TEST_F(LookupSimOne, dead_and_mute_nodes_are_stepped_over)
{
	build(200, 4);
	for (size_t i = 1; i < 200; i++) {
		net->nodes[i].dead = i % 4 == 1;
		net->nodes[i].mute = i % 11 == 3;
	}
	net->connect(0);
	fake_run_for(h, KP_SEC(60));
	for (uint32_t i = 0; i < 5; i++) {
		kp_peer_id target = fake_peer(500000 + i);
		kp_time before = fake_now(h);
		KadDone d = find(target);
		EXPECT_EQ(d.err, KP_OK);
		EXPECT_EQ(hits(target, d), 20u);
		EXPECT_LE(d.at - before, KP_SEC(45));
	}
	tear_down();
}

TEST_F(LookupSimOne, stops_as_soon_as_the_target_is_named)
{
	build(300, 5);
	net->connect(0);
	fake_run_for(h, KP_SEC(20));
	net->requests = 0;
	unsigned total = 0;
	for (size_t i = 20; i < 30; i++) {
		net->requests = 0;
		KadDone d = find(net->nodes[i].id, true);
		EXPECT_EQ(d.err, KP_OK);
		ASSERT_GE(d.addrs.size(), 1u);
		EXPECT_EQ(d.addrs[0], fake_text(net->nodes[i].addr));
		total += net->requests;
	}
	printf("stop_at_target, N=300: %.1f requests\n", total / 10.0);
	KadDone d = find(fake_peer(123456), true);
	EXPECT_EQ(d.err, KP_E_NOTFOUND);
	EXPECT_EQ(d.peers.size(), 20u);
	tear_down();
}

/* What liars may answer. */
struct Liar {
	const char *name;
	std::function<std::string(KadNet *, const std::string &)> lie;
};

std::string invented(KadNet *net, uint32_t *next, size_t n, const kp_maddr &addr)
{
	std::vector<KadEntry> closer;
	for (size_t i = 0; i < n; i++)
		closer.push_back({fake_peer(*next += 1), {kad_bytes(addr)}});
	(void)net;
	return kad_message(KP_KAD_FIND_NODE, "", closer, 9);
}

TEST_F(LookupSimOne, liars_do_not_break_termination)
{
	uint32_t next = 10000000;
	const Liar liars[] = {
	        {"our own id everywhere",
	         [](KadNet *at, const std::string &) {
		         std::vector<KadEntry> v(
		                 40, KadEntry{at->h->self.id,
		                              {kad_bytes(fake_maddr("/ip4/127.0.0.1/tcp/1"))}});
		         return kad_message(KP_KAD_FIND_NODE, "", v, 9);
	         }},
	        {"hundreds of invented peers without addresses",
	         [&next](KadNet *, const std::string &) {
		         std::vector<KadEntry> v;
		         for (int i = 0; i < 390; i++)
			         v.push_back({fake_peer(next += 1), {}});
		         return kad_message(KP_KAD_FIND_NODE, "", v, 9);
	         }},
	        {"hundreds of invented peers at one victim's address",
	         [&next](KadNet *at, const std::string &) {
		         return invented(at, &next, 300, fake_maddr("/ip4/127.0.0.1/tcp/22"));
	         }},
	        {"real peers with wrong addresses",
	         [](KadNet *at, const std::string &) {
		         std::vector<KadEntry> v;
		         for (size_t i = 0; i < 40; i++)
			         v.push_back({at->nodes[i].id,
			                      {kad_bytes(fake_maddr("/ip4/127.0.0.1/tcp/9"))}});
		         return kad_message(KP_KAD_FIND_NODE, "", v, 9);
	         }},
	        {"empty answer",
	         [](KadNet *, const std::string &) {
		         return kad_message(KP_KAD_FIND_NODE, "", {}, 9);
	         }},
	        {"answer of another type",
	         [](KadNet *, const std::string &key) {
		         return kad_message(KP_KAD_GET_VALUE, key, {}, 9);
	         }},
	        {"garbage",
	         [](KadNet *, const std::string &) { return fake_framed("\x42\xff\xff"); }},
	        {"17 KiB",
	         [](KadNet *, const std::string &) {
		         return fake_framed(std::string(17000, 'x'));
	         }},
	        {"length only",
	         [](KadNet *, const std::string &) { return std::string("\x80\x40"); }},
	};
	for (const Liar &liar : liars) {
		build(100, 6);
		net->connect(0);
		fake_run_for(h, KP_SEC(10));
		for (size_t i = 1; i < 100; i += 4) { /* a quarter turns bad */
			KadNet *n = net.get();
			net->nodes[i].lie = [n, &liar](const std::string &key) {
				return liar.lie(n, key);
			};
		}
		net->requests = 0;
		kp_time before = fake_now(h);
		kp_peer_id target = fake_peer(4242);
		KadDone d = find(target);
		EXPECT_LE(d.at - before, KP_SEC(60)) << liar.name;
		EXPECT_LE(net->requests, 220u) << liar.name;
		EXPECT_GE(d.peers.size(), 12u) << liar.name;
		EXPECT_LE(h->mem.bytes, 1u << 20) << liar.name;
		for (const kp_peer_id &p : d.peers) {
			EXPECT_FALSE(kp_peer_id_eq(&p, &h->self.id)) << liar.name;
			EXPECT_NE(net->by_id.count(fake_key(p)), 0u) << liar.name;
		}
		kp_kad_entry e; /* nothing invented got into the table */
		for (size_t i = 0; kp_kad_entry_at(kad, i, &e); i++)
			EXPECT_NE(net->by_id.count(fake_key(e.peer)), 0u) << liar.name;
		tear_down();
	}
}

TEST_F(LookupSimOne, endless_chain_of_real_liars_ends)
{
	/* every node invents 40 nearer peers that really answer, the same way */
	build(1000, 8);
	size_t at = 1;
	for (KadNode &n : net->nodes)
		n.lie = [this, &at](const std::string &) {
			std::vector<KadEntry> v;
			for (int i = 0; i < 40; i++)
				v.push_back(net->entry(at++ % 1000));
			return kad_message(KP_KAD_FIND_NODE, "", v, 9);
		};
	net->connect(0);
	fake_run_for(h, KP_SEC(1));
	KadDone d = find(fake_peer(4243));
	EXPECT_LE(d.peers.size(), 20u);
	EXPECT_EQ(d.n, 1);
	tear_down();
}

} // namespace
