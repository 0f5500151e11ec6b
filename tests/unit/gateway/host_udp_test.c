/* host_udp_test.c - what sockets and error queues do, seen through the session table.  See flow_dgram_stage.h. */
#include "gateway/host_udp.h"
#include "tests/unit/gateway/flow_dgram_stage.h"

/* B35: a closed port is told to the guest as port unreachable from where it sent to, and when the port opens the next datagram works. */
static void test_b35_closed_then_open(void)
{
	struct fixture f;

	begin(&f);
	start(&f);
	for (int v6 = 0; v6 < 2; v6++) {
		int fd = host_at(v6, 0);
		struct tuple t = tuple_to(v6, GUEST_PORT, port_of(fd));
		const struct seen *e;

		close(fd);
		g_assert_cmpint(guest_sends(&f, &t, 10, f.base), ==, R_ACCEPTED);
		e = guest_sees(&f, (unsigned)v6);
		g_assert_true(e->error && tuple_eq(&e->t, &t));
		g_assert_cmpint(e->why, ==, ICMP_UNREACH_PORT);
		g_assert_true(e->has_from && addr_eq(&e->from, &t.far.addr));
		fd = host_at(v6, t.far.port);
		g_assert_cmpint(guest_sends(&f, &t, 11, f.base), ==, R_ACCEPTED);
		g_assert_cmpint(host_gets(fd, NULL), ==, 11);
		close(fd);
	}
	g_assert_cmpuint(f.drops.n[R_HOST_ERROR], ==, 0);
	end(&f);
}

/* B38: an error about one peer costs no datagram to another, though the kernel fails the next send on the socket; it is told about
 * the peer that it is about. */
static void test_b38_error_of_another(void)
{
	struct fixture f;
	int fd = host_at(false, 0), gone = host_at(false, 0);
	struct tuple good = tuple_to(false, GUEST_PORT, port_of(fd)), bad = tuple_to(false, GUEST_PORT, port_of(gone));
	struct dgram_meta m = { .hop_limit = 64, .dont_fragment = true };

	close(gone);
	begin(&f);
	start(&f);
	for (int i = 0; i < 20; i++) {
		guest_gathers(&f, &good, &m, 1, f.base); /* within one sendmmsg() */
		guest_gathers(&f, &bad, &m, 2, f.base);
		guest_gathers(&f, &good, &m, 3, f.base);
		flow_dgram_flush(f.d, f.base); /* and left over for the next */
		g_assert_cmpint(host_gets(fd, NULL), ==, 1);
		g_assert_cmpint(host_gets(fd, NULL), ==, 3);
	}
	run(&f, 20, WAIT_MS);
	g_assert_cmpuint(f.seen->len, ==, 20);
	for (unsigned i = 0; i < f.seen->len; i++) {
		const struct seen *e = &g_array_index(f.seen, struct seen, i);

		g_assert_true(e->error && tuple_eq(&e->t, &bad));
		g_assert_cmpint(e->why, ==, ICMP_UNREACH_PORT);
	}
	g_assert_cmpuint(f.drops.n[R_HOST_ERROR], ==, 0);
	end(&f);
	close(fd);
}

/* An error about a session that was evicted in between belongs to nobody. */
static void test_error_of_gone_session(void)
{
	struct fixture f;
	int fd = host_at(false, 0), gone = host_at(false, 0);
	struct tuple good = tuple_to(false, GUEST_PORT, port_of(fd)), bad = tuple_to(false, GUEST_PORT, port_of(gone));

	close(gone);
	begin(&f);
	f.tune.udp_sessions_max = 1;
	start(&f);
	guest_sends(&f, &bad, 1, f.base);
	guest_sends(&f, &good, 1, f.base);
	guest_sees_nothing(&f);
	g_assert_cmpuint(f.drops.n[R_UDP_FILTERED], ==, 1);
	g_assert_cmpint(host_gets(fd, NULL), ==, 1);
	end(&f);
	close(fd);
}

