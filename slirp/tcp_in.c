/* tcp_in.c - a TCP segment arrives.  See tcp_in.h.
 *
 * Steps in the order of RFC 9293 3.10.7.4: sequence, RST, SYN, ACK, text, FIN.  Nothing is sent or written here: the connection is
 * touched and tcp_out_flush() does both at the end of the turn.  Payload is queued by reference (tcp_rx.h).
 */
#include "slirp/tcp_in.h"

#include "slirp/stack_state.h"
#include "slirp/tcp_connect.h"
#include "slirp/tcp_open.h"
#include "slirp/tcp_bare.h"
#include "slirp/tcp_sack.h"
#include "slirp/tcp_state.h"
#include "slirp/tcp_timer.h"

enum {
	IN_CHALLENGE_CONN = 5000000, /* microseconds: the windows of challenge_conn_max and challenge_max */
	IN_CHALLENGE_ALL = 1000000,
};

/* Sequence numbers that a segment occupies. */
static uint32_t in_seg_span(const struct tcp_seg *seg)
{
	return seg->len + !!(seg->flags & TCP_SYN) + !!(seg->flags & TCP_FIN);
}

static enum reason in_ack_and(struct tcp_conn *c, enum reason r)
{
	c->ack_now = true;
	tcp_conn_touch(c);
	return r;
}

/* One window of time after the other, of which each has `max`. */
static bool in_challenge_room(int64_t *at, uint32_t used, int64_t max, int64_t window, int64_t now, bool *ret_fresh)
{
	*ret_fresh = !*at || now - *at >= window;
	if (*ret_fresh)
		*at = now;
	return *ret_fresh || used < max;
}

/* RFC 5961 7: a challenge ACK, unless too many have left lately, here or in all. */
static enum reason in_challenge(struct tcp_conn *c, enum reason r, int64_t now)
{
	struct stack *st = c->st;
	bool fresh, fresh_all;

	if (!in_challenge_room(&c->challenge_at, c->challenges, st->cfg.tune.challenge_conn_max, IN_CHALLENGE_CONN, now, &fresh))
		return R_TCP_CHALLENGE_LIMIT;
	if (fresh)
		c->challenges = 0;
	if (!in_challenge_room(&st->challenge_at, st->challenges, st->cfg.tune.challenge_max, IN_CHALLENGE_ALL, now, &fresh_all))
		return R_TCP_CHALLENGE_LIMIT;
	if (fresh_all)
		st->challenges = 0;
	c->challenges++;
	st->challenges++;
	return in_ack_and(c, r);
}

/* ------------------------------------------------------------------ no connection */

/* RFC 9293 3.10.7.1 */
static enum reason in_stray(struct stack *st, const struct tuple *t, const struct tcp_seg *seg)
{
	if (seg->flags & TCP_RST)
		return R_TCP_RST_NO_CONN;
	if (seg->flags & TCP_ACK)
		tcp_bare_segment(st, t, seg->ack, 0, TCP_RST);
	else
		tcp_bare_segment(st, t, 0, seg->seq + in_seg_span(seg), TCP_RST | TCP_ACK);
	return R_TCP_NO_CONN;
}

/* RFC 6191 and RFC 1122 4.2.2.13: may this SYN end the time-wait early? */
static bool in_tw_newer(const struct tcp_tw_entry *e, const struct tcp_seg *seg)
{
	if (e->ts_ok && seg->has_ts && seg->tsval != e->ts_recent)
		return seq_lt(e->ts_recent, seg->tsval);
	return seq_lt(e->rcv_nxt, seg->seq);
}

static enum reason in_time_wait(struct stack *st, struct tcp_tw_entry *e, const struct tcp_seg *seg, int64_t now)
{
	if (seg->flags & TCP_RST)
		return R_TCP_RST_NO_CONN; /* RFC 1337 */
	if (e->ts_ok && seg->has_ts && seq_lt(e->ts_recent, seg->tsval) && seq_le(seg->seq, e->rcv_nxt))
		e->ts_recent = seg->tsval;
	tcp_bare_time_wait(st, e, now);
	return seg->flags & TCP_SYN ? R_TCP_SYN_IN_WINDOW : R_ACCEPTED;
}

