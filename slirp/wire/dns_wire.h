/* dns_wire.h - DNS messages as far as a relay reads them: header, question, the OPT record of a client.  RFC 1035 4.1, RFC 6891 6.1.
 *
 * Codec without state.  Names are compared and passed over, never expanded; a compression pointer ends a name and is not followed.
 * What it is not: a reader of answers: those go to the guest as they are.
 * Below: slirp/base.  Above: gateway/dns_relay.c, tests.
 */
#ifndef SLIRP_WIRE_DNS_WIRE_H
#define SLIRP_WIRE_DNS_WIRE_H

#include "slirp/base/reason.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	DNS_WIRE_HEADER = 12,
	DNS_WIRE_NAME_MAX = 255,
	DNS_WIRE_LABEL_MAX = 63,
	DNS_WIRE_OPT = 11,	 /* bytes of an OPT record without options */
	DNS_WIRE_UDP_MIN = 512,	 /* what every client can take, RFC 1035 4.2.1 */
};

/* One query with exactly one question. */
struct dns_wire_query {
	uint16_t id;
	uint32_t end;	/* where the question ends: header, name, type, class */
	uint16_t udp;	/* the largest answer its sender takes over UDP; at least DNS_WIRE_UDP_MIN */
	bool edns;	/* it carries an OPT record */
	bool dnssec;	/* which says DO, RFC 3225 3 */
};

/* R_DNS_MALFORMED: no query, not exactly one question, a record that is cut short; *ret is then untouched.  What stands behind the last
 * record is not looked at. */
enum reason dns_wire_query_parse(const uint8_t *m, uint32_t len, struct dns_wire_query *ret);

/* Is m the answer to the query q (same id) whose question ends at q_end?  Names compare without case, RFC 1035 2.3.3.  A server that did not
 * understand the query may leave the question out when it says so (FORMERR, NOTIMP). */
bool dns_wire_is_answer(const uint8_t *m, uint32_t len, const uint8_t *q, uint32_t q_end);

/* Cuts an answer (dns_wire_is_answer()) down to header and question, TC set; returns its length now. */
uint32_t dns_wire_truncate(uint8_t *m, uint32_t q_end);

/* Appends an OPT record to what dns_wire_truncate() or dns_wire_put_servfail() left, if query q had one (RFC 6891 6.1.1, 7); returns the length
 * now, at most DNS_WIRE_OPT more.  takes: the largest query that its sender takes over UDP. */
uint32_t dns_wire_put_opt(uint8_t *m, uint32_t len, const struct dns_wire_query *q, uint16_t takes);

/* Writes the answer SERVFAIL to query q; returns its length, which is q_end.  ret has room for that. */
uint32_t dns_wire_put_servfail(uint8_t *ret, const uint8_t *q, uint32_t q_end);

#endif
