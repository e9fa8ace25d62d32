/* Events for the tests of core/rt, without an engine. */
#ifndef KP_TEST_RT_EVENTS_H
#define KP_TEST_RT_EVENTS_H

#include <string>

#include "svc/event.h"

namespace rt_test
{

/* A pool that is gone at the end of the scope, with nothing left in it. */
struct Pool {
	kp_pool *p = kp_pool_new(0);
	Pool() = default;
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;
	~Pool()
	{
		kp_pool_close(p);
	}
};

inline kp_event *event(Pool &pool, kp_event_type type, int64_t token = 0, unsigned inbox = 0,
                       size_t payload = 0)
{
	kp_event *ev = kp_event_new(pool.p, type, 0);
	ev->token = token;
	ev->inbox = static_cast<uint16_t>(inbox);
	if (payload > 0) {
		std::string bytes(payload, 'x');
		kp_ref ref = kp_ref_copy(pool.p, kp_slice_of(bytes.data(), bytes.size()));
		kp_event_hold(ev, KP_F_PAYLOAD, ref, kp_ref_slice(ref));
	}
	return ev;
}

} // namespace rt_test

#endif
