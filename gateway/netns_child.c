/* netns_child.c - messages over a socket pair, and both ends of a child's life (drawn in netns_child.h). */
#include "gateway/netns_child.h"

#include "gateway/link_tap.h"
#include "gateway/netns_link.h"
#include "gateway/probe.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

GQuark netns_error_quark(void)
{
	return g_quark_from_static_string("netns-error");
}

/* ---- messages ---- */

void netns_child_send(int sock, enum netns_child_kind kind, unsigned code, const char *text, int fd)
{
	struct netns_child_message m = { .kind = (uint8_t)kind, .code = (uint8_t)code };
	struct iovec iov = { &m, 0 };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	g_strlcpy(m.text, text, sizeof(m.text));
	iov.iov_len = offsetof(struct netns_child_message, text) + strlen(m.text) + 1;
	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	while (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

bool netns_child_receive(int sock, struct netns_child_message *m, int *ret_fd)
{
	struct iovec iov = { m, sizeof(*m) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= (ssize_t)offsetof(struct netns_child_message, text))
		return false;
	m->text[MIN((size_t)n, sizeof(*m)) - offsetof(struct netns_child_message, text) - 1] = '\0';
	c = CMSG_FIRSTHDR(&msg);
	if (ret_fd)
		*ret_fd = -1;
	if (ret_fd && c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	return true;
}

/* ---- the child ---- */

void netns_child_fail(int sock, enum netns_error code, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	netns_child_send(sock, NETNS_CHILD_FAILED, code, text, -1);
	_exit((int)code);
}

void netns_child_wait(int sock, enum netns_child_kind want)
{
	struct netns_child_message m;

	if (!netns_child_receive(sock, &m, NULL) || m.kind != want)
		_exit(NETNS_ERROR_SETUP);
}

int netns_child_make_tap(int sock, const char *ifname, bool offload)
{
	g_autoptr(GError) err = NULL;
	int tap = link_tap_create(ifname, offload, &err);

	if (tap < 0)
		netns_child_fail(sock, NETNS_ERROR_SETUP, "%s; remedy: %s", err->message, probe_tap_remedy(errno));
	return tap;
}

void netns_child_configure(int sock, const char *ifname, const struct gateway_config *net)
{
	g_autoptr(GError) err = NULL;

	if (!netns_link_setup(ifname, net, &err))
		netns_child_fail(sock, NETNS_ERROR_SETUP, "%s", err->message);
}

/* ---- the parent ---- */

bool netns_child_start(void (*body)(int sock, const void *arg), const void *arg, struct netns_child *ret, GError **err)
{
	struct netns_child c = { .pid = -1, .sock = -1, .tap = -1 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		g_set_error(err, NETNS_ERROR, NETNS_ERROR_SETUP, "cannot make a socket pair: %s", g_strerror(errno));
		return false;
	}
	c.pid = fork();
	if (c.pid == 0) {
		close(pair[0]);
		body(pair[1], arg);
		_exit(0);
	}
	close(pair[1]);
	c.sock = pair[0];
	if (c.pid < 0) {
		g_set_error(err, NETNS_ERROR, NETNS_ERROR_SETUP, "cannot start a process: %s", g_strerror(errno));
		netns_child_end(&c);
		return false;
	}
	*ret = c;
	return true;
}

bool netns_child_tap(struct netns_child *c, const struct journal *journal,
		     bool (*other)(const struct netns_child *c, const struct netns_child_message *m, int fd, void *arg, GError **err), void *arg,
		     GError **err)
{
	struct netns_child_message m;
	int fd;

	while (netns_child_receive(c->sock, &m, &fd)) {
		switch (m.kind) {
		case NETNS_CHILD_WARN:
			journal_say(journal, JOURNAL_WARN, "%s", m.text);
			break;
		case NETNS_CHILD_TAP:
			c->tap = fd;
			if (fd >= 0)
				return true;
			g_set_error_literal(err, NETNS_ERROR, NETNS_ERROR_SETUP, "cannot take over the tap: out of descriptors");
			return false;
		case NETNS_CHILD_FAILED:
			g_set_error_literal(err, NETNS_ERROR, m.code, m.text);
			return false;
		default:
			if (other && !other(c, &m, fd, arg, err))
				return false;
		}
	}
	g_set_error_literal(err, NETNS_ERROR, NETNS_ERROR_SETUP, "the process that makes the tap was killed");
	return false;
}

void netns_child_end(struct netns_child *c)
{
	if (c->sock >= 0)
		close(c->sock);
	if (c->tap >= 0)
		close(c->tap);
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*c = (struct netns_child){ .pid = -1, .sock = -1, .tap = -1 };
}
