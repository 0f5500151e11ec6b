/* judge.c - looks at every frame that comes out and fails the script when no correct gateway could have sent it, whatever the script
 * goes on to expect: lengths, checksums (summed here, by a loop of our own), sequence space, windows, options, payload.
 *
 * Clauses: RFC 9293 3.1, 3.4, 3.8.6; RFC 7323 2, 3.2; RFC 2018 2; RFC 6691; RFC 792; RFC 4443 3.1; RFC 4861 7.1.2.
 */
#include "slirp/base/bytes.h"
#include "slirp/wire/ip_wire.h"
#include "tests/scripts/lease.h"

#include <string.h>

enum { TCP_ECE = 0x40, TCP_CWR = 0x80 };

uint16_t judge_sum(const uint8_t *p, uint32_t len, uint32_t start)
{
	uint64_t sum = start;

	for (uint32_t i = 0; i < len; i++)
		sum += (uint64_t)p[i] << (i & 1 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t judge_pseudo(const struct addr *src, const struct addr *dst, bool v6, uint8_t proto, uint32_t len)
{
	uint32_t from = v6 ? 0 : 12, n = v6 ? 16 : 4;

	return judge_sum(dst->b + from, n, judge_sum(src->b + from, n, proto + (len >> 16) + (len & 0xffff)));
}

static void judge_push(struct play *p, struct out *o, GString *text)
{
	o->at = p->now;
	o->text = g_string_free(text, FALSE);
	play_note(p, "  <- %s", o->text);
	g_queue_push_tail(&p->outs, g_memdup2(o, sizeof(*o)));
}

/* ---- TCP */

static bool judge_options(struct conn *c, const struct tcp_seg *s)
{
	struct play *p = c->play;

	if (s->flags & TCP_SYN) {
		if (c->active) { /* an offer */
			c->ts_ok = s->has_ts;
			c->wscale_ok = s->has_wscale;
			c->wscale = s->wscale;
			return s->has_mss || play_fail(p, "a SYN without MSS option");
		}
		if ((s->has_ts && !c->guest_ts) || (s->has_wscale && !c->guest_wscale_ok) || (s->sack_permitted && !c->guest_sack))
			return play_fail(p, "the SYN-ACK has an option that the guest's SYN did not offer");
		c->ts_ok = s->has_ts;
		c->wscale_ok = s->has_wscale;
		c->wscale = s->has_wscale ? s->wscale : 0;
		return true;
	}
	if (s->has_mss || s->has_wscale || s->sack_permitted)
		return play_fail(p, "an option of a SYN stands in a segment without SYN");
	if (s->flags & TCP_RST)
		return true;
	if (s->has_ts != c->ts_ok)
		return play_fail(p, "timestamps are %s for this connection, but the segment has %s", c->ts_ok ? "agreed" : "not agreed",
				 s->has_ts ? "them" : "none");
	if (s->n_sack && !c->guest_sack)
		return play_fail(p, "SACK blocks that the guest did not permit");
	for (int i = 0; i < s->n_sack; i++)
		if (s->sack[i].start <= s->ack || s->sack[i].end <= s->sack[i].start || s->sack[i].end > c->rx_end)
			return play_fail(p, "a SACK block %u:%u: the ACK is %u, the guest sent up to %u", s->sack[i].start, s->sack[i].end,
					 s->ack, c->rx_end);
	return true;
}

/* What is acknowledged was taken by the host; the window promises no more than the host has room for and never shrinks. */
static bool judge_ack(struct conn *c, const struct tcp_seg *s)
{
	struct play *p = c->play;
	uint32_t fin = c->fin_end && c->written + 2 == c->fin_end;
	uint32_t taken = (uint32_t)c->written + 1 + fin;
	uint32_t scale = s->flags & TCP_SYN || !c->guest_wscale_ok ? 0 : c->wscale, slack = (1u << scale) - 1;
	uint32_t adv = s->ack + (s->window << scale);

	if (s->flags & TCP_SYN && c->active)
		adv = 1 + s->window; /* counts from the guest's first byte */
	else if (!(s->flags & TCP_ACK))
		return play_fail(p, "a segment without ACK");
	if (s->flags & TCP_ACK && s->ack > taken)
		return play_fail(p, "ack %u, but the host took only up to %u", s->ack, taken);
	if (s->flags & TCP_ACK && s->ack < c->ack)
		return play_fail(p, "ack %u goes back from %u", s->ack, c->ack);
	if (c->adv_known && c->flow && adv + slack < c->adv) /* RFC 7323 2.4: the scale's granularity is nobody's fault */
		return play_fail(p, "the window's right edge shrinks from %u to %u", c->adv, adv);
	if (adv > taken + c->space + slack && (!c->adv_known || adv > c->adv + slack))
		return play_fail(p, "the window ends at %u, the host has room up to %u", adv, taken + c->space);
	if (s->flags & TCP_ACK)
		c->ack = s->ack;
	/* an edge that only rounding has moved is no new promise, or it would creep */
	if (!c->adv_known || (adv > c->adv && adv <= taken + c->space + slack))
		c->adv = adv;
	c->adv_known = true;
	return true;
}

/* What is sent exists, is contiguous with what was sent before, and fits the guest's window and segment size. */
static bool judge_space(struct conn *c, const struct tcp_seg *s, uint32_t gso)
{
	struct play *p = c->play;
	uint32_t end = s->seq + s->len, room = c->guest_mss - (s->hdr_len - TCP_HDR_LEN);

	if ((gso ? gso : s->len) > room)
		return play_fail(p, "%u bytes of payload, the guest's MSS leaves room for %u", gso ? gso : s->len, room);
	if ((int32_t)(s->seq - c->nxt) > 0 && c->iss_known)
		return play_fail(p, "sequence number %u leaves a hole behind %u", s->seq, c->nxt);
	if (s->len > 1 && (int32_t)(end - c->edge) > 0)
		return play_fail(p, "data up to %u, the guest's window ends at %u", end, c->edge);
	if (s->len && (int32_t)(end - 1 - c->edge) > 0)
		return play_fail(p, "a probe up to %u, the guest's window ends at %u", end, c->edge);
	if (s->flags & TCP_SYN && (s->seq || s->len))
		return play_fail(p, "SYN at %u with %u bytes", s->seq, s->len);
	if (s->flags & TCP_FIN && (!c->eof || end != c->offered + 1))
		return play_fail(p, "FIN at %u, the host %s byte %" G_GUINT64_FORMAT, end, c->eof ? "ended at" : "has not ended: stands at",
				 c->offered);
	end += !!(s->flags & TCP_FIN) + !!(s->flags & TCP_SYN);
	if (!c->iss_known || (int32_t)(end - c->nxt) > 0)
		c->nxt = end;
	return true;
}

static bool judge_payload(struct conn *c, const struct tcp_seg *s, const uint8_t *data)
{
	if (s->len == 1 && s->seq + 1 == c->acked)
		return true; /* a keepalive's byte is of no meaning: RFC 9293 3.8.4 */
	if (s->len && s->seq + s->len > c->offered + 1)
		return play_fail(c->play, "payload up to %u, the host offered %" G_GUINT64_FORMAT " bytes", s->seq + s->len, c->offered);
	for (uint32_t i = 0; i < s->len; i++)
		if (data[i] != play_pattern(c->port, true, s->seq - 1 + i))
			return play_fail(c->play, "payload differs from the host's at %u", s->seq + i);
	return true;
}

static void judge_tcp(struct play *p, struct out *o, const struct ip *ip, const uint8_t *l4)
{
	struct tcp_seg *s = &o->seg;
	enum reason r = l4_wire_tcp_parse(l4, ip->payload_len, ip->payload_len, s);
	struct conn *c = r == R_ACCEPTED ? play_conn_find(p, s->dport) : NULL;
	GString *text;

	if (r != R_ACCEPTED || !c || !addr_eq(&ip->src, &c->far.addr) || s->sport != c->far.port || !addr_eq(&ip->dst, &c->guest.addr)) {
		play_fail(p, "a TCP segment that is %s (guest port %u)", r == R_ACCEPTED ? "for no connection of the script" : reason_text(r),
			  s->dport);
		return;
	}
	if (l4[12] & 0x0f || bytes_get16(l4 + 18) || s->flags & (TCP_URG | TCP_ECE | TCP_CWR))
		play_fail(p, "reserved bits, urgent pointer, URG, ECE or CWR are set");
	if (s->flags & TCP_SYN && s->flags & TCP_ACK && !c->accepted)
		play_fail(p, "SYN-ACK before the host connected");
	if (s->flags & TCP_SYN && !c->iss_known)
		c->iss = s->seq;
	s->seq -= s->flags & TCP_SYN || c->iss_known ? c->iss : 0;
	if (s->flags & TCP_ACK)
		s->ack -= c->isn;
	for (int i = 0; i < s->n_sack; i++) {
		s->sack[i].start -= c->isn;
		s->sack[i].end -= c->isn;
	}
	o->kind = OUT_TCP;
	o->conn = c;
	text = g_string_new(NULL);
	g_string_append_printf(text, "gw@%u ", c->port);
	notation_format(text, s, o->gso);
	if (judge_options(c, s) && !(s->flags & TCP_RST))
		(void)(judge_ack(c, s) && judge_space(c, s, o->gso) && judge_payload(c, s, l4 + s->hdr_len));
	c->iss_known |= !!(s->flags & TCP_SYN);
	if (s->has_ts)
		c->ts_last = s->tsval;
	judge_push(p, o, text);
}

/* ---- the rest */

/* A DHCP server's answer, or a router advertisement, whose words lease_text.c makes. */
static void judge_lease(struct play *p, struct out *o, const struct ip *ip, const uint8_t *msg, uint32_t len)
{
	static const char *const names[] = { [OUT_DHCP] = "dhcp", [OUT_DHCP6] = "dhcp6", [OUT_RA] = "ra" };
	GString *text = g_string_new(names[o->kind]);
	char to[ADDR_STRLEN];
	const char *wrong;

	g_string_append_printf(text, " to=%s", addr_format(&ip->dst, to));
	wrong = o->kind == OUT_DHCP ? lease_text4(text, msg, len) : o->kind == OUT_DHCP6 ? lease_text6(text, msg, len) : lease_text_ra(text, msg, len);
	if (wrong)
		play_fail(p, "%s: %s", wrong, text->str);
	if (o->kind == OUT_RA && (ip->hop_limit != 255 || !addr_is_linklocal(&ip->src)))
		play_fail(p, "a router advertisement whose hop limit is not 255 or whose source is not link-local");
	judge_push(p, o, text);
}

static bool judge_is_lease(struct out *o, const struct udp *u)
{
	if (u->sport == 67 && u->dport == 68 && !o->v6)
		o->kind = OUT_DHCP;
	else if (u->sport == 547 && u->dport == 546 && o->v6)
		o->kind = OUT_DHCP6;
	else
		return false;
	return true;
}

static void judge_udp(struct play *p, struct out *o, const struct ip *ip, const uint8_t *l4)
{
	struct udp u;
	enum reason r = l4_wire_udp_parse(l4, ip->payload_len, ip->payload_len, &u);
	GString *text;

	if (r != R_ACCEPTED || u.len + UDP_HDR_LEN != ip->payload_len) {
		play_fail(p, "a UDP datagram with a wrong length");
		return;
	}
	if (judge_is_lease(o, &u))
		return judge_lease(p, o, ip, l4 + UDP_HDR_LEN, u.len);
	for (uint32_t i = 0; i < u.len; i++)
		if (l4[UDP_HDR_LEN + i] != play_pattern(u.dport, true, o->gso ? i % o->gso : i))
			play_fail(p, "datagram payload differs at byte %u", i);
	o->kind = OUT_UDP;
	o->far = (struct endpoint){ ip->src, u.sport };
	o->len = u.len;
	text = g_string_new(NULL);
	g_string_append_printf(text, "udp from port %u to port %u (%u)", u.sport, u.dport, u.len);
	judge_push(p, o, text);
}

static void judge_na(struct play *p, struct out *o, const struct ip *ip, const uint8_t *l4)
{
	GString *text = g_string_new("na");
	char name[ADDR_STRLEN];

	if (ip->hop_limit != 255 || ip->payload_len != 32 || l4[1] || l4[24] != 2 || l4[25] != 1)
		play_fail(p, "a neighbour advertisement without hop limit 255, code 0 and target link-layer address");
	o->kind = OUT_NA;
	o->addr = addr_from_v6(l4 + 8);
	memcpy(o->mac.b, l4 + 26, 6);
	o->router = l4[4] & 0x80;
	o->solicited = l4[4] & 0x40;
	o->override = l4[4] & 0x20;
	g_string_append_printf(text, " %s%s%s%s", addr_format(&o->addr, name), o->solicited ? " solicited" : "",
			       o->override ? " override" : "", o->router ? " router" : "");
	judge_push(p, o, text);
}

/* An error must quote enough for the guest to find its socket: IP header, ports and sequence number. */
static void judge_quote(struct play *p, struct out *o, const uint8_t *q, uint32_t len)
{
	bool piece = o->v6 && len > 40 && q[6] == 44; /* a fragment's header follows */
	uint32_t hdr = (o->v6 ? 40 : 20) + (piece ? 8 : 0);
	uint8_t proto = q[piece ? 40 : o->v6 ? 6 : 9];
	const uint8_t *l4 = q + hdr;
	struct addr guest;
	struct conn *c;

	if (len < hdr + 8 || q[0] >> 4 != (o->v6 ? 6 : 4) || (!o->v6 && q[0] != 0x45)) {
		play_fail(p, "an ICMP error that quotes %u bytes, or no IP header", len);
		return;
	}
	o->far.addr = o->v6 ? addr_from_v6(q + 24) : addr_from_v4(q + 16);
	o->far.port = bytes_get16(l4 + 2);
	guest = o->v6 ? addr_from_v6(q + 8) : addr_from_v4(q + 12);
	o->port = bytes_get16(l4);
	for (uint32_t i = hdr + 8; i < len && proto != IP_PROTO_TCP; i++)
		if (q[i] != play_pattern(proto == IP_PROTO_UDP ? o->port : bytes_get16(l4 + 4), false, i - hdr - 8))
			play_fail(p, "an ICMP error that quotes another packet at byte %u", i);
	if (proto == (o->v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP)) {
		o->far.port = bytes_get16(l4 + 6);
		o->port = bytes_get16(l4 + 4);
		if (l4[0] != (o->v6 ? 128 : 8) || l4[1] || !addr_eq(&guest, o->v6 ? &p->cfg.guest6 : &p->cfg.guest4))
			play_fail(p, "an ICMP error that quotes no echo request of the guest");
		return;
	}
	if (proto == IP_PROTO_UDP && !addr_eq(&guest, o->v6 ? &p->cfg.guest6 : &p->cfg.guest4))
		play_fail(p, "an ICMP error that quotes a datagram not from the guest");
	if (proto != IP_PROTO_TCP)
		return;
	c = play_conn_find(p, bytes_get16(l4));
	if (!c || !endpoint_eq(&o->far, &c->far) || memcmp(o->v6 ? q + 8 : q + 12, c->guest.addr.b + (o->v6 ? 0 : 12), o->v6 ? 16 : 4))
		play_fail(p, "an ICMP error that quotes no connection of the script");
	else if (bytes_get32(l4 + 4) != c->isn)
		play_fail(p, "an ICMP error whose quote has not the sequence number of the SYN");
	o->conn = c;
}

static void judge_icmp(struct play *p, struct out *o, const struct ip *ip, const uint8_t *l4)
{
	GString *text;

	if (ip->payload_len < 8) {
		play_fail(p, "an ICMP message of %u bytes", ip->payload_len);
		return;
	}
	if (o->v6 && l4[0] == 136)
		return judge_na(p, o, ip, l4);
	if (o->v6 && l4[0] == 134) {
		o->kind = OUT_RA;
		return judge_lease(p, o, ip, l4, ip->payload_len);
	}
	o->kind = OUT_ICMP;
	o->icmp_type = l4[0];
	o->icmp_code = l4[1];
	o->len = ip->payload_len - 8;
	o->mtu = o->v6 ? bytes_get32(l4 + 4) : bytes_get16(l4 + 6);
	o->addr = ip->src;
	if (o->v6 ? o->icmp_type < 128 : o->icmp_type == 3 || o->icmp_type == 11)
		judge_quote(p, o, l4 + 8, o->len);
	if (o->icmp_type == (o->v6 ? 129 : 0)) {
		o->kind = OUT_ECHO;
		ping_judge(p, o, l4);
	} else if (o->v6 ? ip->payload_len + 40 > 1280 : ip->payload_len + 20 > 576)
		play_fail(p, "an ICMP error of %u bytes", ip->payload_len);
	text = g_string_new(NULL);
	g_string_append_printf(text, "icmp%s %u %u", o->v6 ? "6" : "", o->icmp_type, o->icmp_code);
	if (o->conn)
		g_string_append_printf(text, " about guest port %u", o->conn->port);
	judge_push(p, o, text);
}

static void judge_arp(struct play *p, struct out *o, const uint8_t *l3, uint32_t len)
{
	GString *text;
	char name[ADDR_STRLEN];

	/* RFC 826: Ethernet, IPv4, reply */
	if (len < ARP_LEN || bytes_get32(l3) != 0x00010800 || bytes_get32(l3 + 4) != 0x06040002 ||
	    memcmp(l3 + 18, p->cfg.guest_mac.b, 6)) {
		play_fail(p, "an ARP packet that is no reply to the guest");
		return;
	}
	o->kind = OUT_ARP;
	o->addr = addr_from_v4(l3 + 14);
	memcpy(o->mac.b, l3 + 8, 6);
	text = g_string_new("arp reply ");
	g_string_append(text, addr_format(&o->addr, name));
	judge_push(p, o, text);
}

static void judge_whole(struct play *p, struct out *o, const struct ip *ip, const uint8_t *l4)
{
	uint8_t icmp = o->v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP;
	uint16_t pseudo = ip->proto == IP_PROTO_ICMP ? 0 : judge_pseudo(&ip->src, &ip->dst, o->v6, ip->proto, ip->payload_len);

	if (judge_sum(l4, ip->payload_len, pseudo) != 0xffff &&
	    !(ip->proto == IP_PROTO_UDP && !o->v6 && !bytes_get16(l4 + UDP_CSUM_OFFSET)))
		play_fail(p, "the checksum of protocol %u is wrong", ip->proto);
	o->hop_limit = ip->hop_limit;
	o->tos = ip->tos;
	if (ip->hop_limit != 64 && !(ip->proto == icmp && l4[0] == (o->v6 ? 129 : 0)) && !(ip->proto == IP_PROTO_ICMPV6 && ip->hop_limit == 255))
		play_fail(p, "hop limit %u", ip->hop_limit);
	if (ip->proto == IP_PROTO_TCP)
		judge_tcp(p, o, ip, l4);
	else if (ip->proto == IP_PROTO_UDP)
		judge_udp(p, o, ip, l4);
	else if (ip->proto == icmp)
		judge_icmp(p, o, ip, l4);
	else
		play_fail(p, "a packet of protocol %u", ip->proto);
}

static void judge_fragment(struct play *p, struct out *o, const struct ip *part, const uint8_t *l3)
{
	uint32_t len;
	struct ip ip;

	l3 = gather_fragment(p, part, l3, &len, &o->pieces);
	if (!l3)
		return;
	if (ip_wire_parse(l3, len, len, o->v6, &ip) != R_ACCEPTED || ip.hdr_len + ip.payload_len != len || ip.is_fragment)
		play_fail(p, "fragments make a packet that is wrong");
	else
		judge_whole(p, o, &ip, l3 + ip.hdr_len);
}

static void judge_ip(struct play *p, struct out *o, const uint8_t *l3, uint32_t len, uint32_t gso)
{
	struct ip ip;
	enum reason r = ip_wire_parse(l3, len, len, o->v6, &ip);
	const uint8_t *l4 = l3 + ip_wire_hdr_len(o->v6);
	uint32_t l4_hdr = r == R_ACCEPTED && ip.proto == IP_PROTO_UDP ? UDP_HDR_LEN : (uint32_t)(l4[12] >> 4) * 4;
	uint32_t carried = gso && r == R_ACCEPTED ? (uint32_t)(l4 - l3) + l4_hdr + gso : len;
	uint32_t frag_len = r == R_ACCEPTED && ip.is_fragment && o->v6 ? IP6_FRAG_LEN : 0;

	if (r != R_ACCEPTED || ip.hdr_len + ip.payload_len != len || ip.hdr_len != ip_wire_hdr_len(o->v6) + frag_len) {
		play_fail(p, "an IP packet that is wrong: %s", r == R_ACCEPTED ? "length or options" : reason_text(r));
		return;
	}
	if (!o->v6 && judge_sum(l3, 20, 0) != 0xffff)
		play_fail(p, "the IPv4 header checksum is wrong");
	if (carried > p->cfg.link.mtu)
		play_fail(p, "%u bytes of IP, the MTU is %u", carried, p->cfg.link.mtu);
	if (ip.is_fragment)
		judge_fragment(p, o, &ip, l3);
	else
		judge_whole(p, o, &ip, l4);
}

void judge_frame(struct play *p, const uint8_t *frame, uint32_t len, uint32_t gso)
{
	struct out o = { .gso = gso };

	if (len < ETH_HDR_LEN || eth_wire_parse(frame, len, &o.eth) != R_ACCEPTED) {
		play_fail(p, "a frame of %u bytes", len);
		return;
	}
	if (!mac_eq(&o.eth.dst, &p->cfg.guest_mac) || !mac_eq(&o.eth.src, &p->cfg.gw_mac))
		play_fail(p, "a frame that is not from the gateway's MAC to the guest's");
	o.v6 = o.eth.type == ETH_TYPE_IPV6;
	if (o.eth.type == ETH_TYPE_ARP)
		judge_arp(p, &o, frame + ETH_HDR_LEN, len - ETH_HDR_LEN);
	else if (o.eth.type == ETH_TYPE_IPV4 || o.v6)
		judge_ip(p, &o, frame + ETH_HDR_LEN, len - ETH_HDR_LEN, gso);
	else
		play_fail(p, "a frame of type 0x%04x", o.eth.type);
}
