/* far.c - what stands behind the core: dials, upstreams with small and shy buffers, late ends, resets.
 *
 * Every rule of upstream.h is held against the core at each call.  Payload has no buffer: it is a pattern keyed by position.
 * Below: sim.h.  Above: sim.c.
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
	if (at == end)
		return f->eof ? 0 : -EAGAIN;
	if (f->peek_max && end - at > f->peek_max)
		end = at + 1 + sim_rand(c->sim, f->peek_max);
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len && at < end; k++, at++)
			((uint8_t *)iov[i].iov_base)[k] = sim_byte(c->guest.port, true, at);
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
			if (((const uint8_t *)iov[i].iov_base)[k] != sim_byte(c->guest.port, false, f->written))
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

static struct sim_conn *far_find(struct sim *s, const struct tuple *t)
{
	int i = t->guest.port - SIM_PORT;

	return i >= 0 && i < s->n ? &s->conn[i] : NULL;
}

static enum reason far_tcp_syn(struct stack_host *h, const struct tuple *t, struct tcp_conn **ret)
{
	struct sim *s = container_of(h, struct sim, host);
	struct sim_conn *c = far_find(s, t);
	struct far_flow *w;

	if (!c)
		return sim_fail(s, "tcp_syn for a port that no guest uses") ? R_ACCEPTED : R_DENIED;
	if (c->far.flow && !c->far.gone)
		sim_fail(s, "tcp_syn while the connection is not gone");
	if (c->far.gone)
		return R_DIAL_REFUSED; /* an old SYN that was long under way */
	if (c->far.dial == FAR_REFUSED_AT_ONCE) {
		c->far.refuses = true;
		return R_DIAL_REFUSED;
	}
	w = g_new0(struct far_flow, 1);
	w->conn = c;
	w->up.ops = &far_ops;
	c->far.flow = w;
	c->far.dial_at = s->now + sim_time(s, 0, sim_chance(s, 100) ? 3 * SIM_S : 50 * SIM_MS);
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
	f->gone = true;
	f->why = why;
	f->flow = NULL;
	f->dial_at = f->offer_at = f->eof_at = f->reset_at = f->drain_at = SIM_NEVER;
	s->gone++;
	g_ptr_array_add(s->dead, w);
}

static enum reason far_dgram(struct stack_host *h, const struct tuple *t, const struct dgram_meta *m, const struct iovec *data,
			      int n, uint32_t len, int64_t now)
{
	sim_fail(container_of(h, struct sim, host), "a datagram that no guest sent");
	return R_UDP_NO_SERVICE;
}

void far_host_init(struct sim *s)
{
	s->host.tcp_syn = far_tcp_syn;
	s->host.tcp_gone = far_tcp_gone;
	s->host.dgram = far_dgram;
}

void far_reap(struct sim *s)
{
	for (guint i = 0; i < s->dead->len; i++) {
		memset(s->dead->pdata[i], 0xdd, sizeof(struct far_flow));
		g_free(s->dead->pdata[i]);
	}
	g_ptr_array_set_size(s->dead, 0);
}

/* ---- events */

