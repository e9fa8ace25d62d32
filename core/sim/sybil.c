/* Nodes that attack GossipSub as the paper of its version 1.1 has it. Each is a whole engine. Those
 * that pass nothing on are routers that take any place in a mesh and whose application never gives
 * a verdict: they keep to the protocol in everything else. Those that spam are ordinary routers
 * with a program that sends RPCs of its own: a direct message is a length and a body on a stream of
 * any protocol, just as an RPC is. */
#include "sim/world.h"
#include "wire/rpc.h"

#include <stdio.h>

#define SYBIL_BEAT      KP_MS(200) /* between two rounds of spam */
#define SYBIL_PROTOCOL  "/meshsub/1.1.0"
#define SYBIL_TARGET    1u /* of `eclipse` */
#define SYBIL_KNOWN     4u /* attackers that an honest node is told to join by */
#define SYBIL_HEADSTART KP_SEC(5)
#define SYBIL_ARRIVE    KP_SEC(20) /* all of `eclipse` are there after this time */
#define SYBIL_PROMISES  32u        /* one IHAVE, two of them a beat */
#define SYBIL_GRAFTS    10u
#define SYBIL_FORGERIES 5u
#define SYBIL_RPC_MAX   4096u

typedef struct sybil_kind {
	bool places;    /* is about places in meshes */
	kp_stat served; /* what honest nodes do for a spammer */
} sybil_kind;

static sybil_kind sybil_kind_of(const sim_world *w)
{
	static const sybil_kind kinds[] = {
	        [KP_SIM_ATTACK_eclipse] = {true, KP_STAT_COUNT},
	        [KP_SIM_ATTACK_coldboot] = {true, KP_STAT_COUNT},
	        [KP_SIM_ATTACK_covertflash] = {true, KP_STAT_COUNT},
	        [KP_SIM_ATTACK_ihavespam] = {false, KP_STAT_promises_broken},
	        [KP_SIM_ATTACK_graftflood] = {false, KP_STAT_graft_backoff},
	        [KP_SIM_ATTACK_invalidspam] = {false, KP_STAT_rejected_signature},
	};
	return kinds[w->opt.attack];
}

bool sim_sybil_is(const sim_world *w, uint32_t n)
{
	return n >= sim_honest(w);
}

/* The attackers are first. Those of `eclipse` come one after the other, so that whenever a mesh
 * that was full has been cut down there are more to fill it. */
kp_time sim_sybil_delay(sim_world *w, uint32_t n)
{
	if (w->opt.attack == KP_SIM_ATTACK_coldboot && n == 0)
		return SYBIL_HEADSTART;
	if (w->opt.attack == KP_SIM_ATTACK_eclipse && n >= sim_honest(w) + SYBIL_KNOWN)
		return kp_rng_below(&w->rng, SYBIL_ARRIVE);
	return 0;
}

/* So that they are also among the peers that it dialled itself, of which a mesh keeps some. */
uint32_t sim_sybil_known(const sim_world *w, uint32_t n, uint32_t k)
{
	bool knows = w->opt.attack == KP_SIM_ATTACK_eclipse ? n == SYBIL_TARGET : n > 0;
	if (w->opt.attack == KP_SIM_ATTACK_none || !sybil_kind_of(w).places || !knows ||
	    k >= KP_MIN(SYBIL_KNOWN, w->opt.attackers) || w->opt.broken == KP_SIM_BREAK_idle)
		return UINT32_MAX;
	if (w->opt.attack == KP_SIM_ATTACK_eclipse)
		n = 0;
	return sim_honest(w) + (n * SYBIL_KNOWN + k) % w->opt.attackers;
}

bool sim_sybil_measured(const sim_world *w, uint32_t from, uint32_t n)
{
	return w->opt.attack != KP_SIM_ATTACK_eclipse || from == SYBIL_TARGET || n == SYBIL_TARGET;
}

/* Whom attacker n connects to, k from 0 up: the half of the honest nodes that begins at its own
 * number. UINT32_MAX past the end. Some of `eclipse` wait to be dialled. */
static uint32_t sybil_target(const sim_world *w, uint32_t n, uint32_t k)
{
	uint32_t honest = sim_honest(w);
	if (w->opt.attack == KP_SIM_ATTACK_eclipse)
		return k == 0 && n >= honest + SYBIL_KNOWN ? SYBIL_TARGET : UINT32_MAX;
	return k < honest / 2 ? (n + k) % honest : UINT32_MAX;
}

/* --- a router that takes every place ----------------------------------------------------------
 */

