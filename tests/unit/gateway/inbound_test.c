/* inbound_test.c - clients of the loopback toward a scripted guest: C2, C7, C21, C24, C25-C29, B20; D2, D4, D9. */
#include "tests/unit/gateway/tcp_stage.h"

#include "gateway/portpool.h"

#include <sys/socket.h>

enum { SERVICE = 8080 };

struct ended {
	unsigned n;
	enum reason why;
	struct endpoint from;
};

static void on_gone(void *arg, const struct endpoint *from, enum reason why)
{
	struct ended *e = arg;

	e->n++;
	e->why = why;
	e->from = *from;
}

static enum reason come_in(struct stage *s, const char *addr, int *ret_far, struct ended *e, const struct endpoint *pretend)
{
	struct inbound_client c = { .gone = on_gone, .arg = e };

	c.fd = stage_client(addr, ret_far, &c.from);
	if (pretend)
		c.from = *pretend;
	c.guest = (struct endpoint){ addr_is_v4(&c.from.addr) ? s->cfg.guest4 : s->cfg.guest6, SERVICE };
	return inbound_open(gateway_inbound(s->gw), &c);
}

/* The guest's SYN-ACK, and our ACK of it. */
static struct tuple accept_it(struct stage *s)
{
	g_autofree struct stage_seg *syn = stage_expect(s, TCP_SYN);

	stage_guest(s, &syn->t, (struct tcp_seg){ .seq = STAGE_ISN, .ack = syn->seg.seq + 1, .flags = TCP_SYN | TCP_ACK, .has_mss = true, .mss = 1460 },
		    NULL);
	stage_run(s);
	g_free(stage_expect(s, TCP_ACK));
	return syn->t;
}

static void served(const void *data)
{
	const char *addr = data;
	struct ended e = { 0 };
	struct stage s;
	struct tuple t;
	struct stage_seg *o;
	char buf[64];
	int far;

	stage_init(&s);
	stage_start(&s);
	g_assert_cmpint(come_in(&s, addr, &far, &e, NULL), ==, R_ACCEPTED);
	g_assert_cmpint(send(far, "hello", 5, 0), ==, 5);
	stage_run(&s);
	g_assert_cmpuint(stage_stats(&s).half_open_now, ==, 1); /* C2: counted like any other */
	g_assert_cmpuint(stage_stats(&s).flows_now, ==, 1);
	o = stage_expect(&s, TCP_SYN);
	/* C25: the guest sees the gateway; C26: with the first port of the pool */
	g_assert_true(addr_eq(&o->t.far.addr, addr_is_v4(&o->t.guest.addr) ? &s.cfg.gw4 : &s.cfg.gw6));
	g_assert_cmpuint(o->t.far.port, ==, PORTPOOL_FIRST);
	g_assert_cmpuint(o->t.guest.port, ==, SERVICE);
	t = o->t;
	stage_guest(&s, &t, (struct tcp_seg){ .seq = STAGE_ISN, .ack = o->seg.seq + 1, .flags = TCP_SYN | TCP_ACK, .has_mss = true, .mss = 1460 },
		    NULL);
	stage_run(&s);
	g_assert_cmpuint(stage_stats(&s).half_open_now, ==, 0);
	g_assert_cmpuint(stage_stats(&s).flows_opened, ==, 1);
	g_free(o);
	o = stage_expect(&s, TCP_ACK); /* C7: the client's bytes only now */
	while (!o->seg.len) {
		g_free(o);
		o = stage_expect(&s, TCP_ACK);
	}
	g_assert_cmpmem(o->data, o->seg.len, "hello", 5);
	stage_guest(&s, &t, (struct tcp_seg){ .seq = STAGE_ISN + 1, .ack = o->seg.seq + 5, .flags = TCP_ACK | TCP_PSH }, "world!");
	stage_run(&s);
	g_assert_cmpint(stage_recv(far, buf, sizeof(buf)), ==, 6);
	/* the guest's RST: the client hears it, the flow is gone, its port is free */
	stage_guest(&s, &t, (struct tcp_seg){ .seq = STAGE_ISN + 7, .flags = TCP_RST }, NULL);
	stage_run(&s);
	g_assert_cmpint(stage_recv(far, buf, sizeof(buf)), ==, -ECONNRESET); /* C24 */
	g_assert_cmpuint(e.n, ==, 1);
	g_assert_cmpint(e.why, ==, R_GUEST_RESET);
	g_assert_cmpuint(stage_stats(&s).flows_now, ==, 0);
	g_assert_cmpuint(gateway_inbound(s.gw)->ports.n_used, ==, 0);
	g_free(o);
	close(far);
	stage_stop(&s);
}

