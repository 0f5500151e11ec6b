/* flow_dgram.h - UDP of the guest: which host socket, which peers, for how long.
 *
 * What it is: one unconnected host socket per endpoint of the guest (endpoint-independent mapping: every server sees the same port), and
 * one session per far endpoint it talks to.  Sessions filter what comes in, translate the far address back, and age.
 * What it is not: sockets (host_udp.h), the DNS relay, a policy.
 *
 *	no session --guest sends--> UNREPLIED --far side answers--> REPLIED		far port 53: DNS from the first to the last
 *	any of them --idle for its class's time, or evicted at the cap--> gone;  the last session of a socket closes it
 *
 * Cost: finding, touching and expiring a session is O(1): sessions of one class live equally long, so each class is a list in order
 * of use, and one timer looks at the three heads.  Nothing is allocated per datagram.
 * Below: host_udp.h, slirp/base.  Above: gateway.c.  Contract C41-C45; B34-B38; D6, D7.  RFC 4787 REQ-1, 5, 6, 8; RFC 5508.
 */
#ifndef GATEWAY_FLOW_DGRAM_H
#define GATEWAY_FLOW_DGRAM_H

#include "gateway/gateway_tunable.h"
#include "gateway/hostsock.h"
#include "gateway/loop.h"
#include "slirp/stack.h"

#include <stdbool.h>
#include <stdint.h>

struct flow_dgram_stats {
	uint64_t opened, now, sockets; /* sessions; host sockets */
	uint64_t to_host, to_guest;    /* datagrams */
	uint64_t evicted;	       /* sessions, at the caps */
	uint64_t sends, receives;      /* system calls for them */
	uint64_t raised;	       /* bytes of receive buffers beyond the usual, of all sockets now */
};

struct flow_dgram_env {
	struct loop *loop;
	const struct hostsock_origin *origin;
	struct reason_tally *drops; /* of what flow_dgram_send() did not return */
	const struct gateway_tunables *tune; /* of the caller, who keeps it: the rows udp_* */
	struct mem *mem; /* lets allocations fail; NULL */
	bool open_filter;  /* endpoint-independent filtering: whoever knows the port may send to the guest; else only those it sent to */
	uint32_t run_each; /* largest datagram that the link carries unfragmented */

	/* Where a destination of the guest leads: R_ACCEPTED and *ret, or why nowhere. */
	enum reason (*map)(void *arg, const struct endpoint *far, struct endpoint *ret);
	/* As stack_dgram() and stack_dgram_error(). */
	enum reason (*to_guest)(void *arg, const struct tuple *t, const struct dgram_meta *m, const struct iovec *iov, int n, uint32_t len);
	void (*error)(void *arg, const struct tuple *t, enum icmp_unreach why, uint32_t mtu, const struct addr *from);
	/* No descriptor is left: true if one was given up.  Asked before a session has to end, of which it may end one itself.  May be NULL. */
	bool (*give_way)(void *arg);
	void *arg;
};

struct flow_dgram;

void flow_dgram_env_init(struct flow_dgram_env *env); /* zeroes; the tunables' defaults */

/* NULL: no memory.  env is copied. */
struct flow_dgram *flow_dgram_new(const struct flow_dgram_env *env);
void flow_dgram_free(struct flow_dgram *d); /* before loop_free(); NULL is a no-op */

/* stack_host.dgram: gathers; the payload must stay valid until flow_dgram_flush().  Never calls to_guest() or error(). */
enum reason flow_dgram_send(struct flow_dgram *d, const struct tuple *t, const struct dgram_meta *m, const struct iovec *iov, int n,
			    uint32_t len, int64_t now);
/* Sends what was gathered: loop_before_flush(). */
void flow_dgram_flush(struct flow_dgram *d, int64_t now);
/* Ends the sessions that are due, a bounded number; the table's own timer calls it. */
void flow_dgram_expire(struct flow_dgram *d, int64_t now);
/* Somebody needs a descriptor: closes the least recently used socket.  False: there is none to give. */
bool flow_dgram_give_way(struct flow_dgram *d);

/* Interfaces of the host have changed.  A socket is bound to --outbound-if by its number: where that is another now, sockets made before are
 * left behind one by one, when their guest endpoint next sends. */
void flow_dgram_host_changed(struct flow_dgram *d);

void flow_dgram_stats(const struct flow_dgram *d, struct flow_dgram_stats *ret);

#endif
