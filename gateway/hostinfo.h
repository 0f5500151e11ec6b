/* hostinfo.h - what the host knows about itself: its own addresses.
 *
 * What it is: the answer to "is this address the host itself?", one question per new flow, from one of two suppliers:
 *	hostinfo_new()		the set of addresses of the gateway's network namespace, dumped once and kept current by netlink
 *				notifications (libmnl): one look-up
 *	hostinfo_plain_new()	asks the kernel each time, by bind(); remembers nothing and needs libc alone
 * What it is not: a watch on anything; the owner polls hostinfo_fd() and calls hostinfo_read().
 * Below: slirp/base; hostinfo.c: libmnl, so a program without libmnl links hostinfo_plain.c and names only that.
 * Above: gateway, gateway/doors.  rtnetlink(7), ip(7).
 * prefixes: hostinfo_
 * syscalls: socket bind sendto recvmsg setsockopt close
 */
#ifndef GATEWAY_HOSTINFO_H
#define GATEWAY_HOSTINFO_H

#include "slirp/base/addr.h"

#include <glib.h>
#include <stdbool.h>

struct hostinfo;

struct hostinfo_ops {
	bool (*is_own)(const struct hostinfo *h, const struct addr *a);
	int (*read)(struct hostinfo *h);
	void (*free)(struct hostinfo *h);
};

/* What has changed; in hostinfo.changes until the owner takes it out. */
enum { HOSTINFO_ADDRESSES = 1, HOSTINFO_ROUTES = 2, HOSTINFO_LINKS = 4 };

/* The front of every supplier's own struct. */
struct hostinfo {
	const struct hostinfo_ops *ops;
	int fd;
	unsigned changes;
};

/* Subscribes and takes the first dump.  NULL with err set when the kernel refuses. */
struct hostinfo *hostinfo_new(GError **err);
/* Cannot fail. */
struct hostinfo *hostinfo_plain_new(GError **err);

static inline void hostinfo_free(struct hostinfo *h)
{
	if (h)
		h->ops->free(h);
}

/* Non-blocking; readable when something changed.  -1: nobody says so. */
static inline int hostinfo_fd(const struct hostinfo *h)
{
	return h->fd;
}

/* Takes what the descriptor has and adds to changes what it was about.  After lost notifications (ENOBUFS) the whole set is dumped anew and
 * everything counts as changed; should the dump fail, the old set stays in force, -errno comes back, and the next call tries again. */
static inline int hostinfo_read(struct hostinfo *h)
{
	return h->ops->read(h);
}

/* Whether an interface of this namespace, loopback among them, has the address. */
static inline bool hostinfo_is_own(const struct hostinfo *h, const struct addr *a)
{
	return h->ops->is_own(h, a);
}

#endif
