/* guest.c - the verb "guest": what the guest puts on the link.
 *
 * Below: craft.h, notation.h, play.h.  Above: play.c.
 */
#include "slirp/base/bytes.h"
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/ip_wire.h"
#include "tests/scripts/craft.h"
#include "tests/scripts/lease.h"

#include <string.h>

static const struct mac guest_broadcast = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

static bool guest_sends(struct play *p, const struct craft *m, GByteArray *frame)
{
	enum reason r = craft_send(p, m, frame);

	if (r != R_ACCEPTED)
		play_note(p, "  -- dropped: %s", reason_name(r));
	return !p->fail;
}

bool guest_packet(struct play *p, struct craft *m, const struct addr *src, const struct addr *dst, uint8_t proto, GByteArray *l4)
{
	if (m->frags <= 0)
		return guest_sends(p, m, craft_ip(p, m, src, dst, proto, l4));
	if (m->id < 0)
		m->id = ++p->ip_id;
	m->has_piece = true;
	for (m->piece = 0; m->piece < l4->len && !p->fail; m->piece = m->piece_end) {
		m->piece_end = MIN(m->piece + m->frags, l4->len);
		m->more = m->piece_end < l4->len;
		guest_sends(p, m, craft_ip(p, m, src, dst, proto, l4));
	}
	return !p->fail;
}

static bool guest_bad(struct play *p, const char *wrong)
{
	return play_fail(p, "this line is not understood: %s", wrong);
}

/* ---- TCP */

/* What the guest's segment means for what the gateway may do; undone if the core drops the segment. */
static void guest_track(struct conn *c, const struct notation *n)
{
	uint32_t end = n->end + !!(n->flags & TCP_SYN) + !!(n->flags & TCP_FIN), edge;

	if (n->flags & TCP_SYN) {
		c->guest_mss = n->opts.has_mss && n->opts.mss ? n->opts.mss : addr_is_v4(&c->guest.addr) ? 536 : 1220;
		c->guest_ts = n->opts.has_ts;
		c->guest_sack = n->opts.has_sackok;
		c->guest_wscale_ok = n->opts.has_wscale;
		c->guest_wscale = (uint8_t)(n->opts.has_wscale ? MIN(n->opts.wscale, 14) : 0);
		if (c->active && n->flags & TCP_ACK) { /* the answer to an offer */
			c->ts_ok = c->ts_ok && c->guest_ts;
			c->wscale_ok = c->wscale_ok && c->guest_wscale_ok;
			c->wscale = c->wscale_ok ? c->wscale : 0;
		}
	}
	if (n->flags & TCP_FIN && !(n->flags & TCP_RST))
		c->fin_end = end;
	if ((int32_t)(end - c->rx_end) > 0)
		c->rx_end = end;
	if (!(n->flags & TCP_ACK) && !(n->flags & TCP_SYN))
		return;
	edge = n->ack + (n->win << (n->flags & TCP_SYN || !c->wscale_ok ? 0 : c->guest_wscale));
	if (n->flags & TCP_SYN)
		edge = 1 + n->win;
	if ((int32_t)(n->ack - c->acked) > 0)
		c->acked = n->ack;
	if ((int32_t)(edge - c->edge) > 0)
		c->edge = edge;
}

static bool guest_counts(enum reason r)
{
	return r == R_ACCEPTED || r == R_TCP_OUT_OF_ORDER || r == R_TURN_FULL || r == R_SHORT_WRITE || r == R_TCP_HELD_SEGMENT;
}

static bool guest_segment(struct play *p, struct conn *c, struct craft *m, const struct notation *n)
{
	struct tcp_seg shown = { .flags = n->flags, .seq = n->seq, .len = n->end - n->seq, .ack = n->ack, .window = n->win };
	struct conn before = *c;
	g_autoptr(GByteArray) l4 = craft_tcp(c, m, n);
	GString *text = g_string_new(NULL);

	notation_format(text, &shown, m->gso > 0 ? (uint32_t)m->gso : 0);
	play_note(p, "guest@%u %s", c->port, text->str);
	g_string_free(text, TRUE);
	states_guest(p, c, n->flags, n->end - n->seq);
	if (!(n->flags & TCP_SYN) || !c->iss_known || c->active)
		guest_track(c, n);
	guest_packet(p, m, &c->guest.addr, &c->far.addr, IP_PROTO_TCP, l4);
	if (!guest_counts(p->last_drop)) {
		c->ts_base = before.ts_base;
		c->ts_base_at = before.ts_base_at;
		c->acked = before.acked;
		c->edge = before.edge;
		c->fin_end = before.fin_end;
		c->rx_end = before.rx_end;
	}
	return !p->fail;
}

