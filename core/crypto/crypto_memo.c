/* The simulator's table: the build's best backend with a memory of verdicts in front of `verify`.
 * Five hundred nodes of one process check each message once; the answer is the same. */
#include "crypto/crypto_impl.h"

#include "base/map.h"

#include <openssl/crypto.h>

#define MEMO_ENTRIES_MAX 262144u /* about 40 MiB; the oldest verdict goes first */

typedef struct memo_entry {
	kp_map_node node;
	uint8_t digest[32]; /* of everything a verdict depends on */
	kp_err verdict;
} memo_entry;

struct kp_verify_memo {
	kp_mem mem;
	kp_map map;
};

kp_verify_memo *kp_verify_memo_new(void)
{
	/* Digests are uniform and nobody outside the process sees this map. */
	static const uint8_t hash_key[16];
	kp_verify_memo *m = (kp_verify_memo *)OPENSSL_zalloc(sizeof *m);
	if (m == NULL)
		return NULL;
	kp_mem_init(&m->mem, 0);
	kp_map_init(&m->map, &m->mem, hash_key);
	return m;
}

static void memo_drop_oldest(kp_verify_memo *m)
{
	kp_map_node *node = kp_map_first(&m->map);
	kp_map_del(&m->map, node);
	kp_mem_free(&m->mem, KP_CONTAINER_OF(node, memo_entry, node));
}

void kp_verify_memo_free(kp_verify_memo *m)
{
	if (m == NULL)
		return;
	while (kp_map_count(&m->map) > 0)
		memo_drop_oldest(m);
	kp_map_fini(&m->map);
	KP_ASSERT(m->mem.bytes == 0);
	OPENSSL_free(m);
}

static void memo_digest(const kp_pubkey *k, kp_slice message, kp_slice signature, uint8_t out[32])
{
	/* Lengths first, so that no byte can move from one part to its neighbour. */
	const uint64_t head[] = {message.n, signature.n};
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx != NULL && EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) == 1 &&
	         EVP_DigestUpdate(ctx, k->raw, sizeof k->raw) == 1 &&
	         EVP_DigestUpdate(ctx, head, sizeof head) == 1 &&
	         EVP_DigestUpdate(ctx, signature.p, signature.n) == 1 &&
	         EVP_DigestUpdate(ctx, message.p, message.n) == 1 &&
	         EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	KP_ASSERT(ok);
}

static kp_err memo_verify(const kp_pubkey *k, kp_slice message, kp_slice signature)
{
	kp_verify_memo *m = k->memo;
	if (k->type != KP_KEY_ED25519 || m == NULL) /* only these keys are held in `raw` */
		return k->verify(k, message, signature);
	uint8_t digest[32];
	memo_digest(k, message, signature, digest);
	kp_map_node *known = kp_map_get(&m->map, digest, sizeof digest);
	if (known != NULL)
		return KP_CONTAINER_OF(known, memo_entry, node)->verdict;

	kp_err verdict = k->verify(k, message, signature);
	if (verdict == KP_E_NOMEM)
		return verdict;
	if (kp_map_count(&m->map) >= MEMO_ENTRIES_MAX)
		memo_drop_oldest(m);
	memo_entry *e = (memo_entry *)kp_mem_alloc(&m->mem, sizeof *e);
	if (e == NULL)
		return verdict;
	memcpy(e->digest, digest, sizeof digest);
	e->verdict = verdict;
	if (kp_map_put(&m->map, &e->node, e->digest, sizeof e->digest) != KP_OK)
		kp_mem_free(&m->mem, e);
	return verdict;
}

kp_crypto *kp_crypto_new_memo(const uint8_t seed[32], kp_verify_memo *memo)
{
	kp_crypto *c = kp_crypto_new(seed);
	if (c == NULL)
		return NULL;
	kp_crypto_table *t = (kp_crypto_table *)(void *)c;
	t->memo = memo;
	t->ops.verify = memo_verify;
	return c;
}

uint64_t kp_verify_memo_count(const kp_verify_memo *m)
{
	return kp_map_count(&m->map);
}
