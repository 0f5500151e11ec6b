/* flow_echo_test.c - real ping sockets on the loopback of a network namespace of our own; a raw socket plays the network. B38; RFC 5508.
 *
 * Needs root or user namespaces, because net.ipv4.ping_group_range is written.  Below: gateway/flow_echo.h.
 */
#include "gateway/flow_echo.h"
#include "slirp/base/bytes.h"
#include "slirp/wire/csum_wire.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WAIT_MS = 5000, LO_MTU = 1500, PING_TOS = 0xb9 };

struct seen {
	struct echo e;
	bool error, has_from;
	enum icmp_unreach why;
	uint32_t mtu, len;
	uint8_t first;
	struct addr from;
};

struct fixture {
	GMainContext *ctx;
	struct loop *loop;
	struct hostsock_origin origin;
	struct reason_tally drops;
	struct flow_echo_env env;
	struct gateway_tunables tune;
	struct flow_echo *t;
	enum reason map_answer;
	GArray *seen;
	int raw; /* IPv4 ICMP, sees what is sent and forges what comes */
};

static struct addr addr_of(const char *text)
{
	struct addr a;

	g_assert_true(addr_parse(text, &a, NULL));
	return a;
}

static enum reason fake_map(void *arg, const struct addr *far, struct addr *ret)
{
	*ret = *far;
	return ((struct fixture *)arg)->map_answer;
}

static enum reason fake_to_guest(void *arg, const struct echo *e, const struct iovec *data, int n, uint32_t len)
{
	struct seen s = { .e = *e, .len = len, .first = len ? *(const uint8_t *)data->iov_base : 0 };

	g_assert_cmpint(n, ==, 1);
	g_array_append_val(((struct fixture *)arg)->seen, s);
	return R_ACCEPTED;
}

static void fake_error(void *arg, const struct echo *e, enum icmp_unreach why, uint32_t mtu, const struct addr *from)
{
	struct seen s = { .e = *e, .error = true, .why = why, .mtu = mtu, .has_from = from, .from = from ? *from : addr_any };

	g_array_append_val(((struct fixture *)arg)->seen, s);
}

static void ping_groups(const char *range)
{
	int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(write(fd, range, strlen(range)), >, 0);
	close(fd);
}

static void begin(struct fixture *f)
{
	int flags;

	*f = (struct fixture){ .ctx = g_main_context_new(), .seen = g_array_new(FALSE, TRUE, sizeof(struct seen)) };
	f->loop = loop_new(f->ctx, NULL);
	f->raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	g_assert_cmpint(f->raw, >=, 0);
	flags = fcntl(f->raw, F_GETFL);
	g_assert_cmpint(fcntl(f->raw, F_SETFL, flags | O_NONBLOCK), ==, 0);
	f->env = (struct flow_echo_env){ .loop = f->loop, .origin = &f->origin, .drops = &f->drops, .map = fake_map,
					 .to_guest = fake_to_guest, .error = fake_error, .arg = f };
	f->tune = gateway_tunable_defaults;
	f->env.tune = &f->tune;
	ping_groups("0 0");
}

static void start(struct fixture *f)
{
	f->t = flow_echo_new(&f->env);
	g_assert_nonnull(f->t);
}

static void end(struct fixture *f)
{
	flow_echo_free(f->t);
	loop_free(f->loop);
	g_main_context_unref(f->ctx);
	g_array_unref(f->seen);
	close(f->raw);
}

static struct flow_echo_stats stats(const struct fixture *f)
{
	struct flow_echo_stats st;

	flow_echo_stats(f->t, &st);
	return st;
}

static enum reason ping_len(struct fixture *f, const char *far, uint16_t id, uint16_t seq, uint32_t len, bool df)
{
	static uint8_t data[70000];
	struct echo e = { .far = addr_of(far), .id = id, .seq = seq, .hop_limit = 33, .tos = PING_TOS, .dont_fragment = df };
	struct iovec iov[2] = { { data, 1 }, { data + 1, len - 1 } };
	guint heard = f->seen->len;
	enum reason r;

	data[0] = (uint8_t)seq;
	e.guest = addr_of(addr_is_v4(&e.far) ? "10.0.2.15" : "fd00::15");
	r = flow_echo_send(f->t, &e, iov, 2, len, loop_now(NULL));
	g_assert_cmpuint(f->seen->len, ==, heard); /* the core is not re-entered */
	return r;
}

static enum reason ping(struct fixture *f, const char *far, uint16_t id, uint16_t seq)
{
	return ping_len(f, far, id, seq, 56, false);
}

