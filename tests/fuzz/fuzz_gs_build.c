/* Well-formed RPCs to a live router, item by item: subscriptions, signed and forged messages,
 * gossip about messages that exist, GRAFT, PRUNE with peer records, IDONTWANT, fields that nobody
 * knows; framed, cut, or with a wrong length; between them time, verdicts, publishes, lost streams
 * and failing allocations. Under strict signing nothing forged is delivered, scores are the sum of
 * their terms, the router stays within its memory and goes on serving. */
#include "gossipsub/fake_host.h"
#include "wire/envelope.h"
#include "wire/msgid.h"
#include "wire/pb.h"
#include "wire/rpc.h"
#include "wire/varint.h"
#include "fuzz_input.h"

#include <math.h>

#define BUILD_PEERS 5u
#define BUILD_IDS   16u
#define BUILD_BODY  20000u
#define BUILD_INPUT 3000u /* of it are read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct build_id {
	uint8_t b[64];
	size_t n;
} build_id;

static struct {
	fake_net *net;
	kp_host *router, *peer[BUILD_PEERS];
	kp_stream *to[BUILD_PEERS];
	kp_gs_params params;
	build_id ids[BUILD_IDS]; /* of messages that were sent, the latest ones */
	unsigned n_ids;
	uint32_t number; /* of messages */
	uint8_t rpc[BUILD_BODY], control[BUILD_BODY];
	kp_writer w, c;
	bool starved; /* allocations were refused: less can be asked of the router */
} G;

static kp_slice build_bytes(void)
{
	size_t n = fuzz_byte() % 64;
	return kp_slice_take(&fuzz_in, KP_MIN(n, fuzz_in.n));
}

static kp_slice build_topic(void)
{
	static const char *const topics[] = {"t", "u", "v", "w", "a rather long name of a topic"};
	uint8_t b = fuzz_byte();
	return b < 240 ? kp_slice_str(topics[b % KP_COUNT_OF(topics)]) : build_bytes();
}

static const kp_identity *build_self(unsigned peer)
{
	return kp_host_env(G.peer[peer % BUILD_PEERS])->self;
}

/* --- items --- */

static void build_know(kp_slice from, kp_slice seqno, kp_slice data)
{
	build_id *id = &G.ids[G.n_ids++ % BUILD_IDS];
	kp_writer w = kp_writer_of(id->b, sizeof id->b);
	uint8_t digest[32];
	switch (G.params.message_id) {
	case KP_MSGID_KARAK:
		w.n = kp_msgid_karak(data, id->b);
		break;
	case KP_MSGID_SOURCE_SEQNO:
		kp_msgid_from_seqno(&w, from, seqno);
		break;
	case KP_MSGID_SHA256:
		kp_host_env(G.router)->crypto->ops->sha256(data.p, data.n, digest);
		kp_msgid_sha256(&w, digest);
		break;
	}
	id->n = w.n;
}

static kp_slice build_an_id(void)
{
	uint8_t b = fuzz_byte();
	if (b >= 200)
		return build_bytes();
	const build_id *id = &G.ids[b % BUILD_IDS];
	return kp_slice_of(id->b, id->n);
}

/* A sub-message behind its tag and length. */
static void build_put(kp_writer *to, uint32_t number, const kp_writer *sub)
{
	kp_pb_write_bytes(to, number, kp_slice_of(sub->p, sub->n));
}

static void build_subopt(void)
{
	uint8_t buf[200];
	kp_writer w = kp_writer_of(buf, sizeof buf);
	uint8_t how = fuzz_byte();
	if ((how & 4) == 0)
		kp_pb_write_varint(&w, 1, how & 1);
	kp_pb_write_bytes(&w, 2, build_topic());
	build_put(&G.w, 1, &w);
}

static void build_sign(const kp_identity *id, const kp_slice fields[6], uint8_t sig[64])
{
	static uint8_t buf[BUILD_BODY];
	kp_writer w = kp_writer_of(buf, sizeof buf);
	kp_write_str(&w, KP_RPC_SIGN_PREFIX);
	for (uint32_t i = 0; i < 4; i++)
		kp_pb_write_opt(&w, i + 1, fields[i]);
	KP_ASSERT(!w.full);
	kp_err err =
	        kp_identity_sign(kp_host_env(G.router)->crypto, id, kp_slice_of(buf, w.n), sig);
	KP_ASSERT(err == KP_OK);
}

