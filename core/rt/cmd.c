/* Commands of the application: outbox, requests, tokens. */
#include "rt/cmd.h"

/* A sender that waits for room. Whoever makes room queues its message, so nobody overtakes it. */
struct cmd_waiter {
	kp_rt_waiter w;
	kp_pub *pub;
};

void kp_rt_cmd_init(kp_rt_cmd *c, kp_mem *mem, kp_rt_kick *kick, uint32_t *wake_next,
                    const kp_rt_cmd_limits *limits)
{
	memset(c, 0, sizeof *c);
	pthread_mutex_init(&c->lock, NULL);
	c->mem = mem;
	c->kick = kick;
	c->wake_next = wake_next;
	c->limits = *limits;
	c->verdicts_check = 1024;
	kp_list_init(&c->waiters);
	kp_list_init(&c->reqs);
	kp_rt_tokens_init(&c->tokens, mem);
	kp_rt_tokens_init(&c->verdicts, mem);
	kp_rt_ready_init(&c->ready);
	kp_rt_ready_set(&c->ready, true);
}

void kp_rt_cmd_fini(kp_rt_cmd *c)
{
	KP_ASSERT(kp_list_empty(&c->waiters) && kp_list_empty(&c->reqs) && c->head == NULL);
	kp_rt_tokens_fini(&c->tokens);
	kp_rt_tokens_fini(&c->verdicts);
	kp_rt_ready_fini(&c->ready);
	pthread_mutex_destroy(&c->lock);
}

void kp_rt_cmd_start(kp_rt_cmd *c)
{
	pthread_mutex_lock(&c->lock);
	c->started = true;
	pthread_mutex_unlock(&c->lock);
}

/* --- the outbox --- */

static bool outbox_has_room(const kp_rt_cmd *c, int64_t token)
{
	return c->n < c->limits.max_messages && c->bytes < c->limits.max_bytes &&
	       (token == 0 || c->records < c->limits.max_messages);
}

static bool outbox_at_three_quarters(const kp_rt_cmd *c)
{
	uint64_t n_max = c->limits.max_messages;
	return c->n <= n_max * 3 / 4 && c->records <= n_max * 3 / 4 &&
	       c->bytes <= c->limits.max_bytes / 4 * 3;
}

static void outbox_push(kp_rt_cmd *c, kp_pub *p)
{
	p->next = NULL;
	if (c->tail != NULL)
		c->tail->next = p;
	else
		c->head = p;
	c->tail = p;
	c->n++;
	c->bytes += kp_rt_pub_bytes(p);
	c->records += p->token != 0;
	c->accepted++;
}

static void outbox_refuse(kp_rt_cmd *c)
{
	c->refused = true;
	kp_rt_ready_set(&c->ready, false);
}

/* After something has left: once all is at 3/4 the waiters are served in order; when none is left,
 * the fd and WAKE_SPACE invite the others. */
static void outbox_grant(kp_rt_cmd *c)
{
	if (!c->refused || c->closed || !outbox_at_three_quarters(c))
		return;
	while (!kp_list_empty(&c->waiters)) {
		struct cmd_waiter *cw =
		        KP_CONTAINER_OF(kp_rt_waiter_of(c->waiters.next), struct cmd_waiter, w);
		if (!outbox_has_room(c, cw->pub->token))
			return;
		outbox_push(c, cw->pub);
		kp_rt_serve(&cw->w, KP_OK);
		kp_rt_kick_send(c->kick);
	}
	c->refused = false;
	c->space = true;
	kp_rt_ready_set(&c->ready, true);
	kp_rt_kick_send(c->kick);
}

/* With the lock held. KP_OK: the granter has queued p. */
static kp_err outbox_wait(kp_rt_cmd *c, kp_pub *p, kp_time deadline)
{
	if (!c->started)
		return KP_E_STATE;
	if (kp_rt_flag_take(c->wake_next))
		return KP_E_INTR;
	struct cmd_waiter cw;
	cw.pub = p;
	kp_err r = kp_rt_waiter_init(&cw.w);
	if (r != KP_OK)
		return r;
	kp_list_push(&c->waiters, &cw.w.link);
	r = kp_rt_wait(&cw.w, &c->lock, deadline);
	kp_rt_waiter_fini(&cw.w);
	/* the head may have given up while there was room for those behind it */
	if (r != KP_OK)
		outbox_grant(c);
	return r;
}

static kp_err cmd_token_put(kp_rt_cmd *c, int64_t token, kp_rt_token_kind kind)
{
	if (token == 0)
		return KP_OK;
	kp_err r = kp_rt_tokens_put(&c->tokens, token, (uint64_t)kind);
	return r == KP_E_DUPLICATE ? KP_E_INVAL : r;
}

