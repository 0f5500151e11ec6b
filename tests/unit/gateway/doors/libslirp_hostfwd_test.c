/* libslirp_hostfwd_test.c - forwarded ports: which can be had, how they are listed, removed, and what a guest that is not there means. */
#include "tests/unit/gateway/doors/libslirp_app.h"

#include <errno.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in v4(const char *addr, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = app_in(addr), .sin_port = htons(port) };
}

static struct sockaddr_in6 v6(const char *addr, uint16_t port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	g_assert_cmpint(inet_pton(AF_INET6, addr, &a.sin6_addr), ==, 1);
	return a;
}

/* The port of the one forward, out of the row. */
static uint16_t listed(struct app *a, const char *head, const char *tail)
{
	g_autofree char *text = slirp_connection_info(a->slirp);
	const char *row = strchr(text, '\n') + 1;
	unsigned port;
	int fd;

	g_assert_true(g_str_has_prefix(row, head));
	g_assert_cmpint(sscanf(row + 19, " %d %*s %u", &fd, &port), ==, 2);
	g_assert_true(g_str_has_suffix(row, tail));
	return (uint16_t)port;
}

static void rows(void)
{
	struct in_addr lo = app_in("127.0.0.1"), none = { 0 };
	g_autofree char *want = NULL, *text = NULL;
	struct app a;
	uint16_t port;

	app_init(&a);
	app_open(&a);
	g_assert_cmpint(slirp_add_hostfwd(a.slirp, 0, lo, 0, none, 22), ==, 0);
	port = listed(&a, "  TCP[HOST_FORWARD]", "       10.0.2.15    22     0     0\n");
	want = g_strdup_printf("       127.0.0.1 %5u       10.0.2.15    22     0     0\n", port);
	g_assert_true(g_str_has_suffix(text = slirp_connection_info(a.slirp), want));
	g_assert_cmpint(slirp_remove_hostfwd(a.slirp, 0, none, port), ==, -1); /* another address */
	g_assert_cmpint(slirp_remove_hostfwd(a.slirp, 1, lo, port), ==, -1);
	g_assert_cmpint(slirp_add_hostfwd(a.slirp, 0, lo, port, none, 22), ==, -1);
	g_assert_cmpint(errno, ==, EADDRINUSE);
	g_assert_cmpint(slirp_remove_hostfwd(a.slirp, 0, lo, port), ==, 0);
	g_assert_cmpint(slirp_remove_hostfwd(a.slirp, 0, lo, port), ==, -1);
	g_assert_cmpint(slirp_add_hostfwd(a.slirp, 1, none, 0, app_in("10.0.2.77"), 53), ==, 0);
	port = listed(&a, "  UDP[HOST_FORWARD] ", "       10.0.2.77    53     0     0\n");
	g_assert_cmpint(slirp_remove_hostfwd(a.slirp, 1, none, port), ==, 0);
	slirp_cleanup(a.slirp);
}

static int xadd(struct app *a, const void *h, socklen_t hlen, const void *g, socklen_t glen, int flags)
{
	return slirp_add_hostxfwd(a->slirp, h, hlen, g, glen, flags);
}

static void arguments(void)
{
	struct sockaddr_in h = v4("127.0.0.1", 0), g = v4("10.0.2.15", 80), far = v4("192.0.2.99", 0);
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/nowhere/there" };
	struct app a;

	app_init(&a);
	app_open(&a);
	g_assert_cmpint(xadd(&a, &h, sizeof(h), &g, 4, 0), ==, -1); /* cut short */
	g_assert_cmpint(errno, ==, EINVAL);
	g_assert_cmpint(xadd(&a, &h, 1, &g, sizeof(g), 0), ==, -1);
	g_assert_cmpint(xadd(&a, &h, 7, &g, sizeof(g), 0), ==, -1);
	g_assert_cmpint(xadd(&a, &un, sizeof(un), &g, sizeof(g), 0), ==, -1);
	g_assert_cmpint(xadd(&a, &un, sizeof(un.sun_family), &g, sizeof(g), 0), ==, -1);
	g_assert_cmpint(xadd(&a, &un, sizeof(un), &g, sizeof(g), SLIRP_HOSTFWD_UDP), ==, -1);
	g_assert_cmpint(xadd(&a, &far, sizeof(far), &g, sizeof(g), 0), ==, -1);
	g_assert_cmpint(errno, ==, EADDRNOTAVAIL);
	g_assert_cmpint(slirp_remove_hostxfwd(a.slirp, (struct sockaddr *)&un, sizeof(un), 0), ==, -1);
	slirp_cleanup(a.slirp);
}

