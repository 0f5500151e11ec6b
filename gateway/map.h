/* map.h - from the address the guest dials to the address we dial.
 *
 * What it is: the order never-dialed, gateway and name-server addresses, the guest's own subnet, the host's own addresses.
 * What it is not: a rule language (policy/), a socket.
 * Below: policy/, hostinfo.h, dns_relay.h, gateway.h.  Above: gateway.c.  docs/DESIGN.md 6; C5, L8, B19.
 */
#ifndef GATEWAY_MAP_H
#define GATEWAY_MAP_H

#include "gateway/dns_relay.h"
#include "gateway/gateway.h"
#include "gateway/hostinfo.h"

/* R_ACCEPTED: *ret is where to dial; else why the guest's SYN to dst is refused.  host may be NULL: nothing is known to be the host's own. */
enum reason map_to_host(const struct gateway_config *cfg, const struct hostinfo *host, const struct dns_relay *dns,
			const struct endpoint *dst, struct endpoint *ret);

/* `to` is the host's loopback: *ret (which may be `to`) is that of the other family, to be tried if this one fails.  False: it is not. */
bool map_other_loopback(const struct endpoint *to, struct endpoint *ret);

#endif
