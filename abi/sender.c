/* Senders: handles on the one bounded queue of a node. */
#include "abi.h"

static kp2p_sender *sender_make(kp_rt *rt, uint32_t fork_gen)
{
	kp2p_sender *s = (kp2p_sender *)kp_mem_alloc(kp_abi_mem(), sizeof *s);
	if (s == NULL)
		return NULL;
	kp_rt_ref(rt);
	s->rt = rt;
	s->fork_gen = fork_gen;
	return s;
}

kp2p_sender *kp2p_sender_new(kp2p_node *node, kp2p_error **err)
{
	if (kp_abi_check_node(node, err) != 0)
		return NULL;
	if (kp_rt_is_closed(node->rt)) {
		kp_abi_fail(err, KP_E_CLOSED, "the node is closed");
		return NULL;
	}
	kp2p_sender *s = sender_make(node->rt, node->fork_gen);
	if (s == NULL)
		kp_abi_fail(err, KP_E_NOMEM, "out of memory");
	return s;
}

kp2p_sender *kp2p_sender_clone(const kp2p_sender *sender)
{
	return kp_abi_check_sender(sender, NULL) == 0 ? sender_make(sender->rt, sender->fork_gen)
	                                              : NULL;
}

void kp2p_sender_free(kp2p_sender *sender)
{
	if (kp_abi_check_sender(sender, NULL) != 0)
		return;
	kp_rt *rt = sender->rt;
	kp_mem_free(kp_abi_mem(), sender);
	kp_rt_unref(rt);
}

static int sender_check_bytes(const void *data, size_t len, kp2p_error **err)
{
	if (data == NULL && len > 0)
		return kp_abi_fail(err, KP_E_INVAL, "data is NULL, but len is %zu", len);
	return 0;
}

static int sender_check(const kp2p_sender *s, const char *topic, const char *name, const void *data,
                        size_t len, kp2p_error **err)
{
	int bad = kp_abi_check_sender(s, err);
	if (bad != 0)
		return bad;
	if (topic == NULL)
		return kp_abi_fail(err, KP_E_INVAL, "%s is NULL", name);
	return sender_check_bytes(data, len, err);
}

int kp2p_sender_publish(kp2p_sender *sender, const char *topic, const void *data, size_t len,
                        int64_t token, int timeout_ms, kp2p_error **err)
{
	char text[KP_RT_TEXT] = "";
	size_t accepted;
	int bad = sender_check(sender, topic, "topic", data, len, err);
	if (bad != 0)
		return bad;
	kp_rt_batch b = {kp_slice_str(topic), (const uint8_t *)data, NULL, len, 1, token,
	                 timeout_ms};
	kp_err r = kp_rt_publish(sender->rt, &b, &accepted, text, sizeof text);
	return r == KP_OK ? 0 : kp_abi_fail(err, r, "%s", text);
}

int kp2p_sender_publish_batch(kp2p_sender *sender, const char *topic, const void *buf,
                              const uint32_t *lens, size_t n, int64_t token, int timeout_ms,
                              kp2p_error **err)
{
	char text[KP_RT_TEXT] = "";
	size_t accepted = 0, total = 0;
	int bad = sender_check(sender, topic, "topic", NULL, 0, err);
	if (bad != 0)
		return bad;
	if (lens == NULL && n > 0)
		return kp_abi_fail(err, KP_E_INVAL, "lens is NULL, but n is %zu", n);
	if (n > INT32_MAX)
		return kp_abi_fail(err, KP_E_INVAL, "n %zu: at most %d", n, INT32_MAX);
	for (size_t i = 0; i < n; i++)
		total += lens[i];
	if (buf == NULL && total > 0)
		return kp_abi_fail(err, KP_E_INVAL, "buf is NULL, but lens sum to %zu", total);
	kp_rt_batch b = {kp_slice_str(topic), (const uint8_t *)buf, lens, 0, n, token, timeout_ms};
	kp_err r = kp_rt_publish(sender->rt, &b, &accepted, text, sizeof text);
	if (r != KP_OK && accepted == 0)
		return kp_abi_fail(err, r, "%s", text);
	return (int)accepted;
}

int kp2p_sender_send(kp2p_sender *sender, const char *peer, const char *protocol, const void *data,
                     size_t len, int64_t token, int timeout_ms, kp2p_error **err)
{
	char text[KP_RT_TEXT] = "";
	int bad = sender_check(sender, peer, "peer", data, len, err);
	if (bad != 0)
		return bad;
	if (protocol == NULL)
		return kp_abi_fail(err, KP_E_INVAL, "protocol is NULL");
	kp_err r = kp_rt_send(sender->rt, kp_slice_str(peer), kp_slice_str(protocol),
	                      kp_slice_of(data, len), token, timeout_ms, text, sizeof text);
	return r == KP_OK ? 0 : kp_abi_fail(err, r, "%s", text);
}

int kp2p_sender_fd(kp2p_sender *sender)
{
	int bad = kp_abi_check_sender(sender, NULL);
	return bad != 0 ? bad : kp_rt_sender_fd(sender->rt);
}
