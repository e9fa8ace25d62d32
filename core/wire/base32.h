/* base32 of RFC 4648, lower case, without padding: CIDv1 peer ids and onion names. */
#ifndef KP_WIRE_BASE32_H
#define KP_WIRE_BASE32_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Characters for n bytes, and bytes in n characters (n as kp_base32_decode accepts it). */
#define KP_BASE32_TEXT_SIZE(n)  (((n)*8u + 4u) / 5u)
#define KP_BASE32_BYTES_SIZE(n) ((n)*5u / 8u)

/* Appends the text of `bytes`. */
void kp_base32_write(kp_writer *w, kp_slice bytes);

/* The bytes of a text into out; lower and upper case are equal. KP_E_INVAL = a character outside
 * the alphabet, an impossible length, or bits set behind the last byte; KP_E_TOOBIG = more than cap
 * bytes; *n is then unchanged. An empty text is 0 bytes. */
kp_err kp_base32_decode(kp_slice text, uint8_t *out, size_t cap, size_t *n);

#ifdef __cplusplus
}
#endif
#endif
