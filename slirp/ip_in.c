/* ip_in.c - an IP packet arrives.  See ip_in.h.
 *
 * Order: header, source (anti-spoof), destination, protocol, L4 checksum.  What is dropped here leaves no state behind.
 */
#include "slirp/ip_in.h"

#include "slirp/dgram.h"
#include "slirp/echo.h"
#include "slirp/ip_frag.h"
#include "slirp/neigh.h"
#include "slirp/payload.h"
#include "slirp/ra.h"
#include "slirp/service.h"
#include "slirp/stack_state.h"
#include "slirp/tcp_connect.h"
#include "slirp/tcp_in.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"

/* The one packet without an address yet: a DHCP client's, RFC 2131 4.1. */
static bool in_is_boot(const struct ip *ip)
{
	return !ip->v6 && ip->proto == IP_PROTO_UDP && addr_is_unspecified(&ip->src) && addr_is_broadcast4(&ip->dst);
}

/* Unspecified sources are legal for neighbour discovery and for a DHCP client without a lease; link-local ones for neighbour discovery,
 * DHCPv6 and to our own link-local address.  What in_udp() takes of them is a service's. */
static enum reason in_check_source(const struct stack *st, const struct ip *ip)
{
	struct addr ours;

	if (ip->v6 ? stack_is_guest6(st, &ip->src) : stack_is_guest4(st, &ip->src))
		return R_ACCEPTED;
	if (in_is_boot(ip))
		return R_ACCEPTED;
	if (ip->v6 && ip->proto == IP_PROTO_ICMPV6 && (addr_is_unspecified(&ip->src) || addr_is_linklocal(&ip->src)))
		return R_ACCEPTED;
	ours = stack_linklocal(st);
	if (!ip->v6 || !addr_is_linklocal(&ip->src) || addr_eq(&ip->src, &ours))
		return R_SPOOFED_ADDR;
	if (addr_eq(&ip->dst, &ours) || (ip->proto == IP_PROTO_UDP && service_listens(&ip->dst)))
		return R_ACCEPTED;
	/* A guest's own link-local chatter (MLD, mDNS) is no spoofing. */
	return addr_is_multicast(&ip->dst) ? R_GROUP_TRAFFIC : R_SPOOFED_ADDR;
}

/* The checksum over pseudo header, head and rest. */
static bool in_checksum_ok(const struct ip *ip, const struct payload *l4)
{
	struct iovec iov[PAYLOAD_PIECES];
	int n = payload_pieces(l4, 0, l4->len, iov, PAYLOAD_PIECES);

	if (n < 0)
		return false;
	if (ip->proto == IP_PROTO_ICMP) /* RFC 792: of the message alone */
		return csum_wire_fold(csum_wire_iov(iov, n)) == 0xffff;
	return csum_wire_fold(csum_wire_iov(iov, n) + csum_wire_pseudo(&ip->src, &ip->dst, ip->proto, l4->len)) == 0xffff;
}

static enum reason in_tcp(struct stack *st, const struct frame *f, const struct ip *ip, struct payload *l4, int64_t now)
{
	struct tcp_seg seg;
	enum reason r = l4_wire_tcp_parse(l4->head, l4->head_len, l4->len, &seg);
	struct tuple t;

	if (r)
		return r;
	if (!f->csum_ok && !in_checksum_ok(ip, l4))
		return R_L4_CHECKSUM;
	t = (struct tuple){ .guest = { ip->src, seg.sport }, .far = { ip->dst, seg.dport } };
	if (!seg.sport || !seg.dport)
		return R_TCP_PORT_ZERO;
	l4->head += seg.hdr_len;
	l4->head_len -= seg.hdr_len;
	l4->len -= seg.hdr_len;
	if (f->gso_size && f->gso_udp)
		return R_BAD_GSO;
	return tcp_in_segment(st, &t, &seg, l4, f->gso_size, now);
}

static enum reason in_udp(struct stack *st, const struct frame *f, const struct ip *ip, struct payload *l4, int64_t now)
{
	struct dgram_meta m = { .hop_limit = ip->hop_limit, .tos = ip->tos, .dont_fragment = ip->dont_fragment && !f->reassembled,
				.gso_size = f->gso_size };
	struct udp udp;
	enum reason r = l4_wire_udp_parse(l4->head, l4->head_len, l4->len, &udp);
	struct tuple t;

	if (r)
		return r;
	if (f->gso_size && !f->gso_udp)
		return R_BAD_GSO;
	if (!udp.has_csum && ip->v6)
		return R_L4_CHECKSUM; /* RFC 8200 8.1 */
	l4->len = UDP_HDR_LEN + udp.len;
	if (l4->head_len > l4->len)
		l4->head_len = l4->len;
	if (udp.has_csum && !f->csum_ok && !in_checksum_ok(ip, l4))
		return R_L4_CHECKSUM;
	t = (struct tuple){ .guest = { ip->src, udp.sport }, .far = { ip->dst, udp.dport } };
	if (!udp.sport || !udp.dport)
		return R_TCP_PORT_ZERO;
	if (service_listens(&t.far.addr) && !service_wants(st, &t))
		return in_is_boot(ip) ? R_SPOOFED_ADDR : R_GROUP_TRAFFIC;
	return dgram_in(st, &t, &m, l4, now);
}

