/* dgram.c - a datagram arrives or leaves.  See dgram.h. */
#include "slirp/dgram.h"

#include "slirp/ip_out.h"
#include "slirp/service.h"
#include "slirp/stack_state.h"
#include "slirp/wire/l4_wire.h"

enum {
	DGRAM_RUN_MAX = 128,	/* datagrams in one super-frame: what Linux makes (UDP_MAX_SEGMENTS) */
	DGRAM_IP_MAX = 65535,	/* an IP length field can say no more */
};

/* ---- from the guest */

/* What the guest is told of a refused datagram, or of the first of a run. */
static void dgram_tell(struct stack *st, const struct tuple *t, struct ip_out_error *e, enum reason why)
{
	e->why = ICMP_UNREACH_PORT;
	if (why == R_UDP_NO_SERVICE || why == R_DIAL_REFUSED)
		e->from = &t->far.addr;
	else if (!ip_out_unreach_code(why, &e->why))
		return;
	ip_out_dgram_error(st, e, t);
}

enum reason dgram_in(struct stack *st, const struct tuple *t, const struct dgram_meta *m, const struct payload *l4, int64_t now)
{
	uint32_t len = l4->len - UDP_HDR_LEN;
	struct iovec iov[PAYLOAD_PIECES];
	int n = payload_pieces(l4, UDP_HDR_LEN, len, iov, PAYLOAD_PIECES);
	enum reason r;

	if (n < 0)
		return R_L4_LENGTH;
	if (service_wants(st, t))
		return m->gso_size ? R_BAD_GSO : service_in(st, t, iov, n, len);
	if (m->gso_size && len > m->gso_size * (uint32_t)DGRAM_RUN_MAX)
		return R_BAD_GSO;
	if (m->hop_limit <= 1 && !stack_is_ours(st, &t->far.addr))
		r = R_HOP_LIMIT;
	else
		r = st->host->dgram(st->host, t, m, iov, n, len, now);
	if (r)
		dgram_tell(st, t, &(struct ip_out_error){ .now = now, .data = iov, .n = n, .len = m->gso_size ? m->gso_size : len }, r);
	return r;
}

void stack_dgram_error(struct stack *st, const struct tuple *t, enum icmp_unreach why, uint32_t mtu, const struct addr *from, int64_t now)
{
	ip_out_dgram_error(st, &(struct ip_out_error){ .why = why, .mtu = mtu, .from = from, .now = now }, t);
}

/* ---- to the guest */

/* One frame with at most len bytes of payload; with mss set the link may offer less room, then whole datagrams of it are used.
 * Returns the bytes sent; 0 for a full link unless len is 0. */
static uint32_t dgram_frame(struct stack *st, const struct tuple *t, uint8_t tos, struct ip_out_source *src, uint32_t len, uint16_t mss,
			    enum reason *ret)
{
	bool v6 = !addr_is_v4(&t->guest.addr);
	uint32_t ip_len = ip_wire_hdr_len(v6), head_len = ETH_HDR_LEN + ip_len + UDP_HDR_LEN;
	struct frame_meta meta = { .l3_off = ETH_HDR_LEN, .l4_off = (uint16_t)(ETH_HDR_LEN + ip_len), .head_len = (uint16_t)head_len,
				   .mss = mss, .proto = IP_PROTO_UDP, .v6 = v6 };
	struct ip ip = { .v6 = v6, .src = t->far.addr, .dst = t->guest.addr, .proto = IP_PROTO_UDP, .hop_limit = IP_HOP_LIMIT,
			 .tos = tos };
	struct tx_slot slot;

	*ret = R_LINK_FULL;
	if (!ip_out_slot(st, &slot, head_len, len, mss))
		return 0;
	if (slot.room < len && mss)
		len = slot.room - slot.room % mss;
	if (slot.room < len || (mss && !len)) {
		reason_count(st->drops, R_LINK_FULL);
		return 0;
	}
	ip.payload_len = UDP_HDR_LEN + len;
	ip_out_head(st, slot.head, &ip);
	l4_wire_udp_put(slot.head + ETH_HDR_LEN + ip_len, &(struct udp){ .sport = t->far.port, .dport = t->guest.port, .len = len });
	ip_out_fill(&slot, src, len);
	ip_out_put(st, &slot, &meta, len);
	*ret = R_ACCEPTED;
	return len;
}

/* Datagrams of `each` bytes, which is more than the MTU; the last may be shorter. */
static enum reason dgram_large(struct stack *st, const struct tuple *t, uint8_t tos, const struct payload *data, uint32_t each)
{
	enum reason r = R_ACCEPTED;

	for (uint32_t at = 0; at < data->len && !r; at += each) {
		struct udp udp = { .sport = t->far.port, .dport = t->guest.port, .len = data->len - at < each ? data->len - at : each };
		struct ip ip = { .v6 = !addr_is_v4(&t->guest.addr), .src = t->far.addr, .dst = t->guest.addr, .proto = IP_PROTO_UDP,
				 .hop_limit = IP_HOP_LIMIT, .tos = tos, .payload_len = UDP_HDR_LEN + udp.len };
		struct iovec iov[PAYLOAD_PIECES];
		int n = payload_pieces(data, at, udp.len, iov, PAYLOAD_PIECES);
		uint8_t head[UDP_HDR_LEN];

		l4_wire_udp_put(head, &udp);
		if (n < 0)
			r = R_L4_LENGTH;
		else if (ip_wire_hdr_len(ip.v6) + ip.payload_len > st->cfg.link.mtu)
			r = ip_out_fragments(st, &ip, head, iov, n);
		else
			dgram_frame(st, t, tos, &(struct ip_out_source){ iov, 0 }, udp.len, 0, &r);
	}
	return r == R_L4_LENGTH ? reason_count(st->drops, r) : r; /* a full link is counted below */
}

enum reason stack_dgram(struct stack *st, const struct tuple *t, const struct dgram_meta *m, const struct iovec *data, int n,
			uint32_t len)
{
	bool v6 = !addr_is_v4(&t->guest.addr);
	uint32_t heads = ip_wire_hdr_len(v6) + UDP_HDR_LEN, each = m->gso_size && m->gso_size < len ? m->gso_size : len;
	struct ip_out_source src = { data, 0 };
	enum reason r = R_ACCEPTED;

	if (!(v6 ? st->cfg.v6 : st->cfg.v4))
		return reason_count(st->drops, R_FAMILY_OFF);
	if (heads + each > st->cfg.link.mtu)
		return dgram_large(st, t, m->tos, &(struct payload){ .rest = data, .n_rest = n, .len = len }, each);
	do {
		bool run = each < len && st->cfg.link.gso_udp;
		uint32_t most = run ? (DGRAM_IP_MAX - heads) / each * each : each;

		if (most > len)
			most = len;
		len -= dgram_frame(st, t, m->tos, &src, most, run ? (uint16_t)each : 0, &r);
	} while (len && !r);
	return r;
}
