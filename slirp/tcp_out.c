/* tcp_out.c - a connection's turn.  See tcp_out.h.
 *
 * One header per super-frame, payload peeked straight into the link's memory, one write() for all that came, one ACK for all that
 * was taken.  A full link stalls the connection: snd_nxt stays where it is and no timer runs for it.
 */
#include "slirp/tcp_out.h"

#include "slirp/ip_out.h"
#include "slirp/stack_state.h"
#include "slirp/tcp_bare.h"
#include "slirp/tcp_sack.h"
#include "slirp/tcp_state.h"
#include "slirp/tcp_timer.h"
#include "slirp/wire/l4_wire.h"

#include <errno.h>

enum {
	OUT_GATHER = 256,   /* pieces per write() */
	OUT_IP_MAX = 65535, /* what an IP length field can say */
	OUT_DUP_ACKS = 3,   /* RFC 5681 3.2 */
};

/* What became of a try to send. */
enum out_result {
	OUT_SENT,
	OUT_NOTHING, /* nothing to send now: an event will come */
	OUT_FULL,    /* the link is full: stalled */
	OUT_EOF,     /* the upstream has ended here */
	OUT_GONE,    /* the upstream failed: the connection is gone */
};

static enum reason out_failure(int err)
{
	return err == ECONNRESET || err == EPIPE ? R_HOST_RESET : R_HOST_ERROR;
}

static bool out_v6(const struct tcp_conn *c)
{
	return !addr_is_v4(&c->tuple.guest.addr);
}

/* ------------------------------------------------------------------ window and acknowledgement */

/* Bytes the guest may send now, before rounding and without moving the right edge. */
static uint32_t out_room(struct tcp_conn *c)
{
	const struct stack_config *cfg = &c->st->cfg;
	uint32_t room = c->up->ops->space(c->up), max = (uint32_t)cfg->tune.max_window;

	if (cfg->link.guest_queue && cfg->link.guest_queue * (uint32_t)c->rcv_mss < max)
		max = cfg->link.guest_queue * (uint32_t)c->rcv_mss;
	if (room > max)
		room = max;
	/* RFC 9293 3.8.6.2.2: rather nothing than a sliver; the sender cannot use less than a segment well */
	if (room < c->rcv_mss && room < 4096)
		room = 0;
	return room;
}

/* The window field, rounded up to its scale; moves rcv_adv to the right if there is room, never to the left. */
static uint32_t out_window(struct tcp_conn *c)
{
	uint32_t scale = c->rcv_wscale, most = 65535u << scale, slack = (1u << scale) - 1, room = out_room(c), edge;

	/* a guest may use what rounding adds, now or when rcv_nxt has moved, and waits for its time-out if that does not fit */
	edge = c->rcv_nxt + (room > slack ? room - slack : 0);
	c->rcv_adv = seq_max(c->rcv_adv, seq_min(edge, c->rcv_nxt + most));
	return (c->rcv_adv - c->rcv_nxt + slack) >> scale;
}

/* Fields that every segment of a synchronized connection has. */
static struct tcp_seg out_seg(struct tcp_conn *c, uint32_t seq, uint8_t flags, int64_t now)
{
	struct tcp_seg seg = { .sport = c->tuple.far.port, .dport = c->tuple.guest.port, .seq = seq, .flags = flags | TCP_ACK };

	if (c->ts_ok) {
		seg.has_ts = true;
		seg.tsval = (uint32_t)(now / 1000) + c->ts_offset;
		seg.tsecr = c->ts_recent;
	}
	seg.ack = c->rcv_nxt;
	seg.window = out_window(c);
	return seg;
}

/* A segment that carries the current acknowledgement has left. */
static void out_acked(struct tcp_conn *c)
{
	c->ack_sent = c->rcv_nxt;
	c->ack_now = c->sack_tell; /* which only a bare one tells */
	c->ack_at = TIMERQ_NEVER;
}

static bool out_ack(struct tcp_conn *c, uint32_t seq, int64_t now)
{
	struct tcp_seg seg = out_seg(c, seq, 0, now);

	if (c->sack_ok && c->ooo.head)
		seg.n_sack = tcp_ooo_ranges(&c->ooo, c->rcv_nxt, seg.sack, TCP_SACK_MAX);
	if (!tcp_bare_send(c->st, &c->tuple, &seg))
		return false;
	c->st->stats.acks_sent++;
	c->sack_tell = false;
	out_acked(c);
	return true;
}

