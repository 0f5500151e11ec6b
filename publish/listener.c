/* listener.c - listening descriptors.  See listener.h.
 *
 * System calls: socket setsockopt getsockopt bind listen accept4 getsockname connect close unlink eventfd.
 */
#include "publish/listener.h"

#include "publish/holder.h"
#include "slirp/base/sockname.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

GQuark listener_error_quark(void)
{
	return g_quark_from_static_string("listener-error");
}

const char *listener_name(const struct listener *l, char *buf)
{
	char text[ENDPOINT_STRLEN];

	if (l->path[0])
		return strcpy(buf, l->path);
	if (l->dual)
		snprintf(buf, PORTSPEC_PATH_MAX, "*:%u", l->bound.port);
	else
		snprintf(buf, PORTSPEC_PATH_MAX, "%s", endpoint_format(&l->bound, text));
	return buf;
}

static enum listener_error listener_class(int error)
{
	switch (error) {
	case EADDRINUSE:
		return LISTENER_ERROR_TAKEN;
	case EACCES:
	case EPERM:
		return LISTENER_ERROR_FORBIDDEN;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		return LISTENER_ERROR_RESOURCES;
	default:
		return LISTENER_ERROR_ADDRESS;
	}
}

/* What went wrong with l, with a name for who holds its port.  Returns false. */
static bool listener_fail(const struct listener *l, int error, GError **err)
{
	const char *proto = l->path[0] ? "Unix socket" : l->proto == PORTSPEC_TCP ? "TCP port" : "UDP port";
	g_autofree char *holder = NULL;
	char name[PORTSPEC_PATH_MAX];

	if (error == EADDRINUSE && !l->path[0])
		holder = holder_find(l->proto == PORTSPEC_TCP, &l->bound, l->dual);
	g_set_error(err, LISTENER_ERROR, listener_class(error), "Listen failed for HOST %s %s: %s%s%s%s", proto, listener_name(l, name),
		    g_strerror(error), holder ? ", held by " : "", holder ? holder : "",
		    error == EACCES && !l->path[0] ? " (ports below net.ipv4.ip_unprivileged_port_start need a privilege)" : "");
	return false;
}

static int listener_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Replies of UDP leave from the address that was called, so we are told which it was. */
static void listener_options(int fd, int family, const struct listener *l)
{
	if (l->proto == PORTSPEC_TCP) {
		listener_set(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* TIME-WAIT of an earlier run is no reason to refuse */
		return;
	}
	if (family == AF_INET6)
		listener_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	if (family == AF_INET || l->dual)
		listener_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

/* 0 or -errno. */
static int listener_place(int fd, int family, const struct listener *l, const char *ifname, bool freebind)
{
	struct sockaddr_storage ss;
	socklen_t len = sockname_put(&l->bound, &ss);
	int r = 0;

	listener_options(fd, family, l);
	if (family == AF_INET6)
		r = listener_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !l->dual);
	if (!r && ifname[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, (socklen_t)strlen(ifname)) < 0)
		r = -errno;
	if (!r && freebind)
		r = family == AF_INET6 ? listener_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1) : listener_set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (!r && bind(fd, (struct sockaddr *)&ss, len) < 0)
		r = -errno;
	return r;
}

static int listener_socket(const struct listener *l, int family)
{
	int type = l->proto == PORTSPEC_TCP ? SOCK_STREAM : SOCK_DGRAM, fd;

	fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* Reads back what the kernel has chosen. */
static void listener_bound(struct listener *l)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (!getsockname(l->fd, (struct sockaddr *)&ss, &len))
		sockname_get(&ss, &l->bound);
}

static bool listener_bind_inet(struct listener *l, const char *ifname, bool freebind, GError **err)
{
	int family = addr_is_v4(&l->bound.addr) ? AF_INET : AF_INET6, r;
	int fd = listener_socket(l, family);

	if (fd == -EAFNOSUPPORT && l->dual) {
		l->dual = false; /* a host without IPv6 */
		l->bound.addr = addr_from_v4((const uint8_t[4]){ 0 });
		fd = listener_socket(l, family = AF_INET);
	}
	if (fd < 0)
		return listener_fail(l, -fd, err);
	r = listener_place(fd, family, l, ifname, freebind);
	if (r < 0) {
		close(fd);
		return listener_fail(l, -r, err);
	}
	l->fd = fd;
	listener_bound(l);
	return true;
}

/* A socket file whose owner has gone is only in the way; one that answers, or a file of another kind, stays. */
static void listener_unlink_stale(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd;

	if (lstat(sun->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 && errno == ECONNREFUSED)
		unlink(sun->sun_path);
	close(fd);
}

static bool listener_bind_unix(struct listener *l, GError **err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = listener_socket(l, AF_UNIX), error;

	if (fd < 0)
		return listener_fail(l, -fd, err);
	g_strlcpy(sun.sun_path, l->path, sizeof(sun.sun_path));
	listener_unlink_stale(&sun);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		error = errno;
		close(fd);
		return listener_fail(l, error, err);
	}
	l->fd = fd;
	return true;
}

