/* sockname.c - endpoints to and from sockaddrs.  See sockname.h. */
#include "slirp/base/sockname.h"

#include <netinet/in.h>
#include <string.h>

socklen_t sockname_put(const struct endpoint *e, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *sin = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (addr_is_v4(&e->addr)) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(e->port);
		memcpy(&sin->sin_addr, addr_v4_bytes(&e->addr), sizeof(sin->sin_addr));
		return sizeof(*sin);
	}
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(e->port);
	memcpy(&sin6->sin6_addr, e->addr.b, sizeof(sin6->sin6_addr));
	return sizeof(*sin6);
}

bool sockname_get(const struct sockaddr_storage *ss, struct endpoint *ret)
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)ss;
	const struct sockaddr_in *sin = (const struct sockaddr_in *)ss;

	switch (ss->ss_family) {
	case AF_INET:
		ret->addr = addr_from_v4((const uint8_t *)&sin->sin_addr);
		ret->port = ntohs(sin->sin_port);
		return true;
	case AF_INET6:
		ret->addr = addr_from_v6((const uint8_t *)&sin6->sin6_addr);
		ret->port = ntohs(sin6->sin6_port);
		return true;
	default:
		return false;
	}
}
