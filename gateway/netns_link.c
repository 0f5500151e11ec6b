/* netns_link.c - loopback, tap, addresses, routes; a move.
 *
 * Order matters: the sysctls of IPv6 (no router solicitation, no duplicate address detection) come before the interface is up, the
 * routes after the addresses that make their gateways reachable.
 */
#include "gateway/netns_link.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <unistd.h>

/* One request at a time, each acknowledged. */
struct request {
	struct mnl_socket *nl;
	uint32_t seq;
	union {
		struct nlmsghdr header;
		char bytes[512];
	} msg;
};

static struct nlmsghdr *request_begin(struct request *r, uint16_t type, uint16_t flags, const void *extra, size_t size)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(r->msg.bytes);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	nlh->nlmsg_seq = ++r->seq;
	memcpy(mnl_nlmsg_put_extra_header(nlh, size), extra, size);
	return nlh;
}

static int request_send(struct request *r)
{
	char buf[8192] __attribute__((aligned(8)));
	ssize_t n;

	if (mnl_socket_sendto(r->nl, &r->msg.header, r->msg.header.nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(r->nl, buf, sizeof(buf));
	if (n < 0)
		return -errno;
	return mnl_cb_run(buf, (size_t)n, r->seq, mnl_socket_get_portid(r->nl), NULL, NULL) < 0 ? -errno : 0;
}

static void put_addr(struct nlmsghdr *nlh, uint16_t type, const struct addr *a)
{
	if (addr_is_v4(a))
		mnl_attr_put(nlh, type, 4, addr_v4_bytes(a));
	else
		mnl_attr_put(nlh, type, 16, a->b);
}

static int link_up(struct request *r, unsigned ifindex, const struct gateway_config *cfg)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex, .ifi_change = IFF_UP, .ifi_flags = IFF_UP };
	struct nlmsghdr *nlh = request_begin(r, RTM_NEWLINK, 0, &ifi, sizeof(ifi));

	if (cfg) {
		mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(cfg->guest_mac.b), cfg->guest_mac.b);
		mnl_attr_put_u32(nlh, IFLA_MTU, cfg->mtu);
	}
	return request_send(r);
}

static int add_addr(struct request *r, unsigned ifindex, const struct addr *a, const struct prefix *net)
{
	bool v4 = addr_is_v4(a);
	struct ifaddrmsg ifa = {
		.ifa_family = v4 ? AF_INET : AF_INET6,
		.ifa_prefixlen = (uint8_t)(v4 ? net->len - 96 : net->len),
		.ifa_flags = v4 ? 0 : IFA_F_NODAD,
		.ifa_scope = RT_SCOPE_UNIVERSE,
		.ifa_index = ifindex,
	};
	struct nlmsghdr *nlh = request_begin(r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &ifa, sizeof(ifa));

	put_addr(nlh, IFA_LOCAL, a);
	put_addr(nlh, IFA_ADDRESS, a);
	if (v4) {
		struct addr broadcast = prefix_nth(net, net->len == 96 ? UINT32_MAX : (1u << (128 - net->len)) - 1);

		put_addr(nlh, IFA_BROADCAST, &broadcast);
	}
	return request_send(r);
}

static int add_default_route(struct request *r, unsigned ifindex, const struct addr *gateway)
{
	struct rtmsg rtm = {
		.rtm_family = addr_is_v4(gateway) ? AF_INET : AF_INET6,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	struct nlmsghdr *nlh = request_begin(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &rtm, sizeof(rtm));

	put_addr(nlh, RTA_GATEWAY, gateway);
	mnl_attr_put_u32(nlh, RTA_OIF, ifindex);
	return request_send(r);
}

/* Best effort: a container may show /proc/sys read-only, and a host without IPv6 has no such files. */
static void sysctl6(const char *ifname, const char *name, const char *value)
{
	g_autofree char *path = g_strdup_printf("/proc/sys/net/ipv6/conf/%s/%s", ifname, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		errno = 0; /* the address itself still carries IFA_F_NODAD; the guest only talks more than it need */
	close(fd);
}

static bool check(int rc, const char *what, const char *ifname, GError **err)
{
	if (rc == -EEXIST)
		g_set_error(err, G_FILE_ERROR, G_FILE_ERROR_EXIST, "cannot %s %s: the namespace has one already", what, ifname);
	else if (rc < 0)
		g_set_error(err, G_FILE_ERROR, g_file_error_from_errno(-rc), "cannot %s %s: %s", what, ifname, g_strerror(-rc));
	return rc >= 0;
}

static bool setup_addresses(struct request *r, unsigned ifindex, const char *ifname, const struct gateway_config *cfg, GError **err)
{
	if (cfg->v4 && (!check(add_addr(r, ifindex, &cfg->guest4, &cfg->net4), "give an IPv4 address to", ifname, err) ||
			!check(add_default_route(r, ifindex, &cfg->gw4), "make the IPv4 default route over", ifname, err)))
		return false;
	if (cfg->v6 && (!check(add_addr(r, ifindex, &cfg->guest6, &cfg->net6), "give an IPv6 address to", ifname, err) ||
			!check(add_default_route(r, ifindex, &cfg->gw6), "make the IPv6 default route over", ifname, err)))
		return false;
	return true;
}

static bool request_open(struct request *r, const char *ifname, GError **err)
{
	*r = (struct request){ .nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC) };
	if (r->nl && mnl_socket_bind(r->nl, 0, MNL_SOCKET_AUTOPID) == 0)
		return true;
	check(-errno, "open a netlink socket to configure", ifname, err);
	if (r->nl)
		mnl_socket_close(r->nl);
	return false;
}

bool netns_link_setup(const char *ifname, const struct gateway_config *cfg, GError **err)
{
	unsigned lo = if_nametoindex("lo"), tap = if_nametoindex(ifname);
	struct request r;
	bool ok;

	if (!request_open(&r, ifname, err))
		return false;
	if (cfg->v6) {
		sysctl6(ifname, "accept_ra", "0");
		sysctl6(ifname, "accept_dad", "0");
		sysctl6(ifname, "router_solicitations", "0");
	} else {
		sysctl6(ifname, "disable_ipv6", "1");
	}
	ok = check(link_up(&r, lo, NULL), "bring up", "lo", err) && check(link_up(&r, tap, cfg), "bring up", ifname, err) &&
	     setup_addresses(&r, tap, ifname, cfg, err);
	mnl_socket_close(r.nl);
	return ok;
}

bool netns_link_move(const char *ifname, int ns, GError **err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(ifname) };
	struct nlmsghdr *nlh;
	struct request r;
	bool ok;

	if (!request_open(&r, ifname, err))
		return false;
	nlh = request_begin(&r, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)ns);
	ok = check(request_send(&r), "move into the namespace the interface", ifname, err);
	mnl_socket_close(r.nl);
	return ok;
}