bool listener_bind(struct listener *l, const struct portspec_rule *r, uint16_t port, bool freebind, GError **err)
{
	struct listener made = { .fd = -1, .proto = r->proto, .dual = r->dual, .bound = { r->bind, port } };

	g_strlcpy(made.path, r->path, sizeof(made.path));
	if (made.path[0] ? !listener_bind_unix(&made, err) : !listener_bind_inet(&made, r->ifname, freebind, err))
		return false;
	*l = made;
	return true;
}

static int listener_ask(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

bool listener_adopt(struct listener *l, int fd, GError **err)
{
	struct listener made = { .fd = fd, .passed = true };
	int type = listener_ask(fd, SO_TYPE), family = listener_ask(fd, SO_DOMAIN);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int only = 0;

	if (type < 0 || getsockname(fd, (struct sockaddr *)&ss, &len) < 0) {
		g_set_error(err, LISTENER_ERROR, LISTENER_ERROR_UNUSABLE, "Descriptor %d is not a socket", fd);
		return false;
	}
	made.proto = type == SOCK_STREAM ? PORTSPEC_TCP : PORTSPEC_UDP;
	if (family == AF_UNIX && type == SOCK_STREAM) {
		const struct sockaddr_un *sun = (const struct sockaddr_un *)&ss;

		g_strlcpy(made.path, len > sizeof(sa_family_t) && sun->sun_path[0] ? sun->sun_path : "(unnamed)", sizeof(made.path));
	} else if ((type != SOCK_STREAM && type != SOCK_DGRAM) || !sockname_get(&ss, &made.bound) || !made.bound.port) {
		g_set_error(err, LISTENER_ERROR, LISTENER_ERROR_UNUSABLE,
			    "Descriptor %d is not a bound TCP, UDP or Unix stream socket", fd);
		return false;
	} else {
		len = sizeof(only);
		made.dual = family == AF_INET6 && addr_is_unspecified(&made.bound.addr) &&
			    !getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len) && !only;
		listener_options(fd, family, &made);
	}
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		g_set_error(err, LISTENER_ERROR, LISTENER_ERROR_UNUSABLE, "Descriptor %d: %s", fd, g_strerror(errno));
		return false;
	}
	*l = made;
	return true;
}

bool listener_start(struct listener *l, GError **err)
{
	if (!l->started && l->proto == PORTSPEC_TCP && listen(l->fd, LISTENER_BACKLOG) < 0)
		return listener_fail(l, errno, err);
	l->started = true;
	return true;
}

void listener_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	if (l->path[0] && !l->passed)
		unlink(l->path);
	close(l->fd);
	l->fd = -1;
	l->started = false;
}

void listener_spare_open(struct listener_spare *s)
{
	s->fd = eventfd(0, EFD_CLOEXEC);
}

void listener_spare_close(struct listener_spare *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void listener_reset(int fd)
{
	struct linger hard = { .l_onoff = 1 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)); /* AF_UNIX has no RST: closing is all there is */
	close(fd);
}

/* The table of descriptors is full: takes one client and resets it.  0, or what accept4() says without a client (accept4() looks for a
 * descriptor first and for a client afterwards). */
static int listener_shed(struct listener *l, struct listener_spare *s)
{
	int fd, error;

	if (s->fd < 0)
		return EMFILE;
	close(s->fd);
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	error = fd < 0 ? errno : 0;
	if (fd >= 0) {
		listener_reset(fd);
		s->shed++;
	}
	listener_spare_open(s);
	return error;
}

static int listener_busy(struct listener *l)
{
	l->pause = l->pause ? MIN(l->pause * 2, LISTENER_PAUSE_MAX_US) : LISTENER_PAUSE_MIN_US;
	return -EBUSY;
}

/* What accept4() has said; 0: try again at once. */
static int listener_refused(struct listener *l, struct listener_spare *s, int error)
{
	if (error == EMFILE || error == ENFILE)
		error = listener_shed(l, s);
	switch (error) {
	case EAGAIN:
		l->pause = 0;
		return -EAGAIN;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		return listener_busy(l);
	case EINVAL: /* not listening (any more) */
	case EBADF:
		return -EAGAIN;
	default: /* reset just now; or accept(2): the client's own errors are handed to us; it has gone, the next is meant */
		return 0;
	}
}

int listener_accept(struct listener *l, struct listener_spare *s, struct endpoint *client, struct endpoint *local)
{
	struct sockaddr_storage ss;

	for (unsigned tries = 0; tries < LISTENER_BACKLOG; tries++) {
		socklen_t len = sizeof(ss);
		int fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK), r;

		if (fd < 0) {
			r = listener_refused(l, s, errno);
			if (r)
				return r;
			continue;
		}
		memset(client, 0, sizeof(*client));
		memset(local, 0, sizeof(*local));
		if (!l->path[0]) {
			sockname_get(&ss, client);
			len = sizeof(ss);
			if (!getsockname(fd, (struct sockaddr *)&ss, &len))
				sockname_get(&ss, local);
		}
		l->pause = 0;
		return fd;
	}
	return listener_busy(l);
}
