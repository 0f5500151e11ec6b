/* dns_sock_test.c - the relay's sockets: who gets a kept one, who must not, and what ends one.
 *
 * A socket is known by its port: while it lives, nobody else can bind that.
 * Below: gateway/dns_relay.h, dns_relay_dialogue.h.
 */
#include "tests/unit/gateway/dns_relay_dialogue.h"

#include "gateway/dns_sock.h"

#include <sys/resource.h>

/* Asks from a port of the guest, lets server i answer; the port of the relay that the question came from. */
static uint16_t dialogue(struct fixture *f, uint16_t guest, int i)
{
	struct msg q = query(guest, "example.org", 0), heard;
	unsigned was = f->n_heard;
	struct endpoint from;

	g_assert_cmpint(ask_from(f, guest, &q), ==, R_ACCEPTED);
	settle(f);
	g_assert_true(server_hears(f, i, &heard, &from));
	heard = answer_to(&heard, 100);
	server_says(f, i, &from, &heard);
	g_assert_cmpuint(f->n_heard, ==, was + 1);
	g_assert_cmpuint(f->heard_tuple.guest.port, ==, guest);
	return from.port;
}

/* A socket of the test at that port, or -1: the relay still has it. */
static int port_bind(uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = hostsock_sockaddr(&(struct endpoint){ addr_from_v4((uint8_t[]){ 127, 0, 0, 1 }), port }, &ss);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	g_assert_cmpint(fd, >=, 0);
	if (!bind(fd, (struct sockaddr *)&ss, len))
		return fd;
	close(fd);
	return -1;
}

static bool port_open(uint16_t port)
{
	int fd = port_bind(port);

	if (fd >= 0)
		close(fd);
	return fd < 0;
}

/* The next query of that guest port is served from another port than `was`, which nobody has any more. */
static void assert_moves(struct fixture *f, uint16_t guest, uint16_t was)
{
	int fd = port_bind(was);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpuint(dialogue(f, guest, 0), !=, was);
	close(fd);
}

/* The same port as long as the guest keeps its own, a new id each time; another port for everybody else. */
static void kept_reused(struct fixture *f, gconstpointer data)
{
	uint16_t port = dialogue(f, 1, 0), id = 0, same_id = 0;
	struct msg q = query(9, "example.org", 0), heard;
	struct endpoint from;

	for (int i = 0; i < 100; i++) {
		g_assert_cmpint(ask_from(f, 1, &q), ==, R_ACCEPTED);
		g_assert_true(server_hears(f, 0, &heard, &from));
		g_assert_cmpuint(from.port, ==, port);
		same_id += bytes_get16(heard.b) == id;
		id = bytes_get16(heard.b);
		heard = answer_to(&heard, 100);
		server_says(f, 0, &from, &heard);
	}
	g_assert_cmpuint(f->n_heard, ==, 101);
	g_assert_cmpuint(same_id, <, 5);
	g_assert_cmpuint(dialogue(f, 2, 0), !=, port);
	f->tuple.guest.addr.b[15]++; /* the same port of another guest */
	g_assert_cmpuint(dialogue(f, 1, 0), !=, port);
	g_assert_true(port_open(port));
}

/* Two in flight from one port of the guest: each has its own socket, and the answer to one is none to the other. */
static void kept_in_flight(struct fixture *f, gconstpointer data)
{
	struct msg q1 = query(1, "one.example", 0), q2 = query(2, "two.example", 0), heard1, heard2, crossed;
	struct endpoint from1, from2;

	dialogue(f, 7, 0);
	g_assert_cmpint(ask_from(f, 7, &q1), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &heard1, &from1));
	g_assert_cmpint(ask_from(f, 7, &q2), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &heard2, &from2));
	g_assert_cmpuint(from1.port, !=, from2.port);
	crossed = answer_to(&heard1, 100);
	server_says(f, 0, &from2, &crossed);
	g_assert_cmpuint(f->n_heard, ==, 1);
	heard2 = answer_to(&heard2, 100);
	server_says(f, 0, &from2, &heard2);
	g_assert_cmpuint(bytes_get16(f->heard.b), ==, 2);
	server_says(f, 0, &from1, &crossed);
	g_assert_cmpuint(bytes_get16(f->heard.b), ==, 1);
	g_assert_cmpuint(f->n_heard, ==, 3);
	g_assert_cmpuint(dialogue(f, 7, 0), ==, from1.port); /* the other one saw what was not meant for it */
	g_assert_false(port_open(from2.port));
}

