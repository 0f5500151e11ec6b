/* guest_out.c - the guest's TCP sends: segments, windows, silly window avoidance, probes.  RFC 9293 3.8, RFC 5681.
 *
 * Below: sim.h, wire.c.  Above: guest.c.
 */
#include "slirp/base/bytes.h"
#include "slirp/wire/csum_wire.h"
#include "tests/sim/sim.h"

#include <string.h>

uint32_t guest_out_end(const struct guest *g)
{
	return g->iss + 1 + g->written;
}

bool guest_out_wants_fin(const struct guest *g)
{
	return g->written == g->total && (!g->close_last || g->fin_seen);
}

/* Ethernet, IP, TCP and payload with every checksum; one loop for both families. */
static void out_frame(struct sim *s, struct tcp_seg *seg, uint32_t payload_at, uint32_t gso)
{
	static uint8_t frame[ETH_HDR_LEN + IP6_HDR_LEN + TCP_HDR_MAX + 65536];
	uint32_t ip_len = ip_wire_hdr_len(s->v6), tcp_len = l4_wire_tcp_len(seg), l4 = ETH_HDR_LEN + ip_len;
	struct eth eth = { s->cfg.gw_mac, s->cfg.guest_mac, s->v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4 };
	struct ip ip = { .v6 = s->v6, .src = sim_guest_end(s, 0).addr, .dst = sim_far_end(s, seg->sport).addr, .proto = IP_PROTO_TCP,
			 .hop_limit = 64, .payload_len = tcp_len + seg->len };
	uint16_t sum;

	eth_wire_put(frame, &eth);
	ip_wire_put(frame + ETH_HDR_LEN, &ip);
	l4_wire_tcp_put(frame + l4, seg);
	for (uint32_t i = 0; i < seg->len; i++)
		frame[l4 + tcp_len + i] = sim_byte(sim_conn_of(s, seg->sport), false, payload_at + i);
	if (seg->flags & TCP_URG) /* any pointer, also far beyond what was sent */
		bytes_put16(frame + l4 + TCP_CSUM_OFFSET + 2, (uint16_t)sim_rand(s, 65536));
	if (!gso) {
		sum = csum_wire_final(csum_wire_add(frame + l4, tcp_len + seg->len) +
				      csum_wire_pseudo(&ip.src, &ip.dst, IP_PROTO_TCP, tcp_len + seg->len));
		memcpy(frame + l4 + TCP_CSUM_OFFSET, &sum, sizeof(sum));
	}
	sim_note(s, "%u sends flags %02x %u+%u ack %u win %u", seg->sport, seg->flags, seg->seq, seg->len, seg->ack, seg->window);
	wire_push(&s->to_core, frame, l4 + tcp_len + seg->len, (uint16_t)gso, gso != 0);
}

/* The window field; the right edge never moves left, but for what the scale cuts off. */
static uint32_t out_window(struct guest *g)
{
	uint32_t held = g->rcv_nxt - g->irs - 1 - g->fin_seen - g->read, room = held < g->rcv_buf ? g->rcv_buf - held : 0, edge, w;

	if (!g->silly && room < MIN(g->rcv_buf / 2, g->mss))
		room = 0;
	edge = g->rcv_nxt + MIN(room, 65535u << g->rcv_scale);
	if ((int32_t)(edge - g->adv) < 0)
		edge = g->adv;
	w = (edge - g->rcv_nxt) >> g->rcv_scale;
	edge = g->rcv_nxt + (w << g->rcv_scale);
	if ((int32_t)(edge - g->adv) > 0)
		g->adv = edge;
	return w;
}

/* What lies beyond the gap, the newest piece first. */
static void out_sack(const struct guest *g, struct tcp_seg *seg)
{
	for (int i = g->n_range - 1; i >= 0 && seg->n_sack < 3; i--)
		seg->sack[seg->n_sack++] = (struct tcp_range){ g->range[i].start, g->range[i].end };
}

static struct tcp_seg out_seg(struct guest *g, uint32_t seq, uint8_t flags)
{
	struct tcp_seg seg = { .sport = g->port, .dport = sim_far_end(g->sim, g->port).port, .seq = seq, .flags = flags | TCP_ACK };

	seg.ack = g->rcv_nxt;
	seg.window = out_window(g);
	if (g->ts) {
		seg.has_ts = true;
		seg.tsval = g->ts_base + (uint32_t)(g->sim->now / SIM_MS);
		seg.tsecr = g->ts_recent;
	}
	if (g->sack)
		out_sack(g, &seg);
	return seg;
}

static void out_acked(struct guest *g)
{
	g->ack_sent = g->rcv_nxt;
	g->unacked = 0;
	g->ack_now = false;
	g->ack_at = SIM_NEVER;
}

/* Payload of one segment: SACK takes its bytes from it. */
static uint32_t out_room(const struct guest *g)
{
	return g->mss - (g->sack && g->n_range && g->super < 2 ? TCP_HDR_MAX - TCP_HDR_LEN - 12 : 0);
}

