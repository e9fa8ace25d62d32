/* UTF-8 as Unicode defines it: no surrogates, no overlong forms, nothing above U+10FFFF. */
#ifndef KP_WIRE_UTF8_H
#define KP_WIRE_UTF8_H

#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the character at the front of s: 1 to 4, or 0 when s is empty or does not begin with
 * one. */
size_t kp_utf8_first(kp_slice s);

/* True when all of s is valid; an empty or missing slice is. */
bool kp_utf8_valid(kp_slice s);

#ifdef __cplusplus
}
#endif
#endif
