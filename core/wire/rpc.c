#include "wire/rpc.h"

#include "wire/pb.h"

enum { RPC_SUBSCRIPTIONS = 1, RPC_PUBLISH = 2, RPC_CONTROL = 3 };
enum { SUBOPT_SUBSCRIBE = 1, SUBOPT_TOPIC = 2 };
enum { CONTROL_TOPIC = 1 };           /* of IHAVE, GRAFT, PRUNE */
enum { IHAVE_IDS = 2, WANT_IDS = 1 }; /* IWANT and IDONTWANT have no topic */
enum { PRUNE_PEERS = 2, PRUNE_BACKOFF = 3 };
enum { PX_ID = 1, PX_RECORD = 2 };
enum { MESSAGE_FIELDS = 6, MESSAGE_SIGNED_FIELDS = 4 };

/* By field number of ControlMessage. */
static bool rpc_control_kind(uint32_t number, kp_rpc_kind *kind)
{
	static const kp_rpc_kind kinds[] = {KP_RPC_IHAVE, KP_RPC_IWANT,     KP_RPC_GRAFT,
	                                    KP_RPC_PRUNE, KP_RPC_IDONTWANT, KP_RPC_EXTENSIONS};
	if (number > KP_COUNT_OF(kinds)) /* 0 is no field number */
		return false;
	*kind = kinds[number - 1];
	return true;
}

static kp_err rpc_px_parse(kp_slice in, kp_rpc_px *out)
{
	kp_pb_field f;
	kp_err err;
	out->id = kp_slice_none();
	out->record = kp_slice_none();
	while (kp_pb_next(&in, &f, &err)) {
		if (f.number != PX_ID && f.number != PX_RECORD)
			continue;
		if (f.type != KP_PB_LEN)
			return KP_E_PROTO;
		*(f.number == PX_ID ? &out->id : &out->record) = f.bytes;
	}
	return err;
}

static kp_err rpc_subopt_field(const kp_pb_field *f, kp_rpc_item *item)
{
	switch (f->number) {
	case SUBOPT_SUBSCRIBE:
		item->subscribe = f->value != 0;
		return f->type == KP_PB_VARINT ? KP_OK : KP_E_PROTO;
	case SUBOPT_TOPIC:
		item->topic = f->bytes;
		return f->type == KP_PB_LEN ? KP_OK : KP_E_PROTO;
	default:
		return KP_OK;
	}
}

static kp_err rpc_prune_field(const kp_pb_field *f, kp_rpc_item *item)
{
	kp_rpc_px px;
	switch (f->number) {
	case CONTROL_TOPIC:
		item->topic = f->bytes;
		return f->type == KP_PB_LEN ? KP_OK : KP_E_PROTO;
	case PRUNE_PEERS:
		return f->type == KP_PB_LEN ? rpc_px_parse(f->bytes, &px) : KP_E_PROTO;
	case PRUNE_BACKOFF:
		item->has_backoff = true;
		item->backoff = f->value;
		return f->type == KP_PB_VARINT ? KP_OK : KP_E_PROTO;
	default:
		return KP_OK;
	}
}

/* IHAVE, IWANT, GRAFT and IDONTWANT: a topic, ids, or both. */
static kp_err rpc_gossip_field(const kp_pb_field *f, kp_rpc_item *item)
{
	bool ids = f->number == item->ids.number;
	bool topic = f->number == CONTROL_TOPIC && !ids;
	if ((ids || topic) && f->type != KP_PB_LEN)
		return KP_E_PROTO;
	if (topic)
		item->topic = f->bytes;
	return KP_OK;
}

static kp_err rpc_item_field(const kp_pb_field *f, kp_rpc_item *item)
{
	switch (item->kind) {
	case KP_RPC_SUBOPT:
		return rpc_subopt_field(f, item);
	case KP_RPC_PRUNE:
		return rpc_prune_field(f, item);
	case KP_RPC_IHAVE:
	case KP_RPC_IWANT:
	case KP_RPC_GRAFT:
	case KP_RPC_IDONTWANT:
		return rpc_gossip_field(f, item);
	default: /* extensions */
		return KP_OK;
	}
}

/* Fills *item and checks all of raw, except a MESSAGE, which has its own parser. */
static kp_err rpc_item_parse(kp_rpc_kind kind, const kp_pb_field *outer, kp_rpc_item *item)
{
	memset(item, 0, sizeof(*item));
	if (outer->type != KP_PB_LEN)
		return KP_E_PROTO;
	item->kind = kind;
	item->raw = outer->bytes;
	item->ids.rest = outer->bytes;
	item->px = outer->bytes;
	if (kind == KP_RPC_IHAVE)
		item->ids.number = IHAVE_IDS;
	if (kind == KP_RPC_IWANT || kind == KP_RPC_IDONTWANT)
		item->ids.number = WANT_IDS;
	if (kind == KP_RPC_MESSAGE)
		return KP_OK;

	kp_slice rest = outer->bytes;
	kp_pb_field f;
	kp_err err;
	while (kp_pb_next(&rest, &f, &err))
		if (rpc_item_field(&f, item) != KP_OK)
			return KP_E_PROTO;
	return err;
}

