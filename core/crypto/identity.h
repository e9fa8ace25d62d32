/* The node's own key pair, and what is done with other nodes' keys (libp2p peer-ids,
 * RFC 0002 and RFC 0003 of libp2p). */
#ifndef KP_CRYPTO_IDENTITY_H
#define KP_CRYPTO_IDENTITY_H

#include "crypto/crypto.h"
#include "wire/peer_id.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_IDENTITY_TEXT_MAX 160 /* base64 of the PrivateKey protobuf, and a NUL */

typedef struct kp_identity {
	uint8_t seed[32]; /* secret: wiped by kp_identity_wipe */
	uint8_t pub[32];
	kp_peer_id id;
	uint8_t pubkey_pb[36]; /* the PublicKey protobuf, 08 01 12 20 ‖ pub */
} kp_identity;

void kp_identity_generate(kp_crypto *c, kp_identity *out);
void kp_identity_from_seed(kp_crypto *c, const uint8_t seed[32], kp_identity *out);

/* text: base64 of the libp2p PrivateKey protobuf, surrounding white space ignored.
 * KP_E_INVAL = not such a text or key parts that do not match, KP_E_NOTSUP = a key type we can
 * verify but not own; *why says which in a static text. */
kp_err kp_identity_parse(kp_crypto *c, kp_slice text, kp_identity *out, const char **why);
size_t kp_identity_text(const kp_identity *id, char out[KP_IDENTITY_TEXT_MAX]);
void kp_identity_wipe(kp_identity *id);

kp_err kp_identity_sign(kp_crypto *c, const kp_identity *id, kp_slice message, uint8_t sig[64]);

/* The key and peer id of a PublicKey protobuf. KP_E_PROTO = unacceptable. key may be NULL. */
kp_err kp_pubkey_parse(kp_crypto *c, kp_slice pubkey_pb, kp_pubkey **key, kp_peer_id *id);

/* A peer record in a signed envelope, checked: signature, key = peer id (libp2p RFC 0003). Reads
 * both parameter sets, seals the standard one. addrs views the address list in the envelope, for
 * kp_peer_record_next. KP_E_PROTO, KP_E_NOMEM; sealing also KP_E_TOOBIG = out is full. */
kp_err kp_peer_record_open(kp_crypto *c, kp_slice envelope, kp_peer_id *id, uint64_t *seq,
                           kp_slice *addrs);
kp_err kp_peer_record_seal(kp_crypto *c, const kp_identity *id, uint64_t seq, const kp_slice *addrs,
                           size_t n_addrs, kp_writer *out);

#ifdef __cplusplus
}
#endif
#endif
