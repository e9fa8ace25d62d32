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

/* By value, so that the state stays in registers from one word to the next. */
typedef struct sip_state {
	uint64_t a, b, c, d;
} sip_state;

static inline sip_state sip_rounds(sip_state s, int n)
{
	for (int i = 0; i < n; i++) {
		s.a += s.b;
		s.b = sip_rotl(s.b, 13) ^ s.a;
		s.a = sip_rotl(s.a, 32);
		s.c += s.d;
		s.d = sip_rotl(s.d, 16) ^ s.c;
		s.a += s.d;
		s.d = sip_rotl(s.d, 21) ^ s.a;
		s.c += s.b;
		s.b = sip_rotl(s.b, 17) ^ s.c;
		s.c = sip_rotl(s.c, 32);
	}
	return s;
}

static inline sip_state sip_absorb(sip_state s, uint64_t m, int rounds)
{
	s.d ^= m;
	s = sip_rounds(s, rounds);
	s.a ^= m;
	return s;
}

static sip_state sip_load(const kp_siphash *h)
{
	return (sip_state){h->v[0], h->v[1], h->v[2], h->v[3]};
}

static void sip_store(kp_siphash *h, sip_state s)
{
	h->v[0] = s.a, h->v[1] = s.b, h->v[2] = s.c, h->v[3] = s.d;
}

/* Whole words; one round a word, which is what we use, is compiled for itself. */
static sip_state sip_words(sip_state s, const uint8_t *p, size_t n, int rounds)
{
	if (rounds == 1) {
		for (; n >= 8; p += 8, n -= 8)
			s = sip_absorb(s, sip_load64(p), 1);
	} else {
		for (; n >= 8; p += 8, n -= 8)
			s = sip_absorb(s, sip_load64(p), rounds);
	}
	return s;
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
	if (n == 0) /* of what may be NULL */
		return;
	const uint8_t *p = (const uint8_t *)bytes;
	unsigned held = (unsigned)(h->total & 7);
	sip_state s = sip_load(h);
	h->total += n;
	while (held != 0 && n > 0) {
		h->tail |= (uint64_t)*p++ << (8 * held);
		held = (held + 1) & 7;
		n--;
		if (held == 0) {
			s = sip_absorb(s, h->tail, h->c);
			h->tail = 0;
		}
	}
	size_t whole = n & ~(size_t)7;
	s = sip_words(s, p, whole, h->c);
	for (p += whole, n -= whole; n > 0; n--, held++)
		h->tail |= (uint64_t)*p++ << (8 * held);
	sip_store(h, s);
}

uint64_t kp_siphash_final(kp_siphash *h)
{
	sip_state s = sip_absorb(sip_load(h), h->tail | (h->total & 0xff) << 56, h->c);
	s.c ^= 0xff;
	s = sip_rounds(s, h->d);
	return s.a ^ s.b ^ s.c ^ s.d;
}

uint64_t kp_siphash13(const uint8_t key[16], const void *bytes, size_t n)
{
	kp_siphash h;
	kp_siphash_init(&h, key, 1, 3);
	kp_siphash_update(&h, bytes, n);
	return kp_siphash_final(&h);
}
