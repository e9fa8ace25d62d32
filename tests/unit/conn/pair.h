/* Two connections joined in memory under virtual time, and a service that records what it sees. */
#ifndef KP_TEST_CONN_PAIR_H
#define KP_TEST_CONN_PAIR_H

#include "conn/conn.h"
#include "conn/conn_impl.h"
#include "conn/noise.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pairtest
{

/* What one stream saw and has to send. */
struct Flow {
	kp_stream *s = nullptr;
	std::string proto;
	bool outbound = false;
	int opened = 0, closed = 0, fins = 0;
	kp_err why = KP_OK;
	std::string in;
	std::string out;   /* still to be pulled */
	std::string given; /* pulled last: valid until the next op call */
	size_t slice_max = SIZE_MAX;
	bool echo = false;          /* send back what arrives */
	bool fin_when_sent = false; /* FIN once `out` is empty */
	bool fin_on_fin = true;
	bool count_only = false; /* do not keep what arrives */
	uint64_t in_bytes = 0;
	uint64_t blob = 0;         /* zero bytes still to be pulled after `out` */
	size_t hold_at = SIZE_MAX; /* hold once that much has come */
	kp_err data_err = KP_OK, open_err = KP_OK;
	std::function<void(Flow &)> on_open, on_data, on_close;

	void send(const std::string &bytes)
	{
		out += bytes;
		if (s != nullptr)
			kp_stream_want_write(s);
	}
};

/* A protocol table and the flows it has had. Outbound flows are made before the stream. */
struct Service {
	kp_proto_ops ops{};
	std::vector<std::unique_ptr<Flow>> flows;
	std::function<void(Flow &)> on_new; /* inbound flow, before on_open's work */

	Service()
	{
		ops.name = "test";
		ops.state_size = sizeof(Flow *);
		ops.in_max = 1000;
		ops.on_open = op_open;
		ops.on_data = op_data;
		ops.on_fin = op_fin;
		ops.pull = op_pull;
		ops.on_close = op_close;
	}

	Flow &add()
	{
		flows.push_back(std::make_unique<Flow>());
		return *flows.back();
	}

	static Flow *&slot(kp_stream *s)
	{
		return *static_cast<Flow **>(kp_stream_state(s));
	}

	static kp_err op_open(void *svc, kp_stream *s, kp_time)
	{
		auto *self = static_cast<Service *>(svc);
		Flow *&f = slot(s);
		if (f == nullptr) {
			f = &self->add();
			if (self->on_new)
				self->on_new(*f);
		}
		f->s = s;
		f->opened++;
		/* a lazily proposed protocol is not agreed yet */
		const char *id = kp_stream_proto(s).id;
		f->proto = id != nullptr ? id : "";
		f->outbound = kp_stream_outbound(s);
		EXPECT_TRUE(kp_stream_is_open(s));
		if (f->open_err != KP_OK) {
			f->s = nullptr;
			return f->open_err;
		}
		if (f->on_open)
			f->on_open(*f);
		if (!f->out.empty() || f->blob > 0 || f->fin_when_sent)
			kp_stream_want_write(s);
		return KP_OK;
	}

	static kp_err op_data(void *svc, kp_stream *s, kp_time, kp_slice in)
	{
		(void)svc;
		Flow *f = slot(s);
		EXPECT_EQ(f->closed, 0);
		EXPECT_EQ(f->opened, 1);
		EXPECT_EQ(f->fins, 0);
		EXPECT_GT(in.n, 0u);
		EXPECT_LT(f->in_bytes, f->hold_at) << "on_data after hold";
		std::string bytes(reinterpret_cast<const char *>(in.p), in.n);
		f->in_bytes += in.n;
		if (!f->count_only)
			f->in += bytes;
		if (f->in_bytes >= f->hold_at)
			kp_stream_hold(s);
		if (f->echo)
			f->send(bytes);
		if (f->on_data)
			f->on_data(*f);
		return f->data_err;
	}

	static void op_fin(void *svc, kp_stream *s, kp_time)
	{
		(void)svc;
		Flow *f = slot(s);
		EXPECT_EQ(f->fins, 0);
		f->fins++;
		if (f->fin_on_fin)
			kp_stream_fin(s);
	}

	static unsigned op_pull(void *svc, kp_stream *s, kp_time, kp_slice *v, unsigned v_max,
	                        size_t n_max)
	{
		(void)svc;
		static const uint8_t zeros[KP_YAMUX_FRAME_MAX] = {0};
		Flow *f = slot(s);
		EXPECT_EQ(f->closed, 0);
		EXPECT_GT(v_max, 0u);
		EXPECT_GT(n_max, 0u);
		if (f->out.empty() && f->blob > 0) {
			size_t n = std::min<uint64_t>(f->blob, n_max);
			f->blob -= n;
			v[0] = kp_slice_of(zeros, n);
			return 1;
		}
		size_t n = std::min(f->out.size(), n_max);
		f->given = f->out.substr(0, n);
		unsigned k = 0;
		size_t used = 0;
		while (used < n && k < v_max) {
			size_t part = std::min(n - used, f->slice_max);
			v[k++] = kp_slice_of(f->given.data() + used, part);
			used += part;
		}
		f->out.erase(0, used);
		if (k == 0 && f->fin_when_sent)
			kp_stream_fin(s);
		return k;
	}

	static void op_close(void *svc, kp_stream *s, kp_time, kp_err why)
	{
		(void)svc;
		Flow *f = slot(s);
		if (f == nullptr)
			return; /* outbound and never opened, not set by the test */
		f->closed++;
		f->why = why;
		f->s = nullptr;
		if (f->on_close)
			f->on_close(*f);
	}
};

/* One node's shared environment. */
struct Node {
	kp_mem mem;
	kp_pool *pool;
	kp_timers timers;
	kp_rng rng;
	kp_stats stats{};
	kp_trace trace;
	kp_crypto *crypto;
	kp_identity self;
	kp_noise_local noise;
	kp_env env{};

	explicit Node(uint8_t n, uint64_t pool_max = 0)
	{
		uint8_t seed[32];
		memset(seed, n, sizeof seed);
		kp_mem_init(&mem, 0);
		pool = kp_pool_new(pool_max);
		kp_timers_init(&timers, &mem);
		kp_rng_init(&rng, seed);
		kp_trace_init(&trace);
		crypto = kp_crypto_new_ossl(seed);
		kp_identity_from_seed(crypto, seed, &self);
		EXPECT_EQ(kp_noise_local_init(&noise, crypto, &self), KP_OK);
		env.mem = &mem;
		env.pool = pool;
		env.timers = &timers;
		env.rng = &rng;
		env.stats = &stats;
		env.trace = &trace;
		env.crypto = crypto;
		env.self = &self;
		env.noise = &noise;
	}
	~Node()
	{
		kp_timers_fini(&timers);
		EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
		EXPECT_EQ(mem.bytes, 0u);
		kp_pool_close(pool);
		crypto->ops->free(crypto);
	}
	Node(const Node &) = delete;

	uint64_t stat(kp_stat which) const
	{
		return stats.v[which];
	}
};

struct Chunk {
	kp_time at;
	std::string bytes;
	bool eof;
};

/* One side: a node, its connection, its services. */
struct End {
	Node node;
	kp_conn *c = nullptr;
	std::map<std::string, Service *> served;
	std::function<kp_why(End &)> secured;
	std::function<void(End &)> opened;
	std::function<size_t(size_t)> cut; /* how many of the available bytes one read gets */
	std::deque<Chunk> inbox;           /* on the way to this end */
	bool dirty = false, writing = false, shut = false, reading = true;
	kp_time written_at = 0;
	int n_secured = 0, n_opened = 0, n_writes = 0;
	uint64_t sent_bytes = 0;
	std::vector<std::string> writes; /* kept when keep_writes */
	bool keep_writes = false;

	explicit End(uint8_t n, uint64_t pool_max = 0) : node(n, pool_max) {}
	~End()
	{
		if (c != nullptr)
			kp_conn_free(c);
	}

	static kp_why on_secured(void *ctx, kp_conn *, kp_time)
	{
		auto *e = static_cast<End *>(ctx);
		e->n_secured++;
		return e->secured ? e->secured(*e) : KP_WHY_NONE;
	}
	static void on_open(void *ctx, kp_conn *, kp_time)
	{
		auto *e = static_cast<End *>(ctx);
		e->n_opened++;
		if (e->opened)
			e->opened(*e);
	}
	static bool find_proto(void *ctx, kp_conn *, kp_slice name, kp_proto_binding *out)
	{
		auto *e = static_cast<End *>(ctx);
		auto it =
		        e->served.find(std::string(reinterpret_cast<const char *>(name.p), name.n));
		if (it == e->served.end())
			return false;
		out->ops = &it->second->ops;
		out->svc = it->second;
		out->proto.id = it->first.c_str();
		out->proto.version = 7;
		return true;
	}
	static void on_dirty(void *ctx, kp_conn *)
	{
		auto *e = static_cast<End *>(ctx);
		EXPECT_FALSE(e->dirty) << "on_dirty twice without a pump";
		e->dirty = true;
	}

	bool make(bool outbound, const kp_peer_id *expect, kp_time now,
	          const kp_conn_params &params = kp_conn_params_default())
	{
		kp_conn_host host = {this, on_secured, on_open, find_proto, on_dirty};
		kp_id id = {outbound ? 1u : 2u, 1};
		c = kp_conn_new(&node.env, &params, &host, id, outbound, expect, now);
		return c != nullptr;
	}
	void free()
	{
		kp_conn_free(c);
		c = nullptr;
		dirty = writing = shut = false;
	}
	kp_conn_state state() const
	{
		return kp_conn_get_state(c);
	}
	kp_why why() const
	{
		return kp_conn_get_why(c);
	}

	/* Opens a stream whose flow is `f`. */
	kp_err open(kp_time now, Service &svc, Flow &f, const std::vector<const char *> &names)
	{
		std::vector<kp_proto> protos;
		for (const char *n : names)
			protos.push_back({n, 7});
		kp_stream *s = nullptr;
		kp_err err = kp_conn_open_stream(c, now, protos.data(), protos.size(), &svc.ops,
		                                 &svc, &s);
		if (err == KP_OK) {
			Service::slot(s) = &f;
			f.s = s;
		}
		return err;
	}
};

struct Pair {
	kp_time now = KP_SEC(100);
	kp_time latency = 0;
	uint64_t bytes_per_sec = 0; /* 0 = no limit */
	Service sa, sb;             /* outlive the connections */
	End a, b;                   /* a dials b */
	kp_conn_params pa = kp_conn_params_default(), pb = kp_conn_params_default();
	int turns = 0;

	explicit Pair(uint64_t pool_max_b = 0) : a(0x11), b(0x22, pool_max_b) {}
	~Pair()
	{
		close();
	}
	void close()
	{
		for (End *e : {&a, &b}) {
			if (e->c == nullptr)
				continue;
			if (e->state() != KP_CONN_DEAD)
				kp_conn_abort(e->c, now, KP_WHY_SHUTDOWN);
			e->free();
		}
	}
	bool make(const kp_peer_id *expect)
	{
		return a.make(true, expect, now, pa) && b.make(false, nullptr, now, pb);
	}
	void start()
	{
		ASSERT_TRUE(make(&b.node.self.id));
		kp_conn_start(b.c, now);
		kp_conn_start(a.c, now);
	}
	/* Connects and lets everything settle. */
	void connect()
	{
		start();
		settle();
		ASSERT_EQ(a.state(), KP_CONN_OPEN);
		ASSERT_EQ(b.state(), KP_CONN_OPEN);
	}

	End &other(End &e)
	{
		return &e == &a ? b : a;
	}
	void transmit(End &from, std::string bytes, bool eof)
	{
		End &to = other(from);
		kp_time at = now + latency;
		if (bytes_per_sec > 0) {
			kp_time free_at = std::max(now, from.written_at);
			free_at += bytes.size() * KP_SEC(1) / bytes_per_sec;
			from.written_at = free_at;
			at = free_at + latency;
		}
		to.inbox.push_back({at, std::move(bytes), eof});
	}
	bool pump(End &e)
	{
		bool moved = false;
		if (e.c == nullptr)
			return false;
		if (e.writing && e.written_at <= now) {
			e.writing = false;
			kp_conn_on_written(e.c, now);
			moved = true;
		}
		if (e.dirty) {
			e.dirty = false;
			kp_conn_pump(e.c, now);
			moved = true;
		}
		if (e.state() == KP_CONN_DEAD) {
			if (!e.shut) {
				e.shut = true;
				transmit(e, "", true);
			}
			return moved;
		}
		kp_slice out;
		if (!e.writing && kp_conn_tx(e.c, now, &out)) {
			std::string bytes(reinterpret_cast<const char *>(out.p), out.n);
			e.n_writes++;
			e.sent_bytes += bytes.size();
			if (e.keep_writes)
				e.writes.push_back(bytes);
			transmit(e, bytes, false);
			e.writing = true;
			if (bytes_per_sec == 0)
				e.written_at = now;
			moved = true;
		}
		if (!e.writing && kp_conn_wants_shutdown(e.c) && !e.shut) {
			e.shut = true;
			transmit(e, "", true);
			moved = true;
		}
		return moved;
	}
	bool deliver(End &e)
	{
		if (e.inbox.empty() || e.inbox.front().at > now || e.c == nullptr || !e.reading)
			return false;
		Chunk &chunk = e.inbox.front();
		if (e.state() == KP_CONN_DEAD || e.state() == KP_CONN_DIALING) {
			e.inbox.pop_front();
			return true;
		}
		if (chunk.bytes.empty() && chunk.eof) {
			e.inbox.pop_front();
			kp_conn_on_read(e.c, now, 0);
			return true;
		}
		size_t cap = 0;
		uint8_t *p = kp_conn_rx_buf(e.c, &cap);
		if (p == nullptr) {
			chunk.at = now + KP_MS(1); /* stop reading, try again later */
			return false;
		}
		size_t n = std::min(cap, chunk.bytes.size());
		if (e.cut)
			n = std::max<size_t>(1, std::min(n, e.cut(n)));
		memcpy(p, chunk.bytes.data(), n);
		chunk.bytes.erase(0, n);
		if (chunk.bytes.empty() && !chunk.eof)
			e.inbox.pop_front();
		kp_conn_on_read(e.c, now, n);
		return true;
	}
	/* Everything that happens at `now`. */
	void settle_now()
	{
		bool moved = true;
		while (moved) {
			ASSERT_LT(++turns, 50000000);
			moved = pump(a);
			moved = pump(b) || moved;
			moved = deliver(a) || moved;
			moved = deliver(b) || moved;
		}
	}
	kp_time next() const
	{
		kp_time t =
		        std::min(kp_timers_next(&a.node.timers), kp_timers_next(&b.node.timers));
		for (const End *e : {&a, &b}) {
			if (!e->inbox.empty() && e->reading)
				t = std::min(t, std::max(e->inbox.front().at, now));
			if (e->writing)
				t = std::min(t, std::max(e->written_at, now));
		}
		return t;
	}
	void advance(kp_time to)
	{
		now = to;
		kp_timers_run(&a.node.timers, now);
		kp_timers_run(&b.node.timers, now);
	}
	/* Runs for at most `d`, jumping from event to event. */
	void run(kp_time d)
	{
		kp_time end = now + d;
		settle_now();
		while (next() <= end) {
			kp_time t = next();
			advance(t > now ? t : now + 1);
			settle_now();
			if (::testing::Test::HasFatalFailure())
				return;
		}
		if (now < end)
			advance(end);
		settle_now();
	}
	/* Lets bytes settle without letting timers of seconds run out. */
	void settle()
	{
		run(latency * 12 + KP_MS(50));
	}
};

inline std::string blob(size_t n, unsigned salt = 0)
{
	std::string s(n, 0);
	for (size_t i = 0; i < n; i++)
		s[i] = static_cast<char>((i * 131 + (i >> 8) * 7 + salt) & 0xff);
	return s;
}

/* Equality of long texts that fails without printing them. */
inline ::testing::AssertionResult same(const std::string &a, const std::string &b)
{
	if (a == b)
		return ::testing::AssertionSuccess();
	size_t i = 0;
	while (i < a.size() && i < b.size() && a[i] == b[i])
		i++;
	return ::testing::AssertionFailure()
	       << a.size() << " and " << b.size() << " bytes, different from byte " << i;
}

} // namespace pairtest

#endif
