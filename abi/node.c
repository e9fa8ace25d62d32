/* Nodes: life, requests, introspection. */
#include "abi.h"

#include <assert.h>

#define ABI_SAME_OP(name) static_assert(KP2P_OP_##name == (int)KP_OP_##name, "KP2P_OP_" #name)
ABI_SAME_OP(CONNECT);
ABI_SAME_OP(DISCONNECT);
ABI_SAME_OP(PING);
ABI_SAME_OP(SUBSCRIBE);
ABI_SAME_OP(UNSUBSCRIBE);
ABI_SAME_OP(ADD_PROTOCOL);
ABI_SAME_OP(DHT_FIND_PEER);
ABI_SAME_OP(DHT_PROVIDE);
ABI_SAME_OP(DHT_FIND_PROVIDERS);
ABI_SAME_OP(DHT_PUT);
ABI_SAME_OP(DHT_GET);
static_assert(KP2P_VERDICT_ACCEPT == (int)KP_ACCEPT, "KP2P_VERDICT_ACCEPT");
static_assert(KP2P_VERDICT_REJECT == (int)KP_REJECT, "KP2P_VERDICT_REJECT");
static_assert(KP2P_VERDICT_IGNORE == (int)KP_IGNORE, "KP2P_VERDICT_IGNORE");

kp2p_node *kp2p_node_new(const kp2p_config *config, kp2p_error **err)
{
	char text[KP_RT_TEXT] = "";
	kp_rt *rt;
	if (config == NULL) {
		kp_abi_fail(err, KP_E_INVAL, "config is NULL");
		return NULL;
	}
	kp_abi_init();
	kp2p_node *n = (kp2p_node *)kp_mem_alloc(kp_abi_mem(), sizeof *n);
	if (n == NULL) {
		kp_abi_fail(err, KP_E_NOMEM, "out of memory");
		return NULL;
	}
	kp_err r = kp_rt_new((const kp_config *)(const void *)config, &rt, text, sizeof text);
	if (r != KP_OK) {
		kp_mem_free(kp_abi_mem(), n);
		kp_abi_fail(err, r, "%s", text);
		return NULL;
	}
	n->rt = rt;
	n->fork_gen = kp_abi_fork_gen();
	return n;
}

int kp2p_node_start(kp2p_node *node, kp2p_error **err)
{
	char text[KP_RT_TEXT] = "";
	int bad = kp_abi_check_node(node, err);
	if (bad != 0)
		return bad;
	kp_err r = kp_rt_start(node->rt, text, sizeof text);
	return r == KP_OK ? 0 : kp_abi_fail(err, r, "%s", text);
}

int kp2p_node_close(kp2p_node *node, int drain_ms, int timeout_ms)
{
	int bad = kp_abi_check_node(node, NULL);
	if (bad != 0)
		return bad;
	kp_rt *rt = node->rt;
	kp_rt_ref(rt); /* a listen callback on another thread may free the node meanwhile */
	kp_err r = kp_rt_close(rt, drain_ms, timeout_ms);
	kp_rt_unref(rt);
	return r;
}

void kp2p_node_free(kp2p_node *node)
{
	if (kp_abi_check_node(node, NULL) != 0)
		return;
	kp_rt *rt = node->rt;
	kp_mem_free(kp_abi_mem(), node);
	kp_rt_leave(rt);
}

int kp2p_node_wake(kp2p_node *node)
{
	int bad = kp_abi_check_node(node, NULL);
	if (bad == 0)
		kp_rt_wake(node->rt);
	return bad;
}

/* --- requests --- */

int kp2p_node_request(kp2p_node *node, int op, const void *arg, size_t arg_len, const void *data,
                      size_t len, int timeout_ms, int64_t token, kp2p_error **err)
{
	char text[KP_RT_TEXT] = "";
	int bad = kp_abi_check_node(node, err);
	if (bad != 0)
		return bad;
	if (arg == NULL)
		return kp_abi_fail(err, KP_E_INVAL, "arg is NULL");
	if (data == NULL && len > 0)
		return kp_abi_fail(err, KP_E_INVAL, "data is NULL, but len is %zu", len);
	if (op < KP2P_OP_CONNECT || op > KP2P_OP_DHT_GET)
		return kp_abi_fail(err, KP_E_INVAL, "op %d: operations are %d to %d", op,
		                   KP2P_OP_CONNECT, KP2P_OP_DHT_GET);
	kp_slice a =
	        arg_len == SIZE_MAX ? kp_slice_str((const char *)arg) : kp_slice_of(arg, arg_len);
	kp_err r = kp_rt_request(node->rt, (kp_op)op, a, kp_slice_of(data, len), timeout_ms, token,
	                         text, sizeof text);
	return r == KP_OK ? 0 : kp_abi_fail(err, r, "%s", text);
}

int kp2p_node_cancel(kp2p_node *node, int64_t token)
{
	int bad = kp_abi_check_node(node, NULL);
	return bad != 0 ? bad : (int)kp_rt_cancel(node->rt, token);
}

int kp2p_node_verdict(kp2p_node *node, int64_t token, int verdict)
{
	int bad = kp_abi_check_node(node, NULL);
	if (bad != 0)
		return bad;
	if (verdict < KP2P_VERDICT_ACCEPT || verdict > KP2P_VERDICT_IGNORE)
		return KP2P_EINVAL;
	return kp_rt_verdict(node->rt, token, (kp_verdict)verdict);
}

/* --- introspection --- */

char *kp2p_node_info(kp2p_node *node, const char *what, kp2p_error **err)
{
	if (kp_abi_check_node(node, err) != 0)
		return NULL;
	if (what == NULL) {
		kp_abi_fail(err, KP_E_INVAL, "what is NULL");
		return NULL;
	}
	char *out = NULL;
	kp_err r = kp_rt_info(node->rt, kp_slice_str(what), kp_abi_mem(), &out);
	if (r == KP_E_INVAL)
		kp_abi_fail(
		        err, r,
		        "info '%.60s': self, addresses, peers, topics, routing, stats, threads, "
		        "config, peer_id, listen_addrs or version",
		        what);
	else if (r != KP_OK)
		kp_abi_fail(err, r, "info %.60s: %s", what, kp_err_text(r));
	return out;
}
