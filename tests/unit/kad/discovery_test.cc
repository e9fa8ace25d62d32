/* Whole services against one another: real identify and real kad on many hosts that know one
 * bootnode. They must find each other, and their tables must serve exact lookups. */
#include <gtest/gtest.h>

#include <algorithm>

#include "kad/kad_net.h"
#include "svc/identify.h"

namespace
{

struct Node {
	kp_host *h;
	kp_identify *id;
	kp_kad *kad;
	kp_maddr addr;
};

class Discovery : public ::testing::Test
{
      protected:
	FakeWorld world;
	std::vector<std::unique_ptr<Node>> nodes;
	kp_rng rng;

	Discovery()
	{
		uint8_t seed[32] = {42};
		kp_rng_init(&rng, seed);
	}
	~Discovery() override
	{
		for (auto &n : nodes) {
			kp_kad_svc_ops.on_stop(n->kad, world.now);
			kp_identify_svc_ops.on_stop(n->id, world.now);
		}
		for (auto &n : nodes)
			for (auto &m : nodes)
				fake_disconnect(n->h, &m->h->self.id);
		world.pump();
		world.events.clear();
		for (auto &n : nodes) {
			kp_kad_free(n->kad);
			kp_identify_free(n->id);
			fake_host_free(n->h);
		}
	}
	static void sink(void *ctx, kp_time now, const kp_peer_id *peer,
	                 const kp_identify_info *info, const kp_maddr *)
	{
		Node *n = static_cast<Node *>(ctx);
		n->h->peer(*peer).addrs.assign(info->addrs, info->addrs + info->n_addrs);
		for (auto &s : n->h->services)
			if (s.first->on_identified)
				s.first->on_identified(s.second, now, peer, info);
	}
	Node *add()
	{
		nodes.emplace_back(new Node);
		Node *n = nodes.back().get();
		n->h = fake_host_in(&world, static_cast<uint8_t>(nodes.size()));
		n->h->keep_gone = false;
		n->addr = fake_maddr("/ip4/127.0.0.1/tcp/" + std::to_string(3000 + nodes.size()));
		n->h->own_addrs = {n->addr};
		kp_kad_params params = kp_kad_params_default();
		n->id = kp_identify_new(n->h, "t", "t", sink, n);
		n->kad = kp_kad_new(n->h, &params, world.now);
		fake_register(n->h, &kp_identify_svc_ops, n->id);
		fake_register(n->h, &kp_kad_svc_ops, n->kad);
		fake_serve(n->h, &kp_identify_proto_ops, kp_identify_protos[0], n->id);
		fake_serve(n->h, &kp_identify_push_proto_ops, kp_identify_push_protos[0], n->id);
		fake_serve(n->h, &kp_kad_proto_ops, kp_kad_protos[0], n->kad);
		n->h->on_dial = [this, n](const kp_peer_id &id, const std::vector<kp_maddr> &v) {
			return dial(n, id, v);
		};
		return n;
	}
	kp_err dial(Node *n, const kp_peer_id &id, const std::vector<kp_maddr> &addrs)
	{
		kp_peer_id peer = id;
		std::vector<kp_maddr> v = addrs;
		world.at(world.now + KP_MS(20 + kp_rng_below(&rng, 100)), [this, n, peer, v] {
			kp_host *other = world.host_of(peer);
			for (auto &m : nodes) {
				if (m->h != other || n->h->connected(peer))
					continue;
				for (const kp_maddr &a : v) {
					if (!kp_maddr_eq(&a, &m->addr))
						continue;
					link(n, m.get());
					return;
				}
			}
			if (!n->h->connected(peer))
				n->h->dial_failed(peer, KP_E_UNREACHABLE);
		});
		return addrs.empty() ? KP_E_NOTFOUND : KP_OK;
	}
	static void link(Node *a, Node *b)
	{
		/* the listener sees an ephemeral port */
		fake_link(a->h, b->h, "/ip4/127.0.0.1/tcp/55555", fake_text(b->addr).c_str());
	}
	size_t true_nearest_found(Node *n, const kp_peer_id &target, size_t k, const KadDone &d)
	{
		KadNet *none = nullptr;
		(void)none;
		auto key_of = [n](const kp_peer_id &id) {
			kp_kad_key key;
			n->h->env.crypto->ops->sha256(id.b, id.n, key.b);
			return key;
		};
		kp_kad_key t = key_of(target);
		std::vector<kp_peer_id> all;
		for (auto &m : nodes)
			if (m.get() != n)
				all.push_back(m->h->self.id);
		std::sort(all.begin(), all.end(), [&](const kp_peer_id &a, const kp_peer_id &b) {
			kp_kad_key ka = key_of(a), kb = key_of(b);
			return kp_kad_distance_cmp(&t, &ka, &kb) < 0;
		});
		all.resize(std::min(k, all.size()));
		size_t hits = 0;
		for (size_t i = 0; i < std::min(all.size(), d.peers.size()); i++)
			hits += kp_peer_id_eq(&all[i], &d.peers[i]);
		return hits;
	}
};

TEST_F(Discovery, forty_nodes_that_know_one_bootnode_find_each_other)
{
	Node *boot = add();
	for (int i = 0; i < 40; i++) {
		link(add(), boot);
		world.run(world.now + KP_MS(100));
	}
	world.run(world.now + KP_SEC(15));
	for (auto &n : nodes)
		EXPECT_GE(kp_kad_size(n->kad), 20u);
	for (uint32_t i = 0; i < 10; i++) {
		KadDone d;
		uint64_t q;
		kp_peer_id target = fake_peer(i);
		Node *n = nodes[3 * i + 1].get();
		ASSERT_EQ(kp_kad_find(n->kad, world.now, &target, false, 0, KadDone::fn, &d, &q),
		          KP_OK);
		world.run(world.now + KP_SEC(10));
		ASSERT_EQ(d.n, 1);
		EXPECT_EQ(true_nearest_found(n, target, 20, d), 20u);
	}
	/* and any node by its id, although the seeker never heard of it */
	KadDone d;
	uint64_t q;
	kp_peer_id target = nodes[40]->h->self.id;
	ASSERT_EQ(kp_kad_find(nodes[1]->kad, world.now, &target, true, 0, KadDone::fn, &d, &q),
	          KP_OK);
	world.run(world.now + KP_SEC(10));
	EXPECT_EQ(d.err, KP_OK);
	ASSERT_GE(d.addrs.size(), 1u);
	EXPECT_EQ(d.addrs[0], fake_text(nodes[40]->addr));
}

TEST_F(Discovery, a_client_is_in_nobodys_table_and_is_still_found_by_id)
{
	Node *boot = add();
	for (int i = 0; i < 8; i++)
		link(add(), boot);
	Node *client = nodes[8].get();
	world.run(world.now + KP_SEC(3));
	kp_kad_set_mode(client->kad, world.now, KP_KAD_CLIENT);
	world.run(world.now + KP_SEC(5)); /* the push has gone round */
	kp_kad_entry e;
	for (auto &n : nodes)
		for (size_t i = 0; kp_kad_entry_at(n->kad, i, &e); i++)
			EXPECT_FALSE(kp_peer_id_eq(&e.peer, &client->h->self.id));
	EXPECT_GE(kp_kad_size(client->kad), 7u);
	Node *late = add();
	link(late, boot);
	world.run(world.now + KP_MS(50));
	KadDone d;
	uint64_t q;
	ASSERT_EQ(kp_kad_find(late->kad, world.now, &client->h->self.id, true, 0, KadDone::fn, &d,
	                      &q),
	          KP_OK);
	world.run(world.now + KP_SEC(5));
	EXPECT_EQ(d.err, KP_OK);
	EXPECT_EQ(d.n, 1);
}

} // namespace
