/* The PublicKey and PrivateKey protobufs of the libp2p peer-ids specification: type and bytes, and
 * the lengths that can be judged without arithmetic. Curve points, DER and moduli are crypto/'s. */
#ifndef KP_WIRE_KEYS_H
#define KP_WIRE_KEYS_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Values are the wire's. */
typedef enum kp_key_type {
	KP_KEY_RSA = 0,
	KP_KEY_ED25519 = 1,
	KP_KEY_SECP256K1 = 2,
	KP_KEY_ECDSA = 3,
} kp_key_type;

#define KP_PUBKEY_DATA_MAX  2048u /* RSA-8192 SubjectPublicKeyInfo is about 1,060 */
#define KP_PRIVKEY_DATA_MAX 8192u /* RSA-8192 PKCS#1 is about 4,700 */
#define KP_PUBKEY_PB_MAX    (KP_PUBKEY_DATA_MAX + 8u)

typedef struct kp_key_pb {
	kp_key_type type;
	kp_slice data; /* view into the input */
} kp_key_pb;

/* Reads a PublicKey. Only the deterministic form passes (Type, then Data, minimal varints, nothing
 * else), because peer ids hash these bytes. KP_E_PROTO = any other form, an unknown type, or Data
 * of a length that type cannot have (Ed25519 32; Secp256k1 33 beginning 02 or 03; the DER types 1
 * to KP_PUBKEY_DATA_MAX). */
kp_err kp_key_pb_parse_public(kp_slice in, kp_key_pb *out);

/* Reads a PrivateKey, equally strict: Ed25519 64 bytes seed ‖ public, or the old 96-byte form whose
 * two public halves are equal (data then views the first 64); Secp256k1 32; the DER types 1 to
 * KP_PRIVKEY_DATA_MAX. Whether the halves belong together is for crypto/ to check. */
kp_err kp_key_pb_parse_private(kp_slice in, kp_key_pb *out);

/* The same form for both kinds of key. */
size_t kp_key_pb_size(kp_key_type type, size_t data_n);
void kp_key_pb_write(kp_writer *w, kp_key_type type, kp_slice data);

/* "RSA", "Ed25519", "Secp256k1", "ECDSA". */
const char *kp_key_type_text(kp_key_type type);

#ifdef __cplusplus
}
#endif
#endif
