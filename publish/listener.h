/* listener.h - one listening descriptor: TCP, UDP or a Unix stream socket.
 *
 * What it is: socket(), bind(), listen() and accept() with the truth about each: who holds a taken port, what a full descriptor table
 * means.  Binding, which may need privilege, and starting are two steps.
 * What it is not: a watcher; the owner puts `fd` into its loop (edge-triggered) and calls listener_accept() until it says -EAGAIN.
 * Times: int64_t microseconds, monotonic, given by the caller.
 * Below: slirp/base, portspec.h, holder.h.  Above: publish.c, gateway/.
 */
#ifndef PUBLISH_LISTENER_H
#define PUBLISH_LISTENER_H

#include "publish/portspec.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	LISTENER_BACKLOG = 4096,	   /* the kernel lowers it to net.core.somaxconn */
	LISTENER_PAUSE_MIN_US = 5 * 1000,  /* after accept() failed for want of resources; doubles */
	LISTENER_PAUSE_MAX_US = 1000 * 1000,
};

enum listener_error {
	LISTENER_ERROR_TAKEN,	  /* somebody else holds the port or the path */
	LISTENER_ERROR_FORBIDDEN, /* a privileged port, an interface of somebody else's */
	LISTENER_ERROR_ADDRESS,	  /* not of this host, no such interface, family switched off */
	LISTENER_ERROR_RESOURCES, /* descriptors, memory */
	LISTENER_ERROR_UNUSABLE,  /* a descriptor passed in is no socket of a kind we serve */
};

#define LISTENER_ERROR listener_error_quark()
GQuark listener_error_quark(void);

/* Zeroed with fd -1: not bound.  Read only, except by listener_*(). */
struct listener {
	int fd;
	enum portspec_proto proto;
	bool dual;		      /* an AF_INET6 socket that serves IPv4 as well */
	struct endpoint bound;	      /* as the kernel says; AF_UNIX: zero */
	char path[PORTSPEC_PATH_MAX]; /* AF_UNIX: removed by listener_close() unless passed in */
	bool passed;		      /* made by somebody else */
	bool started;
	int64_t pause; /* how long the next pause is; 0: the last accept() went well */
};

/* One descriptor kept for the moment when there is no other: with it a connection that cannot be served is taken and reset, so that its
 * client learns the truth and the queue does not spin. */
struct listener_spare {
	int fd;
	uint64_t shed; /* connections reset this way */
};

void listener_spare_open(struct listener_spare *s); /* fd may be -1 afterwards: then connections wait instead */
void listener_spare_close(struct listener_spare *s);

/* The socket of one port of rule r, bound and not listening.  freebind: an address that the host does not have (yet) will do. */
bool listener_bind(struct listener *l, const struct portspec_rule *r, uint16_t port, bool freebind, GError **err);
/* A bound or listening socket from somebody else (socket activation); fd is l's only on success. */
bool listener_adopt(struct listener *l, int fd, GError **err);
/* From now on clients are taken in; needs no privilege. */
bool listener_start(struct listener *l, GError **err);
/* Closes; clients in the queue are reset.  Harmless when not bound. */
void listener_close(struct listener *l);

/* A client's descriptor (non-blocking, close-on-exec); *client is its address, *local the one it called, both zero for AF_UNIX.
 * -EAGAIN: nobody is waiting.  -EBUSY: resources are short; call again l->pause microseconds later.  Never another error. */
int listener_accept(struct listener *l, struct listener_spare *s, struct endpoint *client, struct endpoint *local);

/* "127.0.0.1:8080", "[::1]:8080", "*:8080" or the path; buf has PORTSPEC_PATH_MAX bytes; returns buf. */
const char *listener_name(const struct listener *l, char *buf);

/* Closes a client's descriptor so that it sees RST. */
void listener_reset(int fd);

#endif
