/* The Kademlia service: who is connected and worthy of the table, bootstrap and refresh on
 * schedule, mode, and the stream ops of both directions. */
#include "svc/kad/kad_impl.h"

#define KAD_IN_MAX     32u /* inbound streams per connection, as rust */
#define KAD_GROW_DELAY KP_MS(500)
#define KAD_REFRESH_BUCKET                                                                         \
	11 /* deepest bucket refreshed: finding an id for it takes 2^(n+1) hashes */
#define KAD_REFRESH_TRIES 4096u

const kp_proto kp_kad_protos[] = {{"/ipfs/kad/1.0.0", 0}};
const size_t kp_kad_protos_n = KP_COUNT_OF(kp_kad_protos);

kp_kad_params kp_kad_params_default(void)
{
	kp_kad_params p;
	memset(&p, 0, sizeof(p));
	p.mode = KP_KAD_SERVER;
	p.k = 20;
	p.alpha = 10;
	p.beta = 3;
	p.request_ns = KP_SEC(10);
	p.query_ns = KP_SEC(60);
	p.bootstrap_every_ns = KP_SEC(300);
	p.queries_max = 64;
	return p;
}

/* --- small things the other files use ----------------------------------------------------------
 */

kp_kad_key kp_kad_key_of(kp_kad *kad, kp_slice bytes)
{
	kp_kad_key key;
	kad->env->crypto->ops->sha256(bytes.p, bytes.n, key.b);
	return key;
}

/* What is kept of a peer at `scope`, and what is told to it: everything to loopback, all but
 * loopback to a private address, public ones to a public one. */
bool kp_kad_addr_fits(kp_ip_scope scope, const kp_maddr *m)
{
	kp_ip_scope of = kp_maddr_scope(m);
	if (scope == KP_SCOPE_LOOPBACK || of == KP_SCOPE_PUBLIC)
		return true;
	if (scope == KP_SCOPE_PRIVATE || scope == KP_SCOPE_LINK_LOCAL)
		return of != KP_SCOPE_LOOPBACK && of != KP_SCOPE_UNSPECIFIED;
	kp_slice rest = kp_maddr_slice(m);
	kp_maddr_part part;
	return kp_maddr_next(&rest, &part) &&
	       (part.code == KP_MADDR_DNS || part.code == KP_MADDR_DNS4 ||
	        part.code == KP_MADDR_DNS6 || part.code == KP_MADDR_DNSADDR);
}

void kp_kad_flush(kp_kad *kad, kp_time now)
{
	for (kp_list *n; (n = kp_list_pop(&kad->finished)) != NULL;)
		kp_kad_lookup_report(KP_CONTAINER_OF(n, kp_kad_lookup, node), now);
	kp_timer_unset(kad->env->timers, &kad->flush);
}

static void kad_on_flush(kp_timer *t, kp_time now)
{
	kp_kad *kad = KP_CONTAINER_OF(t, kp_kad, flush);
	kad->last = now;
	kp_kad_flush(kad, now);
}

/* Something may have ended inside a call that must not report it. */
static void kad_flush_later(kp_kad *kad, kp_time now)
{
	if (!kp_list_empty(&kad->finished) && !kp_timer_is_set(&kad->flush))
		kp_timer_set(kad->env->timers, &kad->flush, now);
}

static void kad_on_retry(kp_timer *t, kp_time now)
{
	kp_kad *kad = KP_CONTAINER_OF(t, kp_kad, retry);
	kad->last = now;
	KP_LIST_EACH(n, tmp, &kad->lookups)
	kp_kad_lookup_advance(KP_CONTAINER_OF(n, kp_kad_lookup, node), now);
	kp_kad_flush(kad, now);
}

/* --- members and the table ---------------------------------------------------------------------
 */

kp_kad_member *kp_kad_member_get(kp_kad *kad, const kp_peer_id *peer)
{
	kp_map_node *n = kp_map_get(&kad->members, peer, sizeof(*peer));
	return n != NULL ? KP_CONTAINER_OF(n, kp_kad_member, in_map) : NULL;
}

static void kad_member_new(kp_kad *kad, const kp_conn_info *info)
{
	kp_kad_member *m = (kp_kad_member *)kp_mem_alloc(kad->env->mem, sizeof(*m));
	if (m != NULL) {
		m->peer = info->peer;
		m->scope = kp_maddr_scope(&info->remote);
		m->group = kp_kad_group_of(&info->remote);
		if (kp_map_put(&kad->members, &m->in_map, &m->peer, sizeof(m->peer)) == KP_OK)
			return;
		kp_mem_free(kad->env->mem, m);
	}
	kp_kad_count(kad, KP_STAT_kad_memory, 1);
}

