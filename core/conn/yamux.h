/* yamux, as in its specification by HashiCorp, for one connection: frames, streams, windows, ping,
 * go-away. Knows neither what the streams carry nor how the bytes travel. Its streams are embedded
 * in the owner's objects; payload is pulled from the owner when there is room to send it and pushed
 * to it as it arrives. */
#ifndef KP_CONN_YAMUX_H
#define KP_CONN_YAMUX_H

#include "base/list.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/stats.h"
#include "conn/idmap.h"
#include "wire/yamux_hdr.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_YAMUX_WINDOW_FIRST 262144u /* what every stream starts with, both ways */
#define KP_YAMUX_FRAME_MAX    16384u  /* payload of a data frame we send */
#define KP_YAMUX_REPLIES_MAX  64u     /* pongs and refusals queued; one more is a flood */
/* All streams of a connection together may have windows this many times window_max above the
 * initial ones. */
#define KP_YAMUX_GROWN_FACTOR 2u

/* What is sent next, as slices: headers live in the scratch space, payload where its owner has it.
 */
typedef struct kp_gather {
	kp_slice *v;
	unsigned n, max;
	size_t bytes, bytes_max;
	kp_writer scratch;
} kp_gather;

typedef struct kp_ystream {
	kp_list ready;        /* in y->ready while it may have something to send */
	kp_list ctl;          /* in y->ctl while it owes a window update or a reset */
	kp_time credit_at;    /* last window update sent, or when it was opened */
	uint32_t id;          /* odd = opened by the connection's client */
	uint32_t send_window; /* payload bytes the peer will still take */
	uint32_t recv_window; /* payload bytes the peer may still send */
	uint32_t recv_max;    /* recv_window + queued by the owner + consumed */
	uint32_t consumed;    /* by the owner, credit not yet given */
	uint32_t credit;      /* to be written in the due window update */
	uint16_t flags;       /* yamux.c's */
} kp_ystream;

/* The owner's side. None of these may call kp_yamux_rx, kp_yamux_tx or kp_yamux_fini, nor free a
 * stream other than in on_gone. */
typedef struct kp_yamux_ops {
	/* The peer opens a stream: *out is the object to use (yamux initialises it). KP_E_LIMIT =
	 * refuse it with a reset, KP_E_NOMEM = ask again later. */
	kp_err (*on_syn)(void *ctx, kp_time now, uint32_t id, kp_ystream **out);
	/* Payload. Returns how many bytes were taken: fewer than in.n = out of memory, the rest is
	 * offered again. The owner tells consumption by kp_yamux_consumed. */
	size_t (*on_data)(void *ctx, kp_time now, kp_ystream *s, kp_slice in);
	void (*on_fin)(void *ctx, kp_time now, kp_ystream *s);
	/* Reset by the peer; the stream is already removed. */
	void (*on_rst)(void *ctx, kp_time now, kp_ystream *s);
	/* Payload to send: at most v_max slices of n_max bytes together, valid until the next pull
	 * of this stream; scratch is room for bytes made on the spot. Returns the number of slices;
	 * 0 = nothing until kp_yamux_want. */
	unsigned (*pull)(void *ctx, kp_time now, kp_ystream *s, kp_slice *v, unsigned v_max,
	                 size_t n_max, kp_writer *scratch);
	/* Our FIN is on its way. */
	void (*on_fin_sent)(void *ctx, kp_time now, kp_ystream *s);
	/* After kp_yamux_reset said false: the stream is not referenced any more. */
	void (*on_gone)(void *ctx, kp_ystream *s);
} kp_yamux_ops;

typedef enum kp_yamux_ping_state {
	KP_YAMUX_PING_NONE,
	KP_YAMUX_PING_DUE,
	KP_YAMUX_PING_SENT
} kp_yamux_ping_state;

