/* One node of the simulation: an engine, and what its actions mean in the simulated world. */
#include "sim/world.h"

#include <stdio.h>

#define NODE_PUMP_MAX    1000000u /* actions of one pump; more is an endless loop */
#define NODE_WALL_START  INT64_C(1700000000000000000)
#define NODE_INBOX_MAX   64u /* events that wait for an application that takes none */
#define NODE_MESSAGE_MAX 57000u

/* 10.x.y.z, one address a node; a restarted node takes another port. */
static void node_address(uint32_t n, uint32_t life, kp_addr *out)
{
	memset(out, 0, sizeof *out);
	out->family = 4;
	out->ip[0] = 10;
	out->ip[1] = (uint8_t)(n >> 16);
	out->ip[2] = (uint8_t)(n >> 8);
	out->ip[3] = (uint8_t)n;
	out->port = (uint16_t)(4000 + life);
}

void sim_node_address_text(const sim_world *w, uint32_t n, char out[SIM_ADDRESS_MAX])
{
	char id[KP_PEER_ID_TEXT_MAX];
	kp_addr a;
	node_address(n, 1, &a);
	kp_peer_id_text(&w->nodes[n].peer, id);
	snprintf(out, SIM_ADDRESS_MAX, "/ip4/%u.%u.%u.%u/tcp/%u/p2p/%s", a.ip[0], a.ip[1], a.ip[2],
	         a.ip[3], a.port, id);
}

kp_err sim_node_set(kp_config *cfg, const char *key, const char *value)
{
	char why[256];
	return kp_config_set(cfg, kp_slice_str(key), kp_slice_str(value), why, sizeof why);
}

static kp_err node_set_bootstrap(const sim_world *w, kp_config *cfg, uint32_t n, uint32_t other)
{
	char text[SIM_ADDRESS_MAX];
	if (other == n)
		return KP_OK;
	sim_node_address_text(w, other, text);
	return sim_node_set(cfg, "bootstrap", text);
}

/* The first node, which never moves; with `meet` also the next two on both sides; and attackers.
 * The node that is to be eclipsed knows only them. */
static kp_err node_set_bootstraps(const sim_world *w, kp_config *cfg, uint32_t n)
{
	uint32_t nodes = w->opt.nodes, known;
	bool alone = w->opt.attack == KP_SIM_ATTACK_eclipse && n == 1;
	kp_err r = alone ? KP_OK : node_set_bootstrap(w, cfg, n, 0);
	for (uint32_t k = 0; (known = sim_sybil_known(w, n, k)) != UINT32_MAX && r == KP_OK; k++)
		r = node_set_bootstrap(w, cfg, n, known);
	for (uint32_t i = 1; sim_has(w, KP_SIM_FAULT_meet) && i <= 2 && r == KP_OK; i++) {
		r = node_set_bootstrap(w, cfg, n, (n + i) % nodes);
		if (r == KP_OK)
			r = node_set_bootstrap(w, cfg, n, (n + nodes - i % nodes) % nodes);
	}
	return r;
}

/* How the honest keep scores. docs/scoring.md recommends the line of P3. With an attack own
 * messages go to the mesh alone: flooding them would hide what it is worth. */
