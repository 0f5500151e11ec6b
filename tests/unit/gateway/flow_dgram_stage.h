/* flow_dgram_stage.h - the guest's UDP over real loopback sockets, with the time of what the guest does handed in.
 *
 * The tests run in a network namespace of its own where the kernel allows that: its loopback has an MTU of 1500 and there is no other route.
 * The guest names the loopback 192.0.2.1 and 2001:db8::1; every other address leads to itself.
 * Below: gateway/flow_dgram.h.  Above: flow_dgram_test.c, host_udp_test.c.
 */
#ifndef TESTS_FLOW_DGRAM_STAGE_H
#define TESTS_FLOW_DGRAM_STAGE_H

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
	struct gateway_tunables tune;
	struct flow_dgram *d;
	enum reason map_answer;
	GArray *seen;
	int64_t base;
};

static bool isolated;

static inline struct addr addr_of(const char *text)
{
	struct addr a;

	g_assert_true(addr_parse(text, &a, NULL));
	return a;
}

static inline enum reason fake_map(void *arg, const struct endpoint *far, struct endpoint *ret)
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

static inline enum reason fake_to_guest(void *arg, const struct tuple *t, const struct dgram_meta *m, const struct iovec *iov, int n, uint32_t len)
{
	struct seen e = { .t = *t, .len = len, .m = *m, .first = len ? *(const uint8_t *)iov->iov_base : 0 };
	size_t total = 0;

	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	g_assert_cmpuint(total, ==, len);
	g_array_append_val(((struct fixture *)arg)->seen, e);
	return R_ACCEPTED;
}

static inline void fake_error(void *arg, const struct tuple *t, enum icmp_unreach why, uint32_t mtu, const struct addr *from)
{
	struct seen e = { .t = *t, .error = true, .why = why, .mtu = mtu, .has_from = from, .from = from ? *from : addr_any };

	g_array_append_val(((struct fixture *)arg)->seen, e);
}

static inline void begin(struct fixture *f)
{
	*f = (struct fixture){ .ctx = g_main_context_new(), .seen = g_array_new(FALSE, TRUE, sizeof(struct seen)), .base = loop_now(NULL) };
	f->loop = loop_new(f->ctx, NULL);
	g_assert_nonnull(f->loop);
	flow_dgram_env_init(&f->env);
	f->env.loop = f->loop;
	f->env.origin = &f->origin;
	f->env.drops = &f->drops;
	f->tune = gateway_tunable_defaults;
	f->env.tune = &f->tune;
	f->env.run_each = 1452;
	f->env.map = fake_map;
	f->env.to_guest = fake_to_guest;
	f->env.error = fake_error;
	f->env.arg = f;
}

static inline void start(struct fixture *f)
{
	f->d = flow_dgram_new(&f->env);
	g_assert_nonnull(f->d);
}

static inline void end(struct fixture *f)
{
	flow_dgram_free(f->d);
	loop_free(f->loop);
	g_main_context_unref(f->ctx);
	g_array_unref(f->seen);
}

static inline struct flow_dgram_stats stats(const struct fixture *f)
{
	struct flow_dgram_stats st;

	flow_dgram_stats(f->d, &st);
	return st;
}

/* ---- the network's side */

/* A socket on the loopback, port 0: any. */
static inline int host_at(bool v6, uint16_t port)
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

static inline uint16_t port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct endpoint e;

	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&ss, &len), ==, 0);
	g_assert_true(hostsock_endpoint(&ss, &e));
	return e.port;
}

/* The next datagram; its length, or -1 when none comes. */
static inline int host_gets_within(int fd, struct endpoint *from, int *ttl, int *tos, int ms)
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

static inline int host_gets(int fd, struct endpoint *from)
{
	return host_gets_within(fd, from, NULL, NULL, WAIT_MS);
}

static inline void host_sends(int fd, const struct endpoint *to, uint8_t first, uint32_t len)
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

static inline struct tuple tuple_to(bool v6, uint16_t guest_port, uint16_t far_port)
{
	return (struct tuple){ { addr_of(v6 ? "fd00::15" : "10.0.2.15"), guest_port }, { addr_of(v6 ? "2001:db8::1" : "192.0.2.1"), far_port } };
}

static inline enum reason guest_gathers(struct fixture *f, const struct tuple *t, const struct dgram_meta *m, uint32_t len, int64_t now)
{
	static const uint8_t zeros[65536];
	struct iovec iov[2] = { { (void *)zeros, len / 2 }, { (void *)zeros, len - len / 2 } };

	return flow_dgram_send(f->d, t, m, iov, 2, len, now);
}

static inline enum reason guest_sends(struct fixture *f, const struct tuple *t, uint32_t len, int64_t now)
{
	enum reason r = guest_gathers(f, t, &(struct dgram_meta){ .hop_limit = 64, .dont_fragment = true }, len, now);

	flow_dgram_flush(f->d, now);
	return r;
}

static inline gboolean wake_up(gpointer arg)
{
	return G_SOURCE_CONTINUE;
}

/* Turns the loop until the guest has seen n things, or for `ms`. */
static inline void run(struct fixture *f, unsigned n, int ms)
{
	GSource *tick = g_timeout_source_new(10);
	int64_t until = loop_now(NULL) + ms * 1000;

	g_source_set_callback(tick, wake_up, NULL, NULL);
	g_source_attach(tick, f->ctx);
	while (f->seen->len < n && loop_now(NULL) < until)
		g_main_context_iteration(f->ctx, TRUE);
	g_source_destroy(tick);
	g_source_unref(tick);
}

static inline const struct seen *guest_sees(struct fixture *f, unsigned n)
{
	run(f, n + 1, WAIT_MS);
	g_assert_cmpuint(f->seen->len, ==, n + 1);
	return &g_array_index(f->seen, struct seen, n);
}

static inline void guest_sees_nothing(struct fixture *f)
{
	guint before = f->seen->len;

	run(f, before + 1, 50);
	g_assert_cmpuint(f->seen->len, ==, before);
}

static inline void isolate(void)
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

#endif
