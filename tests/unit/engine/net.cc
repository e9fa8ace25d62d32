#include "engine/net.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <time.h>

namespace net
{

kp_addr to_addr(const std::string &ip, uint16_t port)
{
	kp_addr a = {};
	a.family = ip.find(':') == std::string::npos ? 4 : 6;
	inet_pton(a.family == 4 ? AF_INET : AF_INET6, ip.c_str(), a.ip);
	a.port = port;
	return a;
}

std::string to_text(const kp_addr &a)
{
	char text[64] = "";
	inet_ntop(a.family == 4 ? AF_INET : AF_INET6, a.ip, text, sizeof text);
	return std::string(text) + " " + std::to_string(a.port);
}

static kp_identity identity_of(int seed)
{
	uint8_t bytes[32] = {};
	kp_identity id;
	bytes[0] = (uint8_t)seed;
	bytes[1] = (uint8_t)(seed >> 8);
	bytes[31] = 0x5a;
	kp_crypto *c = kp_crypto_new(bytes);
	kp_identity_from_seed(c, bytes, &id);
	c->ops->free(c);
	return id;
}

std::string identity_text(int seed)
{
	char text[KP_IDENTITY_TEXT_MAX];
	kp_identity id = identity_of(seed);
	kp_identity_text(&id, text);
	return text;
}

std::string identity_peer(int seed)
{
	char text[KP_PEER_ID_TEXT_MAX];
	kp_identity id = identity_of(seed);
	kp_peer_id_text(&id.id, text);
	return text;
}

/* Adds the processor time of its life to a node's; of several at once the outermost counts. */
class Node::Busy
{
      public:
	explicit Busy(Node &node) : n(node), start(n.busy++ == 0 ? now() : 0) {}
	~Busy()
	{
		if (--n.busy == 0)
			n.cpu_ns += now() - start;
	}

