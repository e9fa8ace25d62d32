/* What happens when an assertion of the core fails: the one place that ends the process. */
#include "base/types.h"

#include <stdio.h>
#include <stdlib.h>

void kp_assert_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "karakp2p: bug at %s:%d: %s\n", file, line, cond);
	fflush(stderr);
	abort();
}
