/* flow_tcp_test.c - a guest's SYNs toward real sockets of the loopback: A1, A2, B9, B10, B17, B19, D1, D2, D4, L8, F15. */
#include "tests/unit/gateway/tcp_stage.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* A listener of the loopback; backlog -1: bound only, so that a dial is refused.  Returns its port; -1: that is somebody else's. */
static int listener(const char *addr, uint16_t port, int backlog, uint16_t *ret_port)
{
	struct endpoint at = { stage_addr(addr), port };
	struct sockaddr_storage ss;
	socklen_t len = hostsock_sockaddr(&at, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len)) {
		g_assert_cmpuint(port, !=, 0);
		close(fd);
		return -1;
	}
	if (backlog >= 0)
		g_assert_cmpint(listen(fd, backlog), ==, 0);
	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&ss, &len), ==, 0);
	g_assert_true(hostsock_endpoint(&ss, &at));
	*ret_port = at.port;
	return fd;
}

static struct tuple toward(const struct stage *s, bool v4, uint16_t gport, uint16_t port)
{
	return (struct tuple){ .guest = { v4 ? s->cfg.guest4 : s->cfg.guest6, gport }, .far = { v4 ? s->cfg.gw4 : s->cfg.gw6, port } };
}

static void syn(struct stage *s, const struct tuple *t)
{
	stage_guest(s, t, (struct tcp_seg){ .seq = STAGE_ISN, .flags = TCP_SYN, .has_mss = true, .mss = 1460 }, NULL);
}

/* The handshake; what the gateway's numbers begin with. */
static uint32_t open_it(struct stage *s, const struct tuple *t)
{
	struct stage_seg *o;
	uint32_t iss;

	syn(s, t);
	stage_run(s);
	o = stage_expect(s, TCP_SYN | TCP_ACK);
	iss = o->seg.seq;
	g_free(o);
	stage_guest(s, t, (struct tcp_seg){ .seq = STAGE_ISN + 1, .ack = iss + 1, .flags = TCP_ACK }, NULL);
	stage_run(s);
	return iss;
}

/* B19, L8: the gateway's address leads to either loopback, the asked family first. */
static void either_loopback(void)
{
	static const struct {
		bool v4, on4, on6;
	} row[] = { { true, true, false }, { true, false, true }, { false, true, false }, { false, false, true }, { true, false, false },
		    { false, false, false } };

	for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
		struct tuple t;
		struct stage s;
		uint16_t port = 0;
		int a, b;

		stage_init(&s);
		stage_start(&s);
		a = listener("127.0.0.1", 0, row[i].on4 ? 4 : -1, &port);
		while ((b = listener("::1", port, row[i].on6 ? 4 : -1, &port)) < 0) { /* a test of another process has that port */
			close(a);
			a = listener("127.0.0.1", 0, row[i].on4 ? 4 : -1, &port);
		}
		t = toward(&s, row[i].v4, 40000, port);
		if (row[i].on4 || row[i].on6) {
			int served;

			open_it(&s, &t);
			served = accept(row[i].on4 ? a : b, NULL, NULL);
			g_assert_cmpint(served, >=, 0);
			close(served);
		} else {
			syn(&s, &t);
			stage_run(&s);
			g_free(stage_expect(&s, TCP_RST | TCP_ACK)); /* A1 */
			g_assert_cmpuint(stage_closes(&s, R_DIAL_REFUSED) + stage_stats(&s).drops.n[R_DIAL_REFUSED], ==, 1);
			g_assert_cmpuint(stage_stats(&s).flows_now, ==, 0);
		}
		close(a);
		close(b);
		stage_stop(&s);
	}
}

/* A host that does not answer: its backlog is full. */
struct deaf {
	int listener, fill[64];
	uint16_t port;
};

static void deaf_open(struct deaf *d)
{
	struct endpoint at = { stage_addr("127.0.0.1"), 0 };
	struct sockaddr_storage ss;
	socklen_t len;

	d->listener = listener("127.0.0.1", 0, 0, &d->port);
	at.port = d->port;
	len = hostsock_sockaddr(&at, &ss);
	for (unsigned i = 0; i < G_N_ELEMENTS(d->fill); i++) {
		d->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		g_assert_true(!connect(d->fill[i], (struct sockaddr *)&ss, len) || errno == EINPROGRESS);
	}
}

static void deaf_close(struct deaf *d)
{
	close(d->listener);
	for (unsigned i = 0; i < G_N_ELEMENTS(d->fill); i++)
		close(d->fill[i]);
}