static const struct seen *guest_sees(struct fixture *f, guint nth)
{
	int64_t limit = loop_now(NULL) + WAIT_MS * 1000;

	while (f->seen->len <= nth && loop_now(NULL) < limit)
		if (!g_main_context_iteration(f->ctx, FALSE))
			g_usleep(200);
	g_assert_cmpuint(f->seen->len, ==, nth + 1);
	return &g_array_index(f->seen, struct seen, nth);
}

static void settle(struct fixture *f)
{
	for (int i = 0; i < 5; i++) {
		while (g_main_context_iteration(f->ctx, FALSE))
			continue;
		g_usleep(1000);
	}
}

/* The last echo request on the wire: its id there; *ret_ttl. */
static uint16_t on_the_wire(struct fixture *f, uint8_t *ret_ttl)
{
	uint8_t p[2048];
	uint16_t id = 0;

	*ret_ttl = 0;
	while (recv(f->raw, p, sizeof(p), 0) >= 28) {
		if (p[20] == 8) {
			id = bytes_get16(p + 24);
			*ret_ttl = p[8];
		}
	}
	return id;
}

/* The network says `head` to us from `from`; a quote, if given, stands behind it. */
static void forge(const char *from, uint8_t type, uint8_t code, uint16_t id, uint16_t seq, const char *quote_dst)
{
	struct endpoint src = { .addr = addr_of(from) }, dst = { .addr = addr_of("127.0.0.1") };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	uint8_t p[8 + 20 + 8] = { type, code };
	uint32_t len = quote_dst ? sizeof(p) : 8;
	struct sockaddr_storage ss;
	struct addr to;
	uint16_t sum;
	socklen_t n;

	if (quote_dst) {
		to = addr_of(quote_dst);
		memcpy(p + 8, (uint8_t[]){ 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 127, 0, 0, 1 }, 16);
		memcpy(p + 24, addr_v4_bytes(&to), 4);
		p[28] = 8;
		bytes_put16(p + 32, id);
		bytes_put16(p + 34, seq);
	} else {
		bytes_put16(p + 4, id);
		bytes_put16(p + 6, seq);
	}
	sum = csum_wire_final(csum_wire_add(p, len));
	memcpy(p + 2, &sum, 2);
	n = hostsock_sockaddr(&src, &ss);
	g_assert_cmpint(bind(fd, (struct sockaddr *)&ss, n), ==, 0);
	n = hostsock_sockaddr(&dst, &ss);
	g_assert_cmpint(sendto(fd, p, len, 0, (struct sockaddr *)&ss, n), ==, len);
	close(fd);
}

/* B38: request out with its DSCP and the hop limit less one, reply back with its own, under the guest's id and number, data whole; either family. */
static void replies(void)
{
	static const char *const far[] = { "127.0.0.1", "::1" };
	struct fixture f;
	uint8_t ttl;

	begin(&f);
	start(&f);
	for (guint i = 0; i < 2; i++) {
		const struct seen *s;
		struct addr want = addr_of(far[i]);

		g_assert_cmpint(ping(&f, far[i], 0xbeef, (uint16_t)(77 + i)), ==, R_ACCEPTED);
		s = guest_sees(&f, i);
		g_assert_false(s->error);
		g_assert_true(addr_eq(&s->e.far, &want));
		g_assert_cmpuint(s->e.id, ==, 0xbeef);
		g_assert_cmpuint(s->e.seq, ==, 77 + i);
		g_assert_cmpuint(s->len, ==, 56);
		g_assert_cmpuint(s->first, ==, 77 + i);
		g_assert_cmpuint(s->e.tos, ==, PING_TOS); /* the kernel reflects it */
		g_assert_cmpuint(s->e.hop_limit, ==, 63);
		if (i == 0) {
			on_the_wire(&f, &ttl);
			g_assert_cmpuint(ttl, ==, 32);
		}
	}
	g_assert_cmpuint(stats(&f).now, ==, 2); /* an id of each family */
	g_assert_cmpuint(stats(&f).to_host, ==, 2);
	g_assert_cmpuint(stats(&f).to_guest, ==, 2);
	end(&f);
}

/* Two programs of the guest under their ids; one of them pings many places and costs one socket. */
static void ids_apart(void)
{
	struct fixture f;
	unsigned n[3] = { 0 };

	begin(&f);
	start(&f);
	for (uint16_t i = 1; i <= 20; i++) {
		g_autofree char *far = g_strdup_printf("127.0.1.%u", i);

		g_assert_cmpint(ping(&f, far, 1, i), ==, R_ACCEPTED);
		g_assert_cmpint(ping(&f, "127.0.0.1", 2, i), ==, R_ACCEPTED);
	}
	guest_sees(&f, 39);
	for (guint i = 0; i < 40; i++)
		n[g_array_index(f.seen, struct seen, i).e.id]++;
	g_assert_cmpuint(n[1], ==, 20);
	g_assert_cmpuint(n[2], ==, 20);
	g_assert_cmpuint(stats(&f).now, ==, 2);
	end(&f);
}