/* A client of an AF_UNIX socket: no address of its own; data both ways, and its end in order. */
static void local(void)
{
	struct ended e = { 0 };
	struct inbound_client c = { .local = true, .gone = on_gone, .arg = &e };
	struct stage_seg *o;
	struct stage s;
	struct tuple t;
	char buf[16];
	int fd[2];

	stage_init(&s);
	stage_start(&s);
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), ==, 0);
	c.fd = fd[0];
	c.guest = (struct endpoint){ s.cfg.guest4, SERVICE };
	g_assert_cmpint(inbound_open(gateway_inbound(s.gw), &c), ==, R_ACCEPTED);
	stage_run(&s);
	t = accept_it(&s);
	g_assert_true(addr_eq(&t.far.addr, &s.cfg.gw4));
	g_assert_cmpint(send(fd[1], "hello", 5, 0), ==, 5);
	o = stage_expect(&s, TCP_ACK);
	g_assert_cmpmem(o->data, o->seg.len, "hello", 5);
	stage_guest(&s, &t, (struct tcp_seg){ .seq = STAGE_ISN + 1, .ack = o->seg.seq + 5, .flags = TCP_ACK | TCP_PSH }, "world!");
	stage_run(&s);
	g_assert_cmpint(stage_recv(fd[1], buf, sizeof(buf)), ==, 6);
	close(fd[1]);
	g_free(o);
	for (;;) {
		while (g_queue_is_empty(&s.out))
			stage_wait(&s);
		o = g_queue_pop_head(&s.out);
		if (o->seg.flags & TCP_FIN)
			break;
		g_free(o);
	}
	stage_guest(&s, &t, (struct tcp_seg){ .seq = STAGE_ISN + 7, .ack = o->seg.seq + 1, .flags = TCP_ACK | TCP_FIN }, NULL);
	stage_run(&s);
	g_assert_cmpint(e.why, ==, R_CLOSED);
	g_free(o);
	stage_stop(&s);
}

/* The truth for the client: whatever keeps the guest from answering is RST. */
static void refused(void)
{
	struct ended e = { 0 };
	struct stage s;
	struct stage_seg *o;
	char buf[8];
	int far;

	stage_init(&s);
	stage_start(&s);
	come_in(&s, "127.0.0.1", &far, &e, NULL);
	stage_run(&s);
	o = stage_expect(&s, TCP_SYN);
	stage_guest(&s, &o->t, (struct tcp_seg){ .ack = o->seg.seq + 1, .flags = TCP_RST | TCP_ACK }, NULL);
	stage_run(&s);
	g_assert_cmpint(stage_recv(far, buf, sizeof(buf)), ==, -ECONNRESET);
	g_assert_cmpint(e.why, ==, R_GUEST_REFUSED);
	g_assert_cmpuint(stage_closes(&s, R_GUEST_REFUSED), ==, 1);
	g_free(o);
	close(far);
	/* no answer: 10 s */
	come_in(&s, "127.0.0.1", &far, &e, NULL);
	stage_pass(&s, 9 * STAGE_S);
	g_assert_cmpuint(e.n, ==, 1);
	stage_pass(&s, 2 * STAGE_S);
	g_assert_cmpuint(e.n, ==, 2);
	g_assert_cmpint(e.why, ==, R_CONNECT_TIMEOUT);
	g_assert_cmpint(stage_recv(far, buf, sizeof(buf)), ==, -ECONNRESET);
	g_assert_cmpuint(stage_stats(&s).half_open_now, ==, 0);
	g_assert_cmpuint(gateway_inbound(s.gw)->ports.n_used, ==, 0);
	close(far);
	stage_stop(&s);
}

