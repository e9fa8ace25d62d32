/* The repeatable keys of peer scoring, whose values are short lines: score.topic ("NAME FIELD=VALUE
 * …"), score.app ("PEERID NUMBER") and score.ip_exempt ("ADDRESS/BITS"). The texts are kept; what
 * they say is worked out anew whenever a key was set, so that the order of keys does not matter. */
#include "engine/config_table.h"
#include "wire/ip_text.h"
#include "wire/utf8.h"

#define CONFIG_SCORE_PREFIX "score.topic."

static config_score config_score_kind(const config_row *row)
{
	if (row->offset == offsetof(struct kp_config, s.score_topics))
		return CONFIG_SCORE_TOPIC;
	return row->offset == offsetof(struct kp_config, s.score_apps) ? CONFIG_SCORE_APP
	                                                               : CONFIG_SCORE_EXEMPT;
}

/* The next word of a line; empty at its end. */
static kp_slice config_word(kp_slice *line)
{
	while (line->n > 0 && line->p[0] == ' ')
		kp_slice_take(line, 1);
	size_t n = 0;
	while (n < line->n && line->p[n] != ' ')
		n++;
	return kp_slice_take(line, n);
}

/* ---- score.topic ---- */

/* The row of score.topic.FIELD, NULL = no such field. */
static const config_row *config_score_field(kp_slice field)
{
	size_t skip = sizeof CONFIG_SCORE_PREFIX - 1;
	for (size_t i = 0; i < kp_config_rows_n; i++) {
		const config_row *row = &kp_config_rows[i];
		if (strncmp(row->name, CONFIG_SCORE_PREFIX, skip) == 0 &&
		    kp_slice_eq_str(field, row->name + skip))
			return row;
	}
	return NULL;
}

/* FIELD=VALUE into *to, which may be NULL: then it is only judged. */
static bool config_score_assign(kp_slice word, kp_score_topic_params *to)
{
	const uint8_t *eq = word.n > 0 ? (const uint8_t *)memchr(word.p, '=', word.n) : NULL;
	if (eq == NULL)
		return false;
	kp_slice field = kp_slice_take(&word, (size_t)(eq - word.p));
	kp_slice_take(&word, 1);
	const config_row *row = config_score_field(field);
	uint64_t value;
	if (row == NULL || !kp_config_read(row, word, &value))
		return false;
	size_t at = row->offset - offsetof(struct kp_config, s.gs.score.topic);
	if (to != NULL)
		kp_config_store_at((uint8_t *)to + at, row, value);
	return true;
}

static bool config_score_topic_valid(kp_slice line)
{
	kp_slice name = config_word(&line);
	if (name.n == 0 || name.n > KP_TOPIC_MAX || !kp_utf8_valid(name))
		return false;
	kp_slice word = config_word(&line);
	if (word.n == 0)
		return false;
	for (; word.n > 0; word = config_word(&line))
		if (!config_score_assign(word, NULL))
			return false;
	return true;
}

static void config_score_topic_derive(kp_settings *s, kp_slice line)
{
	kp_slice name = config_word(&line), word;
	size_t i = 0;
	while (i < s->gs.score.n_topics && !kp_slice_eq(s->score_topics[i].name, name))
		i++;
	kp_score_topic *t = &s->score_topics[i];
	if (i == s->gs.score.n_topics) {
		s->gs.score.n_topics++;
		t->name = name;
		t->params = s->gs.score.topic;
	}
	while ((word = config_word(&line)).n > 0)
		(void)config_score_assign(word, &t->params); /* judged when it was set */
}

/* ---- score.app, score.ip_exempt ---- */

static bool config_score_app_read(kp_slice line, kp_score_app *out)
{
	static const config_row number = {.range = "-1000000..1000000", .kind = CONFIG_NUMBER};
	kp_slice id = config_word(&line);
	kp_slice value = config_word(&line);
	uint64_t v;
	if (kp_peer_id_parse_text(id, &out->peer) != KP_OK || !kp_config_read(&number, value, &v) ||
	    config_word(&line).n > 0)
		return false;
	kp_config_store_at((uint8_t *)&out->score, &number, v);
	return true;
}

static bool config_score_net_read(kp_slice line, kp_score_net *out)
{
	memset(out, 0, sizeof *out);
	const uint8_t *slash = line.n > 0 ? (const uint8_t *)memchr(line.p, '/', line.n) : NULL;
	kp_slice ip = kp_slice_take(&line, slash ? (size_t)(slash - line.p) : line.n);
	if (kp_ip4_parse(ip, out->ip))
		out->ip_n = 4;
	else if (kp_ip6_parse(ip, out->ip))
		out->ip_n = 16;
	else
		return false;
	out->bits = (uint8_t)(8 * out->ip_n);
	if (slash == NULL)
		return true;
	kp_slice_take(&line, 1);
	uint64_t bits;
	const config_row count = {.range = out->ip_n == 4 ? "0..32" : "0..128",
	                          .kind = CONFIG_COUNT};
	if (!kp_config_read(&count, line, &bits))
		return false;
	out->bits = (uint8_t)bits;
	return true;
}

/* ---- the interface ---- */

bool kp_config_score_valid(const config_row *row, kp_slice line)
{
	kp_score_app app;
	kp_score_net net;
	switch (config_score_kind(row)) {
	case CONFIG_SCORE_TOPIC:
		return config_score_topic_valid(line);
	case CONFIG_SCORE_APP:
		return config_score_app_read(line, &app);
	default:
		return config_score_net_read(line, &net);
	}
}

kp_slice *kp_config_score_texts(kp_config *cfg, const config_row *row, size_t **n)
{
	config_score kind = config_score_kind(row);
	*n = &cfg->n_score_texts[kind];
	return cfg->score_texts[kind];
}

void kp_config_score_derive(kp_config *cfg)
{
	kp_settings *s = &cfg->s;
	kp_score_params *p = &s->gs.score;
	p->n_topics = p->n_apps = p->n_exempt = 0;
	for (size_t i = 0; i < cfg->n_score_texts[CONFIG_SCORE_TOPIC]; i++)
		config_score_topic_derive(s, cfg->score_texts[CONFIG_SCORE_TOPIC][i]);
	for (size_t i = 0; i < cfg->n_score_texts[CONFIG_SCORE_APP]; i++)
		if (config_score_app_read(cfg->score_texts[CONFIG_SCORE_APP][i],
		                          &s->score_apps[p->n_apps]))
			p->n_apps++;
	for (size_t i = 0; i < cfg->n_score_texts[CONFIG_SCORE_EXEMPT]; i++)
		if (config_score_net_read(cfg->score_texts[CONFIG_SCORE_EXEMPT][i],
		                          &s->score_exempt[p->n_exempt]))
			p->n_exempt++;
	p->topics = s->score_topics;
	p->apps = s->score_apps;
	p->exempt = s->score_exempt;
}
