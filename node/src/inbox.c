/* Taking events out of an inbox, many in one call. */
#include "addon.h"

#define INBOX_CLOSED (-1)

/* poll(inbox, buffer) → bytes of packed records now in the buffer; 0 = none at hand; -1 = the node
 * is closed and all is read; less: the first record needs that many bytes (negated). */
napi_value inbox_poll_packed(napi_env env, napi_callback_info info)
{
	arguments a;
	const void *buffer;
	size_t cap, used = 0;
	int64_t inbox;
	core *c = addon_arguments(env, info, &a) ? core_of(env, a.self) : NULL;
	if (c == NULL || !addon_int(env, a.v[0], "inbox", INT32_MIN, INT32_MAX, &inbox) ||
	    !addon_bytes(env, a.v[1], "buffer", &buffer, &cap))
		return NULL;
	if (core_node(c) == NULL)
		return addon_number(env, INBOX_CLOSED);
	int r = lib.node_poll_packed(core_node(c), (int)inbox, (void *)(uintptr_t)buffer, cap,
	                             &used, 0);
	if (r == KP2P_ECLOSED)
		return addon_number(env, INBOX_CLOSED);
	if (r == KP2P_ETOOBIG)
		return addon_number(env, -(double)used);
	if (r < 0)
		return addon_fail(env, r, NULL);
	return addon_number(env, (double)used);
}
