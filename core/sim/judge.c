/* What is judged of a whole network: each second its meshes, routing tables and memory, at its end
 * what was delivered, after its end what it left behind. */
#include "sim/world.h"

#include <stdio.h>

#define JUDGE_SETTLE    KP_SEC(10) /* a message counts for nodes that were up this long before it */
#define JUDGE_END_GRACE KP_SEC(10) /* and this long after it */
#define JUDGE_MESH_UP   KP_SEC(30) /* a mesh is judged once its node has been up this long */
#define JUDGE_MESH_OVER 2u         /* samples in a row that may be above D_high */
/* Below D_low it may take until back-offs of a minute have run out. */
#define JUDGE_MESH_UNDER 75u
#define JUDGE_TABLES     10u /* seconds between two looks at routing tables */
#define JUDGE_LOOKUPS    2u  /* and between two lookups */
#define JUDGE_EVENT_ROOM 512u

/* --- each second
 * ---------------------------------------------------------------------------------- */

static void judge_mesh(sim_world *w, uint32_t n)
{
	sim_node *node = &w->nodes[n];
	kp_gs_params params = kp_gs_params_default();
	kp_gs_topic_info topic;
	if (!w->opt.expect.mesh || sim_sybil_is(w, n) || w->now < node->up_since + JUDGE_MESH_UP ||
	    node->leaving || sim_fault_excuses(w, n, w->now) ||
	    !kp_engine_topic_at(node->engine, 0, &topic))
		return;
	bool over = topic.mesh > params.d_high;
	bool under = topic.mesh < KP_MIN(params.d_low, topic.subscribers) || topic.subscribers == 0;
	node->mesh_off = over || under ? node->mesh_off + 1 : 0;
	if (node->mesh_off > (over ? JUDGE_MESH_OVER : JUDGE_MESH_UNDER))
		sim_check_fail(&w->check,
		               "node %u has %zu of %zu subscribers in its mesh at %.0f s", n,
		               topic.mesh, topic.subscribers, (double)w->now / 1e9);
}