static kp_err node_set_scores(const sim_world *w, kp_config *cfg, uint32_t n)
{
	static const struct {
		kp_sim_score score;
		const char *key, *value;
	} ways[] = {{KP_SIM_SCORE_off, "score", "off"},
	            {KP_SIM_SCORE_full, "score", "full"},
	            {KP_SIM_SCORE_full, "score.topic",
	             SIM_TOPIC " mesh_message_deliveries_weight=-1"
	                       " mesh_message_deliveries_decay=0.95"
	                       " mesh_message_deliveries_threshold=8"
	                       " mesh_message_deliveries_window=500ms"
	                       " mesh_message_deliveries_activation=10s"
	                       " mesh_failure_penalty_weight=-1"
	                       " mesh_failure_penalty_decay=0.95"},
	            {KP_SIM_SCORE_rust, "score", "full"},
	            {KP_SIM_SCORE_rust, "score.behaviour_weight", "-10"},
	            {KP_SIM_SCORE_rust, "score.behaviour_threshold", "0"},
	            {KP_SIM_SCORE_rust, "score.behaviour_decay", "0.2"},
	            {KP_SIM_SCORE_rust, "score.promises", "each"},
	            {KP_SIM_SCORE_rust, "score.slow_weight", "-0.2"},
	            {KP_SIM_SCORE_rust, "score.decay_to_zero", "0.1"},
	            {KP_SIM_SCORE_rust, "score.topic_score_cap", "3600"},
	            {KP_SIM_SCORE_rust, "score.opportunistic_graft_threshold", "20"},
	            {KP_SIM_SCORE_rust, "score.topic.topic_weight", "0"}};
	kp_sim_score score = w->opt.score;
	kp_err r = KP_OK;
	if (w->opt.broken == KP_SIM_BREAK_same || sim_broken(w, KP_SIM_BREAK_indulge, n))
		score = KP_SIM_SCORE_off;
	for (size_t i = 0; i < KP_COUNT_OF(ways) && r == KP_OK; i++)
		if (score == ways[i].score)
			r = sim_node_set(cfg, ways[i].key, ways[i].value);
	if (r == KP_OK && w->opt.attack != KP_SIM_ATTACK_none)
		r = sim_node_set(cfg, "gossipsub.flood_publish", "false");
	return r;
}

/* KP_SIM_BREAK_slander. */
static kp_err node_set_slander(const sim_world *w, kp_config *cfg)
{
	char text[KP_PEER_ID_TEXT_MAX + 8];
	size_t n = kp_peer_id_text(&w->nodes[2].peer, text);
	snprintf(text + n, sizeof text - n, " -100");
	return sim_node_set(cfg, "score.app", text);
}

/* What is wrong on purpose with this node's configuration. */
static kp_err node_set_broken(const sim_world *w, kp_config *cfg, uint32_t n)
{
	static const struct {
		kp_sim_break what;
		const char *key, *value;
	} wrong[] = {{KP_SIM_BREAK_overmesh, "gossipsub.d_high", "64"},
	             {KP_SIM_BREAK_overmesh, "gossipsub.d", "32"},
	             {KP_SIM_BREAK_overmesh, "gossipsub.d_low", "24"},
	             {KP_SIM_BREAK_undermesh, "gossipsub.d_out", "0"},
	             {KP_SIM_BREAK_undermesh, "gossipsub.d_score", "0"},
	             {KP_SIM_BREAK_undermesh, "gossipsub.d_low", "0"},
	             {KP_SIM_BREAK_undermesh, "gossipsub.d", "1"},
	             {KP_SIM_BREAK_undermesh, "gossipsub.d_high", "1"}};
	kp_err r = KP_OK;
	if (sim_broken(w, KP_SIM_BREAK_slander, n))
		r = node_set_slander(w, cfg);
	for (size_t i = 0; i < KP_COUNT_OF(wrong) && r == KP_OK; i++)
		if (sim_broken(w, wrong[i].what, n))
			r = sim_node_set(cfg, wrong[i].key, wrong[i].value);
	return r;
}

static kp_err node_honest_config(const sim_world *w, kp_config *cfg, uint32_t n)
{
	kp_err r = sim_node_set(cfg, "topic", SIM_TOPIC);
	if (r == KP_OK && sim_fault_hurts(w, KP_SIM_FAULT_liars, n))
		r = sim_node_set(cfg, "kad.mode", "client"); /* liar.c serves it instead */
	if (r == KP_OK && w->opt.max_conns > 0) {
		char text[16];
		snprintf(text, sizeof text, "%u", w->opt.max_conns);
		r = sim_node_set(cfg, "max_connections", text);
	}
	if (r == KP_OK)
		r = node_set_bootstraps(w, cfg, n);
	if (r == KP_OK)
		r = node_set_scores(w, cfg, n);
	if (r == KP_OK)
		r = node_set_broken(w, cfg, n);
	return r;
}

