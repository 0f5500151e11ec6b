/* dns_relay_dialogue.h - a guest that is a callback, name servers that are sockets on the loopback, and their words.
 *
 * Loopback UDP is synchronous, so a test reads like a dialogue: guest asks, server hears, server says, guest hears.
 * Time is real: a test sets waits that it needs short, all others are too long to end within a test.
 * Below: gateway/dns_relay.h.  Above: dns_relay_test.c, dns_sock_test.c.
 */
#ifndef TESTS_DNS_RELAY_DIALOGUE_H
#define TESTS_DNS_RELAY_DIALOGUE_H

#include "gateway/dns_relay.h"
#include "gateway/hostsock.h"
#include "slirp/base/bytes.h"

#include <sys/socket.h>
#include <unistd.h>

enum { SERVERS = 3, MSG_MAX = 4096, HEADER = 12, NEVER_MS = 3600000 };

struct msg {
	uint8_t b[MSG_MAX];
	uint32_t len;
};

struct fixture {
	GMainContext *ctx;
	struct loop *loop;
	struct dns_relay *relay;
	struct reason_tally drops;
	struct addr addr[SERVERS]; /* 127.0.0.1, .2, .3 */
	int server[SERVERS];	   /* -1: closed, so that the kernel refuses for it */
	uint16_t port, max_answer;
	int64_t idle; /* microseconds */
	struct tuple tuple;
	struct msg heard; /* by the guest, the last one */
	struct tuple heard_tuple;
	unsigned n_heard;
	unsigned descriptors; /* open before the test */
};

static inline void guest_hears(void *arg, const struct tuple *t, const uint8_t *m, uint32_t len)
{
	struct fixture *f = arg;

	g_assert_cmpuint(len, <=, sizeof(f->heard.b));
	memcpy(f->heard.b, m, len);
	f->heard.len = len;
	f->heard_tuple = *t;
	f->n_heard++;
}

static inline void settle(struct fixture *f)
{
	while (g_main_context_iteration(f->ctx, FALSE))
		;
}

/* Turns until the guest has heard n messages; a relay that stays silent is a test that hangs. */
static inline void until_heard(struct fixture *f, unsigned n)
{
	while (f->n_heard < n)
		g_main_context_iteration(f->ctx, TRUE);
}

static inline void relay_new_full(struct fixture *f, unsigned n_servers, int64_t try_ms, int64_t total_ms, int64_t penalty_ms, bool (*give_way)(void *))
{
	struct dns_relay_config cfg = {
		.n_servers = n_servers,
		.max_answer = f->max_answer,
		.drops = &f->drops,
		.answer = guest_hears,
		.give_way = give_way,
		.arg = f,
		.port = f->port,
		.try_timeout = try_ms * 1000,
		.total_timeout = total_ms * 1000,
		.penalty = penalty_ms * 1000,
		.idle = f->idle,
	};

	memcpy(cfg.servers, f->addr, sizeof(f->addr));
	dns_relay_free(f->relay);
	f->relay = dns_relay_new(f->loop, &cfg);
	g_assert_nonnull(f->relay);
}

static inline void relay_new_timed(struct fixture *f, unsigned n_servers, int64_t try_ms, int64_t total_ms, int64_t penalty_ms)
{
	relay_new_full(f, n_servers, try_ms, total_ms, penalty_ms, NULL);
}

static inline void relay_new(struct fixture *f, unsigned n_servers)
{
	relay_new_timed(f, n_servers, NEVER_MS, NEVER_MS, NEVER_MS);
}

static inline int server_open(struct fixture *f, int i)
{
	static const struct hostsock_origin nowhere;
	struct endpoint e = { .addr = f->addr[i], .port = f->port };
	struct sockaddr_storage ss;
	socklen_t len = hostsock_sockaddr(&e, &ss);
	int fd = hostsock_open(&e.addr, SOCK_DGRAM, &nowhere);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(bind(fd, (struct sockaddr *)&ss, len), ==, 0);
	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&ss, &len), ==, 0);
	g_assert_true(hostsock_endpoint(&ss, &e));
	f->port = e.port;
	return fd;
}

static inline void server_close(struct fixture *f, int i)
{
	close(f->server[i]);
	f->server[i] = -1;
}

static inline unsigned count_descriptors(void)
{
	g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
	unsigned n = 0;

	while (g_dir_read_name(dir))
		n++;
	return n;
}

static inline void set_up(struct fixture *f, gconstpointer data)
{
	GError *err = NULL;

	f->descriptors = count_descriptors();
	f->ctx = g_main_context_new();
	f->loop = loop_new(f->ctx, &err);
	g_assert_no_error(err);
	for (int i = 0; i < SERVERS; i++) {
		f->addr[i] = addr_from_v4((uint8_t[]){ 127, 0, 0, (uint8_t)(1 + i) });
		f->server[i] = server_open(f, i);
	}
	f->tuple.guest = (struct endpoint){ addr_from_v4((uint8_t[]){ 10, 0, 2, 15 }), 40000 };
	f->tuple.far = (struct endpoint){ addr_from_v4((uint8_t[]){ 10, 0, 2, 3 }), 53 };
	f->max_answer = 1472;
	f->idle = NEVER_MS * 1000ll;
	relay_new(f, SERVERS);
}

