/* The table of keys behind config.h: one row per key, and how each kind of value is read and
 * printed. Private to config.c and config_table.c. */
#ifndef KP_ENGINE_CONFIG_TABLE_H
#define KP_ENGINE_CONFIG_TABLE_H

#include "base/mem.h"
#include "engine/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum config_kind {
	CONFIG_COUNT,    /* range is lo..hi */
	CONFIG_SIZE,     /* bytes, KiB, MiB, GiB; range is lo..hi */
	CONFIG_DURATION, /* ms, s, m, h; range is lo..hi */
	CONFIG_NUMBER,   /* decimal fraction, maybe negative; range is lo..hi */
	CONFIG_SWITCH,   /* true, false */
	CONFIG_CHOICE,   /* range is a|b|c, the value its index */
	CONFIG_SET,      /* comma list; range is a|b|c, the value a bit mask */
	CONFIG_TEXT,     /* range is the lo..hi of its length */
	CONFIG_TOPIC,
	CONFIG_MADDR,
	CONFIG_IDENTITY,
	CONFIG_ACCESS,
	CONFIG_SCORE, /* a line: config_score.c */
	CONFIG_KINDS
} config_kind;

#define CONFIG_BARE_S     1u /* a bare number is seconds */
#define CONFIG_ZERO_NEVER 2u /* 0 is stored as KP_NEVER */
#define CONFIG_CAP        4u /* messages pass through: grows with max_message_size */
#define CONFIG_REPEAT     8u

typedef struct config_row {
	const char *name, *range, *def, *doc;
	config_kind kind;
	unsigned opts;
	size_t offset, width; /* of the member of struct kp_config */
} config_row;

typedef struct config_text {
	struct config_text *next;
	size_t n;
	/* the bytes and a NUL follow */
} config_text;

#define CONFIG_ROWS_MAX 192u

/* Keys whose values are lines about scores. */
typedef enum config_score {
	CONFIG_SCORE_TOPIC,
	CONFIG_SCORE_APP,
	CONFIG_SCORE_EXEMPT,
	CONFIG_SCORE_KINDS
} config_score;

struct kp_config {
	kp_mem mem;
	kp_settings s;
	unsigned kad_choice, log_choice; /* as listed in their rows */
	config_text *texts;              /* everything the slices and texts of s point at */
	kp_slice score_texts[CONFIG_SCORE_KINDS][KP_CONFIG_SCORES_MAX];
	size_t n_score_texts[CONFIG_SCORE_KINDS];
	bool given[CONFIG_ROWS_MAX]; /* set by the user */
};

extern const config_row kp_config_rows[];
extern const size_t kp_config_rows_n;

const char *kp_config_kind_text(config_kind kind);

/* Reads a value of one of the scalar kinds (COUNT … SET) into *out; a NUMBER is in millionths, as
 * int64_t.
 * False = not such a value or out of range. */
bool kp_config_read(const config_row *row, kp_slice value, uint64_t *out);

/* The text of a scalar value, which kp_config_read reads back to the same. */
void kp_config_print(const config_row *row, uint64_t value, kp_writer *out);

/* The member of a scalar row, as kp_config_read gives it. */
void kp_config_store(kp_config *cfg, const config_row *row, uint64_t value);
uint64_t kp_config_load(const kp_config *cfg, const config_row *row);
void kp_config_store_at(uint8_t *member, const config_row *row, uint64_t value);

/* What would be right, in words. */
void kp_config_expect(const config_row *row, kp_writer *out);

/* lo..hi of a row that has such a range. */
void kp_config_bounds(const config_row *row, uint64_t *lo, uint64_t *hi);

/* Rows of kind SCORE: whether a line can be read, the lines given so far, and what they say
 * together into the settings. */
bool kp_config_score_valid(const config_row *row, kp_slice line);
kp_slice *kp_config_score_texts(kp_config *cfg, const config_row *row, size_t **n);
void kp_config_score_derive(kp_config *cfg);

#ifdef __cplusplus
}
#endif
#endif
