/* up.c - the far side as the pure core sees it: upstream_ops and stack_host over far.c.
 *
 * Every rule of upstream.h is held against the core at each call.  Payload has no buffer: it is a pattern keyed by position.
 * Below: sim.h.  Above: sim.c.
 *
 * prefixes: up_ far_
 */
#include "slirp/base/list.h"
#include "slirp/tcp_open.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <string.h>

enum { FAR_SMALL = 64 << 10 }; /* below this a space() promises a touch */

static struct far *far_of(struct upstream *up, const char *call)
{
	struct far_flow *w = container_of(up, struct far_flow, up);
	struct far *f = &w->conn->far;

	if (f->flow != w || w->c.state == TCP_CLOSED)
		sim_fail(w->conn->sim, "%s() on a connection that is gone", call);
	if (f->aborted)
		sim_fail(w->conn->sim, "%s() after abort()", call);
	if (f->dial != FAR_CONNECTED)
		sim_fail(w->conn->sim, "%s() before the host connected", call);
	return f;
}

static struct sim_conn *far_conn(struct far *f)
{
	return container_of(f, struct sim_conn, far);
}

static ssize_t far_peek(struct upstream *up, uint32_t off, const struct iovec *iov, int n)
{
	struct far *f = far_of(up, "peek");
	struct sim_conn *c = far_conn(f);
	uint32_t at = f->consumed + off, end = f->offered, from = at;

	if (at > f->peeked)
		sim_fail(c->sim, "peek at byte %u, beyond what was ever peeked (%u)", at, f->peeked);
	if (f->failed && at >= f->offered)
		return -ECONNRESET;
	if (at == end || (c->sim->broken == SIM_FALSE_FIN && at > SIM_BROKEN_AT))
		return f->eof || at != end ? 0 : -EAGAIN;
	if (f->peek_max && end - at > f->peek_max)
		end = at + 1 + sim_rand(c->sim, f->peek_max);
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len && at < end; k++, at++)
			((uint8_t *)iov[i].iov_base)[k] = sim_broken_byte(c, true, at);
	if (at == from)
		sim_fail(c->sim, "peek into no room");
	f->peeked = MAX(f->peeked, at);
	return (ssize_t)(at - from);
}

static void far_consume(struct upstream *up, uint32_t n)
{
	struct far *f = far_of(up, "consume");
	struct guest *g = &far_conn(f)->guest;

	f->consumed += n;
	if (f->consumed > f->peeked)
		sim_fail(g->sim, "consume() of bytes that were never peeked");
	if (n && f->consumed > g->rcv_nxt - g->irs - 1)
		sim_fail(g->sim, "consume() up to byte %u, the guest has %u", f->consumed, g->rcv_nxt - g->irs - 1);
}

static ssize_t far_write(struct upstream *up, const struct iovec *iov, int n)
{
	struct far *f = far_of(up, "write");
	struct sim_conn *c = far_conn(f);
	uint32_t total = 0, takes, left;

	for (int i = 0; i < n; i++)
		total += (uint32_t)iov[i].iov_len;
	if (f->shut)
		sim_fail(c->sim, "write() after shutdown()");
	if (!total)
		sim_fail(c->sim, "write() of nothing");
	if (f->failed)
		return -ECONNRESET;
	takes = MIN(total, f->cap - (f->written - f->drained));
	if (f->take_max)
		takes = MIN(takes, f->take_max);
	if (sim_chance(c->sim, f->shy))
		takes = sim_rand(c->sim, takes + 1);
	left = takes;
	for (int i = 0; i < n && left; i++)
		for (size_t k = 0; k < iov[i].iov_len && left; k++, left--, f->written++)
			if (((const uint8_t *)iov[i].iov_base)[k] != sim_byte(c, false, f->written))
				return sim_fail(c->sim, "guest byte %u reached the host wrong", f->written) - 1;
	if (f->written > c->guest.max - c->guest.iss - 1)
		sim_fail(c->sim, "the host got %u bytes, the guest sent less", f->written);
	if (takes < total)
		f->short_write = true;
	if (f->drain_at == SIM_NEVER)
		f->drain_at = c->sim->now + sim_time(c->sim, 0, f->drain_gap);
	return (ssize_t)takes;
}

static void far_shutdown(struct upstream *up)
{
	struct far *f = far_of(up, "shutdown");
	struct guest *g = &far_conn(f)->guest;

	if (f->shut)
		sim_fail(g->sim, "shutdown() twice");
	if (!g->fin_sent || f->written != g->total)
		sim_fail(g->sim, "shutdown() after %u of %u bytes, the guest's FIN %s", f->written, g->total, g->fin_sent ? "sent" : "not sent");
	f->shut = true;
}

