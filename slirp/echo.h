/* echo.h - ping: ICMP and ICMPv6 echo between the guest and whoever carries it.
 *
 * What it is: a request to the gateway's own addresses is answered here; one to anybody else goes to stack_host.echo, and what comes of
 * it comes back by stack_echo() or stack_echo_error() of stack.h, which stand in echo.c too.
 * What it is not: a table: the core keeps nothing about a ping.
 * Below: ip_out.h, icmp_wire.  Above: ip_in.c.  RFC 792, RFC 1122 3.2.2.6, RFC 4443 4.1 and 4.2.
 *
 * prefixes: echo_ stack_echo_
 */
#ifndef SLIRP_ECHO_H
#define SLIRP_ECHO_H

#include "slirp/payload.h"
#include "slirp/stack.h"
#include "slirp/wire/ip_wire.h"

/* msg: an echo request from its ICMP header on, of which head_len covers at least ICMP_HDR_LEN; checksum verified.  reassembled: from
 * fragments, so DF says nothing. */
enum reason echo_in(struct stack *st, const struct ip *ip, const struct payload *msg, bool reassembled, int64_t now);

#endif
