/* See fake_host.h. */
#include "gossipsub/fake_host.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "gossipsub/fake_crypto.h"

namespace
{

std::string key_of(const kp_peer_id &id)
{
	return std::string((const char *)id.b, id.n);
}

kp_host *node_of(fake_net *net, const kp_peer_id *id)
{
	auto it = net->by_id.find(key_of(*id));
	return it != net->by_id.end() ? it->second : nullptr;
}

kp_host *other_node(const FakeConn *c, const kp_host *h)
{
	return c->a == h ? c->b : c->a;
}

kp_conn_info info_of(const FakeConn *c, const kp_host *h)
{
	kp_conn_info i;
	memset(&i, 0, sizeof i);
	i.id = c->id;
	i.peer = other_node(c, h)->self.id;
	i.remote = other_node(c, h)->addr;
	i.outbound = c->a == h;
	i.opened_at = c->opened_at;
	return i;
}

void stream_dirty(kp_stream *s)
{
	if (!s->dirty && !s->gone) {
		s->dirty = true;
		s->h->dirty.push_back(s);
	}
	s->h->net->touch(s->h);
}

void stream_kill(kp_stream *s, kp_err why)
{
	if (s->dying || s->gone)
		return;
	s->dying = true;
	s->why = why;
	stream_dirty(s);
}

void stream_bury(kp_stream *s)
{
	if (s->gone)
		return;
	s->gone = true;
	if (s->ops != nullptr && s->ops->on_close != nullptr && (s->open || s->outbound))
		s->ops->on_close(s->svc, s, s->h->net->now, s->why);
	kp_mem_free(&s->h->mem, s->state);
	s->state = nullptr;
	auto &v = s->h->streams;
	v.erase(std::remove(v.begin(), v.end(), s), v.end());
}

kp_stream *stream_new(kp_host *h, FakeConn *c, bool outbound)
{
	h->net->streams.emplace_back(new kp_stream);
	kp_stream *s = h->net->streams.back().get();
	s->h = h;
	s->conn = c;
	s->peer = other_node(c, h)->self.id;
	s->outbound = outbound;
	h->streams.push_back(s);
	return s;
}

bool stream_bind(kp_stream *s, const kp_proto_ops *ops, void *svc)
{
	s->ops = ops;
	s->svc = svc;
	if (ops == nullptr || ops->state_size == 0)
		return true;
	s->state = kp_mem_alloc(&s->h->mem, ops->state_size);
	return s->state != nullptr;
}

/* Tells the other end, after the way there, that this one is gone. */
void tell_reset(kp_stream *s)
{
	kp_stream *o = s->other;
	if (o == nullptr || !s->conn->open)
		return;
	fake_net *net = s->h->net;
	net->at(net->now + s->conn->latency, [o] {
		if (!o->gone)
			stream_kill(o, KP_E_PROTO);
	});
}

void deliver(kp_stream *s)
{
	if (s->gone || s->dying || s->held || !s->h->reads)
		return;
	if (!s->in.empty()) {
		std::string in;
		in.swap(s->in);
		s->h->net->bytes += in.size();
		if (s->ops == nullptr)
			s->rx += in;
		else if (s->ops->on_data(s->svc, s, s->h->net->now,
		                         kp_slice_of(in.data(), in.size())) != KP_OK) {
			tell_reset(s);
			stream_kill(s, KP_E_PROTO);
		}
		if (s->other != nullptr && !s->held) {
			kp_stream *o = s->other;
			o->in_flight -= std::min<uint64_t>(o->in_flight, in.size());
			if (o->want)
				stream_dirty(o);
		} else if (s->other != nullptr) {
			s->other->in_flight -=
			        std::min<uint64_t>(s->other->in_flight, in.size() / 2);
		}
	}
	if (s->in_fin && s->in.empty() && !s->held) {
		s->in_fin = false;
		if (s->ops != nullptr && s->ops->on_fin != nullptr)
			s->ops->on_fin(s->svc, s, s->h->net->now);
	}
}

void send_bytes(kp_stream *s, std::string bytes)
{
	fake_net *net = s->h->net;
	FakeConn *c = s->conn;
	int side = s->side();
	kp_time t = std::max(net->now, c->busy[side]);
	if (c->bandwidth != 0)
		t += (kp_time)bytes.size() * 1000000000u / c->bandwidth;
	c->busy[side] = t;
	c->progress[side] = net->now;
	if (c->cut[side]) {
		c->stalled[side].emplace_back(s, std::move(bytes));
		return;
	}
	kp_stream *o = s->other;
	net->at(t + c->latency, [o, bytes = std::move(bytes)] {
		if (o == nullptr || o->gone || o->dying)
			return;
		o->in += bytes;
		deliver(o);
		o->h->net->touch(o->h);
	});
}

void stream_write(kp_stream *s)
{
	if (!s->open || s->gone || s->dying || s->ops == nullptr || s->ops->pull == nullptr)
		return;
	kp_host *to = other_node(s->conn, s->h);
	while (s->want && !s->barrier) {
		if (s->in_flight >= to->window)
			return; /* still wants: consumed bytes wake it */
		kp_time busy = s->conn->busy[s->side()];
		if (busy > s->h->net->now + KP_MS(5)) { /* the socket buffer is full */
			s->h->net->at(busy - KP_MS(5), [s] { stream_dirty(s); });
			return;
		}
		kp_slice v[32];
		size_t room = std::min<uint64_t>(16384, to->window - s->in_flight);
		unsigned n = s->ops->pull(s->svc, s, s->h->net->now, v, 32, room);
		if (n == 0) {
			s->want = false;
			break;
		}
		std::string bytes;
		for (unsigned i = 0; i < n; i++)
			bytes.append((const char *)v[i].p, v[i].n);
		KP_ASSERT(bytes.size() <= room);
		if (s->h->net->record_pulls)
			s->pulls.push_back(bytes.size());
		if (s->ops->wants_barrier != nullptr && s->ops->wants_barrier(s->svc, s))
			s->barrier = true;
		s->in_flight += bytes.size();
		send_bytes(s, std::move(bytes));
	}
	if (s->fin && !s->fin_sent && !s->want) {
		s->fin_sent = true;
		kp_stream *o = s->other;
		fake_net *net = s->h->net;
		net->at(std::max(net->now, s->conn->busy[s->side()]) + s->conn->latency, [o] {
			if (o != nullptr && !o->gone) {
				o->in_fin = true;
				deliver(o);
				o->h->net->touch(o->h);
			}
		});
	}
}

/* The other side's answer to a proposal. */
void negotiate(kp_stream *s)
{
	fake_net *net = s->h->net;
	FakeConn *c = s->conn;
	kp_host *to = other_node(c, s->h);
	if (!c->open || s->gone || s->dying)
		return;
	const kp_proto *agreed = nullptr;
	for (const kp_proto &p : s->protos) {
		for (const kp_proto &q : to->served) {
			if (agreed == nullptr && strcmp(p.id, q.id) == 0)
				agreed = &q;
		}
	}
	kp_stream *o = nullptr;
	kp_err why = KP_E_NOTSUP;
	if (agreed != nullptr) {
		o = stream_new(to, c, false);
		o->proto = *agreed;
		o->other = s;
		why = KP_E_PROTO;
		bool ok = stream_bind(o, to->gs != nullptr ? &kp_gs_proto_ops : nullptr, to->gs);
		if (ok && o->ops != nullptr)
			ok = o->ops->on_open(o->svc, o, net->now) == KP_OK;
		o->open = ok;
		if (!ok) {
			stream_bury(o);
			o = nullptr;
		} else {
			stream_dirty(o);
		}
		net->touch(to);
	}
	std::string id = agreed != nullptr ? agreed->id : "";
	net->at(net->now + c->latency, [s, o, why, id] {
		if (s->gone || s->dying)
			return;
		if (o == nullptr) {
			stream_kill(s, why);
			return;
		}
		s->other = o;
		for (const kp_proto &p : s->protos) {
			if (id == p.id)
				s->proto = p;
		}
		if (s->ops != nullptr && s->ops->on_open(s->svc, s, s->h->net->now) != KP_OK) {
			tell_reset(s);
			stream_bury(s);
			return;
		}
		s->open = true;
		stream_dirty(s);
	});
}

void conn_down(kp_host *h, FakeConn *c, kp_why why)
{
	auto it = std::find(h->conns.begin(), h->conns.end(), c);
	if (it == h->conns.end())
		return;
	h->conns.erase(it);
	std::vector<kp_stream *> streams = h->streams;
	for (kp_stream *s : streams) {
		if (s->conn != c)
			continue;
		s->why = s->dying ? s->why : KP_E_CLOSED;
		s->dying = true;
		stream_bury(s);
	}
	kp_host *o = other_node(c, h);
	bool last = true;
	for (FakeConn *k : h->conns)
		last = last && other_node(k, h) != o;
	kp_conn_info info = info_of(c, h);
	if (h->gs != nullptr)
		kp_gs_svc_ops.on_conn_close(h->gs, h->net->now, &info, why, last);
	h->net->touch(h);
}

void conn_close(FakeConn *c, kp_why why)
{
	if (!c->open)
		return;
	c->open = false;
	fake_net *net = c->a->net;
	net->at(net->now, [c, why] { conn_down(c->a, c, why); });
	net->at(net->now, [c] { conn_down(c->b, c, KP_WHY_PEER_CLOSED); });
}

void settle_node(kp_host *h)
{
	fake_net *net = h->net;
	for (;;) {
		if (kp_timers_next(&h->timers) <= net->now) {
			kp_timers_run(&h->timers, net->now);
			continue;
		}
		if (h->dirty.empty())
			break;
		kp_stream *s = h->dirty.front();
		h->dirty.pop_front();
		s->dirty = false;
		if (s->dying) {
			stream_bury(s);
			continue;
		}
		deliver(s);
		stream_write(s);
	}
	kp_pool_drain(h->pool);
	kp_time next = kp_timers_next(&h->timers);
	if (next == KP_NEVER || next >= h->wake_at)
		return;
	h->wake_at = next;
	net->at(next, [h, next] {
		if (h->wake_at == next)
			h->wake_at = KP_NEVER;
		h->net->touch(h);
	});
}

} // namespace

