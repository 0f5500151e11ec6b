/* neigh.c - ARP and NDP answers.  See neigh.h. */
#include "slirp/neigh.h"

#include "slirp/ip_out.h"
#include "slirp/stack_state.h"
#include "slirp/wire/eth_wire.h"
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/ip_wire.h"

/* The address that a guest configured for `own` may find at our MAC. */
static bool neigh_answers_for(const struct prefix *net, const struct addr *own, const struct addr *target)
{
	return prefix_contains(net, target) && !addr_eq(target, own);
}

enum reason neigh_arp_in(struct stack *st, const uint8_t *p, uint32_t len)
{
	const struct stack_config *cfg = &st->cfg;
	struct arp arp, reply;
	enum reason r = eth_wire_arp_parse(p, len, &arp);
	struct tx_slot slot;

	if (r)
		return r;
	if (!mac_eq(&arp.sender_mac, &cfg->guest_mac))
		return R_SPOOFED_MAC;
	/* 0.0.0.0 is a probe, RFC 5227 2.1.1 */
	if (!addr_eq(&arp.sender, &cfg->guest4) && memcmp(addr_v4_bytes(&arp.sender), "\0\0\0", 4))
		return R_SPOOFED_ADDR;
	if (arp.op != ARP_REQUEST || !cfg->v4 || !neigh_answers_for(&cfg->net4, &cfg->guest4, &arp.target))
		return R_ARP_NOT_OURS;

	reply = (struct arp){ .op = ARP_REPLY, .sender_mac = cfg->gw_mac, .sender = arp.target, .target_mac = arp.sender_mac,
			      .target = arp.sender };
	if (!ip_out_slot(st, &slot, ETH_HDR_LEN + ARP_LEN, 0, 0))
		return R_LINK_FULL;
	eth_wire_put(slot.head, &(struct eth){ .dst = arp.sender_mac, .src = cfg->gw_mac, .type = ETH_TYPE_ARP });
	eth_wire_arp_put(slot.head + ETH_HDR_LEN, &reply);
	ip_out_put(st, &slot, &(struct frame_meta){ .l3_off = ETH_HDR_LEN, .head_len = ETH_HDR_LEN + ARP_LEN }, 0);
	return R_ACCEPTED;
}

struct addr neigh_gw_linklocal(const struct stack *st)
{
	const uint8_t *m = st->cfg.gw_mac.b;
	const uint8_t b[16] = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5] };

	return addr_from_v6(b);
}

static bool neigh_target_is_ours(const struct stack *st, const struct addr *target)
{
	struct addr ll = neigh_gw_linklocal(st);

	return addr_eq(target, &ll) || neigh_answers_for(&st->cfg.net6, &st->cfg.guest6, target);
}

enum reason neigh_ndp_in(struct stack *st, const struct ip *ip, const uint8_t *p, uint32_t len)
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	const struct stack_config *cfg = &st->cfg;
	struct neigh_msg m, reply;
	enum reason r = icmp_wire_neigh_parse(p, len, &m);
	struct tx_slot slot;
	struct ip out;
	bool probe;

	if (r)
		return r;
	if (ip->hop_limit != 255)
		return R_NDP_MALFORMED;
	if (m.type != ICMP6_NEIGH_SOLICIT)
		return R_ACCEPTED; /* the guest's own announcements tell us nothing that is not configured */
	if (!neigh_target_is_ours(st, &m.target))
		return R_NDP_NOT_OURS;

	probe = addr_is_unspecified(&ip->src); /* duplicate address detection, RFC 4862 5.4.3: answered to all nodes */
	reply = (struct neigh_msg){ .type = ICMP6_NEIGH_ADVERT, .target = m.target, .has_mac = true, .mac = cfg->gw_mac,
				    .router = true, .solicited = !probe, .override = true };
	out = (struct ip){ .v6 = true, .src = m.target, .dst = probe ? addr_from_v6(all_nodes) : ip->src,
			   .proto = IP_PROTO_ICMPV6, .hop_limit = 255, .payload_len = ICMP6_NEIGH_LEN };
	if (!ip_out_slot(st, &slot, ETH_HDR_LEN + IP6_HDR_LEN + ICMP6_NEIGH_LEN, 0, 0))
		return R_LINK_FULL;
	ip_out_head(st, slot.head, &out);
	icmp_wire_neigh_put(slot.head + ETH_HDR_LEN + IP6_HDR_LEN, &reply, &out.src, &out.dst);
	ip_out_put(st, &slot,
		   &(struct frame_meta){ .l3_off = ETH_HDR_LEN, .head_len = ETH_HDR_LEN + IP6_HDR_LEN + ICMP6_NEIGH_LEN, .v6 = true }, 0);
	return R_ACCEPTED;
}
