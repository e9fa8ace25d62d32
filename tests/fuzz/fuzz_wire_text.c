/* base58, base36, base32, base64, multibase, IP texts, UTF-8 and JSON. */
#include "wire/base32.h"
#include "wire/base58.h"
#include "wire/base64.h"
#include "wire/ip_text.h"
#include "wire/json.h"
#include "wire/multibase.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_MAX 256

static void fuzz_base58(kp_slice in)
{
	char text[KP_BASE58_TEXT_MAX];
	uint8_t bytes[KP_BASE58_BYTES_MAX];
	size_t n;
	if (in.n > 0 && in.n <= KP_BASE58_BYTES_MAX) {
		size_t text_n = kp_base58_encode(in, text, sizeof(text));
		KP_ASSERT(text_n > 0);
		KP_ASSERT(kp_base58_decode(kp_slice_of(text, text_n), bytes, in.n, &n) == KP_OK);
		KP_ASSERT(kp_slice_eq(kp_slice_of(bytes, n), in));
	}
	if (kp_base58_decode(in, bytes, sizeof(bytes), &n) == KP_OK) {
		KP_ASSERT(kp_base58_encode(kp_slice_of(bytes, n), text, sizeof(text)) == in.n);
		KP_ASSERT(memcmp(text, in.p, in.n) == 0);
	}
	(void)kp_base36_decode(in, bytes, sizeof(bytes), &n);
	(void)kp_multibase_decode(in, bytes, sizeof(bytes), &n);
}

static void fuzz_base64(kp_slice in, kp_base64_form form)
{
	uint8_t text[KP_BASE64_TEXT_SIZE(FUZZ_MAX)], bytes[FUZZ_MAX];
	size_t n;
	kp_writer w = kp_writer_of(text, sizeof(text));
	kp_base64_write(&w, form, in);
	KP_ASSERT(!w.full);
	KP_ASSERT(kp_base64_decode(form, kp_slice_of(text, w.n), bytes, in.n, &n) == KP_OK);
	KP_ASSERT(kp_slice_eq(kp_slice_of(bytes, n), in));
	if (kp_base64_decode(form, in, bytes, sizeof(bytes), &n) == KP_OK) {
		w = kp_writer_of(text, sizeof(text));
		kp_base64_write(&w, form, kp_slice_of(bytes, n));
		KP_ASSERT(kp_slice_eq(kp_slice_of(text, w.n), in)); /* one text only */
	}
}

static void fuzz_base32(kp_slice in)
{
	uint8_t text[KP_BASE32_TEXT_SIZE(FUZZ_MAX)], bytes[FUZZ_MAX];
	size_t n;
	kp_writer w = kp_writer_of(text, sizeof(text));
	kp_base32_write(&w, in);
	KP_ASSERT(!w.full && w.n == KP_BASE32_TEXT_SIZE(in.n));
	KP_ASSERT(kp_base32_decode(kp_slice_of(text, w.n), bytes, in.n, &n) == KP_OK);
	KP_ASSERT(kp_slice_eq(kp_slice_of(bytes, n), in));
	if (kp_base32_decode(in, bytes, sizeof(bytes), &n) == KP_OK)
		KP_ASSERT(n == KP_BASE32_BYTES_SIZE(in.n));
}

static void fuzz_ip(kp_slice in)
{
	uint8_t ip[16], back[16], text[KP_IP_TEXT_MAX];
	kp_writer w = kp_writer_of(text, sizeof(text));
	if (kp_ip6_parse(in, ip)) {
		kp_ip6_write(&w, ip);
		KP_ASSERT(!w.full && kp_ip6_parse(kp_slice_of(text, w.n), back));
		KP_ASSERT(memcmp(ip, back, 16) == 0);
	}
	if (kp_ip4_parse(in, ip)) {
		kp_ip4_write(&w, ip);
		KP_ASSERT(kp_slice_eq(kp_slice_of(text, w.n), in)); /* one text only */
	}
	if (in.n >= 16) {
		w = kp_writer_of(text, sizeof(text));
		kp_ip6_write(&w, in.p);
		KP_ASSERT(!w.full && kp_ip6_parse(kp_slice_of(text, w.n), back));
		KP_ASSERT(memcmp(in.p, back, 16) == 0);
	}
}

static void fuzz_json(kp_slice in)
{
	static const char escape[] =
	        "u0000"; /* longest thing one byte becomes, behind a backslash */
	uint8_t text[2 + FUZZ_MAX * sizeof(escape)];
	kp_writer w = kp_writer_of(text, sizeof(text));
	kp_json_str(&w, in);
	KP_ASSERT(!w.full && w.n >= in.n + 2 && kp_utf8_valid(kp_slice_of(text, w.n)));
	KP_ASSERT(text[0] == '"' && text[w.n - 1] == '"');
	for (size_t i = 1; i + 1 < w.n; i++) {
		KP_ASSERT(text[i] >= 0x20 && text[i] != '"');
		if (text[i] == '\\')
			i++;
	}
	size_t valid = 0;
	while (valid < in.n && kp_utf8_first(kp_slice_of(in.p + valid, in.n - valid)) > 0)
		valid += kp_utf8_first(kp_slice_of(in.p + valid, in.n - valid));
	KP_ASSERT((valid == in.n) == kp_utf8_valid(in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kp_slice in = kp_slice_of(data, KP_MIN(size, FUZZ_MAX));
	if (in.n == 0)
		return 0;
	fuzz_base58(in);
	fuzz_base64(in, KP_BASE64_STD);
	fuzz_base64(in, KP_BASE64_STD_BARE);
	fuzz_base64(in, KP_BASE64_URL_BARE);
	fuzz_base32(in);
	fuzz_ip(in);
	fuzz_json(in);
	return 0;
}