/* What is owed now: one ACK; without SACK one for each segment that came ahead of the gap, as many as start a fast retransmission. */
static bool out_acks(struct tcp_conn *c, uint32_t seq, int64_t now)
{
	int n = c->sack_ok || !c->dups ? 1 : c->dups < OUT_DUP_ACKS ? c->dups : OUT_DUP_ACKS;

	while (n--)
		if (!out_ack(c, seq, now))
			return false;
	c->dups = 0;
	return true;
}

/* The number of a bare ACK: the highest sent, because one that a time-out has put behind is old to a guest that has it all, but
 * nothing beyond the window, where a probe's byte stands: the guest would drop either unread and answer (RFC 9293 3.10.7.4). */
static uint32_t out_ack_seq(const struct tcp_conn *c)
{
	return seq_min(c->snd_max, c->snd_una + c->snd_wnd);
}

/* Does the guest need an acknowledgement or a wider window now, later, or not at all? */
static void out_judge_ack(struct tcp_conn *c, int64_t now)
{
	uint32_t unacked = c->rcv_nxt - c->ack_sent, left = c->rcv_adv - c->rcv_nxt;

	if (c->ack_now)
		return;
	if (unacked >= 2u * c->rcv_mss || (unacked && !c->st->cfg.tune.delayed_ack)) {
		c->ack_now = true;
	} else if (!tcp_guest_done(c) && (c->short_write || left < 2u * c->rcv_mss)) {
		uint32_t room = out_room(c), most = 65535u << c->rcv_wscale;

		if (room > most && !c->short_write)
			room = most; /* more cannot be told; after a short write the ACK itself is the news */
		c->ack_now = room > left && (room >= 2 * left || room - left >= 2u * c->rcv_mss);
	}
	if (c->ack_now)
		c->short_write = false;
	else if (unacked && c->ack_at == TIMERQ_NEVER)
		c->ack_at = now + c->st->cfg.tune.delayed_ack;
}

/* ------------------------------------------------------------------ toward the host */

static void out_consume(struct tcp_conn *c)
{
	if (!c->acked)
		return;
	c->up->ops->consume(c->up, c->acked);
	c->acked = 0;
}

/* What came in order this turn, then what is held behind it; one write() per OUT_GATHER pieces.  Returns bytes taken, or -errno. */
static ssize_t out_write_chain(struct tcp_conn *c)
{
	struct iovec iov[OUT_GATHER];
	const struct tcp_rx *rx = c->rx_head;
	uint32_t at = c->rcv_nxt + c->rx_len, held = 0;
	ssize_t total = 0;

	for (;;) {
		ssize_t want = 0, got;
		int n = 0;

		for (; rx && n < OUT_GATHER; rx = rx->next) {
			want += (ssize_t)rx->iov.iov_len;
			iov[n++] = rx->iov;
		}
		if (!rx && c->ooo.head) {
			n += tcp_ooo_ready(&c->ooo, at, iov + n, OUT_GATHER - n, &held);
			at += held;
			want += held;
		}
		if (!n)
			return total;
		got = c->up->ops->write(c->up, iov, n);
		if (got < 0)
			return got;
		total += got;
		if (got < want)
			return total;
	}
}

/* The host took the first `got` bytes of this turn's payload: the rest, which would come again by the guest's timer alone, is held. */
static void out_write_short(struct tcp_conn *c, uint32_t got)
{
	uint32_t at = c->rcv_nxt;

	reason_count(c->st->drops, R_SHORT_WRITE);
	c->ack_now = true;
	for (const struct tcp_rx *rx = c->rx_head; rx; at += (uint32_t)rx->iov.iov_len, rx = rx->next) {
		uint32_t skip = got < rx->iov.iov_len ? got : (uint32_t)rx->iov.iov_len;

		got -= skip;
		if (!tcp_ooo_add(&c->ooo, &c->st->ooo, at + skip, (const uint8_t *)rx->iov.iov_base + skip, (uint32_t)rx->iov.iov_len - skip))
			return;
	}
}

/* RFC 5681 4.2: the guest hears at once how far it has got. */
static void out_gap_filled(struct tcp_conn *c)
{
	tcp_ooo_drop(&c->ooo, &c->st->ooo, c->rcv_nxt);
	c->ack_now = true;
	c->sack_tell = false;
	c->dups = 0;
}

