/* guest.c - a small TCP of its own for the guest: what arrives, what time does, what the application does.
 *
 * Written against the RFCs and not against the core: RFC 9293 3.10.7, 5681 (slow start, fast retransmit), 6298 (one sample at a time),
 * 2018, 7323, 5961.  It judges what the gateway sends: bytes by position, acknowledgements, windows.
 * Below: guest_out.c.  Above: sim.c.
 */
#include "tests/sim/sim.h"

#include <string.h>

enum { GUEST_RTO_MIN = 200 * SIM_MS, GUEST_ALIVE = 20 * SIM_S, GUEST_WRITES = 2000 };

static bool lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static bool le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void guest_init(struct guest *g, struct sim_conn *c, uint16_t port, bool busy)
{
	struct sim *s = c->sim;
	static const uint32_t totals[] = { 0, 1, 500, 5000, 60000, 200000 };
	static const uint32_t bufs[] = { 600, 3000, 16000, 65535, 300000 };

	*g = (struct guest){ .sim = s, .conn = c, .port = port };
	g->open_at = s->now + sim_time(s, 0, 300 * SIM_MS);
	g->abort_at = sim_chance(s, 60) ? s->now + sim_time(s, 0, 3 * SIM_S) : SIM_NEVER;
	g->rto_at = g->ack_at = g->read_at = g->write_at = g->alive_at = SIM_NEVER;
	g->want_ts = sim_chance(s, 500);
	g->want_sack = sim_chance(s, 600);
	g->want_wscale = sim_chance(s, 700);
	g->wscale = (uint8_t)sim_rand(s, 10);
	g->keeps_order = sim_chance(s, 800);
	g->silly = sim_chance(s, 150);
	g->nagle = sim_chance(s, 300);
	g->counts_dups = sim_chance(s, 500);
	g->mss_in = sim_chance(s, 50) ? 0 : (uint16_t)(sim_chance(s, 700) ? s->cfg.link.mtu - 60u : 200 + sim_rand(s, 3000));
	g->rcv_buf = bufs[sim_rand(s, G_N_ELEMENTS(bufs))];
	g->read_max = sim_chance(s, 600) ? g->rcv_buf : 300 + sim_rand(s, g->rcv_buf);
	g->read_gap = sim_chance(s, 600) ? 1 : sim_time(s, 1, 100 * SIM_MS);
	g->total = sim_rand(s, totals[sim_rand(s, G_N_ELEMENTS(totals))] + 1);
	g->write_max = sim_chance(s, 500) ? g->total + 1 : 1 + sim_rand(s, 20000);
	g->write_gap = sim_chance(s, 500) ? 0 : 20 * SIM_MS;
	g->write_max = MAX(g->write_max, g->total / GUEST_WRITES);
	g->super = busy && s->to_core.faults.lose == 0 && sim_chance(s, 300) ? 1 + sim_rand(s, 20) : 1;
	g->ack_every = 1 + sim_rand(s, 4);
	g->ack_delay = sim_chance(s, 500) ? 0 : sim_time(s, 0, 200 * SIM_MS);
	g->close_last = sim_chance(s, 400);
	g->alive_gap = sim_chance(s, 200) ? 1800ll * SIM_S : GUEST_ALIVE;
	g->idle = sim_chance(s, 30) ? sim_time(s, 0, 3ll * 3600 * SIM_S) : 0;
	if (g->super > 1 && g->super * (uint32_t)s->cfg.link.mtu > 65000)
		g->super = MAX(65000 / s->cfg.link.mtu, 1); /* what an IP length can say */
	g->urges = sim_chance(s, 100) ? 1 + sim_rand(s, 300) : 0;
	g->iss = sim_rand(s, UINT32_MAX);
	if (sim_chance(s, 200))
		g->iss = UINT32_MAX - sim_rand(s, 1000);
	g->ts_base = sim_chance(s, 200) ? UINT32_MAX - sim_rand(s, 5000u) : sim_rand(s, UINT32_MAX);
	g->rto = SIM_S;
	g->una = g->nxt = g->max = g->iss;
}

