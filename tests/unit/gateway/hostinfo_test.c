/* hostinfo_test.c - the host's own addresses followed in a network namespace of the test's own.
 *
 * The namespace is entered once, at start: the test needs user namespaces or root, and touches nothing of the machine.
 */
#include "gateway/hostinfo.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

static struct addr parse(const char *text)
{
	struct addr a;

	g_assert_true(addr_parse(text, &a, NULL));
	return a;
}

static bool own(const struct hostinfo *h, const char *text)
{
	struct addr a = parse(text);

	return hostinfo_is_own(h, &a);
}

/* Puts an address on an interface (type RTM_NEWADDR) or takes it off (RTM_DELADDR). */
static void change(uint16_t type, const char *ifname, const struct addr *a, uint8_t len)
{
	char buf[512] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct mnl_socket *nl = mnl_socket_open(NETLINK_ROUTE);
	uint16_t size = addr_is_v4(a) ? 4 : 16;
	struct ifaddrmsg *ifa;
	ssize_t n;

	g_assert_nonnull(nl);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0);
	nlh->nlmsg_seq = 1;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	*ifa = (struct ifaddrmsg){ .ifa_family = size == 4 ? AF_INET : AF_INET6, .ifa_prefixlen = len, .ifa_flags = IFA_F_NODAD,
				   .ifa_index = if_nametoindex(ifname) };
	mnl_attr_put(nlh, IFA_LOCAL, size, a->b + 16 - size);
	mnl_attr_put(nlh, IFA_ADDRESS, size, a->b + 16 - size);
	g_assert_cmpint(mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID), ==, 0);
	g_assert_cmpint(mnl_socket_sendto(nl, nlh, nlh->nlmsg_len), >, 0);
	n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	g_assert_cmpint(mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl), NULL, NULL), >=, 0);
	mnl_socket_close(nl);
}

static void change_text(uint16_t type, const char *text, uint8_t len)
{
	struct addr a = parse(text);

	change(type, "lo", &a, len);
}

static struct hostinfo *new_hostinfo(void)
{
	g_autoptr(GError) err = NULL;
	struct hostinfo *h = hostinfo_new(&err);

	g_assert_no_error(err);
	return h;
}

static void test_dump(void)
{
	struct hostinfo *h;

	change_text(RTM_NEWADDR, "192.0.2.7", 24);
	change_text(RTM_NEWADDR, "2001:db8::7", 64);
	h = new_hostinfo();
	g_assert_true(own(h, "192.0.2.7"));
	g_assert_true(own(h, "2001:db8::7"));
	g_assert_false(own(h, "192.0.2.8"));
	g_assert_false(own(h, "2001:db8::"));
	g_assert_false(own(h, "::"));
	hostinfo_free(h);
	change_text(RTM_DELADDR, "192.0.2.7", 24);
	change_text(RTM_DELADDR, "2001:db8::7", 64);
}

static void test_follow(void)
{
	struct hostinfo *h = new_hostinfo();

	g_assert_cmpint(hostinfo_read(h), ==, 0); /* nothing waits, nothing blocks */
	change_text(RTM_NEWADDR, "192.0.2.9", 24);
	g_assert_false(own(h, "192.0.2.9"));
	h->changes = 0;
	g_assert_cmpint(hostinfo_read(h), ==, 0);
	g_assert_true(own(h, "192.0.2.9"));
	g_assert_cmpuint(h->changes, ==, HOSTINFO_ADDRESSES | HOSTINFO_ROUTES); /* its local route came with it */
	change_text(RTM_DELADDR, "192.0.2.9", 24);
	g_assert_cmpint(hostinfo_read(h), ==, 0);
	g_assert_false(own(h, "192.0.2.9"));
	hostinfo_free(h);
}

/* The same address stands twice: it is foreign only when it is gone from both places. */
static void test_twice(void)
{
	struct hostinfo *h = new_hostinfo();

	change_text(RTM_NEWADDR, "192.0.2.11", 24);
	change_text(RTM_NEWADDR, "192.0.2.11", 32);
	hostinfo_read(h);
	change_text(RTM_DELADDR, "192.0.2.11", 24);
	hostinfo_read(h);
	g_assert_true(own(h, "192.0.2.11"));
	change_text(RTM_DELADDR, "192.0.2.11", 32);
	hostinfo_read(h);
	g_assert_false(own(h, "192.0.2.11"));
	hostinfo_free(h);
}

/* More notifications than the socket holds: some are lost, nothing is forgotten. */
static void test_lost(void)
{
	struct hostinfo *h = new_hostinfo();
	struct prefix net;
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);
	int size = 1;

	g_assert_true(prefix_parse("198.18.0.0/16", false, &net, NULL, NULL));
	g_assert_cmpint(setsockopt(hostinfo_fd(h), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), ==, 0);
	change_text(RTM_NEWADDR, "192.0.2.13", 24);
	hostinfo_read(h);
	for (uint32_t i = 1; i <= 200; i++) {
		struct addr a = prefix_nth(&net, i);

		change(RTM_NEWADDR, "lo", &a, 32);
	}
	change_text(RTM_DELADDR, "192.0.2.13", 24);
	g_assert_cmpint(getsockopt(hostinfo_fd(h), SOL_SOCKET, SO_MEMINFO, info, &len), ==, 0);
	g_assert_cmpuint(info[SK_MEMINFO_DROPS], >, 0); /* else the test is none */
	h->changes = 0;
	g_assert_cmpint(hostinfo_read(h), ==, 0);
	g_assert_cmpuint(h->changes, ==, HOSTINFO_ADDRESSES | HOSTINFO_ROUTES | HOSTINFO_LINKS); /* nobody knows what was lost */
	for (uint32_t i = 1; i <= 200; i++) {
		struct addr a = prefix_nth(&net, i);

		g_assert_true(hostinfo_is_own(h, &a));
		change(RTM_DELADDR, "lo", &a, 32);
	}
	g_assert_false(own(h, "192.0.2.13"));
	hostinfo_free(h);
}

/* The supplier that asks the kernel each time: the same answers, with nothing to follow. */
static void test_plain(void)
{
	struct hostinfo *h = hostinfo_plain_new(NULL);

	g_assert_false(own(h, "192.0.2.13"));
	g_assert_false(own(h, "2001:db8::1"));
	change_text(RTM_NEWADDR, "192.0.2.13", 24);
	g_assert_true(own(h, "192.0.2.13"));
	change_text(RTM_DELADDR, "192.0.2.13", 24);
	g_assert_false(own(h, "192.0.2.13"));
	g_assert_cmpint(hostinfo_fd(h), ==, -1);
	g_assert_cmpint(hostinfo_read(h), ==, 0);
	hostinfo_free(h);
}

int main(int argc, char **argv)
{
	bool private = unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 || unshare(CLONE_NEWNET) == 0;

	g_test_init(&argc, &argv, NULL);
	if (private) {
		g_test_add_func("/hostinfo/dump", test_dump);
		g_test_add_func("/hostinfo/follow", test_follow);
		g_test_add_func("/hostinfo/twice", test_twice);
		g_test_add_func("/hostinfo/lost", test_lost);
		g_test_add_func("/hostinfo/plain", test_plain);
	} else {
		g_test_message("no namespace could be made: the tests that need one are left out");
	}
	return g_test_run();
}
