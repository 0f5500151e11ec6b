/* ip_out.c - a packet leaves for the guest.  See ip_out.h. */
#include "slirp/ip_out.h"

#include "slirp/base/bytes.h"
#include "slirp/stack_state.h"
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/l4_wire.h"

enum { OUT_QUOTE_L4 = 8 }; /* RFC 792: the first 64 bits of the original datagram's data */

bool ip_out_slot(struct stack *st, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	if (st->host->tx_get(st->host, slot, head_len, payload_len, mss))
		return true;
	reason_count(st->drops, R_LINK_FULL);
	return false;
}

void ip_out_put(struct stack *st, struct tx_slot *slot, const struct frame_meta *meta, uint32_t used)
{
	st->stats.tx_frames++;
	st->stats.tx_bytes += meta->head_len + used;
	st->host->tx_put(st->host, slot, meta, used);
}

void ip_out_head(struct stack *st, uint8_t *p, struct ip *ip)
{
	struct eth eth = { .dst = st->cfg.guest_mac, .src = st->cfg.gw_mac, .type = ip->v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4 };

	if (!ip->v6)
		ip->id = st->ip_id++;
	eth_wire_put(p, &eth);
	ip_wire_put(p + ETH_HDR_LEN, ip);
}

void ip_out_fill(const struct tx_slot *slot, struct ip_out_source *src, uint32_t len)
{
	for (int i = 0; len; i++) {
		uint8_t *to = slot->pl[i].iov_base;
		size_t room = slot->pl[i].iov_len < len ? slot->pl[i].iov_len : len;

		len -= (uint32_t)room;
		while (room) {
			size_t have = src->iov->iov_len - src->off, n = have < room ? have : room;

			memcpy(to, (const uint8_t *)src->iov->iov_base + src->off, n);
			to += n;
			room -= n;
			src->off += n;
			if (src->off == src->iov->iov_len) {
				src->iov++;
				src->off = 0;
			}
		}
	}
}

/* The guest's own packet, as far as an ICMP error quotes it.  The kernel that gets it looks at addresses, ports and, for TCP, the
 * sequence number. */
static uint32_t out_quote(uint8_t *p, const struct tuple *t, uint8_t proto, uint32_t word, bool v6)
{
	struct ip orig = { .v6 = v6, .src = t->guest.addr, .dst = t->far.addr, .proto = proto, .hop_limit = IP_HOP_LIMIT,
			   .payload_len = proto == IP_PROTO_TCP ? TCP_HDR_LEN : UDP_HDR_LEN, .dont_fragment = true };
	uint32_t ip_len = ip_wire_hdr_len(v6);

	ip_wire_put(p, &orig);
	bytes_put16(p + ip_len, t->guest.port);
	bytes_put16(p + ip_len + 2, t->far.port);
	bytes_put32(p + ip_len + 4, word);
	return ip_len + OUT_QUOTE_L4;
}

static void out_error(struct stack *st, const struct ip_out_error *e, const uint8_t *quote, uint32_t quote_len, const struct addr *guest)
{
	bool v6 = !addr_is_v4(guest);
	struct ip ip = { .v6 = v6, .src = e->from ? *e->from : v6 ? st->cfg.gw6 : st->cfg.gw4, .dst = *guest,
			 .proto = v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP, .hop_limit = IP_HOP_LIMIT,
			 .payload_len = ICMP_HDR_LEN + quote_len };
	struct frame_meta meta = { .l3_off = ETH_HDR_LEN, .head_len = (uint16_t)(ETH_HDR_LEN + ip_wire_hdr_len(v6) + ip.payload_len),
				   .v6 = v6 };
	struct tx_slot slot;

	if (!ip_out_slot(st, &slot, meta.head_len, 0, 0))
		return;
	ip_out_head(st, slot.head, &ip);
	icmp_wire_error_put(slot.head + ETH_HDR_LEN + ip_wire_hdr_len(v6), v6, e->why, e->mtu, &ip.src, &ip.dst, quote, quote_len);
	ip_out_put(st, &slot, &meta, 0);
}

void ip_out_unreach(struct stack *st, enum icmp_unreach why, const struct tuple *t, uint32_t seq)
{
	uint8_t quote[IP6_HDR_LEN + OUT_QUOTE_L4];
	uint32_t len = out_quote(quote, t, IP_PROTO_TCP, seq, !addr_is_v4(&t->guest.addr));

	out_error(st, &(struct ip_out_error){ .why = why }, quote, len, &t->guest.addr);
}

void ip_out_dgram_error(struct stack *st, const struct ip_out_error *e, const struct tuple *t)
{
	uint8_t quote[IP6_HDR_LEN + OUT_QUOTE_L4];
	uint32_t len = out_quote(quote, t, IP_PROTO_UDP, UDP_HDR_LEN << 16, !addr_is_v4(&t->guest.addr));

	out_error(st, e, quote, len, &t->guest.addr);
}

void ip_out_echo_error(struct stack *st, const struct ip_out_error *e, const struct addr *guest, const struct addr *far, const uint8_t *echo)
{
	bool v6 = !addr_is_v4(guest);
	uint32_t ip_len = ip_wire_hdr_len(v6);
	uint8_t quote[IP6_HDR_LEN + OUT_QUOTE_L4];
	struct ip orig = { .v6 = v6, .src = *guest, .dst = *far, .proto = v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP, .hop_limit = IP_HOP_LIMIT,
			   .payload_len = ICMP_HDR_LEN, .dont_fragment = true };

	ip_wire_put(quote, &orig);
	memcpy(quote + ip_len, echo, OUT_QUOTE_L4);
	out_error(st, e, quote, ip_len + OUT_QUOTE_L4, guest);
}
