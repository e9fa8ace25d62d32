/* Reading gossipsub RPCs: validation and the walk agree, counts are those of the walk, a message's
 * signed bytes are those of its canonical form. */
#include <stdlib.h>

#include "wire/pb.h"
#include "wire/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_write_fields(kp_writer *w, const kp_rpc_message *m, int last)
{
	const kp_slice fields[] = {m->from, m->data, m->seqno, m->topic, m->signature, m->key};
	for (int i = 0; i < last; i++)
		kp_pb_write_opt(w, (uint32_t)i + 1, fields[i]);
}

static void fuzz_message(kp_slice raw, kp_rpc_message *m)
{
	uint8_t *out = malloc(raw.n + KP_RPC_SIGN_PREFIX_N), *again = malloc(raw.n + 1);
	KP_ASSERT(out != NULL && again != NULL);
	kp_writer w = kp_writer_of(again, raw.n);
	fuzz_write_fields(&w, m, 6);
	KP_ASSERT(!w.full); /* the canonical form is never longer */
	KP_ASSERT(m->canonical == kp_slice_eq(kp_slice_of(again, w.n), raw));

	kp_rpc_message back;
	KP_ASSERT(kp_rpc_message_parse(kp_slice_of(again, w.n), &back) == KP_OK);
	KP_ASSERT(back.canonical && !back.unknown);
	KP_ASSERT((back.data.p == NULL) == (m->data.p == NULL) && kp_slice_eq(back.key, m->key));

	w = kp_writer_of(again, raw.n);
	fuzz_write_fields(&w, m, 4);
	kp_slice want = kp_slice_of(again, w.n);
	if (m->signed_fields.p != NULL)
		KP_ASSERT(kp_slice_eq(m->signed_fields, want));
	w = kp_writer_of(out, kp_rpc_message_signed_size(m));
	kp_err err = kp_rpc_message_write_signed(&w, m);
	KP_ASSERT(err == (m->unknown ? KP_E_PROTO : KP_OK) && !w.full);
	if (err == KP_OK) {
		KP_ASSERT(w.n == w.cap &&
		          memcmp(out, KP_RPC_SIGN_PREFIX, KP_RPC_SIGN_PREFIX_N) == 0);
		KP_ASSERT(kp_slice_eq(
		        want, kp_slice_of(out + KP_RPC_SIGN_PREFIX_N, w.n - KP_RPC_SIGN_PREFIX_N)));
	}
	free(out);
	free(again);
}

static uint32_t fuzz_ids(const kp_rpc_item *item)
{
	kp_rpc_ids ids = item->ids;
	kp_slice id;
	uint32_t n = 0;
	while (kp_rpc_next_id(&ids, &id)) {
		KP_ASSERT(id.p != NULL);
		n++;
	}
	return n;
}

static kp_err fuzz_item(const kp_rpc_item *item, kp_rpc_counts *n)
{
	kp_rpc_message m;
	kp_slice px = item->px;
	kp_rpc_px one;
	uint32_t ids = fuzz_ids(item);
	KP_ASSERT(item->raw.p != NULL);
	switch (item->kind) {
	case KP_RPC_SUBOPT:
		n->subopts++;
		break;
	case KP_RPC_MESSAGE:
		n->messages++;
		if (kp_rpc_message_parse(item->raw, &m) != KP_OK)
			return KP_E_PROTO;
		fuzz_message(item->raw, &m);
		break;
	case KP_RPC_IHAVE:
		n->ihave++;
		n->ihave_ids += ids;
		break;
	case KP_RPC_IWANT:
		n->iwant++;
		n->iwant_ids += ids;
		break;
	case KP_RPC_GRAFT:
		n->graft++;
		KP_ASSERT(ids == 0);
		break;
	case KP_RPC_PRUNE:
		n->prune++;
		while (kp_rpc_next_px(&px, &one))
			n->px++;
		break;
	case KP_RPC_IDONTWANT:
		n->idontwant++;
		n->idontwant_ids += ids;
		break;
	case KP_RPC_EXTENSIONS:
		break;
	}
	return KP_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kp_slice in = kp_slice_of(data, size);
	kp_rpc_counts want, n;
	memset(&n, 0, sizeof(n));
	kp_err valid = kp_rpc_validate(in, &want), err = KP_OK;
	kp_rpc_walk walk = kp_rpc_walk_of(in);
	kp_rpc_item item;
	while (err == KP_OK && kp_rpc_next(&walk, &item))
		err = fuzz_item(&item, &n);
	KP_ASSERT((valid == KP_OK) == (err == KP_OK && walk.err == KP_OK));
	if (valid == KP_OK) {
		n.unknown = want.unknown;
		n.control_bytes = want.control_bytes;
		KP_ASSERT(memcmp(&n, &want, sizeof(n)) == 0);
		KP_ASSERT(want.control_bytes <= size && want.unknown <= size);
	}

	kp_rpc_message m;
	if (kp_rpc_message_parse(in, &m) == KP_OK)
		fuzz_message(in, &m);
	return 0;
}