static kp_config *node_config(const sim_world *w, uint32_t n, const char *identity)
{
	const kp_addr *a = &w->nodes[n].addr;
	char listen[64];
	kp_config *cfg = kp_config_new();
	if (cfg == NULL)
		return NULL;
	snprintf(listen, sizeof listen, "/ip4/%u.%u.%u.%u/tcp/%u", a->ip[0], a->ip[1], a->ip[2],
	         a->ip[3], a->port);
	kp_err r = sim_node_set(cfg, "listen", listen);
	if (r == KP_OK)
		r = sim_node_set(cfg, "identity", identity);
	if (sim_sybil_is(w, n) && r == KP_OK)
		r = sim_sybil_config(w, cfg, n);
	else if (r == KP_OK)
		r = node_honest_config(w, cfg, n);
	if (r == KP_OK)
		return cfg;
	kp_config_free(cfg);
	return NULL;
}

static kp_err node_new_engine(sim_world *w, sim_node *node, uint32_t n)
{
	char why[256], text[KP_IDENTITY_TEXT_MAX];
	uint8_t seed[32], secret[32];
	kp_identity identity;
	kp_rng_fill(&w->rng, seed, sizeof seed);
	kp_rng_fill(&w->rng, secret, sizeof secret);
	node->pool = kp_pool_new(0);
	node->crypto = w->memo ? kp_crypto_new_memo(secret, w->memo) : kp_crypto_new(secret);
	if (node->pool == NULL || node->crypto == NULL)
		return KP_E_NOMEM;
	kp_identity_from_seed(node->crypto, node->seed, &identity);
	KP_ASSERT(kp_peer_id_eq(&node->peer, &identity.id));
	kp_identity_text(&identity, text);
	kp_config *cfg = node_config(w, n, text);
	if (cfg == NULL)
		return KP_E_NOMEM;
	kp_err r = kp_engine_new(cfg, seed, node->pool, node->crypto, w->now,
	                         NODE_WALL_START + (int64_t)w->now + node->skew_ns, &node->engine,
	                         why, sizeof why);
	kp_config_free(cfg);
	if (r != KP_OK)
		sim_check_fail(&w->check, "node %u cannot be made: %s", n, why);
	return r;
}

kp_err sim_node_start(sim_world *w, uint32_t n)
{
	sim_node *node = &w->nodes[n];
	if (node->leaving && node->engine != NULL && kp_engine_stopped(node->engine))
		sim_node_free(w, n); /* nothing has happened to it since */
	if (node->engine != NULL || node->dead)
		return KP_OK;
	node->life++;
	node_address(n, node->life, &node->addr);
	kp_err r = node_new_engine(w, node, n);
	if (r != KP_OK)
		return r;
	node->up_since = w->now;
	node->tick_at = KP_NEVER;
	node->accept_paused = false;
	node->leaving = false;
	node->silent = false;
	node->mesh_off = 0;
	if (sim_fault_hurts(w, KP_SIM_FAULT_liars, n))
		r = sim_liar_new(w, n);
	kp_engine_start(node->engine, w->now);
	if (sim_sybil_is(w, n))
		sim_sybil_started(w, n);
	sim_node_pump(w, n);
	return r;
}

/* --- events to the application -------------------------------------------------------------------
 */

static void node_message(sim_world *w, uint32_t n, uint64_t message)
{
	const sim_node *node = &w->nodes[n];
	kp_time now = w->now;
	if (sim_sybil_is(w, n))
		return;
	if (sim_broken(w, KP_SIM_BREAK_lose, n) && message % 10 == 0)
		return;
	if (sim_broken(w, KP_SIM_BREAK_late, n))
		now += KP_SEC(30);
	if (sim_broken(w, KP_SIM_BREAK_invent, n))
		message += UINT64_C(1) << 40;
	if (sim_broken(w, KP_SIM_BREAK_own, n))
		n = w->check.messages[message].from;
	sim_check_delivered(&w->check, now, n, node->life, message);
	if (sim_broken(w, KP_SIM_BREAK_twice, n))
		sim_check_delivered(&w->check, now, n, node->life, message);
}

