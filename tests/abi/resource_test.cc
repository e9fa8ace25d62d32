/* What a node does when the system has nothing left for it. */
#include "abi_kit.h"

namespace
{

/* --- no descriptor left --- */

/* A node that cannot be made or started for want of descriptors says so, and starts later; also the
 * first one of a process, when libuv has none of its own yet. */
TEST(Resources, StartsOnceThereAreDescriptors)
{
	for (int left = 0; left < 12; left++) {
		kit::Child child("descriptors " + std::to_string(left));
		EXPECT_EQ(child.wait(), 0) << left << ": " << child.errors();
	}
}

} // namespace
