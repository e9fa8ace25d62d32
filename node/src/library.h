/* The C library as the addon calls it: a table of its functions. A bundled addon has the library
 * inside; a thin one opens libkarakp2p.so.1 beside itself, in a scope of its own, because Node
 * exports its own libuv and OpenSSL, which would take the place of the library's. */
#ifndef KP2P_NODE_LIBRARY_H
#define KP2P_NODE_LIBRARY_H

#include <karakp2p.h>

#include <stddef.h>

/* Every function that the addon calls. */
#define LIBRARY_CALLS(X)                                                                           \
	X(abi_version)                                                                             \
	X(version)                                                                                 \
	X(strerror)                                                                                \
	X(error_message)                                                                           \
	X(error_code)                                                                              \
	X(error_free)                                                                              \
	X(free)                                                                                    \
	X(config_new)                                                                              \
	X(config_set)                                                                              \
	X(config_free)                                                                             \
	X(key_generate)                                                                            \
	X(key_peer_id)                                                                             \
	X(peer_id_parse)                                                                           \
	X(node_new)                                                                                \
	X(node_start)                                                                              \
	X(node_close)                                                                              \
	X(node_free)                                                                               \
	X(sender_new)                                                                              \
	X(sender_free)                                                                             \
	X(sender_publish)                                                                          \
	X(sender_publish_batch)                                                                    \
	X(sender_send)                                                                             \
	X(node_poll_packed)                                                                        \
	X(node_set_wakeup)                                                                         \
	X(node_verdict)                                                                            \
	X(node_request)                                                                            \
	X(node_cancel)                                                                             \
	X(node_info)

#define LIBRARY_MEMBER(name) __typeof__(&kp2p_##name) name;
typedef struct library {
	LIBRARY_CALLS(LIBRARY_MEMBER)
} library;
#undef LIBRARY_MEMBER

/* Filled by library_open, then constant: all environments of the process share it. */
extern library lib;

/* NULL = `lib` can be used, else why not; static text. Any thread, any number of times. */
const char *library_open(void);

#endif
