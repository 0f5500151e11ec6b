/* resolv_watch.c - the host's resolv.conf, followed.  See resolv_watch.h.
 *
 * After every change all marks are taken away and set anew along the path as it is then, before the file is read: what happens in between is
 * seen by the marks or by the read.  Taking one away reports IN_IGNORED, which means nothing here.
 * System calls: inotify_init1 inotify_add_watch inotify_rm_watch read readlink close.
 */
#include "gateway/resolv_watch.h"

#include "gateway/resolv.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
	WATCH_LINKS = 16,	/* symlinks that are followed */
	WATCH_MARKS = WATCH_LINKS + 2,
	WATCH_SERVERS = 8,
	WATCH_SETTLE = 50000,	/* microseconds: writers truncate, write and rename */
	WATCH_READS = 16,	/* buffers of events per call */
	WATCH_DIR = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
	WATCH_FILE = IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF,
};

struct watch_mark {
	int wd;
	char name[NAME_MAX + 1]; /* what matters in this directory; "": everything, or the file itself */
};

struct resolv_watch {
	struct loop *loop;
	struct loop_watch watch;
	struct loop_timer timer;
	char path[PATH_MAX];
	struct watch_mark marks[WATCH_MARKS];
	unsigned n_marks;
	resolv_watch_fn *fn;
	void *arg;
};

static void watch_mark(struct resolv_watch *w, const char *path, const char *name, uint32_t mask)
{
	struct watch_mark *m = &w->marks[w->n_marks];

	if (w->n_marks == WATCH_MARKS)
		return;
	m->wd = inotify_add_watch(w->watch.fd, path, mask);
	if (m->wd < 0)
		return;
	g_strlcpy(m->name, name, sizeof(m->name));
	w->n_marks++;
}

/* The directory in which `path` stands, or the nearest one above it that exists: then anything made there is worth a look. */
static void watch_directory(struct resolv_watch *w, const char *path)
{
	g_autofree char *name = g_path_get_basename(path), *dir = g_path_get_dirname(path);
	unsigned before = w->n_marks;

	watch_mark(w, dir, name, WATCH_DIR);
	while (w->n_marks == before && strcmp(dir, "/") && strcmp(dir, ".")) {
		char *up = g_path_get_dirname(dir);

		g_free(dir);
		dir = up;
		watch_mark(w, dir, "", WATCH_DIR);
	}
}

/* Marks everything that decides what the path leads to. */
static void watch_arm(struct resolv_watch *w)
{
	g_autofree char *path = g_strdup(w->path);
	char target[PATH_MAX];
	ssize_t n;

	while (w->n_marks)
		inotify_rm_watch(w->watch.fd, w->marks[--w->n_marks].wd);
	for (int links = 0; links < WATCH_LINKS; links++) {
		char *next;

		watch_directory(w, path);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			break;
		target[n] = '\0';
		if (*target == '/') {
			next = g_strdup(target);
		} else {
			g_autofree char *dir = g_path_get_dirname(path);

			next = g_build_filename(dir, target, NULL);
		}
		g_free(path);
		path = next;
	}
	watch_mark(w, w->path, "", WATCH_FILE);
}

static bool watch_cares(const struct resolv_watch *w, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW)
		return true;
	if (e->mask & IN_IGNORED)
		return false;
	for (unsigned i = 0; i < w->n_marks; i++) {
		const struct watch_mark *m = &w->marks[i];

		if (m->wd == e->wd && (!*m->name || !e->len || !strcmp(m->name, e->name)))
			return true;
	}
	return false;
}

static void watch_event(struct loop_watch *lw, uint32_t events, int64_t now)
{
	struct resolv_watch *w = container_of(lw, struct resolv_watch, watch);
	union {
		struct inotify_event align;
		char b[4096];
	} buf;
	bool changed = false;
	ssize_t n = 0;

	for (int i = 0; i < WATCH_READS && (n = read(lw->fd, &buf, sizeof(buf))) > 0; i++) {
		const struct inotify_event *e;

		for (char *p = buf.b; p < buf.b + n; p += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)(const void *)p;
			changed |= watch_cares(w, e);
		}
	}
	if (changed)
		loop_timer_set(w->loop, &w->timer, now + WATCH_SETTLE); /* no memory: the next change tries again */
}

static void watch_settled(struct loop_timer *t, int64_t now)
{
	struct resolv_watch *w = container_of(t, struct resolv_watch, timer);
	struct addr servers[WATCH_SERVERS];
	int n;

	(void)now;
	watch_arm(w);
	n = resolv_servers(w->path, servers, WATCH_SERVERS);
	if (n >= 0)
		w->fn(w->arg, servers, (unsigned)n);
}

struct resolv_watch *resolv_watch_new(struct loop *loop, const char *path, resolv_watch_fn *fn, void *arg)
{
	struct resolv_watch *w = g_try_new0(struct resolv_watch, 1);
	int fd, err;

	if (!w) {
		errno = ENOMEM;
		return NULL;
	}
	w->loop = loop;
	w->fn = fn;
	w->arg = arg;
	w->watch.fn = watch_event;
	w->timer.fn = watch_settled;
	g_strlcpy(w->path, path, sizeof(w->path));
	fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	err = fd < 0 ? -errno : loop_watch_add(loop, &w->watch, fd, EPOLLIN);
	if (!err) {
		watch_arm(w);
		return w;
	}
	if (fd >= 0)
		close(fd);
	g_free(w);
	errno = -err;
	return NULL;
}

void resolv_watch_free(struct resolv_watch *w)
{
	if (!w)
		return;
	loop_timer_set(w->loop, &w->timer, TIMERQ_NEVER);
	loop_watch_close(w->loop, &w->watch);
	g_free(w);
}