int kp_stream::side() const
{
	return conn->a == h ? 0 : 1;
}

void fake_net::at(kp_time t, std::function<void()> f)
{
	heap.push_back(FakeEvent{t, seq++, std::move(f)});
	std::push_heap(heap.begin(), heap.end());
}

void fake_net::touch(kp_host *h)
{
	if (!h->queued) {
		h->queued = true;
		active.push_back(h);
	}
}

void fake_net::settle()
{
	while (!active.empty()) {
		kp_host *h = active.front();
		active.pop_front();
		h->queued = false;
		settle_node(h);
	}
}

/* ---- the net ---- */

fake_net *fake_net_new(uint64_t seed, bool real)
{
	auto *net = new fake_net;
	net->seed = seed;
	uint8_t key[32] = {0};
	memcpy(key, &seed, sizeof seed);
	kp_rng_init(&net->rng, key);
	net->real = real;
	net->crypto = real ? kp_crypto_new_ossl(key) : fake_crypto_new();
	return net;
}

void fake_net_free(fake_net *net)
{
	for (auto &n : net->nodes) {
		n->jobs_stuck = false;
		while (!n->stuck.empty()) {
			kp_job *j = n->stuck.front();
			n->stuck.pop_front();
			net->at(net->now, [j, h = n.get()] {
				h->jobs_open--;
				j->done(j, h->net->now);
			});
		}
	}
	for (bool busy = true; busy;) {
		busy = false;
		for (auto &n : net->nodes)
			busy = busy || n->jobs_open > 0;
		if (busy)
			fake_run(net, net->now + KP_MS(100));
	}
	for (auto &c : net->conns) {
		if (!c->open)
			continue;
		c->open = false;
		conn_down(c->a, c.get(), KP_WHY_SHUTDOWN);
		conn_down(c->b, c.get(), KP_WHY_SHUTDOWN);
	}
	for (auto &n : net->nodes) {
		std::vector<kp_stream *> streams = n->streams;
		for (kp_stream *s : streams)
			stream_bury(s);
		kp_gs_free(n->gs);
		n->gs = nullptr;
		fake_drop_events(n.get());
		kp_timers_fini(&n->timers);
		kp_pool_drain(n->pool);
		KP_ASSERT(kp_pool_blocks_live(n->pool) == 0);
		kp_pool_close(n->pool);
		KP_ASSERT(n->mem.bytes == 0);
	}
	net->crypto->ops->free(net->crypto);
	delete net;
}

