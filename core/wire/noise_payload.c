#include "wire/noise_payload.h"

#include "wire/pb.h"

enum { NOISE_IDENTITY_KEY = 1, NOISE_IDENTITY_SIG = 2, NOISE_EXTENSIONS = 4 };
enum { NOISE_EXT_STREAM_MUXERS = 2 };

static kp_err noise_extensions_check(kp_slice extensions)
{
	kp_slice name;
	kp_err err;
	while (kp_pb_next_bytes(&extensions, NOISE_EXT_STREAM_MUXERS, &name, &err))
		;
	return err;
}

static kp_err noise_payload_field(const kp_pb_field *f, kp_noise_payload *p)
{
	switch (f->number) {
	case NOISE_IDENTITY_KEY:
		p->identity_key = f->bytes;
		return f->type == KP_PB_LEN ? KP_OK : KP_E_PROTO;
	case NOISE_IDENTITY_SIG:
		p->identity_sig = f->bytes;
		return f->type == KP_PB_LEN ? KP_OK : KP_E_PROTO;
	case NOISE_EXTENSIONS:
		p->has_extensions = true;
		return f->type == KP_PB_LEN ? noise_extensions_check(f->bytes) : KP_E_PROTO;
	default:
		return KP_OK;
	}
}

kp_err kp_noise_payload_parse(kp_slice in, kp_noise_payload *out)
{
	kp_noise_payload p;
	memset(&p, 0, sizeof(p));
	p.muxers.payload = in;
	kp_pb_field f;
	kp_err err;
	while (kp_pb_next(&in, &f, &err))
		if (noise_payload_field(&f, &p) != KP_OK)
			return KP_E_PROTO;
	if (err != KP_OK)
		return err;
	if (p.identity_key.n == 0 || p.identity_sig.n == 0)
		return KP_E_PROTO;
	*out = p;
	return KP_OK;
}

bool kp_noise_next_muxer(kp_noise_muxers *rest, kp_slice *name)
{
	kp_err err;
	do {
		if (kp_pb_next_bytes(&rest->extensions, NOISE_EXT_STREAM_MUXERS, name, &err))
			return true;
	} while (kp_pb_next_bytes(&rest->payload, NOISE_EXTENSIONS, &rest->extensions, &err));
	return false;
}

void kp_noise_payload_write(kp_writer *w, kp_slice identity_key, kp_slice identity_sig,
                            const kp_slice *muxers, size_t n_muxers)
{
	kp_pb_write_bytes(w, NOISE_IDENTITY_KEY, identity_key);
	kp_pb_write_bytes(w, NOISE_IDENTITY_SIG, identity_sig);
	if (n_muxers == 0)
		return;
	size_t size = 0;
	for (size_t i = 0; i < n_muxers; i++)
		size += kp_pb_size_bytes(NOISE_EXT_STREAM_MUXERS, muxers[i].n);
	kp_pb_write_tag_len(w, NOISE_EXTENSIONS, size);
	for (size_t i = 0; i < n_muxers; i++)
		kp_pb_write_bytes(w, NOISE_EXT_STREAM_MUXERS, muxers[i]);
}
