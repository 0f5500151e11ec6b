/* frames_host.c - the host and the link of fuzz_frames.c: holds the core to upstream.h and stack.h, looks at every frame that leaves.
 *
 * Below: frames_host.h, slirp.  Above: fuzz_frames.c.
 */
#include "tests/fuzz/frames_host.h"

#include "slirp/base/list.h"
#include "slirp/tcp_seq.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"

#include <errno.h>

/* ---- the host */

static struct fuzz_slot *fuzz_up(struct upstream *up, const char *call)
{
	struct fuzz_flow *w = container_of(up, struct fuzz_flow, up);
	struct fuzz_slot *s = &w->z->slot[w->slot];

	FUZZ_CHECK(s->flow == w, "%s() on a connection that is gone", call);
	FUZZ_CHECK(!s->aborted, "%s() after abort()", call);
	FUZZ_CHECK(s->connected, "%s() before the host connected", call);
	return s;
}

static ssize_t fuzz_peek(struct upstream *up, uint32_t off, const struct iovec *iov, int n)
{
	struct fuzz_slot *s = fuzz_up(up, "peek");
	struct fuzz_flow *w = s->flow;
	uint32_t at = s->consumed + off, from = at, end = s->offered;

	FUZZ_CHECK(at <= s->peeked, "peek at %u, peeked are %u", at, s->peeked);
	if (s->failed && at >= s->offered)
		return -ECONNRESET;
	if (at == end)
		return s->eof ? 0 : -EAGAIN;
	if (s->peek_max && end - at > s->peek_max)
		end = at + s->peek_max;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len && at < end; k++, at++)
			((uint8_t *)iov[i].iov_base)[k] = fuzz_byte(w->slot, true, w->c.iss + 1 + at);
	FUZZ_CHECK(at > from, "peek into no room");
	s->peeked = MAX(s->peeked, at);
	return (ssize_t)(at - from);
}

static void fuzz_consume(struct upstream *up, uint32_t n)
{
	struct fuzz_slot *s = fuzz_up(up, "consume");

	s->consumed += n;
	FUZZ_CHECK(s->consumed <= s->peeked, "consumed %u, peeked %u", s->consumed, s->peeked);
	FUZZ_CHECK(n && seq_le(s->flow->c.iss + 1 + s->consumed, s->guest_has), "consumed %u, never acknowledged", s->consumed);
}

static ssize_t fuzz_write(struct upstream *up, const struct iovec *iov, int n)
{
	struct fuzz_slot *s = fuzz_up(up, "write");
	struct fuzz_flow *w = s->flow;
	uint32_t total = 0, takes, seq = w->c.irs + 1 + s->written;

	for (int i = 0; i < n; i++)
		total += (uint32_t)iov[i].iov_len;
	FUZZ_CHECK(total && !s->shut, "write of %u bytes, shut %d", total, s->shut);
	if (s->failed)
		return -ECONNRESET;
	takes = MIN(total, s->space);
	if (s->take_max)
		takes = MIN(takes, s->take_max);
	s->written += takes;
	s->space -= takes;
	total = takes;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len && takes; k++, takes--, seq++)
			FUZZ_CHECK(((const uint8_t *)iov[i].iov_base)[k] == fuzz_byte(w->slot, false, seq) || w->z->wild,
				   "a wrong byte reached the host at %u", seq - w->c.irs);
	return (ssize_t)total;
}

static void fuzz_shutdown(struct upstream *up)
{
	struct fuzz_slot *s = fuzz_up(up, "shutdown");

	FUZZ_CHECK(!s->shut, "shutdown() twice");
	FUZZ_CHECK(s->flow->c.rcv_nxt == s->flow->c.irs + 2 + s->written, "shutdown() after %u bytes", s->written);
	s->shut = true;
}

static void fuzz_abort(struct upstream *up)
{
	fuzz_up(up, "abort")->aborted = true;
}

static uint32_t fuzz_space(struct upstream *up)
{
	return fuzz_up(up, "space")->space;
}

const struct upstream_ops frames_host_ops = { fuzz_peek, fuzz_consume, fuzz_write, fuzz_shutdown, fuzz_abort, fuzz_space };

