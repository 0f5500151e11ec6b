/* hostinfo.c - the host's own addresses, followed by netlink.  See hostinfo.h.
 *
 * The set has two levels, because one address may stand on several interfaces and only the last one to lose it makes it foreign:
 * places is keyed by (address, prefix length, interface), counts by the address alone.
 * Trap: a dump that is applied piece by piece would leave moments in which an own address looks foreign, that is, open.  So a dump
 * fills fresh tables on a socket of its own and takes the place of the old set in one step.  Notifications that were queued meanwhile
 * are applied to it afterwards; each says "is there" or "is gone", so the last one about an address decides.
 */
#include "gateway/hostinfo.h"

#include "slirp/base/list.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	MESSAGE_SIZE = 32768, /* what the kernel puts into one datagram of a dump at most */
	/* Links too: an IPv4 route that goes with its interface is not said to go. */
	HOSTINFO_GROUPS = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_LINK,
};

struct place {
	struct addr addr;
	uint32_t ifindex;
	uint8_t len;
};

struct set {
	GHashTable *places; /* struct place, owned */
	GHashTable *counts; /* struct addr, owned -> how many places */
};

struct followed {
	struct hostinfo host;
	struct mnl_socket *notes;
	struct set own;
	bool lost; /* notifications were lost: dump anew */
};

static struct followed *followed_of(struct hostinfo *h)
{
	return container_of(h, struct followed, host);
}

static guint addr_hash(gconstpointer key)
{
	const struct addr *a = key;
	uint32_t h = 2166136261u; /* FNV-1a; the keys are the host's own, nobody else chooses them */

	for (unsigned i = 0; i < sizeof(a->b); i++)
		h = (h ^ a->b[i]) * 16777619u;
	return h;
}

static gboolean addr_equal(gconstpointer x, gconstpointer y)
{
	return addr_eq(x, y);
}

static guint place_hash(gconstpointer key)
{
	const struct place *p = key;

	return addr_hash(&p->addr) ^ (p->ifindex * 2654435761u) ^ p->len;
}

static gboolean place_equal(gconstpointer x, gconstpointer y)
{
	const struct place *a = x, *b = y;

	return a->ifindex == b->ifindex && a->len == b->len && addr_eq(&a->addr, &b->addr);
}

static void set_init(struct set *s)
{
	s->places = g_hash_table_new_full(place_hash, place_equal, g_free, NULL);
	s->counts = g_hash_table_new_full(addr_hash, addr_equal, g_free, NULL);
}

static void set_clear(struct set *s)
{
	g_clear_pointer(&s->places, g_hash_table_unref);
	g_clear_pointer(&s->counts, g_hash_table_unref);
}

static void set_put(struct set *s, const struct place *p, bool there)
{
	guint n = GPOINTER_TO_UINT(g_hash_table_lookup(s->counts, &p->addr));

	if (there) {
		if (g_hash_table_add(s->places, g_memdup2(p, sizeof(*p))))
			g_hash_table_insert(s->counts, g_memdup2(&p->addr, sizeof(p->addr)), GUINT_TO_POINTER(n + 1));
	} else if (g_hash_table_remove(s->places, p)) {
		if (n > 1)
			g_hash_table_insert(s->counts, g_memdup2(&p->addr, sizeof(p->addr)), GUINT_TO_POINTER(n - 1));
		else
			g_hash_table_remove(s->counts, &p->addr);
	}
}

/* The own side of an address message: IFA_LOCAL where it stands (on a point-to-point link IFA_ADDRESS is the peer). */
static bool place_parse(const struct nlmsghdr *nlh, struct place *ret)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *found = NULL;
	uint16_t want;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa) || (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return false;
	want = ifa->ifa_family == AF_INET ? 4 : 16;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		uint16_t type = mnl_attr_get_type(attr);

		if (mnl_attr_get_payload_len(attr) == want && (type == IFA_LOCAL || (type == IFA_ADDRESS && !found)))
			found = attr;
	}
	if (!found)
		return false;
	ret->addr = want == 4 ? addr_from_v4(mnl_attr_get_payload(found)) : addr_from_v6(mnl_attr_get_payload(found));
	ret->ifindex = ifa->ifa_index;
	ret->len = ifa->ifa_prefixlen;
	return true;
}

