/* What a node does when the system has nothing left for it. */
#include "abi_kit.h"

namespace
{

using kit::Event;
using kit::Node;

/* --- no descriptor left --- */

/* Good peers are served meanwhile, a dial says why it failed, and both ways in and out are open
 * again once there are descriptors. */
TEST(Resources, WithoutDescriptorsGoodPeersAreServed)
{
	Node a, b, c, late;
	b.must(KP2P_OP_SUBSCRIBE, "t");
	a.connect(b);
	ASSERT_TRUE(a.wait_subscribers("t", 1));
	std::string to_a = a.address(), to_c = c.address();
	{
		kit::NoDescriptors none;
		Event done = a.ask(KP2P_OP_CONNECT, to_c);
		ASSERT_TRUE(done);
		EXPECT_EQ(done.code(), KP2P_ELIMIT);
		EXPECT_NE(done.bytes(KP2P_F_TEXT).find("no file descriptor is left"),
		          std::string::npos)
		        << done.bytes(KP2P_F_TEXT);
		EXPECT_EQ(a.stat("dials_no_fd"), 1);
		EXPECT_EQ(late.ask(KP2P_OP_CONNECT, to_a).code(), KP2P_ELIMIT);
		for (int i = 0; i < 100; i++)
			ASSERT_EQ(a.publish("t", std::to_string(i), 0, kit::patience_ms), 0);
		EXPECT_TRUE(b.wait_message("99"));
		a.must(KP2P_OP_PING, b.id());
	}
	a.connect(c);
	late.connect(a);
}

/* A node that cannot be made or started for want of descriptors says so, and starts later; also the
 * first one of a process, when libuv has none of its own yet. */
TEST(Resources, StartsOnceThereAreDescriptors)
{
	for (int left = 0; left < 12; left++) {
		kit::Child child("descriptors " + std::to_string(left));
		EXPECT_EQ(child.wait(), 0) << left << ": " << child.errors();
	}
}

/* --- no name server --- */

class NoNames : public testing::TestWithParam<const char *>
{
};

/* A node starts, every dial of a name ends in its time with an error that names it, and nothing
 * holds up the end; in namespaces of its own, whose resolv.conf the child writes. */
TEST_P(NoNames, AreNamedInTime)
{
	kit::Child child(std::string("names ") + GetParam());
	int code = child.wait();
	if (code == kit::child_not_permitted)
		GTEST_SKIP() << "no namespaces here";
	EXPECT_EQ(code, 0) << child.errors();
}

INSTANTIATE_TEST_SUITE_P(Servers, NoNames, testing::Values("silent", "refusing", "unreachable"),
                         [](const auto &mode) { return std::string(mode.param); });

} // namespace
