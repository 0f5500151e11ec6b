/* host_unix_test.c - the upstream over AF_UNIX stream sockets: what the kernel does (fact), what host_unix makes of it (cure).
 *
 * Trap 5 of docs/DESIGN.md, and with it C12 to C15, C18, C22, C23 for this kind of upstream; with SO_PEEK_OFF and with the copying fallback.
 * Below: host_tcp_pair.h.
 */
#include "gateway/host_unix.h"
#include "tests/unit/gateway/host_tcp_pair.h"

#include <glib/gstdio.h>
#include <sys/un.h>

static uint8_t block[1 << 20];

static void unix_begin(struct pair *p, const void *copying)
{
	int fd[2];

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), ==, 0);
	*p = (struct pair){ .ctx = g_main_context_new(), .pool = { .rcvbuf_budget = PAIR_BUDGET, .no_peek_off = copying != NULL }, .peer = fd[1] };
	p->pool.loop = loop_new(p->ctx, NULL);
	p->watch.fn = pair_event;
	g_assert_cmpint(loop_watch_add(p->pool.loop, &p->watch, fd[0], (uint32_t)HOST_TCP_EVENTS), ==, 0);
	host_unix_init(&p->h, &p->pool, fd[0], &p->watch);
	p->up = &p->h.up;
}

static void close_peer(struct pair *p)
{
	close(p->peer);
	p->peer = -1;
}

/* ------------------------------------------------------------------ 1: consuming */

static void consume_fact(void)
{
	int fd[2];

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
	say(fd[1], "abcd");
	g_assert_cmpint(recv(fd[0], NULL, 4, MSG_TRUNC | MSG_DONTWAIT), ==, -1);
	g_assert_cmpint(errno, ==, EFAULT);
	close(fd[0]);
	close(fd[1]);
}

/* Peeks at any offset that was reached, consumption of any part of it, sends of any size: beside a position in a stream. */
static void twin(const void *copying)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed((guint32)g_test_rand_int());
	uint32_t sent = 0, eaten = 0, reached = 0;
	uint8_t buf[4096];
	struct pair p;

	unix_begin(&p, copying);
	for (int step = 0; step < 5000; step++) {
		uint32_t n = (uint32_t)g_rand_int_range(rand, 1, sizeof(buf)), off;
		ssize_t got;

		switch (g_rand_int_range(rand, 0, 3)) {
		case 0:
			for (uint32_t i = 0; i < n; i++)
				buf[i] = (uint8_t)((sent + i) * 167 >> 3);
			got = send(p.peer, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT);
			sent += got > 0 ? (uint32_t)got : 0;
			turn(&p);
			break;
		case 1:
			off = reached > eaten ? (uint32_t)g_rand_int_range(rand, 0, (gint32)(reached - eaten + 1)) : 0;
			turn(&p);
			got = peek(&p, off, buf, n);
			if (got == -EAGAIN) {
				g_assert_cmpuint(eaten + off, ==, sent);
				break;
			}
			g_assert_cmpint(got, >, 0);
			for (ssize_t i = 0; i < got; i++)
				g_assert_cmpuint(buf[i], ==, (uint8_t)((eaten + off + i) * 167 >> 3));
			reached = MAX(reached, eaten + off + (uint32_t)got);
			break;
		default:
			if (reached == eaten)
				break;
			n = (uint32_t)g_rand_int_range(rand, 1, (gint32)(reached - eaten + 1));
			consume(&p, n);
			eaten += n;
		}
	}
	g_assert_cmpuint(eaten, >, 0);
	pair_end(&p);
}

static void consume_much(const void *copying)
{
	size_t total = 0;
	struct pair p;
	ssize_t got;

	unix_begin(&p, copying);
	while ((got = send(p.peer, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		total += (size_t)got;
	AWAIT_TURN(&p, p.h.can_read);
	g_assert_cmpuint(total, >, 65536);
	for (size_t held = 0; held < total; held += (size_t)got) {
		got = peek(&p, (uint32_t)held, block, sizeof(block));
		g_assert_cmpint(got, >, 0);
	}
	consume(&p, (uint32_t)total); /* more than the scratch memory holds */
	g_assert_cmpint(queued(p.h.fd), ==, 0);
	peek_fails(&p, 0, -EAGAIN);
	pair_end(&p);
}

/* ------------------------------------------------------------------ 2, 3: room */

static void overhead_fact(void)
{
	int fd[2], n = 0, size;

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), ==, 0);
	size = int_option(fd[0], SO_SNDBUF);
	while (send(fd[0], "x", 1, MSG_NOSIGNAL) == 1)
		n++;
	g_assert_cmpint(n, <, size / 200); /* hundreds of bytes for one */
	close(fd[0]);
	close(fd[1]);
}

static void writable_fact(void)
{
	int fd[2], peer;
	struct pollfd p;
	char sink[1000];
	size_t sent = 0, got = 0;
	ssize_t n;

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), ==, 0);
	peer = fd[1];
	while ((n = send(fd[0], block, 1000, MSG_NOSIGNAL)) > 0)
		sent += (size_t)n;
	p = (struct pollfd){ fd[0], POLLOUT, 0 };
	while (got < sent / 2) {
		n = recv(peer, sink, sizeof(sink), 0);
		g_assert_cmpint(n, >, 0);
		got += (size_t)n;
	}
	g_assert_cmpint(poll(&p, 1, 0), ==, 0); /* half is free and it does not say so */
	drain(peer);
	g_assert_cmpint(poll(&p, 1, 0), ==, 1);
	close(fd[0]);
	close(peer);
}