/* Into the table, or its addresses brought up to date; a check first if it never answered us. */
static void kad_member_consider(kp_kad *kad, kp_time now, kp_kad_member *m)
{
	kp_kad_node *node = kp_kad_table_get(&kad->table, &m->peer);
	kp_maddr *addrs = kad->scratch->addrs;
	size_t n = kp_host_peer_addrs(kad->h, &m->peer, addrs, KP_KAD_NODE_ADDRS_MAX);
	if (kad->stopped)
		return;
	if (!m->listed || n == 0) {
		if (node != NULL)
			kp_kad_table_remove(&kad->table, node);
	} else if (node != NULL) {
		if (kp_kad_table_set_addrs(&kad->table, node, addrs, n) != KP_OK)
			kp_kad_count(kad, KP_STAT_kad_memory, 1);
	} else if (!m->answered) {
		if (!m->checking)
			kp_kad_check_start(kad, now, m);
	} else {
		kp_kad_key key = kp_kad_key_of(kad, kp_peer_id_slice(&m->peer));
		kp_err err = kp_kad_table_add(&kad->table, &m->peer, &key, m->group, addrs, n);
		if (err == KP_E_NOMEM)
			kp_kad_count(kad, KP_STAT_kad_memory, 1);
		if (err == KP_OK && kad->table.size < kad->params.k && !kp_timer_is_set(&kad->grow))
			kp_timer_set(kad->env->timers, &kad->grow, now + KAD_GROW_DELAY);
	}
}

void kp_kad_member_answered(kp_kad *kad, kp_time now, const kp_peer_id *peer)
{
	kp_kad_member *m = kp_kad_member_get(kad, peer);
	if (m == NULL)
		return;
	m->answered = true;
	m->failed = false;
	if (m->listed && kp_kad_table_get(&kad->table, peer) == NULL)
		kad_member_consider(kad, now, m);
}

void kp_kad_member_failed(kp_kad *kad, const kp_peer_id *peer)
{
	kp_kad_member *m = kp_kad_member_get(kad, peer);
	kp_kad_node *node = kp_kad_table_get(&kad->table, peer);
	if (m != NULL) {
		m->answered = false;
		m->failed = true;
	}
	if (node != NULL)
		kp_kad_table_remove(&kad->table, node);
}

static void kad_on_conn_open(void *svc, kp_time now, const kp_conn_info *info, bool first)
{
	kp_kad *kad = (kp_kad *)svc;
	kad->last = now;
	(void)first;
	kp_kad_node *node = kp_kad_table_get(&kad->table, &info->peer);
	if (kp_kad_member_get(kad, &info->peer) == NULL)
		kad_member_new(kad, info);
	if (node != NULL && !node->connected)
		kp_kad_table_set_connected(&kad->table, node, true);
	kp_kad_client_conn_up(kad, now, &info->peer);
	kp_kad_flush(kad, now);
}

static void kad_on_conn_close(void *svc, kp_time now, const kp_conn_info *info, kp_why why,
                              bool last)
{
	kp_kad *kad = (kp_kad *)svc;
	(void)why;
	kad->last = now;
	if (!last)
		return;
	kp_kad_member *m = kp_kad_member_get(kad, &info->peer);
	kp_kad_node *node = kp_kad_table_get(&kad->table, &info->peer);
	if (node != NULL)
		kp_kad_table_set_connected(&kad->table, node, false);
	if (m != NULL) {
		kp_map_del(&kad->members, &m->in_map);
		kp_mem_free(kad->env->mem, m);
	}
}

static void kad_on_identified(void *svc, kp_time now, const kp_peer_id *peer,
                              const kp_identify_info *info)
{
	kp_kad *kad = (kp_kad *)svc;
	kad->last = now;
	kp_kad_member *m = kp_kad_member_get(kad, peer);
	if (m == NULL)
		return;
	m->listed = false;
	for (size_t i = 0; i < info->n_protocols; i++)
		for (size_t j = 0; j < kp_kad_protos_n; j++)
			m->listed |= kp_slice_eq_str(info->protocols[i], kp_kad_protos[j].id);
	kad_member_consider(kad, now, m);
}

