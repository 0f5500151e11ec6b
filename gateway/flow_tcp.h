/* flow_tcp.h - one TCP flow, either way: dial or ask the guest, hand over, end.
 *
 * Below: flow.h, dial.h, host_tcp.h, slirp/tcp_open.h, slirp/tcp_connect.h, slirp/tcp_conn.h.  Above: gateway.c, inbound.c.
 * Contract C1-C6, C19, C24, C29; B1, B5, B9; D1, D2, D4.
 */
#ifndef GATEWAY_FLOW_TCP_H
#define GATEWAY_FLOW_TCP_H

#include "gateway/flow.h"
#include "gateway/host_tcp.h"
#include "gateway/hostsock.h"
#include "slirp/tcp_conn.h"

/* What all TCP flows of a gateway share. */
struct flow_tcp_env {
	struct flow_table *table; /* made with flow_tcp_ops() */
	struct host_tcp_pool *pool;
	const struct hostsock_origin *origin;
	struct mem *mem;      /* lets allocations fail; NULL */
	int64_t dial_timeout; /* microseconds; 0: the row tcp_dial */
	/* A dial has failed, the tries-th of this flow, `age` after the first began: where to try next, while the guest's SYN is held; false: nowhere.
	 * NULL: there is one place only.  Called from the loop, or from flow_tcp_open(). */
	bool (*again)(void *arg, const struct endpoint *failed, unsigned tries, int64_t age, struct endpoint *ret);
	/* No descriptor is left: true if somebody else gave one up.  May be NULL. */
	bool (*give_way)(void *arg);
	void *arg;
	bool own_addresses; /* the guest may reach the host's own addresses */
};

/* Who began a flow toward the guest: inbound.c. */
struct flow_tcp_opener {
	void (*ended)(const struct flow_tcp_opener *o, enum reason why); /* NULL in a flow that the guest began */
	struct inbound *inbound;
	struct endpoint from; /* the client */
	uint16_t port;	      /* of the pool; 0: none */
	const uint8_t *head;  /* what the guest reads in front of the client's bytes; copied */
	uint8_t head_len;     /* 0: nothing; PREFACE_MAX at most */
	void (*settled)(void *arg); /* as in struct inbound_client */
	void (*gone)(void *arg, const struct endpoint *from, enum reason why);
	void *arg;
};

/* The calls of a table of TCP flows; the caller adds what it knows itself. */
struct flow_table_ops flow_tcp_ops(void);

/* Dials `to`, or where again() leads, for a held SYN.  R_ACCEPTED: *ret is the connection, HELD; else why the SYN is refused, with nothing left behind. */
enum reason flow_tcp_open(struct flow_tcp_env *env, const struct endpoint *to, struct tcp_conn **ret);

/* For a held SYN that leads to a descriptor which is connected already (local: of AF_UNIX); fd is the flow's in any case. */
enum reason flow_tcp_adopt(struct flow_tcp_env *env, int fd, bool local, struct tcp_conn **ret);

/* Begins a connection toward the guest for the connected descriptor fd (local: of AF_UNIX).  R_ACCEPTED: fd is the flow's, o->ended follows;
 * else fd stays the caller's and nothing is left behind.  Not from a call of the core's. */
enum reason flow_tcp_connect(struct flow_tcp_env *env, struct stack *st, const struct tuple *t, int fd, bool local,
			     const struct flow_tcp_opener *o, int64_t now);

/* The descriptor of a flow, -1 if it has none (any more). */
int flow_tcp_fd(const struct tcp_conn *c);
/* stack_host.tcp_established: the guest has accepted. */
void flow_tcp_established(struct tcp_conn *c);
/* stack_host.tcp_gone: releases socket and memory. */
void flow_tcp_gone(struct tcp_conn *c, enum reason why);

#endif