/* With the lock held: queues p, waiting if allowed. */
static kp_err outbox_post(kp_rt_cmd *c, kp_pub *p, kp_rt_token_kind kind, kp_time deadline)
{
	if (c->closed)
		return KP_E_CLOSED;
	kp_err r = cmd_token_put(c, p->token, kind);
	if (r != KP_OK)
		return r;
	if (kp_list_empty(&c->waiters) && outbox_has_room(c, p->token)) {
		outbox_push(c, p);
		return KP_OK;
	}
	outbox_refuse(c);
	r = deadline == 0 ? KP_E_AGAIN : outbox_wait(c, p, deadline);
	if (r != KP_OK) {
		c->refusals++;
		if (p->token != 0)
			kp_rt_tokens_del(&c->tokens, p->token, NULL);
	}
	return r;
}

kp_err kp_rt_cmd_post(kp_rt_cmd *c, kp_pub **chain, kp_rt_token_kind kind, kp_time deadline)
{
	kp_err r = KP_OK;
	bool any = false;
	pthread_mutex_lock(&c->lock);
	while (*chain != NULL) {
		kp_pub *p = *chain;
		kp_pub *rest = p->next; /* queueing changes it */
		r = outbox_post(c, p, kind, deadline);
		if (r != KP_OK)
			break;
		any = true;
		*chain = rest;
	}
	pthread_mutex_unlock(&c->lock);
	if (any)
		kp_rt_kick_send(c->kick);
	return r;
}

