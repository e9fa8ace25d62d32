/* The RPC of the libp2p pubsub and gossipsub specifications: walked in place, item by item, without
 * arrays; one pubsub message; and building RPCs in bounded space. Nothing here allocates or judges
 * policy.
 *
 * Reading:  kp_rpc_counts n; if (kp_rpc_validate(rpc, &n) != KP_OK || n.… > cap) → refuse;
 *           for (kp_rpc_walk k = kp_rpc_walk_of(rpc); kp_rpc_next(&k, &item);) …
 * Every slice is a view into the RPC and dies with it. Topics are bytes: UTF-8 is not checked. */
#ifndef KP_WIRE_RPC_H
#define KP_WIRE_RPC_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kp_rpc_kind {
	KP_RPC_SUBOPT,    /* subscribe, topic */
	KP_RPC_MESSAGE,   /* raw: for kp_rpc_message_parse */
	KP_RPC_IHAVE,     /* topic, ids */
	KP_RPC_IWANT,     /* ids */
	KP_RPC_GRAFT,     /* topic */
	KP_RPC_PRUNE,     /* topic, backoff, px */
	KP_RPC_IDONTWANT, /* ids */
	KP_RPC_EXTENSIONS /* raw: the 1.3 extensions message, ignored by us */
} kp_rpc_kind;

/* Message ids still to be walked; copy it to walk twice. */
typedef struct kp_rpc_ids {
	kp_slice rest;
	uint32_t number; /* field number of the ids in this message */
} kp_rpc_ids;

typedef struct kp_rpc_item {
	kp_rpc_kind kind;
	bool subscribe;   /* SUBOPT; missing on the wire = false */
	bool has_backoff; /* PRUNE */
	uint64_t backoff; /* PRUNE: seconds as sent, up to 2^64 - 1: clamp before use */
	kp_slice topic;   /* p == NULL: missing */
	kp_slice raw;     /* the whole sub-message */
	kp_rpc_ids ids;   /* IHAVE, IWANT, IDONTWANT */
	kp_slice px;      /* PRUNE: for kp_rpc_next_px */
} kp_rpc_item;

/* A walk over an RPC, control messages included. */
typedef struct kp_rpc_walk {
	kp_slice rpc;     /* not yet seen */
	kp_slice control; /* rest of the control message being walked */
	kp_err err;       /* KP_E_PROTO once malformed; stays KP_OK after kp_rpc_validate said so */
} kp_rpc_walk;

/* A peer offered in a PRUNE. */
typedef struct kp_rpc_px {
	kp_slice id;     /* peer id bytes as sent; p == NULL: missing */
	kp_slice record; /* signed envelope; p == NULL: missing */
} kp_rpc_px;

/* What an RPC holds; each is a cap the caller can check before acting on anything. */
typedef struct kp_rpc_counts {
	uint32_t subopts;
	uint32_t messages;
	uint32_t ihave, iwant, graft, prune, idontwant; /* control items */
	uint32_t ihave_ids, iwant_ids, idontwant_ids;
	uint32_t px;
	uint32_t unknown;     /* fields skipped, at the top and in control */
	size_t control_bytes; /* contents of control and subscriptions */
} kp_rpc_counts;

/* Checks the whole RPC, all nested messages included, in one pass; counts may be NULL. KP_E_PROTO =
 * malformed anywhere, or a known field with a wrong wire type. */
kp_err kp_rpc_validate(kp_slice rpc, kp_rpc_counts *counts);

kp_rpc_walk kp_rpc_walk_of(kp_slice rpc);

/* The next item in wire order. False at the end or when malformed (walk->err). */
bool kp_rpc_next(kp_rpc_walk *walk, kp_rpc_item *item);

/* The next id (may be empty: n == 0). False at the end. */
bool kp_rpc_next_id(kp_rpc_ids *ids, kp_slice *id);

/* The next peer of a PRUNE; *px starts as item.px. False at the end. */
bool kp_rpc_next_px(kp_slice *px, kp_rpc_px *out);

/* ---- one message ---- */

/* Views into raw; p == NULL: missing (differs from empty: it signs differently). The last value of
 * a repeated field counts. */
typedef struct kp_rpc_message {
	kp_slice raw;
	kp_slice from, data, seqno, topic, signature, key;
	bool canonical; /* fields 1 to 6 ascending, at most once each, minimal, nothing else */
	bool unknown;   /* holds a field other than 1 to 6 */
	kp_slice signed_fields; /* fields 1 to 4 in raw, when canonical there and adjacent; else
	                           missing */
} kp_rpc_message;

/* KP_E_PROTO = malformed, or a known field that is not bytes; *out is then unchanged. */
kp_err kp_rpc_message_parse(kp_slice raw, kp_rpc_message *out);

/* What the signature covers: "libp2p-pubsub:" and fields 1 to 4 in canonical form, presence kept.
 * This is what every stock peer verifies; field order and repetition in raw do not matter. A
 * message with unknown fields is never delivered by all of them: KP_E_PROTO, nothing is written
 * (section 17). */
