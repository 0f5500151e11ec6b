/* dns_relay_test.c - the relay: what passes, what is ignored, what happens when servers fail, and its bounds.
 *
 * Below: gateway/dns_relay.h, dns_relay_dialogue.h.
 */
#include "tests/unit/gateway/dns_relay_dialogue.h"

#include <sys/resource.h>

static void relay_answer(struct fixture *f, gconstpointer data)
{
	struct msg q = query(0x1234, "www.example.org", 1232), heard, a;
	uint64_t queries, answers;
	struct endpoint from;

	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &heard, &from));
	g_assert_cmpmem(heard.b + 2, heard.len - 2, q.b + 2, q.len - 2); /* unchanged but for the id */
	a = answer_to(&heard, 200);
	a.b[HEADER + 1] = 'W'; /* case is the server's business */
	server_says(f, 0, &from, &a);
	g_assert_cmpuint(f->n_heard, ==, 1);
	bytes_put16(a.b, 0x1234);
	g_assert_cmpmem(f->heard.b, f->heard.len, a.b, a.len);
	g_assert_true(tuple_eq(&f->heard_tuple, &f->tuple));
	server_says(f, 0, &from, &a); /* once only */
	g_assert_cmpuint(f->n_heard, ==, 1);
	assert_silent(f, 1);
	dns_relay_stats(f->relay, &queries, &answers);
	g_assert_cmpuint(queries, ==, 1);
	g_assert_cmpuint(answers, ==, 1);
}

/* Ids and source ports differ from query to query, as the guest's ports do; more of them than there are sockets. */
static void relay_random(struct fixture *f, gconstpointer data)
{
	struct msg q = query(7, "example.org", 0), heard;
	unsigned same_id = 0, same_port = 0;
	struct endpoint from;
	uint16_t id = 0, port = 0;

	for (uint16_t i = 0; i < 600; i++) {
		g_assert_cmpint(ask_from(f, 1 + i, &q), ==, R_ACCEPTED);
		g_assert_true(server_hears(f, 0, &heard, &from));
		same_id += bytes_get16(heard.b) == id;
		same_port += from.port == port;
		id = bytes_get16(heard.b);
		port = from.port;
		heard = answer_to(&heard, heard.len);
		server_says(f, 0, &from, &heard);
	}
	g_assert_cmpuint(f->n_heard, ==, 600);
	g_assert_cmpuint(same_id, <, 5);
	g_assert_cmpuint(same_port, <, 5);
}

static void relay_mismatch(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "www.example.org", 0), heard, bad;
	struct endpoint from;

	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &heard, &from));
	for (int i = 0; i < 7; i++) {
		bad = answer_to(&heard, 100);
		switch (i) {
		case 0: bad.b[0] ^= 1; break;			     /* id */
		case 1: bad.b[HEADER + 1] = 'x'; break;		     /* name */
		case 2: bad.b[heard.len - 3] = 28; break;	     /* type */
		case 3: bad.b[2] &= 0x7f; break;		     /* a query */
		case 4: bad.b[2] |= 0x20; break;		     /* opcode */
		case 5: bad.len = 11; break;			     /* shorter than a header */
		case 6: bytes_put16(bad.b + 4, 0), bad.b[3] = 0; break; /* no question, no error */
		}
		server_says(f, 0, &from, &bad);
		g_assert_cmpuint(f->drops.n[R_DNS_MISMATCH], ==, i + 1);
	}
	bad = answer_to(&heard, 100);
	server_says(f, 1, &from, &bad); /* another server: the kernel keeps it away */
	g_assert_cmpuint(f->drops.n[R_DNS_MISMATCH], ==, 7);
	g_assert_cmpuint(f->n_heard, ==, 0);
	server_says(f, 0, &from, &bad);
	g_assert_cmpuint(f->n_heard, ==, 1);
}

