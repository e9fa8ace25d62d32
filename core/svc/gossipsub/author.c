/* Authors of messages: their parsed public key and the text of their id, least recently used out
 * first. A key in use by a job is pinned. Peer ids are digests of keys or the keys themselves, so
 * an id names one key. */
#include "svc/gossipsub/gs.h"

static gs_author *author_of(kp_map_node *n)
{
	return KP_CONTAINER_OF(n, gs_author, node);
}

static void author_free(kp_gs *gs, gs_author *a)
{
	KP_ASSERT(a->pins == 0);
	kp_map_del(&gs->authors, &a->node);
	kp_list_del(&a->lru);
	if (a->key != NULL)
		gs->env->crypto->ops->pubkey_free(a->key);
	kp_mem_free(gs->env->mem, a->pb);
	kp_mem_free(gs->env->mem, a);
}

void kp_gs_author_unpin(gs_author *a)
{
	KP_ASSERT(a->pins > 0);
	a->pins--;
}

static void authors_trim(kp_gs *gs)
{
	KP_LIST_EACH(it, tmp, &gs->author_lru)
	{
		if (kp_map_count(&gs->authors) < GS_AUTHORS_MAX)
			return;
		gs_author *a = KP_CONTAINER_OF(it, gs_author, lru);
		if (a->pins == 0)
			author_free(gs, a);
	}
}

static gs_author *author_new(kp_gs *gs, const kp_peer_id *from)
{
	authors_trim(gs);
	gs_author *a = kp_mem_alloc(gs->env->mem, sizeof *a);
	if (a == NULL)
		return NULL;
	a->id = *from;
	a->text_n = (uint8_t)kp_peer_id_text(from, a->text);
	kp_list_init(&a->lru);
	if (kp_map_put(&gs->authors, &a->node, &a->id, sizeof a->id) != KP_OK) {
		kp_mem_free(gs->env->mem, a);
		return NULL;
	}
	kp_list_push(&gs->author_lru, &a->lru);
	return a;
}

/* Parses the PublicKey pb for a, which must be its owner. */
static kp_err author_set_key(kp_gs *gs, gs_author *a, kp_slice pb)
{
	kp_peer_id id;
	kp_pubkey *key = NULL;
	kp_err err = kp_pubkey_parse(gs->env->crypto, pb, &key, &id);
	if (err != KP_OK)
		return err == KP_E_NOMEM ? err : KP_E_PROTO;
	uint8_t *copy = NULL;
	err = KP_E_PROTO;
	if (kp_peer_id_eq(&id, &a->id)) {
		copy = kp_mem_alloc_raw(gs->env->mem, pb.n);
		err = copy != NULL ? KP_OK : KP_E_NOMEM;
	}
	if (err != KP_OK) {
		gs->env->crypto->ops->pubkey_free(key);
		return err;
	}
	memcpy(copy, pb.p, pb.n);
	a->key = key;
	a->pb = copy;
	a->pb_n = (uint32_t)pb.n;
	return KP_OK;
}

kp_err kp_gs_author_get(kp_gs *gs, const kp_peer_id *from, kp_slice key, bool need_key,
                        gs_author **out)
{
	kp_map_node *n = kp_map_get(&gs->authors, from, sizeof *from);
	gs_author *a = n != NULL ? author_of(n) : author_new(gs, from);
	if (a == NULL)
		return KP_E_NOMEM;
	kp_list_del(&a->lru);
	kp_list_push(&gs->author_lru, &a->lru);
	kp_err err = KP_OK;
	kp_slice pb = key;
	if (need_key && pb.p == NULL && !kp_peer_id_inline_key(&a->id, &pb))
		err = KP_E_PROTO; /* the id is a digest and the message does not bring the key */
	else if (need_key && a->key == NULL)
		err = author_set_key(gs, a, pb);
	else if (need_key && !kp_slice_eq(pb, kp_slice_of(a->pb, a->pb_n)))
		err = KP_E_PROTO;
	if (err != KP_OK) {
		if (n == NULL)
			author_free(gs, a);
		return err;
	}
	a->pins++;
	*out = a;
	return KP_OK;
}

void kp_gs_authors_fini(kp_gs *gs)
{
	KP_LIST_EACH(it, tmp, &gs->author_lru)
	author_free(gs, KP_CONTAINER_OF(it, gs_author, lru));
	kp_map_fini(&gs->authors);
}
