/* A network of routers in virtual time: builds a random graph, publishes, and measures who got what
 * when. No crypto, no connections: RPCs and the router alone, so that 1,000 nodes cost seconds. */
#ifndef KP_TEST_GS_SIM_H
#define KP_TEST_GS_SIM_H

#include "gossipsub/fake_host.h"

struct SimOptions {
	uint64_t seed = 1;
	unsigned nodes = 20;
	unsigned links = 5; /* dialled by each node */
	unsigned topics = 1;
	kp_time latency_min = KP_MS(5), latency_max = KP_MS(40);
	kp_gs_params params = kp_gs_params_default();
};

struct SimCount {
	uint64_t published = 0, expected = 0, delivered = 0, twice = 0;
	std::vector<kp_time> delays; /* of every delivery */
	double ratio() const
	{
		return expected == 0 ? 1.0 : (double)delivered / (double)expected;
	}
	kp_time delay(double quantile);
};

kp_maddr sim_addr(unsigned i); /* of node i: public, its own */

class GsSim
{
      public:
	explicit GsSim(const SimOptions &o);
	~GsSim();
	GsSim(const GsSim &) = delete;
	GsSim &operator=(const GsSim &) = delete;

	void run(kp_time d);
	void connect(unsigned a, unsigned b);
	/* From a random node that is up, or from this one; expects it at every other node that is
	 * up. */
	void publish(size_t bytes, int from = -1);
	void set_up(unsigned node, bool up); /* down: all its connections end */
	/* The process ends, with a goodbye or without, and begins anew, knowing nothing. */
	void restart(unsigned node, bool goodbye, kp_time away);
	uint64_t stat(kp_stat which) const; /* of all nodes */
	uint64_t hash() const;              /* of every node's trace */
	size_t mesh(unsigned node, unsigned topic = 0) const;
	size_t subscribers(unsigned node, unsigned topic = 0) const;
	unsigned random(unsigned below);
	/* Shortest sums of latencies from a node over the graph. */
	std::vector<kp_time> distances(unsigned from) const;

	SimOptions opt;
	fake_net *net;
	std::vector<kp_host *> nodes;
	std::vector<bool> up;
	SimCount count;

      private:
	void on_event(unsigned node, kp_event *ev);
	struct Sent {
		kp_time at;
		std::vector<bool> want, got;
	};
	std::vector<Sent> sent;
	kp_rng rng;
};

#endif
