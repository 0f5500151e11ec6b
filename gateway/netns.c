/* netns.c - namespaces for the child that becomes COMMAND, and what it says to the parent (drawn in netns.h).
 *
 * Who may what: a process that has just made its user namespace holds every capability in it until it calls exec, whatever uid it is
 * mapped to; so the child configures the namespace as the caller's own uid and COMMAND, exec'd as that uid, has no capability left.
 * The parent writes the maps: a caller with privilege can then hand over all ids it has, which the child itself could not.
 */
#include "gateway/netns.h"

#include "gateway/netns_resolv.h"
#include "gateway/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the child ---- */

static void child_unshare(int sock)
{
	bool user = true;
	int proc;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) < 0) {
		int e = errno;

		user = false;
		if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
			netns_child_fail(sock, NETNS_ERROR_SETUP, "cannot make a user namespace: %s; remedy: %s", g_strerror(e), probe_userns_remedy(e));
	}
	proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		netns_child_fail(sock, NETNS_ERROR_SETUP, "cannot open /proc/self: %s; remedy: mount proc on /proc", g_strerror(errno));
	netns_child_send(sock, NETNS_CHILD_UNSHARED, user, "", proc);
	close(proc);
	netns_child_wait(sock, NETNS_CHILD_MAPPED);
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

static void child_setup(int sock, const struct netns_config *cfg)
{
	g_autoptr(GError) err = NULL;
	int tap;

	if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		netns_child_fail(sock, NETNS_ERROR_SETUP, "cannot keep mounts private: %s", g_strerror(errno));
	tap = netns_child_make_tap(sock, cfg->ifname, cfg->offload);
	netns_child_configure(sock, cfg->ifname, cfg->net);
	child_ping_range();
	if (!netns_resolv_bind(cfg->net, cfg->search, &err))
		netns_child_send(sock, NETNS_CHILD_WARN, 0, err->message, -1);
	netns_child_send(sock, NETNS_CHILD_TAP, 0, "", tap);
	close(tap);
}

/* Is there a file of that name in one of PATH's directories? */
static bool exec_in_path(const char *name, const char *path)
{
	g_auto(GStrv) dirs = g_strsplit(path, ":", -1);
	bool found = false;

	for (char **d = dirs; *d && !found; d++) {
		g_autofree char *file = g_build_filename(**d ? *d : ".", name, NULL);
		struct stat st;

		found = stat(file, &st) == 0 && S_ISREG(st.st_mode);
	}
	return found;
}

enum netns_error netns_exec_error(const char *name, const char *path, int *err)
{
	if (*err == EACCES && !strchr(name, '/') && !exec_in_path(name, path))
		*err = ENOENT;
	return *err == ENOENT || *err == ENOTDIR ? NETNS_ERROR_NOT_FOUND : NETNS_ERROR_NOT_EXECUTABLE;
}

static void G_GNUC_NORETURN child_main(int sock, const void *arg)
{
	const struct netns_config *cfg = arg;
	const char *path = g_getenv("PATH");
	enum netns_error code;
	int e;

	child_unshare(sock);
	child_setup(sock, cfg);
	netns_child_wait(sock, NETNS_CHILD_GO);
	execvp(cfg->argv[0], cfg->argv);
	e = errno;
	code = netns_exec_error(cfg->argv[0], path ? path : "/bin:/usr/bin", &e);
	netns_child_fail(sock, code, "cannot run %s: %s", cfg->argv[0], g_strerror(e));
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

/* UNSHARED is the one message of this child's own. */
static bool on_unshared(const struct netns_child *c, const struct netns_child_message *m, int fd, void *arg, GError **err)
{
	const struct netns_config *cfg = arg;
	bool ok = !m->code || write_maps(fd, cfg->map_root, err);

	if (fd >= 0)
		close(fd);
	if (ok)
		netns_child_send(c->sock, NETNS_CHILD_MAPPED, 0, "", -1);
	return ok;
}

bool netns_spawn(const struct netns_config *cfg, struct netns_child *ret, GError **err)
{
	struct netns_child c;

	if (!netns_child_start(child_main, cfg, &c, err))
		return false;
	if (!netns_child_tap(&c, cfg->journal, on_unshared, (void *)cfg, err)) {
		netns_child_end(&c);
		return false;
	}
	*ret = c;
	return true;
}

bool netns_go(struct netns_child *c, GError **err)
{
	struct netns_child_message m;

	netns_child_send(c->sock, NETNS_CHILD_GO, 0, "", -1);
	if (netns_child_receive(c->sock, &m, NULL)) {
		g_set_error_literal(err, NETNS_ERROR, m.code, m.text);
		netns_child_end(c);
		return false;
	}
	close(c->sock);
	c->sock = -1;
	return true;
}
