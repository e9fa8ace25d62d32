#include "wire/base58.h"

static const char base58_alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/* log(256) / log(58) < 1.37 */
#define BASE58_DIGITS_MAX (KP_BASE58_BYTES_MAX * 137u / 100u + 1u)

size_t kp_base58_encode(kp_slice bytes, char *out, size_t cap)
{
	KP_ASSERT(bytes.n <= KP_BASE58_BYTES_MAX);
	size_t zeros = 0;
	while (zeros < bytes.n && bytes.p[zeros] == 0)
		zeros++;

	uint8_t digits[BASE58_DIGITS_MAX]; /* least significant first */
	size_t n = 0;
	for (size_t i = zeros; i < bytes.n; i++) {
		unsigned carry = bytes.p[i];
		for (size_t k = 0; k < n || carry > 0; k++) {
			if (k == n) {
				KP_ASSERT(n < sizeof(digits));
				digits[n++] = 0;
			}
			carry += digits[k] * 256u;
			digits[k] = (uint8_t)(carry % 58);
			carry /= 58;
		}
	}

	if (zeros + n > cap)
		return 0;
	memset(out, '1', zeros);
	for (size_t k = 0; k < n; k++)
		out[zeros + k] = base58_alphabet[digits[n - 1 - k]];
	return zeros + n;
}

static int base58_digit(uint8_t c)
{
	const char *at = c != 0 ? strchr(base58_alphabet, c) : NULL;
	return at != NULL ? (int)(at - base58_alphabet) : -1;
}

static int base36_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 10;
	return -1;
}

/* Both bases: digit 0 at the front stands for a zero byte, the rest is one big number. */
static kp_err basex_decode(kp_slice text, unsigned base, int (*digit)(uint8_t), uint8_t *out,
                           size_t cap, size_t *n_out)
{
	if (text.n == 0)
		return KP_E_INVAL;
	if (text.n > KP_BASE58_TEXT_MAX)
		return KP_E_TOOBIG;
	size_t zeros = 0;
	while (zeros < text.n && digit(text.p[zeros]) == 0)
		zeros++;

	uint8_t bytes[KP_BASE58_BYTES_MAX]; /* least significant first */
	size_t n = 0;
	for (size_t i = zeros; i < text.n; i++) {
		int d = digit(text.p[i]);
		if (d < 0)
			return KP_E_INVAL;
		unsigned carry = (unsigned)d;
		for (size_t k = 0; k < n || carry > 0; k++) {
			if (k == sizeof(bytes))
				return KP_E_TOOBIG;
			if (k == n)
				bytes[n++] = 0;
			carry += bytes[k] * base;
			bytes[k] = (uint8_t)carry;
			carry >>= 8;
		}
	}

	if (zeros + n > cap)
		return KP_E_TOOBIG;
	if (zeros > 0)
		memset(out, 0, zeros);
	for (size_t k = 0; k < n; k++)
		out[zeros + k] = bytes[n - 1 - k];
	*n_out = zeros + n;
	return KP_OK;
}

kp_err kp_base58_decode(kp_slice text, uint8_t *out, size_t cap, size_t *n)
{
	return basex_decode(text, 58, base58_digit, out, cap, n);
}

kp_err kp_base36_decode(kp_slice text, uint8_t *out, size_t cap, size_t *n)
{
	return basex_decode(text, 36, base36_digit, out, cap, n);
}
