/* netns_attach.c - into a namespace that exists, and a look at how names are resolved there.  See netns_attach.h.
 *
 * Who may enter: whoever has CAP_SYS_ADMIN over the namespace, which root has, and in a user namespace the one who made it, after joining
 * it.  Joining is the second try: it may take away ids that the first one needs to open /dev/net/tun.
 */
#include "gateway/netns_attach.h"

#include "gateway/resolv.h"
#include "gateway/netns_link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NETNS_DIR "/run/netns/"
#define RESOLV_CONF "etc/resolv.conf"

/* ---- the child ---- */

static char *target_path(const struct netns_attach_target *t)
{
	switch (t->kind) {
	case NETNS_ATTACH_PID:
		return g_strdup_printf("/proc/%s/ns/net", t->text);
	case NETNS_ATTACH_NAME:
		return g_strconcat(NETNS_DIR, t->text, NULL);
	default:
		return g_strdup(t->text);
	}
}

static void G_GNUC_NORETURN open_failed(int sock, const struct netns_attach_target *t, int e)
{
	if (e == ENOENT && t->kind == NETNS_ATTACH_PID)
		netns_child_fail(sock, NETNS_ERROR_SETUP, "there is no process %s, or it has ended", t->text);
	if (e == ENOENT && t->kind == NETNS_ATTACH_NAME)
		netns_child_fail(sock, NETNS_ERROR_SETUP, "there is no network namespace %s in " NETNS_DIR " (ip netns list: those there are)",
				 t->text);
	netns_child_fail(sock, NETNS_ERROR_SETUP, "cannot open the network namespace of %s: %s", t->text, g_strerror(e));
}

static int open_target(int sock, const struct netns_attach_target *t)
{
	g_autofree char *path = target_path(t);
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat there, here;

	if (fd < 0)
		open_failed(sock, t, errno);
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		netns_child_fail(sock, NETNS_ERROR_SETUP, "%s is not a network namespace", path);
	if (!fstat(fd, &there) && !stat("/proc/self/ns/net", &here) && there.st_dev == here.st_dev && there.st_ino == here.st_ino)
		netns_child_fail(sock, NETNS_ERROR_SETUP, "%s is the network namespace that slirpgate itself is in: a guest needs one of its own",
				 t->text);
	return fd;
}

static void enter(int sock, int ns, const struct netns_attach_target *t)
{
	int user;

	if (setns(ns, CLONE_NEWNET) == 0)
		return;
	if (errno != EPERM)
		netns_child_fail(sock, NETNS_ERROR_SETUP, "cannot enter the network namespace of %s: %s", t->text, g_strerror(errno));
	user = ioctl(ns, NS_GET_USERNS);
	if (user < 0 || setns(user, CLONE_NEWUSER) < 0 || setns(ns, CLONE_NEWNET) < 0)
		netns_child_fail(sock, NETNS_ERROR_SETUP,
				 "this user may not enter the network namespace of %s: only root may, and who made the user namespace it belongs to",
				 t->text);
	close(user);
}

/* From inside the namespace and back again; why this way: netns_attach.h. */
static int make_tap(int sock, int ns, const struct netns_attach_config *cfg)
{
	g_autoptr(GError) err = NULL;
	int tap;

	if (unshare(CLONE_NEWNET) < 0)
		netns_child_fail(sock, NETNS_ERROR_SETUP, "cannot make a network namespace to make the tap in: %s%s", g_strerror(errno),
				 errno == ENOSPC ? "; remedy: raise user.max_net_namespaces by sysctl" : "");
	tap = netns_child_make_tap(sock, cfg->ifname, cfg->offload);
	if (!netns_link_move(cfg->ifname, ns, &err))
		netns_child_fail(sock, NETNS_ERROR_SETUP, "%s", err->message);
	if (setns(ns, CLONE_NEWNET) < 0)
		netns_child_fail(sock, NETNS_ERROR_SETUP, "cannot enter the network namespace of %s: %s", cfg->target.text, g_strerror(errno));
	return tap;
}

