/* Forks: a node belongs to the process that made it. Its threads do not exist in a child, and its
 * locks may be held by them for ever. */
#include "abi.h"

#include <pthread.h>

static uint32_t abi_generation; /* forks between the first process and this one; atomic */

static void abi_in_child(void)
{
	__atomic_add_fetch(&abi_generation, 1, __ATOMIC_RELEASE);
	kp_rt_slots_forked();
}

void kp_abi_fork_init(void)
{
	pthread_atfork(NULL, NULL, abi_in_child);
}

uint32_t kp_abi_fork_gen(void)
{
	return __atomic_load_n(&abi_generation, __ATOMIC_ACQUIRE);
}
