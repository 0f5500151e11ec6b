/* dhcp6_wire.c - DHCPv6 messages to values and back.  See dhcp6_wire.h. */
#include "slirp/wire/dhcp6_wire.h"
#include "slirp/base/bytes.h"

enum {
	OPT_HDR_LEN = 4,
	IA_LEN = 12,	  /* IAID, T1, T2 */
	IA_ADDR_LEN = 24, /* address, two lifetimes */
	DUID_MIN = 3,
	DUID_LL = 3,
	HW_ETHERNET = 1,
};

struct option {
	uint16_t code, len;
	const uint8_t *p;
};

/* Takes one option off the front.  False: it does not fit. */
static bool next_option(const uint8_t **p, uint32_t *len, struct option *o)
{
	if (*len < OPT_HDR_LEN)
		return false;
	o->code = bytes_get16(*p);
	o->len = bytes_get16(*p + 2);
	o->p = *p + OPT_HDR_LEN;
	if (*len - OPT_HDR_LEN < o->len)
		return false;
	*p += OPT_HDR_LEN + o->len;
	*len -= OPT_HDR_LEN + (uint32_t)o->len;
	return true;
}

/* Only their fit is of interest. */
static bool options_good(const uint8_t *p, uint32_t len)
{
	struct option o;

	while (len)
		if (!next_option(&p, &len, &o))
			return false;
	return true;
}

static bool parse_ia(const struct option *ia, struct dhcp6_msg *m)
{
	struct dhcp6_ia v = { 0 };
	const uint8_t *p = ia->p + IA_LEN;
	uint32_t len;
	struct option o;

	if (ia->len < IA_LEN)
		return false;
	v.iaid = bytes_get32(ia->p);
	for (len = ia->len - (uint32_t)IA_LEN; len;) {
		if (!next_option(&p, &len, &o))
			return false;
		if (o.code != DHCP6_OPT_IA_ADDR)
			continue;
		if (o.len < IA_ADDR_LEN || !options_good(o.p + IA_ADDR_LEN, o.len - (uint32_t)IA_ADDR_LEN))
			return false;
		if (v.n_addrs < DHCP6_ADDR_MAX)
			v.addrs[v.n_addrs++] = addr_from_v6(o.p);
	}
	if (m->n_ia < DHCP6_IA_MAX)
		m->ia[m->n_ia++] = v;
	return true;
}

static bool parse_duid(const struct option *o, const uint8_t **ret, uint16_t *ret_len)
{
	if (*ret_len || o->len < DUID_MIN || o->len > DHCP6_DUID_MAX)
		return false;
	*ret = o->p;
	*ret_len = o->len;
	return true;
}

static bool parse_oro(const struct option *o, struct dhcp6_msg *m)
{
	m->has_oro = true;
	for (uint32_t at = 0; at + 2 <= o->len && m->n_oro < DHCP6_ORO_MAX; at += 2)
		m->oro[m->n_oro++] = bytes_get16(o->p + at);
	return o->len % 2 == 0;
}

static bool parse_option(const struct option *o, struct dhcp6_msg *m)
{
	switch (o->code) {
	case DHCP6_OPT_CLIENT_ID:
		return parse_duid(o, &m->client_id, &m->client_id_len);
	case DHCP6_OPT_SERVER_ID:
		return parse_duid(o, &m->server_id, &m->server_id_len);
	case DHCP6_OPT_IA_NA:
		return parse_ia(o, m);
	case DHCP6_OPT_ORO:
		return parse_oro(o, m);
	case DHCP6_OPT_RAPID_COMMIT:
		m->rapid_commit = true;
		return o->len == 0;
	case DHCP6_OPT_FQDN:
		m->fqdn = o->p;
		m->fqdn_len = o->len;
		return o->len >= 1;
	default:
		return true;
	}
}

enum reason dhcp6_wire_parse(const uint8_t *p, uint32_t len, struct dhcp6_msg *ret)
{
	struct dhcp6_msg m = { 0 };
	struct option o;

	if (len < DHCP6_HDR_LEN)
		return R_DHCP_MALFORMED;
	m.type = p[0];
	if (m.type == DHCP6_RELAY_FORW || m.type == DHCP6_RELAY_REPL)
		return R_DHCP_RELAYED;
	m.xid = bytes_get32(p) & 0xffffff;
	p += DHCP6_HDR_LEN;
	len -= DHCP6_HDR_LEN;
	while (len)
		if (!next_option(&p, &len, &o) || !parse_option(&o, &m))
			return R_DHCP_MALFORMED;
	*ret = m;
	return R_ACCEPTED;
}

/* Room for one more option of len bytes; its head is written.  NULL: none. */
static uint8_t *put_head(struct dhcp6_writer *w, uint16_t code, uint32_t len)
{
	uint8_t *p = w->p + w->len;

	if (w->full || w->room - w->len < OPT_HDR_LEN + len || len > UINT16_MAX) {
		w->full = true;
		return NULL;
	}
	bytes_put16(p, code);
	bytes_put16(p + 2, (uint16_t)len);
	w->len += OPT_HDR_LEN + len;
	return p + OPT_HDR_LEN;
}

void dhcp6_wire_begin(struct dhcp6_writer *w, uint8_t *p, uint32_t room, enum dhcp6_type type, uint32_t xid)
{
	*w = (struct dhcp6_writer){ .p = p, .len = DHCP6_HDR_LEN, .room = room };
	bytes_put32(p, (uint32_t)type << 24 | (xid & 0xffffff));
}

void dhcp6_wire_put(struct dhcp6_writer *w, enum dhcp6_option code, const void *data, uint32_t len)
{
	uint8_t *p = put_head(w, (uint16_t)code, len);

	if (p && len)
		memcpy(p, data, len);
}

uint32_t dhcp6_wire_open_ia(struct dhcp6_writer *w, uint32_t iaid, uint32_t t1, uint32_t t2)
{
	uint32_t at = w->len;
	uint8_t *p = put_head(w, DHCP6_OPT_IA_NA, IA_LEN);

	if (p) {
		bytes_put32(p, iaid);
		bytes_put32(p + 4, t1);
		bytes_put32(p + 8, t2);
	}
	return at;
}

void dhcp6_wire_close(struct dhcp6_writer *w, uint32_t at)
{
	if (!w->full)
		bytes_put16(w->p + at + 2, (uint16_t)(w->len - at - OPT_HDR_LEN));
}

void dhcp6_wire_put_addr(struct dhcp6_writer *w, const struct addr *a, uint32_t preferred, uint32_t valid)
{
	uint8_t b[IA_ADDR_LEN];

	memcpy(b, a->b, 16);
	bytes_put32(b + 16, preferred);
	bytes_put32(b + 20, valid);
	dhcp6_wire_put(w, DHCP6_OPT_IA_ADDR, b, sizeof(b));
}

void dhcp6_wire_put_status(struct dhcp6_writer *w, enum dhcp6_status status, const char *text)
{
	uint32_t len = (uint32_t)strlen(text);
	uint8_t *p = put_head(w, DHCP6_OPT_STATUS, 2 + len);

	if (!p)
		return;
	bytes_put16(p, (uint16_t)status);
	memcpy(p + 2, text, len);
}

void dhcp6_wire_duid_ll(uint8_t *p, const uint8_t mac[6])
{
	bytes_put16(p, DUID_LL);
	bytes_put16(p + 2, HW_ETHERNET);
	memcpy(p + 4, mac, 6);
}
