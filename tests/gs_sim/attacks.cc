/* See attacks.h. Attackers that hold places in meshes and pass nothing on are routers of ours whose
 * application never gives a verdict: they keep to the protocol in everything else. Spammers are
 * scripts. */
#include "attacks.h"

#include <algorithm>
#include <cstring>

#include "gossipsub/harness.h"

namespace
{

constexpr kp_time BEAT = KP_MS(200); /* five messages a second */

class Attack
{
      public:
	Attack(uint64_t seed, kp_score_mode scoring, unsigned nodes = 24)
	    : sim(options(seed, scoring, nodes))
	{
	}

	static SimOptions options(uint64_t seed, kp_score_mode scoring, unsigned nodes)
	{
		SimOptions o;
		o.seed = seed;
		o.nodes = nodes;
		o.params = attack_params(scoring);
		return o;
	}

	/* A router that takes a place wherever it is connected. */
	kp_host *sybil(bool drops)
	{
		kp_gs_params p = attack_params(KP_SCORE_OFF);
		p.d = p.d_low = 100;
		p.d_high = 200;
		p.d_score = p.d_out = 0;
		p.d_lazy = 0;
		p.gossip_factor = 0;
		p.first_heartbeat_ns += kp_rng_below(&sim.net->rng, p.heartbeat_ns);
		kp_host *h = fake_node(sim.net, &p);
		h->addr = sim_addr(10000 + (unsigned)sybils.size());
		h->on_event = [](kp_event *) {};
		sybils.push_back(h);
		set_drops(h, drops);
		return h;
	}
	void set_drops(kp_host *h, bool drops)
	{
		kp_sub_opts opts = {drops, false, 0};
		kp_gs_subscribe(h->gs, sim.net->now, kp_slice_str("topic-0"), &opts);
		sim.net->touch(h);
		sim.net->settle();
	}
	void join(kp_host *h, unsigned node)
	{
		if (fake_conn_between(h, sim.nodes[node]) == nullptr)
			fake_connect(h, sim.nodes[node],
			             KP_MS(5) + kp_rng_below(&sim.net->rng, KP_MS(35)));
	}

	/* Traffic of honest nodes; the worst score on the way. */
	void traffic(kp_time d)
	{
		for (kp_time t = 0; t < d; t += BEAT) {
			sim.publish(100);
			sim.run(BEAT);
			if (t % KP_SEC(1) == 0)
				look();
		}
	}
	void look()
	{
		for (kp_host *at : sim.nodes) {
			for (kp_host *of : sim.nodes) {
				kp_gs_score_info s;
				if (!kp_gs_peer_score(at->gs, &of->self.id, &s))
					continue;
				r.worst_honest = std::min(r.worst_honest, s.score);
				r.honest_graylisted +=
				        s.score < at->gs->par.score.graylist_threshold;
			}
		}
	}
	/* What comes from now on is counted anew. */
	void count_from_here()
	{
		sim.count = SimCount();
		for (SimCount &c : sim.of)
			c = SimCount();
	}
	/* The whole run so far, then the last part of it. */
	void measure(kp_time attack, kp_time rest, int node = -1)
	{
		count_from_here();
		traffic(attack);
		sim.run(KP_SEC(3));
		r.all = node >= 0 ? sim.of[(unsigned)node] : sim.count;
		count_from_here();
		traffic(rest);
		sim.run(KP_SEC(3));
		r.after = node >= 0 ? sim.of[(unsigned)node] : sim.count;
	}
	AttackResult &end()
	{
		for (kp_host *at : sim.nodes)
			for (kp_host *h : sybils)
				r.attackers_in_mesh += meshed(at, h->self.id);
		r.hash = sim.hash();
		return r;
	}
	static bool meshed(kp_host *at, const kp_peer_id &id)
	{
		kp_slice topic;
		bool in = false;
		return kp_gs_peer_topic_at(at->gs, &id, 0, &topic, &in) && in;
	}

