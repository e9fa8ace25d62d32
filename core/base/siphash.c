/* SipHash-c-d (Aumasson, Bernstein 2012). */
#include "base/siphash.h"

static uint64_t sip_load64(const uint8_t *p)
{
	/* Compilers turn this into one load on little-endian machines. */
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
}

static uint64_t sip_rotl(uint64_t x, unsigned k)
{
	return (x << k) | (x >> (64 - k));
}

static void sip_rounds(uint64_t v[4], int n)
{
	uint64_t a = v[0], b = v[1], c = v[2], d = v[3];
	for (int i = 0; i < n; i++) {
		a += b;
		b = sip_rotl(b, 13) ^ a;
		a = sip_rotl(a, 32);
		c += d;
		d = sip_rotl(d, 16) ^ c;
		a += d;
		d = sip_rotl(d, 21) ^ a;
		c += b;
		b = sip_rotl(b, 17) ^ c;
		c = sip_rotl(c, 32);
	}
	v[0] = a, v[1] = b, v[2] = c, v[3] = d;
}

static void sip_absorb(kp_siphash *h, uint64_t m)
{
	h->v[3] ^= m;
	sip_rounds(h->v, h->c);
	h->v[0] ^= m;
}

void kp_siphash_init(kp_siphash *h, const uint8_t key[16], int c_rounds, int d_rounds)
{
	KP_ASSERT(c_rounds > 0 && d_rounds > 0);
	uint64_t k0 = sip_load64(key);
	uint64_t k1 = sip_load64(key + 8);
	h->v[0] = k0 ^ UINT64_C(0x736f6d6570736575);
	h->v[1] = k1 ^ UINT64_C(0x646f72616e646f6d);
	h->v[2] = k0 ^ UINT64_C(0x6c7967656e657261);
	h->v[3] = k1 ^ UINT64_C(0x7465646279746573);
	h->tail = 0;
	h->total = 0;
	h->c = c_rounds;
	h->d = d_rounds;
}

void kp_siphash_update(kp_siphash *h, const void *bytes, size_t n)
{
	const uint8_t *p = (const uint8_t *)bytes;
	unsigned held = (unsigned)(h->total & 7);
	h->total += n;
	while (held != 0 && n > 0) {
		h->tail |= (uint64_t)*p++ << (8 * held);
		held = (held + 1) & 7;
		n--;
		if (held == 0) {
			sip_absorb(h, h->tail);
			h->tail = 0;
		}
	}
	for (; n >= 8; p += 8, n -= 8)
		sip_absorb(h, sip_load64(p));
	for (; n > 0; n--, held++)
		h->tail |= (uint64_t)*p++ << (8 * held);
}

uint64_t kp_siphash_final(kp_siphash *h)
{
	sip_absorb(h, h->tail | (h->total & 0xff) << 56);
	h->v[2] ^= 0xff;
	sip_rounds(h->v, h->d);
	return h->v[0] ^ h->v[1] ^ h->v[2] ^ h->v[3];
}

uint64_t kp_siphash13(const uint8_t key[16], const void *bytes, size_t n)
{
	kp_siphash h;
	kp_siphash_init(&h, key, 1, 3);
	kp_siphash_update(&h, bytes, n);
	return kp_siphash_final(&h);
}
