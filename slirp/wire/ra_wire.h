/* ra_wire.h - router solicitations and advertisements.  RFC 4861 4.1, 4.2, 4.6, 6.1.1; RFC 8106 (RDNSS, DNSSL).
 *
 * Codec without state.  Below: slirp/base, names_wire, csum_wire.  Above: slirp/ra.c, tests.
 */
#ifndef SLIRP_WIRE_RA_WIRE_H
#define SLIRP_WIRE_RA_WIRE_H

#include "slirp/base/addr.h"
#include "slirp/base/reason.h"
#include "slirp/wire/eth_wire.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	RA_SOLICIT_LEN = 8, /* without options */
	RA_MAX_LEN = 1232,  /* with the IPv6 header the least MTU of IPv6 */
};

#define RA_INFINITE UINT32_MAX

/* What a router says; every link-layer address, prefix and DNS option is written, DNSSL only when search is not empty. */
struct ra {
	bool managed, other; /* M, O: DHCPv6 has addresses, other things */
	uint8_t hop_limit;
	uint16_t lifetime; /* of the default route, seconds */
	struct mac mac;
	uint32_t mtu;
	struct prefix prefix;
	bool on_link, autonomous; /* L, A of the prefix */
	struct addr dns;
	const char *search; /* names with blanks between */
};

/* p: an ICMPv6 router solicitation, checksum and hop limit verified.  *ret_mac: it carries a source link-layer address. */
enum reason ra_wire_solicit_parse(const uint8_t *p, uint32_t len, bool *ret_mac);

/* Writes at most RA_MAX_LEN bytes, checksum complete; returns the length. */
uint32_t ra_wire_put(uint8_t *p, const struct ra *ra, const struct addr *src, const struct addr *dst);

#endif
