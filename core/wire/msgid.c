#include "wire/msgid.h"

#include "base/siphash.h"
#include "wire/json.h"

size_t kp_msgid_karak(kp_slice data, uint8_t out[KP_MSGID_KARAK_MAX])
{
	static const uint8_t zero_key[16] = {0};
	uint8_t len[8];
	for (int i = 0; i < 8; i++)
		len[i] = (uint8_t)((uint64_t)data.n >> (8 * i));

	kp_siphash h;
	kp_siphash_init(&h, zero_key, 1, 3);
	kp_siphash_update(&h, len, sizeof(len));
	if (data.n > 0)
		kp_siphash_update(&h, data.p, data.n);

	kp_writer w = kp_writer_of(out, KP_MSGID_KARAK_MAX);
	kp_json_u64(&w, kp_siphash_final(&h));
	KP_ASSERT(!w.full);
	return w.n;
}

void kp_msgid_from_seqno(kp_writer *w, kp_slice from, kp_slice seqno)
{
	kp_write_slice(w, from);
	kp_write_slice(w, seqno);
}

void kp_msgid_sha256(kp_writer *w, const uint8_t digest[32])
{
	kp_write(w, digest, 32);
}