/* ICMP about a request: from who said so, about the number it quotes; and the next ping does not suffer. */
static void errors(void)
{
	static const struct {
		uint8_t type, code;
		enum icmp_unreach why;
	} row[] = { { 11, 0, ICMP_UNREACH_HOPS }, { 3, 0, ICMP_UNREACH_NET }, { 3, 1, ICMP_UNREACH_HOST }, { 3, 13, ICMP_UNREACH_ADMIN } };
	struct addr router = addr_of("127.0.0.9");
	struct fixture f;
	uint16_t id;
	uint8_t ttl;

	begin(&f);
	start(&f);
	g_assert_cmpint(ping(&f, "127.0.0.1", 5, 1), ==, R_ACCEPTED);
	guest_sees(&f, 0);
	id = on_the_wire(&f, &ttl);
	for (guint i = 0; i < G_N_ELEMENTS(row); i++) {
		const struct seen *s;

		g_array_set_size(f.seen, 0);
		forge("127.0.0.9", row[i].type, row[i].code, id, (uint16_t)(900 + i), "127.0.0.1");
		s = guest_sees(&f, 0);
		g_assert_true(s->error);
		g_assert_cmpint(s->why, ==, row[i].why);
		g_assert_cmpuint(s->e.id, ==, 5);
		g_assert_cmpuint(s->e.seq, ==, 900 + i);
		g_assert_true(s->has_from && addr_eq(&s->from, &router));
	}
	g_array_set_size(f.seen, 0);
	forge("127.0.0.9", 3, 1, id, 7, "127.0.0.1");
	g_assert_cmpint(ping(&f, "127.0.0.2", 5, 2), ==, R_ACCEPTED); /* before anybody has read the error */
	guest_sees(&f, 1);
	g_assert_cmpuint(stats(&f).to_host, ==, 2);
	f.map_answer = R_HOST_LOOPBACK; /* now the router is nobody the guest may see: the gateway says it */
	forge("127.0.0.9", 3, 1, id, 8, "127.0.0.1");
	g_assert_false(guest_sees(&f, 2)->has_from);
	end(&f);
}

/* Replies and errors that answer nothing: counted, not shown. */
static void strangers(void)
{
	struct fixture f;
	uint16_t id;
	uint8_t ttl;

	begin(&f);
	start(&f);
	g_assert_cmpint(ping(&f, "127.0.0.1", 5, 1), ==, R_ACCEPTED);
	guest_sees(&f, 0);
	id = on_the_wire(&f, &ttl);
	for (uint8_t i = 20; i < 28; i++) { /* one of them may share a bit of the map with 127.0.0.1 */
		g_autofree char *from = g_strdup_printf("127.0.0.%u", i);

		forge(from, 0, 0, id, 1, NULL);
		forge("127.0.0.9", 3, 1, id, 1, from);
	}
	settle(&f);
	g_assert_cmpuint(f.drops.n[R_ECHO_STRANGER], >=, 14);
	g_assert_cmpuint(f.drops.n[R_ECHO_STRANGER] + f.seen->len, ==, 17);
	end(&f);
}

/* What the host itself refuses is the return value. */
static void refused(void)
{
	struct fixture f;

	begin(&f);
	start(&f);
	g_assert_cmpint(ping(&f, "198.51.100.1", 5, 1), ==, R_NET_UNREACHABLE);
	g_assert_cmpint(ping(&f, "2001:db8::1", 5, 1), ==, R_NET_UNREACHABLE);
	f.map_answer = R_NEVER_DIALED;
	g_assert_cmpint(ping(&f, "127.0.0.1", 6, 1), ==, R_NEVER_DIALED);
	g_assert_cmpuint(stats(&f).to_host, ==, 0);
	g_assert_cmpuint(stats(&f).now, ==, 2); /* nothing was opened for the last one */
	end(&f);
}

/* Too large to be sent whole: fragmentation needed, with the MTU, when the guest wants to hear that; else the host cuts it. */
static void too_big(void)
{
	const struct seen *s;
	struct fixture f;

	begin(&f);
	start(&f);
	g_assert_cmpint(ping_len(&f, "127.0.0.1", 5, 3, 4000, true), ==, R_ACCEPTED);
	s = guest_sees(&f, 0);
	g_assert_true(s->error);
	g_assert_cmpint(s->why, ==, ICMP_UNREACH_SIZE);
	g_assert_cmpuint(s->mtu, ==, LO_MTU);
	g_assert_cmpuint(s->e.seq, ==, 3);
	g_assert_cmpint(ping_len(&f, "127.0.0.1", 5, 4, 4000, false), ==, R_ACCEPTED);
	s = guest_sees(&f, 1);
	g_assert_false(s->error);
	g_assert_cmpuint(s->len, ==, 4000);
	end(&f);
}

