/* flow_tcp.h - one outbound TCP flow: dial, hand over, end.
 *
 * Below: flow.h, dial.h, host_tcp.h, slirp/tcp_open.h, slirp/tcp_conn.h.  Above: gateway.c.  Contract C1-C6, C19, C24; B1, B5, B9.
 */
#ifndef GATEWAY_FLOW_TCP_H
#define GATEWAY_FLOW_TCP_H

#include "gateway/flow.h"
#include "gateway/host_tcp.h"
#include "gateway/hostsock.h"
#include "slirp/tcp_conn.h"

/* What all TCP flows of a gateway share. */
struct flow_tcp_env {
	struct flow_table *table;
	struct host_tcp_pool *pool;
	const struct hostsock_origin *origin;
	int64_t dial_timeout; /* microseconds; D4 */
	/* A dial has failed, the tries-th of this flow, `age` after the first began: where to try next, while the guest's SYN is held; false: nowhere.
	 * NULL: there is one place only.  Called from the loop, or from flow_tcp_open(). */
	bool (*again)(void *arg, const struct endpoint *failed, unsigned tries, int64_t age, struct endpoint *ret);
	void *arg;
	struct mem *mem;      /* lets allocations fail; NULL */
	bool own_addresses;   /* the guest may reach the host's own addresses */
};

enum { FLOW_TCP_DIAL_TIMEOUT = 10000000 };

/* Dials `to`, or where again() leads, for a held SYN.  R_ACCEPTED: *ret is the connection, HELD; else why the SYN is refused, with nothing left behind. */
enum reason flow_tcp_open(struct flow_tcp_env *env, const struct endpoint *to, struct tcp_conn **ret);
/* stack_host.tcp_gone: releases socket and memory. */
void flow_tcp_gone(struct tcp_conn *c, enum reason why);

#endif
