/* libslirp_hostfwd.c - ports of the host that lead to the guest.
 *
 * Each forward is a set of one port in the registry of published ports (publish/publish.h), which binds, counts and caps; its listener stands in
 * the gateway's epoll set.  A client is taken in while the guest is being asked; what the guest says, or that it says nothing, becomes RST.
 *
 * prefixes: slirp_ libslirp_hostfwd_
 * Below: libslirp_state.h, publish/, gateway/inbound.h.  Above: the application.
 */
#include "gateway/doors/libslirp_state.h"

#include "gateway/hostsock.h"
#include "gateway/inbound.h"
#include "gateway/udp_publish.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/un.h>

enum { HOSTFWD_BATCH = 64 }; /* clients taken in per turn and port */

/* A listener in the loop. */
struct hostfwd_watch {
	struct loop_watch watch;
	struct loop_timer pause;
	struct loop_reap reap;
	struct udp_publish_port udp;
	struct publish_port *port;
	struct libslirp_hostfwd *all;
};

/* ---- clients */

static void hostfwd_gone(void *arg, const struct endpoint *from, enum reason why)
{
	publish_leave(arg, from);
}

/* Whom a port leads to; false: the guest it means is not known (an IPv6 address that nobody has shown yet). */
static bool hostfwd_guest(const struct hostfwd_watch *w, struct endpoint *ret)
{
	struct mac mac;

	*ret = (struct endpoint){ w->port->set->rule.to, w->port->to_port };
	if (!addr_eq(&ret->addr, &addr_any))
		return true;
	for (unsigned i = 0; stack_neighbour(gateway_stack(w->all->slirp->gw), i, &ret->addr, &mac); i++)
		if (!addr_is_v4(&ret->addr) && !addr_is_linklocal(&ret->addr))
			return true;
	return false;
}

static void hostfwd_client(struct hostfwd_watch *w, int fd, const struct endpoint *from)
{
	struct inbound_client c = { .fd = fd, .local = *w->port->listener.path != '\0', .from = *from, .gone = hostfwd_gone, .arg = w->port };

	if (!hostfwd_guest(w, &c.guest) || publish_admit(w->port, from)) {
		listener_reset(fd);
		return;
	}
	if (inbound_open(gateway_inbound(w->all->slirp->gw), &c))
		publish_leave(w->port, from);
}

static void hostfwd_event(struct loop_watch *lw, uint32_t events, int64_t now)
{
	struct hostfwd_watch *w = container_of(lw, struct hostfwd_watch, watch);
	struct listener *l = &w->port->listener;
	struct endpoint from, local;

	for (int i = 0; i < HOSTFWD_BATCH; i++) {
		int fd = listener_accept(l, &w->all->spare, &from, &local);

		if (fd >= 0) {
			hostfwd_client(w, fd, &from);
			continue;
		}
		if (fd == -EBUSY) { /* resources are short: not asked again before the pause is over */
			loop_watch_remove(w->all->slirp->loop, &w->watch);
			loop_timer_set(w->all->slirp->loop, &w->pause, now + l->pause);
		}
		return;
	}
}

static void hostfwd_resume(struct loop_timer *t, int64_t now)
{
	struct hostfwd_watch *w = container_of(t, struct hostfwd_watch, pause);

	if (loop_watch_add(w->all->slirp->loop, &w->watch, w->port->listener.fd, EPOLLIN))
		loop_timer_set(w->all->slirp->loop, &w->pause, now + LISTENER_PAUSE_MAX_US);
}

/* ---- the registry's owner */

/* 0 or -errno. */
static int hostfwd_begin(struct hostfwd_watch *w)
{
	struct endpoint guest;

	if (w->port->listener.proto == PORTSPEC_TCP)
		return loop_watch_add(w->all->slirp->loop, &w->watch, w->port->listener.fd, EPOLLIN);
	if (!hostfwd_guest(w, &guest))
		return -EHOSTUNREACH; /* datagrams wait for nobody: the guest must be known */
	return udp_publish_add(gateway_udp_publish(w->all->slirp->gw), &w->udp, w->port->listener.fd, &guest, NULL);
}

static bool hostfwd_watch(struct publish_host *h, struct publish_port *p, GError **err)
{
	struct libslirp_hostfwd *all = container_of(h, struct libslirp_hostfwd, host);
	struct hostfwd_watch *w = g_new0(struct hostfwd_watch, 1);
	int rc;

	w->watch.fn = hostfwd_event;
	w->pause.fn = hostfwd_resume;
	w->port = p;
	w->all = all;
	rc = hostfwd_begin(w);
	if (!rc) {
		p->watch = w;
		return true;
	}
	g_free(w);
	g_set_error(err, LISTENER_ERROR, LISTENER_ERROR_RESOURCES, "epoll: %s", g_strerror(-rc));
	return false;
}

static void hostfwd_free(struct loop_reap *r)
{
	g_free(container_of(r, struct hostfwd_watch, reap));
}

static void hostfwd_unwatch(struct publish_host *h, struct publish_port *p)
{
	struct hostfwd_watch *w = p->watch;
	struct loop *loop = w->all->slirp->loop;

	if (p->listener.proto == PORTSPEC_UDP)
		udp_publish_remove(&w->udp);
	loop_watch_remove(loop, &w->watch);
	loop_timer_set(loop, &w->pause, TIMERQ_NEVER);
	loop_reap_later(loop, &w->reap, hostfwd_free);
	p->watch = NULL;
}

bool libslirp_hostfwd_init(struct libslirp_hostfwd *f, struct Slirp *s)
{
	struct siphash_key key;

	*f = (struct libslirp_hostfwd){ .slirp = s, .host = { .watch = hostfwd_watch, .unwatch = hostfwd_unwatch } };
	if (getrandom(&key, sizeof(key), 0) != sizeof(key))
		return false;
	listener_spare_open(&f->spare);
	f->publish = publish_new(&f->host, &key, &f->refusals);
	return f->publish != NULL;
}

void libslirp_hostfwd_close(struct libslirp_hostfwd *f)
{
	struct publish_set *s;

	while (f->publish && (s = publish_next(f->publish, NULL)))
		publish_remove(s);
}

void libslirp_hostfwd_clear(struct libslirp_hostfwd *f)
{
	if (f->publish)
		listener_spare_close(&f->spare);
	publish_free(f->publish);
}

/* ---- what the application says */

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
	set = publish_bind(slirp->hostfwd.publish, &rule, &policy, &err);
	if (set && publish_start(set, &err))
		return 0;
	libslirp_debug(SLIRP_DBG_ERROR, "slirp_add_hostxfwd: %s", err->message);
	rc = hostfwd_errno(err);
	if (set)
		publish_remove(set);
	return hostfwd_fail(rc);
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
	struct portspec_rule want = { 0 };
	int rc = hostfwd_host(haddr, haddrlen, flags, &want);

	if (rc)
		return hostfwd_fail(rc);
	for (struct publish_set *s = publish_next(slirp->hostfwd.publish, NULL); s; s = publish_next(slirp->hostfwd.publish, s)) {
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
