/* Interfaces and socket addresses. */
#include "rt/netif.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

socklen_t kp_rt_addr_to_sock(const kp_addr *a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (a->family == 4) {
		struct sockaddr_in in;
		memset(&in, 0, sizeof in);
		in.sin_family = AF_INET;
		in.sin_port = htons(a->port);
		memcpy(&in.sin_addr, a->ip, 4);
		memcpy(out, &in, sizeof in);
		return (socklen_t)sizeof in;
	}
	struct sockaddr_in6 in6;
	memset(&in6, 0, sizeof in6);
	in6.sin6_family = AF_INET6;
	in6.sin6_port = htons(a->port);
	in6.sin6_scope_id = a->scope;
	memcpy(&in6.sin6_addr, a->ip, 16);
	memcpy(out, &in6, sizeof in6);
	return (socklen_t)sizeof in6;
}

bool kp_rt_addr_from_sock(const struct sockaddr *sa, kp_addr *out)
{
	memset(out, 0, sizeof *out);
	if (sa == NULL)
		return false;
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof in);
		out->family = 4;
		out->port = ntohs(in.sin_port);
		memcpy(out->ip, &in.sin_addr, 4);
		return true;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	struct sockaddr_in6 in6;
	memcpy(&in6, sa, sizeof in6);
	out->family = 6;
	out->port = ntohs(in6.sin6_port);
	out->scope = in6.sin6_scope_id;
	memcpy(out->ip, &in6.sin6_addr, 16);
	return true;
}

static bool netif_is_wildcard(const kp_addr *a)
{
	static const uint8_t zero[16];
	return memcmp(a->ip, zero, a->family == 4 ? 4 : 16) == 0;
}

static bool netif_wanted(const struct ifaddrs *i, const kp_addr *bound, kp_addr *out)
{
	return (i->ifa_flags & IFF_UP) != 0 && kp_rt_addr_from_sock(i->ifa_addr, out) &&
	       out->family == bound->family &&
	       kp_ip_scope_of(out->family, out->ip) != KP_SCOPE_LINK_LOCAL;
}

size_t kp_rt_netif_expand(const kp_addr *bound, kp_addr *out, size_t max)
{
	if (!netif_is_wildcard(bound)) {
		out[0] = *bound;
		return 1;
	}
	struct ifaddrs *all;
	if (getifaddrs(&all) != 0)
		return 0;
	size_t n = 0;
	for (const struct ifaddrs *i = all; i != NULL && n < max; i = i->ifa_next) {
		if (!netif_wanted(i, bound, &out[n]))
			continue;
		out[n].port = bound->port;
		out[n++].scope = 0;
	}
	freeifaddrs(all);
	return n;
}

kp_err kp_rt_net_err(int err)
{
	switch (err < 0 ? -err : err) {
	case 0:
		return KP_OK;
	case EADDRINUSE:
		return KP_E_ADDRINUSE;
	case EACCES:
	case EPERM:
		return KP_E_ACCES;
	case ETIMEDOUT:
		return KP_E_TIMEDOUT;
	case EMFILE:
	case ENFILE:
		return KP_E_LIMIT;
	case ENOMEM:
	case ENOBUFS:
		return KP_E_NOMEM;
	case EADDRNOTAVAIL:
	case EINVAL:
		return KP_E_INVAL;
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		return KP_E_NOTSUP;
	case ECANCELED:
		return KP_E_CANCELED;
	default: /* ECONNREFUSED, ECONNRESET, EPIPE, EHOSTUNREACH, ENETUNREACH … */
		return KP_E_UNREACHABLE;
	}
}
