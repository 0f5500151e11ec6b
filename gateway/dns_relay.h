/* dns_relay.h - DNS queries of the guest, carried to the host's name servers.
 *
 * What it is: the UDP service on the gateway's name-server address.  A query is validated, given a random id and a
 * socket of its own, sent to the first healthy name server, and to the next after 2 s; an answer is matched by server, id and question
 * and goes back under the guest's id, truncated (TC) when it is larger than what the guest can take.  The socket of an answered query
 * serves the guest's next one from the same port; each other query has a new, random source port.
 * What it is not: a cache, a resolver, a policy.  DNS over TCP is an ordinary flow that map.c leads to
 * dns_relay_server().
 * Bounds: 256 queries in flight; one more gives up the oldest.  5 s in all per query.  256 sockets, idle ones among them.  RFC 1035, 5452, 6891.
 * Below: loop.h, dns_sock.h, slirp/base, slirp/wire/dns_wire.h.  Above: gateway.c.
 */
#ifndef GATEWAY_DNS_RELAY_H
#define GATEWAY_DNS_RELAY_H

#include "gateway/loop.h"
#include "slirp/base/addr.h"
#include "slirp/base/reason.h"

#include <stdint.h>
#include <sys/uio.h>

enum { DNS_RELAY_SERVERS = 8, DNS_RELAY_INFLIGHT = 256 };

struct dns_relay;

struct dns_relay_config {
	struct addr servers[DNS_RELAY_SERVERS];
	unsigned n_servers;
	uint16_t max_answer; /* the largest datagram that answer() takes; at least 512 (RFC 1035 4.2.1) */
	/* DNS_FULL, DNS_MISMATCH, DNS_TIMEOUT, NO_DNS are counted here; dns_relay_query()'s are the caller's. */
	struct reason_tally *drops;
	/* A message for the guest of flow t, at most max_answer bytes.  Called from the loop. */
	void (*answer)(void *arg, const struct tuple *t, const uint8_t *msg, uint32_t len);
	/* No descriptor is left: true if one was given up for the relay.  May be NULL. */
	bool (*give_way)(void *arg);
	void *arg;
	struct mem *mem;	/* lets allocations fail; NULL */
	uint16_t port;		/* of the servers; 0: 53 */
	int64_t try_timeout;	/* microseconds until the next server is asked; 0: 2 s */
	int64_t total_timeout;	/* until the guest hears SERVFAIL; 0: 5 s */
	int64_t idle;		/* a socket is kept for the same guest endpoint; 0: 10 s */
	int64_t penalty;	/* a server that failed stands behind the others; 0: 30 s */
};

/* NULL: no memory.  cfg is copied. */
struct dns_relay *dns_relay_new(struct loop *loop, const struct dns_relay_config *cfg);
void dns_relay_free(struct dns_relay *r);

/* One query of the guest.  R_ACCEPTED: in flight (or answered later with SERVFAIL); else the reason why it was dropped.
 * Never calls answer() itself, so that the core is not re-entered. */
enum reason dns_relay_query(struct dns_relay *r, const struct tuple *t, const struct iovec *data, int n, uint32_t len,
			    int64_t now);

/* The name server that a flow over TCP should use: the first that is healthy over UDP and TCP.  False: there is none. */
bool dns_relay_server(const struct dns_relay *r, struct addr *ret);
/* `failed` could not be reached over TCP; what UDP knows of it stays.  *ret: the next one for that flow, of which `tries` dials have failed, the
 * first begun `age` ago.  False: everybody was tried, or total_timeout is over. */
bool dns_relay_server_failed(struct dns_relay *r, const struct addr *failed, unsigned tries, int64_t age, struct addr *ret);

/* Closes the socket that is idle for the longest time: somebody needs a descriptor.  False: none is idle. */
bool dns_relay_give_way(struct dns_relay *r);

/* Addresses, routes or interfaces of the host have changed: nobody is held to have failed any more, and queries in flight ask anew, from new
 * sockets.  Bounded by DNS_RELAY_INFLIGHT; the caller sees to it that many changes at once are one call. */
void dns_relay_host_changed(struct dns_relay *r, int64_t now);

/* The servers from now on, at most DNS_RELAY_SERVERS are taken.  New queries ask them, with what is known of those that stay; a query in flight
 * still takes the answer it waits for, and its next try asks the new ones.  False: they are the same, nothing changes. */
bool dns_relay_set_servers(struct dns_relay *r, const struct addr *servers, unsigned n);

void dns_relay_stats(const struct dns_relay *r, uint64_t *queries, uint64_t *answers);

#endif
