/* Peer ids and keys, from bytes and from text. */
#include "wire/keys.h"
#include "wire/peer_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_digest(const void *bytes, size_t n, uint8_t out[32])
{
	memset(out, (int)(n & 0xff), 32);
	if (n > 0)
		out[0] = *(const uint8_t *)bytes;
}

static void fuzz_id(const kp_peer_id *id)
{
	kp_peer_id back;
	KP_ASSERT(id->n >= 2 && id->n <= KP_PEER_ID_INLINE_MAX + 2);
	KP_ASSERT(kp_peer_id_parse_bytes(kp_peer_id_slice(id), &back) == KP_OK);
	KP_ASSERT(kp_peer_id_eq(id, &back));
	char text[KP_PEER_ID_TEXT_MAX];
	size_t n = kp_peer_id_text(id, text);
	KP_ASSERT(n > 0 && text[n] == '\0' && strlen(text) == n);
	KP_ASSERT(kp_peer_id_parse_text(kp_slice_of(text, n), &back) == KP_OK);
	KP_ASSERT(kp_peer_id_eq(id, &back));
	kp_slice key;
	if (kp_peer_id_inline_key(id, &key))
		KP_ASSERT(key.n == id->n - 2u);
}

static void fuzz_key(kp_slice in, kp_err (*parse)(kp_slice, kp_key_pb *))
{
	kp_key_pb k, back;
	if (parse(in, &k) != KP_OK)
		return;
	uint8_t out[KP_PRIVKEY_DATA_MAX + 8];
	kp_writer w = kp_writer_of(out, sizeof(out));
	kp_key_pb_write(&w, k.type, k.data);
	KP_ASSERT(!w.full && w.n == kp_key_pb_size(k.type, k.data.n));
	KP_ASSERT(parse(kp_slice_of(out, w.n), &back) == KP_OK);
	KP_ASSERT(back.type == k.type && kp_slice_eq(back.data, k.data));
	if (parse != kp_key_pb_parse_public)
		return;
	KP_ASSERT(w.n == in.n && memcmp(out, in.p, in.n) == 0); /* one form only */
	kp_peer_id id;
	kp_slice inline_key;
	KP_ASSERT(kp_peer_id_from_pubkey(in, fuzz_digest, &id) == KP_OK);
	fuzz_id(&id);
	bool holds = kp_peer_id_inline_key(&id, &inline_key);
	KP_ASSERT(holds == (in.n <= KP_PEER_ID_INLINE_MAX));
	if (holds)
		KP_ASSERT(kp_slice_eq(inline_key, in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kp_slice in = kp_slice_of(data, size);
	kp_peer_id id;
	if (kp_peer_id_parse_bytes(in, &id) == KP_OK)
		fuzz_id(&id);
	if (kp_peer_id_parse_text(in, &id) == KP_OK)
		fuzz_id(&id);
	fuzz_key(in, kp_key_pb_parse_public);
	fuzz_key(in, kp_key_pb_parse_private);
	return 0;
}
