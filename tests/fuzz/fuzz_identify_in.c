/* identify and identify push fed with arbitrary bytes and events: what reaches the engine keeps the
 * caps, and nothing crashes or leaks. */
#include "svc/fake_svc.h"
#include "svc/identify.h"

static void fuzz_sink(void *ctx, kp_time now, const kp_peer_id *peer, const kp_identify_info *info,
                      const kp_maddr *observed)
{
	(void)ctx, (void)now, (void)observed;
	KP_ASSERT(peer->n > 0 && info->n_addrs <= 100 && info->n_protocols <= 1024);
	for (size_t i = 0; i < info->n_addrs; i++) {
		kp_peer_id named;
		KP_ASSERT(info->addrs[i].n > 0 && !kp_maddr_peer(&info->addrs[i], &named));
		KP_ASSERT(kp_maddr_scope(&info->addrs[i]) != KP_SCOPE_LOOPBACK);
	}
	for (size_t i = 0; i < info->n_protocols; i++)
		KP_ASSERT(info->protocols[i].n > 0);
}

static void fuzz_op(kp_host *h, kp_identify *id, const kp_peer_id *peer, kp_stream **pushed,
                    kp_slice *in)
{
	uint8_t op = kp_slice_take(in, 1).p[0];
	kp_stream *s = op & 1 ? *pushed : fake_outbound(h);
	switch (op / 2 % 8) {
	case 0:
		*pushed = fake_remote_open(h, peer,
		                           op & 1 ? "/ipfs/id/push/1.0.0" : "/ipfs/id/1.0.0");
		break;
	case 1:
		if (s != NULL)
			fake_remote_fin(s);
		break;
	case 2:
		kp_identify_svc_ops.on_addrs_changed(id, fake_now(h));
		fake_run_for(h, KP_MS(op / 16 * 300));
		break;
	case 3:
		kp_host_env(h)->mem->fail_at = kp_host_env(h)->mem->calls + 1 + op / 16;
		break;
	case 4:
		fake_connect(h, peer, "/ip4/10.0.0.9/tcp/1", op & 1);
		break;
	default: {
		size_t n = in->n > 0 ? kp_slice_take(in, 1).p[0] : 0;
		kp_slice bytes = kp_slice_take(in, KP_MIN(n, in->n));
		if (s != NULL)
			fake_remote_send(s, bytes.p, bytes.n);
		break;
	}
	}
	fake_pump(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kp_slice in = kp_slice_of(data, size);
	kp_host *h = fake_host_new(1);
	kp_identify *id = kp_identify_new(h, "agent", "version", fuzz_sink, NULL);
	kp_peer_id peer = fake_peer(7);
	kp_stream *pushed = NULL;
	fake_register(h, &kp_identify_svc_ops, id);
	fake_serve(h, &kp_identify_proto_ops, kp_identify_protos[0], id);
	fake_serve(h, &kp_identify_push_proto_ops, kp_identify_push_protos[0], id);
	fake_connect(h, &peer, "/ip4/10.0.0.9/tcp/1", true);
	fake_pump(h);
	while (in.n > 0)
		fuzz_op(h, id, &peer, &pushed, &in);
	kp_host_env(h)->mem->fail_at = 0;
	fake_disconnect(h, &peer);
	fake_pump(h);
	kp_identify_free(id);
	fake_host_free(h);
	return 0;
}
