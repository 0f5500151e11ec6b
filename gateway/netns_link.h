/* netns_link.h - the interfaces of a guest's network namespace, configured over netlink.
 *
 * What it is: loopback up; the tap's MAC, MTU, addresses and default routes; the sysctls that keep IPv6 quiet on it.
 * Below: libmnl.  Above: gateway/netns.c.  rtnetlink(7).  Acts on the namespace the calling thread stands in.
 * syscalls: socket bind sendto recvmsg openat write close
 */
#ifndef GATEWAY_NETNS_LINK_H
#define GATEWAY_NETNS_LINK_H

#include "gateway/gateway.h"

/* Brings ifname into service as cfg says. */
bool netns_link_setup(const char *ifname, const struct gateway_config *cfg, GError **err);

#endif