static void node_take_one(sim_world *w, uint32_t n, bool seen)
{
	sim_node *node = &w->nodes[n];
	kp_event *ev = node->inbox;
	kp_slice payload = ev->f[KP_F_PAYLOAD];
	uint64_t message = 0;
	node->inbox = ev->next;
	if (node->inbox == NULL)
		node->inbox_tail = NULL;
	node->n_inbox--;
	if (seen && ev->type == KP_EV_MESSAGE) {
		KP_ASSERT(payload.n >= sizeof message);
		memcpy(&message, payload.p, sizeof message);
		node_message(w, n, message);
	}
	if (ev->type == KP_EV_COMPLETE)
		sim_judge_found(w, ev);
	if (seen && ev->type == KP_EV_VALIDATE)
		sim_sybil_validate(w, n, ev->token);
	kp_event_free(ev);
}

void sim_node_take(sim_world *w, uint32_t n)
{
	if (sim_fault_hurts(w, KP_SIM_FAULT_fullbox, n) && sim_fault_now(w) &&
	    w->opt.broken != KP_SIM_BREAK_idle)
		return;
	while (w->nodes[n].n_inbox > 0)
		node_take_one(w, n, true);
}

/* Policy drop_old: the newest event always has a place. */
static void node_on_event(sim_world *w, uint32_t n, kp_event *ev)
{
	sim_node *node = &w->nodes[n];
	sim_mix(w, ev->type, (uint64_t)ev->code);
	ev->next = NULL;
	if (node->inbox_tail != NULL)
		node->inbox_tail->next = ev;
	else
		node->inbox = ev;
	node->inbox_tail = ev;
	node->n_inbox++;
	sim_node_take(w, n);
	if (node->n_inbox > NODE_INBOX_MAX && w->opt.broken != KP_SIM_BREAK_hoard) {
		w->struck |= KP_SIM_FAULT_fullbox;
		node_take_one(w, n, false);
	}
}

/* --- actions
 * -------------------------------------------------------------------------------------- */

static void node_listen(sim_world *w, uint32_t n, const kp_act *act)
{
	kp_engine_on_listening(w->nodes[n].engine, w->now, act->id, &act->u.addr, &act->u.addr, 1,
	                       KP_OK);
}

/* Job results come back after a drawn time, so that their order differs from that of asking. */
static void node_job(sim_world *w, uint32_t n, kp_job *job)
{
	kp_time slow = sim_has(w, KP_SIM_FAULT_jobs) ? KP_MS(50) : KP_US(300);
	w->struck |= w->opt.faults & (unsigned)KP_SIM_FAULT_jobs;
	job->run(job);
	sim_at(w, w->now + KP_US(50) + kp_rng_below(&w->rng, slow),
	       (sim_event){.kind = SIM_JOB, .node = n, .life = w->nodes[n].life, .job = job});
}

static void node_close(sim_world *w, uint32_t n, kp_id id)
{
	uint32_t index;
	if (sim_ep_of(w, n, id, &index) == NULL)
		sim_check_fail(&w->check, "node %u closes connection %u.%u, which is closed", n,
		               id.slot, id.gen);
	else if (!sim_broken(w, KP_SIM_BREAK_socket, n))
		sim_link_close(w, index);
	if (!sim_broken(w, KP_SIM_BREAK_stuck, n))
		kp_engine_on_closed(w->nodes[n].engine, w->now, id, KP_OK);
}

static void node_act_on_link(sim_world *w, uint32_t n, const kp_act *act)
{
	uint32_t index;
	sim_ep *ep = sim_ep_of(w, n, act->id, &index);
	if (ep == NULL) {
		sim_check_fail(&w->check, "node %u acts (%d) on connection %u.%u, which is closed",
		               n, (int)act->kind, act->id.slot, act->id.gen);
		return;
	}
	switch (act->kind) {
	case KP_ACT_WRITE:
		sim_link_write(w, index, act->u.data);
		break;
	case KP_ACT_SHUTDOWN_WR:
		sim_link_finish(w, index);
		break;
	default:
		ep->reading = true;
		sim_link_want_read(w, index);
		break;
	}
}

