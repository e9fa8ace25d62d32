/* One node as the ABI sees it: the engine with its thread, sockets, queues and workers. Every
 * function may be called by any thread. NULL and forks are the ABI's to check. Where a function
 * takes (text, cap) it explains there, on failure, what was wrong; cap ≥ KP_RT_TEXT. */
#ifndef KP_RT_RT_H
#define KP_RT_RT_H

#include "engine/port.h"
#include "rt/slot.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_RT_TEXT 512u

typedef struct kp_rt kp_rt;

/* --- life --- */

/* A node with one reference, and the user's handle not yet left. KP_E_INVAL, KP_E_NOMEM,
 * KP_E_LIMIT. */
kp_err kp_rt_new(const kp_config *cfg, kp_rt **out, char *text, size_t cap);
void kp_rt_ref(kp_rt *rt);
void kp_rt_unref(kp_rt *rt); /* the last one frees the memory */

/* Listens, then starts the threads. On failure (but KP_E_STATE, KP_E_CLOSED) it may be tried again.
 */
kp_err kp_rt_start(kp_rt *rt, char *text, size_t cap);

/* See kp2p_node_close. drain_ms < 0: no limit. */
kp_err kp_rt_close(kp_rt *rt, int drain_ms, int timeout_ms);

/* The user's handle is given up, with its reference: stops a node that is not closed. Never blocks.
 */
void kp_rt_leave(kp_rt *rt);

int64_t kp_rt_stop_id(const kp_rt *rt);
bool kp_rt_is_closed(kp_rt *rt); /* also settles a stop before start */

/* Blocked calls return KP_E_INTR. Async-signal-safe. */
void kp_rt_wake(kp_rt *rt);

/* --- sending --- */

typedef struct kp_rt_batch {
	kp_slice topic;
	const uint8_t *data;  /* the messages, one after the other */
	const uint32_t *lens; /* NULL: one message of `len` bytes */
	size_t len, n;
	int64_t token;
	int timeout_ms;
} kp_rt_batch;

/* *accepted = how many were taken, from the first; the result says why the next was not. */
kp_err kp_rt_publish(kp_rt *rt, const kp_rt_batch *b, size_t *accepted, char *text, size_t cap);
kp_err kp_rt_send(kp_rt *rt, kp_slice peer, kp_slice protocol, kp_slice data, int64_t token,
                  int timeout_ms, char *text, size_t cap);
int kp_rt_sender_fd(kp_rt *rt);

/* --- receiving --- */

/* Events into out, as many as max and, if packed, as fit into bytes_max as packed records. > 0 how
 * many, 0 none in time; KP_E_CLOSED, KP_E_INTR, KP_E_STATE, KP_E_NOMEM; KP_E_TOOBIG: *needed. */
int kp_rt_poll(kp_rt *rt, unsigned inbox, kp_event **out, size_t max, size_t bytes_max,
               size_t *needed, int timeout_ms);
int kp_rt_inbox_fd_of(kp_rt *rt, unsigned inbox);
size_t kp_rt_record_size(const kp_event *ev); /* packed */

typedef void (*kp_rt_wakeup_fn)(void *ud, int what);
#define KP_RT_WAKE_SPACE  (-1)
#define KP_RT_WAKE_CLOSED (-2)
kp_err kp_rt_set_wakeup(kp_rt *rt, kp_rt_wakeup_fn cb, void *ud);

/* --- requests --- */

kp_err kp_rt_request(kp_rt *rt, kp_op op, kp_slice arg, kp_slice data, int timeout_ms,
                     int64_t token, char *text, size_t cap);
kp_err kp_rt_cancel(kp_rt *rt, int64_t token);
kp_err kp_rt_verdict(kp_rt *rt, int64_t token, kp_verdict v);

/* *out is NUL-terminated text from mem. KP_E_INVAL unknown `what`, KP_E_NOMEM. */
kp_err kp_rt_info(kp_rt *rt, kp_slice what, kp_mem *mem, char **out);

/* --- the process --- */

/* "0.1.0 libuv/… openssl/… cares/… sodium/… features=…": static once made. */
const char *kp_rt_version(void);

#ifdef __cplusplus
}
#endif
#endif
