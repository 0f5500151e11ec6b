/* tcp_timer.c - time passes for a connection.  See tcp_timer.h. */
#include "slirp/tcp_timer.h"

#include "slirp/stack_state.h"
#include "slirp/tcp_sack.h"
#include "slirp/tcp_state.h"

enum { TIMER_LAST_WORD = 3000000 }; /* microseconds */

static int64_t timer_min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t timer_rto(const struct tcp_conn *c)
{
	const struct stack_tunables *t = &c->st->cfg.tune;
	int64_t rto = c->rto;

	for (int i = 0; i < c->backoff && rto < t->rto_max; i++)
		rto *= 2;
	return rto < t->rto_max ? rto : t->rto_max;
}

/* When the guest was last heard, or when we last gave it something to answer. */
static int64_t timer_heard_at(const struct tcp_conn *c)
{
	return c->rx_at > c->progress_at ? c->rx_at : c->progress_at;
}

/* Half-closed, or the host runs short of room: 30 s instead of two hours. */
static bool timer_hurried(const struct tcp_conn *c)
{
	return tcp_half_closed(c) || c->st->pressure;
}

/* Silence from before the pressure counts for nothing. */
static int64_t timer_hurried_from(const struct tcp_conn *c)
{
	return tcp_half_closed(c) || c->rx_at > c->st->pressure_at ? c->rx_at : c->st->pressure_at;
}

/* Next keepalive probe, or the end of a connection that answers none. */
static int64_t timer_keepalive(const struct tcp_conn *c)
{
	const struct stack_tunables *t = &c->st->cfg.tune;

	if (timer_hurried(c))
		return timer_hurried_from(c) + t->half_close_probe * (c->probes + 1);
	return c->rx_at + t->keepalive + t->keepalive_probe * c->probes;
}

/* When a guest that answers nothing is given up.  Retransmissions back off: the last one may be most of a minute old, and the guest's link back
 * since.  So it is asked once more at that moment, and has TIMER_LAST_WORD to answer. */
static int64_t timer_silent_end(const struct tcp_conn *c)
{
	int64_t heard = timer_heard_at(c);

	if (c->last_word_at > heard)
		return c->last_word_at + TIMER_LAST_WORD;
	return heard + c->st->cfg.tune.silent_timeout;
}

int64_t tcp_timer_deadline(const struct tcp_conn *c)
{
	const struct stack_tunables *t = &c->st->cfg.tune;
	int64_t at = timer_min(c->rto_at, c->ack_at);

	if (tcp_is_opening(c))
		return timer_min(at, c->opened_at + t->handshake_timeout);
	if (c->rto_at != TIMERQ_NEVER)
		return timer_min(at, timer_silent_end(c));
	return timer_min(at, timer_keepalive(c));
}

void tcp_timer_rekey(struct tcp_conn *c)
{
	int64_t at = tcp_timer_deadline(c);

	if (c->state == TCP_CLOSED || c->state == TCP_HELD)
		return;
	if (!c->timer.slot || at < c->timer.at)
		timerq_set(&c->st->timers, &c->timer, at);
}

void tcp_timer_acked(struct tcp_conn *c, int64_t now)
{
	const struct stack_tunables *t = &c->st->cfg.tune;

	c->backoff = 0;
	c->persist = false;
	c->progress_at = now;
	if (c->rtt_at && seq_le(c->rtt_seq, c->snd_una)) {
		int64_t rtt = now - c->rtt_at, delta = c->srtt - rtt;

		if (rtt < 1)
			rtt = 1;
		if (!c->srtt) { /* RFC 6298 2.2 */
			c->srtt = rtt;
			c->rttvar = rtt / 2;
		} else { /* 2.3 */
			c->rttvar = (3 * c->rttvar + (delta < 0 ? -delta : delta)) / 4;
			c->srtt = (7 * c->srtt + rtt) / 8;
		}
		c->rto = c->srtt + 4 * c->rttvar;
		if (c->rto < t->rto_min)
			c->rto = t->rto_min;
		c->rtt_at = 0;
	}
	c->rto_at = tcp_flight(c) ? now + timer_rto(c) : TIMERQ_NEVER; /* 5.2, 5.3 */
}

