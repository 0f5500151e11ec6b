/* names_wire.h - lists of domain names: blanks between names in memory, labels on the wire.  RFC 1035 3.1 and 4.1.4, RFC 3397.
 *
 * Codec: DHCPv4 compresses its search list, DHCPv6 and router advertisements must not (RFC 8415 10, RFC 8106 5.2).
 * Below: nothing.  Above: slirp/dhcp4.c, slirp/dhcp6.c, slirp/wire/ra_wire.c, tests.
 */
#ifndef SLIRP_WIRE_NAMES_WIRE_H
#define SLIRP_WIRE_NAMES_WIRE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	NAMES_LABEL_MAX = 63,
	NAMES_NAME_MAX = 255, /* one name on the wire */
};

/* Writes the names of `list` ("example.org a.test"; a dot at a name's end is allowed), as many as fit into room, in order; what is no name
 * (an empty or overlong label) is left out.  Returns the bytes written. */
uint32_t names_wire_put(uint8_t *p, uint32_t room, const char *list, bool compress);

/* The names at p as text with blanks between them, NUL at the end; pointers (only backwards) are followed when allowed.  False: no list of
 * names, or longer than room; text is then "". */
bool names_wire_get(const uint8_t *p, uint32_t len, bool compressed, char *text, uint32_t room);

#endif