static inline void tear_down(struct fixture *f, gconstpointer data)
{
	dns_relay_free(f->relay);
	loop_free(f->loop);
	g_main_context_unref(f->ctx);
	for (int i = 0; i < SERVERS; i++) {
		if (f->server[i] >= 0)
			close(f->server[i]);
	}
	g_assert_cmpuint(count_descriptors(), ==, f->descriptors);
}

/* --- messages --- */

static inline void put(struct msg *m, const void *b, uint32_t len)
{
	g_assert_cmpuint(m->len + len, <=, sizeof(m->b));
	memcpy(m->b + m->len, b, len);
	m->len += len;
}

/* A query with recursion desired; edns: the size in its OPT record, 0: none. */
static inline struct msg query(uint16_t id, const char *name, uint16_t edns)
{
	uint8_t head[HEADER] = { (uint8_t)(id >> 8), (uint8_t)id, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0 };
	uint8_t opt[11] = { 0, 0, 41, (uint8_t)(edns >> 8), (uint8_t)edns };
	g_auto(GStrv) labels = g_strsplit(name, ".", -1);
	struct msg m = { .len = 0 };

	put(&m, head, sizeof(head));
	for (int i = 0; labels[i]; i++) {
		uint8_t n = (uint8_t)strlen(labels[i]);

		put(&m, &n, 1);
		put(&m, labels[i], n);
	}
	put(&m, "\0\0\1\0\1", 5); /* root, A, IN */
	if (edns)
		put(&m, opt, sizeof(opt));
	return m;
}

static inline struct msg answer_to(const struct msg *q, uint32_t len)
{
	struct msg m = *q;

	m.b[2] |= 0x80;
	m.b[3] = 0x80;
	m.b[7] = 1; /* one answer, whatever it may be */
	memset(m.b + m.len, 0x5a, sizeof(m.b) - m.len);
	m.len = len;
	return m;
}

/* --- the dialogue --- */

static inline enum reason ask_from(struct fixture *f, uint16_t port, const struct msg *m)
{
	uint32_t half = m->len / 2;
	struct iovec iov[3] = { { (void *)m->b, half }, { NULL, 0 }, { (void *)(m->b + half), m->len - half } };
	unsigned heard = f->n_heard;
	enum reason r;

	f->tuple.guest.port = port;
	r = dns_relay_query(f->relay, &f->tuple, iov, 3, m->len, loop_now(NULL));
	g_assert_cmpuint(f->n_heard, ==, heard); /* never from within the call */
	return r;
}

static inline enum reason ask(struct fixture *f, const struct msg *m)
{
	return ask_from(f, 40000, m);
}

/* What server i has heard, and from whom; false: nothing. */
static inline bool server_hears(struct fixture *f, int i, struct msg *ret, struct endpoint *ret_from)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	ssize_t n = recvfrom(f->server[i], ret->b, sizeof(ret->b), MSG_DONTWAIT, (struct sockaddr *)&ss, &len);

	if (n < 0)
		return false;
	ret->len = (uint32_t)n;
	return hostsock_endpoint(&ss, ret_from);
}

static inline void server_says(struct fixture *f, int i, const struct endpoint *to, const struct msg *m)
{
	struct sockaddr_storage ss;
	socklen_t len = hostsock_sockaddr(to, &ss);

	g_assert_cmpint(sendto(f->server[i], m->b, m->len, 0, (struct sockaddr *)&ss, len), ==, m->len);
	settle(f);
}

/* Server i hears a query and answers it with `len` bytes. */
static inline void server_serves(struct fixture *f, int i, uint32_t len)
{
	struct endpoint from;
	struct msg m;

	g_assert_true(server_hears(f, i, &m, &from));
	m = answer_to(&m, MAX(len, m.len));
	server_says(f, i, &from, &m);
}

static inline void assert_silent(struct fixture *f, int i)
{
	struct endpoint from;
	struct msg m;

	g_assert_false(server_hears(f, i, &m, &from));
}

static inline void assert_servfail(const struct fixture *f, const struct msg *q)
{
	struct msg want = *q;

	want.b[2] = 0x81;
	want.b[3] = 0x82; /* recursion available, SERVFAIL */
	if (q->b[11])
		bytes_put16(want.b + want.len - 8, 4096); /* the OPT record says what the relay takes */
	g_assert_cmpmem(f->heard.b, f->heard.len, want.b, want.len);
}

static inline void assert_server(const struct fixture *f, int i)
{
	struct addr a;

	g_assert_true(dns_relay_server(f->relay, &a));
	g_assert_true(addr_eq(&a, &f->addr[i]));
}

#endif
