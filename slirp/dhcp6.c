/* dhcp6.c - the DHCPv6 server.  See dhcp6.h.
 *
 * Where guests are learned (any_guest) it is stateless: INFORMATION-REQUEST is answered, identity associations are passed over (RFC 8415 6.1).
 */
#include "slirp/dhcp6.h"

#include "slirp/stack_state.h"
#include "slirp/wire/dhcp6_wire.h"
#include "slirp/wire/names_wire.h"

#include <glib.h>

enum {
	DHCP6_REPLY_MAX = 1232, /* the least MTU of IPv6 less its header; UDP's 8 are spared below */
	DHCP6_PREFERENCE = 255, /* RFC 8415 18.2.1: the client need not wait for other servers */
	/* option 39, RFC 4704 4.1 */
	DHCP6_FQDN_S = 0x01,
	DHCP6_FQDN_O = 0x02,
	DHCP6_FQDN_N = 0x04,
};

/* One request on its way to its answer. */
struct dhcp6 {
	struct stack *st;
	const struct tuple *t;
	struct dhcp6_msg q;
	struct dhcp6_writer w;
	uint8_t duid[DHCP6_DUID_LL_LEN]; /* ours */
	uint8_t buf[DHCP6_REPLY_MAX - 8];
};

/* ---- is it legal? */

enum { NEVER, MAY, MUST };

/* RFC 8415 16.2 to 16.12: what a message has; unicast MAY: answered with UseMulticast. */
static const struct {
	uint8_t client_id, server_id, ia, unicast;
} dhcp6_rules[] = {
	[DHCP6_SOLICIT] = { MUST, NEVER, MAY, NEVER },
	[DHCP6_REQUEST] = { MUST, MUST, MAY, MAY },
	[DHCP6_CONFIRM] = { MUST, NEVER, MUST, NEVER },
	[DHCP6_RENEW] = { MUST, MUST, MAY, MAY },
	[DHCP6_REBIND] = { MUST, NEVER, MAY, NEVER },
	[DHCP6_RELEASE] = { MUST, MUST, MAY, MAY },
	[DHCP6_DECLINE] = { MUST, MUST, MAY, MAY },
	[DHCP6_INFORMATION_REQUEST] = { MAY, MAY, NEVER, NEVER },
};

static bool dhcp6_kept(uint8_t rule, bool there)
{
	return rule == MAY || (rule == MUST) == there;
}

static enum reason dhcp6_check(const struct dhcp6 *d)
{
	const struct dhcp6_msg *q = &d->q;
	uint8_t type = q->type;
	bool stateless = d->st->cfg.any_guest;

	/* ADVERTISE, REPLY and RECONFIGURE are a server's: their rows are empty */
	if (type >= sizeof(dhcp6_rules) / sizeof(dhcp6_rules[0]) || !dhcp6_rules[type].client_id)
		return R_DHCP_TYPE;
	if (stateless && type != DHCP6_INFORMATION_REQUEST) /* guests choose their addresses */
		return R_DHCP_TYPE;
	if (!dhcp6_kept(dhcp6_rules[type].client_id, q->client_id_len) || !dhcp6_kept(dhcp6_rules[type].server_id, q->server_id_len) ||
	    (!stateless && !dhcp6_kept(dhcp6_rules[type].ia, q->n_ia)))
		return R_DHCP_MALFORMED;
	if (q->server_id_len && (q->server_id_len != sizeof(d->duid) || memcmp(q->server_id, d->duid, sizeof(d->duid))))
		return R_DHCP_OTHER_SERVER;
	if (!addr_is_multicast(&d->t->far.addr) && !dhcp6_rules[type].unicast)
		return R_DHCP_TYPE;
	return R_ACCEPTED;
}

/* ---- options */

static uint32_t dhcp6_lease(const struct dhcp6 *d)
{
	return (uint32_t)(d->st->cfg.tune.dhcp_lease / STACK_S);
}

static void dhcp6_begin(struct dhcp6 *d, enum dhcp6_type type)
{
	dhcp6_wire_begin(&d->w, d->buf, sizeof(d->buf), type, d->q.xid);
	if (d->q.client_id_len)
		dhcp6_wire_put(&d->w, DHCP6_OPT_CLIENT_ID, d->q.client_id, d->q.client_id_len);
	dhcp6_wire_put(&d->w, DHCP6_OPT_SERVER_ID, d->duid, sizeof(d->duid));
}

/* RFC 4704 6: we update no names, and say so to a client that sent its own and asks for ours. */
static void dhcp6_put_fqdn(struct dhcp6 *d)
{
	uint8_t b[1 + NAMES_NAME_MAX];

	if (!d->q.fqdn || d->q.fqdn_len > sizeof(b) || !dhcp6_wire_asks(&d->q, DHCP6_OPT_FQDN))
		return;
	memcpy(b, d->q.fqdn, d->q.fqdn_len);
	b[0] = (uint8_t)(DHCP6_FQDN_N | (b[0] & DHCP6_FQDN_S ? DHCP6_FQDN_O : 0));
	dhcp6_wire_put(&d->w, DHCP6_OPT_FQDN, b, d->q.fqdn_len);
}

