/* libslirp_guestfwd.c - addresses of the subnet that lead to a command, a unix socket or the application.
 *
 * prefixes: slirp_
 * Below: libslirp_state.h.  Above: the application.
 */
#include "gateway/doors/libslirp_state.h"

#include <errno.h>

int slirp_add_exec(Slirp *slirp, const char *cmdline, struct in_addr *guest_addr, int guest_port)
{
	errno = ENOTSUP;
	return -1;
}

int slirp_add_unix(Slirp *slirp, const char *unixsock, struct in_addr *guest_addr, int guest_port)
{
	errno = ENOTSUP;
	return -1;
}

int slirp_add_guestfwd(Slirp *slirp, SlirpWriteCb write_cb, void *opaque, struct in_addr *guest_addr, int guest_port)
{
	errno = ENOTSUP;
	return -1;
}

int slirp_remove_guestfwd(Slirp *slirp, struct in_addr guest_addr, int guest_port)
{
	errno = ENOENT;
	return -1;
}

size_t slirp_socket_can_recv(Slirp *slirp, struct in_addr guest_addr, int guest_port)
{
	return 0;
}

void slirp_socket_recv(Slirp *slirp, struct in_addr guest_addr, int guest_port, const uint8_t *buf, int size)
{
}
