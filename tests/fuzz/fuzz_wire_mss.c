/* multistream frames, their cuts, the ls answer; and the yamux header. */
#include "wire/mss_frame.h"
#include "wire/yamux_hdr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_frame(kp_slice in)
{
	kp_slice rest = in, name, again;
	kp_err err = kp_mss_read(&rest, &name);
	if (err != KP_OK) {
		KP_ASSERT(rest.p == in.p && rest.n == in.n);
		KP_ASSERT(err == KP_E_PROTO || in.n < KP_MSS_FRAME_MAX + 2);
		return;
	}
	size_t used = in.n - rest.n;
	KP_ASSERT(name.n <= KP_MSS_NAME_MAX && used == kp_mss_size(name.n));
	uint8_t out[KP_MSS_FRAME_MAX + 2];
	kp_writer w = kp_writer_of(out, sizeof(out));
	kp_mss_write(&w, name);
	KP_ASSERT(!w.full && w.n == used && memcmp(out, in.p, used) == 0);
	for (size_t n = 0; n < used; n++) { /* every prefix asks for more */
		kp_slice cut = kp_slice_of(in.p, n);
		KP_ASSERT(kp_mss_read(&cut, &again) == KP_E_AGAIN);
	}
	while (kp_mss_next_ls(&name, &again, &err))
		KP_ASSERT(again.n < KP_MSS_FRAME_MAX);
}

static void fuzz_yamux(kp_slice in)
{
	kp_yamux_hdr h;
	if (in.n < KP_YAMUX_HDR_SIZE || kp_yamux_hdr_parse(in.p, &h) != KP_OK)
		return;
	uint8_t out[KP_YAMUX_HDR_SIZE];
	kp_yamux_hdr_write(&h, out);
	KP_ASSERT(memcmp(out, in.p, sizeof(out)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_frame(kp_slice_of(data, size));
	fuzz_yamux(kp_slice_of(data, size));
	return 0;
}
