/* The Identify message: what was read, written again, reads the same. */
#include "wire/identify_msg.h"
#include "wire/varint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_LIST_MAX = 128 };

struct fuzz_identify {
	kp_identify_msg m;
	kp_slice addrs[FUZZ_LIST_MAX], protocols[FUZZ_LIST_MAX];
};

static void fuzz_take(kp_slice msg, struct fuzz_identify *f)
{
	memset(f, 0, sizeof(*f));
	f->m.listen_addrs = f->addrs;
	f->m.protocols = f->protocols;
	kp_identify_field field;
	while (kp_identify_next(&msg, &field)) {
		KP_ASSERT(field.value.p != NULL);
		switch (field.kind) {
		case KP_IDENTIFY_PUBLIC_KEY:
			f->m.public_key = field.value;
			break;
		case KP_IDENTIFY_LISTEN_ADDR:
			if (f->m.n_listen_addrs < FUZZ_LIST_MAX)
				f->addrs[f->m.n_listen_addrs++] = field.value;
			break;
		case KP_IDENTIFY_PROTOCOL:
			if (f->m.n_protocols < FUZZ_LIST_MAX)
				f->protocols[f->m.n_protocols++] = field.value;
			break;
		case KP_IDENTIFY_OBSERVED_ADDR:
			f->m.observed_addr = field.value;
			break;
		case KP_IDENTIFY_PROTOCOL_VERSION:
			f->m.protocol_version = field.value;
			break;
		case KP_IDENTIFY_AGENT_VERSION:
			f->m.agent_version = field.value;
			break;
		case KP_IDENTIFY_SIGNED_RECORD:
			f->m.signed_record = field.value;
			break;
		}
	}
	KP_ASSERT(msg.n == 0);
}

static bool fuzz_same(kp_slice a, kp_slice b)
{
	return (a.p == NULL) == (b.p == NULL) && kp_slice_eq(a, b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kp_slice in = kp_slice_of(data, size);
	kp_identify_counts counts;
	if (kp_identify_validate(in, &counts) != KP_OK)
		return 0;
	struct fuzz_identify a, b;
	fuzz_take(in, &a);
	KP_ASSERT(KP_MIN(counts.listen_addrs, FUZZ_LIST_MAX) == a.m.n_listen_addrs);
	KP_ASSERT(KP_MIN(counts.protocols, FUZZ_LIST_MAX) == a.m.n_protocols);

	uint8_t out[KP_IDENTIFY_WRITE_MAX + 2];
	kp_writer w = kp_writer_of(out, sizeof(out));
	kp_err err = kp_identify_write(&w, &a.m);
	if (err != KP_OK) {
		KP_ASSERT(err == KP_E_TOOBIG && w.n == 0 && size > KP_IDENTIFY_WRITE_MAX);
		return 0;
	}
	kp_slice back = kp_slice_of(out, w.n);
	uint64_t n;
	KP_ASSERT(kp_varint_read(&back, &n) == KP_OK && n == back.n && n <= KP_IDENTIFY_WRITE_MAX);
	KP_ASSERT(kp_identify_validate(back, NULL) == KP_OK);
	fuzz_take(back, &b);
	KP_ASSERT(fuzz_same(a.m.public_key, b.m.public_key));
	KP_ASSERT(fuzz_same(a.m.observed_addr, b.m.observed_addr));
	KP_ASSERT(fuzz_same(a.m.protocol_version, b.m.protocol_version));
	KP_ASSERT(fuzz_same(a.m.agent_version, b.m.agent_version));
	KP_ASSERT(a.m.n_protocols == b.m.n_protocols);
	KP_ASSERT(b.m.n_listen_addrs <= a.m.n_listen_addrs);
	if (size <= KP_IDENTIFY_WRITE_MAX) { /* then nothing had to be left out */
		KP_ASSERT(a.m.n_listen_addrs == b.m.n_listen_addrs);
		KP_ASSERT(fuzz_same(a.m.signed_record, b.m.signed_record));
	}
	for (size_t i = 0; i < b.m.n_listen_addrs; i++)
		KP_ASSERT(fuzz_same(a.addrs[i], b.addrs[i]));
	for (size_t i = 0; i < b.m.n_protocols; i++)
		KP_ASSERT(fuzz_same(a.protocols[i], b.protocols[i]));
	return 0;
}