kp_err kp_rt_cmd_look(kp_rt_cmd *c, int64_t token)
{
	pthread_mutex_lock(&c->lock);
	kp_err r = KP_OK;
	uint64_t kind;
	if (c->closed)
		r = KP_E_CLOSED;
	else if (kp_rt_tokens_get(&c->tokens, token, &kind))
		r = KP_E_INVAL;
	else if (!kp_list_empty(&c->waiters) || !outbox_has_room(c, token))
		r = KP_E_AGAIN;
	if (r == KP_E_AGAIN) {
		outbox_refuse(c);
		c->refusals++;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

int kp_rt_cmd_fd(kp_rt_cmd *c)
{
	pthread_mutex_lock(&c->lock);
	int fd = kp_rt_ready_fd(&c->ready);
	pthread_mutex_unlock(&c->lock);
	return fd;
}

void kp_rt_cmd_sent(kp_rt_cmd *c, uint32_t n, uint64_t bytes)
{
	pthread_mutex_lock(&c->lock);
	KP_ASSERT(c->n >= n && c->bytes >= bytes);
	c->n -= n;
	c->bytes -= bytes;
	outbox_grant(c);
	pthread_mutex_unlock(&c->lock);
}

void kp_rt_cmd_read(kp_rt_cmd *c, uint32_t sent, uint32_t requested)
{
	if (sent == 0 && requested == 0)
		return;
	pthread_mutex_lock(&c->lock);
	KP_ASSERT(c->records >= sent && c->requests >= requested);
	c->records -= sent;
	c->requests -= requested;
	outbox_grant(c);
	pthread_mutex_unlock(&c->lock);
}

/* --- the smaller commands --- */

static kp_rt_req *req_copy(kp_rt_cmd *c, const kp_rt_req *from)
{
	kp_rt_req *r = (kp_rt_req *)kp_mem_alloc(c->mem, sizeof *r + from->arg.n + from->data.n);
	if (r == NULL)
		return NULL;
	*r = *from;
	kp_list_init(&r->link);
	uint8_t *at = (uint8_t *)(r + 1);
	if (from->arg.n > 0)
		memcpy(at, from->arg.p, from->arg.n);
	r->arg = kp_slice_of(at, from->arg.n);
	at += from->arg.n;
	if (from->data.n > 0)
		memcpy(at, from->data.p, from->data.n);
	r->data = from->data.p != NULL ? kp_slice_of(at, from->data.n) : kp_slice_none();
	return r;
}

void kp_rt_req_free(kp_rt_cmd *c, kp_rt_req *r)
{
	KP_ASSERT(r->kind != KP_RT_INFO);
	kp_event_free(r->done);
	kp_mem_free(c->mem, r);
}

/* With the lock held. */
static kp_err cmd_accept_request(kp_rt_cmd *c, int64_t token)
{
	if (c->closed)
		return KP_E_CLOSED;
	if (c->requests >= c->limits.requests_max)
		return KP_E_AGAIN;
	return cmd_token_put(c, token, KP_RT_TOKEN_REQUEST);
}

kp_err kp_rt_cmd_request(kp_rt_cmd *c, const kp_rt_req *from)
{
	kp_rt_req *r = req_copy(c, from);
	if (r == NULL)
		return KP_E_NOMEM;
	pthread_mutex_lock(&c->lock);
	kp_err err = cmd_accept_request(c, r->token);
	if (err == KP_OK) {
		c->requests++;
		r->after = c->accepted;
		kp_list_push(&c->reqs, &r->link);
	}
	pthread_mutex_unlock(&c->lock);
	if (err == KP_OK) {
		kp_rt_kick_send(c->kick);
	} else {
		r->done = NULL; /* stays the caller's */
		kp_rt_req_free(c, r);
	}
	return err;
}

kp_err kp_rt_cmd_cancel(kp_rt_cmd *c, int64_t token)
{
	kp_rt_req plain;
	memset(&plain, 0, sizeof plain);
	plain.kind = KP_RT_CANCEL;
	plain.token = token;
	kp_rt_req *r = req_copy(c, &plain);
	if (r == NULL)
		return KP_E_NOMEM;
	uint64_t kind;
	pthread_mutex_lock(&c->lock);
	kp_err err = c->ended                                     ? KP_E_CLOSED
	             : kp_rt_tokens_get(&c->tokens, token, &kind) ? KP_OK
	                                                          : KP_E_NOTFOUND;
	if (err == KP_OK)
		kp_list_push(&c->reqs, &r->link);
	pthread_mutex_unlock(&c->lock);
	if (err == KP_OK)
		kp_rt_kick_send(c->kick);
	else
		kp_rt_req_free(c, r);
	return err;
}

kp_err kp_rt_cmd_verdict(kp_rt_cmd *c, kp_time now, int64_t token, kp_verdict v)
{
	kp_rt_req plain;
	memset(&plain, 0, sizeof plain);
	plain.kind = KP_RT_VERDICT;
	plain.token = token;
	plain.verdict = v;
	kp_rt_req *r = req_copy(c, &plain);
	if (r == NULL)
		return KP_E_NOMEM;
	uint64_t expires = 0;
	pthread_mutex_lock(&c->lock);
	kp_err err = KP_OK;
	if (c->ended)
		err = KP_E_CLOSED;
	else if (!kp_rt_tokens_del(&c->verdicts, token, &expires) || expires <= now)
		err = KP_E_NOTFOUND;
	else
		kp_list_push(&c->reqs, &r->link);
	pthread_mutex_unlock(&c->lock);
	if (err == KP_OK)
		kp_rt_kick_send(c->kick);
	else
		kp_rt_req_free(c, r);
	return err;
}

kp_err kp_rt_cmd_ask(kp_rt_cmd *c, kp_slice what, kp_mem *mem, char **answer)
{
	kp_rt_waiter w;
	kp_rt_req r;
	memset(&r, 0, sizeof r);
	kp_list_init(&r.link);
	r.kind = KP_RT_INFO;
	r.arg = what;
	r.mem = mem;
	r.asker = &w;
	kp_err err = kp_rt_waiter_init(&w);
	if (err != KP_OK)
		return err;
	kp_list asked;
	kp_list_init(&asked);
	pthread_mutex_lock(&c->lock);
	err = c->ended ? KP_E_CLOSED : KP_OK;
	if (err == KP_OK) {
		kp_list_push(&c->reqs, &r.link);
		kp_rt_kick_send(c->kick);
		do { /* the loop holds a pointer to r: only its answer ends this */
			kp_list_push(&asked, &w.link);
			err = kp_rt_wait(&w, &c->lock, KP_NEVER);
		} while (!w.done);
		*answer = r.answer;
	}
	pthread_mutex_unlock(&c->lock);
	kp_rt_waiter_fini(&w);
	return err;
}

void kp_rt_cmd_answer(kp_rt_cmd *c, kp_rt_req *info, kp_err result)
{
	KP_ASSERT(info->kind == KP_RT_INFO);
	pthread_mutex_lock(&c->lock);
	kp_rt_serve(info->asker, result); /* in a list whenever the lock is free */
	pthread_mutex_unlock(&c->lock);
}

/* --- what the loop thread does --- */

kp_pub *kp_rt_cmd_take(kp_rt_cmd *c, kp_list *reqs)
{
	pthread_mutex_lock(&c->lock);
	while (!kp_list_empty(&c->reqs))
		kp_list_push(reqs, kp_list_take(&c->reqs));
	kp_pub *chain = c->head;
	c->head = c->tail = NULL;
	pthread_mutex_unlock(&c->lock);
	return chain;
}

void kp_rt_cmd_done_silent(kp_rt_cmd *c, uint32_t n)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&c->lock);
	KP_ASSERT(c->requests >= n);
	c->requests -= n;
	pthread_mutex_unlock(&c->lock);
}

