/* What services ask of the node (svc.h), the table of served protocols, and what the node tells its
 * services. */
#include "engine/engine.h"

#include <stdio.h>

const kp_env *kp_host_env(kp_host *h)
{
	return &h->e->env;
}

/* --- streams, jobs, events
 * ------------------------------------------------------------------------ */

kp_err kp_host_open(kp_host *h, kp_time now, const kp_peer_id *peer, const kp_proto *protos,
                    size_t n, const kp_proto_ops *ops, void *svc, kp_stream **out)
{
	const kp_peer *p = kp_peers_find(h->e, peer);
	const kp_link *l = p != NULL ? kp_peers_link(p) : NULL;
	if (l == NULL)
		return KP_E_NOTFOUND;
	kp_err err = kp_conn_open_stream(l->conn, now, protos, n, ops, svc, out);
	return err == KP_E_STATE ? KP_E_NOTFOUND : err;
}

void kp_host_job(kp_host *h, kp_job *job)
{
	kp_engine *e = h->e;
	KP_ASSERT(job->run != NULL && job->done != NULL);
	job->next = NULL;
	if (e->jobs_tail != NULL)
		e->jobs_tail->next = job;
	else
		e->jobs = job;
	e->jobs_tail = job;
	e->n_jobs++;
}

void kp_host_event(kp_host *h, kp_event *ev)
{
	kp_engine_event(h->e, ev);
}

/* --- peers
 * ------------------------------------------------------------------------------------------- */

/* Addresses of a peer from everything we know: itself, the configuration, kad's table. */
static size_t host_known_addrs(kp_engine *e, const kp_peer *p, const kp_peer_id *id,
                               const kp_maddr **out)
{
	kp_kad_entry entry;
	if (p != NULL && p->n_addrs > 0) {
		*out = p->addrs;
		return p->n_addrs;
	}
	if (p != NULL && p->keeper != NULL && !kp_peer_id_none(&p->keeper->id)) {
		*out = p->keeper->addrs;
		return p->keeper->n_addrs;
	}
	for (size_t i = 0; e->kad != NULL && kp_kad_entry_at(e->kad, i, &entry); i++) {
		if (!kp_peer_id_eq(&entry.peer, id))
			continue;
		*out = entry.addrs;
		return entry.n_addrs;
	}
	*out = NULL;
	return 0;
}

kp_err kp_host_dial_known(kp_engine *e, kp_time now, const kp_peer_id *peer, const kp_maddr *addrs,
                          size_t n, bool insist, kp_dial **out, char *text, size_t cap)
{
	*out = NULL;
	text[0] = 0;
	if (!kp_engine_is_up(e))
		return KP_E_CLOSED;
	if (kp_peer_id_eq(peer, &e->self.id)) {
		snprintf(text, cap, "that is this node itself");
		return KP_E_PEERID;
	}
	if (!kp_access_peer_ok(&e->s->access, peer)) {
		kp_stat_add(&e->stats, KP_STAT_dials_denied, 1);
		snprintf(text, cap, "%s", kp_why_text(KP_WHY_DENIED));
		return KP_E_ACCES;
	}
	kp_peer *p = kp_peers_find(e, peer);
	if (p != NULL && kp_peers_link(p) != NULL)
		return KP_OK;
	if (p != NULL && p->dial != NULL) {
		*out = p->dial;
		return KP_OK;
	}
	if (!insist && p != NULL && kp_peers_backed_off(p, now)) {
		kp_stat_add(&e->stats, KP_STAT_dials_backed_off, 1);
		return KP_E_AGAIN;
	}
	if (!insist && e->n_dials >= KP_DIAL_MAX)
		return KP_E_LIMIT;
	if (n == 0)
		n = host_known_addrs(e, p, peer, &addrs);
	if (n == 0) {
		snprintf(text, cap, "no address of this peer is known");
		return KP_E_NOTFOUND;
	}
	p = kp_peers_get(e, now, peer);
	if (p == NULL)
		return KP_E_NOMEM;
	kp_err err = kp_dial_start(e, now, p, addrs, n, NULL, out, text, cap);
	if (err != KP_OK)
		kp_peers_settle(e, now, p);
	return err;
}

kp_err kp_host_dial(kp_host *h, kp_time now, const kp_peer_id *peer, const kp_maddr *addrs,
                    size_t n)
{
	char text[64];
	kp_dial *d;
	kp_err err = kp_host_dial_known(h->e, now, peer, addrs, n, false, &d, text, sizeof text);
	if (err == KP_OK || err == KP_E_AGAIN || err == KP_E_NOTFOUND)
		return err;
	return err == KP_E_PEERID || err == KP_E_ACCES ? KP_E_NOTFOUND : KP_E_LIMIT;
}

bool kp_host_connected(kp_host *h, const kp_peer_id *peer)
{
	const kp_peer *p = kp_peers_find(h->e, peer);
	return p != NULL && kp_peers_link(p) != NULL;
}

