/* dhcp_wire.h - DHCPv4 and BOOTP messages.  RFC 951, RFC 1542, RFC 2131, RFC 2132, RFC 3396.
 *
 * Codec without state.  A parsed message refers to the bytes it was parsed from.
 * Below: slirp/base, eth_wire (struct mac).  Above: slirp/dhcp4.c, tests.
 */
#ifndef SLIRP_WIRE_DHCP_WIRE_H
#define SLIRP_WIRE_DHCP_WIRE_H

#include "slirp/base/addr.h"
#include "slirp/base/reason.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	DHCP_SERVER_PORT = 67,
	DHCP_CLIENT_PORT = 68,
	DHCP_BOOTP_LEN = 236,	/* fixed fields; the magic cookie and the options follow */
	DHCP_MIN_LEN = 300,	/* RFC 1542 2.1: what a BOOTP message has at least */
	DHCP_DEFAULT_MAX = 548, /* RFC 2131 2: 576 bytes of IP that every client can take */
	DHCP_CHADDR_LEN = 16,
	DHCP_FILE_LEN = 128,	/* of the field file, with a closing NUL */
	DHCP_FLAG_BROADCAST = 0x8000,
	DHCP_BOOTREQUEST = 1,
	DHCP_BOOTREPLY = 2,
};

enum dhcp_type {
	DHCP_BOOTP = 0, /* no option 53: plain BOOTP */
	DHCP_DISCOVER = 1,
	DHCP_OFFER,
	DHCP_REQUEST,
	DHCP_DECLINE,
	DHCP_ACK,
	DHCP_NAK,
	DHCP_RELEASE,
	DHCP_INFORM,
};

enum dhcp_option {
	DHCP_OPT_MASK = 1,
	DHCP_OPT_ROUTER = 3,
	DHCP_OPT_DNS = 6,
	DHCP_OPT_HOSTNAME = 12,
	DHCP_OPT_DOMAIN = 15,
	DHCP_OPT_MTU = 26,
	DHCP_OPT_REQUESTED = 50,
	DHCP_OPT_LEASE = 51,
	DHCP_OPT_OVERLOAD = 52,
	DHCP_OPT_TYPE = 53,
	DHCP_OPT_SERVER = 54,
	DHCP_OPT_PARAMS = 55,
	DHCP_OPT_MESSAGE = 56,
	DHCP_OPT_MAX_SIZE = 57,
	DHCP_OPT_T1 = 58,
	DHCP_OPT_T2 = 59,
	DHCP_OPT_CLASS = 60,
	DHCP_OPT_CLIENT_ID = 61,
	DHCP_OPT_TFTP_NAME = 66,
	DHCP_OPT_BOOTFILE = 67,
	DHCP_OPT_RAPID_COMMIT = 80, /* RFC 4039 */
	DHCP_OPT_FQDN = 81,	    /* RFC 4702 */
	DHCP_OPT_SEARCH = 119,	    /* RFC 3397 */
	DHCP_OPT_ROUTES = 121,	    /* RFC 3442 */
	DHCP_OPT_END = 255,
};

/* A run of options inside the message. */
struct dhcp_area {
	const uint8_t *p;
	uint32_t len;
};

struct dhcp_msg {
	uint8_t op, htype, hlen, hops;
	uint32_t xid;
	uint16_t secs, flags;
	struct addr ciaddr, yiaddr, siaddr, giaddr;
	uint8_t chaddr[DHCP_CHADDR_LEN];
	enum dhcp_type type;	  /* of option 53 */
	struct dhcp_area area[3]; /* options, file, sname, in the order of RFC 3396 5; the latter two only when overloaded; len 0: none */
};

/* p: behind the UDP header, all of len readable.  Every option lies inside its area, or DHCP_MALFORMED; no magic cookie is BOOTP. */
enum reason dhcp_wire_parse(const uint8_t *p, uint32_t len, struct dhcp_msg *ret);

/* The option's bytes, pieces put together (RFC 3396), at most room of them into buf.  Returns the length of the whole, -1: not there. */
int dhcp_wire_get(const struct dhcp_msg *m, enum dhcp_option code, uint8_t *buf, uint32_t room);
bool dhcp_wire_get_addr(const struct dhcp_msg *m, enum dhcp_option code, struct addr *ret);
bool dhcp_wire_get16(const struct dhcp_msg *m, enum dhcp_option code, uint16_t *ret);

/* A message being written. */
struct dhcp_writer {
	uint8_t *p;
	uint32_t len, room;
	bool overload;	  /* what does not fit may go into the fields file and sname (option 52); set behind dhcp_wire_begin() */
	bool file_taken;  /* by dhcp_wire_put_file(): no options there */
	uint32_t used[2]; /* bytes of options in file, in sname */
};

/* Writes the fixed fields of m and the cookie (type and area are ignored); room is at least DHCP_MIN_LEN. */
void dhcp_wire_begin(struct dhcp_writer *w, uint8_t *p, uint32_t room, const struct dhcp_msg *m);
/* Appends an option, in pieces of 255 when longer (RFC 3396); a short one that does not fit goes whole into file or sname where overload is
 * set.  False: it does not fit, nothing was written. */
bool dhcp_wire_put(struct dhcp_writer *w, enum dhcp_option code, const void *data, uint32_t len);
bool dhcp_wire_put_addr(struct dhcp_writer *w, enum dhcp_option code, const struct addr *a);
bool dhcp_wire_put32(struct dhcp_writer *w, enum dhcp_option code, uint32_t v);
/* The field file; directly behind dhcp_wire_begin().  False: longer than the field, nothing was written. */
bool dhcp_wire_put_file(struct dhcp_writer *w, const char *name);
/* Ends and pads to DHCP_MIN_LEN; returns the length. */
uint32_t dhcp_wire_end(struct dhcp_writer *w);

#endif
