#include "wire/base32.h"

static const char base32_alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

void kp_base32_write(kp_writer *w, kp_slice bytes)
{
	uint32_t acc = 0;
	unsigned bits = 0; /* of acc not yet written, < 5 between bytes */
	for (size_t i = 0; i < bytes.n; i++) {
		acc = (acc << 8 | bytes.p[i]) & 0xfff;
		for (bits += 8; bits >= 5; bits -= 5)
			kp_write_u8(w, (uint8_t)base32_alphabet[acc >> (bits - 5) & 31]);
	}
	if (bits > 0)
		kp_write_u8(w, (uint8_t)base32_alphabet[acc << (5 - bits) & 31]);
}

static int base32_digit(uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= '2' && c <= '7')
		return c - '2' + 26;
	return -1;
}

kp_err kp_base32_decode(kp_slice text, uint8_t *out, size_t cap, size_t *n_out)
{
	if (text.n % 8 == 1 || text.n % 8 == 3 || text.n % 8 == 6)
		return KP_E_INVAL; /* no number of bytes has that many characters */
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++) {
		int d = base32_digit(text.p[i]);
		if (d < 0)
			return KP_E_INVAL;
		acc = (acc << 5 | (uint32_t)d) & 0xfff;
		bits += 5;
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
