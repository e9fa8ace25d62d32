/* A network of kad nodes that exist only as answers: for tests of one real kp_kad against 1 to
 * 1,000 of them in virtual time. */
#ifndef KP_TEST_KAD_NET_H
#define KP_TEST_KAD_NET_H

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "svc/fake_svc.h"
#include "svc/kad/kad.h"
#include "wire/kad_msg.h"

/* A FIND_NODE answer or other message with its length prefix; peers with the given addresses. */
struct KadEntry {
	kp_peer_id id;
	std::vector<std::string> addrs; /* multiaddr bytes */
};

inline std::string kad_bytes(const kp_maddr &m)
{
	return std::string(reinterpret_cast<const char *>(m.b), m.n);
}

inline std::string kad_message(kp_kad_type type, const std::string &key,
                               const std::vector<KadEntry> &closer = {}, int32_t level = 0)
{
	std::vector<std::vector<kp_slice>> slices(closer.size());
	std::vector<kp_kad_peer_out> out(closer.size());
	for (size_t i = 0; i < closer.size(); i++) {
		for (auto &a : closer[i].addrs)
			slices[i].push_back(kp_slice_of(a.data(), a.size()));
		out[i] = {&closer[i].id, slices[i].data(), slices[i].size(), KP_KAD_CAN_CONNECT};
	}
	kp_kad_out m = {};
	m.type = type;
	m.cluster_level = level;
	m.key = kp_slice_of(key.data(), key.size());
	m.closer = out.data();
	m.n_closer = out.size();
	std::string bytes(KP_KAD_MSG_MAX + 16, 0);
	kp_writer w = kp_writer_of(&bytes[0], bytes.size());
	EXPECT_EQ(kp_kad_write(&w, &m), KP_OK);
	bytes.resize(w.n);
	return bytes;
}

inline kp_slice kad_unframe(const std::string &framed)
{
	size_t head = 1;
	while (static_cast<uint8_t>(framed[head - 1]) & 0x80)
		head++;
	return kp_slice_of(framed.data() + head, framed.size() - head);
}

struct KadNode {
	kp_peer_id id;
	kp_kad_key key;
	kp_maddr addr;
	std::vector<size_t> table; /* indices of known nodes */
	bool dead = false;         /* cannot be dialled */
	bool mute = false;         /* accepts, never answers */
	bool listed = true;        /* identify lists kad */
	unsigned asked = 0;
	/* Replaces the honest answer: whole bytes, with prefix. */
	std::function<std::string(const std::string &key)> lie;
};

class KadNet
{
      public:
	kp_host *h;
	kp_kad *kad = nullptr;
	std::vector<KadNode> nodes;
	std::map<std::string, size_t> by_id;
	kp_rng rng;
	unsigned requests = 0, dials = 0;
	bool identify = true; /* peers tell us who they are after a connect */

	KadNet(kp_host *host, size_t n, uint8_t seed) : h(host)
	{
		uint8_t bytes[32] = {seed};
		kp_rng_init(&rng, bytes);
		for (size_t i = 0; i < n; i++) {
			KadNode k;
			k.id = fake_peer(static_cast<uint32_t>(1000 * (seed + 1u) + i));
			k.key = key_of(k.id);
			k.addr = fake_maddr("/ip4/127.0.0.1/tcp/" + std::to_string(2000 + i));
			by_id[fake_key(k.id)] = i;
			nodes.push_back(k);
		}
		h->on_dial = [this](const kp_peer_id &id, const std::vector<kp_maddr> &addrs) {
			return dial(id, addrs);
		};
		h->on_written = [this](kp_stream *s) {
			if (s->outbound && s->fin_sent && s->in_sent == 0) {
				s->in_sent = 1;
				answer(s);
			}
		};
	}
	kp_kad_key key_of(const kp_peer_id &id)
	{
		kp_kad_key k;
		h->env.crypto->ops->sha256(id.b, id.n, k.b);
		return k;
	}
	/* Tables as Kademlia makes them: up to k of each bucket, the deep ones complete. */
	void fill_tables(size_t k = 20)
	{
		std::vector<size_t> order(nodes.size());
		for (size_t i = 0; i < order.size(); i++)
			order[i] = i;
		for (KadNode &n : nodes) {
			std::map<unsigned, size_t> counts;
			n.table.clear();
			kp_rng_shuffle(&rng, order.data(), order.size(), sizeof(order[0]));
			for (size_t i : order) {
				unsigned cpl = kp_kad_cpl(&n.key, &nodes[i].key);
				if (cpl < KP_KAD_KEY_BITS && counts[cpl]++ < k)
					n.table.push_back(i);
			}
		}
	}
	std::vector<size_t> nearest(const kp_kad_key &target, std::vector<size_t> of, size_t k)
	{
		std::sort(of.begin(), of.end(), [&](size_t a, size_t b) {
			return kp_kad_distance_cmp(&target, &nodes[a].key, &nodes[b].key) < 0;
		});
		of.resize(std::min(of.size(), k));
		return of;
	}
	std::vector<size_t> all(bool living_only = false)
	{
		std::vector<size_t> v;
		for (size_t i = 0; i < nodes.size(); i++)
			if (!living_only || !(nodes[i].dead || nodes[i].mute))
				v.push_back(i);
		return v;
	}
	KadEntry entry(size_t i)
	{
		return {nodes[i].id, {kad_bytes(nodes[i].addr)}};
	}
	kp_time latency()
	{
		return KP_MS(10 + kp_rng_below(&rng, 90));
	}
	void connect(size_t i)
	{
		if (h->connected(nodes[i].id))
			return;
		fake_connect(h, &nodes[i].id, fake_text(nodes[i].addr).c_str(), true);
		if (identify)
			h->world->at(fake_now(h) + latency(), [this, i] { tell(i); });
	}
	/* Its identify arrives. */
	void tell(size_t i)
	{
		KadNode &n = nodes[i];
		if (!h->connected(n.id))
			return;
		kp_slice protocols[2] = {kp_slice_str("/ipfs/id/1.0.0"),
		                         kp_slice_str("/ipfs/kad/1.0.0")};
		h->peer(n.id).addrs = {n.addr};
		kp_identify_info info = {
		        &n.addr,        1, protocols, n.listed ? 2u : 1u, kp_slice_str("fake"),
		        kp_slice_none()};
		for (auto &s : h->services)
			if (s.first->on_identified)
				s.first->on_identified(s.second, fake_now(h), &n.id, &info);
	}
	void disconnect_all()
	{
		for (KadNode &n : nodes)
			fake_disconnect(h, &n.id);
	}
	unsigned asked_max() const
	{
		unsigned m = 0;
		for (const KadNode &n : nodes)
			m = std::max(m, n.asked);
		return m;
	}