kp_err sim_sybil_config(const sim_world *w, kp_config *cfg, uint32_t n)
{
	static const struct {
		const char *key, *value;
	} greedy[] = {{"gossipsub.d_high", "200"},     {"gossipsub.d", "100"},
	              {"gossipsub.d_low", "100"},      {"gossipsub.d_score", "0"},
	              {"gossipsub.d_out", "0"},        {"gossipsub.d_lazy", "0"},
	              {"gossipsub.gossip_factor", "0"}};
	char text[SIM_ADDRESS_MAX];
	uint32_t target;
	/* it lives for its targets alone, and nobody finds it by Kademlia */
	kp_err r = sim_node_set(cfg, "kad.mode", "off");
	if (r == KP_OK)
		r = sim_node_set(cfg, "score", "off");
	for (size_t i = 0; sybil_kind_of(w).places && i < KP_COUNT_OF(greedy) && r == KP_OK; i++)
		r = sim_node_set(cfg, greedy[i].key, greedy[i].value);
	for (uint32_t k = 0; r == KP_OK && w->opt.broken != KP_SIM_BREAK_idle &&
	                     (target = sybil_target(w, n, k)) != UINT32_MAX;
	     k++) {
		sim_node_address_text(w, target, text);
		r = sim_node_set(cfg, "bootstrap", text);
	}
	return r;
}

void sim_sybil_started(sim_world *w, uint32_t n)
{
	bool drops = sybil_kind_of(w).places;
	kp_request r = {KP_OP_SUBSCRIBE,
	                kp_slice_str(SIM_TOPIC),
	                kp_slice_str(drops ? "validate=1" : ""),
	                0,
	                KP_NEVER,
	                NULL};
	kp_engine_request(w->nodes[n].engine, w->now, &r);
}

void sim_sybil_validate(sim_world *w, uint32_t n, int64_t token)
{
	if (w->opt.attack == KP_SIM_ATTACK_covertflash && w->now < sim_fault_begin(w))
		(void)kp_engine_verdict(w->nodes[n].engine, w->now, token, KP_ACCEPT);
}

/* --- spam ----------------------------------------------------------------------------------------
 */

/* Ids that nobody has: each IHAVE is a promise that is broken. */
static kp_slice sybil_ihave(sim_world *w, kp_rpc_builder *b)
{
	uint8_t bytes[SYBIL_PROMISES][32];
	kp_slice ids[SYBIL_PROMISES];
	for (unsigned twice = 0; twice < 2; twice++) {
		kp_rng_fill(&w->rng, bytes, sizeof bytes);
		for (uint32_t i = 0; i < SYBIL_PROMISES; i++)
			ids[i] = kp_slice_of(bytes[i], sizeof bytes[i]);
		size_t put = kp_rpc_put_ihave(b, kp_slice_str(SIM_TOPIC), ids, SYBIL_PROMISES);
		KP_ASSERT(put == SYBIL_PROMISES);
	}
	return kp_rpc_end(b);
}

/* Out of the mesh and in again. */
static kp_slice sybil_graft(kp_rpc_builder *b)
{
	kp_rpc_prune prune = {.topic = kp_slice_str(SIM_TOPIC)};
	bool put = kp_rpc_put_prune(b, &prune);
	for (unsigned i = 0; put && i < SYBIL_GRAFTS; i++)
		put = kp_rpc_put_graft(b, kp_slice_str(SIM_TOPIC));
	KP_ASSERT(put);
	return kp_rpc_end(b);
}

/* Of its own name, with a signature that is none. */
static kp_slice sybil_forgery(sim_world *w, uint32_t n, uint8_t *buf)
{
	uint8_t random[8 + 64];
	kp_slice frame;
	kp_rng_fill(&w->rng, random, sizeof random);
	kp_rpc_publish m = {.from = kp_peer_id_slice(&w->nodes[n].peer),
	                    .seqno = kp_slice_of(random, 8),
	                    .topic = kp_slice_str(SIM_TOPIC),
	                    .signature = kp_slice_of(random + 8, 64),
	                    .data_n = 16};
	memcpy(buf + KP_RPC_PUBLISH_HEADROOM, random, m.data_n);
	kp_rpc_publish_frame(&m, buf + KP_RPC_PUBLISH_HEADROOM, &frame, NULL);
	return frame;
}

/* To all targets that it is connected to, as a direct message: the frame without its prefix. */
static void sybil_say(sim_world *w, uint32_t n, kp_slice frame)
{
	char to[KP_PEER_ID_TEXT_MAX + sizeof SYBIL_PROTOCOL];
	uint32_t target;
	while ((frame.p[0] & 0x80) != 0)
		kp_slice_take(&frame, 1);
	kp_slice_take(&frame, 1);
	for (uint32_t k = 0; (target = sybil_target(w, n, k)) != UINT32_MAX; k++) {
		size_t id_n = kp_peer_id_text(&w->nodes[target].peer, to);
		memcpy(to + id_n + 1, SYBIL_PROTOCOL, sizeof SYBIL_PROTOCOL - 1);
		to[id_n] = '\0';
		kp_slice name = kp_slice_of(to, id_n + sizeof SYBIL_PROTOCOL);
		kp_pub *p = kp_pub_new(w->nodes[n].pool, name, frame, 0);
		if (p != NULL)
			kp_engine_send(w->nodes[n].engine, w->now, p);
	}
}

