/* Requests, verdicts and polling, on the caller's thread. */
#include "rt/node.h"

#include <stdio.h>

#define REQUEST_TEXT_ROOM 1400u /* of a COMPLETE event: TEXT, FROM, ADDR */

static bool request_may_wait_for_start(kp_op op)
{
	return op == KP_OP_SUBSCRIBE || op == KP_OP_UNSUBSCRIBE || op == KP_OP_ADD_PROTOCOL;
}

static kp_err request_explain(const kp_rt *rt, kp_err err, int64_t token, char *text, size_t cap)
{
	switch (err) {
	case KP_OK:
		break;
	case KP_E_AGAIN:
		snprintf(text, cap, "requests.max %u are in flight, or their results unread",
		         rt->s->requests_max);
		break;
	case KP_E_INVAL:
		snprintf(text, cap, "token %lld is in flight already", (long long)token);
		break;
	case KP_E_CLOSED:
		snprintf(text, cap, "the node is closed");
		break;
	default:
		snprintf(text, cap, "%s", kp_err_text(err));
		break;
	}
	return err;
}

/* The COMPLETE event that is kept ready, so that none is ever missing. */
static kp_err request_reserve(kp_rt *rt, int64_t token, kp_event **out)
{
	if (!kp_rt_pin(rt)) /* the end has begun, whether or not the state says so yet */
		return KP_E_CLOSED;
	*out = kp_event_new(rt->pool, KP_EV_COMPLETE, REQUEST_TEXT_ROOM);
	kp_rt_unpin(rt);
	if (*out == NULL)
		return KP_E_NOMEM;
	(*out)->token = token;
	return KP_OK;
}

static kp_err request_check(kp_rt *rt, kp_op op, kp_slice arg, kp_slice data, int64_t token,
                            char *text, size_t cap)
{
	if (token < 0) {
		snprintf(text, cap, "token %lld: tokens are 0 (none) or greater", (long long)token);
		return KP_E_INVAL;
	}
	kp_err err = kp_request_check(op, arg, data, text, cap);
	if (err != KP_OK)
		return err;
	if (kp_rt_is_closed(rt))
		return request_explain(rt, KP_E_CLOSED, token, text, cap);
	if (kp_rt_get_state(rt) == RT_NEW && !request_may_wait_for_start(op)) {
		snprintf(text, cap, "the node has not been started");
		return KP_E_STATE;
	}
	return KP_OK;
}

kp_err kp_rt_request(kp_rt *rt, kp_op op, kp_slice arg, kp_slice data, int timeout_ms,
                     int64_t token, char *text, size_t cap)
{
	kp_err err = request_check(rt, op, arg, data, token, text, cap);
	if (err != KP_OK)
		return err;
	kp_rt_req r;
	memset(&r, 0, sizeof r);
	r.kind = KP_RT_REQUEST;
	r.op = op;
	r.arg = arg;
	r.data = data;
	r.token = token;
	r.deadline = timeout_ms > 0 ? kp_rt_deadline(timeout_ms) : KP_NEVER;
	if (token != 0)
		err = request_reserve(rt, token, &r.done);
	if (err == KP_OK)
		err = kp_rt_cmd_request(&rt->cmd, &r);
	if (err != KP_OK)
		kp_event_free(r.done);
	return request_explain(rt, err, token, text, cap);
}

kp_err kp_rt_cancel(kp_rt *rt, int64_t token)
{
	return kp_rt_is_closed(rt) ? KP_E_CLOSED : kp_rt_cmd_cancel(&rt->cmd, token);
}

kp_err kp_rt_verdict(kp_rt *rt, int64_t token, kp_verdict v)
{
	return kp_rt_is_closed(rt) ? KP_E_CLOSED
	                           : kp_rt_cmd_verdict(&rt->cmd, kp_rt_now(), token, v);
}

/* --- polling --- */

int kp_rt_poll(kp_rt *rt, unsigned inbox, kp_event **out, size_t max, size_t bytes_max,
               size_t *needed, int timeout_ms)
{
	kp_rt_take t;
	memset(&t, 0, sizeof t);
	t.out = out;
	t.max = KP_MIN(max, (size_t)INT32_MAX);
	t.bytes_max = bytes_max;
	(void)kp_rt_is_closed(rt); /* a stop before start closes the inboxes */
	/* the wake-up callback may not wait: nothing would ever be put */
	kp_time deadline = kp_rt_on_loop_thread(rt) ? 0 : kp_rt_deadline(timeout_ms);
	int n = kp_rt_inbox_take(&rt->inbox, inbox, deadline, &t);
	kp_rt_cmd_read(&rt->cmd, t.sent, t.requested);
	*needed = t.needed;
	return n;
}

int kp_rt_inbox_fd_of(kp_rt *rt, unsigned inbox)
{
	return kp_rt_inbox_fd(&rt->inbox, inbox);
}

size_t kp_rt_record_size(const kp_event *ev)
{
	return kp_rt_packed_size(ev);
}
