/* Peer ids: a multihash by value, and its texts (the libp2p peer-ids specification). */
#ifndef KP_WIRE_PEER_ID_H
#define KP_WIRE_PEER_ID_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_PEER_ID_MAX        46 /* bytes any id may have; the forms we accept have 2 to 44 */
#define KP_PEER_ID_INLINE_MAX 42 /* longest PublicKey that an identity multihash holds */
#define KP_PEER_ID_TEXT_MAX   80 /* longest base58 text (61) and a NUL, with room */

/* n == 0 names nobody. Bytes behind n are always zero, so memcmp of the whole struct compares. */
typedef struct kp_peer_id {
	uint8_t n;
	uint8_t b[47];
} kp_peer_id;

typedef void (*kp_sha256_fn)(const void *bytes, size_t n, uint8_t out[32]);

static inline kp_slice kp_peer_id_slice(const kp_peer_id *id)
{
	return kp_slice_of(id->b, id->n);
}

static inline bool kp_peer_id_eq(const kp_peer_id *a, const kp_peer_id *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool kp_peer_id_none(const kp_peer_id *id)
{
	return id->n == 0;
}

/* From multihash bytes: sha2-256 with 32 bytes, or identity with at most 42; nothing may follow.
 * KP_E_PROTO = anything else; *out is then unchanged. */
kp_err kp_peer_id_parse_bytes(kp_slice bytes, kp_peer_id *out);

/* From text: base58 when it begins with 1 or Qm, else a CIDv1 in a multibase of multibase.h with
 * the codec libp2p-key (0x72). KP_E_INVAL = anything else; *out is then unchanged. */
kp_err kp_peer_id_parse_text(kp_slice text, kp_peer_id *out);

/* The base58 text with a NUL; returns its length without the NUL. An id that names nobody is "". */
size_t kp_peer_id_text(const kp_peer_id *id, char out[KP_PEER_ID_TEXT_MAX]);

/* The id of a PublicKey protobuf: inline up to 42 bytes, else its digest. sha256 keeps wire/ free
 * of crypto (pass ops->sha256). KP_E_PROTO = not a strict PublicKey (keys.h); *out is then
 * unchanged. */
kp_err kp_peer_id_from_pubkey(kp_slice pubkey_pb, kp_sha256_fn sha256, kp_peer_id *out);

/* The id whose sha2-256 digest this is. */
void kp_peer_id_from_digest(const uint8_t digest[32], kp_peer_id *out);

/* True when the id holds its key: *pubkey_pb is a view into *id (the bytes are not checked to be a
 * key; kp_key_pb_parse_public does that). False: the key must come from elsewhere. */
bool kp_peer_id_inline_key(const kp_peer_id *id, kp_slice *pubkey_pb);

#ifdef __cplusplus
}
#endif
#endif
