/* flow_dgram_test.c - sessions: mapping, filtering, ageing, caps.  See flow_dgram_stage.h. */
#include "tests/unit/gateway/flow_dgram_stage.h"

/* C42: the answer comes from where the guest sent to, though the host knows that place by another address; either family. */
static void test_c42_reply_address(void)
{
	struct fixture f;

	begin(&f);
	start(&f);
	for (int v6 = 0; v6 < 2; v6++) {
		int fd = host_at(v6, 0);
		struct tuple t = tuple_to(v6, GUEST_PORT, port_of(fd));
		const struct seen *e;
		struct endpoint from;

		g_assert_cmpint(guest_sends(&f, &t, 100, f.base), ==, R_ACCEPTED);
		g_assert_cmpint(host_gets(fd, &from), ==, 100);
		host_sends(fd, &from, 7, 55);
		e = guest_sees(&f, (unsigned)v6);
		g_assert_true(tuple_eq(&e->t, &t));
		g_assert_cmpuint(e->len, ==, 55);
		g_assert_cmpuint(e->first, ==, 7);
		g_assert_cmpuint(e->m.gso_size, ==, 0);
		host_sends(fd, &from, 0, 0); /* an empty datagram is a datagram */
		g_assert_cmpint(guest_sends(&f, &t, 0, f.base), ==, R_ACCEPTED);
		g_assert_cmpint(host_gets(fd, NULL), ==, 0);
		guest_sees(&f, (unsigned)v6 + 1);
		g_array_remove_index(f.seen, (guint)v6 + 1);
		close(fd);
	}
	g_assert_cmpuint(stats(&f).sockets, ==, 2);
	g_assert_cmpuint(stats(&f).to_guest, ==, 4);
	g_assert_cmpuint(stats(&f).to_host, ==, 4);
	end(&f);
}

/* C41: who was not sent to is not heard, and is counted; with endpoint-independent filtering it is heard, but for the host's loopback. */
static void test_c41_third_party(gconstpointer open)
{
	struct fixture f;
	int fd = host_at(false, 0), other = host_at(false, 0);
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };
	int visible = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct tuple t = tuple_to(false, GUEST_PORT, port_of(fd));
	struct endpoint from;

	g_assert_cmpint(bind(visible, (struct sockaddr *)&sin, sizeof(sin)), ==, 0);
	begin(&f);
	f.env.open_filter = open;
	start(&f);
	g_assert_cmpint(guest_sends(&f, &t, 1, f.base), ==, R_ACCEPTED);
	g_assert_cmpint(host_gets(fd, &from), ==, 1);
	host_sends(other, &from, 1, 10);
	guest_sees_nothing(&f);
	g_assert_cmpuint(f.drops.n[R_UDP_FILTERED], ==, 1);
	host_sends(visible, &from, 9, 10); /* 127.0.0.2, which the map shows as it is */
	if (open) {
		const struct seen *e = guest_sees(&f, 0);

		g_assert_cmpuint(e->first, ==, 9);
		g_assert_cmpuint(e->t.far.port, ==, port_of(visible));
	} else {
		guest_sees_nothing(&f);
		g_assert_cmpuint(f.drops.n[R_UDP_FILTERED], ==, 2);
	}
	g_assert_cmpuint(stats(&f).now, ==, 1);
	end(&f);
	close(fd);
	close(other);
	close(visible);
}

/* RFC 4787 REQ-1: two servers see one mapped port.  STUN, WebRTC and games live by that. */
static void test_same_mapped_port(void)
{
	struct fixture f;
	int a = host_at(false, 0), b = host_at(false, 0);
	struct tuple ta = tuple_to(false, GUEST_PORT, port_of(a)), tb = tuple_to(false, GUEST_PORT, port_of(b));
	struct tuple tc = tuple_to(false, GUEST_PORT + 1, port_of(a));
	struct endpoint fa, fb, fc;

	begin(&f);
	start(&f);
	guest_sends(&f, &ta, 1, f.base);
	guest_sends(&f, &tb, 1, f.base);
	guest_sends(&f, &tc, 1, f.base);
	g_assert_cmpint(host_gets(a, &fa), ==, 1);
	g_assert_cmpint(host_gets(b, &fb), ==, 1);
	g_assert_cmpint(host_gets(a, &fc), ==, 1);
	g_assert_cmpuint(fa.port, ==, fb.port);
	g_assert_cmpuint(fa.port, !=, fc.port);
	g_assert_cmpuint(stats(&f).sockets, ==, 2);
	end(&f);
	close(a);
	close(b);
}