static void node_act(sim_world *w, uint32_t n, const kp_act *act)
{
	sim_node *node = &w->nodes[n];
	sim_mix(w, (uint64_t)act->kind << 32 | n, (uint64_t)act->id.slot << 32 | act->id.gen);
	switch (act->kind) {
	case KP_ACT_LISTEN:
		node_listen(w, n, act);
		break;
	case KP_ACT_RESOLVE:
		kp_engine_on_resolved(node->engine, w->now, act->id, NULL, 0, KP_E_NOTFOUND);
		break;
	case KP_ACT_DIAL:
		if (sim_link_dial(w, n, act->id, &act->u.addr) != KP_OK)
			w->failed = KP_E_NOMEM;
		break;
	case KP_ACT_CLOSE:
		node_close(w, n, act->id);
		break;
	case KP_ACT_ACCEPT_PAUSE:
	case KP_ACT_ACCEPT_RESUME:
		node->accept_paused = act->kind == KP_ACT_ACCEPT_PAUSE;
		break;
	case KP_ACT_JOB:
		node_job(w, n, act->u.job);
		break;
	case KP_ACT_EVENT:
		node_on_event(w, n, act->u.event);
		break;
	case KP_ACT_NONE:
	case KP_ACT_UNLISTEN:
		break;
	default:
		node_act_on_link(w, n, act);
		break;
	}
}

/* The fault `nomem`, by the allocator that all of a node's memory comes from. */
static void node_arm_allocator(sim_world *w, uint32_t n)
{
	kp_mem *mem = kp_pool_mem(w->nodes[n].pool);
	if (!sim_fault_now(w) || w->opt.broken == KP_SIM_BREAK_idle) {
		mem->fail_at = mem->fail_every = 0;
	} else if (mem->fail_at == 0) {
		mem->fail_at = mem->calls + w->opt.fail_every;
		mem->fail_every = w->opt.fail_every;
	}
	if (mem->refused > 0)
		w->struck |= KP_SIM_FAULT_nomem;
}

void sim_node_pump(sim_world *w, uint32_t n)
{
	sim_node *node = &w->nodes[n];
	if (sim_has(w, KP_SIM_FAULT_nomem))
		node_arm_allocator(w, n);
	kp_act act;
	uint32_t done = 0;
	while (kp_engine_poll(node->engine, w->now, &act)) {
		node_act(w, n, &act);
		if (++done > NODE_PUMP_MAX) {
			sim_check_fail(&w->check, "node %u never stops acting (kind %d)", n,
			               act.kind);
			w->failed = KP_E_INTERNAL;
			return;
		}
	}
	kp_time at = kp_engine_deadline(node->engine);
	if (at == KP_NEVER || at == node->tick_at)
		return;
	at = KP_MAX(at, w->now);
	node->tick_at = at;
	sim_at(w, at, (sim_event){.kind = SIM_TICK, .node = n, .life = node->life});
}

/* --- load and life
 * -------------------------------------------------------------------------------- */

void sim_node_publish(sim_world *w, uint32_t n, uint32_t message)
{
	sim_node *node = &w->nodes[n];
	uint8_t payload[NODE_MESSAGE_MAX];
	uint64_t number = message;
	size_t size = KP_MIN(w->opt.size, sizeof payload);
	kp_rng_fill(&w->rng, payload, KP_MIN(size, 64)); /* content ids must differ */
	memcpy(payload, &number, sizeof number);
	if (size > 64)
		memset(payload + 64, 'x', size - 64);
	kp_pub *p = kp_pub_new(node->pool, kp_slice_str(SIM_TOPIC), kp_slice_of(payload, size), 0);
	if (p == NULL)
		return;
	if (!kp_engine_publish_ready(node->engine, w->now, p)) { /* back-pressure: not sent */
		kp_pub_free(p);
		return;
	}
	w->check.messages[message].sent = true;
	kp_engine_publish(node->engine, w->now, p);
}

/* What the engine holds that a life adds to the run's sums. */
static void node_count_life(sim_world *w, uint32_t n)
{
	sim_node *node = &w->nodes[n];
	const kp_stats *stats = kp_engine_env(node->engine)->stats;
	for (size_t i = 0; i < KP_STAT_COUNT && !sim_sybil_is(w, n); i++)
		w->stats.v[i] += stats->v[i];
	node->memory_peak = KP_MAX(node->memory_peak, kp_pool_mem(node->pool)->peak);
}

