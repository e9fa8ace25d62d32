/* See fake_svc.h. */
#include "svc/fake_svc.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "wire/varint.h"

/* --- small things ------------------------------------------------------------------------------
 */

kp_maddr fake_maddr(const std::string &text)
{
	kp_maddr m;
	const char *why = "";
	memset(&m, 0, sizeof(m));
	kp_err err = kp_maddr_parse_text(kp_slice_of(text.data(), text.size()), &m, &why);
	KP_ASSERT(err == KP_OK);
	return m;
}

std::string fake_text(const kp_maddr &m)
{
	char text[KP_MADDR_TEXT_MAX];
	size_t n = kp_maddr_text(&m, text, sizeof(text));
	return std::string(text, n);
}

std::string fake_framed(const std::string &body)
{
	uint8_t head[KP_VARINT_MAX_SIZE];
	kp_writer w = kp_writer_of(head, sizeof(head));
	kp_varint_write(&w, body.size());
	return std::string(reinterpret_cast<char *>(head), w.n) + body;
}

std::string fake_key(const kp_peer_id &id)
{
	return std::string(reinterpret_cast<const char *>(id.b), id.n);
}

kp_peer_id fake_peer(uint32_t n)
{
	kp_rng rng;
	uint8_t seed[32] = {0x70};
	kp_peer_id id;
	uint8_t bytes[38] = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20};
	memcpy(seed + 1, &n, sizeof(n));
	kp_rng_init(&rng, seed);
	kp_rng_fill(&rng, bytes + 6, 32);
	kp_err err = kp_peer_id_parse_bytes(kp_slice_of(bytes, sizeof(bytes)), &id);
	KP_ASSERT(err == KP_OK);
	return id;
}

/* --- world ---------------------------------------------------------------------------------------
 */

void FakeWorld::at(kp_time t, std::function<void()> f)
{
	events[{std::max(t, now), seq++}] = std::move(f);
}

kp_host *FakeWorld::host_of(const kp_peer_id &id)
{
	for (kp_host *h : hosts)
		if (kp_peer_id_eq(&h->self.id, &id))
			return h;
	return nullptr;
}

static bool fake_step(kp_host *h, size_t i);

bool FakeWorld::pump()
{
	bool any = false, again = true;
	while (again) {
		again = false;
		for (size_t j = 0; j < hosts.size(); j++)
			for (size_t i = 0; i < hosts[j]->streams.size(); i++)
				while (fake_step(hosts[j], i))
					again = any = true;
	}
	for (kp_host *h : hosts) {
		if (h->keep_gone)
			continue;
		auto &v = h->streams;
		for (auto &it : v) {
			if (it->gone && it->twin && it->twin->gone) {
				it->twin->twin = nullptr;
				it->twin = nullptr;
			}
		}
		v.erase(std::remove_if(v.begin(), v.end(),
		                       [](const std::unique_ptr<kp_stream> &s) {
			                       return s->gone && s->twin == nullptr;
		                       }),
		        v.end());
	}
	return any;
}

void FakeWorld::run(kp_time until)
{
	for (;;) {
		pump();
		kp_time next = events.empty() ? KP_NEVER : events.begin()->first.first;
		for (kp_host *h : hosts)
			next = std::min(next, kp_timers_next(&h->timers));
		if (next > until)
			break;
		now = std::max(now, next);
		if (!events.empty() && events.begin()->first.first <= now) {
			auto f = std::move(events.begin()->second);
			events.erase(events.begin());
			f();
			continue;
		}
		for (kp_host *h : hosts)
			kp_timers_run(&h->timers, now);
	}
	now = until;
}

/* --- streams -------------------------------------------------------------------------------------
 */

static void fake_end(kp_stream *s, kp_err why)
{
	if (s->dying)
		return;
	s->dying = true;
	s->why = why;
}

static void fake_tell_twin(kp_stream *s)
{
	if (s->h->on_written)
		s->h->on_written(s);
}

