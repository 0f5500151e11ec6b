/* dns_relay.h - DNS queries of the guest, carried to the host's name servers.
 *
 * What it is: the UDP service on the gateway's name-server address.  A query is validated, given a random id and a fresh socket with a
 * random source port, sent to the first healthy name server, and to the next after 2 s; an answer is matched by server, id and question
 * and goes back under the guest's id, truncated (TC) when it is larger than what the guest can take.
 * What it is not: a cache, a resolver, a policy.  DNS over TCP is an ordinary flow that map.c leads to dns_relay_server().
 * Bounds: 256 queries in flight; one more gives up the oldest.  5 s in all per query.  RFC 1035, 5452, 6891.
 * Below: loop.h, hostsock.h, slirp/base.  Above: gateway.c.
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

/* answer: a message for the guest of flow t, at most max_answer bytes (the caller's MTU limit). Called from the loop. */
struct dns_relay_config {
	struct addr servers[DNS_RELAY_SERVERS];
	unsigned n_servers;
	uint16_t max_answer;
	struct reason_tally *drops;
	void (*answer)(void *arg, const struct tuple *t, const uint8_t *msg, uint32_t len);
	void *arg;
};

struct dns_relay *dns_relay_new(struct loop *loop, const struct dns_relay_config *cfg); /* NULL: no memory */
void dns_relay_free(struct dns_relay *r);

/* One query of the guest.  R_ACCEPTED: in flight (or answered later with SERVFAIL); else the reason it was dropped. */
enum reason dns_relay_query(struct dns_relay *r, const struct tuple *t, const struct iovec *data, int n, uint32_t len, int64_t now);

/* The name server that flows over TCP should use: the first healthy one.  False: there is none. */
bool dns_relay_server(const struct dns_relay *r, struct addr *ret);

void dns_relay_stats(const struct dns_relay *r, uint64_t *queries, uint64_t *answers);

#endif
