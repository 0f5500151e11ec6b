/* libslirp_guestfwd_test.c - places of the subnet that lead to the application's functions. */
#include "tests/unit/gateway/doors/libslirp_app.h"

#include "gateway/guestfwd.h"
#include "gateway/stage.h"

#include <errno.h>
#include <sys/un.h>
#include <unistd.h>

#define PLACE "10.0.2.100"

/* A connection of the guest to the place. */
struct talk {
	struct app a;
	GString *heard; /* by the application */
	struct tcp_seg seg; /* of the guest: numbers go on in it */
	bool echo;	    /* what is heard is said, from inside the callback */
};

static slirp_ssize_t on_bytes(const void *buf, size_t len, void *opaque)
{
	struct talk *t = opaque;

	g_string_append_len(t->heard, buf, (gssize)len);
	if (t->echo)
		slirp_socket_recv(t->a.slirp, app_in(PLACE), 7, buf, (int)len);
	return 0; /* which nobody looks at */
}

static void say(struct talk *t, uint8_t flags, const char *data, uint32_t len)
{
	t->seg.flags = flags;
	app_tcp(&t->a, "10.0.2.15", PLACE, &t->seg, data, len);
	t->seg.seq += len + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
	app_settle(&t->a);
}

/* The guest takes what was sent last, and says so. */
static struct tcp_seg take(struct talk *t, const uint8_t **data)
{
	struct tcp_seg last = app_last_tcp(&t->a, data);

