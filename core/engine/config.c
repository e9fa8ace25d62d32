/* The configuration: setting keys, checking what they mean, relations between them. The table of
 * keys and the reading of numbers are config_table.c's. */
#include "engine/config_table.h"

#include <stdio.h>

#include "crypto/identity.h"
#include "wire/utf8.h"

#define CONFIG_SHOWN_MAX 80u /* bytes of a value that an error repeats */

/* A message of parts that ends with a NUL, cut at cap. */
static void config_say(char *text, size_t cap, const config_row *row, kp_slice value,
                       const char *what)
{
	if (cap == 0)
		return;
	int n = (int)KP_MIN(value.n, CONFIG_SHOWN_MAX);
	snprintf(text, cap, "%s: \"%.*s\"%s %s", row->name, n, (const char *)value.p,
	         value.n > CONFIG_SHOWN_MAX ? "..." : "", what);
}

static kp_err config_say_expected(char *text, size_t cap, const config_row *row, kp_slice value)
{
	char what[200];
	kp_writer w = kp_writer_of(what, sizeof what - 1);
	kp_write_str(&w, "is not valid; expected ");
	kp_config_expect(row, &w);
	what[w.n] = 0;
	config_say(text, cap, row, value, what);
	return KP_E_INVAL;
}

static const char *config_keep_text(kp_config *cfg, kp_slice value)
{
	config_text *t = (config_text *)kp_mem_alloc(&cfg->mem, sizeof *t + value.n + 1);
	if (t == NULL)
		return NULL;
	t->next = cfg->texts;
	t->n = value.n;
	cfg->texts = t;
	char *bytes = (char *)(t + 1);
	if (value.n > 0)
		memcpy(bytes, value.p, value.n);
	return bytes;
}

static const config_row *config_find_row(kp_slice key)
{
	for (size_t i = 0; i < kp_config_rows_n; i++)
		if (kp_slice_eq_str(key, kp_config_rows[i].name))
			return &kp_config_rows[i];
	return NULL;
}

/* --- scalar keys ------------------------------------------------------------------------------ */

/* What follows from other keys: caps that messages pass through, words that fill two members. */
static void config_derive(kp_config *cfg)
{
	kp_settings *s = &cfg->s;
	uint64_t need = 2 * (uint64_t)s->gs.max_message_size + 64 * 1024;
	for (size_t i = 0; i < kp_config_rows_n; i++) {
		const config_row *row = &kp_config_rows[i];
		uint64_t def;
		if (!(row->opts & CONFIG_CAP) || cfg->given[i])
			continue;
		bool ok = kp_config_read(row, kp_slice_str(row->def), &def);
		KP_ASSERT(ok);
		kp_config_store(cfg, row, KP_MAX(def, need));
	}
	kp_gs_params gs = kp_gs_params_default();
	s->gs.verify_node_bytes = KP_MAX(KP_MAX(gs.verify_node_bytes, need), s->gs.verify_bytes);
	const config_row *trim = config_find_row(kp_slice_str("connections.trim_to"));
	if (!cfg->given[trim - kp_config_rows])
		s->trim_to = KP_MAX(s->max_connections - s->max_connections / 8, 1u);
	s->kad_off = cfg->kad_choice == 2;
	s->kad.mode = cfg->kad_choice == 1 ? KP_KAD_CLIENT : KP_KAD_SERVER;
	s->log_off = cfg->log_choice == 0;
	s->log_level = (kp_level)(cfg->log_choice - (cfg->log_choice > 0));
	kp_config_score_derive(cfg);
}

/* --- keys that hold text, topics, addresses, the identity ------------------------------------- */

static kp_err config_set_text(kp_config *cfg, const config_row *row, kp_slice value, char *text,
                              size_t cap)
{
	uint64_t lo, hi;
	kp_config_bounds(row, &lo, &hi);
	if (value.n < lo || value.n > hi || !kp_utf8_valid(value) ||
	    (value.n > 0 && memchr(value.p, 0, value.n) != NULL))
		return config_say_expected(text, cap, row, value);
	const char *kept = config_keep_text(cfg, value);
	if (kept == NULL)
		return KP_E_NOMEM;
	memcpy((uint8_t *)cfg + row->offset, &kept, sizeof kept);
	return KP_OK;
}

static kp_err config_say_full(char *text, size_t cap, const config_row *row, kp_slice value)
{
	config_say(text, cap, row, value, "is one value too many for this key");
	return KP_E_LIMIT;
}

