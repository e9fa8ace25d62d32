/* Requests: what the application asked for and waits to hear of, one completion each, whatever
 * happens first: success, failure, cancel, deadline, close. What the operations do is in req_ops.c.
 */
#include "engine/engine.h"

void kp_req_answer(kp_engine *e, kp_event *ev, kp_err err, const char *text)
{
	if (ev == NULL)
		return;
	ev->code = err;
	if (err != KP_OK)
		kp_event_copy(ev, KP_F_TEXT, kp_slice_str(text ? text : kp_err_text(err)));
	kp_engine_event(e, ev);
}

void kp_req_fields(kp_req *r, const kp_peer_id *peer, const kp_maddr *addr)
{
	char text[KP_MADDR_TEXT_MAX];
	if (r->done == NULL)
		return;
	if (peer != NULL)
		kp_event_copy(r->done, KP_F_FROM, kp_slice_of(text, kp_peer_id_text(peer, text)));
	if (addr != NULL)
		kp_event_copy(r->done, KP_F_ADDR,
		              kp_slice_of(text, kp_maddr_text(addr, text, sizeof text)));
}

static void req_on_deadline(kp_timer *t, kp_time now)
{
	kp_req *r = KP_CONTAINER_OF(t, kp_req, deadline);
	char text[KP_DIAL_TEXT + 32] = "timed out";
	if (kp_list_linked(&r->of_dial))
		kp_dial_late_text(r->dial, text, sizeof text);
	kp_req_finish(r, now, KP_E_TIMEDOUT, text);
}

static void req_unmap(kp_req *r)
{
	if (r->by_token.key != NULL)
		kp_map_del(&r->e->tokens, &r->by_token);
	if (r->by_serial.key != NULL)
		kp_map_del(&r->e->serials, &r->by_serial);
	r->by_token.key = r->by_serial.key = NULL;
}

static bool req_map(kp_req *r)
{
	kp_engine *e = r->e;
	if (kp_map_put(&e->serials, &r->by_serial, &r->serial, sizeof r->serial) != KP_OK) {
		r->by_serial.key = NULL;
		return false;
	}
	if (r->token == 0)
		return true;
	if (kp_map_put(&e->tokens, &r->by_token, &r->token, sizeof r->token) == KP_OK)
		return true;
	r->by_token.key = NULL;
	req_unmap(r);
	return false;
}

kp_err kp_req_new(kp_engine *e, kp_time now, const kp_request *from, kp_req_step step, kp_req **out)
{
	(void)now;
	*out = NULL;
	if (from->token != 0 && kp_map_get(&e->tokens, &from->token, sizeof from->token) != NULL) {
		kp_req_answer(e, from->done, KP_E_INVAL, "this token is in flight");
		return KP_E_INVAL;
	}
	kp_req *r = (kp_req *)kp_mem_alloc(e->env.mem, sizeof *r);
	if (r == NULL)
		goto no_memory;
	r->e = e;
	r->token = from->token;
	r->serial = e->next_serial++;
	r->op = from->op;
	r->step = step;
	kp_list_init(&r->node);
	kp_list_init(&r->of_dial);
	kp_timer_init(&r->deadline, req_on_deadline);
	if (kp_timers_reserve(&e->timers, 1) != KP_OK)
		goto no_timer;
	if (!req_map(r))
		goto no_map;
	r->done = from->done;
	kp_list_push(&e->reqs, &r->node);
	kp_timer_set(&e->timers, &r->deadline, from->deadline);
	*out = r;
	return KP_OK;
no_map:
	kp_timers_release(&e->timers, 1);
no_timer:
	kp_mem_free(e->env.mem, r);
no_memory:
	kp_stat_add(&e->stats, KP_STAT_memory_refused, 1);
	kp_req_answer(e, from->done, KP_E_NOMEM, NULL);
	return KP_E_NOMEM;
}

void kp_req_finish(kp_req *r, kp_time now, kp_err err, const char *text)
{
	kp_engine *e = r->e;
	kp_req_step step = r->step;
	if (step == REQ_OVER)
		return;
	r->step = REQ_OVER;
	kp_timer_unset(&e->timers, &r->deadline);
	kp_list_del(&r->of_dial);
	req_unmap(r);
	kp_list_del(&r->node);
	kp_list_push(&e->dead_reqs, &r->node);
	kp_req_answer(e, r->done, err, text);
	r->done = NULL;
	if (!r->under_way)
		return;
	if (step == REQ_PING)
		kp_ping_cancel(e->ping, now, r->under);
	else if (step == REQ_LOOKUP)
		kp_kad_cancel(e->kad, now, r->under);
}

void kp_req_dial_done(kp_req *r, kp_time now, kp_err err, const char *text, const kp_link *l)
{
	KP_ASSERT(r->step == REQ_DIAL && !kp_list_linked(&r->of_dial));
	if (err == KP_OK) {
		kp_maddr remote;
		kp_addr_to_maddr(&l->remote, &remote);
		kp_req_fields(r, kp_conn_peer(l->conn), &remote);
	}
	kp_req_finish(r, now, err, text);
}

