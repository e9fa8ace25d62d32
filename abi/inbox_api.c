/* Inboxes: polling in its four ways, fds and wake-ups. */
#include "abi.h"

#include <assert.h>
#include <string.h>

#define ABI_PACK_MAX 1024u /* events of one packed poll, taken 64 at a time */
#define ABI_TAKE_MAX 64u

static_assert(KP2P_WAKE_SPACE == KP_RT_WAKE_SPACE, "KP2P_WAKE_SPACE");
static_assert(KP2P_WAKE_CLOSED == KP_RT_WAKE_CLOSED, "KP2P_WAKE_CLOSED");

static int inbox_check(const kp2p_node *node, int inbox, kp2p_error **err)
{
	int bad = kp_abi_check_node(node, err);
	if (bad == 0 && (inbox < 0 || inbox >= KP2P_INBOXES))
		bad = kp_abi_fail(err, KP_E_INVAL, "inbox %d: 0 to %d", inbox, KP2P_INBOXES - 1);
	return bad;
}

/* The node's memory stays while this waits, whoever frees the node. */
static int inbox_poll(const kp2p_node *node, int inbox, kp_event **out, size_t max,
                      size_t bytes_max, size_t *needed, int timeout_ms)
{
	kp_rt *rt = node->rt;
	kp_rt_ref(rt);
	int n = kp_rt_poll(rt, (unsigned)inbox, out, max, bytes_max, needed, timeout_ms);
	kp_rt_unref(rt);
	return n;
}

kp2p_event *kp2p_node_poll(kp2p_node *node, int inbox, int timeout_ms)
{
	kp_event *ev = NULL;
	size_t needed;
	int n = inbox_check(node, inbox, NULL);
	if (n == 0)
		n = inbox_poll(node, inbox, &ev, 1, SIZE_MAX, &needed, timeout_ms);
	if (n == 1)
		return (kp2p_event *)(void *)ev;
	return n == 0 || n == KP2P_EINTR ? NULL : kp_abi_closed(n);
}

int kp2p_node_poll_batch(kp2p_node *node, int inbox, kp2p_event **out, size_t max, int timeout_ms)
{
	size_t needed;
	int bad = inbox_check(node, inbox, NULL);
	if (bad != 0)
		return bad;
	if (out == NULL || max == 0)
		return KP2P_EINVAL;
	return inbox_poll(node, inbox, (kp_event **)(void *)out, max, SIZE_MAX, &needed,
	                  timeout_ms);
}

/* --- packed records --- */

static uint8_t *pack_le(uint8_t *at, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		*at++ = (uint8_t)(v >> (8 * i));
	return at;
}

/* Returns the bytes written, a multiple of 8. */
static size_t pack_event(const kp_event *ev, uint8_t *to)
{
	size_t size = kp_rt_record_size(ev);
	uint8_t *at = pack_le(to, size, 4);
	at = pack_le(at, KP2P_PACKED_HEAD, 2);
	at = pack_le(at, ev->type, 2);
	at = pack_le(at, ev->flags, 2);
	at = pack_le(at, ev->inbox, 2);
	at = pack_le(at, (uint32_t)ev->code, 4);
	at = pack_le(at, (uint64_t)ev->token, 8);
	at = pack_le(at, (uint64_t)ev->seq, 8);
	at = pack_le(at, (uint64_t)ev->time_ns, 8);
	at = pack_le(at, (uint64_t)ev->count, 8);
	for (int i = 0; i < KP2P_FIELDS; i++)
		at = pack_le(at, ev->f[i].p != NULL ? ev->f[i].n : KP2P_PACKED_MISSING, 4);
	KP_ASSERT(at == to + KP2P_PACKED_HEAD);
	for (int i = 0; i < KP2P_FIELDS; i++) {
		if (ev->f[i].n > 0)
			memcpy(at, ev->f[i].p, ev->f[i].n);
		at += ev->f[i].n;
	}
	memset(at, 0, size - (size_t)(at - to));
	return size;
}

static size_t pack_all(kp_event **evs, int n, uint8_t *to)
{
	size_t used = 0;
	for (int i = 0; i < n; i++) {
		used += pack_event(evs[i], to + used);
		kp_event_free(evs[i]);
	}
	return used;
}

int kp2p_node_poll_packed(kp2p_node *node, int inbox, void *buf, size_t cap, size_t *used,
                          int timeout_ms)
{
	kp_event *evs[ABI_TAKE_MAX];
	int total = 0;
	int bad = inbox_check(node, inbox, NULL);
	if (bad != 0)
		return bad;
	if (used == NULL || (buf == NULL && cap > 0))
		return KP2P_EINVAL;
	*used = 0;
	cap = KP_MIN(cap, SIZE_MAX - 1);
	while (total < (int)ABI_PACK_MAX) {
		size_t needed = 0;
		int n = inbox_poll(node, inbox, evs, ABI_TAKE_MAX, cap - *used, &needed,
		                   total == 0 ? timeout_ms : 0);
		if (n <= 0 && total > 0)
			break;
		if (n == KP2P_ETOOBIG)
			*used = needed;
		if (n <= 0)
			return n;
		*used += pack_all(evs, n, (uint8_t *)buf + *used);
		total += n;
		if (n < (int)ABI_TAKE_MAX)
			break;
	}
	return total;
}

/* --- waiting elsewhere --- */

int kp2p_node_inbox_fd(kp2p_node *node, int inbox)
{
	int bad = inbox_check(node, inbox, NULL);
	return bad != 0 ? bad : kp_rt_inbox_fd_of(node->rt, (unsigned)inbox);
}

int kp2p_node_set_wakeup(kp2p_node *node, void (*cb)(void *ud, int what), void *ud)
{
	int bad = kp_abi_check_node(node, NULL);
	return bad != 0 ? bad : (int)kp_rt_set_wakeup(node->rt, cb, ud);
}

static int listen_loop(kp_rt *rt, unsigned inbox, int (*cb)(kp2p_event *event, void *ud), void *ud,
                       kp2p_error **err)
{
	for (;;) {
		kp_event *ev;
		size_t needed;
		int n = kp_rt_poll(rt, inbox, &ev, 1, SIZE_MAX, &needed, -1);
		if (n == KP2P_ECLOSED)
			return 0;
		if (n <= 0)
			return kp_abi_fail(err, n < 0 ? (kp_err)n : KP_E_INTERNAL, "listen: %s",
			                   kp_err_text(n));
		int stop = cb((kp2p_event *)(void *)ev, ud);
		kp_event_free(ev);
		if (stop != 0)
			return stop;
	}
}

int kp2p_node_listen(kp2p_node *node, int inbox, int (*cb)(kp2p_event *event, void *ud), void *ud,
                     kp2p_error **err)
{
	int bad = inbox_check(node, inbox, err);
	if (bad != 0)
		return bad;
	if (cb == NULL)
		return kp_abi_fail(err, KP_E_INVAL, "cb is NULL");
	kp_rt *rt = node->rt;
	kp_rt_ref(rt); /* cb may free the node */
	int r = listen_loop(rt, (unsigned)inbox, cb, ud, err);
	kp_rt_unref(rt);
	return r;
}