/* A server from before EDNS answers FORMERR and nothing else. */
static void relay_formerr(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "www.example.org", 4096), heard;
	struct endpoint from;

	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &heard, &from));
	memset(heard.b + 4, 0, 8);
	heard.b[2] |= 0x80;
	heard.b[3] = 1;
	heard.len = HEADER;
	server_says(f, 0, &from, &heard);
	g_assert_cmpuint(f->n_heard, ==, 1);
	g_assert_cmpuint(f->heard.len, ==, HEADER);
	g_assert_cmpuint(f->heard.b[3], ==, 1);
}

static void relay_truncation(struct fixture *f, gconstpointer data)
{
	static const struct {
		uint16_t edns, max_answer;
		uint32_t len;
		bool cut;
	} row[] = {
		{ 0, 1472, 512, false },     { 0, 1472, 513, true },     /* no EDNS */
		{ 1232, 1472, 1232, false }, { 1232, 1472, 1233, true }, /* its size */
		{ 4096, 1472, 1472, false }, { 4096, 1472, 1473, true }, /* the link's size */
		{ 4096, 4000, 4000, false }, { 100, 1472, 512, false },	 /* 512 always fits */
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
		struct msg q = query(9, "a.example.org", row[i].edns);

		f->max_answer = row[i].max_answer;
		relay_new(f, 1);
		g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
		server_serves(f, 0, row[i].len);
		g_assert_cmpuint(f->n_heard, ==, i + 1);
		g_assert_cmpuint(f->heard.b[2] & 0x02, ==, row[i].cut ? 0x02 : 0);
		if (row[i].cut) {
			if (row[i].edns)
				bytes_put16(q.b + q.len - 8, 4096); /* of the OPT record: what the relay takes */
			g_assert_cmpmem(f->heard.b + 4, f->heard.len - 4, q.b + 4, q.len - 4);
		} else {
			g_assert_cmpuint(f->heard.len, ==, row[i].len);
		}
	}
}

/* A refusal moves a query on at once, and the next queries do not start there until the penalty is over. */
static void failover_refused(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0);

	assert_server(f, 0);
	server_close(f, 0);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	settle(f);
	server_serves(f, 1, 0);
	g_assert_cmpuint(f->n_heard, ==, 1);
	assert_server(f, 1);

	f->server[0] = server_open(f, 0);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	server_serves(f, 1, 0);
	assert_silent(f, 0);
	g_assert_cmpuint(f->n_heard, ==, 2);
}

static void failover_forgiven(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0);

	relay_new_timed(f, SERVERS, NEVER_MS, NEVER_MS, 1);
	server_close(f, 0);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	settle(f);
	server_serves(f, 1, 0);
	f->server[0] = server_open(f, 0);
	g_usleep(2000);
	assert_server(f, 0);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	server_serves(f, 0, 0);
	g_assert_cmpuint(f->n_heard, ==, 2);
}

/* connect() or socket() fails: as good as a refusal. */
static void failover_unreachable(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0);

	g_assert_true(addr_parse("fe80::1", &f->addr[0], NULL)); /* without an interface */
	relay_new(f, 2);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	server_serves(f, 1, 0);
	g_assert_cmpuint(f->n_heard, ==, 1);
}

/* Silence: the next one is asked under another id from another port; the late answer of the first is nobody's. */
static void failover_silent(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0), first, second;
	struct endpoint from1, from2;
	int64_t start = loop_now(NULL);

	relay_new_timed(f, 2, 200, NEVER_MS, NEVER_MS);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &first, &from1));
	while (!server_hears(f, 1, &second, &from2))
		g_main_context_iteration(f->ctx, TRUE);
	g_assert_cmpint(loop_now(NULL) - start, >=, 200000);
	first = answer_to(&first, 100);
	server_says(f, 0, &from1, &first);
	g_assert_cmpuint(f->n_heard, ==, 0);
	second = answer_to(&second, 100);
	server_says(f, 1, &from2, &second);
	g_assert_cmpuint(f->n_heard, ==, 1);
	assert_server(f, 1);
}

