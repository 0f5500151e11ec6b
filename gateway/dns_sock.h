/* dns_sock.h - the DNS relay's sockets: connected to a name server each, taken for one query at a time, kept for a while.
 *
 *	free --take--> taken by a query --answered: keep--> idle --take, same guest endpoint and server--> taken
 *	  ^               |                                  |
 *	  +-- drop: time-out, error, forgery ----------------+-- idle too long, any event, or somebody else needs it
 *
 * What it is: a fixed number of places, a table of the idle ones by guest endpoint, one deadline for the longest idle.  A kept socket keeps its
 * source port, and that is for the guest to decide: who asks from a port of his own for each query gets a new one here, too (RFC 5452 9.2).
 * What it is not: a reader of messages, a judge of servers (dns_relay.c).
 * Bounds: DNS_SOCK_MAX sockets, idle ones among them, the longest idle giving way.
 * Below: loop.h, hostsock.h, slirp/base.  Above: dns_relay.c.
 */
#ifndef GATEWAY_DNS_SOCK_H
#define GATEWAY_DNS_SOCK_H

#include "gateway/loop.h"
#include "slirp/base/addr.h"
#include "slirp/base/htab.h"
#include "slirp/base/reason.h"
#include "slirp/base/siphash.h"

#include <stdbool.h>
#include <stdint.h>

enum { DNS_SOCK_MAX = 256 };

struct dns_sock_set;

struct dns_sock {
	struct dns_sock_set *set;
	struct loop_watch watch;
	struct list node;	    /* among the free or idle ones; on no list while taken */
	struct htab_node by_guest;  /* while idle */
	struct endpoint guest, to;
	int64_t since; /* idle since */
	void *query;   /* who has taken it; NULL: idle or free */
	bool kept;     /* this is not its first query */
	bool dirty;    /* its owner has seen something on it that was not the answer: it will not be kept */
};

struct dns_sock_set {
	/* All set by the caller before dns_sock_set_init(). */
	struct loop *loop;
	const struct siphash_key *key;
	struct reason_tally *drops; /* DNS_MISMATCH: what arrives on an idle socket */
	int64_t idle; /* microseconds that a socket is kept */
	void (*event)(struct dns_sock *s, uint32_t events, int64_t now); /* of a taken one */

	struct list unused, kept; /* kept: longest idle first */
	struct htab by_guest; /* the kept ones */
	struct loop_timer timer; /* set while there are kept ones; may be early */
	struct dns_sock socks[DNS_SOCK_MAX];
};

bool dns_sock_set_init(struct dns_sock_set *set); /* false: no memory */
void dns_sock_set_clear(struct dns_sock_set *set); /* none is taken any more */

/* A socket connected to `to` for a query from `guest`: one kept from there to there, or one with a new random port.  0 or -errno. */
int dns_sock_take(struct dns_sock_set *set, const struct endpoint *guest, const struct endpoint *to, void *query, struct dns_sock **ret);
/* Its query is answered: it is kept, unless it is dirty. */
void dns_sock_keep(struct dns_sock *s, int64_t now);
void dns_sock_drop(struct dns_sock *s); /* taken or idle */

/* Closes the longest idle one.  False: there is none. */
bool dns_sock_give_way(struct dns_sock_set *set);
/* Closes all that are idle. */
void dns_sock_drop_idle(struct dns_sock_set *set);

#endif