/* Pulls until there is nothing more; true when something was written. */
static bool fake_pull(kp_stream *s)
{
	if (!s->open || !s->want || s->dying || s->fin_sent || s->h->blocked)
		return false;
	s->want = false;
	std::string got;
	for (;;) {
		kp_slice v[6];
		unsigned n = s->ops->pull ? s->ops->pull(s->svc, s, s->h->world->now, v, 6,
		                                         s->h->pull_max)
		                          : 0;
		size_t bytes = 0;
		for (unsigned i = 0; i < n; i++) {
			bytes += v[i].n;
			got.append(reinterpret_cast<const char *>(v[i].p), v[i].n);
		}
		KP_ASSERT(n <= 6 && bytes <= s->h->pull_max);
		if (n == 0 || s->dying)
			break;
		KP_ASSERT(bytes > 0);
		if (s->h->in_turns) {
			s->want = true;
			break;
		}
	}
	if (got.empty())
		return false;
	s->out += got;
	if (s->twin && !s->twin->gone)
		s->twin->in += got;
	fake_tell_twin(s);
	return true;
}

static void fake_close(kp_stream *s)
{
	s->gone = true;
	s->ops->on_close(s->svc, s, s->h->world->now, s->why);
	if (s->twin && !s->twin->gone && s->why != KP_OK)
		fake_end(s->twin, s->why == KP_E_CLOSED ? KP_E_CLOSED : KP_E_PROTO);
	kp_mem_free(&s->h->mem, s->state);
	s->state = nullptr;
}

static bool fake_deliver(kp_stream *s)
{
	kp_host *h = s->h;
	if (!s->open || s->dying || s->held)
		return false;
	if (!s->in.empty()) {
		size_t n = h->cut > 0 ? std::min(h->cut, s->in.size()) : s->in.size();
		std::string part = s->in.substr(0, n);
		s->in.erase(0, n);
		/* an exact heap copy, so that reading past it shows */
		std::unique_ptr<uint8_t[]> copy(new uint8_t[n]);
		memcpy(copy.get(), part.data(), n);
		s->agreed = true;
		kp_err err = s->ops->on_data(s->svc, s, h->world->now, kp_slice_of(copy.get(), n));
		if (err != KP_OK)
			fake_end(s, KP_E_PROTO);
		return true;
	}
	if (s->in_fin && !s->fin_told) {
		s->fin_told = true;
		if (s->ops->on_fin)
			s->ops->on_fin(s->svc, s, h->world->now);
		else
			kp_stream_fin(s);
		return true;
	}
	return false;
}

/* One thing that is due; true when there was one. */
static bool fake_step(kp_host *h, size_t i)
{
	kp_stream *s = h->streams[i].get();
	if (s->gone)
		return false;
	if (s->dying) {
		fake_close(s);
		return true;
	}
	if (s->outbound && !s->open) {
		s->open = true;
		if (h->agrees && !h->agrees(&s->proto)) {
			fake_end(s, KP_E_NOTSUP);
			return true;
		}
		kp_err err = s->ops->on_open(s->svc, s, h->world->now);
		KP_ASSERT(err == KP_OK); /* no service of ours refuses its own streams */
		return true;
	}
	if (h->in_turns && s->pulled) {
		s->pulled = false;
		if (fake_deliver(s))
			return true;
	}
	if (fake_pull(s)) {
		s->pulled = true;
		return true;
	}
	if (s->open && s->fin_wanted && !s->fin_sent && !s->dying && !h->blocked) {
		s->fin_sent = true;
		if (s->twin && !s->twin->gone)
			s->twin->in_fin = true;
		fake_tell_twin(s);
		return true;
	}
	if (fake_deliver(s))
		return true;
	if (s->fin_sent && s->fin_told && !s->dying) {
		fake_end(s, KP_OK);
		return true;
	}
	return false;
}

static kp_stream *fake_stream(kp_host *h, const kp_peer_id *peer, kp_id conn,
                              const kp_proto_ops *ops, void *svc, bool outbound)
{
	void *state = kp_mem_alloc(&h->mem, ops->state_size);
	if (state == nullptr)
		return nullptr;
	h->streams.emplace_back(new kp_stream);
	kp_stream *s = h->streams.back().get();
	s->h = h;
	s->number = h->next_number++;
	s->peer = *peer;
	s->conn = conn;
	s->ops = ops;
	s->svc = svc;
	s->state = state;
	s->outbound = outbound;
	return s;
}