/* An answer clears a server that another query has just given up. */
static void failover_cleared(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0), heard;
	struct endpoint from;

	relay_new_timed(f, 2, 400, NEVER_MS, NEVER_MS);
	g_assert_cmpint(ask_from(f, 1, &q), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &heard, &from));
	g_usleep(200000);
	g_assert_cmpint(ask_from(f, 2, &q), ==, R_ACCEPTED);
	while (!server_hears(f, 1, &heard, &from)) /* the first query moves on */
		g_main_context_iteration(f->ctx, TRUE);
	assert_server(f, 1);
	server_serves(f, 0, 0);
	g_assert_cmpuint(f->heard_tuple.guest.port, ==, 2);
	assert_server(f, 0);
}

/* Other servers while queries are in flight: those end with whom they asked, the next ones ask the new. */
static void servers_changed(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0);

	relay_new(f, 1);
	g_assert_cmpint(ask_from(f, 1, &q), ==, R_ACCEPTED);
	g_assert_false(dns_relay_set_servers(f->relay, f->addr, 1)); /* the same */
	g_assert_true(dns_relay_set_servers(f->relay, f->addr + 1, 2));
	assert_server(f, 1);
	g_assert_cmpint(ask_from(f, 2, &q), ==, R_ACCEPTED);
	server_serves(f, 1, 0);
	g_assert_cmpuint(f->n_heard, ==, 1);
	g_assert_cmpuint(f->heard_tuple.guest.port, ==, 2);
	server_serves(f, 0, 0);
	g_assert_cmpuint(f->n_heard, ==, 2);
	g_assert_cmpuint(f->heard_tuple.guest.port, ==, 1);
}

/* The old server is silent, or refuses: the next try of a query in flight asks the new one; who failed before is still known to have. */
static void servers_dead(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0);

	server_close(f, 0);
	g_assert_cmpint(ask_from(f, 1, &q), ==, R_ACCEPTED);
	settle(f);
	server_serves(f, 1, 0); /* 0 has its penalty now */
	g_assert_true(dns_relay_set_servers(f->relay, (struct addr[]){ f->addr[0], f->addr[2] }, 2));
	assert_server(f, 2);
	relay_new_timed(f, 1, 50, NEVER_MS, NEVER_MS);
	f->server[0] = server_open(f, 0);
	g_assert_cmpint(ask_from(f, 2, &q), ==, R_ACCEPTED);
	g_assert_true(dns_relay_set_servers(f->relay, f->addr + 2, 1));
	g_usleep(50000);
	settle(f);
	while (f->n_heard < 2) {
		struct endpoint from;
		struct msg m;

		g_main_context_iteration(f->ctx, FALSE);
		if (server_hears(f, 2, &m, &from)) {
			m = answer_to(&m, m.len);
			server_says(f, 2, &from, &m);
		}
	}
	assert_server(f, 2);
}

/* The host's network has changed: who failed is forgiven, and who waits asks anew, from a new socket under a new id. */
static void host_changed(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0), first, second;
	struct endpoint from1, from2;

	server_close(f, 0);
	g_assert_cmpint(ask_from(f, 1, &q), ==, R_ACCEPTED);
	settle(f); /* refused: 1 is asked */
	g_assert_true(server_hears(f, 1, &first, &from1));
	assert_server(f, 1);
	f->server[0] = server_open(f, 0);
	dns_relay_host_changed(f->relay, loop_now(NULL));
	assert_server(f, 0);
	settle(f);
	g_assert_true(server_hears(f, 0, &second, &from2));
	first = answer_to(&first, 100);
	server_says(f, 1, &from1, &first); /* nobody waits for that any more */
	g_assert_cmpuint(f->n_heard, ==, 0);
	second = answer_to(&second, 100);
	server_says(f, 0, &from2, &second);
	g_assert_cmpuint(f->n_heard, ==, 1);
}

