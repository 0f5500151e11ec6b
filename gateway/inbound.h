/* inbound.h - a client of the host's side is connected with a port of the guest.
 *
 * What it is: from a connected descriptor to a flow: the address the guest will see, the connection toward it, and the truth for the
 * client: refused by the guest, no answer, no room are RST; only an answer makes it an ordinary flow, with the same caps and counters.
 * What it is not: a listener or a judge of clients (publish/).
 * The guest sees the client's own address and port where it can answer them, else the gateway's address with a port of its own.
 * Below: flow_tcp.h, portpool.h, slirp/tcp_connect.h.  Above: gateway.c, and through it whoever has listeners.
 * Contract C2, C25-C29, F34, F35, D9.
 */
#ifndef GATEWAY_INBOUND_H
#define GATEWAY_INBOUND_H

#include "gateway/flow_tcp.h"
#include "gateway/portpool.h"
#include "slirp/stack.h"

#include <stdbool.h>

struct inbound {
	struct flow_tcp_env *tcp;
	struct stack *stack;
	struct portpool ports;
};

/* One client. */
struct inbound_client {
	int fd;		       /* connected, non-blocking, close-on-exec */
	bool local;	       /* an AF_UNIX stream; `from` is not looked at */
	bool hide;	       /* the guest sees the gateway's address in any case */
	struct endpoint from;  /* the client, as the host names it */
	struct endpoint guest; /* whom it wants: an address of the guest's */
	const uint8_t *head;   /* what the guest reads first: a PROXY protocol header; copied */
	uint8_t head_len;      /* 0: nothing */
	/* The guest has accepted or refused: nobody is being asked any more.  Called once, before gone(), and not if inbound_open() fails. */
	void (*settled)(void *arg);
	/* The flow has ended, or never began.  From the loop or from inbound_open(); NULL: nobody wants to know. */
	void (*gone)(void *arg, const struct endpoint *from, enum reason why);
	void *arg;
};

void inbound_init(struct inbound *in, struct flow_tcp_env *tcp, struct stack *st);

/* fd is the flow's in any case.  R_ACCEPTED: the guest is being asked, gone() will follow; else why not: the client has been reset,
 * nothing is left, and gone() is not called.  From the loop's thread, outside of a call of the core's. */
enum reason inbound_open(struct inbound *in, const struct inbound_client *c);

#endif