static void far_abort(struct upstream *up)
{
	far_of(up, "abort")->aborted = true;
}

static uint32_t far_space(struct upstream *up)
{
	struct far *f = far_of(up, "space");
	uint32_t room = f->cap - (f->written - f->drained);

	f->small_space = room < FAR_SMALL;
	return room;
}

static const struct upstream_ops far_ops = {
	.peek = far_peek,
	.consume = far_consume,
	.write = far_write,
	.shutdown = far_shutdown,
	.abort = far_abort,
	.space = far_space,
};

/* ---- dials and ends */

static enum reason far_tcp_syn(struct stack_host *h, const struct tuple *t, struct tcp_conn **ret)
{
	struct sim *s = container_of(h, struct sim, host);
	struct sim_conn *c = sim_conn_of(s, t->guest.port);
	struct far_flow *w;

	if (!c)
		return sim_fail(s, "tcp_syn for a port that no guest uses") ? R_ACCEPTED : R_DENIED;
	if (c->far.flow && !c->far.gone)
		sim_fail(s, "tcp_syn while the connection is not gone");
	if (c->far.gone)
		return c->far.refuses ? c->far.refusal : R_DIAL_REFUSED; /* an old SYN that was long under way */
	if (c->far.dial == FAR_REFUSED_AT_ONCE) {
		c->far.refuses = true;
		return c->far.refusal;
	}
	w = g_new0(struct far_flow, 1);
	w->conn = c;
	w->up.ops = &far_ops;
	c->far.flow = w;
	c->far.live = true;
	c->far.dial_at = s->now + c->far.dial_gap;
	s->given++;
	*ret = &w->c;
	return R_ACCEPTED;
}

static void far_tcp_gone(struct stack_host *h, struct tcp_conn *tc, enum reason why)
{
	struct sim *s = container_of(h, struct sim, host);
	struct far_flow *w = container_of(tc, struct far_flow, c);
	struct far *f = &w->conn->far;

	sim_note(s, "%u gone %s", w->conn->guest.port, reason_name(why));
	if (f->flow != w || f->gone)
		sim_fail(s, "tcp_gone twice");
	if (s->broken == SIM_LEAKS_FLOW && why == R_CLOSED) {
		g_ptr_array_add(s->leaked, w); /* as if nobody had been told */
		return;
	}
	far_over(f, why);
	f->flow = NULL;
	s->gone++;
	g_ptr_array_add(s->dead, w);
}

static enum reason far_dgram(struct stack_host *h, const struct tuple *t, const struct dgram_meta *m, const struct iovec *data,
			      int n, uint32_t len, int64_t now)
{
	sim_fail(container_of(h, struct sim, host), "a datagram that no guest sent");
	return R_UDP_NO_SERVICE;
}

void up_host_init(struct sim *s)
{
	s->host.tcp_syn = far_tcp_syn;
	s->host.tcp_gone = far_tcp_gone;
	s->host.dgram = far_dgram;
}

void up_reap(struct sim *s)
{
	for (guint i = 0; i < s->dead->len; i++) {
		memset(s->dead->pdata[i], 0xdd, sizeof(struct far_flow));
		g_free(s->dead->pdata[i]);
	}
	g_ptr_array_set_size(s->dead, 0);
}

/* ---- what far.c tells */

static void up_connected(struct sim_conn *c)
{
	tcp_open_accept(&c->far.flow->c, &c->far.flow->up, c->sim->now);
}

static void up_refused(struct sim_conn *c)
{
	tcp_open_refuse(&c->far.flow->c, c->far.refusal, c->sim->now);
}

static void up_readable(struct sim_conn *c)
{
	tcp_conn_touch(&c->far.flow->c);
}

static void up_writable(struct sim_conn *c)
{
	struct far *f = &c->far;

	if (f->short_write || f->small_space) {
		f->short_write = f->small_space = false;
		tcp_conn_touch(&f->flow->c);
	}
}

static void up_failed(struct sim_conn *c)
{
	if (c->far.tells_reset)
		tcp_conn_reset(&c->far.flow->c, R_HOST_RESET, c->sim->now);
	else
		tcp_conn_touch(&c->far.flow->c);
}

const struct far_told up_told = {
	.connected = up_connected,
	.refused = up_refused,
	.readable = up_readable,
	.writable = up_writable,
	.failed = up_failed,
};