kp_err kp_rpc_message_write_signed(kp_writer *w, const kp_rpc_message *m);
size_t kp_rpc_message_signed_size(const kp_rpc_message *m);

#define KP_RPC_SIGN_PREFIX   "libp2p-pubsub:"
#define KP_RPC_SIGN_PREFIX_N 14u

/* ---- publishing: the payload stays where it is ---- */

/* One message to be built around a payload that lies in a buffer with room before and behind it. */
typedef struct kp_rpc_publish {
	kp_slice from;  /* p == NULL: field left out, as for all of these */
	kp_slice seqno; /* 8 bytes big endian */
	kp_slice topic;
	kp_slice signature; /* ignored by kp_rpc_publish_signed */
	kp_slice key;       /* only when `from` does not hold it */
	size_t data_n;      /* payload bytes; field 2 is always sent, also when 0 */
} kp_rpc_publish;

/* Room that must exist before the payload, for any message of ours: framing (5 + 1 + 5) or the
 * signing prefix (14), field 1 (2 + 46), head of field 2 (1 + 5). */
#define KP_RPC_PUBLISH_HEADROOM 72u

/* Bytes written behind the payload by the two functions below. */
size_t kp_rpc_publish_tail_size(const kp_rpc_publish *m);

/* Writes the signing prefix, field 1 and the head of field 2 before `data`, fields 3 and 4 behind
 * it; returns the bytes to sign, one contiguous view that includes the payload. */
kp_slice kp_rpc_publish_signed(const kp_rpc_publish *m, uint8_t *data);

/* Writes the whole RPC around `data`: length prefix, one publish entry with all fields. *frame is
 * the RPC with its prefix, *message the Message inside it (may be NULL). */
void kp_rpc_publish_frame(const kp_rpc_publish *m, uint8_t *data, kp_slice *frame,
                          kp_slice *message);

/* Bytes of the framed RPC that kp_rpc_publish_frame makes, for size checks before anything is
 * built. */
size_t kp_rpc_publish_frame_size(const kp_rpc_publish *m);

/* What goes before a raw Message of message_n bytes to make it a framed RPC: length prefix, tag 2,
 * length. Returns the bytes written to out. */
#define KP_RPC_FORWARD_HEAD_MAX 12u
size_t kp_rpc_forward_head(size_t message_n, uint8_t out[KP_RPC_FORWARD_HEAD_MAX]);

/* ---- subscriptions and control, several per RPC ---- */

/* An RPC under construction in caller's space: subscriptions first, then control items. Every put
 * is all or nothing against the limit. */
typedef struct kp_rpc_builder {
	uint8_t *p;     /* caller's buffer */
	size_t limit;   /* framed bytes that end() may return */
	size_t subs_n;  /* bytes of subscriptions, from p + KP_RPC_BUILDER_ROOM */
	size_t items_n; /* bytes of control items, behind them */
} kp_rpc_builder;

/* Bytes the buffer needs beyond the limit of the RPC. */
#define KP_RPC_BUILDER_ROOM 16u

/* buf has cap bytes; the framed RPC will have at most min(limit, cap - KP_RPC_BUILDER_ROOM) bytes.
 * limit ≤ 2^21 (asserted). */
void kp_rpc_begin(kp_rpc_builder *b, void *buf, size_t cap, size_t limit);

/* True while nothing was put. */
bool kp_rpc_builder_empty(const kp_rpc_builder *b);

/* False = does not fit, nothing written: end(), send, begin() and put again. Subscriptions may not
 * follow control items (asserted). */
bool kp_rpc_put_subopt(kp_rpc_builder *b, bool subscribe, kp_slice topic);
bool kp_rpc_put_graft(kp_rpc_builder *b, kp_slice topic);

/* A PRUNE to be written. To /meshsub/1.0.0 send neither backoff nor px. */
typedef struct kp_rpc_prune {
	kp_slice topic;
	bool has_backoff;
	uint64_t backoff; /* seconds; above 2^53 - 1 is written as that (js, section 17) */
	const kp_rpc_px *px;
	size_t n_px;
} kp_rpc_prune;

bool kp_rpc_put_prune(kp_rpc_builder *b, const kp_rpc_prune *prune);

/* One item with as many of the n ids as fit, from the front. Returns how many: less than n = the
 * rest goes into the next RPC; 0 = not even one fits (or n is 0) and nothing was written. */
size_t kp_rpc_put_ihave(kp_rpc_builder *b, kp_slice topic, const kp_slice *ids, size_t n);
size_t kp_rpc_put_iwant(kp_rpc_builder *b, const kp_slice *ids, size_t n);
size_t kp_rpc_put_idontwant(kp_rpc_builder *b, const kp_slice *ids, size_t n);

/* The framed RPC: a view into the buffer, not necessarily at its start. At least one thing was put
 * (asserted). The builder is spent. */
kp_slice kp_rpc_end(kp_rpc_builder *b);

#ifdef __cplusplus
}
#endif
#endif
