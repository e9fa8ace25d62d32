#include "wire/kad_msg.h"

#include "wire/pb.h"
#include "wire/varint.h"

enum {
	KAD_TYPE = 1,
	KAD_KEY = 2,
	KAD_RECORD = 3,
	KAD_CLOSER = 8,
	KAD_PROVIDERS = 9,
	KAD_CLUSTER_LEVEL = 10,
};

enum { KAD_PEER_ID = 1, KAD_PEER_ADDRS = 2, KAD_PEER_CONNECTION = 3 };

enum {
	KAD_RECORD_KEY = 1,
	KAD_RECORD_VALUE = 2,
	KAD_RECORD_TIME = 5,
	KAD_RECORD_PUBLISHER = 666,
	KAD_RECORD_TTL = 777,
};

/* ---- reading ---- */

static kp_err kad_record_field(const kp_pb_field *f, kp_kad_record *r)
{
	kp_slice *to = NULL;
	switch (f->number) {
	case KAD_RECORD_KEY:
		to = &r->key;
		break;
	case KAD_RECORD_VALUE:
		to = &r->value;
		break;
	case KAD_RECORD_TIME:
		to = &r->time_received;
		break;
	case KAD_RECORD_PUBLISHER:
		to = &r->publisher;
		break;
	case KAD_RECORD_TTL:
		r->ttl = f->value > UINT32_MAX ? UINT32_MAX : (uint32_t)f->value;
		return f->type == KP_PB_VARINT ? KP_OK : KP_E_PROTO;
	default:
		return KP_OK;
	}
	*to = f->bytes;
	return f->type == KP_PB_LEN ? KP_OK : KP_E_PROTO;
}

/* Into what earlier record fields left: embedded messages merge. */
static kp_err kad_record_merge(kp_slice in, kp_kad_record *r)
{
	kp_pb_field f;
	kp_err err;
	while (kp_pb_next(&in, &f, &err))
		if (kad_record_field(&f, r) != KP_OK)
			return KP_E_PROTO;
	return err;
}

/* KP_E_PROTO = malformed; *usable says whether the entry is one to act on. */
static kp_err kad_peer_parse(kp_slice in, kp_kad_peer *out, bool *usable)
{
	memset(out, 0, sizeof(*out));
	out->addrs = in;
	*usable = true;
	kp_slice id = kp_slice_none();
	kp_pb_field f;
	kp_err err;
	while (kp_pb_next(&in, &f, &err)) {
		bool bytes = f.number == KAD_PEER_ID || f.number == KAD_PEER_ADDRS;
		if (bytes && f.type != KP_PB_LEN)
			return KP_E_PROTO;
		if (f.number == KAD_PEER_ID)
			id = f.bytes;
		if (f.number != KAD_PEER_CONNECTION)
			continue;
		if (f.type != KP_PB_VARINT)
			return KP_E_PROTO;
		*usable = f.value <= KP_KAD_CANNOT_CONNECT;
		out->connection = *usable ? (kp_kad_conn)f.value : KP_KAD_NOT_CONNECTED;
	}
	if (kp_peer_id_parse_bytes(id, &out->id) != KP_OK)
		*usable = false;
	return err;
}

static kp_err kad_check_peer(const kp_pb_field *f)
{
	kp_kad_peer peer;
	bool usable;
	return f->type == KP_PB_LEN ? kad_peer_parse(f->bytes, &peer, &usable) : KP_E_PROTO;
}

static kp_err kad_field(const kp_pb_field *f, kp_kad_msg *m)
{
	switch (f->number) {
	case KAD_TYPE:
		if (f->type != KP_PB_VARINT || f->value > KP_KAD_PING)
			return KP_E_PROTO;
		m->type = (kp_kad_type)f->value;
		return KP_OK;
	case KAD_KEY:
		m->key = f->bytes;
		return f->type == KP_PB_LEN ? KP_OK : KP_E_PROTO;
	case KAD_RECORD:
		m->has_record = true;
		return f->type == KP_PB_LEN ? kad_record_merge(f->bytes, &m->record) : KP_E_PROTO;
	case KAD_CLOSER:
		m->n_closer++;
		return kad_check_peer(f);
	case KAD_PROVIDERS:
		m->n_providers++;
		return kad_check_peer(f);
	case KAD_CLUSTER_LEVEL: /* int32: the low half of what was sent */
		m->cluster_level = (int32_t)(uint32_t)f->value;
		return f->type == KP_PB_VARINT ? KP_OK : KP_E_PROTO;
	default:
		return KP_OK;
	}
}

kp_err kp_kad_parse(kp_slice in, kp_kad_msg *out)
{
	if (in.n > KP_KAD_MSG_MAX)
		return KP_E_TOOBIG;
	kp_kad_msg m;
	memset(&m, 0, sizeof(m));
	m.closer.rest = in;
	m.closer.number = KAD_CLOSER;
	m.providers.rest = in;
	m.providers.number = KAD_PROVIDERS;
	kp_pb_field f;
	kp_err err;
	while (kp_pb_next(&in, &f, &err))
		if (kad_field(&f, &m) != KP_OK)
			return KP_E_PROTO;
	if (err != KP_OK)
		return err;
	*out = m;
	return KP_OK;
}

