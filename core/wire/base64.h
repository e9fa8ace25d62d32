/* base64 of RFC 4648: the standard alphabet with padding for identity keys and JSON, the URL
 * alphabet without padding for certhash. */
#ifndef KP_WIRE_BASE64_H
#define KP_WIRE_BASE64_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_BASE64_TEXT_SIZE(n) (((n) + 2u) / 3u * 4u) /* with padding */

typedef enum kp_base64_form {
	KP_BASE64_STD,      /* + and /, padded: the form of keys and JSON */
	KP_BASE64_STD_BARE, /* + and /, no padding */
	KP_BASE64_URL_BARE, /* - and _, no padding */
} kp_base64_form;

/* Appends the text of `bytes`. */
void kp_base64_write(kp_writer *w, kp_base64_form form, kp_slice bytes);

/* The bytes of a text into out. KP_E_INVAL = a character outside the alphabet (white space too),
 * wrong padding or length, or bits set behind the last byte; KP_E_TOOBIG = more than cap bytes; *n
 * is then unchanged. What was written into out is unspecified on error: wipe it when it may be a
 * key. */
kp_err kp_base64_decode(kp_base64_form form, kp_slice text, uint8_t *out, size_t cap, size_t *n);

#ifdef __cplusplus
}
#endif
#endif
