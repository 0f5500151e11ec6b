/* flow_dgram_test.c - the guest's UDP over real loopback sockets, with the time of what the guest does handed in.
 *
 * Runs in a network namespace of its own where the kernel allows that: its loopback has an MTU of 1500 and there is no other route.
 * The guest names the loopback 192.0.2.1 and 2001:db8::1; every other address leads to itself.
 * Below: gateway/flow_dgram.h.
 */
#include "gateway/flow_dgram.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { GUEST_PORT = 5000, WAIT_MS = 2000 };

#define S 1000000ll

/* What reached the guest. */
struct seen {
	struct tuple t;
	uint32_t len;
	struct dgram_meta m;
	uint8_t first;
	bool error;
	enum icmp_unreach why;
	uint32_t mtu;
	bool has_from;
	struct addr from;
};

struct fixture {
	GMainContext *ctx;
	struct loop *loop;
	struct hostsock_origin origin;
	struct reason_tally drops;
	struct flow_dgram_env env;
	struct flow_dgram *d;
	enum reason map_answer;
	GArray *seen;
	int64_t base;
};

static bool isolated;

static struct addr addr_of(const char *text)
{
	struct addr a;

	g_assert_true(addr_parse(text, &a, NULL));
	return a;
}

static enum reason fake_map(void *arg, const struct endpoint *far, struct endpoint *ret)
{
	struct fixture *f = arg;
	struct addr named4 = addr_of("192.0.2.1"), named6 = addr_of("2001:db8::1");

	if (f->map_answer)
		return f->map_answer;
	*ret = *far;
	if (addr_eq(&far->addr, &named4))
		ret->addr = addr_of("127.0.0.1");
	else if (addr_eq(&far->addr, &named6))
		ret->addr = addr_of("::1");
	else if (addr_eq(&far->addr, &(struct addr){ .b = { [15] = 1 } }) || addr_v4_bytes(&far->addr)[3] == 1)
		return R_NEVER_DIALED;
	return R_ACCEPTED;
}

static enum reason fake_to_guest(void *arg, const struct tuple *t, const struct dgram_meta *m, const struct iovec *iov, int n, uint32_t len)
{
	struct seen e = { .t = *t, .len = len, .m = *m, .first = len ? *(const uint8_t *)iov->iov_base : 0 };
	size_t total = 0;

	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	g_assert_cmpuint(total, ==, len);
	g_array_append_val(((struct fixture *)arg)->seen, e);
	return R_ACCEPTED;
}

static void fake_error(void *arg, const struct tuple *t, enum icmp_unreach why, uint32_t mtu, const struct addr *from)
{
	struct seen e = { .t = *t, .error = true, .why = why, .mtu = mtu, .has_from = from, .from = from ? *from : addr_any };

	g_array_append_val(((struct fixture *)arg)->seen, e);
}

static void begin(struct fixture *f)
{
	*f = (struct fixture){ .ctx = g_main_context_new(), .seen = g_array_new(FALSE, TRUE, sizeof(struct seen)), .base = loop_now() };
	f->loop = loop_new(f->ctx, NULL);
	g_assert_nonnull(f->loop);
	flow_dgram_env_init(&f->env);
	f->env.loop = f->loop;
	f->env.origin = &f->origin;
	f->env.drops = &f->drops;
	f->env.run_each = 1452;
	f->env.map = fake_map;
	f->env.to_guest = fake_to_guest;
	f->env.error = fake_error;
	f->env.arg = f;
}

static void start(struct fixture *f)
{
	f->d = flow_dgram_new(&f->env);
	g_assert_nonnull(f->d);
}

static void end(struct fixture *f)
{
	flow_dgram_free(f->d);
	loop_free(f->loop);
	g_main_context_unref(f->ctx);
	g_array_unref(f->seen);
}

static struct flow_dgram_stats stats(const struct fixture *f)
{
	struct flow_dgram_stats st;

	flow_dgram_stats(f->d, &st);
	return st;
}

/* ---- the network's side */

