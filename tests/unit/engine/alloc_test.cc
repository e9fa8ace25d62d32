/* Every allocation of a node fails once: nothing crashes, nothing is left behind, and a node that
 * was made still stops. */
#include <gtest/gtest.h>

#include "engine/net.h"

using net::Net;
using net::Node;

/* Two nodes talk; allocation `fail_at` of the first fails. True = there were fewer. */
static bool run_with_failure(uint64_t fail_at)
{
	static const uint8_t seed[32] = {9};
	Net n;
	Node &b = n.add({{"topic", "t"}});
	char text[300] = "";
	kp_config *cfg = kp_config_new();
	kp_config_set(cfg, kp_slice_str("topic"), kp_slice_str("t"), text, sizeof text);
	kp_config_set(cfg, kp_slice_str("listen"), kp_slice_str("/ip4/10.0.0.7/tcp/4001"), text,
	              sizeof text);
	kp_config_set(cfg, kp_slice_str("bootstrap"), kp_slice_str("/dnsaddr/boot.example"), text,
	              sizeof text);
	n.names["TXT _dnsaddr.boot.example"] = {"dnsaddr=" + b.addr()};
	n.nodes.push_back(std::make_unique<Node>(&n, "10.0.0.7", net::Config{}, 7));
	Node &a = *n.nodes.back();
	kp_engine_free(a.engine); /* made again with the failure armed */
	a.engine = nullptr;
	kp_mem *mem = kp_pool_mem(a.pool);
	uint64_t before = mem->calls;
	mem->fail_at = before + fail_at;
	kp_err err =
	        kp_engine_new(cfg, seed, a.pool, a.crypto, n.now, 0, &a.engine, text, sizeof text);
	kp_config_free(cfg);
	if (err != KP_OK) {
		EXPECT_EQ(err, KP_E_NOMEM) << text;
		EXPECT_NE(std::string(text), "");
		EXPECT_EQ(mem->bytes, 0u) << "at " << fail_at;
		a.engine = nullptr;
		return false;
	}
	a.start();
	n.run(KP_SEC(2));
	kp_request r = {};
	r.op = KP_OP_PING;
	std::string peer = b.id();
	r.arg = net::str(peer);
	r.token = 5;
	r.deadline = KP_NEVER;
	r.done = a.complete_event(5);
	bool asked = r.done != nullptr;
	if (asked)
		kp_engine_request(a.engine, n.now, &r);
	a.pump();
	kp_pub *p = kp_pub_new(a.pool, kp_slice_str("t"), kp_slice_str("hello"), 0);
	if (p != nullptr)
		kp_engine_publish(a.engine, n.now, p);
	a.pump();
	b.publish("t", "to a");
	n.run(KP_SEC(12));
	if (asked) {
		EXPECT_EQ(a.completions(5).size(), 1u) << "at " << fail_at;
	}
	a.stop(KP_SEC(1));
	EXPECT_TRUE(n.until([&] { return kp_engine_stopped(a.engine); })) << "at " << fail_at;
	bool over = mem->calls < before + fail_at;
	n.finish();
	return over;
}

TEST(alloc, every_allocation_may_fail)
{
	uint64_t at = 1;
	for (; at < 5000; at++) {
		if (run_with_failure(at) || testing::Test::HasFailure())
			break;
	}
	EXPECT_GT(at, 100u);
	EXPECT_LT(at, 5000u);
}
