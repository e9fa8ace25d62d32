/* Building RPCs: a message around its payload, a head before a stored message, and subscriptions
 * and control items collected in one RPC. */
#include "wire/rpc.h"

#include "wire/peer_id.h"
#include "wire/pb.h"
#include "wire/varint.h"

enum { BUILD_SUBSCRIPTIONS = 1, BUILD_PUBLISH = 2, BUILD_CONTROL = 3 };
enum { BUILD_IHAVE = 1, BUILD_IWANT = 2, BUILD_GRAFT = 3, BUILD_PRUNE = 4, BUILD_IDONTWANT = 5 };
enum {
	BUILD_FROM = 1,
	BUILD_DATA = 2,
	BUILD_SEQNO = 3,
	BUILD_TOPIC = 4,
	BUILD_SIG = 5,
	BUILD_KEY = 6
};

#define RPC_BACKOFF_MAX       ((UINT64_C(1) << 53) - 1)
#define RPC_BUILDER_LIMIT_MAX ((size_t)1 << 21)

/* ---- publishing ---- */

static size_t publish_head_size(const kp_rpc_publish *m)
{
	KP_ASSERT(m->from.n <= KP_PEER_ID_MAX && m->data_n <= UINT32_MAX);
	return kp_pb_size_opt(BUILD_FROM, m->from) + kp_pb_size_tag_len(BUILD_DATA, m->data_n);
}

static void publish_write_head(kp_writer *w, const kp_rpc_publish *m)
{
	kp_pb_write_opt(w, BUILD_FROM, m->from);
	kp_pb_write_tag_len(w, BUILD_DATA, m->data_n);
}

size_t kp_rpc_publish_tail_size(const kp_rpc_publish *m)
{
	return kp_pb_size_opt(BUILD_SEQNO, m->seqno) + kp_pb_size_opt(BUILD_TOPIC, m->topic) +
	       kp_pb_size_opt(BUILD_SIG, m->signature) + kp_pb_size_opt(BUILD_KEY, m->key);
}

kp_slice kp_rpc_publish_signed(const kp_rpc_publish *m, uint8_t *data)
{
	size_t head_n = KP_RPC_SIGN_PREFIX_N + publish_head_size(m);
	KP_ASSERT(head_n <= KP_RPC_PUBLISH_HEADROOM);
	kp_writer head = kp_writer_of(data - head_n, head_n);
	kp_write(&head, KP_RPC_SIGN_PREFIX, KP_RPC_SIGN_PREFIX_N);
	publish_write_head(&head, m);
	KP_ASSERT(!head.full && head.n == head_n);

	size_t tail_n =
	        kp_pb_size_opt(BUILD_SEQNO, m->seqno) + kp_pb_size_opt(BUILD_TOPIC, m->topic);
	kp_writer tail = kp_writer_of(data + m->data_n, tail_n);
	kp_pb_write_opt(&tail, BUILD_SEQNO, m->seqno);
	kp_pb_write_opt(&tail, BUILD_TOPIC, m->topic);
	KP_ASSERT(!tail.full);
	return kp_slice_of(data - head_n, head_n + m->data_n + tail_n);
}

static size_t publish_message_size(const kp_rpc_publish *m)
{
	return publish_head_size(m) + m->data_n + kp_rpc_publish_tail_size(m);
}

size_t kp_rpc_publish_frame_size(const kp_rpc_publish *m)
{
	size_t rpc_n = kp_pb_size_bytes(BUILD_PUBLISH, publish_message_size(m));
	return kp_varint_size(rpc_n) + rpc_n;
}

void kp_rpc_publish_frame(const kp_rpc_publish *m, uint8_t *data, kp_slice *frame,
                          kp_slice *message)
{
	size_t message_n = publish_message_size(m);
	uint8_t framing[KP_RPC_FORWARD_HEAD_MAX];
	size_t framing_n = kp_rpc_forward_head(message_n, framing);
	size_t head_n = framing_n + publish_head_size(m);
	KP_ASSERT(head_n <= KP_RPC_PUBLISH_HEADROOM);
	kp_writer head = kp_writer_of(data - head_n, head_n);
	kp_write(&head, framing, framing_n);
	publish_write_head(&head, m);
	KP_ASSERT(!head.full && head.n == head_n);

	kp_writer tail = kp_writer_of(data + m->data_n, kp_rpc_publish_tail_size(m));
	kp_pb_write_opt(&tail, BUILD_SEQNO, m->seqno);
	kp_pb_write_opt(&tail, BUILD_TOPIC, m->topic);
	kp_pb_write_opt(&tail, BUILD_SIG, m->signature);
	kp_pb_write_opt(&tail, BUILD_KEY, m->key);
	KP_ASSERT(!tail.full && tail.n == tail.cap);

	*frame = kp_slice_of(data - head_n, framing_n + message_n);
	if (message != NULL)
		*message = kp_slice_of(data - head_n + framing_n, message_n);
}

