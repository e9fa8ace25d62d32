/* Sequences of calls on the public interface: configs, nodes that run on loopback or were never
 * started, senders, events, errors; handles that are NULL, closed, or of another node's event; any
 * key, text, number and length; failing allocations. Every result is a documented one, an accepted
 * token has exactly one final event, a packed poll is well formed, and nothing is left behind. What
 * the input says about networks goes to nodes that are never started. */
#include "abi.h"
#include "fuzz_input.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OPS_CALLS   150u /* of one input */
#define OPS_NODES   3u   /* the last is made from the input's own config, and never started */
#define OPS_WILD    (OPS_NODES - 1)
#define OPS_SENDERS 4u
#define OPS_EVENTS  16u
#define OPS_TEXT    300u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct ops_node {
	kp2p_node *n;
	char *addr; /* of a running one, with its peer id behind /p2p/ */
	int64_t stop_id, verdict;
	unsigned accepted, finals; /* tokens */
} ops_node;

static struct {
	kp2p_config *wild;
	ops_node node[OPS_NODES];
	kp2p_sender *sender[OPS_SENDERS];
	unsigned sender_of[OPS_SENDERS]; /* a node's place; OPS_NODES = of one that is gone */
	kp2p_event *ev[OPS_EVENTS];
	char text[2][OPS_TEXT + 1];
} G;

/* A text of the input, or NULL; two live at a time. */
static const char *ops_text(unsigned which)
{
	kp_slice s = fuzz_bytes();
	if (s.n == 255)
		return NULL;
	if (s.n > 0)
		memcpy(G.text[which], s.p, s.n);
	G.text[which][s.n] = '\0';
	return G.text[which];
}

/* A number at the edges of its type, or small. */
static int ops_int(void)
{
	static const int edges[] = {-1, INT32_MIN, INT32_MAX, 1023, 1024, 32};
	uint8_t b = fuzz_byte();
	return b >= 250 ? edges[b - 250] : b % 40;
}

/* Milliseconds. */
static int ops_wait(void)
{
	uint8_t b = fuzz_byte();
	return b == 255 ? 10 : b % 8 == 7;
}

static int64_t ops_token(void)
{
	uint8_t b = fuzz_byte();
	return b == 255 ? -1 : b == 254 ? INT64_MAX : b % 32;
}

static ops_node *ops_pick(void)
{
	return &G.node[fuzz_byte() % OPS_NODES];
}

/* --- results --- */

static void ops_check(int r, kp2p_error *err)
{
	KP_ASSERT(r >= KP2P_EPEERID);
	KP_ASSERT(r >= 0 || strcmp(kp2p_strerror(r), kp2p_strerror(1)) != 0);
	if (err != NULL) {
		KP_ASSERT(r < 0 &&
		          (kp2p_error_code(err) == r || kp2p_error_code(err) == KP2P_ENOMEM));
		KP_ASSERT(kp2p_error_message(err)[0] != '\0');
	}
	kp2p_error_free(err);
}

/* Of a call that gives an object or a text. */
static void ops_check_made(const void *made, kp2p_error *err)
{
	KP_ASSERT((made != NULL) == (err == NULL));
	ops_check(kp2p_error_code(err), err);
}

/* A pointer: the order in which arguments are evaluated is the compiler's. */
static void ops_check_text(char *text, kp2p_error **err)
{
	ops_check_made(text, *err);
	kp2p_free(text);
}

static void ops_final(ops_node *o, int type, int64_t token, int64_t flags)
{
	if (token > 0 && type == KP2P_EV_COMPLETE && (flags & KP2P_FLAG_MORE) == 0)
		o->finals++;
	if (token > 0 && type == KP2P_EV_PUBLISHED)
		o->finals++;
	KP_ASSERT(o->finals <= o->accepted);
}

