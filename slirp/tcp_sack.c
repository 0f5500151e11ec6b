/* tcp_sack.c - the scoreboard and the congestion window.  See tcp_sack.h. */
#include "slirp/tcp_sack.h"

#include "slirp/stack_state.h"
#include "slirp/tcp_state.h"
#include "slirp/wire/l4_wire.h"

enum {
	SACK_DUP_THRESH = 3,
	SACK_LIMITED = 2,	  /* segments of limited transmit, RFC 3042 */
	SACK_INITIAL_WINDOW = 10, /* segments, RFC 6928 */
};

static uint32_t sack_least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ------------------------------------------------------------------ scoreboard */

/* Inserts [start, end), merging what touches.  A full board forgets the highest range: the guest will tell again. */
static void sack_insert(struct tcp_sack *b, uint32_t start, uint32_t end)
{
	int i = 0, j;

	while (i < b->n && seq_lt(b->end[i], start))
		i++;
	for (j = i; j < b->n && seq_le(b->start[j], end); j++) {
		start = seq_min(start, b->start[j]);
		end = seq_max(end, b->end[j]);
	}
	if (j == i) { /* nothing merged: make room */
		if (i == TCP_SACK_BOARD)
			return;
		if (b->n == TCP_SACK_BOARD)
			b->n--;
		for (int k = b->n; k > i; k--) {
			b->start[k] = b->start[k - 1];
			b->end[k] = b->end[k - 1];
		}
		b->n++;
	} else {
		for (int k = i + 1, from = j; from < b->n; k++, from++) {
			b->start[k] = b->start[from];
			b->end[k] = b->end[from];
		}
		b->n -= j - i - 1;
	}
	b->start[i] = start;
	b->end[i] = end;
}

/* Forgets what lies below snd_una. */
static void sack_prune(struct tcp_conn *c)
{
	struct tcp_sack *b = &c->sack;
	int gone = 0;

	while (gone < b->n && seq_le(b->end[gone], c->snd_una))
		gone++;
	for (int i = gone; i < b->n; i++) {
		b->start[i - gone] = b->start[i];
		b->end[i - gone] = b->end[i];
	}
	b->n -= gone;
	if (b->n && seq_lt(b->start[0], c->snd_una))
		b->start[0] = c->snd_una;
}

static uint32_t sack_bytes(const struct tcp_sack *b)
{
	uint32_t n = 0;

	for (int i = 0; i < b->n; i++)
		n += b->end[i] - b->start[i];
	return n;
}

/* ------------------------------------------------------------------ recovery */

void tcp_sack_begin(struct tcp_conn *c, bool syn_lost)
{
	if (c->st->cfg.link.lossless)
		c->cwnd = INT32_MAX;
	else
		c->cwnd = (syn_lost ? 1 : SACK_INITIAL_WINDOW) * (uint32_t)c->mss; /* RFC 5681 3.1 */
}

void tcp_sack_idle(struct tcp_conn *c, int64_t now)
{
	if (!c->st->cfg.link.lossless && !tcp_flight(c) && now - c->progress_at > c->rto) /* RFC 5681 4.1 */
		c->cwnd = sack_least(c->cwnd, SACK_INITIAL_WINDOW * (uint32_t)c->mss);
}

static void sack_enter_recovery(struct tcp_conn *c)
{
	uint32_t half = tcp_flight(c) / 2, floor = 2u * c->mss;

	c->in_recovery = true;
	c->recover = c->snd_max;
	c->ssthresh = half > floor ? half : floor;
	c->cwnd = c->ssthresh;
	c->rtx_next = c->snd_una;
	c->rtx_credit = c->mss;
	c->rtx_lost = false;
	c->extra = c->sack_ok ? 0 : SACK_DUP_THRESH * (uint32_t)c->mss;
	c->rtt_at = 0; /* Karn */
}

/* The first hole was sent again, what was sent after that has come, and still it is a hole: lost twice.  Without this only the time-out
 * would find it; RFC 8985 has the idea. */
static void sack_judge_rtx(struct tcp_conn *c)
{
	const struct tcp_sack *b = &c->sack;

	if (!c->in_recovery || !b->n || !seq_lt(c->snd_una, c->rtx_next))
		return;
	c->rtx_lost |= seq_lt(c->rtx_mark + SACK_DUP_THRESH * (uint32_t)c->mss, b->end[b->n - 1]);
	if (c->rtx_lost && !c->rtx_credit)
		c->rtx_credit = c->mss;
}

void tcp_sack_take(struct tcp_conn *c, const struct tcp_seg *seg)
{
	uint32_t before = sack_bytes(&c->sack), after;

	for (int i = 0; i < seg->n_sack; i++) {
		uint32_t start = seg->sack[i].start, end = seg->sack[i].end;

		if (seq_lt(start, end) && seq_lt(c->snd_una, start) && seq_le(end, c->snd_max))
			sack_insert(&c->sack, start, end);
	}
	after = sack_bytes(&c->sack);
	if (c->in_recovery && after > before)
		c->rtx_credit += after - before;
	else if (!c->in_recovery && !c->timed_out && after > (SACK_DUP_THRESH - 1) * (uint32_t)c->mss) /* RFC 6675 4, IsLost() */
		sack_enter_recovery(c);
	sack_judge_rtx(c);
}

