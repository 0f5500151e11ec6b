/* listener_test.c - binding, starting and accepting on loopback and in a directory of our own.  Contract C30, C31, C34, T1, A12, A13. */
#include "publish/listener.h"

#include "slirp/base/sockname.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRIES = 100 };

static struct portspec_rule rule(const char *spec, enum portspec_proto proto)
{
	static const struct portspec_dialect any = { .any_port = true, .unix_path = true };
	g_autoptr(GArray) table = portspec_table_new();

	g_assert_true(portspec_add(table, proto, spec, &any, NULL));
	g_assert_cmpuint(table->len, ==, 1);
	return g_array_index(table, struct portspec_rule, 0);
}

static struct listener bound(const char *spec, enum portspec_proto proto)
{
	struct portspec_rule r = rule(spec, proto);
	struct listener l = { .fd = -1 };
	g_autoptr(GError) err = NULL;

	listener_bind(&l, &r, r.first, false, &err);
	g_assert_no_error(err);
	g_assert_cmpint(l.fd, >=, 0);
	return l;
}

static struct listener started(const char *spec)
{
	struct listener l = bound(spec, PORTSPEC_TCP);

	g_assert_true(listener_start(&l, NULL));
	return l;
}

/* A client of addr at l's port: its descriptor, or -errno. */
static int dial(const char *addr, const struct listener *l)
{
	struct endpoint e = { .port = l->bound.port };
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, error;

	g_assert_true(addr_parse(addr, &e.addr, NULL));
	len = sockname_put(&e, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(fd, >=, 0);
	if (!connect(fd, (struct sockaddr *)&ss, len))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

/* Like started(), and nobody serves that port on `addr`, an address that l does not have, nor will: a socket that does not listen holds it.
 * Tests of other processes take ports at the same time. */
static struct listener started_beside(const char *spec, const char *addr, int *ret_guard)
{
	struct endpoint e;
	struct sockaddr_storage ss;
	struct listener l;
	socklen_t len;

	g_assert_true(addr_parse(addr, &e.addr, NULL));
	for (int i = 0; i < TRIES; i++) {
		l = started(spec);
		e.port = l.bound.port;
		len = sockname_put(&e, &ss);
		*ret_guard = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (!bind(*ret_guard, (struct sockaddr *)&ss, len))
			return l;
		close(*ret_guard);
		listener_close(&l);
	}
	g_assert_not_reached();
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct endpoint e;

	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&ss, &len), ==, 0);
	g_assert_true(sockname_get(&ss, &e));
	return e.port;
}

/* The client `far`, and nobody else; another process may have come to a port that was its own a moment ago. */
static int accept_client(struct listener *l, int far, struct endpoint *client, struct endpoint *local)
{
	struct listener_spare spare = { .fd = -1 };
	int fd;

	while ((fd = listener_accept(l, &spare, client, local)) >= 0 && client->port != port_of(far))
		close(fd);
	return fd;
}

static void check_served(struct listener *l, const char *addr)
{
	struct endpoint client, local;
	int far = dial(addr, l), fd;
	char text[ADDR_STRLEN];

	g_assert_cmpint(far, >=, 0);
	fd = accept_client(l, far, &client, &local);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpstr(addr_format(&client.addr, text), ==, addr);
	g_assert_cmpstr(addr_format(&local.addr, text), ==, addr);
	g_assert_cmpuint(local.port, ==, l->bound.port);
	g_assert_cmpint(fcntl(fd, F_GETFL) & O_NONBLOCK, !=, 0);
	g_assert_cmpint(fcntl(fd, F_GETFD) & FD_CLOEXEC, !=, 0);
	g_assert_cmpint(accept_client(l, far, &client, &local), ==, -EAGAIN); /* once */
	close(fd);
	close(far);
}

static void families(void)
{
	int guard6, guard4;
	struct listener l4 = started_beside("127.0.0.1/0:1", "::1", &guard6), l6 = started_beside("::1/0:1", "127.0.0.1", &guard4), both = started("0:1"), lo = started("%lo/0:1");
	char name[PORTSPEC_PATH_MAX];
	g_autofree char *want = g_strdup_printf("*:%u", both.bound.port);

	check_served(&l4, "127.0.0.1");
	check_served(&l6, "::1");
	check_served(&both, "127.0.0.1");
	check_served(&both, "::1");
	check_served(&lo, "127.0.0.1");
	g_assert_cmpint(dial("::1", &l4), ==, -ECONNREFUSED);
	g_assert_cmpint(dial("127.0.0.1", &l6), ==, -ECONNREFUSED);
	g_assert_cmpstr(listener_name(&both, name), ==, want);
	close(guard4);
	close(guard6);
	listener_close(&l4);
	listener_close(&l6);
	listener_close(&both);
	listener_close(&lo);
	listener_close(&lo);
}

