/* dhcp4.c - the DHCPv4 server.  See dhcp4.h.
 *
 * Order of options: type, server, times, then what was asked for (55), the mask before the router (RFC 2132 3.3); what does not fit into
 * the client's size (57) goes into the fields file and sname (52), or is left out.
 */
#include "slirp/dhcp4.h"

#include "slirp/base/bytes.h"
#include "slirp/stack_state.h"
#include "slirp/wire/dhcp_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"
#include "slirp/wire/names_wire.h"

#include <glib.h>

enum {
	DHCP4_REPLY_MAX = 1472, /* whatever the client takes, no more than an Ethernet frame */
	DHCP4_PARAMS_MAX = 255,
	DHCP4_ETHERNET = 1,
	DHCP4_MAC_LEN = 6,
	/* option 81, RFC 4702 2.1 */
	DHCP4_FQDN_S = 0x01,
	DHCP4_FQDN_O = 0x02,
	DHCP4_FQDN_E = 0x04,
	DHCP4_FQDN_N = 0x08,
	DHCP4_FQDN_HEAD = 3,
};

/* One request on its way to its answer. */
struct dhcp4 {
	struct stack *st;
	struct dhcp_msg q;
	struct dhcp_writer w;
	struct addr address; /* of this client */
	uint8_t params[DHCP4_PARAMS_MAX];
	int n_params; /* -1: it has no list: everything */
};

/* ---- options */

static bool dhcp4_asked(const struct dhcp4 *d, enum dhcp_option code)
{
	return d->n_params < 0 || memchr(d->params, (int)code, (size_t)d->n_params);
}

static void dhcp4_put_mask(struct dhcp4 *d)
{
	uint32_t len = d->st->cfg.net4.len - 96u;

	dhcp_wire_put32(&d->w, DHCP_OPT_MASK, len ? UINT32_MAX << (32 - len) : 0);
}

static void dhcp4_put_text(struct dhcp4 *d, enum dhcp_option code, const char *text)
{
	if (*text)
		dhcp_wire_put(&d->w, code, text, (uint32_t)strlen(text));
}

static void dhcp4_put_mtu(struct dhcp4 *d)
{
	uint8_t b[2];

	bytes_put16(b, d->st->cfg.link.mtu);
	dhcp_wire_put(&d->w, DHCP_OPT_MTU, b, sizeof(b));
}

static void dhcp4_put_search(struct dhcp4 *d)
{
	uint8_t b[STACK_SEARCH_LEN + 2];
	uint32_t len = names_wire_put(b, sizeof(b), d->st->cfg.search, true);

	if (len)
		dhcp_wire_put(&d->w, DHCP_OPT_SEARCH, b, len);
}

/* RFC 3442: the default route; a client that takes this option ignores option 3. */
static void dhcp4_put_routes(struct dhcp4 *d)
{
	uint8_t b[5] = { 0 };

	memcpy(b + 1, addr_v4_bytes(&d->st->cfg.gw4), 4);
	dhcp_wire_put(&d->w, DHCP_OPT_ROUTES, b, sizeof(b));
}

/* Only to a client that sent it (RFC 4702 4): we update no names, its own or ours. */
static void dhcp4_put_fqdn(struct dhcp4 *d)
{
	uint8_t b[DHCP4_FQDN_HEAD + NAMES_NAME_MAX];
	int len = dhcp_wire_get(&d->q, DHCP_OPT_FQDN, b, sizeof(b));

	if (len < DHCP4_FQDN_HEAD || len > (int)sizeof(b))
		return;
	b[0] = (uint8_t)((b[0] & DHCP4_FQDN_E) | DHCP4_FQDN_N | (b[0] & DHCP4_FQDN_S ? DHCP4_FQDN_O : 0));
	b[1] = b[2] = 255; /* RCODE1, RCODE2: deprecated */
	dhcp_wire_put(&d->w, DHCP_OPT_FQDN, b, (uint32_t)len);
}

static void dhcp4_put_times(struct dhcp4 *d)
{
	uint32_t lease = (uint32_t)(d->st->cfg.tune.dhcp_lease / STACK_S);

	dhcp_wire_put32(&d->w, DHCP_OPT_LEASE, lease);
	dhcp_wire_put32(&d->w, DHCP_OPT_T1, lease / 2);
	dhcp_wire_put32(&d->w, DHCP_OPT_T2, (uint32_t)(lease * 7ull / 8));
}

/* The class of a server of boot files by HTTP, without which UEFI does not take one (UEFI 2.10, 24.7.3). */
static void dhcp4_put_class(struct dhcp4 *d)
{
	const char *file = d->st->cfg.boot.file;

	if (g_str_has_prefix(file, "http://") || g_str_has_prefix(file, "https://"))
		dhcp4_put_text(d, DHCP_OPT_CLASS, "HTTPClient");
}

/* For who boots from the network, asked or not: boot ROMs do not agree on what they ask for.  The name of the file stands in its field; as an option
 * only who asked for it gets it. */