      private:
	kp_err dial(const kp_peer_id &id, const std::vector<kp_maddr> &addrs)
	{
		kp_peer_id peer = id;
		auto it = by_id.find(fake_key(id));
		dials++;
		if (addrs.empty())
			return KP_E_NOTFOUND;
		bool ok = it != by_id.end() && !nodes[it->second].dead &&
		          std::any_of(addrs.begin(), addrs.end(), [&](const kp_maddr &a) {
			          return kp_maddr_eq(&a, &nodes[it->second].addr);
		          });
		size_t i = ok ? it->second : 0;
		h->world->at(fake_now(h) + 2 * latency(), [this, ok, i, peer] {
			if (ok)
				connect(i);
			else
				h->dial_failed(peer, KP_E_UNREACHABLE);
		});
		return KP_OK;
	}
	void answer(kp_stream *s)
	{
		auto it = by_id.find(fake_key(s->peer));
		kp_kad_msg m;
		if (it == by_id.end())
			return;
		KadNode &n = nodes[it->second];
		EXPECT_EQ(kp_kad_parse(kad_unframe(s->out), &m), KP_OK);
		EXPECT_EQ(m.type, KP_KAD_FIND_NODE);
		EXPECT_EQ(m.cluster_level, KP_KAD_CLUSTER_LEVEL);
		requests++;
		n.asked++;
		if (n.mute)
			return;
		std::string key(reinterpret_cast<const char *>(m.key.p), m.key.n);
		std::string bytes;
		if (n.lie) {
			bytes = n.lie(key);
		} else {
			kp_kad_key target;
			std::vector<KadEntry> closer;
			h->env.crypto->ops->sha256(key.data(), key.size(), target.b);
			for (size_t i : nearest(target, n.table, 20))
				closer.push_back(entry(i));
			auto known = by_id.find(key);
			if (known != by_id.end() && known->second == it->second)
				closer.insert(closer.begin(), entry(known->second));
			bytes = kad_message(KP_KAD_FIND_NODE, "", closer, m.cluster_level);
		}
		uint64_t number = s->number;
		h->world->at(fake_now(h) + latency(), [this, number, bytes] {
			kp_stream *st = h->stream(number);
			if (st == nullptr)
				return;
			st->in += bytes;
			st->in_fin = true;
		});
	}
};

/* The result of one lookup. */
struct KadDone {
	int n = 0;
	kp_err err = KP_OK;
	std::vector<kp_peer_id> peers;
	std::vector<std::string> addrs;
	kp_time at = 0;
	static void fn(void *ctx, kp_time now, kp_err err, const kp_kad_found *found)
	{
		KadDone *d = static_cast<KadDone *>(ctx);
		d->n++;
		d->err = err;
		d->at = now;
		d->peers.assign(found->peers, found->peers + found->n_peers);
		d->addrs.clear();
		for (size_t i = 0; i < found->n_target_addrs; i++)
			d->addrs.push_back(fake_text(found->target_addrs[i]));
	}
};

#endif