static void kad_on_dial_failed(void *svc, kp_time now, const kp_peer_id *peer, kp_err err)
{
	kp_kad *kad = (kp_kad *)svc;
	bool ours = err == KP_E_CANCELED || err == KP_E_LIMIT || err == KP_E_NOMEM;
	kad->last = now;
	kp_kad_client_dial_failed(kad, now, peer, !ours);
	kp_kad_flush(kad, now);
}

/* --- bootstrap and refresh ---------------------------------------------------------------------
 */

static void kad_random_id(kp_kad *kad, kp_peer_id *id)
{
	uint8_t digest[32];
	kp_rng_fill(kad->env->rng, digest, sizeof(digest));
	kp_peer_id_from_digest(digest, id);
}

/* An id whose key falls into a bucket, or as near to it as chance allowed. */
static void kad_random_id_in(kp_kad *kad, unsigned bucket, kp_peer_id *id)
{
	unsigned best = 0;
	for (unsigned i = 0; i < KAD_REFRESH_TRIES; i++) {
		kp_peer_id some;
		kad_random_id(kad, &some);
		kp_kad_key key = kp_kad_key_of(kad, kp_peer_id_slice(&some));
		unsigned cpl = kp_kad_cpl(&kad->self, &key);
		if (i == 0 || (cpl <= bucket && cpl > best)) {
			best = cpl;
			*id = some;
		}
		if (cpl == bucket)
			return;
	}
}

static void kad_boot_done(void *ctx, kp_time now, kp_err err, const kp_kad_found *found);

/* Own id first, then a key in each bucket from the deepest one used down to 0: every farther region
 * of the network. One lookup at a time. */
static void kad_boot_next(kp_kad *kad, kp_time now)
{
	kp_kad_lookup *l;
	kp_peer_id target = kad->env->self->id;
	for (;;) {
		if (kad->boot_bucket < -1) {
			kad->boot_running = kad->boot_again && !kad->stopped;
			kad->boot_again = false;
			if (!kad->boot_running)
				return;
			kad->boot_bucket = KAD_REFRESH_BUCKET + 1;
			target = kad->env->self->id;
		}
		if (kad->boot_bucket <= KAD_REFRESH_BUCKET)
			kad_random_id_in(kad, (unsigned)kad->boot_bucket, &target);
		if (kp_kad_lookup_new(kad, now, &target, false, 0, kad_boot_done, kad, &l) == KP_OK)
			return;
		kad->boot_bucket = -2; /* nobody to ask */
		kad->boot_again = false;
	}
}

static void kad_boot_done(void *ctx, kp_time now, kp_err err, const kp_kad_found *found)
{
	kp_kad *kad = (kp_kad *)ctx;
	(void)err, (void)found;
	if (kad->boot_bucket > KAD_REFRESH_BUCKET) /* own id is done: how deep does the table go? */
		kad->boot_bucket =
		        KP_MIN(kp_kad_table_deepest(&kad->table), KAD_REFRESH_BUCKET) + 1;
	if (--kad->boot_bucket < 0)
		kad->boot_bucket = -2;
	kad_boot_next(kad, now);
	kad_flush_later(kad, now);
}

void kp_kad_bootstrap(kp_kad *kad, kp_time now)
{
	kad->last = now;
	if (kad->stopped)
		return;
	if (kad->boot_running) {
		kad->boot_again = true;
		return;
	}
	kad->boot_running = true;
	kad->boot_bucket = KAD_REFRESH_BUCKET + 1;
	kad_boot_next(kad, now);
	kad_flush_later(kad, now);
}

static void kad_on_boot(kp_timer *t, kp_time now)
{
	kp_kad *kad = KP_CONTAINER_OF(t, kp_kad, boot);
	kp_timer_set(kad->env->timers, t, kp_time_add(now, kad->params.bootstrap_every_ns));
	kp_kad_bootstrap(kad, now);
}

static void kad_on_grow(kp_timer *t, kp_time now)
{
	kp_kad_bootstrap(KP_CONTAINER_OF(t, kp_kad, grow), now);
}

/* --- the rest of the public interface ----------------------------------------------------------
 */

kp_err kp_kad_find(kp_kad *kad, kp_time now, const kp_peer_id *target, bool stop_at_target,
                   kp_time timeout_ns, kp_kad_done_fn done, void *ctx, uint64_t *query)
{
	kp_kad_lookup *l;
	KP_ASSERT(done != NULL && target->n > 0);
	kad->last = now;
	if (kad->n_lookups >= kad->params.queries_max)
		return KP_E_LIMIT;
	kp_err err = kp_kad_lookup_new(kad, now, target, stop_at_target, timeout_ns, done, ctx, &l);
	if (err != KP_OK)
		return err;
	*query = l->id;
	kad_flush_later(kad, now);
	return KP_OK;
}