static void out_send(struct guest *g, uint32_t seq, uint32_t len, uint8_t flags)
{
	struct tcp_seg seg = out_seg(g, seq, flags);

	seg.len = len;
	if (len)
		seg.flags |= sim_chance(g->sim, g->urges) ? TCP_PSH | TCP_URG : TCP_PSH;
	out_frame(g->sim, &seg, seq - g->iss - 1, len > g->mss ? g->mss : 0);
	out_acked(g);
}

void guest_out_syn(struct guest *g)
{
	struct tcp_seg seg = { .sport = g->port, .dport = sim_far_end(g->sim, g->port).port, .seq = g->iss, .flags = TCP_SYN,
			       .window = MIN(g->rcv_buf, 65535), .has_mss = g->mss_in != 0, .mss = g->mss_in,
			       .has_ts = g->want_ts, .tsval = g->ts_base + (uint32_t)(g->sim->now / SIM_MS),
			       .sack_permitted = g->want_sack, .has_wscale = g->want_wscale, .wscale = g->wscale };

	out_frame(g->sim, &seg, 0, 0);
}

void guest_out_syn_ack(struct guest *g)
{
	struct tcp_seg seg = { .sport = g->port, .dport = sim_far_end(g->sim, g->port).port, .seq = g->iss, .ack = g->irs + 1,
			       .flags = TCP_SYN | TCP_ACK, .window = MIN(g->rcv_buf, 65535), .has_mss = g->mss_in != 0, .mss = g->mss_in,
			       .has_ts = g->ts, .tsval = g->ts_base + (uint32_t)(g->sim->now / SIM_MS), .tsecr = g->ts_recent,
			       .sack_permitted = g->sack, .has_wscale = g->snd_scale || g->rcv_scale, .wscale = g->wscale };

	out_frame(g->sim, &seg, 0, 0);
}

void guest_out_ack(struct guest *g)
{
	out_send(g, g->max, 0, 0);
}

static void out_timer(struct guest *g)
{
	if (g->rto_at == SIM_NEVER)
		g->rto_at = g->sim->now + (g->rto << MIN(g->backoff, 8));
}

/* Sends len bytes and maybe the FIN at nxt. */
static void out_next(struct guest *g, uint32_t len, bool fin)
{
	if (len > out_room(g) && g->super < 2) {
		len = out_room(g);
		fin = false;
	}
	out_send(g, g->nxt, len, fin ? TCP_FIN : 0);
	if (g->nxt == g->max && !g->sent_at) {
		g->sent_at = g->sim->now;
		g->sent_seq = g->nxt + len + fin;
	}
	g->nxt += len + fin;
	if ((int32_t)(g->nxt - g->max) > 0)
		g->max = g->nxt;
	if (fin) {
		g->closed_second |= g->fin_seen && !g->fin_sent;
		g->fin_sent = true;
	}
	out_timer(g);
}

/* May these len bytes of `left` go now?  RFC 9293 3.8.6.2.1 and 3.7.4. */
static bool out_may(const struct guest *g, uint32_t len, uint32_t left, bool fin)
{
	bool waiting = g->nxt != g->una;

	if (!waiting || len >= g->mss || fin)
		return true;
	if (len < left)
		return g->silly || len >= g->max_wnd / 2;
	return !g->nagle;
}

void guest_out_push(struct guest *g)
{
	while (g->nxt != guest_out_end(g) + 1) {
		uint32_t left = guest_out_end(g) - g->nxt, limit = MIN(g->wnd, g->cwnd), under_way = g->nxt - g->una;
		uint32_t usable = limit > under_way ? limit - under_way : 0, len = MIN(MIN(left, usable), g->mss * g->super);
		bool fin = len == left && guest_out_wants_fin(g) && (usable > len || !under_way);

		if ((!len && !fin) || !out_may(g, len, left, fin))
			break;
		out_next(g, len, fin);
	}
	if (g->nxt == g->una && g->nxt != guest_out_end(g))
		out_timer(g); /* to probe */
}

void guest_out_again(struct guest *g)
{
	uint32_t len = MIN(g->max - g->una, out_room(g)), end = guest_out_end(g);
	bool fin = g->fin_sent && g->una + len == end + 1;

	if (!g->wnd && len > 1) {
		len = 1;
		fin = g->una == end;
	}
	if (fin)
		len--;
	out_send(g, g->una, len, fin ? TCP_FIN : 0);
	out_timer(g);
}

void guest_out_probe(struct guest *g)
{
	if (g->una != g->max)
		guest_out_again(g);
	else if (g->nxt != guest_out_end(g))
		out_next(g, 1, false);
}

/* RFC 9293 3.8.4: an old sequence number wants an answer */
void guest_out_alive(struct guest *g)
{
	out_send(g, g->una - 1, 0, 0);
}

void guest_out_rst(struct sim *s, uint16_t port, uint32_t seq, uint32_t ack, uint8_t flags)
{
	struct tcp_seg seg = { .sport = port, .dport = sim_far_end(s, port).port, .seq = seq, .ack = ack, .flags = TCP_RST | flags };

	out_frame(s, &seg, 0, 0);
}
