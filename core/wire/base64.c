#include "wire/base64.h"

static const char base64_std_alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url_alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void kp_base64_write(kp_writer *w, kp_base64_form form, kp_slice bytes)
{
	const char *alphabet =
	        form == KP_BASE64_URL_BARE ? base64_url_alphabet : base64_std_alphabet;
	for (size_t i = 0; i < bytes.n; i += 3) {
		size_t n = KP_MIN(bytes.n - i, 3);
		uint32_t v = (uint32_t)bytes.p[i] << 16;
		if (n > 1)
			v |= (uint32_t)bytes.p[i + 1] << 8;
		if (n > 2)
			v |= bytes.p[i + 2];
		for (size_t k = 0; k <= n; k++)
			kp_write_u8(w, (uint8_t)alphabet[v >> (18 - 6 * k) & 63]);
		for (size_t k = n; k < 3 && form == KP_BASE64_STD; k++)
			kp_write_u8(w, '=');
	}
}

static int base64_digit(kp_base64_form form, uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (form == KP_BASE64_URL_BARE ? '-' : '+'))
		return 62;
	if (c == (form == KP_BASE64_URL_BARE ? '_' : '/'))
		return 63;
	return -1;
}

kp_err kp_base64_decode(kp_base64_form form, kp_slice text, uint8_t *out, size_t cap, size_t *n_out)
{
	if (form == KP_BASE64_STD) {
		if (text.n % 4 != 0)
			return KP_E_INVAL;
		for (int i = 0; i < 2 && text.n > 0 && text.p[text.n - 1] == '='; i++)
			text.n--;
	}
	if (text.n % 4 == 1)
		return KP_E_INVAL;
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++) {
		int d = base64_digit(form, text.p[i]);
		if (d < 0)
			return KP_E_INVAL;
		acc = (acc << 6 | (uint32_t)d) & 0x3fff;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n == cap)
			return KP_E_TOOBIG;
		out[n++] = (uint8_t)(acc >> bits);
	}
	if ((acc & ((1u << bits) - 1)) != 0)
		return KP_E_INVAL;
	*n_out = n;
	return KP_OK;
}