static enum reason in_no_conn(struct stack *st, const struct tuple *t, const struct tcp_seg *seg, int64_t now)
{
	bool first_syn = (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
	struct tcp_tw_entry *e = tcp_tw_find(&st->tw, t, stack_hash(st, t), now);

	if (e && !(first_syn && in_tw_newer(e, seg)))
		return in_time_wait(st, e, seg, now);
	if (e)
		tcp_tw_remove(&st->tw, e);
	if (first_syn)
		return tcp_open_syn(st, t, seg, now);
	if (seg->flags & TCP_SYN && !(seg->flags & (TCP_ACK | TCP_RST)))
		return R_TCP_FLAGS; /* SYN with FIN */
	return in_stray(st, t, seg);
}

static enum reason in_held(struct tcp_conn *c, const struct tuple *t, const struct tcp_seg *seg, int64_t now)
{
	struct stack *st = c->st;

	if (seg->flags & TCP_RST) {
		if (seg->seq != c->irs && seg->seq != c->irs + 1)
			return R_TCP_RST_WINDOW;
		tcp_conn_gone(c, R_GUEST_RESET);
		return R_ACCEPTED;
	}
	if ((seg->flags & (TCP_SYN | TCP_ACK | TCP_FIN)) != TCP_SYN)
		return R_TCP_HELD_SEGMENT;
	if (seg->seq == c->irs)
		return R_TCP_DUP_SYN;
	tcp_conn_gone(c, R_GUEST_RESET); /* the guest has given up on the old SYN and uses the port again */
	return tcp_open_syn(st, t, seg, now);
}

/* ------------------------------------------------------------------ sequence, RST, SYN */

static enum reason in_rst(struct tcp_conn *c, const struct tcp_seg *seg, int64_t now)
{
	/* RFC 5961 3.2: only an exact hit resets; what is queued for this turn counts as received */
	if (seg->seq == tcp_rcv_next(c) || seg->seq == c->rcv_nxt) {
		c->up->ops->abort(c->up);
		tcp_conn_gone(c, R_GUEST_RESET);
		return R_ACCEPTED;
	}
	if (seq_lt(c->rcv_nxt, seg->seq) && seq_le(seg->seq, tcp_rcv_edge(c)))
		return in_challenge(c, R_TCP_RST_WINDOW, now);
	return R_TCP_RST_WINDOW;
}

static enum reason in_syn(struct tcp_conn *c, const struct tcp_seg *seg, int64_t now)
{
	if (c->state == TCP_SYN_RECEIVED && seg->seq == c->irs && !(seg->flags & TCP_ACK)) {
		c->rtx_now = true; /* our SYN-ACK was lost */
		tcp_conn_touch(c);
		return R_ACCEPTED;
	}
	return in_challenge(c, R_TCP_SYN_IN_WINDOW, now); /* RFC 5961 4.2 */
}

static enum reason in_sequence(struct tcp_conn *c, const struct tcp_seg *seg)
{
	uint32_t end = seg->seq + in_seg_span(seg), edge = tcp_rcv_edge(c);

