/* gate_tcp.c - stream sockets as Linux's, with far.c for a network: peek offsets, edges, short writes, errors that are told once.
 *
 * Below: gate.h, far.c.  Above: gate_sys.c.  tcp(7), epoll(7).
 *
 * prefixes: gate_tcp_
 */
#include "slirp/tcp_open.h"
#include "tests/sim/gate.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>

enum {
	GATE_RCVBUF = 131072,
	GATE_RCVBUF_MAX = 6 << 20,
	GATE_CAP_MIN = 8192, /* with the margin that space() keeps, 4096 */
	GATE_DIAL_PATIENCE = 10 * SIM_S,
};

static uint32_t tcp_queued(const struct gate_fd *f)
{
	return f->conn->far.offered - f->conn->far.consumed;
}

static uint32_t tcp_unsent(const struct gate_fd *f)
{
	return f->conn->far.written - f->conn->far.drained;
}

/* With the kernel's bookkeeping. */
static uint32_t tcp_wmem(const struct gate_fd *f)
{
	return MIN(tcp_unsent(f) + tcp_unsent(f) / 8, f->conn->far.cap);
}

/* sk_stream_is_writeable(): a third of the buffer is free */
static bool tcp_writable(const struct gate_fd *f)
{
	uint32_t used = tcp_wmem(f);

	return f->conn->far.cap - used >= used / 2;
}

uint32_t gate_tcp_poll(struct gate_fd *f)
{
	uint32_t events = f->err ? EPOLLERR : 0;
	const struct far *far = f->conn ? &f->conn->far : NULL;

	if (f->state == GATE_DEAD)
		return events | EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP;
	if (f->state != GATE_OPEN)
		return events | (f->state == GATE_FRESH ? EPOLLOUT | EPOLLHUP : 0);
	if (far->eof || tcp_queued(f) >= f->lowat)
		events |= EPOLLIN;
	if (far->mark)
		events |= EPOLLPRI;
	if (far->eof)
		events |= EPOLLRDHUP | (far->shut ? EPOLLHUP : 0);
	if (far->shut || tcp_writable(f))
		return events | EPOLLOUT;
	f->nospace = true;
	return events;
}

/* ---- dialing */

static int tcp_refusal(enum reason why)
{
	switch (why) {
	case R_DIAL_TIMEOUT:
		return ETIMEDOUT;
	case R_NET_UNREACHABLE:
		return ENETUNREACH;
	case R_HOST_UNREACHABLE:
		return EHOSTUNREACH;
	case R_HOST_PROHIBITED:
		return EACCES;
	case R_NO_DESCRIPTOR:
		return ENFILE;
	case R_NO_MEMORY:
		return ENOBUFS;
	case R_HOST_ERROR:
		return EINVAL;
	default:
		return ECONNREFUSED;
	}
}

int gate_tcp_connect(struct gate_fd *f, const struct endpoint *to)
{
	struct sim *s = f->gate->s;
	struct sim_conn *c = sim_conn_of(s, to->port - SIM_FAR_PORT + SIM_PORT);
	struct far *far = c ? &c->far : NULL;
	struct endpoint want = c ? sim_far_end(s, c->guest.port) : *to;

	if (!c || !addr_eq(&want.addr, &to->addr))
		return sim_fail(s, "a dial to port %u, where nobody lives", to->port), -ECONNREFUSED;
	if (far->live)
		return sim_fail(s, "%u is dialed twice", c->guest.port), -ECONNREFUSED;
	if (far->gone || far->dial == FAR_REFUSED_AT_ONCE) { /* gone: an old SYN that was long under way */
		far->refuses |= !far->gone;
		return -tcp_refusal(far->refuses ? far->refusal : R_DIAL_REFUSED);
	}
	f->conn = c;
	f->state = GATE_DIALING;
	far->live = true;
	far->sock = f;
	far->cap = MAX(far->cap, GATE_CAP_MIN);
	far->drain_max = MAX(far->drain_max, GATE_CAP_MIN / 4);
	far->rcv_max = f->rcvbuf / 2;
	far->dial_began = s->now;
	far->dial_at = s->now + far->dial_gap;
	return -EINPROGRESS;
}

static void tcp_connected(struct sim_conn *c)
{
	struct gate_fd *f = c->far.sock;

	f->state = GATE_OPEN;
	gate_wake(f, EPOLLOUT);
}

static void tcp_die(struct gate_fd *f, int err)
{
	f->err = err;
	f->state = GATE_DEAD;
	gate_wake(f, EPOLLERR);
}

