/* hostinfo.h - what the host knows about itself: its own addresses, and the name servers it uses.
 *
 * What it is: the set of addresses of the gateway's network namespace, dumped once and kept current by netlink notifications, so that
 * "is this address the host itself?" is one look-up per new flow; and a reader of resolv.conf.
 * What it is not: a watch on anything; the owner polls hostinfo_fd() and calls hostinfo_read().
 * Below: slirp/base, libmnl.  Above: gateway, gateway/doors.  rtnetlink(7), resolv.conf(5).
 * syscalls: socket bind sendto recvmsg setsockopt openat read close
 */
#ifndef GATEWAY_HOSTINFO_H
#define GATEWAY_HOSTINFO_H

#include "slirp/base/addr.h"

#include <glib.h>
#include <stdbool.h>

enum {
	HOSTINFO_RESOLV_SIZE = 65536, /* bytes of resolv.conf that are read; name servers behind them are not seen */
};

struct hostinfo;

/* Subscribes and takes the first dump.  NULL with err set when the kernel refuses. */
struct hostinfo *hostinfo_new(GError **err);
void hostinfo_free(struct hostinfo *h);

/* Non-blocking; readable when something changed. */
int hostinfo_fd(const struct hostinfo *h);

/* Takes what the descriptor has.  After lost notifications (ENOBUFS) the whole set is dumped anew; should that fail, the old set
 * stays in force, -errno comes back, and the next call tries again. */
int hostinfo_read(struct hostinfo *h);

/* Whether an interface of this namespace, loopback among them, has the address. */
bool hostinfo_is_own(const struct hostinfo *h, const struct addr *a);

/* The name servers of a resolv.conf in their order, at most max.  Lines of other keywords, comments, addresses that do not parse and
 * addresses with a %scope are passed over.  Returns how many, or -errno when the file cannot be read. */
int hostinfo_resolv(const char *path, struct addr *ret, unsigned max);

#endif
