/* Length-delimited messages (uvarint length, then that many bytes) put together from whatever cuts
 * a stream delivers. The length is judged before anything is allocated; the body is one exact
 * block. Used by services on the bytes of one stream. */
#ifndef KP_CONN_LENFRAME_H
#define KP_CONN_LENFRAME_H

#include "base/buf.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zero is a valid start (stream state is zeroed); set skip_big right after if wanted. */
typedef struct kp_lenframe {
	uint64_t len;   /* of the body, complete once in_body */
	uint64_t got;   /* body bytes seen, ≤ len */
	kp_block *body; /* NULL before the first body byte and while skipping */
	uint8_t shift;  /* bits of the length read so far */
	bool in_body;   /* the length is known */
	bool skipping;  /* this body is being swallowed */
	bool skip_big;  /* a body above max is swallowed instead of being a protocol error */
} kp_lenframe;

/* Consumes from *in up to the end of one frame. Call again while *in is not empty.
 *   KP_OK       a frame is complete: *out is the caller's (kp_ref_drop); an empty frame is an empty
 *               ref without a block
 *   KP_E_AGAIN  *in is used up, the frame is not complete
 *   KP_E_PROTO  length not a minimal uvarint of at most 63 bits, or above max without skip_big
 *   KP_E_TOOBIG skip_big only, once per such frame (f->len tells its size): call on, its bytes are
 *               swallowed
 *   KP_E_LIMIT  no memory for the body; nothing of it is consumed: call again later with the rest,
 * or kp_lenframe_skip and go on Except for KP_OK *out is an empty ref. After KP_E_PROTO only
 * kp_lenframe_fini may follow. */
kp_err kp_lenframe_feed(kp_lenframe *f, kp_pool *pool, uint32_t max, kp_slice *in, kp_ref *out);

/* After KP_E_LIMIT: swallows the frame whose length has just been read. */
void kp_lenframe_skip(kp_lenframe *f);

/* True between two frames: a stream that ends here ended cleanly. */
static inline bool kp_lenframe_idle(const kp_lenframe *f)
{
	/* from the first byte of a length to the last of its body it is not 0 */
	return f->shift == 0;
}

/* Drops an incomplete frame; ready for a new one. */
void kp_lenframe_fini(kp_lenframe *f);

#ifdef __cplusplus
}
#endif
#endif
