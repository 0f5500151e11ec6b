/* netns.c - namespaces, the child that becomes COMMAND, and the talk between it and the parent (drawn in netns.h).
 *
 * Who may what: a process that has just made its user namespace holds every capability in it until it calls exec, whatever uid it is
 * mapped to; so the child configures the namespace as the caller's own uid and COMMAND, exec'd as that uid, has no capability left.
 * The parent writes the maps: a caller with privilege can then hand over all ids it has, which the child itself could not.
 */
#include "gateway/netns.h"

#include "gateway/link_tap.h"
#include "gateway/netns_link.h"
#include "gateway/netns_resolv.h"
#include "gateway/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind {
	UNSHARED = 1, /* code: 1 with, 0 without a user namespace; with it comes the child's directory in /proc */
	MAPPED,
	WARN,
	TAP,
	GO,
	FAILED, /* code: enum netns_error */
};

struct message {
	uint8_t kind;
	uint8_t code;
	char text[1022];
};

GQuark netns_error_quark(void)
{
	return g_quark_from_static_string("netns-error");
}

/* ---- messages ---- */

/* fd: travels along, or -1.  Nothing can be done about a side that has gone: the other one notices end of file. */
static void message_send(int sock, enum kind kind, unsigned code, const char *text, int fd)
{
	struct message m = { .kind = (uint8_t)kind, .code = (uint8_t)code };
	struct iovec iov = { &m, 0 };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	g_strlcpy(m.text, text, sizeof(m.text));
	iov.iov_len = offsetof(struct message, text) + strlen(m.text) + 1;
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

/* False: the other side has gone.  *ret_fd, if asked for, is what travelled along, or -1. */
static bool message_receive(int sock, struct message *m, int *ret_fd)
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
	if (n <= (ssize_t)offsetof(struct message, text))
		return false;
	m->text[MIN((size_t)n, sizeof(*m)) - offsetof(struct message, text) - 1] = '\0';
	c = CMSG_FIRSTHDR(&msg);
	if (ret_fd)
		*ret_fd = -1;
	if (ret_fd && c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	return true;
}

/* ---- the child ---- */

static void G_GNUC_NORETURN G_GNUC_PRINTF(3, 4) child_fail(int sock, enum netns_error code, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	message_send(sock, FAILED, code, text, -1);
	_exit((int)code);
}

/* Waits for the parent's word; a parent that has gone or answers something else ends the child in silence: it has said why itself. */
static void child_wait(int sock, enum kind want)
{
	struct message m;

	if (!message_receive(sock, &m, NULL) || m.kind != want)
		_exit(NETNS_ERROR_SETUP);
}

static void child_unshare(int sock)
{
	bool user = true;
	int proc;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) < 0) {
		int e = errno;

		user = false;
		if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
			child_fail(sock, NETNS_ERROR_SETUP, "cannot make a user namespace: %s; remedy: %s", g_strerror(e), probe_userns_remedy(e));
	}
	proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		child_fail(sock, NETNS_ERROR_SETUP, "cannot open /proc/self: %s; remedy: mount proc on /proc", g_strerror(errno));
	message_send(sock, UNSHARED, user, "", proc);
	close(proc);
	child_wait(sock, MAPPED);
	/* Only now: taking on the credentials of the namespace would have cleared it. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

/* Lets COMMAND's group use ICMP echo sockets, where /proc/sys is writable. */
static void child_ping_range(void)
{
	char range[32];
	int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	snprintf(range, sizeof(range), "%u %u", (unsigned)getegid(), (unsigned)getegid());
	if (write(fd, range, strlen(range)) < 0)
		errno = 0; /* ping in the namespace then needs privilege, as on a host that never set it */
	close(fd);
}

static int child_tap(int sock, const struct netns_config *cfg)
{
	g_autoptr(GError) err = NULL;
	int tap = link_tap_create(cfg->ifname, cfg->offload, &err);

	if (tap < 0) {
		const char *remedy = probe_tun_remedy();

		child_fail(sock, NETNS_ERROR_SETUP, "%s%s%s", err->message, remedy ? "; remedy: " : "", remedy ? remedy : "");
	}
	return tap;
}

static void child_setup(int sock, const struct netns_config *cfg)
{
	g_autoptr(GError) err = NULL;
	int tap;

	if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		child_fail(sock, NETNS_ERROR_SETUP, "cannot keep mounts private: %s", g_strerror(errno));
	tap = child_tap(sock, cfg);
	if (!netns_link_setup(cfg->ifname, cfg->net, &err))
		child_fail(sock, NETNS_ERROR_SETUP, "%s", err->message);
	child_ping_range();
	if (!netns_resolv_bind(cfg->net, cfg->search, &err))
		message_send(sock, WARN, 0, err->message, -1);
	message_send(sock, TAP, 0, "", tap);
	close(tap);
}

