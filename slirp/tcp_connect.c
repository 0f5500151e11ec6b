/* tcp_connect.c - the active open.  See tcp_connect.h. */
#include "slirp/tcp_connect.h"

#include "slirp/base/bytes.h"
#include "slirp/payload.h"
#include "slirp/stack_state.h"
#include "slirp/tcp_bare.h"
#include "slirp/tcp_open.h"
#include "slirp/tcp_sack.h"
#include "slirp/tcp_state.h"
#include "slirp/tcp_timer.h"
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"

enum {
	CONNECT_REUSE_MS = 1000,       /* a time-wait with timestamps may be taken over when it is this old: RFC 6191 */
	CONNECT_QUOTE_L4 = 8,	       /* ports and sequence number: what an ICMP error quotes at least, RFC 792 */
	CONNECT_QUOTE_WHOLE = 1 << 20, /* the quote is cut short: its length field may say what it likes */
	CONNECT_ICMP4_TOO_BIG = 4,     /* a code of unreachable that says nothing about the service */
};

/* The time-wait of these ends, or NULL.  *ret_free: nobody uses them, or the time-wait gives way: timestamps tell old segments from new. */
static struct tcp_tw_entry *connect_find(struct stack *st, const struct tuple *t, bool *ret_free, int64_t now)
{
	struct tcp_tw_entry *e;

	*ret_free = false;
	if (tcp_conn_find(st, t))
		return NULL;
	e = tcp_tw_find(&st->tw, t, stack_hash(st, t), now);
	*ret_free = !e || (e->ts_ok && tcp_tw_age(&st->tw, e, now) >= CONNECT_REUSE_MS);
	return e;
}

bool tcp_connect_free(struct stack *st, const struct tuple *t, int64_t now)
{
	bool is_free;

	connect_find(st, t, &is_free, now);
	return is_free;
}

enum reason tcp_connect(struct stack *st, struct tcp_conn *c, const struct tuple *t, struct upstream *up, int64_t now)
{
	bool v4 = addr_is_v4(&t->guest.addr), is_free;
	struct tcp_tw_entry *old;

	if (v4 != addr_is_v4(&t->far.addr) || !(v4 ? st->cfg.v4 : st->cfg.v6))
		return R_FAMILY_OFF;
	if (!t->guest.port || !t->far.port)
		return R_TCP_PORT_ZERO;
	if (!tcp_open_room(st))
		return R_NO_MEMORY;
	old = connect_find(st, t, &is_free, now);
	if (!is_free)
		return R_TUPLE_BUSY;
	tcp_open_begin(st, c, t, now);
	if (old) {
		if (seq_le(c->iss, old->snd_nxt))
			c->iss = c->snd_una = c->snd_nxt = c->snd_max = old->snd_nxt + 1;
		tcp_tw_remove(&st->tw, old);
	}
	c->up = up;
	c->ts_ok = c->sack_ok = true; /* offered; the answer decides */
	c->rcv_wscale = TCP_RCV_WSCALE;
	c->opened_at = now;
	tcp_conn_enter(c, TCP_SYN_SENT);
	htab_insert(&st->conns, &c->node, stack_hash(st, t));
	tcp_conn_touch(c);
	tcp_timer_rekey(c); /* also when the link has no room for the SYN */
	return R_ACCEPTED;
}

static enum reason connect_fails(struct tcp_conn *c, enum reason why)
{
	c->up->ops->abort(c->up);
	tcp_conn_gone(c, why);
	return R_ACCEPTED;
}

/* Text and FIN beside the SYN come again: they are not acknowledged. */
static enum reason connect_done(struct tcp_conn *c, const struct tcp_seg *seg, int64_t now)
{
	struct stack *st = c->st;
	uint32_t offered = c->rcv_adv - c->rcv_nxt;

	tcp_open_peer(c, seg);
	c->rcv_adv += offered;
	if (c->backoff)
		tcp_sack_begin(c, true);
	c->snd_una = c->snd_nxt = c->snd_wl2 = seg->ack;
	c->rtx_now = false;
	c->rx_at = now;
	tcp_conn_enter(c, TCP_ESTABLISHED);
	tcp_timer_acked(c, now);
	c->ack_now = true;
	tcp_conn_touch(c);
	tcp_timer_rekey(c);
	if (st->host->tcp_established)
		st->host->tcp_established(st->host, c);
	return R_ACCEPTED;
}

enum reason tcp_connect_in(struct tcp_conn *c, const struct tcp_seg *seg, int64_t now)
{
	bool ours = seg->flags & TCP_ACK && seg->ack == c->iss + 1 && c->snd_max != c->iss;

	if (seg->flags & TCP_ACK && !ours) {
		if (!(seg->flags & TCP_RST))
			tcp_bare_segment(c->st, &c->tuple, seg->ack, 0, TCP_RST);
		return seg->flags & TCP_RST ? R_TCP_RST_WINDOW : R_TCP_ACK_FUTURE;
	}
	if (seg->flags & TCP_RST)
		return ours ? connect_fails(c, R_GUEST_REFUSED) : R_TCP_RST_WINDOW;
	if (!(seg->flags & TCP_SYN))
		return R_TCP_FLAGS;
	if (ours)
		return connect_done(c, seg, now);
	tcp_bare_segment(c->st, &c->tuple, c->snd_max, seg->seq + 1, TCP_RST | TCP_ACK); /* also if our SYN has come there meanwhile */
	return connect_fails(c, R_CONNECT_CROSSED);
}

enum reason tcp_connect_unreachable(struct stack *st, bool v6, const struct payload *l4, int64_t now)
{
	const uint8_t *quote = l4->head + ICMP_HDR_LEN;
	uint32_t len = l4->head_len - ICMP_HDR_LEN;
	struct tcp_conn *c;
	struct tuple t;
	struct ip ip;

	(void)now;
	if (!v6 && l4->head[1] == CONNECT_ICMP4_TOO_BIG)
		return R_ICMP_IGNORED;
	if (ip_wire_parse(quote, len, CONNECT_QUOTE_WHOLE, v6, &ip) || ip.proto != IP_PROTO_TCP || ip.is_fragment ||
	    len < ip.hdr_len + CONNECT_QUOTE_L4)
		return R_ICMP_IGNORED;
	quote += ip.hdr_len;
	memset(&t, 0, sizeof(t));
	t.far = (struct endpoint){ ip.src, bytes_get16(quote) };
	t.guest = (struct endpoint){ ip.dst, bytes_get16(quote + 2) };
	c = tcp_conn_find(st, &t);
	/* RFC 5927 4.1: the sequence number is what a stranger cannot know; later than the SYN it is no news to act on (RFC 1122 4.2.3.9) */
	if (!c || c->state != TCP_SYN_SENT || bytes_get32(quote + 4) != c->iss || c->snd_max == c->iss)
		return R_ICMP_IGNORED;
	return connect_fails(c, R_GUEST_UNREACHABLE);
}