static kp_err config_set_topic(kp_config *cfg, const config_row *row, kp_slice value, char *text,
                               size_t cap)
{
	kp_settings *s = &cfg->s;
	if (value.n == 0 || value.n > KP_TOPIC_MAX || !kp_utf8_valid(value))
		return config_say_expected(text, cap, row, value);
	for (size_t i = 0; i < s->n_topics; i++)
		if (kp_slice_eq(s->topics[i], value))
			return KP_OK;
	if (s->n_topics == KP_CONFIG_TOPICS_MAX)
		return config_say_full(text, cap, row, value);
	const char *kept = config_keep_text(cfg, value);
	if (kept == NULL)
		return KP_E_NOMEM;
	s->topics[s->n_topics++] = kp_slice_of(kept, value.n);
	return KP_OK;
}

static kp_err config_set_score(kp_config *cfg, const config_row *row, kp_slice value, char *text,
                               size_t cap)
{
	size_t *n;
	kp_slice *lines = kp_config_score_texts(cfg, row, &n);
	if (!kp_config_score_valid(row, value))
		return config_say_expected(text, cap, row, value);
	if (*n == KP_CONFIG_SCORES_MAX)
		return config_say_full(text, cap, row, value);
	const char *kept = config_keep_text(cfg, value);
	if (kept == NULL)
		return KP_E_NOMEM;
	lines[(*n)++] = kp_slice_of(kept, value.n);
	return KP_OK;
}

/* What is wrong with an address for this key, NULL = nothing. Announced ones lose their /p2p. */
static const char *config_judge_maddr(const kp_settings *s, size_t offset, kp_maddr *m)
{
	kp_maddr_target t;
	const kp_maddr *list = (const kp_maddr *)(const void *)((const uint8_t *)s + offset);
	if (!kp_maddr_tcp_target(m, &t))
		return "cannot be used; only TCP addresses are supported";
	if (list == s->listen) {
		if (t.kind != KP_MADDR_IP4 && t.kind != KP_MADDR_IP6)
			return "cannot be listened on; give an /ip4 or /ip6 address";
		return kp_peer_id_none(&t.peer) ? NULL : "must not have /p2p at its end";
	}
	if (list == s->announce) {
		if (t.kind == KP_MADDR_DNSADDR || t.port == 0)
			return "cannot be announced; give an ip or dns address with its port";
		kp_maddr_strip_peer(m);
		return NULL;
	}
	if (t.has_port && t.port == 0)
		return "has port 0, which cannot be dialled";
	if (kp_peer_id_none(&t.peer) && (list == s->direct || t.kind != KP_MADDR_DNSADDR))
		return list == s->direct ? "has no /p2p/PEERID at its end"
		                         : "has no /p2p/PEERID at its end; only /dnsaddr addresses "
		                           "may lack it";
	return NULL;
}

static size_t *config_maddr_count(kp_settings *s, const kp_maddr *list)
{
	if (list == s->listen)
		return &s->n_listen;
	if (list == s->bootstrap)
		return &s->n_bootstrap;
	return list == s->announce ? &s->n_announce : &s->n_direct;
}

static kp_err config_set_maddr(kp_config *cfg, const config_row *row, kp_slice value, char *text,
                               size_t cap)
{
	size_t offset = row->offset - offsetof(struct kp_config, s);
	kp_maddr *list = (kp_maddr *)(void *)((uint8_t *)&cfg->s + offset);
	size_t *n = config_maddr_count(&cfg->s, list);
	const char *why = "";
	kp_maddr m;
	memset(&m, 0, sizeof m);
	if (kp_maddr_parse_text(value, &m, &why) != KP_OK) {
		char what[160];
		snprintf(what, sizeof what, "is not a multiaddress (%s)", why);
		config_say(text, cap, row, value, what);
		return KP_E_INVAL;
	}
	why = config_judge_maddr(&cfg->s, offset, &m);
	if (why != NULL) {
		config_say(text, cap, row, value, why);
		return KP_E_INVAL;
	}
	for (size_t i = 0; i < *n; i++)
		if (kp_maddr_eq(&list[i], &m))
			return KP_OK;
	if (*n == KP_CONFIG_ADDRS_MAX)
		return config_say_full(text, cap, row, value);
	list[(*n)++] = m;
	return KP_OK;
}

static kp_err config_set_access(kp_config *cfg, const config_row *row, kp_slice value, char *text,
                                size_t cap)
{
	kp_access_rule rule;
	if (!kp_access_parse(value, &rule))
		return config_say_expected(text, cap, row, value);
	kp_access_list *list = (kp_access_list *)(void *)((uint8_t *)cfg + row->offset);
	return kp_access_add(list, &rule) ? KP_OK : config_say_full(text, cap, row, value);
}

