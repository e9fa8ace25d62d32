/* The component table behind multiaddr.c (binary) and multiaddr_text.c. Not for use elsewhere. */
#ifndef KP_WIRE_MULTIADDR_PROTO_H
#define KP_WIRE_MULTIADDR_PROTO_H

#include "wire/multiaddr.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a value is; decides its checks and its text. */
typedef enum kp_maddr_form {
	KP_MADDR_FLAG, /* no value */
	KP_MADDR_FORM_IP4,
	KP_MADDR_FORM_IP6,
	KP_MADDR_PORT,      /* 2 bytes */
	KP_MADDR_U8,        /* 1 byte */
	KP_MADDR_U64,       /* 8 bytes */
	KP_MADDR_NAME,      /* UTF-8 without / */
	KP_MADDR_PATH,      /* rest of the text, begins with / */
	KP_MADDR_ESCAPED,   /* percent-encoded in text */
	KP_MADDR_PEER,      /* peer id bytes */
	KP_MADDR_MULTIHASH, /* multibase in text */
	KP_MADDR_ONION,     /* key and port */
	KP_MADDR_GARLIC32,  /* base32 in text */
} kp_maddr_form;

#define KP_MADDR_VARIABLE 0xff /* size of values that carry their length */

typedef struct kp_maddr_proto {
	const char *name;
	uint16_t code;
	uint8_t form; /* kp_maddr_form */
	uint8_t size; /* value bytes, or KP_MADDR_VARIABLE */
} kp_maddr_proto;

/* NULL = not known. */
const kp_maddr_proto *kp_maddr_proto_by_code(uint64_t code);
const kp_maddr_proto *kp_maddr_proto_by_name(kp_slice name);

/* Takes one component off *rest without looking into its value. KP_E_PROTO, KP_E_NOTSUP as
 * kp_maddr_parse_bytes. */
kp_err kp_maddr_step(kp_slice *rest, const kp_maddr_proto **proto, kp_slice *value);

/* True when the value can stand in an address; last: no component follows. */
bool kp_maddr_value_ok(const kp_maddr_proto *proto, kp_slice value, bool last);

/* Appends code, length if variable, value. */
void kp_maddr_write_part(kp_writer *w, const kp_maddr_proto *proto, kp_slice value);

#ifdef __cplusplus
}
#endif
#endif
