/* Events: see event.h. */
#include "svc/event.h"

static uint8_t *event_area(kp_event *ev)
{
	return (uint8_t *)(ev + 1);
}

kp_event *kp_event_new(kp_pool *pool, kp_event_type type, size_t room)
{
	if (room > UINT32_MAX - sizeof(kp_event))
		return NULL;
	kp_block *b = kp_block_new(pool, sizeof(kp_event) + room);
	if (b == NULL)
		return NULL;
	kp_event *ev = (kp_event *)(void *)kp_block_bytes(b);
	memset(ev, 0, sizeof *ev);
	ev->block = b;
	ev->type = (uint16_t)type;
	ev->room = (uint32_t)room;
	return ev;
}

void kp_event_copy(kp_event *ev, kp_field field, kp_slice s)
{
	KP_ASSERT(field < KP_F_COUNT_OF_BYTES && ev->f[field].p == NULL);
	if (s.p == NULL)
		return;
	size_t n = KP_MIN(s.n, (size_t)(ev->room - ev->used));
	uint8_t *at = event_area(ev) + ev->used;
	if (n > 0)
		memcpy(at, s.p, n);
	ev->used += (uint32_t)n;
	ev->f[field] = kp_slice_of(at, n);
}

void kp_event_hold(kp_event *ev, kp_field field, kp_ref ref, kp_slice part)
{
	KP_ASSERT(field < KP_F_COUNT_OF_BYTES && ev->payload.block == NULL);
	KP_ASSERT(part.n == 0 || ref.block != NULL);
	ev->payload = ref;
	/* an empty payload is present: it must not read as a missing one */
	ev->f[field] = part.p != NULL ? part : kp_slice_of(event_area(ev), 0);
}

void kp_event_free(kp_event *ev)
{
	if (ev == NULL)
		return;
	kp_ref_drop(&ev->payload);
	kp_block_unref(ev->block);
}

size_t kp_event_bytes(const kp_event *ev)
{
	return kp_block_charge(ev->block) + kp_block_charge(ev->payload.block);
}