/* How a message is wrong, if it is: bits. */
enum { BAD_SIG = 1, NO_SIG = 2, BAD_KEY = 4, NO_FROM = 8, OTHER_FROM = 16, NO_SEQNO = 32 };

/* Its first byte says whether whoever it names has signed it. */
static void build_message(void)
{
	static uint8_t data[2000], buf[BUILD_BODY];
	uint8_t author = fuzz_byte(), how = fuzz_byte() & fuzz_byte() & 63;
	uint8_t form = fuzz_byte();
	const kp_identity *id = build_self(author), *other = build_self(author + 1u);
	uint32_t number = author & 128 ? fuzz_byte() : ++G.number;
	size_t n = form & 64 ? sizeof data : 5 + form % 8u;
	uint8_t seqno[8] = {0, 0, 0, 0, (uint8_t)(number >> 8), (uint8_t)number}, sig[64];
	memset(data, 0, sizeof data);
	data[0] = how == 0;
	memcpy(data + 1, &number, 4);
	kp_slice fields[6] = {
	        how & NO_FROM ? kp_slice_none() : kp_peer_id_slice(&id->id), kp_slice_of(data, n),
	        how & NO_SEQNO ? kp_slice_none() : kp_slice_of(seqno, 8), build_topic()};
	build_sign(id, fields, sig);
	sig[5] ^= how & BAD_SIG;
	fields[4] = how & NO_SIG ? kp_slice_none() : kp_slice_of(sig, 64);
	if (how & BAD_KEY || form & 1)
		fields[5] = kp_slice_of((how & BAD_KEY ? other : id)->pubkey_pb, 36);
	if (how & OTHER_FROM)
		fields[0] = kp_peer_id_slice(&other->id);
	build_know(fields[0], fields[2], fields[1]);
	kp_writer w = kp_writer_of(buf, sizeof buf);
	for (uint32_t i = 0; i < 6; i++) {
		uint32_t field = form & 128 ? 5 - i : i; /* backwards means the same */
		kp_pb_write_opt(&w, field + 1, fields[field]);
	}
	if (form & 32)
		kp_pb_write_varint(&w, 7 + form % 16u, number);
	build_put(&G.w, 2, &w);
}

static void build_ids(uint32_t number, uint32_t id_field)
{
	static uint8_t buf[BUILD_BODY];
	kp_writer w = kp_writer_of(buf, sizeof buf);
	if (id_field == 2)
		kp_pb_write_bytes(&w, 1, build_topic());
	uint8_t n = fuzz_byte();
	kp_slice id = build_an_id();
	for (unsigned i = 0; i < (n >= 250 ? 100u : n % 8u); i++, id = build_an_id())
		kp_pb_write_bytes(&w, id_field, id);
	build_put(&G.c, number, &w);
}

static void build_px(kp_writer *prune)
{
	uint8_t buf[700], record[400];
	kp_writer w = kp_writer_of(buf, sizeof buf), r = kp_writer_of(record, sizeof record);
	uint8_t how = fuzz_byte();
	const kp_identity *id = build_self(how), *named = how & 32 ? build_self(how + 1u) : id;
	kp_maddr addr;
	const char *why;
	kp_err err = kp_maddr_parse_text(kp_slice_str("/ip4/10.0.0.7/tcp/4001"), &addr, &why);
	kp_slice addrs[] = {kp_maddr_slice(&addr), build_bytes()};
	KP_ASSERT(err == KP_OK);
	err = kp_peer_record_seal(kp_host_env(G.router)->crypto, id, how, addrs, how & 64 ? 2 : 1,
	                          &r);
	KP_ASSERT(err == KP_OK || G.starved);
	if ((how & 128) == 0)
		kp_pb_write_bytes(&w, 1, kp_peer_id_slice(&named->id));
	kp_pb_write_bytes(&w, 2, how & 16 ? build_bytes() : kp_slice_of(record, r.n));
	build_put(prune, 2, &w);
}

static void build_prune(void)
{
	static uint8_t buf[BUILD_BODY];
	kp_writer w = kp_writer_of(buf, sizeof buf);
	uint8_t how = fuzz_byte();
	kp_pb_write_bytes(&w, 1, build_topic());
	for (unsigned i = 0; i < how % 4u; i++)
		build_px(&w);
	if (how & 16)
		kp_pb_write_varint(&w, 3, how & 32 ? UINT64_MAX - fuzz_byte() : fuzz_byte());
	build_put(&G.c, 4, &w);
}

