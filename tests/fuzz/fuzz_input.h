/* The input of one run, taken from the front: 0 and nothing when it is over. */
#ifndef KP_FUZZ_INPUT_H
#define KP_FUZZ_INPUT_H

#include "base/slice.h"

static kp_slice fuzz_in;

static inline uint8_t fuzz_byte(void)
{
	return fuzz_in.n > 0 ? kp_slice_take(&fuzz_in, 1).p[0] : 0;
}

/* As many as the next byte says. */
static inline kp_slice fuzz_bytes(void)
{
	size_t n = fuzz_byte();
	return kp_slice_take(&fuzz_in, KP_MIN(n, fuzz_in.n));
}

#endif
