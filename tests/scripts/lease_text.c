/* lease_text.c - DHCPv4, DHCPv6 and router advertisements as words.  See lease.c.
 *
 * prefixes: lease_
 */
#include "tests/scripts/lease.h"

#include "slirp/base/bytes.h"

#include <string.h>

enum { LEASE_BOOTP_LEN = 236, LEASE_MIN = 300 };

static const char *const lease_types4[] = { "bootp", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform" };

static void lease_addr(GString *s, const uint8_t *p, uint32_t len)
{
	struct addr a = len == 4 ? addr_from_v4(p) : addr_from_v6(p);
	char text[ADDR_STRLEN];

	g_string_append(s, addr_format(&a, text));
}

/* "a.test,b.test"; a pointer leads anywhere before it */
static bool lease_names(GString *s, const uint8_t *p, uint32_t len, bool pointers)
{
	uint32_t at = 0, back = 0;

	while (at < len) {
		if (p[at] >= 0xc0) {
			uint32_t to = at + 1 < len ? bytes_get16(p + at) & 0x3fffu : len;

			if (!pointers || to >= at)
				return false;
			back = back ? back : at + 2;
			at = to;
			continue;
		}
		if (at + p[at] >= len)
			return false;
		if (p[at]) {
			g_string_append_len(s, (const char *)p + at + 1, p[at]);
			g_string_append_c(s, '.');
			at += 1u + p[at];
			continue;
		}
		s->str[s->len - 1] = ',';
		at = back ? back : at + 1;
		back = 0;
		while (!pointers && at < len && !p[at]) /* the padding of DNSSL */
			at++;
	}
	g_string_truncate(s, s->len - 1);
	return true;
}

static void lease_bytes(GString *s, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		g_string_append_printf(s, "%02x", p[i]);
}

static bool lease_value4(GString *s, uint32_t code, const uint8_t *p, uint32_t len)
{
	g_string_append_printf(s, " %u=", code);
	switch (code) {
	case 1: case 3: case 6: case 54:
		if (len != 4)
			return false;
		lease_addr(s, p, len);
		return true;
	case 51: case 58: case 59:
		g_string_append_printf(s, "%u", bytes_get32(p));
		return len == 4;
	case 26:
		g_string_append_printf(s, "%u", bytes_get16(p));
		return len == 2;
	case 12: case 15:
		g_string_append_len(s, (const char *)p, len);
		return len > 0;
	case 119:
		return lease_names(s, p, len, true);
	default:
		lease_bytes(s, p, len);
		return true;
	}
}

/* The options in [at, end); the type of the message is kept apart. */
static bool lease_options4(GString *s, const uint8_t *p, uint32_t at, uint32_t end, uint32_t *type, uint32_t *overload)
{
	g_autoptr(GByteArray) v = g_byte_array_new();
	bool good = true;

	while (good && at + 1 < end && p[at] != 255) {
		g_byte_array_append(v, p + at + 2, p[at + 1]);
		good = at + 2u + p[at + 1] < end;
		if (p[at + 1] < 255 || !good || p[at + 2 + 255] != p[at]) { /* the last piece */
			if (p[at] == 53 && v->len == 1)
				*type = v->data[0];
			else
				good = good && lease_value4(s, p[at], v->data, v->len);
			if (p[at] == 52)
				*overload = v->data[0];
			g_byte_array_set_size(v, 0);
		}
		at += 2u + p[at + 1];
	}
	return good && at < end && p[at] == 255;
}

const char *lease_text4(GString *s, const uint8_t *p, uint32_t len)
{
	static const char *const fields[] = { "ciaddr", "yiaddr", "siaddr", "giaddr" };
	uint32_t type = 0, overload = 0;
	GString *options;
	bool good;

	if (len < LEASE_MIN || p[0] != 2 || p[1] != 1 || p[2] != 6 || bytes_get32(p + LEASE_BOOTP_LEN) != 0x63825363)
		return "a DHCP answer that is too short, no BOOTREPLY, or has no cookie";
	options = g_string_new(NULL);
	good = lease_options4(options, p, LEASE_BOOTP_LEN + 4, len, &type, &overload);
	if (overload & 1)
		good = good && lease_options4(options, p, 108, 236, &type, &overload);
	if (overload & 2)
		good = good && lease_options4(options, p, 44, 108, &type, &overload);
	good = good && type < G_N_ELEMENTS(lease_types4);
	g_string_append_printf(s, " %s xid=%u flags=%u", good ? lease_types4[type] : "?", bytes_get32(p + 4), bytes_get16(p + 10));
	for (uint32_t i = 0; i < 4; i++) {
		g_string_append_printf(s, " %s=", fields[i]);
		lease_addr(s, p + 12 + 4 * i, 4);
	}
	g_string_append(s, " chaddr=");
	lease_bytes(s, p + 28, 6);
	g_string_append(s, options->str);
	g_string_append_printf(s, " len=%u", len);
	g_string_free(options, TRUE);
	return good ? NULL : "a DHCP answer whose options are wrong";
}

/* " ia=7" then ":status=3" or ":fd00::15:86400" (valid lifetime) for what is inside */
static bool lease_ia6(GString *s, const uint8_t *p, uint32_t len)
{
	uint32_t at = 12;

	if (len < 12)
		return false;
	g_string_append_printf(s, " ia=%u", bytes_get32(p));
	for (; at + 4 <= len; at += 4u + bytes_get16(p + at + 2)) {
		uint32_t code = bytes_get16(p + at), n = bytes_get16(p + at + 2);

		if (at + 4 + n > len)
			return false;
		g_string_append_c(s, ':');
		if (code == 13)
			g_string_append_printf(s, "status=%u", bytes_get16(p + at + 4));
		else if (code == 5 && n == 24)
			lease_addr(s, p + at + 4, 16), g_string_append_printf(s, ":%u", bytes_get32(p + at + 24));
		else
			return false;
	}
	return at == len;
}

static bool lease_value6(GString *s, uint32_t code, const uint8_t *p, uint32_t len)
{
	if (code == 3)
		return lease_ia6(s, p, len);
	g_string_append_printf(s, " %u=", code);
	if (code == 13 && len >= 2)
		g_string_append_printf(s, "%u", bytes_get16(p));
	else if (code == 23 && len == 16)
		lease_addr(s, p, len);
	else if (code == 24)
		return lease_names(s, p, len, false);
	else
		lease_bytes(s, p, len);
	return true;
}

const char *lease_text6(GString *s, const uint8_t *p, uint32_t len)
{
	uint32_t at = 4;

	if (len < 4 || (p[0] != 2 && p[0] != 7))
		return "a DHCPv6 answer that is neither ADVERTISE nor REPLY";
	g_string_append_printf(s, " %s xid=%u", p[0] == 2 ? "advertise" : "reply", bytes_get32(p) & 0xffffff);
	for (; at + 4 <= len; at += 4u + bytes_get16(p + at + 2))
		if (at + 4 + bytes_get16(p + at + 2) > len || !lease_value6(s, bytes_get16(p + at), p + at + 4, bytes_get16(p + at + 2)))
			return "a DHCPv6 answer whose options are wrong";
	return at == len ? NULL : "a DHCPv6 answer that is cut short";
}

static bool lease_option_ra(GString *s, const uint8_t *o, uint32_t len)
{
	switch (o[0]) {
	case 1:
		g_string_append(s, " mac=");
		lease_bytes(s, o + 2, 6);
		return len == 8;
	case 3:
		g_string_append(s, " prefix=");
		lease_addr(s, o + 16, 16);
		g_string_append_printf(s, "/%u%s%s", o[2], o[3] & 0x80 ? ":L" : "", o[3] & 0x40 ? ":A" : "");
		return len == 32 && bytes_get32(o + 4) >= bytes_get32(o + 8);
	case 5:
		g_string_append_printf(s, " mtu=%u", bytes_get32(o + 4));
		return len == 8;
	case 25:
		g_string_append(s, " dns=");
		lease_addr(s, o + 8, 16);
		return len == 24;
	case 31:
		g_string_append(s, " search=");
		return lease_names(s, o + 8, len - 8, false);
	default:
		return false;
	}
}

const char *lease_text_ra(GString *s, const uint8_t *p, uint32_t len)
{
	uint32_t at = 16;

	if (len < 16 || p[1])
		return "a router advertisement that is too short or has a code";
	g_string_append_printf(s, " hops=%u%s%s lifetime=%u", p[4], p[5] & 0x80 ? " M" : "", p[5] & 0x40 ? " O" : "", bytes_get16(p + 6));
	for (; at + 8 <= len; at += 8u * p[at + 1])
		if (!p[at + 1] || at + 8u * p[at + 1] > len || !lease_option_ra(s, p + at, 8u * p[at + 1]))
			return "a router advertisement whose options are wrong";
	return at == len ? NULL : "a router advertisement that is cut short";
}

/* Every word of the line is one of the answer's; "!WORD": none begins so. */
const char *lease_compare(const char *text, struct words *w)
{
	g_auto(GStrv) have = g_strsplit(text, " ", -1);
	const char *word;

	while ((word = words_next(w))) {
		if (*word == '!') {
			for (char **h = have; *h; h++)
				if (g_str_has_prefix(*h, word + 1))
					return word;
		} else if (!g_strv_contains((const char *const *)have, word)) {
			return word;
		}
	}
	return NULL;
}
