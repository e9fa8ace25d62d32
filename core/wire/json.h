/* Writing JSON (RFC 8259) into a bounded writer. Members and brackets are the caller's. */
#ifndef KP_WIRE_JSON_H
#define KP_WIRE_JSON_H

#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends a quoted string. Control characters, quote and backslash are escaped; each byte that is
 * not part of valid UTF-8 becomes U+FFFD, so the result is always valid JSON. A missing slice is
 * null. */
void kp_json_str(kp_writer *w, kp_slice s);

/* Appends a quoted string holding the standard base64 of `bytes`; a missing slice is null. */
void kp_json_base64(kp_writer *w, kp_slice bytes);

/* Appends a quoted string of lower-case hex; a missing slice is null. */
void kp_json_hex(kp_writer *w, kp_slice bytes);

void kp_json_u64(kp_writer *w, uint64_t v);
void kp_json_i64(kp_writer *w, int64_t v);
void kp_json_bool(kp_writer *w, bool v);

/* Appends `"name":`, with a comma before it unless *first; sets *first to false. */
void kp_json_key(kp_writer *w, bool *first, const char *name);

/* Appends a comma unless *first; sets *first to false. For array elements. */
void kp_json_sep(kp_writer *w, bool *first);

#ifdef __cplusplus
}
#endif
#endif
