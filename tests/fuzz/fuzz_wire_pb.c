/* uvarints and protobuf fields: what is read, written again, reads the same. */
#include "wire/pb.h"
#include "wire/varint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_uvarint(kp_slice in)
{
	kp_slice rest = in;
	uint64_t v = 0;
	kp_err err = kp_varint_read(&rest, &v);
	if (err != KP_OK) {
		KP_ASSERT(rest.p == in.p && rest.n == in.n);
		KP_ASSERT(err == KP_E_PROTO || in.n < KP_VARINT_MAX_SIZE);
		return;
	}
	size_t used = in.n - rest.n;
	uint8_t out[10];
	kp_writer w = kp_writer_of(out, sizeof(out));
	kp_varint_write(&w, v);
	KP_ASSERT(w.n == used && kp_varint_size(v) == used && memcmp(out, in.p, used) == 0);

	for (size_t n = 0; n < used; n++) {
		kp_slice cut = kp_slice_of(in.p, n);
		KP_ASSERT(kp_varint_read(&cut, &v) == KP_E_AGAIN);
	}
	uint64_t pb = 0;
	KP_ASSERT(kp_pb_read_varint(&in, &pb) == KP_OK && pb == v);
}

static void fuzz_field(kp_slice in)
{
	kp_err check = kp_pb_check(in), err;
	kp_pb_field f, back;
	while (kp_pb_next(&in, &f, &err)) {
		KP_ASSERT((f.bytes.p != NULL) == (f.type == KP_PB_LEN) && f.number > 0);
		uint8_t out[64];
		kp_writer w = kp_writer_of(out, sizeof(out));
		if (f.type == KP_PB_VARINT) {
			kp_pb_write_varint(&w, f.number, f.value);
			KP_ASSERT(w.n == kp_pb_size_varint(f.number, f.value));
		} else if (f.type == KP_PB_LEN && f.bytes.n < 32) {
			kp_pb_write_bytes(&w, f.number, f.bytes);
			KP_ASSERT(w.n == kp_pb_size_bytes(f.number, f.bytes.n));
		} else {
			continue;
		}
		kp_slice again = kp_slice_of(out, w.n);
		KP_ASSERT(kp_pb_next(&again, &back, &err) && again.n == 0);
		KP_ASSERT(back.number == f.number && back.value == f.value);
		KP_ASSERT(kp_slice_eq(back.bytes, f.bytes));
	}
	KP_ASSERT(err == check && (in.n == 0) == (err == KP_OK));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_uvarint(kp_slice_of(data, size));
	fuzz_field(kp_slice_of(data, size));
	return 0;
}
