/* host_tcp.c - six calls over a TCP socket.  See host_tcp.h.
 *
 * System calls: recvmsg, recvfrom, sendmsg, setsockopt, getsockopt, shutdown, ioctl, close, epoll_ctl (through loop.c).
 */
#include "gateway/host_tcp.h"

#include "slirp/base/list.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

_Static_assert((uint32_t)HOST_TCP_EVENTS == (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET), "the header spells the mask out");

enum {
	HOST_SCRATCH = 64 << 10,	/* bytes that a fallback peek copies over and over */
	HOST_SCRATCH_IOV = 1000,	/* below UIO_MAXIOV: offsets of up to 64 MiB */
	HOST_RAISE_FIRST = 64 << 10,	/* held bytes that make us look at the buffer's size for the first time */
	HOST_RAISE_MAX = 8 << 20,	/* of buffer: half of it holds payload, the rest is the kernel's bookkeeping */
	HOST_SPACE_SURE = 512 << 10,	/* a lower bound this large needs no system call to be renewed */
};

static struct host_tcp *host_of(struct upstream *up)
{
	return container_of(up, struct host_tcp, up);
}

static int host_latch(struct host_tcp *h, int err)
{
	if (!h->err)
		h->err = err;
	return h->err;
}

/* ------------------------------------------------------------------ peek and consume */

/* Without SO_PEEK_OFF one read has to pass the bytes in front, and urgent data stops a read at its mark.  More than `off` bytes are then
 * queued though no peek returns any: reading goes on when those in front have been consumed. */
static bool host_before_mark(const struct host_tcp *h, uint32_t off)
{
	int queued = 0;

	return h->peek_mode == HOST_TCP_PEEK_COPY && !ioctl(h->fd, SIOCINQ, &queued) && queued > 0 && (uint32_t)queued > off;
}

/* Without SO_PEEK_OFF the bytes in front are copied into scratch memory.  EOF and "nothing yet" look alike: EOF is when the far side has
 * closed and the queue ends exactly here. */
static ssize_t host_peek_copying(struct host_tcp *h, uint32_t off, const struct iovec *iov, int n)
{
	static const int room = HOST_SCRATCH_IOV + 64;
	struct iovec v[HOST_SCRATCH_IOV + 64];
	uint8_t scratch[HOST_SCRATCH];
	struct msghdr msg = { .msg_iov = v };
	uint32_t left = off;
	ssize_t got;

	while (left && msg.msg_iovlen < HOST_SCRATCH_IOV) {
		uint32_t len = left < HOST_SCRATCH ? left : HOST_SCRATCH;

		v[msg.msg_iovlen++] = (struct iovec){ scratch, len };
		left -= len;
	}
	if (left)
		return -EAGAIN;
	for (int i = 0; i < n && (int)msg.msg_iovlen < room; i++)
		v[msg.msg_iovlen++] = iov[i];
	got = recvmsg(h->fd, &msg, MSG_PEEK | MSG_DONTWAIT);
	if (got < 0)
		return -errno;
	if ((size_t)got > off)
		return got - (ssize_t)off;
	return (size_t)got == off && h->rdhup && !host_before_mark(h, off) ? 0 : -EAGAIN;
}

static ssize_t host_peek_at(struct host_tcp *h, uint32_t off, const struct iovec *iov, int n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
	ssize_t got;
	int at = (int)off;

	if (h->peek_mode == HOST_TCP_PEEK_COPY && off)
		return host_peek_copying(h, off, iov, n);
	if (h->peek_mode == HOST_TCP_PEEK_OFF ? off != h->kernel_at : off) {
		if (setsockopt(h->fd, SOL_SOCKET, SO_PEEK_OFF, &at, sizeof(at))) {
			h->peek_mode = HOST_TCP_PEEK_COPY; /* this kernel, or this family, has it not */
			return host_peek_copying(h, off, iov, n);
		}
		h->peek_mode = HOST_TCP_PEEK_OFF;
		h->kernel_at = off; /* also when nothing comes of it */
	}
	got = recvmsg(h->fd, &msg, MSG_PEEK | MSG_DONTWAIT);
	if (got < 0)
		return -errno;
	h->kernel_at = off + (uint32_t)got;
	return got;
}

/* SO_RCVLOWAT grows the buffer without privilege and leaves the kernel's own tuning on; the mark goes back to 1 at once.  How much room
 * the kernel makes for a mark depends on the overhead it has seen in this connection: from the mark itself to several times as much.
 * Returns the size that has come of it. */
