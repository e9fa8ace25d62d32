/* The text form of multiaddresses (github.com/multiformats/multiaddr). */
#include "wire/multiaddr.h"

#include "wire/base32.h"
#include "wire/base64.h"
#include "wire/ip_text.h"
#include "wire/json.h"
#include "wire/multiaddr_proto.h"
#include "wire/multibase.h"
#include "wire/utf8.h"

/* ---- text to bytes ---- */

/* Digits only, at most as many as max has. */
static bool maddr_decimal(kp_slice text, uint64_t max, uint64_t *out)
{
	size_t digits_max = 0;
	for (uint64_t v = max; v > 0; v /= 10)
		digits_max++;
	if (text.n == 0 || text.n > digits_max)
		return false;
	uint64_t v = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		unsigned d = (unsigned)(text.p[i] - '0');
		if (v > (max - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

static bool maddr_read_number(kp_slice text, size_t size, kp_writer *w)
{
	uint64_t v;
	if (!maddr_decimal(text, UINT64_MAX >> (64 - 8 * size), &v))
		return false;
	for (size_t i = size; i > 0; i--)
		kp_write_u8(w, (uint8_t)(v >> (8 * (i - 1))));
	return true;
}

static bool maddr_read_escaped(kp_slice text, kp_writer *w)
{
	while (text.n > 0) {
		uint8_t c = kp_slice_take(&text, 1).p[0];
		if (c == '%') {
			uint8_t hex[3] = {'f'};
			size_t n;
			if (text.n < 2)
				return false;
			memcpy(hex + 1, kp_slice_take(&text, 2).p, 2);
			if (kp_multibase_decode(kp_slice_of(hex, 3), &c, 1, &n) != KP_OK)
				return false;
		}
		kp_write_u8(w, c);
	}
	return true;
}

/* key in base32 : port */
static bool maddr_read_onion(kp_slice text, size_t size, kp_writer *w)
{
	const uint8_t *colon = memchr(text.p, ':', text.n);
	if (colon == NULL)
		return false;
	kp_slice key = kp_slice_take(&text, (size_t)(colon - text.p));
	kp_slice_take(&text, 1);
	uint8_t bytes[35];
	size_t n;
	if (kp_base32_decode(key, bytes, sizeof(bytes), &n) != KP_OK || n != size - 2)
		return false;
	kp_write(w, bytes, n);
	return maddr_read_number(text, 2, w);
}

static bool maddr_read_decoded(kp_err decoded, const uint8_t *bytes, size_t n, kp_writer *w)
{
	if (decoded != KP_OK)
		return false;
	kp_write(w, bytes, n);
	return true;
}

/* Appends the value's bytes to w. False = the text is wrong; what it means is checked later. */
static bool maddr_read_value(const kp_maddr_proto *proto, kp_slice text, kp_writer *w)
{
	uint8_t bytes[KP_MADDR_MAX];
	size_t n = 0;
	kp_err err;
	kp_peer_id id;
	switch ((kp_maddr_form)proto->form) {
	case KP_MADDR_FLAG:
		return true;
	case KP_MADDR_FORM_IP4:
		err = kp_ip4_parse(text, bytes) ? KP_OK : KP_E_INVAL;
		return maddr_read_decoded(err, bytes, 4, w);
	case KP_MADDR_FORM_IP6:
		err = kp_ip6_parse(text, bytes) ? KP_OK : KP_E_INVAL;
		return maddr_read_decoded(err, bytes, 16, w);
	case KP_MADDR_PORT:
	case KP_MADDR_U8:
	case KP_MADDR_U64:
		return maddr_read_number(text, proto->size, w);
	case KP_MADDR_NAME:
	case KP_MADDR_PATH:
		kp_write_slice(w, text);
		return true;
	case KP_MADDR_ESCAPED:
		return maddr_read_escaped(text, w);
	case KP_MADDR_PEER:
		err = kp_peer_id_parse_text(text, &id);
		if (err == KP_OK)
			kp_write(w, id.b, id.n);
		return err == KP_OK;
	case KP_MADDR_MULTIHASH:
		err = kp_multibase_decode(text, bytes, sizeof(bytes), &n);
		return maddr_read_decoded(err, bytes, n, w);
	case KP_MADDR_ONION:
		return maddr_read_onion(text, proto->size, w);
	default: /* garlic32 */
		err = kp_base32_decode(text, bytes, sizeof(bytes), &n);
		return maddr_read_decoded(err, bytes, n, w);
	}
}

static const char *maddr_form_why(kp_maddr_form form)
{
	switch (form) {
	case KP_MADDR_FORM_IP4:
		return "not an IPv4 address";
	case KP_MADDR_FORM_IP6:
		return "not an IPv6 address";
	case KP_MADDR_PORT:
		return "not a port";
	case KP_MADDR_U8:
		return "not a number from 0 to 255";
	case KP_MADDR_U64:
		return "not a number";
	case KP_MADDR_NAME:
		return "not a name";
	case KP_MADDR_PATH:
		return "not a path";
	case KP_MADDR_ESCAPED:
		return "wrong percent-encoding";
	case KP_MADDR_PEER:
		return "not a peer id";
	case KP_MADDR_MULTIHASH:
		return "not a multihash in multibase";
	case KP_MADDR_ONION:
		return "not an onion address with port";
	default: /* and a flag has nothing that could be wrong */
		return "not a garlic32 address";
	}
}

/* Takes /segment off *text, without the slash. */
static kp_slice maddr_segment(kp_slice *text)
{
	KP_ASSERT(text->n > 0 && text->p[0] == '/');
	kp_slice_take(text, 1);
	const uint8_t *slash = text->n > 0 ? memchr(text->p, '/', text->n) : NULL;
	return kp_slice_take(text, slash != NULL ? (size_t)(slash - text->p) : text->n);
}

/* Takes one component off *text, appends its bytes to w. NULL, or what is wrong. */
static const char *maddr_read_part(kp_slice *text, kp_writer *w)
{
	kp_slice name = maddr_segment(text);
	if (name.n == 0)
		return "empty component";
	const kp_maddr_proto *proto = kp_maddr_proto_by_name(name);
	if (proto == NULL)
		return "unknown protocol";
	kp_slice value_text = kp_slice_of("", 0);
	if (proto->form == KP_MADDR_PATH)
		value_text = kp_slice_take(text, text->n);
	else if (proto->form != KP_MADDR_FLAG && text->n > 0)
		value_text = maddr_segment(text);
	if (proto->form != KP_MADDR_FLAG && value_text.n == 0)
		return "value missing";

	uint8_t value[KP_MADDR_MAX];
	kp_writer vw = kp_writer_of(value, sizeof(value));
	if (!maddr_read_value(proto, value_text, &vw))
		return maddr_form_why((kp_maddr_form)proto->form);
	if (vw.full) {
		w->full = true;
		return NULL;
	}
	if (!kp_maddr_value_ok(proto, kp_slice_of(value, vw.n), text->n == 0))
		return maddr_form_why((kp_maddr_form)proto->form);
	kp_maddr_write_part(w, proto, kp_slice_of(value, vw.n));
	return NULL;
}

/* As kp_maddr_parse_text, with *why always set on error. */
static kp_err maddr_read_text(kp_slice text, kp_writer *w, const char **why)
{
	*why = "must begin with /";
	if (text.n == 0 || text.p[0] != '/')
		return KP_E_INVAL;
	if (text.n > 1 && text.p[text.n - 1] == '/')
		text.n--;
	*why = "no component";
	if (text.n == 1)
		return KP_E_INVAL;
	for (int parts = 0; text.n > 0; parts++) {
		*why = "too many components";
		if (parts == KP_MADDR_PARTS_MAX)
			return KP_E_TOOBIG;
		*why = maddr_read_part(&text, w);
		if (*why != NULL)
			return KP_E_INVAL;
		*why = "too long";
		if (w->full)
			return KP_E_TOOBIG;
	}
	*why = NULL;
	return KP_OK;
}

kp_err kp_maddr_parse_text(kp_slice text, kp_maddr *out, const char **why)
{
	uint8_t bytes[KP_MADDR_MAX];
	kp_writer w = kp_writer_of(bytes, sizeof(bytes));
	const char *wrong = "too long";
	kp_err err = KP_E_TOOBIG;
	if (text.n <= KP_MADDR_TEXT_MAX)
		err = maddr_read_text(text, &w, &wrong);
	if (why != NULL)
		*why = wrong;
	return err == KP_OK ? kp_maddr_parse_bytes(kp_slice_of(bytes, w.n), out) : err;
}

/* ---- bytes to text ---- */

/* As go writes a path segment: unreserved characters and $&+:=@ stay. */
static void maddr_write_escaped(kp_writer *w, kp_slice value)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                            "0123456789-._~$&+:=@";
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];
		if (c != 0 && strchr(plain, c) != NULL) {
			kp_write_u8(w, c);
			continue;
		}
		kp_write_u8(w, '%');
		kp_write_u8(w, (uint8_t)hex[c >> 4]);
		kp_write_u8(w, (uint8_t)hex[c & 15]);
	}
}