size_t kp_rpc_forward_head(size_t message_n, uint8_t out[KP_RPC_FORWARD_HEAD_MAX])
{
	kp_writer w = kp_writer_of(out, KP_RPC_FORWARD_HEAD_MAX);
	kp_varint_write(&w, kp_pb_size_bytes(BUILD_PUBLISH, message_n));
	kp_pb_write_tag_len(&w, BUILD_PUBLISH, message_n);
	KP_ASSERT(!w.full);
	return w.n;
}

/* ---- subscriptions and control ---- */

void kp_rpc_begin(kp_rpc_builder *b, void *buf, size_t cap, size_t limit)
{
	KP_ASSERT(cap > KP_RPC_BUILDER_ROOM && limit <= RPC_BUILDER_LIMIT_MAX);
	b->p = (uint8_t *)buf;
	b->limit = KP_MIN(limit, cap - KP_RPC_BUILDER_ROOM);
	b->subs_n = 0;
	b->items_n = 0;
}

bool kp_rpc_builder_empty(const kp_rpc_builder *b)
{
	return b->subs_n == 0 && b->items_n == 0;
}

/* Framed bytes of an RPC with that much of both. */
static size_t builder_frame_size(size_t subs_n, size_t items_n)
{
	size_t rpc_n = subs_n + (items_n > 0 ? kp_pb_size_bytes(BUILD_CONTROL, items_n) : 0);
	return kp_varint_size(rpc_n) + rpc_n;
}

/* Where the next control item of n bytes goes; it becomes part of the RPC with this call. */
static bool builder_room(kp_rpc_builder *b, size_t n, kp_writer *w)
{
	if (builder_frame_size(b->subs_n, b->items_n + n) > b->limit)
		return false;
	*w = kp_writer_of(b->p + KP_RPC_BUILDER_ROOM + b->subs_n + b->items_n, n);
	b->items_n += n;
	return true;
}

bool kp_rpc_put_subopt(kp_rpc_builder *b, bool subscribe, kp_slice topic)
{
	KP_ASSERT(b->items_n == 0);
	size_t body_n = kp_pb_size_varint(1, subscribe) + kp_pb_size_bytes(2, topic.n);
	size_t n = kp_pb_size_bytes(BUILD_SUBSCRIPTIONS, body_n);
	if (builder_frame_size(b->subs_n + n, 0) > b->limit)
		return false;
	kp_writer w = kp_writer_of(b->p + KP_RPC_BUILDER_ROOM + b->subs_n, n);
	kp_pb_write_tag_len(&w, BUILD_SUBSCRIPTIONS, body_n);
	kp_pb_write_varint(&w, 1, subscribe);
	kp_pb_write_bytes(&w, 2, topic);
	KP_ASSERT(!w.full && w.n == n);
	b->subs_n += n;
	return true;
}

bool kp_rpc_put_graft(kp_rpc_builder *b, kp_slice topic)
{
	size_t body_n = kp_pb_size_bytes(1, topic.n);
	kp_writer w;
	if (!builder_room(b, kp_pb_size_bytes(BUILD_GRAFT, body_n), &w))
		return false;
	kp_pb_write_tag_len(&w, BUILD_GRAFT, body_n);
	kp_pb_write_bytes(&w, 1, topic);
	KP_ASSERT(!w.full);
	return true;
}

static size_t prune_px_size(const kp_rpc_px *px)
{
	return kp_pb_size_opt(1, px->id) + kp_pb_size_opt(2, px->record);
}