/* B38: no route is network unreachable; a datagram larger than the path MTU is told with the MTU, or fragmented when it may be. */
static void test_b38_route_and_size(void)
{
	struct fixture f;
	struct tuple far = tuple_to(false, GUEST_PORT, 9);
	unsigned n = 0;

	if (!isolated) {
		g_test_skip("no network namespace of our own");
		return;
	}
	begin(&f);
	start(&f);
	far.far.addr = addr_of("198.51.100.7");
	guest_sends(&f, &far, 1, f.base);
	g_assert_cmpint(guest_sees(&f, n++)->why, ==, ICMP_UNREACH_NET);
	for (int v6 = 0; v6 < 2; v6++) {
		int fd = host_at(v6, 0);
		struct tuple t = tuple_to(v6, GUEST_PORT, port_of(fd));
		struct dgram_meta m = { .hop_limit = 64, .dont_fragment = true };
		const struct seen *e;

		guest_sends(&f, &t, 4000, f.base);
		e = guest_sees(&f, n++);
		g_assert_true(e->error && tuple_eq(&e->t, &t));
		g_assert_cmpint(e->why, ==, ICMP_UNREACH_SIZE);
		g_assert_cmpuint(e->mtu, ==, 1500);
		g_assert_cmpint(guest_sends(&f, &t, 1400, f.base), ==, R_ACCEPTED);
		g_assert_cmpint(host_gets(fd, NULL), ==, 1400);
		m.dont_fragment = false;
		g_assert_cmpint(guest_gathers(&f, &t, &m, 4000, f.base), ==, R_ACCEPTED);
		flow_dgram_flush(f.d, f.base);
		g_assert_cmpint(host_gets(fd, NULL), ==, 4000);
		m.gso_size = 2000; /* a run of datagrams that each must be cut */
		guest_gathers(&f, &t, &m, 5000, f.base);
		flow_dgram_flush(f.d, f.base);
		g_assert_cmpint(host_gets(fd, NULL), ==, 2000);
		g_assert_cmpint(host_gets(fd, NULL), ==, 2000);
		g_assert_cmpint(host_gets(fd, NULL), ==, 1000);
		close(fd);
	}
	g_assert_cmpuint(f.drops.n[R_HOST_ERROR], ==, 3);
	end(&f);
}

/* The hop limit leaves one smaller, per datagram; DSCP and ECN are copied, both ways. */
static void test_hop_limit_and_tos(void)
{
	struct fixture f;

	begin(&f);
	start(&f);
	for (int v6 = 0; v6 < 2; v6++) {
		int fd = host_at(v6, 0), ttl = 0, tos = 0, mark = 0x28;
		struct tuple t = tuple_to(v6, GUEST_PORT, port_of(fd));
		const struct dgram_meta m[] = { { 64, 0, true, 0 }, { 64, 0xb8, true, 0 }, { 2, 0x2e, true, 0 }, { 1, 0, true, 0 } };
		struct endpoint from;

		for (unsigned i = 0; i < G_N_ELEMENTS(m); i++)
			guest_gathers(&f, &t, &m[i], 1, f.base);
		flow_dgram_flush(f.d, f.base);
		for (unsigned i = 0; i < G_N_ELEMENTS(m); i++) {
			g_assert_cmpint(host_gets_within(fd, &from, &ttl, &tos, WAIT_MS), ==, 1);
			g_assert_cmpint(ttl, ==, m[i].hop_limit > 1 ? m[i].hop_limit - 1 : 1);
			g_assert_cmpint(tos, ==, m[i].tos);
		}
		g_assert_cmpint(v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &mark, sizeof(mark)) :
				setsockopt(fd, IPPROTO_IP, IP_TOS, &mark, sizeof(mark)), ==, 0);
		host_sends(fd, &from, 1, 1);
		g_assert_cmpuint(guest_sees(&f, (unsigned)v6)->m.tos, ==, 0x28);
		close(fd);
	}
	end(&f);
}

