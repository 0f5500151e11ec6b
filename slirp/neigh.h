/* neigh.h - the gateway as a neighbour: ARP and NDP.
 *
 * What it is: answers for the gateway's and the name server's address, and for every other address of the guest's subnet that is not
 * the guest's own (so that a packet to it reaches ip_in.c and is refused truthfully there).  A probe (RFC 5227 2.1, RFC 4862 5.4) of such
 * an address hears the same answer, which is the conflict the guest looks for; a probe or an announcement of the guest's own address
 * hears nothing and counts as nothing.
 * Where guests are learned (stack_config.any_guest) there may be several: then only the gateway's, the name server's and other addresses that
 * somebody stands for are answered for, and IPv4 answers come from a MAC made of the address, as guests that were moved here know it.
 * What it is not: a neighbour cache: the guest's MAC is configuration, or guests.h knows it.
 * Below: eth_wire, icmp_wire, ip_out.h, guests.h.  Above: stack.c, ip_in.c.  RFC 826, RFC 5227, RFC 4861.
 */
#ifndef SLIRP_NEIGH_H
#define SLIRP_NEIGH_H

#include "slirp/base/reason.h"

#include <stdint.h>

struct stack;
struct ip;
struct addr;
struct eth;

/* p: behind the Ethernet header eth. */
enum reason neigh_arp_in(struct stack *st, const struct eth *eth, const uint8_t *p, uint32_t len);
/* Asks the link who has addr. */
void neigh_ask(struct stack *st, const struct addr *addr);
/* p: an ICMPv6 neighbour solicitation or advertisement, len bytes, checksum verified. */
enum reason neigh_ndp_in(struct stack *st, const struct ip *ip, const uint8_t *p, uint32_t len);

#endif
