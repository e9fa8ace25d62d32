/* Which part of the Internet an address belongs to: the special-purpose registries of IANA (RFC
 * 6890) as far as they matter for dialing and advertising. */
#include "wire/multiaddr.h"

/* The first bits of an address; the first row that fits decides. */
struct ip_scope_row {
	uint8_t prefix[12];
	uint8_t bits;
	uint8_t scope; /* kp_ip_scope */
};

static const struct ip_scope_row ip4_scopes[] = {
        {{0, 0, 0, 0}, 32, KP_SCOPE_UNSPECIFIED},
        {{0}, 8, KP_SCOPE_RESERVED},
        {{10}, 8, KP_SCOPE_PRIVATE},
        {{100, 64}, 10, KP_SCOPE_PRIVATE}, /* shared by carriers */
        {{127}, 8, KP_SCOPE_LOOPBACK},
        {{169, 254}, 16, KP_SCOPE_LINK_LOCAL},
        {{172, 16}, 12, KP_SCOPE_PRIVATE},
        {{192, 0, 0}, 24, KP_SCOPE_RESERVED},
        {{192, 0, 2}, 24, KP_SCOPE_RESERVED}, /* documentation */
        {{192, 88, 99}, 24, KP_SCOPE_RESERVED},
        {{192, 168}, 16, KP_SCOPE_PRIVATE},
        {{198, 18}, 15, KP_SCOPE_RESERVED}, /* benchmarks */
        {{198, 51, 100}, 24, KP_SCOPE_RESERVED},
        {{203, 0, 113}, 24, KP_SCOPE_RESERVED},
        {{224}, 3, KP_SCOPE_RESERVED}, /* multicast, future, broadcast */
};

static const struct ip_scope_row ip6_scopes[] = {
        {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, KP_SCOPE_PRIVATE}, /* local NAT64 */
        {{0x20, 0x01, 0x0d, 0xb8}, 32, KP_SCOPE_RESERVED},            /* documentation */
        {{0x20, 0x01, 0x00}, 23, KP_SCOPE_RESERVED},                  /* Teredo and others */
        {{0x3f, 0xff, 0x00}, 20, KP_SCOPE_RESERVED},                  /* documentation */
        {{0x20}, 3, KP_SCOPE_PUBLIC},
        {{0xfc}, 7, KP_SCOPE_PRIVATE},
        {{0xfe, 0x80}, 10, KP_SCOPE_LINK_LOCAL},
        {{0xfe, 0xc0}, 10, KP_SCOPE_PRIVATE}, /* the old site-local */
};

static bool ip_prefix_fits(const struct ip_scope_row *row, const uint8_t *ip)
{
	size_t whole = row->bits / 8;
	if (memcmp(row->prefix, ip, whole) != 0)
		return false;
	unsigned mask = 0xffu << (8 - row->bits % 8) & 0xffu;
	return row->bits % 8 == 0 || ((row->prefix[whole] ^ ip[whole]) & mask) == 0;
}

static kp_ip_scope ip_scope_find(const struct ip_scope_row *rows, size_t n, const uint8_t *ip,
                                 kp_ip_scope otherwise)
{
	for (size_t i = 0; i < n; i++)
		if (ip_prefix_fits(&rows[i], ip))
			return (kp_ip_scope)rows[i].scope;
	return otherwise;
}

static kp_ip_scope ip4_scope(const uint8_t *ip)
{
	return ip_scope_find(ip4_scopes, KP_COUNT_OF(ip4_scopes), ip, KP_SCOPE_PUBLIC);
}

static kp_ip_scope ip6_scope(const uint8_t *ip)
{
	static const uint8_t zeros[16] = {0};
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	if (memcmp(ip, zeros, 16) == 0)
		return KP_SCOPE_UNSPECIFIED;
	if (memcmp(ip, zeros, 15) == 0 && ip[15] == 1)
		return KP_SCOPE_LOOPBACK;
	if (memcmp(ip, mapped, 12) == 0 || memcmp(ip, nat64, 12) == 0)
		return ip4_scope(ip + 12);
	return ip_scope_find(ip6_scopes, KP_COUNT_OF(ip6_scopes), ip, KP_SCOPE_RESERVED);
}

kp_ip_scope kp_ip_scope_of(int family, const uint8_t *ip)
{
	KP_ASSERT(family == 4 || family == 6);
	return family == 4 ? ip4_scope(ip) : ip6_scope(ip);
}
