/* flow_echo.h - pings of the guest to the world, by ping sockets (SOCK_DGRAM of IPPROTO_ICMP and ICMPV6), which need no privilege.
 *
 * What it is: one unconnected ping socket per (guest address, echo id): the kernel gives each socket an id of its own, so the guest's ids stay
 * apart, and a program that pings a thousand addresses under one id costs one descriptor.  Ids are translated, sequence numbers go
 * through; what answers no ping of the guest is dropped: each socket keeps a keyed bitmap of whom it was asked to ping.
 * What it is not: an answer for the gateway's own addresses (slirp/echo.h), traceroute's other kinds, a policy.
 *
 *	no socket --guest pings--> OPEN --idle 60 s (either way), or evicted by one too many (least recently used)--> gone
 *
 * Linux lets only the groups of net.ipv4.ping_group_range have ping sockets (for IPv6 too).  Where that leaves us out, the guest hears
 * "administratively prohibited" at once instead of waiting, R_PING_FORBIDDEN counts it, and the journal says it, once until it changes.
 * Below: loop.h, hostsock.h, dial.h, journal.h, slirp/base.  Above: gateway.c.  icmp(7), RFC 5508 REQ-1, 2, 5, 6.
 */
#ifndef GATEWAY_FLOW_ECHO_H
#define GATEWAY_FLOW_ECHO_H

#include "gateway/gateway_tunable.h"
#include "gateway/hostsock.h"
#include "gateway/journal.h"
#include "gateway/loop.h"
#include "slirp/stack.h"

#include <stdbool.h>
#include <stdint.h>

struct flow_echo_stats {
	uint64_t to_host, to_guest; /* requests, replies */
	uint64_t evicted;
	uint32_t now; /* sockets */
};

struct flow_echo_env {
	struct loop *loop;
	const struct hostsock_origin *origin;
	struct reason_tally *drops; /* of what flow_echo_send() did not return */
	struct mem *mem; /* lets allocations fail; NULL */
	const struct journal *journal; /* NULL: says nothing */
	const struct gateway_tunables *tune; /* of the caller, who keeps it: the rows ping_*; NULL: the defaults */

	/* Where a destination leads: R_ACCEPTED and *ret, or why nowhere. */
	enum reason (*map)(void *arg, const struct addr *far, struct addr *ret);
	/* As stack_echo() and stack_echo_error(); called from the loop, never from flow_echo_send(). */
	enum reason (*to_guest)(void *arg, const struct echo *e, const struct iovec *data, int n, uint32_t len);
	void (*error)(void *arg, const struct echo *e, enum icmp_unreach why, uint32_t mtu, const struct addr *from);
	void *arg;
};

struct flow_echo;

/* NULL: no memory.  env is copied. */
struct flow_echo *flow_echo_new(const struct flow_echo_env *env);
void flow_echo_free(struct flow_echo *t); /* before loop_free(); NULL is a no-op */

/* stack_host.echo: sends at once. */
enum reason flow_echo_send(struct flow_echo *t, const struct echo *e, const struct iovec *data, int n, uint32_t len, int64_t now);

/* Interfaces of the host have changed.  A socket is bound to --outbound-if by its number: where that is another now, sockets made before are
 * left behind one by one, at the next ping of their id. */
void flow_echo_host_changed(struct flow_echo *t);

void flow_echo_stats(const struct flow_echo *t, struct flow_echo_stats *ret);

#endif
