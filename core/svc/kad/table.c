/* k-buckets: see table.h. */
#include "svc/kad/table.h"

void kp_kad_table_init(kp_kad_table *t, kp_mem *mem, kp_stats *stats, const kp_kad_key *self,
                       unsigned k, const uint8_t hash_key[16])
{
	KP_ASSERT(k > 0 && k <= UINT16_MAX);
	memset(t, 0, sizeof(*t));
	t->mem = mem;
	t->stats = stats;
	t->self = *self;
	t->k = k;
	for (size_t i = 0; i < KP_COUNT_OF(t->buckets); i++)
		kp_list_init(&t->buckets[i]);
	kp_map_init(&t->by_peer, mem, hash_key);
}

static kp_kad_node *table_node(kp_list *in_bucket)
{
	return KP_CONTAINER_OF(in_bucket, kp_kad_node, in_bucket);
}

static void table_unlink(kp_kad_table *t, kp_kad_node *n)
{
	kp_list_del(&n->in_bucket);
	kp_map_del(&t->by_peer, &n->in_map);
	t->counts[n->bucket]--;
	t->size--;
	kp_mem_free(t->mem, n->addrs);
	kp_mem_free(t->mem, n);
}

void kp_kad_table_fini(kp_kad_table *t)
{
	for (size_t i = 0; i < KP_COUNT_OF(t->buckets); i++)
		while (!kp_list_empty(&t->buckets[i]))
			table_unlink(t, table_node(t->buckets[i].next));
	KP_ASSERT(t->size == 0);
	kp_map_fini(&t->by_peer);
}

kp_kad_group kp_kad_group_of(const kp_maddr *remote)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	kp_kad_group g = {0, {0}};
	kp_slice rest = kp_maddr_slice(remote);
	kp_maddr_part part;
	if (kp_maddr_scope(remote) != KP_SCOPE_PUBLIC || !kp_maddr_next(&rest, &part))
		return g;
	kp_slice ip = part.value;
	if (ip.n == 16 && memcmp(ip.p, mapped, sizeof(mapped)) == 0)
		kp_slice_take(&ip, sizeof(mapped));
	size_t prefix = ip.n == 4 ? 3 : 6;
	g.n = (uint8_t)(prefix + 1);
	g.b[0] = ip.n == 4 ? 4 : 6;
	memcpy(g.b + 1, ip.p, prefix);
	return g;
}

kp_kad_node *kp_kad_table_get(const kp_kad_table *t, const kp_peer_id *peer)
{
	kp_map_node *n = kp_map_get(&t->by_peer, peer, sizeof(*peer));
	return n != NULL ? KP_CONTAINER_OF(n, kp_kad_node, in_map) : NULL;
}

static bool table_same_group(const kp_kad_node *n, const kp_kad_group *g)
{
	return memcmp(&n->group, g, sizeof(*g)) == 0;
}

/* Whether one more of this group fits; `gone` will leave. */
static bool table_group_fits(const kp_kad_table *t, unsigned bucket, const kp_kad_group *g,
                             const kp_kad_node *gone)
{
	unsigned in_bucket = 0, in_table = 0;
	if (g->n == 0)
		return true;
	for (const kp_map_node *m = kp_map_first(&t->by_peer); m != NULL; m = kp_map_next(m)) {
		const kp_kad_node *n = KP_CONTAINER_OF(m, kp_kad_node, in_map);
		if (n == gone || !table_same_group(n, g))
			continue;
		in_table++;
		in_bucket += n->bucket == bucket;
	}
	return in_bucket < KP_KAD_GROUP_BUCKET_MAX && in_table < KP_KAD_GROUP_TABLE_MAX;
}

static kp_maddr *table_copy_addrs(kp_kad_table *t, const kp_maddr *addrs, size_t n)
{
	KP_ASSERT(n > 0 && n <= KP_KAD_NODE_ADDRS_MAX);
	kp_maddr *copy = (kp_maddr *)kp_mem_alloc_raw(t->mem, n * sizeof(*copy));
	if (copy != NULL)
		memcpy(copy, addrs, n * sizeof(*copy));
	return copy;
}

/* KP_OK and the entry that must go (or NULL), or why there is no place. */
static kp_err table_find_place(kp_kad_table *t, unsigned bucket, const kp_kad_group *group,
                               kp_kad_node **gone)
{
	*gone = NULL;
	if (t->counts[bucket] >= t->k) {
		*gone = table_node(t->buckets[bucket].next);
		if ((*gone)->connected) {
			kp_stat_add(t->stats, KP_STAT_kad_table_full, 1);
			return KP_E_LIMIT;
		}
	}
	if (!table_group_fits(t, bucket, group, *gone)) {
		kp_stat_add(t->stats, KP_STAT_kad_table_same_ip, 1);
		return KP_E_LIMIT;
	}
	return KP_OK;
}

