/* Hostile bytes at the symmetric state, the frame cipher and the key and envelope readers. The
 * input is a list of operations: one byte says which, one or two how many of the next bytes it
 * takes. Asserted: what one side seals the other opens; a refused message changes nothing; a key
 * that is accepted has one encoding; random bytes never verify under a key of ours. */
#include "crypto/identity.h"
#include "crypto/noise_sym.h"
#include "wire/keys.h"

#include <stdlib.h>

#define FUZZ_PART_MAX 1024u

struct fuzz_pair {
	kp_crypto *c;
	kp_noise_sym tx, rx;
	kp_aead *seal, *open;
	uint64_t counter;
	kp_identity id;
	kp_pubkey *key; /* of id */
};

static kp_slice take_part(kp_slice *in)
{
	size_t n = 0;
	if (in->n >= 2) {
		kp_slice head = kp_slice_take(in, 2);
		n = (size_t)(head.p[0] << 8 | head.p[1]) % (FUZZ_PART_MAX + 1);
	}
	return kp_slice_take(in, KP_MIN(n, in->n));
}

static void mix(struct fuzz_pair *f, kp_slice part)
{
	uint8_t ikm[32] = {0};
	memcpy(ikm, part.p, KP_MIN(part.n, sizeof ikm));
	kp_noise_sym_mix_key(&f->tx, ikm);
	kp_noise_sym_mix_key(&f->rx, ikm);
}

static void sym_round_trip(struct fuzz_pair *f, kp_slice part)
{
	uint8_t box[FUZZ_PART_MAX + KP_AEAD_TAG];
	kp_slice plain;
	size_t n = kp_noise_sym_seal(&f->tx, part, box);
	KP_ASSERT(n == part.n + (f->tx.has_key ? KP_AEAD_TAG : 0));
	KP_ASSERT(kp_noise_sym_open(&f->rx, box, n, &plain) == KP_OK);
	KP_ASSERT(kp_slice_eq(plain, part) && memcmp(f->tx.h, f->rx.h, sizeof f->tx.h) == 0);
}

static void sym_garbage(struct fuzz_pair *f, kp_slice part)
{
	uint8_t box[FUZZ_PART_MAX];
	kp_slice plain;
	if (!f->rx.has_key)
		return; /* without a key everything is accepted, and both sides would differ */
	memcpy(box, part.p, part.n);
	const kp_noise_sym before = f->rx;
	KP_ASSERT(kp_noise_sym_open(&f->rx, box, part.n, &plain) == KP_E_PROTO);
	KP_ASSERT(memcmp(&before, &f->rx, sizeof before) == 0);
}

static void frame_round_trip(struct fuzz_pair *f, kp_slice part)
{
	uint8_t box[FUZZ_PART_MAX + KP_AEAD_TAG];
	size_t cut = part.n / 3;
	const kp_slice v[] = {kp_slice_of(part.p, cut), kp_slice_of(part.p + cut, part.n - cut)};
	const kp_crypto_ops *ops = f->c->ops;
	KP_ASSERT(ops->aead_seal(f->seal, f->counter, part, v, 2, box) == KP_OK);
	if (part.n > 0 && (part.p[0] & 1) != 0) {
		box[part.n / 2] ^= 1;
		KP_ASSERT(ops->aead_open(f->open, f->counter, part, box, part.n + KP_AEAD_TAG) ==
		          KP_E_PROTO);
	} else {
		KP_ASSERT(ops->aead_open(f->open, f->counter, part, box, part.n + KP_AEAD_TAG) ==
		          KP_OK);
		KP_ASSERT(part.n == 0 || memcmp(box, part.p, part.n) == 0);
	}
	f->counter++;
}

static void read_key(struct fuzz_pair *f, kp_slice part)
{
	kp_pubkey *key = NULL;
	kp_peer_id id;
	kp_key_pb pb;
	uint8_t again[KP_PUBKEY_PB_MAX];
	if (kp_pubkey_parse(f->c, part, &key, &id) != KP_OK)
		return;
	KP_ASSERT(kp_key_pb_parse_public(part, &pb) == KP_OK);
	kp_writer w = kp_writer_of(again, sizeof again);
	kp_key_pb_write(&w, pb.type, pb.data);
	KP_ASSERT(!w.full && kp_slice_eq(kp_slice_of(again, w.n), part));
	f->c->ops->verify(key, part, part);
	f->c->ops->pubkey_free(key);
}

static void read_texts_and_records(struct fuzz_pair *f, kp_slice part)
{
	kp_identity id;
	kp_peer_id pid;
	uint64_t seq;
	kp_slice addrs;
	const char *why;
	if (kp_identity_parse(f->c, part, &id, &why) == KP_OK) {
		char text[KP_IDENTITY_TEXT_MAX];
		KP_ASSERT(kp_identity_text(&id, text) == 92);
	}
	(void)kp_peer_record_open(f->c, part, &pid, &seq, &addrs);
	KP_ASSERT(f->c->ops->verify(f->key, part, part) == KP_E_PROTO);
}

static void start(struct fuzz_pair *f)
{
	static const uint8_t seed[32] = {7};
	f->c = kp_crypto_new(seed);
	KP_ASSERT(f->c != NULL);
	kp_noise_sym_init(&f->tx, f->c);
	kp_noise_sym_init(&f->rx, f->c);
	f->seal = f->c->ops->aead_new(f->c, seed);
	f->open = f->c->ops->aead_new(f->c, seed);
	f->counter = 0;
	kp_identity_generate(f->c, &f->id);
	kp_err r = f->c->ops->pubkey_new(f->c, KP_KEY_ED25519, kp_slice_of(f->id.pub, 32), &f->key);
	KP_ASSERT(r == KP_OK && f->seal != NULL && f->open != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const operations[])(struct fuzz_pair *, kp_slice) = {
	        mix,      sym_round_trip,         sym_garbage, frame_round_trip,
	        read_key, read_texts_and_records,
	};
	struct fuzz_pair f;
	kp_slice in = kp_slice_of(data, size);
	start(&f);
	for (int i = 0; i < 64 && in.n > 0; i++) {
		size_t which = kp_slice_take(&in, 1).p[0] % KP_COUNT_OF(operations);
		operations[which](&f, take_part(&in));
	}
	f.c->ops->pubkey_free(f.key);
	f.c->ops->aead_free(f.seal);
	f.c->ops->aead_free(f.open);
	f.c->ops->free(f.c);
	return 0;
}