static void build_graft(void)
{
	uint8_t buf[100];
	kp_writer w = kp_writer_of(buf, sizeof buf);
	kp_pb_write_bytes(&w, 1, build_topic());
	build_put(&G.c, 3, &w);
}

/* A field of any number and wire type, at the top or among the control items. */
static void build_unknown(void)
{
	uint8_t how = fuzz_byte();
	kp_writer *to = how & 1 ? &G.w : &G.c;
	uint32_t number = 1 + how / 4 % 16u;
	if (how & 128)
		kp_write_slice(to, build_bytes());
	else if (how & 2)
		kp_pb_write_bytes(to, number, build_bytes());
	else
		kp_pb_write_varint(to, number, fuzz_byte());
}

/* --- sending --- */

static void build_send(uint8_t how)
{
	unsigned i = how % BUILD_PEERS;
	uint8_t head[KP_VARINT_MAX_SIZE];
	kp_writer h = kp_writer_of(head, sizeof head);
	if (G.c.n > 0)
		build_put(&G.w, 3, &G.c);
	kp_varint_write(&h, G.w.n + (how & 128 ? fuzz_byte() : 0u));
	if (G.to[i] != NULL && !G.w.full) {
		size_t cut = how & 64 ? G.w.n / 2 : 0;
		fake_script_send(G.to[i], head, h.n);
		fake_script_send(G.to[i], G.rpc, cut);
		if (cut > 0)
			fake_run(G.net, fake_now(G.net) + KP_US(20));
		fake_script_send(G.to[i], G.rpc + cut, G.w.n - cut);
	}
	fake_run(G.net, fake_now(G.net) + KP_US(20));
	G.w = kp_writer_of(G.rpc, sizeof G.rpc);
	G.c = kp_writer_of(G.control, sizeof G.control);
}

static void build_join(unsigned i, uint8_t proto)
{
	static const char *const protos[] = {"/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0",
	                                     "/floodsub/1.0.0"};
	if ((proto & 16) != 0)
		fake_disconnect(G.peer[i], G.router);
	if (proto & 8)
		fake_connect(G.peer[i], G.router, KP_US(10));
	else
		fake_connect(G.router, G.peer[i], KP_US(10));
	G.to[i] = fake_script_open(G.peer[i], G.router, protos[proto % 4]);
}

static void build_events(uint8_t how)
{
	for (kp_event *ev; (ev = fake_take_event(G.router)) != NULL; kp_event_free(ev)) {
		kp_slice data = ev->f[KP_F_PAYLOAD];
		bool mine = data.n == 4;
		if (ev->type != KP_EV_MESSAGE && ev->type != KP_EV_VALIDATE)
			continue;
		if (G.params.signature == KP_SIG_STRICT_SIGN)
			KP_ASSERT(mine || (data.n > 4 && data.p[0] == 1));
		if (ev->type == KP_EV_VALIDATE && (how & 4) == 0)
			kp_gs_verdict(fake_gs(G.router), fake_now(G.net), ev->token,
			              (kp_verdict)(how % 3));
	}
}

static void build_scores(void)
{
	for (unsigned i = 0; i < BUILD_PEERS; i++) {
		kp_peer_id id = fake_id(G.peer[i]);
		kp_gs_score_info s;
		if (!kp_gs_peer_score(fake_gs(G.router), &id, &s))
			continue;
		double sum = s.topics + s.p5 + s.p6 + s.p7 + s.slow;
		KP_ASSERT(isfinite(s.score) && fabs(s.score - sum) <= 1e-6 * (1 + fabs(sum)));
		KP_ASSERT(s.topics <= G.params.score.topic_score_cap + 1e-9);
	}
}

static void build_publish(uint8_t how)
{
	uint32_t number = ++G.number | 0x80000000u;
	kp_slice data = kp_slice_of(&number, sizeof number);
	const char *topic = how & 1 ? "t" : "u";
	if (fake_publish(G.router, topic, &number, sizeof number, 0))
		build_know(kp_slice_none(), kp_slice_none(), data);
}

static void build_own(uint8_t how)
{
	kp_sub_opts o = {(how & 4) != 0, (how & 8) != 0, 0};
	kp_slice topic = build_topic();
	if (how & 1)
		(void)kp_gs_unsubscribe(fake_gs(G.router), fake_now(G.net), topic);
	else if (topic.n > 0)
		(void)kp_gs_subscribe(fake_gs(G.router), fake_now(G.net), topic, &o);
}