kp_time fake_now(const fake_net *net)
{
	return net->now;
}

kp_host *fake_node(fake_net *net, const kp_gs_params *params)
{
	net->nodes.emplace_back(new kp_host);
	kp_host *h = net->nodes.back().get();
	h->net = net;
	h->index = (uint32_t)net->nodes.size() - 1;
	kp_mem_init(&h->mem, 0);
	h->pool = kp_pool_new(0);
	kp_timers_init(&h->timers, &h->mem);
	uint8_t seed[32] = {0};
	memcpy(seed, &net->seed, sizeof net->seed);
	memcpy(seed + 8, &h->index, sizeof h->index);
	kp_rng_init(&h->rng, seed);
	memset(&h->stats, 0, sizeof h->stats);
	kp_trace_init(&h->trace);
	kp_identity_from_seed(net->crypto, seed, &h->self);
	net->by_id[key_of(h->self.id)] = h;
	memset(&h->env, 0, sizeof h->env);
	h->env.mem = &h->mem;
	h->env.pool = h->pool;
	h->env.timers = &h->timers;
	h->env.rng = &h->rng;
	h->env.stats = &h->stats;
	h->env.trace = &h->trace;
	h->env.crypto = net->crypto;
	h->env.self = &h->self;
	h->env.wall_minus_mono = INT64_C(1700000000000000000);
	for (size_t i = 0; i < kp_gs_protos_n; i++)
		h->served.push_back(kp_gs_protos[i]);
	if (params != nullptr) {
		h->gs = kp_gs_new(h, params, net->now);
		KP_ASSERT(h->gs != nullptr);
		net->touch(h);
	}
	return h;
}