/* Until the guest is sent a SYN. */
static struct tcp_seg asked(struct app *a)
{
	for (int i = 0; i < 1000; i++) {
		struct pollfd p = { .fd = a->fd, .events = POLLIN };

		for (unsigned k = 0; k < a->n_out; k++)
			if (a->out[k].b[12] == 0x08 && a->out[k].b[13] == 0 && a->out[k].b[23] == IP_PROTO_TCP)
				return app_last_tcp(a, NULL);
		poll(&p, 1, 20);
		app_settle(a);
	}
	g_assert_not_reached();
}

/* A client comes; the guest, which nobody has heard of yet, is asked for by ARP and by SYN; its refusal is the client's. */
static void client(int fd, const struct sockaddr *to, socklen_t len, struct app *a)
{
	struct tcp_seg syn;
	char c;

	app_fill(a);
	g_assert_cmpint(connect(fd, to, len), ==, 0);
	syn = asked(a);
	g_assert_cmphex(syn.flags, ==, TCP_SYN);
	g_assert_cmpuint(syn.dport, ==, 80);
	app_tcp(a, "10.0.2.15", "10.0.2.2", &(struct tcp_seg){ .sport = 80, .dport = syn.sport, .ack = syn.seq + 1, .flags = TCP_RST | TCP_ACK }, NULL, 0);
	app_settle(a);
	g_assert_cmpint(recv(fd, &c, 1, 0), <=, 0);
	close(fd);
}

static void over_v6(void)
{
	struct sockaddr_in6 h = v6("::1", 0);
	struct sockaddr_in g = v4("10.0.2.15", 80);
	struct app a;
	uint16_t port;

	app_init(&a);
	app_open(&a);
	g_assert_cmpint(xadd(&a, &h, sizeof(h), &g, sizeof(g), SLIRP_HOSTFWD_V6ONLY), ==, 0);
	port = listed(&a, "  TCP[HOST_FORWARD]", "       10.0.2.15    80     0     0\n");
	h.sin6_port = htons(port);
	client(socket(AF_INET6, SOCK_STREAM, 0), (struct sockaddr *)&h, sizeof(h), &a);
	g_assert_cmpint(slirp_remove_hostxfwd(a.slirp, (struct sockaddr *)&h, sizeof(h), 0), ==, 0);
	slirp_cleanup(a.slirp);
}

static void over_unix(void)
{
	g_autofree char *dir = g_dir_make_tmp("hostfwd-XXXXXX", NULL), *path = g_build_filename(dir, "s", NULL);
	struct sockaddr_un h = { .sun_family = AF_UNIX };
	struct sockaddr_in g = v4("0.0.0.0", 80);
	struct app a;

	g_strlcpy(h.sun_path, path, sizeof(h.sun_path));
	app_init(&a);
	app_open(&a);
	g_assert_cmpint(xadd(&a, &h, sizeof(h), &g, sizeof(g), 0), ==, 0);
	client(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&h, sizeof(h), &a);
	g_assert_cmpint(slirp_remove_hostxfwd(a.slirp, (struct sockaddr *)&h, sizeof(h), 0), ==, 0);
	slirp_cleanup(a.slirp);
	unlink(path);
	g_assert_cmpint(rmdir(dir), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/libslirp_hostfwd/rows", rows);
	g_test_add_func("/libslirp_hostfwd/arguments", arguments);
	g_test_add_func("/libslirp_hostfwd/over_v6", over_v6);
	g_test_add_func("/libslirp_hostfwd/over_unix", over_unix);
	return g_test_run();
}