static void tcp_refused(struct sim_conn *c)
{
	tcp_die(c->far.sock, tcp_refusal(c->far.refusal));
}

static void tcp_readable(struct sim_conn *c)
{
	struct gate_fd *f = c->far.sock;

	if (c->far.eof)
		gate_wake(f, EPOLLIN | EPOLLRDHUP | (c->far.shut ? EPOLLHUP : 0));
	else if (tcp_queued(f) >= f->lowat)
		gate_wake(f, EPOLLIN);
}

static void tcp_writable_again(struct sim_conn *c)
{
	struct gate_fd *f = c->far.sock;

	if (!f->nospace || !tcp_writable(f))
		return;
	f->nospace = false;
	gate_wake(f, EPOLLOUT);
}

static void tcp_failed(struct sim_conn *c)
{
	tcp_die(c->far.sock, c->far.eof ? EPIPE : ECONNRESET);
}

const struct far_told gate_tcp_told = {
	.connected = tcp_connected,
	.refused = tcp_refused,
	.readable = tcp_readable,
	.writable = tcp_writable_again,
	.failed = tcp_failed,
};

/* ---- data */

static int tcp_error(struct gate_fd *f)
{
	int err = f->err;

	f->err = 0;
	return -err;
}

/* A read that began before the urgent byte ends there (SO_OOBINLINE). */
static uint32_t tcp_stop(const struct far *far, uint32_t from)
{
	return far->mark > from && far->mark < far->offered ? far->mark : far->offered;
}

static ssize_t tcp_consume(struct gate_fd *f, size_t len)
{
	struct far *far = &f->conn->far;
	const struct guest *g = &f->conn->guest;
	uint32_t n = (uint32_t)MIN(len, tcp_stop(far, far->consumed) - far->consumed);

	far->consumed += n;
	if (far->consumed > far->mark)
		far->mark = 0;
	if (far->consumed > g->rcv_nxt - g->irs - 1)
		sim_fail(g->sim, "%u consumed up to byte %u, the guest has %u", g->port, far->consumed, g->rcv_nxt - g->irs - 1);
	if (f->peek_off > 0)
		f->peek_off -= MIN((int)n, f->peek_off);
	far_room(f->conn);
	return n;
}

ssize_t gate_tcp_recv(struct gate_fd *f, const struct iovec *iov, int n, size_t len, int flags)
{
	const struct far *far = &f->conn->far;
	uint32_t at = far->consumed + (flags & MSG_PEEK && f->peek_off > 0 ? (uint32_t)f->peek_off : 0), from = at;

	if (far->offered <= at) {
		if (!far->eof && f->err)
			return tcp_error(f);
		return far->eof || f->state == GATE_DEAD ? 0 : -EAGAIN;
	}
	if (flags & MSG_TRUNC)
		return tcp_consume(f, len);
	if (!(flags & MSG_PEEK))
		sim_fail(f->gate->s, "payload is read and not peeked at");
	if (f->gate->s->broken == SIM_FALSE_FIN && at > SIM_BROKEN_AT)
		return 0;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len && at < tcp_stop(far, from); k++, at++)
			((uint8_t *)iov[i].iov_base)[k] = sim_broken_byte(f->conn, true, at);
	if (f->peek_off >= 0)
		f->peek_off += (int)(at - from);
	return (ssize_t)(at - from);
}

static ssize_t tcp_take(struct gate_fd *f, const struct iovec *iov, int n, uint32_t takes)
{
	struct sim_conn *c = f->conn;
	struct far *far = &c->far;
	uint32_t left = takes;

	for (int i = 0; i < n && left; i++)
		for (size_t k = 0; k < iov[i].iov_len && left; k++, left--, far->written++)
			if (((const uint8_t *)iov[i].iov_base)[k] != sim_byte(c, false, far->written))
				return sim_fail(c->sim, "%u byte %u reached the host wrong", c->guest.port, far->written) - 1;
	if (far->written > c->guest.max - c->guest.iss - 1)
		sim_fail(c->sim, "%u the host got %u bytes, the guest sent less", c->guest.port, far->written);
	if (far->drain_at == SIM_NEVER)
		far->drain_at = c->sim->now + sim_time(c->sim, 0, far->drain_gap);
	return takes;
}