static void dhcp4_put_boot(struct dhcp4 *d)
{
	dhcp4_put_text(d, DHCP_OPT_TFTP_NAME, d->st->cfg.boot.tftp_name);
	dhcp4_put_class(d);
	if (dhcp4_asked(d, DHCP_OPT_BOOTFILE))
		dhcp4_put_text(d, DHCP_OPT_BOOTFILE, d->st->cfg.boot.file);
}

static void dhcp4_put_asked(struct dhcp4 *d)
{
	const struct stack_config *cfg = &d->st->cfg;

	if (dhcp4_asked(d, DHCP_OPT_MASK))
		dhcp4_put_mask(d);
	if (dhcp4_asked(d, DHCP_OPT_ROUTES) && !cfg->isolated)
		dhcp4_put_routes(d);
	if (dhcp4_asked(d, DHCP_OPT_ROUTER) && !cfg->isolated)
		dhcp_wire_put_addr(&d->w, DHCP_OPT_ROUTER, &cfg->gw4);
	if (dhcp4_asked(d, DHCP_OPT_DNS) && !cfg->isolated)
		dhcp_wire_put_addr(&d->w, DHCP_OPT_DNS, &cfg->dns4);
	if (dhcp4_asked(d, DHCP_OPT_MTU))
		dhcp4_put_mtu(d);
	if (dhcp4_asked(d, DHCP_OPT_HOSTNAME))
		dhcp4_put_text(d, DHCP_OPT_HOSTNAME, cfg->hostname);
	if (dhcp4_asked(d, DHCP_OPT_DOMAIN))
		dhcp4_put_text(d, DHCP_OPT_DOMAIN, cfg->domain);
	if (dhcp4_asked(d, DHCP_OPT_SEARCH))
		dhcp4_put_search(d);
	dhcp4_put_boot(d);
	dhcp4_put_fqdn(d);
}

/* RFC 6842: a client identifier comes back as it was sent. */
static void dhcp4_put_client_id(struct dhcp4 *d)
{
	uint8_t b[255];
	int len = dhcp_wire_get(&d->q, DHCP_OPT_CLIENT_ID, b, sizeof(b));

	if (len > 0 && len <= (int)sizeof(b))
		dhcp_wire_put(&d->w, DHCP_OPT_CLIENT_ID, b, (uint32_t)len);
}

/* ---- the answer */

static bool dhcp4_is_guest(const struct dhcp4 *d, const struct addr *a)
{
	return addr_eq(a, &d->address);
}

static uint32_t dhcp4_room(const struct dhcp4 *d)
{
	uint32_t headers = IP4_HDR_LEN + UDP_HDR_LEN, room = DHCP_DEFAULT_MAX, mtu = d->st->cfg.link.mtu - headers;
	uint16_t max;

	if (mtu < DHCP_MIN_LEN) /* it leaves in fragments */
		mtu = DHCP_MIN_LEN;
	if (d->q.type == DHCP_BOOTP)
		return DHCP_MIN_LEN; /* RFC 1542 2.1: a BOOTP client need not take more */
	if (dhcp_wire_get16(&d->q, DHCP_OPT_MAX_SIZE, &max) && max > DHCP_DEFAULT_MAX + headers)
		room = max - headers;
	if (room > mtu)
		room = mtu;
	return room < DHCP4_REPLY_MAX ? room : DHCP4_REPLY_MAX;
}

/* RFC 2131 4.1 */
static struct addr dhcp4_to(const struct dhcp4 *d, enum dhcp_type type)
{
	static const uint8_t broadcast[4] = { 255, 255, 255, 255 };

	if (d->st->cfg.any_guest)
		return addr_from_v4(broadcast); /* whoever listens: there may be bridges and odd clients behind this link */
	if (type != DHCP_NAK && dhcp4_is_guest(d, &d->q.ciaddr))
		return d->q.ciaddr;
	if (type == DHCP_NAK || d->q.type == DHCP_INFORM || d->q.flags & DHCP_FLAG_BROADCAST)
		return addr_from_v4(broadcast);
	return d->address;
}

/* type: of the answer, DHCP_BOOTP for a plain BOOTP reply. */
static enum reason dhcp4_answer(struct dhcp4 *d, enum dhcp_type type, bool rapid)
{
	const struct stack_config *cfg = &d->st->cfg;
	bool address = type != DHCP_NAK && d->q.type != DHCP_INFORM;
	struct dhcp_msg a = { .op = DHCP_BOOTREPLY, .htype = d->q.htype, .hlen = d->q.hlen, .xid = d->q.xid, .flags = d->q.flags };
	struct tuple to = { .guest = { dhcp4_to(d, type), DHCP_CLIENT_PORT }, .far = { cfg->gw4, DHCP_SERVER_PORT } };
	uint8_t buf[DHCP4_REPLY_MAX], b = (uint8_t)type;
	uint32_t len;

