#include "wire/mss_frame.h"

#include "wire/varint.h"

#define MSS_PREFIX_MAX 2u /* bytes of the length of any frame we read */

size_t kp_mss_size(size_t n)
{
	return kp_varint_size(n + 1) + n + 1;
}

void kp_mss_write(kp_writer *w, kp_slice name)
{
	KP_ASSERT(name.n <= KP_MSS_NAME_MAX);
	kp_varint_write(w, name.n + 1);
	kp_write_slice(w, name);
	kp_write_u8(w, '\n');
}

kp_err kp_mss_read(kp_slice *in, kp_slice *name)
{
	kp_slice rest = *in;
	uint64_t n;
	kp_err err = kp_varint_read(&rest, &n);
	if (err == KP_E_AGAIN && in->n >= MSS_PREFIX_MAX)
		return KP_E_PROTO;
	if (err != KP_OK)
		return err;
	if (n == 0 || n > KP_MSS_FRAME_MAX)
		return KP_E_PROTO;
	if (n > rest.n)
		return KP_E_AGAIN;
	kp_slice frame = kp_slice_take(&rest, (size_t)n);
	if (frame.p[frame.n - 1] != '\n')
		return KP_E_PROTO;
	*name = kp_slice_of(frame.p, frame.n - 1);
	*in = rest;
	return KP_OK;
}

void kp_mss_write_ls(kp_writer *w, const kp_slice *names, size_t n)
{
	size_t size = 0, fit = 0;
	while (fit < n && size + kp_mss_size(names[fit].n) < KP_MSS_FRAME_MAX)
		size += kp_mss_size(names[fit++].n);
	kp_varint_write(w, size + 1);
	for (size_t i = 0; i < fit; i++)
		kp_mss_write(w, names[i]);
	kp_write_u8(w, '\n');
}

bool kp_mss_next_ls(kp_slice *text, kp_slice *name, kp_err *err)
{
	*err = KP_OK;
	if (text->n == 0)
		return false;
	*err = kp_mss_read(text, name) == KP_OK ? KP_OK : KP_E_PROTO;
	return *err == KP_OK;
}