static enum reason fuzz_tcp_syn(struct stack_host *h, const struct tuple *t, struct tcp_conn **ret)
{
	struct fuzz *z = container_of(h, struct fuzz, host);
	int i = t->guest.port - FUZZ_PORT;
	struct fuzz_slot *s = &z->slot[i & (FUZZ_SLOTS - 1)];

	if (z->answer)
		return z->answer;
	if (i < 0 || i >= FUZZ_SLOTS || t->far.port != 80 || s->flow)
		return R_FLOW_CAP;
	s->flow = g_new0(struct fuzz_flow, 1);
	s->flow->z = z;
	s->flow->slot = i;
	s->flow->up.ops = &frames_host_ops;
	s->edge_known = s->connected = s->eof = s->failed = s->shut = s->aborted = false;
	s->offered = s->consumed = s->peeked = s->written = 0;
	z->given++;
	*ret = &s->flow->c;
	return R_ACCEPTED;
}

static void fuzz_tcp_gone(struct stack_host *h, struct tcp_conn *c, enum reason why)
{
	struct fuzz *z = container_of(h, struct fuzz, host);
	struct fuzz_flow *w = container_of(c, struct fuzz_flow, c);
	struct fuzz_slot *s = &z->slot[w->slot];

	FUZZ_CHECK(s->flow == w, "tcp_gone twice");
	if (why == R_CLOSED)
		FUZZ_CHECK(s->shut && s->eof && s->consumed == s->offered, "closed in order, but shut %d eof %d consumed %u of %u", s->shut,
			   s->eof, s->consumed, s->offered);
	s->flow = NULL;
	z->back++;
	g_ptr_array_add(z->gone, w);
}

static enum reason fuzz_dgram(struct stack_host *h, const struct tuple *t, const struct iovec *data, int n, uint32_t len, int64_t now)
{
	uint32_t sum = 0, seen = 0;

	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < data[i].iov_len; k++, seen++)
			sum += ((const uint8_t *)data[i].iov_base)[k];
	FUZZ_CHECK(seen == len, "datagram of %u bytes came as %u", len, seen);
	return sum & 1 ? R_UDP_NO_SERVICE : R_ACCEPTED;
}

/* ---- the link */

static bool fuzz_tx_get(struct stack_host *h, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	struct fuzz *z = container_of(h, struct fuzz, host);
	uint32_t step = mss && !z->cfg.link.tso4 ? mss : 4000;

	g_clear_pointer(&z->tx, g_free);
	if (z->full)
		return false;
	FUZZ_CHECK(head_len - ETH_HDR_LEN + payload_len <= 65535, "a frame of %u bytes", head_len + payload_len);
	z->tx = g_malloc(head_len + payload_len);
	z->tx_head = head_len;
	*slot = (struct tx_slot){ .head = z->tx };
	while (slot->room < payload_len && slot->n_pl < TX_SLOT_IOV) {
		uint32_t len = MIN(payload_len - slot->room, step);

		slot->pl[slot->n_pl++] = (struct iovec){ z->tx + head_len + slot->room, len };
		slot->room += len;
	}
	z->tx_room = slot->room;
	return true;
}

