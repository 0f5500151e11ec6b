/* dhcp6_wire.h - DHCPv6 messages between client and server.  RFC 8415 8, 21; RFC 3646; RFC 4704.
 *
 * Codec without state.  A parsed message refers to the bytes it was parsed from.  Relay messages are only recognised.
 * Below: slirp/base.  Above: slirp/dhcp6.c, tests.
 */
#ifndef SLIRP_WIRE_DHCP6_WIRE_H
#define SLIRP_WIRE_DHCP6_WIRE_H

#include "slirp/base/addr.h"
#include "slirp/base/reason.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	DHCP6_SERVER_PORT = 547,
	DHCP6_CLIENT_PORT = 546,
	DHCP6_HDR_LEN = 4,
	DHCP6_DUID_MAX = 130, /* RFC 8415 11.1: type and 128 bytes */
	DHCP6_DUID_LL_LEN = 10,
	DHCP6_IA_MAX = 4,   /* identity associations looked at in one message */
	DHCP6_ADDR_MAX = 4, /* addresses looked at in one of them */
	DHCP6_ORO_MAX = 32,
};

enum dhcp6_type {
	DHCP6_SOLICIT = 1,
	DHCP6_ADVERTISE,
	DHCP6_REQUEST,
	DHCP6_CONFIRM,
	DHCP6_RENEW,
	DHCP6_REBIND,
	DHCP6_REPLY,
	DHCP6_RELEASE,
	DHCP6_DECLINE,
	DHCP6_RECONFIGURE,
	DHCP6_INFORMATION_REQUEST,
	DHCP6_RELAY_FORW,
	DHCP6_RELAY_REPL,
};

enum dhcp6_option {
	DHCP6_OPT_CLIENT_ID = 1,
	DHCP6_OPT_SERVER_ID = 2,
	DHCP6_OPT_IA_NA = 3,
	DHCP6_OPT_IA_ADDR = 5,
	DHCP6_OPT_ORO = 6,
	DHCP6_OPT_PREFERENCE = 7,
	DHCP6_OPT_STATUS = 13,
	DHCP6_OPT_RAPID_COMMIT = 14,
	DHCP6_OPT_DNS = 23,
	DHCP6_OPT_SEARCH = 24,
	DHCP6_OPT_FQDN = 39,
	DHCP6_OPT_BOOTFILE_URL = 59, /* RFC 5970 */
};

enum dhcp6_status {
	DHCP6_SUCCESS = 0,
	DHCP6_UNSPEC_FAIL,
	DHCP6_NO_ADDRS_AVAIL,
	DHCP6_NO_BINDING,
	DHCP6_NOT_ON_LINK,
	DHCP6_USE_MULTICAST,
};

struct dhcp6_ia {
	uint32_t iaid;
	uint32_t n_addrs;
	struct addr addrs[DHCP6_ADDR_MAX];
};

struct dhcp6_msg {
	uint8_t type;
	uint32_t xid;			      /* 24 bits */
	const uint8_t *client_id, *server_id; /* DUIDs */
	uint16_t client_id_len, server_id_len; /* 0: not there */
	bool rapid_commit, has_oro;
	uint32_t n_ia, n_oro;
	struct dhcp6_ia ia[DHCP6_IA_MAX];
	uint16_t oro[DHCP6_ORO_MAX];
	const uint8_t *fqdn; /* flags and name; NULL: not there */
	uint16_t fqdn_len;
};

/* p: behind the UDP header, all of len readable.  DHCP_MALFORMED: an option that does not fit where it stands, a DUID of a wrong length or
 * twice.  DHCP_RELAYED: a relay's message. */
enum reason dhcp6_wire_parse(const uint8_t *p, uint32_t len, struct dhcp6_msg *ret);

static inline bool dhcp6_wire_asks(const struct dhcp6_msg *m, enum dhcp6_option code)
{
	for (uint32_t i = 0; i < m->n_oro; i++)
		if (m->oro[i] == code)
			return true;
	return false;
}

/* A message being written; once something did not fit, `full` stays and nothing more is written. */
struct dhcp6_writer {
	uint8_t *p;
	uint32_t len, room;
	bool full;
};

void dhcp6_wire_begin(struct dhcp6_writer *w, uint8_t *p, uint32_t room, enum dhcp6_type type, uint32_t xid);
void dhcp6_wire_put(struct dhcp6_writer *w, enum dhcp6_option code, const void *data, uint32_t len);
/* An option with options inside: open it, put what it holds, close it with what open returned. */
uint32_t dhcp6_wire_open_ia(struct dhcp6_writer *w, uint32_t iaid, uint32_t t1, uint32_t t2);
void dhcp6_wire_close(struct dhcp6_writer *w, uint32_t at);
void dhcp6_wire_put_addr(struct dhcp6_writer *w, const struct addr *a, uint32_t preferred, uint32_t valid);
void dhcp6_wire_put_status(struct dhcp6_writer *w, enum dhcp6_status status, const char *text);
/* DUID-LL (RFC 8415 11.4), DHCP6_DUID_LL_LEN bytes. */
void dhcp6_wire_duid_ll(uint8_t *p, const uint8_t mac[6]);

#endif