/* A socket on the loopback, port 0: any. */
static int host_at(bool v6, uint16_t port)
{
	struct endpoint e = { addr_of(v6 ? "::1" : "127.0.0.1"), port };
	struct sockaddr_storage ss;
	socklen_t len = hostsock_sockaddr(&e, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

	g_assert_cmpint(fd, >=, 0);
	setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
	if (v6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on));
	}
	g_assert_cmpint(bind(fd, (struct sockaddr *)&ss, len), ==, 0);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct endpoint e;

	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&ss, &len), ==, 0);
	g_assert_true(hostsock_endpoint(&ss, &e));
	return e.port;
}

/* The next datagram; its length, or -1 when none comes. */
static int host_gets_within(int fd, struct endpoint *from, int *ttl, int *tos, int ms)
{
	uint8_t buf[65536], ctl[256];
	struct sockaddr_storage ss;
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr h = { .msg_name = &ss, .msg_namelen = sizeof(ss), .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl,
			    .msg_controllen = sizeof(ctl) };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) != 1)
		return -1;
	n = recvmsg(fd, &h, 0);
	g_assert_cmpint(n, >=, 0);
	if (from)
		g_assert_true(hostsock_endpoint(&ss, from));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		bool is_ttl = c->cmsg_level == IPPROTO_IPV6 ? c->cmsg_type == IPV6_HOPLIMIT : c->cmsg_type == IP_TTL;

		if (is_ttl && ttl)
			memcpy(ttl, CMSG_DATA(c), sizeof(*ttl));
		else if (!is_ttl && tos)
			*tos = *CMSG_DATA(c);
	}
	return (int)n;
}

static int host_gets(int fd, struct endpoint *from)
{
	return host_gets_within(fd, from, NULL, NULL, WAIT_MS);
}

static void host_sends(int fd, const struct endpoint *to, uint8_t first, uint32_t len)
{
	g_autofree uint8_t *buf = g_malloc0(len + 1);
	struct endpoint e = *to;
	struct sockaddr_storage ss;
	socklen_t ss_len;

	if (addr_is_unspecified(&e.addr))
		e.addr = addr_of("127.0.0.1");
	buf[0] = first;
	ss_len = hostsock_sockaddr(&e, &ss);
	g_assert_cmpint(sendto(fd, buf, len, 0, (struct sockaddr *)&ss, ss_len), ==, (ssize_t)len);
}

/* ---- the guest's side */

static struct tuple tuple_to(bool v6, uint16_t guest_port, uint16_t far_port)
{
	return (struct tuple){ { addr_of(v6 ? "fd00::15" : "10.0.2.15"), guest_port }, { addr_of(v6 ? "2001:db8::1" : "192.0.2.1"), far_port } };
}

static enum reason guest_gathers(struct fixture *f, const struct tuple *t, const struct dgram_meta *m, uint32_t len, int64_t now)
{
	static const uint8_t zeros[65536];
	struct iovec iov[2] = { { (void *)zeros, len / 2 }, { (void *)zeros, len - len / 2 } };

	return flow_dgram_send(f->d, t, m, iov, 2, len, now);
}

static enum reason guest_sends(struct fixture *f, const struct tuple *t, uint32_t len, int64_t now)
{
	enum reason r = guest_gathers(f, t, &(struct dgram_meta){ .hop_limit = 64, .dont_fragment = true }, len, now);

	flow_dgram_flush(f->d, now);
	return r;
}

static gboolean wake_up(gpointer arg)
{
	return G_SOURCE_CONTINUE;
}

/* Turns the loop until the guest has seen n things, or for `ms`. */
static void run(struct fixture *f, unsigned n, int ms)
{
	GSource *tick = g_timeout_source_new(10);
	int64_t until = loop_now() + ms * 1000;

	g_source_set_callback(tick, wake_up, NULL, NULL);
	g_source_attach(tick, f->ctx);
	while (f->seen->len < n && loop_now() < until)
		g_main_context_iteration(f->ctx, TRUE);
	g_source_destroy(tick);
	g_source_unref(tick);
}

static const struct seen *guest_sees(struct fixture *f, unsigned n)
{
	run(f, n + 1, WAIT_MS);
	g_assert_cmpuint(f->seen->len, ==, n + 1);
	return &g_array_index(f->seen, struct seen, n);
}

static void guest_sees_nothing(struct fixture *f)
{
	guint before = f->seen->len;

	run(f, before + 1, 50);
	g_assert_cmpuint(f->seen->len, ==, before);
}