/* An honest flow: one line to the server and back. */
static void echo(struct stage *s, const struct tuple *t, int server, uint32_t *seq, uint32_t *ack)
{
	struct stage_seg *o;
	char buf[64];

	stage_guest(s, t, (struct tcp_seg){ .seq = *seq, .ack = *ack, .flags = TCP_ACK | TCP_PSH }, "ping");
	stage_run(s);
	*seq += 4;
	g_assert_cmpint(stage_recv(server, buf, sizeof(buf)), ==, 4);
	g_assert_cmpint(send(server, buf, 4, 0), ==, 4);
	for (;;) {
		o = stage_expect(s, TCP_ACK);
		if (tuple_eq(&o->t, t) && o->seg.len)
			break;
		g_free(o);
	}
	g_assert_cmpmem(o->data, o->seg.len, "ping", 4);
	*ack += 4;
	g_free(o);
	stage_guest(s, t, (struct tcp_seg){ .seq = *seq, .ack = *ack, .flags = TCP_ACK }, NULL);
	stage_run(s);
}

/* D2, B10, B17: 20 000 SYNs in a second of the guest's time to a host that does not answer.  They hold 256 places and no more, the oldest gives way
 * in silence, as if its SYN had been lost; an honest flow goes on, and another one begins. */
static void syn_flood(void)
{
	uint32_t seq = STAGE_ISN + 1, ack;
	struct gateway_stats st;
	struct tuple honest, more;
	struct stage s;
	struct deaf d;
	uint16_t port;
	int web, server;

	stage_init(&s);
	stage_start(&s);
	deaf_open(&d);
	web = listener("::1", 0, 16, &port);
	honest = toward(&s, false, 30000, port);
	ack = open_it(&s, &honest) + 1;
	server = accept(web, NULL, NULL);
	for (int i = 0; i < 20000; i++) {
		struct tuple t = toward(&s, true, (uint16_t)(40000 + i), d.port);

		syn(&s, &t);
		if (i % 20 == 19) /* a turn's worth; a millisecond */
			stage_pass(&s, STAGE_S / 1000);
		if (i % 1000 == 999)
			echo(&s, &honest, server, &seq, &ack);
	}
	st = stage_stats(&s);
	g_assert_cmpuint(st.half_open_now, ==, 256);
	g_assert_cmpuint(st.flows_now, ==, 257);
	g_assert_cmpuint(st.closes.n[R_HALF_OPEN_CAP], ==, 20000 - 256);
	g_assert_true(g_queue_is_empty(&s.out)); /* nobody was told anything */
	more = toward(&s, false, 30001, port);
	open_it(&s, &more);
	g_assert_cmpuint(stage_stats(&s).flows_opened, ==, 2);
	stage_pass(&s, 11 * STAGE_S); /* D4: and then the deadline */
	st = stage_stats(&s);
	g_assert_cmpuint(st.half_open_now, ==, 0);
	g_assert_cmpuint(st.closes.n[R_DIAL_TIMEOUT], ==, 256);
	close(server);
	close(web);
	deaf_close(&d);
	stage_stop(&s);
}

/* A2, B9: 300 times SYN and RST leave nothing; then a connection works. */
static void syn_rst(void)
{
	struct tuple t;
	struct stage s;
	struct deaf d;
	uint16_t port;
	int web;

	stage_init(&s);
	stage_start(&s);
	deaf_open(&d);
	for (int i = 0; i < 300; i++) {
		t = toward(&s, true, (uint16_t)(40000 + i), d.port);
		syn(&s, &t);
		stage_run(&s);
		stage_guest(&s, &t, (struct tcp_seg){ .seq = STAGE_ISN + 1, .flags = TCP_RST }, NULL);
		stage_run(&s);
		g_assert_cmpuint(stage_stats(&s).half_open_now, ==, 0);
	}
	g_assert_cmpuint(stage_closes(&s, R_GUEST_RESET), ==, 300);
	g_assert_cmpuint(stage_stats(&s).flows_now, ==, 0);
	web = listener("127.0.0.1", 0, 4, &port);
	t = toward(&s, true, 50000, port);
	open_it(&s, &t);
	close(web);
	deaf_close(&d);
	stage_stop(&s);
}

/* D1 with 64 descriptors: half of the places stay out of a flood's reach; connections that stand fill the rest, then refusals, and an idle one makes
 * room. */