extern "C" {

void *kp_stream_state(kp_stream *s)
{
	KP_ASSERT(s->state != nullptr);
	return s->state;
}

const kp_peer_id *kp_stream_peer(const kp_stream *s)
{
	return &s->peer;
}

kp_id kp_stream_conn_id(const kp_stream *s)
{
	return s->conn;
}

kp_proto kp_stream_proto(const kp_stream *s)
{
	kp_proto none = {nullptr, 0};
	return s->agreed || !s->outbound ? s->proto : none;
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
}

void kp_stream_fin(kp_stream *s)
{
	KP_ASSERT(!s->gone);
	s->fin_wanted = true;
	s->want = true;
}

void kp_stream_reset(kp_stream *s)
{
	KP_ASSERT(!s->gone);
	s->was_reset = true;
	fake_end(s, KP_E_CANCELED);
}

void kp_stream_hold(kp_stream *s)
{
	s->held = true;
}

void kp_stream_resume(kp_stream *s)
{
	s->held = false;
}

void kp_stream_set_idle(kp_stream *s, bool idle)
{
	s->idle = idle;
}

kp_time kp_stream_last_progress(const kp_stream *s)
{
	return s->h->progress != KP_NEVER ? s->h->progress : s->h->world->now;
}

/* --- host
 * ------------------------------------------------------------------------------------------ */

const kp_env *kp_host_env(kp_host *h)
{
	return &h->env;
}

kp_err kp_host_open(kp_host *h, kp_time now, const kp_peer_id *peer, const kp_proto *protos,
                    size_t n, const kp_proto_ops *ops, void *svc, kp_stream **out)
{
	KP_ASSERT(n >= 1 && now == h->world->now);
	FakePeer &p = h->peer(*peer);
	if (p.conns.empty())
		return KP_E_NOTFOUND;
	kp_stream *s = fake_stream(h, peer, p.conns[0].id, ops, svc, true);
	if (s == nullptr)
		return KP_E_NOMEM;
	s->proto = protos[0];
	kp_err err = h->on_open_out ? h->on_open_out(s) : KP_OK;
	if (err != KP_OK) {
		kp_mem_free(&h->mem, s->state);
		h->streams.pop_back();
		return err;
	}
	kp_host *other = h->world->host_of(*peer);
	if (other != nullptr && other != h) {
		s->twin = fake_remote_open(other, &h->self.id, protos[0].id);
		if (s->twin == nullptr)
			fake_end(s, KP_E_NOTSUP);
		else
			s->twin->twin = s;
	}
	*out = s;
	return KP_OK;
}

void kp_host_job(kp_host *h, kp_job *job)
{
	h->world->at(h->world->now, [h, job] {
		job->run(job);
		job->done(job, h->world->now);
	});
}

void kp_host_event(kp_host *h, kp_event *ev)
{
	h->events.push_back(ev);
}

kp_err kp_host_dial(kp_host *h, kp_time now, const kp_peer_id *peer, const kp_maddr *addrs,
                    size_t n)
{
	KP_ASSERT(now == h->world->now);
	std::vector<kp_maddr> v(addrs, addrs + n);
	if (h->connected(*peer))
		return KP_OK;
	h->dials.push_back({*peer, v});
	return h->on_dial ? h->on_dial(*peer, v) : KP_OK;
}

bool kp_host_connected(kp_host *h, const kp_peer_id *peer)
{
	return h->connected(*peer);
}

size_t kp_host_conn_count(kp_host *h)
{
	size_t n = 0;
	for (auto &p : h->peers)
		n += p.second.conns.size();
	return n;
}

size_t kp_host_peer_addrs(kp_host *h, const kp_peer_id *peer, kp_maddr *out, size_t max)
{
	FakePeer &p = h->peer(*peer);
	size_t n = std::min(max, p.addrs.size());
	std::copy_n(p.addrs.begin(), n, out);
	return n;
}

size_t kp_host_own_addrs(kp_host *h, kp_maddr *out, size_t max)
{
	size_t n = std::min(max, h->own_addrs.size());
	std::copy_n(h->own_addrs.begin(), n, out);
	return n;
}

size_t kp_host_protocols(kp_host *h, const char **out, size_t max)
{
	size_t n = 0;
	for (const kp_proto_binding &b : h->served)
		if (n < max)
			out[n++] = b.proto.id;
	return n;
}

void kp_host_set_served(kp_host *h, kp_time now, const kp_proto_ops *ops, const kp_proto *protos,
                        size_t n, void *svc)
{
	auto &v = h->served;
	v.erase(std::remove_if(v.begin(), v.end(),
	                       [ops](const kp_proto_binding &b) { return b.ops == ops; }),
	        v.end());
	for (size_t i = 0; i < n; i++)
		v.push_back({ops, svc, protos[i]});
	h->set_served.push_back({ops, n});
	for (auto &s : h->services)
		if (s.first->on_addrs_changed)
			s.first->on_addrs_changed(s.second, now);
}

void kp_host_keep(kp_host *, const kp_peer_id *, kp_keep, bool) {}

void kp_host_disconnect(kp_host *h, kp_time, const kp_peer_id *peer, kp_why)
{
	kp_peer_id id = *peer;
	h->world->at(h->world->now, [h, id] { fake_disconnect(h, &id); });
}

void kp_host_close_conn(kp_host *, kp_time, kp_id, kp_why) {}

/* --- the test's side
 * ------------------------------------------------------------------------------- */

kp_host *fake_host_new(uint8_t seed)
{
	kp_host *h = fake_host_in(new FakeWorld, seed);
	h->own_world = true;
	return h;
}

void fake_host_free(kp_host *h)
{
	FakeWorld *w = h->world;
	for (kp_event *ev : h->events)
		kp_event_free(ev);
	for (auto &s : h->streams)
		KP_ASSERT(s->gone);
	h->env.crypto->ops->free(h->env.crypto);
	kp_timers_fini(&h->timers);
	KP_ASSERT(kp_pool_blocks_live(h->pool) == 0);
	kp_pool_close(h->pool);
	KP_ASSERT(h->mem.bytes == 0);
	w->hosts.erase(std::find(w->hosts.begin(), w->hosts.end(), h));
	if (h->own_world)
		delete w;
	delete h;
}

kp_time fake_now(const kp_host *h)
{
	return h->world->now;
}

void fake_register(kp_host *h, const kp_svc_ops *ops, void *svc)
{
	h->services.push_back({ops, svc});
}

void fake_serve(kp_host *h, const kp_proto_ops *ops, kp_proto proto, void *svc)
{
	h->served.push_back({ops, svc, proto});
}

static kp_conn_info fake_add_conn(kp_host *h, const kp_peer_id *peer, const char *remote,
                                  bool outbound)
{
	kp_conn_info info;
	memset(&info, 0, sizeof(info));
	info.id.slot = h->next_conn++;
	info.id.gen = 1;
	info.peer = *peer;
	info.remote = fake_maddr(remote);
	info.outbound = outbound;
	info.opened_at = h->world->now;
	h->peer(*peer).conns.push_back(info);
	return info;
}

static void fake_tell_conn(kp_host *h, const kp_conn_info *info)
{
	bool first = h->peer(info->peer).conns.size() == 1;
	for (auto &s : h->services)
		if (s.first->on_conn_open)
			s.first->on_conn_open(s.second, h->world->now, info, first);
}

kp_id fake_connect(kp_host *h, const kp_peer_id *peer, const char *remote, bool outbound)
{
	kp_conn_info info = fake_add_conn(h, peer, remote, outbound);
	fake_tell_conn(h, &info);
	return info.id;
}

void fake_disconnect(kp_host *h, const kp_peer_id *peer)
{
	kp_peer_id id = *peer;
	FakePeer &p = h->peer(id);
	for (size_t i = 0; i < h->streams.size(); i++) {
		kp_stream *s = h->streams[i].get();
		if (s->gone || !kp_peer_id_eq(&s->peer, &id))
			continue;
		if (!s->dying) {
			s->dying = true;
			s->why = KP_E_CLOSED;
		}
		fake_close(s);
	}
	while (!p.conns.empty()) {
		kp_conn_info info = p.conns.back();
		p.conns.pop_back();
		for (auto &s : h->services)
			if (s.first->on_conn_close)
				s.first->on_conn_close(s.second, h->world->now, &info,
				                       KP_WHY_PEER_CLOSED, p.conns.empty());
	}
}

kp_stream *fake_remote_open(kp_host *h, const kp_peer_id *peer, const char *protocol)
{
	FakePeer &p = h->peer(*peer);
	KP_ASSERT(!p.conns.empty());
	const kp_proto_binding *b = nullptr;
	for (const kp_proto_binding &it : h->served)
		if (strcmp(it.proto.id, protocol) == 0)
			b = &it;
	if (b == nullptr)
		return nullptr;
	unsigned live = 0;
	for (auto &s : h->streams)
		live += !s->gone && !s->dying && !s->outbound && s->ops == b->ops &&
		        kp_peer_id_eq(&s->peer, peer);
	if (live >= b->ops->in_max)
		return nullptr;
	kp_stream *s = fake_stream(h, peer, p.conns[0].id, b->ops, b->svc, false);
	if (s == nullptr)
		return nullptr;
	s->proto = b->proto;
	s->open = s->agreed = true;
	if (s->ops->on_open(s->svc, s, h->world->now) != KP_OK) {
		s->gone = true;
		kp_mem_free(&h->mem, s->state);
		s->state = nullptr;
		return nullptr;
	}
	return s;
}

void fake_remote_send(kp_stream *s, const void *bytes, size_t n)
{
	s->in.append(static_cast<const char *>(bytes), n);
}

void fake_remote_fin(kp_stream *s)
{
	s->in_fin = true;
}

void fake_remote_reset(kp_stream *s)
{
	if (!s->gone)
		fake_end(s, KP_E_PROTO);
}

void fake_addr(kp_host *h, const kp_peer_id *peer, const char *addr)
{
	(peer != nullptr ? h->peer(*peer).addrs : h->own_addrs).push_back(fake_maddr(addr));
}

kp_stream *fake_outbound(kp_host *h)
{
	for (auto it = h->streams.rbegin(); it != h->streams.rend(); ++it)
		if ((*it)->outbound && !(*it)->gone)
			return it->get();
	return nullptr;
}

void fake_forget(kp_host *h)
{
	h->keep_gone = false;
}

void fake_pump(kp_host *h)
{
	h->world->pump();
}

void fake_run(kp_host *h, kp_time until)
{
	h->world->run(until);
}

} /* extern "C" */

