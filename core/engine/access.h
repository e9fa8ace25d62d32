/* Whom this node has to do with: the keys `allow` and `deny`, lists of peer ids and networks. Deny
 * goes before allow; an empty allow list allows everybody else. */
#ifndef KP_ENGINE_ACCESS_H
#define KP_ENGINE_ACCESS_H

#include "base/slice.h"
#include "wire/peer_id.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_ACCESS_MAX 256u /* rules of one list */

/* A peer id, or the addresses that begin with `bits` bits of ip. */
typedef struct kp_access_rule {
	kp_peer_id peer; /* n == 0: a network */
	uint8_t family, bits;
	uint8_t ip[16]; /* zero behind `bits` */
} kp_access_rule;

typedef struct kp_access_list {
	kp_access_rule rules[KP_ACCESS_MAX];
	size_t n, n_peers; /* rules; of them peer ids */
} kp_access_list;

typedef struct kp_access {
	kp_access_list allow, deny;
} kp_access;

/* A peer id, an address, or a network as ADDRESS/BITS. False = neither; *out is then unchanged. */
bool kp_access_parse(kp_slice text, kp_access_rule *out);
void kp_access_write(const kp_access_rule *r, kp_writer *w);

/* Adds a rule, once. False = the list is full. */
bool kp_access_add(kp_access_list *l, const kp_access_rule *r);

/* Of a peer that has proved its id, at an address. ip has 4 or 16 bytes by family, 4 or 6. */
bool kp_access_ok(const kp_access *a, const kp_peer_id *peer, int family, const uint8_t *ip);

/* While one of the two is not known: false = refused, whatever the other turns out to be. */
bool kp_access_ip_ok(const kp_access *a, int family, const uint8_t *ip);
bool kp_access_peer_ok(const kp_access *a, const kp_peer_id *peer);

#ifdef __cplusplus
}
#endif
#endif