static void prune_write(kp_writer *w, const kp_rpc_prune *prune)
{
	kp_pb_write_bytes(w, 1, prune->topic);
	for (size_t i = 0; i < prune->n_px; i++) {
		kp_pb_write_tag_len(w, 2, prune_px_size(&prune->px[i]));
		kp_pb_write_opt(w, 1, prune->px[i].id);
		kp_pb_write_opt(w, 2, prune->px[i].record);
	}
	if (prune->has_backoff)
		kp_pb_write_varint(w, 3, KP_MIN(prune->backoff, RPC_BACKOFF_MAX));
}

bool kp_rpc_put_prune(kp_rpc_builder *b, const kp_rpc_prune *prune)
{
	kp_writer count = kp_writer_of(NULL, 0);
	prune_write(&count, prune);
	kp_writer w;
	if (!builder_room(b, kp_pb_size_bytes(BUILD_PRUNE, count.n), &w))
		return false;
	kp_pb_write_tag_len(&w, BUILD_PRUNE, count.n);
	prune_write(&w, prune);
	KP_ASSERT(!w.full);
	return true;
}

/* IHAVE, IWANT and IDONTWANT: a topic unless missing, and ids in field `id_number`. */
static size_t builder_put_ids(kp_rpc_builder *b, uint32_t number, kp_slice topic,
                              uint32_t id_number, const kp_slice *ids, size_t n)
{
	size_t body_n = kp_pb_size_opt(1, topic);
	size_t fit = 0;
	while (fit < n) {
		size_t more = body_n + kp_pb_size_bytes(id_number, ids[fit].n);
		size_t items_n = b->items_n + kp_pb_size_bytes(number, more);
		if (builder_frame_size(b->subs_n, items_n) > b->limit)
			break;
		body_n = more;
		fit++;
	}
	kp_writer w;
	if (fit == 0)
		return 0;
	bool room = builder_room(b, kp_pb_size_bytes(number, body_n), &w);
	KP_ASSERT(room); /* it was counted above */
	kp_pb_write_tag_len(&w, number, body_n);
	kp_pb_write_opt(&w, 1, topic);
	for (size_t i = 0; i < fit; i++)
		kp_pb_write_bytes(&w, id_number, ids[i]);
	KP_ASSERT(!w.full && w.n == w.cap);
	return fit;
}

size_t kp_rpc_put_ihave(kp_rpc_builder *b, kp_slice topic, const kp_slice *ids, size_t n)
{
	return builder_put_ids(b, BUILD_IHAVE, topic, 2, ids, n);
}

size_t kp_rpc_put_iwant(kp_rpc_builder *b, const kp_slice *ids, size_t n)
{
	return builder_put_ids(b, BUILD_IWANT, kp_slice_none(), 1, ids, n);
}

size_t kp_rpc_put_idontwant(kp_rpc_builder *b, const kp_slice *ids, size_t n)
{
	return builder_put_ids(b, BUILD_IDONTWANT, kp_slice_none(), 1, ids, n);
}

kp_slice kp_rpc_end(kp_rpc_builder *b)
{
	KP_ASSERT(!kp_rpc_builder_empty(b));
	size_t control_n = b->items_n > 0 ? kp_pb_size_tag_len(BUILD_CONTROL, b->items_n) : 0;
	size_t rpc_n = b->subs_n + control_n + b->items_n;
	size_t frame_n = kp_varint_size(rpc_n) + rpc_n;
	KP_ASSERT(frame_n <= b->limit);

	/* all is pushed together against the control items, which stay where they are */
	uint8_t *subs = b->p + KP_RPC_BUILDER_ROOM - control_n;
	memmove(subs, b->p + KP_RPC_BUILDER_ROOM, b->subs_n);
	if (control_n > 0) {
		kp_writer control = kp_writer_of(subs + b->subs_n, control_n);
		kp_pb_write_tag_len(&control, BUILD_CONTROL, b->items_n);
		KP_ASSERT(!control.full);
	}
	uint8_t *frame = subs - kp_varint_size(rpc_n);
	KP_ASSERT(frame >= b->p);
	kp_writer prefix = kp_writer_of(frame, kp_varint_size(rpc_n));
	kp_varint_write(&prefix, rpc_n);
	KP_ASSERT(!prefix.full);
	b->p = NULL;
	return kp_slice_of(frame, frame_n);
}