	GsSim sim;
	std::vector<kp_host *> sybils;
	AttackResult r;
};

/* A script that says the same to some nodes again and again. */
class Spammer
{
      public:
	Spammer(Attack &attack, unsigned index) : a(attack), h(fake_node(a.sim.net, nullptr))
	{
		h->addr = sim_addr(20000 + index);
		a.sybils.push_back(h);
	}
	void join(unsigned node)
	{
		fake_connect(h, a.sim.nodes[node], KP_MS(10));
		kp_stream *s = fake_script_open(h, a.sim.nodes[node], "/meshsub/1.1.0");
		if (s == nullptr)
			return;
		std::string sub = rpc_sub("topic-0");
		fake_script_send(s, sub.data(), sub.size());
		out.push_back(s);
	}
	void say(const std::string &rpc)
	{
		for (kp_stream *s : out)
			fake_script_send(s, rpc.data(), rpc.size());
		for (kp_stream *s : h->streams)
			s->rx.clear();
	}
	Attack &a;
	kp_host *h;
	std::vector<kp_stream *> out;
	uint64_t seq = 0;
};

/* ---- attackers in the mesh ---- */

/* One node sees forty attackers first and three honest nodes later. */
AttackResult eclipse(uint64_t seed, kp_score_mode scoring)
{
	Attack a(seed, scoring);
	a.sim.disconnect_all(0);
	for (unsigned i = 0; i < 40; i++)
		a.join(a.sybil(true), 0);
	a.sim.run(KP_SEC(5));
	for (unsigned i = 1; i <= 3; i++)
		a.sim.connect(i * 7, 0); /* none that the target dialled, which it would favour */
	a.measure(KP_SEC(40), KP_SEC(40), 0);
	return a.end();
}

/* The attackers are there before the honest network is: every mesh is theirs at first. */
AttackResult cold_boot(uint64_t seed, kp_score_mode scoring)
{
	Attack a(seed, scoring);
	std::vector<std::pair<unsigned, unsigned>> links;
	unsigned n = (unsigned)a.sim.nodes.size();
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			if (a.sim.connected(i, k))
				links.push_back({i, k});
	for (unsigned i = 0; i < n; i++)
		a.sim.disconnect_all(i);
	for (unsigned i = 0; i < 40; i++) {
		kp_host *h = a.sybil(true);
		for (unsigned k = 0; k < 10; k++)
			a.join(h, a.sim.random(n));
	}
	a.sim.run(KP_SEC(5));
	for (auto &l : links)
		a.sim.connect(l.first, l.second);
	a.measure(KP_SEC(40), KP_SEC(40));
	return a.end();
}

/* The attackers behave for a minute, earn their places, and then all turn at once. */
AttackResult covert_flash(uint64_t seed, kp_score_mode scoring)
{
	Attack a(seed, scoring);
	unsigned n = (unsigned)a.sim.nodes.size();
	for (unsigned i = 0; i < 40; i++) {
		kp_host *h = a.sybil(false);
		for (unsigned k = 0; k < 10; k++)
			a.join(h, a.sim.random(n));
	}
	a.sim.run(KP_SEC(5));
	a.traffic(KP_SEC(60));
	for (kp_host *h : a.sybils)
		a.set_drops(h, true);
	a.measure(KP_SEC(40), KP_SEC(40));
	return a.end();
}

/* ---- spammers ---- */

void spam(Attack &a, std::vector<Spammer> &spammers, kp_time d,
          const std::function<std::string(Spammer &)> &what)
{
	for (kp_time t = 0; t < d; t += BEAT) {
		for (Spammer &s : spammers)
			s.say(what(s));
		a.sim.publish(100);
		a.sim.run(BEAT);
		if (t % KP_SEC(1) == 0)
			a.look();
	}
}

AttackResult spam_run(uint64_t seed, kp_score_mode scoring, kp_stat served,
                      const std::function<std::string(Spammer &)> &what)
{
	Attack a(seed, scoring);
	a.sim.run(KP_SEC(5));
	std::vector<Spammer> spammers;
	for (unsigned i = 0; i < 5; i++) {
		spammers.emplace_back(a, i);
		for (unsigned k = 0; k < a.sim.nodes.size(); k += 2)
			spammers[i].join(k);
	}
	a.count_from_here();
	spam(a, spammers, KP_SEC(20), what);
	a.sim.run(KP_SEC(3));
	a.r.all = a.sim.count;
	a.count_from_here();
	uint64_t before = a.sim.stat(served);
	spam(a, spammers, KP_SEC(20), what);
	a.r.served = a.sim.stat(served) - before;
	a.sim.run(KP_SEC(3));
	a.r.after = a.sim.count;
	return a.end();
}

/* Ids of messages that nobody has: each IHAVE is a promise that is broken. */
AttackResult ihave_spam(uint64_t seed, kp_score_mode scoring)
{
	return spam_run(seed, scoring, KP_STAT_promises_broken, [](Spammer &s) {
		std::string rpc;
		for (unsigned i = 0; i < 2; i++) {
			std::vector<std::string> ids;
			for (unsigned k = 0; k < 50; k++)
				ids.push_back(karak_id(std::to_string(++s.seq) + "/" +
				                       std::to_string(s.h->index)));
			rpc += rpc_ihave("topic-0", ids);
		}
		return rpc;
	});
}

/* Out of the mesh and in again, fifty times a second. */
AttackResult graft_flood(uint64_t seed, kp_score_mode scoring)
{
	return spam_run(seed, scoring, KP_STAT_graft_backoff, [](Spammer &) {
		std::string rpc = rpc_prune("topic-0");
		for (unsigned i = 0; i < 10; i++)
			rpc += rpc_graft("topic-0");
		return rpc;
	});
}

AttackResult invalid_spam(uint64_t seed, kp_score_mode scoring)
{
	return spam_run(seed, scoring, KP_STAT_rejected_signature, [](Spammer &s) {
		std::string rpc;
		for (unsigned i = 0; i < 20; i++) {
			uint64_t n = ++s.seq;
			std::string m =
			        signed_message(s.h, n, "topic-0", "junk " + std::to_string(n));
			m.back() ^= 1;
			rpc += rpc_message(m);
		}
		return rpc;
	});
}

} // namespace

