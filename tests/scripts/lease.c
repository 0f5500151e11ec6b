/* lease.c - the guest as a client of DHCPv4, DHCPv6 and router advertisements: what it asks, and the answers as text.
 *
 * An answer becomes words ("offer yiaddr=10.0.2.15 3=10.0.2.2 ..."), by a decoder of our own; a script names those it wants, and with
 * "!WORD" beginnings of words that must not be there.
 * Below: craft.h, play.h.  Above: guest.c, expect.c, judge.c.
 *
 * prefixes: lease_
 */
#include "tests/scripts/lease.h"

#include "slirp/base/bytes.h"
#include "tests/scripts/craft.h"

#include <string.h>

enum { LEASE_BOOTP_LEN = 236 };

static const char *const lease_types4[] = { "bootp", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform" };
static const char *const lease_types6[] = { "?",     "solicit", "advertise", "request", "confirm",	       "renew",	     "rebind",
					    "reply", "release", "decline",   "reconfigure", "information-request", "relay-forw", "relay-repl" };

static int lease_type(const char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; name && i < n; i++)
		if (!strcmp(list[i], name))
			return (int)i;
	return -1;
}

/* ---- what the guest sends */

static void lease_hex(GByteArray *a, const char *hex)
{
	for (; g_ascii_isxdigit(hex[0]) && g_ascii_isxdigit(hex[1]); hex += 2) {
		uint8_t b = (uint8_t)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));

		g_byte_array_append(a, &b, 1);
	}
}

/* "x0102" bytes, "10.0.2.15" an address, "576/2" a number of two bytes, "1,3,6" numbers of one byte (of `width` bytes) */
static bool lease_value(GByteArray *a, const char *text, uint32_t width)
{
	struct addr addr;
	const char *end;
	int64_t n;

	if (*text == 'x') {
		lease_hex(a, text + 1);
		return true;
	}
	if (addr_parse(text, &addr, NULL)) {
		g_byte_array_append(a, addr_is_v4(&addr) ? addr_v4_bytes(&addr) : addr.b, addr_is_v4(&addr) ? 4 : 16);
		return true;
	}
	while (*text) {
		uint8_t b[4];

		if (!script_number(text, &n, &end))
			return false;
		if (*end == '/') {
			width = (uint32_t)(end[1] - '0');
			end += 2;
		}
		if (width < 1 || width > 4)
			return false;
		bytes_put32(b, (uint32_t)n);
		g_byte_array_append(a, b + 4 - width, width);
		text = *end == ',' ? end + 1 : end;
		if (*end && *end != ',')
			return false;
	}
	return true;
}

/* The value behind "KEY=" if the next word begins so, which is then taken. */
static const char *lease_key(struct words *w, const char *key)
{
	const char *word = words_peek(w);
	size_t n = strlen(key);

	if (!word || strncmp(word, key, n) || word[n] != '=')
		return NULL;
	words_next(w);
	return word + n + 1;
}

/* Fixed fields: name, place, bytes. */
static bool lease_field4(GByteArray *a, struct words *w, bool *wrong)
{
	static const struct {
		const char *key;
		uint32_t at, len;
	} fields[] = { { "op", 0, 1 },	    { "htype", 1, 1 },	 { "hlen", 2, 1 },    { "xid", 4, 4 },	{ "secs", 8, 2 },
		       { "flags", 10, 2 },  { "ciaddr", 12, 4 }, { "yiaddr", 16, 4 }, { "giaddr", 24, 4 }, { "chaddr", 28, 6 } };
	g_autoptr(GByteArray) v = g_byte_array_new();

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
		const char *value = lease_key(w, fields[i].key);

		if (!value)
			continue;
		*wrong = !lease_value(v, value, fields[i].len) || v->len != fields[i].len;
		if (!*wrong)
			memcpy(a->data + fields[i].at, v->data, v->len);
		return true;
	}
	return false;
}

/* "53=1": an option; "raw=HEX": bytes as they are */
static bool lease_option4(GByteArray *a, struct words *w, bool *wrong)
{
	const char *word = words_peek(w), *end;
	g_autoptr(GByteArray) v = g_byte_array_new();
	int64_t code;
	uint8_t head[2];

	if (word && g_str_has_prefix(word, "raw=")) {
		lease_hex(a, words_next(w) + 4);
		return true;
	}
	if (!word || !script_number(word, &code, &end) || *end != '=')
		return false;
	*wrong = !lease_value(v, end + 1, 1);
	head[0] = (uint8_t)code;
	head[1] = (uint8_t)v->len;
	g_byte_array_append(a, head, 2);
	g_byte_array_append(a, v->data, v->len);
	words_next(w);
	return true;
}