/* An event of this node: every field is readable, also those that it has not. */
static void ops_saw(ops_node *o, const kp2p_event *ev)
{
	int type = kp2p_event_type(ev);
	KP_ASSERT(type >= KP2P_EV_MESSAGE && type <= KP2P_EV_CLOSED);
	volatile char touch = 0;
	for (int f = -1; f <= KP2P_FIELDS; f++) {
		kp2p_bytes b = kp2p_event_bytes(ev, f);
		KP_ASSERT(b.ptr != NULL || b.len == 0);
		for (size_t i = 0; i < b.len; i++)
			touch = (char)(touch ^ b.ptr[i]);
	}
	for (int f = KP2P_F_TOKEN - 1; f <= KP2P_F_FLAGS + 1; f++)
		touch = (char)(touch ^ kp2p_event_int(ev, f));
	if (type == KP2P_EV_VALIDATE)
		o->verdict = kp2p_event_int(ev, KP2P_F_TOKEN);
	ops_final(o, type, kp2p_event_int(ev, KP2P_F_TOKEN), kp2p_event_int(ev, KP2P_F_FLAGS));
}

/* --- polling --- */

/* Kept for later, so that it outlives its node; the one in its place is freed. */
static void ops_keep(kp2p_event *ev)
{
	kp2p_event **at = &G.ev[fuzz_byte() % OPS_EVENTS];
	kp2p_events_free(at, 1);
	KP_ASSERT(*at == NULL);
	*at = ev;
}

static int ops_batch(ops_node *o, int inbox, size_t max, int timeout_ms)
{
	kp2p_event *out[8];
	int r = kp2p_node_poll_batch(o->n, inbox, out, KP_MIN(max, KP_COUNT_OF(out)), timeout_ms);
	ops_check(r, NULL);
	KP_ASSERT(r <= (int)max);
	for (int i = 0; i < r; i++)
		ops_saw(o, out[i]);
	if (r > 0 && (r & 1) != 0) {
		ops_keep(out[0]);
		out[0] = NULL;
	}
	if (r > 0)
		kp2p_events_free(out, (size_t)r);
	return r;
}

static uint64_t ops_le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;
	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static void ops_packed(ops_node *o, int inbox)
{
	size_t cap = fuzz_byte() * 9u, used = 77, at = 0;
	uint8_t *buf = malloc(cap + 1);
	KP_ASSERT(buf != NULL);
	int r = kp2p_node_poll_packed(o->n, inbox, buf + 1, cap, &used, ops_wait());
	ops_check(r, NULL);
	KP_ASSERT(r != KP2P_ETOOBIG || used > cap);
	for (int i = 0; i < r; i++) {
		const uint8_t *rec = buf + 1 + at;
		size_t size = ops_le(rec, 4), fields = KP2P_PACKED_HEAD;
		KP_ASSERT(at + size <= used && used <= cap && size % 8 == 0);
		KP_ASSERT(ops_le(rec + 4, 2) == KP2P_PACKED_HEAD &&
		          (int)ops_le(rec + 10, 2) == inbox);
		for (unsigned f = 0; f < KP2P_FIELDS; f++) {
			uint64_t len = ops_le(rec + 48 + 4 * f, 4);
			fields += len != KP2P_PACKED_MISSING ? len : 0;
		}
		KP_ASSERT(fields <= size && size - fields < 8);
		if (ops_le(rec + 6, 2) == KP2P_EV_VALIDATE)
			o->verdict = (int64_t)ops_le(rec + 16, 8);
		ops_final(o, (int)ops_le(rec + 6, 2), (int64_t)ops_le(rec + 16, 8),
		          (int64_t)ops_le(rec + 8, 2));
		at += size;
	}
	KP_ASSERT(r <= 0 || at == used);
	free(buf);
}

static int ops_on_event(kp2p_event *ev, void *ud)
{
	ops_saw((ops_node *)ud, ev);
	return 7;
}

static void ops_on_wakeup(void *ud, int what)
{
	__atomic_store_n((int *)ud, what, __ATOMIC_RELAXED);
}

