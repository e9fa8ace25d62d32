/* Kademlia key arithmetic: SHA-256 of the key, distance by XOR. */
#include "wire/kad_msg.h"

kp_kad_key kp_kad_distance(const kp_kad_key *a, const kp_kad_key *b)
{
	kp_kad_key d;
	for (size_t i = 0; i < sizeof(d.b); i++)
		d.b[i] = (uint8_t)(a->b[i] ^ b->b[i]);
	return d;
}

int kp_kad_distance_cmp(const kp_kad_key *target, const kp_kad_key *a, const kp_kad_key *b)
{
	kp_kad_key da = kp_kad_distance(target, a);
	kp_kad_key db = kp_kad_distance(target, b);
	return memcmp(da.b, db.b, sizeof(da.b));
}

unsigned kp_kad_cpl(const kp_kad_key *a, const kp_kad_key *b)
{
	unsigned bits = 0;
	for (size_t i = 0; i < sizeof(a->b); i++) {
		unsigned x = (unsigned)(a->b[i] ^ b->b[i]);
		if (x == 0) {
			bits += 8;
			continue;
		}
		while ((x & 0x80) == 0) {
			x <<= 1;
			bits++;
		}
		break;
	}
	KP_ASSERT(bits <= KP_KAD_KEY_BITS);
	return bits;
}
