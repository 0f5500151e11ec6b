/* host_unix.h - the upstream that is an AF_UNIX stream socket of the host.
 *
 * What it is: upstream_ops over a connected socket; what it shares with a TCP socket is host_tcp.c's, struct and all (struct host_tcp,
 * host_tcp_event(), host_tcp_close()).
 * What it is not: an owner of the flow (flow_tcp.c).
 * Facts of Linux it lives with, each with a test in tests/unit/gateway/host_unix_test.c:
 *   1 recv(NULL, n, MSG_TRUNC) is EFAULT: consuming reads into scratch memory;
 *   2 each write is a buffer of its own and is charged hundreds of bytes: 208 KiB take 278 writes of one byte.  room is what SO_MEMINFO
 *     says of sk_wmem_alloc, less that overhead;
 *   3 EPOLLOUT is told when three quarters are free, not a third;
 *   4 a peek can stop short with more behind (another sender's credentials, passed descriptors): only -EAGAIN means empty;
 *   5 there is no RST: closing with bytes unread is ECONNRESET for the other side, without them it is an end in order.
 * SO_PEEK_OFF exists since Linux 3.4 and counts as TCP's does; the receive buffer is the sender's and cannot be raised.
 * Below: host_tcp.h.  Above: flow_tcp.c.  docs/DESIGN.md 4, trap 5.
 */
#ifndef GATEWAY_HOST_UNIX_H
#define GATEWAY_HOST_UNIX_H

#include "gateway/host_tcp.h"

/* A connected, non-blocking, close-on-exec socket, or -errno: -ECONNREFUSED when nobody listens at path, or too many wait there.  Never
 * blocks. */
int host_unix_dial(const char *path);

/* As host_tcp_init(): fd is connected, watch is registered for HOST_TCP_EVENTS; fd becomes h's. */
void host_unix_init(struct host_tcp *h, struct host_tcp_pool *pool, int fd, struct loop_watch *watch);

#endif