static bool guest_tcp(struct play *p, struct words *w, uint16_t port)
{
	struct conn *c = play_conn(p, port);
	struct notation n;
	struct craft m;
	const char *wrong;
	bool fine = true;
	uint32_t from, last;

	craft_init(&m);
	wrong = notation_parse(w, &n);
	if (!wrong)
		wrong = craft_parse(&m, w);
	if (wrong) {
		notation_clear(&n);
		return guest_bad(p, wrong);
	}
	if (n.wnd_op)
		n.win = n.wnd >> c->guest_wscale;
	else if (!n.has_win)
		n.win = 65535;
	if (!n.has_seq) /* in order */
		n.seq = n.end = c->rx_end;
	from = n.seq;
	last = n.end;
	for (uint8_t flags = n.flags; fine; n.seq = n.end) {
		n.end = m.by > 0 && last - n.seq > (uint32_t)m.by ? n.seq + (uint32_t)m.by : last;
		n.flags = n.end == last ? flags : flags & (uint8_t) ~(TCP_PSH | TCP_FIN);
		fine = guest_segment(p, c, &m, &n);
		if (n.end == last)
			break;
	}
	(void)from;
	notation_clear(&n);
	return fine;
}

/* ---- ARP, NDP */

/* "who-has 10.0.2.2", "is-at 10.0.2.15", "hex 0001..." */
static bool guest_arp(struct play *p, struct words *w)
{
	const char *op = words_next(w), *what = words_next(w), *wrong;
	struct arp a = { .sender_mac = p->cfg.guest_mac, .sender = p->cfg.guest4, .op = ARP_REQUEST };
	uint8_t body[ARP_LEN];
	struct craft m;
	GByteArray *f;

	craft_init(&m);
	if (!op || !what || !addr_parse(what, &a.target, NULL))
		return guest_bad(p, "arp who-has ADDRESS or arp is-at ADDRESS");
	if (!strcmp(op, "is-at"))
		a.op = ARP_REPLY;
	if (words_take(w, "tell") && (!words_peek(w) || !addr_parse(words_next(w), &a.sender, NULL)))
		return guest_bad(p, "tell ADDRESS");
	if (words_take(w, "as") && (!words_peek(w) || !eth_wire_mac_parse(words_next(w), &a.sender_mac, NULL)))
		return guest_bad(p, "as MAC");
	int64_t hwtype = 1;
	if (words_take(w, "hwtype") && !words_number(w, &hwtype))
		return guest_bad(p, "hwtype NUMBER");
	wrong = craft_parse(&m, w);
	if (wrong)
		return guest_bad(p, wrong);
	f = craft_eth(p, &m, &guest_broadcast, ETH_TYPE_ARP);
	eth_wire_arp_put(body, &a);
	bytes_put16(body, (uint16_t)hwtype);
	g_byte_array_append(f, body, sizeof(body));
	play_note(p, "guest arp %s %s", op, what);
	return guest_sends(p, &m, f);
}