/* C30: what is bound and not started takes nobody in. */
static void two_steps(void)
{
	struct listener l = bound("127.0.0.1/0:1", PORTSPEC_TCP);

	g_assert_cmpint(dial("127.0.0.1", &l), ==, -ECONNREFUSED);
	g_assert_true(listener_start(&l, NULL));
	g_assert_true(listener_start(&l, NULL));
	check_served(&l, "127.0.0.1");
	listener_close(&l);
}

/* A12: the error names the port and who holds it, which is us. */
static void taken(void)
{
	int guard;
	struct listener l = started("127.0.0.1/0:1"), l6 = started_beside("[::]/0:1", "0.0.0.0", &guard), udp = bound("127.0.0.1/0:1", PORTSPEC_UDP), second = { .fd = -1 };
	struct portspec_rule r = rule("127.0.0.1/0:1", PORTSPEC_TCP), both = rule("0:1", PORTSPEC_TCP), u = rule("0.0.0.0/0:1", PORTSPEC_UDP);
	g_autoptr(GError) err = NULL, dual = NULL, dgram = NULL;
	g_autofree char *want = g_strdup_printf("TCP port 127.0.0.1:%u: Address already in use, held by ", l.bound.port);
	g_autofree char *self = g_strdup_printf("(process %d)", getpid());

	g_assert_false(listener_bind(&second, &r, l.bound.port, false, &err));
	g_assert_error(err, LISTENER_ERROR, LISTENER_ERROR_TAKEN);
	g_assert_nonnull(strstr(err->message, want));
	g_assert_nonnull(strstr(err->message, self));
	g_assert_cmpint(second.fd, ==, -1);
	g_assert_false(listener_bind(&second, &both, l6.bound.port, false, &dual));
	g_assert_nonnull(strstr(dual->message, self));
	g_assert_false(listener_bind(&second, &u, udp.bound.port, false, &dgram));
	g_assert_nonnull(strstr(dgram->message, "UDP port 0.0.0.0:"));
	g_assert_nonnull(strstr(dgram->message, self));
	listener_close(&l);
	listener_close(&l6);
	listener_close(&udp);
	close(guard);
}

/* T1: a port that is closed is free again at once, though a client of it is in time-wait; another process may be faster, but not each time. */
static void free_again(void)
{
	struct portspec_rule r = rule("127.0.0.1/0:1", PORTSPEC_TCP);
	struct listener second = { .fd = -1 };

	for (int i = 0; i < TRIES && second.fd < 0; i++) {
		struct listener l = started("127.0.0.1/0:1");
		struct endpoint client, local;
		int far = dial("127.0.0.1", &l), fd = accept_client(&l, far, &client, &local);
		uint16_t port = l.bound.port;

		close(fd); /* first: so the time-wait is the port's */
		close(far);
		listener_close(&l);
		listener_bind(&second, &r, port, false, NULL);
	}
	g_assert_cmpint(second.fd, >=, 0);
	listener_close(&second);
}

static void not_ours(void)
{
	struct portspec_rule r = rule("192.0.2.99/0:1", PORTSPEC_TCP), none = rule("%nosuchif0/0:1", PORTSPEC_TCP);
	struct listener l = { .fd = -1 };
	g_autoptr(GError) err = NULL, ifname = NULL;

	g_assert_false(listener_bind(&l, &r, 0, false, &err));
	g_assert_error(err, LISTENER_ERROR, LISTENER_ERROR_ADDRESS);
	g_assert_nonnull(strstr(err->message, "Listen failed for HOST TCP port 192.0.2.99:0: "));
	g_assert_false(listener_bind(&l, &none, 0, false, &ifname));
	g_assert_cmpint(l.fd, ==, -1);
	g_assert_true(listener_bind(&l, &r, 0, true, NULL));
	listener_close(&l);
}

static void unix_socket(void)
{
	g_autofree char *dir = g_dir_make_tmp("listener-XXXXXX", NULL), *path = g_build_filename(dir, "s", NULL);
	g_autofree char *spec = g_strdup_printf("unix:%s:1", path);
	struct portspec_rule r = rule(spec, PORTSPEC_TCP);
	struct listener l = started(spec), second = { .fd = -1 };
	struct listener_spare spare = { .fd = -1 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct endpoint client, local;
	g_autoptr(GError) err = NULL;
	int far = socket(AF_UNIX, SOCK_STREAM, 0), fd;

	g_strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	g_assert_cmpint(connect(far, (struct sockaddr *)&sun, sizeof(sun)), ==, 0);
	fd = listener_accept(&l, &spare, &client, &local);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpuint(client.port, ==, 0);
	g_assert_false(listener_bind(&second, &r, 0, false, &err)); /* a living owner */
	g_assert_error(err, LISTENER_ERROR, LISTENER_ERROR_TAKEN);
	close(l.fd); /* as if it had been killed: the file stays behind */
	l.fd = -1;
	g_assert_true(listener_bind(&second, &r, 0, false, NULL));
	listener_close(&second);
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_set_contents(path, "mine", 4, NULL));
	g_assert_false(listener_bind(&second, &r, 0, false, NULL)); /* a file is never removed */
	g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
	close(fd);
	close(far);
	g_unlink(path);
	g_rmdir(dir);
}