bool guest_done(const struct guest *g)
{
	if (g->state == GUEST_LISTEN)
		return g->conn->far.gone;
	if (g->state == GUEST_OPEN)
		return g->fin_seen && g->fin_sent && g->una == g->max;
	return g->state == GUEST_CLOSED || g->state == GUEST_RESET;
}

/* ---- what the gateway says, in the order it says it */

void guest_watch(struct guest *g, const struct tcp_seg *seg)
{
	const struct far *f = &g->conn->far;
	uint32_t scale = seg->flags & TCP_SYN ? 0 : g->gw_scale;
	uint32_t slack = (1u << scale) - 1, edge = seg->ack + (seg->window << scale);
	uint32_t taken = g->iss + 1 + f->written + f->shut, room = f->cap - (f->written - f->drained);

	if (seg->flags & TCP_RST)
		return;
	if (seg->flags & TCP_SYN)
		g->gw_scale = seg->has_wscale && (!g->passive || g->want_wscale) ? seg->wscale : 0;
	if (g->passive && seg->flags & TCP_SYN)
		return; /* it acknowledges nothing yet */
	if (f->dial != FAR_CONNECTED && !g->conn->reborn) /* the last life's time-wait may still speak */
		sim_fail(g->sim, "a segment before the host connected");
	if (!f->live || f->dial != FAR_CONNECTED)
		return; /* time-wait */
	if (lt(taken, seg->ack))
		sim_fail(g->sim, "%u ack of %u bytes, the host took %u", g->port, seg->ack - g->iss - 1, f->written);
	if (g->gw_known && lt(seg->ack, g->gw_ack))
		sim_fail(g->sim, "%u ack goes back", g->port);
	if (g->gw_known && lt(edge + slack, g->gw_edge))
		sim_fail(g->sim, "%u right edge shrinks by %u", g->port, g->gw_edge - edge);
	if (lt(taken + room + slack, edge) && (!g->gw_known || lt(g->gw_edge + slack, edge)))
		sim_fail(g->sim, "%u the window promises %u bytes, the host has room for %u", g->port, edge - taken, room);
	if (!g->gw_known || (lt(g->gw_edge, edge) && le(edge, taken + room + slack)))
		g->gw_edge = edge;
	g->gw_ack = seg->ack;
	g->gw_known = true;
}

/* ---- handshake, RST */

void guest_stray(struct sim *s, uint16_t port, const struct tcp_seg *seg)
{
	if (seg->flags & TCP_RST)
		return;
	if (seg->flags & TCP_ACK)
		guest_out_rst(s, port, seg->ack, 0, 0);
	else
		guest_out_rst(s, port, 0, seg->seq + seg->len + !!(seg->flags & TCP_SYN), TCP_ACK);
}

void guest_unreachable(struct guest *g)
{
	if (g->state != GUEST_SYN_SENT)
		return;
	g->by_icmp = true;
	g->state = GUEST_RESET;
}

/* What both sides have said in their SYNs holds from here on. */
static void in_agree(struct guest *g, const struct tcp_seg *seg)
{
	struct sim *s = g->sim;

	g->ts = seg->has_ts && g->want_ts;
	g->ts_recent = seg->tsval;
	g->sack = seg->sack_permitted && g->want_sack;
	g->snd_scale = seg->has_wscale && g->want_wscale ? seg->wscale : 0;
	g->rcv_scale = seg->has_wscale && g->want_wscale ? g->wscale : 0;
	g->mss = MIN(seg->has_mss ? seg->mss : 536u, s->cfg.link.mtu - ip_wire_hdr_len(s->v6) - 20u) - (g->ts ? 12 : 0);
	g->irs = seg->seq;
	g->rcv_nxt = g->ack_sent = seg->seq + 1;
	g->adv = g->rcv_nxt + MIN(g->rcv_buf, 65535);
}