kp_gs *fake_gs(kp_host *h)
{
	return h->gs;
}

kp_peer_id fake_id(const kp_host *h)
{
	return h->self.id;
}

FakeConn *fake_conn_between(kp_host *a, kp_host *b)
{
	for (FakeConn *c : a->conns) {
		if (other_node(c, a) == b && c->open)
			return c;
	}
	return nullptr;
}

void fake_cut(FakeConn *c, const kp_host *from)
{
	c->cut[c->a == from ? 0 : 1] = true;
}

void fake_heal(FakeConn *c)
{
	for (int side = 0; side < 2; side++) {
		c->cut[side] = false;
		auto stalled = std::move(c->stalled[side]);
		c->stalled[side].clear();
		for (auto &one : stalled) {
			if (!one.first->gone)
				send_bytes(one.first, std::move(one.second));
		}
	}
}

void fake_connect(kp_host *a, kp_host *b, kp_time latency)
{
	fake_net *net = a->net;
	bool first = fake_conn_between(a, b) == nullptr;
	net->conns.emplace_back(new FakeConn);
	FakeConn *c = net->conns.back().get();
	c->id = kp_id{(uint32_t)net->conns.size(), 1};
	c->a = a;
	c->b = b;
	c->latency = latency;
	c->opened_at = net->now;
	c->progress[0] = c->progress[1] = net->now;
	kp_host *ends[2] = {a, b};
	for (kp_host *h : ends)
		h->conns.push_back(c);
	for (kp_host *h : ends) {
		kp_conn_info info = info_of(c, h);
		if (h->gs != nullptr)
			kp_gs_svc_ops.on_conn_open(h->gs, net->now, &info, first);
		net->touch(h);
	}
	net->settle();
}

void fake_disconnect(kp_host *a, kp_host *b)
{
	FakeConn *c;
	while ((c = fake_conn_between(a, b)) != nullptr)
		conn_close(c, KP_WHY_PEER_CLOSED);
	fake_run(a->net, a->net->now);
}

