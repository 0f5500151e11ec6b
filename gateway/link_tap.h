/* link_tap.h - the link that is a tap device.
 *
 * What it is: creating a tap in the namespace the caller stands in (link_tap_create), and driving one that somebody made (link_tap_new),
 * with IFF_VNET_HDR, checksum and segmentation offload where the kernel has them and plain frames where not.
 * Below: link.h, slirp/wire.  Above: gateway/netns.c (create), gateway/doors (new).  linux/if_tun.h; virtio spec 5.1.6.
 */
#ifndef GATEWAY_LINK_TAP_H
#define GATEWAY_LINK_TAP_H

#include "gateway/link.h"

#include <glib.h>
#include <stdbool.h>

/* Opens /dev/net/tun and makes the interface in the calling thread's network namespace (needs CAP_NET_ADMIN there).  offload false
 * asks for a plain tap.  Returns a non-blocking, close-on-exec descriptor, or -1 with err set. */
int link_tap_create(const char *ifname, bool offload, GError **err);

/* Takes ownership of fd, also on failure.  Whether the descriptor carries virtio-net headers is asked from the kernel. mtu: as in gateway_config. */
struct link *link_tap_new(int fd, uint16_t mtu, GError **err);

#endif