/* "ns fd00::2 [from ADDRESS] [unicast] [nomac] [code N]" */
static bool guest_ns(struct play *p, struct words *w)
{
	const char *what = words_next(w), *wrong;
	struct addr target, src = p->cfg.guest6, dst = { { 0xff, 2, [11] = 1, 0xff } };
	g_autoptr(GByteArray) l4 = g_byte_array_new();
	struct mac to = { { 0x33, 0x33, 0xff } };
	struct craft m;
	int64_t code = 0;
	bool nomac = false, unicast = false;

	craft_init(&m);
	m.ttl = 255;
	if (!what || !addr_parse(what, &target, NULL))
		return guest_bad(p, "ns ADDRESS");
	if (words_take(w, "from") && (!words_peek(w) || !addr_parse(words_next(w), &src, NULL)))
		return guest_bad(p, "from ADDRESS");
	unicast = words_take(w, "unicast");
	nomac = words_take(w, "nomac");
	if (words_take(w, "code") && !words_number(w, &code))
		return guest_bad(p, "code NUMBER");
	wrong = craft_parse(&m, w);
	if (wrong)
		return guest_bad(p, wrong);
	memcpy(dst.b + 13, target.b + 13, 3);
	memcpy(to.b + 3, target.b + 13, 3);
	if (unicast) {
		dst = target;
		to = p->cfg.gw_mac;
	}
	if (!m.has_to) {
		m.has_to = true;
		m.to = to;
	}
	craft_put16(l4, ICMP6_NEIGH_SOLICIT << 8 | (uint32_t)code);
	craft_put16(l4, 0);
	craft_put32(l4, 0);
	g_byte_array_append(l4, target.b, 16);
	if (!nomac) {
		craft_put16(l4, 0x0101);
		g_byte_array_append(l4, m.has_mac ? m.mac.b : p->cfg.guest_mac.b, 6);
	}
	play_note(p, "guest ns %s", what);
	return guest_packet(p, &m, &src, &dst, IP_PROTO_ICMPV6, l4);
}

/* ---- datagrams and the rest */

/* "(12)" */
static bool guest_length(struct words *w, int64_t *ret)
{
	const char *text = words_next(w), *end;

	return text && *text == '(' && script_number(text + 1, ret, &end) && !strcmp(end, ")");
}

/* "10.0.2.3:53" or "[fd00::3]:53" */
static bool guest_endpoint(const char *text, struct endpoint *ret)
{
	const char *end;
	int64_t port;

	if (!text)
		return false;
	if (!addr_parse(*text == '[' ? text + 1 : text, &ret->addr, &end) && (!end || (*end != ':' && *end != ']')))
		return false;
	if (*end == ']')
		end++;
	if (*end != ':' || !script_number(end + 1, &port, &end) || *end)
		return false;
	ret->port = (uint16_t)port;
	return true;
}

/* "udp 10.0.2.3:53 (12)" */
static bool guest_udp(struct play *p, struct words *w, uint16_t port)
{
	g_autoptr(GByteArray) l4 = g_byte_array_new();
	struct endpoint far;
	struct craft m;
	const char *wrong;
	int64_t len;

	craft_init(&m);
	if (!guest_endpoint(words_next(w), &far) || !guest_length(w, &len))
		return guest_bad(p, "udp ADDRESS:PORT (LENGTH)");
	wrong = craft_parse(&m, w);
	if (wrong)
		return guest_bad(p, wrong);
	craft_put16(l4, m.sport >= 0 ? (uint32_t)m.sport : port);
	craft_put16(l4, far.port);
	craft_put16(l4, m.l4len >= 0 ? (uint32_t)m.l4len : (uint32_t)len + UDP_HDR_LEN);
	craft_put16(l4, 0);
	for (int64_t i = 0; i < len; i++) {
		uint8_t b = play_pattern(port, false, (uint32_t)(m.uso > 0 ? i % m.uso : i));

		g_byte_array_append(l4, &b, 1);
	}
	play_note(p, "guest@%u udp to port %u (%" G_GINT64_FORMAT ")", port, far.port, len);
	return guest_packet(p, &m, addr_is_v4(&far.addr) ? &p->cfg.guest4 : &p->cfg.guest6, &far.addr, IP_PROTO_UDP, l4);
}

