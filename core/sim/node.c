/* One node of the simulation: an engine, and what its actions mean in the simulated world. */
#include "sim/world.h"

#include <stdio.h>

#define NODE_TOPIC      "sim"
#define NODE_PUMP_MAX   1000000u /* actions of one pump; more is an endless loop */
#define NODE_WALL_START INT64_C(1700000000000000000)

/* 10.x.y.z, one address a node; a restarted node takes another port. */
static void node_address(sim_node *node, uint32_t n)
{
	memset(&node->addr, 0, sizeof node->addr);
	node->addr.family = 4;
	node->addr.ip[0] = 10;
	node->addr.ip[1] = (uint8_t)(n >> 16);
	node->addr.ip[2] = (uint8_t)(n >> 8);
	node->addr.ip[3] = (uint8_t)n;
	node->addr.port = (uint16_t)(4000 + node->life);
}

static kp_err node_set(kp_config *cfg, const char *key, const char *value)
{
	char why[256];
	return kp_config_set(cfg, kp_slice_str(key), kp_slice_str(value), why, sizeof why);
}

static kp_config *node_config(sim_world *w, sim_node *node, uint32_t n, const char *identity)
{
	char listen[64];
	kp_config *cfg = kp_config_new();
	if (cfg == NULL)
		return NULL;
	snprintf(listen, sizeof listen, "/ip4/10.%u.%u.%u/tcp/%u", node->addr.ip[1],
	         node->addr.ip[2], node->addr.ip[3], node->addr.port);
	kp_err r = node_set(cfg, "listen", listen);
	if (r == KP_OK)
		r = node_set(cfg, "topic", NODE_TOPIC);
	if (r == KP_OK)
		r = node_set(cfg, "identity", identity);
	if (r == KP_OK && n > 0)
		r = node_set(cfg, "bootstrap", w->bootstrap);
	if (r != KP_OK) {
		kp_config_free(cfg);
		return NULL;
	}
	return cfg;
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
	node->peer = identity.id;
	kp_identity_text(&identity, text);
	kp_config *cfg = node_config(w, node, n, text);
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
	if (node->engine != NULL || node->dead)
		return KP_OK;
	node->life++;
	node_address(node, n);
	kp_err r = node_new_engine(w, node, n);
	if (r != KP_OK)
		return r;
	if (n == 0 && w->bootstrap[0] == '\0') {
		char id[KP_PEER_ID_TEXT_MAX];
		kp_peer_id_text(&node->peer, id);
		snprintf(w->bootstrap, sizeof w->bootstrap, "/ip4/10.0.0.0/tcp/%u/p2p/%s",
		         node->addr.port, id);
	}
	node->up_since = w->now;
	node->tick_at = KP_NEVER;
	node->accept_paused = false;
	kp_engine_start(node->engine, w->now);
	sim_node_pump(w, n);
	return KP_OK;
}

/* --- events to the application -------------------------------------------------------------------
 */

static void node_on_event(sim_world *w, uint32_t n, kp_event *ev)
{
	sim_node *node = &w->nodes[n];
	kp_slice payload = ev->f[KP_F_PAYLOAD];
	uint64_t message = 0;
	sim_mix(w, ev->type, (uint64_t)ev->code);
	if (ev->type == KP_EV_MESSAGE) {
		KP_ASSERT(payload.n >= sizeof message);
		memcpy(&message, payload.p, sizeof message);
		sim_check_delivered(&w->check, w->now, n, node->life, message);
	}
	kp_event_free(ev);
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
	job->run(job);
	sim_at(w, w->now + KP_US(50) + kp_rng_below(&w->rng, slow),
	       (sim_event){.kind = SIM_JOB, .node = n, .life = w->nodes[n].life, .job = job});
}

static void node_close(sim_world *w, uint32_t n, kp_id id)
{
	uint32_t index;
	if (sim_ep_of(w, n, id, &index) != NULL)
		sim_link_close(w, index);
	kp_engine_on_closed(w->nodes[n].engine, w->now, id, KP_OK);
}

