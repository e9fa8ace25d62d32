/* Addresses of this machine, and the two forms of a socket address. */
#ifndef KP_RT_NETIF_H
#define KP_RT_NETIF_H

#include "engine/port.h"

#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KP_RT_NETIF_MAX 40u

/* Returns the length for bind and connect. */
socklen_t kp_rt_addr_to_sock(const kp_addr *a, struct sockaddr_storage *out);
bool kp_rt_addr_from_sock(const struct sockaddr *sa, kp_addr *out); /* false: neither ip4 nor ip6 */

/* What a listener on `bound` can be reached at from here: itself, or for a wildcard every address
 * of its family on an interface that is up, loopback included, link-local excluded. Returns how
 * many. */
size_t kp_rt_netif_expand(const kp_addr *bound, kp_addr *out, size_t max);

/* An errno of the network, or a libuv code (which is -errno), as ours. */
kp_err kp_rt_net_err(int err);

#ifdef __cplusplus
}
#endif
#endif
