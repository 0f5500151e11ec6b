/* echo.c - ping.  See echo.h. */
#include "slirp/echo.h"

#include "slirp/base/bytes.h"
#include "slirp/ip_out.h"
#include "slirp/stack_state.h"
#include "slirp/wire/csum_wire.h"

/* ---- from the guest */

/* The eight bytes that a request and its reply begin with; the checksum stays zero. */
static void echo_put(uint8_t *p, uint8_t type, const struct echo *e)
{
	p[0] = type;
	p[1] = 0;
	bytes_put16(p + 2, 0);
	bytes_put16(p + 4, e->id);
	bytes_put16(p + 6, e->seq);
}

static void echo_error(struct stack *st, const struct echo *e, const struct ip_out_error *err)
{
	uint8_t quoted[ICMP_HDR_LEN];

	echo_put(quoted, addr_is_v4(&e->guest) ? ICMP4_ECHO_REQUEST : ICMP6_ECHO_REQUEST, e);
	ip_out_echo_error(st, err, &e->guest, &e->far, quoted);
}

/* Is this address the gateway itself? */
static bool echo_is_ours(const struct stack *st, const struct addr *a)
{
	struct addr ll = stack_linklocal(st);

	return stack_is_ours(st, a) || (st->cfg.v6 && addr_eq(a, &ll));
}

enum reason echo_in(struct stack *st, const struct ip *ip, const struct payload *msg, bool reassembled, int64_t now)
{
	struct echo e = { .guest = ip->src, .far = ip->dst, .id = bytes_get16(msg->head + 4), .seq = bytes_get16(msg->head + 6),
			  .hop_limit = ip->hop_limit, .tos = ip->tos, .dont_fragment = ip->dont_fragment && !reassembled };
	uint32_t len = msg->len - ICMP_HDR_LEN;
	struct iovec iov[PAYLOAD_PIECES];
	int n = payload_pieces(msg, ICMP_HDR_LEN, len, iov, PAYLOAD_PIECES);
	struct ip_out_error err = { .now = now, .data = iov, .n = n, .len = len };
	enum reason r;

	if (n < 0)
		return R_L4_LENGTH;
	if (!(ip->v6 ? st->cfg.v6 : st->cfg.v4))
		return R_FAMILY_OFF;
	if (echo_is_ours(st, &ip->dst) && !addr_is_unspecified(&ip->src)) {
		e.hop_limit = 0;
		r = stack_echo(st, &e, iov, n, len); /* with its DSCP: RFC 1122 3.2.2.6 leaves it open, and ping shows what came */
		return r == R_LINK_FULL ? R_ACCEPTED : r; /* that was counted */
	}
	if (ip->v6 && !stack_is_guest6(st, &ip->src))
		return R_SPOOFED_ADDR; /* link-local sources reach the link and no further */
	r = ip->hop_limit <= 1 ? R_HOP_LIMIT : st->host->echo(st->host, &e, iov, n, len, now);
	if (r && ip_out_unreach_code(r, &err.why))
		echo_error(st, &e, &err);
	return r;
}

/* ---- to the guest */

/* One frame. */
static enum reason echo_frame(struct stack *st, struct ip *ip, const uint8_t *l4, const struct iovec *data, int n, uint32_t len)
{
	uint32_t ip_len = ip_wire_hdr_len(ip->v6), head_len = ETH_HDR_LEN + ip_len + ICMP_HDR_LEN;
	struct frame_meta meta = { .l3_off = ETH_HDR_LEN, .head_len = (uint16_t)head_len, .v6 = ip->v6 };
	struct tx_slot slot;
	uint16_t csum;
	uint8_t *p;

	if (!ip_out_slot(st, &slot, head_len, len, 0))
		return R_LINK_FULL;
	if (slot.room < len)
		return reason_count(st->drops, R_LINK_FULL);
	ip_out_head(st, slot.head, ip);
	p = slot.head + ETH_HDR_LEN + ip_len;
	memcpy(p, l4, ICMP_HDR_LEN);
	csum = csum_wire_final((ip->v6 ? csum_wire_pseudo(&ip->src, &ip->dst, ip->proto, ip->payload_len) : 0) +
			       csum_wire_add(p, ICMP_HDR_LEN) + csum_wire_iov(data, n));
	memcpy(p + 2, &csum, sizeof(csum));
	ip_out_fill(&slot, &(struct ip_out_source){ data, 0 }, len);
	ip_out_put(st, &slot, &meta, len);
	return R_ACCEPTED;
}

enum reason stack_echo(struct stack *st, const struct echo *e, const struct iovec *data, int n, uint32_t len)
{
	bool v6 = !addr_is_v4(&e->guest);
	struct ip ip = { .v6 = v6, .src = e->far, .dst = e->guest, .proto = v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP, .tos = e->tos,
			 .hop_limit = e->hop_limit ? e->hop_limit : IP_HOP_LIMIT, .payload_len = ICMP_HDR_LEN + len };
	uint8_t l4[ICMP_HDR_LEN];

	if (!(v6 ? st->cfg.v6 : st->cfg.v4))
		return R_FAMILY_OFF;
	echo_put(l4, v6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY, e);
	if (ip_wire_hdr_len(v6) + ip.payload_len > st->cfg.link.mtu)
		return ip_out_fragments(st, &ip, l4, data, n);
	return echo_frame(st, &ip, l4, data, n, len);
}

void stack_echo_error(struct stack *st, const struct echo *e, enum icmp_unreach why, uint32_t mtu, const struct addr *from, int64_t now)
{
	echo_error(st, e, &(struct ip_out_error){ .why = why, .mtu = mtu, .from = from, .now = now });
}
