/* Bytes into one peer's inbound stream of a live router that has other peers: no crash, bounded
 * memory, and the other peers go on being served. The first byte picks the policy and the cuts. */
#include "gossipsub/fake_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static kp_host *fuzz_rpc_peer(fake_net *net, kp_host *router, kp_stream **out)
{
	static const uint8_t subscribe[] = {7, 0x0a, 5, 0x08, 1, 0x12, 1, 't'};
	kp_host *h = fake_node(net, NULL);
	fake_connect(h, router, KP_US(10));
	*out = fake_script_open(h, router, "/meshsub/1.2.0");
	KP_ASSERT(*out != NULL);
	fake_script_send(*out, subscribe, sizeof subscribe);
	return h;
}

static uint64_t fuzz_rpc_bytes(kp_host *h)
{
	const kp_env *env = kp_host_env(h);
	return env->mem->bytes + kp_pool_bytes_live(env->pool);
}

/* A message of the router still reaches the peer that behaves. */
static void fuzz_rpc_publish(fake_net *net, kp_host *router)
{
	uint64_t before = fake_stat(router, KP_STAT_published);
	uint64_t now = fake_now(net);
	KP_ASSERT(fake_publish(router, "t", &now, sizeof now, 1));
	fake_run(net, fake_now(net) + KP_MS(10));
	KP_ASSERT(fake_stat(router, KP_STAT_published) == before + 1);
	KP_ASSERT(kp_gs_pending(fake_gs(router)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	kp_gs_params p = kp_gs_params_default();
	p.signature = (kp_sig_policy)(data[0] & 3);
	p.message_id = data[0] & 4 ? KP_MSGID_SHA256 : KP_MSGID_KARAK;
	p.verify_inline_max = data[0] & 8 ? 0 : 4;
	size_t cut = data[0] & 0x10 ? 1 + (size_t)(data[0] >> 5) : size;
	fake_net *net = fake_net_new(data[1], false);
	kp_host *router = fake_node(net, &p);
	fake_subscribe(router, "t");
	kp_stream *good, *bad;
	fuzz_rpc_peer(net, router, &good);
	fuzz_rpc_peer(net, router, &bad);
	fake_run(net, fake_now(net) + KP_MS(1));
	uint64_t before = fuzz_rpc_bytes(router);
	for (size_t at = 2; at < size; at += cut) {
		fake_script_send(bad, data + at, size - at < cut ? size - at : cut);
		fake_run(net, fake_now(net) + KP_US(20));
	}
	fuzz_rpc_publish(net, router);
	fake_run(net, fake_now(net) + KP_SEC(3));
	fake_drop_events(router);
	uint64_t after = fuzz_rpc_bytes(router);
	/* records and blocks of what is cached; nothing grows with what was declared */
	KP_ASSERT(after < before + 64 * (uint64_t)size + (2u << 20));
	fuzz_rpc_publish(net, router);
	fake_net_free(net);
	return 0;
}