static void out_guest_fin(struct tcp_conn *c)
{
	c->rx_fin = false;
	c->rcv_nxt++;
	c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt);
	if (c->fin_sent)
		c->ack_now = true; /* nothing follows that could carry it; else it may wait for the far side's answer or FIN */
	tcp_conn_enter(c, c->state == TCP_ESTABLISHED ? TCP_CLOSE_WAIT : TCP_CLOSING);
	c->up->ops->shutdown(c->up);
}

/* Writes this turn's payload and passes the FIN on.  False: the upstream failed and the connection is gone. */
static bool out_write(struct tcp_conn *c, int64_t now)
{
	if (c->rx_len || (c->ooo.head && seq_le(c->ooo.head->seq, c->rcv_nxt))) {
		ssize_t got = out_write_chain(c);

		if (got < 0) {
			tcp_conn_reset(c, out_failure((int)-got), now);
			return false;
		}
		if (got < c->rx_len)
			out_write_short(c, (uint32_t)got);
		c->rx_head = c->rx_tail = NULL;
		c->rx_len = 0;
		c->rcv_nxt += (uint32_t)got;
		c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt);
		c->st->stats.to_host_bytes += (uint64_t)got;
		if (c->ooo.head && got)
			out_gap_filled(c);
		c->short_write |= c->ooo.head && c->ooo.head->seq == c->rcv_nxt;
	}
	if (tcp_rx_fin_next(c))
		out_guest_fin(c);
	return true;
}

/* ------------------------------------------------------------------ toward the guest */

/* Sends up to len bytes that stand at seq; tail: only if they are all that there is.  *ret_sent: bytes that left. */
static enum out_result out_data(struct tcp_conn *c, uint32_t seq, uint32_t len, bool tail, int64_t now, uint32_t *ret_sent)
{
	struct tcp_seg seg = { .has_ts = c->ts_ok };
	uint32_t head_len = tcp_bare_head_len(&c->tuple, &seg);
	uint32_t max = OUT_IP_MAX - (head_len - ETH_HDR_LEN); /* never below one segment: the MTU is smaller than OUT_IP_MAX */
	struct frame_meta meta;
	struct tx_slot slot;
	ssize_t n;

	*ret_sent = 0;
	if (len > max)
		len = max - max % c->mss;
	if (!ip_out_slot(c->st, &slot, head_len, len, c->mss))
		return OUT_FULL;
	n = c->up->ops->peek(c->up, seq - c->snd_una, slot.pl, slot.n_pl);
	if (n == -EAGAIN || (tail && n == (ssize_t)slot.room))
		return OUT_NOTHING;
	if (n < 0) {
		tcp_conn_reset(c, out_failure((int)-n), now);
		return OUT_GONE;
	}
	if (!n)
		return OUT_EOF;
	seg = out_seg(c, seq, (uint32_t)n < slot.room ? TCP_PSH : 0, now);
	meta = tcp_bare_head(c->st, &c->tuple, slot.head, &seg, (uint32_t)n);
	meta.mss = (uint32_t)n > c->mss ? c->mss : 0;
	ip_out_put(c->st, &slot, &meta, (uint32_t)n);
	out_acked(c);
	*ret_sent = (uint32_t)n;
	return OUT_SENT;
}

/* Payload bytes that windows allow beyond snd_nxt. */
static uint32_t out_usable(const struct tcp_conn *c)
{
	uint32_t under_way = c->snd_nxt - c->snd_una, limit = c->snd_wnd, cwnd = c->cwnd + c->extra, max = (uint32_t)c->st->cfg.tune.max_flight;

	for (int i = 0; i < c->sack.n; i++)
		cwnd += c->sack.end[i] - c->sack.start[i];
	if (cwnd < limit)
		limit = cwnd;
	if (max < limit)
		limit = max;
	return limit > under_way ? limit - under_way : 0;
}

static void out_advance(struct tcp_conn *c, uint32_t n, int64_t now)
{
	bool fresh = c->snd_nxt == c->snd_max;

	c->snd_nxt += n;
	c->snd_max = seq_max(c->snd_max, c->snd_nxt);
	if (!fresh)
		c->st->stats.retransmits++;
	tcp_timer_sent(c, c->snd_nxt, fresh, now);
}