static int host_mark(struct host_tcp *h, int mark)
{
	int size = 0, one = 1;
	socklen_t len = sizeof(size);

	setsockopt(h->fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
	setsockopt(h->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	getsockopt(h->fd, SOL_SOCKET, SO_RCVBUF, &size, &len);
	return size;
}

/* Doubles the receive buffer, as far as the pool's budget goes. */
static void host_raise(struct host_tcp *h)
{
	int size = 0, want, got;
	socklen_t len = sizeof(size);
	uint32_t gain;

	h->raise_at = UINT32_MAX;
	if (h->pool->no_raise || getsockopt(h->fd, SOL_SOCKET, SO_RCVBUF, &size, &len))
		return;
	if (h->peek_at <= (uint32_t)size / 4) { /* the kernel has grown it by itself */
		h->raise_at = (uint32_t)size / 4;
		return;
	}
	want = size < HOST_RAISE_MAX / 2 ? size * 2 : HOST_RAISE_MAX;
	if (want <= size || (uint64_t)(want - size) > h->pool->rcvbuf_budget)
		return;
	got = host_mark(h, want / 2);
	if (got < want - want / 4)
		got = host_mark(h, want);
	if (got <= size)
		return;
	gain = (uint32_t)(got - size);
	if (gain > h->pool->rcvbuf_budget)
		gain = (uint32_t)h->pool->rcvbuf_budget;
	h->raised += gain;
	h->pool->rcvbuf_budget -= gain;
	h->raise_at = (uint32_t)got / 4;
}

static size_t host_room(const struct iovec *iov, int n)
{
	size_t room = 0;

	for (int i = 0; i < n; i++)
		room += iov[i].iov_len;
	return room;
}

ssize_t host_tcp_peek(struct upstream *up, uint32_t off, const struct iovec *iov, int n)
{
	struct host_tcp *h = host_of(up);
	ssize_t got;

	if (h->err)
		return h->err;
	if (!h->can_read && off >= h->peek_at)
		return -EAGAIN;
	got = host_peek_at(h, off, iov, n);
	if (got == -EAGAIN) {
		h->can_read = host_before_mark(h, off);
		return got;
	}
	if (got < 0)
		return host_latch(h, (int)got);
	if (off + (uint32_t)got > h->peek_at)
		h->peek_at = off + (uint32_t)got;
	if (!h->rdhup && !h->urgent && !h->peeks_short && (size_t)got < host_room(iov, n))
		h->can_read = false; /* emptied: what comes now is a new edge */
	if (h->peek_at > h->raise_at)
		host_raise(h);
	return got;
}

static void host_consume(struct upstream *up, uint32_t n)
{
	struct host_tcp *h = host_of(up);

	while (n) {
		ssize_t got = recv(h->fd, NULL, n, MSG_TRUNC | MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return;
		n -= (uint32_t)got;
		h->peek_at -= (uint32_t)got < h->peek_at ? (uint32_t)got : h->peek_at;
		h->kernel_at -= (uint32_t)got < h->kernel_at ? (uint32_t)got : h->kernel_at;
	}
}

/* ------------------------------------------------------------------ write and space */

ssize_t host_tcp_write(struct upstream *up, const struct iovec *iov, int n)
{
	struct host_tcp *h = host_of(up);
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
	uint32_t cost;
	ssize_t got;

	if (h->err)
		return h->err;
	got = sendmsg(h->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (got < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
			return host_latch(h, -errno);
		got = 0;
	}
	cost = (uint32_t)got + (uint32_t)got / 8 + 1024; /* the kernel's bookkeeping counts too */
	h->space_left -= cost < h->space_left ? cost : h->space_left;
	return got;
}

/* The kernel reports writability when a third of the buffer is free; below that an edge comes if somebody has asked since.  Re-arming asks.
 * At or above a third no edge is needed: the guest has a window to go on with. */
static uint32_t host_space(struct upstream *up)
{
	struct host_tcp *h = host_of(up);
	uint32_t mem[SK_MEMINFO_VARS], room;
	socklen_t len = sizeof(mem);

	if (h->err)
		return 0;
	if (h->space_left >= HOST_SPACE_SURE)
		return h->space_left;
	if (getsockopt(h->fd, SOL_SOCKET, SO_MEMINFO, mem, &len))
		return 0;
	room = mem[SK_MEMINFO_SNDBUF] > mem[SK_MEMINFO_WMEM_QUEUED] ? mem[SK_MEMINFO_SNDBUF] - mem[SK_MEMINFO_WMEM_QUEUED] : 0;
	if (room < mem[SK_MEMINFO_WMEM_QUEUED] / 2 && !h->armed) {
		h->armed = true;
		loop_watch_rearm(h->pool->loop, h->watch, (uint32_t)HOST_TCP_EVENTS);
	}
	h->space_left = room - room / 4; /* skb overhead: a quarter covers full segments */
	return h->space_left;
}

/* ------------------------------------------------------------------ the end */

void host_tcp_shutdown(struct upstream *up)
{
	shutdown(host_of(up)->fd, SHUT_WR);
}

static void host_abort(struct upstream *up)
{
	struct host_tcp *h = host_of(up);
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (h->fd < 0)
		return;
	setsockopt(h->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	host_tcp_close(h);
}

void host_tcp_close(struct host_tcp *h)
{
	if (h->fd < 0)
		return;
	loop_watch_close(h->pool->loop, h->watch);
	h->fd = -1;
	h->pool->rcvbuf_budget += h->raised;
	h->raised = 0;
}

static const struct upstream_ops host_tcp_ops = {
	.peek = host_tcp_peek,
	.consume = host_consume,
	.write = host_tcp_write,
	.shutdown = host_tcp_shutdown,
	.abort = host_abort,
	.space = host_space,
};

int host_tcp_prepare(int fd)
{
	int one = 1;

	/* urgent data is plain data: offsets stay true */
	if (setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)) || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		return -errno;
	return 0;
}

void host_tcp_init(struct host_tcp *h, struct host_tcp_pool *pool, int fd, struct loop_watch *watch)
{
	*h = (struct host_tcp){ .up.ops = &host_tcp_ops, .pool = pool, .watch = watch, .fd = fd, .raise_at = HOST_RAISE_FIRST,
				.peek_mode = pool->no_peek_off ? HOST_TCP_PEEK_COPY : HOST_TCP_PEEK_FRONT };
}

bool host_tcp_event(struct host_tcp *h, uint32_t events)
{
	if (events & EPOLLERR) {
		int err = 0;
		socklen_t len = sizeof(err);

		if (!getsockopt(h->fd, SOL_SOCKET, SO_ERROR, &err, &len) && err)
			host_latch(h, -err);
	}
	if (events & (EPOLLRDHUP | EPOLLHUP))
		h->rdhup = true;
	if (events & EPOLLPRI)
		h->urgent = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
		h->can_read = true;
	if (events & EPOLLOUT && h->armed) {
		h->armed = false;
		h->space_left = 0; /* ask anew */
	}
	return h->err != 0;
}
