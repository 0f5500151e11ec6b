/* gate_sys.c - the gateway's system calls: the linker (--wrap) sends them here; descriptors below GATE_FD are the kernel's.
 *
 * Below: gate_epoll.c, gate_tcp.c, gate_udp.c.  Above: gateway/, by way of the linker.
 *
 * prefixes: gate_ __wrap_
 */
#include "gateway/hostsock.h"
#include "tests/sim/gate.h"
#include "tests/sim/gate_wrap.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { GATE_NOFILE = 4096 };

struct gate *gate_now;

bool gate_fault(struct gate *g, uint32_t chance, const char *what)
{
	if (!g->started || g->over || !sim_chance(g->s, chance))
		return false;
	g->s->faults++;
	sim_note(g->s, "%s", what);
	return true;
}

struct gate_fd *gate_fd(int fd)
{
	struct gate_fd *f = gate_now && fd >= GATE_FD && fd < GATE_FD + GATE_FDS ? &gate_now->fds[fd - GATE_FD] : NULL;

	if (fd >= GATE_FD && gate_now && (!f || !f->kind))
		sim_fail(gate_now->s, "a call on descriptor %d, which is closed", fd);
	return f && f->kind ? f : NULL;
}

struct gate_fd *gate_fd_new(struct gate *g, enum gate_kind kind)
{
	for (int i = 0; i < GATE_FDS; i++) {
		if (g->fds[i].kind)
			continue;
		g->fds[i] = (struct gate_fd){ .gate = g, .kind = kind, .fd = GATE_FD + i, .peek_off = -1, .lowat = 1, .rcvbuf = 131072 };
		g->open += kind >= GATE_TCP;
		return &g->fds[i];
	}
	sim_fail(g->s, "descriptors leak");
	return &g->fds[GATE_FDS - 1];
}

void gate_fd_free(struct gate_fd *f)
{
	struct gate *g = f->gate;

	if (f->kind == GATE_TCP)
		gate_tcp_close(f);
	else if (f->kind >= GATE_UDP)
		gate_udp_close(f);
	if (f->set)
		g_queue_remove(&f->set->ready, f);
	for (int i = 0; i < GATE_FDS && f->kind == GATE_EPOLL; i++)
		if (g->fds[i].set == f)
			g->fds[i].set = NULL;
	g_queue_clear(&f->ready);
	g->open -= f->kind >= GATE_TCP;
	f->kind = GATE_FREE;
	f->set = NULL;
}

/* What a call of ours returns, as the C library does it. */
static ssize_t gate_ret(ssize_t r)
{
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

/* ---- descriptors */

int __wrap_socket(int domain, int type, int protocol)
{
	struct gate *g = gate_now;
	struct gate_fd *f;

	if (!g)
		return __real_socket(domain, type, protocol);
	if (gate_fault(g, g->emfile, "EMFILE"))
		return (int)gate_ret(-EMFILE);
	f = gate_fd_new(g, (type & 0xf) == SOCK_STREAM ? GATE_TCP : protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 ? GATE_PING : GATE_UDP);
	f->v6 = domain == AF_INET6;
	return f->fd;
}

int __wrap_close(int fd)
{
	struct gate_fd *f = fd < GATE_FD ? NULL : gate_fd(fd);

	if (fd < GATE_FD)
		return __real_close(fd);
	if (!f)
		return (int)gate_ret(-EBADF);
	if (gate_now->s->broken == SIM_LEAKS_FLOW && f->kind == GATE_TCP && f->set)
		return gate_epoll_ctl(f->set, EPOLL_CTL_DEL, f, NULL); /* as if nobody had called */
	gate_fd_free(f);
	return 0;
}

int __wrap_epoll_create1(int flags)
{
	return gate_now ? gate_fd_new(gate_now, GATE_EPOLL)->fd : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *e)
{
	struct gate_fd *set = gate_fd(epfd), *f = set && fd >= GATE_FD ? gate_fd(fd) : NULL;

	if (!set)
		return __real_epoll_ctl(epfd, op, fd, e);
	if (fd < GATE_FD)
		return 0; /* GLib's own, which nothing rings */
	if (!f)
		return (int)gate_ret(-EBADF);
	if (op == EPOLL_CTL_ADD && gate_fault(gate_now, gate_now->enomem, "epoll_ctl: ENOMEM"))
		return (int)gate_ret(-ENOMEM);
	return (int)gate_ret(gate_epoll_ctl(set, op, f, e));
}

int __wrap_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	struct gate_fd *set = gate_fd(epfd);

	if (!set)
		return __real_epoll_wait(epfd, events, max, timeout);
	gate_wait(gate_now, set, timeout);
	return gate_epoll_take(set, events, max);
}

int __wrap_eventfd(unsigned int count, int flags)
{
	return gate_now ? gate_fd_new(gate_now, GATE_EVENT)->fd : __real_eventfd(count, flags);
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	return fd < GATE_FD ? __real_write(fd, p, n) : (ssize_t)n; /* the bell: the world looks at loop_due() anyway */
}

ssize_t __wrap_getrandom(void *p, size_t n, unsigned int flags)
{
	if (!gate_now)
		return __real_getrandom(p, n, flags);
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = (uint8_t)sim_rand(gate_now->s, 256);
	return (ssize_t)n;
}

int __wrap_getrlimit64(int what, struct rlimit64 *ret)
{
	if (!gate_now || what != RLIMIT_NOFILE)
		return __real_getrlimit64(what, ret);
	*ret = (struct rlimit64){ GATE_NOFILE, GATE_NOFILE };
	return 0;
}

