/* netns_resolv.c - our resolv.conf over the host's.
 *
 * The file lives on a tmpfs of its own that is mounted for a moment only: a bind mount of one file keeps the file system alive after
 * its mount point is gone, so nothing is ever written to the host's disks and nothing is left to clean up.
 * Descriptors, not paths, name both ends: the tmpfs may hide the target (a resolv.conf that really lives in /tmp), and the target
 * cannot be swapped for a symbolic link in between.
 */
#include "gateway/netns_resolv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"

/* Where the tmpfs may stand for that moment: the first that can be mounted on. */
static const char *const moment_dirs[] = { "/tmp", "/run", "/mnt", "/dev/shm" };

/* Sockets of resolvers on the host: nss-resolve of systemd, nscd.  Asking them would bypass the gateway and its DNS. */
static const char *const host_resolvers[] = { "/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/socket", "/var/run/nscd/socket" };

char *netns_resolv_text(const struct gateway_config *cfg, const char *const *search)
{
	GString *s = g_string_new("# made by slirpgate for this namespace\n");
	char buf[ADDR_STRLEN];

	if (cfg->v4)
		g_string_append_printf(s, "nameserver %s\n", addr_format(&cfg->dns4, buf));
	if (cfg->v6)
		g_string_append_printf(s, "nameserver %s\n", addr_format(&cfg->dns6, buf));
	if (search && *search) {
		g_string_append(s, "search");
		for (; *search; search++)
			g_string_append_printf(s, " %s", *search);
		g_string_append_c(s, '\n');
	}
	return g_string_free(s, FALSE);
}

/* A descriptor of a new file with that text, or -errno. */
static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	if (n != (ssize_t)strlen(text)) {
		int e = n < 0 ? errno : EIO;

		close(fd);
		return -e;
	}
	fchmod(fd, 0644); /* whatever the umask */
	return fd;
}

/* Binds what source names over what target names. */
static int bind_fd(int source, int target)
{
	char from[40], to[40];

	snprintf(from, sizeof(from), "/proc/self/fd/%d", source);
	snprintf(to, sizeof(to), "/proc/self/fd/%d", target);
	return mount(from, to, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

/* The file is made, bound and let go on a tmpfs at dir. */
static int bind_by_way_of(const char *dir, const char *text, int target)
{
	g_autofree char *path = g_strconcat(dir, "/resolv.conf", NULL);
	int fd, rc;

	if (mount("tmpfs", dir, "tmpfs", MS_NODEV | MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k") < 0)
		return -errno;
	fd = write_file(path, text);
	rc = fd;
	if (fd >= 0) {
		rc = bind_fd(fd, target);
		close(fd);
	}
	umount2(dir, MNT_DETACH);
	return rc;
}

/* A name that cannot be connected to any more; what is not there needs no hiding. */
static void hide_host_resolvers(void)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(host_resolvers); i++) {
		if (mount("/dev/null", host_resolvers[i], NULL, MS_BIND, NULL) < 0)
			continue;
	}
}

bool netns_resolv_bind(const struct gateway_config *cfg, const char *const *search, GError **err)
{
	g_autofree char *text = netns_resolv_text(cfg, search);
	char *real = realpath(RESOLV_CONF, NULL);
	int target = real ? open(real, O_PATH | O_CLOEXEC | O_NOFOLLOW) : -1;
	int rc = target < 0 ? -errno : -ENOTDIR;

	for (unsigned i = 0; target >= 0 && rc < 0 && i < G_N_ELEMENTS(moment_dirs); i++)
		rc = bind_by_way_of(moment_dirs[i], text, target);
	if (rc == -ENOENT && target < 0)
		g_set_error(err, G_FILE_ERROR, G_FILE_ERROR_NOENT,
			    RESOLV_CONF " is missing or leads nowhere: names cannot be resolved in the namespace until it exists on the host");
	else if (rc < 0)
		g_set_error(err, G_FILE_ERROR, g_file_error_from_errno(-rc), "cannot put our resolv.conf over %s: %s: names are resolved as on the host",
			    real ? real : RESOLV_CONF, g_strerror(-rc));
	else
		hide_host_resolvers();
	if (target >= 0)
		close(target);
	free(real);
	return rc >= 0;
}