kp_gs_params attack_params(kp_score_mode scoring)
{
	kp_gs_params p = kp_gs_params_default();
	p.flood_publish = false; /* it would hide what the mesh is worth */
	p.score.mode = scoring;
	kp_score_topic_params &t = p.score.topic;
	t.mesh_weight = -1;
	t.failure_weight = -1;
	t.mesh_decay = 0.95; /* a peer that brings everything has 100 */
	t.failure_decay = 0.95;
	t.mesh_cap = 100;
	t.mesh_threshold = 8;
	t.mesh_window_ns = KP_MS(500);
	t.mesh_activation_ns = KP_SEC(10);
	return p;
}

double sim_worst_score(GsSim &sim)
{
	double worst = 0;
	for (kp_host *at : sim.nodes) {
		for (kp_host *of : sim.nodes) {
			kp_gs_score_info s;
			if (kp_gs_peer_score(at->gs, &of->self.id, &s))
				worst = std::min(worst, s.score);
		}
	}
	return worst;
}

const AttackScenario attack_scenarios[] = {
        {"eclipse", "forty attackers that pass nothing on fill one node's mesh first", eclipse},
        {"cold_boot", "attackers are there before the honest network is", cold_boot},
        {"covert_flash", "attackers behave for a minute, then all turn at once", covert_flash},
        {"ihave_spam", "five peers promise messages that do not exist", ihave_spam},
        {"graft_flood", "five peers graft without end, backoff or not", graft_flood},
        {"invalid_spam", "five peers send a hundred forged messages a second", invalid_spam},
};
const unsigned attack_scenarios_n = (unsigned)(sizeof attack_scenarios / sizeof *attack_scenarios);