static void in_opened(struct guest *g, const struct tcp_seg *seg, uint32_t wnd)
{
	struct sim *s = g->sim;

	g->state = GUEST_OPEN;
	g->una = g->nxt = g->max = g->iss + 1;
	g->wnd = g->max_wnd = wnd;
	g->wl1 = seg->seq;
	g->wl2 = seg->ack;
	g->cwnd = 10 * g->mss;
	g->ssthresh = INT32_MAX;
	g->backoff = 0;
	g->rto_at = SIM_NEVER;
	g->read_at = s->now + g->read_gap;
	g->alive_at = s->now + g->alive_gap;
	g->write_at = s->now + sim_time(s, 0, g->write_gap);
}

void guest_listen(struct guest *g)
{
	g->passive = true;
	g->state = GUEST_LISTEN;
	g->greets = sim_chance(g->sim, 750) ? GUEST_ACCEPTS : sim_chance(g->sim, 500) ? GUEST_REFUSES : GUEST_SAYS_NOTHING;
}

static void in_listen(struct guest *g, const struct tcp_seg *seg)
{
	if ((seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN || g->greets == GUEST_REFUSES) {
		guest_stray(g->sim, g->port, seg);
	} else if (g->greets == GUEST_ACCEPTS && !g->conn->far.gone) {
		in_agree(g, seg);
		g->state = GUEST_SYN_RCVD;
		g->nxt = g->max = g->iss + 1;
		guest_out_syn_ack(g);
		g->rto_at = g->sim->now + g->rto;
	}
}

/* False: the segment has no more to say. */
static bool in_syn_rcvd(struct guest *g, const struct tcp_seg *seg)
{
	if (seg->flags & TCP_RST) {
		if (seg->seq == g->rcv_nxt)
			g->state = GUEST_RESET;
		return false;
	}
	if (seg->flags & TCP_SYN) {
		guest_out_syn_ack(g);
		return false;
	}
	if (!(seg->flags & TCP_ACK))
		return false;
	if (seg->ack != g->iss + 1) {
		sim_fail(g->sim, "%u its SYN-ACK is answered by an ACK of %u, not %u", g->port, seg->ack, g->iss + 1);
		return false;
	}
	in_opened(g, seg, seg->window << g->snd_scale);
	return true;
}

static void in_syn_sent(struct guest *g, const struct tcp_seg *seg)
{
	struct sim *s = g->sim;

	if (seg->flags & TCP_ACK && seg->ack != g->iss + 1) {
		guest_stray(s, g->port, seg);
		return;
	}
	if (seg->flags & TCP_RST) {
		if (seg->flags & TCP_ACK)
			g->state = GUEST_RESET;
		return;
	}
	if ((seg->flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK))
		return;
	if ((seg->has_ts && !g->want_ts) || (seg->sack_permitted && !g->want_sack) || (seg->has_wscale && !g->want_wscale))
		sim_fail(s, "%u an option in the SYN-ACK that was not offered", g->port);
	in_agree(g, seg);
	in_opened(g, seg, seg->window);
	guest_out_ack(g);
}

static void in_rst(struct guest *g, const struct tcp_seg *seg)
{
	if (guest_done(g))
		return; /* time-wait, RFC 1337 */
	if (seg->seq == g->rcv_nxt)
		g->state = GUEST_RESET;
	else if (lt(g->rcv_nxt, seg->seq) && le(seg->seq, g->adv))
		guest_out_ack(g); /* RFC 5961 3.2 */
}

/* ---- ACK */

static void in_rtt(struct guest *g)
{
	int64_t rtt = g->sim->now - g->sent_at;

	if (!g->sent_at || lt(g->una, g->sent_seq))
		return;
	g->sent_at = 0;
	g->srtt = g->srtt ? (7 * g->srtt + rtt) / 8 : rtt;
	g->rto = MAX(3 * g->srtt, GUEST_RTO_MIN);
}

static void in_ack_new(struct guest *g, uint32_t ack)
{
	uint32_t bytes = ack - g->una;

	g->una = ack;
	if (lt(g->nxt, ack))
		g->nxt = ack;
	g->dups = g->backoff = 0;
	in_rtt(g);
	g->rto_at = g->una == g->max ? SIM_NEVER : g->sim->now + g->rto;
	if (g->recovering && lt(ack, g->recover)) {
		guest_out_again(g); /* RFC 6582 3.2 */
		return;
	}
	g->recovering = false;
	g->cwnd += g->cwnd < g->ssthresh ? bytes : g->mss * MIN(bytes, g->cwnd) / g->cwnd;
	g->cwnd = MIN(g->cwnd, 1u << 24);
}

static void in_dup_ack(struct guest *g)
{
	if (g->sack && !g->counts_dups)
		return; /* RFC 6675: without news in SACK it is no duplicate */
	if (++g->dups != 3 || g->recovering)
		return;
	g->fast++;
	g->recovering = true;
	g->recover = g->max;
	g->ssthresh = MAX((g->max - g->una) / 2, 2 * g->mss);
	g->cwnd = g->ssthresh;
	g->sent_at = 0;
	guest_out_again(g);
}

static bool in_ack(struct guest *g, const struct tcp_seg *seg)
{
	uint32_t before = g->wnd;

	if (lt(g->max, seg->ack)) {
		guest_out_ack(g);
		sim_fail(g->sim, "%u ack of what was never sent", g->port);
		return false;
	}
	if (lt(seg->ack, g->una))
		return true; /* old */
	if (lt(g->wl1, seg->seq) || (g->wl1 == seg->seq && le(g->wl2, seg->ack))) {
		g->wnd = seg->window << g->snd_scale;
		g->max_wnd = MAX(g->max_wnd, g->wnd);
		g->wl1 = seg->seq;
		g->wl2 = seg->ack;
	}
	if (lt(g->una, seg->ack))
		in_ack_new(g, seg->ack);
	else if (g->una != g->max && !seg->len && !(seg->flags & TCP_FIN) && g->wnd == before)
		in_dup_ack(g);
	return true;
}

/* ---- text */

static void in_merge(struct guest *g, uint32_t start, uint32_t end)
{
	int i = 0, j;

	while (i < g->n_range && lt(g->range[i].end, start))
		i++;
	for (j = i; j < g->n_range && le(g->range[j].start, end); j++) {
		start = lt(g->range[j].start, start) ? g->range[j].start : start;
		end = lt(end, g->range[j].end) ? g->range[j].end : end;
	}
	if (j == i && g->n_range == SIM_RANGES)
		return;
	memmove(&g->range[i + 1], &g->range[j], (size_t)(g->n_range - j) * sizeof(g->range[0]));
	g->n_range += 1 - (j - i);
	g->range[i] = (struct guest_range){ start, end };
}

static void in_advance(struct guest *g)
{
	while (g->n_range && le(g->range[0].start, g->rcv_nxt)) {
		if (lt(g->rcv_nxt, g->range[0].end))
			g->rcv_nxt = g->range[0].end;
		memmove(&g->range[0], &g->range[1], (size_t)(--g->n_range) * sizeof(g->range[0]));
	}
}

static void in_judge_text(struct guest *g, const struct tcp_seg *seg, const uint8_t *data)
{
	uint32_t at = seg->seq - g->irs - 1;
	const struct far *f = &g->conn->far;

	if (at + seg->len > f->offered)
		sim_fail(g->sim, "%u bytes up to %u, the host offered %u", g->port, at + seg->len, f->offered);
	if (lt(g->adv + (seg->len == 1), seg->seq + seg->len))
		sim_fail(g->sim, "%u %u bytes, %u beyond the guest's window", g->port, seg->len, seg->seq + seg->len - g->adv);
	for (uint32_t i = 0; i < seg->len; i++)
		if (data[i] != sim_byte(g->conn, true, at + i)) {
			sim_fail(g->sim, "%u byte %u reached the guest wrong", g->port, at + i);
			return;
		}
}

static void in_text(struct guest *g, const struct tcp_seg *seg)
{
	uint32_t end = seg->seq + seg->len;

	if (lt(g->adv, end))
		end = g->adv; /* a probe's byte does not fit */
	if (le(end, g->rcv_nxt)) {
		g->ack_now = true;
	} else if (le(seg->seq, g->rcv_nxt)) {
		g->ack_now |= g->n_range != 0;
		g->rcv_nxt = end;
		in_advance(g);
		g->unacked++;
	} else {
		if (g->keeps_order)
			in_merge(g, seg->seq, end);
		g->ack_now = true;
	}
	if (g->read_at == SIM_NEVER)
		g->read_at = g->sim->now + g->read_gap;
}

static void in_fin(struct guest *g, const struct tcp_seg *seg)
{
	const struct far *f = &g->conn->far;

	g->ack_now = true;
	if (!f->eof || seg->seq + seg->len - g->irs - 1 != f->total)
		sim_fail(g->sim, "%u FIN behind %u bytes, the host %s", g->port, seg->seq + seg->len - g->irs - 1,
			 f->eof ? "ended elsewhere" : "has not ended");
	if (g->fin_seen || seg->seq + seg->len != g->rcv_nxt)
		return;
	g->fin_seen = true;
	g->rcv_nxt++;
	if (lt(g->adv, g->rcv_nxt))
		g->adv = g->rcv_nxt;
}

static void in_answer(struct guest *g)
{
	guest_out_push(g);
	if (g->unacked && g->ack_delay && g->unacked < g->ack_every && !g->ack_now) {
		if (g->ack_at == SIM_NEVER)
			g->ack_at = g->sim->now + g->ack_delay;
	} else if (g->unacked || g->ack_now) {
		guest_out_ack(g);
	}
	if (g->fin_seen && g->closed_second && g->una == g->max)
		g->state = GUEST_CLOSED; /* no time-wait for who closes second */
}

static bool in_sequence(struct guest *g, const struct tcp_seg *seg)
{
	uint32_t end = seg->seq + seg->len + !!(seg->flags & TCP_FIN);
	bool inside;

	if (g->ts != seg->has_ts)
		sim_fail(g->sim, "%u a segment %s timestamps", g->port, seg->has_ts ? "with" : "without");
	if (g->ts && lt(seg->tsval, g->ts_recent)) { /* PAWS */
		guest_out_ack(g);
		return false;
	}
	inside = le(g->ack_sent, end) && (le(seg->seq, g->adv) || seg->seq == g->rcv_nxt);
	if (!inside)
		guest_out_ack(g);
	else if (g->ts && le(seg->seq, g->ack_sent))
		g->ts_recent = seg->tsval;
	return inside;
}

void guest_in(struct guest *g, const struct tcp_seg *seg, const uint8_t *data)
{
	if (g->state == GUEST_SYN_SENT) {
		in_syn_sent(g, seg);
		if (g->state == GUEST_OPEN)
			guest_out_push(g);
		return;
	}
	if (g->state == GUEST_LISTEN) {
		in_listen(g, seg);
		return;
	}
	if (g->state == GUEST_SYN_RCVD && !in_syn_rcvd(g, seg))
		return;
	if (g->state != GUEST_OPEN) {
		guest_stray(g->sim, g->port, seg);
		return;
	}
	g->alive_at = g->sim->now + g->alive_gap;
	if (seg->flags & TCP_RST) {
		in_rst(g, seg);
		return;
	}
	if (seg->flags & TCP_SYN) {
		guest_out_ack(g);
		return;
	}
	if (seg->len)
		in_judge_text(g, seg, data);
	if (!in_sequence(g, seg) || !in_ack(g, seg))
		return;
	if (seg->len)
		in_text(g, seg);
	if (seg->flags & TCP_FIN)
		in_fin(g, seg);
	/* a keepalive or probe of an old number wants an answer even without text */
	if (!seg->len && !(seg->flags & TCP_FIN) && lt(seg->seq, g->rcv_nxt) && !g->fin_seen)
		g->ack_now = true;
	in_answer(g);
}

/* ---- time and the application */

int64_t guest_next(const struct guest *g)
{
	int64_t at = g->state == GUEST_IDLE ? g->open_at : SIM_NEVER;

	if (g->state == GUEST_SYN_SENT || g->state == GUEST_SYN_RCVD || g->state == GUEST_OPEN) {
		at = earliest(g->rto_at, g->ack_at);
		at = earliest(at, earliest(g->read_at, g->write_at));
		if (!guest_done(g))
			at = earliest(at, earliest(g->abort_at, g->alive_at));
	}
	return at;
}

static void tick_rto(struct guest *g)
{
	g->rto_at = SIM_NEVER;
	g->backoff += g->backoff < 8;
	if (g->state == GUEST_SYN_SENT || g->state == GUEST_SYN_RCVD) {
		(g->passive ? guest_out_syn_ack : guest_out_syn)(g);
		g->rto_at = g->sim->now + (g->rto << MIN(g->backoff, 5));
		return;
	}
	g->sent_at = 0;
	if (!g->wnd) {
		guest_out_probe(g);
		return;
	}
	if (g->una != g->max) {
		g->timeouts++;
		g->ssthresh = MAX((g->max - g->una) / 2, 2 * g->mss);
		g->cwnd = g->mss;
		g->recovering = false;
		g->dups = 0;
		g->nxt = g->una;
	}
	guest_out_push(g);
}

static void tick_read(struct guest *g)
{
	uint32_t have = g->rcv_nxt - g->irs - 1 - g->fin_seen - g->read, held, room;

	g->read += sim_some(g->sim, have, g->read_max);
	held = g->rcv_nxt - g->irs - 1 - g->fin_seen - g->read;
	g->read_at = held ? g->sim->now + sim_time(g->sim, 1, g->read_gap) : SIM_NEVER;
	room = held < g->rcv_buf ? g->rcv_buf - held : 0;
	if (!g->fin_seen && lt(g->adv + MIN(g->rcv_buf / 2, 2 * g->mss) - 1, g->rcv_nxt + MIN(room, 65535u << g->rcv_scale)))
		guest_out_ack(g);
}

static void tick_write(struct guest *g)
{
	g->written += sim_some(g->sim, g->total - g->written, g->write_max);
	g->write_at = g->written < g->total ? g->sim->now + sim_time(g->sim, 0, g->write_gap) : SIM_NEVER;
	if (g->idle && g->written == g->total && g->total) {
		g->written--;
		g->write_at = g->sim->now + g->idle;
		g->idle = 0;
	}
	guest_out_push(g);
}

void guest_tick(struct guest *g)
{
	struct sim *s = g->sim;

	if (g->state == GUEST_IDLE && g->open_at <= s->now) {
		g->state = GUEST_SYN_SENT;
		guest_out_syn(g);
		g->rto_at = s->now + g->rto;
	}
	if (g->state != GUEST_SYN_SENT && g->state != GUEST_SYN_RCVD && g->state != GUEST_OPEN)
		return;
	if (g->abort_at <= s->now && !guest_done(g)) {
		sim_note(s, "%u guest aborts", g->port);
		guest_out_rst(s, g->port, g->max + (g->state == GUEST_SYN_SENT), g->rcv_nxt, g->state != GUEST_SYN_SENT ? TCP_ACK : 0);
		g->state = GUEST_RESET;
		return;
	}
	if (g->rto_at <= s->now)
		tick_rto(g);
	if (g->state != GUEST_OPEN)
		return;
	if (g->read_at <= s->now)
		tick_read(g);
	if (g->write_at <= s->now)
		tick_write(g);
	if (g->ack_at <= s->now)
		guest_out_ack(g);
	if (g->alive_at <= s->now && !guest_done(g)) {
		g->alive_at = s->now + g->alive_gap;
		guest_out_alive(g);
	}
}