/* A forger was at it: the answer comes through, the port is not used again. */
static void kept_forged(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0), heard, bad;
	uint16_t port = dialogue(f, 1, 0);
	struct endpoint from;

	g_assert_cmpint(ask_from(f, 1, &q), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &heard, &from));
	g_assert_cmpuint(from.port, ==, port);
	bad = heard = answer_to(&heard, 100);
	bad.b[0] ^= 1;
	server_says(f, 0, &from, &bad);
	server_says(f, 0, &from, &heard);
	g_assert_cmpuint(f->n_heard, ==, 2);
	g_assert_cmpuint(f->drops.n[R_DNS_MISMATCH], ==, 1);
	assert_moves(f, 1, port);
}

/* Nobody asked. */
static void kept_unasked(struct fixture *f, gconstpointer data)
{
	struct endpoint to = { addr_from_v4((uint8_t[]){ 127, 0, 0, 1 }), dialogue(f, 1, 0) };
	struct msg m = query(1, "example.org", 0);

	m = answer_to(&m, 100);
	server_says(f, 1, &to, &m); /* from elsewhere: the kernel keeps it away */
	g_assert_true(port_open(to.port));
	server_says(f, 0, &to, &m);
	g_assert_cmpuint(f->drops.n[R_DNS_MISMATCH], ==, 1);
	assert_moves(f, 1, to.port);
}

/* Two were sent, so two answers may come. */
static void kept_asked_twice(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0), heard;
	struct endpoint from;

	relay_new_timed(f, 1, 20, NEVER_MS, NEVER_MS);
	g_assert_cmpint(ask_from(f, 1, &q), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &heard, &from));
	while (!server_hears(f, 0, &heard, &from))
		g_main_context_iteration(f->ctx, TRUE);
	heard = answer_to(&heard, 100);
	server_says(f, 0, &from, &heard);
	g_assert_cmpuint(f->n_heard, ==, 1);
	g_assert_false(port_open(from.port));
}

/* The server that a kept socket leads to is gone: the next one, at once; nothing is kept that leads there. */
static void kept_refused(struct fixture *f, gconstpointer data)
{
	uint16_t one = dialogue(f, 1, 0), two = dialogue(f, 2, 0);

	server_close(f, 0);
	g_assert_cmpuint(dialogue(f, 1, 1), !=, one);
	g_assert_false(port_open(one));
	g_assert_false(port_open(two));
	assert_server(f, 1);
}

/* An error that waits on a kept socket is not the next query's, nor the server's fault. */
static void kept_broken(struct fixture *f, gconstpointer data)
{
	struct msg m = query(1, "example.org", 0);
	uint16_t port = dialogue(f, 1, 0);

	for (int fd = 0; fd < 1024; fd++) { /* the relay's own socket, which this process can find: no more sending */
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct endpoint e;

		if (!getsockname(fd, (struct sockaddr *)&ss, &len) && ss.ss_family == AF_INET && hostsock_endpoint(&ss, &e) && e.port == port)
			g_assert_cmpint(shutdown(fd, SHUT_WR), ==, 0);
	}
	g_assert_cmpint(ask_from(f, 1, &m), ==, R_ACCEPTED);
	server_serves(f, 0, 0);
	g_assert_cmpuint(f->n_heard, ==, 2);
	assert_server(f, 0);
	g_assert_false(port_open(port));
}

