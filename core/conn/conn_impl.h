/* The inside of a connection and of its streams, shared by conn*.c and stream.c only. */
#ifndef KP_CONN_CONN_IMPL_H
#define KP_CONN_CONN_IMPL_H

#include "base/list.h"
#include "conn/conn.h"
#include "conn/mss.h"
#include "conn/noise.h"
#include "conn/yamux.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_CONN_LAST_WORDS_NS KP_SEC(1)     /* for a go-away after a violation to be written */
#define KP_CONN_RETRY_NS      KP_MS(10)     /* when memory was short */
#define KP_CONN_RETIRE_NS     KP_SEC(5)     /* goodbye of a connection whose counters run out */
#define KP_CONN_WAITING_MAX   (1u << 20)    /* bytes queued on streams that wait to negotiate */
#define KP_CONN_PACK_MAX      (2u * 16384u) /* plaintext of one Noise message we send */
#define KP_CONN_TX_SLICES     112u
#define KP_CONN_TX_SCRATCH    1536u
#define KP_CONN_TX_FRAME_MIN  (KP_NOISE_OVERHEAD + 1024u)
#define KP_CONN_READ_MIN      8192u /* room worth a read */

typedef enum kp_conn_deadline {
	KP_CONN_T_HANDSHAKE,
	KP_CONN_T_CLOSE,     /* goodbye or last words end */
	KP_CONN_T_PING,      /* next keepalive, or the answer to one is overdue */
	KP_CONN_T_NEGOTIATE, /* the oldest negotiating stream */
	KP_CONN_T_HALF_OPEN, /* the oldest half-open stream */
	KP_CONN_T_RETRY,
	KP_CONN_T_COUNT
} kp_conn_deadline;

/* Steps of a goodbye, in order; LAST_WORDS is the other way to end. */
typedef enum kp_conn_leave {
	KP_LEAVE_NONE,
	KP_LEAVE_DRAIN, /* streams still have something to write */
	KP_LEAVE_FIN,   /* their FINs are on the way */
	KP_LEAVE_PING,  /* has the peer read all of it? */
	KP_LEAVE_GOAWAY,
	KP_LEAVE_SHUTDOWN, /* until end of file */
	KP_LEAVE_LAST_WORDS
} kp_conn_leave;

/* Needed only until the connection is open and its muxer confirmed. */
typedef struct kp_conn_hs {
	kp_noise_hs noise;
	kp_mss mss; /* security, then muxer */
	kp_peer_id expect;
	bool muxing; /* mss negotiates the muxer, over Noise */
} kp_conn_hs;

struct kp_conn {
	const kp_env *env;
	kp_conn_host host;
	kp_conn_params params;
	kp_id id;
	kp_peer_id peer;
	kp_conn_hs *hs; /* NULL once not needed */
	kp_noise noise;
	kp_yamux mux;

	kp_list streams;     /* kp_stream.all: everything not freed */
	kp_list work;        /* kp_stream.work: the pump has something to do for it */
	kp_list negotiating; /* kp_stream.timed, oldest first */
	kp_list waiting;     /* kp_stream.timed: inbound, over the negotiation cap */
	kp_list half_open;   /* kp_stream.timed, longest silent first */
	uint32_t waiting_bytes;
	uint16_t streams_in, streams_out, negotiating_in;
	uint16_t busy;       /* streams that keep the connection from being idle */
	uint16_t barriers;   /* streams with KP_STREAM_BARRIER */
	uint32_t pongs_seen; /* of mux.pongs */

	kp_block *rx;                /* NULL while nothing is buffered */
	uint32_t rx_off, rx_n;       /* ciphertext not yet opened */
	uint32_t plain_off, plain_n; /* opened, not yet consumed; lies before rx_off */
	kp_block *tx;                /* in the owner's hands until on_written */

	kp_timer timer; /* the earliest of at[] */
	kp_time at[KP_CONN_T_COUNT];
	kp_time now; /* of the last entry */
	kp_time created_at, opened_at, idle_at, progress_at;
	kp_time rx_at;      /* the peer last sent anything */
	kp_time ping_since; /* when the outstanding keepalive was queued */

	kp_conn_state state;
	kp_conn_leave leave;
	kp_why why;       /* KP_WHY_NONE before DEAD */
	kp_why leave_why; /* what a goodbye will have been for */
	kp_why doom;      /* the pump ends the connection with this */
	uint8_t inside;   /* entries on the stack */
	bool outbound;
	bool started;
	bool idle_due;   /* idle_at is when the pump comes by */
	bool dirty;      /* on_dirty was called, no pump since */
	bool tx_idle;    /* the last kp_conn_tx had nothing to write */
	bool ping_out;   /* a keepalive waits for its answer */
	bool rx_blocked; /* memory was short: no reading until the pump got on */
};

typedef struct kp_stream_neg {
	kp_mss mss;
	bool deaf;          /* refused, and what follows is no negotiation: swallowed */
	kp_proto protos[1]; /* outbound: as many as were proposed */
} kp_stream_neg;

