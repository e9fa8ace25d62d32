#include "wire/multiaddr.h"

#include "wire/multiaddr_proto.h"
#include "wire/utf8.h"
#include "wire/varint.h"

/* The table of github.com/multiformats/multiaddr. `ipfs` comes behind `p2p`, so that the code finds
 * the name we print. garlic64 values have at least 386 bytes and so never fit KP_MADDR_MAX. */
static const kp_maddr_proto maddr_protos[] = {
        {"ip4", 4, KP_MADDR_FORM_IP4, 4},
        {"tcp", 6, KP_MADDR_PORT, 2},
        {"dccp", 33, KP_MADDR_PORT, 2},
        {"ip6", 41, KP_MADDR_FORM_IP6, 16},
        {"ip6zone", 42, KP_MADDR_NAME, KP_MADDR_VARIABLE},
        {"ipcidr", 43, KP_MADDR_U8, 1},
        {"dns", 53, KP_MADDR_NAME, KP_MADDR_VARIABLE},
        {"dns4", 54, KP_MADDR_NAME, KP_MADDR_VARIABLE},
        {"dns6", 55, KP_MADDR_NAME, KP_MADDR_VARIABLE},
        {"dnsaddr", 56, KP_MADDR_NAME, KP_MADDR_VARIABLE},
        {"sctp", 132, KP_MADDR_PORT, 2},
        {"udp", 273, KP_MADDR_PORT, 2},
        {"p2p-webrtc-star", 275, KP_MADDR_FLAG, 0},
        {"p2p-webrtc-direct", 276, KP_MADDR_FLAG, 0},
        {"p2p-stardust", 277, KP_MADDR_FLAG, 0},
        {"webrtc-direct", 280, KP_MADDR_FLAG, 0},
        {"webrtc", 281, KP_MADDR_FLAG, 0},
        {"p2p-circuit", 290, KP_MADDR_FLAG, 0},
        {"udt", 301, KP_MADDR_FLAG, 0},
        {"utp", 302, KP_MADDR_FLAG, 0},
        {"unix", 400, KP_MADDR_PATH, KP_MADDR_VARIABLE},
        {"p2p", 421, KP_MADDR_PEER, KP_MADDR_VARIABLE},
        {"ipfs", 421, KP_MADDR_PEER, KP_MADDR_VARIABLE},
        {"https", 443, KP_MADDR_FLAG, 0},
        {"onion", 444, KP_MADDR_ONION, 12},
        {"onion3", 445, KP_MADDR_ONION, 37},
        {"garlic32", 447, KP_MADDR_GARLIC32, KP_MADDR_VARIABLE},
        {"tls", 448, KP_MADDR_FLAG, 0},
        {"sni", 449, KP_MADDR_NAME, KP_MADDR_VARIABLE},
        {"noise", 454, KP_MADDR_FLAG, 0},
        {"quic", 460, KP_MADDR_FLAG, 0},
        {"quic-v1", 461, KP_MADDR_FLAG, 0},
        {"webtransport", 465, KP_MADDR_FLAG, 0},
        {"certhash", 466, KP_MADDR_MULTIHASH, KP_MADDR_VARIABLE},
        {"ws", 477, KP_MADDR_FLAG, 0},
        {"wss", 478, KP_MADDR_FLAG, 0},
        {"p2p-websocket-star", 479, KP_MADDR_FLAG, 0},
        {"http", 480, KP_MADDR_FLAG, 0},
        {"http-path", 481, KP_MADDR_ESCAPED, KP_MADDR_VARIABLE},
        {"memory", 777, KP_MADDR_U64, 8},
};

const kp_maddr_proto *kp_maddr_proto_by_code(uint64_t code)
{
	for (size_t i = 0; i < KP_COUNT_OF(maddr_protos); i++)
		if (maddr_protos[i].code == code)
			return &maddr_protos[i];
	return NULL;
}

const kp_maddr_proto *kp_maddr_proto_by_name(kp_slice name)
{
	for (size_t i = 0; i < KP_COUNT_OF(maddr_protos); i++)
		if (kp_slice_eq_str(name, maddr_protos[i].name))
			return &maddr_protos[i];
	return NULL;
}

kp_err kp_maddr_step(kp_slice *rest, const kp_maddr_proto **proto, kp_slice *value)
{
	uint64_t code;
	if (kp_varint_read(rest, &code) != KP_OK)
		return KP_E_PROTO;
	*proto = kp_maddr_proto_by_code(code);
	if (*proto == NULL)
		return KP_E_NOTSUP;
	uint64_t n = (*proto)->size;
	if (n == KP_MADDR_VARIABLE && kp_varint_read(rest, &n) != KP_OK)
		return KP_E_PROTO;
	if (n > rest->n)
		return KP_E_PROTO;
	*value = kp_slice_take(rest, (size_t)n);
	return KP_OK;
}

