#include "wire/keys.h"

#include "wire/pb.h"
#include "wire/varint.h"

enum { KEY_FIELD_TYPE = 1, KEY_FIELD_DATA = 2 };

/* Type, then Data, each written as we write it, and nothing else. */
static kp_err key_pb_fields(kp_slice in, kp_key_pb *out)
{
	kp_pb_field type, data;
	kp_err err;
	kp_slice rest = in;
	if (!kp_pb_next(&rest, &type, &err) || type.number != KEY_FIELD_TYPE ||
	    type.type != KP_PB_VARINT || type.value > KP_KEY_ECDSA)
		return KP_E_PROTO;
	if (!kp_pb_next(&rest, &data, &err) || data.number != KEY_FIELD_DATA ||
	    data.type != KP_PB_LEN)
		return KP_E_PROTO;
	if (in.n != kp_key_pb_size((kp_key_type)type.value, data.bytes.n))
		return KP_E_PROTO; /* padded varints, or bytes behind */
	out->type = (kp_key_type)type.value;
	out->data = data.bytes;
	return KP_OK;
}

static bool key_public_length(const kp_key_pb *k)
{
	switch (k->type) {
	case KP_KEY_ED25519:
		return k->data.n == 32;
	case KP_KEY_SECP256K1:
		return k->data.n == 33 && (k->data.p[0] == 2 || k->data.p[0] == 3);
	default: /* RSA, ECDSA */
		return k->data.n > 0 && k->data.n <= KP_PUBKEY_DATA_MAX;
	}
}

kp_err kp_key_pb_parse_public(kp_slice in, kp_key_pb *out)
{
	kp_key_pb k;
	if (key_pb_fields(in, &k) != KP_OK || !key_public_length(&k))
		return KP_E_PROTO;
	*out = k;
	return KP_OK;
}

static bool key_private_length(const kp_key_pb *k)
{
	switch (k->type) {
	case KP_KEY_ED25519:
		return k->data.n == 64;
	case KP_KEY_SECP256K1:
		return k->data.n == 32;
	default: /* RSA, ECDSA */
		return k->data.n > 0 && k->data.n <= KP_PRIVKEY_DATA_MAX;
	}
}

kp_err kp_key_pb_parse_private(kp_slice in, kp_key_pb *out)
{
	kp_key_pb k;
	if (key_pb_fields(in, &k) != KP_OK)
		return KP_E_PROTO;
	if (k.type == KP_KEY_ED25519 && k.data.n == 96 &&
	    memcmp(k.data.p + 32, k.data.p + 64, 32) == 0)
		k.data.n = 64; /* old form: the public half twice */
	if (!key_private_length(&k))
		return KP_E_PROTO;
	*out = k;
	return KP_OK;
}

size_t kp_key_pb_size(kp_key_type type, size_t data_n)
{
	return kp_pb_size_varint(KEY_FIELD_TYPE, (uint64_t)type) +
	       kp_pb_size_bytes(KEY_FIELD_DATA, data_n);
}

void kp_key_pb_write(kp_writer *w, kp_key_type type, kp_slice data)
{
	kp_pb_write_varint(w, KEY_FIELD_TYPE, (uint64_t)type);
	kp_pb_write_bytes(w, KEY_FIELD_DATA, data);
}

const char *kp_key_type_text(kp_key_type type)
{
	switch (type) {
	case KP_KEY_RSA:
		return "RSA";
	case KP_KEY_ED25519:
		return "Ed25519";
	case KP_KEY_SECP256K1:
		return "Secp256k1";
	default:
		return "ECDSA";
	}
}