static void ops_poll(ops_node *o, uint8_t how)
{
	static int woken;
	int inbox = ops_int();
	kp2p_error *err = NULL;
	int r;
	switch (how % 6) {
	case 0: {
		kp2p_event *ev = kp2p_node_poll(o->n, inbox, ops_wait());
		if (ev != NULL)
			ops_saw(o, ev);
		ops_keep(ev);
		break;
	}
	case 1:
		ops_batch(o, inbox, fuzz_byte() % 9, ops_wait());
		break;
	case 2:
		ops_packed(o, inbox);
		break;
	case 3:
		kp2p_node_wake(o->n); /* so that it returns, at the latest, when there is nothing */
		r = kp2p_node_listen(o->n, inbox, ops_on_event, o, &err);
		if (r != 7)
			ops_check(r, err);
		break;
	case 4:
		ops_check(kp2p_node_inbox_fd(o->n, inbox), NULL);
		break;
	default:
		ops_check(kp2p_node_set_wakeup(o->n, inbox & 1 ? ops_on_wakeup : NULL, &woken),
		          NULL);
	}
}

/* --- life --- */

static void ops_config_set(kp2p_config *c, const char *key, const char *value)
{
	kp2p_error *err = NULL;
	int r = kp2p_config_set(c, key, value, &err);
	KP_ASSERT(r == 0 && err == NULL);
}

static kp2p_config *ops_tame(unsigned place, uint8_t how)
{
	kp2p_config *c = kp2p_config_new();
	KP_ASSERT(c != NULL);
	if (place == 0 || (how & 1) != 0)
		ops_config_set(c, "listen", "/ip4/127.0.0.1/tcp/0");
	ops_config_set(c, "kad.mode", (how & 2) != 0 ? "server" : "off");
	ops_config_set(c, "workers", "1");
	ops_config_set(c, "topic", "t");
	ops_config_set(c, "gossipsub.heartbeat", "10ms");
	ops_config_set(c, "events", "peers,log,stats");
	ops_config_set(c, "publish.hold", (how & 4) != 0 ? "10ms" : "0");
	if ((how & 8) != 0) {
		ops_config_set(c, "inbox.max_messages", "2");
		ops_config_set(c, "outbox.max_messages", "3");
		ops_config_set(c, "requests.max", "2");
	}
	return c;
}

static void ops_new(unsigned place, uint8_t how)
{
	ops_node *o = &G.node[place];
	kp2p_error *err = NULL;
	if (o->n != NULL)
		return;
	kp2p_config *tame = place != OPS_WILD ? ops_tame(place, how) : NULL;
	memset(o, 0, sizeof *o);
	o->n = kp2p_node_new(tame != NULL ? tame : G.wild, &err);
	kp2p_config_free(tame);
	ops_check_made(o->n, err);
	o->stop_id = kp2p_node_stop_id(o->n);
	KP_ASSERT((o->n != NULL) == (o->stop_id > 0));
}

static void ops_start(unsigned place)
{
	ops_node *o = &G.node[place];
	kp2p_error *err = NULL;
	if (place == OPS_WILD && o->n != NULL)
		return;
	int r = kp2p_node_start(o->n, &err);
	ops_check(r, err);
	if (o->addr == NULL) {
		o->addr = kp2p_node_info(o->n, "listen_addrs", NULL);
		if (o->addr != NULL)
			o->addr[strcspn(o->addr, "\n")] = '\0';
	}
}

/* Until its threads are gone: the handle may be given up before they are. */
static void ops_await_end(int64_t stop_id)
{
	struct timespec nap = {0, 200000};
	for (unsigned i = 0; stop_id > 0 && kp2p_stop(stop_id) != KP2P_ECLOSED; i++) {
		KP_ASSERT(i < 50000);
		nanosleep(&nap, NULL);
	}
}

