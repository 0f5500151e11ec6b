/* tcp_bare.c - headers toward the guest, and segments that are nothing but a header.  See tcp_bare.h. */
#include "slirp/tcp_bare.h"

#include "slirp/ip_out.h"
#include "slirp/tcp_conn.h"

/* Ethernet, IP and TCP header of seg with len payload bytes; returns the frame's metadata. */
struct frame_meta tcp_bare_head(struct stack *st, const struct tuple *t, uint8_t *p, const struct tcp_seg *seg, uint32_t len)
{
	bool v6 = !addr_is_v4(&t->guest.addr);
	uint32_t tcp_len = l4_wire_tcp_len(seg);
	struct ip ip = { .v6 = v6, .src = t->far.addr, .dst = t->guest.addr, .proto = IP_PROTO_TCP, .hop_limit = IP_HOP_LIMIT,
			 .dont_fragment = true, .payload_len = tcp_len + len };
	uint16_t l4_off = (uint16_t)(ETH_HDR_LEN + ip_wire_hdr_len(v6));

	ip_out_head(st, p, &ip);
	l4_wire_tcp_put(p + l4_off, seg);
	return (struct frame_meta){ .l3_off = ETH_HDR_LEN, .l4_off = l4_off, .head_len = (uint16_t)(l4_off + tcp_len),
				    .proto = IP_PROTO_TCP, .v6 = v6 };
}

uint32_t tcp_bare_head_len(const struct tuple *t, const struct tcp_seg *seg)
{
	return ETH_HDR_LEN + ip_wire_hdr_len(!addr_is_v4(&t->guest.addr)) + l4_wire_tcp_len(seg);
}

bool tcp_bare_send(struct stack *st, const struct tuple *t, const struct tcp_seg *seg)
{
	struct frame_meta meta;
	struct tx_slot slot;

	if (!ip_out_slot(st, &slot, tcp_bare_head_len(t, seg), 0, 0))
		return false;
	meta = tcp_bare_head(st, t, slot.head, seg, 0);
	ip_out_put(st, &slot, &meta, 0);
	return true;
}

void tcp_bare_time_wait(struct stack *st, const struct tcp_tw_entry *e, int64_t now)
{
	struct tcp_seg seg = { .sport = e->tuple.far.port, .dport = e->tuple.guest.port, .seq = e->snd_nxt, .ack = e->rcv_nxt,
			       .flags = TCP_ACK, .has_ts = e->ts_ok, .tsecr = e->ts_recent };

	seg.tsval = (uint32_t)(now / 1000) + e->ts_offset;
	tcp_bare_send(st, &e->tuple, &seg);
}

void tcp_bare_segment(struct stack *st, const struct tuple *t, uint32_t seq, uint32_t ack, uint8_t flags)
{
	struct tcp_seg seg = { .sport = t->far.port, .dport = t->guest.port, .seq = seq, .ack = ack, .flags = flags };

	tcp_bare_send(st, t, &seg);
}

void tcp_bare_reset(const struct tcp_conn *c)
{
	if (c->state == TCP_SYN_SENT) {
		if (c->snd_max != c->iss) /* else the guest knows of nothing */
			tcp_bare_segment(c->st, &c->tuple, c->snd_max, 0, TCP_RST);
	} else if (c->state == TCP_HELD) {
		tcp_bare_segment(c->st, &c->tuple, 0, c->irs + 1, TCP_RST | TCP_ACK);
	} else {
		tcp_bare_segment(c->st, &c->tuple, c->snd_max, c->rcv_nxt, TCP_RST | TCP_ACK);
	}
}