enum {
	KP_STREAM_OUT = 1u << 0,
	KP_STREAM_AGREED = 1u << 1,   /* the protocol, by both sides */
	KP_STREAM_OPEN = 1u << 2,     /* on_open was called */
	KP_STREAM_OPEN_DUE = 1u << 3, /* lazy: on_open comes from the pump */
	KP_STREAM_HELD = 1u << 4,     /* by the service */
	KP_STREAM_WAITING = 1u << 5,  /* in c->waiting */
	KP_STREAM_STUCK = 1u << 6,    /* memory was short for its answer: asked again in the pump */
	KP_STREAM_FIN_PENDING = 1u << 7, /* the peer's, behind the queue */
	KP_STREAM_FIN_DONE = 1u << 8,    /* the peer's, told to the service */
	KP_STREAM_WANT = 1u << 9,        /* want_write before on_open */
	KP_STREAM_FIN_WANT = 1u << 10,   /* fin before on_open */
	KP_STREAM_IDLE = 1u << 11,       /* does not count in c->busy */
	KP_STREAM_DEAD = 1u << 12,       /* ended; close_err says how */
	KP_STREAM_NO_CLOSE = 1u << 13,   /* on_close is not due */
	KP_STREAM_CLOSED = 1u << 14,     /* only its RST is left */
	KP_STREAM_RST_WAIT = 1u << 15,   /* yamux still refers to it */
	KP_STREAM_COUNTED = 1u << 16,    /* in c->negotiating_in */
	KP_STREAM_BARRIER =
	        1u << 17, /* not pulled until a ping sent behind its bytes is answered */
};

struct kp_stream {
	kp_ystream y; /* first: a kp_ystream * is a kp_stream * */
	kp_conn *c;
	kp_list all, work, timed;
	kp_time since;           /* in the timed list */
	const kp_proto_ops *ops; /* NULL: inbound, not agreed */
	void *svc;
	void *state;
	kp_proto proto;
	kp_stream_neg *neg;            /* until agreed and all of it written */
	kp_block *rxq_head, *rxq_tail; /* chunks that wait, see stream_queue.c */
	uint32_t rxq_n;                /* bytes in them */
	uint32_t uncredited;           /* consumed while held */
	uint32_t flags;
	uint32_t barrier_ping; /* value of that ping */
	kp_err close_err;
};

/* ---- conn.c ---- */
void kp_conn_dirty(kp_conn *c);
void kp_conn_set_deadline(kp_conn *c, kp_conn_deadline which, kp_time at);
void kp_conn_touch(kp_conn *c, kp_time now); /* time has come this far */
/* Ends the connection from the pump at the latest. */
void kp_conn_doom(kp_conn *c, kp_why why);
/* Frees the handshake state once nothing needs it. */
void kp_conn_hs_done(kp_conn *c);

/* ---- conn_tx.c ---- */
bool kp_conn_has_output(const kp_conn *c);
/* Takes every step of a goodbye that can be taken now. */
void kp_conn_goodbye_step(kp_conn *c);

/* ---- stream.c ---- */
kp_stream *kp_stream_new(kp_conn *c, bool outbound); /* NULL = out of memory */
void kp_stream_free(kp_stream *s);
void kp_stream_work_due(kp_stream *s);

/* Moves it to the end of a timed list of its connection, or out of all (NULL). */
void kp_stream_time(kp_stream *s, kp_list *list);

/* It does not negotiate any more. */
void kp_stream_negotiated(kp_stream *s);

/* Calls on_open. */
void kp_stream_opened(kp_stream *s, kp_time now);

/* Ends a stream: on_close(err) follows from the pump. rst: tell the peer. */
void kp_stream_end(kp_stream *s, kp_err err, bool rst);

/* The connection is over: on_close now, and freed. */
void kp_stream_drop(kp_stream *s, kp_time now);

/* Does what is due for one stream; it may be freed. */
void kp_stream_work(kp_stream *s, kp_time now);

/* Goodbye: our side of every stream ends; those not yet agreed on are reset. */
void kp_stream_finish_all(kp_conn *c);

/* Resets the streams whose deadline has passed. */
void kp_stream_timeouts(kp_conn *c, kp_time now);

/* ---- stream_io.c ---- */
extern const kp_yamux_ops kp_stream_yamux_ops; /* ctx: the kp_conn */

/* Delivers what is queued, as far as the service takes it. */
void kp_stream_drain(kp_stream *s, kp_time now);

/* A ping of ours was answered: barriers it stood for end, for the others the next one goes out. */
void kp_stream_on_pong(kp_conn *c);

/* Lets waiting inbound streams negotiate while there is room. */
void kp_stream_start_waiting(kp_conn *c);

/* ---- stream_queue.c ---- */
/* Appends a copy of in; returns how many bytes found room. */
size_t kp_stream_queue_put(kp_stream *s, kp_slice in);
kp_slice kp_stream_queue_head(const kp_stream *s); /* first contiguous bytes; not when empty */
void kp_stream_queue_skip(kp_stream *s, size_t n); /* of the head */
void kp_stream_queue_clear(kp_stream *s);

#ifdef __cplusplus
}
#endif
#endif