/* Frees a stopped engine and proves that every socket and every block came back. */
void sim_node_free(sim_world *w, uint32_t n)
{
	sim_node *node = &w->nodes[n];
	if (node->engine == NULL)
		return;
	sim_mix(w, kp_engine_env(node->engine)->trace->hash, n);
	while (node->n_inbox > 0)
		node_take_one(w, n, false);
	node_count_life(w, n);
	kp_engine_free(node->engine);
	node->engine = NULL;
	sim_liar_free(w, n);
	for (uint32_t slot = 0; slot < node->n_eps; slot++) {
		if (node->eps[slot] == UINT32_MAX)
			continue;
		sim_check_fail(&w->check, "node %u left a connection open", n);
		sim_link_drop(w, node->eps[slot]);
	}
	kp_block *kept = sim_broken(w, KP_SIM_BREAK_leak, n) ? kp_block_new(node->pool, 1) : NULL;
	if (kp_pool_blocks_live(node->pool) != 0)
		sim_check_fail(&w->check, "node %u leaked %llu blocks", n,
		               (unsigned long long)kp_pool_blocks_live(node->pool));
	kp_block_unref(kept);
	kp_pool_close(node->pool);
	node->crypto->ops->free(node->crypto);
	node->down_since = w->now;
}

void sim_node_stop(sim_world *w, uint32_t n)
{
	if (w->nodes[n].engine == NULL)
		return;
	w->nodes[n].leaving = true;
	kp_engine_stop(w->nodes[n].engine, w->now, KP_SEC(2));
	sim_node_pump(w, n);
}

static void node_cut_all(sim_world *w, uint32_t n, bool silent)
{
	sim_node *node = &w->nodes[n];
	for (uint32_t slot = 0; slot < node->n_eps; slot++) {
		if (node->eps[slot] == UINT32_MAX)
			continue;
		kp_id id = w->eps[node->eps[slot]].id;
		if (silent)
			sim_link_drop(w, node->eps[slot]);
		else
			sim_link_cut(w, node->eps[slot]);
		kp_engine_on_closed(node->engine, w->now, id, KP_E_UNREACHABLE);
	}
}

/* Jobs under way have been run already: the engine must have all of them back. */
static void node_return_jobs(sim_world *w, uint32_t n)
{
	const sim_node *node = &w->nodes[n];
	for (uint32_t i = 0; i < w->n_heap; i++) {
		sim_event *ev = &w->heap[i];
		if (ev->kind != SIM_JOB || ev->node != n || ev->life != node->life || !ev->job)
			continue;
		kp_engine_on_job_done(node->engine, w->now, ev->job);
		ev->job = NULL;
	}
}

/* The engine's last actions reach nobody. */
static void node_drain(sim_world *w, uint32_t n)
{
	kp_engine *e = w->nodes[n].engine;
	kp_act act;
	uint32_t done = 0;
	while (kp_engine_poll(e, w->now, &act) && ++done < NODE_PUMP_MAX) {
		if (act.kind == KP_ACT_EVENT) {
			kp_event_free(act.u.event);
		} else if (act.kind == KP_ACT_DIAL) {
			kp_engine_on_dialed(e, w->now, act.id, NULL, KP_E_UNREACHABLE);
		} else if (act.kind == KP_ACT_CLOSE) {
			kp_engine_on_closed(e, w->now, act.id, KP_OK);
		} else if (act.kind == KP_ACT_RESOLVE) {
			kp_engine_on_resolved(e, w->now, act.id, NULL, 0, KP_E_CANCELED);
		} else if (act.kind == KP_ACT_JOB) {
			act.u.job->run(act.u.job);
			kp_engine_on_job_done(e, w->now, act.u.job);
		}
	}
}

void sim_node_crash(sim_world *w, uint32_t n, bool silent)
{
	sim_node *node = &w->nodes[n];
	if (node->engine == NULL)
		return;
	node->silent = silent;
	node_cut_all(w, n, silent);
	node_return_jobs(w, n);
	kp_engine_stop(node->engine, w->now, 0);
	node_drain(w, n);
	if (!kp_engine_stopped(node->engine))
		sim_check_fail(&w->check, "node %u does not stop although nothing is left", n);
	else
		sim_node_free(w, n);
}
