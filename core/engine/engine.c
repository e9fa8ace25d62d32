/* The engine: birth and death, time, the queues of jobs and events, and the pump that turns facts
 * into actions. */
#include "engine/engine.h"

#include <stdio.h>

void kp_engine_enter(kp_engine *e, kp_time now)
{
	KP_ASSERT(now >= e->now && now < KP_NEVER - 1);
	e->now = now;
}

/* --- events -------------------------------------------------------------------------------------
 */

void kp_engine_event(kp_engine *e, kp_event *ev)
{
	if (ev->time_ns == 0)
		ev->time_ns = kp_env_wall(&e->env, e->now);
	ev->next = NULL;
	if (e->events_tail != NULL)
		e->events_tail->next = ev;
	else
		e->events = ev;
	e->events_tail = ev;
}

kp_event *kp_engine_event_new(kp_engine *e, kp_event_type type, const kp_peer_id *from,
                              const kp_maddr *addr, size_t more_room)
{
	char peer[KP_PEER_ID_TEXT_MAX], text[KP_MADDR_TEXT_MAX];
	size_t peer_n = from != NULL ? kp_peer_id_text(from, peer) : 0;
	size_t text_n = addr != NULL ? kp_maddr_text(addr, text, sizeof text) : 0;
	kp_event *ev = kp_event_new(e->env.pool, type, peer_n + text_n + more_room);
	if (ev == NULL) {
		kp_stat_add(&e->stats, KP_STAT_events_dropped, 1);
		return NULL;
	}
	if (from != NULL)
		kp_event_copy(ev, KP_F_FROM, kp_slice_of(peer, peer_n));
	if (addr != NULL)
		kp_event_copy(ev, KP_F_ADDR, kp_slice_of(text, text_n));
	return ev;
}

void kp_engine_log(kp_engine *e, kp_level level, const char *text)
{
	if (e->trace.sink == NULL || level > e->trace.level)
		return;
	kp_event *ev = kp_engine_event_new(e, KP_EV_LOG, NULL, NULL, strlen(text));
	if (ev == NULL)
		return;
	ev->code = (int32_t)level;
	kp_event_copy(ev, KP_F_TEXT, kp_slice_str(text));
	kp_engine_event(e, ev);
}

static bool engine_emit_event(kp_engine *e, kp_act *out)
{
	kp_event *ev = e->events;
	if (ev == NULL)
		return false;
	e->events = ev->next;
	if (e->events == NULL)
		e->events_tail = NULL;
	ev->next = NULL;
	out->kind = KP_ACT_EVENT;
	out->u.event = ev;
	return true;
}

/* --- jobs
 * ------------------------------------------------------------------------------------------ */

static bool engine_emit_job(kp_engine *e, kp_act *out)
{
	kp_job *job = e->jobs;
	if (job == NULL)
		return false;
	e->jobs = job->next;
	if (e->jobs == NULL)
		e->jobs_tail = NULL;
	job->next = NULL;
	out->kind = KP_ACT_JOB;
	out->u.job = job;
	return true;
}

void kp_engine_on_job_done(kp_engine *e, kp_time now, kp_job *job)
{
	kp_engine_enter(e, now);
	KP_ASSERT(e->n_jobs > 0);
	e->n_jobs--;
	kp_stat_add(&e->stats, KP_STAT_jobs_run, 1);
	job->done(job, now);
}

/* --- birth
 * ----------------------------------------------------------------------------------------- */

static void engine_on_starved(kp_timer *t, kp_time now)
{
	(void)now;
	kp_links_feed_starved(KP_CONTAINER_OF(t, kp_engine, starved));
}

#define ENGINE_TIMERS 3u /* starved, stop, the connection manager's beat */

static void engine_init_tables(kp_engine *e)
{
	uint8_t key[16];
	kp_list *lists[] = {&e->dirty,     &e->acting,  &e->half_open,  &e->open,
	                    &e->strangers, &e->dials,   &e->dead_dials, &e->dials_waiting,
	                    &e->resolves,  &e->keepers, &e->reqs,       &e->dead_reqs};
	kp_map *maps[] = {&e->origins, &e->peers, &e->tokens, &e->serials};
	for (size_t i = 0; i < KP_COUNT_OF(lists); i++)
		kp_list_init(lists[i]);
	for (size_t i = 0; i < KP_COUNT_OF(maps); i++) {
		kp_rng_fill(&e->rng, key, sizeof key);
		kp_map_init(maps[i], e->env.mem, key);
	}
	kp_slots_init(&e->links, e->env.mem);
	kp_slots_init(&e->lookups, e->env.mem);
	kp_timer_init(&e->starved, engine_on_starved);
	kp_stop_init(e);
}