ssize_t gate_tcp_send(struct gate_fd *f, const struct iovec *iov, int n)
{
	struct sim *s = f->gate->s;
	struct far *far = &f->conn->far;
	uint32_t total = 0, takes;

	if (f->err)
		return tcp_error(f);
	if (f->state != GATE_OPEN || far->shut)
		return -EPIPE;
	for (int i = 0; i < n; i++)
		total += (uint32_t)iov[i].iov_len;
	if (gate_fault(f->gate, f->gate->enobufs, "ENOBUFS"))
		return -ENOBUFS;
	takes = MIN(total, far->cap - tcp_unsent(f));
	if (far->take_max)
		takes = MIN(takes, far->take_max);
	if (sim_chance(s, far->shy))
		takes = sim_rand(s, takes + 1);
	f->nospace |= takes < total;
	if (takes < total && tcp_unsent(f) + takes == 0)
		takes = 1; /* an empty buffer takes something: else nothing would drain and tell */
	return takes ? tcp_take(f, iov, n, takes) : -EAGAIN;
}

/* ---- options */

int gate_tcp_set(struct gate_fd *f, int level, int name, const void *value)
{
	int v = *(const int *)value;

	if (level != SOL_SOCKET)
		return 0;
	if (name == SO_PEEK_OFF) {
		if (f->gate->no_peek_off)
			return -EOPNOTSUPP;
		f->peek_off = v;
	} else if (name == SO_LINGER) {
		f->linger = ((const struct linger *)value)->l_onoff && !((const struct linger *)value)->l_linger;
	} else if (name == SO_RCVLOWAT) {
		f->lowat = (uint32_t)MAX(v, 1);
		f->rcvbuf = MAX(f->rcvbuf, MIN(2u * (uint32_t)v, GATE_RCVBUF_MAX));
		if (f->conn) {
			f->conn->far.rcv_max = f->rcvbuf / 2;
			far_room(f->conn);
		}
	}
	return 0;
}

int gate_tcp_get(struct gate_fd *f, int name, void *value, socklen_t *len)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };

	if (name == SO_ERROR) {
		*(int *)value = -tcp_error(f);
	} else if (name == SO_RCVBUF) {
		*(int *)value = (int)f->rcvbuf;
	} else if (name == SO_MEMINFO) {
		mem[SK_MEMINFO_SNDBUF] = f->conn->far.cap;
		mem[SK_MEMINFO_WMEM_QUEUED] = tcp_wmem(f);
		memcpy(value, mem, MIN(*len, sizeof(mem)));
	}
	return 0;
}

/* ---- the end */

int gate_tcp_shutdown(struct gate_fd *f)
{
	const struct guest *g = &f->conn->guest;
	struct far *far = &f->conn->far;

	if (f->state != GATE_OPEN)
		return -ENOTCONN;
	if (far->shut)
		sim_fail(g->sim, "%u shutdown() twice", g->port);
	if (!g->fin_sent || far->written != g->total)
		sim_fail(g->sim, "%u shutdown() after %u of %u bytes, the guest's FIN %s", g->port, far->written, g->total,
			 g->fin_sent ? "sent" : "not sent");
	far->shut = true;
	if (far->eof)
		gate_wake(f, EPOLLHUP);
	return 0;
}

void gate_tcp_close(struct gate_fd *f)
{
	struct sim_conn *c = f->conn;
	struct sim *s = f->gate->s;
	struct far *far = c ? &c->far : NULL;
	bool told = c && c->guest.state == GUEST_RESET && c->guest.abort_at <= s->now;

	if (!c)
		return;
	sim_note(s, "%u closed, state %d%s", c->guest.port, f->state, f->linger ? ", with RST" : "");
	far->sock = NULL;
	if (!f->gate->started || f->gate->over) {
		far_over(far, R_SHUTDOWN);
	} else if (f->state == GATE_DIALING || far->dial == FAR_REFUSED) {
		if (f->state == GATE_DIALING && s->now - far->dial_began < GATE_DIAL_PATIENCE && !told && !s->faults && c->guest.state != GUEST_RESET)
			sim_fail(s, "%u a dial is given up after %.3f s", c->guest.port, (double)(s->now - far->dial_began) / SIM_S);
		if (f->state == GATE_DIALING)
			far->refusal = R_DIAL_TIMEOUT;
		far->dial = FAR_REFUSED;
		far_over(far, far->refusal);
	} else {
		far->aborted |= f->linger || tcp_queued(f);
		far_over(far, far->failed ? R_HOST_RESET : !far->aborted ? R_CLOSED : told ? R_GUEST_RESET : R_GUEST_SILENT);
	}
}
