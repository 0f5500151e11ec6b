/* ip_out.c - a packet leaves for the guest.  See ip_out.h. */
#include "slirp/ip_out.h"

#include "slirp/base/bytes.h"
#include "slirp/stack_state.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/l4_wire.h"

enum {
	OUT_QUOTE_L4 = IP_OUT_L4_LEN, /* RFC 792: the first 64 bits of the original datagram's data */
	OUT_ERROR4_MAX = 576,  /* RFC 1812 4.3.2.3 */
	OUT_ERROR6_MAX = 1280, /* RFC 4443 2.4(c) */
	OUT_ICMP_CSUM = 2, /* where an ICMP message has its checksum */
	OUT_FRAG_UNIT = 8,  /* all fragments but the last are multiples of it */
	OUT_FRAG_LEAST = 16, /* payload of a fragment below which a link is none */
};

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

static void out_put_head(struct stack *st, uint8_t *p, const struct ip *ip)
{
	struct eth eth = { .dst = guests_mac(st, &ip->dst), .src = ip->v6 ? st->cfg.gw_mac6 : st->cfg.gw_mac, .type = ip->v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4 };

	eth_wire_put(p, &eth);
	ip_wire_put(p + ETH_HDR_LEN, ip);
}

void ip_out_head(struct stack *st, uint8_t *p, struct ip *ip)
{
	if (!ip->v6)
		ip->id = st->ip_id++;
	out_put_head(st, p, ip);
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

/* ---- fragments */

/* A datagram or echo on its way into fragments. */
struct out_cut {
	struct ip ip;		      /* of the fragment at hand */
	uint8_t l4[IP_OUT_L4_LEN];    /* stands in the first one */
	struct ip_out_source data;    /* payload that comes next */
	uint32_t total, done;	      /* bytes behind the IP header: l4 and payload */
	uint32_t most;		      /* of them in one fragment */
	uint32_t hdr_len;	      /* Ethernet, IP and fragment header */
};

/* RFC 7739 5.3: nobody else can guess it, and it does not come again soon. */
static uint32_t out_frag_id(struct stack *st, const struct ip *ip)
{
	struct addr pair[2] = { ip->src, ip->dst };

	if (!ip->v6)
		return st->ip_id++;
	return (uint32_t)siphash(&st->cfg.key, pair, sizeof(pair)) + st->ip_frag_id++;
}

/* The checksum over the whole: no device can sum what it sees in pieces. */
static void out_checksum(uint8_t *l4, const struct ip *ip, const struct iovec *data, int n)
{
	uint64_t sum = ip->proto == IP_PROTO_ICMP ? 0 : csum_wire_pseudo(&ip->src, &ip->dst, ip->proto, ip->payload_len);
	uint16_t csum = csum_wire_final(sum + csum_wire_add(l4, IP_OUT_L4_LEN) + csum_wire_iov(data, n));

	if (!csum && ip->proto == IP_PROTO_UDP)
		csum = 0xffff; /* RFC 768: zero would say "no checksum" */
	memcpy(l4 + (ip->proto == IP_PROTO_UDP ? UDP_CSUM_OFFSET : OUT_ICMP_CSUM), &csum, sizeof(csum));
}

/* One fragment; a slot smaller than asked makes it shorter. */
static bool out_piece(struct stack *st, struct out_cut *c)
{
	uint32_t l4_len = c->done ? 0 : IP_OUT_L4_LEN, left = c->total - c->done, len = left < c->most ? left : c->most;
	struct frame_meta meta = { .l3_off = ETH_HDR_LEN, .head_len = (uint16_t)(c->hdr_len + l4_len), .v6 = c->ip.v6 };
	struct tx_slot slot;

	if (!ip_out_slot(st, &slot, meta.head_len, len - l4_len, 0))
		return false;
	if (slot.room < len - l4_len)
		len = (l4_len + slot.room) / OUT_FRAG_UNIT * OUT_FRAG_UNIT;
	if (!len) {
		reason_count(st->drops, R_LINK_FULL);
		return false;
	}
	c->ip.payload_len = len;
	c->ip.frag_off = (uint16_t)c->done;
	c->ip.more_frags = len < left;
	out_put_head(st, slot.head, &c->ip);
	if (l4_len)
		memcpy(slot.head + c->hdr_len, c->l4, l4_len);
	ip_out_fill(&slot, &c->data, len - l4_len);
	ip_out_put(st, &slot, &meta, len - l4_len);
	c->done += len;
	return true;
}

enum reason ip_out_fragments(struct stack *st, const struct ip *ip, const uint8_t *l4, const struct iovec *data, int n)
{
	uint32_t hdr_len = ip_wire_hdr_len(ip->v6) + (ip->v6 ? IP6_FRAG_LEN : 0);
	struct out_cut c = { .ip = *ip, .data = { data, 0 }, .total = ip->payload_len, .hdr_len = ETH_HDR_LEN + hdr_len };

	if (ip->payload_len > IP_LEN_MAX - (ip->v6 ? 0 : IP4_HDR_LEN) || st->cfg.link.mtu < hdr_len + OUT_FRAG_LEAST)
		return R_L4_LENGTH;
	c.most = (st->cfg.link.mtu - hdr_len) / OUT_FRAG_UNIT * OUT_FRAG_UNIT;
	c.ip.id = out_frag_id(st, ip);
	c.ip.is_fragment = true;
	c.ip.dont_fragment = false;
	memcpy(c.l4, l4, sizeof(c.l4));
	out_checksum(c.l4, ip, data, n);
	while (c.done < c.total)
		if (!out_piece(st, &c))
			return R_LINK_FULL;
	return R_ACCEPTED;
}

/* ---- ICMP errors */

/* The guest's own packet, as far as an ICMP error quotes it.  The kernel that gets it looks at addresses, ports and, for TCP, the
 * sequence number. */
static uint32_t out_quote(uint8_t *p, const struct tuple *t, uint8_t proto, uint32_t word, uint32_t len)
{
	bool v6 = !addr_is_v4(&t->guest.addr);
	struct ip orig = { .v6 = v6, .src = t->guest.addr, .dst = t->far.addr, .proto = proto, .hop_limit = IP_HOP_LIMIT,
			   .payload_len = len, .dont_fragment = true };
	uint32_t ip_len = ip_wire_hdr_len(v6);

	ip_wire_put(p, &orig);
	bytes_put16(p + ip_len, t->guest.port);
	bytes_put16(p + ip_len + 2, t->far.port);
	bytes_put32(p + ip_len + 4, word);
	return ip_len + OUT_QUOTE_L4;
}

static int64_t out_least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The bucket fills with icmp_rate errors per second up to icmp_burst; here all is in millionths of one. */
static bool out_may_tell(struct stack *st, int64_t now)
{
	const struct stack_tunables *tune = &st->cfg.tune;
	int64_t most = tune->icmp_burst * STACK_S, past = now - st->icmp_at;

	if (past > 0) {
		st->icmp_at = now;
		st->icmp_credit = past >= most / tune->icmp_rate ? most : out_least(most, st->icmp_credit + past * tune->icmp_rate);
	}
	if (st->icmp_credit < STACK_S) {
		reason_count(st->drops, R_ICMP_RATE);
		return false;
	}
	st->icmp_credit -= STACK_S;
	return true;
}

/* Appends the packet's data to the quote, which grows to `most` bytes at most; returns its length. */
static uint32_t out_quote_more(uint8_t *quote, uint32_t len, uint32_t most, const struct ip_out_error *e)
{
	if (most > len + e->len)
		most = len + e->len;
	for (int i = 0; i < e->n && len < most; i++) {
		size_t n = e->data[i].iov_len < most - len ? e->data[i].iov_len : most - len;

		memcpy(quote + len, e->data[i].iov_base, n);
		len += (uint32_t)n;
	}
	return len;
}

/* quote has room for OUT_ERROR6_MAX bytes. */
static void out_error(struct stack *st, const struct ip_out_error *e, uint8_t *quote, uint32_t quote_len, const struct addr *guest)
{
	bool v6 = !addr_is_v4(guest);
	uint32_t ip_len = ip_wire_hdr_len(v6), most = (v6 ? OUT_ERROR6_MAX : OUT_ERROR4_MAX) - ip_len;
	struct ip ip = { .v6 = v6, .src = e->from ? *e->from : v6 ? st->cfg.gw6 : st->cfg.gw4, .dst = *guest,
			 .proto = v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP, .hop_limit = IP_HOP_LIMIT };
	struct frame_meta meta = { .l3_off = ETH_HDR_LEN, .head_len = (uint16_t)(ETH_HDR_LEN + ip_len), .v6 = v6 };
	uint8_t msg[OUT_ERROR6_MAX];
	struct tx_slot slot;

	if (!out_may_tell(st, e->now))
		return;
	if (most > st->cfg.link.mtu - ip_len)
		most = st->cfg.link.mtu - ip_len;
	quote_len = out_quote_more(quote, quote_len, most - ICMP_HDR_LEN, e);
	ip.payload_len = icmp_wire_error_put(msg, v6, e->why, e->mtu, &ip.src, &ip.dst, quote, quote_len);
	if (!ip_out_slot(st, &slot, meta.head_len, ip.payload_len, 0))
		return;
	if (slot.room < ip.payload_len) {
		reason_count(st->drops, R_LINK_FULL);
		return;
	}
	ip_out_head(st, slot.head, &ip);
	ip_out_fill(&slot, &(struct ip_out_source){ &(struct iovec){ msg, ip.payload_len }, 0 }, ip.payload_len);
	ip_out_put(st, &slot, &meta, ip.payload_len);
}

void ip_out_unreach(struct stack *st, enum icmp_unreach why, const struct tuple *t, uint32_t seq, int64_t now)
{
	uint8_t quote[OUT_ERROR6_MAX];
	uint32_t len = out_quote(quote, t, IP_PROTO_TCP, seq, TCP_HDR_LEN);

	out_error(st, &(struct ip_out_error){ .why = why, .now = now }, quote, len, &t->guest.addr);
}

void ip_out_late(struct stack *st, const struct ip *ip, const uint8_t *l4, int64_t now)
{
	uint32_t ip_len = ip_wire_hdr_len(ip->v6) + (ip->v6 ? IP6_FRAG_LEN : 0);
	uint8_t quote[OUT_ERROR6_MAX];

	ip_wire_put(quote, ip);
	memcpy(quote + ip_len, l4, OUT_QUOTE_L4);
	out_error(st, &(struct ip_out_error){ .why = ICMP_UNREACH_LATE, .now = now }, quote, ip_len + OUT_QUOTE_L4, &ip->src);
}

void ip_out_dgram_error(struct stack *st, const struct ip_out_error *e, const struct tuple *t)
{
	uint8_t quote[OUT_ERROR6_MAX];
	uint32_t len = out_quote(quote, t, IP_PROTO_UDP, (UDP_HDR_LEN + e->len) << 16, UDP_HDR_LEN + e->len);

	out_error(st, e, quote, len, &t->guest.addr);
}

void ip_out_echo_error(struct stack *st, const struct ip_out_error *e, const struct addr *guest, const struct addr *far, const uint8_t *echo)
{
	bool v6 = !addr_is_v4(guest);
	uint32_t ip_len = ip_wire_hdr_len(v6);
	uint8_t quote[OUT_ERROR6_MAX];
	struct ip orig = { .v6 = v6, .src = *guest, .dst = *far, .proto = v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP, .hop_limit = IP_HOP_LIMIT,
			   .payload_len = ICMP_HDR_LEN + e->len, .dont_fragment = true };

	ip_wire_put(quote, &orig);
	memcpy(quote + ip_len, echo, OUT_QUOTE_L4);
	out_error(st, e, quote, ip_len + OUT_QUOTE_L4, guest);
}

bool ip_out_unreach_code(enum reason why, enum icmp_unreach *ret)
{
	switch (why) {
	case R_HOP_LIMIT:
		*ret = ICMP_UNREACH_HOPS;
		return true;
	case R_NET_UNREACHABLE:
	case R_NEVER_DIALED:
		*ret = ICMP_UNREACH_NET;
		return true;
	case R_HOST_UNREACHABLE:
		*ret = ICMP_UNREACH_HOST;
		return true;
	case R_DENIED:
	case R_HOST_LOOPBACK:
	case R_HOST_PROHIBITED:
	case R_PING_FORBIDDEN:
		*ret = ICMP_UNREACH_ADMIN;
		return true;
	default:
		return false;
	}
}