/* Bounds: the least recently used socket gives way; idle ones end. */
static void bounds(void)
{
	struct fixture f;
	int64_t limit = loop_now(NULL) + WAIT_MS * 1000;

	begin(&f);
	f.tune.ping_sockets_max = 2;
	f.tune.ping_idle = 300000;
	start(&f);
	for (uint16_t id = 1; id <= 2; id++)
		g_assert_cmpint(ping(&f, "127.0.0.1", id, 1), ==, R_ACCEPTED);
	guest_sees(&f, 1);
	g_assert_cmpint(ping(&f, "127.0.0.1", 1, 2), ==, R_ACCEPTED);
	guest_sees(&f, 2);
	g_assert_cmpint(ping(&f, "127.0.0.1", 3, 1), ==, R_ACCEPTED); /* instead of 2 */
	guest_sees(&f, 3);
	g_assert_cmpuint(stats(&f).now, ==, 2);
	g_assert_cmpuint(stats(&f).evicted, ==, 1);
	while (stats(&f).now && loop_now(NULL) < limit)
		if (!g_main_context_iteration(f.ctx, FALSE))
			g_usleep(1000);
	g_assert_cmpuint(stats(&f).now, ==, 0);
	g_assert_cmpuint(stats(&f).evicted, ==, 1);
	g_assert_cmpint(ping(&f, "127.0.0.1", 2, 9), ==, R_ACCEPTED);
	guest_sees(&f, 4);
	for (uint16_t id = 100; id < 1100; id++) /* a flood of ids */
		ping(&f, "127.0.0.1", id, 1);
	g_assert_cmpuint(stats(&f).now, ==, 2);
	end(&f);
}

/* ping_group_range leaves us out: a reason for each, one line for all, until it has changed. */
static void forbidden(void)
{
	struct fixture f;
	char text[1024];
	ssize_t n;
	int p[2];
	struct journal *j;

	g_assert_cmpint(pipe2(p, O_CLOEXEC | O_NONBLOCK), ==, 0);
	j = journal_new(p[1], JOURNAL_WARN);
	begin(&f);
	f.env.journal = j;
	start(&f);
	ping_groups("1 0");
	for (uint16_t i = 0; i < 10; i++)
		g_assert_cmpint(ping(&f, i & 1 ? "127.0.0.1" : "::1", i, 1), ==, R_PING_FORBIDDEN);
	n = read(p[0], text, sizeof(text) - 1);
	g_assert_cmpint(n, >, 0);
	text[n] = '\0';
	g_assert_nonnull(strstr(text, "net.ipv4.ping_group_range"));
	g_assert_true(strchr(text, '\n') == text + n - 1);
	ping_groups("0 0");
	g_assert_cmpint(ping(&f, "127.0.0.1", 1, 1), ==, R_ACCEPTED);
	g_assert_cmpint(read(p[0], text, sizeof(text)), <, 0);
	end(&f);
	journal_free(j);
	close(p[0]);
	close(p[1]);
}

/* ------------------------------------------------------------------ the namespace */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	g_assert_cmpint(write(fd, text, strlen(text)), ==, (ssize_t)strlen(text));
	close(fd);
}

static void leave_the_machine(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_mtu = LO_MTU };
	unsigned uid = geteuid(), gid = getegid();
	char map[32];
	int fd;

	if (unshare(CLONE_NEWNET | (uid ? CLONE_NEWUSER : 0)) < 0)
		g_error("no network namespace: %s", g_strerror(errno));
	if (uid) {
		write_file("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		write_file("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		write_file("/proc/self/gid_map", map);
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(ioctl(fd, SIOCSIFMTU, &ifr), ==, 0);
	ifr.ifr_flags = IFF_UP;
	g_assert_cmpint(ioctl(fd, SIOCSIFFLAGS, &ifr), ==, 0);
	close(fd);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	leave_the_machine();
	g_test_add_func("/flow_echo/replies", replies);
	g_test_add_func("/flow_echo/ids-apart", ids_apart);
	g_test_add_func("/flow_echo/errors", errors);
	g_test_add_func("/flow_echo/strangers", strangers);
	g_test_add_func("/flow_echo/refused", refused);
	g_test_add_func("/flow_echo/too-big", too_big);
	g_test_add_func("/flow_echo/bounds", bounds);
	g_test_add_func("/flow_echo/forbidden", forbidden);
	return g_test_run();
}
