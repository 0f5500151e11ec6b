/* dhcp_wire.c - DHCPv4 messages to values and back.  See dhcp_wire.h. */
#include "slirp/wire/dhcp_wire.h"
#include "slirp/base/bytes.h"

enum {
	AT_SECS = 8,
	AT_FLAGS = 10,
	AT_CIADDR = 12,
	AT_CHADDR = 28,
	AT_SNAME = 44,
	SNAME_LEN = 64,
	AT_FILE = 108,
	FILE_LEN = DHCP_FILE_LEN,
	AT_OPTIONS = DHCP_BOOTP_LEN + 4,
	PIECE_MAX = 255,
	PAD = 0,
	OVERLOAD_FILE = 1,
	OVERLOAD_SNAME = 2,
	OVERLOAD_LEN = 3, /* option 52 itself */
};

/* The fields that options may overflow into, in the order of RFC 3396 5; bit: of option 52. */
static const struct {
	uint32_t at, len;
	uint8_t bit;
} fields[] = { { AT_FILE, FILE_LEN, OVERLOAD_FILE }, { AT_SNAME, SNAME_LEN, OVERLOAD_SNAME } };

static const uint8_t cookie[4] = { 99, 130, 83, 99 };

/* The next option of an area: *at moves behind it.  0: the end; -1: it does not fit into the area. */
static int next_option(const struct dhcp_area *a, uint32_t *at, const uint8_t **data, uint32_t *len)
{
	uint8_t code;

	while (*at < a->len && a->p[*at] == PAD)
		(*at)++;
	if (*at >= a->len || a->p[*at] == DHCP_OPT_END)
		return 0;
	code = a->p[*at];
	if (a->len - *at < 2 || a->len - *at - 2 < a->p[*at + 1])
		return -1;
	*len = a->p[*at + 1];
	*data = a->p + *at + 2;
	*at += 2 + *len;
	return code;
}

static bool area_good(const struct dhcp_area *a)
{
	const uint8_t *data;
	uint32_t at = 0, len;
	int code;

	while ((code = next_option(a, &at, &data, &len)) > 0)
		;
	return !code;
}

int dhcp_wire_get(const struct dhcp_msg *m, enum dhcp_option code, uint8_t *buf, uint32_t room)
{
	uint32_t total = 0;
	bool found = false;

	for (int i = 0; i < 3; i++) {
		const uint8_t *data;
		uint32_t at = 0, len;
		int c;

		while ((c = next_option(&m->area[i], &at, &data, &len)) > 0) {
			uint32_t n = total < room ? room - total : 0;

			if (c != (int)code)
				continue;
			found = true;
			if (len && n)
				memcpy(buf + total, data, len < n ? len : n);
			total += len;
		}
	}
	return found ? (int)total : -1;
}

bool dhcp_wire_get_addr(const struct dhcp_msg *m, enum dhcp_option code, struct addr *ret)
{
	uint8_t b[4];

	if (dhcp_wire_get(m, code, b, sizeof(b)) != sizeof(b))
		return false;
	*ret = addr_from_v4(b);
	return true;
}

bool dhcp_wire_get16(const struct dhcp_msg *m, enum dhcp_option code, uint16_t *ret)
{
	uint8_t b[2];

	if (dhcp_wire_get(m, code, b, sizeof(b)) != sizeof(b))
		return false;
	*ret = bytes_get16(b);
	return true;
}

/* The areas, the overloaded ones too, and the type. */
static enum reason parse_options(const uint8_t *p, uint32_t len, struct dhcp_msg *m)
{
	uint8_t v = 0;

	m->area[0] = (struct dhcp_area){ p + AT_OPTIONS, len - AT_OPTIONS };
	if (!area_good(&m->area[0]))
		return R_DHCP_MALFORMED;
	if (dhcp_wire_get(m, DHCP_OPT_OVERLOAD, &v, 1) > 0) {
		for (int i = 0; i < 2; i++)
			if (v & fields[i].bit)
				m->area[1 + i] = (struct dhcp_area){ p + fields[i].at, fields[i].len };
	}
	if (!area_good(&m->area[1]) || !area_good(&m->area[2]))
		return R_DHCP_MALFORMED;
	switch (dhcp_wire_get(m, DHCP_OPT_TYPE, &v, 1)) {
	case -1:
		return R_ACCEPTED;
	case 1:
		m->type = (enum dhcp_type)v;
		return v ? R_ACCEPTED : R_DHCP_MALFORMED;
	default:
		return R_DHCP_MALFORMED;
	}
}

enum reason dhcp_wire_parse(const uint8_t *p, uint32_t len, struct dhcp_msg *ret)
{
	struct dhcp_msg m = { 0 };
	enum reason r;