/* C45, D7: idle sessions end by class, a socket with its last session; what comes then is nobody's, and the next datagram begins anew. */
static void test_c45_idle(void)
{
	struct fixture f;
	int fd = host_at(false, 0);
	struct tuple t = tuple_to(false, GUEST_PORT, port_of(fd)), dns = tuple_to(false, GUEST_PORT, 53);

	begin(&f);
	start(&f);
	f.map_answer = R_DENIED;
	g_assert_cmpint(guest_sends(&f, &t, 1, f.base), ==, R_DENIED);
	g_assert_cmpuint(stats(&f).sockets, ==, 0);
	f.map_answer = R_ACCEPTED;
	guest_sends(&f, &t, 1, f.base);
	guest_sends(&f, &dns, 1, f.base);
	g_assert_cmpuint(stats(&f).now, ==, 2);
	flow_dgram_expire(f.d, f.base + 10 * S - 1);
	g_assert_cmpuint(stats(&f).now, ==, 2);
	flow_dgram_expire(f.d, f.base + 10 * S);
	g_assert_cmpuint(stats(&f).now, ==, 1);
	flow_dgram_expire(f.d, f.base + 30 * S - 1);
	g_assert_cmpuint(stats(&f).sockets, ==, 1);
	flow_dgram_expire(f.d, f.base + 30 * S);
	g_assert_cmpuint(stats(&f).now, ==, 0);
	g_assert_cmpuint(stats(&f).sockets, ==, 0);
	g_assert_cmpint(guest_sends(&f, &t, 1, f.base + 40 * S), ==, R_ACCEPTED);
	g_assert_cmpuint(stats(&f).opened, ==, 3);
	end(&f);
	close(fd);
}

/* B36, D7: an answered session lives 180 s after the last datagram of either side. */
static void test_b36_both_refresh(void)
{
	struct fixture f;
	int fd = host_at(false, 0);
	struct tuple t = tuple_to(false, GUEST_PORT, port_of(fd));
	struct endpoint from;

	begin(&f);
	start(&f);
	guest_sends(&f, &t, 1, f.base - 20 * S);
	g_assert_cmpint(host_gets(fd, &from), ==, 1);
	host_sends(fd, &from, 1, 1); /* arrives at about f.base */
	guest_sees(&f, 0);
	flow_dgram_expire(f.d, f.base + 179 * S);
	g_assert_cmpuint(stats(&f).now, ==, 1);
	guest_sends(&f, &t, 1, f.base + 179 * S); /* only the guest speaks */
	flow_dgram_expire(f.d, f.base + 358 * S);
	g_assert_cmpuint(stats(&f).now, ==, 1);
	host_sends(fd, &from, 1, 1); /* only the host does: the clock goes back, so the session looks used now */
	guest_sees(&f, 1);
	flow_dgram_expire(f.d, f.base + 179 * S);
	g_assert_cmpuint(stats(&f).now, ==, 1);
	flow_dgram_expire(f.d, loop_now(NULL) + 180 * S);
	g_assert_cmpuint(stats(&f).now, ==, 0);
	end(&f);
	close(fd);
}

/* The table's own timer ends a session without anybody's help. */
static void test_timer(void)
{
	struct fixture f;
	struct tuple t = tuple_to(false, GUEST_PORT, 9);

	begin(&f);
	start(&f);
	guest_sends(&f, &t, 1, loop_now(NULL) - 30 * S + 20000);
	g_assert_cmpuint(stats(&f).now, ==, 1);
	run(&f, 100, 60);
	g_assert_cmpuint(stats(&f).now, ==, 0);
	end(&f);
}