static void build_step(void)
{
	uint8_t op = fuzz_byte(), how;
	switch (op % 20) {
	case 0:
		build_subopt();
		return;
	case 1:
	case 2:
	case 3:
		build_message();
		return;
	case 4:
		build_ids(1, 2); /* IHAVE */
		return;
	case 5:
		build_ids(2, 1); /* IWANT */
		return;
	case 6:
		build_graft();
		return;
	case 7:
		build_prune();
		return;
	case 8:
		build_ids(5, 1); /* IDONTWANT */
		return;
	case 9:
		build_unknown();
		return;
	case 10:
		build_publish(fuzz_byte());
		break;
	case 11:
		build_own(fuzz_byte());
		break;
	case 12:
		build_events(fuzz_byte());
		break;
	case 13:
		how = fuzz_byte();
		fake_run(G.net,
		         fake_now(G.net) + (how & 1 ? KP_MS(10) : KP_SEC(1)) * (how / 2 % 64));
		build_scores();
		break;
	case 14:
		how = fuzz_byte();
		build_join(how / 32 % BUILD_PEERS, how);
		break;
	case 15:
		how = fuzz_byte();
		fake_fail_at(G.router, how & 1, 1 + how / 2 % 16u);
		G.starved = true;
		break;
	default:
		build_send(fuzz_byte());
	}
}

static void build_params(uint8_t a, uint8_t b)
{
	kp_gs_params *p = &G.params;
	*p = kp_gs_params_default();
	p->signature = (kp_sig_policy)(a & 3);
	p->message_id = (kp_msgid_fn)(a / 4 % 3u);
	if (p->signature == KP_SIG_STRICT_NO_SIGN && p->message_id == KP_MSGID_SOURCE_SEQNO)
		p->message_id = KP_MSGID_SHA256; /* there is no source and no seqno */
	p->verify_inline_max = a & 16 ? 0 : 4;
	p->px_send = (a & 32) != 0;
	p->score.accept_px_threshold = a & 64 ? 0 : 10;
	p->score.mode = (kp_score_mode)(b % 3u);
	if (a & 128) { /* a small mesh, so that it is full */
		p->d = 2;
		p->d_low = p->d_score = 1;
		p->d_out = 0;
		p->d_high = 3;
		p->opportunistic_ticks = 2;
		p->idontwant_size = 8;
	}
	p->publish_hold_ns = b & 8 ? KP_SEC(2) : 0;
	p->validate_max_pending = b & 16 ? 2 : p->validate_max_pending;
	KP_ASSERT(kp_gs_params_check(p) == NULL);
}

/* What the router says still reaches a peer that behaves. */
static void build_still_serves(void)
{
	static const uint8_t subscribe[] = {11, 0x0a, 9, 0x08, 1, 0x12, 5, 'w', 'h', 'o', 'l', 'e'};
	if (G.starved)
		return;
	G.peer[0] = fake_node(G.net, NULL); /* the others may have earned that they get nothing */
	build_join(0, 8);
	fake_subscribe(G.router, "whole");
	KP_ASSERT(G.to[0] != NULL);
	fake_script_send(G.to[0], subscribe, sizeof subscribe);
	fake_run(G.net, fake_now(G.net) + KP_MS(1));
	fake_drop_events(G.router);
	uint64_t before = fake_stat(G.router, KP_STAT_published);
	KP_ASSERT(fake_publish(G.router, "whole", "whole", 5, 1));
	fake_run(G.net, fake_now(G.net) + KP_SEC(3));
	KP_ASSERT(fake_stat(G.router, KP_STAT_published) == before + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(&G, 0, sizeof G);
	fuzz_in = kp_slice_of(data, KP_MIN(size, (size_t)BUILD_INPUT));
	uint8_t a = fuzz_byte(), b = fuzz_byte();
	build_params(a, b);
	G.w = kp_writer_of(G.rpc, sizeof G.rpc);
	G.c = kp_writer_of(G.control, sizeof G.control);
	G.net = fake_net_new(b, false);
	G.router = fake_node(G.net, &G.params);
	fake_subscribe(G.router, "t");
	for (unsigned i = 0; i < BUILD_PEERS; i++) {
		G.peer[i] = fake_node(G.net, NULL);
		build_join(i, (uint8_t)(i % 2 * 8 + (i == 4 ? b / 32 : 0)));
	}
	while (fuzz_in.n > 0)
		build_step();
	build_send(0);
	fake_fail_at(G.router, false, 0);
	fake_fail_at(G.router, true, 0);
	build_events(0);
	build_scores();
	build_still_serves();
	build_events(0);
	fake_net_free(G.net);
	return 0;
}
