/* tcp_open.c - a connection begins.  See tcp_open.h and the drawing in tcp_conn.h. */
#include "slirp/tcp_open.h"

#include "slirp/ip_out.h"
#include "slirp/stack_state.h"
#include "slirp/tcp_bare.h"
#include "slirp/tcp_sack.h"
#include "slirp/tcp_state.h"
#include "slirp/tcp_timer.h"
#include "slirp/wire/l4_wire.h"

enum {
	OPEN_MSS4_DEFAULT = 536,  /* RFC 9293 3.7.1 */
	OPEN_MSS6_DEFAULT = 1220,
	OPEN_MSS_MIN = 64,	  /* a guest that asks for less would turn one byte into one frame */
	OPEN_TS_LEN = 12,
};

enum tcp_answer tcp_open_answer(enum reason why)
{
	switch (why) {
	case R_NET_UNREACHABLE:
		return TCP_ANSWER_NET;
	case R_HOST_UNREACHABLE:
		return TCP_ANSWER_HOST;
	case R_HOST_PROHIBITED:
		return TCP_ANSWER_ADMIN;
	case R_DNS_OFF:
		return TCP_ANSWER_NONE;
	default:
		return TCP_ANSWER_RST;
	}
}

static void open_tell(struct stack *st, const struct tuple *t, uint32_t syn_seq, enum reason why, int64_t now)
{
	switch (tcp_open_answer(why)) {
	case TCP_ANSWER_NONE:
		break;
	case TCP_ANSWER_RST:
		tcp_bare_segment(st, t, 0, syn_seq + 1, TCP_RST | TCP_ACK);
		break;
	case TCP_ANSWER_NET:
		ip_out_unreach(st, ICMP_UNREACH_NET, t, syn_seq, now);
		break;
	case TCP_ANSWER_HOST:
		ip_out_unreach(st, ICMP_UNREACH_HOST, t, syn_seq, now);
		break;
	case TCP_ANSWER_ADMIN:
		ip_out_unreach(st, ICMP_UNREACH_ADMIN, t, syn_seq, now);
		break;
	}
}

/* Payload bytes per segment toward the guest: what it asked for, what the link carries, less the options of every segment. */
static uint16_t open_mss(const struct stack *st, const struct tcp_seg *syn, bool v6, bool ts_ok)
{
	uint32_t link = st->cfg.link.mtu - ip_wire_hdr_len(v6) - TCP_HDR_LEN;
	uint32_t mss = syn->has_mss ? syn->mss : v6 ? OPEN_MSS6_DEFAULT : OPEN_MSS4_DEFAULT;

	if (mss < OPEN_MSS_MIN)
		mss = OPEN_MSS_MIN;
	if (mss > link)
		mss = link;
	return (uint16_t)(mss - (ts_ok ? OPEN_TS_LEN : 0));
}

/* RFC 6528: a clock of 4 microseconds plus a keyed hash of the tuple. */
static void open_numbers(struct tcp_conn *c, int64_t now)
{
	uint64_t h = siphash(&c->st->cfg.key, &c->tuple, sizeof(c->tuple));

	c->iss = (uint32_t)(h >> 32) * 2654435761u + (uint32_t)(now >> 2);
	c->ts_offset = (uint32_t)(h >> 16);
	c->snd_una = c->snd_nxt = c->snd_max = c->iss;
}

bool tcp_open_room(struct stack *st)
{
	return timerq_grow(&st->timers, htab_count(&st->conns) + 1);
}

void tcp_open_begin(struct stack *st, struct tcp_conn *c, const struct tuple *t, int64_t now)
{
	c->st = st;
	c->tuple = *t;
	list_init(&c->touched);
	list_push_tail(&st->calm, &c->alive);
	c->rcv_mss = OPEN_MSS4_DEFAULT;
	c->ssthresh = INT32_MAX;
	c->rto = TCP_TIMER_RTO_INITIAL;
	c->rto_at = c->ack_at = TIMERQ_NEVER;
	c->rx_at = c->progress_at = now;
	open_numbers(c, now);
}

void tcp_open_peer(struct tcp_conn *c, const struct tcp_seg *syn)
{
	c->ts_ok = syn->has_ts;
	c->ts_recent = syn->tsval;
	c->sack_ok = syn->sack_permitted;
	c->snd_wscale = syn->has_wscale ? syn->wscale : 0;
	c->rcv_wscale = syn->has_wscale ? TCP_RCV_WSCALE : 0;
	c->mss = open_mss(c->st, syn, !addr_is_v4(&c->tuple.guest.addr), c->ts_ok);
	c->irs = syn->seq;
	c->rcv_nxt = c->rcv_adv = c->ack_sent = syn->seq + 1;
	c->snd_wnd = c->max_snd_wnd = syn->window;
	c->snd_wl1 = syn->seq;
	tcp_sack_begin(c, false);
}

enum reason tcp_open_syn(struct stack *st, const struct tuple *t, const struct tcp_seg *seg, int64_t now)
{
	struct tcp_conn *c = NULL;
	enum reason r = tcp_open_room(st) ? st->host->tcp_syn(st->host, t, &c) : R_NO_MEMORY;

	if (r) {
		open_tell(st, t, seg->seq, r, now);
		return r;
	}
	tcp_open_begin(st, c, t, now);
	tcp_open_peer(c, seg);
	tcp_conn_enter(c, TCP_HELD);
	htab_insert(&st->conns, &c->node, stack_hash(st, t));
	return R_ACCEPTED;
}

void tcp_open_accept(struct tcp_conn *c, struct upstream *up, int64_t now)
{
	c->up = up;
	c->opened_at = c->rx_at = c->progress_at = now;
	tcp_conn_enter(c, TCP_SYN_RECEIVED);
	tcp_conn_touch(c);
}

void tcp_open_refuse(struct tcp_conn *c, enum reason why, int64_t now)
{
	open_tell(c->st, &c->tuple, c->irs, why, now);
	tcp_conn_gone(c, why);
}

void tcp_open_forget(struct tcp_conn *c, enum reason why)
{
	tcp_conn_gone(c, why);
}