/* A8: 2000 destinations from one port are one descriptor, and the newest works. */
static void test_a8_many_destinations(void)
{
	struct fixture f;
	int fd = host_at(false, 0);
	struct tuple t = tuple_to(false, GUEST_PORT, port_of(fd));
	struct endpoint from;

	begin(&f);
	start(&f);
	for (uint16_t i = 0; i < 2000; i++) {
		struct tuple many = t;

		many.far.addr = addr_of("127.0.0.0");
		many.far.addr.b[14] = (uint8_t)(i / 200 + 1);
		many.far.addr.b[15] = (uint8_t)(i % 200 + 2);
		g_assert_cmpint(guest_sends(&f, &many, 1, f.base), ==, R_ACCEPTED);
	}
	g_assert_cmpint(guest_sends(&f, &t, 3, f.base), ==, R_ACCEPTED);
	g_assert_cmpint(host_gets(fd, &from), ==, 3);
	g_assert_cmpuint(stats(&f).now, ==, 2001);
	g_assert_cmpuint(stats(&f).sockets, ==, 1);
	g_assert_cmpuint(stats(&f).evicted, ==, 0);
	end(&f);
	close(fd);
}

/* B34, D6: at the cap the least recently used goes, unanswered first; a socket cap closes the least recently used endpoint. */
static void test_b34_caps(void)
{
	struct fixture f;
	int fd = host_at(false, 0), other = host_at(false, 0);
	struct tuple t = tuple_to(false, GUEST_PORT, port_of(fd)), ta = tuple_to(false, GUEST_PORT, 9), tb = tuple_to(false, GUEST_PORT + 1, 10);
	struct tuple tc = tuple_to(false, GUEST_PORT + 2, port_of(other));
	struct endpoint from;

	begin(&f);
	f.tune.udp_sessions_max = 3;
	f.tune.udp_sockets_max = 2;
	start(&f);
	guest_sends(&f, &t, 1, f.base); /* the oldest, but answered */
	g_assert_cmpint(host_gets(fd, &from), ==, 1);
	host_sends(fd, &from, 1, 1);
	guest_sees(&f, 0);
	guest_sends(&f, &ta, 1, f.base);
	guest_sends(&f, &tb, 1, f.base);
	g_assert_cmpuint(stats(&f).now, ==, 3);
	guest_sends(&f, &t, 1, f.base); /* the endpoint GUEST_PORT + 1 is the least recently used now */
	g_assert_cmpint(guest_sends(&f, &tc, 1, f.base), ==, R_ACCEPTED);
	g_assert_cmpint(host_gets(other, NULL), ==, 1);
	g_assert_cmpuint(stats(&f).sockets, ==, 2);
	g_assert_cmpuint(stats(&f).now, ==, 3);
	g_assert_cmpuint(stats(&f).evicted, ==, 1);
	ta.far.port = 11;
	guest_sends(&f, &ta, 1, f.base); /* evicts ta's first session */
	g_assert_cmpuint(stats(&f).now, ==, 3);
	g_assert_cmpuint(stats(&f).evicted, ==, 2);
	host_sends(fd, &from, 5, 1); /* the answered one is still there */
	run(&f, 100, 50);
	g_assert_cmpuint(g_array_index(f.seen, struct seen, f.seen->len - 1).first, ==, 5);
	/* all are in use in one turn: nobody gives way */
	guest_gathers(&f, &t, &(struct dgram_meta){ .hop_limit = 64 }, 1, f.base);
	guest_gathers(&f, &tc, &(struct dgram_meta){ .hop_limit = 64 }, 1, f.base);
	g_assert_cmpint(guest_gathers(&f, &tb, &(struct dgram_meta){ .hop_limit = 64 }, 1, f.base), ==, R_NO_DESCRIPTOR);
	flow_dgram_flush(f.d, f.base);
	end(&f);
	close(fd);
	close(other);
}

/* A row that is lowered while there are sessions holds from the next new one on. */
static void test_caps_lowered(void)
{
	struct fixture f;
	int fd = host_at(false, 0);

	begin(&f);
	start(&f);
	for (uint16_t i = 0; i < 20; i++) {
		struct tuple t = tuple_to(false, (uint16_t)(GUEST_PORT + i), port_of(fd));

		if (i == 19) {
			f.tune.udp_sessions_max = 5;
			f.tune.udp_sockets_max = 3;
		}
		g_assert_cmpint(guest_sends(&f, &t, 1, f.base), ==, R_ACCEPTED);
	}
	g_assert_cmpuint(stats(&f).sockets, ==, 3);
	g_assert_cmpuint(stats(&f).now, ==, 3);
	g_assert_cmpuint(stats(&f).evicted, ==, 17);
	end(&f);
	close(fd);
}