kp_stream *fake_script_open(kp_host *script, kp_host *to, const char *protocol)
{
	FakeConn *c = fake_conn_between(script, to);
	if (c == nullptr)
		return nullptr;
	kp_stream *s = stream_new(script, c, true);
	for (size_t i = 0; i < kp_gs_protos_n; i++) {
		if (strcmp(kp_gs_protos[i].id, protocol) == 0)
			s->protos.push_back(kp_gs_protos[i]);
	}
	script->net->at(script->net->now + c->latency, [s] { negotiate(s); });
	fake_run(script->net, script->net->now + 2 * c->latency);
	return s->open ? s : nullptr;
}

void fake_script_send(kp_stream *s, const void *bytes, size_t n)
{
	if (s->gone || s->other == nullptr)
		return;
	s->in_flight += n;
	send_bytes(s, std::string((const char *)bytes, n));
}

void fake_script_fin(kp_stream *s)
{
	kp_stream *o = s->other;
	fake_net *net = s->h->net;
	s->fin_sent = true;
	net->at(net->now + s->conn->latency, [o] {
		if (o != nullptr && !o->gone) {
			o->in_fin = true;
			deliver(o);
			o->h->net->touch(o->h);
		}
	});
}

void fake_script_reset(kp_stream *s)
{
	tell_reset(s);
	stream_kill(s, KP_E_CANCELED);
}

void fake_run(fake_net *net, kp_time until)
{
	net->settle();
	while (!net->heap.empty() && net->heap.front().at <= until) {
		std::pop_heap(net->heap.begin(), net->heap.end());
		FakeEvent ev = std::move(net->heap.back());
		net->heap.pop_back();
		KP_ASSERT(ev.at >= net->now);
		net->now = ev.at;
		ev.run();
		net->settle();
	}
	net->now = std::max(net->now, until);
	net->settle();
}

void fake_subscribe(kp_host *h, const char *topic)
{
	kp_sub_opts opts = {false, false, 0};
	kp_err err = kp_gs_subscribe(h->gs, h->net->now, kp_slice_str(topic), &opts);
	KP_ASSERT(err == KP_OK);
	h->net->touch(h);
	h->net->settle();
}

bool fake_publish(kp_host *h, const char *topic, const void *data, size_t n, int64_t token)
{
	kp_pub *p = kp_pub_new(h->pool, kp_slice_str(topic), kp_slice_of(data, n), token);
	if (p == nullptr)
		return false;
	kp_gs_publish(h->gs, h->net->now, p);
	h->net->touch(h);
	h->net->settle();
	return true;
}

void fake_drop_events(kp_host *h)
{
	while (!h->events.empty()) {
		kp_event_free(h->events.front());
		h->events.pop_front();
	}
}

kp_event *fake_take_event(kp_host *h)
{
	if (h->events.empty())
		return nullptr;
	kp_event *ev = h->events.front();
	h->events.pop_front();
	return ev;
}

void fake_set_reads(kp_host *h, bool reads)
{
	h->reads = reads;
	for (kp_stream *s : h->streams)
		stream_dirty(s);
}

void fake_fail_at(kp_host *h, bool pool, uint64_t calls_from_now)
{
	kp_mem *m = pool ? kp_pool_mem(h->pool) : &h->mem;
	m->fail_at = calls_from_now > 0 ? m->calls + calls_from_now : 0;
}

uint64_t fake_stat(const kp_host *h, kp_stat which)
{
	return h->stats.v[which];
}

/* ---- svc.h ---- */

const kp_env *kp_host_env(kp_host *h)
{
	return &h->env;
}

kp_err kp_host_open(kp_host *h, kp_time now, const kp_peer_id *peer, const kp_proto *protos,
                    size_t n, const kp_proto_ops *ops, void *svc, kp_stream **out)
{
	KP_ASSERT(now == h->net->now);
	kp_host *to = node_of(h->net, peer);
	FakeConn *c = to != nullptr ? fake_conn_between(h, to) : nullptr;
	if (c == nullptr)
		return KP_E_NOTFOUND;
	if (h->refuse_open)
		return KP_E_LIMIT;
	kp_stream *s = stream_new(h, c, true);
	if (!stream_bind(s, ops, svc)) {
		s->gone = true;
		h->streams.pop_back();
		return KP_E_NOMEM;
	}
	s->protos.assign(protos, protos + n);
	h->net->at(now + c->latency, [s] { negotiate(s); });
	*out = s;
	return KP_OK;
}