	if (len < DHCP_BOOTP_LEN)
		return R_DHCP_MALFORMED;
	m.op = p[0];
	m.htype = p[1];
	m.hlen = p[2];
	m.hops = p[3];
	m.xid = bytes_get32(p + 4);
	m.secs = bytes_get16(p + AT_SECS);
	m.flags = bytes_get16(p + AT_FLAGS);
	m.ciaddr = addr_from_v4(p + AT_CIADDR);
	m.yiaddr = addr_from_v4(p + AT_CIADDR + 4);
	m.siaddr = addr_from_v4(p + AT_CIADDR + 8);
	m.giaddr = addr_from_v4(p + AT_CIADDR + 12);
	memcpy(m.chaddr, p + AT_CHADDR, sizeof(m.chaddr));
	if (len >= AT_OPTIONS && !memcmp(p + DHCP_BOOTP_LEN, cookie, sizeof(cookie))) {
		r = parse_options(p, len, &m);
		if (r)
			return r;
	}
	*ret = m;
	return R_ACCEPTED;
}

void dhcp_wire_begin(struct dhcp_writer *w, uint8_t *p, uint32_t room, const struct dhcp_msg *m)
{
	memset(p, 0, DHCP_MIN_LEN);
	p[0] = m->op;
	p[1] = m->htype;
	p[2] = m->hlen;
	p[3] = m->hops;
	bytes_put32(p + 4, m->xid);
	bytes_put16(p + AT_SECS, m->secs);
	bytes_put16(p + AT_FLAGS, m->flags);
	memcpy(p + AT_CIADDR, addr_v4_bytes(&m->ciaddr), 4);
	memcpy(p + AT_CIADDR + 4, addr_v4_bytes(&m->yiaddr), 4);
	memcpy(p + AT_CIADDR + 8, addr_v4_bytes(&m->siaddr), 4);
	memcpy(p + AT_CIADDR + 12, addr_v4_bytes(&m->giaddr), 4);
	memcpy(p + AT_CHADDR, m->chaddr, sizeof(m->chaddr));
	memcpy(p + DHCP_BOOTP_LEN, cookie, sizeof(cookie));
	*w = (struct dhcp_writer){ .p = p, .len = AT_OPTIONS, .room = room };
}

/* The whole option in one of the fields, with room for an end behind it. */
static bool put_in_field(struct dhcp_writer *w, enum dhcp_option code, const void *data, uint32_t len)
{
	for (int i = 0; i < 2; i++) {
		uint8_t *to = w->p + fields[i].at + w->used[i];

		if (!i && w->file_taken)
			continue;
		if (w->used[i] + 2 + len + 1 > fields[i].len)
			continue;
		to[0] = (uint8_t)code;
		to[1] = (uint8_t)len;
		if (len)
			memcpy(to + 2, data, len);
		w->used[i] += 2 + len;
		to[2 + len] = DHCP_OPT_END;
		return true;
	}
	return false;
}

bool dhcp_wire_put(struct dhcp_writer *w, enum dhcp_option code, const void *data, uint32_t len)
{
	uint32_t pieces = len ? (len + PIECE_MAX - 1) / PIECE_MAX : 1;
	const uint8_t *from = data;

	if (w->room - w->len < len + 2 * pieces + 1 + (w->overload ? OVERLOAD_LEN : 0)) /* and the end */
		return w->overload && put_in_field(w, code, data, len);
	while (pieces--) {
		uint32_t n = len < PIECE_MAX ? len : PIECE_MAX;

		w->p[w->len] = (uint8_t)code;
		w->p[w->len + 1] = (uint8_t)n;
		if (n) {
			memcpy(w->p + w->len + 2, from, n);
			from += n;
		}
		w->len += 2 + n;
		len -= n;
	}
	return true;
}

bool dhcp_wire_put_addr(struct dhcp_writer *w, enum dhcp_option code, const struct addr *a)
{
	return dhcp_wire_put(w, code, addr_v4_bytes(a), 4);
}

bool dhcp_wire_put32(struct dhcp_writer *w, enum dhcp_option code, uint32_t v)
{
	uint8_t b[4];

	bytes_put32(b, v);
	return dhcp_wire_put(w, code, b, sizeof(b));
}

bool dhcp_wire_put_file(struct dhcp_writer *w, const char *name)
{
	size_t len = strlen(name);

	if (len >= FILE_LEN)
		return false;
	memcpy(w->p + AT_FILE, name, len + 1);
	w->file_taken = true;
	return true;
}

uint32_t dhcp_wire_end(struct dhcp_writer *w)
{
	uint8_t which = (uint8_t)((w->used[0] ? fields[0].bit : 0) | (w->used[1] ? fields[1].bit : 0));

	w->overload = false; /* its room is kept */
	if (which)
		dhcp_wire_put(w, DHCP_OPT_OVERLOAD, &which, 1);
	w->p[w->len++] = DHCP_OPT_END;
	if (w->len < DHCP_MIN_LEN) {
		memset(w->p + w->len, PAD, DHCP_MIN_LEN - w->len);
		w->len = DHCP_MIN_LEN;
	}
	return w->len;
}
