#include "wire/varint.h"

size_t kp_varint_size(uint64_t v)
{
	size_t n = 1;
	while (v >= 0x80) {
		v >>= 7;
		n++;
	}
	return n;
}

void kp_varint_write(kp_writer *w, uint64_t v)
{
	uint8_t out[10];
	size_t n = 0;
	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	kp_write(w, out, n);
}

kp_err kp_varint_read(kp_slice *in, uint64_t *out)
{
	uint64_t v = 0;
	for (size_t i = 0; i < KP_VARINT_MAX_SIZE; i++) {
		if (i == in->n)
			return KP_E_AGAIN;
		uint8_t b = in->p[i];
		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (b & 0x80)
			continue;
		if (b == 0 && i > 0)
			return KP_E_PROTO; /* padded */
		*out = v;
		kp_slice_take(in, i + 1);
		return KP_OK;
	}
	return KP_E_PROTO;
}
