/* Typed trace points: integers only, folded into a running hash (the simulator compares the hashes
 * of two runs), and optionally handed to the host, which formats them. What is told to an operator
 * in words is a LOG event (kp_engine_log), not a trace point. */
#ifndef KP_BASE_TRACE_H
#define KP_BASE_TRACE_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kp_level { KP_LEVEL_ERROR, KP_LEVEL_WARN, KP_LEVEL_INFO, KP_LEVEL_DEBUG } kp_level;

/* X(name, level, text): the text has up to three %llu for a, b, c. Append freely. */
#define KP_TRACE_POINTS(X)                                                                         \
	X(CONN_NEW, DEBUG, "connection %llu new, outbound %llu")                                   \
	X(CONN_OPEN, INFO, "connection %llu open after %llu ns")                                   \
	X(CONN_CLOSED, INFO, "connection %llu closed, reason %llu")                                \
	X(STREAM_OPEN, DEBUG, "connection %llu stream %llu open")                                  \
	X(STREAM_CLOSED, DEBUG, "connection %llu stream %llu closed, code %llu")                   \
	X(GS_GRAFT, DEBUG, "graft in topic %llu, mesh now %llu")                                   \
	X(GS_PRUNE, DEBUG, "prune in topic %llu, mesh now %llu")                                   \
	X(GS_DELIVER, DEBUG, "message %llu of %llu bytes accepted")                                \
	X(GS_REJECT, INFO, "message rejected, reason %llu")                                        \
	X(GS_PUBLISH, DEBUG, "message %llu published to %llu peers")                               \
	X(KAD_QUERY, DEBUG, "lookup %llu finished after %llu requests")                            \
	X(DIAL, DEBUG, "dial %llu started")                                                        \
	X(DIAL_FAILED, INFO, "dial %llu failed, code %llu")

typedef enum kp_trace_point {
#define KP_TRACE_ENUM(name, level, text) KP_TRACE_##name,
	KP_TRACE_POINTS(KP_TRACE_ENUM)
#undef KP_TRACE_ENUM
	        KP_TRACE_COUNT
} kp_trace_point;

typedef struct kp_trace {
	uint64_t hash;  /* of every point and its integers since init */
	uint64_t count; /* points since init */
	kp_level level; /* the sink gets points of this level or more severe */
	void (*sink)(void *ctx, kp_trace_point point, uint64_t a, uint64_t b, uint64_t c);
	void *sink_ctx;
} kp_trace;

void kp_trace_init(kp_trace *t);
void kp_trace_emit(kp_trace *t, kp_trace_point point, uint64_t a, uint64_t b, uint64_t c);
const char *kp_trace_text(kp_trace_point point);
kp_level kp_trace_level(kp_trace_point point);

#ifdef __cplusplus
}
#endif
#endif