static void node_act_on_link(sim_world *w, uint32_t n, const kp_act *act)
{
	uint32_t index;
	sim_ep *ep = sim_ep_of(w, n, act->id, &index);
	if (ep == NULL)
		return; /* the reset is already on its way to the engine */
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

void sim_node_pump(sim_world *w, uint32_t n)
{
	sim_node *node = &w->nodes[n];
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
	uint8_t payload[65536];
	uint64_t number = message;
	size_t size = KP_MIN(w->opt.size, sizeof payload);
	kp_rng_fill(&w->rng, payload, KP_MIN(size, 64)); /* content ids must differ */
	memcpy(payload, &number, sizeof number);
	if (size > 64)
		memset(payload + 64, 'x', size - 64);
	kp_pub *p = kp_pub_new(node->pool, kp_slice_str(NODE_TOPIC), kp_slice_of(payload, size), 0);
	if (p == NULL)
		return;
	if (!kp_engine_publish_ready(node->engine, w->now, p)) { /* back-pressure: not sent */
		kp_pub_free(p);
		return;
	}
	w->check.messages[message].sent = true;
	kp_engine_publish(node->engine, w->now, p);
	sim_node_pump(w, n);
}

static void node_count_life(sim_node *node)
{
	const kp_stats *s = kp_engine_env(node->engine)->stats;
	node->received += s->v[KP_STAT_received];
	node->duplicates += s->v[KP_STAT_duplicates];
}

/* Frees a stopped engine and proves that every block came back. */
void sim_node_free(sim_world *w, uint32_t n)
{
	sim_node *node = &w->nodes[n];
	if (node->engine == NULL)
		return;
	sim_mix(w, kp_engine_env(node->engine)->trace->hash, n);
	node_count_life(node);
	kp_engine_free(node->engine);
	node->engine = NULL;
	if (kp_pool_blocks_live(node->pool) != 0)
		sim_check_fail(&w->check, "node %u leaked %llu blocks", n,
		               (unsigned long long)kp_pool_blocks_live(node->pool));
	kp_pool_close(node->pool);
	node->crypto->ops->free(node->crypto);
	node->down_since = w->now;
}

void sim_node_stop(sim_world *w, uint32_t n)
{
	if (w->nodes[n].engine == NULL)
		return;
	kp_engine_stop(w->nodes[n].engine, w->now, KP_SEC(2));
	sim_node_pump(w, n);
}

/* Dies without a word: every connection is cut, and the engine's last actions reach nobody. */
void sim_node_crash(sim_world *w, uint32_t n)
{
	sim_node *node = &w->nodes[n];
	if (node->engine == NULL)
		return;
	for (uint32_t slot = 0; slot < node->n_eps; slot++) {
		if (node->eps[slot] == UINT32_MAX)
			continue;
		sim_ep *ep = &w->eps[node->eps[slot]];
		kp_id id = ep->id;
		sim_link_cut(w, node->eps[slot]);
		kp_engine_on_closed(node->engine, w->now, id, KP_E_UNREACHABLE);
	}
	/* jobs under way have been run already: hand them back, as the engine must have all of them
	 */
	for (uint32_t i = 0; i < w->n_heap; i++) {
		sim_event *ev = &w->heap[i];
		if (ev->kind == SIM_JOB && ev->node == n && ev->life == node->life &&
		    ev->job != NULL) {
			kp_engine_on_job_done(node->engine, w->now, ev->job);
			ev->job = NULL;
		}
	}
	kp_engine_stop(node->engine, w->now, 0);
	kp_act act;
	uint32_t jobs = 0;
	while (kp_engine_poll(node->engine, w->now, &act)) {
		if (act.kind == KP_ACT_EVENT)
			kp_event_free(act.u.event);
		else if (act.kind == KP_ACT_DIAL)
			kp_engine_on_dialed(node->engine, w->now, act.id, NULL, KP_E_UNREACHABLE);
		else if (act.kind == KP_ACT_CLOSE)
			kp_engine_on_closed(node->engine, w->now, act.id, KP_OK);
		else if (act.kind == KP_ACT_RESOLVE)
			kp_engine_on_resolved(node->engine, w->now, act.id, NULL, 0, KP_E_CANCELED);
		else if (act.kind == KP_ACT_JOB && ++jobs < NODE_PUMP_MAX) {
			act.u.job->run(act.u.job);
			kp_engine_on_job_done(node->engine, w->now, act.u.job);
		}
	}
	if (!kp_engine_stopped(node->engine))
		sim_check_fail(&w->check, "node %u does not stop although nothing is left", n);
	else
		sim_node_free(w, n);
}