void kp_kad_cancel(kp_kad *kad, kp_time now, uint64_t query)
{
	kad->last = now;
	KP_LIST_EACH(n, tmp, &kad->lookups)
	{
		kp_kad_lookup *l = KP_CONTAINER_OF(n, kp_kad_lookup, node);
		if (l->id == query)
			kp_kad_lookup_end(l, KP_E_CANCELED);
	}
	kad_flush_later(kad, now);
}

kp_err kp_kad_explore(kp_kad *kad, kp_time now)
{
	kp_peer_id target;
	kp_kad_lookup *l;
	kad->last = now;
	if (kad->n_lookups >= kad->params.queries_max)
		return KP_E_LIMIT;
	kad_random_id(kad, &target);
	kp_err err = kp_kad_lookup_new(kad, now, &target, false, 0, NULL, NULL, &l);
	kad_flush_later(kad, now);
	return err;
}

bool kp_kad_entry_at(const kp_kad *kad, size_t n, kp_kad_entry *out)
{
	const kp_kad_node *node = kp_kad_table_at(&kad->table, n);
	if (node == NULL)
		return false;
	out->peer = node->peer;
	out->addrs = node->addrs;
	out->n_addrs = node->n_addrs;
	out->bucket = node->bucket;
	out->connected = node->connected;
	return true;
}

size_t kp_kad_size(const kp_kad *kad)
{
	return kad->table.size;
}

kp_kad_mode kp_kad_get_mode(const kp_kad *kad)
{
	return kad->mode;
}

void kp_kad_set_mode(kp_kad *kad, kp_time now, kp_kad_mode mode)
{
	kad->last = now;
	if (mode == kad->mode)
		return;
	kad->mode = mode;
	kp_host_set_served(kad->h, now, &kp_kad_proto_ops, kp_kad_protos,
	                   mode == KP_KAD_SERVER ? kp_kad_protos_n : 0, kad);
	KP_LIST_EACH(n, tmp, &kad->inbound)
	kp_stream_reset(KP_CONTAINER_OF(n, kp_kad_stream, node)->s);
}

/* --- stream ops ---------------------------------------------------------------------------------
 */

static kp_err kad_on_open(void *svc, kp_stream *s, kp_time now)
{
	kp_kad *kad = (kp_kad *)svc;
	kad->last = now;
	if (!kp_stream_outbound(s))
		return kp_kad_server_on_open(kad, s, now);
	kp_stream_want_write(s);
	kp_stream_fin(s); /* after the request */
	return KP_OK;
}

static kp_err kad_on_data(void *svc, kp_stream *s, kp_time now, kp_slice in)
{
	kp_kad_stream *st = (kp_kad_stream *)kp_stream_state(s);
	((kp_kad *)svc)->last = now;
	return kp_stream_outbound(s) ? kp_kad_client_on_data(st, now, in)
	                             : kp_kad_server_on_data(st, now, in);
}

static void kad_on_fin(void *svc, kp_stream *s, kp_time now)
{
	kp_kad_stream *st = (kp_kad_stream *)kp_stream_state(s);
	((kp_kad *)svc)->last = now;
	if (kp_stream_outbound(s))
		kp_kad_client_on_fin(st, now);
	else
		kp_kad_server_on_fin(st, now);
}

static unsigned kad_pull(void *svc, kp_stream *s, kp_time now, kp_slice *v, unsigned v_max,
                         size_t n_max)
{
	kp_kad_stream *st = (kp_kad_stream *)kp_stream_state(s);
	((kp_kad *)svc)->last = now;
	if (st->out.block != NULL && st->sent == st->out.len) {
		kp_ref_drop(&st->out);
		st->sent = 0;
		if (!kp_stream_outbound(s))
			kp_kad_server_next(st, now);
	}
	size_t n = KP_MIN(n_max, (size_t)st->out.len - st->sent);
	if (v_max == 0 || n == 0)
		return 0;
	v[0] = kp_slice_of(kp_ref_slice(st->out).p + st->sent, n);
	st->sent += n;
	kp_stream_want_write(s); /* to learn that it has gone */
	return 1;
}

static void kad_on_close(void *svc, kp_stream *s, kp_time now, kp_err why)
{
	kp_kad_stream *st = (kp_kad_stream *)kp_stream_state(s);
	((kp_kad *)svc)->last = now;
	if (st->kad == NULL)
		return; /* its contact was gone before it began */
	if (kp_stream_outbound(s))
		kp_kad_client_on_close(st, now, why);
	else
		kp_kad_server_on_close(st);
}