/* C31: sockets of somebody who has the privilege. */
static void adopted(void)
{
	struct listener made = started("127.0.0.1/0:1"), udp = bound("127.0.0.1/0:1", PORTSPEC_UDP), l = { .fd = -1 };
	g_autoptr(GError) err = NULL, file = NULL;
	int fds[2];

	g_assert_true(listener_adopt(&l, made.fd, NULL));
	g_assert_cmpint(l.proto, ==, PORTSPEC_TCP);
	g_assert_true(endpoint_eq(&l.bound, &made.bound));
	g_assert_true(listener_start(&l, NULL));
	check_served(&l, "127.0.0.1");
	g_assert_true(listener_adopt(&l, udp.fd, NULL));
	g_assert_cmpint(l.proto, ==, PORTSPEC_UDP);
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), ==, 0);
	g_assert_false(listener_adopt(&l, fds[0], &err));
	g_assert_error(err, LISTENER_ERROR, LISTENER_ERROR_UNUSABLE);
	close(fds[0]);
	close(fds[1]);
	g_assert_cmpint(pipe(fds), ==, 0);
	g_assert_false(listener_adopt(&l, fds[0], &file));
	g_assert_nonnull(strstr(file->message, "is not a socket"));
	close(fds[0]);
	close(fds[1]);
	listener_close(&made);
	listener_close(&udp);
}

/* Leaves room for no further descriptor; returns the limit to be restored. */
static struct rlimit no_more_descriptors(void)
{
	struct rlimit was, now;
	int next = dup(0);

	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &was), ==, 0);
	now = was;
	now.rlim_cur = (rlim_t)next;
	close(next);
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &now), ==, 0);
	return was;
}

/* A13: with the spare, clients that cannot be served see RST at once and the queue is empty; without it they wait, and we do not spin. */
static void shed(void)
{
	struct listener l = started("127.0.0.1/0:1");
	struct listener_spare spare = { .fd = -1 }, none = { .fd = -1 };
	struct endpoint client, local;
	struct rlimit was;
	int far[5];
	char c;

	listener_spare_open(&spare);
	for (int i = 0; i < 5; i++)
		far[i] = dial("127.0.0.1", &l);
	was = no_more_descriptors();
	g_assert_cmpint(listener_accept(&l, &none, &client, &local), ==, -EBUSY);
	g_assert_cmpint(l.pause, ==, LISTENER_PAUSE_MIN_US);
	g_assert_cmpint(listener_accept(&l, &none, &client, &local), ==, -EBUSY);
	g_assert_cmpint(l.pause, ==, 2 * LISTENER_PAUSE_MIN_US);
	for (int i = 0; i < 20; i++)
		listener_accept(&l, &none, &client, &local);
	g_assert_cmpint(l.pause, ==, LISTENER_PAUSE_MAX_US);
	g_assert_cmpint(listener_accept(&l, &spare, &client, &local), ==, -EAGAIN);
	g_assert_cmpint(l.pause, ==, 0);
	g_assert_cmpuint(spare.shed, >=, 5);
	g_assert_cmpint(spare.fd, >=, 0);
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &was), ==, 0);
	for (int i = 0; i < 5; i++) {
		g_assert_cmpint(read(far[i], &c, 1), ==, -1);
		g_assert_cmpint(errno, ==, ECONNRESET);
		close(far[i]);
	}
	check_served(&l, "127.0.0.1"); /* without a restart */
	listener_spare_close(&spare);
	listener_close(&l);
}

/* C34: a client that has gone before it was taken in is no error of the port. */
static void client_gone(void)
{
	struct listener l = started("127.0.0.1/0:1");
	struct listener_spare spare = { .fd = -1 };
	struct endpoint client, local;
	int fd;

	listener_reset(dial("127.0.0.1", &l));
	fd = listener_accept(&l, &spare, &client, &local); /* Linux hands it out all the same */
	if (fd >= 0)
		close(fd);
	check_served(&l, "127.0.0.1");
	listener_close(&l);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/listener/families", families);
	g_test_add_func("/listener/two_steps", two_steps);
	g_test_add_func("/listener/taken", taken);
	g_test_add_func("/listener/free_again", free_again);
	g_test_add_func("/listener/not_ours", not_ours);
	g_test_add_func("/listener/unix", unix_socket);
	g_test_add_func("/listener/adopted", adopted);
	g_test_add_func("/listener/shed", shed);
	g_test_add_func("/listener/client_gone", client_gone);
	return g_test_run();
}
