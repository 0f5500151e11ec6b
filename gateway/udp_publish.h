/* udp_publish.h - UDP ports of the host that lead to the guest.
 *
 * What it is: sessions of clients with published ports: the guest sees the client's own address and port where it can answer them, else the
 * gateway's address with the client's port; what it answers goes back through the port the client has called, from the address it has called.
 * What it is not: a binder of ports (publish/listener.h), the guest's own UDP (flow_dgram.h).
 * A session ends when it has been idle, or as the least recently used at the cap.  Finding, touching and expiring one is O(1).
 * Below: loop.h, hostsock.h, slirp/base.  Above: gateway.c, and through it whoever has bound ports.  Contract C41.
 */
#ifndef GATEWAY_UDP_PUBLISH_H
#define GATEWAY_UDP_PUBLISH_H

#include "gateway/loop.h"
#include "slirp/stack.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	UDP_PUBLISH_SESSIONS = 4096,	 /* clients of all ports; the least recently used gives way */
	UDP_PUBLISH_PORT_SESSIONS = 1024, /* of one port; likewise (C37, F36) */
};

struct udp_publish_port;

/* A bound port; embed it.  hide, admit and left are the owner's to set, after udp_publish_add(). */
struct udp_publish_port {
	struct loop_watch watch;
	struct udp_publish *all;
	struct endpoint guest; /* whom it leads to */
	struct endpoint other; /* clients of this family lead to here instead; port 0: none do */
	struct list sessions;  /* least recently used first */
	uint32_t n;
	uint64_t evicted;
	bool hide; /* the guest sees the gateway's address in any case */
	/* May a new client come in?  R_ACCEPTED, or why not, counted by whoever says so; left() follows when its session ends.  NULL: all may. */
	enum reason (*admit)(struct udp_publish_port *p, const struct endpoint *client);
	void (*left)(struct udp_publish_port *p, const struct endpoint *client);
};

struct udp_publish_env {
	struct loop *loop;
	struct stack *stack;	    /* stack_dgram() */
	struct reason_tally *drops;
	const int64_t *idle;	    /* microseconds; the caller's */
};

struct udp_publish;

struct udp_publish *udp_publish_new(const struct udp_publish_env *env); /* NULL: no memory */
void udp_publish_free(struct udp_publish *u); /* before loop_free(), after every port was removed; NULL is a no-op */

/* fd: bound, non-blocking, stays the caller's; other: as in the struct, NULL: none.  0 or -errno. */
int udp_publish_add(struct udp_publish *u, struct udp_publish_port *p, int fd, const struct endpoint *guest, const struct endpoint *other);
/* Ends its sessions; the caller closes the descriptor. */
void udp_publish_remove(struct udp_publish_port *p);

/* stack_host.dgram, before the guest's own UDP: false: no client of a published port is meant, nothing was done. */
bool udp_publish_send(struct udp_publish *u, const struct tuple *t, const struct dgram_meta *m, const struct iovec *iov, int n, uint32_t len,
		      int64_t now, enum reason *why);

#endif