/* ---- names and options */

int __wrap_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	return fd < GATE_FD ? __real_bind(fd, sa, len) : 0;
}

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct gate_fd *f = fd < GATE_FD ? NULL : gate_fd(fd);
	struct endpoint to;

	if (!f)
		return __real_connect(fd, sa, len);
	if (f->kind == GATE_UDP && sa->sa_family == AF_UNSPEC) {
		gate_udp_part(f);
		return 0;
	}
	if (!hostsock_endpoint((const struct sockaddr_storage *)sa, &to))
		return (int)gate_ret(-EAFNOSUPPORT);
	if (f->kind == GATE_TCP)
		return (int)gate_ret(gate_tcp_connect(f, &to));
	f->to = to;
	return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	if (fd < GATE_FD)
		return __real_getsockname(fd, sa, len);
	*len = hostsock_sockaddr(&(struct endpoint){ sim_addr("198.51.100.1"), (uint16_t)(fd - GATE_FD) }, (struct sockaddr_storage *)sa);
	return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	struct gate_fd *f = fd < GATE_FD ? NULL : gate_fd(fd);

	if (!f)
		return __real_setsockopt(fd, level, name, value, len);
	return f->kind == GATE_TCP && len >= sizeof(int) ? (int)gate_ret(gate_tcp_set(f, level, name, value)) : 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct gate_fd *f = fd < GATE_FD ? NULL : gate_fd(fd);

	if (!f)
		return __real_getsockopt(fd, level, name, value, len);
	memset(value, 0, *len);
	if (f->kind == GATE_TCP)
		return (int)gate_ret(gate_tcp_get(f, name, value, len));
	if (name == SO_ERROR) {
		*(int *)value = f->err;
		f->err = 0;
	}
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct gate_fd *f = fd < GATE_FD ? NULL : gate_fd(fd);

	if (!f)
		return __real_ioctl(fd, request, arg);
	if (request == SIOCINQ && f->kind == GATE_TCP && f->conn)
		*(int *)arg = (int)(f->conn->far.offered - f->conn->far.consumed);
	return 0;
}

int __wrap_shutdown(int fd, int how)
{
	return fd < GATE_FD ? __real_shutdown(fd, how) : (int)gate_ret(gate_tcp_shutdown(gate_fd(fd)));
}

/* ---- data */

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	struct gate_fd *f = fd < GATE_FD ? NULL : gate_fd(fd);

	if (!f)
		return __real_recvmsg(fd, m, flags);
	return gate_ret(f->kind == GATE_TCP ? gate_tcp_recv(f, m->msg_iov, (int)m->msg_iovlen, 0, flags) : gate_udp_recv(f, m, flags));
}

ssize_t __wrap_recv(int fd, void *p, size_t n, int flags)
{
	struct gate_fd *f = fd < GATE_FD ? NULL : gate_fd(fd);
	struct iovec iov = { p, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (!f)
		return __real_recv(fd, p, n, flags);
	return gate_ret(f->kind == GATE_TCP ? gate_tcp_recv(f, &iov, p ? 1 : 0, n, flags) : gate_udp_recv(f, &m, flags));
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct gate_fd *f = fd < GATE_FD ? NULL : gate_fd(fd);

	if (!f)
		return __real_sendmsg(fd, m, flags);
	return gate_ret(f->kind == GATE_TCP ? gate_tcp_send(f, m->msg_iov, (int)m->msg_iovlen) : gate_udp_send(f, m));
}

ssize_t __wrap_send(int fd, const void *p, size_t n, int flags)
{
	struct iovec iov = { (void *)p, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	return fd < GATE_FD ? __real_send(fd, p, n, flags) : __wrap_sendmsg(fd, &m, flags);
}

int __wrap_sendmmsg(int fd, struct mmsghdr *mm, unsigned int n, int flags)
{
	struct gate_fd *f = fd < GATE_FD ? NULL : gate_fd(fd);
	ssize_t r = 0;
	unsigned int i;

	if (!f)
		return __real_sendmmsg(fd, mm, n, flags);
	for (i = 0; i < n && r >= 0; i += r >= 0) {
		r = gate_udp_send(f, &mm[i].msg_hdr);
		mm[i].msg_len = r > 0 ? (unsigned int)r : 0;
	}
	return i ? (int)i : (int)gate_ret(r); /* what failed behind others is told by the next call */
}

int __wrap_recvmmsg(int fd, struct mmsghdr *mm, unsigned int n, int flags, struct timespec *t)
{
	struct gate_fd *f = fd < GATE_FD ? NULL : gate_fd(fd);
	ssize_t r = 0;
	unsigned int i;

	if (!f)
		return __real_recvmmsg(fd, mm, n, flags, t);
	for (i = 0; i < n; i++) {
		r = gate_udp_recv(f, &mm[i].msg_hdr, flags);
		if (r < 0)
			break;
		mm[i].msg_len = (unsigned int)r;
	}
	return i ? (int)i : (int)gate_ret(r);
}

/* ---- time, for a loop in GLib */

gint64 __wrap_g_get_monotonic_time(void)
{
	return gate_now ? gate_now->s->now : __real_g_get_monotonic_time();
}

gint64 __wrap_g_source_get_time(GSource *source)
{
	return gate_now ? gate_now->s->now : __real_g_source_get_time(source);
}
