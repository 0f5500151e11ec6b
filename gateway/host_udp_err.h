/* host_udp_err.h - the error queue of a datagram socket.  Below: host_udp.h.  Above: host_udp.c, host_udp_rx.c, flow_echo.c, dial.c. */
#ifndef GATEWAY_HOST_UDP_ERR_H
#define GATEWAY_HOST_UDP_ERR_H

#include "gateway/host_udp.h"
#include "slirp/wire/icmp_wire.h"

struct sock_extended_err;

void host_udp_err_prepare(struct host_udp *s); /* socket options */
/* Reads the error queue, a bounded part of it: what ICMP said is told to ops->error(), an EMSGSIZE of our own kernel leaves its MTU in
 * s->local_mtu.  The pending error of the socket is cleared. */
void host_udp_err_drain(struct host_udp *s, int64_t now);
/* What a send that failed with `err` (positive) means.  False: nothing the guest could be told. */
bool host_udp_err_local(struct host_udp *s, int err, struct host_udp_error *ret);
/* What an entry of a socket's error queue that came as ICMP or ICMPv6 means.  False: nothing the guest could be told, or no ICMP. */
bool host_udp_err_icmp(const struct sock_extended_err *ee, enum icmp_unreach *ret);

#endif
