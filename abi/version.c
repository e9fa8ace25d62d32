/* Versions: of the interface, and of what is behind it. */
#include "abi.h"

uint32_t kp2p_abi_version(void)
{
	return (uint32_t)KP2P_ABI_MAJOR << 16 | KP2P_ABI_MINOR;
}

const char *kp2p_version(void)
{
	return kp_rt_version();
}