static int on_message(const struct nlmsghdr *nlh, void *arg)
{
	struct place p;

	if ((nlh->nlmsg_type == RTM_NEWADDR || nlh->nlmsg_type == RTM_DELADDR) && place_parse(nlh, &p))
		set_put(arg, &p, nlh->nlmsg_type == RTM_NEWADDR);
	return MNL_CB_OK;
}

static int on_note(const struct nlmsghdr *nlh, void *arg)
{
	struct followed *h = arg;

	switch (nlh->nlmsg_type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
		h->host.changes |= HOSTINFO_ADDRESSES;
		return on_message(nlh, &h->own);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		h->host.changes |= HOSTINFO_ROUTES;
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		h->host.changes |= HOSTINFO_LINKS;
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int dump_once(struct mnl_socket *nl, struct set *s, uint32_t seq)
{
	char buf[MESSAGE_SIZE] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	int rc = MNL_CB_OK;

	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	((struct ifaddrmsg *)mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifaddrmsg)))->ifa_family = AF_UNSPEC;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (rc == MNL_CB_OK) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));

		if (n < 0)
			return -errno;
		rc = mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl), on_message, s);
	}
	return rc == MNL_CB_STOP ? 0 : -errno; /* -EINTR: the addresses changed under the dump */
}

/* The whole set anew; on failure the old one stays. */
static int dump(struct followed *h)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct timeval patience = { .tv_sec = 1 };
	struct set fresh;
	int rc = -EINTR;

	if (!nl)
		return -errno;
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		rc = -errno;
	for (uint32_t seq = 1; rc == -EINTR && seq <= 5; seq++) {
		set_init(&fresh);
		rc = dump_once(nl, &fresh, seq);
		if (rc < 0)
			set_clear(&fresh);
	}
	mnl_socket_close(nl);
	if (rc < 0)
		return rc;
	set_clear(&h->own);
	h->own = fresh;
	return 0;
}

static void followed_free(struct hostinfo *host)
{
	struct followed *h = followed_of(host);

	if (h->notes)
		mnl_socket_close(h->notes);
	set_clear(&h->own);
	g_free(h);
}

static int followed_read(struct hostinfo *host)
{
	struct followed *h = followed_of(host);
	char buf[MESSAGE_SIZE] __attribute__((aligned(8)));
	int rc = 0;

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(h->notes, buf, sizeof(buf));

		if (n > 0)
			mnl_cb_run(buf, (size_t)n, 0, 0, on_note, h);
		else if (n < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
			h->lost = true; /* ENOSPC: libmnl's word for a datagram larger than buf */
			h->host.changes = HOSTINFO_ADDRESSES | HOSTINFO_ROUTES | HOSTINFO_LINKS;
		} else if (n < 0 && errno != EINTR)
			break;
	}
	if (errno != EAGAIN)
		rc = -errno;
	if (h->lost && (rc = dump(h)) == 0)
		h->lost = false;
	return rc;
}

static bool followed_is_own(const struct hostinfo *host, const struct addr *a)
{
	return g_hash_table_contains(container_of(host, const struct followed, host)->own.counts, a);
}

struct hostinfo *hostinfo_new(GError **err)
{
	static const struct hostinfo_ops ops = { .is_own = followed_is_own, .read = followed_read, .free = followed_free };
	struct followed *h = g_new0(struct followed, 1);
	int rc = 0;

	h->host = (struct hostinfo){ .ops = &ops, .fd = -1 };
	set_init(&h->own);
	h->notes = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!h->notes || mnl_socket_bind(h->notes, HOSTINFO_GROUPS, MNL_SOCKET_AUTOPID) < 0)
		rc = -errno;
	else
		rc = dump(h);
	if (rc < 0) {
		g_set_error(err, G_FILE_ERROR, g_file_error_from_errno(-rc), "cannot read the host's own addresses: %s", g_strerror(-rc));
		followed_free(&h->host);
		return NULL;
	}
	h->host.fd = mnl_socket_get_fd(h->notes);
	return &h->host;
}