static void ops_close(ops_node *o)
{
	int r;
	do
		r = kp2p_node_close(o->n, 0, -1);
	while (r == KP2P_EINTR);
	KP_ASSERT(r == 0);
}

static void ops_free(ops_node *o, bool close_first)
{
	if (o->n == NULL)
		return;
	if (close_first) {
		ops_close(o);
		for (int r = 1; r != KP2P_ECLOSED;) {
			KP_ASSERT(r > 0); /* closed: what is left, and never a wait */
			r = ops_batch(o, 0, 8, -1);
		}
		KP_ASSERT(o->finals == o->accepted);
	}
	kp2p_node_free(o->n);
	kp2p_free(o->addr);
	o->n = NULL;
	o->addr = NULL;
	ops_await_end(o->stop_id);
	for (unsigned i = 0; i < OPS_SENDERS; i++)
		if (&G.node[G.sender_of[i] % OPS_NODES] == o)
			G.sender_of[i] = OPS_NODES;
}

static void ops_life(uint8_t how)
{
	unsigned place = fuzz_byte() % OPS_NODES;
	ops_node *o = &G.node[place];
	switch (how % 8) {
	case 0:
	case 1:
		ops_new(place, how / 8);
		break;
	case 2:
	case 3:
		ops_new(place, how / 8);
		ops_start(place);
		break;
	case 4:
		ops_check(kp2p_node_close(o->n, how / 8, ops_wait()), NULL);
		break;
	case 5:
		ops_free(o, how / 8 % 4 != 0);
		break;
	case 6:
		ops_check(kp2p_stop(how & 8 ? o->stop_id : (int64_t)fuzz_byte() * 4099 - 2), NULL);
		break;
	default:
		ops_check(kp2p_node_wake(o->n), NULL);
	}
}

/* --- senders --- */

static void ops_sender(uint8_t how)
{
	unsigned i = fuzz_byte() % OPS_SENDERS, place = fuzz_byte() % OPS_NODES;
	unsigned from = fuzz_byte() % OPS_SENDERS;
	kp2p_error *err = NULL;
	if (how % 4 == 0) {
		kp2p_sender_free(G.sender[i]);
		G.sender[i] = NULL;
	} else if (how % 4 == 1) {
		ops_check(kp2p_sender_fd(G.sender[i]), NULL);
	} else if (G.sender[i] == NULL && how % 4 == 2) {
		G.sender[i] = kp2p_sender_new(G.node[place].n, &err);
		G.sender_of[i] = place;
		ops_check_made(G.sender[i], err);
	} else if (G.sender[i] == NULL) {
		G.sender[i] = kp2p_sender_clone(G.sender[from]);
		G.sender_of[i] = G.sender_of[from];
	}
}

static void ops_accepted(unsigned sender, int64_t token, unsigned n)
{
	if (token > 0 && n > 0 && G.sender_of[sender] < OPS_NODES)
		G.node[G.sender_of[sender]].accepted += n;
	KP_ASSERT(n == 0 || token >= 0);
}

/* The topic that the nodes join, or any. */
static const char *ops_topic(uint8_t how)
{
	return how & 128 ? ops_text(0) : "t";
}

static void ops_publish(uint8_t how)
{
	unsigned i = fuzz_byte() % OPS_SENDERS;
	const char *topic = ops_topic(how);
	kp_slice data = fuzz_bytes();
	int64_t token = ops_token();
	size_t len = how & 64 ? fuzz_byte() * 300u : data.n;
	uint8_t *copy = calloc(1, len + 1); /* exact, but for the byte that makes it not NULL */
	KP_ASSERT(copy != NULL);
	memcpy(copy, data.p != NULL ? data.p : copy, KP_MIN(len, data.n));
	kp2p_error *err = NULL;
	int r = kp2p_sender_publish(G.sender[i], topic, how & 32 ? NULL : copy, len, token,
	                            ops_wait(), &err);
	KP_ASSERT(r <= 0);
	ops_accepted(i, token, r == 0);
	ops_check(r, err);
	free(copy);
}

