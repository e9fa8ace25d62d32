/* What a delivered message is charged with is what it holds, whatever its size and however it came.
 */
#include <gtest/gtest.h>

#include "harness.h"

namespace
{

/* One RPC of several messages. */
std::string rpc_of(const std::vector<std::string> &raws)
{
	std::string body;
	for (const std::string &raw : raws) {
		std::string framed = rpc_message(raw); /* length, then the RPC */
		size_t prefix = 1;
		while ((framed[prefix - 1] & 0x80) != 0)
			prefix++;
		body += framed.substr(prefix);
	}
	return rpc_frame(body);
}

struct Held {
	uint64_t charged = 0, live = 0, payload = 0;
	size_t n = 0;
};

/* Messages of that size, `together` in one RPC, until only their events are left. */
Held deliver(size_t size, size_t together)
{
	Net net;
	net.subscribe("t");
	Script a = net.peer({"t"});
	net.settle();
	uint64_t before = kp_pool_bytes_live(net.router->pool);
	Held held;
	for (size_t rpc = 0; rpc < 200 / together; rpc++) {
		std::vector<std::string> raws;
		for (size_t i = 0; i < together; i++, held.n++) {
			std::string data(size, 'x');
			for (size_t at = 0; at < size && at < 2; at++)
				data[at] = (char)(held.n >> (8 * at));
			raws.push_back(signed_message(a.h, held.n, "t", data));
		}
		a.send(rpc_of(raws));
		net.settle();
	}
	net.run(KP_SEC(10)); /* the message cache has forgotten them */
	std::vector<kp_event *> events = net.events(KP_EV_MESSAGE);
	EXPECT_EQ(events.size(), held.n);
	for (const kp_event *ev : events) {
		EXPECT_EQ(ev->f[KP_F_PAYLOAD].n, size);
		held.charged += kp_event_bytes(ev);
		held.payload += size;
	}
	held.live = kp_pool_bytes_live(net.router->pool) - before;
	return held;
}

} // namespace

TEST(memory, an_inbox_is_charged_with_what_its_messages_hold)
{
	for (size_t size :
	     {2, 32, 128, 129, 400, 1000, 1024, 3000, 5000, 9000, 17000, 33000, 57000, 65000}) {
		for (size_t together : {1, 4, 10}) {
			SCOPED_TRACE(std::to_string(size) + " x " + std::to_string(together));
			if (size * together > 900000)
				continue;
			Held held = deliver(size, together);
			EXPECT_LE(held.live, held.charged);
			EXPECT_LE(held.charged, held.live + held.live / 4);
			/* and that is the payload, a quarter at most, and 1 KiB beside it */
			EXPECT_LE(held.live, held.payload + held.payload / 4 + held.n * 1024);
		}
	}
}
