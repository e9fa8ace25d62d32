/* Lookups whose every answer is arbitrary bytes: they end, once, and nothing leaks. */
#include "svc/fake_svc.h"
#include "svc/kad/kad.h"

static void fuzz_done(void *ctx, kp_time now, kp_err err, const kp_kad_found *found)
{
	(void)now, (void)err;
	KP_ASSERT(found->n_peers <= 20);
	++*(unsigned *)ctx;
}

static void fuzz_answer(kp_host *h, kp_slice *in)
{
	uint8_t op = kp_slice_take(in, 1).p[0];
	kp_stream *s = fake_outbound(h);
	if (op < 16)
		kp_host_env(h)->mem->fail_at = kp_host_env(h)->mem->calls + 1 + op;
	else if (op < 32)
		fake_run_for(h, KP_SEC(op - 16));
	else if (s != NULL && op < 48)
		fake_remote_reset(s);
	else if (s != NULL && op < 80)
		fake_remote_fin(s);
	else if (s != NULL) {
		/* a message of that length, well framed unless odd */
		size_t n = KP_MIN((size_t)(op - 80) * 3, in->n);
		uint8_t head[2] = {(uint8_t)(n | 0x80), (uint8_t)(n >> 7)};
		fake_remote_send(s, head, n < 128 ? (head[0] &= 0x7f, 1u) : 2u);
		fake_remote_send(s, kp_slice_take(in, n).p, n);
	}
	fake_pump(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] = "/ipfs/kad/1.0.0";
	kp_slice in = kp_slice_of(data, size), proto = kp_slice_of(head, sizeof(head) - 1);
	kp_identify_info info;
	memset(&info, 0, sizeof info);
	info.protocols = &proto;
	info.n_protocols = 1;
	kp_host *h = fake_host_new(1);
	kp_kad_params params = kp_kad_params_default();
	kp_kad *kad = kp_kad_new(h, &params, fake_now(h));
	unsigned started = 0, done = 0;
	uint64_t id;
	fake_register(h, &kp_kad_svc_ops, kad);
	fake_forget(h);
	for (uint32_t i = 0; i < 6; i++) {
		kp_peer_id peer = fake_peer(i);
		fake_connect(h, &peer, "/ip4/127.0.0.1/tcp/1", true);
		fake_addr(h, &peer, "/ip4/127.0.0.1/tcp/1");
		kp_kad_svc_ops.on_identified(kad, fake_now(h), &peer, &info);
	}
	while (in.n > 0) {
		kp_peer_id target = fake_peer(in.p[0] % 12u);
		if (started - done < 3)
			started += kp_kad_find(kad, fake_now(h), &target, in.p[0] & 1, 0, fuzz_done,
			                       &done, &id) == KP_OK;
		fuzz_answer(h, &in);
	}
	kp_host_env(h)->mem->fail_at = 0;
	fake_run_for(h, KP_SEC(61));
	KP_ASSERT(done == started);
	kp_kad_svc_ops.on_stop(kad, fake_now(h));
	for (uint32_t i = 0; i < 6; i++) {
		kp_peer_id peer = fake_peer(i);
		fake_disconnect(h, &peer);
	}
	fake_pump(h);
	kp_kad_free(kad);
	fake_host_free(h);
	return 0;
}