/* RFC 5970 3.1: the file by TFTP from our address, unless it is a URL itself. */
static void dhcp6_put_bootfile(struct dhcp6 *d)
{
	const struct stack_config *cfg = &d->st->cfg;
	char url[STACK_BOOTFILE_LEN + ADDR_STRLEN + 16], gw[ADDR_STRLEN];
	int len;

	if (!*cfg->boot.file || (d->q.has_oro && !dhcp6_wire_asks(&d->q, DHCP6_OPT_BOOTFILE_URL)))
		return;
	if (strstr(cfg->boot.file, "://"))
		len = g_snprintf(url, sizeof(url), "%s", cfg->boot.file);
	else
		len = g_snprintf(url, sizeof(url), "tftp://[%s]/%s", addr_format(&cfg->gw6, gw), cfg->boot.file);
	dhcp6_wire_put(&d->w, DHCP6_OPT_BOOTFILE_URL, url, (uint32_t)len);
}

/* The last options of a message: what does not fit is left out. */
static void dhcp6_put_asked(struct dhcp6 *d)
{
	const struct stack_config *cfg = &d->st->cfg;
	uint8_t b[STACK_SEARCH_LEN + 2];
	uint32_t len = names_wire_put(b, sizeof(b), cfg->search, false);

	if (!d->q.has_oro || dhcp6_wire_asks(&d->q, DHCP6_OPT_DNS))
		dhcp6_wire_put(&d->w, DHCP6_OPT_DNS, cfg->dns6.b, sizeof(cfg->dns6.b));
	dhcp6_put_bootfile(d);
	dhcp6_put_fqdn(d);
	if (len && (!d->q.has_oro || dhcp6_wire_asks(&d->q, DHCP6_OPT_SEARCH)))
		dhcp6_wire_put(&d->w, DHCP6_OPT_SEARCH, b, len);
}

static enum reason dhcp6_send(struct dhcp6 *d)
{
	bool ll = addr_is_linklocal(&d->t->guest.addr);
	struct tuple to = { .guest = { d->t->guest.addr, DHCP6_CLIENT_PORT },
			    .far = { ll ? stack_linklocal(d->st) : d->st->cfg.gw6, DHCP6_SERVER_PORT } };

	return stack_dgram(d->st, &to, &(struct dgram_meta){ 0 }, &(struct iovec){ d->buf, d->w.len }, 1, d->w.len);
}

/* ---- identity associations */

static bool dhcp6_names(const struct dhcp6 *d, const struct dhcp6_ia *ia)
{
	for (uint32_t i = 0; i < ia->n_addrs; i++)
		if (addr_eq(&ia->addrs[i], &d->st->cfg.guest6))
			return true;
	return false;
}

static bool dhcp6_all_in_prefix(const struct dhcp6 *d, const struct dhcp6_ia *ia)
{
	for (uint32_t i = 0; i < ia->n_addrs; i++)
		if (!prefix_contains(&d->st->cfg.net6, &ia->addrs[i]))
			return false;
	return true;
}

/* Which association gets the one address. */
static uint32_t dhcp6_chosen(const struct dhcp6 *d)
{
	for (uint32_t i = 0; i < d->q.n_ia; i++)
		if (dhcp6_names(d, &d->q.ia[i]))
			return i;
	return 0;
}

/* status DHCP6_SUCCESS: with the address; strange: the other addresses it named, to be forgotten. */
static void dhcp6_put_ia(struct dhcp6 *d, const struct dhcp6_ia *ia, enum dhcp6_status status, bool strange)
{
	static const char *const texts[] = { [DHCP6_NO_ADDRS_AVAIL] = "there is one address, and it is given",
					     [DHCP6_NO_BINDING] = "not the address of this guest",
					     [DHCP6_NOT_ON_LINK] = "not a prefix of this link" };
	uint32_t lease = dhcp6_lease(d), at;
	bool given = status == DHCP6_SUCCESS;

	at = dhcp6_wire_open_ia(&d->w, ia->iaid, given ? lease / 2 : 0, given ? (uint32_t)(lease * 4ull / 5) : 0);
	if (given)
		dhcp6_wire_put_addr(&d->w, &d->st->cfg.guest6, lease, lease);
	else
		dhcp6_wire_put_status(&d->w, status, texts[status]);
	for (uint32_t i = 0; strange && i < ia->n_addrs; i++)
		if (!addr_eq(&ia->addrs[i], &d->st->cfg.guest6))
			dhcp6_wire_put_addr(&d->w, &ia->addrs[i], 0, 0);
	dhcp6_wire_close(&d->w, at);
}

