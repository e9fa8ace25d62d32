/* IP addresses as text: strict in, canonical out (RFC 5952). */
#ifndef KP_WIRE_IP_TEXT_H
#define KP_WIRE_IP_TEXT_H

#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_IP_TEXT_MAX 46u /* longest text of either kind and a NUL */

/* Four decimal parts, no leading zeros. False = anything else; out is then unchanged. */
bool kp_ip4_parse(kp_slice text, uint8_t out[4]);

/* Any form of RFC 4291 without scope. False = anything else; out is then unchanged. */
bool kp_ip6_parse(kp_slice text, uint8_t out[16]);

void kp_ip4_write(kp_writer *w, const uint8_t ip[4]);

/* Lower case, the longest run of zero groups as ::, IPv4-mapped with a dotted end. */
void kp_ip6_write(kp_writer *w, const uint8_t ip[16]);

#ifdef __cplusplus
}
#endif
#endif
