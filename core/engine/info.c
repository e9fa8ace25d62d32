/* Introspection: the JSON of kp_engine_info (see kp2p_node_info). Keys are only ever added. */
#include "engine/engine.h"

#include <stdio.h>

#include "wire/json.h"

#define INFO_OWN_MAX 32u /* addresses shown */

static void info_member_str(kp_writer *w, bool *first, const char *name, kp_slice value)
{
	kp_json_key(w, first, name);
	kp_json_str(w, value);
}

static void info_member_u64(kp_writer *w, bool *first, const char *name, uint64_t value)
{
	kp_json_key(w, first, name);
	kp_json_u64(w, value);
}

static void info_maddr(kp_writer *w, const kp_maddr *m)
{
	char text[KP_MADDR_TEXT_MAX];
	kp_json_str(w, kp_slice_of(text, kp_maddr_text(m, text, sizeof text)));
}

static void info_peer_id(kp_writer *w, const kp_peer_id *id)
{
	char text[KP_PEER_ID_TEXT_MAX];
	kp_json_str(w, kp_slice_of(text, kp_peer_id_text(id, text)));
}

/* --- self, addresses
 * ---------------------------------------------------------------------------------- */

static void info_self(kp_engine *e, kp_time now, kp_writer *w)
{
	const char *protocols[64];
	bool first = true, first_protocol = true;
	(void)now;
	kp_write_u8(w, '{');
	kp_json_key(w, &first, "peer_id");
	info_peer_id(w, &e->self.id);
	info_member_str(w, &first, "agent", kp_slice_str(e->s->agent));
	kp_json_key(w, &first, "protocols");
	kp_write_u8(w, '[');
	size_t n = kp_host_protocols(&e->host, protocols, KP_COUNT_OF(protocols));
	for (size_t i = 0; i < n; i++) {
		kp_json_sep(w, &first_protocol);
		kp_json_str(w, kp_slice_str(protocols[i]));
	}
	kp_write_str(w, "]}");
}

/* Our n-th address with /p2p; false past the end. */
static bool info_own_addr(kp_engine *e, size_t n, kp_maddr *out)
{
	/* On the heap of nobody: asked one at a time, the list is short. */
	size_t at = 0;
	if (e->s->n_announce > 0) {
		if (n >= e->s->n_announce)
			return false;
		*out = e->s->announce[n];
	} else {
		size_t i = 0;
		for (; i < e->s->n_listen; i++) {
			const kp_listener *l = &e->listeners[i];
			size_t here = l->bound ? l->n_at : 0;
			if (n < at + here)
				break;
			at += here;
		}
		if (i == e->s->n_listen)
			return false;
		kp_addr_to_maddr(&e->listeners[i].at[n - at], out);
	}
	kp_maddr_append_peer(out, &e->self.id);
	return true;
}

static void info_addresses(kp_engine *e, kp_time now, kp_writer *w)
{
	bool first = true;
	kp_maddr m;
	(void)now;
	kp_write_u8(w, '[');
	for (size_t i = 0; info_own_addr(e, i, &m); i++) {
		kp_json_sep(w, &first);
		info_maddr(w, &m);
	}
	kp_write_u8(w, ']');
}

static void info_listen_addrs(kp_engine *e, kp_time now, kp_writer *w)
{
	kp_maddr m;
	char text[KP_MADDR_TEXT_MAX];
	(void)now;
	for (size_t i = 0; info_own_addr(e, i, &m); i++) {
		if (i > 0)
			kp_write_u8(w, '\n');
		kp_write(w, text, kp_maddr_text(&m, text, sizeof text));
	}
}

static void info_bare_peer_id(kp_engine *e, kp_time now, kp_writer *w)
{
	char text[KP_PEER_ID_TEXT_MAX];
	(void)now;
	kp_write(w, text, kp_peer_id_text(&e->self.id, text));
}

/* --- peers
 * -------------------------------------------------------------------------------------------- */

