/* Messages on their way out: see pub.h. The block holds, in this order: the struct, the topic, the
 * headroom, the data, the tailroom. */
#include "svc/pub.h"

/* The longest message id that a PUBLISHED event will carry. */
#define PUB_ID_ROOM 64u

kp_pub *kp_pub_new(kp_pool *pool, kp_slice topic, kp_slice data, int64_t token)
{
	size_t head = sizeof(kp_pub) + topic.n + KP_PUB_HEADROOM;
	size_t tail = KP_PUB_TAILROOM + topic.n;
	if (topic.n > UINT16_MAX || data.n > UINT32_MAX - head - tail)
		return NULL;
	kp_block *b = kp_block_new(pool, head + data.n + tail);
	if (b == NULL)
		return NULL;
	kp_pub *p = (kp_pub *)(void *)kp_block_bytes(b);
	memset(p, 0, sizeof *p);
	p->block = b;
	p->token = token;
	uint8_t *at = (uint8_t *)(p + 1);
	if (topic.n > 0)
		memcpy(at, topic.p, topic.n);
	p->topic = kp_slice_of(at, topic.n);
	p->data_off = (uint32_t)head;
	p->data_n = (uint32_t)data.n;
	if (data.n > 0)
		memcpy(kp_block_bytes(b) + head, data.p, data.n);
	if (token != 0) {
		p->done = kp_event_new(pool, KP_EV_PUBLISHED, topic.n + PUB_ID_ROOM);
		if (p->done == NULL) {
			kp_block_unref(b);
			return NULL;
		}
		p->done->token = token;
	}
	return p;
}

void kp_pub_free(kp_pub *p)
{
	if (p == NULL)
		return;
	kp_event_free(p->done);
	kp_block_unref(p->block);
}
