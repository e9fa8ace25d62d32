/* Peer exchange through whole engines: who is turned away from a full mesh finds the others by the
 * records that they signed and identify brought. */
#include <gtest/gtest.h>

#include "engine/net.h"

using net::Config;
using net::Net;
using net::Node;

namespace
{

/* A hub whose mesh has room for one, that one, and a newcomer who is given `more`. */
class px : public testing::Test
{
      protected:
	Config member(const Config &more = {})
	{
		Config c = {{"topic", "t"}, {"kad.mode", "off"}, {"bootstrap", hub.addr()}};
		c.insert(c.end(), more.begin(), more.end());
		return c;
	}
	Config trusting()
	{
		return {{"score.app", hub.id() + " 100"}};
	}
	/* Comes when the first one has the only place. */
	Node &newcomer(const Config &more)
	{
		n.run(KP_SEC(3));
		Node &c = n.add(member(more));
		EXPECT_TRUE(n.until([&] { return c.connected(hub); }));
		n.run(KP_SEC(3));
		return c;
	}
	Net n;
	Node &hub = n.add({{"topic", "t"},
	                   {"kad.mode", "off"},
	                   {"gossipsub.px", "on"},
	                   {"gossipsub.d", "1"},
	                   {"gossipsub.d_low", "1"},
	                   {"gossipsub.d_high", "1"},
	                   {"gossipsub.d_out", "0"},
	                   {"gossipsub.d_score", "0"}});
	Node &first = n.add(member());
};

} // namespace

TEST_F(px, the_one_that_is_pruned_dials_the_others)
{
	Node &late = newcomer(trusting());
	EXPECT_EQ(hub.stat(KP_STAT_px_sent), 1u);
	EXPECT_EQ(late.stat(KP_STAT_px_dialled), 1u);
	EXPECT_TRUE(late.connected(first));
	/* and is served, though the hub has no place for it and forwards nothing to it */
	late.events.clear();
	first.publish("t", "by the new neighbour");
	n.run(KP_SEC(1));
	ASSERT_EQ(late.of_type(KP_EV_MESSAGE).size(), 1u);
	EXPECT_EQ(late.of_type(KP_EV_MESSAGE)[0].get(KP_F_VIA), first.id());
}

TEST_F(px, a_hub_of_no_standing_is_not_followed)
{
	Node &late = newcomer({});
	EXPECT_EQ(hub.stat(KP_STAT_px_sent), 1u);
	EXPECT_EQ(late.stat(KP_STAT_px_refused), 1u);
	EXPECT_EQ(late.stat(KP_STAT_px_dialled), 0u);
	EXPECT_FALSE(late.connected(first));
}

TEST_F(px, a_record_of_addresses_that_lead_nowhere_does_no_harm)
{
	n.run(KP_SEC(3));
	n.blackhole.insert(first.ip + " 4001");
	Node &late = newcomer(trusting());
	EXPECT_EQ(late.stat(KP_STAT_px_dialled), 1u);
	n.run(KP_SEC(30));
	EXPECT_FALSE(late.connected(first));
	hub.publish("t", "still here");
	n.run(KP_SEC(1));
	EXPECT_EQ(late.of_type(KP_EV_MESSAGE).size(), 1u);
}
