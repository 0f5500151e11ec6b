/* tcp_export.c - from a connection to a value, and back.  See tcp_export.h. */
#include "slirp/tcp_export.h"

#include "slirp/stack_state.h"
#include "slirp/tcp_connect.h"
#include "slirp/tcp_open.h"
#include "slirp/tcp_sack.h"
#include "slirp/tcp_state.h"
#include "slirp/tcp_timer.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"

enum {
	EXPORT_FLIGHT_MAX = 1 << 30, /* max_flight's own limit */
	EXPORT_WSCALE_MAX = 14,	     /* RFC 7323 2.3 */
	EXPORT_MSS_MIN = 52,	     /* tcp_open.c takes 64, less timestamps */
	EXPORT_TS_LEN = 12,
};

enum reason tcp_conn_export(struct tcp_conn *c, struct tcp_export *ret, int64_t now)
{
	if (c->state < TCP_ESTABLISHED || c->rx_len)
		return R_EXPORT_STATE;
	if (c->acked) {
		c->up->ops->consume(c->up, c->acked);
		c->acked = 0;
	}
	*ret = (struct tcp_export){
		.tuple = c->tuple,
		.state = c->state,
		.ts_ok = c->ts_ok,
		.sack_ok = c->sack_ok,
		.fin_sent = c->fin_sent,
		.snd_wscale = c->snd_wscale,
		.rcv_wscale = c->rcv_wscale,
		.mss = c->mss,
		.rcv_mss = c->rcv_mss,
		.snd_una = c->snd_una,
		.snd_max = c->snd_max,
		.snd_wnd = c->snd_wnd,
		.max_snd_wnd = c->max_snd_wnd,
		.snd_wl1 = c->snd_wl1,
		.snd_wl2 = c->snd_wl2,
		.rcv_nxt = c->rcv_nxt,
		.rcv_adv = c->rcv_adv,
		.ts_recent = c->ts_recent,
		.ts_now = (uint32_t)(now / 1000) + c->ts_offset,
	};
	return R_ACCEPTED;
}

void tcp_export_release(struct tcp_conn *c)
{
	tcp_conn_gone(c, R_EXPORTED);
}

/* Has a connection in this state sent its FIN, and what may be unacknowledged? */
static bool export_state_good(const struct tcp_export *e)
{
	uint32_t flight = e->snd_max - e->snd_una;

	if (flight > EXPORT_FLIGHT_MAX)
		return false;
	switch (e->state) {
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
		return !e->fin_sent;
	case TCP_FIN_WAIT_1:
		return e->fin_sent && flight;
	case TCP_FIN_WAIT_2:
		return e->fin_sent && !flight;
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		return e->fin_sent;
	default:
		return false;
	}
}

static bool export_windows_good(const struct tcp_export *e)
{
	if (e->snd_wscale > EXPORT_WSCALE_MAX || e->rcv_wscale > EXPORT_WSCALE_MAX)
		return false;
	/* a FIN that was taken may stand one beyond what was promised last */
	return e->rcv_adv - e->rcv_nxt <= 65535u << e->rcv_wscale && e->snd_wnd <= 65535u << e->snd_wscale &&
	       e->max_snd_wnd <= 65535u << e->snd_wscale && e->snd_wnd <= e->max_snd_wnd;
}

enum reason tcp_export_check(struct stack *st, const struct tcp_export *e)
{
	const struct endpoint *guest = &e->tuple.guest, *far = &e->tuple.far;
	bool v4 = addr_is_v4(&guest->addr);

	if (v4 != addr_is_v4(&far->addr) || !(v4 ? st->cfg.v4 : st->cfg.v6))
		return R_FAMILY_OFF;
	if (!(v4 ? stack_is_guest4 : stack_is_guest6)(st, &guest->addr))
		return R_SPOOFED_ADDR;
	if (!guest->port || !far->port || e->mss < EXPORT_MSS_MIN || !e->rcv_mss || !export_state_good(e) || !export_windows_good(e))
		return R_IMPORT_INVALID;
	return R_ACCEPTED;
}

/* What this link carries, which may be less than what the old one did. */
static uint16_t export_mss(const struct stack *st, const struct tcp_export *e)
{
	uint32_t link = st->cfg.link.mtu - ip_wire_hdr_len(!addr_is_v4(&e->tuple.guest.addr)) - TCP_HDR_LEN - (e->ts_ok ? EXPORT_TS_LEN : 0);

	return e->mss < link ? e->mss : (uint16_t)link;
}

enum reason tcp_conn_import(struct stack *st, struct tcp_conn *c, const struct tcp_export *e, struct upstream *up, int64_t now)
{
	enum reason r = tcp_export_check(st, e);

	if (r)
		return r;
	if (!tcp_connect_free(st, &e->tuple, now))
		return R_TUPLE_BUSY;
	if (!tcp_open_room(st))
		return R_NO_MEMORY;
	tcp_open_begin(st, c, &e->tuple, now);
	c->up = up;
	c->ts_ok = e->ts_ok;
	c->sack_ok = e->sack_ok;
	c->snd_wscale = e->snd_wscale;
	c->rcv_wscale = e->rcv_wscale;
	c->mss = export_mss(st, e);
	c->rcv_mss = e->rcv_mss;
	c->iss = e->snd_una - 1;
	c->snd_una = c->snd_nxt = e->snd_una;
	c->snd_max = e->snd_max;
	c->snd_wnd = e->snd_wnd;
	c->max_snd_wnd = e->max_snd_wnd;
	c->snd_wl1 = e->snd_wl1;
	c->snd_wl2 = e->snd_wl2;
	c->fin_sent = e->fin_sent;
	c->irs = e->rcv_nxt - 1;
	c->rcv_nxt = c->ack_sent = e->rcv_nxt;
	c->rcv_adv = e->rcv_adv;
	c->ts_recent = e->ts_recent;
	c->ts_offset = e->ts_now - (uint32_t)(now / 1000);
	c->opened_at = now;
	if (tcp_flight(c))
		tcp_sack_timeout(c); /* what was under way is not known here: all of it again, from snd_una */
	tcp_sack_begin(c, false);
	tcp_conn_enter(c, (enum tcp_state)e->state);
	htab_insert(&st->conns, &c->node, stack_hash(st, &e->tuple));
	c->ack_now = true;
	tcp_conn_touch(c);
	tcp_timer_rekey(c);
	return R_ACCEPTED;
}