/* Is this an address of machine n? */
static bool judge_lives_at(const kp_maddr *addr, uint32_t n)
{
	kp_slice rest = kp_maddr_slice(addr);
	kp_maddr_part part;
	uint8_t ip[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	return kp_maddr_next(&rest, &part) && part.code == KP_MADDR_IP4 &&
	       memcmp(part.value.p, ip, sizeof ip) == 0;
}

/* Only peers that exist, where they live. */
static void judge_table(sim_world *w, uint32_t n)
{
	kp_kad_entry entry;
	char text[KP_PEER_ID_TEXT_MAX];
	for (size_t i = 0; kp_engine_route_at(w->nodes[n].engine, i, &entry); i++) {
		uint32_t who = w->opt.broken == KP_SIM_BREAK_believe ? 2 : 0;
		while (who < w->opt.nodes && !kp_peer_id_eq(&w->nodes[who].peer, &entry.peer))
			who++;
		bool good = who < w->opt.nodes && who != n;
		for (size_t k = 0; good && k < entry.n_addrs; k++)
			good = judge_lives_at(&entry.addrs[k], who);
		if (good)
			continue;
		kp_peer_id_text(&entry.peer, text);
		sim_check_fail(&w->check, "node %u believes in peer %s", n, text);
	}
}

static void judge_memory(sim_world *w, uint32_t n)
{
	sim_node *node = &w->nodes[n];
	uint64_t limit = w->opt.expect.memory, peak = kp_pool_mem(node->pool)->peak;
	if (limit > 0 && peak > limit && !sim_sybil_is(w, n))
		sim_check_fail(&w->check, "node %u needed %llu bytes, more than %llu", n,
		               (unsigned long long)peak, (unsigned long long)limit);
}

/* What the honest think of each other. */
static void judge_scores(sim_world *w, uint32_t n)
{
	const kp_gs *gs = kp_engine_gs(w->nodes[n].engine);
	double floor = w->opt.expect.fair;
	for (uint32_t i = 0; i < sim_honest(w); i++) {
		kp_gs_score_info info;
		if (!kp_gs_peer_score(gs, &w->nodes[i].peer, &info))
			continue;
		w->worst_honest = KP_MIN(w->worst_honest, info.score);
		if (floor < 0 && info.score < floor)
			sim_check_fail(&w->check, "node %u is worth %.1f to node %u at %.0f s", i,
			               info.score, n, (double)w->now / 1e9);
	}
}

/* An honest node that has had time to settle. */
static bool judge_is_settled(const sim_world *w, uint32_t n)
{
	const sim_node *node = &w->nodes[n];
	return node->engine != NULL && !node->leaving && w->now >= node->up_since + JUDGE_SETTLE &&
	       !sim_fault_hurts(w, KP_SIM_FAULT_liars, n);
}

/* One honest node asks Kademlia for another, to which it is not connected. */
static void judge_lookup(sim_world *w)
{
	char id[KP_PEER_ID_TEXT_MAX];
	kp_gs_score_info info;
	for (int tries = 0; tries < 16; tries++) {
		uint32_t n = (uint32_t)kp_rng_below(&w->rng, sim_honest(w));
		uint32_t to = (uint32_t)kp_rng_below(&w->rng, sim_honest(w));
		if (n == to || !judge_is_settled(w, n) || !judge_is_settled(w, to) ||
		    kp_gs_peer_score(kp_engine_gs(w->nodes[n].engine), &w->nodes[to].peer, &info))
			continue;
		kp_event *done = kp_event_new(w->nodes[n].pool, KP_EV_COMPLETE, JUDGE_EVENT_ROOM);
		if (done == NULL)
			return;
		w->asked++;
		done->token = (int64_t)(w->asked << 16 | to);
		size_t id_n = kp_peer_id_text(&w->nodes[to].peer, id);
		kp_request r = {KP_OP_DHT_FIND_PEER,
		                kp_slice_of(id, id_n),
		                kp_slice_none(),
		                done->token,
		                KP_NEVER,
		                done};
		kp_engine_request(w->nodes[n].engine, w->now, &r);
		sim_node_pump(w, n);
		return;
	}
}

void sim_judge_found(sim_world *w, const kp_event *ev)
{
	uint32_t to = (uint32_t)(ev->token & 0xffff);
	char text[SIM_ADDRESS_MAX];
	if (w->opt.expect.found <= 0 || ev->token == 0 || w->stopping)
		return;
	if (w->opt.broken == KP_SIM_BREAK_mistake)
		to = (to + 1) % w->opt.nodes;
	sim_node_address_text(w, to, text);
	kp_slice told = ev->f[KP_F_ADDR];
	if (told.n > 0 && told.n < strlen(text) && memcmp(told.p, text, told.n) == 0 &&
	    text[told.n] == '/')
		w->right = ev->token;
	if (ev->flags & KP_EVF_MORE)
		return;
	w->answered++;
	w->found += w->right == ev->token;
}

void sim_judge_sample(sim_world *w)
{
	bool tables = sim_has(w, KP_SIM_FAULT_liars) && w->now / KP_SEC(1) % JUDGE_TABLES == 0;
	for (uint32_t n = 0; n < w->opt.nodes; n++) {
		if (w->nodes[n].engine == NULL)
			continue;
		sim_node_take(w, n);
		judge_mesh(w, n);
		judge_memory(w, n);
		if (tables)
			judge_table(w, n);
		if (!sim_sybil_is(w, n) && (w->opt.expect.fair < 0 || w->opt.attackers > 0))
			judge_scores(w, n);
	}
	if (w->opt.expect.found > 0 && w->now / KP_SEC(1) % JUDGE_LOOKUPS == 0)
		judge_lookup(w);
	sim_sybil_sample(w);
	sim_at(w, w->now + KP_SEC(1), (sim_event){.kind = SIM_SAMPLE});
}

/* --- at the end
 * ----------------------------------------------------------------------------------- */

static void judge_degree(const sim_world *w, kp_sim_report *r)
{
	uint64_t mesh = 0, conns = 0, up = 0;
	r->mesh_min = UINT32_MAX;
	for (uint32_t i = 0; i < sim_honest(w); i++) {
		const kp_engine *e = w->nodes[i].engine;
		kp_gs_topic_info topic;
		if (e == NULL || w->nodes[i].leaving || !kp_engine_topic_at(e, 0, &topic))
			continue;
		up++;
		mesh += topic.mesh;
		conns += kp_engine_conn_count(e);
		r->mesh_min = KP_MIN(r->mesh_min, (unsigned)topic.mesh);
		r->mesh_max = KP_MAX(r->mesh_max, (unsigned)topic.mesh);
	}
	if (up == 0)
		r->mesh_min = 0;
	r->mesh_mean = up ? (double)mesh / (double)up : 0;
	r->conns_mean = up ? (double)conns / (double)up : 0;
}

/* Was the author alive long enough for its message to have left? */
static bool judge_left(const sim_world *w, const sim_message *m)
{
	const sim_node *from = &w->nodes[m->from];
	if (!m->sent || from->up_since > m->at || m->at + JUDGE_END_GRACE > w->now)
		return false;
	if (from->engine == NULL || from->leaving)
		return false;
	return !sim_fault_excuses(w, m->from, m->at);
}

/* Was it up from settle before the message to the end, and could it be reached? */
static bool judge_counts(const sim_world *w, const sim_message *m, uint32_t n)
{
	const sim_node *node = &w->nodes[n];
	return n != m->from && sim_sybil_measured(w, m->from, n) && node->engine != NULL &&
	       !node->leaving && node->up_since + JUDGE_SETTLE <= m->at &&
	       !sim_fault_excuses(w, n, m->at);
}

static void judge_lookups(sim_world *w, kp_sim_report *r)
{
	double share = w->opt.expect.found;
	r->lookups = w->answered;
	r->found = w->found;
	if (share > 0 && w->answered == 0)
		sim_check_fail(&w->check, "nobody had to be looked for");
	if ((double)w->found < share * (double)w->answered)
		sim_check_fail(&w->check, "%llu of %llu lookups named the right address",
		               (unsigned long long)w->found, (unsigned long long)w->answered);
}

void sim_judge_end(sim_world *w, kp_sim_report *r)
{
	judge_degree(w, r);
	for (uint32_t i = 0; i < w->check.n; i++) {
		const sim_message *m = &w->check.messages[i];
		r->published += m->sent ? 1 : 0;
		if (!judge_left(w, m))
			continue;
		for (uint32_t n = 0; n < sim_honest(w); n++)
			if (judge_counts(w, m, n))
				sim_check_expected(&w->check, n, i, m->at >= sim_late(w),
				                   &w->opt.expect, r);
	}
	sim_check_figures(&w->check, &w->opt.expect, r);
	sim_sybil_end(w, r);
	r->worst_honest = w->worst_honest;
	judge_lookups(w, r);
}

void sim_judge_stopped(sim_world *w, kp_sim_report *r)
{
	static const struct {
		unsigned bit;
		const char *name;
	} faults[] = {
#define JUDGE_FAULT(name, bit, text) {bit, #name},
	        KP_SIM_FAULTS(JUDGE_FAULT)
#undef JUDGE_FAULT
	};
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		r->bytes += w->nodes[i].bytes;
		if (!sim_sybil_is(w, i))
			r->memory_peak = KP_MAX(r->memory_peak, w->nodes[i].memory_peak);
	}
	r->stats = w->stats;
	sim_check_repeats(&w->check, w->stats.v[KP_STAT_seen_evicted]);
	uint64_t received = w->stats.v[KP_STAT_received];
	r->duplicates_per_message =
	        received ? (double)w->stats.v[KP_STAT_duplicates] / (double)received : 0;
	for (size_t i = 0; w->opt.expect.struck && i < KP_COUNT_OF(faults); i++)
		if (w->opt.faults & ~w->struck & faults[i].bit)
			sim_check_fail(&w->check, "the fault %s never struck", faults[i].name);
}
