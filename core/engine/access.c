/* Allow and deny lists: rules as text, and what they say of a peer and its address. */
#include "engine/access.h"

#include "wire/ip_text.h"

/* --- rules as text --- */

static void access_mask(kp_access_rule *r)
{
	for (unsigned bit = r->bits; bit < 128; bit++)
		r->ip[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

/* ::ffff:a.b.c.d: the IPv4 address, as a socket of both families shows it. */
static bool access_is_mapped(const uint8_t ip[16])
{
	static const uint8_t head[12] = {[10] = 0xff, [11] = 0xff};
	return memcmp(ip, head, sizeof head) == 0;
}

static bool access_parse_bits(kp_slice text, unsigned max, uint8_t *out)
{
	unsigned v = 0;
	if (text.n == 0 || text.n > 3)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(text.p[i] - '0');
	}
	*out = (uint8_t)v;
	return v <= max;
}

bool kp_access_parse(kp_slice text, kp_access_rule *out)
{
	kp_access_rule r;
	memset(&r, 0, sizeof r);
	const uint8_t *slash = text.n > 0 ? (const uint8_t *)memchr(text.p, '/', text.n) : NULL;
	kp_slice rest = text;
	kp_slice ip = kp_slice_take(&rest, slash != NULL ? (size_t)(slash - text.p) : text.n);
	if (kp_ip4_parse(ip, r.ip)) {
		r.family = 4;
		r.bits = 32;
	} else if (kp_ip6_parse(ip, r.ip)) {
		r.family = 6;
		r.bits = 128;
	} else if (kp_peer_id_parse_text(text, &r.peer) != KP_OK) {
		return false;
	}
	if (slash != NULL) {
		kp_slice_take(&rest, 1);
		if (!access_parse_bits(rest, r.bits, &r.bits))
			return false;
		access_mask(&r);
	}
	if (r.family == 6 && access_is_mapped(r.ip) && r.bits >= 96) { /* one form of each */
		memcpy(r.ip, r.ip + 12, 4);
		memset(r.ip + 4, 0, 12);
		r.family = 4;
		r.bits = (uint8_t)(r.bits - 96);
	}
	*out = r;
	return true;
}

void kp_access_write(const kp_access_rule *r, kp_writer *w)
{
	char text[KP_PEER_ID_TEXT_MAX];
	if (r->family == 0) {
		kp_write(w, text, kp_peer_id_text(&r->peer, text));
		return;
	}
	if (r->family == 4)
		kp_ip4_write(w, r->ip);
	else
		kp_ip6_write(w, r->ip);
	if (r->bits == (r->family == 4 ? 32 : 128))
		return;
	kp_write_u8(w, '/');
	for (unsigned unit = 100; unit > 0; unit /= 10)
		if (r->bits >= unit || unit == 1)
			kp_write_u8(w, (uint8_t)('0' + r->bits / unit % 10));
}

/* --- lists --- */

bool kp_access_add(kp_access_list *l, const kp_access_rule *r)
{
	for (size_t i = 0; i < l->n; i++) {
		const kp_access_rule *o = &l->rules[i];
		if (o->family == r->family && o->bits == r->bits &&
		    memcmp(o->ip, r->ip, sizeof r->ip) == 0 && kp_peer_id_eq(&o->peer, &r->peer))
			return true;
	}
	if (l->n == KP_ACCESS_MAX)
		return false;
	l->rules[l->n++] = *r;
	l->n_peers += r->family == 0;
	return true;
}

static bool access_has_peer(const kp_access_list *l, const kp_peer_id *peer)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->rules[i].family == 0 && kp_peer_id_eq(&l->rules[i].peer, peer))
			return true;
	return false;
}

static bool access_prefix_eq(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8)) == 0;
}

static bool access_has_ip(const kp_access_list *l, int family, const uint8_t *ip)
{
	if (family == 6 && access_is_mapped(ip)) {
		family = 4;
		ip += 12;
	}
	for (size_t i = 0; i < l->n; i++)
		if (l->rules[i].family == family &&
		    access_prefix_eq(l->rules[i].ip, ip, l->rules[i].bits))
			return true;
	return false;
}

bool kp_access_ok(const kp_access *a, const kp_peer_id *peer, int family, const uint8_t *ip)
{
	if (access_has_peer(&a->deny, peer) || access_has_ip(&a->deny, family, ip))
		return false;
	return a->allow.n == 0 || access_has_peer(&a->allow, peer) ||
	       access_has_ip(&a->allow, family, ip);
}

bool kp_access_ip_ok(const kp_access *a, int family, const uint8_t *ip)
{
	if (access_has_ip(&a->deny, family, ip))
		return false;
	return a->allow.n == 0 || a->allow.n_peers > 0 || access_has_ip(&a->allow, family, ip);
}

bool kp_access_peer_ok(const kp_access *a, const kp_peer_id *peer)
{
	if (access_has_peer(&a->deny, peer))
		return false;
	return a->allow.n_peers < a->allow.n || a->allow.n == 0 || access_has_peer(&a->allow, peer);
}
