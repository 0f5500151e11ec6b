/* service.h - datagrams for the services that the core itself is: DHCPv4 and DHCPv6.
 *
 * What it is: who listens where, and the datagram as one run of bytes.
 * Below: dhcp4.h, dhcp6.h.  Above: ip_in.c, dgram.c.
 */
#ifndef SLIRP_SERVICE_H
#define SLIRP_SERVICE_H

#include "slirp/stack.h"

#include <stdbool.h>

/* A group address that a service listens to: 255.255.255.255, ff02::1:2 (RFC 8415 7.1).  It need not want the port. */
bool service_listens(const struct addr *a);
/* Does this datagram stay here? */
bool service_wants(const struct stack *st, const struct tuple *t);
/* A datagram that service_wants(); len bytes in n pieces. */
enum reason service_in(struct stack *st, const struct tuple *t, const struct iovec *data, int n, uint32_t len);

#endif
