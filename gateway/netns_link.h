/* netns_link.h - the interfaces of a guest's network namespace, configured over netlink.
 *
 * What it is: loopback up; the tap's MAC, MTU, addresses and default routes; the sysctls that keep IPv6 quiet on it;
 * an interface moved from one namespace to another.
 * Below: libmnl.  Above: gateway/netns_child.c, gateway/netns_attach.c.  rtnetlink(7).  Acts on the namespace the calling thread stands in.
 * syscalls: socket bind sendto recvmsg openat write close
 */
#ifndef GATEWAY_NETNS_LINK_H
#define GATEWAY_NETNS_LINK_H

#include "gateway/gateway.h"

/* Brings ifname into service as cfg says. */
bool netns_link_setup(const char *ifname, const struct gateway_config *cfg, GError **err);

/* Gives ifname to the namespace that ns is a descriptor of. */
bool netns_link_move(const char *ifname, int ns, GError **err);

#endif
