/* The configuration: string keys (they are ABI), checked values, derived capacities. One table in
 * config.c is the source of the defaults, the checks and docs/config.md. */
#ifndef KP_ENGINE_CONFIG_H
#define KP_ENGINE_CONFIG_H

#include "conn/conn.h"
#include "engine/access.h"
#include "svc/gossipsub/params.h"
#include "svc/kad/kad.h"
#include "wire/multiaddr.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_CONFIG_ADDRS_MAX  64
#define KP_CONFIG_TOPICS_MAX 256
#define KP_CONFIG_SCORES_MAX 64  /* values of score.topic, score.app, score.ip_exempt each */
#define KP_TOPIC_MAX         256 /* bytes of a topic of ours */

typedef enum kp_inbox_policy {
	KP_INBOX_DROP_OLD,
	KP_INBOX_DROP_NEW,
	KP_INBOX_BLOCK /* direct messages are held back; anything else as DROP_NEW */
} kp_inbox_policy;

/* Which optional events are produced (key `events`). */
#define KP_EVENTS_PEERS 1u
#define KP_EVENTS_LOG   2u
#define KP_EVENTS_STATS 4u

typedef struct kp_config kp_config; /* copyable by kp_config_copy only: it owns texts */

kp_config *kp_config_new(void);                  /* NULL = out of memory */
kp_config *kp_config_copy(const kp_config *cfg); /* a reference is kept, not the caller's */
void kp_config_free(kp_config *cfg);             /* wipes the identity */

/* Sets one key; repeatable keys append. KP_E_INVAL with a text that names the key, the value and
 * what would be right; KP_E_NOMEM, KP_E_LIMIT (too many values). */
kp_err kp_config_set(kp_config *cfg, kp_slice key, kp_slice value, char *text, size_t cap);

/* Relations between keys (D_low ≤ D …), once, when a node is made. */
kp_err kp_config_check(const kp_config *cfg, char *text, size_t cap);

/* The table, for documentation, bindings and `info config`: n-th key, false past the end. */
typedef struct kp_config_key {
	const char *name, *type, *range, *def, *doc;
	bool repeatable;
} kp_config_key;
bool kp_config_key_at(size_t n, kp_config_key *out);
/* The current value of a key as text (repeatable: n-th; the identity is never shown: "set" or "").
 */
bool kp_config_get(const kp_config *cfg, size_t key, size_t n, kp_writer *out);

/* The checked values (valid while cfg lives). */
typedef struct kp_settings {
	kp_slice topics[KP_CONFIG_TOPICS_MAX];
	size_t n_topics;
	kp_maddr listen[KP_CONFIG_ADDRS_MAX], bootstrap[KP_CONFIG_ADDRS_MAX];
	kp_maddr announce[KP_CONFIG_ADDRS_MAX], direct[KP_CONFIG_ADDRS_MAX];
	size_t n_listen, n_bootstrap, n_announce, n_direct;
	kp_access access;
	bool has_identity;
	uint8_t identity_seed[32]; /* secret */
	const char *agent, *protocol_version;
	kp_time idle_timeout_ns; /* KP_NEVER = 0 in the config */
	kp_gs_params gs;         /* its score tables are these: */
	kp_score_topic score_topics[KP_CONFIG_SCORES_MAX];
	kp_score_app score_apps[KP_CONFIG_SCORES_MAX];
	kp_score_net score_exempt[KP_CONFIG_SCORES_MAX];
	kp_conn_params conn;
	kp_kad_params kad;
	bool kad_off;
	unsigned max_connections, trim_to, half_open_max, conns_per_peer_max;
	kp_time dial_timeout_ns;
	unsigned dials_max; /* transport dials at once */
	uint64_t memory_max;
	/* host side */
	unsigned inbox_max_messages, outbox_max_messages, requests_max,
	        workers; /* workers 0 = auto */
	uint64_t inbox_max_bytes, inbox_total_bytes, outbox_max_bytes;
	kp_inbox_policy inbox_policy;
	unsigned events; /* KP_EVENTS_* */
	kp_level log_level;
	bool log_off;              /* log.level = off */
	kp_time stats_interval_ns; /* 0 = none */
} kp_settings;

const kp_settings *kp_config_settings(const kp_config *cfg);

#ifdef __cplusplus
}
#endif
#endif