size_t kp_host_conn_count(kp_host *h)
{
	return h->e->n_open;
}

size_t kp_host_peer_addrs(kp_host *h, const kp_peer_id *peer, kp_maddr *out, size_t max)
{
	const kp_peer *p = kp_peers_find(h->e, peer);
	size_t n = p != NULL ? KP_MIN(p->n_addrs, max) : 0;
	if (n > 0)
		memcpy(out, p->addrs, n * sizeof *out);
	return n;
}

size_t kp_host_own_addrs(kp_host *h, kp_maddr *out, size_t max)
{
	return kp_listen_own_addrs(h->e, out, max);
}

void kp_host_keep(kp_host *h, const kp_peer_id *peer, kp_keep what, bool on)
{
	kp_peer *p = kp_peers_find(h->e, peer);
	if (p == NULL)
		return; /* not connected: there is nothing to keep */
	p->keep = on ? p->keep | (unsigned)what : p->keep & ~(unsigned)what;
	if (p->keeper != NULL)
		p->keep |= (unsigned)p->keeper->what;
}

void kp_host_disconnect(kp_host *h, kp_time now, const kp_peer_id *peer, kp_why why)
{
	(void)now;
	kp_peer *p = kp_peers_find(h->e, peer);
	if (p == NULL)
		return;
	KP_LIST_EACH(it, tmp, &p->links)
	kp_links_ask_close(KP_CONTAINER_OF(it, kp_link, of_peer), why);
}

void kp_host_close_conn(kp_host *h, kp_time now, kp_id conn, kp_why why)
{
	(void)now;
	kp_link *l = kp_links_get(h->e, conn);
	if (l != NULL && !l->buried)
		kp_links_ask_close(l, why);
}

/* --- served protocols
 * ---------------------------------------------------------------------------------- */

static kp_served *host_served_of(kp_engine *e, const kp_proto_ops *ops)
{
	for (size_t i = 0; i < e->n_served; i++)
		if (e->served[i].ops == ops)
			return &e->served[i];
	KP_ASSERT(e->n_served < KP_HOST_SERVED_MAX);
	kp_served *s = &e->served[e->n_served++];
	s->ops = ops;
	s->n = 0;
	return s;
}

void kp_host_set_served(kp_host *h, kp_time now, const kp_proto_ops *ops, const kp_proto *protos,
                        size_t n, void *svc)
{
	kp_engine *e = h->e;
	(void)now;
	kp_served *s = host_served_of(e, ops);
	if (s->n != n || s->protos != protos)
		e->addrs_changed = true; /* told by the pump */
	s->protos = protos;
	s->n = n;
	s->svc = svc;
}

size_t kp_host_protocols(kp_host *h, const char **out, size_t max)
{
	kp_engine *e = h->e;
	size_t n = 0;
	const char *id;
	for (size_t i = 0; i < e->n_served; i++)
		for (size_t j = 0; j < e->served[i].n && n < max; j++)
			out[n++] = e->served[i].protos[j].id;
	for (size_t i = 0; n < max && e->app != NULL && kp_app_protocol_at(e->app, i, &id); i++)
		out[n++] = id;
	return n;
}

bool kp_host_find_proto(kp_engine *e, kp_slice name, kp_proto_binding *out)
{
	for (size_t i = 0; i < e->n_served; i++) {
		const kp_served *s = &e->served[i];
		for (size_t j = 0; j < s->n; j++) {
			if (!kp_slice_eq_str(name, s->protos[j].id))
				continue;
			out->ops = s->ops;
			out->svc = s->svc;
			out->proto = s->protos[j];
			return true;
		}
	}
	return e->app != NULL && kp_app_find(e->app, name, out);
}

/* --- services
 * ---------------------------------------------------------------------------------------------- */

static void host_add_service(kp_engine *e, const kp_svc_ops *ops, void *svc)
{
	KP_ASSERT(e->n_svcs < KP_HOST_SVCS);
	e->svcs[e->n_svcs].ops = ops;
	e->svcs[e->n_svcs++].svc = svc;
}

/* What the configuration wants of the router from the start. */
static kp_err host_prepare_router(kp_engine *e, kp_time now)
{
	static const kp_sub_opts opts = {false, false, 0};
	kp_err err = KP_OK;
	for (size_t i = 0; i < e->s->n_topics && err == KP_OK; i++)
		err = kp_gs_subscribe(e->gs, now, e->s->topics[i], &opts);
	KP_LIST_EACH(it, tmp, &e->keepers)
	{
		const kp_keeper *k = KP_CONTAINER_OF(it, const kp_keeper, node);
		if (err == KP_OK && (k->what & KP_KEEP_DIRECT) != 0)
			err = kp_gs_set_direct(e->gs, now, &k->id);
	}
	return err;
}