	/* RFC 9293 3.10.7.4: valid ACKs count while our window is shut.  A guest that probes with new data (RFC 1122 4.2.2.17) stands one
	 * byte beyond it from then on, with everything it acknowledges. */
	if (c->rcv_adv == c->rcv_nxt)
		edge++;
	if (c->ts_ok && seg->has_ts) {
		if (seq_lt(seg->tsval, c->ts_recent))
			return in_ack_and(c, R_TCP_PAWS);
		if (seq_le(seg->seq, c->ack_sent))
			c->ts_recent = seg->tsval;
	}
	if (seq_lt(end, c->ack_sent) || seq_lt(edge, seg->seq))
		return in_ack_and(c, R_TCP_WINDOW);
	return R_ACCEPTED;
}

/* ------------------------------------------------------------------ ACK */

static void in_window(struct tcp_conn *c, const struct tcp_seg *seg, int64_t now)
{
	if (seq_lt(seg->ack, c->snd_una))
		return; /* SND.UNA =< SEG.ACK: an old segment's window counts from where that one stood */
	/* an ACK of new data is the newest there is, whatever SND.WL1 says: a retransmission may have a smaller number than what came before */
	if (seg->ack == c->snd_una && !seq_lt(c->snd_wl1, seg->seq) && !(c->snd_wl1 == seg->seq && seq_le(c->snd_wl2, seg->ack)))
		return;
	if (!c->snd_wnd && seg->window)
		tcp_timer_window_open(c, now);
	c->snd_wnd = seg->window << c->snd_wscale;
	c->snd_wl1 = seg->seq;
	c->snd_wl2 = seg->ack;
	if (c->snd_wnd > c->max_snd_wnd)
		c->max_snd_wnd = c->snd_wnd;
}

static void in_fin_acked(struct tcp_conn *c)
{
	if (c->state == TCP_FIN_WAIT_1)
		tcp_conn_enter(c, TCP_FIN_WAIT_2);
	/* CLOSING and LAST_ACK end at the flush, when the last acknowledged bytes have been consumed */
}

static void in_ack_new(struct tcp_conn *c, uint32_t ack, int64_t now)
{
	uint32_t bytes = ack - c->snd_una;
	bool fin_acked = c->fin_sent && ack == c->snd_max;

	if (fin_acked)
		bytes--;
	c->acked += bytes;
	c->st->stats.to_guest_bytes += bytes;
	c->snd_una = ack;
	c->snd_nxt = seq_max(c->snd_nxt, ack);
	tcp_timer_acked(c, now);
	tcp_sack_acked(c, bytes);
	if (fin_acked)
		in_fin_acked(c);
}

static bool in_is_dup_ack(const struct tcp_conn *c, const struct tcp_seg *seg, uint32_t window_before)
{
	/* an answer to a window probe is none */
	return seg->ack == c->snd_una && !seg->len && !(seg->flags & TCP_FIN) && tcp_flight(c) && c->snd_wnd && c->snd_wnd == window_before;
}

static enum reason in_ack(struct tcp_conn *c, const struct tcp_seg *seg, int64_t now)
{
	uint32_t window_before = c->snd_wnd;

	if (c->state == TCP_SYN_RECEIVED) {
		if (!seq_lt(c->snd_una, seg->ack) || seq_lt(c->snd_max, seg->ack)) {
			tcp_bare_segment(c->st, &c->tuple, seg->ack, 0, TCP_RST);
			return R_TCP_ACK_FUTURE;
		}
		tcp_conn_enter(c, TCP_ESTABLISHED);
		c->snd_una = seg->ack; /* our SYN */
		c->snd_nxt = seq_max(c->snd_nxt, seg->ack); /* a time-out may have put it back */
		if (c->backoff)
			tcp_sack_begin(c, true);
		tcp_timer_acked(c, now);
	}
	if (seq_lt(c->snd_max, seg->ack))
		return in_challenge(c, R_TCP_ACK_FUTURE, now);
	if (seq_lt(seg->ack, c->snd_una - c->max_snd_wnd)) /* RFC 5961 5.2 */
		return in_challenge(c, R_TCP_ACK_OLD, now);
	in_window(c, seg, now);
	if (c->sack_ok && seg->n_sack)
		tcp_sack_take(c, seg);
	if (seq_lt(c->snd_una, seg->ack))
		in_ack_new(c, seg->ack, now);
	else if (in_is_dup_ack(c, seg, window_before))
		tcp_sack_dup_ack(c);
	tcp_conn_touch(c);
	return R_ACCEPTED;
}

/* ------------------------------------------------------------------ text, FIN */

/* Queues the bytes [skip, skip + len) of the payload for the flush. */
static enum reason in_queue(struct tcp_conn *c, const struct payload *payload, uint32_t skip, uint32_t len)
{
	struct tcp_rx_pool *pool = &c->st->rx;
	struct iovec iov[PAYLOAD_PIECES];
	int n = payload_pieces(payload, skip, len, iov, PAYLOAD_PIECES);