/* A finite number with three decimals, never in a form that JSON does not know. */
static void info_score(kp_writer *w, double v)
{
	char text[64];
	bool sane = v > -1e15 && v < 1e15;
	snprintf(text, sizeof text, "%.3f", sane ? v : v > 0 ? 1e15 : -1e15);
	kp_write_str(w, text);
}

static void info_peer_topics(kp_engine *e, kp_writer *w, const kp_peer_id *id, bool mesh_only)
{
	bool first = true, in_mesh;
	kp_slice topic;
	kp_write_u8(w, '[');
	for (size_t i = 0; kp_gs_peer_topic_at(e->gs, id, i, &topic, &in_mesh); i++) {
		if (mesh_only && !in_mesh)
			continue;
		kp_json_sep(w, &first);
		kp_json_str(w, topic);
	}
	kp_write_u8(w, ']');
}

static void info_member_score(kp_writer *w, bool *first, const char *key, double v)
{
	kp_json_key(w, first, key);
	info_score(w, v);
}

static void info_score_topics(kp_engine *e, kp_writer *w, const kp_peer_id *id)
{
	bool first = true;
	kp_slice topic;
	kp_score_topic_terms t;
	kp_write_u8(w, '[');
	for (size_t i = 0; kp_gs_peer_score_topic_at(e->gs, id, i, &topic, &t); i++) {
		bool first_member = true;
		kp_json_sep(w, &first);
		kp_write_u8(w, '{');
		info_member_str(w, &first_member, "topic", topic);
		info_member_score(w, &first_member, "p1", t.p1);
		info_member_score(w, &first_member, "p2", t.p2);
		info_member_score(w, &first_member, "p3", t.p3);
		info_member_score(w, &first_member, "p3b", t.p3b);
		info_member_score(w, &first_member, "p4", t.p4);
		info_member_score(w, &first_member, "sum", t.sum);
		kp_write_u8(w, '}');
	}
	kp_write_u8(w, ']');
}

/* score, and score_parts: what it is the sum of. */
static void info_peer_score(kp_engine *e, kp_writer *w, bool *first, const kp_peer_id *id)
{
	bool first_part = true;
	kp_gs_score_info s;
	(void)kp_gs_peer_score(e->gs, id, &s); /* zeros for one it does not know */
	info_member_score(w, first, "score", s.score);
	kp_json_key(w, first, "score_parts");
	kp_write_u8(w, '{');
	info_member_score(w, &first_part, "topics", s.topics);
	info_member_score(w, &first_part, "p5", s.p5);
	info_member_score(w, &first_part, "p6", s.p6);
	info_member_score(w, &first_part, "p7", s.p7);
	info_member_score(w, &first_part, "slow", s.slow);
	info_member_score(w, &first_part, "invalid_messages", s.invalid);
	info_member_score(w, &first_part, "misbehaviour", s.misbehaviour);
	kp_json_key(w, &first_part, "by_topic");
	info_score_topics(e, w, id);
	kp_write_u8(w, '}');
}

/* The oldest connection with a peer that has this remote address; NULL = none. */
static const kp_link *info_peer_link_at(const kp_peer *p, const kp_maddr *addr)
{
	kp_maddr m;
	for (const kp_list *it = p->links.next; it != &p->links; it = it->next) {
		const kp_link *l = KP_CONTAINER_OF(it, const kp_link, of_peer);
		kp_addr_to_maddr(&l->remote, &m);
		if (kp_maddr_eq(&m, addr))
			return l;
	}
	return NULL;
}

/* Where we are connected to it, then what it told itself; each address once. */
static void info_peer_addrs(kp_writer *w, const kp_peer *p)
{
	bool first = true;
	kp_maddr m;
	kp_write_u8(w, '[');
	for (const kp_list *it = p->links.next; it != &p->links; it = it->next) {
		const kp_link *l = KP_CONTAINER_OF(it, const kp_link, of_peer);
		kp_addr_to_maddr(&l->remote, &m);
		if (info_peer_link_at(p, &m) != l)
			continue; /* an older connection with the same address */
		kp_json_sep(w, &first);
		info_maddr(w, &m);
	}
	for (size_t i = 0; i < p->n_addrs; i++) {
		if (info_peer_link_at(p, &p->addrs[i]) != NULL)
			continue;
		kp_json_sep(w, &first);
		info_maddr(w, &p->addrs[i]);
	}
	kp_write_u8(w, ']');
}