static void kept_changes(struct fixture *f, gconstpointer data)
{
	uint16_t port = dialogue(f, 1, 0);
	struct msg q = query(1, "example.org", 0), heard;
	struct endpoint from;

	dns_relay_host_changed(f->relay, loop_now(NULL));
	assert_moves(f, 1, port);
	port = dialogue(f, 1, 0);
	g_assert_false(dns_relay_set_servers(f->relay, f->addr, SERVERS));
	g_assert_true(port_open(port));
	g_assert_true(dns_relay_set_servers(f->relay, f->addr, 1));
	assert_moves(f, 1, port);

	g_assert_cmpint(ask_from(f, 2, &q), ==, R_ACCEPTED); /* in flight meanwhile */
	g_assert_true(server_hears(f, 0, &heard, &from));
	g_assert_true(dns_relay_set_servers(f->relay, f->addr, 2));
	heard = answer_to(&heard, 100);
	server_says(f, 0, &from, &heard);
	assert_moves(f, 2, from.port);
}

static void kept_idle(struct fixture *f, gconstpointer data)
{
	uint16_t one, two;

	f->idle = 30000;
	relay_new(f, 1);
	one = dialogue(f, 1, 0);
	two = dialogue(f, 2, 0);
	while (port_open(one) || port_open(two))
		g_main_context_iteration(f->ctx, TRUE);
	assert_moves(f, 1, one);
}

/* One more than there is room for takes the place of the longest idle, and gets a port of its own. */
static void bound_sockets(struct fixture *f, gconstpointer data)
{
	uint16_t port[DNS_SOCK_MAX + 1];
	unsigned before = count_descriptors();

	for (uint16_t i = 0; i < DNS_SOCK_MAX; i++)
		port[i] = dialogue(f, 1 + i, 0);
	g_assert_cmpuint(count_descriptors(), ==, before + DNS_SOCK_MAX);
	g_assert_cmpuint(dialogue(f, 1, 0), ==, port[0]); /* now the second is the longest idle */
	port[DNS_SOCK_MAX] = dialogue(f, 1000, 0);
	g_assert_cmpuint(count_descriptors(), ==, before + DNS_SOCK_MAX);
	g_assert_false(port_open(port[1]));
	g_assert_cmpuint(dialogue(f, 1, 0), ==, port[0]);
	g_assert_cmpuint(dialogue(f, 3, 0), ==, port[2]);
	g_assert_cmpuint(dialogue(f, 1000, 0), ==, port[DNS_SOCK_MAX]);
	assert_moves(f, 2, port[1]);
}

/* Idle ones give way to somebody else who needs a descriptor, and to the relay itself. */
static void bound_give_way(struct fixture *f, gconstpointer data)
{
	uint16_t one, two;
	struct rlimit was, low;
	int lowest;

	g_assert_false(dns_relay_give_way(f->relay));
	one = dialogue(f, 1, 0);
	two = dialogue(f, 2, 0);
	lowest = dup(0);
	close(lowest);
	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &was), ==, 0);
	low = (struct rlimit){ (rlim_t)lowest, was.rlim_max };
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
	dialogue(f, 3, 0);
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &was), ==, 0);
	g_assert_false(port_open(one));
	g_assert_true(port_open(two));
	g_assert_true(dns_relay_give_way(f->relay));
	g_assert_false(port_open(two));
	g_assert_true(dns_relay_give_way(f->relay));
	g_assert_false(dns_relay_give_way(f->relay));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(path, fn) g_test_add("/dns_sock/" path, struct fixture, NULL, set_up, fn, tear_down)
	TEST("kept/reused", kept_reused);
	TEST("kept/in_flight", kept_in_flight);
	TEST("kept/forged", kept_forged);
	TEST("kept/unasked", kept_unasked);
	TEST("kept/asked_twice", kept_asked_twice);
	TEST("kept/refused", kept_refused);
	TEST("kept/broken", kept_broken);
	TEST("kept/changes", kept_changes);
	TEST("kept/idle", kept_idle);
	TEST("bound/sockets", bound_sockets);
	TEST("bound/give_way", bound_give_way);
#undef TEST
	return g_test_run();
}
