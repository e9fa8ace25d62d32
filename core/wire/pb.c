#include "wire/pb.h"

#include "wire/varint.h"

#define PB_VARINT_MAX_SIZE 10u
#define PB_NUMBER_MAX      ((1u << 29) - 1)

kp_err kp_pb_read_varint(kp_slice *in, uint64_t *out)
{
	uint64_t v = 0;
	/* ends by its tenth byte */
	for (size_t i = 0; i < in->n; i++) {
		uint8_t b = in->p[i];
		if (i == PB_VARINT_MAX_SIZE - 1 && b > 1)
			return KP_E_PROTO; /* over 64 bits, or an eleventh byte */
		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (b & 0x80)
			continue;
		*out = v;
		kp_slice_take(in, i + 1);
		return KP_OK;
	}
	return KP_E_PROTO;
}

/* n ≤ 8 bytes, little endian. */
static kp_err pb_read_fixed(kp_slice *in, size_t n, uint64_t *out)
{
	if (in->n < n)
		return KP_E_PROTO;
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)in->p[i] << (8 * i);
	*out = v;
	kp_slice_take(in, n);
	return KP_OK;
}

static kp_err pb_read_bytes(kp_slice *in, kp_slice *out)
{
	uint64_t n;
	if (kp_pb_read_varint(in, &n) != KP_OK || n > in->n)
		return KP_E_PROTO;
	*out = kp_slice_take(in, (size_t)n);
	return KP_OK;
}

static kp_err pb_read_field(kp_slice *in, kp_pb_field *f)
{
	uint64_t tag;
	if (kp_pb_read_varint(in, &tag) != KP_OK)
		return KP_E_PROTO;
	if (tag >> 3 == 0 || tag >> 3 > PB_NUMBER_MAX)
		return KP_E_PROTO;

	f->number = (uint32_t)(tag >> 3);
	f->type = (uint8_t)(tag & 7);
	f->value = 0;
	f->bytes = kp_slice_none();
	switch (f->type) {
	case KP_PB_VARINT:
		return kp_pb_read_varint(in, &f->value);
	case KP_PB_FIXED64:
		return pb_read_fixed(in, 8, &f->value);
	case KP_PB_LEN:
		return pb_read_bytes(in, &f->bytes);
	case KP_PB_FIXED32:
		return pb_read_fixed(in, 4, &f->value);
	default:
		return KP_E_PROTO; /* groups and what nobody defined */
	}
}

bool kp_pb_next(kp_slice *in, kp_pb_field *f, kp_err *err)
{
	*err = KP_OK;
	if (in->n == 0)
		return false;
	kp_slice rest = *in;
	*err = pb_read_field(&rest, f);
	if (*err != KP_OK)
		return false;
	*in = rest;
	return true;
}

kp_err kp_pb_check(kp_slice in)
{
	kp_pb_field f;
	kp_err err;
	while (kp_pb_next(&in, &f, &err))
		;
	return err;
}

bool kp_pb_next_bytes(kp_slice *rest, uint32_t number, kp_slice *out, kp_err *err)
{
	kp_pb_field f;
	while (kp_pb_next(rest, &f, err)) {
		if (f.number != number)
			continue;
		if (f.type != KP_PB_LEN) {
			*err = KP_E_PROTO;
			return false;
		}
		*out = f.bytes;
		return true;
	}
	return false;
}

static uint64_t pb_tag(uint32_t number, kp_pb_type type)
{
	KP_ASSERT(number > 0 && number <= PB_NUMBER_MAX);
	return (uint64_t)number << 3 | (uint64_t)type;
}

void kp_pb_write_varint(kp_writer *w, uint32_t number, uint64_t v)
{
	kp_varint_write(w, pb_tag(number, KP_PB_VARINT));
	kp_varint_write(w, v);
}

void kp_pb_write_tag_len(kp_writer *w, uint32_t number, size_t len)
{
	kp_varint_write(w, pb_tag(number, KP_PB_LEN));
	kp_varint_write(w, len);
}

void kp_pb_write_bytes(kp_writer *w, uint32_t number, kp_slice bytes)
{
	kp_pb_write_tag_len(w, number, bytes.n);
	kp_write_slice(w, bytes);
}

void kp_pb_write_opt(kp_writer *w, uint32_t number, kp_slice bytes)
{
	if (bytes.p != NULL)
		kp_pb_write_bytes(w, number, bytes);
}

size_t kp_pb_size_varint(uint32_t number, uint64_t v)
{
	return kp_varint_size(pb_tag(number, KP_PB_VARINT)) + kp_varint_size(v);
}

size_t kp_pb_size_tag_len(uint32_t number, size_t len)
{
	return kp_varint_size(pb_tag(number, KP_PB_LEN)) + kp_varint_size(len);
}

size_t kp_pb_size_bytes(uint32_t number, size_t n)
{
	return kp_pb_size_tag_len(number, n) + n;
}

size_t kp_pb_size_opt(uint32_t number, kp_slice bytes)
{
	return bytes.p != NULL ? kp_pb_size_bytes(number, bytes.n) : 0;
}