/* ---- cases */

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
	flow_dgram_expire(f.d, loop_now() + 180 * S);
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
	guest_sends(&f, &t, 1, loop_now() - 30 * S + 20000);
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
	f.env.tune.max_sessions = 3;
	f.env.tune.max_sockets = 2;
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

/* No descriptor left: an endpoint gives way instead of the guest being refused. */
static void test_descriptors_give_way(void)
{
	struct fixture f;
	int fd = host_at(false, 0), lowest;
	struct tuple ta = tuple_to(false, GUEST_PORT, port_of(fd)), tb = tuple_to(false, GUEST_PORT + 1, port_of(fd));
	struct rlimit was, now;

	begin(&f);
	start(&f);
	g_assert_cmpint(guest_sends(&f, &ta, 1, f.base), ==, R_ACCEPTED);
	getrlimit(RLIMIT_NOFILE, &was);
	lowest = dup(fd); /* all numbers below are in use */
	close(lowest);
	now = (struct rlimit){ (rlim_t)lowest, was.rlim_max };
	setrlimit(RLIMIT_NOFILE, &now);
	g_assert_cmpint(guest_sends(&f, &tb, 1, f.base), ==, R_ACCEPTED);
	setrlimit(RLIMIT_NOFILE, &was);
	g_assert_cmpuint(stats(&f).sockets, ==, 1);
	g_assert_cmpuint(stats(&f).evicted, ==, 1);
	end(&f);
	close(fd);
}

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
	f.env.tune.max_sessions = 1;
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

/* More datagrams than the turn's table holds: counted, not kept; the next turn works.  A session that ends while its datagram waits
 * lets it go first. */
static void test_turn_full(void)
{
	struct fixture f;
	int fd = host_at(false, 0);
	struct tuple t = tuple_to(false, GUEST_PORT, port_of(fd));
	struct dgram_meta m = { .hop_limit = 64, .dont_fragment = true };
	unsigned taken = 0;

	begin(&f);
	start(&f);
	for (uint32_t i = 0; i < 200; i++) /* no two of a size follow each other, none is shorter than the one before */
		taken += guest_gathers(&f, &t, &m, i + 1, f.base) == R_ACCEPTED;
	g_assert_cmpuint(taken, ==, 128);
	g_assert_cmpint(guest_gathers(&f, &t, &m, 1000, f.base), ==, R_TURN_FULL);
	flow_dgram_flush(f.d, f.base);
	for (int i = 0; i < 128; i++)
		g_assert_cmpint(host_gets(fd, NULL), ==, i + 1);
	guest_gathers(&f, &t, &m, 9, f.base);
	flow_dgram_expire(f.d, f.base + 30 * S);
	g_assert_cmpuint(stats(&f).now, ==, 0);
	g_assert_cmpuint(stats(&f).sockets, ==, 1);
	flow_dgram_flush(f.d, f.base);
	g_assert_cmpuint(stats(&f).sockets, ==, 0);
	g_assert_cmpint(host_gets(fd, NULL), ==, 9);
	guest_gathers(&f, &t, &m, 9, f.base); /* never sent: the table is freed with it */
	end(&f);
	close(fd);
}

static void isolate(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_mtu = 1500 };
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	isolated = fd >= 0 && !ioctl(fd, SIOCSIFMTU, &lo);
	lo.ifr_flags = IFF_UP | IFF_RUNNING;
	g_assert_cmpint(ioctl(fd, SIOCSIFFLAGS, &lo), ==, 0);
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
	g_test_add_func("/flow_dgram/descriptors_give_way", test_descriptors_give_way);
	g_test_add_func("/flow_dgram/B35_A9_closed_then_open", test_b35_closed_then_open);
	g_test_add_func("/flow_dgram/B38_error_of_another", test_b38_error_of_another);
	g_test_add_func("/flow_dgram/error_of_gone_session", test_error_of_gone_session);
	g_test_add_func("/flow_dgram/B38_route_and_size", test_b38_route_and_size);
	g_test_add_func("/flow_dgram/hop_limit_and_tos", test_hop_limit_and_tos);
	g_test_add_func("/flow_dgram/batches", test_batches);
	g_test_add_func("/flow_dgram/run_from_host", test_run_from_host);
	g_test_add_func("/flow_dgram/turn_full", test_turn_full);
	return g_test_run();
}