/* A client that leaves before the guest has answered: the guest hears RST. */
static void client_leaves(void)
{
	struct linger now = { .l_onoff = 1 };
	struct ended e = { 0 };
	struct stage s;
	int far;

	stage_init(&s);
	stage_start(&s);
	come_in(&s, "::1", &far, &e, NULL);
	stage_run(&s);
	g_free(stage_expect(&s, TCP_SYN));
	setsockopt(far, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(far);
	while (!e.n)
		stage_wait(&s);
	g_free(stage_expect(&s, TCP_RST));
	g_assert_cmpint(e.why, ==, R_HOST_RESET);
	stage_stop(&s);
}

/* C29: who is not on the loopback is seen as who it is, unless that would lead the guest's answer elsewhere. */
static void source(void)
{
	static const struct {
		const char *from;
		bool own;
	} row[] = { { "198.51.100.7", true }, { "2001:db8::7", true }, { "127.0.0.1", false },	 { "169.254.1.1", false },
		    { "10.0.2.15", false },   { "10.0.2.2", false },   { "fe80::1", false },	 { "fd00::15", false },
		    { "224.0.0.1", false },   { "0.0.0.0", false },    { "255.255.255.255", false } };

	for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
		struct endpoint from = { stage_addr(row[i].from), 7000 };
		struct ended e = { 0 };
		struct stage_seg *o;
		struct stage s;
		int far;

		stage_init(&s);
		stage_start(&s);
		g_assert_cmpint(come_in(&s, "127.0.0.1", &far, &e, &from), ==, R_ACCEPTED);
		stage_run(&s);
		o = stage_expect(&s, TCP_SYN);
		if (row[i].own)
			g_assert_true(endpoint_eq(&o->t.far, &from));
		else
			g_assert_true(addr_eq(&o->t.far.addr, addr_is_v4(&from.addr) ? &s.cfg.gw4 : &s.cfg.gw6));
		g_free(o);
		close(far);
		stage_stop(&s);
		g_assert_cmpuint(e.n, ==, 1); /* C27: also at the end */
		g_assert_cmpint(e.why, ==, R_SHUTDOWN);
	}
}

/* C28: no room, no memory, the same ends twice: the client is reset, nothing is left, and gone() is not called. */
static void no_room(void)
{
	struct endpoint from = { stage_addr("198.51.100.7"), 7000 };
	struct ended e = { 0 };
	struct stage s;
	int far[4];
	char buf[8];

	stage_init(&s);
	s.cfg.tune.tcp_flows_max = 2;
	stage_start(&s);
	g_assert_cmpint(come_in(&s, "127.0.0.1", &far[0], &e, &from), ==, R_ACCEPTED);
	stage_run(&s);
	accept_it(&s);
	g_assert_cmpint(come_in(&s, "127.0.0.1", &far[1], &e, &from), ==, R_TUPLE_BUSY);
	g_assert_cmpuint(stage_stats(&s).flows_now, ==, 1);
	g_assert_cmpuint(stage_stats(&s).half_open_now, ==, 0);
	s.mem.fail_count = UINT64_MAX;
	g_assert_cmpint(come_in(&s, "127.0.0.1", &far[2], &e, NULL), ==, R_NO_MEMORY);
	s.mem.fail_count = 0;
	for (uint64_t k = 0;; k++) { /* each allocation in turn: everything is undone */
		uint64_t failed = s.mem.failed;
		int other;

		s.mem.fail_from = s.mem.asked + k;
		s.mem.fail_count = 1;
		if (come_in(&s, "127.0.0.1", &other, &e, NULL) == R_ACCEPTED) {
			g_assert_cmpuint(s.mem.failed, ==, failed);
			g_assert_cmpuint(k, >=, 1);
			far[3] = other;
			break;
		}
		close(other);
		g_assert_cmpuint(stage_stats(&s).flows_now, ==, 1);
		g_assert_cmpuint(gateway_inbound(s.gw)->ports.n_used, ==, 0);
	}
	s.mem.fail_count = 0;
	stage_run(&s);
	accept_it(&s);
	close(far[3]);
	g_assert_cmpint(come_in(&s, "127.0.0.1", &far[3], &e, NULL), ==, R_FLOW_CAP);
	for (int i = 1; i < 4; i += i == 1 ? 1 : 1)
		g_assert_cmpint(stage_recv(far[i], buf, sizeof(buf)), ==, -ECONNRESET);
	g_assert_cmpuint(e.n, ==, 0);
	for (int i = 0; i < 4; i++)
		close(far[i]);
	g_assert_cmpuint(stage_closes(&s, R_FLOW_CAP), ==, 1);
	stage_stop(&s);
}

