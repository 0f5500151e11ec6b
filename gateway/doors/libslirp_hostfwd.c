/* libslirp_hostfwd.c - ports of the host that lead to the guest.
 *
 * prefixes: slirp_
 * Below: libslirp_state.h.  Above: the application.
 */
#include "gateway/doors/libslirp_state.h"

#include <errno.h>

int slirp_add_hostxfwd(Slirp *slirp, const struct sockaddr *haddr, socklen_t haddrlen, const struct sockaddr *gaddr, socklen_t gaddrlen,
		       int flags)
{
	errno = ENOTSUP;
	return -1;
}

int slirp_remove_hostxfwd(Slirp *slirp, const struct sockaddr *haddr, socklen_t haddrlen, int flags)
{
	errno = ENOENT;
	return -1;
}

int slirp_add_hostfwd(Slirp *slirp, int is_udp, struct in_addr host_addr, int host_port, struct in_addr guest_addr, int guest_port)
{
	struct sockaddr_in h = { .sin_family = AF_INET, .sin_port = htons((uint16_t)host_port), .sin_addr = host_addr };
	struct sockaddr_in g = { .sin_family = AF_INET, .sin_port = htons((uint16_t)guest_port), .sin_addr = guest_addr };

	return slirp_add_hostxfwd(slirp, (struct sockaddr *)&h, sizeof(h), (struct sockaddr *)&g, sizeof(g), is_udp ? SLIRP_HOSTFWD_UDP : 0);
}

int slirp_remove_hostfwd(Slirp *slirp, int is_udp, struct in_addr host_addr, int host_port)
{
	struct sockaddr_in h = { .sin_family = AF_INET, .sin_port = htons((uint16_t)host_port), .sin_addr = host_addr };

	return slirp_remove_hostxfwd(slirp, (struct sockaddr *)&h, sizeof(h), is_udp ? SLIRP_HOSTFWD_UDP : 0);
}