static void ops_publish_batch(uint8_t how)
{
	unsigned i = fuzz_byte() % OPS_SENDERS;
	const char *topic = ops_topic(how);
	uint32_t lens[20];
	size_t n = fuzz_byte() % 21, total = 0;
	for (size_t k = 0; k < n; k++) {
		lens[k] = fuzz_byte() % 50;
		if (how & 64 && lens[k] == 49)
			lens[k] = 100000;
		total += lens[k];
	}
	uint8_t *buf = calloc(1, total + 1);
	KP_ASSERT(buf != NULL);
	for (size_t k = 0; k < total; k += 7)
		buf[k] = fuzz_byte();
	int64_t token = ops_token();
	kp2p_error *err = NULL;
	int r = kp2p_sender_publish_batch(G.sender[i], topic, how & 32 ? NULL : buf,
	                                  how & 16 ? NULL : lens, n, token, ops_wait(), &err);
	KP_ASSERT(r <= (int)n);
	ops_accepted(i, token, r > 0 ? (unsigned)r : 0);
	ops_check(r, err);
	free(buf);
}

/* The peer id of a running node, or any text. */
static const char *ops_peer(uint8_t how)
{
	const ops_node *o = &G.node[how & 1];
	const char *id = o->addr != NULL ? strstr(o->addr, "/p2p/") : NULL;
	return how & 128 || id == NULL ? ops_text(0) : id + 5;
}

static void ops_send(uint8_t how)
{
	unsigned i = fuzz_byte() % OPS_SENDERS;
	const char *peer = ops_peer(how), *protocol = how & 64 ? ops_text(1) : "/chat/1";
	kp_slice data = fuzz_bytes();
	int64_t token = ops_token();
	kp2p_error *err = NULL;
	int r = kp2p_sender_send(G.sender[i], peer, protocol, how & 32 ? NULL : data.p, data.n,
	                         token, ops_wait(), &err);
	ops_accepted(i, token, r == 0);
	ops_check(r, err);
}

/* --- requests --- */

/* Only loopback is dialled: an address that the input makes up begins with no slash. */
static const char *ops_arg(int op, uint8_t how)
{
	const char *arg;
	switch (op) {
	case KP2P_OP_CONNECT:
		if ((how & 64) == 0)
			return G.node[how & 1].addr;
		if ((how & 32) == 0)
			return "/ip4/127.0.0.1/tcp/1";
		arg = ops_text(0);
		if (arg != NULL && arg[0] == '/')
			G.text[0][0] = '.';
		return arg;
	case KP2P_OP_DISCONNECT:
	case KP2P_OP_PING:
	case KP2P_OP_DHT_FIND_PEER:
		return ops_peer(how);
	case KP2P_OP_ADD_PROTOCOL:
		return how & 128 ? ops_text(0) : "/chat/1";
	default:
		return ops_topic(how);
	}
}

static void ops_request(uint8_t how)
{
	static const char *const options[] = {"", "validate=1", "self=1 inbox=3", "inbox=1023"};
	ops_node *o = ops_pick();
	int op = how & 4 ? ops_int() : fuzz_byte() % (KP2P_OP_DHT_GET + 2);
	const char *arg = ops_arg(op, how);
	const char *data = how & 8 ? ops_text(1) : options[fuzz_byte() % KP_COUNT_OF(options)];
	size_t arg_len = arg != NULL ? strlen(arg) : fuzz_byte();
	size_t len = data != NULL ? strlen(data) : fuzz_byte();
	int64_t token = ops_token();
	kp2p_error *err = NULL;
	int r = kp2p_node_request(o->n, op, arg, how & 16 ? SIZE_MAX : arg_len, data, len,
	                          ops_int() % 50, token, &err);
	o->accepted += r == 0 && token > 0;
	KP_ASSERT(r < 0 || token >= 0);
	ops_check(r, err);
}

