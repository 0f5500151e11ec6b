/* dgram.c - a datagram arrives or leaves.  See dgram.h. */
#include "slirp/dgram.h"

#include "slirp/ip_out.h"
#include "slirp/stack_state.h"
#include "slirp/wire/l4_wire.h"

enum reason dgram_in(struct stack *st, const struct tuple *t, const struct payload *l4, int64_t now)
{
	uint32_t len = l4->len - UDP_HDR_LEN;
	struct iovec iov[PAYLOAD_PIECES];
	int n = payload_pieces(l4, UDP_HDR_LEN, len, iov, PAYLOAD_PIECES);

	if (n < 0)
		return R_L4_LENGTH;
	return st->host->dgram(st->host, t, iov, n, len, now);
}

enum reason stack_dgram(struct stack *st, const struct tuple *t, const uint8_t *data, uint32_t len)
{
	bool v6 = !addr_is_v4(&t->guest.addr);
	uint32_t ip_len = ip_wire_hdr_len(v6), head_len = ETH_HDR_LEN + ip_len + UDP_HDR_LEN;
	struct frame_meta meta = { .l3_off = ETH_HDR_LEN, .l4_off = (uint16_t)(ETH_HDR_LEN + ip_len), .head_len = (uint16_t)head_len,
				   .proto = IP_PROTO_UDP, .v6 = v6 };
	struct ip ip = { .v6 = v6, .src = t->far.addr, .dst = t->guest.addr, .proto = IP_PROTO_UDP, .hop_limit = IP_HOP_LIMIT,
			 .payload_len = UDP_HDR_LEN + len };
	struct udp udp = { .sport = t->far.port, .dport = t->guest.port, .len = len };
	struct tx_slot slot;
	uint32_t done = 0;

	if (!(v6 ? st->cfg.v6 : st->cfg.v4))
		return R_FAMILY_OFF;
	if (ip_len + UDP_HDR_LEN + len > st->cfg.link.mtu)
		return ip_out_fragments(st, &ip, &udp, &(struct iovec){ (void *)data, len }, 1);
	if (!ip_out_slot(st, &slot, head_len, len, 0))
		return R_LINK_FULL;
	ip_out_head(st, slot.head, &ip);
	l4_wire_udp_put(slot.head + ETH_HDR_LEN + ip_len, &udp);
	for (int i = 0; i < slot.n_pl && done < len; i++) {
		uint32_t n = len - done < slot.pl[i].iov_len ? len - done : (uint32_t)slot.pl[i].iov_len;

		memcpy(slot.pl[i].iov_base, data + done, n);
		done += n;
	}
	ip_out_put(st, &slot, &meta, len);
	return R_ACCEPTED;
}
