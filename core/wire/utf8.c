#include "wire/utf8.h"

/* The lead byte decides length and the range of the second byte (Unicode table 3-7); all further
 * bytes are 80 to bf. */
static size_t utf8_lead(uint8_t b, uint8_t *low, uint8_t *high)
{
	*low = 0x80;
	*high = 0xbf;
	if (b < 0x80)
		return 1;
	if (b < 0xc2)
		return 0; /* continuation, or overlong */
	if (b < 0xe0)
		return 2;
	if (b < 0xf0) {
		if (b == 0xe0)
			*low = 0xa0; /* overlong */
		if (b == 0xed)
			*high = 0x9f; /* surrogates */
		return 3;
	}
	if (b < 0xf5) {
		if (b == 0xf0)
			*low = 0x90; /* overlong */
		if (b == 0xf4)
			*high = 0x8f; /* above U+10FFFF */
		return 4;
	}
	return 0;
}

size_t kp_utf8_first(kp_slice s)
{
	if (s.n == 0)
		return 0;
	uint8_t low, high;
	size_t n = utf8_lead(s.p[0], &low, &high);
	if (n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (s.p[i] < low || s.p[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

bool kp_utf8_valid(kp_slice s)
{
	while (s.n > 0) {
		size_t n = kp_utf8_first(s);
		if (n == 0)
			return false;
		kp_slice_take(&s, n);
	}
	return true;
}
