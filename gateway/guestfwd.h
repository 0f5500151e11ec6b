/* guestfwd.h - addresses and ports of the guest's subnet that lead to something of the application's: a function, a command, a unix socket.
 *
 * What it is: the table of such places, the connections to functions (stage.h), and the descriptors of the others.
 * What it is not: a policy: whoever may add places to the table has decided.
 *
 *	guest's SYN --> place with a function: accepted in this turn;  command: a pair of sockets, one becomes its standard input, output
 *	and error;  unix socket: connected to.  A failure refuses the SYN, as with every dial.
 *
 * Caps: GUESTFWD_PLACES places, GUESTFWD_FLOWS connections to functions (STAGE_SIZE each).
 * Below: loop.h, stage.h, flow_tcp.h, slirp/tcp_open.h.  Above: gateway.c, and through it gateway/doors.
 */
#ifndef GATEWAY_GUESTFWD_H
#define GATEWAY_GUESTFWD_H

#include "gateway/loop.h"
#include "slirp/base/reason.h"
#include "slirp/tcp_conn.h"
#include "slirp/tcp_export.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	GUESTFWD_PLACES = 256,
	GUESTFWD_FLOWS = 256,
	GUESTFWD_OWNER = 1, /* tcp_conn.owner of a connection to a function */
};

struct guestfwd;
struct flow_tcp_env;
struct stage;

/* One of the three. */
struct guestfwd_target {
	ssize_t (*write)(const void *buf, size_t len, void *arg); /* takes everything; what it returns does not matter */
	void *arg;
	const char *command; /* split as a shell would, looked up in PATH */
	const char *unix_path;
};

struct guestfwd_env {
	struct loop *loop;
	struct flow_tcp_env *tcp;
	struct reason_tally *closes; /* how connections to functions ended */
	void (*drained)(void *arg);  /* guestfwd_room() has grown; from inside a turn */
	void *arg;
};

struct guestfwd *guestfwd_new(const struct guestfwd_env *env); /* NULL: no memory; env is copied */
void guestfwd_free(struct guestfwd *g);			       /* after every connection has gone; NULL is a no-op */

/* 0; -EADDRINUSE: taken; -EINVAL: the command cannot be split; -ENOSPC: the cap; -ENOMEM. */
int guestfwd_add(struct guestfwd *g, const struct endpoint *at, const struct guestfwd_target *target);
/* 0 or -ENOENT.  Connections to a function are reset with the next turn, the others stay. */
int guestfwd_remove(struct guestfwd *g, const struct endpoint *at);

/* Is there a place at this address, whatever the port? */
bool guestfwd_has(const struct guestfwd *g, const struct addr *a);
/* stack_host.tcp_syn for a place: false: it is none, nothing was done. */
bool guestfwd_syn(struct guestfwd *g, const struct endpoint *at, struct tcp_conn **ret, enum reason *why);
/* stack_host.tcp_gone for a connection of GUESTFWD_OWNER. */
void guestfwd_gone(struct tcp_conn *c, enum reason why);

/* Connections to functions, for saving them; fn does nothing else. */
void guestfwd_each(struct guestfwd *g, void (*fn)(void *arg, const struct endpoint *at, struct tcp_conn *c, const struct stage *s), void *arg);

/* One that was saved: the guest's side, what the function has not taken yet, and what the guest has not acknowledged. */
struct guestfwd_import {
	struct tcp_export tcp;
	const uint8_t *heard, *said;
	uint32_t heard_len, said_len;
	bool ended; /* behind what was said stands the end */
};

/* Goes on with n of them, the newest first; connections that have their addresses and ports give way.  All or none: -ENOENT: there is no
 * function at a far end; -EINVAL: no connection can look like this, or more was said than a stage holds; -ENOSPC; -ENOMEM.  0: they are
 * there; one that the stack has no room for, or whose ports rest in time-wait, has ended at once. */
int guestfwd_restore(struct guestfwd *g, struct stack *st, const struct guestfwd_import *in, unsigned n);

/* The newest connection to the function at this place: bytes it takes now, 0 also when there is none. */
uint32_t guestfwd_room(const struct guestfwd *g, const struct endpoint *at);
/* Bytes for the guest.  0; -ENOTCONN: nobody is there; -EMSGSIZE: more than guestfwd_room() allows at the most: the connection is reset. */
int guestfwd_push(struct guestfwd *g, const struct endpoint *at, const uint8_t *buf, uint32_t len);

#endif