static enum reason in_icmp(struct stack *st, const struct frame *f, const struct ip *ip, const struct payload *l4, bool group, int64_t now)
{
	uint8_t type;

	if (l4->len < ICMP_HDR_LEN || l4->head_len < ICMP_HDR_LEN)
		return R_L4_LENGTH;
	if (f->gso_size)
		return R_BAD_GSO;
	if (!f->csum_ok && !in_checksum_ok(ip, l4))
		return R_L4_CHECKSUM;
	type = l4->head[0];
	if (type == (ip->v6 ? ICMP6_ECHO_REQUEST : ICMP4_ECHO_REQUEST)) {
		if (group)
			return R_GROUP_TRAFFIC; /* RFC 1122 3.2.2.6 */
		return l4->head[1] ? R_ICMP_IGNORED : echo_in(st, ip, l4, f->reassembled, now);
	}
	if (type == (ip->v6 ? ICMP6_UNREACH : ICMP4_UNREACH))
		return tcp_connect_unreachable(st, ip->v6, l4, now);
	if (!ip->v6 || type < ICMP6_ROUTER_SOLICIT || type > ICMP6_NEIGH_ADVERT || type == ICMP6_ROUTER_ADVERT)
		return R_ICMP_IGNORED;
	if (l4->head_len < l4->len)
		return R_NDP_MALFORMED;
	if (l4->head[0] == ICMP6_ROUTER_SOLICIT)
		return ra_solicit_in(st, ip, l4->head, l4->len, now);
	return neigh_ndp_in(st, ip, l4->head, l4->len);
}

/* What stands behind the IP header, cut to the IP length; link padding ends here. */
static void in_payload(const struct frame *f, const struct ip *ip, struct payload *ret)
{
	uint32_t at = ETH_HDR_LEN + ip->hdr_len;

	ret->head = f->head + at;
	ret->head_len = f->head_len - at;
	ret->rest = f->rest;
	ret->n_rest = f->n_rest;
	ret->len = ip->payload_len;
	if (ret->head_len > ret->len)
		ret->head_len = ret->len;
}

/* To several hosts: no ICMP error is ever told about it, RFC 1122 3.2.2. */
static bool in_is_group(const struct stack *st, const struct eth *eth, const struct ip *ip)
{
	return mac_is_group(&eth->dst) || stack_is_group(st, &ip->dst);
}

/* Kept, or the last one: then the whole packet comes in, which cannot be a fragment again. */
static enum reason in_fragment(struct stack *st, const struct frame *f, const struct eth *eth, const struct ip *ip, int64_t now)
{
	struct payload data;
	struct frame whole;
	enum reason r;

	if (f->gso_size)
		return R_BAD_GSO;
	if (in_is_group(st, eth, ip))
		return R_GROUP_TRAFFIC;
	in_payload(f, ip, &data);
	r = ip_frag_add(&st->frag, ip, &data, now, &whole);
	whole.reassembled = true;
	return r || !whole.head ? r : ip_in(st, &whole, eth, now);
}

enum reason ip_in(struct stack *st, const struct frame *f, const struct eth *eth, int64_t now)
{
	uint32_t readable = f->head_len - ETH_HDR_LEN;
	struct payload l4;
	struct ip ip;
	enum reason r = ip_wire_parse(f->head + ETH_HDR_LEN, readable, readable + f->rest_len, eth->type == ETH_TYPE_IPV6, &ip);

	if (r)
		return r;
	r = in_check_source(st, &ip);
	if (r)
		return r;
	if (!addr_is_unspecified(&ip.src))
		guests_seen(st, &ip.src, &eth->src);
	if (ip.is_fragment)
		return in_fragment(st, f, eth, &ip, now);
	in_payload(f, &ip, &l4);
	if (ip.proto == IP_PROTO_ICMP || ip.proto == IP_PROTO_ICMPV6)
		return (ip.proto == IP_PROTO_ICMPV6) == ip.v6 ? in_icmp(st, f, &ip, &l4, in_is_group(st, eth, &ip), now) : R_IP_PROTOCOL;
	if (in_is_group(st, eth, &ip) && !(ip.proto == IP_PROTO_UDP && service_listens(&ip.dst)))
		return R_GROUP_TRAFFIC;
	switch (ip.proto) {
	case IP_PROTO_TCP:
		return in_tcp(st, f, &ip, &l4, now);
	case IP_PROTO_UDP:
		return in_udp(st, f, &ip, &l4, now);
	default:
		return R_IP_PROTOCOL;
	}
}
