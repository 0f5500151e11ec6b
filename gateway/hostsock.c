/* hostsock.c - addresses and host sockets.
 *
 * What it is: where the data path calls socket().
 * What it is not: a dialer; nothing connects here.
 * System calls: socket setsockopt bind close getrlimit.
 * Below: slirp/base.  Above: see hostsock.h.
 */
#include "gateway/hostsock.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* 0 or -errno. */
static int hostsock_place(int fd, const struct addr *to, const struct hostsock_origin *origin)
{
	struct endpoint from = { .addr = addr_is_v4(to) ? origin->outbound4 : origin->outbound6 };
	struct sockaddr_storage ss;
	socklen_t len;
	int one = 1;

	len = (socklen_t)strnlen(origin->outbound_if, sizeof(origin->outbound_if));
	if (len && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, origin->outbound_if, len) < 0)
		return -errno;
	if (addr_eq(&from.addr, &addr_any))
		return 0;
	/* connect() chooses the port, per destination: else 28000 connections use up the address.  Only a saving. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	len = hostsock_sockaddr(&from, &ss);
	return bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

/* Descriptor or -errno. */
static int hostsock_make(const struct addr *to, int type, int protocol, const struct hostsock_origin *origin)
{
	int fd = socket(addr_is_v4(to) ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	int r;

	if (fd < 0)
		return -errno;
	r = hostsock_place(fd, to, origin);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int hostsock_open(const struct addr *to, int type, const struct hostsock_origin *origin)
{
	return hostsock_make(to, type, 0, origin);
}

int64_t hostsock_share(int part)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur / (rlim_t)part > INT32_MAX)
		return INT32_MAX;
	return rl.rlim_cur < (rlim_t)part ? 1 : (int64_t)rl.rlim_cur / part;
}

int hostsock_open_ping(const struct addr *to, const struct hostsock_origin *origin)
{
	return hostsock_make(to, SOCK_DGRAM, addr_is_v4(to) ? IPPROTO_ICMP : IPPROTO_ICMPV6, origin);
}

void hostsock_reset(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}
