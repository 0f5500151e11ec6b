/* dial.c - non-blocking connect().  See dial.h.
 *
 * Trap: errno does not tell a packet filter from an unreachable host in IPv4 (ICMP 3/9, 3/10, 3/13); the error queue does.  It is asked for during
 * the dial alone, because with IP_RECVERR an established connection would fail at the first soft error.
 * Trap: the queue's EPOLLERR may come before the socket's error is set; no error is then not yet a success.
 * System calls: socket, setsockopt, bind, connect, getsockopt, getsockname, getpeername, recvmsg,
 * close.
 */
#include "gateway/dial.h"

#include "gateway/host_tcp.h"
#include "gateway/host_udp_err.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Only a nicety: a kernel that refuses leaves errno alone to tell. */
static void dial_listen_for_icmp(int fd, const struct endpoint *to, int on)
{
	if (addr_is_v4(&to->addr))
		(void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)); /* off empties the queue */
}

/* err is what the socket says, or 0; a better one, if the queue has an ICMP error. */
static int dial_said(int fd, int err)
{
	union {
		struct cmsghdr align;
		uint8_t b[256];
	} ctl;
	struct msghdr h = { .msg_control = &ctl, .msg_controllen = sizeof(ctl) };
	enum icmp_unreach why;

	if (recvmsg(fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return err;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		const struct sock_extended_err *ee = (const struct sock_extended_err *)CMSG_DATA(c);

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR && host_udp_err_icmp(ee, &why))
			return why == ICMP_UNREACH_ADMIN ? EACCES : err ? err : (int)ee->ee_errno;
	}
	return err;
}

int dial_start(const struct hostsock_origin *origin, const struct endpoint *to)
{
	int fd = hostsock_open(&to->addr, SOCK_STREAM, origin), err;
	struct sockaddr_storage ss;
	socklen_t len;

	if (fd < 0)
		return fd;
	err = host_tcp_prepare(fd);
	len = hostsock_sockaddr(to, &ss);
	dial_listen_for_icmp(fd, to, 1);
	if (!err && connect(fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS)
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* TCP's simultaneous open: a dial to a free port of our own ephemeral range can meet itself.  That takes an address of our own. */
static bool dial_met_itself(int fd, const struct endpoint *to)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct endpoint self;

	return !getsockname(fd, (struct sockaddr *)&ss, &len) && hostsock_endpoint(&ss, &self) && endpoint_eq(&self, to);
}

static bool dial_connected(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	return !getpeername(fd, (struct sockaddr *)&ss, &len);
}

int dial_result(int fd, uint32_t events, const struct endpoint *to, bool own)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (events & (EPOLLERR | EPOLLHUP)) {
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
			return -errno;
		err = dial_said(fd, err);
		if (err && !dial_connected(fd))
			return -err;
	}
	dial_listen_for_icmp(fd, to, 0);
	return own && dial_met_itself(fd, to) ? -ECONNREFUSED : 0;
}

enum reason dial_reason(int err)
{
	switch (err) {
	case ECONNREFUSED:
	case ECONNRESET:
		return R_DIAL_REFUSED;
	case ENETUNREACH:
	case ENETDOWN:
	case ENODEV: /* --outbound-if is away */
	case EADDRNOTAVAIL: /* no source address of that family */
	case EAFNOSUPPORT:
		return R_NET_UNREACHABLE;
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENONET:
	case ENOPROTOOPT:
		return R_HOST_UNREACHABLE;
	case ETIMEDOUT:
		return R_DIAL_TIMEOUT;
	case EACCES: /* a prohibiting route; ICMP or ICMPv6 administratively prohibited */
	case EPERM:  /* a packet filter of the host */
		return R_HOST_PROHIBITED;
	case EMFILE:
	case ENFILE:
		return R_NO_DESCRIPTOR;
	case ENOMEM:
	case ENOBUFS:
		return R_NO_MEMORY;
	default:
		return R_HOST_ERROR;
	}
}
