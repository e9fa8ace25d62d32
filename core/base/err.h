/* The one error enum of the library, and the reasons for which a connection ends.
 * Values are ABI: frozen, append only, never reused. The public header's KP2P_EX
 * are made equal to KP_E_X by static_asserts in abi/. */
#ifndef KP_BASE_ERR_H
#define KP_BASE_ERR_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, value, text) */
#define KP_ERRORS(X)                                                                               \
	X(INTERNAL, -1, "internal error")                                                          \
	X(INVAL, -2, "invalid argument")                                                           \
	X(NOMEM, -3, "out of memory")                                                              \
	X(AGAIN, -4, "try again")                                                                  \
	X(TIMEDOUT, -5, "timed out")                                                               \
	X(INTR, -6, "interrupted")                                                                 \
	X(CLOSED, -7, "closed")                                                                    \
	X(CANCELED, -8, "canceled")                                                                \
	X(FORKED, -9, "used in a forked child")                                                    \
	X(STATE, -10, "not possible in this state")                                                \
	X(NOTFOUND, -11, "not found")                                                              \
	X(TOOBIG, -12, "too big")                                                                  \
	X(DUPLICATE, -13, "duplicate")                                                             \
	X(NOPEERS, -14, "no peers")                                                                \
	X(EXPIRED, -15, "expired")                                                                 \
	X(UNREACHABLE, -16, "unreachable")                                                         \
	X(PROTO, -17, "protocol error")                                                            \
	X(ADDRINUSE, -18, "address in use")                                                        \
	X(ACCES, -19, "permission denied")                                                         \
	X(LIMIT, -20, "limit reached")                                                             \
	X(NOTSUP, -21, "not supported")                                                            \
	X(PEERID, -22, "wrong peer id")

typedef enum kp_err {
	KP_OK = 0,
#define KP_ERR_ENUM(name, value, text) KP_E_##name = (value),
	KP_ERRORS(KP_ERR_ENUM)
#undef KP_ERR_ENUM
} kp_err;

/* The fixed text of a code; never NULL, also for a code from a newer library. */
const char *kp_err_text(int code);

/* Why a connection ended, and by that who ended it. X(name, code for the application, text) */
#define KP_WHYS(X)                                                                                 \
	X(NONE, KP_OK, "open")                                                                     \
	X(PEER_CLOSED, KP_OK, "closed by the peer")                                                \
	X(PEER_GOAWAY, KP_OK, "peer said goodbye")                                                 \
	X(LOCAL_CLOSE, KP_OK, "closed by us")                                                      \
	X(SHUTDOWN, KP_OK, "node is shutting down")                                                \
	X(IDLE, KP_OK, "idle")                                                                     \
	X(TRIMMED, KP_E_LIMIT, "trimmed: too many connections")                                    \
	X(REFUSED_LIMIT, KP_E_LIMIT, "refused: connection limit")                                  \
	X(HALF_OPEN_LIMIT, KP_E_LIMIT, "refused: too many half-open connections")                  \
	X(MEMORY, KP_E_LIMIT, "memory budget reached")                                             \
	X(DIAL_LOST, KP_E_CANCELED, "another address of the peer answered first")                  \
	X(UNREACHABLE, KP_E_UNREACHABLE, "unreachable")                                            \
	X(IO, KP_E_UNREACHABLE, "connection lost")                                                 \
	X(HANDSHAKE_TIMEOUT, KP_E_TIMEDOUT, "handshake timed out")                                 \
	X(KEEPALIVE_TIMEOUT, KP_E_TIMEDOUT, "peer stopped answering")                              \
	X(WRONG_PEER_ID, KP_E_PEERID, "wrong peer id")                                             \
	X(SELF, KP_E_PEERID, "dialled ourselves")                                                  \
	X(DENIED, KP_E_ACCES, "refused by the keys allow and deny")                                \
	X(NEGOTIATION, KP_E_PROTO, "no common security or muxer protocol")                         \
	X(BAD_MSS, KP_E_PROTO, "multistream-select violated")                                      \
	X(BAD_NOISE, KP_E_PROTO, "noise handshake or frame invalid")                               \
	X(BAD_YAMUX, KP_E_PROTO, "yamux violated")                                                 \
	X(FLOOD, KP_E_PROTO, "peer floods us")                                                     \
	X(STREAMS_DEAD, KP_E_PROTO, "peer keeps refusing our streams")

typedef enum kp_why {
#define KP_WHY_ENUM(name, code, text) KP_WHY_##name,
	KP_WHYS(KP_WHY_ENUM)
#undef KP_WHY_ENUM
	        KP_WHY_COUNT
} kp_why;

const char *kp_why_text(kp_why why);
kp_err kp_why_code(kp_why why);

#ifdef __cplusplus
}
#endif
#endif