/* Datagrams of one turn leave by one call, equal ones as a run, in order and whole; what comes back by few calls, as runs. */
static void test_batches(void)
{
	struct fixture f;
	int fd = host_at(false, 0), other = host_at(false, 0);
	struct tuple t = tuple_to(false, GUEST_PORT, port_of(fd)), to = tuple_to(false, GUEST_PORT, port_of(other));
	static const uint32_t lens[] = { 100, 100, 100, 50, 100, 200, 200, 1, 0, 7 };
	struct dgram_meta m = { .hop_limit = 64, .dont_fragment = true }, run_of = m;
	struct endpoint from;
	uint32_t total = 0;

	begin(&f);
	start(&f);
	for (unsigned i = 0; i < G_N_ELEMENTS(lens); i++)
		g_assert_cmpint(guest_gathers(&f, &t, &m, lens[i], f.base), ==, R_ACCEPTED);
	guest_gathers(&f, &to, &m, 8, f.base);
	run_of.gso_size = 10;
	g_assert_cmpint(guest_gathers(&f, &t, &run_of, 1000 + 5, f.base), ==, R_ACCEPTED); /* 101 datagrams: more than one run */
	flow_dgram_flush(f.d, f.base);
	g_assert_cmpuint(stats(&f).sends, ==, 1);
	g_assert_cmpuint(stats(&f).to_host, ==, G_N_ELEMENTS(lens) + 1 + 101);
	for (unsigned i = 0; i < G_N_ELEMENTS(lens); i++)
		g_assert_cmpint(host_gets(fd, &from), ==, (int)lens[i]);
	for (unsigned i = 0; i < 101; i++)
		g_assert_cmpint(host_gets(fd, &from), ==, i < 100 ? 10 : 5);
	g_assert_cmpint(host_gets(other, NULL), ==, 8);

	for (uint8_t i = 0; i < 20; i++)
		host_sends(fd, &from, i, 100);
	host_sends(fd, &from, 20, 60);
	host_sends(fd, &from, 21, 100);
	run(&f, 2, WAIT_MS);
	run(&f, 1000, 30);
	g_assert_cmpuint(stats(&f).to_guest, ==, 22);
	for (unsigned i = 0; i < f.seen->len; i++)
		total += g_array_index(f.seen, struct seen, i).len;
	g_assert_cmpuint(total, ==, 20 * 100 + 60 + 100);
	g_assert_cmpuint(f.seen->len, ==, 2);
	g_assert_cmpuint(g_array_index(f.seen, struct seen, 0).m.gso_size, ==, 100);
	g_assert_cmpuint(g_array_index(f.seen, struct seen, 1).first, ==, 21);
	g_assert_cmpuint(stats(&f).receives, ==, 1);
	end(&f);
	close(fd);
	close(other);
}

/* A run that the sender made (UDP_SEGMENT) arrives as one, with its size. */
static void test_run_from_host(void)
{
	struct fixture f;
	int fd = host_at(false, 0), each = 1000;
	struct tuple t = tuple_to(false, GUEST_PORT, port_of(fd));
	struct endpoint from;
	const struct seen *e;

	begin(&f);
	start(&f);
	guest_sends(&f, &t, 1, f.base);
	g_assert_cmpint(host_gets(fd, &from), ==, 1);
	g_assert_cmpint(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &each, sizeof(each)), ==, 0);
	host_sends(fd, &from, 3, 4500);
	e = guest_sees(&f, 0);
	g_assert_cmpuint(e->len, ==, 4500);
	g_assert_cmpuint(e->m.gso_size, ==, 1000);
	g_assert_cmpuint(stats(&f).to_guest, ==, 5);
	end(&f);
	close(fd);
}

/* n datagrams at once toward the guest's socket, and all of them read. */
static void host_bursts(struct fixture *f, int fd, const struct endpoint *to, int n)
{
	uint64_t before = stats(f).to_guest;

	for (int i = 0; i < n; i++)
		host_sends(fd, to, 1, 1);
	for (int64_t until = loop_now(NULL) + WAIT_MS * 1000; stats(f).to_guest < before + (uint64_t)n && loop_now(NULL) < until;)
		g_main_context_iteration(f->ctx, FALSE);
	g_assert_cmpuint(stats(f).to_guest, ==, before + (uint64_t)n);
}

/* A socket that is found full gets a larger buffer, twice as large each time, up to 2 MiB; with the socket it goes back.  All of them
 * together have a limit. */
static void test_buffer_grows(void)
{
	enum { USUAL = 512 << 10, MOST = 2 << 20, ALL = 64 << 20, SOCKETS = ALL / (MOST - USUAL) + 4 };
	int fd = host_at(false, 0);
	struct endpoint from;
	struct fixture f;

	begin(&f);
	start(&f);
	for (unsigned i = 0; i < SOCKETS; i++) {
		struct tuple t = tuple_to(false, (uint16_t)(GUEST_PORT + i), port_of(fd));

		g_assert_cmpint(guest_sends(&f, &t, 1, f.base), ==, R_ACCEPTED);
		g_assert_cmpint(host_gets(fd, &from), ==, 1);
		host_bursts(&f, fd, &from, 10);
		if (!i)
			g_assert_cmpuint(stats(&f).raised, ==, 0);
		for (int k = 0; k < 3; k++) {
			host_bursts(&f, fd, &from, 64);
			if (!i)
				g_assert_cmpuint(stats(&f).raised, ==, k ? MOST - USUAL : USUAL);
		}
	}
	g_assert_cmpuint(stats(&f).raised, <=, ALL);
	g_assert_cmpuint(stats(&f).raised, >, ALL - USUAL);
	flow_dgram_expire(f.d, f.base + 3600 * S);
	g_assert_cmpuint(stats(&f).sockets, ==, 0);
	g_assert_cmpuint(stats(&f).raised, ==, 0);
	end(&f);
	close(fd);
}

