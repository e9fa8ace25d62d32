/* Hash tables: uthash, intrusive, keyed with SipHash under a key of the node's own so that peers
 * cannot choose collisions, iterated in insertion order so that runs are repeatable. The only file
 * that includes uthash (map.c is its only other user). */
#ifndef KP_BASE_MAP_H
#define KP_BASE_MAP_H

#include "base/err.h"
#include "base/mem.h"

/* Outside extern "C": uthash includes <stdlib.h>, which has templates in C++. */
#define HASH_NONFATAL_OOM 1
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#endif
#include <uthash.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Embed in the stored object; the key bytes live in that object too and must not change while it is
 * in the map. */
typedef struct kp_map_node {
	UT_hash_handle hh;
	const void *key;
	uint32_t key_n;
} kp_map_node;

typedef struct kp_map {
	kp_map_node *head;
	kp_mem *mem; /* charged for the buckets */
	uint8_t key[16];
} kp_map;

/* hash_key: 16 secret bytes (kp_rng_fill of the engine's rng). */
void kp_map_init(kp_map *m, kp_mem *mem, const uint8_t hash_key[16]);

/* Frees the buckets; the map must be empty of nodes that somebody still wants. */
void kp_map_fini(kp_map *m);

/* The key must not be in the map (assert). KP_E_NOMEM leaves the map unchanged. */
kp_err kp_map_put(kp_map *m, kp_map_node *node, const void *key, size_t key_n);

kp_map_node *kp_map_get(const kp_map *m, const void *key, size_t key_n); /* NULL = not there */
void kp_map_del(kp_map *m, kp_map_node *node);
size_t kp_map_count(const kp_map *m);

/* Insertion order; the current node may be deleted once its successor has been read. */
kp_map_node *kp_map_first(const kp_map *m);
kp_map_node *kp_map_next(const kp_map_node *node);

#ifdef __cplusplus
}
#endif
#endif
