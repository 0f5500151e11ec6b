/* libslirp_hostfwd.c - ports of the host that lead to the guest, as the library's interface has them.
 *
 * Each forward is a set of one port in the registry of published ports (publish/publish.h), which gateway/publisher.c serves.
 *
 * prefixes: slirp_
 * Below: libslirp_state.h, publish/, gateway/publisher.h.  Above: the application.
 */
#include "gateway/doors/libslirp_state.h"

#include "gateway/hostsock.h"
#include "gateway/publisher.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/un.h>

static int hostfwd_fail(int err)
{
	errno = err;
	return -1;
}

static int hostfwd_errno(const GError *err)
{
	if (err->domain != LISTENER_ERROR)
		return EINVAL;
	switch (err->code) {
	case LISTENER_ERROR_TAKEN:
		return EADDRINUSE;
	case LISTENER_ERROR_FORBIDDEN:
		return EACCES;
	case LISTENER_ERROR_ADDRESS:
		return EADDRNOTAVAIL;
	default:
		return EMFILE;
	}
}

/* The host's side of a rule.  0 or a positive errno. */
static int hostfwd_host(const struct sockaddr *sa, socklen_t len, int flags, struct portspec_rule *r)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)sa;
	struct sockaddr_storage ss = { 0 };
	struct endpoint e;

	r->proto = flags & SLIRP_HOSTFWD_UDP ? PORTSPEC_UDP : PORTSPEC_TCP;
	if (len < sizeof(sa->sa_family) || len > sizeof(ss))
		return EINVAL;
	if (sa->sa_family == AF_UNIX) {
		size_t path = len - offsetof(struct sockaddr_un, sun_path);

		if (len <= offsetof(struct sockaddr_un, sun_path) || !*un->sun_path || strnlen(un->sun_path, path) >= sizeof(r->path))
			return EINVAL;
		memcpy(r->path, un->sun_path, strnlen(un->sun_path, path));
		return r->proto == PORTSPEC_TCP ? 0 : EINVAL;
	}
	memcpy(&ss, sa, len);
	if (len < (sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)) || !hostsock_endpoint(&ss, &e))
		return EINVAL;
	r->bind = e.addr;
	r->first = r->last = e.port;
	r->dual = sa->sa_family == AF_INET6 && addr_eq(&e.addr, &addr_any) && !(flags & SLIRP_HOSTFWD_V6ONLY);
	return 0;
}

/* The guest's side. */
static int hostfwd_to(const struct Slirp *s, const struct sockaddr *sa, socklen_t len, struct portspec_rule *r)
{
	struct sockaddr_storage ss = { 0 };
	struct endpoint e;

	if (len < sizeof(sa->sa_family) || len > sizeof(ss))
		return EINVAL;
	memcpy(&ss, sa, len);
	if (len < (sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)) || !hostsock_endpoint(&ss, &e))
		return EINVAL;
	r->has_to = true;
	r->to_first = e.port;
	r->to = addr_is_v4(&e.addr) && addr_is_unspecified(&e.addr) ? s->cfg.guest4 : e.addr;
	return 0;
}

int slirp_add_hostxfwd(Slirp *slirp, const struct sockaddr *haddr, socklen_t haddrlen, const struct sockaddr *gaddr, socklen_t gaddrlen,
		       int flags)
{
	struct publish_policy policy = { .source = PUBLISH_SOURCE_CLIENT };
	struct portspec_rule rule = { 0 };
	g_autoptr(GError) err = NULL;
	struct publish_set *set;
	int rc = hostfwd_host(haddr, haddrlen, flags, &rule);

	if (!rc)
		rc = hostfwd_to(slirp, gaddr, gaddrlen, &rule);
	if (rc)
		return hostfwd_fail(rc);
	set = publish_bind(publisher_registry(slirp->ports), &rule, &policy, &err);
	if (set && publish_start(set, &err))
		return 0;
	libslirp_debug(SLIRP_DBG_ERROR, "slirp_add_hostxfwd: %s", err->message);
	return hostfwd_fail(hostfwd_errno(err));
}

static bool hostfwd_is(const struct publish_set *s, const struct portspec_rule *want)
{
	const struct listener *l = &container_of(s->ports.next, struct publish_port, node)->listener;

	if (l->proto != want->proto || strcmp(l->path, want->path))
		return false;
	return *want->path || (l->bound.port == want->first && addr_eq(&l->bound.addr, &want->bind));
}

int slirp_remove_hostxfwd(Slirp *slirp, const struct sockaddr *haddr, socklen_t haddrlen, int flags)
{
	const struct publish *ports = publisher_registry(slirp->ports);
	struct portspec_rule want = { 0 };
	int rc = hostfwd_host(haddr, haddrlen, flags, &want);

	if (rc)
		return hostfwd_fail(rc);
	for (struct publish_set *s = publish_next(ports, NULL); s; s = publish_next(ports, s)) {
		if (hostfwd_is(s, &want)) {
			publish_remove(s);
			return 0;
		}
	}
	return hostfwd_fail(ENOENT);
}

int slirp_add_hostfwd(Slirp *slirp, int is_udp, struct in_addr host_addr, int host_port, struct in_addr guest_addr, int guest_port)
{
	struct sockaddr_in h = { .sin_family = AF_INET, .sin_port = htons((uint16_t)host_port), .sin_addr = host_addr };
	struct sockaddr_in g = { .sin_family = AF_INET, .sin_port = htons((uint16_t)guest_port), .sin_addr = guest_addr };

	return slirp_add_hostxfwd(slirp, (struct sockaddr *)&h, sizeof(h), (struct sockaddr *)&g, sizeof(g), is_udp ? SLIRP_HOSTFWD_UDP : 0);
}

int slirp_remove_hostfwd(Slirp *slirp, int is_udp, struct in_addr host_addr, int host_port)
{
	struct sockaddr_in h = { .sin_family = AF_INET, .sin_port = htons((uint16_t)host_port), .sin_addr = host_addr };

	return slirp_remove_hostxfwd(slirp, (struct sockaddr *)&h, sizeof(h), is_udp ? SLIRP_HOSTFWD_UDP : 0);
}