/* Over TCP: each server once, in order, within total_timeout; what failed there still serves UDP. */
static void tcp_failed(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0);
	struct addr a;

	g_assert_true(dns_relay_server_failed(f->relay, &f->addr[0], 1, 0, &a));
	g_assert_true(addr_eq(&a, &f->addr[1]));
	g_assert_true(dns_relay_server_failed(f->relay, &f->addr[1], 2, 0, &a));
	g_assert_true(addr_eq(&a, &f->addr[2]));
	g_assert_false(dns_relay_server_failed(f->relay, &f->addr[2], 3, 0, &a));
	g_assert_false(dns_relay_server_failed(f->relay, &f->addr[0], 1, NEVER_MS * 1000ll, &a));
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	server_serves(f, 0, 0);
	g_assert_cmpuint(f->n_heard, ==, 1);
}

/* No server any more: the guest hears so at once; and one again. */
static void servers_none(struct fixture *f, gconstpointer data)
{
	struct msg q = query(0x4321, "example.org", 0);
	struct addr a;

	g_assert_true(dns_relay_set_servers(f->relay, NULL, 0));
	g_assert_false(dns_relay_server(f->relay, &a));
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	settle(f);
	assert_servfail(f, &q);
	g_assert_true(dns_relay_set_servers(f->relay, f->addr, SERVERS));
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	server_serves(f, 0, 0);
	g_assert_cmpuint(f->n_heard, ==, 2);
}

/* With one server, it is asked again from the same socket, so that either answer counts. */
static void failover_single(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0), first, again;
	struct endpoint from1, from2;

	relay_new_timed(f, 1, 20, NEVER_MS, NEVER_MS);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &first, &from1));
	while (!server_hears(f, 0, &again, &from2))
		g_main_context_iteration(f->ctx, TRUE);
	g_assert_true(endpoint_eq(&from1, &from2));
	g_assert_cmpmem(first.b, first.len, again.b, again.len);
	first = answer_to(&first, 100);
	server_says(f, 0, &from1, &first);
	g_assert_cmpuint(f->n_heard, ==, 1);
}

/* Many at once, so that they end in more than one turn. */
static void fail_timeout(struct fixture *f, gconstpointer data)
{
	struct msg q = query(0x4321, "example.org", 1232);
	int64_t start = loop_now(NULL);

	relay_new_timed(f, SERVERS, 20, 50, NEVER_MS);
	for (uint16_t i = 0; i < 200; i++)
		g_assert_cmpint(ask_from(f, 1 + i, &q), ==, R_ACCEPTED);
	until_heard(f, 200);
	g_assert_cmpint(loop_now(NULL) - start, >=, 50000);
	assert_servfail(f, &q);
	settle(f);
	g_assert_cmpuint(f->n_heard, ==, 200);
	g_assert_cmpuint(f->drops.n[R_DNS_TIMEOUT], ==, 200);
}

/* Everyone refuses: nothing to wait for. */
static void fail_refused(struct fixture *f, gconstpointer data)
{
	struct msg q = query(0x4321, "example.org", 0);

	for (int i = 0; i < SERVERS; i++)
		server_close(f, i);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	until_heard(f, 1);
	assert_servfail(f, &q);
	g_assert_cmpuint(f->drops.n[R_DNS_TIMEOUT], ==, 1);
}

/* Everyone fails while the query is still being taken: the answer comes later all the same. */
static void fail_at_once(struct fixture *f, gconstpointer data)
{
	struct msg q = query(0x4321, "example.org", 0);

	g_assert_true(addr_parse("fe80::1", &f->addr[0], NULL));
	relay_new(f, 1);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	settle(f);
	g_assert_cmpuint(f->n_heard, ==, 1);
	assert_servfail(f, &q);
}

static void fail_no_servers(struct fixture *f, gconstpointer data)
{
	struct msg q = query(0x4321, "example.org", 1232);
	struct addr a;

	relay_new(f, 0);
	g_assert_false(dns_relay_server(f->relay, &a));
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	settle(f);
	g_assert_cmpuint(f->n_heard, ==, 1);
	assert_servfail(f, &q);
	g_assert_cmpuint(f->drops.n[R_NO_DNS], ==, 1);
	g_assert_cmpuint(f->drops.n[R_DNS_TIMEOUT], ==, 0);
}