void tcp_timer_sent(struct tcp_conn *c, uint32_t new_end, bool fresh, int64_t now)
{
	if (fresh && !c->rtt_at) {
		c->rtt_at = now;
		c->rtt_seq = new_end;
	}
	if (c->rto_at == TIMERQ_NEVER || c->persist) {
		c->rto_at = now + timer_rto(c); /* 5.1 */
		c->progress_at = now;
		c->persist = false;
	}
}

void tcp_timer_persist(struct tcp_conn *c, int64_t now)
{
	if (c->persist)
		return;
	c->persist = true;
	c->progress_at = now;
	c->rto_at = now + timer_rto(c);
}

void tcp_timer_window_open(struct tcp_conn *c, int64_t now)
{
	if (!c->persist)
		return;
	c->persist = false;
	c->backoff = 0;
	c->snd_nxt = c->snd_una;
	c->rto_at = tcp_flight(c) ? now + timer_rto(c) : TIMERQ_NEVER;
}

/* The retransmission timer has fired: RFC 6298 5.4 to 5.7; with a closed window it is the probe of RFC 9293 3.8.6.1. */
static void timer_on_rto(struct tcp_conn *c, int64_t now)
{
	c->st->stats.rto_events++;
	if (!tcp_is_opening(c) && (c->persist || !c->snd_wnd)) {
		c->probe_now = true;
		c->rtt_at = 0;
	} else {
		tcp_sack_timeout(c);
		c->rtx_now = true;
	}
	if (c->backoff < 16)
		c->backoff++;
	c->rto_at = now + timer_rto(c);
	tcp_conn_touch(c);
}

static bool timer_on_keepalive(struct tcp_conn *c, int64_t now)
{
	const struct stack_tunables *t = &c->st->cfg.tune;
	int64_t end = timer_hurried(c) ? timer_hurried_from(c) + t->half_close_timeout : c->rx_at + t->keepalive + t->silent_timeout;

	if (now >= end && c->probes) {
		tcp_conn_drop(c, tcp_half_closed(c) ? R_HALF_CLOSE_TIMEOUT : R_GUEST_SILENT, now);
		return false;
	}
	c->probes++;
	c->probe_now = true;
	tcp_conn_touch(c);
	return true;
}

void tcp_timer_expire(struct tcp_conn *c, int64_t now)
{
	const struct stack_tunables *t = &c->st->cfg.tune;

	if (tcp_is_opening(c) && now >= c->opened_at + t->handshake_timeout) {
		tcp_conn_drop(c, c->state == TCP_SYN_SENT ? R_CONNECT_TIMEOUT : R_HANDSHAKE_TIMEOUT, now);
		return;
	}
	if (c->rto_at != TIMERQ_NEVER && !tcp_is_opening(c) && now >= timer_silent_end(c)) {
		if (c->last_word_at > timer_heard_at(c)) {
			tcp_conn_drop(c, R_GUEST_SILENT, now);
			return;
		}
		c->last_word_at = now;
		timer_on_rto(c, now);
	} else if (now >= c->rto_at) {
		timer_on_rto(c, now);
	} else if (c->rto_at == TIMERQ_NEVER && !tcp_is_opening(c) && now >= timer_keepalive(c)) {
		if (!timer_on_keepalive(c, now))
			return;
	}
	if (now >= c->ack_at) {
		c->ack_at = TIMERQ_NEVER; /* a deadline that stays in the past would come back in this very expiry */
		c->ack_now = true;
		tcp_conn_touch(c);
	}
	tcp_timer_rekey(c);
}