static uint64_t maddr_number(kp_slice value)
{
	uint64_t v = 0;
	for (size_t i = 0; i < value.n; i++)
		v = v << 8 | value.p[i];
	return v;
}

static void maddr_write_peer(kp_writer *w, kp_slice value)
{
	kp_peer_id id;
	char text[KP_PEER_ID_TEXT_MAX];
	if (kp_peer_id_parse_bytes(value, &id) == KP_OK)
		kp_write(w, text, kp_peer_id_text(&id, text));
}

static void maddr_write_onion(kp_writer *w, kp_slice value)
{
	kp_base32_write(w, kp_slice_take(&value, value.n - 2));
	kp_write_u8(w, ':');
	kp_json_u64(w, maddr_number(value));
}

static void maddr_write_value(kp_writer *w, const kp_maddr_proto *proto, kp_slice value)
{
	switch ((kp_maddr_form)proto->form) {
	case KP_MADDR_FORM_IP4:
		kp_ip4_write(w, value.p);
		break;
	case KP_MADDR_FORM_IP6:
		kp_ip6_write(w, value.p);
		break;
	case KP_MADDR_PORT:
	case KP_MADDR_U8:
	case KP_MADDR_U64:
		kp_json_u64(w, maddr_number(value));
		break;
	case KP_MADDR_ESCAPED:
		maddr_write_escaped(w, value);
		break;
	case KP_MADDR_PEER:
		maddr_write_peer(w, value);
		break;
	case KP_MADDR_MULTIHASH:
		kp_write_u8(w, 'u');
		kp_base64_write(w, KP_BASE64_URL_BARE, value);
		break;
	case KP_MADDR_ONION:
		maddr_write_onion(w, value);
		break;
	case KP_MADDR_GARLIC32:
		kp_base32_write(w, value);
		break;
	default: /* a name, a path, or nothing */
		kp_write_slice(w, value);
		break;
	}
}

static void maddr_write_text(kp_writer *w, const kp_maddr *m)
{
	kp_slice rest = kp_maddr_slice(m);
	while (rest.n > 0) {
		const kp_maddr_proto *proto;
		kp_slice value;
		kp_err err = kp_maddr_step(&rest, &proto, &value);
		KP_ASSERT(err == KP_OK);
		kp_write_u8(w, '/');
		kp_write_str(w, proto->name);
		if (proto->form != KP_MADDR_FLAG && proto->form != KP_MADDR_PATH)
			kp_write_u8(w, '/');
		maddr_write_value(w, proto, value);
	}
}

size_t kp_maddr_text(const kp_maddr *m, char *out, size_t cap)
{
	char whole[KP_MADDR_TEXT_MAX];
	kp_writer w = kp_writer_of(whole, sizeof(whole) - 1);
	maddr_write_text(&w, m);
	KP_ASSERT(!w.full);
	if (cap > 0) {
		size_t n = KP_MIN(w.n, cap - 1);
		memcpy(out, whole, n);
		out[n] = '\0';
	}
	return w.n;
}