static enum out_result out_fin(struct tcp_conn *c, int64_t now)
{
	struct tcp_seg seg = out_seg(c, c->snd_nxt, TCP_FIN, now);

	if (!tcp_bare_send(c->st, &c->tuple, &seg))
		return OUT_FULL;
	out_acked(c);
	out_advance(c, 1, now);
	if (!c->fin_sent) {
		c->fin_sent = true;
		tcp_conn_enter(c, c->state == TCP_ESTABLISHED ? TCP_FIN_WAIT_1 : TCP_LAST_ACK);
	}
	return OUT_NOTHING;
}

/* The window is shut with nothing in flight: is there something that waits behind it?  A FIN alone need not wait. */
static enum out_result out_closed_window(struct tcp_conn *c, int64_t now)
{
	uint8_t byte;
	struct iovec iov = { &byte, 1 };
	ssize_t n;

	if (c->snd_nxt != c->snd_una || c->persist)
		return OUT_NOTHING;
	n = c->up->ops->peek(c->up, 0, &iov, 1);
	if (n > 0)
		tcp_timer_persist(c, now);
	if (n >= 0 || n == -EAGAIN)
		return n ? OUT_NOTHING : OUT_EOF;
	tcp_conn_reset(c, out_failure((int)-n), now);
	return OUT_GONE;
}

/* Silly window avoidance, RFC 9293 3.8.6.2.1: part of a segment waits while something is in flight that will bring an ACK, unless it is
 * all that there is. */
static bool out_is_sliver(const struct tcp_conn *c, uint32_t usable)
{
	return usable < c->mss && usable < c->max_snd_wnd / 2 && c->snd_nxt != c->snd_una;
}

/* Sends new data, or again what a time-out has put behind snd_nxt. */
static enum out_result out_new(struct tcp_conn *c, int64_t now)
{
	uint32_t budget = (uint32_t)c->st->cfg.tune.flush_budget, gap = UINT32_MAX;

	tcp_sack_idle(c, now);
	for (tcp_sack_skip(c, &gap); !(c->fin_sent && c->snd_nxt == c->snd_max); gap = UINT32_MAX, tcp_sack_skip(c, &gap)) {
		uint32_t usable = out_usable(c), most = budget > c->mss ? budget : c->mss, sent = 0;
		bool sliver = out_is_sliver(c, usable);
		enum out_result r;

		if (usable > gap)
			usable = gap;
		if (!budget)
			return OUT_SENT; /* more next turn */
		if (usable > most)
			usable = most;
		if (usable > c->mss)
			usable -= usable % c->mss;
		r = usable ? out_data(c, c->snd_nxt, usable, sliver, now, &sent) : out_closed_window(c, now);
		if (r == OUT_EOF)
			return out_fin(c, now);
		if (r != OUT_SENT)
			return r;
		out_advance(c, sent, now);
		budget -= sent < budget ? sent : budget;
	}
	return OUT_NOTHING;
}

/* Fast retransmission: the holes that acknowledgements have paid for. */
static enum out_result out_holes(struct tcp_conn *c, int64_t now)
{
	uint32_t start, len, sent;
	enum out_result r;

	while (tcp_sack_hole(c, &start, &len)) {
		if (len > c->rtx_credit && len > c->mss)
			len = c->rtx_credit > c->mss ? c->rtx_credit : c->mss;
		r = out_data(c, start, len, false, now, &sent);
		if (r == OUT_EOF && c->fin_sent && start == c->snd_max - 1) { /* the hole is the FIN */
			c->snd_nxt = start;
			r = out_fin(c, now);
			if (r != OUT_FULL)
				tcp_sack_sent_again(c, start, 1);
			return r;
		}
		if (r != OUT_SENT)
			return r;
		tcp_sack_sent_again(c, start, sent);
		tcp_timer_sent(c, start + sent, false, now);
	}
	return OUT_NOTHING;
}

/* A byte behind a closed window, or an old sequence number that wants an answer. */
static enum out_result out_probe(struct tcp_conn *c, int64_t now)
{
	enum out_result r;
	uint32_t sent;

