/* dhcp4.h - the DHCPv4 server of the one guest.  RFC 2131, 2132, 951, 1542, 3396, 3397, 3442, 4039, 4702, 6842.
 *
 * What it is: a function from a message to at most one answer.  The guest's MAC and address are configuration, so there is nothing to
 * remember: no lease table, no timer; a lease that ended, was released or declined is given to the same guest again.
 *
 *	DISCOVER            OFFER; with rapid commit (80) ACK
 *	REQUEST             ACK; NAK when it asks for, or has, another address; silence when it names another server
 *	INFORM              ACK without address and times
 *	RELEASE, DECLINE    silence; DECLINE is counted (DHCP_DECLINED)
 *	BOOTP               reply with the address and the options that fit
 *
 * Answers go to ciaddr if the guest has it, to 255.255.255.255 when the broadcast flag asks so or the answer is NAK, else to yiaddr; on
 * Ethernet always to the guest's MAC.
 * Below: dhcp_wire, names_wire, stack.h (stack_dgram).  Above: service.c.
 */
#ifndef SLIRP_DHCP4_H
#define SLIRP_DHCP4_H

#include "slirp/stack.h"

/* p: what stood behind the UDP header. */
enum reason dhcp4_in(struct stack *st, const uint8_t *p, uint32_t len);

#endif
