/* base58btc, and base36 which works the same way: positional number texts (multibase).
 * The work grows with the square of the length, so both directions are bounded. */
#ifndef KP_WIRE_BASE58_H
#define KP_WIRE_BASE58_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Longest input of encode and output of decode; the longest text that is looked at (base36 of that
 * many bytes; base58 has 175). */
#define KP_BASE58_BYTES_MAX 128u
#define KP_BASE58_TEXT_MAX  200u

/* The text of `bytes` (n ≤ KP_BASE58_BYTES_MAX) into out, without a NUL. Returns its length, or 0
 * when it does not fit cap (or bytes is empty). */
size_t kp_base58_encode(kp_slice bytes, char *out, size_t cap);

/* The bytes of a text into out. KP_E_INVAL = a character outside the alphabet or an empty text,
 * KP_E_TOOBIG = text longer than KP_BASE58_TEXT_MAX or more than cap bytes; *n is then unchanged.
 */
kp_err kp_base58_decode(kp_slice text, uint8_t *out, size_t cap, size_t *n);

/* As kp_base58_decode; lower and upper case are equal. */
kp_err kp_base36_decode(kp_slice text, uint8_t *out, size_t cap, size_t *n);

#ifdef __cplusplus
}
#endif
#endif