static void G_GNUC_NORETURN child_main(int sock, const struct netns_config *cfg)
{
	int e;

	child_unshare(sock);
	child_setup(sock, cfg);
	child_wait(sock, GO);
	execvp(cfg->argv[0], cfg->argv);
	e = errno;
	child_fail(sock, e == ENOENT || e == ENOTDIR ? NETNS_ERROR_NOT_FOUND : NETNS_ERROR_NOT_EXECUTABLE, "cannot run %s: %s", cfg->argv[0],
		   g_strerror(e));
}

/* ---- the parent ---- */

/* proc: the child's directory in /proc, opened by the child itself; its pid may mean another process in the /proc mounted here. */
static int write_proc(int proc, const char *name, const char *text)
{
	int fd = openat(proc, name, O_WRONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* Every id that this process's own namespace has, unchanged: what a caller with privilege hands over. */
static int map_all(int proc, const char *name)
{
	g_autofree char *own = g_strconcat("/proc/self/", name, NULL);
	g_autofree char *text = NULL;
	g_autoptr(GString) map = g_string_new(NULL);
	unsigned inside, outside, count;
	int used;

	if (!g_file_get_contents(own, &text, NULL, NULL))
		return -EIO;
	for (const char *p = text; sscanf(p, "%u %u %u%n", &inside, &outside, &count, &used) == 3; p += used)
		g_string_append_printf(map, "%u %u %u\n", inside, inside, count);
	return write_proc(proc, name, map->str);
}

static int map_one(int proc, const char *name, unsigned id, bool root)
{
	char map[40];

	snprintf(map, sizeof(map), "%u %u 1\n", root ? 0 : id, id);
	return write_proc(proc, name, map);
}

static bool write_maps(int proc, bool root, GError **err)
{
	const char *what = "uid_map";
	int rc;

	if (geteuid() == 0 && map_all(proc, "uid_map") == 0 && map_all(proc, "gid_map") == 0)
		return true;
	rc = map_one(proc, "uid_map", geteuid(), root);
	if (rc == -EPERM && geteuid() == 0) /* map_all() got as far as this one */
		rc = 0;
	if (rc == 0) {
		/* A group may be there to keep its members out; without privilege nobody may drop one.  user_namespaces(7). */
		what = "setgroups";
		rc = write_proc(proc, what, "deny");
	}
	if (rc == 0 || rc == -ENOENT) {
		what = "gid_map";
		rc = map_one(proc, what, getegid(), root);
	}
	if (rc < 0)
		g_set_error(err, NETNS_ERROR, NETNS_ERROR_SETUP, "cannot write the %s of the new user namespace: %s; remedy: %s", what, g_strerror(-rc),
			    probe_userns_remedy(-rc));
	return rc == 0;
}

/* Takes the child's messages up to its tap. */
static bool spawn_talk(const struct netns_config *cfg, struct netns_child *c, GError **err)
{
	struct message m;
	bool ok;
	int fd;

	while (message_receive(c->sock, &m, &fd)) {
		switch (m.kind) {
		case UNSHARED:
			ok = !m.code || write_maps(fd, cfg->map_root, err);
			if (fd >= 0)
				close(fd);
			if (!ok)
				return false;
			message_send(c->sock, MAPPED, 0, "", -1);
			break;
		case WARN:
			journal_say(cfg->journal, JOURNAL_WARN, "%s", m.text);
			break;
		case TAP:
			c->tap = fd;
			if (fd >= 0)
				return true;
			g_set_error_literal(err, NETNS_ERROR, NETNS_ERROR_SETUP, "cannot take over the tap: out of descriptors");
			return false;
		default:
			g_set_error_literal(err, NETNS_ERROR, m.code, m.text);
			return false;
		}
	}
	g_set_error_literal(err, NETNS_ERROR, NETNS_ERROR_SETUP, "the process that makes the namespace was killed");
	return false;
}

bool netns_spawn(const struct netns_config *cfg, struct netns_child *ret, GError **err)
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
		child_main(pair[1], cfg);
	}
	close(pair[1]);
	c.sock = pair[0];
	if (c.pid < 0)
		g_set_error(err, NETNS_ERROR, NETNS_ERROR_SETUP, "cannot start a process: %s", g_strerror(errno));
	if (c.pid < 0 || !spawn_talk(cfg, &c, err)) {
		netns_abandon(&c);
		return false;
	}
	*ret = c;
	return true;
}

bool netns_go(struct netns_child *c, GError **err)
{
	struct message m;

	message_send(c->sock, GO, 0, "", -1);
	if (message_receive(c->sock, &m, NULL)) {
		g_set_error_literal(err, NETNS_ERROR, m.code, m.text);
		netns_abandon(c);
		return false;
	}
	close(c->sock);
	c->sock = -1;
	return true;
}

void netns_abandon(struct netns_child *c)
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