typedef struct kp_yamux {
	const kp_yamux_ops *ops;
	void *ctx;
	kp_stats *stats;
	kp_list ready; /* kp_ystream.ready, served in turn */
	kp_list ctl;   /* kp_ystream.ctl */
	kp_idmap streams;
	uint64_t grown;      /* sum of recv_max above the initial window */
	kp_time rtt;         /* last measured; KP_NEVER before */
	kp_time ping_at;     /* when the outstanding ping was written */
	kp_ystream *cur;     /* whose payload is being read; NULL = it is discarded */
	uint32_t body;       /* payload bytes of the current frame still to come */
	uint32_t window_max; /* for growth of one receive window */
	uint32_t next_id;    /* of the next stream we open */
	uint32_t wanting;    /* live streams that have asked to write and not been emptied */
	uint32_t ping_value; /* of the last ping queued */
	uint32_t pongs;      /* answers to ours so far */
	uint32_t goaway_code;
	uint32_t reply[KP_YAMUX_REPLIES_MAX]; /* ring: ping values and refused ids */
	uint64_t reply_is_rst;                /* bit i: reply[i] is a stream id to reset */
	uint8_t reply_head, reply_n;
	uint8_t hdr_n; /* bytes of the header in hand */
	uint8_t hdr[KP_YAMUX_HDR_SIZE];
	uint8_t ping; /* kp_yamux_ping_state */
	bool client;
	bool cur_fin; /* the frame being read ends the peer's side */
	bool goaway_due, goaway_sent;
	bool flooded; /* why kp_yamux_rx returned KP_E_PROTO */
} kp_yamux;

/* client: this side dialled. ops and ctx are borrowed. */
void kp_yamux_init(kp_yamux *y, kp_mem *mem, kp_stats *stats, const kp_yamux_ops *ops, void *ctx,
                   bool client, uint32_t window_max);

/* The owner has taken back its streams (kp_yamux_remove) or forgets them now. */
void kp_yamux_fini(kp_yamux *y);

/* Opens a stream of ours; its SYN rides on the first frame. KP_E_NOMEM, KP_E_LIMIT = ids used up.
 */
kp_err kp_yamux_open(kp_yamux *y, kp_time now, kp_ystream *s);

/* Consumes *in.
 *   KP_E_AGAIN  all consumed
 *   KP_E_LIMIT  the owner is out of memory: offer the rest again later
 *   KP_E_CLOSED the peer said go-away (its code in goaway_code)
 *   KP_E_PROTO  violated, or flooded (see `flooded`); nothing more may be fed */
kp_err kp_yamux_rx(kp_yamux *y, kp_time now, kp_slice *in);

/* Adds what can be sent to *g: control frames first, then at most one data frame of each stream
 * that is ready, in turn. Returns whether anything was added. */
bool kp_yamux_tx(kp_yamux *y, kp_time now, kp_gather *g);

/* True when kp_yamux_tx would add something (or would find that a stream has nothing after all). */
bool kp_yamux_pending(const kp_yamux *y);

/* The owner has something to pull. */
void kp_yamux_want(kp_yamux *y, kp_ystream *s);

/* FIN once pull has nothing more. */
void kp_yamux_finish(kp_yamux *y, kp_ystream *s);

/* While paused nothing is pulled and no FIN goes out; wishes are remembered. */
void kp_yamux_pause(kp_yamux *y, kp_ystream *s, bool paused);

/* Ends the stream with RST. true = nothing of it is left, it may be freed now; false = on_gone
 * follows when the RST is written. Frames of the peer for it are ignored from now on. */
bool kp_yamux_reset(kp_yamux *y, kp_ystream *s);

/* Forgets a stream without a word (both sides finished, or the connection is over). */
void kp_yamux_remove(kp_yamux *y, kp_ystream *s);

/* The owner has used up n bytes given by on_data: credit for the peer, grown when it keeps up. */
void kp_yamux_consumed(kp_yamux *y, kp_time now, kp_ystream *s, size_t n);

/* Queues a ping of ours unless one is under way. */
void kp_yamux_ping(kp_yamux *y);

/* Queues go-away; nothing else is sent behind it. */
void kp_yamux_goaway(kp_yamux *y, uint32_t code);

bool kp_yamux_fin_sent(const kp_ystream *s);
bool kp_yamux_fin_received(const kp_ystream *s);

#ifdef __cplusplus
}
#endif
#endif
