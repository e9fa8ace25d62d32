/* Length-delimited reassembly: see lenframe.h. */
#include "conn/lenframe.h"

/* KP_OK = the length is complete. */
static kp_err lenframe_length(kp_lenframe *f, kp_slice *in)
{
	while (!f->in_body) {
		if (in->n == 0)
			return KP_E_AGAIN;
		uint8_t b = *kp_slice_take(in, 1).p;
		/* Nine groups of seven bits, and the last one is not empty: minimal form only. */
		if (f->shift > 56 || (f->shift > 0 && b == 0))
			return KP_E_PROTO;
		f->len |= (uint64_t)(b & 0x7f) << f->shift;
		f->shift = (uint8_t)(f->shift + 7);
		f->in_body = (b & 0x80) == 0;
	}
	return KP_OK;
}

static void lenframe_next(kp_lenframe *f)
{
	f->len = f->got = 0;
	f->body = NULL;
	f->shift = 0;
	f->in_body = f->skipping = false;
}

/* Swallows body bytes; true when the frame is past. */
static bool lenframe_swallow(kp_lenframe *f, kp_slice *in)
{
	uint64_t n = KP_MIN(f->len - f->got, (uint64_t)in->n);
	kp_slice_take(in, (size_t)n);
	f->got += n;
	return f->got == f->len;
}

/* Where the length has just become known. KP_OK = read the body. */
static kp_err lenframe_judge(kp_lenframe *f, uint32_t max)
{
	if (f->len <= max)
		return KP_OK;
	if (!f->skip_big)
		return KP_E_PROTO;
	f->skipping = true;
	return KP_E_TOOBIG;
}

kp_err kp_lenframe_feed(kp_lenframe *f, kp_pool *pool, uint32_t max, kp_slice *in, kp_ref *out)
{
	*out = kp_ref_none();
	for (;;) {
		if (!f->in_body) {
			kp_err err = lenframe_length(f, in);
			if (err == KP_OK)
				err = lenframe_judge(f, max);
			if (err != KP_OK)
				return err;
		}
		if (!f->skipping)
			break;
		if (!lenframe_swallow(f, in))
			return KP_E_AGAIN;
		lenframe_next(f);
	}
	if (f->len > 0 && f->body == NULL) {
		if (in->n == 0)
			return KP_E_AGAIN;
		f->body = kp_block_new(pool, (size_t)f->len);
		if (f->body == NULL)
			return KP_E_LIMIT;
	}
	size_t n = KP_MIN((size_t)(f->len - f->got), in->n);
	if (n > 0)
		memcpy(kp_block_bytes(f->body) + f->got, kp_slice_take(in, n).p, n);
	f->got += n;
	if (f->got < f->len)
		return KP_E_AGAIN;
	if (f->len > 0)
		*out = kp_ref_take(f->body, 0, (size_t)f->len);
	lenframe_next(f);
	return KP_OK;
}

void kp_lenframe_skip(kp_lenframe *f)
{
	KP_ASSERT(f->in_body && f->body == NULL);
	f->skipping = true;
}

void kp_lenframe_fini(kp_lenframe *f)
{
	kp_block_unref(f->body);
	lenframe_next(f);
}