kp_rpc_walk kp_rpc_walk_of(kp_slice rpc)
{
	kp_rpc_walk walk = {rpc, {NULL, 0}, KP_OK};
	return walk;
}

/* Enters control messages; true when f was an item. */
static bool rpc_walk_top(kp_rpc_walk *walk, const kp_pb_field *f, kp_rpc_item *item)
{
	switch (f->number) {
	case RPC_SUBSCRIPTIONS:
		walk->err = rpc_item_parse(KP_RPC_SUBOPT, f, item);
		return walk->err == KP_OK;
	case RPC_PUBLISH:
		walk->err = rpc_item_parse(KP_RPC_MESSAGE, f, item);
		return walk->err == KP_OK;
	case RPC_CONTROL:
		walk->err = f->type == KP_PB_LEN ? KP_OK : KP_E_PROTO;
		walk->control = f->bytes;
		return false;
	default:
		return false;
	}
}

bool kp_rpc_next(kp_rpc_walk *walk, kp_rpc_item *item)
{
	kp_pb_field f;
	kp_rpc_kind kind;
	while (walk->err == KP_OK) {
		if (walk->control.n > 0) {
			if (!kp_pb_next(&walk->control, &f, &walk->err))
				return false; /* malformed: there were bytes */
			if (!rpc_control_kind(f.number, &kind))
				continue;
			walk->err = rpc_item_parse(kind, &f, item);
			return walk->err == KP_OK;
		}
		if (!kp_pb_next(&walk->rpc, &f, &walk->err))
			return false;
		if (rpc_walk_top(walk, &f, item))
			return true;
	}
	return false;
}

bool kp_rpc_next_id(kp_rpc_ids *ids, kp_slice *id)
{
	kp_err err;
	return ids->number != 0 && kp_pb_next_bytes(&ids->rest, ids->number, id, &err);
}

bool kp_rpc_next_px(kp_slice *px, kp_rpc_px *out)
{
	kp_slice info;
	kp_err err;
	return kp_pb_next_bytes(px, PRUNE_PEERS, &info, &err) && rpc_px_parse(info, out) == KP_OK;
}

/* ---- validation ---- */

static uint32_t rpc_count_ids(const kp_rpc_item *item)
{
	kp_rpc_ids ids = item->ids;
	kp_slice id;
	uint32_t n = 0;
	while (kp_rpc_next_id(&ids, &id))
		n++;
	return n;
}

static uint32_t rpc_count_px(const kp_rpc_item *item)
{
	kp_slice rest = item->px, info;
	kp_err err;
	uint32_t n = 0;
	while (kp_pb_next_bytes(&rest, PRUNE_PEERS, &info, &err))
		n++;
	return n;
}

static void rpc_count_item(const kp_rpc_item *item, kp_rpc_counts *n)
{
	switch (item->kind) {
	case KP_RPC_IHAVE:
		n->ihave++;
		n->ihave_ids += rpc_count_ids(item);
		break;
	case KP_RPC_IWANT:
		n->iwant++;
		n->iwant_ids += rpc_count_ids(item);
		break;
	case KP_RPC_GRAFT:
		n->graft++;
		break;
	case KP_RPC_PRUNE:
		n->prune++;
		n->px += rpc_count_px(item);
		break;
	case KP_RPC_IDONTWANT:
		n->idontwant++;
		n->idontwant_ids += rpc_count_ids(item);
		break;
	default: /* extensions */
		break;
	}
}

static kp_err rpc_validate_control(kp_slice control, kp_rpc_counts *n)
{
	kp_pb_field f;
	kp_err err;
	n->control_bytes += control.n;
	while (kp_pb_next(&control, &f, &err)) {
		kp_rpc_kind kind;
		kp_rpc_item item;
		if (!rpc_control_kind(f.number, &kind)) {
			n->unknown++;
			continue;
		}
		if (rpc_item_parse(kind, &f, &item) != KP_OK)
			return KP_E_PROTO;
		rpc_count_item(&item, n);
	}
	return err;
}

static kp_err rpc_validate_field(const kp_pb_field *f, kp_rpc_counts *n)
{
	kp_rpc_item item;
	kp_rpc_message message;
	switch (f->number) {
	case RPC_SUBSCRIPTIONS:
		n->subopts++;
		n->control_bytes += f->bytes.n;
		return rpc_item_parse(KP_RPC_SUBOPT, f, &item);
	case RPC_PUBLISH:
		n->messages++;
		return f->type == KP_PB_LEN ? kp_rpc_message_parse(f->bytes, &message) : KP_E_PROTO;
	case RPC_CONTROL:
		return f->type == KP_PB_LEN ? rpc_validate_control(f->bytes, n) : KP_E_PROTO;
	default:
		n->unknown++;
		return KP_OK;
	}
}

