/* A message on its way out: made on the application's thread with the one copy of its bytes, queued
 * in the outbox, then framed and signed in place and shared by all recipients. */
#ifndef KP_SVC_PUB_H
#define KP_SVC_PUB_H

#include "base/buf.h"
#include "svc/event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In front of the data: RPC and message prefixes, `from`, the tag and length of `data`, and the 14
 * bytes of the signing prefix. Behind it: seqno, topic, signature. */
#define KP_PUB_HEADROOM 128u
#define KP_PUB_TAILROOM 128u /* plus the topic's length */

typedef struct kp_pub {
	struct kp_pub *next; /* for the outbox */
	kp_block *block;     /* it lives at the head of this block */
	kp_event *done;      /* the reserved PUBLISHED event; NULL for token 0 */
	int64_t token;
	kp_slice topic; /* in the block */
	uint32_t data_off, data_n;
} kp_pub;

/* Any thread. NULL = memory budget used up. token ≠ 0 also reserves the PUBLISHED event. */
kp_pub *kp_pub_new(kp_pool *pool, kp_slice topic, kp_slice data, int64_t token);
void kp_pub_free(kp_pub *p); /* with its reserved event, if it still has it */

/* What it is charged with in a queue: the memory it holds. Changes when `done` is taken from it. */
static inline size_t kp_pub_charge(const kp_pub *p)
{
	return kp_block_charge(p->block) + (p->done != NULL ? kp_event_bytes(p->done) : 0);
}

static inline kp_slice kp_pub_data(const kp_pub *p)
{
	return kp_slice_of(kp_block_bytes(p->block) + p->data_off, p->data_n);
}

#ifdef __cplusplus
}
#endif
#endif