/* SOLICIT and REQUEST */
static void dhcp6_put_given(struct dhcp6 *d, bool hints_bind)
{
	uint32_t chosen = dhcp6_chosen(d);

	for (uint32_t i = 0; i < d->q.n_ia; i++) {
		const struct dhcp6_ia *ia = &d->q.ia[i];

		if (hints_bind && !dhcp6_all_in_prefix(d, ia))
			dhcp6_put_ia(d, ia, DHCP6_NOT_ON_LINK, false);
		else
			dhcp6_put_ia(d, ia, i == chosen ? DHCP6_SUCCESS : DHCP6_NO_ADDRS_AVAIL, false);
	}
}

/* RENEW and REBIND: an association that names no address wants one; one that names only others of the prefix is none of ours. */
static void dhcp6_put_renewed(struct dhcp6 *d)
{
	uint32_t chosen = dhcp6_chosen(d);

	for (uint32_t i = 0; i < d->q.n_ia; i++) {
		const struct dhcp6_ia *ia = &d->q.ia[i];
		bool others = ia->n_addrs && !dhcp6_names(d, ia);

		if (others && d->q.type == DHCP6_RENEW && dhcp6_all_in_prefix(d, ia))
			dhcp6_put_ia(d, ia, DHCP6_NO_BINDING, false);
		else
			dhcp6_put_ia(d, ia, i == chosen ? DHCP6_SUCCESS : DHCP6_NO_ADDRS_AVAIL, true);
	}
}

/* ---- the messages */

static enum reason dhcp6_give(struct dhcp6 *d)
{
	bool advertise = d->q.type == DHCP6_SOLICIT && !d->q.rapid_commit;
	uint8_t preference = DHCP6_PREFERENCE;

	dhcp6_begin(d, advertise ? DHCP6_ADVERTISE : DHCP6_REPLY);
	if (advertise)
		dhcp6_wire_put(&d->w, DHCP6_OPT_PREFERENCE, &preference, 1);
	else if (d->q.type == DHCP6_SOLICIT)
		dhcp6_wire_put(&d->w, DHCP6_OPT_RAPID_COMMIT, NULL, 0);
	if (d->q.type == DHCP6_RENEW || d->q.type == DHCP6_REBIND)
		dhcp6_put_renewed(d);
	else
		dhcp6_put_given(d, d->q.type == DHCP6_REQUEST);
	dhcp6_put_asked(d);
	return dhcp6_send(d);
}

static enum reason dhcp6_confirm(struct dhcp6 *d)
{
	uint32_t addrs = 0, good = 0;

	for (uint32_t i = 0; i < d->q.n_ia; i++)
		for (uint32_t k = 0; k < d->q.ia[i].n_addrs; k++) {
			addrs++;
			good += stack_is_guest6(d->st, &d->q.ia[i].addrs[k]);
		}
	if (!addrs) /* RFC 8415 18.3.3: no answer */
		return R_DHCP_MALFORMED;
	dhcp6_begin(d, DHCP6_REPLY);
	if (good == addrs)
		dhcp6_wire_put_status(&d->w, DHCP6_SUCCESS, "on this link");
	else
		dhcp6_wire_put_status(&d->w, DHCP6_NOT_ON_LINK, "not an address of this link");
	return dhcp6_send(d);
}

static enum reason dhcp6_give_back(struct dhcp6 *d)
{
	enum reason r;

	dhcp6_begin(d, DHCP6_REPLY);
	dhcp6_wire_put_status(&d->w, DHCP6_SUCCESS, "");
	for (uint32_t i = 0; i < d->q.n_ia; i++)
		if (!dhcp6_names(d, &d->q.ia[i]))
			dhcp6_put_ia(d, &d->q.ia[i], DHCP6_NO_BINDING, false);
	r = dhcp6_send(d);
	return !r && d->q.type == DHCP6_DECLINE ? R_DHCP_DECLINED : r;
}

static enum reason dhcp6_plain(struct dhcp6 *d, bool use_multicast)
{
	dhcp6_begin(d, DHCP6_REPLY);
	if (use_multicast)
		dhcp6_wire_put_status(&d->w, DHCP6_USE_MULTICAST, "");
	else
		dhcp6_put_asked(d);
	return dhcp6_send(d);
}

enum reason dhcp6_in(struct stack *st, const struct tuple *t, const uint8_t *p, uint32_t len)
{
	struct dhcp6 d = { .st = st, .t = t };
	enum reason r = dhcp6_wire_parse(p, len, &d.q);

	if (r)
		return r;
	dhcp6_wire_duid_ll(d.duid, st->cfg.gw_mac.b);
	r = dhcp6_check(&d);
	if (r)
		return r;
	if (!addr_is_multicast(&t->far.addr))
		return dhcp6_plain(&d, true);
	switch (d.q.type) {
	case DHCP6_CONFIRM:
		return dhcp6_confirm(&d);
	case DHCP6_RELEASE:
	case DHCP6_DECLINE:
		return dhcp6_give_back(&d);
	case DHCP6_INFORMATION_REQUEST:
		return dhcp6_plain(&d, false);
	default:
		return dhcp6_give(&d);
	}
}