/* The value itself is a secret and is not repeated. */
static kp_err config_set_identity(kp_config *cfg, const config_row *row, kp_slice value, char *text,
                                  size_t cap)
{
	static const uint8_t no_seed[32] = {0}; /* nothing is drawn from it */
	kp_crypto *crypto = kp_crypto_new(no_seed);
	if (crypto == NULL)
		return KP_E_NOMEM;
	kp_identity id;
	const char *why = "";
	kp_err err = kp_identity_parse(crypto, value, &id, &why);
	crypto->ops->free(crypto);
	if (err != KP_OK) {
		if (cap > 0)
			snprintf(text, cap, "%s: %s; expected %s", row->name, why, row->range);
		return err == KP_E_NOMEM ? err : KP_E_INVAL;
	}
	memcpy(cfg->s.identity_seed, id.seed, sizeof id.seed);
	cfg->s.has_identity = true;
	kp_identity_wipe(&id);
	return KP_OK;
}

/* --- unknown keys -------------------------------------------------------------------------------
 */

#define CONFIG_KEY_SHOWN 48u

/* Edit distance; both at most CONFIG_KEY_SHOWN bytes. */
static unsigned config_distance(kp_slice a, kp_slice b)
{
	unsigned row[CONFIG_KEY_SHOWN + 1];
	for (unsigned j = 0; j <= b.n; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned diagonal = row[0];
		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned swap = diagonal + (a.p[i - 1] != b.p[j - 1]);
			diagonal = row[j];
			row[j] = KP_MIN(swap, KP_MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[b.n];
}

static kp_err config_say_unknown(kp_slice key, char *text, size_t cap)
{
	kp_slice shown = kp_slice_of(key.p, KP_MIN(key.n, CONFIG_KEY_SHOWN));
	unsigned best = UINT32_MAX;
	const char *nearest = "";
	for (size_t i = 0; i < kp_config_rows_n; i++) {
		kp_slice name = kp_slice_str(kp_config_rows[i].name);
		const uint8_t *dot = (const uint8_t *)strrchr(kp_config_rows[i].name, '.');
		unsigned d = 2 * config_distance(shown, name);
		if (dot != NULL) { /* the last word alone is a good guess, but a worse one */
			size_t skip = (size_t)(dot + 1 - name.p);
			kp_slice last = kp_slice_of(name.p + skip, name.n - skip);
			d = KP_MIN(d, 2 * config_distance(shown, last) + 1);
		}
		if (shown.n > 0 && shown.n < name.n && memcmp(shown.p, name.p, shown.n) == 0)
			d = KP_MIN(d, 1u); /* only its beginning was written */
		if (d < best) {
			best = d;
			nearest = kp_config_rows[i].name;
		}
	}
	if (cap > 0)
		snprintf(text, cap, "%.*s: unknown key; did you mean %s?", (int)shown.n,
		         (const char *)shown.p, nearest);
	return KP_E_INVAL;
}

/* --- the interface
 * -------------------------------------------------------------------------------- */

kp_config *kp_config_new(void)
{
	kp_mem mem;
	kp_mem_init(&mem, 0);
	kp_config *cfg = (kp_config *)kp_mem_alloc(&mem, sizeof *cfg);
	if (cfg == NULL)
		return NULL;
	cfg->mem = mem;
	cfg->s.gs = kp_gs_params_default();
	cfg->s.conn = kp_conn_params_default();
	cfg->s.kad = kp_kad_params_default();
	for (size_t i = 0; i < kp_config_rows_n; i++) {
		const config_row *row = &kp_config_rows[i];
		uint64_t value;
		if (row->kind == CONFIG_TEXT) { /* points at the table itself */
			memcpy((uint8_t *)cfg + row->offset, &row->def, sizeof row->def);
		} else if (row->kind < CONFIG_TEXT) {
			bool ok = kp_config_read(row, kp_slice_str(row->def), &value);
			KP_ASSERT(ok);
			kp_config_store(cfg, row, value);
		}
	}
	config_derive(cfg);
	return cfg;
}

static bool config_copy_texts(kp_config *to)
{
	kp_settings *s = &to->s;
	s->agent = config_keep_text(to, kp_slice_str(s->agent));
	s->protocol_version = config_keep_text(to, kp_slice_str(s->protocol_version));
	bool ok = s->agent != NULL && s->protocol_version != NULL;
	for (size_t i = 0; i < s->n_topics; i++) {
		const char *kept = config_keep_text(to, s->topics[i]);
		ok = ok && kept != NULL;
		s->topics[i].p = (const uint8_t *)kept;
	}
	for (size_t k = 0; k < CONFIG_SCORE_KINDS; k++) {
		for (size_t i = 0; i < to->n_score_texts[k]; i++) {
			kp_slice *line = &to->score_texts[k][i];
			const char *kept = config_keep_text(to, *line);
			ok = ok && kept != NULL;
			line->p = (const uint8_t *)kept;
		}
	}
	return ok;
}

kp_config *kp_config_copy(const kp_config *cfg)
{
	kp_config *to = kp_config_new();
	if (to == NULL)
		return NULL;
	kp_mem mem = to->mem;
	*to = *cfg;
	to->mem = mem;
	to->texts = NULL;
	if (!config_copy_texts(to)) {
		kp_config_free(to);
		return NULL;
	}
	kp_config_score_derive(to);
	return to;
}

void kp_config_free(kp_config *cfg)
{
	if (cfg == NULL)
		return;
	while (cfg->texts != NULL) {
		config_text *t = cfg->texts;
		cfg->texts = t->next;
		kp_mem_free(&cfg->mem, t);
	}
	kp_mem mem = cfg->mem;
	kp_mem_wipe(cfg->s.identity_seed, sizeof cfg->s.identity_seed);
	kp_mem_free(&mem, cfg);
	KP_ASSERT(mem.bytes == 0);
}

static kp_err config_set_row(kp_config *cfg, const config_row *row, kp_slice value, char *text,
                             size_t cap)
{
	uint64_t number;
	switch (row->kind) {
	case CONFIG_TEXT:
		return config_set_text(cfg, row, value, text, cap);
	case CONFIG_TOPIC:
		return config_set_topic(cfg, row, value, text, cap);
	case CONFIG_MADDR:
		return config_set_maddr(cfg, row, value, text, cap);
	case CONFIG_IDENTITY:
		return config_set_identity(cfg, row, value, text, cap);
	case CONFIG_ACCESS:
		return config_set_access(cfg, row, value, text, cap);
	case CONFIG_SCORE:
		return config_set_score(cfg, row, value, text, cap);
	default:
		if (!kp_config_read(row, value, &number))
			return config_say_expected(text, cap, row, value);
		kp_config_store(cfg, row, number);
		return KP_OK;
	}
}

kp_err kp_config_set(kp_config *cfg, kp_slice key, kp_slice value, char *text, size_t cap)
{
	const config_row *row = config_find_row(key);
	if (row == NULL)
		return config_say_unknown(key, text, cap);
	kp_err err = config_set_row(cfg, row, value, text, cap);
	if (err == KP_E_NOMEM && cap > 0)
		snprintf(text, cap, "%s: out of memory", row->name);
	if (err != KP_OK)
		return err;
	cfg->given[row - kp_config_rows] = true;
	config_derive(cfg);
	return KP_OK;
}

/* The byte caps that were set too small for a message of the largest size. */
static bool config_caps_hold(const kp_config *cfg, char *text, size_t cap)
{
	uint64_t need = 2 * (uint64_t)cfg->s.gs.max_message_size + 64 * 1024;
	for (size_t i = 0; i < kp_config_rows_n; i++) {
		const config_row *row = &kp_config_rows[i];
		uint64_t have = row->opts & CONFIG_CAP ? kp_config_load(cfg, row) : need;
		if (have >= need)
			continue;
		if (cap > 0)
			snprintf(
			        text, cap,
			        "%s: %llu bytes are too few for max_message_size %u; at least %llu "
			        "(twice that and 64 KiB) are needed",
			        row->name, (unsigned long long)have, cfg->s.gs.max_message_size,
			        (unsigned long long)need);
		return false;
	}
	return true;
}

/* That a peer which we are to keep connected is not one that we refuse. */
static bool config_may_dial(const kp_settings *s, const char *key, const kp_maddr *addrs, size_t n,
                            char *text, size_t cap)
{
	for (size_t i = 0; i < n; i++) {
		kp_maddr_target t;
		char addr[KP_MADDR_TEXT_MAX];
		bool known = kp_maddr_tcp_target(&addrs[i], &t);
		KP_ASSERT(known); /* since it was set */
		bool ip = t.kind == KP_MADDR_IP4 || t.kind == KP_MADDR_IP6;
		int family = t.kind == KP_MADDR_IP4 ? 4 : 6;
		bool ok = kp_peer_id_none(&t.peer) || kp_access_peer_ok(&s->access, &t.peer);
		if (ok && (!ip || kp_access_ok(&s->access, &t.peer, family, t.ip)))
			continue;
		kp_maddr_text(&addrs[i], addr, sizeof addr);
		if (cap > 0)
			snprintf(text, cap, "%s: \"%.200s\" is refused by the keys allow and deny",
			         key, addr);
		return false;
	}
	return true;
}

kp_err kp_config_check(const kp_config *cfg, char *text, size_t cap)
{
	const kp_settings *s = &cfg->s;
	if (!config_caps_hold(cfg, text, cap))
		return KP_E_INVAL;
	const char *broken = kp_gs_params_check(&s->gs);
	if (broken != NULL) {
		if (cap > 0)
			snprintf(text, cap, "gossipsub: %s", broken);
		return KP_E_INVAL;
	}
	if (!config_may_dial(s, "bootstrap", s->bootstrap, s->n_bootstrap, text, cap) ||
	    !config_may_dial(s, "direct", s->direct, s->n_direct, text, cap))
		return KP_E_INVAL;
	if (s->trim_to > s->max_connections) {
		if (cap > 0)
			snprintf(
			        text, cap,
			        "connections.trim_to: %u is more than max_connections, %u; it must "
			        "not be",
			        s->trim_to, s->max_connections);
		return KP_E_INVAL;
	}
	if (s->memory_max < 4 * (uint64_t)s->gs.max_message_size) {
		if (cap > 0)
			snprintf(text, cap,
			         "memory.max: %llu bytes are too few for max_message_size %u; at "
			         "least "
			         "four times that is needed",
			         (unsigned long long)s->memory_max, s->gs.max_message_size);
		return KP_E_INVAL;
	}
	return KP_OK;
}

bool kp_config_key_at(size_t n, kp_config_key *out)
{
	if (n >= kp_config_rows_n)
		return false;
	const config_row *row = &kp_config_rows[n];
	out->name = row->name;
	out->type = kp_config_kind_text(row->kind);
	out->range = row->range;
	out->def = row->def;
	out->doc = row->doc;
	out->repeatable = (row->opts & CONFIG_REPEAT) != 0;
	return true;
}

static bool config_get_maddr(const kp_config *cfg, const config_row *row, size_t n, kp_writer *out)
{
	const kp_maddr *list = (const kp_maddr *)(const void *)((const uint8_t *)cfg + row->offset);
	char text[KP_MADDR_TEXT_MAX];
	size_t count = list == cfg->s.listen      ? cfg->s.n_listen
	               : list == cfg->s.bootstrap ? cfg->s.n_bootstrap
	               : list == cfg->s.announce  ? cfg->s.n_announce
	                                          : cfg->s.n_direct;
	if (n >= count)
		return false;
	kp_write(out, text, kp_maddr_text(&list[n], text, sizeof text));
	return true;
}

bool kp_config_get(const kp_config *cfg, size_t key, size_t n, kp_writer *out)
{
	if (key >= kp_config_rows_n)
		return false;
	const config_row *row = &kp_config_rows[key];
	if (row->kind == CONFIG_MADDR)
		return config_get_maddr(cfg, row, n, out);
	if (row->kind == CONFIG_ACCESS) {
		const kp_access_list *list =
		        (const kp_access_list *)(const void *)((const uint8_t *)cfg + row->offset);
		if (n < list->n)
			kp_access_write(&list->rules[n], out);
		return n < list->n;
	}
	if (row->kind == CONFIG_TOPIC) {
		if (n < cfg->s.n_topics)
			kp_write_slice(out, cfg->s.topics[n]);
		return n < cfg->s.n_topics;
	}
	if (row->kind == CONFIG_SCORE) {
		size_t *count;
		const kp_slice *lines = kp_config_score_texts((kp_config *)cfg, row, &count);
		if (n < *count)
			kp_write_slice(out, lines[n]);
		return n < *count;
	}
	if (n > 0)
		return false;
	if (row->kind == CONFIG_TEXT) {
		const char *t;
		memcpy(&t, (const uint8_t *)cfg + row->offset, sizeof t);
		kp_write_str(out, t);
	} else if (row->kind == CONFIG_IDENTITY) {
		kp_write_str(out, cfg->s.has_identity ? "set" : "");
	} else {
		kp_config_print(row, kp_config_load(cfg, row), out);
	}
	return true;
}

const kp_settings *kp_config_settings(const kp_config *cfg)
{
	return &cfg->s;
}
