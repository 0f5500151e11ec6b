/* libslirp_guestfwd.c - addresses of the subnet that lead to a command, a unix socket or the application.
 *
 * prefixes: slirp_
 * Below: libslirp_state.h, gateway/guestfwd.h.  Above: the application.
 */
#include "gateway/doors/libslirp_state.h"

#include "gateway/guestfwd.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

enum { FWD_DEFAULT_HOST = 0x0204 }; /* 0.0.2.4 */

static struct endpoint fwd_at(struct in_addr a, int port)
{
	return (struct endpoint){ .addr = addr_from_v4((const uint8_t *)&a), .port = (uint16_t)port };
}

/* The subnet's .4, unless the mask is so long that something else comes of it. */
static void fwd_fill_in(const struct Slirp *s, struct in_addr *a)
{
	uint32_t mask = s->cfg.net4.len > 96 ? UINT32_MAX << (128 - s->cfg.net4.len) : 0, net;

	if (a->s_addr)
		return;
	memcpy(&net, addr_v4_bytes(&s->cfg.net4.addr), 4);
	a->s_addr = net | htonl(FWD_DEFAULT_HOST & ~mask);
}

static int fwd_result(int err)
{
	if (!err)
		return 0;
	errno = -err;
	return -1;
}

static int fwd_add(Slirp *s, struct in_addr *guest_addr, int guest_port, const struct guestfwd_target *target)
{
	struct endpoint at;

	fwd_fill_in(s, guest_addr);
	at = fwd_at(*guest_addr, guest_port);
	if (!prefix_contains(&s->cfg.net4, &at.addr))
		return fwd_result(-EINVAL);
	return fwd_result(guestfwd_add(gateway_guestfwd(s->gw), &at, target));
}

int slirp_add_exec(Slirp *slirp, const char *cmdline, struct in_addr *guest_addr, int guest_port)
{
	libslirp_debug(SLIRP_DBG_CALL, "slirp_add_exec: port %d", guest_port);
	return fwd_add(slirp, guest_addr, guest_port, &(struct guestfwd_target){ .command = cmdline });
}

int slirp_add_unix(Slirp *slirp, const char *unixsock, struct in_addr *guest_addr, int guest_port)
{
	libslirp_debug(SLIRP_DBG_CALL, "slirp_add_unix: port %d", guest_port);
	return fwd_add(slirp, guest_addr, guest_port, &(struct guestfwd_target){ .unix_path = unixsock });
}

int slirp_add_guestfwd(Slirp *slirp, SlirpWriteCb write_cb, void *opaque, struct in_addr *guest_addr, int guest_port)
{
	libslirp_debug(SLIRP_DBG_CALL, "slirp_add_guestfwd: port %d", guest_port);
	return fwd_add(slirp, guest_addr, guest_port, &(struct guestfwd_target){ .write = write_cb, .arg = opaque });
}

int slirp_remove_guestfwd(Slirp *slirp, struct in_addr guest_addr, int guest_port)
{
	struct endpoint at = fwd_at(guest_addr, guest_port);

	libslirp_debug(SLIRP_DBG_CALL, "slirp_remove_guestfwd: port %d", guest_port);
	return fwd_result(guestfwd_remove(gateway_guestfwd(slirp->gw), &at));
}

size_t slirp_socket_can_recv(Slirp *slirp, struct in_addr guest_addr, int guest_port)
{
	struct endpoint at = fwd_at(guest_addr, guest_port);

	return guestfwd_room(gateway_guestfwd(slirp->gw), &at);
}

void slirp_socket_recv(Slirp *slirp, struct in_addr guest_addr, int guest_port, const uint8_t *buf, int size)
{
	struct endpoint at = fwd_at(guest_addr, guest_port);

	if (size > 0 && guestfwd_push(gateway_guestfwd(slirp->gw), &at, buf, (uint32_t)size) == -EMSGSIZE)
		g_log(LIBSLIRP_DOMAIN, G_LOG_LEVEL_CRITICAL, "slirp_socket_recv: %d bytes are more than can be taken: the connection is reset", size);
}
