/* The 12-byte yamux frame header. What a frame means is conn/yamux.c's. */
#ifndef KP_WIRE_YAMUX_HDR_H
#define KP_WIRE_YAMUX_HDR_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_YAMUX_HDR_SIZE 12u

typedef enum kp_yamux_type {
	KP_YAMUX_DATA = 0,
	KP_YAMUX_WINDOW = 1,
	KP_YAMUX_PING = 2,
	KP_YAMUX_GOAWAY = 3,
} kp_yamux_type;

#define KP_YAMUX_SYN 0x1u
#define KP_YAMUX_ACK 0x2u
#define KP_YAMUX_FIN 0x4u
#define KP_YAMUX_RST 0x8u

#define KP_YAMUX_GOAWAY_NORMAL   0u
#define KP_YAMUX_GOAWAY_PROTO    1u
#define KP_YAMUX_GOAWAY_INTERNAL 2u

typedef struct kp_yamux_hdr {
	uint8_t type;    /* kp_yamux_type */
	uint16_t flags;  /* KP_YAMUX_SYN …; unknown bits are kept */
	uint32_t stream; /* 0 for ping and go away */
	uint32_t length; /* payload bytes, window delta, ping value or go-away code */
} kp_yamux_hdr;

/* KP_E_PROTO = version is not 0 or type unknown; *out is then unchanged. Which flags and stream ids
 * make sense is not judged here. */
kp_err kp_yamux_hdr_parse(const uint8_t bytes[KP_YAMUX_HDR_SIZE], kp_yamux_hdr *out);

void kp_yamux_hdr_write(const kp_yamux_hdr *h, uint8_t out[KP_YAMUX_HDR_SIZE]);

#ifdef __cplusplus
}
#endif
#endif