void tcp_sack_dup_ack(struct tcp_conn *c)
{
	if (c->in_recovery) {
		c->rtx_credit += c->mss;
		if (!c->sack_ok)
			c->extra += c->mss; /* each tells of a segment that has left the link */
		return;
	}
	if (c->timed_out)
		return; /* RFC 6582 4: what was sent twice comes back as duplicates */
	if (++c->dupacks == SACK_DUP_THRESH)
		sack_enter_recovery(c);
	else if (!c->sack_ok && c->dupacks <= SACK_LIMITED)
		c->extra += c->mss; /* RFC 3042; with SACK the board pays */
}

/* RFC 5681 3.1: slow start below ssthresh, one segment per window above; counted in bytes, but not behind a time-out (RFC 3465 2.3). */
static void sack_grow(struct tcp_conn *c, uint32_t bytes)
{
	uint32_t step;

	if (c->timed_out)
		bytes = sack_least(bytes, c->mss);
	step = c->cwnd < c->ssthresh ? bytes : (uint32_t)((uint64_t)bytes * c->mss / (c->cwnd ? c->cwnd : 1));

	if (c->cwnd < INT32_MAX - step)
		c->cwnd += step;
}

void tcp_sack_acked(struct tcp_conn *c, uint32_t bytes)
{
	c->dupacks = 0;
	sack_prune(c);
	if (!c->in_recovery) {
		c->extra = 0;
		sack_grow(c, bytes);
		c->timed_out = c->timed_out && seq_lt(c->snd_una, c->recover);
		return;
	}
	if (seq_le(c->recover, c->snd_una)) {
		c->in_recovery = false;
		c->cwnd = c->st->cfg.link.lossless ? INT32_MAX : c->ssthresh; /* such a link has no congestion to remember */
		c->extra = 0;
		return;
	}
	if (!c->sack_ok) /* RFC 6582 3.2 step 3 */
		c->extra = c->extra - sack_least(c->extra, bytes) + (bytes >= c->mss ? c->mss : 0);
	c->rtx_lost = false;
	c->rtx_mark = c->snd_max; /* the new first hole was sent again before now, if at all */
	/* partial acknowledgement: the next hole starts right here (RFC 6582 3.2) */
	c->rtx_next = c->sack.n ? seq_max(c->rtx_next, c->snd_una) : c->snd_una;
	c->rtx_credit += bytes > c->mss ? bytes : c->mss;
}

void tcp_sack_timeout(struct tcp_conn *c)
{
	uint32_t half = tcp_flight(c) / 2, floor = 2u * c->mss;

	if (c->st->cfg.link.lossless)
		c->ssthresh = INT32_MAX;
	else if (!c->backoff)
		c->ssthresh = half > floor ? half : floor;
	c->cwnd = c->mss;
	c->in_recovery = c->rtx_lost = false;
	c->timed_out = true;
	c->recover = c->snd_max;
	c->dupacks = 0;
	c->extra = 0;
	c->sack.n = 0; /* RFC 2018 8: the guest may have thrown it away */
	c->snd_nxt = c->snd_una;
	c->rtt_at = 0;
}

bool tcp_sack_hole(const struct tcp_conn *c, uint32_t *ret_start, uint32_t *ret_len)
{
	const struct tcp_sack *b = &c->sack;
	uint32_t at = c->rtx_lost ? c->snd_una : seq_max(c->rtx_next, c->snd_una);

	if (!c->in_recovery || !c->rtx_credit)
		return false;
	if (!b->n) { /* NewReno: the segment at snd_una, once per partial acknowledgement */
		if (at != c->snd_una || !seq_lt(at, c->recover))
			return false;
		*ret_start = at;
		*ret_len = seq_min(c->snd_una + c->mss, c->snd_max) - at;
		return true;
	}
	for (int i = 0; i < b->n; i++) {
		if (seq_lt(at, b->start[i])) {
			*ret_start = at;
			*ret_len = b->start[i] - at;
			return true;
		}
		at = seq_max(at, b->end[i]);
	}
	return false; /* above the highest range nothing is known to be lost */
}

void tcp_sack_skip(struct tcp_conn *c, uint32_t *len)
{
	const struct tcp_sack *b = &c->sack;

	for (int i = 0; i < b->n && seq_lt(c->snd_nxt, c->snd_max); i++) {
		if (seq_lt(c->snd_nxt, b->start[i])) {
			*len = sack_least(*len, b->start[i] - c->snd_nxt);
			return;
		}
		c->snd_nxt = seq_max(c->snd_nxt, b->end[i]);
	}
}

void tcp_sack_sent_again(struct tcp_conn *c, uint32_t start, uint32_t len)
{
	if (start == c->snd_una) {
		c->rtx_mark = c->snd_max;
		c->rtx_lost = false;
	}
	c->rtx_next = seq_max(c->rtx_next, start + len);
	c->rtx_credit -= len < c->rtx_credit ? len : c->rtx_credit;
	c->st->stats.retransmits++;
}
