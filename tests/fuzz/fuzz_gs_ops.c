/* Sequences of operations on a small network of routers and scripts: subscriptions, publishes,
 * connections, streams that die, verdicts, stopped readers, failing allocations, time. In the end
 * all is freed, and fake_net_free finds what leaked. */
#include "gossipsub/fake_host.h"

#define OPS_ROUTERS 3u
#define OPS_SCRIPTS 2u
#define OPS_NODES   (OPS_ROUTERS + OPS_SCRIPTS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct ops_world {
	fake_net *net;
	kp_host *node[OPS_NODES];
	kp_stream *out[OPS_SCRIPTS][OPS_ROUTERS];
	const uint8_t *p;
	size_t n;
	uint32_t published;
	bool stopped[OPS_ROUTERS];
} ops_world;

static uint8_t ops_byte(ops_world *w)
{
	if (w->n == 0)
		return 0;
	w->n--;
	return *w->p++;
}

static const char *ops_topic(uint8_t b)
{
	static const char *const topics[] = {"t", "u", "a rather long name of a topic", ""};
	return topics[b & 3];
}

static void ops_advance(ops_world *w, kp_time d)
{
	fake_run(w->net, fake_now(w->net) + d);
}

static void ops_subscribe(ops_world *w, uint8_t b)
{
	kp_host *h = w->node[b % OPS_ROUTERS];
	kp_sub_opts o = {(b & 0x40) != 0, (b & 0x80) != 0, 0};
	kp_gs_subscribe(fake_gs(h), fake_now(w->net), kp_slice_str(ops_topic(b >> 2)), &o);
}

static void ops_unsubscribe(ops_world *w, uint8_t b)
{
	kp_host *h = w->node[b % OPS_ROUTERS];
	kp_gs_unsubscribe(fake_gs(h), fake_now(w->net), kp_slice_str(ops_topic(b >> 2)));
}

static void ops_publish(ops_world *w, uint8_t b)
{
	static uint8_t data[70000];
	size_t n = b & 0x40 ? ops_byte(w) * 270u : b & 7u;
	uint32_t number = b & 0x20 ? 0 : w->published++;
	memcpy(data, &number, sizeof number);
	fake_publish(w->node[b % OPS_ROUTERS], ops_topic(b >> 2), data, n,
	             b & 0x80 ? number + 1 : 0);
}

static void ops_connect(ops_world *w, uint8_t b)
{
	uint8_t from = b % OPS_NODES, to = (b / OPS_NODES) % OPS_ROUTERS;
	if (from != to)
		fake_connect(w->node[from], w->node[to], KP_US(1) * (b & 0xf0));
}

static void ops_disconnect(ops_world *w, uint8_t b)
{
	uint8_t from = b % OPS_NODES, to = (b / OPS_NODES) % OPS_ROUTERS;
	if (from != to)
		fake_disconnect(w->node[from], w->node[to]);
}

static void ops_script(ops_world *w, uint8_t b)
{
	uint8_t i = b % OPS_SCRIPTS, to = (b / OPS_SCRIPTS) % OPS_ROUTERS;
	kp_host *h = w->node[OPS_ROUTERS + i];
	static const char *const protos[] = {"/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0",
	                                     "/floodsub/1.0.0"};
	kp_stream **out = &w->out[i][to];
	uint8_t buf[64];
	size_t n = 0;
	switch (b >> 5) {
	case 0:
	case 1:
		*out = fake_script_open(h, w->node[to], protos[(b >> 3) & 3]);
		break;
	case 2:
		if (*out != NULL)
			fake_script_fin(*out);
		*out = NULL;
		break;
	case 3:
		if (*out != NULL)
			fake_script_reset(*out);
		*out = NULL;
		break;
	default:
		for (n = ops_byte(w) % sizeof buf; n > 0 && *out != NULL; n = 0) {
			for (size_t k = 0; k < n; k++)
				buf[k] = ops_byte(w);
			fake_script_send(*out, buf, n);
		}
	}
}

static void ops_verdicts(ops_world *w, uint8_t b)
{
	kp_host *h = w->node[b % OPS_ROUTERS];
	for (kp_event *ev; (ev = fake_take_event(h)) != NULL;) {
		if (ev->type == KP_EV_VALIDATE && (b & 0x80) == 0)
			kp_gs_verdict(fake_gs(h), fake_now(w->net), ev->token,
			              (kp_verdict)((b >> 2) % 3));
		kp_event_free(ev);
	}
}

static void ops_stop(ops_world *w, uint8_t b)
{
	uint8_t i = b % OPS_ROUTERS;
	if ((b & 0xf0) == 0xf0 && !w->stopped[i]) {
		w->stopped[i] = true;
		kp_gs_svc_ops.on_stop(fake_gs(w->node[i]), fake_now(w->net));
	}
}

static void ops_step(ops_world *w)
{
	uint8_t op = ops_byte(w), b = ops_byte(w);
	switch (op % 12) {
	case 0:
		ops_subscribe(w, b);
		break;
	case 1:
		ops_unsubscribe(w, b);
		break;
	case 2:
	case 3:
		ops_publish(w, b);
		break;
	case 4:
		ops_connect(w, b);
		break;
	case 5:
		ops_disconnect(w, b);
		break;
	case 6:
	case 7:
		ops_script(w, b);
		break;
	case 8:
		ops_verdicts(w, b);
		break;
	case 9:
		fake_set_reads(w->node[b % OPS_NODES], (b & 0x80) == 0);
		break;
	case 10:
		fake_fail_at(w->node[b % OPS_ROUTERS], (b & 0x80) != 0, (b >> 2) & 15);
		break;
	default:
		ops_stop(w, b);
		ops_advance(w, b & 1 ? KP_MS(1) * b : KP_SEC(1) * (b >> 4));
	}
	ops_advance(w, KP_US(b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ops_world w = {.p = data, .n = size < 2000 ? size : 2000};
	w.net = fake_net_new(1, false);
	kp_gs_params p = kp_gs_params_default();
	uint8_t first = ops_byte(&w);
	p.flood_publish = (first & 1) != 0;
	p.publish_hold_ns = first & 2 ? KP_SEC(2) : 0;
	p.verify_inline_max = first & 4 ? 0 : 4;
	p.signature = (kp_sig_policy)((first >> 3) & 3);
	for (unsigned i = 0; i < OPS_NODES; i++)
		w.node[i] = fake_node(w.net, i < OPS_ROUTERS ? &p : NULL);
	while (w.n > 0)
		ops_step(&w);
	for (unsigned i = 0; i < OPS_ROUTERS; i++) {
		fake_fail_at(w.node[i], false, 0);
		fake_fail_at(w.node[i], true, 0);
	}
	ops_advance(&w, KP_SEC(5));
	fake_net_free(w.net);
	return 0;
}
