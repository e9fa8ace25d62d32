/* Configs: keys and values for new nodes. */
#include "abi.h"

kp2p_config *kp2p_config_new(void)
{
	return (kp2p_config *)(void *)kp_config_new();
}

int kp2p_config_set(kp2p_config *config, const char *key, const char *value, kp2p_error **err)
{
	char text[KP_RT_TEXT] = "";
	if (config == NULL)
		return kp_abi_fail(err, KP_E_INVAL, "config is NULL");
	if (key == NULL)
		return kp_abi_fail(err, KP_E_INVAL, "key is NULL");
	if (value == NULL)
		return kp_abi_fail(err, KP_E_INVAL, "value of %.100s is NULL", key);
	kp_err r = kp_config_set(kp_abi_config(config), kp_slice_str(key), kp_slice_str(value),
	                         text, sizeof text);
	return r == KP_OK ? 0 : kp_abi_fail(err, r, "%s", text);
}

void kp2p_config_free(kp2p_config *config)
{
	kp_config_free(kp_abi_config(config));
}