static void bound_inflight(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0), first, heard;
	struct endpoint from1, from;

	g_assert_cmpint(ask_from(f, 1, &q), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &first, &from1));
	for (uint16_t i = 1; i < DNS_RELAY_INFLIGHT; i++) {
		g_assert_cmpint(ask_from(f, 1 + i, &q), ==, R_ACCEPTED);
		g_assert_true(server_hears(f, 0, &heard, &from));
	}
	g_assert_cmpuint(f->drops.n[R_DNS_FULL], ==, 0);
	g_assert_cmpint(ask_from(f, 1000, &q), ==, R_ACCEPTED);
	g_assert_cmpuint(f->drops.n[R_DNS_FULL], ==, 1);
	first = answer_to(&first, 100);
	server_says(f, 0, &from1, &first); /* the oldest was given up */
	g_assert_cmpuint(f->n_heard, ==, 0);
	server_serves(f, 0, 100);
	g_assert_cmpuint(f->n_heard, ==, 1);
	g_assert_cmpuint(f->heard_tuple.guest.port, ==, 1000);
	g_assert_cmpuint(f->drops.n[R_DNS_TIMEOUT], ==, 0);
}

static void bound_repeated(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0), other = query(1, "example.net", 0), heard;
	uint64_t queries, answers;
	struct endpoint from;

	for (int i = 0; i < 5; i++)
		g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	g_assert_true(server_hears(f, 0, &heard, &from));
	assert_silent(f, 0);
	g_assert_cmpint(ask(f, &other), ==, R_ACCEPTED); /* same place, same id, another question */
	server_serves(f, 0, 100);
	heard = answer_to(&heard, 100);
	server_says(f, 0, &from, &heard);
	g_assert_cmpuint(f->n_heard, ==, 2);
	dns_relay_stats(f->relay, &queries, &answers);
	g_assert_cmpuint(queries, ==, 2);
}

/* Somebody who can spare a descriptor is asked for it before the query fails. */
static bool spare_one(void *arg)
{
	server_close(arg, 2);
	return true;
}

static void descriptor_given(struct fixture *f, gconstpointer data)
{
	struct rlimit was, low;
	struct msg q = query(1, "example.org", 0);
	int lowest = dup(0);

	close(lowest);
	relay_new_full(f, SERVERS, NEVER_MS, NEVER_MS, NEVER_MS, spare_one);
	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &was), ==, 0);
	low = (struct rlimit){ (rlim_t)lowest, was.rlim_max };
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	settle(f);
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &was), ==, 0);
	g_assert_cmpint(f->server[2], ==, -1);
	server_serves(f, 0, 0);
	g_assert_cmpuint(f->n_heard, ==, 1);
}

static void bound_descriptors(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0);
	struct rlimit was, low = { 0 };

	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &was), ==, 0);
	low.rlim_max = was.rlim_max;
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
	g_assert_cmpint(ask(f, &q), ==, R_NO_DESCRIPTOR);
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &was), ==, 0);
	settle(f);
	g_assert_cmpuint(f->n_heard, ==, 0);
	assert_server(f, 0); /* not its fault */
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	server_serves(f, 0, 0);
	g_assert_cmpuint(f->n_heard, ==, 1);
}