bool kp_kad_next_peer(kp_kad_peers *rest, kp_kad_peer *out)
{
	kp_slice entry;
	kp_err err;
	while (kp_pb_next_bytes(&rest->rest, rest->number, &entry, &err)) {
		kp_kad_peer peer;
		bool usable;
		if (kad_peer_parse(entry, &peer, &usable) != KP_OK || !usable)
			continue;
		*out = peer;
		return true;
	}
	return false;
}

bool kp_kad_next_addr(kp_slice *addrs, kp_slice *addr)
{
	kp_err err;
	return kp_pb_next_bytes(addrs, KAD_PEER_ADDRS, addr, &err);
}

/* ---- writing ---- */

/* proto3: empty is the same as missing. */
static void kad_write_filled(kp_writer *w, uint32_t number, kp_slice bytes)
{
	if (bytes.n > 0)
		kp_pb_write_bytes(w, number, bytes);
}

static void kad_record_write(kp_writer *w, const kp_kad_record *r)
{
	kad_write_filled(w, KAD_RECORD_KEY, r->key);
	kad_write_filled(w, KAD_RECORD_VALUE, r->value);
	kad_write_filled(w, KAD_RECORD_TIME, r->time_received);
	kad_write_filled(w, KAD_RECORD_PUBLISHER, r->publisher);
	if (r->ttl != 0)
		kp_pb_write_varint(w, KAD_RECORD_TTL, r->ttl);
}

static void kad_peer_write(kp_writer *w, const kp_kad_peer_out *p)
{
	kp_pb_write_bytes(w, KAD_PEER_ID, kp_peer_id_slice(p->id));
	for (size_t i = 0; i < p->n_addrs; i++)
		kp_pb_write_bytes(w, KAD_PEER_ADDRS, p->addrs[i]);
	if (p->connection != KP_KAD_NOT_CONNECTED)
		kp_pb_write_varint(w, KAD_PEER_CONNECTION, (uint64_t)p->connection);
}

static size_t kad_record_size(const kp_kad_record *r)
{
	kp_writer count = kp_writer_of(NULL, 0);
	kad_record_write(&count, r);
	return count.n;
}

static size_t kad_peer_size(const kp_kad_peer_out *p)
{
	kp_writer count = kp_writer_of(NULL, 0);
	kad_peer_write(&count, p);
	return count.n;
}

static void kad_write_peers(kp_writer *w, uint32_t number, const kp_kad_peer_out *peers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		kp_pb_write_tag_len(w, number, kad_peer_size(&peers[i]));
		kad_peer_write(w, &peers[i]);
	}
}

static void kad_write_fields(kp_writer *w, const kp_kad_out *m, size_t n_closer, size_t n_providers)
{
	if (m->type != KP_KAD_PUT_VALUE)
		kp_pb_write_varint(w, KAD_TYPE, (uint64_t)m->type);
	kad_write_filled(w, KAD_KEY, m->key);
	if (m->record != NULL) {
		kp_pb_write_tag_len(w, KAD_RECORD, kad_record_size(m->record));
		kad_record_write(w, m->record);
	}
	kad_write_peers(w, KAD_CLOSER, m->closer, n_closer);
	kad_write_peers(w, KAD_PROVIDERS, m->providers, n_providers);
	if (m->cluster_level != 0) /* protobuf sign-extends int32 to 64 bits */
		kp_pb_write_varint(w, KAD_CLUSTER_LEVEL, (uint64_t)(int64_t)m->cluster_level);
}

/* How many of the peers fit beside *size bytes; adds them to *size. */
static size_t kad_peers_fit(uint32_t number, const kp_kad_peer_out *peers, size_t n, size_t *size)
{
	size_t fit = 0;
	while (fit < n) {
		size_t one = kp_pb_size_bytes(number, kad_peer_size(&peers[fit]));
		if (one > KP_KAD_MSG_MAX - *size)
			break;
		*size += one;
		fit++;
	}
	return fit;
}

kp_err kp_kad_write(kp_writer *w, const kp_kad_out *m)
{
	kp_writer count = kp_writer_of(NULL, 0);
	kad_write_fields(&count, m, 0, 0);
	size_t size = count.n;
	if (size > KP_KAD_MSG_MAX)
		return KP_E_TOOBIG;
	size_t n_providers = kad_peers_fit(KAD_PROVIDERS, m->providers, m->n_providers, &size);
	size_t n_closer = kad_peers_fit(KAD_CLOSER, m->closer, m->n_closer, &size);
	kp_varint_write(w, size);
	kad_write_fields(w, m, n_closer, n_providers);
	return w->full ? KP_E_TOOBIG : KP_OK;
}
