/* The unsigned varint of libp2p framing (multiformats unsigned-varint): at most 9 bytes, minimal
 * form only. Varints inside protobuf messages follow looser rules and are read by pb.h. */
#ifndef KP_WIRE_VARINT_H
#define KP_WIRE_VARINT_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_VARINT_MAX_SIZE  9u                 /* bytes of the longest uvarint */
#define KP_VARINT_MAX_VALUE (UINT64_MAX >> 1u) /* 63 bits */

/* Bytes that v takes as a varint: 1 to 9 for a uvarint, 10 for protobuf values of 64 bits. */
size_t kp_varint_size(uint64_t v);

/* Appends v. Values above KP_VARINT_MAX_VALUE are for protobuf fields only; framing never has them.
 */
void kp_varint_write(kp_writer *w, uint64_t v);

/* Takes one uvarint off the front of *in. KP_E_AGAIN = *in ends inside it, KP_E_PROTO = not minimal
 * or longer than 9 bytes (said as soon as the bytes show it); in both cases *in and *out are
 * unchanged. */
kp_err kp_varint_read(kp_slice *in, uint64_t *out);

#ifdef __cplusplus
}
#endif
#endif
