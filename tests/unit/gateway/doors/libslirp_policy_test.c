/* libslirp_policy_test.c - SLIRPGATE_POLICY: unset the network is open, set to whatever it is closed, and one message says so. */
#include "tests/unit/gateway/doors/libslirp_app.h"

#include "slirp/base/bytes.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VARIABLE "SLIRPGATE_POLICY"

enum { FILTERED = 13, CODE_AT = 35 }; /* RFC 1812 5.2.7.1; in an Ethernet frame */

/* A library that was made while the variable had this value; a message more than the one expected would end the test. */
static void open_with(struct app *a, const char *value)
{
	app_init(a);
	if (value) {
		char *pattern = g_strdup_printf("*" VARIABLE "*'%s'*neither the host nor anything beyond*", value);

		g_assert_true(g_setenv(VARIABLE, value, true));
		g_test_expect_message("Slirp", G_LOG_LEVEL_WARNING, pattern);
		g_free(pattern);
	} else {
		g_unsetenv(VARIABLE);
	}
	app_open(a);
	g_test_assert_expected_messages();
	g_unsetenv(VARIABLE); /* it is read once */
}

/* The guest's SYN to a listener on the host's loopback: what is answered. */
static uint8_t knock(struct app *a)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = app_in("127.0.0.1") };
	struct tcp_seg syn = { .sport = 4000, .seq = 100, .window = 65535, .flags = TCP_SYN };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sa);

	g_assert_cmpint(bind(fd, (struct sockaddr *)&sa, len), ==, 0);
	g_assert_cmpint(listen(fd, 1), ==, 0);
	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&sa, &len), ==, 0);
	syn.dport = ntohs(sa.sin_port);
	a->n_out = 0;
	app_tcp(a, "10.0.2.15", "10.0.2.2", &syn, NULL, 0);
	for (int i = 0; i < 1000 && !a->n_out; i++) {
		struct pollfd p = { .fd = a->fd, .events = POLLIN };

		app_settle(a);
		if (!a->n_out)
			poll(&p, 1, 10);
	}
	close(fd);
	return app_last_tcp(a, NULL).flags;
}

/* The frame that was sent is "administratively prohibited". */
static void filtered(struct app *a)
{
	app_settle(a);
	g_assert_cmpuint(a->n_out, ==, 1);
	g_assert_cmpint(app_icmp_type(a, 0), ==, ICMP4_UNREACH);
	g_assert_cmpuint(a->out[0].b[CODE_AT], ==, FILTERED);
	a->n_out = 0;
}

static void begin(struct app *a, const char *value)
{
	open_with(a, value);
	app_fill(a);
	app_arp(a, "10.0.2.15", "10.0.2.2");
	app_settle(a);
	a->n_out = 0;
}

static void unset_is_open(void)
{
	struct app a;

	begin(&a, NULL);
	g_assert_cmpuint(knock(&a), ==, TCP_SYN | TCP_ACK);
	slirp_cleanup(a.slirp);
}

static void closed(const void *value)
{
	struct app a;

	begin(&a, value);
	g_assert_cmpuint(knock(&a) & TCP_RST, ==, TCP_RST);
	a.n_out = 0;
	app_udp(&a, "10.0.2.15", 4000, "10.0.2.3", 53, "query", 5);
	filtered(&a);
	app_udp(&a, "10.0.2.15", 4001, "192.0.2.1", 9, "x", 1);
	filtered(&a);
	app_ping(&a, "10.0.2.15", "192.0.2.1", 1);
	filtered(&a);
	app_ping(&a, "10.0.2.15", "10.0.2.2", 1);
	app_ping(&a, "10.0.2.15", "10.0.2.3", 1);
	app_settle(&a);
	g_assert_cmpuint(a.n_out, ==, 2); /* which the gateway answers itself */
	g_assert_cmpint(app_icmp_type(&a, 0), ==, ICMP4_ECHO_REPLY);
	g_assert_cmpint(app_icmp_type(&a, 1), ==, ICMP4_ECHO_REPLY);
	slirp_cleanup(a.slirp);
}

/* Two libraries in one program: each has its own. */
static void read_when_made(void)
{
	struct app shut, open;

	begin(&shut, "/nowhere");
	begin(&open, NULL);
	g_assert_cmpuint(knock(&open), ==, TCP_SYN | TCP_ACK);
	g_assert_cmpuint(knock(&shut) & TCP_RST, ==, TCP_RST);
	slirp_cleanup(open.slirp);
	slirp_cleanup(shut.slirp);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/libslirp_policy/unset_is_open", unset_is_open);
	g_test_add_data_func("/libslirp_policy/missing_file", "/nowhere/rules", closed);
	g_test_add_data_func("/libslirp_policy/wrong_file", "/etc/passwd", closed);
	g_test_add_data_func("/libslirp_policy/directory", "/", closed);
	g_test_add_data_func("/libslirp_policy/empty", "", closed);
	g_test_add_func("/libslirp_policy/read_when_made", read_when_made);
	return g_test_run();
}
