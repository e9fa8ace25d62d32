/* Protobuf, field by field, in place (the protobuf wire format). No schema: each message's own file
 * says what its fields mean. Nesting is walked by the caller, so no depth is ever reached by
 * recursion.
 */
#ifndef KP_WIRE_PB_H
#define KP_WIRE_PB_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Wire types that may appear; groups (3, 4) and 6, 7 are refused. */
typedef enum kp_pb_type {
	KP_PB_VARINT = 0,
	KP_PB_FIXED64 = 1,
	KP_PB_LEN = 2,
	KP_PB_FIXED32 = 5,
} kp_pb_type;

/* One field as it stood in the input. */
typedef struct kp_pb_field {
	uint32_t number; /* 1 to 2^29 - 1 */
	uint8_t type;    /* kp_pb_type */
	uint64_t value;  /* of KP_PB_VARINT and the fixed types, else 0 */
	kp_slice bytes;  /* of KP_PB_LEN: a view into the input, p != NULL; else missing */
} kp_pb_field;

/* Takes the next field off the front of *in. False at the end (*err = KP_OK) or at malformed input
 * (*err = KP_E_PROTO: cut, field number 0 or too large, group or unknown wire type, varint over 64
 * bits); *in is then unchanged. */
bool kp_pb_next(kp_slice *in, kp_pb_field *f, kp_err *err);

/* Takes one protobuf varint off the front of *in: up to 10 bytes, padding tolerated.
 * KP_E_PROTO = cut or over 64 bits; *in and *out are then unchanged. */
kp_err kp_pb_read_varint(kp_slice *in, uint64_t *out);

/* KP_OK when in is a sequence of well-formed fields; does not look into them. */
kp_err kp_pb_check(kp_slice in);

/* Takes fields off *rest until one with this number. False at the end. *out is its bytes.
 * KP_E_PROTO in *err: malformed, or a field of that number that is not KP_PB_LEN. */
bool kp_pb_next_bytes(kp_slice *rest, uint32_t number, kp_slice *out, kp_err *err);

/* Writers append one whole field; sizes count tag, length and contents. Field order is the
 * caller's. */
void kp_pb_write_varint(kp_writer *w, uint32_t number, uint64_t v);
void kp_pb_write_bytes(kp_writer *w, uint32_t number, kp_slice bytes);
/* As kp_pb_write_bytes, but nothing for a missing slice (p == NULL). */
void kp_pb_write_opt(kp_writer *w, uint32_t number, kp_slice bytes);
/* Tag and length of a KP_PB_LEN field whose `len` bytes the caller appends next. */
void kp_pb_write_tag_len(kp_writer *w, uint32_t number, size_t len);

size_t kp_pb_size_varint(uint32_t number, uint64_t v);
size_t kp_pb_size_bytes(uint32_t number, size_t n);
size_t kp_pb_size_opt(uint32_t number, kp_slice bytes);
size_t kp_pb_size_tag_len(uint32_t number, size_t len);

#ifdef __cplusplus
}
#endif
#endif
