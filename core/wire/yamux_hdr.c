#include "wire/yamux_hdr.h"

static uint32_t yamux_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void yamux_put_be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

kp_err kp_yamux_hdr_parse(const uint8_t bytes[KP_YAMUX_HDR_SIZE], kp_yamux_hdr *out)
{
	if (bytes[0] != 0 || bytes[1] > KP_YAMUX_GOAWAY)
		return KP_E_PROTO;
	out->type = bytes[1];
	out->flags = (uint16_t)(bytes[2] << 8 | bytes[3]);
	out->stream = yamux_be32(bytes + 4);
	out->length = yamux_be32(bytes + 8);
	return KP_OK;
}

void kp_yamux_hdr_write(const kp_yamux_hdr *h, uint8_t out[KP_YAMUX_HDR_SIZE])
{
	KP_ASSERT(h->type <= KP_YAMUX_GOAWAY);
	out[0] = 0;
	out[1] = h->type;
	out[2] = (uint8_t)(h->flags >> 8);
	out[3] = (uint8_t)h->flags;
	yamux_put_be32(out + 4, h->stream);
	yamux_put_be32(out + 8, h->length);
}
