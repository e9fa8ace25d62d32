/* What the node tells the application. An event is a block of the pool: the struct at its head, its
 * short fields copied behind it, and at most one counted payload. It may be read and freed on any
 * thread and outlives the node. Numbers equal the public header's (static_asserts in abi/). */
#ifndef KP_SVC_EVENT_H
#define KP_SVC_EVENT_H

#include "base/buf.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kp_event_type {
	KP_EV_MESSAGE = 1,
	KP_EV_VALIDATE = 2,
	KP_EV_PUBLISHED = 3,
	KP_EV_PEER_UP = 4,
	KP_EV_PEER_DOWN = 5,
	KP_EV_LISTEN = 6,
	KP_EV_COMPLETE = 7,
	KP_EV_DROPPED = 8,
	KP_EV_LOG = 9,
	KP_EV_STATS = 10,
	KP_EV_CLOSED = 11
} kp_event_type;

typedef enum kp_field {
	KP_F_TOPIC,
	KP_F_PAYLOAD,
	KP_F_FROM,
	KP_F_VIA,
	KP_F_ID,
	KP_F_PROTOCOL,
	KP_F_ADDR,
	KP_F_KEY,
	KP_F_VALUE,
	KP_F_TEXT,
	KP_F_COUNT_OF_BYTES
} kp_field;

#define KP_EVF_MORE   1u /* further events of this token follow */
#define KP_EVF_NO_SEQ 2u /* the message had no seqno */

typedef struct kp_event {
	struct kp_event *next; /* for the queue it is in */
	kp_block *block;       /* it lives here */
	kp_ref payload;        /* held for the field that points into it */
	uint16_t type, flags, inbox;
	int32_t code;
	int64_t token, seq, time_ns, count;
	uint32_t used, room; /* of the copy area behind the struct */
	kp_slice f[KP_F_COUNT_OF_BYTES];
} kp_event;

/* room: bytes of short fields that kp_event_copy will be given. NULL = budget used up. */
kp_event *kp_event_new(kp_pool *pool, kp_event_type type, size_t room);
void kp_event_copy(kp_event *ev, kp_field field, kp_slice s); /* cuts at the room left */
void kp_event_hold(kp_event *ev, kp_field field, kp_ref ref, kp_slice part); /* takes over ref */
void kp_event_free(kp_event *ev);

/* What it is charged with in an inbox: the memory it holds, its own block and the payload's. */
size_t kp_event_bytes(const kp_event *ev);

#ifdef __cplusplus
}
#endif
#endif
