/* ra.h - the gateway as an IPv6 router: router advertisements.  RFC 4861 6.1.1 and 6.2, RFC 8106, RFC 8319.
 *
 * What it is: answers to solicitations; the initial advertisements when the link comes up (RFC 4861 6.2.4: three, 16 s apart, fewer once
 * the guest has asked); repetitions that the guest's own frames bring.
 * What it is not: periodic, which would wake an idle gateway for ever.  The default route's lifetime of 65535 s (RFC 8319) is refreshed
 * whenever the guest sends a frame later than the tunable ra_refresh, so it ends only with the guest asleep, and its next frame of any kind
 * brings it back.  Prefix, name server and MTU are told for ever (lifetime infinite): they are configuration.
 * Not kept: MIN_DELAY_BETWEEN_RAS (RFC 4861 6.2.6) between answers to a solicitor without an address; on this link nobody else is disturbed.
 * The prefix is on-link (L); it is for the guest to choose addresses in (A) only where the configuration accepts such addresses
 * (stack_config.slaac; the gateway's does, where the prefix is a /64), because a packet from any other source than the guest's own addresses is
 * refused as spoofed.  M and O: dhcp6.h.
 * Below: ra_wire, ip_out.h.  Above: stack.c, ip_in.c.
 */
#ifndef SLIRP_RA_H
#define SLIRP_RA_H

#include "slirp/stack.h"

struct ip;

/* p: an ICMPv6 router solicitation, len bytes, checksum verified. */
enum reason ra_solicit_in(struct stack *st, const struct ip *ip, const uint8_t *p, uint32_t len, int64_t now);
/* Begins the initial advertisements, from the next ra_expire() on. */
void ra_begin(struct stack *st, int64_t now);
/* Sends the initial advertisement that is due; stack.ra_next is the deadline. */
void ra_expire(struct stack *st, int64_t now);
/* Advertises to all nodes. */
enum reason ra_refresh(struct stack *st, int64_t now);

#endif
