/* Multiaddresses: binary by value, text, components, and the TCP shapes we dial
 * (github.com/multiformats/multiaddr). Every kp_maddr that a function here produced is valid, and
 * its text parses to the same bytes. */
#ifndef KP_WIRE_MULTIADDR_H
#define KP_WIRE_MULTIADDR_H

#include "base/err.h"
#include "base/slice.h"
#include "wire/peer_id.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_MADDR_MAX       254  /* bytes; longer addresses are refused */
#define KP_MADDR_PARTS_MAX 16   /* components */
#define KP_MADDR_TEXT_MAX  1024 /* holds the text of any kp_maddr and a NUL */

/* n == 0: no address. Compare with kp_maddr_eq; bytes behind n are always zero. */
typedef struct kp_maddr {
	uint16_t n;
	uint8_t b[KP_MADDR_MAX];
} kp_maddr;

/* Component codes that the core acts on; the parser knows more (multiaddr.c). */
typedef enum kp_maddr_code {
	KP_MADDR_IP4 = 4,
	KP_MADDR_TCP = 6,
	KP_MADDR_IP6 = 41,
	KP_MADDR_IP6ZONE = 42,
	KP_MADDR_DNS = 53,
	KP_MADDR_DNS4 = 54,
	KP_MADDR_DNS6 = 55,
	KP_MADDR_DNSADDR = 56,
	KP_MADDR_UDP = 273,
	KP_MADDR_P2P_CIRCUIT = 290,
	KP_MADDR_UNIX = 400,
	KP_MADDR_P2P = 421,
} kp_maddr_code;

/* One component; value is a view into the address, without its length prefix (n == 0 for flags). */
typedef struct kp_maddr_part {
	uint32_t code;
	kp_slice value;
} kp_maddr_part;

static inline kp_slice kp_maddr_slice(const kp_maddr *m)
{
	return kp_slice_of(m->b, m->n);
}

static inline bool kp_maddr_eq(const kp_maddr *a, const kp_maddr *b)
{
	return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

/* From text. One trailing slash is accepted. KP_E_INVAL = wrong, KP_E_TOOBIG = over KP_MADDR_MAX or
 * KP_MADDR_PARTS_MAX; *why (may be NULL) then points to a static text, *out is unchanged. */
kp_err kp_maddr_parse_text(kp_slice text, kp_maddr *out, const char **why);

/* From bytes, each component checked. KP_E_PROTO = malformed or empty, KP_E_NOTSUP = a component we
 * do not know (legal, the address cannot be used), KP_E_TOOBIG; *out is then unchanged. */
kp_err kp_maddr_parse_bytes(kp_slice bytes, kp_maddr *out);

/* The canonical text with a NUL, cut at cap - 1 bytes. Returns the length of the whole text without
 * the NUL; cap ≥ KP_MADDR_TEXT_MAX always suffices. cap == 0 writes nothing. */
size_t kp_maddr_text(const kp_maddr *m, char *out, size_t cap);

/* Takes the next component off *rest, which starts as kp_maddr_slice of a valid address. False at
 * the end. The part views the address: it lives as long as that. */
bool kp_maddr_next(kp_slice *rest, kp_maddr_part *part);

/* /ip4|ip6/…/tcp/port. family is 4 or 6, ip has 4 or 16 bytes in network order. */
void kp_maddr_from_ip(int family, const uint8_t *ip, uint16_t port, kp_maddr *out);

/* The peer of a trailing /p2p (in …/p2p/R/p2p-circuit/p2p/D that is D). False = there is none; *out
 * is then unchanged. */
bool kp_maddr_peer(const kp_maddr *m, kp_peer_id *out);

/* Removes a trailing /p2p in place; true when there was one. May leave n == 0. */
bool kp_maddr_strip_peer(kp_maddr *m);

/* Appends /p2p/id in place unless the address already ends with that very id. KP_E_TOOBIG = does
 * not fit, KP_E_INVAL = it ends with another peer or id names nobody; *m is then unchanged. */
kp_err kp_maddr_append_peer(kp_maddr *m, const kp_peer_id *id);

/* True when m ends with the components `suffix` (valid address bytes; empty fits always). For
 * dnsaddr results: they must end as the question did. */
bool kp_maddr_has_suffix(const kp_maddr *m, kp_slice suffix);

/* What a dialer or listener needs of ip4|ip6/…/tcp[/p2p], dns|dns4|dns6/…/tcp[/p2p] and
 * dnsaddr/…[/tcp][/p2p]. */
typedef struct kp_maddr_target {
	kp_maddr_code kind; /* KP_MADDR_IP4, _IP6, _DNS, _DNS4, _DNS6 or _DNSADDR */
	uint8_t ip[16];     /* of IP4 (first 4 bytes) and IP6, network order; else zero */
	kp_slice host;      /* of the DNS kinds: a view into the address; else missing */
	uint16_t port;      /* host order */
	bool has_port;      /* false only for DNSADDR */
	kp_peer_id peer;    /* of a trailing /p2p, n == 0 = none */
} kp_maddr_target;

/* True and *out filled when m has exactly one of those shapes; else false, *out unchanged. */
bool kp_maddr_tcp_target(const kp_maddr *m, kp_maddr_target *out);

/* Where an IP address lies. */
typedef enum kp_ip_scope {
	KP_SCOPE_NONE,        /* not an IP address */
	KP_SCOPE_UNSPECIFIED, /* 0.0.0.0, :: */
	KP_SCOPE_LOOPBACK,
	KP_SCOPE_LINK_LOCAL,
	KP_SCOPE_PRIVATE,  /* RFC 1918, RFC 6598, fc00::/7 */
	KP_SCOPE_RESERVED, /* multicast, broadcast, documentation, benchmarking, 0/8, 240/4, … */
	KP_SCOPE_PUBLIC,
} kp_ip_scope;

/* family is 4 or 6. IPv4-mapped and NAT64 (64:ff9b::/96) addresses count as the IPv4 address
 * inside. */
kp_ip_scope kp_ip_scope_of(int family, const uint8_t *ip);

/* Of the first component; KP_SCOPE_NONE when that is not ip4 or ip6. */
kp_ip_scope kp_maddr_scope(const kp_maddr *m);

/* Whether somebody whose own address lies in that scope can rightly tell of m: a public peer of
 * public addresses and names alone. */
bool kp_maddr_fits_scope(const kp_maddr *m, kp_ip_scope teller);

#ifdef __cplusplus
}
#endif
#endif
