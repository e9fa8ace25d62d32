/* Multibase: a text whose first character names its base. Only what peer ids and certhash use in
 * the wild: f F (base16), b B (base32), k K (base36), z (base58btc), m (base64), u (base64url). */
#ifndef KP_WIRE_MULTIBASE_H
#define KP_WIRE_MULTIBASE_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The bytes of a text into out. KP_E_INVAL = empty, unknown base or bad text, KP_E_TOOBIG = more
 * than cap bytes; *n is then unchanged. */
kp_err kp_multibase_decode(kp_slice text, uint8_t *out, size_t cap, size_t *n);

#ifdef __cplusplus
}
#endif
#endif
