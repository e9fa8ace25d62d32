/* uthash in its _BYHASHVALUE forms, under SipHash-1-3 with the map's key and the node's allocator.
 */
#include "base/map.h"

#include "base/siphash.h"

/* Used at expansion, that is only in this file: every function below has its map as `m`. */
#undef uthash_malloc
#undef uthash_free
#define uthash_malloc(size)    kp_mem_alloc(m->mem, (size))
#define uthash_free(ptr, size) kp_mem_free(m->mem, (ptr))

void kp_map_init(kp_map *m, kp_mem *mem, const uint8_t hash_key[16])
{
	m->head = NULL;
	m->mem = mem;
	memcpy(m->key, hash_key, sizeof m->key);
}

void kp_map_fini(kp_map *m)
{
	HASH_CLEAR(hh, m->head);
}

static unsigned map_hash(const kp_map *m, const void *key, size_t key_n)
{
	return (unsigned)kp_siphash13(m->key, key, key_n);
}

static kp_map_node *map_find(const kp_map *m, const void *key, size_t key_n, unsigned hash)
{
	kp_map_node *found = NULL;
	HASH_FIND_BYHASHVALUE(hh, m->head, key, (unsigned)key_n, hash, found);
	return found;
}

kp_err kp_map_put(kp_map *m, kp_map_node *node, const void *key, size_t key_n)
{
	KP_ASSERT(key_n <= UINT32_MAX);
	unsigned hash = map_hash(m, key, key_n);
	KP_ASSERT(map_find(m, key, key_n, hash) == NULL);
	node->key = key;
	node->key_n = (uint32_t)key_n;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, m->head, key, (unsigned)key_n, hash, node);
	return node->hh.tbl != NULL ? KP_OK : KP_E_NOMEM; /* how uthash reports it */
}

kp_map_node *kp_map_get(const kp_map *m, const void *key, size_t key_n)
{
	if (m->head == NULL)
		return NULL;
	return map_find(m, key, key_n, map_hash(m, key, key_n));
}

void kp_map_del(kp_map *m, kp_map_node *node)
{
	KP_ASSERT(m->head != NULL && node->hh.tbl == m->head->hh.tbl);
	HASH_DELETE(hh, m->head, node);
	node->hh.tbl = NULL;
}

size_t kp_map_count(const kp_map *m)
{
	return HASH_COUNT(m->head);
}

kp_map_node *kp_map_first(const kp_map *m)
{
	return m->head;
}

kp_map_node *kp_map_next(const kp_map_node *node)
{
	return (kp_map_node *)node->hh.next;
}
