/* Many nodes in one process, in virtual time, below the router: implements kp_host_* and
 * kp_stream_* (svc.h, stream.h) over queues of bytes. A node runs a live router or is a script:
 * what the router sends to a script is kept as bytes, what a script says is up to the test. The
 * first part is usable from C (fuzz targets). Same seed, same run. */
#ifndef KP_TEST_GOSSIPSUB_FAKE_HOST_H
#define KP_TEST_GOSSIPSUB_FAKE_HOST_H

#include "svc/gossipsub/gossipsub.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fake_net fake_net;

/* real: OpenSSL signatures, else a cheap stand-in that checks as strictly. */
fake_net *fake_net_new(uint64_t seed, bool real);
void fake_net_free(fake_net *net); /* asserts that nothing leaked */
kp_time fake_now(const fake_net *net);

/* A node with a router, or a script (params NULL). Its identity comes from its number. */
kp_host *fake_node(fake_net *net, const kp_gs_params *params);
kp_gs *fake_gs(kp_host *h);
kp_peer_id fake_id(const kp_host *h);

/* A connection from a to b, open from now on. latency: one way. */
void fake_connect(kp_host *a, kp_host *b, kp_time latency);
void fake_disconnect(kp_host *a, kp_host *b); /* all connections between them */

/* A script opens a stream to a router (protocol text); its bytes; NULL when refused at once. */
kp_stream *fake_script_open(kp_host *script, kp_host *to, const char *protocol);
void fake_script_send(kp_stream *s, const void *bytes, size_t n);
void fake_script_fin(kp_stream *s);
void fake_script_reset(kp_stream *s);

void fake_run(fake_net *net, kp_time until); /* everything up to and at then */
void fake_subscribe(kp_host *h, const char *topic);
/* token as in kp_pub; copies. False = no memory. */
bool fake_publish(kp_host *h, const char *topic, const void *data, size_t n, int64_t token);
void fake_drop_events(kp_host *h);
kp_event *fake_take_event(kp_host *h);       /* the oldest; NULL = none; the caller's */
void fake_set_reads(kp_host *h, bool reads); /* false: a process that has stopped */
void fake_fail_at(kp_host *h, bool pool, uint64_t calls_from_now); /* 0 = no failure */
uint64_t fake_stat(const kp_host *h, kp_stat which);

#ifdef __cplusplus
}

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

struct FakeConn {
	kp_id id;
	kp_host *a, *b; /* a dialled */
	kp_time latency;
	bool open = true;
	kp_time opened_at = 0;
	kp_time progress[2] = {0, 0}; /* of a, of b: when bytes left it last */
	bool cut[2] = {false, false}; /* bytes of a, of b wait on the way: fake_heal */
	std::vector<std::pair<kp_stream *, std::string>> stalled[2];
	uint64_t bandwidth = 0; /* bytes per second each way, 0 = no limit */
	kp_time busy[2] = {0, 0};
};

struct kp_stream {
	kp_host *h = nullptr;
	kp_stream *other = nullptr;
	FakeConn *conn = nullptr;
	kp_peer_id peer = {};
	kp_proto proto = {nullptr, 0};
	std::vector<kp_proto> protos;      /* proposed */
	const kp_proto_ops *ops = nullptr; /* NULL: end of a script */
	void *svc = nullptr, *state = nullptr;
	bool outbound = false, open = false, want = false, fin = false, fin_sent = false;
	bool held = false, idle = false, dirty = false;
	bool dying = false, gone = false;
	bool barrier = false; /* asked for, not answered yet: the test clears it */
	kp_err why = KP_OK;
	uint64_t in_flight = 0; /* bytes sent that the other side has not consumed */
	std::string in;         /* arrived, not delivered (held) */
	bool in_fin = false;
	std::string rx;            /* of scripts: everything that arrived */
	std::vector<size_t> pulls; /* sizes of single pulls, when recorded */
	int side() const;          /* 0 = a, 1 = b */
};

struct kp_host {
	fake_net *net = nullptr;
	uint32_t index = 0;
	kp_mem mem;
	kp_pool *pool = nullptr;
	kp_timers timers;
	kp_rng rng;
	kp_stats stats;
	kp_trace trace;
	kp_identity self;
	kp_env env;
	kp_gs *gs = nullptr;
	std::vector<kp_proto> served; /* names this node speaks; routers: all */
	std::vector<FakeConn *> conns;
	std::vector<kp_stream *> streams;
	std::deque<kp_stream *> dirty;
	std::deque<kp_event *> events;
	std::function<void(kp_event *)> on_event; /* instead of the queue */
	std::map<std::string, unsigned> keep;     /* peer id → kp_keep bits */
	std::vector<kp_peer_id> dialled;
	std::vector<std::vector<kp_maddr>> dialled_at; /* the addresses given for each */
	kp_maddr addr = {};                            /* where others see this node */
	std::vector<kp_why> closed; /* reasons the router closed connections for */
	kp_time job_delay = 0;
	bool jobs_stuck = false; /* jobs run, but are not reported done */
	std::deque<kp_job *> stuck;
	uint64_t jobs = 0;
	unsigned jobs_open = 0;
	uint64_t window = 256 * 1024; /* unread bytes a stream may have towards this node */
	bool reads = true;            /* false: consumes nothing (a stopped process) */
	kp_time wake_at = KP_NEVER;
	bool queued = false; /* in net->active */
	bool refuse_open = false;
};

struct FakeEvent {
	kp_time at;
	uint64_t seq;
	std::function<void()> run;
	bool operator<(const FakeEvent &o) const /* for a max-heap: later is less */
	{
		return at != o.at ? at > o.at : seq > o.seq;
	}
};

struct fake_net {
	kp_time now = KP_SEC(1000);
	uint64_t seq = 0;
	uint64_t seed = 0;
	kp_rng rng;
	kp_crypto *crypto = nullptr;
	bool real = false;
	bool record_pulls = false;
	uint64_t bytes = 0; /* delivered */
	std::vector<FakeEvent> heap;
	std::vector<std::unique_ptr<kp_host>> nodes;
	std::vector<std::unique_ptr<kp_stream>> streams;
	std::vector<std::unique_ptr<FakeConn>> conns;
	std::deque<kp_host *> active;
	std::map<std::string, kp_host *> by_id;
	void at(kp_time t, std::function<void()> f);
	void touch(kp_host *h);
	void settle();
};

FakeConn *fake_conn_between(kp_host *a, kp_host *b);
void fake_cut(FakeConn *c, const kp_host *from); /* what it sends waits on the way */
void fake_heal(FakeConn *c);

#endif
#endif
