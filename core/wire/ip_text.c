#include "wire/ip_text.h"

#include "wire/json.h"

enum { IP6_GROUPS = 8 };

bool kp_ip4_parse(kp_slice text, uint8_t out[4])
{
	uint8_t ip[4];
	for (size_t part = 0; part < 4; part++) {
		if (part > 0 && (text.n == 0 || kp_slice_take(&text, 1).p[0] != '.'))
			return false;
		unsigned v = 0;
		size_t digits = 0;
		while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9') {
			v = v * 10 + (unsigned)(text.p[digits++] - '0');
			if (digits > 3)
				return false;
		}
		if (digits == 0 || v > 255 || (digits > 1 && text.p[0] == '0'))
			return false;
		kp_slice_take(&text, digits);
		ip[part] = (uint8_t)v;
	}
	if (text.n != 0)
		return false;
	memcpy(out, ip, 4);
	return true;
}

static int ip6_hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One to four hex digits off the front of *text. */
static bool ip6_group(kp_slice *text, uint8_t out[2])
{
	unsigned v = 0;
	size_t digits = 0;
	while (digits < text->n && ip6_hex_digit(text->p[digits]) >= 0) {
		if (digits == 4)
			return false;
		v = v << 4 | (unsigned)ip6_hex_digit(text->p[digits++]);
	}
	if (digits == 0)
		return false;
	kp_slice_take(text, digits);
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
	return true;
}

/* Groups separated by single colons, up to the end of *text or a double colon. */
static bool ip6_groups(kp_slice *text, uint8_t ip[16], size_t *n)
{
	*n = 0;
	while (*n < IP6_GROUPS) {
		if (*n + 2 <= IP6_GROUPS && kp_ip4_parse(*text, ip + *n * 2)) {
			*n += 2;
			kp_slice_take(text, text->n);
			return true;
		}
		if (!ip6_group(text, ip + *n * 2))
			return false;
		*n += 1;
		if (text->n == 0)
			return true;
		if (text->p[0] != ':')
			return false;
		if (text->n > 1 && text->p[1] == ':')
			return true;
		kp_slice_take(text, 1);
	}
	return false;
}

bool kp_ip6_parse(kp_slice text, uint8_t out[16])
{
	uint8_t head[16], tail[16];
	size_t n_head = 0, n_tail = 0;
	bool gap_first = text.n >= 2 && text.p[0] == ':' && text.p[1] == ':';
	if (!gap_first && !ip6_groups(&text, head, &n_head))
		return false;
	if (text.n == 0) {
		if (n_head != IP6_GROUPS)
			return false;
		memcpy(out, head, 16);
		return true;
	}
	kp_slice_take(&text, 2); /* :: */
	if (text.n > 0 && (!ip6_groups(&text, tail, &n_tail) || text.n > 0))
		return false;
	if (n_head + n_tail >= IP6_GROUPS)
		return false;
	memset(out, 0, 16);
	memcpy(out, head, n_head * 2);
	memcpy(out + 16 - n_tail * 2, tail, n_tail * 2);
	return true;
}

void kp_ip4_write(kp_writer *w, const uint8_t ip[4])
{
	for (size_t i = 0; i < 4; i++) {
		if (i > 0)
			kp_write_u8(w, '.');
		kp_json_u64(w, ip[i]);
	}
}

static void ip6_write_group(kp_writer *w, unsigned v)
{
	static const char digits[] = "0123456789abcdef";
	int shift = 12;
	while (shift > 0 && v >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		kp_write_u8(w, (uint8_t)digits[v >> shift & 15]);
}

/* The longest run of zero groups, two at least, the first of equals. */
static size_t ip6_gap(const unsigned g[IP6_GROUPS], size_t *at)
{
	size_t best = 0;
	for (size_t i = 0; i < IP6_GROUPS; i++) {
		size_t n = 0;
		while (i + n < IP6_GROUPS && g[i + n] == 0)
			n++;
		if (n >= 2 && n > best) {
			best = n;
			*at = i;
		}
	}
	return best;
}

void kp_ip6_write(kp_writer *w, const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
		kp_write_str(w, "::ffff:");
		kp_ip4_write(w, ip + 12);
		return;
	}
	unsigned g[IP6_GROUPS];
	for (size_t i = 0; i < IP6_GROUPS; i++)
		g[i] = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
	size_t at = IP6_GROUPS;
	size_t n_gap = ip6_gap(g, &at);
	for (size_t i = 0; i < IP6_GROUPS; i++) {
		if (i == at) {
			kp_write_str(w, "::");
			i += n_gap - 1;
			continue;
		}
		if (i > 0 && i != at + n_gap)
			kp_write_u8(w, ':');
		ip6_write_group(w, g[i]);
	}
}
