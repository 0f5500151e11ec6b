/* pidfile.c - see pidfile.h. */
#include "gateway/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NUMBER_MAX = 24 };

static bool G_GNUC_PRINTF(3, 4) fail(GError **err, const char *path, const char *format, ...)
{
	g_autofree char *why = NULL;
	va_list args;

	va_start(args, format);
	why = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error(err, G_FILE_ERROR, G_FILE_ERROR_FAILED, "--pid-file: %s: %s", path, why);
	return false;
}

/* Empty, or a number and a newline: anything else is somebody's file that must not be lost. */
static bool read_number(int fd, char *text)
{
	ssize_t n = pread(fd, text, NUMBER_MAX - 1, 0);

	if (n < 0 || n == NUMBER_MAX - 1)
		return false;
	text[n] = '\0';
	g_strchomp(text);
	return text[strspn(text, "0123456789")] == '\0';
}

/* What stands at path and may be replaced is given to *ret_fd, locked; -1: nothing stands there.  False: it must stay. */
static bool take_stale(const char *path, int *ret_fd, GError **err)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char text[NUMBER_MAX];
	struct stat st;
	bool ok = false;

	*ret_fd = -1;
	if (fd < 0)
		return errno == ENOENT || fail(err, path, "%s", g_strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !read_number(fd, text))
		fail(err, path, "is there already, and is no PID file");
	else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		fail(err, path, "belongs to a slirpgate that is running, process %s", text);
	else
		ok = true;
	if (ok)
		*ret_fd = fd;
	else
		close(fd);
	return ok;
}

static bool is_at(int fd, const char *path)
{
	struct stat ours, there;

	return !fstat(fd, &ours) && !stat(path, &there) && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

bool pidfile_check(const char *path, GError **err)
{
	int old;

	if (!take_stale(path, &old, err))
		return false;
	if (old >= 0)
		close(old);
	return true;
}

/* A locked file with our number, under a name of its own. */
static int write_new(char *name)
{
	char text[NUMBER_MAX];
	int fd = mkostemp(name, O_CLOEXEC);
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)len) == len && !fchmod(fd, 0644) && !flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	len = -errno;
	unlink(name);
	close(fd);
	return len;
}

int pidfile_write(const char *path, GError **err)
{
	g_autofree char *name = g_strconcat(path, ".XXXXXX", NULL);
	int old, fd, rc;

	if (!take_stale(path, &old, err))
		return -1;
	fd = write_new(name);
	if (fd < 0)
		fail(err, path, "%s", g_strerror(-fd));
	if (fd >= 0 && old >= 0 && is_at(old, path))
		unlink(path);
	rc = fd < 0 ? 0 : link(name, path);
	if (rc < 0)
		fail(err, path, "%s", errno == EEXIST ? "another process has just made it" : g_strerror(errno));
	if (fd >= 0)
		unlink(name);
	if (old >= 0)
		close(old);
	if (rc < 0)
		close(fd);
	return rc < 0 || fd < 0 ? -1 : fd;
}

void pidfile_remove(const char *path, int fd)
{
	if (fd < 0)
		return;
	if (is_at(fd, path))
		unlink(path);
	close(fd);
}