static void engine_init_env(kp_engine *e, const uint8_t seed[32], kp_pool *pool, kp_crypto *crypto,
                            kp_time now, int64_t wall_ns)
{
	kp_env *env = &e->env;
	kp_timers_init(&e->timers, kp_pool_mem(pool));
	kp_rng_init(&e->rng, seed);
	kp_trace_init(&e->trace);
	env->mem = kp_pool_mem(pool);
	env->pool = pool;
	env->timers = &e->timers;
	env->rng = &e->rng;
	env->stats = &e->stats;
	env->trace = &e->trace;
	env->crypto = crypto;
	env->self = &e->self;
	env->noise = &e->noise;
	env->wall_minus_mono = wall_ns - (int64_t)now;
	e->host.e = e;
	e->now = now;
	e->next_serial = 1;
}

static void engine_free_parts(kp_engine *e)
{
	kp_host_unmake(e);
	kp_req_free_all(e);
	kp_resolve_free_all(e);
	kp_keepers_free_all(e);
	kp_dial_reap(e);
	kp_peers_free_all(e);
	kp_map *maps[] = {&e->origins, &e->peers, &e->tokens, &e->serials};
	for (size_t i = 0; i < KP_COUNT_OF(maps); i++) {
		KP_ASSERT(kp_map_count(maps[i]) == 0);
		kp_map_fini(maps[i]);
	}
	kp_slots_fini(&e->links);
	kp_slots_fini(&e->lookups);
	kp_timers_fini(&e->timers);
	kp_mem *mem = e->env.mem;
	kp_mem_free(mem, e->listeners);
	kp_event_free(e->closed);
	kp_config_free(e->cfg);
	kp_identity_wipe(&e->self);
	kp_noise_local_wipe(&e->noise);
	kp_mem_free(mem, e);
}

static kp_err engine_make(kp_engine *e, kp_time now)
{
	const kp_settings *s = e->s;
	if (s->has_identity)
		kp_identity_from_seed(e->env.crypto, s->identity_seed, &e->self);
	else
		kp_identity_generate(e->env.crypto, &e->self);
	kp_err err = kp_noise_local_init(&e->noise, e->env.crypto, &e->self);
	if (err != KP_OK)
		return err;
	e->closed = kp_event_new(e->env.pool, KP_EV_CLOSED, 0);
	e->listeners =
	        (kp_listener *)kp_mem_alloc(e->env.mem, (s->n_listen + 1) * sizeof *e->listeners);
	if (e->closed == NULL || e->listeners == NULL ||
	    kp_timers_reserve(&e->timers, ENGINE_TIMERS) != KP_OK)
		return KP_E_NOMEM;
	err = kp_keepers_make(e, now);
	return err == KP_OK ? kp_host_make(e, now) : err;
}

kp_err kp_engine_new(const kp_config *cfg, const uint8_t seed[32], kp_pool *pool, kp_crypto *crypto,
                     kp_time now, int64_t wall_ns, kp_engine **out, char *err_text, size_t err_cap)
{
	kp_err err = kp_config_check(cfg, err_text, err_cap);
	if (err != KP_OK)
		return err;
	kp_engine *e = (kp_engine *)kp_mem_alloc(kp_pool_mem(pool), sizeof *e);
	kp_config *copy = e != NULL ? kp_config_copy(cfg) : NULL;
	if (copy == NULL) {
		kp_mem_free(kp_pool_mem(pool), e);
		snprintf(err_text, err_cap, "out of memory");
		return KP_E_NOMEM;
	}
	e->cfg = copy;
	e->s = kp_config_settings(copy);
	engine_init_env(e, seed, pool, crypto, now, wall_ns);
	engine_init_tables(e);
	err = engine_make(e, now);
	if (err != KP_OK) {
		engine_free_parts(e);
		snprintf(err_text, err_cap, "cannot create the node: %s", kp_err_text(err));
		return err;
	}
	*out = e;
	return KP_OK;
}

void kp_engine_start(kp_engine *e, kp_time now)
{
	kp_engine_enter(e, now);
	KP_ASSERT(e->state == ENGINE_NEW);
	e->state = ENGINE_RUNNING;
	kp_listen_start(e);
	kp_connmgr_start(e, now);
	kp_keepers_start(e, now);
}

void kp_engine_free(kp_engine *e)
{
	KP_ASSERT(e->state == ENGINE_NEW || e->state == ENGINE_STOPPED);
	KP_ASSERT(e->links.live == 0 && e->n_jobs == 0);
	kp_act act;
	while (engine_emit_event(e, &act))
		kp_event_free(act.u.event);
	engine_free_parts(e);
}

void kp_engine_reseed(kp_engine *e, const uint8_t seed[32])
{
	e->env.crypto->ops->reseed(e->env.crypto, seed);
}

const kp_env *kp_engine_env(const kp_engine *e)
{
	return &e->env;
}

bool kp_engine_topic_at(const kp_engine *e, size_t n, kp_gs_topic_info *out)
{
	return kp_gs_topic_at(e->gs, n, out);
}

