/* See gs_sim.h. */
#include "gs_sim.h"

#include <algorithm>
#include <cstring>
#include <set>

kp_time SimCount::delay(double quantile)
{
	if (delays.empty())
		return 0;
	std::sort(delays.begin(), delays.end());
	return delays[(size_t)((double)(delays.size() - 1) * quantile)];
}

static std::string sim_topic(unsigned i)
{
	return "topic-" + std::to_string(i);
}

kp_maddr sim_addr(unsigned i)
{
	std::string text = "/ip4/11." + std::to_string(i >> 16 & 255) + "." +
	                   std::to_string(i >> 8 & 255) + "." + std::to_string(i & 255) +
	                   "/tcp/4001";
	kp_maddr m = {};
	const char *why;
	kp_maddr_parse_text(kp_slice_str(text.c_str()), &m, &why);
	return m;
}

GsSim::GsSim(const SimOptions &o) : opt(o), net(fake_net_new(o.seed, false))
{
	uint8_t key[32] = {1};
	memcpy(key + 8, &o.seed, sizeof o.seed);
	kp_rng_init(&rng, key);
	for (unsigned i = 0; i < o.nodes; i++) {
		/* heartbeats of real nodes are not in step */
		kp_gs_params p = o.params;
		p.first_heartbeat_ns += kp_rng_below(&rng, p.heartbeat_ns);
		nodes.push_back(fake_node(net, &p));
		nodes[i]->addr = sim_addr(i); /* public, and its own */
		up.push_back(true);
		nodes[i]->on_event = [this, i](kp_event *ev) { on_event(i, ev); };
		for (unsigned t = 0; t < o.topics; t++)
			fake_subscribe(nodes[i], sim_topic(t).c_str());
	}
	/* a ring keeps it in one piece */
	for (unsigned i = 1; i < o.nodes; i++)
		connect(i, i - 1);
	for (unsigned i = 0; i < o.nodes; i++) {
		for (unsigned k = 1; k < o.links && o.nodes > 2; k++)
			connect(i, random(o.nodes));
	}
}

GsSim::~GsSim()
{
	fake_net_free(net);
}

unsigned GsSim::random(unsigned below)
{
	return (unsigned)kp_rng_below(&rng, below);
}

void GsSim::connect(unsigned a, unsigned b)
{
	if (a == b || fake_conn_between(nodes[a], nodes[b]) != nullptr)
		return;
	kp_time spread = opt.latency_max - opt.latency_min;
	kp_time latency = opt.latency_min + (spread > 0 ? kp_rng_below(&rng, spread) : 0);
	fake_connect(nodes[a], nodes[b], latency);
}

void GsSim::set_up(unsigned node, bool is_up)
{
	up[node] = is_up;
	if (is_up)
		return;
	for (kp_host *other : nodes)
		if (fake_conn_between(nodes[node], other) != nullptr)
			fake_disconnect(nodes[node], other);
	for (Sent &s : sent) { /* what it has not got by now it may miss */
		if (s.want[node])
			count.expected--;
		s.want[node] = false;
	}
}

void GsSim::restart(unsigned node, bool goodbye, kp_time away)
{
	kp_host *h = nodes[node];
	if (goodbye) {
		kp_gs_svc_ops.on_stop(h->gs, net->now);
		net->touch(h);
		run(2 * opt.latency_max);
	}
	set_up(node, false);
	run(KP_MS(1)); /* all streams are closed */
	kp_gs_free(h->gs);
	h->gs = nullptr;
	run(away);
	h->gs = kp_gs_new(h, &opt.params, net->now);
	for (unsigned t = 0; t < opt.topics; t++)
		fake_subscribe(h, sim_topic(t).c_str());
	up[node] = true;
}

void GsSim::run(kp_time d)
{
	fake_run(net, net->now + d);
}

void GsSim::publish(size_t bytes, int from)
{
	unsigned node = from >= 0 ? (unsigned)from : random((unsigned)nodes.size());
	while (!up[node])
		node = random((unsigned)nodes.size());
	std::string data(std::max<size_t>(bytes, 8), '.');
	uint32_t index = (uint32_t)sent.size();
	memcpy(&data[0], &index, sizeof index);
	memcpy(&data[4], &opt.seed, 4);
	Sent s;
	s.at = net->now;
	for (unsigned i = 0; i < nodes.size(); i++) {
		bool want = up[i] && i != node;
		s.want.push_back(want);
		count.expected += want;
	}
	s.got.assign(nodes.size(), false);
	sent.push_back(s);
	count.published++;
	fake_publish(nodes[node], sim_topic(index % opt.topics).c_str(), data.data(), data.size(),
	             0);
}

void GsSim::on_event(unsigned node, kp_event *ev)
{
	if (ev->type != KP_EV_MESSAGE)
		return;
	kp_slice data = ev->f[KP_F_PAYLOAD];
	uint32_t index = UINT32_MAX;
	if (data.n >= sizeof index)
		memcpy(&index, data.p, sizeof index);
	if (index >= sent.size() || sent[index].got[node]) {
		count.twice++;
		return;
	}
	sent[index].got[node] = true;
	if (!sent[index].want[node])
		return;
	sent[index].want[node] = false;
	count.delivered++;
	count.delays.push_back(net->now - sent[index].at);
}

uint64_t GsSim::stat(kp_stat which) const
{
	uint64_t n = 0;
	for (kp_host *h : nodes)
		n += fake_stat(h, which);
	return n;
}

uint64_t GsSim::hash() const
{
	uint64_t h = 0;
	for (kp_host *n : nodes)
		h = h * 1099511628211u + n->trace.hash + n->trace.count;
	return h;
}

size_t GsSim::mesh(unsigned node, unsigned topic) const
{
	kp_gs_topic_info info;
	return kp_gs_topic_at(nodes[node]->gs, topic, &info) ? info.mesh : 0;
}

size_t GsSim::subscribers(unsigned node, unsigned topic) const
{
	kp_gs_topic_info info;
	return kp_gs_topic_at(nodes[node]->gs, topic, &info) ? info.subscribers : 0;
}

std::vector<kp_time> GsSim::distances(unsigned from) const
{
	std::vector<kp_time> d(nodes.size(), KP_NEVER);
	std::set<std::pair<kp_time, unsigned>> open;
	d[from] = 0;
	open.insert({0, from});
	while (!open.empty()) {
		auto [at, i] = *open.begin();
		open.erase(open.begin());
		if (at > d[i])
			continue;
		for (FakeConn *c : nodes[i]->conns) {
			unsigned k = (c->a == nodes[i] ? c->b : c->a)->index;
			if (at + c->latency >= d[k])
				continue;
			d[k] = at + c->latency;
			open.insert({d[k], k});
		}
	}
	return d;
}