/* Somebody else's descriptor, once. */
static int spare = -1;

static bool spare_one(void *arg)
{
	int fd = spare;

	spare = -1;
	return fd >= 0 && !close(fd);
}

/* No descriptor left: somebody else gives one, or an endpoint gives way instead of the guest being refused. */
static void test_descriptors_give_way(gconstpointer others)
{
	struct fixture f;
	int fd = host_at(false, 0), lowest;
	struct tuple ta = tuple_to(false, GUEST_PORT, port_of(fd)), tb = tuple_to(false, GUEST_PORT + 1, port_of(fd));
	struct rlimit was, now;

	begin(&f);
	f.env.give_way = spare_one;
	start(&f);
	spare = others ? dup(fd) : -1;
	g_assert_cmpint(guest_sends(&f, &ta, 1, f.base), ==, R_ACCEPTED);
	getrlimit(RLIMIT_NOFILE, &was);
	lowest = dup(fd); /* all numbers below are in use */
	close(lowest);
	now = (struct rlimit){ (rlim_t)lowest, was.rlim_max };
	setrlimit(RLIMIT_NOFILE, &now);
	g_assert_cmpint(guest_sends(&f, &tb, 1, f.base), ==, R_ACCEPTED);
	setrlimit(RLIMIT_NOFILE, &was);
	g_assert_cmpuint(stats(&f).sockets, ==, others ? 2 : 1);
	g_assert_cmpuint(stats(&f).evicted, ==, others ? 0 : 1);
	end(&f);
	close(fd);
}

/* No memory for any one thing that a session needs, the timer that ends it among them: refused, nothing is left, and the next one is served. */
static void test_no_memory(void)
{
	struct mem mem = { 0 };
	int fd = host_at(false, 0);
	struct tuple t = tuple_to(false, GUEST_PORT, port_of(fd));
	enum reason r = R_NO_MEMORY;
	struct fixture f;
	uint64_t k;

	for (k = 0; r; k++) { /* a table of its own each time: room that was made stays */
		begin(&f);
		loop_use_mem(f.loop, &mem);
		f.env.mem = &mem;
		start(&f);
		mem.fail_from = mem.asked + k;
		mem.fail_count = 1;
		r = guest_sends(&f, &t, 1, f.base);
		g_assert_cmpint(r, ==, mem.failed ? R_NO_MEMORY : R_ACCEPTED);
		g_assert_cmpuint(stats(&f).now, ==, !r);
		g_assert_cmpuint(stats(&f).sockets, ==, !r);
		mem = (struct mem){ 0 };
		g_assert_cmpint(guest_sends(&f, &t, 1, f.base), ==, R_ACCEPTED);
		g_assert_cmpuint(stats(&f).now, ==, 1);
		g_assert_cmpint(host_gets(fd, NULL), ==, 1);
		end(&f);
	}
	g_assert_cmpuint(k, >=, 4); /* socket, session, timer; and none */
	close(fd);
}

int main(int argc, char **argv)
{
	isolate();
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/flow_dgram/C42_reply_address", test_c42_reply_address);
	g_test_add_data_func("/flow_dgram/C41_third_party_filtered", NULL, test_c41_third_party);
	g_test_add_data_func("/flow_dgram/third_party_open", "open", test_c41_third_party);
	g_test_add_func("/flow_dgram/same_mapped_port", test_same_mapped_port);
	g_test_add_func("/flow_dgram/C45_D7_idle", test_c45_idle);
	g_test_add_func("/flow_dgram/B36_D7_both_refresh", test_b36_both_refresh);
	g_test_add_func("/flow_dgram/timer", test_timer);
	g_test_add_func("/flow_dgram/A8_many_destinations", test_a8_many_destinations);
	g_test_add_func("/flow_dgram/B34_D6_caps", test_b34_caps);
	g_test_add_func("/flow_dgram/caps_lowered", test_caps_lowered);
	g_test_add_data_func("/flow_dgram/descriptors_give_way", NULL, test_descriptors_give_way);
	g_test_add_data_func("/flow_dgram/descriptors_given", "others", test_descriptors_give_way);
	g_test_add_func("/flow_dgram/no_memory", test_no_memory);
	return g_test_run();
}
