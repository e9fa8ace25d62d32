/* What happens once per process. There is no function for it: the first node or key does it. */
#include "abi.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

#define ABI_EXIT_WAIT KP_SEC(2)

static pthread_once_t abi_once = PTHREAD_ONCE_INIT;
static kp_mem abi_memory; /* zero = no budget */

/* A process that ends while nodes run: they say goodbye. */
static void abi_at_exit(void)
{
	kp_rt_stop_all(ABI_EXIT_WAIT);
}

static void abi_init_once(void)
{
	/* OpenSSL would free its tables under threads that still run */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
	kp_abi_fork_init();
	atexit(abi_at_exit);
}

void kp_abi_init(void)
{
	pthread_once(&abi_once, abi_init_once);
}

kp_mem *kp_abi_mem(void)
{
	return &abi_memory;
}
