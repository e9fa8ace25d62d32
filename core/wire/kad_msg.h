/* Kademlia messages and keys (the libp2p kad-dht specification). */
#ifndef KP_WIRE_KAD_MSG_H
#define KP_WIRE_KAD_MSG_H

#include "base/err.h"
#include "base/slice.h"
#include "wire/peer_id.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_KAD_MSG_MAX       16384u /* bytes of message, prefix excluded: what rust reads */
#define KP_KAD_CLUSTER_LEVEL 10     /* what rust sends in requests; nobody interprets it */

typedef enum kp_kad_type {
	KP_KAD_PUT_VALUE = 0, /* also when the field is missing */
	KP_KAD_GET_VALUE = 1,
	KP_KAD_ADD_PROVIDER = 2,
	KP_KAD_GET_PROVIDERS = 3,
	KP_KAD_FIND_NODE = 4,
	KP_KAD_PING = 5,
} kp_kad_type;

typedef enum kp_kad_conn {
	KP_KAD_NOT_CONNECTED = 0,
	KP_KAD_CONNECTED = 1,
	KP_KAD_CAN_CONNECT = 2,
	KP_KAD_CANNOT_CONNECT = 3,
} kp_kad_conn;

/* Views; p == NULL: missing. */
typedef struct kp_kad_record {
	kp_slice key;
	kp_slice value;
	kp_slice time_received; /* RFC 3339 text */
	kp_slice publisher;     /* rust: peer id bytes */
	uint32_t ttl; /* rust: seconds, 0 = never expires; larger values read as 2^32 - 1 */
} kp_kad_record;

/* A peer list still to be walked; copy it to walk twice. */
typedef struct kp_kad_peers {
	kp_slice rest;
	uint32_t number; /* field number of the list */
} kp_kad_peers;

typedef struct kp_kad_msg {
	kp_kad_type type;
	bool has_record;
	int32_t cluster_level; /* 0 when missing */
	kp_slice key;          /* p == NULL: missing */
	kp_kad_record record;  /* when has_record */
	kp_kad_peers closer;   /* for kp_kad_next_peer */
	kp_kad_peers providers;
	uint32_t n_closer, n_providers; /* entries, unusable ones included */
} kp_kad_msg;

typedef struct kp_kad_peer {
	kp_peer_id id;
	kp_slice addrs; /* for kp_kad_next_addr */
	kp_kad_conn connection;
} kp_kad_peer;

/* Reads a message (without length prefix) and checks all that is nested. KP_E_PROTO = malformed, a
 * known field of a wrong wire type, or an unknown message type; KP_E_TOOBIG = over KP_KAD_MSG_MAX.
 */
kp_err kp_kad_parse(kp_slice in, kp_kad_msg *out);

/* The next usable entry; one with a bad or missing id or an unknown connection value is skipped.
 * False at the end. */
bool kp_kad_next_peer(kp_kad_peers *rest, kp_kad_peer *out);

/* The next binary multiaddr of an entry, not judged. False at the end. */
bool kp_kad_next_addr(kp_slice *addrs, kp_slice *addr);

/* A peer entry to write. */
typedef struct kp_kad_peer_out {
	const kp_peer_id *id;
	const kp_slice *addrs; /* binary multiaddrs */
	size_t n_addrs;
	kp_kad_conn connection;
} kp_kad_peer_out;

/* A message to write. */
typedef struct kp_kad_out {
	kp_kad_type type;
	int32_t cluster_level;       /* left out when 0 */
	kp_slice key;                /* left out when missing or empty */
	const kp_kad_record *record; /* NULL = none */
	const kp_kad_peer_out *closer;
	size_t n_closer;
	const kp_kad_peer_out *providers;
	size_t n_providers;
} kp_kad_out;

/* Appends the message with its length prefix, fields ascending. Peers that would carry it over
 * KP_KAD_MSG_MAX are left out from the end: closer peers first, then providers. KP_E_TOOBIG = too
 * long even without peers (nothing is written), or w is full. */
kp_err kp_kad_write(kp_writer *w, const kp_kad_out *m);

/* ---- keys: SHA-256 of a peer id or record key, computed by the caller ---- */

#define KP_KAD_KEY_BITS 256u

typedef struct kp_kad_key {
	uint8_t b[32];
} kp_kad_key;

/* a XOR b, big endian. */
kp_kad_key kp_kad_distance(const kp_kad_key *a, const kp_kad_key *b);

/* Less than, equal to or greater than 0 as a is nearer to target than b, equally near, or farther.
 */
int kp_kad_distance_cmp(const kp_kad_key *target, const kp_kad_key *a, const kp_kad_key *b);

/* Leading bits that a and b share, 0 to 256. The bucket index of rust is 255 - cpl. */
unsigned kp_kad_cpl(const kp_kad_key *a, const kp_kad_key *b);

#ifdef __cplusplus
}
#endif
#endif
