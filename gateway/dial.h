/* dial.h - starting a TCP connection to the host's network, and what its outcome means.
 *
 * Below: hostsock.h, host_tcp.h, host_udp_err.h.  Above: flow_tcp.c.  RFC 1122 4.2.3.9 (which errors are final).
 */
#ifndef GATEWAY_DIAL_H
#define GATEWAY_DIAL_H

#include "gateway/hostsock.h"
#include "slirp/base/reason.h"

#include <stdbool.h>

/* A socket that is connecting or connected, or -errno.  Never blocks. */
int dial_start(const struct hostsock_origin *origin, const struct endpoint *to);
/* What the first EPOLLOUT, EPOLLERR or EPOLLHUP means: 0 connected, or -errno.  own: `to` may be an address of this host, where a dial can
 * meet itself; that is looked for (one system call more) and counts as refused. */
int dial_result(int fd, uint32_t events, const struct endpoint *to, bool own);
/* err: positive errno. */
enum reason dial_reason(int err);

#endif
