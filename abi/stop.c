/* Stopping a node from a signal handler. */
#include "abi.h"

int64_t kp2p_node_stop_id(const kp2p_node *node)
{
	return kp_abi_check_node(node, NULL) == 0 ? kp_rt_stop_id(node->rt) : 0;
}

int kp2p_stop(int64_t stop_id)
{
	return kp_rt_stop(stop_id);
}