static bool event_is_final(const kp_event *ev)
{
	return ev->token != 0 && (ev->type == KP_EV_PUBLISHED ||
	                          (ev->type == KP_EV_COMPLETE && (ev->flags & KP_EVF_MORE) == 0));
}

static void cmd_note_validate(kp_rt_cmd *c, kp_time now, int64_t token)
{
	if (c->verdicts.n >= c->verdicts_check) {
		kp_rt_tokens_expire(&c->verdicts, now);
		c->verdicts_check = KP_MAX(1024u, c->verdicts.n * 2);
	}
	/* without memory for it the verdict will be "not found", the message expires */
	(void)kp_rt_tokens_put(&c->verdicts, token, kp_time_add(now, c->limits.validate_timeout));
}

void kp_rt_cmd_events(kp_rt_cmd *c, kp_time now, kp_event *const *evs, size_t n)
{
	bool locked = false;
	for (size_t i = 0; i < n; i++) {
		kp_event *ev = evs[i];
		bool final = event_is_final(ev);
		if (!final && ev->type != KP_EV_VALIDATE)
			continue;
		if (!locked)
			pthread_mutex_lock(&c->lock);
		locked = true;
		if (!final) {
			cmd_note_validate(c, now, ev->token);
			continue;
		}
		uint64_t kind = 0;
		bool known = kp_rt_tokens_del(&c->tokens, ev->token, &kind);
		KP_ASSERT(known); /* exactly one final event per token */
		ev->flags |= (uint16_t)(kind == KP_RT_TOKEN_REQUEST ? KP_RT_EVF_REQUESTED
		                                                    : KP_RT_EVF_SENT);
	}
	if (locked)
		pthread_mutex_unlock(&c->lock);
}

void kp_rt_cmd_forget_verdict(kp_rt_cmd *c, int64_t token)
{
	pthread_mutex_lock(&c->lock);
	kp_rt_tokens_del(&c->verdicts, token, NULL);
	pthread_mutex_unlock(&c->lock);
}

bool kp_rt_cmd_token_kind(kp_rt_cmd *c, int64_t token, kp_rt_token_kind *kind)
{
	uint64_t value = 0;
	pthread_mutex_lock(&c->lock);
	bool known = kp_rt_tokens_get(&c->tokens, token, &value);
	pthread_mutex_unlock(&c->lock);
	*kind = (kp_rt_token_kind)value;
	return known;
}

bool kp_rt_cmd_take_space(kp_rt_cmd *c)
{
	pthread_mutex_lock(&c->lock);
	bool space = c->space;
	c->space = false;
	pthread_mutex_unlock(&c->lock);
	return space;
}

bool kp_rt_cmd_interrupt(kp_rt_cmd *c)
{
	pthread_mutex_lock(&c->lock);
	bool any = !kp_list_empty(&c->waiters);
	kp_rt_serve_all(&c->waiters, KP_E_INTR);
	pthread_mutex_unlock(&c->lock);
	return any;
}

void kp_rt_cmd_shut(kp_rt_cmd *c)
{
	pthread_mutex_lock(&c->lock);
	c->closed = true;
	c->space = false;
	kp_rt_serve_all(&c->waiters, KP_E_CLOSED);
	kp_rt_ready_set(&c->ready, true);
	pthread_mutex_unlock(&c->lock);
}

void kp_rt_cmd_end(kp_rt_cmd *c)
{
	kp_list left;
	kp_list_init(&left);
	pthread_mutex_lock(&c->lock);
	KP_ASSERT(c->closed && c->head == NULL);
	c->ended = true;
	while (!kp_list_empty(&c->reqs))
		kp_list_push(&left, kp_list_take(&c->reqs));
	pthread_mutex_unlock(&c->lock);
	while (!kp_list_empty(&left)) {
		kp_rt_req *r = KP_CONTAINER_OF(kp_list_take(&left), kp_rt_req, link);
		KP_ASSERT(r->kind !=
		          KP_RT_REQUEST); /* none since `closed`; the loop took the others */
		if (r->kind == KP_RT_INFO)
			kp_rt_cmd_answer(c, r, KP_E_CLOSED);
		else
			kp_rt_req_free(c, r);
	}
}
