/* hostsock.h - where host sockets are made; their names are made by slirp/base/sockname.h.
 *
 * Below: slirp/base.  Above: dial.c, dns_relay.c, host_udp.c, flow_echo.c, tests.
 */
#ifndef GATEWAY_HOSTSOCK_H
#define GATEWAY_HOSTSOCK_H

#include "slirp/base/addr.h"
#include "slirp/base/sockname.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

static inline socklen_t hostsock_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret)
{
	return sockname_put(e, ret);
}

static inline bool hostsock_endpoint(const struct sockaddr_storage *ss, struct endpoint *ret)
{
	return sockname_get(ss, ret);
}

/* Where outgoing sockets stand; zeroed: the kernel chooses. */
struct hostsock_origin {
	struct addr outbound4, outbound6; /* addr_any: unset */
	char outbound_if[16];		  /* "": unset */
};

/* A non-blocking, close-on-exec socket of the family of `to`, bound to the origin; type SOCK_STREAM or SOCK_DGRAM.
 * Descriptor or -errno. */
int hostsock_open(const struct addr *to, int type, const struct hostsock_origin *origin);
/* The same for a ping socket, icmp(7); -EACCES: net.ipv4.ping_group_range leaves this user out. */
int hostsock_open_ping(const struct addr *to, const struct hostsock_origin *origin);

/* That part of this process's descriptor limit, at least 1; INT32_MAX: there is no limit. */
int64_t hostsock_share(int part);

/* Closes a connected stream socket so that its other side sees RST (AF_UNIX has none: ECONNRESET with bytes unread, else EOF). */
void hostsock_reset(int fd);

#endif
