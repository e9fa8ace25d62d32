/* Sockets of one node: carries out the engine's LISTEN, DIAL, WRITE, … on a libuv loop and feeds
 * what happens back as facts. Loop thread only (start uses it on the caller's thread). */
#ifndef KP_RT_TCP_H
#define KP_RT_TCP_H

#include "base/list.h"
#include "engine/port.h"

#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_rt_conn kp_rt_conn;

typedef struct kp_rt_tcp {
	uv_loop_t *loop;
	kp_engine *e;
	kp_mem *mem;
	kp_rt_conn **conns; /* by slot of the connection's id */
	uint32_t conns_cap;
	kp_list listeners;
	bool accept_paused;
	kp_time accept_again; /* back-off after EMFILE; KP_NEVER = none */
	int reserve_fd;       /* given up to turn a caller away when fds run out; -1 = none */
	uint64_t accepted, accept_errors, stale_actions; /* stats */
	uint32_t open; /* handles not yet closed, listeners included */
} kp_rt_tcp;

void kp_rt_tcp_init(kp_rt_tcp *t, uv_loop_t *loop, kp_engine *e, kp_mem *mem);
void kp_rt_tcp_fini(kp_rt_tcp *t); /* all handles are closed */

/* One of the transport's actions; returns false for another kind. */
bool kp_rt_tcp_do(kp_rt_tcp *t, const kp_act *act);

/* Once a pump: accepts again when a back-off is over. */
void kp_rt_tcp_turn(kp_rt_tcp *t, kp_time now);

/* Closes whatever is left, without telling the engine; run the loop until `open` is 0. */
void kp_rt_tcp_abort(kp_rt_tcp *t);

#ifdef __cplusplus
}
#endif
#endif
