/* dial.h - starting a TCP connection to the host's network, and what its outcome means.
 *
 * Below: hostsock.h, host_tcp.h.  Above: flow_tcp.c.  RFC 1122 4.2.3.9 (which errors are final).
 */
#ifndef GATEWAY_DIAL_H
#define GATEWAY_DIAL_H

#include "gateway/hostsock.h"
#include "slirp/base/reason.h"

#include <stdbool.h>

/* A socket that is connecting or connected, or -errno.  Never blocks. */
int dial_start(const struct hostsock_origin *origin, const struct endpoint *to);
/* What the first EPOLLOUT, EPOLLERR or EPOLLHUP means: 0 connected, or -errno. */
int dial_result(int fd, uint32_t events, const struct endpoint *to);
/* err: positive errno. */
enum reason dial_reason(int err);

#endif
