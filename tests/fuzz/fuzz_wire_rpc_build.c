/* Building RPCs by a sequence of operations: whatever was put comes out, within the limit, in
 * exactly the space that was asked for. */
#include <stdlib.h>

#include "wire/rpc.h"
#include "wire/varint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_IDS = 16 };

static uint8_t fuzz_byte(kp_slice *in)
{
	return in->n > 0 ? kp_slice_take(in, 1).p[0] : 0;
}

static kp_slice fuzz_bytes(kp_slice *in)
{
	size_t n = fuzz_byte(in);
	return kp_slice_take(in, KP_MIN(n, in->n));
}

static size_t fuzz_id_list(kp_slice *in, kp_slice ids[FUZZ_IDS])
{
	size_t n = fuzz_byte(in) % (FUZZ_IDS + 1);
	for (size_t i = 0; i < n; i++)
		ids[i] = fuzz_bytes(in);
	return n;
}

static void fuzz_prune(kp_rpc_builder *b, kp_slice *in, kp_rpc_counts *n)
{
	kp_rpc_px px[4];
	kp_rpc_prune prune = {fuzz_bytes(in), fuzz_byte(in) & 1, (uint64_t)fuzz_byte(in) << 56, px,
	                      fuzz_byte(in) % 5u};
	for (size_t i = 0; i < prune.n_px; i++) {
		px[i].id = fuzz_byte(in) & 1 ? fuzz_bytes(in) : kp_slice_none();
		px[i].record = fuzz_byte(in) & 1 ? fuzz_bytes(in) : kp_slice_none();
	}
	if (!kp_rpc_put_prune(b, &prune))
		return;
	n->prune++;
	n->px += (uint32_t)prune.n_px;
}

static void fuzz_put(kp_rpc_builder *b, kp_slice *in, kp_rpc_counts *n)
{
	kp_slice ids[FUZZ_IDS], topic;
	size_t want, got;
	switch (fuzz_byte(in) % 6) {
	case 0:
		if (b->items_n == 0)
			n->subopts += kp_rpc_put_subopt(b, fuzz_byte(in) & 1, fuzz_bytes(in));
		return;
	case 1:
		n->graft += kp_rpc_put_graft(b, fuzz_bytes(in));
		return;
	case 2:
		fuzz_prune(b, in, n);
		return;
	case 3:
		topic = fuzz_bytes(in);
		want = fuzz_id_list(in, ids);
		got = kp_rpc_put_ihave(b, topic, ids, want);
		n->ihave += got > 0;
		n->ihave_ids += (uint32_t)got;
		break;
	case 4:
		want = fuzz_id_list(in, ids);
		got = kp_rpc_put_iwant(b, ids, want);
		n->iwant += got > 0;
		n->iwant_ids += (uint32_t)got;
		break;
	default:
		want = fuzz_id_list(in, ids);
		got = kp_rpc_put_idontwant(b, ids, want);
		n->idontwant += got > 0;
		n->idontwant_ids += (uint32_t)got;
		break;
	}
	KP_ASSERT(got <= want);
}

static void fuzz_builder(kp_slice in)
{
	size_t limit = 1u + fuzz_byte(&in) * 16u;
	uint8_t *buf = malloc(limit + KP_RPC_BUILDER_ROOM);
	KP_ASSERT(buf != NULL);
	kp_rpc_builder b;
	kp_rpc_begin(&b, buf, limit + KP_RPC_BUILDER_ROOM, limit);
	kp_rpc_counts want, n;
	memset(&want, 0, sizeof(want));
	while (in.n > 0)
		fuzz_put(&b, &in, &want);
	if (!kp_rpc_builder_empty(&b)) {
		kp_slice frame = kp_rpc_end(&b);
		KP_ASSERT(frame.n <= limit && frame.p >= buf);
		KP_ASSERT(frame.p + frame.n <= buf + limit + KP_RPC_BUILDER_ROOM);
		uint64_t len;
		KP_ASSERT(kp_varint_read(&frame, &len) == KP_OK && len == frame.n);
		KP_ASSERT(kp_rpc_validate(frame, &n) == KP_OK);
		want.control_bytes = n.control_bytes;
		KP_ASSERT(memcmp(&n, &want, sizeof(n)) == 0);
	}
	free(buf);
}

/* in: one byte of presence bits, then the fields; what is left is the payload. */
static void fuzz_publish(kp_slice in)
{
	uint8_t has = fuzz_byte(&in);
	kp_rpc_publish m;
	memset(&m, 0, sizeof(m));
	m.from = has & 1 ? fuzz_bytes(&in) : kp_slice_none();
	m.from.n = KP_MIN(m.from.n, 46);
	m.seqno = has & 2 ? fuzz_bytes(&in) : kp_slice_none();
	m.topic = has & 4 ? fuzz_bytes(&in) : kp_slice_none();
	m.signature = has & 8 ? fuzz_bytes(&in) : kp_slice_none();
	m.key = has & 16 ? fuzz_bytes(&in) : kp_slice_none();
	m.data_n = in.n;

	size_t tail = kp_rpc_publish_tail_size(&m);
	uint8_t *buf = malloc(KP_RPC_PUBLISH_HEADROOM + in.n + tail), *data = buf;
	uint8_t *copy = malloc(KP_RPC_PUBLISH_HEADROOM + in.n + tail);
	KP_ASSERT(buf != NULL && copy != NULL);
	data += KP_RPC_PUBLISH_HEADROOM;
	memcpy(data, in.p, in.n);
	kp_slice to_sign = kp_rpc_publish_signed(&m, data), frame, message;
	memcpy(copy, to_sign.p, to_sign.n);
	kp_rpc_publish_frame(&m, data, &frame, &message);
	KP_ASSERT(frame.n == kp_rpc_publish_frame_size(&m) && memcmp(data, in.p, in.n) == 0);

	/* the reader sees the same fields and verifies over the same bytes */
	kp_rpc_message back;
	KP_ASSERT(kp_rpc_message_parse(message, &back) == KP_OK && back.canonical);
	KP_ASSERT(kp_slice_eq(back.data, in) && kp_slice_eq(back.from, m.from));
	KP_ASSERT(kp_slice_eq(back.signature, m.signature) && kp_slice_eq(back.key, m.key));
	uint8_t *covered = malloc(kp_rpc_message_signed_size(&back));
	KP_ASSERT(covered != NULL);
	kp_writer w = kp_writer_of(covered, kp_rpc_message_signed_size(&back));
	KP_ASSERT(kp_rpc_message_write_signed(&w, &back) == KP_OK && !w.full);
	KP_ASSERT(kp_slice_eq(kp_slice_of(covered, w.n), kp_slice_of(copy, to_sign.n)));

	uint8_t head[KP_RPC_FORWARD_HEAD_MAX];
	size_t head_n = kp_rpc_forward_head(message.n, head);
	KP_ASSERT(head_n + message.n == frame.n && memcmp(head, frame.p, head_n) == 0);
	free(covered);
	free(copy);
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	kp_slice in = kp_slice_of(data + 1, size - 1);
	if (data[0] & 1)
		fuzz_builder(in);
	else
		fuzz_publish(in);
	return 0;
}
