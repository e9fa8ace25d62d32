#include "wire/envelope.h"

#include "wire/pb.h"
#include "wire/varint.h"

enum {
	ENVELOPE_PUBLIC_KEY = 1,
	ENVELOPE_PAYLOAD_TYPE = 2,
	ENVELOPE_PAYLOAD = 3,
	ENVELOPE_SIGNATURE = 5,
};

enum { RECORD_PEER_ID = 1, RECORD_SEQ = 2, RECORD_ADDRESS = 3, ADDRESS_MULTIADDR = 1 };

kp_slice kp_record_domain(kp_record_form form)
{
	return kp_slice_str(form == KP_RECORD_STANDARD ? "libp2p-peer-record"
	                                               : "libp2p-routing-state");
}

kp_slice kp_record_payload_type(kp_record_form form)
{
	return kp_slice_str(form == KP_RECORD_STANDARD ? "\x03\x01"
	                                               : "/libp2p/routing-state-record");
}

kp_err kp_envelope_parse(kp_slice in, kp_envelope *out)
{
	kp_envelope e;
	memset(&e, 0, sizeof(e));
	kp_pb_field f;
	kp_err err;
	while (kp_pb_next(&in, &f, &err)) {
		kp_slice *to = f.number == ENVELOPE_PUBLIC_KEY     ? &e.public_key
		               : f.number == ENVELOPE_PAYLOAD_TYPE ? &e.payload_type
		               : f.number == ENVELOPE_PAYLOAD      ? &e.payload
		               : f.number == ENVELOPE_SIGNATURE    ? &e.signature
		                                                   : NULL;
		if (to == NULL)
			continue;
		if (f.type != KP_PB_LEN)
			return KP_E_PROTO;
		*to = f.bytes;
	}
	if (err != KP_OK)
		return err;
	if (e.public_key.n == 0 || e.payload_type.p == NULL || e.payload.p == NULL ||
	    e.signature.n == 0)
		return KP_E_PROTO;
	*out = e;
	return KP_OK;
}

size_t kp_envelope_size(const kp_envelope *e)
{
	return kp_pb_size_bytes(ENVELOPE_PUBLIC_KEY, e->public_key.n) +
	       kp_pb_size_bytes(ENVELOPE_PAYLOAD_TYPE, e->payload_type.n) +
	       kp_pb_size_bytes(ENVELOPE_PAYLOAD, e->payload.n) +
	       kp_pb_size_bytes(ENVELOPE_SIGNATURE, e->signature.n);
}

void kp_envelope_write(kp_writer *w, const kp_envelope *e)
{
	kp_pb_write_bytes(w, ENVELOPE_PUBLIC_KEY, e->public_key);
	kp_pb_write_bytes(w, ENVELOPE_PAYLOAD_TYPE, e->payload_type);
	kp_pb_write_bytes(w, ENVELOPE_PAYLOAD, e->payload);
	kp_pb_write_bytes(w, ENVELOPE_SIGNATURE, e->signature);
}

bool kp_envelope_form(const kp_envelope *e, kp_record_form *out)
{
	static const kp_record_form forms[] = {KP_RECORD_STANDARD, KP_RECORD_ROUTING_STATE};
	for (size_t i = 0; i < KP_COUNT_OF(forms); i++) {
		if (!kp_slice_eq(e->payload_type, kp_record_payload_type(forms[i])))
			continue;
		*out = forms[i];
		return true;
	}
	return false;
}

void kp_envelope_write_signed(kp_writer *w, kp_slice domain, kp_slice payload_type,
                              kp_slice payload)
{
	const kp_slice parts[] = {domain, payload_type, payload};
	for (size_t i = 0; i < KP_COUNT_OF(parts); i++) {
		kp_varint_write(w, parts[i].n);
		kp_write_slice(w, parts[i]);
	}
}

size_t kp_envelope_signed_size(kp_slice domain, kp_slice payload_type, kp_slice payload)
{
	kp_writer count = kp_writer_of(NULL, 0);
	kp_envelope_write_signed(&count, domain, payload_type, payload);
	return count.n;
}

/* seq and the last peer id; address entries only as far as they must be well-formed. */
static kp_err record_field(const kp_pb_field *f, kp_peer_record *r, kp_slice *id)
{
	switch (f->number) {
	case RECORD_PEER_ID:
		*id = f->bytes;
		return f->type == KP_PB_LEN ? KP_OK : KP_E_PROTO;
	case RECORD_SEQ:
		r->seq = f->value;
		return f->type == KP_PB_VARINT ? KP_OK : KP_E_PROTO;
	case RECORD_ADDRESS:
		return f->type == KP_PB_LEN ? kp_pb_check(f->bytes) : KP_E_PROTO;
	default:
		return KP_OK;
	}
}

kp_err kp_peer_record_parse(kp_slice payload, kp_peer_record *out)
{
	kp_peer_record r;
	memset(&r, 0, sizeof(r));
	r.addrs = payload;
	kp_slice id = kp_slice_none();
	kp_pb_field f;
	kp_err err;
	while (kp_pb_next(&payload, &f, &err))
		if (record_field(&f, &r, &id) != KP_OK)
			return KP_E_PROTO;
	if (err != KP_OK)
		return err;
	if (kp_peer_id_parse_bytes(id, &r.id) != KP_OK)
		return KP_E_PROTO;
	*out = r;
	return KP_OK;
}

bool kp_peer_record_next(kp_slice *rest, kp_slice *addr)
{
	kp_slice info;
	kp_err err;
	while (kp_pb_next_bytes(rest, RECORD_ADDRESS, &info, &err)) {
		bool found = false;
		while (kp_pb_next_bytes(&info, ADDRESS_MULTIADDR, addr, &err))
			found = true; /* the last one counts */
		if (found)
			return true;
	}
	return false;
}

void kp_peer_record_write(kp_writer *w, const kp_peer_id *id, uint64_t seq, const kp_slice *addrs,
                          size_t n_addrs)
{
	kp_pb_write_bytes(w, RECORD_PEER_ID, kp_peer_id_slice(id));
	if (seq != 0) /* proto3 */
		kp_pb_write_varint(w, RECORD_SEQ, seq);
	for (size_t i = 0; i < n_addrs; i++) {
		kp_pb_write_tag_len(w, RECORD_ADDRESS,
		                    kp_pb_size_bytes(ADDRESS_MULTIADDR, addrs[i].n));
		kp_pb_write_bytes(w, ADDRESS_MULTIADDR, addrs[i]);
	}
}