/* One socket's share of a turn is counted in bytes: after a datagram of 60 000, four such are a call's work, and after small ones 64. */
static void test_batch_by_bytes(void)
{
	struct fixture f;
	int fd = host_at(false, 0);
	struct tuple t = tuple_to(false, GUEST_PORT, port_of(fd));
	struct endpoint from;

	begin(&f);
	start(&f);
	guest_sends(&f, &t, 1, f.base);
	g_assert_cmpint(host_gets(fd, &from), ==, 1);
	host_sends(fd, &from, 0, 60000);
	run(&f, 1, WAIT_MS);
	g_assert_cmpuint(stats(&f).receives, ==, 1);
	for (uint8_t i = 1; i <= 5; i++)
		host_sends(fd, &from, i, 60000);
	run(&f, 6, WAIT_MS);
	g_assert_cmpuint(f.seen->len, ==, 6);
	g_assert_cmpuint(stats(&f).receives, ==, 3);
	for (unsigned i = 0; i < 6; i++)
		g_assert_cmpuint(g_array_index(f.seen, struct seen, i).first, ==, i);
	host_sends(fd, &from, 6, 1);
	run(&f, 7, WAIT_MS);
	host_bursts(&f, fd, &from, 64);
	g_assert_cmpuint(stats(&f).receives, ==, 5);
	end(&f);
	close(fd);
}

/* C45: more datagrams than the turn's table holds: counted, not kept; the next turn works.  A session that ends while its datagram waits
 * lets it go first. */
static void test_turn_full(void)
{
	struct fixture f;
	enum { PEERS = 4 }; /* one socket's buffer does not hold so many */
	struct dgram_meta m = { .hop_limit = 64, .dont_fragment = true };
	int fds[PEERS];
	struct tuple t;
	unsigned taken = 0;

	begin(&f);
	start(&f);
	for (int k = 0; k < PEERS; k++)
		fds[k] = host_at(false, 0);
	for (uint32_t i = 0; i < HOST_UDP_QUEUE + 100; i++) { /* no two for one peer follow each other */
		t = tuple_to(false, GUEST_PORT, port_of(fds[i % PEERS]));
		taken += guest_gathers(&f, &t, &m, i / PEERS + 1, f.base) == R_ACCEPTED;
	}
	g_assert_cmpuint(taken, ==, HOST_UDP_QUEUE);
	g_assert_cmpint(guest_gathers(&f, &t, &m, 1000, f.base), ==, R_TURN_FULL);
	flow_dgram_flush(f.d, f.base);
	for (int i = 0; i < HOST_UDP_QUEUE; i++)
		g_assert_cmpint(host_gets(fds[i % PEERS], NULL), ==, i / PEERS + 1);
	t = tuple_to(false, GUEST_PORT, port_of(fds[0]));
	guest_gathers(&f, &t, &m, 9, f.base);
	flow_dgram_expire(f.d, f.base + 30 * S);
	g_assert_cmpuint(stats(&f).now, ==, 0);
	g_assert_cmpuint(stats(&f).sockets, ==, 1);
	flow_dgram_flush(f.d, f.base);
	g_assert_cmpuint(stats(&f).sockets, ==, 0);
	g_assert_cmpint(host_gets(fds[0], NULL), ==, 9);
	guest_gathers(&f, &t, &m, 9, f.base); /* never sent: the table is freed with it */
	end(&f);
	for (int k = 0; k < PEERS; k++)
		close(fds[k]);
}

int main(int argc, char **argv)
{
	isolate();
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/host_udp/B35_A9_closed_then_open", test_b35_closed_then_open);
	g_test_add_func("/host_udp/B38_error_of_another", test_b38_error_of_another);
	g_test_add_func("/host_udp/error_of_gone_session", test_error_of_gone_session);
	g_test_add_func("/host_udp/B38_route_and_size", test_b38_route_and_size);
	g_test_add_func("/host_udp/buffer_grows", test_buffer_grows);
	g_test_add_func("/host_udp/batch_by_bytes", test_batch_by_bytes);
	g_test_add_func("/host_udp/hop_limit_and_tos", test_hop_limit_and_tos);
	g_test_add_func("/host_udp/batches", test_batches);
	g_test_add_func("/host_udp/run_from_host", test_run_from_host);
	g_test_add_func("/host_udp/C45_turn_full", test_turn_full);
	return g_test_run();
}
