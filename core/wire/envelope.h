/* Signed envelopes and peer records (libp2p RFC 0002 and 0003): reading, building and the bytes
 * that are signed. Verifying and sealing is crypto/identity.h. */
#ifndef KP_WIRE_ENVELOPE_H
#define KP_WIRE_ENVELOPE_H

#include "base/err.h"
#include "base/slice.h"
#include "wire/peer_id.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The two incompatible parameter sets: domain and payload type. */
typedef enum kp_record_form {
	KP_RECORD_STANDARD,      /* go, js, py; what we send */
	KP_RECORD_ROUTING_STATE, /* rust's default; read only */
} kp_record_form;

kp_slice kp_record_domain(kp_record_form form);
kp_slice kp_record_payload_type(kp_record_form form);

/* Views into the input. */
typedef struct kp_envelope {
	kp_slice public_key; /* PublicKey protobuf, as received */
	kp_slice payload_type;
	kp_slice payload;
	kp_slice signature;
} kp_envelope;

/* KP_E_PROTO = malformed, or one of the four is missing, or key or signature is empty. */
kp_err kp_envelope_parse(kp_slice in, kp_envelope *out);

size_t kp_envelope_size(const kp_envelope *e);
void kp_envelope_write(kp_writer *w, const kp_envelope *e);

/* Which peer-record form the payload type names. False = neither. */
bool kp_envelope_form(const kp_envelope *e, kp_record_form *out);

/* Appends what the signature covers: uvarint length ‖ bytes of domain, payload type and payload. */
void kp_envelope_write_signed(kp_writer *w, kp_slice domain, kp_slice payload_type,
                              kp_slice payload);
size_t kp_envelope_signed_size(kp_slice domain, kp_slice payload_type, kp_slice payload);

typedef struct kp_peer_record {
	kp_peer_id id;
	uint64_t seq;
	kp_slice addrs; /* for kp_peer_record_next; view into the input */
} kp_peer_record;

/* Reads the payload. KP_E_PROTO = malformed, or peer_id missing or not a peer id. A missing seq is
 * 0. Addresses are not judged: one that does not parse is skipped by the caller, as go does. */
kp_err kp_peer_record_parse(kp_slice payload, kp_peer_record *out);

/* Takes the next binary multiaddr off *rest (copied from .addrs). False at the end. */
bool kp_peer_record_next(kp_slice *rest, kp_slice *addr);

/* Appends the payload of a record. addrs: binary multiaddrs. */
void kp_peer_record_write(kp_writer *w, const kp_peer_id *id, uint64_t seq, const kp_slice *addrs,
                          size_t n_addrs);

#ifdef __cplusplus
}
#endif
#endif
