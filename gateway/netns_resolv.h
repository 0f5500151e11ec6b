/* netns_resolv.h - how names are resolved inside a guest's mount namespace.
 *
 * What it is: a resolv.conf of ours over the real path of /etc/resolv.conf, and a closed door before resolvers of the host that a libc
 * would otherwise ask behind the gateway's back.
 * Below: mount(2).  Above: gateway/netns.c.  resolv.conf(5).  Needs CAP_SYS_ADMIN over the mount namespace.
 * syscalls: openat write close mount umount2 realpath
 */
#ifndef GATEWAY_NETNS_RESOLV_H
#define GATEWAY_NETNS_RESOLV_H

#include "gateway/gateway.h"

/* The text of the file, to be freed by the caller. */
char *netns_resolv_text(const struct gateway_config *cfg, const char *const *search);

/* Binds the file.  On failure err says why, and names are resolved as on the host: the caller warns and goes on. */
bool netns_resolv_bind(const struct gateway_config *cfg, const char *const *search, GError **err);

#endif