/* "icmp TYPE CODE ADDRESS (LENGTH)", "ip PROTOCOL ADDRESS (LENGTH)" */
static bool guest_ip(struct play *p, struct words *w, bool icmp)
{
	g_autoptr(GByteArray) l4 = g_byte_array_new();
	struct craft m;
	const char *wrong;
	int64_t first, code = 0, len;
	struct addr dst;
	bool v4;

	craft_init(&m);
	if (!words_number(w, &first) || (icmp && !words_number(w, &code)) || !words_peek(w) || !addr_parse(words_next(w), &dst, NULL) ||
	    !guest_length(w, &len))
		return guest_bad(p, "icmp TYPE CODE ADDRESS (LENGTH) or ip PROTOCOL ADDRESS (LENGTH)");
	wrong = craft_parse(&m, w);
	if (wrong)
		return guest_bad(p, wrong);
	v4 = addr_is_v4(&dst);
	if (icmp) {
		craft_put16(l4, (uint32_t)(first << 8 | code));
		craft_put32(l4, 0);
	}
	for (int64_t i = 0; i < len; i++)
		g_byte_array_append(l4, (const uint8_t *)"\0", 1);
	play_note(p, "guest %s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT, icmp ? "icmp" : "ip", first, code);
	return guest_packet(p, &m, v4 ? &p->cfg.guest4 : &p->cfg.guest6, &dst,
			    icmp ? (v4 ? IP_PROTO_ICMP : IP_PROTO_ICMPV6) : (uint8_t)first, l4);
}

/* "unreachable CODE [seq N] [quoting PROTOCOL] [cut N]": about a segment of the gateway's, of that relative number, of which so much is quoted */
static bool guest_unreachable(struct play *p, struct words *w, struct conn *c)
{
	g_autoptr(GByteArray) l4 = g_byte_array_new();
	bool v4 = addr_is_v4(&c->guest.addr);
	struct ip ip = { .v6 = !v4, .src = c->far.addr, .dst = c->guest.addr, .hop_limit = IP_HOP_LIMIT, .dont_fragment = true, .payload_len = 40 };
	int64_t code, seq = 0, proto = IP_PROTO_TCP, cut = 28;
	uint8_t hdr[IP6_HDR_LEN];
	const char *wrong;
	struct craft m;

	craft_init(&m);
	if (!words_number(w, &code) || (words_take(w, "seq") && !words_number(w, &seq)) ||
	    (words_take(w, "quoting") && !words_number(w, &proto)) || (words_take(w, "cut") && !words_number(w, &cut)))
		return guest_bad(p, "unreachable CODE [seq N] [quoting PROTOCOL] [cut N]");
	wrong = craft_parse(&m, w);
	if (wrong)
		return guest_bad(p, wrong);
	ip.proto = (uint8_t)proto;
	ip_wire_put(hdr, &ip);
	craft_put32(l4, (uint32_t)(v4 ? 3 : 1) << 24 | (uint32_t)code << 16);
	craft_put32(l4, 0);
	g_byte_array_append(l4, hdr, ip_wire_hdr_len(!v4));
	craft_put16(l4, c->far.port);
	craft_put16(l4, c->port);
	craft_put32(l4, c->iss + (uint32_t)seq);
	craft_put32(l4, 0);
	g_byte_array_set_size(l4, MIN(l4->len, (guint)cut + 8 + (v4 ? 0 : 20)));
	play_note(p, "guest@%u unreachable %" G_GINT64_FORMAT, c->port, code);
	return guest_packet(p, &m, &c->guest.addr, v4 ? &p->cfg.gw4 : &p->cfg.gw6, v4 ? IP_PROTO_ICMP : IP_PROTO_ICMPV6, l4);
}

/* "raw 5255...": a whole frame in hexadecimal */
static bool guest_raw(struct play *p, struct words *w)
{
	GByteArray *f = g_byte_array_new();
	struct craft m;

	craft_init(&m);
	for (const char *hex; (hex = words_next(w));) {
		for (; hex[0] && hex[1]; hex += 2) {
			uint8_t b = (uint8_t)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));

			g_byte_array_append(f, &b, 1);
		}
	}
	play_note(p, "guest raw (%u)", f->len);
	return guest_sends(p, &m, f);
}

bool guest_line(struct play *p, struct words *w, uint16_t port)
{
	if (!play_start(p))
		return false;
	if (words_take(w, "arp"))
		return guest_arp(p, w);
	if (words_take(w, "ns"))
		return guest_ns(p, w);
	if (words_take(w, "rs"))
		return lease_guest_rs(p, w);
	if (words_take(w, "dhcp"))
		return lease_guest_dhcp(p, w);
	if (words_take(w, "dhcp6"))
		return lease_guest_dhcp6(p, w);
	if (words_take(w, "udp"))
		return guest_udp(p, w, port);
	if (words_take(w, "ping"))
		return ping_guest(p, w);
	if (words_take(w, "icmp"))
		return guest_ip(p, w, true);
	if (words_take(w, "ip"))
		return guest_ip(p, w, false);
	if (words_take(w, "unreachable"))
		return guest_unreachable(p, w, play_conn(p, port));
	if (words_take(w, "raw"))
		return guest_raw(p, w);
	return guest_tcp(p, w, port);
}