/* C26, C27, B20: round robin; a port is free after time-wait, and is passed over meanwhile. */
static void ports(void)
{
	struct ended e = { 0 };
	struct stage s;
	struct tuple t[3];
	struct stage_seg *o;
	int far;

	stage_init(&s);
	stage_start(&s);
	for (int i = 0; i < 3; i++) {
		come_in(&s, "127.0.0.1", &far, &e, NULL);
		stage_run(&s);
		t[i] = accept_it(&s);
		g_assert_cmpuint(t[i].far.port, ==, PORTPOOL_FIRST + i);
		close(far); /* the client closes first: 2 MSL is ours */
		o = stage_expect(&s, TCP_FIN | TCP_ACK);
		stage_guest(&s, &t[i], (struct tcp_seg){ .seq = STAGE_ISN + 1, .ack = o->seg.seq + 1, .flags = TCP_FIN | TCP_ACK }, NULL);
		stage_run(&s);
		g_free(o);
		g_free(stage_expect(&s, TCP_ACK));
		g_assert_cmpuint(e.n, ==, (unsigned)i + 1);
		g_assert_cmpint(e.why, ==, R_CLOSED);
	}
	g_assert_cmpuint(stage_stats(&s).flows_now, ==, 0); /* time-wait counts nowhere */
	gateway_inbound(s.gw)->ports.cursor = 1;
	come_in(&s, "127.0.0.1", &far, &e, NULL);
	stage_run(&s);
	o = stage_expect(&s, TCP_SYN);
	g_assert_cmpuint(o->t.far.port, ==, PORTPOOL_FIRST + 3); /* 1 and 2 are in time-wait, without timestamps */
	g_free(o);
	close(far);
	stage_pass(&s, 61 * STAGE_S);
	g_queue_clear_full(&s.out, g_free);
	gateway_inbound(s.gw)->ports.cursor = 1;
	come_in(&s, "127.0.0.1", &far, &e, NULL);
	stage_run(&s);
	o = stage_expect(&s, TCP_SYN);
	g_assert_cmpuint(o->t.far.port, ==, PORTPOOL_FIRST + 1);
	g_free(o);
	close(far);
	stage_stop(&s);
}

/* C26: all 16384 in use is a refusal, not a search without end. */
static void ports_used_up(void)
{
	struct ended e = { 0 };
	struct stage s;
	int far;

	stage_init(&s);
	stage_start(&s);
	for (int i = 0; i < PORTPOOL_SIZE; i++)
		g_assert_cmpuint(portpool_take(&gateway_inbound(s.gw)->ports), !=, 0);
	g_assert_cmpint(come_in(&s, "127.0.0.1", &far, &e, NULL), ==, R_NO_PORT);
	g_assert_cmpuint(stage_closes(&s, R_NO_PORT), ==, 1);
	close(far);
	stage_stop(&s);
}

/* A deaf guest port holds 256 of the half-open places, and its own newcomers push its own oldest out: another port is served. */
static void deaf_service(void)
{
	struct endpoint from = { stage_addr("198.51.100.7"), 0 };
	struct ended e = { 0 };
	struct stage s;
	int far[40];

	stage_init(&s);
	s.cfg.tune.tcp_half_open_dest = 30;
	stage_start(&s);
	for (unsigned i = 0; i < G_N_ELEMENTS(far); i++) {
		from.port = (uint16_t)(2000 + i);
		g_assert_cmpint(come_in(&s, "127.0.0.1", &far[i], &e, &from), ==, R_ACCEPTED);
	}
	g_assert_cmpuint(stage_stats(&s).half_open_now, ==, 30);
	g_assert_cmpuint(stage_closes(&s, R_HALF_OPEN_CAP), ==, 10);
	g_assert_cmpuint(e.from.port, ==, 2009); /* the oldest first */
	for (unsigned i = 0; i < G_N_ELEMENTS(far); i++)
		close(far[i]);
	stage_stop(&s);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_data_func("/inbound/served/v4", "127.0.0.1", served);
	g_test_add_data_func("/inbound/served/v6", "::1", served);
	g_test_add_func("/inbound/local", local);
	g_test_add_func("/inbound/refused", refused);
	g_test_add_func("/inbound/client-leaves", client_leaves);
	g_test_add_func("/inbound/source", source);
	g_test_add_func("/inbound/no-room", no_room);
	g_test_add_func("/inbound/ports", ports);
	g_test_add_func("/inbound/ports-used-up", ports_used_up);
	g_test_add_func("/inbound/deaf-service", deaf_service);
	return g_test_run();
}