kp_err kp_kad_table_add(kp_kad_table *t, const kp_peer_id *peer, const kp_kad_key *key,
                        kp_kad_group group, const kp_maddr *addrs, size_t n_addrs)
{
	KP_ASSERT(n_addrs > 0 && kp_kad_table_get(t, peer) == NULL);
	unsigned bucket = kp_kad_cpl(&t->self, key);
	if (bucket >= KP_KAD_KEY_BITS)
		return KP_E_INVAL;
	kp_kad_node *gone;
	kp_err err = table_find_place(t, bucket, &group, &gone);
	if (err != KP_OK)
		return err;
	kp_kad_node *n = (kp_kad_node *)kp_mem_alloc(t->mem, sizeof(*n));
	if (n == NULL)
		return KP_E_NOMEM;
	n->peer = *peer;
	n->key = *key;
	n->group = group;
	n->bucket = bucket;
	n->connected = true;
	n->n_addrs = KP_MIN(n_addrs, (size_t)KP_KAD_NODE_ADDRS_MAX);
	n->addrs = table_copy_addrs(t, addrs, n->n_addrs);
	if (n->addrs == NULL ||
	    kp_map_put(&t->by_peer, &n->in_map, &n->peer, sizeof(n->peer)) != KP_OK) {
		kp_mem_free(t->mem, n->addrs);
		kp_mem_free(t->mem, n);
		return KP_E_NOMEM;
	}
	if (gone != NULL) {
		kp_stat_add(t->stats, KP_STAT_kad_table_evicted, 1);
		table_unlink(t, gone);
	}
	kp_list_init(&n->in_bucket);
	kp_list_push(&t->buckets[bucket], &n->in_bucket);
	t->counts[bucket]++;
	t->size++;
	return KP_OK;
}

void kp_kad_table_remove(kp_kad_table *t, kp_kad_node *n)
{
	kp_stat_add(t->stats, KP_STAT_kad_table_removed, 1);
	table_unlink(t, n);
}

kp_err kp_kad_table_set_addrs(kp_kad_table *t, kp_kad_node *n, const kp_maddr *addrs,
                              size_t n_addrs)
{
	n_addrs = KP_MIN(n_addrs, (size_t)KP_KAD_NODE_ADDRS_MAX);
	kp_maddr *copy = table_copy_addrs(t, addrs, n_addrs);
	if (copy == NULL)
		return KP_E_NOMEM;
	kp_mem_free(t->mem, n->addrs);
	n->addrs = copy;
	n->n_addrs = n_addrs;
	return KP_OK;
}

void kp_kad_table_set_connected(kp_kad_table *t, kp_kad_node *n, bool connected)
{
	kp_list *head = &t->buckets[n->bucket];
	kp_list_del(&n->in_bucket);
	n->connected = connected;
	if (connected) {
		kp_list_push(head, &n->in_bucket);
		return;
	}
	/* behind the last disconnected one */
	kp_list *at = head->next;
	while (at != head && !table_node(at)->connected)
		at = at->next;
	kp_list_insert_before(at, &n->in_bucket);
}

size_t kp_kad_table_nearest(const kp_kad_table *t, const kp_kad_key *target,
                            const kp_peer_id *except, const kp_kad_node **out, size_t max)
{
	size_t got = 0;
	for (const kp_map_node *m = kp_map_first(&t->by_peer); m != NULL; m = kp_map_next(m)) {
		const kp_kad_node *n = KP_CONTAINER_OF(m, kp_kad_node, in_map);
		if (except != NULL && kp_peer_id_eq(&n->peer, except))
			continue;
		size_t at = got;
		while (at > 0 && kp_kad_distance_cmp(target, &n->key, &out[at - 1]->key) < 0)
			at--;
		if (at == max)
			continue;
		size_t moved = KP_MIN(got, max - 1) - at;
		memmove(&out[at + 1], &out[at], moved * sizeof(*out));
		out[at] = n;
		got = KP_MIN(got + 1, max);
	}
	return got;
}

const kp_kad_node *kp_kad_table_at(const kp_kad_table *t, size_t n)
{
	if (n >= t->size)
		return NULL;
	size_t bucket = 0;
	while (n >= t->counts[bucket])
		n -= t->counts[bucket++];
	kp_list *it = t->buckets[bucket].next;
	while (n-- > 0)
		it = it->next;
	return table_node(it);
}

int kp_kad_table_deepest(const kp_kad_table *t)
{
	int bucket = (int)KP_KAD_KEY_BITS - 1;
	while (bucket >= 0 && t->counts[bucket] == 0)
		bucket--;
	return bucket;
}

void kp_kad_table_check(const kp_kad_table *t)
{
	size_t total = 0;
	for (size_t i = 0; i < KP_COUNT_OF(t->buckets); i++) {
		size_t n = 0;
		bool connected = false;
		const kp_list *head = &t->buckets[i];
		for (const kp_list *it = head->next; it != head; it = it->next, n++) {
			const kp_kad_node *node = KP_CONTAINER_OF(it, kp_kad_node, in_bucket);
			KP_ASSERT(node->bucket == i && kp_kad_cpl(&t->self, &node->key) == i);
			KP_ASSERT(node->connected || !connected);
			KP_ASSERT(node->n_addrs > 0 && node->n_addrs <= KP_KAD_NODE_ADDRS_MAX);
			connected = node->connected;
		}
		KP_ASSERT(n == t->counts[i] && n <= t->k);
		total += n;
	}
	KP_ASSERT(total == t->size && kp_map_count(&t->by_peer) == total);
}