      private:
	static uint64_t now()
	{
		struct timespec t;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	}
	Node &n;
	uint64_t start;
};

/* --- node
 * ----------------------------------------------------------------------------------------- */

Node::Node(Net *n, const std::string &where, const Config &values, int s)
    : net(n), ip(where), seed(s)
{
	char text[300] = "";
	bool has_listen = false;
	config = kp_config_new();
	for (auto &kv : values) {
		has_listen = has_listen || kv.first == "listen";
		if (kv.second == "-")
			continue;
		kp_err err =
		        kp_config_set(config, str(kv.first), str(kv.second), text, sizeof text);
		EXPECT_EQ(err, KP_OK) << text;
	}
	std::string listen = ip.find(':') == std::string::npos ? "/ip4/" : "/ip6/";
	listen += ip + "/tcp/4001";
	if (!has_listen)
		kp_config_set(config, kp_slice_str("listen"), str(listen), text, sizeof text);
	std::string identity = identity_text(seed);
	kp_config_set(config, kp_slice_str("identity"), str(identity), text, sizeof text);
	uint8_t rng[32] = {};
	rng[0] = (uint8_t)seed;
	rng[7] = 77;
	pool = kp_pool_new(0);
	crypto = kp_crypto_new(rng);
	kp_err err = kp_engine_new(config, rng, pool, crypto, net->now,
	                           INT64_C(1700000000000000000), &engine, text, sizeof text);
	if (err != KP_OK)
		error = text;
}

Node::~Node()
{
	finish();
}

void Node::start()
{
	kp_engine_start(engine, net->now);
	pump();
}

void Node::stop(kp_time drain)
{
	kp_engine_stop(engine, net->now, drain);
	pump();
}

void Node::finish()
{
	if (engine != nullptr) {
		if (!kp_engine_stopped(engine))
			stop(KP_MS(100));
		EXPECT_TRUE(net->until([this] { return kp_engine_stopped(engine); }, KP_SEC(10)));
		EXPECT_EQ(of_type(KP_EV_CLOSED).size(), 1u);
		kp_engine_free(engine);
		engine = nullptr;
	}
	if (pool != nullptr) {
		EXPECT_EQ(kp_pool_blocks_live(pool), 0u);
		EXPECT_EQ(kp_pool_bytes_live(pool), 0u);
		kp_pool_close(pool);
		pool = nullptr;
	}
	if (crypto != nullptr)
		crypto->ops->free(crypto);
	crypto = nullptr;
	kp_config_free(config);
	config = nullptr;
}

void Node::pump()
{
	kp_act a;
	int turns = 0;
	if (engine == nullptr)
		return;
	Busy pumping(*this);
	while (kp_engine_poll(engine, net->now, &a)) {
		ASSERT_LT(++turns, 1000000) << "the engine never ends";
		act(a);
	}
	kp_time deadline = kp_engine_deadline(engine);
	if (deadline >= armed || deadline == KP_NEVER)
		return;
	armed = deadline;
	net->at(deadline, [this, deadline] {
		if (engine == nullptr || armed != deadline)
			return;
		armed = KP_NEVER;
		Busy b(*this);
		kp_engine_on_tick(engine, net->now);
		pump();
	});
}

void Node::act_listen(const kp_act &a)
{
	kp_addr bound = a.u.addr;
	if (bound.port == 0)
		bound.port = net->next_port++;
	std::vector<kp_addr> all = {bound};
	static const uint8_t zero[16] = {};
	if (memcmp(bound.ip, zero, 16) == 0)
		all = {to_addr("127.0.0.1", bound.port), to_addr(ip, bound.port)};
	bool used = false;
	for (auto &x : all)
		used = used || net->listeners.count(to_text(x)) != 0;
	if (used) {
		kp_engine_on_listening(engine, net->now, a.id, nullptr, nullptr, 0, KP_E_ADDRINUSE);
		return;
	}
	for (auto &x : all) {
		net->listeners[to_text(x)] = this;
		listening[a.id.slot] = to_text(x);
	}
	kp_engine_on_listening(engine, net->now, a.id, &bound, all.data(), all.size(), KP_OK);
}

void Node::act_dial(const kp_act &a)
{
	std::string to = to_text(a.u.addr);
	kp_id id = a.id;
	auto end = std::make_shared<End>();
	end->node = this;
	end->id = id;
	ends[id.slot] = end;
	if (net->blackhole.count(to) != 0)
		return;
	net->at(net->now + net->latency, [this, end, to] {
		if (!end->open || engine == nullptr)
			return;
		auto it = net->listeners.find(to);
		bool silent = net->mute.count(to) != 0;
		Node *target = it == net->listeners.end() ? nullptr : it->second;
		auto broken = net->broken.find(to);
		bool fails = broken != net->broken.end();
		if (fails ||
		    (!silent && (target == nullptr || target->engine == nullptr || target->down))) {
			end->open = false;
			kp_engine_on_dialed(engine, net->now, end->id, nullptr,
			                    fails ? broken->second : KP_E_UNREACHABLE);
			pump();
			return;
		}
		end->dialed = true;
		if (silent) {
			kp_engine_on_dialed(engine, net->now, end->id, nullptr, KP_OK);
			pump();
			return;
		}
		kp_err err = KP_OK;
		std::shared_ptr<End> far;
		if (!target->accept_paused)
			far = net->join(nullptr, {0, 0}, target, to_addr(ip, net->next_port++),
			                &err);
		kp_engine_on_dialed(engine, net->now, end->id, nullptr, KP_OK);
		if (far != nullptr) {
			far->other = end;
			end->other = far;
			target->pump();
		} else {
			end->eof = true;
			net->deliver(end);
		}
		pump();
	});
}

void Node::act_write(const kp_act &a)
{
	auto end = ends[a.id.slot];
	auto far = end->other.lock();
	std::vector<uint8_t> bytes(a.u.data.p, a.u.data.p + a.u.data.n);
	if (end->stuck)
		return;
	net->at(net->now + net->latency, [this, end, far, bytes] {
		if (far != nullptr && far->open) {
			if (far->node == nullptr) {
				far->got.insert(far->got.end(), bytes.begin(), bytes.end());
			} else {
				far->in.insert(far->in.end(), bytes.begin(), bytes.end());
				net->deliver(far);
			}
		}
		if (end->open && engine != nullptr) {
			Busy b(*this);
			kp_engine_on_written(engine, net->now, end->id, KP_OK);
			pump();
		}
	});
}

static void send_eof(Net *n, const std::shared_ptr<End> &end)
{
	auto far = end->other.lock();
	n->at(n->now + n->latency, [n, far] {
		if (far == nullptr || !far->open)
			return;
		far->eof = true;
		n->deliver(far);
	});
}

void Node::act_close(const kp_act &a)
{
	auto end = ends[a.id.slot];
	ASSERT_TRUE(end->open);
	end->open = false;
	send_eof(net, end);
	net->at(net->now, [this, end] {
		Busy b(*this);
		kp_engine_on_closed(engine, net->now, end->id, KP_OK);
		ends.erase(end->id.slot);
		pump();
	});
}

void Node::act_resolve(const kp_act &a)
{
	static const char *const kinds[] = {"A ", "AAAA ", "TXT "};
	std::string key = kinds[a.u.dns.kind] + std::string(a.u.dns.name);
	kp_dns_kind kind = a.u.dns.kind;
	kp_id id = a.id;
	auto broken = net->broken.find(key);
	kp_err err = broken != net->broken.end() ? broken->second : KP_E_NOTFOUND;
	if (err == KP_OK)
		return;
	net->at(net->now + net->dns_latency, [this, key, kind, id, err] {
		if (engine == nullptr || kp_engine_stopped(engine))
			return;
		auto &found = net->names[key];
		std::vector<kp_dns_answer> answers;
		for (auto &text : found) {
			kp_dns_answer answer = {};
			if (kind == KP_DNS_TXT)
				answer.text = str(text);
			else
				answer.addr = to_addr(text, 0);
			answers.push_back(answer);
		}
		kp_engine_on_resolved(engine, net->now, id, answers.data(), answers.size(),
		                      answers.empty() ? err : KP_OK);
		pump();
	});
}

void Node::take(kp_event *ev)
{
	Event e = {net->now,  ev->type, ev->code,  ev->flags,   ev->inbox,
	           ev->token, ev->seq,  ev->count, ev->time_ns, {}};
	for (int i = 0; i < KP_F_COUNT_OF_BYTES; i++)
		if (ev->f[i].p != nullptr)
			e.f[i] = std::string((const char *)ev->f[i].p, ev->f[i].n);
	events.push_back(e);
	kp_event_free(ev);
}

void Node::act(const kp_act &a)
{
	Action note = {net->now, a.kind, a.id, ""};
	switch (a.kind) {
	case KP_ACT_LISTEN:
		note.what = to_text(a.u.addr);
		act_listen(a);
		break;
	case KP_ACT_UNLISTEN:
		for (auto it = net->listeners.begin(); it != net->listeners.end();)
			it = it->second == this ? net->listeners.erase(it) : std::next(it);
		break;
	case KP_ACT_RESOLVE:
		note.what = a.u.dns.name;
		act_resolve(a);
		break;
	case KP_ACT_DIAL:
		note.what = to_text(a.u.addr);
		act_dial(a);
		break;
	case KP_ACT_WRITE:
		act_write(a);
		return; /* too many to record */
	case KP_ACT_SHUTDOWN_WR:
		send_eof(net, ends[a.id.slot]);
		break;
	case KP_ACT_READ_RESUME: {
		auto end = ends[a.id.slot];
		end->reading = true;
		net->at(net->now, [this, end] { net->deliver(end); });
		return;
	}
	case KP_ACT_CLOSE:
		act_close(a);
		break;
	case KP_ACT_ACCEPT_PAUSE:
		accept_paused = true;
		break;
	case KP_ACT_ACCEPT_RESUME:
		accept_paused = false;
		break;
	case KP_ACT_JOB: {
		kp_job *job = a.u.job;
		net->at(net->now, [this, job] {
			Busy b(*this);
			job->run(job);
			kp_engine_on_job_done(engine, net->now, job);
			pump();
		});
		return;
	}
	case KP_ACT_EVENT:
		take(a.u.event);
		return;
	default:
		FAIL() << "unknown action " << a.kind;
	}
	actions.push_back(note);
}

/* --- what tests ask of a node
 * ------------------------------------------------------------------------- */

kp_peer_id Node::peer() const
{
	return kp_engine_env(engine)->self->id;
}

std::string Node::id() const
{
	char text[KP_PEER_ID_TEXT_MAX];
	kp_peer_id me = peer();
	kp_peer_id_text(&me, text);
	return text;
}

std::string Node::addr() const
{
	return (ip.find(':') == std::string::npos ? "/ip4/" : "/ip6/") + ip + "/tcp/4001/p2p/" +
	       identity_peer(seed);
}

kp_event *Node::complete_event(int64_t token)
{
	kp_event *ev = kp_event_new(pool, KP_EV_COMPLETE, 800);
	if (ev != nullptr)
		ev->token = token;
	return ev;
}

int64_t Node::request(kp_op op, const std::string &arg, const std::string &data, kp_time deadline)
{
	kp_request r = {};
	r.op = op;
	r.arg = str(arg);
	r.data = str(data);
	r.token = next_token++;
	r.deadline = deadline;
	r.done = complete_event(r.token);
	kp_engine_request(engine, net->now, &r);
	pump();
	return r.token;
}

int64_t Node::publish(const std::string &topic, const std::string &data)
{
	int64_t token = next_token++;
	kp_pub *p = kp_pub_new(pool, str(topic), str(data), token);
	kp_engine_publish(engine, net->now, p);
	pump();
	return token;
}

int64_t Node::send(const Node &to, const std::string &protocol, const std::string &data)
{
	int64_t token = next_token++;
	std::string target = identity_peer(to.seed) + std::string(1, 0) + protocol;
	kp_pub *p = kp_pub_new(pool, str(target), str(data), 0);
	p->token = token;
	p->done = complete_event(token);
	kp_engine_send(engine, net->now, p);
	pump();
	return token;
}

std::vector<Event> Node::completions(int64_t token) const
{
	std::vector<Event> out;
	for (auto &e : events)
		if ((e.type == KP_EV_COMPLETE || e.type == KP_EV_PUBLISHED) && e.token == token)
			out.push_back(e);
	return out;
}

std::vector<Event> Node::of_type(int type) const
{
	std::vector<Event> out;
	for (auto &e : events)
		if (e.type == type)
			out.push_back(e);
	return out;
}

std::string Node::info(const std::string &what) const
{
	static const kp_host_stat extra[] = {{"host_stat", 7}};
	kp_writer count = {};
	EXPECT_EQ(kp_engine_info(engine, net->now, str(what), extra, 1, &count), KP_OK);
	std::string text(count.n, 0);
	kp_writer w = kp_writer_of(&text[0], text.size());
	EXPECT_EQ(kp_engine_info(engine, net->now, str(what), extra, 1, &w), KP_OK);
	EXPECT_FALSE(w.full);
	EXPECT_EQ(w.n, text.size());
	return text;
}

uint64_t Node::stat(kp_stat which) const
{
	return kp_engine_env(engine)->stats->v[which];
}

bool Node::connected(const Node &other) const
{
	return info("peers").find("\"peer\":\"" + identity_peer(other.seed) + "\"") !=
	       std::string::npos;
}

size_t Node::connections() const
{
	std::string stats = info("stats");
	return (size_t)atoi(stats.c_str() + stats.find("\"connections\":") + 14);
}

std::vector<Action> Node::of_kind(kp_act_kind kind) const
{
	std::vector<Action> out;
	for (auto &a : actions)
		if (a.kind == kind)
			out.push_back(a);
	return out;
}

std::vector<Action> Node::dials() const
{
	return of_kind(KP_ACT_DIAL);
}

/* --- network
 * ------------------------------------------------------------------------------------------- */

Net::~Net()
{
	finish();
}

void Net::finish()
{
	for (auto &n : nodes)
		n->finish();
}

Node &Net::add_at(const std::string &ip, const Config &config, bool start)
{
	nodes.push_back(std::make_unique<Node>(this, ip, config, (int)nodes.size() + 1));
	Node &n = *nodes.back();
	EXPECT_EQ(n.error, "");
	if (start)
		n.start();
	return n;
}

Node &Net::add(const Config &config, bool start)
{
	return add_at("10.0.0." + std::to_string(next_ip++), config, start);
}

void Net::at(kp_time when, std::function<void()> what)
{
	queue[{std::max(when, now), seq++}] = std::move(what);
}

bool Net::until(const std::function<bool()> &done, kp_time limit)
{
	kp_time end = now + limit;
	while (!done()) {
		if (queue.empty() || queue.begin()->first.first > end) {
			now = end;
			return done();
		}
		auto it = queue.begin();
		now = std::max(now, it->first.first);
		auto what = std::move(it->second);
		queue.erase(it);
		what();
	}
	return true;
}

void Net::run(kp_time for_ns)
{
	until([] { return false; }, for_ns);
}

/* Gives a node what has arrived, as far as it reads. */
void Net::deliver(const std::shared_ptr<End> &end)
{
	Node *n = end->node;
	if (n == nullptr || n->engine == nullptr)
		return;
	while (end->open && end->reading && !end->in.empty()) {
		size_t cap;
		uint8_t *p = kp_engine_rx_buf(n->engine, end->id, &cap);
		if (p == nullptr) {
			end->reading = false;
			break;
		}
		size_t k = std::min(cap, end->in.size());
		std::copy(end->in.begin(), end->in.begin() + (long)k, p);
		end->in.erase(end->in.begin(), end->in.begin() + (long)k);
		Node::Busy b(*n);
		kp_engine_on_read(n->engine, now, end->id, k);
		n->pump();
	}
	if (end->open && end->reading && end->in.empty() && end->eof) {
		end->reading = false;
		Node::Busy b(*n);
		kp_engine_on_read(n->engine, now, end->id, 0);
		n->pump();
	}
}

std::shared_ptr<End> Net::join(Node *from, kp_id id, Node *to, const kp_addr &from_addr,
                               kp_err *err)
{
	(void)from;
	(void)id;
	kp_addr local = to_addr(to->ip, 4001);
	kp_id conn = {0, 0}, listener = {0, 1};
	Node::Busy b(*to);
	*err = kp_engine_on_accept(to->engine, now, listener, &from_addr, &local, &conn);
	if (*err != KP_OK)
		return nullptr;
	auto end = std::make_shared<End>();
	end->node = to;
	end->id = conn;
	end->dialed = true;
	to->ends[conn.slot] = end;
	return end;
}

std::shared_ptr<End> Net::raw(Node &to, const std::string &from_ip, kp_err *err)
{
	kp_err ignored;
	auto far = join(nullptr, {0, 0}, &to, to_addr(from_ip, next_port++),
	                err != nullptr ? err : &ignored);
	if (far == nullptr) {
		to.pump();
		return nullptr;
	}
	auto mine = std::make_shared<End>();
	mine->other = far;
	far->other = mine;
	to.pump();
	return mine;
}

void Net::raw_write(const std::shared_ptr<End> &end, const std::string &bytes)
{
	auto far = end->other.lock();
	if (far == nullptr || !far->open)
		return;
	raw_sent += bytes.size();
	far->in.insert(far->in.end(), bytes.begin(), bytes.end());
	deliver(far);
}

void Net::raw_close(const std::shared_ptr<End> &end)
{
	auto far = end->other.lock();
	end->open = false;
	if (far == nullptr || !far->open)
		return;
	far->eof = true;
	deliver(far);
}

} // namespace net
