/* xoshiro256** (Blackman, Vigna 2018), its four words mixed from the seed by splitmix64. */
#include "base/rng.h"

static uint64_t rng_load64(const uint8_t *p)
{
	uint64_t x = 0;
	for (unsigned i = 0; i < 8; i++)
		x |= (uint64_t)p[i] << (8 * i);
	return x;
}

static uint64_t rng_splitmix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t rng_rotl(uint64_t x, unsigned k)
{
	return (x << k) | (x >> (64 - k));
}

void kp_rng_init(kp_rng *r, const uint8_t seed[32])
{
	/* Chained, so that seeds that differ in one word differ in all later ones. */
	uint64_t chain = 0;
	for (unsigned i = 0; i < 4; i++) {
		chain = rng_splitmix(chain ^ rng_load64(seed + (size_t)8 * i));
		r->s[i] = chain;
	}
	if ((r->s[0] | r->s[1] | r->s[2] | r->s[3]) == 0)
		r->s[0] = 1; /* the one state the generator cannot leave */
}

uint64_t kp_rng_u64(kp_rng *r)
{
	uint64_t *s = r->s;
	uint64_t out = rng_rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rng_rotl(s[3], 45);
	return out;
}

uint64_t kp_rng_below(kp_rng *r, uint64_t n)
{
	KP_ASSERT(n > 0);
	/* 2^64 mod n values at the bottom would make the small remainders more likely. */
	uint64_t skip = (UINT64_MAX - n + 1) % n;
	uint64_t x;
	do {
		x = kp_rng_u64(r);
	} while (x < skip);
	return x % n;
}

void kp_rng_fill(kp_rng *r, void *out, size_t n)
{
	uint8_t *p = (uint8_t *)out;
	while (n > 0) {
		uint64_t x = kp_rng_u64(r);
		size_t take = KP_MIN(n, (size_t)8);
		for (size_t i = 0; i < take; i++)
			p[i] = (uint8_t)(x >> (8 * i));
		p += take;
		n -= take;
	}
}

double kp_rng_unit(kp_rng *r)
{
	return (double)(kp_rng_u64(r) >> 11) * 0x1.0p-53;
}

void kp_rng_shuffle(kp_rng *r, void *array, size_t n, size_t size)
{
	uint8_t tmp[64];
	uint8_t *p = (uint8_t *)array;
	KP_ASSERT(size > 0 && size <= sizeof tmp);
	for (size_t i = n; i > 1; i--) {
		size_t j = (size_t)kp_rng_below(r, i);
		if (j == i - 1)
			continue;
		memcpy(tmp, p + j * size, size);
		memcpy(p + j * size, p + (i - 1) * size, size);
		memcpy(p + (i - 1) * size, tmp, size);
	}
}

kp_time kp_rng_jitter(kp_rng *r, kp_time d, unsigned percent)
{
	KP_ASSERT(percent <= 100);
	if (d == KP_NEVER)
		return KP_NEVER;
	kp_time span = d / 100 * percent + d % 100 * percent / 100;
	kp_time width = kp_time_add(span, span);
	return kp_time_add(d - span, kp_rng_below(r, kp_time_add(width, 1)));
}