	t->seg.ack = last.seq + last.len + (last.flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
	return last;
}

static void begin(struct talk *t)
{
	struct in_addr at = app_in(PLACE);

	*t = (struct talk){ .heard = g_string_new(NULL), .seg = { .sport = 4000, .dport = 7, .seq = 100, .window = 65535 } };
	app_init(&t->a);
	app_open(&t->a);
	g_assert_cmpint(slirp_add_guestfwd(t->a.slirp, on_bytes, t, &at, 7), ==, 0);
}

static void establish(struct talk *t)
{
	struct tcp_seg synack;

	say(t, TCP_SYN, NULL, 0);
	synack = take(t, NULL);
	g_assert_cmphex(synack.flags, ==, TCP_SYN | TCP_ACK);
	say(t, TCP_ACK, NULL, 0);
}

static void end(struct talk *t)
{
	slirp_cleanup(t->a.slirp);
	g_string_free(t->heard, TRUE);
}

static void both_ways(void)
{
	const uint8_t *data;
	struct tcp_seg last;
	struct talk t;

	begin(&t);
	app_arp(&t.a, "10.0.2.15", PLACE);
	app_settle(&t.a);
	g_assert_cmpuint(t.a.n_out, ==, 1); /* somebody stands for it */
	g_assert_cmpuint(slirp_socket_can_recv(t.a.slirp, app_in(PLACE), 7), ==, 0);
	establish(&t);
	g_assert_cmpuint(slirp_socket_can_recv(t.a.slirp, app_in(PLACE), 7), ==, STAGE_SIZE);
	g_assert_cmpuint(slirp_socket_can_recv(t.a.slirp, app_in(PLACE), 8), ==, 0);
	say(&t, TCP_ACK | TCP_PSH, "hello", 5);
	g_assert_cmpstr(t.heard->str, ==, "hello");
	slirp_socket_recv(t.a.slirp, app_in(PLACE), 7, (const uint8_t *)"world", 5);
	app_settle(&t.a);
	last = take(&t, &data);
	g_assert_cmpmem(data, last.len, "world", 5);
	say(&t, TCP_ACK | TCP_FIN, NULL, 0);
	last = take(&t, NULL);
	g_assert_true(last.flags & TCP_FIN); /* the application cannot say that it has ended: it ends with the guest */
	say(&t, TCP_ACK, NULL, 0);
	g_assert_cmpuint(slirp_socket_can_recv(t.a.slirp, app_in(PLACE), 7), ==, 0);
	end(&t);
}

/* The callback answers at once, from inside the core. */
static void echo_inside(void)
{
	const uint8_t *data;
	struct tcp_seg last;
	struct talk t;

	begin(&t);
	t.echo = true;
	establish(&t);
	say(&t, TCP_ACK | TCP_PSH, "ping", 4);
	last = take(&t, &data);
	g_assert_cmpmem(data, last.len, "ping", 4);
	end(&t);
}

/* Half full: no more is asked for, and notify() tells when that is over. */
static void half_full(void)
{
	static uint8_t bulk[STAGE_SIZE];
	struct talk t;
	unsigned before;

	begin(&t);
	establish(&t);
	slirp_socket_recv(t.a.slirp, app_in(PLACE), 7, bulk, STAGE_SIZE / 2);
	g_assert_cmpuint(slirp_socket_can_recv(t.a.slirp, app_in(PLACE), 7), ==, 0);
	app_settle(&t.a);
	before = t.a.notified;
	for (int i = 0; i < 50 && t.a.notified == before; i++) {
		take(&t, NULL);
		say(&t, TCP_ACK, NULL, 0);
	}
	g_assert_cmpuint(t.a.notified, >, before);
	g_assert_cmpuint(slirp_socket_can_recv(t.a.slirp, app_in(PLACE), 7), >, STAGE_SIZE / 2);
	end(&t);
}

static void too_much(void)
{
	static uint8_t bulk[STAGE_SIZE + 1];
	struct talk t;

	begin(&t);
	establish(&t);
	g_test_expect_message("Slirp", G_LOG_LEVEL_CRITICAL, "slirp_socket_recv:*");
	slirp_socket_recv(t.a.slirp, app_in(PLACE), 7, bulk, sizeof(bulk));
	g_test_assert_expected_messages();
	slirp_socket_recv(t.a.slirp, app_in(PLACE), 7, bulk, 0);
	slirp_socket_recv(t.a.slirp, app_in(PLACE), 7, bulk, -1);
	app_settle(&t.a);
	g_assert_true(app_last_tcp(&t.a, NULL).flags & TCP_RST);
	end(&t);
}

static void removed(void)
{
	struct talk t;

	begin(&t);
	establish(&t);
	g_assert_cmpint(slirp_remove_guestfwd(t.a.slirp, app_in(PLACE), 8), ==, -1);
	g_assert_cmpint(slirp_remove_guestfwd(t.a.slirp, app_in(PLACE), 7), ==, 0);
	say(&t, TCP_ACK | TCP_PSH, "late", 4);
	g_assert_cmpstr(t.heard->str, ==, "");
	g_assert_true(app_last_tcp(&t.a, NULL).flags & TCP_RST);
	t.seg.sport++;
	say(&t, TCP_SYN, NULL, 0); /* nobody is there any more: an address of the subnet like others */
	g_assert_cmpint(app_icmp_type(&t.a, t.a.n_out - 1), ==, ICMP4_UNREACH);
	end(&t);
}

/* Two connections: the application talks to the newer one, and to the older one when that has gone. */
static void newest(void)
{
	struct talk t;
	struct tcp_seg first;

	begin(&t);
	establish(&t);
	first = t.seg;
	t.seg.sport = 4001;
	establish(&t);
	slirp_socket_recv(t.a.slirp, app_in(PLACE), 7, (const uint8_t *)"x", 1);
	app_settle(&t.a);
	g_assert_cmpuint(app_last_tcp(&t.a, NULL).dport, ==, 4001);
	take(&t, NULL);
	say(&t, TCP_ACK | TCP_RST, NULL, 0);
	t.seg = first;
	slirp_socket_recv(t.a.slirp, app_in(PLACE), 7, (const uint8_t *)"y", 1);
	app_settle(&t.a);
	g_assert_cmpuint(app_last_tcp(&t.a, NULL).dport, ==, 4000);
	end(&t);
}

static int add(struct app *a, const char *addr, int port, struct in_addr *ret)
{
	*ret = app_in(addr);
	return slirp_add_guestfwd(a->slirp, on_bytes, NULL, ret, port);
}

static void places(void)
{
	struct in_addr at, four = app_in("10.0.2.4");
	struct app a;

	app_init(&a);
	app_open(&a);
	g_assert_cmpint(add(&a, "0.0.0.0", 139, &at), ==, 0);
	g_assert_cmpuint(at.s_addr, ==, four.s_addr); /* told back: the next one goes there, too */
	g_assert_cmpint(slirp_add_guestfwd(a.slirp, on_bytes, NULL, &at, 445), ==, 0);
	g_assert_cmpint(add(&a, "10.0.2.4", 139, &at), ==, -1);
	g_assert_cmpint(errno, ==, EADDRINUSE);
	g_assert_cmpint(add(&a, "10.0.3.4", 139, &at), ==, -1);
	g_assert_cmpint(add(&a, "10.0.2.2", 139, &at), ==, 0); /* the gateway's address, and the name server's */
	g_assert_cmpint(add(&a, "10.0.2.3", 53, &at), ==, 0);
	slirp_cleanup(a.slirp);
	app_init(&a);
	a.cfg.restricted = 1;
	app_open(&a);
	g_assert_cmpint(add(&a, "0.0.0.0", 139, &at), ==, 0);
	slirp_cleanup(a.slirp);
}

/* ---- commands and unix sockets: real time, so wait for what must come */

static void begin_bare(struct talk *t)
{
	*t = (struct talk){ .heard = g_string_new(NULL), .seg = { .sport = 4000, .dport = 7, .seq = 100, .window = 65535 } };
	app_init(&t->a);
	app_open(&t->a);
}

/* Until the guest was sent a segment with these flags, or with payload if they are 0. */
static struct tcp_seg await(struct talk *t, uint8_t flags, const uint8_t **data)
{
	for (int i = 0; i < 1000; i++) {
		struct pollfd p = { .fd = t->a.fd, .events = POLLIN };

		if (t->a.n_out) {
			struct tcp_seg s = app_last_tcp(&t->a, data);

			if (flags ? (s.flags & flags) == flags : s.len > 0)
				return s;
		}
		poll(&p, 1, 20);
		app_settle(&t->a);
	}
	g_assert_not_reached();
}

static void converse(struct talk *t)
{
	const uint8_t *data;
	struct tcp_seg s;

	say(t, TCP_SYN, NULL, 0);
	await(t, TCP_SYN | TCP_ACK, NULL);
	take(t, NULL);
	say(t, TCP_ACK, NULL, 0);
	say(t, TCP_ACK | TCP_PSH, "over\n", 5);
	s = await(t, 0, &data);
	g_assert_cmpmem(data, s.len, "over\n", 5);
	take(t, NULL);
	say(t, TCP_ACK | TCP_FIN, NULL, 0);
	await(t, TCP_FIN, NULL);
}

static void command(void)
{
	struct in_addr at = app_in(PLACE);
	struct talk t;

	begin_bare(&t);
	g_assert_cmpint(slirp_add_exec(t.a.slirp, "sh -c 'exec cat'", &at, 7), ==, 0);
	converse(&t);
	end(&t);
}

static void no_command(void)
{
	struct in_addr at = app_in(PLACE);
	struct talk t;

	begin_bare(&t);
	g_assert_cmpint(slirp_add_exec(t.a.slirp, "an 'open quote", &at, 7), ==, -1);
	g_assert_cmpint(errno, ==, EINVAL);
	g_assert_cmpint(slirp_add_exec(t.a.slirp, "/nowhere/there", &at, 7), ==, 0);
	say(&t, TCP_SYN, NULL, 0);
	await(&t, TCP_RST, NULL);
	end(&t);
}

static gpointer echo_one(gpointer arg)
{
	int listener = GPOINTER_TO_INT(arg), fd = accept(listener, NULL, NULL);
	char buf[100];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		g_assert_cmpint(write(fd, buf, (size_t)n), ==, n);
	close(fd);
	return NULL;
}

static void unix_socket(void)
{
	g_autofree char *dir = g_dir_make_tmp("guestfwd-XXXXXX", NULL), *path = g_build_filename(dir, "s", NULL);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	struct in_addr at = app_in(PLACE);
	struct talk t;
	GThread *thread;

	begin_bare(&t);
	g_assert_cmpint(slirp_add_unix(t.a.slirp, path, &at, 7), ==, 0);
	say(&t, TCP_SYN, NULL, 0);
	await(&t, TCP_RST, NULL); /* nobody is there yet */
	t.seg.sport++;
	g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
	g_assert_cmpint(bind(listener, (struct sockaddr *)&un, sizeof(un)), ==, 0);
	g_assert_cmpint(listen(listener, 1), ==, 0);
	thread = g_thread_new("echo", echo_one, GINT_TO_POINTER(listener));
	converse(&t);
	end(&t);
	g_thread_join(thread);
	close(listener);
	unlink(path);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/libslirp_guestfwd/both_ways", both_ways);
	g_test_add_func("/libslirp_guestfwd/echo_inside", echo_inside);
	g_test_add_func("/libslirp_guestfwd/half_full", half_full);
	g_test_add_func("/libslirp_guestfwd/too_much", too_much);
	g_test_add_func("/libslirp_guestfwd/removed", removed);
	g_test_add_func("/libslirp_guestfwd/newest", newest);
	g_test_add_func("/libslirp_guestfwd/places", places);
	g_test_add_func("/libslirp_guestfwd/command", command);
	g_test_add_func("/libslirp_guestfwd/no_command", no_command);
	g_test_add_func("/libslirp_guestfwd/unix_socket", unix_socket);
	return g_test_run();
}
