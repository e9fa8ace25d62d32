/* A substream as a service sees it. Services register a table of ops per protocol; they never see a
 * connection, yamux or multistream. All calls on the loop thread.
 *
 * No op is called from inside a kp_stream_* call: those record an intent and the pump acts on it,
 * so a service never has to fear re-entrance. */
#ifndef KP_CONN_STREAM_H
#define KP_CONN_STREAM_H

#include "base/err.h"
#include "base/slice.h"
#include "wire/peer_id.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_stream kp_stream;

typedef struct kp_proto {
	const char *id;   /* "/meshsub/1.2.0" */
	uint16_t version; /* the service's own number for it */
} kp_proto;

typedef struct kp_proto_ops {
	const char *name;
	size_t state_size; /* zeroed memory allocated with each stream: kp_stream_state */
	uint16_t in_max; /* inbound streams of this table per connection; more are reset, counted */

	/* The protocol is agreed (or, for an outbound stream that proposed only one, proposed
	 * lazily). An error resets the stream, on_close does not follow. */
	kp_err (*on_open)(void *svc, kp_stream *s, kp_time now);

	/* The peer's bytes, in any cut. All of `in` is consumed, by copying what must be kept;
	 * window credit goes back to the peer. KP_E_PROTO resets this stream only. */
	kp_err (*on_data)(void *svc, kp_stream *s, kp_time now, kp_slice in);

	/* The peer will send nothing more. NULL = answer by finishing our side. */
	void (*on_fin)(void *svc, kp_stream *s, kp_time now);

	/* Room to write: fill v with at most v_max slices of at most n_max bytes together, return
	 * how many; 0 = nothing now (called again after kp_stream_want_write). The slices stay
	 * valid and unchanged until the next op call of this stream; they count as sent. */
	unsigned (*pull)(void *svc, kp_stream *s, kp_time now, kp_slice *v, unsigned v_max,
	                 size_t n_max);

	/* Exactly once per successful on_open, and once for an outbound stream that never opened;
	 * the stream is gone when it returns. why: KP_OK both sides finished, KP_E_CLOSED
	 * connection gone, KP_E_NOTSUP peer refused the protocols, KP_E_PROTO reset by the peer or
	 * bad data, KP_E_CANCELED reset by us, KP_E_TIMEDOUT negotiation took too long. */
	void (*on_close)(void *svc, kp_stream *s, kp_time now, kp_err why);

	/* NULL = never. Asked after each pull that returned something: true = nothing behind those
	 * bytes may leave on this stream before a yamux ping sent after them has been answered, so
	 * pull is not called until then (rust ≥ 0.57 breaks on read-ahead behind a large RPC). */
	bool (*wants_barrier)(void *svc, kp_stream *s);
} kp_proto_ops;

/* What a protocol name is served by. */
typedef struct kp_proto_binding {
	const kp_proto_ops *ops;
	void *svc;
	kp_proto proto;
} kp_proto_binding;

void *kp_stream_state(kp_stream *s);
const kp_peer_id *kp_stream_peer(const kp_stream *s);
kp_id kp_stream_conn_id(const kp_stream *s);
kp_proto kp_stream_proto(const kp_stream *s); /* the agreed one; {NULL, 0} before */
bool kp_stream_outbound(const kp_stream *s);
bool kp_stream_is_open(const kp_stream *s); /* on_open has been called */

/* pull will be called soon. No-op before on_open is remembered until then. */
void kp_stream_want_write(kp_stream *s);

/* Finishes our side once pull has nothing more. */
void kp_stream_fin(kp_stream *s);

/* Ends both sides now; on_close(KP_E_CANCELED) follows from the pump. */
void kp_stream_reset(kp_stream *s);

/* Back-pressure: after hold, on_data is not called again and the peer gets no more window credit;
 * bytes already under way wait inside the connection. resume delivers them from the pump. */
void kp_stream_hold(kp_stream *s);
void kp_stream_resume(kp_stream *s);

/* A stream that does not keep its connection from being idle (ping, identify, an unneeded pubsub
 * stream). Default: it does. */
void kp_stream_set_idle(kp_stream *s, bool idle);
/* Something worth a connection has passed: if it is idle, it is so from now on. */
void kp_stream_used(kp_stream *s, kp_time now);

/* When the connection last got bytes accepted by the peer's socket while it had any to send; the
 * time it opened if it never had. */
kp_time kp_stream_last_progress(const kp_stream *s);

#ifdef __cplusplus
}
#endif
#endif