static void info_peer(kp_engine *e, kp_writer *w, const kp_peer *p)
{
	bool first = true;
	const kp_link *l = KP_CONTAINER_OF(p->links.next, const kp_link, of_peer);
	kp_time rtt = kp_conn_rtt(l->conn);
	kp_write_u8(w, '{');
	kp_json_key(w, &first, "peer");
	info_peer_id(w, &p->id);
	kp_json_key(w, &first, "addrs");
	info_peer_addrs(w, p);
	info_member_str(w, &first, "direction", kp_slice_str(l->outbound ? "out" : "in"));
	info_member_str(w, &first, "agent",
	                p->agent != NULL ? kp_slice_str(p->agent) : kp_slice_none());
	kp_json_key(w, &first, "rtt_us");
	if (rtt == KP_NEVER)
		kp_write_str(w, "null");
	else
		kp_json_u64(w, rtt / KP_US(1));
	kp_json_key(w, &first, "topics");
	info_peer_topics(e, w, &p->id, false);
	kp_json_key(w, &first, "mesh");
	info_peer_topics(e, w, &p->id, true);
	info_peer_score(e, w, &first, &p->id);
	info_member_u64(w, &first, "connections", p->n_up);
	kp_write_u8(w, '}');
}

static void info_peers(kp_engine *e, kp_time now, kp_writer *w)
{
	bool first = true;
	(void)now;
	kp_write_u8(w, '[');
	for (kp_map_node *it = kp_map_first(&e->peers); it != NULL; it = kp_map_next(it)) {
		const kp_peer *p = KP_CONTAINER_OF(it, const kp_peer, node);
		if (p->n_up == 0)
			continue;
		kp_json_sep(w, &first);
		info_peer(e, w, p);
	}
	kp_write_u8(w, ']');
}

/* --- topics, routing
 * ------------------------------------------------------------------------------------ */

static void info_topics(kp_engine *e, kp_time now, kp_writer *w)
{
	bool first = true;
	kp_gs_topic_info t;
	(void)now;
	kp_write_u8(w, '[');
	for (size_t i = 0; kp_gs_topic_at(e->gs, i, &t); i++) {
		bool first_member = true;
		kp_json_sep(w, &first);
		kp_write_u8(w, '{');
		info_member_str(w, &first_member, "topic", t.topic);
		info_member_u64(w, &first_member, "mesh", t.mesh);
		info_member_u64(w, &first_member, "subscribers", t.subscribers);
		info_member_u64(w, &first_member, "inbox", t.inbox);
		kp_write_u8(w, '}');
	}
	kp_write_u8(w, ']');
}

/* buckets: numbers of entries by common prefix length, up to the last that has any; peers: who they
 * are. */
static void info_routing(kp_engine *e, kp_time now, kp_writer *w)
{
	uint32_t buckets[257] = {0};
	bool first = true, first_bucket = true;
	size_t last = 0;
	kp_kad_entry entry;
	(void)now;
	for (size_t i = 0; e->kad != NULL && kp_kad_entry_at(e->kad, i, &entry); i++) {
		size_t b = KP_MIN(entry.bucket, 256u);
		buckets[b]++;
		last = KP_MAX(last, b + 1);
	}
	const char *mode = e->kad == NULL                             ? "off"
	                   : kp_kad_get_mode(e->kad) == KP_KAD_SERVER ? "server"
	                                                              : "client";
	kp_write_u8(w, '{');
	info_member_str(w, &first, "mode", kp_slice_str(mode));
	info_member_u64(w, &first, "size", e->kad != NULL ? kp_kad_size(e->kad) : 0);
	kp_json_key(w, &first, "buckets");
	kp_write_u8(w, '[');
	for (size_t i = 0; i < last; i++) {
		kp_json_sep(w, &first_bucket);
		kp_json_u64(w, buckets[i]);
	}
	kp_write_u8(w, ']');
	kp_json_key(w, &first, "peers");
	kp_write_u8(w, '[');
	bool first_peer = true;
	for (size_t i = 0; e->kad != NULL && kp_kad_entry_at(e->kad, i, &entry); i++) {
		char text[KP_PEER_ID_TEXT_MAX];
		size_t n = kp_peer_id_text(&entry.peer, text);
		kp_json_sep(w, &first_peer);
		kp_json_str(w, kp_slice_of(text, n));
	}
	kp_write_str(w, "]}");
}