/* A TCP segment toward the guest: is it one that a correct gateway could send? */
static void fuzz_see_tcp(struct fuzz *z, const struct tcp_seg *seg, const uint8_t *data)
{
	int i = seg->dport - FUZZ_PORT;
	struct fuzz_slot *s = &z->slot[i & (FUZZ_SLOTS - 1)];
	const struct tcp_conn *c = s->flow ? &s->flow->c : NULL;
	uint32_t slack, edge;

	if (i < 0 || i >= FUZZ_SLOTS || seg->flags & TCP_RST || !c || !s->connected || c->state == TCP_CLOSED)
		return;
	if (seg->flags & TCP_SYN)
		s->ts = seg->has_ts;
	s->scale = seg->flags & TCP_SYN ? 0 : c->rcv_wscale;
	slack = (1u << s->scale) - 1;
	edge = seg->ack + (seg->window << s->scale);
	FUZZ_CHECK(seg->has_ts == c->ts_ok, "timestamps");
	FUZZ_CHECK(seg->ack == c->irs + 1 + s->written + s->shut, "ack %u, the host took %u", seg->ack - c->irs - 1, s->written);
	if (s->edge_known)
		FUZZ_CHECK(seq_le(s->edge, edge + slack), "the right edge shrinks by %u", s->edge - edge);
	if (!s->edge_known || (seq_lt(s->edge, edge) && seq_le(edge, seg->ack + s->space + slack)))
		s->edge = edge;
	s->edge_known = true;
	s->ack = seg->ack;
	s->gw_nxt = seg->seq + seg->len + !!(seg->flags & TCP_SYN) + !!(seg->flags & TCP_FIN);
	FUZZ_CHECK(seq_le(seg->seq, c->snd_max), "a hole before %u", seg->seq - c->iss);
	if (seg->flags & TCP_SYN || seq_lt(s->gw_max, s->gw_nxt))
		s->gw_max = s->gw_nxt;
	if (seg->flags & TCP_FIN)
		FUZZ_CHECK(s->eof && s->gw_nxt == c->iss + 2 + s->offered, "FIN before the host's end");
	for (uint32_t k = 0; k < seg->len; k++)
		FUZZ_CHECK(data[k] == fuzz_byte(i, true, seg->seq + k), "a wrong byte for the guest at %u", seg->seq + k - c->iss);
}

/* Everything that leaves parses back and has right sums. */
static void fuzz_see(struct fuzz *z, const uint8_t *p, uint32_t len, uint16_t mss)
{
	struct eth eth;
	struct ip ip;
	struct arp arp;
	struct tcp_seg seg;
	const uint8_t *l4;
	uint64_t sum;

	FUZZ_CHECK(!eth_wire_parse(p, len, &eth) && mac_eq(&eth.dst, &z->cfg.guest_mac), "ethernet");
	p += ETH_HDR_LEN;
	len -= ETH_HDR_LEN;
	if (eth.type == ETH_TYPE_ARP) {
		FUZZ_CHECK(!eth_wire_arp_parse(p, len, &arp), "ARP");
		return;
	}
	FUZZ_CHECK(!ip_wire_parse(p, len, len, eth.type == ETH_TYPE_IPV6, &ip) && ip.hdr_len + ip.payload_len == len, "IP of %u", len);
	FUZZ_CHECK(len <= z->cfg.link.mtu || mss, "%u bytes of IP", len);
	if (ip.is_fragment) /* the sum covers all the fragments; tests/scripts puts them together and looks */
		return;
	l4 = p + ip.hdr_len;
	sum = csum_wire_add(l4, ip.payload_len);
	if (ip.proto != IP_PROTO_ICMP)
		sum += csum_wire_pseudo(&ip.src, &ip.dst, ip.proto, ip.payload_len);
	FUZZ_CHECK(!csum_wire_final(sum), "checksum of protocol %u", ip.proto);
	if (ip.proto != IP_PROTO_TCP)
		return;
	FUZZ_CHECK(!l4_wire_tcp_parse(l4, ip.payload_len, ip.payload_len, &seg), "TCP");
	fuzz_see_tcp(z, &seg, l4 + seg.hdr_len);
}

static void fuzz_tx_put(struct stack_host *h, struct tx_slot *slot, const struct frame_meta *meta, uint32_t used)
{
	struct fuzz *z = container_of(h, struct fuzz, host);
	struct iovec pl = { z->tx + z->tx_head, used };

	FUZZ_CHECK(z->tx && slot->head == z->tx && used <= z->tx_room && meta->head_len == z->tx_head, "tx_put of %u", used);
	if (meta->proto)
		gso_wire_checksum(z->tx, meta, &pl, 1, used);
	fuzz_see(z, z->tx, z->tx_head + used, meta->mss);
	g_clear_pointer(&z->tx, g_free);
}

void frames_host_init(struct fuzz *z)
{
	z->host = (struct stack_host){ fuzz_tx_get, fuzz_tx_put, fuzz_tcp_syn, fuzz_tcp_gone, fuzz_dgram };
}
