/* Numbered inboxes. Each is one list of events in the order of arrival. To find the oldest
 * droppable event without a search, `prefix` remembers the last of the undroppable ones at the
 * head: it only ever moves towards the tail, so evicting costs O(1) on average. */
#include "rt/inbox.h"

#include "rt/cmd.h"

struct kp_rt_inbox {
	kp_event *head, *tail;
	kp_event *prefix; /* head … prefix are undroppable; what follows it is droppable or nothing;
	                     NULL: the head is droppable or there is none */
	uint32_t n;       /* droppable events */
	uint32_t n_all;
	uint64_t bytes;       /* of droppable events */
	uint64_t dropped;     /* not yet told */
	kp_event *told_after; /* DROPPED comes once this event has been read; NULL: first of all */
	kp_event *spare;      /* a DROPPED event, made while there was memory */
	kp_list waiters;
	kp_rt_ready ready;
	uint16_t number;
};

static bool bits_has(const uint64_t *bits, unsigned i)
{
	return (bits[i / 64] >> (i % 64) & 1) != 0;
}

static void bits_set(uint64_t *bits, unsigned i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static void inbox_free(kp_rt_inboxes *in, kp_rt_inbox *ib)
{
	KP_ASSERT(kp_list_empty(&ib->waiters));
	while (ib->head != NULL) {
		kp_event *ev = ib->head;
		ib->head = ev->next;
		kp_event_free(ev);
	}
	kp_event_free(ib->spare);
	kp_rt_ready_fini(&ib->ready);
	kp_mem_free(in->mem, ib);
}

void kp_rt_inboxes_fini(kp_rt_inboxes *in)
{
	for (unsigned i = 0; i < KP_RT_INBOXES; i++) {
		if (in->box[i] != NULL)
			inbox_free(in, in->box[i]);
	}
	pthread_mutex_destroy(&in->lock);
}

void kp_rt_inboxes_start(kp_rt_inboxes *in)
{
	pthread_mutex_lock(&in->lock);
	in->started = true;
	pthread_mutex_unlock(&in->lock);
}

/* NULL = out of memory. */
static kp_rt_inbox *inbox_of(kp_rt_inboxes *in, unsigned box)
{
	KP_ASSERT(box < KP_RT_INBOXES);
	if (in->box[box] != NULL)
		return in->box[box];
	kp_rt_inbox *ib = (kp_rt_inbox *)kp_mem_alloc(in->mem, sizeof *ib);
	if (ib == NULL)
		return NULL;
	kp_list_init(&ib->waiters);
	kp_rt_ready_init(&ib->ready);
	kp_rt_ready_set(&ib->ready, in->closed);
	ib->number = (uint16_t)box;
	in->box[box] = ib;
	return ib;
}

kp_err kp_rt_inboxes_init(kp_rt_inboxes *in, kp_mem *mem, kp_pool *pool, uint32_t *wake_next,
                          const kp_rt_inbox_limits *limits)
{
	memset(in, 0, sizeof *in);
	pthread_mutex_init(&in->lock, NULL);
	in->mem = mem;
	in->pool = pool;
	in->wake_next = wake_next;
	in->limits = *limits;
	return inbox_of(in, 0) != NULL ? KP_OK : KP_E_NOMEM;
}

static bool event_is_kept(const kp_event *ev)
{
	return ev->type == KP_EV_COMPLETE || (ev->type == KP_EV_PUBLISHED && ev->token != 0);
}

/* What inbox.policy=block holds back at its source instead of dropping it. */
static bool event_is_direct(const kp_event *ev)
{
	return ev->type == KP_EV_MESSAGE && ev->f[KP_F_PROTOCOL].p != NULL;
}

static bool inbox_owes_drop(const kp_rt_inbox *ib)
{
	return ib->dropped > 0 && ib->told_after == NULL;
}

static bool inbox_has_any(const kp_rt_inbox *ib)
{
	return ib->head != NULL || inbox_owes_drop(ib);
}

/* --- the list --- */

/* Moves `prefix` over the undroppable events that now follow it. */
static void inbox_advance_prefix(kp_rt_inbox *ib)
{
	kp_event *next = ib->prefix != NULL ? ib->prefix->next : ib->head;
	while (next != NULL && event_is_kept(next)) {
		ib->prefix = next;
		next = next->next;
	}
}

static void inbox_append(kp_rt_inboxes *in, kp_rt_inbox *ib, kp_event *ev)
{
	bool prefix_at_tail = ib->prefix == ib->tail; /* also when empty */
	ev->next = NULL;
	if (ib->tail != NULL)
		ib->tail->next = ev;
	else
		ib->head = ev;
	ib->tail = ev;
	ib->n_all++;
	if (!event_is_kept(ev)) {
		size_t bytes = kp_event_bytes(ev);
		ib->n++;
		ib->bytes += bytes;
		in->total_bytes += bytes;
	} else if (prefix_at_tail) {
		ib->prefix = ev;
	}
}

/* An event has left the list: undo its charge. */
static void inbox_uncharge(kp_rt_inboxes *in, kp_rt_inbox *ib, const kp_event *ev)
{
	ib->n_all--;
	if (event_is_kept(ev))
		return;
	size_t bytes = kp_event_bytes(ev);
	KP_ASSERT(ib->n > 0 && ib->bytes >= bytes && in->total_bytes >= bytes);
	ib->n--;
	ib->bytes -= bytes;
	in->total_bytes -= bytes;
}

static kp_event *inbox_pop(kp_rt_inboxes *in, kp_rt_inbox *ib)
{
	kp_event *ev = ib->head;
	ib->head = ev->next;
	if (ib->head == NULL)
		ib->tail = NULL;
	if (ib->told_after == ev)
		ib->told_after = NULL;
	if (ib->prefix == ev)
		ib->prefix = NULL; /* the next one is droppable, or there is none */
	else if (ib->prefix == NULL)
		inbox_advance_prefix(ib);
	inbox_uncharge(in, ib, ev);
	ev->next = NULL;
	return ev;
}

/* The oldest droppable event, unlinked; NULL = there is none. */
static kp_event *inbox_evict(kp_rt_inboxes *in, kp_rt_inbox *ib)
{
	kp_event *ev = ib->prefix != NULL ? ib->prefix->next : ib->head;
	if (ev == NULL)
		return NULL;
	KP_ASSERT(!event_is_kept(ev));
	if (ib->prefix != NULL)
		ib->prefix->next = ev->next;
	else
		ib->head = ev->next;
	if (ib->tail == ev)
		ib->tail = ib->prefix;
	if (ib->told_after == ev)
		ib->told_after = NULL;
	inbox_advance_prefix(ib);
	inbox_uncharge(in, ib, ev);
	return ev;
}

/* --- putting --- */

static bool inbox_fits(const kp_rt_inboxes *in, const kp_rt_inbox *ib, size_t bytes)
{
	return ib->n < in->limits.max_messages && ib->bytes + bytes <= in->limits.max_bytes &&
	       in->total_bytes + bytes <= in->limits.total_bytes;
}

static void inbox_count_drops(kp_rt_inboxes *in, kp_rt_inbox *ib, uint64_t n)
{
	ib->dropped += n;
	in->dropped += n;
	if (ib->spare == NULL)
		ib->spare = kp_event_new(in->pool, KP_EV_DROPPED, 0);
}

/* ev has been dropped: counted here, freed by the caller of kp_rt_inbox_put. */
static void inbox_drop(kp_rt_inboxes *in, kp_rt_inbox *ib, kp_event *ev, kp_event **dropped)
{
	inbox_count_drops(in, ib, 1);
	ev->next = *dropped;
	*dropped = ev;
}

/* The next drop is told behind what waits now; drops not yet told stay where they are. */
static void inbox_tell_after(kp_rt_inbox *ib)
{
	if (ib->dropped == 0)
		ib->told_after = ib->tail;
}

/* Makes room by the policy. False: the new event is the one to be dropped. */
static bool inbox_make_room(kp_rt_inboxes *in, kp_rt_inbox *ib, const kp_event *ev,
                            kp_event **dropped)
{
	size_t bytes = kp_event_bytes(ev);
	if (inbox_fits(in, ib, bytes))
		return true;
	if (in->limits.policy != KP_INBOX_DROP_OLD) {
		inbox_tell_after(ib);
		return false;
	}
	while (!inbox_fits(in, ib, bytes)) {
		kp_event *old = inbox_evict(in, ib);
		if (old == NULL)
			return false;
		inbox_drop(in, ib, old, dropped);
	}
	return true;
}

static void inbox_changed(kp_rt_inboxes *in, kp_rt_inbox *ib)
{
	bool any = inbox_has_any(ib);
	if (any && !ib->ready.up) {
		bits_set(in->filled, ib->number);
		in->any_filled = true;
	}
	kp_rt_ready_set(&ib->ready, any || in->closed);
}

static void inbox_wake_waiters(kp_rt_inbox *ib)
{
	size_t n = ib->n_all + (inbox_owes_drop(ib) ? 1 : 0);
	while (n-- > 0 && !kp_list_empty(&ib->waiters))
		kp_rt_serve(kp_rt_waiter_of(ib->waiters.next), KP_OK);
}

static void inbox_put_one(kp_rt_inboxes *in, kp_event *ev, kp_event **dropped)
{
	unsigned wanted = ev->inbox;
	kp_rt_inbox *ib = inbox_of(in, wanted);
	if (ib == NULL) { /* no memory for a new inbox: 0 exists since init */
		ev->inbox = 0;
		ib = in->box[0];
	}
	bool block = in->limits.policy == KP_INBOX_BLOCK && event_is_direct(ev);
	if (ev->type == KP_EV_DROPPED) { /* the engine itself had to drop so many */
		inbox_tell_after(ib);
		in->offered += (uint64_t)ev->count;
		inbox_count_drops(in, ib, (uint64_t)ev->count);
		ev->next = *dropped;
		*dropped = ev;
	} else if (!block && !event_is_kept(ev) && !inbox_make_room(in, ib, ev, dropped)) {
		in->offered++;
		inbox_drop(in, ib, ev, dropped);
	} else {
		in->offered++;
		inbox_append(in, ib, ev);
	}
	if (block)
		bits_set(in->direct, wanted); /* its streams wait to be told, wherever this went */
	inbox_changed(in, ib);
	inbox_wake_waiters(ib);
}

kp_event *kp_rt_inbox_put(kp_rt_inboxes *in, kp_event *const *evs, size_t n)
{
	kp_event *dropped = NULL;
	pthread_mutex_lock(&in->lock);
	KP_ASSERT(!in->closed);
	for (size_t i = 0; i < n; i++)
		inbox_put_one(in, evs[i], &dropped);
	pthread_mutex_unlock(&in->lock);
	return dropped;
}

/* --- holding direct messages back --- */

/* At one of its bounds; or, when it is held already, not yet down to 3/4 of all of them. */
static bool inbox_must_hold(const kp_rt_inboxes *in, const kp_rt_inbox *ib)
{
	const kp_rt_inbox_limits *l = &in->limits;
	if (!bits_has(in->held, ib->number))
		return ib->n >= l->max_messages || ib->bytes >= l->max_bytes ||
		       in->total_bytes >= l->total_bytes;
	return ib->n > l->max_messages / 4 * 3 || ib->bytes > l->max_bytes / 4 * 3 ||
	       in->total_bytes > l->total_bytes / 4 * 3;
}

/* After events were taken: wakes the loop when a held inbox may go on. */
static void inbox_ease(kp_rt_inboxes *in)
{
	for (unsigned i = 0; in->n_held > 0 && !in->eased && !in->closed && i < KP_RT_INBOXES;
	     i++) {
		if (!bits_has(in->held, i) || inbox_must_hold(in, in->box[i]))
			continue;
		in->eased = true;
		kp_rt_kick_send(in->kick);
	}
}

void kp_rt_inbox_hold(kp_rt_inboxes *in, void (*fn)(void *ctx, unsigned box, bool hold), void *ctx)
{
	uint64_t told[KP_RT_INBOXES / 64], held[KP_RT_INBOXES / 64];
	if (in->limits.policy != KP_INBOX_BLOCK)
		return;
	pthread_mutex_lock(&in->lock);
	uint64_t any = 0;
	for (unsigned i = 0; i < KP_RT_INBOXES / 64; i++)
		any |= told[i] = in->direct[i] | in->held[i];
	for (unsigned i = 0; any != 0 && i < KP_RT_INBOXES; i++) {
		if (!bits_has(told, i))
			continue;
		bool was = bits_has(in->held, i);
		bool hold = in->box[i] != NULL && inbox_must_hold(in, in->box[i]);
		if (was != hold) {
			in->held[i / 64] ^= UINT64_C(1) << (i % 64);
			in->n_held += hold ? 1u : UINT32_MAX;
		}
	}
	memcpy(held, in->held, sizeof held);
	memset(in->direct, 0, sizeof in->direct);
	in->eased = false;
	pthread_mutex_unlock(&in->lock);
	for (unsigned i = 0; any != 0 && i < KP_RT_INBOXES; i++)
		if (bits_has(told, i))
			fn(ctx, i, bits_has(held, i));
}

/* --- taking --- */

size_t kp_rt_packed_size(const kp_event *ev)
{
	size_t n = KP_RT_PACKED_HEAD;
	for (size_t i = 0; i < KP_F_COUNT_OF_BYTES; i++)
		n += ev->f[i].n;
	return (n + 7) & ~(size_t)7;
}

/* The DROPPED event that is due; NULL = no memory for it now. */
static kp_event *inbox_tell_drop(kp_rt_inboxes *in, kp_rt_inbox *ib)
{
	kp_event *ev = ib->spare;
	ib->spare = NULL;
	if (ev == NULL && !in->closed)
		ev = kp_event_new(in->pool, KP_EV_DROPPED, 0);
	if (ev == NULL)
		return NULL;
	ev->inbox = ib->number;
	ev->count = (int64_t)ib->dropped;
	ev->time_ns = kp_rt_wall();
	ib->dropped = 0;
	return ev;
}

/* The next event if it fits into what is left of *bytes; NULL = none, or it does not. */
static kp_event *inbox_next(kp_rt_inboxes *in, kp_rt_inbox *ib, kp_rt_take *t, size_t *bytes)
{
	bool told = inbox_owes_drop(ib);
	if (!told && ib->head == NULL)
		return NULL;
	if (t->bytes_max != SIZE_MAX) {
		size_t size = told ? KP_RT_PACKED_HEAD : kp_rt_packed_size(ib->head);
		t->needed = size;
		if (size > *bytes)
			return NULL;
		*bytes -= size;
	}
	kp_event *ev = told ? inbox_tell_drop(in, ib) : NULL;
	if (ev == NULL && ib->head != NULL)
		ev = inbox_pop(in, ib);
	return ev;
}

static int inbox_take_now(kp_rt_inboxes *in, kp_rt_inbox *ib, kp_rt_take *t)
{
	size_t n = 0, bytes = t->bytes_max;
	t->needed = 0;
	t->sent = t->requested = 0;
	while (n < t->max) {
		kp_event *ev = inbox_next(in, ib, t, &bytes);
		if (ev == NULL)
			break;
		t->sent += (ev->flags & KP_RT_EVF_SENT) != 0;
		t->requested += (ev->flags & KP_RT_EVF_REQUESTED) != 0;
		ev->flags &= (uint16_t)~KP_RT_EVF_HOST;
		in->delivered += ev->type != KP_EV_DROPPED;
		t->out[n++] = ev;
	}
	inbox_changed(in, ib);
	inbox_ease(in);
	if (n == 0 && t->needed > bytes)
		return KP_E_TOOBIG;
	return (int)n;
}

/* With the lock held, when the inbox is empty. KP_OK: something was put meanwhile. */
static kp_err inbox_wait(kp_rt_inboxes *in, kp_rt_inbox *ib, kp_time deadline, bool again)
{
	if (in->closed)
		return KP_E_CLOSED;
	if (deadline == 0)
		return KP_E_AGAIN;
	if (!in->started)
		return KP_E_STATE;
	if (kp_rt_flag_take(in->wake_next))
		return KP_E_INTR;
	kp_rt_waiter w;
	kp_err r = kp_rt_waiter_init(&w);
	if (r != KP_OK)
		return r;
	if (again) /* woken, but somebody else took it: keep the place in the queue */
		kp_list_push_front(&ib->waiters, &w.link);
	else
		kp_list_push(&ib->waiters, &w.link);
	r = kp_rt_wait(&w, &in->lock, deadline);
	kp_rt_waiter_fini(&w);
	return r;
}

int kp_rt_inbox_take(kp_rt_inboxes *in, unsigned box, kp_time deadline, kp_rt_take *t)
{
	KP_ASSERT(t->max > 0 && t->max <= INT32_MAX);
	pthread_mutex_lock(&in->lock);
	kp_rt_inbox *ib = inbox_of(in, box);
	int got = ib == NULL ? KP_E_NOMEM : 0;
	for (bool again = false; ib != NULL; again = true) {
		got = inbox_take_now(in, ib, t);
		if (got != 0)
			break;
		kp_err r = inbox_wait(in, ib, deadline, again);
		if (r == KP_E_TIMEDOUT || r == KP_E_AGAIN)
			break;
		if (r != KP_OK) {
			got = r;
			break;
		}
	}
	pthread_mutex_unlock(&in->lock);
	return got;
}

int kp_rt_inbox_fd(kp_rt_inboxes *in, unsigned box)
{
	pthread_mutex_lock(&in->lock);
	kp_rt_inbox *ib = inbox_of(in, box);
	int fd = ib != NULL ? kp_rt_ready_fd(&ib->ready) : (int)KP_E_NOMEM;
	pthread_mutex_unlock(&in->lock);
	return fd;
}

/* --- waking --- */

void kp_rt_inbox_filled(kp_rt_inboxes *in, bool all, void (*fn)(void *ctx, int box), void *ctx)
{
	uint64_t filled[KP_RT_INBOXES / 64];
	pthread_mutex_lock(&in->lock);
	bool any = in->any_filled || all;
	if (any) {
		memcpy(filled, in->filled, sizeof filled);
		memset(in->filled, 0, sizeof in->filled);
		in->any_filled = false;
	}
	if (all) /* what was filled before may have been read since */
		memset(filled, 0, sizeof filled);
	for (unsigned i = 0; all && i < KP_RT_INBOXES; i++) {
		if (in->box[i] != NULL && inbox_has_any(in->box[i]))
			bits_set(filled, i);
	}
	pthread_mutex_unlock(&in->lock);
	for (unsigned i = 0; any && fn != NULL && i < KP_RT_INBOXES; i++) {
		if (bits_has(filled, i))
			fn(ctx, (int)i);
	}
}

bool kp_rt_inbox_interrupt(kp_rt_inboxes *in)
{
	bool any = false;
	pthread_mutex_lock(&in->lock);
	for (unsigned i = 0; i < KP_RT_INBOXES; i++) {
		if (in->box[i] == NULL || kp_list_empty(&in->box[i]->waiters))
			continue;
		any = true;
		kp_rt_serve_all(&in->box[i]->waiters, KP_E_INTR);
	}
	pthread_mutex_unlock(&in->lock);
	return any;
}

/* What is still to be told gets its event now: afterwards the pool gives none. */
static void inbox_settle(kp_rt_inboxes *in, kp_rt_inbox *ib)
{
	if (ib->dropped > 0 && ib->spare == NULL)
		ib->spare = kp_event_new(in->pool, KP_EV_DROPPED, 0);
	if (ib->dropped > 0 && ib->spare == NULL)
		ib->dropped = 0; /* no memory even for that: in the stats only */
	kp_rt_ready_set(&ib->ready, true);
	kp_rt_serve_all(&ib->waiters, KP_OK); /* they look again and find `closed` */
}

void kp_rt_inbox_close(kp_rt_inboxes *in)
{
	pthread_mutex_lock(&in->lock);
	KP_ASSERT(!in->closed);
	in->closed = true;
	for (unsigned i = 0; i < KP_RT_INBOXES; i++) {
		if (in->box[i] != NULL)
			inbox_settle(in, in->box[i]);
	}
	pthread_mutex_unlock(&in->lock);
}

void kp_rt_inbox_get_stats(kp_rt_inboxes *in, kp_rt_inbox_stats *out)
{
	memset(out, 0, sizeof *out);
	pthread_mutex_lock(&in->lock);
	for (unsigned i = 0; i < KP_RT_INBOXES; i++)
		out->waiting += in->box[i] != NULL ? in->box[i]->n_all : 0;
	out->bytes = in->total_bytes;
	out->offered = in->offered;
	out->delivered = in->delivered;
	out->dropped = in->dropped;
	pthread_mutex_unlock(&in->lock);
}
