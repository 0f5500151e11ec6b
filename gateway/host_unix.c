/* host_unix.c - six calls over an AF_UNIX stream socket, three of them TCP's.  See host_unix.h.
 *
 * System calls: recv, getsockopt, socket, connect, close, epoll_ctl (through loop.c).
 */
#include "gateway/host_unix.h"

#include "slirp/base/list.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

enum {
	UNIX_SCRATCH = 64 << 10, /* bytes that are consumed at a time */
	UNIX_OVERHEAD = 4096,	 /* a buffer's bookkeeping, and pages that it does not fill */
};

static struct host_tcp *unix_of(struct upstream *up)
{
	return container_of(up, struct host_tcp, up);
}

static void unix_consume(struct upstream *up, uint32_t n)
{
	struct host_tcp *h = unix_of(up);
	uint8_t scratch[UNIX_SCRATCH];

	while (n) {
		ssize_t got = recv(h->fd, scratch, n < UNIX_SCRATCH ? n : UNIX_SCRATCH, MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return;
		n -= (uint32_t)got;
		h->peek_at -= (uint32_t)got < h->peek_at ? (uint32_t)got : h->peek_at;
		h->kernel_at -= (uint32_t)got < h->kernel_at ? (uint32_t)got : h->kernel_at;
	}
}

/* The kernel takes a whole buffer as long as any room is left, so what is promised here always fits.  Its next EPOLLOUT comes with three quarters
 * free, if somebody has asked since: asked below that, whatever the guest has left. */
static uint32_t unix_space(struct upstream *up)
{
	struct host_tcp *h = unix_of(up);
	uint32_t mem[SK_MEMINFO_VARS], room, used;
	socklen_t len = sizeof(mem);

	if (h->err || getsockopt(h->fd, SOL_SOCKET, SO_MEMINFO, mem, &len))
		return 0;
	used = mem[SK_MEMINFO_WMEM_ALLOC];
	room = mem[SK_MEMINFO_SNDBUF] > used ? mem[SK_MEMINFO_SNDBUF] - used : 0;
	if (used > mem[SK_MEMINFO_SNDBUF] / 4 && !h->armed) {
		h->armed = true;
		loop_watch_rearm(h->pool->loop, h->watch, (uint32_t)HOST_TCP_EVENTS);
	}
	room -= room / 4;
	return room > UNIX_OVERHEAD ? room - UNIX_OVERHEAD : used ? 0 : room;
}

/* What is unread turns the close into a reset; there is no other way to say it. */
static void unix_abort(struct upstream *up)
{
	host_tcp_close(unix_of(up));
}

static const struct upstream_ops host_unix_ops = {
	.peek = host_tcp_peek,
	.consume = unix_consume,
	.write = host_tcp_write,
	.shutdown = host_tcp_shutdown,
	.abort = unix_abort,
	.space = unix_space,
};

void host_unix_init(struct host_tcp *h, struct host_tcp_pool *pool, int fd, struct loop_watch *watch)
{
	host_tcp_init(h, pool, fd, watch);
	h->up.ops = &host_unix_ops;
	h->raise_at = UINT32_MAX;
	h->peeks_short = true;
}

int host_unix_dial(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		return fd;
	err = errno == ENOENT || errno == EAGAIN ? ECONNREFUSED : errno; /* no such service; its backlog is full */
	close(fd);
	return -err;
}