static GByteArray *lease_udp(uint16_t sport, uint16_t dport, const struct craft *m, const GByteArray *msg)
{
	GByteArray *l4 = g_byte_array_new();

	craft_put16(l4, m->sport >= 0 ? (uint32_t)m->sport : sport);
	craft_put16(l4, m->dport >= 0 ? (uint32_t)m->dport : dport);
	craft_put16(l4, 8 + msg->len);
	craft_put16(l4, 0);
	g_byte_array_append(l4, msg->data, msg->len);
	return l4;
}

static bool lease_send(struct play *p, const struct craft *m, const struct addr *src, const struct addr *dst, uint8_t proto, GByteArray *l4)
{
	enum reason r = craft_send(p, m, craft_ip(p, m, src, dst, proto, l4));

	if (r != R_ACCEPTED)
		play_note(p, "  -- dropped: %s", reason_name(r));
	return !p->fail;
}

bool lease_guest_dhcp(struct play *p, struct words *w)
{
	static const uint8_t cookie[4] = { 99, 130, 83, 99 };
	g_autoptr(GByteArray) msg = g_byte_array_new(), l4 = NULL;
	const char *name = words_next(w), *cut = NULL, *wrong, *end;
	int type = lease_type(lease_types4, G_N_ELEMENTS(lease_types4), name);
	struct addr any, all;
	struct craft m;
	bool bad = false;
	int64_t n;

	if (type < 0)
		return play_fail(p, "dhcp discover|request|decline|release|inform|bootp ...");
	g_byte_array_set_size(msg, LEASE_BOOTP_LEN);
	memset(msg->data, 0, msg->len);
	memcpy(msg->data, "\1\1\6", 3);
	memcpy(msg->data + 28, p->cfg.guest_mac.b, 6);
	if (!words_take(w, "nocookie"))
		g_byte_array_append(msg, cookie, 4);
	if (type)
		g_byte_array_append(msg, (const uint8_t[]){ 53, 1, (uint8_t)type }, 3);
	while (!bad && (lease_field4(msg, w, &bad) || lease_option4(msg, w, &bad)))
		;
	cut = lease_key(w, "cut");
	if (!cut)
		g_byte_array_append(msg, (const uint8_t[]){ 255 }, 1);
	else if (script_number(cut, &n, &end))
		g_byte_array_set_size(msg, (guint)n);
	craft_init(&m);
	wrong = craft_parse(&m, w);
	if (bad || wrong)
		return play_fail(p, "this line is not understood: %s", wrong ? wrong : "a value");
	if (!m.has_to && !m.has_dst)
		memset(m.to.b, 0xff, sizeof(m.to.b));
	m.has_to |= !m.has_dst;
	addr_parse("0.0.0.0", &any, NULL);
	addr_parse("255.255.255.255", &all, NULL);
	l4 = lease_udp(68, 67, &m, msg);
	play_note(p, "guest dhcp %s", name);
	return lease_send(p, &m, &any, &all, IP_PROTO_UDP, l4);
}

static void lease_put6(GByteArray *a, uint32_t code, const uint8_t *p, uint32_t len)
{
	craft_put16(a, code);
	craft_put16(a, len);
	g_byte_array_append(a, p, len);
}

/* "ia=7", "ia=7:fd00::15", "ia=7:fd00::15,fd00::16" */
static bool lease_ia(GByteArray *a, const char *text)
{
	g_autoptr(GByteArray) ia = g_byte_array_new();
	const char *end;
	int64_t iaid;

	if (!script_number(text, &iaid, &end))
		return false;
	craft_put32(ia, (uint32_t)iaid);
	craft_put32(ia, 0);
	craft_put32(ia, 0);
	while (*end == ':' || *end == ',') {
		uint8_t b[24] = { 0 };
		struct addr addr;
		const char *from = end + 1;

		if (!addr_parse(from, &addr, &end) && (!end || end == from))
			return false;
		memcpy(b, addr.b, 16);
		lease_put6(ia, 5, b, sizeof(b));
	}
	lease_put6(a, 3, ia->data, ia->len);
	return !*end;
}

static void lease_duid(const struct mac *mac, uint8_t b[10])
{
	memcpy(b, "\0\3\0\1", 4);
	memcpy(b + 4, mac->b, 6);
}