/* UTF-8 without control characters, which would only serve to confuse logs and C strings. */
static bool maddr_text_ok(kp_slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return s.n > 0 && kp_utf8_valid(s);
}

static bool maddr_path_ok(kp_slice s, bool last)
{
	/* elsewhere, or with a slash at its end, its text would mean something else */
	return last && s.n >= 2 && s.p[0] == '/' && s.p[s.n - 1] != '/' && maddr_text_ok(s);
}

static bool maddr_multihash_ok(kp_slice s)
{
	uint64_t code, n;
	return kp_varint_read(&s, &code) == KP_OK && kp_varint_read(&s, &n) == KP_OK && n == s.n;
}

bool kp_maddr_value_ok(const kp_maddr_proto *proto, kp_slice value, bool last)
{
	kp_peer_id id;
	switch ((kp_maddr_form)proto->form) {
	case KP_MADDR_FLAG:
	case KP_MADDR_FORM_IP4:
	case KP_MADDR_FORM_IP6:
	case KP_MADDR_PORT:
	case KP_MADDR_U8:
	case KP_MADDR_U64:
		return value.n == proto->size;
	case KP_MADDR_NAME:
		return maddr_text_ok(value) && memchr(value.p, '/', value.n) == NULL;
	case KP_MADDR_PATH:
		return maddr_path_ok(value, last);
	case KP_MADDR_ESCAPED:
		return value.n > 0;
	case KP_MADDR_PEER:
		return kp_peer_id_parse_bytes(value, &id) == KP_OK;
	case KP_MADDR_MULTIHASH:
		return maddr_multihash_ok(value);
	case KP_MADDR_ONION: /* port 0 is none */
		KP_ASSERT(value.n == proto->size);
		return value.p[value.n - 2] != 0 || value.p[value.n - 1] != 0;
	default: /* garlic32 */
		return value.n == 32 || value.n >= 35;
	}
}

static void maddr_set(kp_maddr *out, kp_slice bytes)
{
	KP_ASSERT(bytes.n <= KP_MADDR_MAX);
	memset(out, 0, sizeof(*out));
	out->n = (uint16_t)bytes.n;
	memcpy(out->b, bytes.p, bytes.n);
}

kp_err kp_maddr_parse_bytes(kp_slice bytes, kp_maddr *out)
{
	if (bytes.n == 0)
		return KP_E_PROTO;
	if (bytes.n > KP_MADDR_MAX)
		return KP_E_TOOBIG;
	kp_slice rest = bytes;
	for (int parts = 0; rest.n > 0; parts++) {
		if (parts == KP_MADDR_PARTS_MAX)
			return KP_E_TOOBIG;
		const kp_maddr_proto *proto;
		kp_slice value;
		kp_err err = kp_maddr_step(&rest, &proto, &value);
		if (err != KP_OK)
			return err;
		if (!kp_maddr_value_ok(proto, value, rest.n == 0))
			return KP_E_PROTO;
	}
	maddr_set(out, bytes);
	return KP_OK;
}

bool kp_maddr_next(kp_slice *rest, kp_maddr_part *part)
{
	if (rest->n == 0)
		return false;
	const kp_maddr_proto *proto = NULL;
	if (kp_maddr_step(rest, &proto, &part->value) != KP_OK)
		return false;
	KP_ASSERT(proto != NULL);
	part->code = proto->code;
	return true;
}

void kp_maddr_write_part(kp_writer *w, const kp_maddr_proto *proto, kp_slice value)
{
	KP_ASSERT(proto != NULL);
	kp_varint_write(w, proto->code);
	if (proto->size == KP_MADDR_VARIABLE)
		kp_varint_write(w, value.n);
	kp_write_slice(w, value);
}

void kp_maddr_from_ip(int family, const uint8_t *ip, uint16_t port, kp_maddr *out)
{
	KP_ASSERT(family == 4 || family == 6);
	uint8_t bytes[1 + 16 + 3];
	kp_writer w = kp_writer_of(bytes, sizeof(bytes));
	kp_write_u8(&w, family == 4 ? KP_MADDR_IP4 : KP_MADDR_IP6);
	kp_write(&w, ip, family == 4 ? 4 : 16);
	kp_write_u8(&w, KP_MADDR_TCP);
	kp_write_u8(&w, (uint8_t)(port >> 8));
	kp_write_u8(&w, (uint8_t)port);
	KP_ASSERT(!w.full);
	maddr_set(out, kp_slice_of(w.p, w.n));
}

/* The last component and where it begins; false for an empty address. */
static bool maddr_last(const kp_maddr *m, kp_maddr_part *last, size_t *at)
{
	kp_slice rest = kp_maddr_slice(m);
	kp_maddr_part part;
	bool found = false;
	for (size_t begin = 0; kp_maddr_next(&rest, &part); begin = m->n - rest.n) {
		*last = part;
		*at = begin;
		found = true;
	}
	return found;
}