/* --- stats, config
 * ---------------------------------------------------------------------------------------- */

static void info_stats(kp_engine *e, const kp_host_stat *extra, size_t n_extra, kp_writer *w)
{
	bool first = true;
	kp_write_u8(w, '{');
	for (int i = 0; i < KP_STAT_COUNT; i++)
		info_member_u64(w, &first, kp_stat_name((kp_stat)i), e->stats.v[i]);
	info_member_u64(w, &first, "connections", e->n_open);
	info_member_u64(w, &first, "half_open", e->n_half_open);
	info_member_u64(w, &first, "dials", e->n_dials);
	info_member_u64(w, &first, "known_peers", kp_map_count(&e->peers));
	info_member_u64(w, &first, "pending_messages", kp_gs_pending(e->gs));
	/* publishers allocate meanwhile */
	info_member_u64(w, &first, "memory_bytes",
	                __atomic_load_n(&e->env.mem->bytes, __ATOMIC_RELAXED));
	info_member_u64(w, &first, "memory_peak",
	                __atomic_load_n(&e->env.mem->peak, __ATOMIC_RELAXED));
	info_member_u64(w, &first, "blocks", kp_pool_blocks_live(e->env.pool));
	for (size_t i = 0; i < n_extra; i++)
		info_member_u64(w, &first, extra[i].name, extra[i].value);
	kp_write_u8(w, '}');
}

/* The values of a repeatable key are one text, joined by spaces: each later string is written over
 * the closing quote of the one before. */
static void info_config_value(kp_engine *e, size_t key, kp_writer *w)
{
	char value[KP_MADDR_TEXT_MAX];
	for (size_t n = 0;; n++) {
		kp_writer v = kp_writer_of(value, sizeof value);
		if (!kp_config_get(e->cfg, key, n, &v))
			break;
		if (n > 0)
			w->n--;
		size_t at = w->n;
		kp_json_str(w, kp_slice_of(value, v.n));
		if (n > 0 && w->p != NULL && !w->full)
			w->p[at] = ' ';
		if (w->full)
			return;
	}
}

static void info_config(kp_engine *e, kp_time now, kp_writer *w)
{
	bool first = true;
	kp_config_key key;
	(void)now;
	kp_write_u8(w, '{');
	for (size_t i = 0; kp_config_key_at(i, &key); i++) {
		kp_json_key(w, &first, key.name);
		size_t at = w->n;
		info_config_value(e, i, w);
		if (w->n == at)
			kp_write_str(w, "\"\"");
	}
	kp_write_u8(w, '}');
}

kp_err kp_engine_info(kp_engine *e, kp_time now, kp_slice what, const kp_host_stat *extra,
                      size_t n_extra, kp_writer *out)
{
	static const struct {
		const char *name;
		void (*write)(kp_engine *e, kp_time now, kp_writer *w);
	} kinds[] = {{"self", info_self},
	             {"addresses", info_addresses},
	             {"peers", info_peers},
	             {"topics", info_topics},
	             {"routing", info_routing},
	             {"config", info_config},
	             {"peer_id", info_bare_peer_id},
	             {"listen_addrs", info_listen_addrs}};
	kp_engine_enter(e, now);
	if (kp_slice_eq_str(what, "stats")) {
		info_stats(e, extra, n_extra, out);
		return KP_OK;
	}
	for (size_t i = 0; i < KP_COUNT_OF(kinds); i++) {
		if (!kp_slice_eq_str(what, kinds[i].name))
			continue;
		kinds[i].write(e, now, out);
		return KP_OK;
	}
	return KP_E_INVAL;
}
