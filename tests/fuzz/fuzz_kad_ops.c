/* Sequences of operations on the whole Kademlia service: lookups, cancels, refreshes, modes; peers
 * that come, identify, answer with well-formed lists or with anything, ask, and go; dials that
 * fail, memory that runs out, time. Checked after every step: only peers that have answered are in
 * the table and in results, nearest first, and every lookup ends once. */
#include "svc/fake_svc.h"
#include "svc/kad/kad.h"
#include "wire/kad_msg.h"
#include "fuzz_input.h"

#define OPS_PEERS   48u
#define OPS_LOOKUPS 64u
#define OPS_STREAMS 8u
#define OPS_STEPS   400u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct ops_lookup {
	uint64_t id;
	kp_peer_id target;
	bool running;
} ops_lookup;

static struct {
	kp_host *h;
	kp_kad *kad;
	kp_peer_id id[OPS_PEERS]; /* the last one is the node itself: it may be named too */
	bool answered[OPS_PEERS]; /* or has said something that could be an answer */
	ops_lookup lookups[OPS_LOOKUPS];
	kp_stream *in_streams[OPS_STREAMS];
} G;

/* --- checks --- */

static unsigned ops_number_of(const kp_peer_id *id)
{
	for (unsigned i = 0; i < OPS_PEERS; i++)
		if (kp_peer_id_eq(&G.id[i], id))
			return i;
	return OPS_PEERS;
}

static bool ops_has_answered(const kp_peer_id *id)
{
	unsigned n = ops_number_of(id);
	return n < OPS_PEERS - 1 && G.answered[n];
}

static kp_kad_key ops_distance(const kp_peer_id *a, const kp_peer_id *b)
{
	const kp_crypto_ops *c = kp_host_env(G.h)->crypto->ops;
	kp_kad_key ka, kb;
	c->sha256(a->b, a->n, ka.b);
	c->sha256(b->b, b->n, kb.b);
	return kp_kad_distance(&ka, &kb);
}

static void ops_check(void)
{
	kp_kad_entry e;
	size_t n = 0;
	bool seen[OPS_PEERS] = {false};
	for (; kp_kad_entry_at(G.kad, n, &e); n++) {
		unsigned i = ops_number_of(&e.peer);
		KP_ASSERT(ops_has_answered(&e.peer) && !seen[i]);
		KP_ASSERT(e.n_addrs > 0 && e.bucket < KP_KAD_KEY_BITS);
		seen[i] = true;
		for (size_t k = 0; k < e.n_addrs; k++)
			KP_ASSERT(e.addrs[k].n > 0);
	}
	KP_ASSERT(n == kp_kad_size(G.kad));
}

static void ops_done(void *ctx, kp_time now, kp_err err, const kp_kad_found *found)
{
	ops_lookup *l = (ops_lookup *)ctx;
	(void)now;
	KP_ASSERT(l->running && found->n_peers <= 20 && (err == KP_OK || err < 0));
	l->running = false;
	for (size_t i = 0; i < found->n_peers; i++) {
		KP_ASSERT(ops_has_answered(&found->peers[i]));
		if (i == 0)
			continue;
		kp_kad_key nearer = ops_distance(&l->target, &found->peers[i - 1]);
		kp_kad_key farther = ops_distance(&l->target, &found->peers[i]);
		KP_ASSERT(memcmp(nearer.b, farther.b, sizeof nearer.b) < 0);
	}
	for (size_t i = 0; i < found->n_target_addrs; i++)
		KP_ASSERT(found->target_addrs[i].n > 0);
}

/* --- what the node does --- */

static void ops_find(uint8_t how)
{
	ops_lookup *l = &G.lookups[fuzz_byte() % OPS_LOOKUPS];
	if (l->running)
		return;
	l->target = G.id[fuzz_byte() % OPS_PEERS];
	l->running = true;
	if (kp_kad_find(G.kad, fake_now(G.h), &l->target, (how & 1) != 0,
	                how & 2 ? KP_MS(100) * fuzz_byte() : 0, ops_done, l, &l->id) != KP_OK)
		l->running = false;
}