	if (n < 0 || pool->used + (uint32_t)n > TCP_RX_POOL)
		return in_ack_and(c, R_TURN_FULL);
	for (int i = 0; i < n; i++) {
		struct tcp_rx *rx = &pool->piece[pool->used++];

		rx->iov = iov[i];
		rx->next = NULL;
		if (c->rx_head)
			c->rx_tail->next = rx;
		else
			c->rx_head = rx;
		c->rx_tail = rx;
	}
	c->rx_len += len;
	return R_ACCEPTED;
}

/* Copies the bytes [skip, skip + len) of the payload, which stand at seq, ahead of a gap.  The ACK for it leaves at once, RFC 5681 4.2. */
static enum reason in_hold(struct tcp_conn *c, const struct payload *payload, uint32_t skip, uint32_t seq, uint32_t len)
{
	struct iovec iov[PAYLOAD_PIECES];
	int n = payload_pieces(payload, skip, len, iov, PAYLOAD_PIECES);
	uint32_t at = seq;
	bool all = n >= 0;

	for (int i = 0; i < n && all; i++) {
		all = tcp_ooo_add(&c->ooo, &c->st->ooo, at, iov[i].iov_base, (uint32_t)iov[i].iov_len);
		at += (uint32_t)iov[i].iov_len;
	}
	tcp_ooo_news(&c->ooo, seq);
	c->sack_tell = true;
	c->dups += c->dups < UINT8_MAX;
	return in_ack_and(c, all ? R_ACCEPTED : R_TCP_OUT_OF_ORDER);
}

static enum reason in_text(struct tcp_conn *c, const struct tcp_seg *seg, const struct payload *payload, uint16_t gso_size)
{
	uint32_t next = tcp_rcv_next(c), start = seq_max(seg->seq, next), end = seg->seq + seg->len, edge = tcp_rcv_edge(c);
	enum reason r;

	if (tcp_guest_done(c))
		return in_ack_and(c, R_TCP_WINDOW);
	if (seq_le(end, next))
		return in_ack_and(c, R_ACCEPTED); /* all of it has come before */
	if (c->rx_fin)
		edge = seq_min(edge, c->rx_fin_seq);
	if (seq_lt(edge, end)) {
		c->ack_now = true;
		end = edge;
		if (!seq_lt(start, end))
			return in_ack_and(c, R_TCP_WINDOW);
	}
	if (start != next)
		return in_hold(c, payload, start - seg->seq, start, end - start);
	r = in_queue(c, payload, start - seg->seq, end - start);
	if (r)
		return r;
	if (gso_size ? gso_size > c->rcv_mss : seg->len > c->rcv_mss)
		c->rcv_mss = gso_size ? gso_size : (uint16_t)seg->len;
	tcp_conn_touch(c);
	return R_ACCEPTED;
}

static void in_fin(struct tcp_conn *c, const struct tcp_seg *seg)
{
	uint32_t at = seg->seq + seg->len, next = tcp_rcv_next(c);

	if (tcp_guest_done(c) || c->rx_fin || seq_lt(at, next) || (at != next && seq_lt(tcp_rcv_edge(c), at))) {
		c->ack_now = true; /* it came before, or comes again */
	} else {
		c->rx_fin = true;
		c->rx_fin_seq = at;
		c->ack_now |= at != next;
		tcp_ooo_cut(&c->ooo, &c->st->ooo, at); /* nothing stands behind a FIN */
	}
	tcp_conn_touch(c);
}

/* ------------------------------------------------------------------ the order */

enum reason tcp_in_segment(struct stack *st, const struct tuple *t, const struct tcp_seg *seg, const struct payload *payload,
			   uint16_t gso_size, int64_t now)
{
	struct tcp_conn *c = tcp_conn_find(st, t);
	enum reason r;

	if (!c)
		return in_no_conn(st, t, seg, now);
	if (c->state == TCP_HELD)
		return in_held(c, t, seg, now);
	if (c->state == TCP_SYN_SENT)
		return tcp_connect_in(c, seg, now);
	if (seg->flags & TCP_RST)
		return in_rst(c, seg, now);
	if (seg->flags & TCP_SYN)
		return in_syn(c, seg, now);
	if (!(seg->flags & TCP_ACK))
		return R_TCP_FLAGS;
	c->rx_at = now; /* also an old sequence number, a keepalive for one, shows that the guest is there */
	c->probes = 0;
	r = in_sequence(c, seg);
	if (r)
		return r;
	r = in_ack(c, seg, now);
	if (!r && seg->len)
		r = in_text(c, seg, payload, gso_size);
	if (!r && seg->flags & TCP_FIN)
		in_fin(c, seg);
	tcp_timer_rekey(c);
	return r;
}