kp_err kp_rpc_validate(kp_slice rpc, kp_rpc_counts *counts)
{
	kp_rpc_counts n;
	memset(&n, 0, sizeof(n));
	kp_pb_field f;
	kp_err err;
	while (kp_pb_next(&rpc, &f, &err))
		if (rpc_validate_field(&f, &n) != KP_OK)
			return KP_E_PROTO;
	if (err == KP_OK && counts != NULL)
		*counts = n;
	return err;
}

/* ---- one message ---- */

/* Field 1 to 6 of a message. */
static kp_slice rpc_message_field(const kp_rpc_message *m, uint32_t number)
{
	KP_ASSERT(number >= 1 && number <= MESSAGE_FIELDS);
	const kp_slice fields[] = {m->from, m->data, m->seqno, m->topic, m->signature, m->key};
	return fields[number - 1];
}

static void rpc_message_set(kp_rpc_message *m, uint32_t number, kp_slice bytes)
{
	KP_ASSERT(number >= 1 && number <= MESSAGE_FIELDS);
	kp_slice *const fields[] = {&m->from,  &m->data,      &m->seqno,
	                            &m->topic, &m->signature, &m->key};
	*fields[number - 1] = bytes;
}

/* Bytes that fields 1 to `last` take in canonical form. */
static size_t rpc_message_size(const kp_rpc_message *m, uint32_t last)
{
	size_t n = 0;
	for (uint32_t i = 1; i <= last; i++)
		n += kp_pb_size_opt(i, rpc_message_field(m, i));
	return n;
}

/* What the parser notes of the order of fields. */
struct rpc_message_order {
	uint32_t last;         /* highest known field so far */
	bool ascending;        /* all known fields, none twice */
	bool signed_ascending; /* the same of fields 1 to 4 */
	uint32_t signed_last;  /* highest of those so far */
	const uint8_t *signed_begin, *signed_end;
};

static void rpc_message_note(struct rpc_message_order *o, uint32_t number, const uint8_t *begin,
                             const uint8_t *end)
{
	if (number <= o->last)
		o->ascending = false;
	o->last = KP_MAX(o->last, number);
	if (number > MESSAGE_SIGNED_FIELDS)
		return;
	if (number <= o->signed_last)
		o->signed_ascending = false;
	o->signed_last = KP_MAX(o->signed_last, number);
	if (o->signed_begin == NULL)
		o->signed_begin = begin;
	o->signed_end = end;
}

kp_err kp_rpc_message_parse(kp_slice raw, kp_rpc_message *out)
{
	kp_rpc_message m;
	memset(&m, 0, sizeof(m));
	m.raw = raw;
	struct rpc_message_order o = {0, true, true, 0, NULL, NULL};
	kp_slice rest = raw;
	const uint8_t *begin = raw.p;
	kp_pb_field f;
	kp_err err;
	for (; kp_pb_next(&rest, &f, &err); begin = rest.p) {
		if (f.number > MESSAGE_FIELDS) {
			m.unknown = true;
			continue;
		}
		if (f.type != KP_PB_LEN)
			return KP_E_PROTO;
		rpc_message_set(&m, f.number, f.bytes);
		rpc_message_note(&o, f.number, begin, rest.p);
	}
	if (err != KP_OK)
		return err;

	/* padded varints and fields in between only ever add bytes */
	if (o.signed_begin != NULL && o.signed_ascending) {
		size_t n = (size_t)(o.signed_end - o.signed_begin);
		if (n == rpc_message_size(&m, MESSAGE_SIGNED_FIELDS))
			m.signed_fields = kp_slice_of(o.signed_begin, n);
	}
	m.canonical = o.ascending && !m.unknown && raw.n == rpc_message_size(&m, MESSAGE_FIELDS);
	*out = m;
	return KP_OK;
}

size_t kp_rpc_message_signed_size(const kp_rpc_message *m)
{
	return KP_RPC_SIGN_PREFIX_N + rpc_message_size(m, MESSAGE_SIGNED_FIELDS);
}

kp_err kp_rpc_message_write_signed(kp_writer *w, const kp_rpc_message *m)
{
	if (m->unknown)
		return KP_E_PROTO;
	kp_write(w, KP_RPC_SIGN_PREFIX, KP_RPC_SIGN_PREFIX_N);
	if (m->signed_fields.p != NULL) {
		kp_write_slice(w, m->signed_fields);
		return KP_OK;
	}
	for (uint32_t i = 1; i <= MESSAGE_SIGNED_FIELDS; i++)
		kp_pb_write_opt(w, i, rpc_message_field(m, i));
	return KP_OK;
}