static void few_descriptors(void)
{
	struct rlimit old, few;
	struct tuple t;
	struct stage s;
	struct deaf d;
	uint16_t port;
	unsigned opened = 0;
	int web;

	stage_init(&s);
	s.cfg.tune.tcp_evict_idle = 5 * STAGE_S; /* before the first probe under pressure */
	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
	few = (struct rlimit){ 64, old.rlim_max };
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &few), ==, 0);
	stage_start(&s);
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0); /* the servers are in this process too */
	deaf_open(&d);
	web = listener("::1", 0, 64, &port);
	for (int i = 0; i < 1000; i++) {
		t = toward(&s, true, (uint16_t)(40000 + i), d.port);
		syn(&s, &t);
		stage_run(&s);
	}
	g_assert_cmpuint(stage_stats(&s).flows_now, ==, 16);
	for (; opened < 17; opened++) { /* the first pushes one of the flood's out */
		t = toward(&s, false, (uint16_t)(30000 + opened), port);
		open_it(&s, &t);
	}
	g_assert_cmpuint(stage_stats(&s).flows_now, ==, 32);
	g_assert_true(stage_stats(&s).pressure_now); /* F15 */
	g_assert_cmpuint(stage_stats(&s).half_open_now, ==, 15);
	t = toward(&s, false, 39000, port);
	syn(&s, &t);
	stage_run(&s);
	g_free(stage_expect(&s, TCP_RST | TCP_ACK));
	g_assert_cmpuint(stage_stats(&s).drops.n[R_FLOW_CAP], ==, 1);
	stage_pass(&s, 11 * STAGE_S);
	g_assert_cmpuint(stage_stats(&s).half_open_now, ==, 0);
	g_queue_clear_full(&s.out, g_free);
	for (; opened < 32; opened++) {
		struct tuple one = toward(&s, false, (uint16_t)(30000 + opened), port);

		open_it(&s, &one);
	}
	syn(&s, &t);
	stage_run(&s);
	g_free(stage_expect(&s, TCP_RST | TCP_ACK));
	stage_pass(&s, s.cfg.tune.tcp_evict_idle);
	g_queue_clear_full(&s.out, g_free);
	syn(&s, &t);
	stage_run(&s);
	while (stage_closes(&s, R_EVICTED) + stage_stats(&s).half_open_now == 0 || stage_stats(&s).half_open_now)
		stage_wait(&s);
	g_assert_cmpuint(stage_closes(&s, R_EVICTED), ==, 1);
	g_assert_cmpuint(stage_stats(&s).flows_now, ==, 32);
	close(web);
	deaf_close(&d);
	stage_stop(&s);
}

/* No memory for any one thing a SYN needs: refused by RST with that reason, nothing is left, the next one is served. */
static void no_memory(void)
{
	struct tuple t;
	struct stage s;
	uint16_t port;
	uint64_t k;
	int web = listener("127.0.0.1", 0, 64, &port);

	stage_init(&s);
	stage_start(&s);
	for (k = 0;; k++) {
		uint64_t failed = s.mem.failed;
		struct stage_seg *o;
		bool refused;

		s.mem.fail_from = s.mem.asked + k;
		s.mem.fail_count = 1;
		t = toward(&s, true, (uint16_t)(40000 + k), port);
		syn(&s, &t);
		stage_run(&s);
		while (g_queue_is_empty(&s.out))
			stage_wait(&s);
		o = g_queue_pop_head(&s.out);
		refused = o->seg.flags & TCP_RST;
		g_free(o);
		if (s.mem.failed == failed) {
			g_assert_false(refused);
			break;
		}
		g_assert_true(refused);
		g_assert_cmpuint(stage_stats(&s).flows_now, ==, 0);
		g_assert_cmpuint(stage_stats(&s).half_open_now, ==, 0);
	}
	g_assert_cmpuint(k, >=, 3); /* flow, destination, timers */
	g_assert_cmpuint(stage_stats(&s).drops.n[R_NO_MEMORY], ==, k);
	close(web);
	stage_stop(&s);
}

/* A guest that gives up in the very turn in which its dial connects: the server sees RST, not a visitor who had nothing to say. */
static void reset_as_it_connects(void)
{
	struct tuple t;
	struct stage s;
	uint16_t port;
	int web = listener("127.0.0.1", 0, 4, &port), server;
	char c;

	stage_init(&s);
	stage_start(&s);
	t = toward(&s, true, 40000, port);
	syn(&s, &t);
	stage_guest(&s, &t, (struct tcp_seg){ .seq = STAGE_ISN + 1, .flags = TCP_RST }, NULL);
	stage_run(&s); /* the loopback connects during connect() */
	server = accept(web, NULL, NULL);
	g_assert_cmpint(server, >=, 0);
	g_assert_cmpint(stage_recv(server, &c, 1), ==, -ECONNRESET);
	g_assert_cmpuint(stage_closes(&s, R_GUEST_RESET), ==, 1);
	g_assert_cmpuint(stage_stats(&s).flows_now, ==, 0);
	close(server);
	close(web);
	stage_stop(&s);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/flow_tcp/either-loopback", either_loopback);
	g_test_add_func("/flow_tcp/syn-flood", syn_flood);
	g_test_add_func("/flow_tcp/syn-rst", syn_rst);
	g_test_add_func("/flow_tcp/few-descriptors", few_descriptors);
	g_test_add_func("/flow_tcp/no-memory", no_memory);
	g_test_add_func("/flow_tcp/reset-as-it-connects", reset_as_it_connects);
	return g_test_run();
}
