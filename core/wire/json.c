#include "wire/json.h"

#include "wire/base64.h"
#include "wire/utf8.h"

static const char json_hex_digits[] = "0123456789abcdef";

static void json_control(kp_writer *w, uint8_t c)
{
	switch (c) {
	case '\b':
		kp_write_str(w, "\\b");
		break;
	case '\t':
		kp_write_str(w, "\\t");
		break;
	case '\n':
		kp_write_str(w, "\\n");
		break;
	case '\f':
		kp_write_str(w, "\\f");
		break;
	case '\r':
		kp_write_str(w, "\\r");
		break;
	default:
		kp_write_str(w, "\\u00");
		kp_write_u8(w, (uint8_t)json_hex_digits[c >> 4]);
		kp_write_u8(w, (uint8_t)json_hex_digits[c & 15]);
	}
}

void kp_json_str(kp_writer *w, kp_slice s)
{
	if (s.p == NULL) {
		kp_write_str(w, "null");
		return;
	}
	kp_write_u8(w, '"');
	while (s.n > 0) {
		size_t n = kp_utf8_first(s);
		kp_slice c = kp_slice_take(&s, n > 0 ? n : 1);
		if (n == 0) {
			kp_write_str(w, "\xef\xbf\xbd"); /* U+FFFD */
		} else if (c.p[0] < 0x20 || c.p[0] == 0x7f) {
			json_control(w, c.p[0]);
		} else if (c.p[0] == '"' || c.p[0] == '\\') {
			kp_write_u8(w, '\\');
			kp_write_slice(w, c);
		} else {
			kp_write_slice(w, c);
		}
	}
	kp_write_u8(w, '"');
}

void kp_json_base64(kp_writer *w, kp_slice bytes)
{
	if (bytes.p == NULL) {
		kp_write_str(w, "null");
		return;
	}
	kp_write_u8(w, '"');
	kp_base64_write(w, KP_BASE64_STD, bytes);
	kp_write_u8(w, '"');
}

void kp_json_hex(kp_writer *w, kp_slice bytes)
{
	if (bytes.p == NULL) {
		kp_write_str(w, "null");
		return;
	}
	kp_write_u8(w, '"');
	for (size_t i = 0; i < bytes.n; i++) {
		kp_write_u8(w, (uint8_t)json_hex_digits[bytes.p[i] >> 4]);
		kp_write_u8(w, (uint8_t)json_hex_digits[bytes.p[i] & 15]);
	}
	kp_write_u8(w, '"');
}

void kp_json_u64(kp_writer *w, uint64_t v)
{
	uint8_t text[20];
	size_t n = sizeof(text);
	do {
		text[--n] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	kp_write(w, text + n, sizeof(text) - n);
}

void kp_json_i64(kp_writer *w, int64_t v)
{
	if (v < 0)
		kp_write_u8(w, '-');
	kp_json_u64(w, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void kp_json_bool(kp_writer *w, bool v)
{
	kp_write_str(w, v ? "true" : "false");
}

void kp_json_sep(kp_writer *w, bool *first)
{
	if (!*first)
		kp_write_u8(w, ',');
	*first = false;
}

void kp_json_key(kp_writer *w, bool *first, const char *name)
{
	kp_json_sep(w, first);
	kp_json_str(w, kp_slice_str(name));
	kp_write_u8(w, ':');
}
