/* resolv_watch.h - the host's resolv.conf, followed while the gateway runs.
 *
 * What it is: an inotify descriptor in the loop.  Watched are the file itself (written in place, also through a bind mount), and the
 * directory of every step of the symlinks that lead to it (replaced by rename, link swapped, file made anew).  A directory that is missing
 * is awaited in the nearest one that exists.  50 ms after the last change the file is read and its name servers are handed over.
 * What it is not: a parser or an opener (resolv_servers(): the one function that reads it), a server list (dns_relay_set_servers()).
 * Blind to: a file system mounted over the path (inotify says nothing), a directory of the path renamed higher up.
 * Below: loop.h, resolv.h.  Above: gateway.c.  inotify(7), resolv.conf(5).
 */
#ifndef GATEWAY_RESOLV_WATCH_H
#define GATEWAY_RESOLV_WATCH_H

#include "gateway/loop.h"
#include "slirp/base/addr.h"

struct resolv_watch;

/* Called from the loop with what the file says now; n 0: it names nobody.  A file that cannot be read changes nothing. */
typedef void resolv_watch_fn(void *arg, const struct addr *servers, unsigned n);

/* NULL: no memory, or no inotify to be had (errno): the file is not followed. */
struct resolv_watch *resolv_watch_new(struct loop *loop, const char *path, resolv_watch_fn *fn, void *arg);
void resolv_watch_free(struct resolv_watch *w); /* NULL is a no-op */

#endif
