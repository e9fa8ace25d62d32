/* The Identify message of the libp2p identify specification. A peer may send several; they merge:
 * the last value of a singular field wins, lists append. Read field by field so that the caller
 * merges as it goes.
 */
#ifndef KP_WIRE_IDENTIFY_MSG_H
#define KP_WIRE_IDENTIFY_MSG_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_IDENTIFY_WRITE_MAX 4096u /* rust reads no more */
#define KP_IDENTIFY_READ_MAX  8192u /* per message */

/* Values are the field numbers. */
typedef enum kp_identify_kind {
	KP_IDENTIFY_PUBLIC_KEY = 1,
	KP_IDENTIFY_LISTEN_ADDR = 2, /* repeated: binary multiaddr, not judged */
	KP_IDENTIFY_PROTOCOL = 3,    /* repeated */
	KP_IDENTIFY_OBSERVED_ADDR = 4,
	KP_IDENTIFY_PROTOCOL_VERSION = 5,
	KP_IDENTIFY_AGENT_VERSION = 6,
	KP_IDENTIFY_SIGNED_RECORD = 8,
} kp_identify_kind;

typedef struct kp_identify_field {
	kp_identify_kind kind;
	kp_slice value; /* view into the input, may be empty */
} kp_identify_field;

/* What a message holds, for caps. */
typedef struct kp_identify_counts {
	uint32_t listen_addrs;
	uint32_t protocols;
} kp_identify_counts;

/* KP_E_PROTO = malformed or a known field that is not bytes. counts may be NULL. */
kp_err kp_identify_validate(kp_slice msg, kp_identify_counts *counts);

/* The next known field of a validated message, in wire order; unknown ones are skipped. False at
 * the end. */
bool kp_identify_next(kp_slice *rest, kp_identify_field *f);

/* A message to write; p == NULL leaves a singular field out. */
typedef struct kp_identify_msg {
	kp_slice public_key;
	const kp_slice *listen_addrs; /* binary, without /p2p, best first */
	size_t n_listen_addrs;
	const kp_slice *protocols;
	size_t n_protocols;
	kp_slice observed_addr;
	kp_slice protocol_version;
	kp_slice agent_version;
	kp_slice signed_record; /* standard form only */
} kp_identify_msg;

/* Appends the message with its length prefix, fields ascending, at most KP_IDENTIFY_WRITE_MAX bytes
 * of message: listen addresses that do not fit are left out from the end, and the record when it
 * does not fit beside them. KP_E_TOOBIG = the rest alone is too long (nothing is written) or w is
 * full. */
kp_err kp_identify_write(kp_writer *w, const kp_identify_msg *m);

#ifdef __cplusplus
}
#endif
#endif
