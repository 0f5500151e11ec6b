/* netns_attach.h - a tap of ours in a network namespace that exists already.
 *
 * What it is: the child of `slirpgate attach`: finds the namespace, enters it, puts a configured tap there; the descriptor comes out.
 * What it is not: a change to anything else there: mounts, resolv.conf, other interfaces and processes stay as they are.
 * Below: netns_child.h, netns_link.h, resolv.h.  Above: gateway/doors.  setns(2), ioctl_ns(2), openat2(2).
 *
 *   child: open the namespace; setns, joining the user namespace that owns it when that is what it takes
 *          unshare a network namespace for a moment, make the tap in it, move the tap to where it belongs; setns back, configure, TAP
 *
 * Why the tap is not made where it belongs (measured, Linux 6.18): a descriptor of /dev/net/tun holds the namespace it was opened in.
 *   opened in the guest's namespace:  5 s after its last process the namespace still lives, the descriptor is silent; it would for ever
 *   opened elsewhere, tap moved:      12 ms after its last process the tap is gone: EPOLLERR, then read() and write() say EBADFD
 * So the namespace's end is the tap's end, told by the kernel without polling and for every kind of target: nobody has to watch a
 * process or a file.  What holds the namespace is what holds it without us: processes, mounts such as /run/netns/NAME, descriptors, and
 * sockets with data under way, which therefore still arrives.  The momentary namespace lives as long as the descriptor, empty.
 * syscalls: openat openat2 ioctl setns unshare socket bind sendto recvmsg write close
 */
#ifndef GATEWAY_NETNS_ATTACH_H
#define GATEWAY_NETNS_ATTACH_H

#include "gateway/netns_child.h"

enum netns_attach_kind {
	NETNS_ATTACH_PID,
	NETNS_ATTACH_PATH,
	NETNS_ATTACH_NAME, /* of ip-netns(8) */
};

struct netns_attach_target {
	enum netns_attach_kind kind;
	const char *text; /* as given */
};

struct netns_attach_config {
	struct netns_attach_target target;
	const struct gateway_config *net; /* addresses, prefixes, MAC, MTU, families */
	const char *ifname;
	bool offload; /* ask for a tap with offloads */
};

/* The descriptor of a tap in service, -1 with err.  No process is left behind. */
int netns_attach(const struct netns_attach_config *cfg, GError **err);

/* One sentence when the resolv.conf that programs in the namespace most likely read names no name server that they reach
 * through us, to be freed; else NULL.
 * PID: that of the process's root.  NAME: /etc/netns/NAME/resolv.conf, which ip-netns(8) shows them, or ours.  PATH: ours, unless it
 * is of the form /proc/PID/ns/net. */
char *netns_attach_resolv_warning(const struct netns_attach_target *target, const struct gateway_config *net);

#endif
