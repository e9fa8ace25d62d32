/* Signed envelopes, peer records and the Noise payload. */
#include <stdlib.h>

#include "wire/envelope.h"
#include "wire/noise_payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_envelope(kp_slice in, uint8_t *out)
{
	kp_envelope e, back;
	if (kp_envelope_parse(in, &e) != KP_OK)
		return;
	kp_writer w = kp_writer_of(out, kp_envelope_size(&e));
	kp_envelope_write(&w, &e);
	KP_ASSERT(!w.full && w.n == w.cap && w.n <= in.n);
	KP_ASSERT(kp_envelope_parse(kp_slice_of(out, w.n), &back) == KP_OK);
	KP_ASSERT(kp_slice_eq(e.public_key, back.public_key));
	KP_ASSERT(kp_slice_eq(e.payload_type, back.payload_type));
	KP_ASSERT(kp_slice_eq(e.payload, back.payload) && kp_slice_eq(e.signature, back.signature));
	kp_record_form form;
	(void)kp_envelope_form(&e, &form);
}

static void fuzz_record(kp_slice in, uint8_t *out, size_t cap)
{
	enum { ADDRS_MAX = 64 };
	kp_peer_record r, back;
	kp_slice addrs[ADDRS_MAX], rest, addr;
	size_t n = 0;
	if (kp_peer_record_parse(in, &r) != KP_OK)
		return;
	for (rest = r.addrs; n < ADDRS_MAX && kp_peer_record_next(&rest, &addr);)
		addrs[n++] = addr;
	kp_writer w = kp_writer_of(out, cap);
	kp_peer_record_write(&w, &r.id, r.seq, addrs, n);
	KP_ASSERT(!w.full);
	KP_ASSERT(kp_peer_record_parse(kp_slice_of(out, w.n), &back) == KP_OK);
	KP_ASSERT(kp_peer_id_eq(&r.id, &back.id) && r.seq == back.seq);
	rest = back.addrs;
	for (size_t i = 0; i < n; i++)
		KP_ASSERT(kp_peer_record_next(&rest, &addr) && kp_slice_eq(addr, addrs[i]));
	KP_ASSERT(!kp_peer_record_next(&rest, &addr));
}

static void fuzz_noise(kp_slice in, uint8_t *out, size_t cap)
{
	enum { MUXERS_MAX = 64 };
	kp_noise_payload p, back;
	kp_slice muxers[MUXERS_MAX], name;
	size_t n = 0;
	if (kp_noise_payload_parse(in, &p) != KP_OK)
		return;
	kp_noise_muxers walk = p.muxers;
	while (n < MUXERS_MAX && kp_noise_next_muxer(&walk, &name))
		muxers[n++] = name;
	KP_ASSERT(p.has_extensions || n == 0);
	kp_writer w = kp_writer_of(out, cap);
	kp_noise_payload_write(&w, p.identity_key, p.identity_sig, muxers, n);
	KP_ASSERT(!w.full);
	KP_ASSERT(kp_noise_payload_parse(kp_slice_of(out, w.n), &back) == KP_OK);
	KP_ASSERT(kp_slice_eq(p.identity_key, back.identity_key));
	KP_ASSERT(kp_slice_eq(p.identity_sig, back.identity_sig));
	walk = back.muxers;
	for (size_t i = 0; i < n; i++)
		KP_ASSERT(kp_noise_next_muxer(&walk, &name) && kp_slice_eq(name, muxers[i]));
	KP_ASSERT(!kp_noise_next_muxer(&walk, &name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cap = size + 16; /* joining several extensions fields can lengthen one length */
	uint8_t *out = malloc(cap);
	KP_ASSERT(out != NULL);
	fuzz_envelope(kp_slice_of(data, size), out);
	fuzz_record(kp_slice_of(data, size), out, cap);
	fuzz_noise(kp_slice_of(data, size), out, cap);
	free(out);
	return 0;
}
