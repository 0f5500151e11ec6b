/* publish.h - the ports that are published, by id, and who may come in through them.
 *
 * What it is: the registry: bind (all the privileged work, all or nothing), start, remove, pause, list; which client is let in, by
 * ingress rules and caps.  A set is what one rule of portspec.h became: one port for each listener.
 * What it is not: a loop, a flow, a dialer of guests: the owner watches the listeners and carries the clients (struct publish_host).
 * Ends: a removed port takes nobody in from that moment on; clients that are in stay, and the port's memory with them.
 * Threads: one.  Callbacks do not call back.
 * Below: slirp/base, portspec.h, listener.h.  Above: gateway/.
 */
#ifndef PUBLISH_PUBLISH_H
#define PUBLISH_PUBLISH_H

#include "publish/listener.h"
#include "publish/portspec.h"
#include "slirp/base/list.h"
#include "slirp/base/reason.h"
#include "slirp/base/siphash.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	PUBLISH_CLIENTS_MAX = 16384,	  /* of all ports together */
	PUBLISH_PORT_CLIENTS_MAX = 4096,  /* of one port */
	PUBLISH_SOURCE_CLIENTS_MAX = 1024, /* of one client address; loopback is exempt: there everybody is 127.0.0.1 */
	PUBLISH_PORTS_MAX = 65536,	  /* listeners */
};

/* What the guest sees as a client's address. */
enum publish_source {
	PUBLISH_SOURCE_CLIENT,	/* the client's own, where it is not a loopback address; else the gateway's */
	PUBLISH_SOURCE_GATEWAY, /* the gateway's, always */
	PUBLISH_SOURCE_PROXY1,	/* the gateway's, and a PROXY protocol header, version 1 or 2, in front of the stream */
	PUBLISH_SOURCE_PROXY2,
};

const char *publish_source_name(enum publish_source s); /* "client", "gateway", "proxy1", "proxy2" */
/* False: none is called so. */
bool publish_source_parse(const char *name, enum publish_source *ret);

struct publish_ingress {
	struct prefix from;
	bool allow;
};

/* How a rule's ports are served; zeroed: the defaults. */
struct publish_policy {
	enum publish_source source;
	bool freebind;
	const struct publish_ingress *ingress; /* the first that holds the client decides; none does: allowed unless one of them allows */
	unsigned n_ingress;
	uint32_t max_clients; /* of each port; 0: PUBLISH_PORT_CLIENTS_MAX */
	uint32_t max_source;  /* of one address, over all ports of the rule; 0: PUBLISH_SOURCE_CLIENTS_MAX */
};

struct publish;
struct publish_set;

/* One listener.  Read only, but for `watch`. */
struct publish_port {
	struct listener listener;
	struct publish_set *set;
	struct list node;
	uint16_t to_port;     /* of the guest */
	uint32_t clients;     /* let in and not yet gone */
	uint64_t let_in, turned_away;
	void *watch; /* the owner's, made by publish_host.watch */
};

struct publish_set {
	uint32_t id; /* never 0, never used again */
	struct portspec_rule rule;
	struct publish_policy policy; /* its ingress list is ours */
	struct list ports;	      /* struct publish_port, in ascending order */
	struct list node;
	bool started, paused, removed;
	uint32_t left_out; /* ports of a weak rule that could not be bound */
	struct publish *publish;
};

/* What the owner does with a listener's descriptor. */
struct publish_host {
	bool (*watch)(struct publish_host *h, struct publish_port *p, GError **err); /* from now on it accepts */
	void (*unwatch)(struct publish_host *h, struct publish_port *p);	     /* no more; the descriptor is closed afterwards */
};

/* host must live longer; key is random (clients choose their addresses); refusals counts who was turned away and why. */
struct publish *publish_new(struct publish_host *host, const struct siphash_key *key, struct reason_tally *refusals);
/* Every client must have left.  NULL is a no-op. */
void publish_free(struct publish *p);

/* Binds every port of the rule.  If one cannot be had, all are free again, err names it, and NULL is returned (a weak rule leaves such ports
 * out).  policy is copied. */
struct publish_set *publish_bind(struct publish *p, const struct portspec_rule *rule, const struct publish_policy *policy, GError **err);
/* The same with a descriptor from somebody else, for rule's target and protocol; fd is ours on success. */
struct publish_set *publish_adopt(struct publish *p, int fd, const struct portspec_rule *rule, const struct publish_policy *policy, GError **err);
/* From now on the set's ports take clients in; needs no privilege.  False: the set has been removed. */
bool publish_start(struct publish_set *s, GError **err);
/* A paused port turns every new client away. */
void publish_pause(struct publish_set *s, bool paused);
void publish_remove(struct publish_set *s);

/* The owner whose port this is. */
struct publish_host *publish_owner(const struct publish_port *port);

struct publish_set *publish_find(const struct publish *p, uint32_t id); /* NULL: no such set, or removed */
/* The next set after s, in the order of their ids; s NULL: the first.  NULL: no more. */
struct publish_set *publish_next(const struct publish *p, const struct publish_set *s);

/* May the client come in?  R_ACCEPTED counts it, until publish_leave(); else the reason, counted: the caller resets it. */
enum reason publish_admit(struct publish_port *port, const struct endpoint *client);
void publish_leave(struct publish_port *port, const struct endpoint *client);

#endif