bool kp_engine_route_at(const kp_engine *e, size_t n, kp_kad_entry *out)
{
	return e->kad != NULL && kp_kad_entry_at(e->kad, n, out);
}

size_t kp_engine_conn_count(const kp_engine *e)
{
	return e->n_open;
}

const kp_gs *kp_engine_gs(const kp_engine *e)
{
	return e->gs;
}

void kp_engine_serve(kp_engine *e, const kp_proto_ops *ops, const kp_proto *protos, size_t n,
                     void *svc)
{
	KP_ASSERT(e->state == ENGINE_NEW);
	kp_host_set_served(&e->host, e->now, ops, protos, n, svc);
	e->addrs_changed = false; /* nobody has heard the old ones */
}

/* --- the pump
 * ------------------------------------------------------------------------------------------- */

void kp_engine_on_tick(kp_engine *e, kp_time now)
{
	kp_engine_enter(e, now); /* the timers run in the pump */
}

static bool engine_emit_accept(kp_engine *e, kp_act *out)
{
	if (e->accept_told == e->accept_paused)
		return false;
	e->accept_told = e->accept_paused;
	out->kind = e->accept_paused ? KP_ACT_ACCEPT_PAUSE : KP_ACT_ACCEPT_RESUME;
	return true;
}

static bool engine_emit(kp_engine *e, kp_act *out)
{
	memset(out, 0, sizeof *out);
	return engine_emit_accept(e, out) || kp_listen_emit(e, out) || kp_resolve_emit(e, out) ||
	       kp_links_emit(e, out) || engine_emit_job(e, out) || engine_emit_event(e, out);
}

/* One step of what facts, timers and services have left to do; false = nothing is left. */
static bool engine_work(kp_engine *e, kp_time now)
{
	if (kp_timers_next(&e->timers) <= now) {
		kp_timers_run(&e->timers, now);
		return true;
	}
	kp_list *it = kp_list_pop(&e->dirty);
	if (it != NULL) {
		kp_links_pump(KP_CONTAINER_OF(it, kp_link, dirty), now);
		return true;
	}
	if (e->addrs_changed) {
		e->addrs_changed = false;
		if (kp_engine_is_up(e))
			kp_host_tell_addrs_changed(e, now);
		return true;
	}
	kp_dial_reap(e);
	kp_req_reap(e);
	return kp_stop_advance(e, now);
}

bool kp_engine_poll(kp_engine *e, kp_time now, kp_act *out)
{
	kp_engine_enter(e, now);
	while (!engine_emit(e, out)) {
		if (e->state == ENGINE_NEW || !engine_work(e, now)) {
			kp_pool_drain(e->env.pool);
			return false;
		}
	}
	return true;
}

static bool engine_has_work(const kp_engine *e)
{
	return !kp_list_empty(&e->dirty) || !kp_list_empty(&e->acting) ||
	       !kp_list_empty(&e->resolves) || e->jobs != NULL || e->events != NULL ||
	       e->addrs_changed || e->accept_told != e->accept_paused ||
	       !kp_list_empty(&e->dead_dials);
}

kp_time kp_engine_deadline(const kp_engine *e)
{
	if (e->state == ENGINE_NEW)
		return KP_NEVER;
	return engine_has_work(e) ? e->now : kp_timers_next(&e->timers);
}

/* --- commands about messages
 * -------------------------------------------------------------------------- */

bool kp_engine_publish_ready(kp_engine *e, kp_time now, const kp_pub *p)
{
	kp_engine_enter(e, now);
	return !kp_engine_is_up(e) || kp_gs_publish_ready(e->gs, now, p);
}

/* A message that never reaches the router. */
static void engine_refuse_publish(kp_engine *e, kp_pub *p, kp_err err)
{
	kp_event *ev = p->done;
	p->done = NULL;
	if (ev == NULL)
		ev = kp_event_new(e->env.pool, KP_EV_PUBLISHED, p->topic.n);
	if (ev == NULL) {
		kp_stat_add(&e->stats, KP_STAT_events_dropped, 1);
	} else {
		ev->token = p->token;
		ev->code = err;
		kp_event_copy(ev, KP_F_TOPIC, p->topic);
		kp_engine_event(e, ev);
	}
	kp_pub_free(p);
}

void kp_engine_publish(kp_engine *e, kp_time now, kp_pub *p)
{
	kp_engine_enter(e, now);
	if (kp_engine_is_up(e))
		kp_gs_publish(e->gs, now, p);
	else
		engine_refuse_publish(e, p, KP_E_CLOSED);
}

kp_err kp_engine_verdict(kp_engine *e, kp_time now, int64_t token, kp_verdict verdict)
{
	kp_engine_enter(e, now);
	if (e->state == ENGINE_CLOSING || e->state == ENGINE_STOPPED)
		return KP_E_CLOSED;
	return kp_gs_verdict(e->gs, now, token, verdict);
}