static void attach_body(int sock, const void *arg)
{
	const struct netns_attach_config *cfg = arg;
	int ns = open_target(sock, &cfg->target);
	int tap;

	enter(sock, ns, &cfg->target);
	if (if_nametoindex(cfg->ifname))
		netns_child_fail(sock, NETNS_ERROR_SETUP, "the namespace has an interface %s already; --ifname NAME gives ours another name",
				 cfg->ifname);
	tap = make_tap(sock, ns, cfg);
	netns_child_configure(sock, cfg->ifname, cfg->net);
	netns_child_send(sock, NETNS_CHILD_TAP, 0, "", tap);
}

/* ---- the parent ---- */

int netns_attach(const struct netns_attach_config *cfg, GError **err)
{
	struct netns_child c;
	int tap;

	if (!netns_child_start(attach_body, cfg, &c, err))
		return -1;
	netns_child_tap(&c, NULL, NULL, NULL, err);
	tap = c.tap;
	c.tap = -1;
	netns_child_end(&c);
	return tap;
}

/* ---- resolv.conf ---- */

/* Links are followed as a process with that root sees them. */
static int open_below(const char *root, const char *file)
{
	struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int fd, rc;

	if (dir < 0)
		return -EACCES; /* not for us to see, whatever the reason */
	fd = (int)syscall(SYS_openat2, dir, file, &how, sizeof(how));
	rc = fd < 0 ? -errno : fd;
	close(dir);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		return -EINVAL;
	}
	return rc;
}

/* Whether packets to a name server come to us: to the relay's address, or by the default route. */
static bool leads_here(const struct addr *a, const struct gateway_config *net)
{
	return !addr_is_loopback(a) && !addr_is_unspecified(a) && (addr_is_v4(a) ? net->v4 : net->v6);
}

/* Whether the file names one that does.  What cannot be seen is given the benefit of the doubt. */
static bool resolv_leads_here(const char *root, const char *file, const struct gateway_config *net)
{
	struct addr servers[GATEWAY_DNS_MAX];
	int fd = open_below(root, file);
	char self[40];
	int n;

	if (fd < 0)
		return fd != -ENOENT && fd != -ENOTDIR;
	g_snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = resolv_servers(self, servers, G_N_ELEMENTS(servers));
	close(fd);
	for (int i = 0; i < n; i++) {
		if (leads_here(&servers[i], net))
			return true;
	}
	return n < 0;
}

/* The root directory of the process a target speaks of, or "/". */
static char *target_root(const struct netns_attach_target *t)
{
	const char *end = "/ns/net";

	if (t->kind == NETNS_ATTACH_PID)
		return g_strdup_printf("/proc/%s/root", t->text);
	if (t->kind == NETNS_ATTACH_PATH && g_str_has_prefix(t->text, "/proc/") && g_str_has_suffix(t->text, end))
		return g_strdup_printf("%.*s/root", (int)(strlen(t->text) - strlen(end)), t->text);
	return g_strdup("/");
}

char *netns_attach_resolv_warning(const struct netns_attach_target *target, const struct gateway_config *net)
{
	g_autofree char *root = target_root(target);
	g_autofree char *own = g_strdup_printf("etc/netns/%s/resolv.conf", target->text);
	g_autofree char *own_path = g_strconcat("/", own, NULL);
	const char *file = target->kind == NETNS_ATTACH_NAME && !access(own_path, F_OK) ? own : RESOLV_CONF;
	char dns4[ADDR_STRLEN], dns6[ADDR_STRLEN];

	if (resolv_leads_here(root, file, net))
		return NULL;
	return g_strdup_printf("%s/%s names no name server that programs in the namespace can reach, as %s%s%s would be", strcmp(root, "/") ? root : "", file,
			       net->v4 ? addr_format(&net->dns4, dns4) : "", net->v4 && net->v6 ? " or " : "",
			       net->v6 ? addr_format(&net->dns6, dns6) : "");
}
