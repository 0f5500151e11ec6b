/* resolv.h - the one reader of resolv.conf.
 *
 * What it is not: a watch (resolv_watch.h).
 * Below: slirp/base.  Above: gateway.c, resolv_watch.c, netns_attach.c, probe.c.  resolv.conf(5).
 */
#ifndef GATEWAY_RESOLV_H
#define GATEWAY_RESOLV_H

#include "slirp/base/addr.h"

enum {
	RESOLV_SIZE = 65536, /* bytes of resolv.conf that are read; name servers behind them are not seen */
};

/* The name servers of a resolv.conf in their order, at most max.  Lines of other keywords, comments, addresses that do not parse and
 * addresses with a %scope are passed over.  Returns how many, or -errno when the file cannot be read. */
int resolv_servers(const char *path, struct addr *ret, unsigned max);

#endif
