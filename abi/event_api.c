/* Events: reading and freeing them. */
#include "abi.h"

#include <assert.h>

#define ABI_SAME_EVENT(name) static_assert(KP2P_EV_##name == (int)KP_EV_##name, "KP2P_EV_" #name)
ABI_SAME_EVENT(MESSAGE);
ABI_SAME_EVENT(VALIDATE);
ABI_SAME_EVENT(PUBLISHED);
ABI_SAME_EVENT(PEER_UP);
ABI_SAME_EVENT(PEER_DOWN);
ABI_SAME_EVENT(LISTEN);
ABI_SAME_EVENT(COMPLETE);
ABI_SAME_EVENT(DROPPED);
ABI_SAME_EVENT(LOG);
ABI_SAME_EVENT(STATS);
ABI_SAME_EVENT(CLOSED);
#define ABI_SAME_FIELD(name) static_assert(KP2P_F_##name == (int)KP_F_##name, "KP2P_F_" #name)
ABI_SAME_FIELD(TOPIC);
ABI_SAME_FIELD(PAYLOAD);
ABI_SAME_FIELD(FROM);
ABI_SAME_FIELD(VIA);
ABI_SAME_FIELD(ID);
ABI_SAME_FIELD(PROTOCOL);
ABI_SAME_FIELD(ADDR);
ABI_SAME_FIELD(KEY);
ABI_SAME_FIELD(VALUE);
ABI_SAME_FIELD(TEXT);
static_assert(KP2P_FIELDS == (int)KP_F_COUNT_OF_BYTES, "KP2P_FIELDS");
static_assert(KP2P_FLAG_MORE == KP_EVF_MORE, "KP2P_FLAG_MORE");
static_assert(KP2P_FLAG_NO_SEQ == KP_EVF_NO_SEQ, "KP2P_FLAG_NO_SEQ");
static_assert(KP2P_LOG_ERROR == (int)KP_LEVEL_ERROR, "KP2P_LOG_ERROR");
static_assert(KP2P_LOG_WARN == (int)KP_LEVEL_WARN, "KP2P_LOG_WARN");
static_assert(KP2P_LOG_INFO == (int)KP_LEVEL_INFO, "KP2P_LOG_INFO");
static_assert(KP2P_LOG_DEBUG == (int)KP_LEVEL_DEBUG, "KP2P_LOG_DEBUG");

/* One CLOSED event per code, at place -code: read-only, and never freed. */
#define ABI_CLOSED(name, value, text) [-(value)] = {.type = KP2P_EV_CLOSED, .code = (value)},
static const kp_event abi_closed_events[] = {KP_ERRORS(ABI_CLOSED)};
#undef ABI_CLOSED

kp2p_event *kp_abi_closed(int code)
{
	KP_ASSERT(code < 0 && (size_t)-code < KP_COUNT_OF(abi_closed_events));
	return (kp2p_event *)(uintptr_t)&abi_closed_events[-code];
}

static bool event_is_static(const kp_event *ev)
{
	return (uintptr_t)ev >= (uintptr_t)abi_closed_events &&
	       (uintptr_t)ev < (uintptr_t)(abi_closed_events + KP_COUNT_OF(abi_closed_events));
}

static const kp_event *event_of(const kp2p_event *event)
{
	return (const kp_event *)(const void *)event;
}

int kp2p_event_type(const kp2p_event *event)
{
	return event != NULL ? event_of(event)->type : 0;
}

kp2p_bytes kp2p_event_bytes(const kp2p_event *event, int field)
{
	kp2p_bytes b = {NULL, 0};
	if (event == NULL || field < 0 || field >= KP2P_FIELDS)
		return b;
	kp_slice s = event_of(event)->f[field];
	b.ptr = (const char *)s.p;
	b.len = s.n;
	return b;
}

int64_t kp2p_event_int(const kp2p_event *event, int field)
{
	const kp_event *ev = event_of(event);
	if (ev == NULL)
		return 0;
	switch (field) {
	case KP2P_F_TOKEN:
		return ev->token;
	case KP2P_F_CODE:
		return ev->code;
	case KP2P_F_SEQ:
		return ev->seq;
	case KP2P_F_TIME_NS:
		return ev->time_ns;
	case KP2P_F_COUNT:
		return ev->type == KP2P_EV_COMPLETE ? 0 : ev->count;
	case KP2P_F_RTT_US:
		return ev->type == KP2P_EV_COMPLETE ? ev->count : 0;
	case KP2P_F_INBOX:
		return ev->inbox;
	case KP2P_F_FLAGS:
		return ev->flags;
	default:
		return 0;
	}
}

void kp2p_events_free(kp2p_event **events, size_t n)
{
	for (size_t i = 0; events != NULL && i < n; i++) {
		if (!event_is_static(kp_abi_event(events[i])))
			kp_event_free(kp_abi_event(events[i]));
		events[i] = NULL;
	}
}