static bool lease_option6(struct play *p, GByteArray *a, struct words *w, bool *wrong)
{
	g_autoptr(GByteArray) v = g_byte_array_new();
	const char *word = words_peek(w), *value, *end;
	uint8_t duid[10];
	int64_t code;

	if (!word)
		return false;
	if ((value = lease_key(w, "ia"))) {
		*wrong = !lease_ia(a, value);
	} else if (words_take(w, "rapid")) {
		lease_put6(a, 14, duid, 0);
	} else if ((value = lease_key(w, "raw"))) {
		lease_hex(a, value);
	} else if ((value = lease_key(w, "oro"))) {
		*wrong = !lease_value(v, value, 2);
		lease_put6(a, 6, v->data, v->len);
	} else if (words_take(w, "server")) {
		lease_duid(&p->cfg.gw_mac, duid);
		lease_put6(a, 2, duid, sizeof(duid));
	} else if (script_number(word, &code, &end) && *end == '=') {
		*wrong = !lease_value(v, end + 1, 1);
		lease_put6(a, (uint32_t)code, v->data, v->len);
		words_next(w);
	} else {
		return false;
	}
	return true;
}

/* The guest's link-local address, RFC 4291 appendix A. */
static struct addr lease_linklocal(const struct mac *m)
{
	const uint8_t b[16] = { 0xfe, 0x80, [8] = m->b[0] ^ 2, m->b[1], m->b[2], 0xff, 0xfe, m->b[3], m->b[4], m->b[5] };

	return addr_from_v6(b);
}

bool lease_guest_dhcp6(struct play *p, struct words *w)
{
	g_autoptr(GByteArray) msg = g_byte_array_new(), l4 = NULL;
	struct addr from = lease_linklocal(&p->cfg.guest_mac), group;
	const char *name = words_next(w), *value, *wrong, *end;
	int type = lease_type(lease_types6, G_N_ELEMENTS(lease_types6), name);
	uint8_t duid[10];
	bool bad = false;
	struct craft m;
	int64_t n = 0;

	if (type < 0)
		return play_fail(p, "dhcp6 solicit|request|confirm|renew|rebind|release|decline|information-request ...");
	if ((value = lease_key(w, "xid")) && !script_number(value, &n, &end))
		return play_fail(p, "xid=NUMBER");
	craft_put32(msg, (uint32_t)type << 24 | (uint32_t)n);
	if (!words_take(w, "noclient")) {
		lease_duid(&p->cfg.guest_mac, duid);
		lease_put6(msg, 1, duid, sizeof(duid));
	}
	while (!bad && lease_option6(p, msg, w, &bad))
		;
	if ((value = lease_key(w, "cut")) && script_number(value, &n, &end))
		g_byte_array_set_size(msg, (guint)n);
	craft_init(&m);
	wrong = craft_parse(&m, w);
	if (bad || wrong)
		return play_fail(p, "this line is not understood: %s", wrong ? wrong : "a value");
	if (!m.has_to && !m.has_dst) {
		eth_wire_mac_parse("33:33:00:01:00:02", &m.to, NULL);
		m.has_to = true;
	}
	addr_parse("ff02::1:2", &group, NULL);
	l4 = lease_udp(546, 547, &m, msg);
	play_note(p, "guest dhcp6 %s", name);
	return lease_send(p, &m, &from, &group, IP_PROTO_UDP, l4);
}

/* "rs [nomac] [code N] [opt HEX]": from the link-local address unless src says otherwise */
bool lease_guest_rs(struct play *p, struct words *w)
{
	g_autoptr(GByteArray) l4 = g_byte_array_new();
	struct addr from = lease_linklocal(&p->cfg.guest_mac), group;
	bool nomac = words_take(w, "nomac");
	const char *wrong;
	struct craft m;
	int64_t code = 0;

	if (words_take(w, "code") && !words_number(w, &code))
		return play_fail(p, "code NUMBER");
	craft_put32(l4, 133u << 24 | (uint32_t)code << 16);
	craft_put32(l4, 0);
	if (!nomac) {
		craft_put16(l4, 0x0101);
		g_byte_array_append(l4, p->cfg.guest_mac.b, 6);
	}
	if (words_take(w, "opt") && words_peek(w))
		lease_hex(l4, words_next(w));
	craft_init(&m);
	m.ttl = 255;
	m.has_to = eth_wire_mac_parse("33:33:00:00:00:02", &m.to, NULL);
	wrong = craft_parse(&m, w);
	if (wrong)
		return play_fail(p, "this line is not understood: %s", wrong);
	addr_parse("ff02::2", &group, NULL);
	play_note(p, "guest rs");
	return lease_send(p, &m, &from, &group, IP_PROTO_ICMPV6, l4);
}