void kp_req_finish_all(kp_engine *e, kp_time now, bool sends_too)
{
	KP_LIST_EACH(it, tmp, &e->reqs)
	{
		kp_req *r = KP_CONTAINER_OF(it, kp_req, node);
		if (sends_too || r->step != REQ_SEND)
			kp_req_finish(r, now, KP_E_CLOSED, "the node is closing");
	}
}

static void req_free(kp_req *r)
{
	kp_engine *e = r->e;
	KP_ASSERT(r->step == REQ_OVER && r->done == NULL);
	kp_list_del(&r->node);
	kp_timers_release(&e->timers, 1);
	kp_mem_free(e->env.mem, r);
}

void kp_req_reap(kp_engine *e)
{
	KP_LIST_EACH(it, tmp, &e->dead_reqs)
	{
		kp_req *r = KP_CONTAINER_OF(it, kp_req, node);
		if (!r->under_way)
			req_free(r);
	}
}

/* The services are gone: nobody calls back any more. */
void kp_req_free_all(kp_engine *e)
{
	KP_ASSERT(kp_list_empty(&e->reqs));
	while (!kp_list_empty(&e->dead_reqs))
		req_free(KP_CONTAINER_OF(e->dead_reqs.next, kp_req, node));
}

kp_err kp_engine_cancel(kp_engine *e, kp_time now, int64_t token)
{
	kp_engine_enter(e, now);
	kp_map_node *node = kp_map_get(&e->tokens, &token, sizeof token);
	if (node == NULL)
		return token != 0 ? kp_gs_cancel(e->gs, now, token) : KP_E_NOTFOUND;
	kp_req_finish(KP_CONTAINER_OF(node, kp_req, by_token), now, KP_E_CANCELED, "canceled");
	return KP_OK;
}

/* --- direct messages
 * --------------------------------------------------------------------------------- */

void kp_req_app_done(void *ctx, kp_time now, int64_t serial, kp_err err)
{
	kp_engine *e = (kp_engine *)ctx;
	kp_map_node *node = kp_map_get(&e->serials, &serial, sizeof serial);
	if (node != NULL)
		kp_req_finish(KP_CONTAINER_OF(node, kp_req, by_serial), now, err, NULL);
}

/* p->topic: peer id text, 0x00, protocol id. */
static bool req_split_target(const kp_pub *p, kp_peer_id *peer, kp_slice *protocol)
{
	kp_slice all = p->topic;
	const uint8_t *zero = all.n > 0 ? (const uint8_t *)memchr(all.p, 0, all.n) : NULL;
	if (zero == NULL)
		return false;
	memset(peer, 0, sizeof *peer);
	kp_slice name = kp_slice_take(&all, (size_t)(zero - all.p));
	kp_slice_take(&all, 1);
	*protocol = all;
	return all.n > 0 && all.p[0] == '/' && kp_peer_id_parse_text(name, peer) == KP_OK;
}

bool kp_engine_send_ready(kp_engine *e, kp_time now, const kp_pub *p)
{
	kp_peer_id peer;
	kp_slice protocol;
	kp_engine_enter(e, now);
	return !kp_engine_is_up(e) || !req_split_target(p, &peer, &protocol) ||
	       kp_app_may_send(e->app, now, &peer, protocol, p->data_n);
}

void kp_engine_hold_direct(kp_engine *e, kp_time now, uint16_t inbox, bool hold)
{
	kp_engine_enter(e, now);
	kp_app_hold(e->app, now, inbox, hold);
}

void kp_engine_send(kp_engine *e, kp_time now, kp_pub *p)
{
	kp_engine_enter(e, now);
	kp_request from = {(kp_op)0, {NULL, 0}, {NULL, 0}, p->token, KP_NEVER, p->done};
	kp_peer_id peer;
	kp_slice protocol;
	kp_req *r = NULL;
	p->done = NULL;
	if (!kp_engine_is_up(e)) {
		kp_req_answer(e, from.done, KP_E_CLOSED, "the node is closing");
	} else if (!req_split_target(p, &peer, &protocol)) {
		kp_req_answer(e, from.done, KP_E_INVAL, "send: not a peer id and a protocol id");
	} else if (from.done == NULL || kp_req_new(e, now, &from, REQ_SEND, &r) == KP_OK) {
		kp_ref data = kp_ref_none();
		if (p->data_n > 0)
			data = kp_ref_take(kp_block_ref(p->block), p->data_off, p->data_n);
		int64_t serial = r != NULL ? r->serial : 0;
		kp_err err = kp_app_send(e->app, now, &peer, protocol, data, serial);
		if (r != NULL && err != KP_OK)
			kp_req_finish(r, now, err,
			              err == KP_E_NOTFOUND ? "not connected to this peer" : NULL);
	}
	kp_pub_free(p);
}
