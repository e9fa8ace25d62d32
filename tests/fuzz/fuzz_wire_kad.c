/* Kademlia messages: what was read, written again, reads the same. */
#include "wire/kad_msg.h"
#include "wire/varint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_PEERS_MAX = 64, FUZZ_ADDRS_MAX = 256 };

struct fuzz_peers {
	kp_peer_id ids[FUZZ_PEERS_MAX];
	kp_kad_peer_out out[FUZZ_PEERS_MAX];
	kp_slice addrs[FUZZ_ADDRS_MAX];
	size_t n, n_addrs;
};

static void fuzz_take_peers(kp_kad_peers walk, struct fuzz_peers *p)
{
	kp_kad_peer peer;
	p->n = p->n_addrs = 0;
	while (p->n < FUZZ_PEERS_MAX && kp_kad_next_peer(&walk, &peer)) {
		kp_kad_peer_out *o = &p->out[p->n];
		p->ids[p->n] = peer.id;
		o->id = &p->ids[p->n++];
		o->connection = peer.connection;
		o->addrs = p->addrs + p->n_addrs;
		o->n_addrs = 0;
		KP_ASSERT(peer.connection <= KP_KAD_CANNOT_CONNECT && peer.id.n >= 2);
		while (p->n_addrs < FUZZ_ADDRS_MAX &&
		       kp_kad_next_addr(&peer.addrs, &p->addrs[p->n_addrs])) {
			p->n_addrs++;
			o->n_addrs++;
		}
	}
}

static void fuzz_same_peers(const struct fuzz_peers *a, kp_kad_peers walk)
{
	static struct fuzz_peers b;
	fuzz_take_peers(walk, &b);
	KP_ASSERT(b.n <= a->n);
	for (size_t i = 0; i < b.n; i++) {
		KP_ASSERT(kp_peer_id_eq(a->out[i].id, b.out[i].id));
		KP_ASSERT(a->out[i].connection == b.out[i].connection);
		KP_ASSERT(a->out[i].n_addrs == b.out[i].n_addrs);
		for (size_t k = 0; k < b.out[i].n_addrs; k++)
			KP_ASSERT(kp_slice_eq(a->out[i].addrs[k], b.out[i].addrs[k]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_peers closer, providers;
	static uint8_t buf[KP_KAD_MSG_MAX + 3];
	kp_kad_msg m, back;
	if (kp_kad_parse(kp_slice_of(data, size), &m) != KP_OK)
		return 0;
	fuzz_take_peers(m.closer, &closer);
	fuzz_take_peers(m.providers, &providers);
	KP_ASSERT(closer.n <= m.n_closer && providers.n <= m.n_providers);

	kp_kad_out out = {
	        m.type,     m.cluster_level, m.key,         m.has_record ? &m.record : NULL,
	        closer.out, closer.n,        providers.out, providers.n};
	kp_writer w = kp_writer_of(buf, sizeof(buf));
	kp_err err = kp_kad_write(&w, &out);
	KP_ASSERT(err == KP_OK); /* what fits a message fits again: our form is the shortest */
	kp_slice in = kp_slice_of(buf, w.n);
	uint64_t n;
	KP_ASSERT(kp_varint_read(&in, &n) == KP_OK && n == in.n && n <= KP_KAD_MSG_MAX);
	KP_ASSERT(kp_kad_parse(in, &back) == KP_OK);
	KP_ASSERT(back.type == m.type && back.cluster_level == m.cluster_level);
	KP_ASSERT(kp_slice_eq(back.key, m.key) && back.has_record == m.has_record);
	KP_ASSERT(kp_slice_eq(back.record.key, m.record.key));
	KP_ASSERT(kp_slice_eq(back.record.value, m.record.value));
	KP_ASSERT(kp_slice_eq(back.record.time_received, m.record.time_received));
	KP_ASSERT(kp_slice_eq(back.record.publisher, m.record.publisher));
	KP_ASSERT(back.record.ttl == m.record.ttl);
	fuzz_same_peers(&closer, back.closer);
	fuzz_same_peers(&providers, back.providers);
	return 0;
}