/* gossipsub comes first: its stream is the first on a new connection. */
kp_err kp_host_make(kp_engine *e, kp_time now)
{
	kp_host *h = &e->host;
	const kp_settings *s = e->s;
	e->gs = kp_gs_new(h, &s->gs, now);
	e->identify = kp_identify_new(h, s->agent, s->protocol_version, kp_host_identified, e);
	e->kad = s->kad_off ? NULL : kp_kad_new(h, &s->kad, now);
	e->ping = kp_ping_new(h);
	e->app = kp_app_new(h, s->gs.max_message_size, s->inbox_policy == KP_INBOX_BLOCK,
	                    kp_req_app_done, e);
	if (e->gs == NULL || e->identify == NULL || (e->kad == NULL && !s->kad_off) ||
	    e->ping == NULL || e->app == NULL)
		return KP_E_NOMEM;
	host_add_service(e, &kp_gs_svc_ops, e->gs);
	host_add_service(e, &kp_identify_svc_ops, e->identify);
	if (e->kad != NULL)
		host_add_service(e, &kp_kad_svc_ops, e->kad);
	host_add_service(e, &kp_ping_svc_ops, e->ping);
	host_add_service(e, &kp_app_svc_ops, e->app);
	kp_host_set_served(h, now, &kp_gs_proto_ops, kp_gs_protos, kp_gs_protos_n, e->gs);
	kp_host_set_served(h, now, &kp_identify_proto_ops, kp_identify_protos, 1, e->identify);
	kp_host_set_served(h, now, &kp_identify_push_proto_ops, kp_identify_push_protos, 1,
	                   e->identify);
	kp_host_set_served(h, now, &kp_ping_proto_ops, kp_ping_protos, 1, e->ping);
	if (e->kad != NULL)
		kp_host_set_served(h, now, &kp_kad_proto_ops, kp_kad_protos,
		                   kp_kad_get_mode(e->kad) == KP_KAD_SERVER ? kp_kad_protos_n : 0,
		                   e->kad);
	e->addrs_changed = false; /* nobody has heard the old ones */
	return host_prepare_router(e, now);
}

void kp_host_unmake(kp_engine *e)
{
	if (e->app != NULL)
		kp_app_free(e->app);
	if (e->ping != NULL)
		kp_ping_free(e->ping);
	if (e->kad != NULL)
		kp_kad_free(e->kad);
	if (e->identify != NULL)
		kp_identify_free(e->identify);
	if (e->gs != NULL)
		kp_gs_free(e->gs);
	e->app = NULL;
	e->ping = NULL;
	e->kad = NULL;
	e->identify = NULL;
	e->gs = NULL;
	e->n_svcs = 0;
	e->n_served = 0;
}

void kp_host_tell_open(kp_engine *e, kp_time now, kp_link *l, bool first)
{
	kp_conn_info info;
	kp_links_info(l, &info);
	for (size_t i = 0; i < e->n_svcs; i++)
		if (e->svcs[i].ops->on_conn_open != NULL)
			e->svcs[i].ops->on_conn_open(e->svcs[i].svc, now, &info, first);
}

void kp_host_tell_close(kp_engine *e, kp_time now, kp_link *l, kp_why why, bool last)
{
	kp_conn_info info;
	kp_links_info(l, &info);
	for (size_t i = 0; i < e->n_svcs; i++)
		if (e->svcs[i].ops->on_conn_close != NULL)
			e->svcs[i].ops->on_conn_close(e->svcs[i].svc, now, &info, why, last);
}

void kp_host_tell_dial_failed(kp_engine *e, kp_time now, const kp_peer_id *peer, kp_err err)
{
	for (size_t i = 0; i < e->n_svcs; i++)
		if (e->svcs[i].ops->on_dial_failed != NULL)
			e->svcs[i].ops->on_dial_failed(e->svcs[i].svc, now, peer, err);
}

void kp_host_tell_addrs_changed(kp_engine *e, kp_time now)
{
	for (size_t i = 0; i < e->n_svcs; i++)
		if (e->svcs[i].ops->on_addrs_changed != NULL)
			e->svcs[i].ops->on_addrs_changed(e->svcs[i].svc, now);
}

void kp_host_tell_stop(kp_engine *e, kp_time now)
{
	for (size_t i = 0; i < e->n_svcs; i++)
		if (e->svcs[i].ops->on_stop != NULL)
			e->svcs[i].ops->on_stop(e->svcs[i].svc, now);
}

void kp_host_identified(void *ctx, kp_time now, const kp_peer_id *peer,
                        const kp_identify_info *info, const kp_maddr *observed)
{
	kp_engine *e = (kp_engine *)ctx;
	(void)observed; /* one peer's word is not adopted: it may lie */
	kp_peers_identified(e, now, peer, info);
	for (size_t i = 0; i < e->n_svcs; i++)
		if (e->svcs[i].ops->on_identified != NULL)
			e->svcs[i].ops->on_identified(e->svcs[i].svc, now, peer, info);
}