	if (c->rto_at == TIMERQ_NEVER || c->fin_sent) /* keepalive */
		return out_ack(c, c->snd_una - 1, now) ? OUT_NOTHING : OUT_FULL;
	r = out_data(c, c->snd_una, 1, false, now, &sent);
	if (r == OUT_EOF)
		return out_fin(c, now);
	if (r == OUT_SENT && c->snd_nxt == c->snd_una) {
		c->snd_nxt += sent;
		c->snd_max = seq_max(c->snd_max, c->snd_nxt);
	}
	return r == OUT_SENT ? OUT_NOTHING : r;
}

/* ------------------------------------------------------------------ the turn */

/* SYN-ACK; or the SYN of tcp_connect(), whose ack and echoed timestamp are 0. */
static void out_syn(struct tcp_conn *c, int64_t now)
{
	const struct stack_config *cfg = &c->st->cfg;
	uint32_t room = out_room(c);
	struct tcp_seg seg = { .sport = c->tuple.far.port, .dport = c->tuple.guest.port, .seq = c->iss, .ack = c->rcv_nxt,
			       .flags = c->state == TCP_SYN_SENT ? TCP_SYN : TCP_SYN | TCP_ACK, .has_mss = true, .has_wscale = c->rcv_wscale != 0, .wscale = c->rcv_wscale,
			       .sack_permitted = c->sack_ok, .has_ts = c->ts_ok, .tsecr = c->ts_recent };

	seg.mss = (uint16_t)(cfg->link.mtu - ip_wire_hdr_len(out_v6(c)) - TCP_HDR_LEN);
	seg.tsval = (uint32_t)(now / 1000) + c->ts_offset;
	if (room < c->rcv_adv - c->rcv_nxt)
		room = c->rcv_adv - c->rcv_nxt; /* sent again: nothing is taken back */
	seg.window = room < 65535 ? room : 65535; /* never scaled in a SYN, RFC 7323 2.2 */
	if (!tcp_bare_send(c->st, &c->tuple, &seg)) {
		tcp_conn_stall(c, false);
		return;
	}
	c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt + seg.window);
	c->rtx_now = false;
	out_acked(c);
	c->snd_nxt = c->iss;
	out_advance(c, 1, now);
}

static enum out_result out_payload(struct tcp_conn *c, int64_t now)
{
	enum out_result r;

	if (c->probe_now) {
		c->probe_now = false;
		r = out_probe(c, now);
		if (r == OUT_FULL)
			c->probe_now = true; /* asked again when the link has room */
		if (r != OUT_NOTHING)
			return r;
	}
	r = out_holes(c, now);
	return r == OUT_NOTHING ? out_new(c, now) : r;
}

/* Both directions have ended and the guest knows: the guest closes second in CLOSING (2 MSL is ours), first in LAST_ACK. */
static bool out_finished(struct tcp_conn *c, int64_t now)
{
	if (!c->fin_sent || tcp_flight(c) || (c->state != TCP_CLOSING && c->state != TCP_LAST_ACK))
		return false;
	if (c->state == TCP_CLOSING) {
		tcp_tw_add(&c->st->tw,
			   &(struct tcp_tw_entry){ .tuple = c->tuple, .ts_ok = c->ts_ok, .snd_nxt = c->snd_max,
						   .rcv_nxt = c->rcv_nxt, .ts_recent = c->ts_recent, .ts_offset = c->ts_offset },
			   now);
		c->st->stats.time_waits++;
	}
	tcp_conn_gone(c, R_CLOSED);
	return true;
}

void tcp_out_flush(struct tcp_conn *c, int64_t now)
{
	uint64_t frames = c->st->stats.tx_frames;
	enum out_result r;

	c->stalled = false;
	if (tcp_is_opening(c)) {
		if (c->snd_max == c->iss || c->rtx_now)
			out_syn(c, now);
		tcp_timer_rekey(c);
		return;
	}
	out_consume(c);
	if (!out_write(c, now))
		return;
	r = out_payload(c, now);
	if (r == OUT_GONE)
		return;
	out_judge_ack(c, now);
	if (c->ack_now && !out_acks(c, out_ack_seq(c), now))
		r = OUT_FULL;
	if (r == OUT_FULL)
		tcp_conn_stall(c, c->st->stats.tx_frames != frames);
	else if (out_finished(c, now))
		return;
	else if (r == OUT_SENT)
		tcp_conn_touch(c);
	tcp_timer_rekey(c);
}
