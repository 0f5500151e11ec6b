/* ip_in.h - an IP packet from the guest: checked, attributed, handed to its protocol.
 *
 * Below: ip_frag.h, ip_wire, l4_wire, icmp_wire.  Above: stack.c.  RFC 791, 8200.
 */
#ifndef SLIRP_IP_IN_H
#define SLIRP_IP_IN_H

#include "slirp/stack.h"

#include <stdint.h>

enum reason ip_in(struct stack *st, const struct frame *f, const struct eth *eth, int64_t now);

#endif
