#include "wire/peer_id.h"

#include "wire/base58.h"
#include "wire/keys.h"
#include "wire/multibase.h"
#include "wire/varint.h"

enum { HASH_IDENTITY = 0x00, HASH_SHA2_256 = 0x12, CODEC_LIBP2P_KEY = 0x72, CID_VERSION = 1 };

static void peer_id_set(kp_peer_id *out, kp_slice bytes)
{
	KP_ASSERT(bytes.n <= KP_PEER_ID_MAX);
	memset(out, 0, sizeof(*out));
	out->n = (uint8_t)bytes.n;
	memcpy(out->b, bytes.p, bytes.n);
}

kp_err kp_peer_id_parse_bytes(kp_slice bytes, kp_peer_id *out)
{
	kp_slice rest = bytes;
	uint64_t code, n;
	if (kp_varint_read(&rest, &code) != KP_OK || kp_varint_read(&rest, &n) != KP_OK)
		return KP_E_PROTO;
	if (n != rest.n)
		return KP_E_PROTO;
	bool known = (code == HASH_SHA2_256 && n == 32) ||
	             (code == HASH_IDENTITY && n <= KP_PEER_ID_INLINE_MAX);
	if (!known)
		return KP_E_PROTO;
	peer_id_set(out, bytes);
	return KP_OK;
}

/* 01 72 ‖ multihash */
static kp_err peer_id_parse_cid(kp_slice text, kp_peer_id *out)
{
	uint8_t cid[KP_PEER_ID_MAX + 2];
	size_t n;
	if (kp_multibase_decode(text, cid, sizeof(cid), &n) != KP_OK)
		return KP_E_INVAL;
	if (n < 2 || cid[0] != CID_VERSION || cid[1] != CODEC_LIBP2P_KEY)
		return KP_E_INVAL;
	return kp_peer_id_parse_bytes(kp_slice_of(cid + 2, n - 2), out) == KP_OK ? KP_OK
	                                                                         : KP_E_INVAL;
}

kp_err kp_peer_id_parse_text(kp_slice text, kp_peer_id *out)
{
	bool base58 = (text.n > 0 && text.p[0] == '1') ||
	              (text.n > 1 && text.p[0] == 'Q' && text.p[1] == 'm');
	if (!base58)
		return peer_id_parse_cid(text, out);
	uint8_t bytes[KP_PEER_ID_MAX];
	size_t n;
	if (kp_base58_decode(text, bytes, sizeof(bytes), &n) != KP_OK)
		return KP_E_INVAL;
	return kp_peer_id_parse_bytes(kp_slice_of(bytes, n), out) == KP_OK ? KP_OK : KP_E_INVAL;
}

size_t kp_peer_id_text(const kp_peer_id *id, char out[KP_PEER_ID_TEXT_MAX])
{
	KP_ASSERT(id->n <= KP_PEER_ID_MAX);
	size_t n = kp_base58_encode(kp_peer_id_slice(id), out, KP_PEER_ID_TEXT_MAX - 1);
	KP_ASSERT(n > 0 || id->n == 0);
	out[n] = '\0';
	return n;
}

void kp_peer_id_from_digest(const uint8_t digest[32], kp_peer_id *out)
{
	uint8_t bytes[34] = {HASH_SHA2_256, 32};
	memcpy(bytes + 2, digest, 32);
	peer_id_set(out, kp_slice_of(bytes, sizeof(bytes)));
}

kp_err kp_peer_id_from_pubkey(kp_slice pubkey_pb, kp_sha256_fn sha256, kp_peer_id *out)
{
	kp_key_pb key;
	if (kp_key_pb_parse_public(pubkey_pb, &key) != KP_OK)
		return KP_E_PROTO;
	if (pubkey_pb.n > KP_PEER_ID_INLINE_MAX) {
		uint8_t digest[32];
		sha256(pubkey_pb.p, pubkey_pb.n, digest);
		kp_peer_id_from_digest(digest, out);
		return KP_OK;
	}
	uint8_t bytes[KP_PEER_ID_INLINE_MAX + 2] = {HASH_IDENTITY, (uint8_t)pubkey_pb.n};
	memcpy(bytes + 2, pubkey_pb.p, pubkey_pb.n);
	peer_id_set(out, kp_slice_of(bytes, pubkey_pb.n + 2));
	return KP_OK;
}

bool kp_peer_id_inline_key(const kp_peer_id *id, kp_slice *pubkey_pb)
{
	if (id->n < 2 || id->b[0] != HASH_IDENTITY)
		return false;
	*pubkey_pb = kp_slice_of(id->b + 2, id->n - 2u);
	return true;
}