static void ops_own(uint8_t how)
{
	kp_time now = fake_now(G.h);
	switch (how % 6) {
	case 0:
		kp_kad_cancel(G.kad, now, G.lookups[how / 6 % OPS_LOOKUPS].id);
		break;
	case 1:
		(void)kp_kad_explore(G.kad, now);
		break;
	case 2:
		kp_kad_bootstrap(G.kad, now);
		break;
	case 3:
		kp_kad_set_mode(G.kad, now, how & 64 ? KP_KAD_CLIENT : KP_KAD_SERVER);
		break;
	case 4:
		fake_addr(G.h, NULL, "/ip4/10.0.0.1/tcp/4001");
		break;
	default: /* its memory runs out once, soon */
		kp_host_env(G.h)->mem->fail_at = kp_host_env(G.h)->mem->calls + 1 + how / 6 % 16u;
	}
}

/* --- what peers do --- */

static void ops_identify(unsigned i, bool lists)
{
	static const char name[] = "/ipfs/kad/1.0.0";
	kp_slice proto = kp_slice_of(name, sizeof name - 1);
	kp_identify_info info;
	memset(&info, 0, sizeof info);
	info.protocols = &proto;
	info.n_protocols = lists;
	kp_kad_svc_ops.on_identified(G.kad, fake_now(G.h), &G.id[i], &info);
}

static void ops_peer(uint8_t how)
{
	static const char *const from[] = {"/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.9/tcp/1",
	                                   "/ip4/8.8.8.8/tcp/1", "/ip6/2001:db8::1/tcp/1"};
	static const kp_err errs[] = {KP_E_UNREACHABLE, KP_E_CANCELED, KP_E_LIMIT, KP_E_NOMEM};
	unsigned i = fuzz_byte() % (OPS_PEERS - 1);
	const kp_peer_id *id = &G.id[i];
	switch (how % 8) {
	case 0:
	case 1:
	case 2:
		fake_connect(G.h, id, from[how / 8 % 4u], (how & 1) != 0);
		fake_addr(G.h, id, from[how / 32 % 4u]);
		fake_pump(G.h);
		ops_identify(i, true);
		break;
	case 3:
		fake_disconnect(G.h, id);
		break;
	case 4:
		ops_identify(i, (how & 8) != 0);
		break;
	case 5:
		kp_kad_svc_ops.on_dial_failed(G.kad, fake_now(G.h), id, errs[how / 8 % 4u]);
		break;
	default:
		fake_addr(G.h, id, from[how / 8 % 4u]);
		ops_identify(i, true);
	}
}

/* A message of this type that names peers; without = to them, of the node's own making. */
static size_t ops_message(kp_kad_type type, uint8_t *buf, size_t cap)
{
	static const char *const texts[] = {"/ip4/10.0.0.5/tcp/4001", "/ip4/127.0.0.1/tcp/4001",
	                                    "/ip4/1.2.3.4/tcp/4001", "/dns4/example.org/tcp/1"};
	kp_kad_peer_out peers[40];
	kp_maddr addrs[4];
	kp_slice some[5];
	const char *why;
	kp_kad_record record;
	for (unsigned i = 0; i < 4; i++) {
		kp_err err = kp_maddr_parse_text(kp_slice_str(texts[i]), &addrs[i], &why);
		KP_ASSERT(err == KP_OK);
		some[i] = kp_maddr_slice(&addrs[i]);
	}
	some[4] = fuzz_bytes(); /* an address, or not */
	uint8_t how = fuzz_byte(), first = fuzz_byte(), n = fuzz_byte() % 41;
	for (unsigned i = 0; i < n; i++) {
		kp_kad_peer_out *p = &peers[i];
		p->id = &G.id[(first + i * (how & 1 ? 1u : 7u)) % OPS_PEERS];
		p->addrs = some + (first + i) % 5;
		p->n_addrs = how & 2 ? 5 - (first + i) % 5u : i % 2;
		p->connection = (kp_kad_conn)((how >> 2) & 3);
	}
	memset(&record, 0, sizeof record);
	record.key = record.value = some[4];
	kp_slice key = how & 16 ? kp_peer_id_slice(&G.id[first % OPS_PEERS]) : fuzz_bytes();
	kp_kad_out out = {type,  how & 32 ? 10 : 0, key, how & 64 ? &record : NULL, peers, n,
	                  peers, how & 128 ? n : 0u};
	kp_writer w = kp_writer_of(buf, cap);
	return kp_kad_write(&w, &out) == KP_OK ? w.n : 0;
}

