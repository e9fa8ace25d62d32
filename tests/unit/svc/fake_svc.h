/* A node without connections, for tests of services: implements kp_host_* and kp_stream_* (svc.h,
 * stream.h) over queues of bytes in virtual time. What the peers do is up to the test, or to
 * another fake host when two are linked. The first part is usable from C (fuzz targets). */
#ifndef KP_TEST_SVC_FAKE_SVC_H
#define KP_TEST_SVC_FAKE_SVC_H

#include "svc/svc.h"

#ifdef __cplusplus
extern "C" {
#endif

kp_host *fake_host_new(uint8_t seed); /* in a world of its own */
void fake_host_free(kp_host *h);      /* services are freed before; asserts that nothing leaked */
kp_time fake_now(const kp_host *h);

/* A registered service hears of connections; a served protocol can be opened by peers. */
void fake_register(kp_host *h, const kp_svc_ops *ops, void *svc);
void fake_serve(kp_host *h, const kp_proto_ops *ops, kp_proto proto, void *svc);

/* A peer id made from a number (an Ed25519-shaped identity id). */
kp_peer_id fake_peer(uint32_t n);

/* One more connection with a peer; remote is a multiaddr text. */
kp_id fake_connect(kp_host *h, const kp_peer_id *peer, const char *remote, bool outbound);
void fake_disconnect(kp_host *h, const kp_peer_id *peer); /* all its connections */
/* One more address that kp_host_peer_addrs knows of a peer, or that is our own (peer NULL). */
void fake_addr(kp_host *h, const kp_peer_id *peer, const char *addr);
/* The latest stream that our side opened and that lives; NULL = none. */
kp_stream *fake_outbound(kp_host *h);
void fake_forget(kp_host *h); /* frees streams once they are gone, from now on */

/* The peer opens a stream; NULL when nobody serves it, in_max is reached or on_open refuses. */
kp_stream *fake_remote_open(kp_host *h, const kp_peer_id *peer, const char *protocol);
void fake_remote_send(kp_stream *s, const void *bytes, size_t n);
void fake_remote_fin(kp_stream *s);
void fake_remote_reset(kp_stream *s);

void fake_pump(kp_host *h);               /* until nothing changes any more */
void fake_run(kp_host *h, kp_time until); /* timers and events up to then, with pumping */
static inline void fake_run_for(kp_host *h, kp_time d)
{
	fake_run(h, fake_now(h) + d);
}

#ifdef __cplusplus
}

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

/* Shared virtual time of the hosts that are linked with one another. */
struct FakeWorld {
	kp_time now = KP_SEC(1000);
	uint64_t seq = 0;
	std::map<std::pair<kp_time, uint64_t>, std::function<void()>> events;
	std::vector<kp_host *> hosts;

	void at(kp_time t, std::function<void()> f);
	void run(kp_time until);
	bool pump(); /* true when something happened */
	kp_host *host_of(const kp_peer_id &id);
};

struct kp_stream {
	kp_host *h = nullptr;
	uint64_t number = 0; /* unique in the host */
	kp_peer_id peer = {};
	kp_id conn = {};
	kp_proto proto = {};
	const kp_proto_ops *ops = nullptr;
	void *svc = nullptr;
	void *state = nullptr;
	bool outbound = false, open = false, agreed = false;
	bool pulled = false; /* last, when in turns */
	bool want = false, fin_wanted = false, fin_sent = false;
	bool held = false, idle = false;
	bool dying = false, gone = false; /* on_close is due, has been called */
	kp_err why = KP_OK;
	std::string in; /* from the peer, not yet delivered */
	bool in_fin = false, fin_told = false;
	size_t in_sent = 0; /* for the test that plays the peer */
	std::string out;    /* everything our side wrote */
	kp_stream *twin = nullptr;
	bool was_reset = false; /* by us */
};

struct FakePeer {
	std::vector<kp_conn_info> conns;
	std::vector<kp_maddr> addrs; /* what kp_host_peer_addrs answers */
};

struct FakeDial {
	kp_peer_id peer;
	std::vector<kp_maddr> addrs;
};

struct kp_host {
	kp_mem mem = {};
	kp_pool *pool = nullptr;
	kp_timers timers = {};
	kp_rng rng = {};
	kp_stats stats = {};
	kp_trace trace = {};
	kp_identity self = {};
	kp_env env = {};
	FakeWorld *world = nullptr;
	bool own_world = false;

	std::vector<std::pair<const kp_svc_ops *, void *>> services;
	std::vector<kp_proto_binding> served;
	std::map<std::string, FakePeer> peers; /* by id bytes */
	std::vector<kp_maddr> own_addrs;
	std::vector<std::unique_ptr<kp_stream>> streams; /* in order of opening; kept when gone */
	std::vector<kp_event *> events;
	std::vector<FakeDial> dials;
	std::vector<std::pair<const kp_proto_ops *, size_t>> set_served; /* calls */
	bool keep_gone = true;       /* gone streams stay in `streams` */
	size_t pull_max = 16384;     /* bytes per pull */
	bool blocked = false;        /* the peers take no bytes: nothing is pulled */
	bool in_turns = false;       /* one pull, one delivery, one pull … */
	size_t cut = 0;              /* bytes per on_data; 0 = all there is */
	kp_time progress = KP_NEVER; /* kp_stream_last_progress; KP_NEVER = now */
	uint32_t next_conn = 1;

	/* What the world does; each may be empty. */
	std::function<kp_err(const kp_peer_id &, const std::vector<kp_maddr> &)> on_dial;
	std::function<kp_err(kp_stream *)> on_open_out; /* error: kp_host_open fails with it */
	std::function<void(kp_stream *)> on_written;    /* our side wrote or finished */
	std::function<bool(const kp_proto *)> agrees;   /* false: the peer answers `na` */

	uint64_t stat(kp_stat which) const
	{
		return stats.v[which];
	}
	FakePeer &peer(const kp_peer_id &id);
	bool connected(const kp_peer_id &id);
	uint64_t next_number = 1;
	kp_stream *stream(uint64_t number); /* NULL when it is gone */
	kp_stream *last_stream();           /* latest one opened, also when gone */
	size_t live_streams() const;
	void dial_failed(const kp_peer_id &id, kp_err err);
	/* Takes the oldest event of that type; NULL = none. */
	kp_event *take_event(kp_event_type type);
};

kp_host *fake_host_in(FakeWorld *w, uint8_t seed);
kp_maddr fake_maddr(const std::string &text);
std::string fake_text(const kp_maddr &m);
std::string fake_framed(const std::string &body); /* with a uvarint length before it */
std::string fake_key(const kp_peer_id &id);       /* id bytes, for maps */

/* Connects two hosts of one world; the addresses are those the other side is seen at. */
void fake_link(kp_host *a, kp_host *b, const char *a_addr, const char *b_addr);
#endif
#endif