kp_host *fake_host_in(FakeWorld *w, uint8_t seed)
{
	kp_host *h = new kp_host;
	uint8_t bytes[32];
	memset(bytes, seed, sizeof(bytes));
	kp_mem_init(&h->mem, 0);
	h->pool = kp_pool_new(0);
	kp_timers_init(&h->timers, &h->mem);
	kp_rng_init(&h->rng, bytes);
	kp_trace_init(&h->trace);
	h->env.mem = &h->mem;
	h->env.pool = h->pool;
	h->env.timers = &h->timers;
	h->env.rng = &h->rng;
	h->env.stats = &h->stats;
	h->env.trace = &h->trace;
	h->env.crypto = kp_crypto_new(bytes);
	kp_identity_from_seed(h->env.crypto, bytes, &h->self);
	h->env.self = &h->self;
	h->env.wall_minus_mono = 1700000000LL * 1000000000LL;
	h->world = w;
	w->hosts.push_back(h);
	return h;
}

FakePeer &kp_host::peer(const kp_peer_id &id)
{
	return peers[fake_key(id)];
}

bool kp_host::connected(const kp_peer_id &id)
{
	auto it = peers.find(fake_key(id));
	return it != peers.end() && !it->second.conns.empty();
}

kp_stream *kp_host::stream(uint64_t number)
{
	for (auto &s : streams)
		if (s->number == number)
			return s->gone ? nullptr : s.get();
	return nullptr;
}

kp_stream *kp_host::last_stream()
{
	return streams.empty() ? nullptr : streams.back().get();
}

size_t kp_host::live_streams() const
{
	size_t n = 0;
	for (auto &s : streams)
		n += !s->gone;
	return n;
}

void kp_host::dial_failed(const kp_peer_id &id, kp_err err)
{
	for (auto &s : services)
		if (s.first->on_dial_failed)
			s.first->on_dial_failed(s.second, world->now, &id, err);
}

kp_event *kp_host::take_event(kp_event_type type)
{
	for (auto it = events.begin(); it != events.end(); ++it) {
		if ((*it)->type != type)
			continue;
		kp_event *ev = *it;
		events.erase(it);
		return ev;
	}
	return nullptr;
}

void fake_link(kp_host *a, kp_host *b, const char *a_addr, const char *b_addr)
{
	kp_conn_info to_b = fake_add_conn(a, &b->self.id, b_addr, true);
	kp_conn_info to_a = fake_add_conn(b, &a->self.id, a_addr, false);
	fake_tell_conn(a, &to_b);
	fake_tell_conn(b, &to_a);
}
