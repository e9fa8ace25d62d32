/* One connection: multistream-select, Noise, muxer agreement and yamux, driven by bytes and time.
 * Knows nothing of sockets. States run one way:
 *   DIALING → SECURING → NOISE → MUXING → OPEN → CLOSING → DEAD (freed by the owner in its pump).
 */
#ifndef KP_CONN_CONN_H
#define KP_CONN_CONN_H

#include "conn/env.h"
#include "conn/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_conn kp_conn;

typedef enum kp_conn_state {
	KP_CONN_DIALING,
	KP_CONN_SECURING,
	KP_CONN_NOISE,
	KP_CONN_MUXING,
	KP_CONN_OPEN,
	KP_CONN_CLOSING, /* saying goodbye */
	KP_CONN_DEAD     /* why is set; only kp_conn_free may follow */
} kp_conn_state;

/* What the connection asks of its owner. on_secured, on_open and find_proto are called from
 * on_read; none of them may free the connection. */
typedef struct kp_conn_host {
	void *ctx;
	/* The peer has proved its id (kp_conn_peer), which equals the expected one if there was
	 * one. Anything but KP_WHY_NONE ends the connection with that reason (limits, deny list).
	 */
	kp_why (*on_secured)(void *ctx, kp_conn *c, kp_time now);
	/* Streams can be opened from now on; may be NULL. */
	void (*on_open)(void *ctx, kp_conn *c, kp_time now);
	/* Who serves this protocol name; false = answer `na`. */
	bool (*find_proto)(void *ctx, kp_conn *c, kp_slice name, kp_proto_binding *out);
	/* There is something to write, to deliver or to close: the owner calls kp_conn_pump and
	 * kp_conn_tx soon. Called at most once until the next kp_conn_pump. */
	void (*on_dirty)(void *ctx, kp_conn *c);
} kp_conn_host;

typedef struct kp_conn_params {
	kp_time handshake_ns;         /* everything before OPEN; default 10 s */
	kp_time negotiate_ns;         /* one substream's negotiation; 10 s */
	kp_time keepalive_ns;         /* yamux ping period; 30 s */
	kp_time keepalive_timeout_ns; /* answer to it; 10 s */
	kp_time half_open_ns;         /* our side finished, peer silent: reset; 60 s, 0 = never */
	uint32_t window_max;          /* receive window growth limit per stream; 16 MiB */
	uint16_t streams_in_max;      /* 512 */
	uint16_t streams_out_max;     /* 128 */
	uint16_t negotiating_in_max;  /* 128 */
} kp_conn_params;

kp_conn_params kp_conn_params_default(void);

/* params and host are copied, env borrowed for the connection's life. expect: the peer id demanded
 * of an outbound connection, NULL = any. State DIALING if outbound, else SECURING. NULL = out of
 * memory (counted). No byte is read or written before kp_conn_start. */
kp_conn *kp_conn_new(const kp_env *env, const kp_conn_params *params, const kp_conn_host *host,
                     kp_id id, bool outbound, const kp_peer_id *expect, kp_time now);

/* Must be DEAD, or never have been started. All its streams got their on_close. */
void kp_conn_free(kp_conn *c);

/* The transport is connected: negotiation begins (lazily: as many bytes as can go at once do). */
void kp_conn_start(kp_conn *c, kp_time now);

/* Where to read into: at least 1 byte of room in engine memory, valid until kp_conn_on_read.
 * Idempotent. NULL = no memory within the budget: stop reading and try again later. */
uint8_t *kp_conn_rx_buf(kp_conn *c, size_t *cap);

/* n bytes have been put into the rx buffer; n == 0: end of file. May make the connection DEAD. */
void kp_conn_on_read(kp_conn *c, kp_time now, size_t n);

/* Does what was recorded: delivers held data, calls on_open/on_close, finishes goodbyes. */
void kp_conn_pump(kp_conn *c, kp_time now);

/* The next ciphertext to write, pulled from the streams as late as this: true = *out is valid until
 * kp_conn_on_written, and no further call is allowed before it. false = nothing to write. */
bool kp_conn_tx(kp_conn *c, kp_time now, kp_slice *out);
void kp_conn_on_written(kp_conn *c, kp_time now);

/* Goodbye (docs/architecture.md, "Shutdown"): once the streams have nothing more to write, FIN
 * them, ping, await the pong, go-away 0; then kp_conn_wants_shutdown is true until end of file.
 * DEAD at `deadline` at the latest. Not yet OPEN: DEAD at once. `why` is what is reported. */
void kp_conn_goodbye(kp_conn *c, kp_time now, kp_why why, kp_time deadline);
bool kp_conn_wants_shutdown(const kp_conn *c);

/* DEAD now; streams get on_close(KP_E_CLOSED) before this returns. Never called from inside an op.
 */
void kp_conn_abort(kp_conn *c, kp_time now, kp_why why);

/* Opens a stream that proposes the n protocols in order (the array is copied, its texts are not).
 * on_open or on_close follow from the pump. KP_E_STATE not OPEN, KP_E_LIMIT too many streams,
 * KP_E_NOMEM. */
kp_err kp_conn_open_stream(kp_conn *c, kp_time now, const kp_proto *protos, size_t n,
                           const kp_proto_ops *ops, void *svc, kp_stream **out);

kp_id kp_conn_id(const kp_conn *c);
kp_conn_state kp_conn_get_state(const kp_conn *c);
kp_why kp_conn_get_why(const kp_conn *c);
bool kp_conn_outbound(const kp_conn *c);
const kp_peer_id *kp_conn_peer(const kp_conn *c); /* n == 0 before on_secured */
kp_time kp_conn_rtt(const kp_conn *c);            /* last yamux ping; KP_NEVER = not measured */
kp_time kp_conn_opened_at(const kp_conn *c);      /* when it became OPEN */
/* Since when no stream keeps it busy and none was of use (stream.h); KP_NEVER while one does. */
kp_time kp_conn_idle_since(const kp_conn *c);

#ifdef __cplusplus
}
#endif
#endif