const kp_proto_ops kp_kad_proto_ops = {
        .name = "kad",
        .state_size = sizeof(kp_kad_stream),
        .in_max = KAD_IN_MAX,
        .on_open = kad_on_open,
        .on_data = kad_on_data,
        .on_fin = kad_on_fin,
        .pull = kad_pull,
        .on_close = kad_on_close,
};

/* --- life
 * ----------------------------------------------------------------------------------------- */

static void kad_end_all(kp_kad *kad, kp_time now)
{
	kad->stopped = true;
	KP_LIST_EACH(n, tmp, &kad->lookups)
	kp_kad_lookup_end(KP_CONTAINER_OF(n, kp_kad_lookup, node), KP_E_CLOSED);
	KP_LIST_EACH(n, tmp, &kad->contacts) /* what is left are checks */
	kp_kad_contact_drop(KP_CONTAINER_OF(n, kp_kad_contact, node));
	kp_timer_unset(kad->env->timers, &kad->retry);
	kp_timer_unset(kad->env->timers, &kad->boot);
	kp_timer_unset(kad->env->timers, &kad->grow);
	kp_kad_flush(kad, now);
}

static void kad_on_stop(void *svc, kp_time now)
{
	kp_kad *kad = (kp_kad *)svc;
	kad->last = now;
	kad_end_all(kad, now);
}

const kp_svc_ops kp_kad_svc_ops = {
        .name = "kad",
        .on_conn_open = kad_on_conn_open,
        .on_conn_close = kad_on_conn_close,
        .on_identified = kad_on_identified,
        .on_dial_failed = kad_on_dial_failed,
        .on_stop = kad_on_stop,
};

#define KAD_TIMERS 4u

static void kad_init(kp_kad *kad, kp_host *h, const kp_kad_params *params, kp_time now)
{
	uint8_t hash_key[16];
	kad->h = h;
	kad->env = kp_host_env(h);
	kad->params = *params;
	kad->mode = params->mode;
	kad->last = now;
	kad->self = kp_kad_key_of(kad, kp_peer_id_slice(&kad->env->self->id));
	kp_rng_fill(kad->env->rng, hash_key, sizeof(hash_key));
	kp_kad_table_init(&kad->table, kad->env->mem, kad->env->stats, &kad->self, params->k,
	                  hash_key);
	kp_map_init(&kad->members, kad->env->mem, hash_key);
	kp_list_init(&kad->contacts);
	kp_list_init(&kad->lookups);
	kp_list_init(&kad->finished);
	kp_list_init(&kad->inbound);
	kp_timer_init(&kad->flush, kad_on_flush);
	kp_timer_init(&kad->retry, kad_on_retry);
	kp_timer_init(&kad->boot, kad_on_boot);
	kp_timer_init(&kad->grow, kad_on_grow);
	kp_timer_set(kad->env->timers, &kad->boot, kp_time_add(now, params->bootstrap_every_ns));
}

kp_kad *kp_kad_new(kp_host *h, const kp_kad_params *params, kp_time now)
{
	const kp_env *env = kp_host_env(h);
	KP_ASSERT(params->k > 0 && params->k <= KP_KAD_K_MAX && params->alpha > 0);
	if (kp_timers_reserve(env->timers, KAD_TIMERS) != KP_OK)
		return NULL;
	kp_kad *kad = (kp_kad *)kp_mem_alloc(env->mem, sizeof(*kad));
	if (kad != NULL) {
		kad->scratch = (kp_kad_scratch *)kp_mem_alloc(env->mem, sizeof(*kad->scratch));
		if (kad->scratch != NULL) {
			kad_init(kad, h, params, now);
			return kad;
		}
		kp_mem_free(env->mem, kad);
	}
	kp_timers_release(env->timers, KAD_TIMERS);
	return NULL;
}

void kp_kad_free(kp_kad *kad)
{
	if (kad == NULL)
		return;
	kad_end_all(kad, kad->last);
	KP_ASSERT(kad->n_streams == 0 && kp_map_count(&kad->members) == 0);
	kp_timers_release(kad->env->timers, KAD_TIMERS);
	kp_kad_table_fini(&kad->table);
	kp_map_fini(&kad->members);
	kp_mem_free(kad->env->mem, kad->scratch);
	kp_mem_free(kad->env->mem, kad);
}
