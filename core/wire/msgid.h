/* Message id functions (key `message_id`). All nodes of a topic must use the same one. */
#ifndef KP_WIRE_MSGID_H
#define KP_WIRE_MSGID_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_MSGID_KARAK_MAX 20u /* decimal digits of 2^64 - 1 */

/* Karak's: SipHash-1-3 under the zero key over the length (u64 little endian) and the data, as
 * ASCII decimal, no NUL. Returns its length. */
size_t kp_msgid_karak(kp_slice data, uint8_t out[KP_MSGID_KARAK_MAX]);

/* The default of the spec, go and py: from ‖ seqno as sent, a missing one is empty. Appends to w.
 */
void kp_msgid_from_seqno(kp_writer *w, kp_slice from, kp_slice seqno);

/* The digest itself, binary (js StrictNoSign); computed by the caller over the data. Appends to w.
 */
void kp_msgid_sha256(kp_writer *w, const uint8_t digest[32]);

#ifdef __cplusplus
}
#endif
#endif