void kp_host_job(kp_host *h, kp_job *job)
{
	h->jobs++;
	h->jobs_open++;
	job->run(job);
	if (h->jobs_stuck) {
		h->stuck.push_back(job);
		return;
	}
	h->net->at(h->net->now + h->job_delay, [h, job] {
		h->jobs_open--;
		job->done(job, h->net->now);
		h->net->touch(h);
	});
}

void kp_host_event(kp_host *h, kp_event *ev)
{
	if (h->on_event) {
		h->on_event(ev);
		kp_event_free(ev);
		return;
	}
	h->events.push_back(ev);
}

kp_err kp_host_dial(kp_host *h, kp_time, const kp_peer_id *peer, const kp_maddr *addrs, size_t n)
{
	h->dialled.push_back(*peer);
	h->dialled_at.emplace_back(addrs, addrs + n);
	return KP_OK;
}

bool kp_host_connected(kp_host *h, const kp_peer_id *peer)
{
	kp_host *to = node_of(h->net, peer);
	return to != nullptr && fake_conn_between(h, to) != nullptr;
}

size_t kp_host_conn_count(kp_host *h)
{
	return h->conns.size();
}

size_t kp_host_peer_addrs(kp_host *, const kp_peer_id *, kp_maddr *, size_t)
{
	return 0;
}

size_t kp_host_own_addrs(kp_host *, kp_maddr *, size_t)
{
	return 0;
}

size_t kp_host_protocols(kp_host *, const char **, size_t)
{
	return 0;
}

void kp_host_set_served(kp_host *, kp_time, const kp_proto_ops *, const kp_proto *, size_t, void *)
{
}

void kp_host_keep(kp_host *h, const kp_peer_id *peer, kp_keep what, bool on)
{
	unsigned &bits = h->keep[key_of(*peer)];
	KP_ASSERT(on || (bits & (unsigned)what) != 0);
	bits = on ? bits | (unsigned)what : bits & ~(unsigned)what;
}

void kp_host_disconnect(kp_host *h, kp_time, const kp_peer_id *peer, kp_why why)
{
	for (FakeConn *c : std::vector<FakeConn *>(h->conns)) {
		if (kp_peer_id_eq(&other_node(c, h)->self.id, peer)) {
			h->closed.push_back(why);
			conn_close(c, why);
		}
	}
}

void kp_host_close_conn(kp_host *h, kp_time, kp_id conn, kp_why why)
{
	h->closed.push_back(why);
	for (FakeConn *c : std::vector<FakeConn *>(h->conns)) {
		if (kp_id_eq(c->id, conn))
			conn_close(c, why);
	}
}

/* ---- stream.h ---- */

void *kp_stream_state(kp_stream *s)
{
	return s->state;
}

const kp_peer_id *kp_stream_peer(const kp_stream *s)
{
	return &s->peer;
}

kp_id kp_stream_conn_id(const kp_stream *s)
{
	return s->conn->id;
}

kp_proto kp_stream_proto(const kp_stream *s)
{
	return s->proto;
}

bool kp_stream_outbound(const kp_stream *s)
{
	return s->outbound;
}

bool kp_stream_is_open(const kp_stream *s)
{
	return s->open;
}

void kp_stream_want_write(kp_stream *s)
{
	KP_ASSERT(!s->gone);
	s->want = true;
	stream_dirty(s);
}

void kp_stream_fin(kp_stream *s)
{
	s->fin = true;
	stream_dirty(s);
}

void kp_stream_reset(kp_stream *s)
{
	tell_reset(s);
	stream_kill(s, KP_E_CANCELED);
}

void kp_stream_hold(kp_stream *s)
{
	s->held = true;
}

void kp_stream_resume(kp_stream *s)
{
	s->held = false;
	if (s->other != nullptr && s->other->want)
		stream_dirty(s->other);
	stream_dirty(s);
}

void kp_stream_set_idle(kp_stream *s, bool idle)
{
	s->idle = idle;
}

void kp_stream_used(kp_stream * /*s*/, kp_time /*now*/) {}

kp_time kp_stream_last_progress(const kp_stream *s)
{
	return s->conn->progress[s->side()];
}
