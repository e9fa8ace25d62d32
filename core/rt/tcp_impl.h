/* Shared by tcp.c and listen.c only. */
#ifndef KP_RT_TCP_IMPL_H
#define KP_RT_TCP_IMPL_H

#include "rt/tcp.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kp_rt_conn {
	uv_tcp_t h;
	union { /* nothing is written before it is connected */
		uv_connect_t connect;
		uv_write_t write; /* at most one is in flight */
	};
	kp_rt_tcp *t;
	kp_id id; /* none: the engine does not know it, or not any more */
	bool connecting;
	bool writing;      /* `write` is in flight */
	bool shutdown_due; /* once it is written */
	bool eof;
	bool closing;
	bool answer_close; /* the engine asked for it */
};

kp_rt_conn *kp_rt_conn_new(kp_rt_tcp *t); /* NULL = out of memory or fds */
kp_err kp_rt_conn_enter(kp_rt_conn *c, kp_id id);
void kp_rt_conn_options(kp_rt_conn *c);
kp_addr kp_rt_conn_local(const kp_rt_conn *c);
void kp_rt_conn_read(kp_rt_conn *c);
void kp_rt_conn_close(kp_rt_conn *c, bool answer);

void kp_rt_listen(kp_rt_tcp *t, kp_id id, const kp_addr *at);
void kp_rt_unlisten(kp_rt_tcp *t, kp_id id);
void kp_rt_unlisten_all(kp_rt_tcp *t);
void kp_rt_accept_pause(kp_rt_tcp *t, bool pause);

#ifdef __cplusplus
}
#endif
#endif
