#include "wire/identify_msg.h"

#include "wire/pb.h"
#include "wire/varint.h"

static bool identify_known(uint32_t number)
{
	return number <= KP_IDENTIFY_SIGNED_RECORD && number != 7;
}

kp_err kp_identify_validate(kp_slice msg, kp_identify_counts *counts)
{
	kp_identify_counts n = {0, 0};
	kp_pb_field f;
	kp_err err;
	while (kp_pb_next(&msg, &f, &err)) {
		if (identify_known(f.number) && f.type != KP_PB_LEN)
			return KP_E_PROTO;
		n.listen_addrs += f.number == KP_IDENTIFY_LISTEN_ADDR;
		n.protocols += f.number == KP_IDENTIFY_PROTOCOL;
	}
	if (err == KP_OK && counts != NULL)
		*counts = n;
	return err;
}

bool kp_identify_next(kp_slice *rest, kp_identify_field *out)
{
	kp_pb_field f;
	kp_err err;
	while (kp_pb_next(rest, &f, &err)) {
		if (!identify_known(f.number) || f.type != KP_PB_LEN)
			continue;
		out->kind = (kp_identify_kind)f.number;
		out->value = f.bytes;
		return true;
	}
	return false;
}

static void identify_write_fields(kp_writer *w, const kp_identify_msg *m, size_t n_addrs,
                                  kp_slice record)
{
	kp_pb_write_opt(w, KP_IDENTIFY_PUBLIC_KEY, m->public_key);
	for (size_t i = 0; i < n_addrs; i++)
		kp_pb_write_bytes(w, KP_IDENTIFY_LISTEN_ADDR, m->listen_addrs[i]);
	for (size_t i = 0; i < m->n_protocols; i++)
		kp_pb_write_bytes(w, KP_IDENTIFY_PROTOCOL, m->protocols[i]);
	kp_pb_write_opt(w, KP_IDENTIFY_OBSERVED_ADDR, m->observed_addr);
	kp_pb_write_opt(w, KP_IDENTIFY_PROTOCOL_VERSION, m->protocol_version);
	kp_pb_write_opt(w, KP_IDENTIFY_AGENT_VERSION, m->agent_version);
	kp_pb_write_opt(w, KP_IDENTIFY_SIGNED_RECORD, record);
}

kp_err kp_identify_write(kp_writer *w, const kp_identify_msg *m)
{
	kp_writer count = kp_writer_of(NULL, 0);
	identify_write_fields(&count, m, 0, kp_slice_none());
	size_t size = count.n;
	if (size > KP_IDENTIFY_WRITE_MAX)
		return KP_E_TOOBIG;

	size_t n_addrs = 0;
	while (n_addrs < m->n_listen_addrs) {
		size_t one = kp_pb_size_bytes(KP_IDENTIFY_LISTEN_ADDR, m->listen_addrs[n_addrs].n);
		if (one > KP_IDENTIFY_WRITE_MAX - size)
			break;
		size += one;
		n_addrs++;
	}
	kp_slice record = m->signed_record;
	size_t record_size = kp_pb_size_opt(KP_IDENTIFY_SIGNED_RECORD, record);
	if (record_size > KP_IDENTIFY_WRITE_MAX - size) {
		record = kp_slice_none();
		record_size = 0;
	}
	kp_varint_write(w, size + record_size);
	identify_write_fields(w, m, n_addrs, record);
	return w->full ? KP_E_TOOBIG : KP_OK;
}
