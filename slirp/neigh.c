/* neigh.c - ARP and NDP answers.  See neigh.h. */
#include "slirp/neigh.h"

#include "slirp/ip_out.h"
#include "slirp/stack_state.h"
#include "slirp/wire/eth_wire.h"
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/ip_wire.h"

/* The IPv4 address that a guest may find at our MAC. */
static bool neigh_answers_for(const struct stack *st, const struct addr *target)
{
	const struct stack_config *cfg = &st->cfg;

	if (cfg->any_guest)
		return stack_is_ours(st, target) || (st->host->stands_for && st->host->stands_for(st->host, target));
	return prefix_contains(&cfg->net4, target) && !addr_eq(target, &cfg->guest4);
}

static struct mac neigh_mac_of(const struct stack *st, const struct addr *target)
{
	struct mac m = st->cfg.gw_mac;

	if (st->cfg.any_guest)
		memcpy(m.b + 2, addr_v4_bytes(target), 4);
	return m;
}

static void neigh_arp_put(struct stack *st, const struct mac *to, const struct arp *arp)
{
	struct tx_slot slot;

	if (!ip_out_slot(st, &slot, ETH_HDR_LEN + ARP_LEN, 0, 0))
		return;
	eth_wire_put(slot.head, &(struct eth){ .dst = *to, .src = st->cfg.gw_mac, .type = ETH_TYPE_ARP });
	eth_wire_arp_put(slot.head + ETH_HDR_LEN, arp);
	ip_out_put(st, &slot, &(struct frame_meta){ .l3_off = ETH_HDR_LEN, .head_len = ETH_HDR_LEN + ARP_LEN }, 0);
}

enum reason neigh_arp_in(struct stack *st, const struct eth *eth, const uint8_t *p, uint32_t len)
{
	const struct stack_config *cfg = &st->cfg;
	struct arp arp, reply;
	enum reason r = eth_wire_arp_parse(p, len, &arp);

	if (r)
		return r;
	if (!mac_eq(&arp.sender_mac, cfg->any_guest ? &eth->src : &cfg->guest_mac))
		return R_SPOOFED_MAC;
	/* 0.0.0.0 is a probe, RFC 5227 2.1.1 */
	if (!stack_is_guest4(st, &arp.sender) && memcmp(addr_v4_bytes(&arp.sender), "\0\0\0", 4))
		return R_SPOOFED_ADDR;
	if (!cfg->v4)
		return R_FAMILY_OFF;
	if (stack_is_guest4(st, &arp.sender))
		guests_seen(st, &arp.sender, &arp.sender_mac);
	/* a probe of its own address, an announcement of it (RFC 5227 2.3), an answer: nothing to say */
	if (stack_is_guest4(st, &arp.target) || arp.op != ARP_REQUEST)
		return R_ACCEPTED;
	if (!neigh_answers_for(st, &arp.target))
		return R_ARP_NOT_OURS;

	reply = (struct arp){ .op = ARP_REPLY, .sender_mac = neigh_mac_of(st, &arp.target), .sender = arp.target,
			      .target_mac = arp.sender_mac, .target = arp.sender };
	neigh_arp_put(st, &arp.sender_mac, &reply);
	return R_ACCEPTED;
}

static void neigh_solicit(struct stack *st, const struct addr *addr)
{
	const uint8_t *a = addr->b;
	const uint8_t group[16] = { 0xff, 0x02, [11] = 1, 0xff, a[13], a[14], a[15] };
	struct neigh_msg m = { .type = ICMP6_NEIGH_SOLICIT, .target = *addr, .has_mac = true, .mac = st->cfg.gw_mac6 };
	struct ip ip = { .v6 = true, .src = st->cfg.ll6, .dst = addr_from_v6(group), .proto = IP_PROTO_ICMPV6, .hop_limit = 255,
			 .payload_len = ICMP6_NEIGH_LEN };
	struct tx_slot slot;

	if (!ip_out_slot(st, &slot, ETH_HDR_LEN + IP6_HDR_LEN + ICMP6_NEIGH_LEN, 0, 0))
		return;
	ip_out_head(st, slot.head, &ip);
	icmp_wire_neigh_put(slot.head + ETH_HDR_LEN + IP6_HDR_LEN, &m, &ip.src, &ip.dst);
	ip_out_put(st, &slot,
		   &(struct frame_meta){ .l3_off = ETH_HDR_LEN, .head_len = ETH_HDR_LEN + IP6_HDR_LEN + ICMP6_NEIGH_LEN, .v6 = true }, 0);
}

void neigh_ask(struct stack *st, const struct addr *addr)
{
	static const struct mac everybody = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

	if (addr_is_v4(addr))
		neigh_arp_put(st, &everybody,
			      &(struct arp){ .op = ARP_REQUEST, .sender_mac = st->cfg.gw_mac, .sender = st->cfg.gw4, .target = *addr });
	else
		neigh_solicit(st, addr);
}

static bool neigh_target_is_ours(const struct stack *st, const struct addr *target)
{
	struct addr ll = stack_linklocal(st);

	if (addr_eq(target, &ll))
		return true;
	return prefix_contains(&st->cfg.net6, target) &&
	       (!stack_is_guest6(st, target) || (st->host->stands_for && st->host->stands_for(st->host, target)));
}

/* What an IP packet may carry it: RFC 4861 7.1.1 and 7.1.2. */
static bool neigh_ip_good(const struct ip *ip, const struct neigh_msg *m)
{
	static const uint8_t solicited_node[13] = { 0xff, 0x02, [11] = 1, 0xff };

	if (ip->hop_limit != 255)
		return false;
	if (m->type == ICMP6_NEIGH_ADVERT)
		return !(m->solicited && addr_is_multicast(&ip->dst));
	return !addr_is_unspecified(&ip->src) || (!m->has_mac && !memcmp(ip->dst.b, solicited_node, sizeof(solicited_node)));
}

/* No solicitation for an address of ours.  Is the guest making sure that nobody else has its own? */
static enum reason neigh_not_ours(const struct stack *st, const struct ip *ip, const struct addr *target)
{
	bool probe = addr_is_unspecified(&ip->src);

	return probe && (stack_is_guest6(st, target) || addr_is_linklocal(target)) ? R_ACCEPTED : R_NDP_NOT_OURS;
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
	if (!neigh_ip_good(ip, &m))
		return R_NDP_MALFORMED;
	if (m.type != ICMP6_NEIGH_SOLICIT) /* the guest's own announcements tell us nothing that is not configured */
		return neigh_target_is_ours(st, &m.target) ? R_SPOOFED_ADDR : R_ACCEPTED;
	if (!neigh_target_is_ours(st, &m.target))
		return neigh_not_ours(st, ip, &m.target);

	probe = addr_is_unspecified(&ip->src); /* duplicate address detection, RFC 4862 5.4.3: answered to all nodes */
	reply = (struct neigh_msg){ .type = ICMP6_NEIGH_ADVERT, .target = m.target, .has_mac = true, .mac = cfg->gw_mac6,
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
