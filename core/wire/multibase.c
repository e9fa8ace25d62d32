#include "wire/multibase.h"

#include "wire/base32.h"
#include "wire/base58.h"
#include "wire/base64.h"

static int base16_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static kp_err base16_decode(kp_slice text, uint8_t *out, size_t cap, size_t *n)
{
	if (text.n % 2 != 0)
		return KP_E_INVAL;
	if (text.n / 2 > cap)
		return KP_E_TOOBIG;
	for (size_t i = 0; i < text.n; i += 2) {
		int high = base16_digit(text.p[i]);
		int low = base16_digit(text.p[i + 1]);
		if (high < 0 || low < 0)
			return KP_E_INVAL;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	*n = text.n / 2;
	return KP_OK;
}

kp_err kp_multibase_decode(kp_slice text, uint8_t *out, size_t cap, size_t *n)
{
	if (text.n == 0)
		return KP_E_INVAL;
	uint8_t base = kp_slice_take(&text, 1).p[0];
	switch (base) {
	case 'f':
	case 'F':
		return base16_decode(text, out, cap, n);
	case 'b':
	case 'B':
		return kp_base32_decode(text, out, cap, n);
	case 'k':
	case 'K':
		return kp_base36_decode(text, out, cap, n);
	case 'z':
		return kp_base58_decode(text, out, cap, n);
	case 'm':
		return kp_base64_decode(KP_BASE64_STD_BARE, text, out, cap, n);
	case 'u':
		return kp_base64_decode(KP_BASE64_URL_BARE, text, out, cap, n);
	default:
		return KP_E_INVAL;
	}
}