/* The latest request is answered: rightly, with another type, in part, with anything, not at all.
 */
static void ops_answer(uint8_t how)
{
	static uint8_t buf[KP_KAD_MSG_MAX + 10];
	kp_stream *s = fake_outbound(G.h);
	if (s == NULL)
		return;
	unsigned i = ops_number_of(kp_stream_peer(s));
	KP_ASSERT(i < OPS_PEERS - 1);
	kp_slice raw;
	size_t n;
	G.answered[i] = true;
	switch (how % 8) {
	case 0:
		fake_remote_reset(s);
		break;
	case 1:
		raw = fuzz_bytes();
		fake_remote_send(s, raw.p, raw.n);
		break;
	case 2:
		n = ops_message((kp_kad_type)(how / 8 % 6u), buf, sizeof buf);
		fake_remote_send(s, buf, n);
		break;
	case 3:
		n = ops_message(KP_KAD_FIND_NODE, buf, sizeof buf);
		fake_remote_send(s, buf, n * how / 256);
		break;
	default:
		n = ops_message(KP_KAD_FIND_NODE, buf, sizeof buf);
		fake_remote_send(s, buf, n);
	}
	if ((how & 128) == 0)
		fake_remote_fin(s);
}

static void ops_ask(uint8_t how)
{
	static uint8_t buf[KP_KAD_MSG_MAX + 10];
	unsigned i = how / 32 % OPS_STREAMS;
	kp_stream **s = &G.in_streams[i];
	if ((*s == NULL || how % 8 == 0) && kp_host_connected(G.h, &G.id[i]))
		*s = fake_remote_open(G.h, &G.id[i], "/ipfs/kad/1.0.0");
	if (*s == NULL)
		return;
	kp_slice raw;
	switch (how % 8) {
	case 1:
		fake_remote_reset(*s);
		*s = NULL;
		break;
	case 2:
		fake_remote_fin(*s);
		*s = NULL;
		break;
	case 3:
		raw = fuzz_bytes();
		fake_remote_send(*s, raw.p, raw.n);
		break;
	default:
		fake_remote_send(*s, buf,
		                 ops_message((kp_kad_type)(fuzz_byte() % 6), buf, sizeof buf));
	}
}

static void ops_step(void)
{
	uint8_t op = fuzz_byte(), how = fuzz_byte();
	switch (op % 10) {
	case 0:
		ops_find(how);
		break;
	case 1:
		ops_own(how);
		break;
	case 2:
	case 3:
		ops_peer(how);
		break;
	case 4:
	case 5:
	case 6:
		ops_answer(how);
		break;
	case 7:
		ops_ask(how);
		break;
	default:
		fake_run_for(G.h, (how & 1 ? KP_MS(50) : KP_SEC(2)) * (how / 2));
	}
	fake_pump(G.h);
	ops_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(&G, 0, sizeof G);
	fuzz_in = kp_slice_of(data, size);
	kp_kad_params params = kp_kad_params_default();
	G.h = fake_host_new(1);
	for (uint32_t i = 0; i < OPS_PEERS - 1; i++)
		G.id[i] = fake_peer(i);
	G.id[OPS_PEERS - 1] = kp_host_env(G.h)->self->id;
	params.queries_max = 8;
	G.kad = kp_kad_new(G.h, &params, fake_now(G.h));
	KP_ASSERT(G.kad != NULL);
	fake_register(G.h, &kp_kad_svc_ops, G.kad);
	fake_serve(G.h, &kp_kad_proto_ops, kp_kad_protos[0], G.kad);
	for (unsigned i = 0; i < OPS_STEPS && fuzz_in.n > 0; i++)
		ops_step();
	kp_host_env(G.h)->mem->fail_at = 0;
	fake_run_for(G.h, KP_SEC(61));
	for (unsigned i = 0; i < OPS_LOOKUPS; i++)
		KP_ASSERT(!G.lookups[i].running);
	ops_check();
	kp_kad_svc_ops.on_stop(G.kad, fake_now(G.h));
	for (unsigned i = 0; i < OPS_PEERS - 1; i++)
		fake_disconnect(G.h, &G.id[i]);
	fake_pump(G.h);
	kp_kad_free(G.kad);
	fake_host_free(G.h);
	return 0;
}
