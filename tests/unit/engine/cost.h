/* What a flood costs the node that suffers it. tests/docs makes the second table of docs/hostile.md
 * from the lines that this prints, and compares. */
#ifndef KP_TEST_ENGINE_COST_H
#define KP_TEST_ENGINE_COST_H

#include <cstdio>

#include "engine/net.h"

namespace net
{

/* From its making on. */
class Cost
{
      public:
	Cost(Net &net, Node &victim)
	    : n(net), v(victim), bytes(kp_pool_mem(v.pool)->bytes), cpu_ns(v.cpu_ns),
	      sent(n.raw_sent)
	{
	}
	/* The rows of the document, and the flood in words. */
	void tell(const char *rows, const char *flood) const
	{
		uint64_t peak = kp_pool_mem(v.pool)->peak;
		printf("COST | %s | %s | %llu | %llu | %.1f\n", rows, flood,
		       (unsigned long long)(n.raw_sent - sent),
		       (unsigned long long)(peak > bytes ? peak - bytes : 0),
		       (double)(v.cpu_ns - cpu_ns) / 1e6);
	}

      private:
	const Net &n;
	const Node &v;
	uint64_t bytes, cpu_ns, sent;
};

} // namespace net
#endif
