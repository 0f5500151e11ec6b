/* dhcp6.h - the DHCPv6 server of the one guest: one address, stateful, and what goes with it.  RFC 8415 16 and 18.3, RFC 3646, RFC 4704.
 *
 * What it is: a function from a message to at most one answer.  The guest's address is configuration, so there are no bindings to remember:
 * the first identity association (the one that names the address, if any does) gets it, every other gets NoAddrsAvail.
 *
 *	SOLICIT              ADVERTISE with preference 255; with rapid commit REPLY
 *	REQUEST              REPLY; NotOnLink for a hint outside of the guest's prefix
 *	CONFIRM              REPLY: Success, or NotOnLink when an address is not the guest's
 *	RENEW, REBIND        REPLY: the address again, strange ones with lifetime 0; RENEW of another address of the prefix: NoBinding
 *	RELEASE, DECLINE     REPLY: Success, NoBinding for associations without the address; DECLINE is counted (DHCP_DECLINED)
 *	INFORMATION-REQUEST  REPLY with name servers and search list
 *
 * By unicast (we never send the option that allows it) REQUEST, RENEW, RELEASE and DECLINE are answered UseMulticast, the rest not at all.
 * IA_TA and IA_PD are ignored.
 * Below: dhcp6_wire, names_wire, stack.h (stack_dgram).  Above: service.c.
 */
#ifndef SLIRP_DHCP6_H
#define SLIRP_DHCP6_H

#include "slirp/stack.h"

/* p: what stood behind the UDP header. */
enum reason dhcp6_in(struct stack *st, const struct tuple *t, const uint8_t *p, uint32_t len);

#endif
