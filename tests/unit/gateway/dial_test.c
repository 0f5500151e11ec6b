/* dial_test.c - dialing on the loopback: every outcome, and what each errno means to a guest. B1, B5, F2. */
#include "gateway/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct hostsock_origin nowhere;

static struct endpoint at(const char *addr, uint16_t port)
{
	struct endpoint e = { .port = port };

	g_assert_true(addr_parse(addr, &e.addr, NULL));
	return e;
}

/* A bound socket, listening or not; *e gets its port. */
static int place(struct endpoint *e, bool listening)
{
	struct sockaddr_storage ss;
	socklen_t len = hostsock_sockaddr(e, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_assert_cmpint(bind(fd, (struct sockaddr *)&ss, len), ==, 0);
	if (listening)
		g_assert_cmpint(listen(fd, 4), ==, 0);
	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&ss, &len), ==, 0);
	g_assert_true(hostsock_endpoint(&ss, e));
	return fd;
}

/* Descriptor or -errno, whether the kernel says so at once or later. */
static int dial(const struct hostsock_origin *origin, const struct endpoint *to)
{
	int fd = dial_start(origin, to), err;
	struct pollfd p = { fd, POLLOUT, 0 };

	if (fd < 0)
		return fd;
	g_assert_cmpint(poll(&p, 1, 20000), ==, 1);
	err = dial_result(fd, (uint32_t)p.revents, to, true); /* the bits of poll and epoll are the same */
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int option(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	g_assert_cmpint(getsockopt(fd, level, name, &value, &len), ==, 0);
	return value;
}

static void connected(const void *addr)
{
	struct endpoint to = at(addr, 0);
	int listener = place(&to, true), fd = dial(&nowhere, &to);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
	g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	g_assert_cmpint(option(fd, SOL_SOCKET, SO_OOBINLINE), ==, 1);
	g_assert_cmpint(option(fd, IPPROTO_TCP, TCP_NODELAY), ==, 1);
	if (addr_is_v4(&to.addr)) /* else the first soft error would end the connection */
		g_assert_cmpint(option(fd, IPPROTO_IP, IP_RECVERR), ==, 0);
	close(fd);
	close(listener);
}

static void refused(const void *addr)
{
	struct endpoint to = at(addr, 0);
	int holder = place(&to, false), before = dup(0), after;

	close(before);
	g_assert_cmpint(dial(&nowhere, &to), ==, -ECONNREFUSED);
	after = dup(0);
	g_assert_cmpint(after, ==, before); /* nothing is left open */
	close(after);
	close(holder);
}

/* TCP's simultaneous open with oneself: forced by binding to the very port that is dialed. */
static void met_itself(const void *addr)
{
	struct endpoint to = at(addr, 0);
	struct sockaddr_storage ss;
	int fd = place(&to, false);
	socklen_t len = hostsock_sockaddr(&to, &ss);

	g_assert_cmpint(connect(fd, (struct sockaddr *)&ss, len), ==, 0); /* the fact */
	g_assert_cmpint(dial_result(fd, EPOLLOUT, &to, true), ==, -ECONNREFUSED);
	close(fd);
}

static void bad_origin(void)
{
	struct hostsock_origin not_ours = { .outbound4 = at("192.0.2.77", 0).addr };
	struct endpoint to = at("127.0.0.1", 9);

	g_assert_cmpint(dial(&not_ours, &to), ==, -EADDRNOTAVAIL);
}

static void no_descriptor(void)
{
	struct rlimit old, none;
	struct endpoint to = at("127.0.0.1", 9);
	int lowest = dup(0), err;

	close(lowest);
	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
	none = (struct rlimit){ (rlim_t)lowest, old.rlim_max };
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
	err = dial_start(&nowhere, &to);
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
	g_assert_cmpint(err, ==, -EMFILE);
	g_assert_cmpint(dial_reason(-err), ==, R_NO_DESCRIPTOR);
}

static void reasons(void)
{
	static const struct {
		int err;
		enum reason want;
	} row[] = {
		{ ECONNREFUSED, R_DIAL_REFUSED },   { ECONNRESET, R_DIAL_REFUSED },	 { ENETUNREACH, R_NET_UNREACHABLE },
		{ ENETDOWN, R_NET_UNREACHABLE },    { EADDRNOTAVAIL, R_NET_UNREACHABLE }, { EHOSTUNREACH, R_HOST_UNREACHABLE },
		{ EHOSTDOWN, R_HOST_UNREACHABLE },  { ENOPROTOOPT, R_HOST_UNREACHABLE }, { ETIMEDOUT, R_DIAL_TIMEOUT },
		{ EACCES, R_HOST_PROHIBITED },	    { EPERM, R_HOST_PROHIBITED },	 { EMFILE, R_NO_DESCRIPTOR },
		{ ENFILE, R_NO_DESCRIPTOR },	    { ENOMEM, R_NO_MEMORY },		 { ENOBUFS, R_NO_MEMORY },
		{ EAFNOSUPPORT, R_NET_UNREACHABLE }, { ENONET, R_HOST_UNREACHABLE },	 { EINVAL, R_HOST_ERROR },	    { EIO, R_HOST_ERROR },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(row); i++)
		g_assert_cmpint(dial_reason(row[i].err), ==, row[i].want);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_data_func("/dial/connected/v4", "127.0.0.1", connected);
	g_test_add_data_func("/dial/connected/v6", "::1", connected);
	g_test_add_data_func("/dial/refused/v4", "127.0.0.1", refused);
	g_test_add_data_func("/dial/refused/v6", "::1", refused);
	g_test_add_data_func("/dial/met-itself/v4", "127.0.0.1", met_itself);
	g_test_add_data_func("/dial/met-itself/v6", "::1", met_itself);
	g_test_add_func("/dial/bad-origin", bad_origin);
	g_test_add_func("/dial/no-descriptor", no_descriptor);
	g_test_add_func("/dial/reasons", reasons);
	return g_test_run();
}