	memcpy(a.chaddr, d->q.chaddr, sizeof(a.chaddr));
	if (type == DHCP_ACK || type == DHCP_BOOTP)
		a.ciaddr = d->q.ciaddr;
	if (address)
		a.yiaddr = d->address;
	if (type != DHCP_NAK)
		a.siaddr = cfg->boot.next_server;
	dhcp_wire_begin(&d->w, buf, dhcp4_room(d), &a);
	if (type != DHCP_NAK && *cfg->boot.file)
		dhcp_wire_put_file(&d->w, cfg->boot.file);
	d->w.overload = type != DHCP_BOOTP; /* a BOOTP client may look for a file there */
	if (type != DHCP_BOOTP) {
		dhcp_wire_put(&d->w, DHCP_OPT_TYPE, &b, 1);
		dhcp_wire_put_addr(&d->w, DHCP_OPT_SERVER, &cfg->gw4);
		dhcp4_put_client_id(d);
	}
	if (rapid)
		dhcp_wire_put(&d->w, DHCP_OPT_RAPID_COMMIT, NULL, 0);
	if (type == DHCP_NAK) {
		dhcp4_put_text(d, DHCP_OPT_MESSAGE, cfg->any_guest ? "requested address not available" : "not the address of this guest");
	} else {
		if (type != DHCP_BOOTP && address)
			dhcp4_put_times(d);
		dhcp4_put_asked(d);
	}
	len = dhcp_wire_end(&d->w);
	return stack_dgram(d->st, &to, &(struct dgram_meta){ 0 }, &(struct iovec){ buf, len }, 1, len);
}

/* ---- the request */

/* Selecting names a server; init-reboot asks for an address it had; renewing and rebinding have one in ciaddr (RFC 2131 4.3.2). */
static enum reason dhcp4_request(struct dhcp4 *d)
{
	struct addr asked;
	bool has_asked = dhcp_wire_get_addr(&d->q, DHCP_OPT_REQUESTED, &asked);

	if (!has_asked) {
		if (addr_is_unspecified(&d->q.ciaddr))
			return R_DHCP_MALFORMED;
		asked = d->q.ciaddr;
	}
	return dhcp4_answer(d, dhcp4_is_guest(d, &asked) ? DHCP_ACK : DHCP_NAK, false);
}

static enum reason dhcp4_judge(struct dhcp4 *d)
{
	switch (d->q.type) {
	case DHCP_BOOTP:
		return dhcp4_answer(d, DHCP_BOOTP, false);
	case DHCP_DISCOVER:
		if (dhcp_wire_get(&d->q, DHCP_OPT_RAPID_COMMIT, NULL, 0) >= 0)
			return dhcp4_answer(d, DHCP_ACK, true);
		return dhcp4_answer(d, DHCP_OFFER, false);
	case DHCP_REQUEST:
		return dhcp4_request(d);
	case DHCP_INFORM:
		return dhcp4_answer(d, DHCP_ACK, false);
	case DHCP_RELEASE:
		return R_ACCEPTED;
	case DHCP_DECLINE:
		return R_DHCP_DECLINED;
	default:
		return R_DHCP_TYPE;
	}
}

/* The configured guest's, or a lease. */
static void dhcp4_find_address(struct dhcp4 *d)
{
	struct addr asked = d->q.ciaddr;
	struct mac mac;

	d->address = d->st->cfg.guest4;
	if (!d->st->cfg.any_guest)
		return;
	memcpy(mac.b, d->q.chaddr, sizeof(mac.b));
	dhcp_wire_get_addr(&d->q, DHCP_OPT_REQUESTED, &asked);
	d->address = guests_lease(d->st, &mac, &asked);
}

enum reason dhcp4_in(struct stack *st, const uint8_t *p, uint32_t len)
{
	struct dhcp4 d = { .st = st };
	struct addr server;
	enum reason r = dhcp_wire_parse(p, len, &d.q);

	if (r)
		return r;
	if (d.q.op != DHCP_BOOTREQUEST)
		return R_DHCP_TYPE;
	if (!addr_is_unspecified(&d.q.giaddr))
		return R_DHCP_RELAYED;
	if (d.q.htype != DHCP4_ETHERNET || d.q.hlen != DHCP4_MAC_LEN || (!st->cfg.any_guest && memcmp(d.q.chaddr, st->cfg.guest_mac.b, DHCP4_MAC_LEN)))
		return R_SPOOFED_MAC;
	if (dhcp_wire_get_addr(&d.q, DHCP_OPT_SERVER, &server) && !addr_eq(&server, &st->cfg.gw4))
		return R_DHCP_OTHER_SERVER;
	dhcp4_find_address(&d);
	d.n_params = dhcp_wire_get(&d.q, DHCP_OPT_PARAMS, d.params, sizeof(d.params));
	if (d.n_params > (int)sizeof(d.params))
		d.n_params = sizeof(d.params);
	return dhcp4_judge(&d);
}
