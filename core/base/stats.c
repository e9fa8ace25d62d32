/* The public names of the counters. */
#include "base/stats.h"

static const char *const stat_names[] = {
#define STAT_NAME(name) #name,
        KP_STATS(STAT_NAME)
#undef STAT_NAME
};

_Static_assert(KP_COUNT_OF(stat_names) == KP_STAT_COUNT, "one name per counter");

const char *kp_stat_name(kp_stat which)
{
	KP_ASSERT((unsigned)which < KP_STAT_COUNT);
	return stat_names[which];
}
