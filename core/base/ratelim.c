/* The token bucket. */
#include "base/ratelim.h"

void kp_ratelim_init(kp_ratelim *r, kp_time now, uint64_t burst, kp_time per)
{
	KP_ASSERT(per > 0);
	r->tokens = r->burst = burst;
	r->per = per;
	r->at = now;
}

static void ratelim_refill(kp_ratelim *r, kp_time now)
{
	uint64_t gained = kp_time_sub(now, r->at) / r->per;
	if (gained >= r->burst - r->tokens) {
		r->tokens = r->burst;
		r->at = KP_MAX(now, r->at);
		return;
	}
	r->tokens += gained;
	r->at += gained * r->per; /* the rest of a period counts towards the next token */
}

bool kp_ratelim_take(kp_ratelim *r, kp_time now, uint64_t n)
{
	ratelim_refill(r, now);
	KP_ASSERT(r->tokens <= r->burst);
	if (n > r->tokens)
		return false;
	r->tokens -= n;
	return true;
}