/* What space() says is taken, in pieces of any size up to that; then an event, and there is room again.  Rounds without a timer. */
static void room(const void *copying)
{
	static const uint32_t pieces[] = { 1, 100, 1448, 4096, 65536, 1 << 20 };
	struct pair p;

	unix_begin(&p, copying);
	g_assert_cmpuint(space(&p), >=, 65536);
	for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
		unsigned before = p.events;
		uint32_t n;

		while ((n = MIN(space(&p), pieces[i])) > 0)
			g_assert_cmpint(put(&p, block, n), ==, (ssize_t)n);
		g_assert_true(p.h.armed);
		is_quiet(&p);
		drain(p.peer);
		AWAIT_TURN(&p, !p.h.armed);
		g_assert_cmpuint(space(&p), >=, 65536);
		is_quiet(&p);
		g_assert_cmpuint(p.events - before, <=, 4);
	}
	pair_end(&p);
}

/* More than there is room for: a short write, down to nothing, and no error. */
static void short_write(const void *copying)
{
	size_t sent = 0;
	struct pair p;
	ssize_t n;

	unix_begin(&p, copying);
	while ((n = put(&p, block, sizeof(block))) > 0)
		sent += (size_t)n;
	g_assert_cmpint(n, ==, 0);
	g_assert_cmpuint(sent, <, sizeof(block));
	g_assert_cmpuint(drain(p.peer), ==, sent);
	AWAIT_TURN(&p, space(&p) >= 65536);
	pair_end(&p);
}

/* ------------------------------------------------------------------ 4: short peeks */

static void say_with_descriptor(int fd, const char *text)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };

	memcpy(CMSG_DATA(&ctl.head), &fd, sizeof(fd));
	g_assert_cmpint(sendmsg(fd, &m, 0), ==, (ssize_t)strlen(text));
}

static void descriptors(const void *copying)
{
	int lowest = dup(0), after;
	char text[16] = "";
	uint32_t held = 0, eaten = 0;
	struct pair p;

	unix_begin(&p, copying);
	say_with_descriptor(p.peer, "ab");
	say_with_descriptor(p.peer, "cd");
	say(p.peer, "ef");
	AWAIT_TURN(&p, queued(p.h.fd) == 6 && p.h.can_read);
	while (held < 6) {
		ssize_t got = peek(&p, held - eaten, text + held, sizeof(text) - held);

		if (got > 0) {
			held += (uint32_t)got;
			continue;
		}
		g_assert_cmpint(got, ==, -EAGAIN);
		g_assert_true(p.pool.no_peek_off && held > eaten); /* one read does not pass the border: behind it when those in front are gone */
		consume(&p, held - eaten);
		eaten = held;
	}
	g_assert_cmpstr(text, ==, "abcdef");
	consume(&p, 6 - eaten);
	peek_fails(&p, 0, -EAGAIN);
	g_assert_cmpint(queued(p.h.fd), ==, 0);
	pair_end(&p);
	close(lowest);
	after = dup(0);
	g_assert_cmpint(after, ==, lowest); /* what was passed is closed */
	close(after);
}

/* ------------------------------------------------------------------ 5: ends */

static void end_of_file(const void *copying)
{
	char buf[8];
	struct pair p;

	unix_begin(&p, copying);
	hear(&p, "last");
	shutdown(p.peer, SHUT_WR);
	AWAIT_TURN(&p, p.h.rdhup);
	peek_is(&p, 0, 8, "last");
	peek_fails(&p, 4, 0);
	consume(&p, 4);
	peek_fails(&p, 0, 0);
	g_assert_cmpint(put(&p, "answer", 6), ==, 6); /* the other half goes on */
	p.up->ops->shutdown(p.up);
	AWAIT(recv(p.peer, buf, sizeof(buf), 0) == 6);
	g_assert_cmpint(recv(p.peer, buf, sizeof(buf), 0), ==, 0);
	g_assert_false(p.failed);
	pair_end(&p);
}

