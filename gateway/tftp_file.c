/* tftp_file.c - files below one directory.  See tftp_file.h.
 * prefixes: tftp_file_ tftp_dir_
 */
#include "gateway/tftp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	FILE_LINKS_MAX = 40, /* symbolic links on the way, as the kernel counts */
	FILE_DEPTH_MAX = 64, /* directories */
	FILE_OPEN = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
};

/* ---- the directory */

static void tftp_dir_open(struct tftp_dir *d)
{
	struct stat st;
	int fd;

	if (d->fd >= 0 && !fstat(d->fd, &st) && st.st_nlink)
		return;
	fd = open(d->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = fd;
}

void tftp_dir_init(struct tftp_dir *d, const char *path)
{
	d->path = g_strdup(path);
	d->fd = -1;
	tftp_dir_open(d);
}

void tftp_dir_clear(struct tftp_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	g_clear_pointer(&d->path, g_free);
}

/* ---- one component at a time */

/* On the way: the directories that are open, outermost first (the first is the caller's), and the names still to be walked. */
struct walk {
	int dirs[FILE_DEPTH_MAX];
	unsigned depth, links;
	char rest[PATH_MAX];
};

/* The next name of w->rest goes to `name`. False: it is too long. */
static bool walk_take(struct walk *w, char name[NAME_MAX + 1])
{
	size_t skip = strspn(w->rest, "/"), len = strcspn(w->rest + skip, "/");

	if (len > NAME_MAX)
		return false;
	memcpy(name, w->rest + skip, len);
	name[len] = '\0';
	memmove(w->rest, w->rest + skip + len, strlen(w->rest + skip + len) + 1);
	return true;
}

static int walk_up(struct walk *w)
{
	if (w->depth == 1)
		return -EXDEV;
	close(w->dirs[--w->depth]);
	return 0;
}

/* fd: of a symbolic link, whose text comes in front of what is left. */
static int walk_link(struct walk *w, int fd)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(fd, "", text, sizeof(text));
	size_t rest = strlen(w->rest);

	if (n <= 0)
		return n ? -errno : -ENOENT;
	if (text[0] == '/')
		return -EXDEV;
	if (++w->links > FILE_LINKS_MAX)
		return -ELOOP;
	if ((size_t)n + 1 + rest + 1 > sizeof(w->rest))
		return -ENAMETOOLONG;
	memmove(w->rest + n + 1, w->rest, rest + 1);
	memcpy(w->rest, text, (size_t)n);
	w->rest[n] = '/';
	return 0;
}

static bool walk_is_done(const struct walk *w)
{
	return !w->rest[strspn(w->rest, "/")];
}

/* One name: the file's descriptor, -EAGAIN: go on, or -errno. */
static int walk_step(struct walk *w, const char *name)
{
	int at = w->dirs[w->depth - 1], fd, r = -EAGAIN;
	struct stat st;

	if (!*name || !strcmp(name, "."))
		return -EAGAIN;
	if (!strcmp(name, "..")) {
		r = walk_up(w);
		return r ? r : -EAGAIN;
	}
	fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		r = -errno;
	} else if (S_ISLNK(st.st_mode)) {
		r = walk_link(w, fd);
		r = r ? r : -EAGAIN;
	} else if (S_ISDIR(st.st_mode)) {
		if (w->depth < FILE_DEPTH_MAX) {
			w->dirs[w->depth++] = fd;
			return -EAGAIN;
		}
		r = -ENAMETOOLONG;
	} else {
		r = walk_is_done(w) ? openat(at, name, FILE_OPEN | O_NOFOLLOW) : -ENOTDIR;
		r = r == -1 ? -errno : r;
	}
	close(fd);
	return r;
}

int tftp_file_walk(int dir, const char *name)
{
	struct walk w = { .dirs = { dir }, .depth = 1 };
	char part[NAME_MAX + 1];
	int r = -EAGAIN;

	if (g_strlcpy(w.rest, name, sizeof(w.rest)) >= sizeof(w.rest))
		return -ENAMETOOLONG;
	while (r == -EAGAIN) {
		if (walk_is_done(&w))
			r = -EISDIR;
		else
			r = walk_take(&w, part) ? walk_step(&w, part) : -ENAMETOOLONG;
	}
	while (w.depth > 1)
		walk_up(&w);
	return r;
}

/* ---- both */

static int tftp_file_beneath(int dir, const char *name)
{
	struct open_how how = { .flags = FILE_OPEN, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	if (fd >= 0)
		return fd;
	/* not there, forbidden (or the file is: the walk will say so), or somebody renames directories on the way */
	return errno == ENOSYS || errno == EPERM || errno == EAGAIN ? tftp_file_walk(dir, name) : -errno;
}

static bool tftp_file_climbs(const char *name)
{
	for (; *name; name += strspn(name, "/")) {
		size_t len = strcspn(name, "/");

		if (len == 2 && !strncmp(name, "..", 2))
			return true;
		name += len;
	}
	return false;
}

int tftp_file_open(struct tftp_dir *d, const char *name, uint64_t *ret_size)
{
	struct stat st;
	int fd;

	name += strspn(name, "/");
	if (!*name || name[strlen(name) - 1] == '/' || tftp_file_climbs(name))
		return -EACCES;
	tftp_dir_open(d);
	if (d->fd < 0)
		return -ENOENT;
	fd = tftp_file_beneath(d->fd, name);
	if (fd == -EXDEV || fd == -ELOOP || fd == -ENXIO || fd == -EISDIR)
		return -EACCES;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EACCES;
	}
	*ret_size = (uint64_t)st.st_size;
	return fd;
}