bool kp_maddr_peer(const kp_maddr *m, kp_peer_id *out)
{
	kp_maddr_part last;
	size_t at;
	return maddr_last(m, &last, &at) && last.code == KP_MADDR_P2P &&
	       kp_peer_id_parse_bytes(last.value, out) == KP_OK;
}

bool kp_maddr_strip_peer(kp_maddr *m)
{
	kp_maddr_part last;
	size_t at;
	if (!maddr_last(m, &last, &at) || last.code != KP_MADDR_P2P)
		return false;
	memset(m->b + at, 0, m->n - at);
	m->n = (uint16_t)at;
	return true;
}

kp_err kp_maddr_append_peer(kp_maddr *m, const kp_peer_id *id)
{
	kp_peer_id there;
	if (kp_peer_id_none(id))
		return KP_E_INVAL;
	if (kp_maddr_peer(m, &there))
		return kp_peer_id_eq(&there, id) ? KP_OK : KP_E_INVAL;

	uint8_t bytes[KP_MADDR_MAX];
	kp_writer w = kp_writer_of(bytes, sizeof(bytes));
	kp_write(&w, m->b, m->n);
	kp_maddr_write_part(&w, kp_maddr_proto_by_code(KP_MADDR_P2P), kp_peer_id_slice(id));
	if (w.full)
		return KP_E_TOOBIG;
	/* checked as a whole: too many components, or a unix path that must stay last */
	kp_err err = kp_maddr_parse_bytes(kp_slice_of(bytes, w.n), m);
	return err == KP_E_PROTO ? KP_E_INVAL : err;
}

bool kp_maddr_has_suffix(const kp_maddr *m, kp_slice suffix)
{
	kp_slice rest = kp_maddr_slice(m);
	kp_maddr_part part;
	do {
		if (kp_slice_eq(rest, suffix))
			return true;
	} while (kp_maddr_next(&rest, &part));
	return false;
}

static bool target_host(const kp_maddr_part *part, kp_maddr_target *t)
{
	switch (part->code) {
	case KP_MADDR_IP4:
	case KP_MADDR_IP6:
		memcpy(t->ip, part->value.p, part->value.n);
		break;
	case KP_MADDR_DNS:
	case KP_MADDR_DNS4:
	case KP_MADDR_DNS6:
	case KP_MADDR_DNSADDR:
		t->host = part->value;
		break;
	default:
		return false;
	}
	t->kind = (kp_maddr_code)part->code;
	return true;
}

bool kp_maddr_tcp_target(const kp_maddr *m, kp_maddr_target *out)
{
	kp_maddr_target t;
	memset(&t, 0, sizeof(t));
	kp_slice rest = kp_maddr_slice(m);
	kp_maddr_part part;
	if (!kp_maddr_next(&rest, &part) || !target_host(&part, &t))
		return false;
	bool more = kp_maddr_next(&rest, &part);
	if (more && part.code == KP_MADDR_TCP) {
		t.port = (uint16_t)(part.value.p[0] << 8 | part.value.p[1]);
		t.has_port = true;
		more = kp_maddr_next(&rest, &part);
	}
	if (!t.has_port && t.kind != KP_MADDR_DNSADDR)
		return false;
	if (more && part.code == KP_MADDR_P2P) {
		if (kp_peer_id_parse_bytes(part.value, &t.peer) != KP_OK)
			return false;
		more = kp_maddr_next(&rest, &part);
	}
	if (more)
		return false;
	*out = t;
	return true;
}

kp_ip_scope kp_maddr_scope(const kp_maddr *m)
{
	kp_slice rest = kp_maddr_slice(m);
	kp_maddr_part part;
	if (!kp_maddr_next(&rest, &part))
		return KP_SCOPE_NONE;
	if (part.code == KP_MADDR_IP4)
		return kp_ip_scope_of(4, part.value.p);
	if (part.code == KP_MADDR_IP6)
		return kp_ip_scope_of(6, part.value.p);
	return KP_SCOPE_NONE;
}

bool kp_maddr_fits_scope(const kp_maddr *m, kp_ip_scope teller)
{
	kp_ip_scope scope = kp_maddr_scope(m);
	if (teller == KP_SCOPE_LOOPBACK)
		return true;
	if (teller == KP_SCOPE_PRIVATE || teller == KP_SCOPE_LINK_LOCAL)
		return scope != KP_SCOPE_LOOPBACK && scope != KP_SCOPE_UNSPECIFIED;
	if (scope == KP_SCOPE_PUBLIC)
		return true;
	kp_slice rest = kp_maddr_slice(m);
	kp_maddr_part part;
	return kp_maddr_next(&rest, &part) &&
	       (part.code == KP_MADDR_DNS || part.code == KP_MADDR_DNS4 ||
	        part.code == KP_MADDR_DNS6 || part.code == KP_MADDR_DNSADDR);
}
