/* Inbound kad streams fed with arbitrary bytes in arbitrary order: several streams, cuts, FIN, RST,
 * time, and a failing allocation. Anything may be refused; nothing may crash, leak or run on. */
#include "svc/fake_svc.h"
#include "svc/kad/kad.h"

#define STREAMS 4

static void fuzz_fill_table(kp_host *h, kp_kad *kad)
{
	static const char head[] = "/ipfs/kad/1.0.0";
	kp_slice proto = kp_slice_of(head, sizeof(head) - 1);
	kp_identify_info info = {.protocols = &proto, .n_protocols = 1};
	for (uint32_t i = 0; i < 24; i++) {
		kp_peer_id peer = fake_peer(100 + i);
		fake_connect(h, &peer, "/ip4/127.0.0.1/tcp/1", true);
		fake_addr(h, &peer, "/ip4/127.0.0.1/tcp/1");
		kp_kad_svc_ops.on_identified(kad, fake_now(h), &peer, &info);
		fake_pump(h);
		kp_stream *check = fake_outbound(h);
		fake_remote_send(check, "\x02\x08\x04", 3);
		fake_remote_fin(check);
		fake_pump(h);
	}
	KP_ASSERT(kp_kad_size(kad) > 15);
}

static void fuzz_op(kp_host *h, kp_stream **s, const kp_peer_id *peer, kp_slice *in)
{
	uint8_t op = kp_slice_take(in, 1).p[0];
	kp_stream **at = &s[op % STREAMS];
	switch (op / STREAMS % 8) {
	case 0:
		*at = fake_remote_open(h, peer, "/ipfs/kad/1.0.0");
		break;
	case 1:
		if (*at != NULL)
			fake_remote_fin(*at);
		break;
	case 2:
		if (*at != NULL)
			fake_remote_reset(*at);
		break;
	case 3:
		fake_run_for(h, KP_SEC(op / 32 * 5));
		break;
	case 4:
		kp_host_env(h)->mem->fail_at = kp_host_env(h)->mem->calls + 1 + op / 32;
		break;
	default: {
		size_t n = in->n > 0 ? kp_slice_take(in, 1).p[0] : 0;
		kp_slice bytes = kp_slice_take(in, KP_MIN(n, in->n));
		if (*at != NULL)
			fake_remote_send(*at, bytes.p, bytes.n);
		break;
	}
	}
	fake_pump(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kp_slice in = kp_slice_of(data, size);
	kp_stream *s[STREAMS] = {NULL};
	kp_host *h = fake_host_new(1);
	kp_kad_params params = kp_kad_params_default();
	kp_kad *kad = kp_kad_new(h, &params, fake_now(h));
	kp_peer_id peer = fake_peer(7);
	fake_register(h, &kp_kad_svc_ops, kad);
	fake_serve(h, &kp_kad_proto_ops, kp_kad_protos[0], kad);
	fuzz_fill_table(h, kad);
	fake_addr(h, NULL, "/ip4/127.0.0.1/tcp/4001");
	fake_connect(h, &peer, "/ip4/127.0.0.1/tcp/2", false);
	while (in.n > 0)
		fuzz_op(h, s, &peer, &in);
	kp_host_env(h)->mem->fail_at = 0;
	kp_kad_svc_ops.on_stop(kad, fake_now(h));
	fake_disconnect(h, &peer);
	for (uint32_t i = 0; i < 24; i++) {
		peer = fake_peer(100 + i);
		fake_disconnect(h, &peer);
	}
	fake_pump(h);
	kp_kad_free(kad);
	fake_host_free(h);
	return 0;
}