void far_init(struct far *f, struct sim_conn *c, bool busy)
{
	struct sim *s = c->sim;
	static const uint32_t totals[] = { 0, 1, 500, 5000, 60000, 200000 };
	static const uint32_t caps[] = { 4096, 8000, 20000, 200000, 1 << 20 };

	*f = (struct far){ 0 };
	f->dial_at = f->offer_at = f->eof_at = f->reset_at = f->drain_at = SIM_NEVER;
	f->dial = sim_chance(s, 30) ? FAR_REFUSED_AT_ONCE : FAR_DIALS;
	f->refuses = sim_chance(s, 30);
	f->total = sim_rand(s, totals[sim_rand(s, G_N_ELEMENTS(totals))] + 1);
	f->offer_max = sim_chance(s, 500) ? f->total + 1 : 1 + sim_rand(s, 20000);
	f->offer_gap = sim_chance(s, 500) ? 0 : 20 * SIM_MS;
	f->peek_max = sim_chance(s, 200) ? 200 + sim_rand(s, 5000) : 0;
	f->take_max = sim_chance(s, 100) ? 1000 + sim_rand(s, 5000) : 0;
	f->cap = caps[sim_rand(s, G_N_ELEMENTS(caps))];
	f->drain_max = sim_chance(s, 500) ? f->cap : 1 + sim_rand(s, f->cap);
	f->drain_max = MAX(f->drain_max, 400);
	f->drain_gap = sim_chance(s, 600) ? 1 : sim_time(s, 1, 100 * SIM_MS);
	f->eof_gap = sim_chance(s, 700) ? 0 : sim_time(s, 0, sim_chance(s, 50) ? 200 * SIM_S : 5 * SIM_S);
	f->shy = sim_chance(s, 150) ? 1 + sim_rand(s, 300) : 0;
	f->tells_reset = sim_chance(s, 500);
	if (!busy) {
		f->take_max = f->peek_max = f->shy = 0;
		f->cap = 1 << 20;
		f->drain_max = f->cap;
		f->drain_gap = 1;
	}
}

int64_t far_next(const struct far *f)
{
	return MIN(MIN(f->dial_at, f->offer_at), MIN(MIN(f->eof_at, f->reset_at), f->drain_at));
}

static void far_on_dial(struct sim_conn *c)
{
	struct far *f = &c->far;
	struct sim *s = c->sim;

	f->dial_at = SIM_NEVER;
	if (f->refuses) {
		f->dial = FAR_REFUSED;
		tcp_open_refuse(&f->flow->c, sim_chance(s, 500) ? R_DIAL_REFUSED : R_HOST_UNREACHABLE, s->now);
		return;
	}
	f->dial = FAR_CONNECTED;
	tcp_open_accept(&f->flow->c, &f->flow->up, s->now);
	f->offer_at = s->now + sim_time(s, 0, f->offer_gap);
	if (sim_chance(s, 80))
		f->reset_at = s->now + sim_time(s, 0, 2 * SIM_S);
}

static void far_on_offer(struct sim_conn *c)
{
	struct far *f = &c->far;
	struct sim *s = c->sim;

	f->offer_at = SIM_NEVER;
	if (f->offered < f->total) {
		f->offered += sim_some(s, f->total - f->offered, f->offer_max);
		f->offer_at = s->now + sim_time(s, 0, f->offer_gap);
		tcp_conn_touch(&f->flow->c);
	} else {
		f->eof_at = s->now + f->eof_gap;
	}
}

static void far_on_reset(struct sim_conn *c)
{
	struct far *f = &c->far;

	f->reset_at = f->eof_at = f->offer_at = SIM_NEVER;
	if (f->eof && f->shut)
		return; /* a socket that both sides have closed resets no more */
	f->failed = true;
	sim_note(c->sim, "%u far reset", c->guest.port);
	if (f->tells_reset)
		tcp_conn_reset(&f->flow->c, R_HOST_RESET, c->sim->now);
	else
		tcp_conn_touch(&f->flow->c);
}

static void far_on_drain(struct sim_conn *c)
{
	struct far *f = &c->far;
	struct sim *s = c->sim;

	f->drained += sim_some(s, f->written - f->drained, f->drain_max);
	f->drain_at = f->written > f->drained ? s->now + sim_time(s, 1, f->drain_gap) : SIM_NEVER;
	if (f->short_write || f->small_space) {
		f->short_write = f->small_space = false;
		tcp_conn_touch(&f->flow->c);
	}
}

void far_tick(struct sim_conn *c)
{
	struct far *f = &c->far;
	int64_t now = c->sim->now;

	if (f->dial_at <= now)
		far_on_dial(c);
	if (f->offer_at <= now)
		far_on_offer(c);
	if (f->eof_at <= now) {
		f->eof_at = SIM_NEVER;
		f->eof = true;
		tcp_conn_touch(&f->flow->c);
	}
	if (f->drain_at <= now)
		far_on_drain(c);
	if (f->reset_at <= now)
		far_on_reset(c);
}
