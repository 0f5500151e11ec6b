/* hostsock_test.c - addresses to sockaddrs and back; where a socket stands.
 *
 * Below: gateway/hostsock.h.
 */
#include "gateway/hostsock.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

static struct addr addr_of(const char *text)
{
	struct addr a;

	g_assert_true(addr_parse(text, &a, NULL));
	return a;
}

static void sockaddr_round(void)
{
	static const struct {
		const char *addr;
		int family;
		socklen_t len;
	} row[] = {
		{ "192.0.2.1", AF_INET, sizeof(struct sockaddr_in) },
		{ "0.0.0.0", AF_INET, sizeof(struct sockaddr_in) },
		{ "::", AF_INET6, sizeof(struct sockaddr_in6) },
		{ "2001:db8::1", AF_INET6, sizeof(struct sockaddr_in6) },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
		struct endpoint e = { addr_of(row[i].addr), 0x1234 }, back;
		struct sockaddr_storage ss;

		g_assert_cmpuint(hostsock_sockaddr(&e, &ss), ==, row[i].len);
		g_assert_cmpint(ss.ss_family, ==, row[i].family);
		g_assert_true(hostsock_endpoint(&ss, &back));
		g_assert_true(endpoint_eq(&e, &back));
	}
}

static void sockaddr_unix(void)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNIX };
	struct endpoint e;

	g_assert_false(hostsock_endpoint(&ss, &e));
}

static void open_plain(void)
{
	struct hostsock_origin origin = { 0 };
	struct addr to = addr_of("127.0.0.1");
	int fd = hostsock_open(&to, SOCK_STREAM, &origin);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
	g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	close(fd);
}

/* The address is set at once, the port only when the destination is known. */
static void open_outbound(void)
{
	struct hostsock_origin origin = { .outbound4 = addr_of("127.0.0.9") };
	struct endpoint to = { addr_of("127.0.0.1"), 9 }, here;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = hostsock_open(&to.addr, SOCK_DGRAM, &origin);

	g_assert_cmpint(fd, >=, 0);
	len = hostsock_sockaddr(&to, &ss);
	g_assert_cmpint(connect(fd, (struct sockaddr *)&ss, len), ==, 0);
	len = sizeof(ss);
	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&ss, &len), ==, 0);
	g_assert_true(hostsock_endpoint(&ss, &here));
	g_assert_true(addr_eq(&here.addr, &origin.outbound4));
	g_assert_cmpuint(here.port, !=, 0);
	close(fd);
}

static void open_fails(void)
{
	struct hostsock_origin not_here = { .outbound4 = addr_of("192.0.2.77") };
	struct hostsock_origin no_device = { .outbound_if = "nosuchif0" };
	struct addr to = addr_of("127.0.0.1");
	int before = dup(0), after;

	g_assert_cmpint(hostsock_open(&to, SOCK_STREAM, &not_here), ==, -EADDRNOTAVAIL);
	g_assert_cmpint(hostsock_open(&to, SOCK_STREAM, &no_device), ==, -ENODEV);
	close(before);
	after = dup(0);
	g_assert_cmpint(after, ==, before); /* nothing was left open */
	close(after);
}

/* A part of the descriptor limit, never nothing. */
static void share(void)
{
	struct rlimit was, now;

	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &was), ==, 0);
	now = (struct rlimit){ 100, was.rlim_max };
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &now), ==, 0);
	g_assert_cmpint(hostsock_share(4), ==, 25);
	g_assert_cmpint(hostsock_share(8), ==, 12);
	g_assert_cmpint(hostsock_share(200), ==, 1);
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &was), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/hostsock/sockaddr/round", sockaddr_round);
	g_test_add_func("/hostsock/sockaddr/unix", sockaddr_unix);
	g_test_add_func("/hostsock/open/plain", open_plain);
	g_test_add_func("/hostsock/open/outbound", open_outbound);
	g_test_add_func("/hostsock/open/fails", open_fails);
	g_test_add_func("/hostsock/share", share);
	return g_test_run();
}