/* The longest legal name, one that is longer, a cut record, a message that is too long. */
static void query_malformed(struct fixture *f, gconstpointer data)
{
	char name[256];
	struct msg q;

	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	name[253] = 0; /* 4 lengths, 3 * 63 + 61 letters, root: 255 */
	q = query(1, name, 0);
	g_assert_cmpuint(q.len, ==, HEADER + 255 + 4);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	name[253] = 'a';
	name[254] = 0;
	q = query(1, name, 0);
	g_assert_cmpint(ask(f, &q), ==, R_DNS_MALFORMED);

	q = query(1, "example.org", 1232);
	q.len--; /* the OPT record is cut off; more of that kind: dns_wire_test.c */
	g_assert_cmpint(ask(f, &q), ==, R_DNS_MALFORMED);
	memset(&q, 0, sizeof(q));
	q.len = sizeof(q.b);
	g_assert_cmpint(ask(f, &q), ==, R_DNS_MALFORMED);
	settle(f);
	g_assert_cmpuint(f->n_heard, ==, 0);
}

/* Random harm to queries and to answers: nothing is read out of bounds (run it under ASAN). */
static void query_fuzz(struct fixture *f, gconstpointer data)
{
	unsigned rounds = g_test_quick() ? 4000 : 100000;
	struct endpoint from;

	relay_new(f, 1);
	for (unsigned i = 0; i < rounds; i++) {
		struct msg q = query((uint16_t)i, "a.bc.example.org", i & 1 ? 1232 : 0), *exact;
		unsigned harm = (unsigned)g_test_rand_int_range(0, 6);
		enum reason r;

		while (harm--)
			q.b[g_test_rand_int_range(2, (int)q.len)] = (uint8_t)g_test_rand_int();
		if (g_test_rand_bit())
			q.len = (uint32_t)g_test_rand_int_range(0, (int)q.len + 1);
		exact = g_memdup2(&q, sizeof(q));
		r = ask(f, exact);
		g_free(exact);
		g_assert_true(r == R_ACCEPTED || r == R_DNS_MALFORMED);
		if (!server_hears(f, 0, &q, &from))
			continue;
		q = answer_to(&q, (uint32_t)g_test_rand_int_range(0, 1600));
		for (harm = (unsigned)g_test_rand_int_range(0, 3); harm; harm--)
			q.b[g_test_rand_int_range(0, 64)] = (uint8_t)g_test_rand_int();
		server_says(f, 0, &from, &q);
	}
}

static void free_in_flight(struct fixture *f, gconstpointer data)
{
	struct msg q = query(1, "example.org", 0);

	relay_new_timed(f, SERVERS, 1, 2, NEVER_MS);
	g_assert_cmpint(ask(f, &q), ==, R_ACCEPTED);
	dns_relay_free(f->relay);
	f->relay = NULL;
	dns_relay_free(NULL);
	settle(f);
	g_usleep(3000);
	settle(f);
	g_assert_cmpuint(f->n_heard, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(path, fn) g_test_add("/dns_relay/" path, struct fixture, NULL, set_up, fn, tear_down)
	TEST("relay/answer", relay_answer);
	TEST("relay/random", relay_random);
	TEST("relay/mismatch", relay_mismatch);
	TEST("relay/formerr", relay_formerr);
	TEST("relay/truncation", relay_truncation);
	TEST("failover/refused", failover_refused);
	TEST("failover/forgiven", failover_forgiven);
	TEST("failover/unreachable", failover_unreachable);
	TEST("failover/silent", failover_silent);
	TEST("failover/cleared", failover_cleared);
	TEST("failover/single", failover_single);
	TEST("servers/changed", servers_changed);
	TEST("servers/dead", servers_dead);
	TEST("servers/none", servers_none);
	TEST("servers/host_changed", host_changed);
	TEST("servers/tcp_failed", tcp_failed);
	TEST("fail/timeout", fail_timeout);
	TEST("fail/refused", fail_refused);
	TEST("fail/at_once", fail_at_once);
	TEST("fail/no_servers", fail_no_servers);
	TEST("bound/inflight", bound_inflight);
	TEST("bound/repeated", bound_repeated);
	TEST("bound/descriptors", bound_descriptors);
	TEST("bound/descriptor-given", descriptor_given);
	TEST("query/malformed", query_malformed);
	TEST("query/fuzz", query_fuzz);
	TEST("free/in_flight", free_in_flight);
#undef TEST
	return g_test_run();
}