static void half_close_ours(const void *copying)
{
	char buf[8];
	struct pair p;

	unix_begin(&p, copying);
	p.up->ops->shutdown(p.up);
	g_assert_cmpint(recv(p.peer, buf, sizeof(buf), 0), ==, 0);
	hear(&p, "still");
	peek_is(&p, 0, 8, "still");
	pair_end(&p);
}

/* The peer closes for good with all read: an end in order; what we write then is a failure. */
static void peer_closes(const void *copying)
{
	struct pair p;

	unix_begin(&p, copying);
	hear(&p, "bye");
	close_peer(&p);
	AWAIT_TURN(&p, p.h.rdhup);
	g_assert_false(p.failed);
	peek_is(&p, 0, 8, "bye");
	peek_fails(&p, 3, 0);
	g_assert_cmpint(put(&p, "x", 1), ==, -EPIPE);
	peek_fails(&p, 3, -EPIPE); /* latched */
	g_assert_cmpuint(space(&p), ==, 0);
	pair_end(&p);
}

/* It closes with bytes of ours unread: that is a reset, and never turns into an end in order. */
static void peer_resets(const void *copying)
{
	struct pair p;

	unix_begin(&p, copying);
	g_assert_cmpint(put(&p, "unread", 6), ==, 6);
	say(p.peer, "said before");
	close_peer(&p);
	AWAIT_TURN(&p, p.failed);
	g_assert_cmpint(p.h.err, ==, -ECONNRESET);
	peek_fails(&p, 0, -ECONNRESET);
	pair_end(&p);
}

static void abort_unread(const void *copying)
{
	char buf[8];
	struct pair p;

	unix_begin(&p, copying);
	hear(&p, "unread");
	p.up->ops->abort(p.up);
	g_assert_cmpint(recv(p.peer, buf, sizeof(buf), 0), ==, -1);
	g_assert_cmpint(errno, ==, ECONNRESET);
	pair_end(&p);
}

/* The fact that there is no more to be had: nothing was unread. */
static void abort_fact(const void *copying)
{
	char buf[8];
	struct pair p;

	unix_begin(&p, copying);
	p.up->ops->abort(p.up);
	g_assert_cmpint(recv(p.peer, buf, sizeof(buf), 0), ==, 0);
	pair_end(&p);
}

/* ------------------------------------------------------------------ dialing */

static void dial(void)
{
	g_autofree char *dir = g_dir_make_tmp("host-unix-XXXXXX", NULL), *path = g_build_filename(dir, "s", NULL);
	g_autofree char *longer = g_strnfill(200, 'x');
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd[4];
	unsigned n = 0;

	g_strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	g_assert_cmpint(host_unix_dial(path), ==, -ECONNREFUSED); /* nobody has made it */
	g_assert_cmpint(host_unix_dial(longer), ==, -ENAMETOOLONG);
	g_assert_cmpint(bind(listener, (struct sockaddr *)&sun, sizeof(sun)), ==, 0);
	g_assert_cmpint(host_unix_dial(path), ==, -ECONNREFUSED); /* nobody listens */
	g_assert_cmpint(listen(listener, 1), ==, 0);
	while (n < G_N_ELEMENTS(fd) && (fd[n] = host_unix_dial(path)) >= 0)
		n++;
	g_assert_cmpuint(n, ==, 2);
	g_assert_cmpint(fd[n], ==, -ECONNREFUSED); /* the backlog is full: at once, without waiting */
	g_assert_cmpint(fcntl(fd[0], F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
	g_assert_cmpint(fcntl(fd[0], F_GETFD), ==, FD_CLOEXEC);
	close(fd[0]);
	close(fd[1]);
	close(listener);
	g_assert_cmpint(host_unix_dial(path), ==, -ECONNREFUSED); /* left behind by a dead server */
	g_unlink(path);
	g_rmdir(dir);
}

static void add(const char *name, GTestDataFunc fn)
{
	g_autofree char *off = g_strdup_printf("/host_unix/%s/offset", name), *copying = g_strdup_printf("/host_unix/%s/copying", name);

	g_test_add_data_func(off, NULL, fn);
	g_test_add_data_func(copying, "", fn);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/host_unix/consume/fact", consume_fact);
	add("twin", twin);
	add("consume/much", consume_much);
	g_test_add_func("/host_unix/overhead/fact", overhead_fact);
	g_test_add_func("/host_unix/writable/fact", writable_fact);
	add("room", room);
	add("short-write", short_write);
	add("descriptors", descriptors);
	add("end-of-file", end_of_file);
	add("half-close", half_close_ours);
	add("peer-closes", peer_closes);
	add("peer-resets", peer_resets);
	add("abort/unread", abort_unread);
	add("abort/fact", abort_fact);
	g_test_add_func("/host_unix/dial", dial);
	return g_test_run();
}