static void ops_ask(uint8_t how)
{
	static const char *const whats[] = {"self",    "addresses", "peers",       "topics",
	                                    "routing", "stats",     "threads",     "config",
	                                    "peer_id", "version",   "listen_addrs"};
	ops_node *o = ops_pick();
	kp2p_error *err = NULL;
	const char *what;
	switch (how % 4) {
	case 0:
		ops_check(kp2p_node_cancel(o->n, ops_token()), NULL);
		break;
	case 1:
		ops_check(
		        kp2p_node_verdict(o->n, how & 64 ? ops_token() : o->verdict, ops_int() % 5),
		        NULL);
		break;
	default:
		what = how & 128 ? ops_text(0) : whats[fuzz_byte() % KP_COUNT_OF(whats)];
		ops_check_text(kp2p_node_info(o->n, what, &err), &err);
	}
}

/* --- what needs no node --- */

static void ops_plain(uint8_t how)
{
	kp2p_error *err = NULL, *before = NULL;
	const char *key;
	kp_mem *mem = kp_abi_mem();
	int r;
	switch (how % 8) {
	case 0:
	case 1:
	case 2:
		key = ops_text(0);
		r = kp2p_config_set(G.wild, key, ops_text(1), &err);
		ops_check(r, err);
		break;
	case 3:
		ops_check_text(kp2p_key_generate(ops_int(), &err), &err);
		break;
	case 4:
		ops_check_text(kp2p_key_peer_id(ops_text(0), &err), &err);
		break;
	case 5:
		ops_check_text(kp2p_peer_id_parse(ops_text(0), &err), &err);
		break;
	case 6: /* an error that is there already stays */
		kp2p_config_set(NULL, "a", "b", &err);
		before = err;
		kp2p_node_start(NULL, &err);
		KP_ASSERT(err == before && (err == NULL || kp2p_error_code(err) == KP2P_EINVAL ||
		                            kp2p_error_code(err) == KP2P_ENOMEM));
		kp2p_error_free(err);
		break;
	default: /* memory for errors, texts and handles runs out once, soon */
		mem->fail_at = mem->calls + 1 + how / 8 % 4;
	}
}

static void ops_step(void)
{
	uint8_t op = fuzz_byte(), how = fuzz_byte();
	switch (op % 12) {
	case 0:
	case 1:
		ops_life(how);
		break;
	case 2:
		ops_sender(how);
		break;
	case 3:
	case 4:
		ops_publish(how);
		break;
	case 5:
		ops_publish_batch(how);
		break;
	case 6:
		ops_send(how);
		break;
	case 7:
		ops_request(how);
		break;
	case 8:
		ops_ask(how);
		break;
	case 9:
	case 10:
		ops_poll(ops_pick(), how);
		break;
	default:
		ops_plain(how);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(&G, 0, sizeof G);
	fuzz_in = kp_slice_of(data, size);
	G.wild = kp2p_config_new();
	KP_ASSERT(G.wild != NULL && kp2p_abi_version() >> 16 == KP2P_ABI_MAJOR);
	for (unsigned i = 0; i < OPS_CALLS && fuzz_in.n > 0; i++)
		ops_step();
	kp_abi_mem()->fail_at = 0;
	for (unsigned i = 0; i < OPS_NODES; i++)
		ops_free(&G.node[i], true);
	for (unsigned i = 0; i < OPS_SENDERS; i++) {
		kp2p_error *err = NULL;
		int r = kp2p_sender_publish(G.sender[i], "t", "x", 1, 1, 0, &err);
		KP_ASSERT(r == (G.sender[i] != NULL ? KP2P_ECLOSED : KP2P_EINVAL));
		ops_check(r, err);
		kp2p_sender_free(G.sender[i]);
	}
	kp2p_events_free(G.ev, OPS_EVENTS);
	kp2p_config_free(G.wild);
	KP_ASSERT(kp_abi_mem()->bytes == 0);
	return 0;
}
