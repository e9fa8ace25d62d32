/* Texts given to the application. */
#include "abi.h"

#include <string.h>

char *kp_abi_text(const char *text, size_t n)
{
	char *out = (char *)kp_mem_alloc(kp_abi_mem(), n + 1);
	if (out == NULL)
		return NULL;
	memcpy(out, text, n);
	out[n] = '\0';
	return out;
}

void kp2p_free(void *ptr)
{
	if (ptr == NULL)
		return;
	kp_mem_wipe(ptr, strlen((const char *)ptr)); /* it may be a key */
	kp_mem_free(kp_abi_mem(), ptr);
}
