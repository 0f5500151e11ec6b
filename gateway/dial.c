/* dial.c - non-blocking connect().  See dial.h.  System calls: socket, setsockopt, bind, connect, getsockopt, getsockname, close. */
#include "gateway/dial.h"

#include "gateway/host_tcp.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int dial_start(const struct hostsock_origin *origin, const struct endpoint *to)
{
	int fd = hostsock_open(&to->addr, SOCK_STREAM, origin), err;
	struct sockaddr_storage ss;
	socklen_t len;

	if (fd < 0)
		return fd;
	err = host_tcp_prepare(fd);
	len = hostsock_sockaddr(to, &ss);
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

int dial_result(int fd, uint32_t events, const struct endpoint *to, bool own)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (events & (EPOLLERR | EPOLLHUP) && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -errno;
	if (err)
		return -err;
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
	case EACCES: /* a prohibiting route; ICMPv6 administratively prohibited */
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