static void sybil_spam_one(sim_world *w, uint32_t n)
{
	uint8_t buf[SYBIL_RPC_MAX];
	kp_rpc_builder b;
	kp_rpc_begin(&b, buf, sizeof buf, sizeof buf);
	switch (w->opt.attack) {
	case KP_SIM_ATTACK_ihavespam:
		sybil_say(w, n, sybil_ihave(w, &b));
		break;
	case KP_SIM_ATTACK_graftflood:
		sybil_say(w, n, sybil_graft(&b));
		break;
	default:
		for (unsigned i = 0; i < SYBIL_FORGERIES; i++)
			sybil_say(w, n, sybil_forgery(w, n, buf));
		break;
	}
}

/* Three honest nodes connect to the target. */
static void sybil_find_target(sim_world *w)
{
	char text[SIM_ADDRESS_MAX];
	sim_node_address_text(w, SYBIL_TARGET, text);
	kp_request r = {KP_OP_CONNECT, kp_slice_str(text), kp_slice_none(), 0, KP_NEVER, NULL};
	for (uint32_t n = SYBIL_TARGET + 1; n <= SYBIL_TARGET + 3; n++) {
		kp_engine_request(w->nodes[n].engine, w->now, &r);
		sim_node_pump(w, n);
	}
}

void sim_sybil_act(sim_world *w)
{
	if (w->opt.attack == KP_SIM_ATTACK_eclipse) {
		sybil_find_target(w);
		return;
	}
	for (uint32_t n = sim_honest(w); n < w->opt.nodes; n++) {
		if (w->nodes[n].engine == NULL || w->nodes[n].leaving)
			continue;
		sybil_spam_one(w, n);
		sim_node_pump(w, n);
	}
	sim_at(w, w->now + SYBIL_BEAT, (sim_event){.kind = SIM_ATTACK});
}

/* --- what it does to the honest
 * -------------------------------------------------------------------
 */

static uint64_t sybil_served(const sim_world *w)
{
	kp_stat stat = sybil_kind_of(w).served;
	if (w->opt.attack == KP_SIM_ATTACK_none || stat == KP_STAT_COUNT)
		return 0;
	uint64_t sum = w->stats.v[stat];
	for (uint32_t n = 0; n < sim_honest(w); n++)
		if (w->nodes[n].engine != NULL)
			sum += kp_engine_env(w->nodes[n].engine)->stats->v[stat];
	return sum;
}

static kp_time sybil_begin(const sim_world *w)
{
	if (w->opt.attack == KP_SIM_ATTACK_covertflash)
		return sim_fault_begin(w);
	return sybil_kind_of(w).places ? 0 : w->opt.duration / 4;
}

/* Is attacker a in the mesh of node n? */
static bool sybil_has_place(const sim_world *w, uint32_t n, uint32_t a)
{
	kp_slice topic;
	bool in;
	return w->nodes[n].engine != NULL &&
	       kp_gs_peer_topic_at(kp_engine_gs(w->nodes[n].engine), &w->nodes[a].peer, 0, &topic,
	                           &in) &&
	       in;
}

static unsigned sybil_places(sim_world *w)
{
	unsigned limit = w->opt.expect.place_s, places = 0;
	for (uint32_t n = 0; n < sim_honest(w); n++) {
		for (uint32_t a = sim_honest(w); a < w->opt.nodes; a++) {
			uint8_t *held = &w->held[n * w->opt.attackers + a - sim_honest(w)];
			bool in = sybil_has_place(w, n, a);
			places += in;
			*held = in && *held < UINT8_MAX ? (uint8_t)(*held + in) : in ? *held : 0;
			if (limit > 0 && *held > limit)
				sim_check_fail(
				        &w->check,
				        "node %u has had attacker %u in its mesh for %u s at "
				        "%.0f s",
				        n, a, *held, (double)w->now / 1e9);
		}
	}
	return places;
}

void sim_sybil_sample(sim_world *w)
{
	if (w->opt.attack == KP_SIM_ATTACK_none || w->now < sybil_begin(w))
		return;
	unsigned places = sybil_places(w);
	w->attacked |= sybil_kind_of(w).places ? places > 0 : sybil_served(w) > 0;
	if (w->now < sim_late(w)) {
		w->served_before = sybil_served(w);
		return;
	}
	w->meshed += places;
	w->samples++;
}

void sim_sybil_end(sim_world *w, kp_sim_report *r)
{
	if (w->opt.attack == KP_SIM_ATTACK_none)
		return;
	r->attackers_meshed = w->samples ? (double)w->meshed / (double)w->samples : 0;
	r->served = sybil_served(w) - w->served_before;
	if (w->opt.expect.struck && !w->attacked)
		sim_check_fail(&w->check, "the attack never struck");
}

kp_err sim_sybil_plan(sim_world *w)
{
	bool eclipse = w->opt.attack == KP_SIM_ATTACK_eclipse;
	if (w->opt.attack == KP_SIM_ATTACK_none)
		return KP_OK;
	w->held = kp_mem_alloc(&w->mem, w->opt.nodes * w->opt.attackers + 1u);
	if (w->held == NULL)
		return KP_E_NOMEM;
	if ((eclipse || !sybil_kind_of(w).places) && w->opt.broken != KP_SIM_BREAK_idle)
		sim_at(w, eclipse ? w->now + SYBIL_HEADSTART : sybil_begin(w),
		       (sim_event){.kind = SIM_ATTACK});
	return KP_OK;
}
